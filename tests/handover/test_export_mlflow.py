"""`export mlflow` over HTTP against a real server: all of it there, proven, and the same again writes nothing."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
from adopt_team import Team
from mlflow_exports import command, counts, export, places
from mlflow_server import MlflowServer, Proxy
from world import LEAD, World

from manual_registry.core.errors import (
    BadTrackingAddress,
    Busy,
    ForeignTarget,
    FormatTooNew,
    ModelUnknown,
    RegistryError,
    ServerDown,
    ServerTooOld,
    UsageError,
    WrongCredentials,
)
from manual_registry.core.handover import flavours
from manual_registry.core.handover.limits import KEY
from manual_registry.core.handover.record import read_record
from manual_registry.registry import Registry

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
#: What is told as a model of LightGBM's.
LIGHTGBM = b"tree\nversion=v4\nnum_class=1\nmax_feature_idx=3\nend of trees\n"


def events(world: World) -> int:
    """Return how many events there are."""
    return len(list((world.root / "ledger").iterdir()))


# -- everything there ------------------------------------------------------------------------------------------


def test_a_production_version_arrives_whole(world: World, mlflow_server: MlflowServer) -> None:
    world.to_production("1.0.0")
    world.as_().tag(f"{world.model}@1.0.0", {"team": "risk"})
    done = export(world, mlflow_server)
    assert (done["verified"], done["mismatches"], len(done["exported"])) == (True, [], 1)
    assert done["ledger"]["seq"] == events(world)
    client = mlflow_server.client()
    version = client.get_model_version_by_alias(world.model, "production")
    assert version.tags["manual_registry.version"] == "1.0.0"
    assert version.tags["aisdp.stage"] == "production"
    assert version.tags["aisdp.approver"] == LEAD
    assert version.tags["manual_registry.tag.team"] == "risk"
    assert version.tags["manual_registry.verified"].startswith("ok sha256:")
    assert "logistic regression" in version.description
    run = client.get_run(version.run_id)
    assert run.info.status == "FINISHED"
    assert run.info.start_time == run.info.end_time == 1767225600000
    assert run.data.tags["mlflow.source.git.commit"] == "c" * 40
    assert run.data.params == {"depth": "3"}
    assert run.data.metrics["auc"] == 0.91
    assert run.data.metrics["gate/fairness/fairness_score/lower"] == 0.85
    history = client.get_metric_history(version.run_id, "gate/fairness/fairness_score")
    assert [one.timestamp for one in history] == [1767312000000]  # evaluated a day later
    inputs = {one.tags[0].value: json.loads(one.dataset.source) for one in run.inputs.dataset_inputs}
    assert inputs["training"]["reference"] == "sha256:" + "ab" * 32
    assert inputs["evaluation"] == {"evaluation_dataset": "holdout"}
    assert [f"models:/{one.model_id}" for one in run.outputs.model_outputs] == [version.source]


def test_a_version_adopted_in_place_goes_over_from_where_it_lies(
    world: World, mlflow_server: MlflowServer, tmp_path: Path
) -> None:
    team = Team(tmp_path / "team")
    model = world.model
    file = team.file("m/one.txt", LIGHTGBM)
    team.row(model, "1.0.0", "m/one.txt", file, "2023-02-13", "AUC 0.88", "production", "Bob")
    world.as_().adopt(team.save(), in_place=True)
    done = export(world, mlflow_server)
    assert (done["verified"], done["mismatches"]) == (True, [])
    assert done["exported"][0]["flavour"] == "lightgbm"
    tags = mlflow_server.client().get_model_version(model, "1").tags
    assert tags["aisdp.storage_location"] == "../team/m/one.txt"
    assert tags["manual_registry.stage"] == "production"


def test_what_lies_there_can_be_checked_without_this_tool(
    world: World, mlflow_server: MlflowServer, tmp_path: Path
) -> None:
    world.to_production("1")
    export(world, mlflow_server)
    client = mlflow_server.client()
    version = client.get_model_version(world.model, "1")
    place = Path(client.download_artifacts(version.run_id, "manual_registry", str(tmp_path)))
    record = read_record((place / "record.json").read_bytes())
    assert record["row"]["stage"] == "production"
    lines = (place / "events.jsonl").read_bytes().splitlines(keepends=True)
    files = {path.read_bytes() for path in (world.root / "ledger").iterdir()}
    assert len(lines) == len(record["events"]) > 5
    assert all(line in files for line in lines)
    (statement,) = (path for path in (place / "approvals").glob("A*.json") if b'"to":"production"' in path.read_bytes())
    checked = subprocess.run(
        [
            *("ssh-keygen", "-Y", "verify", "-f", f"{statement}.allowed_signers", "-I", LEAD),
            *("-n", "stage-approval@manual-registry", "-s", f"{statement}.sig"),
        ],
        input=statement.read_bytes(),
        capture_output=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
    promotion = next((place / "approvals").glob("P*.json"))
    assert f"{promotion.name}.allowed_signers" in {path.name for path in (place / "approvals").iterdir()}
    assert {path.name for path in (place / "evidence").iterdir()} >= {"metadata", "environment"}


def test_again_writes_nothing_and_a_later_one_only_what_is_new(
    world: World, mlflow_server: MlflowServer, proxy: Proxy
) -> None:
    world.to_production("1")
    world.register("2")
    world.as_().alias_set(world.model, "candidate", "2")
    first = export(world, proxy)
    assert first["requests"] == len(proxy.writes)
    before, proxy.seen[:] = events(world), []
    again = export(world, proxy)
    assert (proxy.writes, again["requests"], again["events"]) == ([], 0, [])
    assert [one["reason"] for one in again["skipped"]] == ["stands so already"] * 2
    assert events(world) == before
    # A stage, an alias, a note, and a version more.
    world.approve(f"{world.model}@2", "staging")
    world.promote(f"{world.model}@2", "staging")
    world.as_().note(f"{world.model}@2", "seen")
    world.register("3")
    world.as_().alias_set(world.model, "candidate", "3")
    proxy.seen[:] = []
    later = export(world, proxy)
    assert ([one["version"] for one in later["exported"]], later["verified"]) == (["2", "3"], True)
    client = mlflow_server.client()
    assert client.get_model_version(world.model, "2").tags["aisdp.stage"] == "staging"
    assert client.get_model_version_by_alias(world.model, "candidate").version == "3"
    assert counts(mlflow_server, world.model) == (3, 3, 3)
    assert not [path for _, path in proxy.writes if "artefact/" in path and later["exported"][0]["model_id"] in path]
    proxy.seen[:] = []
    assert (export(world, proxy)["requests"], proxy.writes) == (0, [])


def test_production_moves_on_with_its_alias(world: World, mlflow_server: MlflowServer) -> None:
    world.to_production("1")
    export(world, mlflow_server, alias="champion")
    world.to_production("2")
    world.as_().archive_pending()
    done = export(world, mlflow_server, alias="champion")
    assert done["verified"], done["mismatches"]
    client = mlflow_server.client()
    assert client.get_model_version_by_alias(world.model, "champion").version == "2"
    first = client.get_model_version(world.model, "1")
    assert first.tags["manual_registry.stage"] == "archived"
    assert first.tags["aisdp.storage_location"].startswith("archive/")
    # Another name for it: the old alias goes.
    done = export(world, mlflow_server, alias="production")
    assert done["verified"], done["mismatches"]
    assert client.get_registered_model(world.model).aliases == {"production": "2"}


def test_archived_directories_and_odd_file_names(world: World, mlflow_server: MlflowServer, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    for name in (
        "a b/Größe.bin",
        "x#1.txt",
        "what?.txt",
        "same/same",
        "deep/er/still/w.bin",
        "_x23_.txt",
        " lead",
        " d/ x",
        "http:",
    ):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name, encoding="utf-8")
    (folder / "empty.bin").write_bytes(b"")
    world.as_().register(world.model, "1", folder, metadata=world.metadata())
    world.as_().archive(f"{world.model}@1", reason="over")
    done = export(world, mlflow_server)
    assert (done["verified"], done["mismatches"]) == (True, [])
    renamed = {one["name"]: one["instead"] for one in done["remarks"] if one["place"] == "model.file"}
    assert renamed["artefact/x#1.txt"] == "written as artefact/x_x23_1.txt"
    assert renamed["artefact/ lead"] == "written as artefact/_x20_lead"
    assert renamed["artefact/_x23_.txt"] == "written as artefact/_x5f_x23_.txt"
    assert export(world, mlflow_server, verify_only=True)["verified"]


def test_values_that_do_not_fit_are_told_and_kept_whole(
    world: World, mlflow_server: MlflowServer, tmp_path: Path
) -> None:
    world.register(
        "1.0+b7",
        hyperparameters={
            "long": "é" * 7000,
            "": 1,
            "a/../b": 2,
            "p@q": {"deep": [1, 2.5, None]},
            "nul": "a\u0001b",
            "k" * 300: "long name",
            "empty": "",
            "_x40_": "looks spelled",
            "größe": True,
        },
        metrics={"auc": 0.9, "F1@5%": 0.5, "count": 2**60 + 1, "gate/x": 0.1, "tiny": -1e-300},
        subgroup_metrics={"age/band": {"<30": {"auc": 0.8}}},
        description="d" * 9000,
        card={
            **dict.fromkeys(("architecture", "training_data", "intended_use", "limitations"), "told"),
            "failure_modes": "x" * 9000,
            "ethical_considerations": "none",
        },
        origin="o" * 20,
    )
    dry = export(world, mlflow_server, dry_run=True)
    assert counts(mlflow_server, world.model) == (0, 0, 0)
    assert mlflow_server.client().get_experiment_by_name(world.model) is None
    told = {(one["place"], one["name"], one["problem"]) for one in dry["remarks"]}
    assert {
        ("run.param", "long", "cut"),
        ("run.param", "", "renamed"),
        ("run.param", "a/../b", "renamed"),
        ("run.param", "p@q", "renamed"),
        ("run.param", "nul", "respelled"),
        ("run.param", "k" * 300, "renamed"),
        ("run.param", "_x40_", "renamed"),
        ("run.metric", "F1@5%", "renamed"),
        ("run.metric", "count", "inexact"),
        ("version", "description", "cut"),
        ("model", f"{world.model}-1.0+b7", "renamed"),
    } <= told
    assert [one["object"] for one in dry["plan"] if one["new"]] == [
        "run", "logged model", "model version", "experiment", "registered model",
    ]  # fmt: skip
    done = export(world, mlflow_server)
    assert (done["verified"], done["mismatches"]) == (True, [])
    client = mlflow_server.client()
    version = client.get_model_version(world.model, "1")
    params = client.get_run(version.run_id).data.params
    assert json.loads(params["p_x40_q"]) == {"deep": [1, 2.5, None]}
    assert params["größe"] == "true"
    assert len(params["long"]) <= 6000
    assert all(len(name) <= KEY for name in params)
    path = client.download_artifacts(version.run_id, "manual_registry/record.json", str(tmp_path))
    whole = read_record(Path(path).read_bytes())["registration"]
    assert whole["hyperparameters"]["long"] == "é" * 7000
    assert whole["metrics"]["count"] == {"$int": str(2**60 + 1)}


def test_aliases_that_mlflow_refuses_get_another_name(world: World, mlflow_server: MlflowServer) -> None:
    world.to_production("1")
    for name in ("v3", "1.2.x", "champion", "ok_name"):
        world.as_().alias_set(world.model, name, "1")
    done = export(world, mlflow_server, alias="champion")
    assert done["verified"], done["mismatches"]
    aliases = set(mlflow_server.client().get_registered_model(world.model).aliases)
    assert {"champion", "ok_name"} < aliases
    assert len(aliases) == 5
    renamed = {one["name"] for one in done["remarks"] if one["place"] == "registered_model.alias"}
    assert renamed == {"v3", "1.2.x", "champion"}
    world.as_().alias_remove(world.model, "ok_name")
    assert export(world, mlflow_server, alias="champion")["verified"]
    assert "ok_name" not in mlflow_server.client().get_registered_model(world.model).aliases


def test_a_model_told_by_its_form_loads_with_mlflow(
    world: World, mlflow_server: MlflowServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pickle

    import joblib
    import mlflow
    import sklearn
    from sklearn.linear_model import LogisticRegression

    path = tmp_path / "odd model #1.pkl"
    model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    path.write_bytes(pickle.dumps(model))
    (tmp_path / "environment.txt").write_text(f"scikit-learn=={sklearn.__version__}\n")
    world.as_().register(world.model, "1", path, metadata=world.metadata())
    for version, name in (("2", "dict.pkl"), ("3", "saved.joblib")):
        path = tmp_path / name
        if version == "2":
            path.write_bytes(pickle.dumps({"model": model}))
        else:
            joblib.dump(model, path)
        world.as_().register(world.model, version, path, metadata=world.metadata())
    done = export(world, mlflow_server)
    assert [one["flavour"] for one in done["exported"]] == ["sklearn", "manual_registry", "manual_registry"]
    told = {one["version"]: one["instead"] for one in done["remarks"] if one["problem"] == "generic"}
    assert "joblib" in told["3"]
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "true")
    mlflow.set_tracking_uri(mlflow_server.uri)
    mlflow.set_registry_uri(mlflow_server.uri)
    loaded = mlflow.pyfunc.load_model(f"models:/{world.model}/1")
    assert list(loaded.predict([[0.0], [1.0]])) == [0, 1]
    assert mlflow.sklearn.load_model(f"models:/{world.model}/1").predict([[1.0]])[0] == 1


def test_an_mlmodel_file_of_the_first_release_is_no_edit(
    world: World, mlflow_server: MlflowServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It told what MLflow cannot load as scikit-learn's; a check takes it, and the next export writes today's."""
    path = world.place / "odd #1.txt"
    path.write_bytes(LIGHTGBM)
    world.as_().register(world.model, "1", path, metadata=world.metadata())
    tell = flavours.tell
    with monkeypatch.context() as patch:
        patch.setattr(flavours, "tell", lambda *words, **named: tell(*words, **{**named, "as_first": True}))
        assert export(world, mlflow_server)["verified"]
    assert export(world, mlflow_server, verify_only=True)["verified"]
    done = export(world, mlflow_server)
    assert (done["verified"], len(done["exported"])) == (True, 1)
    (stored,) = mlflow_server.artefacts.rglob(f"{done['exported'][0]['model_id']}/artifacts/MLmodel")
    assert "odd _x23_1.txt" in stored.read_text(encoding="utf-8")
    stored.write_text("flavors: {}\n", encoding="utf-8")
    assert places(export(world, mlflow_server, verify_only=True)) == [("model.file", "MLmodel", "changed")]


