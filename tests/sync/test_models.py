"""Edits of the sheet Models: what is the person's becomes events, what is the tool's is told and put back."""

from __future__ import annotations

import hashlib
import itertools
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sheets import cell, columns, counts, edit, heading_row, messages, nothing, opened, raw, table
from world import LEAD, SME, World

from manual_registry.core.values import Stage
from manual_registry.registry import Registry


def book(world: World) -> Path:
    """Return the workbook."""
    return world.root / "registry.xlsx"


def event(world: World, seq: int) -> dict[str, Any]:
    """Return an event file's content."""
    found: dict[str, Any] = json.loads(world.ledger(seq).read_bytes())
    return found


def shown(world: World, ref: str) -> dict[str, Any]:
    """Return what `show` says."""
    return world.as_().show(ref)


# -- Owner and Notes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "field", "value"),
    [
        ("Owner", "owner", "Ada Lovelace"),
        ("Owner", "owner", "-x is no formula"),
        ("Owner", "owner", "0012345"),
        ("Notes", "notes", "two\nlines, 1 < 2 & =1+1 é"),
        ("Notes", "notes", "x" * 20_000),
    ],
)
def test_an_edit_becomes_an_event(world: World, column: str, field: str, value: str) -> None:
    head = world.as_().head[0]
    edit(book(world), {("Models", "churn@1", column): value})
    done = world.as_("someone@example.org").sync()
    assert counts(done) == {"accepted": 1}
    written = event(world, head + 1)
    assert (written["type"], written["actor"]) == ("version.edited", "someone@example.org")
    assert written["data"] == {"field": field, "value": value, "was": "team" if field == "owner" else None}
    assert done.head == world.as_().head == (head + 1, done.head[1])
    assert cell(book(world), "Models", "churn@1", column) == value
    assert not list(world.root.glob("*.set-aside*")), "nothing was rejected"
    assert nothing(world.as_())


def test_an_emptied_cell_empties_the_field(world: World) -> None:
    edit(book(world), {("Models", "churn@1", "Owner"): None})
    assert counts(world.as_().sync()) == {"accepted": 1}
    assert shown(world, "churn@1")["owner"] is None
    assert nothing(world.as_())


def test_cells_merged_together_empty_nothing(world: World) -> None:
    """A merge empties all cells but the first; that is the spreadsheet's doing, no person's edit."""
    with opened(book(world)) as found:
        sheet = found["Models"]
        at, first = columns(sheet)["Owner"], heading_row(sheet) + 1
        sheet.merge_cells(start_row=first, end_row=first + 1, start_column=at, end_column=at)
    done = world.as_().sync()
    assert counts(done) == {}
    assert [shown(world, ref)["owner"] for ref in ("churn@1", "churn@2")] == ["team", "team"]
    world.as_().note("churn@2", "goes on")
    assert shown(world, "churn@2")["owner"] == "team"


def test_what_an_owner_may_not_be_is_told_in_the_row_and_put_back(world: World) -> None:
    edit(book(world), {("Models", "churn@1", "Owner"): "turned \u202earound"})
    done = world.as_().sync()
    assert counts(done) == {"problems": 1}
    assert "owner" in messages(done, "problems")
    assert cell(book(world), "Models", "churn@1", "Owner") == "team"
    assert cell(book(world), "Models", "churn@1", "Check").startswith("! ")
    (aside,) = world.root.glob("*.set-aside.xlsx")
    assert cell(aside, "Models", "churn@1", "Owner") == "turned \u202earound"
    assert nothing(world.as_())


