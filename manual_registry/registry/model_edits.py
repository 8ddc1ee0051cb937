"""Edits of the sheet Models: Owner and Notes become events, a changed Stage a request (design 3.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from manual_registry.core import events as kinds
from manual_registry.core.errors import RegistryError
from manual_registry.core.ledger import Draft
from manual_registry.core.state import State, VersionState
from manual_registry.core.syncing import item, shown
from manual_registry.core.values import Stage, one_line, typed_stage
from manual_registry.core.view import Cell, Difference
from manual_registry.registry.approving import ask, how_it_goes_on
from manual_registry.registry.synced import Synced, spot

if TYPE_CHECKING:
    from manual_registry.registry.workspace import Loaded, Workspace

#: From so many characters on a cell may show less than the record has.
_WHOLE: Final = 32_000


def record_of(state: State, row: str) -> VersionState | None:
    """Return the version that a row id of Models names."""
    model, _, version = row.partition("@")
    return state.version(model, version)


def text_of(found: Cell) -> str | None:
    """Return a cell's text; an empty cell is None."""
    return None if found is None else str(found)


def take(work: Workspace, loaded: Loaded, one: Difference, done: Synced) -> None:
    """Take one edited cell of Models."""
    record = record_of(loaded.state, one.row)
    if record is None:
        return
    if one.column == "Stage":
        _stage(work, loaded, one, record, done)
    else:
        _field(work, loaded, one, record, done)


def _field(work: Workspace, loaded: Loaded, one: Difference, record: VersionState, done: Synced) -> None:
    """Owner or Notes: an event, unless the record has moved on meanwhile."""
    name, wanted = str(one.column).lower(), text_of(one.found)
    if name == "owner":  # Alt+Enter and marks that nobody sees are no part of a name
        wanted = one_line(wanted or "") or None
    standing = record.owner if name == "owner" else record.notes_text
    if wanted == standing:
        done.accepted([spot(one)])
        return
    if standing != one.base:
        yours = f"yours was {shown(wanted)!r}: type it again if it shall stand"
        told = f"{one.column} of {one.row} was changed to {shown(standing)!r} by somebody else meanwhile; {yours}"
        done.problem(one, told, kept=standing, note=f"{one.column} was changed meanwhile; {yours}")
        return
    if standing is not None and len(standing) > _WHOLE:
        advice = f"add to it with mreg note {one.row} TEXT"
        done.problem(one, f"{one.column} of {one.row} is longer than a cell shows: {advice}", kept=standing)
        return
    subject = {"model": record.model, "version": record.version}
    draft = Draft(type=kinds.EDITED, subject=subject, data={"field": name, "value": wanted, "was": standing})
    try:
        work.append(loaded, lambda _state, _at: draft)
    except RegistryError as refusal:
        done.refused(one, refusal, kept=standing)
        return
    told = f"{one.column} of {one.row} is now {shown(wanted)!r}" if wanted else f"{one.column} of {one.row} was emptied"
    done.outcome.accepted.append(item(one, told, kept=wanted))
    done.accepted([spot(one)])


def _stage(work: Workspace, loaded: Loaded, one: Difference, record: VersionState, done: Synced) -> None:
    """A changed Stage is a request, never a transition; what the table forbids is told and put back."""
    text = one_line(str(one.found or ""))
    if not text:
        done.problem(one, f"Stage of {one.row} was emptied; put back", kept=record.stage)
        return
    try:
        wanted = typed_stage(text)
        if wanted.value == record.stage:
            done.accepted([spot(one)])
            return
        message = request(work, loaded, record, wanted)
    except RegistryError as refusal:
        done.refused(one, refusal, kept=record.stage)
        return
    done.accepted([spot(one)])
    done.outcome.requested.append(item(one, message, kept=record.stage))


def request(work: Workspace, loaded: Loaded, record: VersionState, wanted: Stage) -> str:
    """Ask for a stage, as a changed or typed Stage cell does; returns what has to be told."""
    made = ask(work, loaded, record, wanted)
    return f"{record.ref}: {made.id} asks for {wanted}; {how_it_goes_on(loaded.state, made)}"
