"""The wire format of SSH (RFC 4251, section 5) and base64, each value in its one spelling.

Rules held here: reading is strict to the last byte, and every fault is told as the caller's own error.
What the fields mean is left to sshkeys.py and sshsig.py.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import NoReturn

from manual_registry.core.errors import RegistryError


def canonical_base64(text: str, *, error: type[RegistryError], where: str) -> bytes:
    """Decode base64 in its one spelling (padded, spare bits zero); raises ``error``."""
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, ValueError):
        raise error(f"{where}: the base64 is damaged; was it cut off or wrapped?", location=where) from None
    if base64.b64encode(data).decode("ascii") != text:
        raise error(f"{where}: the base64 is not in its canonical spelling", location=where)
    return data


def pack(*parts: bytes) -> bytes:
    """Return each part with its length as four bytes before it (RFC 4251 ``string``)."""
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def mpint(value: int) -> bytes:
    """Return the canonical two's complement of a natural number, without length (RFC 4251 ``mpint``)."""
    return value.to_bytes((value.bit_length() + 8) // 8, "big") if value else b""


class Wire:
    """A strict reader of RFC 4251 data; every fault is told as ``error`` at ``where``."""

    __slots__ = ("_at", "_data", "_error", "_where")

    def __init__(self, data: bytes, *, error: type[RegistryError], where: str) -> None:
        """Begin at the first byte of ``data``."""
        self._data, self._at, self._error, self._where = data, 0, error, where

    def fail(self, problem: str) -> NoReturn:
        """Raise the reader's error."""
        raise self._error(f"{self._where}: {problem}", location=self._where)

    def take(self, count: int, what: str) -> bytes:
        """Return the next ``count`` bytes."""
        if count > len(self._data) - self._at:
            self.fail(f"cut off in the {what}")
        self._at += count
        return self._data[self._at - count : self._at]

    def u32(self, what: str) -> int:
        """Return the next four bytes as a number."""
        return int.from_bytes(self.take(4, what), "big")

    def string(self, what: str) -> bytes:
        """Return the next length-prefixed bytes."""
        return self.take(self.u32(what), what)

    def name(self, what: str) -> str:
        """Return the next length-prefixed text of visible ASCII, at most 255 characters."""
        raw = self.string(what)
        if not re.fullmatch(rb"[!-~]{1,255}", raw):
            self.fail(f"the {what} is not a name")
        return raw.decode("ascii")

    def mpint(self, what: str) -> int:
        """Return the next number, above zero and in its one spelling."""
        raw = self.string(what)
        value = int.from_bytes(raw, "big")
        if not value or raw != mpint(value):
            self.fail(f"the {what} is not a number in canonical form")
        return value

    def end(self) -> None:
        """Refuse whatever follows."""
        left = len(self._data) - self._at
        if left:
            self.fail(f"{left} bytes too many at the end")
