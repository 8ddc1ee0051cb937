"""Copies of the workbook beside it that a sync program, or a person, has made: found by the registry id inside.

OneDrive writes ``registry-HOST.xlsx``, Dropbox ``registry (X's conflicted copy 2026-11-24).xlsx``, Syncthing
``registry.sync-conflict-20261124-101010-ABCDEFG.xlsx``, ownCloud and Nextcloud ``registry (conflicted copy 2026-11-24
101010).xlsx``, each in other words on a machine that speaks another language. So a name counts that holds the
workbook's own; whether it is a copy is read from the file. Copies that the tool set aside are none, nor is one that
nobody has touched since the tool wrote it.
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Final

from manual_registry.adapters.workbook import disk, package
from manual_registry.core.errors import RegistryError

#: A folder may hold much else; so many names that look like copies are opened.
_MOST: Final = 100


def conflict_copies(workbook: Path, registry_id: str) -> tuple[Path, ...]:
    """Return the copies of ``workbook`` beside it that hold something of a person's, by name."""
    return tuple(path for path in _candidates(workbook)[:_MOST] if _is_copy(path, registry_id))


def has_candidates(workbook: Path) -> bool:
    """Tell whether any name beside the workbook looks like a copy; opens nothing."""
    return bool(_candidates(workbook))


def _candidates(workbook: Path) -> list[Path]:
    try:
        names = os.listdir(workbook.parent)
    except OSError:
        return []
    return [workbook.with_name(name) for name in sorted(names) if _looks_like(name, workbook)]


def _looks_like(name: str, workbook: Path) -> bool:
    lower, stem = name.lower(), workbook.stem.lower()
    return (
        name != workbook.name
        and lower.endswith((".xlsx", ".xlsm"))
        and stem in lower
        and not lower.startswith((".", "~$"))
        and ".set-aside" not in lower
    )


def _is_copy(path: Path, registry_id: str) -> bool:
    try:
        data = disk.read_file(path) if not path.is_symlink() else None
        return data is not None and _ours(data, path.name, registry_id)
    except RegistryError:
        return False  # what cannot be read is nobody's to merge; `sync --workbook` says why


def _ours(data: bytes, name: str, registry_id: str) -> bool:
    with package.opened(io.BytesIO(data), name) as archive:
        found = package.properties(archive)
        touched = found.get(package.RENDERING) != package.fingerprint(package.entries_of(archive))
    return found.get(package.REGISTRY_ID) == registry_id and touched
