"""Changes that a lead signs: at once, or as the answer to a request that somebody opened (clause RP-14).

Rules held here: whoever may act may ask; only a lead's signature makes it so. Everything but the signature is told before
a person is asked for a passphrase or a touch. A statement that is signed elsewhere was issued by an event first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manual_registry.core import closing, controls
from manual_registry.core import events as kinds
from manual_registry.core.audit import unknown_approval
from manual_registry.core.controls import Asked
from manual_registry.core.decide import requests, signing
from manual_registry.core.decide.closing import refusal
from manual_registry.core.errors import RegistryError, UsageError, raise_for
from manual_registry.core.ledger import Draft
from manual_registry.core.sshkeys import parse_public_key
from manual_registry.core.state import ControlRequest, State
from manual_registry.core.statements import CONTROL_NAMESPACE, control_line
from manual_registry.core.values import Email, email
from manual_registry.registry import answering
from manual_registry.registry.access import writing

if TYPE_CHECKING:
    from manual_registry.core.results import Result
    from manual_registry.ports import Signer
    from manual_registry.registry.workspace import Loaded, Workspace

#: Who is waited for.
NEEDS = "the signature of an ai-governance-lead"


def change(
    work: Workspace,
    command: str,
    *,
    action: str,
    subject: Mapping[str, str],
    data: Mapping[str, Any],
    as_: str | None,
    key: Path | None,
    id: str,
    next: str | None = None,
) -> Result:
    """Make a change signed by the lead ``as_``, or ask for it where nobody is named."""
    if as_ is None:
        if key is not None:
            raise UsageError("--key signs: say who signs with it, --as EMAIL")
        return _ask(work, command, action, subject, data)
    draft = Draft(type=controls.ACTIONS[action], subject=dict(subject), data=dict(data))
    with writing(work) as loaded:
        _sign(work, loaded, draft, action=action, asked=None, as_=email(as_, where="--as"), key=key)
    return work.result(command, loaded, id=id, next=next)


def unchanged(work: Workspace, command: str, id: str) -> Result:
    """Return the result of a change that stands already."""
    return work.result(command, work.load(), id=id)


def _ask(work: Workspace, command: str, action: str, subject: Mapping[str, str], data: Mapping[str, Any]) -> Result:
    """Open a request; one for the same change that is open already is returned as it is."""
    with writing(work) as loaded:
        found = _standing(loaded.state, action, subject, data)
        if found is None:
            draft = Draft(type=controls.ACTIONS[action], subject=dict(subject), data=dict(data))
            raise_for(requests.objections(loaded.state, draft, work.now(), work.actor))
            body = {"action": action, "subject": dict(subject), "data": dict(data)}
            event = work.append(loaded, lambda _s, _at: Draft(type=kinds.CONTROL_REQUESTED, subject={}, data=body))
            found = loaded.state.controls[f"A{event.seq}"]
    return work.result(command, loaded, id=found.id, next=sign_hint(loaded.state, found), waiting_for=(NEEDS,))


def _standing(state: State, action: str, subject: Mapping[str, str], data: Mapping[str, Any]) -> ControlRequest | None:
    same = (
        one
        for one in state.controls.values()
        if one.status == "requested" and (one.action, one.subject, one.data) == (action, subject, data)
    )
    return next(same, None)


def sign_hint(state: State, asked: Asked) -> str:
    """Return the command by which a lead signs."""
    leads = [one.email for one in state.active_leads()]
    if not leads and isinstance(asked, ControlRequest) and asked.action == "approver.add":
        leads = [asked.subject["approver"]]  # the first lead of a registry that began without one
    return f"mreg approval sign {asked.id} --as {leads[0] if leads else 'EMAIL'}"


def asked_named(state: State, name: str) -> Asked | None:
    """Return the request or baseline that an id names; None: it is a stage approval's, or nobody's."""
    return controls.find(state, name) or controls.find(state, name.upper())


def _require(state: State, name: str) -> Asked:
    found = asked_named(state, name)
    if found is None:
        raise unknown_approval(name)
    if controls.status(found) != "requested":
        if controls.status(found) == "lapsed":  # there is no asking anew where that was the reason
            raise_for([refusal(state.closed)] if state.closed is not None else [])
        raise signing.closed(found)
    return found


# -- signing ----------------------------------------------------------------------------------------------


def sign(work: Workspace, name: str, *, as_: str, key: Path | None, reject: bool, comment: str | None) -> Result:
    """Sign a request or a baseline (or a lead's no to a request) with a key that this machine can use."""
    loaded = work.load()
    known = asked_named(loaded.state, name)
    who = email(as_, where="--as")
    if known is not None and _signed_so(known, who, reject=reject, comment=comment):
        return work.result("approval-sign", loaded, id=known.id)
    with writing(work) as loaded:
        asked = _require(loaded.state, name)
        action = controls.REJECT if reject else controls.action_of(asked)
        _sign(
            work,
            loaded,
            answering.answer(asked, reject=reject, comment=comment),
            action=action,
            asked=asked,
            as_=who,
            key=key,
        )
    return _done(work, "approval-sign", loaded, asked)


def _signed_so(asked: Asked, who: Email, *, reject: bool, comment: str | None) -> bool:
    if asked.signer != who:
        return False
    if not reject:
        return controls.status(asked) == "used"
    return isinstance(asked, ControlRequest) and (asked.status, asked.comment) == ("rejected", comment)


def _line(state: State, draft: Draft, *, action: str, asked: Asked | None, who: str, at: str) -> tuple[bytes, str]:
    """Return the statement that ``who`` signs for ``draft``, and the key that signs it; raises who may not."""
    control = {"signer": who, "statement": "", "signature": "", **({"request": asked.id} if asked else {})}
    whole = Draft(type=draft.type, subject=draft.subject, data={**draft.data, "control": control})
    found = signing.signer_of(state, requests.sealed(state, whole, at, "nobody@example.org"), action)
    if isinstance(found, RegistryError):
        raise found
    key, role = found
    details = controls.details(draft.subject, draft.data)
    if action == controls.BASELINE and asked is not None:
        details = controls.details_of(state, asked)
    answers = (asked.id, asked.seq) if asked else None
    line = control_line(
        state, action=action, signer=who, key=key, role=role, details=details, issued_at=at, answers=answers
    )
    return line, key


def _sign(
    work: Workspace,
    loaded: Loaded,
    draft: Draft,
    *,
    action: str,
    asked: Asked | None,
    as_: str,
    key: Path | None,
    keep: Callable[[], Signer] | None = None,
) -> None:
    """Sign and write; after a lost race, again: what is bound to the head is signed anew."""
    from manual_registry.adapters.keys import signer_for

    signer: Signer | None = None

    def build(state: State, at: str) -> Draft:
        nonlocal signer
        if asked is not None:
            _require(state, asked.id)
        line, key_line = _line(state, draft, action=action, asked=asked, who=as_, at=at)
        control: dict[str, Any] = {"signer": as_, "statement": line.decode(), "signature": ""}
        if asked is not None:
            control["request"] = asked.id
        made = Draft(type=draft.type, subject=draft.subject, data={**draft.data, "control": control})
        raise_for(requests.objections(state, made, at, work.actor))
        if signer is None:
            signer = signer_for(
                key, parse_public_key(key_line), terminal=work.passphrase is not None, passphrase=work.passphrase
            )
            work.warn(*getattr(signer, "warnings", ()))
        control["signature"] = signer.sign(line, namespace=CONTROL_NAMESPACE)
        return made

    answering.tell_first_lead(work, work.append(loaded, build))


def statement(work: Workspace, name: str, *, as_: str, reject: bool, comment: str | None) -> tuple[bytes, Result]:
    """Issue the statement that the lead ``as_`` signs elsewhere; an event holds its bytes."""
    who = email(as_, where="--as")
    issued: list[bytes] = []
    with writing(work) as loaded:
        asked = _require(loaded.state, name)
        action = controls.REJECT if reject else controls.action_of(asked)
        draft = answering.answer(asked, reject=reject, comment=comment)

        def build(state: State, at: str) -> Draft:
            issued[:] = [_line(state, draft, action=action, asked=asked, who=who, at=at)[0]]
            return Draft(type=kinds.CONTROL_ISSUED, subject={}, data={"id": asked.id, "statement": issued[0].decode()})

        work.append(loaded, build)
    command = f"ssh-keygen -Y sign -n {CONTROL_NAMESPACE} -f KEY {asked.id}.json"
    done = work.result("approval-statement", loaded, id=asked.id, next=command, waiting_for=(NEEDS,))
    return issued[0], done


def import_signature(work: Workspace, name: str, *, signature: Path, statement: Path | None) -> Result:
    """Take in a lead's signature that was made elsewhere over a statement that this registry issued."""
    from manual_registry.adapters.documents import read_bytes
    from manual_registry.core.sshsig import normalise

    armour = normalise(read_bytes(signature))
    loaded = work.load()
    known = asked_named(loaded.state, name)
    if known is not None and _taken(loaded, armour):
        return work.result("approval-import", loaded, id=known.id)
    only = read_bytes(statement).decode("utf-8", "replace") if statement is not None else None
    with writing(work) as loaded:
        if known is not None and _taken(loaded, armour):  # from the inbox, just now
            return work.result("approval-import", loaded, id=known.id)
        asked = _require(loaded.state, name)
        answering.take_control(work, loaded, asked, armour, only=only, place=str(statement))
    return _done(work, "approval-import", loaded, asked)


def _done(work: Workspace, command: str, loaded: Loaded, asked: Asked) -> Result:
    """Return the result of a signature; the one that closes the register says so, and what comes next."""
    ended = answering.closed_by(loaded.state, asked.id)
    if ended is None:
        return work.result(command, loaded, id=asked.id, next=f"mreg approval show {asked.id}")
    return work.result(command, loaded, id=asked.id, next=closing.NEXT, notes=(ended,))


def _taken(loaded: Loaded, armour: str) -> bool:
    return any((event.data.get("control") or {}).get("signature") == armour for event in loaded.events)


def withdraw(work: Workspace, name: str) -> Result:
    """Take a request back."""
    with writing(work) as loaded:
        asked = asked_named(loaded.state, name)
        if asked is not None and controls.status(asked) == "withdrawn":
            return work.result("approval-withdraw", loaded, id=asked.id)
        asked = _require(loaded.state, name)
        draft = Draft(type=kinds.CONTROL_WITHDRAWN, subject={}, data={"id": asked.id})
        work.append(loaded, lambda _state, _at: draft)
    return work.result("approval-withdraw", loaded, id=asked.id, next="mreg approval list")
