"""Half-made things of killed processes: finished when an event names them, discarded when none does (clause RP-3).

Every writing command begins with this, under the write lock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from manual_registry.adapters.files import os_errors
from manual_registry.adapters.machines import locks_are_shared
from manual_registry.core.errors import RegistryError
from manual_registry.core.state import State

if TYPE_CHECKING:
    from manual_registry.adapters.incoming import Job
    from manual_registry.registry.workspace import Loaded, Workspace


def recover(work: Workspace, loaded: Loaded) -> None:
    """Finish or discard every dead job, then end archive moves whose event stands."""
    if locks_are_shared(work.root):  # else a writer on another machine may be about to use them
        work.ledger.discard_temporaries()
        _discard_view_temporaries(work)
    for job in work.storage.stale_jobs():
        if job.intent is not None and _event_stands(loaded.state, job):
            work.storage.finish(job)
        else:
            work.storage.discard(job)
            if job.intent is not None:
                work.warn(f"an interrupted {job.intent.kind} of {job.intent.model}@{job.intent.version} was undone")
    end_moves(work, loaded)


def _discard_view_temporaries(work: Workspace) -> None:
    from manual_registry.adapters import remover

    approvals = work.root / "approvals"
    with os_errors(work.root):
        for folder in (
            work.root,
            work.root / "adopted",
            approvals,
            *(path for path in approvals.rglob("*") if path.is_dir()),
        ):
            remover.discard_temporaries(folder)


def _event_stands(state: State, job: Job) -> bool:
    intent = job.intent
    if intent is None:
        return False
    record = state.version(intent.model, intent.version)
    if record is None:
        return False
    match intent.kind:
        case "register":
            return record.blake3 == intent.facts.get("blake3")
        case "take-in":
            return record.location is None
        case "unarchive":
            return record.bag is None
        case "archive":
            return any(bag["bag"] == intent.target for bag in record.bags)
        case "attach":
            known = {item["path"] for item in record.evidence}
            return set(intent.evidence) <= known
    return False


def end_moves(work: Workspace, loaded: Loaded) -> None:
    """Remove working copies whose bag the ledger names; a copy that differs from its bag stays and is told."""
    busy = {(one.model, one.version) for one in work.storage.jobs_elsewhere()}
    for record in loaded.state.versions.values():
        if (record.model, record.version) in busy:
            continue
        if record.bag is None or not work.storage.version_dir(record.model, record.version).is_dir():
            continue
        try:
            work.storage.remove_working_copy(record.model, record.version, len(record.bags))
        except RegistryError as problem:
            work.warn(f"{record.ref}: the working copy stays: {problem.message}")
