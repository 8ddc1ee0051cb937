"""`adopt --in-place` and `take-in`: files are hashed where they lie, checked there, and copied in when it matters."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path

import pytest
from adopt_team import Team, adopted, confirm, errors
from life_line import tree
from world import World

from manual_registry.core.errors import ApprovalWanted, ArtefactChanged, FilesInPlace, RegistryError


@pytest.fixture(autouse=True)
def outside_any_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commits are looked up in the repository of the working directory, when it has one."""
    monkeypatch.chdir(tmp_path)


def test_files_stay_where_they_lie(tmp_path: Path) -> None:
    world, _, done = adopted(tmp_path, in_place=True)
    assert len(done.imported) == 4
    assert not list((world.root / "models").glob("*/*/artefact"))
    assert world.as_().show("churn@production")["storage_location"] == "../team/m/churn-2.pkl"
    assert errors(world) == []
    weak = [one.message for one in world.as_().verify().findings if one.code == "MR-F002"]
    assert weak == ["protection against deletion is none for 4 versions (churn@1.0.0, …)"]
    artefact = next(link for link in world.as_().trace("churn").links if link.kind == "artefact")
    assert (artefact.status.value, "../team/m/churn-2.pkl" in artefact.summary) == ("verified", True)
    assert world.as_().fetch("churn@production", tmp_path / "had")["files"] == 1
    assert (tmp_path / "had").read_bytes() == b"m/churn-2.pkl"
    world.as_().fetch("fraud-eu@2024-Q1", tmp_path / "both")
    assert sorted(path.name for path in (tmp_path / "both").iterdir()) == ["model.bin", "vocab.txt"]


def test_what_happens_to_them_is_found(tmp_path: Path) -> None:
    world, team, _ = adopted(tmp_path, in_place=True)
    team.file("m/churn-2.pkl", b"m/churn-X.pkl")
    team.file("m/fraud/more.txt")
    (team.place / "m/fraud/.DS_Store").write_bytes(b"clutter")
    (team.place / "m/price.bin").unlink()
    found = errors(world)
    assert found == [
        ("MR-A001", "../team/m/churn-2.pkl"),
        ("MR-A002", "../team/m/fraud/more.txt"),
        ("MR-A003", "../team/m/price.bin"),
    ]
    assert world.as_().trace("churn").broken
    with pytest.raises(ArtefactChanged):
        world.as_().fetch("churn@production", tmp_path / "had")
    with pytest.raises(ArtefactChanged):
        world.as_().take_in("churn@production")
    for ref in ("price@v7", "fraud-eu@2024-Q1"):
        with pytest.raises(RegistryError) as refused:
            world.as_().take_in(ref)
        assert refused.value.exit_status in (4, 7)
    assert errors(world) == found  # and nothing half-made is left
    secret = tmp_path / "secret"
    secret.write_bytes(b"m/price.bin")
    (team.place / "m/price.bin").symlink_to(secret)
    assert any(place.startswith("../team/m/price.bin") for _, place in errors(world, ["price@v7"][0]))


def test_take_in(tmp_path: Path) -> None:
    world, team, done = adopted(tmp_path, in_place=True)
    confirm(world, done.result.id)
    first = world.as_().take_in("churn@production")
    assert (first.command, first.changed) == ("take-in", True)
    directory = world.root / "models/churn/1.1.0"
    assert [stat.S_IMODE(path.stat().st_mode) for path in (directory, directory / "artefact")] == [0o555, 0o555]
    assert stat.S_IMODE((directory / "artefact/churn-2.pkl").stat().st_mode) == 0o444
    assert world.as_().take_in("churn@production").changed is False
    world.as_().take_in("fraud-eu@2024-Q1")
    (team.place / "m/churn-2.pkl").unlink()
    shutil.rmtree(team.place / "m/fraud")
    assert errors(world) == []
    # The registry can go elsewhere now.
    shutil.copytree(world.root, tmp_path / "elsewhere/registry")
    assert world.as_().show("churn@production")["storage_location"] == "models/churn/1.1.0"


