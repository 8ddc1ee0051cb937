"""Another machine, a fresh clone: the base comes from the ledger at the head that the workbook names."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from sheets import cell, counts, delete_rows, edit, messages, reorder, table
from world import LEAD, SME, World

from manual_registry.registry import Registry


def elsewhere(world: World, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """Copy the registry to another machine: another place, another memory."""
    target = Path(shutil.copytree(world.root, world.place / "other" / "registry", symlinks=True))
    monkeypatch.setenv("MANUAL_REGISTRY_STATE", str(world.place / "other" / "state"))
    monkeypatch.setenv("MANUAL_REGISTRY_CACHE", str(world.place / "other" / "cache"))
    return Registry.open(target, actor="other@example.org", clock=world.clock)


def book(world: World) -> Path:
    """Return the workbook."""
    return world.root / "registry.xlsx"


def test_edits_made_here_are_read_there(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    changes = {
        ("Models", "churn@1", "Owner"): "mine",
        ("Models", "churn@1", "Stage"): "staging",
        ("Models", "churn@2", "Version"): "22",
        ("Models", "churn@2", "Notes"): 12.5,
    }
    edit(book(world), changes)
    delete_rows(book(world), "History", "2")
    there = elsewhere(world, monkeypatch)
    assert counts(there.sync()) == {"accepted": 1, "requested": 1, "restored": 3}
    assert there.show("churn@1")["owner"] == "mine"
    assert counts(there.sync()) == {}
    assert there.verify().ok


def test_a_workbook_from_an_earlier_head_is_compared_with_that_head(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier = book(world).read_bytes()
    world.as_().note("churn@1", "later than that workbook")
    world.approve("churn@1", "staging")
    world.promote("churn@1", "staging")
    book(world).write_bytes(earlier)
    edit(book(world), {("Models", "churn@2", "Owner"): "mine"})
    there = elsewhere(world, monkeypatch)
    assert counts(there.sync()) == {"accepted": 1}
    rows = table(there.root / "registry.xlsx")
    assert (rows["churn@1"]["Stage"], rows["churn@2"]["Owner"]) == ("staging", "mine")
    assert "later than that workbook" in rows["churn@1"]["Notes"]


def test_a_fresh_clone(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def git(*words: str, cwd: Path) -> None:
        command = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *words]
        subprocess.run(command, cwd=cwd, check=True, capture_output=True)

    edit(book(world), {("Models", "churn@1", "Owner"): "mine", ("Models", "churn@2", "Model"): "chrun"})
    git("init", "-q", cwd=world.root)
    git("add", "-A", "-f", cwd=world.root)
    git("commit", "-q", "-m", "all", cwd=world.root)
    git("clone", "-q", str(world.root), str(tmp_path / "clone"), cwd=tmp_path)
    monkeypatch.setenv("MANUAL_REGISTRY_STATE", str(tmp_path / "state"))
    there = Registry.open(tmp_path / "clone", actor=SME, clock=world.clock)
    assert counts(there.sync()) == {"accepted": 1, "restored": 1}
    assert counts(there.sync()) == {}
    assert cell(tmp_path / "clone" / "registry.xlsx", "Models", "churn@2", "Model") == "churn"


def test_what_one_machine_has_synced_the_other_does_not_take_twice(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both read the same file (a synced folder lags behind); the ledger is one."""
    edit(book(world), {("Models", "churn@1", "Owner"): "mine", ("Models", "churn@2", "Stage"): "staging"})
    edited = book(world).read_bytes()
    world.as_().sync()
    book(world).write_bytes(edited)
    monkeypatch.setenv("MANUAL_REGISTRY_STATE", str(world.place / "second"))
    head = world.as_(LEAD).head
    done = world.as_(LEAD).sync()
    assert counts(done) == {"requested": 1}
    assert "asks for staging" in messages(done, "requested")
    assert world.as_(LEAD).head == head
    assert len(world.as_().approval_list()) == 1
    assert counts(world.as_(LEAD).sync()) == {}


def test_sorted_here_tells_nothing_there(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    reorder(book(world), lambda rows: rows[::-1])
    there = elsewhere(world, monkeypatch)
    before = (there.root / "registry.xlsx").read_bytes()
    assert counts(there.sync()) == {}
    assert (there.root / "registry.xlsx").read_bytes() == before
