"""Evidence: configuration, prompt, environment, card and gate files, kept byte for byte beside the artefact.

Rules held here: they lie at ``evidence/<kind>/<name>``, read-only; the same bytes under the same name are
kept once, other bytes under the same name stand beside the first as ``name~2``. Several may be added in one
job.
"""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass, replace
from pathlib import Path

from manual_registry.adapters.files import (
    fsync_dir,
    make_directory,
    move_new,
    opened,
    os_errors,
    unreadable,
    write_new,
)
from manual_registry.adapters.incoming import Intent, Job
from manual_registry.core.errors import (
    ArtefactSpecial,
    FileUnknown,
    StorageUnexpected,
    UsageError,
    VersionUnknown,
)
from manual_registry.core.manifest import printable
from manual_registry.core.values import check_artefact_path

KINDS = frozenset({"config", "prompt", "environment", "card", "gates", "metadata", "other"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """One file: ``path`` relative to the version directory, hashes as lower-case hex, ``size`` in bytes."""

    kind: str
    path: str
    sha256: str
    blake3: str
    size: int


def read_file(source: Path) -> bytes:
    """Read a person's file whole; raises FileUnknown, ArtefactSpecial or FilesystemUnsuited."""
    shown = printable(str(source))
    try:
        descriptor = os.open(source, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise ArtefactSpecial(f"{shown}: not a regular file", location=shown)
            with os.fdopen(descriptor, "rb", closefd=False) as stream:
                return stream.read()
        finally:
            os.close(descriptor)
    except (FileNotFoundError, NotADirectoryError):
        raise FileUnknown(f"{shown}: there is no such file", location=shown) from None
    except OSError as error:
        raise unreadable(error, shown) from error


def choose(version: Path, kind: str, name: str, data: bytes) -> tuple[Evidence, bool]:
    """Return where ``data`` goes below ``version`` and whether these bytes stand there already.

    Raises UsageError for an unknown kind and BadPath for a name that other systems could not keep.
    """
    if kind not in KINDS:
        raise UsageError(f"evidence kind {kind!r}: one of {', '.join(sorted(KINDS))}")
    check_artefact_path(name)
    from blake3 import blake3

    folder = version / "evidence" / kind
    with os_errors(folder):
        taken = {entry.name.casefold(): entry for entry in folder.iterdir()} if folder.is_dir() else {}
        number, free = 1, name
        while (stands := taken.get(free.casefold())) is not None:
            if stands.is_file() and not stands.is_symlink() and stands.read_bytes() == data:
                free = stands.name
                break
            number += 1
            free = _numbered(name, number)
    evidence = Evidence(
        kind=kind,
        path=f"evidence/{kind}/{free}",
        sha256=hashlib.sha256(data).hexdigest(),
        blake3=str(blake3(data).hexdigest()),
        size=len(data),
    )
    return evidence, stands is not None


def _numbered(name: str, number: int) -> str:
    path = Path(name)
    return f"{path.stem}~{number}{path.suffix}"


def add(version: Path, kind: str, source: Path, data: bytes | None) -> Evidence:
    """Write evidence into a version directory that is still being made; ``data`` None reads ``source``."""
    bytes_ = read_file(source) if data is None else data
    evidence, stands = choose(version, kind, source.name, bytes_)
    if not stands:
        with os_errors(evidence.path):
            make_directory((version / evidence.path).parent)
            write_new(version / evidence.path, bytes_, mode=0o444)
    return evidence


class Attaching:
    """Evidence that joins a version in place (`attach`); made by ``LocalStorage.attach``.

    Every file is named in the job's intent before it appears. Call ``finish`` once the event stands,
    ``discard`` when it was refused; leaving the block by an error decides nothing, the next writing command
    does.
    """

    def __init__(self, job: Job, version_dir: Path, intent: Intent) -> None:
        if not version_dir.is_dir() or version_dir.is_symlink():
            job.discard()
            raise VersionUnknown(f"{intent.target}: there is no such version directory", location=intent.target)
        self._job = job
        self._directory = version_dir
        self._intent = intent

    def add(self, kind: str, source: Path, *, data: bytes | None = None) -> Evidence:
        """Write one file, atomically and read-only; ``data`` None reads ``source``.

        Raises FileUnknown, ArtefactSpecial, FilesystemUnsuited, BadPath, DiskFull, StorageReadOnly or
        StorageFailed.
        """
        bytes_ = read_file(source) if data is None else data
        evidence, stands = choose(self._directory, kind, source.name, bytes_)
        if stands:
            return evidence
        named = {**self._intent.evidence, evidence.path: evidence.sha256}
        self._intent = replace(self._intent, evidence=named)
        self._job.declare(self._intent)
        self._appear(bytes_, self._directory / evidence.path, evidence.path)
        return evidence

    def _appear(self, data: bytes, target: Path, shown: str) -> None:
        fresh = self._job.directory / "evidence"
        with os_errors(shown), opened(self._directory):
            write_new(fresh, data, mode=0o444)
            for folder in (target.parent.parent, target.parent):
                if folder.is_symlink():
                    raise StorageUnexpected(f"{shown}: a symbolic link in the registry is not followed", location=shown)
                make_directory(folder)
                folder.chmod(0o755)
            try:
                if not move_new(fresh, target):
                    raise StorageUnexpected(f"{shown}: something appeared there meanwhile", location=shown)
            finally:
                target.parent.chmod(0o555)
                target.parent.parent.chmod(0o555)
            fsync_dir(self._directory)

    def finish(self) -> None:
        """Forget the intent: the event stands."""
        self._job.finish()

    def discard(self) -> None:
        """Remove what this job wrote and no event names (RP-3)."""
        self._job.discard()

    def leave(self) -> None:
        """Let the next writing command decide by the ledger."""
        self._job.leave()
