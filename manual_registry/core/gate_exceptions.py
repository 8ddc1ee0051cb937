"""Exceptions: one failed gate of one version, let through by a lead for a time (clause RP-21).

Rules held here: an exception names the report that failed, so a later report stands on its own; it ends with the day
that it states, whatever happened meanwhile; it lets a failure through, never a report that is not there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from manual_registry.core.errors import Json, RegistryError
from manual_registry.core.sshsig import REGISTRY_CONTROL, verify
from manual_registry.core.times import stamp
from manual_registry.core.values import Role

if TYPE_CHECKING:
    from manual_registry.core.state import GateException, State, Step, VersionState


def latest_reports(record: VersionState) -> dict[str, Mapping[str, Any]]:
    """Return the report of each gate that counts: the one that came last."""
    return {str(gate["gate"]): gate for gate in record.gates}


def in_force(one: GateException, moment: datetime) -> bool:
    """Tell whether the exception has not ended at ``moment``; the day that it states is part of it."""
    return stamp(moment)[:10] <= one.expires


def for_gate(record: VersionState, gate: str) -> list[GateException]:
    """Return the exceptions for the report of ``gate`` that counts now, ended ones included."""
    report = latest_reports(record).get(gate)
    return (
        []
        if report is None
        else [one for one in record.exceptions if (one.gate, one.report) == (gate, report["sha256"])]
    )


def lets_through(record: VersionState, gate: str, moment: datetime) -> GateException | None:
    """Return the exception by which the latest report of ``gate`` is let through at ``moment``; the latest granted."""
    return next((one for one in reversed(for_gate(record, gate)) if in_force(one, moment)), None)


def listed(record: VersionState, moment: datetime) -> list[Json]:
    """Return what an approval statement says of the exceptions that the version rests on at ``moment``."""
    found = (lets_through(record, gate, moment) for gate in latest_reports(record))
    return [
        {"id": one.id, "seq": one.seq, "hash": one.hash, "gate": one.gate, "report": one.report, "expires": one.expires}
        for one in found
        if one is not None
    ]


def at_step(record: VersionState, report: Mapping[str, Any], step: Step) -> GateException | None:
    """Return the exception by which a gate's report was let through when ``step`` was taken."""
    found = [one for one in record.exceptions if (one.gate, one.report) == (report["gate"], report["sha256"])]
    return next((one for one in reversed(found) if one.seq < step.seq and step.at[:10] <= one.expires), None)


def problem(state: State, one: GateException) -> str | None:
    """Say what is wrong with the signature of an exception; None: it is good, and by the lead whom it names."""
    lead = state.approver_at(one.by, one.seq)
    try:
        key = verify(one.control["statement"].encode("utf-8"), one.control["signature"], namespace=REGISTRY_CONTROL)
    except RegistryError as refusal:
        return f"exception {one.id}: {refusal.message}"
    if lead is None or lead.role is not Role.LEAD or key.line() != lead.key:
        return f"exception {one.id} is not signed by a lead"
    return None


def ended_over_production(state: State, now: datetime) -> Iterable[tuple[VersionState, GateException]]:
    """Yield each production version that stands on an exception which has ended, with that exception."""
    for model in state.models:
        record = state.production(model)
        if record is None:
            continue
        for gate in latest_reports(record):
            found = for_gate(record, gate)
            if found and lets_through(record, gate, now) is None:
                yield record, found[-1]


def text(one: GateException) -> str:
    """Spell an exception for a cell or a line: ``exception E31 until 2027-01-31``."""
    return f"exception {one.id} until {one.expires}"


def document(one: GateException, now: datetime) -> dict[str, Json]:
    """Return one entry of ``manual-registry/exception-list/1``."""
    return {
        "id": one.id,
        "model": one.model,
        "version": one.version,
        "gate": one.gate,
        "report": one.report,
        "severity": one.severity,
        "justification": one.justification,
        "controls": one.controls,
        "expires": one.expires,
        "in_force": in_force(one, now),
        "remediation": one.remediation,
        "remediation_date": one.remediation_date,
        "root_cause": one.root_cause,
        "granted_at": one.at,
        "granted_by": one.by,
    }
