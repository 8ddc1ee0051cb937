"""The one module that removes files (archive_policy.md, RP-3).

Rules held here: nothing that an event names is ever removed, save the working copy of a version whose bag
in archive/ has just been verified (RP-5). Otherwise only these go: half copies in models/.incoming/, evidence
files that no event named, the tool's own temporary files, and its own old renderings of the workbook beyond
the last five. Every function checks that it was handed such a thing. A test holds that no other module of
the package calls ``unlink``, ``rmtree`` and their like. ``OSError`` passes through; callers map it.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from manual_registry.core.errors import BagInvalid, DeletionRefused, RegistryError

#: How many of the tool's own renderings of the workbook are kept (RP-3).
KEPT_RENDERINGS = 5

_TEMPORARY_PREFIX = ".mreg-tmp-"
INCOMING = ".incoming"
INBOX = ".inbox"


def temporary_name(token: str) -> str:
    """Return the file name of a temporary file; nothing else in a registry begins like that."""
    return f"{_TEMPORARY_PREFIX}{token}"


def is_temporary(name: str) -> bool:
    """Tell whether ``name`` is one of the tool's own temporary files (readers pass over them)."""
    return name.startswith(_TEMPORARY_PREFIX)


def discard_temporary(path: Path) -> None:
    """Remove one of the tool's own temporary files or half-made trees, if it is there (RP-3)."""
    if not is_temporary(path.name):
        raise _refused(path)
    _remove(path)


def discard_temporaries(directory: Path) -> None:
    """Remove the temporary files that a killed writer left in ``directory``; call it under the write lock (RP-3).

    Half-made trees stay: a `fetch` that holds no lock may be copying into them.
    """
    for path in list(directory.iterdir()) if directory.is_dir() else ():
        if is_temporary(path.name) and not path.is_dir():
            _remove(path)


def workbook_draft_names(name: str) -> tuple[str, str]:
    """Return prefix and suffix of the file names under which a workbook called ``name`` is written before its swap."""
    return f".{name}.", ".tmp"


def discard_workbook_drafts(workbook: Path) -> None:
    """Remove what a killed writer left of a workbook beside it; call it under the write lock (RP-3)."""
    prefix, suffix = workbook_draft_names(workbook.name)
    ours = re.compile(re.escape(prefix) + "[a-z0-9_]{8}" + re.escape(suffix))
    for path in list(workbook.parent.iterdir()):
        if ours.fullmatch(path.name) and path.is_file():
            _remove(path)


def discard_draft(path: Path) -> None:
    """Remove the draft ``.<name>….tmp`` of a file that a person may look at, if it never took its name
    (RP-3).
    """
    if not (path.name.startswith(".") and path.suffix == ".tmp"):
        raise _refused(path)
    _remove(path)


def discard_incoming(path: Path) -> None:
    """Remove a half copy, intent or lock that lies directly in models/.incoming/, if it is there (RP-3)."""
    if path.parent.name != INCOMING or path.name in ("", ".", "..", ".lock"):
        raise _refused(path)
    _remove(path)


def discard_evidence(path: Path) -> None:
    """Remove ``…/evidence/<kind>/<name>`` that this or a killed process wrote and no event named (RP-3).

    It need not exist any more; folders that are empty then go as well. The caller has opened them.
    """
    if path.parts[-3:-2] != ("evidence",) or path.is_symlink() or path.is_dir():
        raise _refused(path)
    _remove(path)
    for folder in (path.parent, path.parent.parent):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def retire_signature(path: Path) -> None:
    """Move a signature that was taken in from approvals/.inbox/ to taken/ beside it, under a name that is free (RP-3).

    Nothing is removed: whoever laid it there finds it again.
    """
    if path.parent.name != INBOX or path.is_symlink() or not path.is_file():
        raise _refused(path)
    folder = path.parent / "taken"
    if folder.is_symlink() or path.parent.is_symlink():
        raise _refused(path)
    folder.mkdir(exist_ok=True)
    names = (path.name, *(f"{path.stem}~{number}{path.suffix}" for number in range(2, 10_000)))
    target = next(folder / name for name in names if not os.path.lexists(folder / name))
    path.rename(target)


def remove_working_copy(
    working: Path, parked: Path, *, bag: Path, check: Callable[[Path], Sequence[RegistryError]]
) -> None:
    """End an archive move: remove ``working`` once ``check(bag)`` has found nothing (RP-3).

    It is first moved to ``parked`` in models/.incoming/<token>/, so that a half-removed version is never
    seen in models/. Raises :class:`BagInvalid` when the bag does not verify; nothing is removed then.
    """
    problems = check(bag)
    if problems:
        raise BagInvalid(f"{bag.name}: {problems[0].message}; the working copy stays", clause="RP-3", location=str(bag))
    if parked.parent.parent.name != INCOMING or parked.exists():
        raise _refused(parked)
    working.chmod(0o755)  # a directory that moves to another parent has its `..` rewritten
    working.rename(parked)
    _remove(parked)


def discard_old_renderings(renderings: Iterable[Path], *, keep: int = KEPT_RENDERINGS) -> tuple[Path, ...]:
    """Remove the tool's own old renderings of the workbook beyond the ``keep`` newest by name (RP-3).

    The caller hands in files that it recognised as its own; fewer than five are never kept. Returns what
    went.
    """
    ordered = sorted(renderings, key=lambda path: path.name)
    gone = tuple(ordered[: -max(keep, KEPT_RENDERINGS)])
    for path in gone:
        if path.suffix != ".xlsx":
            raise _refused(path)
        _remove(path)
    return gone


def _refused(path: Path) -> DeletionRefused:
    return DeletionRefused(f"{path}: not a file that the tool may remove", clause="RP-3", location=str(path))


def _remove(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(mode):
        path.unlink(missing_ok=True)
        return
    _open_directories(path)
    shutil.rmtree(path)


def _open_directories(path: Path) -> None:
    path.chmod(0o755)
    for entry in os.scandir(path):
        if entry.is_dir(follow_symlinks=False):
            _open_directories(Path(entry.path))


def discard_cache(path: Path) -> None:
    """Remove a half-made index in the user's cache directory; nothing of a registry lies there."""
    if path.suffix != ".new":
        raise _refused(path)
    path.unlink(missing_ok=True)
