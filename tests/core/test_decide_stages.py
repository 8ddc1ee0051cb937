"""May this version change its stage or its place: every condition of design 3.4 taken away alone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from chains import CI, LEAD, LEAD2, MODEL, SME, SME2, Chain, evidence, gate, key, named
from hypothesis import given
from hypothesis import strategies as st

from manual_registry.core import events as kinds
from manual_registry.core.decide.places import next_bag
from manual_registry.core.decide.stages import last_used
from manual_registry.core.errors import RegistryError
from manual_registry.core.policy import default_document
from manual_registry.core.statements import PROMOTION_NAMESPACE
from manual_registry.core.values import Risk, Stage

HOURS48 = timedelta(hours=48)
SECOND = timedelta(seconds=1)


def codes(reasons: list[RegistryError]) -> list[str]:
    """Return the codes, in order."""
    return [reason.code for reason in reasons]


def promoting(
    chain: Chain,
    version: str,
    to: str,
    approval: str | None,
    *,
    pipeline: str | None = "ci",
    actor: str = CI,
    **changes: Any,
) -> list[str]:
    """Return the codes against a promotion."""
    data = {**chain.step(version, to, approval, pipeline=pipeline), **changes}
    return codes(chain.reasons(kinds.PROMOTED, chain.of(version), data, actor=actor))


def staged(risk: str = "high", **changes: Any) -> Chain:
    """Return a registry whose version 1 is in staging."""
    chain = Chain(risk=risk)
    chain.to_staging("1", **changes)
    return chain


# -- high risk, production: each condition alone -----------------------------------------------------------


def test_all_conditions_together() -> None:
    chain = staged()
    approval = chain.approve("1", "production")
    assert promoting(chain, "1", "production", approval) == []


def test_without_anything_every_reason_is_told() -> None:
    chain = Chain()
    chain.register("1", gates=[], card=None, environment=None)
    data = {**chain.step("1", "production", None, pipeline=None), "from": "staging"}
    chain.record("1").stage = "staging"
    found = codes(chain.reasons(kinds.PROMOTED, chain.of("1"), {**data, "observed": None}, actor=CI))
    assert found == ["MR-P003"] * 3 + ["MR-P005", "MR-P006", "MR-P011", "MR-A001", "MR-W001", "MR-P007"]


@pytest.mark.parametrize("name", ["performance", "fairness", "security"])
def test_each_gate_is_needed_and_must_have_passed(name: str) -> None:
    file = evidence("gates", "gates.txt")
    others = [gate(one, file) for one in ("performance", "fairness", "security") if one != name]
    chain = Chain()
    chain.register("1", gates=others)
    approval = chain.approve("1", "staging")
    assert promoting(chain, "1", "staging", approval, pipeline=None) == ["MR-P003"]
    chain.register("2", gates=[*others, gate(name, file, passed=False, metric={"lower": 0.5})])
    approval = chain.approve("2", "staging")
    assert promoting(chain, "2", "staging", approval, pipeline=None) == ["MR-P004"]


def test_the_last_report_of_a_gate_counts() -> None:
    chain, file = staged(), evidence("gates", "later.json")
    chain.attach("1", evidence=[file], gates=[gate("fairness", file, passed=False, metric={"lower": 0.5})])
    approval = chain.approve("1", "production")
    assert promoting(chain, "1", "production", approval) == ["MR-P004"]
    chain.attach("1", evidence=[file], gates=[gate("fairness", file)])
    assert promoting(chain, "1", "production", chain.approve("1", "production")) == []


@pytest.mark.parametrize(("threshold", "told"), [(0.85, []), (0.86, ["MR-P004"]), (0.1, [])])
def test_the_stricter_threshold_counts(threshold: float, told: list[str]) -> None:
    document: dict[str, Any] = {
        **default_document(Risk.HIGH),
        "thresholds": {"performance.performance_score": {"threshold": threshold, "direction": "higher"}},
    }
    chain = Chain()
    chain.register("1")
    chain.policy_sign(policy=document)  # asks more, or less, than it did when the report came in
    assert promoting(chain, "1", "staging", chain.approve("1", "staging"), pipeline=None) == told


def test_a_threshold_is_not_passed_by_another_name_of_the_metric() -> None:
    document: dict[str, Any] = {
        **default_document(Risk.HIGH),
        "thresholds": {"auc": {"threshold": 0.8, "direction": "higher"}},
    }
    chain = Chain(policy=document)
    chain.register("1")
    assert promoting(chain, "1", "staging", chain.approve("1", "staging"), pipeline=None) == ["MR-P004"]


def test_the_card_is_complete() -> None:
    chain = staged(card=None)
    assert promoting(chain, "1", "production", chain.approve("1", "production")) == ["MR-P005"]
    card = evidence("card", "later.yaml")
    chain.attach("1", evidence=[card], card={"fields": {"architecture": "told", "limitations": " "}, **named(card)})
    reasons = chain.reasons(
        kinds.PROMOTED, chain.of("1"), chain.step("1", "production", chain.approve("1", "production")), actor=CI
    )
    assert codes(reasons) == ["MR-P005"]
    for part in ("training_data", "intended_use", "limitations", "failure_modes", "ethical_considerations"):
        assert part in reasons[0].message
    assert "architecture" not in reasons[0].message


def test_the_environment_is_there() -> None:
    chain = staged(environment=None)
    assert promoting(chain, "1", "production", chain.approve("1", "production")) == ["MR-P006"]


@pytest.mark.parametrize("observed", [None, "0" * 64])
def test_the_artefact_was_hashed_now_and_is_equal(observed: str | None) -> None:
    chain = staged()
    assert promoting(chain, "1", "production", chain.approve("1", "production"), observed=observed) == ["MR-A001"]


def test_without_an_approval_it_waits_for_one() -> None:
    chain = staged()
    assert promoting(chain, "1", "production", None) == ["MR-W001"]
    asked = chain.request("1", "production")
    assert promoting(chain, "1", "production", asked) == ["MR-W001"]


def test_an_approval_that_was_refused_lapsed_or_used_is_none() -> None:
    chain = staged()
    asked = chain.request("1", "production")
    chain.sign(asked, decision="rejected", comment="no")
    assert promoting(chain, "1", "production", asked) == ["MR-P022"]
    withdrawn = chain.request("1", "production")
    chain.add(kinds.WITHDRAWN, chain.of("1"), {"id": withdrawn})
    assert promoting(chain, "1", "production", withdrawn) == ["MR-W001"]
    lapsed = chain.approve("1", "production")
    chain.attach("1")
    assert promoting(chain, "1", "production", lapsed) == ["MR-W001"]
    used = chain.record("1").steps[-1].approval
    assert promoting(chain, "1", "production", used) == ["MR-P013"]


def test_an_approval_of_something_else() -> None:
    chain = staged()
    chain.to_staging("2")
    other = chain.approve("2", "production")
    assert promoting(chain, "1", "production", other) == ["MR-P013"]
    unheard_of = {**chain.step("1", "production", None), "approval": {"id": "A999", "sha256": None}}
    found = codes(chain.reasons(kinds.PROMOTED, chain.of("1"), unheard_of, actor=CI))
    assert found == ["MR-P013", "MR-P008"]


@pytest.mark.parametrize(("late", "told"), [(HOURS48, []), (HOURS48 + SECOND, ["MR-P010"])])
def test_48_hours_run_from_the_issued_statement_to_the_pipelines_signature(late: timedelta, told: list[str]) -> None:
    chain = staged()
    asked = chain.request("1", "production")
    issued = chain.now
    chain.sign(asked)
    chain.now = issued + late
    assert promoting(chain, "1", "production", asked) == told


def test_the_policy_may_ask_for_fewer_hours() -> None:
    chain = Chain(policy={**default_document(Risk.HIGH), "approval_hours": 1})
    chain.to_staging("1")
    approval = chain.approve("1", "production")
    chain.now += timedelta(hours=1)
    assert promoting(chain, "1", "production", approval) == ["MR-P010"]


@pytest.mark.parametrize("change", [
    lambda chain: chain.to_production("2"),
    lambda chain: chain.policy_sign(policy={**chain.state.policy.document, "retention_years": 11}),
])  # fmt: skip
def test_what_was_true_when_it_was_signed_must_be_true_still(change: Callable[[Chain], Any]) -> None:
    chain = staged()
    approval = chain.approve("1", "production")
    change(chain)
    assert promoting(chain, "1", "production", approval) == ["MR-P011"]


def test_a_lead_who_left_does_not_count() -> None:
    chain = staged()
    approval = chain.approve("1", "production", LEAD2)
    chain.approver_revoke(LEAD2)
    assert promoting(chain, "1", "production", approval) == ["MR-P012"]


def test_without_a_pipeline() -> None:
    chain = staged()
    approval = chain.approve("1", "production")
    for actor in (LEAD, SME, CI):
        assert promoting(chain, "1", "production", approval, pipeline=None, actor=actor) == ["MR-P007"]


def test_a_pipeline_that_left_or_was_never_enrolled() -> None:
    chain = staged()
    chain.pipeline_add("other")
    approval = chain.approve("1", "production")
    data = chain.step("1", "production", approval)
    for change in (
        {"pipeline": "other"},
        {"pipeline": "nobody"},
        {"signature": key("other").sign(data["promotion"]["statement"].encode(), PROMOTION_NAMESPACE)},
    ):
        changed = {**data, "promotion": {**data["promotion"], **change}}
        assert codes(chain.reasons(kinds.PROMOTED, chain.of("1"), changed, actor=CI)) == ["MR-P008"]
    chain.pipeline_revoke("ci")
    approval = chain.approve("1", "production")
    assert promoting(chain, "1", "production", approval) == ["MR-P008"]


def test_a_pipelines_signature_serves_once_and_now() -> None:
    chain = staged()
    approval = chain.approve("1", "production")
    data = chain.step("1", "production", approval)
    assert codes(chain.reasons(kinds.PROMOTED, chain.of("1"), data, actor=CI)) == []
    chain.now += timedelta(minutes=5)
    assert codes(chain.reasons(kinds.PROMOTED, chain.of("1"), data, actor=CI)) == []
    chain.now += SECOND
    assert codes(chain.reasons(kinds.PROMOTED, chain.of("1"), data, actor=CI)) == ["MR-P008"]
    chain.add(kinds.NOTED, chain.of("1"), {"text": "meanwhile"})
    assert codes(chain.reasons(kinds.PROMOTED, chain.of("1"), data, actor=CI)) == ["MR-P008"]


# -- who ---------------------------------------------------------------------------------------------------


def test_a_technical_sme_signs_for_staging_only() -> None:
    chain = Chain(smes=(SME2,))
    chain.register("1")
    chain.promote("1", "staging", chain.approve("1", "staging", SME2))
    asked = chain.request("1", "production")
    assert codes(chain.reasons(kinds.SIGNED, chain.of("1"), chain.signature(asked, SME2), actor=SME2)) == ["MR-P012"]


@pytest.mark.parametrize("registrant", ["actor", "ci", "author"])
def test_nobody_approves_what_they_registered(registrant: str) -> None:
    chain = Chain()
    code = {"commit": "c0de" * 10, "repository": None, "path": None, "dirty": False, "author": None, "checked": True}
    chain.register(
        "1",
        actor=LEAD if registrant == "actor" else CI,
        ci={"started_by": LEAD.upper()} if registrant == "ci" else None,
        code={**code, "author": LEAD if registrant == "author" else None},
    )
    asked = chain.request("1", "staging")
    assert codes(chain.reasons(kinds.SIGNED, chain.of("1"), chain.signature(asked, LEAD), actor=LEAD)) == ["MR-P009"]
    assert codes(chain.reasons(kinds.SIGNED, chain.of("1"), chain.signature(asked, LEAD2), actor=LEAD2)) == []


# -- limited and minimal -----------------------------------------------------------------------------------


def test_limited_staging_asks_the_performance_gate_and_a_reason() -> None:
    chain = Chain(risk="limited")
    chain.register("1")
    assert promoting(chain, "1", "staging", None, pipeline=None) == []
    assert promoting(chain, "1", "staging", None, pipeline=None, reason=" ") == ["MR-I031"]
    chain.register("2", gates=[])
    assert promoting(chain, "2", "staging", None, pipeline=None) == ["MR-P003"]


def test_limited_production_asks_gates_card_and_approval_and_a_pipeline_or_a_lead_promotes() -> None:
    chain = staged("limited", environment=None)
    approval = chain.approve("1", "production")
    assert promoting(chain, "1", "production", approval, pipeline="ci", actor=CI) == []
    assert promoting(chain, "1", "production", approval, pipeline=None, actor=LEAD) == []
    assert promoting(chain, "1", "production", approval, pipeline=None, actor=SME) == ["MR-P021"]
    assert promoting(chain, "1", "production", approval, observed=None) == []
    assert promoting(chain, "1", "production", approval, observed="0" * 64) == ["MR-A001"]
    assert promoting(chain, "1", "production", None, pipeline=None, actor=LEAD) == ["MR-W001"]


def test_minimal_asks_an_approval_for_production_only_when_there_is_a_lead() -> None:
    alone = Chain(risk="minimal", leads=())
    alone.register("1", gates=[], card=None)
    alone.promote("1", "staging")
    assert promoting(alone, "1", "production", None, pipeline=None, actor=SME) == []
    led = Chain(risk="minimal")
    led.register("1", gates=[], card=None)
    led.promote("1", "staging")
    assert promoting(led, "1", "production", None, pipeline=None, actor=SME) == ["MR-W001"]
    assert promoting(led, "1", "production", led.approve("1", "production"), pipeline=None, actor=SME) == []


def test_where_none_is_needed_a_request_may_be_used_unsigned_but_not_against_a_no() -> None:
    chain = Chain(risk="minimal", leads=())
    chain.register("1")
    asked = chain.request("1", "staging")
    assert promoting(chain, "1", "staging", asked, pipeline=None) == []
    led = Chain(risk="limited")
    led.register("1")
    no = led.request("1", "staging")
    led.sign(no, decision="rejected", comment="no")
    assert promoting(led, "1", "staging", no, pipeline=None) == ["MR-P022"]


# -- the table, replacing, going back ----------------------------------------------------------------------


@pytest.mark.parametrize("after", Stage)
@pytest.mark.parametrize("before", Stage)
def test_promotion_takes_the_steps_of_the_table_only(before: Stage, after: Stage) -> None:
    chain = Chain(risk="minimal", leads=())
    chain.register("1")
    chain.record("1").stage = before.value
    legal = {("experimental", "staging"), ("staging", "production"), ("staging", "experimental")}
    found = promoting(chain, "1", after.value, None, pipeline=None, replaces=None)
    assert found == ([] if (before, after) in legal else ["MR-P002"])


def test_an_event_says_truly_where_the_version_stood() -> None:
    chain = staged("minimal")
    assert promoting(chain, "1", "staging", None, pipeline=None, **{"from": "experimental"}) == ["MR-P002"]


def test_one_production_version_replaced_by_name() -> None:
    chain = Chain(risk="minimal", leads=())
    chain.to_production("1")
    chain.to_staging("2")
    assert promoting(chain, "2", "production", None, pipeline=None) == []
    for wrong in (None, "2", "3"):
        assert promoting(chain, "2", "production", None, pipeline=None, replaces=wrong) == ["MR-P002"]


def test_back_to_experimental_needs_a_reason_and_nothing_else() -> None:
    chain = staged()
    assert promoting(chain, "1", "experimental", None, pipeline=None, actor=SME) == []
    assert promoting(chain, "1", "experimental", None, pipeline=None, reason=None) == ["MR-I031"]
    chain.promote("1", "experimental")
    assert not chain.record("1").staging_approved


# -- archive, unarchive ------------------------------------------------------------------------------------


def archiving(chain: Chain, version: str = "1", approval: str | None = None, **changes: Any) -> list[str]:
    """Return the codes against an archiving."""
    return codes(chain.reasons(kinds.ARCHIVED, chain.of(version), {**chain.archival(version, approval), **changes}))


@pytest.mark.parametrize("risk", Risk)
def test_archiving_asks_a_reason_and_of_a_production_version_an_approval(risk: Risk) -> None:
    chain = Chain(risk=risk.value)
    chain.register("1")
    assert archiving(chain) == []
    assert archiving(chain, reason="\n") == ["MR-I031"]
    chain.to_production("2")
    assert archiving(chain, "2") == ["MR-W001"]
    assert archiving(chain, "2", chain.approve("2", "archived")) == []
    chain.archive("1")
    assert archiving(chain) == ["MR-P002"]


def test_archiving_a_production_version_without_a_lead_in_minimal_risk() -> None:
    chain = Chain(risk="minimal", leads=())
    chain.to_production("1")
    assert archiving(chain) == []


def test_what_is_deployed_is_not_archived_or_moved() -> None:
    chain = Chain()
    chain.register("1")
    chain.deploy("1")
    assert archiving(chain) == ["MR-P016"]
    chain.force(kinds.ARCHIVED, chain.of("1"), chain.archival("1"))
    data = {"bag": next_bag(chain.record("1")), "manifest": "1" * 64, "payload": "2" * 64}
    assert codes(chain.reasons(kinds.MOVED, chain.of("1"), data)) == ["MR-P016"]
    chain.end("1")
    assert codes(chain.reasons(kinds.MOVED, chain.of("1"), data)) == []


def test_a_changed_artefact_is_told_where_it_was_looked_at() -> None:
    chain = Chain()
    record = chain.register("1")
    assert archiving(chain, observed=record.blake3) == []
    assert archiving(chain, observed="0" * 64) == ["MR-A001"]


def test_a_move_ends_once_and_where_it_belongs() -> None:
    chain = Chain()
    chain.register("1")
    data = {"bag": "archive/churn/1", "manifest": "1" * 64, "payload": "2" * 64}
    assert codes(chain.reasons(kinds.MOVED, chain.of("1"), data)) == ["MR-P002"]
    chain.archive("1")
    assert codes(chain.reasons(kinds.MOVED, chain.of("1"), {**data, "bag": "archive/churn/1~2"})) == ["MR-L002"]
    chain.move("1")
    assert codes(chain.reasons(kinds.MOVED, chain.of("1"), {**data, "bag": "archive/churn/1~2"})) == ["MR-P002"]


def test_out_of_the_archive_everything_is_asked_again_in_high_risk() -> None:
    chain = Chain()
    chain.to_production("1")
    chain.to_production("2")
    chain.move("1")
    chain.unarchive("1")
    assert promoting(chain, "1", "production", chain.approve("1", "production")) == ["MR-P011"]
    chain.promote("1", "experimental")
    chain.promote("1", "staging")
    chain.promote("1", "production")
    assert chain.record("1").stage == "production"


def test_out_of_the_archive_stagings_own_gates_are_asked_again_in_the_other_classes_too() -> None:
    """A version that never passed staging's gates must not come into production by way of the archive."""
    document = {**default_document(Risk.LIMITED), "staging": {"gates": ["performance", "robustness"]}}
    chain = Chain(risk="limited", policy=document)
    chain.register("1")
    assert promoting(chain, "1", "staging", None, pipeline=None) == ["MR-P003"]
    chain.archive("1")
    chain.unarchive("1")
    approval = chain.approve("1", "production")
    assert promoting(chain, "1", "production", approval) == ["MR-P003"]


