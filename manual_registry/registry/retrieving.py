"""One archived version had back for a drill: copied as `fetch` copies, and looked at as `verify` looks (clause RP-8, RP-23).

Rules held here: what came is judged by the code that judges the registry, on a copy that is laid out like it, so that every
problem is told at its place there. A version that was moved on by another command meanwhile is tried again.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from manual_registry.core import drills, signed_copies
from manual_registry.core.errors import (
    ApprovalCopyDiffers,
    ArtefactChanged,
    ArtefactGone,
    ArtefactSymlink,
    BagInvalid,
    RegistryError,
    Unavailable,
)
from manual_registry.core.ledger import LARGEST
from manual_registry.core.manifest import content, printable
from manual_registry.core.results import Severity
from manual_registry.registry.auditing import audit_storage
from manual_registry.registry.drilled import Outcome, Problem
from manual_registry.registry.looking import artefact_path

if TYPE_CHECKING:
    from manual_registry.core.manifest import FileEntry
    from manual_registry.core.state import State, VersionState
    from manual_registry.ports import Progress
    from manual_registry.registry.workspace import Loaded, Workspace

#: How often a version that was moved on while it was copied is tried again.
_ATTEMPTS = 3


_LINK = "a symbolic link, which is not followed"


def size(record: VersionState) -> int:
    """Return how many bytes a version is, its evidence included; lists and tag files left out."""
    return int(record.data["artefact"]["size"]) + sum(int(one["size"]) for one in record.evidence)


class Bar:
    """The progress of a whole drill: each version is copied, then hashed."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress, self._total, self._before = progress, total, 0

    def part(self, size: int) -> Progress:
        """Return the progress of a part of ``size`` bytes, which begins where the part before ended."""
        start, self._before = self._before, self._before + size

        def step(done: int, _all: int) -> None:
            if self._progress is not None:
                self._progress(min(start + min(done, size), self._total), self._total)

        return step


class Trial:
    """One version, had back below ``place``."""

    def __init__(self, work: Workspace, loaded: Loaded, record: VersionState, place: Path, bar: Bar) -> None:
        self._work, self._loaded, self._place, self._bar = work, loaded, place, bar
        self._name = record.model, record.version

    def outcome(self) -> Outcome:
        """Have it back; once more where another command moved it on meanwhile."""
        began = time.monotonic()
        for attempt in range(1, _ATTEMPTS + 1):
            record = self._loaded.state.versions[self._name]
            found = self._once(record)
            if found.ok or attempt == _ATTEMPTS or not self._moved_on(record):
                break
        found.milliseconds = round((time.monotonic() - began) * 1000)
        return found

    def _moved_on(self, record: VersionState) -> bool:
        """Load the ledger again; tell whether it says more of the version than it did."""
        self._loaded = self._work.load()
        return self._loaded.state.versions[self._name].event_seqs != record.event_seqs

    def _once(self, record: VersionState) -> Outcome:
        from manual_registry.adapters import remover
        from manual_registry.adapters.files import os_errors

        found = Outcome(model=record.model, version=record.version, place=drills.place(record))
        home = self._place / remover.temporary_name("version")
        try:
            files = self._bring(record, home, found)
            found.files, found.bytes = len(files), sum(one.size for one in files)
            if files:
                self._judge(record, home, files, found)
        finally:
            with os_errors(home):
                remover.discard_temporary(home)
        return found

    # -- bringing -----------------------------------------------------------------------------------------

    def _bring(self, record: VersionState, home: Path, found: Outcome) -> list[FileEntry]:
        """Copy the version into ``home``, laid out as in the registry; nothing (told) where its files do not come whole."""
        came: list[FileEntry] = []
        whole, step = True, self._bar.part(size(record))
        for source, target, place in self._parts(record):
            before = len(found.problems)
            if source.is_symlink() or not os.path.lexists(source):
                kind = BagInvalid if record.bag else ArtefactGone
                what = _LINK if source.is_symlink() else "missing"
                found.problems.append(_problem(kind.code, place, f"{place} is {what}"))
            else:
                try:
                    came += _copied(source, home / target, target, step)
                except Unavailable:  # the place for the copies, not the archive
                    raise
                except RegistryError as problem:
                    found.problems += _told(problem, place)
            # Without the copies of its approvals the version itself can still be looked at.
            whole = whole and (len(found.problems) == before or target.startswith("approvals/"))
        return came if whole else []

    def _parts(self, record: VersionState) -> Iterator[tuple[Path, str, str]]:
        """Yield what is to be copied: from where, to where below the temporary root, and its place for messages."""
        root = self._work.root
        directory = record.bag or f"models/{record.model}/{record.version}"
        yield root / directory, directory, directory
        if record.location is not None:  # what was adopted in place lies elsewhere, its lists and papers here
            yield artefact_path(self._work, record), f"{directory}/artefact", record.location
        approvals = f"approvals/{record.model}/{record.version}"
        if not _empty(root / approvals):
            yield root / approvals, approvals, approvals

    # -- judging ------------------------------------------------------------------------------------------

    def _judge(self, record: VersionState, home: Path, files: list[FileEntry], found: Outcome) -> None:
        """Look at what came as `verify` looks at it in the registry; every problem is told at its place there."""
        state = self._loaded.state
        here = replace(record, location=None, bags=record.bags[-1:] if record.bag else [])
        looked = audit_storage(
            self._work.at(home),
            state,
            [here],
            whole=False,
            quick=False,
            both=True,
            jobs=None,
            progress=self._bar.part(size(record)),
        )
        found.problems += [
            _problem(one.code, _where(record, one.location), one.message)
            for one in looked.findings
            if one.severity is Severity.ERROR
        ]
        found.blake3 = _whole(record, files, found)
        found.problems += self._record_problems(record, home)
        found.problems += self._copies(state, record, home)

    def _record_problems(self, record: VersionState, home: Path) -> Iterator[Problem]:
        """record.json must be read by a person's tools too; that it says what the ledger says was looked at already."""
        place = f"{_directory(record)}/record.json"
        try:
            if (home / place).stat().st_size > LARGEST:
                return  # told: it is not what was written
            read_back = json.loads((home / place).read_bytes())
            if (read_back["model"], read_back["version"]) != (record.model, record.version):
                raise ValueError("it is about another version")
        except FileNotFoundError:
            return  # told
        except (ValueError, KeyError, TypeError, RecursionError) as why:
            yield _problem(ArtefactChanged.code, place, f"cannot be read: {why}")

    def _copies(self, state: State, record: VersionState, home: Path) -> Iterator[Problem]:
        """The copies of its approvals: as in the ledger, each signed with the key that the roster had for it then."""
        known: set[str] = set()
        for copy in signed_copies.of_version(state, record, self._loaded.events):
            known |= copy.files().keys()
            gone = [path for path in copy.files() if not (home / path).is_file()]
            if gone:  # `verify` warns of it, too: the ledger has what they say
                self._work.warn(*(f"{path} is missing; the ledger has it" for path in gone))
                continue
            statement, signature = (_read(home / path, data) for path, data in copy.files().items())
            bad = copy.problem(statement, signature)
            if bad is not None:
                yield _problem(bad.code, bad.location or copy.path, bad.message)
        folder = home / "approvals"
        for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
            place = path.relative_to(home).as_posix()
            if path.is_file() and place not in known and ".mreg-tmp-" not in place:
                yield _problem(ApprovalCopyDiffers.code, place, f"{place} is not in the ledger")


