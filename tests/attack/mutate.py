"""Mutations of JSON documents for hypothesis: one place changed into something that no writer of ours puts there."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import assume
from hypothesis import strategies as st

from manual_registry.core.canonical import dump

_DEEP: Any = "x"
for _ in range(40):
    _DEEP = [_DEEP]

#: Values of every kind, and some that look nearly right.
JUNK = st.sampled_from(
    [
        None,
        True,
        False,
        0,
        -1,
        1,
        1.5,
        1e300,
        2**53 - 1,
        "",
        "x",
        "\x00",
        "\x1b[2J",
        "../../etc/passwd",
        "A1",
        "A99999",
        "2026-11-02",
        "9999-12-31T23:59:59.999Z",
        "0000-00-00",
        "sha256:" + "a" * 64,
        "a" * 64,
        "production",
        "nowhere",
        "é" * 40,
        "x" * 70_000,
        [],
        {},
        [[]],
        [{}],
        {"": ""},
        {"id": None, "sha256": None},
        {"$int": "9" * 30},
        {"$int": "x"},
        {"$float": "inf"},
        [None],
        [1],
        ["x"],
        {"a": {"b": {"c": 1}}},
        _DEEP,
        -0.0,
        5e-324,
        "lead@example.org",
        "*",
        "=1+1",
    ]
)


def paths(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every value inside ``value``."""
    found = [at] if at else []
    if isinstance(value, dict):
        for name, item in value.items():
            found += paths(item, (*at, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            found += paths(item, (*at, index))
    return found


def _parent(value: Any, path: tuple[Any, ...]) -> Any:
    for step in path[:-1]:
        value = value[step]
    return value


@st.composite
def mutated(draw: st.DrawFn, document: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of an event that differs in one to three places (also inside its signed statements)."""
    copy: dict[str, Any] = json.loads(json.dumps(document))
    for _ in range(draw(st.integers(1, 3))):
        everywhere = [path for path in paths(copy) if path[0] not in ("format", "seq", "prev")]
        path = draw(st.sampled_from(everywhere))
        parent, last = _parent(copy, path), path[-1]
        if last == "statement" and isinstance(parent[last], str) and draw(st.booleans()):
            parent[last] = draw(_statement(parent[last]))
            continue
        match draw(st.sampled_from(("junk", "junk", "junk", "drop", "rename", "move", "double"))):
            case "drop":
                del parent[last]
            case "rename" if isinstance(parent, dict):
                parent[draw(st.sampled_from(["", "x", "id", "model", "$int"]))] = parent.pop(last)
            case "move":
                other = draw(st.sampled_from(everywhere))
                try:
                    parent[last] = json.loads(json.dumps(_parent(copy, other)[other[-1]]))
                except (KeyError, IndexError, TypeError):
                    parent[last] = None
            case "double" if isinstance(parent, list):
                parent.append(parent[last])
            case _:
                parent[last] = json.loads(json.dumps(draw(JUNK)))  # a copy: later changes go into it
    assume(max(map(len, paths(copy)), default=0) < 90)  # deeper ones are refused as text, tested for themselves
    return copy


@st.composite
def _statement(draw: st.DrawFn, text: str) -> str:
    """Change a place inside a signed statement; it stays canonical."""
    try:
        inner = json.loads(text)
    except ValueError:
        return text[: len(text) // 2]
    everywhere = paths(inner)
    if not everywhere:
        return ""
    path = draw(st.sampled_from(everywhere))
    parent = _parent(inner, path)
    if draw(st.booleans()):
        del parent[path[-1]]
    else:
        parent[path[-1]] = json.loads(json.dumps(draw(JUNK)))
    try:
        return dump(inner).decode()
    except (ValueError, TypeError):
        return "{}"
