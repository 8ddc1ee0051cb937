"""Observes how hard it is to change or delete a stored directory (RP-18: refusal of deletion has a level).

Rules held here: the level is what is seen now, never what was meant: ``none`` (something is writable),
``advisory`` (files 0444, directories 0555), ``administrative`` (every file and directory is immutable,
``chattr +i``).
"""

from __future__ import annotations

import array
import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path

_GET_FLAGS = 0x80086601  # FS_IOC_GETFLAGS
_IMMUTABLE = 0x10  # FS_IMMUTABLE_FL
_WRITABLE = 0o222


def observe(directory: Path) -> str:
    """Return none, advisory or administrative for everything in ``directory``; ``OSError`` passes through."""
    administrative = True
    for path in _all(directory):
        mode = path.lstat().st_mode
        if not stat.S_ISLNK(mode) and mode & _WRITABLE:
            return "none"
        administrative = administrative and _immutable(path)
    return "administrative" if administrative else "advisory"


def _all(directory: Path) -> Iterator[Path]:
    for folder, _, names in os.walk(directory):
        yield Path(folder)
        yield from (Path(folder) / name for name in names)


def _immutable(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        flags = array.array("l", [0])
        fcntl.ioctl(descriptor, _GET_FLAGS, flags)
        return bool(flags[0] & _IMMUTABLE)
    except OSError:  # a file system without such flags
        return False
    finally:
        os.close(descriptor)
