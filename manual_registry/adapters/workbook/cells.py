"""The cells of one sheet, read from its part: the fast lane of ``scan.py`` as far as it goes, expat for the rest.

Rules held here: both lanes give the same values; what a cell, an area or a text may not be is refused where it is
met, with its place. Which parts there are is left to ``read.py``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from operator import eq, ge
from typing import Final

from manual_registry.adapters.workbook import scan
from manual_registry.adapters.workbook.errors import (
    Trouble,
    WorkbookDamaged,
    WorkbookForged,
    WorkbookOffGrid,
    WorkbookOverlong,
    WorkbookTooLarge,
)
from manual_registry.adapters.workbook.markup import ignore, parse
from manual_registry.adapters.workbook.places import (
    FAR_COLUMN,
    FAR_ROW,
    MAX_COLUMNS,
    MAX_ROWS,
    Area,
    area,
    place,
    position,
)
from manual_registry.adapters.workbook.text import CELL_LIMIT, Formula, from_file, number, overlong
from manual_registry.core.view import Cell

MAX_CELLS: Final = 5_000_000
MAX_MERGED: Final = 200_000
MANY_KINDS: Final = 10_000
STRINGS: Final = "xl/sharedStrings.xml"


#: A sheet may have thousands of links; nothing in them is a value.
_LINKS: Final = re.compile(
    rb"""(<hyperlinks(?:\s[^<>]*)?>)(?:<hyperlink(?:\s++[\w:]++=(?:"[^"<]*+"|'[^'<]*+'))*+\s*+/>)*+(?=</hyperlinks>)"""
)


@dataclass(kw_only=True, slots=True)
class Grid:
    """The cells of one sheet: row number -> column number -> value; positions count from 1.

    ``features`` are the names of the elements below ``worksheet``; ``formulas`` are the cells with a stored result,
    as (row, column); ``state`` is ``visible``, ``hidden`` or ``veryHidden``.
    """

    name: str
    part: str
    state: str = "visible"
    cells: dict[int, dict[int, Cell]] = field(default_factory=dict)
    features: set[str] = field(default_factory=set)
    formulas: set[tuple[int, int]] = field(default_factory=set)
    merged: list[Area] = field(default_factory=list)
    #: Row number -> first byte, first byte of its cells, end; empty where only expat could read the sheet.
    places: dict[int, tuple[int, int, int]] = field(default_factory=dict)


def strings_in(data: bytes) -> tuple[list[str], bool]:
    """Read the shared strings.

    Also tell whether any carries phonetic text (which is not part of the value).
    """
    fast = scan.strings_of(data)
    if fast is None:
        return _slow_strings(data)
    opening, texts, others = fast
    phonetic = False
    try:
        if b"_x" in data or b"\r" in data or max(map(len, texts)) * 2 > CELL_LIMIT:
            found = [_text(text, STRINGS) for text in texts]
        else:
            found = [text if "&" not in text else _text(text, STRINGS) for text in texts]
        if any(others):
            for at, other in enumerate(others):
                if other:
                    (found[at],), seen = _slow_strings(opening + b"<si>" + other.encode() + b"</si></sst>")
                    phonetic = phonetic or seen
    except scan.Odd:
        return _slow_strings(data)
    return found, phonetic


def _text(raw: str, where: str) -> str:
    """Return a text as it stands between tags as the value that it is."""
    if len(raw) * 2 > CELL_LIMIT:
        _check_length(scan.unescaped(raw), where)
    if "&" in raw or "\r" in raw or "_x" in raw:
        raw = from_file(scan.unescaped(raw.replace("\r\n", "\n").replace("\r", "\n")))
    return raw


def _check_length(text: str, where: str) -> None:
    if overlong(text):
        raise Trouble(WorkbookOverlong, f"has a cell with more than {CELL_LIMIT:,} characters", where)


def _slow_strings(data: bytes) -> tuple[list[str], bool]:
    found: list[str] = []
    pieces: list[str] = []
    state = {"t": False, "rPh": False, "seen": False}

    def start(name: str, _: dict[str, str]) -> None:
        if name == "rPh":
            state["rPh"] = state["seen"] = True
        elif name == "t":
            state["t"] = not state["rPh"]

    def end(name: str) -> None:
        if name == "si":
            text = "".join(pieces)
            _check_length(text, STRINGS)
            found.append(from_file(text))
            pieces.clear()
        elif name in state:
            state[name] = False

    parse(data, start, end, lambda text: pieces.append(text) if state["t"] else None)
    return found, state["seen"]


_DATES = frozenset({*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)})
_NOT_CODE = re.compile(r'"[^"]*"|\\.|\[(?!h+\]|m+\]|s+\])[^\]]*\]|_.|\*.', re.IGNORECASE)


