"""The tool's own last renderings of the workbook, kept for undo outside the registry (clause RP-3).

Rules held here: they lie in the user's state directory, one folder per registry and workbook, named by the ledger's
head and the file's hash; the last five stay. Set-aside copies, which hold people's edits, lie beside the workbook and
are never touched. A place that cannot be written costs no command.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from manual_registry.adapters import remover
from manual_registry.adapters.memory import renderings_dir


def keep(root: Path, workbook: Path, data: bytes, *, seq: int, sha256: str) -> None:
    """Keep ``data``, which was just written to ``workbook`` at ledger head ``seq``; the oldest beyond five goes."""
    directory = renderings_dir(root, workbook)
    with contextlib.suppress(OSError):  # undo is a courtesy
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        number = max((_number(path) for path in kept(root, workbook)), default=0) + 1
        target = directory / f"{number:08d}-{seq:012d}-{sha256[:12]}.xlsx"
        draft = target.with_name(f".{target.name}.tmp")
        draft.write_bytes(data)
        draft.replace(target)
        remover.discard_old_renderings(kept(root, workbook))


def kept(root: Path, workbook: Path) -> tuple[Path, ...]:
    """Return the renderings that are there, oldest first."""
    directory = renderings_dir(root, workbook)
    if not directory.is_dir():
        return ()
    return tuple(sorted(path for path in directory.glob("*.xlsx") if _number(path)))


def _number(path: Path) -> int:
    head = path.name.partition("-")[0]
    return int(head) if head.isascii() and head.isdigit() else 0
