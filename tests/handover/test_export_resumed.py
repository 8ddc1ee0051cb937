"""`export mlflow` interrupted while the ledger goes on, and by two machines at once: what is ours is never told as edited."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow_exports import counts, export, killed_after, places
from mlflow_server import MlflowServer, Proxy
from world import SME, World

from manual_registry.core.errors import Busy, ExportedAhead
from manual_registry.registry import Registry

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def test_an_interrupted_update_and_a_ledger_that_goes_on(
    world: World, mlflow_server: MlflowServer, proxy: Proxy
) -> None:
    """Twice interrupted, at two heads: three generations of values are there, all of them ours."""
    world.register("1")
    export(world, proxy)
    world.as_().note(f"{world.model}@1", "first")
    killed_after(world, proxy, "PUT", "record.json")
    world.as_().note(f"{world.model}@1", "second")
    killed_after(world, proxy, "PUT", "events.jsonl")
    world.as_().note(f"{world.model}@1", "third")
    done = export(world, proxy)
    assert (done["verified"], done["mismatches"]) == (True, [])
    client = mlflow_server.client()
    run = client.get_run(client.get_model_version(world.model, "1").run_id)
    said = run.data.tags["manual_registry.exported_through"]
    assert run.data.tags["manual_registry.exporting_through"] == said
    proxy.seen[:] = []
    assert (export(world, proxy)["requests"], proxy.writes) == (0, [])
    # What somebody puts there afterwards is told as before, be it what the ledger once said.
    client.set_tag(run.info.run_id, "mlflow.user", "mallory")
    assert ("run.tag", "mlflow.user", "changed") in places(export(world, proxy))


def test_a_first_export_killed_twice_with_a_ledger_that_goes_on(
    world: World, mlflow_server: MlflowServer, proxy: Proxy
) -> None:
    world.register("1")
    for text in ("one", "two"):
        killed_after(world, proxy, "PUT", "record.json")
        world.as_().note(f"{world.model}@1", text)
    done = export(world, proxy)
    assert (done["verified"], done["mismatches"]) == (True, [])
    assert counts(mlflow_server, world.model) == (1, 1, 1)


def test_an_alias_that_an_interrupted_export_had_moved(world: World, mlflow_server: MlflowServer, proxy: Proxy) -> None:
    for version in ("1", "2", "3"):
        world.register(version)
    world.as_().alias_set(world.model, "candidate", "1")
    export(world, proxy)
    world.as_().alias_set(world.model, "candidate", "2")
    killed_after(world, proxy, "POST", "registered-models/alias")
    world.as_().alias_set(world.model, "candidate", "3")
    done = export(world, proxy)
    assert (done["verified"], done["mismatches"]) == (True, [])
    assert mlflow_server.client().get_model_version_by_alias(world.model, "candidate").version == "3"


def test_what_the_released_tool_exported_goes_on(world: World, mlflow_server: MlflowServer, proxy: Proxy) -> None:
    """It did not say what it was about to write: its values are taken as ever, with no write where there is no news."""
    world.register("1")
    export(world, proxy)
    client = mlflow_server.client()
    client.delete_registered_model_tag(world.model, "manual_registry.exporting_through")
    proxy.seen[:] = []
    assert (export(world, proxy)["requests"], proxy.writes) == (0, [])
    world.as_().note(f"{world.model}@1", "seen")
    assert export(world, proxy)["verified"]


def test_the_way_out_where_a_client_cannot_put_it_right(world: World, mlflow_server: MlflowServer) -> None:
    """A metric that was logged over stays so: the version goes, with its logged model and run, and comes anew."""
    world.register("1")
    export(world, mlflow_server)
    client = mlflow_server.client()
    version = client.get_model_version(world.model, "1")
    client.log_metric(version.run_id, "auc", 0.99, step=1)
    assert places(export(world, mlflow_server)) == [("run.metric", "auc", "changed")]
    client.delete_model_version(world.model, "1")
    client.delete_logged_model(version.source.removeprefix("models:/"))
    client.delete_run(version.run_id)
    done = export(world, mlflow_server)
    assert (done["verified"], done["mismatches"]) == (True, [])
    assert export(world, mlflow_server, verify_only=True)["verified"]


# -- another machine, another copy ---------------------------------------------------------------------------------


def test_what_another_machine_wrote_at_the_same_moment(
    world: World, mlflow_server: MlflowServer, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database refuses the second of two; what is there by then is what this export wanted to write."""
    import mlflow
    from mlflow.exceptions import MlflowException

    world.to_staging("1")
    refused = "(sqlite3.IntegrityError) UNIQUE constraint failed: inputs.source_type, inputs.source_id"

    def twice(real: Callable[..., Any]) -> Callable[..., Any]:
        def write(*words: Any, **named: Any) -> None:
            real(*words, **named)
            raise MlflowException(refused)

        return write

    for name in ("log_inputs", "log_outputs"):
        monkeypatch.setattr(mlflow.MlflowClient, name, twice(getattr(mlflow.MlflowClient, name)))
    done = export(world, mlflow_server)
    assert (done["verified"], done["mismatches"]) == (True, [])
    monkeypatch.undo()
    world.as_().alias_set(world.model, "x", "1")
    proxy.before = lambda _number, method, path: (400, body) if path.endswith("registered-models/alias") else None
    body = json.dumps({"error_code": "BAD_REQUEST", "message": refused}).encode()
    with pytest.raises(Busy, match="at the same moment") as caught:
        export(world, proxy)
    assert "sqlite3" not in caught.value.message
    assert export(world, mlflow_server)["verified"]


def test_an_older_copy_of_the_registry_exports_nothing(
    world: World, mlflow_server: MlflowServer, proxy: Proxy, tmp_path: Path
) -> None:
    world.register("1")
    shutil.copytree(world.root, tmp_path / "older")
    older = Registry.open(tmp_path / "older", actor=SME)
    world.as_().note(f"{world.model}@1", "seen")
    export(world, proxy)
    head = len(list((tmp_path / "older" / "ledger").iterdir()))
    proxy.seen[:] = []
    for options in ({}, {"dry_run": True}):
        with pytest.raises(ExportedAhead, match=f"through event {head + 1} .* ends here with event {head}:"):
            older.export_mlflow(proxy.uri, **options)
    assert ("version.tag", "manual_registry.exported_through", "changed") in places(
        older.export_mlflow(proxy.uri, verify_only=True).document()
    )
    assert proxy.writes == []
    # The same of an edited tag; a check of the right copy tells that alone.
    client = mlflow_server.client()
    for value in ("999999", "abc", "0", "٣"):
        client.set_model_version_tag(world.model, "1", "manual_registry.exported_through", value)
        assert places(export(world, proxy, verify_only=True)) == [
            ("version.tag", "manual_registry.exported_through", "changed")
        ]
