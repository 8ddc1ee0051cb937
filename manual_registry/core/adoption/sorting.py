"""Which rows of a table are records, and why the others are none: titles, totals, footnotes, repeated headings.

Rule held here: every row that holds anything is either a record or told with its reason; blank rows are nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from manual_registry.core.adoption.cells import SheetCell, SheetGrid, clean, is_blank, is_error, number_of, shown
from manual_registry.core.adoption.planning import repeats
from manual_registry.core.adoption.proposal import TableUse

_TOTAL: Final = re.compile(
    r"(\u03a3|(grand |sub-?)?totals?|sum|average|mean|count|number of (models|versions)|summe|gesamt|gesamtsumme"
    r"|zwischensumme|durchschnitt|mittelwert|anzahl|total general|sous-total|somme|moyenne|nombre|suma"
    r"|promedio|recuento)\b[\s:=\d.,]*"
    r"(models?|versions?|rows?|entries|modelle|versionen|mod\u00e8les|modelos)?[\s:]*",
    re.IGNORECASE,
)
_FOOTNOTE: Final = re.compile(
    r"[*\u2020\u2021\u00b9\u00b2\u00b3]|\(?\d\)|(notes?|legend|key|source|nb|n\.b\."
    r"|hinweis|anmerkung|legende|quelle|stand|remarque|nota|as of|last updated?)\b\s*[:.]",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Sorted:
    """One row that holds anything: ``cells`` by column letter; ``reason`` is set when it is no record.

    ``model`` and ``version`` are the cells of those columns (None: blank).
    """

    row: int
    cells: Mapping[str, SheetCell]
    model: SheetCell | None = None
    version: SheetCell | None = None
    reason: str = ""


def says(cell: SheetCell | None) -> bool:
    """Tell whether a cell says anything (a blank in any spelling, or a failed formula, does not)."""
    if cell is None:
        return False
    text = shown(cell)
    return not is_blank(text) and not is_error(text)


def sort_rows(grid: SheetGrid, table: TableUse) -> Iterator[Sorted]:
    """Go through the rows of ``table``, below its headings."""
    header = table.header_row or 0
    columns = {number_of(column.letter): column.letter for column in table.columns}
    model, version = table.column_of("model"), table.column_of("version")
    for row in sorted(number for number in grid.cells if header < number <= table.last_row):
        cells = {
            columns[number]: cell
            for number, cell in sorted(grid.cells[row].items())
            if number in columns and cell.merged != "across" and shown(cell)
        }
        if not any(cell.merged != "down" for cell in cells.values()):
            continue
        names = (cells.get(model.letter) if model else None, cells.get(version.letter) if version else None)
        found = tuple(cell if says(cell) else None for cell in names)
        reason = _reason(grid, table, row, cells, found)
        yield Sorted(row=row, cells=cells, model=found[0], version=found[1], reason=reason)


def _reason(
    grid: SheetGrid, table: TableUse, row: int, cells: Mapping[str, SheetCell], names: tuple[SheetCell | None, ...]
) -> str:
    if row in table.skip_rows:
        return "left out by the mapping file"
    if row in table.versions:
        return ""
    if repeats(grid, row, table.header_row or 0):
        return "the headings again"
    own = [cell for cell in cells.values() if cell.merged != "down"]
    model, version = names
    first = clean(shown(own[0]))
    if _TOTAL.fullmatch(first) or (model and _TOTAL.fullmatch(clean(shown(model)))):
        return "a total or summary"
    named = version if table.column_of("version") else model
    if len(own) == 1 and own[0] is not named:
        return "a footnote" if _FOOTNOTE.match(first) else f"a heading or remark ({_short(first)})"
    if version is None and table.column_of("version"):
        return "names no version" if model else "names neither model nor version"
    return ""


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:39] + "\u2026"
