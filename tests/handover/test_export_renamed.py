"""`export mlflow` where somebody renamed, re-tagged or deleted what stands once for a model: told, and nothing is doubled."""

from __future__ import annotations

from typing import Any

import pytest
from mlflow_exports import counts, export, places
from mlflow_server import MlflowServer, Proxy
from world import World

from manual_registry.core.errors import ForeignTarget

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

REGISTRY_ID = "manual_registry.registry_id"


def names(server: MlflowServer, model: str) -> tuple[list[str], list[str]]:
    """Return the names of experiments and registered models that begin with ``model``."""
    client = server.client()
    experiments = [one.name for one in client.search_experiments() if one.name.startswith(model)]
    registered = [one.name for one in client.search_registered_models() if one.name.startswith(model)]
    return sorted(experiments), sorted(registered)


def test_a_renamed_experiment_is_told_and_gone_on_with(world: World, mlflow_server: MlflowServer) -> None:
    world.register("1")
    export(world, mlflow_server)
    client, model = mlflow_server.client(), world.model
    experiment = client.get_experiment_by_name(model).experiment_id
    client.rename_experiment(experiment, f"{model}-old")
    renamed = [("experiment", "name", "changed")]
    assert places(export(world, mlflow_server, verify_only=True)) == renamed
    assert places(export(world, mlflow_server, dry_run=True)) == renamed
    world.register("2")
    done = export(world, mlflow_server)
    assert (places(done), [one["version"] for one in done["exported"]]) == (renamed, ["2"])
    assert done["mismatches"][0]["found"] == f"{model}-old"
    assert names(mlflow_server, model) == ([f"{model}-old"], [model])
    assert len(client.search_runs([experiment])) == 2
    # Somebody else's of its name is none of ours, even where our tags were taken away.
    client.create_experiment(model)
    client.set_experiment_tag(experiment, REGISTRY_ID, "x")
    assert {("experiment", "name", "changed"), ("experiment.tag", REGISTRY_ID, "changed")} == set(
        places(export(world, mlflow_server))
    )
    assert len(client.search_runs([experiment])) == 2


def test_an_empty_experiment_of_the_name_beside_the_renamed_one(world: World, mlflow_server: MlflowServer) -> None:
    """An earlier tool made one when it did not find the name."""
    world.register("1")
    export(world, mlflow_server)
    client, model = mlflow_server.client(), world.model
    experiment = client.get_experiment_by_name(model)
    client.rename_experiment(experiment.experiment_id, f"{model}-old")
    client.create_experiment(model, tags=dict(experiment.tags))
    done = export(world, mlflow_server)
    assert set(places(done)) == {("experiment", "name", "changed"), ("experiment", model, "doubled")}
    assert counts(mlflow_server, model)[:2] == (0, 0)


def test_a_renamed_registered_model_is_told_and_gone_on_with(world: World, mlflow_server: MlflowServer) -> None:
    world.to_production("1")
    export(world, mlflow_server)
    client, model = mlflow_server.client(), world.model
    client.rename_registered_model(model, f"{model}-prev")
    renamed = [("registered_model", "name", "changed")]
    assert places(export(world, mlflow_server, verify_only=True)) == renamed
    world.register("2")
    world.as_().note(f"{model}@1", "seen")
    world.as_().alias_set(model, "candidate", "2")
    assert places(export(world, mlflow_server)) == renamed
    assert names(mlflow_server, model) == ([model], [f"{model}-prev"])
    assert client.get_registered_model(f"{model}-prev").aliases == {"production": "1", "candidate": "2"}
    # A second one over the same runs, as an earlier tool made it, is told.
    version = client.get_model_version(f"{model}-prev", "1")
    client.create_registered_model(model, tags=dict(client.get_registered_model(f"{model}-prev").tags))
    source = version.source
    client.create_model_version(
        model, source, run_id=version.run_id, model_id=source.removeprefix("models:/"), tags=dict(version.tags)
    )
    assert ("registered_model", f"{model}-prev", "doubled") in places(export(world, mlflow_server, verify_only=True))


def test_edited_tags_of_what_stands_once_stop_no_check(world: World, mlflow_server: MlflowServer, proxy: Proxy) -> None:
    world.register("1")
    own, world.model = world.model, f"{world.model}-other"
    world.register("1")
    export(world, proxy)
    client = mlflow_server.client()
    experiment = client.get_experiment_by_name(own).experiment_id

    def check(expected: tuple[str, str, str], **options: Any) -> None:
        done = export(world, proxy, verify_only=True, record=True)
        assert expected in places(done)
        assert done["events"]
        assert not [one for one in done["mismatches"] if one["model"] != own]

    registered = client.get_registered_model(own).tags[REGISTRY_ID]
    proxy.seen[:] = []
    client.set_experiment_tag(experiment, REGISTRY_ID, "x")
    check(("experiment.tag", REGISTRY_ID, "changed"))
    client.delete_registered_model_tag(own, REGISTRY_ID)
    check(("registered_model.tag", REGISTRY_ID, "missing"))
    client.set_registered_model_tag(own, "manual_registry.mapping", "banana")
    check(("registered_model.tag", "manual_registry.mapping", "changed"))
    assert proxy.writes == []
    # An export writes what was taken away, and leaves alone what was changed.
    assert set(places(export(world, proxy))) == {
        ("experiment.tag", REGISTRY_ID, "changed"),
        ("registered_model.tag", "manual_registry.mapping", "changed"),
    }
    assert client.get_registered_model(own).tags[REGISTRY_ID] == registered
    client.set_experiment_tag(experiment, REGISTRY_ID, registered)
    client.set_registered_model_tag(own, "manual_registry.mapping", "1")
    check(("registered_model.tag", "manual_registry.mapping", "changed"))
    client.set_registered_model_tag(own, "manual_registry.mapping", "2")
    client.delete_experiment(experiment)
    check(("experiment", "lifecycle", "changed"))
    with pytest.raises(ForeignTarget, match="restore it first"):
        export(world, proxy)


def test_a_check_tells_names_that_are_somebody_elses(world: World, mlflow_server: MlflowServer, proxy: Proxy) -> None:
    world.register("1")
    mlflow_server.client().create_experiment(world.model)
    mlflow_server.client().create_registered_model(world.model)
    done = export(world, proxy, verify_only=True)
    assert {("experiment", world.model, "foreign"), ("registered_model", world.model, "foreign")} <= set(places(done))
    assert [(one["version"], one["there"]) for one in done["behind"]] == [("1", False), (None, False)]
    with pytest.raises(ForeignTarget):
        export(world, proxy)
    assert proxy.writes == []
