"""Our own guarded reader of SpreadsheetML: cells with their positions, formulas flagged, features noted.

Rules held here: no document type, no entity, bounded depth and cell count; a cell at XFD1048576 costs one
entry. It reads values only (openpyxl is needed for none of it) and notes which elements each sheet has, so
that ``losses.py`` can say what a save with openpyxl would drop. What a cell means is left to ``compare.py``.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from posixpath import join, normpath
from typing import Final, TypeAlias
from xml.parsers import expat

from manual_registry.adapters.workbook.package import (
    RENDERING,
    Entries,
    entries_of,
    fingerprint,
    opened,
    properties,
    unreadable,
)
from manual_registry.adapters.workbook.text import Formula, from_file, number
from manual_registry.core.view import Cell

MAX_CELLS: Final = 5_000_000
MAX_DEPTH: Final = 64
Start: TypeAlias = Callable[[str, dict[str, str]], None]


@dataclass(kw_only=True, slots=True)
class Grid:
    """The cells of one sheet: row number -> column number -> value; positions count from 1.

    ``features`` are the names of the elements below ``worksheet``, and ``cached-formula`` cells as (row,
    column).
    """

    name: str
    part: str
    cells: dict[int, dict[int, Cell]] = field(default_factory=dict)
    features: set[str] = field(default_factory=set)
    formulas: set[tuple[int, int]] = field(default_factory=set)


@dataclass(frozen=True, kw_only=True, slots=True)
class Book:
    """A workbook as read.

    ``untouched``: part for part as we rendered it. Else: properties, sheets by name in their order, size and
    checksum of each part.
    """

    properties: dict[str, str]
    grids: dict[str, Grid]
    entries: Entries
    untouched: bool
    phonetic: bool


class _Refused(Exception):
    """Something that a workbook does not hold: entities, or too much of anything."""


def _parse(data: bytes, start: Start, end: Callable[[str], None], text: Callable[[str], None]) -> None:
    """Run expat with local names (the element's namespace is dropped) and without entities."""
    depth = 0
    local: dict[str, str] = {}

    def on_start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > MAX_DEPTH:
            raise _Refused("elements are nested too deep")
        short = local.get(name) or local.setdefault(name, name.rpartition(" ")[2])
        start(short, attributes)

    def on_end(name: str) -> None:
        nonlocal depth
        depth -= 1
        end(local[name])

    def refuse(*_: object) -> None:
        raise _Refused("it declares a document type")

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = on_start, on_end, text
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    parser.Parse(data, True)


def _ignore(*_: object) -> None:
    """Stand in for a handler that has nothing to do."""


def _strings(data: bytes) -> tuple[list[str], bool]:
    """Read the shared strings.

    Also tell whether any carries phonetic text (which is not part of the value).
    """
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
            found.append(from_file("".join(pieces)))
            pieces.clear()
        elif name in state:
            state[name] = False

    _parse(data, start, end, lambda text: pieces.append(text) if state["t"] else None)
    return found, state["seen"]


_DATES = frozenset({*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)})
_NOT_CODE = re.compile(r'"[^"]*"|\\.|\[(?!h+\]|m+\]|s+\])[^\]]*\]|_.|\*.', re.IGNORECASE)


def _date_styles(data: bytes) -> frozenset[int]:
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

    _parse(data, start, lambda name: state.update(inside=False) if name == "cellXfs" else None, _ignore)
    return frozenset(dates)


def _date(value: float, epoch: datetime) -> str:
    moment = epoch + timedelta(seconds=round(value * 86_400))
    return moment.strftime("%Y-%m-%d" if moment.time() == datetime.min.time() else "%Y-%m-%dT%H:%M:%S")


def position(reference: str) -> tuple[int, int]:
    """Turn ``H12`` into (12, 8)."""
    column = row = 0
    for character in reference:
        if character.isdigit():
            row = row * 10 + int(character)
        else:
            column = column * 26 + ord(character.upper()) - 64
    return row, column


