"""The files that a sheet names: there, equal, different, missing, moved, named twice; nothing outside is read."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from adopt_sheets import book, digest, kinds
from blake3 import blake3

from manual_registry.adapters.adoption import look_up, propose, write_mapping
from manual_registry.adapters.tree import hash_tree
from manual_registry.core.adoption import Answers, FileFinding, Proposal, TableAnswers, report


class Team:
    """A team's folder: a sheet, and files beside it or in a storage directory."""

    def __init__(self, root: Path) -> None:
        self.root, self.sheets, self.storage = root, root / "sheets", root / "storage"
        self.sheets.mkdir()
        self.storage.mkdir()

    def put(self, path: str, data: bytes = b"model", *, beside: bool = False) -> Path:
        target = (self.sheets if beside else self.storage) / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        return target

    def look(
        self, *rows: tuple[Any, ...], said: TableAnswers | None = None, storage: bool = True, **options: Any
    ) -> Proposal:
        sheet = book(self.sheets / "x.xlsx", {"Models": [("Model", "Version", "Path", "Hash"), *rows]})
        proposal = propose(sheet, Answers(tables=(said,)) if said else None)
        return look_up(proposal, sheet_folder=self.sheets, storage=self.storage if storage else None, **options)

    def one(self, location: str, stated: str | None = None, **options: Any) -> FileFinding:
        (finding,) = self.look(("a", "1", location, stated), **options).files
        return finding


@pytest.fixture
def team(tmp_path: Path) -> Team:
    return Team(tmp_path)


# -- where ------------------------------------------------------------------------------------------------


def test_relative_to_the_storage_to_the_sheet_and_absolute(team: Team) -> None:
    inside, beside = team.put("credit/v1.pkl"), team.put("models/v2.pkl", beside=True)
    for location, path in (
        ("credit/v1.pkl", inside),
        ("./credit//v1.pkl", inside),
        ("models/v2.pkl", beside),
        (str(inside), inside),
        (inside.as_uri(), inside),
        (r"credit\v1.pkl", inside),
    ):
        found = team.one(location)
        assert (found.status, found.path, found.how) == ("found", str(path), "as stated"), location
        assert found.content is not None
        assert found.content.blake3 == blake3(b"model").hexdigest()
        assert found.content.sha256 == digest(b"model")


@pytest.mark.parametrize(
    "location",
    [
        r"C:\ml\models\credit\v1.pkl",
        "/mnt/old/models/credit/v1.pkl",
        "~/models/credit/v1.pkl",
        "$HOME/models/credit/v1.pkl",
        "file:///D:/models/credit/v1.pkl",
        "Models/CREDIT/V1.PKL",
        "v1.pkl",
        "../models/credit/v1.pkl",
    ],
)
def test_a_path_of_another_machine_is_found_by_its_last_names_and_told(team: Team, location: str) -> None:
    path = team.put("models/credit/v1.pkl")
    found = team.one(location)
    assert (found.status, found.path) == ("found", str(path))
    assert "models/credit/v1.pkl in the storage directory" in found.how
    assert found.how in found.message


def test_another_model_s_file_is_never_taken_for_it(team: Team) -> None:
    other = team.put("fraud/v1/model.pkl")
    found = team.one("/old/credit/v1/model.pkl")
    assert (found.status, found.path, found.candidates) == ("missing", None, (str(other),))
    both = team.look(("a", "1", "/old/a/model.pkl", None), ("b", "1", "/old/b/model.pkl", None))
    assert [one.status for one in both.files] == ["missing", "missing"]


def test_one_file_cannot_be_what_two_different_lost_paths_meant(team: Team) -> None:
    team.put("model.pkl")
    found = team.look(("a", "1", "/old/a/model.pkl", None), ("b", "1", "/old/b/model.pkl", None))
    assert [(one.status, len(one.candidates)) for one in found.files] == [("missing", 1), ("missing", 1)]


def test_a_hash_finds_a_file_that_moved(team: Team) -> None:
    team.put("a/model.pkl", b"one")
    path = team.put("b/model.pkl", b"two")
    found = team.one("/old/c/model.pkl", digest(b"two"))
    assert (found.status, found.path, found.hash) == ("found", str(path), "equal")
    assert "moved" in found.message
    assert team.one("/old/c/model.pkl", digest(b"two")[:8]).status == "missing"


@pytest.mark.parametrize(
    "location", [r"\\server\share\a.pkl", "s3://bucket/a.pkl", "https://example.org/a.pkl", "user@host:/a.pkl"]
)
def test_what_is_not_reachable_is_told(team: Team, location: str) -> None:
    found = team.one(location)
    assert found.status == "unreachable"
    assert "not reachable" in found.message


