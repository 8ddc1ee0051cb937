"""BagIt tag files and the validator, against RFC 8493 and the reference package."""

from __future__ import annotations

import hashlib
from pathlib import Path

import bagit as reference
import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from manual_registry.adapters import bagit
from manual_registry.core.manifest import FileEntry

FILES = {"data/artefact/m.bin": b"model", "data/artefact/ä b.txt": b"", "data/record.json": b"{}\n"}


def entry(path: str, data: bytes) -> FileEntry:
    return FileEntry(
        path=path, size=len(data), blake3=blake3(data).hexdigest(), sha256=hashlib.sha256(data).hexdigest()
    )


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    folder = tmp_path / "bag"
    for path, data in FILES.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    info = [
        ("Bagging-Date", "2026-11-24"),
        ("External-Description", "first line\nsecond: line\n\nthird"),
        ("Empty", ""),
    ]
    bagit.write_tags(folder, [entry(path, data) for path, data in FILES.items()], info)
    return folder


def test_valid_here_and_there(bag: Path) -> None:
    assert bagit.validate(bag) == []
    theirs = reference.Bag(str(bag))
    assert theirs.validate()
    assert theirs.version_info == (1, 0)
    assert (bag / "bagit.txt").read_bytes() == b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"


def test_bag_info_is_read_back(bag: Path) -> None:
    info = bagit.read_info((bag / "bag-info.txt").read_bytes())
    assert info["External-Description"] == "first line second: line third"
    assert info["Payload-Oxum"] == "8.3"
    assert info["Bagging-Date"] == "2026-11-24"


@given(st.text(st.sampled_from("a%\r\n 25ADd0ä\u2028"), max_size=20))
def test_path_encoding_round_trip(path: str) -> None:
    text = bagit.encode_path(path)
    assert bagit.decode_path(text) == path
    assert not set("\r\n") & set(text)


def test_path_encoding_as_in_the_rfc() -> None:
    assert bagit.encode_path("a%b\r\nc") == "a%25b%0D%0Ac"
    assert bagit.decode_path("%0a%0A%0d%25%41") == "\n\n\r%%41"


def damage(bag: Path, kind: str) -> str:
    """Damage the bag; return where the problem is."""
    match kind:
        case "flipped":
            (bag / "data/artefact/m.bin").write_bytes(b"Model")
            return "data/artefact/m.bin"
        case "added":
            (bag / "data/new").touch()
            return "data/new"
        case "gone":
            (bag / "data/record.json").unlink()
            return "data/record.json"
        case "link":
            (bag / "data/artefact/m.bin").unlink()
            (bag / "data/artefact/m.bin").symlink_to("ä b.txt")
            return "data/artefact/m.bin"
        case "empty folder":
            (bag / "data/void").mkdir()
            return "data/void"
        case "tag changed":
            (bag / "bag-info.txt").write_text("Bagging-Date: 2020-01-01\n")
            return "bag-info.txt"
        case "tag added":
            (bag / "fetch.txt").write_text("https://example.org 1 data/x\n")
            return "fetch.txt"
        case "other version":
            (bag / "bagit.txt").write_text("BagIt-Version: 0.97\nTag-File-Character-Encoding: UTF-8\n")
            return "bagit.txt"
        case "oxum":
            path = bag / "bag-info.txt"
            path.write_text(path.read_text().replace("8.3", "9.3"))
            return "bag-info.txt"
        case _:
            path = bag / kind
            path.unlink()
            return kind


@pytest.mark.parametrize(
    "kind",
    [
        "flipped",
        "added",
        "gone",
        "link",
        "empty folder",
        "tag changed",
        "tag added",
        "other version",
        "oxum",
        "bagit.txt",
        "bag-info.txt",
        "manifest-sha256.txt",
        "tagmanifest-sha256.txt",
        "B3SUMS",
    ],
)
@pytest.mark.parametrize("both", [True, False])
def test_every_damage_is_found_where_it_is(bag: Path, kind: str, both: bool) -> None:
    where = damage(bag, kind)
    assert where in {problem.location for problem in bagit.validate(bag, both=both)}


@pytest.mark.parametrize("name", ["manifest-sha256.txt", "tagmanifest-sha256.txt"])
@pytest.mark.parametrize(
    "line",
    [
        b"0" * 64 + b"  ../../etc/passwd\n",
        b"0" * 64 + b"  /etc/passwd\n",
        b"0" * 64 + b"  ~/x\n",
        b"\xff\n",
        b"short  x\n",
        b"0" * 64 + b"  data/record.json\n" * 2,
    ],
)
def test_manifests_that_lead_out_of_the_bag(bag: Path, name: str, line: bytes) -> None:
    with (bag / name).open("ab") as stream:
        stream.write(line)
    assert name in {problem.location for problem in bagit.validate(bag)}


def test_no_bag_at_all(tmp_path: Path) -> None:
    assert len(bagit.validate(tmp_path)) == 5
    assert len(bagit.validate(tmp_path / "nowhere")) == 5
