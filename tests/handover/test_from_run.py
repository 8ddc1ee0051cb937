"""`register --from-run` against a real server, a folder of files and an SQLite file: taken whole, and nothing touched."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from mlflow_server import MlflowServer, Proxy
from world import LEAD, SME, World

from manual_registry.core.errors import (
    Ambiguous,
    ArtefactMissing,
    ArtefactSymlink,
    BadTrackingAddress,
    CommitUnknown,
    FieldMissing,
    ModelSourceUnfit,
    NotARepository,
    PathEscapes,
    RegistryClosed,
    RegistryError,
    RunUnfit,
    RunUnknown,
    ServerDown,
    ServerRefused,
    StorageFailed,
    UsageError,
    VersionTaken,
)

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

COMMIT = "0123456789abcdef0123456789abcdef01234567"
#: In milliseconds: 2026-01-01 and a minute later.
BEGAN, ENDED = 1767225600000, 1767225660000


@dataclass
class Runs:
    """Makes runs over MLflow's own client; ``place`` is where the files of their models are first written."""

    client: Any
    place: Path

    def run(self, *, end: str | None = "FINISHED", **tags: str) -> str:
        """Make a run that says all that a register asks for; return its id."""
        from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag

        found = self.client.get_experiment_by_name("runs")
        experiment = found.experiment_id if found else self.client.create_experiment("runs")
        told = {"mlflow.source.git.commit": COMMIT, "mlflow.user": "ada", "team": "risk", **tags}
        made = self.client.create_run(experiment, start_time=BEGAN, tags=told, run_name="popular-horse").info.run_id
        self.client.log_batch(
            made,
            params=[Param("depth", "3"), Param("rate", "0.10")],
            metrics=[Metric("auc", 0.5, BEGAN, 0), Metric("auc", 0.9, ENDED, 1)],
            tags=[RunTag("mlflow.note.content", "a try")],
        )
        inputs = [
            DatasetInput(
                dataset=Dataset(name=name, digest="2981c147", source_type="local", source='{"uri": "x.csv"}'),
                tags=[InputTag(key="mlflow.data.context", value=context)],
            )
            for name, context in (("train set", "training"), ("holdout", "evaluation"))
        ]
        self.client.log_inputs(made, datasets=inputs)
        if end is not None:
            self.client.set_terminated(made, end, ENDED)
        return str(made)

    def files(self, content: bytes = b"weights") -> Path:
        """Write the files of a model."""
        folder = self.place / "files"
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "data").mkdir(parents=True)
        (folder / "MLmodel").write_text("flavors: {}\n", encoding="utf-8")
        (folder / "data/weights.bin").write_bytes(content)
        return folder

    def model(self, run_id: str, name: str = "model", *, ready: bool = True, content: bytes = b"weights") -> str:
        """Log a model of the run; return its m-id."""
        from mlflow.entities import LoggedModelOutput

        experiment = self.client.get_run(run_id).info.experiment_id
        made = self.client.create_logged_model(experiment, name=name, source_run_id=run_id).model_id
        self.client.log_model_artifacts(made, str(self.files(content)))
        if ready:
            self.client.finalize_logged_model(made, "READY")
        self.client.log_outputs(run_id, [LoggedModelOutput(made, 0)])
        return str(made)

    def whole(self, **tags: str) -> str:
        """Make a run with one model."""
        made = self.run(**tags)
        self.model(made)
        return made


@pytest.fixture
def runs(mlflow_server: MlflowServer, tmp_path: Path) -> Runs:
    """Runs on the server."""
    return Runs(mlflow_server.client(), tmp_path)


def register(
    world: World, server: MlflowServer | Proxy | str, run_id: str, version: str = "1", **options: Any
) -> dict[str, Any]:
    """Register a run's model and return the document."""
    uri = server if isinstance(server, str) else server.uri
    done = world.as_().register_from_run(world.model, version, run_id, tracking_uri=uri, **options)
    return done.document()


