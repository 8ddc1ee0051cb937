"""Dates as people write them: an explicit list of notations, the order of day and month never guessed.

Rules held here (design 4, "Dates"): a text is read by a fixed list of ``strptime`` formats; where day and month could
be exchanged, the order comes from the column's own unambiguous values, from the heading, or from a person. A month
written as a word is unambiguous. Dates are kept as stated: no zone is added where none was written.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from manual_registry.core.adoption.cells import SheetCell, clean, iso

#: The orders, as a mapping file spells them.
ORDERS: Final = ("day-first", "month-first", "year-first")
#: Spreadsheet serial numbers that are taken for dates in a date column: 1970 to 2119.
_SERIALS: Final = range(25_569, 80_354)

_TIMES: Final = (" %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p")
_YEAR_FIRST: Final = ("%Y-%m-%d",)
_BY_ORDER: Final[Mapping[str, tuple[str, ...]]] = {
    "day-first": ("%d-%m-%Y", "%d-%m-%y"),
    "month-first": ("%m-%d-%Y", "%m-%d-%y"),
    "year-first": ("%y-%m-%d",),
}

_MONTHS: Final = (
    "jan january januar janvier enero ene janner jaenner",
    "feb february februar fevrier febrero fevr fev febr",
    "mar march marz maerz mars marzo mrz",
    "apr april avril abril avr abr",
    "may mai mayo",
    "jun june juni juin junio",
    "jul july juli juillet julio juil",
    "aug august aout agosto ago",
    "sep sept september septembre septiembre setiembre",
    "oct october oktober octobre octubre okt",
    "nov november novembre noviembre",
    "dec december dezember decembre diciembre dez dic",
)
_MONTH_OF: Final = {word: number for number, line in enumerate(_MONTHS, 1) for word in line.split()}
_WEEKDAYS: Final = re.compile(
    r"^(mon|tue|tues|wed|thu|thur|thurs|fri|sat|sun|monday|tuesday|wednesday|thursday|friday|saturday|sunday"
    r"|mo|di|mi|do|fr|sa|so|montag|dienstag|mittwoch|donnerstag|freitag|samstag|sonntag"
    r"|lundi|mardi|mercredi|jeudi|vendredi|samedi|dimanche|lunes|martes|miercoles|jueves|viernes|sabado|domingo)\b[.,]*\s*"
)
_NUMERIC: Final = re.compile(r"(\d{1,4})\s?([./-])\s?(\d{1,2})\s?\2\s?(\d{1,4})(?![\d./-])(.*)", re.DOTALL)
_WORDED: Final = re.compile(
    r"(\d{1,2})[\s.-]*(?:de |of |d')?\s*([a-z]+)[\s.,'-]*(?:de |del )?\s*(\d{4}|\d{2})(?!\d)(.*)", re.DOTALL
)
_MONTH_LED: Final = re.compile(r"([a-z]+)[\s.-]*(\d{1,2})[\s,.-]+(\d{4})(?!\d)(.*)", re.DOTALL)
_YEAR_LED: Final = re.compile(r"(\d{4})[\s.-]*([a-z]+)[\s.-]*(\d{1,2})(?!\d)(.*)", re.DOTALL)
_ZONE: Final = re.compile(r"\s?(z|utc|gmt|[+-]\d{2}:?\d{2})$")


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """What one cell may mean.

    ``by_order`` holds the date (ISO text) under each order that gives one; a notation that can be read in one way only
    stands in ``sure`` instead. ``notation`` is the separator, by which a column is judged.
    """

    sure: str | None = None
    by_order: Mapping[str, str] | None = None
    notation: str = ""
    note: str = ""

    @property
    def certain(self) -> str | None:
        """The date, when no order is needed to know it."""
        if self.sure is not None:
            return self.sure
        values = set((self.by_order or {}).values())
        return values.pop() if len(values) == 1 else None

    @property
    def evidence(self) -> frozenset[str]:
        """The orders that this value allows, when it forbids others; empty when it says nothing."""
        allowed = frozenset(self.by_order or {})
        return allowed if self.sure is None and self.certain is not None else frozenset()


def _fold(text: str) -> str:
    plain = re.sub("[\u2010-\u2015\u2212]", "-", unicodedata.normalize("NFKD", clean(text)).casefold())
    return "".join(char for char in plain if not unicodedata.combining(char))


def _strptime(date: str, rest: str, formats: Iterable[str]) -> str | None:
    """Read ``date`` (parts joined by ``-``) and the time of day in ``rest``."""
    tail = re.sub(r"^[\s,]*t?(?=\d)|^[\s,]*(at|um|a|h)\s+(?=\d)", " ", rest).rstrip(" .")
    tail = re.sub(r"\s*(uhr|hrs?|h)$", "", tail)
    tail = re.sub(r"(\d)\s?([ap])\.?m\.?$", r"\1 \2m", tail)
    zone = _ZONE.search(tail) if tail.strip() else None
    if zone:
        tail = tail[: zone.start()]
    if len(tail.split(".")[-1]) > 6 and "." in tail:
        tail = tail[: tail.rindex(".") + 7]
    tail = tail.rstrip()
    for date_format in formats:
        for time_format in _TIMES if tail else ("",):
            try:
                moment = datetime.strptime(date + tail, date_format + time_format)
            except ValueError:
                continue
            return _spelled(moment, zone[1] if zone else "")
    return None


def _spelled(moment: datetime, zone: str) -> str | None:
    if not 1950 <= moment.year <= 2199:
        return None
    if not zone or (zone.isalpha() and moment.time() == datetime.min.time()):
        return iso(moment)
    offset = "Z" if zone.isalpha() else f"{zone[:3]}:{zone[-2:]}"
    if not zone.isalpha() and (int(zone[1:3]) > 23 or int(zone[-2:]) > 59):
        return None
    return moment.isoformat(timespec="seconds") + offset


def read_date(text: str) -> Reading | None:
    """Return what ``text`` may mean; None for what is no date in any notation of the list (``n/a``, ``Q1 2024``)."""
    folded = _WEEKDAYS.sub("", _fold(text))
    if not folded or len(folded) > 60:
        return None
    if re.fullmatch(r"(19|20)\d{6}", folded):
        sure = _strptime(f"{folded[:4]}-{folded[4:6]}-{folded[6:]}", "", _YEAR_FIRST)
        return Reading(sure=sure) if sure else None
    if found := _NUMERIC.fullmatch(folded):
        return _numeric(found[1], found[2], found[3], found[4], found[5])
    return _worded(folded)


def _numeric(first: str, separator: str, second: str, third: str, rest: str) -> Reading | None:
    if len(first) > 2:
        sure = (
            _strptime(f"{first}-{second}-{third}", rest, _YEAR_FIRST) if len(first) == 4 and len(third) <= 2 else None
        )
        return Reading(sure=sure) if sure else None
    if len(third) not in (2, 4):
        return None
    date = f"{first}-{second}-{third}"
    orders = ["day-first", "month-first"]
    if len(third) == 2 and len(first) == 2 and separator == "-":
        orders.append("year-first")
    found = {order: _strptime(date, rest, _BY_ORDER[order]) for order in orders}
    by_order = {order: value for order, value in found.items() if value is not None}
    notation = separator + ("yy" if len(third) == 2 else "yyyy")
    return Reading(by_order=by_order, notation=notation) if by_order else None


def _worded(folded: str) -> Reading | None:
    plain = re.sub(r"(\d)(st|nd|rd|th|er|\u00ba)\b", r"\1", folded)
    for pattern, (year, month, day) in ((_WORDED, (3, 2, 1)), (_MONTH_LED, (3, 1, 2)), (_YEAR_LED, (1, 2, 3))):
        found = pattern.fullmatch(plain)
        number = _MONTH_OF.get(found[month]) if found else None
        if found and number:
            spelled = found[year] if len(found[year]) == 4 else str(datetime.strptime(found[year], "%y").year)
            sure = _strptime(f"{spelled}-{number:02d}-{found[day]}", found[4], _YEAR_FIRST)
            return Reading(sure=sure) if sure else None
    return None


def read_serial(value: int | float, *, system_1904: bool = False) -> Reading | None:
    """Read a plain number in a date column: a serial date, ``20240310``, or seconds of the Unix epoch."""
    if isinstance(value, bool) or not math.isfinite(value):
        return None
    whole = int(value)
    if whole in _SERIALS:
        return Reading(sure=iso(from_serial(value, system_1904=system_1904)), note="a serial number, read as a date")
    if whole == value and re.fullmatch(r"(19|20)\d{6}", str(whole)):
        return read_date(str(whole))
    for unit in (1, 1000):
        if 946_684_800 <= value / unit < 4_102_444_800:
            moment = datetime.fromtimestamp(int(value / unit), tz=UTC).replace(tzinfo=None)
            return Reading(sure=f"{moment.isoformat(timespec='seconds')}Z", note="seconds since 1970, read as a time")
    return None


def from_serial(value: int | float, *, system_1904: bool = False) -> datetime:
    """Turn a spreadsheet's serial number (0 to 2,958,465.99) into a date without zone, rounded to seconds.

    Day 60 of the 1900 system, 29 February 1900, never was; the days before it count from one day later.
    """
    if system_1904:
        return datetime(1904, 1, 1) + timedelta(seconds=round(value * 86_400))
    epoch = datetime(1899, 12, 31) if value < 60 else datetime(1899, 12, 30)
    return epoch + timedelta(seconds=round(value * 86_400))


def read_cell(cell: SheetCell, *, system_1904: bool = False) -> Reading | None:
    """Read a cell of a date column: a real date, a text, or a plain number."""
    match cell.value:
        case datetime():
            return Reading(sure=iso(cell.value)) if 1950 <= cell.value.year <= 2199 else None
        case str():
            text = clean(cell.value)
            if re.fullmatch(r"\d{5}(\.\d+)?", text):
                return read_serial(float(text), system_1904=system_1904)
            return read_date(text)
        case bool():
            return None
        case number:
            return read_serial(number, system_1904=system_1904)


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """How a column is to be read: the order of each notation; ``open`` are the notations that a person must settle.

    ``choices`` are the orders that remain possible for those.
    """

    by_notation: Mapping[str, str]
    open: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()

    def read(self, reading: Reading) -> str | None:
        """Return the date, None while its order is open or where the order gives none."""
        if reading.certain is not None:
            return reading.certain
        return (reading.by_order or {}).get(self.by_notation.get(reading.notation, ""))


def infer_order(readings: Iterable[Reading], *, given: str | None = None) -> Order:
    """Find the order of day and month of one column.

    ``given`` (a person's answer, or the heading's own words) settles all. Else each notation is settled by its own
    unambiguous values when they agree; one without any follows the others of the column when those agree.
    """
    groups: dict[str, list[Reading]] = {}
    for reading in readings:
        if reading.by_order:
            groups.setdefault(reading.notation, []).append(reading)
    wanting = [name for name, group in groups.items() if any(one.certain is None for one in group)]
    if given:
        return Order(by_notation=dict.fromkeys(groups, given))
    settled: dict[str, str] = {}
    possible: dict[str, frozenset[str]] = {}
    for name, group in groups.items():
        possible[name] = _possible(group)
        if len(possible[name]) == 1:
            settled[name] = next(iter(possible[name]))
    agreed = set(settled.values())
    if len(agreed) == 1:
        for name in wanting:
            if name not in settled and agreed <= possible[name]:
                settled[name] = next(iter(agreed))
    left = tuple(name for name in wanting if name not in settled)
    choices = [order for order in ORDERS if any(order in (possible[name] or ORDERS[:2]) for name in left)]
    return Order(by_notation=settled, open=left, choices=tuple(choices))


def _possible(group: list[Reading]) -> frozenset[str]:
    """Return the orders under which every value of one notation is a date; none when values contradict each other."""
    possible = frozenset(ORDERS)
    for reading in group:
        possible &= frozenset(reading.by_order or {})
    return possible
