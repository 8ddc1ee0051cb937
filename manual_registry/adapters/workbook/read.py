"""Our own guarded reader of SpreadsheetML: cells with their positions, formulas flagged, features noted.

Rules held here: no document type, no entity, bounded depth and cell count, nothing beyond the grid; a cell far out
costs one entry. It reads values only (openpyxl is needed for none of it) and notes which elements each sheet has, so
that ``losses.py`` can say what a save with openpyxl would drop. What a cell means is left to ``compare.py``.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from posixpath import dirname, join, normpath
from typing import Final, TypeVar

from manual_registry.adapters.workbook.cells import STRINGS, Cells, Grid, date_styles, strings_in
from manual_registry.adapters.workbook.errors import Trouble, WorkbookDamaged, WorkbookForged
from manual_registry.adapters.workbook.markup import ignore, parse
from manual_registry.adapters.workbook.package import (
    CUSTOM,
    RENDERING,
    WORKBOOK,
    Entries,
    entries_of,
    fingerprint,
    member,
    opened,
    properties,
)

T = TypeVar("T")
EPOCH: Final = datetime(1899, 12, 30)


@dataclass(frozen=True, kw_only=True, slots=True)
class Book:
    """A workbook as read.

    ``untouched``: part for part as we rendered it. ``macros``: the workbook says that it holds macros. Else:
    properties, sheets by name in their order, size and checksum of each part, bytes of the sheets that were read.
    """

    name: str
    properties: dict[str, str]
    grids: dict[str, Grid]
    entries: Entries
    untouched: bool
    phonetic: bool
    macros: bool
    raw: dict[str, bytes]


def relations(data: bytes, base: str = "xl") -> dict[str, tuple[str, str]]:
    """Return relation id -> (kind, part name or outer target) of a part's relations; ``base`` is its folder."""
    found: dict[str, tuple[str, str]] = {}

    def start(name: str, attributes: dict[str, str]) -> None:
        if name == "Relationship":
            target, kind = attributes.get("Target", ""), attributes.get("Type", "").rpartition("/")[2]
            if attributes.get("TargetMode") != "External":
                target = target[1:] if target.startswith("/") else normpath(join(base, target))
            found[attributes.get("Id", "")] = kind, target

    parse(data, start, ignore, ignore)
    return found


_TIE: Final = re.compile(rb'/(table|pivotTable)"')


def ties(data: bytes) -> list[tuple[str, str]]:
    """Return (kind, part name) of a sheet's tables and pivot tables; it may have thousands of links beside them."""
    if b"<!" not in data:
        spots = [(data.rfind(b"<", 0, found.start()), data.find(b">", found.end())) for found in _TIE.finditer(data)]
        wanted = b"".join(data[start : end + 1] for start, end in spots)
        data = data[: data.index(b"<Relationships")] + b"<Relationships>" + wanted + b"</Relationships>"
    kinds = {"table", "pivotTable"}
    return [one for one in relations(data, "xl/worksheets").values() if one[0] in kinds]


def relations_part(part: str) -> str:
    """Name the part that holds the relations of ``part``."""
    return f"{dirname(part)}/_rels/{part.rpartition('/')[2]}.rels"


def _sheets(data: bytes) -> tuple[dict[str, tuple[str, str]], datetime]:
    """Return sheet name -> (relation id, state) in their order, and the day from which dates count."""
    found: dict[str, tuple[str, str]] = {}
    epoch = [EPOCH]

    def start(name: str, attributes: dict[str, str]) -> None:
        if name == "workbookPr" and attributes.get("date1904", "0") in {"1", "true"}:
            epoch[0] = datetime(1904, 1, 1)
        elif name == "sheet":
            relation = next((text for key, text in attributes.items() if key.endswith(" id")), "")
            title = attributes.get("name", "")
            if title in found:
                raise Trouble(WorkbookForged, f"has two sheets named {title}", title)
            found[title] = relation, attributes.get("state", "visible")

    parse(data, start, ignore, ignore)
    return found, epoch[0]