@pytest.mark.parametrize("escape", ["_xD800_", "_x0000_", "_x001B_"])
def test_text_that_no_ledger_takes_is_a_problem_and_no_crash(world: World, escape: str) -> None:
    edit(book(world), {("Models", "churn@1", "Notes"): "before MARK after"})
    with zipfile.ZipFile(book(world)) as archive:
        part = next(
            (name for name in archive.namelist() if b"before MARK after" in archive.read(name)), "xl/sharedStrings.xml"
        )
    raw(book(world), part, lambda text: text.replace("MARK", escape))
    done = world.cli("sync", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert [len(document[name]) for name in ("accepted", "problems")] == [0, 1]
    assert shown(world, "churn@1")["notes"] == []
    assert world.as_().verify().ok


def test_notes_longer_than_a_cell_are_not_cut_by_an_edit(world: World) -> None:
    for letter in "yz":
        world.as_().note("churn@1", letter * 20_000)
    before = shown(world, "churn@1")["notes"]
    edit(book(world), {("Models", "churn@1", "Notes"): "only this"})
    done = world.as_().sync()
    assert counts(done) == {"problems": 1}
    assert "mreg note churn@1" in messages(done, "problems")
    assert shown(world, "churn@1")["notes"] == before
    assert nothing(world.as_())


def test_of_two_edits_the_one_made_on_what_stands_counts(world: World) -> None:
    """The workbook was open while somebody else's edit reached the record: both are told, none is lost."""
    mark = world.root / "~$registry.xlsx"
    copy = book(world).read_bytes()
    edit(book(world), {("Models", "churn@1", "Owner"): "first"})
    world.as_().sync()
    book(world).write_bytes(copy)  # a second person's file, from before
    edit(book(world), {("Models", "churn@1", "Owner"): "second"})
    done = world.as_().sync()
    assert counts(done) == {"problems": 1}
    assert "first" in messages(done, "problems")
    assert "second" in messages(done, "problems")
    assert shown(world, "churn@1")["owner"] == "first"
    assert cell(book(world), "Models", "churn@1", "Owner") == "first"
    assert "second" in cell(book(world), "Models", "churn@1", "Check")
    assert nothing(world.as_()), "run again by a timer, it must not overwrite what was first"
    assert not mark.exists()


def test_the_same_edit_twice_is_no_conflict(world: World) -> None:
    copy = book(world).read_bytes()
    edit(book(world), {("Models", "churn@1", "Owner"): "ada"})
    world.as_().sync()
    book(world).write_bytes(copy)
    edit(book(world), {("Models", "churn@1", "Owner"): "ada"})
    head = world.as_().head
    assert counts(world.as_().sync()) == {}
    assert world.as_().head == head
    assert not list(world.root.glob("*.set-aside*"))


def test_a_note_made_meanwhile_is_not_overwritten_by_an_edit_of_notes(world: World) -> None:
    edit(book(world), {("Models", "churn@1", "Notes"): "mine"})
    other = world.as_(LEAD)
    other.note("churn@1", "theirs")
    assert any("Notes of churn@1" in one for one in other.warnings)
    assert cell(book(world), "Models", "churn@1", "Notes") == "mine"
    done = world.as_().sync()
    assert counts(done) == {"problems": 1}
    assert "theirs" in cell(book(world), "Models", "churn@1", "Notes")
    assert nothing(world.as_())


# -- Stage --------------------------------------------------------------------------------------------------


def test_a_changed_stage_is_a_request_and_never_a_step(world: World) -> None:
    edit(book(world), {("Models", "churn@1", "Stage"): "Staging "})
    done = world.as_().sync()
    assert counts(done) == {"requested": 1}
    assert "mreg approval sign" in messages(done, "requested")
    assert shown(world, "churn@1")["stage"] == "experimental"
    assert cell(book(world), "Models", "churn@1", "Stage") == "experimental"
    assert not list(world.root.glob("*.set-aside*")), "the request holds what was wanted"
    ((identifier, row),) = table(book(world), "Approvals").items()
    assert (row["To"], row["Status"], row["Requested by"]) == ("staging", "requested", SME)
    assert identifier in cell(book(world), "Models", "churn@1", "Check")
    assert nothing(world.as_())
    world.as_(LEAD).approval_sign(identifier, as_=LEAD, key=world.key(LEAD))
    world.promote("churn@1", "staging")
    assert cell(book(world), "Models", "churn@1", "Stage") == "staging"
    assert world.as_().verify().ok


def test_a_stage_that_is_asked_for_already_is_not_asked_again(world: World) -> None:
    identifier = world.as_().approval_request("churn@1", to="staging").id
    head = world.as_().head
    edit(book(world), {("Models", "churn@1", "Stage"): "staging"})
    done = world.as_().sync()
    assert counts(done) == {"requested": 1}
    assert str(identifier) in messages(done, "requested")
    assert world.as_().head == head
    assert nothing(world.as_())


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ("production", "mreg promote churn@1 --to staging"),
        ("retired", "retired"),
        (None, "emptied"),
        ("42", "42"),
    ],
)
def test_a_forbidden_stage_is_a_problem_in_the_row_and_put_back(world: World, wanted: str | None, says: str) -> None:
    edit(book(world), {("Models", "churn@1", "Stage"): wanted})
    done = world.as_().sync()
    assert counts(done) == {"problems": 1}
    assert says in messages(done, "problems")
    assert cell(book(world), "Models", "churn@1", "Stage") == "experimental"
    check = cell(book(world), "Models", "churn@1", "Check")
    assert check.startswith("! ")
    assert says in check
    assert world.as_().approval_list() == []
    assert nothing(world.as_())


