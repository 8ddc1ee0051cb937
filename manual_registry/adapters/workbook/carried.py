"""Copies sheets of an adopted spreadsheet into the workbook, as people's own sheets: those that the mapping does not use.

Rules held here: results of formulas are copied, not formulas, which would point at places that are not here; nothing of
the workbook's is written over, a name that is taken gets another; a hidden sheet stays hidden; what is not copied is
told. The original is kept whole elsewhere.
"""

from __future__ import annotations

import copy
import io
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any, Final

from manual_registry.adapters.workbook.losses import losses
from manual_registry.adapters.workbook.package import REGISTRY_ID
from manual_registry.adapters.workbook.read import Book, read_book
from manual_registry.adapters.workbook.render import put
from manual_registry.core.errors import WorkbookUnreadable

#: More than that stays in the original alone: the workbook is opened every day.
_MOST_CELLS: Final = 200_000
_MOST_SHEETS: Final = 50
_NAME: Final = 31
_LOOKS: Final = ("font", "fill", "border", "alignment", "protection")
_LINKS: Final = ("https://", "http://", "mailto:")


@dataclass(frozen=True, kw_only=True, slots=True)
class Original:
    """An adopted spreadsheet: its bytes, what it is called, and the names of its sheets that were read as tables."""

    data: bytes
    name: str
    used: frozenset[str]


@dataclass(kw_only=True, slots=True)
class Carried:
    """``copied`` (its name there, its name here); ``told`` says, in sentences, what was not copied."""

    copied: list[tuple[str, str]] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def note(self) -> str:
        """Return a sentence for the Read me sheet; empty when nothing was copied."""
        if not self.copied:
            return ""
        renamed = [f"{old} as {new}" for old, new in self.copied if old != new]
        tail = f" ({', '.join(renamed)})" if renamed else ""
        return f" Its other sheets ({', '.join(old for old, _ in self.copied)}) are in there, and copied here{tail}."


def carry(workbook: Any, original: Original, taken: Collection[str]) -> Carried:
    """Copy into ``workbook`` (openpyxl) every sheet that holds anything and was not used; ``taken`` names are ours.

    A file that cannot be read, or is itself a workbook of a registry, is told or passed over.
    """
    done = Carried()
    try:
        book = read_book(original.data, original.name)
    except WorkbookUnreadable as refused:
        done.told.append(f"other sheets of {original.name} were not copied: {refused.message}")
        return done
    names = [title for title, grid in book.grids.items() if grid.cells and title not in original.used]
    if REGISTRY_ID in book.properties or not names:
        return done
    cells = sum(len(row) for title in names for row in book.grids[title].cells.values())
    if cells > _MOST_CELLS or len(names) > _MOST_SHEETS:
        done.told.append(f"other sheets of {original.name} ({', '.join(names[:8])}) are too large to be copied")
        return done
    before = list(workbook.sheetnames)
    try:
        _copy_all(workbook, original, book, names, taken, done)
    except (ArithmeticError, AssertionError, AttributeError, LookupError, OSError, TypeError, ValueError) as failed:
        # openpyxl meets unforeseen XML with whatever its own code stumbles over; own columns are not lost for that.
        for name in set(workbook.sheetnames) - set(before):
            del workbook[name]
        return Carried(told=[f"other sheets of {original.name} could not be copied ({failed})"])
    return done


def _copy_all(
    workbook: Any, original: Original, book: Book, names: list[str], taken: Collection[str], done: Carried
) -> None:
    from openpyxl import load_workbook
    from openpyxl.worksheet.worksheet import Worksheet

    source = load_workbook(io.BytesIO(original.data), data_only=True)
    looks: dict[tuple[Any, ...], Any] = {}
    left: dict[str, None] = {}
    for title in names:
        sheet = source[title]
        if not isinstance(sheet, Worksheet):
            left[f"sheet {title}"] = None
            continue
        name = _free(title, {*taken, *workbook.sheetnames})
        _copy(sheet, workbook.create_sheet(name), book.grids[title].cells, looks)
        done.copied.append((title, name))
        raw = book.raw.get(book.grids[title].part, b"")
        left |= dict.fromkeys(_left_out(sheet, b"<f>" in raw or b"<f " in raw or b"<f/>" in raw))
    dropped = [one for one in losses(book) if not one.startswith(("stored results", "sheet "))]
    left |= dict.fromkeys(dropped)
    if left:
        done.told.append(f"of the other sheets of {original.name} not copied: {', '.join(left)}")


