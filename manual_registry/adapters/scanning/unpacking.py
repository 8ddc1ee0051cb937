"""Opens archives and compressed files within limits; what is irregular about them is a finding.

A reader that is stricter than the loaders it stands for fails closed: a member with a wrong checksum, an encryption flag
or a name that differs between the two headers stops Python's zip reader, and torch loads it all the same.
"""

from __future__ import annotations

import bz2
import lzma
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any, BinaryIO, Final, cast

from manual_registry.adapters.scanning.findings import Broken, Kind, TooMuch, Watch

_PIECE: Final = 1 << 20
#: Unpacked parts up to this size stay in memory, larger ones go to a temporary file.
_IN_MEMORY: Final = 16 << 20
_METHODS: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA})
_ENCRYPTED: Final = 0x1
_LONGEST_LIST: Final = 32 << 20


def _zlib(head: bytes) -> bool:
    # The first two bytes of a zlib stream are a multiple of 31; what fits by accident does not unpack.
    if len(head) < 2 or head[0] & 0x0F != 8 or head[0] >> 4 > 7 or (head[0] << 8 | head[1]) % 31:
        return False
    try:
        zlib.decompressobj().decompress(head, 64)
    except zlib.error:
        return False
    return True


_DECOMPRESSORS: Final[tuple[tuple[Callable[[bytes], bool], Callable[[], Any]], ...]] = (
    (lambda head: head.startswith(b"\x1f\x8b"), lambda: zlib.decompressobj(31)),
    (lambda head: head.startswith(b"BZh"), bz2.BZ2Decompressor),
    (lambda head: head.startswith(b"\xfd7zXZ\x00"), lambda: lzma.LZMADecompressor(memlimit=256 << 20)),
    (
        lambda head: head.startswith(b"\x5d\x00\x00"),
        lambda: lzma.LZMADecompressor(format=lzma.FORMAT_ALONE, memlimit=256 << 20),
    ),
    (_zlib, zlib.decompressobj),
)


def compression(head: bytes) -> Callable[[], Any] | None:
    """Return what unpacks a file that begins so; None: it is not compressed in a way known here."""
    return next((make for fits, make in _DECOMPRESSORS if fits(head)), None)


@contextmanager
def decompressed(source: BinaryIO, head: bytes, watch: Watch) -> Iterator[tuple[BinaryIO, int]]:
    """Unpack a gzip, zlib, bzip2 or xz file, all of it; yields it with its size."""
    make = compression(head)
    if make is None:
        raise Broken("not compressed in a way that is known here")
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as target:
        size = _unpack(source, make(), target, watch)
        target.seek(0)
        yield cast(BinaryIO, target), size


def _unpack(source: BinaryIO, engine: Any, target: IO[bytes], watch: Watch) -> int:
    size = 0
    try:
        data = source.read(_PIECE)
        while data or not engine.eof:
            piece = engine.decompress(data, _PIECE)
            size += len(piece)
            watch.unpack(len(piece))
            target.write(piece)
            if engine.eof:
                break
            data = _rest(engine, source)
            if not data and not piece:
                raise Broken("it is compressed, and cut off")
    except (lzma.LZMAError, zlib.error, OSError, EOFError) as problem:
        raise Broken(f"it is compressed, and does not unpack: {problem}") from None
    if engine.unused_data or source.read(1):
        raise Broken("something follows the end of the compressed data")
    return size


def _rest(engine: Any, source: BinaryIO) -> bytes:
    """Return what to feed next: zlib hands back what it did not take, the others keep it."""
    kept = getattr(engine, "unconsumed_tail", b"")
    if kept:
        return bytes(kept)
    return source.read(_PIECE) if getattr(engine, "needs_input", True) else b""


# -- zip --------------------------------------------------------------------------------------------------


def zip_members(source: BinaryIO, size: int, place: str, watch: Watch) -> tuple[zipfile.ZipFile, list[zipfile.ZipInfo]]:
    """Open a zip; findings for what its readers could take in two ways (doubled names, bytes around it)."""
    # Python reads the whole list of members at once, however long it is.
    ending = zipfile._EndRecData(source)  # type: ignore[attr-defined]
    if ending and ending[5] > _LONGEST_LIST:
        raise TooMuch(f"lists its members in {ending[5] >> 20} MB")
    archive = zipfile.ZipFile(source)
    members = archive.infolist()
    for name, times in Counter(member.filename for member in members).items():
        if times > 1:
            watch.find(Kind.MALFORMED, place, f"has the member {name[:80]!r} {times} times")
    places = sorted((member.header_offset, member.compress_size) for member in members)
    ends = [offset + length for offset, length in places]
    if places and places[0][0] != 0:
        watch.find(Kind.MALFORMED, place, "bytes stand before the first member")
    if any(end > following for end, (following, _) in zip(ends, places[1:], strict=False)):
        watch.find(Kind.MALFORMED, place, "members lie over each other")
    comment = len(archive.comment)
    if comment:
        watch.find(Kind.MALFORMED, place, f"{comment} bytes of comment stand behind the archive")
    return archive, members


def _refusal(member: zipfile.ZipInfo) -> str | None:
    if member.flag_bits & _ENCRYPTED:
        return "is marked as encrypted"
    if member.compress_type not in _METHODS:
        return f"is compressed by method {member.compress_type}"
    if member.filename.startswith("/") or ".." in member.filename.split("/"):
        return "has a name that leads elsewhere"
    return None


@contextmanager
def unpacked(archive: zipfile.ZipFile, member: zipfile.ZipInfo, place: str, watch: Watch) -> Iterator[IO[bytes] | None]:
    """Unpack one member; None (and a finding) where it cannot be, its checksum included."""
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as target:
        if _copy(archive, member, target, place, watch):
            target.seek(0)
            yield target
        else:
            yield None


def read_through(archive: zipfile.ZipFile, member: zipfile.ZipInfo, place: str, watch: Watch) -> None:
    """Read one member that holds raw numbers to its end: its checksum must hold, its content means nothing."""
    _copy(archive, member, None, place, watch)


def _copy(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: IO[bytes] | None, place: str, watch: Watch
) -> bool:
    where = f"{place}!{member.filename[:120]}"
    problem = _refusal(member)
    if problem:
        watch.find(Kind.MALFORMED, where, problem)
        return False
    try:
        with archive.open(member) as stream:
            while piece := stream.read(_PIECE):
                watch.unpack(len(piece))
                if target is not None:
                    target.write(piece)
    except (
        zipfile.BadZipFile,
        zlib.error,
        lzma.LZMAError,
        EOFError,
        OSError,
        RuntimeError,
        NotImplementedError,
    ) as told:
        watch.find(Kind.MALFORMED, where, f"does not unpack: {told}")
        return False
    return True


# -- tar --------------------------------------------------------------------------------------------------


def tar_members(source: BinaryIO, place: str, watch: Watch) -> Iterator[tuple[str, BinaryIO, int]]:
    """Yield the plain files of a tar; links, devices and lying sizes are findings."""
    with tarfile.open(fileobj=source, mode="r:") as archive:
        for member in archive:
            if member.isdir():
                continue
            stream = archive.extractfile(member) if member.isreg() and not member.issparse() else None
            if stream is None:
                watch.find(Kind.MALFORMED, f"{place}!{member.name[:120]}", "a link, a device or a sparse file")
                continue
            with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as target:
                watch.unpack(member.size)
                shutil.copyfileobj(stream, target, _PIECE)
                if target.tell() != member.size:
                    raise Broken("a tar that is cut off")
                target.seek(0)
                yield member.name, cast(BinaryIO, target), member.size
