"""From a lost key to the next promotion: with another lead, with the recovery key, and with nothing at all."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from world import LEAD, LEAD2, SME, World

from manual_registry.adapters.keys import generate_ed25519
from manual_registry.core.errors import LastLead, RegistryError
from manual_registry.registry import Registry

NEW = "lead+2026@example.org"


def key(world: World, name: str) -> Path:
    if not world.key(name).exists():
        generate_ed25519(world.key(name), name)
    return world.public(name)


def signs(world: World, who: str) -> dict[str, Any]:
    return {"as_": who, "key": world.key(who)}


def test_the_other_lead_revokes_the_lost_key_and_enrols_a_new_one(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.to_staging("1")
    lead2 = world.as_(LEAD2)
    lead2.approver_add(f"Lead <{NEW}>", role="ai-governance-lead", public_key=key(world, NEW), **signs(world, LEAD2))
    lead2.approver_revoke(LEAD, reason="key lost", **signs(world, LEAD2))
    world.approve("churn@1", "production", lead=NEW)
    world.promote("churn@1", "production")
    assert world.as_().verify().ok


def test_the_recovery_key_when_the_only_lead_lost_theirs(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.mkdir()
    for name in (LEAD, SME, "recovery", NEW, "ci"):
        generate_ed25519(keys / name, name)
    root = tmp_path / "registry"
    made = Registry.init(
        root,
        risk="high",
        leads=[(f"Lead <{LEAD}>", keys / f"{LEAD}.pub")],
        recovery_key=keys / "recovery.pub",
        actor=SME,
    )
    assert not any("no recovery key" in one for one in made.warnings)
    registry = Registry.open(root, actor=SME)
    with pytest.raises(LastLead):
        registry.approver_revoke(LEAD, reason="lost", as_=LEAD, key=keys / LEAD)
    (keys / LEAD).unlink()
    with pytest.raises(RegistryError):  # nobody's key but the pinned one
        registry.approver_recover(f"Lead <{NEW}>", public_key=keys / f"{NEW}.pub", recovery_key=keys / SME)
    done = registry.approver_recover(f"Lead <{NEW}>", public_key=keys / f"{NEW}.pub", recovery_key=keys / "recovery")
    assert any("tell everyone" in one for one in done.warnings)
    again = registry.approver_recover(f"Lead <{NEW}>", public_key=keys / f"{NEW}.pub", recovery_key=keys / "recovery")
    assert (done.changed, again.changed) == (True, False)
    sign: dict[str, Any] = {"as_": NEW, "key": keys / NEW}
    registry.approver_revoke(LEAD, reason="key lost", **sign)
    registry.pipeline_add("ci", public_key=keys / "ci.pub", **sign)
    people = {one["email"]: one for one in registry.approver_list()}
    assert people[NEW]["added_by"] == "recovery"
    assert people[LEAD]["reason"] == "key lost"
    assert registry.verify().ok


def test_one_lead_without_a_recovery_key_is_warned(tmp_path: Path) -> None:
    generate_ed25519(tmp_path / "lead", LEAD)
    made = Registry.init(tmp_path / "r", risk="high", leads=[(f"Lead <{LEAD}>", tmp_path / "lead.pub")], actor=SME)
    assert any("one lead only" in one and "no recovery key" in one for one in made.warnings)


def test_without_any_usable_key_a_new_registry_goes_on(tmp_path: Path) -> None:
    world = World(tmp_path / "old", leads=(LEAD,))
    world.to_staging("1")
    old = world.as_()
    with pytest.raises(RegistryError, match="no recovery key"):
        key(world, NEW)
        old.approver_recover(f"Lead <{NEW}>", public_key=world.public(NEW), recovery_key=world.key(NEW))
    before = sorted(path.name for path in world.root.rglob("*"))
    root = tmp_path / "new"
    leads = [(f"Lead <{NEW}>", key(world, NEW))]
    Registry.init(root, risk="high", leads=leads, continues=world.root, actor=SME)
    assert sorted(path.name for path in world.root.rglob("*")) == before
    fresh = Registry.open(root, actor=SME)
    head = {"seq": old.head[0], "hash": old.head[1]}
    pinned = fresh.status()["continues"]
    assert {**head, "registry": old.status()["registry_id"], "place": "registry"} == pinned
    told = [one.message for one in fresh.verify().findings if one.code == "MR-F060"]
    assert len(told) == 1 and head["hash"] in told[0]
    assert old.verify(anchor=f"{head['seq']}:{head['hash']}").ok
    # The next promotion, in the new one.
    lead: dict[str, Any] = {"as_": NEW, "key": world.key(NEW)}
    fresh.pipeline_add("ci", public_key=world.public("ci"), **lead)
    fresh.register("churn", "1", world.artefact("1"), metadata=world.metadata())
    identifier = fresh.approval_request("churn@1", to="staging").id or ""
    fresh.approval_sign(identifier, **lead)
    fresh.promote("churn@1", to="staging", reason="again", pipeline="ci", pipeline_key=world.key("ci"))
    history = next(link for link in fresh.trace("churn@1").links if link.kind == "history")
    assert head["hash"] in history.summary
    assert fresh.verify().ok


@pytest.mark.slow
def test_a_stolen_key_and_what_was_signed_with_it(tmp_path: Path) -> None:
    world = World(tmp_path, now=datetime(2026, 11, 2, 8, 0, tzinfo=UTC))
    world.to_production("1")
    world.later(days=3)
    thief_was_here = world.clock()
    world.later(hours=1)
    world.to_staging("2")
    world.approve("churn@2", "production", lead=LEAD)
    world.promote("churn@2", "production")
    world.later(hours=1)
    sign = signs(world, LEAD2)
    world.as_(LEAD2).approver_revoke(LEAD, reason="stolen", compromised_since=thief_was_here.isoformat(), **sign)
    found = [one for one in world.as_().verify().findings if one.code == "MR-S030"]
    assert {one.severity.value for one in found} == {"error", "warning"}  # churn@2 stands on it; its staging is over
    world.register("3")
    for to in ("staging", "production"):
        world.approve("churn@3", to, lead=LEAD2)
        world.promote("churn@3", to)
    assert world.as_().verify().ok
