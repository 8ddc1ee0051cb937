"""Files that hold edits of the workbook and are not it: conflict copies beside it, and the old one after a move.

Rules held here: whatever somebody saved there is named until this machine has read it; a copy is never changed and
never removed by the tool, so what has been read of it is told as well, with what the person can do with the file.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from manual_registry.adapters.hashing import file_sha256

if TYPE_CHECKING:
    from manual_registry.registry.workspace import Workspace


def unmerged(work: Workspace, registry_id: str) -> tuple[Path, ...]:
    """Return the copies of the workbook that somebody saved and that this machine has not merged whole."""
    from manual_registry.adapters import memory
    from manual_registry.adapters.workbook.copies import conflict_copies

    path = work.workbook_path.resolve()
    found = conflict_copies(path, registry_id, root=work.root.resolve())
    merged = memory.recall_view(work.root, path).merged if found else ()
    return tuple(copy for copy in found if file_sha256(copy) not in merged)


def copy_told(work: Workspace, copy: Path) -> str:
    """Say what a copy is, and what becomes of it."""
    from manual_registry.adapters import memory

    shown = os.path.relpath(copy, work.root)
    if file_sha256(copy) in memory.recall_view(work.root, work.workbook_path).settling:
        return (
            f"{copy.name} was read, and not all of it could be taken: settle that in {work.config.workbook} (mreg sync"
            f" --workbook {shlex.quote(shown)} shows it again), then move {copy.name} away"
        )
    if _is_old_one(work, copy):
        return (
            f"{copy.name} was saved by somebody but is not the workbook any more ([workbook] path is"
            f" {work.config.workbook}), so edits there are not read: mreg sync --workbook {shlex.quote(shown)} merges"
            " them; then move it away"
        )
    return (
        f"{copy.name} is a copy of the workbook that somebody saved: mreg sync --workbook {shlex.quote(shown)} merges what"
        " was edited there; then it can be removed"
    )


def _is_old_one(work: Workspace, copy: Path) -> bool:
    """Tell whether the file lies where a workbook of this registry lay before ``[workbook] path`` was changed."""
    from manual_registry.adapters.synced_folder import copy_candidates

    return copy not in copy_candidates(work.workbook_path.resolve())