def test_missing_several_and_not_stated(team: Team) -> None:
    found = team.look(("a", "1", "gone.pkl", None), ("a", "2", "x.pkl; y.pkl", None), ("a", "3", None, "n/a"))
    assert [one.status for one in found.files] == ["missing", "missing", "not_stated"]
    assert "several files" in found.files[1].message


def test_without_storage_only_the_sheet_s_folder_is_searched(team: Team) -> None:
    team.put("a.pkl")
    assert team.one("a.pkl", storage=False).status == "missing"
    outside = team.one(str(team.storage / "a.pkl"), storage=False)
    assert outside.status == "outside"
    assert "--storage" in outside.message


# -- never outside ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "form",
    [
        "{path}",
        "file://{path}",
        "../secret/id_key",
        "x/../../secret/id_key",
        "link/id_key",
        "direct",
        "loop/id_key",
        "inner/link/id_key",
    ],
)
def test_nothing_outside_is_ever_read(team: Team, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    secret = team.root / "secret" / "id_key"
    secret.parent.mkdir()
    secret.write_bytes(b"key")
    (team.storage / "inner").mkdir()
    (team.storage / "link").symlink_to(secret.parent)
    (team.storage / "inner" / "link").symlink_to(secret.parent)
    (team.storage / "direct").symlink_to(secret)
    (team.storage / "loop").symlink_to("loop")
    opened: list[str] = []
    real = os.open

    def watched(path: Any, *rest: Any, **more: Any) -> int:
        opened.append(os.fsdecode(path))
        return real(path, *rest, **more)

    monkeypatch.setattr(os, "open", watched)
    found = team.one(form.format(path=secret), digest(b"key"))
    assert found.status in {"outside", "missing"}
    assert found.content is None
    assert not [path for path in opened if "id_key" in path or path.endswith("direct")]


@pytest.mark.parametrize("location", [".ssh/id_key", "a/../.ssh/id_key", "id_key", "keys/id_key"])
def test_hidden_names_are_not_read_unless_their_directory_is_named(team: Team, location: str) -> None:
    path = team.put(".ssh/id_key", b"key", beside=True)
    (team.sheets / "keys").symlink_to(".ssh")
    assert team.one(location).status in {"outside", "missing"}
    team.storage = path.parent
    assert team.one("id_key").path == str(path)


def test_a_link_that_stays_inside_is_followed(team: Team) -> None:
    path = team.put("v1/model.pkl")
    (team.storage / "current").symlink_to("v1")
    found = team.one("current/model.pkl")
    assert (found.status, found.path) == ("found", str(path))


def test_a_directory_that_holds_a_link_a_fifo_or_nothing_cannot_be_taken(team: Team) -> None:
    team.put("linked/a.pkl")
    (team.storage / "linked" / "b.pkl").symlink_to("a.pkl")
    (team.storage / "hollow").mkdir()
    os.mkfifo(team.storage / "pipe")
    found = team.look(("a", "1", "linked", "a" * 64), ("a", "2", "hollow", None), ("a", "3", "pipe", None))
    assert [one.status for one in found.files] == ["unusable", "unusable", "unusable"]
    assert all("cannot be taken" in one.message for one in found.files)


@pytest.mark.parametrize(
    "location", ["x" * 5000, "a/" * 3000 + "b", "..", ".", "/", "C:", "...", "\u202e.pkl", "a\nb.pkl"]
)
def test_odd_locations_break_nothing(team: Team, location: str) -> None:
    team.put("a.pkl")
    proposal = team.look(("a", "1", "here.pkl", None), said=TableAnswers(sheet="Models", locations={2: location}))
    assert proposal.files[0].status in {"missing", "outside", "unreachable", "found", "unusable"}
    report.text(proposal)


# -- hashes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha256", "sha512"])
def test_hashes_of_every_kind(team: Team, algorithm: str) -> None:
    team.put("a.pkl", b"one")
    value = digest(b"one", algorithm)
    assert team.one("a.pkl", value).hash == "equal"
    assert team.one("a.pkl", f"{algorithm}:{value}".upper()).hash == "equal"
    short = team.one("a.pkl", f"{value[:9]}…")
    assert (short.hash, "9 characters" in short.message) == ("equal", True)
    other = team.one("a.pkl", digest(b"two", algorithm))
    assert other.hash == "differs"
    assert "DIFFERS" in other.message
    assert other.status == "found"


def test_blake3_and_no_hash(team: Team) -> None:
    team.put("a.pkl", b"one")
    assert team.one("a.pkl", blake3(b"one").hexdigest()).hash == "equal"
    assert team.one("a.pkl", "see wiki").hash == "not_stated"
    assert team.one("a.pkl", digest(b"one"), hash_files=False).hash == "unchecked"
    assert team.one("a.pkl", hash_files=False).content is None


def test_a_directory_s_hash_or_that_of_a_file_in_it(team: Team) -> None:
    team.put("v1/model.pkl", b"one")
    team.put("v1/config.json", b"{}")
    whole = hash_tree(team.storage / "v1", sha256=True)
    assert team.one("v1", whole.sha256).hash == "equal"
    assert team.one("v1", whole.blake3).hash == "equal"
    for algorithm in ("sha256", "md5"):
        inner = team.one("v1", digest(b"one", algorithm))
        assert (inner.hash, inner.hash_detail) == ("equal", "the stated hash is that of model.pkl in it")
    assert team.one("v1", digest(b"two")).hash == "differs"
    assert team.one("v1", digest(b"two", "md5")).hash == "not_comparable"


def test_progress_and_each_file_hashed_once(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    team.put("a.pkl", b"one")
    calls: list[tuple[int, int]] = []
    team.look(
        ("a", "1", "a.pkl", digest(b"one")),
        ("b", "1", "a.pkl", digest(b"one")),
        progress=lambda done, total: calls.append((done, total)),
    )
    assert calls == [(3, 3)]


# -- several rows -----------------------------------------------------------------------------------------


def test_a_file_that_two_rows_name_is_told(team: Team) -> None:
    team.put("a.pkl")
    found = team.look(("a", "1", "a.pkl", None), ("a", "2", "./a.pkl", None), ("a", "3", "b.pkl", None))
    assert [one.also_named_by for one in found.files] == [(("Models", 3),), (("Models", 2),), ()]
    assert "named by Models!3 as well" in found.files[0].message
    assert report.summary(found)["named_twice"] == 2


def test_a_directory_that_several_rows_name_is_asked_unless_a_hash_tells(team: Team) -> None:
    one, two = team.put("credit/credit-v1.pkl", b"one"), team.put("credit/credit-v2.pkl", b"two")
    rows = (("a", "1", "credit", digest(b"one")), ("a", "2", "credit/", None), ("b", "7", "credit", None))
    found = team.look(*rows)
    assert [finding.status for finding in found.files] == ["found", "open", "open"]
    assert found.files[0].path == str(one)
    assert [(question.kind, question.row, question.choices) for question in found.questions] == [
        ("location", 3, ("credit/credit-v2.pkl", "...")),
        ("location", 4, ("...",)),
    ]
    assert '# 3 = "credit/credit-v2.pkl"' in write_mapping(found)
    said = TableAnswers(sheet="Models", locations={3: "credit/credit-v2.pkl", 4: "credit"})
    done = team.look(*rows, said=said)
    assert kinds(done) == []
    assert [finding.path for finding in done.files] == [str(one), str(two), str(team.storage / "credit")]


def test_the_same_version_twice_may_name_its_directory_twice(team: Team) -> None:
    team.put("v1/a.pkl")
    assert kinds(team.look(("a", "1", "v1", None), ("b", "1", "v2", None))) == []


def test_a_person_s_location_counts(team: Team) -> None:
    path = team.put("new/place.pkl")
    said = TableAnswers(sheet="Models", locations={2: "new/place.pkl"})
    found = team.look(("a", "1", "s3://bucket/a.pkl", None), said=said)
    assert found.files[0].path == str(path)
    assert team.look(("a", "1", None, None), said=said).files[0].status == "found"


def test_nothing_is_written(team: Team) -> None:
    team.put("credit/v1.pkl")
    shutil.copytree(team.root, team.root.with_name("before"))
    team.look(("a", "1", "credit/v1.pkl", digest(b"model")))
    before = {path.relative_to(team.storage): path.stat().st_mtime_ns for path in team.storage.rglob("*")}
    team.look(("a", "1", "credit/v1.pkl", digest(b"model")))
    assert {path.relative_to(team.storage): path.stat().st_mtime_ns for path in team.storage.rglob("*")} == before


def test_the_document_tells_every_file(team: Team) -> None:
    team.put("a.pkl", b"one")
    found = team.look(("a", "1", "a.pkl", digest(b"two")), ("a", "2", "s3://b/k", None))
    first, second = report.document(found)["files"]
    assert (first["status"], first["hash"], first["sha256"], first["size"], first["kind"]) == (
        "found",
        "differs",
        digest(b"one"),
        3,
        "file",
    )
    assert (second["status"], second["path"]) == ("unreachable", None)
    assert report.document(found)["summary"]["hashes_different"] == 1
    text = report.text(found)
    assert "1 found, 1 not reachable" in text
    assert "DIFFERS" in text
