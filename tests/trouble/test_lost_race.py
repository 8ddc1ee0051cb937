"""Another machine writes between the decision and the write, and no lock holds it back: only put-if-absent does.

The write lock is patched to nothing; ``slips`` lets somebody else act at the moment in which an event is to be written.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from trouble import assert_whole, leftovers, tree
from world import LEAD, LEAD2, World

from manual_registry.adapters.ledger_files import LedgerFiles
from manual_registry.adapters.locks import WriteLock
from manual_registry.core.canonical import parse
from manual_registry.core.errors import (
    ApprovalWanted,
    ApproverUnfit,
    LostRace,
    NoNextVersion,
    RegistryError,
    StorageUnexpected,
    VersionTaken,
)
from manual_registry.core.ledger import Event
from manual_registry.registry import recovery, workspace

Slips = Callable[..., None]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "world")


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Pauses that were asked for; none is made."""
    found: list[float] = []
    monkeypatch.setattr(time, "sleep", found.append)
    return found


@pytest.fixture
def slips(monkeypatch: pytest.MonkeyPatch, pauses: list[float]) -> Slips:
    """Return a function; what it is handed happens, one after the other, just before the next events are written."""
    acts: list[Callable[[], Any]] = []
    inside = [False]
    append = LedgerFiles.append

    def before(files: LedgerFiles, event: Event) -> bool:
        if acts and not inside[0]:
            inside[0] = True
            try:
                acts.pop(0)()
            finally:
                inside[0] = False
        return append(files, event)

    monkeypatch.setattr(LedgerFiles, "append", before)
    monkeypatch.setattr(WriteLock, "__enter__", lambda self: self)
    monkeypatch.setattr(WriteLock, "__exit__", lambda self, *_: None)
    return lambda *what: acts.extend(what)


def event(world: World, seq: int) -> dict[str, Any]:
    found = parse(world.ledger(seq).read_bytes())
    assert isinstance(found, dict)
    return found


def signed_position(statement: str) -> tuple[int, str]:
    found: Any = parse(statement.encode())
    ledger = found["predicate"]["ledger"]
    return ledger["seq"], ledger["hash"]


def test_a_note_is_written_behind_the_other_one(world: World, slips: Slips, pauses: list[float]) -> None:
    world.register()
    slips(lambda: world.as_("other@example.org").note("churn@1", "theirs"))
    result = world.as_().note("churn@1", "mine")
    assert result.events == (5,)
    assert event(world, 4)["data"]["text"] == "theirs"
    assert event(world, 5)["data"]["text"] == "mine"
    assert len(pauses) == 1
    assert_whole(world.root)


def test_a_promotion_is_signed_again_over_the_new_head(world: World, slips: Slips) -> None:
    world.to_staging("1")
    world.approve("churn@1", "production")
    before = world.as_().head
    slips(
        lambda: world.as_("other@example.org").note("churn@1", "first"),
        lambda: world.as_("other@example.org").note("churn@1", "second"),
    )
    result = world.promote("churn@1", "production")
    assert result.events == (before[0] + 3,)
    made = event(world, before[0] + 3)
    assert signed_position(made["data"]["promotion"]["statement"]) == (before[0] + 2, made["prev"])
    assert_whole(world.root)


def test_an_approval_is_signed_again(world: World, slips: Slips) -> None:
    world.register()
    asked = world.as_().approval_request("churn@1", to="staging").id or ""
    slips(lambda: world.as_("other@example.org").note("churn@1", "first"))
    result = world.as_(LEAD).approval_sign(asked, as_=LEAD, key=world.key(LEAD))
    made = event(world, result.events[0])
    assert signed_position(made["data"]["statement"]) == (result.events[0] - 1, made["prev"])
    world.promote("churn@1", "staging")
    assert_whole(world.root)


def test_a_control_statement_is_signed_again(world: World, slips: Slips) -> None:
    world.register()
    slips(lambda: world.as_("other@example.org").note("churn@1", "first"))
    result = world.as_(LEAD).approver_revoke(LEAD2, reason="left", as_=LEAD, key=world.key(LEAD))
    made = event(world, result.events[0])
    assert signed_position(made["data"]["control"]["statement"]) == (result.events[0] - 1, made["prev"])
    assert_whole(world.root)


