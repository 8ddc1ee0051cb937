"""Metrics as people write them into one cell: ``AUC 0.91; DPR 0.84``, ``auc=0.92, f1: 88%``, ``auc 0,91``.

Rule held here: a cell is understood wholly or not at all; what is not wholly understood stays the text that it is. A
number that can be read in two ways (``1,234``) is not understood; neither is prose with a number in it: a name that is
no known metric needs ``=`` or ``:``, or is one word beside a decimal number.

Law, held by a property test: for finite ``m`` with plain names, ``parse_metrics(spelled(m)) == m`` in every notation.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from manual_registry.core.adoption.cells import SheetCell, clean, shown
from manual_registry.core.adoption.headers import metric_header

#: Longer texts are prose.
_LONGEST: Final = 2_000
_NUMBER: Final = r"[+-]?(?:\d[\d.,' ]*|[.,]\d+)(?:e[+-]?\d+)?"
_POINTED: Final = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?")
_COMMAED: Final = re.compile(r"[+-]?(\d+,\d*|,\d+)(e[+-]?\d+)?")
_GROUPED: Final = re.compile(r"[+-]?\d{1,3}([,' ]\d{3})+\.\d+|[+-]?\d{1,3}([' ]\d{3})+")
_GROUPED_COMMA: Final = re.compile(r"[+-]?\d{1,3}([.' ]\d{3})+,\d+")
_NAME: Final = re.compile(r"[^\W\d_][\w@./()+*^-]*(?: (?![+-]?[\d.,]*\d+(?: |$))[\w@/()+*^-]+)*")
_CUT: Final = re.compile(r"[;\n|]+|,(?=\s*[^\d\s.,+-])|,(?=\s+[^\d])|(?<=[\d%])\s+(?:and|und|et|&|/)\s+(?=[^\W\d])")
_PAIR: Final = re.compile(
    rf"(?P<name>.+?)(?P<sign>\s*[:=]\s*|\s+)(?P<number>{_NUMBER})\s?(?P<percent>%)?", re.IGNORECASE | re.DOTALL
)
# fmt: off
_NO_METRIC: Final = frozenset({
    "v", "ver", "vers", "version", "rev", "release", "build", "run", "row", "page", "section", "chapter",
    "ticket", "issue", "by", "in", "on", "of", "from", "since", "until", "to", "at", "see", "about", "approx",
    "ca", "circa", "up", "down", "over", "under", "than", "better", "worse", "only", "old", "new", "was", "is",
    "were", "now", "then", "with", "without", "step", "epoch", "epochs", "seed", "von", "vom", "seit"
})
# fmt: on
_TOKEN_NUMBER: Final = re.compile(rf"({_NUMBER})(%?)", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Metrics:
    """What a cell of metrics says: ``values`` by name, all finite; ``notes`` say what was read how."""

    values: Mapping[str, float]
    notes: tuple[str, ...] = ()


def metric_name(text: str) -> str:
    """Bring a metric's name into one spelling: ``F1-Score`` -> ``f1_score``, ``AUC (test)`` -> ``auc_test``."""
    return re.sub(r"[^\w@.]+", "_", unicodedata.normalize("NFKC", clean(text)).casefold()).strip("_.")


def _is_name(text: str, number: str, *, signed: bool) -> bool:
    """Tell whether ``text`` beside ``number`` names a metric; ``signed``: ``=`` or ``:`` stands between them."""
    if not _NAME.fullmatch(text) or text.count(" ") > 3:
        return False
    if signed or metric_header(text) is not None:
        return True
    return (
        " " not in text
        and text.casefold() not in _NO_METRIC
        and len(text) > 1
        and re.search("[.,%]", number) is not None
    )


