"""What an MLflow server holds of a model of ours, found by tags and links, and given as entities.

Rules held here: nothing on this machine remembers what was exported where; a model version's run and logged model are
those that it names, which MLflow never changes, and which version of ours it is, most of what they say decides
(:mod:`manual_registry.adapters.mlflow.sorting`): so no edited tag hides a version or doubles it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from manual_registry.adapters.mlflow import finding
from manual_registry.adapters.mlflow.finding import Owner, pages
from manual_registry.adapters.mlflow.histories import Histories
from manual_registry.adapters.mlflow.server import Server, told
from manual_registry.adapters.mlflow.sorting import model_id_of, sort_in
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
from manual_registry.core.handover.mapping import GATE, VERSION

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
    else's: each as (what it is, its name). ``claims`` are runs, logged models and model versions with this registry's tags
    that are none of its versions: as (place, what it is, the version that the tags name).
    """

    model: str
    owner: Owner
    experiment: Any = None
    registered: Any = None
    versions: dict[str, Held] = field(default_factory=dict)
    doubles: list[tuple[str, str]] = field(default_factory=list)
    foreign: list[tuple[str, str]] = field(default_factory=list)
    claims: list[tuple[str, str, str]] = field(default_factory=list)
    #: Why an export may not write here.
    refusals: list[ForeignTarget] = field(default_factory=list)

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

    def told(self, head: int, marks: Mapping[tuple[str, str | None], tuple[int, str]]) -> list[Mismatch]:
        """Return what is there twice, what has the model's name and is somebody else's, and edits of the export's own tags.

        ``head`` is the last event of the ledger: no export can have known a later one. ``marks`` are those that the ledger
        says were written (:attr:`Exported.marks`): an export that was not recorded writes later ones.
        """
        found = []
        for place, name in self.doubles:
            found.append(self._told(None, place, name, "doubled", "another one with this registry's tags"))
        for place, name in self.foreign:
            found.append(self._told(None, place, name, "foreign", "this registry did not make it"))
        for place, name, said in self.claims:
            found.append(self._told(None, place, name, "added", f"has this registry's tags and is none of it: {said}"))
        for version, place, tags in self._tagged():
            for edit in through.edits(tags, head, marks.get((self.model, version))):
                one = self._told(version, place, edit.name, "changed" if edit.found else "missing", edit.found)
                found.append(replace(one, expected=edit.expected))
        return found

    def empty(self) -> bool:
        """Tell whether nothing of ours is there, and nothing that has our name."""
        parts = (self.experiment, self.registered, *self.versions.values())
        return all(one is None for one in parts) and not self.foreign and not self.claims

    def gone(self, place: str) -> Mismatch:
        """Return that the experiment or registered model is not there."""
        return replace(self._told(None, place, self.model, "missing", None), expected=self.model)

    def ahead(self, head: int) -> int | None:
        """Return an event after ``head`` through which something was exported, or begun to be; None: there is none."""
        known = through.of_model(self.registered.tags) if self.registered is not None else []
        for held in self.versions.values():
            version = held.registered.tags if held.registered is not None else None
            known += through.of_version(version, held.run.data.tags if held.run is not None else None)
        return max((one.seq for one in known if one.seq > head), default=None)

    def marked(self, version: str | None) -> list[Mapping[str, str]]:
        """Return the tags of what bears the export's own: of the model, or of a version's two parts."""
        return [tags for named, _, tags in self._tagged() if named == version]

    def _tagged(self) -> Iterator[tuple[str | None, str, Mapping[str, str]]]:
        """Yield what bears a tag of the export's own: the version, the place, all tags."""
        if self.registered is not None:
            yield None, "registered_model.tag", self.registered.tags
        for version, held in self.versions.items():
            if held.registered is not None:
                yield version, "version.tag", held.registered.tags
            if held.run is not None:
                yield version, "run.tag", held.run.data.tags

    def _told(self, version: str | None, place: str, name: str, problem: str, found: str | None) -> Mismatch:
        return Mismatch(
            model=self.model, version=version, place=place, name=name, problem=problem, expected=None, found=found
        )


