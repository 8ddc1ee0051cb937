"""Where the cells of a view stand in a file, and which of them differ from it.

Rules held here: columns are found by their heading and rows by their row id, so sorting, reordering and own
columns are no differences; what people add is not read; a row id that stands twice is told, and the row
nearest to the base counts as the original; a cell that was merged away says nothing, since the spreadsheet
emptied it, not a person. What a difference is worth (edit, tampering) is left to the
caller.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from manual_registry.adapters.workbook.cells import Grid
from manual_registry.adapters.workbook.errors import Trouble, WorkbookAmbiguous, refusal
from manual_registry.adapters.workbook.places import place
from manual_registry.adapters.workbook.read import Book
from manual_registry.adapters.workbook.text import Formula, key
from manual_registry.core.view import Cell, Column, ColumnKind, Difference, Row, Sheet, View
from manual_registry.ports import TypedRow

#: People may insert rows above the heading, but not without end.
HEADING_ROWS = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class Located:
    """One sheet of a view found in a file: heading row, header -> column, row id -> row of the original.

    ``copies`` are further rows with an id that stands already; ``loose`` are rows with content in our columns
    but without an id; ``last`` is the last row with any content, people's own included.
    """

    grid: Grid
    heading: int
    columns: dict[str, int]
    rows: dict[str, int]
    copies: tuple[tuple[str, int], ...]
    loose: tuple[int, ...]
    last: int


def _heading(grid: Grid, wanted: frozenset[str]) -> int:
    """Return the row that holds most of the headings, 0 when none holds half of them."""
    best, most = 0, (len(wanted) - 1) // 2
    for row in sorted(grid.cells):
        if row > HEADING_ROWS:
            break
        hits = len(wanted.intersection(_label(value) for value in grid.cells[row].values()))
        if hits > most:
            best, most = row, hits
    return best


def _label(value: Cell) -> str:
    return str(value).strip()


def _identity(value: Cell) -> str:
    return "" if value is None else str(value).strip()


def changed(cells: dict[int, Cell], columns: dict[str, int], row: Row, sheet: Sheet) -> Iterator[tuple[Column, Cell]]:
    """Yield each column of ``row`` whose cell in the file differs, with what the file has there."""
    for column in sheet.columns:
        at = columns.get(column.header)
        if at is None or column.volatile or column.header == sheet.row_id_header:
            continue
        found, base = cells.get(at), row.cells.get(column.header)
        if type(found) is type(base) and found == base:
            continue
        if key(found) != key(base):
            yield column, found


def _pick(rows: list[int], grid: Grid, columns: dict[str, int], base: Row | None, sheet: Sheet) -> int:
    """Of several rows with one id, the original is the one with the fewest differences."""
    if len(rows) == 1 or base is None:
        return rows[0]
    return min(rows, key=lambda row: sum(1 for _ in changed(grid.cells.get(row, {}), columns, base, sheet)))


def renamed(book: Book, sheet: Sheet) -> Grid | None:
    """Return the sheet of the file that is ``sheet`` under another name; None: there is none, or more than one.

    It has nearly all of its headings, and row ids of the register where there are any.
    """
    if sheet.name in book.grids:
        return None
    headers = frozenset({column.header for column in sheet.columns} | {sheet.row_id_header})
    known = {row.row_id for row in sheet.rows}
    found = [grid for grid in book.grids.values() if _is_like(grid, headers, sheet.row_id_header, known)]
    return found[0] if len(found) == 1 else None


def _is_like(grid: Grid, headers: frozenset[str], row_id: str, known: set[str]) -> bool:
    heading = _heading(grid, headers)
    labels = {_label(value): column for column, value in grid.cells.get(heading, {}).items()}
    if row_id not in labels or len(headers & labels.keys()) * 4 < len(headers) * 3:
        return False
    return not known or any(_identity(cells.get(labels[row_id])) in known for cells in grid.cells.values())


def locate(book: Book, sheet: Sheet) -> Located | None:
    """Find ``sheet`` in ``book``; None when the sheet, its heading row or its row-id column is not there."""
    grid = book.grids.get(sheet.name) or renamed(book, sheet)
    if grid is None:
        return None
    headers = {column.header for column in sheet.columns} | {sheet.row_id_header}
    heading = _heading(grid, frozenset(headers))
    columns: dict[str, int] = {}
    for column in sorted(grid.cells.get(heading, {})):
        label = _label(grid.cells[heading][column])
        if label in columns:
            where = place(sheet.name, heading, column)
            other = place(sheet.name, heading, columns[label])
            why = f"has two columns headed {label} ({other} and {where})"
            raise refusal(book.name, Trouble(WorkbookAmbiguous, why, where))
        if label in headers:
            columns[label] = column
    if sheet.row_id_header not in columns:
        return None
    return _rows(grid, heading, columns, sheet)


def _rows(grid: Grid, heading: int, columns: dict[str, int], sheet: Sheet) -> Located:
    by_id: dict[str, list[int]] = {}
    loose: list[int] = []
    ours, id_column = set(columns.values()), columns[sheet.row_id_header]
    for row, cells in grid.cells.items():
        if row <= heading:
            continue
        value = cells.get(id_column)
        identity = value.strip() if isinstance(value, str) else _identity(value)
        if identity:
            by_id.setdefault(identity, []).append(row)
        elif not ours.isdisjoint(cells):
            loose.append(row)
    base = {row.row_id: row for row in sheet.rows} if any(len(rows) > 1 for rows in by_id.values()) else {}
    rows = {identity: _pick(found, grid, columns, base.get(identity), sheet) for identity, found in by_id.items()}
    return Located(
        grid=grid,
        heading=heading,
        columns=columns,
        rows=rows,
        copies=tuple((one, row) for one, found in by_id.items() for row in found if row != rows[one]),
        loose=tuple(sorted(loose)),
        last=max(grid.cells, default=heading),
    )


def locate_all(book: Book, base: View) -> dict[str, Located | None]:
    """Find all sheets of ``base`` in ``book`` by name."""
    return {sheet.name: locate(book, sheet) for sheet in base.sheets}


def compare(book: Book, base: View, places: Mapping[str, Located | None] | None = None) -> tuple[Difference, ...]:
    """Return every difference between the file and ``base``, by sheet, in the order of the base's rows.

    ``places`` are the sheets as :func:`locate_all` has found them, where that is known already.
    """
    found: list[Difference] = []
    places = locate_all(book, base) if places is None else places
    for sheet in base.sheets:
        located = places[sheet.name]
        if located is None:
            found.append(_no_sheet(book, sheet))
            continue
        found += _missing_columns(located, sheet)
        found += _cells(located, sheet)
        found += _strangers(located, sheet)
    return tuple(found)


def _no_sheet(book: Book, sheet: Sheet) -> Difference:
    """The sheet is gone (``row`` empty, ``column`` None), or only its row-id column (``column`` names it)."""
    gone = sheet.name not in book.grids
    return Difference(
        sheet=sheet.name,
        row="",
        column=None if gone else sheet.row_id_header,
        found="deleted" if gone else None,
        base=sheet.name if gone else sheet.row_id_header,
        kind=ColumnKind.TOOL,
        place=sheet.name,
    )


def _missing_columns(located: Located, sheet: Sheet) -> Iterator[Difference]:
    for column in sheet.columns:
        if column.header not in located.columns:
            yield Difference(
                sheet=sheet.name,
                row="",
                column=column.header,
                found=None,
                base=column.header,
                kind=ColumnKind.TOOL,
                place=f"{sheet.name}!{located.heading}:{located.heading}",
            )


def _cells(located: Located, sheet: Sheet) -> Iterator[Difference]:
    same = _same(located, sheet)
    for row in sheet.rows:
        at = located.rows.get(row.row_id)
        if at is None:
            yield _whole(sheet, row.row_id, "deleted", ColumnKind.TOOL, sheet.name)
            continue
        if same(located.grid.cells.get(at, {}), row):
            continue
        for column, found in changed(located.grid.cells.get(at, {}), located.columns, row, sheet):
            if found is None and _merged_away(located.grid, at, located.columns[column.header]):
                continue
            yield Difference(
                sheet=sheet.name,
                row=row.row_id,
                column=column.header,
                found=str(found) if isinstance(found, str) else found,
                base=row.cells.get(column.header),
                kind=column.kind,
                place=place(sheet.name, at, located.columns[column.header]),
                formula=isinstance(found, Formula),
            )


def _merged_away(grid: Grid, row: int, column: int) -> bool:
    return any(
        top <= row <= bottom and left <= column <= right and (row, column) != (top, left)
        for top, left, bottom, right in grid.merged
    )


def _same(located: Located, sheet: Sheet) -> Callable[[dict[int, Cell], Row], bool]:
    """Return a quick check of a whole row: nearly all rows are just as they were written."""
    pairs = [
        (located.columns[column.header], column.header)
        for column in sheet.columns
        if column.header in located.columns and not column.volatile and column.header != sheet.row_id_header
    ]
    places, headers = [at for at, _ in pairs], [header for _, header in pairs]

    def same(cells: dict[int, Cell], row: Row) -> bool:
        found, base = [*map(cells.get, places)], [*map(row.cells.get, headers)]
        # True is not 1, and a formula is not the text that looks like it.
        return found == base and [*map(type, found)] == [*map(type, base)]

    return same


def _strangers(located: Located, sheet: Sheet) -> Iterator[Difference]:
    """Rows that the base does not have: copied, typed, or with an id of someone's invention."""
    known = {row.row_id for row in sheet.rows}
    first = min(located.columns.values())
    writable = any(column.kind is ColumnKind.EDITABLE for column in sheet.columns)
    for identity, row in located.copies:
        yield _whole(sheet, identity, "copied", ColumnKind.TOOL, place(sheet.name, row, first))
    for identity, row in located.rows.items():
        if identity not in known:
            yield _whole(sheet, identity, "typed", ColumnKind.TOOL, place(sheet.name, row, first))
    for row in located.loose:
        kind = ColumnKind.EDITABLE if writable else ColumnKind.TOOL
        yield _whole(sheet, "", "typed", kind, place(sheet.name, row, first))


def _whole(sheet: Sheet, row: str, found: str, kind: ColumnKind, where: str) -> Difference:
    return Difference(sheet=sheet.name, row=row, column=None, found=found, base=None, kind=kind, place=where)


def typed_rows(book: Book, base: View, places: Mapping[str, Located | None] | None = None) -> tuple[TypedRow, ...]:
    """Return the rows that people typed, with what stands in columns of ours; ``places`` as in :func:`compare`."""
    found: list[TypedRow] = []
    for name, located in (locate_all(book, base) if places is None else places).items():
        if located is None:
            continue
        for number in located.loose:
            cells = located.grid.cells[number]
            ours = {header: cells.get(at) for header, at in located.columns.items()}
            formulas = frozenset(header for header, value in ours.items() if isinstance(value, Formula))
            found.append(TypedRow(sheet=name, number=number, cells=ours, formulas=formulas))
    return tuple(found)
