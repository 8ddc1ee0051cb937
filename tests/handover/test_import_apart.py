"""`import mlflow` where the server, or what is on it, is not as it should be: half exports, edits, copies, garbage, stores."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from mlflow_exports import export, killed_after
from mlflow_server import MlflowServer, Proxy, free_port, running, stop
from mlflow_theirs import Theirs, lost, reasons, take
from world import World

from manual_registry.core.errors import RegistryError, ServerDown, ServerRefused, StoreUnavailable

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture
def target(tmp_path: Path, world: World) -> World:
    """An empty registry beside the other one."""
    return World(tmp_path / "target", model=world.model)


@pytest.fixture
def theirs(mlflow_server: MlflowServer, tmp_path: Path) -> Theirs:
    """Somebody's models on the server."""
    return Theirs(mlflow_server, tmp_path)


def snapshot(target: World, done: dict[str, Any]) -> dict[str, Any]:
    """Return what was kept of an import."""
    found: dict[str, Any] = json.loads((target.root / done["kept"]).read_bytes())
    return found


# -- what is there ------------------------------------------------------------------------------------------------


def test_every_value_of_a_metric_is_kept(
    theirs: Theirs, target: World, mlflow_server: MlflowServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs.version(target.model)
    done = take(target, mlflow_server, target.model)
    (version,) = snapshot(target, done)["versions"]
    assert version["run"]["history"] == {"values": [["auc", [[0, 1, 0.8], [1, 2, 0.9]]]], "cut": []}
    assert lost(done, target.model)["metric auc"] == "its last value, of step 1; all 2 are in the snapshot"
    monkeypatch.setattr("manual_registry.adapters.mlflow.histories.OF_RUN", 1)
    dry = take(World(target.place / "other"), mlflow_server, target.model, dry_run=True)
    assert "too many" in lost(dry, target.model)["metric auc"]


def test_a_copy_comes_although_its_original_was_deleted(
    theirs: Theirs, target: World, mlflow_server: MlflowServer
) -> None:
    name, run = target.model, theirs.run()
    theirs.version(name, run)
    theirs.client.log_artifacts(run, str(theirs.files()), "folder")
    theirs.version(name, run, source=f"runs:/{run}/folder")
    for number in ("1", "2"):
        theirs.client.copy_model_version(f"models:/{name}/{number}", f"{name}-copy")
    theirs.client.copy_model_version(f"models:/{name}-copy/1", f"{name}-twice")
    assert len(take(target, mlflow_server, f"{name}-copy", dry_run=True)["imported"]) == 2
    theirs.client.delete_registered_model(name)
    done = take(target, mlflow_server, f"{name}-copy", f"{name}-twice")
    assert [one["version"] for one in done["imported"]] == ["1", "2", "1"], reasons(done)


def test_files_that_became_others_are_told(theirs: Theirs, target: World, mlflow_server: MlflowServer) -> None:
    version = theirs.version(target.model)
    take(target, mlflow_server, target.model)
    assert take(target, mlflow_server, target.model)["warnings"] == []
    files = theirs.files(data="other weights", more="x")
    theirs.client.log_model_artifacts(version.source.removeprefix("models:/"), str(files))
    (said,) = take(target, mlflow_server, target.model)["warnings"]
    assert said.endswith("data has 13 bytes, it had 7, more came to it")
    assert f"{target.model}, version 1: its files there are not what they were" in said


# -- an export that has not ended ---------------------------------------------------------------------------------


def test_an_export_under_way_is_waited_for(
    world: World, target: World, mlflow_server: MlflowServer, proxy: Proxy
) -> None:
    world.register("1")
    world.register("2")
    export(world, mlflow_server)
    world.as_().note(f"{world.model}@1", "seen later")
    killed_after(world, proxy, "PUT", "manual_registry/")
    proxy.after = None
    shown = target.cli("--json", "import", "mlflow", "--tracking-uri", mlflow_server.uri, "--model", world.model)
    assert shown.returncode == 6, shown.stderr
    done = json.loads(shown.stdout)
    (left,) = done["not_imported"]
    assert (left["version"], left["code"], done["differs"]) == (1, "MR-C042", [])
    assert "repeat the export" in left["reason"]
    assert [one["version"] for one in done["imported"]] == ["2"]
    again = target.as_().import_mlflow(mlflow_server.uri, models=[world.model])
    assert any(line.startswith("waits ") for line in again.lines())
    assert export(world, mlflow_server)["verified"]
    assert [one["version"] for one in take(target, mlflow_server, world.model)["imported"]] == ["1"]
    assert target.as_().verify().ok


# -- what a stopped command says -----------------------------------------------------------------------------------


def test_the_command_that_goes_on(theirs: Theirs, target: World, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    name = f"It's {target.model}"
    theirs.version(name)
    proxy.before = lambda _number, _method, path: (0, b"") if path.endswith("/data") else None
    with pytest.raises(ServerDown) as caught:
        take(target, proxy, name)
    quoted = f"mreg import mlflow --tracking-uri {proxy.uri} --model 'It'\"'\"'s {target.model}'"
    assert caught.value.hint == quoted
    run = theirs.client.search_model_versions(f'name = "{name}"')[0].run_id
    with pytest.raises(ServerDown) as caught:
        target.as_().register_from_run("churn", "next", run, tracking_uri=proxy.uri, owner="the team")
    line = f"mreg register churn next --from-run {run} --tracking-uri {proxy.uri} --owner 'the team'"
    assert caught.value.hint == line


# -- answers that are none ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["runs/get", "logged-models/", "metrics/get-history"])
def test_what_cannot_be_read_now_keeps_its_version_back(theirs: Theirs, target: World, proxy: Proxy, part: str) -> None:
    """An entry is for ever: it would lack its run, params or metrics because a proxy had a bad minute."""
    theirs.version(target.model)
    proxy.before = lambda _number, _method, path: (200, b"<html>log in</html>") if part in path else None
    done = target.as_().import_mlflow(proxy.uri, models=[target.model])
    assert (done.imported, done.exit_status) == ([], 8)
    assert done.left_out[0].code == "MR-X043"
    proxy.before = lambda _number, _method, path: (200, b"{}") if "runs/get" in path else None
    assert "something else" in reasons(take(target, proxy, target.model))[target.model, 1]
    proxy.before = None
    assert take(target, proxy, target.model)["imported"]


def test_papers_that_cannot_be_read_now_keep_their_version_back(world: World, target: World, proxy: Proxy) -> None:
    world.register("1")
    export(world, proxy)
    for place in ("manual_registry/record.json", "mlflow-artifacts/artifacts?path="):
        proxy.before = lambda _number, _method, path, place=place: (403, b"no") if place in path else None
        done = take(target, proxy, world.model)
        assert (done["imported"], [one["code"] for one in done["not_imported"]]) == ([], ["MR-X041"])
    proxy.before = None
    assert take(target, proxy, world.model)["imported"][0]["whole"]


def versions(server: MlflowServer, name: str, **changes: Any) -> bytes:
    """Return the server's answer on the versions of a model, changed."""
    address = f"{server.uri}/api/2.0/mlflow/model-versions/search?filter=name%3D%27{name}%27&max_results=9"
    with urllib.request.urlopen(address, timeout=10) as answer:
        document = json.load(answer)
    document |= {key: value for key, value in changes.items() if key == "next_page_token"}
    for one in document["model_versions"]:
        one |= {key: value for key, value in changes.items() if key != "next_page_token"}
    document["model_versions"] *= 2  # each comes up twice
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"version": "one"}, "MR-X043"),
        ({"version": "9" * 5000}, "MR-X043"),
        ({"next_page_token": "again"}, "MR-X043"),
        ({"tags": [{"key": "a\0b", "value": "\0\x1b[31m"}, {"key": "long", "value": "x" * 2_000_000}]}, None),
        ({"description": "\ud800"}, "MR-X043"),
        ({"description": "\0\x1b[2J"}, None),
        ({}, None),
    ],
)
def test_versions_that_no_server_would_list(
    theirs: Theirs, target: World, mlflow_server: MlflowServer, proxy: Proxy, changes: dict[str, Any], code: str | None
) -> None:
    theirs.version(target.model)
    body = versions(mlflow_server, target.model, **changes)
    proxy.before = lambda _number, _method, path: (200, body) if "model-versions/search" in path else None
    if code is not None:
        with pytest.raises(ServerRefused) as caught:
            take(target, proxy, target.model)
        assert caught.value.code == code
    else:
        assert [one["version"] for one in take(target, proxy, target.model)["imported"]] == ["1"]
        assert sum(one.stat().st_size for one in (target.root / "ledger").iterdir()) < 200_000
    assert target.as_().verify().ok


