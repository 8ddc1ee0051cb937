"""Delegations, exceptions, recovery and requests to leads: what may stand, and what of it counts (RP-14, RP-20, RP-21)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from chains import CI, DELEGATE, LEAD, LEAD2, MODEL, SME, SME2, START, Chain, evidence, gate, key

from manual_registry.core import approvals, doubts, gate_exceptions
from manual_registry.core import events as kinds
from manual_registry.core.audit import Audit
from manual_registry.core.controls import details as control_details
from manual_registry.core.errors import RegistryError
from manual_registry.core.results import Severity


def codes(reasons: list[RegistryError]) -> list[str]:
    return [reason.code for reason in reasons]


# -- delegations -------------------------------------------------------------------------------------------


def delegating(chain: Chain, address: str = DELEGATE, *, by: str = LEAD, **changes: Any) -> list[str]:
    data = chain.delegation(address, by=by, **changes)
    return codes(chain.reasons(kinds.DELEGATED, {"approver": address}, data, actor=by))


@pytest.fixture
def chain() -> Chain:
    made = Chain(smes=(SME2,))
    made.approver_add(DELEGATE, "delegate")
    return made


@pytest.mark.parametrize(("changes", "told"), [
    ({}, []),
    ({"models": MODEL}, []),
    ({"models": "c[a-z]*"}, []),
    ({"models": ""}, ["MR-I001"]),
    ({"models": "a,b"}, ["MR-I001"]),
    ({"models": "Churn"}, ["MR-I001"]),
    ({"from": "2026-03-02T00:00:00.000Z"}, ["MR-I022"]),
    ({"from": "2026-02-31"}, ["MR-I022"]),
    ({"until": "soon"}, ["MR-I022"]),
    ({"until": "2026-02-28", "from": "2026-02-01"}, ["MR-I021"]),
    ({"from": "2026-04-02", "until": "2026-04-01"}, ["MR-I021"]),
    ({"reason": " "}, ["MR-I031"]),
])  # fmt: skip
def test_what_a_delegation_may_say(chain: Chain, changes: dict[str, Any], told: list[str]) -> None:
    assert delegating(chain, **changes) == told


def test_who_delegates_to_whom(chain: Chain) -> None:
    assert delegating(chain, "nobody@example.org") == ["MR-N006"]
    assert delegating(chain, SME2) == ["MR-P018"]
    assert delegating(chain, LEAD2) == ["MR-P018"]
    assert delegating(chain, by=SME2) == delegating(chain, by=DELEGATE) == ["MR-P018"]
    chain.delegate()
    assert delegating(chain, by=DELEGATE) == ["MR-P018"]  # a delegate does not delegate on
    chain.approver_revoke(DELEGATE)
    assert delegating(chain) == ["MR-P018"]


def test_a_delegate_changes_nothing(chain: Chain) -> None:
    chain.delegate()
    data = chain.enrolment("new@example.org", "technical-sme", by=DELEGATE)
    assert codes(chain.reasons(kinds.APPROVER_ADDED, {"approver": "new@example.org"}, data)) == ["MR-P018"]
    assert codes(chain.reasons(kinds.POLICY_SIGNED, {}, chain.policy_data(by=DELEGATE, system="x"))) == ["MR-P018"]
    pipe = {"key": key("ci9").line, "oidc": None}
    control = chain.control("pipeline.add", {"pipeline": "ci9", **pipe}, by=DELEGATE)
    told = chain.reasons(kinds.PIPELINE_ADDED, {"pipeline": "ci9"}, {**pipe, "control": control})
    assert codes(told) == ["MR-P018"]
    chain.register_failed("1")
    data = chain.exception("1", by=DELEGATE)
    assert codes(chain.reasons(kinds.EXCEPTION_GRANTED, chain.of("1"), data)) == ["MR-P018"]


def signing(chain: Chain, identifier: str, **changes: Any) -> list[str]:
    """Return the codes against a delegate's signature."""
    request = chain.state.requests[identifier]
    data = chain.signature(identifier, DELEGATE, **changes)
    return codes(chain.reasons(kinds.SIGNED, chain.of(request.version, request.model), data, actor=DELEGATE))


