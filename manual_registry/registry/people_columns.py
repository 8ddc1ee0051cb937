"""What a mapping does not use joins the workbook: an adopted sheet's own columns and comments (design 3.3, 3.4).

The ledger holds them too, with each entry, and the original is kept whole; so a workbook that cannot take them now is
told and nothing is lost. They are people's own from then on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from manual_registry.core.adoption.cells import number_of
from manual_registry.core.errors import RegistryError

if TYPE_CHECKING:
    from manual_registry.adapters.workbook.people import OwnColumns
    from manual_registry.core.state import VersionState
    from manual_registry.core.view import Sheet
    from manual_registry.registry.workspace import Workspace

_SHEET = "Models"
#: Comments on cells that have become ours stand on this one.
_ANCHOR = "Version"


def join(work: Workspace, sha256: str, *, rest: Sequence[str]) -> None:
    """Put the own columns and comments of the sheet with this SHA-256 into the workbook; what fails is told.

    ``rest`` are its sheets that hold something else; the Read me sheet says where the original is kept.
    """
    from manual_registry.adapters.files import os_errors
    from manual_registry.adapters.locks import WriteLock
    from manual_registry.adapters.workbook import OpenpyxlWorkbook
    from manual_registry.registry import views

    with WriteLock(work.root):
        loaded = work.load()
        records = [one for one in loaded.state.versions.values() if one.adopted and one.adopted["sha256"] == sha256]
        if not records:
            return
        view = views.view_at(work, loaded.events, loaded.state)
        own = _own_columns(records, next(sheet for sheet in view.sheets if sheet.name == _SHEET))
        kept = next((one.adopted["kept"] for one in records if one.adopted and "kept" in one.adopted), "adopted/")
        own = replace(own, note=("An older sheet", _note(records, kept, rest), kept))
        path = work.workbook_path
        try:
            with os_errors(work.root):
                seen = OpenpyxlWorkbook().inspect(path)
                if (seen.registry_id, seen.head_seq, seen.head_hash) != (loaded.state.registry_id, *loaded.head):
                    problem = "is behind the ledger"
                else:
                    done = OpenpyxlWorkbook().add_columns(path, view, _SHEET, own)
                    views.keep_rendering(work, loaded, path, done)
                    problem = "; ".join(done.warnings)
        except RegistryError as refused:
            problem = refused.message
    if problem and (own.values or own.comments):
        names = ", ".join(own.values) or "comments"
        work.warn(f"own columns of the sheet ({names}) were not added to the workbook: {problem}; they are in {kept}")


def _note(records: Sequence[VersionState], kept: str, rest: Sequence[str]) -> str:
    source = (records[0].adopted or {}).get("source")
    others = f" Its other sheets ({', '.join(rest)}) are in there." if rest else ""
    return f"{source} was adopted on {records[0].registered_at[:10]} and is kept whole as {kept}.{others}"


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
