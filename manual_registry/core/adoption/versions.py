"""Versions that a spreadsheet turned into numbers or dates: what they may have been before.

Rules held here: a number is read as it is shown (``0.00`` shows 1.1 as 1.10); where the number alone does not tell
(1 between 1.1 and 1.2, or 1.1 twice), and for every date, a person is asked. A version's name never changes later, so
nothing is guessed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from manual_registry.core.adoption.cells import SheetCell, number_shown, shown

#: How the numbers of a version column may be read, as a mapping file spells it.
NUMBERS: Final = ("as-shown", "0", "0.0", "0.00", "0.000")
#: How the dates of a version column may be read.
DATES: Final = ("yyyy-mm-dd", "yyyy.mm.dd", "yyyymmdd", "d.m", "m.d", "d.m.yy", "m.d.yy", "d.m.yyyy", "m.d.yyyy", "yy.m.d", "m.yyyy")


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
    parts = {"yyyy": f"{moment.year:04d}", "yy": f"{moment.year % 100}", "mm": f"{moment.month:02d}", "dd": f"{moment.day:02d}", "m": str(moment.month), "d": str(moment.day)}  # fmt: skip
    return re.sub("yyyy|yy|mm|dd|m|d", lambda found: parts[found[0]], how)


def number_spelled(cell: SheetCell, how: str) -> str:
    """Spell a number as a version; ``how`` is one of :data:`NUMBERS`, the least number of decimals."""
    text = shown(cell)
    if how == "as-shown" or isinstance(cell.value, bool | str | datetime):
        return text
    places = len(how.partition(".")[2])
    written = shown(SheetCell(value=cell.value)).partition(".")[2]
    return text if places < len(written) else number_shown(cell.value, how)


def read_version(
    cell: SheetCell,
    others: Sequence[SheetCell],
    *,
    repeated: bool = False,
    numbers: str | None = None,
    dates: str | None = None,
) -> Read:
    """Read one cell of a version column.

    ``others`` are all version cells of the same model; ``repeated`` says that another row of it shows the same number;
    ``numbers`` and ``dates`` are a person's answers for the whole table.
    """
    match cell.value:
        case str():
            return Read(text=shown(cell))
        case bool():
            return Read(text=shown(cell), note="a truth value stands where a version is expected")
        case datetime():
            return _date(cell.value, dates)
        case _:
            if numbers:
                return Read(text=number_spelled(cell, numbers))
            return _number(cell, others, repeated)


def _date(moment: datetime, dates: str | None) -> Read:
    if dates:
        return Read(text=date_spelled(moment, dates))
    likely = ("d.m", "m.d", "yyyy-mm-dd", "d.m.yy", "m.d.yy")
    return Read(kind="dates", choices=tuple(dict.fromkeys(date_spelled(moment, how) for how in likely)))


def _number(cell: SheetCell, others: Sequence[SheetCell], repeated: bool) -> Read:
    text = shown(cell)
    if not _plain(cell):
        return Read(text=text, note="a number, read as it is shown")
    whole, _, decimals = text.partition(".")
    if "e" in text.lower() or cell.value != cell.value or "inf" in text:
        return Read(kind="numbers", choices=(text,))
    spelled = [shown(other) for other in others if not isinstance(other.value, datetime)]
    if not decimals:
        pointed = any(re.fullmatch(r"v?\d+\.\d+", one) for one in spelled)
        return Read(kind="numbers", choices=(f"{text}.0", text)) if pointed else Read(text=text, note="a number")
    two_places = any(re.fullmatch(rf"v?{whole}\.\d\d", one) for one in spelled)
    if len(decimals) == 1 and (repeated or two_places):
        best = (f"{text}0", text) if repeated else (text, f"{text}0")
        return Read(kind="numbers", choices=best)
    return Read(text=text, note="a number, read as it is shown")


def repeated_numbers(cells: Mapping[int, SheetCell]) -> frozenset[int]:
    """Return the rows whose version is a plain number that stands in an earlier row (or as text) of the same model."""
    counts = Counter(shown(cell) for cell in cells.values())
    seen: set[str] = set()
    found: set[int] = set()
    for row in sorted(cells):
        cell, text = cells[row], shown(cells[row])
        if counts[text] > 1 and is_number(cell) and _plain(cell) and text in seen:
            found.add(row)
        seen.add(text)
    return frozenset(found)