def test_what_a_person_reads(world: World, mlflow_server: MlflowServer) -> None:
    world.register("1.0", hyperparameters={"p@q": 1})
    words = ("export", "mlflow", "--tracking-uri", mlflow_server.uri)
    ref, place = f"{world.model}@1.0", f"MLflow 3.17.2 at {mlflow_server.uri}".replace("3.17.2", mlflow_server.version)
    dry = world.cli(*words, "--dry-run").stdout.splitlines()
    assert f"would make run {world.model} 1.0" in dry
    assert f"would make model version {ref}" in dry
    assert f"renamed   {ref} run.param p@q: written as p_x40_q" in dry
    assert dry[-1] == f"{place}: nothing was written; 0 of 1 version there"
    done = world.cli(*words)
    assert done.stdout.splitlines()[0] == f"exported  {ref}: version 1 there"
    assert f"renamed   {ref} run.param p@q: written as p_x40_q" in done.stdout.splitlines()  # not only before
    assert done.stdout.splitlines()[-2].endswith(" writes, 1 read back, no mismatch")
    assert done.stdout.splitlines()[-1].startswith("ledger ")
    again = "1 of 1 version there, 0 writes, 0 read back, 1 stood already and not read (--verify-only reads all)"
    assert world.cli(*words).stdout.splitlines()[0] == f"{place}: {again}, no mismatch"
    mlflow_server.client().set_model_version_tag(world.model, "1", "aisdp.stage", "production\x1b[31m")
    found = world.cli(*words, "--verify-only")
    assert found.returncode == 4
    assert f"differs   {ref} version.tag aisdp.stage: changed, 'production" in found.stdout
    assert "\x1b[31m" not in found.stdout
    helped = world.cli("export", "mlflow", "--help").stdout
    assert "Exit status 4" in helped


