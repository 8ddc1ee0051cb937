"""What tests of `export mlflow` ask again and again: export, in this process or another, and what is there then."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Any

from mlflow_server import MlflowServer, Proxy
from world import World


def export(world: World, server: MlflowServer | Proxy, **options: Any) -> dict[str, Any]:
    """Export and return the document."""
    return world.as_().export_mlflow(server.uri, **options).document()


def places(document: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return (place, field, problem) of each mismatch."""
    return [(one["place"], one["field"], one["problem"]) for one in document["mismatches"]]


def counts(server: MlflowServer, model: str) -> tuple[int, int, int]:
    """Return how many runs, logged models and model versions there are."""
    client = server.client()
    experiment = client.get_experiment_by_name(model)
    if experiment is None:
        return 0, 0, 0
    where = [experiment.experiment_id]
    versions = client.search_model_versions(f"name = '{model}'")
    return len(client.search_runs(where, run_view_type=3)), len(client.search_logged_models(where)), len(versions)


def command(world: World, uri: str, *words: str) -> subprocess.Popen[str]:
    """Start an export in a process of its own."""
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "manual_registry", "--actor", "sme@example.org", "--json"),
            *("export", "mlflow", "--tracking-uri", uri, *words),
        ],
        cwd=world.root,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def killed_after(world: World, proxy: Proxy, method: str, part: str, *words: str) -> None:
    """Export, and kill the process right after a request of ``method`` whose path has ``part`` was answered."""
    process: subprocess.Popen[str]

    def kill(_number: int, verb: str, path: str) -> None:
        if verb == method and part in path:
            process.send_signal(signal.SIGKILL)
            process.wait()

    proxy.after = kill
    process = command(world, proxy.uri, *words)
    process.communicate()
    proxy.after = None
    assert process.returncode == -signal.SIGKILL
