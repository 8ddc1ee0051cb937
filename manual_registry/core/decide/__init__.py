"""Every event is decided here: on the state at ``prev``, before it is written, after a lost race, and by `verify`.

``decide(state, event)`` returns every reason against ``event`` as the next one after ``state``; an empty list means
that it may stand. It looks at nothing but its arguments: what was seen outside (the artefact hashed again, the commit
looked up) stands in the event as an observation.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from manual_registry.core import events as kinds
from manual_registry.core.approvals import CLOCK_SLACK
from manual_registry.core.decide import (
    anchoring,
    approvals,
    baselines,
    closing,
    control,
    delegating,
    drilling,
    exports,
    places,
    registration,
    remarks,
    requests,
    stages,
)
from manual_registry.core.errors import (
    BadEmail,
    BadTime,
    ChainBroken,
    ClockRefused,
    EventUnreadable,
    RegistryError,
)
from manual_registry.core.ledger import Event
from manual_registry.core.state import State
from manual_registry.core.times import parse_time, stamp
from manual_registry.core.values import email

Decision = Callable[[State, Event], list[RegistryError]]

_DECISIONS: dict[str, Decision] = {
    kinds.CREATED: control.created,
    kinds.APPROVER_ADDED: control.approver_added,
    kinds.APPROVER_REVOKED: control.approver_revoked,
    kinds.PIPELINE_ADDED: control.pipeline_added,
    kinds.PIPELINE_REVOKED: control.pipeline_revoked,
    kinds.POLICY_SIGNED: control.policy_signed,
    kinds.DELEGATED: delegating.delegated,
    kinds.RECOVERED: delegating.recovered,
    kinds.EXCEPTION_GRANTED: delegating.exception_granted,
    kinds.CLOSED: closing.closed,
    kinds.CONTROL_REQUESTED: requests.requested,
    kinds.CONTROL_ISSUED: requests.issued,
    kinds.CONTROL_REJECTED: requests.rejected,
    kinds.CONTROL_WITHDRAWN: requests.withdrawn,
    kinds.REGISTERED: registration.registered,
    kinds.ADOPTED: registration.adopted,
    kinds.TAKEN_IN: baselines.taken_in,
    kinds.BASELINE_OPENED: registration.baseline_opened,
    kinds.BASELINE_SIGNED: control.baseline_signed,
    kinds.ATTACHED: registration.attached,
    kinds.PROMOTED: stages.promoted,
    kinds.ROLLED_BACK: stages.rolled_back,
    kinds.ARCHIVED: places.archived,
    kinds.MOVED: places.moved,
    kinds.UNARCHIVED: places.unarchived,
    kinds.DEPLOYED: remarks.deployed,
    kinds.DEPLOYMENT_ENDED: remarks.deployment_ended,
    kinds.ALIAS_SET: remarks.alias_set,
    kinds.ALIAS_REMOVED: remarks.alias_removed,
    kinds.TAGGED: remarks.tagged,
    kinds.NOTED: remarks.noted,
    kinds.VERIFIED: remarks.recorded,
    kinds.RESTORED: remarks.restored,
    kinds.EXPORTED: exports.recorded,
    kinds.DRILLED: drilling.drilled,
    kinds.ANCHORED: anchoring.anchored,
    kinds.EDITED: remarks.edited,
    kinds.FILLED: approvals.filled,
    kinds.REQUESTED: approvals.requested,
    kinds.ISSUED: approvals.issued,
    kinds.SIGNED: approvals.signed,
    kinds.WITHDRAWN: approvals.withdrawn,
}


def decide(state: State, event: Event) -> list[RegistryError]:
    """Return every reason against ``event`` as the next one after ``state``."""
    try:
        kinds.check_shape(event)
        reasons = _form(state, event) or closing.refusals(state, event)
        if reasons:
            return reasons
        return [*_clock(state, event), *_DECISIONS[event.type](state, event)]
    except RegistryError as problem:  # a validator of core.values refused a member
        return list(problem.reasons)
    except (KeyError, TypeError, AttributeError, ValueError, IndexError, OverflowError, RecursionError) as problem:
        # Only a hand-made event gets here: its inner members are not what a writer of ours puts there.
        return [EventUnreadable(f"event {event.seq} ({event.type}) does not hold together: {problem}")]


def _form(state: State, event: Event) -> list[RegistryError]:
    if event.seq != state.head_seq + 1 or event.prev != state.head_hash:
        return [ChainBroken(f"event {event.seq} does not follow event {state.head_seq}", clause="RP-13")]
    if (event.type == kinds.CREATED) != (event.seq == 1):
        return [EventUnreadable("a ledger begins with registry.created and holds it once")]
    try:
        if stamp(parse_time(event.at)) != event.at:
            return [EventUnreadable(f"event {event.seq}: at is not UTC with milliseconds and Z")]
        if email(event.actor) != event.actor:
            return [BadEmail(f"event {event.seq}: the actor is not in lower case")]
    except (BadTime, BadEmail) as problem:
        return [problem]
    return []


def clock_warning(state: State, at: str) -> str | None:
    """Return a sentence when ``at`` stands before the last event (clause RP-19)."""
    if state.head_at and at < state.head_at:
        return f"this machine's clock ({at}) stands before the ledger's last event ({state.head_at})"
    return None


def _clock(state: State, event: Event) -> list[RegistryError]:
    if event.type not in kinds.GOVERNED_TYPES or not state.head_at:
        return []
    behind: timedelta = parse_time(state.head_at) - parse_time(event.at)
    if behind <= CLOCK_SLACK:
        return []
    return [
        ClockRefused(
            f"the clock says {event.at}, but the ledger's last event is from {state.head_at}; set the clock right",
            clause="RP-19",
        )
    ]
