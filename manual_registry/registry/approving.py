"""Approvals: ask, read, issue, sign, import, withdraw (clause RP-10)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from manual_registry.core import approvals, delegations
from manual_registry.core import events as kinds
from manual_registry.core.audit import unknown_approval
from manual_registry.core.decide.approvals import closed
from manual_registry.core.decide.closing import refusal
from manual_registry.core.decide.identity import identity_words
from manual_registry.core.decide.stages import lacking
from manual_registry.core.errors import ApproverUnknown, ReasonMissing, RegistryError, raise_for
from manual_registry.core.ledger import Draft
from manual_registry.core.sshkeys import parse_public_key
from manual_registry.core.state import Approver, Request, State, VersionState
from manual_registry.core.statements import (
    APPROVAL_NAMESPACE,
    Position,
    approval_line,
    read_statement,
    statement_sha256,
)
from manual_registry.core.times import parse_time
from manual_registry.core.values import Email, Stage, email, free_text, stage
from manual_registry.registry import answering
from manual_registry.registry.access import writing
from manual_registry.registry.references import find

if TYPE_CHECKING:
    from manual_registry.core.results import Result
    from manual_registry.registry.workspace import Loaded, Workspace


def request(work: Workspace, ref: str, to: str) -> Result:
    """Ask for an approval; a request that is open already is returned as it is."""
    wanted = stage(to)
    with writing(work) as loaded:
        record = find(work, loaded.state, ref)
        made = ask(work, loaded, record, wanted)
        hint = _tell_lacking(work, loaded.state, made) or sign_hint(loaded.state, made)
    return work.result(
        "approval-request",
        loaded,
        record,
        id=made.id,
        next=hint,
        waiting_for=_waiting_for(loaded.state, made) if made.status == "requested" else (),
    )


def _tell_lacking(work: Workspace, state: State, made: Request) -> str | None:
    """Tell what the step would be refused for though it were signed; return what to do about the first of it."""
    to, record = Stage(made.to), state.versions[made.model, made.version]
    if made.status != "requested" or to not in (Stage.STAGING, Stage.PRODUCTION):
        return None
    found = lacking(state, record, to, work.clock())
    if not found:
        return None
    told = "; ".join(one.message.removeprefix(f"{record.ref}: ") for one in found)
    work.warn(f"before {to}, beside the signature: {told} (what is attached meanwhile makes {made.id} lapse)")
    return found[0].hint


def ask(work: Workspace, loaded: Loaded, record: VersionState, wanted: Stage) -> Request:
    """Return the open request for ``wanted``; one is made when there is none, or none that is of use."""
    standing = open_request(loaded.state, record, wanted)
    if standing is not None and not _usable_again(work, loaded.state, standing):
        return standing
    event = work.append(loaded, lambda state, _at: request_draft(state, record, wanted))
    return loaded.state.requests[f"A{event.seq}"]


def how_it_goes_on(state: State, request: Request) -> str:
    """Say what an open request waits for, with the command."""
    if not approvals.owes_signature(state, request):
        return f"no signature is owed: {approvals.step_command(request)}"
    if request.status == "signed":
        return f"signed already: {approvals.step_command(request)}"
    return f"waits for {needs(state, request)}: {sign_hint(state, request)}"


def request_draft(state: State, record: VersionState, to: Stage) -> Draft:
    """Return the event that asks for the approval of a step to ``to``, from where the version stands now."""
    production = state.production(record.model) if to is Stage.PRODUCTION else None
    data = {
        "kind": "stage",
        "from": state.versions[record.model, record.version].stage,
        "to": to.value,
        "replaces": production.version if production else None,
    }
    return Draft(type=kinds.REQUESTED, subject={"model": record.model, "version": record.version}, data=data)


def open_request(state: State, record: VersionState, to: Stage) -> Request | None:
    """Return the version's open request to ``to``, the latest one."""
    found = [state.requests[name] for name in record.requests]
    return next(
        (one for one in reversed(found) if one.to == to.value and approvals.is_open(one) and one.ratifies is None), None
    )


def _usable_again(work: Workspace, state: State, standing: Request) -> bool:
    """Tell whether an open request is of no use any more (signed, but grown stale or untrue): a new one is due."""
    if standing.status != "signed" or standing.statement is None or standing.signature is None:
        return False
    return bool(approvals.judge(state, standing, standing.statement, standing.signature, moment=work.clock()).reasons)


