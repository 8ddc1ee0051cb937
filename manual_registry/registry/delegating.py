"""`approver delegate`, `approver recover`, `exception`: what a lead lets others do, or lets pass, for a time."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manual_registry.adapters import keys
from manual_registry.core import events as kinds
from manual_registry.core import gate_exceptions
from manual_registry.core.controls import details
from manual_registry.core.decide.closing import refuse_closed
from manual_registry.core.decide.signing import RECOVERY
from manual_registry.core.errors import ControlRefused, ExceptionUnfit, raise_for
from manual_registry.core.ledger import Draft
from manual_registry.core.sshkeys import parse_public_key
from manual_registry.core.state import State
from manual_registry.core.statements import CONTROL_NAMESPACE, control_line, fingerprint
from manual_registry.core.values import email, free_text, label, person
from manual_registry.registry.access import read, writing
from manual_registry.registry.asking import change, unchanged
from manual_registry.registry.references import find

if TYPE_CHECKING:
    from manual_registry.core.results import Result
    from manual_registry.registry.workspace import Workspace


def delegate(
    work: Workspace,
    address: str,
    *,
    models: str,
    from_: str,
    until: str,
    reason: str,
    as_: str | None,
    key: Path | None,
) -> Result:
    """Let a delegate approve in the place of a lead; see :meth:`manual_registry.Registry.approver_delegate`."""
    subject = {"approver": email(address, where="approver")}
    data = {"models": models, "from": from_, "until": until, "reason": free_text(reason, where="reason")}
    for one in work.load().state.delegations.values():
        if (one.delegate, one.models, one.from_, one.until, one.reason) == (subject["approver"], *data.values()):
            return unchanged(work, "approver-delegate", one.id)
    done = change(
        work,
        "approver-delegate",
        action="approver.delegate",
        subject=subject,
        data=data,
        as_=as_,
        key=key,
        id=subject["approver"],
        next="mreg approver list",
    )
    return done if done.waiting_for else _renamed(done, "D")


def _renamed(done: Result, letter: str) -> Result:
    from dataclasses import replace

    return replace(done, id=f"{letter}{done.events[-1]}")


def recover(work: Workspace, who: str, *, public_key: Path, recovery_key: Path) -> Result:
    """Enrol a lead with the recovery key, when no lead's key can be used any more."""
    from manual_registry.core.decide import decide
    from manual_registry.core.decide.requests import sealed

    name, address = person(who, where="approver")
    subject = {"approver": address}
    data: dict[str, Any] = {"name": name, "key": keys.load_public(public_key).line()}
    state = work.load().state
    known = state.approvers.get(address)
    active = known if known is not None and known.revoked_seq is None else None
    if active is not None and (active.name, active.key, active.added_by) == (name, data["key"], RECOVERY):
        return unchanged(work, "approver-recover", address)
    refuse_closed(state)
    if state.recovery_key is None:
        raise ControlRefused(
            "this registry has no recovery key; it was made without one",
            clause="RP-14",
            hint="mreg init NEW-DIR --continues OLD",
        )
    recovery = state.recovery_key
    signer = keys.signer_for(
        recovery_key, parse_public_key(recovery), terminal=work.passphrase is not None, passphrase=work.passphrase
    )
    work.warn(*getattr(signer, "warnings", ()))

    def build(state: State, at: str) -> Draft:
        line = control_line(
            state,
            action="approver.recover",
            signer=RECOVERY,
            key=recovery,
            role=RECOVERY,
            details=details(subject, data),
            issued_at=at,
        )
        control = {"signer": RECOVERY, "statement": line.decode(), "signature": ""}
        draft = Draft(type=kinds.RECOVERED, subject=subject, data={**data, "control": control})
        reasons = decide(state, sealed(state, draft, at, work.actor))
        raise_for(one for one in reasons if one.details.get("signature") != "broken")
        control["signature"] = signer.sign(line, namespace=CONTROL_NAMESPACE)
        return draft

    with writing(work) as loaded:
        work.append(loaded, build)
    if active is not None:
        stolen = f"approver revoke {address} --former-key {fingerprint(active.key)} --compromised-since TIME"
        work.warn(
            f"{address}'s former key is revoked by that: what it signed before stands, it signs nothing any more"
            f" (if it was stolen, tell since when: mreg {stolen})"
        )
    work.warn(f"{address} is a lead now, by the recovery key: tell everyone, and revoke the leads whose keys are lost")
    return work.result("approver-recover", loaded, id=address, next="mreg approver list")


def exception_grant(
    work: Workspace,
    ref: str,
    *,
    gate: str,
    severity: str,
    justification: str,
    controls: str,
    expires: str,
    remediation: str,
    remediation_date: str,
    root_cause: str | None,
    as_: str | None,
    key: Path | None,
) -> Result:
    """Let one failed gate of one version through; see :meth:`manual_registry.Registry.exception_grant`."""
    state = work.load().state
    record = find(work, state, ref)
    latest = gate_exceptions.latest_reports(record).get(label(gate, where="--gate"))
    if latest is None:
        told = f"{record.ref}: no report of the {gate} gate; an exception is for one that failed"
        hint = f"mreg attach {record.ref} --gates REPORT.json"
        raise ExceptionUnfit(told, location="gate", clause="RP-21", hint=hint)
    subject = {"model": record.model, "version": record.version}
    data = {
        "gate": gate,
        "report": latest["sha256"],
        "severity": free_text(severity, where="severity"),
        "justification": free_text(justification, where="justification"),
        "controls": free_text(controls, where="controls"),
        "expires": expires,
        "remediation": free_text(remediation, where="remediation"),
        "remediation_date": remediation_date,
        "root_cause": free_text(root_cause, where="root_cause") if root_cause is not None else None,
    }
    for one in record.exceptions:
        if all(getattr(one, name) == value for name, value in data.items()):
            return unchanged(work, "exception-grant", one.id)
    done = change(
        work,
        "exception-grant",
        action="exception.grant",
        subject=subject,
        data=data,
        as_=as_,
        key=key,
        id=record.ref,
        next=f"mreg show {record.ref}",
    )
    return done if done.waiting_for else _renamed(done, "E")


def exception_facts(work: Workspace, ref: str, *, gate: str) -> dict[str, str]:
    """Return the numbers for which ``gate`` does not pass; empty where it does, or has no report."""
    from manual_registry.registry.reviewing import failing

    state = work.load().state
    found = failing(state, find(work, state, ref), gate)
    return {"failing": "; ".join(found)} if found else {}


def exception_list(work: Workspace) -> dict[str, Any]:
    """Return every exception, and how many there are of each gate and model, in force and in all."""
    state = read(work).state
    rows = [gate_exceptions.document(one, work.clock()) for one in state.exceptions.values()]

    def count(member: str) -> dict[str, dict[str, int]]:
        every, now = Counter(row[member] for row in rows), Counter(row[member] for row in rows if row["in_force"])
        return {str(name): {"in_force": now[name], "all": every[name]} for name in sorted(every, key=str)}

    return {
        "schema": "manual-registry/exception-list/1",
        "exceptions": rows,
        "by_gate": count("gate"),
        "by_model": count("model"),
    }
