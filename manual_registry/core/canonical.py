"""Canonical bytes: RFC 8785 JSON and a line feed.

Rules held here: one value has one spelling; integers from 2^53 up and infinities are kept as ``{"$int": "…"}`` and
``{"$float": "inf"}`` and come back as numbers; NaN, lone surrogates and a person's own mapping that looks like one of
those two are refused, so that nothing ever comes back as something else.

Round trip: ``decode(parse(dump(encode(value)))) == value`` for every JSON value, and
``dump(parse(data)) == data`` for every canonical ``data``; tests/core/test_canonical.py runs both ways.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from typing import Any

from manual_registry.core.errors import BadValue, Json

_SAFE = 2**53
_MARKS = ("$int", "$float")
_INT = re.compile(r"-?[1-9][0-9]{0,4000}")
#: Deeper than any metadata of a person's, and well below what Python's own stack bears.
_DEEPEST = 100


def encode(value: Any, *, where: str = "", depth: int = 0) -> Json:
    """Turn ``value`` (mappings, sequences, text, numbers, bool, None) into what canonical JSON can hold.

    Raises :class:`BadValue` at ``where`` for NaN, lone surrogates, non-text keys, a mapping whose only key is ``$int``
    or ``$float``, numbers of more than 4,000 digits, more than 100 levels, and every other type.
    """
    if depth > _DEEPEST:
        raise BadValue(f"{where[:80]}…: nested more than {_DEEPEST} deep", location=where[:80])
    match value:
        case None | bool():
            return value
        case str():
            return _text(value, where)
        case int():
            return value if -_SAFE < value < _SAFE else _large(value, where)
        case float():
            return _float(value, where)
        case dict():
            return _mapping(value, where, depth + 1)
        case list() | tuple():
            return [encode(item, where=f"{where}[{index}]", depth=depth + 1) for index, item in enumerate(value)]
    raise BadValue(f"{where or 'value'}: {type(value).__name__} cannot be kept as JSON", location=where or None)


def _mapping(value: dict[Any, Any], where: str, depth: int) -> Json:
    if len(value) == 1 and next(iter(value)) in _MARKS:
        mark = next(iter(value))
        raise BadValue(
            f"{where or 'value'}: a mapping with the one key {mark!r} is how this format spells a number",
            location=where or None,
        )
    return {_key(key, where): encode(item, where=f"{where}.{key}", depth=depth) for key, item in value.items()}


def _large(value: int, where: str) -> Json:
    if value.bit_length() > 13_280:
        raise BadValue(f"{where or 'value'}: a number of more than 4,000 digits", location=where or None)
    return {"$int": str(value)}


def _text(value: str, where: str) -> str:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise BadValue(f"{where or 'value'}: text with a lone surrogate", location=where or None) from None
    return value


def _key(key: Any, where: str) -> str:
    if not isinstance(key, str):
        raise BadValue(f"{where or 'value'}: the key {key!r} is not text; put it in quotes", location=where or None)
    return _text(key, where)


def _float(value: float, where: str) -> Json:
    if math.isnan(value):
        raise BadValue(f"{where or 'value'}: NaN is no number", location=where or None)
    if math.isinf(value):
        return {"$float": "inf" if value > 0 else "-inf"}
    return value


def decode(value: Any) -> Any:
    """Give back the numbers that :func:`encode` put into ``$int`` and ``$float``; whatever else is there stays."""
    if isinstance(value, dict):
        if len(value) == 1:
            whole, infinite = value.get("$int"), value.get("$float")
            if isinstance(whole, str) and _INT.fullmatch(whole) and not -_SAFE < int(whole) < _SAFE:
                return int(whole)
            if infinite in ("inf", "-inf"):
                return float(infinite)
        return {key: decode(item) for key, item in value.items()}
    if isinstance(value, list):
        return [decode(item) for item in value]
    return value


def dump(value: Json) -> bytes:
    """Return the one canonical line of an encoded ``value``: RFC 8785 and LF; raises :class:`BadValue`."""
    import rfc8785  # noqa: PLC0415 - only writers and verify need it

    try:
        return bytes(rfc8785.dumps(value)) + b"\n"
    except rfc8785.CanonicalizationError as problem:  # half a surrogate pair, say
        raise BadValue(f"a text or number cannot be written: {problem}") from None


def parse(data: bytes) -> Json:
    """Parse JSON bytes; raises ``ValueError`` on doubled keys, NaN and everything that is not UTF-8 JSON."""
    found: Json = json.loads(
        data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant, parse_int=whole_number
    )
    return found


def whole_number(text: str) -> int | float:
    """Read a JSON number without point or exponent: from 2^53 up RFC 8785 spells floats so, and integers never."""
    if len(text) < 16:  # nearly all of them, and a whole ledger is read
        return int(text)
    value = int(text) if len(text) <= 17 else _SAFE
    return value if -_SAFE < value < _SAFE else float(text)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key stands twice")
    return result


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def sha256_hex(data: bytes) -> str:
    """Return the lower-case hex SHA-256 of ``data``."""
    return hashlib.sha256(data).hexdigest()
