"""`drill` in trouble: no room, kill -9, Ctrl-C, several at once. The registry is untouched, and nothing is recorded by half."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from trouble import assert_whole, end, leftovers, mounted, run, start, together, tree, wait_for
from world import World

SIZE = 96 << 20


@pytest.fixture
def world(tmp_path: Path) -> World:
    """One archived version of 96 MB."""
    made = World(tmp_path / "world", risk="minimal", leads=())
    source = made.place / "big.bin"
    with source.open("wb") as file:
        file.truncate(SIZE)
    made.as_().register("churn", "1", source)
    made.as_().archive("churn@1", reason="old")
    return made


def copying(place: Path, least: int) -> bool:
    """Tell whether a copy of ``least`` bytes or more is being made at ``place``."""
    return any(path.is_file() and path.stat().st_size >= least for path in place.glob(".mreg-tmp-drill-*/**/*"))


def begun(world: World, place: Path) -> subprocess.Popen[str]:
    """Start a drill and wait until it copies."""
    place.mkdir(exist_ok=True)
    process = start(world.root, "drill", env={"TMPDIR": str(place)})
    wait_for(lambda: copying(place, 1 << 20) or process.poll() is not None, "the copy has begun")
    assert process.poll() is None, process.communicate()
    return process


@pytest.mark.slow
def test_killed_and_stopped(world: World, tmp_path: Path) -> None:
    before, place = tree(world.root), tmp_path / "temporary"
    process = begun(world, place)
    process.send_signal(signal.SIGKILL)
    assert end(process).status == -signal.SIGKILL
    assert tree(world.root) == before
    assert leftovers(world.root) == []
    (left,) = place.iterdir()
    other = tmp_path / "other"
    process = begun(world, other)
    process.send_signal(signal.SIGINT)
    ended = end(process)
    assert (ended.status, ended.out) == (130, "")
    assert "stopped; no copy is left" in ended.err
    assert [*other.iterdir()] == []
    assert tree(world.root) == before
    assert left.stat().st_mode & 0o077 == 0, "nobody else reads a model there"
    assert run(world.root, "drill", env={"TMPDIR": str(place)}).status == 0
    assert [*place.iterdir()] == [left], "it may be another's that has only just begun"
    os.utime(left, (time.time() - 120,) * 2)
    assert run(world.root, "drill", env={"TMPDIR": str(place)}).status == 0
    assert [*place.iterdir()] == []
    assert_whole(world.root)


@pytest.mark.slow
def test_a_temporary_place_without_room(world: World, tmp_path: Path) -> None:
    """Told before anything is copied; and in the middle, where the room went meanwhile."""
    with mounted(tmp_path / "disk", "64m") as disk:
        before = tree(world.root)
        ended = run(world.root, "--json", "drill", env={"TMPDIR": str(disk)})
        assert (ended.status, ended.out) == (8, "")
        error = json.loads(ended.err)["error"]
        assert error["code"] == "MR-X001"
        assert "TMPDIR" in error["details"]["next"]
        assert [*disk.iterdir()] == []
        assert tree(world.root) == before
    with mounted(tmp_path / "disk", "100m") as disk:
        process = begun(world, disk)
        ballast = disk / "ballast"
        with ballast.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"\0" * (1 << 20))
            except OSError:
                pass
        ended = end(process)
        assert ended.status == 8, (ended.out, ended.err)
        assert "MR-X001" in ended.err
        assert "next: TMPDIR=" in ended.err
        assert [*disk.iterdir()] == [ballast]
        assert tree(world.root) == before
    assert_whole(world.root)


@pytest.mark.slow
def test_two_at_once_beside_another_writer(world: World, tmp_path: Path) -> None:
    commands = [["--json", "drill"], ["--json", "drill", "--sample", "1"], ["--json", "note", "churn@1", "seen"]]
    ended = together(world.root, commands, at=tmp_path / "gate")
    assert [one.status for one in ended] == [0, 0, 0], [one.err for one in ended]
    events = [json.loads(one.out)["events"][0] for one in ended]
    assert len(set(events)) == 3
    types = [one["type"] for one in world.as_().history()]
    assert types.count("retrieval.drilled") == 2
    assert_whole(world.root)


@pytest.mark.slow
def test_a_copy_of_the_registry_that_cannot_be_written(world: World, tmp_path: Path) -> None:
    """Refused before gigabytes are copied."""
    with mounted(tmp_path / "disk", "400m") as disk:
        subprocess.run(["cp", "-a", str(world.root), str(disk / "registry")], check=True)
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        place = tmp_path / "temporary"
        place.mkdir()
        ended = run(disk / "registry", "drill", env={"TMPDIR": str(place)})
        assert ended.status == 8
        assert "MR-X002" in ended.err
        assert [*place.iterdir()] == []
