"""The files of one version out of MLflow, into a version directory that is not in place yet, checked on the way.

Rules held here: an artefact or evidence file that this tool exported must come back with the hashes that its record
names, and any other with what its tags say of it; whatever differs is not taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from manual_registry.adapters.mlflow import fetching
from manual_registry.core.errors import ArtefactChanged, RegistryError, ServerRefused, ToolMissing, WrongCredentials
from manual_registry.core.handover import mapping
from manual_registry.core.handover.flavours import ARTEFACT
from manual_registry.core.handover.limits import spelled_path, unspelled
from manual_registry.core.manifest import Content, printable

if TYPE_CHECKING:
    from manual_registry.adapters.mlflow.fetching import Listing
    from manual_registry.adapters.mlflow.server import Server
    from manual_registry.adapters.staging import Staged
    from manual_registry.adapters.storage import LocalStorage
    from manual_registry.core.adoption.words import StatedHash
    from manual_registry.core.handover.arrival import Arrival
    from manual_registry.ports import Progress

#: Refusals of what a server holds, rather than of this machine or of the server as a whole.
_ABOUT_ONE: Final = (ServerRefused, WrongCredentials, ToolMissing)
_OURS: Final = f"{ARTEFACT}/"


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Where one version's files are: the model's, and those of ours in its run."""

    server: Server
    model: Listing
    papers: Listing | None
    arrival: Arrival


@dataclass(frozen=True, kw_only=True, slots=True)
class Came:
    """A version directory whose files have come; ``left_out`` are ``.DS_Store`` and its like."""

    staged: Staged
    left_out: Sequence[str] = ()


def about_one(problem: RegistryError) -> bool:
    """Tell whether a refusal leaves out one version, and no more."""
    return all(isinstance(one, _ABOUT_ONE) or one.status == 7 for one in problem.reasons)


def stage(storage: LocalStorage, source: Source, progress: Progress | None) -> Came:
    """Download one version and check it; raises :class:`ArtefactChanged`, and as :func:`fetching.download`."""
    one = source.arrival
    files = {path: path for path in source.model.files}
    if one.own:
        files = {path: unspelled(path)[len(_OURS) :] for path in source.model.files if path.startswith(_OURS)}
        if not files:
            raise ArtefactChanged(f"its files are not there (nothing below {_OURS})")
    single = (
        one.artefact.kind == "file"
        if one.artefact is not None
        else source.model.single or (one.own and len(files) == 1)
    )
    if single and len(files) != 1:
        raise ArtefactChanged(f"{len(files)} files are there, one was exported")

    def fill(into: Path) -> None:
        fetching.download(source.server, source.model, files, into, names=files, progress=progress)

    staged = storage.stage_filled(fill, single=single)
    try:
        _check(staged.content, one)
        _evidence(staged, source)
    except BaseException:
        staged.discard()
        raise
    return Came(staged=staged, left_out=source.model.left_out)


def _check(content: Content, one: Arrival) -> None:
    if one.artefact is not None:
        for algorithm, said, found in (
            ("blake3", one.artefact.blake3, content.blake3),
            ("sha256", one.artefact.sha256, content.sha256),
        ):
            if said != found:
                raise ArtefactChanged(f"its artefact has {algorithm} {found}, it was exported with {said}")
    for stated in one.hashes:
        if not any(_fits(stated, known) for known in _known(content)):
            raise ArtefactChanged(
                f"its tags state {stated}; its files have blake3 {content.blake3}, sha256 {content.sha256}"
            )


def _known(content: Content) -> Iterator[dict[str, str | None]]:
    """Yield the hashes of the whole, then those of each file: a tag may mean the one or the other."""
    yield {"blake3": content.blake3, "sha256": content.sha256}
    yield from ({"blake3": one.blake3, "sha256": one.sha256} for one in content.files)


def _fits(stated: StatedHash, known: dict[str, str | None]) -> bool:
    return any(value is not None and stated.fits(algorithm, value) for algorithm, value in known.items())


def _evidence(staged: Staged, source: Source) -> None:
    """Bring the evidence files that a record names, each to its own place."""
    from manual_registry.adapters.files import os_errors, sync_tree
    from manual_registry.adapters.tree import hash_tree

    items: list[dict[str, Any]] = source.arrival.data["evidence"]
    if not items:
        return
    there = source.papers.files if source.papers is not None else {}
    names = {spelled_path(f"{mapping.OURS}{one['path']}").removeprefix(mapping.OURS): one["path"] for one in items}
    gone = [path for path in names if path not in there]
    if gone or source.papers is None:
        raise ArtefactChanged(f"{printable(', '.join(gone[:3]))}: evidence that is not there any more")
    fetching.download(source.server, source.papers, names, staged.directory, names=names)
    for one in items:
        found = hash_tree(staged.directory / one["path"], sha256=True)
        if (found.sha256, found.blake3, found.size) != (one["sha256"], one["blake3"], one["size"]):
            raise ArtefactChanged(
                f"{printable(one['path'])} has sha256 {found.sha256}, it was exported with {one['sha256']}"
            )
    with os_errors(staged.directory / "evidence"):
        sync_tree(staged.directory / "evidence")
