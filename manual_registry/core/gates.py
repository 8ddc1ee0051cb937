"""Validation gates: what a report says, and whether its numbers bear that out.

The rule (design 3.2): a gate passes when the unfavourable end of every metric meets its threshold. Where
higher is better that is ``lower >= threshold``, where lower is better ``upper <= threshold``; ``value``
stands in for an absent bound; equality passes; a report without metrics does not pass. A report that asks less than
the policy in force is refused when it comes in; where the policy asks more since then, its threshold counts. Reading report files is left to ``adapters/metadata.py``.

Round trip: ``report_from(report_document(report)) == report``; tests/core/test_gates.py runs it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from manual_registry.core.errors import GateClaim, Json


class Direction(StrEnum):
    """Which way is better."""

    HIGHER = "higher"
    LOWER = "lower"


@dataclass(frozen=True, kw_only=True, slots=True)
class Threshold:
    """What the policy asks of a metric."""

    value: float
    direction: Direction


@dataclass(frozen=True, kw_only=True, slots=True)
class GateMetric:
    """One measured number; ``lower`` and ``upper`` are the ends of its confidence interval. All finite."""

    name: str
    value: float
    threshold: float
    direction: Direction
    lower: float | None = None
    upper: float | None = None

    @property
    def unfavourable(self) -> float:
        """The end that counts: the lower one where higher is better, the upper one where lower is better."""
        bound = self.lower if self.direction is Direction.HIGHER else self.upper
        return self.value if bound is None else bound

    def meets(self, threshold: float) -> bool:
        """Tell whether the unfavourable end meets ``threshold``; equality passes."""
        if self.direction is Direction.HIGHER:
            return self.unfavourable >= threshold
        return self.unfavourable <= threshold

    def stricter(self, asked: Threshold | None) -> float:
        """Return the stricter of the report's threshold and the policy's (of the same direction)."""
        if asked is None:
            return self.threshold
        pick = max if self.direction is Direction.HIGHER else min
        return pick(self.threshold, asked.value)


@dataclass(frozen=True, kw_only=True, slots=True)
class GateReport:
    """One gate's report.

    ``model`` is ``sha256:<64 hex>`` of the artefact, or None when the report names none.
    """

    gate: str
    passed: bool
    evaluation_dataset: str
    evaluated_at: str
    metrics: tuple[GateMetric, ...]
    model: str | None = None


# -- plain documents --------------------------------------------------------------------------------------


def report_document(report: GateReport) -> dict[str, Json]:
    """Return the report as it stands in an event and in a report file.

    Absent bounds and model are left out.
    """
    document: dict[str, Json] = {
        "gate": report.gate,
        "passed": report.passed,
        "evaluation_dataset": report.evaluation_dataset,
        "evaluated_at": report.evaluated_at,
        "metrics": [_metric_document(metric) for metric in report.metrics],
    }
    if report.model is not None:
        document["model"] = report.model
    return document


def _metric_document(metric: GateMetric) -> dict[str, Json]:
    document: dict[str, Json] = {
        "name": metric.name,
        "value": metric.value,
        "threshold": metric.threshold,
        "direction": metric.direction.value,
    }
    if metric.lower is not None:
        document["lower"] = metric.lower
    if metric.upper is not None:
        document["upper"] = metric.upper
    return document


def report_from(document: Mapping[str, Any]) -> GateReport:
    """Read back what :func:`report_document` wrote.

    For documents that were validated before they were written: another one ends in KeyError, TypeError or
    ValueError, which the reader of events turns into its own error.
    """
    return GateReport(
        gate=str(document["gate"]),
        passed=bool(document["passed"]),
        evaluation_dataset=str(document["evaluation_dataset"]),
        evaluated_at=str(document["evaluated_at"]),
        metrics=tuple(_metric_from(metric) for metric in document["metrics"]),
        model=document.get("model"),
    )


def _metric_from(document: Mapping[str, Any]) -> GateMetric:
    lower, upper = document.get("lower"), document.get("upper")
    return GateMetric(
        name=str(document["name"]),
        value=float(document["value"]),
        threshold=float(document["threshold"]),
        direction=Direction(document["direction"]),
        lower=None if lower is None else float(lower),
        upper=None if upper is None else float(upper),
    )


# -- the rule ---------------------------------------------------------------------------------------------


def shortfalls(report: GateReport, thresholds: Mapping[str, Threshold] | None = None) -> tuple[str, ...]:
    """Return a sentence for everything that keeps the gate from passing; empty means passed.

    ``thresholds`` are the policy's, by ``gate.metric`` or by ``metric``; the former wins. A metric that the
    policy names for this very gate must be there. The stricter of report and policy counts.
    """
    asked = thresholds or {}
    sentences = [] if report.metrics else [f"{report.gate}: the report has no metrics"]
    sentences += [text for metric in report.metrics if (text := _shortfall(report, metric, asked))]
    sentences += _absent(report, asked)
    if not sentences and not report.passed:
        sentences.append(f"{report.gate}: the report itself says that the gate did not pass")
    return tuple(sentences)


def _shortfall(report: GateReport, metric: GateMetric, thresholds: Mapping[str, Threshold]) -> str | None:
    name = f"{report.gate}.{metric.name}"
    asked = thresholds.get(name, thresholds.get(metric.name))
    if asked is not None and asked.direction is not metric.direction:
        said = metric.direction.value
        return f"{name}: the policy says {asked.direction.value} is better, the report says {said}"
    problem = interval_problem(metric)
    if problem:
        return f"{name}: {problem}"
    needed = metric.stricter(asked)
    if metric.meets(needed):
        return None
    whose = "report" if needed == metric.threshold else "policy"
    limit = "at least" if metric.direction is Direction.HIGHER else "at most"
    return f"{name}: {_told(metric)}, {limit} {needed:.10g} needed ({whose}'s threshold)"


def asked_of(report: GateReport, metric: GateMetric, thresholds: Mapping[str, Threshold]) -> float:
    """Return what is asked of a metric: the stricter of the report's threshold and the policy's."""
    return metric.stricter(thresholds.get(f"{report.gate}.{metric.name}", thresholds.get(metric.name)))


def _told(metric: GateMetric) -> str:
    end = "lower" if metric.direction is Direction.HIGHER else "upper"
    if metric.unfavourable == metric.value:
        return f"{metric.value:.10g}"
    return f"{end} bound {metric.unfavourable:.10g} (value {metric.value:.10g})"


def weaker(value: float, ruled: Threshold) -> bool:
    """Tell whether a threshold of ``value`` asks less than the policy's."""
    return value < ruled.value if ruled.direction is Direction.HIGHER else value > ruled.value


