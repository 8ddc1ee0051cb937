"""Text for people: nothing hostile gets through, columns stay aligned, JSON stays JSON."""

from __future__ import annotations

import io
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manual_registry.cli.output import clean, dumps
from manual_registry.cli.screens import compare_lines, event_lines, policy_lines, status_lines, version_table
from manual_registry.cli.tables import moment, plain_table, sections, size_text, width


@given(st.text(st.characters(exclude_categories=())))
def test_clean_text_is_one_harmless_line(text: str) -> None:
    cleaned = clean(text)
    assert not any(char in cleaned for char in "\n\r\t\x1b\x07\x9b\u202e\u2028\u2066")
    assert cleaned.encode("utf-8") is not None


@pytest.mark.parametrize("text", ["Zoë", "日本語", "[bold]x[/bold]", "a\u00a0b", "👩‍🔬"])
def test_what_people_write_stays(text: str) -> None:
    assert clean(text) == text


def test_lines_may_be_kept() -> None:
    assert clean("a\n\tb\x1b", lines=True) == "a\n\tb\\x1b"


def _nest(inner: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.lists(inner) | st.dictionaries(st.text(), inner)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(st.characters(exclude_categories=())),
        _nest,
    ),
    st.sampled_from(["utf-8", "ascii", "latin-1"]),
)
def test_every_document_is_json_in_every_encoding(value: object, encoding: str) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    text = dumps({"value": value}, stream)
    text.encode(encoding)
    json.loads(text, parse_constant=pytest.fail)


def test_infinities_are_spelled_out() -> None:
    assert json.loads(dumps({"a": (math.inf, 1)})) == {"a": [{"$float": "inf"}, 1]}


def test_columns_are_aligned_by_what_the_screen_shows() -> None:
    lines = plain_table(["a", "b"], [["日本", "x"], ["long", "y"]])
    assert lines == ["a     b", "日本  x", "long  y"]
    assert width("日本e\u0301") == 5


def test_moments_and_sizes() -> None:
    assert moment("2026-11-24T08:00:00.123Z") == "2026-11-24 08:00:00Z"
    assert moment(None) == "-"
    assert (size_text(12), size_text(1_500_000), size_text(3 * 10**12)) == ("12 bytes", "1.5 MB", "3.0 TB")


def test_sections_show_everything() -> None:
    document = {
        "schema": "x",
        "version": "1",
        "model": "churn",
        "notes": [{"at": "t", "text": "two\nlines"}],
        "metrics": {"auc": 0.9},
        "tags": {},
        "aliases": ["a", "b"],
        "owner": None,
    }
    assert sections(document, first=("model",)) == [
        "model    churn",
        "version  1",
        "aliases  a; b",
        "",
        "notes",
        "  - at    t",
        "    text  two",
        "          lines",
        "",
        "metrics",
        "  auc  0.9",
    ]


def test_screens_survive_hostile_and_empty_values() -> None:
    assert version_table([]) == ["no versions"]
    row = {"model": "m", "version": "1", "stage": "staging", "blake3": "ab" * 32, "metrics": {"a": 1.0}}
    assert version_table([row])[1] == "m      1        staging  -        a=1      -         -         abababababab"
    assert event_lines([]) == ["no events"]
    event = {
        "seq": 1,
        "at": "t",
        "actor": "x\x1b",
        "type": "note",
        "model": None,
        "version": None,
        "summary": "a\nb",
    }
    assert event_lines([event]) == ["     1  t  note  a\\nb  (x\\x1b)"]
    assert compare_lines({"a": "m@1", "b": "m@2", "differences": [], "same": ["x"]})[0] == "no differences"


def test_status_tells_what_holds_something() -> None:
    document = {
        "system": "Churn",
        "risk": "high",
        "root": "/r",
        "counts": {"experimental": 2, "staging": 0},
        "models": 1,
        "pending": [{"id": "A1", "model": "m", "version": "2", "to": "production", "status": "requested"}],
        "overdue": ["quarterly check"],
        "pending_moves": [],
        "view_behind": True,
        "ledger": {"seq": 3, "hash": "sha256:ab"},
        "next": ["mreg approval sign A1"],
    }
    assert status_lines(document) == [
        "Churn  (high risk)  /r",
        "1 model: 2 experimental",
        "waiting for a signature:",
        "  A1 m@2 to production  requested",
        "overdue:",
        "  quarterly check",
        "registry.xlsx is behind the ledger; the next writing command brings it up to date",
        "next: mreg approval sign A1",
        "ledger 3 sha256:ab",
    ]


def test_a_weaker_policy_is_marked() -> None:
    document = {
        "in_force": {"approval_hours": 48},
        "since": {"seq": 1, "at": "2026-11-24T08:00:00.000Z"},
        "signed_by": None,
        "differs": True,
        "differences": [{"setting": "approval_hours", "in_force": 48, "file": 480, "weaker": True}],
    }
    assert policy_lines(document)[-1] == "  approval_hours  48        480            WEAKER"


def test_a_small_document_is_indented_and_a_large_one_is_not() -> None:
    small = {"versions": [{"model": "é", "value": float("inf")}]}
    large = {"versions": [{"model": "é", "value": float("inf")}] * 40_000}
    assert dumps(small).count("\n") > 3
    assert "\n" not in dumps(large)
    assert json.loads(dumps(large))["versions"] == json.loads(dumps(small))["versions"] * 40_000