def test_in_high_risk_nothing_in_place_goes_to_production(tmp_path: Path) -> None:
    world, _, done = adopted(tmp_path, in_place=True)
    confirm(world, done.result.id)
    ref = "price@v7"
    world.as_().attach(ref, metadata=world.metadata())
    world.approve(ref, "staging")
    world.promote(ref, "staging")
    world.approve(ref, "production")
    with pytest.raises(FilesInPlace) as refused:
        world.promote(ref, "production")
    assert (refused.value.exit_status, refused.value.hint) == (3, f"mreg take-in {ref}")
    world.as_().take_in(ref)
    world.promote(ref, "production")
    assert errors(world) == []


def test_a_bag_holds_the_files_themselves(tmp_path: Path) -> None:
    world, _, _ = adopted(tmp_path, in_place=True, risk="minimal")
    waiting = world.as_()
    waiting.archive_pending()
    assert any("churn@1.0.0 stays: its files lie at" in one for one in waiting.warnings)
    assert "mreg archive churn@1.0.0 --reason TEXT" in world.as_().status()["next"]
    world.as_().take_in("churn@1.0.0")
    assert "mreg archive --pending" in world.as_().status()["next"]
    world.as_().archive_pending()
    assert (world.root / "archive/churn/1.0.0/data/artefact/churn-1.pkl").is_file()
    assert errors(world) == []


def test_archive_takes_in_what_was_left_in_place(tmp_path: Path) -> None:
    world, team, _ = adopted(tmp_path, in_place=True, risk="minimal")
    confirm(world, next(one["id"] for one in world.as_().approval_list() if one["kind"] == "baseline"))
    team.file("m/price.bin", b"another")
    before = tree(world.root)
    for ref, error in (("price@v7", ArtefactChanged), ("churn@production", ApprovalWanted)):
        with pytest.raises(error):
            world.as_().archive(ref, reason="old")
        assert tree(world.root) == before, "nothing is copied for what is refused"
    team.file("m/price.bin")
    for ref, name, file in (("price@v7", "price/v7", "price.bin"), ("churn@1.0.0", "churn/1.0.0", "churn-1.pkl")):
        done = world.as_().archive(ref, reason="old")
        assert done.notes[0].startswith("copied from ../team/m/")
        assert (world.root / f"archive/{name}/data/artefact/{file}").read_bytes() == (
            team.place / f"m/{file}"
        ).read_bytes()
    assert errors(world) == []
    assert world.as_().archive("price@v7", reason="old").changed is False


def test_paths_of_a_sheet_never_lead_out(tmp_path: Path) -> None:
    world, team = World(tmp_path / "w"), Team(tmp_path / "team")
    secret = tmp_path / "home" / "key.pem"
    secret.parent.mkdir()
    secret.write_bytes(b"a private key")
    (team.place / "link.bin").symlink_to(secret)
    (team.place / "linked").symlink_to(secret.parent)
    (team.place / ".ssh").mkdir()
    (team.place / ".ssh/id_ed25519").write_bytes(b"a private key")
    paths = (
        "../home/key.pem", str(secret), "link.bin", "linked/key.pem", ".ssh/id_ed25519", "a/../../home/key.pem",
        f"file://{secret}", r"\\server\share\key.pem", "~/key.pem", "/dev/zero", "m/../..",
    )  # fmt: skip
    for number, path in enumerate(paths):
        team.row("thief", f"0.0.{number}a", path, None, None, None, "dev")
    for in_place in (False, True):
        done = world.as_().adopt(team.save(), in_place=in_place)
        assert done.imported == ()
        assert len([one for one in done.proposal.not_imported if one.row in range(4, 4 + len(paths))]) == len(paths)
        assert all(one.content is None for one in done.proposal.files)
    # Named by the person who runs it, a directory may be read.
    done = world.as_().adopt(team.sheet, storage=secret.parent)
    assert {one["version"] for one in done.imported} >= {"0.0.0a"}
    assert errors(world) == []
