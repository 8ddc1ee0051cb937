"""The links of the provenance walk and their sum, the trace (design 3.2).

A module apart from the other results: `trace` must start quickly, and needs none of those.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from manual_registry.core.errors import Json


class LinkStatus(StrEnum):
    """What is known of one link of the provenance walk."""

    VERIFIED = "verified"
    RECORDED = "recorded"
    MISSING = "missing"
    BROKEN = "broken"
    NOT_APPLICABLE = "not_applicable"


#: The links of the walk, in order.
LINK_KINDS: tuple[str, ...] = (
    "deployment",
    "artefact",
    "code",
    "data",
    "pipeline",
    "configuration",
    "prompt",
    "environment",
    "evaluation",
    "gates",
    "approval",
    "history",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class TraceLink:
    """One link: ``summary`` is a sentence, ``detail`` the facts."""

    kind: str
    status: LinkStatus
    summary: str
    detail: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Trace:
    """The provenance walk of one version; ``paragraph`` is fit for an incident ticket."""

    model: str
    version: str
    stage: str
    composite_id: str
    links: tuple[TraceLink, ...]
    needed: frozenset[str]
    paragraph: str
    warnings: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """True when no link is missing."""
        return all(link.status is not LinkStatus.MISSING for link in self.links)

    @property
    def broken(self) -> bool:
        """True when a link is broken."""
        return any(link.status is LinkStatus.BROKEN for link in self.links)

    @property
    def verified(self) -> bool:
        """True when nothing is broken and every needed link was checked here and now."""
        checked = {link.kind for link in self.links if link.status is LinkStatus.VERIFIED}
        return not self.broken and self.needed <= checked

    def document(self) -> dict[str, Json]:
        """Return ``manual-registry/trace/1``."""
        return {
            "schema": "manual-registry/trace/1",
            "model": self.model,
            "version": self.version,
            "stage": self.stage,
            "composite_id": self.composite_id,
            "complete": self.complete,
            "verified": self.verified,
            "links": [
                {"kind": link.kind, "status": link.status.value, "summary": link.summary, "detail": dict(link.detail)}
                for link in self.links
            ],
        }
