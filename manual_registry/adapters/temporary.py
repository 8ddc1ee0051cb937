"""A private temporary directory outside of the registry, for copies that are looked at and go again.

Rules held here: it lies where the system keeps temporary files (``TMPDIR``), never in the registry; nobody else reads it;
it goes at the end, also after Ctrl-C. What a killed process left there is cleared away by the next one of the same person.
"""

from __future__ import annotations

import os
import secrets
import stat
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from manual_registry.adapters import remover
from manual_registry.adapters.copying import check_room
from manual_registry.adapters.files import os_errors
from manual_registry.adapters.locks import FileLock
from manual_registry.core.errors import DiskFull, StorageFailed

_PREFIX = "drill-"
_LOCK = "lock"
#: What may name the place for temporary files, in the order in which Python looks at them.
_NAMED_BY = ("TMPDIR", "TEMP", "TMP")
#: A directory that is younger may be one whose process has not locked it yet; in seconds.
_YOUNG = 60
_ELSEWHERE = "TMPDIR=/a/larger/disk mreg drill"


@contextmanager
def outside(root: Path, size: int, environ: Mapping[str, str]) -> Iterator[Path]:
    """Give an empty directory outside of the registry ``root`` for the time of the block; ``size`` bytes must have room.

    Raises :class:`DiskFull`, :class:`StorageReadOnly`, or :class:`StorageFailed` where the place for temporary files is
    none, or lies in the registry.
    """
    parent = _place(environ)
    if parent.is_relative_to(root.resolve()):
        told = f"{parent}: the place for temporary files lies in the registry; name another one (TMPDIR)"
        raise StorageFailed(told, location=str(parent), hint=_ELSEWHERE)
    _clear(parent)
    check_room(parent, size)
    place = parent / remover.temporary_name(f"{_PREFIX}{secrets.token_hex(8)}")
    lock = FileLock(place / _LOCK)
    with os_errors(parent):
        place.mkdir(mode=0o700)
    try:
        lock.take(0)
        yield place
    finally:
        lock.release()
        with os_errors(place):
            remover.discard_temporary(place)


@contextmanager
def room_told() -> Iterator[None]:
    """Say in an error about a full disk that another place can be named."""
    try:
        yield
    except DiskFull as full:
        raise DiskFull(full.message, location=full.location, hint=full.hint or _ELSEWHERE) from full


def _place(environ: Mapping[str, str]) -> Path:
    """Return where temporary files go: as the environment says, which is never passed over in silence, else as Python finds."""
    named = next((environ[name] for name in _NAMED_BY if environ.get(name)), None)
    try:
        place = Path(named or tempfile.gettempdir()).resolve()
    except OSError as problem:
        raise StorageFailed(f"there is no place for temporary files: {problem}", hint=_ELSEWHERE) from problem
    if not place.is_dir():
        raise StorageFailed(f"{place}: the place for temporary files is no directory", hint=_ELSEWHERE)
    return place


def _clear(parent: Path) -> None:
    """Remove what a killed process of this person left: its lock went with it."""
    for path in parent.glob(remover.temporary_name(f"{_PREFIX}*")):
        try:
            facts = path.lstat()
            if time.time() - facts.st_mtime < _YOUNG:
                continue
            if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.getuid() or not (path / _LOCK).is_file():
                continue
            lock = FileLock(path / _LOCK)
            if lock.take(0):
                lock.release()
                remover.discard_temporary(path)
        except OSError:  # it went meanwhile, or is not ours after all
            continue
