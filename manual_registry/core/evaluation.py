"""From measured numbers to gate reports: which metrics a gate has, and against which threshold each is held.

Rules held here: a threshold of the policy in force counts; one that was typed may ask more, never less (clause RP-12).
A gate that nobody gave a threshold is held against a convention, which is told: better than chance for AUC-ROC, the
four-fifths rule for demographic parity. A metric beside one that has a threshold is reported and asks nothing. Gates are
judged in order, and the first that fails ends it. Measuring is left to ``adapters/evaluation``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from manual_registry.core.errors import BadValue, GateWeaker, RegistryError
from manual_registry.core.gates import (
    Direction,
    GateMetric,
    GateReport,
    Threshold,
    shortfalls,
    weaker,
    weaker_told,
)

_Value = TypeVar("_Value")

PERFORMANCE: Final = "performance"
FAIRNESS: Final = "fairness"
#: Gate -> its metrics, in the order in which they are told.
GATE_METRICS: Final[Mapping[str, tuple[str, ...]]] = {
    PERFORMANCE: ("auc_roc", "accuracy", "f1"),
    FAIRNESS: ("demographic_parity_ratio", "equalised_odds_difference"),
}
#: Metrics of which less is better; of all others more is.
_LOWER: Final = frozenset({"equalised_odds_difference"})
#: What a gate is held against when neither policy nor option says anything: no better than chance (0.5), and the
#: four-fifths rule (US Uniform Guidelines on Employee Selection Procedures, 29 CFR 1607.4 D).
CONVENTIONS: Final[Mapping[str, float]] = {"auc_roc": 0.5, "demographic_parity_ratio": 0.8}


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """A measured number with the ends of its confidence interval; all between 0 and 1."""

    value: float
    lower: float
    upper: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What a metric is held against, and whose wish that is: policy, option, convention, or nobody's (``none``)."""

    threshold: Threshold
    whose: str


def direction_of(metric: str) -> Direction:
    """Return which way is better for a metric of :data:`GATE_METRICS`."""
    return Direction.LOWER if metric in _LOWER else Direction.HIGHER


def asked_of(gate: str, policy: Mapping[str, Threshold], typed: Mapping[str, float]) -> dict[str, Asked]:
    """Return what each metric of ``gate`` is held against.

    ``policy``: thresholds by ``gate.metric`` or ``metric`` (the former wins); ``typed`` the same with plain numbers.
    Raises :class:`GateWeaker` for a typed one below the policy's, :class:`BadValue` for a policy that has a metric the
    wrong way round.
    """
    found: dict[str, Asked] = {}
    for metric in GATE_METRICS[gate]:
        ruled, wished = _named(gate, metric, policy), _named(gate, metric, typed)
        if ruled is not None and ruled.direction is not direction_of(metric):
            raise BadValue(
                f"the policy says that {ruled.direction.value} is better for {metric}; it is the other way round",
                location=f"policy.thresholds.{metric}",
            )
        if wished is not None:
            _refuse_weaker(gate, metric, wished, ruled)
            threshold = Threshold(value=wished, direction=direction_of(metric))
            found[metric] = Asked(threshold=threshold, whose="option")
        elif ruled is not None:
            found[metric] = Asked(threshold=ruled, whose="policy")
    return {**_unasked(gate, explicit=bool(found)), **found}


def _named(gate: str, metric: str, values: Mapping[str, _Value]) -> _Value | None:
    return values.get(f"{gate}.{metric}", values.get(metric))


def _refuse_weaker(gate: str, metric: str, wished: float, ruled: Threshold | None) -> None:
    if ruled is not None and weaker(wished, ruled):
        raise GateWeaker(weaker_told(f"{gate}.{metric}", wished, ruled), location=f"{gate}.{metric}", clause="RP-12")


def _unasked(gate: str, *, explicit: bool) -> dict[str, Asked]:
    asked: dict[str, Asked] = {}
    for metric in GATE_METRICS[gate]:
        way = direction_of(metric)
        usual = None if explicit else CONVENTIONS.get(metric)
        nothing = 0.0 if way is Direction.HIGHER else 1.0
        threshold = Threshold(value=nothing if usual is None else usual, direction=way)
        asked[metric] = Asked(threshold=threshold, whose="none" if usual is None else "convention")
    return asked


def unknown_names(names: Sequence[str], gates: Sequence[str]) -> list[RegistryError]:
    """Return a problem for each typed threshold that is no metric of ``gates``."""
    known = {name for gate in gates for metric in GATE_METRICS.get(gate, ()) for name in (metric, f"{gate}.{metric}")}
    return [
        BadValue(f"{name!r} is no metric of these gates; they have {', '.join(sorted(known))}", location="--threshold")
        for name in names
        if name not in known
    ]


def conventions_told(gate: str, asked: Mapping[str, Asked]) -> str | None:
    """Return a sentence where a convention stands in for a threshold of the policy; None where none does."""
    used = [f"{metric} {one.threshold.value:g}" for metric, one in asked.items() if one.whose == "convention"]
    if not used:
        return None
    return f"no threshold is set for the {gate} gate; it was held against the usual {', '.join(used)}: set your own in [policy.thresholds]"


def report(
    gate: str,
    estimates: Mapping[str, Estimate],
    asked: Mapping[str, Asked],
    *,
    dataset: str,
    at: str,
    model: str | None,
) -> GateReport:
    """Compose the report of one gate; it passed when the unfavourable end of every metric meets its threshold."""
    metrics = tuple(
        GateMetric(
            name=metric,
            value=estimates[metric].value,
            lower=estimates[metric].lower,
            upper=estimates[metric].upper,
            threshold=one.threshold.value,
            direction=one.threshold.direction,
        )
        for metric, one in asked.items()
    )
    good = all(metric.meets(metric.threshold) for metric in metrics)
    return GateReport(gate=gate, passed=good, evaluation_dataset=dataset, evaluated_at=at, metrics=metrics, model=model)


def failures(found: GateReport) -> tuple[str, ...]:
    """Return a sentence for each metric that keeps the gate from passing."""
    return shortfalls(found)
