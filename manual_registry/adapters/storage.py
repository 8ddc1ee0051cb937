"""The storage of a registry on a local file system: version directories, bags, and how they come into place.

Layout (design 3.1): ``models/<model>/<version>/`` holds ``artefact/``, ``SHA256SUMS``, ``B3SUMS``,
``record.json`` and ``evidence/``; ``archive/<model>/<version>/`` a bag of all that (``<version>~2`` when
archived again).

Rules held here: everything is made in models/.incoming/ and appears by one rename, read-only and durable,
after its intent was written (adapters/incoming.py); nothing that stands is overwritten. What an event says,
and whether a dead job is finished or discarded, is the facade's; removing is left to adapters/remover.py
(RP-3).

>>> with storage.stage(path) as staged:       # doctest: +SKIP
...     staged.place("churn", "1.0.0")
...     ...                                    # write the event
...     staged.finish()
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from manual_registry.adapters import incoming, remover
from manual_registry.adapters.evidence import Attaching
from manual_registry.adapters.files import os_errors
from manual_registry.adapters.incoming import Intent, Job
from manual_registry.adapters.staging import ARTEFACT, Staged, StagedBag, TakenIn, bag_name
from manual_registry.core.errors import ArtefactChanged, BagInvalid, Json, VersionUnknown, raise_for
from manual_registry.core.manifest import Content, compare, content, manifest_bytes
from manual_registry.ports import Progress

_BAG_NAME = re.compile(r"(.+?)(?:~([2-9]|[1-9]\d+))?")


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """What stands on disk; ``bags`` are (model, version, number), ``foreign`` what has no place there."""

    models: tuple[tuple[str, str], ...]
    bags: tuple[tuple[str, str, int], ...]
    foreign: tuple[str, ...]


class LocalStorage:
    """``models/`` and ``archive/`` below ``root``."""

    def __init__(self, root: Path) -> None:
        self.root = root

    # -- where things are ---------------------------------------------------------------------------------

    def version_dir(self, model: str, version: str) -> Path:
        """Return ``models/<model>/<version>``."""
        return self.root / "models" / model / version

    def bag_dir(self, model: str, version: str, number: int = 1) -> Path:
        """Return ``archive/<model>/<version>``, from the second on ``~<number>``."""
        return self.root / "archive" / model / bag_name(version, number)

    def standing(self) -> Standing:
        """List what stands in models/ and archive/ (names only); ``foreign`` is what has no place there."""
        models, foreign = _two_levels(self.root, "models")
        bags, more = _two_levels(self.root, "archive")
        return Standing(
            models=tuple(models),
            bags=tuple((model, *_split_bag(name)) for model, name in bags),
            foreign=(*foreign, *more),
        )

    def protection(self, directory: Path) -> str:
        """Return how a version directory or bag is protected.

        None, advisory (read-only) or administrative.
        """
        from manual_registry.adapters.protection import observe

        return observe(directory)

    # -- recovery -----------------------------------------------------------------------------------------

    def stale_jobs(self) -> list[Job]:
        """Return the jobs of dead processes; finish or discard every one (a job without intent: discard)."""
        return incoming.stale_jobs(self.root)

    def jobs_elsewhere(self) -> list[incoming.Intent]:
        """Return what machines that no lock reaches are about to do here."""
        return incoming.jobs_elsewhere(self.root)

    def discard(self, job: Job) -> None:
        """Undo a dead job that no event names (RP-3)."""
        job.discard()

    def finish(self, job: Job) -> None:
        """End a dead job whose event stands."""
        job.finish()

    # -- register, attach, fetch --------------------------------------------------------------------------

    def stage(self, source: Path, *, dereference: bool = False, progress: Progress | None = None) -> Staged:
        """Copy ``source`` into models/.incoming/, hashing it in the same pass, and verify the copy.

        ``progress`` gets bytes. Raises every problem of the source together (ArtefactMissing,
        ArtefactSymlink, ArtefactSpecial, BadPath, PathCollision, EmptyDirectory, FilesystemUnsuited),
        SourceChanged, CopyDiffers, DiskFull, StorageReadOnly or StorageFailed; the half copy is discarded,
        on Ctrl-C as well.
        """
        from manual_registry.adapters import tree

        raise_for(tree.walk(source, dereference=dereference).problems)  # before anything is made
        job = incoming.start(self.root)
        try:
            return self._stage(job, source, dereference, progress)
        except BaseException:
            job.discard()
            raise

    def _stage(self, job: Job, source: Path, dereference: bool, progress: Progress | None) -> Staged:
        from manual_registry.adapters.copying import copy_verified

        into = job.directory / ARTEFACT
        with os_errors(into):
            into.mkdir()
        copied = copy_verified(source, into, dereference=dereference, progress=progress)
        made = content(copied.kind, copied.files, name=copied.name, left_out=copied.left_out)
        return self._with_sums(job, made)

    @staticmethod
    def _with_sums(job: Job, made: Content) -> Staged:
        staged = Staged(job, "register", made)
        staged.write("SHA256SUMS", manifest_bytes(made.files, "sha256"))
        staged.write("B3SUMS", manifest_bytes(made.files, "blake3"))
        return staged

    def stage_filled(self, fill: Callable[[Path], object], *, single: bool = False) -> Staged:
        """Make the version directory of files that ``fill`` brings into an empty directory: a download.

        It lies in models/.incoming/, so that nothing is copied again and a killed one is cleared away by the next writing
        command. ``single``: the one file in it is the artefact, not the directory. Hashed (both ways) and made durable
        afterwards; raises what ``fill`` raises, and the problems of what it brought as :meth:`stage`; discarded then.
        """
        from manual_registry.adapters import tree
        from manual_registry.adapters.files import sync_tree

        job = incoming.start(self.root)
        try:
            into = job.directory / ARTEFACT
            with os_errors(into):
                into.mkdir()
            fill(into)
            made = tree.hash_tree(next(iter(into.iterdir())) if single else into, sha256=True)
            with os_errors(into):
                sync_tree(into)
            return self._with_sums(job, made)
        except BaseException:
            job.discard()
            raise

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """Give an empty directory in models/.incoming/ for the time of the block; a killed one is cleared away as well."""
        job = incoming.start(self.root)
        try:
            yield job.directory
        finally:
            job.discard()

    def stage_in_place(self, made: Content) -> Staged:
        """Make the version directory of files that stay where they lie: their lists, and no ``artefact/``."""
        job = incoming.start(self.root)
        try:
            return self._with_sums(job, made)
        except BaseException:
            job.discard()
            raise

    def take_in(
        self, model: str, version: str, source: Path, *, expected: Content, progress: Progress | None = None
    ) -> TakenIn:
        """Copy files that stayed where they lay (``stage_in_place``) for their version directory, and verify the copy.

        Raises as :meth:`stage`, and :class:`ArtefactChanged` for each file that is not as ``expected``.
        """
        from manual_registry.adapters.copying import copy_verified

        self._working(model, version)
        job = incoming.start(self.root)
        try:
            copied = copy_verified(source, job.directory, progress=progress)
            raise_for(
                ArtefactChanged(f"{path.path}: {path.kind} since it was adopted", location=path.path, clause="RP-1")
                for path in compare(expected.files, copied.files)
            )
            made = content(copied.kind, copied.files, name=copied.name, left_out=copied.left_out)
            return TakenIn(job, model, version, made)
        except BaseException:
            job.discard()
            raise

    def attach(self, model: str, version: str, *, facts: Mapping[str, Json] | None = None) -> Attaching:
        """Begin adding evidence to a version in place; raises VersionUnknown without a directory."""
        target = f"models/{model}/{version}"
        intent = Intent(kind="attach", model=model, version=version, target=target, facts=dict(facts or {}))
        return Attaching(incoming.start(self.root), self.root / target, intent)

    def fetch(self, source: Path, destination: Path, *, expected: Content, progress: Progress | None = None) -> Path:
        """Copy the artefact in ``source`` (an ``artefact/``) to ``destination``; return where it lies.

        A single file becomes ``destination``, or lies in it when that is an empty directory. Raises
        :class:`DestinationTaken` when something stands there, :class:`ArtefactChanged` when the copy is not
        as ``expected``; nothing is left behind then.
        """
        from manual_registry.adapters.fetching import fetch

        return fetch(source, destination, expected, progress)

    # -- archive ------------------------------------------------------------------------------------------

    def make_bag(
        self,
        model: str,
        version: str,
        info: Iterable[tuple[str, str]],
        *,
        expected: Content | None = None,
        progress: Progress | None = None,
    ) -> StagedBag:
        """Copy the whole version directory into a bag in models/.incoming/ and validate that bag.

        ``info`` are bag-info.txt's labels and values (Bagging-Date …); Payload-Oxum is added. ``expected``
        is the artefact that the ledger knows. Raises VersionUnknown, ArtefactChanged, BagInvalid,
        CopyDiffers, DiskFull ….
        """
        from manual_registry.adapters import archiving

        source = self._working(model, version)
        taken = [number for name, stands, number in self.standing().bags if (name, stands) == (model, version)]
        name = (model, version, max(taken, default=0) + 1)
        return archiving.make_bag(self.root, name, source, info, expected=expected, progress=progress)

    def verify_bag(self, bag: Path, *, both: bool = True, progress: Progress | None = None) -> list[BagInvalid]:
        """Return every problem of a bag, located below the root; ``both=False``: payload by BLAKE3 only."""
        from manual_registry.adapters import archiving

        return archiving.verify_bag(self.root, bag, both=both, progress=progress)

    def remove_working_copy(self, model: str, version: str, number: int) -> bool:
        """End an archive move (RP-3): verify the bag, then remove ``models/<model>/<version>``.

        Returns False when no working copy is there. Raises BagInvalid when the bag does not verify and
        ArtefactAdded or ArtefactChanged when the working copy holds what the bag does not; nothing is
        removed then.
        """
        from manual_registry.adapters import archiving

        if not self.version_dir(model, version).is_dir():
            return False
        working = self._working(model, version)
        archiving.remove_working_copy(self.root, working, self.bag_dir(model, version, number))
        return True

    def unbag(
        self, model: str, version: str, number: int, *, expected: Content, progress: Progress | None = None
    ) -> Staged:
        """Copy a bag's payload back into models/.incoming/, verified against its manifests and ``expected``.

        The bag stays. Raises BagInvalid, ArtefactChanged, CopyDiffers, DiskFull ….
        """
        from manual_registry.adapters import archiving

        return archiving.unbag(self.root, self.bag_dir(model, version, number), expected=expected, progress=progress)

    def _working(self, model: str, version: str) -> Path:
        working = self.version_dir(model, version)
        if working.is_symlink() or working.parent.is_symlink() or not working.is_dir():
            where = f"models/{model}/{version}"
            raise VersionUnknown(f"{model}@{version}: no working copy in models/", location=where)
        return working


def _two_levels(root: Path, area: str) -> tuple[list[tuple[str, str]], list[str]]:
    found: list[tuple[str, str]] = []
    foreign: list[str] = []
    with os_errors(area):
        for model in sorted((root / area).iterdir()) if (root / area).is_dir() else ():
            if area == "models" and model.name == remover.INCOMING:
                continue
            if model.is_symlink() or not model.is_dir():
                foreign.append(f"{area}/{model.name}")
                continue
            for version in sorted(model.iterdir()):
                if version.is_symlink() or not version.is_dir():
                    foreign.append(f"{area}/{model.name}/{version.name}")
                else:
                    found.append((model.name, version.name))
    return found, foreign


def _split_bag(name: str) -> tuple[str, int]:
    match = _BAG_NAME.fullmatch(name)
    return (match[1], int(match[2] or 1)) if match else (name, 1)
