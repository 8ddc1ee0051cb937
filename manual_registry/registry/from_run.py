"""`register --from-run`: a run's model and what the run says of it, from a tracking server or a local store, in one step.

Rules held here: options win over the metadata file, and both over the run; what the run says and no field takes up is
told, and all that was read of it is kept as evidence; files of a store on this machine are copied from where they lie,
as `register` copies them, those of a server are downloaded into models/.incoming/; MLflow knows no hashes of them.
"""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from manual_registry.core.manifest import printable
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
    with work.storage.scratch() as scratch, opening.opened(address, scratch) as opened:
        found = runs.find_run(opened, run_id)
        candidate = runs.choose(opened, found, path)
        said = _said(work, opened, found, candidate, given)
        return _registered(
            work,
            wanted,
            opened,
            candidate,
            replace(given, run=said),
            run_id,
            dereference=dereference,
            progress=progress,
        )


def _address(work: Workspace, tracking_uri: str | None) -> str:
    from manual_registry.adapters.mlflow import opening, server

    address = opening.tracking_address(tracking_uri, work.environ, Path.cwd())
    if address.lower().startswith(("http:", "https:")):
        address, has_user = server.plain_address(address)
        if has_user:
            work.warn("user and password in the address are not used; set MLFLOW_TRACKING_USERNAME and _PASSWORD")
    return address


def _said(work: Workspace, opened: Opened, found: Found, candidate: Candidate, given: Given) -> RunSaid:
    from manual_registry.core.handover import runs

    told = runs.told(found.run, found.run_id, candidate.chosen)
    if found.run.status != "FINISHED":
        work.warn(f"the run ended as {printable(found.run.status)}, not as FINISHED")
    name = f"mlflow-run-{found.run_id}.json"
    work.warn(*(f"of the run, no field takes up: {printable(line)}" for line in told.left))
    record = runs.record_bytes(
        found.run, found.run_id, candidate.chosen, server=None if opened.local else opened.server.uri
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
    run_id: str,
    *,
    dereference: bool,
    progress: Progress | None,
) -> Result:
    from manual_registry.adapters.mlflow import fetching

    here = opened.on_disk(candidate.place, *candidate.kept)
    hint = f"mreg register {wanted.model} {wanted.version} --from-run {shlex.quote(run_id)} --metadata FILE"
    found = gathered(work, wanted, given, beside=None, path=here, hint=hint)
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
