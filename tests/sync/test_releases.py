"""A release that spells tool-owned cells in another way finds no edits in the workbooks of earlier ones."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sheets import (
    cell,
    columns,
    counts,
    delete_rows,
    edit,
    heading_row,
    messages,
    nothing,
    opened,
    raw,
    reorder,
    row_of,
    table,
)
from world import World

from manual_registry.adapters.workbook import OpenpyxlWorkbook
from manual_registry.core import rows
from manual_registry.core.rendering import VIEW_VERSION
from manual_registry.core.results import Severity

OLD_APPROVERS = tuple(column for column in rows.APPROVERS if column.header != "Key")


def book(world: World) -> Path:
    """Return the workbook."""
    return world.root / "registry.xlsx"


@contextmanager
def earlier_release(**changes: Any) -> Iterator[None]:
    """What is written in here is written by a release with another rendering."""
    words = {"gates_text": lambda _record: "gates as an earlier release put them", **changes}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "VIEW_VERSION", 0)
        for name, value in words.items():
            patch.setattr(rows, name, value)
        yield


@pytest.fixture
def old(tmp_path: Path) -> World:
    """A registry that an earlier release has written throughout."""
    with earlier_release():
        made = World(tmp_path / "world")
        for version in "123":
            made.register(version)
        assert cell(book(made), "Models", "churn@1", "Validation gates") == "gates as an earlier release put them"
    return made


def own_column(path: Path) -> None:
    """Add a column of a person's."""
    with opened(path) as found:
        sheet = found["Models"]
        at = sheet.max_column + 1
        sheet.cell(heading_row(sheet), at).value = "Mine"
        sheet.cell(row_of(sheet, "churn@2"), at).value = "my own"


def up_to_date(world: World) -> bool:
    """Tell whether the workbook is as today's release would write it."""
    gates = {row["Validation gates"] for row in table(book(world)).values()}
    return (
        gates == {"performance passed\nfairness passed\nsecurity passed"}
        and OpenpyxlWorkbook().inspect(book(world)).view_version == VIEW_VERSION
    )


def errors(world: World) -> list[str]:
    """Return the codes of what verify says beyond information."""
    return [one.code for one in world.as_().verify(quick=True).findings if one.severity is not Severity.INFO]


@pytest.mark.parametrize("touched", [False, True])
def test_sync_tells_nothing_and_writes_todays_words(old: World, touched: bool) -> None:
    if touched:
        own_column(book(old))
    before, head = book(old).read_bytes(), old.as_().head
    assert old.as_().verify(quick=True).ok
    assert errors(old) == ["MR-V008"]
    assert counts(old.as_().sync()) == {}
    assert old.as_().head == head
    assert up_to_date(old)
    assert errors(old) == []
    kept = [one.read_bytes() for one in old.root.glob("*.set-aside.xlsx")]
    assert kept == ([before] if touched else []), "what might be a person's is kept, a rendering of ours is not"
    if touched:
        assert table(book(old))["churn@2"]["Mine"] == "my own"
    assert nothing(old.as_())


@pytest.mark.parametrize("touched", [False, True])
def test_any_writing_command_does(old: World, touched: bool) -> None:
    if touched:
        own_column(book(old))
    registry = old.as_()
    registry.note("churn@1", "a note")
    assert up_to_date(old)
    assert not [one for one in registry.warnings if "differ" in one]
    assert nothing(old.as_())


def test_edits_count_as_ever(old: World) -> None:
    own_column(book(old))
    changes = {
        ("Models", "churn@1", "Owner"): "mine",
        ("Models", "churn@2", "Stage"): "staging",
        ("Models", "churn@3", "Version"): "33",
        ("Models", "churn@3", "Code commit"): "forged",
    }
    edit(book(old), changes)
    before = book(old).read_bytes()
    head = old.as_().head[0]
    done = old.as_().sync()
    assert counts(done) == {"accepted": 1, "requested": 1, "restored": 1}
    assert "Version of churn@3" in messages(done, "restored"), "what tells rows apart reads alike in all releases"
    assert old.as_().show("churn@1")["owner"] == "mine"
    assert old.as_().head[0] == head + 3
    assert up_to_date(old)
    row = table(book(old))["churn@3"]
    assert (row["Version"], row["Code commit"]) == ("3", "c" * 12)
    (kept,) = old.root.glob("*.set-aside.xlsx")
    assert kept.read_bytes() == before, "somebody's words in a cell of the tool's are not lost, whoever wrote them"
    assert nothing(old.as_())


def test_edits_wait_for_sync_as_ever(old: World) -> None:
    edit(book(old), {("Models", "churn@1", "Owner"): "mine"})
    registry = old.as_()
    registry.note("churn@2", "a note")
    assert [one for one in registry.warnings if "1 cell differs from the record" in one]
    assert up_to_date(old)
    assert cell(book(old), "Models", "churn@1", "Owner") == "mine"
    assert counts(old.as_().sync()) == {"accepted": 1}


def test_a_formula_is_nobodys_rendering(old: World) -> None:
    with opened(book(old)) as found:
        sheet = found["Models"]
        sheet.cell(row_of(sheet, "churn@1"), columns(sheet)["Code commit"]).value = "=1+1"
    assert counts(old.as_().sync()) == {"restored": 1}
    assert cell(book(old), "Models", "churn@1", "Code commit") == "c" * 12


