"""What is being made and not in place yet: a version directory, or a bag.

Rules held here: both move into place by one rename after their intent was written; an error before that
discards them, an error afterwards decides nothing, because an event may name them already.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from manual_registry.adapters import evidence
from manual_registry.adapters.evidence import Evidence
from manual_registry.adapters.files import fsync_dir, os_errors, write_new
from manual_registry.adapters.incoming import TAKE_IN, Intent, Job
from manual_registry.core.errors import Json
from manual_registry.core.manifest import Content, FileEntry

#: Where the model itself lies in a version directory.
ARTEFACT = "artefact"


def bag_name(version: str, number: int) -> str:
    """Return the directory name of a version's ``number``-th bag (1: the version itself)."""
    return version if number == 1 else f"{version}~{number}"


class Making:
    """Something half made that will move to ``models/`` or ``archive/``; a context manager.

    Leaving the block by an error before ``place`` discards it; afterwards the ledger decides: ``leave``.
    """

    kind = ""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._done = False

    @property
    def directory(self) -> Path:
        """Where it lies until it is placed."""
        return self._job.directory

    def _place(self, model: str, version: str, target: str, facts: Mapping[str, Json] | None) -> Path:
        intent = Intent(kind=self.kind, model=model, version=version, target=target, facts=dict(facts or {}))
        try:
            return self._job.place(intent)
        except BaseException:
            self.discard()  # no event is written before the move
            raise

    def finish(self) -> None:
        """The event stands: forget the intent, let go of the lock."""
        self._done = True
        self._job.finish()

    def discard(self) -> None:
        """No event names it: remove it, also from its place (RP-3)."""
        self._done = True
        self._job.discard()

    def leave(self) -> None:
        """Let go of the lock only; the next writing command finishes or discards by the ledger."""
        self._done = True
        self._job.leave()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._done:
            return
        if self._job.placed():
            self.leave()
        else:
            self.discard()


class Staged(Making):
    """A version directory that is not in place yet; ``content`` is its artefact, with both hashes."""

    def __init__(self, job: Job, kind: str, made: Content) -> None:
        super().__init__(job)
        self.kind = kind
        self.content = made

    def add_evidence(self, kind: str, source: Path, *, data: bytes | None = None) -> Evidence:
        """Keep a file byte for byte (``data`` None: read ``source``); kinds: ``evidence.KINDS``.

        Raises FileUnknown, ArtefactSpecial, FilesystemUnsuited, BadPath, DiskFull, StorageReadOnly or
        StorageFailed.
        """
        return evidence.add(self.directory, kind, source, data)

    def write(self, name: str, data: bytes) -> None:
        """Write a file of the version directory itself (record.json)."""
        with os_errors(name):
            write_new(self.directory / name, data, mode=0o444)

    def place(self, model: str, version: str, *, facts: Mapping[str, Json] | None = None) -> Path:
        """Move it to ``models/<model>/<version>``, read-only and durable; return that path.

        Raises :class:`StorageUnexpected` when something stands there; ``facts`` come back in the intent
        after a kill.
        """
        with os_errors(self.directory):
            for name in ("evidence", "."):
                if (self.directory / name).is_dir():
                    fsync_dir(self.directory / name)
        return self._place(model, version, f"models/{model}/{version}", facts)


class TakenIn(Making):
    """An ``artefact/`` that is not in its version directory yet; ``content`` is what was copied, with both hashes."""

    kind = TAKE_IN

    def __init__(self, job: Job, model: str, version: str, made: Content) -> None:
        super().__init__(job)
        self.model, self.version, self.content = model, version, made

    def place(self) -> Path:
        """Move it to ``models/<model>/<version>/artefact``, read-only and durable; return that path."""
        return self._place(self.model, self.version, f"models/{self.model}/{self.version}/{ARTEFACT}", None)


class StagedBag(Making):
    """A bag that is not in place yet.

    ``payload`` are its files (paths begin with ``data/``); ``number`` is 1, or more when archived again.
    """

    kind = "archive"

    def __init__(self, job: Job, model: str, version: str, number: int, payload: tuple[FileEntry, ...]) -> None:
        super().__init__(job)
        self.model, self.version, self.number, self.payload = model, version, number, payload

    def place(self, *, facts: Mapping[str, Json] | None = None) -> Path:
        """Move it to ``archive/<model>/<version>`` (``~2`` …), read-only and durable; return that path."""
        target = f"archive/{self.model}/{bag_name(self.version, self.number)}"
        return self._place(self.model, self.version, target, {"bag": self.number, **(facts or {})})
