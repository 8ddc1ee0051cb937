"""What a lead writes into an approval's row, on Approvals or in Approver and Approval date of Models (design 3.3).

Rules held here: an entry takes no effect before it is signed; each is validated against the roster, and what is wrong
stays in the cell and is told in the row; an entry whose cells are emptied is taken back, which is an event too; while
one request of a version is open, Approver and Approval date of its row on Models are that request's entry; a date is
not after today where sync runs (the ledger's own rule, which every machine judges alike, is the latest time zone's day).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from manual_registry.core import approvals, controls
from manual_registry.core import events as kinds
from manual_registry.core.decide.approvals import closed
from manual_registry.core.decide.closing import refusal as ended
from manual_registry.core.errors import BadTime, DateInFuture, RegistryError
from manual_registry.core.ledger import Draft
from manual_registry.core.request_rows import sign_hint
from manual_registry.core.rows import sign_command
from manual_registry.core.state import Request, State
from manual_registry.core.syncing import ERRORS, Item, Sorted, item
from manual_registry.core.times import is_date
from manual_registry.core.view import Difference
from manual_registry.registry.model_edits import record_of, text_of
from manual_registry.registry.synced import Synced, raise_unless_about, spot

if TYPE_CHECKING:
    from manual_registry.registry.workspace import Loaded, Workspace

_COLUMNS: Final = {"Decision": "decision", "Approver": "approver", "Approval date": "date", "Comment": "comment"}
#: What people write for a decision. A bare "yes" or "ok" is none: it may answer another question.
_DECISIONS: Final = {"approve": "approved", "genehmigt": "approved", "reject": "rejected", "abgelehnt": "rejected"}
_ON_MODELS: Final = ("Approver", "Approval date")
_MOMENT: Final = re.compile(r"(\d{4}-\d{2}-\d{2})[T ][\d:.]+Z?")
_DAY_FIRST: Final = re.compile(r"(\d{1,2})\.\s?(\d{1,2})\.\s?(\d{4})")
_ADDRESS: Final = re.compile(r".*<([^<>]+)>\s*")


@dataclass(slots=True)
class Entry:
    """The cells that somebody filled in for one request, those of Models first."""

    id: str
    cells: list[Difference] = field(default_factory=list)

    @property
    def first(self) -> Difference:
        """The cell that stands for all of them in a message."""
        return self.cells[-1]

    def cell(self, heading: str, wanted: Mapping[str, str | None]) -> Difference:
        """Return the cell below ``heading``, also when it is as it was before."""
        edited = [one for one in self.cells if one.column == heading]
        return edited[-1] if edited else replace(self.first, column=heading, found=wanted[_COLUMNS[heading]], base=None)


def take_all(work: Workspace, loaded: Loaded, found: Sorted, done: Synced) -> list[Item]:
    """Take every entry; returns the lines about cells of Models that are none and were put back."""
    entries: dict[str, Entry] = {}
    lines = [line for one, line in found.restored if not _on_models(loaded.state, one, found, entries)]
    for one in found.edits:
        if one.sheet == "Approvals":
            entries.setdefault(one.row, Entry(one.row)).cells.append(one)
    for entry in entries.values():
        request = loaded.state.requests.get(entry.id)
        asked = controls.find(loaded.state, entry.id)
        if request is not None:
            _take(work, loaded, request, entry, done)
        elif asked is not None:
            told = f"{asked.id} is signed, not filled in: {sign_hint(asked)}; put back"
            done.problem(entry.first, told)
    return lines


def _on_models(state: State, one: Difference, found: Sorted, entries: dict[str, Entry]) -> bool:
    """Tell whether a cell of Models belongs to the entry of the one request that is open."""
    if one.sheet != "Models" or one.column not in _ON_MODELS or one.formula or not isinstance(one.found, str):
        return False
    if (one.sheet, one.row) in found.overtyped or one.found in ERRORS:
        return False
    record = record_of(state, one.row)
    asked = [state.requests[name] for name in record.requests] if record else []
    asked = [request for request in asked if request.status == "requested" and request.ratifies is None]
    if len(asked) != 1:
        return False
    entries.setdefault(asked[0].id, Entry(asked[0].id)).cells.append(one)
    return True


def _take(work: Workspace, loaded: Loaded, request: Request, entry: Entry, done: Synced) -> None:
    """Validate an entry; complete and good: an event; else it stays and Check says why."""
    if request.status != "requested":
        over = loaded.state.closed if request.status == "lapsed" else None
        refusal: RegistryError = closed(request) if over is None else ended(over)
        signed = request.status == "signed" and approvals.is_open(request)
        told = f"approval {request.id} is signed already" if signed else f"{refusal.message} ({refusal.hint})"
        done.problem(entry.first, f"{told}; put back")
        return
    wanted = _wanted(loaded.state, request, entry)
    spots = [spot(one) for one in entry.cells]
    missing = [title for title, name in _COLUMNS.items() if name != "comment" and not wanted[name]]
    if request.filled and not any(wanted.values()):
        _take_back(work, loaded, request, entry, done)
    elif missing:
        done.keep |= {*spots}
        told = f"{request.id}: still to fill in: {', '.join(missing)}"
        if request.filled:
            told += "; what was filled in before stands until then (empty all four cells to take it back)"
        done.outcome.pending.append(item(entry.cell(missing[0], wanted), told))
        _say(entry, done, told)
    elif wanted == (request.filled or {}):
        done.accepted(spots)
    else:
        _fill(work, loaded, request, entry, wanted, done)


def _fill(
    work: Workspace, loaded: Loaded, request: Request, entry: Entry, wanted: dict[str, str | None], done: Synced
) -> None:
    subject = {"model": request.model, "version": request.version}
    draft = Draft(type=kinds.FILLED, subject=subject, data={"id": request.id, **wanted})
    spots = [spot(one) for one in entry.cells]
    try:
        work.append(loaded, lambda _state, _at: draft, review=partial(_with_today, work, request, wanted))
    except RegistryError as refusal:
        raise_unless_about(refusal)
        done.keep |= {*spots}
        for reason in refusal.reasons:
            done.outcome.problems.append(item(entry.cell(_heading(reason), wanted), reason.message))
            _say(entry, done, f"! {reason.message}")
        return
    done.accepted(spots)
    filled = loaded.state.requests[request.id]
    told = f"{request.id}: filled in as {wanted['decision']}, NOT yet signed; {wanted['approver']} signs with"
    done.outcome.filled.append(item(entry.first, f"{told}: {sign_command(filled)}", kept=entry.first.found))


def _take_back(work: Workspace, loaded: Loaded, request: Request, entry: Entry, done: Synced) -> None:
    """All four cells were emptied: the request waits again as if nothing had been filled in."""
    subject = {"model": request.model, "version": request.version}
    data = {"id": request.id, "decision": "", "approver": "", "date": "", "comment": None}
    work.append(loaded, lambda _state, _at: Draft(type=kinds.FILLED, subject=subject, data=data))
    done.accepted(spot(one) for one in entry.cells)
    done.outcome.accepted.append(item(entry.first, f"{request.id}: what was filled in is taken back"))


def _with_today(
    work: Workspace, request: Request, wanted: dict[str, str | None], _state: State, reasons: list[RegistryError]
) -> list[RegistryError]:
    """Add to ``reasons`` that the date is after today on this machine's calendar."""
    today, day = work.clock().astimezone().date().isoformat(), str(wanted["date"])
    if not is_date(day) or day <= today or any(isinstance(one, BadTime | DateInFuture) for one in reasons):
        return reasons
    told = f"approval {request.id}: Approval date {day} has not come yet (today is {today})"
    return [*reasons, DateInFuture(told, location="Approval date", clause="RP-19")]


