"""Ctrl-C in the middle of a command, and a source that changes while it is being copied: nothing half stays."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from trouble import assert_whole, end, environment, leftovers, run, start, tree, wait_for
from world import LEAD, World

from manual_registry.adapters import copying
from manual_registry.adapters import tree as stored
from manual_registry.adapters.ledger_files import LedgerFiles
from manual_registry.core.errors import SourceChanged
from manual_registry.core.ledger import Event


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path / "world")
    made.register("0")
    return made


def sparse(path: Path, size: int) -> Path:
    """Make a file of ``size`` zero bytes that takes no room."""
    with path.open("wb") as file:
        file.truncate(size)
    return path


def copying_now(root: Path, least: int = 1 << 20) -> bool:
    """Tell whether a copy of ``least`` bytes or more is being made in models/.incoming/."""
    for path in (root / "models" / ".incoming").glob("*/**/*"):
        try:
            if path.is_file() and path.stat().st_size >= least:
                return True
        except FileNotFoundError:
            continue
    return False


def interrupted(process: subprocess.Popen[str], root: Path, *, times: int = 1) -> tuple[int, str, str]:
    wait_for(lambda: copying_now(root) or process.poll() is not None, "the copy has begun")
    assert process.poll() is None, process.communicate()
    for _ in range(times):
        process.send_signal(signal.SIGINT)
        time.sleep(0.01)
    ended = end(process)
    return ended.status, ended.out, ended.err


@pytest.mark.parametrize("words", [[], ["--json"]])
def test_ctrl_c_in_the_middle_of_a_copy(world: World, tmp_path: Path, words: list[str]) -> None:
    source = sparse(tmp_path / "big.bin", 400 << 20)
    before, head = tree(world.root), world.as_().head
    process = start(world.root, *words, "register", "churn", "1", str(source), "--metadata", str(world.metadata()))
    status, out, err = interrupted(process, world.root)
    assert status == 130, err
    assert out == ""
    assert "Traceback" not in err
    assert len(err) < 400, err
    assert leftovers(world.root) == []
    assert tree(world.root) == before
    assert world.as_().head == head
    assert_whole(world.root)


def test_ctrl_c_while_a_directory_is_copied(world: World, tmp_path: Path) -> None:
    source = tmp_path / "model"
    source.mkdir()
    for number in range(6):
        sparse(source / f"shard-{number}.bin", 64 << 20)
    before = tree(world.root)
    process = start(world.root, "register", "churn", "1", str(source), "--metadata", str(world.metadata()))
    status, _, err = interrupted(process, world.root)
    assert status == 130, err
    assert leftovers(world.root) == []
    assert tree(world.root) == before
    assert_whole(world.root)


def test_ctrl_c_again_and_again(world: World, tmp_path: Path) -> None:
    """An impatient person: what the second one keeps from being cleared up goes with the next command."""
    source = sparse(tmp_path / "big.bin", 400 << 20)
    head = world.as_().head
    process = start(world.root, "register", "churn", "1", str(source), "--metadata", str(world.metadata()))
    status, _, err = interrupted(process, world.root, times=5)
    assert status in (130, -signal.SIGINT), err
    assert world.as_().head == head
    assert run(world.root, "note", "churn@0", "the next command").status == 0
    assert_whole(world.root)


@pytest.mark.slow
@pytest.mark.parametrize("step", ["archive", "fetch"])
def test_ctrl_c_in_other_copies(world: World, tmp_path: Path, step: str) -> None:
    world.as_().register("churn", "1", sparse(tmp_path / "big.bin", 300 << 20), metadata=world.metadata())
    out = tmp_path / "out" / "copy.bin"
    words = ["archive", "churn@1", "--reason", "old"] if step == "archive" else ["fetch", "churn@1", str(out)]
    process = start(world.root, *words)
    place = world.root if step == "archive" else out.parent

    def begun() -> bool:
        return copying_now(world.root) if step == "archive" else any(place.glob(".mreg-tmp-*/*"))

    wait_for(lambda: begun() or process.poll() is not None, "the copy has begun")
    process.send_signal(signal.SIGINT)
    ended = end(process)
    assert ended.status == 130, ended.err
    assert not out.exists()
    assert not list(place.glob(".mreg-tmp-*"))
    assert leftovers(world.root) == []
    assert (world.root / "models/churn/1/artefact").is_dir()
    assert list((world.root / "archive").glob("*/*")) == []
    assert_whole(world.root)
    again = run(world.root, *words)
    assert again.status == 0, again.err
    assert_whole(world.root)


#: The command line, which makes the file that argv names first when it begins to wait for a lock.
_WAITING = """
import sys
from pathlib import Path
from manual_registry.adapters.locks import FileLock
from manual_registry.cli import main
take = FileLock.take
def told(self, timeout):
    Path(sys.argv[1]).touch()
    return take(self, timeout)
