"""May a lead be asked for this change, a statement be issued for it, the request be withdrawn, or be refused by a lead?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from manual_registry.core import controls
from manual_registry.core import events as kinds
from manual_registry.core.controls import Asked
from manual_registry.core.decide import closing, control, delegating, signing
from manual_registry.core.decide.common import moment_of
from manual_registry.core.errors import (
    ApprovalUnknown,
    FormatTooNew,
    ReasonMissing,
    RegistryError,
)
from manual_registry.core.ledger import Draft, Event, seal
from manual_registry.core.state import ControlRequest, State
from manual_registry.core.statements import read_statement
from manual_registry.core.values import free_text

_NOBODY: Final = {"signer": "", "statement": "", "signature": ""}

_DECISIONS: Final[Mapping[str, Callable[[State, Event], list[RegistryError]]]] = {
    kinds.APPROVER_ADDED: control.approver_added,
    kinds.APPROVER_REVOKED: control.approver_revoked,
    kinds.DELEGATED: delegating.delegated,
    kinds.PIPELINE_ADDED: control.pipeline_added,
    kinds.PIPELINE_REVOKED: control.pipeline_revoked,
    kinds.POLICY_SIGNED: control.policy_signed,
    kinds.EXCEPTION_GRANTED: delegating.exception_granted,
    kinds.CLOSED: closing.closed,
    kinds.BASELINE_SIGNED: control.baseline_signed,
}


def sealed(state: State, draft: Draft, at: str, actor: str) -> Event:
    """Return ``draft`` as the event that it would be next."""
    return seal(draft, seq=state.head_seq + 1, prev=state.head_hash, at=at, actor=actor)


def objections(state: State, draft: Draft, at: str, actor: str) -> list[RegistryError]:
    """Return the reasons against a change, its signature left out: told before anybody is asked to sign it."""
    control = {**_NOBODY, **draft.data.get("control", {})}
    whole = sealed(
        state, Draft(type=draft.type, subject=draft.subject, data={**draft.data, "control": control}), at, actor
    )
    decision = rejected if draft.type == kinds.CONTROL_REJECTED else _DECISIONS[draft.type]
    unsigned = not control["signer"]
    try:
        kinds.check_shape(whole)
        reasons = closing.refusals(state, whole) or decision(state, whole)
    except RegistryError as problem:
        reasons = list(problem.reasons)
    return [
        one
        for one in reasons
        if one.details.get("signature") != "broken" and not (unsigned and "signer" in one.details)
    ]


def requested(state: State, event: Event) -> list[RegistryError]:
    """Decide a request: of a known kind, and of the form of the event that a signature would make of it.

    Whether the change may be made is decided when it is signed; until then much may happen.
    """
    del state
    controls.check_request(event)
    return []


def _open(state: State, event: Event) -> Asked | RegistryError:
    name = event.data["id"]
    found = controls.find(state, name)
    if found is None:
        return ApprovalUnknown(f"no request {name!r}", location=name, hint="mreg approval list")
    return found if controls.status(found) == "requested" else signing.closed(found)


def issued(state: State, event: Event) -> list[RegistryError]:
    """Decide the issuing of a statement: the change may be made, and the statement is that of a lead who may sign it."""
    asked = _open(state, event)
    if isinstance(asked, RegistryError):
        return [asked]
    text = event.data["statement"]
    found = read_statement(text)
    said = found["predicate"] if found else {}
    signer = str(said.get("signer"))
    answer = {**_NOBODY, "signer": signer, "statement": text, "request": asked.id}
    if said.get("action") == controls.REJECT and isinstance(asked, ControlRequest):
        action, details = controls.REJECT, rejection_details(asked.id, _comment(said))
        draft = controls.rejection_of(asked, _comment(said), answer)
    else:
        action, details = controls.action_of(asked), controls.details_of(state, asked)
        draft = controls.draft_of(asked, answer)
    reasons = objections(state, draft, event.at, event.actor)
    if reasons:
        return reasons
    found_signer = signing.signer_of(state, sealed(state, draft, event.at, event.actor), action)
    if isinstance(found_signer, RegistryError):
        return [found_signer]
    return signing.statement(
        state,
        text,
        moment_of(event),
        action=action,
        details=details,
        signer=signer,
        key=found_signer[0],
        role=found_signer[1],
        asked=asked,
    )


def _comment(said: Mapping[str, Any]) -> str:
    details = said.get("details")
    return str(details.get("comment")) if isinstance(details, dict) else ""


def rejection_details(id: str, comment: str) -> dict[str, Any]:
    """Return what a lead signs who says no."""
    return {"id": id, "comment": comment}


def rejected(state: State, event: Event) -> list[RegistryError]:
    """Decide a lead's no: it needs a comment and is signed as everything else is; a baseline cannot be refused."""
    asked = _open(state, event)
    if isinstance(asked, RegistryError):
        return [asked]
    if not isinstance(asked, ControlRequest):
        told = f"{asked.id} is a baseline: it is confirmed, or stays as the old sheet stated it"
        return [FormatTooNew(told, location=asked.id)]
    comment = event.data["comment"]
    free_text(comment, where="comment")
    if not comment.strip():
        return [
            ReasonMissing("a rejection needs a comment", location="comment", clause="RP-10", hint='add --comment "…"')
        ]
    if "request" not in event.data["control"]:
        return [signing.refused(f"a rejection answers its request {asked.id}")]
    return signing.signature(state, event, controls.REJECT, rejection_details(asked.id, comment))


def withdrawn(state: State, event: Event) -> list[RegistryError]:
    """Decide a withdrawal: of an open request."""
    asked = _open(state, event)
    if isinstance(asked, RegistryError):
        return [asked]
    if isinstance(asked, ControlRequest):
        return []
    return [signing.refused(f"{asked.id} confirms a baseline and cannot be withdrawn")]
