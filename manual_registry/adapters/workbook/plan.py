"""What a refresh has to do to each sheet, as values: which rows change, which are new, and where they go.

Rules held here: a cell that differs from the base stays as it is unless the caller says otherwise; a new row never
lands on anything that stands there; the table grows over nothing but blank and typed rows. Doing it is left to
``patch.py``, and to ``refresh.py`` where that one gives up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from manual_registry.adapters.workbook.compare import Located
from manual_registry.adapters.workbook.container import Unpatchable
from manual_registry.adapters.workbook.looks import CHECK_COLUMN
from manual_registry.adapters.workbook.places import FAR_ROW, Area
from manual_registry.adapters.workbook.text import Formula, key
from manual_registry.core.view import Cell, ColumnKind, Difference, Row, Sheet, View
from manual_registry.ports import Instructions


def overwrites(sync: Instructions | None, one: Difference) -> bool:
    """Tell whether a cell that differs from the base may be written."""
    if sync is None or one.column is None:
        return False
    return (one.sheet, one.row, one.column) not in sync.keep


def settles(sync: Instructions | None, one: Difference, new: View) -> bool:
    """Tell whether the difference is gone after a refresh."""
    if sync is None:
        return False
    if one.column is not None:
        return bool(one.row) and overwrites(sync, one)
    if one.found == "deleted":
        sheets = [sheet for sheet in new.sheets if sheet.name == one.sheet]
        return any(not one.row or any(row.row_id == one.row for row in sheet.rows) for sheet in sheets)
    return one.found == "typed" and any(f"{sheet}!" in one.place and at == _row_of(one) for sheet, at in sync.adopt)


def rejects(sync: Instructions, found: Sequence[Difference], new: View) -> bool:
    """Tell whether any cell is overwritten whose content stands nowhere afterwards."""
    cells = _Cells(new)
    return any(
        one.found is not None and key(one.found) != key(cells.of(one))
        for one in found
        if overwrites(sync, one) and (one.sheet, one.row, one.column) not in sync.accept
    )


def crossings(found: Sequence[Difference], new: View) -> list[str]:
    """Name the cells that a person has edited and the record has changed as well, each in its own way."""
    cells = _Cells(new)
    shared = {(sheet.name, column.header) for sheet in new.sheets for column in sheet.columns if column.shared}
    return [
        f"{one.column} of {one.row}"
        for one in found
        if (one.sheet, one.column) in shared and one.row and key(cells.of(one)) not in (key(one.base), key(one.found))
    ]


class _Cells:
    """What a view has in place of a difference; its rows are indexed once."""

    def __init__(self, view: View) -> None:
        self._rows = {(sheet.name, row.row_id): row for sheet in view.sheets for row in sheet.rows}

    def of(self, one: Difference) -> Cell:
        row = self._rows.get((one.sheet, one.row))
        return row.cells.get(one.column or "") if row else None


def _row_of(one: Difference) -> int:
    return int(one.place.rpartition("!")[2].lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ") or 0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """One row of the file: what the base has there, and what it becomes (``new`` None: it is emptied).

    ``skip`` are headings whose cells stay; ``force`` headings whose cells are written whatever the base says.
    """

    at: int
    old: Row | None
    new: Row | None
    skip: frozenset[str] = frozenset()
    force: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True, slots=True)
class SheetPlan:
    """All that is to be done to one sheet.

    ``fresh`` rows go to row number ``start`` and on; ``last`` is where the table's rows end now; ``grows``: table and
    filter may be stretched to the new rows. ``ids``: row ids are written too (the rows change places). ``notes`` are
    texts for the Check cells of typed rows, by row number. ``inserted``: what stood at ``start`` has been moved down.
    """

    located: Located
    before: Sheet
    after: Sheet
    changes: tuple[Change, ...]
    fresh: tuple[Row, ...]
    start: int
    last: int
    grows: bool
    ids: bool = False
    inserted: bool = False
    notes: Mapping[int, str] = field(default_factory=dict)

    @property
    def end(self) -> int:
        """The last row number of the table afterwards."""
        return (self.last if self.inserted else self.start - 1) + len(self.fresh)


def make_plan(
    located: Located,
    before: Sheet,
    after: Sheet,
    differences: Iterable[Difference],
    sync: Instructions | None,
    *,
    areas: Sequence[Area] = (),
    untouched: bool = False,
) -> SheetPlan:
    """Plan the way of one sheet from ``before`` to ``after``.

    ``areas`` are merged cells, other tables and pivot tables, which nothing may be written into. Raises
    ``Unpatchable`` when there is no room.
    """
    found = [one for one in differences if one.sheet == after.name]
    notes: dict[int, str] = {}
    if sync is not None:
        after, notes = _said(located, after, sync)
    places = [] if found else _block(located, before, after, untouched)
    if places:
        changes, fresh = _in_places(located, before, after, places, sync)
        last = places[-1]
    else:
        changes, fresh = _by_id(located, before, after, found, sync)
        last = max(located.rows.values(), default=located.heading)
    start, grows = _room(located, last, len(fresh), areas)
    return SheetPlan(
        located=located, before=before, after=after, changes=tuple(changes), fresh=tuple(fresh),
        start=start, last=last, grows=grows, ids=bool(places), notes=notes,
    )  # fmt: skip


def _said(located: Located, after: Sheet, sync: Instructions) -> tuple[Sheet, dict[int, str]]:
    """Put what `sync` says into the Check cells of the rows; what it says of typed rows comes by row number."""
    texts = {row: text for (sheet, row), text in sync.says.items() if sheet == after.name}
    rows = tuple(_with_check(row, texts[row.row_id]) if row.row_id in texts else row for row in after.rows)
    loose = {*located.loose, *(row for _, row in located.copies)}
    notes = {row: text for row, text in texts.items() if isinstance(row, int) and row in loose}
    return replace(after, rows=rows), notes


def _with_check(row: Row, text: str) -> Row:
    standing = row.cells.get(CHECK_COLUMN)
    whole = f"{text}; {standing}" if standing and str(standing) not in text else text
    return replace(row, cells={**row.cells, CHECK_COLUMN: whole})


def _block(located: Located, before: Sheet, after: Sheet, untouched: bool) -> list[int]:
    """Return the rows of a sheet that is only a view, when they stand as in the base, nothing beside."""
    rows, cells = located.rows, located.grid.cells
    places = [rows[row.row_id] for row in before.rows if row.row_id in rows]
    first = located.heading + 1
    ours = set(located.columns.values())
    # What is tied to a cell (a comment, a link, a merge) would stay behind when rows change places.
    tied = {"legacyDrawing", "drawing", "mergeCells", "hyperlinks"} & located.grid.features
    whole = (
        (untouched or (not tied and all(column.kind is ColumnKind.TOOL for column in after.columns)))
        and places == list(range(first, first + len(before.rows)))
        and located.last == first + len(places) - 1
        and all(ours.issuperset(cells.get(place, {})) for place in places)
    )
    return places if whole else []


def _in_places(
    located: Located, before: Sheet, after: Sheet, places: list[int], sync: Instructions | None
) -> tuple[list[Change], list[Row]]:
    """Write all rows in the new order; such a sheet may put the newest first and drop the oldest."""
    changes = []
    for number, at in enumerate(places):
        new = after.rows[number] if number < len(after.rows) else None
        stale = _stale(located, after, at, new) if sync is not None and new is not None else frozenset()
        if before.rows[number] != new or stale:
            changes.append(Change(at=at, old=before.rows[number], new=new, force=stale))
    return changes, list(after.rows[len(places) :])


def _stale(located: Located, after: Sheet, at: int, new: Row) -> frozenset[str]:
    """Return the volatile columns whose cells say something else than they shall."""
    cells = located.grid.cells.get(at, {})
    return frozenset(
        column.header
        for column in after.columns
        if column.volatile
        and column.header in located.columns
        and key(cells.get(located.columns[column.header])) != key(new.cells.get(column.header))
    )


def _by_id(
    located: Located, before: Sheet, after: Sheet, found: list[Difference], sync: Instructions | None
) -> tuple[list[Change], list[Row]]:
    """Pair rows by their ids, wherever they stand."""
    skip: dict[str, set[str]] = {}
    force: dict[str, set[str]] = {}
    for one in found:
        if one.column is not None:
            (force if overwrites(sync, one) else skip).setdefault(one.row, set()).add(one.column)
    old = {row.row_id: row for row in before.rows}
    adopted = _adopted(located, after, sync)
    changes: list[Change] = []
    fresh: list[Row] = []
    for row in after.rows:
        at, was = located.rows.get(row.row_id), old.get(row.row_id)
        if at is None and row.row_id in adopted:
            every = frozenset(column.header for column in after.columns)
            changes.append(Change(at=adopted[row.row_id], old=None, new=row, force=every))
        elif at is None and (was is None or sync is not None):
            fresh.append(row)
        elif at is not None and was is not None:
            forced = frozenset(force.get(row.row_id, ()))
            if sync is not None:
                forced |= _stale(located, after, at, row)
            if was != row or forced:
                changes.append(Change(at=at, old=was, new=row, skip=frozenset(skip.get(row.row_id, ())), force=forced))
    present = {row.row_id for row in after.rows}
    for identity, was in old.items():
        at = located.rows.get(identity)
        if identity not in present and at is not None and identity not in skip:
            changes.append(Change(at=at, old=was, new=None))
    return changes, fresh


def _adopted(located: Located, after: Sheet, sync: Instructions | None) -> dict[str, int]:
    """Return row id -> row number of the typed rows that have become rows of the register."""
    if sync is None:
        return {}
    return {
        identity: at
        for (sheet, at), identity in sync.adopt.items()
        if sheet == after.name and at in located.loose and identity not in located.rows
    }


def _span(located: Located) -> tuple[int, int]:
    """Return the columns of the table: ours, those between them, and people's next to them with a heading."""
    headings = located.grid.cells.get(located.heading, {})
    left, right = min(located.columns.values()), max(located.columns.values())
    while left - 1 in headings:
        left -= 1
    while right + 1 in headings:
        right += 1
    return left, right


def _room(located: Located, last: int, count: int, areas: Sequence[Area]) -> tuple[int, bool]:
    """Return the row number for ``count`` new rows, and whether the table may be stretched to them."""
    left, right = _span(located)
    cells, loose = located.grid.cells, set(located.loose)
    taken = [
        (row, row, row in loose and not _formulas(cells[row], left, right))
        for row in cells
        if row > last and any(left <= column <= right for column in cells[row])
    ]
    taken += [(top, end, False) for top, first, end, to in areas if end > last and first <= right and to >= left]
    taken.sort()
    at, grows = last + 1, True
    for top, bottom, plain in taken:
        # A row of its own is left between new rows and what stands further down.
        if top > at and at + count < top:
            break
        if top > at or bottom >= at:
            at, grows = max(at, bottom + 1), grows and plain
    if count and at + count > FAR_ROW:
        raise Unpatchable(f"sheet {located.grid.name} has no room below row {at}")
    return at, grows


def _formulas(cells: Mapping[int, object], left: int, right: int) -> bool:
    return any(left <= column <= right and isinstance(value, Formula) for column, value in cells.items())
