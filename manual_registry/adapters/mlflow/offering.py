"""What a server offers to an import: registered models, their versions, and the run, logged model and files of each.

Rules held here: reading only; what one version lacks (its run was deleted, its files are out of reach) is told with that
version and stops no other; the server going away stops everything.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from manual_registry.adapters.mlflow import fetching
from manual_registry.adapters.mlflow.fetching import Listing, Place
from manual_registry.adapters.mlflow.finding import pages
from manual_registry.adapters.mlflow.histories import Histories
from manual_registry.adapters.mlflow.reading import run_entity
from manual_registry.adapters.mlflow.server import Server
from manual_registry.adapters.mlflow.stores import unavailable
from manual_registry.core.errors import ModelUnknown, RegistryError, ServerDown, ServerRefused, Unavailable
from manual_registry.core.handover import back, mapping
from manual_registry.core.handover.entities import File, History, Logged, Metric, Registered, VersionEntities
from manual_registry.core.handover.offered import Offer, Offered, OfferedModel
from manual_registry.core.manifest import printable

_PAGE: Final = 1000
#: A paper of ours that is larger is none.
_LARGEST: Final = 1 << 26
#: What MLflow says of an object that is not there.
_GONE: Final = frozenset({"RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"})
_PROMPT: Final = "mlflow.prompt.is_prompt"


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What a server offers; by (name, number), where the files of each version lie, and those of ours in its run."""

    offer: Offer
    models: dict[tuple[str, int], Listing]
    papers: dict[tuple[str, int], Listing]


def offered(server: Server, names: Sequence[str], progress: Callable[[int, int], None] | None = None) -> Found:
    """Read the registered models ``names`` (none: all) with their versions; ``progress`` gets (versions done, in all).

    Raises :class:`ModelUnknown` for a name that the server does not have, and what connecting raises.
    """
    models = [_model(server, name) for name in (dict.fromkeys(names) if names else _names(server))]
    found: list[tuple[OfferedModel, Any]] = []
    for model in models:
        if not model.prompt:
            found += [(model, one) for one in _versions(server, model.name)]
    versions: list[Offered] = []
    listings: dict[tuple[str, int], Listing] = {}
    papers: dict[tuple[str, int], Listing] = {}
    histories = Histories(server)
    for done, (model, one) in enumerate(found, 1):
        with unavailable(server, f"reading version {one.version} of {model.name}"):
            version, files, ours = _version(server, model, one, histories)
        versions.append(version)
        if files is not None:
            listings[version.name, version.number] = files
        if ours is not None:
            papers[version.name, version.number] = ours
        if progress is not None:
            progress(done, len(found))
    offer = Offer(uri=server.uri, server=server.version, models=tuple(models), versions=tuple(versions))
    return Found(offer=offer, models=listings, papers=papers)


def _names(server: Server) -> list[str]:
    with unavailable(server, "listing the registered models"):
        found = pages(lambda token: server.client.search_registered_models(max_results=_PAGE, page_token=token))
    return sorted({str(one.name) for one in found})


def _model(server: Server, name: str) -> OfferedModel:
    found = _or_none(server, f"reading the registered model {name}", server.client.get_registered_model, name)
    if found is None:
        raise ModelUnknown(
            f"the MLflow server has no registered model {printable(name)!r}", location="--model", hint="mlflow ui"
        )
    with unavailable(server, f"reading the registered model {name}"):
        tags = {str(key): str(value) for key, value in found.tags.items()}
        return OfferedModel(
            name=name,
            description=str(found.description or ""),
            tags=tags,
            aliases={str(alias): int(number) for alias, number in found.aliases.items()},
            prompt=tags.get(_PROMPT, "").lower() == "true",
        )


def _or_none(server: Server, doing: str, ask: Callable[..., Any], *arguments: Any) -> Any:
    """Return what ``ask`` gives; None for an object that is not there."""
    try:
        with unavailable(server, doing):
            return ask(*arguments)
    except ServerRefused as problem:
        if getattr(problem.__cause__, "error_code", "") in _GONE:
            return None
        raise


def _versions(server: Server, name: str) -> list[Any]:
    """Return all versions of a model, by number. MLflow's filters have no escape: an odd name is looked for by hand."""
    wanted = None if {"'", '"'} <= set(name) else f'name = "{name}"' if "'" in name else f"name = '{name}'"
    with unavailable(server, f"listing the versions of {name}"):
        found = pages(lambda token: server.client.search_model_versions(wanted, max_results=_PAGE, page_token=token))
        numbered = {int(one.version): one for one in found if one.name == name}  # one that comes up twice is one
    return [numbered[number] for number in sorted(numbered)]


