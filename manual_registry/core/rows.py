"""The view of the fold: which rows and cells the workbook shows at one ledger head (design 3.3, clause RP-15).

The same head gives the same view on every machine and at any time (times come from the ledger, not from the clock):
the base of every comparison with a person's workbook is recomputed with this module.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from manual_registry.core import approvals
from manual_registry.core.canonical import decode
from manual_registry.core.documents import approver_of, history_row, signed_approval, storage_location
from manual_registry.core.ledger import Event
from manual_registry.core.policy import retention_until
from manual_registry.core.state import Request, State, VersionState
from manual_registry.core.statements import fingerprint, read_statement
from manual_registry.core.times import parse_time
from manual_registry.core.values import Stage
from manual_registry.core.view import Cell, Column, ColumnKind, Row, Sheet, View
from manual_registry.core.wording import metrics_text

#: How many of the latest events the History sheet shows; the ledger holds all of them.
HISTORY_ROWS = 1000

_E = ColumnKind.EDITABLE
_LONG_HEX = re.compile(r"\b[0-9a-f]{40,64}\b")

MODELS: tuple[Column, ...] = (
    Column(header="Model", width=16, wrap=True),
    Column(header="Version", width=9),
    Column(header="Storage location", width=25, link=True),
    Column(header="Content hash", width=13),
    Column(header="Training data version", width=20, wrap=True),
    Column(header="Code commit", width=13),
    Column(header="Training date", width=10),
    Column(header="Evaluation metrics", width=22, wrap=True),
    Column(header="Stage", kind=_E, width=12, choices=tuple(Stage)),
    Column(header="Approver", width=18, wrap=True),
    Column(header="Approval date", width=10),
    Column(header="Deployment date", width=11),
    Column(header="SHA-256", width=66, outline=True),
    Column(header="Validation gates", width=18, wrap=True),
    Column(header="Pipeline run", width=14, outline=True),
    Column(header="Composite version", width=60, outline=True),
    Column(header="Retention until", width=12, outline=True),
    Column(header="Owner", kind=_E, width=13, wrap=True, shared=True),
    Column(header="Notes", kind=_E, width=20, wrap=True, shared=True),
    Column(header="Check", width=20, wrap=True, volatile=True),
    Column(header="Row id", hidden=True),
)


def _approvals_columns(approver_emails: tuple[str, ...]) -> tuple[Column, ...]:
    return (
        Column(header="Approval", width=10),
        Column(header="Model", width=18),
        Column(header="Version", width=9),
        Column(header="From", width=13),
        Column(header="To", width=13),
        Column(header="Replaces", width=10),
        Column(header="Requested by", width=22, wrap=True),
        Column(header="Requested at", width=12),
        Column(header="Status", width=12),
        Column(header="Decision", kind=_E, width=11, choices=("approved", "rejected")),
        Column(header="Approver", kind=_E, width=22, wrap=True, choices=approver_emails),
        Column(header="Approval date", kind=_E, width=13),
        Column(header="Comment", kind=_E, width=28, wrap=True),
        Column(header="Check", width=34, wrap=True, volatile=True),
        Column(header="Row id", hidden=True),
    )


APPROVERS: tuple[Column, ...] = (
    Column(header="Kind", width=10),
    Column(header="Name", width=22),
    Column(header="Email", width=26),
    Column(header="Role", width=20),
    Column(header="Key", width=52),
    Column(header="Since", width=12),
    Column(header="Revoked", width=12),
    Column(header="Reason", width=28, wrap=True),
    Column(header="Row id", hidden=True),
)

HISTORY: tuple[Column, ...] = (
    Column(header="Event", text=False, width=8),
    Column(header="Time (UTC)", width=20),
    Column(header="Actor", width=26),
    Column(header="What", width=60, wrap=True),
    Column(header="Hash", width=20, outline=True),
    Column(header="Row id", hidden=True),
)


def short_reference(text: str) -> str:
    """Spell a training-data reference for a cell: full commit ids and hashes cut to 12 characters."""
    return _LONG_HEX.sub(lambda found: found[0][:12], text)


def gates_text(record: VersionState) -> str:
    """Spell the latest report of each gate, one a line: ``performance passed``."""
    latest = {gate["gate"]: gate["passed"] for gate in record.gates}
    return "\n".join(f"{name} {'passed' if passed else 'FAILED'}" for name, passed in latest.items())


def _day(text: str | None) -> str | None:
    return text[:10] if text else None


def _or_none(text: str) -> str | None:
    return text or None


def _models_row(state: State, record: VersionState, link_prefix: str) -> Row:
    approver, approved_at = approver_of(signed_approval(state, record))
    code = record.value("code")
    deployed = record.open_deployments() or record.deployments
    problem = _problem(state, record)
    cells: dict[str, Cell] = {
        "Model": record.model,
        "Version": record.version,
        "Storage location": storage_location(record),
        "Content hash": record.blake3[:12],
        "Training data version": _or_none(
            "\n".join(short_reference(item["reference"]) for item in record.data["training_data"])
        ),
        "Code commit": code["commit"][:12] if code else None,
        "Training date": _day(record.value("training_date")),
        "Evaluation metrics": _or_none(metrics_text(decode(record.value("metrics") or {})).replace("; ", "\n")),
        "Stage": record.stage,
        "Approver": approver,
        "Approval date": _day(approved_at),
        "Deployment date": _day(deployed[-1].at) if deployed else None,
        "SHA-256": record.sha256,
        "Validation gates": _or_none(gates_text(record)),
        "Pipeline run": record.value("pipeline_run"),
        "Composite version": record.composite_id,
        "Retention until": retention_until(state.placed_on_market, state.policy.retention_years),
        "Owner": record.owner,
        "Notes": record.notes_text,
        "Check": problem,
        "Row id": record.ref,
    }
    links = {"Storage location": f"{link_prefix}{storage_location(record)}/"}
    if record.card is not None and record.card.get("path"):
        links["Version"] = f"{link_prefix}{_evidence_base(record)}/{record.card['path']}"
    return Row(
        row_id=record.ref, cells=cells, links=links, look="problem" if problem and "!" in problem else record.stage
    )


def _evidence_base(record: VersionState) -> str:
    return f"{record.bag}/data" if record.bag else f"models/{record.model}/{record.version}"


def _problem(state: State, record: VersionState) -> str | None:
    """Say what a reader should know at this head; a "!" makes the row stand out."""
    waiting = [
        f"{name} waits for {'a signature' if approvals.owes_signature(state, state.requests[name]) else state.requests[name].to}"
        for name in record.requests
        if state.requests[name].status == "requested" and state.requests[name].ratifies is None
    ]
    ratify = [
        f"! {name} must ratify the rollback"
        for name in record.requests
        if state.requests[name].status == "requested" and state.requests[name].ratifies is not None
    ]
    failed = [
        f"! {gate['gate']} gate failed"
        for gate in {gate["gate"]: gate for gate in record.gates}.values()
        if not gate["passed"]
    ]
    moving = ["move to the archive is pending"] if record.move_pending else []
    return _or_none("; ".join([*ratify, *failed, *waiting, *moving]))


def _approval_row(state: State, request: Request) -> Row:
    moment = parse_time(state.head_at)
    status = approvals.status(state, request, moment)
    found = read_statement(request.statement) if request.statement else None
    said = found["predicate"] if found else {}
    entry = request.filled if status == "filled" and request.filled else {}
    cells: dict[str, Cell] = {
        "Approval": request.id,
        "Model": request.model,
        "Version": request.version,
        "From": request.from_stage,
        "To": request.to,
        "Replaces": said.get("replaces") if found else request.replaces,
        "Requested by": request.actor,
        "Requested at": _day(request.at),
        "Status": status,
        "Decision": said.get("decision") or entry.get("decision"),
        "Approver": said.get("approver") or entry.get("approver"),
        "Approval date": _day(said.get("issued_at")) or entry.get("date"),
        "Comment": said.get("comment") or entry.get("comment"),
        "Check": _how_to_go_on(state, request, status),
        "Row id": request.id,
    }
    return Row(row_id=request.id, cells=cells, look=status)


def _how_to_go_on(state: State, request: Request, status: str) -> str | None:
    if status == "filled" and request.filled:
        return f"Filled in, NOT yet signed: {sign_command(request)}"
    if status != "requested":
        return None
    if not approvals.owes_signature(state, request):
        return f"No signature is owed: {approvals.step_command(request)}"
    return f"mreg approval sign {request.id} --as EMAIL"


def sign_command(request: Request) -> str:
    """Return the command that signs what was filled in, as it was filled in."""
    entry = request.filled or {}
    tail = " --reject" if entry.get("decision") == "rejected" else ""
    if entry.get("comment"):
        tail += f" --comment {shlex.quote(str(entry['comment']))}"
    return f"mreg approval sign {request.id} --as {entry.get('approver') or 'EMAIL'}{tail}"


def _approver_rows(state: State) -> list[Row]:
    rows = []
    for one in state.approvers.values():
        cells: dict[str, Cell] = {
            "Kind": "person",
            "Name": one.name,
            "Email": one.email,
            "Role": one.role.value,
            "Key": fingerprint(one.key),
            "Since": _day(one.added_at),
            "Revoked": _day(one.revoked_at),
            "Reason": one.reason,
            "Row id": f"approver {one.email}",
        }
        rows.append(Row(row_id=f"approver {one.email}", cells=cells, look="archived" if one.revoked_at else ""))
    for pipe in state.pipelines.values():
        cells = {
            "Kind": "pipeline",
            "Name": pipe.name,
            "Email": None,
            "Role": "promotes to production",
            "Key": fingerprint(pipe.key),
            "Since": _day(pipe.added_at),
            "Revoked": _day(pipe.revoked_at),
            "Reason": pipe.reason,
            "Row id": f"pipeline {pipe.name}",
        }
        rows.append(Row(row_id=f"pipeline {pipe.name}", cells=cells, look="archived" if pipe.revoked_at else ""))
    return rows


def _history_rows(events: Sequence[Event]) -> list[Row]:
    rows = []
    for event in reversed(events[-HISTORY_ROWS:]):
        told = history_row(event)
        cells: dict[str, Cell] = {
            "Event": event.seq,
            "Time (UTC)": event.at[:19].replace("T", " "),
            "Actor": event.actor,
            "What": str(told["summary"]),
            "Hash": event.hash.removeprefix("sha256:")[:16],
            "Row id": str(event.seq),
        }
        rows.append(Row(row_id=str(event.seq), cells=cells))
    return rows


def _read_me(state: State) -> tuple[tuple[str, str], ...]:
    return (
        ("What this is", f"The tracking spreadsheet of the models of {state.system}, an AI system of {state.risk} risk. It is a view of the ledger beside it: whatever stands here can be checked there."),
        ("What you may edit", "Owner, Notes and Stage on Models; Decision, Approver, Approval date and Comment on Approvals (their headings have a colour of their own). A row that you type on Models registers a version; Check says what it lacks. Your own columns and sheets are yours."),
        ("What a Stage edit means", "A request. The stage changes when the approval has been signed and the promotion has been made."),
        ("What cannot be edited", "Everything else. It belongs to the tool; an edit is told and does not change the record."),
        ("Nothing is deleted", "A deleted row deletes nothing. Versions are archived, never removed (archive_policy.md, RP-2)."),
        ("How to check it", "mreg verify, or without this tool: README.txt and FORMAT.md in the same folder."),
    )  # fmt: skip


def build_view(state: State, events: Sequence[Event], *, link_prefix: str = "") -> View:
    """Return the view at the head of ``state``; ``events`` are those that it was folded from.

    ``link_prefix`` leads from the workbook to the root when it lies elsewhere.
    """
    emails = tuple(one.email for one in state.approvers.values() if one.revoked_seq is None)
    records = sorted(state.versions.values(), key=lambda record: (record.model, record.seq))
    requests = sorted(state.requests.values(), key=lambda request: -request.seq)
    return View(
        registry_id=state.registry_id,
        system=state.system,
        head_seq=state.head_seq,
        head_hash=state.head_hash or "",
        as_of=state.head_at,
        sheets=(
            Sheet(
                name="Models",
                title=f"{state.system} - model registry",
                columns=MODELS,
                rows=tuple(_models_row(state, record, link_prefix) for record in records),
            ),
            Sheet(
                name="Approvals",
                title=f"{state.system} - approvals",
                columns=_approvals_columns(emails),
                rows=tuple(_approval_row(state, request) for request in requests),
            ),
            Sheet(
                name="Approvers",
                title=f"{state.system} - approvers and pipelines",
                columns=APPROVERS,
                rows=tuple(_approver_rows(state)),
            ),
            Sheet(
                name="History", title=f"{state.system} - history", columns=HISTORY, rows=tuple(_history_rows(events))
            ),
        ),
        read_me=_read_me(state),
        link_prefix=link_prefix,
    )
