"""Which versions an event touches: what the index must know to fold a part of the ledger (see ``core.state``)."""

from __future__ import annotations

from manual_registry.core import events as kinds
from manual_registry.core.ledger import Event


def touched(event: Event) -> list[tuple[str, str]]:
    """Return (model, version) of every version whose record the event changes."""
    model, version = event.subject.get("model"), event.subject.get("version")
    if model is None or version is None:
        return []
    found = [(model, version)]
    if event.type in (kinds.PROMOTED, kinds.ROLLED_BACK) and event.data["replaces"]:
        found.append((model, event.data["replaces"]))
    if event.type == kinds.DEPLOYED:
        found += [(model, other) for other in event.data["replaces"] if other != version]
    return found


def is_control(event: Event) -> bool:
    """Tell whether every partial fold must contain the event: a baseline says of many versions what they rest on."""
    return event.type in kinds.CONTROL_TYPES or event.type == kinds.BASELINE_OPENED
