"""The workbook's file: reading it whole, who has it open, setting it aside, swapping it in one step.

Rules held here: nothing of a person's is ever removed; a file is replaced only while it is still the one that
was read; it keeps its permissions. What is written is left to the callers.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from manual_registry.adapters import remover
from manual_registry.adapters.workbook.package import MAX_FILE, unreadable
from manual_registry.core.errors import DiskFull, StorageFailed, StorageReadOnly


@contextmanager
def disk_errors(path: Path, doing: str) -> Iterator[None]:
    """Turn an OSError into the storage error that it stands for."""
    try:
        yield
    except OSError as failed:
        kinds = {
            errno.ENOSPC: DiskFull,
            errno.EDQUOT: DiskFull,
            errno.EROFS: StorageReadOnly,
            errno.EACCES: StorageReadOnly,
            errno.EPERM: StorageReadOnly,
        }
        kind = kinds.get(failed.errno or 0, StorageFailed)
        raise kind(f"{path.name}: {doing} failed: {failed.strerror or failed}", location=path.name) from failed


def read_file(path: Path) -> bytes | None:
    """Return the whole file, None when there is none; raises for a directory, a special file, or too much."""
    with disk_errors(path, "reading the workbook"):
        try:
            facts = path.stat()
        except FileNotFoundError:
            return None
        if not stat.S_ISREG(facts.st_mode):
            raise unreadable(path.name, "is no plain file")
        if facts.st_size > MAX_FILE:
            raise unreadable(path.name, f"is larger than {MAX_FILE // 2**20} MiB")
        return path.read_bytes()


def digest(data: bytes | None) -> str | None:
    """Return the SHA-256 of the bytes of a file, None for no file."""
    return None if data is None else hashlib.sha256(data).hexdigest()


def swap(path: Path, data: bytes, *, expected: bytes | None) -> bool:
    """Replace ``path`` by ``data`` unless it is not ``expected`` any more.

    False then, and nothing is changed.
    """
    with disk_errors(path, "writing the workbook"):
        remover.discard_workbook_drafts(path)
        prefix, suffix = remover.workbook_draft_names(path.name)
        handle, name = tempfile.mkstemp(prefix=prefix, suffix=suffix, dir=path.parent)
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as target:
                target.write(data)
                target.flush()
                _dress(target.fileno(), path)
                os.fsync(target.fileno())
            if digest(read_file(path)) != digest(expected):
                return False
            temporary.replace(path)
            _sync_directory(path.parent)
            return True
        finally:
            remover.discard_draft(temporary)


def _dress(handle: int, path: Path) -> None:
    """Give a new file the permissions and group of the one that it replaces, else those of any new file."""
    try:
        old = path.stat()
    except FileNotFoundError:
        mask = os.umask(0)
        os.umask(mask)
        os.fchmod(handle, 0o666 & ~mask)
        return
    with suppress(PermissionError):  # only root or a member of the group may; the content matters more
        os.fchown(handle, -1, old.st_gid)
    os.fchmod(handle, stat.S_IMODE(old.st_mode))


def _sync_directory(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as refused:
        # Network file systems may not know fsync of a directory; the file itself is on disk.
        if refused.errno not in {errno.EINVAL, errno.ENOTSUP, errno.EBADF}:
            raise
    finally:
        os.close(handle)


def aside_name(path: Path, now: datetime) -> Path:
    """Return a free name beside ``path``: ``registry.20261124T080000Z.set-aside.xlsx``."""
    base = f"{path.stem}.{now.astimezone(UTC).strftime('%Y%m%dT%H%M%SZ')}"
    number, free = 1, path.with_name(f"{base}.set-aside{path.suffix}")
    while free.exists():
        number += 1
        free = path.with_name(f"{base}~{number}.set-aside{path.suffix}")
    return free


def copy_aside(path: Path, data: bytes, now: datetime) -> Path:
    """Keep ``data``, the content of ``path``, beside it under a new name; returns that name."""
    with disk_errors(path, "setting the workbook aside"):
        target = aside_name(path, now)
        _keep(path, data, target)
        return target


def keep_as(path: Path, data: bytes, aside: Path) -> None:
    """Keep ``data``, the content of ``path``, as ``aside``, which must not exist yet."""
    with disk_errors(aside, "setting the workbook aside"):
        aside.parent.mkdir(parents=True, exist_ok=True)
        _keep(path, data, aside)


def _keep(path: Path, data: bytes, target: Path) -> None:
    """Write ``data`` as ``target``, which must not exist: whole or, on a full disk say, not at all."""
    prefix, suffix = remover.workbook_draft_names(target.name)
    handle, name = tempfile.mkstemp(prefix=prefix, suffix=suffix, dir=target.parent)
    draft = Path(name)
    try:
        with os.fdopen(handle, "wb") as kept:
            kept.write(data)
            kept.flush()
            _dress(kept.fileno(), path)
            os.fsync(kept.fileno())
        with suppress(OSError):  # times are a courtesy
            shutil.copystat(path, draft)
        _take_name(draft, target)
        _sync_directory(target.parent)
    finally:
        remover.discard_draft(draft)


def _take_name(draft: Path, target: Path) -> None:
    """Give a draft its name, which nobody else's file may have got meanwhile."""
    try:
        target.hardlink_to(draft)
    except FileExistsError:
        raise
    except OSError:  # some file systems know no second name of a file
        if os.path.lexists(target):
            raise
        draft.rename(target)


def open_elsewhere(path: Path) -> str | None:
    """Say who has the file open, None when nobody is known to. Synced folders do not carry these marks."""
    excel, office = path.with_name(f"~${path.name}"), path.with_name(f".~lock.{path.name}#")
    with disk_errors(path, "looking for lock files"):
        for mark, program, reader in ((excel, "Excel", _excel_owner), (office, "LibreOffice", _office_owner)):
            try:
                data, since = mark.read_bytes()[:2048], mark.stat().st_mtime
            except FileNotFoundError:
                continue
            except PermissionError:
                data, since = b"", mark.stat().st_mtime  # Excel may hold its mark locked
            when = datetime.fromtimestamp(since, tz=UTC).strftime("%Y-%m-%d %H:%M UTC")
            owner = reader(data)
            return f"open in {program} since {when}" + (f" by {owner}" if owner else "") + f" (mark: {mark.name})"
    return None


def _printable(text: str) -> str:
    return "".join(letter for letter in text if letter.isprintable()).strip()[:80]


def _excel_owner(data: bytes) -> str:
    """Read the user's name from Excel's owner file.

    A length, then the name, first in one byte, then in UTF-16.
    """
    if len(data) > 57:
        length = int.from_bytes(data[55:57], "little")
        if 0 < length <= 54:
            return _printable(data[57 : 57 + 2 * length].decode("utf-16-le", "ignore"))
    return _printable(data[1 : 1 + data[0]].decode("latin-1")) if data and data[0] < len(data) else ""


def _office_owner(data: bytes) -> str:
    """Read user and host from LibreOffice's lock file: ``name,user,host,date,profile;``."""
    fields = data.decode("utf-8", "ignore").rstrip(";\n").split(",")
    name = _printable(fields[0]) or (_printable(fields[1]) if len(fields) > 1 else "")
    host = _printable(fields[2]) if len(fields) > 2 else ""
    return f"{name} on {host}" if name and host else name
