"""What an artefact is: its files, their hashes, and the one hash of the whole.

Rules held here (design 3.1, "Content hash"): one file has its own hash; a directory has the hash of its
manifest, one line ``<hex>  <path>`` per file, paths POSIX and sorted by their UTF-8 bytes, so that
``sha256sum -c`` and ``b3sum -c`` read it; names that another system could not keep, collisions of letter
case and empty directories are refused. Reading and hashing files is left to adapters/tree.py.

Round trip: ``parse_manifest(manifest_bytes(entries, a))`` gives every path its hash, and
``render(parse_manifest(data)) == data`` for every canonical ``data``; tests/core/test_manifest.py runs both
ways.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from manual_registry.core.errors import (
    ArtefactChanged,
    BadDigest,
    BadPath,
    EmptyDirectory,
    Json,
    PathCollision,
    RegistryError,
    raise_for,
)
from manual_registry.core.values import check_artefact_path

Algorithm = Literal["blake3", "sha256"]
Kind = Literal["file", "directory"]

#: The manifest's file name for each algorithm.
MANIFESTS: Mapping[Algorithm, str] = {"blake3": "B3SUMS", "sha256": "SHA256SUMS"}

_LINE = re.compile(r"([0-9a-f]{64})  ([^\n]+)")


@dataclass(frozen=True, kw_only=True, slots=True)
class FileEntry:
    """One file.

    ``path`` relative and POSIX, ``size`` in bytes, hashes lower-case hex (None: not computed).
    """

    path: str
    size: int
    blake3: str | None = None
    sha256: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Content:
    """A whole artefact; ``files`` sorted by the UTF-8 bytes of their path, ``size`` their sum in bytes.

    ``name`` is the single file's name, None for a directory; ``sha256`` is None when it was not computed;
    ``left_out`` are the paths that are never taken (``.DS_Store`` and its like).
    """

    kind: Kind
    name: str | None
    files: tuple[FileEntry, ...]
    size: int
    blake3: str
    sha256: str | None = None
    left_out: tuple[str, ...] = ()

    def document(self) -> dict[str, Json]:
        """Return the ``artefact`` of the event that brings it in."""
        return {
            "kind": self.kind,
            "name": self.name,
            "files": len(self.files),
            "size": self.size,
            "blake3": self.blake3,
            "sha256": self.sha256,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """One path that is not as expected."""

    path: str
    kind: Literal["changed", "added", "gone"]


def by_path(path: str) -> bytes:
    """Return the sort key of a path: its UTF-8 bytes (undecodable bytes as they are)."""
    return path.encode("utf-8", "surrogateescape")


def render(hashes: Mapping[str, str]) -> bytes:
    """Return the manifest of ``{path: hex}``."""
    return b"".join(f"{hashes[path]}  {path}\n".encode() for path in sorted(hashes, key=by_path))


def manifest_bytes(entries: Iterable[FileEntry], algorithm: Algorithm) -> bytes:
    """Return the manifest of ``entries``; raises :class:`BadDigest` for one whose hash was not computed."""
    return render({entry.path: _hash_of(entry, algorithm) for entry in entries})


def _hash_of(entry: FileEntry, algorithm: Algorithm) -> str:
    value = entry.blake3 if algorithm == "blake3" else entry.sha256
    if value is None:
        raise BadDigest(f"{entry.path}: no {algorithm} hash was computed", location=entry.path)
    return value


def parse_manifest(data: bytes, *, where: str = "manifest") -> dict[str, str]:
    """Return ``{path: hex}`` in the order of the lines.

    Raises :class:`ArtefactChanged` located at ``where`` for text that is not a manifest: not UTF-8, a
    malformed line, a path twice, no line feed at the end.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise ArtefactChanged(f"{where}: not UTF-8 text", location=where) from None
    lines = text.split("\n")
    if lines.pop() != "":
        raise ArtefactChanged(f"{where}: the last line is cut off", location=where)
    hashes: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        match = _LINE.fullmatch(line)
        if not match or match[2] in hashes:
            problem = "the path stands twice" if match else "not '<64 hex>  <path>'"
            raise ArtefactChanged(f"{where}: line {number}: {problem}", location=where)
        hashes[match[2]] = match[1]
    return hashes


