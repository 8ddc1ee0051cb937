"""Brings an existing workbook from one view to the next, through openpyxl, touching only the tool's own
cells.

Rules held here: a cell that differs from the base stays as it is; people's columns, sheets, colours and order
stay; new rows go below everything there is, and what belongs to the table grows with them. Reading the file,
setting it aside and writing it are left to the package's front.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from manual_registry.adapters.workbook.cells import Grid
from manual_registry.adapters.workbook.compare import Located, locate, renamed
from manual_registry.adapters.workbook.container import Unpatchable
from manual_registry.adapters.workbook.layout import GROWTH, choices_formula, set_footer
from manual_registry.adapters.workbook.looks import CHECK_COLUMN, Styles
from manual_registry.adapters.workbook.losses import is_age
from manual_registry.adapters.workbook.places import Area, area, letters
from manual_registry.adapters.workbook.plan import Change, SheetPlan, make_plan
from manual_registry.adapters.workbook.read import Book
from manual_registry.adapters.workbook.render import (
    READ_ME,
    Body,
    add_link,
    add_sheet,
    age_formula,
    as_of_text,
    finish,
    footer_texts,
    head_text,
    height_of,
    lines_of,
    put,
    quoted,
    read_me_lines,
    title_text,
)
from manual_registry.adapters.workbook.text import Formula, key
from manual_registry.core.view import Cell, Column, Difference, Row, View
from manual_registry.ports import Instructions

if TYPE_CHECKING:
    from openpyxl import Workbook

_ESCAPE_LIKE: Final = re.compile(r"_x[0-9A-Fa-f]{4}_")
_ROW = re.compile(r"\$?([A-Z]+)\$?(\d+):\$?([A-Z]+)\$?(\d+)")


class Unloadable(Exception):
    """openpyxl cannot load or save this workbook."""


def refreshed(
    data: bytes,
    book: Book,
    differences: tuple[Difference, ...],
    base: View,
    new: View,
    sync: Instructions | None = None,
) -> bytes:
    """Return the file ``data`` (read as ``book``) brought from ``base`` to ``new``.

    Raises :class:`Unloadable`.
    """
    from openpyxl import load_workbook

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # openpyxl warns of what it drops; losses.py has told that already
        try:
            workbook = load_workbook(io.BytesIO(data), rich_text=True)
            _apply(workbook, book, differences, base, new, sync)
            return finish(workbook, new, rendering=False)
        except (
            Unpatchable,
            ArithmeticError,
            AssertionError,
            AttributeError,
            LookupError,
            OSError,
            TypeError,
            ValueError,
        ) as failed:
            # openpyxl meets unforeseen XML with whatever its own code stumbles over.
            raise Unloadable(str(failed)) from failed


def _apply(
    workbook: Workbook,
    book: Book,
    differences: tuple[Difference, ...],
    base: View,
    new: View,
    sync: Instructions | None,
) -> None:
    styles = Styles(workbook.worksheets[0])
    older = {sheet.name: sheet for sheet in base.sheets}
    restore_escapes(workbook, book)
    for sheet in new.sheets:
        before = older.get(sheet.name)
        if before is None or (sync is not None and sheet.name not in book.grids and renamed(book, before) is None):
            if sheet.name not in workbook.sheetnames:
                add_sheet(workbook, sheet, new, styles)
            continue
        located = locate(book, before)
        if located is not None:
            worksheet: Any = workbook[located.grid.name]
            plan = make_plan(
                located, before, sheet, differences, sync, areas=_areas(worksheet, located), untouched=book.untouched
            )
            _Refresh(worksheet, plan, styles).run()
            _facts(worksheet, plan, base, new)
    if READ_ME in book.grids:
        _read_me(workbook[READ_ME], book.grids[READ_ME], base, new)


def restore_escapes(workbook: Workbook, book: Book) -> None:
    """Write again each text that looks like an escape: openpyxl drops the mark that tells it from one."""
    for name, grid in book.grids.items():
        for row, cells in grid.cells.items():
            for column, value in cells.items():
                if (
                    isinstance(value, str)
                    and "_x" in value
                    and not isinstance(value, Formula)
                    and _ESCAPE_LIKE.search(value)
                ):
                    cell: Any = workbook[name].cell(row, column)
                    if not hasattr(cell._value, "as_list"):  # rich text keeps its own escapes
                        put(cell, value)


def _areas(worksheet: Any, located: Located) -> list[Area]:
    """Return what nothing may be written into: merged cells, other tables, the totals of our own."""
    found = list(located.grid.merged)
    for table in worksheet.tables.values():
        top, left, bottom, right = area(table.ref)
        if top != located.heading:
            found.append((top, left, bottom, right))
        elif table.totalsRowCount:
            found.append((bottom, left, bottom, right))
    return found


class _Refresh:
    """Does to one sheet what is planned."""

    def __init__(self, worksheet: Any, plan: SheetPlan, styles: Styles) -> None:
        self.worksheet, self.plan, self.located = worksheet, plan, plan.located
        self.before, self.after = plan.before, plan.after
        self.body = Body(worksheet, self.after, styles, self.located.columns)

    def run(self) -> None:
        """Write what changed; append what is new."""
        for change in self.plan.changes:
            if change.new is None:
                self._clear(change.at)
            elif self.plan.ids:
                self.body.row(change.at, change.new)
            else:
                self._update(change, change.new)
        check = self.located.columns.get(CHECK_COLUMN)
        for row, text in self.plan.notes.items() if check is not None else ():
            put(self.worksheet.cell(row, check), text)
        for at, fresh in enumerate(self.plan.fresh, self.plan.start):
            self.body.row(at, fresh)
        if self.plan.fresh and self.plan.grows:
            grow(self.worksheet, self.located.heading, self.plan.last, self.plan.end)
        self._choices()

    def _update(self, change: Change, new: Row) -> None:
        lines = 1
        old = change.old or Row(row_id="", cells={})
        for column in self.after.columns:
            place = self.located.columns.get(column.header)
            forced = column.header in change.force
            is_id = column.header == self.after.row_id_header
            if place is None or (is_id and not forced) or column.header in change.skip:
                continue
            value, link = new.cells.get(column.header), new.links.get(column.header)
            if (
                forced
                or key(value) != key(old.cells.get(column.header))
                or link != old.links.get(column.header)
                or column.volatile
            ):
                self._write(change.at, place, column, new)
                if column.wrap and isinstance(value, str):
                    lines = max(lines, lines_of(value, column.width))
        dimension = self.worksheet.row_dimensions[change.at]
        if lines > 1 and dimension.height is not None:
            dimension.height = max(dimension.height, height_of(lines))

    def _write(self, at: int, place: int, column: Column, row: Row) -> None:
        from openpyxl.cell.cell import MergedCell

        cell: Any = self.worksheet.cell(at, place)
        if isinstance(cell, MergedCell):
            return  # a person merged it away; it shows as a difference and stays until reset-view
        value: Cell = row.row_id if column.header == self.after.row_id_header else row.cells.get(column.header)
        link = row.links.get(column.header)
        put(cell, value)
        if quoted(value) != bool(cell.quotePrefix):
            cell.quotePrefix = quoted(value)
        if link is not None:
            add_link(cell, link)
        elif column.link:
            cell.hyperlink = None

    def _clear(self, at: int) -> None:
        for place in self.located.columns.values():
            put(self.worksheet.cell(at, place), None)

    def _choices(self) -> None:
        old = {column.header: column.choices for column in self.before.columns}
        for column in self.after.columns:
            place = self.located.columns.get(column.header)
            if place is None or not column.choices or column.choices == old.get(column.header):
                continue
            first = f"{letters(place)}{self.located.heading + 1}"
            for validation in self.worksheet.data_validations.dataValidation:
                if validation.type == "list" and first in validation.sqref:
                    validation.formula1 = choices_formula(self.worksheet.parent, self.after.name, column)


def _longer(reference: str, heading: int, last: int, end: int) -> str:
    """Stretch one range that covers the table's rows down to ``last`` so that it reaches ``end``."""
    found = _ROW.fullmatch(reference.replace("$", ""))
    if not found or int(found[2]) > heading + 1 or not last <= int(found[4]) < end:
        return reference
    return f"{found[1]}{found[2]}:{found[3]}{end}"


