"""kill -9 at every step of a command, and at random: the next one finishes or takes back what was half done."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from kill_driver import SCENARIOS
from trouble import assert_whole, end, environment, run, start
from world import World

DRIVER = Path(__file__).with_name("kill_driver.py")
TESTS = DRIVER.parent.parent


def drive(tmp_path: Path, scenario: str, how: str, *more: str) -> tuple[int, int]:
    """Run the driver; returns how many kills were survived, of a command with how many changes."""
    import os

    env = environment()
    env["PYTHONPATH"] = os.pathsep.join((env["PYTHONPATH"], str(TESTS), str(DRIVER.parent)))
    words = [sys.executable, str(DRIVER), scenario, str(tmp_path), how, *more]
    done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr
    survived, changes = done.stdout.split()
    return int(survived), int(changes)


@pytest.mark.parametrize("scenario", ["register", "promote"])
def test_killed_around_the_event_and_the_move(tmp_path: Path, scenario: str) -> None:
    survived, changes = drive(tmp_path, scenario, "few")
    assert survived >= 3
    assert changes > 20


@pytest.mark.slow
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_killed_before_every_change(tmp_path: Path, scenario: str) -> None:
    survived, changes = drive(tmp_path, scenario, "all")
    assert survived == changes > 20


@pytest.mark.parametrize("how", ["few", pytest.param("all", marks=pytest.mark.slow)])
def test_killed_where_there_are_no_links(tmp_path: Path, how: str) -> None:
    survived, changes = drive(tmp_path, "attach", how, "bare")
    assert survived >= 3
    assert changes > 20


@pytest.mark.slow
@pytest.mark.parametrize("scenario", ["register", "attach", "archive", "rollback"])
def test_what_clears_up_is_killed_too(tmp_path: Path, scenario: str) -> None:
    survived, _ = drive(tmp_path, scenario, "twice")
    assert survived > 10


def killed_at_random(world: World, turns: int, seed: int) -> int:
    """Kill real commands after a random time each; returns how many of them were caught alive."""
    chance = random.Random(seed)
    (world.place / "extra.txt").write_text("evidence")
    caught = 0
    longest = 0.8
    for turn in range(turns):
        words = [
            ["register", "churn", f"r{turn}", str(world.artefact(f"r{turn}")), "--metadata", str(world.metadata())],
            ["attach", "churn@0", "--evidence", str(world.artefact(f"e{turn}"))],
            ["note", "churn@0", f"note {turn}"],
            ["archive", f"churn@a{turn % 4}", "--reason", "old"],
        ][turn % 4]
        began = time.monotonic()
        process = start(world.root, *words)
        time.sleep(chance.uniform(0.15, longest))
        process.send_signal(signal.SIGKILL)
        status = end(process).status
        caught += status == -signal.SIGKILL
        if status == 0:
            longest = max(0.3, time.monotonic() - began)
        if turn % 2:
            cleared = run(world.root, "note", "churn@0", f"after {turn}")
            assert cleared.status == 0, cleared.err
            assert_whole(world.root)
    return caught


@pytest.mark.parametrize("turns", [4, pytest.param(40, marks=pytest.mark.slow)])
def test_killed_at_random(tmp_path: Path, turns: int) -> None:
    world = World(tmp_path / "world")
    world.register("0")
    for number in range(4):
        world.register(f"a{number}")
    assert killed_at_random(world, turns, seed=turns) > 0
