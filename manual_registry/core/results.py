"""What the facade gives back: values with the documents of the contract (``--json``).

``document()`` of each returns the JSON document, ``schema`` included; nothing here prints.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from manual_registry.core.errors import Json
from manual_registry.core.links import LINK_KINDS, LinkStatus, Trace, TraceLink
from manual_registry.core.remedies import remedy

__all__ = [
    "LINK_KINDS",
    "NOT_RECORDED",
    "Finding",
    "LinkStatus",
    "Result",
    "Severity",
    "Trace",
    "TraceLink",
    "Verification",
]


class Severity(StrEnum):
    """How much a finding weighs; only an error makes `verify` exit 4."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that `verify` has to say, with its code, place and clause.

    ``hint``: what to do about this very one; :mod:`manual_registry.core.remedies` has a sentence for each code.
    """

    code: str
    severity: Severity
    location: str
    message: str
    clause: str | None = None
    hint: str | None = None

    @property
    def advice(self) -> str | None:
        """What to do about it; None: nothing."""
        return self.hint or (remedy(self.code) if self.severity is not Severity.INFO else None)

    def document(self) -> dict[str, Json]:
        """Return the finding as it stands in the verify document; its message says what to do as well."""
        return {
            "code": self.code,
            "severity": self.severity.value,
            "location": self.location,
            "message": f"{self.message}; next: {self.advice}" if self.advice else self.message,
            "clause": self.clause,
        }


#: The code of the finding that an outcome could not be kept in the ledger.
NOT_RECORDED = "MR-F004"


@dataclass(frozen=True, kw_only=True, slots=True)
class Verification:
    """The outcome of `verify`: ``checked`` counts what was looked at; ``ok`` means no error."""

    checked: Mapping[str, int]
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """True when no finding is an error."""
        return all(finding.severity is not Severity.ERROR for finding in self.findings)

    def document(self) -> dict[str, Json]:
        """Return ``manual-registry/verify/1``."""
        return {
            "schema": "manual-registry/verify/1",
            "ok": self.ok,
            "checked": dict(self.checked),
            "findings": [finding.document() for finding in self.findings],
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """The outcome of a writing command (``manual-registry/result/1``); None where nothing applies.

    ``events`` are the numbers written now; ``ledger`` is the head afterwards as ``(seq, "sha256:…")``; ``next`` is
    the command that would come next; ``notes`` are sentences for a person on a terminal (not in the document).
    """

    command: str
    changed: bool
    ledger: tuple[int, str]
    model: str | None = None
    version: str | None = None
    stage: str | None = None
    composite_id: str | None = None
    id: str | None = None
    events: tuple[int, ...] = ()
    waiting_for: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    next: str | None = None
    notes: tuple[str, ...] = ()

    def document(self) -> dict[str, Json]:
        """Return ``manual-registry/result/1``."""
        return {
            "schema": "manual-registry/result/1",
            "command": self.command,
            "changed": self.changed,
            "model": self.model,
            "version": self.version,
            "stage": self.stage,
            "composite_id": self.composite_id,
            "id": self.id,
            "events": list(self.events),
            "ledger": {"seq": self.ledger[0], "hash": self.ledger[1]},
            "waiting_for": list(self.waiting_for),
            "warnings": list(self.warnings),
            "next": self.next,
        }
