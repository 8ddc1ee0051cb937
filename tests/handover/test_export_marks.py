"""The export's own tags when somebody edits them, one server by several addresses, and an end in the middle."""

from __future__ import annotations

import json
from typing import Any

import pytest
from mlflow_exports import export, killed_after, places
from mlflow_server import MlflowServer, Proxy
from world import LEAD, LEAD2, World

from manual_registry.core import events as kinds
from manual_registry.registry import Registry

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
THROUGH = "manual_registry.exported_through"
EXPORTING = "manual_registry.exporting_through"
ALIAS = "manual_registry.production_alias"


def last_export(world: World) -> dict[str, Any]:
    """Return the data of the last recorded export."""
    events = [json.loads(path.read_bytes()) for path in sorted((world.root / "ledger").iterdir())]
    data: dict[str, Any] = [one["data"] for one in events if one["type"] == kinds.EXPORTED][-1]
    return data


def test_edits_of_what_the_export_says_of_itself_are_told(
    world: World, mlflow_server: MlflowServer, proxy: Proxy
) -> None:
    model = world.model
    world.register("1")
    world.as_().note(f"{model}@1", "seen")
    world.register("2")
    export(world, proxy)
    through = last_export(world)["through"]
    assert [(one["version"], one["through"], one["alias"]) for one in last_export(world)["marks"]] == [
        (None, through, "production"),
        ("1", through, None),
        ("2", through, None),
    ]
    client = mlflow_server.client()
    run_id = client.get_model_version(model, "1").run_id
    client.set_model_version_tag(model, "1", THROUGH, str(through - 1))
    client.set_tag(run_id, THROUGH, "1")
    client.set_registered_model_tag(model, THROUGH, str(through - 2))
    client.set_registered_model_tag(model, ALIAS, "champion")
    proxy.seen[:] = []
    for options in ({"verify_only": True}, {"dry_run": True}, {}):
        assert set(places(export(world, proxy, **options))) == {
            ("version.tag", THROUGH, "changed"),
            ("run.tag", THROUGH, "changed"),
            ("registered_model.tag", THROUGH, "changed"),
            ("registered_model.tag", ALIAS, "changed"),
        }
    assert proxy.writes == []
    client.set_tag(run_id, THROUGH, str(through))
    client.set_registered_model_tag(model, THROUGH, str(through))
    # An edited tag takes nothing away: what is new goes over, and production keeps its name. It is told all the same.
    world.as_().note(f"{model}@1", "seen again")
    world.to_production("3")
    done = export(world, proxy)
    assert set(places(done)) == {
        ("version.tag", THROUGH, "changed"),
        ("registered_model.tag", ALIAS, "changed"),
    }
    assert client.get_registered_model(model).aliases == {"production": "3"}
    assert export(world, proxy)["verified"]
    assert client.get_registered_model(model).tags[ALIAS] == "production"
    # One that was taken away is written again.
    client.delete_model_version_tag(model, "1", THROUGH)
    client.delete_registered_model_tag(model, ALIAS)
    assert set(places(export(world, proxy, verify_only=True))) == {
        ("version.tag", THROUGH, "missing"),
        ("registered_model.tag", ALIAS, "missing"),
    }
    assert export(world, proxy)["mismatches"] == []
    proxy.seen[:] = []
    assert (export(world, proxy)["requests"], export(world, proxy, verify_only=True)["mismatches"]) == (0, [])
    assert world.as_().verify().ok


def test_a_value_set_back_with_the_tags_that_excuse_it_is_told_and_left(
    world: World, mlflow_server: MlflowServer
) -> None:
    ref = world.to_staging("1")
    export(world, mlflow_server)
    old = last_export(world)["through"]
    world.approve(ref, "production")
    world.promote(ref, "production")
    assert export(world, mlflow_server)["verified"]
    client = mlflow_server.client()
    found = client.get_model_version(world.model, "1")
    client.set_model_version_tag(world.model, "1", "aisdp.stage", "staging")
    client.set_model_version_tag(world.model, "1", THROUGH, str(old))
    client.set_tag(found.run_id, THROUGH, str(old))
    client.set_tag(found.run_id, EXPORTING, str(old))
    assert ("version.tag", "aisdp.stage", "changed") in places(export(world, mlflow_server))
    assert client.get_model_version(world.model, "1").tags["aisdp.stage"] == "staging"


