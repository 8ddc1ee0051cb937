"""What an MLflow server holds of a model of ours, found by tags and links, and given as entities.

Rules held here: nothing on this machine remembers what was exported where; a model version's run and logged model are
those that it names, which MLflow never changes, and which version of ours it is, two of its three parts decide: so one
edited tag neither hides a version nor doubles it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from manual_registry.adapters.mlflow.server import Server, told
from manual_registry.core.errors import ForeignTarget, FormatTooNew
from manual_registry.core.handover.entities import (
    Dataset,
    File,
    Flat,
    Logged,
    Metric,
    Registered,
    Run,
    VersionEntities,
)
from manual_registry.core.handover.mapping import MAPPING, MAPPING_TAG, MODEL, REGISTRY_ID, VERSION

_PAGE = 1000


@dataclass(slots=True)
class Held:
    """The parts of one version that are there, as MLflow's own objects; ``doubles`` name further ones of the same."""

    run: Any = None
    logged: Any = None
    registered: Any = None
    doubles: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Shelf:
    """All that is there for one model; ``versions`` by our version."""

    model: str
    experiment: Any = None
    registered: Any = None
    versions: dict[str, Held] = field(default_factory=dict)

    def held(self, version: str) -> Held:
        """Return the parts of ``version``, perhaps none."""
        return self.versions.setdefault(version, Held())

    def flat(self) -> Flat:
        """Return tags, description and aliases (MLflow's version numbers) as they are compared."""
        flat: Flat = {}
        if self.experiment is not None:
            flat |= {("experiment.tag", name): value for name, value in self.experiment.tags.items()}
        if self.registered is not None:
            flat[("registered_model", "description")] = self.registered.description or ""
            flat |= {("registered_model.tag", name): value for name, value in self.registered.tags.items()}
            flat |= {("registered_model.alias", name): str(n) for name, n in self.registered.aliases.items()}
        return flat


def shelf(server: Server, registry_id: str, model: str) -> Shelf:
    """Find what is there for ``model``.

    Raises :class:`ForeignTarget` for an experiment or registered model of that name which is not this registry's, or
    that was deleted and blocks the name; :class:`FormatTooNew` where a newer tool exported it.
    """
    found = Shelf(model=model)
    with told(server.uri, f"looking for {model}"):
        found.experiment = server.client.get_experiment_by_name(model)
        found.registered = _registered_model(server, model)
        _require_ours(found, registry_id)
        runs = _runs(server, found)
        logged = _logged_models(server, found)
        versions = _model_versions(server, found)
    _sort_in(found, registry_id, runs, logged, versions)
    return found


def _registered_model(server: Server, model: str) -> Any:
    found = server.client.search_registered_models(filter_string=f"name = '{model}'", max_results=1)
    # The search leaves aliases out on some servers.
    return server.client.get_registered_model(model) if found else None


def _require_ours(found: Shelf, registry_id: str) -> None:
    what = (("an experiment", found.experiment), ("a registered model", found.registered))
    foreign = [word for word, one in what if one is not None and one.tags.get(REGISTRY_ID) != registry_id]
    if foreign:
        raise ForeignTarget(
            f"MLflow has {' and '.join(foreign)} {found.model!r} that this registry did not make (no tag"
            f" {REGISTRY_ID} = {registry_id}); nothing was written for it. Rename it there first",
            location=found.model,
        )
    known = found.registered.tags.get(MAPPING_TAG, MAPPING) if found.registered is not None else MAPPING
    if known != MAPPING:
        raise FormatTooNew(
            f"{found.model} was exported by a newer tool (mapping {known}, this one writes {MAPPING})",
            location=found.model,
            hint="pip install -U manual-registry",
        )
    if found.experiment is not None and found.experiment.lifecycle_stage != "active":
        raise ForeignTarget(
            f"MLflow's experiment {found.model!r} was deleted and its name is kept; restore it first",
            location=found.model,
            hint=f"mlflow experiments restore --experiment-id {found.experiment.experiment_id}",
        )


def pages(ask: Callable[[str | None], Any]) -> list[Any]:
    """Return every entry of all pages; ``ask`` is called with each page's token, first with None."""
    found: list[Any] = []
    token: str | None = None
    while True:
        page = ask(token)
        found.extend(page)
        token = page.token or None
        if token is None:
            return found


def _runs(server: Server, found: Shelf, only: str = "") -> list[Any]:
    if found.experiment is None:
        return []
    experiments = [found.experiment.experiment_id]
    return pages(
        lambda token: server.client.search_runs(
            experiments, filter_string=only, run_view_type=3, max_results=_PAGE, page_token=token
        )
    )


def _logged_models(server: Server, found: Shelf, only: str | None = None) -> list[Any]:
    if found.experiment is None:
        return []
    experiments = [found.experiment.experiment_id]
    return pages(lambda token: server.client.search_logged_models(experiments, filter_string=only, page_token=token))


def _model_versions(server: Server, found: Shelf, only: str = "") -> list[Any]:
    if found.registered is None:
        return []
    wanted = f"name = '{found.model}'{only}"
    return pages(lambda token: server.client.search_model_versions(wanted, max_results=_PAGE, page_token=token))


