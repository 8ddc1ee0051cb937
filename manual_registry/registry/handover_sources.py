"""The register's side of a handover: what a version is in MLflow by the ledger as it is now, and as it was then.

Rules held here: everything follows from the ledger and the stored files; where a version's files lie is asked of the
ledger as it is now, since they may have moved since; where one is missing, of the ledger as it has become meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeVar

from manual_registry.adapters.files import os_errors
from manual_registry.core.errors import ArtefactChanged, ArtefactFinding, ArtefactGone, InvalidInput, StorageFailed
from manual_registry.core.handover import flavours, mapping
from manual_registry.core.trusted import trusted_fold
from manual_registry.registry.looking import (
    artefact_file,
    directory_of,
    evidence_problems,
    place_of,
    recorded_content,
    require_unchanged,
)

if TYPE_CHECKING:
    from manual_registry.core.handover.entities import VersionEntities
    from manual_registry.core.manifest import Content
    from manual_registry.core.records import VersionState
    from manual_registry.core.state import State
    from manual_registry.registry.workspace import Loaded, Workspace

_Found = TypeVar("_Found")


@dataclass(slots=True)
class Sources:
    """Where a handover takes everything from."""

    work: Workspace
    loaded: Loaded
    #: Versions whose files somebody moved while this ran, as they are since.
    _moved: dict[tuple[str, str], VersionState] = field(default_factory=dict)
    _states: dict[int, State] = field(default_factory=dict)
    _flavours: dict[tuple[object, ...], flavours.Flavour] = field(default_factory=dict)

    def told(self) -> State:
        """Return what is brought over and compared: the ledger as it is now; of a closed register, as it was before.

        Nothing is exported after the end (RP-22). A note or an archiving that came later is no difference that anybody
        could settle.
        """
        closed = self.loaded.state.closed
        return self.loaded.state if closed is None else self._at(closed.seq - 1)

    def entities(self, state: State, record: VersionState) -> VersionEntities:
        """Return what ``record``, of ``state``, is in MLflow; raises when the stored manifests are not as registered."""
        return mapping.version_entities(state, record, events=self.loaded.events, content=self._content(record))

    def _content(self, record: VersionState) -> Content:
        """Return the artefact as registered; a manifest that is none any more is a finding as a changed one is."""

        def listed(now: VersionState) -> Content:
            return recorded_content(self.work, now)

        try:
            return self._there(record, listed)
        except InvalidInput as problem:
            now = self._now(record)
            where = f"{place_of(self.work, now)}/B3SUMS"
            told = f"{where}: B3SUMS or SHA256SUMS is not as registered: {problem.message}"
            raise ArtefactChanged(told, location=where, clause="RP-1", hint=f"mreg verify {now.ref}") from None

    def _now(self, record: VersionState) -> VersionState:
        """Return the record as it is now: its files may have moved since."""
        key = (record.model, record.version)
        return self._moved.get(key) or self.loaded.state.versions[key]

    def _there(self, record: VersionState, look: Callable[[VersionState], _Found]) -> _Found:
        """Look at the files of a version, and once more where somebody moved them meanwhile (an archiving beside this)."""
        try:
            return look(self._now(record))
        except (ArtefactFinding, StorageFailed):
            if not self._has_moved(record):
                raise
            return look(self._now(record))

    def _has_moved(self, record: VersionState) -> bool:
        """Tell whether the files lie elsewhere by now, as the ledger on disk says; they are looked for there from then on."""
        key, before = (record.model, record.version), self._now(record)
        now = self.work.load().state.versions.get(key)
        if now is None or (now.bag, now.location) == (before.bag, before.location):
            return False
        self._moved[key] = now
        return True

    def require_unchanged(self, record: VersionState) -> None:
        """Hash the artefact before it is uploaded; raises the finding."""
        self._there(record, partial(require_unchanged, self.work))

    def require_evidence(self, record: VersionState) -> None:
        """Hash the evidence files before they are uploaded; raises the first finding."""

        def look(now: VersionState) -> None:
            for problem in evidence_problems(self.work, now):
                raise problem

        self._there(record, look)

    def at(self, seq: int) -> State | None:
        """Return the state as it was at event ``seq``, through which something was exported; None: there is no such one."""
        return self._at(seq) if 0 < seq <= self.loaded.head[0] else None

    def _at(self, seq: int) -> State:
        if seq == self.loaded.head[0]:
            return self.loaded.state
        if seq not in self._states:
            self._states[seq] = trusted_fold(self.loaded.events[:seq])
        return self._states[seq]

    def locate(self, record: VersionState, origin: str) -> Path:
        """Return where a file of the version lies: ``artefact/…`` perhaps where it was adopted, ``evidence/…``."""
        path = self._path(self._now(record), origin)
        if not path.exists() and self._has_moved(record):
            return self._path(self._now(record), origin)
        return path

    def _path(self, now: VersionState, origin: str) -> Path:
        kind, _, path = origin.partition("/")
        return artefact_file(self.work, now, path) if kind == "artefact" else directory_of(self.work, now) / origin

    def flavour(self, record: VersionState, *, as_first: bool = False) -> flavours.Flavour:
        """Tell the flavour of a stored artefact by the form of its files; ``as_first``: as the first release did."""
        environment = str(record.environment["path"]) if record.environment is not None else ""
        key = (record.model, record.version, environment, tuple(sorted(record.tags.items())), as_first)
        if key not in self._flavours:
            self._flavours[key] = self._tell(record, environment, as_first=as_first)
        return self._flavours[key]

    def _tell(self, record: VersionState, environment: str, *, as_first: bool) -> flavours.Flavour:
        single = record.data["artefact"]["kind"] == "file"
        heads = {
            one.path: self._head(record, f"artefact/{one.path}") if single or one.path in flavours.LOOKED_AT else b""
            for one in self._content(record).files
        }
        installed = flavours.requirements(self._head(record, environment)) if environment else {}
        told = partial(flavours.tell, heads, tags=record.tags, installed=installed, as_first=as_first)
        if not single:
            return told(file=None)
        with self._opened(record, f"artefact/{next(iter(heads))}") as file:
            return told(file=file)

    def _head(self, record: VersionState, origin: str) -> bytes:
        """Return the beginning of a stored file; raises :class:`ArtefactGone` where it is not there."""
        with self._opened(record, origin) as file:
            return file.read(flavours.HEAD)

    @contextmanager
    def _opened(self, record: VersionState, origin: str) -> Iterator[BinaryIO]:
        """Open a stored file; raises :class:`ArtefactGone` where it is not there."""
        path = self.locate(record, origin)
        now = self._now(record)
        try:
            with os_errors(path), path.open("rb") as file:
                yield file
                return
        except StorageFailed:
            if path.is_file():
                raise
        where = f"{place_of(self.work, now)}/{origin}"
        raise ArtefactGone(f"{where} is missing", location=where, clause="RP-1", hint=f"mreg verify {now.ref}")

    def mlmodel(self, record: VersionState, *, run_id: str, model_id: str, name: str, as_first: bool = False) -> bytes:
        """Return the MLmodel file of ``record``; the ids are those that MLflow chose. ``as_first`` as :meth:`flavour`."""
        return flavours.mlmodel(
            self.flavour(record, as_first=as_first),
            run_id=run_id,
            model_id=model_id,
            created=str(record.value("training_date") or record.registered_at),
            name=name,
            facts={mapping.COMPOSITE_ID: record.composite_id, "blake3": record.blake3, "sha256": record.sha256},
        )

    def total(self) -> int:
        """Return the bytes of all artefacts."""
        return sum(one.data["artefact"]["size"] for one in self.loaded.state.versions.values())
