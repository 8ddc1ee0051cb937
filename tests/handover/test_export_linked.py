"""Params and metrics of logged models: in MLflow's list of models, compared, and absent from what came before them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mlflow_exports import counts, export, places
from mlflow_server import MlflowServer, Proxy
from world import LEAD, SME, World, gate

from manual_registry.core.handover import mapping
from manual_registry.core.handover.entities import VersionEntities
from manual_registry.registry import Registry, handover

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
MAPPING = "manual_registry.mapping"


@contextmanager
def first_mapping(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Export as the first releases did: logged models bear neither params nor metrics, events no marks."""
    made = mapping.version_entities

    def as_then(*words: Any, **named: Any) -> VersionEntities:
        found = made(*words, **named)
        assert found.logged is not None
        return replace(found, logged=replace(found.logged, params={}, metrics=()))

    with monkeypatch.context() as patch:
        patch.setattr(mapping, "MAPPING", "1")
        patch.setattr(mapping, "version_entities", as_then)
        patch.setattr(handover, "_marks", lambda *_: [])
        yield


def logged_model(server: MlflowServer, model: str) -> Any:
    client = server.client()
    (found,) = client.search_logged_models([client.get_experiment_by_name(model).experiment_id])
    return found


def test_models_are_found_by_their_metrics_and_nothing_is_there_twice(
    world: World, mlflow_server: MlflowServer, proxy: Proxy
) -> None:
    many = {f"p{number}": "x" * 6_000 for number in range(130)}
    world.register("1", hyperparameters=many, metrics={"auc": 0.91, "größe/ü": 1, "loss (%)": 2.5})
    done = export(world, proxy)
    assert (done["verified"], done["mismatches"]) == (True, [])
    client = mlflow_server.client()
    where = [client.get_experiment_by_name(world.model).experiment_id]
    (found,) = client.search_logged_models(where, filter_string="metrics.auc > 0.9 and params.p0 LIKE 'x%'")
    assert client.search_logged_models(where, filter_string="metrics.auc > 0.92") == []
    run = client.get_run(found.source_run_id)
    assert found.params == run.data.params == many
    assert {one.key: one.value for one in found.metrics} == run.data.metrics
    # A second report of a gate is a later step, in both.
    world.as_().attach(f"{world.model}@1", metadata=world.metadata("second.yaml", **{**_only("gates")}))
    assert export(world, proxy)["verified"]
    for name in run.data.metrics:
        steps = [one.step for one in client.get_metric_history(found.source_run_id, name)]
        linked = [one.step for one in logged_model(mlflow_server, world.model).metrics if one.key == name]
        assert (steps, sorted(linked)) == ([0, 1], [0, 1]) if name.startswith("gate/performance") else ([0], [0]), name
    proxy.seen[:] = []
    assert (export(world, proxy)["requests"], proxy.writes) == (0, [])
    assert counts(mlflow_server, world.model) == (1, 1, 1)


def _only(*kept: str) -> dict[str, Any]:
    every = ("training_data", "code", "training_date", "pipeline_run", "hyperparameters", "metrics", "environment")
    rest: dict[str, Any] = dict.fromkeys((*every, "owner", "card"))
    return {**rest, **{name: [gate("performance")] for name in kept}}


def test_what_others_link_is_theirs_and_what_is_logged_over_is_told(world: World, mlflow_server: MlflowServer) -> None:
    world.register("1")
    export(world, mlflow_server)
    client, model = mlflow_server.client(), logged_model(mlflow_server, world.model)
    # An evaluation of months later, in a run of its own, and a param that somebody adds.
    other = client.create_run(model.experiment_id)
    client.log_metric(other.info.run_id, "auc", 0.4, model_id=model.model_id)
    client.log_model_params(model.model_id, {"mine": "yes"})
    client.set_terminated(other.info.run_id)
    assert export(world, mlflow_server, verify_only=True)["mismatches"] == []
    assert export(world, mlflow_server)["requests"] == 0
    client.log_metric(model.source_run_id, "auc", 0.99, model_id=model.model_id)
    told = [("model.metric", "auc", "changed"), ("run.metric", "auc", "changed")]
    assert places(export(world, mlflow_server, verify_only=True)) == told
    assert places(export(world, mlflow_server)) == told


