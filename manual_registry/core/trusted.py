"""The fold that commands rest on: no roster, pipeline or policy counts that no lead has signed (clause RP-14).

Rules held here: every event that changes who may do what is decided again while the ledger is loaded, so that an event
put into the folder by hand stops every command, not `verify` alone; before a person or pipeline signs for a version,
everything that the ledger says of its model is decided again. The rest is :mod:`manual_registry.core.audit`'s.
"""

from __future__ import annotations

from collections.abc import Iterable

from manual_registry.core.decide import decide
from manual_registry.core.errors import (
    EventIllegal,
    FormatTooNew,
    HeadUnknown,
    RegistryError,
    SignatureFinding,
    SignatureStranger,
    Unavailable,
)
from manual_registry.core.events import CONTROL_TYPES
from manual_registry.core.folding import apply
from manual_registry.core.ledger import Event, file_name
from manual_registry.core.state import State


def trusted_fold(events: Iterable[Event]) -> State:
    """Fold ``events``: a whole chain that was checked, or the control events and those of some versions, in order.

    Raises :class:`EventIllegal` at the first change of roster, pipelines or policy that was not allowed there, and what
    :meth:`State.apply` raises.
    """
    state = State()
    for event in events:
        if event.type in CONTROL_TYPES:
            # In a partial fold the event before is another one: what was signed says where it belongs.
            state.head_seq, state.head_hash, state.head_at = event.seq - 1, event.prev, ""
            _refuse(state, event)
        apply(state, event)
    return state


def refuse_forged(events: Iterable[Event], model: str) -> None:
    """Decide again, each at its place, all ``events`` about ``model``; raises :class:`EventIllegal` at the first."""
    state = State()
    for event in events:
        if event.subject.get("model") == model:
            _refuse(state, event)
        apply(state, event)


def _refuse(state: State, event: Event) -> None:
    reasons = decide(state, event)
    newer = next((reason for reason in reasons if isinstance(reason, FormatTooNew)), None)
    if newer is not None:
        raise newer
    if reasons:
        raise forged(event, reasons[0], f"ledger/{file_name(event.seq)}")


def forged(event: Event, reason: RegistryError, location: str) -> RegistryError:
    """Say what the reason against an event that stands amounts to: a bad signature, a stranger's, a lost head, ..."""
    if isinstance(reason, Unavailable):  # the event is not at fault: this machine cannot judge it
        told = f"{location}: {event.type} cannot be judged here: {reason.message}"
        return type(reason)(told, location=location, hint=reason.hint)
    told = f"{location}: {event.type} was not allowed there: {reason.message} ({reason.code})"
    names: dict[str, type[RegistryError]] = {"broken": SignatureFinding, "stranger": SignatureStranger}
    kind = names.get(str(reason.details.get("signature")), EventIllegal)
    if "head" in reason.details:
        kind = HeadUnknown
    if reason.code.startswith("MR-S"):
        kind, told = type(reason), reason.message
    return kind(told, location=location, clause=reason.clause, hint="mreg verify")
