"""Git repositories read through libgit2, against real ones made with git."""

from __future__ import annotations

import hashlib
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pygit2
import pytest
from repos import commit, git, new_repository, write

from manual_registry.adapters.git import GitRepository
from manual_registry.core.errors import CommitUnknown, NotARepository, ReferenceUnresolved


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with two commits, a tag object, a branch that looks like a commit, and a remote."""
    directory = tmp_path_factory.mktemp("git") / "work tree"
    new_repository(directory, {"train.py": "1\n", "data/größe.csv": "a\n", "data/deep/b.csv": "b\n"})
    commit(directory, {"train.py": "2\n"})
    git(directory, "tag", "-a", "v1", "-m", "one")
    git(directory, "branch", "deadbeef")
    git(directory, "remote", "add", "origin", "https://user:token@example.org/team/churn.git")
    git(directory, "config", "uploadpack.allowFilter", "true")
    return directory


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(made, tmp_path / "copy", symlinks=True))


def test_it_finds_the_repository_from_a_file_or_folder_inside(made: Path) -> None:
    for path in (made, made / "data", made / "train.py", made / "not there"):
        found = GitRepository.discover(path)
        assert found is not None
        assert found.directory.resolve() == made.resolve()


def test_outside_there_is_none_and_open_says_so(tmp_path: Path) -> None:
    assert GitRepository.discover(tmp_path) is None
    with pytest.raises(NotARepository) as caught:
        GitRepository.open(tmp_path)
    assert "--repo" in (caught.value.hint or "")


def test_commits_resolve_from_full_and_short_ids_in_any_case(made: Path) -> None:
    repository = GitRepository.open(made)
    head = git(made, "rev-parse", "HEAD")
    assert repository.head() == head
    for text in (head, head[:7], head.upper(), f" {head[:12]} "):
        assert repository.resolve(text) == head
        assert repository.has(text)
    assert repository.resolve(git(made, "rev-parse", "v1")) == head


@pytest.mark.parametrize("text", ["", "abc", "HEAD", "main", "deadbeef", "f" * 40, "0" * 41, "v1", "HEAD~1", "../x"])
def test_everything_else_is_unknown(made: Path, text: str) -> None:
    repository = GitRepository.open(made)
    assert not repository.has(text)
    with pytest.raises(CommitUnknown):
        repository.resolve(text)


def test_a_file_is_no_commit(made: Path) -> None:
    blob = git(made, "rev-parse", "HEAD:train.py")
    with pytest.raises(CommitUnknown, match="is a blob"):
        GitRepository.open(made).resolve(blob)


def test_an_ambiguous_short_id_is_told_and_a_file_does_not_count(copy: Path) -> None:
    head = git(copy, "rev-parse", "HEAD")
    seen: dict[str, str] = {}
    pair: tuple[str, str] | None = None
    for number in range(2000):
        made = git(copy, "commit-tree", "HEAD^{tree}", "-m", str(number))
        if made[:4] in seen:
            pair = (seen[made[:4]], made)
            break
        seen[made[:4]] = made
    assert pair is not None
    with pytest.raises(CommitUnknown, match="fits 2 commits"):
        GitRepository.open(copy).resolve(pair[0][:4])
    assert GitRepository.open(copy).resolve(head) == head


def test_who_made_it_and_when(made: Path) -> None:
    repository = GitRepository.open(made)
    head = repository.head() or ""
    assert repository.author(head) == ("Ada Lovelace", "ada@example.org")
    assert repository.committed_at(head) == datetime(2026, 11, 21, 10, tzinfo=UTC)


def test_content_of_a_commit(made: Path) -> None:
    repository = GitRepository.open(made)
    first = git(made, "rev-parse", "HEAD~1")
    assert repository.blob(first, "train.py") == (b"1\n", git(made, "rev-parse", "HEAD~1:train.py"))
    assert repository.blob(first, "data") is None
    assert repository.blob(first, "train.py/x") is None
    assert repository.blob(first, "nope") is None
    entry = repository.entry(first, "data/")
    assert entry is not None
    assert (entry.kind, entry.oid) == ("tree", git(made, "rev-parse", "HEAD:data"))
    assert repository.entry(first, "data/größe.csv") is not None
    assert repository.entry(first, "") is None
    assert [file.path for file in repository.files(first)] == [
        "data/deep/b.csv",
        "data/größe.csv",
        "train.py",
    ]
    assert repository.names(first, "data") == ("deep", "größe.csv")
    assert repository.names(first, "") == ("data", "train.py")
    assert repository.names(first, "nope") == repository.names(first, "train.py") == ()


def test_a_dirty_work_tree_is_one_with_changed_tracked_files(copy: Path) -> None:
    repository = GitRepository.open(copy)
    assert not repository.is_dirty()
    write(copy, {"new.txt": "x", "folder/new.txt": "x"})
    assert not repository.is_dirty()
    assert repository.untracked_files() == ("folder/", "new.txt")
    write(copy, {"train.py": "changed\n"})
    (copy / "data/deep/b.csv").unlink()
    assert repository.changed_files() == ("data/deep/b.csv", "train.py")
    git(copy, "add", "-A")
    assert repository.changed_files() == ("data/deep/b.csv", "folder/new.txt", "new.txt", "train.py")


def test_a_checked_out_lfs_file_is_not_taken_for_a_changed_one(tmp_path: Path) -> None:
    content = b"many bytes\n"
    digest = hashlib.sha256(content).hexdigest()
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize 11\n"
    directory = tmp_path / "lfs"
    new_repository(directory, {".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n", "m.bin": pointer})
    repository = GitRepository.open(directory)
    write(directory, {"m.bin": content})
    assert not repository.is_dirty()
    write(directory, {"m.bin": b"other bytes"})
    assert repository.changed_files() == ("m.bin",)


def test_the_remote_without_its_credentials(made: Path, tmp_path: Path) -> None:
    assert GitRepository.open(made).remote_url() == "https://example.org/team/churn.git"
    new_repository(tmp_path / "new")
    fresh = GitRepository.open(tmp_path / "new")
    assert fresh.remote_url() is None
    assert fresh.head() is None


def test_bare_repositories_and_linked_work_trees(made: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--bare", str(made), "bare.git")
    bare = GitRepository.open(tmp_path / "bare.git")
    assert bare.is_bare
    assert not bare.is_dirty()
    assert bare.untracked_files() == ()
    assert bare.blob(bare.head() or "", "train.py") is not None
    git(tmp_path / "bare.git", "worktree", "add", "-q", str(tmp_path / "linked"), "main")
    linked = GitRepository.open(tmp_path / "linked" / "data")
    assert linked.head() == bare.head()
    assert linked.directory.resolve() == (tmp_path / "linked").resolve()
    assert not linked.is_dirty()


def test_a_shallow_clone_says_that_history_was_left_out(made: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--depth", "1", made.as_uri(), "shallow")
    repository = GitRepository.open(tmp_path / "shallow")
    assert repository.is_shallow
    assert repository.has(git(made, "rev-parse", "HEAD"))
    with pytest.raises(CommitUnknown, match="shallow") as caught:
        repository.resolve(git(made, "rev-parse", "HEAD~1"))
    assert "--unshallow" in (caught.value.hint or "")


def test_a_partial_clone_says_that_content_was_left_out(made: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--filter=blob:none", "--no-checkout", made.as_uri(), "partial")
    if hasattr(pygit2.enums.Option, "SET_EXTENSIONS"):
        git(tmp_path / "partial", "config", "extensions.partialClone", "origin")
    repository = GitRepository.open(tmp_path / "partial")
    head = repository.head() or ""
    assert repository.entry(head, "train.py") is not None
    with pytest.raises(ReferenceUnresolved, match="partial clone"):
        repository.blob(head, "train.py")


def test_a_repository_that_libgit2_does_not_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "s256").mkdir()
    git(tmp_path / "s256", "init", "-q", "--object-format=sha256")
    with pytest.raises(NotARepository, match="sha256"):
        GitRepository.discover(tmp_path / "s256")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_repository_of_another_user_tells_the_setting(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(copy.parent))
    for path in (copy, *copy.rglob("*")):
        os.chown(path, 12345, 12345, follow_symlinks=False)
    with pytest.raises(NotARepository, match="another user") as caught:
        GitRepository.discover(copy)
    assert "safe.directory" in (caught.value.hint or "")