def shown(world: World, version: str = "1") -> dict[str, Any]:
    """Return `show` of a version."""
    return world.as_().show(f"{world.model}@{version}")


def untouched(world: World) -> None:
    """Nothing half made is left, and the registry is sound."""
    incoming = world.root / "models/.incoming"
    assert [one.name for one in incoming.iterdir() if one.name != ".lock"] == [] if incoming.is_dir() else True
    assert world.as_().verify().ok


# -- one step ----------------------------------------------------------------------------------------------------


def test_a_run_becomes_a_version_in_one_step(world: World, mlflow_server: MlflowServer, runs: Runs) -> None:
    run_id = runs.whole()
    done = register(world, mlflow_server, run_id)
    assert (done["schema"], done["changed"]) == ("manual-registry/result/1", True)
    assert any("'holdout' (evaluation)" in line for line in done["warnings"])
    assert any("popular-horse" in line for line in done["warnings"])
    found = shown(world)
    assert found["training_data"] == ["mlflow:train%20set@2981c147"]
    assert (found["code_commit"], found["owner"], found["tags"]) == (COMMIT, "ada", {"team": "risk"})
    assert (found["training_date"], found["pipeline_run"]) == ("2026-01-01T00:01:00.000Z", f"mlflow:{run_id}")
    assert found["metadata"]["hyperparameters"] == {"depth": 3, "rate": "0.10"}
    assert (found["metrics"], found["metadata"]["description"]) == ({"auc": 0.9}, "a try")
    artefact = world.root / f"models/{world.model}/1/artefact"
    assert sorted(one.relative_to(artefact).as_posix() for one in artefact.rglob("*") if one.is_file()) == [
        "MLmodel",
        "data/weights.bin",
    ]
    kept = json.loads((artefact.parent / f"evidence/other/mlflow-run-{run_id}.json").read_bytes())
    assert (kept["server"], kept["run"]["name"]) == (mlflow_server.uri, "popular-horse")
    assert kept["run"]["history"] == {"values": [["auc", [[0, BEGAN, 0.5], [1, ENDED, 0.9]]]], "cut": []}
    assert [one["name"] for one in kept["run"]["datasets"]] == ["holdout", "train set"]
    untouched(world)
    traced = json.dumps(world.as_().trace(f"{world.model}@1").document())
    assert "recorded; it cannot be looked up from here" in traced


def test_the_same_again_changes_nothing_and_another_is_refused(
    world: World, mlflow_server: MlflowServer, runs: Runs
) -> None:
    run_id = runs.whole()
    first = register(world, mlflow_server, run_id)
    again = register(world, mlflow_server, run_id)
    assert (again["changed"], again["ledger"]) == (False, first["ledger"])
    other = runs.run()
    runs.model(other, content=b"other")
    with pytest.raises(VersionTaken):
        register(world, mlflow_server, other)
    runs.client.set_tag(run_id, "team", "changed there")
    with pytest.raises(VersionTaken, match="tags"):
        register(world, mlflow_server, run_id)
    assert register(world, mlflow_server, other, "next")["version"] == "2"
    untouched(world)


def test_registered_there_meanwhile_it_is_the_same_still(world: World, mlflow_server: MlflowServer, runs: Runs) -> None:
    run_id = runs.run()
    model_id = runs.model(run_id)
    register(world, mlflow_server, run_id)
    runs.client.create_registered_model(world.model)
    runs.client.create_model_version(world.model, source=f"models:/{model_id}", run_id=run_id, model_id=model_id)
    assert register(world, mlflow_server, run_id)["changed"] is False


