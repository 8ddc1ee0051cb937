"""Exports to other registries: what was recorded of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from manual_registry.core.handover.addresses import same_server
from manual_registry.core.records import Exported

if TYPE_CHECKING:
    from manual_registry.core.ledger import Event
    from manual_registry.core.state import State


def recorded(state: State, event: Event) -> None:
    """Fold ``export.recorded``."""
    data = event.data
    found = state.exports.setdefault((data["target"], same_server(data["uri"])), Exported())
    found.uri = data["uri"]
    if data["action"] == "check":
        found.checked_at = event.at
    else:
        found.seq, found.at = event.seq, event.at
        found.versions |= {(one["model"], one["version"]): (one["number"], one["digest"]) for one in data["versions"]}
        found.marks |= {
            (one["model"], one["version"]): (one["through"], one["alias"] or "") for one in data.get("marks", ())
        }
    for model in data["models"]:
        found.mismatches[model] = [one for one in data["mismatches"] if one["model"] == model]
    cut = data["count"] > len(data["mismatches"])
    found.cut = found.cut | set(data["models"]) if cut else found.cut - set(data["models"])
