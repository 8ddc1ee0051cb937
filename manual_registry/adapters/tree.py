"""Looks at what a person hands in: finds its files without following links, and hashes them.

Rules held here (design 3.1): symbolic links, sockets, devices, fifos, empty directories and names that
another system could not keep are refused, all of them told at once; `.DS_Store`, `Thumbs.db`, `desktop.ini`
and `__pycache__` are left out and told. A file is opened without following links and must still be the one
that was seen.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from manual_registry.adapters.files import unreadable
from manual_registry.core.errors import (
    ArtefactMissing,
    ArtefactSpecial,
    ArtefactSymlink,
    BadPath,
    EmptyDirectory,
    RegistryError,
    SourceChanged,
    raise_for,
)
from manual_registry.core.manifest import Content, FileEntry, Kind, content, path_problems, printable
from manual_registry.ports import Progress

_LEFT_OUT_FILES = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
_LEFT_OUT_DIRECTORIES = frozenset({"__pycache__"})
#: Deeper trees are nobody's model, and the recursion here has an end.
_MAX_DEPTH = 100
_MAX_JOBS = 32
#: Files that are smaller than this on average keep Python busy rather than the hashes.
_WORTH_A_THREAD = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """One file as seen: ``path`` relative to the tree, ``where`` to open it, and what must not change."""

    path: str
    where: str
    size: int
    mtime_ns: int
    device: int
    inode: int
    follow: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Walk:
    """What was found; ``problems`` is every reason to refuse it."""

    kind: Kind
    name: str | None
    files: tuple[Source, ...]
    left_out: tuple[str, ...] = ()
    problems: tuple[RegistryError, ...] = ()

    @property
    def size(self) -> int:
        """Bytes in all."""
        return sum(file.size for file in self.files)


@dataclass(kw_only=True)
class _Walker:
    dereference: bool
    leave_out: bool
    files: list[Source] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    problems: list[RegistryError] = field(default_factory=list)

    def directory(self, where: str, prefix: str, ancestors: tuple[tuple[int, int], ...]) -> None:
        try:
            with os.scandir(where) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            self.problems.append(unreadable(error, printable(prefix or where)))
            return
        kept = [entry for entry in entries if not self._leaves_out(entry, prefix)]
        if not kept:
            shown = printable(prefix.rstrip("/") or where)
            self.problems.append(
                EmptyDirectory(f"{shown}: an empty directory; put a file in it or remove it", location=shown)
            )
        for entry in kept:
            try:
                self._entry(entry, prefix + entry.name, ancestors)
            except OSError as error:
                self.problems.append(unreadable(error, printable(prefix + entry.name)))

    def _leaves_out(self, entry: os.DirEntry[str], prefix: str) -> bool:
        if not self.leave_out:
            return False
        is_directory = entry.is_dir(follow_symlinks=False)
        out = entry.name in (_LEFT_OUT_DIRECTORIES if is_directory else _LEFT_OUT_FILES)
        if out:
            self.left_out.append(prefix + entry.name)
        return out

    def _entry(self, entry: os.DirEntry[str], path: str, ancestors: tuple[tuple[int, int], ...]) -> None:
        facts = entry.stat(follow_symlinks=False)
        if stat.S_ISLNK(facts.st_mode):
            target = self._target(entry.path, path)
            if target is None:
                return
            facts = target
        identity = (facts.st_dev, facts.st_ino)
        if not stat.S_ISDIR(facts.st_mode):
            self.file(entry.path, path, facts)
        elif identity in ancestors:
            self._problem(ArtefactSymlink, path, "a symbolic link that leads back to its own directory")
        elif len(ancestors) >= _MAX_DEPTH:
            self._problem(BadPath, path, f"nested deeper than {_MAX_DEPTH} directories")
        else:
            self.directory(entry.path, path + "/", (*ancestors, identity))

    def _target(self, where: str, path: str) -> os.stat_result | None:
        if not self.dereference:
            self._problem(ArtefactSymlink, path, "a symbolic link; --dereference copies what it points to")
            return None
        try:
            return Path(where).stat()
        except OSError:
            self._problem(ArtefactSymlink, path, "a symbolic link that points to nothing")
            return None

    def _problem(self, kind: type[RegistryError], path: str, text: str) -> None:
        shown = printable(path)
        hint = "repeat the command with --dereference" if kind is ArtefactSymlink and "--deref" in text else None
        self.problems.append(kind(f"{shown}: {text}", location=shown, hint=hint))

    def file(self, where: str, path: str, facts: os.stat_result) -> None:
        if not stat.S_ISREG(facts.st_mode):
            self._problem(ArtefactSpecial, path, "a socket, device or fifo; only files and directories are taken")
            return
        self.files.append(
            Source(
                path=path,
                where=where,
                size=facts.st_size,
                mtime_ns=facts.st_mtime_ns,
                device=facts.st_dev,
                inode=facts.st_ino,
                follow=self.dereference,
            )
        )


def walk(path: Path, *, dereference: bool = False, leave_out: bool = True) -> Walk:
    """Find the files of ``path``, a file or a directory; nothing is opened for reading yet.

    Raises ArtefactMissing when it is not there and ArtefactSymlink when it is a link itself; what is wrong
    inside stands in ``problems``. ``leave_out=False`` keeps `.DS_Store` and its like (a stored tree holds
    none).
    """
    facts = _top(path, dereference)
    walker = _Walker(dereference=dereference, leave_out=leave_out)
    directory = stat.S_ISDIR(facts.st_mode)
    if directory:
        walker.directory(str(path), "", ((facts.st_dev, facts.st_ino),))
    else:
        walker.file(str(path), path.name, facts)
    names = path_problems(file.path for file in walker.files)
    return Walk(
        kind="directory" if directory else "file",
        name=None if directory else path.name,
        files=tuple(walker.files),
        left_out=tuple(printable(out) for out in walker.left_out),
        problems=(*walker.problems, *names),
    )


def _top(path: Path, dereference: bool) -> os.stat_result:
    shown = printable(str(path))
    try:
        facts = path.lstat()
        if stat.S_ISLNK(facts.st_mode):
            if not dereference:
                raise ArtefactSymlink(
                    f"{shown}: a symbolic link; --dereference copies what it points to",
                    location=shown,
                    hint="repeat the command with --dereference",
                )
            facts = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise ArtefactMissing(f"{shown}: there is no such file or directory", location=shown) from None
    except OSError as error:
        raise unreadable(error, shown) from error
    except ValueError:
        raise BadPath(f"{shown}: not a path", location=shown) from None
    return facts


@contextmanager
def opened_source(source: Source) -> Iterator[int]:
    """Open ``source`` for reading and give its descriptor.

    Raises SourceChanged when it is not the file that was seen, or is another one afterwards;
    FilesystemUnsuited when it cannot be opened.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (0 if source.follow else os.O_NOFOLLOW)
    shown = printable(source.path)
    try:
        descriptor = os.open(source.where, flags)
    except FileNotFoundError:
        raise _changed(shown) from None
    except OSError as error:
        if Path(source.where).is_symlink() and not source.follow:
            raise _changed(shown) from None
        raise unreadable(error, shown) from error
    try:
        if not _same(source, os.fstat(descriptor)):
            raise _changed(shown)
        yield descriptor
        if not _same(source, os.fstat(descriptor)):
            raise _changed(shown)
    finally:
        os.close(descriptor)


