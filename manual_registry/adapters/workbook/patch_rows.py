"""Rows of a sheet changed cell by cell, in the bytes of its part.

Rules held here: a row that is not changed keeps its bytes; in a row that is, each cell that is not changed keeps its
own; text is written as text, inline, so that the shared strings stay as they are; a formula that belongs to several
cells, and all that is not written as programs write it, is ``Unpatchable``.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from manual_registry.adapters.workbook import scan
from manual_registry.adapters.workbook.container import Unpatchable
from manual_registry.adapters.workbook.markup import Splice, escaped, pieces, with_attribute
from manual_registry.adapters.workbook.places import letters, position
from manual_registry.adapters.workbook.text import Formula, number, to_file
from manual_registry.core.view import Cell

_SHARED: Final = re.compile(r"<f [^>]*\b(?:t|ref|si)=")


@dataclass(frozen=True, slots=True)
class Write:
    """What a cell becomes; ``style`` gives its style from the one that it has (None: it has none, or is new)."""

    value: Cell
    style: Callable[[int | None], int | None] = lambda style: style
    overwrite: bool = False  # a formula that stands there too


@dataclass(slots=True)
class RowWrites:
    """What one row gets; ``height`` in points, set only where the row has a height of its own or is new."""

    cells: dict[int, Write] = field(default_factory=dict)
    height: float | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """A cell as it stands in a row."""

    column: int
    style: int | None
    kind: str
    xml: str
    formula: bool
    bound: bool  # a shared or array formula, or linked to metadata


def cell_xml(reference: str, style: int | None, value: Cell) -> str:
    """Return one cell as XML."""
    head = f'<c r="{reference}"' + (f' s="{style}"' if style else "")
    if value is None or value == "":
        return head + "/>"
    if isinstance(value, Formula):
        return f"{head}><f>{escaped(value[1:]).decode()}</f></c>"
    if isinstance(value, bool):
        return f'{head} t="b"><v>{int(value)}</v></c>'
    if not isinstance(value, str) and math.isfinite(value):
        return f"{head}><v>{number(float(value))!r}</v></c>"
    text = to_file(value if isinstance(value, str) else str(value))
    space = ' xml:space="preserve"' if text != text.strip() or "\n" in text or "  " in text else ""
    return f'{head} t="inlineStr"><is><t{space}>{escaped(text).decode()}</t></is></c>'


def cells_in(text: str, row: int) -> Iterator[Found]:
    """Yield the cells of a row; raises ``Unpatchable`` for what is not written as programs write it."""
    last = 0
    for found in scan.CELL.finditer(text):
        place, attributes, _, _, other, odd = found.groups()
        try:
            if odd:
                raise scan.Odd
            column = position(scan.letters_of([place], row)[0] + "1")[1]
            said = scan.attributes_of(attributes)
        except scan.Odd:
            raise Unpatchable(f"row {row} is written in another way than usual") from None
        if column <= last:
            raise Unpatchable(f"the cells of row {row} are not in their order")
        last = column
        yield Found(
            column, int(said["s"]) if "s" in said else None, said.get("t", "n"), found[0],
            formula=bool(other) and other.startswith("<f"),
            bound="cm" in said or "vm" in said or bool(other and _SHARED.match(other)),
        )  # fmt: skip


class Rows:
    """The rows of a sheet part."""

    def __init__(self, data: bytes, end: int, places: dict[int, tuple[int, int, int]]) -> None:
        """``places`` are the rows as the reader found them, ``end`` is where they end."""
        self._data, self._end, self._rows = data, end, places
        if not places:
            raise Unpatchable("the rows of a sheet are written in another way than usual")
        self._numbers = list(places)
        #: Cells that held a formula and do not any more.
        self.calculated: set[str] = set()

    def cells(self, row: int) -> dict[int, Found]:
        """Return the cells of one row by column."""
        first = self._rows.get(row)
        return {one.column: one for one in cells_in(self._text(first), row)} if first else {}

    def tag(self, row: int) -> bytes:
        """Return the first tag of a row, empty when there is no such row."""
        first = self._rows.get(row)
        return self._data[first[0] : first[1]] if first else b""

    def _text(self, row: tuple[int, int, int]) -> str:
        try:
            return self._data[row[1] : row[2] - len(b"</row>")].decode() if row[1] < row[2] else ""
        except UnicodeDecodeError as broken:
            raise Unpatchable("it is not in UTF-8") from broken

    def written(self, start: int, writes: dict[int, RowWrites]) -> list[bytes]:
        """Return the rows, which begin at ``start``, with ``writes`` (row number -> cells) done, in pieces."""
        changes: list[Splice] = []
        for number_ in sorted(writes):
            known = self._rows.get(number_)
            if known:
                changes.append((known[0], known[2], self._changed(number_, known, writes[number_])))
                continue
            after = bisect_left(self._numbers, number_)
            at = self._rows[self._numbers[after]][0] if after < len(self._numbers) else self._end
            changes.append((at, at, _row(number_, writes[number_])))
        return pieces(self._data, changes, start, self._end)

    def _changed(self, row: int, known: tuple[int, int, int], writes: RowWrites) -> bytes:
        tag = self._data[known[0] : known[1]].rstrip()
        cells = {one.column: one.xml for one in cells_in(self._text(known), row)}
        old = self.cells(row)
        for column, write in writes.cells.items():
            cells[column] = self._cell(row, column, old.get(column), write)
        if cells.keys() - old.keys():
            tag = with_attribute(tag, "spans", None)  # a hint for readers, wrong from now on
        if writes.height is not None:
            tag = with_attribute(with_attribute(tag, "ht", f"{writes.height:g}"), "customHeight", "1")
        if tag.endswith(b"/>"):
            tag = tag[:-2].rstrip() + b">"
        return tag + "".join(cells[column] for column in sorted(cells)).encode() + b"</row>"

    def _cell(self, row: int, column: int, old: Found | None, write: Write) -> str:
        reference = f"{letters(column)}{row}"
        if old is not None and old.bound:
            raise Unpatchable(f"cell {reference} belongs to a formula over several cells")
        if old is not None and old.formula and not isinstance(write.value, Formula):
            if not write.overwrite:
                return old.xml
            self.calculated.add(reference)
        return cell_xml(reference, write.style(old.style if old else None), write.value)


def _row(row: int, writes: RowWrites) -> bytes:
    height = f' ht="{writes.height:g}" customHeight="1"' if writes.height is not None else ""
    cells = "".join(
        cell_xml(f"{letters(column)}{row}", writes.cells[column].style(None), writes.cells[column].value)
        for column in sorted(writes.cells)
    )
    return f'<row r="{row}"{height}>{cells}</row>'.encode()
