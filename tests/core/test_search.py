"""EXPR of `search`, against an evaluator that is written the other way round."""

from __future__ import annotations

import shlex
from fractions import Fraction
from typing import Any

import pytest
from chains import Chain
from hypothesis import given
from hypothesis import strategies as st

from manual_registry.core.documents import version_row
from manual_registry.core.errors import BadExpression
from manual_registry.core.search import Term, check_fields, fields_of, matches, parse_expression

WORDS = st.text("abAB1.-", min_size=1, max_size=4)
NUMBERS = st.integers(-5, 5) | st.floats(-5, 5) | st.integers(2**53 - 2, 2**53 + 2)
FIELDS = ("stage", "owner", "metrics.auc", "params.depth", "tag.team", "training_data", "absent")
ROWS = st.fixed_dictionaries(
    {},
    optional={
        "stage": st.sampled_from(("staging", "production")),
        "owner": WORDS | st.none(),
        "metrics.auc": NUMBERS,
        "params.depth": NUMBERS | WORDS | st.booleans(),
        "tag.team": WORDS,
        "training_data": st.lists(WORDS, max_size=3),
    },
)
OPERATORS = ("=", "!=", "<", "<=", ">", ">=")
TERMS = st.builds(
    Term,
    field=st.sampled_from(FIELDS),
    op=st.sampled_from(OPERATORS),
    value=WORDS | NUMBERS.map(repr) | st.sampled_from(("staging", "true", "True", "nan")),
) | st.builds(Term, field=st.none(), op=st.just(""), value=WORDS.map(str.lower))


def number(text: str) -> Fraction | None:
    """Read a finite number exactly."""
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError):
        return None


def naive(term: Term, row: dict[str, Any]) -> bool:
    """Say whether a term holds, case by case."""
    if term.field is None:
        return any(term.value in str(value).lower() for value in row.values() if value is not None)
    found = row.get(term.field)
    if found is None:
        return term.op == "!="
    if isinstance(found, list):
        return {"=": term.value in found, "!=": term.value not in found}.get(term.op, False)
    left: Any = str(found).lower() if found is True or found is False else str(found)
    right: Any = term.value
    if isinstance(found, int | float) and not isinstance(found, bool):
        if term.value == "nan":
            return term.op == "!="
        wanted = number(term.value)
        if wanted is None:
            return term.op == "!="
        left, right = (
            Fraction(found),
            wanted if "." not in term.value and "e" not in term.value else Fraction(float(term.value)),
        )
    order = int(left > right) - int(left < right)
    holds = {"=": order == 0, "!=": order != 0, "<": order < 0, "<=": order <= 0, ">": order > 0, ">=": order >= 0}
    return holds[term.op]


@given(st.lists(TERMS, min_size=1, max_size=3), ROWS)
def test_all_terms_hold_or_none_is_found(terms: list[Term], row: dict[str, Any]) -> None:
    assert matches(tuple(terms), row) == all(naive(term, row) for term in terms)


@given(st.lists(TERMS, min_size=1, max_size=4))
def test_an_expression_is_read_as_it_was_written(terms: list[Term]) -> None:
    text = " ".join(shlex.quote(f"{term.field}{term.op}{term.value}" if term.field else term.value) for term in terms)
    assert parse_expression(text) == tuple(terms)


@pytest.mark.parametrize(("text", "terms"), [
    ("stage=production", [("stage", "=", "production")]),
    ("metrics.auc>=0.8 churn", [("metrics.auc", ">=", "0.8"), (None, "", "churn")]),
    ("a<=b", [("a", "<=", "b")]),
    ("a!=b=c", [("a", "!=", "b=c")]),
    ("owner=", [("owner", "=", "")]),
    ("'owner=Ada Lovelace'", [("owner", "=", "Ada Lovelace")]),
    ("'params.learning rate>0.1'", [("params.learning rate", ">", "0.1")]),
    ("params.a/b=1", [("params.a/b", "=", "1")]),
    ("'two words'", [(None, "", "two words")]),
    ("5=5", [(None, "", "5=5")]),
    ("tag.cost-centre=7", [("tag.cost-centre", "=", "7")]),
])  # fmt: skip
def test_terms(text: str, terms: list[tuple[str | None, str, str]]) -> None:
    assert [(one.field, one.op, one.value) for one in parse_expression(text)] == terms


@pytest.mark.parametrize("text", ["", "  ", "'open", 'a="b'])
def test_what_does_not_parse(text: str) -> None:
    with pytest.raises(BadExpression):
        parse_expression(text)


def test_unknown_fields_are_told_with_those_that_are_there() -> None:
    check_fields(parse_expression("stage=x word metrics.none>1 params.x=1 tag.y=1"), {"stage"})
    with pytest.raises(BadExpression, match="stge") as refusal:
        check_fields(parse_expression("stge=x"), {"stage", "owner"})
    assert "owner, stage" in refusal.value.message


@pytest.mark.parametrize(("text", "hit"), [
    ("stage=experimental", True), ("stage=staging", False), ("CHURN", True), ("metrics.auc>0.9", True),
    ("metrics.auc>0.91", False), ("metrics.auc>=.91", True), ("metrics.f1>0", False), ("metrics.f1!=0", True),
    ("params.depth=3", True), ("params.depth=3.0", True), ("params.seed=9007199254740993", True),
    ("params.seed=9007199254740992", False), ("params.big>1e300", True), ("params.shuffle=true", True),
    ("tag.team=risk", True), ("training_data=sha256:" + "ab" * 32, True), ("training_data!=x", True),
    ("training_date>=2026-02-01", True), ("training_date<2026-02-01", False), ("aliases=champion", True),
    ("owner=team stage=experimental", True), ("owner=team stage=staging", False),
    ("registered_by=sme@example.org", True),
])  # fmt: skip
def test_on_a_real_row(text: str, hit: bool) -> None:
    chain = Chain()
    params = {"depth": 3, "seed": {"$int": "9007199254740993"}, "big": {"$int": "9" * 400}, "shuffle": True}
    record = chain.register("1", hyperparameters=params)
    chain.alias("champion", "1")
    from manual_registry.core.canonical import decode

    row = version_row(chain.state, record)
    fields = fields_of(row, decode(record.value("hyperparameters")))
    terms = parse_expression(text)
    check_fields(terms, set(row))
    assert matches(terms, fields) is hit
