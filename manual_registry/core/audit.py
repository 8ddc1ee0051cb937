"""`verify`, the part that needs the ledger alone: the chain, every decision again, signatures, anchors, deadlines.

Numbered steps, each with its clause:

1. Files: names without gap, nothing doubled, canonical bytes (RP-13).
2. Chain: each ``prev`` is the hash of the file before (RP-13).
3. Decisions: each event was allowed on the state at its own position, signatures included (RP-9 to RP-14).
4. Anchors: every head that a signed statement, the workbook, this machine or a person names is in the chain (RP-13).
5. Deadlines: rollbacks ratified, moves done (RP-7, RP-10).

All findings are told, each at its place; nothing is written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from manual_registry.core import approvals, ratifying, stated
from manual_registry.core import events as kinds
from manual_registry.core.decide import decide
from manual_registry.core.errors import (
    ApprovalUnknown,
    ApprovalWanted,
    BadTime,
    ChainBroken,
    ClockBackwards,
    EventMissing,
    EventUnreadable,
    FormatTooNew,
    HeadUnknown,
    IdentityTaken,
    InvalidInput,
    KeyTaken,
    RegistryError,
)
from manual_registry.core.folding import apply
from manual_registry.core.ledger import Event, file_name, is_canonical, parse_event
from manual_registry.core.results import Finding, Severity
from manual_registry.core.state import State
from manual_registry.core.times import parse_time, stamp
from manual_registry.core.trusted import forged
from manual_registry.core.values import Stage


def finding(error: RegistryError, *, severity: Severity = Severity.ERROR, location: str | None = None) -> Finding:
    """Turn an error into a finding at ``location`` (else at its own)."""
    return Finding(
        code=error.code,
        severity=severity,
        location=location or error.location or "registry",
        message=error.message,
        clause=error.clause,
        hint=None if error.hint in (None, "mreg verify") else error.hint,
    )


@dataclass(kw_only=True, slots=True)
class Audit:
    """The outcome: the fold as far as it could be taken, the events that were read, and the findings.

    ``shift``: by how much file names and numbers differ; ``strays``: events whose signed statement names a lost head;
    ``forged``: whom the ledger enrols though no lead did.
    """

    state: State = field(default_factory=State)
    events: list[Event] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    decided: int = 0
    whole: bool = True
    too_new: FormatTooNew | None = None
    shift: int = 0
    strays: list[int] = field(default_factory=list)
    forged: set[str] = field(default_factory=set)


#: One changed event makes all later statements name heads that are no more: told once, with so many of their numbers.
_SHOWN_STRAYS = 10


def audit_ledger(
    names: Sequence[str], read: Callable[[str], bytes], *, judge: Callable[[State, Event], list[RegistryError]] = decide
) -> Audit:
    """Take steps 1 to 3 over the event files ``names`` (sorted).

    After a gap, an unreadable or a newer event the chain is still checked, but decisions are not repeated: on a state
    with a hole every one of them would look wrong.
    """
    audit = Audit()
    previous: Event | None = None
    expected = 1
    for name in names:
        location = f"ledger/{name}"
        number = int(name.removesuffix(".json"))
        if number != expected:
            _gap(audit, expected, number, location)
            previous = None
        expected = number + 1
        try:
            event = parse_event(read(name), location=location)
        except (EventUnreadable, EventMissing, FormatTooNew) as problem:
            _stop(audit, problem, location)
            previous = None
            continue
        _check(audit, event, number, previous, location)
        _decide(audit, event, location, judge)
        previous = event
    _tell_strays(audit)
    return audit


def _gap(audit: Audit, first: int, found: int, location: str) -> None:
    audit.whole = False
    if found < first:
        audit.findings.append(finding(EventMissing(f"{location} cannot be: events count from 1", location=location)))
    for number in range(first, min(found, first + 10)):
        missing = EventMissing(f"event {number} is missing", location=f"ledger/{file_name(number)}", clause="RP-13")
        audit.findings.append(finding(missing))


def _stop(audit: Audit, problem: RegistryError, location: str) -> None:
    audit.whole = False
    audit.findings.append(finding(problem, location=location))
    if isinstance(problem, FormatTooNew):
        audit.too_new = problem


def _check(audit: Audit, event: Event, number: int, previous: Event | None, location: str) -> None:
    shift, audit.shift = audit.shift, number - event.seq
    if audit.shift not in (0, shift):  # one file put in between renumbers all that follow: told once
        audit.findings.append(
            finding(EventMissing(f"{location} says that it is event {event.seq}", location=location, clause="RP-13"))
        )
    if not is_canonical(event):
        audit.findings.append(
            finding(EventUnreadable(f"{location} is not in canonical form", location=location, clause="RP-13"))
        )
    if previous is not None and event.prev != previous.hash:
        before = f"ledger/{file_name(number - 1)}"
        audit.state.hashes[previous.seq] = event.prev or ""  # as it was when it was signed: no second finding
        broken = ChainBroken(
            f"{location} was written after another {before}: that file was changed, inserted or replaced",
            location=before,
            clause="RP-13",
        )
        audit.findings.append(finding(broken))
    if number == 1 and event.prev is not None:
        audit.findings.append(
            finding(ChainBroken("the first event has something before it", location=location, clause="RP-13"))
        )


def _decide(audit: Audit, event: Event, location: str, judge: Callable[[State, Event], list[RegistryError]]) -> None:
    if not audit.whole:
        return
    state = audit.state
    # A broken link was told already; the decision is repeated as if it were whole.
    state.head_hash, state.head_seq = event.prev, event.seq - 1
    try:
        kinds.check_shape(event)
    except (FormatTooNew, EventUnreadable) as problem:
        _stop(audit, problem, location)
        return
    reasons = judge(state, event)
    audit.decided += 1
    for reason in reasons:
        if isinstance(reason, FormatTooNew):
            _stop(audit, reason, location)
            return
    stray = bool(reasons) and all("head" in reason.details for reason in reasons)
    if stray:
        audit.strays.append(event.seq)
        reasons = reasons[:1] if len(audit.strays) == 1 else []
    audit.findings += [finding(forged(event, reason, location)) for reason in reasons]
    if not stray and not _effective(audit.state, event, reasons):
        state.pass_over(event)
        audit.events.append(event)
        return
    if reasons and not stray and event.type in _ADDS:
        audit.forged.update(str(name) for name in event.subject.values())
    if state.head_at and event.at < state.head_at:
        back = ClockBackwards(
            f"{location} is dated {event.at}, before the event that it follows ({state.head_at})", clause="RP-19"
        )
        audit.findings.append(finding(back, severity=Severity.WARNING, location=location))
    try:
        apply(state, event)
        audit.events.append(event)
    except (FormatTooNew, EventUnreadable) as problem:
        _stop(audit, problem, location)


_TAKES_AWAY = frozenset({kinds.APPROVER_REVOKED, kinds.PIPELINE_REVOKED, kinds.POLICY_SIGNED, kinds.CLOSED})
_ADDS = frozenset({kinds.APPROVER_ADDED, kinds.RECOVERED, kinds.PIPELINE_ADDED})
_SPOILS = (KeyTaken, IdentityTaken, InvalidInput)


def _effective(state: State, event: Event, reasons: list[RegistryError]) -> bool:
    """Tell whether an event is folded though it was not allowed.

    Mostly yes: what rests on it would else be found as well, once for each event. A revocation, policy or closing that no
    lead signed takes nothing away, and an enrolment that takes another one's place, or has no usable key, adds nothing.
    """
    if event.type in _TAKES_AWAY:
        return not reasons
    if event.type not in _ADDS or not reasons:
        return True
    taken = {*state.approvers} if event.type != kinds.PIPELINE_ADDED else {*state.pipelines}
    return taken.isdisjoint(map(str, event.subject.values())) and not any(isinstance(one, _SPOILS) for one in reasons)


def _tell_strays(audit: Audit) -> None:
    later = audit.strays[1:]
    if not later:
        return
    place = f"ledger/{file_name(audit.strays[0])}"
    told = ", ".join(map(str, later[:_SHOWN_STRAYS])) + (", …" if len(later) > _SHOWN_STRAYS else "")
    for index, one in enumerate(audit.findings):
        if one.location == place and one.code == HeadUnknown.code:
            more = f"{one.message}; so are {len(later)} later ones (events {told})"
            audit.findings[index] = replace(one, message=more)
            return


def check_head(audit: Audit, *, seq: int, hash: str, source: str, severity: Severity = Severity.ERROR) -> None:
    """Take step 4 for one head that ``source`` names: it must be in the chain."""
    if audit.state.hashes.get(seq) == hash or not audit.whole:
        return
    cut = (
        f"the ledger ends at event {audit.state.head_seq}"
        if seq > audit.state.head_seq
        else "the ledger has another event there"
    )
    unknown = HeadUnknown(
        f"{source} names event {seq} with {hash[:23]}…, but {cut}: events were removed or written anew",
        location=f"ledger/{file_name(seq)}",
        clause="RP-13",
    )
    audit.findings.append(finding(unknown, severity=severity))


def check_dated_back(audit: Audit, *, seq: int, at: datetime, source: str) -> None:
    """Take step 4 for the time at which ``source`` saw event ``seq`` as the head: what follows it is no older.

    Who ratified a rollback after that time, but by a clock that was set back, did not do it in time.
    """
    latest = at - approvals.CLOCK_SLACK
    after = sorted(number for number, text in audit.state.times.items() if number > seq and _before(text, latest))
    if after:
        more = f" (and {len(after) - 1} later ones)" if len(after) > 1 else ""
        back = ClockBackwards(
            f"event {after[0]} is dated {audit.state.times[after[0]]}, but {source} saw event {seq} as the last one at"
            f" {stamp(at)}: its clock was set back{more}",
            clause="RP-19",
        )
        place = f"ledger/{file_name(after[0])}"
        audit.findings.append(finding(back, severity=Severity.WARNING, location=place))
    for request in audit.state.requests.values():
        if request.ratifies is not None and (request.signed_seq or 0) > seq and _due(request.at) < latest:
            late = ApprovalWanted(
                f"{request.model}@{request.version}: the rollback of event {request.ratifies} was ratified after"
                f" {stamp(at)}, when {source} saw event {seq} as the last one: not in time",
                clause="RP-10",
            )
            audit.findings.append(finding(late, location=f"approvals/{request.id}"))


def _before(text: str, moment: datetime) -> bool:
    try:
        return parse_time(text) < moment
    except BadTime:  # a finding itself
        return False


def check_deadlines(audit: Audit, now: datetime) -> None:
    """Take step 5: rollbacks that no lead ratified in time, moves that are pending."""
    for request in audit.state.requests.values():
        if request.ratifies is None or request.status == "used":
            continue
        due = _due(request.at)
        ref = f"{request.model}@{request.version}"
        wanted = ApprovalWanted(
            f"{ref}: the rollback of event {request.ratifies} was not ratified{_how(request.status, now, due)}",
            clause="RP-10",
        )
        late = Severity.ERROR if now > due or request.status == "rejected" else Severity.WARNING
        ended = ratifying.ended_since(audit.state, request)
        if ended is not None:
            message = f"{wanted.message}; event {ended} has ended that since"
            wanted, late = ApprovalWanted(message, clause="RP-10"), Severity.WARNING
        elif late is Severity.ERROR:
            wanted.hint = ratifying.way_back(audit.state, request)
        audit.findings.append(finding(wanted, severity=late, location=f"approvals/{request.id}"))
    _check_baselines(audit, now)
    for record in audit.state.versions.values():
        if record.move_pending:
            audit.findings.append(
                Finding(
                    code="MR-F001",
                    severity=Severity.INFO,
                    location=f"models/{record.model}/{record.version}",
                    message=f"{record.ref} is archived; its files have not been moved yet (mreg archive --pending)",
                    clause="RP-7",
                )
            )


def _due(at: str) -> datetime:
    """Return until when a lead has to sign for what happened at ``at``; for what is no time (a finding itself): now."""
    try:
        return parse_time(at) + timedelta(hours=ratifying.RATIFY_HOURS)
    except (BadTime, OverflowError):
        return datetime.min.replace(tzinfo=UTC)


def _check_baselines(audit: Audit, now: datetime) -> None:
    """Tell what an old sheet stated to be approved and no lead has confirmed: an adopted version signs nothing."""
    state = audit.state
    named = {(one["model"], one["version"]): found for found in state.baselines.values() for one in found.versions}
    waiting: dict[str, datetime] = {}
    for name, record in state.versions.items():
        stage = str((record.data.get("baseline") or {}).get("stage"))
        governed = stage in (Stage.STAGING.value, Stage.PRODUCTION.value)
        if not governed or not state.policy.needs_approval(Stage(stage), has_lead=state.has_lead):
            continue
        found = named.get(name)
        if found is None:
            audit.findings.append(finding(stated.nobody_asked(record)))
        elif found.signed_seq is None:
            waiting[found.id] = _due(found.at)
    for id, due in waiting.items():
        source, how = state.baselines[id].source, _how("requested", now, due)
        told = f"no lead has confirmed the stages that {source} states{how} (mreg approval sign {id} --as EMAIL)"
        late = Severity.ERROR if now > due else Severity.WARNING
        audit.findings.append(finding(ApprovalWanted(told, clause="RP-10"), severity=late, location=f"approvals/{id}"))


def _how(status: str, now: datetime, due: datetime) -> str:
    if status == "rejected":
        return ": a lead rejected it"
    return f" (due {due:%Y-%m-%d %H:%M} UTC)" if now <= due else " in time"


_ANCHOR_HASH = re.compile(r"sha256:[0-9a-f]{64}")
_ANCHOR_SEQ = re.compile(r"(?:seq=)?([1-9][0-9]{0,11})")
_ANCHOR_AT = re.compile(r"(?:^|\s)at=(\S+)")


def check_baselines(audit: Audit) -> None:
    """Tell the other adopted stages that no lead has confirmed: they are stated, and nobody had to approve them."""
    due = {one.location for one in audit.findings if one.code == ApprovalWanted.code}
    for found in audit.state.baselines.values():
        if found.signed_seq is None and f"approvals/{found.id}" not in due:
            audit.findings.append(
                Finding(
                    code="MR-F005",
                    severity=Severity.WARNING if audit.state.has_lead else Severity.INFO,
                    location=f"approvals/{found.id}",
                    message=f"the stages of {len(found.versions)} versions are as {found.source} stated them; no lead has"
                    f" confirmed them yet (mreg approval sign {found.id} --as EMAIL)",
                    clause="RP-16",
                )
            )


def parse_anchor(text: str) -> tuple[str | None, int, str]:
    """Read ``SEQ:sha256:HEX``, a line of `anchor`, or ``ledger SEQ sha256:HEX``; returns (registry id, seq, hash)."""
    from manual_registry.core.errors import BadAnchor  # noqa: PLC0415 - only here

    words = text.strip().replace(":sha256:", " sha256:").split()
    registry: str | None = None
    for index, word in enumerate(words):
        if word.startswith("registry=") or (word == "registry" and index + 1 < len(words)):
            registry = word.partition("=")[2] or words[index + 1]
        number = _ANCHOR_SEQ.fullmatch(words[index - 1]) if index else None
        if number and _ANCHOR_HASH.fullmatch(word):
            return registry, int(number[1]), word
    raise BadAnchor(
        f"{text.strip()[:120]!r} is no anchor; write SEQ:sha256:HEX or name a file with a line of `mreg anchor`"
    )


def anchor_time(text: str) -> datetime | None:
    """Return when a line of `anchor` was made; None: it does not say."""
    found = _ANCHOR_AT.search(text)
    try:
        return parse_time(found[1]) if found else None
    except BadTime:
        return None


def unknown_approval(name: str) -> ApprovalUnknown:
    """The refusal for an approval id that is not there."""
    return ApprovalUnknown(f"no approval {name!r}", location=name, hint="mreg approval list")
