"""Half-made things in models/.incoming/: every move into place can be finished or taken back after a kill.

A job has a random token and up to four names: ``<token>/`` (what is being made), ``<token>.json`` (the
intent: what is about to appear where, written before it does), ``<token>.lock`` (held as long as its
process lives) and ``<token>.owner`` (the machine it runs on).

Rules held here: a job whose lock can be taken is dead, save one of another machine where locks do not reach
other machines: that one counts as dead after a day; :func:`stale_jobs` hands it over, and the facade,
who knows the ledger, says ``finish`` (an event names it) or ``discard`` (none does). Only what an intent
names, and what still is what the intent saw, is taken back; other directories are never touched. Removing
is left to adapters/remover.py.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from manual_registry.adapters import remover
from manual_registry.adapters.files import (
    fsync_dir,
    make_directory,
    make_read_only,
    move_new,
    opened,
    os_errors,
    write_new,
)
from manual_registry.adapters.locks import FileLock
from manual_registry.adapters.machines import locks_are_shared, machine_mark
from manual_registry.core import canonical
from manual_registry.core.errors import Busy, Json, StorageUnexpected

_TOKEN = re.compile(r"[0-9a-f]{16}")
#: Seconds after which a job of a machine that no lock reaches counts as dead.
_PATIENCE = 24 * 3600
_AREAS = ("models", "archive")
#: A job of this kind brings ``artefact/`` into a version directory that stands already.
TAKE_IN = "take-in"


@dataclass(frozen=True, kw_only=True, slots=True)
class Intent:
    """What a job is about to do.

    ``kind`` is register, archive, unarchive, attach or take-in; ``target`` the path below the root that will appear
    (for attach the version directory, for take-in ``artefact`` in it); ``inode`` the directory that moves there; ``evidence`` ``{path below
    target: sha256}`` of the files that attach adds; ``facts`` whatever else the facade wants back after a
    kill.
    """

    kind: str
    model: str
    version: str
    target: str
    inode: int | None = None
    evidence: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Json] = field(default_factory=dict)


class Job:
    """One half-made thing; made by :func:`start`, or found dead by :func:`stale_jobs`."""

    def __init__(self, root: Path, token: str, lock: FileLock, intent: Intent | None = None) -> None:
        self.root = root
        self.token = token
        self.intent = intent
        self._lock = lock

    @property
    def directory(self) -> Path:
        """``models/.incoming/<token>/``."""
        return incoming(self.root) / self.token

    def declare(self, intent: Intent) -> None:
        """Write the intent durably, in place of an earlier one; raises DiskFull and its like."""
        path = incoming(self.root) / f"{self.token}.json"
        fresh = path.with_suffix(".json.new")
        with os_errors(path):
            remover.discard_incoming(fresh)
            write_new(fresh, canonical.dump(asdict(intent)))
            fresh.replace(path)
            fsync_dir(path.parent)
        self.intent = intent

    def place(self, intent: Intent) -> Path:
        """Move ``directory`` to the intent's target, read-only; return the target.

        Raises :class:`StorageUnexpected` when something stands there, and leaves that alone.
        """
        target = self.root / intent.target
        with os_errors(intent.target):
            _plain_parents(self.root, target)
            make_directory(target.parent)
            make_read_only(self.directory, top=False)
            self.declare(intent_with_inode(intent, self.directory.stat().st_ino))
            with self._version_opened():
                moved = move_new(self.directory, target)
            if not moved:
                raise StorageUnexpected(
                    f"{intent.target}: something stands there that the ledger does not name; look at it, move"
                    " it away and repeat the command",
                    location=intent.target,
                )
            target.chmod(0o555)
        return target

    @contextmanager
    def _version_opened(self) -> Iterator[None]:
        """Open the version directory that ``artefact/`` moves into or out of; other targets stand in open ones."""
        version = (self.root / self.intent.target).parent if self.intent and self.intent.kind == TAKE_IN else None
        if version is None or version.is_symlink() or not version.is_dir():
            yield
            return
        with opened(version):
            yield

    def _close_version(self) -> None:
        """Close the version directory again, which a kill may have left open."""
        with self._version_opened():
            pass

    def placed(self) -> bool:
        """Tell whether the target is the very directory that this job made."""
        if self.intent is None or self.intent.inode is None:
            return False
        try:
            facts = (self.root / self.intent.target).lstat()
        except FileNotFoundError:
            return False
        return stat.S_ISDIR(facts.st_mode) and facts.st_ino == self.intent.inode

    def finish(self) -> None:
        """End a job whose event stands: close its directory, forget the intent."""
        with os_errors(self.directory):
            if self.intent is not None and (self.root / self.intent.target).is_dir():
                make_read_only(self.root / self.intent.target)
            self._close_version()
            self._forget()

    def discard(self) -> None:
        """Undo a job that no event names: take back what it placed and remove it (RP-3)."""
        with os_errors(self.directory):
            if self.intent is not None and self.placed() and not self.directory.exists():
                target = self.root / self.intent.target
                target.chmod(0o755)  # a directory that moves to another parent has its `..` rewritten
                with self._version_opened():
                    move_new(target, self.directory)
            elif self.intent is not None and self.intent.evidence:
                self._discard_evidence(self.root / self.intent.target, self.intent.evidence)
            self._close_version()
            self._forget()

    def leave(self) -> None:
        """Let go of the lock and keep everything else: the next writing command decides by the ledger."""
        self._lock.release()

    def _discard_evidence(self, version: Path, evidence: Mapping[str, str]) -> None:
        if not version.is_dir() or version.is_symlink():
            return
        for path, sha256 in evidence.items():
            file = version / path
            if os.path.lexists(file) and not _is_file_of(file, sha256):
                continue
            for folder in (version, version / "evidence", file.parent):
                if folder.is_dir():
                    folder.chmod(0o755)
            remover.discard_evidence(file)
        make_read_only(version)

    def _forget(self) -> None:
        folder = incoming(self.root)
        for name in (
            self.token,
            f"{self.token}.json.new",
            f"{self.token}.json",
            f"{self.token}.owner",
            f"{self.token}.lock",
        ):
            remover.discard_incoming(folder / name)
        self._lock.release()


def _is_file_of(path: Path, sha256: str) -> bool:
    return stat.S_ISREG(path.lstat().st_mode) and hashlib.sha256(path.read_bytes()).hexdigest() == sha256


def intent_with_inode(intent: Intent, inode: int) -> Intent:
    """Return ``intent`` with the directory that is to move."""
    return Intent(**{**asdict(intent), "inode": inode})


def incoming(root: Path) -> Path:
    """Return ``models/.incoming/``."""
    return root / "models" / remover.INCOMING


def start(root: Path) -> Job:
    """Begin a job: its lock is held, its directory exists and is empty."""
    folder = incoming(root)
    with os_errors(folder):
        make_directory(folder)
        for _ in range(8):
            token = secrets.token_hex(8)
            lock = FileLock(folder / f"{token}.lock")
            # Another process may take a lock that nobody holds yet for a dead one's, and clear it away.
            if lock.take(0) and lock.path.exists():
                job = Job(root, token, lock)
                try:
                    (folder / f"{token}.owner").write_text(machine_mark(), encoding="ascii")
                    job.directory.mkdir()
                except BaseException:
                    job.discard()
                    raise
                return job
            lock.release()
    raise Busy("models/.incoming: no lock could be had", location=str(folder))


def stale_jobs(root: Path) -> list[Job]:
    """Return the jobs whose process is gone, their locks taken; finish or discard every one."""
    folder = incoming(root)
    if not folder.is_dir():
        return []
    with os_errors(folder):
        jobs: list[Job] = []
        tokens = _tokens(folder)
        for token in sorted(tokens - _elsewhere(root, tokens)):
            lock = FileLock(folder / f"{token}.lock")
            if lock.take(0):
                jobs.append(Job(root, token, lock, read_intent(folder / f"{token}.json")))
        return jobs


def jobs_elsewhere(root: Path) -> list[Intent]:
    """Return what other machines are about to do, as far as locks cannot tell whether they live."""
    folder = incoming(root)
    with os_errors(folder):
        found = [read_intent(folder / f"{token}.json") for token in sorted(_elsewhere(root, _tokens(folder)))]
    return [intent for intent in found if intent is not None]


def _tokens(folder: Path) -> set[str]:
    names = {entry.name.split(".")[0] for entry in folder.iterdir()} if folder.is_dir() else set()
    return {name for name in names if _TOKEN.fullmatch(name)}


def _elsewhere(root: Path, tokens: set[str]) -> set[str]:
    """Return those of ``tokens`` that are young jobs of other machines, where locks do not reach them."""
    if not tokens or locks_are_shared(root):  # nearly always there is no job, and then no mount is looked up
        return set()
    return {token for token in tokens if _young_stranger(incoming(root), token)}


def _young_stranger(folder: Path, token: str) -> bool:
    try:
        owner = folder / f"{token}.owner"
        return owner.read_bytes() != machine_mark().encode() and time.time() - owner.stat().st_mtime < _PATIENCE
    except FileNotFoundError:
        return False  # it ended just now, or was killed before it did anything


def read_intent(path: Path) -> Intent | None:
    """Read an intent; None when there is none, or it names what no job of ours would (never followed)."""
    try:
        data: Any = canonical.parse(path.read_bytes())
        intent = Intent(**data)
        parts = PurePosixPath(intent.target).parts
        whole = parts[:3] == parts or (intent.kind == TAKE_IN and parts[0] == "models" and parts[3:] == ("artefact",))
        fit = (
            len(parts) >= 3
            and whole
            and parts[0] in _AREAS
            and parts[1] == intent.model
            and re.fullmatch(re.escape(intent.version) + r"(~\d+)?", parts[2])
            and all(name.startswith("evidence/") and ".." not in name.split("/") for name in intent.evidence)
        )
    except (FileNotFoundError, ValueError, TypeError, AttributeError):
        return None
    return intent if fit else None


def _plain_parents(root: Path, target: Path) -> None:
    for folder in target.relative_to(root).parents:
        if (root / folder).is_symlink() and folder.parts:
            raise StorageUnexpected(f"{folder}: a symbolic link in the registry is not followed", location=str(folder))
