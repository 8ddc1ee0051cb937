"""A model handed over to MLflow: its versions one after the other, then what stands once for it, aliases among it.

Rules held here: what somebody changed in MLflow is never overwritten; a version that cannot be exported is told and does
not stop the others (:mod:`manual_registry.registry.handover_version` is about one version).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from manual_registry.adapters.mlflow import reading
from manual_registry.adapters.mlflow.writing import Writer
from manual_registry.core.errors import ArtefactFinding
from manual_registry.core.handover import comparing, mapping, through
from manual_registry.core.handover.comparing import Comparison, Mismatch
from manual_registry.core.handover.entities import Flat, ModelEntities
from manual_registry.registry.handover_sources import Sources
from manual_registry.registry.handover_version import OneVersion, Outcome, settle, unfit

if TYPE_CHECKING:
    from manual_registry.adapters.mlflow.reading import Shelf
    from manual_registry.adapters.mlflow.server import Server
    from manual_registry.core.records import Exported, VersionState
    from manual_registry.ports import Progress


@dataclass(slots=True)
class Handing:
    """One export, check or dry run (``action``) under way."""

    sources: Sources
    server: Server
    action: str
    #: What was recorded of exports to this server.
    before: Exported
    #: What the person calls the production version there; None: as it is called there already.
    alias: str | None = None
    progress: Progress | None = None
    #: In a dry run: the objects of the model, those to be made and those to be written to.
    plan: list[dict[str, Any]] = field(default_factory=list)
    writer: Writer = field(init=False)
    _bytes: int = 0

    def __post_init__(self) -> None:
        """Make the writer."""
        loaded = self.sources.loaded
        self.writer = Writer(server=self.server, registry_id=loaded.state.registry_id, through=loaded.head[0])

    def version(self, shelf: Shelf, record: VersionState) -> tuple[Outcome, list[Mismatch]]:
        """Hand over one version; returns what became of it and what differs."""
        outcome = Outcome(model=record.model, version=record.version)
        before = self.writer.written
        try:
            wanted = self.sources.entities(self.sources.told(), record)
            outcome.digest, outcome.remarks = wanted.digest(), wanted.remarks
            mismatches = OneVersion(self, shelf, record, wanted, outcome).handle()
        except ArtefactFinding as problem:
            mismatches = [unfit(outcome, problem, self.action)]
        outcome.requests = self.writer.written - before
        settle(outcome, shelf.held(record.version))
        return outcome, mismatches

    def advance(self, count: int) -> None:
        """Tell the progress of downloads."""
        self._bytes += count
        if self.progress is not None:
            self.progress(self._bytes, max(self._bytes, self.sources.total()))

    def production_alias(self, shelf: Shelf) -> str:
        """Return what the production version of a model is called there: as asked, else as the last export did.

        That may be one that was interrupted.
        """
        if self.alias is not None:
            return self.alias
        tags: Mapping[str, str] = shelf.registered.tags if shelf.registered is not None else {}
        last = through.through(tags) or 0
        begun = [one.alias for one in through.exporting(tags) if one.alias and one.seq >= last]
        known = [*begun[-1:], str(tags.get(mapping.PRODUCTION_ALIAS, ""))]
        return next((one for one in known if one in mapping.PRODUCTION_ALIASES), mapping.PRODUCTION_ALIASES[0])

    def model(self, shelf: Shelf, wanted: ModelEntities) -> list[Mismatch]:
        """Bring what stands once for the model up to date, aliases among it; returns what differs."""
        differs = self._model(shelf, wanted)
        return [*shelf.told(self.sources.loaded.head[0]), *differs]

    def _model(self, shelf: Shelf, wanted: ModelEntities) -> list[Mismatch]:
        ours = _numbered(wanted, shelf).flat()
        if self.action == "check":
            return comparing.check(ours, shelf.flat(), model=shelf.model, version=None)
        compared = comparing.three_way(ours, self._bases(shelf), shelf.flat(), model=shelf.model, version=None)
        if self.action == "dry-run":
            parts = (("experiment", shelf.experiment), ("registered_model", shelf.registered))
            for place, there in parts:
                word = place.replace("_", " ")
                also = self._marks(shelf, compared) if place == "registered_model" else ()
                new = there is None
                self.would_write(shelf.model, None, word, shelf.model, new=new, place=place, write=compared, also=also)
            return list(compared.mismatches)
        # An alias whose version could not be exported waits until it can.
        write = {
            key: value
            for key, value in compared.write.items()
            if key[0] != "registered_model.alias" or value is None or value.isdecimal()
        }
        before = self.writer.written
        self.writer.apply_model(
            shelf, write, production_alias=self.production_alias(shelf), alias_tag=mapping.PRODUCTION_ALIAS
        )
        if self.writer.written != before:
            reading.refresh(self.server, shelf)
        return comparing.check(ours, shelf.flat(), model=shelf.model, version=None)

    def _marks(self, shelf: Shelf, compared: Comparison) -> tuple[str, ...]:
        """Return the tags by which an export says of itself what it wrote to the registered model."""
        marks = (mapping.THROUGH, mapping.PRODUCTION_ALIAS)
        there = shelf.registered.tags if shelf.registered is not None else {}
        if compared.write:
            return (mapping.EXPORTING, *marks)
        return marks if any(name not in there for name in marks) else ()

    def _bases(self, shelf: Shelf) -> list[Flat]:
        """Return what was exported of the model last, and what an export that was interrupted had begun with."""
        found = []
        for begun in through.of_model(shelf.registered.tags if shelf.registered is not None else {}):
            state = self.sources.at(begun.seq)
            if state is not None and shelf.model in state.models:
                then = mapping.model_entities(state, shelf.model, production_alias=begun.alias)
                found.append(_numbered(then, shelf).flat())
        return found

    def would_write(
        self,
        model: str,
        version: str | None,
        word: str,
        name: str,
        *,
        new: bool,
        place: str,
        write: Comparison,
        also: Iterable[str] = (),
    ) -> None:
        """Note an object of a dry run: is it to be made, and which of its fields are to be written.

        ``also``: what the export says of itself there, and what follows from ids that MLflow chooses.
        """
        fields = sorted({key[1] for key in write.write if key[0].partition(".")[0] == place} | set(also))
        self.plan.append(
            {
                "model": model,
                "version": version,
                "object": word,
                "name": name,
                "new": new,
                "values": len(fields),
                "fields": fields,
            }
        )


def _numbered(wanted: ModelEntities, shelf: Shelf) -> ModelEntities:
    """Return ``wanted`` with MLflow's numbers in its aliases; a version that is not there is said so."""
    numbers = {}
    for alias, version in wanted.aliases.items():
        held = shelf.held(version)
        numbers[alias] = str(held.registered.version) if held.registered is not None else f"{version}, not in MLflow"
    return replace(wanted, aliases=numbers)