def content(
    kind: Kind, entries: Iterable[FileEntry], *, name: str | None = None, left_out: Iterable[str] = ()
) -> Content:
    """Make the :class:`Content` of ``entries`` and compute its hashes.

    Raises :class:`EmptyDirectory` for no entry, and everything of :func:`path_problems`, all at once. A
    file takes exactly one entry; its ``name`` defaults to that entry's path.
    """
    files = tuple(sorted(entries, key=lambda entry: by_path(entry.path)))
    if not files:
        raise EmptyDirectory("no files to register", location=name)
    raise_for(path_problems(entry.path for entry in files))
    if kind == "file" and len(files) != 1:
        raise BadPath(f"one file was expected, {len(files)} were found", location=name)
    whole = all(entry.sha256 is not None for entry in files)
    return Content(
        kind=kind,
        name=(name or files[0].path) if kind == "file" else None,
        files=files,
        size=sum(entry.size for entry in files),
        blake3=_whole_hash(kind, files, "blake3"),
        sha256=_whole_hash(kind, files, "sha256") if whole else None,
        left_out=tuple(left_out),
    )


def _whole_hash(kind: Kind, files: tuple[FileEntry, ...], algorithm: Algorithm) -> str:
    if kind == "file":
        return _hash_of(files[0], algorithm)
    data = manifest_bytes(files, algorithm)
    if algorithm == "sha256":
        return hashlib.sha256(data).hexdigest()
    from blake3 import blake3  # noqa: PLC0415 - reading commands that hash nothing start without it

    return str(blake3(data).hexdigest())


def path_problems(paths: Iterable[str]) -> tuple[RegistryError, ...]:
    """Return why ``paths`` (relative, POSIX) cannot be kept: bad names, then collisions of case."""
    known = sorted(paths, key=by_path)
    return (*_bad_paths(known), *_collisions(known))


def _bad_paths(paths: Iterable[str]) -> Iterator[RegistryError]:
    for path in paths:
        try:
            check_artefact_path(path)
        except RegistryError as error:
            error.location = printable(path)
            yield error


def _collisions(paths: Iterable[str]) -> Iterator[RegistryError]:
    seen: dict[str, tuple[str, bool]] = {}
    for path in paths:
        parts = path.split("/")
        for depth in range(1, len(parts) + 1):
            prefix, leaf = "/".join(parts[:depth]), depth == len(parts)
            known = seen.get(prefix.casefold())
            if known is None:
                seen[prefix.casefold()] = (prefix, leaf)
            elif known[0] != prefix or known[1] or leaf:
                yield _collision(printable(prefix), printable(known[0]))
                break


def _collision(path: str, other: str) -> PathCollision:
    text = "stands twice" if path == other else f"and {other} differ by letter case only; rename one"
    return PathCollision(f"{path} {text}", location=path)


def printable(path: str) -> str:
    """Return ``path`` with undecodable bytes and control characters escaped, fit for a message or JSON."""
    if path.isprintable():
        return path
    shown = path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in shown)


def compare(expected: Iterable[FileEntry], found: Iterable[FileEntry]) -> tuple[Difference, ...]:
    """Return what is changed, added or gone in ``found``, sorted by path.

    Sizes are compared always, a hash where both sides have it; entries without hashes compare by name and
    size.
    """
    wanted = {entry.path: entry for entry in expected}
    there = {entry.path: entry for entry in found}
    differences: list[Difference] = []
    for path in sorted(wanted.keys() | there.keys(), key=by_path):
        if path not in there:
            differences.append(Difference(path=path, kind="gone"))
        elif path not in wanted:
            differences.append(Difference(path=path, kind="added"))
        elif not _equal(wanted[path], there[path]):
            differences.append(Difference(path=path, kind="changed"))
    return tuple(differences)


def _equal(one: FileEntry, other: FileEntry) -> bool:
    pairs = ((one.blake3, other.blake3), (one.sha256, other.sha256))
    return one.size == other.size and all(left == right for left, right in pairs if left and right)
