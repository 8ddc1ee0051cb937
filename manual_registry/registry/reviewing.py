"""Approvals as they are read: the list, one whole, the screen before a signature, the auditor's command."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, cast

from manual_registry.core import closing, controls, gate_exceptions, ratifying
from manual_registry.core import events as kinds
from manual_registry.core.canonical import decode
from manual_registry.core.controls import Asked
from manual_registry.core.decide.places import open_deployment
from manual_registry.core.decide.requests import objections
from manual_registry.core.decide.stages import lacking
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
from manual_registry.registry import doubted
from manual_registry.registry.access import read
from manual_registry.registry.approving import needs, request_named, sign_hint
from manual_registry.registry.asking import NEEDS, asked_named
from manual_registry.registry.asking import sign_hint as controls_hint
from manual_registry.registry.closing import remarks
from manual_registry.registry.views import approval_path
from manual_registry.registry.workspace import governed

if TYPE_CHECKING:
    from datetime import datetime

    from manual_registry.core.ledger import Event
    from manual_registry.core.results import Finding
    from manual_registry.registry.workspace import Loaded, Workspace


def listing(work: Workspace, *, pending: bool, at_once: bool = False) -> list[dict[str, Any]]:
    """Return the approvals, oldest first; ``pending``: those that wait for a person.

    With ``at_once`` also the changes that a lead signed without being asked.
    """
    loaded = read(work)
    state = loaded.state
    asked: list[Request | Asked] = [*state.requests.values(), *state.baselines.values(), *state.controls.values()]
    doubts = doubted.findings(work, state, loaded.events)
    rows = [_row(work, state, one, doubts) for one in asked]
    rows += [_at_once_row(one, doubts) for one in loaded.events if at_once and _at_once(one)]
    rows.sort(key=lambda row: int(str(row["id"])[1:]))
    return [row for row in rows if not pending or row["status"] in ("requested", "filled")]


def _row(work: Workspace, state: State, one: Request | Asked, doubts: Sequence[Finding]) -> dict[str, Any]:
    """Return the entry of one approval; what `verify` doubts of its signature is one of its problems."""
    row: dict[str, Any]
    if isinstance(one, Request):
        row = approval_row(state, one, work.clock())
    else:
        row = baseline_row(one) if isinstance(one, Baseline) else control_row(one)
    doubt, problems = doubted.told_of(doubts, one.signed_seq), cast("list[Any]", row["problems"])
    return {**row, "problems": [*problems, doubt.message]} if doubt else row


def show(work: Workspace, name: str) -> dict[str, Any]:
    """Return everything that a lead reads before signing; see :meth:`manual_registry.Registry.approval_show`."""
    loaded = read(work)
    state = loaded.state
    asked = asked_named(state, name)
    if asked is not None:
        return {**_show_asked(work, loaded, asked), **_signature_of(loaded, asked)}
    at_once = _signed_at_once(loaded, name)
    if at_once is not None:
        return _show_at_once(work, loaded, at_once)
    request = request_named(state, name)
    record = state.versions[request.model, request.version]
    return {
        "schema": "manual-registry/approval-show/1",
        **_row(work, state, request, doubted.findings(work, state, loaded.events)),
        "from": request.from_stage,
        "requested_at": request.at,
        "requested_by": request.actor,
        "statement": request.statement,
        "signature": request.signature,
        "issued": list(request.issued),
        "auditor_command": auditor_command(request),
        "review": review(work, state, request, record),
        "next": _next(work, state, request),
    }


def _next(work: Workspace, state: State, request: Request) -> str:
    if ratifying.too_late(request, work.clock()):
        return ratifying.way_back(state, request)
    if request.status == "requested":
        return sign_hint(state, request)
    return f"mreg show {request.model}@{request.version}"


def _show_asked(work: Workspace, loaded: Loaded, asked: Asked) -> dict[str, Any]:
    """A request to a lead, or a baseline: what it changes, and what stands against it now."""
    baseline = isinstance(asked, Baseline)
    row = _row(work, loaded.state, asked, doubted.findings(work, loaded.state, loaded.events))
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
                else _control_review(work, loaded, asked)
            ),
            "needs": f"{NEEDS} over all of it" if baseline else NEEDS,
        },
        "next": controls_hint(loaded.state, asked) if opened else "mreg approval list",
    }


#: How the signature of a change is named that nobody had asked for: C7 as its copy is, D7 and E7 as what it made.
_AT_ONCE: Final = re.compile(r"([CDE])([1-9][0-9]{0,11})", re.IGNORECASE)
_MADE: Final = {"D": kinds.DELEGATED, "E": kinds.EXCEPTION_GRANTED}


def _signed_at_once(loaded: Loaded, name: str) -> Event | None:
    """Return the event of a change that a lead signed; None: ``name`` names none."""
    found = _AT_ONCE.fullmatch(name)
    seq = int(found[2]) if found else 0
    if found is None or seq > len(loaded.events):
        return None
    event = loaded.events[seq - 1]
    wanted = _MADE.get(found[1].upper())
    fits = wanted in (None, event.type) and bool(event.data.get("control"))
    return event if fits else None


def _at_once(event: Event) -> bool:
    """Tell whether the event holds the signature of a change that nobody had asked for."""
    control = event.data.get("control") or {"request": None}
    return "request" not in control


def _action(event: Event) -> str:
    if event.type == kinds.RECOVERED:
        return "approver.recover"
    return next((action for action, kind in controls.ACTIONS.items() if kind == event.type), event.type)


def _at_once_row(event: Event, doubts: Sequence[Finding]) -> dict[str, Any]:
    """Return the entry of a change that was signed at once: in force with its event, so ``used``."""
    action, doubt = _action(event), doubted.told_of(doubts, event.seq)
    return {
        "id": f"C{event.seq}",
        "kind": controls.KINDS.get(action, action),
        "model": event.subject.get("model"),
        "version": event.subject.get("version"),
        "to": None,
        "status": "used",
        "approver": event.data["control"]["signer"],
        "problems": [doubt.message] if doubt else [],
        "what": controls.told(action, event.subject, event.data),
    }


def _show_at_once(work: Workspace, loaded: Loaded, event: Event) -> dict[str, Any]:
    """Return what was signed, as `approval show` tells it of a request."""
    row = _at_once_row(event, doubted.findings(work, loaded.state, loaded.events))
    return {
        "schema": "manual-registry/approval-show/1",
        **row,
        "from": None,
        "requested_at": event.at,
        "requested_by": event.actor,
        "issued": [],
        "review": {
            "what": row["what"],
            "details": _with_fingerprint(decode(controls.details(event.subject, event.data))),
        },
        **_signature_in(event),
        "next": "mreg approval list",
    }


def _with_fingerprint(details: dict[str, Any]) -> dict[str, Any]:
    return {**details, "fingerprint": fingerprint(details["key"])} if isinstance(details.get("key"), str) else details


def _failing(state: State, asked: ControlRequest) -> dict[str, Any]:
    """Say of an exception that is asked for with which numbers the gate failed."""
    record = state.version(str(asked.subject.get("model")), str(asked.subject.get("version")))
    if asked.action != "exception.grant" or record is None:
        return {}
    return {"failing": failing(state, record, str(asked.data["gate"]), str(asked.data["report"]))}


def failing(state: State, record: VersionState, gate: str, report: str | None = None) -> list[str]:
    """Return the numbers for which ``gate`` does not pass (in the report with that SHA-256, else in the latest)."""
    found = [one for one in record.gates if one["gate"] == gate and report in (None, one["sha256"])]
    return list(shortfalls(report_from(found[-1]), state.policy.thresholds)) if found else []


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


def _control_review(work: Workspace, loaded: Loaded, asked: ControlRequest) -> dict[str, Any]:
    """Every member of the change; a key also by its fingerprint, a policy by what it changes of the one in force."""
    state = loaded.state
    if asked.action == "policy.sign":
        return {"what": asked.action, "differences": [
            {"setting": one.setting, "in_force": one.in_force, "file": one.file, "weaker": one.weaker}
            for one in differences(governed(state), asked.data)
        ]}  # fmt: skip
    details = _with_fingerprint({**decode(controls.details(asked.subject, asked.data)), **_failing(state, asked)})
    if asked.action == closing.ACTION and asked.status == "requested":
        details["afterwards"] = "; ".join(remarks(work, loaded, asked.data["successor"])) or None
    if asked.action == "approver.revoke" and asked.status == "requested" and "key" not in asked.data:
        details["afterwards"] = closing.without_leads(state, str(asked.subject["approver"]))
    return {"what": controls.told(asked.action, asked.subject, asked.data), "details": details}


def _signature_of(loaded: Loaded, asked: Asked) -> dict[str, Any]:
    """The statement and signature of the event that answered, and how an auditor checks them."""
    if asked.signed_seq is None:
        return {"statement": None, "signature": None, "auditor_command": None}
    return _signature_in(loaded.events[asked.signed_seq - 1])


def _signature_in(event: Event) -> dict[str, Any]:
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
    done = read_statement(request.statement) if request.statement and request.status != "signed" else None
    said = done["predicate"] if done else {}
    production = state.production(record.model)
    if request.ratifies is not None:  # it is in production itself: what it is compared with is what it replaced
        production = state.version(record.model, request.replaces or "")
    beside = decode(production.value("metrics") or {}) if production and production is not record else {}
    metrics = decode(record.value("metrics") or {})
    return {
        "from": request.from_stage,
        "to": request.to,
        "replaces": said.get("replaces") if done else replaces_now(state, request),
        "rollback": _rollback(record, request),
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
        "content": _content_now(work, record),
        "limitations": record.card["fields"].get("limitations") if record.card else None,
        "card": _card(record),
        "environment": record.environment["path"] if record.environment else None,
        "missing": _missing(state, record, Stage(request.to), work.clock()),
        "needs": needs(state, request),
    }  # fmt: skip


def _content_now(work: Workspace, record: VersionState) -> str:
    """Say whether the artefact and the files that the approval rests on are what was registered."""
    from manual_registry.registry.looking import evidence_problems, observed_blake3

    if observed_blake3(work, record) != record.blake3:
        return "CHANGED OR GONE"
    places = [one.location or "" for one in evidence_problems(work, record)]
    return f"CHANGED OR GONE: {', '.join(places[:5])}" if places else "unchanged"


def _rollback(record: VersionState, request: Request) -> dict[str, Any] | None:
    """Say what the request ratifies: who rolled back, when and why; None: it is no rollback's."""
    step = next((one for one in record.steps if one.seq == request.ratifies), None)
    if step is None:
        return None
    return {"event": step.seq, "at": step.at, "actor": step.actor, "reason": step.reason, "pipeline": step.pipeline}


def _card(record: VersionState) -> dict[str, Any]:
    from manual_registry.core.metadata import card_missing

    missing = card_missing(record.card["fields"] if record.card else {})
    return {"complete": not missing, "missing": list(missing)}


def _missing(state: State, record: VersionState, to: Stage, moment: datetime) -> list[str]:
    """Say what the step would be refused for besides the signature and the pipeline's identity."""
    reasons = open_deployment(record) if to is Stage.ARCHIVED else lacking(state, record, to, moment)
    return [one.message.removeprefix(f"{record.ref}: ") for one in reasons]