def weaker_told(name: str, value: float, ruled: Threshold) -> str:
    """Say that a threshold asks less than the policy's."""
    limit = "at least" if ruled.direction is Direction.HIGHER else "at most"
    return f"{name} is held against {value:.10g}; the policy asks for {limit} {ruled.value:.10g}"


def weaker_thresholds(report: GateReport, thresholds: Mapping[str, Threshold]) -> tuple[str, ...]:
    """Return a sentence for each metric that the report holds against less than the policy asks (by name, as above).

    A metric that the policy has the other way round is left to :func:`shortfalls`.
    """
    told = []
    for metric in report.metrics:
        name = f"{report.gate}.{metric.name}"
        asked = thresholds.get(name, thresholds.get(metric.name))
        if asked is not None and asked.direction is metric.direction and weaker(metric.threshold, asked):
            told.append(weaker_told(name, metric.threshold, asked))
    return tuple(told)


def _absent(report: GateReport, thresholds: Mapping[str, Threshold]) -> list[str]:
    prefix = f"{report.gate}."
    measured = {prefix + metric.name for metric in report.metrics} | {metric.name for metric in report.metrics}
    missing = sorted(key for key in thresholds if key.startswith(prefix) and key not in measured)
    return [f"{key}: the policy asks for this metric, the report does not have it" for key in missing]


def unmeasured(reports: Iterable[GateReport], thresholds: Mapping[str, Threshold]) -> tuple[str, ...]:
    """Return a sentence for each policy threshold that no report has a metric for.

    Without this check a report could step round a threshold by not naming the metric.
    """
    measured: set[str] = set()
    for report in reports:
        for metric in report.metrics:
            measured |= {metric.name, f"{report.gate}.{metric.name}"}
    return tuple(
        f"{key}: the policy asks for this metric, no gate report has it"
        for key in sorted(thresholds)
        if key not in measured
    )


def interval_problem(metric: GateMetric) -> str | None:
    """Say what is wrong with an interval that flatters its value; None when nothing is.

    A bootstrap interval may leave the value out on the unfavourable side (a minimum of ratios is biased
    downward); an unfavourable end better than the value itself is never honest.
    """
    if metric.lower is not None and metric.upper is not None and metric.lower > metric.upper:
        return f"the lower bound {metric.lower:.10g} is above the upper bound {metric.upper:.10g}"
    if metric.direction is Direction.HIGHER and metric.unfavourable > metric.value:
        return f"the lower bound {metric.unfavourable:.10g} is above the value {metric.value:.10g}"
    if metric.direction is Direction.LOWER and metric.unfavourable < metric.value:
        return f"the upper bound {metric.unfavourable:.10g} is below the value {metric.value:.10g}"
    return None


def claim_problem(report: GateReport, *, where: str | None = None) -> GateClaim | None:
    """Return the error for a report whose ``passed`` is not what its own numbers say.

    None when they agree.
    """
    location = where or f"gates.{report.gate}"
    broken = [f"{metric.name}: {text}" for metric in report.metrics if (text := interval_problem(metric))]
    failed = [text for metric in report.metrics if (text := _shortfall(report, metric, {}))]
    if broken:
        return GateClaim(f"{location}: gate {report.gate}: {'; '.join(broken)}", location=location)
    if report.passed and not report.metrics:
        return GateClaim(
            f"{location}: gate {report.gate} claims to have passed without a single metric", location=location
        )
    if report.passed and failed:
        return GateClaim(
            f"{location}: gate {report.gate} claims to have passed, its numbers do not: {'; '.join(failed)}",
            location=location,
        )
    if not report.passed and report.metrics and not failed:
        return GateClaim(
            f"{location}: gate {report.gate} claims to have failed; by its numbers every threshold is met",
            location=location,
        )
    return None
