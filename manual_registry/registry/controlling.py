"""`approver`, `pipeline`, `policy`: who may do what, changed by a lead's signature only (clause RP-14)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manual_registry.adapters import keys
from manual_registry.core import closing, delegations
from manual_registry.core.errors import ApproverUnknown, UsageError
from manual_registry.core.statements import fingerprint
from manual_registry.core.times import parse_time, stamp
from manual_registry.core.values import Role, email, free_text, label, person
from manual_registry.registry.access import read
from manual_registry.registry.asking import change, unchanged

if TYPE_CHECKING:
    from manual_registry.core.results import Result
    from manual_registry.core.state import Approver, State
    from manual_registry.registry.workspace import Workspace


def approver_add(
    work: Workspace, who: str, *, role: str, public_key: Path, as_: str | None, key: Path | None
) -> Result:
    """Enrol an approver; see :meth:`manual_registry.Registry.approver_add`."""
    name, address = person(who, where="approver")
    if role not in {known.value for known in Role}:
        raise UsageError(f"role {role!r}: one of {', '.join(Role)}")
    line = keys.load_public(public_key).line()
    subject, data = {"approver": address}, {"name": name, "role": role, "key": line}
    known = work.load().state.approvers.get(address)
    if (
        known is not None
        and known.revoked_seq is None
        and (known.name, known.role.value, known.key) == (name, role, line)
    ):
        return unchanged(work, "approver-add", address)
    return change(
        work,
        "approver-add",
        action="approver.add",
        subject=subject,
        data=data,
        as_=as_,
        key=key,
        id=address,
        next="mreg approver list",
    )


def approver_revoke(
    work: Workspace,
    address: str,
    *,
    reason: str,
    compromised_since: str | None,
    former_key: str | None,
    as_: str | None,
    key: Path | None,
) -> Result:
    """Revoke an approver: their signatures count up to this event, not after it.

    With ``former_key`` (a fingerprint) nobody is revoked: of a key that signs no more it is said since when somebody
    else had it.
    """
    since = stamp(parse_time(compromised_since, where="--compromised-since")) if compromised_since else None
    subject = {"approver": email(address, where="approver")}
    text = free_text(reason, where="reason")
    state = work.load().state
    if former_key is not None:
        return _former(work, subject, _entry(state, subject["approver"], former_key), text, since, as_, key)
    standing = state.approvers.get(subject["approver"])
    same = standing is not None and standing.revoked_seq is not None
    if same and standing is not None and (standing.reason, standing.compromised_since) == (text, since):
        return unchanged(work, "approver-revoke", subject["approver"])
    work.warn(closing.without_leads(state, subject["approver"]))
    return change(
        work,
        "approver-revoke",
        action="approver.revoke",
        subject=subject,
        data={"reason": text, "compromised_since": since},
        as_=as_,
        key=key,
        id=subject["approver"],
        next="mreg approver list",
    )


def _entry(state: State, address: str, print_: str) -> Approver:
    """Return the roster's entry of ``address`` whose key has the fingerprint ``print_`` (`approver list` shows them)."""
    mine = [one for one in state.all_approvers() if one.email == address]
    found = next((one for one in mine if fingerprint(one.key) == print_), None)
    if found is None:
        told = f"{address} never had a key with the fingerprint {print_}"
        raise ApproverUnknown(told, location="--former-key", clause="RP-14", hint="mreg approver list")
    return found


def _former(
    work: Workspace,
    subject: Mapping[str, str],
    entry: Approver,
    reason: str,
    since: str | None,
    as_: str | None,
    key: Path | None,
) -> Result:
    """Say of a key that signs no more since when somebody else had it."""
    if since is None:
        raise UsageError("--former-key says since when somebody else had it: add --compromised-since TIME")
    if entry.revoked_seq is not None and entry.compromised_since == since:
        return unchanged(work, "approver-revoke", entry.email)
    return change(
        work,
        "approver-revoke",
        action="approver.revoke",
        subject=subject,
        data={"reason": reason, "compromised_since": since, "key": entry.key},
        as_=as_,
        key=key,
        id=entry.email,
        next="mreg verify",
    )


def pipeline_add(
    work: Workspace,
    name: str,
    *,
    public_key: Path | None,
    oidc: Path | None,
    jwks: Path | None,
    as_: str | None,
    key: Path | None,
) -> Result:
    """Enrol a pipeline with a key of its own, or with what its identity tokens must say and who signs them."""
    subject = {"pipeline": label(name, where="pipeline")}
    data, told = _known_by(public_key, oidc, jwks)
    work.warn(*told)
    known = work.load().state.pipelines.get(name)
    if known is not None and known.revoked_seq is None and (known.key, known.oidc) == (data["key"], data["oidc"]):
        return unchanged(work, "pipeline-add", name)
    return change(
        work,
        "pipeline-add",
        action="pipeline.add",
        subject=subject,
        data=data,
        as_=as_,
        key=key,
        id=name,
        next="mreg pipeline list",
    )


