"""Rows that were deleted, copied, sorted, filtered; columns moved, widened, added, taken away; the base."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import prebuilt
import pytest
from sheets import (
    cell,
    cell_at,
    columns,
    counts,
    delete_rows,
    edit,
    heading_row,
    messages,
    nothing,
    opened,
    reorder,
    row_of,
    table,
    type_row,
    without_properties,
)
from world import World

from manual_registry.core.errors import Conflict, RegistryError


def book(world: World) -> Path:
    """Return the workbook."""
    return world.root / "registry.xlsx"


@pytest.fixture
def many(small: World) -> World:
    """Eight versions, five of them with owners of their own."""

    def register() -> None:
        for version in range(4, 9):
            small.as_().register("churn", str(version), small.artefact(str(version)), owner=f"owner {version}")

    prebuilt.step(small, "five more", None, register)
    return small


def without_check(rows: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Leave out what only tells."""
    return {name: {key: value for key, value in row.items() if key != "Check"} for name, row in rows.items()}


# -- deleted ------------------------------------------------------------------------------------------------


def test_a_deleted_row_deletes_nothing_and_comes_back(many: World) -> None:
    before = table(book(many))
    delete_rows(book(many), "Models", "churn@3", "churn@6")
    done = many.as_().sync()
    assert counts(done) == {"restored": 2}
    assert "it comes back" in messages(done, "restored")
    assert table(book(many)) == before
    assert nothing(many.as_())
    assert many.as_().verify().ok


def test_rows_of_the_other_sheets_come_back_too(world: World) -> None:
    name = world.as_().approval_request("churn@1", to="staging").id or ""
    before = {sheet: table(book(world), sheet) for sheet in ("Approvals", "Approvers", "History")}
    delete_rows(book(world), "Approvals", name)
    delete_rows(book(world), "Approvers", "pipeline ci")
    delete_rows(book(world), "History", "2")
    assert counts(world.as_().sync()) == {"restored": 3}
    assert {sheet: table(book(world), sheet) for sheet in before} == before
    assert nothing(world.as_())


def test_other_commands_do_not_bring_them_back(many: World) -> None:
    delete_rows(book(many), "Models", "churn@3")
    many.as_().note("churn@1", "x")
    assert "churn@3" not in table(book(many))


def test_a_sheet_that_was_deleted_comes_back(many: World) -> None:
    before = table(book(many), "Approvers")
    with opened(book(many)) as found:
        del found["Approvers"]
    done = many.as_().sync()
    assert counts(done)["restored"] == 1
    assert "the sheet is gone; it comes back" in messages(done, "restored")
    assert table(book(many), "Approvers") == before
    assert nothing(many.as_())


def test_the_whole_file_deleted_is_rendered_anew(many: World) -> None:
    before = table(book(many))
    book(many).unlink()
    registry = many.as_()
    assert counts(registry.sync()) == {}
    assert any("rendered anew" in one for one in registry.warnings)
    assert table(book(many)) == before
    assert nothing(many.as_())


# -- copied -------------------------------------------------------------------------------------------------


def copy_row(world: World, row_id: str, **changes: Any) -> int:
    """Copy a row, the hidden id too, below the others; returns its number."""
    with opened(book(world)) as found:
        sheet = found["Models"]
        source, target = row_of(sheet, row_id), sheet.max_row + 1
        for column in range(1, sheet.max_column + 1):
            sheet.cell(target, column).value = sheet.cell(source, column).value
        for heading, value in changes.items():
            sheet.cell(target, columns(sheet)[heading]).value = value
    return int(target)


def test_a_copied_row_is_told_and_nothing_of_it_accepted(many: World) -> None:
    at = copy_row(many, "churn@2", Owner="the copy's")
    edit(book(many), {("Models", "churn@2", "Stage"): "staging", ("Models", "churn@3", "Owner"): "accepted"})
    head = many.as_().head[0]
    done = many.as_().sync()
    assert counts(done) == {"accepted": 1, "problems": 1}
    assert "stands there more than once" in messages(done, "problems")
    assert many.as_().head[0] == head + 1
    assert cell_at(book(many), at, "Check").startswith("! a copy of churn@2")
    assert cell_at(book(many), at, "Owner") == "the copy's"
    assert cell(book(many), "Models", "churn@2", "Stage") == "staging"
    assert many.as_().approval_list() == []
    assert counts(many.as_().sync()) == {"problems": 1}
    with opened(book(many)) as found:
        found["Models"].delete_rows(at)
    done = many.as_().sync()
    assert counts(done) == {"requested": 1}
    assert nothing(many.as_())