def test_within_the_scope_a_delegates_signature_counts_as_a_leads(chain: Chain) -> None:
    chain.delegate(models="ch*")
    chain.register("1")
    for to in ("staging", "production"):
        chain.promote("1", to, chain.approve("1", to, DELEGATE))
    assert chain.record("1").stage == "production"
    chain.archive("1", chain.approve("1", "archived", DELEGATE))


@pytest.mark.parametrize("changes", [
    {"models": "other"},
    {"models": "churn?"},
    {"from": "2026-03-02"},
    {"until": "2026-03-01", "from": "2026-03-01"},
])  # fmt: skip
def test_outside_the_scope_it_does_not(chain: Chain, changes: dict[str, Any]) -> None:
    chain.delegate(**changes)
    if "until" in changes:
        chain.now += timedelta(days=1)
    chain.register("1")
    assert signing(chain, chain.request("1", "staging")) == ["MR-P060"]


def test_without_a_delegation_it_does_not_even_for_staging(chain: Chain) -> None:
    chain.register("1")
    assert signing(chain, chain.request("1", "staging")) == ["MR-P060"]


def test_the_delegation_of_somebody_else_serves_nobody(chain: Chain) -> None:
    chain.delegate("other@example.org")
    chain.register("1")
    named = chain.state.delegations[max(chain.state.delegations)]
    assert "MR-P060" in signing(chain, chain.request("1", "staging"), delegation=named)


def test_dated_back_into_the_delegation_it_does_not_count(chain: Chain) -> None:
    chain.delegate(**{"from": "2026-03-01", "until": "2026-03-01"})
    chain.register("1")
    identifier = chain.request("1", "staging")
    signed = chain.signature(identifier, DELEGATE)
    chain.now += timedelta(days=1)
    assert codes(chain.reasons(kinds.SIGNED, chain.of("1"), signed, actor=DELEGATE)) == ["MR-P060"]


def test_what_was_signed_in_time_may_be_used_until_the_delegation_ends(chain: Chain) -> None:
    chain.delegate(**{"from": "2026-03-01", "until": "2026-03-02"})
    chain.register("1")
    identifier = chain.approve("1", "staging", DELEGATE)
    chain.now += timedelta(days=1)
    assert promoting(chain, identifier) == []
    chain.now += timedelta(hours=16)  # 2026-03-03, 00:xx; the signature itself is younger than 48 hours
    assert promoting(chain, identifier) == ["MR-P060"]


def test_dated_back_on_an_idle_ledger_it_serves_nobody_after_the_end(chain: Chain) -> None:
    """The statement and its event both say a time in the delegation; nothing was written since."""
    chain.delegate(**{"from": "2026-03-01", "until": "2026-03-01"})
    chain.register("1")
    identifier = chain.approve("1", "staging", DELEGATE)
    chain.now += timedelta(hours=35)
    refused = chain.reasons(kinds.PROMOTED, chain.of("1"), chain.step("1", "staging", identifier), actor=CI)
    assert codes(refused) == ["MR-P060"]
    assert refused[0].hint == "mreg approval request churn@1 --to staging"


def test_a_rollback_rests_on_what_was_used_in_time(chain: Chain) -> None:
    chain.delegate(**{"from": "2026-03-01", "until": "2026-03-01"})
    chain.register("1")
    for to in ("staging", "production"):
        chain.promote("1", to, chain.approve("1", to, DELEGATE))
    chain.to_production("2")
    chain.now += timedelta(days=3)
    assert codes(chain.reasons(kinds.ROLLED_BACK, chain.of("1"), chain.rollback("1"), actor=CI)) == []


def test_revocation_ends_it(chain: Chain) -> None:
    chain.delegate()
    chain.register("1")
    identifier = chain.approve("1", "staging", DELEGATE)
    chain.approver_revoke(DELEGATE)
    request = chain.state.requests[identifier]
    judged = approvals.judge(chain.state, request, request.statement or "", request.signature, moment=chain.now)
    assert codes(list(judged.reasons)) == ["MR-P012"]


def test_a_delegate_does_not_approve_their_own(chain: Chain) -> None:
    chain.delegate()
    chain.register("1", actor=DELEGATE)
    assert signing(chain, chain.request("1", "staging")) == ["MR-P009"]


