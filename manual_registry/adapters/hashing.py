"""Reads a file once, through BLAKE3 and, when asked, SHA-256 and a copy, in constant memory.

Rules held here: one pass over the source; the bytes hashed are the bytes written. A ring of a few buffers
lets the reader, the writer and the two hashers (which release the interpreter lock) overlap. Reading beats
mapping the file here, does not count against memory, and cannot die of SIGBUS when somebody truncates the
file.
"""

from __future__ import annotations

import hashlib
import mmap
import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from concurrent.futures import Future
    from pathlib import Path

#: Bytes of one buffer of the ring; files up to one buffer are handled without threads.
BUFFER = 2 << 20
_SLOTS = 6

Tick = Callable[[int], None]
#: Takes a piece whole, or raises one of our errors.
Sink = Callable[[memoryview], None]
_Update = Callable[[memoryview], object]


@dataclass(frozen=True, kw_only=True, slots=True)
class Hashed:
    """What was read: ``size`` in bytes, hashes as lower-case hex (``sha256`` None: not asked)."""

    size: int
    blake3: str
    sha256: str | None


def file_sha256(path: Path) -> str | None:
    """Return the SHA-256 of a file, links followed; None where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def read_through(
    source: int,
    *,
    sha256: bool,
    sink: Sink | None = None,
    tick: Tick | None = None,
    buffer: int = BUFFER,
    alone: bool = True,
) -> Hashed:
    """Read descriptor ``source`` to its end; hand every piece to ``sink`` on the way.

    ``tick`` is called with the bytes of each piece; ``buffer`` is the size of a piece in bytes. ``alone`` False: other
    files are hashed at the same time, so that this thread is all that works on this one. ``OSError`` passes through.
    """
    from blake3 import blake3

    small = os.fstat(source).st_size <= buffer
    fast = blake3(max_threads=blake3.AUTO if alone and not small else 1)
    slow = hashlib.sha256() if sha256 else None
    updates: list[_Update] = [fast.update] + ([slow.update] if slow else [])
    read = _small if small else _large if alone else _steady
    size = read(source, updates, sink, tick, buffer)
    return Hashed(size=size, blake3=str(fast.hexdigest()), sha256=slow.hexdigest() if slow else None)


def _small(source: int, updates: list[_Update], sink: Sink | None, tick: Tick | None, buffer: int) -> int:
    size = 0
    while data := os.read(source, buffer):
        view = memoryview(data)
        for update in updates:
            update(view)
        if sink:
            sink(view)
        size += len(data)
        if tick:
            tick(len(data))
    return size


def _steady(source: int, updates: list[_Update], sink: Sink | None, tick: Tick | None, buffer: int) -> int:
    """Read and hash in one thread: what it reads stays in the cache of its core."""
    whole = _buffer(buffer)
    size = 0
    while count := os.readv(source, [whole]):
        piece = whole[:count]
        for update in updates:
            update(piece)
        if sink:
            sink(piece)
        size += count
        if tick:
            tick(count)
    return size


def _buffer(size: int) -> memoryview:
    # It begins with a page, unlike malloc's: Linux copies to an address 16 bytes off at less than half the speed.
    return memoryview(mmap.mmap(-1, size))


def _large(source: int, updates: list[_Update], sink: Sink | None, tick: Tick | None, buffer: int) -> int:
    from concurrent.futures import ThreadPoolExecutor

    buffers = [_buffer(buffer) for _ in range(_SLOTS)]
    pending: list[list[Future[object]]] = [[] for _ in buffers]
    size = slot = 0
    with ExitStack() as stack:
        # One thread each: a hash must see its pieces in order.
        workers = [stack.enter_context(ThreadPoolExecutor(1)) for _ in updates]
        while True:
            for done in pending[slot]:
                done.result()
            count = os.readv(source, [buffers[slot]])
            if not count:
                break
            piece = buffers[slot][:count]
            pending[slot] = [worker.submit(update, piece) for worker, update in zip(workers, updates, strict=True)]
            if sink:
                sink(piece)
            size += count
            if tick:
                tick(count)
            slot = (slot + 1) % _SLOTS
        for futures in pending:
            for done in futures:
                done.result()
    return size
