"""One version handed over to MLflow: compared, written, read back.

Rules held here: an artefact is hashed before it is uploaded and after it was downloaded again; what somebody changed in
MLflow is never overwritten; a difference is told of MLflow only where the register's own files are as registered.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from manual_registry.adapters.mlflow import files, reading
from manual_registry.core.errors import ArtefactFinding
from manual_registry.core.handover import comparing, earlier, flavours, mapping, through, verdict
from manual_registry.core.handover.comparing import Comparison, Mismatch
from manual_registry.core.handover.entities import File, Flat, Key, VersionEntities, made_file
from manual_registry.core.handover.limits import Remark
from manual_registry.registry.handover_outcome import Outcome, unfit

if TYPE_CHECKING:
    from pathlib import Path

    from manual_registry.adapters.mlflow.reading import Held, Shelf
    from manual_registry.core.records import VersionState
    from manual_registry.registry.handing_over import Handing

#: The parts of a version and what they are called.
_WORDS = {"run": "run", "model": "logged model", "version": "model version"}
#: Names of the run's files that are copies of stored ones.
_EVIDENCE = f"{mapping.OURS}evidence/"
#: Where our papers lie in a run.
_PAPERS = mapping.OURS.rstrip("/")


#: The one file of a logged model whose text follows from what MLflow's loaders take.
_MLMODEL = ("model.file", flavours.MLMODEL)
#: A version as it was at an event through which it was exported, and what it was then in MLflow.
_Base = tuple["VersionState", VersionEntities]


@dataclass(slots=True)
class OneVersion:
    """One version on its way."""

    handing: Handing
    shelf: Shelf
    record: VersionState
    wanted: VersionEntities
    outcome: Outcome
    #: What of the register's files was hashed on this way: once is enough.
    _hashed: set[str] = field(default_factory=set)

    @property
    def held(self) -> Held:
        return self.shelf.held(self.record.version)

    def handle(self) -> list[Mismatch]:
        """Compare, write and read back, as far as the action goes."""
        self._tell_flavour()
        blocked = self._blocked()
        if self.handing.action == "check" or blocked:
            self.outcome.reason = blocked or "compared"
            told = self._compared()
            if self.outcome.awaited:
                self.outcome.reason = "not exported yet"
            return told
        bases = self._bases()
        compared = self._three_way(bases)
        if self.handing.action == "dry-run":
            self._require_as_registered(compared.write)
            self._plan(compared)
            return [*self._fair(compared.mismatches), *self._doubled()]
        if compared.write or not self._complete():
            self._write(bases, compared)
        elif not compared.mismatches and self._unmarked():
            self.handing.writer.say_through(self.held)
        elif not compared.mismatches and self._proven():
            return self._doubled()
        else:
            self.outcome.reason = "read, nothing to write"
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

    def _unmarked(self) -> bool:
        return self.held.registered is not None and mapping.THROUGH not in self.held.registered.tags

    def _proven(self) -> bool:
        """Tell whether a read-back of the same found no mismatch, and nothing was recorded since that does.

        What only the tag says, which anybody can write, and the ledger does not, is read again.
        """
        said = str(self.held.registered.tags.get(mapping.VERIFIED, ""))
        proven = (str(self.held.registered.version), self.outcome.digest)
        before, record = self.handing.before, self.record
        return (
            said.startswith(comparing.outcome(self.outcome.digest, ()))
            and before.versions.get((record.model, record.version)) == proven
            and not before.doubtful(record.model, record.version)
        )

    # -- writing --------------------------------------------------------------------------------------------

    def _write(self, bases: list[_Base], seen: Comparison) -> None:
        """Write what is missing or behind; ``seen`` is what was, before anything was made."""
        self._require_as_registered(seen.write)
        held = self.handing.writer.ensure_version(self.shelf, self.wanted)
        compared = self._three_way(bases)
        self._require_as_registered(compared.write)
        complete = self._with_mlmodel(self.wanted, self.record)

        def locate(origin: str) -> Path:
            return self.handing.sources.locate(self.record, origin)

        self.handing.writer.apply_version(self.shelf, held, complete, compared.write, locate)

    def _require_as_registered(self, write: Iterable[Key]) -> None:
        """Hash what of ``write`` is a copy of a stored file, before any of it is uploaded; raises the finding."""
        sources = self.handing.sources
        keys = list(write)
        if "artefact" not in self._hashed and any(place == "model.file" for place, _ in keys):
            sources.require_unchanged(self.record)
            self._hashed.add("artefact")
        if "evidence" not in self._hashed and any(
            place == "run.file" and name.startswith(_EVIDENCE) for place, name in keys
        ):
            sources.require_evidence(self.record)
            self._hashed.add("evidence")

    def _plan(self, compared: Comparison) -> None:
        run, logged, _ = self.wanted.whole()
        held = self.held
        self.outcome.would_write = len(compared.write)
        marks = about_export(held, compared, self.handing.sources.flavour(self.record).copies)
        for place, there, name in (
            ("run", held.run, run.name),
            ("model", held.logged, logged.name),
            ("version", held.registered, self.wanted.ref),
        ):
            self.handing.would_write(
                self.record.model,
                self.record.version,
                _WORDS[place],
                name,
                new=there is None,
                place=place,
                write=compared,
                also=marks[place],
            )

    # -- comparing ------------------------------------------------------------------------------------------

    def _three_way(self, bases: list[_Base]) -> Comparison:
        ours = self._with_mlmodel(self.wanted, self.record).flat()
        before = [self._with_mlmodel(base, then).flat() for then, base in bases]
        older = self._older_mlmodel()
        if older is not None and ours.get(_MLMODEL) != older:
            before.append({**ours, _MLMODEL: older})
        found = self._found(ours, before).flat()
        if not self._written_so():
            before = earlier.bases(ours, before, found)
        return comparing.three_way(ours, before, found, model=self.record.model, version=self.record.version)

    def _bases(self) -> list[_Base]:
        """Return what was exported last, and what an export that was interrupted had begun with."""
        held, sources = self.held, self.handing.sources
        version = held.registered.tags if held.registered is not None else None
        run = held.run.data.tags if held.run is not None else None
        found = []
        mark = self.handing.before.marks.get((self.record.model, self.record.version))
        known = through.of_version(version, run)
        for begun in through.counting(known, mark):
            state = sources.at(begun.seq)
            then = state.version(self.record.model, self.record.version) if state is not None else None
            if state is not None and then is not None:
                found.append((then, sources.entities(state, then)))
        return found

    def _found(self, ours: Flat, before: list[Flat]) -> VersionEntities:
        """Give what is held with its files: their sizes, and hashes of those that the register has changed since."""
        bases = before or [{}]
        changed = {key for key, value in ours.items() if any(base.get(key) != value for base in bases)}
        run_files: Iterable[File] = ()
        model_files: Iterable[File] = ()
        if self.held.run is not None:
            run_files = self._listed("run.file", self.held.run.info.artifact_uri, _PAPERS, changed)
        if self.held.logged is not None:
            model_files = self._listed("model.file", self.held.logged.artifact_location, "", changed)
        return self._entities(self.held, run_files, model_files)

    def _entities(self, held: Held, run_files: Iterable[File], model_files: Iterable[File]) -> VersionEntities:
        server, record = self.handing.server, self.record
        return reading.entities(
            server, record.model, record.version, held, run_files=run_files, model_files=model_files
        )

    def _listed(self, place: str, location: str, below: str, changed: set[tuple[str, str]]) -> list[File]:
        server = self.handing.server
        sizes = files.listing(server, location, below)
        doubtful = {path: size for path, size in sizes.items() if (place, path) in changed or size < 0}
        rest = {path: size for path, size in sizes.items() if path not in doubtful}
        return self._named([*files.hashed(server, location, doubtful), *files.unhashed(rest)], place)

    def _named(self, found: list[File], place: str) -> list[File]:
        """Return files under the names that this release gives them."""
        run, logged, _ = self.wanted.whole()
        if place == "run.file":
            return earlier.renamed(found, run.files, below=mapping.OURS)
        return earlier.renamed(found, logged.files, below="")

    # -- reading back -----------------------------------------------------------------------------------------

    def _read_back(self) -> list[Mismatch]:
        """Read everything back, files downloaded and hashed; the outcome is kept as a tag."""
        held = reading.refreshed(self.handing.server, self.held)
        self.shelf.versions[self.record.version] = held
        mismatches = self._compared()
        if held.registered is not None and not self.outcome.unfit:
            at = self.handing.sources.work.now()
            self.handing.writer.say_verified(held, comparing.outcome(self.outcome.digest, mismatches), at)
        return mismatches

    def _compared(self) -> list[Mismatch]:
        """Compare everything, hashes of downloaded files included; writes nothing."""
        held = self.held
        run_files: list[File] = []
        model_files: list[File] = []
        if held.run is not None:
            run_files = self._named(self._downloaded(held.run.info.artifact_uri, _PAPERS), "run.file")
        if held.logged is not None:
            model_files = self._named(self._downloaded(held.logged.artifact_location), "model.file")
        flat = self._entities(held, run_files, model_files).flat()
        ours = self._with_mlmodel(self.wanted, self.record).flat()
        if not self._written_so():
            ours = earlier.expected(ours, flat)
        told = comparing.check(ours, flat, model=self.record.model, version=self.record.version)
        if any(one.name == flavours.MLMODEL for one in told) and flat.get(_MLMODEL) == self._older_mlmodel():
            told = [one for one in told if (one.place, one.name) != _MLMODEL]
        self.outcome.read = True
        if told and (self.handing.action == "check" or self._blocked()):
            told = self._without_behind(told, flat)
        if not self.outcome.awaited:
            told = self._parts_told_once(told)
        return [*self._fair(told), *self._verdict(), *self._doubled()]

    def _verdict(self) -> list[Mismatch]:
        """Return what somebody made of the tag that says how the read-back went; an export writes it anew."""
        tags = self.held.registered.tags if self.held.registered is not None else {}
        key = (self.record.model, self.record.version)
        edit = verdict.edited(tags, self.handing.before, *key) if tags and self.handing.action == "check" else None
        if edit is None:
            return []
        problem = "changed" if edit.found is not None else "missing"
        return [self._mismatch("version.tag", edit.name, problem, expected=edit.expected, found=edit.found)]

    def _without_behind(self, told: list[Mismatch], found: Flat) -> list[Mismatch]:
        """Return what somebody did; that the register went on since the last export is noted and is no difference."""
        # The model version comes last: where there is one, all of it was there.
        if self.held.registered is None and not self.handing.brought(self.shelf, self.record):
            self.outcome.awaited = True
            told = [one for one in told if one.problem != "missing"]
        before = [self._with_mlmodel(base, then).flat() for then, base in self._bases()]
        if not self._written_so():
            before = [earlier.expected(base, found) for base in before]
        others, behind = comparing.apart(told, before, found)
        self.outcome.behind = len(behind)
        return others

    def _written_so(self) -> bool:
        return self.handing.written_so(self.record.model, self.record.version)

    def _fair(self, told: Sequence[Mismatch]) -> list[Mismatch]:
        """Say what the register's own files have become, where that is why those in MLflow seem to be others.

        Sizes are those on disk, and MLmodel is told by the beginnings of the files as they are now.
        """
        doubtful = [one for one in told if one.place == "model.file" and one.problem == "changed" and not _hashed(one)]
        if not doubtful:
            return list(told)
        try:
            self.handing.sources.require_unchanged(self.record)
            self.handing.sources.require_evidence(self.record)
        except ArtefactFinding as problem:
            rest = [one for one in told if one not in doubtful]
            return [*rest, unfit(self.outcome, problem, self.handing.action)]
        return list(told)

    def _downloaded(self, location: str, below: str = "") -> list[File]:
        server = self.handing.server
        return list(files.hashed(server, location, files.listing(server, location, below), self.handing.advance))

    def _with_mlmodel(self, entities: VersionEntities, record: VersionState) -> VersionEntities:
        """Return ``entities`` with MLmodel and what its loader wants copied, once there are the ids that it names."""
        data = self._mlmodel(record)
        if data is None:
            return entities
        return mapping.with_mlmodel(entities, data, self.handing.sources.flavour(record).copies)

    def _mlmodel(self, record: VersionState, *, as_first: bool = False) -> bytes | None:
        held = self.held
        if held.run is None or held.logged is None:
            return None
        ids = {"run_id": held.run.info.run_id, "model_id": held.logged.model_id}
        return self.handing.sources.mlmodel(record, **ids, name=held.logged.name, as_first=as_first)

    def _older_mlmodel(self) -> str | None:
        """Return what is compared of the MLmodel file that the first release wrote: no edit, wherever it still stands."""
        data = self._mlmodel(self.record, as_first=True)
        return None if data is None else made_file(flavours.MLMODEL, data).text()

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


def about_export(held: Held, compared: Comparison, copies: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return what an export says of itself when it writes: part of the version -> names of its fields; and ``copies``."""
    lost = held.registered is not None and not compared.mismatches and mapping.THROUGH not in held.registered.tags
    marks = (mapping.THROUGH, mapping.VERIFIED) if compared.write else (mapping.THROUGH,) if lost else ()
    begun = (mapping.EXPORTING, mapping.THROUGH) if compared.write else ()
    mlmodel = (*copies, flavours.MLMODEL) if held.run is None or held.logged is None else ()
    return {"run": (mapping.THROUGH,) if held.run is None else begun, "model": mlmodel, "version": marks}


def _hashed(one: Mismatch) -> bool:
    """Tell whether a file differs by the hash that was recorded, whatever the register's own copy has become."""
    said, there = (str(text or "").partition(" sha256:")[2] for text in (one.expected, one.found))
    return one.name != flavours.MLMODEL and there not in ("", "?", said)
