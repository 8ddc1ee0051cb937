"""What ``list``, ``show``, ``history`` and ``compare`` tell: JSON documents out of the fold (design 3.2)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from manual_registry.core import approvals, controls, drills, gate_exceptions
from manual_registry.core import events as kinds
from manual_registry.core.canonical import decode
from manual_registry.core.errors import Json
from manual_registry.core.ledger import Event
from manual_registry.core.policy import retention_until
from manual_registry.core.state import Baseline, ControlRequest, Request, State, VersionState
from manual_registry.core.statements import read_statement
from manual_registry.core.values import Stage


def storage_location(record: VersionState) -> str:
    """Return where the version's files are, from the root: in their bag, where they were adopted, or in models/."""
    return record.bag or record.location or f"models/{record.model}/{record.version}"


def signed_approval(state: State, record: VersionState) -> Request | None:
    """Return the signed approval that the version's last governed step rests on.

    A step without one does not borrow an earlier step's, and one that names another version's approval has none; only
    an archived version shows what it was archived with.
    """
    for step in reversed(record.steps):
        request = state.requests.get(step.approval) if step.approval else None
        if request is not None and request.statement:
            fits = (request.model, request.version, request.to) == (record.model, record.version, step.stage)
            return request if fits else None
        if step.stage != Stage.ARCHIVED.value:
            return None
    return None


def approver_of(request: Request | None) -> tuple[str | None, str | None]:
    """Return who signed and the time that the statement was issued."""
    found = read_statement(request.statement) if request and request.statement else None
    if found is None:
        return None, None
    return str(found["predicate"].get("approver")), str(found["predicate"].get("issued_at"))


def version_row(state: State, record: VersionState) -> dict[str, Any]:
    """Return one entry of ``manual-registry/list/1``."""
    approver, approved_at = approver_of(signed_approval(state, record))
    code = record.value("code")
    deployments = record.open_deployments() or record.deployments
    model = state.models.get(record.model)
    return {
        "model": record.model,
        "version": record.version,
        "stage": record.stage,
        "blake3": record.blake3,
        "sha256": record.sha256,
        "composite_id": record.composite_id,
        "storage_location": storage_location(record),
        "training_data": [item["reference"] for item in record.training_data],
        "code_commit": code["commit"] if code else None,
        "training_date": record.value("training_date"),
        "metrics": decode(record.value("metrics") or {}),
        "approver": approver,
        "approval_date": approved_at,
        "deployment_date": deployments[-1].at if deployments else None,
        "owner": record.owner,
        "pipeline_run": record.value("pipeline_run"),
        "registered_at": record.registered_at,
        "registered_by": record.actor,
        "retention_until": retention_until(state.placed_on_market, state.policy.retention_years),
        "aliases": sorted(
            name for name, version in (model.aliases if model else {}).items() if version == record.version
        ),
        "tags": dict(record.tags),
        "size": record.data["artefact"]["size"],
        "move_pending": record.move_pending,
    }


def version_document(state: State, record: VersionState, now: datetime) -> dict[str, Any]:
    """Return ``manual-registry/show/1``: the row and everything else that is known of the version."""
    data = record.data
    return {
        "schema": "manual-registry/show/1",
        **version_row(state, record),
        "artefact": dict(data["artefact"]),
        "code": decode(record.value("code")),
        "training_data_detail": decode(record.training_data),
        "metadata": {
            name: decode(record.value(name))
            for name in ("hyperparameters", "subgroup_metrics", "origin", "description")
        },
        "config": data["config"],
        "prompt": data["prompt"],
        "environment": record.environment,
        "card": decode(record.card["fields"]) if record.card else None,
        "evidence": [dict(item) for item in record.evidence],
        "gates": [decode(gate) for gate in record.gates],
        "exceptions": [gate_exceptions.document(one, now) for one in record.exceptions],
        "notes": [dict(note) for note in record.notes],
        "approvals": [approval_row(state, state.requests[name], now) for name in record.requests],
        "deployments": [
            {"environment": one.environment, "at": one.at, "path": one.path, "ended_at": one.ended_at}
            for one in record.deployments
        ],
        "stages": [
            {
                "stage": step.stage,
                "at": step.at,
                "actor": step.actor,
                "reason": step.reason,
                "approval": step.approval,
                "pipeline": step.pipeline,
                "event": step.seq,
            }
            for step in record.steps
        ],
        "ci": data["ci"],
        "baseline": decode(data["baseline"]) if data.get("baseline") else None,
        "events": list(record.event_seqs),
    }


def approval_row(state: State, request: Request, now: datetime) -> dict[str, Json]:
    """Return one entry of ``manual-registry/approvals/1``; ``problems`` say what would stop its use now."""
    problems: list[Json] = []
    if request.status == "signed" and request.statement and request.signature:
        judged = approvals.judge(state, request, request.statement, request.signature, moment=now)
        problems = [reason.message for reason in judged.reasons]
    return {
        "id": request.id,
        "kind": request.kind,
        "model": request.model,
        "version": request.version,
        "to": request.to,
        "status": approvals.status(state, request, now),
        "approver": approver_of(request)[0],
        "problems": problems,
    }


