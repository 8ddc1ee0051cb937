"""Small, durable file operations: atomic writes, put-if-absent, read-only trees.

Rules held here: a write is a temporary file in the same folder, fsync, then link or rename, then fsync of
the folder; what must not be overwritten never is, not even where the file system refuses hard links;
``OSError`` leaves here as one of our errors. Removing is left to adapters/remover.py.
"""

from __future__ import annotations

import ctypes
import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from manual_registry.adapters import remover
from manual_registry.core.errors import (
    DiskFull,
    FilesystemUnsuited,
    RegistryError,
    StorageFailed,
    StorageReadOnly,
)

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_READ_ONLY = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
#: What link(2) answers where hard links are not to be had.
_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV})
_NO_RENAMEAT2 = frozenset({errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EPERM})
_AT_FDCWD, _RENAME_NOREPLACE = -100, 1
_SYNC_FILE_RANGE_WRITE = 2
#: From so many files on, one syncfs is cheaper than an fsync each.
_MANY_FILES = 200


@contextmanager
def os_errors(where: str | Path) -> Iterator[None]:
    """Turn an ``OSError`` of writing at ``where`` into DiskFull, StorageReadOnly or StorageFailed."""
    try:
        yield
    except OSError as error:
        raise storage_error(error, where) from error


@contextmanager
def source_errors(where: str | Path) -> Iterator[None]:
    """Turn an ``OSError`` of reading a person's file into :class:`FilesystemUnsuited`."""
    try:
        yield
    except OSError as error:
        raise unreadable(error, where) from error


def unreadable(error: OSError, where: str | Path) -> FilesystemUnsuited:
    """Return the error for a source that cannot be read."""
    return FilesystemUnsuited(f"{where}: cannot be read: {error.strerror or error}", location=str(where))


def storage_error(error: OSError, where: str | Path) -> RegistryError:
    """Return our error for an ``OSError`` of the storage."""
    reason = error.strerror or str(error)
    if error.errno in _FULL:
        return DiskFull(f"{where}: {reason}; make room and repeat the command", location=str(where))
    if error.errno in _READ_ONLY:
        return StorageReadOnly(f"{where}: cannot be written: {reason}", location=str(where))
    return StorageFailed(f"{where}: {reason}", location=str(where))


def require_writable(directory: Path) -> None:
    """Raise :class:`StorageReadOnly` unless files can be put into ``directory``; nothing is written."""
    if not os.access(directory, os.W_OK | os.X_OK):
        raise StorageReadOnly(f"{directory}: cannot be written", location=str(directory))


def fsync_dir(directory: Path) -> None:
    """Make the names in ``directory`` durable (a no-op where directories cannot be synced)."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def write_new(path: Path, data: bytes, *, mode: int | None = None) -> None:
    """Create ``path`` with ``data`` and fsync it; ``FileExistsError`` when it stands already.

    ``mode`` None leaves the permission to the umask.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        if mode is not None:
            os.fchmod(descriptor, mode)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _temporary(path: Path, data: bytes, mode: int | None) -> Iterator[Path]:
    temporary = path.with_name(remover.temporary_name(secrets.token_hex(8)))
    try:
        write_new(temporary, data, mode=mode)
        yield temporary
    finally:
        remover.discard_temporary(temporary)


def write_atomic(path: Path, data: bytes, *, mode: int | None = None) -> None:
    """Write or replace ``path`` as a whole: readers see the old bytes or the new ones, never half.

    Raises DiskFull, StorageReadOnly or StorageFailed; the old file stands then.
    """
    with os_errors(path), _temporary(path, data, mode) as temporary:
        temporary.replace(path)
        fsync_dir(path.parent)


def put_if_absent(path: Path, data: bytes, *, mode: int = 0o444) -> bool:
    """Create ``path`` with ``data`` unless it stands; return whether this call created it.

    Temporary file, fsync, link; where links are refused, rename without replacing; where that is not to be
    had either, renaming under a claim. Never a plain overwrite. Raises DiskFull, StorageReadOnly or
    StorageFailed.
    """
    with os_errors(path), _temporary(path, data, mode) as temporary:
        try:
            created = _appear(temporary, path)
        except FileNotFoundError:
            if temporary.exists() or not path.parent.is_dir():
                raise
            return False  # a writer that our lock does not reach took it for a dead one's: a lost race
        fsync_dir(path.parent)
        return created


