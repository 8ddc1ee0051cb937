"""EXPR of `search`: words (substring) and ``field(=|!=|<|<=|>|>=)value``; all must hold (design 3.2).

Fields are those of `list`, and ``metrics.*``, ``params.*``, ``tag.*``. Numbers compare as numbers, everything else as
text; a field that a version does not have fits ``!=`` only.
"""

from __future__ import annotations

import operator
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from manual_registry.core.errors import BadExpression

#: Names of hyperparameters, metrics and tags are people's own: they may hold blanks (in quotes then).
_TERM = re.compile(
    r"(?P<field>(?:metrics|params|tag)\.[^=!<>]+|[A-Za-z_][\w.-]*)(?P<op><=|>=|!=|=|<|>)(?P<value>.*)", re.DOTALL
)
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Term:
    """One condition; ``field`` None: a word that must stand somewhere."""

    field: str | None
    op: str
    value: str


def parse_expression(text: str) -> tuple[Term, ...]:
    """Parse EXPR; quotes keep blanks together; raises :class:`BadExpression`."""
    try:
        words = shlex.split(text)
    except ValueError as problem:
        raise BadExpression(f"{text!r}: {problem}; quote values with blanks", location="EXPR") from None
    if not words:
        raise BadExpression(
            "the expression is empty; write words and field=value",
            location="EXPR",
            hint='mreg search "stage=production"',
        )
    return tuple(_term(word) for word in words)


def _term(word: str) -> Term:
    match = _TERM.fullmatch(word)
    if match is None:
        return Term(field=None, op="", value=word.lower())
    return Term(field=match["field"], op=match["op"], value=match["value"])


def fields_of(row: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
    """Flatten a `list` row: ``metrics.*``, ``params.*`` and ``tag.*`` beside the plain fields."""
    flat = {name: value for name, value in row.items() if not isinstance(value, Mapping)}
    for prefix, table in (("metrics", row["metrics"]), ("params", params), ("tag", row["tags"])):
        flat |= {f"{prefix}.{name}": value for name, value in table.items()}
    return flat


def matches(terms: tuple[Term, ...], fields: Mapping[str, Any]) -> bool:
    """Tell whether every term holds; raises :class:`BadExpression` for a field that no version can have."""
    return all(_holds(term, fields) for term in terms)


def check_fields(terms: tuple[Term, ...], known: set[str]) -> None:
    """Raise :class:`BadExpression` for a plain field that is not one of ``known``."""
    for term in terms:
        if term.field is None or term.field in known or term.field.split(".")[0] in ("metrics", "params", "tag"):
            continue
        raise BadExpression(
            f"{term.field!r} is no field; there are {', '.join(sorted(known))}, metrics.*, params.*, tag.*",
            location="EXPR",
        )


def _holds(term: Term, fields: Mapping[str, Any]) -> bool:
    if term.field is None:
        return any(term.value in str(value).lower() for value in fields.values() if value is not None)
    found = fields.get(term.field)
    if isinstance(found, list):
        hits = [_compare("=", item, term.value) for item in found]
        return not any(hits) if term.op == "!=" else term.op == "=" and any(hits)
    if found is None:
        return term.op == "!="
    return _compare(term.op, found, term.value)


def _compare(op: str, found: Any, wanted: str) -> bool:
    if isinstance(found, int | float) and not isinstance(found, bool):
        number = _number(wanted)
        return op == "!=" if number is None else _COMPARE[op](found, number)
    text = str(found).lower() if isinstance(found, bool) else str(found)
    return _COMPARE[op](text, wanted)


def _number(text: str) -> int | float | None:
    """Read a number, a whole one exactly (as a float 2^53 and its neighbour are the same)."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return None