def test_an_alias_that_names_no_number(theirs: Theirs, target: World, proxy: Proxy) -> None:
    theirs.version(target.model)
    body = json.dumps(
        {"registered_model": {"name": target.model, "aliases": [{"alias": "a", "version": "x"}]}}
    ).encode()
    proxy.before = lambda _number, _method, path: (200, body) if "registered-models/get" in path else None
    with pytest.raises(ServerRefused, match="no answer of MLflow's"):
        take(target, proxy, target.model)


# -- a store of its own (S3) ----------------------------------------------------------------------------------------


@dataclass
class Store:
    """An S3 server, and an MLflow server that keeps its files there and leaves them to its clients."""

    mlflow: MlflowServer
    address: str


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """Both, with credentials that count."""
    boto3 = pytest.importorskip("boto3")
    pytest.importorskip("moto.server", reason="moto[server] gives an S3 server")
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    for name, value in (
        ("AWS_ACCESS_KEY_ID", "some"), ("AWS_SECRET_ACCESS_KEY", "secret"), ("AWS_DEFAULT_REGION", "us-east-1"),
        ("MLFLOW_S3_ENDPOINT_URL", address), ("AWS_EC2_METADATA_DISABLED", "true"),
    ):  # fmt: skip
        monkeypatch.setenv(name, value)
    words = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        client = boto3.client("s3", endpoint_url=address)
        until = time.monotonic() + 60
        while True:
            try:
                client.create_bucket(Bucket="bucket")
                break
            except Exception:
                if process.poll() is not None or time.monotonic() > until:
                    raise
                time.sleep(0.2)
        with running(tmp_path / "server", root="s3://bucket/root") as server:
            yield Store(mlflow=server, address=address)
    finally:
        stop(process)