@pytest.mark.parametrize(("change", "told"), [
    ({}, []), ({"reason": ""}, ["MR-I031"]), ({"restored": False}, ["MR-L002"]),
])  # fmt: skip
def test_unarchive(change: dict[str, Any], told: list[str]) -> None:
    chain = Chain()
    chain.register("1")
    chain.archive("1")
    chain.move("1")
    data = {"reason": "needed", "restored": True, **change}
    assert codes(chain.reasons(kinds.UNARCHIVED, chain.of("1"), data)) == told


# -- rollback ----------------------------------------------------------------------------------------------


def rolling(
    chain: Chain, version: str = "1", *, pipeline: str | None = "ci", actor: str = CI, **changes: Any
) -> list[str]:
    """Return the codes against a rollback."""
    data = {**chain.rollback(version, pipeline=pipeline), **changes}
    return codes(chain.reasons(kinds.ROLLED_BACK, chain.of(version), data, actor=actor))


@pytest.fixture(name="replaced")
def _replaced() -> Chain:
    chain = Chain()
    chain.to_production("1")
    chain.to_production("2")
    return chain


def test_a_rollback_rests_on_the_old_approval_however_old(replaced: Chain) -> None:
    replaced.now += timedelta(days=300)
    assert rolling(replaced) == []


