"""May this register be closed, and may a closed one still take this event (clause RP-22)?"""

from __future__ import annotations

import shlex
from datetime import timedelta
from typing import Final

from manual_registry.core import closing, controls, ratifying
from manual_registry.core import events as kinds
from manual_registry.core.decide import signing
from manual_registry.core.decide.common import moment_of
from manual_registry.core.errors import (
    AlreadyClosed,
    ApprovalWanted,
    BadValue,
    BaselineUnconfirmed,
    LeadNeeded,
    ReasonMissing,
    RegistryClosed,
    RegistryError,
)
from manual_registry.core.ledger import Event, file_name
from manual_registry.core.records import Closed
from manual_registry.core.references import without_secrets
from manual_registry.core.state import State
from manual_registry.core.stated import nobody_asked, unnamed
from manual_registry.core.times import parse_time
from manual_registry.core.values import free_text, line_text

#: The longest address of a successor, in characters: it stands in one line above every sheet.
LONGEST: Final = 240
#: Schemes that run what follows when somebody opens them: no place where a register goes on.
_RUN: Final = ("javascript:", "vbscript:", "data:")


def refusals(state: State, event: Event) -> list[RegistryError]:
    """Return the refusal of an event that a closed register does not take; asked before the event's own decision."""
    if state.closed is None or event.type == kinds.CLOSED or closing.still_allowed(state, event):
        return []
    return [refusal(state.closed)]


def refuse_closed(state: State) -> None:
    """Raise :class:`RegistryClosed` where the register is closed.

    For commands that copy files, ask for a passphrase or write to another place before their event is decided.
    """
    if state.closed is not None:
        raise refusal(state.closed)


def refusal(closed: Closed) -> RegistryClosed:
    """Say that the register is closed, since when, and where it goes on (or is said to, by a key that was stolen)."""
    told = (
        f"this register was closed on {closed.at[:10]}: nothing new is written here; it goes on at {closed.successor}"
    )
    if closed.doubted_since is not None:
        told = (
            f"this register was closed on {closed.at[:10]} with a key that was compromised since {closed.doubted_since[:10]}:"
            f" nothing new is written here, and that it goes on at {closed.successor} is in doubt; ask its leads, who go"
            " on with init --continues"
        )
    return RegistryClosed(
        told,
        location=f"ledger/{file_name(closed.seq)}",
        clause="RP-22",
        hint="mreg status",
        details={"successor": closed.successor, "closed_at": closed.at},
    )


def closed(state: State, event: Event) -> list[RegistryError]:
    """Decide the end: once, by a lead, with nothing left behind that only an open register can settle."""
    data, ended = event.data, state.closed
    if ended is not None:
        told = f"this register was closed on {ended.at[:10]} already; successor: {ended.successor} ({ended.reason})"
        return [AlreadyClosed(told, location=f"ledger/{file_name(ended.seq)}", clause="RP-22", hint="mreg status")]
    reasons = [*_successor(data["successor"]), *_reason(data["reason"]), *_unsettled(state, event)]
    if not state.has_lead:
        told = "this register has no lead, and only a lead closes it; enrol one first"
        hint = 'mreg approver add "Name <email>" --role ai-governance-lead --public-key KEY.pub --as EMAIL'
        return [*reasons, LeadNeeded(told, clause="RP-14", hint=hint)]
    return [*reasons, *signing.signature(state, event, closing.ACTION, controls.details({}, data))]


def _successor(text: str) -> list[RegistryError]:
    """An address or place in one line that can be read, without credentials: it is shown to everybody."""
    line_text(text, where="successor")
    if not text.strip() or text != text.strip() or len(text) > LONGEST or text.lower().startswith(_RUN):
        told = f"successor: an address or a place in one line, of 1 to {LONGEST} characters"
        return [BadValue(told, location="successor", hint="mreg close --successor https://mlflow.example.org …")]
    if without_secrets(text) != text:
        told = "successor: an address without user, password and what looks like a token or key; everybody reads it"
        return [
            BadValue(told, location="successor", hint=f"mreg close --successor {shlex.quote(without_secrets(text))} …")
        ]
    return []


def _reason(text: str) -> list[RegistryError]:
    free_text(text, where="reason")
    if text.strip():
        return []
    told = "the end of a register needs a reason"
    return [ReasonMissing(told, location="reason", clause="RP-22", hint='add --reason "…"')]


def _unsettled(state: State, event: Event) -> list[RegistryError]:
    """Return what has to be signed first: afterwards nobody could, and `verify` would report it for ever."""
    leads = state.active_leads()
    who = leads[0].email if leads else "EMAIL"
    hours, moment = ratifying.RATIFY_HOURS, moment_of(event)
    reasons: list[RegistryError] = [
        ApprovalWanted(
            f"{one.model}@{one.version}: the rollback of event {one.ratifies} waits for its ratification ({one.id});"
            " a closed register takes none",
            location=one.id,
            clause="RP-10",
            hint=f"mreg approval sign {one.id} --as {who}",
        )
        for one in state.requests.values()
        if one.ratifies is not None
        and one.status == "requested"
        and moment - parse_time(one.at) <= timedelta(hours=hours)
        and ratifying.ended_since(state, one) is None
    ]
    reasons += [
        BaselineUnconfirmed(
            f"{one.id}: no lead has confirmed what {one.source} states; a closed register takes no confirmation",
            location=one.id,
            clause="RP-10",
            hint=f"mreg approval sign {one.id} --as {who}",
        )
        for one in state.baselines.values()
        if one.signed_seq is None
    ]
    return [*reasons, *(nobody_asked(one) for one in unnamed(state))]
