"""The gate rule: the unfavourable end against the stricter threshold, and claims beside the numbers."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manual_registry.core.gates import (
    Direction,
    GateMetric,
    GateReport,
    Threshold,
    claim_problem,
    report_document,
    report_from,
    shortfalls,
    unmeasured,
)

HIGHER, LOWER = Direction.HIGHER, Direction.LOWER


def metric(
    value: float,
    threshold: float,
    direction: Direction = HIGHER,
    *,
    lower: float | None = None,
    upper: float | None = None,
    name: str = "auc",
) -> GateMetric:
    return GateMetric(name=name, value=value, threshold=threshold, direction=direction, lower=lower, upper=upper)


def report(*metrics: GateMetric, passed: bool = True, gate: str = "performance") -> GateReport:
    return GateReport(
        gate=gate, passed=passed, evaluation_dataset="holdout", evaluated_at="2026-11-24", metrics=metrics
    )


@pytest.mark.parametrize(
    ("measured", "passes"),
    [
        (metric(0.9, 0.8), True),
        (metric(0.8, 0.8), True),
        (metric(0.79, 0.8), False),
        (metric(0.9, 0.8, lower=0.79), False),
        (metric(0.9, 0.8, lower=0.8), True),
        (metric(0.9, 0.8, upper=0.95), True),
        (metric(0.1, 0.2, LOWER), True),
        (metric(0.2, 0.2, LOWER), True),
        (metric(0.1, 0.2, LOWER, upper=0.21), False),
        (metric(0.1, 0.2, LOWER, upper=0.2, lower=0.0), True),
        (metric(0.3, 0.2, LOWER, lower=0.1), False),
    ],
)
def test_the_unfavourable_end_decides(measured: GateMetric, passes: bool) -> None:
    assert (shortfalls(report(measured)) == ()) is passes
    assert (claim_problem(report(measured, passed=passes))) is None
    assert claim_problem(report(measured, passed=not passes)) is not None


def test_a_report_without_metrics_does_not_pass() -> None:
    assert shortfalls(report())
    assert claim_problem(report()) is not None
    assert claim_problem(report(passed=False)) is None


@pytest.mark.parametrize(
    ("thresholds", "passes"),
    [
        ({}, True),
        ({"auc": 0.85}, True),
        ({"auc": 0.9}, True),
        ({"auc": 0.91}, False),
        ({"auc": 0.1}, True),
        ({"performance.auc": 0.91, "auc": 0.1}, False),
        ({"performance.auc": 0.85, "auc": 0.99}, True),
        ({"fairness.auc": 0.99}, True),
        ({"performance.recall": 0.1}, False),
    ],
)
def test_the_stricter_of_report_and_policy_counts(thresholds: dict[str, float], passes: bool) -> None:
    policy = {name: Threshold(value=value, direction=HIGHER) for name, value in thresholds.items()}
    assert (shortfalls(report(metric(0.9, 0.8)), policy) == ()) is passes


def test_the_policy_never_weakens_a_report() -> None:
    weak = {"auc": Threshold(value=0.1, direction=HIGHER)}
    assert shortfalls(report(metric(0.5, 0.8), passed=False), weak)
    weak = {"error": Threshold(value=0.9, direction=LOWER)}
    assert shortfalls(report(metric(0.5, 0.2, LOWER, name="error"), passed=False), weak)


def test_another_direction_than_the_policys_is_told() -> None:
    (sentence,) = shortfalls(report(metric(0.9, 0.8)), {"auc": Threshold(value=0.8, direction=LOWER)})
    assert "lower is better" in sentence


def test_sentences_name_gate_metric_numbers_and_whose_threshold() -> None:
    (sentence,) = shortfalls(report(metric(0.9, 0.8, lower=0.82)), {"auc": Threshold(value=0.85, direction=HIGHER)})
    assert sentence == "performance.auc: lower bound 0.82 (value 0.9), at least 0.85 needed (policy's threshold)"


def test_a_report_that_says_it_failed_does_not_pass() -> None:
    assert shortfalls(report(metric(0.9, 0.8), passed=False)) == (
        "performance: the report itself says that the gate did not pass",
    )


@pytest.mark.parametrize(
    "measured",
    [
        metric(0.7, 0.8, lower=0.85),
        metric(0.9, 0.8, lower=0.95, upper=0.85),
        metric(0.3, 0.2, LOWER, upper=0.1),
    ],
)
def test_an_interval_that_flatters_its_value_is_refused(measured: GateMetric) -> None:
    for passed in (True, False):
        assert claim_problem(report(measured, passed=passed)) is not None
    assert shortfalls(report(measured))


def test_a_biased_bootstrap_interval_is_taken() -> None:
    assert claim_problem(report(metric(0.97, 0.8, lower=0.85, upper=0.96))) is None


def test_thresholds_that_nobody_measured_are_told() -> None:
    policy = {
        name: Threshold(value=0.5, direction=HIGHER) for name in ("auc", "performance.auc", "recall", "fairness.dpr")
    }
    found = unmeasured([report(metric(0.9, 0.8))], policy)
    assert [sentence.split(":")[0] for sentence in found] == ["fairness.dpr", "recall"]


_numbers = st.floats(allow_nan=False, allow_infinity=False)
_metrics = st.builds(
    GateMetric,
    name=st.text(min_size=1),
    value=_numbers,
    threshold=_numbers,
    direction=st.sampled_from(Direction),
    lower=st.none() | _numbers,
    upper=st.none() | _numbers,
)
_reports = st.builds(
    GateReport,
    gate=st.text(min_size=1),
    passed=st.booleans(),
    evaluation_dataset=st.text(),
    evaluated_at=st.just("2026-11-24"),
    metrics=st.lists(_metrics, max_size=4).map(tuple),
    model=st.none() | st.just("sha256:" + "ab" * 32),
)


@given(_reports)
def test_reports_come_back_from_json(value: GateReport) -> None:
    assert report_from(json.loads(json.dumps(report_document(value)))) == value


@given(_reports)
def test_at_most_one_claim_is_true(value: GateReport) -> None:
    said = {
        passed: claim_problem(report_from({**report_document(value), "passed": passed})) for passed in (True, False)
    }
    assert any(problem is not None for problem in said.values())
    if said[True] is None:
        assert shortfalls(report_from({**report_document(value), "passed": True})) == ()


@given(_reports, st.floats(0, 1), st.sampled_from(Direction))
def test_a_policy_never_makes_a_failing_gate_pass(value: GateReport, threshold: float, direction: Direction) -> None:
    asked = {name.name: Threshold(value=threshold, direction=direction) for name in value.metrics}
    assert not (shortfalls(value) and not shortfalls(value, asked))
