"""One run of MLflow's in the terms of a registration: what its fields say, and what no field takes up.

Pure. Of a run that logged several models the metrics linked to the chosen one count before the run's own, whose last
value may be another model's; of any other run its last values count, whatever step a model was linked at.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from manual_registry.core.canonical import dump, encode
from manual_registry.core.errors import RegistryError
from manual_registry.core.handover import mapping
from manual_registry.core.handover.back import hyperparameter, identity, reference
from manual_registry.core.handover.doubting import as_logged, doubt
from manual_registry.core.handover.entities import Dataset, History, Metric, Run
from manual_registry.core.handover.limits import unspelled
from manual_registry.core.metadata import Metadata
from manual_registry.core.references import without_credentials
from manual_registry.core.times import stamp
from manual_registry.core.values import free_text, label, line_text

RECORD_SCHEMA: Final = "manual-registry/mlflow-run/1"
_COMMIT: Final = re.compile(r"[0-9a-fA-F]{40}|[0-9a-fA-F]{64}")
_TAKEN: Final = ("mlflow.source.git.commit", "mlflow.source.git.repoURL", "mlflow.user", "mlflow.note.content")
_OURS: Final = ("manual_registry.", "aisdp.")
_ADDRESS: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+")
_LAST_ALONE: Final = History()
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True, slots=True)
class Chosen:
    """The model of the run that is registered: a logged model (``id`` its m-id), or a path in the run (``id`` None).

    ``others``: how many models the run has besides.
    """

    name: str
    id: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: tuple[Metric, ...] = ()
    others: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """What a run says; ``left`` are sentences on what no field takes up."""

    metadata: Metadata
    left: tuple[str, ...]


def told(run: Run, run_id: str, chosen: Chosen, history: History = _LAST_ALONE) -> Told:
    """Return what the run says of ``chosen`` in the register's terms; nothing of it is refused, only told.

    ``history``: what the metrics were before; the file that :func:`record_bytes` makes keeps it.
    """
    left: list[str] = []
    ours = identity(run.tags) is not None
    metrics, subgroups = _metrics(run, chosen, history, left, ours=ours)
    commit = run.tags.get("mlflow.source.git.commit", "")
    if commit and not _COMMIT.fullmatch(commit):
        left.append(f"commit {_short(commit)!r} is no full commit id")
        commit = ""
    metadata = Metadata(
        training_data=tuple(_training_data(run.datasets, left)),
        code_commit=commit or None,
        code_repository=_line(run.tags.get("mlflow.source.git.repoURL"), "repository", left) if commit else None,
        training_date=_ended(run, left),
        pipeline_run=f"mlflow:{run_id}",
        hyperparameters=_params({**run.params, **chosen.params}, ours=ours) or None,
        metrics=metrics or None,
        subgroup_metrics=subgroups or None,
        owner=_line(run.tags.get("mlflow.user"), "user", left),
        description=_text(run.tags.get("mlflow.note.content"), left),
        tags=_tags({**run.tags, **chosen.tags}, left),
    )
    left += _not_taken(run)
    return Told(metadata=metadata, left=tuple(left))


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}…"


def _names(names: Iterable[str]) -> str:
    found = [_short(name) for name in names]
    return ", ".join(found[:8]) + (f" and {len(found) - 8} more" if len(found) > 8 else "")


# -- field by field -----------------------------------------------------------------------------------------------


def _metrics(
    run: Run, chosen: Chosen, history: History, left: list[str], *, ours: bool
) -> tuple[dict[str, float], dict[str, dict[str, dict[str, float]]]]:
    linked, whole = _last(as_logged(one, run.metrics) for one in chosen.metrics), _last(run.metrics)
    found = {**whole, **linked} if chosen.others else {**linked, **whole}
    _tell_of_links(whole, linked, chosen, left)
    infinite = [name for name, one in found.items() if not math.isfinite(one.value)]
    if infinite:
        left.append(f"metrics that are no finite numbers: {_names(infinite)}")
    doubts = {name: doubt(one, run.metrics) for name, one in found.items()}
    for why in dict.fromkeys(filter(None, doubts.values())):
        left.append(f"what was logged where it says {why}: {_names(name for name in doubts if doubts[name] == why)}")
    left += [] if ours else _earlier(found, history)
    metrics: dict[str, float] = {}
    subgroups: dict[str, dict[str, dict[str, float]]] = {}
    for name, one in found.items():
        if name in infinite or (ours and name.startswith(mapping.GATE)):
            continue
        parts = [unspelled(part) for part in name.split("/")] if ours else []
        if name.startswith(mapping.SUBGROUP) and len(parts) == 4:
            subgroups.setdefault(parts[1], {}).setdefault(parts[2], {})[parts[3]] = one.value
        else:
            metrics[unspelled(name) if ours else name] = one.value
    return metrics, subgroups


def _earlier(found: Mapping[str, Metric], history: History) -> Iterator[str]:
    """Yield which metrics have earlier values; where they are kept is said once for all of whom it is true."""
    stepped = {name: f"{name} (step {one.step})" if one.step else name for name, one in found.items()}
    whole = [text for name, text in stepped.items() if name in history.values and name not in history.cut]
    if whole:
        yield f"earlier values of metrics, the last one is taken, the evidence has all: {_names(whole)}"
    cut = [text for name, text in stepped.items() if name in history.cut]
    if cut:
        yield f"earlier values of metrics, the last one is taken, not all are kept (too many, or not given): {_names(cut)}"
    rest = [stepped[name] for name, one in found.items() if one.step and name not in {*history.values, *history.cut}]
    if rest:
        yield f"metrics of a later step, without earlier values: {_names(rest)}"


def _tell_of_links(whole: Mapping[str, Metric], linked: Mapping[str, Metric], chosen: Chosen, left: list[str]) -> None:
    if chosen.others:
        unlinked = [name for name in whole if name not in linked]
        if unlinked:
            left.append(
                f"metrics that are not linked to {chosen.name}, of several models of the run; the run's last values are"
                f" taken: {_names(unlinked)}"
            )
        return
    other = [
        f"{name} ({one.value!r})" for name, one in linked.items() if name in whole and one.value != whole[name].value
    ]
    if other:
        left.append(f"values linked to {chosen.name}, where the run's last ones are taken: {_names(other)}")


def _last(metrics: Iterable[Metric]) -> dict[str, Metric]:
    """Return the last value of each metric, as MLflow counts: by step, then by time."""
    ordered = sorted(metrics, key=lambda one: (one.name, one.step, one.timestamp))
    return {one.name: one for one in ordered}


def _params(params: Mapping[str, str], *, ours: bool) -> dict[str, Any]:
    return {unspelled(name) if ours else name: hyperparameter(value) for name, value in sorted(params.items())}


def _training_data(datasets: Iterable[Dataset], left: list[str]) -> Iterator[str]:
    for one in datasets:
        if one.trains:
            yield reference(one)["reference"]
        else:
            left.append(f"data set {_short(one.name)!r} ({_short(one.context)})")


def _ended(run: Run, left: list[str]) -> str | None:
    """Return when training ended (else: began); text of a time that no calendar has is left out."""
    at = run.end or run.start
    try:
        return stamp(_EPOCH + timedelta(milliseconds=at)) if at else None
    except (OverflowError, ValueError):
        left.append(f"its time, {at}, which is none")
        return None


def _line(text: str | None, what: str, left: list[str]) -> str | None:
    try:
        return line_text(text, where=what) if text else None
    except RegistryError as problem:
        left.append(problem.message)
        return None


def _text(text: str | None, left: list[str]) -> str | None:
    try:
        return free_text(text, where="description") if text else None
    except RegistryError as problem:
        left.append(problem.message)
        return None


def _tags(tags: Mapping[str, str], left: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in sorted(tags.items()):
        if name.startswith(("mlflow.", *_OURS)):
            continue
        try:
            found[label(name, where="tag")] = line_text(value, where=f"tag {name}")
        except RegistryError as problem:
            left.append(problem.message)
    return found


def _not_taken(run: Run) -> Iterator[str]:
    rest = {"run name": run.name} if run.name else {}
    rest |= {
        name: value for name, value in sorted(run.tags.items()) if name.startswith("mlflow.") and name not in _TAKEN
    }
    if rest:
        yield _names(f"{name} {_short(str(value))!r}" for name, value in rest.items())
    ours = [name for name in run.tags if name.startswith(_OURS)]
    if ours:
        named = "@".join(_short(run.tags[name]) for name in (mapping.MODEL, mapping.VERSION) if name in run.tags)
        yield f"{len(ours)} tags of an export of this tool's" + (f", of {named}" if named else "")


# -- the whole of it ------------------------------------------------------------------------------------------------


def record_bytes(run: Run, run_id: str, chosen: Chosen, *, server: str | None, history: History = _LAST_ALONE) -> bytes:
    """Return everything that was read of the run as canonical JSON, addresses without credentials.

    ``server``: its address; None for a store of this machine, whose place says nothing elsewhere. Tags that MLflow itself
    keeps on the logged model are left out: registering it there changes them.
    """
    document = {
        "schema": RECORD_SCHEMA,
        "server": server,
        "run": {
            "id": run_id,
            "name": run.name,
            "status": run.status,
            "start": run.start,
            "end": run.end,
            "tags": run.tags,
            "params": run.params,
            "metrics": _listed(run.metrics),
            "history": history.document(),
            "datasets": [
                {
                    "name": one.name,
                    "digest": one.digest,
                    "source_type": one.source_type,
                    "source": _source(one.source),
                    "context": one.context,
                }
                for one in sorted(run.datasets, key=lambda one: (one.name, one.digest, one.context))
            ],
        },
        "model": {
            "id": chosen.id,
            "name": chosen.name,
            "tags": {name: value for name, value in chosen.tags.items() if not name.startswith("mlflow.")},
            "params": chosen.params,
            "metrics": _listed(chosen.metrics),
        },
    }
    return dump(encode(_keepable(document)))


def _listed(metrics: Iterable[Metric]) -> list[dict[str, Any]]:
    """Return metrics in an order that no server decides."""
    ordered = sorted(metrics, key=lambda one: (one.name, one.step, one.timestamp, str(one.value)))
    return [
        {
            "name": one.name,
            "value": one.value if math.isfinite(one.value) else str(one.value),
            "timestamp": one.timestamp,
            "step": one.step,
        }
        for one in ordered
    ]


def _source(text: str) -> Any:
    """Return a data set's source read as JSON, so that an address in it is seen; else its text."""
    try:
        found = json.loads(text)
        encode(found)
    except (ValueError, RecursionError, RegistryError):
        return text
    return found


def _keepable(value: Any) -> Any:
    """Return ``value`` without credentials in addresses and without half characters."""
    match value:
        case str():
            text = value.encode("utf-8", "replace").decode("utf-8")
            return without_credentials(text) if _ADDRESS.fullmatch(text) else text
        case Mapping():
            return {_keepable(str(name)): _keepable(item) for name, item in value.items()}
        case list() | tuple():
            return [_keepable(item) for item in value]
    return value