def test_a_copy_made_into_another_version_is_told_how_to_do_it(many: World) -> None:
    at = copy_row(many, "churn@2", Version="99")
    done = many.as_().sync()
    assert counts(done) == {"problems": 1}
    assert "for a new version type into an empty row" in messages(done, "problems")
    assert len(many.as_().list()) == 8
    with opened(book(many)) as found:
        sheet = found["Models"]
        sheet.cell(at, columns(sheet)["Row id"]).value = None
    assert "belongs to the registry itself" in messages(many.as_().sync(), "problems"), "it is churn@2's own file"
    (many.root / "new.bin").write_bytes(b"new")
    with opened(book(many)) as found:
        found["Models"].cell(at, columns(found["Models"])["Storage location"]).value = "new.bin"
    assert counts(many.as_().sync()) == {"registered": 1}, "without the id it is a typed row like any other"


def test_an_invented_row_id_is_told(many: World) -> None:
    with opened(book(many)) as found:
        sheet = found["Models"]
        sheet.cell(row_of(sheet, "churn@4"), columns(sheet)["Row id"]).value = "churn@404"
    done = many.as_().sync()
    assert counts(done) == {"problems": 1, "restored": 1}
    assert "the register has no row 'churn@404'" in messages(done, "problems")
    assert cell(book(many), "Models", "churn@4", "Owner") == "owner 4"


# -- sorted -------------------------------------------------------------------------------------------------


def backwards(rows: list[list[Any]]) -> list[list[Any]]:
    """Turn the rows around."""
    return rows[::-1]


def test_sorted_rows_are_no_edits_and_stay_sorted(many: World) -> None:
    reorder(book(many), backwards)
    order = list(table(book(many)))
    assert order == [f"churn@{number}" for number in range(8, 0, -1)]
    before = book(many).read_bytes()
    assert counts(many.as_().sync()) == {}
    assert book(many).read_bytes() == before
    edit(book(many), {("Models", "churn@5", "Owner"): "new"})
    assert counts(many.as_().sync()) == {"accepted": 1}
    assert list(table(book(many))) == order
    assert many.as_().show("churn@5")["owner"] == "new"
    many.as_().register("churn", "9", many.artefact("9"))
    assert list(table(book(many))) == [*order, "churn@9"]
    assert nothing(many.as_())


def test_a_partial_sort_is_told_and_nothing_of_it_accepted(many: World) -> None:
    """Only the columns up to Deployment date were marked: the hidden ids, owners and notes stayed."""
    with opened(book(many)) as found:
        width = columns(found["Models"])["Deployment date"]
    reorder(book(many), backwards, width=width)
    edit(book(many), {("Models", "churn@2", "Owner"): "whose?"})
    before, head = without_check(table(book(many))), many.as_().head
    done = many.as_().sync()
    assert counts(done) == {"problems": 1}
    assert "8 rows carry what belongs to others" in messages(done, "problems")
    assert many.as_().head == head
    assert without_check(table(book(many))) == before, "a person's own columns may have been sorted along"
    assert "sorted in part" in cell(book(many), "Models", "churn@2", "Check")
    reorder(book(many), backwards, width=width)  # undone
    assert counts(many.as_().sync()) == {"accepted": 1}
    assert nothing(many.as_())


def test_a_partial_sort_without_model_and_version_is_seen_by_what_is_unique(many: World) -> None:
    with opened(book(many)) as found:
        sheet = found["Models"]
        digest, stage, top = columns(sheet)["SHA-256"], columns(sheet)["Stage"], heading_row(sheet) + 1
        rows = range(top, top + 8)
        values = [(sheet.cell(row, digest).value, sheet.cell(row, stage).value) for row in rows]
        for row, (one, two) in zip(rows, values[::-1], strict=True):
            sheet.cell(row, digest).value, sheet.cell(row, stage).value = one, two
    head = many.as_().head
    assert counts(many.as_().sync()) == {"problems": 1}
    assert many.as_().head == head


def test_one_editable_column_sorted_by_itself_is_told_and_put_back(many: World) -> None:
    owners = {name: row["Owner"] for name, row in table(book(many)).items()}
    values = list(owners.values())
    shuffled = dict(zip(owners, [*values[1:], values[0]], strict=True))
    edit(book(many), {("Models", name, "Owner"): value for name, value in shuffled.items()})
    done = many.as_().sync()
    assert set(counts(done)) == {"problems", "restored"}
    assert "one column sorted by itself" in messages(done, "problems")
    assert {name: row["Owner"] for name, row in table(book(many)).items()} == owners
    assert nothing(many.as_())


def test_two_versions_that_change_owners_are_two_edits(many: World) -> None:
    edit(book(many), {("Models", "churn@4", "Owner"): "owner 5", ("Models", "churn@5", "Owner"): "owner 4"})
    assert counts(many.as_().sync()) == {"accepted": 2}


def test_the_version_of_one_row_changed_is_an_edit_of_the_tools_and_no_sort(many: World) -> None:
    edit(book(many), {("Models", "churn@4", "Version"): "44", ("Models", "churn@5", "Owner"): "mine"})
    assert counts(many.as_().sync()) == {"restored": 1, "accepted": 1}


# -- how it looks -------------------------------------------------------------------------------------------