def test_a_name_for_production_is_kept_before_there_is_any(world: World, mlflow_server: MlflowServer) -> None:
    world.register("1")
    export(world, mlflow_server)
    export(world, mlflow_server, alias="champion")
    world.to_production("2")
    assert export(world, mlflow_server)["verified"]
    assert mlflow_server.client().get_registered_model(world.model).aliases == {"champion": "2"}


def test_an_export_that_was_not_recorded_is_no_edit(world: World, mlflow_server: MlflowServer, proxy: Proxy) -> None:
    world.to_production("1")
    export(world, proxy)
    world.as_().note(f"{world.model}@1", "one")
    killed_after(world, proxy, "POST", "registered-models/set-tag", "--alias", "champion")
    world.as_().note(f"{world.model}@1", "two")
    done = export(world, proxy, verify_only=True)
    assert not [one for one in places(done) if one[1] in (THROUGH, ALIAS)]
    assert export(world, proxy)["mismatches"] == []
    assert export(world, proxy, verify_only=True)["mismatches"] == []


def test_one_server_by_several_addresses_is_one_history(world: World, mlflow_server: MlflowServer) -> None:
    world.register("1")
    export(world, mlflow_server)
    before = len(world.as_().history())
    client = mlflow_server.client()
    for address in (f"http://localhost:{mlflow_server.port}/", f"HTTP://LocalHost:{mlflow_server.port}"):
        done = world.as_().export_mlflow(address).document()
        assert (done["requests"], done["read"], done["events"]) == (0, 0, [])
    assert len(world.as_().history()) == before
    client.set_registered_model_tag(world.model, ALIAS, "champion")
    done = world.as_().export_mlflow(f"http://localhost:{mlflow_server.port}", verify_only=True, record=True).document()
    assert places(done) == [("registered_model.tag", ALIAS, "changed")]
    # The check that was recorded by another address is known to the next export.
    client.set_registered_model_tag(world.model, ALIAS, "production")
    assert (export(world, mlflow_server)["mismatches"], len(world.as_().history())) == ([], before + 2)


def test_the_register_is_closed_while_an_export_runs(world: World, mlflow_server: MlflowServer, proxy: Proxy) -> None:
    world.register("1")
    closed: list[bool] = []

    def close(_number: int, method: str, path: str) -> None:
        if "model-versions/create" in path and not closed:
            closed.append(True)
            Registry.open(world.root, actor=LEAD2, clock=world.clock).close(
                mlflow_server.uri, reason="moved", as_=LEAD, key=world.key(LEAD)
            )

    proxy.after = close
    shown = world.cli("--json", "export", "mlflow", "--tracking-uri", proxy.uri)
    proxy.after = None
    done = json.loads(shown.stdout)
    assert (shown.returncode, done["events"], len(done["exported"]), done["verified"]) == (3, [], 1, True)
    why = done["unrecorded"]
    assert (why["code"], "was closed while this export ran" in why["message"]) == ("MR-P080", True)
    assert f"({done['requests']} writes)" in why["message"]
    words = why["hint"].removeprefix("mreg ").split()
    shown = world.cli(*words)
    assert (shown.returncode, "no mismatch" in shown.stdout) == (0, True), shown.stderr
    assert last_export(world)["action"] == "check"


def test_a_check_of_somebody_elses_names_can_be_recorded(world: World, mlflow_server: MlflowServer) -> None:
    world.register("1")
    mlflow_server.client().create_registered_model(world.model)
    done = export(world, mlflow_server, verify_only=True, record=True)
    assert ("registered_model", world.model, "foreign") in places(done)
    assert ("unrecorded" in done, len(done["events"])) == (False, 1)
    assert world.as_().verify().ok
