"""Locks that do not reach other machines: their live jobs are left alone for a day."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from world import World

from manual_registry.adapters import incoming, machines
from manual_registry.adapters.incoming import Intent
from manual_registry.adapters.machines import locks_are_shared, machine_mark

ROOT = "22 1 8:1 / / rw,relatime - ext4 /dev/vda1 rw"


@pytest.mark.parametrize(
    ("line", "shared"),
    [
        ("30 22 0:40 / /data rw,relatime - nfs4 host:/x rw,vers=4.2,local_lock=none,addr=10.0.0.1", True),
        ("30 22 0:40 / /data rw,relatime - nfs host:/x rw,vers=3,nolock,addr=10.0.0.1", False),
        ("30 22 0:40 / /data rw,relatime - nfs host:/x rw,vers=3,local_lock=all", False),
        ("30 22 0:40 / /data rw,relatime shared:4 - cifs //host/x rw,nobrl", False),
        ("30 22 0:40 / /data rw,relatime - cifs //host/x rw", True),
        ("30 22 0:40 / /data rw - fuse.sshfs host:/x rw", False),
        ("30 22 0:40 / /data rw - xfs /dev/sdb rw", True),
        ("30 22 0:40 / /da rw - fuse.sshfs host:/x rw", True),
        (r"30 22 0:40 / /data/my\040models rw - fuse.sshfs host:/x rw", True),
        ("nonsense", True),
    ],
)
def test_which_locks_reach_other_machines(tmp_path: Path, line: str, *, shared: bool) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"{ROOT}\n{line}\n")
    assert locks_are_shared(Path("/data/registry"), mounts) is shared


def test_the_deepest_and_the_last_mount_counts(tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        f"{ROOT}\n30 22 0:40 / /data rw - fuse.sshfs h:/ rw\n31 30 8:2 / /data/own\\040disk rw - ext4 /dev/b rw\n"
    )
    assert not locks_are_shared(Path("/data/x"), mounts)
    assert locks_are_shared(Path("/data/own disk/x"), mounts)
    mounts.write_text(f"{ROOT}\n30 22 0:40 / /data rw - fuse.sshfs h:/ rw\n31 30 8:2 / /data rw - ext4 /dev/b rw\n")
    assert locks_are_shared(Path("/data/x"), mounts)


def test_where_it_cannot_be_told_the_locks_are_trusted(tmp_path: Path) -> None:
    assert locks_are_shared(tmp_path, tmp_path / "absent")
    assert len(machine_mark()) == 16


@pytest.fixture
def foreign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A registry on a file system without common locks, in which another machine restores churn@1 from its bag."""
    monkeypatch.chdir(tmp_path)
    world = World(tmp_path / "world")
    world.register("1")
    world.as_().archive("churn@1", reason="old")
    monkeypatch.setattr(incoming, "locks_are_shared", lambda _root: False)
    job = incoming.start(world.root)
    (job.directory / "artefact").mkdir()
    job.declare(Intent(kind="unarchive", model="churn", version="1", target="models/churn/1"))
    (incoming.incoming(world.root) / f"{job.token}.owner").write_text("another machine")
    job.leave()
    return world


def owner_of(world: World) -> Path:
    (found,) = incoming.incoming(world.root).glob("*.owner")
    return found


def test_a_live_job_of_another_machine_is_left_alone(foreign: World) -> None:
    placed = foreign.root / "models" / "churn" / "1"
    placed.mkdir()  # it has just moved there, and its event comes next
    foreign.register("2")
    assert owner_of(foreign).with_suffix("").is_dir()
    assert placed.is_dir()


def test_after_a_day_it_counts_as_dead(foreign: World) -> None:
    yesterday = time.time() - 25 * 3600
    os.utime(owner_of(foreign), (yesterday, yesterday))
    foreign.register("2")
    assert [path.name for path in incoming.incoming(foreign.root).iterdir()] == [".lock"]


def test_with_common_locks_a_lock_that_can_be_taken_says_all(foreign: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incoming, "locks_are_shared", machines.locks_are_shared)
    foreign.register("2")
    assert [path.name for path in incoming.incoming(foreign.root).iterdir()] == [".lock"]
