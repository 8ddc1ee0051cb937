"""The command to type again when one that reads from a server was stopped: with every option that was given."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from manual_registry.core.errors import (
    Busy,
    DiskFull,
    RegistryError,
    ServerDown,
    ServerRefused,
    StorageFailed,
    WrongCredentials,
)
from manual_registry.core.manifest import printable

#: What passes, or is mended, so that the same command goes on.
_PASSES: Final = (Busy, DiskFull, ServerDown, ServerRefused, StorageFailed, WrongCredentials)


def spelled(words: Sequence[str]) -> str:
    """Return a command line that a shell reads as ``words``; what no terminal shows is shown as such."""
    return shlex.join(printable(word) for word in words)


@contextmanager
def hinted(words: Sequence[str]) -> Iterator[None]:
    """Name the command in errors that pass, and name no other."""
    try:
        yield
    except RegistryError as problem:
        if problem.hint is None and isinstance(problem, _PASSES):
            problem.hint = spelled(words)
        raise
