"""Which machine this is, and whether file locks reach others that share its files.

On a local disk, NFS and SMB a lock holds on every machine. On NFS mounted with ``nolock`` or ``local_lock`` and on most
FUSE file systems each machine has locks of its own: there a lock that can be taken says nothing about a process
elsewhere (nfs(5), option ``local_lock``).
"""

from __future__ import annotations

import hashlib
import platform
import re
from pathlib import Path
from typing import Final

_MOUNTS: Final = Path("/proc/self/mountinfo")
_LOCAL_OPTIONS: Final = frozenset({"nolock", "nobrl", "local_lock=all", "local_lock=flock"})
_OCTAL: Final = re.compile(r"\\([0-7]{3})")


def machine_mark() -> str:
    """Return 16 hex digits that tell this machine from others (its name and machine-id, hashed)."""
    try:
        known = Path("/etc/machine-id").read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        known = ""
    return hashlib.sha256(f"{platform.node()}\n{known}".encode()).hexdigest()[:16]


def locks_are_shared(path: Path, mounts: Path = _MOUNTS) -> bool:
    """Tell whether a file lock below ``path`` is seen by every machine that has its file system.

    True where it cannot be told (no Linux): the system's locks are then trusted, as everywhere else.
    """
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return True
    kind, options = _mount_of(path.resolve(), lines)
    return not (kind == "fuse" or kind.startswith("fuse.") or not _LOCAL_OPTIONS.isdisjoint(options))


def _mount_of(path: Path, lines: list[str]) -> tuple[str, frozenset[str]]:
    """Return type and options of the mount that holds ``path``; the last of the deepest ones counts (proc(5))."""
    best, found = -1, ("", frozenset[str]())
    for line in lines:
        before, _, after = line.partition(" - ")
        fields, told = before.split(" "), after.split(" ")
        if len(fields) < 6 or len(told) < 3:
            continue
        point = Path(_OCTAL.sub(lambda code: chr(int(code[1], 8)), fields[4]))
        if path.is_relative_to(point) and len(point.parts) >= best:
            best = len(point.parts)
            found = told[0], frozenset({*fields[5].split(","), *told[2].split(",")})
    return found
