"""Is a change signed by an active lead, over exactly this change, here and now, and once (clause RP-14)?"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from manual_registry.core import controls
from manual_registry.core.approvals import CLOCK_SLACK
from manual_registry.core.controls import Asked
from manual_registry.core.decide.common import moment_of
from manual_registry.core.errors import (
    ApprovalClosed,
    ApprovalStale,
    ApprovalUnknown,
    ControlRefused,
    FormatTooNew,
    Json,
    RegistryError,
)
from manual_registry.core.ledger import Event
from manual_registry.core.sshsig import verify
from manual_registry.core.state import State
from manual_registry.core.statements import CONTROL_NAMESPACE, control_line, differing, head_mark, read_statement
from manual_registry.core.times import parse_time
from manual_registry.core.values import Role

#: Who signs a recovery; it stands so in allowed_signers, and is no address.
RECOVERY = "recovery"


def refused(why: str, **details: Json) -> ControlRefused:
    """Return the refusal of a change that no lead has signed so."""
    return ControlRefused(why, clause="RP-14", hint="mreg approver list", details=details)


def signature(state: State, event: Event, action: str, details: Mapping[str, Json]) -> list[RegistryError]:
    """Return what is wrong with the lead's signature in ``data.control``.

    1. The signer is an active lead; the first lead of a registry that began without one signs their own enrolment.
    2. The request that it answers, if any, is open and asks for exactly this.
    3. The signature verifies in the control namespace and is by that lead's key.
    4. The statement is the canonical line for this change at this place (or for this request); it is not old.
    """
    control = event.data["control"]
    if not {"signer", "statement", "signature"} <= control.keys() <= {"signer", "statement", "signature", "request"}:
        return [FormatTooNew("a control signature of a kind that this tool does not know yet")]
    asked: Asked | None = None
    if "request" in control:
        asked = controls.find(state, control["request"])
        problems = _asked(state, asked, event, action)
        if problems or asked is None:
            return problems
    found = signer_of(state, event, action)
    if isinstance(found, RegistryError):
        return [found]
    key, role = found
    try:
        made_with = verify(control["statement"].encode("utf-8"), control["signature"], namespace=CONTROL_NAMESPACE)
    except RegistryError as problem:
        return [refused(f"the signature does not hold: {problem.message}", signature="broken")]
    if made_with.line() != key:
        why = f"signed with {made_with.fingerprint}, which is not the key of {control['signer']}"
        return [refused(why, signature="stranger")]
    return statement(
        state,
        control["statement"],
        moment_of(event),
        action=action,
        details=details,
        signer=control["signer"],
        key=key,
        role=role,
        asked=asked,
    )


def signer_of(state: State, event: Event, action: str) -> tuple[str, str] | RegistryError:
    """Return key and role of who may sign this change in the name that it gives."""
    signer = event.data["control"]["signer"]
    if action == "approver.recover":
        if state.recovery_key is None:
            return refused("this registry has no recovery key; it was made without one")
        if signer != RECOVERY:
            return refused(f"a recovery is signed by {RECOVERY!r}, not by {signer!r}")
        return state.recovery_key, RECOVERY
    approver = state.approvers.get(signer)
    if approver is None and action == "approver.add" and enrols_itself(state, event):
        return event.data["key"], Role.LEAD.value
    if approver is None or approver.role is not Role.LEAD or approver.revoked_seq is not None:
        what = "changes roster, delegations, pipelines, exceptions and policy, and closes a register"
        return refused(f"{signer} is no active ai-governance-lead; only a lead {what}", signer=signer)
    return approver.key, approver.role.value


def enrols_itself(state: State, event: Event) -> bool:
    """Tell whether this is the first lead of a registry that began without one, signing with their own key."""
    never = not any(one.role is Role.LEAD for one in state.all_approvers())
    return (
        never and event.data["role"] == Role.LEAD.value and event.data["control"]["signer"] == event.subject["approver"]
    )


def statement(
    state: State,
    text: str,
    moment: datetime,
    *,
    action: str,
    details: Mapping[str, Json],
    signer: str,
    key: str,
    role: str,
    asked: Asked | None,
) -> list[RegistryError]:
    """Return what is wrong with the words that were signed."""
    found = read_statement(text)
    if found is None:
        return [refused("the signed statement is not canonical")]
    issued_at = found["predicate"]["issued_at"]
    expected = control_line(
        state,
        action=action,
        signer=signer,
        key=key,
        role=role,
        details=details,
        issued_at=issued_at,
        answers=(asked.id, asked.seq) if asked else None,
    )
    wrong = differing(found, expected)
    if wrong:
        why = f"the lead signed something else: {', '.join(wrong)} differ"
        return [refused(why, **head_mark(state, found, wrong))]
    return _when(state, parse_time(issued_at), moment, asked)


def _when(state: State, issued: datetime, moment: datetime, asked: Asked | None) -> list[RegistryError]:
    """At once: within minutes of its event. In answer to a request: as an approval, within the policy's hours."""
    if asked is None:
        if abs(issued - moment) <= CLOCK_SLACK:
            return []
        return [
            ControlRefused(f"signed at {issued:%F %T} UTC, but the event is from {moment:%F %T} UTC", clause="RP-19")
        ]
    if issued > moment + CLOCK_SLACK or issued < parse_time(asked.at) - CLOCK_SLACK:
        told = f"{asked.id} was signed at {issued:%F %T} UTC, which is not between the request and now"
        return [ControlRefused(told, clause="RP-19")]
    hours = state.policy.approval_hours
    if moment - issued <= timedelta(hours=hours):
        return []
    told = f"{asked.id} was signed at {issued:%F %T} UTC, more than {hours} hours before"
    return [ApprovalStale(told, location=asked.id, clause="RP-10", hint=f"mreg approval sign {asked.id} --as EMAIL")]


def _asked(state: State, asked: Asked | None, event: Event, action: str) -> list[RegistryError]:
    """Return why the request that ``event`` claims to answer does not let it."""
    name = event.data["control"]["request"]
    if asked is None:
        return [ApprovalUnknown(f"no request {name!r}", location=name, hint="mreg approval list")]
    if controls.status(asked) != "requested":
        return [closed(asked)]
    if action == controls.REJECT:
        return [] if event.data["id"] == name else [refused(f"signed for {event.data['id']}, in answer to {name}")]
    plain = {member: value for member, value in event.data.items() if member != "control"}
    wanted = controls.draft_of(asked, {})
    same = event.type == wanted.type and event.subject == wanted.subject
    if same and plain == {member: value for member, value in wanted.data.items() if member != "control"}:
        return []
    return [refused(f"the event says something else than the request {name} that it answers")]


def closed(asked: Asked) -> RegistryError:
    """The refusal for a request that was answered, withdrawn, or has lapsed: a signature serves once."""
    return ApprovalClosed(
        f"request {asked.id} is {controls.status(asked)}; ask anew",
        location=asked.id,
        clause="RP-14",
        hint="mreg approval list",
    )
