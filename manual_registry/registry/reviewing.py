"""Approvals as they are read: the list, one whole, the screen before a signature, the auditor's command."""

from __future__ import annotations

import shlex
from datetime import datetime
from typing import TYPE_CHECKING, Any

from manual_registry.core import controls, gate_exceptions
from manual_registry.core.canonical import decode
from manual_registry.core.controls import Asked
from manual_registry.core.decide.common import document_reasons, gate_reasons
from manual_registry.core.decide.requests import objections
from manual_registry.core.documents import approval_row, baseline_row, control_row
from manual_registry.core.gates import asked_of, report_from, shortfalls
from manual_registry.core.policy import differences
from manual_registry.core.state import Baseline, ControlRequest, Request, State, VersionState
from manual_registry.core.statements import (
    APPROVAL_NAMESPACE,
    CONTROL_NAMESPACE,
    fingerprint,
    read_statement,
    replaces_now,
)
from manual_registry.core.times import parse_time
from manual_registry.core.values import Stage
from manual_registry.registry.access import read
from manual_registry.registry.approving import needs, request_named, sign_hint
from manual_registry.registry.asking import NEEDS, asked_named
from manual_registry.registry.asking import sign_hint as controls_hint
from manual_registry.registry.views import approval_path
from manual_registry.registry.workspace import governed

if TYPE_CHECKING:
    from datetime import datetime

    from manual_registry.registry.workspace import Loaded, Workspace


def listing(work: Workspace, *, pending: bool) -> list[dict[str, Any]]:
    """Return the approvals, oldest first; ``pending``: those that wait for a person."""
    state = read(work).state
    rows = [approval_row(state, one, work.clock()) for one in state.requests.values()]
    rows += [baseline_row(one) for one in state.baselines.values()]
    rows += [control_row(one) for one in state.controls.values()]
    rows.sort(key=lambda row: int(str(row["id"])[1:]))
    return [row for row in rows if not pending or row["status"] in ("requested", "filled")]


def show(work: Workspace, name: str) -> dict[str, Any]:
    """Return everything that a lead reads before signing; see :meth:`manual_registry.Registry.approval_show`."""
    loaded = read(work)
    state = loaded.state
    asked = asked_named(state, name)
    if asked is not None:
        return {**_show_asked(work, loaded, asked), **_signature_of(loaded, asked)}
    request = request_named(state, name)
    record = state.versions[request.model, request.version]
    return {
        "schema": "manual-registry/approval-show/1",
        **approval_row(state, request, work.clock()),
        "from": request.from_stage,
        "requested_at": request.at,
        "requested_by": request.actor,
        "statement": request.statement,
        "signature": request.signature,
        "issued": list(request.issued),
        "auditor_command": auditor_command(request),
        "review": review(work, state, request, record),
        "next": sign_hint(state, request) if request.status == "requested" else f"mreg show {record.ref}",
    }


def _show_asked(work: Workspace, loaded: Loaded, asked: Asked) -> dict[str, Any]:
    """A request to a lead, or a baseline: what it changes, and what stands against it now."""
    baseline = isinstance(asked, Baseline)
    row = baseline_row(asked) if isinstance(asked, Baseline) else control_row(asked)
    opened = controls.status(asked) == "requested"
    if opened:
        draft = controls.draft_of(asked, {})
        row["problems"] = [one.message for one in objections(loaded.state, draft, work.now(), work.actor)]
    return {
        "schema": "manual-registry/approval-show/1",
        **row,
        "from": None,
        "requested_at": asked.at,
        "requested_by": asked.actor,
        "issued": list(asked.issued),
        "review": {
            **(
                _baseline_review(work, loaded.state, asked)
                if isinstance(asked, Baseline)
                else _control_review(loaded.state, asked)
            ),
            "needs": f"{NEEDS} over all of it" if baseline else NEEDS,
        },
        "next": controls_hint(loaded.state, asked) if opened else "mreg approval list",
    }


def _baseline_review(work: Workspace, state: State, found: Baseline) -> dict[str, Any]:
    """Every adopted version, and whether the original and the files are still what was adopted."""
    from manual_registry.adapters import adopted_sheets
    from manual_registry.core.stated import baseline_review
    from manual_registry.registry.looking import observed_blake3

    told = baseline_review(state, found)
    kept = adopted_sheets.sha256_of(work.root / told["kept"]) if told["kept"] else None
    records = [state.versions[one["model"], one["version"]] for one in told["versions"]]
    changed = [one.ref for one in records if observed_blake3(work, one) != one.blake3]
    content = f"CHANGED OR GONE: {', '.join(changed[:5])}" if changed else f"{len(records)} unchanged"
    return {**told, "original": "unchanged" if kept == found.sha256 else "CHANGED OR GONE", "content": content}


