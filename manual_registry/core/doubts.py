"""`verify`, what stands though its ground is gone: exceptions that ended, signatures of keys that somebody else had.

1. A production version that was let through by an exception which has ended (RP-21): an error until it is mended. One
   that is in force is told; as a warning when its remediation is overdue.
2. Signatures of a revoked approver whose key was compromised since some time, when nothing shows that they are older than
   that (RP-14): an error while anything stands on them, else a warning. Older is what an anchor covers: a line of `anchor`
   that was kept elsewhere, or a statement that somebody else signed before that time and that names a later head.
3. A registry that goes on from another one: told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from manual_registry.core import events as kinds
from manual_registry.core import gate_exceptions
from manual_registry.core.audit import Audit, finding
from manual_registry.core.errors import BadTime, ExceptionEnded, SignatureDoubtful
from manual_registry.core.ledger import Event, file_name
from manual_registry.core.results import Finding, Severity
from manual_registry.core.state import Approver, State
from manual_registry.core.statements import read_statement
from manual_registry.core.times import parse_time, stamp
from manual_registry.core.values import Stage
from manual_registry.core.wording import continues_text


@dataclass(frozen=True, kw_only=True, slots=True)
class Signed:
    """A statement in the ledger: the event that holds it, who signed it, when as they say, the head that they saw."""

    event: Event
    signer: str
    issued_at: datetime
    head: int


def check(audit: Audit, now: datetime, anchors: Iterable[tuple[int, datetime]]) -> None:
    """Take the three steps; ``anchors`` are (event, time) of heads that are known to be as old as that."""
    for record, one in gate_exceptions.ended_over_production(audit.state, now):
        told = (
            f"{record.ref} is in production by exception {one.id} of its {one.gate} gate, which ended on {one.expires}"
        )
        ended = ExceptionEnded(told, location=f"ledger/{file_name(one.seq)}", clause="RP-21")
        audit.findings.append(finding(ended))
    audit.findings += _in_force(audit.state, now)
    audit.findings += _doubtful(audit, list(anchors))
    if audit.state.continues is not None:
        told = f"this registry continues {continues_text(audit.state.continues)}; verify that one with this anchor"
        place = f"ledger/{file_name(1)}"
        audit.findings.append(
            Finding(code="MR-F060", severity=Severity.INFO, location=place, message=told, clause="RP-14")
        )


def _in_force(state: State, now: datetime) -> Iterator[Finding]:
    for record in state.versions.values():
        if record.stage not in (Stage.STAGING.value, Stage.PRODUCTION.value):
            continue
        for gate in gate_exceptions.latest_reports(record):
            one = gate_exceptions.lets_through(record, gate, now)
            if one is None:
                continue
            late = stamp(now)[:10] > one.remediation_date
            told = (
                f"{record.ref} is in {record.stage} by exception {one.id} of its {one.gate} gate, until {one.expires}"
            )
            told += f"; its remediation was due on {one.remediation_date}" if late else ""
            severity = Severity.WARNING if late else Severity.INFO
            place = f"ledger/{file_name(one.seq)}"
            yield Finding(code="MR-F061", severity=severity, location=place, message=told, clause="RP-21")


# -- compromised keys -------------------------------------------------------------------------------------


def _doubtful(audit: Audit, anchors: list[tuple[int, datetime]]) -> Iterator[Finding]:
    suspects = [one for one in audit.state.approvers.values() if one.compromised_since is not None]
    if not suspects:
        return
    signed = list(_signed(audit.events))
    for suspect in suspects:
        try:
            since = parse_time(suspect.compromised_since or "")
        except BadTime:  # a hand-made event; step 3 told it
            continue
        by_others = [(one.head, one.issued_at) for one in signed if one.signer not in {each.email for each in suspects}]
        covered = max((seq for seq, at in [*anchors, *by_others] if at < since), default=0)
        for one in signed:
            if one.signer == suspect.email and one.event.seq > covered:
                yield _doubt(audit.state, suspect, one, since)


def _doubt(state: State, suspect: Approver, one: Signed, since: datetime) -> Finding:
    what = _stands_on(state, one.event)
    late = one.issued_at >= since
    why = f"signed at {one.issued_at:%F %H:%M} UTC" if late else "dated before that, but no anchor covers it"
    told = f"{suspect.email}'s key was compromised since {since:%F %H:%M} UTC; this was {why}" + (
        f", and {what} stands on it" if what else "; nothing stands on it any more"
    )
    doubt = SignatureDoubtful(told, location=f"ledger/{file_name(one.event.seq)}", clause="RP-14")
    return finding(doubt, severity=Severity.ERROR if what else Severity.WARNING)


def _stands_on(state: State, event: Event) -> str | None:
    """Say what in force rests on the signature in ``event``; None: nothing does."""
    if event.type == kinds.SIGNED:
        request = state.requests.get(str(event.data["id"]))
        record = state.versions.get((request.model, request.version)) if request else None
        if request is None or record is None or request.signed_seq != event.seq:
            return None
        if request.status == "signed":
            return f"the open approval {request.id}"
        rests = record.steps[-1].approval == request.id or request.ratifies == record.steps[-1].seq
        governed = record.stage in (Stage.STAGING.value, Stage.PRODUCTION.value)
        return f"{record.ref} in {record.stage}" if rests and governed and request.status == "used" else None
    return _control_stands(state, event)


def _control_stands(state: State, event: Event) -> str | None:
    subject = event.subject
    match event.type:
        case kinds.APPROVER_ADDED:
            person = state.approvers.get(str(subject["approver"]))
            active = person is not None and person.added_seq == event.seq and person.revoked_seq is None
            return f"{subject['approver']} in the roster" if active else None
        case kinds.DELEGATED:
            person = state.approvers.get(str(subject["approver"]))
            return f"delegation D{event.seq}" if person is not None and person.revoked_seq is None else None
        case kinds.PIPELINE_ADDED:
            pipeline = state.pipelines.get(str(subject["pipeline"]))
            active = pipeline is not None and pipeline.added_seq == event.seq and pipeline.revoked_seq is None
            return f"pipeline {subject['pipeline']}" if active else None
        case kinds.POLICY_SIGNED:
            return "the policy in force" if state.policy_seq == event.seq else None
        case kinds.EXCEPTION_GRANTED:
            record = state.versions.get((str(subject["model"]), str(subject["version"])))
            return f"exception E{event.seq}" if record is not None and record.stage != Stage.ARCHIVED.value else None
        case kinds.BASELINE_SIGNED:
            return f"baseline {event.data['id']}"
    return None


def _signed(events: Iterable[Event]) -> Iterator[Signed]:
    """Yield every statement in the ledger that can be read; what cannot was told by step 3."""
    for event in events:
        if event.type == kinds.SIGNED:
            found = _one(event, event.data, "approver")
        elif event.data.get("control"):
            found = _one(event, event.data["control"], "signer")
        elif (event.data.get("promotion") or {}).get("statement"):
            found = _one(event, event.data["promotion"], "pipeline")
        else:
            continue
        if found is not None:
            yield found


def _one(event: Event, part: Mapping[str, Any], member: str) -> Signed | None:
    statement = read_statement(part["statement"])
    said = statement["predicate"] if statement else {}
    try:
        issued_at = parse_time(str(said.get("issued_at")))
        head = int(said["ledger"]["seq"])
    except (BadTime, KeyError, TypeError, ValueError):
        return None
    return Signed(event=event, signer=str(said.get(member)), issued_at=issued_at, head=head)