@pytest.mark.parametrize("wanted", ["none", "NONE", "experimental "])
def test_another_spelling_of_the_same_stage_is_no_request(world: World, wanted: str) -> None:
    head = world.as_().head
    edit(book(world), {("Models", "churn@1", "Stage"): wanted})
    assert counts(world.as_().sync()) == {}
    assert cell(book(world), "Models", "churn@1", "Stage") == "experimental"
    assert world.as_().head == head


def test_back_to_experimental_names_the_command_that_does_it(world: World) -> None:
    ref = world.to_staging("3")
    edit(book(world), {("Models", ref, "Stage"): "experimental"})
    done = world.as_().sync()
    assert counts(done) == {"problems": 1}
    assert f"mreg promote {ref} --to experimental --reason" in cell(book(world), "Models", ref, "Check")


def test_where_no_signature_is_owed_the_request_waits_for_the_promotion_which_uses_it(tmp_path: Path) -> None:
    world = World(tmp_path / "limited", risk="limited")
    world.register("1")
    edit(book(world), {("Models", "churn@1", "Stage"): "staging"})
    done = world.as_().sync()
    assert counts(done) == {"requested": 1}
    assert "no signature is owed: mreg promote churn@1 --to staging" in messages(done, "requested")
    ((identifier, row),) = table(book(world), "Approvals").items()
    assert "No signature is owed" in row["Check"]
    assert shown(world, "churn@1")["stage"] == "experimental"
    world.as_().promote("churn@1", to="staging", reason="as asked")
    assert table(book(world), "Approvals")[identifier]["Status"] == "used"
    assert world.as_().verify().ok
    assert nothing(world.as_())


def test_archived_is_a_request_too_and_archive_ends_it(small: World) -> None:
    edit(book(small), {("Models", "churn@1", "Stage"): "archived"})
    done = small.as_().sync()
    assert "mreg archive churn@1 --reason TEXT" in messages(done, "requested")
    assert small.as_().show("churn@1")["stage"] == Stage.EXPERIMENTAL
    small.as_().archive("churn@1", reason="old")
    assert cell(book(small), "Models", "churn@1", "Stage") == "archived"
    assert counts(small.as_().sync()) == {}


# -- what is the tool's -------------------------------------------------------------------------------------

TOOLS = (
    "Version", "Content hash", "Training data version", "Code commit", "Training date", "Evaluation metrics",
    "Deployment date", "SHA-256", "Validation gates", "Pipeline run", "Composite version", "Retention until", "Model",
    "Storage location",
)  # fmt: skip


def _edits() -> Iterator[Any]:
    """Every column with every kind of value; one of each is not slow."""
    kinds = ("forged", None, 42, True, "=A1")
    for place, (column, value) in enumerate(itertools.product(TOOLS, kinds)):
        quick = place % len(kinds) == place // len(kinds) % len(kinds)
        yield pytest.param(column, value, marks=() if quick else pytest.mark.slow)


@pytest.mark.parametrize(("column", "value"), list(_edits()))
def test_an_edit_of_a_tool_owned_cell_is_told_and_put_back(world: World, column: str, value: Any) -> None:
    before = table(book(world))["churn@1"]
    if value is None and before[column] is None:
        pytest.skip("the cell is empty")
    head = world.as_().head[0]
    edit(book(world), {("Models", "churn@1", column): value})
    done = world.as_().sync()
    assert counts(done) == {"restored": 1}
    ((item),) = done.outcome.restored
    assert (item.sheet, item.row, item.column, item.kept) == ("Models", "churn@1", column, before[column])
    after = table(book(world))["churn@1"]
    assert column in after.pop("Check")
    assert after == {name: found for name, found in before.items() if name != "Check"}
    written = event(world, head + 1)
    assert (world.as_().head[0], written["type"], written["data"]["count"]) == (head + 1, "workbook.restored", 1)
    assert nothing(world.as_())


