"""What a person reads before signing, and the next command: it is the one that helps."""

from __future__ import annotations

from pathlib import Path

import pytest
from adopt_team import adopted, confirm
from life_line import call
from world import CARD, LEAD, World, gate


@pytest.fixture(name="bare")
def _bare(tmp_path: Path) -> World:
    """A version without gates, environment or a complete card, in a high-risk registry."""
    world = World(tmp_path / "world")
    card = {name: text for name, text in CARD.items() if name != "limitations"}
    world.register(gates=[gate("performance")], environment=None, card=card)
    return world


def test_register_names_what_staging_asks_before_the_approval(bare: World) -> None:
    done = call(
        "register", "churn", "2", bare.artefact("2"), "--metadata", bare.metadata(gates=[gate("performance")]),
        cwd=bare.root,
    )  # fmt: skip
    assert "next: mreg attach churn@2 --gates REPORT.json" in done.out
    assert "before staging: no report of the fairness gate; no report of the security gate" in done.out
    whole = call("register", "churn", "3", bare.artefact("3"), "--metadata", bare.metadata(), cwd=bare.root)
    assert "next: mreg approval request churn@3 --to staging" in whole.out
    assert "before staging" not in whole.out


def test_a_lead_sees_what_is_missing_before_signing(bare: World) -> None:
    asked = bare.as_().approval_request("churn@1", to="staging").id or ""
    review = bare.as_().approval_show(asked)["review"]
    assert review["missing"] == ["no report of the fairness gate", "no report of the security gate"]
    assert review["card"] == {"complete": False, "missing": ["limitations"]}
    assert review["environment"] is None
    screen = call("approval", "show", asked, cwd=bare.root).out
    assert "MISSING  no report of the fairness gate" in screen
    assert "NOT complete: limitations" in screen
    assert "none recorded" in screen


def test_who_asks_is_told_what_no_signature_makes_up_for(bare: World) -> None:
    done = call("approval", "request", "churn@1", "--to", "staging", "--json", cwd=bare.root)
    (told,) = done.document["warnings"]
    assert told.startswith("before staging, beside the signature: no report of the fairness gate; no report of the sec")
    assert (done.status, done.document["next"]) == (0, "mreg attach churn@1 --gates REPORT.json")


def test_what_an_adopted_version_lacks_is_told_before_a_lead_signs(tmp_path: Path) -> None:
    world, _, adoption = adopted(tmp_path)
    confirm(world, adoption.result.id)
    ref = "fraud-eu@2024-Q1"
    asked = call("approval", "request", ref, "--to", "production", "--json", cwd=world.root)
    name, (told,) = asked.document["id"], asked.document["warnings"]
    refused = call("promote", ref, "--to", "production", cwd=world.root).err
    reasons = [
        "metrics is missing, which a registration needs",
        "pipeline_run is missing, which a registration needs",
        "was adopted in staging: staging's gates and approval are asked first",
    ]
    signed = call("approval", "sign", name, "--as", LEAD, "--key", world.key(LEAD), cwd=world.root)
    assert (asked.status, signed.status) == (0, 0)
    for reason in reasons:
        for seen in (told, signed.err, call("approval", "show", name, cwd=world.root).out, refused):
            assert reason in seen


def test_an_open_deployment_is_told_before_an_archiving_is_signed(tmp_path: Path) -> None:
    world = World(tmp_path / "world")
    world.to_production()
    world.as_().deploy("churn@1", environment="production")
    asked = world.as_().approval_request("churn@1", to="archived").id or ""
    assert world.as_().approval_show(asked)["review"]["missing"] == [
        "churn@1 is deployed in production; end that first"
    ]


def test_a_whole_version_lacks_nothing(tmp_path: Path) -> None:
    world = World(tmp_path / "world")
    world.to_staging()
    asked = world.as_().approval_request("churn@1", to="production").id or ""
    review = world.as_().approval_show(asked)["review"]
    assert (review["missing"], review["card"]) == ([], {"complete": True, "missing": []})
    assert review["environment"] == "evidence/environment/environment.txt"
    assert "MISSING" not in call("approval", "show", asked, cwd=world.root).out


def test_the_statement_that_was_written_is_the_one_to_sign(bare: World) -> None:
    asked = bare.as_().approval_request("churn@1", to="staging").id or ""
    target = bare.place / "to sign.json"
    words = ("approval", "statement", asked, "--as", LEAD, "-o", target)
    text = call(*words, cwd=bare.root).out
    assert f"-f KEY '{target}'" in text
    assert f"next: mreg approval import {asked} --signature '{target}'.sig" in text
    other = bare.place / "again.json"  # a file that stands is not written over
    document = call(*words[:-1], other, "--json", cwd=bare.root).document
    assert document["next"].endswith(f"-f KEY {other}")


def test_verify_says_what_to_do(bare: World) -> None:
    path = next((bare.root / "models/churn/1/artefact").iterdir())
    path.chmod(0o644)
    path.write_bytes(b"changed")
    done = call("verify", cwd=bare.root)
    assert "next (MR-A001): keep the changed file aside" in done.out
    assert done.out.splitlines()[-1].startswith("NOT ok")
    found = call("verify", "--json", cwd=bare.root).document["findings"]
    changed = next(one for one in found if one["code"] == "MR-A001")
    assert set(changed) == {"code", "severity", "location", "message", "clause"}
    assert "; next: keep the changed file aside" in changed["message"]
