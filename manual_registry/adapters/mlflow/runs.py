"""One run and its models: found by id, and which of several models is meant.

A model of a run is a logged model that the run made or names as its output, or a folder of the run's own files with an
MLmodel in it (as MLflow 2 kept them).
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from manual_registry.adapters.mlflow.fetching import Place, require_reachable
from manual_registry.adapters.mlflow.finding import pages
from manual_registry.adapters.mlflow.opening import Opened
from manual_registry.adapters.mlflow.reading import run_entity
from manual_registry.adapters.mlflow.stores import unavailable
from manual_registry.core.errors import Ambiguous, RunUnfit, RunUnknown, ServerRefused, raise_for
from manual_registry.core.handover.entities import Metric, Run
from manual_registry.core.handover.runs import Chosen
from manual_registry.core.manifest import path_problems, printable

_RUN_ID: Final = re.compile(r"[A-Za-z0-9][\w-]{0,255}")
_GONE: Final = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
#: So many entries of the run's files are looked at for models; whoever has more names the folder.
_LOOKED_AT: Final = 10_000
_DEEPEST: Final = 12
_SHOWN: Final = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A model of the run: what it says, where its files lie, and below which folders of MLflow's root (``kept``)."""

    chosen: Chosen
    place: Place
    kept: tuple[str, ...]
    status: str = "READY"


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """The run; ``raw`` is MLflow's own object."""

    run_id: str
    run: Run
    raw: Any


def find_run(opened: Opened, run_id: str) -> Found:
    """Return the run; raises :class:`RunUnknown`, and :class:`RunUnfit` for one that was deleted or has not ended."""
    if not _RUN_ID.fullmatch(run_id):
        raise RunUnknown(f"{printable(run_id)[:80]!r} is no id of a run of MLflow's", location="--from-run")
    from mlflow.exceptions import MlflowException

    with unavailable(opened.server, f"reading the run {run_id}"):
        try:
            raw = opened.server.client.get_run(run_id)
        except MlflowException as problem:
            if problem.error_code not in _GONE:
                raise
            raise RunUnknown(f"{opened.server.uri} has no run {run_id}", location="--from-run") from problem
        if str(raw.info.run_id) != run_id:
            raise ServerRefused(f"asked for the run {run_id}, the MLflow server answers with something else")
        run = run_entity(raw)
    if run.lifecycle != "active":
        raise _unfit(run_id, "was deleted in MLflow", hint=f"mlflow runs restore --run-id {run_id}")
    if run.status in ("RUNNING", "SCHEDULED"):
        raise _unfit(run_id, f"has not ended (status {run.status}); register it when it has")
    return Found(run_id=run_id, run=run, raw=raw)


def _unfit(run_id: str, why: str, hint: str | None = None) -> RunUnfit:
    return RunUnfit(f"the run {run_id} {why}", location=run_id, hint=hint)


def choose(opened: Opened, found: Found, path: str | None) -> Candidate:
    """Return the model that ``path`` (a name, an m-id, a path in the run) or, without one, the run itself means.

    A ``path`` that leads to no model but to files of the run means those. Raises :class:`Ambiguous` for several,
    :class:`RunUnfit` where there is none, :class:`PathEscapes`.
    """
    with unavailable(opened.server, f"looking for the models of the run {found.run_id}"):
        logged = list(_logged(opened, found))
        wanted = [one for one in logged if path in (None, one.chosen.id, one.chosen.name)]
        if not wanted:
            wanted = _named(opened, found, path) if path else _in_files(opened, found)
    if len(wanted) > 1:
        raise Ambiguous(
            f"the run {found.run_id} has {len(wanted)} models{f' {path!r}' if path else ''}; name one of them as PATH:"
            f" {_list(_as_path(one) for one in wanted)}",
            location=found.run_id,
            details={"models": [_called(one) for one in wanted], "first": wanted[0].chosen.id or wanted[0].chosen.name},
        )
    if not wanted:
        raise _none(opened, found, path, logged)
    one = wanted[0]
    if one.status != "READY":
        raise _unfit(found.run_id, f"has a model {_called(one)} that MLflow calls {one.status}: it is not whole")
    return replace(one, chosen=replace(one.chosen, others=len(logged) - (one.chosen.id is not None)))


def _called(one: Candidate) -> str:
    return printable(f"{one.chosen.name} ({one.chosen.id})" if one.chosen.id else one.chosen.name)


