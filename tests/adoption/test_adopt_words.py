"""Stages, names, versions, hashes, commits and locations as teams write them."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manual_registry.core.adoption import versions, words
from manual_registry.core.adoption.cells import SheetCell, is_blank, letter, number_of, shown
from manual_registry.core.adoption.locations import names_version, parse_location, several
from manual_registry.core.values import Stage, model_name, version_name

HEX = st.text("0123456789abcdef", min_size=7, max_size=128)


def cell(value: object, code: str = "General") -> SheetCell:
    return SheetCell(value=value, format=code)  # type: ignore[arg-type]


# -- cells ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "code", "text"),
    [
        (1.1, "General", "1.1"),
        (1.1, "0.00", "1.10"),
        (2, "0.0", "2.0"),
        (7, "0000", "0007"),
        (0.88, "0%", "88%"),
        (0.8812, "0.0%", "88.1%"),
        (1234.5, "#,##0.00", "1234.50"),
        (1.1, '"v"0.00', "1.10"),
        (1.1, "[Red]0.00;-0.00", "1.10"),
        (-1.5, "0.00", "-1.50"),
        (3.0, "General", "3"),
        (1e20, "General", "1e+20"),
        (5, "# ?/?", "5"),
        (True, "General", "TRUE"),
        ("  a\u00a0", "@", "a"),
        (0.1 + 0.2, "General", "0.3"),
        (datetime(2024, 3, 1), "d-mmm", "2024-03-01"),
        (datetime(2024, 3, 1, 8, 30), "d-mmm", "2024-03-01T08:30:00"),
    ],
)
def test_a_cell_is_told_as_a_person_sees_it(value: object, code: str, text: str) -> None:
    assert shown(cell(value, code)) == text


@pytest.mark.parametrize(
    "text", ["", " ", "n/a", "N/A", "-", "\u2013", "TBD", "none", "None", "k.A.", "\u00a0", "??", "(blank)"]
)
def test_blanks_in_many_spellings(text: str) -> None:
    assert is_blank(text)


@pytest.mark.parametrize("text", ["x", "0", "no", "na1", "None yet", "1.0", "v"])
def test_what_says_something_is_no_blank(text: str) -> None:
    assert not is_blank(text)


@given(st.integers(min_value=1, max_value=16_384))
def test_column_letters_round_trip(column: int) -> None:
    assert number_of(letter(column)) == column


# -- stages and names -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "stage"),
    [
        ("prod", Stage.PRODUCTION),
        ("PRD", Stage.PRODUCTION),
        ("Live ✅", Stage.PRODUCTION),
        ("Staging/UAT", Stage.STAGING),
        ("test", Stage.STAGING),
        ("Dev", Stage.EXPERIMENTAL),
        ("None", Stage.EXPERIMENTAL),
        ("Retired", Stage.ARCHIVED),
        ("deprecated", Stage.ARCHIVED),
        ("außer Betrieb", Stage.ARCHIVED),
        ("Archivé", Stage.ARCHIVED),
        ("en producción", Stage.PRODUCTION),
        ("In Betrieb", Stage.PRODUCTION),
        ("shadow mode", None),
        ("pending", None),
        ("", None),
        ("Prod (since March)", None),
        ("dev/prod", None),
    ],
)
def test_stage_words(text: str, stage: Stage | None) -> None:
    assert words.stage_of(text) is stage


def test_a_stage_within_other_words_is_only_suggested() -> None:
    assert words.stage_suggestion("Prod (since March)") is Stage.PRODUCTION
    assert words.stage_suggestion("whatever") is None


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Credit Risk (EU)", "credit-risk-eu"),
        ("Modèle Fraude", "modele-fraude"),
        ("Größe", "grosse"),
        ("Fraud & AML", "fraud-and-aml"),
        ("churn_v2 ", "churn_v2"),
        ("A/B", "a-b"),
        ("信用", None),
        ("CON", None),
        ("---", None),
    ],
)
def test_model_names(text: str, name: str | None) -> None:
    assert words.model_name_of(text) == name


@given(st.text(max_size=150))
def test_a_name_brought_into_the_grammar_is_a_name_and_stays(text: str) -> None:
    found = words.model_name_of(text)
    if found is not None:
        assert model_name(found) == found
        assert words.model_name_of(found) == found


@given(st.text(max_size=80))
def test_a_version_brought_into_the_grammar_is_a_version_and_stays(text: str) -> None:
    for found in (words.version_of(text), words.version_suggestion(text)):
        if found is not None:
            assert version_name(found) == found


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("1.2.0", "1.2.0"),
        ("v 1.2", "1.2"),
        ("Version 3", "3"),
        ("v1.2", "v1.2"),
        ("1.2 final", "1.2-final"),
        ("1.2 (final)", None),
        ("latest", None),
        ("1,2", None),
    ],
)
def test_versions(text: str, version: str | None) -> None:
    assert words.version_of(text) == version


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("Credit risk v1.2", ("Credit risk", "v1.2")),
        ("credit@1.2", ("credit", "1.2")),
        ("fraud_2", ("fraud", "2")),
        ("Churn", None),
        ("gpt-4 v2", ("gpt-4", "v2")),
    ],
)
def test_model_and_version_in_one_cell(text: str, pair: tuple[str, str] | None) -> None:
    assert words.split_model(text) == pair


# -- versions that a spreadsheet changed ------------------------------------------------------------------


def read(
    *values: object, numbers: str | None = None, dates: str | None = None
) -> list[tuple[str | None, tuple[str, ...]]]:
    cells = {row: value if isinstance(value, SheetCell) else cell(value) for row, value in enumerate(values, 4)}
    column = versions.VersionColumn(cells, numbers=numbers, dates=dates)
    return [(found.text, found.choices) for found in map(column.read, cells)]


def test_a_format_tells_what_was_typed() -> None:
    assert read(cell(1.1, "0.00"), cell(1.2, "0.00")) == [("1.10", ()), ("1.20", ())]


def test_plain_numbers_that_leave_no_doubt() -> None:
    assert read(1.1, 1.2) == [("1.1", ()), ("1.2", ())]
    assert read(1, 2, 3) == [("1", ()), ("2", ()), ("3", ())]
    assert read("1.10", "v2") == [("1.10", ()), ("v2", ())]


def test_a_whole_number_among_decimals_is_asked() -> None:
    assert read(1, 1.1) == [(None, ("1.0", "1")), ("1.1", ())]
    assert read(1, "1.1")[0] == (None, ("1.0", "1"))


def test_a_number_twice_behind_nine_or_beside_two_digits_is_asked() -> None:
    assert read(1.1, 1.2, 1.1) == [(None, ("1.1", "1.10")), ("1.2", ()), (None, ("1.1", "1.10"))]
    assert read(1.8, 1.9, 1.1)[2] == (None, ("1.10", "1.1"))
    assert read("1.11", 1.1)[1] == (None, ("1.1", "1.10"))
    assert read("2.11", 1.1)[1] == ("1.1", ())


def test_a_date_is_always_asked() -> None:
    (found,) = read(datetime(2026, 2, 1))
    assert found == (None, ("1.2", "2.1", "2026-02-01", "1.2.26", "2.1.26"))


def test_answers_for_the_whole_table() -> None:
    assert read(1, 1.1, 1.25, numbers="0.0") == [("1.0", ()), ("1.1", ()), ("1.25", ())]
    assert read(1.1, 1.2, 1.1, numbers="0.00")[2] == ("1.10", ())
    assert read(datetime(2026, 2, 1), dates="d.m") == [("1.2", ())]
    assert read(datetime(2003, 2, 1), dates="d.m.yy") == [("1.2.3", ())]
    assert read(datetime(2026, 2, 1), dates="yyyymmdd") == [("20260201", ())]


def test_odd_numbers_are_asked() -> None:
    assert read(1e20, -1) == [(None, ("1e+20",)), (None, ("-1",))]


# -- hashes and commits -----------------------------------------------------------------------------------


@given(HEX, st.sampled_from([None, "sha256", "md5", "blake3", "sha1"]), st.booleans())
def test_hashes_fit_what_they_begin(value: str, algorithm: str | None, upper: bool) -> None:
    found = words.parse_hash(value.upper() if upper else value, algorithm=algorithm)
    if found is None:
        assert algorithm is not None
        return
    assert found.algorithms
    assert all(found.fits(name, value + "0") for name in found.algorithms)
    assert not found.fits(found.algorithms[0], "x" + value)
    if found.whole:
        assert len(value) in {32, 40, 64, 128}


@pytest.mark.parametrize(
    ("text", "algorithm", "algorithms", "whole"),
    [
        ("a" * 64, None, ("blake3", "sha256"), True),
        ("b" * 40, None, ("sha1",), True),
        ("c" * 32, None, ("md5",), True),
        ("SHA256: " + "D" * 64, None, ("sha256",), True),
        ("md5:" + "d" * 32, None, ("md5",), True),
        ("blake3:" + "a" * 12, None, ("blake3",), False),
        ("abcdef0123…", "sha256", ("sha256",), False),
        ("abcdef0123...", "sha256", ("sha256",), False),
        ("c" * 32, "sha256", ("sha256", "md5"), False),
        ("aa:bb:cc:dd", "sha256", ("sha256",), False),
        ("0x" + "a" * 64, "sha256", ("sha256",), True),
    ],
)
def test_hashes(text: str, algorithm: str | None, algorithms: tuple[str, ...], whole: bool) -> None:
    found = words.parse_hash(text, algorithm=algorithm)
    assert found is not None
    assert (found.algorithms, found.whole) == (algorithms, whole)


@pytest.mark.parametrize("text", ["abc12", "n/a", "", "g" * 64, "a" * 129, "see file", "+7kYz=="])
def test_no_hashes(text: str) -> None:
    assert words.parse_hash(text) is None


@pytest.mark.parametrize(
    ("text", "commit"),
    [
        ("ABC1234", "abc1234"),
        ("https://example.org/x/y/commit/abcdef1234", "abcdef1234"),
        ("git:" + "a" * 40, "a" * 40),
        ("abc1234...", "abc1234"),
        ("main", None),
        ("v1.2", None),
        ("abc1234 (dirty)", None),
        ("abc12", None),
    ],
)
def test_commits(text: str, commit: str | None) -> None:
    assert words.parse_commit(text) == commit


def test_a_code_that_became_a_number_is_noticed() -> None:
    assert words.spoilt_code(cell(12e45))
    assert words.spoilt_code(cell(1.5))
    assert not words.spoilt_code(cell(1234567))
    assert not words.spoilt_code(cell("12e4567"))


# -- locations --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "parts", "absolute"),
    [
        ("models/a.pkl", ("models", "a.pkl"), False),
        ("./a/../b.pkl", ("a", "..", "b.pkl"), False),
        ("/data/a.pkl", ("data", "a.pkl"), True),
        (r"C:\ml\a.pkl", ("ml", "a.pkl"), True),
        (r"models\a.pkl", ("models", "a.pkl"), False),
        (r"\ml\a.pkl", ("ml", "a.pkl"), True),
        ("file:///data/a%20b.pkl", ("data", "a b.pkl"), True),
        ("file:///C:/ml/a.pkl", ("ml", "a.pkl"), True),
        ("~/a.pkl", ("a.pkl",), True),
        ("$MODELS/a.pkl", ("a.pkl",), True),
        (r"%HOME%\a.pkl", ("a.pkl",), True),
        ('"models/a.pkl"', ("models", "a.pkl"), False),
        ("v1:2.pkl", ("v1:2.pkl",), False),
    ],
)
def test_paths(text: str, parts: tuple[str, ...], absolute: bool) -> None:
    found = parse_location(text)
    assert (found.parts, found.absolute, found.unreachable) == (parts, absolute, "")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (r"\\server\share\a.pkl", "UNC"),
        ("//server/share/a.pkl", "UNC"),
        ("file://server/share/a.pkl", "UNC"),
        ("s3://bucket/a.pkl", "S3"),
        ("https://x.org/a.pkl", "web"),
        ("models:/credit/1", "MLflow"),
        ("user@host:/a.pkl", "ssh"),
        ("gs://b/a", "Google"),
        ("weird://x", "weird"),
        ("", "no path"),
        ("\0", "no path"),
        ("file://[", "read"),
    ],
)
def test_what_cannot_be_reached_is_told(text: str, why: str) -> None:
    assert why in parse_location(text).unreachable


@given(st.text(max_size=80))
def test_no_location_breaks_the_parser(text: str) -> None:
    found = parse_location(text)
    assert "" not in found.parts
    assert "." not in found.parts


def test_several_locations_in_one_cell() -> None:
    assert several("a.pkl\nb.pkl; c.pkl") == ("a.pkl", "b.pkl", "c.pkl")
    assert several("a.pkl") == ()


@pytest.mark.parametrize(
    ("name", "version", "expected"),
    [
        ("credit-v1.2.pkl", "1.2", True),
        ("credit_1.2.pkl", "v1.2", True),
        ("1.2", "1.2", True),
        ("credit-1.20.pkl", "1.2", False),
        ("v11.pkl", "1", False),
        ("credit-v1.2.3.pkl", "1.2", False),
        ("model_v2.pkl", "2", True),
    ],
)
def test_versions_in_file_names(name: str, version: str, expected: bool) -> None:
    assert names_version(name, version) is expected