def test_options_win_over_the_file_and_both_over_the_run(world: World, mlflow_server: MlflowServer, runs: Runs) -> None:
    run_id = runs.whole()
    metadata = world.place / "m.json"
    metadata.write_text(
        json.dumps({"owner": "file", "metrics": {"f1": 0.5}, "description": "of the file", "tags": {"team": "file"}})
    )
    metrics = world.place / "metrics.json"
    metrics.write_text('{"auc": 0.1}')
    done = register(
        world, mlflow_server, run_id, metadata=metadata, metrics=metrics, commit="d" * 40, pipeline_run="job 5",
        data=["sha256:" + "ab" * 32], trained="2025-12-31",
    )  # fmt: skip
    assert any(f"the run says commit {COMMIT[:12]}" in line for line in done["warnings"])
    found = shown(world)
    assert (found["owner"], found["metrics"], found["tags"]) == ("file", {"auc": 0.1}, {"team": "file"})
    assert (found["code_commit"], found["pipeline_run"]) == ("d" * 40, "job 5")
    assert (found["training_data"], found["training_date"]) == (["sha256:" + "ab" * 32], "2025-12-31")
    assert found["metadata"]["hyperparameters"] == {"depth": 3, "rate": "0.10"}


def test_what_the_run_does_not_say_is_asked_for(world: World, mlflow_server: MlflowServer, runs: Runs) -> None:
    run_id = runs.whole(**{"mlflow.source.git.commit": "main"})
    with pytest.raises(FieldMissing, match="code is missing") as caught:
        register(world, mlflow_server, run_id)
    line = f"mreg register {world.model} 1 --from-run {run_id} --tracking-uri {mlflow_server.uri}"
    assert caught.value.hint == f"{line} --metadata FILE"
    untouched(world)


def test_data_of_a_repository_asks_for_it_by_the_whole_command(
    world: World, mlflow_server: MlflowServer, runs: Runs
) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    reference = f"dvc:{COMMIT}:data/train.csv"
    source = json.dumps({"reference": reference, "hash": "md5:" + "a" * 32})
    dataset = Dataset(name=reference, digest="ab", source_type="local", source=source)
    run_id = runs.run(end=None)
    runs.model(run_id)
    runs.client.log_inputs(run_id, datasets=[DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])
    runs.client.set_terminated(run_id, "FINISHED", ENDED)
    with pytest.raises(NotARepository) as caught:
        register(world, mlflow_server, run_id, owner="the team")
    words = f"{world.model} 1 --from-run {run_id} --tracking-uri {mlflow_server.uri} --owner 'the team' --repo DIR"
    assert caught.value.hint == f"mreg register {words}"


def test_the_commit_is_looked_up_where_there_is_its_repository(
    world: World, mlflow_server: MlflowServer, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = world.place / "code"
    repo.mkdir()
    git = ["git", "-c", "user.name=A", "-c", "user.email=a@example.org", "-C", str(repo)]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "x"], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    monkeypatch.chdir(repo)
    done = register(world, mlflow_server, runs.whole())
    assert any("does not have the run's commit" in line for line in done["warnings"])
    assert shown(world)["code_commit"] == COMMIT
    with pytest.raises(CommitUnknown):
        register(world, mlflow_server, runs.whole(), "2", repo=repo)
    register(world, mlflow_server, runs.whole(**{"mlflow.source.git.commit": head}), "2")
    record = json.loads((world.root / f"models/{world.model}/2/record.json").read_bytes())["registration"]
    assert (record["code"]["commit"], record["code"]["checked"]) == (head, True)


# -- which model -------------------------------------------------------------------------------------------------


