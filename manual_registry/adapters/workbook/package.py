"""The workbook as a zip file of parts: guarded opening, the custom properties, and packing.

Rules held here: a file is judged by its size, entries and ratios before anything is inflated; what its directory
says of a part must be what stands in the part; what cannot be read is ``WorkbookUnreadable`` with the reason,
never taken for gone. What the parts mean is left to ``read.py``.
"""

from __future__ import annotations

import hashlib
import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, TypeAlias

from manual_registry.adapters.workbook.errors import (
    Trouble,
    WorkbookBomb,
    WorkbookDamaged,
    WorkbookForged,
    WorkbookLocked,
    refusal,
)
from manual_registry.adapters.workbook.markup import parse
from manual_registry.core.errors import WorkbookUnreadable

CUSTOM: Final = "docProps/custom.xml"
WORKBOOK: Final = "xl/workbook.xml"
MAX_FILE: Final = 256 * 2**20
MAX_PARTS: Final = 5_000
MAX_TOTAL: Final = 2**30
#: How much a part may unpack to, relative to its packed size: beyond 1 MiB, and beyond 8 MiB where we read it.
MAX_RATIO: Final = 300
MAX_READ_RATIO: Final = 60
_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_LOCAL: Final = struct.Struct("<4s5H3I2H")
_BROKEN = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, RuntimeError, ValueError, KeyError
)  # fmt: skip

#: Part name -> (size, checksum).
Entries: TypeAlias = "dict[str, tuple[int, int]]"

#: Names of the custom document properties; all are texts, since LibreOffice turns whole numbers into floats.
REGISTRY_ID: Final = "manual-registry.id"
HEAD_SEQ: Final = "manual-registry.head-seq"
HEAD_HASH: Final = "manual-registry.head-hash"
AS_OF: Final = "manual-registry.as-of"
#: What links begin with; ``./`` where they need nothing, since an empty property is not kept by every program.
LINKS: Final = "manual-registry.links"
RENDERING: Final = "manual-registry.rendering"
VIEW_VERSION: Final = "manual-registry.view-version"
#: The custom document property that holds the event up to which own columns were written.
JOINED: Final = "manual-registry.own-columns-up-to"


def unreadable(name: str, why: str) -> WorkbookUnreadable:
    """Build the error for workbook ``name``; ``why`` completes "name …"."""
    return refusal(name, Trouble(WorkbookDamaged, why))


def is_locked(error: WorkbookUnreadable) -> bool:
    """Tell whether the file is whole but locked (password, sensitivity label).

    It must not be taken for damaged.
    """
    return error.details.get("locked") is True


def _check_head(head: bytes) -> None:
    if head == _OLE:
        raise Trouble(
            WorkbookLocked,
            "is encrypted (a password or a sensitivity label), or in the old .xls format: it cannot be read."
            " Save it without password or label as .xlsx",
        )
    if head[:2] != b"PK":
        raise Trouble(WorkbookDamaged, "is no .xlsx file" if head else "is an empty file")


def locked(name: str, data: bytes) -> str | None:
    """Say so when the file is whole but locked (see :func:`is_locked`), None otherwise."""
    try:
        with opened(io.BytesIO(data), name):
            return None
    except WorkbookUnreadable as refused:
        return refused.message if is_locked(refused) else None


def _check_entries(archive: zipfile.ZipFile) -> None:
    entries = archive.infolist()
    if len(entries) > MAX_PARTS or sum(entry.file_size for entry in entries) > MAX_TOTAL:
        raise Trouble(WorkbookBomb, "unpacks to more than a workbook may hold")
    seen: set[str] = set()
    for entry in entries:
        if entry.filename.lower() in seen:
            raise Trouble(WorkbookForged, "holds two parts of one name", entry.filename)
        seen.add(entry.filename.lower())
        if entry.flag_bits & 1:
            raise Trouble(WorkbookLocked, "has a part locked by a password", entry.filename)
        least = 2**20 if entry.filename.lower().endswith((".xml", ".rels", ".vml")) else 2**26
        if entry.file_size > least and entry.file_size > MAX_RATIO * max(entry.compress_size, 1):
            raise _bomb(entry)
    if WORKBOOK not in archive.namelist():
        raise Trouble(WorkbookDamaged, f"holds no workbook ({WORKBOOK} is missing)")
    _check_places(archive, entries)


def _bomb(entry: zipfile.ZipInfo) -> Trouble:
    return Trouble(WorkbookBomb, f"has a part that unpacks to {entry.file_size:,} bytes", entry.filename)


def _check_places(archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo]) -> None:
    """Each part's own head says what the directory says, and no two parts share bytes."""
    behind = 0
    for entry in sorted(entries, key=lambda one: one.header_offset):
        end = _extent(archive, entry)[1]
        if entry.header_offset < behind or end > archive.start_dir:
            raise Trouble(WorkbookForged, "has parts that overlap", entry.filename)
        behind = end
        if entry.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            raise Trouble(WorkbookDamaged, "has a part packed in an unknown way", entry.filename)