def _as_path(one: Candidate) -> str:
    """Return what to type for a model, and what it is called; a logged model by its id, which no other has."""
    name = printable(one.chosen.name)
    return f"{one.chosen.id} ({name})" if one.chosen.id else shlex.quote(name)


def _list(names: Iterable[str]) -> str:
    found = list(names)
    return ", ".join(found[:_SHOWN]) + (f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else "")


def _none(opened: Opened, found: Found, path: str | None, logged: Sequence[Candidate]) -> RunUnfit:
    with unavailable(opened.server, "listing the files of the run"):
        there = [one.path for one in _children(opened, found, "")]
    has = [*(_called(one) for one in logged), *map(printable, sorted(there))]
    what = f"has no model and no file {path!r}" if path else "has no model"
    told = f"; it has {_list(has)}: name one of them as PATH to register it" if has else ", and no files"
    return _unfit(found.run_id, what + told, hint="log the model in that run, or: mreg register MODEL VERSION PATH")


# -- logged models ----------------------------------------------------------------------------------------------


def _logged(opened: Opened, found: Found) -> Iterator[Candidate]:
    """Yield the logged models of the run: its outputs, and those that name it as where they come from."""
    client, info = opened.server.client, found.raw.info
    made = pages(
        lambda token: client.search_logged_models(
            [info.experiment_id], filter_string=f"source_run_id = '{found.run_id}'", page_token=token
        )
    )
    by_id = {str(one.model_id): one for one in made}
    outputs = found.raw.outputs.model_outputs if found.raw.outputs is not None else []
    for name in sorted({str(one.model_id) for one in outputs} - by_id.keys()):
        by_id |= _by_id(client, name)
    for model_id, one in sorted(by_id.items()):
        yield Candidate(
            chosen=Chosen(
                name=str(one.name),
                id=model_id,
                tags=dict(one.tags or {}),
                params=dict(one.params or {}),
                metrics=tuple(
                    Metric(name=each.key, value=each.value, timestamp=each.timestamp, step=each.step)
                    for each in one.metrics or ()
                ),
            ),
            place=Place(location=str(one.artifact_location)),
            kept=(str(one.experiment_id), "models", model_id, "artifacts"),
            status=str(one.status),
        )


def _by_id(client: Any, model_id: str) -> dict[str, Any]:
    """Return a logged model by its id; nothing where it was deleted."""
    from mlflow.exceptions import MlflowException

    try:
        return {model_id: client.get_logged_model(model_id)}
    except MlflowException as problem:
        if problem.error_code not in _GONE:
            raise
        return {}


# -- files of the run -------------------------------------------------------------------------------------------


def _at(found: Found, path: str) -> Candidate:
    info = found.raw.info
    return Candidate(
        chosen=Chosen(name=path or "MLmodel"),
        place=Place(location=str(info.artifact_uri), below=path),
        kept=(str(info.experiment_id), found.run_id, "artifacts"),
    )


def _named(opened: Opened, found: Found, path: str) -> list[Candidate]:
    """Return what the run has at ``path``, be it a model or other files."""
    raise_for(path_problems([path]))
    there = _children(opened, found, posixpath.dirname(path))
    return [_at(found, path)] if any(one.path == path for one in there) else []


def _in_files(opened: Opened, found: Found) -> list[Candidate]:
    """Return the folders of the run that hold an MLmodel."""
    models, folders, seen = [], deque([""]), 0
    while folders:
        folder = folders.popleft()
        there = _children(opened, found, folder)
        seen += len(there)
        if seen > _LOOKED_AT:
            raise _unfit(found.run_id, f"has more than {_LOOKED_AT} files; name the model's folder as PATH")
        if any(one.path == posixpath.join(folder, "MLmodel") and not one.is_dir for one in there):
            models.append(_at(found, folder))
        elif folder.count("/") < _DEEPEST:
            folders.extend(one.path for one in there if one.is_dir)
    return models


def _children(opened: Opened, found: Found, folder: str) -> list[Any]:
    """List a folder of the run's files; whatever a server lists elsewhere is passed over."""
    location = str(found.raw.info.artifact_uri)
    on_disk = opened.on_disk(Place(location=location), *_at(found, "").kept)
    if on_disk is None:
        require_reachable(opened.server, location, local=False)
    with unavailable(opened.server, "listing the files of the run", str(on_disk or location)):
        repository = opened.server.repository(str(on_disk or location))
        listed = repository.list_artifacts(folder or None)
    return [one for one in listed if posixpath.dirname(one.path) == folder and posixpath.basename(one.path)]