def test_several_models_are_listed_and_one_is_named(world: World, mlflow_server: MlflowServer, runs: Runs) -> None:
    run_id = runs.run()
    small, large = runs.model(run_id, "small", content=b"s"), runs.model(run_id, "large", content=b"l")
    runs.client.log_metric(run_id, "auc", 0.7, step=1, model_id=small)
    runs.client.log_metric(run_id, "auc", 0.95, step=2, model_id=large)
    with pytest.raises(Ambiguous) as caught:
        register(world, mlflow_server, run_id)
    assert sorted(caught.value.details["models"]) == sorted([f"small ({small})", f"large ({large})"])
    assert all(f"{one} ({name})" in caught.value.message for one, name in ((small, "small"), (large, "large")))
    place = f"{world.model} 1 {min(small, large)} --from-run {run_id} --tracking-uri {mlflow_server.uri}"
    assert caught.value.hint == f"mreg register {place}"
    register(world, mlflow_server, run_id, "1", path="small")
    register(world, mlflow_server, run_id, "2", path=large)
    assert (shown(world, "1")["metrics"], shown(world, "2")["metrics"]) == ({"auc": 0.7}, {"auc": 0.95})
    twin = runs.model(run_id, "small", content=b"s2")
    with pytest.raises(Ambiguous, match=twin):
        register(world, mlflow_server, run_id, "3", path="small")


def test_a_model_among_the_files_of_the_run(world: World, mlflow_server: MlflowServer, runs: Runs) -> None:
    run_id = runs.run()
    runs.client.log_artifacts(run_id, str(runs.files()), "deep/model")
    plot = world.place / "50%.txt"  # a name that no artefact may have is no obstacle beside the model
    plot.write_text("x")
    runs.client.log_artifact(run_id, str(plot))
    register(world, mlflow_server, run_id)
    assert (world.root / f"models/{world.model}/1/artefact/data/weights.bin").read_bytes() == b"weights"
    register(world, mlflow_server, run_id, "2", path="deep/model/data/weights.bin")
    assert (world.root / f"models/{world.model}/2/artefact/weights.bin").read_bytes() == b"weights"
    runs.client.log_artifacts(run_id, str(runs.files()), "other")
    with pytest.raises(Ambiguous, match=r"deep/model.*other|other.*deep/model"):
        register(world, mlflow_server, run_id, "3")
    register(world, mlflow_server, run_id, "3", path="other")
    with pytest.raises(PathEscapes):
        register(world, mlflow_server, run_id, "4", path="../other")


def test_a_run_without_a_model_says_what_it_has(world: World, mlflow_server: MlflowServer, runs: Runs) -> None:
    run_id = runs.run()
    with pytest.raises(RunUnfit, match=r"has no model, and no files"):
        register(world, mlflow_server, run_id)
    runs.client.log_text(run_id, "x", "notes.txt")
    with pytest.raises(RunUnfit, match=r"has no model; it has notes\.txt"):
        register(world, mlflow_server, run_id)
    with pytest.raises(RunUnfit, match=r"no file 'nope'"):
        register(world, mlflow_server, run_id, path="nope")
    register(world, mlflow_server, run_id, path="notes.txt")


@pytest.mark.parametrize("run_id", ["f" * 32, "../x", "", "a b", "x" * 300])
def test_a_run_that_is_not_there(world: World, mlflow_server: MlflowServer, run_id: str) -> None:
    with pytest.raises(RunUnknown):
        register(world, mlflow_server, run_id)


def test_a_run_that_is_not_whole(world: World, mlflow_server: MlflowServer, runs: Runs) -> None:
    running = runs.run(end=None)
    with pytest.raises(RunUnfit, match="has not ended"):
        register(world, mlflow_server, running)
    pending = runs.run()
    runs.model(pending, ready=False)
    with pytest.raises(RunUnfit, match="PENDING"):
        register(world, mlflow_server, pending)
    gone = runs.whole()
    runs.client.delete_run(gone)
    with pytest.raises(RunUnfit, match="deleted") as caught:
        register(world, mlflow_server, gone)
    assert gone in (caught.value.hint or "")
    failed = runs.run(end="FAILED")
    runs.model(failed)
    assert any("ended as FAILED" in line for line in register(world, mlflow_server, failed)["warnings"])


