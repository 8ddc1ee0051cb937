"""May a lead delegate so, let a gate through, and may the recovery key add a lead (clauses RP-14, RP-20, RP-21)?"""

from __future__ import annotations

from manual_registry.core import controls, delegations, gate_exceptions
from manual_registry.core.decide import signing
from manual_registry.core.decide.common import find
from manual_registry.core.decide.roster import enrolment
from manual_registry.core.errors import (
    ApproverUnknown,
    BadName,
    BadTime,
    ControlRefused,
    DateOrder,
    ExceptionUnfit,
    ReasonMissing,
    RegistryError,
)
from manual_registry.core.gates import report_from, shortfalls
from manual_registry.core.ledger import Event
from manual_registry.core.state import State, VersionState
from manual_registry.core.times import is_date, parse_time
from manual_registry.core.values import Role, free_text, label


def a_date(text: str, *, where: str) -> None:
    """Refuse what is no bare date of the calendar."""
    if not is_date(text):
        raise BadTime(f"{where}: {text!r} is not a date; write 2026-11-24", location=where)
    parse_time(text, where=where)


def _told(text: str, *, where: str) -> list[RegistryError]:
    free_text(text, where=where)
    return [] if text.strip() else [ReasonMissing(f"{where} is empty; it must be said", location=where, clause="RP-21")]


def _not_over(text: str, event: Event, *, where: str) -> list[RegistryError]:
    a_date(text, where=where)
    if text >= event.at[:10]:
        return []
    return [DateOrder(f"{where} {text} is over already", location=where, clause="RP-19")]


def delegated(state: State, event: Event) -> list[RegistryError]:
    """Decide a delegation: to an active delegate, for models and days, with a reason, by a lead (RP-20)."""
    data, address = event.data, event.subject["approver"]
    found = state.approvers.get(address)
    if found is None:
        enrol = f'mreg approver add "Name <{address}>" --role delegate --public-key FILE --as EMAIL'
        return [ApproverUnknown(f"{address} is not in the roster", location=address, clause="RP-20", hint=enrol)]
    reasons: list[RegistryError] = []
    if found.role is not Role.DELEGATE:
        told = f"{address} is {found.role}; delegated is to those who are enrolled as delegate"
        reasons.append(ControlRefused(told, clause="RP-20", location=address))
    if found.revoked_seq is not None:
        reasons.append(ControlRefused(f"{address} was revoked on {found.revoked_at}", clause="RP-20", location=address))
    if not delegations.is_glob(data["models"]):
        told = f"models {data['models']!r}: a model name, or a pattern of them with * ? [ ]"
        reasons.append(BadName(told, location="models"))
    a_date(data["from"], where="from")
    reasons += _not_over(data["until"], event, where="until")
    if data["until"] < data["from"]:
        told = f"until {data['until']} is before from {data['from']}"
        reasons.append(DateOrder(told, location="until", clause="RP-20"))
    reasons += _told(data["reason"], where="reason")
    details = controls.details(event.subject, data)
    return [*reasons, *signing.signature(state, event, "approver.delegate", details)]


def recovered(state: State, event: Event) -> list[RegistryError]:
    """Decide a recovery: the recovery key enrols a lead, or gives one a new key, and nothing else (RP-14)."""
    reasons = enrolment(state, event.subject["approver"], event.data["name"], event.data["key"], replaces=True)
    details = controls.details(event.subject, event.data)
    return [*reasons, *signing.signature(state, event, "approver.recover", details)]


def exception_granted(state: State, event: Event) -> list[RegistryError]:
    """Decide an exception: a lead lets one failed gate of one version through, in full words and for a time (RP-21)."""
    record = find(state, event)
    if isinstance(record, RegistryError):
        return [record]
    data = event.data
    label(data["gate"], where="gate")
    reasons = _failed(state, record, data["gate"], data["report"])
    for name in ("severity", "justification", "controls", "remediation"):
        reasons += _told(data[name], where=name)
    cause = data["root_cause"]
    if cause is not None:
        reasons += _told(cause, where="root_cause")
    elif "fairness" in data["gate"].lower():
        told = f"{record.ref}: an exception of a fairness gate says what the unfairness comes from"
        reasons.append(ExceptionUnfit(told, location="root_cause", clause="RP-21", hint='add --root-cause "…"'))
    reasons += _not_over(data["expires"], event, where="expires")
    reasons += _not_over(data["remediation_date"], event, where="remediation_date")
    details = controls.details(event.subject, data)
    return [*reasons, *signing.signature(state, event, "exception.grant", details)]


def _failed(state: State, record: VersionState, gate: str, report: str) -> list[RegistryError]:
    """The report that counts must be the one named, and must have failed; what is missing is no exception's business."""
    latest = gate_exceptions.latest_reports(record).get(gate)
    if latest is None:
        hint = f"mreg attach {record.ref} --gates REPORT.json"
        told = f"{record.ref}: no report of the {gate} gate; an exception is for one that failed"
        return [ExceptionUnfit(told, location="gate", clause="RP-21", hint=hint)]
    if latest["sha256"] != report:
        told = f"{record.ref}: the report of the {gate} gate that counts is another one ({latest['sha256'][:12]})"
        return [ExceptionUnfit(told, location="report", clause="RP-21")]
    if shortfalls(report_from(latest), state.policy.thresholds):
        return []
    return [
        ExceptionUnfit(f"{record.ref}: the {gate} gate passed; it needs no exception", location="gate", clause="RP-21")
    ]
