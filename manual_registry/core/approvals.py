"""Approvals judged: is this signed statement good for this step, at this place and time (clause RP-10)?

One function, :func:`judge`, serves signing, promotion, rollback, archiving and `verify`; it returns every reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from manual_registry.core.errors import (
    ApprovalBad,
    ApprovalOutdated,
    ApprovalStale,
    ApproverUnfit,
    BadTime,
    BadValue,
    DateInFuture,
    DateOrder,
    FormatTooNew,
    ReasonMissing,
    RegistryError,
    SelfApproval,
    SignatureStranger,
)
from manual_registry.core.sshsig import verify
from manual_registry.core.state import Approver, Request, State
from manual_registry.core.statements import (
    APPROVAL,
    APPROVAL_NAMESPACE,
    Position,
    approval_line,
    differing,
    read_statement,
)
from manual_registry.core.times import is_date, parse_time
from manual_registry.core.values import Stage

#: A clock may be this much ahead before a statement counts as from the future.
CLOCK_SLACK: Final = timedelta(minutes=5)
#: Hours in which a lead ratifies a rollback (design 3.4).
RATIFY_HOURS: Final = 48
#: What `rollback` lets pass in the approval that it rests on (design 3.4).
ROLLBACK_MAY_DIFFER: Final = frozenset({"from", "replaces"})


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
    2. Its approver stands in the roster, is active here, and the role suffices for the stage.
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
    newer = _newer(said, where)
    if newer:
        return Judgement(approver=None, decision=None, reasons=(newer,))
    approver = state.approvers.get(str(said.get("approver")))
    if approver is None:
        stranger = SignatureStranger(
            f"{where}: {said.get('approver')} is not in the roster", location=where, clause="RP-10"
        )
        return Judgement(approver=None, decision=None, reasons=(stranger,))
    reasons = [
        *_roster_reasons(state, request, approver, where),
        *(_signature_reasons(statement, signature, approver, where) if signature is not None else ()),
        *_duty_reasons(state, request, approver, where),
        *_field_reasons(state, request, approver, found, may_differ, where),
        *(_time_reasons(state, said, moment, where) if fresh else ()),
    ]
    return Judgement(approver=approver, decision=str(said.get("decision")), reasons=tuple(reasons))


def _bad(where: str, why: str, **details: str) -> ApprovalBad:
    return ApprovalBad(f"{where}: {why}", location=where, clause="RP-10", details=details)


def _newer(said: dict[str, Any], where: str) -> RegistryError | None:
    if said.get("delegation") is None and said.get("exceptions", []) == []:
        return None
    return FormatTooNew(
        f"{where} rests on a delegation or exception, which this tool does not know yet",
        location=where,
        hint="pip install -U manual-registry",
    )


def _roster_reasons(state: State, request: Request, approver: Approver, where: str) -> list[RegistryError]:
    reasons: list[RegistryError] = []
    if approver.revoked_seq is not None:
        reasons.append(
            ApproverUnfit(
                f"{where}: {approver.email} was revoked on {approver.revoked_at}", location=where, clause="RP-14"
            )
        )
    if approver.role not in state.policy.signers(Stage(request.to)):
        reasons.append(
            ApproverUnfit(
                f"{where}: {approver.email} is {approver.role}; {request.to} needs an ai-governance-lead",
                location=where,
                clause="RP-10",
            )
        )
    return reasons


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
    if approver.email not in state.versions[request.model, request.version].registrants:
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
    approver = state.approvers.get(str(entry["approver"]).lower())
    if approver is None:
        unknown = f"{where}: {entry['approver']!r} is not in the roster (sheet Approvers)"
        reasons.append(ApproverUnfit(unknown, location="Approver", clause="RP-10", hint="mreg approver list"))
    else:
        reasons += _roster_reasons(state, request, approver, where)
        reasons += _duty_reasons(state, request, approver, where)
    return [*reasons, *_entry_date(request, str(entry["date"]), approver, moment, where)]


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