# -- servers that lie, and servers that go ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "listed",
    [
        [{"path": "../outside", "is_dir": False, "file_size": 3}],
        [{"path": "/etc/passwd", "is_dir": False, "file_size": 3}],
        [{"path": "a/../../outside", "is_dir": False, "file_size": 3}],
        [{"path": "con", "is_dir": False, "file_size": 3}],
        [{"path": "a", "is_dir": False, "file_size": 3}, {"path": "A", "is_dir": False, "file_size": 3}],
        [{"path": "deep", "is_dir": True}],
    ],
)
def test_a_listing_that_lies_writes_nothing(
    world: World, proxy: Proxy, runs: Runs, listed: list[dict[str, Any]]
) -> None:
    run_id = runs.whole()

    def lie(_number: int, method: str, path: str) -> tuple[int, bytes] | None:
        if method == "GET" and "mlflow-artifacts/artifacts" in path and "path=" in path:
            return 200, json.dumps({"files": listed}).encode()
        return None

    proxy.before = lie
    before = sorted(world.place.rglob("*"))
    with pytest.raises(RegistryError) as caught:
        register(world, proxy, run_id)
    assert caught.value.status in (7, 8), caught.value
    assert [one for one in sorted(world.place.rglob("*")) if one not in before and "outside" in one.name] == []
    untouched(world)


def test_a_place_on_the_servers_disk_is_not_looked_for_here(
    world: World, mlflow_server: MlflowServer, runs: Runs
) -> None:
    secret = world.place / "secret"
    secret.mkdir()
    (secret / "id_ed25519").write_text("private")
    experiment = runs.client.create_experiment(f"elsewhere-{world.model}", artifact_location=secret.as_uri())
    run_id = runs.client.create_run(experiment).info.run_id
    runs.client.set_terminated(run_id)
    with pytest.raises(ModelSourceUnfit, match="server's own disk"):
        register(world, mlflow_server, run_id, path="id_ed25519")
    untouched(world)


def test_a_server_that_goes_away_leaves_nothing(
    world: World, mlflow_server: MlflowServer, proxy: Proxy, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    run_id = runs.whole()
    register(world, proxy, run_id)
    total = len(proxy.seen)
    for cut in range(0, total - 1, 2):  # one is asked once a process
        proxy.seen[:] = []
        proxy.before = lambda number, _method, _path, cut=cut: (0, b"") if number > cut else None
        with pytest.raises((ServerDown, ServerRefused)):
            register(world, proxy, run_id, "2")
        untouched(world)
    proxy.before = None
    assert register(world, proxy, run_id, "2")["changed"]


def test_killed_in_the_download_nothing_stays(world: World, proxy: Proxy, runs: Runs) -> None:
    run_id = runs.whole()
    words = [sys.executable, "-m", "manual_registry", "--registry", str(world.root), "--actor", SME]
    words += ["register", world.model, "1", "--from-run", run_id, "--tracking-uri", proxy.uri]
    process: subprocess.Popen[bytes]

    def kill(_number: int, method: str, path: str) -> None:
        if path.endswith("weights.bin") and method == "GET":
            process.send_signal(signal.SIGKILL)
            process.wait()

    proxy.before = kill
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    process.wait()
    assert process.returncode == -signal.SIGKILL
    assert [one for one in (world.root / "models/.incoming").iterdir() if one.is_dir()]
    proxy.before = None
    assert register(world, proxy, run_id)["changed"]
    untouched(world)


def test_a_closed_register_asks_no_server(world: World) -> None:
    world.as_(LEAD).close("https://mlflow.example.org", reason="moved", as_=LEAD, key=world.key(LEAD))
    with pytest.raises(RegistryClosed):
        register(world, "http://127.0.0.1:9", "a" * 32)


# -- stores of this machine --------------------------------------------------------------------------------------------


def _store(place: Path, address: str, monkeypatch: pytest.MonkeyPatch) -> Runs:
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.chdir(place)
    import mlflow

    return Runs(mlflow.MlflowClient(tracking_uri=address, registry_uri=address), place)


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with MLflow's tables, which take seconds to make."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    path = tmp_path_factory.mktemp("database") / "mlflow.db"
    SqlAlchemyStore(f"sqlite:///{path}", str(path.parent / "mlruns")).engine.dispose()
    return path


@pytest.fixture(params=["folder", "database"])
def local(
    request: pytest.FixtureRequest, tmp_path: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Runs, Path]]:
    """Runs in a store of this machine, and what to call it."""
    home = tmp_path / "home"
    home.mkdir()
    if request.param == "folder":
        made, path = _store(home, str(home / "mlruns"), monkeypatch), home / "mlruns"
    else:
        shutil.copy(empty_database, home / "mlflow.db")
        made, path = _store(home, f"sqlite:///{home}/mlflow.db", monkeypatch), home / "mlflow.db"
    made.place = tmp_path
    monkeypatch.delenv("MLFLOW_ALLOW_FILE_STORE")
    yield made, path


