"""A registry that began without a lead: whoever is the first one signs their own enrolment, and everybody is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from world import LEAD, LEAD2, World

from manual_registry.adapters.keys import generate_ed25519
from manual_registry.core.errors import RegistryError
from manual_registry.core.results import Result, Severity

ROLE = "ai-governance-lead"


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path, leads=(), pipelines=())
    for name in (LEAD, LEAD2):
        generate_ed25519(made.key(name), name)
    return made


def told(result: Result) -> bool:
    return any("tell everyone" in one for one in result.warnings)


def first_leads(world: World) -> list[str]:
    found = world.as_().verify()
    assert found.ok
    assert all(one.severity is Severity.INFO for one in found.findings if one.code == "MR-F062")
    return [one.message.split()[0] for one in found.findings if one.code == "MR-F062"]


def test_at_once_and_the_second_lead_is_nothing_special(world: World) -> None:
    assert first_leads(world) == []
    first = world.as_(LEAD).approver_add(
        f"L <{LEAD}>", role=ROLE, public_key=world.public(LEAD), as_=LEAD, key=world.key(LEAD)
    )
    assert told(first)
    second = world.as_(LEAD).approver_add(
        f"M <{LEAD2}>", role=ROLE, public_key=world.public(LEAD2), as_=LEAD, key=world.key(LEAD)
    )
    assert not told(second)
    assert first_leads(world) == [LEAD]


def test_in_answer_to_a_request(world: World) -> None:
    asked = world.as_(LEAD).approver_add(f"L <{LEAD}>", role=ROLE, public_key=world.public(LEAD))
    assert not told(asked)
    assert told(world.as_(LEAD).approval_sign(asked.id or "", as_=LEAD, key=world.key(LEAD)))
    assert first_leads(world) == [LEAD]


def test_nothing_is_told_of_what_was_refused(world: World) -> None:
    registry = world.as_(LEAD)
    with pytest.raises(RegistryError):
        registry.approver_add(f"L <{LEAD}>", role=ROLE, public_key=world.public(LEAD), as_=LEAD, key=world.key(LEAD2))
    asked = registry.approver_add(f"L <{LEAD}>", role="technical-sme", public_key=world.public(LEAD))
    assert not told(asked)  # a warning of the refused one would still hang there
    assert first_leads(world) == []
