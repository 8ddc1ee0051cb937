"""`close`: the end of a register, which goes on elsewhere (clause RP-22).

Whether it may be closed, and what a closed one still takes, is decided in :mod:`manual_registry.core.decide.closing`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from manual_registry.core import closing
from manual_registry.core.errors import AlreadyClosed, WorkbookUnreadable
from manual_registry.core.references import without_secrets
from manual_registry.core.values import free_text, line_text
from manual_registry.registry import views
from manual_registry.registry.access import read, writing
from manual_registry.registry.asking import change, unchanged

if TYPE_CHECKING:
    from manual_registry.core.results import Result
    from manual_registry.core.state import State
    from manual_registry.registry.workspace import Loaded, Workspace


def close(work: Workspace, *, successor: str, reason: str, as_: str | None, key: Path | None) -> Result:
    """Close the register; see :meth:`manual_registry.Registry.close`."""
    place, text = _plain(work, successor), free_text(reason, where="reason")
    loaded = work.load()
    state, told = loaded.state, (place, text)
    if _stands(state, told):
        if views.behind(work, loaded):  # a killed command: README.txt and workbook are to say it, too
            with writing(work):
                pass
        return unchanged(work, "close", "registry")
    if state.closed is None:
        work.warn(*remarks(work, loaded, place))
    try:
        return change(
            work,
            "close",
            action=closing.ACTION,
            subject={},
            data={"successor": place, "reason": text},
            as_=as_,
            key=key,
            id="registry",
            next=closing.NEXT,
        )
    except AlreadyClosed:
        if not _stands(work.load().state, told):
            raise
        return unchanged(work, "close", "registry")  # another lead was faster, and says the same


def _stands(state: State, told: tuple[str, str]) -> bool:
    """Tell whether the register is closed with that successor and reason."""
    return state.closed is not None and (state.closed.successor, state.closed.reason) == told


def _plain(work: Workspace, successor: str) -> str:
    """Return the address as it is kept and shown to everybody: one line, no credentials."""
    place = line_text(successor.strip(), where="successor")
    plain = without_secrets(place)
    if plain != place:
        work.warn(f"user, password and what looks like a token or key in --successor are left out: {plain}")
    return plain


def close_facts(work: Workspace, successor: str) -> dict[str, Any]:
    """Return what a lead reads before closing: how many versions of which stage, and what it means for what is open."""
    loaded, place = read(work), _plain(work, successor)
    state = loaded.state
    stages: dict[str, int] = {}
    for record in state.versions.values():
        stages[record.stage] = stages.get(record.stage, 0) + 1
    return {
        "successor": place,
        "versions": stages,
        "closed": closing.document(state.closed),
        "remarks": remarks(work, loaded, place),
    }


def remarks(work: Workspace, loaded: Loaded, successor: str) -> list[str]:
    """Return what a lead reads before closing: what it means for what is under way, and for what people wrote."""
    waiting = _written_by_people(work, loaded) if loaded.state.closed is None else 0
    told = closing.consequences(loaded.state, successor)
    if waiting:
        edits = "1 edit waits" if waiting == 1 else f"{waiting} edits wait"
        told.append(f"{edits} in the workbook (mreg sync takes them in; afterwards it takes notes only)")
    return told


def _written_by_people(work: Workspace, loaded: Loaded) -> int:
    """Count the cells and rows in the workbook that `sync` has not read yet; one that cannot be read is told elsewhere."""
    from manual_registry.adapters.workbook import OpenpyxlWorkbook
    from manual_registry.registry.workbook_findings import WAITS, difference_findings

    if work.config.unusable is not None:
        return 0
    try:
        base = views.base_view(work, loaded)
        reading = OpenpyxlWorkbook().read(work.workbook_path, base) if base is not None else None
    except WorkbookUnreadable:
        return 0
    found = difference_findings("", reading.differences, reading.typed) if reading is not None else ()
    return sum(one.code == WAITS for one in found)


def takes_signature(work: Workspace, name: str | None) -> bool:
    """Tell whether a lead may still be asked to sign; see :meth:`manual_registry.Registry.takes_signature`."""
    state = work.load().state
    if state.closed is None:
        return True
    wanted = (name or "").upper()
    asked = state.requests.get(wanted) or state.controls.get(wanted)
    return asked is not None and closing.outlasts(asked)


def without_leads(work: Workspace, address: str) -> str | None:
    """Say what the revocation of a closed register's last lead ends; None: it is not."""
    return closing.without_leads(work.load().state, address.strip().lower())
