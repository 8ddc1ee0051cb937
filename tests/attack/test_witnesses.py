"""Files that somebody laid into approvals/: `verify` tells them, and only what is truly signed stops a writer (RP-13)."""

from __future__ import annotations

from typing import Any

import pytest
from attacker import MALLORY, Scene
from world import LEAD, LEAD2

from manual_registry.adapters import memory
from manual_registry.core.canonical import dump, parse
from manual_registry.core.errors import HeadUnknown, RegistryError
from manual_registry.core.statements import APPROVAL_NAMESPACE, PROMOTION_NAMESPACE

STRAY = "approvals/churn/3/A999.json"


def statement(scene: Scene) -> bytes:
    """A statement that names a head which this ledger does not contain."""
    found: Any = parse(scene.statement(scene.requested("5", "staging"), LEAD))
    found["predicate"]["ledger"] = {"seq": scene.head + 50, "hash": "sha256:" + "ab" * 32}
    return dump(found)


@pytest.mark.parametrize(
    "signature", ["none", "garbage", "a stranger's", "in another namespace", "over something else"]
)
def test_what_nobody_of_the_roster_signed_stops_no_writer(scene: Scene, signature: str) -> None:
    line = statement(scene)
    made = {
        "none": None,
        "garbage": "-----BEGIN SSH SIGNATURE-----\n",
        "a stranger's": scene.sign(MALLORY, line, APPROVAL_NAMESPACE),
        "in another namespace": scene.sign(LEAD, line, PROMOTION_NAMESPACE),
        "over something else": scene.sign(LEAD, line + b" ", APPROVAL_NAMESPACE),
    }[signature]
    (scene.root / STRAY).write_bytes(line)
    if made is not None:
        (scene.root / f"{STRAY}.sig").write_text(made, encoding="ascii")
    assert scene.as_().note("churn@2", "work goes on").changed
    assert {code for code, place in scene.errors() if place.startswith(STRAY)} == {"MR-S003"}
    assert "MR-L007" not in {code for code, _ in scene.errors()}


def test_what_a_lead_signed_does(scene: Scene) -> None:
    line = statement(scene)
    (scene.root / STRAY).write_bytes(line)
    (scene.root / f"{STRAY}.sig").write_text(scene.sign(LEAD, line, APPROVAL_NAMESPACE), encoding="ascii")
    with pytest.raises(HeadUnknown):
        scene.as_().note("churn@2", "not now")


def test_a_pipelines_and_a_revoked_leads_copies_are_witnesses_too(scene: Scene) -> None:
    ready = {"pipeline": "ci", "pipeline_key": scene.world.key("ci")}
    scene.as_(LEAD).approver_revoke(LEAD2, reason="left", as_=LEAD, key=scene.world.key(LEAD))
    kept = scene.head
    scene.as_("ci@example.org").promote("churn@3", to="production", reason="decided", **ready)
    scene.as_("ci@example.org").rollback("churn", to="2", reason="worse", **ready)
    scene.cut(kept - 1)
    (scene.root / "registry.xlsx").unlink()
    memory.forget(scene.state().registry_id, scene.root)
    with pytest.raises(RegistryError) as refused:
        scene.as_().note("churn@2", "not now")
    assert refused.value.code == "MR-L007"