def _known_by(public_key: Path | None, oidc: Path | None, jwks: Path | None) -> tuple[dict[str, Any], list[str]]:
    """Read what a pipeline is known by, and what the lead who signs is to be told."""
    if (public_key is None) == (oidc is None) or (oidc is None) != (jwks is None):
        raise UsageError(
            "a pipeline has a key of its own (--public-key FILE) or identity tokens (--oidc FILE and --jwks FILE)"
        )
    if public_key is not None:
        return {"key": keys.load_public(public_key).line(), "oidc": None}, []
    from manual_registry.adapters.identity import load_enrolment, load_key_set
    from manual_registry.core.oidc import enrolment

    found, told = enrolment(load_enrolment(oidc or Path()), load_key_set(jwks or Path()))
    return {"key": None, "oidc": found}, told


#: What `pipeline template` writes -> the text that the package ships.
_TEMPLATES = {
    "github": "github-actions.yml",
    "gitlab": "gitlab-ci.yml",
    "github-oidc": "oidc-github.toml",
    "gitlab-oidc": "oidc-gitlab.toml",
}


def pipeline_template(work: Workspace, which: str) -> str:
    """Return a workflow or a start of an enrolment file, with this registry's id in it."""
    from manual_registry.adapters.templates import read_template

    if which not in _TEMPLATES:
        raise UsageError(f"no template {which!r}; one of {', '.join(_TEMPLATES)}")
    return read_template(_TEMPLATES[which]).replace("REGISTRY_ID", read(work).state.registry_id)


def pipeline_facts(public_key: Path | None, oidc: Path | None, jwks: Path | None) -> dict[str, str]:
    """Return what a lead reads before signing the enrolment of a pipeline; raises what is wrong with the files."""
    from manual_registry.core.jwks import public_key as public_key_of

    found = _known_by(public_key, oidc, jwks)[0]
    if found["oidc"] is None:
        return {"public key": f"{public_key}  {fingerprint(found['key'])}"}
    told = found["oidc"]
    return {
        "tokens of": told["issuer"],
        "for": told["audience"],
        "with": ", ".join(f"{name} = {value}" for name, value in told["claims"].items()),
        "signed by": ", ".join(
            f"{one.get('kid', 'its one key')} ({public_key_of(one).fingerprint})" for one in told["keys"]
        ),
        "algorithms": ", ".join(told["algorithms"]),
    }


def pipeline_revoke(work: Workspace, name: str, *, reason: str, as_: str | None, key: Path | None) -> Result:
    """Revoke a pipeline."""
    subject, text = {"pipeline": name}, free_text(reason, where="reason")
    standing = work.load().state.pipelines.get(name)
    if standing is not None and standing.revoked_seq is not None and standing.reason == text:
        return unchanged(work, "pipeline-revoke", name)
    return change(
        work,
        "pipeline-revoke",
        action="pipeline.revoke",
        subject=subject,
        data={"reason": text},
        as_=as_,
        key=key,
        id=name,
        next="mreg pipeline list",
    )


def policy_sign(work: Workspace, *, as_: str | None, key: Path | None) -> Result:
    """Put registry.toml's system, risk, placed-on-market date and [policy] in force."""
    wanted = work.config.governed()
    if not work.policy_differences(work.load().state):
        return unchanged(work, "policy-sign", "policy")
    done = change(
        work,
        "policy-sign",
        action="policy.sign",
        subject={},
        data=wanted,
        as_=as_,
        key=key,
        id="policy",
        next="mreg policy show",
    )
    return replace(done, warnings=tuple(one for one in done.warnings if not one.startswith("registry.toml differs")))


# -- what stands ------------------------------------------------------------------------------------------


def approver_list(work: Workspace) -> list[dict[str, Any]]:
    """Return the roster's people, revoked ones and former keys included."""
    state, day = read(work).state, work.now()[:10]
    return [
        {"name": one.name, "email": one.email, "role": one.role.value, "fingerprint": fingerprint(one.key), "key": one.key,
         "since": one.added_at, "revoked_at": one.revoked_at, "reason": one.reason, "added_by": one.added_by,
         "compromised_since": one.compromised_since,
         "delegations": [dict(delegations.row(each, one, day)) for each in delegations.granted_to(state, one)]}
        for one in state.all_approvers()
    ]  # fmt: skip


def pipeline_list(work: Workspace) -> list[dict[str, Any]]:
    """Return the enrolled pipelines, revoked ones and former keys included."""
    return [
        {"name": one.name, "fingerprint": fingerprint(one.key) if one.key else None, "key": one.key, "oidc": one.oidc,
         "since": one.added_at, "revoked_at": one.revoked_at, "reason": one.reason, "added_by": one.added_by}
        for one in read(work).state.all_pipelines()
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
    return anchor_line(work, read(work).state)


def anchor_line(work: Workspace, state: State) -> str:
    """Return the line for the head of ``state``."""
    leads = ",".join(f"{one.email}={fingerprint(one.key)}" for one in state.active_leads()) or "none"
    return f"manual-registry anchor registry={state.registry_id} {state.head_seq}:{state.head_hash} at={work.now()} leads={leads}"
