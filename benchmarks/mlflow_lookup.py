"""The same question, asked of MLflow: which run, code, data, metrics and files stand behind the production version?

    python mlflow_lookup.py make URI     ten versions with runs, in a store at URI
    python mlflow_lookup.py look URI     what is timed: the cold look-up

Runs in the virtual environment of the peers; nothing of manual_registry is imported here.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from typing import Any

NAME, ALIAS = "credit-scorecard", "champion"


def make(uri: str, mlflow: Any) -> None:
    """Register ten versions, each with a run that has parameters, metrics, a data set and an artefact."""
    pandas = import_module("pandas")
    mlflow.set_tracking_uri(uri)
    mlflow.set_experiment("scorecards")
    client = mlflow.MlflowClient(uri, uri)
    client.create_registered_model(NAME)
    loans = pandas.DataFrame({"duration": [6.0, 48.0, 12.0], "amount": [1169.0, 5951.0, 2096.0]})
    for number in range(1, 11):
        with mlflow.start_run(tags={"mlflow.source.git.commit": f"{number:040x}"}) as run:
            mlflow.log_params({"trees": 400, "depth": 4, "learning_rate": 0.05, "seed": number})
            mlflow.log_metrics({"auc_roc": 0.78, "brier": 0.141, "ks": 0.42})
            mlflow.log_input(mlflow.data.from_pandas(loans, source="loans.parquet", name="loans"), context="training")
            mlflow.log_dict({"gate": "performance", "passed": True}, "gates/performance.json")
        client.create_model_version(NAME, source=f"{run.info.artifact_uri}/model", run_id=run.info.run_id)
    client.set_registered_model_alias(NAME, ALIAS, "5")


def look(uri: str, mlflow: Any) -> None:
    """Print version, run, commit, data, metrics and files as JSON."""
    client = mlflow.MlflowClient(uri, uri)
    version = client.get_model_version_by_alias(NAME, ALIAS)
    run = client.get_run(version.run_id)
    found = {
        "version": version.version,
        "run": run.info.run_id,
        "commit": run.data.tags.get("mlflow.source.git.commit"),
        "data": [item.dataset.digest for item in run.inputs.dataset_inputs],
        "params": run.data.params,
        "metrics": run.data.metrics,
        "files": [item.path for item in client.list_artifacts(version.run_id)],
    }
    print(json.dumps(found))


if __name__ == "__main__":
    {"make": make, "look": look}[sys.argv[1]](sys.argv[2], import_module("mlflow"))