def test_a_partial_sort_is_told_and_left_alone(old: World) -> None:
    edit(book(old), {("Models", f"churn@{version}", "Owner"): f"owner {version}" for version in "123"})
    reorder(book(old), lambda found: found[::-1], width=9)
    before = table(book(old))
    done = old.as_().sync()
    assert "sorted in part" in messages(done, "problems")
    assert {old.as_().show(f"churn@{version}")["owner"] for version in "13"} == {"team"}, "nothing of them is accepted"
    after = table(book(old))
    moved = [name for name in before if before[name]["Version"] != name.partition("@")[2]]
    assert moved
    for name in moved:
        rest = {key: value for key, value in before[name].items() if key != "Check"}
        assert {key: value for key, value in after[name].items() if key != "Check"} == rest


def test_a_deleted_row_is_told_and_comes_back(old: World) -> None:
    delete_rows(book(old), "Models", "churn@2")
    assert counts(old.as_().sync()) == {"restored": 1}
    assert set(table(book(old))) == {"churn@1", "churn@2", "churn@3"}
    assert up_to_date(old)


def test_rows_of_a_view_may_come_and_go(tmp_path: Path) -> None:
    """An earlier release showed fewer events, and a line that today's does not have."""

    def told(events: Any) -> list[Any]:
        shown = list(rows_before(events))[:-1]
        return [*shown, rows.Row(row_id="0", cells={"What": "a line that is not there any more", "Row id": "0"})]

    rows_before = rows._history_rows
    with earlier_release(_history_rows=told):
        world = World(tmp_path / "world")
        world.register("1")
        own_column_only_on_models(world)
    assert "0" in table(book(world), "History")
    assert counts(world.as_().sync()) == {}
    shown = table(book(world), "History")
    assert list(shown) == [str(number) for number in range(world.as_().head[0], 0, -1)]
    assert nothing(world.as_())


def own_column_only_on_models(world: World) -> None:
    """Touch the file, so that it is not rendered anew as a whole."""
    with opened(book(world)) as found:
        found.create_sheet("Mine")["A1"] = "mine"


def test_a_column_and_a_sheet_that_an_earlier_release_did_not_have(tmp_path: Path) -> None:
    with earlier_release(APPROVERS=OLD_APPROVERS):
        world = World(tmp_path / "world")
        world.register("1")
    own_column_only_on_models(world)
    with opened(book(world)) as found:
        del found["History"]
    registry = world.as_()
    assert counts(registry.sync()) == {}
    assert [one for one in registry.warnings if "Key on Approvers" in one and "reset-view" in one]
    rows_now = table(book(world), "History")
    assert next(iter(rows_now)) == str(world.as_().head[0])
    world.as_().reset_view()
    assert "Key" in next(iter(table(book(world), "Approvers").values()))
    assert nothing(world.as_())


def test_a_copy_of_an_earlier_release_is_merged(old: World) -> None:
    copy = book(old).with_name("registry-PC.xlsx")
    copy.write_bytes(book(old).read_bytes())
    edit(copy, {("Models", "churn@1", "Owner"): "mine"})
    assert counts(old.as_().sync(workbook=copy)) == {"accepted": 1}
    assert up_to_date(old)


def test_what_an_earlier_release_left_settled_is_looked_at_again(old: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from manual_registry.registry import unchanged

    with earlier_release(), monkeypatch.context() as patch:
        patch.setattr(unchanged, "VIEW_VERSION", 0)
        assert counts(old.as_().sync()) == {}
        assert unchanged.head_if_settled(old.root) == old.as_().head
    assert unchanged.head_if_settled(old.root) is None
    assert counts(old.as_().sync()) == {}
    assert up_to_date(old)


@pytest.mark.parametrize("number", ["", "7", "one", "9" * 5000, "²"])
def test_a_number_that_is_none_or_newer_costs_no_edit(small: World, number: str) -> None:
    pattern = r'(name="manual-registry.view-version"[^>]*>\s*<vt:lpwstr>)\d+'
    raw(book(small), "docProps/custom.xml", lambda text: re.sub(pattern, rf"\g<1>{number}", text))
    edit(book(small), {("Models", "churn@1", "Notes"): "typed", ("Models", "churn@2", "SHA-256"): "forged"})
    assert counts(small.as_().sync()) == {"accepted": 1}
    assert table(book(small))["churn@2"]["SHA-256"] != "forged"
    assert len(list(small.root.glob("*.set-aside.xlsx"))) == 1
    assert nothing(small.as_())


def test_what_cannot_be_patched_goes_the_older_way_and_is_kept(old: World) -> None:
    own_column(book(old))
    with zipfile.ZipFile(book(old), "a") as archive:
        archive.writestr("_xmlsignatures/origin.sigs", b"")
    edited = book(old).read_bytes()
    registry = old.as_()
    registry.note("churn@1", "a note")
    assert [one for one in registry.warnings if "saved anew" in one]
    assert up_to_date(old)
    assert table(book(old))["churn@2"]["Mine"] == "my own"
    assert [one.read_bytes() for one in old.root.glob("*.set-aside.xlsx")] == [edited]
    assert nothing(old.as_())
