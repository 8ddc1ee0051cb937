"""What `export mlflow` does for one small version, made by hand with MLflow's client: written, read back, hashed.

    python mlflow_export.py URI DIRECTORY NAME    DIRECTORY: models/MODEL/VERSION of a registry; NAME: a new one there

Nothing of manual_registry is imported here. The files are those that the export uploads: the artefact, the evidence, the
manifests, the record and the events.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
from pathlib import Path

os.environ |= {"MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true", "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}

import mlflow
from mlflow.entities import Dataset, DatasetInput, InputTag, LoggedModelOutput, Metric, Param


def hashes(directory: Path) -> dict[str, str]:
    """Return the SHA-256 of every file below ``directory``."""
    found = {}
    for path in sorted(one for one in directory.rglob("*") if one.is_file()):
        with path.open("rb") as stream:
            found[path.relative_to(directory).as_posix()] = hashlib.file_digest(stream, "sha256").hexdigest()
    return found


def papers(directory: Path, place: Path) -> None:
    """Lay out what goes beside the run."""
    ours = place / "manual_registry"
    (ours / "evidence").mkdir(parents=True)
    for path in (one for one in (directory / "evidence").rglob("*") if one.is_file()):
        target = ours / "evidence" / path.relative_to(directory / "evidence")
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(path.read_bytes())
    for name in ("SHA256SUMS", "B3SUMS", "record.json"):
        (ours / name).write_bytes((directory / name).read_bytes())
    events = sorted((directory.parents[2] / "ledger").iterdir())
    (ours / "events.jsonl").write_bytes(b"".join(path.read_bytes() for path in events))


def export(uri: str, directory: Path, name: str, place: Path) -> None:
    """Write one version, read everything back and compare the hashes."""
    mlflow.set_tracking_uri(uri)
    client = mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
    data = json.loads((directory / "record.json").read_bytes())["registration"]
    tags = {"manual_registry.model": name, "manual_registry.version": "1", "team": "risk"}
    experiment = client.create_experiment(name, tags=tags)
    client.create_registered_model(name, tags=tags, description="by hand")
    run = client.create_run(experiment, start_time=1767225600000, tags=tags, run_name=f"{name} 1").info
    client.log_batch(
        run.run_id,
        params=[Param(key, json.dumps(value)) for key, value in data["hyperparameters"].items()],
        metrics=[Metric(key, value, 1767225600000, 0) for key, value in data["metrics"].items()],
    )
    inputs = [
        DatasetInput(
            Dataset(one["reference"], one["hash"][:36], "sha256", json.dumps(one)),
            [InputTag("mlflow.data.context", "training")],
        )
        for one in data["training_data"]
    ]
    client.log_inputs(run.run_id, datasets=inputs)
    papers(directory, place / "papers")
    client.log_artifacts(run.run_id, str(place / "papers"))
    logged = client.create_logged_model(experiment, name=f"{name}-1", source_run_id=run.run_id, tags=tags)
    model = place / "model"
    (model / "artefact").mkdir(parents=True)
    for path in (directory / "artefact").iterdir():
        (model / "artefact" / path.name).write_bytes(path.read_bytes())
    (model / "MLmodel").write_text(f"run_id: {run.run_id}\nflavors: {{}}\n")
    client.log_model_artifacts(logged.model_id, str(model))
    client.finalize_logged_model(logged.model_id, "READY")
    client.log_outputs(run.run_id, [LoggedModelOutput(logged.model_id, 0)])
    client.set_terminated(run.run_id, "FINISHED", 1767225600000)
    made = client.create_model_version(
        name, f"models:/{logged.model_id}", run.run_id, tags=tags, description="by hand", model_id=logged.model_id
    )
    client.set_registered_model_alias(name, "production", made.version)
    back = client.get_run(run.run_id)
    assert back.data.params and back.inputs.dataset_inputs
    assert tags.items() <= client.get_logged_model(logged.model_id).tags.items()
    assert tags.items() <= client.get_model_version(name, made.version).tags.items()
    assert client.get_registered_model(name).aliases == {"production": made.version}
    (place / "back").mkdir()
    (place / "back-model").mkdir()
    client.download_artifacts(run.run_id, "", str(place / "back"))
    mlflow.artifacts.download_artifacts(artifact_uri=f"models:/{logged.model_id}", dst_path=str(place / "back-model"))
    assert hashes(place / "back") == hashes(place / "papers")
    assert hashes(model).items() <= hashes(place / "back-model").items()  # MLflow adds a file of its own
    client.set_model_version_tag(name, made.version, "verified", "ok")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        export(sys.argv[1], Path(sys.argv[2]), sys.argv[3], Path(scratch))