def test_a_plus_sign_makes_no_other_person(chain: Chain) -> None:
    chain.approver_add("sme+lead@example.org")
    chain.register("1", actor=SME)
    identifier = chain.request("1", "staging")
    data = chain.signature(identifier, "sme+lead@example.org")
    assert codes(chain.reasons(kinds.SIGNED, chain.of("1"), data)) == ["MR-P009"]


# -- exceptions --------------------------------------------------------------------------------------------


def granting(chain: Chain, version: str = "1", gate_name: str = "fairness", **changes: Any) -> list[str]:
    data = chain.exception(version, gate_name, **changes)
    return codes(chain.reasons(kinds.EXCEPTION_GRANTED, chain.of(version), data, actor=LEAD))


@pytest.mark.parametrize(("changes", "told"), [
    ({}, []),
    ({"root_cause": None}, ["MR-P061"]),
    ({"root_cause": " "}, ["MR-I031"]),
    ({"severity": ""}, ["MR-I031"]),
    ({"justification": ""}, ["MR-I031"]),
    ({"controls": " "}, ["MR-I031"]),
    ({"remediation": ""}, ["MR-I031"]),
    ({"expires": "2026-03-01"}, []),
    ({"expires": "2026-02-28"}, ["MR-I021"]),
    ({"expires": "2026-02-31"}, ["MR-I022"]),
    ({"remediation_date": "2026-02-28"}, ["MR-I021"]),
    ({"report": "ab" * 32}, ["MR-P061"]),
])  # fmt: skip
def test_what_an_exception_says(changes: dict[str, Any], told: list[str]) -> None:
    chain = Chain()
    chain.register_failed("1")
    assert granting(chain, **changes) == told


def test_only_what_failed_is_let_through() -> None:
    chain = Chain()
    chain.register_failed("1")
    assert granting(chain, gate_name="performance") == ["MR-P061"]
    control = chain.exception("1")
    absent = {**control, "gate": "drift"}
    assert "MR-P061" in codes(chain.reasons(kinds.EXCEPTION_GRANTED, chain.of("1"), absent))
    assert granting(chain, by=SME) == ["MR-P018"]


def test_a_root_cause_is_for_fairness_gates() -> None:
    chain = Chain()
    chain.register_failed("1", "performance")
    assert granting(chain, gate_name="performance", root_cause=None) == []


def promoting(chain: Chain, identifier: str, to: str = "staging") -> list[str]:
    return codes(chain.reasons(kinds.PROMOTED, chain.of("1"), chain.step("1", to, identifier), actor=CI))


def test_without_an_exception_a_failed_gate_stops_the_step() -> None:
    chain = Chain()
    chain.register_failed("1")
    assert promoting(chain, chain.approve("1", "staging")) == ["MR-P004"]


def test_an_exception_lets_it_through_until_its_day_is_over() -> None:
    chain = Chain()
    chain.register_failed("1")
    identifier = chain.let_through("1", expires="2026-03-02", remediation_date="2026-03-02")
    approval = chain.approve("1", "staging")
    assert '"exceptions":[{"expires":"2026-03-02"' in (chain.state.requests[approval].statement or "")
    assert promoting(chain, approval) == []
    chain.now += timedelta(days=1)
    assert promoting(chain, approval) == []
    chain.now += timedelta(hours=16)  # 2026-03-03, 00:xx
    assert promoting(chain, approval) == ["MR-P004"]
    assert identifier in chain.state.exceptions


def test_what_the_lead_signed_names_the_exceptions_of_that_moment() -> None:
    """An exception that comes after the approval was not what its signer was shown."""
    chain = Chain()
    chain.register_failed("1")
    approval = chain.approve("1", "staging")
    chain.let_through("1")
    assert promoting(chain, approval) == ["MR-P011"]


def test_a_later_report_stands_on_its_own() -> None:
    chain = Chain()
    chain.register_failed("1")
    chain.let_through("1")
    file = evidence("gates", "later.json")
    worse = gate("fairness", file, passed=False, metric={"lower": 0.1, "value": 0.2, "upper": 0.3})
    chain.attach("1", evidence=[file], gates=[worse])
    assert promoting(chain, chain.approve("1", "staging")) == ["MR-P004"]


