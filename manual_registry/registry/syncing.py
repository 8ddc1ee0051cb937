"""`sync`: people's edits of the workbook become events, requests or problems; then the view follows (clause RP-15).

The three-way diff is between the file, its base (the view at the ledger head that the file names, recomputed from the
ledger) and the state now. What each difference means is decided in :mod:`manual_registry.core.syncing`; whether it may
become an event in :mod:`manual_registry.core.decide`. This module orders the steps:

1. differences and typed rows are read from the file; nothing is written there;
2. edits become events under the write lock;
3. complete typed rows are registered;
4. the workbook is brought up to date, everything else put back.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from manual_registry.core import events as kinds
from manual_registry.core.errors import (
    Conflict,
    FileUnknown,
    HeadUnknown,
    NotFound,
    RegistryError,
    TransitionForbidden,
    UsageError,
)
from manual_registry.core.ledger import Draft, file_name
from manual_registry.core.state import Request, State, VersionState
from manual_registry.core.syncing import Sorted, item, sort_out
from manual_registry.core.values import Stage, stage
from manual_registry.core.view import Cell, Difference, View
from manual_registry.ports import TypedRow
from manual_registry.registry import typed_rows, views
from manual_registry.registry.access import writing
from manual_registry.registry.approving import open_request, request_draft
from manual_registry.registry.synced import Synced

if TYPE_CHECKING:
    from manual_registry.registry.workspace import Loaded, Workspace

_ENTRY = {"Decision": "decision", "Approver": "approver", "Approval date": "date", "Comment": "comment"}


def sync(work: Workspace, *, workbook: Path | None, from_: Path | None) -> Synced:
    """Read people's edits back, then refresh the view; see :meth:`manual_registry.Registry.sync`."""
    path = workbook or work.workbook_path
    if workbook is not None and not path.is_file():
        raise FileUnknown(f"{path}: there is no such workbook", location=str(path), hint="mreg sync")
    done = Synced()
    work.hold_workbook = True
    try:
        typed = _edits(work, path, done)
        typed_rows.register_all(work, typed, done, from_)
    finally:
        work.hold_workbook = False
    _refresh(work, path, done)
    return done


def _edits(work: Workspace, path: Path, done: Synced) -> tuple[TypedRow, ...]:
    """Steps 1 and 2, under the write lock; returns the typed rows."""
    from manual_registry.adapters.workbook import OpenpyxlWorkbook

    port = OpenpyxlWorkbook()
    with writing(work) as loaded:
        done.head = loaded.head
        if not path.exists():
            return ()
        base = _base(work, loaded, path)
        if base is None:
            _tell_all(work, loaded, path, done)
            return ()
        found = sort_out(port.differences(path, base))
        typed = port.typed_rows(path, base)
        _take(work, loaded, found, done)
        done.events += [event.seq for event in loaded.written]
        done.head = loaded.head
    return typed


def _base(work: Workspace, loaded: Loaded, path: Path) -> View | None:
    """Return the base; refuses a workbook of another registry and one that names an unknown head."""
    from manual_registry.adapters.workbook import OpenpyxlWorkbook

    found = OpenpyxlWorkbook().inspect(path)
    if found.registry_id is None or found.head_seq is None:
        return None
    if found.registry_id != loaded.state.registry_id:
        raise Conflict(
            f"{path.name} belongs to another registry ({found.registry_id}); this one is {loaded.state.registry_id}",
            location=str(path),
        )
    if loaded.state.hashes.get(found.head_seq) != found.head_hash:
        raise HeadUnknown(
            f"{path.name} names event {found.head_seq} with a hash that this ledger does not contain",
            location=f"ledger/{file_name(found.head_seq)}",
            clause="RP-13",
            hint="mreg verify",
        )
    return views.view_at(work, loaded.events[: found.head_seq])


def _tell_all(work: Workspace, loaded: Loaded, path: Path, done: Synced) -> None:
    """Without a base nothing can be accepted: every difference from the present view is told."""
    from manual_registry.adapters.workbook import OpenpyxlWorkbook

    now = views.view_at(work, loaded.events, loaded.state)
    why = "the workbook does not say at which ledger head it was written; nothing of it is accepted"
    done.outcome.problems += [item(one, why) for one in OpenpyxlWorkbook().differences(path, now)]


def _take(work: Workspace, loaded: Loaded, found: Sorted, done: Synced) -> None:
    done.outcome.problems += found.problems
    entries: dict[str, list[Difference]] = {}
    for one in found.edits:
        if one.sheet == "Approvals":
            entries.setdefault(one.row, []).append(one)
        elif one.column == "Stage":
            _stage(work, loaded, one, done)
        else:
            _field(work, loaded, one, done)
    typed_approvers = _approvers_on_models(loaded.state, found, entries)
    done.outcome.restored += [one for one in found.restored if (one.row, one.column) not in typed_approvers]
    for name, cells in entries.items():
        _entry(work, loaded, name, cells, done)


# -- Models -----------------------------------------------------------------------------------------------


def _record(state: State, row: str) -> VersionState | None:
    model, _, version = row.partition("@")
    return state.version(model, version)


def _text(found: Cell) -> str | None:
    return None if found is None else str(found)