@pytest.mark.parametrize(("change", "told"), [
    ({"reason": " "}, ["MR-I031"]),
    ({"observed": None}, ["MR-A001"]),
    ({"observed": "0" * 64}, ["MR-A001"]),
    ({"replaces": None}, ["MR-P002"]),
    ({"promotion": None}, ["MR-P007"]),
    ({"restored": True}, ["MR-L002"]),
])  # fmt: skip
def test_each_condition_of_a_rollback(replaced: Chain, change: dict[str, Any], told: list[str]) -> None:
    assert rolling(replaced, **change) == told


def test_a_rollback_names_the_approval_that_was_used_last(replaced: Chain) -> None:
    staging = replaced.record("1").steps[1].approval
    for wrong in (None, {"id": staging, "sha256": "0" * 64}):
        assert "MR-P013" in rolling(replaced, approval=wrong)


def test_gates_card_policy_and_approver_are_asked_as_ever(replaced: Chain) -> None:
    replaced.policy_sign(policy={**replaced.state.policy.document, "retention_years": 20})
    assert rolling(replaced) == ["MR-P011"]
    replaced.approver_add("lead3@example.org")
    replaced.approver_revoke(LEAD, by=LEAD2)
    assert rolling(replaced) == ["MR-P012", "MR-P011"]


