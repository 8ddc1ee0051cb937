"""What a mapping does not use joins the workbook: an adopted sheet's own columns and comments (design 3.3, 3.4).

The ledger holds them too, with each entry, and the original is kept whole; so a workbook that cannot take them now is
told, and gets them from the next writing command that can. They are people's own from then on. Sheets that hold something
else are copied along.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from manual_registry.core.adoption.cells import number_of
from manual_registry.core.errors import RegistryError
from manual_registry.ports import Refreshed

if TYPE_CHECKING:
    from manual_registry.adapters.workbook.carried import Original
    from manual_registry.adapters.workbook.people import OwnColumns
    from manual_registry.core.state import VersionState
    from manual_registry.core.view import Sheet, View
    from manual_registry.registry.workspace import Loaded, Workspace

_SHEET = "Models"
#: Comments on cells that have become ours stand on this one.
_ANCHOR = "Version"


def join(work: Workspace) -> None:
    """Put the own columns and comments of adopted sheets into the workbook; what fails is told."""
    from manual_registry.adapters.locks import WriteLock

    with WriteLock(work.root):
        loaded = work.load()
        done = catch_up(work, loaded)
        if done is None or done.written:
            return
        problem = "; ".join(done.warnings)
        owns = [own for own in _pending(work, loaded, _joined_up_to(work)) if own.values or own.comments]
        names = ", ".join(dict.fromkeys(name for own in owns for name in own.values)) or "comments"
        if owns:
            work.warn(
                f"own columns of the sheet ({names}) were not added to the workbook: {problem}; the ledger has them, and"
                " the next writing command that can adds them"
            )


def catch_up(work: Workspace, loaded: Loaded, view: View | None = None) -> Refreshed | None:
    """Add to the workbook what adopted versions brought along and was never written there; None: there is nothing.

    Called after each refresh: a workbook that was open, or is rendered anew, gets it then. A cell that a person emptied
    since stays empty. ``view`` is the view at the head. What keeps it from being written stands in the warnings.
    """
    if not loaded.state.adopted:
        return None
    from manual_registry.adapters.files import os_errors
    from manual_registry.adapters.workbook import OpenpyxlWorkbook
    from manual_registry.registry import views

    path, port = work.workbook_path, OpenpyxlWorkbook()
    try:
        with os_errors(work.root):
            last = max((one.seq for one in loaded.state.versions.values() if one.adopted), default=0)
            seen = port.inspect(path)
            if last <= seen.joined_up_to:
                return None
            if (seen.registry_id, seen.head_seq, seen.head_hash) != (loaded.state.registry_id, *loaded.head):
                return Refreshed(written=False, warnings=(f"{path.name} is behind the ledger",))
            shown = view or views.view_at(work, loaded.events, loaded.state)
            done = port.add_columns(path, shown, _SHEET, _pending(work, loaded, seen.joined_up_to, shown), up_to=last)
    except RegistryError as refused:
        return Refreshed(written=False, warnings=(refused.message,))
    if done.written:
        work.warn(*done.warnings)
        views.keep_rendering(work, loaded, path, done)
    return done


def _joined_up_to(work: Workspace) -> int:
    """Return the event up to which the workbook has them; a file that cannot be read has none."""
    from manual_registry.adapters.workbook import OpenpyxlWorkbook

    try:
        return OpenpyxlWorkbook().inspect(work.workbook_path).joined_up_to
    except RegistryError:
        return 0


def _pending(work: Workspace, loaded: Loaded, up_to: int, view: View | None = None) -> list[OwnColumns]:
    """Return, for each adopted sheet, what its versions after event ``up_to`` brought along."""
    from manual_registry.registry import views

    shown = view or views.view_at(work, loaded.events, loaded.state)
    sheet = next(one for one in shown.sheets if one.name == _SHEET)
    sheets: dict[str, list[VersionState]] = {}
    for record in loaded.state.versions.values():
        if record.adopted:
            sheets.setdefault(record.adopted["sha256"], []).append(record)
    found = []
    for sha256, records in sheets.items():
        late = {one.ref for one in records if one.seq > up_to}
        if not late:
            continue
        own, kept = _own_columns(records, sheet), str((records[0].adopted or {}).get("kept", "adopted/"))
        values = {
            heading: {ref: text for ref, text in cells.items() if ref in late} for heading, cells in own.values.items()
        }
        found.append(
            replace(
                own,
                values={heading: cells for heading, cells in values.items() if cells},
                comments={spot: text for spot, text in own.comments.items() if spot[0] in late},
                note=("An older register" if kept.endswith(".json") else "An older sheet", _note(records, kept), kept),
                original=_original(work, records, kept, sha256) if len(late) == len(records) else None,
            )
        )
    return found


def _original(work: Workspace, records: Sequence[VersionState], kept: str, sha256: str) -> Original | None:
    """Return the adopted workbook, if it is kept as it was."""
    import hashlib

    from manual_registry.adapters.workbook.carried import Original

    path = work.root / kept
    if path.suffix.lower() not in (".xlsx", ".xlsm"):
        return None
    try:
        data = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
    except OSError:
        return None  # `verify` tells it
    if hashlib.sha256(data).hexdigest() != sha256:
        return None
    used = frozenset(str(one.adopted["sheet"]) for one in records if one.adopted)
    return Original(data=data, name=str((records[0].adopted or {}).get("source")), used=used)


def _note(records: Sequence[VersionState], kept: str) -> str:
    source = (records[0].adopted or {}).get("source")
    return f"{source} was adopted on {records[0].registered_at[:10]} and is kept whole as {kept}."


def _own_columns(records: Iterable[VersionState], sheet: Sheet) -> OwnColumns:
    """Gather the columns in the order of the sheet; of two that one row has under one heading, both stay."""
    from manual_registry.adapters.workbook.people import OwnColumns, headings_of

    cells: dict[tuple[str, int], dict[str, str]] = {}
    order: dict[tuple[str, int], int] = {}
    spots: dict[tuple[str, str], tuple[str, int]] = {}
    said: dict[tuple[str, str], list[str]] = {}
    source = ""
    for record in records:
        adopted = record.adopted or {}
        source, seen = str(adopted.get("source")), Counter[str]()
        for cell in adopted.get("foreign", ()):
            heading = str(cell["header"])
            seen[heading] += 1
            key = (heading, seen[heading])
            cells.setdefault(key, {})[record.ref] = cell["value"]
            order.setdefault(key, number_of(cell["column"]) or 0)
            spots[record.ref, cell["column"]] = key
        for comment in adopted.get("comments", ()):
            said.setdefault((record.ref, comment["column"]), []).append(f"{comment['header']}: {comment['text']}")
    ours = frozenset(column.header for column in sheet.columns)
    keys = sorted(cells, key=lambda key: (order[key], key))
    names = dict(zip(keys, headings_of([heading for heading, _ in keys], ours), strict=True))
    comments: dict[tuple[str, str], str] = {}
    for (ref, column), texts in said.items():
        spot = (ref, names[spots[ref, column]] if (ref, column) in spots else _ANCHOR)
        comments[spot] = "\n".join([comments[spot], *texts] if spot in comments else texts)
    return OwnColumns(values={names[key]: cells[key] for key in keys}, comments=comments, author=f"from {source}")
