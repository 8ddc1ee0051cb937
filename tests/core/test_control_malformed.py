"""Hand-made events of control, with junk anywhere: `verify` tells it, and nothing that reads the state trips over it."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from typing import Any

import pytest
from mutations import CASES

from manual_registry.core import doubts
from manual_registry.core.audit import audit_ledger
from manual_registry.core.canonical import dump
from manual_registry.core.ledger import file_name
from manual_registry.core.rows import build_view

JUNK: list[Any] = [
    None, True, 0, -1, 1.5, "", "x", "A1", "A99999", "2026-11-02", "sha256:" + "a" * 64, "a" * 64, "production", [], {},
    [{}], {"": ""}, {"seq": 1, "hash": "x"}, ["x"], "lead@example.org", "*", "[", 9e300, "\u202e", "recovery",
]  # fmt: skip
NAMES = (
    "delegated", "signed_by_a_delegate", "recovered", "exception_granted", "promoted_with_an_exception",
    "control_requested", "control_issued", "request_answered", "baseline_answered", "control_rejected",
    "control_withdrawn", "approver_revoked", "former_key_told",
)  # fmt: skip
NOW = datetime(2026, 3, 9, tzinfo=UTC)


def paths(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of everything inside ``value``."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return ([at] if at else []) + [path for name, item in items for path in paths(item, (*at, name))]


def spoil(chance: random.Random, value: Any) -> None:
    """Put junk into one place of ``value``, or take it away; also inside the statement that it holds."""
    path = chance.choice(paths(value))
    parent = value
    for step in path[:-1]:
        parent = parent[step]
    last = path[-1]
    if last == "statement" and chance.random() < 0.8:
        inner = json.loads(parent[last])
        spoil(chance, inner)
        parent[last] = dump(inner).decode()
    elif chance.random() < 0.3:
        del parent[last]
    else:
        parent[last] = chance.choice(JUNK)


@pytest.mark.parametrize("name", NAMES)
def test_junk_in_an_event_of_control(name: str) -> None:
    chain, (kind, subject, data, actor) = CASES[name]()
    assert chain is not None
    chance = random.Random(name)
    for _ in range(60):
        body = json.loads(json.dumps({"subject": dict(subject), "data": dict(data)}))
        part = body["data"] if chance.random() < 0.9 or not body["subject"] else body["subject"]
        spoil(chance, part)
        event = chain.seal(kind, body["subject"], body["data"], actor=actor)
        files = {file_name(one.seq): one.raw for one in (*chain.events, event)}
        audit = audit_ledger(sorted(files), files.__getitem__)
        if audit.whole:
            doubts.check(audit, NOW, [])
            build_view(audit.state, audit.events)
