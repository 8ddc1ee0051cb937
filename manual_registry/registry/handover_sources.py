"""The register's side of a handover: what a version is in MLflow by the ledger as it is now, and as it was then.

Rules held here: everything follows from the ledger and the stored files; where a version's files lie is asked of the
ledger as it is now, since they may have moved since.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from manual_registry.adapters.files import os_errors
from manual_registry.core.errors import ArtefactChanged, ArtefactGone, InvalidInput, StorageFailed
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


@dataclass(slots=True)
class Sources:
    """Where a handover takes everything from."""

    work: Workspace
    loaded: Loaded
    _states: dict[int, State] = field(default_factory=dict)

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
        now = self._now(record)
        try:
            return recorded_content(self.work, now)
        except InvalidInput as problem:
            where = f"{place_of(self.work, now)}/B3SUMS"
            told = f"{where}: B3SUMS or SHA256SUMS is not as registered: {problem.message}"
            raise ArtefactChanged(told, location=where, clause="RP-1", hint=f"mreg verify {now.ref}") from None

    def _now(self, record: VersionState) -> VersionState:
        """Return the record as it is now: its files may have moved since."""
        return self.loaded.state.versions[record.model, record.version]

    def require_unchanged(self, record: VersionState) -> None:
        """Hash the artefact before it is uploaded; raises the finding."""
        require_unchanged(self.work, self._now(record))

    def require_evidence(self, record: VersionState) -> None:
        """Hash the evidence files before they are uploaded; raises the first finding."""
        for problem in evidence_problems(self.work, self._now(record)):
            raise problem

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
        now = self._now(record)
        kind, _, path = origin.partition("/")
        return artefact_file(self.work, now, path) if kind == "artefact" else directory_of(self.work, now) / origin

    def flavour(self, record: VersionState, *, as_first: bool = False) -> flavours.Flavour:
        """Tell the flavour of a stored artefact by the beginnings of its files; ``as_first``: as the first release did."""
        single = record.data["artefact"]["kind"] == "file"
        heads = {
            one.path: self._head(record, f"artefact/{one.path}") if single or one.path == "config.json" else b""
            for one in self._content(record).files
        }
        installed = {}
        if record.environment is not None:
            installed = flavours.requirements(self._head(record, str(record.environment["path"])))
        return flavours.tell(heads, single=single, tags=record.tags, installed=installed, as_first=as_first)

    def _head(self, record: VersionState, origin: str) -> bytes:
        """Return the beginning of a stored file; raises :class:`ArtefactGone` where it is not there."""
        path, now = self.locate(record, origin), self._now(record)
        try:
            with os_errors(path), path.open("rb") as stream:
                return stream.read(flavours.HEAD)
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
