"""Retrieval drills: which archived versions are had back next, when one is due, what is told of the last (clause RP-23).

Rules held here: the choice follows from the ledger alone. Versions never drilled come first, then those whose drill is
longest ago; who comes first among equals follows from a seed that nobody picks, the hash of the event on which was chosen.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from manual_registry.core.canonical import sha256_hex
from manual_registry.core.errors import BadTime
from manual_registry.core.ledger import file_name
from manual_registry.core.records import Drilled, VersionState
from manual_registry.core.results import Finding, Severity
from manual_registry.core.state import State
from manual_registry.core.times import parse_time, stamp
from manual_registry.core.values import Stage

#: So many months after the last drill that had something back, or after the first archiving, the next one is due.
MONTHS: Final = 12
#: So many problems of one version are listed in the event; their number is told in any case.
LISTED: Final = 20

#: So many versions are named in one sentence.
_NAMED: Final = 5

RETRIEVED: Final = "retrieved"
FAILED: Final = "failed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Due:
    """When the next drill is due: at ``at``, since ``since``; ``ever``: something was had back before."""

    since: datetime
    at: datetime
    ever: bool


def archived(state: State, through: int | None = None) -> list[VersionState]:
    """Return the versions that are archived, or were after event ``through``, in order of registration."""
    if through is None:
        return [one for one in state.versions.values() if one.stage == Stage.ARCHIVED.value]
    return [one for one in state.versions.values() if _stage_after(one, through) == Stage.ARCHIVED.value]


def _stage_after(record: VersionState, through: int) -> str | None:
    if record.steps[-1].seq <= through:
        return record.stage
    return next((step.stage for step in reversed(record.steps) if step.seq <= through), None)


def chosen(state: State, *, through: int, seed: str, sample: int | None) -> list[VersionState]:
    """Return the versions of a drill that begins after event ``through``, in order; ``sample`` None: all archived ones."""
    last: dict[tuple[str, str], int] = {}
    for drill in state.drills:
        if drill.seq <= through:
            last |= dict.fromkeys(drill.versions, drill.seq)
    groups: dict[int, list[VersionState]] = {}
    for record in archived(state, through):
        groups.setdefault(last.get((record.model, record.version), 0), []).append(record)
    turn: list[VersionState] = []
    for _, equals in sorted(groups.items()):
        turn += sorted(equals, key=lambda one: sha256_hex(f"{seed} {one.ref}".encode()))
        if sample is not None and len(turn) >= sample:
            return turn[:sample]
    return turn


def place(record: VersionState) -> str:
    """Return from where a version is had back, below the root: its bag, else where its files wait or were adopted."""
    return record.bag or record.location or f"models/{record.model}/{record.version}"


def places(record: VersionState) -> set[str]:
    """Return every place at which its files may have lain while a drill was made."""
    found = {str(one["bag"]) for one in record.bags} | {f"models/{record.model}/{record.version}"}
    return found | {str(one) for one in (record.location, (record.adopted or {}).get("location")) if one}


def due(state: State) -> Due | None:
    """Return when a drill is due; None: nothing is archived. It counts from the first archiving until one had a version back."""
    there = archived(state)
    names = {(one.model, one.version) for one in there}
    good = [
        drill.at
        for drill in state.drills
        if any(outcome["outcome"] == RETRIEVED and name in names for name, outcome in drill.versions.items())
    ]
    since = [max(good)] if good else [_archived_at(one) for one in there]
    try:
        moments = [parse_time(one) for one in since]
    except BadTime:  # a hand-made event; `verify` tells it
        return None
    if not moments:
        return None
    return Due(since=min(moments), at=_a_year_later(min(moments)), ever=bool(good))


def _archived_at(record: VersionState) -> str:
    return next(step.at for step in reversed(record.steps) if step.stage == Stage.ARCHIVED.value)


def _a_year_later(moment: datetime) -> datetime:
    """Return the same time :data:`MONTHS` later; after 29 February, 1 March."""
    try:
        return moment.replace(year=moment.year + MONTHS // 12)
    except ValueError:
        if moment.year >= datetime.max.year:
            return datetime.max.replace(tzinfo=moment.tzinfo)
        return moment.replace(year=moment.year + MONTHS // 12, month=3, day=1)


def overdue(state: State, now: datetime) -> str | None:
    """Say in one sentence that a drill is overdue; None: it is not."""
    found = due(state)
    if found is None or now <= found.at:
        return None
    count = len(archived(state))
    versions = f"{count} archived version{'' if count == 1 else 's'}"
    day = stamp(found.since)[:10]
    if found.ever:
        return f"{versions}, and none was had back since {day}: a retrieval drill was due on {stamp(found.at)[:10]}"
    return f"{versions} since {day}, and none was ever had back: a retrieval drill was due on {stamp(found.at)[:10]}"


def of(state: State, record: VersionState) -> list[int]:
    """Return the events of the drills in which a version was tried."""
    return [drill.seq for drill in state.drills if (record.model, record.version) in drill.versions]


def failed(state: State) -> Iterator[tuple[VersionState, Drilled, Mapping[str, Any]]]:
    """Yield each archived version whose last drill failed, with that drill and what it found.

    A drill of before its files came to where they lie now says nothing any more: they were checked on the way.
    """
    last: dict[tuple[str, str], Drilled] = {}
    for drill in state.drills:
        last |= dict.fromkeys(drill.versions, drill)
    for record in archived(state):
        name = record.model, record.version
        found = last.get(name)
        since = record.bags[-1]["seq"] if record.bag else record.archived_seq or 0
        if found is not None and found.seq > since and found.versions[name]["outcome"] == FAILED:
            yield record, found, found.versions[name]


def failed_text(record: VersionState, drill: Drilled, outcome: Mapping[str, Any]) -> str:
    """Say in one sentence that the last drill of a version failed."""
    first = next(iter(outcome["problems"]), {"location": "", "message": "no reason was recorded"})
    where = "" if first["location"] in first["message"] else f"{first['location']}: "
    more = f" (and {outcome['count'] - 1} more)" if outcome["count"] > 1 else ""
    return f"{record.ref} could not be had back on {drill.at[:10]}: {where}{first['message']}{more}"


def told(count: int, outcomes: Collection[Mapping[str, Any]]) -> str:
    """Say in one phrase how many of ``count`` archived versions were tried, and which could not be had back."""
    bad = [f"{one['model']}@{one['version']}" for one in outcomes if one["outcome"] == FAILED]
    tried = f"{len(outcomes)} of {count} archived version{'' if count == 1 else 's'} tried"
    if not bad:
        return f"{tried}, {'all' if len(outcomes) > 1 else 'it was'} had back as registered"
    named = ", ".join(bad[:_NAMED]) + (f" and {len(bad) - _NAMED} more" if len(bad) > _NAMED else "")
    return f"{tried}, {len(bad)} could not be had back: {named}"


def document(state: State) -> dict[str, Any] | None:
    """Return what `status` says of the last drill: when, its event, how many were tried and failed; None: there was none."""
    if not state.drills:
        return None
    last = state.drills[-1]
    bad = [f"{model}@{version}" for (model, version), one in last.versions.items() if one["outcome"] == FAILED]
    return {
        "at": last.at,
        "seq": last.seq,
        "ok": not bad,
        "tried": len(last.versions),
        "archived": last.archived,
        "failed": bad,
    }


def findings(state: State, now: datetime) -> Iterator[Finding]:
    """Yield what `verify` tells: the last drill (information), one that failed or is overdue (warnings)."""
    if state.drills:
        last = state.drills[-1]
        text = f"the last retrieval drill was made on {last.at[:10]}: {told(last.archived, last.versions.values())}"
        where = f"ledger/{file_name(last.seq)}"
        yield Finding(code="MR-F070", severity=Severity.INFO, location=where, message=text, clause="RP-23")
    for record, drill, outcome in failed(state):
        yield Finding(
            code="MR-F071",
            severity=Severity.WARNING,
            location=f"ledger/{file_name(drill.seq)}",
            message=failed_text(record, drill, outcome),
            clause="RP-23",
        )
    late = overdue(state, now)
    if late is not None:
        yield Finding(code="MR-F072", severity=Severity.WARNING, location="archive/", message=late, clause="RP-23")
