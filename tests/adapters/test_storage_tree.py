"""What may be registered: real links, sockets, fifos, odd names, swaps between look and open."""

from __future__ import annotations

import errno
import hashlib
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from blake3 import blake3

from manual_registry.adapters import tree
from manual_registry.core.errors import (
    ArtefactMissing,
    ArtefactSpecial,
    ArtefactSymlink,
    BadPath,
    EmptyDirectory,
    FilesystemUnsuited,
    PathCollision,
    Refused,
    RegistryError,
    SourceChanged,
)
from manual_registry.core.manifest import compare


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "weights.bin").write_bytes(b"w" * 3_000_000)
    (folder / "deep" / "er" / "größe 日本.txt").write_text("naïve")
    (folder / "empty.txt").touch()
    return folder


def codes(error: RegistryError) -> set[type[RegistryError]]:
    return {type(cause) for cause in error.reasons}


def test_file(tmp_path: Path) -> None:
    path = tmp_path / "m.pkl"
    path.write_bytes(b"abc")
    made = tree.hash_tree(path, sha256=True)
    assert (made.kind, made.name, made.size) == ("file", "m.pkl", 3)
    assert made.blake3 == blake3(b"abc").hexdigest()
    assert made.sha256 == hashlib.sha256(b"abc").hexdigest()


@pytest.mark.parametrize("jobs", [None, 1, 3])
@pytest.mark.parametrize("sha256", [False, True])
def test_directory(model: Path, jobs: int | None, sha256: bool) -> None:
    seen: list[tuple[int, int]] = []
    made = tree.hash_tree(model, sha256=sha256, jobs=jobs, progress=lambda done, total: seen.append((done, total)))
    assert [file.path for file in made.files] == ["deep/er/größe 日本.txt", "empty.txt", "weights.bin"]
    assert made.files[2].blake3 == blake3(b"w" * 3_000_000).hexdigest()
    assert (made.files[2].sha256 is None) is not sha256
    assert seen[-1] == (3_000_006, 3_000_006)


