"""What a run says in the register's terms, without MLflow: nothing refused, nothing dropped without a word."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manual_registry.core.canonical import decode, dump, encode, parse
from manual_registry.core.errors import UsageError
from manual_registry.core.handover import back
from manual_registry.core.handover.entities import Dataset, Metric, Run
from manual_registry.core.handover.runs import Chosen, Told, record_bytes, told
from manual_registry.core.metadata import Metadata, completed
from manual_registry.core.references import own_hash, parse_reference
from manual_registry.registry import Registry

COMMIT = "0123456789abcdef0123456789abcdef01234567"
MODEL = Chosen(name="model", id="m-1")


def run(**parts: Any) -> Run:
    """Return a run that says nothing but ``parts``."""
    empty: dict[str, Any] = {"tags": {}, "params": {}, "metrics": (), "datasets": (), "files": ()}
    return Run(**{"name": "", "start": 1767225600000, "end": None, "status": "FINISHED", **empty, **parts})


def metric(name: str, value: float, step: int = 0, timestamp: int = 1) -> Metric:
    """Return a metric."""
    return Metric(name=name, value=value, timestamp=timestamp, step=step)


def dataset(name: str = "train", context: str = "training", source: str = '{"uri": "x.csv"}') -> Dataset:
    """Return a data set of somebody else's."""
    return Dataset(name=name, digest="2981c147", source_type="local", source=source, context=context)


def said(chosen: Chosen = MODEL, **parts: Any) -> Told:
    """Return what a run of ``parts`` says."""
    return told(run(**parts), "r1", chosen)


def left(found: Told) -> str:
    """Return all that was told as one text."""
    return "\n".join(found.left)


def test_every_field_that_a_run_has() -> None:
    found = said(
        end=1767312000000,
        params={"depth": "3", "rate": "0.10"},
        metrics=(metric("auc", 0.9),),
        datasets=(dataset(),),
        tags={
            "mlflow.source.git.commit": COMMIT,
            "mlflow.source.git.repoURL": "https://git.example.org/a.git",
            "mlflow.user": "ada",
            "mlflow.note.content": "The\nsecond try",
            "team": "risk",
        },
    )
    assert found.metadata == Metadata(
        training_data=("mlflow:train@2981c147",),
        code_commit=COMMIT,
        code_repository="https://git.example.org/a.git",
        training_date="2026-01-02T00:00:00.000Z",
        pipeline_run="mlflow:r1",
        hyperparameters={"depth": 3, "rate": "0.10"},
        metrics={"auc": 0.9},
        owner="ada",
        description="The\nsecond try",
        tags={"team": "risk"},
    )
    assert found.left == ()


def test_a_run_that_says_nothing() -> None:
    found = said(start=None)
    assert found.metadata == Metadata(pipeline_run="mlflow:r1")
    assert found.left == ()


def test_what_no_field_takes_up_is_told() -> None:
    found = said(
        name="popular-horse",
        start=10**17,
        metrics=(metric("loss", math.nan), metric("top", math.inf), metric("auc", 0.9, step=5)),
        datasets=(dataset("holdout", "validation"), dataset("all", "Train"), dataset("plain", "")),
        tags={
            "mlflow.source.git.commit": "main",
            "mlflow.source.git.repoURL": "https://git.example.org/a.git",
            "mlflow.source.name": "train.py",
            "mlflow.user": "a\x07da",
            "mlflow.note.content": "x" * 40_000,
            "two words": "1",
            "ok": "line\nbreak",
            "fine": "yes",
        },
    )
    metadata = found.metadata
    assert metadata.training_data == ("mlflow:all@2981c147", "mlflow:plain@2981c147")
    assert (metadata.metrics, metadata.tags) == ({"auc": 0.9}, {"fine": "yes"})
    assert (metadata.code_commit, metadata.code_repository, metadata.training_date) == (None, None, None)
    assert (metadata.owner, metadata.description) == (None, None)
    for word in ("loss, top", "auc (step 5)", "holdout", "validation", "'main'", "popular-horse", "train.py", "U+0007"):
        assert word in left(found), word
    for word in ("40000 characters", "'two words'", "tag ok", "100000000000000000"):
        assert word in left(found), word


def test_of_one_model_the_last_values_of_the_run_count() -> None:
    chosen = Chosen(name="model", id="m-1", metrics=(metric("auc", 0.5), metric("f1", 0.3)))
    found = said(chosen, metrics=(metric("auc", 0.9, step=1),))
    assert found.metadata.metrics == {"auc": 0.9, "f1": 0.3}
    assert "auc (0.5)" in left(found)


