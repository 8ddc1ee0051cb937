"""Events of stage approvals: requested, issued, filled in, signed, withdrawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from manual_registry.core.folding.marks import open_request, touch

if TYPE_CHECKING:
    from manual_registry.core.ledger import Event
    from manual_registry.core.state import State


def requested(state: State, event: Event) -> None:
    """Fold ``approval.requested``."""
    record = touch(state, event)
    if record is not None:
        data = event.data
        open_request(state, event, record, kind=data["kind"], before=data["from"], to=data["to"])


def issued(state: State, event: Event) -> None:
    """Fold ``approval.issued``."""
    touch(state, event)
    request = state.requests.get(event.data["id"])
    if request is not None:
        request.issued.append(event.data["statement"])


def signed(state: State, event: Event) -> None:
    """Fold ``approval.signed``."""
    touch(state, event)
    request = state.requests.get(event.data["id"])
    if request is None:
        return
    request.statement, request.signature = event.data["statement"], event.data["signature"]
    request.signed_seq = event.seq
    if '"decision":"rejected"' in request.statement:
        request.status = "rejected"
    elif request.ratifies is not None:
        request.status, request.used_seq = "used", request.ratifies
    else:
        request.status = "signed"


def filled(state: State, event: Event) -> None:
    """Fold ``approval.filled``; an empty entry takes back what was filled in."""
    touch(state, event)
    request = state.requests.get(event.data["id"])
    if request is not None:
        entry = {name: event.data[name] for name in ("decision", "approver", "date", "comment")}
        request.filled = entry if any(entry.values()) else None


def withdrawn(state: State, event: Event) -> None:
    """Fold ``approval.withdrawn``."""
    touch(state, event)
    request = state.requests.get(event.data["id"])
    if request is not None:
        request.status = "withdrawn"