def _waiting_for(state: State, request: Request) -> tuple[str, ...]:
    return (needs(state, request),)


def needs(state: State, request: Request) -> str:
    """Say whose signature the request needs."""
    roles = state.policy.signers(Stage(request.to))
    who = " or ".join(sorted(role.value for role in roles))
    return f"the signature of {_article(who)} {who} who did not register {request.model}@{request.version}"


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


def sign_hint(state: State, request: Request) -> str:
    """Return the command that signs the request, with an approver who may."""
    fit = approvals.may_sign(state, request)
    return f"mreg approval sign {request.id} --as {fit[0] if fit else 'EMAIL'}"


def request_named(state: State, name: str) -> Request:
    """Return a request by its id; raises :class:`ApprovalUnknown`."""
    found = state.requests.get(name) or state.requests.get(name.upper())
    if found is None:
        raise unknown_approval(name)
    return found


def _approver(state: State, address: str) -> Approver:
    found = state.approvers.get(email(address, where="--as"))
    if found is None:
        raise ApproverUnknown(f"{address} is not in the roster", location=address, hint="mreg approver list")
    return found


def _line(state: State, request: Request, who: Email | str, at: str, *, reject: bool, comment: str | None) -> bytes:
    position = Position(seq=state.head_seq, hash=state.head_hash or "")
    decision = "rejected" if reject else "approved"
    text = free_text(comment, where="comment") if comment else None
    approver = _approver(state, who)
    return approval_line(
        state,
        request,
        approver,
        decision=decision,
        comment=text,
        issued_at=at,
        position=position,
        delegation=delegations.to_name(state, approver, request.model, parse_time(at)),
    )


def statement(work: Workspace, name: str, *, as_: str, reject: bool, comment: str | None) -> tuple[bytes, Result]:
    """Issue the statement that ``as_`` will sign elsewhere; an event holds its bytes."""
    if reject and not (comment or "").strip():  # before it is signed elsewhere, for nothing
        told = f"approval {name}: a rejection needs a comment"
        raise ReasonMissing(told, location="comment", clause="RP-10", hint='add --comment "…"')
    with writing(work) as loaded:
        request = request_named(loaded.state, name)
        record = loaded.state.versions[request.model, request.version]
        _require_open(loaded.state, request)
        issued: list[bytes] = []

        def build(state: State, at: str) -> Draft:
            issued[:] = [_line(state, state.requests[request.id], as_, at, reject=reject, comment=comment)]
            data = {"id": request.id, "statement": issued[0].decode()}
            return Draft(type=kinds.ISSUED, subject={"model": record.model, "version": record.version}, data=data)

        work.append(loaded, build)
    command = f"ssh-keygen -Y sign -n {APPROVAL_NAMESPACE} -f KEY {request.id}.json"
    return issued[0], work.result(
        "approval-statement",
        loaded,
        record,
        id=request.id,
        next=command,
        waiting_for=_waiting_for(loaded.state, request),
    )


def _require_open(state: State, request: Request) -> None:
    if approvals.is_open(request):
        return
    if request.status == "lapsed" and state.closed is not None:  # there is no asking anew
        raise refusal(state.closed)
    raise closed(request)


def sign(work: Workspace, name: str, *, as_: str, key: Path | None, reject: bool, comment: str | None) -> Result:
    """Sign an approval with a key that this machine can use."""
    from manual_registry.adapters.keys import signer_for
    from manual_registry.registry.looking import evidence_problems, require_unchanged

    loaded = work.load()
    before = loaded.state
    request = request_named(before, name)
    approver = _approver(before, as_)
    if _signed_so(work, before, request, approver, "rejected" if reject else "approved", comment):
        return work.result("approval-sign", loaded, before.versions[request.model, request.version], id=request.id)
    _require_open(before, request)
    work.trust(loaded, request.model)
    if not reject:
        record = before.versions[request.model, request.version]
        require_unchanged(work, record)
        raise_for(evidence_problems(work, record))
    signer = signer_for(
        key, parse_public_key(approver.key), terminal=work.passphrase is not None, passphrase=work.passphrase
    )
    work.warn(*getattr(signer, "warnings", ()))

    def build(state: State, at: str) -> Draft:
        current = state.requests[request.id]
        line = _line(state, current, approver.email, at, reject=reject, comment=comment)
        _refuse_before_signing(work, state, current, line)
        signature = signer.sign(line, namespace=APPROVAL_NAMESPACE)
        return answering.signed(current, line.decode(), signature)

    return _append_signature(work, request, build, "approval-sign")