# -- what somebody changed in MLflow ------------------------------------------------------------------------------


def overwrite(server: MlflowServer, source: str, name: str, data: bytes) -> None:
    """Change a stored file of a logged model as anybody with access can."""
    (path,) = server.artefacts.rglob(f"{source.removeprefix('models:/')}/artifacts/{name}")
    path.write_bytes(data)


def test_verify_only_finds_what_was_changed_and_writes_nothing(
    world: World, mlflow_server: MlflowServer, proxy: Proxy
) -> None:
    world.to_production("1")
    world.register("2")
    export(world, proxy)
    client, model = mlflow_server.client(), world.model
    one = client.get_model_version(model, "1")
    client.set_model_version_tag(model, "1", "aisdp.stage", "experimental")
    client.set_model_version_tag(model, "1", "their.own", "is their business")
    client.update_model_version(model, "1", "better")
    client.log_metric(one.run_id, "auc", 0.99, step=1)
    client.delete_tag(one.run_id, "mlflow.source.git.commit")
    client.log_text(one.run_id, "{}", "manual_registry/record.json")
    client.log_text(one.run_id, "extra", "manual_registry/extra.txt")
    client.set_registered_model_alias(model, "production", "2")
    client.set_experiment_tag(client.get_experiment_by_name(model).experiment_id, "aisdp.risk_class", "minimal")
    second = client.get_model_version(model, "2")
    overwrite(mlflow_server, second.source, "artefact/model-2.bin", b"model X")  # as long as it was
    client.delete_run(client.get_model_version(model, "2").run_id)
    proxy.seen[:], before = [], events(world)
    done = export(world, proxy, verify_only=True)
    assert proxy.writes == []
    assert events(world) == before
    found = {(where, field, problem) for where, field, problem in places(done)}
    assert found == {
        ("version.tag", "aisdp.stage", "changed"),
        ("version", "description", "changed"),
        ("run.metric", "auc", "changed"),
        ("run.tag", "mlflow.source.git.commit", "missing"),
        ("run.file", "manual_registry/record.json", "changed"),
        ("run.file", "manual_registry/extra.txt", "added"),
        ("model.file", "artefact/model-2.bin", "changed"),
        ("run", "lifecycle", "changed"),
        ("registered_model.alias", "production", "changed"),
        ("experiment.tag", "aisdp.risk_class", "changed"),
    }
    assert not done["verified"]
    kept = world.as_().export_mlflow(proxy.uri, verify_only=True, record=True)
    assert kept.event == events(world) == before + 1
    assert proxy.writes == []
    assert world.as_().verify().ok
    # An export overwrites none of it, save what was taken away.
    client.restore_run(client.get_model_version(model, "2").run_id)
    done = export(world, proxy)
    assert ("version.tag", "aisdp.stage", "changed") in places(done)
    assert client.get_model_version(model, "1").description == "better"
    assert client.get_model_version_by_alias(model, "production").version == "2"
    assert client.get_run(one.run_id).data.tags["mlflow.source.git.commit"] == "c" * 40
    proxy.seen[:] = []
    assert export(world, proxy)["events"] == []  # the same again is no news
    assert proxy.writes == []


