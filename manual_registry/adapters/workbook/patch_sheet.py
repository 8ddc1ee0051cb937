"""One sheet of a file while its bytes are changed: its cells, new rows, what grows with them, its banner.

Rules held here: only the tool's own cells are written, and none that a person merged away; a new row looks like most
of the rows above it; what cannot be kept up is told. Which rows change is decided in ``plan.py``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import TypeAlias

from manual_registry.adapters.workbook import scan
from manual_registry.adapters.workbook.banner import Changed
from manual_registry.adapters.workbook.cells import Grid
from manual_registry.adapters.workbook.compare import Located
from manual_registry.adapters.workbook.container import Unpatchable
from manual_registry.adapters.workbook.layout import CHOICES, GROWTH
from manual_registry.adapters.workbook.looks import CHECK_COLUMN
from manual_registry.adapters.workbook.losses import is_age
from manual_registry.adapters.workbook.package import CUSTOM, RENDERING, WORKBOOK, Entries, fingerprint
from manual_registry.adapters.workbook.patch_around import Around, longer
from manual_registry.adapters.workbook.patch_parts import (
    MAIN,
    Parts,
    Patched,
    Relations,
    Styles,
    calculation_removed,
    names_grown,
    opened_parts,
    properties_set,
    root_of,
    table_grown,
)
from manual_registry.adapters.workbook.patch_rows import Rows, RowWrites, Write
from manual_registry.adapters.workbook.patch_sheets import add_lists, add_sheets, body_styles
from manual_registry.adapters.workbook.places import Area, area, letters
from manual_registry.adapters.workbook.plan import Change, SheetPlan
from manual_registry.adapters.workbook.read import Book, relations_part, ties
from manual_registry.adapters.workbook.render import (
    MAX_LINKS,
    age_formula,
    as_of_text,
    head_text,
    height_of,
    lines_in,
    link_target,
    properties_of,
    quoted,
    title_text,
)
from manual_registry.adapters.workbook.text import Formula, key
from manual_registry.core.view import Cell, Column, Row, View

#: How many rows are looked at for the usual style of a column.
_SAMPLE = 8
_HEIGHT = re.compile(rb' ht="([0-9.]+)"')


#: (column, with a link) -> the style that such cells usually have.
Usual: TypeAlias = "Callable[[int, bool], int | None]"


class Work:
    """One file while it is being changed."""

    def __init__(self, data: bytes, book: Book, base: View, new: View, lines: tuple[Changed, ...] = ()) -> None:
        """``lines`` of ours, changed by somebody, are put back."""
        self.book, self.base, self.new, self.lines = book, base, new, lines
        self.parts: Parts = opened_parts(data, book.entries, book.raw)
        self.told: list[str] = []
        self._styles: Styles | None = None
        self._choices: SheetPatch | None = None
        self._lists: list[tuple[str, ...]] = []

    @property
    def styles(self) -> Styles:
        if self._styles is None:
            self._styles = Styles(self.parts)
        return self._styles

    def variant(self, style: int | None, value: Cell) -> int | None:
        """Return the style with the mark that text needs which looks like a formula, or without it."""
        wanted = quoted(value)
        if style is None and not wanted:
            return None
        return self.styles.variant(style or 0, quoted=wanted)

    def linked(self, style: int | None, link: bool) -> int | None:
        """Return the style with the look of a link, or without it."""
        return None if style is None else self.styles.linked(style, link=link)

    def rendered_styles(self, sheet: str) -> dict[tuple[str, bool], int]:
        """Add the styles that a new rendering of a sheet has: (heading, with a link) -> style."""
        if self._styles is not None:
            self._styles.save()
            self._styles = None
        return body_styles(self.parts, self.new, sheet)

    def long_list(self, title: str, choices: tuple[str, ...]) -> str:
        """Write a list to the hidden sheet that holds those too long for a cell, and return where it stands."""
        grid = self.book.grids.get(CHOICES)
        if grid is None:
            at = len(self._lists) + 1
            self._lists.append((title, *choices))
        else:
            if self._choices is None:
                self._choices = SheetPatch(self, grid)
            titles = {value: column for column, value in grid.cells.get(1, {}).items()}
            free = 1 + max((column for row in grid.cells.values() for column in row), default=0) + len(self._lists)
            at = titles.get(title, free)
            if title not in titles:
                self._lists.append((title,))
            for row in range(1, max(len(choices) + 1, *grid.cells) + 1):
                text = title if row == 1 else choices[row - 2] if row - 2 < len(choices) else None
                if key(grid.cells.get(row, {}).get(at)) != key(text):
                    self._choices.put(row, at, Write(text))
            self._choices.around.reach(len(choices) + 1)
        return f"{CHOICES}!${letters(at)}$2:${letters(at)}${len(choices) + 1}"

    def finished(self, missing: Iterable[str]) -> Patched:
        """Return the file; ``missing`` names sheets of the tool that it does not have and gets."""
        if self._choices is not None:
            self._choices.finish()
        elif self._lists:
            add_lists(self.parts, self._lists)
        if self._styles is not None:
            self._styles.save()
        add_sheets(self.parts, self.new, missing)
        if CUSTOM not in self.parts:
            raise Unpatchable("it has no document properties")
        return Patched(data=self.parts.written(CUSTOM, self._properties), told=tuple(dict.fromkeys(self.told)))

    def _properties(self, entries: Entries) -> bytes:
        values = properties_of(self.new)
        if self.book.untouched:  # and it still is: nothing but the tool's own has been written
            values[RENDERING] = fingerprint(entries)
        return properties_set(self.parts.get(CUSTOM), values)


class SheetPatch:
    """One sheet of the file while it is being changed."""

    def __init__(self, work: Work, grid: Grid) -> None:
        self.work, self.grid, self.parts = work, grid, work.parts
        data = self.parts.get(grid.part)
        body = scan.body_of(data)
        if body is None:
            raise Unpatchable(f"sheet {grid.name} is written in another way than usual")
        start, end = body
        self.rows = Rows(data, end, grid.places)
        self.around = Around(data[:start] + data[end:], start, self._relations)
        self.writes: dict[int, RowWrites] = {}
        self._start = start
        self._covered = {
            (row, column)
            for top, left, bottom, right in grid.merged
            for row in range(top, bottom + 1)
            for column in range(left, right + 1)
            if (row, column) != (top, left)
        }

    def _relations(self) -> Relations:
        part = relations_part(self.grid.part)
        return Relations(self.parts.get(part) if part in self.parts else None)

    def put(self, row: int, column: int, write: Write) -> None:
        """Note that a cell gets a value; a cell that a person merged into another one stays."""
        if (row, column) in self._covered:
            return
        self.writes.setdefault(row, RowWrites()).cells[column] = write

    # -- what else stands on the sheet ------------------------------------------------------------------------

    def areas(self, located: Located) -> tuple[list[Area], tuple[str, bytes] | None]:
        """Return what nothing may be written into, and our own table: its part and its bytes."""
        found, own = list(self.grid.merged), None
        part = relations_part(self.grid.part)
        for kind, target in ties(self.parts.get(part)) if part in self.parts else ():
            if kind == "table":
                data = self.parts.get(target)
                attributes = root_of(data, MAIN, "table", "a table").attributes
                where = area(attributes.get("ref", "A1"))
                if not _covers(where, located):
                    found.append(where)
                    continue
                own = target, data
                if attributes.get("totalsRowCount", "0") != "0":
                    found.append((where[2], where[1], where[2], where[3]))
            elif kind == "pivotTable":
                place = root_of(self.parts.get(target), MAIN, "pivotTableDefinition", "a pivot table").find("location")
                found.append(area(place.attributes.get("ref", "A1") if place is not None else "A1"))
        return found, own

    # -- rows -----------------------------------------------------------------------------------------------

    def run(self, plan: SheetPlan, own: tuple[str, bytes] | None) -> None:
        """Do what is planned for this sheet."""
        usual, high = self._usual(plan) if any(one.old is None for one in plan.changes) or plan.fresh else (None, False)
        for change in plan.changes:
            self._change(plan, change, usual if change.old is None else None)
        check = plan.located.columns.get(CHECK_COLUMN)
        for row, text in plan.notes.items() if check is not None else ():
            self.put(row, check or 0, Write(text, self._suited(text)))
        if plan.fresh and usual is not None:
            self._append(plan, usual, high)
            self._grow(plan, own)
        self._choices(plan)
        self._banner(plan)
        self.restore(self.work.lines)
        self.finish()

    def _columns(self, plan: SheetPlan) -> Iterator[tuple[int, Column]]:
        for column in plan.after.columns:
            at = plan.located.columns.get(column.header)
            if at is not None:
                yield at, column

    def _change(self, plan: SheetPlan, change: Change, usual: Usual | None) -> None:
        old, new = change.old, change.new
        for at, column in self._columns(plan):
            header = column.header
            is_id = header == plan.after.row_id_header
            if header in change.skip or (is_id and not plan.ids and new is not None and header not in change.force):
                continue
            was, value = _value(old, column, is_id), _value(new, column, is_id)
            forced = header in change.force
            if key(was) != key(value) or forced or (column.volatile and new is not None):
                style = self._suited(value)
                if usual is not None:  # a row that someone typed, cell by cell
                    style = self._suited(value, usual(at, new is not None and header in new.links))
                self.put(change.at, at, Write(value, style, overwrite=forced))
            self._link(change.at, at, old, new, header)
            if new is not None and (old is not None and header in old.links) != (header in new.links):
                self._relinked(change.at, at, value, header in new.links)
        if new is not None:
            self._height(change.at, lines_in(old, plan.after.columns), lines_in(new, plan.after.columns))

    def _suited(self, value: Cell, usual: int | None = None) -> Callable[[int | None], int | None]:
        return lambda style: self.work.variant(style or usual, value)

    def _relinked(self, row: int, column: int, value: Cell, link: bool) -> None:
        """Give a cell the look of a link, or take it away."""
        known = self.writes.get(row, RowWrites()).cells.get(column) or Write(value)
        suited = known.style
        self.put(row, column, replace(known, style=lambda style: self.work.linked(suited(style), link)))

    def _link(self, row: int, column: int, old: Row | None, new: Row | None, header: str) -> None:
        was, becomes = (one.links.get(header) if one else None for one in (old, new))
        if was != becomes:
            self.around.link(
                f"{letters(column)}{row}",
                link_target(was) if was is not None else None,
                link_target(becomes) if becomes is not None else None,
            )

    def _height(self, row: int, were: int, lines: int) -> None:
        """Make a row as high as its texts need, where it has a height of its own; a person's larger one stays."""
        found = _HEIGHT.search(self.rows.tag(row))
        if row not in self.writes or found is None or b"customHeight=" not in self.rows.tag(row):
            return
        needed, now = height_of(lines), float(found[1])
        if needed > now or abs(now - height_of(were)) < 1:
            self.writes[row].height = needed

    def _append(self, plan: SheetPlan, usual: Usual, high: bool) -> None:
        for row_number, row in enumerate(plan.fresh, plan.start):
            for at, column in self._columns(plan):
                value = _value(row, column, column.header == plan.after.row_id_header)
                link = row.links.get(column.header)
                style = usual(at, link is not None)
                self.put(row_number, at, Write(value, _fixed(self.work.variant(style, value))))
                if link is not None and value is not None and self.around.count_links() < MAX_LINKS:
                    self._link(row_number, at, None, row, column.header)
            if high and row_number in self.writes:
                self.writes[row_number].height = height_of(lines_in(row, plan.after.columns))

    def _usual(self, plan: SheetPlan) -> tuple[Usual, bool]:
        """Return the usual style of a column (with or without a link), and whether rows have heights of their own."""
        places = sorted(plan.located.rows.values())
        sample = sorted({*places[:1], *places[-_SAMPLE:]}, reverse=True)  # what stands lowest decides a tie
        rows = [*plan.fresh, *(one.new for one in plan.changes if one.old is None and one.new is not None)]
        linked = self.around.linked() if any(row.links for row in rows) else {}
        seen: Counter[tuple[int, bool, int]] = Counter()
        for row in sample:
            for column, cell in self.rows.cells(row).items():
                if cell.style is not None and not self.work.styles.quoted(cell.style):
                    seen[column, f"{letters(column)}{row}" in linked, cell.style] += 1
        best: dict[tuple[int, bool], int] = {}
        for (column, link, style), _ in seen.most_common():
            best.setdefault((column, link), style)
        if not sample and not self.work.book.untouched:
            there = plan.located.columns
            made = self.work.rendered_styles(plan.after.name)
            best = {(there[header], link): style for (header, link), style in made.items() if header in there}

        def usual(column: int, link: bool) -> int | None:
            if (column, link) not in best:
                other = best.get((column, not link))
                other = self.around.column_style(column) if other is None else other
                return self.work.linked(other, link)
            return best[column, link]

        if not sample and self.work.book.untouched:
            raise Unpatchable(f"sheet {self.grid.name} has no row to go by")
        return usual, any(b"customHeight=" in self.rows.tag(row) for row in sample) or not sample

    # -- around the rows ------------------------------------------------------------------------------------

    def _grow(self, plan: SheetPlan, own: tuple[str, bytes] | None) -> None:
        located = plan.located
        span = min(located.columns.values()), max(located.columns.values())
        if not plan.grows:
            self.around.reach(plan.end)
            self.work.told.append(
                f"sheet {self.grid.name}: new rows stand below row {plan.start - 1}, and the table was not stretched"
                " over what stands between"
            )
            return
        table = longer(located.heading, plan.last, plan.end, span)
        self.around.grow(table, longer(located.heading, plan.last, plan.end, span, GROWTH), plan.end)
        if own is not None:
            self.parts.put(own[0], table_grown(own[1], table))
        self.parts.put(WORKBOOK, names_grown(self.parts.get(WORKBOOK), self.grid.name, table))

    def _choices(self, plan: SheetPlan) -> None:
        old = {column.header: column.choices for column in plan.before.columns}
        for at, column in self._columns(plan):
            if not column.choices or column.choices == old.get(column.header):
                continue
            first = f"{letters(at)}{plan.located.heading + 1}"
            self.around.choices(first, self._list(plan.after.name, column))

    def _list(self, sheet: str, column: Column) -> str:
        """Return the source of a dropdown: the words themselves, or where they stand on the hidden sheet."""
        inline = ",".join(column.choices)
        if len(inline) <= 250 and not any(set(choice) & set(',"') for choice in column.choices):
            return f'"{inline}"'
        return self.work.long_list(f"{sheet}: {column.header}", column.choices)

    def restore(self, lines: Iterable[Changed]) -> None:
        """Put lines of ours back that somebody has changed."""
        for line in lines:
            if line.sheet == self.grid.name:
                self.put(line.row, line.column, Write(line.wanted(self.work.new), overwrite=True))

    def _banner(self, plan: SheetPlan) -> None:
        """Bring banner and footer up to date where they are still ours."""
        base, new, located = self.work.base, self.work.new, plan.located
        texts = {as_of_text(base): as_of_text(new), head_text(base): head_text(new)}
        texts[title_text(plan.before, base)] = title_text(plan.after, new)
        for row in range(1, located.heading):
            for column, value in self.grid.cells.get(row, {}).items():
                if is_age(value):
                    if str(value) != age_formula(new):
                        self.put(row, column, Write(Formula(age_formula(new))))
                elif isinstance(value, str) and texts.get(value, value) != value:
                    self.put(row, column, Write(texts[value]))
        self.around.footer(texts)

    def finish(self) -> None:
        """Put the sheet back among the parts."""
        head, tail = self.around.written()
        rows = self.rows.written(self._start, self.writes)
        if self.writes or self.around.changed:
            self.parts.put(self.grid.part, head, *rows, tail)
        if (rels := self.around.relations_written()) is not None:
            self.parts.put(relations_part(self.grid.part), rels)
        if self.rows.calculated and "xl/calcChain.xml" in self.parts:
            self._uncalculated()

    def _uncalculated(self) -> None:
        root = root_of(self.parts.get(WORKBOOK), MAIN, "workbook", "the workbook part")
        number = next(
            int(one.attributes.get("sheetId", "0"))
            for one in root.every("sheet")
            if one.attributes.get("name") == self.grid.name
        )
        chain = calculation_removed(self.parts.get("xl/calcChain.xml"), number, self.rows.calculated)
        self.parts.put("xl/calcChain.xml", chain)


def _covers(where: Area, located: Located) -> bool:
    """Tell whether a table is the one that holds our headings."""
    first = min(located.columns.values())
    return where[0] == located.heading and where[1] <= max(located.columns.values()) and where[3] >= first


def _value(row: Row | None, column: Column, is_id: bool) -> Cell:
    if row is None:
        return None
    return row.row_id if is_id else row.cells.get(column.header)


def _fixed(style: int | None) -> Callable[[int | None], int | None]:
    return lambda found: style if found is None else found
