"""The documents that go with a version: metadata, model card, environment file, three gate reports.

They say what was measured, no more: every number comes from the run, and a gate report's ``passed`` is
computed from its own numbers at the unfavourable end of their intervals, as the registry will compute it
again.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from manual_registry.core.times import stamp
from manual_registry.demo.security import check_model_file
from manual_registry.demo.train import OLDER, YOUNG, Estimate, Trained

Document: TypeAlias = dict[str, Any]

#: What the team asks of a scorecard. Four fifths is the usual bound of disparate impact.
LEAST_AUC = 0.70
LEAST_PARITY = 0.80

_PACKAGES = ("numpy", "PyYAML")  # what train.py imports


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One training run and its circumstances."""

    version: str
    commit: str
    data_reference: str
    pipeline_run: str
    trained_at: datetime
    owner: str
    description: str
    trained: Trained


@dataclass(frozen=True, kw_only=True, slots=True)
class Documents:
    """Where the files of one run lie."""

    model: Path
    serving: Path
    metadata: Path
    card: Path
    environment: Path
    gates: tuple[Path, ...]


def write_documents(run: Run, folder: Path) -> Documents:
    """Write everything about ``run`` beside its ``model.npz`` and ``serving.yaml`` in ``folder``."""
    model = folder / "model.npz"
    reports = (performance_report(run), fairness_report(run), security_report(run, model))
    digest = "sha256:" + hashlib.sha256(model.read_bytes()).hexdigest()
    gates = tuple(_json(folder / f"gate-{report['gate']}.json", {**report, "model": digest}) for report in reports)
    environment = folder / "environment.txt"
    environment.write_text(environment_text(), encoding="utf-8")
    files = Documents(
        model=model,
        serving=folder / "serving.yaml",
        metadata=folder / "metadata.yaml",
        card=_yaml(folder / "card.yaml", card_document(run)),
        environment=environment,
        gates=gates,
    )
    _yaml(files.metadata, metadata_document(run) | _named(files))
    return files


def _named(files: Documents) -> Document:
    """Name the other files in the metadata file, relative to it, so that `register` needs this one only."""
    return {
        "config": files.serving.name,
        "environment": files.environment.name,
        "card": files.card.name,
        "gates": [path.name for path in files.gates],
    }


def performance_report(run: Run) -> Document:
    """Return the performance gate: AUC-ROC out of fold, with its interval."""
    return _report(run, "performance", [_at_least("auc_roc", run.trained.evaluation.auc_roc, LEAST_AUC)])


def fairness_report(run: Run) -> Document:
    """Return the fairness gate: the demographic parity ratio between the age groups, with its interval."""
    parity = run.trained.evaluation.demographic_parity_ratio
    return _report(run, "fairness", [_at_least("demographic_parity_ratio", parity, LEAST_PARITY)])


def security_report(run: Run, model: Path) -> Document:
    """Return the security gate: the findings of a check of the model file, made now."""
    counts = check_model_file(model).counts()
    metrics = [{"name": name, "value": n, "threshold": 0, "direction": "lower"} for name, n in counts.items()]
    return _report(run, "security", metrics, dataset="none: the model file itself was opened, with pickles refused")


def _report(run: Run, gate: str, metrics: list[Document], *, dataset: str | None = None) -> Document:
    return {
        "gate": gate,
        "passed": all(_passes(metric) for metric in metrics),
        "evaluation_dataset": dataset or f"{run.data_reference} (all 1,000 people, out of fold)",
        "evaluated_at": stamp(run.trained_at),
        "metrics": metrics,
    }


def _at_least(name: str, estimate: Estimate, threshold: float) -> Document:
    bounds = {"value": estimate.value, "lower": estimate.lower, "upper": estimate.upper}
    return {"name": name, **bounds, "threshold": threshold, "direction": "higher"}


def _passes(metric: Mapping[str, Any]) -> bool:
    if metric["direction"] == "higher":
        return bool(metric.get("lower", metric["value"]) >= metric["threshold"])
    return bool(metric.get("upper", metric["value"]) <= metric["threshold"])


def metadata_document(run: Run) -> Document:
    """Return what the metadata file says of the run itself (``register --metadata``)."""
    return {
        "training_data": run.data_reference,
        "code": {"commit": run.commit},
        "training_date": stamp(run.trained_at),
        "pipeline_run": run.pipeline_run,
        "hyperparameters": run.trained.params.document(),
        "metrics": run.trained.evaluation.metrics(),
        "subgroup_metrics": {"age_group": {name: dict(row) for name, row in run.trained.evaluation.groups.items()}},
        "owner": run.owner,
        "origin": "trained in-house",
        "description": run.description,
    }