def test_what_the_first_mapping_wrote_is_no_edit_and_is_brought_up_to_date(
    world: World, mlflow_server: MlflowServer, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    world.to_production("1")
    world.register("2")
    with first_mapping(monkeypatch):
        assert export(world, proxy)["verified"]
    client = mlflow_server.client()
    assert client.get_model_version(world.model, "1").tags[MAPPING] == "1"
    # Nothing is missing before the next export, here or in an import.
    assert export(world, proxy, verify_only=True)["mismatches"] == []
    Registry.init(tmp_path / "brought", risk="minimal")
    brought = Registry.open(tmp_path / "brought", actor=SME)
    assert brought.import_mlflow(proxy.uri, models=[world.model]).document()["warnings"] == []
    # What somebody edits meanwhile is told all the same.
    client.set_model_version_tag(world.model, "2", "aisdp.stage", "production")
    assert places(export(world, proxy, verify_only=True)) == [("version.tag", "aisdp.stage", "changed")]
    client.set_model_version_tag(world.model, "2", "aisdp.stage", "experimental")
    world.as_().note(f"{world.model}@1", "seen")
    done = export(world, proxy)
    assert (done["verified"], done["mismatches"], len(done["exported"])) == (True, [], 2)
    assert counts(mlflow_server, world.model) == (2, 2, 2)
    for one in client.search_model_versions(f"name = '{world.model}'"):
        found, run = client.get_logged_model(one.source.removeprefix("models:/")), client.get_run(one.run_id)
        assert (one.tags[MAPPING], found.params) == ("2", {"depth": "3"})
        assert {each.key: each.value for each in found.metrics} == run.data.metrics
        assert all(len(client.get_metric_history(one.run_id, name)) == 1 for name in run.data.metrics)
    assert client.get_registered_model(world.model).tags[MAPPING] == "2"
    proxy.seen[:] = []
    assert (export(world, proxy)["requests"], proxy.writes) == (0, [])
    # From here on the number of the first mapping is an edit, by which nothing is hidden.
    client.set_model_version_tag(world.model, "1", MAPPING, "1")
    client.set_registered_model_tag(world.model, MAPPING, "1")
    edits = [("version.tag", MAPPING, "changed"), ("registered_model.tag", MAPPING, "changed")]
    assert places(export(world, proxy, verify_only=True)) == edits
    assert places(export(world, proxy)) == edits


def test_a_register_that_was_closed_before_the_second_mapping_has_no_mismatch(
    world: World, mlflow_server: MlflowServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.register("1")
    with first_mapping(monkeypatch):
        export(world, mlflow_server)
    world.as_(LEAD).close(mlflow_server.uri, reason="moved", as_=LEAD, key=world.key(LEAD))
    assert export(world, mlflow_server, verify_only=True, record=True)["mismatches"] == []


def test_a_param_that_was_logged_and_whose_answer_got_lost(
    world: World, mlflow_server: MlflowServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    world.register("1", hyperparameters={f"p{number}": number for number in range(101)})
    real = mlflow.MlflowClient.log_model_params

    def twice(*words: Any, **named: Any) -> None:
        real(*words, **named)
        real(*words, **named)

    monkeypatch.setattr(mlflow.MlflowClient, "log_model_params", twice)
    done = export(world, mlflow_server)
    assert (done["verified"], len(logged_model(mlflow_server, world.model).params)) == (True, 101)


def test_a_file_that_the_first_release_named_otherwise(
    world: World, mlflow_server: MlflowServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from manual_registry.core.handover import limits

    folder = tmp_path / "folder"
    (folder / "sub:").mkdir(parents=True)
    for name in ("http:", "sub:/x", "plain"):
        (folder / name).write_text(name)
    world.as_().register(world.model, "1", folder, metadata=world.metadata())
    with monkeypatch.context() as patch:
        patch.setattr(limits, "spelled_path", limits.spelled_path_at_first)
        export(world, mlflow_server)
    listed = {path.name for path in mlflow_server.artefacts.rglob("*") if "http" in path.name}
    assert "http:" in listed
    for options in ({"verify_only": True}, {}, {"verify_only": True}):
        assert export(world, mlflow_server, **options)["mismatches"] == []
    stored = next(path for path in mlflow_server.artefacts.rglob("http:"))
    stored.write_text("other")
    assert [one["problem"] for one in export(world, mlflow_server, verify_only=True)["mismatches"]] == ["changed"]


def test_every_report_of_a_gate_is_a_step_whenever_it_came(world: World, mlflow_server: MlflowServer) -> None:
    def attach(report: dict[str, Any], ref: str) -> None:
        path = world.place / f"{ref.replace('@', '-')}-{report['metrics'][0]['value']}.json"
        path.write_text(json.dumps(report))
        world.as_(SME).attach(f"{world.model}@{ref}", gates=[path])

    def steps(version: str) -> list[tuple[int, float]]:
        client = mlflow_server.client()
        (found,) = client.search_model_versions(
            f"name = '{world.model}' and tag.`manual_registry.version` = '{version}'"
        )
        values = client.get_metric_history(found.run_id, "gate/fairness/fairness_score")
        return sorted((one.step, one.value) for one in values)

    reports = [gate("fairness", value=value, lower=value) for value in (0.81, 0.88, 0.93)]
    world.register("1", gates=[])
    world.register("2", gates=[])
    for report in reports[:2]:
        attach(report, "1")
    attach(reports[0], "2")
    assert export(world, mlflow_server)["verified"]
    attach(reports[1], "2")
    assert export(world, mlflow_server)["verified"]
    for ref in ("1", "2"):
        attach(reports[2], ref)
    assert export(world, mlflow_server)["verified"]
    assert steps("1") == steps("2") == [(0, 0.81), (1, 0.88), (2, 0.93)]
    again = export(world, mlflow_server)
    assert (again["requests"], again["mismatches"]) == (0, [])
