"""Whether a version's record.json is what its events amount to, and where MLflow's own fields say something else.

Rules held here: record.json brings a version back, so nothing in it is taken that its events.jsonl does not bear out. The
events are hashed as the record names them and folded as a registry folds its own; what comes out is compared member by
member. What only the rest of that ledger tells (the registry, retention, that a request lapsed, that an alias went) is
not in a version's own events and is left aside. Whoever forges record and events alike is found by neither: the
signatures and the anchor of the old registry tell that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, overload

from manual_registry.core import events as kinds
from manual_registry.core.canonical import dump, parse
from manual_registry.core.errors import EventUnreadable, RegistryError
from manual_registry.core.folding import fold
from manual_registry.core.handover import comparing, earlier, mapping
from manual_registry.core.handover.entities import VersionEntities
from manual_registry.core.handover.record import EVENTS, RECORD, lines, record_bytes
from manual_registry.core.ledger import Event, hash_of, parse_event
from manual_registry.core.manifest import Content
from manual_registry.core.state import State, VersionState
from manual_registry.core.values import Risk

#: Members of record.json that other events of that ledger decide; ``row`` and ``approvals`` have a look of their own.
_ELSEWHERE: Final = frozenset({"schema", "registry", "row", "approvals"})
#: Members of ``row`` of which that is true.
_ROW_ELSEWHERE: Final = frozenset({"retention_until", "aliases"})
#: Places that are compared; files are hashed when they come, and names are MLflow's.
_TOLD: Final = ("run.tag", "run.param", "run.metric", "run.dataset", "model.tag", "version.tag", "version")
_NO_FILES: Final = Content(kind="directory", name=None, files=(), size=0, blake3="", sha256="")


@dataclass(frozen=True, kw_only=True, slots=True)
class Borne:
    """A version as its own events amount to it; ``state`` knows no other event, ``events`` are in order."""

    state: State
    version: VersionState
    events: tuple[Event, ...]


def borne_out(record: bytes, events: bytes | None) -> Borne:
    """Fold the events of a version and compare them with its record; both are the files' bytes.

    Raises :class:`EventUnreadable` where they say different things, or the events are not there.
    """
    if events is None:
        raise _differs("events.jsonl is not there or cannot be read, so record.json cannot be checked")
    try:
        return _borne_out(parse(record), events)
    except (KeyError, TypeError, AttributeError, ValueError) as problem:
        raise EventUnreadable(f"record.json does not hold together: {problem}", location=RECORD) from None


def _borne_out(said: Any, events: bytes) -> Borne:
    found = _events(said, events)
    try:
        state = fold(found)
    except EventUnreadable as problem:
        raise _differs(f"events.jsonl does not hold together: {problem.message}") from None
    version = state.version(str(said["model"]), str(said["version"]))
    if version is None:
        raise _differs("events.jsonl does not register the version that record.json names")
    made: Any = parse(record_bytes(state, version))
    wrong = sorted(dict.fromkeys(_differences(said, made, found)))
    if wrong:
        raise _differs(f"record.json says something else than its events.jsonl: {', '.join(wrong)}")
    return Borne(state=state, version=version, events=tuple(found))


def _differs(text: str) -> RegistryError:
    return EventUnreadable(f"{text}; one of them was changed in MLflow", location=RECORD)


def _events(said: Any, data: bytes) -> list[Event]:
    """Return the events; each is hashed, and they are those that the record names, all of them, in its order."""
    claimed = [one["hash"] for one in said["events"]]
    there = list(lines(data))
    if [hash_of(one) for one in there] != claimed:
        same = sum(hash_of(one) in claimed for one in there)
        raise _differs(
            f"record.json names {len(claimed)} events, of which events.jsonl holds {same} in {len(there)} lines"
        )
    return [parse_event(one, location=f"{EVENTS} line {number}") for number, one in enumerate(there, 1)]


def _differences(said: Mapping[str, Any], made: Mapping[str, Any], events: Sequence[Event]) -> Iterator[str]:
    """Yield the members that differ. Text is compared, not values: to Python 1, 1.0 and true are one."""
    for name in made.keys() & said.keys() - _ELSEWHERE:
        if dump(said[name]) != dump(made[name]):
            yield name
    row = made["row"]
    for name in row.keys() & said["row"].keys() - _ROW_ELSEWHERE:
        if dump(said["row"][name]) != dump(row[name]):
            yield f"row.{name}"
    given = {event.data["alias"] for event in events if event.type == kinds.ALIAS_SET}
    if not given.issuperset(said["row"]["aliases"]):
        yield "row.aliases"
    if dump(said["approvals"]) != dump(_as_said(made["approvals"], said["approvals"])):
        yield "approvals"


def _as_said(made: Sequence[Mapping[str, Any]], said: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Return the approvals with ``lapsed`` where the record says that: a change of the roster or a close does it too."""
    lapsed = {one["id"] for one in said if one["status"] == "lapsed"}
    return [{**one, "status": "lapsed"} if one["id"] in lapsed else dict(one) for one in made]


class _OwnEvents(Sequence[Event]):
    """The chain from event 1 on as :mod:`mapping` asks for it, of which only a version's own events are there."""

    def __init__(self, events: Sequence[Event]) -> None:
        self._found = {event.seq: event for event in events}

    @overload
    def __getitem__(self, place: int) -> Event: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Event]: ...
    def __getitem__(self, place: int | slice) -> Event | Sequence[Event]:
        if isinstance(place, slice):
            raise TypeError("one event at a time")
        return self._found[place + 1]

    def __len__(self) -> int:
        return max(self._found, default=0)


def told(borne: Borne, found: VersionEntities, said: Mapping[str, Any]) -> list[str]:
    """Return where tags, description, params, metrics and data sets in MLflow are not what an export writes.

    ``said`` is the record, as :func:`read_record` gives it: of the registry and its retention that alone tells.
    """
    registry, state = said["registry"], borne.state
    state.registry_id, state.system, state.risk = registry["id"], registry["system"], Risk(registry["risk"])
    wanted = mapping.version_entities(state, borne.version, events=_OwnEvents(borne.events), content=_NO_FILES).flat()
    until = ("version.tag", "aisdp.retention_until")
    wanted = {key: value for key, value in wanted.items() if key != until}
    if said["row"]["retention_until"]:
        wanted[until] = str(said["row"]["retention_until"])
    there = found.flat()
    wanted = earlier.expected(wanted, there)
    parts = {"run": found.run, "model": found.logged, "version": found.registered}
    kept = {place for place in _TOLD if parts[place.partition(".")[0]] is not None}
    return [
        f"{one.place} {one.name} is {_shown(one.found)} in MLflow, its record says {_shown(one.expected)}; the record counts"
        for one in comparing.check(
            {key: value for key, value in wanted.items() if key[0] in kept},
            {key: value for key, value in there.items() if key[0] in kept},
            model=found.model,
            version=found.version,
        )
    ]


def _shown(text: str | None) -> str:
    return "not there" if text is None else f"“{text[:80]}…”" if len(text) > 80 else f"“{text}”"
