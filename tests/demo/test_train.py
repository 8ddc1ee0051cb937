"""The demo's model: right formulas, the same result every time, gates that pass by their own numbers."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from manual_registry.demo.project import shipped_data
from manual_registry.demo.reports import LEAST_AUC, LEAST_PARITY
from manual_registry.demo.security import check_model_file
from manual_registry.demo.train import (
    OLDER,
    YOUNG,
    Params,
    auc_roc,
    design,
    fit,
    load_model,
    parity_ratio,
    read_table,
    save_model,
    train,
)
from manual_registry.demo.versions import FIRST, SECOND, Release

RELEASES = pytest.mark.parametrize("release", [FIRST, SECOND], ids=lambda release: str(release.version))


def test_shipped_data_is_what_its_source_says() -> None:
    data = shipped_data()
    rows = list(csv.DictReader(io.StringIO(data.decode())))
    assert len(data) < 80_000
    assert len(rows) == 1000
    assert sum(row["good_risk"] == "1" for row in rows) == 700
    assert sum(int(row["age_years"]) <= 25 for row in rows) == 190
    assert "sex" not in rows[0]
    source = Path(__file__).parents[2] / "manual_registry/demo/data/german_credit.SOURCE.md"
    text = source.read_text(encoding="utf-8")
    assert all(column in text for column in rows[0])
    assert all(fact in text for fact in ("10.24432/C5NC77", "CC BY 4.0", "Hans Hofmann", "Grömping"))


@RELEASES
def test_protected_attribute_is_no_input(release: Release) -> None:
    params = release.params
    assert "age_years" not in (*params.numeric, *params.logarithmic, *params.categorical)


@RELEASES
def test_gates_pass_at_the_unfavourable_end(release: Release) -> None:
    evaluation = train(shipped_data(), release.params).evaluation
    assert evaluation.auc_roc.lower >= LEAST_AUC
    assert evaluation.demographic_parity_ratio.lower >= LEAST_PARITY
    for estimate in (evaluation.auc_roc, evaluation.accuracy, evaluation.demographic_parity_ratio):
        assert 0 <= estimate.lower <= estimate.value <= estimate.upper <= 1
    assert evaluation.groups[YOUNG]["people"] + evaluation.groups[OLDER]["people"] == 1000


def test_second_is_better_than_first() -> None:
    first, second = (train(shipped_data(), release.params).evaluation for release in (FIRST, SECOND))
    assert second.auc_roc.value > first.auc_roc.value
    assert second.demographic_parity_ratio.value > first.demographic_parity_ratio.value


def test_same_input_same_bytes(tmp_path: Path) -> None:
    for name in ("a.npz", "b.npz"):
        save_model(train(shipped_data(), SECOND.params).model, tmp_path / name)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_other_seed_other_folds() -> None:
    other = replace(FIRST.params, seed=7)
    assert train(shipped_data(), other).evaluation != train(shipped_data(), FIRST.params).evaluation


def test_saved_model_loads_and_is_clean(tmp_path: Path) -> None:
    trained = train(shipped_data(), SECOND.params)
    save_model(trained.model, tmp_path / "model.npz")
    loaded = load_model(tmp_path / "model.npz")
    matrix = trained.design.matrix
    assert np.array_equal(loaded.probability(matrix), trained.model.probability(matrix))
    assert check_model_file(tmp_path / "model.npz").clean


@RELEASES
def test_fit_agrees_with_scikit_learn(release: Release) -> None:
    table = read_table(shipped_data())
    matrix, target = design(table, release.params).matrix, np.array(table["good_risk"], dtype=float)
    ours = fit(matrix, target, ridge=release.params.ridge)
    standard = (matrix - ours.center) / ours.scale
    strength = 1 / max(release.params.ridge, 1e-9)
    theirs = LogisticRegression(C=strength, tol=1e-10, max_iter=10_000).fit(standard, target)
    assert np.allclose(ours.weights, theirs.coef_[0], atol=1e-4)
    assert np.allclose(ours.intercept, theirs.intercept_, atol=1e-4)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=40), st.randoms())
def test_auc_agrees_with_scikit_learn_also_when_resampled(
    people: list[tuple[int, bool]], random: np.random.RandomState
) -> None:
    scores = np.array([score for score, _ in people], dtype=float)
    target = np.array([good for _, good in people], dtype=float)
    counts = np.array([[random.randint(1, 3) for _ in people]], dtype=float)
    if target.min() == target.max():
        return
    again = np.repeat(np.arange(len(people)), counts[0].astype(int))
    assert auc_roc(scores, target, counts)[0] == pytest.approx(roc_auc_score(target[again], scores[again]))


def test_parity_ratio_is_symmetric_and_at_most_one() -> None:
    favourable = np.array([True, True, False, True, False, False])
    young = np.array([True, True, True, False, False, False])
    once = np.ones((1, 6))
    assert parity_ratio(favourable, young, once)[0] == pytest.approx(0.5)
    assert parity_ratio(favourable, ~young, once)[0] == pytest.approx(0.5)


def test_params_round_trip() -> None:
    assert Params.from_mapping(SECOND.params.document()) == SECOND.params
