"""One version, and one model, handed over to MLflow: compared, written, read back.

Rules held here: an artefact is hashed before it is uploaded and after it was downloaded again; what somebody changed in
MLflow is never overwritten; a version that cannot be exported is told and does not stop the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from manual_registry.adapters.mlflow import files, reading
from manual_registry.adapters.mlflow.writing import Writer
from manual_registry.core.errors import ArtefactFinding, RegistryError
from manual_registry.core.handover import comparing, mapping
from manual_registry.core.handover.comparing import Comparison, Mismatch
from manual_registry.core.handover.entities import File, Flat, ModelEntities, VersionEntities
from manual_registry.core.handover.limits import Remark
from manual_registry.registry.handover_sources import Sources

if TYPE_CHECKING:
    from pathlib import Path

    from manual_registry.adapters.mlflow.reading import Held, Shelf
    from manual_registry.adapters.mlflow.server import Server
    from manual_registry.core.records import VersionState
    from manual_registry.ports import Progress

#: The parts of a version and what they are called.
_WORDS = {"run": "run", "model": "logged model", "version": "model version"}
#: Where our papers lie in a run.
_PAPERS = mapping.OURS.rstrip("/")


@dataclass(kw_only=True, slots=True)
class Outcome:
    """What became of one version. ``number`` is MLflow's; None: it is not there."""

    model: str
    version: str
    digest: str = ""
    number: str | None = None
    run_id: str | None = None
    model_id: str | None = None
    flavour: str | None = None
    requests: int = 0
    would_write: int = 0
    reason: str = "stands so already"
    remarks: tuple[Remark, ...] = ()

    def document(self) -> dict[str, Any]:
        """Return the entry of the export document."""
        return {
            "model": self.model,
            "version": self.version,
            "number": self.number,
            "run_id": self.run_id,
            "model_id": self.model_id,
            "flavour": self.flavour,
            "digest": self.digest,
            "requests": self.requests or self.would_write,
        }


@dataclass(slots=True)
class Handing:
    """One export, check or dry run (``action``) under way."""

    sources: Sources
    server: Server
    action: str
    production_alias: str
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
            mismatches = _Version(self, shelf, record, wanted, outcome).handle()
        except ArtefactFinding as problem:
            mismatches = [_unfit(outcome, problem)]
        outcome.requests = self.writer.written - before
        _place(outcome, shelf.held(record.version))
        return outcome, mismatches

    def advance(self, count: int) -> None:
        """Tell the progress of downloads."""
        self._bytes += count
        if self.progress is not None:
            self.progress(self._bytes, max(self._bytes, self.sources.total()))

    def model(self, shelf: Shelf, wanted: ModelEntities) -> list[Mismatch]:
        """Bring what stands once for the model up to date, aliases among it; returns what differs."""
        ours = _numbered(wanted, shelf).flat()
        if self.action == "check":
            return comparing.check(ours, shelf.flat(), model=shelf.model, version=None)
        compared = comparing.three_way(ours, self._base(shelf), shelf.flat(), model=shelf.model, version=None)
        if self.action == "dry-run":
            parts = (("experiment", shelf.experiment), ("registered_model", shelf.registered))
            for place, there in parts:
                word = place.replace("_", " ")
                self.would_write(shelf.model, None, word, shelf.model, new=there is None, place=place, write=compared)
            return list(compared.mismatches)
        # An alias whose version could not be exported waits until it can.
        write = {
            key: value
            for key, value in compared.write.items()
            if key[0] != "registered_model.alias" or value is None or value.isdecimal()
        }
        before = self.writer.written
        self.writer.apply_model(
            shelf, write, production_alias=self.production_alias, alias_tag=mapping.PRODUCTION_ALIAS
        )
        if self.writer.written != before:
            again = reading.shelf(self.server, self.sources.loaded.state.registry_id, shelf.model)
            shelf.experiment, shelf.registered = again.experiment, again.registered
        return comparing.check(ours, shelf.flat(), model=shelf.model, version=None)

    def _base(self, shelf: Shelf) -> Flat | None:
        """Return what was exported of the model last."""
        tags: Mapping[str, str] = shelf.registered.tags if shelf.registered is not None else {}
        state, alias = self.sources.exported_through(tags), str(tags.get(mapping.PRODUCTION_ALIAS, ""))
        if state is None or alias not in mapping.PRODUCTION_ALIASES or shelf.model not in state.models:
            return None
        return _numbered(mapping.model_entities(state, shelf.model, production_alias=alias), shelf).flat()

    def would_write(
        self, model: str, version: str | None, word: str, name: str, *, new: bool, place: str, write: Comparison
    ) -> None:
        """Note an object of a dry run: is it to be made, and which of its fields are to be written."""
        fields = sorted(key[1] for key in write.write if key[0].partition(".")[0] == place)
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