def _field(work: Workspace, loaded: Loaded, one: Difference, done: Synced) -> None:
    """Owner or Notes: an event, unless the record has moved on meanwhile."""
    record, name = _record(loaded.state, one.row), str(one.column).lower()
    if record is None:
        return
    standing = record.owner if name == "owner" else record.notes_text
    wanted = _text(one.found)
    if wanted == standing:
        return
    if standing != one.base:
        message = f"{one.column} of {one.row} was changed to {standing!r} meanwhile; yours stays in the cell, decide and sync again"
        done.outcome.problems.append(item(one, message, kept=standing))
        done.keep.add((one.sheet, one.row, str(one.column)))
        done.says[one.sheet, one.row] = f"! {one.column}: the record now says {standing!r}"
        return
    subject = {"model": record.model, "version": record.version}
    draft = Draft(type=kinds.EDITED, subject=subject, data={"field": name, "value": wanted, "was": standing})
    if _append(work, loaded, one, draft, done):
        done.outcome.accepted.append(item(one, f"{one.column} of {one.row} accepted", kept=wanted))
        done.accept.add((one.sheet, one.row, str(one.column)))


def _append(work: Workspace, loaded: Loaded, one: Difference, draft: Draft, done: Synced) -> bool:
    """Append; a refusal becomes a problem in the row."""
    try:
        work.append(loaded, lambda _state, _at: draft)
    except RegistryError as refusal:
        for reason in refusal.reasons:
            done.outcome.problems.append(item(one, reason.message))
        done.says[one.sheet, one.row] = "! " + "; ".join(reason.message for reason in refusal.reasons)
        return False
    return True


def _stage(work: Workspace, loaded: Loaded, one: Difference, done: Synced) -> None:
    """A changed Stage is a request, never a transition; what the table forbids is told and put back."""
    record = _record(loaded.state, one.row)
    if record is None:
        return
    try:
        wanted = stage(str(one.found or ""))
        _ask(work, loaded, one, record, wanted, done)
    except (UsageError, TransitionForbidden) as refusal:
        done.outcome.problems.append(item(one, refusal.message, kept=record.stage))
        done.says[one.sheet, one.row] = f"! {refusal.message}"


def _ask(work: Workspace, loaded: Loaded, one: Difference, record: VersionState, wanted: Stage, done: Synced) -> None:
    if wanted.value == record.stage:
        return
    standing = open_request(loaded.state, record, wanted)
    if standing is None:
        event = work.append(loaded, lambda state, _at: request_draft(state, record, wanted))
        standing = loaded.state.requests[f"A{event.seq}"]
    message = f"{record.ref}: {standing.id} asks for {wanted}; the stage changes when it is signed and promoted"
    done.outcome.requested.append(item(one, message, kept=record.stage))


# -- Approvals --------------------------------------------------------------------------------------------


def _approvers_on_models(
    state: State, found: Sorted, entries: dict[str, list[Difference]]
) -> set[tuple[str, str | None]]:
    """Approver and Approval date typed on Models while one request is open are that request's entry."""
    taken: set[tuple[str, str | None]] = set()
    for one in found.restored:
        record = (
            _record(state, one.row) if one.sheet == "Models" and one.column in ("Approver", "Approval date") else None
        )
        waiting = [state.requests[name] for name in record.requests] if record else []
        waiting = [request for request in waiting if request.status == "requested" and request.ratifies is None]
        if len(waiting) != 1 or one.found is None or one.column is None:
            continue
        taken.add((one.row, one.column))
        entries.setdefault(waiting[0].id, []).append(_as_entry(waiting[0], one.column, one.found))
    return taken


def _as_entry(request: Request, column: str, found: Cell) -> Difference:
    from manual_registry.core.view import ColumnKind

    return Difference(
        sheet="Approvals",
        row=request.id,
        column=column,
        found=found,
        base=None,
        kind=ColumnKind.EDITABLE,
        place="Models",
    )


def _entry(work: Workspace, loaded: Loaded, name: str, cells: list[Difference], done: Synced) -> None:
    """Validate what a lead filled in; complete and good: an event; else it stays and Check says why."""
    request = loaded.state.requests.get(name)
    if request is None:
        return
    entry: dict[str, str | None] = {
        "decision": None,
        "approver": None,
        "date": None,
        "comment": None,
        **(request.filled or {}),
    }
    entry |= {_ENTRY[str(one.column)]: _text(one.found) for one in cells if one.column in _ENTRY}
    if cells[0].place == "Models" and entry["decision"] is None:
        entry["decision"] = "approved"
    entry["approver"] = entry["approver"].strip().lower() if entry["approver"] else None
    entry["date"] = entry["date"][:10] if entry["date"] else None
    missing = [title for title, key in _ENTRY.items() if key != "comment" and not entry[key]]
    first = cells[0]
    done.keep |= {(one.sheet, one.row, str(one.column)) for one in cells}
    if missing:
        message = f"{name}: still to fill in: {', '.join(missing)}"
        done.outcome.pending.append(item(first, message))
        done.says["Approvals", name] = message
        return
    subject = {"model": request.model, "version": request.version}
    if entry == (request.filled or {}):
        return
    if _append(work, loaded, first, Draft(type=kinds.FILLED, subject=subject, data={"id": name, **entry}), done):
        done.keep -= {(one.sheet, one.row, str(one.column)) for one in cells}
        done.accept |= {("Approvals", name, title) for title in _ENTRY}
        message = f"{name}: filled in, NOT yet signed; {entry['approver']} signs with: mreg approval sign {name} --as {entry['approver']}"
        done.outcome.filled.append(item(first, message, kept=first.found))


# -- the view ---------------------------------------------------------------------------------------------


def _refresh(work: Workspace, path: Path, done: Synced) -> None:
    """Step 4: the workbook follows; a copy that was merged stays as it is."""
    loaded = work.load()
    try:
        views.refresh_workbook(work, loaded, done.instructions() if path == work.workbook_path else None)
    except (NotFound, Conflict):
        raise
    except RegistryError as problem:
        work.warn(f"the view is behind: {problem.message}")
    work.remember(loaded)
    done.head = loaded.head