def test_only_to_what_was_in_production_and_lies_in_the_archive(replaced: Chain) -> None:
    replaced.register("3")
    replaced.archive("3")
    assert rolling(replaced, "3") == ["MR-P024"]
    assert rolling(replaced, "2") == ["MR-P002"]


def test_a_second_rollback_rests_on_the_first_when_it_was_ratified(replaced: Chain) -> None:
    first = replaced.record("1").steps[-2].approval
    ratification = replaced.roll_back("1")
    rests = last_used(replaced.state, replaced.record("1"))
    assert rests is not None
    assert rests.id == first
    replaced.sign(ratification)
    rests = last_used(replaced.state, replaced.record("1"))
    assert rests is not None
    assert rests.id == ratification
    replaced.roll_back("2")
    assert rolling(replaced) == []


def test_without_a_lead_in_minimal_risk_a_rollback_rests_on_nothing() -> None:
    chain = Chain(risk="minimal", leads=())
    chain.to_production("1")
    chain.to_production("2")
    assert rolling(chain, actor=SME) == []
    assert rolling(chain, actor=SME, approval={"id": "A1", "sha256": None}) == ["MR-P013"]


# -- clocks ------------------------------------------------------------------------------------------------


@given(st.integers(-600, 600))
def test_a_governed_event_may_stand_five_minutes_before_its_predecessor(seconds: int) -> None:
    chain = Chain(pipelines=())
    chain.now += timedelta(days=1)
    chain.register("1")
    chain.now = chain.now - timedelta(minutes=1) + timedelta(seconds=seconds)
    data = {"kind": "stage", "from": "experimental", "to": "staging", "replaces": None}
    assert codes(chain.reasons(kinds.REQUESTED, chain.of("1"), data)) == (["MR-P020"] if seconds < -300 else [])
    assert codes(chain.reasons(kinds.NOTED, chain.of("1"), {"text": "x"})) == []


def test_bags_are_named_after_model_and_version() -> None:
    chain = Chain()
    record = chain.register("1")
    assert next_bag(record) == f"archive/{MODEL}/1"
    record.bags.append({})
    assert next_bag(record) == f"archive/{MODEL}/1~2"
