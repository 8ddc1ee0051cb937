"""Dates: every notation of the list, the order of day and month, serial numbers, and what is no date."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manual_registry.core.adoption.cells import SheetCell
from manual_registry.core.adoption.dates import Reading, from_serial, infer_order, read_cell, read_date, read_serial

DAYS = st.dates(min_value=date(1970, 1, 1), max_value=date(2099, 12, 31))
#: Notations in which no order has to be known.
SURE = ("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d", "%Y-%m-%dT00:00:00", "%Y-%m-%d 00:00")
MONTHS = {
    "en": "January February March April May June July August September October November December",
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "es": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
}


def readings(*texts: str) -> list[Reading]:
    found = [read_date(text) for text in texts]
    assert None not in found
    return [reading for reading in found if reading]


@given(DAYS, st.sampled_from(SURE))
def test_a_year_first_date_is_read_as_it_stands(day: date, notation: str) -> None:
    reading = read_date(day.strftime(notation))
    assert reading is not None
    assert reading.certain == day.isoformat()


@given(
    DAYS,
    st.sampled_from(sorted(MONTHS)),
    st.sampled_from(
        [
            "{d} {m} {y}",
            "{d}. {m} {y}",
            "{d}-{m}-{y}",
            "{m} {d}, {y}",
            "{d:02d} {m} {y}",
            "{y} {m} {d}",
            "{d} de {m} de {y}",
            "{d}{m}{y}",
        ]
    ),
)
def test_a_month_written_out_is_unambiguous(day: date, language: str, notation: str) -> None:
    month = MONTHS[language].split()[day.month - 1]
    reading = read_date(notation.format(d=day.day, m=month, y=day.year))
    assert reading is not None
    assert reading.certain == day.isoformat()


@given(DAYS, st.sampled_from("./-"), st.booleans())
def test_both_orders_are_offered_and_the_right_one_is_among_them(day: date, separator: str, short: bool) -> None:
    year = "%y" if short else "%Y"
    if short and day.year >= 2069:
        return
    for order, notation in (
        ("day-first", f"%d{separator}%m{separator}{year}"),
        ("month-first", f"%m{separator}%d{separator}{year}"),
    ):
        reading = read_date(day.strftime(notation))
        assert reading is not None
        assert reading.by_order is not None
        assert reading.by_order[order] == day.isoformat()
        assert reading.certain in (None, day.isoformat())


@given(st.lists(DAYS, min_size=1, max_size=30), st.sampled_from("./-"), st.sampled_from(["day-first", "month-first"]))
def test_an_inferred_order_is_never_the_wrong_one(days: list[date], separator: str, order: str) -> None:
    pattern = "%d{0}%m{0}%Y" if order == "day-first" else "%m{0}%d{0}%Y"
    found = readings(*(day.strftime(pattern.format(separator)) for day in days))
    inferred = infer_order(found)
    if any(day.day > 12 for day in days):
        assert inferred.open == ()
        assert [inferred.read(one) for one in found] == [day.isoformat() for day in days]
    elif any(day.day != day.month for day in days):
        assert inferred.open
        assert set(inferred.choices) >= {"day-first", "month-first"}
        assert all(inferred.read(one) in (None, day.isoformat()) for one, day in zip(found, days, strict=True))
    else:
        assert inferred.open == ()


@given(st.text(max_size=60))
def test_no_text_breaks_the_reader(text: str) -> None:
    reading = read_date(text)
    if reading is not None:
        assert reading.sure or reading.by_order


@pytest.mark.parametrize(
    "text",
    [
        "n/a",
        "-",
        "TBD",
        "Q1 2024",
        "March 2024",
        "2024",
        "10/2024",
        "31.02.2024",
        "13/13/2024",
        "soon",
        "1.2.3",
        "v1.2",
        "2024-13-01",
        "5 May 2024 (late)",
        "0.91",
        "12",
        "yesterday",
        "2024-W07",
        "00/00/0000",
        "٣/٤/٢٠٢٤x",
    ],
)
def test_what_is_no_date_is_none(text: str) -> None:
    assert read_date(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-03-10T14:30:00Z", "2024-03-10T14:30:00Z"),
        ("2024-03-10 14:30:00+02:00", "2024-03-10T14:30:00+02:00"),
        ("2024-03-10 14:30", "2024-03-10T14:30:00"),
        ("2024-03-10T14:30:00.123456Z", "2024-03-10T14:30:00Z"),
        ("Fri, 10 May 2024 14:30", "2024-05-10T14:30:00"),
        ("Montag, 3. Juni 2024", "2024-06-03"),
        ("1er mars 2024", "2024-03-01"),
        ("Sept 5th, 2023", "2023-09-05"),
        ("10-Mar-24", "2024-03-10"),
        ("25.12.2023 14:30 Uhr", "2023-12-25T14:30:00"),
        ("12/25/2023 2:30 PM", "2023-12-25T14:30:00"),
        ("12/25/2023 12:05 a.m.", "2023-12-25T00:05:00"),
        ("2023-12-25\u00a010:00", "2023-12-25T10:00:00"),
        ("2023\u201112\u201125", "2023-12-25"),
    ],
)
def test_times_and_spellings(text: str, expected: str | None) -> None:
    reading = read_date(text)
    assert (reading.certain if reading else None) == expected


def test_one_unambiguous_value_settles_its_column() -> None:
    assert infer_order(readings("03/04/2024", "25/12/2023")).by_notation == {"/yyyy": "day-first"}
    assert infer_order(readings("03/04/2024", "12/25/2023")).by_notation == {"/yyyy": "month-first"}


def test_a_contradiction_is_asked_and_the_sure_values_stay_sure() -> None:
    found = readings("13/04/2024", "05/13/2023", "01/02/2024")
    order = infer_order(found)
    assert order.open == ("/yyyy",)
    assert [order.read(one) for one in found] == ["2024-04-13", "2023-05-13", None]


def test_a_given_order_reads_what_it_can_and_the_only_way_otherwise() -> None:
    found = readings("03/04/2024", "12/25/2023")
    order = infer_order(found, given="day-first")
    assert [order.read(one) for one in found] == ["2024-04-03", "2023-12-25"]


def test_notations_are_settled_apart_and_help_each_other() -> None:
    apart = readings("25.12.2023", "12/25/2023", "03.04.2024", "03/04/2024")
    order = infer_order(apart)
    assert [order.read(one) for one in apart[2:]] == ["2024-04-03", "2024-03-04"]
    helped = readings("25.12.2023", "03/04/2024")
    assert infer_order(helped).read(helped[1]) == "2024-04-03"


def test_two_digit_years_may_come_first() -> None:
    found = readings("24-03-10")
    order = infer_order(found)
    assert order.choices == ("day-first", "year-first")
    assert infer_order(found, given="year-first").read(found[0]) == "2024-03-10"


@given(
    st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(2119, 1, 1)).map(
        lambda one: one.replace(microsecond=0)
    )
)
def test_serial_numbers_of_both_systems(moment: datetime) -> None:
    days = (moment - datetime(1899, 12, 30)) / timedelta(days=1)
    assert from_serial(days) == moment
    reading = read_serial(days)
    assert reading is not None
    assert reading.note
    assert datetime.fromisoformat(reading.sure or "") == moment
    assert from_serial((moment - datetime(1904, 1, 1)) / timedelta(days=1), system_1904=True) == moment


def test_the_first_days_of_1900_stand_as_a_spreadsheet_shows_them() -> None:
    assert from_serial(1) == datetime(1900, 1, 1)
    assert from_serial(59) == datetime(1900, 2, 28)
    assert from_serial(61) == datetime(1900, 3, 1)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (45292, "2024-01-01"),
        (20240310, "2024-03-10"),
        (1_710_000_000, "2024-03-09T16:00:00Z"),
        (1_710_000_000_000, "2024-03-09T16:00:00Z"),
        (2024, None),
        (12, None),
        (1e300, None),
        (float("nan"), None),
        (True, None),
    ],
)
def test_plain_numbers(value: float, expected: str | None) -> None:
    reading = read_serial(value)
    assert (reading.sure if reading else None) == expected


def test_cells() -> None:
    real = read_cell(SheetCell(value=datetime(2024, 3, 10)))
    text = read_cell(SheetCell(value="45292"))
    assert real is not None
    assert text is not None
    assert (real.certain, text.certain) == ("2024-03-10", "2024-01-01")
    assert read_cell(SheetCell(value=True)) is None
