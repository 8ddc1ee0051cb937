"""What a sheet holds beside our columns: carried into the workbook once, whenever it can be, and people's own then."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from adopt_team import HEADINGS, Team, adopted, errors, usual
from openpyxl.chart import BarChart, Reference
from openpyxl.styles import Font, PatternFill
from world import World

from manual_registry.core.errors import ArtefactGone, PathEscapes


@pytest.fixture(autouse=True)
def outside_any_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commits are looked up in the repository of the working directory, when it has one."""
    monkeypatch.chdir(tmp_path)


def models(world: World) -> dict[str, dict[str, Any]]:
    """Rows of the Models sheet by row id."""
    sheet = openpyxl.load_workbook(world.root / "registry.xlsx")["Models"]
    rows = [list(row) for row in sheet.iter_rows(values_only=True)]
    top = next(number for number, row in enumerate(rows) if "Row id" in row)
    found = [{str(name): value for name, value in zip(rows[top], row, strict=True) if name} for row in rows[top + 1 :]]
    return {str(row["Row id"]): row for row in found if row["Row id"]}


def write(world: World, ref: str, heading: str, value: str | None) -> None:
    """Type into a cell, as a person does."""
    path = world.root / "registry.xlsx"
    book = openpyxl.load_workbook(path)
    sheet = book["Models"]
    top = next(row for row in sheet.iter_rows() if any(cell.value == "Row id" for cell in row))
    columns = {cell.value: cell.column for cell in top}
    row = next(line for line in sheet.iter_rows(min_row=top[0].row) if line[columns["Row id"] - 1].value == ref)
    row[columns[heading] - 1].value = value
    book.save(path)


def locked(world: World) -> Path:
    mark = world.root / ".~lock.registry.xlsx#"
    mark.write_text(",lea,host,24.11.2026 09:00,file:///home/lea;", encoding="utf-8")
    return mark


def test_a_workbook_that_was_open_gets_them_from_the_next_command(tmp_path: Path) -> None:
    world, team = World(tmp_path), usual(tmp_path / "team")
    mark = locked(world)
    done = world.as_().adopt(team.sheet)
    assert any("the next writing command" in one for one in done.warnings)
    mark.unlink()
    world.as_().attach("price@v7", metadata=world.metadata())
    assert models(world)["churn@1.1.0"]["Jira"] == "ML-140"
    assert "Costs" in openpyxl.load_workbook(world.root / "registry.xlsx").sheetnames


def test_a_cell_that_a_person_emptied_stays_empty(tmp_path: Path) -> None:
    world, team, _ = adopted(tmp_path)
    write(world, "churn@1.1.0", "Jira", None)
    write(world, "price@v7", "Jira", "ML-10")
    world.as_().adopt(team.sheet)
    world.as_().attach("price@v7", metadata=world.metadata())
    team.file("m/lost.bin")  # one more row of the same sheet can come in now
    assert len(world.as_().adopt(team.sheet).imported) == 1
    found = models(world)
    assert (found["churn@1.1.0"]["Jira"], found["price@v7"]["Jira"]) == (None, "ML-10")
    assert found["fraud-eu@2024-Q2"]["#"] == "5"
    assert openpyxl.load_workbook(world.root / "registry.xlsx").sheetnames.count("Costs") == 1


def test_reset_view_brings_them_back(tmp_path: Path) -> None:
    world, _, _ = adopted(tmp_path)
    world.as_().reset_view()
    assert models(world)["churn@1.1.0"]["Jira"] == "ML-140"
    assert "Costs" in openpyxl.load_workbook(world.root / "registry.xlsx").sheetnames
    assert errors(world) == []


def test_other_sheets_are_copied_with_their_looks(tmp_path: Path) -> None:
    world, team = World(tmp_path), usual(tmp_path / "team")

    def change(sheet: Any) -> None:
        book = sheet.parent
        costs = book["Costs"]
        costs["A1"].font, costs["A1"].fill = Font(bold=True, color="00FF0000"), PatternFill("solid", fgColor="FFFF00")
        costs["C1"], costs["C1"].number_format = date(2024, 2, 29), "dd.mm.yyyy"
        costs["A2"].value, costs["A2"].data_type = "=not a formula", "s"
        costs["A3"] = "=1+1"
        costs.column_dimensions["A"].width, costs.freeze_panes = 41, "A2"
        costs.merge_cells("A5:B6")
        chart = BarChart()
        chart.add_data(Reference(costs, min_col=2, min_row=1))
        costs.add_chart(chart, "E5")
        book.create_sheet("History")["A1"] = "written by hand"
        secret = book.create_sheet("Salaries")
        secret["A1"], secret.sheet_state = "Bob 1", "veryHidden"
        book.create_sheet("Empty")

    team.save(change)
    done = world.as_().adopt(team.sheet)
    book = openpyxl.load_workbook(world.root / "registry.xlsx")
    costs = book["Costs"]
    assert (costs["A1"].value, costs["B1"].value, costs["C1"].value.date()) == ("risk", 1200, date(2024, 2, 29))
    assert (costs["A1"].font.b, costs["A1"].fill.fgColor.rgb) == (True, "00FFFF00")
    assert (costs["C1"].number_format, costs.column_dimensions["A"].width) == ("dd.mm.yyyy", 41)
    assert (costs["A2"].value, costs["A2"].data_type, costs["A3"].value) == ("=not a formula", "s", None)
    assert (costs.freeze_panes, [str(one) for one in costs.merged_cells.ranges]) == ("A2", ["A5:B6"])
    assert book["History (as adopted)"]["A1"].value == "written by hand"
    assert (book["Salaries"].sheet_state, "Empty" in book.sheetnames) == ("veryHidden", False)
    told = next(one for one in done.warnings if "not copied" in one)
    assert "charts" in told and "formulas (their results are)" in told
    world.as_().attach("price@v7", metadata=world.metadata())
    assert world.as_().sync().outcome.restored == []
    assert openpyxl.load_workbook(world.root / "registry.xlsx")["Costs"]["B1"].value == 1200
    assert errors(world) == []


KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQ\n-----END OPENSSH PRIVATE KEY-----\n"


def test_no_private_key_comes_in(tmp_path: Path) -> None:
    """By its name, a bare name behind .., far down in a text, in UTF-16, hidden in a directory."""
    team, world = Team(tmp_path / "team"), World(tmp_path)
    keys = {
        "key.pem": KEY.encode(),
        "late.txt": b"# a note\n" * 40_000 + KEY.encode(),
        "wide.txt": KEY.encode("utf-16"),
        "bare.txt": KEY.encode("utf-16-le"),
        "gcp.json": json.dumps({"private_key": KEY}, indent=1).encode(),
        "model/.ssh/id": KEY.encode(),
        "deep/lead": KEY.encode(),
    }
    for number, (path, data) in enumerate(keys.items()):
        team.file(path, data)
        team.row("Churn", f"{number}.0.0", path.split("/")[0] if path.startswith("model") else path)
    team.row("Churn", "20.0.0", "../lead")
    team.file("fine.bin", b"what is a -----BEGIN PRIVATE KEY----- line?\n" + b"\1" * 5000)
    team.row("Churn", "21.0.0", "notes.md")
    team.file("notes.md", b"x" * 5000 + b"A file begins with -----BEGIN PRIVATE KEY-----, then base64.")
    team.save()
    done = world.as_().adopt(team.sheet)
    assert [one["version"] for one in done.imported] == ["21.0.0"]
    reasons = {one.row: one.reason for one in done.proposal.not_imported if one.row}
    assert sum("holds a private key" in reason for reason in reasons.values()) == 7
    assert "outside" in reasons[11] and "deep" not in reasons[11]


def test_a_bare_name_behind_dots_is_looked_for_below_the_sheet_alone(tmp_path: Path) -> None:
    world, team = World(tmp_path), Team(tmp_path / "team")
    (tmp_path / "home/other").mkdir(parents=True)
    (tmp_path / "home/other/lead").write_bytes(b"something")
    team.row("Churn", "1.0.0", "../lead")
    team.save()
    assert world.as_().adopt(team.sheet, storage=tmp_path / "home").imported == ()


@pytest.mark.parametrize("place", ["/", "/etc", "/usr"])
def test_the_whole_machine_is_no_storage(tmp_path: Path, place: str) -> None:
    world, team = World(tmp_path), usual(tmp_path / "team")
    with pytest.raises(PathEscapes, match="whole machine"):
        world.as_().adopt(team.sheet, storage=Path(place))


def test_metrics_that_stay_text_stand_in_the_workbook(tmp_path: Path) -> None:
    team = Team(tmp_path / "team", headings=(*HEADINGS[:7], "AUC", "Status"))
    team.row("Churn", "1.0.0", "1.bin", team.file("1.bin"), None, "sehr gut", "poor")
    team.row("Churn", "2.0.0", "2.bin", team.file("2.bin"), None, "F1-Score 0,8; dpr 0,9", 0.9)
    team.row("Churn", "3.0.0", "3.bin", team.file("3.bin"), None, "good AUC,\nrecall 0.8 to 0.9", 0.91)
    team.save()
    world = World(tmp_path)
    world.as_().adopt(team.sheet)
    check = {ref: row["Check"] or "" for ref, row in models(world).items()}
    assert "metrics as stated, not read as numbers: sehr gut; auc poor" in check["churn@1.0.0"]
    assert "metrics" not in check["churn@2.0.0"]
    assert "not read as numbers: good AUC, recall 0.8 to 0.9" in check["churn@3.0.0"]


def test_what_is_told_of_files_in_place_and_of_a_stopped_adopt(tmp_path: Path) -> None:
    world, team, _ = adopted(tmp_path, in_place=True)
    (team.place / "m/price.bin").unlink()
    with pytest.raises(ArtefactGone) as refused:
        world.as_().take_in("price@v7")
    assert refused.value.location == "../team/m/price.bin"
    stray = world.root / "adopted/2026-01-01-000000000000-other.xlsx"
    stray.write_bytes(b"copied, and then killed")
    found = next(one for one in world.as_().verify().findings if one.location == f"adopted/{stray.name}")
    assert "the same command goes on" in str(found.hint)


def test_a_workbook_with_a_chart_is_left_alone_and_told_once(tmp_path: Path) -> None:
    world, team = World(tmp_path), usual(tmp_path / "team")
    path = world.root / "registry.xlsx"
    book = openpyxl.load_workbook(path)
    chart = BarChart()
    chart.add_data(Reference(book["Models"], min_col=2, min_row=1))
    book.create_sheet("Mine").add_chart(chart, "A1")
    book.save(path)
    done = world.as_().adopt(team.sheet)
    assert any("holds" in one and "chart" in one and "the ledger has them" in one for one in done.warnings)
    again = world.as_().attach("price@v7", metadata=world.metadata())
    assert not any("own columns" in one for one in again.warnings)
    assert "Mine" in openpyxl.load_workbook(path).sheetnames
    assert "Jira" not in models(world)["churn@1.1.0"]