def everything(world: World, target: World, store: Store, run: str) -> Iterator[RegistryError]:
    """Do all that asks the store; yield what is wrong with each."""
    for action in (
        lambda: export(world, store.mlflow),
        lambda: export(world, store.mlflow, verify_only=True),
        lambda: target.as_().register_from_run("taken", "9", run, tracking_uri=store.mlflow.uri),
    ):
        with pytest.raises(RegistryError) as caught:
            action()
        yield caught.value
    done = target.as_().import_mlflow(store.mlflow.uri, models=[world.model])
    assert (done.imported, done.exit_status) == ([], 8)
    yield StoreUnavailable(done.left_out[0].reason)


def test_files_in_s3(world: World, target: World, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    boto3 = pytest.importorskip("boto3")
    world.register("1")
    assert export(world, store.mlflow)["verified"]
    assert export(world, store.mlflow, verify_only=True)["verified"]
    theirs = Theirs(store.mlflow, world.place)
    run = theirs.run()
    theirs.client.log_artifacts(run, str(theirs.files()), "model")
    target.as_().register_from_run("taken", "1", run, tracking_uri=store.mlflow.uri)
    empty = World(target.place / "empty", model=world.model)
    assert take(empty, store.mlflow, world.model)["imported"][0]["whole"]
    # A file that is not what was exported.
    client = boto3.client("s3", endpoint_url=store.address)
    names = [one["Key"] for one in client.list_objects_v2(Bucket="bucket")["Contents"]]
    (model,) = (name for name in names if name.endswith("model-1.bin"))
    client.put_object(Bucket="bucket", Key=model, Body=b"model X")
    assert export(world, store.mlflow, verify_only=True)["mismatches"]
    assert take(target, store.mlflow, world.model)["differs"]
    world.register("2")
    with monkeypatch.context() as patch:
        patch.setenv("MLFLOW_S3_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
        for problem in everything(world, target, store, run):
            assert ("does not answer" in problem.message, problem.code) == (True, "MR-X045"), problem
    # boto3 keeps credentials as long as a process lives.
    words = ("export", "mlflow", "--tracking-uri", store.mlflow.uri, "--verify-only")
    shown = world.cli(*words, env={"AWS_PROFILE": "nobody"})
    assert (shown.returncode, "does not let us in" in shown.stderr) == (8, True), shown.stderr
    for name in names:
        client.delete_object(Bucket="bucket", Key=name)
    for one in client.list_objects_v2(Bucket="bucket").get("Contents", []):
        client.delete_object(Bucket="bucket", Key=one["Key"])
    client.delete_bucket(Bucket="bucket")
    for problem in everything(world, target, store, run):
        assert "is not there any more" in problem.message
    assert os.environ["AWS_SECRET_ACCESS_KEY"] not in json.dumps(list(target.as_().history()))
    assert target.as_().verify().ok
