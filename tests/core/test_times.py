"""Instants: one spelling, whose order is the order of time; RFC 3339 in, nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manual_registry.core.errors import BadTime
from manual_registry.core.times import day_after, is_date, normal_stamp, parse_time, stamp

ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=ZONES)
DATES = st.dates().map(lambda day: day.isoformat())


@given(MOMENTS, MOMENTS)
def test_the_order_of_stamps_is_the_order_of_time(first: datetime, second: datetime) -> None:
    early, late = sorted((first, second))
    assert stamp(early) <= stamp(late)
    if late - early >= timedelta(milliseconds=1):
        assert stamp(early) < stamp(late)


@given(MOMENTS)
def test_a_stamp_keeps_the_moment_to_the_millisecond(moment: datetime) -> None:
    text = stamp(moment)
    back = parse_time(text)
    assert back.tzinfo is UTC
    assert timedelta(0) <= moment - back < timedelta(milliseconds=1)
    assert stamp(back) == normal_stamp(text) == text
    assert len(text) == 24


@given(DATES)
def test_a_date_is_its_first_instant_in_utc_and_stays_a_date(text: str) -> None:
    assert is_date(text)
    assert stamp(parse_time(text)) == f"{text}T00:00:00.000Z"
    assert normal_stamp(text) == text
    assert text <= stamp(parse_time(text))  # a date sorts before everything on that day


@pytest.mark.parametrize(("text", "meant"), [
    ("2026-11-24T08:00:00Z", "2026-11-24T08:00:00.000Z"),
    ("2026-11-24T08:00:00", "2026-11-24T08:00:00.000Z"),
    ("2026-11-24 08:00", "2026-11-24T08:00:00.000Z"),
    ("2026-11-24t08:00:00z", "2026-11-24T08:00:00.000Z"),
    ("2026-11-24T08:00:00.5+02:00", "2026-11-24T06:00:00.500Z"),
    ("2026-11-24T08:00:00.123456789Z", "2026-11-24T08:00:00.123Z"),
    ("2026-11-24T00:30:00+01:00", "2026-11-23T23:30:00.000Z"),
    ("0999-01-01T00:00:00Z", "0999-01-01T00:00:00.000Z"),
])  # fmt: skip
def test_rfc_3339_is_read(text: str, meant: str) -> None:
    assert normal_stamp(text) == meant


@pytest.mark.parametrize("text", [
    "", "today", "24.11.2026", "11/24/2026", "20261124", "20261124T080000Z", "2026-W47-2", "2026-328", "2026-11",
    "2026-11-24T08", "2026-11-24T08:00:00,5Z", "2026-11-24T08:00:00+02", "2026-11-24T08:00:00+02:00:30", "2026-02-29",
    "2026-13-01", "2026-11-24T25:00:00Z", "2026-11-24T08:00:60Z", " 2026-11-24", "2026-11-24\n", "1700000000",
    "\uff12\uff10\uff12\uff16-11-24", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-01:00",
])  # fmt: skip
def test_everything_else_is_refused_where_it_stood(text: str) -> None:
    with pytest.raises(BadTime) as refusal:
        parse_time(text, where="training_date")
    assert refusal.value.location == "training_date"
    with pytest.raises(BadTime):
        normal_stamp(text)


@given(MOMENTS)
def test_the_day_after(moment: datetime) -> None:
    assert day_after(moment) - moment == timedelta(days=1)


def test_the_day_after_the_last_day_is_the_end() -> None:
    assert day_after(parse_time("9999-12-31")) == datetime.max.replace(tzinfo=UTC)
