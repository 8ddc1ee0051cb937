"""Canonical bytes: RFC 8785 JSON and a line feed.

Rules held here: one value has one spelling; integers from 2^53 up and infinities are kept as ``{"$int": "…"}`` and
``{"$float": "inf"}`` and come back as numbers; NaN and lone surrogates are refused.

Round trip: ``decode(parse(dump(encode(value)))) == value`` for every JSON value, and
``dump(parse(data)) == data`` for every canonical ``data``; tests/core/test_canonical.py runs both ways.
"""

from __future__ import annotations

import hashlib
import json
import math
from typing import Any

from manual_registry.core.errors import BadValue, Json

_SAFE = 2**53


def encode(value: Any, *, where: str = "") -> Json:
    """Turn ``value`` (mappings, sequences, text, numbers, bool, None) into what canonical JSON can hold.

    Raises :class:`BadValue` at ``where`` for NaN, lone surrogates, non-text keys and every other type.
    """
    match value:
        case None | bool():
            return value
        case str():
            return _text(value, where)
        case int():
            return value if -_SAFE < value < _SAFE else {"$int": str(value)}
        case float():
            return _float(value, where)
        case dict():
            return {_key(key, where): encode(item, where=f"{where}.{key}") for key, item in value.items()}
        case list() | tuple():
            return [encode(item, where=f"{where}[{index}]") for index, item in enumerate(value)]
    raise BadValue(f"{where or 'value'}: {type(value).__name__} cannot be kept as JSON", location=where or None)


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
    """Give back the numbers that :func:`encode` put into ``$int`` and ``$float``."""
    if isinstance(value, dict):
        if len(value) == 1:
            if isinstance(value.get("$int"), str):
                return int(value["$int"])
            if isinstance(value.get("$float"), str):
                return float(value["$float"])
        return {key: decode(item) for key, item in value.items()}
    if isinstance(value, list):
        return [decode(item) for item in value]
    return value


def dump(value: Json) -> bytes:
    """Return the one canonical line of an encoded ``value``: RFC 8785 and LF."""
    import rfc8785  # noqa: PLC0415 - only writers and verify need it

    return bytes(rfc8785.dumps(value)) + b"\n"


def parse(data: bytes) -> Json:
    """Parse JSON bytes; raises ``ValueError`` on doubled keys, NaN and everything that is not UTF-8 JSON."""
    found: Json = json.loads(data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    return found


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
