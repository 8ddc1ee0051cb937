"""One cell of a known column: what it means, and what is said about it when it stays text.

Rule held here: a value is understood by the fixed rules of its field or stays the text that it is; nothing is thrown
away. The order of day and month is settled for a whole column before (``dates.Order``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from manual_registry.core.adoption import dates
from manual_registry.core.adoption.cells import SheetCell, shown
from manual_registry.core.adoption.metrics import metric_cell, parse_metrics
from manual_registry.core.adoption.words import parse_commit, parse_hash, spoilt_code
from manual_registry.core.errors import RegistryError
from manual_registry.core.references import parse_reference

DATES: Final = frozenset({"training_date", "approval_date", "deployment_date"})
HASHES: Final[Mapping[str, str | None]] = {
    "content_hash": None,
    "sha256": "sha256",
    "blake3": "blake3",
    "sha1": "sha1",
    "md5": "md5",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Context:
    """What the column tells about its cells."""

    header: str
    order: dates.Order | None = None
    system_1904: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Meaning:
    """The value as understood (None: it stays text) and what is to be told."""

    parsed: Any = None
    note: str = ""


def meaning(field: str, cell: SheetCell, context: Context) -> Meaning:
    """Understand one cell; ``field`` is any field but model, version and stage, which need the whole table."""
    if field in DATES:
        return _date(cell, context)
    if field in HASHES:
        return _hash(field, cell)
    if field.startswith("metrics."):
        return _metric(cell, context)
    return _READERS.get(field, _text)(cell)


def _text(cell: SheetCell) -> Meaning:
    return Meaning(parsed=shown(cell))


def _date(cell: SheetCell, context: Context) -> Meaning:
    reading = dates.read_cell(cell, system_1904=context.system_1904)
    if reading is None:
        return Meaning(note="no date of a known notation; it stays text")
    found = context.order.read(reading) if context.order else reading.certain
    return Meaning(parsed=found, note=reading.note)


def _hash(field: str, cell: SheetCell) -> Meaning:
    if spoilt_code(cell):
        return Meaning(note="the spreadsheet made a number of this hash; it stays text and is not compared")
    found = parse_hash(shown(cell), algorithm=HASHES[field])
    if found is None:
        return Meaning(note="no hash (hex, seven characters or more); it stays text and is not compared")
    short = "" if found.whole else f"cut short; its first {len(found.value)} characters are compared"
    return Meaning(parsed=found, note=short)


def _metric(cell: SheetCell, context: Context) -> Meaning:
    percent = "%" in context.header
    value = metric_cell(cell, percent_header=percent)
    if value is None:
        return Meaning(note="no number; it stays text")
    return Meaning(parsed=value, note="the column counts in percent; read as fractions of one" if percent else "")


def _metrics(cell: SheetCell) -> Meaning:
    found = parse_metrics(shown(cell)) if isinstance(cell.value, str) else None
    if found is None:
        return Meaning(note="not wholly understood as metrics; it stays text")
    return Meaning(parsed=dict(found.values), note="; ".join(found.notes))


def _numbers(cell: SheetCell) -> Meaning:
    found = parse_metrics(shown(cell)) if isinstance(cell.value, str) else None
    return Meaning(parsed=dict(found.values) if found else None)


def _commit(cell: SheetCell) -> Meaning:
    if spoilt_code(cell):
        return Meaning(note="the spreadsheet made a number of this commit; it stays text")
    found = parse_commit(shown(cell))
    if found is None:
        return Meaning(note="no commit id (7 to 40 hex characters); it stays text")
    number = not isinstance(cell.value, str)
    return Meaning(parsed=found, note="a number; leading zeros would be lost" if number else "")


def _reference(cell: SheetCell) -> Meaning:
    try:
        return Meaning(parsed=parse_reference(shown(cell)).text)
    except RegistryError:
        return Meaning()  # a name for the data; every team has one, so nothing is said


def _location(cell: SheetCell) -> Meaning:
    text = shown(cell)
    if cell.link and not any(mark in text for mark in "/\\"):
        return Meaning(parsed=cell.link, note="the target of the hyperlink counts as the location")
    return Meaning(parsed=text)


_READERS: Final[Mapping[str, Callable[[SheetCell], Meaning]]] = {
    "metrics": _metrics,
    "hyperparameters": _numbers,
    "code_commit": _commit,
    "training_data": _reference,
    "storage_location": _location,
}
