"""Canonical bytes: the round trip both ways, the look-alikes, and the vectors of RFC 8785."""

from __future__ import annotations

import json
import math
import struct
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from manual_registry.core.canonical import decode, dump, encode, parse, sha256_hex
from manual_registry.core.errors import BadValue

EDGE = 2**53
MARKS = ("$int", "$float")
TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
NUMBERS = st.one_of(
    st.integers(),
    st.integers(EDGE - 3, EDGE + 3),
    st.integers(-EDGE - 3, -EDGE + 3),
    st.floats(allow_nan=False),
    st.sampled_from([1e17, 1e20, 1e21, -1e18, float(EDGE), float(EDGE + 2), 5e-324, -0.0]),
)
LEAVES = st.one_of(st.none(), st.booleans(), NUMBERS, TEXT, st.sampled_from(MARKS))


def looks_like_a_number(value: Any) -> bool:
    """Tell whether a mapping with the one key ``$int`` or ``$float`` stands anywhere inside."""
    if isinstance(value, dict):
        own = len(value) == 1 and next(iter(value)) in MARKS
        return own or any(looks_like_a_number(item) for item in value.values())
    return isinstance(value, list) and any(looks_like_a_number(item) for item in value)


KEYS = st.one_of(TEXT, st.sampled_from(MARKS))
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)


