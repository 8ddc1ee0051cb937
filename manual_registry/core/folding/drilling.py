"""Retrieval drills: what was tried, and what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from manual_registry.core.records import Drilled

if TYPE_CHECKING:
    from manual_registry.core.ledger import Event
    from manual_registry.core.state import State


def drilled(state: State, event: Event) -> None:
    """Fold ``retrieval.drilled``; it changes no version."""
    data = event.data
    state.drills.append(
        Drilled(
            seq=event.seq,
            at=event.at,
            archived=data["archived"],
            versions={(one["model"], one["version"]): one for one in data["versions"]},
        )
    )
