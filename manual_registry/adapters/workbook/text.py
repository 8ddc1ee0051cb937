"""How values become cell text and come back: one canonical form for the ledger's side and the file's side.

Law, held by a property test: ``from_file(to_file(t)) == shown(t)``. Nothing here decides what a difference
means.
"""

from __future__ import annotations

import math
import re
from typing import Final, TypeAlias

from manual_registry.core.view import Cell

#: Excel refuses longer cells; counted in UTF-16 code units.
CELL_LIMIT: Final = 32_767
CUT_MARK: Final = " […] (cut for display; the ledger keeps the whole text)"

_ILLEGAL = re.compile("[\x00-\x08\x0b-\x1f\ufffe\uffff\ud800-\udfff]")
# Also without the closing underscore: an escape that follows would supply it.
_LOOKALIKE = re.compile(r"_(?=x[0-9A-Fa-f]{4})")
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")

#: A value by which two cells are compared: (class, value); None for an empty cell.
Key: TypeAlias = "tuple[str, str | float | bool] | None"


class Formula(str):
    """A formula as read from a file, with its ``=``: never equal to the text that looks like it."""

    __slots__ = ()


def units(text: str) -> int:
    """Length in UTF-16 code units, as spreadsheets count."""
    return len(text) + sum(character > "\uffff" for character in text) if not text.isascii() else len(text)


def shown(text: str) -> str:
    """What a cell shows of ``text``.

    Line ends as LF, and no more than :data:`CELL_LIMIT` units, marked when cut.
    """
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if len(text) * 2 <= CELL_LIMIT or units(text) <= CELL_LIMIT:
        return text
    room = CELL_LIMIT - len(CUT_MARK)
    kept = text.encode("utf-16-le", "surrogatepass")[: room * 2].decode("utf-16-le", "ignore")
    return kept + CUT_MARK


def to_file(text: str) -> str:
    """Return ``shown(text)`` as it is written into XML: what XML cannot carry becomes ``_xHHHH_``."""
    safe = shown(text)
    if "_x" in safe:
        safe = _LOOKALIKE.sub("_x005F_", safe)
    return _ILLEGAL.sub(lambda found: f"_x{ord(found[0]):04X}_", safe)


def overlong(text: str) -> bool:
    """Tell whether ``text``, as it stands in a file, is more than a cell may hold."""
    return len(text) * 2 > CELL_LIMIT and units(_ESCAPED.sub("x", text)) > CELL_LIMIT


def from_file(text: str) -> str:
    """Undo :func:`to_file` for text read from a file."""
    if "_x" in text:
        text = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)
    return shown(text)


def number(value: float) -> int | float:
    """Bring a number into the form that survives a spreadsheet: 15 significant digits, whole ones as int."""
    if not math.isfinite(value):
        return value
    short = float(f"{value:.15g}")
    if math.isinf(short):  # the largest floats round up out of range
        short = float(f"{value:.14g}")
    return int(short) if short.is_integer() and abs(short) < 1e15 else short


def key(value: Cell) -> Key:
    """Return what two equal cells have in common.

    ``""`` is None, ``True`` is not ``1``, ``"1"`` is not ``1``.
    """
    if value is None or value == "":
        return None
    if isinstance(value, Formula):
        return ("formula", str(value))
    if isinstance(value, str):
        return ("text", shown(value))
    if isinstance(value, bool):
        return ("bool", value)
    if not math.isfinite(value):
        return ("text", str(value))
    return ("number", float(number(value)))