def test_looks_order_and_own_columns_are_nobodys_edit(many: World) -> None:
    with opened(book(many)) as found:
        sheet = found["Models"]
        sheet.column_dimensions["A"].width = 77
        sheet.column_dimensions["C"].hidden = True
        sheet.row_dimensions[row_of(sheet, "churn@3")].hidden = True
        sheet["A1"] = "our own title"
        sheet.cell(heading_row(sheet), sheet.max_column + 1).value = "My column"
        sheet.cell(row_of(sheet, "churn@3"), sheet.max_column).value = "mine"
        found.create_sheet("Mine")["A1"] = "mine"
        found["History"].sheet_state = "hidden"
    assert counts(many.as_().sync()) == {}
    edit(book(many), {("Models", "churn@3", "Owner"): "new"})
    assert counts(many.as_().sync()) == {"accepted": 1}
    assert table(book(many))["churn@3"]["My column"] == "mine"


def test_columns_in_another_order_are_found_by_their_headings(many: World) -> None:
    with opened(book(many)) as found:
        sheet = found["Models"]
        places, top = columns(sheet), heading_row(sheet)
        for row in range(top, sheet.max_row + 1):
            one, two = sheet.cell(row, places["Owner"]), sheet.cell(row, places["Training date"])
            one.value, two.value = two.value, one.value
        for found_table in sheet.tables.values():
            names = {one.name: one for one in found_table.tableColumns}
            names["Owner"].name, names["Training date"].name = "Training date", "Owner"
    assert counts(many.as_().sync()) == {}
    edit(book(many), {("Models", "churn@3", "Owner"): "new"})
    assert counts(many.as_().sync()) == {"accepted": 1}
    assert many.as_().show("churn@3")["owner"] == "new"


@pytest.mark.parametrize("heading", ["Owner", "Stage", "Version", "Check"])
def test_a_column_that_is_gone_or_renamed_is_told(many: World, heading: str) -> None:
    with opened(book(many)) as found:
        sheet = found["Models"]
        sheet.cell(heading_row(sheet), columns(sheet)[heading]).value = "Something else"
    edit(book(many), {("Models", "churn@3", "Notes"): "still read"})
    done = many.as_().sync()
    assert counts(done) == {"problems": 1, "accepted": 1}
    assert f"the column {heading} is gone" in messages(done, "problems")


def test_without_the_row_ids_nothing_of_the_sheet_is_read(many: World) -> None:
    with opened(book(many)) as found:
        sheet = found["Models"]
        places = columns(sheet)
        sheet.cell(row_of(sheet, "churn@3"), places["Owner"]).value = "lost?"
        sheet.cell(heading_row(sheet), places["Row id"]).value = None
    head = many.as_().head
    done = many.as_().sync()
    assert counts(done) == {"problems": 1}
    assert "Row id is gone" in messages(done, "problems")
    assert many.as_().head == head
    assert len(many.as_().list()) == 8


# -- the base -----------------------------------------------------------------------------------------------


def test_without_its_properties_differences_are_told_and_none_accepted(many: World) -> None:
    edit(book(many), {("Models", "churn@3", "Owner"): "mine", ("Models", "churn@4", "Stage"): "staging"})
    without_properties(book(many))
    before, head = book(many).read_bytes(), many.as_().head
    done = many.as_().sync()
    assert counts(done) == {"problems": 2}
    assert "does not say at which ledger head" in messages(done, "problems")
    assert many.as_().head == head
    (aside,) = many.root.glob("*.set-aside.xlsx")
    assert aside.read_bytes() == before
    assert cell(book(many), "Models", "churn@3", "Owner") == "team"
    assert nothing(many.as_())


def test_nothing_is_registered_without_a_base(small: World) -> None:
    (small.root / "m.bin").write_bytes(b"x")
    type_row(book(small), {"Model": "churn", "Version": "4", "Storage location": "m.bin"})
    without_properties(book(small))
    assert counts(small.as_().sync()) == {"problems": 1}
    assert len(small.as_().list()) == 3


def test_a_workbook_of_another_registry_stops_sync(many: World, tmp_path: Path) -> None:
    other = World(tmp_path / "other", risk="minimal", leads=(), pipelines=())
    other.as_().register("churn", "1", other.artefact("1"))
    with pytest.raises(Conflict, match="another registry"):
        many.as_().sync(workbook=book(other))
    book(many).write_bytes(book(other).read_bytes())
    with pytest.raises(RegistryError) as refused:
        many.as_().sync()
    assert (refused.value.code, refused.value.exit_status) == ("MR-C013", 6)
    assert "belongs to another registry" in refused.value.message
    assert book(many).read_bytes() == book(other).read_bytes()


def test_a_workbook_that_names_a_later_head_stops_sync_and_is_not_overwritten(many: World) -> None:
    later = book(many).read_bytes()
    many.ledger(many.as_().head[0]).unlink()
    with pytest.raises(RegistryError, match="does not contain") as refused:
        many.as_().sync()
    assert refused.value.exit_status == 4
    assert book(many).read_bytes() == later
    assert many.cli("sync").returncode == 4
