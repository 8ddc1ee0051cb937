"""Nothing changed: `sync` answers from what this machine remembers of its last run, before anything heavy is loaded.

It rests on the SHA-256 of the workbook, on the ledger's head (its file hashed again, no file behind it) and on the time
stamps of the ledger's directory, which change when any event file is added, removed or replaced. All three as the last
sync left them, and that sync left nothing open: then this one has nothing to do. In every other case the long way is
taken. What an old event file says is not looked at here, nor is anything written on the strength of it.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from manual_registry.adapters import memory
from manual_registry.adapters.synced_folder import copy_candidates
from manual_registry.core.errors import RegistryError

if TYPE_CHECKING:
    from manual_registry.ports import Refreshed
    from manual_registry.registry.synced import Synced
    from manual_registry.registry.workspace import Loaded, Workspace


def head_if_settled(work: Workspace, path: Path) -> tuple[int, str] | None:
    """Return the ledger's head when the last sync of this very file at this very head left nothing to do."""
    known = memory.recall_view(work.root, work.workbook_path)
    if known.settled is None or path != work.workbook_path or _half_made(work.root) or copy_candidates(path):
        return None
    head = known.settled.seq, known.settled.hash
    if known.settled.mark != mark(work) or not _stands(work, *head):
        return None
    return head if known.settled.sha256 == file_sha256(path) else None


def merged(work: Workspace, copy: Path) -> bool:
    """Tell whether this machine has merged a copy of the workbook with these very bytes, and nothing stayed open."""
    return file_sha256(copy) in memory.recall_view(work.root, work.workbook_path).merged


def mark(work: Workspace) -> str | None:
    """Return what tells whether any name in ledger/ has changed; None: it cannot be told."""
    try:
        facts = os.stat(work.ledger.directory)  # noqa: PTH116 - pathlib costs more than the call
    except OSError:
        return None
    return f"{facts.st_dev}:{facts.st_ino}:{facts.st_mtime_ns}:{facts.st_ctime_ns}"


def _stands(work: Workspace, seq: int, digest: str) -> bool:
    name = f"{seq:012d}.json"
    try:
        return not work.ledger.has(seq + 1) and f"sha256:{hashlib.sha256(work.ledger.raw(name)).hexdigest()}" == digest
    except RegistryError:
        return False


def _half_made(root: Path) -> bool:
    """Tell whether a killed command may have left something that the next writing command ends."""
    try:
        return any(not path.name.startswith(".") for path in (root / "models" / ".incoming").iterdir())
    except OSError:
        return False


def file_sha256(path: Path) -> str | None:
    """Return the SHA-256 of a file, None where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def remember(
    work: Workspace, path: Path, loaded: Loaded, done: Synced, left: Refreshed | None, before: str | None
) -> None:
    """Keep what the next sync may rest on; ``before`` is the ledger's mark from before ``loaded`` was read."""
    clean = not (done.outcome.pending or done.outcome.problems or done.keep)
    if done.copy:
        if clean and done.reading is not None:
            memory.remember_merged(work.root, work.workbook_path, done.reading.sha256)
        return
    if left is None or left.sha256 is None or left.waiting or done.keep or done.outcome.pending:
        return
    if before is not None and before == mark(work):
        seq, digest = loaded.head
        settled = memory.Settled(sha256=left.sha256, seq=seq, hash=digest, mark=before)
        memory.remember_settled(work.root, path, settled)
