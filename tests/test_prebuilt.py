"""A copied registry is one that the commands made: the same to every command, never twice in one test."""

from __future__ import annotations

from pathlib import Path

import prebuilt
import pytest
from world import World

from manual_registry.core.results import Severity


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A world from a copy of one with the same steps (the first one of a worker is made)."""
    monkeypatch.chdir(tmp_path)
    made = World(tmp_path / "one")
    made.register("1")
    return made


@pytest.mark.parametrize("time", ["made or copied", "copied"])
def test_every_command_takes_it_for_its_own(world: World, time: str) -> None:
    assert world.steps is not None
    head = world.as_().head
    assert {one.severity for one in world.as_().verify().findings} <= {Severity.INFO}
    assert world.as_().sync().document()["problems"] == []
    assert world.as_().head == head
    assert prebuilt.memory.recall_view(world.root, world.root / "registry.xlsx").written is not None


def test_a_second_world_in_a_test_is_another_registry(world: World, tmp_path: Path) -> None:
    other = World(tmp_path / "two")
    assert other.ledger(1).read_bytes() != world.ledger(1).read_bytes()
    assert other.public(world.leads[0]).read_bytes() != world.public(world.leads[0]).read_bytes()


def test_what_others_touched_and_what_is_patched_is_made(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.as_().note("churn@1", "by hand")
    assert world.register("2").changed
    assert world.steps is None
    monkeypatch.setattr(prebuilt, "_shelf", None)
    assert World(tmp_path / "three", risk="limited").steps is None