def _appear(temporary: Path, path: Path) -> bool:
    try:
        os.link(temporary, path, follow_symlinks=False)
        return True
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
    renamed = _rename_noreplace(temporary, path)
    if renamed is not None:
        return renamed
    return _rename_claimed(temporary, path)


def _rename_claimed(source: Path, target: Path) -> bool:
    """Rename where the system cannot refuse to replace: only who made the claim may, and half a file is never seen.

    Such a file system has one writer, who holds the write lock; a claim that a kill left is a temporary file.
    """
    claim = target.with_name(remover.temporary_name(f"claim-{target.name}"))
    try:
        write_new(claim, b"")
    except FileExistsError:
        return False
    try:
        if os.path.lexists(target):
            return False
        source.rename(target)
        return True
    finally:
        remover.discard_temporary(claim)


def _rename_noreplace(source: Path, target: Path) -> bool | None:
    """Rename by renameat2: True renamed, False when ``target`` stands, None where there is no such call."""
    library = ctypes.CDLL(None, use_errno=True)
    if not hasattr(library, "renameat2"):
        return None
    arguments = (_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target), _RENAME_NOREPLACE)
    if library.renameat2(*arguments) == 0:
        return True
    number = ctypes.get_errno()
    if number == errno.EEXIST:
        return False
    if number in _NO_RENAMEAT2:
        return None
    raise OSError(number, os.strerror(number), str(target))


def move_new(source: Path, target: Path) -> bool:
    """Rename a file or directory to ``target`` unless ``target`` stands; return whether it was renamed.

    Both parents are made durable. ``OSError`` passes through.
    """
    moved = _rename_noreplace(source, target)
    if moved is None:  # such a file system has one writer, who holds the write lock: look first
        moved = not os.path.lexists(target)
        if moved:
            source.rename(target)
    if moved:
        fsync_dir(target.parent)
        fsync_dir(source.parent)
    return moved


def make_read_only(tree: Path, *, top: bool = True) -> None:
    """Give files 0444 and directories 0555; ``top=False`` leaves the top directory open for its move."""
    for entry in os.scandir(tree):
        if entry.is_dir(follow_symlinks=False):
            make_read_only(Path(entry.path))
        elif entry.is_file(follow_symlinks=False):
            Path(entry.path).chmod(0o444)
    if top:
        tree.chmod(0o555)


@contextmanager
def opened(directory: Path) -> Iterator[None]:
    """Open a read-only directory for the mover or for `attach`, and close it again."""
    directory.chmod(0o755)
    try:
        yield
    finally:
        directory.chmod(0o555)


def sync_tree(tree: Path) -> None:
    """Make every file and name below ``tree`` durable."""
    found = [Path(folder) / name for folder, _, names in os.walk(tree) for name in names]
    if len(found) > _MANY_FILES and _syncfs(tree):
        return
    for path in found:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    for folder, _, _ in os.walk(tree, topdown=False):
        fsync_dir(Path(folder))


def start_write_back(descriptor: int, offset: int, count: int) -> None:
    """Ask Linux to begin writing out a range; a hint, it promises nothing and its failure means nothing."""
    library = ctypes.CDLL(None)
    if hasattr(library, "sync_file_range"):
        library.sync_file_range(descriptor, ctypes.c_int64(offset), ctypes.c_int64(count), _SYNC_FILE_RANGE_WRITE)


def _syncfs(tree: Path) -> bool:
    library = ctypes.CDLL(None, use_errno=True)
    if not hasattr(library, "syncfs"):
        return False
    descriptor = os.open(tree, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return bool(library.syncfs(descriptor) == 0)
    finally:
        os.close(descriptor)


def make_directory(directory: Path) -> None:
    """Create ``directory`` and its missing parents, durably."""
    if directory.is_dir():
        return
    make_directory(directory.parent)
    directory.mkdir(exist_ok=True)
    fsync_dir(directory.parent)
