"""A model handed over to MLflow: its versions one after the other, then what stands once for it, aliases among it.

Rules held here: what somebody changed in MLflow is never overwritten; a version that cannot be exported is told and does
not stop the others (:mod:`manual_registry.registry.handover_version` is about one version).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from manual_registry.adapters.mlflow import reading
from manual_registry.adapters.mlflow.finding import Owner
from manual_registry.adapters.mlflow.writing import Writer
from manual_registry.core.errors import ArtefactFinding
from manual_registry.core.handover import comparing, earlier, limits, mapping, through
from manual_registry.core.handover.comparing import Comparison, Mismatch
from manual_registry.core.handover.entities import Flat, ModelEntities
from manual_registry.registry.handover_outcome import Outcome, settle, unfit
from manual_registry.registry.handover_sources import Sources
from manual_registry.registry.handover_version import OneVersion

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
    #: In a check: what is there as it was exported last, or not yet, because the register went on since.
    behind: list[dict[str, Any]] = field(default_factory=list)
    writer: Writer = field(init=False)
    _bytes: int = 0

    def __post_init__(self) -> None:
        """Make the writer."""
        loaded = self.sources.loaded
        self.writer = Writer(server=self.server, through=loaded.head[0])

    def owner(self, model: str) -> Owner:
        """Return by what a model and its versions are known there."""
        state = self.sources.told()
        versions = [state.versions[model, name] for name in state.models[model].versions]
        called = [(limits.logged_model_name(model, one.version), one.version) for one in versions]
        several = {name for name, count in Counter(name for name, _ in called).items() if count > 1}
        return Owner(
            state.registry_id,
            model,
            composites={one.composite_id: one.version for one in versions},
            names={name: version for name, version in called if name not in several},
            numbers={there[0]: name for (of, name), there in self.before.versions.items() if of == model},
        )

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
        if self.action == "export" and outcome.read and not outcome.unfit:
            outcome.mark = self.mark(shelf, record.version)
        if outcome.behind or outcome.awaited:
            self.behind.append(outcome.behind_document())
        settle(outcome, shelf.held(record.version))
        return outcome, mismatches

    def advance(self, count: int) -> None:
        """Tell the progress of downloads."""
        self._bytes += count
        if self.progress is not None:
            self.progress(self._bytes, max(self._bytes, self.sources.total()))

    def production_alias(self, shelf: Shelf) -> str:
        """Return what the production version of a model is called there: as asked, else as the last export did.

        That may be one that was interrupted, or not recorded; where neither came later, the ledger says it, not the tag.
        """
        if self.alias is not None:
            return self.alias
        tags: Mapping[str, str] = shelf.registered.tags if shelf.registered is not None else {}
        last = through.through(tags) or 0
        since, alias = last, str(tags.get(mapping.PRODUCTION_ALIAS, ""))
        mark = self.before.marks.get((shelf.model, None))
        if mark is not None and last <= mark[0]:
            since, alias = mark[0] + 1, mark[1]
        begun = [one.alias for one in through.exporting(tags) if one.alias and one.seq >= since]
        known = [*begun[-1:], alias]
        return next((one for one in known if one in mapping.PRODUCTION_ALIASES), mapping.PRODUCTION_ALIASES[0])

    def edited(self, shelf: Shelf) -> list[Mismatch]:
        """Return edits of the export's own tags, told although an export writes them anew."""
        found = shelf.told(self.sources.loaded.head[0], self.before.marks)
        return [one for one in found if one.name in mapping.ABOUT_EXPORT and one.problem == "changed"]

    def model(self, shelf: Shelf, wanted: ModelEntities) -> list[Mismatch]:
        """Bring what stands once for the model up to date, aliases among it; returns what differs."""
        differs = self._model(shelf, wanted)
        return [*shelf.told(self.sources.loaded.head[0], self.before.marks), *differs]

    def _model(self, shelf: Shelf, wanted: ModelEntities) -> list[Mismatch]:
        ours = _numbered(wanted, shelf).flat()
        if self.action == "check":
            return self._check(shelf, ours)
        found, bases = shelf.flat(), self._bases(shelf)
        if not self.written_so(shelf.model, None):
            bases = earlier.bases(ours, bases, found)
        compared = comparing.three_way(ours, bases, found, model=shelf.model, version=None)
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
            shelf, write, production_alias=self.production_alias(shelf), asked=self.alias is not None
        )
        if self.writer.written != before:
            reading.refresh(self.server, shelf)
        return self._check(shelf, ours)

    def _check(self, shelf: Shelf, ours: Flat) -> list[Mismatch]:
        found = shelf.flat()
        if not self.written_so(shelf.model, None):
            ours = earlier.expected(ours, found)
        told = comparing.check(ours, found, model=shelf.model, version=None)
        if told and self.action == "check":
            return self._without_behind(shelf, told, found)
        return _told_once(shelf, told)

    def _without_behind(self, shelf: Shelf, told: list[Mismatch], found: Flat) -> list[Mismatch]:
        """Return what somebody did; that the register went on since the last export is noted and is no difference."""
        if shelf.experiment is None and shelf.registered is None and not self._brought_any(shelf.model):
            self.behind.append({"model": shelf.model, "version": None, "there": False, "values": 0})
            return []
        before = self._bases(shelf)
        if not self.written_so(shelf.model, None):
            before = [earlier.expected(base, found) for base in before]
        others, behind = comparing.apart(told, before, found)
        if behind:
            self.behind.append({"model": shelf.model, "version": None, "there": True, "values": len(behind)})
        return _told_once(shelf, others)

    def brought(self, shelf: Shelf, record: VersionState) -> bool:
        """Tell whether an export is known that brought a version to this server.

        The ledger says it; where it knows of no export to this address at all, the tags of the registered model do.
        """
        if self.before.seq:
            return (record.model, record.version) in self.before.versions
        last = through.through(shelf.registered.tags) if shelf.registered is not None else None
        return last is not None and record.seq <= last

    def _brought_any(self, model: str) -> bool:
        return (model, None) in self.before.marks or any(name == model for name, _ in self.before.versions)

    def written_so(self, model: str, version: str | None) -> bool:
        """Tell whether the ledger says that a tool with this mapping wrote it: only such a one records marks."""
        return (model, version) in self.before.marks

    def mark(self, shelf: Shelf, version: str | None = None) -> tuple[int, str] | None:
        """Return what is written there of the export itself, to be kept; None: it is not whole, or was edited."""
        parts = shelf.marked(version)
        head, last = self.sources.loaded.head[0], self.before.marks.get((shelf.model, version))
        said = {through.through(tags) for tags in parts}
        if len(said) != 1 or None in said or any(through.edits(tags, head, last) for tags in parts):
            return None
        seq = max(one for one in said if one is not None)
        if version is not None:
            return seq, ""
        alias = str(parts[0].get(mapping.PRODUCTION_ALIAS, ""))
        return (seq, alias) if alias in mapping.PRODUCTION_ALIASES else None

    def _marks(self, shelf: Shelf, compared: Comparison) -> tuple[str, ...]:
        """Return the tags by which an export says of itself what it wrote to the registered model."""
        marks = (mapping.THROUGH, mapping.PRODUCTION_ALIAS)
        there = shelf.registered.tags if shelf.registered is not None else {}
        if compared.write:
            return (mapping.EXPORTING, *marks)
        another = self.alias is not None and there.get(mapping.PRODUCTION_ALIAS) != self.alias
        return marks if another or any(name not in there for name in marks) else ()

    def _bases(self, shelf: Shelf) -> list[Flat]:
        """Return what was exported of the model last, and what an export that was interrupted had begun with."""
        found = []
        known = through.of_model(shelf.registered.tags if shelf.registered is not None else {})
        mark = self.before.marks.get((shelf.model, None))
        for begun in through.counting(known, mark):
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


def _told_once(shelf: Shelf, told: list[Mismatch]) -> list[Mismatch]:
    """Tell an experiment or registered model that is not there once, instead of each of its fields."""
    parts = (("experiment", shelf.experiment), ("registered_model", shelf.registered))
    gone = [place for place, there in parts if there is None]
    kept = [one for one in told if one.place.partition(".")[0] not in gone]
    return [*(shelf.gone(place) for place in gone), *kept]


def _numbered(wanted: ModelEntities, shelf: Shelf) -> ModelEntities:
    """Return ``wanted`` with MLflow's numbers in its aliases; a version that is not there is said so."""
    numbers = {}
    for alias, version in wanted.aliases.items():
        held = shelf.held(version)
        numbers[alias] = str(held.registered.version) if held.registered is not None else f"{version}, not in MLflow"
    return replace(wanted, aliases=numbers)