def _directory(record: VersionState) -> str:
    return f"{record.bag}/data" if record.bag else f"models/{record.model}/{record.version}"


def _empty(directory: Path) -> bool:
    """Tell whether there is no directory, or nothing in it; one that cannot be read is told by copying it."""
    try:
        return not directory.is_symlink() and (not directory.is_dir() or not any(directory.iterdir()))
    except OSError:
        return False


def _copied(source: Path, into: Path, target: str, step: Progress) -> Iterator[FileEntry]:
    """Copy ``source`` and yield its files, with their path below the temporary root."""
    from manual_registry.adapters.copying import copy_verified
    from manual_registry.adapters.files import os_errors

    with os_errors(into):
        into.mkdir(parents=True)
    copied = copy_verified(source, into, leave_out=target.endswith("/artefact"), progress=step)
    for one in copied.files:
        yield replace(one, path=f"{target}/{one.path}")


def _read(path: Path, like: bytes) -> bytes:
    """Return the bytes of a small file that should be ``like``; one of another size, whatever it is, is not read."""
    return path.read_bytes() if path.stat().st_size == len(like) else b""


def _where(record: VersionState, location: str) -> str:
    """Return the place in the registry of what was found in the copy: the same, but for what was adopted in place."""
    copied = f"models/{record.model}/{record.version}/artefact"
    if record.location is None or not location.startswith(copied):
        return location
    single = record.data["artefact"]["kind"] == "file"
    return record.location if single else record.location + location.removeprefix(copied)


def _whole(record: VersionState, files: list[FileEntry], found: Outcome) -> str | None:
    """Return the BLAKE3 of what came as a whole, hashed while it was copied; both hashes must be the ledger's."""
    prefix = f"{_directory(record)}/artefact/"
    inner = [replace(one, path=one.path.removeprefix(prefix)) for one in files if one.path.startswith(prefix)]
    kind = record.data["artefact"]["kind"]
    try:
        made = content("directory" if kind == "file" and len(inner) != 1 else kind, inner)
    except RegistryError:
        return None  # told, file by file
    if not found.problems and (made.blake3, made.sha256) != (record.blake3, record.sha256):
        found.problems.append(_problem(ArtefactChanged.code, prefix.rstrip("/"), "not the content that was registered"))
    return made.blake3


def _problem(code: str, location: str, message: str) -> Problem:
    return Problem(code=code, location=printable(location), message=printable(message))


def _told(problem: RegistryError, place: str) -> Iterator[Problem]:
    """Say what refused the copy: at its place below the root."""
    for one in problem.reasons:
        where = one.location or ""
        inner = f"{place}/{where}" if where and not Path(where).is_absolute() else place
        told = one.message.removeprefix(f"{where}: ")
        yield _problem(one.code, inner, _LINK if isinstance(one, ArtefactSymlink) else told)