def _control_review(state: State, asked: ControlRequest) -> dict[str, Any]:
    """Every member of the change; a key also by its fingerprint, a policy by what it changes of the one in force."""
    if asked.action == "policy.sign":
        return {"what": asked.action, "differences": [
            {"setting": one.setting, "in_force": one.in_force, "file": one.file, "weaker": one.weaker}
            for one in differences(governed(state), asked.data)
        ]}  # fmt: skip
    details = decode(controls.details(asked.subject, asked.data))
    if isinstance(details.get("key"), str):
        details["fingerprint"] = fingerprint(details["key"])
    return {"what": controls.told(asked.action, asked.subject, asked.data), "details": details}


def _signature_of(loaded: Loaded, asked: Asked) -> dict[str, Any]:
    """The statement and signature of the event that answered, and how an auditor checks them."""
    if asked.signed_seq is None:
        return {"statement": None, "signature": None, "auditor_command": None}
    event = loaded.events[asked.signed_seq - 1]
    control = event.data["control"]
    command = _command(control["signer"], CONTROL_NAMESPACE, event.at, f"approvals/.control/C{event.seq}.json")
    return {"statement": control["statement"], "signature": control["signature"], "auditor_command": command}


def _command(signer: str, namespace: str, at: str, path: str) -> str:
    from manual_registry.core.allowed_signers import format_time

    words = ["ssh-keygen", "-Y", "verify", "-f", "allowed_signers", "-I", signer, "-n", namespace,
             f"-Overify-time={format_time(parse_time(at))}", "-s", f"{path}.sig"]  # fmt: skip
    return f"{shlex.join(words)} < {shlex.quote(path)}"


def auditor_command(request: Request) -> str | None:
    """Return one shell line that checks the signature without this tool, from the root (design 3.5)."""
    if request.statement is None:
        return None
    found = read_statement(request.statement)
    said = found["predicate"] if found else {}
    return _command(str(said.get("approver")), APPROVAL_NAMESPACE, str(said.get("issued_at")), approval_path(request))


def gates_now(state: State, record: VersionState, now: datetime) -> list[dict[str, Any]]:
    """Return the report of each gate that counts, as the policy in force judges it; ``asked`` is the stricter threshold."""
    found = []
    for name, gate in gate_exceptions.latest_reports(record).items():
        report = report_from(gate)
        exception = gate_exceptions.lets_through(record, name, now)
        metrics = [
            {**decode(metric), "asked": asked_of(report, one, state.policy.thresholds)}
            for metric, one in zip(gate["metrics"], report.metrics, strict=True)
        ]
        short = shortfalls(report, state.policy.thresholds)
        found.append({**decode(gate), "metrics": metrics, "passed": not short, "shortfalls": list(short),
                      "exception": exception.id if exception else None})  # fmt: skip
    return found


def review(work: Workspace, state: State, request: Request, record: VersionState) -> dict[str, Any]:
    """Return the one screen before a signature: what changes, how good it is, who made it."""
    from manual_registry.registry.looking import observed_blake3

    done = read_statement(request.statement) if request.statement and request.status != "signed" else None
    said = done["predicate"] if done else {}
    production = state.production(record.model)
    beside = decode(production.value("metrics") or {}) if production and production is not record else {}
    metrics = decode(record.value("metrics") or {})
    found = observed_blake3(work, record)
    return {
        "from": request.from_stage,
        "to": request.to,
        "replaces": said.get("replaces") if done else replaces_now(state, request),
        "metrics": [
            {"name": name, "value": value, "production": beside.get(name),
             "difference": value - beside[name] if name in beside else None}
            for name, value in metrics.items()
        ],
        "gates": gates_now(state, record, work.clock()),
        "exceptions": [gate_exceptions.document(one, work.clock()) for one in record.exceptions],
        "registered_by": sorted(record.registrants),
        "registered_at": record.registered_at,
        "blake3": record.blake3,
        "content": "unchanged" if found == record.blake3 else "CHANGED OR GONE",
        "limitations": record.card["fields"].get("limitations") if record.card else None,
        "card": _card(record),
        "environment": record.environment["path"] if record.environment else None,
        "missing": _missing(state, record, Stage(request.to), work.clock()),
        "needs": needs(state, request),
    }  # fmt: skip


def _card(record: VersionState) -> dict[str, Any]:
    from manual_registry.core.metadata import card_missing

    missing = card_missing(record.card["fields"] if record.card else {})
    return {"complete": not missing, "missing": list(missing)}


def _missing(state: State, record: VersionState, to: Stage, moment: datetime) -> list[str]:
    """Say what the step would be refused for besides the signature: gates, card, environment."""
    reasons = [*gate_reasons(state, record, to, moment), *document_reasons(state, record, to)]
    return [one.message.removeprefix(f"{record.ref}: ") for one in reasons]
