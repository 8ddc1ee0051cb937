"""A team's .xlsx (or .xlsm) as sheets of cells with what a person sees: number formats, merges, comments, links,
hidden.

Rules held here: the guarded reader of ``adapters/workbook`` accepts the file first (size, entries, entities, corners);
then the same parts are read once more for what it leaves out. Nothing is computed, opened or followed: formulas give
their stored result, links are texts.
"""

from __future__ import annotations

import io
import re
import zipfile
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from posixpath import dirname, join, normpath
from typing import Final, Literal, TypeAlias

from manual_registry.adapters.adoption.formats import is_date_format, read_formats
from manual_registry.adapters.adoption.xml import events
from manual_registry.adapters.workbook.package import REGISTRY_ID, WORKBOOK, member, opened
from manual_registry.adapters.workbook.places import position
from manual_registry.adapters.workbook.read import read_book
from manual_registry.adapters.workbook.text import from_file, number
from manual_registry.core.adoption.cells import CellValue, SheetCell, SheetGrid
from manual_registry.core.adoption.dates import from_serial

_THREAD: Final = re.compile(r"\[Threaded comment\].*?Comment:\s*", re.DOTALL)
_STRINGS: Final = "xl/sharedStrings.xml"
_STYLES: Final = "xl/styles.xml"
_MOST_LINKS: Final = 100_000
#: Repeating merged values stops here; a sheet merges a few hundred cells.
_MOST_MERGES: Final = 20_000

Relations: TypeAlias = "dict[str, tuple[str, str, bool]]"


@dataclass(frozen=True, kw_only=True, slots=True)
class Sheets:
    """A spreadsheet as read; ``own`` True for a workbook that this tool rendered."""

    grids: tuple[SheetGrid, ...]
    system_1904: bool = False
    own: bool = False


def read_xlsx(data: bytes, name: str) -> Sheets:
    """Read a whole workbook; raises ``WorkbookUnreadable`` for all that is wrong with it."""
    guarded = read_book(data, name)
    with opened(io.BytesIO(data), name) as archive:
        sheets = _Workbook(archive).read()
    return replace(sheets, own=REGISTRY_ID in guarded.properties)


@dataclass(kw_only=True, slots=True)
class _Raw:
    """One sheet on the way: cells, and what is said about them elsewhere in the sheet."""

    cells: dict[int, dict[int, SheetCell]] = field(default_factory=dict)
    uncomputed: set[tuple[int, int]] = field(default_factory=set)
    hidden_rows: set[int] = field(default_factory=set)
    hidden_columns: list[tuple[int, int]] = field(default_factory=list)
    merges: list[tuple[int, int, int, int]] = field(default_factory=list)
    links: dict[tuple[int, int], str] = field(default_factory=dict)