def _seen(place: Path) -> dict[str, tuple[int, int, bytes]]:
    """Return what is in a folder: mode, time and bytes of everything."""
    return {
        one.relative_to(place).as_posix(): (
            one.lstat().st_mode,
            one.lstat().st_mtime_ns,
            one.read_bytes() if one.is_file() else b"",
        )
        for one in sorted(place.rglob("*"))
    }


def test_a_store_of_this_machine_is_read_and_not_touched(world: World, local: tuple[Runs, Path]) -> None:
    runs, path = local
    runs.client.create_experiment("second") if path.is_dir() else None
    run_id = runs.whole()
    before = _seen(path.parent)
    assert register(world, str(path), run_id)["changed"]
    assert register(world, path.as_uri() if path.is_dir() else f"sqlite:///{path}", run_id)["changed"] is False
    for wrong in ("e" * 32, "../x"):
        with pytest.raises(RunUnknown):
            register(world, str(path), wrong)
    assert _seen(path.parent) == before
    assert "MLFLOW_ALLOW_FILE_STORE" not in os.environ
    found = shown(world)
    assert (found["code_commit"], found["metrics"]) == (COMMIT, {"auc": 0.9})
    kept = json.loads((world.root / f"models/{world.model}/1" / found["evidence"][0]["path"]).read_bytes())
    assert kept["server"] is None
    untouched(world)