def _signed_so(
    work: Workspace, state: State, request: Request, approver: Approver, decision: str, comment: str | None
) -> bool:
    """Tell whether that approver's same decision stands already, still good where it is yet to be used."""
    found = read_statement(request.statement) if request.statement else None
    if found is None or request.status not in ("signed", "rejected", "used"):
        return False
    said = found["predicate"]
    if (said["approver"], said["decision"], said["comment"]) != (approver.email, decision, comment or None):
        return False
    return request.status != "signed" or not _problems(work, state, request)


def _refuse_before_signing(work: Workspace, state: State, request: Request, line: bytes) -> None:
    """Tell everything but the signature before a person is asked for a passphrase or a touch."""
    raise_for(approvals.judge(state, request, line.decode(), None, moment=work.clock()).reasons)


def _append_signature(work: Workspace, request: Request, build: Any, command: str) -> Result:
    with writing(work) as loaded:
        work.append(loaded, build)
        signed = loaded.state.requests[request.id]
        record = loaded.state.versions[request.model, request.version]
    return work.result(command, loaded, record, id=request.id, next=_after_signing(loaded.state, signed, record))


def _after_signing(state: State, request: Request, record: VersionState) -> str:
    if request.status != "signed":
        return f"mreg approval show {request.id}"
    if request.to == Stage.ARCHIVED.value:
        return f"mreg archive {record.ref} --reason TEXT"
    tail = f" {identity_words(state)}" if state.policy.needs_pipeline(Stage(request.to)) else ""
    return f"mreg promote {record.ref} --to {request.to}{tail}"


def import_signature(work: Workspace, name: str, *, signature: Path, statement: Path | None) -> Result:
    """Take a signature that was made elsewhere over a statement that this registry issued."""
    from manual_registry.adapters.documents import read_bytes
    from manual_registry.core.sshsig import normalise

    loaded = work.load()
    request = request_named(loaded.state, name)
    armour = normalise(read_bytes(signature))
    if request.signature == armour and request.status in ("signed", "rejected", "used"):
        record = loaded.state.versions[request.model, request.version]
        return work.result("approval-import", loaded, record, id=request.id)
    _require_open(loaded.state, request)
    only = read_bytes(statement).decode("utf-8", "replace") if statement is not None else None
    line = answering.matching(request, armour, namespace=APPROVAL_NAMESPACE, only=only, place=str(statement))
    return _append_signature(
        work, request, lambda state, _at: answering.signed(state.requests[request.id], line, armour), "approval-import"
    )


def withdraw(work: Workspace, name: str) -> Result:
    """Take a request back."""
    with writing(work) as loaded:
        request = request_named(loaded.state, name)
        record = loaded.state.versions[request.model, request.version]
        if request.status == "withdrawn":
            return work.result("approval-withdraw", loaded, record, id=request.id)
        draft = Draft(
            type=kinds.WITHDRAWN, subject={"model": record.model, "version": record.version}, data={"id": request.id}
        )
        work.append(loaded, lambda _state, _at: draft)
    return work.result("approval-withdraw", loaded, record, id=request.id, next=f"mreg show {record.ref}")


def approval_to_use(work: Workspace, state: State, record: VersionState, to: Stage) -> dict[str, Any] | None:
    """Choose the approval that a step uses: the latest good one, else the latest open one; None: there is none.

    A new request stands in the place of a signature that is good no more: then only a person is waited for.
    """
    found = [state.requests[name] for name in record.requests if state.requests[name].to == to.value]
    found = [one for one in found if one.ratifies is None and one.kind == "stage"]
    needed = state.policy.needs_approval(to, has_lead=state.has_lead)
    good = [one for one in found if one.status == "signed" and not _problems(work, state, one)]
    opened = [one for one in found if approvals.is_open(one)]
    candidates = good or opened or ([one for one in found if one.status == "rejected"] if needed else [])
    if not candidates:
        return None
    chosen = candidates[-1]
    sha256 = statement_sha256(chosen.statement) if chosen.statement else None
    return {"id": chosen.id, "sha256": sha256}


def _problems(work: Workspace, state: State, one: Any) -> tuple[RegistryError, ...]:
    return approvals.judge(state, one, one.statement, one.signature, moment=work.clock()).reasons
