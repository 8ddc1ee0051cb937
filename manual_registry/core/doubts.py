"""`verify`, what stands though its ground is gone: exceptions that ended, signatures of keys that somebody else had.

1. A production version that was let through by an exception which has ended (RP-21): an error until it is mended. One
   that is in force is told; as a warning when its remediation is overdue.
2. Signatures of a revoked approver whose key was compromised since some time, when nothing shows that they are older than
   that (RP-14): an error while anything stands on them, else a warning. Older is what an anchor covers: a line of `anchor`
   that was kept elsewhere, a time-stamp that was judged to a root, or a statement that somebody else signed before that
   time and that names a later head. Whoever has the key can enrol somebody else, too: nobody vouches whose own enrolment
   rests on the suspect and is not covered.
3. A registry that goes on from another one, one that is closed, a first lead who signed their own enrolment: told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from manual_registry.core import events as kinds
from manual_registry.core import gate_exceptions
from manual_registry.core.audit import Audit, finding
from manual_registry.core.closing import closed_text, continuing
from manual_registry.core.decide.signing import RECOVERY
from manual_registry.core.errors import BadTime, ExceptionEnded, SignatureDoubtful
from manual_registry.core.ledger import Event, file_name
from manual_registry.core.results import Finding, Severity
from manual_registry.core.state import Approver, Pipeline, State
from manual_registry.core.statements import fingerprint, read_statement
from manual_registry.core.times import parse_time, stamp
from manual_registry.core.values import Stage
from manual_registry.core.wording import continues_text

Enrolled = TypeVar("Enrolled", bound=Approver | Pipeline)

#: A statement that says to be this much older or younger than its event vouches for nothing.
_FAR: Final = timedelta(hours=48)

#: There is no way back, whoever closed it; the head of a closed register can be pinned by the next one.
_CLOSED_BY_A_THIEF: Final = (
    "give verify an anchor or --tsa-roots from before; else believe no successor that it names: the leads go on with"
    f" {continuing('THIS-FOLDER')}"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Signed:
    """A statement in the ledger: the event that holds it, who signed it, when as they say, the head that they saw.

    ``signer`` is the entry under which they were enrolled then; None: the recovery key, which the first event pins.
    """

    event: Event
    signer: Approver | Pipeline | None
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
    audit.findings += _self_enrolled(audit.state)
    if audit.state.continues is not None:
        told = f"this registry continues {continues_text(audit.state.continues)}; verify that one with this anchor"
        place = f"ledger/{file_name(1)}"
        audit.findings.append(
            Finding(code="MR-F060", severity=Severity.INFO, location=place, message=told, clause="RP-14")
        )
    closing = audit.state.closed
    if closing is not None:
        told = f"this register is {closed_text(closing)}; signed by {closing.by}: {closing.reason}"
        place = f"ledger/{file_name(closing.seq)}"
        audit.findings.append(
            Finding(code="MR-F063", severity=Severity.INFO, location=place, message=told, clause="RP-22")
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


def _self_enrolled(state: State) -> Iterator[Finding]:
    for one in state.all_approvers():
        if one.added_by == one.email and one.added_seq > 1:  # not by the first event, which names leads too
            told = f"{one.email} is the first lead of this registry and signed their own enrolment, with {fingerprint(one.key)}"
            place = f"ledger/{file_name(one.added_seq)}"
            yield Finding(code="MR-F062", severity=Severity.INFO, location=place, message=told, clause="RP-14")


def _doubtful(audit: Audit, anchors: list[tuple[int, datetime]]) -> Iterator[Finding]:
    suspects = [one for one in audit.state.all_approvers() if one.compromised_since is not None]
    if not suspects:
        return
    signed = list(_signed(audit))
    for suspect in suspects:
        try:
            since = parse_time(suspect.compromised_since or "")
        except BadTime:  # a hand-made event; step 3 told it
            continue
        covered = _covered(audit.state, signed, suspects, anchors, since)
        for one in signed:
            # Whoever says of themselves that it is younger is not older, whatever covers it.
            if one.signer is suspect and (one.event.seq > covered or one.issued_at >= since):
                yield _doubt(audit.state, suspect, one, since)


def _covered(
    state: State, signed: list[Signed], suspects: list[Approver], anchors: list[tuple[int, datetime]], since: datetime
) -> int:
    """Return the last event that is known to be older than ``since`` (0: none).

    What is covered may hold the enrolment of somebody who vouches for more: taken again until nothing is added.
    """
    covered = max((seq for seq, at in anchors if at < since), default=0)
    vouching = [one for one in signed if one.issued_at < since and _believable(state, one)]
    while True:
        heads = (one.head for one in vouching if _independent(state, one.signer, suspects, covered))
        more = max(heads, default=0)
        if more <= covered:
            return covered
        covered = more


def _believable(state: State, one: Signed) -> bool:
    """Tell whether a statement can be as old as it says: nobody signs before there is what they name."""
    try:
        seen, written = parse_time(state.times[one.head]), parse_time(one.event.at)
    except (BadTime, KeyError):
        return False
    return one.head < one.event.seq and seen <= one.issued_at and abs(written - one.issued_at) <= _FAR


def _independent(state: State, signer: Approver | Pipeline | None, suspects: list[Approver], covered: int) -> bool:
    """Tell whether ``signer`` is somebody whom no suspect can have made up: enrolled by others, or before it mattered."""
    while signer is not None:
        if signer in suspects:
            return False
        if signer.added_seq <= max(covered, 1):  # the first event names the first leads
            return True
        granted_by = _entry(state.all_approvers(), signer.added_by, signer.added_seq - 1)
        if granted_by is None:  # the recovery key, or the first lead of a registry that began without one
            return signer.added_by in (RECOVERY, getattr(signer, "email", None))
        signer = granted_by
    return True


def _doubt(state: State, suspect: Approver, one: Signed, since: datetime) -> Finding:
    what = _stands_on(state, one.event)
    late = one.issued_at >= since
    why = f"signed at {one.issued_at:%F %H:%M} UTC" if late else "dated before that, but no anchor covers it"
    told = f"{suspect.email}'s key was compromised since {since:%F %H:%M} UTC; this was {why}" + (
        f", and {what} stands on it" if what else "; nothing stands on it any more"
    )
    hint = _CLOSED_BY_A_THIEF if what and one.event.type == kinds.CLOSED else None
    doubt = SignatureDoubtful(told, location=f"ledger/{file_name(one.event.seq)}", clause="RP-14", hint=hint)
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
            person = state.approver_at(str(subject["approver"]), event.seq)
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
        case kinds.CLOSED:
            return "the end of this register"
    return None


def _signed(audit: Audit) -> Iterator[Signed]:
    """Yield every statement in the ledger that can be read; what cannot was told by step 3."""
    people, pipelines = audit.state.all_approvers(), audit.state.all_pipelines()
    for event in audit.events:
        if event.type == kinds.SIGNED:
            found = _one(audit.state, event, event.data, "approver", people)
        elif event.data.get("control"):
            found = _one(audit.state, event, event.data["control"], "signer", people)
        elif (event.data.get("promotion") or {}).get("statement"):
            found = _one(audit.state, event, event.data["promotion"], "pipeline", pipelines)
        else:
            continue
        if found is not None:
            yield found


def _one(
    state: State, event: Event, part: Mapping[str, Any], member: str, enrolled: Sequence[Approver | Pipeline]
) -> Signed | None:
    statement = read_statement(part["statement"])
    said = statement["predicate"] if statement else {}
    try:
        issued_at = parse_time(str(said.get("issued_at")))
        head, digest = int(said["ledger"]["seq"]), said["ledger"]["hash"]
    except (BadTime, KeyError, TypeError, ValueError):
        return None
    signer = _entry(enrolled, str(said.get(member)), event.seq)
    if state.hashes.get(head) != digest or (signer is None and said.get(member) != RECOVERY):
        return None
    return Signed(event=event, signer=signer, issued_at=issued_at, head=head)


def _entry(enrolled: Sequence[Enrolled], name: str, last: int) -> Enrolled | None:
    """Return the entry of ``name`` that counted at event ``last``."""
    found = [one for one in enrolled if one.added_seq <= last and _name(one) == name]
    return found[-1] if found else None


def _name(one: Approver | Pipeline) -> str:
    return one.email if isinstance(one, Approver) else one.name
