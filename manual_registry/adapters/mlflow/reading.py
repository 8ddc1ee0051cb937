"""What an MLflow server holds of a model of ours, found by tags and links, and given as entities.

Rules held here: nothing on this machine remembers what was exported where; a model version's run and logged model are
those that it names, which MLflow never changes, and which version of ours it is, two of its three parts decide: so one
edited tag neither hides a version nor doubles it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from manual_registry.adapters.mlflow import finding
from manual_registry.adapters.mlflow.finding import Owner, pages
from manual_registry.adapters.mlflow.server import Server, told
from manual_registry.core.errors import ForeignTarget
from manual_registry.core.handover import through
from manual_registry.core.handover.comparing import Mismatch
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
from manual_registry.core.handover.mapping import REGISTRY_ID, THROUGH, VERSION

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
    """All that is there for one model; ``versions`` by our version.

    ``doubles`` are further experiments and registered models of ours, ``foreign`` those of its name that are somebody
    else's: each as (what it is, its name).
    """

    model: str
    experiment: Any = None
    registered: Any = None
    versions: dict[str, Held] = field(default_factory=dict)
    doubles: list[tuple[str, str]] = field(default_factory=list)
    foreign: list[tuple[str, str]] = field(default_factory=list)

    def held(self, version: str) -> Held:
        """Return the parts of ``version``, perhaps none."""
        return self.versions.setdefault(version, Held())

    def flat(self) -> Flat:
        """Return names, tags, description and aliases (MLflow's version numbers) as they are compared."""
        flat: Flat = {}
        if self.experiment is not None:
            flat[("experiment", "name")] = str(self.experiment.name)
            flat[("experiment", "lifecycle")] = str(self.experiment.lifecycle_stage)
            flat |= {("experiment.tag", name): value for name, value in self.experiment.tags.items()}
        if self.registered is not None:
            flat[("registered_model", "name")] = str(self.registered.name)
            flat[("registered_model", "description")] = self.registered.description or ""
            flat |= {("registered_model.tag", name): value for name, value in self.registered.tags.items()}
            flat |= {("registered_model.alias", name): str(n) for name, n in self.registered.aliases.items()}
        return flat

    def told(self, head: int) -> list[Mismatch]:
        """Return what is there twice, what has the model's name and is somebody else's, and what was exported through.

        ``head`` is the last event of the ledger: no export can have known a later one.
        """
        found = []
        for place, name in self.doubles:
            found.append(self._told(None, place, name, "doubled", "another one with this registry's tags"))
        for place, name in self.foreign:
            found.append(self._told(None, place, name, "foreign", "this registry did not make it"))
        for version, place, tags in self._tagged():
            value = tags.get(THROUGH)
            if value is not None and not 0 < (through.through(tags) or 0) <= head:
                one = self._told(version, place, THROUGH, "changed", str(value))
                found.append(replace(one, expected=f"an event's number, at most {head}"))
        return found

    def ahead(self, head: int) -> int | None:
        """Return an event after ``head`` through which something was exported, or begun to be; None: there is none."""
        known = through.of_model(self.registered.tags) if self.registered is not None else []
        for held in self.versions.values():
            version = held.registered.tags if held.registered is not None else None
            known += through.of_version(version, held.run.data.tags if held.run is not None else None)
        return max((one.seq for one in known if one.seq > head), default=None)

    def _tagged(self) -> Iterator[tuple[str | None, str, Mapping[str, str]]]:
        """Yield what bears a tag of the export's own: the version, the place, all tags."""
        if self.registered is not None:
            yield None, "registered_model.tag", self.registered.tags
        for version, held in self.versions.items():
            if held.registered is not None:
                yield version, "version.tag", held.registered.tags
            if held.run is not None:
                yield version, "run.tag", held.run.data.tags

    def _told(self, version: str | None, place: str, name: str, problem: str, found: str) -> Mismatch:
        return Mismatch(
            model=self.model, version=version, place=place, name=name, problem=problem, expected=None, found=found
        )


def shelf(server: Server, registry_id: str, model: str, *, check: bool = False) -> Shelf:
    """Find what is there for ``model``; see :mod:`manual_registry.adapters.mlflow.finding`.

    Raises :class:`ForeignTarget` for an experiment or registered model of that name which is not this registry's, or
    that was deleted and blocks the name; with ``check`` both are in the shelf instead. :class:`FormatTooNew` where a
    newer tool exported it.
    """
    owner, found = Owner(registry_id, model), Shelf(model=model)
    with told(server.uri, f"looking for {model}"):
        models = finding.registered_models(server, owner, all_of_them=check)
        if models:
            # The search leaves aliases out on some servers.
            found.registered = server.client.get_registered_model(models[0].name)
        versions = _model_versions(server, found)
        places = finding.experiments(server, owner, all_of_them=check)
        runs = _with_named(
            _runs(server, places),
            (one.run_id for one in versions),
            lambda run: str(run.info.run_id),
            server.client.get_run,
        )
        found.experiment = _experiment(server, owner, places, runs, versions)
        logged = _with_named(
            _logged_models(server, places),
            (_model_id(one) for one in versions),
            lambda each: str(each.model_id),
            server.client.get_logged_model,
        )
    _sort_in(found, owner, runs, logged, versions)
    found.doubles = [("registered_model", one.name) for one in models[1:]]
    if found.experiment is not None:
        kept = found.experiment.experiment_id
        found.doubles += [
            ("experiment", one.name) for one in places if one.experiment_id != kept and owner.owns(one.tags)
        ]
    _require_ours(found, owner, runs, versions, check=check)
    return found


def _with_named(
    found: list[Any], names: Iterable[str | None], name_of: Callable[[Any], str], ask: Callable[[str], Any]
) -> list[Any]:
    """Return ``found``, and what model versions name besides: it may lie in an experiment that was not looked into."""
    from mlflow.exceptions import MlflowException

    there = {name_of(one) for one in found}
    for name in dict.fromkeys(str(name) for name in names if name):
        if name not in there:
            try:
                found.append(ask(name))
            except MlflowException as problem:
                if problem.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                    raise
    return found


def _experiment(server: Server, owner: Owner, places: list[Any], runs: Sequence[Any], versions: Sequence[Any]) -> Any:
    """Return the experiment in which most runs lie that model versions of ours name, else the most likely one."""
    named = {str(one.run_id) for one in versions if owner.owns(one.tags)}
    where = finding.most(
        str(run.info.experiment_id) for run in runs if run.info.run_id in named and owner.owns(run.data.tags)
    )
    for place in places:
        if where in (None, place.experiment_id):
            return place
    return server.client.get_experiment(where) if where is not None else None


def _require_ours(found: Shelf, owner: Owner, runs: Sequence[Any], versions: Sequence[Any], *, check: bool) -> None:
    mine = [one for one in found.versions.values() if one.registered is not None]
    what = []
    if found.experiment is not None and not owner.owns(found.experiment.tags):
        here = [one for one in runs if one.info.experiment_id == found.experiment.experiment_id]
        if 2 * sum(owner.owns(one.data.tags) for one in here) <= len(here):
            what.append(("experiment", "an experiment"))
    if found.registered is not None and not owner.owns(found.registered.tags) and 2 * len(mine) <= len(versions):
        what.append(("registered_model", "a registered model"))
    if what and not check:
        raise ForeignTarget(
            f"MLflow has {' and '.join(word for _, word in what)} {found.model!r} that this registry did not make (no tag"
            f" {REGISTRY_ID} = {owner.registry_id}); nothing was written for it. Rename it there first",
            location=found.model,
        )
    for place, _ in what:
        found.foreign.append((place, found.model))
        if place == "experiment":
            found.experiment = None
        else:
            found.registered = None
    parts = [
        one for one in (found.experiment, found.registered, *(each.registered for each in mine)) if one is not None
    ]
    finding.require_no_newer(found.model, (one.tags for one in parts), check=check)
    if not check and found.experiment is not None and found.experiment.lifecycle_stage != "active":
        raise ForeignTarget(
            f"MLflow's experiment {found.experiment.name!r} was deleted and its name is kept; restore it first",
            location=found.model,
            hint=f"mlflow experiments restore --experiment-id {found.experiment.experiment_id}",
        )


def refresh(server: Server, found: Shelf) -> None:
    """Read experiment and registered model anew."""
    with told(server.uri, f"reading back {found.model}"):
        found.experiment = server.client.get_experiment(found.experiment.experiment_id)
        found.registered = server.client.get_registered_model(found.registered.name)


def _runs(server: Server, places: Sequence[Any], only: str = "") -> list[Any]:
    if not places:
        return []
    experiments = [one.experiment_id for one in places]
    return pages(
        lambda token: server.client.search_runs(
            experiments, filter_string=only, run_view_type=3, max_results=_PAGE, page_token=token
        )
    )


def _logged_models(server: Server, places: Sequence[Any], only: str | None = None) -> list[Any]:
    if not places:
        return []
    experiments = [one.experiment_id for one in places]
    return pages(lambda token: server.client.search_logged_models(experiments, filter_string=only, page_token=token))


def _model_versions(server: Server, found: Shelf, only: str = "") -> list[Any]:
    if found.registered is None:
        return []
    wanted = f"name = '{found.registered.name}'{only}"
    return pages(lambda token: server.client.search_model_versions(wanted, max_results=_PAGE, page_token=token))


def again(server: Server, found: Shelf, registry_id: str, version: str) -> Held:
    """Look once more for the parts of ``version``, right before one is made: another export may have come first."""
    tag = f"`{VERSION}` = '{version}'"
    with told(server.uri, f"looking for {found.model}@{version}"):
        runs = _runs(server, [found.experiment] if found.experiment is not None else [], f"tags.{tag}")
        logged = _logged_models(server, [found.experiment] if found.experiment is not None else [], f"tags.{tag}")
        versions = _model_versions(server, found, f" and tags.{tag}")
    fresh = Shelf(model=found.model, experiment=found.experiment, registered=found.registered)
    _sort_in(fresh, Owner(registry_id, found.model), runs, logged, versions)
    found.versions[version] = fresh.held(version)
    return found.versions[version]


def _sort_in(found: Shelf, owner: Owner, runs: Sequence[Any], logged: Sequence[Any], versions: Sequence[Any]) -> None:
    placed = _sort_versions(found, owner, runs, logged, versions)
    # A run that was deleted and that no model version names was put away: it is as if it had not been.
    for one in sorted((one for one in runs if one.info.lifecycle_stage == "active"), key=lambda each: each.info.run_id):
        version = owner.version_of(one.data.tags)
        if version is not None and one.info.run_id not in placed:
            held = found.held(version)
            if held.run is None and held.registered is None:
                held.run = one
            else:
                held.doubles.append(f"run {one.info.run_id}")
    for one in sorted(logged, key=lambda each: (each.creation_timestamp, each.model_id)):
        version = owner.version_of(one.tags)
        if version is not None and one.model_id not in placed:
            held = found.held(version)
            if held.logged is None and held.registered is None:
                held.logged = one
            else:
                held.doubles.append(f"logged model {one.model_id}")


def _sort_versions(
    found: Shelf, owner: Owner, runs: Sequence[Any], logged: Sequence[Any], versions: Sequence[Any]
) -> set[str]:
    """Place the model versions with the run and logged model that each names; return the ids of those."""
    by_run = {one.info.run_id: one for one in runs}
    by_model = {one.model_id: one for one in logged}
    placed: set[str] = set()
    for one in sorted(versions, key=lambda each: int(each.version)):
        run, model = by_run.get(one.run_id), by_model.get(_model_id(one))
        tags = (one.tags, run.data.tags if run else None, model.tags if model else None)
        votes = (owner.version_of(each) for each in tags)
        version = finding.most(vote for vote in votes if vote is not None)
        if version is None:
            continue
        held = found.held(version)
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
