"""May the roster, the pipelines or the policy change so (clause RP-14)? Only an active lead's signature lets them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from manual_registry.core.approvals import CLOCK_SLACK
from manual_registry.core.decide.common import moment_of
from manual_registry.core.decide.registration import future
from manual_registry.core.errors import (
    ApprovalClosed,
    ApprovalUnknown,
    ApproverUnknown,
    BadConfig,
    BadKey,
    BadTime,
    ControlRefused,
    DateInFuture,
    FormatTooNew,
    IdentityTaken,
    Json,
    KeyTaken,
    LastLead,
    PipelineUnknown,
    ReasonMissing,
    RegistryError,
)
from manual_registry.core.ledger import Event
from manual_registry.core.policy import policy_from
from manual_registry.core.sshkeys import parse_public_key
from manual_registry.core.sshsig import verify
from manual_registry.core.state import State
from manual_registry.core.statements import CONTROL_NAMESPACE, control_line, differing, head_mark, read_statement
from manual_registry.core.times import is_date, parse_time
from manual_registry.core.values import Risk, Role, email, free_text, label, line_text


def created(state: State, event: Event) -> list[RegistryError]:
    """Decide the genesis: risk, policy, keys in order; one key for one lead."""
    data = event.data
    reasons = _in_force(event)
    seen_keys: set[str] = set()
    seen_emails: set[str] = set()
    for lead in data["leads"]:
        reasons += _person(lead["email"], lead["name"]) + _key_form(lead["key"])
        if lead["key"] in seen_keys or lead["email"] in seen_emails:
            reasons.append(
                KeyTaken(f"{lead['email']}: a lead or key that is named twice", location="leads", clause="RP-14")
            )
        seen_keys.add(lead["key"])
        seen_emails.add(lead["email"])
    return reasons


def _in_force(event: Event) -> list[RegistryError]:
    """What genesis and a later policy have in common: system, risk, date, and a policy that is written out in full."""
    data = event.data
    line_text(data["system"], where="system")
    placed = data["placed_on_market"]
    reasons: list[RegistryError] = []
    if placed is not None and not is_date(placed):
        raise BadTime(f"placed_on_market: {placed!r} is no date", location="placed_on_market")
    if placed is not None and future(placed, event):
        reasons.append(
            DateInFuture(f"placed_on_market: {placed} has not come yet", location="placed_on_market", clause="RP-19")
        )
    if policy_from(data["policy"], Risk(data["risk"])).document != data["policy"]:
        reasons.append(BadConfig("the policy is not written out in full"))
    return reasons


def _person(address: str, name: str) -> list[RegistryError]:
    line_text(name, where="name")
    if email(address) != address or not name.strip():
        return [ControlRefused(f"{address!r}: an approver has a name and an address in lower case", clause="RP-14")]
    return []


def _key_form(line: str) -> list[RegistryError]:
    if parse_public_key(line).line() != line:
        return [BadKey("a key is kept as 'type base64', in its one spelling", location="key")]
    return []


def _key_free(state: State, line: str) -> list[RegistryError]:
    holder = state.keys.get(line)
    if holder is None:
        return []
    return [
        KeyTaken(
            f"this key belongs to the {holder[0]} {holder[1]}; one key is for one identity, ever",
            location="key",
            clause="RP-14",
            hint="ssh-keygen -t ed25519 -f NEW-KEY",
        )
    ]


def _signature(state: State, event: Event, action: str, details: Mapping[str, Json]) -> list[RegistryError]:
    control = event.data["control"]
    if control.keys() != {"signer", "statement", "signature"}:
        return [FormatTooNew("a control signature of a kind that this tool does not know yet")]
    signer, first = control["signer"], action == "approver.add" and enrols_itself(state, event)
    approver = state.approvers.get(signer)
    if not first and (approver is None or approver.role is not Role.LEAD or approver.revoked_seq is not None):
        return [
            ControlRefused(
                f"{signer} is no active ai-governance-lead; only a lead changes roster, pipelines and policy",
                clause="RP-14",
                hint="mreg approver list",
            )
        ]
    key_line = event.data["key"] if approver is None else approver.key
    role = Role.LEAD.value if approver is None else approver.role.value
    try:
        key = verify(control["statement"].encode("utf-8"), control["signature"], namespace=CONTROL_NAMESPACE)
    except RegistryError as problem:
        why = f"the lead's signature does not hold: {problem.message}"
        return [ControlRefused(why, clause="RP-14", details={"signature": "broken"})]
    if key.line() != key_line:
        why = f"signed with {key.fingerprint}, which is not the key of {signer}"
        return [ControlRefused(why, clause="RP-14", details={"signature": "stranger"})]
    found = read_statement(control["statement"])
    if found is None:
        return [ControlRefused("the signed statement is not canonical", clause="RP-14")]
    issued_at = found["predicate"]["issued_at"]
    expected = control_line(
        state, action=action, signer=signer, key=key_line, role=role, details=details, issued_at=issued_at
    )
    wrong = differing(found, expected)
    if wrong:
        why = f"the lead signed something else: {', '.join(wrong)} differ"
        return [ControlRefused(why, clause="RP-14", details=head_mark(state, found, wrong))]
    gap: timedelta = abs(parse_time(issued_at) - moment_of(event))
    if gap > CLOCK_SLACK:
        return [ControlRefused(f"signed at {issued_at}, but the event is from {event.at}", clause="RP-19")]
    return []


def enrols_itself(state: State, event: Event) -> bool:
    """Tell whether this is the first lead of a registry that began without one, signing with their own key."""
    never = not any(one.role is Role.LEAD for one in state.approvers.values())
    return (
        never and event.data["role"] == Role.LEAD.value and event.data["control"]["signer"] == event.subject["approver"]
    )


def approver_details(event_subject: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Json]:
    """Return what a lead signs when an approver is added."""
    return {"approver": event_subject["approver"], "name": data["name"], "role": data["role"], "key": data["key"]}


def approver_added(state: State, event: Event) -> list[RegistryError]:
    """Decide an enrolment."""
    data, address = event.data, event.subject["approver"]
    if data["role"] not in {role.value for role in Role}:
        return [FormatTooNew(f"role {data['role']!r} is not known to this tool")]
    reasons = [*_person(address, data["name"]), *_key_form(data["key"])]
    standing = state.approvers.get(address)
    if standing is not None:
        reasons.append(
            IdentityTaken(
                f"{address} stands in the roster since {standing.added_at} ({standing.role}); an identity is enrolled once",
                location=address,
                clause="RP-14",
                hint="mreg approver list",
            )
        )
    reasons += _key_free(state, data["key"])
    return [*reasons, *_signature(state, event, "approver.add", approver_details(event.subject, data))]


def approver_revoked(state: State, event: Event) -> list[RegistryError]:
    """Decide a revocation; the last active lead stays."""
    address, reason = event.subject["approver"], event.data["reason"]
    found = state.approvers.get(address)
    if found is None:
        return [ApproverUnknown(f"{address} is not in the roster", location=address, hint="mreg approver list")]
    reasons = _reason(reason)
    if found.revoked_seq is not None:
        reasons.append(IdentityTaken(f"{address} was revoked on {found.revoked_at} already", location=address))
    elif found.role is Role.LEAD and len(state.active_leads()) == 1:
        reasons.append(
            LastLead(
                f"{address} is the last active lead; enrol another one first",
                clause="RP-14",
                hint='mreg approver add "Name <email>" --role ai-governance-lead --public-key FILE --as EMAIL',
            )
        )
    details: dict[str, Json] = {"approver": address, "reason": reason}
    return [*reasons, *_signature(state, event, "approver.revoke", details)]


def _reason(text: str) -> list[RegistryError]:
    free_text(text, where="reason")
    return (
        []
        if text.strip()
        else [ReasonMissing("a revocation needs a reason", location="reason", hint='add --reason "…"')]
    )


def pipeline_added(state: State, event: Event) -> list[RegistryError]:
    """Decide the enrolment of a pipeline."""
    name, key = event.subject["pipeline"], event.data["key"]
    label(name, where="pipeline")
    reasons = [*_key_form(key), *_key_free(state, key)]
    if name in state.pipelines:
        reasons.append(
            IdentityTaken(
                f"pipeline {name} is enrolled already", location=name, clause="RP-14", hint="mreg pipeline list"
            )
        )
    return [*reasons, *_signature(state, event, "pipeline.add", {"pipeline": name, "key": key})]


def pipeline_revoked(state: State, event: Event) -> list[RegistryError]:
    """Decide the revocation of a pipeline."""
    name, reason = event.subject["pipeline"], event.data["reason"]
    found = state.pipelines.get(name)
    if found is None:
        return [PipelineUnknown(f"pipeline {name} is not enrolled", location=name, hint="mreg pipeline list")]
    reasons = _reason(reason)
    if found.revoked_seq is not None:
        reasons.append(IdentityTaken(f"pipeline {name} was revoked on {found.revoked_at} already", location=name))
    return [*reasons, *_signature(state, event, "pipeline.revoke", {"pipeline": name, "reason": reason})]


def policy_details(data: Mapping[str, Any]) -> dict[str, Json]:
    """Return what a lead signs when a policy is put in force: all of it."""
    return {name: data[name] for name in ("system", "risk", "placed_on_market", "policy")}


def policy_signed(state: State, event: Event) -> list[RegistryError]:
    """Decide a policy: it must be valid for its risk class and signed by an active lead (clauses RP-4, RP-14)."""
    return [*_in_force(event), *_signature(state, event, "policy.sign", policy_details(event.data))]


def baseline_details(state: State, id: str) -> dict[str, Json]:
    """Return what a lead signs when a baseline is confirmed: every adopted version with content and stated stage."""
    found = state.baselines[id]
    versions: list[Json] = [dict(one) for one in found.versions]
    return {"id": id, "source": found.source, "sha256": found.sha256, "versions": versions}


def baseline_signed(state: State, event: Event) -> list[RegistryError]:
    """Decide the confirmation of a baseline by a lead."""
    name = event.data["id"]
    found = state.baselines.get(name)
    if found is None:
        return [ApprovalUnknown(f"no baseline {name!r}", location=name, hint="mreg approval list")]
    if found.signed_seq is not None:
        return [ApprovalClosed(f"baseline {name} was confirmed on {found.signed_at} already", location=name)]
    return _signature(state, event, "baseline.confirm", baseline_details(state, name))