def _same(source: Source, facts: os.stat_result) -> bool:
    return stat.S_ISREG(facts.st_mode) and (
        (source.device, source.inode, source.size, source.mtime_ns)
        == (facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns)
    )


def _changed(shown: str) -> SourceChanged:
    return SourceChanged(f"{shown}: changed while it was being read; repeat when nothing writes to it", location=shown)


def counter(progress: Progress | None, total: int) -> Callable[[int], None] | None:
    """Return a function that adds up bytes and passes the sum on to ``progress``."""
    if progress is None:
        return None
    done = [0]

    def tick(count: int) -> None:
        done[0] += count  # a lost update under --jobs costs a step of the bar, no more
        progress(done[0], total)

    return tick


def hash_tree(
    path: Path,
    *,
    sha256: bool = False,
    jobs: int | None = None,
    progress: Progress | None = None,
    dereference: bool = False,
) -> Content:
    """Hash a person's file or directory: BLAKE3, and SHA-256 when asked; constant memory.

    ``progress`` gets bytes. Raises as :func:`walk`, and every problem inside together.
    """
    found = walk(path, dereference=dereference)
    raise_for(found.problems)
    entries, problems = _hash_all(found, sha256, jobs, progress)
    raise_for(problems)
    return content(found.kind, entries, name=found.name, left_out=found.left_out)