def grow(worksheet: Any, heading: int, last: int, new_last: int) -> None:
    """Let table, filter, print area, colours and dropdowns that reached row ``last`` reach ``new_last``."""
    for table in worksheet.tables.values():
        if not table.totalsRowCount and _longer(table.ref, heading, last, new_last) != table.ref:
            table.ref = _longer(table.ref, heading, last, new_last)
            if table.autoFilter is not None:
                table.autoFilter.ref = table.ref
    if worksheet.auto_filter.ref:
        worksheet.auto_filter.ref = _longer(worksheet.auto_filter.ref, heading, last, new_last)
    if worksheet.print_area:
        areas = [area.rpartition("!")[2].replace("$", "") for area in worksheet.print_area.split(",")]
        worksheet.print_area = ",".join(_longer(area, heading, last, new_last) for area in areas)
    for validation in worksheet.data_validations.dataValidation:
        validation.sqref = type(validation.sqref)(" ".join(_far(validation.sqref, heading, last, new_last)))
    _grow_colours(worksheet, heading, last, new_last)


def _far(ranges: Any, heading: int, last: int, new_last: int) -> Iterator[str]:
    """Yield the ranges, those that end among the new rows stretched beyond them."""
    for one in str(ranges).split():
        found = _ROW.fullmatch(one)
        short = found is not None and int(found[4]) < new_last
        yield _longer(one, heading, last, new_last + GROWTH) if short else one


def _grow_colours(worksheet: Any, heading: int, last: int, new_last: int) -> None:
    from openpyxl.formatting.formatting import ConditionalFormattingList

    grown = ConditionalFormattingList()
    for one in worksheet.conditional_formatting:
        area = " ".join(_far(one.sqref, heading, last, new_last))
        for rule in one.rules:
            grown.add(area, rule)
    worksheet.conditional_formatting = grown


def _facts(worksheet: Any, plan: SheetPlan, base: View, new: View) -> None:
    """Bring banner and footer up to date where they are still ours."""
    located, texts = plan.located, {as_of_text(base): as_of_text(new), head_text(base): head_text(new)}
    texts[title_text(plan.before, base)] = title_text(plan.after, new)
    for row in range(1, located.heading):
        for column, value in located.grid.cells.get(row, {}).items():
            cell: Any = worksheet.cell(row, column)
            if is_age(value):
                cell.value = age_formula(new)
            elif value in texts:
                put(cell, texts[str(value)])
    _footer(worksheet, new)


def _footer(worksheet: Any, new: View) -> None:
    if "Ledger head" in (worksheet.oddFooter.center.text or ""):
        set_footer(worksheet, footer_texts(new))


def _read_me(worksheet: Any, grid: Grid, base: View, new: View) -> None:
    old, now = read_me_lines(base), read_me_lines(new)
    if len(old) != len(now):
        return  # only another release of the tool has other lines; the next whole rendering brings them
    for at, (before, after) in enumerate(zip(old, now, strict=True), 1):
        for column, (was, becomes) in enumerate(zip(before, after, strict=True), 1):
            if was != becomes and key(grid.cells.get(at, {}).get(column)) == key(was):
                put(worksheet.cell(at, column), becomes)
    _footer(worksheet, new)
