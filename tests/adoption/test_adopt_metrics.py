"""Metrics in free text: understood wholly, or left as the text that they are."""

from __future__ import annotations

import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manual_registry.core.adoption.cells import SheetCell
from manual_registry.core.adoption.metrics import metric_cell, metric_name, parse_metrics, parse_number
from manual_registry.core.wording import metrics_text

NAMES = st.sampled_from(
    ["auc", "f1", "dpr", "roc_auc", "accuracy", "rmse", "recall", "log_loss", "precision@5", "churn_lift"]
)
VALUES = st.integers(min_value=-99_999, max_value=99_999).map(lambda n: n / 10_000)
METRICS = st.dictionaries(NAMES, VALUES, min_size=1, max_size=6)


def values(text: str) -> dict[str, float] | None:
    found = parse_metrics(text)
    return dict(found.values) if found else None


@given(METRICS, st.sampled_from([": ", "=", " = ", " : "]), st.sampled_from(["; ", ", ", "\n", " | ", ";", " "]))
def test_spelled_with_signs_they_come_back(metrics: dict[str, float], sign: str, between: str) -> None:
    assert values(between.join(f"{name}{sign}{value:.4f}" for name, value in metrics.items())) == metrics


@given(METRICS, st.sampled_from(["; ", "\n", " | "]))
def test_with_decimal_commas_they_come_back(metrics: dict[str, float], between: str) -> None:
    text = between.join(f"{name} {value:.4f}".replace(".", ",") for name, value in metrics.items())
    assert values(text) == metrics


@given(METRICS)
def test_in_percent_they_come_back(metrics: dict[str, float]) -> None:
    found = values("; ".join(f"{name}: {value * 100:.2f}%" for name, value in metrics.items()))
    assert found is not None
    assert found.keys() == metrics.keys()
    assert all(math.isclose(found[name], metrics[name], abs_tol=1e-12) for name in metrics)


@given(
    st.dictionaries(
        NAMES, VALUES.filter(lambda value: abs(value) >= 0.001 and not value.is_integer()), min_size=1, max_size=6
    )
)
def test_what_our_own_workbook_shows_is_read(metrics: dict[str, float]) -> None:
    assert values(metrics_text(metrics)) == metrics


@given(st.text(max_size=200))
def test_no_text_breaks_the_parser_and_what_it_finds_is_finite(text: str) -> None:
    found = parse_metrics(text)
    if found is not None:
        assert found.values
        assert all(math.isfinite(value) and name for name, value in found.values.items())


@given(
    METRICS, st.sampled_from(["but leaked", "see report 12", "0.5", "(old)", "approx", "AUC", "= 3", "± 0.02", "???"])
)
def test_one_piece_that_is_not_understood_leaves_all_text(metrics: dict[str, float], rest: str) -> None:
    text = "; ".join(f"{name}={value:.4f}" for name, value in metrics.items())
    assert values(f"{text}; {rest}") is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("AUC 0.91; DPR 0.84", {"auc": 0.91, "dpr": 0.84}),
        ("auc=0.92, f1: 88%", {"auc": 0.92, "f1": 0.88}),
        ("auc 0,91", {"auc": 0.91}),
        ("auc 0,91, f1 0,88", {"auc": 0.91, "f1": 0.88}),
        ("AUC:0,91;F1:0,88", {"auc": 0.91, "f1": 0.88}),
        ("AUC 0.91 F1 0.88", {"auc": 0.91, "f1": 0.88}),
        ("AUC 0.91 / F1 0.88", {"auc": 0.91, "f1": 0.88}),
        ("auc 0.91 and f1 0.8", {"auc": 0.91, "f1": 0.8}),
        ("F1-Score 0.88", {"f1_score": 0.88}),
        ("AUC (test) 0.91", {"auc_test": 0.91}),
        ("top-1 accuracy 91 %", {"top_1_accuracy": 0.91}),
        ("acc = 12,5 %", {"acc": 0.125}),
        ('{"auc": 0.91, "f1": 0.88}', {"auc": 0.91, "f1": 0.88}),
        ("auc 9.1e-3", {"auc": 0.0091}),
        ("auc=.91", {"auc": 0.91}),
        ("R² 0.8", {"r2": 0.8}),
        ("RMSE 1,234.5", {"rmse": 1234.5}),
        ("cost=1.234,50; auc 0,9", {"cost": 1234.5, "auc": 0.9}),
        ("n=1200, auc=0.9", {"n": 1200.0, "auc": 0.9}),
        ("AUC 0.91; ", {"auc": 0.91}),
        ("auc -0.1", {"auc": -0.1}),
    ],
)
def test_understood(text: str, expected: dict[str, float]) -> None:
    assert values(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "good",
        "0.91",
        "AUC 0.91 (old test set)",
        "AUC 0.91 ± 0.02",
        "AUC 0.91 [0.88, 0.93]",
        "RMSE 1,234",
        "auc 0,91; n=1.234",
        "auc: nan",
        "auc inf",
        "auc 1e400",
        "AUC 0.91; AUC 0.92",
        "AUC > 0.9",
        "auc~0.9",
        "AUC 0.91; but leaked",
        "old model had AUC 0.88",
        "see report 12",
        "retrained in 2023",
        "improved by 3%",
        "v 1.2",
        "version 1.2",
        "auc 0.91 0.92",
        "auc 0.91, 0.92",
        "top 1 accuracy 91%",
        "auc==0.9",
        "a=b=0.5",
    ],
)
def test_left_as_text(text: str) -> None:
    assert values(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "a" * 1999,
        "x=1 " * 499,
        "x 1 " * 499,
        "(" * 1999,
        "a " * 999 + "1",
        "1," * 999,
        "a=1," * 499,
        "- " * 999,
        "1 " * 999,
    ],
)
def test_long_texts_take_no_time(text: str) -> None:
    start = time.perf_counter()
    parse_metrics(text)
    assert time.perf_counter() - start < 0.5


def test_names() -> None:
    assert metric_name("F1-Score") == "f1_score"
    assert metric_name("  ROC   AUC ") == "roc_auc"
    assert metric_name("precision@5") == "precision@5"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1,234", None),
        ("0,912", 0.912),
        ("12,5", 12.5),
        ("1.234", 1.234),
        ("1 234,5", 1234.5),
        ("1'234.5", 1234.5),
        ("−0.5", -0.5),
        ("abc", None),
        ("1,2,3", None),
        ("", None),
    ],
)
def test_numbers(text: str, expected: float | None) -> None:
    assert parse_number(text) == expected


def test_a_column_of_one_metric() -> None:
    assert metric_cell(SheetCell(value=0.91), percent_header=False) == 0.91
    assert metric_cell(SheetCell(value=88), percent_header=True) == 0.88
    assert metric_cell(SheetCell(value=0.88, format="0%"), percent_header=True) == 0.88
    assert metric_cell(SheetCell(value="88,5 %"), percent_header=False) == 0.885
    assert metric_cell(SheetCell(value="0,91"), percent_header=False) == 0.91
    assert metric_cell(SheetCell(value="n.n."), percent_header=False) is None
    assert metric_cell(SheetCell(value=True), percent_header=False) is None