def same(left: Any, right: Any) -> bool:
    """Equality that knows 1 from true, and counts -0.0 and 0 (and 1.0 and 1) as one, as JSON does."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[name], right[name]) for name in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return type(left) in (int, float, str, type(None)) and bool(left == right)


@given(VALUES.filter(lambda value: not looks_like_a_number(value)))
@example({"rows": 1e17})
@example([EDGE, float(EDGE), EDGE - 1, -EDGE, math.inf, -math.inf])
@example({"$int": 5, "$float": "inf"})
def test_what_a_person_states_comes_back(value: Any) -> None:
    line = dump(encode(value))
    assert same(decode(parse(line)), value)
    assert dump(parse(line)) == line


LOOK_ALIKES = st.recursive(
    st.builds(lambda mark, value: {mark: value}, st.sampled_from(MARKS), VALUES),
    lambda inner: st.lists(inner, min_size=1, max_size=3) | st.dictionaries(KEYS, inner, min_size=1, max_size=3),
    max_leaves=4,
)


@given(LOOK_ALIKES)
@example({"$int": "5"})
@example({"$float": "x"})
@example({"deep": [{"$int": None}]})
def test_a_persons_own_look_alike_is_refused(value: Any) -> None:
    with pytest.raises(BadValue, match="spells a number"):
        encode(value)


@given(VALUES)
def test_encoding_twice_is_refused_or_the_same(value: Any) -> None:
    try:
        once = encode(value)
        twice = encode(once)
    except BadValue:
        return
    assert once == twice


@pytest.mark.parametrize(("value", "spelt"), [
    (EDGE - 1, b"9007199254740991\n"),
    (-EDGE + 1, b"-9007199254740991\n"),
    (EDGE, b'{"$int":"9007199254740992"}\n'),
    (-EDGE, b'{"$int":"-9007199254740992"}\n'),
    (math.inf, b'{"$float":"inf"}\n'),
    (-math.inf, b'{"$float":"-inf"}\n'),
    (float(EDGE), b"9007199254740992\n"),
    (1e17, b"100000000000000000\n"),
    (1.0, b"1\n"),
    (-0.0, b"0\n"),
])  # fmt: skip
def test_the_edge_of_what_a_number_holds(value: float, spelt: bytes) -> None:
    assert dump(encode(value)) == spelt
    back = decode(parse(spelt))
    assert back == value
    assert isinstance(back, int) or not isinstance(value, int)


@pytest.mark.parametrize("hand_made", [
    {"$int": "x"}, {"$int": "007"}, {"$int": "5"}, {"$int": " 9007199254740993"}, {"$int": "9_007_199_254_740_993"},
    {"$int": "\u0669" * 20}, {"$int": "9" * 5000}, {"$int": 5}, {"$int": None}, {"$float": "nan"}, {"$float": "1.5"},
    {"$float": "Infinity"}, {"$float": []}, {"$int": "9007199254740993", "x": 1},
])  # fmt: skip
def test_decoding_leaves_alone_what_encoding_never_wrote(hand_made: dict[str, Any]) -> None:
    assert decode(hand_made) == hand_made
    assert decode([{"a": hand_made}]) == [{"a": hand_made}]


@pytest.mark.parametrize(("value", "where"), [
    ({"a": [1, math.nan]}, "m.a[1]"),
    ({"a": {"b": "\ud800"}}, "m.a.b"),
    ({"\udfff": 1}, "m"),
    ({1: 1}, "m"),
    ({"a": {True: 1}}, "m.a"),
    ({"a": b"x"}, "m.a"),
    ([{1, 2}], "m[0]"),
    (10**4000, "m"),
    ({"a": object()}, "m.a"),
])  # fmt: skip
def test_what_cannot_be_kept_is_refused_at_its_place(value: Any, where: str) -> None:
    with pytest.raises(BadValue) as refusal:
        encode(value, where="m")
    assert refusal.value.location == where


def test_depth_is_bounded_and_never_ends_the_program() -> None:
    deep: Any = 1
    for _ in range(100):
        deep = [deep]
    assert decode(parse(dump(encode(deep)))) == deep
    for _ in range(5000):
        deep = {"k": deep}
    with pytest.raises(BadValue, match="deep"):
        encode(deep)


def test_tuples_are_lists() -> None:
    assert encode((1, ("a",))) == [1, ["a"]]


@pytest.mark.parametrize("data", [
    b'{"a":1,"a":1}', b'{"a":{"b":1,"b":2}}', b"NaN", b"[Infinity]", b"-Infinity", b"", b"{", b"\xff", b"\xef\xbb\xbf1",
    '{"a":1}'.encode("utf-16"), b"1 2", b"{'a':1}",
])  # fmt: skip
def test_parse_refuses_what_is_not_json_in_one_reading(data: bytes) -> None:
    with pytest.raises(ValueError):
        parse(data)


@pytest.mark.parametrize("other", [
    b'{"b":1,"a":2}\n', b'{ "a":1}\n', b'{"a":1}', b'{"a":1}\n\n', b'{"a":1.0}\n', b'{"a":1e2}\n', b'{"a":-0}\n',
    b'{"a":9007199254740993}\n', b'{"a":"\\u0061"}\n', b'{"a":"\\/"}\n', b'{"a":1e17}\n',
])  # fmt: skip
def test_there_is_one_spelling(other: bytes) -> None:
    assert dump(parse(other)) != other


# -- RFC 8785 ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("bits", "spelt"), [
    ("0000000000000000", "0"), ("8000000000000000", "0"), ("0000000000000001", "5e-324"),
    ("8000000000000001", "-5e-324"), ("7fefffffffffffff", "1.7976931348623157e+308"),
    ("ffefffffffffffff", "-1.7976931348623157e+308"), ("4340000000000000", "9007199254740992"),
    ("c340000000000000", "-9007199254740992"), ("4430000000000000", "295147905179352830000"),
    ("44b52d02c7e14af5", "9.999999999999997e+22"), ("44b52d02c7e14af6", "1e+23"),
    ("44b52d02c7e14af7", "1.0000000000000001e+23"), ("444b1ae4d6e2ef4e", "999999999999999700000"),
    ("444b1ae4d6e2ef4f", "999999999999999900000"), ("444b1ae4d6e2ef50", "1e+21"),
    ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"), ("3eb0c6f7a0b5ed8d", "0.000001"),
    ("41b3de4355555553", "333333333.3333332"), ("41b3de4355555554", "333333333.33333325"),
    ("41b3de4355555555", "333333333.3333333"), ("41b3de4355555556", "333333333.3333334"),
    ("41b3de4355555557", "333333333.33333343"), ("becbf647612f3696", "-0.0000033333333333333333"),
    ("43143ff3c1cb0959", "1424953923781206.2"),
])  # fmt: skip
def test_numbers_are_spelt_as_appendix_b_says(bits: str, spelt: str) -> None:
    (value,) = struct.unpack(">d", bytes.fromhex(bits))
    line = dump(encode(value))
    assert line == spelt.encode() + b"\n"
    assert decode(parse(line)) == value
    assert dump(parse(line)) == line


def test_keys_are_ordered_by_utf16_code_units() -> None:
    value = {"\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\U0001f600": 5, "\u0080": 6, "\u00f6": 7}
    assert list(json.loads(dump(encode(value)))) == ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]


def test_the_sample_of_section_3() -> None:
    value = {
        "numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 0.000000000000000000000000001],
        "string": "\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"\u002f",
        "literals": [None, True, False],
    }
    assert dump(encode(value)) == (
        b'{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        b'"string":"\xe2\x82\xac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}\n'
    )


def test_sha256_is_of_the_bytes() -> None:
    assert sha256_hex(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
