"""The chain as values: one form, one place, one predecessor."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from chains import Chain
from hypothesis import given
from hypothesis import strategies as st

from manual_registry.core.canonical import dump
from manual_registry.core.errors import ChainBroken, EventMissing, EventUnreadable, FormatTooNew, RegistryError
from manual_registry.core.ledger import (
    Draft,
    Event,
    chain,
    check_link,
    file_name,
    hash_of,
    is_canonical,
    parse_event,
    seal,
)

GOOD: dict[str, Any] = {
    "format": 1, "seq": 1, "prev": None, "at": "2026-03-01T08:00:00.000Z", "actor": "a@b.org", "type": "t",
    "subject": {},
    "data": {},
}  # fmt: skip


def files(events: list[Event]) -> list[tuple[str, bytes]]:
    """Return the files of a ledger."""
    return [(file_name(event.seq), event.raw) for event in events]


@pytest.fixture(name="events")
def _events() -> list[Event]:
    made = Chain()
    made.to_staging("1")
    return made.events


def test_names_sort_as_numbers() -> None:
    assert file_name(1) == "000000000001.json"
    assert sorted(file_name(number) for number in (10, 9, 100)) == [file_name(9), file_name(10), file_name(100)]


def test_a_whole_chain_comes_back_as_it_was_written(events: list[Event]) -> None:
    assert list(chain(files(events))) == events
    assert events[0].prev is None
    assert all(after.prev == before.hash for before, after in itertools.pairwise(events))
    assert all(event.hash == hash_of(event.raw) and is_canonical(event) for event in events)


@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8")),
        st.integers(-(2**53) + 1, 2**53 - 1) | st.text(st.characters(codec="utf-8")),
    )
)
def test_sealing_and_parsing_are_inverse(data: dict[str, Any]) -> None:
    event = seal(Draft(type="t", subject={"model": "m"}, data=data), seq=7, prev="sha256:x", at="now", actor="a")
    assert parse_event(event.raw, location="here") == event
    assert (event.data, event.seq, event.prev) == (data, 7, "sha256:x")
    assert is_canonical(event)


@pytest.mark.parametrize("value", [1e17, 1e20, float(2**53), -1e18, 0.1])
def test_large_floats_survive_their_canonical_spelling(value: float) -> None:
    event = seal(Draft(type="t", subject={}, data={"v": value}), seq=1, prev=None, at="now", actor="a")
    assert event.data["v"] == value
    assert isinstance(event.data["v"], float)
    assert is_canonical(event)


@pytest.mark.parametrize("change", [
    {"format": 0}, {"format": -1}, {"format": "1"}, {"format": True}, {"format": 1.5}, {"format": None},
    {"seq": "1"}, {"seq": True}, {"seq": 1.5}, {"prev": 1}, {"at": None}, {"actor": 1}, {"type": []}, {"subject": []},
    {"subject": None}, {"data": "x"}, {"data": None},
])  # fmt: skip
def test_each_member_has_its_kind(change: dict[str, Any]) -> None:
    with pytest.raises(EventUnreadable) as refusal:
        parse_event(json.dumps({**GOOD, **change}).encode(), location="ledger/1")
    assert refusal.value.location == "ledger/1"


@pytest.mark.parametrize("member", GOOD)
def test_each_member_is_needed(member: str) -> None:
    with pytest.raises(EventUnreadable):
        parse_event(json.dumps({name: value for name, value in GOOD.items() if name != member}).encode(), location="x")


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b"1", b'"x"', b"\xff\xfe", dump(GOOD).decode().encode("utf-16"), b"[" * 100_000]
)
def test_what_is_no_event(raw: bytes) -> None:
    with pytest.raises(EventUnreadable):
        parse_event(raw, location="x")


@pytest.mark.parametrize("change", [{"format": 2}, {"format": 10**6}])
def test_a_newer_format_is_told_as_newer(change: dict[str, Any]) -> None:
    with pytest.raises(FormatTooNew):
        parse_event(json.dumps({**GOOD, **change}).encode(), location="x")


@pytest.mark.parametrize("raw", [
    b" " + dump(GOOD), dump(GOOD)[:-1], dump(GOOD) + b"\n", json.dumps(GOOD).encode() + b"\n",
    dump(GOOD).replace(b'"format":1', b'"format":1.0'), dump(GOOD).replace(b'"seq":1', b'"seq":1,"seq":1'),
])  # fmt: skip
def test_a_second_spelling_is_told(raw: bytes) -> None:
    try:
        event = parse_event(raw, location="x")
    except EventUnreadable:
        return
    assert not is_canonical(event)


def refusal_of(found: list[tuple[str, bytes]]) -> RegistryError:
    """Return the refusal of a chain."""
    with pytest.raises(RegistryError) as refusal:
        list(chain(found))
    return refusal.value


def test_a_gap_is_told_with_the_number_that_is_missing(events: list[Event]) -> None:
    found = files(events)
    problem = refusal_of(found[:2] + found[3:])
    assert isinstance(problem, EventMissing)
    assert problem.location == f"ledger/{file_name(3)}"
    assert isinstance(refusal_of(found[1:]), EventMissing)


def test_a_changed_event_breaks_the_link_behind_it(events: list[Event]) -> None:
    for index in range(len(events) - 1):
        found = files(events)
        found[index] = (found[index][0], found[index][1].replace(b'"type"', b' "type"'))
        problem = refusal_of(found)
        assert isinstance(problem, ChainBroken)
        assert problem.location == f"ledger/{file_name(index + 2)}"


def test_an_event_under_another_number_is_told(events: list[Event]) -> None:
    found = files(events)
    swapped = [found[0], (found[1][0], found[2][1]), (found[2][0], found[1][1]), *found[3:]]
    assert isinstance(refusal_of(swapped), EventMissing)


def test_the_first_event_has_nothing_before_it(events: list[Event]) -> None:
    with pytest.raises(ChainBroken):
        check_link(events[1], seq=2, prev=None, location="x")
    with pytest.raises(EventMissing):
        check_link(events[1], seq=1, prev=None, location="x")


def test_a_cut_chain_is_whole_which_is_why_anchors_exist(events: list[Event]) -> None:
    assert list(chain(files(events[:-1]))) == events[:-1]
    assert list(chain([])) == []