def control_row(asked: ControlRequest) -> dict[str, Json]:
    """Return the entry of ``manual-registry/approvals/1`` for a change that a lead is asked to sign."""
    return {
        "id": asked.id,
        "kind": controls.KINDS.get(asked.action, asked.action),
        "model": asked.subject.get("model"),
        "version": asked.subject.get("version"),
        "to": None,
        "status": asked.status,
        "approver": asked.signer,
        "problems": [],
        "what": controls.told(asked.action, asked.subject, asked.data),
    }


def baseline_row(found: Baseline) -> dict[str, Json]:
    """Return the entry of ``manual-registry/approvals/1`` for the confirmation of a baseline."""
    count = len(found.versions)
    return {
        "id": found.id,
        "kind": "baseline",
        "model": None,
        "version": None,
        "to": None,
        "status": "requested" if found.signed_seq is None else "used",
        "approver": found.signer,
        "problems": [],
        "what": f"baseline of {found.source}: {count} version{'s' if count != 1 else ''}",
    }


def history_row(event: Event) -> dict[str, Json]:
    """Return one entry of ``manual-registry/history/1``."""
    return {
        "seq": event.seq,
        "at": event.at,
        "actor": event.actor,
        "type": event.type,
        "model": event.subject.get("model"),
        "version": event.subject.get("version"),
        "summary": summary(event),
        "hash": event.hash,
    }


def summary(event: Event) -> str:
    """Tell the event in one sentence."""
    subject, data = event.subject, event.data
    ref = f"{subject.get('model')}@{subject.get('version')}"
    match event.type:
        case kinds.CREATED:
            return f"registry of {data['system']} created ({data['risk']} risk)"
        case kinds.REGISTERED:
            return f"{ref} registered, blake3 {data['artefact']['blake3'][:12]}"
        case kinds.ATTACHED:
            return f"{ref}: {_attached(data)} attached"
        case kinds.PROMOTED:
            tail = f", replacing {data['replaces']}" if data["replaces"] else ""
            return f"{ref} from {data['from']} to {data['to']}{tail}{_because(data)}"
        case kinds.ROLLED_BACK:
            tail = f", replacing {data['replaces']}" if data["replaces"] else ""
            return f"rolled back to {ref}{tail}{_because(data)}"
        case kinds.ARCHIVED:
            return f"{ref} archived from {data['from']}{_because(data)}"
        case kinds.MOVED:
            return f"{ref} moved to {data['bag']}"
        case kinds.UNARCHIVED:
            return f"{ref} taken out of the archive{_because(data)}"
    return _lesser(event, ref)


