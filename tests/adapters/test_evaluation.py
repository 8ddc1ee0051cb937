"""Predictions tables: what is read, what is refused and where, and that the resamples agree with the libraries."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("fairlearn", reason="the extra [gates] is not installed")
pytest.importorskip("pyarrow", reason="the extra [gates] is not installed")

from fairlearn import metrics as fair
from sklearn import metrics as skill

from manual_registry.adapters.evaluation import Columns, Table, measure, read_table
from manual_registry.adapters.evaluation.measuring import auc_of, draws, from_counts, strata
from manual_registry.adapters.evaluation.table import fairness_problems
from manual_registry.core.errors import RegistryError

GOOD = "label,score,group\n1,0.9,a\n0,0.2,a\n1,0.6,b\n0,0.7,b\n"


def table(rows: int = 400, seed: int = 1, groups: int = 2) -> Table:
    source = np.random.default_rng(seed)
    label = source.integers(0, 2, rows).astype(np.int8)
    score = np.round(np.clip(0.5 + 0.2 * (label - 0.5) + source.normal(0, 0.25, rows), 0, 0.99), 2)
    names = tuple(f"g{number}" for number in range(groups))
    return Table(sha256="0" * 64, label=label, score=score, group=source.integers(0, groups, rows), names=names)


def written(tmp_path: Path, text: str | bytes, name: str = "p.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


# -- resamples and libraries ------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32), rows=st.integers(12, 200), groups=st.integers(2, 4), at=st.sampled_from([0.3, 0.5]))
def test_a_resample_gives_what_the_libraries_give_for_its_rows(seed: int, rows: int, groups: int, at: float) -> None:
    source = np.random.default_rng(seed)
    found = table(rows, seed, groups)
    drawn = np.concatenate(
        [
            source.choice(members, len(members))
            for code in range(groups * 2)
            if len(members := np.flatnonzero(found.group * 2 + found.label == code))
        ]
    )
    label, score, group = found.label[drawn], found.score[drawn], np.asarray(found.group)[drawn]
    if label.min() == label.max() or len(np.unique(group)) < groups:
        return
    predicted = (score >= at).astype(np.int8)
    again = Table(sha256="", label=label, score=score, group=group, names=found.names)
    sizes = strata(again)
    if (sizes == 0).any() or not predicted.any():
        return
    ours = {name: float(one[0]) for name, one in from_counts(strata(again, predicted == 1)[None], sizes).items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = {
            "accuracy": skill.accuracy_score(label, predicted),
            "f1": skill.f1_score(label, predicted),
            "demographic_parity_ratio": fair.demographic_parity_ratio(label, predicted, sensitive_features=group),
            "equalised_odds_difference": fair.equalized_odds_difference(label, predicted, sensitive_features=group),
        }
    assert ours == pytest.approx(theirs, abs=1e-12)
    _auc_as_the_library(found, drawn)


def _auc_as_the_library(found: Table, drawn: np.ndarray[Any, Any]) -> None:
    times = np.bincount(drawn, minlength=found.rows)
    positive, negative = found.label == 1, np.flatnonzero(found.label == 0)
    order = negative[np.argsort(found.score[negative], kind="stable")]
    ranked = found.score[order]
    low = np.searchsorted(ranked, found.score[positive], side="left")
    high = np.searchsorted(ranked, found.score[positive], side="right")
    ours = auc_of(times[positive], times[order], low, high)
    assert ours == pytest.approx(skill.roc_auc_score(found.label[drawn], found.score[drawn]), abs=1e-12)


def test_counts_are_distributed_as_drawn_rows_are() -> None:
    """The binomial short way and the long way over rows give the same intervals (within their noise)."""
    found = table(600, groups=3)
    predicted = (found.score >= 0.5).astype(np.int8)
    short = draws(found, predicted, resamples=4000, seed=3, auc=True)
    source = np.random.default_rng(5)
    members = [np.flatnonzero(found.group * 2 + found.label == code) for code in range(6)]
    sizes = strata(found)
    long: dict[str, list[float]] = {name: [] for name in short}
    for _ in range(1500):
        drawn = np.concatenate([source.choice(one, len(one)) for one in members])
        again = Table(
            sha256="", label=found.label[drawn], score=found.score[drawn],
            group=np.asarray(found.group)[drawn], names=found.names,
        )  # fmt: skip
        for name, one in from_counts(strata(again, predicted[drawn] == 1)[None], sizes).items():
            long[name].append(float(one[0]))
    for name in ("accuracy", "f1", "demographic_parity_ratio", "equalised_odds_difference"):
        ends = np.quantile(short[name], [0.025, 0.5, 0.975])
        assert ends == pytest.approx(np.quantile(long[name], [0.025, 0.5, 0.975]), abs=0.012), name


def test_the_interval_covers_what_it_should() -> None:
    """AUC-ROC of two normal distributions is known: about 95 of 100 intervals hold it."""
    source = np.random.default_rng(11)
    true = 0.7602499389065233  # Phi(1 / sqrt 2)
    held = 0
    for number in range(100):
        label = np.repeat([0, 1], 100).astype(np.int8)
        score = 1 / (1 + np.exp(-(source.normal(size=200) + label)))
        found = Table(sha256="", label=label, score=score, group=None, names=())
        one = measure(found, ("performance",), at=0.5, confidence=0.95, resamples=300, seed=number)
        held += one.estimates["auc_roc"].lower <= true <= one.estimates["auc_roc"].upper
    assert 88 <= held <= 100


def test_the_same_seed_gives_the_same_intervals() -> None:
    def once(seed: int) -> Any:
        gates = ("performance", "fairness")
        return measure(table(), gates, at=0.5, confidence=0.95, resamples=200, seed=seed).estimates

    assert once(1) == once(1)
    assert once(1) != once(2)
    assert set(once(1)) == {"auc_roc", "accuracy", "f1", "demographic_parity_ratio", "equalised_odds_difference"}
    assert all(0 <= one.lower <= one.value <= one.upper <= 1 for one in once(1).values())


def test_nobody_selected_is_told() -> None:
    with pytest.raises(RegistryError) as told:
        measure(table(), ("fairness",), at=1.0, confidence=0.95, resamples=100, seed=0)
    assert (told.value.code, told.value.status) == ("MR-I050", 7)


# -- tables that are read ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        "\ufeff" + GOOD,
        GOOD.replace("\n", "\r\n"),
        GOOD.replace(",", "\t"),
        GOOD.replace(",", ";").replace("0.", "0,"),
        GOOD.replace("label,score,group", '"label","score","group"'),
        GOOD.replace("\n1,", "\ntrue,").replace("\n0,", "\nFalse,"),
        GOOD.replace("\n1,", "\n1.0,"),
        "id,label,score,group,note\n" + "".join(f"7,{line},é\n" for line in GOOD.splitlines()[1:]),
    ],
)
def test_tables_as_people_save_them(tmp_path: Path, text: str) -> None:
    found = read_table(written(tmp_path, text), Columns())
    assert found.label.tolist() == [1, 0, 1, 0]
    assert found.score.tolist() == [0.9, 0.2, 0.6, 0.7]
    assert (found.names, found.rows) == (("a", "b"), 4)


def test_parquet_says_the_same(tmp_path: Path) -> None:
    frame = pd.DataFrame({"y": [True, False], "p": [0.9, 0.2], "sex": pd.Categorical(["f", "m"]), "more": [[1], [2]]})
    frame.to_parquet(tmp_path / "p.parquet")
    found = read_table(tmp_path / "p.parquet", Columns(label="y", score="p", group="sex"))
    assert (found.label.tolist(), found.score.tolist(), found.names) == ([1, 0], [0.9, 0.2], ("f", "m"))
    (tmp_path / "p.parquet").rename(tmp_path / "p.csv")  # its content counts, not its name
    assert read_table(tmp_path / "p.csv", Columns(label="y", score="p", group=None)).group is None


# -- tables that are refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "empty"),
        ("  \n\n", "empty"),
        ("label,score,group\n", "no rows"),
        ("label,score\n1,0.5\n", "no column 'group'"),
        ("label,score,group,score\n1,0.5,a,0.6\n", "two columns are called 'score'"),
        (GOOD.replace("0.6", "nan"), "line 4, column score: 'nan' is no number"),
        (GOOD.replace("0.6", ""), "line 4, column score: an empty cell is no number"),
        (GOOD.replace("0.6", "inf"), "line 4, column score: 'inf' is no number"),
        (GOOD.replace("0.6", "1.2"), "line 4, column score: '1.2' is outside 0 to 1"),
        (GOOD.replace("0.6", "-0.1"), "line 4, column score: '-0.1' is outside 0 to 1"),
        (GOOD.replace("0.6", "60%"), "line 4, column score: '60%' is no number"),
        (GOOD.replace("\n1,0.9", "\ngood,0.9"), "line 2, column label: 'good' is no label"),
        (GOOD.replace("\n1,0.9", "\n2,0.9"), "line 2, column label: '2' is no label"),
        (GOOD.replace("\n1,0.9", "\n,0.9"), "line 2, column label: an empty cell is no label"),
        (GOOD.replace("0.6,b", "0.6,"), "line 4, column group: an empty cell is no group"),
        (GOOD.replace("0,0.2", "1,0.2").replace("0,0.7", "1,0.7"), "every label is 1"),
        (GOOD + "1,0.5\n", "column group"),
        (GOOD + "1,0.5,a,more\n", "does not parse as CSV"),
        (GOOD + '1,0.5,"a\n', "does not parse as CSV"),
        (GOOD.encode("utf-16"), "not UTF-8"),
        (GOOD.encode() + b"1,0.5,\xff\n", "line 6 is not UTF-8"),
        (b"PAR1" + bytes(100), "does not parse as parquet"),
        (b"label,score,group\n\0\0\0", "NUL"),
    ],
)
def test_bad_tables_are_told_with_their_place(tmp_path: Path, text: str | bytes, told: str) -> None:
    with pytest.raises(RegistryError) as refusal:
        read_table(written(tmp_path, text), Columns())
    assert refusal.value.exit_status == 7
    assert {one.code for one in refusal.value.reasons} == {"MR-I050"}
    assert any(told in one.message for one in refusal.value.reasons), [one.message for one in refusal.value.reasons]


def test_many_bad_cells_are_counted(tmp_path: Path) -> None:
    with pytest.raises(RegistryError) as refusal:
        read_table(written(tmp_path, "label,score,group\n" + "x,y,\n" * 1000), Columns())
    assert len(refusal.value.reasons) == 12
    assert any("997 more" in one.message for one in refusal.value.reasons)


def test_a_parquet_with_nulls_and_odd_types(tmp_path: Path) -> None:
    frame = pd.DataFrame({"label": [1, None, 0], "score": [0.5, 0.6, None], "group": ["a", None, "b"]})
    frame.to_parquet(tmp_path / "p.parquet")
    with pytest.raises(RegistryError) as refusal:
        read_table(tmp_path / "p.parquet", Columns())
    assert [one.message.split(": ", 1)[1].split(":")[0] for one in refusal.value.reasons] == [
        "row 2, column label",
        "row 3, column score",
        "row 2, column group",
    ]
    pd.DataFrame({"label": [[1], [0]], "score": [{"a": 1}, {"a": 2}], "group": [1, 2]}).to_parquet(
        tmp_path / "q.parquet"
    )
    with pytest.raises(RegistryError) as refusal:
        read_table(tmp_path / "q.parquet", Columns())
    assert refusal.value.exit_status == 7
    whole = (tmp_path / "p.parquet").read_bytes()
    for cut in (len(whole) // 2, len(whole) - 4):
        with pytest.raises(RegistryError) as refusal:
            read_table(written(tmp_path, whole[:cut], "cut.parquet"), Columns())
        assert refusal.value.exit_status == 7


def test_files_that_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path, status in ((tmp_path / "nothing", 5), (tmp_path, 7)):
        with pytest.raises(RegistryError) as refusal:
            read_table(path, Columns())
        assert refusal.value.exit_status == status
    monkeypatch.setattr("manual_registry.adapters.evaluation.table.LARGEST", 10)
    with pytest.raises(RegistryError, match="more than"):
        read_table(written(tmp_path, GOOD), Columns())


def test_groups_that_cannot_be_compared(tmp_path: Path) -> None:
    def problems(text: str) -> list[str]:
        found = read_table(written(tmp_path, text), Columns())
        return [one.message for one in fairness_problems(found, "p.csv")]

    assert problems(GOOD) == []
    assert "one group only" in problems(GOOD.replace(",b", ",a"))[0]
    assert "group 'c' has 1 row only" in problems(GOOD + "1,0.5,c\n")[0]
    assert "has the label 1 only" in problems(GOOD + "1,0.5,c\n1,0.6,c\n")[0]


@pytest.mark.slow
def test_a_hundred_thousand_rows_take_seconds() -> None:
    import time

    begun = time.process_time()
    measure(table(100_000, groups=5), ("performance", "fairness"), at=0.5, confidence=0.95, resamples=1000, seed=0)
    assert time.process_time() - begun < 20
