"""Puts what an adopted sheet held beside our columns into the workbook, as people's own columns and comments.

Rules held here: only empty cells are filled, so that what a person has there stands; a column of that heading is used,
else made at the right end of the table, which grows with it (a table that is sorted takes whole rows along); where a
save with openpyxl would drop anything of the file, nothing is done. From then on these columns are people's: never
touched, never read. A document property names the event up to which they were written, so that no cell that a person
emptied, and no column or sheet that was removed, comes back.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from manual_registry.adapters.workbook import package
from manual_registry.adapters.workbook.carried import Carried, Original, carry
from manual_registry.adapters.workbook.compare import Located
from manual_registry.adapters.workbook.layout import CHOICES, table_name
from manual_registry.adapters.workbook.looks import FONT, INK, SIZE, Look, Styles
from manual_registry.adapters.workbook.places import area, letters
from manual_registry.adapters.workbook.read import Book
from manual_registry.adapters.workbook.refresh import Unloadable, restore_escapes
from manual_registry.adapters.workbook.render import READ_ME, finish, height_of, lines_of, put, quoted
from manual_registry.core.view import Sheet, View

_WIDTH: Final = 20
_NOTE_WIDTH: Final = 112
_LONGEST: Final = 32_767
_GROUND: Final = "E7E6E6"
_COMMENT_SIZE: Final = (120, 300)


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnColumns:
    """People's own columns: ``values`` heading -> row id -> text, in order; ``comments`` (row id, heading) -> text.

    ``note`` (heading, text, mark) is written below what stands on the Read me sheet, unless a text there holds the mark.
    ``original``: the spreadsheet whose other sheets are copied; None when that was done.
    """

    values: Mapping[str, Mapping[str, str]]
    comments: Mapping[tuple[str, str], str] = field(default_factory=dict)
    author: str = "adopted"
    note: tuple[str, str, str] | None = None
    original: Original | None = None


def with_columns(
    data: bytes, book: Book, located: Located, sheet: Sheet, view: View, several: Sequence[OwnColumns], *, mark: int
) -> tuple[bytes, tuple[str, ...]]:
    """Return the file ``data`` with each of ``several`` in its ``sheet``, and what could not be copied, in sentences.

    ``mark`` is the event up to which they are written then. Raises :class:`Unloadable`.
    """
    from openpyxl import load_workbook

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the caller has asked losses.py
            workbook = load_workbook(io.BytesIO(data), rich_text=True)
            restore_escapes(workbook, book)
            writer = _Writer(workbook[sheet.name], located, Styles(workbook.worksheets[0]))
            told: list[str] = []
            ours = {READ_ME, CHOICES, *(one.name for one in view.sheets)}
            for own in several:
                writer.columns(own.values)
                writer.comments(own.comments, own.author)
                carried = carry(workbook, own.original, ours) if own.original is not None else Carried()
                told += carried.told
                if own.note is not None and READ_ME in workbook.sheetnames:
                    heading, text, found = own.note
                    _note(workbook[READ_ME], (heading, text + carried.note(), found))
            _set_mark(workbook, mark)
            return finish(workbook, view, rendering=False), tuple(told)
    except (ArithmeticError, AssertionError, AttributeError, LookupError, OSError, TypeError, ValueError) as failed:
        # openpyxl meets unforeseen XML with whatever its own code stumbles over.
        raise Unloadable(str(failed)) from failed


def _set_mark(workbook: Any, mark: int) -> None:
    from openpyxl.packaging.custom import CustomPropertyList, StringProperty

    kept: Any = CustomPropertyList()
    for one in workbook.custom_doc_props.props:
        if one.name != package.JOINED:
            kept.append(one)
    kept.append(StringProperty(name=package.JOINED, value=str(mark)))
    workbook.custom_doc_props = kept


def _note(worksheet: Any, note: tuple[str, str, str]) -> None:
    """Write a line below all there is, unless a text there holds its mark."""
    from openpyxl.styles import Alignment, Font

    *texts, mark = note
    if any(mark in str(value) for row in worksheet.iter_rows(max_col=2, values_only=True) for value in row):
        return
    at = worksheet.max_row + 1
    for column, text in enumerate(texts, 1):
        cell = worksheet.cell(at, column)
        put(cell, text)
        cell.font = Font(name=FONT, size=SIZE, bold=column == 1, color=INK)
        cell.alignment = Alignment(vertical="top", wrap_text=True)
    worksheet.row_dimensions[at].height = height_of(lines_of(texts[1], _NOTE_WIDTH), 40) + 4


class _Writer:
    """Writes into one sheet."""

    def __init__(self, worksheet: Any, located: Located, styles: Styles) -> None:
        self.worksheet, self.located = worksheet, located
        self.body = styles.body(Look(text=True, wrap=True))
        self.quoted = styles.body(Look(text=True, wrap=True, quoted=True))
        self.column_style = styles.column(text=True, wrap=True)
        self.headings = {
            str(value).strip(): number
            for number, value in located.grid.cells.get(located.heading, {}).items()
            if str(value).strip() not in located.columns
        }
        self.places: dict[str, int] = {}

    def columns(self, values: Mapping[str, Mapping[str, str]]) -> None:
        """Write every value that has a row and an empty cell."""
        for heading, cells in values.items():
            self.places[heading] = number = self.headings.get(heading) or self._new(heading)
            for row_id, text in cells.items():
                row = self.located.rows.get(row_id)
                if row is not None and self.located.grid.cells.get(row, {}).get(number) is None:
                    self._write(row, number, text[:_LONGEST])

    def _write(self, row: int, number: int, text: str) -> None:
        cell = self.worksheet.cell(row, number)
        put(cell, text)
        cell._style = self.quoted if quoted(text) else self.body
        dimension = self.worksheet.row_dimensions[row]
        wanted = height_of(lines_of(text, _WIDTH))
        if dimension.height is not None and dimension.height < wanted:
            dimension.height = wanted

    def _new(self, heading: str) -> int:
        """Add a column at the right end: of the table where it begins at our headings, else of the heading row."""
        table = self._table()
        right = area(table.ref)[3] if table is not None else max(self.located.grid.cells[self.located.heading])
        number = max(right, *self.places.values(), *self.headings.values(), *self.located.columns.values()) + 1
        self._head(number, heading)
        for row in self.located.rows.values():
            self.worksheet.cell(row, number)._style = self.body
        if table is not None and number == right + 1:
            self._grow(table, number, heading)
        return number

    def _table(self) -> Any:
        named = table_name(self.worksheet.title)
        for table in self.worksheet.tables.values():
            if table.displayName == named and area(table.ref)[0] == self.located.heading:
                return table
        return None

    @staticmethod
    def _grow(table: Any, number: int, heading: str) -> None:
        from openpyxl.worksheet.table import TableColumn

        top, left, bottom, _ = area(table.ref)
        table.ref = f"{letters(left)}{top}:{letters(number)}{bottom}"
        if table.autoFilter is not None:
            table.autoFilter.ref = table.ref
        if table.tableColumns:
            fresh = max(column.id for column in table.tableColumns) + 1
            table.tableColumns.append(TableColumn(id=fresh, name=heading))

    def _head(self, number: int, heading: str) -> None:
        from openpyxl.styles import Alignment, Border, Font, PatternFill, Side

        cell = self.worksheet.cell(self.located.heading, number)
        put(cell, heading)
        cell.font = Font(name=FONT, size=SIZE, bold=True, color=INK)
        cell.fill = PatternFill("solid", fgColor=_GROUND)
        side = Side(style="thin", color="FFFFFF")
        cell.border = Border(left=side, right=side)
        cell.alignment = Alignment(vertical="center", wrap_text=True)
        dimension = self.worksheet.column_dimensions[letters(number)]
        dimension.width, dimension._style = _WIDTH, self.column_style

    def comments(self, comments: Mapping[tuple[str, str], str], author: str) -> None:
        """Write each comment on a cell that has none."""
        from openpyxl.comments import Comment

        for (row_id, heading), text in comments.items():
            row = self.located.rows.get(row_id)
            number = self.places.get(heading) or self.located.columns.get(heading)
            if row is None or number is None:
                continue
            cell = self.worksheet.cell(row, number)
            if cell.comment is None:
                cell.comment = Comment(text[:_LONGEST], author, height=_COMMENT_SIZE[0], width=_COMMENT_SIZE[1])


def headings_of(wanted: Sequence[str], taken: frozenset[str]) -> list[str]:
    """Return one heading for each of ``wanted`` that is not ``taken`` and stands once, whatever its letter case."""
    seen = {heading.casefold() for heading in taken}
    found = []
    for heading in wanted:
        plain = " ".join(heading.split())[:200] or "column"
        name, number = plain, 2
        if name.casefold() in seen and plain in taken:
            name = f"{plain} (as adopted)"
        while name.casefold() in seen:
            name, number = f"{plain} {number}", number + 1
        seen.add(name.casefold())
        found.append(name)
    return found
