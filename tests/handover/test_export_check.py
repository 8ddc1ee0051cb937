"""`export mlflow --verify-only` tells what somebody did from a register that went on, and nothing hides behind edited tags."""

from __future__ import annotations

import json
from typing import Any

import pytest
from mlflow_exports import counts, export, killed_after, places
from mlflow_server import MlflowServer, Proxy
from world import LEAD, World

from manual_registry.core.errors import NothingExported, RegistryError

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
VERSION = "manual_registry.version"
VERIFIED = "manual_registry.verified"


def check(world: World, server: MlflowServer | Proxy, **options: Any) -> dict[str, Any]:
    """Return the document of a check."""
    return export(world, server, verify_only=True, **options)


def waits(document: dict[str, Any]) -> list[tuple[str | None, bool]]:
    """Return (version, is it there) of everything that is behind."""
    return [(one["version"], one["there"]) for one in document["behind"]]


def logged(server: MlflowServer, model: str, number: str) -> str:
    """Return the logged model of a model version."""
    source: str = server.client().get_model_version(model, number).source
    return source.removeprefix("models:/")


# -- the register went on -----------------------------------------------------------------------------------------


def test_a_register_that_went_on_is_no_difference(world: World, mlflow_server: MlflowServer) -> None:
    model, client = world.model, mlflow_server.client()
    world.to_staging("1")
    export(world, mlflow_server)
    assert check(world, mlflow_server)["behind"] == []
    world.approve(f"{model}@1", "production")
    world.promote(f"{model}@1", "production")
    world.as_().alias_set(model, "candidate", "1")
    world.register("2")
    words = ("export", "mlflow", "--tracking-uri", mlflow_server.uri, "--verify-only")
    shown = world.cli(*words)
    assert shown.returncode == 0, shown.stdout
    assert f"behind    {model}@2: not exported yet" in shown.stdout.splitlines()
    assert f"next: mreg export mlflow --tracking-uri {mlflow_server.uri} " in shown.stdout
    assert "differs" not in shown.stdout
    done = check(world, mlflow_server, record=True)
    assert (done["verified"], places(done)) == (True, [])
    assert waits(done) == [("1", True), ("2", False), (None, True)]
    assert done["behind"][0]["values"] > 3
    # What somebody does meanwhile is told, be it an older value with the tags set back, too.
    one = client.get_model_version(model, "1")
    client.set_model_version_tag(model, "1", "aisdp.stage", "experimental")
    for value in ("1", "5"):
        client.set_tag(one.run_id, "manual_registry.exporting_through", value)
    (stored,) = mlflow_server.artefacts.rglob(f"{logged(mlflow_server, model, '1')}/artifacts/artefact/model-1.bin")
    good = stored.read_bytes()
    stored.write_bytes(b"x" * len(good))
    assert set(places(check(world, mlflow_server))) == {
        ("version.tag", "aisdp.stage", "changed"),
        ("model.file", "artefact/model-1.bin", "changed"),
    }
    stored.write_bytes(good)
    client.set_model_version_tag(model, "1", "aisdp.stage", "staging")
    assert export(world, mlflow_server)["mismatches"] == []
    done = check(world, mlflow_server)
    assert (done["verified"], done["behind"]) == (True, [])
    # An exported version that is gone is no version that waits.
    client.delete_model_version(model, "2")
    world.as_().note(f"{model}@2", "seen")
    assert ("version", "model version", "missing") in places(check(world, mlflow_server))


def test_a_closed_register_says_what_stays_behind(world: World, mlflow_server: MlflowServer) -> None:
    world.register("1")
    export(world, mlflow_server)
    world.register("2")
    world.as_(LEAD).close(mlflow_server.uri, reason="moved", as_=LEAD, key=world.key(LEAD))
    shown = world.cli("export", "mlflow", "--tracking-uri", mlflow_server.uri, "--verify-only")
    assert (shown.returncode, "no export brings it over any more" in shown.stdout) == (0, True), shown.stdout
    assert "next: mreg export" not in shown.stdout


