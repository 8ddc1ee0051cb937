"""Edits of a workbook as people make them: cells named by row id and heading, by openpyxl, raw XML or LibreOffice."""

from __future__ import annotations

import re
import shutil
import subprocess
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openpyxl

from manual_registry.core.syncing import Outcome
from manual_registry.registry import Registry
from manual_registry.registry.synced import Synced

OFFICE = shutil.which("soffice")


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Open a workbook with openpyxl, and save it at the end."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        book = openpyxl.load_workbook(path)
        yield book
        book.save(path)


def heading_row(sheet: Any) -> int:
    """Return the row of the headings."""
    return next(row for row in range(1, 60) if any(cell.value == "Row id" for cell in sheet[row]))


def columns(sheet: Any) -> dict[str, int]:
    """Return heading -> column number."""
    return {str(cell.value): cell.column for cell in sheet[heading_row(sheet)] if cell.value is not None}


def row_of(sheet: Any, row_id: str) -> int:
    """Return the first row with an id."""
    at = columns(sheet)["Row id"]
    return next(row for row in range(heading_row(sheet) + 1, sheet.max_row + 1) if sheet.cell(row, at).value == row_id)


def edit(path: Path, changes: Mapping[tuple[str, str, str], Any]) -> None:
    """Set cells: (sheet, row id, heading) -> value."""
    with opened(path) as book:
        for (sheet, row_id, heading), value in changes.items():
            found = book[sheet]
            found.cell(row_of(found, row_id), columns(found)[heading]).value = value


def cell(path: Path, sheet: str, row_id: str, heading: str) -> Any:
    """Read one cell."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = openpyxl.load_workbook(path)[sheet]
    return found.cell(row_of(found, row_id), columns(found)[heading]).value


def table(path: Path, sheet: str = "Models") -> dict[str, dict[str, Any]]:
    """Read the rows of a sheet by row id."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = openpyxl.load_workbook(path)[sheet]
    places = columns(found)
    rows: dict[str, dict[str, Any]] = {}
    for row in range(heading_row(found) + 1, found.max_row + 1):
        row_id = found.cell(row, places["Row id"]).value
        if row_id:
            rows[str(row_id)] = {name: found.cell(row, at).value for name, at in places.items()}
    return rows


def type_row(path: Path, values: Mapping[str, Any], *, sheet: str = "Models") -> int:
    """Type a row below the last one; returns its number."""
    with opened(path) as book:
        found = book[sheet]
        places = columns(found)
        last = max(
            row
            for row in range(heading_row(found), found.max_row + 1)
            if any(found.cell(row, at).value is not None for at in places.values())
        )
        for heading, value in values.items():
            found.cell(last + 1, places[heading]).value = value
    return int(last + 1)


def cell_at(path: Path, row: int, heading: str, *, sheet: str = "Models") -> Any:
    """Read a cell by its row number."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = openpyxl.load_workbook(path)[sheet]
    return found.cell(row, columns(found)[heading]).value


def delete_rows(path: Path, sheet: str, *row_ids: str) -> None:
    """Delete rows as a spreadsheet does: what is below moves up (openpyxl would leave the links behind)."""
    with opened(path) as book:
        found = book[sheet]
        for row in found.iter_rows():
            for one in row:
                one.hyperlink = None
        found._hyperlinks = []
        for row_id in row_ids:
            found.delete_rows(row_of(found, row_id))


Order = Callable[[list[list[Any]]], list[list[Any]]]


def reorder(path: Path, order: Order, *, sheet: str = "Models", width: int | None = None) -> None:
    """Put the values of the rows in another order; ``width``: of the first so many columns only (a partial sort)."""
    with opened(path) as book:
        found = book[sheet]
        top, last = heading_row(found) + 1, found.max_row
        right = width or found.max_column
        values = [[found.cell(row, column).value for column in range(1, right + 1)] for row in range(top, last + 1)]
        for row, cells in enumerate(order(values), top):
            for column, value in enumerate(cells, 1):
                found.cell(row, column).value = value


def raw(path: Path, part: str, change: Callable[[str], str]) -> None:
    """Change the XML of one part, as a program of one's own would."""
    with zipfile.ZipFile(path) as archive:
        parts = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    before = parts[part].decode()
    parts[part] = change(before).encode()
    assert parts[part].decode() != before, "the change did nothing"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)


def without_properties(path: Path) -> None:
    """Take away what names registry and head."""
    raw(path, "docProps/custom.xml", lambda text: re.sub(r"<property .*</property>", "", text, flags=re.DOTALL))


def by_office(path: Path, place: Path) -> None:
    """Open and save with LibreOffice."""
    target = place / "out"
    command = [str(OFFICE), f"-env:UserInstallation=file://{place}/profile", "--headless", "--convert-to", "xlsx"]
    subprocess.run([*command, "--outdir", str(target), str(path)], check=True, capture_output=True, timeout=180)
    path.write_bytes((target / path.name).read_bytes())


LISTS = ("registered", "accepted", "requested", "filled", "restored", "pending", "problems")


def counts(done: Synced | Outcome) -> dict[str, int]:
    """Return how many lines each list has, those without left out."""
    outcome = done.outcome if isinstance(done, Synced) else done
    return {name: len(getattr(outcome, name)) for name in LISTS if getattr(outcome, name)}


def messages(done: Synced, name: str) -> str:
    """Return the lines of one list as one text."""
    return "\n".join(item.message for item in getattr(done.outcome, name))


def nothing(registry: Registry) -> bool:
    """Tell whether a sync has nothing to do: no line, no event, no byte changed."""
    path, head = registry.root / "registry.xlsx", registry.head
    before = path.read_bytes()
    done = registry.sync()
    return counts(done) == {} and registry.head == head and path.read_bytes() == before
