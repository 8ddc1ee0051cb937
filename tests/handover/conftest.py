"""One MLflow server for all tests of a worker; registries with models of their own beside each other."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow_server import MlflowServer, Proxy, proxied, running
from world import World

_NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """A real server: SQLite, proxied artefacts."""
    pytest.importorskip("mlflow.server", reason="the server comes with mlflow, not with mlflow-skinny")
    with running(tmp_path_factory.mktemp("mlflow")) as server:
        yield server


@pytest.fixture
def proxy(mlflow_server: MlflowServer) -> Iterator[Proxy]:
    """A proxy before the server."""
    with proxied(mlflow_server) as made:
        yield made


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A high-risk registry whose model no other test has."""
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)  # no repository to look the commit up in
    return World(tmp_path, model=f"churn-{next(_NUMBERS)}")
