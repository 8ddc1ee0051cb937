"""What was in production then (design 3.2, TIME): an instant, a whole day, and never a guess."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from chains import Chain
from histories import histories
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from manual_registry.core.errors import BadTime, NothingInProduction, SeveralInTime
from manual_registry.core.times import parse_time, stamp
from manual_registry.registry.tracing import in_production_at, production_stays


@pytest.fixture(name="chain")
def _chain() -> Chain:
    """Version 1 on 3 March, 2 from 5 March noon, nothing from the 8th, 1 again (rolled back) from the 10th."""
    chain = Chain(risk="minimal", leads=())
    for version, moment in (("1", (3, 0)), ("2", (5, 12))):
        chain.to_staging(version)
        chain.now = datetime(2026, 3, *moment, tzinfo=UTC)
        chain.promote(version, "production")
    chain.now = datetime(2026, 3, 8, tzinfo=UTC)
    chain.archive("2")
    chain.now = datetime(2026, 3, 10, tzinfo=UTC)
    chain.roll_back("1")
    return chain


def test_stays(chain: Chain) -> None:
    assert production_stays(chain.state, "churn") == [
        ("1", "2026-03-03T00:00:00.000Z", "2026-03-05T12:00:00.000Z"),
        ("2", "2026-03-05T12:00:00.000Z", "2026-03-08T00:00:00.000Z"),
        ("1", "2026-03-10T00:00:00.000Z", None),
    ]


@pytest.mark.parametrize(("at", "version"), [
    ("2026-03-03T00:00:00Z", "1"), ("2026-03-03", "1"), ("2026-03-04", "1"), ("2026-03-05T11:59:59.999Z", "1"),
    ("2026-03-05T12:00:00Z", "2"), ("2026-03-05T13:00:00+01:00", "2"), ("2026-03-05T12:00:00", "2"),
    ("2026-03-07", "2"),
    ("2026-03-07T23:59:59.999Z", "2"), ("2026-03-10T00:00:00Z", "1"), ("2026-03-10", "1"), ("9999-12-31", "1"),
])  # fmt: skip
def test_one_version(chain: Chain, at: str, version: str) -> None:
    assert in_production_at(chain.state, "churn", at) == version


@pytest.mark.parametrize(
    "at", ["2026-03-02", "2026-03-02T23:59:59.999Z", "2026-03-08", "2026-03-08T00:00:00Z", "2026-03-09", "0001-01-01"]
)
def test_nothing(chain: Chain, at: str) -> None:
    with pytest.raises(NothingInProduction) as refusal:
        in_production_at(chain.state, "churn", at)
    assert refusal.value.status == 5


def test_several_on_one_day_are_listed_with_their_intervals(chain: Chain) -> None:
    with pytest.raises(SeveralInTime) as refusal:
        in_production_at(chain.state, "churn", "2026-03-05")
    assert refusal.value.status == 6
    assert refusal.value.details["intervals"] == [
        {"version": "1", "from": "2026-03-03T00:00:00.000Z", "to": "2026-03-05T12:00:00.000Z"},
        {"version": "2", "from": "2026-03-05T12:00:00.000Z", "to": "2026-03-08T00:00:00.000Z"},
    ]


@pytest.mark.parametrize("at", ["", "yesterday", "20260305", "2026-W10"])
def test_what_is_no_time(chain: Chain, at: str) -> None:
    with pytest.raises(BadTime):
        in_production_at(chain.state, "churn", at)


def test_twice_on_one_day_is_one_version() -> None:
    chain = Chain(risk="minimal", leads=())
    chain.to_production("1")
    chain.archive("1")
    chain.now += timedelta(hours=1)
    chain.roll_back("1")
    assert in_production_at(chain.state, "churn", "2026-03-01") == "1"


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(histories(), st.data())
def test_at_any_instant_it_is_what_the_fold_up_to_then_has(chain: Chain, data: st.DataObject) -> None:
    from manual_registry.core.folding import fold

    cut = data.draw(st.integers(1, len(chain.events)))
    then = parse_time(chain.events[cut - 1].at)
    state = fold(chain.events[:cut])
    for model in state.models:
        production = state.production(model)
        try:
            found: str | None = in_production_at(chain.state, model, stamp(then + timedelta(seconds=30)))
        except NothingInProduction:
            found = None
        assert found == (production.version if production else None)