def again(server: Server, found: Shelf, registry_id: str, version: str) -> Held:
    """Look once more for the parts of ``version``, right before one is made: another export may have come first."""
    tag = f"`{VERSION}` = '{version}'"
    with told(server.uri, f"looking for {found.model}@{version}"):
        runs = _runs(server, found, f"tags.{tag}")
        logged = _logged_models(server, found, f"tags.{tag}")
        versions = _model_versions(server, found, f" and tags.{tag}")
    fresh = Shelf(model=found.model, experiment=found.experiment, registered=found.registered)
    _sort_in(fresh, registry_id, runs, logged, versions)
    found.versions[version] = fresh.held(version)
    return found.versions[version]


def _version_of(tags: Mapping[str, str] | None, registry_id: str, model: str) -> str | None:
    if not tags or (tags.get(REGISTRY_ID), tags.get(MODEL)) != (registry_id, model):
        return None
    return tags.get(VERSION)


def _sort_in(
    found: Shelf, registry_id: str, runs: Sequence[Any], logged: Sequence[Any], versions: Sequence[Any]
) -> None:
    placed = _sort_versions(found, registry_id, runs, logged, versions)
    # A run that was deleted and that no model version names was put away: it is as if it had not been.
    for one in sorted((one for one in runs if one.info.lifecycle_stage == "active"), key=lambda each: each.info.run_id):
        version = _version_of(one.data.tags, registry_id, found.model)
        if version is not None and one.info.run_id not in placed:
            held = found.held(version)
            if held.run is None and held.registered is None:
                held.run = one
            else:
                held.doubles.append(f"run {one.info.run_id}")
    for one in sorted(logged, key=lambda each: (each.creation_timestamp, each.model_id)):
        version = _version_of(one.tags, registry_id, found.model)
        if version is not None and one.model_id not in placed:
            held = found.held(version)
            if held.logged is None and held.registered is None:
                held.logged = one
            else:
                held.doubles.append(f"logged model {one.model_id}")


def _sort_versions(
    found: Shelf, registry_id: str, runs: Sequence[Any], logged: Sequence[Any], versions: Sequence[Any]
) -> set[str]:
    """Place the model versions with the run and logged model that each names; return the ids of those."""
    by_run = {one.info.run_id: one for one in runs}
    by_model = {one.model_id: one for one in logged}
    placed: set[str] = set()
    for one in sorted(versions, key=lambda each: int(each.version)):
        run, model = by_run.get(one.run_id), by_model.get(_model_id(one))
        tags = (one.tags, run.data.tags if run else None, model.tags if model else None)
        votes = (_version_of(each, registry_id, found.model) for each in tags)
        counted = Counter(vote for vote in votes if vote is not None).most_common(1)
        if not counted:
            continue
        held = found.held(counted[0][0])
        if held.registered is not None:
            held.doubles.append(f"model version {one.version}")
            continue
        held.registered, held.run, held.logged = one, run, model
        placed |= {str(one.run_id), str(_model_id(one))}
    return placed


def _model_id(version: Any) -> str | None:
    if getattr(version, "model_id", None):
        return str(version.model_id)
    source = str(version.source or "")
    return source.removeprefix("models:/") if source.startswith("models:/m-") else None


def refreshed(server: Server, held: Held) -> Held:
    """Read the parts anew, each by its own id."""
    client = server.client
    with told(server.uri, "reading back"):
        return Held(
            run=client.get_run(held.run.info.run_id) if held.run else None,
            logged=client.get_logged_model(held.logged.model_id) if held.logged else None,
            registered=client.get_model_version(held.registered.name, held.registered.version)
            if held.registered
            else None,
            doubles=held.doubles,
        )


def entities(
    model: str, version: str, held: Held, *, run_files: Iterable[File] = (), model_files: Iterable[File] = ()
) -> VersionEntities:
    """Give what is held as entities, with the files that were listed or downloaded."""
    return VersionEntities(
        model=model,
        version=version,
        run=run_entity(held.run, run_files) if held.run is not None else None,
        logged=Logged(
            name=held.logged.name,
            status=str(held.logged.status),
            tags=dict(held.logged.tags or {}),
            files=tuple(model_files),
        )
        if held.logged is not None
        else None,
        registered=Registered(tags=dict(held.registered.tags), description=held.registered.description or "")
        if held.registered is not None
        else None,
    )


def run_entity(run: Any, files: Iterable[File] = ()) -> Run:
    """Give a run of MLflow's as an entity."""
    inputs = run.inputs.dataset_inputs if run.inputs is not None else []
    return Run(
        name=run.info.run_name,
        start=run.info.start_time,
        end=run.info.end_time,
        status=run.info.status,
        lifecycle=run.info.lifecycle_stage,
        tags={name: value for name, value in run.data.tags.items() if name != "mlflow.runName"},
        params=dict(run.data.params),
        metrics=tuple(
            Metric(name=one.key, value=one.value, timestamp=one.timestamp, step=one.step)
            for one in run.data._metric_objs
        ),
        datasets=tuple(_dataset(one) for one in inputs),
        files=tuple(files),
    )


def _dataset(found: Any) -> Dataset:
    tags = {tag.key: tag.value for tag in found.tags}
    return Dataset(
        name=found.dataset.name,
        digest=found.dataset.digest,
        source_type=found.dataset.source_type,
        source=found.dataset.source,
        context=tags.get("mlflow.data.context", ""),
    )