def test_of_several_models_the_chosen_ones_count() -> None:
    chosen = Chosen(name="small", id="m-1", others=1, metrics=(metric("auc", 0.8, step=2), metric("auc", 0.5, step=1)))
    found = said(chosen, metrics=(metric("auc", 0.9, step=3), metric("loss", 0.1)))
    assert found.metadata.metrics == {"auc": 0.8, "loss": 0.1}
    assert "not linked to small" in left(found)
    assert "loss" in left(found)


def test_a_nan_that_a_server_gives_as_zero_is_left_out() -> None:
    points = (metric("nan", 0.0), metric("zero", 0.0), metric("same", 0.5))
    whole = (metric("nan", math.nan), metric("zero", 0.0), metric("same", 0.9))
    found = said(Chosen(name="small", id="m-1", others=1, metrics=points), metrics=whole)
    assert found.metadata.metrics == {"zero": 0.0, "same": 0.5}  # one millisecond, two models: each has its own
    assert found.left == ("metrics that are no finite numbers: nan",)


def test_a_zero_that_the_run_does_not_settle_and_the_largest_number_are_told() -> None:
    chosen = Chosen(name="small", id="m-1", others=1, metrics=(metric("loss", 0.0),))
    found = said(chosen, metrics=(metric("loss", 0.7, timestamp=2), metric("top", -sys.float_info.max)))
    assert found.metadata.metrics == {"loss": 0.0, "top": -sys.float_info.max}
    assert "for a NaN of a logged model; the run's own values do not settle it: loss" in left(found)
    assert "for infinity: top" in left(found)


def test_params_and_tags_of_the_model_count_before_the_runs() -> None:
    chosen = Chosen(name="m", id="m-1", params={"depth": "4"}, tags={"team": "b", "mlflow.modelVersions": "[]"})
    found = said(chosen, params={"depth": "3", "x": "y"}, tags={"team": "a"})
    assert found.metadata.hyperparameters == {"depth": 4, "x": "y"}
    assert found.metadata.tags == {"team": "b"}


def test_names_of_our_own_export_come_back_and_theirs_stay() -> None:
    ours = {"manual_registry.registry_id": "r", "manual_registry.model": "m", "manual_registry.version": "1"}
    metrics = (metric("a_x40_b", 1.0), metric("subgroup/sex/f/auc", 0.8), metric("gate/fair/score", 0.9))
    found = said(tags=ours, metrics=metrics, params={"p_x40_q": "1"})
    assert found.metadata.metrics == {"a@b": 1.0}
    assert found.metadata.subgroup_metrics == {"sex": {"f": {"auc": 0.8}}}
    assert found.metadata.hyperparameters == {"p@q": 1}
    assert found.metadata.tags == {}
    theirs = said(metrics=metrics, params={"p_x40_q": "1"})
    assert theirs.metadata.metrics == {"a_x40_b": 1.0, "subgroup/sex/f/auc": 0.8, "gate/fair/score": 0.9}
    assert theirs.metadata.hyperparameters == {"p_x40_q": 1}


# -- params ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3), ("0.1", 0.1), ("1e-05", 1e-05), ("true", True), ("null", None), ("[1, 2]", [1, 2]), ("[1,2]", [1, 2]),
        ('{"a": 1}', {"a": 1}), ("12345678901234567890", 12345678901234567890), ('{"$float":"inf"}', math.inf),
        ("0.10", "0.10"), ("1.0", "1.0"), ("1e-5", "1e-5"), ("True", "True"), ("[1.0]", "[1.0]"), ("-0", "-0"),
        ('{"b":1,"a":2}', '{"b":1,"a":2}'), ("1e999", "1e999"), ("[" * 5000, "[" * 5000), ("007", "007"), ("", ""),
    ],
)  # fmt: skip
def test_a_param_that_does_not_spell_back_stays_text(text: str, value: Any) -> None:
    assert decode(back.hyperparameter(text)) == value
    assert type(decode(back.hyperparameter(text))) is type(value)


@given(st.text() | st.from_regex(r"-?[0-9]{1,20}(\.[0-9]{1,5})?(e-?[0-9]{1,3})?", fullmatch=True))
def test_no_param_loses_its_text(text: str) -> None:
    kept = back.hyperparameter(text)
    if isinstance(kept, str):
        assert kept == text
        return
    again = decode(parse(dump(kept)))
    assert text in (dump(encode(again)).decode().rstrip("\n"), json.dumps(again, ensure_ascii=False))


