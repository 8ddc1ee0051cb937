"""A workbook that a release with another rendering has written: what it says of the tool's own is taken for its base.

Rules held here: what people may edit is still compared with the record; of the rest the file itself is the base, so
that whatever reads otherwise today is written anew, and nothing of it waits, is told or is put back as an edit.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from manual_registry.adapters.workbook import package
from manual_registry.adapters.workbook.compare import Located
from manual_registry.adapters.workbook.read import Book
from manual_registry.core.rendering import IDENTITY, explained
from manual_registry.core.view import Cell, Difference, Row, Sheet, View


@dataclass(frozen=True, kw_only=True, slots=True)
class Rebased:
    """``found`` are the differences that count, ``base`` is what the file was when it was written, as far as we know.

    ``reworded`` are the other differences.
    """

    found: tuple[Difference, ...]
    base: View
    reworded: tuple[Difference, ...]


def from_other_release(book: Book, view: View) -> bool:
    """Tell whether a release with another rendering than ``view``'s wrote the file; one without a number did."""
    return book.properties.get(package.VIEW_VERSION) != str(view.version)


def rebased(
    found: tuple[Difference, ...],
    base: View,
    places: Mapping[str, Located | None],
    keep: Collection[tuple[str, str, str]] = (),
) -> Rebased:
    """Take the file's own words for the base; ``keep`` are cells that stay as they are in any case."""
    moved = {(one.sheet, one.row) for one in found if one.column in IDENTITY and one.row}
    other = {one for one in explained(found, base) if (one.sheet, one.row) not in moved}
    reworded = tuple(one for one in found if one in other and (one.sheet, one.row, one.column) not in keep)
    counted = tuple(one for one in found if one not in other or (one.sheet, one.row, one.column) in keep)
    gone = {one.sheet for one in reworded if one.column is None and not one.row}
    sheets = tuple(_sheet(sheet, places.get(sheet.name), reworded) for sheet in base.sheets if sheet.name not in gone)
    return Rebased(found=counted, base=replace(base, sheets=sheets), reworded=reworded)


def missing_told(reworded: tuple[Difference, ...]) -> tuple[str, ...]:
    """Say which columns of today's the file does not have; they are not drawn into it."""
    names = [f"{one.column} on {one.sheet}" for one in reworded if one.column is not None and not one.row]
    if not names:
        return ()
    told = f"this release has columns that the workbook does not have: {', '.join(names)}"
    return (f"{told}; mreg reset-view writes it anew, yours is kept whole",)


def _sheet(sheet: Sheet, located: Located | None, reworded: tuple[Difference, ...]) -> Sheet:
    mine = [one for one in reworded if one.sheet == sheet.name]
    if located is None or not mine:
        return sheet
    absent = {one.column for one in mine if not one.row and one.column is not None}
    cells: dict[str, dict[str, Cell]] = {}
    rows = {one.row for one in mine if one.column is None and one.found == "deleted"}
    for one in mine:
        if one.column is not None and one.row:
            cells.setdefault(one.row, {})[one.column] = one.found
    kept = [_row(row, cells.get(row.row_id)) for row in sheet.rows if row.row_id not in rows]
    kept += [_stranger(one.row, located) for one in mine if one.column is None and one.found == "typed"]
    if rows or len(kept) > len(sheet.rows):
        kept.sort(key=lambda row: located.rows.get(row.row_id, 0))
    return replace(
        sheet,
        columns=tuple(column for column in sheet.columns if column.header not in absent),
        rows=tuple(kept),
    )


def _row(row: Row, cells: Mapping[str, Cell] | None) -> Row:
    return replace(row, cells={**row.cells, **cells}) if cells else row


def _stranger(identity: str, located: Located) -> Row:
    """A row that today's view does not have: it goes."""
    there = located.grid.cells.get(located.rows.get(identity, 0), {})
    return Row(row_id=identity, cells={header: there.get(at) for header, at in located.columns.items()})
