"""Killed half-way, run by several at once: what stands, stands once, and the next sync ends what is left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from sheets import cell, cell_at, counts, edit, nothing, table, type_row
from world import World

from manual_registry.registry import typed_rows, views


def book(world: World) -> Path:
    """Return the workbook."""
    return world.root / "registry.xlsx"


def kinds(world: World) -> Counter[str]:
    """Count the events by type."""
    found: list[dict[str, Any]] = world.as_().history()
    return Counter(str(one["type"]) for one in found)


def edited(world: World) -> int:
    """Make one edit of each kind; returns the number of the typed row."""
    changes = {
        ("Models", "churn@1", "Owner"): "mine",
        ("Models", "churn@2", "Stage"): "staging",
        ("Models", "churn@3", "Version"): "33",
    }
    edit(book(world), changes)
    (world.root / "m.bin").write_bytes(b"typed")
    return type_row(book(world), {"Model": "churn", "Version": "4", "Storage location": "m.bin", "Notes": "n"})


def once(world: World, at: int) -> None:
    """Everything stands once, and nothing is left to do."""
    found = kinds(world)
    assert (found["version.edited"], found["approval.requested"], found["version.registered"]) == (2, 1, 4)
    assert found["workbook.restored"] == 1
    assert cell_at(book(world), at, "Row id") == "churn@4"
    assert cell(book(world), "Models", "churn@3", "Version") == "3"
    assert len(table(book(world))) == 4
    assert nothing(world.as_())
    assert world.as_().verify().ok


@pytest.mark.parametrize("step", ["before the typed rows", "before the workbook"])
def test_stopped_half_way_the_next_sync_ends_it(small: World, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    at = edited(small)

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if step == "before the workbook":
            patch.setattr(views, "refresh_workbook", stop)
        else:
            patch.setattr(typed_rows, "register_all", stop)
        with pytest.raises(KeyboardInterrupt):
            small.as_().sync()
    assert kinds(small)["version.edited"] >= 1
    small.as_().sync()
    once(small, at)


def test_several_at_once_take_every_edit_once(small: World) -> None:
    at = edited(small)
    command = [sys.executable, "-m", "manual_registry", "--actor", "a@example.org", "--json", "sync"]
    running = [
        subprocess.Popen(command, cwd=small.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ.copy())
        for _ in range(3)
    ]
    for process in running:
        said, told = process.communicate(timeout=120)
        assert process.returncode == 0, told.decode()
        assert json.loads(said)["schema"] == "manual-registry/sync/1"
    small.as_().sync()
    once(small, at)


def test_a_full_disk_under_the_workbook_loses_nothing(small: World, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno

    from manual_registry.adapters.workbook import disk

    at = edited(small)

    def full(*_: object, **__: object) -> bool:
        raise OSError(errno.ENOSPC, "No space left on device")

    before = book(small).read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(disk, "copy_aside", full)
        registry = small.as_()
        done = registry.sync()
    assert counts(done) == {"accepted": 1, "requested": 1, "registered": 1, "restored": 1}
    assert any("view is behind" in one for one in registry.warnings)
    assert book(small).read_bytes() == before, "what could not be set aside is not overwritten"
    small.as_().sync()
    once(small, at)
