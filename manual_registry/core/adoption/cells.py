"""What stands in somebody's spreadsheet, as values: cells, sheets, and what a cell shows to a person.

Rules held here: a cell is told as a person sees it (number format applied), a blank is a blank in many
spellings, positions count from 1. What a cell means is left to the other modules of this package.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, time
from typing import Final, Literal, TypeAlias

CellValue: TypeAlias = "str | int | float | bool | datetime"


@dataclass(frozen=True, kw_only=True, slots=True)
class SheetCell:
    """One cell that is not blank.

    ``value`` of a number shown as a date is a ``datetime`` without zone; ``format`` the number format's code;
    ``formula`` True when the value is the stored result of one; ``merged`` is ``down`` or ``across`` when the value
    stands in the merged range's first cell, above or to the left, and is repeated here; ``link`` the target of a
    hyperlink, ``comment`` a remark on the cell.
    """

    value: CellValue
    format: str = "General"
    formula: bool = False
    merged: Literal["", "down", "across"] = ""
    comment: str | None = None
    link: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SheetGrid:
    """One sheet: row number -> column number -> cell; ``hidden`` for the whole sheet."""

    name: str
    cells: Mapping[int, Mapping[int, SheetCell]] = field(default_factory=dict)
    hidden: bool = False
    hidden_rows: frozenset[int] = frozenset()
    hidden_columns: frozenset[int] = frozenset()
    #: (row, column) of formulas that were never computed, and so show nothing.
    uncomputed: frozenset[tuple[int, int]] = frozenset()

    def at(self, row: int, column: int) -> SheetCell | None:
        """Return the cell, None for a blank one."""
        return self.cells.get(row, {}).get(column)


_EMPTY: Final = frozenset(
    [
        *["", ".", "/", "?", "??", "???", "-", "--", "---", "\u2013", "\u2014", "..", "...", "\u2026"],
        *["n/a", "na", "n.a.", "n.a", "n/d", "n.d.", "#n/a", "n/v", "nan", "nat", "none", "null", "nil"],
        *["(none)", "(null)", "(blank)", "blank", "empty", "tbd", "t.b.d.", "tba", "tbc", "missing", "unknown"],
        *["to be defined", "to be determined", "to be confirmed", "not applicable", "not available"],
        *["k.a.", "k. a.", "keine", "keine angabe", "unbekannt", "entf\u00e4llt", "offen", "fehlt"],
        *["s.o.", "sans objet", "aucun", "aucune", "\u00e0 d\u00e9finir", "inconnu"],
        *["ninguno", "ninguna", "desconocido", "no aplica", "sin datos"],
    ]
)
# fmt: off
_ERRORS: Final = frozenset({
    "#ref!", "#value!", "#div/0!", "#name?", "#null!", "#num!", "#spill!", "#calc!", "#getting_data",
})
# fmt: on
# fmt: off
_DITTO: Final = frozenset({
    '"', "''", "\u3003", "\u201d", "\u201c", "ditto", "dito", "idem", '-"-', "-//-", "same", "same as above",
    "wie oben",
})
# fmt: on
_ODD_SPACES = re.compile(r"[\s\u00a0\u2000-\u200a\u202f\u3000]+")
#: Control characters and halves of characters: no file and no terminal takes them.
_NO_TEXT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_INVISIBLE = re.compile("[\u200b-\u200f\u2060\ufeff\u00ad]")


def clean(text: str) -> str:
    """Return ``text`` with every run of white space (line ends too) as one blank, invisible characters gone."""
    if text.isascii() and text.isprintable():
        return " ".join(text.split())
    return _ODD_SPACES.sub(" ", _NO_TEXT.sub("\ufffd", _INVISIBLE.sub("", unicodedata.normalize("NFC", text)))).strip()


def shown(cell: SheetCell | None) -> str:
    """Return what the cell shows to a person; text is kept as it is, but for blanks around and what is no text."""
    if cell is None:
        return ""
    match cell.value:
        case str():
            return _text(cell.value)
        case bool():
            return "TRUE" if cell.value else "FALSE"
        case datetime():
            return iso(cell.value)
        case number:
            return number_shown(number, cell.format)


def _text(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text.strip()
    lines = _INVISIBLE.sub("", unicodedata.normalize("NFC", text)).replace("\r\n", "\n").replace("\r", "\n")
    return _NO_TEXT.sub("\ufffd", lines).strip(" \t\n\u00a0")


def iso(moment: datetime) -> str:
    """Spell a date, with its time unless that is midnight."""
    return moment.date().isoformat() if moment.time() == time(0) else moment.isoformat(timespec="seconds")


_PLAIN = re.compile(r"(?P<whole>[#,0]*)(?:\.(?P<places>[0#]+))?(?P<percent>%)?")


def number_shown(value: int | float, code: str) -> str:
    """Apply the plain number formats (``0.00``, ``0000``, ``0%``); others show the number as it is."""
    first = re.sub(r"\[[^\]]*\]|\"[^\"]*\"|[\\_*].", "", code.split(";", 1)[0]).strip()
    match = _PLAIN.fullmatch(first)
    if not match or not first or "0" not in first:
        return _general(value)
    places = (match["places"] or "").count("0")
    scaled = value * 100 if match["percent"] else value
    width = match["whole"].count("0")
    spelled = f"{abs(scaled):.{places}f}"
    if width > 1:
        whole, point, rest = spelled.partition(".")
        spelled = whole.zfill(width) + point + rest
    return ("-" if scaled < 0 else "") + spelled + (match["percent"] or "")


def _general(value: int | float) -> str:
    if isinstance(value, int):
        return str(value)
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else f"{value:.15g}"


def is_blank(text: str) -> bool:
    """Tell whether ``text`` says nothing: blank, ``n/a``, ``-``, ``TBD``, ``none`` and their like."""
    return clean(text).casefold() in _EMPTY


def is_error(text: str) -> bool:
    """Tell whether ``text`` is what a spreadsheet shows for a formula that failed."""
    return clean(text).casefold() in _ERRORS


def is_ditto(text: str) -> bool:
    """Tell whether ``text`` stands for "the same as above"."""
    return clean(text).casefold() in _DITTO


def letter(column: int) -> str:
    """Turn 28 into ``AB``."""
    spelled = ""
    while column > 0:
        column, rest = divmod(column - 1, 26)
        spelled = chr(65 + rest) + spelled
    return spelled


def number_of(letters: str) -> int | None:
    """Turn ``AB`` into 28; None for what is no column letter of a spreadsheet."""
    if not re.fullmatch(r"[A-Za-z]{1,3}", letters):
        return None
    found = 0
    for char in letters.upper():
        found = found * 26 + ord(char) - 64
    return found if found <= 16_384 else None


def place(sheet: str, row: int, column: int | None = None) -> str:
    """Spell a position for people: ``Models!C12``."""
    return f"{sheet}!{letter(column) if column else ''}{row}"
