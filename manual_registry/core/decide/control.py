"""May the roster, the pipelines or the policy change so (clause RP-14)? Only an active lead's signature lets them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from manual_registry.core import controls
from manual_registry.core.approvals import CLOCK_SLACK
from manual_registry.core.decide import signing
from manual_registry.core.decide.common import moment_of
from manual_registry.core.decide.registration import future
from manual_registry.core.decide.roster import a_person, enrolment, former_key, key_form, key_free
from manual_registry.core.errors import (
    ApprovalClosed,
    ApprovalUnknown,
    ApproverUnknown,
    BadConfig,
    BadEnrolment,
    BadTime,
    BadValue,
    DateInFuture,
    FormatTooNew,
    IdentityTaken,
    KeyTaken,
    LastLead,
    PipelineUnknown,
    ReasonMissing,
    RegistryError,
    RetentionShort,
)
from manual_registry.core.jwks import provider_keys
from manual_registry.core.ledger import Event
from manual_registry.core.oidc import enrolment_reasons
from manual_registry.core.policy import LEGAL_YEARS, policy_from
from manual_registry.core.state import State
from manual_registry.core.times import is_date, normal_stamp, parse_time
from manual_registry.core.values import Risk, Role, free_text, label, line_text

_ID = re.compile(r"[0-9a-f]{32}")
_HASH = re.compile(r"sha256:[0-9a-f]{64}")


def created(state: State, event: Event) -> list[RegistryError]:
    """Decide the genesis: risk, policy, keys in order; one key for one lead."""
    data = event.data
    reasons = [*_in_force(event), *_continues(data["continues"])]
    seen_keys: set[str] = set()
    if data["recovery_key"] is not None:
        reasons += key_form(data["recovery_key"])
        seen_keys.add(data["recovery_key"])
    seen_emails: set[str] = set()
    for lead in data["leads"]:
        reasons += a_person(lead["email"], lead["name"]) + key_form(lead["key"])
        if lead["key"] in seen_keys or lead["email"] in seen_emails:
            reasons.append(
                KeyTaken(f"{lead['email']}: a lead or key that is named twice", location="leads", clause="RP-14")
            )
        seen_keys.add(lead["key"])
        seen_emails.add(lead["email"])
    return reasons


def _continues(old: Mapping[str, Any] | None) -> list[RegistryError]:
    """The head of a registry that this one goes on from, as its ledger names it."""
    if old is None:
        return []
    line_text(old["place"], where="continues")
    if _ID.fullmatch(old["registry"]) and _HASH.fullmatch(old["hash"]) and old["seq"] >= 1:
        return []
    return [BadValue("continues: registry, seq and hash of a head", location="continues")]


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
    policy = policy_from(data["policy"], Risk(data["risk"]))
    if policy.document != data["policy"]:
        reasons.append(BadConfig("the policy is not written out in full"))
    if policy.risk is Risk.HIGH and policy.retention_years < LEGAL_YEARS:
        told = f"retention_years = {policy.retention_years}: a high-risk system's records are kept {LEGAL_YEARS} years (Art. 18)"
        reasons.append(RetentionShort(told, location="policy.retention_years", clause="RP-4"))
    return reasons


def approver_added(state: State, event: Event) -> list[RegistryError]:
    """Decide an enrolment."""
    data, address = event.data, event.subject["approver"]
    if data["role"] not in {role.value for role in Role}:
        return [FormatTooNew(f"role {data['role']!r} is not known to this tool")]
    reasons = enrolment(state, address, data["name"], data["key"])
    return [*reasons, *signing.signature(state, event, "approver.add", controls.details(event.subject, data))]


def approver_revoked(state: State, event: Event) -> list[RegistryError]:
    """Decide a revocation; the last active lead stays while the register is open, where one more can be enrolled.

    With ``key``: what is said of a key that signs no more.
    """
    address, reason = event.subject["approver"], event.data["reason"]
    found = state.approvers.get(address)
    if found is None:
        return [ApproverUnknown(f"{address} is not in the roster", location=address, hint="mreg approver list")]
    reasons = _reason(reason)
    if "key" in event.data:
        reasons += former_key(state, address, event.data["key"], event.data["compromised_since"])
    elif found.revoked_seq is not None:
        reasons.append(IdentityTaken(f"{address} was revoked on {found.revoked_at} already", location=address))
    elif found.role is Role.LEAD and len(state.active_leads()) == 1 and state.closed is None:
        hint = 'mreg approver add "Name <email>" --role ai-governance-lead --public-key FILE --as EMAIL'
        told = f"{address} is the last active lead; enrol another one first"
        reasons.append(LastLead(told, clause="RP-14", hint=hint))
    reasons += _since(event.data["compromised_since"], event)
    details = controls.details(event.subject, event.data)
    return [*reasons, *signing.signature(state, event, "approver.revoke", details)]


def _since(text: str | None, event: Event) -> list[RegistryError]:
    """A key was compromised at a time in its one spelling that has come."""
    if text is None:
        return []
    if normal_stamp(text, where="compromised_since") != text:
        return [BadTime(f"compromised_since: {text!r} is not in the form of the ledger", location="compromised_since")]
    if parse_time(text) <= moment_of(event) + CLOCK_SLACK:
        return []
    told = f"compromised_since: {text} has not come yet"
    return [DateInFuture(told, location="compromised_since", clause="RP-19")]


def _reason(text: str) -> list[RegistryError]:
    free_text(text, where="reason")
    return (
        []
        if text.strip()
        else [ReasonMissing("a revocation needs a reason", location="reason", hint='add --reason "…"')]
    )


def _provider_keys_free(state: State, oidc: Mapping[str, Any]) -> list[RegistryError]:
    """A provider's keys serve all of its pipelines, but are no person's, no pipeline's own and no other provider's."""
    mine = ("identity provider", oidc["issuer"])
    taken = [line for line in provider_keys(oidc) if state.keys.get(line, mine) != mine]
    return [reason for line in taken for reason in key_free(state, line, hint="mreg pipeline list")]


def pipeline_added(state: State, event: Event) -> list[RegistryError]:
    """Decide the enrolment of a pipeline: with a key of its own, or with what its identity tokens must say."""
    name, key, oidc = event.subject["pipeline"], event.data["key"], event.data["oidc"]
    label(name, where="pipeline")
    if (key is None) == (oidc is None):
        return [BadEnrolment(f"pipeline {name}: a key of its own or identity tokens, one of the two", location="oidc")]
    if oidc is None:
        reasons = [*key_form(key), *key_free(state, key)]
    else:
        reasons = [*enrolment_reasons(oidc, state.registry_id), *_provider_keys_free(state, oidc)]
    standing = state.pipelines.get(name)
    if standing is not None and standing.revoked_seq is None:
        told = f"pipeline {name} is enrolled already; it is given new keys once the old ones are revoked"
        hint = f'mreg pipeline revoke {name} --reason "…" --as EMAIL'
        reasons.append(IdentityTaken(told, location=name, clause="RP-14", hint=hint))
    elif standing is not None and (standing.oidc is None) != (oidc is None):
        known = "a key of its own" if standing.oidc is None else "identity tokens"
        told = f"pipeline {name} was known by {known}; that stays so under this name: take another name"
        reasons.append(IdentityTaken(told, location=name, clause="RP-14", hint="mreg pipeline list"))
    return [*reasons, *signing.signature(state, event, "pipeline.add", controls.details(event.subject, event.data))]


def pipeline_revoked(state: State, event: Event) -> list[RegistryError]:
    """Decide the revocation of a pipeline."""
    name, reason = event.subject["pipeline"], event.data["reason"]
    found = state.pipelines.get(name)
    if found is None:
        return [PipelineUnknown(f"pipeline {name} is not enrolled", location=name, hint="mreg pipeline list")]
    reasons = _reason(reason)
    if found.revoked_seq is not None:
        reasons.append(IdentityTaken(f"pipeline {name} was revoked on {found.revoked_at} already", location=name))
    return [*reasons, *signing.signature(state, event, "pipeline.revoke", {"pipeline": name, "reason": reason})]


def policy_signed(state: State, event: Event) -> list[RegistryError]:
    """Decide a policy: it must be valid for its risk class and signed by an active lead (clauses RP-4, RP-14)."""
    return [*_in_force(event), *signing.signature(state, event, "policy.sign", controls.details({}, event.data))]


def baseline_signed(state: State, event: Event) -> list[RegistryError]:
    """Decide the confirmation of a baseline by a lead."""
    name = event.data["id"]
    found = state.baselines.get(name)
    if found is None:
        return [ApprovalUnknown(f"no baseline {name!r}", location=name, hint="mreg approval list")]
    if found.signed_seq is not None:
        return [ApprovalClosed(f"baseline {name} was confirmed on {found.signed_at} already", location=name)]
    return signing.signature(state, event, "baseline.confirm", controls.baseline_details(state, name))
