"""Events of control: genesis, policy, approvers, pipelines, baselines."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from manual_registry.core.folding.controls import answered
from manual_registry.core.jwks import provider_keys
from manual_registry.core.policy import policy_from
from manual_registry.core.records import Approver, Baseline, Pipeline
from manual_registry.core.values import Risk, Role, Stage

if TYPE_CHECKING:
    from manual_registry.core.ledger import Event
    from manual_registry.core.state import State


def created(state: State, event: Event) -> None:
    """Fold ``registry.created``."""
    data = event.data
    state.registry_id = event.hash.removeprefix("sha256:")[:32]
    state.created_at = event.at
    _in_force(state, event)
    state.recovery_key, state.continues = data["recovery_key"], data["continues"]
    if state.recovery_key is not None:
        state.keys.setdefault(state.recovery_key, ("recovery key", "of this registry"))
    for lead in data["leads"]:
        _enrol(state, event, str(lead["email"]), str(lead["name"]), Role.LEAD, str(lead["key"]), by=event.actor)


def _in_force(state: State, event: Event) -> None:
    state.system = event.data["system"]
    state.risk = Risk(event.data["risk"])
    state.placed_on_market = event.data["placed_on_market"]
    state.policy = policy_from(event.data["policy"], state.risk)
    state.policy_seq, state.policy_at = event.seq, event.at
    state.policies.append((event.seq, state.policy))


def policy_signed(state: State, event: Event) -> None:
    """Fold ``policy.signed``."""
    _in_force(state, event)
    state.policy_by = str(event.data["control"]["signer"])
    answered(state, event)
    for request in state.controls.values():  # written against the policy that was in force before
        if request.action == "policy.sign" and request.status == "requested":
            request.status = "lapsed"


def _enrol(state: State, event: Event, email: str, name: str, role: Role, key: str, *, by: str) -> None:
    earlier = state.approvers.pop(email, None)
    if earlier is not None:  # a new key for the same person: what the old one signed stays judged by it
        if earlier.revoked_seq is None:  # by the recovery key, which replaces a key that is lost
            earlier.revoked_seq, earlier.revoked_at, earlier.reason = (
                event.seq,
                event.at,
                "replaced by the recovery key",
            )
        state.former_approvers.append(earlier)
    state.approvers[email] = Approver(
        email=email, name=name, role=role, key=key, added_seq=event.seq, added_at=event.at, added_by=by
    )
    state.keys.setdefault(key, ("approver", email))


def approver_added(state: State, event: Event) -> None:
    """Fold ``roster.added``."""
    data = event.data
    by = str(data["control"]["signer"])
    _enrol(state, event, event.subject["approver"], data["name"], Role(data["role"]), data["key"], by=by)
    answered(state, event)


def recovered(state: State, event: Event) -> None:
    """Fold ``roster.recovered``: a lead enrolled by the recovery key."""
    data = event.data
    _enrol(state, event, event.subject["approver"], data["name"], Role.LEAD, data["key"], by="recovery")


def approver_revoked(state: State, event: Event) -> None:
    """Fold ``roster.revoked``; with ``key`` it tells of a key that signs no more since when somebody else had it."""
    address, line = event.subject["approver"], event.data.get("key")
    found = state.approvers.get(address)
    if line is not None:
        for former in (one for one in state.all_approvers() if (one.email, one.key) == (address, line)):
            former.reason = "; ".join(one for one in (former.reason, event.data["reason"]) if one)
            former.compromised_since = event.data["compromised_since"]
    elif found is not None:
        found.revoked_seq, found.revoked_at, found.reason = event.seq, event.at, event.data["reason"]
        found.compromised_since = event.data["compromised_since"]
    _doubt_closing(state)
    answered(state, event)


def _doubt_closing(state: State) -> None:
    """Note of a closed register that somebody else may have had the key which closed it."""
    closed = state.closed
    signer = state.approver_at(closed.by, closed.seq) if closed is not None else None
    since = signer.compromised_since if signer is not None else None
    if closed is not None and since is not None and since <= closed.at:
        state.closed = replace(closed, doubted_since=since)


def pipeline_added(state: State, event: Event) -> None:
    """Fold ``pipeline.added``."""
    name, key, oidc = event.subject["pipeline"], event.data["key"], event.data["oidc"]
    by = str(event.data["control"]["signer"])
    earlier = state.pipelines.pop(name, None)
    if earlier is not None:
        state.former_pipelines.append(earlier)
    state.pipelines[name] = Pipeline(name=name, key=key, oidc=oidc, added_seq=event.seq, added_at=event.at, added_by=by)
    if key is not None:
        state.keys.setdefault(key, ("pipeline", name))
    answered(state, event)
    for line in provider_keys(oidc):
        state.keys.setdefault(line, ("identity provider", oidc["issuer"]))


def pipeline_revoked(state: State, event: Event) -> None:
    """Fold ``pipeline.revoked``."""
    found = state.pipelines.get(event.subject["pipeline"])
    if found is not None:
        found.revoked_seq, found.revoked_at, found.reason = event.seq, event.at, event.data["reason"]
    answered(state, event)


def baseline_opened(state: State, event: Event) -> None:
    """Fold ``baseline.opened``."""
    data = event.data
    name = f"A{event.seq}"
    state.baselines[name] = Baseline(
        id=name,
        source=data["source"],
        sha256=data["sha256"],
        versions=list(data["versions"]),
        seq=event.seq,
        hash=event.hash,
        at=event.at,
        actor=event.actor,
    )


def baseline_signed(state: State, event: Event) -> None:
    """Fold ``baseline.signed``."""
    found = state.baselines.get(event.data["id"])
    if found is not None:
        found.signed_seq, found.signed_at = event.seq, event.at
        found.signer = str(event.data["control"]["signer"])
        for one in found.versions:
            record = state.version(one["model"], one["version"])
            if record is None or not record.adopted:
                continue
            if (record.blake3, record.adopted["stage"]) == (one["blake3"], one["stage"]):
                record.confirmed = found.id
                # What the sheet stated counts from here on: a rollback may go back to it.
                record.was_production = record.was_production or one["stage"] == Stage.PRODUCTION.value