def _macros(data: bytes) -> bool:
    """Tell whether the types of the parts say that this is an .xlsm (whatever the file is called)."""
    found = [False]

    def start(_: str, attributes: dict[str, str]) -> None:
        if attributes.get("PartName") == "/" + WORKBOOK and "macroenabled" in attributes.get("ContentType", "").lower():
            found[0] = True

    parse(data, start, ignore, ignore)
    return found[0]


@contextmanager
def _within(part: str) -> Iterator[None]:
    """Let what goes wrong in here name the part."""
    try:
        yield
    except Trouble as trouble:
        trouble.place = trouble.place or part
        raise
    except (ValueError, IndexError, OverflowError) as broken:
        raise Trouble(WorkbookDamaged, f"is damaged ({broken})", part) from broken


def _read(archive: zipfile.ZipFile, name: str, only: frozenset[str] | None) -> Book:
    parts = frozenset(archive.namelist())

    def taken(part: str, read: Callable[[bytes], T], missing: T) -> T:
        with _within(part):
            return read(member(archive, part)) if part in parts else missing

    nothing: dict[str, tuple[str, str]] = {}
    no_strings: tuple[list[str], bool] = ([], False)
    no_dates: frozenset[int] = frozenset()
    sheets, epoch = taken(WORKBOOK, _sheets, (nothing, EPOCH))
    targets = taken(f"xl/_rels/{WORKBOOK[3:]}.rels", relations, nothing)
    strings, phonetic = taken(STRINGS, strings_in, no_strings)
    dates = taken("xl/styles.xml", date_styles, no_dates)
    lacking = only is not None and not only - {*_OPTIONAL} <= sheets.keys()
    grids: dict[str, Grid] = {}
    raw: dict[str, bytes] = {}
    for title, (relation, state) in sheets.items():
        part = targets.get(relation, ("", ""))[1]
        grids[title] = grid = Grid(name=title, part=part, state=state)
        if not part.startswith("xl/worksheets/") or part not in parts:
            continue
        if only is not None and title not in only:
            if lacking:
                _try(grid, part, archive, Cells(grid, strings, dates, epoch), raw)
        else:
            with _within(part):
                raw[part] = member(archive, part)
                Cells(grid, strings, dates, epoch).read(raw[part])
    with _within(CUSTOM):
        custom, entries = properties(archive), entries_of(archive)
    return Book(
        name=name,
        properties=custom,
        grids=grids,
        entries=entries,
        untouched=custom.get(RENDERING) == fingerprint(entries),
        phonetic=phonetic,
        macros=taken("[Content_Types].xml", _macros, False),
        raw=raw,
    )


#: Sheets of the tool's that hold no rows of the register.
_OPTIONAL: Final = frozenset({"Read me", "_choices"})


def _try(grid: Grid, part: str, archive: zipfile.ZipFile, cells: Cells, raw: dict[str, bytes]) -> None:
    """Read a sheet that may be one of ours under a name that a person gave it; what cannot be read is none."""
    with suppress(Trouble, ValueError, IndexError, OverflowError):
        data = member(archive, part)
        cells.read(data)
        raw[part] = data
        return
    grid.cells.clear()
    grid.places.clear()


def read_book(data: bytes, name: str, only: frozenset[str] | None = None) -> Book:
    """Read a workbook from its bytes; of the sheets, cells and features of those in ``only`` (None: of all).

    Where one of those is missing, the others are read as well: it may have been renamed.

    Raises ``WorkbookUnreadable`` for all that is wrong with it.
    """
    with opened(io.BytesIO(data), name) as archive:
        if f"xl/_rels/{WORKBOOK[3:]}.rels" not in archive.NameToInfo:
            raise Trouble(WorkbookDamaged, "is damaged (it does not say where its sheets are)")
        return _read(archive, name, only)
