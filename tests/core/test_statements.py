"""Statements: building and checking are one, so that no field is forgotten (design 3.5)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from chains import LEAD, Chain, key
from hypothesis import given
from hypothesis import strategies as st
from mutations import leaves

from manual_registry.core import statements
from manual_registry.core.canonical import dump, sha256_hex
from manual_registry.core.statements import differing, fingerprint, read_statement, statement_sha256

#: The contract's members (design 3.5), in full.
APPROVAL_MEMBERS = {
    "registry", "approval_id", "decision", "approver", "key", "role", "delegation", "from", "to", "replaces",
    "composite_id",
    "policy", "gates", "card", "exceptions", "comment", "issued_at", "ledger",
}  # fmt: skip
PROMOTION_MEMBERS = {
    "registry", "pipeline", "from", "to", "replaces", "approval", "policy", "commit", "run", "issued_at", "ledger",
}  # fmt: skip


@pytest.fixture(name="chain")
def _chain() -> Chain:
    chain = Chain()
    chain.to_production("1")
    chain.to_staging("2")
    chain.approve("2", "production")
    return chain


def approval(chain: Chain) -> dict[str, Any]:
    """Return the statement of the last approval."""
    request = list(chain.state.requests.values())[-1]
    found = read_statement(request.statement or "")
    assert found is not None
    return found


def test_an_approval_says_all_that_the_contract_names(chain: Chain) -> None:
    found, record = approval(chain), chain.record("2")
    said = found["predicate"]
    assert set(said) == APPROVAL_MEMBERS
    assert (found["_type"], found["predicateType"]) == (
        "https://in-toto.io/Statement/v1",
        "urn:manual-registry:stage-approval:1",
    )
    assert found["subject"] == [{"name": "churn@2", "digest": {"sha256": record.sha256, "blake3": record.blake3}}]
    assert (said["from"], said["to"], said["replaces"], said["decision"]) == ("staging", "production", "1", "approved")
    assert (said["approver"], said["key"], said["role"]) == (LEAD, key(LEAD).public.fingerprint, "ai-governance-lead")
    assert (said["delegation"], said["exceptions"], said["comment"]) == (None, [], None)
    assert said["gates"] == [
        {"gate": one["gate"], "sha256": one["sha256"], "metrics": one["metrics"]} for one in record.gates
    ]
    assert record.card is not None
    assert (said["card"], said["composite_id"], said["policy"]) == (
        record.card["sha256"],
        record.composite_id,
        chain.state.policy.sha256,
    )
    assert chain.state.hashes[said["ledger"]["seq"]] == said["ledger"]["hash"]
    assert said["registry"] == {"id": chain.state.registry_id}


def test_a_promotion_says_all_that_the_contract_names_and_the_event_directly_before(chain: Chain) -> None:
    identifier = list(chain.state.requests)[-1]
    found = read_statement(chain.promotion("2", "production", identifier)["statement"])
    assert found is not None
    said = found["predicate"]
    assert set(said) >= PROMOTION_MEMBERS
    assert found["predicateType"] == "urn:manual-registry:promotion:1"
    assert said["ledger"] == {"seq": chain.state.head_seq, "hash": chain.state.head_hash}
    assert said["approval"] == chain.used(identifier)
    assert (said["pipeline"], said["replaces"], said["commit"], said["run"]) == ("ci", "1", "c0de" * 10, "42")


def test_a_change_of_control_is_bound_to_registry_and_place(chain: Chain) -> None:
    found = read_statement(chain.policy_data()["control"]["statement"])
    assert found is not None
    said = found["predicate"]
    assert said["ledger"] == {"seq": chain.state.head_seq, "hash": chain.state.head_hash}
    assert (said["control_id"], said["action"], said["signer"]) == (f"C{chain.state.head_seq + 1}", "policy.sign", LEAD)
    genesis = chain.state.hashes[1].removeprefix("sha256:")
    assert found["subject"] == [{"name": f"registry:{chain.state.registry_id}", "digest": {"sha256": genesis}}]
    assert set(said["details"]) == {"system", "risk", "placed_on_market", "policy"}


def test_namespaces_are_those_of_the_contract() -> None:
    assert (statements.APPROVAL_NAMESPACE, statements.PROMOTION_NAMESPACE, statements.CONTROL_NAMESPACE) == (
        "stage-approval@manual-registry", "ci-promote@manual-registry", "registry-control@manual-registry",
    )  # fmt: skip


def test_nothing_differs_from_itself_and_every_leaf_is_compared(chain: Chain) -> None:
    found = approval(chain)
    line = dump(found)
    assert differing(found, line) == []
    for path, changed in leaves(found):
        if not isinstance(changed.get("predicate"), dict):
            continue
        names = differing(changed, line)
        top = str(path[1] if path[0] == "predicate" else path[0]).removeprefix("-")
        assert names == [top if top != "+" else "unheard-of"], path


@pytest.mark.parametrize(("one", "other"), [
    ({"a": 1}, {"a": True}), ({"a": None}, {}), ({}, {"a": None}), ({"a": 0}, {"a": False}),
    ({"a": [1]}, {"a": [True]}),
    ({"a": "1"}, {"a": 1}),
])  # fmt: skip
def test_the_bytes_count(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert differing({"predicate": one}, dump({"predicate": other})) == ["a"]
    assert differing({"a": 1, "predicate": {}}, dump({"predicate": {}})) == ["a"]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab\u00e9", max_size=3),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=3),
    )
)
def test_a_statement_is_the_canonical_line_of_a_mapping_with_a_predicate(value: Any) -> None:
    text = dump(value).decode()
    found = read_statement(text)
    if isinstance(value, dict) and isinstance(value.get("predicate"), dict):
        assert found == value
    else:
        assert found is None
    if found is not None:
        for other in (text + "\n", text[:-1], " " + text, json.dumps(value, indent=1) + "\n"):
            assert read_statement(other) is None


@pytest.mark.parametrize(
    "text", ["", "{", "\ud800", '{"predicate":{},"predicate":{}}\n', '{"predicate":{"a":NaN}}\n', "[" * 100_000]
)
def test_what_is_no_statement(text: str) -> None:
    assert read_statement(text) is None


def test_promotions_name_approvals_by_the_hash_of_their_line(chain: Chain) -> None:
    text = dump(approval(chain)).decode()
    assert statement_sha256(text) == sha256_hex(text.encode())
    assert fingerprint(key(LEAD).line) == key(LEAD).public.fingerprint