def test_an_approval_request_gets_the_number_of_its_event(world: World, slips: Slips) -> None:
    world.register()
    slips(lambda: world.as_("other@example.org").note("churn@1", "first"))
    result = world.as_().approval_request("churn@1", to="staging")
    assert result.id == f"A{result.events[0]}" == "A5"
    assert_whole(world.root)


def test_a_registration_behind_another_one(world: World, slips: Slips) -> None:
    slips(lambda: world.register("2"))
    assert world.register("1").events == (4,)
    assert [row["version"] for row in world.as_().list()] == ["2", "1"]
    assert_whole(world.root)


@pytest.mark.parametrize("theirs", ["rc1", "alias"])
def test_a_version_taken_in_between_is_refused_and_taken_back(world: World, slips: Slips, theirs: str) -> None:
    world.register("0")
    if theirs == "alias":
        slips(lambda: world.as_("other@example.org").alias_set("churn", "RC1", "0"))
    else:
        slips(lambda: world.register("rc1"))
    with pytest.raises(RegistryError) as refused:
        world.register("RC1")
    assert refused.value.exit_status in (6, 7), refused.value
    assert not (world.root / "models/churn/RC1").exists()
    assert leftovers(world.root) == []
    world.as_().note("churn@0", "the registry goes on")
    assert {row["version"] for row in world.as_().list()} == ({"0"} if theirs == "alias" else {"0", "rc1"})
    assert_whole(world.root)


def test_what_the_other_one_placed_is_left_alone(world: World, slips: Slips) -> None:
    """Both want churn@1: the second finds the first one's directory, and neither takes the other's."""
    refused: list[RegistryError] = []

    def other() -> None:
        with pytest.raises(StorageUnexpected) as found:
            world.as_("other@example.org").register("churn", "1", world.artefact("other"), metadata=world.metadata())
        refused.append(found.value)

    slips(other)
    assert world.register("1").events == (3,)
    assert refused
    assert leftovers(world.root) == [], "neither leaves anything"
    (kept,) = world.root.glob("models/churn/1/artefact/*")
    assert kept.read_bytes() == b"model 1"
    with pytest.raises(VersionTaken):
        world.as_("other@example.org").register("churn", "1", world.artefact("other"), metadata=world.metadata())
    assert_whole(world.root)


def test_two_promotions_in_between(world: World, slips: Slips) -> None:
    for version in ("1", "2"):
        world.to_staging(version)
    for version in ("1", "2"):
        world.approve(f"churn@{version}", "production")
    slips(lambda: world.promote("churn@2", "production"))
    with pytest.raises(RegistryError) as refused:
        world.promote("churn@1", "production")
    assert any(isinstance(one, ApprovalWanted) and "replaces" in one.message for one in refused.value.reasons), (
        refused.value.reasons
    )
    assert refused.value.exit_status == 9
    assert {row["version"]: row["stage"] for row in world.as_().list()} == {"1": "staging", "2": "production"}
    assert_whole(world.root)


def test_a_lead_revoked_in_between(world: World, slips: Slips) -> None:
    world.to_staging("1")
    world.approve("churn@1", "production")
    slips(lambda: world.as_(LEAD2).approver_revoke(LEAD, reason="left", as_=LEAD2, key=world.key(LEAD2)))
    with pytest.raises(ApproverUnfit, match="revoked"):
        world.promote("churn@1", "production")
    assert world.as_().show("churn@1")["stage"] == "staging"
    assert_whole(world.root)


def test_an_artefact_attached_to_in_between_makes_the_approval_lapse(
    world: World, slips: Slips, tmp_path: Path
) -> None:
    world.to_staging("1")
    world.approve("churn@1", "production")
    (tmp_path / "late.txt").write_text("new evidence")
    slips(lambda: world.as_("other@example.org").attach("churn@1", evidence=[tmp_path / "late.txt"]))
    with pytest.raises(RegistryError) as refused:
        world.promote("churn@1", "production")
    assert refused.value.exit_status in (3, 9)
    assert world.as_().show("churn@1")["stage"] == "staging"
    assert_whole(world.root)


