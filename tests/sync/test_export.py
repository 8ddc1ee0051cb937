"""`export csv` and `to_dataframe`: no cell acts as a formula, every column has its proper type."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from world import LEAD, World

FORMULAS = (
    "=1+1", "+1", "-1", "@SUM(A1)", '=HYPERLINK("http://x";"y")', "=cmd|' /C calc'!A0", "＝1+1", "＋1", "－1", "＠x",
    " =1+1", "'=1+1",
)  # fmt: skip
STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def rows(data: bytes) -> list[dict[str, str]]:
    """Read the CSV as a program does."""
    return list(csv.DictReader(io.StringIO(data.decode("utf-8"), newline="")))


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_acts_as_a_formula(small: World, text: str) -> None:
    small.as_().tag("churn@1", {"danger": text})
    small.as_().register("churn", "4", small.artefact("4"), owner=text.strip(), pipeline_run=text.strip())
    data = small.as_().export_csv()
    for row in rows(data):
        for name, value in row.items():
            assert not value.lstrip(" ").startswith(STARTS), (name, value)
    (row,) = [row for row in rows(data) if row["version"] == "4"]
    assert row["owner"] in (text.strip(), f"'{text.strip()}")


def test_a_formula_in_the_name_of_a_metric_does_not_act(small: World) -> None:
    metrics = small.place / "metrics.json"
    metrics.write_text(json.dumps({"=auc": 0.5, "+x": -0.25}), encoding="utf-8")
    small.as_().register("churn", "4", small.artefact("4"), metrics=metrics)
    data = small.as_().export_csv()
    header = next(csv.reader(io.StringIO(data.decode())))
    assert {"metrics.=auc", "metrics.+x"} <= set(header)
    assert not any(name.startswith(STARTS) for name in header)
    (row,) = [row for row in rows(data) if row["version"] == "4"]
    assert row["metrics.+x"] == "-0.25", "a number is a number, also below zero"


def test_commas_quotes_and_letters_survive(small: World) -> None:
    small.as_().tag("churn@1", {"note": 'a, "b"; ü'})
    (row,) = [row for row in rows(small.as_().export_csv()) if row["version"] == "1"]
    assert (row["tag.note"], row["stage"]) == ('a, "b"; ü', "experimental")


def test_the_command(small: World) -> None:
    done = small.cli("export", "csv", "-o", "../out.csv")
    assert done.returncode == 0, done.stderr
    assert len(rows((small.place / "out.csv").read_bytes())) == 3
    again = small.cli("--json", "export", "csv", "-o", "../out2.csv")
    assert json.loads(again.stdout)["versions"] == 3
    piped = small.cli("export", "csv", "-o", "-")
    assert len(rows(piped.stdout.encode())) == 3


def test_the_register_as_a_table_with_proper_types(tmp_path: Path) -> None:
    world = World(tmp_path / "world", now=datetime(2026, 11, 24, 8, tzinfo=UTC))
    world.to_production("1")
    world.as_().deploy("churn@1", environment="production", at="2026-11-24T08:00:00Z")
    world.register("2", metrics={"auc": 0.5, "count": 3})
    frame = world.as_(LEAD).to_dataframe()
    assert list(frame["version"]) == ["1", "2"]
    kinds: dict[str, Any] = {str(name): frame[name].dtype for name in frame}
    for name in ("registered_at", "approval_date", "deployment_date", "training_date"):
        assert isinstance(kinds[name], pd.DatetimeTZDtype), name
        assert str(kinds[name].tz) == "UTC"
    assert isinstance(kinds["stage"], pd.CategoricalDtype)
    assert kinds["stage"].ordered
    assert list(frame[frame["stage"] >= "staging"]["version"]) == ["1"]
    assert (frame["metrics.auc"].tolist(), kinds["metrics.auc"], kinds["size"]) == ([0.91, 0.5], "float64", "int64")
    assert kinds["move_pending"] == "bool"
    assert frame["metrics.count"].isna().tolist() == [True, False]
    assert frame["deployment_date"].isna().tolist() == [False, True]
    assert frame["deployment_date"][0] == pd.Timestamp("2026-11-24T08:00:00Z")
    assert frame["training_date"][0] == pd.Timestamp("2026-01-01", tz="UTC")
    for name in ("model", "version", "blake3", "sha256", "composite_id", "owner"):
        assert all(isinstance(value, str) for value in frame[name]), name


def test_dates_and_stages_have_their_types_also_where_nobody_has_any(small: World) -> None:
    kinds = small.as_().to_dataframe().dtypes
    for name in ("registered_at", "approval_date", "deployment_date", "training_date"):
        assert isinstance(kinds[name], pd.DatetimeTZDtype), name
    assert isinstance(kinds["stage"], pd.CategoricalDtype)
    assert kinds["pipeline_run"] == "string", "an empty column of texts is one"


def test_versions_that_look_like_numbers_stay_texts(small: World) -> None:
    for version in ("1.10", "0012", "1e5"):
        small.as_().register("churn", version, small.artefact(version))
    frame = small.as_().to_dataframe()
    assert {"1.10", "0012", "1e5"} <= set(frame["version"])
    assert {row["version"] for row in rows(small.as_().export_csv())} == set(frame["version"])


def test_an_empty_register_has_the_same_columns_and_types(tmp_path: Path) -> None:
    empty = World(tmp_path / "empty", risk="minimal", leads=(), pipelines=())
    frame = empty.as_().to_dataframe()
    assert len(frame) == 0
    header = empty.as_().export_csv().decode().splitlines()[0].split(",")
    full = World(tmp_path / "full", risk="minimal", leads=(), pipelines=())
    full.as_().register("churn", "1", full.artefact("1"))
    other = full.as_().to_dataframe()
    assert list(frame.columns) == list(other.columns) == header
    assert frame.dtypes.astype(str).to_dict() == other.dtypes.astype(str).to_dict()


def test_a_file_has_the_mark_that_spreadsheets_look_for_and_notes(small: World) -> None:
    small.as_().note("churn@1", "geprüft")
    assert small.cli("export", "csv", "-o", "../out.csv").returncode == 0
    path = small.place / "out.csv"
    data = path.read_bytes()
    assert data.startswith(b"\xef\xbb\xbfmodel,")
    frame = pd.read_csv(path, dtype=str)
    assert frame["model"][0] == "churn"
    assert "geprüft" in frame["notes"][0]


def test_only_an_earlier_export_is_written_over(small: World) -> None:
    path = small.place / "out.csv"
    for standing in (b"", b"name;owner\n", b"model,version\n1,2\n"):
        path.write_bytes(standing)
        refused = small.cli("export", "csv", "-o", "../out.csv")
        assert (refused.returncode, "MR-C009" in refused.stderr) == (6, True), refused.stderr
        assert path.read_bytes() == standing
    path.unlink()
    for _ in range(2):
        assert small.cli("export", "csv", "-o", "../out.csv").returncode == 0
