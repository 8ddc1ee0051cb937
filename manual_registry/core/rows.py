"""The view of the fold: which rows and cells the workbook shows at one ledger head (design 3.3, clause RP-15).

The same head gives the same view on every machine and at any time (times come from the ledger, not from the clock):
the base of every comparison with a person's workbook is recomputed with this module.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from typing import Final

from manual_registry.core import approvals, delegations, gate_exceptions
from manual_registry.core.canonical import decode
from manual_registry.core.closing import closed_text
from manual_registry.core.controls import Asked
from manual_registry.core.documents import approver_of, history_row, signed_approval, storage_location
from manual_registry.core.gate_exceptions import for_gate
from manual_registry.core.ledger import Event
from manual_registry.core.policy import retention_until
from manual_registry.core.rendering import VIEW_VERSION
from manual_registry.core.request_rows import request_row
from manual_registry.core.state import Approver, Pipeline, Request, State, VersionState
from manual_registry.core.stated import check_notes
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
    Column(header="Model", width=15, wrap=True),
    Column(header="Version", width=8, link=True),
    Column(header="Storage location", width=24, wrap=True, link=True),
    Column(header="Content hash", width=12.5),
    Column(header="Training data version", width=16, wrap=True),
    Column(header="Code commit", width=12.5),
    Column(header="Training date", width=10),
    Column(header="Evaluation metrics", width=27, wrap=True),
    Column(header="Stage", kind=_E, width=12, choices=tuple(Stage)),
    Column(header="Approver", width=21, wrap=True),
    Column(header="Approval date", width=10),
    Column(header="Deployment date", width=11),
    Column(header="SHA-256", width=66, outline=True),
    Column(header="Validation gates", width=17, wrap=True),
    Column(header="Pipeline run", width=14, outline=True),
    Column(header="Composite version", width=60, outline=True),
    Column(header="Retention until", width=12, outline=True),
    Column(header="Owner", kind=_E, width=12, wrap=True, shared=True),
    Column(header="Notes", kind=_E, width=19, wrap=True, shared=True),
    Column(header="Check", width=19, wrap=True, volatile=True),
    Column(header="Row id", hidden=True),
)


def _approvals_columns(approver_emails: tuple[str, ...]) -> tuple[Column, ...]:
    return (
        Column(header="Approval", width=9),
        Column(header="Model", width=16, wrap=True),
        Column(header="Version", width=8, link=True),
        Column(header="From", width=12),
        Column(header="To", width=12),
        Column(header="Replaces", width=9),
        Column(header="Validation gates", width=17, wrap=True),
        Column(header="Evaluation metrics", width=27, wrap=True),
        Column(header="Requested by", width=22, wrap=True),
        Column(header="Requested at", width=11),
        Column(header="Status", width=11),
        Column(header="Decision", kind=_E, width=10, choices=("approved", "rejected")),
        Column(header="Approver", kind=_E, width=22, wrap=True, choices=approver_emails),
        Column(header="Approval date", kind=_E, width=11),
        Column(header="Comment", kind=_E, width=22, wrap=True),
        Column(header="Check", width=24, wrap=True, volatile=True),
        Column(header="Row id", hidden=True),
    )


APPROVERS: tuple[Column, ...] = (
    Column(header="Kind", width=10),
    Column(header="Name", width=22, wrap=True),
    Column(header="Email", width=30, wrap=True),
    Column(header="Role", width=20),
    Column(header="Key", width=50),
    Column(header="Since", width=11),
    Column(header="Revoked", width=11),
    Column(header="Reason", width=40, wrap=True),
    Column(header="Row id", hidden=True),
)

HISTORY: tuple[Column, ...] = (
    Column(header="Event", text=False, width=8),
    Column(header="Time (UTC)", width=19),
    Column(header="Actor", width=30, wrap=True),
    Column(header="What", width=130, wrap=True),
    Column(header="Hash", width=20, outline=True),
    Column(header="Row id", hidden=True),
)


def short_reference(text: str) -> str:
    """Spell a training-data reference for a cell: full commit ids and hashes cut to 12 characters."""
    return _LONG_HEX.sub(lambda found: found[0][:12], text)


def gates_text(record: VersionState) -> str:
    """Spell the latest report of each gate, one a line: ``performance passed``; an exception with the day it ends."""
    latest = {gate["gate"]: gate["passed"] for gate in record.gates}
    let = {name: "".join(f", {gate_exceptions.text(one)}" for one in for_gate(record, name)[-1:]) for name in latest}
    return "\n".join(f"{name} {'passed' if passed else 'FAILED'}{let[name]}" for name, passed in latest.items())


def _day(text: str | None) -> str | None:
    return text[:10] if isinstance(text, str) and text else None  # of a hand-made statement it may be anything


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
            "\n".join(short_reference(item["reference"]) for item in record.training_data)
        ),
        "Code commit": code["commit"][:12] if code else None,
        "Training date": _day(record.value("training_date")),
        "Evaluation metrics": _metrics(record),
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
    single = record.location is not None and record.data["artefact"]["kind"] == "file"
    links = {"Storage location": f"{link_prefix}{storage_location(record)}{'' if single else '/'}"}
    links |= _card_link(record, link_prefix)
    return Row(
        row_id=record.ref, cells=cells, links=links, look="problem" if problem and "!" in problem else record.stage
    )


def _card_link(record: VersionState | None, link_prefix: str) -> dict[str, str]:
    """Lead from the version to its model card."""
    if record is None or record.card is None or not record.card.get("path"):
        return {}
    base = f"{record.bag}/data" if record.bag else f"models/{record.model}/{record.version}"
    return {"Version": f"{link_prefix}{base}/{record.card['path']}"}


def _metrics(record: VersionState) -> str | None:
    """Spell the metrics, one a line."""
    return _or_none(metrics_text(decode(record.value("metrics") or {})).replace("; ", "\n"))


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
    latest = {gate["gate"]: gate["passed"] for gate in record.gates}
    over = record.stage == Stage.ARCHIVED  # what failed there asks for nothing any more
    failed = [
        f"! {name} gate failed" + "".join(f" (let through until {one.expires})" for one in for_gate(record, name)[-1:])
        for name, passed in latest.items()
        if not passed and not over
    ]
    moving = ["move to the archive is pending"] if record.move_pending else []
    return _or_none("; ".join([*ratify, *failed, *check_notes(state, record), *waiting, *moving]))


#: A lead reads gates and metrics beside what is still open; what is closed shows what was signed.
_OPEN: Final = frozenset({"requested", "filled", "signed"})


def _approval_row(state: State, request: Request, link_prefix: str) -> Row:
    moment = parse_time(state.head_at)
    status = approvals.status(state, request, moment)
    found = read_statement(request.statement) if request.statement else None
    said = found["predicate"] if found else {}
    entry = request.filled if status == "filled" and request.filled else {}
    record = state.versions.get((request.model, request.version)) if status in _OPEN else None
    cells: dict[str, Cell] = {
        "Approval": request.id,
        "Model": request.model,
        "Version": request.version,
        "From": request.from_stage,
        "To": request.to,
        "Replaces": said.get("replaces") if found else request.replaces,
        "Validation gates": _or_none(gates_text(record)) if record else None,
        "Evaluation metrics": _metrics(record) if record else None,
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
    return Row(row_id=request.id, cells=cells, links=_card_link(record, link_prefix), look=status)


def _approval_rows(state: State, link_prefix: str) -> tuple[Row, ...]:
    """Return what was asked of approvers and leads, the latest first."""
    rows = [(one.seq, _approval_row(state, one, link_prefix)) for one in state.requests.values()]
    asked: list[Asked] = [*state.controls.values(), *state.baselines.values()]
    rows += [(one.seq, request_row(state, one)) for one in asked]
    return tuple(row for _, row in sorted(rows, key=lambda one: -one[0]))


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


def _delegated_to(state: State, approver: Approver) -> str | None:
    """Spell what is delegated to somebody, one a line."""
    found = delegations.granted_to(state, approver)
    return _or_none(
        "\n".join(f"{one.id}: {one.models} from {one.from_} until {one.until}: {one.reason}" for one in found)
    )


def _former(one: Approver | Pipeline, now: Approver | Pipeline | None) -> str:
    """Return what tells the row of a former key from the one that counts."""
    return "" if one is now else f" of event {one.added_seq}"


def _approver_rows(state: State) -> list[Row]:
    rows = []
    for one in state.all_approvers():
        row_id = f"approver {one.email}" + _former(one, state.approvers.get(one.email))
        cells: dict[str, Cell] = {
            "Kind": "person",
            "Name": one.name,
            "Email": one.email,
            "Role": one.role.value,
            "Key": fingerprint(one.key),
            "Since": _day(one.added_at),
            "Revoked": _day(one.revoked_at),
            "Reason": one.reason or _delegated_to(state, one),
            "Row id": row_id,
        }
        rows.append(Row(row_id=row_id, cells=cells, look="archived" if one.revoked_at else ""))
    for pipe in state.all_pipelines():
        row_id = f"pipeline {pipe.name}" + _former(pipe, state.pipelines.get(pipe.name))
        cells = {
            "Kind": "pipeline",
            "Name": pipe.name,
            "Email": None,
            "Role": "promotes to production",
            "Key": fingerprint(pipe.key) if pipe.key else f"tokens of {pipe.oidc['issuer'] if pipe.oidc else None}",
            "Since": _day(pipe.added_at),
            "Revoked": _day(pipe.revoked_at),
            "Reason": pipe.reason,
            "Row id": row_id,
        }
        rows.append(Row(row_id=row_id, cells=cells, look="archived" if pipe.revoked_at else ""))
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


_EDITABLE: Final = "Owner, Notes and Stage on Models; Decision, Approver, Approval date and Comment on Approvals (their headings have a colour of their own). A row that you type on Models registers a version; Check says what it lacks. Your own columns and sheets are yours."  # fmt: skip
_EDITABLE_STILL: Final = "Nothing new begins here any more: no version, no owner, no stage but archived. Notes on Models take what you add below what stands there; Approvals takes what archives a version. Your own columns and sheets are yours."  # fmt: skip


#: So much of where the register goes on is seen above a sheet; Read me has all of it.
_ONE_LINE: Final = 120


def _title(state: State, what: str) -> str:
    """Return what stands above a sheet: system, sheet, and that the register is closed."""
    ended = f" - {closed_text(state.closed)}" if state.closed is not None else ""
    return f"{state.system} - {what}{ended if len(ended) <= _ONE_LINE else ended[:_ONE_LINE] + '…'}"


def _read_me(state: State) -> tuple[tuple[str, str], ...]:
    return (
        ("What this is", f"The tracking spreadsheet of the models of {state.system}, an AI system of {state.risk} risk. It is a view of the ledger beside it: whatever stands here can be checked there."),
        ("What you may edit", _EDITABLE if state.closed is None else _EDITABLE_STILL),
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
    return View(
        registry_id=state.registry_id,
        system=state.system,
        head_seq=state.head_seq,
        head_hash=state.head_hash or "",
        as_of=state.head_at,
        sheets=(
            Sheet(
                name="Models",
                title=_title(state, "model registry"),
                columns=MODELS,
                rows=tuple(_models_row(state, record, link_prefix) for record in records),
            ),
            Sheet(
                name="Approvals",
                title=_title(state, "approvals"),
                columns=_approvals_columns(emails),
                rows=_approval_rows(state, link_prefix),
            ),
            Sheet(
                name="Approvers",
                title=_title(state, "approvers and pipelines"),
                columns=APPROVERS,
                rows=tuple(_approver_rows(state)),
            ),
            Sheet(name="History", title=_title(state, "history"), columns=HISTORY, rows=tuple(_history_rows(events))),
        ),
        read_me=_read_me(state),
        closed=closed_text(state.closed) if state.closed is not None else "",
        link_prefix=link_prefix,
        version=VIEW_VERSION,
    )
