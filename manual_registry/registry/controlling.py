"""`approver`, `pipeline`, `policy`: who may do what, changed by a lead's signature only (clause RP-14)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manual_registry.adapters import keys
from manual_registry.core import events as kinds
from manual_registry.core.decide.control import approver_details, baseline_details, policy_details
from manual_registry.core.errors import ControlRefused, Json, UsageError, raise_for
from manual_registry.core.ledger import Draft, seal
from manual_registry.core.sshkeys import parse_public_key
from manual_registry.core.state import State
from manual_registry.core.statements import CONTROL_NAMESPACE, control_line, fingerprint
from manual_registry.core.values import Email, Role, email, free_text, label, person
from manual_registry.registry.access import read, writing

if TYPE_CHECKING:
    from manual_registry.core.results import Result
    from manual_registry.registry.workspace import Workspace


def _control(
    work: Workspace,
    command: str,
    *,
    action: str,
    kind: str,
    subject: Mapping[str, str],
    body: Callable[[State], dict[str, Any]],
    details: Callable[[dict[str, Any]], Mapping[str, Json]],
    as_: str,
    key: Path | None,
    id: str,
    next: str | None = None,
) -> Result:
    """Sign and write one change of roster, pipelines or policy; the signature binds the event directly before."""
    signer_email = email(as_, where="--as")
    state = work.load().state
    draft_body = body(state)
    key_line, role = _key_of(state, signer_email, {**subject, **draft_body})
    signer = keys.signer_for(
        key, parse_public_key(key_line), terminal=work.passphrase is not None, passphrase=work.passphrase
    )
    work.warn(*getattr(signer, "warnings", ()))

    def build(state: State, at: str) -> Draft:
        data = body(state)
        line = control_line(
            state, action=action, signer=signer_email, key=key_line, role=role, details=details(data), issued_at=at
        )
        control = {"signer": signer_email, "statement": line.decode(), "signature": ""}
        _refuse_before_signing(work, state, Draft(type=kind, subject=subject, data={**data, "control": control}), at)
        control["signature"] = signer.sign(line, namespace=CONTROL_NAMESPACE)
        return Draft(type=kind, subject=subject, data={**data, "control": control})

    with writing(work) as loaded:
        work.append(loaded, build)
    return work.result(command, loaded, id=id, next=next)


def _key_of(state: State, signer: Email, body: Mapping[str, Any]) -> tuple[str, str]:
    """Return the signer's key and role: from the roster, or their own first enrolment (``body``, subject included)."""
    found = state.approvers.get(signer)
    if found is not None:
        return found.key, found.role.value
    own = body.get("approver") == signer and body.get("role") == Role.LEAD.value
    if own and not any(one.role is Role.LEAD for one in state.approvers.values()):
        return str(body["key"]), Role.LEAD.value
    raise ControlRefused(
        f"{signer} is no active ai-governance-lead; only a lead changes roster, pipelines and policy",
        clause="RP-14",
        hint="mreg approver list",
    )


def _refuse_before_signing(work: Workspace, state: State, draft: Draft, at: str) -> None:
    """Tell every reason but the missing signature before a person is asked for a passphrase."""
    from manual_registry.core.decide import decide

    event = seal(draft, seq=state.head_seq + 1, prev=state.head_hash, at=at, actor=work.actor)
    raise_for(
        one
        for one in decide(state, event)
        if not (isinstance(one, ControlRefused) and "signature does not hold" in one.message)
    )


def approver_add(work: Workspace, who: str, *, role: str, public_key: Path, as_: str, key: Path | None) -> Result:
    """Enrol an approver; see :meth:`manual_registry.Registry.approver_add`."""
    name, address = person(who, where="approver")
    if role not in {known.value for known in Role}:
        raise UsageError(f"role {role!r}: one of {', '.join(Role)}")
    line = keys.load_public(public_key).line()
    subject, data = {"approver": address}, {"name": name, "role": role, "key": line}
    standing = work.load().state
    known = standing.approvers.get(address)
    if (
        known is not None
        and known.revoked_seq is None
        and (known.name, known.role.value, known.key) == (name, role, line)
    ):
        return _unchanged(work, "approver-add", address)
    first = not any(one.role is Role.LEAD for one in standing.approvers.values())
    if first:
        work.warn(
            f"{address} is the first lead of this registry and enrolled by signing with their own key: tell everyone"
        )
    return _control(
        work,
        "approver-add",
        action="approver.add",
        kind=kinds.APPROVER_ADDED,
        subject=subject,
        body=lambda _state: dict(data),
        details=lambda data: approver_details(subject, data),
        as_=as_,
        key=key,
        id=address,
        next="mreg approver list",
    )


def _unchanged(work: Workspace, command: str, id: str) -> Result:
    return work.result(command, work.load(), id=id)


def approver_revoke(work: Workspace, address: str, *, reason: str, as_: str, key: Path | None) -> Result:
    """Revoke an approver: their signatures count up to this event, not after it."""
    subject = {"approver": email(address, where="approver")}
    text = free_text(reason, where="reason")
    standing = work.load().state.approvers.get(subject["approver"])
    if standing is not None and standing.revoked_seq is not None and standing.reason == text:
        return _unchanged(work, "approver-revoke", subject["approver"])
    return _control(
        work,
        "approver-revoke",
        action="approver.revoke",
        kind=kinds.APPROVER_REVOKED,
        subject=subject,
        body=lambda _state: {"reason": text},
        details=lambda data: {**subject, "reason": data["reason"]},
        as_=as_,
        key=key,
        id=subject["approver"],
        next="mreg approver list",
    )