def environment_text() -> str:
    """Return what the training ran on, in the form of ``pip freeze``."""
    lines = [f"{name}=={metadata.version(name)}" for name in _PACKAGES]
    head = f"# Python {platform.python_version()} ({platform.python_implementation()}), {platform.system()}"
    return "\n".join([f"{head} {platform.machine()}", *lines]) + "\n"


def card_document(run: Run) -> Document:
    """Return the model card: all six parts, in words that the numbers of this run bear out."""
    return {
        "architecture": _architecture(run.trained),
        "training_data": (
            "Statlog (German Credit Data), Hans Hofmann, UCI Machine Learning Repository, DOI"
            " 10.24432/C5NC77, CC BY 4.0: 1,000 loans of a German bank from 1973 to 1975, 700 good and 300"
            " bad risks, bad ones oversampled. Age is kept to measure fairness and is no input; sex is"
            " left out because its coding is wrong (Grömping 2019), as are the names of the account"
            " categories."
        ),
        "intended_use": (
            "Demonstration of manual-registry. In the story: a second opinion for a loan officer on"
            " consumer loans, who decides. Not for automatic refusals, not for business loans, not for any"
            " real person."
        ),
        "limitations": _limitations(run.trained),
        "failure_modes": _failure_modes(run.trained),
        "ethical_considerations": _ethics(run.trained),
    }


def _architecture(trained: Trained) -> str:
    ridge = f"ridge penalty {trained.params.ridge:g}" if trained.params.ridge else "no penalty"
    inputs = ", ".join((*trained.params.numeric, *trained.params.logarithmic, *trained.params.categorical))
    return (
        f"Logistic regression, {len(trained.design.names)} weights, {ridge}, on {inputs}. A loan counts as"
        f" a good risk from a probability of {trained.params.decision_threshold:g}. The file holds four"
        " arrays of numbers (.npz)."
    )


def _limitations(trained: Trained) -> str:
    auc = trained.evaluation.auc_roc
    return (
        f"AUC-ROC {auc.value:.3f} (95 % interval {auc.lower:.3f} to {auc.upper:.3f}, out of fold): it ranks"
        f" a good risk above a bad one in about {round(auc.value * 100)} of 100 pairs. There is no test set"
        " of another time or bank; the inputs were chosen on the same people, so the estimate leans to the"
        " kind side, and the interval leaves out the variation of training. Data half a century old, in"
        " Deutsche Mark. The probabilities reflect a share of 30 % bad loans that no real portfolio has."
    )


def _failure_modes(trained: Trained) -> str:
    young, older = trained.evaluation.groups[YOUNG], trained.evaluation.groups[OLDER]
    amounts = (
        " So are amounts outside 250 to 18,424 DM; inflation alone moves every score."
        if trained.params.logarithmic
        else ""
    )
    return (
        f"Bad loans judged good: {young['false_positive_rate']:.0%} of those of people of 25 and under,"
        f" {older['false_positive_rate']:.0%} of those of people over 25. A category it was not trained on"
        f" adds nothing to the score, silently. Durations outside 4 to 72 months are extrapolated.{amounts}"
        " Watch the share of favourable outcomes monthly."
    )


def _ethics(trained: Trained) -> str:
    parity, groups = trained.evaluation.demographic_parity_ratio, trained.evaluation.groups
    young, older = groups[YOUNG], groups[OLDER]
    return (
        f"People of 25 and under are judged good in {young['favourable_rate']:.0%} of cases, others in"
        f" {older['favourable_rate']:.0%}: ratio {parity.value:.3f} ({parity.lower:.3f} to"
        f" {parity.upper:.3f}). In the data {young['good_risk_rate']:.0%} and {older['good_risk_rate']:.0%}"
        " were good risks, so the near-equal rates have a price: of those judged good,"
        f" {young['bad_among_favourable']:.0%} of the young and {older['bad_among_favourable']:.0%} of the"
        " others are bad risks. Parity by sex, origin or disability was not measured and cannot be with"
        " this data set. Assessing the creditworthiness of people is high risk under AI Act Annex III"
        " 5(b)."
    )


def _json(path: Path, document: Document) -> Path:
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def _yaml(path: Path, document: Document) -> Path:
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110)
    path.write_text(text, encoding="utf-8")
    return path