def test_an_exception_of_another_version_is_none() -> None:
    chain = Chain()
    chain.register_failed("1")
    chain.register_failed("2")
    chain.let_through("2")
    assert promoting(chain, chain.approve("1", "staging")) == ["MR-P004"]


def found(chain: Chain, anchors: tuple[Any, ...] = (), *, told_too: bool = False) -> list[tuple[str, str]]:
    """Return (code, severity) of what stands without ground."""
    audit = Audit(state=chain.state, events=chain.events)
    doubts.check(audit, chain.now, anchors)
    return [(one.code, one.severity.value) for one in audit.findings if one.code != "MR-F061" or told_too]


def test_an_ended_exception_that_carries_a_production_version_is_found() -> None:
    chain = Chain()
    chain.register_failed("1")
    chain.let_through("1")
    for to in ("staging", "production"):
        chain.promote("1", to)
    assert found(chain, told_too=True) == [("MR-F061", "info")]
    chain.now += timedelta(days=16)  # the remediation was due on the 15th
    assert found(chain, told_too=True) == [("MR-F061", "warning")]
    chain.now += timedelta(days=14)
    assert found(chain) == [("MR-P062", "error")]
    chain.let_through("1", expires="2026-05-01", remediation_date="2026-05-01")
    assert found(chain) == []
    chain.now += timedelta(days=60)
    assert found(chain) == [("MR-P062", "error")]
    file = evidence("gates", "good.json")
    chain.attach("1", evidence=[file], gates=[gate("fairness", file)])
    assert found(chain) == []  # the gate passes now


def test_a_rollback_asks_for_an_exception_that_is_in_force() -> None:
    chain = Chain()
    chain.register_failed("1")
    chain.let_through("1", expires="2026-03-02", remediation_date="2026-03-02")
    for to in ("staging", "production"):
        chain.promote("1", to)
    chain.to_production("2")
    assert codes(chain.reasons(kinds.ROLLED_BACK, chain.of("1"), chain.rollback("1"), actor=CI)) == []
    chain.now += timedelta(days=3)
    assert codes(chain.reasons(kinds.ROLLED_BACK, chain.of("1"), chain.rollback("1"), actor=CI)) == ["MR-P004"]
    chain.let_through("1", expires="2026-03-09", remediation_date="2026-03-09")
    assert codes(chain.reasons(kinds.ROLLED_BACK, chain.of("1"), chain.rollback("1"), actor=CI)) == []


def test_the_latest_exception_counts() -> None:
    chain = Chain()
    chain.register_failed("1")
    chain.let_through("1", expires="2026-03-02", remediation_date="2026-03-02")
    second = chain.let_through("1", expires="2026-03-09", remediation_date="2026-03-09")
    one = gate_exceptions.lets_through(chain.record("1"), "fairness", chain.now)
    assert one is not None and one.id == second


# -- the recovery key --------------------------------------------------------------------------------------


def recovering(chain: Chain, address: str = "new@example.org", *, owner: str = "recovery", **changes: Any) -> list[str]:
    data: dict[str, Any] = {"name": "A New One", "key": key(address).line, **changes}
    by, role = data.pop("by", "recovery"), data.pop("role", "recovery")
    details = control_details({"approver": address}, data)
    control = chain.control("approver.recover", details, by=by, role=role, owner=owner, key_line=key("recovery").line)
    return codes(chain.reasons(kinds.RECOVERED, {"approver": address}, {**data, "control": control}))


def test_the_recovery_key_adds_a_lead_and_nothing_else() -> None:
    chain = Chain(recovery=key("recovery").line)
    assert recovering(chain) == []
    assert recovering(chain, owner=LEAD) == ["MR-P018"]
    assert recovering(chain, owner="stranger") == ["MR-P018"]
    assert recovering(chain, by=LEAD) == ["MR-P018"]
    assert recovering(chain, role="ai-governance-lead") == ["MR-P018"]
    assert recovering(chain, LEAD) == ["MR-C006"]
    assert recovering(chain, LEAD, key=key("fresh").line) == []  # a lost key of a lead who stands there is replaced
    assert recovering(chain, key=key("recovery").line) == ["MR-C006"]
    pipe = {"key": key("ci9").line, "oidc": None}
    control = chain.control("pipeline.add", {"pipeline": "ci9", **pipe}, by="recovery", role="recovery")
    assert codes(chain.reasons(kinds.PIPELINE_ADDED, {"pipeline": "ci9"}, {**pipe, "control": control})) == ["MR-P018"]


