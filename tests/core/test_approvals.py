"""Approvals judged: each numbered rule of `judge` alone, several at once, and the status that the clock makes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from chains import LEAD, LEAD2, SME, SME2, Chain, key

from manual_registry.core import events as kinds
from manual_registry.core.approvals import Judgement, is_open, judge, status
from manual_registry.core.canonical import dump
from manual_registry.core.errors import STATUS_ORDER
from manual_registry.core.statements import APPROVAL_NAMESPACE, CONTROL_NAMESPACE, Position, read_statement
from manual_registry.core.times import stamp

HOURS48 = timedelta(hours=48)


@pytest.fixture(name="chain")
def _chain() -> Chain:
    chain = Chain(smes=(SME2,))
    chain.to_staging("1")
    chain.request("1", "production")
    return chain


def judged(chain: Chain, statement: str, signature: str | None, **options: Any) -> Judgement:
    """Judge a statement for the last request of version 1."""
    request = chain.state.requests[chain.record("1").requests[-1]]
    return judge(chain.state, request, statement, signature, **{"moment": chain.now, **options})


def line(chain: Chain, who: str = LEAD, **changes: Any) -> str:
    """Return the statement that ``who`` signs for the last request of version 1."""
    return chain.statement(chain.state.requests[chain.record("1").requests[-1]], who, **changes)


def codes(found: Judgement) -> list[str]:
    """Return the codes, in order."""
    return [reason.code for reason in found.reasons]


def sign(text: str, who: str = LEAD, namespace: str = APPROVAL_NAMESPACE) -> str:
    """Sign a statement."""
    return key(who).sign(text.encode(), namespace)


def test_a_good_one_and_one_that_is_not_signed_yet(chain: Chain) -> None:
    text = line(chain)
    for signature in (sign(text), None):
        found = judged(chain, text, signature)
        assert (codes(found), found.decision) == ([], "approved")
        assert found.approver is chain.state.approvers[LEAD]


def test_1_the_statement_is_the_canonical_line_of_an_approval(chain: Chain) -> None:
    said = read_statement(line(chain))
    assert said is not None
    other_type = dump({**said, "predicateType": "urn:manual-registry:promotion:1"}).decode()
    for text in ("", "{}\n", line(chain) + " ", other_type):
        assert codes(judged(chain, text, sign(text))) == ["MR-P013"]


@pytest.mark.parametrize(
    "change", [{"delegation": {"from": LEAD2}}, {"exceptions": [{"gate": "fairness"}]}, {"exceptions": None}]
)
def test_1_a_delegation_or_exception_that_is_not_there(chain: Chain, change: dict[str, Any]) -> None:
    said = read_statement(line(chain))
    assert said is not None
    text = dump({**said, "predicate": {**said["predicate"], **change}}).decode()
    assert codes(judged(chain, text, sign(text))) == ["MR-P011"]


def test_2_the_approver_is_in_the_roster_active_and_of_a_role_that_suffices(chain: Chain) -> None:
    said = read_statement(line(chain))
    assert said is not None
    text = dump({**said, "predicate": {**said["predicate"], "approver": SME}}).decode()
    assert codes(judged(chain, text, sign(text))) == ["MR-S002"]
    text = line(chain, SME2)
    assert codes(judged(chain, text, sign(text, SME2))) == ["MR-P012"]
    text = line(chain, LEAD2)
    chain.approver_revoke(LEAD2)
    assert codes(judged(chain, text, sign(text, LEAD2))) == ["MR-P012"]


def test_3_the_signature_is_by_that_key_in_that_namespace_over_those_bytes(chain: Chain) -> None:
    text = line(chain)
    assert codes(judged(chain, text, sign(text, LEAD2))) == ["MR-S002"]
    assert codes(judged(chain, text, sign(text, "stranger"))) == ["MR-S002"]
    assert codes(judged(chain, text, sign(text, LEAD, CONTROL_NAMESPACE))) == ["MR-P013"]
    assert codes(judged(chain, text, sign(text + " "))) == ["MR-P013"]
    assert codes(judged(chain, text, "x")) == ["MR-P013"]


def test_4_the_approver_did_not_register_the_version() -> None:
    chain = Chain()
    chain.register("1", actor=LEAD)
    chain.request("1", "staging")
    text = line(chain)
    assert codes(judged(chain, text, sign(text))) == ["MR-P009"]


def test_5_every_field_is_true_still_those_that_may_differ_left_out(chain: Chain) -> None:
    text = line(chain)
    chain.to_production("2")
    found = judged(chain, text, sign(text))
    assert codes(found) == ["MR-P011"]
    assert found.reasons[0].message.endswith(": replaces")
    assert codes(judged(chain, text, sign(text), may_differ=frozenset({"replaces"}))) == []


@pytest.mark.parametrize("position", [(1, "sha256:" + "0" * 64), (999, None), (0, None)])
def test_5_the_head_that_it_names_is_in_the_chain(chain: Chain, position: tuple[int, str | None]) -> None:
    named = Position(seq=position[0], hash=position[1] or chain.state.head_hash or "")
    text = line(chain, position=named)
    assert len(codes(judged(chain, text, sign(text)))) == 1
    earlier = Position(seq=1, hash=chain.state.hashes[1])
    text = line(chain, position=earlier)
    assert codes(judged(chain, text, sign(text))) == []


@pytest.mark.parametrize("change", [
    {"ledger": None}, {"ledger": {"seq": True, "hash": "x"}}, {"ledger": {"seq": 1}}, {"decision": None},
    {"issued_at": 5},
    {"comment": 5}, {"issued_at": "soon"},
])  # fmt: skip
def test_5_members_of_the_wrong_kind(chain: Chain, change: dict[str, Any]) -> None:
    said = read_statement(line(chain))
    assert said is not None
    text = dump({**said, "predicate": {**said["predicate"], **change}}).decode()
    assert judged(chain, text, sign(text)).reasons


@pytest.mark.parametrize(("age", "told"), [
    (timedelta(0), []), (HOURS48, []), (HOURS48 + timedelta(seconds=1), ["MR-P010"]), (-timedelta(minutes=5), []),
    (-timedelta(minutes=5, seconds=1), ["MR-P013"]),
])  # fmt: skip
def test_6_it_is_fresh_and_not_from_the_future(chain: Chain, age: timedelta, told: list[str]) -> None:
    text = line(chain)
    assert codes(judged(chain, text, sign(text), moment=chain.now + age)) == told
    assert codes(judged(chain, text, sign(text), moment=chain.now + age, fresh=False)) == []


def test_every_reason_is_told_at_once() -> None:
    chain = Chain(smes=(SME2,))
    chain.register("1", actor=SME2)
    chain.promote("1", "staging", chain.approve("1", "staging"))
    chain.request("1", "production")
    text = line(chain, SME2)
    chain.to_production("2")
    chain.approver_revoke(SME2)
    found = judged(chain, text, sign(text, "stranger"), moment=chain.now + 2 * HOURS48)
    assert codes(found) == ["MR-P012", "MR-P012", "MR-S002", "MR-P009", "MR-P011", "MR-P010"]
    assert {STATUS_ORDER.index(reason.status) for reason in found.reasons} == {
        STATUS_ORDER.index(3),
        STATUS_ORDER.index(4),
    }


# -- status ------------------------------------------------------------------------------------------------


def test_the_statuses_of_the_contract() -> None:
    chain = Chain()
    chain.register("1")
    names = [chain.request("1", "staging") for _ in range(5)]
    requested, filled, rejected, withdrawn, signed = (chain.state.requests[name] for name in names)
    entry = {"decision": "approved", "approver": LEAD, "date": "2026-03-01", "comment": None}
    chain.add(kinds.FILLED, chain.of("1"), {"id": filled.id, **entry})
    chain.sign(rejected.id, decision="rejected", comment="no")
    chain.add(kinds.WITHDRAWN, chain.of("1"), {"id": withdrawn.id})
    issued = chain.now
    chain.sign(signed.id)
    told = [status(chain.state, one, chain.now) for one in (requested, filled, rejected, withdrawn, signed)]
    assert told == ["requested", "filled", "rejected", "withdrawn", "signed"]
    assert status(chain.state, signed, issued + HOURS48) == "signed"
    assert status(chain.state, signed, issued + HOURS48 + timedelta(seconds=1)) == "expired"
    assert [is_open(one) for one in (requested, filled, rejected, withdrawn, signed)] == [
        True,
        True,
        False,
        False,
        True,
    ]
    chain.promote("1", "staging", signed.id)
    assert status(chain.state, signed, issued + 9 * HOURS48) == "used"
    assert status(chain.state, requested, chain.now) == "lapsed"


@pytest.mark.parametrize("change", [{"issued_at": None}, {"issued_at": 5}, {"issued_at": "soon"}])
def test_a_hand_made_signature_does_not_stop_a_list(chain: Chain, change: dict[str, Any]) -> None:
    request = list(chain.state.requests.values())[-1]
    said = read_statement(line(chain))
    assert said is not None
    for predicate in ({**said["predicate"], **change}, {}):
        text = dump({**said, "predicate": predicate}).decode()
        chain.force(kinds.SIGNED, chain.of("1"), {"id": request.id, "statement": text, "signature": sign(text)})
        assert status(chain.state, request, chain.now) == "expired"


def test_a_statement_of_now_carries_the_clock(chain: Chain) -> None:
    said = read_statement(line(chain))
    assert said is not None
    assert said["predicate"]["issued_at"] == stamp(chain.now)