def test_evidence_is_taken_back_when_the_field_was_filled_in_between(
    world: World, slips: Slips, tmp_path: Path
) -> None:
    world.register("1", environment=None)
    for name in ("ours", "theirs"):
        (tmp_path / f"{name}.lock").write_text(name)
    slips(lambda: world.as_("other@example.org").attach("churn@1", environment=tmp_path / "theirs.lock"))
    with pytest.raises(RegistryError) as refused:
        world.as_().attach("churn@1", environment=tmp_path / "ours.lock")
    assert "environment" in refused.value.message
    assert [path.name for path in world.root.glob("models/churn/1/evidence/environment/*")] == ["theirs.lock"]
    assert_whole(world.root)


def test_a_move_goes_behind_another_event(world: World, slips: Slips) -> None:
    world.register("1")
    other = world.as_("other@example.org")
    slips(lambda: other.note("churn@1", "before archiving"), lambda: other.note("churn@1", "before the move"))
    world.as_().archive("churn@1", reason="old")
    assert (world.root / "archive/churn/1/data/artefact").is_dir()
    assert not (world.root / "models/churn/1").exists()
    assert_whole(world.root)


def test_a_copy_back_goes_behind_another_event(world: World, slips: Slips, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other machine honours the lock of this job, which lies beside the copy."""
    monkeypatch.setattr(recovery, "end_moves", lambda work, loaded: None)
    world.register("1")
    world.as_().archive("churn@1", reason="old")
    slips(lambda: world.as_("other@example.org").note("churn@1", "behind this"))
    result = world.as_().unarchive("churn@1", reason="needed")
    assert result.changed
    assert (world.root / "models/churn/1/artefact").is_dir()
    assert_whole(world.root)


def test_always_slower(world: World, monkeypatch: pytest.MonkeyPatch, pauses: list[float]) -> None:
    """The pauses grow to about a second and are never equal; in the end the command gives up and takes all back."""
    monkeypatch.setattr(LedgerFiles, "append", lambda _self, _event: False)
    before = tree(world.root)
    with pytest.raises(LostRace) as lost:
        world.register("1")
    assert lost.value.exit_status == 6
    assert len(pauses) == workspace.ATTEMPTS
    assert all(0 < pause <= 1.0 for pause in pauses)
    assert len(set(pauses)) > workspace.ATTEMPTS // 2
    assert max(pauses[:2]) <= 0.04
    assert max(pauses[-20:]) > 0.3
    assert tree(world.root) == before
    assert leftovers(world.root) == []


def test_two_real_writers_without_a_lock(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads, no write lock at all: put-if-absent alone keeps the chain whole."""
    from concurrent.futures import ThreadPoolExecutor

    world.register("1")
    monkeypatch.setattr(WriteLock, "__enter__", lambda self: self)
    monkeypatch.setattr(WriteLock, "__exit__", lambda self, *_: None)
    monkeypatch.setattr("manual_registry.registry.views.publish", lambda work, loaded: None)

    def write(number: int) -> None:
        registry = world.as_(f"writer{number}@example.org")
        for turn in range(10):
            registry.note("churn@1", f"{number}.{turn}")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    monkeypatch.undo()
    texts = [one["text"] for one in world.as_().show("churn@1")["notes"]]
    assert sorted(texts) == sorted(f"{number}.{turn}" for number in range(4) for turn in range(10))
    for number in range(4):
        own = [text for text in texts if text.startswith(f"{number}.")]
        assert own == [f"{number}.{turn}" for turn in range(10)]
    world.as_().note("churn@1", "and the views catch up")
    assert_whole(world.root)


def test_next_is_not_taken_for_a_number_that_went_away(world: World) -> None:
    """`next` is counted under the lock, from the state that the event is decided on."""
    world.register("beta")
    with pytest.raises(NoNextVersion):
        world.as_().register("churn", "next", world.artefact("x"), metadata=world.metadata())
    assert leftovers(world.root) == []