def test_without_one_there_is_no_recovery() -> None:
    assert recovering(Chain()) == ["MR-P018"]


# -- requests ----------------------------------------------------------------------------------------------

NEW = {"name": "A New One", "role": "technical-sme", "key": key("new@example.org").line}
WHO = {"approver": "new@example.org"}


def answering(chain: Chain, control: dict[str, Any], data: dict[str, Any] = NEW) -> list[str]:
    return codes(chain.reasons(kinds.APPROVER_ADDED, WHO, {**data, "control": control}))


def test_a_request_is_answered_once_whatever_came_in_between() -> None:
    chain = Chain()
    identifier = chain.ask("approver.add", WHO, NEW)
    control = chain.answer(identifier)
    for version in ("1", "2", "3"):
        chain.register(version)
    assert answering(chain, control) == []
    chain.add(kinds.APPROVER_ADDED, WHO, {**NEW, "control": control})
    assert chain.state.controls[identifier].status == "used"
    assert "MR-C008" in answering(chain, control)


def test_an_answer_serves_no_other_request_and_no_other_change() -> None:
    chain = Chain()
    first, second = chain.ask("approver.add", WHO, NEW), chain.ask("approver.add", WHO, NEW)
    control = chain.answer(first)
    assert answering(chain, {**control, "request": second}) == ["MR-P018"]
    assert answering(chain, {name: control[name] for name in ("signer", "statement", "signature")}) == ["MR-P018"]
    assert answering(chain, control, {**NEW, "role": "ai-governance-lead"}) == ["MR-P018"]
    assert answering(chain, {**control, "request": "A99"}) == ["MR-N004"]
    chain.add(kinds.CONTROL_WITHDRAWN, {}, {"id": first})
    assert answering(chain, control) == ["MR-C008"]


def test_an_answer_of_another_registry_is_none() -> None:
    chain, other = Chain(), Chain(placed="2026-02-02")
    identifier = chain.ask("approver.add", WHO, NEW)
    assert other.ask("approver.add", WHO, NEW) == identifier
    assert answering(chain, other.answer(identifier)) == ["MR-P018"]


def test_an_answer_grows_stale_and_is_not_from_before_the_request() -> None:
    chain = Chain()
    identifier = chain.ask("approver.add", WHO, NEW)
    control = chain.answer(identifier)
    early = chain.answer(identifier, issued_at="2026-02-28T08:00:00.000Z")
    assert answering(chain, early) == ["MR-P018"]
    chain.now += timedelta(hours=47)
    assert answering(chain, control) == []
    chain.now += timedelta(hours=2)
    assert answering(chain, control) == ["MR-P010"]


def test_a_lead_who_was_revoked_meanwhile_does_not_answer() -> None:
    chain = Chain()
    control = chain.answer(chain.ask("approver.add", WHO, NEW), by=LEAD2)
    chain.approver_revoke(LEAD2)
    assert answering(chain, control) == ["MR-P018"]


def test_a_policy_that_was_asked_for_lapses_when_another_one_is_signed() -> None:
    chain = Chain()
    wanted = {name: value for name, value in chain.policy_data(system="asked for").items() if name != "control"}
    identifier = chain.ask("policy.sign", {}, wanted)
    control = chain.answer(identifier)
    chain.policy_sign(system="another")
    assert chain.state.controls[identifier].status == "lapsed"
    assert codes(chain.reasons(kinds.POLICY_SIGNED, {}, {**wanted, "control": control})) == ["MR-C008"]


def test_the_first_lead_may_be_asked_for() -> None:
    chain = Chain(leads=())
    data = {"name": "Lead", "role": "ai-governance-lead", "key": key(LEAD).line}
    identifier = chain.ask("approver.add", {"approver": LEAD}, data)
    control = chain.answer(identifier)
    assert codes(chain.reasons(kinds.APPROVER_ADDED, {"approver": LEAD}, {**data, "control": control})) == []
    stranger = chain.answer(identifier, by=SME)
    assert codes(chain.reasons(kinds.APPROVER_ADDED, {"approver": LEAD}, {**data, "control": stranger})) == ["MR-P018"]


