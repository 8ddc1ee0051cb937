"""Answers to what is asked of a lead, as events: a signature made here or elsewhere, judged before it is written.

Rules held here: a signature counts over a statement that this registry issued, and over no other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from manual_registry.core import controls
from manual_registry.core import events as kinds
from manual_registry.core.controls import Asked
from manual_registry.core.errors import ReasonMissing, RegistryError, StatementUnknown, UsageError
from manual_registry.core.ledger import Draft, Event
from manual_registry.core.state import Baseline, Request, State
from manual_registry.core.statements import APPROVAL_NAMESPACE, CONTROL_NAMESPACE, read_statement
from manual_registry.core.values import free_text

if TYPE_CHECKING:
    from manual_registry.registry.workspace import Loaded, Workspace


# -- approvals of a stage --------------------------------------------------------------------------------


def signed(request: Request, line: str, signature: str) -> Draft:
    """Return the event that a signature over ``line`` makes."""
    subject = {"model": request.model, "version": request.version}
    return Draft(type=kinds.SIGNED, subject=subject, data={"id": request.id, "statement": line, "signature": signature})


def take_approval(work: Workspace, loaded: Loaded, request: Request, armour: str) -> None:
    """Write the signing event of a signature over one of the statements that were issued for ``request``."""
    line = matching(request, armour, namespace=APPROVAL_NAMESPACE)
    work.append(loaded, lambda state, _at: signed(state.requests[request.id], line, armour))


# -- changes that a lead signs ----------------------------------------------------------------------------


def answer(asked: Asked, *, reject: bool, comment: str | None) -> Draft:
    """Return the event that a yes, or a no with its comment, to ``asked`` makes, but for the signature."""
    if reject and not (comment or "").strip():
        told = f"{asked.id}: a rejection needs a comment"
        raise ReasonMissing(told, location="comment", clause="RP-10", hint='add --comment "…"')
    if not reject and comment:
        raise UsageError(f"{asked.id}: a comment is signed with a rejection only; note it with the request's subject")
    if not reject:
        return controls.draft_of(asked, {})
    if isinstance(asked, Baseline):
        raise UsageError(f"{asked.id} is a baseline: it is confirmed, or stays as the old sheet stated it")
    return controls.rejection_of(asked, free_text(comment or "", where="comment"), {})


def take_control(
    work: Workspace, loaded: Loaded, asked: Asked, armour: str, *, only: str | None = None, place: str = ""
) -> None:
    """Write the event that a signature over one of the statements issued for ``asked`` makes."""
    line = matching(asked, armour, namespace=CONTROL_NAMESPACE, only=only, place=place)
    found = read_statement(line)
    said = found["predicate"] if found else {}
    rejecting = said.get("action") == controls.REJECT
    comment = said["details"].get("comment") if rejecting else None
    control = {"signer": said["signer"], "statement": line, "signature": armour, "request": asked.id}
    draft = answer(asked, reject=rejecting, comment=comment)
    made = Draft(type=draft.type, subject=draft.subject, data={**draft.data, "control": control})
    tell_first_lead(work, work.append(loaded, lambda _state, _at: made))


def tell_first_lead(work: Workspace, event: Event) -> None:
    """Say aloud that somebody enrolled themselves, which only the first lead of a registry can."""
    if event.type == kinds.APPROVER_ADDED and event.data["control"]["signer"] == event.subject["approver"]:
        who = event.subject["approver"]
        work.warn(f"{who} is the first lead of this registry and enrolled by signing with their own key: tell everyone")


def closed_by(state: State, name: str) -> str | None:
    """Say that the answer to request ``name`` has closed the register; None: it has not."""
    asked = state.controls.get(name)
    if state.closed is None or asked is None or asked.signed_seq != state.closed.seq:
        return None
    return f"closed; the register goes on at {state.closed.successor}"


# -- both -------------------------------------------------------------------------------------------------


def matching(asked: Request | Asked, armour: str, *, namespace: str, only: str | None = None, place: str = "") -> str:
    """Return the statement issued for ``asked`` over which the signature is good; raises :class:`StatementUnknown`.

    ``only`` is the one that somebody named, in the file ``place``; None: each is tried, the latest first.
    """
    from manual_registry.core.sshsig import verify

    hint = f"mreg approval statement {asked.id} --as EMAIL -o FILE"
    if only is not None and only not in asked.issued:
        told = f"{place}: this registry never issued that statement for {asked.id}"
        raise StatementUnknown(told, location=place, hint=hint)
    candidates = [only] if only is not None else list(reversed(asked.issued))
    problems: list[RegistryError] = []
    for line in candidates:
        try:
            verify(line.encode(), armour, namespace=namespace)
        except RegistryError as problem:
            problems.append(problem)
            continue
        return line
    why = f" ({problems[0].message})" if problems else ""
    raise StatementUnknown(
        f"the signature is good over none of the {len(candidates)} statement(s) issued for {asked.id}{why}",
        location=asked.id,
        hint=hint,
    )
