"""What is in MLflow of the models that are handed over, and whether it may be written to: looked at before anything is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from manual_registry.adapters.mlflow import reading
from manual_registry.core.errors import ExportedAhead, LocalArtefacts, NothingExported, raise_for
from manual_registry.core.handover import mapping

if TYPE_CHECKING:
    from manual_registry.adapters.mlflow.reading import Shelf
    from manual_registry.registry.handing_over import Handing


def found(handing: Handing, models: Sequence[str]) -> list[Shelf]:
    """Find what is there of every model.

    An export raises :class:`ForeignTarget` with every name that is taken (a dry run and a check have them in the shelves),
    :class:`LocalArtefacts`, :class:`ExportedAhead`; a check :class:`NothingExported`.
    """
    shelves = [reading.shelf(handing.server, handing.owner(name), check=handing.action == "check") for name in models]
    if handing.action == "export":
        raise_for([one for shelf in shelves for one in shelf.refusals])
    if handing.action == "check":
        _require_something(handing, shelves)
    _require_place(handing, shelves)
    if handing.action != "check":
        _require_not_behind(handing, shelves)
    return shelves


def _require_something(handing: Handing, shelves: Sequence[Shelf]) -> None:
    """Refuse a check of nothing: it would prove nothing, and another address may be meant."""
    if not shelves or handing.before.seq or any(not shelf.empty() for shelf in shelves):
        return
    uri = handing.server.uri
    raise NothingExported(
        f"MLflow at {uri} has nothing of this registry, and the ledger knows of no export to that address: there is nothing"
        " to compare",
        location=uri,
        hint=f"mreg export mlflow --tracking-uri {uri} --dry-run",
    )


def _require_place(handing: Handing, shelves: Sequence[Shelf]) -> None:
    """Refuse, before anything is written, where the files would lie on this machine instead of the server's."""
    for shelf in shelves:
        if shelf.experiment is not None:
            handing.server.require_remote(str(shelf.experiment.artifact_location))
    if all(shelf.experiment is not None for shelf in shelves):
        return
    try:
        handing.server.require_place()
    except LocalArtefacts as problem:
        if handing.action == "export":
            raise
        handing.sources.work.warn(problem.message)


def _require_not_behind(handing: Handing, shelves: Sequence[Shelf]) -> None:
    """Refuse, before anything is written, what a newer copy of this registry exported: it would be taken for edits."""
    head = handing.sources.loaded.head[0]
    for shelf in shelves:
        ahead = shelf.ahead(head)
        if ahead is not None:
            raise ExportedAhead(
                f"{shelf.model} in MLflow was exported through event {ahead} of this registry, which ends here with event"
                f" {head}: this is an older copy, or somebody edited the tags {mapping.THROUGH} and {mapping.EXPORTING}"
                " there; nothing was written. Export from the newer copy",
                location=shelf.model,
                hint="mreg export mlflow … --verify-only tells what differs",
            )
