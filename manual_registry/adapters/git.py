"""Git repositories, read through libgit2: no git binary is needed and nothing is ever written.

Rules held here: a commit is named by its hex id only (branches and tags move); full ids are 40 lower-case
characters; what this clone does not hold (shallow, partial) is told as such and never taken for "the commit
does not have it".
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from manual_registry.adapters.hashing import file_sha256
from manual_registry.core.errors import CommitUnknown, NotARepository, ReferenceUnresolved
from manual_registry.core.references import without_credentials

if TYPE_CHECKING:
    import pygit2

_HEX = re.compile(r"[0-9a-f]{4,40}")
_LFS = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\n(?:.*\n)*?oid sha256:([0-9a-f]{64})\nsize ([0-9]+)\n?"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class GitEntry:
    """What a path is in a commit: ``kind`` is blob, tree, or commit (a submodule).

    ``oid`` 40 hex characters.
    """

    kind: str
    oid: str
    path: str


class GitRepository:
    """One repository: a work tree, a linked work tree, or a bare one."""

    def __init__(self, repository: pygit2.Repository) -> None:
        """Wrap an opened repository; use :meth:`open` or :meth:`discover`."""
        self._repository = repository

    @classmethod
    def open(cls, path: Path) -> GitRepository:
        """Open the repository at ``path`` or above it; raises :class:`NotARepository`."""
        found = cls.discover(path)
        if found is None:
            raise NotARepository(
                f"{path} is not in a git repository",
                location=str(path),
                hint="name the repository with --repo DIR",
            )
        return found

    @classmethod
    def discover(cls, path: Path) -> GitRepository | None:
        """Return the repository that ``path`` (a file or directory) lies in, or None.

        Raises :class:`NotARepository` where there is one that git itself would refuse: another owner, an
        object format or extension that libgit2 does not read.
        """
        import pygit2

        start = path if path.is_dir() else path.parent
        try:
            found = pygit2.discover_repository(str(start.absolute()))
            if found is None:
                return None
            _know_partial_clones()
            return cls(pygit2.Repository(found))
        except (pygit2.GitError, KeyError, ValueError, OSError) as error:
            raise _not_opened(path, str(error)) from error

    @property
    def directory(self) -> Path:
        """The top of the work tree; of a bare repository its own directory."""
        return Path(self._repository.workdir or self._repository.path)

    @property
    def is_bare(self) -> bool:
        """True when there is no work tree."""
        return bool(self._repository.is_bare)

    @property
    def is_shallow(self) -> bool:
        """True when older history was left out of this clone."""
        return bool(self._repository.is_shallow)

    # -- commits ------------------------------------------------------------------------------------------

    def resolve(self, text: str) -> str:
        """Return the full id of the commit that ``text`` names: 4 to 40 hex characters, a tag object's too.

        Raises :class:`CommitUnknown`: not hex, unknown here, several fit, or not a commit.
        """
        lowered = text.strip().lower()
        if not _HEX.fullmatch(lowered):
            raise CommitUnknown(
                f"{text!r} is not a commit id (4 to 40 hex characters; branches and tags move)",
                location="commit",
                hint=self._git(f"rev-parse {text.strip() or 'HEAD'}"),
            )
        return str(self._commit(lowered).id)

    def has(self, commit: str) -> bool:
        """Tell whether the full or short ``commit`` is here."""
        try:
            self.resolve(commit)
        except CommitUnknown:
            return False
        return True

    def head(self) -> str | None:
        """Return the full id of the commit that is checked out; None before the first commit."""
        import pygit2

        try:
            return str(self._repository.head.peel(pygit2.Commit).id)
        except (pygit2.GitError, KeyError):
            return None

    def author(self, commit: str) -> tuple[str, str]:
        """Return the author's (name, e-mail address) as the commit states them; a claim, not a proof."""
        signature = self._commit(commit).author
        return signature.raw_name.decode("utf-8", "replace"), signature.raw_email.decode("utf-8", "replace")

    def committed_at(self, commit: str) -> datetime:
        """Return when the commit was made, in UTC.

        Raises :class:`CommitUnknown` for a time beyond the calendar.
        """
        try:
            return datetime.fromtimestamp(self._commit(commit).commit_time, UTC)
        except (ValueError, OverflowError, OSError):
            raise CommitUnknown(f"commit {commit} states a time that no calendar has", location="commit") from None

    def _commit(self, text: str) -> pygit2.Commit:
        import pygit2

        try:
            found = self._repository[text]
        except KeyError:
            raise self._unknown(text) from None
        except ValueError as error:
            found = self._only_commit(text, str(error))
        except pygit2.GitError as error:
            raise CommitUnknown(
                f"commit {text} cannot be read in {self.directory}: {error}", location="commit"
            ) from error
        try:
            return found.peel(pygit2.Commit)
        except (pygit2.GitError, KeyError, ValueError):
            raise CommitUnknown(
                f"{text} is a {found.type_str} in {self.directory}, not a commit",
                location="commit",
                hint="git log --oneline",
            ) from None

    def _only_commit(self, text: str, error: str) -> pygit2.Object:
        """A short id may fit a file too; like git, take the commit when exactly one of them is one."""
        import pygit2

        fitting = [str(oid) for oid in self._repository.odb if str(oid).startswith(text)]
        commits = [oid for oid in fitting if self._repository[oid].type == pygit2.enums.ObjectType.COMMIT]
        if len(commits) == 1:
            return self._repository[commits[0]]
        if not commits:
            raise CommitUnknown(f"commit {text} is not in {self.directory} ({error})", location="commit")
        listed = ", ".join(sorted(commits)[:5])
        raise CommitUnknown(
            f"commit {text} fits {len(commits)} commits in {self.directory} ({listed}); write more of it",
            location="commit",
        )

    def _git(self, command: str) -> str:
        """Return a command to type about this repository."""
        return f"git -C {shlex.quote(str(self.directory))} {command}"

    def _unknown(self, text: str) -> CommitUnknown:
        if self.is_shallow:
            return CommitUnknown(
                f"commit {text} is not in {self.directory}, which is a shallow clone",
                location="commit",
                hint=self._git("fetch --unshallow"),
            )
        return CommitUnknown(
            f"commit {text} is not in {self.directory}",
            location="commit",
            hint=self._git("fetch --all"),
        )

    # -- content ------------------------------------------------------------------------------------------

    def entry(self, commit: str, path: str) -> GitEntry | None:
        """Return what ``path`` (POSIX, from the top) is in ``commit``.

        None when the commit does not have it.
        """
        wanted = path.strip("/")
        if not wanted:
            return None
        found = self._found(self._commit(commit).tree, wanted)
        return GitEntry(kind=found.type_str or "commit", oid=str(found.id), path=wanted) if found else None

    def _found(self, tree: pygit2.Tree, path: str) -> pygit2.Object | None:
        try:
            return tree[path]
        except (KeyError, ValueError):
            return None

    def blob(self, commit: str, path: str) -> tuple[bytes, str] | None:
        """Return (bytes, object id) of the file ``path`` in ``commit``; None when it has no such file.

        Raises :class:`ReferenceUnresolved` when the commit lists the file and this (partial) clone lacks its
        content.
        """
        import pygit2

        found = self.entry(commit, path)
        if found is None or found.kind != "blob":
            return None
        try:
            return bytes(self._repository[found.oid].read_raw()), found.oid
        except (KeyError, ValueError, pygit2.GitError):
            raise ReferenceUnresolved(
                f"{path} is in commit {commit}, its content is not in this partial clone ({self.directory})",
                location=path,
                hint=self._git(f"cat-file -p {found.oid}"),
            ) from None

    def names(self, commit: str, folder: str) -> tuple[str, ...]:
        """Return the names directly in ``folder`` ('' is the top) of ``commit``.

        Empty when it has no such folder.
        """
        import pygit2

        tree = self._commit(commit).tree
        found = tree if folder.strip("/") in ("", ".") else self._found(tree, folder.strip("/"))
        if not isinstance(found, pygit2.Tree):
            return ()
        return tuple((item.raw_name or b"").decode("utf-8", "surrogateescape") for item in found)

    def files(self, commit: str) -> Iterator[GitEntry]:
        """Yield every file of ``commit``, subdirectories included, in git's order.

        Submodules are not entered.
        """
        yield from self._walk(self._commit(commit).tree, "")

    def _walk(self, tree: pygit2.Tree, prefix: str) -> Iterator[GitEntry]:
        import pygit2

        for item in tree:
            path = prefix + (item.raw_name or b"").decode("utf-8", "surrogateescape")
            if item.type_str == "tree":
                yield from self._walk(self._repository[item.id].peel(pygit2.Tree), path + "/")
            elif item.type_str == "blob":
                yield GitEntry(kind="blob", oid=str(item.id), path=path)

    # -- the work tree ------------------------------------------------------------------------------------

    def changed_files(self) -> tuple[str, ...]:
        """Return the tracked files that were modified, staged or deleted since the commit checked out."""
        if self.is_bare:
            return ()
        status = self._repository.status(untracked_files="no")
        return tuple(sorted(path for path, flags in status.items() if not self._is_lfs_copy(path, int(flags))))

    def is_dirty(self) -> bool:
        """Tell whether a tracked file differs from the commit checked out; untracked files do not count."""
        return bool(self.changed_files())

    def untracked_files(self) -> tuple[str, ...]:
        """Return what is neither tracked nor ignored.

        A directory without tracked files as one path ending in ``/``.
        """
        import pygit2

        if self.is_bare:
            return ()
        status = self._repository.status(untracked_files="normal")
        return tuple(sorted(path for path, flags in status.items() if int(flags) & pygit2.enums.FileStatus.WT_NEW))

    def _is_lfs_copy(self, path: str, flags: int) -> bool:
        """libgit2 runs no LFS filter and so takes a checked-out LFS file for a changed one.

        Compare it ourselves.
        """
        import pygit2

        modified = pygit2.enums.FileStatus.WT_MODIFIED
        if flags & ~modified or self._repository.get_attr(path, "filter") != "lfs":
            return False
        pointer = lfs_pointer(bytes(self._repository[self._repository.index[path].id].read_raw()))
        return pointer is not None and file_sha256(self.directory / path) == pointer[0]

    # -- where it came from -------------------------------------------------------------------------------

    def remote_url(self) -> str | None:
        """Return the address of ``origin`` (else of the first remote) without credentials.

        None without remotes.
        """
        urls = {remote.name: remote.url for remote in self._repository.remotes if remote.url}
        url = urls.get("origin") or next(iter(urls.values()), None)
        return without_credentials(url) if url else None


