"""Approvals judged: is this signed statement good for this step, at this place and time (clause RP-10)?

One function, :func:`judge`, serves signing, promotion, rollback, archiving and `verify`; it returns every reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import Any, Final

from manual_registry.core import delegations
from manual_registry.core.errors import (
    ApprovalBad,
    ApprovalOutdated,
    ApprovalStale,
    ApprovalWanted,
    ApproverUnfit,
    BadName,
    BadTime,
    BadValue,
    DateInFuture,
    DateOrder,
    DelegationScope,
    ReasonMissing,
    RegistryError,
    SelfApproval,
    SignatureStranger,
)
from manual_registry.core.ratifying import too_late
from manual_registry.core.sshsig import verify
from manual_registry.core.state import Approver, Request, State
from manual_registry.core.statements import (
    APPROVAL,
    APPROVAL_NAMESPACE,
    Position,
    approval_line,
    differing,
    fingerprint,
    read_statement,
)
from manual_registry.core.times import is_date, parse_time
from manual_registry.core.values import Role, Stage, free_text

#: A clock may be this much ahead before a statement counts as from the future.
CLOCK_SLACK: Final = timedelta(minutes=5)
#: What `rollback` lets pass in the approval that it rests on (design 3.4); of the exceptions, those in force now count.
ROLLBACK_MAY_DIFFER: Final = frozenset({"from", "replaces", "exceptions"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """The approver who signed (None: unknown) and every reason against it."""

    approver: Approver | None
    decision: str | None
    reasons: tuple[RegistryError, ...]


def judge(
    state: State,
    request: Request,
    statement: str,
    signature: str | None,
    *,
    moment: datetime,
    fresh: bool = True,
    may_differ: frozenset[str] = frozenset(),
) -> Judgement:
    """Judge a signed approval on ``state`` (``signature`` None: issued, not signed yet; step 3 is left out).

    1. The statement is the canonical line of an approval (design 3.5).
    2. Its approver stands in the roster, is active here, and the role suffices for the stage: a delegate's as a lead's,
       when the delegation that the statement names covers the model, the day on which it was signed and, where it is
       used for the first time (``fresh``), the day of ``moment``.
    3. The signature verifies in the approval namespace and is by that approver's key.
    4. The approver did not register the version (segregation of duties).
    5. Every field is still true, those in ``may_differ`` left out; its ledger position is in the chain.
    6. It was issued within the policy's hours before ``moment``, and not after it.
    """
    where = f"approval {request.id}"
    found = read_statement(statement)
    if found is None or found.get("predicateType") != APPROVAL:
        return Judgement(
            approver=None, decision=None, reasons=(_bad(where, "the statement is not one of an approval"),)
        )
    said = found["predicate"]
    approver = _named(state, said)
    if approver is None:
        stranger = SignatureStranger(
            f"{where}: {said.get('approver')} is not in the roster", location=where, clause="RP-10"
        )
        return Judgement(approver=None, decision=None, reasons=(stranger,))
    reasons = [
        *_roster_reasons(state, request, approver, where),
        *_scope_reasons(state, request, approver, statement, said, moment, where, fresh=fresh),
        *(_signature_reasons(statement, signature, approver, where) if signature is not None else ()),
        *_duty_reasons(state, request, approver, where),
        *_field_reasons(state, request, approver, found, may_differ, where),
        *(_time_reasons(state, said, moment, where) if fresh else ()),
    ]
    return Judgement(approver=approver, decision=str(said.get("decision")), reasons=tuple(reasons))


def _named(state: State, said: Mapping[str, Any]) -> Approver | None:
    """Return the entry of the roster that a statement names by address and key: a former key is told to be revoked."""
    address = str(said.get("approver"))
    former = (one for one in state.former_approvers if one.email == address and fingerprint(one.key) == said.get("key"))
    return next(former, state.approvers.get(address))


def _bad(where: str, why: str, **details: str) -> ApprovalBad:
    return ApprovalBad(f"{where}: {why}", location=where, clause="RP-10", details=details)


def may_sign(state: State, request: Request) -> list[str]:
    """Return who may sign the request now, whatever is delegated: active, of a role that suffices, no registrant."""
    record = state.versions[request.model, request.version]
    roles = state.policy.signers(Stage(request.to))
    active = (one for one in state.approvers.values() if one.revoked_seq is None and one.role in roles)
    return [one.email for one in active if not record.registered_by(one.email)]


def _roster_reasons(state: State, request: Request, approver: Approver, where: str) -> list[RegistryError]:
    reasons: list[RegistryError] = []
    # An open request is signed by somebody else; what was used or signed already is asked for anew.
    hint = f"mreg approval request {request.model}@{request.version} --to {request.to}"
    if request.status == "requested":
        hint = f"mreg approval sign {request.id} --as {next(iter(may_sign(state, request)), 'EMAIL')}"
    if approver.revoked_seq is not None:
        told = f"{where}: {approver.email} was revoked on {approver.revoked_at}"
        reasons.append(ApproverUnfit(told, location=where, clause="RP-14", hint=hint))
    if approver.role is not Role.DELEGATE and approver.role not in state.policy.signers(Stage(request.to)):
        told = f"{where}: {approver.email} is {approver.role}; {request.to} needs an ai-governance-lead"
        reasons.append(ApproverUnfit(told, location=where, clause="RP-10", hint=hint))
    return reasons


def _scope_reasons(
    state: State,
    request: Request,
    approver: Approver,
    statement: str,
    said: Mapping[str, Any],
    moment: datetime,
    where: str,
    *,
    fresh: bool,
) -> list[RegistryError]:
    """A delegate signs for the models and on the days of the delegation: what is dated, when it came in, when it is used.

    With the last a signature that is dated back into the delegation serves nobody once that has ended, as that of a
    revoked lead. A rollback, which a lead ratifies, may rest on what was used in time.
    """
    if approver.role is not Role.DELEGATE:
        return []
    named = delegations.named(state, approver, said.get("delegation"))
    if named is None:
        return [_out_of_scope(f"{where}: nothing is delegated to {approver.email} that covers it", where)]
    signed = state.times.get(request.signed_seq or 0) if statement == request.statement else None
    try:
        times = (parse_time(str(said.get("issued_at"))), parse_time(signed) if signed else moment)
    except BadTime:
        return []  # told by what looks at the time
    scope = f"{named.models} from {named.from_} until {named.until}"
    if all(delegations.covers(named, request.model, one) for one in times):
        if not fresh or delegations.covers(named, request.model, moment):
            return []
        told = f"{where}: {named.id}, by which {approver.email} signed, has ended ({scope})"
        ask = f"mreg approval request {request.model}@{request.version} --to {request.to}"
        return [DelegationScope(told, location=where, clause="RP-20", hint=ask)]
    return [_out_of_scope(f"{where}: {named.id} delegates {scope} to {approver.email}, not this", where)]


def _out_of_scope(told: str, where: str) -> RegistryError:
    return DelegationScope(told, location=where, clause="RP-20", hint="mreg approver list")


def _signature_reasons(statement: str, signature: str, approver: Approver, where: str) -> list[RegistryError]:
    try:
        key = verify(statement.encode("utf-8"), signature, namespace=APPROVAL_NAMESPACE)
    except RegistryError as problem:
        return [_bad(where, f"the signature does not hold: {problem.message}", signature="broken")]
    if key.line() != approver.key:
        return [
            SignatureStranger(
                f"{where}: signed with {key.fingerprint}, which is not the key of {approver.email}",
                location=where,
                clause="RP-10",
            )
        ]
    return []


def _duty_reasons(state: State, request: Request, approver: Approver, where: str) -> list[RegistryError]:
    if not state.versions[request.model, request.version].registered_by(approver.email):
        return []
    return [
        SelfApproval(
            f"{where}: {approver.email} registered {request.model}@{request.version} and cannot approve it",
            location=where,
            clause="RP-10",
            hint=f"mreg approval sign {request.id} --as ANOTHER-LEAD",
        )
    ]


def _field_reasons(
    state: State, request: Request, approver: Approver, found: dict[str, Any], may_differ: frozenset[str], where: str
) -> list[RegistryError]:
    said = found["predicate"]
    ledger, comment = said.get("ledger"), said.get("comment")
    well_formed = (
        isinstance(ledger, dict)
        and type(ledger.get("seq")) is int
        and type(ledger.get("hash")) is str
        and said.get("decision") in ("approved", "rejected")
        and type(said.get("issued_at")) is str
        and type(comment) in (str, type(None))
    )
    if not well_formed:
        return [_bad(where, "the statement lacks a member, or has one of the wrong kind")]
    reasons: list[RegistryError] = []
    expected = approval_line(
        state,
        request,
        approver,
        decision=said["decision"],
        comment=comment,
        issued_at=said["issued_at"],
        position=Position(seq=ledger["seq"], hash=ledger["hash"]),
        delegation=delegations.named(state, approver, said.get("delegation")),
    )
    wrong = [name for name in differing(found, expected) if name not in may_differ]
    if wrong:
        reasons.append(
            ApprovalOutdated(
                f"{where}: not true any more, or never: {', '.join(wrong)}",
                location=where,
                clause="RP-10",
                hint=f"mreg approval request {request.model}@{request.version} --to {request.to}",
            )
        )
    if state.hashes.get(ledger["seq"]) != ledger["hash"]:
        reasons.append(
            ApprovalOutdated(
                f"{where}: names event {ledger['seq']} with a hash that the chain does not have",
                location=where,
                details={"head": ledger["seq"]},
            )
        )
    return reasons


def _time_reasons(state: State, said: dict[str, Any], moment: datetime, where: str) -> list[RegistryError]:
    try:
        issued = parse_time(str(said.get("issued_at")))
    except BadTime:
        return [_bad(where, "issued_at is not a time")]
    if issued > moment + CLOCK_SLACK:
        return [_bad(where, f"issued at {said['issued_at']}, which has not come yet")]
    hours = state.policy.approval_hours
    if moment - issued > timedelta(hours=hours):
        return [
            ApprovalStale(
                f"{where}: issued at {said['issued_at']}, more than {hours} hours before",
                location=where,
                clause="RP-10",
                hint=f"mreg approval sign {where.removeprefix('approval ')} --as EMAIL",
            )
        ]
    return []


def wanted_anew(reasons: list[RegistryError], ref: str, to: Stage) -> list[RegistryError]:
    """Say of an approval that has grown stale, or untrue, that a new one is wanted: only a signature is missing then.

    Not of one that names an event which the chain lost: no signature mends that.
    """
    return [_wanted_anew(one, ref, to) if _worn_out(one) else one for one in reasons]


def _worn_out(reason: RegistryError) -> bool:
    about_approval = (reason.location or "").startswith("approval ")
    return about_approval and isinstance(reason, ApprovalStale | ApprovalOutdated) and "head" not in reason.details


def _wanted_anew(reason: RegistryError, ref: str, to: Stage) -> RegistryError:
    return ApprovalWanted(
        f"{reason.message}; a new approval is needed",
        clause=reason.clause,
        location=reason.location,
        hint=f"mreg approval request {ref} --to {to}",
    )


def entry_reasons(state: State, request: Request, entry: Mapping[str, Any], moment: datetime) -> list[RegistryError]:
    """Return what is wrong with an entry of the Approvals sheet (decision, approver, date, comment), all of it."""
    where = f"approval {request.id}"
    reasons: list[RegistryError] = []
    if entry["decision"] not in ("approved", "rejected"):
        reasons.append(
            BadValue(f"{where}: Decision is approved or rejected, not {entry['decision']!r}", location="Decision")
        )
    if entry["decision"] == "rejected" and not (entry["comment"] or "").strip():
        reasons.append(ReasonMissing(f"{where}: a rejection needs a Comment", location="Comment", clause="RP-10"))
    try:
        free_text(entry["comment"] or "", where="Comment")
    except BadName as problem:
        reasons.append(problem)
    approver = state.approvers.get(str(entry["approver"]).lower())
    if approver is None:
        unknown = (
            f"{where}: {entry['approver']!r} is not in the roster (sheet Approvers){_meant(state, entry['approver'])}"
        )
        reasons.append(ApproverUnfit(unknown, location="Approver", clause="RP-10", hint="mreg approver list"))
    else:
        reasons += _roster_reasons(state, request, approver, where)
        rests = delegations.to_name(state, approver, request.model, moment)
        if approver.role is Role.DELEGATE and (rests is None or not delegations.covers(rests, request.model, moment)):
            reasons.append(_out_of_scope(f"{where}: nothing is delegated to {approver.email} that covers it", where))
        reasons += _duty_reasons(state, request, approver, where)
    return [*reasons, *_entry_date(request, str(entry["date"]), approver, moment, where)]


def _meant(state: State, typed: str) -> str:
    """Ask whether somebody of the roster is meant whose name or address looks alike."""
    known = {word.casefold(): one.email for one in state.approvers.values() for word in (one.email, one.name)}
    close = get_close_matches(str(typed).casefold(), known, n=1, cutoff=0.75)
    return f"; did you mean {known[close[0]]}?" if close else ""


def _entry_date(
    request: Request, text: str, approver: Approver | None, moment: datetime, where: str
) -> list[RegistryError]:
    try:
        if not is_date(text):
            raise BadTime("")
        day = parse_time(text)
    except BadTime:
        return [BadTime(f"{where}: Approval date {text!r} is not a date; write 2026-11-24", location="Approval date")]
    if day > moment + timedelta(hours=14):  # the world's time zones
        return [
            DateInFuture(f"{where}: Approval date {text} has not come yet", location="Approval date", clause="RP-19")
        ]
    if day < parse_time(request.at[:10]) - timedelta(days=1):
        early = f"{where}: Approval date {text} is before the request of {request.at[:10]}"
        return [DateOrder(early, location="Approval date", clause="RP-19")]
    if approver is not None and day < parse_time(approver.added_at[:10]) - timedelta(days=1):
        early = f"{where}: {approver.email} was not in the roster on {text}"
        return [ApproverUnfit(early, location="Approval date", clause="RP-14")]
    return []


def status(state: State, request: Request, now: datetime) -> str:
    """Return the status of the contract; a signed approval grows stale with the clock ("expired")."""
    if request.status == "signed" and request.statement:
        found = read_statement(request.statement)
        try:
            issued = parse_time(str(found["predicate"].get("issued_at")) if found else "")
        except BadTime:  # a hand-made event; `verify` tells it
            return "expired"
        if now - issued > timedelta(hours=state.policy.approval_hours):
            return "expired"
    if too_late(request, now):
        return "expired"
    return "filled" if request.status == "requested" and request.filled else request.status


def is_open(request: Request) -> bool:
    """Tell whether the request can still be signed or used."""
    return request.status in ("requested", "signed")


def owes_signature(state: State, request: Request) -> bool:
    """Tell whether the step that is asked for needs a signature; else the request waits for the command that takes it."""
    to = Stage(request.to)
    if request.ratifies is not None:
        return True
    if to is Stage.ARCHIVED and request.from_stage != Stage.PRODUCTION.value:
        return False
    return state.policy.needs_approval(to, has_lead=state.has_lead)


def step_command(request: Request) -> str:
    """Return the command that takes the step once nothing but that is missing."""
    ref = f"{request.model}@{request.version}"
    return (
        f"mreg archive {ref} --reason TEXT"
        if request.to == Stage.ARCHIVED.value
        else f"mreg promote {ref} --to {request.to}"
    )
