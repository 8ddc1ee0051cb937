"""What a scan finds and how much it may spend: values shared by the readers of each form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

#: Limits of one scan. What goes beyond is a finding: a model that cannot be judged has not passed.
MOST_UNPACKED: Final = 8 << 30
FREE_UNPACKED: Final = 512 << 20
LARGEST_RATIO: Final = 200
MOST_PARTS: Final = 100_000
DEEPEST: Final = 5
MOST_OPCODES: Final = 10_000_000
#: So many findings are listed; all are counted.
_LISTED: Final = 200


class Kind(StrEnum):
    """What is wrong: code known to be dangerous, code not known to be harmless, a broken part, one nobody can judge."""

    DANGEROUS = "dangerous_code"
    UNKNOWN = "unknown_code"
    MALFORMED = "malformed_parts"
    NOT_UNDERSTOOD = "parts_not_understood"


@dataclass(frozen=True, kw_only=True, slots=True)
class ScanFinding:
    """One thing that a model file should not have; ``place`` is the file and, after ``!``, the part inside."""

    kind: Kind
    place: str
    message: str


@dataclass(kw_only=True, slots=True)
class Watch:
    """What one scan has seen and spent so far."""

    size: int
    findings: list[ScanFinding] = field(default_factory=list)
    counts: dict[Kind, int] = field(default_factory=dict)
    imports: dict[tuple[str, str], str] = field(default_factory=dict)
    forms: dict[str, int] = field(default_factory=dict)
    unpacked: int = 0
    parts: int = 0
    opcodes: int = 0

    def find(self, kind: Kind, place: str, message: str) -> None:
        """Keep a finding."""
        self.counts[kind] = self.counts.get(kind, 0) + 1
        if len(self.findings) < _LISTED:
            self.findings.append(ScanFinding(kind=kind, place=place, message=message))

    def form(self, name: str) -> None:
        """Count a part by its form."""
        self.forms[name] = self.forms.get(name, 0) + 1

    def unpack(self, count: int) -> None:
        """Count unpacked bytes; raises :class:`TooMuch` beyond the limits."""
        self.unpacked += count
        free = self.unpacked <= FREE_UNPACKED or self.unpacked <= LARGEST_RATIO * self.size
        if self.unpacked > MOST_UNPACKED or not free:
            raise TooMuch(f"unpacks to more than {self.unpacked >> 20} MB")

    def part(self) -> None:
        """Count one part; raises :class:`TooMuch` beyond the limit."""
        self.parts += 1
        if self.parts > MOST_PARTS:
            raise TooMuch(f"has more than {MOST_PARTS} parts")

    def opcode(self, count: int) -> None:
        """Count steps of pickles; raises :class:`TooMuch` beyond the limit."""
        self.opcodes += count
        if self.opcodes > MOST_OPCODES:
            raise TooMuch(f"needs more than {MOST_OPCODES} steps to load")


def words(text: str) -> frozenset[str]:
    """Return the words of ``text``."""
    return frozenset(text.split())


class TooMuch(Exception):
    """The model goes beyond a limit of the scan, which ends there."""


class Broken(Exception):
    """A part does not follow its own format."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scan:
    """The outcome: findings (the first of them, and how many of each kind), imports with their verdict, forms seen.

    ``allowed`` are the imports that were let through by hand; ``scanner`` is the library with its version.
    """

    findings: tuple[ScanFinding, ...]
    counts: Mapping[Kind, int]
    imports: Mapping[str, str]
    forms: Mapping[str, int]
    allowed: tuple[str, ...]
    scanner: str

    @property
    def clean(self) -> bool:
        """True when nothing was found."""
        return not any(self.counts.values())