def test_the_ledger_keeps_the_hash_of_what_was_put_back_and_a_copy_keeps_the_value(world: World) -> None:
    edit(book(world), {("Models", "churn@1", "Content hash"): "deadbeef, forged"})
    edited = hashlib.sha256(book(world).read_bytes()).hexdigest()
    done = world.as_().sync()
    data = event(world, done.head[0])["data"]
    wanted = hashlib.sha256(b"deadbeef, forged").hexdigest()
    assert data["cells"] == [{"sheet": "Models", "row": "churn@1", "column": "Content hash", "sha256": wanted}]
    (aside,) = world.root.glob("*.set-aside.xlsx")
    assert hashlib.sha256(aside.read_bytes()).hexdigest() == data["workbook"] == edited
    assert not any(b"deadbeef, forged" in path.read_bytes() for path in (world.root / "ledger").iterdir())
    assert world.as_().verify().ok


@pytest.mark.parametrize("column", ["Owner", "Notes"])
@pytest.mark.parametrize("value", [1.1, 12e45, True, '=HYPERLINK("http://evil.example";"click")'])
def test_a_number_or_formula_in_a_text_column_is_damage_and_no_edit(world: World, column: str, value: Any) -> None:
    edit(book(world), {("Models", "churn@1", column): value})
    done = world.as_().sync()
    assert counts(done) == {"restored": 1}
    assert "put right" in messages(done, "restored") or "put back" in messages(done, "restored")
    assert cell(book(world), "Models", "churn@1", column) == ("team" if column == "Owner" else None)
    assert nothing(world.as_())


def test_a_text_that_looks_like_a_formula_is_a_text(world: World) -> None:
    """Typed into a text column it is one; openpyxl needs to be told so."""
    from sheets import columns, opened, row_of

    with opened(book(world)) as found:
        sheet = found["Models"]
        spot = sheet.cell(row_of(sheet, "churn@1"), columns(sheet)["Notes"])
        spot.value = "=1+1"
        spot.data_type = "s"
    assert counts(world.as_().sync()) == {"accepted": 1}
    assert nothing(world.as_())


def test_the_views_are_put_right_too(world: World) -> None:
    edit(
        book(world),
        {
            ("Approvers", f"approver {LEAD}", "Role"): "emperor",
            ("History", "1", "What"): "nothing happened",
            ("History", "2", "Event"): 7,
        },
    )
    done = world.as_().sync()
    assert counts(done) == {"restored": 3}
    assert cell(book(world), "Approvers", f"approver {LEAD}", "Role") == "ai-governance-lead"
    assert cell(book(world), "History", "2", "Event") == 2
    assert nothing(world.as_())


# -- other commands -----------------------------------------------------------------------------------------


def test_other_commands_accept_nothing_and_overwrite_nothing(world: World) -> None:
    edits = {
        ("Models", "churn@1", "Owner"): "mine",
        ("Models", "churn@1", "Version"): "9",
        ("Models", "churn@2", "Stage"): "staging",
    }
    edit(book(world), edits)
    registry = world.as_()
    registry.register("churn", "3", world.artefact("3"), metadata=world.metadata())
    assert [one for one in registry.warnings if "mreg sync" in one] == [
        "3 cells differ from the record and were left alone; mreg sync reads edits back and puts the rest right"
    ]
    for (sheet, row, column), value in edits.items():
        assert cell(book(world), sheet, row, column) == value
    assert "churn@3" in table(book(world))
    assert shown(world, "churn@1")["owner"] == "team"
    assert world.as_().approval_list() == []
    done = world.as_().sync()
    assert counts(done) == {"problems": 1, "requested": 1, "restored": 2}, "of a row typed over nothing is taken"


def test_commands_that_read_write_nothing(world: World) -> None:
    edit(book(world), {("Models", "churn@1", "Owner"): "mine", ("Models", "churn@2", "Version"): "7"})
    before, head = book(world).read_bytes(), world.as_().head
    registry = world.as_()
    registry.status()
    registry.list()
    found = registry.verify()
    assert {one.code for one in found.findings} >= {"MR-V001", "MR-V006"}
    assert (book(world).read_bytes(), world.as_().head) == (before, head)


def test_the_json_document(world: World) -> None:
    edit(book(world), {("Models", "churn@1", "Owner"): "mine"})
    done = world.cli("--json", "sync")
    document = json.loads(done.stdout)
    assert document["schema"] == "manual-registry/sync/1"
    assert document["accepted"] == [
        {
            "sheet": "Models",
            "row": "churn@1",
            "column": "Owner",
            "found": "mine",
            "kept": "mine",
            "message": "Owner of churn@1 is now 'mine'",
        }
    ]
    assert document["ledger"]["seq"] == Registry.open(world.root).head[0]
    again = world.cli("sync")
    assert again.stdout.splitlines()[0] == "nothing to do: the workbook holds no edits"
    assert again.stdout.splitlines()[-1].startswith("ledger ")
