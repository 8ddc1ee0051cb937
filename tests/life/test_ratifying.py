"""A rollback after the fact: what the lead reads, what a late or rejected one leaves, who may sign and what to type."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from world import LEAD, LEAD2, World, gate

from manual_registry.adapters.keys import generate_ed25519
from manual_registry.cli.screens import approval_lines, review_lines
from manual_registry.core.errors import ApprovalClosed, ApprovalUnknown, ApprovalWanted, ReasonMissing, RegistryError

START = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)


def rolled_back(tmp_path: Path) -> tuple[World, str]:
    """Return a world in which churn went back from 2 to 1, and the request to ratify that."""
    world = World(tmp_path, now=START)
    for version in ("1", "2"):
        world.to_production(version)
    return world, back(world, "1")


def back(world: World, version: str) -> str:
    registry = world.as_("ci@example.org")
    done = registry.rollback("churn", to=version, reason="incident 42", pipeline="ci", pipeline_key=world.key("ci"))
    return done.id or ""


def ratified(world: World) -> list[tuple[str, str, str | None]]:
    found = world.as_().verify().findings
    return [(one.severity.value, one.message, one.hint) for one in found if one.code == "MR-W001"]


def test_the_screen_says_that_it_is_a_rollback_and_compares_with_what_was_replaced(tmp_path: Path) -> None:
    world, asked = rolled_back(tmp_path)
    shown = world.as_().approval_show(asked)
    told = shown["review"]["rollback"]
    assert (told["event"], told["reason"], told["pipeline"]) == (world.as_().head[0], "incident 42", "ci")
    assert [one["production"] for one in shown["review"]["metrics"]] == [0.91]
    text = "\n".join(review_lines(shown))
    assert "ROLLBACK of event" in text and "incident 42" in text
    first = world.as_().approval_show(world.as_().approval_list()[0]["id"])
    assert first["review"]["rollback"] is None and "ROLLBACK" not in "\n".join(review_lines(first))


def test_one_that_nobody_ratified_is_an_error_until_a_step_with_an_approval_ended_it(tmp_path: Path) -> None:
    world, asked = rolled_back(tmp_path)
    world.later(hours=49)
    [(severity, _, hint)] = ratified(world)
    assert (severity, hint) == ("error", 'mreg rollback churn --to 2 --reason "…" --pipeline NAME --pipeline-key FILE')
    shown = world.as_().approval_show(asked)
    assert (shown["status"], shown["next"]) == ("expired", hint)
    with pytest.raises(ApprovalClosed) as refused:
        world.as_(LEAD).approval_sign(asked, as_=LEAD, key=world.key(LEAD))
    assert refused.value.hint == hint
    second = back(world, "2")  # what the hint says
    assert [one[0] for one in ratified(world)] == ["error", "warning"]  # the second waits for a lead itself
    world.as_(LEAD).approval_sign(second, as_=LEAD, key=world.key(LEAD))
    [(severity, message, _)] = ratified(world)
    assert severity == "warning" and "has ended that since" in message
    assert world.as_().verify().ok


def test_who_left_blocks_no_rollback_without_a_way_out(tmp_path: Path) -> None:
    world = World(tmp_path, now=START)
    for version in ("1", "2"):
        world.to_production(version)
    world.as_(LEAD2).approver_revoke(LEAD, reason="left", as_=LEAD2, key=world.key(LEAD2))
    with pytest.raises(RegistryError, match="no rollback rests on that") as refused:
        back(world, "1")
    assert refused.value.hint == 'mreg unarchive churn@1 --reason "back to production"'


def test_who_may_sign_for_staging_is_named_with_the_experts(tmp_path: Path) -> None:
    world = World(tmp_path, leads=(LEAD,), now=START)
    expert = "expert@example.org"
    generate_ed25519(world.key(expert), expert)
    lead = world.as_(LEAD)
    lead.approver_add(
        f"E <{expert}>", role="technical-sme", public_key=world.public(expert), as_=LEAD, key=world.key(LEAD)
    )
    world.register("1")
    asked = world.as_().approval_request("churn@1", to="staging").id
    with pytest.raises(ApprovalWanted, match=f"{LEAD} or {expert}"):
        world.promote("churn@1", "staging")
    to_production = world.as_().approval_request("churn@1", to="staging").id or ""
    assert to_production == asked
    lead.approver_revoke(expert, reason="left", as_=LEAD, key=world.key(LEAD))
    with pytest.raises(RegistryError) as refused:
        world.as_(expert).approval_sign(asked or "", as_=expert, key=world.key(expert))
    assert (refused.value.code, refused.value.hint) == ("MR-P012", f"mreg approval sign {asked} --as {LEAD}")


def test_a_rejection_without_a_comment_is_refused_before_it_is_signed_elsewhere(tmp_path: Path) -> None:
    world = World(tmp_path, now=START)
    world.register("1")
    asked = world.as_().approval_request("churn@1", to="staging").id or ""
    before = world.as_().head
    for comment in (None, "  "):
        with pytest.raises(ReasonMissing) as refused:
            world.as_().approval_statement(asked, as_=LEAD, reject=True, comment=comment)
        assert refused.value.hint == 'add --comment "…"'
    assert world.as_().head == before
    world.as_().approval_statement(asked, as_=LEAD, reject=True, comment="not yet")


def test_a_signature_that_nobody_asked_for_is_shown_with_the_auditors_command(tmp_path: Path) -> None:
    world = World(tmp_path, now=START)
    low = gate("fairness", value=0.5, lower=0.4, passed=False)
    world.register("1", gates=[gate("performance"), low, gate("security")])
    registry = world.as_(LEAD)
    assert "lower bound 0.4" in registry.exception_facts("churn@1", gate="fairness")["failing"]
    assert registry.exception_facts("churn@1", gate="performance") == {}
    texts = {"severity": "low", "justification": "a pilot", "controls": "watched", "remediation": "retrain"}
    days = {"expires": "2026-11-05", "remediation_date": "2026-11-05", "root_cause": "little data"}
    asked = world.as_().exception_grant("churn@1", gate="fairness", **texts, **days).id or ""
    assert "lower bound 0.4" in world.as_().approval_show(asked)["review"]["details"]["failing"][0]
    signed = (
        registry.exception_grant("churn@1", gate="fairness", **texts, **days, as_=LEAD, key=world.key(LEAD)).id or ""
    )
    for name in (signed, signed.lower(), f"C{signed[1:]}", "C2"):
        shown = world.as_().approval_show(name)
        assert (shown["status"], shown["approver"]) == ("used", LEAD)
        words = ["sh", "-c", shown["auditor_command"]]
        done = subprocess.run(words, cwd=world.root, capture_output=True, text=True, check=False)
        assert done.returncode == 0 and "Good" in done.stdout
        assert "an auditor checks it" in "\n".join(approval_lines(shown))
    assert shown["review"]["details"]["fingerprint"].startswith("SHA256:")
    for name in ("C1", "D2", "E2", "C99"):
        with pytest.raises(ApprovalUnknown):
            world.as_().approval_show(name)
