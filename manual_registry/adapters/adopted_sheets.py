"""Keeps the spreadsheets that were adopted: whole, read-only, under ``adopted/`` (clause RP-16).

Rules held here: a kept sheet is never written again; its name begins with the day and the first characters of its
SHA-256, so that two sheets of one name lie beside each other; the same bytes are kept once. Which of them belong to the
record is said by the events that name them.
"""

from __future__ import annotations

import hashlib
import re
import stat
import unicodedata
from pathlib import Path
from typing import Final

from manual_registry.adapters import remover
from manual_registry.adapters.files import make_directory, os_errors, put_if_absent
from manual_registry.adapters.hashing import file_sha256
from manual_registry.core.errors import StorageUnexpected

FOLDER: Final = "adopted"
_SHORT: Final = 12
_LONGEST: Final = 120
_UNFIT: Final = re.compile(r'[\\/%:<>"|?*]')


def keep(root: Path, name: str, data: bytes, *, day: str) -> str:
    """Keep ``data`` as ``adopted/<day>-<sha256, 12 characters>-<name>``; return that path below ``root``.

    Bytes that are kept already stay where they are, whatever the day. Raises :class:`StorageUnexpected` when other
    bytes have that name, DiskFull, StorageReadOnly or StorageFailed.
    """
    sha256 = hashlib.sha256(data).hexdigest()
    tail = f"{sha256[:_SHORT]}-{portable(name)}"
    folder = root / FOLDER
    if folder.is_symlink():
        raise StorageUnexpected(f"{FOLDER}/: a symbolic link in the registry is not followed", location=FOLDER)
    with os_errors(FOLDER):
        make_directory(folder)
        for found in sorted(folder.iterdir()):
            if found.name.endswith(f"-{tail}") and sha256_of(found) == sha256:
                return f"{FOLDER}/{found.name}"
        path = folder / f"{day}-{tail}"
        if not put_if_absent(path, data) and sha256_of(path) != sha256:
            where = f"{FOLDER}/{path.name}"
            raise StorageUnexpected(f"{where}: another file stands there; move it away", location=where)
    return f"{FOLDER}/{path.name}"


def kept(root: Path, path: str, sha256: str | None) -> bytes:
    """Return what is kept at ``path`` below ``root``; nothing where it is not that of ``sha256`` (`verify` tells why)."""
    try:
        data = (root / path).read_bytes() if stat.S_ISREG((root / path).lstat().st_mode) else b""
    except OSError:
        return b""
    return data if hashlib.sha256(data).hexdigest() == sha256 else b""


def sha256_of(path: Path) -> str | None:
    """Return the SHA-256 of a plain file; None for anything else and for what is not there."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return None
    except OSError:
        return None
    return file_sha256(path)


def standing(root: Path) -> tuple[str, ...]:
    """Return what lies under ``adopted/``, as paths below ``root``; temporary files of a killed command left out."""
    folder = root / FOLDER
    if folder.is_symlink() or not folder.is_dir():
        return (FOLDER,) if folder.is_symlink() or folder.exists() else ()
    with os_errors(FOLDER):
        names = sorted(entry.name for entry in folder.iterdir())
    return tuple(f"{FOLDER}/{name}" for name in names if not remover.is_temporary(name))


def portable(name: str) -> str:
    """Return a file name that every system can keep, as like ``name`` as can be."""
    plain = unicodedata.normalize("NFC", name)
    kept = "".join("_" if unicodedata.category(char)[0] == "C" else char for char in plain)
    kept = _UNFIT.sub("_", kept).rstrip(". ") or "sheet"
    return kept if len(kept) <= _LONGEST else f"{kept[: _LONGEST - 10]}{kept[-10:]}"