def test_the_store_in_this_directory_is_found_by_itself(
    world: World, local: tuple[Runs, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, path = local
    run_id = runs.whole()
    monkeypatch.chdir(path.parent)
    assert world.as_().register_from_run(world.model, "1", run_id).document()["changed"]
    monkeypatch.chdir(world.place)
    with pytest.raises(UsageError, match="where is the run"):
        world.as_().register_from_run(world.model, "1", run_id)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", str(path))
    assert world.as_().register_from_run(world.model, "1", run_id).document()["changed"] is False


def test_a_store_that_was_moved_keeps_its_files(world: World, local: tuple[Runs, Path]) -> None:
    runs, path = local
    run_id = runs.whole()
    other = runs.run()
    runs.client.log_artifacts(other, str(runs.files()), "model")
    moved = path.parent.with_name("moved")
    path.parent.rename(moved)
    register(world, str(moved / path.name), run_id)
    register(world, str(moved / path.name), other, "2")
    assert (world.root / f"models/{world.model}/2/artefact/data/weights.bin").read_bytes() == b"weights"
    shutil.rmtree(moved / "mlruns" / "models", ignore_errors=True)
    for folder in (moved / "mlruns").rglob("artifacts"):
        shutil.rmtree(folder)
    with pytest.raises((ArtefactMissing, RunUnfit, RunUnknown)):
        register(world, str(moved / path.name), run_id, "3")


def test_links_are_no_part_of_a_model_and_places_outside_are_told(world: World, local: tuple[Runs, Path]) -> None:
    runs, path = local
    run_id = runs.run()
    model = runs.model(run_id)
    place = next(one for one in path.parent.rglob("artifacts") if model in str(one))
    (place / "link").symlink_to("/etc/passwd")
    with pytest.raises(ArtefactSymlink):
        register(world, str(path), run_id)
    (place / "link").unlink()
    away = world.place / "away"
    place.rename(away)
    place.symlink_to(away, target_is_directory=True)
    with pytest.raises(ArtefactSymlink):
        register(world, str(path), run_id)
    place.unlink()
    experiment = runs.client.create_experiment("outside", artifact_location=str(away))
    other = runs.client.create_run(experiment, tags={"mlflow.source.git.commit": COMMIT}).info.run_id
    runs.client.log_artifacts(other, str(runs.files()), "model")
    runs.client.set_terminated(other)
    try:
        register(world, str(path), other)
    except RegistryError as problem:  # this run says nothing else
        assert "missing" in str(problem)
    done = register(world, str(path), other, metadata=world.metadata())
    assert any("outside of the store" in line for line in done["warnings"])
    untouched(world)


def test_an_old_and_a_newer_schema(
    world: World, tmp_path: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from alembic import command
    from mlflow.store.db import utils
    from mlflow.store.tracking.dbmodels.initial_models import Base

    path = tmp_path / "old.db"
    engine = utils.create_sqlalchemy_engine(f"sqlite:///{path}")
    Base.metadata.create_all(engine)
    config = utils._get_alembic_config(f"sqlite:///{path}")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "7f2a7d5fae7d")  # MLflow 2.8
    engine.dispose()
    files = tmp_path / "artifacts"
    shutil.copytree(Runs(None, tmp_path).files(), files / "model")
    with closing(sqlite3.connect(path)) as made, made:
        made.execute("INSERT INTO experiments (experiment_id, name, lifecycle_stage) VALUES (1, 'e', 'active')")
        made.execute(
            "INSERT INTO runs (run_uuid, name, source_type, user_id, status, start_time, end_time, lifecycle_stage,"
            " artifact_uri, experiment_id) VALUES (?, 'n', 'LOCAL', 'u', 'FINISHED', ?, ?, 'active', ?, 1)",
            ("a" * 32, BEGAN, ENDED, str(files)),
        )
    before = path.read_bytes()
    assert register(world, str(path), "a" * 32, metadata=world.metadata())["changed"]
    assert path.read_bytes() == before
    newer = tmp_path / "newer.db"
    shutil.copy(empty_database, newer)
    with closing(sqlite3.connect(newer)) as made, made:
        made.execute("UPDATE alembic_version SET version_num = 'fromthefuture'")
    with pytest.raises(BadTrackingAddress, match="cannot be read by the MLflow that is installed"):
        register(world, str(newer), "a" * 32, "2")


def _with_a_log(path: Path) -> sqlite3.Connection:
    """Change a run in a database's write-ahead log; the log stays as long as this is open."""
    other = sqlite3.connect(path)
    other.execute("PRAGMA journal_mode=WAL")
    other.execute("UPDATE runs SET name = 'in the log'")
    other.execute("UPDATE tags SET value = 'in the log' WHERE key = 'mlflow.runName'")
    other.commit()
    return other


@pytest.mark.parametrize("state", ["open", "copied", "killed"])
def test_a_database_in_use(
    world: World, tmp_path: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    path = Path(shutil.copy(empty_database, home / "mlflow.db"))
    run_id = _store(home, f"sqlite:///{path}", monkeypatch).whole()
    if state == "killed":  # in the middle of a transaction: there is a journal to roll back
        torn = "UPDATE runs SET name = 'torn'; CREATE TABLE big (a); INSERT INTO big SELECT randomblob(3000000)"
        code = f"import os, sqlite3; c = sqlite3.connect({str(path)!r}, isolation_level=None)\n"
        code += f"for one in ('PRAGMA cache_size=1', 'BEGIN', *{torn.split('; ')!r}): c.execute(one)\nos._exit(9)"
        subprocess.run([sys.executable, "-c", code], check=False)
        assert (home / "mlflow.db-journal").stat().st_size
    else:
        other = _with_a_log(path)
        if state == "copied":  # as a backup of a folder has it: the log, and nobody who has it open
            elsewhere = tmp_path / "elsewhere"
            elsewhere.mkdir()
            for name in ("mlflow.db", "mlflow.db-wal"):
                shutil.copy(home / name, elsewhere)
            path, home = elsewhere / "mlflow.db", elsewhere
    before = {name: data for name, (*_, data) in _seen(home).items() if not name.endswith("-shm")}
    register(world, str(path), run_id)
    assert {name: data for name, (*_, data) in _seen(home).items() if not name.endswith("-shm")} == before
    if state != "killed":
        assert (home / "mlflow.db-shm").exists() == (state == "open")
        other.close()
    kept = next((world.root / f"models/{world.model}/1/evidence/other").iterdir())
    assert json.loads(kept.read_bytes())["run"]["name"] == ("popular-horse" if state == "killed" else "in the log")


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda place: str(place / "nowhere"), BadTrackingAddress),
        (lambda place: f"sqlite:///{place}/nowhere.db", BadTrackingAddress),
        (lambda place: (place / "nowhere").as_uri(), BadTrackingAddress),
        (str, BadTrackingAddress),
        (lambda _: "postgresql://ada:geheim@host/db", BadTrackingAddress),
        (lambda _: "databricks", BadTrackingAddress),
        (lambda _: "sqlite://", BadTrackingAddress),
        (lambda _: "sqlite:///:memory:", BadTrackingAddress),
        (lambda _: "http://", BadTrackingAddress),
        (lambda _: "http://127.0.0.1:9", ServerDown),
        (lambda place: str(_written(place / "x.db", b"SQLite format 3\0" + b"x" * 100)), StorageFailed),
        (lambda place: str(_written(place / "x.txt", b"hello")), BadTrackingAddress),
        (lambda place: str(_other_database(place / "other.db")), BadTrackingAddress),
    ],
)
def test_a_wrong_address_creates_nothing(
    world: World, tmp_path: Path, make: Callable[[Path], str], error: type[RegistryError]
) -> None:
    address = make(tmp_path)
    before = _seen(tmp_path)
    with pytest.raises(error) as caught:
        register(world, address, "a" * 32)
    assert "geheim" not in str(caught.value)
    after = _seen(tmp_path)
    assert after.keys() == before.keys() | {one for one in after if one.startswith("registry/models/.incoming")}
    untouched(world)


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def _other_database(path: Path) -> Path:
    with closing(sqlite3.connect(path)) as made, made:
        made.execute("CREATE TABLE t (a)")
    return path


# -- the command line ------------------------------------------------------------------------------------------------


def test_the_command_line(world: World, mlflow_server: MlflowServer, runs: Runs) -> None:
    run_id = runs.whole()
    where = ("--from-run", run_id, "--tracking-uri", mlflow_server.uri)
    done = world.cli("--json", "register", world.model, "next", *where)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["version"] == "1"
    again = world.cli("register", world.model, "1", *where)
    assert again.returncode == 0
    assert "nothing changed" in again.stdout
    lost = world.cli("register", world.model, "2", "--from-run", "e" * 32, "--tracking-uri", mlflow_server.uri)
    assert (lost.returncode, "MR-N070" in lost.stderr, "Traceback" in lost.stderr) == (5, True, False)
    for words, told in (
        ((), "PATH, a file or folder, or --from-run"),
        (("x", "--tracking-uri", "http://h"), "without that it means nothing"),
        (("--from-run", run_id, "--template", "t.yaml"), "--template starts from a PATH"),
    ):
        refused = world.cli("register", world.model, "2", *words)
        assert (refused.returncode, told in refused.stderr) == (2, True), refused.stderr
