"""Staging, placing, attaching and fetching, on a real file system, with real disk-full and real interruptions."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from blake3 import blake3

from manual_registry.adapters import copying, tree
from manual_registry.adapters.storage import LocalStorage
from manual_registry.core.errors import (
    ArtefactChanged,
    ArtefactSpecial,
    BadPath,
    CopyDiffers,
    DestinationTaken,
    DiskFull,
    FileUnknown,
    RegistryError,
    SourceChanged,
    StorageReadOnly,
    StorageUnexpected,
    UsageError,
    VersionUnknown,
)
from manual_registry.core.manifest import Content


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    root = tmp_path / "registry"
    root.mkdir()
    return LocalStorage(root)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    (folder / "tokenizer").mkdir(parents=True)
    (folder / "model.bin").write_bytes(os.urandom(5_000_000))
    (folder / "empty").touch()
    (folder / "tokenizer" / "wörter 語.txt").write_text("ä")
    (folder / ".DS_Store").touch()
    return folder


def place(storage: LocalStorage, source: Path, model: str = "m", version: str = "1") -> Content:
    with storage.stage(source) as staged:
        staged.place(model, version)
        staged.finish()
    return staged.content


def nothing_half(storage: LocalStorage) -> bool:
    folder = storage.root / "models" / ".incoming"
    return not folder.exists() or not [path for path in folder.iterdir() if path.name != ".lock"]


def test_a_directory_in_place(storage: LocalStorage, source: Path) -> None:
    seen: list[tuple[int, int]] = []
    with storage.stage(source, progress=lambda done, total: seen.append((done, total))) as staged:
        staged.write("record.json", b"{}\n")
        path = staged.place("m", "1.0+a")
        staged.finish()
    assert path == storage.version_dir("m", "1.0+a")
    assert staged.content == tree.hash_tree(source, sha256=True)
    assert staged.content.left_out == (".DS_Store",)
    assert tree.survey(path / "artefact", sha256=True).files == tuple(staged.content.files)
    assert sorted(found.name for found in path.iterdir()) == ["B3SUMS", "SHA256SUMS", "artefact", "record.json"]
    assert seen[-1] == (5_000_002, 5_000_002)
    assert nothing_half(storage)
    assert storage.protection(path) == "advisory"
    for found in path.rglob("*"):
        assert stat.S_IMODE(found.stat().st_mode) == (0o555 if found.is_dir() else 0o444)


@pytest.mark.parametrize("tool", ["sha256sum", "b3sum"])
def test_other_tools_agree_there_and_in_a_copy(storage: LocalStorage, source: Path, tool: str, tmp_path: Path) -> None:
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    place(storage, source)
    shutil.copytree(storage.version_dir("m", "1"), tmp_path / "copy")
    sums = {"sha256sum": "SHA256SUMS", "b3sum": "B3SUMS"}[tool]
    for folder in (storage.version_dir("m", "1"), tmp_path / "copy"):
        subprocess.run([tool, "-c", f"../{sums}"], cwd=folder / "artefact", check=True, capture_output=True)


@pytest.mark.parametrize("data", [b"", b"x", b"y" * (2 << 20), b"z" * ((2 << 20) + 1), b"w" * (13 << 20)])
def test_one_file(storage: LocalStorage, tmp_path: Path, data: bytes) -> None:
    (tmp_path / "модель.pkl").write_bytes(data)
    made = place(storage, tmp_path / "модель.pkl")
    assert (made.kind, made.name, made.size) == ("file", "модель.pkl", len(data))
    assert made.blake3 == blake3(data).hexdigest()
    assert made.sha256 == hashlib.sha256(data).hexdigest()
    assert (storage.version_dir("m", "1") / "artefact" / "модель.pkl").read_bytes() == data


def test_files_that_come_from_elsewhere_are_hashed_where_they_come_to(storage: LocalStorage, source: Path) -> None:
    def fill(into: Path) -> None:
        shutil.copytree(source, into, dirs_exist_ok=True)

    with storage.stage_filled(fill) as staged:
        assert (staged.content.blake3, staged.content.sha256) == (
            storage.stage(source).content.blake3,
            staged.content.sha256,
        )
        staged.place("churn", "1")
        staged.finish()
    assert sorted(path.name for path in storage.version_dir("churn", "1").iterdir()) == [
        "B3SUMS",
        "SHA256SUMS",
        "artefact",
    ]
    assert not os.access(storage.version_dir("churn", "1") / "artefact" / "model.bin", os.W_OK) or os.geteuid() == 0
    with storage.stage_filled(lambda into: (into / "m.bin").write_bytes(b"x"), single=True) as staged:
        assert (staged.content.kind, staged.content.name) == ("file", "m.bin")
        assert staged.content.blake3 == blake3(b"x").hexdigest()


@pytest.mark.parametrize("bad", ["nothing", "link", "stopped"])
def test_what_cannot_be_filled_leaves_nothing(storage: LocalStorage, bad: str) -> None:
    def fill(into: Path) -> None:
        if bad == "link":
            (into / "x").symlink_to("/etc/passwd")
        if bad == "stopped":
            (into / "half").write_bytes(b"x")
            raise KeyboardInterrupt

    with pytest.raises((RegistryError, KeyboardInterrupt)):
        storage.stage_filled(fill)
    assert [path for path in (storage.root / "models" / ".incoming").iterdir() if path.name != ".lock"] == []


def test_a_refused_source_makes_nothing(storage: LocalStorage, source: Path) -> None:
    (source / "link").symlink_to("empty")
    with pytest.raises(RegistryError):
        storage.stage(source)
    assert not (storage.root / "models").exists()


def test_nothing_that_stands_is_overwritten(storage: LocalStorage, source: Path) -> None:
    stray = storage.version_dir("m", "1")
    stray.mkdir(parents=True)
    with storage.stage(source) as staged, pytest.raises(StorageUnexpected):
        staged.place("m", "1")
    assert list(stray.iterdir()) == []
    assert nothing_half(storage)


def test_a_planted_link_is_not_followed(storage: LocalStorage, source: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (storage.root / "models").mkdir()
    (storage.root / "models" / "m").symlink_to(tmp_path / "outside")
    with storage.stage(source) as staged, pytest.raises(StorageUnexpected):
        staged.place("m", "1")
    assert list((tmp_path / "outside").iterdir()) == []
    assert storage.standing().foreign == ("models/m",)


def test_discard_after_placing(storage: LocalStorage, source: Path) -> None:
    with storage.stage(source) as staged:
        path = staged.place("m", "1")
        staged.discard()
    assert not path.exists()
    assert nothing_half(storage)


def test_leaving_the_block_before_placing_discards(storage: LocalStorage, source: Path) -> None:
    with pytest.raises(KeyboardInterrupt), storage.stage(source):
        raise KeyboardInterrupt
    assert nothing_half(storage)


def test_leaving_the_block_after_placing_decides_nothing(storage: LocalStorage, source: Path) -> None:
    with pytest.raises(KeyboardInterrupt), storage.stage(source) as staged:
        staged.place("m", "1", facts={"gates": ["a"]})
        raise KeyboardInterrupt
    (job,) = storage.stale_jobs()
    assert job.intent is not None
    assert (job.intent.kind, job.intent.model, job.intent.version) == ("register", "m", "1")
    assert job.intent.facts == {"gates": ["a"]}
    storage.finish(job)
    assert storage.version_dir("m", "1").is_dir()
    assert nothing_half(storage)


# -- trouble in the middle of a copy ------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "small"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", place], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("no file system can be mounted here")
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.mark.parametrize("foreseen", [True, False])
def test_disk_full(small_disk: Path, tmp_path: Path, foreseen: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not foreseen:
        monkeypatch.setattr(copying, "check_room", lambda *_: None)
    storage = LocalStorage(small_disk)
    (tmp_path / "big").write_bytes(b"x" * 12_000_000)
    with pytest.raises(DiskFull) as caught:
        storage.stage(tmp_path / "big")
    assert caught.value.exit_status == 8
    assert nothing_half(storage)
    (tmp_path / "small.bin").write_bytes(b"x" * 1_000_000)
    place(storage, tmp_path / "small.bin")


@pytest.mark.parametrize("read_only", [errno.EROFS, errno.EACCES])
def test_read_only_storage(
    storage: LocalStorage, source: Path, read_only: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(read_only, os.strerror(read_only))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(StorageReadOnly):
        storage.stage(source)


def test_ctrl_c_in_the_middle(storage: LocalStorage, source: Path) -> None:
    def interrupt(done: int, _total: int) -> None:
        if done > 3_000_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        storage.stage(source, progress=interrupt)
    assert nothing_half(storage)
    assert storage.standing().models == ()


@pytest.mark.parametrize("change", ["grow", "add", "touch"])
def test_source_changes_meanwhile(storage: LocalStorage, source: Path, change: str) -> None:
    def meddle(done: int, _total: int) -> None:
        if done == 5_000_002:
            match change:
                case "grow":
                    (source / "model.bin").write_bytes(b"other")
                case "add":
                    (source / "new").touch()
                case "touch":
                    os.utime(source / "model.bin", ns=(1, 1))

    with pytest.raises(SourceChanged):
        storage.stage(source, progress=meddle)
    assert nothing_half(storage)


def test_a_copy_that_differs(storage: LocalStorage, source: Path) -> None:
    def flip(done: int, _total: int) -> None:
        if done == 5_000_002:
            (copy,) = storage.root.glob("models/.incoming/*/artefact/model.bin")
            with copy.open("r+b") as stream:
                stream.write(b"flipped")

    with pytest.raises(CopyDiffers):
        storage.stage(source, progress=flip)
    assert nothing_half(storage)


# -- evidence -----------------------------------------------------------------------------------------------------


def test_evidence_while_staging(storage: LocalStorage, source: Path, tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("a: 1\n")
    with storage.stage(source) as staged:
        first = staged.add_evidence("config", tmp_path / "params.yaml")
        assert staged.add_evidence("config", tmp_path / "params.yaml") == first
        second = staged.add_evidence("config", Path("Params.yaml"), data=b"a: 2\n")
        path = staged.place("m", "1")
        staged.finish()
    assert (first.path, first.size) == ("evidence/config/params.yaml", 5)
    assert first.sha256 == hashlib.sha256(b"a: 1\n").hexdigest()
    assert first.blake3 == blake3(b"a: 1\n").hexdigest()
    assert second.path == "evidence/config/Params~2.yaml"
    assert (path / second.path).read_bytes() == b"a: 2\n"
    assert storage.protection(path) == "advisory"


def test_attach(storage: LocalStorage, source: Path, tmp_path: Path) -> None:
    place(storage, source)
    path = storage.version_dir("m", "1")
    (tmp_path / "fair.json").write_text("{}")
    for turn in (1, 2):
        attaching = storage.attach("m", "1")
        made = attaching.add("gates", tmp_path / "fair.json")
        other = attaching.add("gates", tmp_path / "fair.json", data=b"{2}")
        attaching.finish()
        assert (made.path, other.path) == ("evidence/gates/fair.json", "evidence/gates/fair~2.json"), turn
        assert storage.protection(path) == "advisory"
    assert nothing_half(storage)


def test_attach_discarded_leaves_no_trace(storage: LocalStorage, source: Path) -> None:
    place(storage, source)
    path = storage.version_dir("m", "1")
    kept = storage.attach("m", "1")
    kept.add("card", Path("card.md"), data=b"old")
    kept.finish()
    before = tree.survey(path)
    refused = storage.attach("m", "1")
    refused.add("card", Path("card.md"), data=b"old")
    refused.add("card", Path("card.md"), data=b"new")
    refused.add("environment", Path("env.txt"), data=b"new")
    refused.discard()
    assert tree.survey(path) == before
    assert storage.protection(path) == "advisory"
    assert nothing_half(storage)


@pytest.mark.parametrize(
    ("kind", "name", "error"),
    [
        ("config", "nowhere", FileUnknown),
        ("config", "fifo", ArtefactSpecial),
        ("config", "50%", BadPath),
        ("config", "folder", ArtefactSpecial),
        ("cards", "a", UsageError),
    ],
)
def test_bad_evidence(
    storage: LocalStorage, source: Path, tmp_path: Path, kind: str, name: str, error: type[RegistryError]
) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    for plain in ("50%", "a"):
        (tmp_path / plain).touch()
    place(storage, source)
    attaching = storage.attach("m", "1")
    with pytest.raises(error):
        attaching.add(kind, tmp_path / name)
    attaching.discard()
    with storage.stage(source) as staged, pytest.raises(error):
        staged.add_evidence(kind, tmp_path / name)
    assert not (storage.version_dir("m", "1") / "evidence").exists()


def test_attach_to_nothing(storage: LocalStorage) -> None:
    with pytest.raises(VersionUnknown):
        storage.attach("m", "1")
    assert nothing_half(storage)


# -- fetch ------------------------------------------------------------------------------------------------------


def test_fetch_a_directory(storage: LocalStorage, source: Path, tmp_path: Path) -> None:
    made = place(storage, source)
    (tmp_path / "empty").mkdir()
    for name in ("new", "empty", "deep/er"):
        path = storage.fetch(storage.version_dir("m", "1") / "artefact", tmp_path / name, expected=made)
        assert path == tmp_path / name
        assert tree.hash_tree(path, sha256=True).blake3 == made.blake3
        (path / "mine").touch()


def test_fetch_a_file(storage: LocalStorage, tmp_path: Path) -> None:
    (tmp_path / "m.pkl").write_bytes(b"m")
    made = place(storage, tmp_path / "m.pkl")
    artefact = storage.version_dir("m", "1") / "artefact"
    (tmp_path / "folder").mkdir()
    assert storage.fetch(artefact, tmp_path / "x.pkl", expected=made).read_bytes() == b"m"
    assert storage.fetch(artefact, tmp_path / "folder", expected=made) == tmp_path / "folder" / "m.pkl"
    for taken in ("x.pkl", "folder"):
        with pytest.raises(DestinationTaken):
            storage.fetch(artefact, tmp_path / taken, expected=made)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "m.pkl", "registry", "x.pkl"]


def test_fetch_refuses_a_flipped_byte(storage: LocalStorage, source: Path, tmp_path: Path) -> None:
    made = place(storage, source)
    stored = storage.version_dir("m", "1") / "artefact" / "model.bin"
    stored.chmod(0o644)
    with stored.open("r+b") as stream:
        stream.write(b"flipped")
    with pytest.raises(ArtefactChanged) as caught:
        storage.fetch(stored.parent, tmp_path / "out", expected=made)
    assert caught.value.location == "model.bin"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["registry", "source"]


# -- protection ---------------------------------------------------------------------------------------------------


def test_levels_of_protection(storage: LocalStorage, tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(b"m")
    place(storage, tmp_path / "m")
    path = storage.version_dir("m", "1")
    assert storage.protection(path) == "advisory"
    (path / "artefact").chmod(0o755)
    assert storage.protection(path) == "none"
    (path / "artefact").chmod(0o555)
    every = [path, *path.rglob("*")]
    if subprocess.run(["chattr", "+i", *every], capture_output=True, check=False).returncode == 0:
        assert storage.protection(path) == "administrative"
        subprocess.run(["chattr", "-i", *every], check=True)
    else:
        subprocess.run(["chattr", "-i", *every], capture_output=True, check=False)


def test_standing(storage: LocalStorage, source: Path) -> None:
    place(storage, source, "b", "2")
    place(storage, source, "a", "1~not")  # only the archive gives `~` a meaning
    (storage.root / "archive" / "a" / "1").mkdir(parents=True)
    (storage.root / "archive" / "a" / "1~2").mkdir()
    (storage.root / "archive" / "stray").touch()
    (storage.root / "models" / "a" / "stray").touch()
    found = storage.standing()
    assert found.models == (("a", "1~not"), ("b", "2"))
    assert found.bags == (("a", "1", 1), ("a", "1", 2))
    assert found.foreign == ("models/a/stray", "archive/stray")
