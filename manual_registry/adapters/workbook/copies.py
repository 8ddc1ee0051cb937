"""Copies of the workbook that a sync program, or a person, has made, and the old one after a move.

Rules held here: whether a file is a copy is read from it (the registry id inside), not from its name (``synced_folder`` finds the names); a copy
that nobody has touched since the tool wrote it holds nothing to merge.
"""

from __future__ import annotations

from pathlib import Path
from typing import IO, Final

from manual_registry.adapters.synced_folder import copy_candidates, old_workbooks
from manual_registry.adapters.workbook import package
from manual_registry.core.errors import RegistryError

#: A folder may hold much else; so many names that look like copies are opened.
_MOST: Final = 100


def conflict_copies(workbook: Path, registry_id: str, *, root: Path) -> tuple[Path, ...]:
    """Return the copies of ``workbook`` that somebody saved: beside it, and in ``root``, where it may have lain before."""
    names = dict.fromkeys([*copy_candidates(workbook)[:_MOST], *old_workbooks(root, workbook)[:_MOST]])
    return tuple(path for path in names if _is_copy(path, registry_id))


def _is_copy(path: Path, registry_id: str) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    try:
        with path.open("rb") as source:
            return _ours(source, path.name, registry_id)
    except (OSError, RegistryError):
        return False  # what cannot be read is nobody's to merge; `sync --workbook` says why


def _ours(source: IO[bytes], name: str, registry_id: str) -> bool:
    with package.opened(source, name) as archive:
        found = package.properties(archive)
        touched = found.get(package.RENDERING) != package.fingerprint(package.entries_of(archive))
    return found.get(package.REGISTRY_ID) == registry_id and touched
