"""Where new rows go: requests on top of Approvals, versions above what a person has written below the table."""

from __future__ import annotations

from typing import Any

import openpyxl
from openpyxl.comments import Comment
from openpyxl.styles import PatternFill
from sheets import columns, counts, edit, heading_row, messages, opened, row_of, table
from world import LEAD, World

YELLOW = PatternFill("solid", fgColor="FFFF00")


def ids(world: World, sheet: str) -> list[str]:
    """Return the row ids of a sheet as they stand."""
    return list(table(world.root / "registry.xlsx", sheet))


def touch(world: World) -> None:
    """Write something of a person's own, so that the file is patched in place."""
    with opened(world.root / "registry.xlsx") as book:
        book.create_sheet("Mine")["A1"] = "a note"


def test_a_new_request_stands_on_top_also_in_a_file_that_people_use(world: World) -> None:
    path = world.root / "registry.xlsx"
    world.as_().approval_request("churn@1", to="staging")
    with opened(path) as book:
        book.create_sheet("Mine")["A1"] = "a note"
        sheet = book["Approvals"]
        first, right = row_of(sheet, ids(world, "Approvals")[0]), sheet.max_column + 3
        sheet.cell(first, columns(sheet)["Comment"]).fill = YELLOW
        sheet.cell(first, right).value = "mine beside"
    before = ids(world, "Approvals")
    edit(path, {("Approvals", before[0], "Comment"): "half typed"})
    world.as_().approval_request("churn@2", to="staging")
    assert ids(world, "Approvals")[1:] == before, "the newest is on top"
    with opened(path) as book:
        sheet = book["Approvals"]
        at = row_of(sheet, before[0])
        assert at == first + 1
        cell = sheet.cell(at, columns(sheet)["Comment"])
        assert (cell.value, cell.fill.fgColor.rgb) == ("half typed", "00FFFF00")
        assert sheet.cell(at, right).value == "mine beside"
        assert next(iter(sheet.tables.values())).ref.endswith(str(at)) if sheet.tables else True
        links = {one.row: one.hyperlink.target for row in sheet.iter_rows() for one in row if one.hyperlink}
        assert {row: "/1/" in str(target) for row, target in links.items()} == {at - 1: False, at: True}
    assert world.as_().sync().outcome.restored == []


def test_what_is_tied_to_its_place_is_not_moved_and_that_is_told(world: World) -> None:
    path = world.root / "registry.xlsx"
    world.as_().approval_request("churn@1", to="staging")
    with opened(path) as book:
        sheet = book["Approvals"]
        sheet.cell(row_of(sheet, ids(world, "Approvals")[0]), 1).comment = Comment("mine", "me")
    before = ids(world, "Approvals")
    registry = world.as_()
    registry.approval_request("churn@2", to="staging")
    assert ids(world, "Approvals")[:1] == before
    assert any("bottom and not on top, since it holds" in one for one in registry.warnings)


def test_versions_stand_above_totals(small: World) -> None:
    path = small.root / "registry.xlsx"
    with opened(path) as book:
        sheet = book["Models"]
        last, owner = row_of(sheet, "churn@3"), columns(sheet)["Owner"]
        top = heading_row(sheet) + 1
        letter = sheet.cell(1, owner).column_letter
        sheet.cell(last + 1, owner).value = f"=COUNTA({letter}{top}:{letter}{last})"
        sheet.cell(last + 2, owner).value = "red: ask Ada"
        sheet.cell(last + 2, owner).fill = YELLOW
    registry = small.as_()
    registry.register("churn", "4", small.artefact("4"), owner="new")
    registry.register("churn", "5", small.artefact("5"), owner="new")
    assert not [one for one in registry.warnings if "not stretched" in one]
    sheet: Any = openpyxl.load_workbook(path)["Models"]
    assert [row_of(sheet, f"churn@{number}") for number in (3, 4, 5)] == [last, last + 1, last + 2]
    assert sheet.cell(last + 3, owner).value == f"=COUNTA({letter}{top}:{letter}{last + 2})"
    cell = sheet.cell(last + 4, owner)
    assert (cell.value, cell.fill.fgColor.rgb) == ("red: ask Ada", "00FFFF00")
    assert next(iter(sheet.tables.values())).ref.endswith(str(last + 2)) if sheet.tables else True


