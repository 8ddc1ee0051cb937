"""The whole move: three models, forty versions (one of 1 GiB, one of many files, some archived), and PostgreSQL once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from mlflow_server import MlflowServer, Proxy, free_port, running
from world import World

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

GIB = 1 << 30


def filled(place: Path, *, large: int) -> World:
    """Return a registry of three models with forty versions between them."""
    world = World(place, risk="minimal")
    registry = world.as_()
    for number in range(40):
        model, version = ("churn", "credit-risk", "ranking")[number % 3], f"1.{number}.0"
        path = world.artefact(f"{model}-{version}")
        if number == 4:
            with path.open("wb") as stream:
                stream.truncate(large)
        elif number == 5:
            path = place / "folder"
            for part in range(30):
                file = path / f"layer {part // 10}" / f"weights-{part}.bin"
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(os.urandom(1000 + part))
        changes = {"metrics": {"auc": 0.5 + number / 100}, "training_date": f"2026-0{1 + number % 9}-03"}
        registry.register(model, version, path, metadata=world.metadata(**changes))
        if number % 5 == 0:
            registry.archive(f"{model}@{version}", reason="replaced")
        path.unlink() if path.is_file() else None
    for model, version in (("churn", "1.3.0"), ("credit-risk", "1.4.0"), ("ranking", "1.38.0")):
        registry.promote(f"{model}@{version}", to="staging", reason="good")
        world.model = model
        identifier = registry.approval_request(f"{model}@{version}", to="production").id or ""
        world.as_(world.leads[0]).approval_sign(identifier, as_=world.leads[0], key=world.key(world.leads[0]))
        registry.promote(f"{model}@{version}", to="production", reason="best")
    return world


def measured(world: World, uri: str, *words: str) -> tuple[dict[str, Any], int]:
    """Export in a process of its own; returns the document and the process's peak memory in bytes."""
    import json

    # A process begins with the peak of the one that started it (this worker's is large): a small one stands between.
    between = (
        "import resource, subprocess, sys; done = subprocess.run(sys.argv[1:]);"
        " print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)"
    )
    done = subprocess.run(
        [
            *(sys.executable, "-c", between),
            *(sys.executable, "-m", "manual_registry", "--actor", "sme@example.org", "--json"),
            *("export", "mlflow", "--tracking-uri", uri, *words),
        ],
        cwd=world.root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr
    return json.loads(done.stdout), int(done.stderr.split()[-1]) * 1024


def test_forty_versions_and_a_gibibyte(
    mlflow_server: MlflowServer, proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if shutil.disk_usage(tmp_path).free < 6 * GIB:
        pytest.skip("asks 6 GiB of disk")
    world = filled(tmp_path, large=GIB)
    done, peak = measured(world, proxy.uri)
    assert (len(done["exported"]), done["mismatches"], done["verified"]) == (40, [], True)
    assert peak < 400 << 20, f"{peak >> 20} MiB"  # a gibibyte went through it twice
    client = mlflow_server.client()
    there = [
        one for model in ("churn", "credit-risk", "ranking") for one in client.search_model_versions(f"name='{model}'")
    ]
    assert len(there) == 40
    assert sum(one.tags["manual_registry.stage"] == "archived" for one in there) == 8
    assert client.get_model_version_by_alias("credit-risk", "production").tags["manual_registry.size"] == str(GIB)
    # In order of registration.
    numbers = sorted((int(one.version), one.tags["manual_registry.version"]) for one in there if one.name == "churn")
    assert [version for _, version in numbers] == [f"1.{number}.0" for number in range(0, 40, 3)]
    proxy.seen[:] = []
    again, _ = measured(world, proxy.uri)
    assert (proxy.writes, again["requests"], again["events"], again["verified"]) == ([], 0, [], True)
    (path,) = mlflow_server.artefacts.rglob("weights-17.bin")
    path.write_bytes(os.urandom(path.stat().st_size))
    found, _ = measured(world, proxy.uri, "--verify-only")
    assert [one["field"] for one in found["mismatches"]] == ["artefact/layer 1/weights-17.bin"]
    assert proxy.writes == []


# -- PostgreSQL ---------------------------------------------------------------------------------------------------


def _postgres() -> Path | None:
    """Return where PostgreSQL's programs lie."""
    found = shutil.which("initdb")
    places = [Path(found).parent] if found else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((place for place in places if (place / "initdb").exists() and (place / "postgres").exists()), None)


@contextmanager
def database() -> Iterator[str]:
    """Start a PostgreSQL of our own on loopback; it refuses to run as root, and a test's directory is its user's alone."""
    programs = _postgres()
    if programs is None:
        pytest.skip("PostgreSQL is not installed")
    user = "nobody" if os.getuid() == 0 else None
    place = Path(tempfile.mkdtemp(prefix="manual-registry-pg-"))
    place.chmod(0o777)
    data, port = place / "data", free_port()
    with (place / "log").open("wb") as log:
        made = [programs / "initdb", "-D", data, "-U", "mlflow", "-A", "trust", "-E", "UTF8", "--no-sync"]
        subprocess.run(made, user=user, check=True, stdout=log, stderr=log, cwd=place)
        process = subprocess.Popen(
            [programs / "postgres", "-D", data, "-p", str(port), "-h", "127.0.0.1", "-k", place, "-F"],
            user=user,
            stdout=log,
            stderr=log,
            cwd=place,
        )
        try:
            _await(port, process)
            yield f"postgresql+psycopg2://mlflow@127.0.0.1:{port}/postgres"
        finally:
            process.terminate()
            process.wait(30)
            shutil.rmtree(place)


def _await(port: int, process: subprocess.Popen[bytes]) -> None:
    import time

    import psycopg2

    for _ in range(300):
        try:
            psycopg2.connect(host="127.0.0.1", port=port, user="mlflow", dbname="postgres").close()
        except psycopg2.OperationalError:
            assert process.poll() is None
            time.sleep(0.1)
        else:
            return
    raise AssertionError("PostgreSQL did not start")


def test_postgresql_takes_everything_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its columns have lengths, and it refuses what SQLite takes: U+0000, say."""
    pytest.importorskip("mlflow.server")
    pytest.importorskip("psycopg2")
    monkeypatch.chdir(tmp_path)
    world = World(tmp_path / "w", model="m" + "x" * 99)
    with database() as store, running(tmp_path / "server", store=store) as server:
        world.register(
            "1." + "0" * 62,
            name="metadata.json",
            hyperparameters={"nul": "a\x00b", "long": "ü" * 9000, "k" * 400: 1, "emoji": "😀" * 6000, "": ""},
            metrics={"n" * 300: 0.5, "large": 1.7e308, "count": 10**17 + 1, "small": 5e-324},
            description="é" * 20_000,
            pipeline_run="p" * 9_000,
            origin="o" * 9_000,
            owner="Ω" * 6_000,
            tags={"t" * 100: "v" * 9_000},
        )
        world.to_production("2")
        done = world.as_().export_mlflow(server.uri).document()
        assert (done["mismatches"], done["verified"], len(done["exported"])) == ([], True, 2)
        assert world.as_().export_mlflow(server.uri).document()["requests"] == 0
        assert world.as_().export_mlflow(server.uri, verify_only=True).verified
