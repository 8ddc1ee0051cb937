"""Hands out a verified copy of an artefact (RP-8).

Rules held here: nothing that stands at the destination is touched; the copy appears whole and equal to what
the ledger knows, or not at all.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from manual_registry.adapters import remover
from manual_registry.adapters.copying import copy_verified
from manual_registry.adapters.files import move_new, os_errors
from manual_registry.core.errors import ArtefactChanged, DestinationTaken, raise_for
from manual_registry.core.manifest import Content, compare
from manual_registry.ports import Progress


def fetch(source: Path, destination: Path, expected: Content, progress: Progress | None) -> Path:
    """Copy the files of ``source`` out; see ``LocalStorage.fetch``."""
    _check_free(destination)
    half = destination.parent / remover.temporary_name(secrets.token_hex(8))
    with os_errors(destination):
        destination.parent.mkdir(parents=True, exist_ok=True)
        half.mkdir()
        try:
            copied = copy_verified(source, half, leave_out=False, progress=progress)
            raise_for(
                ArtefactChanged(f"artefact/{path.path}: {path.kind} since it was registered", location=path.path)
                for path in compare(expected.files, copied.files)
            )
            return _appear(half, destination, expected)
        finally:
            remover.discard_temporary(half)


def _check_free(destination: Path) -> None:
    if not os.path.lexists(destination):
        return
    with os_errors(destination):
        if destination.is_dir() and not any(destination.iterdir()):
            return
    raise _taken(destination)


def _appear(half: Path, destination: Path, expected: Content) -> Path:
    if expected.kind == "file":
        name = expected.name or expected.files[0].path
        target = destination / name if destination.is_dir() else destination
        moved = move_new(half / name, target)
    elif destination.is_dir() and not destination.is_symlink():
        target, moved = destination, True
        half.rename(destination)  # rename(2) replaces an empty directory, and refuses one that is not
    else:
        target, moved = destination, move_new(half, destination)
    if not moved:
        raise _taken(target)
    return target


def _taken(destination: Path) -> DestinationTaken:
    return DestinationTaken(f"{destination}: something stands there; name another place", location=str(destination))
