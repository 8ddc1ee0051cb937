"""Which threshold counts for a measured metric, and what becomes a passed or failed report."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manual_registry.core.errors import BadValue, GateWeaker
from manual_registry.core.evaluation import (
    GATE_METRICS,
    Estimate,
    asked_of,
    conventions_told,
    direction_of,
    failures,
    report,
    unknown_names,
)
from manual_registry.core.gates import Direction, Threshold, claim_problem, weaker_thresholds

HIGH, LOW = Direction.HIGHER, Direction.LOWER
GOOD = {name: Estimate(value=0.9, lower=0.85, upper=0.95) for name in GATE_METRICS["performance"]}


def higher(value: float) -> Threshold:
    return Threshold(value=value, direction=HIGH)


def test_the_policy_counts_by_gate_and_metric_then_by_metric() -> None:
    policy = {"auc_roc": higher(0.7), "performance.auc_roc": higher(0.8), "f1": higher(0.6)}
    asked = asked_of("performance", policy, {})
    assert [(name, one.threshold.value, one.whose) for name, one in asked.items()] == [
        ("auc_roc", 0.8, "policy"),
        ("accuracy", 0.0, "none"),
        ("f1", 0.6, "policy"),
    ]
    assert conventions_told("performance", asked) is None


def test_an_option_may_ask_more_and_never_less() -> None:
    policy = {"auc_roc": higher(0.8), "equalised_odds_difference": Threshold(value=0.1, direction=LOW)}
    assert asked_of("performance", policy, {"auc_roc": 0.8})["auc_roc"].whose == "option"
    assert asked_of("performance", policy, {"performance.auc_roc": 0.9})["auc_roc"].threshold.value == 0.9
    assert asked_of("fairness", policy, {"equalised_odds_difference": 0.05})
    for gate, typed in (("performance", {"auc_roc": 0.79}), ("fairness", {"equalised_odds_difference": 0.11})):
        with pytest.raises(GateWeaker) as refusal:
            asked_of(gate, policy, typed)
        assert (refusal.value.status, refusal.value.clause) == (3, "RP-12")


def test_without_any_threshold_a_convention_stands_in_and_is_told() -> None:
    asked = asked_of("fairness", {}, {})
    assert [one.threshold.value for one in asked.values()] == [0.8, 1.0]
    assert "demographic_parity_ratio 0.8" in str(conventions_told("fairness", asked))
    assert asked_of("performance", {}, {})["auc_roc"].threshold.value == 0.5


def test_a_policy_that_has_a_metric_the_wrong_way_round_is_told() -> None:
    with pytest.raises(BadValue, match="the other way round"):
        asked_of("performance", {"auc_roc": Threshold(value=0.8, direction=LOW)}, {})


def test_names_that_are_no_metric() -> None:
    assert unknown_names(["auc_roc", "performance.f1"], ["performance"]) == []
    assert [one.code for one in unknown_names(["auc", "demographic_parity_ratio"], ["performance"])] == ["MR-I033"] * 2


@given(lower=st.floats(0, 1), more=st.floats(0, 1), threshold=st.floats(0, 1))
def test_a_report_made_here_never_claims_what_its_numbers_do_not_bear_out(
    lower: float, more: float, threshold: float
) -> None:
    upper = lower + (1 - lower) * more
    estimates = {
        name: Estimate(value=(lower + upper) / 2, lower=lower, upper=upper) for name in GATE_METRICS["fairness"]
    }
    policy = {name: Threshold(value=threshold, direction=direction_of(name)) for name in GATE_METRICS["fairness"]}
    asked = asked_of("fairness", policy, {})
    found = report("fairness", estimates, asked, dataset="d", at="2026-01-01T00:00:00.000Z", model=None)
    assert claim_problem(found) is None
    assert found.passed is (not failures(found))
    assert found.passed is (lower >= threshold and upper <= threshold)
    assert weaker_thresholds(found, policy) == ()


def test_the_unfavourable_end_counts() -> None:
    def passed(threshold: float) -> bool:
        asked = asked_of("performance", {"auc_roc": higher(threshold)}, {})
        return report("performance", GOOD, asked, dataset="d", at="2026-01-01", model=None).passed

    assert passed(0.85)
    assert not passed(0.86)
