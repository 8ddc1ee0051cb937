"""Archive moves: a bag that others validate, a working copy that goes only after it, and the way back."""

from __future__ import annotations

import os
from pathlib import Path

import bagit
import pytest

from manual_registry.adapters import tree
from manual_registry.adapters.storage import LocalStorage
from manual_registry.core.errors import ArtefactAdded, ArtefactChanged, BagInvalid, VersionUnknown
from manual_registry.core.manifest import Content

INFO = (("Bagging-Date", "2026-11-24"), ("External-Identifier", "m@1+code.none"), ("Reason", "replaced\nby 2"))


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    (tmp_path / "registry").mkdir()
    return LocalStorage(tmp_path / "registry")


@pytest.fixture
def made(storage: LocalStorage, tmp_path: Path) -> Content:
    source = tmp_path / "source"
    (source / "sub").mkdir(parents=True)
    (source / "model.bin").write_bytes(os.urandom(3_000_000))
    (source / "sub" / "日本 語.txt").write_text("x")
    (source / "empty").touch()
    with storage.stage(source) as staged:
        staged.add_evidence("card", Path("card.md"), data=b"# card\n")
        staged.write("record.json", b"{}\n")
        staged.place("m", "1")
        staged.finish()
    return staged.content


def archive(storage: LocalStorage, made: Content) -> Path:
    with storage.make_bag("m", "1", INFO, expected=made) as bag:
        path = bag.place()
        bag.finish()
    return path


def test_a_bag_that_the_reference_tool_validates(storage: LocalStorage, made: Content) -> None:
    path = archive(storage, made)
    assert path == storage.bag_dir("m", "1")
    assert storage.verify_bag(path) == []
    theirs = bagit.Bag(str(path))
    assert theirs.validate()
    assert theirs.info["External-Identifier"] == "m@1+code.none"
    assert theirs.info["Payload-Oxum"] == "{}.{}".format(
        sum(file.stat().st_size for file in (path / "data").rglob("*") if file.is_file()),
        sum(1 for file in (path / "data").rglob("*") if file.is_file()),
    )
    payload = {entry.relative_to(path / "data").as_posix() for entry in (path / "data").iterdir()}
    assert payload == {"artefact", "evidence", "SHA256SUMS", "B3SUMS", "record.json"}
    assert storage.protection(path) == "advisory"
    assert storage.standing().bags == (("m", "1", 1),)


def test_the_working_copy_goes_after_the_bag_is_verified(storage: LocalStorage, made: Content) -> None:
    archive(storage, made)
    assert storage.remove_working_copy("m", "1", 1)
    assert storage.standing().models == ()
    assert not storage.remove_working_copy("m", "1", 1)
    assert [path.name for path in (storage.root / "models" / ".incoming").iterdir()] == []


@pytest.mark.parametrize("damage", ["bag", "no bag", "added", "changed"])
def test_otherwise_it_stays(storage: LocalStorage, made: Content, damage: str) -> None:
    bag = archive(storage, made)
    working = storage.version_dir("m", "1")
    match damage:
        case "bag":
            flip(bag / "data" / "artefact" / "model.bin")
        case "no bag":
            (bag / "bagit.txt").chmod(0o644)
            bag.chmod(0o755)
            (bag / "bagit.txt").rename(bag / "gone.txt")
        case "added":
            (working / "artefact").chmod(0o755)
            (working / "artefact" / "mine.txt").touch()
        case "changed":
            flip(working / "artefact" / "model.bin")
    before = tree.survey(working)
    error = {"added": ArtefactAdded, "changed": ArtefactChanged}.get(damage, BagInvalid)
    with pytest.raises(error):
        storage.remove_working_copy("m", "1", 1)
    assert tree.survey(working) == before


def flip(path: Path) -> None:
    path.chmod(0o644)
    with path.open("r+b") as stream:
        stream.write(b"flipped")
    path.chmod(0o444)


def test_back_from_the_archive_and_in_again(storage: LocalStorage, made: Content) -> None:
    before = tree.survey(storage.version_dir("m", "1"))
    archive(storage, made)
    storage.remove_working_copy("m", "1", 1)
    with storage.unbag("m", "1", 1, expected=made) as staged:
        assert staged.content == made
        staged.place("m", "1")
        staged.finish()
    assert tree.survey(storage.version_dir("m", "1")) == before
    assert storage.verify_bag(storage.bag_dir("m", "1")) == []
    assert archive(storage, made) == storage.root / "archive" / "m" / "1~2"
    assert storage.standing().bags == (("m", "1", 1), ("m", "1", 2))


def test_a_damaged_bag_does_not_come_back(storage: LocalStorage, made: Content) -> None:
    bag = archive(storage, made)
    storage.remove_working_copy("m", "1", 1)
    flip(bag / "data" / "artefact" / "model.bin")
    with pytest.raises(BagInvalid) as caught:
        storage.unbag("m", "1", 1, expected=made)
    assert caught.value.location == "archive/m/1/data/artefact/model.bin"
    assert list((storage.root / "models" / ".incoming").iterdir()) == []


def test_a_changed_artefact_is_not_bagged(storage: LocalStorage, made: Content) -> None:
    flip(storage.version_dir("m", "1") / "artefact" / "model.bin")
    with pytest.raises(ArtefactChanged) as caught:
        storage.make_bag("m", "1", INFO, expected=made)
    assert caught.value.location == "artefact/model.bin"
    assert not (storage.root / "archive").exists()


def test_discarded_bag(storage: LocalStorage, made: Content) -> None:
    with storage.make_bag("m", "1", INFO, expected=made) as bag:
        bag.place()
        bag.discard()
    assert storage.standing().bags == ()
    assert storage.version_dir("m", "1").is_dir()


def test_nothing_to_archive(storage: LocalStorage) -> None:
    with pytest.raises(VersionUnknown):
        storage.make_bag("m", "1", INFO)


def test_quick_bag_check_finds_what_it_looks_at(storage: LocalStorage, made: Content) -> None:
    bag = archive(storage, made)
    assert storage.verify_bag(bag, both=False) == []
    flip(bag / "data" / "artefact" / "model.bin")
    (problem,) = storage.verify_bag(bag, both=False)
    assert "B3SUMS" in problem.message
    assert len(storage.verify_bag(bag)) == 2
