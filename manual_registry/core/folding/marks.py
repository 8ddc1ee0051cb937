"""What several kinds of event do to a version: touch it, move it, close its approvals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from manual_registry.core.records import Request, Step, VersionState
from manual_registry.core.values import Stage

if TYPE_CHECKING:
    from manual_registry.core.ledger import Event
    from manual_registry.core.state import State


def touch(state: State, event: Event, version: str | None = None) -> VersionState | None:
    """Return the version that ``event`` is about (or ``version`` of its model) and mark it; None: unknown."""
    found = state.versions.get((event.subject.get("model", ""), version or event.subject.get("version", "")))
    if found is not None:
        found.event_seqs.append(event.seq)
    return found


def lapse(state: State, record: VersionState) -> None:
    """Close what was open for ``record``: its content or its stage has changed since."""
    for request in map(state.requests.__getitem__, record.requests):
        if request.status in ("requested", "signed") and request.ratifies is None:
            request.status = "lapsed"


def enter(state: State, record: VersionState, event: Event, stage: str, *, approval: str | None = None) -> None:
    """Move ``record`` into ``stage``; at most one version of a model is in production."""
    record.stage = stage
    promotion = event.data.get("promotion")
    record.steps.append(
        Step(
            stage=stage,
            seq=event.seq,
            at=event.at,
            actor=event.actor,
            reason=event.data.get("reason"),
            approval=approval,
            pipeline=promotion.get("pipeline") if promotion else None,
        )
    )
    model = state.models[record.model]
    if stage == Stage.PRODUCTION.value:
        model.production, record.was_production = record.version, True
    elif model.production == record.version:
        model.production = None
    if stage == Stage.ARCHIVED.value:
        record.archived_seq, record.bag = event.seq, None
    lapse(state, record)


def open_request(
    state: State, event: Event, record: VersionState, *, kind: str, before: str, to: str, ratifies: int | None = None
) -> None:
    """Open an approval request for ``record``; its id is ``A<seq>``."""
    request = Request(
        id=f"A{event.seq}",
        kind=kind,
        model=record.model,
        version=record.version,
        from_stage=before,
        to=to,
        replaces=event.data["replaces"],
        seq=event.seq,
        at=event.at,
        actor=event.actor,
        ratifies=ratifies,
    )
    state.requests[request.id] = request
    record.requests.append(request.id)
