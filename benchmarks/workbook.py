"""The speed rows of the workbook, side by side with openpyxl in one run, as CPU seconds.

    python benchmarks/workbook.py [--rows 10000] [--large 50000] [--runs 3]

1. One cell changed among 10,000 rows of 30 columns: reading, comparing with the base and writing, against openpyxl's
   load and save of the same file. At most a tenth of it.
2. The same among 50,000 rows: under three seconds.
3. Ten thousand edited rows read back as differences: under 2.5 seconds.

Each with the file as the tool writes it, and (``by openpyxl``) with shared strings, as spreadsheet programs save it.
"""

from __future__ import annotations

import argparse
import gc
import io
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from manual_registry.adapters.workbook import OpenpyxlWorkbook
from manual_registry.adapters.workbook.render import render_bytes
from manual_registry.core.view import Column, ColumnKind, Row, Sheet, View

COLUMNS = 30
BOOK = OpenpyxlWorkbook()


def view(rows: int) -> View:
    """Return a register of ``rows`` versions with 30 columns, like a real one in kinds and lengths of its texts."""
    headers = [f"Column {number}" for number in range(1, COLUMNS - 1)]
    columns = (
        Column(header="Model"),
        *(Column(header=name, kind=ColumnKind.EDITABLE if name.endswith("7") else ColumnKind.TOOL) for name in headers),
        Column(header="Row id", hidden=True),
    )
    made = tuple(
        Row(
            row_id=f"model-{number % 40}@1.{number}",
            cells={"Model": f"model-{number % 40}"}
            | {name: f"{name} of version 1.{number}: {number * 7919 % 99991:x}" for name in headers},
            links={"Column 2": f"models/model-{number % 40}/1.{number}/"},
        )
        for number in range(rows)
    )
    return View(
        registry_id="0" * 32, system="benchmark", head_seq=rows, head_hash="sha256:" + "0" * 64,
        as_of="2026-11-24T08:00:00.000Z", sheets=(Sheet(name="Models", title="Models", columns=columns, rows=made),),
        read_me=(),
    )  # fmt: skip


def edited(base: View, change: Callable[[int], bool]) -> View:
    """Return the view after an edit of the rows that ``change`` picks."""
    sheet = base.sheets[0]
    rows = tuple(
        replace(row, cells={**row.cells, "Column 7": "edited"}) if change(number) else row
        for number, row in enumerate(sheet.rows)
    )
    return replace(base, head_seq=base.head_seq + 1, sheets=(replace(sheet, rows=rows),))


def shared(data: bytes) -> bytes:
    """Return the file with its texts as shared strings, as XlsxWriter writes them (and Excel)."""
    import openpyxl

    xlsxwriter: Any = import_module("xlsxwriter")  # it has no types
    source: Any = openpyxl.load_workbook(io.BytesIO(data))
    target = io.BytesIO()
    with xlsxwriter.Workbook(target, {"in_memory": True}) as workbook:
        for one in source.custom_doc_props.props:
            workbook.set_custom_property(str(one.name), str(one.value), "text")
        for sheet in source.worksheets:
            worksheet = workbook.add_worksheet(sheet.title)
            for row in sheet.iter_rows():
                for cell in row:
                    if cell.data_type == "s":
                        worksheet.write_string(cell.row - 1, cell.column - 1, str(cell.value))
    return target.getvalue()


def cpu(work: Callable[[], object], runs: int) -> float:
    """Return the median of the CPU seconds of ``runs`` runs."""
    found = []
    for _ in range(runs):
        gc.collect()
        begin = time.process_time()
        work()
        found.append(time.process_time() - begin)
    return statistics.median(found)


def one_cell(path: Path, data: bytes, base: View, runs: int) -> float:
    new = edited(base, lambda number: number == len(base.sheets[0].rows) // 2)

    def work() -> None:
        path.write_bytes(data)
        if not BOOK.refresh(path, base, new).written:
            raise SystemExit("nothing was written")

    return cpu(work, runs)


def openpyxl_too(path: Path, data: bytes) -> float:
    import openpyxl

    def work() -> None:
        workbook = openpyxl.load_workbook(io.BytesIO(data))
        workbook["Models"]["H500"] = "edited"
        workbook.save(path)

    return cpu(work, 1)


def read_back(path: Path, data: bytes, base: View, runs: int) -> float:
    """Read a file back in which every row differs from the base."""
    path.write_bytes(data)
    other = edited(base, lambda _: True)

    def work() -> None:
        if len(BOOK.read(path, other).differences) != len(base.sheets[0].rows):
            raise SystemExit("not all edits were found")

    return cpu(work, runs)


def main() -> None:
    """Measure and print the rows; exit 1 when one is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--large", type=int, default=50_000)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    gc.disable()  # as the command line does; openpyxl gains by it as well
    missed = False
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "registry.xlsx"
        base = view(options.rows)
        ours = render_bytes(base)
        for name, data in (("as the tool writes it", ours), ("with shared strings", shared(ours))):
            mine, theirs = one_cell(path, data, base, options.runs), openpyxl_too(path, data)
            peer = f"(openpyxl {theirs:.2f} s, ratio {mine / theirs:.3f})"
            missed |= told(f"one cell of {options.rows:,} rows, {name}", mine, 0.1 * theirs, peer)
            back = read_back(path, data, base, options.runs)
            missed |= told(f"{options.rows:,} edited rows read back, {name}", back, 2.5)
        del ours, data
        large = view(options.large)
        mine = one_cell(path, render_bytes(large), large, options.runs)
        missed |= told(f"one cell of {options.large:,} rows", mine, 3.0)
    sys.exit(missed)


def told(what: str, seconds: float, most: float, more: str = "") -> bool:
    """Print one row; True when it is missed."""
    print(f"{'FAIL' if seconds > most else 'pass'}  {what}: {seconds:.2f} s CPU, at most {most:.2f} {more}", flush=True)
    return seconds > most


if __name__ == "__main__":
    main()