class _Workbook:
    def __init__(self, archive: zipfile.ZipFile) -> None:
        self.archive = archive
        self.parts = frozenset(archive.namelist())
        self.strings = _strings(self._part(_STRINGS)) if _STRINGS in self.parts else []
        self.formats = read_formats(self._part(_STYLES)) if _STYLES in self.parts else ()

    def _part(self, name: str) -> bytes:
        return member(self.archive, name)

    def read(self) -> Sheets:
        listed, system_1904 = _listed(self._part(WORKBOOK))
        relations = self._relations(WORKBOOK)
        grids = []
        for name, relation, hidden in listed:
            part = relations.get(relation, ("", "", True))[0]
            if part in self.parts and part.startswith("xl/worksheets/"):
                grids.append(self._sheet(name, part, hidden, system_1904))
        return Sheets(grids=tuple(grids), system_1904=system_1904)

    def _relations(self, part: str) -> Relations:
        """Return id -> (target, kind, inside the file)."""
        name = join(dirname(part), "_rels", part.rpartition("/")[2] + ".rels")
        found: Relations = {}

        def start(tag: str, attributes: dict[str, str]) -> None:
            if tag == "Relationship":
                target, inside = attributes.get("Target", ""), attributes.get("TargetMode") != "External"
                if inside:
                    target = target[1:] if target.startswith("/") else normpath(join(dirname(part), target))
                found[attributes.get("Id", "")] = (target, attributes.get("Type", "").rpartition("/")[2], inside)

        if name in self.parts:
            events(self._part(name), start=start)
        return found

    def _sheet(self, name: str, part: str, hidden: bool, system_1904: bool) -> SheetGrid:
        relations = self._relations(part)
        raw = _SheetReader(self.strings, self.formats, relations, system_1904).read(self._part(part))
        for target, kind, inside in relations.values():
            if kind == "comments" and inside and target in self.parts:
                _add(raw, _comments(self._part(target)), "comment")
        _add(raw, raw.links, "link")
        _merge(raw)
        used = {column for cells in raw.cells.values() for column in cells}
        return SheetGrid(
            name=name,
            cells=raw.cells,
            hidden=hidden,
            hidden_rows=frozenset(raw.hidden_rows),
            hidden_columns=frozenset(
                one for one in used if any(low <= one <= high for low, high in raw.hidden_columns)
            ),
            uncomputed=frozenset(raw.uncomputed),
        )


def _strings(data: bytes) -> list[str]:
    found: list[str] = []
    pieces: list[str] = []

    def end(tag: str, text: str) -> None:
        if tag == "t":
            pieces.append(text)
        elif tag == "rPh":
            pieces.pop() if pieces else None  # how it is spoken is no part of the value
        elif tag == "si":
            found.append(from_file("".join(pieces)))
            pieces.clear()

    events(data, end=end, texts=frozenset({"t"}))
    return found


def _listed(data: bytes) -> tuple[list[tuple[str, str, bool]], bool]:
    """Return (name, relation, hidden) of each sheet, and whether dates count from 1904."""
    found: list[tuple[str, str, bool]] = []
    from_1904 = False

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal from_1904
        if tag == "workbookPr":
            from_1904 = attributes.get("date1904", "0") in ("1", "true")
        elif tag == "sheet":
            relation = next((text for key, text in attributes.items() if key.endswith(" id")), "")
            hidden = attributes.get("state", "visible") != "visible"
            found.append((attributes.get("name", ""), relation, hidden))

    events(data, start=start)
    return found, from_1904