def _left_out(sheet: Any, formulas: bool) -> Iterator[str]:
    if formulas:
        yield "formulas (their results are)"
    if len(sheet.conditional_formatting):
        yield "conditional formats"
    if sheet.data_validations is not None and sheet.data_validations.dataValidation:
        yield "dropdowns"
    if sheet.tables:
        yield "tables (their cells are)"
    if sheet._images:
        yield "images"
    if sheet._charts:
        yield "charts"


def _free(title: str, taken: Collection[str]) -> str:
    """Return a sheet's name that no other has, whatever its letter case."""
    used = {name.casefold() for name in taken}
    name, number = title, 1
    while name.casefold() in used:
        tail = " (as adopted)" if number == 1 else f" (as adopted {number})"
        name, number = f"{title[: _NAME - len(tail)]}{tail}", number + 1
    return name


def _copy(source: Any, target: Any, texts: dict[int, dict[int, Any]], looks: dict[tuple[Any, ...], Any]) -> None:
    from openpyxl.cell.cell import MergedCell

    for row in source.iter_rows():
        for cell in row:
            if isinstance(cell, MergedCell) or (cell.value is None and not cell.has_style and cell.comment is None):
                continue
            here = target.cell(cell.row, cell.column)
            _value(cell, here, texts.get(cell.row, {}).get(cell.column))
            _look(cell, here, looks)
            _beside(cell, here)
    for letters, dimension in source.column_dimensions.items():
        here = target.column_dimensions[letters]
        here.width, here.hidden, here.min, here.max = (
            dimension.width, dimension.hidden, dimension.min, dimension.max
        )  # fmt: skip
    for number, dimension in source.row_dimensions.items():
        if dimension.height is not None or dimension.hidden:
            target.row_dimensions[number].height = dimension.height
            target.row_dimensions[number].hidden = dimension.hidden
    for merged in source.merged_cells.ranges:
        target.merge_cells(str(merged))
    target.freeze_panes, target.sheet_state = source.freeze_panes, source.sheet_state
    target.sheet_view.showGridLines = source.sheet_view.showGridLines
    target.sheet_properties.tabColor = copy.copy(source.sheet_properties.tabColor)


def _value(cell: Any, here: Any, text: Any) -> None:
    """Write a value as what it is: a text that looks like a formula stays a text."""
    value = cell.value
    if isinstance(value, datetime | date | time | timedelta):
        here.value = value
    elif isinstance(value, str):
        put(here, str(text) if isinstance(text, str) and cell.data_type != "e" else value)
    else:
        put(here, value)


def _look(cell: Any, here: Any, looks: dict[tuple[Any, ...], Any]) -> None:
    if not cell.has_style:
        return
    key = tuple(cell._style)
    if key not in looks:
        for name in _LOOKS:
            setattr(here, name, copy.copy(getattr(cell, name)))
        here.number_format = cell.number_format
        looks[key] = copy.copy(here._style)
    here._style = copy.copy(looks[key])


def _beside(cell: Any, here: Any) -> None:
    from openpyxl.comments import Comment

    if cell.comment is not None:
        here.comment = Comment(cell.comment.text, cell.comment.author)
    target = cell.hyperlink.target if cell.hyperlink is not None else None
    if target and target.startswith(_LINKS):
        look = copy.copy(here._style)
        here.hyperlink = target
        here._style = look
