"""Files that a sheet or a metadata file names, not the person who runs the command: only those below allowed directories
are read.

Rules held here (design 3.3): a name is resolved without following links; URLs, UNC paths, names with control characters
and hidden files are refused before anything is looked at; a file that holds a private key is refused wherever it lies,
since what is registered is there for everybody to read. What a person names in an option is free. Which directories are allowed is the caller's.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from manual_registry.core.errors import PathEscapes

_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_KEY: Final = re.compile(rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY|PuTTY-User-Key-File-|AGE-SECRET-KEY-1")
#: Further down, where a document may speak of keys, only what has the key itself below its first line.
_WHOLE_KEY: Final = re.compile(
    rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY( BLOCK)?-----(\s|\\[nr])+(Proc-Type:|Version:|Comment:|[A-Za-z0-9+/=]{16})"
    rb"|PuTTY-User-Key-File-\d+:|AGE-SECRET-KEY-1[A-Z0-9]{50}"
)
_KEY_WORDS: Final = (b"PRIVATE KEY", b"PuTTY-User-Key-File-", b"AGE-SECRET-KEY-1")
#: Keys are small, and mostly stand at the beginning; a text is read whole up to its size, of anything larger the head.
_KEY_SIZE, _KEY_HEAD, _TEXT_SIZE, _LARGE_HEAD = 1 << 17, 1 << 12, 16 << 20, 1 << 16
_BYTE_ORDER: Final = (b"\xff\xfe", b"\xfe\xff")
_LONGEST: Final = 4096


def allowed_path(allowed: Sequence[Path], typed: str, *, base: Path | None = None, where: str) -> Path:
    """Return the file or directory that ``typed`` names, if it lies below one of ``allowed``.

    A relative name counts from ``base``, else from each of ``allowed`` in turn. ``where`` names the cell or field for
    the message. Raises :class:`PathEscapes`, with one and the same text for what is not there and what is elsewhere.
    """
    name = _checked(typed, where)
    for one in allowed:
        top = Path(os.path.realpath(one))
        start = top if base is None else Path(os.path.realpath(base))
        candidate = Path(os.path.normpath(start / name))
        if candidate == top or not candidate.is_relative_to(top):
            continue
        parts = candidate.relative_to(top).parts
        if any(part.startswith(".") for part in parts):
            raise PathEscapes(f"{where} {_shown(typed)}: hidden files and folders are not read", location=where)
        if _plain(top, parts):
            _refuse_keys(candidate, typed, where)
            return candidate
    raise PathEscapes(  # no path of this machine: the text goes into a workbook that others read
        f"{where} {_shown(typed)}: nothing of that name lies below the registry or the --from directory (links are not"
        " followed)",
        location=where,
        hint="mreg sync --from DIR",
    )


def path_beside(folder: Path, typed: str, *, where: str, option: str) -> Path:
    """Return the file that a metadata file in ``folder`` names: below that folder, with no link on the way.

    A metadata file travels with an artefact, and whoever wrote it may not choose which files of the person who registers
    get into a registry; ``option`` is the one with which that person names any file. What is not there is for the reader
    to tell. Raises :class:`PathEscapes`, located at ``where``.
    """
    name, top = _checked(typed, where), Path(os.path.realpath(folder))
    candidate = Path(os.path.normpath(top / name))
    parts = candidate.relative_to(top).parts if candidate.is_relative_to(top) else ()
    if not parts:
        why = "lies outside of the metadata file's own folder"
    elif any(part.startswith(".") for part in parts):
        why = "is hidden, or in a hidden folder"
    elif any(top.joinpath(*parts[:depth]).is_symlink() for depth in range(1, len(parts) + 1)):
        why = "is a symbolic link, or behind one"
    else:
        _refuse_keys(candidate, typed, where)
        return candidate
    raise PathEscapes(
        f"{where} {_shown(typed)}: {why}; such a file is named on the command line ({option} FILE)", location=where
    )


def _checked(typed: str, where: str) -> str:
    """Return the name with the separators of this system; a person on Windows types backslashes."""
    if not typed or len(typed) > _LONGEST or _CONTROL.search(typed):
        raise PathEscapes(f"{where} {_shown(typed)}: not a path", location=where)
    name = typed.replace("\\", "/")
    if name.startswith("//") or _URL.match(name):
        raise PathEscapes(
            f"{where} {_shown(typed)}: a path on this machine is needed, no URL, drive or UNC path", location=where
        )
    return name


def _shown(typed: str) -> str:
    return repr(typed if len(typed) <= 200 else typed[:200] + "…")


def _plain(top: Path, parts: Sequence[str]) -> bool:
    """Tell whether every part is there: directories on the way, no link anywhere, at the end a file or directory."""
    for depth in range(1, len(parts) + 1):
        try:
            mode = top.joinpath(*parts[:depth]).lstat().st_mode
        except (OSError, ValueError):
            return False
        if not (stat.S_ISDIR(mode) or (depth == len(parts) and stat.S_ISREG(mode))):
            return False
    return True


def private_key_in(path: Path) -> Path | None:
    """Return the first file of ``path`` (a file, or a directory with all below it, hidden or not) that holds a key."""
    return next((file for file in _files(path) if _is_key(file)), None)


def _refuse_keys(path: Path, typed: str, where: str) -> None:
    file = private_key_in(path)
    if file is not None:
        inside = "" if file == path else f" ({file.relative_to(path)})"
        raise PathEscapes(
            f"{where} {_shown(typed)}{inside}: holds a private key; it must not get into a registry", location=where
        )


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    for folder, _, names in os.walk(path):  # links are not followed
        for name in names:
            yield Path(folder, name)


def _is_key(path: Path) -> bool:
    """Tell whether a file holds a private key; what cannot be read is told when it is copied."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return False
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            size = os.fstat(descriptor).st_size
            head = file.read(_LARGE_HEAD)
            text = head.startswith(_BYTE_ORDER) or b"\0" not in head
            data = head + file.read(_TEXT_SIZE) if size <= _KEY_SIZE or (text and size <= _TEXT_SIZE) else head
    except OSError:
        return False
    plain = _one_byte(data)
    if not any(word in plain for word in _KEY_WORDS):
        return False  # sooner than by the expressions
    return (size <= _KEY_SIZE and _KEY.search(plain, 0, _KEY_HEAD) is not None) or _WHOLE_KEY.search(plain) is not None


def _one_byte(data: bytes) -> bytes:
    """Return UTF-16, with its mark or without, as one byte a character; anything else as it is."""
    return data.replace(b"\0", b"") if b"\0" in data[:_KEY_HEAD] else data
