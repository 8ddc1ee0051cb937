"""Train the demo's credit scorecard, a logistic regression, and evaluate it with bootstrap intervals.

This file is also the training code of the demo's own git repository: it needs numpy and PyYAML only, and
``python train.py`` there reads ``params.yaml`` and ``data/german_credit.csv`` and writes ``build/``.
Everything is deterministic: the same data, parameters and library versions give the same bytes.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import yaml

Floats: TypeAlias = npt.NDArray[np.float64]
Mask: TypeAlias = npt.NDArray[np.bool_]

TARGET = "good_risk"
YOUNG, OLDER = "25 and under", "over 25"
ITERATIONS = 25  # Newton's method has converged to the last digit long before


@dataclass(frozen=True, kw_only=True, slots=True)
class Params:
    """Everything that decides the model and its evaluation."""

    numeric: tuple[str, ...]
    logarithmic: tuple[str, ...]
    categorical: tuple[str, ...]
    ridge: float
    decision_threshold: float
    seed: int
    folds: int
    resamples: int

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Params:
        """Build from the mapping of ``params.yaml`` (lists become tuples)."""
        known: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
        }
        return cls(**known)

    def document(self) -> dict[str, Any]:
        """Return the mapping of ``params.yaml``; ``from_mapping(p.document()) == p``."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}


@dataclass(frozen=True, kw_only=True, slots=True)
class Design:
    """The feature matrix, shape (people, features), its column names, the levels of the categories."""

    matrix: Floats
    names: tuple[str, ...]
    levels: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """A scorecard: P(good risk) = sigmoid(intercept + ((x - center) / scale) @ weights)."""

    intercept: Floats
    weights: Floats
    center: Floats
    scale: Floats

    def probability(self, matrix: Floats) -> Floats:
        """Return the probability of a good risk for each row of ``matrix``, shape (people,)."""
        return _sigmoid(self.intercept[0] + ((matrix - self.center) / self.scale) @ self.weights)


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """A number with its 95 % percentile bootstrap interval, rounded to four digits."""

    value: float
    lower: float
    upper: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """What the out-of-fold predictions show; ``groups`` is {age group: {metric: value}}."""

    auc_roc: Estimate
    accuracy: Estimate
    demographic_parity_ratio: Estimate
    groups: Mapping[str, Mapping[str, float]]

    def metrics(self) -> dict[str, float]:
        """Return the point estimates by name."""
        return {
            "auc_roc": self.auc_roc.value,
            "accuracy": self.accuracy.value,
            "demographic_parity_ratio": self.demographic_parity_ratio.value,
        }


def read_table(data: bytes) -> dict[str, list[str]]:
    """Read the CSV into {column: values}."""
    rows = list(csv.DictReader(io.StringIO(data.decode("utf-8"))))
    return {column: [row[column] for row in rows] for column in rows[0]}


def design(table: Mapping[str, list[str]], params: Params) -> Design:
    """Build the features: numbers, logarithms and their squares, a column per category level but the first.

    The square is there because risk rises for small and for large amounts alike.
    """
    columns: dict[str, Floats] = {name: np.array(table[name], dtype=np.float64) for name in params.numeric}
    for name in params.logarithmic:
        columns[f"log({name})"] = np.log(np.array(table[name], dtype=np.float64))
        columns[f"log({name})^2"] = columns[f"log({name})"] ** 2
    levels = {name: tuple(sorted(set(table[name]))) for name in params.categorical}
    for name, values in levels.items():
        for level in values[1:]:
            columns[f"{name}={level}"] = np.array([value == level for value in table[name]], dtype=np.float64)
    return Design(matrix=np.column_stack(list(columns.values())), names=tuple(columns), levels=levels)


def fit(matrix: Floats, target: Floats, *, ridge: float) -> Model:
    """Fit by Newton's method on standardised features; ``ridge`` spares the intercept."""
    center, scale = matrix.mean(axis=0), matrix.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    full = np.column_stack([np.ones(len(target)), (matrix - center) / scale])
    penalty = np.full(full.shape[1], max(ridge, 1e-9))
    penalty[0] = 0.0
    beta = np.zeros(full.shape[1])
    for _ in range(ITERATIONS):
        expected = _sigmoid(full @ beta)
        hessian = (full.T * (expected * (1 - expected))) @ full + np.diag(penalty)
        beta = beta + np.linalg.solve(hessian, full.T @ (target - expected) - penalty * beta)
    return Model(intercept=beta[:1], weights=beta[1:], center=center, scale=scale)


def _sigmoid(values: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-values)), dtype=np.float64)


def out_of_fold(matrix: Floats, target: Floats, params: Params) -> Floats:
    """Return for each person the probability by a model that never saw that person, shape (people,)."""
    generator = np.random.default_rng(params.seed)
    fold = np.empty(len(target), dtype=np.int64)
    for label in (0.0, 1.0):  # stratified: every fold holds its share of bad risks
        members = generator.permutation(np.flatnonzero(target == label))
        fold[members] = np.arange(len(members)) % params.folds
    scores = np.empty(len(target))
    for number in range(params.folds):
        held_out = fold == number
        model = fit(matrix[~held_out], target[~held_out], ridge=params.ridge)
        scores[held_out] = model.probability(matrix[held_out])
    return scores