def test_one_edited_tag_neither_hides_nor_doubles_a_version(world: World, mlflow_server: MlflowServer) -> None:
    world.register("1")
    world.register("2")
    export(world, mlflow_server)
    client = mlflow_server.client()
    client.set_model_version_tag(world.model, "1", "manual_registry.version", "2")
    client.delete_model_version_tag(world.model, "2", "manual_registry.registry_id")
    done = export(world, mlflow_server)
    assert ("version.tag", "manual_registry.version", "changed") in places(done)
    assert counts(mlflow_server, world.model) == (2, 2, 2)
    assert client.get_model_version(world.model, "2").tags["manual_registry.registry_id"]


def test_a_version_deleted_there_comes_back(world: World, mlflow_server: MlflowServer) -> None:
    world.register("1")
    world.register("2")
    export(world, mlflow_server)
    client = mlflow_server.client()
    client.delete_model_version(world.model, "1")
    assert ("version", "model version", "missing") in places(export(world, mlflow_server, verify_only=True))
    done = export(world, mlflow_server)
    assert (done["verified"], [one["number"] for one in done["exported"]]) == (True, ["3"])
    assert counts(mlflow_server, world.model) == (2, 2, 2)


def test_a_logged_model_deleted_there_is_told_until_its_version_goes_too(
    world: World, mlflow_server: MlflowServer
) -> None:
    world.register("1")
    export(world, mlflow_server)
    client = mlflow_server.client()
    version = client.get_model_version(world.model, "1")
    client.delete_logged_model(version.source.removeprefix("models:/"))
    done = export(world, mlflow_server)
    assert (places(done), done["requests"]) == ([("model", "logged model", "missing")], 0)
    assert "delete that version too" in done["skipped"][0]["reason"]
    client.delete_model_version(world.model, "1")
    assert export(world, mlflow_server)["verified"]
    assert counts(mlflow_server, world.model) == (1, 1, 1)