def _lesser(event: Event, ref: str) -> str:
    subject, data = event.subject, event.data
    match event.type:
        case kinds.DEPLOYED:
            return f"{ref} deployed to {data['environment']} at {data['at']}"
        case kinds.DEPLOYMENT_ENDED:
            return f"{ref} no longer in {data['environment']} since {data['at']}"
        case kinds.ALIAS_SET:
            return f"{subject['model']}: alias {data['alias']} now means {subject['version']}"
        case kinds.ALIAS_REMOVED:
            return f"{subject['model']}: alias {data['alias']} removed"
        case kinds.TAGGED:
            return f"{ref} tagged " + ", ".join(f"{key}={value}" for key, value in data["tags"].items())
        case kinds.NOTED:
            return f"{ref}: {data['text']}"
        case kinds.ADOPTED:
            baseline = data["baseline"]
            return f"{ref} adopted from {baseline['source']}, stated stage {baseline['stage']}"
        case kinds.TAKEN_IN:
            return f"{ref}: its files were copied in from {data['location']}"
        case kinds.BASELINE_OPENED:
            return f"A{event.seq}: {len(data['versions'])} adopted versions of {data['source']} wait for a lead's confirmation"
        case kinds.BASELINE_SIGNED:
            return f"{data['id']}: baseline confirmed by {data['control']['signer']}"
        case kinds.EDITED:
            return f"{ref}: {data['field']} is now {data['value']!r}"
        case kinds.FILLED if not data["decision"]:
            return f"{data['id']}: what was filled in is taken back"
        case kinds.FILLED:
            return f"{data['id']}: filled in as {data['decision']} by {data['approver']}, not signed yet"
        case kinds.REQUESTED:
            return f"A{event.seq}: approval asked for {ref} to {data['to']}"
        case kinds.ISSUED:
            return f"{data['id']}: statement issued for {ref}"
        case kinds.SIGNED:
            found = read_statement(data["statement"])
            said = found["predicate"] if found else {}
            return f"{data['id']}: {said.get('decision')} by {said.get('approver')} for {ref} to {said.get('to')}"
        case kinds.WITHDRAWN:
            return f"{data['id']} withdrawn"
        case kinds.APPROVER_ADDED:
            return f"approver {subject['approver']} added as {data['role']} by {data['control']['signer']}"
        case kinds.APPROVER_REVOKED if "key" in data:
            said = f"compromised since {data['compromised_since']}, says {data['control']['signer']}{_because(data)}"
            return f"a former key of {subject['approver']} {said}"
        case kinds.APPROVER_REVOKED:
            return f"approver {subject['approver']} revoked by {data['control']['signer']}{_because(data)}"
        case kinds.PIPELINE_ADDED:
            known = f" for tokens of {data['oidc']['issuer']}" if data["oidc"] else ""
            return f"pipeline {subject['pipeline']} added{known} by {data['control']['signer']}"
        case kinds.PIPELINE_REVOKED:
            return f"pipeline {subject['pipeline']} revoked by {data['control']['signer']}{_because(data)}"
        case kinds.POLICY_SIGNED:
            return f"policy put in force by {data['control']['signer']}"
        case kinds.CLOSED:
            return f"register closed by {data['control']['signer']}, successor {data['successor']}{_because(data)}"
        case kinds.DELEGATED | kinds.EXCEPTION_GRANTED:
            id = f"{'D' if event.type == kinds.DELEGATED else 'E'}{event.seq}"
            action = "approver.delegate" if event.type == kinds.DELEGATED else "exception.grant"
            return f"{id}: {controls.told(action, subject, data)}, by {data['control']['signer']}"
        case kinds.RECOVERED:
            return f"approver {subject['approver']} added as ai-governance-lead by the recovery key"
        case kinds.CONTROL_REQUESTED:
            return f"A{event.seq}: a lead is asked to {controls.told(data['action'], data['subject'], data['data'])}"
        case kinds.CONTROL_ISSUED:
            return f"{data['id']}: statement issued"
        case kinds.CONTROL_REJECTED:
            return f"{data['id']} rejected by {data['control']['signer']}: {data['comment']}"
        case kinds.CONTROL_WITHDRAWN:
            return f"{data['id']} withdrawn"
        case kinds.RESTORED:
            number = data["count"]
            return f"{number} cell{'' if number == 1 else 's'} of the workbook put back, as edited kept aside"
        case kinds.EXPORTED:
            done = "exported to" if data["action"] == "export" else "compared with"
            told = _counted(data["count"], "mismatch", "es") if data["count"] else "no mismatch"
            read = _counted(data["checked"], "version")
            return f"{', '.join(data['models'])} {done} MLflow at {data['uri']}: {read} read, {told}"
        case kinds.DRILLED:
            return f"retrieval drill: {drills.told(data['archived'], data['versions'])}"
        case kinds.VERIFIED:
            return f"verified: {'no error' if data['ok'] else 'errors found'}"
        case kinds.ANCHORED:
            return f"event {data['seq']} existed at {data['time']}, says {data['authority']}"
    return event.type


def _counted(number: int, word: str, plural: str = "s") -> str:
    return f"{number} {word}{'' if number == 1 else plural}"


def _because(data: Any) -> str:
    return f": {data['reason']}" if data.get("reason") else ""


def _attached(data: Any) -> str:
    parts = [item["path"].removeprefix("evidence/") for item in data["evidence"]] + list(data["fields"])
    return ", ".join(parts) or "nothing"


#: Fields that `compare` shows, in order.
COMPARED = (
    "stage",
    "blake3",
    "sha256",
    "size",
    "training_data",
    "code_commit",
    "training_date",
    "pipeline_run",
    "owner",
    "approver",
    "approval_date",
    "deployment_date",
)


def compare_document(state: State, first: VersionState, second: VersionState, now: datetime) -> dict[str, Any]:
    """Return ``manual-registry/compare/1``: what differs between two versions, and the names of what does not."""
    left, right = _comparable(state, first, now), _comparable(state, second, now)
    names = list(dict.fromkeys([*left, *right]))
    differing = [name for name in names if left.get(name) != right.get(name)]
    return {
        "schema": "manual-registry/compare/1",
        "a": first.ref,
        "b": second.ref,
        "differences": [{"field": name, "a": left.get(name), "b": right.get(name)} for name in differing],
        "same": [name for name in names if name not in differing],
    }


def _comparable(state: State, record: VersionState, now: datetime) -> dict[str, Any]:
    whole = version_document(state, record, now)
    flat = {name: whole[name] for name in COMPARED}
    for prefix, table in (("metrics", whole["metrics"]), ("params", whole["metadata"]["hyperparameters"] or {})):
        flat |= {f"{prefix}.{name}": value for name, value in table.items()}
    for gate in whole["gates"]:
        flat[f"gates.{gate['gate']}"] = "passed" if gate["passed"] else "failed"
    for name in ("config", "prompt", "environment"):
        flat[name] = whole[name]["sha256"] if whole[name] else None
    return flat
