"""Moves versions into BagIt bags and back; ``LocalStorage`` offers these steps.

Rules held here: a bag is validated before it is placed, and again before the working copy goes (RP-3, RP-5);
a working copy that holds anything which the bag does not stays; coming back is a copy, the bag stays. Paths
below the root in every error.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from manual_registry.adapters import bagit, incoming, remover, tree
from manual_registry.adapters.copying import copy_verified
from manual_registry.adapters.files import fsync_dir, os_errors, sync_tree
from manual_registry.adapters.staging import ARTEFACT, Staged, StagedBag
from manual_registry.core.errors import ArtefactAdded, ArtefactChanged, BagInvalid, raise_for
from manual_registry.core.manifest import Content, FileEntry, compare
from manual_registry.ports import Progress


def make_bag(
    root: Path,
    name: tuple[str, str, int],
    source: Path,
    info: Iterable[tuple[str, str]],
    *,
    expected: Content | None,
    progress: Progress | None,
) -> StagedBag:
    """Copy the version directory ``source`` into a validated bag in models/.incoming/.

    ``name`` is model, version and the number of the bag.
    """
    job = incoming.start(root)
    try:
        data = job.directory / "data"
        with os_errors(data):
            data.mkdir()
        copied = copy_verified(source, data, leave_out=False, progress=progress)
        if expected is not None:
            _check_artefact(expected, copied.files)
        payload = tuple(replace(entry, path=f"data/{entry.path}") for entry in copied.files)
        with os_errors(job.directory):
            bagit.write_tags(job.directory, payload, info)
            sync_tree(job.directory)
        raise_for(bagit.validate(job.directory))
    except BaseException:
        job.discard()
        raise
    model, version, number = name
    return StagedBag(job, model, version, number, payload)


def verify_bag(root: Path, bag: Path, *, both: bool = True, progress: Progress | None = None) -> list[BagInvalid]:
    """Check a bag; every problem is located below ``root``."""
    place = bag.relative_to(root).as_posix()
    with os_errors(place):
        found = bagit.validate(bag, both=both, progress=progress)
    return [BagInvalid(f"{place}/{error.message}", location=f"{place}/{error.location}") for error in found]


def remove_working_copy(root: Path, working: Path, bag: Path) -> None:
    """Remove ``working`` once ``bag`` verified and holds all of it (RP-3)."""
    _check_all_in_bag(root, working, bag)
    job = incoming.start(root)
    try:
        with os_errors(working):
            remover.remove_working_copy(
                working, job.directory / "working", bag=bag, check=lambda path: verify_bag(root, path)
            )
            fsync_dir(working.parent)
    finally:
        job.discard()


def _check_all_in_bag(root: Path, working: Path, bag: Path) -> None:
    found = tree.survey(working, sha256=True)
    raise_for(found.problems)
    with os_errors(bag):
        kept = bagit.payload_hashes(bag)
    place = working.relative_to(root).as_posix()
    for entry in found.files:
        in_bag = kept.get(f"data/{entry.path}")
        if in_bag != entry.sha256:
            raise (ArtefactAdded if in_bag is None else ArtefactChanged)(
                f"{place}/{entry.path}: not as in the bag; the working copy stays",
                clause="RP-3",
                location=f"{place}/{entry.path}",
            )


def unbag(root: Path, bag: Path, *, expected: Content, progress: Progress | None) -> Staged:
    """Copy the payload of ``bag`` into models/.incoming/, verified against its manifests and ``expected``."""
    raise_for(verify_bag(root, bag, both=False))  # SHA-256 is computed and compared in the copy
    job = incoming.start(root)
    try:
        copied = copy_verified(bag / "data", job.directory, leave_out=False, progress=progress)
        with os_errors(bag):
            stated = bagit.payload_hashes(bag)
        raise_for(
            BagInvalid(f"data/{entry.path}: differs from its hash in {bagit.PAYLOAD_MANIFEST}", location=entry.path)
            for entry in copied.files
            if stated.get(f"data/{entry.path}") != entry.sha256
        )
        _check_artefact(expected, copied.files)
    except BaseException:
        job.discard()
        raise
    return Staged(job, "unarchive", expected)


def _check_artefact(expected: Content, files: Iterable[FileEntry]) -> None:
    prefix = f"{ARTEFACT}/"
    artefact = [
        replace(entry, path=entry.path.removeprefix(prefix)) for entry in files if entry.path.startswith(prefix)
    ]
    raise_for(
        ArtefactChanged(f"{prefix}{path.path}: {path.kind} since it was registered", location=f"{prefix}{path.path}")
        for path in compare(expected.files, artefact)
    )