def evaluate(scores: Floats, target: Floats, young: Mask, params: Params) -> Evaluation:
    """Measure out-of-fold ``scores``; the favourable outcome is to be judged a good risk.

    The intervals resample people, not training: they leave out that another training set would give another
    model.
    """
    favourable = scores >= params.decision_threshold
    generator = np.random.default_rng(params.seed + 1)
    count = len(target)
    counts = generator.multinomial(count, np.full(count, 1 / count), size=params.resamples).astype(np.float64)
    correct = (favourable == (target == 1)).astype(np.float64)
    once = np.ones((1, count))
    return Evaluation(
        auc_roc=_estimate(auc_roc(scores, target, once), auc_roc(scores, target, counts)),
        accuracy=_estimate(once @ correct / count, counts @ correct / count),
        demographic_parity_ratio=_estimate(
            parity_ratio(favourable, young, once), parity_ratio(favourable, young, counts)
        ),
        groups={name: _group(scores, target, favourable, who) for name, who in ((YOUNG, young), (OLDER, ~young))},
    )


def auc_roc(scores: Floats, target: Floats, counts: Floats) -> Floats:
    """Return the area under the ROC curve per resample, shape (resamples,).

    ``counts``, shape (resamples, people), says how often each person was drawn. The area is the probability
    that a good risk outranks a bad one, ties counting half.
    """
    _, rank = np.unique(scores, return_inverse=True)
    order = np.argsort(rank, kind="stable")
    starts = np.flatnonzero(np.diff(rank[order], prepend=-1))
    good = np.add.reduceat((counts * target)[:, order], starts, axis=1)
    bad = np.add.reduceat((counts * (1 - target))[:, order], starts, axis=1)
    below = np.cumsum(bad, axis=1) - bad
    won = (good * (below + bad / 2)).sum(axis=1)
    return np.asarray(won / (good.sum(axis=1) * bad.sum(axis=1)), dtype=np.float64)


def parity_ratio(favourable: Mask, young: Mask, counts: Floats) -> Floats:
    """Return per resample the lower rate of favourable outcomes of the two age groups over the higher."""
    good = favourable.astype(np.float64)
    rates = [(counts @ (good * who)) / (counts @ who) for who in (young.astype(float), (~young).astype(float))]
    return np.asarray(np.minimum(*rates) / np.maximum(*rates), dtype=np.float64)


def _estimate(point: Floats, resampled: Floats) -> Estimate:
    lower, upper = np.quantile(resampled, [0.025, 0.975])
    return Estimate(value=_round(point[0]), lower=_round(lower), upper=_round(upper))


def _group(scores: Floats, target: Floats, favourable: Mask, who: Mask) -> dict[str, float]:
    once = np.ones((1, int(who.sum())))
    good, bad = who & (target == 1), who & (target == 0)
    return {
        "people": int(who.sum()),
        "good_risk_rate": _round(target[who].mean()),
        "favourable_rate": _round(favourable[who].mean()),
        "true_positive_rate": _round(favourable[good].mean()),
        "false_positive_rate": _round(favourable[bad].mean()),
        "bad_among_favourable": _round((bad & favourable).sum() / max(int((who & favourable).sum()), 1)),
        "auc_roc": _round(auc_roc(scores[who], target[who], once)[0]),
    }


def _round(value: float | np.floating[Any]) -> float:
    return round(float(value), 4)


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """The outcome of one training run."""

    params: Params
    design: Design
    model: Model
    evaluation: Evaluation

    def serving(self) -> dict[str, Any]:
        """Return what a service needs beside the model file: inputs, their order, the threshold."""
        return {
            "format": "demo-scorecard/1",
            "inputs": list(self.design.names),
            "levels": {name: list(values) for name, values in self.design.levels.items()},
            "decision": {"favourable": "good risk", "probability_at_least": self.params.decision_threshold},
        }


def train(data: bytes, params: Params) -> Trained:
    """Train on the CSV ``data``, evaluate out of fold, then fit the model on everyone."""
    table = read_table(data)
    features = design(table, params)
    target = np.array(table[TARGET], dtype=np.float64)
    young = np.array(table["age_years"], dtype=np.int64) <= 25
    scores = out_of_fold(features.matrix, target, params)
    return Trained(
        params=params,
        design=features,
        model=fit(features.matrix, target, ridge=params.ridge),
        evaluation=evaluate(scores, target, young, params),
    )


def save_model(model: Model, path: Path) -> None:
    """Write the model as ``.npz`` of plain numeric arrays: a format in which no code can travel."""
    with path.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **asdict(model))


def load_model(path: Path) -> Model:
    """Read a model back, pickles refused."""
    with np.load(path, allow_pickle=False) as arrays:
        return Model(**{name: arrays[name] for name in ("intercept", "weights", "center", "scale")})


def write_build(trained: Trained, folder: Path) -> None:
    """Write ``model.npz``, ``serving.yaml`` and ``evaluation.json`` into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    save_model(trained.model, folder / "model.npz")
    serving = yaml.safe_dump(trained.serving(), sort_keys=False, allow_unicode=True)
    (folder / "serving.yaml").write_text(serving, encoding="utf-8")
    evaluation = json.dumps(asdict(trained.evaluation), indent=2) + "\n"
    (folder / "evaluation.json").write_text(evaluation, encoding="utf-8")


def main() -> None:
    """Train what ``params.yaml`` says, in the current directory."""
    params = Params.from_mapping(yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8")))
    write_build(train(Path("data/german_credit.csv").read_bytes(), params), Path("build"))


if __name__ == "__main__":
    main()
