"""The five metrics of a predictions table, each with a bootstrap interval.

The values come from scikit-learn and fairlearn. The intervals (percentile, stratified by group and label) do not: asking
the libraries a thousand times takes minutes on 100,000 rows. In a resample that keeps the size of each stratum, the number
of rows above the decision threshold in a stratum of n with k of them *is* binomial(n, k/n); so accuracy, F1 and all rates
by group follow from a few binomial draws, exactly, without touching a row. AUC-ROC needs the rows: labels are resampled
within positives and negatives, and the rank statistic is taken from counts over scores that were sorted once.
tests/adapters/test_evaluation.py holds both against the libraries, resample by resample.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from manual_registry.adapters.evaluation.table import EXTRA_HINT, Table
from manual_registry.core.errors import BadPredictions, ToolMissing
from manual_registry.core.evaluation import FAIRNESS, GATE_METRICS, PERFORMANCE, Estimate

Numbers = np.ndarray[Any, np.dtype[np.float64]]
Counts = np.ndarray[Any, np.dtype[np.int64]]

#: Strata smaller than this are told: their interval means little.
SMALL: Final = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """The estimates by metric, and sentences about what to be careful with."""

    estimates: Mapping[str, Estimate]
    remarks: tuple[str, ...] = ()


def measure(
    table: Table, gates: tuple[str, ...], *, at: float, confidence: float, resamples: int, seed: int
) -> Measured:
    """Measure the metrics of ``gates``.

    ``at``: a score from there on counts as the outcome 1; ``confidence`` the share between the ends (0.95); ``resamples``
    their number; ``seed`` makes them come out the same again. Raises :class:`ToolMissing` without the extra,
    :class:`BadPredictions` where a metric is not defined.
    """
    predicted = (table.score >= at).astype(np.int8)
    wanted = [metric for gate in gates for metric in GATE_METRICS.get(gate, ())]
    values = _values(table, predicted, gates)
    drawn = draws(table, predicted, resamples=resamples, seed=seed, auc="auc_roc" in wanted)
    estimates = {metric: _estimate(values[metric], drawn[metric], confidence) for metric in wanted}
    return Measured(estimates=estimates, remarks=_remarks(table, FAIRNESS in gates))


def _estimate(value: float, drawn: Numbers, confidence: float) -> Estimate:
    tail = (1 - confidence) / 2
    lower, upper = (float(end) for end in np.quantile(drawn, [tail, 1 - tail]))
    # The spread of groups is biased upward in resamples; an interval never leaves its value out on either side.
    return Estimate(value=value, lower=min(lower, value), upper=max(upper, value))


def _remarks(table: Table, fairness: bool) -> tuple[str, ...]:
    sizes = strata(table)
    few = [
        f"group {name!r} has {int(count)} rows with label {label}"
        for name, pair in zip(table.names or ("all",), sizes, strict=True)
        for label, count in enumerate(pair)
        if count < SMALL
    ]
    if not few or not fairness:
        return ()
    return (f"{'; '.join(few[:5])}: intervals over so few mean little",)


# -- values, by the libraries -----------------------------------------------------------------------------


def _values(table: Table, predicted: np.ndarray[Any, np.dtype[np.int8]], gates: tuple[str, ...]) -> dict[str, float]:
    values: dict[str, float] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations between the libraries' versions are not the user's
        if PERFORMANCE in gates:
            values |= _performance(table, predicted)
        if FAIRNESS in gates:
            values |= _fairness(table, predicted)
    return values


def _performance(table: Table, predicted: np.ndarray[Any, np.dtype[np.int8]]) -> dict[str, float]:
    try:
        from sklearn import metrics
    except ImportError:
        raise ToolMissing("the performance gate needs scikit-learn", hint=EXTRA_HINT) from None
    return {
        "auc_roc": float(metrics.roc_auc_score(table.label, table.score)),
        "accuracy": float(metrics.accuracy_score(table.label, predicted)),
        "f1": float(metrics.f1_score(table.label, predicted, zero_division=0)),
    }


def _fairness(table: Table, predicted: np.ndarray[Any, np.dtype[np.int8]]) -> dict[str, float]:
    try:
        from fairlearn import metrics
    except ImportError:
        raise ToolMissing("the fairness gate needs fairlearn", hint=EXTRA_HINT) from None
    if not predicted.any():
        raise BadPredictions(
            "no score reaches the decision threshold: nobody is selected, and rates of selection cannot be compared",
            hint="--threshold-at NUMBER",
        )
    groups = np.asarray(table.group)
    arguments = {"y_true": table.label, "y_pred": predicted, "sensitive_features": groups}
    return {
        "demographic_parity_ratio": float(metrics.demographic_parity_ratio(**arguments)),
        "equalised_odds_difference": float(metrics.equalized_odds_difference(**arguments)),
    }


# -- resamples --------------------------------------------------------------------------------------------


def strata(table: Table, rows: np.ndarray[Any, np.dtype[np.bool_]] | None = None) -> Counts:
    """Return how many rows (of ``rows``, else of all) each group has with label 0 and 1, as ``[groups, 2]``."""
    groups = max(1, len(table.names))
    codes = (table.group if table.group is not None else np.zeros(table.rows, dtype=np.int64)) * 2 + table.label
    return np.bincount(codes if rows is None else codes[rows], minlength=groups * 2).reshape(groups, 2)


def draws(
    table: Table, predicted: np.ndarray[Any, np.dtype[np.int8]], *, resamples: int, seed: int, auc: bool
) -> dict[str, Numbers]:
    """Return each metric in each of the ``resamples``."""
    sizes, chosen = strata(table), strata(table, predicted == 1)
    generator = np.random.default_rng([seed, 1])
    share = np.divide(chosen, sizes, out=np.zeros(sizes.shape), where=sizes > 0)
    drawn = generator.binomial(sizes, share, size=(resamples, *sizes.shape))
    found = from_counts(drawn, sizes)
    if auc:
        found["auc_roc"] = auc_draws(table, resamples=resamples, seed=seed)
    return found


def from_counts(drawn: Counts, sizes: Counts) -> dict[str, Numbers]:
    """Return the metrics that follow from the counts of predicted 1 by (group, label), ``[resamples, groups, 2]``."""
    wrong, right = drawn[:, :, 0].sum(axis=1), drawn[:, :, 1].sum(axis=1)
    zeros, ones = int(sizes[:, 0].sum()), int(sizes[:, 1].sum())
    rate = _ratio(drawn.sum(axis=2), sizes.sum(axis=1))
    fpr, tpr = _ratio(drawn[:, :, 0], sizes[:, 0]), _ratio(drawn[:, :, 1], sizes[:, 1])
    most = rate.max(axis=1)
    # Nobody selected in a resample: the ratio is not defined, and counts as the worst there is.
    parity = np.divide(rate.min(axis=1), most, out=np.zeros(len(most)), where=most > 0)
    return {
        "accuracy": (right + zeros - wrong) / (zeros + ones),
        "f1": 2 * right / (right + wrong + ones),
        "demographic_parity_ratio": parity,
        "equalised_odds_difference": np.maximum(np.ptp(fpr, axis=1), np.ptp(tpr, axis=1)),
    }


def _ratio(parts: Counts, wholes: Counts) -> Numbers:
    result: Numbers = np.divide(parts, wholes, out=np.zeros(parts.shape), where=wholes > 0)
    return result


def auc_draws(table: Table, *, resamples: int, seed: int) -> Numbers:
    """Return AUC-ROC in each resample: the share of pairs (positive, negative) in the right order, ties half."""
    generator = np.random.default_rng([seed, 2])
    negative = np.sort(table.score[table.label == 0])
    positive = table.score[table.label == 1]
    low = np.searchsorted(negative, positive, side="left")
    high = np.searchsorted(negative, positive, side="right")
    found = np.empty(resamples)
    for number in range(resamples):
        found[number] = auc_of(
            _multiplicities(generator, len(positive)), _multiplicities(generator, len(negative)), low, high
        )
    return found


def _multiplicities(generator: np.random.Generator, size: int) -> Counts:
    """Return how often each of ``size`` rows is drawn in a resample of as many."""
    return np.bincount(generator.integers(0, size, size), minlength=size)


def auc_of(positives: Counts, negatives: Counts, low: Counts, high: Counts) -> float:
    """Return AUC-ROC where each row counts as often as it was drawn.

    ``low`` and ``high``: how many of the sorted negatives score below each positive, and at most as high.
    """
    below = np.concatenate(([0], np.cumsum(negatives)))
    pairs = positives @ (below[low] + below[high]) / 2
    return float(pairs / (positives.sum() * negatives.sum()))
