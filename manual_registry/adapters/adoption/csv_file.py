"""A team's .csv as one sheet of texts: encoding and delimiter found, nothing else assumed."""

from __future__ import annotations

import csv
import io
from collections import Counter
from typing import Final

from manual_registry.core.adoption.cells import SheetCell, SheetGrid
from manual_registry.core.errors import MetadataUnreadable

_DELIMITERS: Final = (",", ";", "\t", "|")
_SAMPLE: Final = 60
_MOST_COLUMNS: Final = 16_384
_MOST_ROWS: Final = 1_048_576


def read_csv(data: bytes, name: str, *, sheet: str) -> SheetGrid:
    """Read ``data`` as the sheet ``sheet``; raises :class:`MetadataUnreadable` for what is no text table."""
    text = decode(data, name)
    first, _, rest = text.partition("\n")
    said = first.strip().strip('"')
    if said.lower().startswith("sep=") and len(said) == 5:
        # Excel's own line; the rows keep their numbers.
        return SheetGrid(name=sheet, cells=_cells(rest, said[4], name, before=1))
    return SheetGrid(name=sheet, cells=_cells(text, delimiter(text), name))


def decode(data: bytes, name: str) -> str:
    """Return the text: UTF-16 with its mark, else UTF-8, else Windows-1252 (what Excel writes in Western Europe)."""
    if b"\0" in data[:4096] and not data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise MetadataUnreadable(f"{name}: neither a workbook nor a text table", location=name)
    encodings = ("utf-16",) if data.startswith((b"\xff\xfe", b"\xfe\xff")) else ("utf-8-sig", "cp1252")
    for encoding in encodings:
        try:
            return data.decode(encoding).replace("\r\n", "\n").replace("\r", "\n")
        except UnicodeDecodeError:
            continue
    raise MetadataUnreadable(f"{name}: the text is in an unknown encoding; save it as CSV UTF-8", location=name)


def delimiter(text: str) -> str:
    """Return the character that splits most rows into the same number of columns."""
    lines = [line for line in text.split("\n")[: _SAMPLE * 2] if line.strip()][:_SAMPLE]
    return max(_DELIMITERS, key=lambda char: _agreement(lines, char))


def _agreement(lines: list[str], char: str) -> tuple[int, int]:
    try:
        counts = Counter(len(row) for row in csv.reader(lines, delimiter=char) if len(row) > 1)
    except csv.Error:
        return (0, 0)
    columns, rows = max(counts.items(), key=lambda pair: (pair[1], pair[0]), default=(0, 0))
    return (rows, columns)


def _cells(text: str, char: str, name: str, *, before: int = 0) -> dict[int, dict[int, SheetCell]]:
    found: dict[int, dict[int, SheetCell]] = {}
    try:
        for number, row in enumerate(csv.reader(io.StringIO(text, newline=""), delimiter=char), before + 1):
            cells = {column: SheetCell(value=value.strip()) for column, value in enumerate(row, 1) if value.strip()}
            if len(row) > _MOST_COLUMNS or number > _MOST_ROWS:
                raise MetadataUnreadable(f"{name}: more rows or columns than a sheet has", location=name)
            if cells:
                found[number] = cells
    except csv.Error as broken:
        raise MetadataUnreadable(f"{name}: no text table ({broken})", location=name) from broken
    return found
