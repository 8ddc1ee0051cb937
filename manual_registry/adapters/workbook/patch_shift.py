"""Moves the rows of a sheet down, in its bytes, so that new rows find room above them.

Rules held here: a row moves whole, with its looks, its height, a person's cells and its links; where anything else is
tied to a place that moves (a comment, a picture, a merged cell, a formula that names it, a rule that begins there),
nothing is moved (:class:`Tied` says by what), and the caller puts the new rows where there is room.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

from manual_registry.adapters.workbook import scan
from manual_registry.adapters.workbook.cells import Grid
from manual_registry.adapters.workbook.patch_around import AREA, longer
from manual_registry.adapters.workbook.patch_parts import Parts
from manual_registry.adapters.workbook.places import MAX_COLUMNS, Area
from manual_registry.adapters.workbook.plan import SheetPlan
from manual_registry.core.errors import WorkbookUnreadable

#: Elements of a sheet that name rows and are not moved along, with a word for each.
_TIED: Final = {
    "drawing": "pictures or charts", "legacyDrawing": "comments", "oleObjects": "embedded objects",
    "controls": "form controls", "rowBreaks": "page breaks", "protectedRanges": "protected ranges",
    "cellWatches": "watched cells", "scenarios": "scenarios", "customSheetViews": "views of its own",
}  # fmt: skip
_AREAS: Final = re.compile(rb'sqref="([^"]*)"|<(?:\w+:)?sqref>([^<]*)<')
_TOP: Final = re.compile(r"\$?[A-Z]{1,3}\$?(\d+)(:?)")
_LINK: Final = re.compile(rb'(<hyperlink\b[^>]*?\bref=")([A-Z]{1,3})(\d+)(?::([A-Z]{1,3})(\d+))?(?=")')
_ROW_TAG: Final = re.compile(rb'(<row\b[^>]*?\br=")\d+(?=")')
_CELL: Final = re.compile(rb'(<c\b[^>]*?\br="[A-Z]{1,3})\d+(?=")')
#: (what it says of itself, as a formula over several cells does; its text).
_FORMULA: Final = re.compile(rb"<f\b([^>]*?)/?>([^<]*)")
_CALCULATED: Final = re.compile(rb'<c\b[^>]*?\br="([A-Z]{1,3}\d+)"[^>]*>\s*<f\b')
_RESULT: Final = re.compile(rb"(<f>)([^<]*)(</f>)(?:<v>[^<]*</v>|<v ?/>)?")


class Tied(Exception):
    """Something is tied to the places of rows that would have to move; the text names it."""


def moved_down(parts: Parts, plan: SheetPlan, first: int, areas: Iterable[Area]) -> tuple[SheetPlan, set[str]]:
    """Move the rows from ``first`` on down in the sheet's part by as many rows as are new.

    ``areas`` are merged cells, other tables and pivot tables. Returns the plan for it, and the cells that held formulas
    (they stand elsewhere now). Raises :class:`Tied`; nothing is changed then.
    """
    located, count = plan.located, len(plan.fresh)
    data = parts.get(located.grid.part)
    body = scan.body_of(data)
    if body is None or not located.grid.places:
        raise Tied("it is written in another way than usual")
    _refuse_tied(data, body, located.grid, first, areas)
    _refuse_named(parts, located.grid, first)
    written, places, calculated = _renumbered(data, body, plan, first)
    parts.put(located.grid.part, written)

    def at(row: int) -> int:
        return row + count if row >= first else row

    grid = replace(
        located.grid,
        cells={at(row): cells for row, cells in located.grid.cells.items()},
        formulas={(at(row), column) for row, column in located.grid.formulas},
        places=places,
    )
    there = replace(
        located,
        grid=grid,
        rows={identity: at(row) for identity, row in located.rows.items()},
        copies=tuple((identity, at(row)) for identity, row in located.copies),
        loose=tuple(map(at, located.loose)),
        last=at(located.last),
    )
    moved = replace(
        plan,
        located=there,
        changes=tuple(replace(one, at=at(one.at)) for one in plan.changes),
        notes={at(row): text for row, text in plan.notes.items()},
        start=first,
        grows=True,
        inserted=True,
    )
    return moved, calculated


def _refuse_tied(data: bytes, body: tuple[int, int], grid: Grid, first: int, areas: Iterable[Area]) -> None:
    named = [word for element, word in _TIED.items() if element in grid.features]
    if named:
        raise Tied(f"it holds {', '.join(named)}")
    if any(bottom >= first for _, _, bottom, _ in areas):
        raise Tied("cells are merged there, or another table stands there")
    for found in _AREAS.finditer(data[: body[0]] + data[body[1] :]):
        if any(_begins(area, first) for area in (found[1] or found[2] or b"").decode("utf-8", "replace").split()):
            raise Tied("a rule for colours or entries begins there")
    for row, (start, _, end) in grid.places.items():
        for formula in _FORMULA.finditer(data, start, end):
            text = (formula[2] or b"").decode("utf-8", "replace")
            moves = row >= first and (formula[1] or "!" in text)
            if moves or any(int(one[1]) >= first for one in _TOP.finditer(text)):
                raise Tied("formulas stand there, or name cells there")


def _begins(area: str, first: int) -> bool:
    """Tell whether an area begins at or below row ``first``; one that begins with it and goes on stretches."""
    found = _TOP.match(area)
    return found is not None and (int(found[1]) > first or (int(found[1]) == first and not found[2]))


def _refuse_named(parts: Parts, grid: Grid, first: int) -> None:
    """Refuse where formulas, names or charts elsewhere name a cell of a row that would move."""
    name = grid.name.encode()
    at_home = ("xl/workbook.xml", "xl/worksheets/", "xl/charts/", "xl/tables/", "xl/pivotCache/")
    pattern = re.compile(re.escape(grid.name) + r"(?:'|&apos;|&#39;)?!(\$?[A-Z]{1,3}\$?\d+:?)")
    for part in parts.names():
        if part == grid.part or not part.startswith(at_home) or not part.endswith(".xml"):
            continue
        try:
            data = parts.get(part)
        except WorkbookUnreadable as refused:
            raise Tied(f"{part} cannot be read") from refused
        if name in data and any(
            _begins(found[1], first) for found in pattern.finditer(data.decode("utf-8", "replace"))
        ):
            raise Tied(f"{part} names cells there")


def _renumbered(
    data: bytes, body: tuple[int, int], plan: SheetPlan, first: int
) -> tuple[bytes, dict[int, tuple[int, int, int]], set[str]]:
    """Return the part with the rows from ``first`` on numbered anew, where its rows stand, and what held formulas.

    The rows' links move along; formulas over the table's rows reach to the new ones.
    """
    grid, count = plan.located.grid, len(plan.fresh)
    stretch = longer(plan.located.heading, first - 1, first - 1 + count, (1, MAX_COLUMNS))
    calculated: set[str] = set()
    places: dict[int, tuple[int, int, int]] = {}
    pieces: list[bytes] = []
    behind = length = 0
    for row, (start, inside, end) in grid.places.items():
        if row < first:
            places[row] = (start, inside, end)
            continue
        number = b"%d" % (row + count)
        tag, tags = _ROW_TAG.subn(rb"\g<1>" + number, data[start:inside], count=1)
        if not tags:
            raise Tied("it is written in another way than usual")
        cells = data[inside:end]
        if b"<f" in cells:
            calculated |= {one[1].decode() for one in _CALCULATED.finditer(cells)}
            cells = _RESULT.sub(lambda one: _summed(one, stretch), cells)
        cells = _CELL.sub(rb"\g<1>" + number, cells)
        gap = data[behind:start]
        at = length + len(gap)
        pieces += [gap, tag, cells]
        length = at + len(tag) + len(cells)
        places[row + count] = (at, at + len(tag), length)
        behind = end
    pieces.append(data[behind : body[1]])
    tail = _LINK.sub(lambda found: _relinked(found, first, count), data[body[1] :])
    return b"".join([*pieces, tail]), places, calculated


def _summed(found: re.Match[bytes], stretch: Callable[[str], str]) -> bytes:
    """Let a formula over the table's rows reach to the new ones; its result is for the spreadsheet to work out."""
    text = AREA.sub(lambda area: stretch(area[0]), found[2].decode())
    return found[0] if text.encode() == found[2] else found[1] + text.encode() + found[3]


def _relinked(found: re.Match[bytes], first: int, count: int) -> bytes:
    def at(row: bytes) -> bytes:
        return b"%d" % (int(row) + count if int(row) >= first else int(row))

    area = found[2] + at(found[3])
    return found[1] + (area if found[4] is None else area + b":" + found[4] + at(found[5]))


def room_above(plan: SheetPlan, newest_first: bool) -> int | None:
    """Return the row above which the new rows belong, where that is not where the plan puts them; None: it is.

    Newest first: above all rows of the sheet. Else above what a person has put below the table and is no typed row: totals,
    a legend.
    """
    located = plan.located
    if plan.ids or not plan.fresh:
        return None
    if newest_first:
        return located.heading + 1 if located.rows else None
    blocked = plan.start != plan.last + 1 or not plan.grows
    named = {located.columns[header] for header in _TYPED if header in located.columns}
    typed = any(not named.isdisjoint(located.grid.cells[row]) for row in located.loose)
    return plan.last + 1 if blocked and not typed else None


#: A row below the table that holds one of these is a version that somebody is typing.
_TYPED: Final = ("Model", "Version", "Storage location")
#: Sheets that begin with what is newest.
NEWEST_FIRST: Final = frozenset({"Approvals", "History"})
