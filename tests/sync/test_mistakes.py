"""Slips of the hand: rows typed over, a column sorted by itself, error values, entries taken back, words of people's own."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import prebuilt
import pytest
from sheets import cell, cell_at, columns, counts, edit, messages, nothing, opened, row_of, table, type_row
from world import LEAD, World

from manual_registry.core.results import Severity

NOW = datetime(2026, 11, 24, 10, 30, tzinfo=UTC)


def book(world: World) -> Path:
    """Return the workbook."""
    return world.root / "registry.xlsx"


@pytest.fixture
def asked(tmp_path: Path) -> World:
    """A version with one open request, A4."""
    world = World(tmp_path / "asked", now=NOW)
    world.register("1")
    prebuilt.step(world, "ask", None, partial(world.as_().approval_request, "churn@1", to="staging"))
    return world


def fill(world: World, *values: Any) -> None:
    """Type Decision, Approver, Approval date and Comment of A4."""
    names = ("Decision", "Approver", "Approval date", "Comment")
    edit(book(world), {("Approvals", "A4", name): value for name, value in zip(names, values, strict=True)})


def test_of_a_row_typed_over_nothing_is_taken_and_nothing_is_lost(world: World) -> None:
    world.as_().approval_request("churn@2", to="staging")
    typed = {"Version": "9", "Owner": "eve", "Notes": "new one", "Stage": "production", "Approver": LEAD}
    edit(book(world), {("Models", "churn@2", name): value for name, value in typed.items()})
    before, asked = world.as_().show("churn@2"), world.as_().approval_list()
    done = world.as_().sync()
    assert counts(done) == {"problems": 1, "restored": 5}
    assert "for a new version type into an empty row" in messages(done, "problems")
    assert (world.as_().show("churn@2"), world.as_().approval_list()) == (before, asked)
    assert "Owner put back: Version of this row was typed over" in cell(book(world), "Models", "churn@2", "Check")
    (aside,) = world.root.glob("*.set-aside.xlsx")
    assert cell(aside, "Models", "churn@2", "Notes") == "new one"
    assert nothing(world.as_())


@pytest.mark.parametrize(("initials", "moved"), [("zazaza", 4), ("azazzz", 2)])
def test_a_column_of_two_values_sorted_by_itself_is_seen(small: World, initials: str, moved: int) -> None:
    for version in ("4", "5", "6"):
        small.as_().register("churn", version, small.artefact(version))
    spots = [("Models", f"churn@{number}", "Owner") for number in range(1, 7)]
    edit(book(small), dict(zip(spots, initials, strict=True)))
    assert counts(small.as_().sync()) == {"accepted": 6}
    edit(book(small), dict(zip(spots, sorted(initials), strict=True)))
    done = small.as_().sync()
    assert counts(done) == {"problems": 1, "restored": moved}
    assert "sorted by itself" in messages(done, "problems")
    assert "changed places" in cell(book(small), "Models", "churn@3", "Check")
    assert nothing(small.as_())


def test_a_column_sorted_by_itself_with_one_edit_more_is_seen(small: World) -> None:
    for version in ("4", "5", "6"):
        small.as_().register("churn", version, small.artefact(version))
    spots = [("Models", f"churn@{number}", "Owner") for number in range(1, 7)]
    edit(book(small), dict(zip(spots, ["fay", "eli", "dot", "cat", "bob", "ada"], strict=True)))
    small.as_().sync()
    edit(book(small), dict(zip(spots, ["ada", "bob", "really new", "dot", "eli", "fay"], strict=True)))
    assert counts(small.as_().sync()) == {"problems": 1, "restored": 6}


def test_stages_that_move_up_one_after_the_other_are_no_sort() -> None:
    from manual_registry.core.syncing import sort_out
    from manual_registry.core.view import ColumnKind, Difference, View

    steps = [("experimental", "staging"), ("staging", "production"), ("production", "archived")] * 3
    found = [
        Difference(
            sheet="Models",
            row=f"m@{at}",
            column="Stage",
            found=to,
            base=was,
            kind=ColumnKind.EDITABLE,
            place=f"Models!I{at}",
        )
        for at, (was, to) in enumerate(steps, 5)
    ]
    view = View(registry_id="", system="", head_seq=1, head_hash="", as_of="", sheets=(), read_me=())
    assert len(sort_out(found, view).edits) == 9


@pytest.mark.parametrize("value", ["#REF!", "#N/A"])
def test_an_error_value_is_damage(small: World, value: str) -> None:
    with opened(book(small)) as found:
        spot = found["Models"].cell(row_of(found["Models"], "churn@1"), columns(found["Models"])["Owner"])
        spot.value, spot.data_type = value, "e"
    done = small.as_().sync()
    assert counts(done) == {"restored": 1}
    assert f"the error value {value}" in messages(done, "restored")
    assert f"Owner put back: the error value {value}" in cell(book(small), "Models", "churn@1", "Check")
    assert small.as_().show("churn@1")["owner"] == "team"


def test_a_filled_entry_is_taken_back_by_emptying_it(asked: World) -> None:
    fill(asked, "approved", LEAD, "24.11.2026", "fine")
    assert counts(asked.as_().sync()) == {"filled": 1}
    fill(asked, None, LEAD, None, None)
    done = asked.as_().sync()
    assert "empty all four cells to take it back" in messages(done, "pending")
    fill(asked, None, None, None, None)
    done = asked.as_().sync()
    assert messages(done, "accepted") == "A4: what was filled in is taken back"
    row = table(book(asked), "Approvals")["A4"]
    assert (row["Status"], row["Check"]) == ("requested", "mreg approval sign A4 --as EMAIL")
    assert asked.as_().verify().ok
    assert nothing(asked.as_())
    fill(asked, "approved", LEAD, "2026-11-24", None)
    assert counts(asked.as_().sync()) == {"filled": 1}


def test_a_problem_of_an_entry_names_its_own_column_and_who_was_meant(asked: World) -> None:
    fill(asked, "approved", "laed@example.org", "2026-11-25", None)
    done = asked.as_().sync()
    assert {one.column: one.found for one in done.outcome.problems} == {
        "Approver": "laed@example.org",
        "Approval date": "2026-11-25",
    }
    assert "did you mean lead@example.org?" in messages(done, "problems")
    assert "Approval date 2026-11-25 has not come yet (today is 2026-11-24)" in messages(done, "problems")


@pytest.mark.parametrize("sheet", ["History", "Approvals", "Approvers"])
def test_a_row_typed_on_a_sheet_of_the_tools_is_told_the_same_by_sync_and_verify(asked: World, sheet: str) -> None:
    heading = "What" if sheet == "History" else "Comment" if sheet == "Approvals" else "Reason"
    at = type_row(book(asked), {heading: "my own remark"}, sheet=sheet)
    assert counts(asked.as_().sync()) == {"problems": 1}
    assert cell_at(book(asked), at, heading, sheet=sheet) == "my own remark", "nobody's text is removed"
    told = [one for one in asked.as_().verify().findings if one.code.startswith("MR-V")]
    assert [(one.code, one.severity) for one in told] == [("MR-V009", Severity.WARNING)]


def test_rows_of_ones_own_below_the_table_are_nobodys_business(small: World) -> None:
    type_row(book(small), {"Owner": "Sum:", "Training date": "3 models"})
    assert counts(small.as_().sync()) == {}
    assert [one.code for one in small.as_().verify().findings if one.code.startswith("MR-V")] == []


def test_an_owner_is_one_line_and_stages_are_words_of_peoples_own(world: World) -> None:
    ref = world.to_staging("3")
    edit(book(world), {("Models", "churn@1", "Owner"): "Ada\nLovelace\u200f ", ("Models", ref, "Stage"): " PROD"})
    done = world.as_().sync()
    assert counts(done) == {"accepted": 1, "requested": 1}
    assert world.as_().show("churn@1")["owner"] == "Ada Lovelace"
    assert "asks for production" in messages(done, "requested")
    assert nothing(world.as_())


@pytest.mark.parametrize(
    "path", ["registry.toml", "ledger", "models/churn/1", "ledger/000000000001.json", "registry.xlsx"]
)
def test_the_registrys_own_files_are_no_model(small: World, path: str) -> None:
    at = type_row(book(small), {"Model": "churn", "Version": "9", "Storage location": path})
    done = small.as_().sync()
    assert counts(done) == {"problems": 1}
    assert "belongs to the registry itself" in cell_at(book(small), at, "Check")
    assert len(small.as_().list()) == 3


def test_what_is_wrong_in_a_typed_row_is_named_by_its_heading(small: World) -> None:
    (small.root / "m.bin").write_bytes(b"m")
    row = {"Model": "churn", "Version": "9", "Storage location": "m.bin", "Training date": "2099-01-01"}
    at = type_row(book(small), row)
    assert counts(small.as_().sync()) == {"problems": 1}
    check = cell_at(book(small), at, "Check")
    assert "training_date" not in check
    assert "Training date" in check