class _Cells:
    """Builds a :class:`Grid` from the events of one sheet part."""

    def __init__(self, grid: Grid, strings: list[str], dates: frozenset[int], epoch: datetime) -> None:
        self.grid, self.strings, self.dates, self.epoch = grid, strings, dates, epoch
        self.depth = self.row = self.column = self.count = self.style = 0
        self.kind = "n"
        self.collect: list[str] | None = None
        self.value: str | None = None
        self.formula: str | None = None
        self.inline: list[str] = []
        self.phonetic = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.depth += 1
        if name == "c":
            self._start_cell(attributes)
        elif name in {"v", "f", "t"}:
            self.collect = None if self.phonetic else []
        elif name == "row":
            self.row = int(attributes.get("r", self.row + 1))
            self.column = 0
        elif name == "rPh":
            self.phonetic = True
        elif self.depth == 2 or name == "extLst":
            self.grid.features.add(name)

    def _start_cell(self, attributes: dict[str, str]) -> None:
        place = attributes.get("r")
        self.row, self.column = position(place) if place else (self.row, self.column + 1)
        self.kind, self.style = attributes.get("t", "n"), int(attributes.get("s", "0"))
        self.value = self.formula = None
        self.inline.clear()
        self.count += 1
        if self.count > MAX_CELLS:
            raise _Refused(f"more than {MAX_CELLS:,} cells")

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
            self.grid.cells.setdefault(self.row, {})[self.column] = found

    def _value(self) -> Cell:
        if self.formula is not None:
            # LibreOffice writes booleans back as formulas.
            constant = {"TRUE()": True, "FALSE()": False}.get(
                self.formula.upper().removeprefix("OF:=").removeprefix("=")
            )
            if constant is not None:
                return constant
            if self.value:
                self.grid.formulas.add((self.row, self.column))
            return Formula("=" + self.formula)
        if self.kind == "inlineStr":
            return from_file("".join(self.inline))
        if not self.value:
            return None
        return self._typed(self.value)

    def _typed(self, text: str) -> Cell:
        if self.kind == "s":
            return self.strings[int(text)]
        if self.kind == "n":
            value = float(text)
            return _date(value, self.epoch) if self.style in self.dates else number(value)
        return text.strip() in {"1", "true"} if self.kind == "b" else from_file(text)


def _relations(data: bytes) -> dict[str, str]:
    """Return relation id -> part name of the workbook's relations."""
    found: dict[str, str] = {}

    def start(name: str, attributes: dict[str, str]) -> None:
        if name == "Relationship":
            target = attributes.get("Target", "")
            found[attributes.get("Id", "")] = (
                target[1:] if target.startswith("/") else normpath(join("xl", target))
            )

    _parse(data, start, _ignore, _ignore)
    return found


def _sheets(data: bytes) -> tuple[dict[str, str], datetime]:
    """Return sheet name -> relation id in their order, and the day from which dates count."""
    found: dict[str, str] = {}
    epoch = [datetime(1899, 12, 30)]

    def start(name: str, attributes: dict[str, str]) -> None:
        if name == "workbookPr" and attributes.get("date1904", "0") in {"1", "true"}:
            epoch[0] = datetime(1904, 1, 1)
        elif name == "sheet":
            relation = next((text for key, text in attributes.items() if key.endswith(" id")), "")
            found[attributes.get("name", "")] = relation

    _parse(data, start, _ignore, _ignore)
    return found, epoch[0]


def _read(archive: zipfile.ZipFile, name: str) -> Book:
    parts = frozenset(archive.namelist())
    sheets, epoch = _sheets(archive.read("xl/workbook.xml"))
    relations = _relations(archive.read("xl/_rels/workbook.xml.rels"))
    strings, phonetic = (
        _strings(archive.read("xl/sharedStrings.xml")) if "xl/sharedStrings.xml" in parts else ([], False)
    )
    dates = _date_styles(archive.read("xl/styles.xml")) if "xl/styles.xml" in parts else frozenset()
    grids: dict[str, Grid] = {}
    for title, relation in sheets.items():
        part = relations.get(relation, "")
        grid = Grid(name=title, part=part)
        if part in parts and part.startswith("xl/worksheets/"):
            cells = _Cells(grid, strings, dates, epoch)
            _parse(archive.read(part), cells.start, cells.end, cells.text)
        grids[title] = grid
    custom, entries = properties(archive, name), entries_of(archive)
    return Book(
        properties=custom,
        grids=grids,
        entries=entries,
        untouched=custom.get(RENDERING) == fingerprint(entries),
        phonetic=phonetic,
    )


def read_book(data: bytes, name: str) -> Book:
    """Read a whole workbook from its bytes; raises ``WorkbookUnreadable`` for all that is wrong with it."""
    import io

    with opened(io.BytesIO(data), name) as archive:
        try:
            return _read(archive, name)
        except (expat.ExpatError, IndexError, OverflowError, _Refused) as broken:
            raise unreadable(name, f"is damaged ({broken})") from broken