FileLock.take = told
sys.exit(main(sys.argv[2:]))
"""


def test_ctrl_c_while_waiting_for_the_lock(world: World, tmp_path: Path) -> None:
    """Another command holds the lock; the one that waits can be stopped at once."""
    from manual_registry.adapters.locks import WriteLock

    words = ["--registry", str(world.root), "--actor", "sme@example.org", "note", "churn@0", "waiting"]
    with WriteLock(world.root):
        process = subprocess.Popen(
            [sys.executable, "-c", _WAITING, str(tmp_path / "waits"), *words],
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        wait_for((tmp_path / "waits").exists, "it waits for the lock")
        time.sleep(0.2)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        ended = end(process)
    assert ended.status == 130, ended.err
    assert "Traceback" not in ended.err
    assert time.monotonic() - began < 30, "it did not wait for the lock to the end"
    assert_whole(world.root)


def command(world: World, name: str) -> Callable[[], Any]:
    """Prepare ``name`` and return it."""
    if name == "register":
        return lambda: world.register("1")
    if name == "attach":
        extra = world.place / "extra.txt"
        extra.write_text("evidence")
        return lambda: world.as_().attach("churn@0", evidence=[extra])
    if name == "archive":
        return lambda: world.as_().archive("churn@0", reason="old")
    if name == "unarchive":
        world.as_().archive("churn@0", reason="old")
        return lambda: world.as_().unarchive("churn@0", reason="needed")
    if name == "sign":
        asked = world.as_().approval_request("churn@0", to="staging").id or ""
        return lambda: world.as_(LEAD).approval_sign(asked, as_=LEAD, key=world.key(LEAD))
    world.approve("churn@0", "staging")
    return lambda: world.promote("churn@0", "staging")


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("name", ["register", "attach", "archive", "unarchive", "sign", "promote"])
def test_ctrl_c_around_the_event(world: World, monkeypatch: pytest.MonkeyPatch, name: str, moment: str) -> None:
    """At the worst moment: the event is written or not, and the program does not know yet which."""
    act = command(world, name)
    head = world.as_().head
    append = LedgerFiles.append

    def stopped(files: LedgerFiles, event: Event) -> bool:
        if moment == "after":
            append(files, event)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(LedgerFiles, "append", stopped)
        with pytest.raises(KeyboardInterrupt):
            act()
    assert world.as_().head[0] == head[0] + (moment == "after")
    world.as_().note("churn@0", "the next command")
    assert_whole(world.root)


def test_a_source_that_grows_while_it_is_copied(world: World, tmp_path: Path) -> None:
    source = tmp_path / "big.bin"
    source.write_bytes(os.urandom(1 << 20) * 64)
    before = tree(world.root)
    stop = threading.Event()

    def grow() -> None:
        with source.open("ab", buffering=0) as file:
            while not stop.is_set():
                file.write(b"x")
                time.sleep(0.002)

    writer = threading.Thread(target=grow)
    writer.start()
    try:
        ended = run(world.root, "--json", "register", "churn", "1", str(source), "--metadata", str(world.metadata()))
    finally:
        stop.set()
        writer.join()
    assert ended.status == SourceChanged.status, ended.err
    error = json.loads(ended.err)["error"]
    assert error["code"] == SourceChanged.code
    assert "changed while" in error["message"]
    assert tree(world.root) == before
    assert leftovers(world.root) == []
    assert_whole(world.root)


def grown(source: Path) -> None:
    with (source / "b.bin").open("ab") as file:
        file.write(b"more")


def rewritten(source: Path) -> None:
    """The same size; only the time tells."""
    (source / "a.bin").write_bytes(b"B" * 5000)


def replaced(source: Path) -> None:
    """Another file under the name, with the old one's size and time."""
    facts = (source / "a.bin").stat()
    (source / "new").write_bytes(b"B" * 5000)
    os.utime(source / "new", ns=(facts.st_atime_ns, facts.st_mtime_ns))
    (source / "new").replace(source / "a.bin")


def removed(source: Path) -> None:
    (source / "b.bin").unlink()


def added(source: Path) -> None:
    (source / "c.bin").write_bytes(b"new")


def renamed(source: Path) -> None:
    (source / "b.bin").rename(source / "d.bin")


def linked(source: Path) -> None:
    (source / "b.bin").unlink()
    (source / "b.bin").symlink_to("/etc/hostname")


@pytest.mark.parametrize("change", [grown, rewritten, replaced, removed, added, renamed, linked])
@pytest.mark.parametrize("after", [1, 2])
def test_a_directory_that_changes_between_two_files(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], None], after: int
) -> None:
    """``change`` happens when ``after`` of the two files have been copied."""
    source = tmp_path / "model"
    source.mkdir()
    for name in ("a.bin", "b.bin"):
        (source / name).write_bytes(name[:1].encode() * 5000)
    before = tree(world.root)
    copied = [0]
    copy = copying.copy_file

    def then(*arguments: Any, **more: Any) -> Any:
        made = copy(*arguments, **more)
        copied[0] += 1
        if copied[0] == after:
            change(source)
        return made

    with monkeypatch.context() as patch:
        patch.setattr(copying, "copy_file", then)
        with pytest.raises(SourceChanged):
            world.as_().register("churn", "1", source, metadata=world.metadata())
    assert copied[0] >= after
    assert tree(world.root) == before
    assert leftovers(world.root) == []
    assert_whole(world.root)


def test_a_copy_that_is_not_what_was_read(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that loses bits: found by reading the copy back."""
    from manual_registry.core.errors import CopyDiffers

    before = tree(world.root)

    def survey(place: Path, **more: Any) -> Any:
        for path in place.rglob("*.bin"):
            path.write_bytes(b"X" + path.read_bytes()[1:])
        return real(place, **more)

    real = stored.survey
    with monkeypatch.context() as patch:
        patch.setattr(stored, "survey", survey)
        with pytest.raises(CopyDiffers):
            world.register("1")
    assert tree(world.root) == before
    assert_whole(world.root)