def shelf(server: Server, owner: Owner, *, check: bool = False) -> Shelf:
    """Find what is there for a model of ours; see :mod:`manual_registry.adapters.mlflow.finding`.

    An experiment or registered model of that name which is not this registry's, or that was deleted and blocks the name,
    is among the shelf's ``refusals``. ``check``: those of other names are looked for, too. Raises :class:`FormatTooNew`
    where a newer tool exported it.
    """
    found = Shelf(model=owner.model, owner=owner)
    with told(server.uri, f"looking for {owner.model}"):
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
            (model_id_of(one) for one in versions),
            lambda each: str(each.model_id),
            server.client.get_logged_model,
        )
    sort_in(found, owner, runs, logged, versions)
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
    """Leave out what is somebody else's, and note what keeps an export from writing."""
    mine = [one for one in found.versions.values() if one.registered is not None]
    if found.experiment is not None and not owner.owns(found.experiment.tags):
        here = [one for one in runs if one.info.experiment_id == found.experiment.experiment_id]
        if 2 * sum(owner.owns(one.data.tags) for one in here) <= len(here):
            found.foreign.append(("experiment", found.model))
    if found.registered is not None and not owner.owns(found.registered.tags) and 2 * len(mine) <= len(versions):
        found.foreign.append(("registered_model", found.model))
    found.refusals = finding.refusals(owner, found.experiment, [place for place, _ in found.foreign])
    for place, _ in found.foreign:
        if place == "experiment":
            found.experiment = None
        else:
            found.registered = None
    parts = [
        one for one in (found.experiment, found.registered, *(each.registered for each in mine)) if one is not None
    ]
    finding.require_no_newer(found.model, (one.tags for one in parts), check=check)


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


def again(server: Server, found: Shelf, version: str) -> Held:
    """Look once more for the parts of ``version``, right before one is made: another export may have come first."""
    tag = f"`{VERSION}` = '{version}'"
    with told(server.uri, f"looking for {found.model}@{version}"):
        runs = _runs(server, [found.experiment] if found.experiment is not None else [], f"tags.{tag}")
        logged = _logged_models(server, [found.experiment] if found.experiment is not None else [], f"tags.{tag}")
        versions = _model_versions(server, found, f" and tags.{tag}")
    fresh = Shelf(model=found.model, owner=found.owner, experiment=found.experiment, registered=found.registered)
    sort_in(fresh, found.owner, runs, logged, versions)
    found.versions[version] = fresh.held(version)
    return found.versions[version]


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
    server: Server,
    model: str,
    version: str,
    held: Held,
    *,
    run_files: Iterable[File] = (),
    model_files: Iterable[File] = (),
) -> VersionEntities:
    """Give what is held as entities, with the files that were listed or downloaded."""
    return VersionEntities(
        model=model,
        version=version,
        run=_with_earlier(server, run_entity(held.run, run_files), held.run.info.run_id)
        if held.run is not None
        else None,
        logged=Logged(
            name=held.logged.name,
            status=str(held.logged.status),
            tags=dict(held.logged.tags or {}),
            params=dict(held.logged.params or {}),
            metrics=tuple(_linked(held)),
            files=tuple(model_files),
        )
        if held.logged is not None
        else None,
        registered=Registered(tags=dict(held.registered.tags), description=held.registered.description or "")
        if held.registered is not None
        else None,
    )


def _linked(held: Held) -> Iterator[Metric]:
    """Yield the last value of each metric that the version's own run linked to its logged model.

    Other runs may link theirs to it (an evaluation months later), which is their business.
    """
    own = held.run.info.run_id if held.run is not None else None
    ordered = sorted(held.logged.metrics or (), key=lambda one: (one.step, one.timestamp))
    last = {one.key: one for one in ordered if not one.run_id or one.run_id == own}
    for one in last.values():
        yield Metric(name=one.key, value=one.value, timestamp=one.timestamp, step=one.step)


def _with_earlier(server: Server, run: Run, run_id: str) -> Run:
    """Return the run with the values of a gate's earlier reports, which MLflow gives metric by metric only."""
    several = tuple(one for one in run.metrics if one.step and one.name.startswith(GATE))
    if not several:
        return run
    values = Histories(server).of(run_id, replace(run, metrics=several)).values
    last = {one.name: one.step for one in several}
    return replace(run, earlier=tuple(one for all_ in values.values() for one in all_ if one.step < last[one.name]))


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
