"""The register's side of a handover: what a version is in MLflow by the ledger as it is now, and as it was then.

Rules held here: everything follows from the ledger and the stored files; where a version's files lie is asked of the
ledger as it is now, since they may have moved since.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from manual_registry.adapters.files import os_errors
from manual_registry.core.handover import flavours, mapping
from manual_registry.core.trusted import trusted_fold
from manual_registry.registry.looking import artefact_file, directory_of, recorded_content, require_unchanged

if TYPE_CHECKING:
    from manual_registry.core.handover.entities import VersionEntities
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
        content = recorded_content(self.work, self.loaded.state.versions[record.model, record.version])
        return mapping.version_entities(state, record, events=self.loaded.events, content=content)

    def require_unchanged(self, record: VersionState) -> None:
        """Hash the artefact before it is uploaded; raises the finding."""
        require_unchanged(self.work, record)

    def exported_through(self, tags: Mapping[str, str]) -> State | None:
        """Return the state at the event through which something was exported, as its tag says; None: it says none."""
        text = str(tags.get(mapping.THROUGH, ""))
        seq = int(text) if text.isdecimal() and len(text) < 12 else 0
        if not 0 < seq <= self.loaded.head[0]:
            return None
        return self._at(seq)

    def _at(self, seq: int) -> State:
        if seq == self.loaded.head[0]:
            return self.loaded.state
        if seq not in self._states:
            self._states[seq] = trusted_fold(self.loaded.events[:seq])
        return self._states[seq]

    def locate(self, record: VersionState, origin: str) -> Path:
        """Return where a file of the version lies: ``artefact/…`` perhaps where it was adopted, ``evidence/…``."""
        now = self.loaded.state.versions[record.model, record.version]
        kind, _, path = origin.partition("/")
        return artefact_file(self.work, now, path) if kind == "artefact" else directory_of(self.work, now) / origin

    def flavour(self, record: VersionState) -> flavours.Flavour:
        """Tell the flavour of a stored artefact by the beginnings of its files."""
        single = record.data["artefact"]["kind"] == "file"
        content = recorded_content(self.work, self.loaded.state.versions[record.model, record.version])
        with os_errors(directory_of(self.work, record)):
            heads = {
                one.path: _head(self.locate(record, f"artefact/{one.path}"))
                if single or one.path == "config.json"
                else b""
                for one in content.files
            }
            installed = {}
            if record.environment is not None:
                installed = flavours.requirements(_head(self.locate(record, str(record.environment["path"]))))
        return flavours.tell(heads, single=single, tags=record.tags, installed=installed)

    def mlmodel(self, record: VersionState, *, run_id: str, model_id: str, name: str) -> bytes:
        """Return the MLmodel file of ``record``; the ids are those that MLflow chose."""
        return flavours.mlmodel(
            self.flavour(record),
            run_id=run_id,
            model_id=model_id,
            created=str(record.value("training_date") or record.registered_at),
            name=name,
            facts={mapping.COMPOSITE_ID: record.composite_id, "blake3": record.blake3, "sha256": record.sha256},
        )

    def total(self) -> int:
        """Return the bytes of all artefacts."""
        return sum(one.data["artefact"]["size"] for one in self.loaded.state.versions.values())


def _head(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(flavours.HEAD)
