"""Changes that a lead signs without being asked: in `approval list --all`, with the id under which `approval show` has them."""

from __future__ import annotations

import json
from pathlib import Path

from world import LEAD, World

from manual_registry.adapters.keys import generate_ed25519


def public(world: World, name: str) -> Path:
    generate_ed25519(world.key(name), name)
    return world.public(name)


def test_the_whole_list_has_what_a_lead_signed_at_once(tmp_path: Path) -> None:
    world = World(tmp_path)
    registry = world.as_(LEAD)
    request = registry.approver_add("Ann <ann@example.org>", role="technical-sme", public_key=public(world, "ann"))
    asked = registry.approval_list()
    assert [(one["id"], one["kind"]) for one in asked] == [(request.id, "roster")]
    every = registry.approval_list(at_once=True)
    made = [one for one in every if one["id"].startswith("C")]
    assert made and [one for one in every if one not in made] == asked
    for one in made:
        shown = registry.approval_show(one["id"])
        assert {name: shown[name] for name in one} == one
    assert {(one["kind"], one["status"], one["to"]) for one in made} >= {("pipeline", "used", None)}
    assert all(one["approver"] == LEAD for one in made)
    done = world.cli("approval", "list", "--all", "--json")
    assert json.loads(done.stdout)["approvals"] == every
    text = world.cli("approval", "list", "--all").stdout
    assert "enrol pipeline ci" in text and made[0]["id"] in text
    assert world.cli("approval", "list", "--all", "--pending").returncode == 2


def test_a_request_that_was_answered_stands_in_the_list_once(tmp_path: Path) -> None:
    world = World(tmp_path, pipelines=())
    registry = world.as_(LEAD)
    request = registry.approver_add("Ann <ann@example.org>", role="technical-sme", public_key=public(world, "ann"))
    registry.approval_sign(request.id or "", as_=LEAD, key=world.key(LEAD))
    found = registry.approval_list(at_once=True)
    assert [one["id"] for one in found if one.get("what", "").startswith("enrol Ann")] == [request.id]
