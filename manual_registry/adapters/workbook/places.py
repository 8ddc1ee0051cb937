"""Where things stand on a sheet: rows and columns as numbers from 1, and as people write them."""

from __future__ import annotations

from typing import Final, TypeAlias

from manual_registry.adapters.workbook.errors import Trouble, WorkbookOffGrid

MAX_ROWS: Final = 1_048_576
MAX_COLUMNS: Final = 16_384
#: Nobody gets that far by typing, and the next row or column could not be written any more.
FAR_ROW: Final = 1_000_000
FAR_COLUMN: Final = 16_000
#: First row, first column, last row, last column.
Area: TypeAlias = "tuple[int, int, int, int]"


def letters(column: int) -> str:
    """Turn column 8 into ``H``."""
    text = ""
    while column:
        column, rest = divmod(column - 1, 26)
        text = chr(65 + rest) + text
    return text


def place(sheet: str, row: int, column: int) -> str:
    """Name a cell the way people do: ``Models!H12``."""
    return f"{sheet}!{letters(column)}{row}"


def position(reference: str) -> tuple[int, int]:
    """Turn ``H12`` into (12, 8); raises :class:`Trouble` for what lies outside the grid."""
    column = row = 0
    for character in reference[:20]:
        if "0" <= character <= "9":
            row = row * 10 + int(character)
        else:
            column = column * 26 + ord(character.upper()) - 64
    if not 0 < row <= MAX_ROWS or not 0 < column <= MAX_COLUMNS:
        raise Trouble(WorkbookOffGrid, f"has a cell beyond the grid ({reference[:20]})", reference[:20])
    return row, column


def area(reference: str) -> Area:
    """Turn ``A5:H12`` (or ``A5``, or with ``$``) into rows and columns; raises :class:`Trouble`."""
    first, _, last = reference.replace("$", "").partition(":")
    (top, left), (bottom, right) = position(first), position(last or first)
    return top, left, bottom, right
