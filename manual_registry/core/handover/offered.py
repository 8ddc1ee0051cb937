"""What an MLflow server offers to an import, as plain values, and the snapshot of it that is kept for good.

Rules held here: the snapshot depends on what was read alone, never on the clock, so that the same import finds its own
again by its hash; whatever a server says is kept as text, and nothing it can say makes the snapshot fail.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from manual_registry.core.adoption.importing import keepable
from manual_registry.core.canonical import dump, encode
from manual_registry.core.handover.back import identity
from manual_registry.core.handover.entities import File, History, Metric, Run, VersionEntities

_PASSWORD: Final = re.compile(r"(://[^/\s:@]*):[^/\s@]*@")
SCHEMA: Final = "manual-registry/mlflow-snapshot/1"
#: MLflow's word for a version that can be used.
READY: Final = "READY"


@dataclass(frozen=True, kw_only=True, slots=True)
class Offered:
    """One model version of the server's.

    ``name`` and ``number`` are MLflow's; ``stage`` its old kind of stage, None where it has none; ``created`` in
    milliseconds since 1970. ``model_params`` and ``model_metrics`` are those of the logged model itself. ``files``:
    {path: bytes} of the model, -1 where it is not told. ``papers``: this tool's own files of the run, by their path
    below ``manual_registry/``. ``history``: what the run's metrics
    were before their last values. ``problem``: why its files cannot be had, ``problem_code`` the code of that error; ``remarks``: what else of it is not there.
    """

    name: str
    number: int
    status: str
    stage: str | None
    aliases: tuple[str, ...]
    source: str
    run_id: str | None
    model_id: str | None
    created: int | None
    user: str | None
    entities: VersionEntities
    model_params: Mapping[str, str] = field(default_factory=dict)
    model_metrics: tuple[Metric, ...] = ()
    files: Mapping[str, int] = field(default_factory=dict)
    papers: Mapping[str, bytes] = field(default_factory=dict)
    history: History = field(default_factory=History)
    problem: str | None = None
    problem_code: str | None = None
    remarks: tuple[str, ...] = ()

    @property
    def ref(self) -> str:
        """How it is called in messages: ``NAME, version N``."""
        return f"{self.name}, version {self.number}"

    @property
    def identity(self) -> tuple[str, str, str] | None:
        """Return (registry id, model, version) that its tags name, or its run's or logged model's; None: not ours."""
        run, logged = self.entities.run, self.entities.logged
        parts = (self.tags, run.tags if run is not None else {}, logged.tags if logged is not None else {})
        return next((found for found in map(identity, parts) if found is not None), None)

    @property
    def tags(self) -> Mapping[str, str]:
        """Return the tags of the model version."""
        return self.entities.registered.tags if self.entities.registered is not None else {}


@dataclass(frozen=True, kw_only=True, slots=True)
class OfferedModel:
    """A registered model: ``aliases`` map to MLflow's version numbers. ``prompt``: it is a prompt, which is no model."""

    name: str
    description: str
    tags: Mapping[str, str]
    aliases: Mapping[str, int]
    prompt: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Offer:
    """All that was asked for; ``uri`` is the server's address without credentials."""

    uri: str
    server: str
    models: tuple[OfferedModel, ...]
    versions: tuple[Offered, ...]

    def snapshot(self) -> bytes:
        """Return what was read as one canonical JSON document; see the module's text."""
        document = {
            "schema": SCHEMA,
            "uri": keepable(self.uri),
            "models": [_model(one) for one in sorted(self.models, key=lambda each: each.name)],
            "versions": [_version(one) for one in sorted(self.versions, key=lambda each: (each.name, each.number))],
        }
        return dump(encode(document))


def _pairs(values: Mapping[str, str]) -> list[Any]:
    """Return a mapping as pairs: no name of a server's is then read as a mark of the format."""
    return [[keepable(str(name)), safe(str(values[name]))] for name in sorted(values)]


def safe(text: str) -> str:
    """Return ``text`` as it can be kept for years: storable, and without passwords in addresses."""
    return _PASSWORD.sub(r"\1@", keepable(text))


def _text(value: str | None) -> str | None:
    return keepable(value) if value is not None else None


def _model(one: OfferedModel) -> dict[str, Any]:
    return {
        "name": keepable(one.name),
        "description": keepable(one.description),
        "tags": _pairs(one.tags),
        "aliases": [[keepable(name), number] for name, number in sorted(one.aliases.items())],
    }


def _version(one: Offered) -> dict[str, Any]:
    found = one.entities
    return {
        "model": keepable(one.name),
        "version": one.number,
        "status": keepable(one.status),
        "stage": _text(one.stage),
        "aliases": sorted(keepable(name) for name in one.aliases),
        "source": safe(one.source),
        "run_id": _text(one.run_id),
        "model_id": _text(one.model_id),
        "created": one.created,
        "user": _text(one.user),
        "description": keepable(found.registered.description) if found.registered else "",
        "tags": _pairs(one.tags),
        "run": {**_run(found.run), **_history(one.history)} if found.run is not None else None,
        "logged_model": {
            "name": keepable(found.logged.name),
            "status": keepable(found.logged.status),
            "tags": _pairs(found.logged.tags),
            "params": _pairs(one.model_params),
            "metrics": _metrics(one.model_metrics),
        }
        if found.logged is not None
        else None,
        "files": [[keepable(path), one.files[path]] for path in sorted(one.files)],
        "papers": [[keepable(path), _bytes(one.papers[path])] for path in sorted(one.papers)],
        "problem": _text(one.problem),
    }


def _run(run: Run) -> dict[str, Any]:
    datasets = sorted(run.datasets, key=lambda one: (one.context, one.name, one.digest))
    return {
        "name": keepable(run.name),
        "start": run.start,
        "end": run.end,
        "status": keepable(run.status),
        "lifecycle": keepable(run.lifecycle),
        "tags": _pairs(run.tags),
        "params": _pairs(run.params),
        "metrics": _metrics(run.metrics),
        "datasets": [
            {
                "name": keepable(one.name),
                "digest": keepable(one.digest),
                "source_type": keepable(one.source_type),
                "source": safe(one.source),
                "context": keepable(one.context),
            }
            for one in datasets
        ],
        "files": [[keepable(one.path), one.size] for one in sorted(run.files, key=_path)],
    }


def _history(found: History) -> dict[str, Any]:
    said = found.document()
    values = [[keepable(name), values] for name, values in said["values"]]
    return (
        {"history": {"values": values, "cut": [keepable(name) for name in said["cut"]]}}
        if values or said["cut"]
        else {}
    )


def _path(file: File) -> str:
    return file.path


def _metrics(metrics: Iterable[Metric]) -> list[dict[str, Any]]:
    return [
        {
            "name": keepable(one.name),
            "value": "nan" if math.isnan(one.value) else one.value,
            "timestamp": one.timestamp,
            "step": one.step,
        }
        for one in sorted(metrics, key=lambda each: (each.name, each.step, each.timestamp))
    ]


def _bytes(data: bytes) -> Any:
    """Return a paper as text, of which UTF-8 gives the bytes again; anything else as base64."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode("ascii")}
