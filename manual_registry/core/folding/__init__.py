"""The fold: what each type of event does to the state; a pure function, no rule is asked here.

``fold(events)`` gives the :class:`State`; ``apply`` takes one event more. Whether an event was allowed is not asked here
(:mod:`manual_registry.core.decide` does, before writing and again in `verify`): applying an event that was illegal never
raises, so that `verify` can go on and tell everything.

Projection law (tests/core/test_state.py): folding only the control events and those that touch one version gives that
version the same record as folding all of them. The index rests on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from manual_registry.core import events as kinds
from manual_registry.core.errors import BadConfig, EventUnreadable
from manual_registry.core.folding import approvals, controls, drilling, exports, roster, stages, versions
from manual_registry.core.ledger import Event
from manual_registry.core.state import State

#: Type of event -> what it does.
EFFECTS: Final[dict[str, Callable[[State, Event], None]]] = {
    kinds.CREATED: roster.created,
    kinds.REGISTERED: versions.registered,
    kinds.ADOPTED: versions.registered,
    kinds.TAKEN_IN: versions.taken_in,
    kinds.BASELINE_OPENED: roster.baseline_opened,
    kinds.BASELINE_SIGNED: roster.baseline_signed,
    kinds.ATTACHED: versions.attached,
    kinds.PROMOTED: stages.promoted,
    kinds.ROLLED_BACK: stages.rolled_back,
    kinds.ARCHIVED: stages.archived,
    kinds.MOVED: stages.moved,
    kinds.UNARCHIVED: stages.unarchived,
    kinds.DEPLOYED: stages.deployed,
    kinds.DEPLOYMENT_ENDED: stages.deployment_ended,
    kinds.ALIAS_SET: versions.alias_set,
    kinds.ALIAS_REMOVED: versions.alias_removed,
    kinds.TAGGED: versions.tagged,
    kinds.NOTED: versions.noted,
    kinds.EDITED: versions.edited,
    kinds.FILLED: approvals.filled,
    kinds.REQUESTED: approvals.requested,
    kinds.ISSUED: approvals.issued,
    kinds.SIGNED: approvals.signed,
    kinds.WITHDRAWN: approvals.withdrawn,
    kinds.APPROVER_ADDED: roster.approver_added,
    kinds.APPROVER_REVOKED: roster.approver_revoked,
    kinds.PIPELINE_ADDED: roster.pipeline_added,
    kinds.PIPELINE_REVOKED: roster.pipeline_revoked,
    kinds.POLICY_SIGNED: roster.policy_signed,
    kinds.DELEGATED: controls.delegated,
    kinds.RECOVERED: roster.recovered,
    kinds.EXCEPTION_GRANTED: controls.exception_granted,
    kinds.CLOSED: controls.closed,
    kinds.CONTROL_REQUESTED: controls.requested,
    kinds.CONTROL_ISSUED: controls.issued,
    kinds.CONTROL_REJECTED: controls.rejected,
    kinds.CONTROL_WITHDRAWN: controls.withdrawn,
    kinds.VERIFIED: versions.recorded,
    kinds.RESTORED: versions.restored,
    kinds.EXPORTED: exports.recorded,
    kinds.DRILLED: drilling.drilled,
    kinds.ANCHORED: versions.anchored,
}


def apply(state: State, event: Event) -> None:
    """Take one event more.

    Raises :class:`FormatTooNew` for what this tool does not know, :class:`EventUnreadable` for malformed data.
    """
    kinds.check_known(event)
    state.pass_over(event)
    try:
        EFFECTS[event.type](state, event)
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError, BadConfig) as problem:
        raise EventUnreadable(
            f"event {event.seq} ({event.type}) does not hold together: {problem}",
            location=f"ledger/{event.seq:012d}.json",
        ) from None


def fold(events: Iterable[Event]) -> State:
    """Return the state after ``events``, in order."""
    state = State()
    for event in events:
        apply(state, event)
    return state
