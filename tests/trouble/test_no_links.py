"""A file system without hard links, and one without renameat2 as well: nothing is overwritten all the same."""

from __future__ import annotations

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from trouble import assert_whole, leftovers, tree
from world import LEAD, World

from manual_registry.adapters import files
from manual_registry.adapters.locks import WriteLock
from manual_registry.core.errors import DiskFull, VersionTaken

REFUSALS = [errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EXDEV]


def refuse_links(monkeypatch: pytest.MonkeyPatch, number: int = errno.EPERM) -> list[str]:
    """Let link(2) fail; returns what was to be linked."""
    asked: list[str] = []

    def refused(source: Any, target: Any, **_: Any) -> None:
        asked.append(str(target))
        raise OSError(number, os.strerror(number), str(source), None, str(target))

    monkeypatch.setattr(os, "link", refused)
    return asked


@pytest.fixture(params=["renameat2", "nothing"])
def bare(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """No links; with ``nothing`` no renaming without replacing either."""
    if request.param == "nothing":
        monkeypatch.setattr(files, "_rename_noreplace", lambda _source, _target: None)
    return refuse_links(monkeypatch)


def test_a_whole_life(bare: list[str], tmp_path: Path) -> None:
    world = World(tmp_path / "world")
    world.to_production("1")
    world.to_production("2")
    extra = tmp_path / "extra.txt"
    extra.write_text("evidence")
    world.as_().attach("churn@2", evidence=[extra])
    world.as_().archive("churn@1", reason="replaced")
    world.as_("ci@example.org").rollback(
        "churn", to="1", reason="2 is bad", pipeline="ci", pipeline_key=world.key("ci")
    )
    world.as_().fetch("churn@1", tmp_path / "out.bin")
    with pytest.raises(VersionTaken):
        world.as_().register("churn", "2", world.artefact("other"), metadata=world.metadata())
    assert len([path for path in bare if "/ledger/" in path]) == world.as_().head[0]
    assert all(path.stat().st_mode & 0o777 == 0o444 for path in (world.root / "ledger").iterdir())
    assert all(path.stat().st_nlink == 1 for path in (world.root / "ledger").iterdir())
    assert_whole(world.root, but={"MR-W001"})  # the rollback is not ratified


@pytest.mark.parametrize("number", REFUSALS)
def test_whatever_the_file_system_calls_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: int) -> None:
    refuse_links(monkeypatch, number)
    world = World(tmp_path / "world", risk="minimal", leads=())
    world.register("1")
    assert_whole(world.root)


def test_an_event_is_never_overwritten(bare: list[str], tmp_path: Path) -> None:
    target = tmp_path / "000000000001.json"
    assert files.put_if_absent(target, b"first")
    assert not files.put_if_absent(target, b"second")
    assert target.read_bytes() == b"first"
    assert [path.name for path in tmp_path.iterdir()] == [target.name]
    assert len(bare) == 2


def test_a_claim_that_a_kill_left_goes_with_the_next_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path / "world", risk="minimal", leads=())
    world.register("1")
    refuse_links(monkeypatch)
    monkeypatch.setattr(files, "_rename_noreplace", lambda _source, _target: None)
    (world.root / "ledger" / ".mreg-tmp-claim-000000000003.json").touch()
    world.as_().note("churn@1", "life goes on")
    assert_whole(world.root)


def test_many_want_one_number(bare: list[str], tmp_path: Path) -> None:
    target = tmp_path / "000000000001.json"
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda number: files.put_if_absent(target, b"%d" % number * 1000), range(40)))
    assert won.count(True) == 1
    assert target.read_bytes() == b"%d" % won.index(True) * 1000
    assert [path.name for path in tmp_path.iterdir()] == [target.name]


def test_writers_without_a_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four threads, no links, no write lock: every note is in the chain, once. Without renameat2 one must write."""
    refuse_links(monkeypatch)
    world = World(tmp_path / "world", risk="minimal", leads=())
    world.register("1")
    with monkeypatch.context() as patch:
        patch.setattr(WriteLock, "__enter__", lambda self: self)
        patch.setattr(WriteLock, "__exit__", lambda self, *_: None)
        patch.setattr("manual_registry.registry.views.publish", lambda work, loaded: None)

        def write(number: int) -> None:
            for turn in range(5):
                world.as_(f"writer{number}@example.org").note("churn@1", f"{number}.{turn}")

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(write, range(4)))
    texts = [one["text"] for one in world.as_().show("churn@1")["notes"]]
    assert sorted(texts) == sorted(f"{number}.{turn}" for number in range(4) for turn in range(5))
    world.as_().note("churn@1", "and the views catch up")
    assert_whole(world.root)


@pytest.mark.parametrize("command", ["register", "note", "sign"])
def test_a_full_disk_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    """There is no room for the claim to the event's name: no event, and all is taken back."""
    world = World(tmp_path / "world")
    world.register("0")
    asked = world.as_().approval_request("churn@0", to="staging").id or ""
    acts = {
        "register": lambda: world.register("1"),
        "note": lambda: world.as_().note("churn@0", "a word"),
        "sign": lambda: world.as_(LEAD).approval_sign(asked, as_=LEAD, key=world.key(LEAD)),
    }
    before = tree(world.root)
    opened = os.open

    def full(path: Any, flags: int, *more: Any, **named: Any) -> int:
        if "-claim-" in str(path):
            raise OSError(errno.ENOSPC, "No space left on device")
        return opened(path, flags, *more, **named)

    with monkeypatch.context() as patch:
        refuse_links(patch)
        patch.setattr(files, "_rename_noreplace", lambda _source, _target: None)
        patch.setattr(os, "open", full)
        with pytest.raises(DiskFull):
            acts[command]()
    assert tree(world.root) == before
    assert leftovers(world.root) == []
    acts[command]()
    assert_whole(world.root)
