"""`trace` on a damaged ledger: it says what still stands, breaks what rests on the damage, and exits 4 (design 3.2)."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from attacker import Scene
from world import LEAD

from manual_registry.core.errors import RegistryError
from manual_registry.core.links import LINK_KINDS, LinkStatus, Trace

BAD = LinkStatus.BROKEN
LATER = {"deployment", "gates", "approval", "history"}


def broken(found: Trace) -> set[str]:
    """Return the kinds of the broken links."""
    return {link.kind for link in found.links if link.status is BAD}


def summary(found: Trace, kind: str) -> str:
    """Return what a link says."""
    return next(link.summary for link in found.links if link.kind == kind)


def last_is_damaged(scene: Scene) -> int:
    seq = scene.head
    scene.put(scene.path(seq), b"{")
    return seq


def a_request_was_changed(scene: Scene) -> int:
    seq = scene.seqs("approval.requested", version="3")[-1]
    scene.edit(seq, replaces="1")
    return seq


def an_event_is_gone(scene: Scene) -> int:
    seq = scene.seqs("approval.signed", version="3")[-1]
    scene.path(seq).unlink()
    return seq


def an_event_of_another_version_is_gone(scene: Scene) -> int:
    seq = scene.seq("version.registered", version="5")
    scene.path(seq).unlink()
    return seq


@pytest.mark.parametrize(
    "attack", [last_is_damaged, a_request_was_changed, an_event_is_gone, an_event_of_another_version_is_gone]
)
def test_what_comes_after_the_registration_rests_on_a_damaged_event(
    scene: Scene, attack: Callable[[Scene], int]
) -> None:
    seq = attack(scene)
    found = scene.as_().trace("churn@2")
    assert broken(found) == LATER
    assert f"it rests on event {seq}, which is damaged" in summary(found, "deployment")
    assert "the ledger is damaged: " in summary(found, "history")
    assert "BROKEN: deployment, gates, approval, history." in found.paragraph
    assert any(f"{seq:012d}.json" in one for one in found.warnings)
    artefact = next(link for link in found.links if link.kind == "artefact")
    assert artefact.status is LinkStatus.VERIFIED
    assert not found.verified


def test_a_changed_registration_breaks_all_that_it_says(scene: Scene) -> None:
    seq = scene.seq("version.registered", version="2")
    scene.edit(seq, owner="somebody else")
    found = scene.as_().trace("churn@2")
    none = {link.kind for link in found.links if link.status is LinkStatus.NOT_APPLICABLE}
    assert broken(found) == set(LINK_KINDS) - none


def test_no_roster_counts_that_no_lead_signed(scene: Scene) -> None:
    """The lead's key is exchanged in the genesis event; approvals by the old one stand for nobody then."""
    scene.edit(1, leads=[{"email": LEAD, "name": "L", "key": scene.key_line("spare")}])
    found = scene.as_().trace("churn@2")
    assert {"approval", "history"} <= broken(found)


def test_a_lost_head_breaks_the_history(scene: Scene) -> None:
    scene.cut(scene.head - 1)
    found = scene.as_().trace("churn@2")
    assert broken(found) == {"history"}
    assert "removed or written anew" in summary(found, "history")


def test_a_fork_is_told(scene: Scene) -> None:
    scene.put(scene.root / "ledger" / "000000000009 (conflict).json", scene.path(9).read_bytes())
    found = scene.as_().trace("churn@2")
    assert "history" in broken(found)
    assert "both claim event 9" in summary(found, "history")


def test_a_model_and_a_time_and_a_path_are_looked_up_in_what_stands(scene: Scene) -> None:
    since = scene.document(scene.seqs("version.promoted", model="churn", version="1")[-1])["at"]
    last_is_damaged(scene)
    file = next((scene.root / "models" / "churn" / "2" / "artefact").iterdir())
    for ref in ("churn", "churn@production", str(file)):
        found = scene.as_().trace(ref)
        assert (found.version, found.broken) == ("2", True)
    found = scene.as_().trace("churn", at=since)
    assert (found.version, found.broken) == ("1", True)
    assert f"was in production at {since}: from " in found.paragraph


def test_a_version_that_is_not_in_what_stands(scene: Scene) -> None:
    scene.put(scene.path(scene.seq("version.registered", version="5")), b"nothing")
    with pytest.raises(RegistryError) as refusal:
        scene.as_().trace("churn@5")
    assert refusal.value.exit_status == 4


def test_the_command_line_prints_the_document_and_exits_4(scene: Scene) -> None:
    last_is_damaged(scene)
    kept, scene.world.root = scene.world.root, scene.root
    try:
        plain = scene.world.cli("trace", "churn@2")
        done = scene.world.cli("trace", "churn@2", "--json")
        unhashed = scene.world.cli("trace", "churn@2", "--no-hash", "--json")
    finally:
        scene.world.root = kept
    assert (plain.returncode, done.returncode, unhashed.returncode) == (4, 4, 4)
    assert "history" in plain.stdout
    document = json.loads(done.stdout)
    assert document["schema"] == "manual-registry/trace/1"
    assert (document["version"], document["verified"]) == ("2", False)
    history = document["links"][-1]
    assert history["status"] == "broken"
    assert history["detail"]["damage"]
    assert json.loads(unhashed.stdout)["links"][-1]["status"] == "broken"