@pytest.mark.parametrize(("action", "subject", "data", "told"), [
    ("approver.crown", WHO, NEW, "MR-I026"),
    ("approver.recover", WHO, {"name": "x", "key": "y"}, "MR-I026"),
    ("approver.add", {}, NEW, "MR-L002"),
    ("approver.add", WHO, {"name": "x"}, "MR-L002"),
    ("approver.add", WHO, {**NEW, "more": 1}, "MR-I026"),
    ("approver.add", WHO, {**NEW, "control": {}}, "MR-L002"),
    ("policy.sign", {}, {}, "MR-L002"),
])  # fmt: skip
def test_what_cannot_be_asked_for(action: str, subject: dict[str, Any], data: dict[str, Any], told: str) -> None:
    body = {"action": action, "subject": subject, "data": data}
    assert codes(Chain().reasons(kinds.CONTROL_REQUESTED, {}, body)) == [told]


# -- compromised keys --------------------------------------------------------------------------------------


def compromised(since: str, *, rest: bool = True) -> Chain:
    """LEAD2 signs staging of one version on 1 March, production on 3 March, and is revoked."""
    chain = Chain()
    chain.register("1")
    chain.promote("1", "staging", chain.approve("1", "staging", LEAD2))
    chain.now += timedelta(days=1)
    chain.to_staging("2")  # LEAD signs, and names a head on 2 March
    chain.now += timedelta(days=1)
    chain.promote("1", "production", chain.approve("1", "production", LEAD2))
    if not rest:
        chain.promote("2", "production")
    chain.now += timedelta(days=1)
    chain.approver_revoke(LEAD2, compromised_since=since)
    return chain


def test_signatures_since_then_are_found_while_something_stands_on_them() -> None:
    assert found(compromised("2026-03-03T00:00:00.000Z")) == [("MR-S030", "error")]
    assert found(compromised("2026-03-03T00:00:00.000Z", rest=False)) == [("MR-S030", "warning")]


def test_what_another_signature_covers_is_older() -> None:
    """The staging approval of 1 March is covered by what LEAD signed on 2 March; production's by nothing older."""
    chain = compromised("2026-03-02T23:00:00.000Z")
    assert found(chain) == [("MR-S030", "error")]


def test_what_nothing_covers_is_doubtful_though_it_is_dated_before() -> None:
    chain = compromised("2026-02-28T00:00:00.000Z")
    assert [severity for _, severity in found(chain)] == ["warning", "error"]


def test_an_anchor_from_outside_covers() -> None:
    chain = compromised("2026-03-04T00:00:00.000Z")
    assert found(chain) == []  # the pipeline signed the promotion afterwards, on 3 March
    unused = Chain()
    unused.register("1")
    unused.approve("1", "staging", LEAD2)
    unused.now += timedelta(days=1)
    unused.approver_revoke(LEAD2, compromised_since="2026-03-02T00:00:00.000Z")
    assert found(unused) == [("MR-S030", "error")]  # dated before, covered by nobody
    head, moment = unused.state.head_seq - 1, unused.now - timedelta(hours=12)
    assert found(unused, ((head, moment),)) == []
    assert found(unused, ((head, unused.now),)) == [("MR-S030", "error")]  # made after that


def test_without_a_date_a_revocation_doubts_nothing() -> None:
    chain = Chain()
    chain.register("1")
    chain.promote("1", "staging", chain.approve("1", "staging", LEAD2))
    chain.approver_revoke(LEAD2)
    assert found(chain) == []


def test_what_a_compromised_lead_enrolled_is_found_until_it_is_revoked() -> None:
    chain = Chain(leads=(LEAD, LEAD2, "lead3@example.org"))
    chain.approver_add(SME2, "technical-sme", by=LEAD2)
    chain.approver_revoke(LEAD2, compromised_since="2026-03-01T00:00:00.000Z")
    assert found(chain) == [("MR-S030", Severity.ERROR.value)]
    chain.approver_revoke(SME2)
    assert found(chain) == [("MR-S030", Severity.WARNING.value)]


