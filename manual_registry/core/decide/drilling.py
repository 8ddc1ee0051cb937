"""May a retrieval drill be recorded so (clause RP-23)?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from manual_registry.core import drills
from manual_registry.core.errors import EventUnreadable, RegistryError
from manual_registry.core.ledger import Event
from manual_registry.core.state import State, VersionState
from manual_registry.core.values import line_text


def drilled(state: State, event: Event) -> list[RegistryError]:
    """Decide the record of a drill: a remark about the archive that changes no version.

    It names exactly the versions whose turn it was, each with an outcome that holds together; a version that is said to
    have been had back came with the hash that the ledger has.
    """
    data = event.data
    through, seed, sample = data["through"], data["seed"], data["sample"]
    if not 0 < through <= state.head_seq or state.hashes.get(through) != seed:
        return [EventUnreadable("the drill was not chosen on an event of this ledger, with its hash as the seed")]
    if sample is not None and sample < 1:
        return [EventUnreadable("a drill is of one version or more")]
    there = drills.archived(state, through)
    turn = drills.chosen(state, through=through, seed=seed, sample=sample)
    named = [(one["model"], one["version"]) for one in data["versions"]]
    if data["archived"] != len(there) or not named or named != [(one.model, one.version) for one in turn]:
        return [EventUnreadable("the versions of the drill are not those whose turn it was")]
    if any(not _holds(record, one) for record, one in zip(turn, data["versions"], strict=True)):
        return [EventUnreadable("an outcome of the drill does not hold together")]
    if data["ok"] != all(one["outcome"] == drills.RETRIEVED for one in data["versions"]):
        return [EventUnreadable("the drill does not say of the whole what it says of its versions")]
    return []


def _holds(record: VersionState, one: Mapping[str, Any]) -> bool:
    problems, count = one["problems"], one["count"]
    for found in problems:
        for name in ("code", "location", "message"):
            line_text(found[name], where=name)
    if one["place"] not in drills.places(record) or min(one["files"], one["bytes"], one["milliseconds"]) < 0:
        return False
    if count != len(problems) and not count > len(problems) == drills.LISTED:
        return False
    if one["outcome"] == drills.FAILED:
        return bool(count > 0)
    return bool(count == 0 and one["blake3"] == record.blake3 and one["files"] > 0)
