"""Versions that a spreadsheet turned into numbers or dates: what they may have been before.

Rules held here: a number is read as it is shown (``0.00`` shows 1.1 as 1.10); where the number alone does not tell
(1 between 1.1 and 1.2, 1.1 twice or behind 1.9), and for every date, a person is asked. A version's name never
changes later, so nothing is guessed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from manual_registry.core.adoption.cells import SheetCell, number_shown, shown

#: How the numbers of a version column may be read, as a mapping file spells it.
NUMBERS: Final = ("as-shown", "0", "0.0", "0.00", "0.000")
#: How the dates of a version column may be read.
DATES: Final = (
    "yyyy-mm-dd",
    "yyyy.mm.dd",
    "yyyymmdd",
    "d.m",
    "m.d",
    "d.m.yy",
    "m.d.yy",
    "d.m.yyyy",
    "m.d.yyyy",
    "yy.m.d",
    "m.yyyy",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Read:
    """A version cell: ``text`` when it is sure; else ``kind`` (numbers, dates) with what it may be, best first."""

    text: str | None = None
    kind: str = ""
    choices: tuple[str, ...] = ()
    note: str = ""


def is_number(cell: SheetCell) -> bool:
    """Tell whether the cell holds a number (no date, no truth value)."""
    return isinstance(cell.value, int | float) and not isinstance(cell.value, bool)


def _plain(cell: SheetCell) -> bool:
    """Tell whether the number's format says nothing of how it was typed."""
    return re.sub(r"\[[^\]]*\]", "", cell.format).strip().lower() in {"", "general", "standard", "@"}


def date_spelled(moment: datetime, how: str) -> str:
    """Spell a date as the version that it may have been; ``how`` is one of :data:`DATES`."""
    parts = {
        "yyyy": f"{moment.year:04d}",
        "yy": f"{moment.year % 100}",
        "mm": f"{moment.month:02d}",
        "dd": f"{moment.day:02d}",
        "m": str(moment.month),
        "d": str(moment.day),
    }
    return re.sub("yyyy|yy|mm|dd|m|d", lambda found: parts[found[0]], how)


def number_spelled(cell: SheetCell, how: str) -> str:
    """Spell a number as a version; ``how`` is one of :data:`NUMBERS`, the least number of decimals."""
    text = shown(cell)
    if how == "as-shown" or isinstance(cell.value, bool | str | datetime):
        return text
    places = len(how.partition(".")[2])
    written = shown(SheetCell(value=cell.value)).partition(".")[2]
    return text if places < len(written) else number_shown(cell.value, how)


class VersionColumn:
    """The version cells of one model, by row: what each is can depend on the others."""

    def __init__(self, cells: Mapping[int, SheetCell], *, numbers: str | None = None, dates: str | None = None) -> None:
        """Look at all ``cells`` once; ``numbers`` and ``dates`` are a person's answers for the whole table."""
        self._cells, self._numbers, self._dates = cells, numbers, dates
        self._shown = {row: shown(cells[row]) for row in sorted(cells) if not isinstance(cells[row].value, datetime)}
        self._counts = Counter(self._shown.values())
        self._pointed = any(re.fullmatch(r"v?\d+\.\d+", text) for text in self._counts)
        self._longer = {
            text.lstrip("v").partition(".")[0] for text in self._counts if re.fullmatch(r"v?\d+\.\d\d", text)
        }
        rows = list(self._shown)
        self._near = {row: tuple(rows[max(at - 1, 0) : at + 2]) for at, row in enumerate(rows)}

    def read(self, row: int) -> Read:
        """Read the version in ``row``."""
        cell = self._cells[row]
        match cell.value:
            case str():
                return Read(text=shown(cell))
            case bool():
                return Read(text=shown(cell), note="a truth value stands where a version is expected")
            case datetime():
                return _date(cell.value, self._dates)
            case _:
                return Read(text=number_spelled(cell, self._numbers)) if self._numbers else self._number(row)

    def _number(self, row: int) -> Read:
        text = self._shown[row]
        if not _plain(self._cells[row]):
            return Read(text=text, note="a number, read as it is shown")
        if not re.fullmatch(r"\d+(\.\d+)?", text):
            return Read(kind="numbers", choices=(text,))
        whole, _, decimals = text.partition(".")
        if not decimals and self._pointed:
            return Read(kind="numbers", choices=(f"{text}.0", text))
        if len(decimals) == 1:
            beside_nine = decimals == "1" and any(self._shown[near] == f"{whole}.9" for near in self._near[row])
            if beside_nine or self._counts[text] > 1 or whole in self._longer:
                both = (text, f"{text}0")
                return Read(kind="numbers", choices=both[::-1] if beside_nine else both)
        return Read(text=text, note="a number, read as it is shown")


def _date(moment: datetime, dates: str | None) -> Read:
    if dates:
        return Read(text=date_spelled(moment, dates))
    likely = ("d.m", "m.d", "yyyy-mm-dd", "d.m.yy", "m.d.yy")
    return Read(kind="dates", choices=tuple(dict.fromkeys(date_spelled(moment, how) for how in likely)))