def _extent(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> tuple[int, int]:
    """Return where the packed bytes of a part begin and end, after a look at its own head."""
    source = archive.fp
    assert source is not None  # noqa: S101 - open as long as `opened` is
    source.seek(entry.header_offset)
    mark, _, flags, method, _, _, crc, packed, size, names, extra = _LOCAL.unpack(source.read(_LOCAL.size))
    name = source.read(names).decode("utf-8" if flags & 0x800 else "cp437", "replace")
    said = (crc, packed, size)
    streamed = flags & 8 or 0xFFFFFFFF in said  # sizes then stand behind the data, or in the zip64 field
    if (
        mark != b"PK\x03\x04"
        or name.replace("\\", "/") != entry.filename
        or method != entry.compress_type
        or (not streamed and said != (entry.CRC, entry.compress_size, entry.file_size))
    ):
        raise Trouble(WorkbookForged, "has a part that is not what the directory says of it", entry.filename)
    start = entry.header_offset + _LOCAL.size + names + extra
    return start, start + entry.compress_size


def member(archive: zipfile.ZipFile, name: str) -> bytes:
    """Unpack one part; it must be exactly as long as the directory says. Raises :class:`Trouble`."""
    entry = archive.getinfo(name)
    if entry.file_size > 2**23 and entry.file_size > MAX_READ_RATIO * max(entry.compress_size, 1):
        raise _bomb(entry)
    start, end = _extent(archive, entry)
    source = archive.fp
    assert source is not None  # noqa: S101 - as above
    source.seek(start)
    data, whole = source.read(end - start), True
    if entry.compress_type == zipfile.ZIP_DEFLATED:
        unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
        data = unpacker.decompress(data, entry.file_size + 1)
        whole = unpacker.eof and not unpacker.unused_data
    if not whole or len(data) != entry.file_size:
        raise Trouble(WorkbookForged, "has a part of another size than the directory says", name)
    if zlib.crc32(data) != entry.CRC:
        raise Trouble(WorkbookDamaged, "is damaged (a checksum is wrong)", name)
    return data


@contextmanager
def opened(source: IO[bytes], name: str) -> Iterator[zipfile.ZipFile]:
    """Open a workbook's zip after the checks.

    Every way in which it can be broken is ``WorkbookUnreadable``.
    """
    try:
        _check_head(source.read(8))
        if source.seek(0, io.SEEK_END) > MAX_FILE:
            raise Trouble(WorkbookBomb, f"is larger than {MAX_FILE // 2**20} MiB")
        source.seek(0)
        with zipfile.ZipFile(source) as archive:
            _check_entries(archive)
            yield archive
    except Trouble as trouble:
        raise refusal(name, trouble) from trouble
    except _BROKEN as broken:
        raise unreadable(name, f"is damaged ({broken})") from broken


def properties(archive: zipfile.ZipFile) -> dict[str, str]:
    """Return the custom document properties as texts; ``{}`` when there are none. Raises :class:`Trouble`."""
    if CUSTOM not in archive.namelist():
        return {}
    if archive.getinfo(CUSTOM).file_size > 2**20:
        raise Trouble(WorkbookBomb, "has oversized document properties", CUSTOM)
    found: dict[str, str] = {}
    here = [""]

    def start(name: str, attributes: dict[str, str]) -> None:
        if name == "property":
            here[0] = attributes.get("name", "")
            found[here[0]] = ""

    def text(text: str) -> None:
        if here[0]:
            found[here[0]] += text

    def end(name: str) -> None:
        if name == "property":
            here[0] = ""

    try:
        parse(member(archive, CUSTOM), start, end, text)
    except Trouble as trouble:
        trouble.place = trouble.place or CUSTOM
        raise
    return {name: value.strip() for name, value in found.items()}


def entries_of(archive: zipfile.ZipFile) -> Entries:
    """Return size and checksum of each part but the properties, which hold hashes over the others."""
    return {entry.filename: (entry.file_size, entry.CRC) for entry in archive.infolist() if entry.filename != CUSTOM}


def fingerprint(entries: Entries) -> str:
    """Return a hash over names, sizes and checksums of parts: "is this still our own rendering?".

    It finds what people did, not what an attacker hides; tool-owned cells are compared one by one in any
    case.
    """
    return hashlib.sha256("".join(f"{name} {entries[name]}\n" for name in sorted(entries)).encode()).hexdigest()


def repack(parts: Mapping[str, bytes], marks: Mapping[str, Callable[[Entries], str]]) -> bytes:
    """Zip ``parts``.

    In the properties each placeholder among ``marks`` gives way to its hash over the other parts.
    """
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=4) as archive:
        for name, data in parts.items():
            if name != CUSTOM:
                archive.writestr(name, data)
        custom, entries = parts.get(CUSTOM, b""), entries_of(archive)
        for placeholder, mark in marks.items():
            custom = custom.replace(placeholder.encode(), mark(entries).encode())
        if custom:
            archive.writestr(CUSTOM, custom)
    return target.getvalue()


def peek(path: Path) -> dict[str, str]:
    """Return the custom properties of the file at ``path``, reading nothing else; OSError passes through."""
    with path.open("rb") as source, opened(source, path.name) as archive:
        return properties(archive)