@dataclass(slots=True)
class _Version:
    """One version on its way."""

    handing: Handing
    shelf: Shelf
    record: VersionState
    wanted: VersionEntities
    outcome: Outcome

    @property
    def held(self) -> Held:
        return self.shelf.held(self.record.version)

    def handle(self) -> list[Mismatch]:
        """Compare, write and read back, as far as the action goes."""
        self._tell_flavour()
        blocked = self._blocked()
        if self.handing.action == "check" or blocked:
            self.outcome.reason = blocked or "compared"
            return self._compared()
        base = self._base()
        compared = self._three_way(base)
        if self.handing.action == "dry-run":
            self._plan(compared)
            return [*compared.mismatches, *self._doubled()]
        if compared.write or not self._complete():
            self._write(base)
        elif not compared.mismatches and self._proven():
            return self._doubled()
        return self._read_back()

    def _tell_flavour(self) -> None:
        flavour = self.handing.sources.flavour(self.record)
        self.outcome.flavour = flavour.name
        if flavour.why_generic:
            told = Remark(place="model.file", name="MLmodel", problem="generic", instead=flavour.why_generic)
            self.outcome.remarks = (*self.outcome.remarks, told)

    def _blocked(self) -> str | None:
        """Return why nothing can be written to what is there."""
        held = self.held
        if held.run is not None and held.run.info.lifecycle_stage != "active":
            return "its run was deleted in MLflow; restore it there"
        if held.registered is not None and not self._complete():
            number = held.registered.version
            return f"what its version {number} in MLflow names was deleted there; delete that version too"
        return None

    def _complete(self) -> bool:
        # MLflow's objects do not compare with None.
        return all(part is not None for part in (self.held.run, self.held.logged, self.held.registered))

    def _proven(self) -> bool:
        """Tell whether a read-back of the same found no mismatch."""
        said = str(self.held.registered.tags.get(mapping.VERIFIED, ""))
        return said.startswith(comparing.outcome(self.outcome.digest, ()))

    # -- writing --------------------------------------------------------------------------------------------

    def _write(self, base: VersionEntities | None) -> None:
        """Write what is missing or behind; the artefact is hashed first when any of it is to be uploaded."""
        fresh = self.held.logged is None
        if fresh:
            self.handing.sources.require_unchanged(self.record)
        held = self.handing.writer.ensure_version(self.shelf, self.wanted)
        compared = self._three_way(base)
        if not fresh and any(place == "model.file" for place, _ in compared.write):
            self.handing.sources.require_unchanged(self.record)
        complete = self._with_mlmodel(self.wanted, self.record)

        def locate(origin: str) -> Path:
            return self.handing.sources.locate(self.record, origin)

        self.handing.writer.apply_version(self.shelf, held, complete, compared.write, locate)

    def _plan(self, compared: Comparison) -> None:
        run, logged, _ = self.wanted.whole()
        self.outcome.would_write = len(compared.write)
        parts = (("run", self.held.run, run.name), ("model", self.held.logged, logged.name))
        for place, there, name in (*parts, ("version", self.held.registered, self.wanted.ref)):
            self.handing.would_write(
                self.record.model,
                self.record.version,
                _WORDS[place],
                name,
                new=there is None,
                place=place,
                write=compared,
            )

    # -- comparing ------------------------------------------------------------------------------------------

    def _three_way(self, base: VersionEntities | None) -> Comparison:
        ours = self._with_mlmodel(self.wanted, self.record).flat()
        before = None
        if base is not None:
            before = self._with_mlmodel(base, self._earlier() or self.record).flat()
        found = self._found(ours, before or {}).flat()
        return comparing.three_way(ours, before, found, model=self.record.model, version=self.record.version)

    def _earlier(self) -> VersionState | None:
        """Return the record as it was when the version was exported last; None: not exported, or it does not say."""
        held = self.held
        tags = held.registered.tags if held.registered is not None else held.run.data.tags if held.run else {}
        state = self.handing.sources.exported_through(tags)
        return state.version(self.record.model, self.record.version) if state is not None else None

    def _base(self) -> VersionEntities | None:
        held, earlier = self.held, self._earlier()
        if earlier is None:
            return None
        tags = held.registered.tags if held.registered is not None else held.run.data.tags
        state = self.handing.sources.exported_through(tags)
        return self.handing.sources.entities(state, earlier) if state is not None else None

    def _found(self, ours: Flat, before: Flat) -> VersionEntities:
        """Give what is held with its files: their sizes, and hashes of those that the register has changed since."""
        changed = {key for key, value in ours.items() if before.get(key) != value}
        run_files: Iterable[File] = ()
        model_files: Iterable[File] = ()
        if self.held.run is not None:
            run_files = self._listed("run.file", self.held.run.info.artifact_uri, _PAPERS, changed)
        if self.held.logged is not None:
            model_files = self._listed("model.file", self.held.logged.artifact_location, "", changed)
        return reading.entities(
            self.record.model, self.record.version, self.held, run_files=run_files, model_files=model_files
        )

    def _listed(self, place: str, location: str, below: str, changed: set[tuple[str, str]]) -> list[File]:
        server = self.handing.server
        sizes = files.listing(server, location, below)
        doubtful = {path: size for path, size in sizes.items() if (place, path) in changed or size < 0}
        rest = {path: size for path, size in sizes.items() if path not in doubtful}
        return [*files.hashed(server, location, doubtful), *files.unhashed(rest)]

    # -- reading back -----------------------------------------------------------------------------------------

    def _read_back(self) -> list[Mismatch]:
        """Read everything back, files downloaded and hashed; the outcome is kept as a tag."""
        held = reading.refreshed(self.handing.server, self.held)
        self.shelf.versions[self.record.version] = held
        mismatches = self._compared()
        if held.registered is not None:
            at = self.handing.sources.work.now()
            self.handing.writer.say_verified(held, comparing.outcome(self.outcome.digest, mismatches), at)
        return mismatches

    def _compared(self) -> list[Mismatch]:
        """Compare everything, hashes of downloaded files included; writes nothing."""
        held = self.held
        run_files = self._downloaded(held.run.info.artifact_uri, _PAPERS) if held.run is not None else []
        model_files = self._downloaded(held.logged.artifact_location) if held.logged is not None else []
        found = reading.entities(
            self.record.model, self.record.version, held, run_files=run_files, model_files=model_files
        )
        ours = self._with_mlmodel(self.wanted, self.record)
        told = comparing.check(ours.flat(), found.flat(), model=self.record.model, version=self.record.version)
        return [*self._parts_told_once(told), *self._doubled()]

    def _downloaded(self, location: str, below: str = "") -> list[File]:
        server = self.handing.server
        return list(files.hashed(server, location, files.listing(server, location, below), self.handing.advance))

    def _with_mlmodel(self, entities: VersionEntities, record: VersionState) -> VersionEntities:
        """Return ``entities`` with the MLmodel file, once there are the ids that it names."""
        held, sources = self.held, self.handing.sources
        if held.run is None or held.logged is None:
            return entities
        ids = {"run_id": held.run.info.run_id, "model_id": held.logged.model_id}
        return mapping.with_mlmodel(entities, sources.mlmodel(record, **ids, name=held.logged.name))

    def _doubled(self) -> list[Mismatch]:
        return [
            self._mismatch(double.rpartition(" ")[0], double, "doubled", found=double) for double in self.held.doubles
        ]

    def _parts_told_once(self, told: list[Mismatch]) -> list[Mismatch]:
        """Tell a part that is not there at all once, instead of each of its fields."""
        parts = (("run", self.held.run), ("model", self.held.logged), ("version", self.held.registered))
        gone = [name for name, part in parts if part is None]
        kept = [one for one in told if one.place.partition(".")[0] not in gone]
        return kept + [
            self._mismatch(name, _WORDS[name], "missing", expected=self.record.composite_id) for name in gone
        ]

    def _mismatch(
        self, place: str, name: str, problem: str, *, expected: str | None = None, found: str | None = None
    ) -> Mismatch:
        return Mismatch(
            model=self.record.model,
            version=self.record.version,
            place=place,
            name=name,
            problem=problem,
            expected=expected,
            found=found,
        )


def _numbered(wanted: ModelEntities, shelf: Shelf) -> ModelEntities:
    """Return ``wanted`` with MLflow's numbers in its aliases; a version that is not there is said so."""
    numbers = {}
    for alias, version in wanted.aliases.items():
        held = shelf.held(version)
        numbers[alias] = str(held.registered.version) if held.registered is not None else f"{version}, not in MLflow"
    return replace(wanted, aliases=numbers)


def _unfit(outcome: Outcome, problem: RegistryError) -> Mismatch:
    """A version whose own files are not as registered: not exported."""
    outcome.reason = f"not exported: {problem.message}"
    return Mismatch(
        model=outcome.model,
        version=outcome.version,
        place="artefact",
        name=str(problem.location or "artefact"),
        problem="unfit",
        expected=None,
        found=f"{problem.code}: {problem.message}",
    )


def _place(outcome: Outcome, held: Held) -> None:
    outcome.number = str(held.registered.version) if held.registered is not None else None
    outcome.run_id = held.run.info.run_id if held.run is not None else None
    outcome.model_id = held.logged.model_id if held.logged is not None else None
