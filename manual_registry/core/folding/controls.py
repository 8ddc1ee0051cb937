"""Events of requests to leads, delegations, exceptions and recovery."""

from __future__ import annotations

from typing import TYPE_CHECKING

from manual_registry.core.closing import lapses
from manual_registry.core.controls import check_request
from manual_registry.core.folding.marks import touch
from manual_registry.core.records import Closed, ControlRequest, Delegation, GateException

if TYPE_CHECKING:
    from manual_registry.core.ledger import Event
    from manual_registry.core.state import State


def answered(state: State, event: Event) -> None:
    """Close the request that a lead's signature answers."""
    control = event.data["control"]
    found = state.controls.get(control.get("request", ""))
    if found is not None:
        found.status, found.signed_seq, found.signer = "used", event.seq, str(control["signer"])


def requested(state: State, event: Event) -> None:
    """Fold ``control.requested``; what it asks for is read by everybody, so its form is asked here too."""
    check_request(event)
    data = event.data
    name = f"A{event.seq}"
    state.controls[name] = ControlRequest(
        id=name,
        action=data["action"],
        subject=dict(data["subject"]),
        data=dict(data["data"]),
        seq=event.seq,
        at=event.at,
        actor=event.actor,
    )


def issued(state: State, event: Event) -> None:
    """Fold ``control.issued``."""
    found = state.controls.get(event.data["id"]) or state.baselines.get(event.data["id"])
    if found is not None:
        found.issued.append(event.data["statement"])


def rejected(state: State, event: Event) -> None:
    """Fold ``control.rejected``."""
    found = state.controls.get(event.data["id"])
    if found is not None:
        found.status, found.signed_seq, found.comment = "rejected", event.seq, event.data["comment"]
        found.signer = str(event.data["control"]["signer"])


def withdrawn(state: State, event: Event) -> None:
    """Fold ``control.withdrawn``."""
    found = state.controls.get(event.data["id"])
    if found is not None:
        found.status = "withdrawn"


def delegated(state: State, event: Event) -> None:
    """Fold ``roster.delegated``."""
    data = event.data
    answered(state, event)
    name = f"D{event.seq}"
    state.delegations[name] = Delegation(
        id=name,
        delegate=event.subject["approver"],
        models=data["models"],
        from_=data["from"],
        until=data["until"],
        reason=data["reason"],
        seq=event.seq,
        hash=event.hash,
        at=event.at,
        by=str(data["control"]["signer"]),
    )


def exception_granted(state: State, event: Event) -> None:
    """Fold ``exception.granted``."""
    data = event.data
    answered(state, event)
    record = touch(state, event)
    if record is None:
        return
    made = GateException(
        id=f"E{event.seq}",
        model=record.model,
        version=record.version,
        gate=data["gate"],
        report=data["report"],
        severity=data["severity"],
        justification=data["justification"],
        controls=data["controls"],
        expires=data["expires"],
        remediation=data["remediation"],
        remediation_date=data["remediation_date"],
        root_cause=data["root_cause"],
        seq=event.seq,
        hash=event.hash,
        at=event.at,
        by=str(data["control"]["signer"]),
        control=data["control"],
    )
    record.exceptions.append(made)
    state.exceptions[made.id] = made


def closed(state: State, event: Event) -> None:
    """Fold ``registry.closed``: what was asked for and can come to nothing any more lapses."""
    data = event.data
    answered(state, event)
    state.closed = Closed(
        seq=event.seq,
        at=event.at,
        successor=data["successor"],
        reason=data["reason"],
        by=str(data["control"]["signer"]),
    )
    for request in state.requests.values():
        request.status = "lapsed" if lapses(request) else request.status
    for asked in state.controls.values():
        asked.status = "lapsed" if lapses(asked) else asked.status
