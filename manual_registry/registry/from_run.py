"""`register --from-run`: a run's model and what the run says of it, from a tracking server or a local store, in one step.

Rules held here: options win over the metadata file, and both over the run; what the run says and no field takes up is
told, and all that was read of it is kept as evidence; files of a store on this machine are copied from where they lie,
as `register` copies them, those of a server are downloaded into models/.incoming/; MLflow knows no hashes of them.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from manual_registry.core.errors import Ambiguous, NotARepository, RegistryError
from manual_registry.core.manifest import printable
from manual_registry.registry import again
from manual_registry.registry.given import RunSaid
from manual_registry.registry.registering import Wanted, brought, entered, gathered, sought

if TYPE_CHECKING:
    from manual_registry.adapters.mlflow.opening import Opened
    from manual_registry.adapters.mlflow.runs import Candidate, Found
    from manual_registry.core.metadata import Metadata
    from manual_registry.core.results import Result
    from manual_registry.ports import Progress
    from manual_registry.registry.given import Given
    from manual_registry.registry.workspace import Workspace


#: Fields of :class:`Given` that are options of the command line, each with the option's name.
_OPTIONS: Final = (
    *("metadata", "commit", "repo", "data", "pipeline_run", "trained", "owner", "metrics", "params", "gates", "config"),
    *("prompt", "environment", "card", "evidence"),
)


def register_from_run(
    work: Workspace,
    model: str,
    version: str,
    run_id: str,
    given: Given,
    *,
    path: str | None = None,
    tracking_uri: str | None = None,
    dereference: bool = False,
    progress: Progress | None = None,
) -> Result:
    """Register a run's model; see :meth:`manual_registry.Registry.register_from_run`."""
    from manual_registry.adapters.mlflow import opening, runs

    address = _address(work, tracking_uri)
    wanted = sought(work, model, version)

    def words(place: str | None = path) -> list[str]:
        uri = address if tracking_uri else None
        return _words([model, version, *([place] if place else [])], run_id, uri, given, dereference=dereference)

    with (
        again.hinted(words()),
        work.storage.scratch() as scratch,
        opening.opened(address, scratch) as opened,
    ):
        found = runs.find_run(opened, run_id)
        try:
            candidate = runs.choose(opened, found, path)
        except Ambiguous as problem:
            problem.hint = again.spelled(words(str(problem.details["first"])))
            raise
        said = _said(work, opened, found, candidate, given)
        return _registered(
            work,
            wanted,
            opened,
            candidate,
            replace(given, run=said),
            words(),
            dereference=dereference,
            progress=progress,
        )


def _words(place: list[str], run_id: str, address: str | None, given: Given, *, dereference: bool) -> list[str]:
    """Return the command as it was given; ``place`` are MODEL, VERSION and perhaps PATH."""
    words = ["mreg", "register", *place, "--from-run", run_id, *(["--tracking-uri", address] if address else [])]
    for name in _OPTIONS:
        found = getattr(given, name)
        several = found if isinstance(found, list | tuple) else [found] if found is not None else []
        words += [word for one in several for word in (f"--{name.replace('_', '-')}", str(one))]
    return [*words, *(["--dereference"] if dereference else [])]


def _address(work: Workspace, tracking_uri: str | None) -> str:
    from manual_registry.adapters.mlflow import opening, server

    address = opening.tracking_address(tracking_uri, work.environ, Path.cwd())
    if address.lower().startswith(("http:", "https:")):
        address, has_user = server.plain_address(address)
        if has_user:
            work.warn("user and password in the address are not used; set MLFLOW_TRACKING_USERNAME and _PASSWORD")
    return address


def _said(work: Workspace, opened: Opened, found: Found, candidate: Candidate, given: Given) -> RunSaid:
    from manual_registry.adapters.mlflow import histories
    from manual_registry.core.handover import runs

    history = histories.Histories(opened.server).of(found.run_id, found.run)
    told = runs.told(found.run, found.run_id, candidate.chosen, history)
    if found.run.status != "FINISHED":
        work.warn(f"the run ended as {printable(found.run.status)}, not as FINISHED")
    name = f"mlflow-run-{found.run_id}.json"
    work.warn(*(f"of the run, no field takes up: {printable(line)}" for line in told.left))
    record = runs.record_bytes(
        found.run,
        found.run_id,
        candidate.chosen,
        server=None if opened.local else opened.server.uri,
        history=history,
    )
    return RunSaid(metadata=_without_other_commit(work, told.metadata, given), name=name, record=record)


def _without_other_commit(work: Workspace, metadata: Metadata, given: Given) -> Metadata:
    """A commit that was named is not the run's: neither is its repository."""
    told, commit = metadata.code_commit, given.commit
    if not (told and commit) or told.lower().startswith(commit.lower()):
        return metadata
    work.warn(f"the run says commit {told[:12]}; {commit[:12]} was named and is taken")
    return replace(metadata, code_commit=None, code_repository=None)


def _registered(
    work: Workspace,
    wanted: Wanted,
    opened: Opened,
    candidate: Candidate,
    given: Given,
    words: list[str],
    *,
    dereference: bool,
    progress: Progress | None,
) -> Result:
    from manual_registry.adapters.mlflow import fetching

    here = opened.on_disk(candidate.place, *candidate.kept)
    # A metadata file that was given already is the one to fill in.
    hint = again.spelled([*words, *([] if given.metadata else ["--metadata", "FILE"])])
    try:
        found = gathered(work, wanted, given, beside=None, path=here, hint=hint)
    except RegistryError as problem:
        for reason in problem.reasons:
            if isinstance(reason, NotARepository) and given.repo is None:
                reason.hint = again.spelled([*words, "--repo", "DIR"])
        raise
    if given.run is not None:
        found.warnings.append(f"all that was read of the run is kept in evidence/other/{given.run.name}")
    if here is not None:
        _tell_of_place(work, opened, here)
        return brought(work, wanted, found, here, dereference=dereference, progress=progress)
    listing = fetching.listed(opened.server, candidate.place, local=opened.local)
    if listing.left_out:
        work.warn(f"left out: {printable(', '.join(listing.left_out[:5]))}{', …' if len(listing.left_out) > 5 else ''}")

    def fill(into: Path) -> None:
        fetching.download(opened.server, listing, listing.files, into, progress=progress)

    return entered(work, wanted, found, work.storage.stage_filled(fill, single=listing.single))


def _tell_of_place(work: Workspace, opened: Opened, here: Path) -> None:
    """What a store says of places is taken at its word; one outside of the store is told."""
    if opened.folder is not None and not here.resolve().is_relative_to(opened.folder):
        work.warn(f"the model's files lie outside of the store, in {printable(str(here))}")
