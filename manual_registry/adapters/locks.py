"""Locks: one writer per registry on one machine, and one owner per half-made copy.

Rules held here: a lock belongs to a living process (flock: it goes with it); waiting has an end (Busy).
What several machines on one file system may do beside each other rests on put-if-absent, not on these
locks.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from manual_registry.adapters.files import make_directory, os_errors
from manual_registry.core.errors import Busy

if TYPE_CHECKING:
    from filelock import BaseFileLock


class FileLock:
    """A lock on ``path``; entering it twice in one process is counted, not blocked."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: BaseFileLock | None = None

    def take(self, timeout: float) -> bool:
        """Take the lock within ``timeout`` seconds; return whether it was taken."""
        from filelock import FileLock as Lock
        from filelock import Timeout

        with os_errors(self.path):
            make_directory(self.path.parent)
            if self._lock is None:
                self._lock = Lock(self.path, thread_local=False)
            try:
                self._lock.acquire(timeout=timeout, poll_interval=0.02)
            except Timeout:
                return False
        return True

    def release(self) -> None:
        """Let go, if held."""
        if self._lock is not None:
            self._lock.release()


class WriteLock(FileLock):
    """The registry's write lock, models/.incoming/.lock, as a context manager.

    >>> with WriteLock(root, timeout=30.0):   # doctest: +SKIP
    ...     ...
    """

    def __init__(self, root: Path, *, timeout: float = 60.0) -> None:
        super().__init__(root / "models" / ".incoming" / ".lock")
        self.timeout = timeout

    def __enter__(self) -> WriteLock:
        """Wait for the lock; raises :class:`Busy` after ``timeout`` seconds."""
        if not self.take(self.timeout):
            raise Busy(
                f"another process is writing to this registry (waited {self.timeout:g} s); repeat the command later",
                location=str(self.path),
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