def test_a_server_with_nothing_of_ours_is_no_clean_one(world: World, mlflow_server: MlflowServer) -> None:
    world.register("1")
    with pytest.raises(NothingExported, match="nothing of this registry"):
        check(world, mlflow_server, record=True)
    assert world.cli("export", "mlflow", "--tracking-uri", mlflow_server.uri, "--verify-only").returncode == 5
    export(world, mlflow_server)
    client = mlflow_server.client()
    client.delete_registered_model(world.model)
    client.delete_experiment(client.get_experiment_by_name(world.model).experiment_id)
    assert ("version", "model version", "missing") in places(check(world, mlflow_server))
    assert ("registered_model", world.model, "missing") in places(check(world, mlflow_server))


def test_a_version_on_its_way_waits_and_a_part_that_was_deleted_does_not(
    world: World, mlflow_server: MlflowServer, proxy: Proxy
) -> None:
    world.register("1")
    killed_after(world, proxy, "PUT", "record.json")
    assert (places(check(world, proxy)), waits(check(world, proxy))[0]) == ([], ("1", False))
    killed_after(world, proxy, "POST", "model-versions/create")  # whole, and no export is recorded
    assert (places(check(world, proxy)), waits(check(world, proxy))) == ([], [])
    mlflow_server.client().delete_logged_model(logged(mlflow_server, world.model, "1"))
    assert ("model", "logged model", "missing") in places(check(world, proxy))


# -- edited and forged --------------------------------------------------------------------------------------------


def test_edited_version_tags_neither_hide_nor_double(world: World, mlflow_server: MlflowServer) -> None:
    model, client = world.model, mlflow_server.client()
    world.register("1")
    world.register("2.0")
    export(world, mlflow_server)
    two = client.get_model_version(model, "2")
    client.set_model_version_tag(model, "2", VERSION, "3.3.3")
    client.set_logged_model_tags(logged(mlflow_server, model, "2"), {VERSION: "7"})
    told = {("version.tag", VERSION, "changed"), ("model.tag", VERSION, "changed")}
    assert set(places(check(world, mlflow_server))) == told
    assert set(places(export(world, mlflow_server))) == told
    # All that names it, set to what is known and unknown, and the registry's name taken away.
    client.set_tag(two.run_id, VERSION, "1")
    client.set_model_version_tag(model, "2", VERSION, "1")
    for name in ("manual_registry.registry_id", "manual_registry.composite_id"):
        client.set_tag(two.run_id, name, "x")
        client.set_model_version_tag(model, "2", name, "x")
        client.set_logged_model_tags(logged(mlflow_server, model, "2"), {name: "x"})
    for options in ({"verify_only": True}, {}):
        done = export(world, mlflow_server, **options)
        assert {one["version"] for one in done["mismatches"]} == {"2.0"}
        assert len(done["mismatches"]) == 9
    assert counts(mlflow_server, model) == (2, 2, 2)


def test_a_forged_version_a_forged_outcome_and_added_data_are_told(world: World, mlflow_server: MlflowServer) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    model, client = world.model, mlflow_server.client()
    world.to_production("1")
    export(world, mlflow_server)
    one = client.get_model_version(model, "1")
    tags = {**one.tags, VERSION: "9.9", "manual_registry.stage": "production"}
    theirs = client.create_run(client.get_experiment_by_name(model).experiment_id)
    own: list[dict[str, str]] = [tags, {"their": "own"}, {VERSION: "8", "aisdp.stage": "production"}]
    for each in own:
        client.create_model_version(model, f"{theirs.info.artifact_uri}/evil.bin", run_id=theirs.info.run_id, tags=each)
    forged = {("version", "model version 2", "added"), ("version", "model version 4", "added")}
    for options in ({"verify_only": True}, {}):
        done = export(world, mlflow_server, **options)
        assert set(places(done)) == forged
    assert world.as_().verify().ok
    text = world.cli("export", "mlflow", "--tracking-uri", mlflow_server.uri, "--verify-only").stdout
    assert f"differs   {model} model version 2: added, has this registry's tags and is none of it: 9.9" in text
    for number in ("2", "4"):
        client.delete_model_version(model, number)
    said = client.get_model_version(model, "1").tags[VERIFIED]
    for value in ("ok", "MISMATCH", "2 mismatches sha256:" + "0" * 64, f"ok sha256:{'0' * 64} 2026-01-01"):
        client.set_model_version_tag(model, "1", VERIFIED, value)
        assert places(check(world, mlflow_server)) == [("version.tag", VERIFIED, "changed")], value
    client.delete_model_version_tag(model, "1", VERIFIED)
    assert places(check(world, mlflow_server)) == [("version.tag", VERIFIED, "missing")]
    assert export(world, mlflow_server)["mismatches"] == []  # it says it again
    assert client.get_model_version(model, "1").tags[VERIFIED].split()[:2] == said.split()[:2]
    for context in ("training", "eval"):
        data = Dataset(name=f"poison-{context}", digest="d1", source_type="x", source="{}")
        item = DatasetInput(dataset=data, tags=[InputTag(key="mlflow.data.context", value=context)])
        client.log_inputs(one.run_id, [item])
    assert places(check(world, mlflow_server)) == [("run.dataset", "training poison-training d1", "added")]