def test_one_row_that_a_person_coloured_is_not_how_new_rows_look(small: World) -> None:
    path = small.root / "registry.xlsx"
    with opened(path) as book:
        sheet = book["Models"]
        for column in range(1, sheet.max_column + 1):
            sheet.cell(row_of(sheet, "churn@1"), column).fill = YELLOW
    small.as_().register("churn", "4", small.artefact("4"))
    sheet = openpyxl.load_workbook(path)["Models"]
    assert sheet.cell(row_of(sheet, "churn@4"), 1).fill.fgColor.rgb != "00FFFF00"


def test_the_lead_is_asked_first(world: World) -> None:
    touch(world)
    world.as_(LEAD).approval_request("churn@1", to="staging")
    world.as_(LEAD).approval_request("churn@2", to="staging")
    assert len(ids(world, "Approvals")) == 2
    assert ids(world, "Approvals")[0] > ids(world, "Approvals")[1]


def test_a_renamed_sheet_is_still_read_and_kept_up(small: World) -> None:
    path = small.root / "registry.xlsx"
    edit(path, {("Models", "churn@1", "Owner"): "Ada"})
    with opened(path) as book:
        book["Models"].title = "Modelle"
    registry = small.as_()
    assert counts(registry.sync()) == {"accepted": 1}
    assert any("sheet Modelle is read as Models" in one for one in registry.warnings)
    small.as_().register("churn", "4", small.artefact("4"))
    names = openpyxl.load_workbook(path).sheetnames
    assert "Modelle" in names
    assert "Models" not in names
    rows = table(path, "Modelle")
    assert (rows["churn@1"]["Owner"], "churn@4" in rows) == ("Ada", True)
    edit(path, {("Modelle", "churn@4", "Owner"): "Bob", ("Modelle", "churn@4", "Version"): "44"})
    again = small.as_()
    assert counts(again.sync()).keys() >= {"restored"} or counts(again.sync()).keys() >= {"problems"}
    assert table(path, "Modelle")["churn@4"]["Version"] == "4"


def test_of_two_copies_of_a_sheet_none_is_taken_for_it(small: World) -> None:
    path = small.root / "registry.xlsx"
    with opened(path) as book:
        book.copy_worksheet(book["Models"]).title = "A"
        book["Models"].title = "B"
    assert "the sheet is gone" in messages(small.as_().sync(), "restored")
    assert {"A", "B", "Models"} <= {*openpyxl.load_workbook(path).sheetnames}


FORGED = {"A1": "Models · another system", "A2": "As of 2031-01-01 08:00 UTC", "F2": "Ledger head 99 · sha256:00"}


def test_a_forged_banner_is_told_and_put_back(small: World) -> None:
    path = small.root / "registry.xlsx"
    before: Any = openpyxl.load_workbook(path)
    spots = {
        name: next(one.coordinate for one in before["Models"][row] if str(one.value).startswith(begins))
        for name, row, begins in (("A1", 1, ""), ("A2", 2, "As of"), ("F2", 2, "Ledger head"))
    }
    ours = {spot: before["Models"][spot].value for spot in spots.values()}
    with opened(path) as book:
        for name, spot in spots.items():
            book["Models"][spot].value = FORGED[name]
        book["Read me"]["B2"].value = "Ledger head 99"
        book["Models"]["A3"].value = "a line of mine"
    told = [one.message for one in small.as_().verify().findings if one.code == "MR-V001"]
    assert len(told) == 4, told
    assert "another system" in told[0]
    small.as_().note("churn@1", "another command leaves them alone, and says so nowhere")
    registry = small.as_()
    assert counts(registry.sync()) == {}
    assert sum("a line of the tool's own" in one for one in registry.warnings) == 4
    assert sum("kept as" in one for one in registry.warnings) == 1
    after: Any = openpyxl.load_workbook(path)
    assert after["Models"][spots["A1"]].value == ours[spots["A1"]]
    assert after["Models"][spots["A2"]].value.startswith("As of 20")
    assert after["Models"][spots["F2"]].value.startswith(f"Ledger head {small.as_().head[0]} ")
    assert after["Read me"]["B2"].value == after["Models"][spots["F2"]].value
    assert after["Models"]["A3"].value == "a line of mine"
    assert not [one for one in small.as_().verify().findings if one.code == "MR-V001"]
