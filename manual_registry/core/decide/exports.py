"""May an export be recorded so?"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from manual_registry.core.errors import EventUnreadable, RegistryError
from manual_registry.core.ledger import Event
from manual_registry.core.state import State
from manual_registry.core.values import line_text

#: So many mismatches are listed; their number is told in any case.
LISTED = 1000
_ADDRESS = re.compile(r"https?://[^/@?#]+(/[^@?#]*)?")


def recorded(state: State, event: Event) -> list[RegistryError]:
    """Decide the record of an export or check: a remark about another place that changes no version.

    It names models and versions of this register only, an address without credentials, an event that there was, and as
    many mismatches as it says.
    """
    data = event.data
    line_text(data["uri"], where="uri")
    line_text(data["server"], where="server")
    if not _ADDRESS.fullmatch(data["uri"]):
        return [EventUnreadable("the address of an export is http or https, without user, password, query or fragment")]
    if not 0 < data["through"] <= state.head_seq:
        return [EventUnreadable("an export cannot have known events that were not there")]
    if not data["models"] or any(model not in state.models for model in data["models"]):
        return [EventUnreadable("the export names a model that this register does not have")]
    named = [(one["model"], one["version"]) for one in data["versions"]]
    if any(one not in state.versions or one[0] not in data["models"] for one in named) or len(set(named)) != len(named):
        return [EventUnreadable("the export names a version that this register does not have")]
    if not _hold(state, data):
        return [EventUnreadable("what the export says to have written of itself does not hold together")]
    listed, count = data["mismatches"], data["count"]
    if count != len(listed) and not count > len(listed) == LISTED:
        return [EventUnreadable("the mismatches of the export are not as many as the event says")]
    if any(one["model"] not in data["models"] for one in listed) or data["checked"] < len(named):
        return [EventUnreadable("the export does not hold together")]
    return []


def _hold(state: State, data: Mapping[str, Any]) -> bool:
    """Tell whether the marks are an export's, each once, of models and versions that it names and an event that was."""
    marks = data.get("marks", [])
    if marks and data["action"] != "export":
        return False
    named = {(one["model"], one["version"]) for one in marks}
    return len(named) == len(marks) and all(
        one["model"] in data["models"]
        and 0 < one["through"] <= data["through"]
        and (one["version"] is None or (one["model"], one["version"]) in state.versions)
        and (one["version"] is None) == (one["alias"] is not None)
        for one in marks
    )