def _heading(reason: RegistryError) -> str:
    """Return the heading of the column that a refusal is about."""
    return str(reason.location) if reason.location in _COLUMNS else "Approver"


def _say(entry: Entry, done: Synced, text: str) -> None:
    for sheet, row in dict.fromkeys((one.sheet, one.row) for one in entry.cells):
        done.say(sheet, row, text)


def _wanted(state: State, request: Request, entry: Entry) -> dict[str, str | None]:
    """Return the whole entry: what was filled in before, then Models, then Approvals."""
    standing = request.filled or {}
    wanted: dict[str, str | None] = {name: standing.get(name) for name in _COLUMNS.values()}
    wanted |= {_COLUMNS[str(one.column)]: text_of(one.found) for one in entry.cells if one.column in _COLUMNS}
    if wanted["decision"] is None and entry.cells[0].sheet == "Models":
        wanted["decision"] = "approved"  # whoever writes a name into Approver approves
    decision, approver, date, comment = (str(wanted[name] or "").strip() for name in _COLUMNS.values())
    return {
        "decision": _DECISIONS.get(decision.lower(), decision.lower()) or None,
        "approver": _address(state, approver) if approver else None,
        "date": _date(date) or None,
        "comment": comment or None,
    }


def _date(text: str) -> str:
    """Return a date as 2026-11-24 where it is one moment's, or written 24.11.2026 (never month first); else as typed."""
    if moment := _MOMENT.fullmatch(text):
        return moment[1]
    if european := _DAY_FIRST.fullmatch(text):
        day, month, year = (int(part) for part in european.groups())
        if 1 <= month <= 12:  # what is no day of it is told as it was typed all the same
            return f"{year}-{month:02d}-{day:02d}"
    return text


def _address(state: State, text: str) -> str:
    """Return the address that a name, an address, or ``Name <address>`` means; as typed where nobody is meant."""
    inside = _ADDRESS.fullmatch(text)
    address = (inside[1] if inside else text).strip().lower()
    named = [one.email for one in state.approvers.values() if one.name.casefold() == text.casefold()]
    return named[0] if address not in state.approvers and len(named) == 1 else address