@dataclass(frozen=True, kw_only=True, slots=True)
class Sighting:
    """What lies somewhere, hashed (BLAKE3) to be looked up; ``whole`` is None where no artefact could be equal to it.

    ``problems`` are what could not be hashed, and names that no artefact has.
    """

    kind: Kind
    files: tuple[FileEntry, ...]
    whole: str | None
    problems: tuple[RegistryError, ...]


def sight(path: Path) -> Sighting:
    """Hash a file or folder that is looked up, not taken in: links are followed, names are not judged.

    Raises as :func:`walk` where ``path`` itself is not there or cannot be read.
    """
    found = walk(path, dereference=True)  # what a link on a server points to is what runs there
    files, unread = _hash_all(found, False, None, None)
    if found.kind == "file":
        raise_for((*unread, *(one for one in found.problems if not found.files)))
        return Sighting(kind="file", files=files, whole=files[0].blake3, problems=())
    names = path_problems(file.path for file in files)
    whole = content("directory", files).blake3 if files and not names and not unread else None
    return Sighting(kind=found.kind, files=files, whole=whole, problems=(*unread, *found.problems))


@dataclass(frozen=True, kw_only=True, slots=True)
class Survey:
    """A stored tree as it stands: ``files`` hashed; ``problems`` are what is there and cannot be hashed."""

    files: tuple[FileEntry, ...]
    problems: tuple[RegistryError, ...]


def survey(
    path: Path,
    *,
    hashes: bool = True,
    sha256: bool = False,
    jobs: int | None = None,
    alone: bool = True,
    progress: Progress | None = None,
    leave_out: bool = False,
) -> Survey:
    """Look at a stored directory for `verify`: refuses nothing, leaves nothing out, tells everything.

    ``leave_out`` True passes over `.DS_Store` and its like, as for a person's directory: what stayed where it lay.
    ``hashes=False`` gives names and sizes only. ``alone`` False: others are hashed at the same time, this one by one
    thread. A missing ``path`` is one problem (ArtefactMissing).
    """
    try:
        found = walk(path, leave_out=leave_out)
    except RegistryError as error:
        return Survey(files=(), problems=(error,))
    named = {problem.location for problem in found.problems}
    fit = tuple(file for file in found.files if printable(file.path) not in named)
    if not hashes:
        plain = tuple(FileEntry(path=file.path, size=file.size) for file in fit)
        return Survey(files=plain, problems=found.problems)
    kept = Walk(kind=found.kind, name=found.name, files=fit)
    entries, problems = _hash_all(kept, sha256, jobs if alone else 1, progress, alone=alone)
    return Survey(files=entries, problems=(*found.problems, *problems))


def _hash_all(
    found: Walk, sha256: bool, jobs: int | None, progress: Progress | None, *, alone: bool = True
) -> tuple[tuple[FileEntry, ...], tuple[RegistryError, ...]]:
    from manual_registry.adapters.hashing import BUFFER, read_through

    tick = counter(progress, found.size)
    count = workers(jobs, sha256, [file.size for file in found.files])
    buffer = BUFFER if alone and count == 1 else BUFFER // 2

    def one(source: Source) -> FileEntry | RegistryError:
        try:
            with opened_source(source) as descriptor:
                done = read_through(descriptor, sha256=sha256, tick=tick, buffer=buffer, alone=alone and count == 1)
        except RegistryError as error:
            return error
        except OSError as error:
            return unreadable(error, printable(source.path))
        return FileEntry(path=source.path, size=done.size, blake3=done.blake3, sha256=done.sha256)

    results = _map(one, found.files, count)
    entries = tuple(result for result in results if isinstance(result, FileEntry))
    return entries, tuple(result for result in results if isinstance(result, RegistryError))


def workers(jobs: int | None, sha256: bool, sizes: Sequence[int]) -> int:
    """Return how many files (or directories) of ``sizes`` bytes to hash at once; 1: all cores on each in turn.

    Several at once is quicker, since each then stays with one core, unless one outweighs the others. ``jobs`` is what
    the user asked for.
    """
    if jobs is None:
        whole, largest, cores = sum(sizes), max(sizes, default=0), os.cpu_count() or 1
        outweighs = largest > 0.7 * whole if sha256 else largest * cores > 1.25 * whole
        if outweighs or whole < len(sizes) * _WORTH_A_THREAD:
            return 1
        jobs = cores
    return max(1, min(jobs, len(sizes), _MAX_JOBS))


def _map(
    function: Callable[[Source], FileEntry | RegistryError], sources: tuple[Source, ...], count: int
) -> list[FileEntry | RegistryError]:
    if count == 1:
        return [function(source) for source in sources]
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(function, sources))
