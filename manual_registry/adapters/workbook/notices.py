"""What is read with a word of warning and not refused: macros, outer links, hidden sheets, merges, formulas.

Rule held here: a notice says what was found, where, and what follows from it; nothing is changed for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from manual_registry.adapters.workbook.banner import Changed
from manual_registry.adapters.workbook.compare import Located
from manual_registry.adapters.workbook.places import letters, place
from manual_registry.adapters.workbook.read import Book
from manual_registry.adapters.workbook.text import Formula
from manual_registry.core.view import ColumnKind, Sheet, View


def notices(
    book: Book, base: View, places: Mapping[str, Located | None], lines: Sequence[Changed] = ()
) -> tuple[str, ...]:
    """Return one sentence for each kind of thing that a reader should know.

    ``places`` are the sheets as located, ``lines`` those of the tool's own that somebody changed.
    """
    return tuple(_notices(book, base, places, lines))


def _notices(book: Book, base: View, places: Mapping[str, Located | None], lines: Sequence[Changed]) -> Iterator[str]:
    name = book.name
    if book.macros or any(part.lower().endswith("vbaproject.bin") for part in book.entries):
        yield f"{name} holds macros: it is read, and as an .xlsm never rewritten"
    if any(part.lower().startswith("xl/externallinks/") for part in book.entries):
        yield f"{name} has links to other workbooks: their stored values are read, the links are not followed"
    for line in lines:
        yield f"{line.told(base)}: mreg sync puts it back"
    ours = {sheet.name for sheet in base.sheets}
    hidden = [one.name for one in book.grids.values() if one.state == "hidden" and not one.name.startswith("_")]
    buried = [one.name for one in book.grids.values() if one.state == "veryHidden"]
    if hidden:
        yield f"{name} has hidden sheets ({', '.join(hidden)})" + (
            ", among them the tool's own" if ours & {*hidden} else ""
        )
    if buried:
        yield f"{name} has sheets that no menu shows (very hidden: {', '.join(buried)})"
    for sheet in base.sheets:
        located = places.get(sheet.name)
        if located is not None and located.grid.name != sheet.name:
            yield f"{name}: sheet {located.grid.name} is read as {sheet.name}, which it was before somebody renamed it"
        if located is not None:
            yield from _merged(sheet, located)
            yield from _formulas(sheet, located)


def _merged(sheet: Sheet, located: Located) -> Iterator[str]:
    first, last = min(located.columns.values()), max(located.columns.values())
    spots = [
        f"{sheet.name}!{letters(left)}{top}:{letters(right)}{bottom}"
        for top, left, bottom, right in located.grid.merged
        if bottom > located.heading and left <= last and right >= first
    ]
    if spots:
        yield f"cells of the table are merged ({_few(spots)}): all but the first of them hold nothing"


def _formulas(sheet: Sheet, located: Located) -> Iterator[str]:
    headers = {column.header for column in sheet.columns if column.kind is ColumnKind.TOOL}
    columns = {at for header, at in located.columns.items() if header in headers}
    spots = [
        place(sheet.name, row, column)
        for row in sorted(located.rows.values())
        for column in sorted(columns & located.grid.cells[row].keys())
        if isinstance(located.grid.cells[row][column], Formula)
    ]
    if spots:
        yield f"formulas stand where the tool writes values ({_few(spots)}): they differ from the record"


def _few(spots: list[str]) -> str:
    return ", ".join(spots[:3]) + (f" and {len(spots) - 3} more" if len(spots) > 3 else "")
