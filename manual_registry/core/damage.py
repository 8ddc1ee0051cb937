"""A damaged ledger, read as far as it goes: what of a version still stands, and which links rest on the damage.

Rules held here: an event that cannot be read is left out, one that changes who may do what counts only where a lead
signed it; the rest is folded as it stands. A registration that is whole stands, whatever came after it; whatever may
have been changed since (deployment, gates, approval, history) rests on every event after it, and so on the damaged one.
No writer works on such a state.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from manual_registry.core import events as kinds
from manual_registry.core.decide import decide
from manual_registry.core.errors import EventMissing, EventUnreadable
from manual_registry.core.folding import apply
from manual_registry.core.ledger import Event, parse_event
from manual_registry.core.links import LINK_KINDS
from manual_registry.core.results import Finding, Severity
from manual_registry.core.state import State, VersionState

_PLACE = re.compile(r"ledger/0*([0-9]+)\.json")
#: What later events may change; the rest is fixed by the registration, or by what `attach` added.
_LATER = ("deployment", "gates", "approval", "history")
_ATTACHED = ("pipeline", "environment", "evaluation", "gates")


@dataclass(frozen=True, kw_only=True, slots=True)
class Damage:
    """What `verify` would report of the ledger: ``findings``, errors all, and the numbers of the events they are at."""

    findings: tuple[Finding, ...]
    seqs: frozenset[int]


def damage_of(findings: Iterable[Finding]) -> Damage:
    """Keep the errors of the ledger."""
    errors = tuple(one for one in findings if one.severity is Severity.ERROR)
    places = [_PLACE.fullmatch(one.location) for one in errors]
    return Damage(findings=errors, seqs=frozenset(int(place[1]) for place in places if place))


def fold_what_stands(names: Sequence[str], read: Callable[[str], bytes]) -> State:
    """Fold the event files ``names`` (sorted), leaving out what cannot be read.

    Raises :class:`FormatTooNew` for events of a newer tool.
    """
    state = State()
    for name in names:
        try:
            event = parse_event(read(name), location=f"ledger/{name}")
            kinds.check_shape(event)
            _take(state, event)
        except (EventMissing, EventUnreadable):
            continue
    return state


def _take(state: State, event: Event) -> None:
    if event.type in kinds.CONTROL_TYPES:
        # The chain may have a hole here: what was signed says where it belongs.
        state.head_seq, state.head_hash, state.head_at = event.seq - 1, event.prev, ""
        if decide(state, event):
            state.pass_over(event)
            return
    apply(state, event)


def resting(record: VersionState, damage: Damage) -> dict[str, str]:
    """Return kind of link -> what it rests on, for each link that rests on a damaged event; history always does."""
    first = damage.findings[0]
    told = {"history": f"the ledger is damaged: {first.message} ({first.code})"}
    for seq in sorted(damage.seqs):
        sentence = f"it rests on event {seq}, which is damaged"
        for kind in _touched(record, seq):
            told.setdefault(kind, sentence)
    return told


def _touched(record: VersionState, seq: int) -> tuple[str, ...]:
    if seq == record.seq:
        return LINK_KINDS
    later = _LATER if seq > record.seq else ("gates", "approval", "history")  # roster and policy came before
    return (*later, *_ATTACHED) if seq in record.event_seqs else later