# -- interrupted, twice at once -----------------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_anywhere_it_goes_on_and_nothing_is_doubled(
    world: World, mlflow_server: MlflowServer, proxy: Proxy, when: str
) -> None:
    world.to_staging("1")
    world.register("2")
    writes = 0
    killed: list[str] = []
    process: subprocess.Popen[str]

    def kill(_number: int, method: str, path: str) -> None:
        nonlocal writes
        writes += method != "GET" and not path.endswith("search")
        if writes == limit:
            process.send_signal(signal.SIGKILL)
            process.wait()
            killed.append(path)

    setattr(proxy, when, kill)
    for limit in (1, 4, 6, 9, 5, 8):  # noqa: B007 - kill() reads it
        writes = 0
        process = command(world, proxy.uri)
        process.communicate()
        if process.returncode != -signal.SIGKILL:
            break
    assert len(killed) >= 4
    setattr(proxy, when, None)
    done = export(world, proxy)
    assert (done["verified"], done["mismatches"]) == (True, [])
    assert counts(mlflow_server, world.model) == (2, 2, 2)
    assert world.as_().history()[-1]["type"] == "export.recorded"
    assert export(world, proxy, verify_only=True)["verified"]


def test_a_server_that_goes_away_in_the_middle(
    world: World, mlflow_server: MlflowServer, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    world.register("1")
    world.register("2")
    for cut in (12, 20, 30):
        proxy.seen[:] = []
        proxy.before = lambda number, _method, _path, cut=cut: (0, b"") if number > cut else None
        with pytest.raises(ServerDown, match="goes on"):
            export(world, proxy)
    proxy.before = lambda number, method, path: (503, b"busy") if method == "PUT" else None
    with pytest.raises(ServerDown, match="goes on"):
        export(world, proxy)
    proxy.before = None
    assert export(world, proxy)["verified"]
    assert counts(mlflow_server, world.model) == (2, 2, 2)


def test_two_at_once_do_not_double(world: World, mlflow_server: MlflowServer) -> None:
    for version in ("1", "2", "3"):
        world.register(version)
    ended = [(*one.communicate(), one.returncode) for one in [command(world, mlflow_server.uri) for _ in range(2)]]
    assert sorted(code for *_, code in ended) in ([0, 0], [0, 8]), ended
    assert counts(mlflow_server, world.model) == (3, 3, 3)


def test_another_machine_at_the_same_time_is_told_or_seen(
    world: World, mlflow_server: MlflowServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two state directories are two machines: no lock between them, only the look right before each creation."""
    world.register("1")
    world.register("2")
    documents: list[dict[str, Any]] = []
    started = []
    for name in ("one", "two"):
        monkeypatch.setenv("MANUAL_REGISTRY_STATE", str(tmp_path / name))
        started.append(command(world, mlflow_server.uri))
    for one in started:
        text, _ = one.communicate()
        documents += [json.loads(text)] if text else []
    runs, logged, versions = counts(mlflow_server, world.model)
    done = export(world, mlflow_server)
    doubled = [one for one in done["mismatches"] if one["problem"] == "doubled"]
    assert len(doubled) == (runs - 2) + (logged - 2) + (versions - 2)


def test_the_lock_says_who_is_first(world: World, mlflow_server: MlflowServer, proxy: Proxy) -> None:
    world.register("1")
    waiting, go = threading.Event(), threading.Event()

    def hold(_number: int, method: str, _path: str) -> None:
        if method == "PUT":
            waiting.set()
            go.wait(60)

    proxy.before = hold
    first = command(world, proxy.uri)
    try:
        assert waiting.wait(60)
        with pytest.raises(Busy):
            world.as_().export_mlflow(proxy.uri)
        assert world.as_().export_mlflow(proxy.uri, dry_run=True)  # reads beside it
    finally:
        go.set()
        first.communicate()
    assert first.returncode == 0


# -- what cannot be -------------------------------------------------------------------------------------------


def test_names_that_are_somebody_elses_stop_everything(world: World, mlflow_server: MlflowServer, proxy: Proxy) -> None:
    client = mlflow_server.client()
    client.create_experiment(world.model)
    client.create_registered_model(world.model)
    world.register("1")
    own, world.model = world.model, "aaa-first"
    world.register("1")
    with pytest.raises(ForeignTarget, match=f"an experiment and a registered model '{own}'"):
        export(world, proxy)
    assert proxy.writes == []
    assert client.get_experiment_by_name("aaa-first") is None
    assert world.cli("export", "mlflow", "--tracking-uri", proxy.uri).returncode == 6


def test_a_deleted_experiment_blocks_its_name(world: World, mlflow_server: MlflowServer) -> None:
    world.register("1")
    export(world, mlflow_server)
    client = mlflow_server.client()
    client.delete_experiment(client.get_experiment_by_name(world.model).experiment_id)
    with pytest.raises(ForeignTarget, match="was deleted") as caught:
        export(world, mlflow_server)
    assert "mlflow experiments restore" in (caught.value.hint or "")


def test_an_artefact_that_fails_its_hash_is_left_out(world: World, mlflow_server: MlflowServer) -> None:
    world.register("1")
    world.register("2")
    path = world.root / "models" / world.model / "1" / "artefact" / "model-1.bin"
    path.chmod(0o644)
    path.write_bytes(b"tampered")
    shown = world.cli("--json", "export", "mlflow", "--tracking-uri", mlflow_server.uri)
    assert shown.returncode == 4, shown.stderr
    done = json.loads(shown.stdout)
    assert [one["version"] for one in done["exported"]] == ["2"]
    assert "not exported" in done["skipped"][0]["reason"]
    assert done["mismatches"][0]["problem"] == "unfit"
    assert counts(mlflow_server, world.model) == (1, 1, 1)


def test_answers_of_servers_that_are_none_of_ours(world: World, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    world.register("1")

    def asked(answer: tuple[int, bytes], only: str = "") -> RegistryError:
        proxy.before = lambda _number, _method, path: answer if only in path else None
        with pytest.raises(RegistryError) as caught:
            export(world, proxy)
        return caught.value

    assert isinstance(asked((401, b"no")), WrongCredentials)
    assert isinstance(asked((403, b'{"error_code":"PERMISSION_DENIED","message":"x"}'), "search"), WrongCredentials)
    old = asked((200, b"2.22.1"), "/version")
    assert isinstance(old, ServerTooOld)
    assert "2.22.1" in old.message
    assert isinstance(asked((200, b"<html>hello</html>")), ServerDown)
    assert isinstance(asked((404, b"")), ServerDown)
    assert isinstance(asked((0, b"")), ServerDown)
    assert asked((500, b"boom"), "create").exit_status == 8
    with pytest.raises(ServerDown):
        world.as_().export_mlflow("http://127.0.0.1:9")
    for bad in ("file:///tmp/mlruns", "sqlite:///x.db", "databricks", "", "http://", "http://[", "http://h:x"):
        with pytest.raises(BadTrackingAddress):
            world.as_().export_mlflow(bad)
    for options in ({"record": True}, {"dry_run": True, "verify_only": True}, {"alias": "best"}):
        with pytest.raises(UsageError):
            world.as_().export_mlflow(proxy.uri, **options)  # type: ignore[arg-type]


def test_an_empty_registry_and_a_model_that_is_not_there(world: World, mlflow_server: MlflowServer) -> None:
    done = export(world, mlflow_server)
    assert (done["exported"], done["verified"], done["events"]) == ([], True, [])
    with pytest.raises(ModelUnknown):
        export(world, mlflow_server, model="nobody")


def test_one_model_alone_and_one_that_a_newer_tool_exported(world: World, mlflow_server: MlflowServer) -> None:
    other = f"{world.model}-other"
    world.register("1")
    world.as_().register(other, "1", world.artefact("other"), metadata=world.metadata())
    done = export(world, mlflow_server, model=other)
    assert [one["model"] for one in done["exported"]] == [other]
    assert counts(mlflow_server, world.model) == (0, 0, 0)
    mlflow_server.client().set_registered_model_tag(other, "manual_registry.mapping", "3")
    with pytest.raises(FormatTooNew):
        export(world, mlflow_server)
    assert counts(mlflow_server, world.model) == (0, 0, 0)


def test_no_password_ends_up_anywhere(world: World, mlflow_server: MlflowServer, proxy: Proxy) -> None:
    world.register("1")
    secret = "hunter2-very-secret"
    uri = proxy.uri.replace("http://", f"http://user:{secret}@")
    shown = world.cli("--json", "export", "mlflow", "--tracking-uri", f"{uri}/?token={secret}#{secret}")
    assert shown.returncode == 0, shown.stderr
    proxy.before = lambda *_: (500, b"x")
    broken = world.cli("export", "mlflow", "--tracking-uri", uri)
    assert broken.returncode == 8
    texts = [shown.stdout, shown.stderr, broken.stdout, broken.stderr]
    texts += [path.read_text() for path in (world.root / "ledger").iterdir()]
    assert not [text for text in texts if secret in text]
    assert json.loads(shown.stdout)["warnings"]


def test_the_record_of_an_export_is_verified_like_everything(world: World, mlflow_server: MlflowServer) -> None:
    world.to_production("1")
    done = world.as_().export_mlflow(mlflow_server.uri)
    assert Registry.open(world.root).verify().ok
    (last,) = (one for one in world.as_().history() if one["type"] == "export.recorded")
    assert (last["seq"], ": 1 version read, no mismatch" in last["summary"]) == (done.event, True)