def lfs_pointer(content: bytes) -> tuple[str, int] | None:
    """Return (SHA-256 hex, size) when ``content`` is a Git LFS pointer, else None."""
    match = _LFS.fullmatch(content) if len(content) < 1024 else None
    return (match[1].decode("ascii"), int(match[2])) if match else None


def _know_partial_clones() -> None:
    """Tell libgit2 that it may read partial clones; :meth:`GitRepository.blob` answers for what they lack."""
    import pygit2

    option = pygit2.enums.Option
    if not hasattr(option, "SET_EXTENSIONS"):  # an older pygit2 refuses such clones, told by _not_opened
        return
    if "partialclone" not in pygit2.option(option.GET_EXTENSIONS):
        pygit2.option(option.SET_EXTENSIONS, ["partialclone"], 1)


def _not_opened(path: Path, error: str) -> NotARepository:
    if "not owned" in error:
        owned = re.search(r"repository path '([^']+)'", error)
        place = (owned[1] if owned else str(path)).rstrip("/")
        return NotARepository(
            f"{place} belongs to another user, and git reads such a repository only when told to",
            location=str(path),
            hint=f"git config --global --add safe.directory {shlex.quote(place)}",
        )
    return NotARepository(f"{path}: git cannot open this repository: {error}", location=str(path))
