"""The same messy sheet, saved by LibreOffice: the same rows, questions and mapping come of it."""

from __future__ import annotations

import shutil
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from adopt_sheets import book, kinds
from openpyxl.comments import Comment

from manual_registry.adapters.adoption import propose
from manual_registry.core.adoption import Proposal

OFFICE = shutil.which("soffice")


def dress(workbook: Any) -> None:
    sheet = workbook["Models"]
    sheet.merge_cells("A1:G1")
    sheet.merge_cells("A4:A5")
    sheet["B4"].number_format = "0.00"
    sheet["B6"].number_format = "d-mmm"
    sheet["C4"].number_format = "dd.mm.yyyy"
    sheet["F4"].number_format = "0%"
    sheet["A4"].comment = Comment("champion", "Ada")
    sheet.row_dimensions[7].hidden = True
    sheet.column_dimensions["G"].hidden = True
    workbook["Old"].sheet_state = "hidden"


def told(found: Proposal) -> list[Any]:
    rows = [
        (row.row, row.model, row.version, row.metrics, row.hidden, row.foreign, len(row.comments)) for row in found.rows
    ]
    return [
        rows,
        [(row.parsed("training_date"), row.parsed("stage")) for row in found.rows],
        kinds(found),
        found.not_imported,
    ]


@pytest.mark.slow
@pytest.mark.skipif(OFFICE is None, reason="LibreOffice is not installed")
def test_a_sheet_saved_by_libreoffice_reads_the_same(tmp_path: Path) -> None:
    rows: list[list[Any]] = [
        ["Model tracking"],
        [],
        ["Model", "Version", "Trained on", "Stage", "Versoin", "Accuracy", "Jira"],
        ["Credit Risk", 1.1, datetime(2024, 3, 10), "PRD", None, 0.88, "J-1"],
        [None, "1.20", "25/12/2023", "UAT", "x", None, None],
        ["Fraud", datetime(2026, 2, 1), 45292, "frozen", None, "n/a", None],
        ["Churn", "12e4567", "03/04/2024", True, None, None, None],
        ["Total", 4],
    ]
    source = book(tmp_path / "x.xlsx", {"Models": rows, "Old": [["Model", "Version"], ["a", "1"]]}, dress)
    target = tmp_path / "out"
    profile = f"-env:UserInstallation=file://{tmp_path}/profile"
    command = [str(OFFICE), profile, "--headless", "--convert-to", "xlsx", "--outdir", str(target), str(source)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    before, after = propose(source), propose(target / "x.xlsx")
    assert told(after) == told(before)
    assert [row.version for row in before.rows] == ["1.10", "1.20", None, "12e4567"]
    assert after.plan.tables == before.plan.tables
