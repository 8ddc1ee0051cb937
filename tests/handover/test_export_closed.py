"""`export mlflow` of a closed register: refused before anything is written there; the check goes on for years (RP-22)."""

from __future__ import annotations

import shutil

import pytest
from mlflow_exports import export, places
from mlflow_server import MlflowServer
from world import LEAD, World

from manual_registry.core.errors import RegistryClosed

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def test_the_last_export_the_end_and_the_years_after(world: World, mlflow_server: MlflowServer) -> None:
    model = world.model
    world.to_production("1")
    world.register("2")
    world.as_().approval_request(f"{model}@2", to="staging")  # it lapses with the end
    assert export(world, mlflow_server)["verified"]
    world.as_(LEAD).close(mlflow_server.uri, reason="moved", as_=LEAD, key=world.key(LEAD))
    client = mlflow_server.client()
    before = {one.version: dict(one.tags) for one in client.search_model_versions(f"name = '{model}'")}
    with pytest.raises(RegistryClosed):
        export(world, mlflow_server)
    # What may still be written into the register is no difference from what was exported.
    world.as_().note(f"{model}@1", "seen by the auditor")
    world.as_().archive(f"{model}@2", reason="never used")
    world.approve(f"{model}@1", "archived")
    world.as_().archive(f"{model}@1", reason="out of service")
    done = export(world, mlflow_server, verify_only=True, record=True)
    assert (done["verified"], places(done), len(done["events"])) == (True, [], 1)
    assert [one["requests"] for one in export(world, mlflow_server, dry_run=True)["skipped"]] == [0, 0]
    assert {one.version: dict(one.tags) for one in client.search_model_versions(f"name = '{model}'")} == before
    number = client.get_model_version_by_alias(model, "production").version
    client.set_model_version_tag(model, number, "manual_registry.stage", "retired")
    changed = export(world, mlflow_server, verify_only=True)
    assert places(changed) == [("version.tag", "manual_registry.stage", "changed")]
    told = world.cli("export", "mlflow", "--tracking-uri", mlflow_server.uri, "--verify-only")
    assert told.returncode == 4
    assert "delete nothing: a closed register makes nothing anew" in told.stdout
    assert not [one for one in world.as_().verify().findings if one.severity.value == "error"]


def test_a_check_from_an_older_copy_says_that_it_may_be_one(world: World, mlflow_server: MlflowServer) -> None:
    world.register("1")
    export(world, mlflow_server)
    copy = world.place / "copy"
    shutil.copytree(world.root, copy)
    world.as_().note(f"{world.model}@1", "later")
    assert export(world, mlflow_server)["verified"]
    words = ("--registry", str(copy), "export", "mlflow", "--tracking-uri", mlflow_server.uri, "--verify-only")
    told = world.cli(*words)
    assert told.returncode == 4
    assert "either this folder is an older copy of the registry" in told.stdout
    assert "deleted there" not in told.stdout
