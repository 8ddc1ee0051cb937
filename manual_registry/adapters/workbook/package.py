"""The workbook as a zip file of parts: guarded opening, the custom properties, and packing.

Rules held here: a file is judged by its size, entries and ratios before anything is inflated; what cannot be
read is ``WorkbookUnreadable`` with the reason, never taken for gone. What the parts mean is left to
``read.py``.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, TypeAlias

from manual_registry.core.errors import WorkbookUnreadable

CUSTOM: Final = "docProps/custom.xml"
MAX_FILE: Final = 256 * 2**20
MAX_PARTS: Final = 5_000
MAX_TOTAL: Final = 2**30
MAX_RATIO: Final = 300
_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, KeyError)

#: Part name -> (size, checksum).
Entries: TypeAlias = "dict[str, tuple[int, int]]"

#: Names of the custom document properties; all are texts, since LibreOffice turns whole numbers into floats.
REGISTRY_ID: Final = "manual-registry.id"
HEAD_SEQ: Final = "manual-registry.head-seq"
HEAD_HASH: Final = "manual-registry.head-hash"
AS_OF: Final = "manual-registry.as-of"
RENDERING: Final = "manual-registry.rendering"


def unreadable(name: str, why: str) -> WorkbookUnreadable:
    """Build the error for workbook ``name``; ``why`` completes "name …"."""
    return WorkbookUnreadable(
        f"{name} {why}; nothing was changed. Put a readable copy there, or let the tool write a new one",
        location=name,
        hint="manual-registry reset-view",
    )


def is_locked(error: WorkbookUnreadable) -> bool:
    """Tell whether the file is whole but locked (password, sensitivity label).

    It must not be taken for damaged.
    """
    return error.details.get("locked") is True


def _check_head(name: str, head: bytes) -> None:
    if head == _OLE:
        raise WorkbookUnreadable(
            f"{name} is encrypted (a password or a sensitivity label), or in the old .xls format: it cannot"
            " be read. Save it without password or label as .xlsx",
            location=name,
            hint="manual-registry reset-view",
            details={"locked": True},
        )
    if head[:2] != b"PK":
        raise unreadable(name, "is no .xlsx file" if head else "is an empty file")


def locked(name: str, data: bytes) -> str | None:
    """Say so when the file is whole but locked (see :func:`is_locked`), None otherwise."""
    try:
        _check_head(name, data[:8])
    except WorkbookUnreadable as refused:
        return refused.message if is_locked(refused) else None
    return None


def _check_entries(name: str, archive: zipfile.ZipFile) -> None:
    entries = archive.infolist()
    if len(entries) > MAX_PARTS or sum(entry.file_size for entry in entries) > MAX_TOTAL:
        raise unreadable(name, "unpacks to more than a workbook may hold")
    if len({entry.filename.lower() for entry in entries}) != len(entries):
        raise unreadable(name, "holds two parts of one name")
    for entry in entries:
        if entry.flag_bits & 1:
            raise unreadable(name, f"has a part locked by a password ({entry.filename})")
        if entry.file_size > 2**20 and entry.file_size > MAX_RATIO * max(entry.compress_size, 1):
            raise unreadable(name, f"has a part that unpacks to {entry.file_size:,} bytes ({entry.filename})")
    if "xl/workbook.xml" not in archive.namelist():
        raise unreadable(name, "holds no workbook (xl/workbook.xml is missing)")


@contextmanager
def opened(source: IO[bytes], name: str) -> Iterator[zipfile.ZipFile]:
    """Open a workbook's zip after the checks.

    Every way in which it can be broken is ``WorkbookUnreadable``.
    """
    head = source.read(8)
    _check_head(name, head)
    if source.seek(0, io.SEEK_END) > MAX_FILE:
        raise unreadable(name, f"is larger than {MAX_FILE // 2**20} MiB")
    source.seek(0)
    try:
        with zipfile.ZipFile(source) as archive:
            _check_entries(name, archive)
            yield archive
    except _BROKEN as broken:
        raise unreadable(name, f"is damaged ({broken})") from broken


def properties(archive: zipfile.ZipFile, name: str) -> dict[str, str]:
    """Return the custom document properties as texts; ``{}`` when there are none."""
    if CUSTOM not in archive.namelist():
        return {}
    if archive.getinfo(CUSTOM).file_size > 2**20:
        raise unreadable(name, "has oversized document properties")
    from xml.etree.ElementTree import ParseError

    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    try:
        root = fromstring(archive.read(CUSTOM))
    except (ParseError, DefusedXmlException) as broken:
        raise unreadable(name, f"has damaged document properties ({broken})") from broken
    return {node.get("name", ""): "".join(node.itertext()).strip() for node in root}


def entries_of(archive: zipfile.ZipFile) -> Entries:
    """Return size and checksum of each part but the properties, which hold hashes over the others."""
    return {
        entry.filename: (entry.file_size, entry.CRC)
        for entry in archive.infolist()
        if entry.filename != CUSTOM
    }


def fingerprint(entries: Entries) -> str:
    """Return a hash over names, sizes and checksums of parts: "is this still our own rendering?".

    It finds what people did, not what an attacker hides; tool-owned cells are compared one by one in any
    case.
    """
    return hashlib.sha256(
        "".join(f"{name} {entries[name]}\n" for name in sorted(entries)).encode()
    ).hexdigest()


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
        return properties(archive, path.name)