def date_styles(data: bytes) -> frozenset[int]:
    """Return the cell styles (indices) that show a number as a date."""
    custom: set[int] = set()
    dates: set[int] = set()
    state = {"inside": False, "index": 0}

    def start(name: str, attributes: dict[str, str]) -> None:
        if name == "numFmt" and re.search(
            "[ymdhs]", _NOT_CODE.sub("", attributes.get("formatCode", "")), re.IGNORECASE
        ):
            custom.add(int(attributes.get("numFmtId", "0")))
        elif name == "cellXfs":
            state["inside"] = True
        elif name == "xf" and state["inside"]:
            code = int(attributes.get("numFmtId", "0"))
            if code in _DATES or code in custom:
                dates.add(state["index"])
            state["index"] += 1

    parse(data, start, lambda name: state.update(inside=False) if name == "cellXfs" else None, ignore)
    return frozenset(dates)


def _date(value: float, epoch: datetime) -> str:
    moment = epoch + timedelta(seconds=round(value * 86_400))
    return moment.strftime("%Y-%m-%d" if moment.time() == datetime.min.time() else "%Y-%m-%dT%H:%M:%S")


class Cells:
    """Builds a :class:`Grid` from one sheet part."""

    def __init__(self, grid: Grid, strings: list[str], dates: frozenset[int], epoch: datetime) -> None:
        self.grid, self.strings, self.dates, self.epoch = grid, strings, dates, epoch
        self.depth = self.row = self.column = self.count = self.style = 0
        self.kind = "n"
        self.collect: list[str] | None = None
        self.value: str | None = None
        self.formula: str | None = None
        self.inline: list[str] = []
        self.phonetic = False
        self._kinds: dict[tuple[str, ...], tuple[tuple[str, ...], tuple[int, ...]]] = {}
        self._last: tuple[tuple[str, ...], tuple[int, ...]] = ((), ())
        self.merged = 0

    def read(self, data: bytes) -> None:
        """Read a whole part, by the fast lane as far as it goes."""
        body = scan.body_of(data)
        if body is None or not scan.readable(data):
            parse(data, self.start, self.end, self.text)
            return
        start, end = body
        parse(data[:start] + _LINKS.sub(rb"\1", data[end:]), self.start, self.end, self.text)
        opening = data[data.find(b"<worksheet") : start]
        opening = opening[: opening.find(b">") + 1] + b"<sheetData>"
        try:
            for number_, first, cells, behind in scan.rows_of(data, start, end):
                if number_ > MAX_ROWS:
                    raise self._beyond(number_)
                self.grid.places[number_] = first, cells, behind
                try:
                    self._fast_row(number_, data[cells : behind - 6].decode() if cells < behind else "")
                except (scan.Odd, UnicodeDecodeError):
                    self._slow_row(opening + data[first:behind] + b"</sheetData></worksheet>")
        except scan.Odd:
            for found in (self.grid.cells, self.grid.places, self.grid.formulas, self.grid.features, self.grid.merged):
                found.clear()
            self.count = self.merged = self.depth = 0
            self.collect, self.phonetic = None, False
            parse(data, self.start, self.end, self.text)

    def _slow_row(self, row: bytes) -> None:
        try:
            parse(row, self.start, self.end, self.text)
        except Trouble as trouble:
            if trouble.kind is WorkbookDamaged:  # a comment may hold what looks like the end of a row
                raise scan.Odd from trouble
            raise

    def _fast_row(self, row: int, text: str) -> None:
        cells = scan.CELL.findall(text)
        if not cells:
            return
        places, attributes, inline, values, others, odd = zip(*cells, strict=True)
        if any(odd):
            raise scan.Odd
        columns = self._columns(places, row)
        kinds, styles = self._kinds.get(attributes) or self._kinds_of(attributes)
        found: dict[int, Cell] = {}
        if any(inline):
            found = {
                column: one
                for column, one, kind in zip(columns, inline, kinds, strict=True)
                if one and kind == "inlineStr"
            }
            if "&" in text or "\r" in text or "_x" in text or len(text) * 2 >= CELL_LIMIT:
                self._resolve(row, found)
        if any(values):
            for column, one, kind, style in zip(columns, values, kinds, styles, strict=True):
                if one and kind != "inlineStr":
                    cell = self.strings[int(one)] if kind == "s" else self._typed(scan.unescaped(one), kind, style)
                    if cell != "":
                        found[column] = cell
        if any(others):
            found |= {column: self._other(one, row, column) for column, one in zip(columns, others, strict=True) if one}
        if found:
            self._check(row, columns[-1])
            self.grid.cells[row] = found
        self._more(len(cells))

    def _resolve(self, row: int, found: dict[int, Cell]) -> None:
        """Turn texts as they stand between tags into what they say."""
        for column, raw in found.items():
            text = str(raw)
            if "&" in text or "\r" in text or "_x" in text or len(text) * 2 >= CELL_LIMIT:
                found[column] = _text(text, self._place(row, column))

    def _columns(self, places: tuple[str, ...], row: int) -> tuple[int, ...]:
        """Return the column numbers of a row's cells; most rows have cells in the same columns."""
        digits = str(row)
        letters_, columns = self._last
        if len(places) == len(letters_) and all(map(eq, places, [one + digits for one in letters_])):
            return columns
        letters_ = scan.letters_of(places, row)
        columns = tuple([position(one + "1")[1] for one in letters_])
        if any(map(ge, columns, columns[1:])):
            raise scan.Odd
        self._last = letters_, columns
        return columns

    def _kinds_of(self, attributes: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[int, ...]]:
        """Return types and styles of a row's cells; most rows have cells of the same kinds."""
        said = [scan.attributes_of(one) for one in attributes]
        kinds = tuple([one.get("t", "n") for one in said]), tuple([int(one.get("s", "0")) for one in said])
        if len(self._kinds) < MANY_KINDS:
            self._kinds[attributes] = kinds
        return kinds

    def _other(self, text: str, row: int, column: int) -> Cell:
        """Return the value of a cell that is no plain value: a formula, else :class:`scan.Odd`."""
        found = scan.FORMULA.fullmatch(text)
        if found is None:
            raise scan.Odd
        return self._calculated(scan.unescaped(found[1] or ""), found[2], row, column)

    def _place(self, row: int, column: int) -> str:
        return place(self.grid.name, row, column)

    def _beyond(self, row: int) -> Trouble:
        return Trouble(WorkbookOffGrid, "has a row beyond the grid", f"{self.grid.name}!{row}:{row}")

    def _check(self, row: int, column: int) -> None:
        """Refuse what lies at the far end of the grid."""
        if row > FAR_ROW or column > FAR_COLUMN:
            if row > MAX_ROWS or column > MAX_COLUMNS:
                raise Trouble(WorkbookOffGrid, "has a cell beyond the grid", self._place(row, column))
            raise Trouble(WorkbookOffGrid, "has a cell at the far end of the grid", self._place(row, column))

    def _more(self, count: int) -> None:
        self.count += count
        if self.count > MAX_CELLS:
            raise Trouble(WorkbookTooLarge, f"has more than {MAX_CELLS:,} cells on one sheet", self.grid.name)

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.depth += 1
        if name == "c":
            self._start_cell(attributes)
        elif name in {"v", "f", "t"}:
            self.collect = None if self.phonetic else []
        elif name == "row":
            self.row = int(attributes.get("r", self.row + 1))
            self.column = 0
            if not 0 < self.row <= MAX_ROWS:
                raise self._beyond(self.row)
        elif name == "rPh":
            self.phonetic = True
        elif name == "mergeCell":
            self._merge(attributes.get("ref", ""))
        elif self.depth == 2 or name == "extLst":
            self.grid.features.add(name)

    def _merge(self, reference: str) -> None:
        one = area(reference)
        self.merged += (one[2] - one[0] + 1) * (one[3] - one[1] + 1)
        if self.merged > MAX_MERGED:
            raise Trouble(WorkbookTooLarge, "has merged cells over too large an area", f"{self.grid.name}!{reference}")
        self.grid.merged.append(one)

    def _start_cell(self, attributes: dict[str, str]) -> None:
        reference = attributes.get("r")
        self.row, self.column = position(reference) if reference else (self.row, self.column + 1)
        self.kind, self.style = attributes.get("t", "n"), int(attributes.get("s", "0"))
        self.value = self.formula = None
        self.inline.clear()
        self._more(1)

    def text(self, text: str) -> None:
        if self.collect is not None:
            self.collect.append(text)

    def end(self, name: str) -> None:
        self.depth -= 1
        if name == "c":
            self._end_cell()
        elif name == "rPh":
            self.phonetic = False
        elif self.collect is not None and name in {"v", "f", "t"}:
            collected = "".join(self.collect)
            self.collect = None
            if name == "v":
                self.value = collected
            elif name == "f":
                self.formula = collected
            else:
                self.inline.append(collected)

    def _end_cell(self) -> None:
        found = self._value()
        if found is not None and found != "":
            self._check(self.row, self.column)
            cells = self.grid.cells.setdefault(self.row, {})
            if self.column in cells:
                raise Trouble(WorkbookForged, "holds a cell twice", self._place(self.row, self.column))
            cells[self.column] = found

    def _value(self) -> Cell:
        if self.formula is not None:
            return self._calculated(self.formula, self.value, self.row, self.column)
        if self.kind == "inlineStr":
            text = "".join(self.inline)
            _check_length(text, self._place(self.row, self.column))
            return from_file(text)
        return self._typed(self.value, self.kind, self.style) if self.value else None

    def _calculated(self, formula: str, value: str | None, row: int, column: int) -> Cell:
        # LibreOffice writes booleans back as formulas.
        constant = {"TRUE()": True, "FALSE()": False}.get(formula.upper().removeprefix("OF:=").removeprefix("="))
        if constant is not None:
            return constant
        if value:
            self.grid.formulas.add((row, column))
        return Formula("=" + formula)

    def _typed(self, text: str, kind: str, style: int) -> Cell:
        if kind == "s":
            return self.strings[int(text)]
        if kind == "n":
            value = float(text)
            return _date(value, self.epoch) if style in self.dates else number(value)
        if kind == "b":
            return text.strip() in {"1", "true"}
        _check_length(text, self._place(self.row, self.column))
        return from_file(text)