def pipeline_add(work: Workspace, name: str, *, public_key: Path, as_: str, key: Path | None) -> Result:
    """Enrol a pipeline with a key of its own."""
    subject, line = {"pipeline": label(name, where="pipeline")}, keys.load_public(public_key).line()
    known = work.load().state.pipelines.get(name)
    if known is not None and known.revoked_seq is None and known.key == line:
        return _unchanged(work, "pipeline-add", name)
    return _control(
        work,
        "pipeline-add",
        action="pipeline.add",
        kind=kinds.PIPELINE_ADDED,
        subject=subject,
        body=lambda _state: {"key": line},
        details=lambda data: {**subject, "key": data["key"]},
        as_=as_,
        key=key,
        id=name,
        next="mreg pipeline list",
    )


def pipeline_revoke(work: Workspace, name: str, *, reason: str, as_: str, key: Path | None) -> Result:
    """Revoke a pipeline."""
    subject, text = {"pipeline": name}, free_text(reason, where="reason")
    standing = work.load().state.pipelines.get(name)
    if standing is not None and standing.revoked_seq is not None and standing.reason == text:
        return _unchanged(work, "pipeline-revoke", name)
    return _control(
        work,
        "pipeline-revoke",
        action="pipeline.revoke",
        kind=kinds.PIPELINE_REVOKED,
        subject=subject,
        body=lambda _state: {"reason": text},
        details=lambda data: {**subject, "reason": data["reason"]},
        as_=as_,
        key=key,
        id=name,
        next="mreg pipeline list",
    )


def policy_sign(work: Workspace, *, as_: str, key: Path | None) -> Result:
    """Put registry.toml's system, risk, placed-on-market date and [policy] in force."""
    wanted = work.config.governed()
    if not work.policy_differences(work.load().state):
        return _unchanged(work, "policy-sign", "policy")
    done = _control(
        work,
        "policy-sign",
        action="policy.sign",
        kind=kinds.POLICY_SIGNED,
        subject={},
        body=lambda _state: dict(wanted),
        details=policy_details,
        as_=as_,
        key=key,
        id="policy",
        next="mreg policy show",
    )
    return replace(done, warnings=tuple(one for one in done.warnings if not one.startswith("registry.toml differs")))


def baseline_sign(work: Workspace, id: str, *, as_: str, key: Path | None) -> Result:
    """Confirm what an adopted sheet stated, all of it with one signature (design 3.4)."""
    found = work.load().state.baselines[id]
    if found.signed_seq is not None and found.signer == email(as_, where="--as"):
        return _unchanged(work, "approval-sign", id)
    return _control(
        work,
        "approval-sign",
        action="baseline.confirm",
        kind=kinds.BASELINE_SIGNED,
        subject={},
        body=lambda _state: {"id": id},
        details=lambda data: baseline_details(work.load().state, data["id"]),
        as_=as_,
        key=key,
        id=id,
        next="mreg verify",
    )


# -- what stands ------------------------------------------------------------------------------------------


def approver_list(work: Workspace) -> list[dict[str, Any]]:
    """Return the roster's people, revoked ones included."""
    return [
        {"name": one.name, "email": one.email, "role": one.role.value, "fingerprint": fingerprint(one.key), "key": one.key,
         "since": one.added_at, "revoked_at": one.revoked_at, "reason": one.reason, "added_by": one.added_by}
        for one in read(work).state.approvers.values()
    ]  # fmt: skip


def pipeline_list(work: Workspace) -> list[dict[str, Any]]:
    """Return the enrolled pipelines, revoked ones included."""
    return [
        {"name": one.name, "fingerprint": fingerprint(one.key), "key": one.key, "since": one.added_at,
         "revoked_at": one.revoked_at, "reason": one.reason, "added_by": one.added_by}
        for one in read(work).state.pipelines.values()
    ]  # fmt: skip


def policy_show(work: Workspace) -> dict[str, Any]:
    """Return the policy in force, since when, and how registry.toml differs."""
    from manual_registry.registry.workspace import governed

    state = read(work).state
    found = work.policy_differences(state)
    return {
        "schema": "manual-registry/policy-show/1",
        "in_force": governed(state),
        "since": {"seq": state.policy_seq, "at": state.policy_at},
        "signed_by": state.policy_by,
        "sha256": state.policy.sha256,
        "differs": bool(found),
        "differences": [
            {"setting": one.setting, "in_force": one.in_force, "file": one.file, "weaker": one.weaker} for one in found
        ],
    }


def anchor(work: Workspace) -> str:
    """Return one line that names the head, to mail, print or commit (clause RP-13)."""
    state = read(work).state
    leads = ",".join(f"{one.email}={fingerprint(one.key)}" for one in state.active_leads()) or "none"
    return f"manual-registry anchor registry={state.registry_id} {state.head_seq}:{state.head_hash} at={work.now()} leads={leads}"