class _SheetReader:
    """Collects one sheet part."""

    def __init__(self, strings: list[str], formats: tuple[str, ...], relations: Relations, system_1904: bool) -> None:
        self.strings, self.formats, self.relations, self.system_1904 = strings, formats, relations, system_1904
        self.raw = _Raw()
        self.row = self.column = 0
        self.attributes: dict[str, str] = {}
        self.value = ""
        self.inline: list[str] = []
        self.formula = False

    def read(self, data: bytes) -> _Raw:
        events(data, start=self._start, end=self._end, texts=frozenset({"v", "f", "t"}))
        return self.raw

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        match tag:
            case "row":
                self.row, self.column = int(attributes.get("r", self.row + 1)), 0
                if attributes.get("hidden") in ("1", "true"):
                    self.raw.hidden_rows.add(self.row)
            case "c":
                place = attributes.get("r")
                self.row, self.column = position(place) if place else (self.row, self.column + 1)
                self.attributes, self.value, self.formula = attributes, "", False
                self.inline.clear()
            case "f":
                self.formula = True
            case "col" if attributes.get("hidden") in ("1", "true"):
                self.raw.hidden_columns.append((int(attributes.get("min", 0)), int(attributes.get("max", 0))))
            case "mergeCell" if len(self.raw.merges) < _MOST_MERGES:
                self._merged(attributes.get("ref", ""))
            case "hyperlink" if len(self.raw.links) < _MOST_LINKS:
                self._linked(attributes)

    def _merged(self, reference: str) -> None:
        first, _, last = reference.partition(":")
        if last:
            self.raw.merges.append((*position(first), *position(last)))

    def _linked(self, attributes: dict[str, str]) -> None:
        relation = next((text for key, text in attributes.items() if key.endswith(" id")), "")
        target, _, inside = self.relations.get(relation, ("", "", True))
        if target and not inside:
            self.raw.links[position(attributes.get("ref", "").partition(":")[0])] = target

    def _end(self, tag: str, text: str) -> None:
        if tag == "v":
            self.value = text
        elif tag == "t":
            self.inline.append(text)
        elif tag == "rPh":
            self.inline[-1:] = []
        elif tag == "c":
            self._cell()

    def _cell(self) -> None:
        code = self._format()
        value = self._value(code)
        if value is None or value == "":
            if self.formula and not self.value:
                self.raw.uncomputed.add((self.row, self.column))
            return
        self.raw.cells.setdefault(self.row, {})[self.column] = SheetCell(value=value, format=code, formula=self.formula)

    def _format(self) -> str:
        index = int(self.attributes.get("s", "0"))
        return self.formats[index] if 0 <= index < len(self.formats) else "General"

    def _value(self, code: str) -> CellValue | None:
        kind = self.attributes.get("t", "n")
        if kind == "inlineStr":
            return from_file("".join(self.inline))
        if not self.value:
            return None
        if kind == "s":
            return self.strings[int(self.value)]
        if kind == "b":
            return self.value.strip() in ("1", "true")
        if kind == "d":
            return _iso(self.value)
        return _number(self.value, code, self.system_1904) if kind == "n" else from_file(self.value)


def _iso(text: str) -> CellValue:
    try:
        return datetime.fromisoformat(text.strip()).replace(tzinfo=None)
    except ValueError:
        return text


def _number(text: str, code: str, system_1904: bool) -> CellValue:
    value = float(text)
    if is_date_format(code) and 0 <= value < 2_958_466:
        return from_serial(value, system_1904=system_1904)
    return number(value)


def _comments(data: bytes) -> dict[tuple[int, int], str]:
    """Return the comments by position; of a threaded one, what the person wrote."""
    found: dict[tuple[int, int], str] = {}
    pieces: list[str] = []
    at: list[str] = []

    def start(tag: str, attributes: dict[str, str]) -> None:
        if tag == "comment":
            at[:] = [attributes.get("ref", "")]
            pieces.clear()

    def end(tag: str, text: str) -> None:
        if tag == "t":
            pieces.append(text)
        elif tag == "comment" and at:
            said = _THREAD.sub("", from_file("".join(pieces))).strip()
            if said:
                found[position(at[0])] = said

    events(data, start=start, end=end, texts=frozenset({"t"}))
    return found


def _add(raw: _Raw, found: Mapping[tuple[int, int], str], what: Literal["comment", "link"]) -> None:
    for (row, column), text in found.items():
        cell = raw.cells.get(row, {}).get(column)
        if cell is not None:
            raw.cells[row][column] = replace(cell, comment=text) if what == "comment" else replace(cell, link=text)
        elif what == "comment":
            raw.cells.setdefault(row, {})[column] = SheetCell(value="", comment=text)


def _merge(raw: _Raw) -> None:
    """Repeat a merged range's value in the rows that it covers (those that hold anything), and across its columns."""
    rows = sorted(raw.cells)
    repeated = 0
    for top, left, bottom, right in raw.merges:
        cell = raw.cells.get(top, {}).get(left)
        if cell is None:
            continue
        for row in rows[bisect_right(rows, top - 1) : bisect_right(rows, bottom)]:
            for column in range(left, min(right, left + 63) + 1):
                if (row, column) == (top, left) or repeated > 100 * _MOST_MERGES:
                    continue
                across = column > left
                raw.cells[row].setdefault(column, replace(cell, merged="across" if across else "down", comment=None))
                repeated += 1
