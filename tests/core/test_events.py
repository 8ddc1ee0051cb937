"""Event types: each has a shape, a decision and an effect; what is newer is told as newer."""

from __future__ import annotations

import functools
import typing
from dataclasses import replace

import pytest
from chains import Chain
from mutations import CASES

from manual_registry.core import decide as deciding
from manual_registry.core import events as kinds
from manual_registry.core import folding, state
from manual_registry.core.errors import EventUnreadable, FormatTooNew
from manual_registry.core.ledger import Draft, Event, seal
from manual_registry.core.touches import is_control, touched

NAMES = [
    value for name, value in vars(kinds).items()
    if name.isupper() and isinstance(value, str)
]  # fmt: skip


@functools.cache
def example(type_: str) -> Event:
    """Return an event of a type, legal where it stands."""
    for make in CASES.values():
        chain, (kind, subject, data, actor) = make()
        if kind == type_:
            if chain is not None:
                return chain.seal(kind, subject, data, actor=actor)
            return seal(
                Draft(type=kind, subject=subject, data=data),
                seq=1,
                prev=None,
                at="2026-03-01T08:00:00.000Z",
                actor=actor,
            )
    raise AssertionError(f"no example of {type_}")


def test_every_constant_is_a_type() -> None:
    assert sorted(NAMES) == sorted(kinds.EVENT_TYPES)
    assert len(set(NAMES)) == len(NAMES)


def test_every_type_has_a_shape_a_decision_an_effect_and_a_sentence() -> None:
    from manual_registry.core.documents import summary

    assert set(kinds.SHAPES) == set(kinds.EVENT_TYPES)
    assert set(deciding._DECISIONS) == set(kinds.EVENT_TYPES)
    assert set(folding.EFFECTS) == set(kinds.EVENT_TYPES)
    for kind in kinds.EVENT_TYPES:
        assert summary(example(kind)) != kind, kind


def test_control_and_governed_types_are_types() -> None:
    assert kinds.CONTROL_TYPES < kinds.GOVERNED_TYPES < set(kinds.EVENT_TYPES)
    signed = {kind for kind in kinds.EVENT_TYPES if "control" in kinds.SHAPES[kind][1]}
    # These rest on events that a partial fold need not contain; every whole decision asks their signature.
    partial = {kinds.BASELINE_SIGNED, kinds.EXCEPTION_GRANTED}
    unsigned = {kinds.CREATED, kinds.CONTROL_REQUESTED, kinds.CONTROL_WITHDRAWN}
    assert signed | unsigned == kinds.CONTROL_TYPES | partial


@pytest.mark.parametrize("kind", kinds.EVENT_TYPES)
def test_a_legal_event_has_its_shape(kind: str) -> None:
    kinds.check_shape(example(kind))


@pytest.mark.parametrize("kind", kinds.EVENT_TYPES)
@pytest.mark.parametrize("part", ["subject", "data"])
def test_one_member_more_is_newer_one_less_is_unreadable(kind: str, part: typing.Literal["subject", "data"]) -> None:
    event = example(kind)
    found = event.subject if part == "subject" else event.data
    more = {**found, "newer": 1}
    changed = replace(event, subject=more) if part == "subject" else replace(event, data=more)
    with pytest.raises(FormatTooNew):
        kinds.check_known(changed)
    with pytest.raises(FormatTooNew):
        folding.apply(state.State(), changed)
    may_be_absent = kinds.OPTIONAL.get(kind, {}) if part == "data" else {}
    for member in found:
        less = {name: value for name, value in found.items() if name != member}
        changed = replace(event, subject=less) if part == "subject" else replace(event, data=less)
        if member in may_be_absent:
            kinds.check_shape(changed)
            continue
        with pytest.raises(EventUnreadable):
            kinds.check_shape(changed)


def test_an_unheard_of_type_is_newer_never_skipped() -> None:
    event = replace(example(kinds.NOTED), type="version.praised")
    with pytest.raises(FormatTooNew) as refusal:
        kinds.check_known(event)
    assert refusal.value.location == f"ledger/{event.seq:012d}.json"
    assert refusal.value.hint
    with pytest.raises(FormatTooNew):
        folding.fold([event])


def test_touched_names_the_versions_whose_record_changes() -> None:
    chain = Chain()
    chain.to_production("1")
    chain.deploy("1", "production")
    chain.to_production("2")
    assert touched(chain.events[-1]) == [("churn", "2"), ("churn", "1")]
    deployment = chain.deploy("2", "production")
    assert touched(deployment) == [("churn", "2"), ("churn", "1")]
    assert touched(chain.events[0]) == []
    assert is_control(chain.events[0])
    assert not is_control(deployment)
    again = chain.deploy("2", "production")
    assert touched(again) == [("churn", "2")]