def test_what_a_former_key_signed_is_found_though_its_owner_has_another_one() -> None:
    chain = Chain(recovery=key("recovery").line)
    chain.register("1")
    chain.promote("1", "staging", chain.approve("1", "staging", LEAD2))
    data = {"name": "Two", "key": key("fresh").line}
    control = chain.control("approver.recover", {"approver": LEAD2, **data}, by="recovery", role="recovery")
    chain.add(kinds.RECOVERED, {"approver": LEAD2}, {**data, "control": control}, actor=SME)
    assert found(chain) == []
    chain.approver_revoke(LEAD2, key=key(LEAD2).line, compromised_since="2026-03-01T00:00:00.000Z")
    assert found(chain) == [("MR-S030", "error")]
    assert LEAD2 in {one.email for one in chain.state.active_leads()}


def test_a_registry_that_continues_another_says_so() -> None:
    chain = Chain()
    chain.state.continues = {"registry": "ab" * 16, "seq": 7, "hash": "sha256:" + "cd" * 32, "place": "old"}
    assert found(chain) == [("MR-F060", "info")]


def vouched(*, enrolled_by: str, dated_back: bool) -> list[tuple[str, str]]:
    """LEAD2's key is stolen on 2 March; what it signed then is followed by a signature of SME2, enrolled by somebody."""
    chain = Chain()
    chain.now += timedelta(days=1)
    since = chain.now - timedelta(seconds=30)
    if enrolled_by != LEAD2:
        chain.now -= timedelta(hours=1)
    data = chain.enrolment(SME2, "technical-sme", by=enrolled_by)
    chain.add(kinds.APPROVER_ADDED, {"approver": SME2}, data, actor=enrolled_by)
    chain.now = since + timedelta(minutes=1)
    chain.register("1")
    chain.approve("1", "staging", LEAD2)
    chain.register("2")
    before = (since - timedelta(seconds=10)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    second = chain.request("2", "staging")
    chain.sign(second, SME2, **({"issued_at": before} if dated_back else {}))
    chain.now += timedelta(hours=1)
    told = f"{since:%Y-%m-%dT%H:%M:%S}.000Z"
    chain.approver_revoke(LEAD2, compromised_since=told)
    return found(chain)


def test_a_thief_does_not_cover_what_they_signed_themselves() -> None:
    """Neither through a helper whom the stolen key enrolled, nor by a statement dated before the head that it names."""
    enrolment = ("MR-S030", "error")
    assert vouched(enrolled_by=LEAD2, dated_back=True) == [enrolment, ("MR-S030", "error")]
    assert vouched(enrolled_by=LEAD2, dated_back=False) == [enrolment, ("MR-S030", "error")]
    assert vouched(enrolled_by=LEAD, dated_back=True) == [("MR-S030", "error")]


def test_what_says_of_itself_that_it_is_younger_is_never_covered() -> None:
    chain = compromised("2026-03-03T00:00:00.000Z")
    head = chain.state.head_seq - 1
    assert found(chain, ((head, START + timedelta(hours=1)),)) == [("MR-S030", "error")]


def test_whoever_the_suspect_enrolled_vouches_once_an_anchor_covers_the_enrolment() -> None:
    chain = Chain()
    chain.add(kinds.APPROVER_ADDED, {"approver": SME2}, chain.enrolment(SME2, "technical-sme", by=LEAD2), actor=LEAD2)
    enrolled, moment = chain.state.head_seq, chain.now
    chain.register("1")
    chain.approve("1", "staging", LEAD2)
    chain.register("2")
    chain.now += timedelta(hours=1)
    chain.approve("2", "staging", SME2)
    chain.now += timedelta(days=1)
    chain.approver_revoke(LEAD2, compromised_since="2026-03-02T00:00:00.000Z")
    assert found(chain) == [("MR-S030", "error")] * 2
    assert found(chain, ((enrolled, moment),)) == []


def test_a_first_lead_who_enrolled_themselves_is_told() -> None:
    chain = Chain(leads=())
    chain.add(kinds.APPROVER_ADDED, {"approver": LEAD}, chain.enrolment(LEAD, "ai-governance-lead", by=LEAD))
    assert found(chain) == [("MR-F062", "info")]