def test_same_hash_as_b3sum(model: Path) -> None:
    lines = "".join(f"{file.blake3}  {file.path}\n" for file in tree.hash_tree(model).files)
    try:
        done = subprocess.run(["b3sum", "-c", "-"], input=lines, text=True, cwd=model, capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("b3sum is not installed")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("kind", ["file", "dir", "dangling", "top"])
def test_links_are_refused(model: Path, kind: str, tmp_path: Path) -> None:
    target = {"file": "weights.bin", "dir": "deep", "dangling": "nowhere", "top": "model"}[kind]
    link = (tmp_path if kind == "top" else model) / "link"
    link.symlink_to(target)
    with pytest.raises(ArtefactSymlink) as caught:
        tree.hash_tree(link if kind == "top" else model)
    assert "dereference" in caught.value.message


def test_dereference_copies_what_they_point_to(model: Path, tmp_path: Path) -> None:
    (tmp_path / "outside.txt").write_text("outside")
    (model / "link").symlink_to(tmp_path / "outside.txt")
    (model / "again").symlink_to("deep")
    paths = [file.path for file in tree.hash_tree(model, dereference=True).files]
    assert "link" in paths
    assert "again/er/größe 日本.txt" in paths
    (tmp_path / "top").symlink_to("model")
    assert tree.hash_tree(tmp_path / "top", dereference=True) == tree.hash_tree(model, dereference=True)


def test_dereference_refuses_loops_and_nothing(model: Path) -> None:
    (model / "deep" / "loop").symlink_to("..")
    (model / "self").symlink_to("self")
    with pytest.raises(Refused) as caught:
        tree.hash_tree(model, dereference=True)
    assert codes(caught.value) == {ArtefactSymlink}
    assert {cause.location for cause in caught.value.reasons} == {"deep/loop", "self"}


@pytest.fixture
def special(model: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    os.mkfifo(model / "fifo")
    monkeypatch.chdir(model)  # the path of a socket has 108 bytes
    with socket.socket(socket.AF_UNIX) as made:
        made.bind("socket")
        yield model


def test_sockets_and_fifos(special: Path) -> None:
    with pytest.raises(Refused) as caught:
        tree.hash_tree(special)
    assert codes(caught.value) == {ArtefactSpecial}
    for name in ("fifo", "socket"):
        with pytest.raises(ArtefactSpecial):
            tree.hash_tree(special / name)
    with pytest.raises(ArtefactSpecial):
        tree.hash_tree(Path("/dev/null"))


def test_bad_names_all_at_once(model: Path) -> None:
    for name in (b"50%", b"a\\b", b"tab\t", b"\xff\xfe", b"e\xcc\x81", b"aux.txt", b"Weights.bin"):
        (model / os.fsdecode(name)).touch()
    (model / "void").mkdir()
    with pytest.raises(Refused) as caught:
        tree.hash_tree(model)
    assert codes(caught.value) == {BadPath, PathCollision, EmptyDirectory}
    assert len(caught.value.reasons) == 8
    for cause in caught.value.reasons:
        f"{cause.message} {cause.location}".encode()


def test_left_out_and_told(model: Path) -> None:
    for name in (".DS_Store", "Thumbs.db", "deep/desktop.ini"):
        (model / name).touch()
    (model / "__pycache__").mkdir()
    (model / "__pycache__" / "x.pyc").touch()
    made = tree.hash_tree(model)
    assert set(made.left_out) == {".DS_Store", "Thumbs.db", "deep/desktop.ini", "__pycache__"}
    assert len(made.files) == 3
    assert {difference.path for difference in compare(made.files, tree.survey(model).files)} == {
        ".DS_Store",
        "Thumbs.db",
        "deep/desktop.ini",
        "__pycache__/x.pyc",
    }


def test_a_directory_of_left_out_files_is_empty(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / ".DS_Store").touch()
    with pytest.raises(EmptyDirectory):
        tree.hash_tree(tmp_path / "m")


@pytest.mark.parametrize("path", ["nowhere", "model/weights.bin/x"])
def test_missing(model: Path, path: str) -> None:
    with pytest.raises(ArtefactMissing):
        tree.hash_tree(model.parent / path)


def test_nul_in_a_path() -> None:
    with pytest.raises(BadPath):
        tree.hash_tree(Path("a\0b"))


def test_too_deep(tmp_path: Path) -> None:
    deep = tmp_path.joinpath("m", *["d"] * 150)
    deep.mkdir(parents=True)
    (deep / "f").touch()
    with pytest.raises(BadPath):
        tree.hash_tree(tmp_path / "m")


def test_unreadable(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open

    def refuse(path: str, flags: int, *rest: int) -> int:
        if str(path).endswith("weights.bin"):
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(path, flags, *rest)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(FilesystemUnsuited) as caught:
        tree.hash_tree(model)
    assert caught.value.location == "weights.bin"


@pytest.mark.parametrize("swap", ["link", "fifo", "other", "gone", "longer"])
def test_swap_between_look_and_open(model: Path, swap: str) -> None:
    source = next(file for file in tree.walk(model).files if file.path == "weights.bin")
    path = model / "weights.bin"
    if swap != "longer":
        path.rename(model / "kept")
    match swap:
        case "link":
            path.symlink_to("kept")
        case "fifo":
            os.mkfifo(path)
        case "other":
            path.write_bytes(b"w" * 3_000_000)
        case "longer":
            path.write_bytes(b"w" * 3_000_001)
    with pytest.raises(SourceChanged), tree.opened_source(source):
        pass


def test_change_while_reading(model: Path) -> None:
    source = next(file for file in tree.walk(model).files if file.path == "weights.bin")
    with pytest.raises(SourceChanged), tree.opened_source(source):
        (model / "weights.bin").write_bytes(b"new")


def test_survey_tells_everything_and_refuses_nothing(special: Path) -> None:
    (special / "link").symlink_to("weights.bin")
    (special / "void").mkdir()
    found = tree.survey(special)
    assert {type(problem) for problem in found.problems} == {ArtefactSpecial, ArtefactSymlink, EmptyDirectory}
    assert len(found.files) == 3
    names = tree.survey(special, hashes=False)
    assert compare(found.files, names.files) == ()
    assert all(file.blake3 is None for file in names.files)
    assert isinstance(tree.survey(special / "nowhere").problems[0], ArtefactMissing)
