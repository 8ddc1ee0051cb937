"""The zip file changed without being written anew: every part that does not change is copied as it lies there.

Rules held here: order, dates, flags, extra fields and packed bytes of a part that is not named in ``changes`` are
those of the old file; what the format allows but this module does not know (zip64, a comment between parts, bytes
before the first) is :class:`Unpatchable`, and nothing is written.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_LOCAL: Final = struct.Struct("<4s5H3I2H")
_CENTRAL: Final = struct.Struct("<4s6H3I5H2I")
_END: Final = struct.Struct("<4s4H2IH")
_FULL32: Final = 0xFFFFFFFF
#: How hard to pack; the largest sheets are packed in the quickest way, which costs an eighth more space.
_LEVEL, _QUICK, _LARGE = 4, 1, 2**25
#: 1980-01-01: the date of a part that is new.
_NO_DATE: Final = 0x21


class Unpatchable(Exception):
    """The file is as this package does not know it; the message completes "could not be changed in place: …"."""


@dataclass(frozen=True, slots=True)
class Packed:
    """A part as it is packed."""

    data: bytes
    size: int
    crc: int


def pack(pieces: list[bytes]) -> Packed:
    """Pack a part that comes in pieces."""
    size, crc = sum(map(len, pieces)), 0
    packer = zlib.compressobj(_QUICK if size > _LARGE else _LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    found = []
    for piece in pieces:
        crc = zlib.crc32(piece, crc)
        found.append(packer.compress(piece))
    return Packed(b"".join((*found, packer.flush())), size, crc)


@dataclass(frozen=True, slots=True)
class _Record:
    """One record of the directory: its fields, and the variable bytes behind them."""

    fields: tuple[int, ...]  # without the mark; see the format's "central directory header"
    name: bytes
    extra: bytes
    comment: bytes

    @property
    def offset(self) -> int:
        return self.fields[15]


def _directory(data: bytes) -> tuple[list[_Record], int, bytes]:
    """Return the records in their order, where the directory begins, and the end record with its comment."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        start, count = archive.start_dir, len(archive.filelist)
        tail = _END.size + len(archive.comment)
    records = []
    at = start
    for _ in range(count):
        mark, *fields = _CENTRAL.unpack_from(data, at)
        if mark != b"PK\x01\x02":
            raise Unpatchable("its zip directory is not where it should be")
        names, extra, comment = fields[9:12]
        at += _CENTRAL.size
        record = _Record(
            tuple(fields), data[at : at + names], data[at + names : at + names + extra],
            data[at + names + extra : at + names + extra + comment],
        )  # fmt: skip
        if _FULL32 in {fields[7], fields[8], fields[15]}:
            raise Unpatchable("its zip file is in the format for more than 4 GiB")
        records.append(record)
        at += names + extra + comment
    if at + tail != len(data) or data[at : at + 4] != b"PK\x05\x06":
        raise Unpatchable("its zip file holds more than parts")
    return records, start, data[at:]


def rewritten(data: bytes, changes: Mapping[str, Packed]) -> bytes:
    """Return the zip file ``data`` with the parts ``changes``; those that it does not have yet come last.

    Raises :class:`Unpatchable`.
    """
    records, start, end = _directory(data)
    by_offset = sorted(records, key=lambda one: one.offset)
    if not records or by_offset[0].offset != 0:
        raise Unpatchable("its zip file begins with something else")
    limits = [one.offset for one in by_offset[1:]] + [start]
    spans = {one.offset: limit for one, limit in zip(by_offset, limits, strict=True)}
    target: list[bytes] = []
    moved: dict[int, _Record] = {}
    size, names = 0, {_name(one) for one in records}
    for record in by_offset:
        new = changes.get(_name(record))
        if new is None:
            piece, fields = data[record.offset : spans[record.offset]], record.fields
        else:
            piece, fields = _packed(record, new)
        moved[record.offset] = _Record((*fields[:15], size), record.name, record.extra, record.comment)
        target.append(piece)
        size += len(piece)
    written = [moved[record.offset] for record in records]
    for name in changes:
        if name not in names:
            piece, fields = _packed(_fresh(name, records[0]), changes[name])
            written.append(_Record((*fields[:15], size), name.encode(), b"", b""))
            target.append(piece)
            size += len(piece)
    directory = b"".join(
        _CENTRAL.pack(b"PK\x01\x02", *one.fields[:9], len(one.name), len(one.extra), len(one.comment), *one.fields[12:])
        + one.name + one.extra + one.comment
        for one in written
    )  # fmt: skip
    if size + len(directory) >= _FULL32:
        raise Unpatchable("its zip file would grow beyond 4 GiB")
    mark, disk, first, _, _, _, _, comment = _END.unpack_from(end)
    count = len(written)
    tail = _END.pack(mark, disk, first, count, count, len(directory), size, comment) + end[_END.size :]
    return b"".join((*target, directory, tail))


def _name(record: _Record) -> str:
    return record.name.decode("utf-8" if record.fields[2] & 0x800 else "cp437", "replace")


def _fresh(name: str, like: _Record) -> _Record:
    fields = list(like.fields)
    fields[2], fields[3], fields[4], fields[5] = 0 if name.isascii() else 0x800, zipfile.ZIP_DEFLATED, 0, _NO_DATE
    return _Record(tuple(fields), name.encode(), b"", b"")


def _packed(record: _Record, new: Packed) -> tuple[bytes, tuple[int, ...]]:
    """Return the part's head and packed bytes, and the fields of its directory record; date and flags stay."""
    fields = list(record.fields)
    fields[1] = max(fields[1] & 0xFF, 20) | (fields[1] & 0xFF00)
    fields[2] &= ~8  # sizes stand in the head, not behind the data
    fields[3] = zipfile.ZIP_DEFLATED
    fields[6:9] = new.crc, len(new.data), new.size
    head = _LOCAL.pack(b"PK\x03\x04", fields[1], *fields[2:9], len(record.name), 0)
    return head + record.name + new.data, tuple(fields)
