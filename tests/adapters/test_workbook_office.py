"""A round trip through a real LibreOffice, where there is one: its habits are no differences."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import openpyxl
import pytest
from workbook_views import model_row, view, with_row

from manual_registry.adapters.workbook import OpenpyxlWorkbook
from manual_registry.adapters.workbook.losses import losses
from manual_registry.adapters.workbook.read import read_book
from manual_registry.adapters.workbook.render import render_bytes

OFFICE = shutil.which("soffice")
ODD = {"Notes": "=1+1 _x0041_ é\nline", "Owner": "-x", "Check": "+49", "Approver": "0012345"}


@pytest.mark.skipif(OFFICE is None, reason="LibreOffice is not installed")
def test_a_file_saved_by_libreoffice(tmp_path: Path) -> None:
    book = OpenpyxlWorkbook()
    base = with_row(view(20), "Models", replace(model_row(0), cells={**model_row(0).cells, **ODD}))
    source, path = tmp_path / "registry.xlsx", tmp_path / "out" / "registry.xlsx"
    source.write_bytes(render_bytes(base))
    command = [
        str(OFFICE),
        f"-env:UserInstallation=file://{tmp_path}/profile",
        "--headless",
        "--convert-to",
        "xlsx",
    ]
    subprocess.run([*command, "--outdir", str(path.parent), str(source)], check=True, capture_output=True, timeout=120)
    assert book.inspect(path).head_hash == base.head_hash
    assert book.read(path, base).differences == ()
    read = read_book(path.read_bytes(), path.name)
    assert (losses(read), read.untouched) == ((), False)
    new = with_row(base, "Models", model_row(20))
    done = book.refresh(path, base, new)
    assert (done.written, done.set_aside, done.waiting) == (True, None, 0)
    assert book.read(path, new).differences == ()
    assert openpyxl.load_workbook(path)["Models"].tables["Models"].ref == "A4:U25"
