"""Conflict copies of sync programs: found by the registry id inside, told, and merged by `sync --workbook COPY`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from sheets import cell, counts, delete_rows, edit, messages, table, type_row, without_properties
from world import World

from manual_registry.core.errors import Conflict, NotFound

NAMES = (
    "registry-LAPTOP7.xlsx",
    "registry (Ada Lovelace's conflicted copy 2026-11-24).xlsx",
    "registry.sync-conflict-20261124-101010-ABCDEFG.xlsx",
    "registry (conflicted copy 2026-11-24 101010).xlsx",
    "registry (In Konflikt stehende Kopie von Ada 2026-11-24).xlsx",
    "Copy of registry.xlsx",
)


def book(world: World) -> Path:
    """Return the workbook."""
    return world.root / "registry.xlsx"


def copied(world: World, name: str = "registry-PC.xlsx") -> Path:
    """Make a copy of the workbook beside it."""
    return Path(shutil.copy(book(world), world.root / name))


def told(world: World) -> tuple[str, ...]:
    """Return the warnings of `status`."""
    registry = world.as_()
    registry.status()
    return registry.warnings


def owners(world: World) -> dict[str, str | None]:
    """Return the owner of each version."""
    return {one["version"]: one["owner"] for one in world.as_().list()}


@pytest.mark.parametrize("name", NAMES)
def test_a_conflict_copy_is_found_told_and_merged(small: World, name: str) -> None:
    copy = copied(small, name)
    edit(copy, {("Models", "churn@1", "Owner"): "from the copy", ("Models", "churn@2", "Version"): "8"})
    (small.root / "m.bin").write_bytes(b"typed")
    type_row(copy, {"Model": "churn", "Version": "4", "Storage location": "m.bin"})
    edit(book(small), {("Models", "churn@3", "Owner"): "from the workbook"})
    assert small.as_().status()["copies"] == [name]
    assert any(name in one and "--workbook" in one for one in told(small))
    assert [one.location for one in small.as_().verify().findings if one.code == "MR-V007"] == [name]
    registry = small.as_()
    assert counts(registry.sync()) == {"accepted": 1}
    assert any(name in one for one in registry.warnings)
    before = copy.read_bytes()
    done = small.as_().sync(workbook=copy)
    assert counts(done) == {"accepted": 1, "registered": 1, "restored": 1}
    assert "not taken" in messages(done, "restored")
    assert copy.read_bytes() == before, "a copy stays as it is"
    assert owners(small) == {"1": "from the copy", "2": "team", "3": "from the workbook", "4": None}
    rows = table(book(small))
    assert rows["churn@1"]["Owner"] == "from the copy"
    assert "churn@4" in rows
    assert small.as_().status()["copies"] == []
    registry = small.as_()
    head = registry.head
    assert counts(registry.sync(workbook=copy)) == {}
    assert any("merged already" in one for one in registry.warnings)
    assert small.as_().head == head
    assert not any(name in one for one in told(small))
    assert small.as_().verify().ok


def test_a_copy_with_open_ends_is_told_until_they_are_closed(small: World) -> None:
    copy = copied(small)
    type_row(copy, {"Model": "churn", "Version": "4"})
    assert counts(small.as_().sync(workbook=copy)) == {"pending": 1}
    assert small.as_().status()["copies"] == ["registry-PC.xlsx"]


def test_a_copy_from_before_does_not_overwrite_what_came_since(small: World) -> None:
    copy = copied(small)
    edit(copy, {("Models", "churn@1", "Owner"): "old copy", ("Models", "churn@2", "Owner"): "only there"})
    edit(book(small), {("Models", "churn@1", "Owner"): "newer"})
    small.as_().sync()
    assert counts(small.as_().sync(workbook=copy)) == {"accepted": 1, "problems": 1}
    assert owners(small) == {"1": "newer", "2": "only there", "3": "team"}


def test_edits_that_wait_in_the_workbook_survive_a_merge(small: World) -> None:
    copy = copied(small)
    edit(copy, {("Models", "churn@1", "Owner"): "theirs"})
    edit(book(small), {("Models", "churn@2", "Owner"): "mine", ("Models", "churn@3", "Version"): "33"})
    registry = small.as_()
    assert counts(registry.sync(workbook=copy)) == {"accepted": 1}
    assert any("2 cells differ" in one for one in registry.warnings)
    assert cell(book(small), "Models", "churn@2", "Owner") == "mine"
    assert cell(book(small), "Models", "churn@3", "Version") == "33"
    assert counts(small.as_().sync()) == {"accepted": 1, "restored": 1}
    assert owners(small) == {"1": "theirs", "2": "mine", "3": "team"}


def test_deleted_rows_of_a_copy_change_nothing(small: World) -> None:
    copy = copied(small)
    delete_rows(copy, "Models", "churn@2")
    before = table(book(small))
    done = small.as_().sync(workbook=copy)
    assert counts(done) == {"restored": 1}
    assert "nothing is deleted" in messages(done, "restored")
    assert table(book(small)) == before


def test_what_only_looks_like_a_copy_is_none(small: World, tmp_path: Path) -> None:
    copied(small, "registry backup.xlsx")  # as the tool wrote it: nothing to merge
    other = World(tmp_path / "other", risk="minimal", leads=(), pipelines=())
    shutil.copy(other.root / "registry.xlsx", small.root / "registry-OTHER.xlsx")
    edit(small.root / "registry-OTHER.xlsx", {("History", "1", "What"): "theirs"})
    (small.root / "registry-broken.xlsx").write_bytes(b"PK no")
    (small.root / "registry-notes.xlsx").mkdir()
    (small.root / "registry-link.xlsx").symlink_to(book(small))
    edit(book(small), {("Models", "churn@1", "Version"): "7"})
    small.as_().sync()
    assert list(small.root.glob("*.set-aside.xlsx"))
    assert small.as_().status()["copies"] == []
    assert small.as_().verify().ok


def test_copies_are_looked_for_where_the_workbook_lies(small: World) -> None:
    shared = small.place / "shared"
    shared.mkdir()
    path = Path(shutil.move(book(small), shared / "our models.xlsx"))
    text = (small.root / "registry.toml").read_text(encoding="utf-8")
    (small.root / "registry.toml").write_text(
        text.replace('"registry.xlsx"', '"../shared/our models.xlsx"'), encoding="utf-8"
    )
    copy = Path(shutil.copy(path, shared / "our models-LAPTOP.xlsx"))
    edit(copy, {("Models", "churn@1", "Owner"): "theirs"})
    done = small.cli("status", "--json")
    assert json.loads(done.stdout)["copies"] == ["../shared/our models-LAPTOP.xlsx"]
    merged = small.cli("sync", "--workbook", "../shared/our models-LAPTOP.xlsx")
    assert merged.returncode == 0, merged.stderr
    assert owners(small)["1"] == "theirs"
    assert json.loads(small.cli("status", "--json").stdout)["copies"] == []


def test_a_copy_whose_origin_cannot_be_told(small: World) -> None:
    copy = copied(small)
    edit(copy, {("Models", "churn@1", "Owner"): "theirs"})
    without_properties(copy)
    assert small.as_().status()["copies"] == []
    before = copy.read_bytes()
    assert counts(small.as_().sync(workbook=copy)) == {"problems": 1}
    assert copy.read_bytes() == before
    assert owners(small)["1"] == "team"


def test_no_such_copy(small: World) -> None:
    with pytest.raises(NotFound):
        small.as_().sync(workbook=small.root / "nowhere.xlsx")


def test_the_workbook_itself_named_is_no_copy(small: World) -> None:
    edit(book(small), {("Models", "churn@1", "Version"): "7"})
    assert "put back" in messages(small.as_().sync(workbook=book(small)), "restored")
    assert cell(book(small), "Models", "churn@1", "Version") == "1"


def test_a_copy_of_another_registry_is_refused(small: World, tmp_path: Path) -> None:
    other = World(tmp_path / "other", risk="minimal", leads=(), pipelines=())
    with pytest.raises(Conflict, match="another registry"):
        small.as_().sync(workbook=other.root / "registry.xlsx")