# -- data sets -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "reference"),
    [
        (json.dumps({"reference": "sha256:" + "ab" * 32, "hash": "ab" * 32}), "sha256:" + "ab" * 32),
        (json.dumps({"reference": "s3://bucket/x", "hash": "1"}), "mlflow:a%20b@2981c147"),
        (json.dumps({"reference": 5}), "mlflow:a%20b@2981c147"),
        ("[" * 100_000, "mlflow:a%20b@2981c147"),
        ("no JSON", "mlflow:a%20b@2981c147"),
    ],
)
def test_a_data_set_is_ours_or_named_by_its_digest(source: str, reference: str) -> None:
    found = back.reference(dataset("a b", source=source))
    assert found == {"reference": reference, "hash": own_hash(parse_reference(reference))}


@given(st.text(), st.text())
def test_whatever_a_data_set_is_called_it_has_a_reference(name: str, digest: str) -> None:
    one = Dataset(name=name, digest=digest, source_type="", source="{}", context="")
    text = back.reference(one)["reference"]
    assert parse_reference(text).text == text


# -- what is kept --------------------------------------------------------------------------------------------------


def test_all_of_it_is_kept_without_credentials_and_the_same_in_every_order() -> None:
    secret = dataset(source='{"url": "https://ada:geheim@host/x?sig=geheim"}')
    parts: dict[str, Any] = {
        "tags": {"mlflow.source.git.repoURL": "https://geheim@host/a.git", "odd": "\ud800"},
        "metrics": (metric("b", math.nan), metric("a", 1.0)),
        "datasets": (secret, dataset("other")),
    }
    chosen = Chosen(name="m", id="m-1", tags={"mlflow.modelVersions": "[1]", "mine": "1"})
    data = record_bytes(run(**parts), "r1", chosen, server="http://host")
    assert b"geheim" not in data
    document = json.loads(data)
    assert [one["value"] for one in document["run"]["metrics"]] == [1.0, "nan"]
    assert document["model"]["tags"] == {"mine": "1"}
    turned = {**parts, "metrics": parts["metrics"][::-1], "datasets": parts["datasets"][::-1]}
    assert record_bytes(run(**turned), "r1", chosen, server="http://host") == data


def test_a_file_counts_before_the_run_field_by_field() -> None:
    one = Metadata(metrics={"a": 1.0}, tags={"x": "file"}, code_commit="a" * 40, hyperparameters={})
    other = Metadata(
        metrics={"b": 2.0},
        tags={"x": "run", "y": "run"},
        code_commit=COMMIT,
        code_repository="https://h/r",
        hyperparameters={"p": 1},
        owner="ada",
    )
    made = completed(one, other)
    assert made == Metadata(
        metrics={"a": 1.0}, tags={"x": "file", "y": "run"}, code_commit="a" * 40, hyperparameters={}, owner="ada"
    )
    assert completed(Metadata(), other) == other


# -- where ---------------------------------------------------------------------------------------------------------


def test_where_a_run_is_looked_for(tmp_path: Path) -> None:
    from manual_registry.adapters.mlflow.opening import tracking_address

    with pytest.raises(UsageError, match="neither mlruns nor"):
        tracking_address(None, {}, tmp_path)
    (tmp_path / "mlruns").mkdir()  # as a server with a database has it: files alone
    with pytest.raises(UsageError):
        tracking_address(None, {}, tmp_path)
    (tmp_path / "mlflow.db").touch()
    assert tracking_address(None, {}, tmp_path) == str(tmp_path / "mlflow.db")
    (tmp_path / "mlruns/0").mkdir()
    (tmp_path / "mlruns/0/meta.yaml").touch()
    assert tracking_address(None, {}, tmp_path) == str(tmp_path / "mlruns")
    assert tracking_address(None, {"MLFLOW_TRACKING_URI": "http://h"}, tmp_path) == "http://h"
    assert tracking_address("x", {"MLFLOW_TRACKING_URI": "http://h"}, tmp_path) == "x"


def test_the_facade_names_the_options_of_register() -> None:
    import inspect

    from manual_registry.registry.commands.change import RegisterOptions

    taken = inspect.signature(Registry.register).parameters.keys() - {"self", "model", "version", "path"}
    assert RegisterOptions.__annotations__.keys() == taken - {"dereference", "progress"}
