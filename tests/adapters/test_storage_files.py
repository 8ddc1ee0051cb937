"""Atomic writes, put-if-absent on file systems that refuse links, locks, and the one module that removes."""

from __future__ import annotations

import ast
import errno
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import manual_registry
from manual_registry.adapters import files, remover
from manual_registry.adapters.locks import FileLock, WriteLock
from manual_registry.core.errors import (
    BagInvalid,
    Busy,
    DeletionRefused,
    DiskFull,
    RegistryError,
    StorageFailed,
    StorageReadOnly,
)


def refuse_links(monkeypatch: pytest.MonkeyPatch, number: int = errno.EPERM) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", refuse)


def refuse_renameat2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_rename_noreplace", lambda *_: None)


@pytest.mark.parametrize("way", ["link", "rename", "exclusive"])
def test_put_if_absent(tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if way != "link":
        refuse_links(monkeypatch)
    if way == "exclusive":
        refuse_renameat2(monkeypatch)
    path = tmp_path / "event.json"
    assert files.put_if_absent(path, b"one")
    assert not files.put_if_absent(path, b"two")
    assert path.read_bytes() == b"one"
    assert stat.S_IMODE(path.stat().st_mode) == 0o444
    assert [found.name for found in tmp_path.iterdir()] == ["event.json"]


@pytest.mark.parametrize("way", ["link", "rename", "exclusive"])
def test_put_if_absent_has_one_winner(tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if way != "link":
        refuse_links(monkeypatch, errno.ENOTSUP)
    if way == "exclusive":
        refuse_renameat2(monkeypatch)
    for turn in range(20):
        path = tmp_path / f"{turn}.json"
        wins: list[int] = []
        barrier = threading.Barrier(4)

        def put(number: int, path: Path = path, wins: list[int] = wins, barrier: threading.Barrier = barrier) -> None:
            barrier.wait()
            if files.put_if_absent(path, str(number).encode()):
                wins.append(number)

        threads = [threading.Thread(target=put, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(wins) == 1
        assert path.read_text() == str(wins[0])


def test_put_if_absent_never_follows_a_link(tmp_path: Path) -> None:
    (tmp_path / "event.json").symlink_to(tmp_path / "elsewhere")
    assert not files.put_if_absent(tmp_path / "event.json", b"x")
    assert not (tmp_path / "elsewhere").exists()


def test_write_atomic(tmp_path: Path) -> None:
    path = tmp_path / "registry.toml"
    files.write_atomic(path, b"one")
    files.write_atomic(path, b"two")
    assert path.read_bytes() == b"two"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("number", "error"),
    [
        (errno.ENOSPC, DiskFull),
        (errno.EDQUOT, DiskFull),
        (errno.EROFS, StorageReadOnly),
        (errno.EACCES, StorageReadOnly),
        (errno.EPERM, StorageReadOnly),
        (errno.EIO, StorageFailed),
    ],
)
def test_errors_are_ours_and_the_old_file_stands(
    tmp_path: Path, number: int, error: type[RegistryError], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "f"
    files.write_atomic(path, b"old")

    def fail(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "write", fail)
    for write in (files.write_atomic, files.put_if_absent):
        with pytest.raises(error):
            write(path, b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_move_new_replaces_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b", "empty"):
        (tmp_path / name).mkdir()
    (tmp_path / "a" / "f").touch()
    assert not files.move_new(tmp_path / "a", tmp_path / "empty")
    assert files.move_new(tmp_path / "a", tmp_path / "c")
    refuse_renameat2(monkeypatch)
    assert not files.move_new(tmp_path / "c", tmp_path / "empty")
    assert files.move_new(tmp_path / "c", tmp_path / "d")


def test_sync_tree_of_many_files(tmp_path: Path) -> None:
    for number in range(250):
        (tmp_path / str(number)).touch()
    files.sync_tree(tmp_path)


def test_read_only_tree(tmp_path: Path) -> None:
    tree = tmp_path / "t"
    (tree / "d").mkdir(parents=True)
    (tree / "d" / "f").touch()
    files.make_read_only(tree)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (tree, tree / "d", tree / "d" / "f")] == [0o555, 0o555, 0o444]
    with files.opened(tree):
        assert stat.S_IMODE(tree.stat().st_mode) == 0o755
    assert stat.S_IMODE(tree.stat().st_mode) == 0o555


def test_write_lock_waits_and_gives_up(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys; from pathlib import Path; from manual_registry.adapters.locks import WriteLock\n"
            "with WriteLock(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()",
            str(tmp_path),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None and holder.stdin is not None
    holder.stdout.readline()
    with pytest.raises(Busy), WriteLock(tmp_path, timeout=0.1):
        pass
    holder.kill()
    holder.wait()
    holder.stdout.close()
    holder.stdin.close()
    with WriteLock(tmp_path, timeout=1):  # the kernel released it
        pass


def test_two_locks_on_one_path_in_one_process(tmp_path: Path) -> None:
    one, other = FileLock(tmp_path / "l"), FileLock(tmp_path / "l")
    assert one.take(0)
    assert not other.take(0)
    one.release()
    assert other.take(0)
    other.release()


# -- RP-3: the one module that removes ---------------------------------------------------------------------------

REMOVING = {"unlink", "rmtree", "rmdir", "remove", "removedirs"}
#: What these remove lies outside every registry.
OUTSIDE = {
    "adapters/keyfiles.py": "half of a new key pair",
    "adapters/memory.py": "this machine's own memory, in the user's state directory",
    "cli/output.py": "the draft of a file named by -o",
}


def test_only_the_remover_removes() -> None:
    package = Path(manual_registry.__file__).parent
    offenders: list[str] = []
    for path in package.rglob("*.py"):
        if path.name == "remover.py" and path.parent.name == "adapters":
            continue
        if path.relative_to(package).as_posix() in OUTSIDE:
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            called = node.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            of_os = isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name) and called.value.id == "os"
            if name in REMOVING and (name != "remove" or of_os):
                offenders.append(f"{path.relative_to(package)}:{node.lineno}: {name}")
    assert offenders == []


def test_the_remover_refuses_everything_else(tmp_path: Path) -> None:
    version = tmp_path / "models" / "m" / "1"
    version.mkdir(parents=True)
    (version / "record.json").touch()
    (version / "evidence").mkdir()
    for call in (
        lambda: remover.discard_temporary(version),
        lambda: remover.discard_incoming(version),
        lambda: remover.discard_incoming(tmp_path / ".incoming" / ".lock"),
        lambda: remover.discard_evidence(version / "record.json"),
        lambda: remover.discard_evidence(version / "evidence"),
        lambda: remover.remove_working_copy(version, tmp_path / "x", bag=version, check=lambda _: []),
        lambda: remover.discard_old_renderings([tmp_path / f"{n}.txt" for n in range(9)]),
    ):
        with pytest.raises(DeletionRefused) as caught:
            call()
        assert caught.value.clause == "RP-3"
    with pytest.raises(BagInvalid):
        remover.remove_working_copy(version, tmp_path / "x", bag=version, check=lambda _: [BagInvalid("no")])
    assert (version / "record.json").exists()


def test_old_renderings_beyond_the_last_five(tmp_path: Path) -> None:
    paths = [tmp_path / f"registry.2026-11-0{day}.xlsx" for day in range(1, 9)]
    for path in paths:
        path.touch()
    assert remover.discard_old_renderings(paths[::-1], keep=1) == tuple(paths[:3])
    assert sorted(tmp_path.iterdir()) == paths[3:]
    assert remover.discard_old_renderings(paths[3:]) == ()


def test_stale_temporaries(tmp_path: Path) -> None:
    (tmp_path / remover.temporary_name("x")).touch()
    (tmp_path / "mine").touch()
    remover.discard_temporaries(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