def _version(
    server: Server, model: OfferedModel, found: Any, histories: Histories
) -> tuple[Offered, Listing | None, Listing | None]:
    number, tags = int(found.version), {str(key): str(value) for key, value in found.tags.items()}
    problems: list[str] = []
    waits: list[RegistryError] = []
    run = _part(server, "its run", server.client.get_run, found.run_id, problems, waits)
    source, model_id = str(found.source or ""), getattr(found, "model_id", None)
    if not model_id and source.startswith("models:/m-"):
        model_id = source.removeprefix("models:/").strip("/")
    logged = _part(server, "its logged model", server.client.get_logged_model, model_id, problems, waits)
    listing, problem, code = _files(server, found, source)
    parts = (tags, run.data.tags if run is not None else {}, logged.tags if logged is not None else {})
    exported = any(back.identity(one or {}) for one in parts)
    ours = _ours(server, run, waits) if run is not None and exported else None
    papers = _papers(server, ours, problems, waits) if ours is not None else {}
    history = History()
    if run is not None and not exported:  # what this tool exported stands in its record.json
        try:
            history = histories.of(str(found.run_id), run_entity(run))
        except ServerRefused as refusal:
            waits.append(refusal)
    if problem is None and waits:  # an entry is for ever: what cannot be read now is not left out of it
        problem, code = waits[0].message, waits[0].code
    registered = Registered(tags=tags, description=str(found.description or ""))
    entities = VersionEntities(
        model=model.name,
        version=str(number),
        run=run_entity(run, [_plain(*one) for one in ours.files.items()] if ours else ()) if run is not None else None,
        logged=Logged(name=str(logged.name), status=str(logged.status), tags=dict(logged.tags or {}), files=())
        if logged is not None
        else None,
        registered=registered,
    )
    stage = str(found.current_stage or "")
    made = Offered(
        name=model.name,
        number=number,
        status=str(found.status),
        stage=stage if stage not in ("", "None") else None,
        aliases=tuple(sorted(alias for alias, of in model.aliases.items() if of == number)),
        source=source,
        run_id=str(found.run_id) if found.run_id else None,
        model_id=str(model_id) if model_id else None,
        created=int(found.creation_timestamp) if found.creation_timestamp is not None else None,
        user=str(found.user_id) if found.user_id else None,
        entities=entities,
        model_params=dict(logged.params or {}) if logged is not None else {},
        model_metrics=tuple(_metric(one) for one in logged.metrics or ()) if logged is not None else (),
        files=dict(listing.files) if listing is not None else {},
        papers=papers,
        history=history,
        problem=problem,
        problem_code=code,
        remarks=tuple(problems),
    )
    return made, listing, ours


def _part(
    server: Server, what: str, ask: Callable[[str], Any], id_: Any, problems: list[str], waits: list[RegistryError]
) -> Any:
    """Read the run or the logged model of a version; what is gone is told, what cannot be read keeps the version back."""
    if not id_:
        return None
    try:
        found = _or_none(server, f"reading {what}", ask, str(id_))
    except ServerDown:
        raise
    except RegistryError as problem:
        waits.append(problem)
        return None
    if found is None:
        problems.append(f"{what} ({printable(str(id_))}) is not there any more")
    elif str(found.info.run_id if hasattr(found, "info") else found.model_id) != str(id_):
        waits.append(ServerRefused(f"asked for {what}, the MLflow server answers with something else"))
        return None
    return found


def _metric(one: Any) -> Metric:
    return Metric(name=str(one.key), value=float(one.value), timestamp=int(one.timestamp), step=int(one.step or 0))


def _plain(path: str, size: int) -> File:
    return File(path=f"{mapping.OURS}{path}", size=size, sha256=None)


def _files(server: Server, found: Any, source: str) -> tuple[Listing | None, str | None, str | None]:
    """List a version's files; the second is why they cannot be had, the third the code of what keeps them for now."""
    if not source:
        return None, "names no files", None
    try:
        if fetching.names_version(source):  # a copy: its files are known also when the original was deleted
            ask = server.client.get_model_version_download_uri
            source = str(_or_none(server, "looking for its files", ask, found.name, found.version) or source)
        return fetching.listed(server, fetching.resolve(server, source)), None, None
    except ServerDown:
        raise
    except RegistryError as problem:
        gone = getattr(problem.__cause__, "error_code", "") in _GONE
        code = problem.code if isinstance(problem, Unavailable) and not gone else None
        return None, "; ".join(reason.message for reason in problem.reasons[:3]), code


def _ours(server: Server, run: Any, waits: list[RegistryError]) -> Listing | None:
    """List this tool's own files of a run; None where there are none, or none that can be had."""
    try:
        return fetching.listed(server, Place(location=str(run.info.artifact_uri), below=mapping.OURS.rstrip("/")))
    except ServerDown:
        raise
    except RegistryError as problem:
        if isinstance(problem, Unavailable):
            waits.append(problem)
        return None  # there are none: the version comes as MLflow's fields tell it


def _papers(server: Server, ours: Listing, problems: list[str], waits: list[RegistryError]) -> dict[str, bytes]:
    """Read the papers, which are small; evidence is left where it is."""
    wanted = [path for path, size in ours.files.items() if not path.startswith("evidence/") and size <= _LARGEST]
    try:
        return _read(server, ours, wanted)
    except ServerDown:
        raise
    except RegistryError as problem:
        if isinstance(problem, Unavailable):
            waits.append(problem)
        else:
            problems.append(f"its papers could not be read: {problem.message}")
        return {}


def _read(server: Server, found: Listing, wanted: list[str]) -> dict[str, bytes]:
    made: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory(prefix="manual-registry-") as scratch:
        for number, path in enumerate(wanted):
            place = Path(scratch) / str(number)
            place.mkdir()
            fetching.download(server, found, [path], place, names={path: "paper"})
            made[path] = (place / "paper").read_bytes()
    return made
