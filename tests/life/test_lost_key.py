"""From a lost key to the next promotion: with another lead, with the recovery key, and with nothing at all."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from world import LEAD, LEAD2, SME, World, gate

from manual_registry.adapters.keys import generate_ed25519
from manual_registry.core.errors import (
    ApproverUnknown,
    IdentityTaken,
    KeyTaken,
    LastLead,
    PipelineBad,
    PipelineMissing,
    RegistryError,
    UsageError,
)
from manual_registry.core.events import RECOVERED
from manual_registry.core.ledger import Draft, seal
from manual_registry.core.times import stamp
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
    world.to_staging("1")
    world.approve("churn@1", "production", lead=LEAD2)  # the other lead's signature shows what was there before
    world.promote("churn@1", "production")
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


def test_the_same_person_goes_on_with_a_new_key(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.to_production("1")
    lead2, old = world.as_(LEAD2), world.public(LEAD)
    fresh: dict[str, Any] = {"role": "ai-governance-lead", "public_key": key(world, "fresh")}
    with pytest.raises(IdentityTaken, match="once the old one is revoked"):
        lead2.approver_add(f"Lead <{LEAD}>", **fresh, **signs(world, LEAD2))
    lead2.approver_revoke(LEAD, reason="key lost", **signs(world, LEAD2))
    with pytest.raises(KeyTaken):
        lead2.approver_add(f"Lead <{LEAD}>", role="technical-sme", public_key=old, **signs(world, LEAD2))
    lead2.approver_add(f"Lead <{LEAD}>", **fresh, **signs(world, LEAD2))
    lines = [one for one in (world.root / "allowed_signers").read_text().splitlines() if one.startswith(f"{LEAD} ")]
    assert ["valid-before" in one for one in lines] == [True, False]
    assert [one["revoked_at"] is None for one in lead2.approver_list() if one["email"] == LEAD] == [False, True]
    world.register("2")
    identifier = world.as_().approval_request("churn@2", to="staging").id or ""
    with pytest.raises(RegistryError):
        world.as_(LEAD).approval_sign(identifier, as_=LEAD, key=world.key(LEAD))
    world.as_(LEAD).approval_sign(identifier, as_=LEAD, key=world.key("fresh"))
    world.promote("churn@2", "staging")
    assert world.as_().verify().ok
    assert [one.status.value for one in world.as_().trace("churn@1").links if one.kind == "approval"] == ["verified"]


def test_the_recovery_key_replaces_the_lost_key_of_the_only_lead(tmp_path: Path) -> None:
    for name in (LEAD, "recovery", "fresh"):
        generate_ed25519(tmp_path / name, name)
    root = tmp_path / "registry"
    leads = [(f"Lead <{LEAD}>", tmp_path / f"{LEAD}.pub")]
    Registry.init(root, risk="high", leads=leads, recovery_key=tmp_path / "recovery.pub", actor=SME)
    registry = Registry.open(root, actor=SME)
    new: dict[str, Any] = {"public_key": tmp_path / "fresh.pub", "recovery_key": tmp_path / "recovery"}
    done = registry.approver_recover(f"Lead <{LEAD}>", **new)
    assert any("former key is revoked" in one for one in done.warnings)
    assert not registry.approver_recover(f"Lead <{LEAD}>", **new).changed
    who: dict[str, Any] = {"as_": LEAD, "role": "technical-sme"}
    generate_ed25519(tmp_path / "sme", SME)
    who["public_key"] = tmp_path / "sme.pub"
    with pytest.raises(RegistryError):
        registry.approver_add(f"Sme <{SME}>", key=tmp_path / LEAD, **who)
    registry.approver_add(f"Sme <{SME}>", key=tmp_path / "fresh", **who)
    assert registry.verify().ok
    # It was stolen, it turns out: said of the former key; the new one goes on.
    stolen = registry.approver_list()[0]
    since = stolen["since"]
    sign: dict[str, Any] = {"as_": LEAD, "key": tmp_path / "fresh"}
    what: dict[str, Any] = {"reason": "stolen", "compromised_since": since, **sign}
    with pytest.raises(IdentityTaken, match="revoke it"):
        registry.approver_revoke(LEAD, former_key=registry.approver_list()[1]["fingerprint"], **what)
    with pytest.raises(ApproverUnknown, match="never had"):
        registry.approver_revoke(LEAD, former_key="SHA256:nothing", **what)
    with pytest.raises(UsageError, match="--compromised-since"):
        registry.approver_revoke(LEAD, reason="stolen", former_key=stolen["fingerprint"], **sign)
    seq = registry.head[0]
    assert registry.approver_revoke(LEAD, former_key=stolen["fingerprint"], **what).changed
    assert not registry.approver_revoke(LEAD, former_key=stolen["fingerprint"], **what).changed
    assert registry.head[0] == seq + 1
    assert [one["compromised_since"] for one in registry.approver_list() if one["email"] == LEAD] == [since, None]
    assert "a former key" in registry.history()[-1]["summary"]
    assert registry.verify().ok


def test_a_pipeline_is_given_a_new_key(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.to_production("1")
    sign = signs(world, LEAD2)
    world.as_(LEAD2).pipeline_revoke("ci", reason="rotated", **sign)
    world.as_(LEAD2).pipeline_add("ci", public_key=key(world, "ci2"), **sign)
    assert [one["revoked_at"] is None for one in world.as_().pipeline_list()] == [False, True]
    world.register("2")
    world.approve("churn@2", "staging")
    with pytest.raises(PipelineMissing, match="--pipeline-key"):
        world.as_().promote("churn@2", to="staging", pipeline="ci")
    world.as_().promote("churn@2", to="staging", pipeline="ci", pipeline_key=world.key("ci2"))
    with pytest.raises(PipelineBad):
        world.approve("churn@2", "production")
        world.promote("churn@2", "production")
    assert world.as_().verify().ok


def test_a_forged_recovery_takes_nobodys_place(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.register("1")
    world.approve("churn@1", "staging")
    state = world.as_()
    seq, head = state.head
    data = {"name": "Eve", "key": " ".join(key(world, "eve").read_text().split()[:2])}
    control = {"signer": "recovery", "statement": "{}", "signature": "none"}
    draft = Draft(type=RECOVERED, subject={"approver": LEAD}, data={**data, "control": control})
    event = seal(draft, seq=seq + 1, prev=head, at=stamp(world.clock()), actor=SME)
    world.ledger(seq + 1).write_bytes(event.raw)
    found = world.as_().verify()
    assert {one.location for one in found.findings if one.severity.value == "error"} == {f"ledger/{seq + 1:012d}.json"}


def test_trace_and_the_lists_say_what_verify_says_of_a_stolen_key(tmp_path: Path) -> None:
    world = World(tmp_path, now=datetime(2026, 11, 2, 8, 0, tzinfo=UTC))
    ref = world.to_staging("1")
    identifier = world.approve(ref, "production")
    world.promote(ref, "production")
    stolen = world.clock()
    world.later(hours=1)
    assert not world.as_().trace(ref).broken
    sign = signs(world, LEAD2)
    world.as_(LEAD2).approver_revoke(LEAD, reason="stolen", compromised_since=stolen.isoformat(), **sign)
    registry = world.as_()
    assert any(one.code == "MR-S030" and one.severity.value == "error" for one in registry.verify().findings)
    for hashed in (True, False):
        told = registry.trace(ref, hash=hashed)
        link = next(one for one in told.links if one.kind == "approval")
        assert (link.status.value, told.broken, told.verified) == ("broken", True, False)
        assert "compromised" in link.summary
        assert "NOTHING can rest on it" in told.paragraph
    assert any("compromised" in one for one in registry.approval_show(identifier)["problems"])
    row = next(one for one in registry.approval_list() if one["id"] == identifier)
    assert any("compromised" in one for one in row["problems"])
    assert any("compromised" in one for one in registry.status()["overdue"])


def test_trace_names_the_exception_and_says_that_it_ended(tmp_path: Path) -> None:
    world = World(tmp_path, now=datetime(2026, 11, 2, 8, 0, tzinfo=UTC))
    low = gate("fairness", value=0.5, lower=0.4, passed=False)
    world.register("1", gates=[gate("performance"), low, gate("security")])
    texts = {"severity": "low", "justification": "a pilot", "controls": "watched", "remediation": "retrain"}
    days = {"expires": "2026-11-05", "remediation_date": "2026-11-05", "root_cause": "little data"}
    world.as_(LEAD).exception_grant("churn@1", gate="fairness", **texts, **days, **signs(world, LEAD))
    for to in ("staging", "production"):
        world.approve("churn@1", to)
        world.promote("churn@1", to)
    told = world.as_().trace("churn@1")
    assert not told.broken
    assert f"Its fairness gate did NOT pass: {LEAD} let it through until 2026-11-05" in told.paragraph
    world.later(days=5)
    ended = world.as_().trace("churn@1")
    link = next(one for one in ended.links if one.kind == "gates")
    assert (link.status.value, ended.broken) == ("broken", True)
    assert "MR-P062" in link.summary and "which ended on 2026-11-05" in ended.paragraph
    assert world.as_().trace("churn", at="2026-11-02").broken  # it is in production still
