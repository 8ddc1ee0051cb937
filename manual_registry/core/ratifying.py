"""Rollbacks that a lead ratifies afterwards (design 3.4): until when, and how one ends that nobody ratified.

Rule held here: that a version ran unratified is never untold; it is an error as long as it runs so.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from manual_registry.core.errors import BadTime
from manual_registry.core.times import parse_time

if TYPE_CHECKING:
    from manual_registry.core.state import Request, State

#: Hours in which a lead ratifies a rollback (design 3.4).
RATIFY_HOURS: Final = 48


def too_late(request: Request, now: datetime) -> bool:
    """Tell whether the request is to ratify a rollback, and the hours for that have passed without a signature."""
    if request.ratifies is None or request.status != "requested":
        return False
    try:
        return now - parse_time(request.at) > timedelta(hours=RATIFY_HOURS)
    except BadTime:  # a hand-made event; `verify` tells it
        return True


def way_back(state: State, request: Request) -> str:
    """Return the command that ends what no lead ratified: a rollback to what stood there before, where there was any.

    A closed register (RP-22) takes no rollback.
    """
    before = state.versions.get((request.model, request.replaces or ""))
    if state.closed is None and before is not None and before.was_production:
        return f'mreg rollback {request.model} --to {before.version} --reason "…" --pipeline NAME --pipeline-key FILE'
    return f'mreg archive {request.model}@{request.version} --reason "…"'


def ended_since(state: State, request: Request) -> int | None:
    """Return the event that took out of production what no lead ratified; None: nothing did that stands itself.

    A step that had its approval itself does, or another rollback that a lead did ratify.
    """
    steps = state.versions[request.model, request.version].steps
    later = [one.seq for one in steps if one.seq > (request.ratifies or 0)]
    if not later:
        return None
    other = next((one for one in state.requests.values() if one.ratifies == later[0]), None)
    return later[0] if other is None or other.status == "used" else None