def parse_number(text: str, *, comma: bool | None = None) -> float | None:
    """Read a number; None for what is none, or could be two.

    ``comma`` says whether the comma is the decimal sign (None: not known, ``0,91`` and ``12,5`` are, ``1,234`` is not
    understood).
    """
    plain = clean(text).replace("\u2212", "-")
    value: str | None = None
    if _POINTED.fullmatch(plain.lower()):
        # Beside decimal commas, a point before three digits may group thousands.
        value = None if comma and re.fullmatch(r"[+-]?[1-9]\d{0,2}\.\d{3}", plain) else plain
    elif _COMMAED.fullmatch(plain.lower()):
        doubtful = re.fullmatch(r"[+-]?[1-9]\d{0,2},\d{3}", plain) is not None
        value = plain.replace(",", ".") if comma or (comma is None and not doubtful) else None
    elif _GROUPED.fullmatch(plain) and not comma:
        value = re.sub(r"[,' ]", "", plain)
    elif _GROUPED_COMMA.fullmatch(plain):
        value = re.sub(r"[.' ]", "", plain).replace(",", ".")
    number = float(value) if value is not None else math.nan
    return number if math.isfinite(number) else None


def _pieces(text: str) -> Iterator[tuple[str, str, bool] | None]:
    """Yield (name, number, percent) of each piece; None for one that is not understood."""
    for piece in _CUT.split(text):
        part = piece.strip(" ,.") if not piece.strip().endswith("%") else piece.strip(" ,")
        if part:
            yield from _piece(part)


def _piece(part: str) -> Iterator[tuple[str, str, bool] | None]:
    match = _PAIR.fullmatch(part)
    if match and _is_name(match["name"], part[match.start("number") :], signed=bool(match["sign"].strip())):
        yield match["name"], match["number"], bool(match["percent"])
        return
    yield from _sequence(re.sub(r"\s*[:=]\s*", "=", part).replace(" %", "%").split(" "))


def _sequence(words: list[str]) -> Iterator[tuple[str, str, bool] | None]:
    """Read ``AUC 0.91 F1 88%``: several pairs with nothing between; the numbers have a point or percent sign."""
    name: list[str] = []
    for word in words:
        head, equals, tail = word.rpartition("=")
        if head:
            name.append(head)
        match = _TOKEN_NUMBER.fullmatch(tail)
        if not match:
            if equals:
                yield None
                return
            name.append(tail)
            continue
        title = " ".join(name)
        if not _is_name(title, tail, signed=bool(equals)) or not (equals or re.search("[.,%]", tail)):
            yield None
            return
        yield title, match[1], bool(match[2])
        name = []
    if name:
        yield None


def parse_metrics(text: str) -> Metrics | None:
    """Return the metrics that ``text`` names; None when any part of it is not understood."""
    bare = text.strip().strip("{}[]").replace('"', "").replace("\u2248", "=").replace("'", "")
    if not bare or len(bare) > _LONGEST:
        return None
    spaced = re.sub(r"[^\S\n]+", " ", bare.replace("\u00a0", " "))
    found = list(_pieces(spaced))
    pairs = [one for one in found if one is not None]
    if not pairs or len(pairs) != len(found):
        return None
    comma = True if any(_COMMAED.fullmatch(number.lower().strip()) for _, number, _ in pairs) else None
    values: dict[str, float] = {}
    percent = False
    for name, number, per_cent in pairs:
        key = metric_name(name)
        value = parse_number(number, comma=_decimal_comma(number, comma))
        if not key or value is None or values.get(key, value) != value:
            return None
        values[key] = _hundredth(value) if per_cent else value
        percent = percent or per_cent
    notes = (
        *(("percent read as a fraction of one",) if percent else ()),
        *(("the comma read as the decimal sign",) if comma else ()),
    )
    return Metrics(values=values, notes=notes)


def _decimal_comma(number: str, comma: bool | None) -> bool | None:
    """A doubtful comma (``1,234``) stays doubtful; a point beside decimal commas becomes so."""
    return None if "," in number else comma


def _hundredth(value: float) -> float:
    """Divide by 100 without leaving the decimal digits that were written: 88.1 % is 0.881."""
    return float(f"{value / 100:.15g}")


def metric_cell(cell: SheetCell, *, percent_header: bool) -> float | None:
    """Read a cell in a column of one metric; ``percent_header`` when the heading says that it counts in percent."""
    if isinstance(cell.value, bool):
        return None
    if isinstance(cell.value, int | float):
        value: float | None = float(cell.value)
        if percent_header and "%" not in cell.format:
            value = _hundredth(float(cell.value))
        return value if value is not None and math.isfinite(value) else None
    text = clean(shown(cell))
    value = parse_number(text.removesuffix("%"))
    if value is not None and (text.endswith("%") or percent_header):
        return _hundredth(value)
    return value
