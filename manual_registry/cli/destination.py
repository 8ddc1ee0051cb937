"""Files that the command line itself writes (``-o``, ``--template``).

Rule held here: none of them lands on a name that belongs to the registry, or on a file that somebody may still need.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from manual_registry.cli.options import is_stdout
from manual_registry.cli.output import clean, out, write_file
from manual_registry.cli.session import Session
from manual_registry.core.errors import DestinationTaken

#: Nothing that a command writes is larger, in bytes.
_MOST: Final = 64 * 1024 * 1024


def check_destination(session: Session, path: Path, *, fresh: bool = False, hint: str | None = None) -> None:
    """Refuse a path that is a directory or the registry's own; with ``fresh`` also one that exists.

    ``hint`` is the command to type instead.
    """
    problem = _problem(session, path, fresh)
    if problem:
        raise DestinationTaken(f"{path}: {problem}; name another file", location=str(path), hint=hint)


def free_beside(session: Session, path: Path) -> Path | None:
    """Return a name like ``path`` (``A21-2.json``) that can be written to; None unless a file stands at ``path``."""
    if not path.is_file():
        return None
    others = (path.with_name(f"{path.stem}-{number}{path.suffix}") for number in range(2, 1000))
    return next((one for one in others if _problem(session, one, True) is None), None)


def _problem(session: Session, path: Path, fresh: bool) -> str | None:
    if path.is_dir():
        return "is a directory"
    if session.opened is not None and session.opened.owns(path):
        return "belongs to the registry"
    if fresh and (path.is_file() or (path.is_symlink() and not path.exists())):  # a device or a pipe is written to
        return "exists already and is not overwritten"
    return None


def make_folder(path: Path) -> None:
    """Make the folder of a file that is to be written where a system looks for it (``.github/workflows/``)."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise DestinationTaken(f"{path.parent}: cannot be made: {problem.strerror}", location=str(path)) from problem


def _holds(path: Path, data: bytes, replaces: Callable[[bytes], bool] | None) -> bool:
    """Tell whether a file has exactly these bytes, or those of an earlier run: written again, nothing is lost."""
    try:
        if not path.is_file() or path.stat().st_size > _MOST:
            return False
        found = path.read_bytes()
        return found == data or (replaces is not None and replaces(found))
    except OSError:
        return False  # told where it is written


def deliver(
    session: Session, path: Path | None, data: bytes, *, replaces: Callable[[bytes], bool] | None = None
) -> None:
    """Write ``data`` to the file of ``-o`` and say so; nothing when ``-o`` is standard output.

    Raises :class:`DestinationTaken` where a file stands with other bytes, unless ``replaces`` says of them that they
    are what an earlier run wrote: whose they are cannot be known else.
    """
    if path is None or is_stdout(path):
        return
    check_destination(session, path, fresh=not _holds(path, data, replaces))
    write_file(path, data)
    if not session.json:
        out(f"written to {clean(path)}")
