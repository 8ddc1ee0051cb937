"""`drill` through the command line: what comes back, what does not, and how it is told and kept (RP-23)."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from adopt_team import adopted
from life_line import event, events_in, here, tree
from world import LEAD, SME, World

from manual_registry.adapters.workbook import OpenpyxlWorkbook
from manual_registry.core.errors import UsageError

NO_LEADS: tuple[str, ...] = ()


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place for temporary files of the test's own, outside of every git repository."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setenv("TMPDIR", str(place))
    monkeypatch.chdir(tmp_path)
    return place


def archived(place: Path, *versions: str, risk: str = "minimal") -> World:
    """Return a world with archived versions; each is a directory of two files in sub-folders."""
    world = World(place, risk=risk, leads=NO_LEADS if risk == "minimal" else (LEAD,))
    for version in versions:
        source = world.place / f"source-{version}"
        (source / "sub").mkdir(parents=True)
        (source / "weights.bin").write_bytes(b"w" * 3000 + version.encode())
        (source / "sub" / "vocab.txt").write_text(f"a b c {version}")
        world.as_().register("churn", version, source, metadata=world.metadata())
        world.as_().archive(f"churn@{version}", reason="old")
    return world


def writable(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() else 0o644)


# -- damage -------------------------------------------------------------------------------------------------


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def one_byte(bag: Path) -> None:
    flip(bag / "data/artefact/weights.bin")


def a_file_gone(bag: Path) -> None:
    (bag / "data/artefact/sub/vocab.txt").unlink()
    (bag / "data/artefact/sub").rmdir()


def a_file_more(bag: Path) -> None:
    (bag / "data/artefact/extra.bin").write_bytes(b"x")


def evidence_changed(bag: Path) -> None:
    flip(bag / "data/evidence/environment/environment.txt")


def tag_file_changed(bag: Path) -> None:
    (bag / "bag-info.txt").write_text("Payload-Oxum: 1.1\n")


def tag_manifest_gone(bag: Path) -> None:
    (bag / "tagmanifest-sha256.txt").unlink()


def record_unreadable(bag: Path) -> None:
    (bag / "data/record.json").write_text('{"model": ')


def bag_gone(bag: Path) -> None:
    shutil.rmtree(bag)


def a_link_in_it(bag: Path) -> None:
    (bag / "data/artefact/sub/vocab.txt").unlink()
    (bag / "data/artefact/sub/vocab.txt").symlink_to("/etc/hostname")


def bag_is_a_link(bag: Path) -> None:
    bag.rename(bag.parent.parent.parent / "elsewhere")
    bag.symlink_to(bag.parent.parent.parent / "elsewhere")


def a_device(bag: Path) -> None:
    os.mkfifo(bag / "data/artefact/pipe")


def all_of_it_forged(bag: Path) -> None:
    """Another model with lists, bag manifests and record that fit it: only the ledger knows better."""
    import hashlib

    from blake3 import blake3

    (bag / "data/artefact/weights.bin").write_bytes(b"evil")
    for folder, names in ((bag / "data", ("SHA256SUMS", "B3SUMS")), (bag, ("manifest-sha256.txt", "B3SUMS"))):
        for name in names:
            kind = blake3 if name == "B3SUMS" else hashlib.sha256
            base = folder / "artefact" if folder.name == "data" else folder
            paths = [line.split("  ", 1)[1] for line in (folder / name).read_text().splitlines()]
            (folder / name).write_text(
                "".join(f"{kind((base / one).read_bytes()).hexdigest()}  {one}\n" for one in paths)
            )
    lines = (bag / "tagmanifest-sha256.txt").read_text().splitlines()
    made = [f"{hashlib.sha256((bag / one[66:]).read_bytes()).hexdigest()}  {one[66:]}\n" for one in lines]
    (bag / "tagmanifest-sha256.txt").write_text("".join(made))


#: What is done to a bag -> a place, below the bag, of which a problem must tell; None: the bag as a whole.
DAMAGE: dict[Callable[[Path], None], str | None] = {
    one_byte: "data/artefact/weights.bin",
    a_file_gone: "data/artefact/sub/vocab.txt",
    a_file_more: "data/artefact/extra.bin",
    evidence_changed: "data/evidence/environment/environment.txt",
    tag_file_changed: "bag-info.txt",
    tag_manifest_gone: "tagmanifest-sha256.txt",
    record_unreadable: "data/record.json",
    bag_gone: None,
    a_link_in_it: "data/artefact/sub/vocab.txt",
    bag_is_a_link: None,
    a_device: "data/artefact/pipe",
    all_of_it_forged: "data/B3SUMS",
}


@pytest.mark.parametrize(
    "kinds", [[one_byte, tag_manifest_gone, bag_gone], pytest.param([*DAMAGE], marks=pytest.mark.slow)]
)
def test_a_damaged_archive(tmp_path: Path, temporary: Path, kinds: list[Callable[[Path], None]]) -> None:
    """Each damage is found in its own version, at its place; the good one comes back; all of it is kept."""
    names = [one.__name__.replace("_", "-") for one in kinds]
    world = archived(tmp_path / "world", *names, "good")
    run = here(world)
    archive = world.root / "archive"
    writable(archive)
    for hurt, name in zip(kinds, names, strict=True):
        hurt(archive / "churn" / name)
    before = {name: one for name, one in tree(world.root).items() if not name.startswith("registry.xlsx")}
    done = run("--json", "drill")
    assert (done.status, done.err) == (4, "")
    document = done.document
    assert (document["schema"], document["ok"], document["changed"]) == ("manual-registry/drill/1", False, True)
    assert document["events"] == [events_in(world.root)] == [document["ledger"]["seq"]]
    outcomes = {one["version"]: one for one in document["versions"]}
    assert len(outcomes) == document["archived"] == len(kinds) + 1
    good = outcomes.pop("good")
    assert (good["outcome"], good["problems"], good["place"]) == ("retrieved", [], "archive/churn/good")
    for hurt, name in zip(kinds, names, strict=True):
        outcome, place = outcomes[name], DAMAGE[hurt]
        assert outcome["outcome"] == "failed", name
        wanted = f"archive/churn/{name}" + (f"/{place}" if place else "")
        assert wanted in [one["location"] for one in outcome["problems"]], (hurt.__name__, outcome)
        assert all(one["message"] and one["code"].startswith("MR-") for one in outcome["problems"])
        assert outcome["blake3"] != good["blake3"]
    assert list(temporary.iterdir()) == []
    after = {name: one for name, one in tree(world.root).items() if not name.startswith("registry.xlsx")}
    assert set(after) - set(before) == {f"ledger/{events_in(world.root):012d}.json"}
    assert {name: after[name] for name in before} == before, "the archive is as it was"
    kept = event(world.root, events_in(world.root))
    assert (kept["type"], kept["data"]["ok"], kept["actor"]) == ("retrieval.drilled", False, SME)
    status = run("status")
    assert f"{len(kinds)} could NOT be had back" in status.out
    assert "churn@one-byte could not be had back on " in status.out
    told = {one.code for one in world.as_().verify(["churn@good"]).findings}
    assert {"MR-F070", "MR-F071"} <= told
    text = run("drill", "--sample", "1")
    assert text.status in (0, 4)
    assert f"1 of {len(kinds) + 1} archived versions tried" in text.out
    assert text.out.splitlines()[-1].startswith("ledger ")


def test_five_of_them_in_turn_and_a_year_later(tmp_path: Path) -> None:
    world = archived(tmp_path / "world", "1", "2", "3")
    world.register("fresh")
    run = here(world)
    first, second = (run("--json", "drill", "--sample", "2").document for _ in range(2))
    assert [len(one["versions"]) for one in (first, second)] == [2, 2]
    assert {one["version"] for two in (first, second) for one in two["versions"]} == {"1", "2", "3"}
    assert second["through"] == first["events"][0]
    assert second["seed"] == first["ledger"]["hash"]
    one = run("--json", "drill", "--sample", "9").document
    assert len(one["versions"]) == 3
    for words in ([], ["churn"], ["churn@1"]):
        rows = run("history", *words).out
        assert "retrieval drill: 3 of 3 archived versions tried, all had back as registered" in rows
    assert "retrieval drill" not in run("history", "churn@fresh").out
    view = OpenpyxlWorkbook().inspect(world.root / "registry.xlsx")
    assert view.head_seq == one["ledger"]["seq"]
    world.now = datetime.now(UTC)
    assert world.as_().status()["overdue"] == []
    world.later(days=367)
    status = world.as_().status()
    assert "a retrieval drill was due on " in status["overdue"][0]
    assert "mreg drill" in status["next"]
    assert status["last_drill"]["failed"] == []
    late = next(one for one in world.as_().verify().findings if one.code == "MR-F072")
    assert (late.severity.value, late.clause) == ("warning", "RP-23")
    assert world.as_().verify().ok


def test_nothing_archived_and_what_cannot_be_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path / "world", risk="minimal", leads=NO_LEADS)
    world.register("1")
    run, before = here(world), tree(world.root)
    done = run("drill")
    assert (done.status, done.out.splitlines()[0]) == (
        0,
        "nothing is archived: there is nothing to have back, and nothing changed",
    )
    document = run("--json", "drill", "--sample", "3").document
    assert (document["ok"], document["changed"], document["events"], document["versions"]) == (True, False, [], [])
    with pytest.raises(UsageError):
        world.as_().drill(sample=0)
    assert run("drill", "--sample", "-1").status == 2
    assert tree(world.root) == before
    world.as_().archive("churn@1", reason="old")
    before = tree(world.root)
    inside, nowhere = world.root / "models", tmp_path / "nowhere"
    for place in (inside, nowhere):
        monkeypatch.setenv("TMPDIR", str(place))
        done = run("--json", "drill")
        assert (done.status, done.error["code"]) == (8, "MR-X003")
    assert tree(world.root) == before


@pytest.mark.slow
def test_the_copies_of_approvals_are_had_back_too(tmp_path: Path) -> None:
    """In a closed register: signed by lead and pipeline, replaced, pending, moved; a copy forged, added, lost."""
    world = World(tmp_path / "world")
    world.to_production("1")
    world.to_production("2")
    world.as_(LEAD).close("https://mlflow.example.org", reason="moved", as_=LEAD, key=world.key(LEAD))
    run = here(world)
    done = run("drill")
    assert done.status == 0, done.out
    assert "churn@1 from models/churn/1 (its move into the archive is pending)" in done.out
    world.as_().archive_pending()
    document = run("--json", "drill").document
    assert (document["ok"], document["versions"][0]["place"]) == (True, "archive/churn/1")
    papers = world.root / "approvals/churn/1"
    writable(papers)
    names = sorted(path.name for path in papers.iterdir())
    assert len(names) == 8
    lost, forged = names[0], names[2]
    (papers / lost).unlink()
    done = run("drill")
    assert done.status == 0, "the ledger has what it said"
    assert f"warning: approvals/churn/1/{lost} is missing; the ledger has it" in done.err
    assert (papers / lost).is_file(), "and the next writing command lays the copy there again"
    flip(papers / forged)
    (papers / "A99.json").write_text("{}")
    (outcome,) = run("--json", "drill").document["versions"]
    assert {(one["code"], Path(one["location"]).name) for one in outcome["problems"]} == {
        ("MR-S003", forged),
        ("MR-S003", "A99.json"),
    }
    assert outcome["blake3"] is not None
    assert outcome["files"] > 8
    shutil.rmtree(papers)
    papers.symlink_to(tmp_path)
    (outcome,) = run("--json", "drill").document["versions"]
    assert [one["location"] for one in outcome["problems"]] == ["approvals/churn/1"]


@pytest.mark.slow
def test_a_version_that_lies_where_it_was_adopted(tmp_path: Path) -> None:
    world, team, _ = adopted(tmp_path, in_place=True, risk="minimal")
    (outcome,) = here(world)("--json", "drill").document["versions"]
    assert (outcome["version"], outcome["outcome"]) == ("1.0.0", "retrieved")
    assert outcome["place"] == "../team/m/churn-1.pkl"
    team.file("m/churn-1.pkl", b"another")
    (outcome,) = here(world)("--json", "drill").document["versions"]
    assert [one["location"] for one in outcome["problems"]] == ["../team/m/churn-1.pkl"]
    (team.place / "m/churn-1.pkl").unlink()
    done = here(world)("--json", "drill")
    assert (done.status, done.document["versions"][0]["problems"][0]["code"]) == (4, "MR-A003")
    assert [one.code for one in world.as_().verify().findings if one.location.startswith("ledger/")] == [
        "MR-F070",
        "MR-F071",
    ]


@pytest.mark.slow
def test_a_version_that_is_moved_into_its_bag_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The write lock is free while copies are made; what others do to the version is no failure of the archive."""
    from manual_registry.registry import retrieving

    world = World(tmp_path / "world", risk="minimal", leads=NO_LEADS)
    for version in ("1", "2"):
        world.register(version)
        world.as_().promote(f"churn@{version}", to="staging")
        world.as_().promote(f"churn@{version}", to="production")
    real = retrieving._copied

    def copied(*arguments: object) -> object:
        if not (world.root / "archive/churn/1").exists():
            world.as_().archive_pending()
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(retrieving, "_copied", copied)
    done = world.as_().drill()
    assert [(one.place, one.problems) for one in done.outcomes] == [("archive/churn/1", [])]
    assert world.as_().verify().ok


