"""Files that the command line itself writes (``-o``, ``--template``).

Rule held here: none of them lands on a name that belongs to the registry.
"""

from __future__ import annotations

from pathlib import Path

from manual_registry.cli.options import is_stdout
from manual_registry.cli.output import clean, out, write_file
from manual_registry.cli.session import Session
from manual_registry.core.errors import DestinationTaken

#: Names in the root that are the registry's own.
OWN_NAMES = frozenset(
    {
        "registry.toml",
        "registry.xlsx",
        "readme.txt",
        "format.md",
        ".gitattributes",
        "allowed_signers",
        "ledger",
        "models",
        "archive",
        "approvals",
    }
)


def check_destination(session: Session, path: Path, *, fresh: bool = False) -> None:
    """Refuse a path that is a directory or the registry's own; with ``fresh`` also one that exists."""
    problem = _problem(session, path, fresh)
    if problem:
        raise DestinationTaken(f"{path}: {problem}; name another file", location=str(path))


def _problem(session: Session, path: Path, fresh: bool) -> str | None:
    if path.is_dir():
        return "is a directory"
    if session.opened is not None:
        root, target = session.opened.root.resolve(), path.parent.resolve() / path.name
        if target.is_relative_to(root) and target.relative_to(root).parts[0].lower() in OWN_NAMES:
            return "belongs to the registry"
    if fresh and (path.exists() or path.is_symlink()):
        return "exists already and is not overwritten"
    return None


def make_folder(path: Path) -> None:
    """Make the folder of a file that is to be written where a system looks for it (``.github/workflows/``)."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise DestinationTaken(f"{path.parent}: cannot be made: {problem.strerror}", location=str(path)) from problem


def deliver(session: Session, path: Path | None, data: bytes) -> None:
    """Write ``data`` to the file of ``-o`` and say so; nothing when ``-o`` is standard output."""
    if path is None or is_stdout(path):
        return
    check_destination(session, path)
    write_file(path, data)
    if not session.json:
        out(f"written to {clean(path)}")
