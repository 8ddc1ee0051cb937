"""What tests of `import mlflow` ask again and again: import, what was left out, and a team's own use of MLflow."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from mlflow_server import MlflowServer, Proxy
from world import World


def take(target: World, server: MlflowServer | Proxy, *models: str, **options: Any) -> dict[str, Any]:
    """Import and return the document."""
    return target.as_().import_mlflow(server.uri, models=models, **options).document()


def reasons(document: dict[str, Any]) -> dict[tuple[str, int], str]:
    """Return why each version was left out."""
    return {(one["model"], one["version"]): one["reason"] for one in document["not_imported"]}


def lost(document: dict[str, Any], model: str, number: int = 1) -> dict[str, str]:
    """Return what of a version has no place, with the reason."""
    found = (one["what"] for one in document["not_kept"] if (one["model"], one["version"]) == (model, number))
    return {each["field"]: each["reason"] for what in found for each in what}


def events(world: World) -> list[str]:
    """Return the types of all events."""
    return [one["type"] for one in world.as_().history()]


class Theirs:
    """A team's own use of MLflow: runs, logged models, registered models."""

    def __init__(self, server: MlflowServer, place: Path) -> None:
        self.client = server.client()
        self.place = place

    def run(self, name: str = "theirs", **changes: Any) -> str:
        """Make a run with params, metrics, a data set and a commit; returns its id."""
        from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param

        found = self.client.get_experiment_by_name(name)
        experiment = found.experiment_id if found else self.client.create_experiment(name)
        tags = {
            "mlflow.user": "ada",
            "mlflow.source.git.commit": "d" * 40,
            "mlflow.source.git.repoURL": "https://user:secret@git.example.org/credit.git",
            "mlflow.source.name": "train.py",
            "team": "risk",
            **changes.get("tags", {}),
        }
        run = self.client.create_run(experiment, start_time=1_700_000_000_000, tags=tags, run_name="nightly")
        params = changes.get("params", {"depth": "3", "rate": "0.10", "on": "true"})
        metrics = changes.get(
            "metrics", [Metric("auc", 0.8, 1, 0), Metric("auc", 0.9, 2, 1), Metric("loss", math.nan, 1, 0)]
        )
        self.client.log_batch(run.info.run_id, metrics=metrics, params=[Param(*one) for one in params.items()])
        dataset = Dataset(name="train set", digest="2981c147", source_type="local", source='{"uri": "x.csv"}')
        inputs = [DatasetInput(dataset=dataset, tags=[InputTag("mlflow.data.context", "training")])]
        self.client.log_inputs(run.info.run_id, datasets=inputs)
        self.client.set_terminated(run.info.run_id, "FINISHED", changes.get("end", 1_700_000_600_000))
        return str(run.info.run_id)

    def files(self, **texts: str) -> Path:
        """Write files of a model."""
        folder = self.place / "theirs"
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in (texts or {"MLmodel": "flavors: {}\n", "data": "weights"}).items():
            (folder / name).write_text(text)
        return folder

    def version(self, name: str, run: str | None = None, **changes: Any) -> Any:
        """Register a version of ``name``, logged as a model of its own, or below ``source``."""
        if not self.client.search_registered_models(filter_string=f'name = "{name}"'):
            self.client.create_registered_model(name)
        run = run or self.run(**changes.get("run", {}))
        source, model_id = changes.get("source"), None
        if source is None:
            experiment = self.client.get_run(run).info.experiment_id
            logged = self.client.create_logged_model(experiment, name="model", source_run_id=run)
            self.client.log_model_artifacts(logged.model_id, str(self.files()))
            self.client.finalize_logged_model(logged.model_id, "READY")
            source, model_id = f"models:/{logged.model_id}", logged.model_id
        return self.client.create_model_version(
            name,
            source=source,
            run_id=run,
            model_id=model_id,
            tags=changes.get("tags"),
            description=changes.get("description"),
            await_creation_for=0,
        )
