"""The tool's own lines above the rows and on the Read me sheet: which of them somebody has changed.

Rules held here: such a line says which register a print-out shows and at which head, so a changed one is told and put
back by `sync` (the file is kept whole beside); lines of a person's own beside ours are nobody's business. A line that has
moved, with an inserted row or column, is found by what it says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from manual_registry.adapters.workbook.compare import Located
from manual_registry.adapters.workbook.losses import is_age
from manual_registry.adapters.workbook.places import place
from manual_registry.adapters.workbook.read import Book
from manual_registry.adapters.workbook.render import READ_ME, banner_lines, read_me_lines
from manual_registry.adapters.workbook.text import Formula, key
from manual_registry.core.view import Cell, Sheet, View

#: Of so many lines of the Read me sheet that differ it is not said any more which is which: rows were moved there.
_MOST = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Changed:
    """One line of ours that says something else: ``sheet`` as it is called in the file, and what belongs there."""

    sheet: str
    row: int
    column: int
    found: Cell
    wanted: Callable[[View], Cell]

    def told(self, base: View) -> str:
        """Say it in a sentence."""
        wanted = self.wanted(base)
        said = "holds nothing" if self.found is None else f"says {str(self.found)[:80]!r}"
        return (
            f"{place(self.sheet, self.row, self.column)}, a line of the tool's own, {said} and not {str(wanted)[:80]!r}"
        )


def changed_lines(book: Book, base: View, places: Mapping[str, Located | None]) -> tuple[Changed, ...]:
    """Return every line of ours that differs from ``base``, which this very release of the tool has rendered."""
    return tuple(_changed(book, base, places))


def _changed(book: Book, base: View, places: Mapping[str, Located | None]) -> Iterator[Changed]:
    for sheet in base.sheets:
        located = places.get(sheet.name)
        if located is not None:
            yield from _of_sheet(located, sheet, base)
    if READ_ME in book.grids:
        yield from _of_read_me(book, base)


def _of_sheet(located: Located, sheet: Sheet, base: View) -> Iterator[Changed]:
    cells = located.grid.cells
    above = {(row, column): value for row in cells if row < located.heading for column, value in cells[row].items()}
    for line in banner_lines(sheet, base):
        wanted = line.text(sheet, base)
        if any(is_age(value) if line.age else key(value) == key(wanted) for value in above.values()):
            continue
        at = next((spot for spot, value in above.items() if line.begins and str(value).startswith(line.begins)), None)
        if at is None and located.heading == line.heading and _in_order(located, sheet):
            at = line.row, line.column
        if at is not None and above.get(at) is None and not line.begins:
            continue  # a title or an age that is emptied says nothing wrong
        if at is not None and not _covered(located, at):
            say = _saying(line.text, sheet.name)
            yield Changed(sheet=located.grid.name, row=at[0], column=at[1], found=above.get(at), wanted=say)


def _saying(text: Callable[[Sheet, View], str], name: str) -> Callable[[View], Cell]:
    def wanted(view: View) -> Cell:
        return _value(text(next(sheet for sheet in view.sheets if sheet.name == name), view))

    return wanted


def _value(text: str) -> Cell:
    return Formula(text) if text.startswith("=MAX(0,TODAY()") else text


def _in_order(located: Located, sheet: Sheet) -> bool:
    return all(located.columns.get(column.header) == at for at, column in enumerate(sheet.columns, 1))


def _covered(located: Located, at: tuple[int, int]) -> bool:
    """Tell whether a person has merged the cell into another one, or put something over it that spans several."""
    return any(top <= at[0] <= bottom and left <= at[1] <= right for top, left, bottom, right in located.grid.merged)


def _of_read_me(book: Book, base: View) -> Iterator[Changed]:
    cells = book.grids[READ_ME].cells
    found = [
        Changed(sheet=READ_ME, row=row, column=column, found=cells.get(row, {}).get(column), wanted=_line(row, column))
        for row, texts in enumerate(read_me_lines(base), 1)
        for column, text in enumerate(texts, 1)
        if key(cells.get(row, {}).get(column)) != key(text)
    ]
    yield from found if len(found) <= _MOST else ()


def _line(row: int, column: int) -> Callable[[View], Cell]:
    def wanted(view: View) -> Cell:
        lines = read_me_lines(view)
        return lines[row - 1][column - 1] if row <= len(lines) else None

    return wanted
