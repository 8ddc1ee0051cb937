"""Copies a tree in one pass, hashing what it writes, then reads the copy back and makes it durable.

Rules held here: the copy counts only when its BLAKE3 equals that of the bytes read and the source did not
move meanwhile; nothing that stands is overwritten. Throwing away a half copy is left to the caller.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from manual_registry.adapters import tree
from manual_registry.adapters.files import os_errors, start_write_back, sync_tree, unreadable
from manual_registry.core.errors import CopyDiffers, DiskFull, SourceChanged, raise_for
from manual_registry.core.manifest import FileEntry, Kind, compare, printable
from manual_registry.ports import Progress

#: Bytes of one write, as cp does it: larger ones make Linux look for large free pages, which costs three times as much.
_WRITE = 128 << 10
#: Start the disk on so many bytes at a time, so that the fsync at the end finds little left to do.
_WRITE_BACK = 32 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Copied:
    """What was copied: ``files`` with both hashes, in no particular order."""

    kind: Kind
    name: str | None
    files: tuple[FileEntry, ...]
    left_out: tuple[str, ...] = ()


def copy_verified(
    source: Path,
    into: Path,
    *,
    dereference: bool = False,
    leave_out: bool = True,
    progress: Progress | None = None,
) -> Copied:
    """Copy ``source`` (a file under its name, a directory's inside) into the empty directory ``into``.

    ``progress`` gets bytes copied. Raises the problems of the source together, SourceChanged, CopyDiffers,
    DiskFull, StorageReadOnly or StorageFailed.
    """
    found = tree.walk(source, dereference=dereference, leave_out=leave_out)
    raise_for(found.problems)
    check_room(into, found.size)
    tick = tree.counter(progress, found.size)
    files = tuple(_copy_all(found.files, into, tick))
    _still_the_same(source, found, dereference, leave_out)
    _read_back(into, files)
    return Copied(kind=found.kind, name=found.name, files=files, left_out=found.left_out)


def check_room(where: Path, size: int) -> None:
    """Raise :class:`DiskFull` before the copy when ``size`` bytes plainly do not fit at ``where``."""
    with os_errors(where):
        facts = os.statvfs(where)
    free = facts.f_bavail * facts.f_frsize
    if facts.f_blocks and size > free:
        raise DiskFull(f"{where}: {size} bytes are needed, {free} are free; make room and repeat the command")


def _copy_all(sources: Iterable[tree.Source], into: Path, tick: Callable[[int], None] | None) -> Iterable[FileEntry]:
    folders: set[Path] = {into}
    for source in sources:
        target = into / source.path
        if target.parent not in folders:
            with os_errors(target.parent):
                target.parent.mkdir(parents=True, exist_ok=True)
            folders.add(target.parent)
        yield copy_file(source, target, tick)


def copy_file(source: tree.Source, target: Path, tick: Callable[[int], None] | None = None) -> FileEntry:
    """Copy one file to ``target``, which must not exist; return it with both hashes."""
    from manual_registry.adapters.hashing import read_through

    shown = printable(source.path)
    with tree.opened_source(source) as descriptor:
        with os_errors(shown):
            sink = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            done = read_through(descriptor, sha256=True, sink=_writer(sink, shown), tick=tick)
        except OSError as error:
            raise unreadable(error, shown) from error
        finally:
            with os_errors(shown):
                os.close(sink)
    return FileEntry(path=source.path, size=done.size, blake3=done.blake3, sha256=done.sha256)


def _writer(descriptor: int, shown: str) -> Callable[[memoryview], None]:
    written = started = 0

    def write(piece: memoryview) -> None:
        nonlocal written, started
        with os_errors(shown):
            while piece:
                count = os.write(descriptor, piece[:_WRITE])
                piece = piece[count:]
                written += count
        if written - started >= _WRITE_BACK:
            start_write_back(descriptor, started, written - started)
            started = written

    return write


def _still_the_same(source: Path, before: tree.Walk, dereference: bool, leave_out: bool) -> None:
    after = tree.walk(source, dereference=dereference, leave_out=leave_out)
    if after.files != before.files:
        shown = printable(str(source))
        raise SourceChanged(
            f"{shown}: changed while it was being copied; repeat when nothing writes to it", location=shown
        )


def _read_back(into: Path, files: tuple[FileEntry, ...]) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool, os_errors(into):
        durable = pool.submit(sync_tree, into)  # the disk works while the copy is read back
        back = tree.survey(into)
        durable.result()
    raise_for(back.problems)
    raise_for(
        CopyDiffers(
            f"{path.path}: the copy is not equal to what was read; the disk may be failing",
            location=path.path,
        )
        for path in compare(files, back.files)
    )