@pytest.mark.slow
def test_a_ledger_that_cannot_take_the_outcome(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was found is told all the same, and why it was not kept."""
    from manual_registry.adapters.ledger_files import LedgerFiles
    from manual_registry.core.errors import DiskFull

    world = archived(tmp_path / "world", "1")
    writable(world.root / "archive")
    flip(world.root / "archive/churn/1/data/artefact/weights.bin")

    def full(*_: object) -> bool:
        raise DiskFull("no room")

    with monkeypatch.context() as patch:
        patch.setattr(LedgerFiles, "append", full)
        text, done = here(world)("drill"), here(world)("--json", "drill")
    assert (text.status, done.status) == (8, 8)
    assert "FAILED    churn@1" in text.out
    assert "MR-X001" in text.err
    assert done.document["unrecorded"]["code"] == "MR-X001"
    assert (done.document["changed"], done.document["events"]) == (False, [])
    assert world.as_().verify().findings


@pytest.mark.slow
def test_what_a_killed_drill_left_goes_with_the_next_one(tmp_path: Path, temporary: Path) -> None:
    world = archived(tmp_path / "world", "1")
    dead, young, foreign = (temporary / f".mreg-tmp-drill-{name}" for name in ("dead", "young", "foreign"))
    for place in (dead, young, foreign):
        (place / "x").mkdir(parents=True)
        (place / "x" / "model.bin").write_bytes(b"m")
    for place in (dead, young):
        (place / "lock").touch()
    link = temporary / ".mreg-tmp-drill-link"
    link.symlink_to(tmp_path)
    for place in (dead, foreign):
        os.utime(place, (1, 1))
    assert world.as_().drill().ok
    assert sorted(temporary.iterdir()) == sorted([young, foreign, link])
    assert world.root.is_dir()


@pytest.mark.slow
def test_many_problems_are_counted_and_the_first_are_kept(tmp_path: Path) -> None:
    world = World(tmp_path / "world", risk="minimal", leads=NO_LEADS)
    source = tmp_path / "many"
    source.mkdir()
    for number in range(50):
        (source / f"{number:02d}.bin").write_bytes(bytes([number]))
    world.as_().register("churn", "1", source)
    world.as_().archive("churn@1", reason="old")
    writable(world.root / "archive")
    for path in (world.root / "archive/churn/1/data/artefact").iterdir():
        path.write_bytes(b"other")
    done = here(world)("--json", "drill")
    (outcome,) = done.document["versions"]
    assert outcome["count"] == len(outcome["problems"]) > 100
    kept = event(world.root, events_in(world.root))["data"]["versions"][0]
    assert (kept["count"], len(kept["problems"])) == (outcome["count"], 20)
    assert "and " in here(world)("drill").out
    assert [one.code for one in world.as_().verify().findings if one.code == "MR-L002"] == []


def test_names_that_would_play_with_a_terminal_are_harmless(tmp_path: Path) -> None:
    world = archived(tmp_path / "world", "1")
    writable(world.root / "archive")
    (world.root / "archive/churn/1/data/artefact/a\x1b[2Jb\n").write_text("x")
    done = here(world)("drill")
    assert done.status == 4
    assert "\x1b" not in done.out
    kept = event(world.root, events_in(world.root))
    assert "\x1b" not in json.dumps(kept, ensure_ascii=False)