# -- moved while it ran -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["MLmodel", "model-1.bin"])
def test_a_version_archived_while_an_export_runs(
    world: World, mlflow_server: MlflowServer, proxy: Proxy, part: str
) -> None:
    world.register("1")
    world.register("2")
    moved: list[str] = []

    def archive(_number: int, method: str, path: str) -> None:
        if method == "PUT" and part in path and not moved:
            moved.append(path)
            for version in ("1", "2"):
                world.as_().archive(f"{world.model}@{version}", reason="over")

    proxy.before = archive
    done = export(world, proxy)
    assert (moved != [], done["mismatches"], done["verified"]) == (True, [], True)
    assert waits(check(world, mlflow_server)) == [("1", True), ("2", True)]
    assert export(world, mlflow_server)["mismatches"] == []
    assert check(world, mlflow_server)["behind"] == []


# -- what a dry run says ------------------------------------------------------------------------------------------


def test_a_dry_run_lists_everything_and_every_name_that_is_taken(
    world: World, mlflow_server: MlflowServer, proxy: Proxy
) -> None:
    client, own = mlflow_server.client(), world.model
    taken = [f"{own}-taken", f"{own}-gone"]
    for name in (own, *taken):
        world.model = name
        world.register("1", hyperparameters={"p@q": 1})
    client.create_registered_model(taken[0])
    gone = client.create_experiment(taken[1])
    client.delete_experiment(gone)
    words = ("export", "mlflow", "--tracking-uri", proxy.uri, "--dry-run")
    shown = world.cli("--json", *words)
    assert shown.returncode == 6, shown.stderr
    done = json.loads(shown.stdout)
    assert {one["model"] for one in done["plan"]} == {own, *taken}
    assert {(one["model"], one["code"]) for one in done["refusals"]} == {(name, "MR-C040") for name in taken}
    (deleted,) = (one for one in done["refusals"] if one["model"] == taken[1])
    assert "was deleted there" in deleted["message"]
    assert f"mlflow gc --experiment-ids {gone}" in deleted["message"]
    assert f"mlflow experiments restore --experiment-id {gone}" in deleted["hint"]
    text = world.cli(*words)
    assert (text.returncode, text.stdout.count("renamed   ")) == (6, 3), text.stdout
    assert all(f"refused   {name}: MR-C040" in text.stdout and name in text.stderr for name in taken)
    # An export names them all at once, and what helps helps.
    with pytest.raises(RegistryError) as caught:
        export(world, proxy)
    assert [one.code for one in caught.value.reasons] == ["MR-C040"] * 2
    assert caught.value.exit_status == 6
    assert proxy.writes == []
    client.restore_experiment(gone)
    client.rename_experiment(gone, f"{own}-theirs")
    client.rename_registered_model(taken[0], f"{own}-theirs")
    assert export(world, proxy)["verified"]
    assert export(world, proxy, dry_run=True)["verified"]
