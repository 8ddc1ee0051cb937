"""Nothing changed: `sync` answers from what this machine remembers of its last run, before anything heavy is loaded.

It rests on the SHA-256 of the workbook and of registry.toml, on the ledger's head (its file hashed again, no file behind
it) and on the time stamps of the ledger's directory, which change when any event file is added, removed or replaced. All
of them as the last sync left them, and that sync left nothing open: then this one has nothing to do. In every other case
the long way is taken. What an old event file says is not looked at here, nor is anything written on the strength of it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from manual_registry.adapters import memory
from manual_registry.adapters.hashing import file_sha256
from manual_registry.adapters.synced_folder import copy_candidates, old_workbooks
from manual_registry.core.rendering import VIEW_VERSION
from manual_registry.registry.roots import CONFIG

if TYPE_CHECKING:
    from manual_registry.core.errors import Json
    from manual_registry.ports import Refreshed
    from manual_registry.registry.synced import Synced
    from manual_registry.registry.workspace import Loaded, Workspace

_LISTS: Final = ("registered", "accepted", "requested", "filled", "restored", "pending", "problems")


def head_if_settled(root: Path) -> tuple[int, str] | None:
    """Return the ledger's head when the last sync of these very files at this very head left nothing to do."""
    known = memory.recall_settled(root)
    if known is None or known.mark != mark(root) or _half_made(root) or not _stands(root, known.seq, known.hash):
        return None
    path = Path(known.workbook)
    if known.config != file_sha256(root / CONFIG) or known.sha256 != file_sha256(path):
        return None
    if copy_candidates(path) or old_workbooks(root, path):
        return None
    return known.seq, known.hash


def nothing_document(head: tuple[int, str]) -> dict[str, Json]:
    """Return ``manual-registry/sync/1`` of a sync that has nothing to do."""
    lists: dict[str, Json] = {name: [] for name in _LISTS}
    return {"schema": "manual-registry/sync/1", **lists, "ledger": {"seq": head[0], "hash": head[1]}}


def merged(work: Workspace, copy: Path) -> bool:
    """Tell whether this machine has merged a copy of the workbook with these very bytes, and nothing stayed open."""
    return file_sha256(copy) in memory.recall_view(work.root, work.workbook_path).merged


def mark(root: Path) -> str | None:
    """Return what tells whether any name in ledger/ has changed, or the tool's rendering; None: it cannot be told."""
    try:
        facts = os.stat(root / "ledger")  # noqa: PTH116 - pathlib costs more than the call
    except OSError:
        return None
    return f"{facts.st_dev}:{facts.st_ino}:{facts.st_mtime_ns}:{facts.st_ctime_ns}:{VIEW_VERSION}"


def _stands(root: Path, seq: int, digest: str) -> bool:
    """Tell whether the head's file is what it was, and the last one."""
    path, behind = (root / "ledger" / f"{number:012d}.json" for number in (seq, seq + 1))
    plain = path.is_file() and not path.is_symlink() and not os.path.lexists(behind)
    return plain and f"sha256:{file_sha256(path)}" == digest


def _half_made(root: Path) -> bool:
    """Tell whether a killed command may have left something that the next writing command ends."""
    try:
        return any(not path.name.startswith(".") for path in (root / "models" / ".incoming").iterdir())
    except OSError:
        return False


def remember(work: Workspace, loaded: Loaded, done: Synced, left: Refreshed | None, before: str | None) -> None:
    """Keep what the next sync may rest on; ``before`` is the ledger's mark from before ``loaded`` was read."""
    if done.copy:
        if done.reading is not None:
            whole = not (done.outcome.pending or done.outcome.problems)
            memory.remember_merged(work.root, work.workbook_path, done.reading.sha256, whole=whole)
        return
    if left is None or left.sha256 is None or left.waiting or done.keep or done.outcome.pending:
        return
    config = file_sha256(work.root / CONFIG)
    if config is not None and before is not None and before == mark(work.root):
        path, (seq, digest) = str(work.workbook_path.resolve()), loaded.head
        memory.remember_settled(
            work.root,
            memory.Settled(workbook=path, sha256=left.sha256, config=config, seq=seq, hash=digest, mark=before),
        )
