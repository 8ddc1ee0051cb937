"""What every way of taking another register in has in common (`adopt`, `import mlflow`): the event, and the baseline.

Rules held here: an entry is decided before anything costly is done for it and again when it is written; its files are in
place before the event names them; one request for each source lets a lead confirm all of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from manual_registry.core import events as kinds
from manual_registry.core.errors import RegistryError
from manual_registry.core.ledger import Draft
from manual_registry.core.stated import unnamed
from manual_registry.registry.registering import record_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from manual_registry.adapters.staging import Staged
    from manual_registry.core.state import VersionState
    from manual_registry.registry.workspace import Build, Loaded, Workspace


def draft_of(model: str, version: str, data: Mapping[str, Any]) -> Draft:
    """Return the event of a baseline entry."""
    return Draft(type=kinds.ADOPTED, subject={"model": model, "version": version}, data=data)


def enter(work: Workspace, loaded: Loaded, draft: Draft, staged: Staged) -> VersionState:
    """Place a staged version and write its event; what is refused is discarded."""
    model, version = str(draft.subject["model"]), str(draft.subject["version"])
    staged.write("record.json", record_bytes(loaded.state.registry_id, model, version, draft.data))
    staged.place(model, version, facts={"blake3": staged.content.blake3})
    try:
        work.append(loaded, always(draft))
    except RegistryError:
        staged.discard()
        raise
    staged.finish()
    return loaded.state.versions[model, version]


def open_baselines(work: Workspace, loaded: Loaded) -> list[str]:
    """Ask a lead to confirm every adopted version that no request names yet, one for each source; returns their ids."""
    waiting: dict[tuple[str, str], list[VersionState]] = {}
    for record in unnamed(loaded.state):
        if record.adopted:
            waiting.setdefault((record.adopted["source"], record.adopted["sha256"]), []).append(record)
    ids = []
    for (source, sha256), records in waiting.items():
        versions = [
            {"model": one.model, "version": one.version, "blake3": one.blake3, "stage": one.adopted["stage"]}
            for one in records
            if one.adopted
        ]
        draft = Draft(
            type=kinds.BASELINE_OPENED,
            subject={},
            data={"source": source, "sha256": sha256, "versions": versions},
        )
        event = work.append(loaded, always(draft))
        ids.append(f"A{event.seq}")
    return ids


def always(draft: Draft) -> Build:
    """Build the same event whatever the state has become; it is decided anew."""
    return lambda _state, _at: draft
