"""Requests to leads: which changes there are, what a lead signs of each, what a request asks (clause RP-14).

A change is signed either at once, bound to the event directly before, or as the answer to a request: then the statement
names the request (its id, and the event that opened it), so that the signature may be made elsewhere while the ledger
goes on. Either way a signature serves once: an event is the next one only once, and a request is answered once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from manual_registry.core import events as kinds
from manual_registry.core.errors import EventUnreadable, FormatTooNew, Json
from manual_registry.core.ledger import Draft, Event
from manual_registry.core.state import Baseline, ControlRequest, State

#: What a lead signs -> the type of the event that holds the signature.
ACTIONS: Final[Mapping[str, str]] = {
    "approver.add": kinds.APPROVER_ADDED,
    "approver.revoke": kinds.APPROVER_REVOKED,
    "approver.delegate": kinds.DELEGATED,
    "pipeline.add": kinds.PIPELINE_ADDED,
    "pipeline.revoke": kinds.PIPELINE_REVOKED,
    "policy.sign": kinds.POLICY_SIGNED,
    "exception.grant": kinds.EXCEPTION_GRANTED,
    "registry.close": kinds.CLOSED,
}
#: The ``kind`` of `approval list`.
KINDS: Final[Mapping[str, str]] = {
    "approver.add": "roster",
    "approver.revoke": "roster",
    "approver.recover": "roster",
    "approver.delegate": "delegation",
    "pipeline.add": "pipeline",
    "pipeline.revoke": "pipeline",
    "policy.sign": "policy",
    "exception.grant": "exception",
    "registry.close": "closing",
    "baseline.confirm": "baseline",
}
BASELINE: Final = "baseline.confirm"
REJECT: Final = "request.reject"

#: What a signature may answer.
Asked = ControlRequest | Baseline


def action_of(asked: Asked) -> str:
    """Return what a lead who agrees signs."""
    return BASELINE if isinstance(asked, Baseline) else asked.action


def find(state: State, name: str) -> Asked | None:
    """Return the request or baseline ``name``."""
    return state.controls.get(name) or state.baselines.get(name)


def status(asked: Asked) -> str:
    """Return the status of the contract (requested, used, rejected, withdrawn, lapsed)."""
    if isinstance(asked, Baseline):
        return "requested" if asked.signed_seq is None else "used"
    return asked.status


def details(subject: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Json]:
    """Return what a lead signs of a change: every member of its subject and data."""
    return {**subject, **{name: value for name, value in data.items() if name != "control"}}


def baseline_details(state: State, id: str) -> dict[str, Json]:
    """Return what a lead signs when a baseline is confirmed.

    The hash of the event that opened it binds every adopted version with content and stated stage; ten thousand of them
    written out once more would make every trace read megabytes.
    """
    found = state.baselines[id]
    stages: dict[str, Json] = dict(sorted(Counter(str(one["stage"]) for one in found.versions).items()))
    opened: dict[str, Json] = {"seq": found.seq, "hash": found.hash}
    return {"id": id, "source": found.source, "sha256": found.sha256, "opened": opened, "stages": stages}


def details_of(state: State, asked: Asked) -> dict[str, Json]:
    """Return what a lead signs who agrees to ``asked``."""
    return baseline_details(state, asked.id) if isinstance(asked, Baseline) else details(asked.subject, asked.data)


def draft_of(asked: Asked, control: Mapping[str, Any]) -> Draft:
    """Return the event that a lead's signature makes of ``asked``."""
    if isinstance(asked, Baseline):
        return Draft(type=kinds.BASELINE_SIGNED, subject={}, data={"id": asked.id, "control": dict(control)})
    kind = ACTIONS[asked.action]
    return Draft(type=kind, subject=dict(asked.subject), data={**asked.data, "control": dict(control)})


def rejection_of(asked: ControlRequest, comment: str, control: Mapping[str, Any]) -> Draft:
    """Return the event by which a lead says no."""
    return Draft(
        type=kinds.CONTROL_REJECTED, subject={}, data={"id": asked.id, "comment": comment, "control": dict(control)}
    )


def _known_by(data: Mapping[str, Any]) -> str:
    """Say all that a pipeline's identity tokens must say: whoever signs it says who may promote."""
    oidc = data["oidc"]
    if oidc is None:
        return ""
    pins = ", ".join(f"{name} = {value}" for name, value in oidc["claims"].items())
    return f" by identity tokens of {oidc['issuer']} for {oidc['audience']} with {pins} ({len(oidc['keys'])} keys)"


def check_request(event: Event) -> None:
    """Raise unless a ``control.requested`` has the form of the event that a signature makes of it.

    :class:`FormatTooNew` for an action or member that this tool does not know, :class:`EventUnreadable` otherwise.
    """
    data = event.data
    kind = ACTIONS.get(data["action"])
    if kind is None:
        raise FormatTooNew(
            f"event {event.seq} asks to {data['action']}, which this tool does not know; it was written by a newer one",
            location=f"ledger/{event.seq:012d}.json",
            hint="pip install -U manual-registry",
        )
    if "control" in data["data"]:
        raise EventUnreadable("a request holds no signature")
    nobody = {"signer": "", "statement": "", "signature": ""}
    kinds.check_shape(replace(event, type=kind, subject=data["subject"], data={**data["data"], "control": nobody}))


def told(action: str, subject: Mapping[str, Any], data: Mapping[str, Any]) -> str:
    """Say in one phrase what a change does."""
    match action:
        case "approver.add":
            return f"enrol {data['name']} <{subject['approver']}> as {data['role']}"
        case "approver.recover":
            return f"enrol {data['name']} <{subject['approver']}> as ai-governance-lead, by the recovery key"
        case "approver.revoke" if "key" in data:
            since = f"as compromised since {data['compromised_since']}: {data['reason']}"
            return f"tell the former key {data['key']} of {subject['approver']} {since}"
        case "approver.revoke":
            return f"revoke {subject['approver']}: {data['reason']}"
        case "approver.delegate":
            scope = f"for {data['models']} from {data['from']} until {data['until']}"
            return f"delegate to {subject['approver']} {scope}: {data['reason']}"
        case "pipeline.add":
            return f"enrol pipeline {subject['pipeline']}{_known_by(data)}"
        case "pipeline.revoke":
            return f"revoke pipeline {subject['pipeline']}: {data['reason']}"
        case "policy.sign":
            return f"put a policy in force ({data['risk']} risk)"
        case "exception.grant":
            gate = f"the failed {data['gate']} gate of {subject['model']}@{subject['version']}"
            return f"let {gate} through until {data['expires']}"
        case "registry.close":
            return f"close this register, which goes on at {data['successor']}: {data['reason']}"
    return action
