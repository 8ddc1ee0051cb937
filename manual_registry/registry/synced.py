"""What one run of `sync` has done so far: its lines, its events, and what the workbook has to be told."""

from __future__ import annotations

from dataclasses import dataclass, field

from manual_registry.core.syncing import Outcome
from manual_registry.ports import Instructions


@dataclass(slots=True)
class Synced:
    """One run: the outcome, the head, the events written; ``document()`` is ``manual-registry/sync/1``."""

    outcome: Outcome = field(default_factory=Outcome)
    events: list[int] = field(default_factory=list)
    head: tuple[int, str] = (0, "")
    accept: set[tuple[str, str, str]] = field(default_factory=set)
    keep: set[tuple[str, str, str]] = field(default_factory=set)
    adopt: dict[tuple[str, int], str] = field(default_factory=dict)
    says: dict[tuple[str, str | int], str] = field(default_factory=dict)

    def document(self) -> dict[str, object]:
        """Return ``manual-registry/sync/1`` with the ledger's head."""
        return {**self.outcome.document(), "ledger": {"seq": self.head[0], "hash": self.head[1]}}

    def instructions(self) -> Instructions:
        """Return what the workbook has to be told."""
        return Instructions(
            accept=frozenset(self.accept), keep=frozenset(self.keep), adopt=dict(self.adopt), says=dict(self.says)
        )
