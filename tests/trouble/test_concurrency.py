"""Several real processes write to one registry at once: nothing is lost, nothing stands twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from trouble import Ended, assert_whole, together
from world import LEAD, LEAD2, SME, World

from manual_registry.core.values import Stage
from manual_registry.registry import Registry

MANY = 8


def register(world: World, version: str, source: Path) -> list[str]:
    return [
        "--actor",
        SME,
        "--json",
        "register",
        world.model,
        version,
        str(source),
        "--metadata",
        str(world.metadata()),
    ]


def answers(ended: list[Ended], *, status: int = 0) -> list[dict[str, object]]:
    assert [one.status for one in ended] == [status] * len(ended), [one.err for one in ended]
    return [json.loads(one.out) for one in ended]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "world")


def test_eight_versions_at_once(world: World, tmp_path: Path) -> None:
    commands = [register(world, f"1.{number}", world.artefact(f"1.{number}")) for number in range(MANY)]
    made = answers(together(world.root, commands, at=tmp_path / "gate"))
    assert {one["version"] for one in made} == {f"1.{number}" for number in range(MANY)}
    assert all(one["changed"] for one in made)
    assert len(world.as_().list()) == MANY
    assert world.as_().head[0] == 2 + MANY  # created, pipeline, and one event each
    assert_whole(world.root)


@pytest.mark.slow
def test_eight_times_next(world: World, tmp_path: Path) -> None:
    commands = [register(world, "next", world.artefact(f"x{number}")) for number in range(MANY)]
    made = answers(together(world.root, commands, at=tmp_path / "gate"))
    assert {one["version"] for one in made} == {str(number) for number in range(1, MANY + 1)}
    artefacts = {path.read_bytes() for path in world.root.glob("models/churn/*/artefact/*")}
    assert artefacts == {f"model x{number}".encode() for number in range(MANY)}
    assert_whole(world.root)


@pytest.mark.slow
def test_the_same_version_eight_times(world: World, tmp_path: Path) -> None:
    commands = [register(world, "1", world.artefact("1"))] * MANY
    made = answers(together(world.root, commands, at=tmp_path / "gate"))
    assert sorted(one["changed"] is True for one in made) == [False] * (MANY - 1) + [True]
    assert len({one["composite_id"] for one in made}) == 1
    assert world.as_().head[0] == 3
    assert_whole(world.root)


@pytest.mark.slow
def test_one_version_with_eight_contents(world: World, tmp_path: Path) -> None:
    (tmp_path / "sources").mkdir()
    sources = [tmp_path / "sources" / f"{number}.bin" for number in range(MANY)]
    for number, source in enumerate(sources):
        source.write_bytes(b"content %d" % number)
    ended = together(world.root, [register(world, "1", source) for source in sources], at=tmp_path / "gate")
    assert sorted(one.status for one in ended) == [0] + [6] * (MANY - 1), [one.err for one in ended]
    won = next(number for number, one in enumerate(ended) if one.status == 0)
    for one in ended:
        if one.status:
            error = json.loads(one.err)["error"]
            assert error["code"] == "MR-C001", error
            assert "content" in error["message"] or "artefact" in error["message"], error
            assert one.out == ""
    (kept,) = world.root.glob("models/churn/1/artefact/*")
    assert kept.read_bytes() == sources[won].read_bytes()
    assert_whole(world.root)


def approved(world: World, *versions: str) -> None:
    for version in versions:
        world.to_staging(version)
    for version in versions:
        world.approve(f"{world.model}@{version}", "production")


def promotion(world: World, version: str) -> list[str]:
    words = [
        "--actor",
        "ci@example.org",
        "--json",
        "promote",
        f"{world.model}@{version}",
        "--to",
        "production",
        "--reason",
        "it is better",
    ]
    return [*words, "--pipeline", "ci", "--pipeline-key", str(world.key("ci"))]


@pytest.mark.parametrize("risk", ["high", "limited"])
def test_two_promotions_to_production_at_once(tmp_path: Path, risk: str) -> None:
    """Both approvals were given while nothing was in production; only one of them still is true for the second."""
    world = World(tmp_path / "world", risk=risk)
    approved(world, "1", "2")
    before = world.as_().head[0]
    ended = together(world.root, [promotion(world, "1"), promotion(world, "2")], at=tmp_path / "gate")
    assert sorted(one.status for one in ended) == [0, 9], [one.err for one in ended]
    lost = next(number for number, one in enumerate(ended) if one.status) + 1
    error = json.loads(ended[lost - 1].err)["error"]
    assert "replaces" in error["message"], error
    assert error["details"]["next"], error
    stages = {row["version"]: row["stage"] for row in world.as_().list()}
    assert stages == {str(lost): Stage.STAGING.value, str(3 - lost): Stage.PRODUCTION.value}
    assert world.as_().head[0] == before + 1
    assert_whole(world.root)


def test_two_stagings_at_once_both_stand(world: World, tmp_path: Path) -> None:
    for version in ("1", "2"):
        world.register(version)
        world.approve(f"churn@{version}", "staging")
    commands = [
        [word if word != "production" else "staging" for word in promotion(world, version)] for version in ("1", "2")
    ]
    answers(together(world.root, commands, at=tmp_path / "gate"))
    assert {row["stage"] for row in world.as_().list()} == {"staging"}
    assert_whole(world.root)


@pytest.mark.parametrize("turn", range(2))
def test_a_lead_revoked_while_another_writer_promotes(world: World, tmp_path: Path, turn: int) -> None:
    approved(world, "1")
    revoke = [
        "--actor",
        LEAD2,
        "--json",
        "approver",
        "revoke",
        LEAD,
        "--reason",
        "left",
        "--as",
        LEAD2,
        "--key",
        str(world.key(LEAD2)),
        "--yes",
    ]
    order = [revoke, promotion(world, "1")]
    revoked, promoted = together(world.root, order, at=tmp_path / "gate")
    assert revoked.status == 0, revoked.err
    kinds = [event["type"] for event in world.as_().history()]
    if promoted.status == 0:
        assert kinds[-2:] == ["version.promoted", "roster.revoked"]
        assert world.as_().show("churn@1")["stage"] == "production"
    else:
        assert promoted.status == 3, promoted.err
        assert "revoked" in json.loads(promoted.err)["error"]["message"]
        assert kinds[-1] == "roster.revoked"
        assert world.as_().show("churn@1")["stage"] == "staging"
    assert_whole(world.root)


@pytest.mark.slow
def test_writers_of_every_kind_at_once(world: World, tmp_path: Path) -> None:
    """Registrations, notes, tags, attachments, deployments, an archiving, approvals: one chain holds them all."""
    world.register("1")
    world.to_staging("2")
    (tmp_path / "extra.txt").write_text("evidence")
    act = ["--actor", SME, "--json"]
    commands = [
        register(world, "9", world.artefact("9")),
        register(world, "next", world.artefact("y")),
        [*act, "note", "churn@1", "a word"],
        [*act, "tag", "churn@1", "a=b"],
        [*act, "attach", "churn@1", "--evidence", str(tmp_path / "extra.txt")],
        [*act, "deploy", "churn@2", "--environment", "test"],
        [*act, "approval", "request", "churn@2", "--to", "production"],
        [*act, "alias", "set", "churn", "best", "2"],
    ]
    made = answers(together(world.root, commands, at=tmp_path / "gate"))
    assert all(one["changed"] for one in made)
    assert len({tuple(one["events"]) for one in made}) == len(commands)  # type: ignore[arg-type]
    shown = world.as_().show("churn@1")
    assert shown["notes"][0]["text"] == "a word"
    assert shown["tags"] == {"a": "b"}
    assert_whole(world.root)


def test_two_processes_make_a_registry_in_one_place(tmp_path: Path) -> None:
    """One makes it; the other one is told, and spoils nothing."""
    place = tmp_path / "place"
    place.mkdir()
    words = ["--actor", SME, "--json", "init", str(place), "--risk", "minimal", "--system"]
    ended = together(None, [[*words, "first"], [*words, "second"]], at=tmp_path / "gate", cwd=place)
    assert sorted(one.status for one in ended) == [0, 6], [one.err for one in ended]
    won = next(name for name, one in zip(("first", "second"), ended, strict=True) if one.status == 0)
    registry = Registry.open(place, actor=SME)
    assert registry.status()["system"] == won
    (tmp_path / "model.bin").write_bytes(b"m")
    registry.register("churn", "1", tmp_path / "model.bin")
    assert_whole(place)
