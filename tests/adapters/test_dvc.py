"""DVC references resolved in a commit, against real `dvc add` and `dvc repro`."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest
from repos import commit, dvc, git, new_repository

from manual_registry.adapters.data_references import resolve_reference
from manual_registry.adapters.dvc import resolve, tracked
from manual_registry.adapters.git import GitRepository
from manual_registry.core.errors import BadReference, CommitUnknown, NotARepository, ReferenceUnresolved

PIPELINE = """\
stages:
  prepare:
    wdir: ..
    cmd: mkdir -p prepared && cp data/one.csv prepared/p.csv && cp data/one.csv model.bin
    deps: [data/one.csv, data/raw]
    outs: [prepared, model.bin]
"""


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


@pytest.fixture(scope="module")
def added(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`dvc add` of a file and a directory, with a default remote.

    Then the file changed in a second commit.
    """
    directory = tmp_path_factory.mktemp("dvc") / "added"
    new_repository(directory)
    dvc(directory, "init")
    dvc(directory, "remote", "add", "-d", "store", "https://user:token@example.org/store")
    (directory / "data/raw").mkdir(parents=True)
    (directory / "data/raw/größe.csv").write_text("a\n")
    (directory / "data/raw/b.csv").write_text("b\n")
    (directory / "data/one.csv").write_text("1\n")
    dvc(directory, "add", "data/raw", "data/one.csv")
    commit(directory, {"in_git.csv": "x\n"})
    (directory / "data/one.csv").write_text("22\n")
    dvc(directory, "add", "data/one.csv")
    commit(directory)
    return directory


@pytest.fixture(scope="module")
def reproduced(added: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`dvc repro` of a stage in a subfolder whose `wdir` is the folder above."""
    directory = tmp_path_factory.mktemp("dvc") / "reproduced"
    shutil.copytree(added, directory, symlinks=True)
    (directory / "pipeline").mkdir()
    (directory / "pipeline/dvc.yaml").write_text(PIPELINE)
    dvc(directory, "repro", "pipeline/dvc.yaml")
    commit(directory)
    return directory


def test_a_file_in_two_commits(added: Path) -> None:
    repository = GitRepository.open(added)
    first, second = git(added, "rev-parse", "HEAD~1"), git(added, "rev-parse", "HEAD")
    target = resolve(repository, first, "data/one.csv")
    assert (target.md5, target.size, target.algorithm) == (md5(b"1\n"), 2, "md5")
    assert target.found_in == "data/one.csv.dvc"
    assert target.remote == "https://example.org/store"
    assert resolve(repository, second, "data/one.csv").md5 == md5(b"22\n")


def test_a_directory_and_a_file_in_it(added: Path) -> None:
    repository = GitRepository.open(added)
    head = repository.head() or ""
    whole = resolve(repository, head, "data/raw")
    assert whole.md5.endswith(".dir")
    assert (whole.nfiles, whole.size) == (2, 4)
    inside = resolve(repository, head, "data/raw/größe.csv")
    assert (inside.md5, inside.path) == (whole.md5, "data/raw")


def test_a_file_that_the_cached_listing_lacks(added: Path, tmp_path: Path) -> None:
    head = GitRepository.open(added).head() or ""
    with pytest.raises(ReferenceUnresolved, match=r"no nope\.csv in it"):
        resolve(GitRepository.open(added), head, "data/raw/nope.csv")
    git(tmp_path, "clone", "-q", str(added), "clone")
    elsewhere = GitRepository.open(tmp_path / "clone")
    assert resolve(elsewhere, head, "data/raw/b.csv") == resolve(GitRepository.open(added), head, "data/raw/b.csv")


def test_a_stages_outputs_and_dependencies(reproduced: Path) -> None:
    repository = GitRepository.open(reproduced)
    head = repository.head() or ""
    model = resolve(repository, head, "model.bin")
    assert (model.md5, model.role, model.stage) == (md5(b"22\n"), "out", "prepare")
    assert model.found_in == "pipeline/dvc.lock"
    assert resolve(repository, head, "prepared/p.csv").path == "prepared"
    assert resolve(repository, head, "data/one.csv").found_in == "data/one.csv.dvc"
    assert [target.path for target in tracked(repository, head)] == [
        "data/one.csv",
        "data/raw",
        "model.bin",
        "prepared",
    ]


@pytest.mark.parametrize("path", ["nope.csv", "data", "data/one", "data/one.csv/x/y", "model"])
def test_a_path_that_the_commit_does_not_have(reproduced: Path, path: str) -> None:
    repository = GitRepository.open(reproduced)
    with pytest.raises(ReferenceUnresolved, match=r"no \.dvc file and no dvc\.lock entry"):
        resolve(repository, repository.head() or "", path)


def test_what_git_itself_has_is_suggested(added: Path) -> None:
    repository = GitRepository.open(added)
    head = repository.head() or ""
    with pytest.raises(ReferenceUnresolved, match=f"write git:{head}:in_git.csv"):
        resolve_reference(f"dvc:{head}:in_git.csv", repository)
    with pytest.raises(ReferenceUnresolved, match=f"write dvc:{head}:data/one.csv"):
        resolve_reference(f"git:{head}:data/one.csv", repository)
    with pytest.raises(ReferenceUnresolved, match=f"write dvc:{head}:data/one.csv"):
        resolve_reference(f"dvc:{head}:data/one.csv.dvc", repository)


def test_references_are_recorded_with_the_full_commit(added: Path) -> None:
    repository = GitRepository.open(added)
    head = repository.head() or ""
    found = resolve_reference(f"dvc:{head[:8].upper()}:./data/one.csv", repository)
    assert found.reference == f"dvc:{head}:data/one.csv"
    assert found.hash == md5(b"22\n")
    assert found.detail["size"] == 3
    assert found.detail["remote"] == "https://example.org/store"
    in_git = resolve_reference(f"git:{head[:8]}:in_git.csv", repository)
    assert (in_git.reference, in_git.hash) == (
        f"git:{head}:in_git.csv",
        git(added, "rev-parse", "HEAD:in_git.csv"),
    )
    assert in_git.detail["size"] == 2
    folder = resolve_reference(f"git:{head}:data", repository)
    assert folder.hash == git(added, "rev-parse", "HEAD:data")


def test_references_without_a_repository(added: Path) -> None:
    assert resolve_reference(f"sha256:{'ab' * 32}", None).hash == "ab" * 32
    assert resolve_reference("delta:t@v1", None).hash == hashlib.sha256(b"delta:t@v1").hexdigest()
    with pytest.raises(NotARepository):
        resolve_reference("dvc:0123:x", None)
    with pytest.raises(BadReference):
        resolve_reference("x", None)
    with pytest.raises(CommitUnknown):
        resolve_reference(f"dvc:{'f' * 40}:data/one.csv", GitRepository.open(added))


# -- files that DVC of other versions, or people, write ---------------------------------------------------


def _one(tmp_path: Path, files: dict[str, str | bytes]) -> tuple[GitRepository, str]:
    head = new_repository(tmp_path / "one", files)
    return GitRepository.open(tmp_path / "one"), head


def test_digits_that_yaml_takes_for_a_number(tmp_path: Path) -> None:
    digits, exponent = "12345678901234567890123456789012", "1234567890123456789012345678e012"
    text = f"outs:\n- md5: {digits}\n  path: a\n  hash: md5\n- md5: {exponent}\n  path: b\n  hash: md5\n"
    repository, head = _one(tmp_path, {"x.dvc": text})
    assert resolve(repository, head, "a").md5 == digits
    assert resolve(repository, head, "b").md5 == exponent


def test_hashes_of_other_kinds(tmp_path: Path) -> None:
    text = "outs:\n- {md5: aa, path: old.csv}\n- {etag: '\"x-2\"', path: cloud.csv}\n"
    text += "- {checksum: cc, path: hdfs.csv}\n"
    repository, head = _one(tmp_path, {"x.dvc": text})
    assert resolve(repository, head, "old.csv").algorithm == "md5-dos2unix"
    assert resolve(repository, head, "cloud.csv").algorithm == "etag"
    assert resolve(repository, head, "hdfs.csv").md5 == "cc"


def test_wdir_and_paths_that_lead_out(tmp_path: Path) -> None:
    text = "wdir: ../data\nouts:\n- {md5: aa, path: x.csv}\n- {md5: bb, path: ../../out}\n- {md5: cc, path: s3://b/k}\n"
    repository, head = _one(tmp_path, {"meta/x.dvc": text})
    assert [target.path for target in tracked(repository, head)] == ["data/x.csv"]
    assert resolve(repository, head, "data/x.csv").found_in == "meta/x.dvc"
    with pytest.raises(ReferenceUnresolved):
        resolve(repository, head, "out")


def test_an_import_names_its_source(tmp_path: Path) -> None:
    text = (
        "deps:\n- path: data.csv\n  repo: {url: 'https://u:p@example.org/r.git', rev_lock: abc}\n"
        "outs:\n- {md5: aa, path: data.csv, hash: md5, remote: other}\n"
    )
    config = "[core]\n    remote = store\n['remote \"store\"']\n    url = s3://a\n"
    config += "['remote \"other\"']\n    url = s3://b\n"
    repository, head = _one(tmp_path, {"data.csv.dvc": text, ".dvc/config": config})
    target = resolve(repository, head, "data.csv")
    assert target.source == {"path": "data.csv", "url": "https://example.org/r.git", "commit": "abc"}
    assert target.remote == "s3://b"


def test_a_cloud_versioned_directory_lists_its_files(tmp_path: Path) -> None:
    listed = "outs:\n- path: raw\n  hash: md5\n  files:\n"
    listed += "  - {relpath: b.csv, md5: 26ab0db90d72e28ad0ba1e22ee510510, size: 2}\n"
    listed += "  - {relpath: a.csv, md5: b026324c6904b2a9cb4b88d6d61c81d1, size: 2}\n"
    repository, head = _one(tmp_path, {"raw.dvc": listed})
    assert resolve(repository, head, "raw").md5 == "3b26643f384809b54828e779bb5adf05.dir"
    assert resolve(repository, head, "raw/a.csv").md5 == "b026324c6904b2a9cb4b88d6d61c81d1"


def test_lock_files_that_disagree(tmp_path: Path) -> None:
    lock = "schema: '2.0'\nstages:\n  a:\n    deps:\n    - {path: ../x.csv, md5: %s, hash: md5}\n"
    repository, head = _one(tmp_path, {"p/dvc.lock": lock % "aa", "q/dvc.lock": lock % "bb", "r/dvc.lock": "bad: ["})
    with pytest.raises(ReferenceUnresolved, match="several hashes"):
        resolve(repository, head, "x.csv")


@pytest.mark.parametrize("text", ["outs: [", "- 1\n", "outs: 5\n", "outs: [1]\n", b"\xff\xfe"])
def test_a_file_that_cannot_be_read_is_told_unless_another_answers(tmp_path: Path, text: str | bytes) -> None:
    good = "outs:\n- {md5: aa, path: good.csv, hash: md5}\n"
    repository, head = _one(tmp_path, {"bad.csv.dvc": text, "good.csv.dvc": good})
    assert resolve(repository, head, "good.csv").md5 == "aa"
    with pytest.raises(ReferenceUnresolved, match=r"bad\.csv\.dvc"):
        resolve(repository, head, "bad.csv")
    assert [target.path for target in tracked(repository, head)] == ["good.csv"]
