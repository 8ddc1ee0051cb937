"""Every command whose effect stands already exits 0 with ``"changed": false`` and writes nothing (design 3.2)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from life_line import Runner, events_in, here, result_of, tree
from world import LEAD, LEAD2, SME, World, gate

from manual_registry.adapters.keys import generate_ed25519

REF = "churn@1"


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A high-risk registry with one complete version."""
    made = World(tmp_path, pipelines=("ci", "cd"))
    made.register()
    return made


@pytest.fixture
def run(world: World) -> Runner:
    """The command line in this process."""
    return here(world)


def twice(run: Runner, world: World, command: str, *words: str | Path, actor: str = SME, first: bool = True) -> None:
    """Run once with an effect, again without; the second is told as such and touches no file."""
    if first:
        result_of(run(*words, "--json", actor=actor), world.root, command)
    before = tree(world.root)
    again = result_of(run(*words, "--json", actor=actor), world.root, command, changed=False, events=[])
    assert again["ledger"]["seq"] == events_in(world.root)
    text = run(*words, actor=actor)
    assert text.status == 0
    assert "nothing changed" in text.out or "nothing is waiting" in text.out
    assert text.out.splitlines()[-1] == f"ledger {again['ledger']['seq']} {again['ledger']['hash']}"
    assert tree(world.root) == before


def signing(world: World, who: str = LEAD) -> tuple[str | Path, ...]:
    """The options that sign as ``who``."""
    return ("--as", who, "--key", world.key(who))


def test_register(world: World, run: Runner) -> None:
    words = ("register", "churn", "1", world.artefact("1"), "--metadata", world.metadata())
    twice(run, world, "register", *words, first=False)
    world.approve(REF, "staging")
    world.promote(REF, "staging")
    twice(run, world, "register", *words, actor="another@example.org", first=False)
    world.as_().archive(REF, reason="old")
    twice(run, world, "register", *words, first=False)


def test_the_life_of_an_approval(world: World, run: Runner) -> None:
    twice(run, world, "approval-request", "approval", "request", REF, "--to", "staging")
    waits = run("approval", "request", REF, "--to", "staging", "--json").document
    assert waits["waiting_for"]  # it stands, and waits still
    name = waits["id"]
    twice(run, world, "approval-sign", "approval", "sign", name, *signing(world))
    # The same lead with another comment, another lead, a rejection: those are other signatures.
    result_of(
        run("approval", "sign", name, *signing(world), "--comment", "seen twice", "--json"), world.root, "approval-sign"
    )
    result_of(run("approval", "sign", name, *signing(world, LEAD2), "--json"), world.root, "approval-sign")
    twice(run, world, "promote", "promote", REF, "--to", "staging")
    twice(run, world, "approval-sign", "approval", "sign", name, *signing(world, LEAD2), first=False)  # used: it stands
    other = world.as_().approval_request(REF, to="production").id or ""
    twice(run, world, "approval-sign", "approval", "sign", other, *signing(world), "--reject", "--comment", "no")
    third = world.as_().approval_request(REF, to="production").id or ""
    twice(run, world, "approval-withdraw", "approval", "withdraw", third)
    assert run("approval", "sign", third, *signing(world), "--json").codes == ["MR-C008"]


def test_import(world: World, run: Runner) -> None:
    import subprocess

    name = world.as_().approval_request(REF, to="staging").id or ""
    statement = world.place / "statement.json"
    assert run("approval", "statement", name, "--as", LEAD, "-o", statement).status == 0
    words = [
        "ssh-keygen",
        "-q",
        "-Y",
        "sign",
        "-n",
        "stage-approval@manual-registry",
        "-f",
        str(world.key(LEAD)),
        str(statement),
    ]
    subprocess.run(words, check=True, capture_output=True)
    twice(run, world, "approval-import", "approval", "import", name, "--signature", f"{statement}.sig")


def test_stages(world: World, run: Runner) -> None:
    identity = ("--pipeline", "ci", "--pipeline-key", world.key("ci"))
    twice(run, world, "promote", "promote", REF, "--to", "experimental", first=False)
    world.approve(REF, "staging")
    twice(run, world, "promote", "promote", REF, "--to", "staging")
    world.approve(REF, "production")
    twice(run, world, "promote", "promote", REF, "--to", "production", *identity)
    twice(
        run, world, "promote", "promote", REF, "--to", "production", first=False
    )  # also without an identity: it stands
    world.to_production("2")
    twice(run, world, "archive", "archive", "--pending")
    rollback = ("rollback", "churn", "--to", "1", "--reason", "incident", *identity)
    twice(run, world, "rollback", *rollback)
    again = run(*rollback, "--json").document
    assert again["id"] == f"A{events_in(world.root)}"  # the ratification is waited for still
    assert again["waiting_for"]
    twice(run, world, "approval-sign", "approval", "sign", again["id"], *signing(world))
    assert run(*rollback, "--json").document["id"] is None
    twice(run, world, "archive", "archive", "churn@2", "--reason", "old")
    twice(run, world, "unarchive", "unarchive", "churn@2", "--reason", "an audit")
    twice(run, world, "promote", "promote", "churn@2", "--to", "experimental", "--reason", "again")


def test_remarks(world: World, run: Runner) -> None:
    edge = ("deploy", REF, "--environment", "edge", "--path", "/srv/model", "--at", "2026-03-01T10:00:00Z")
    twice(run, world, "deploy", *edge)
    twice(run, world, "deploy", "deploy", REF, "--environment", "edge", first=False)
    result_of(run("deploy", REF, "--environment", "edge", "--path", "/srv/other", "--json"), world.root, "deploy")
    twice(run, world, "deploy", "deploy", REF, "--environment", "edge", "--end")
    twice(run, world, "alias-set", "alias", "set", "churn", "champion", "1")
    twice(run, world, "alias-remove", "alias", "remove", "churn", "champion")
    twice(run, world, "tag", "tag", REF, "team=risk", "region=eu")
    twice(run, world, "note", "note", REF, "retrained in March")
    result_of(run("note", REF, "retrained in March", "--json", actor=LEAD), world.root, "note")  # another person's note
    result_of(run("tag", REF, "team=fraud", "region=eu", "--json"), world.root, "tag")


def test_attach(world: World, run: Runner) -> None:
    files: dict[str, Callable[[Path], object]] = {
        "fairness.json": lambda path: path.write_text(json.dumps(gate("fairness", value=0.95))),
        "minutes.txt": lambda path: path.write_text("agreed\n"),
    }
    for name, write in files.items():
        write(world.place / name)
    twice(run, world, "attach", "attach", REF, "--gates", world.place / "fairness.json")
    twice(run, world, "attach", "attach", REF, "--evidence", world.place / "minutes.txt")
    twice(run, world, "attach", "attach", REF, "--environment", world.place / "environment.txt", first=False)


def test_roster_and_policy(world: World, run: Runner) -> None:
    generate_ed25519(world.key("new"), "new")
    person = (
        "approver",
        "add",
        f"An Expert <{SME}>",
        "--role",
        "technical-sme",
        "--public-key",
        world.public(SME),
        *signing(world),
    )
    twice(run, world, "approver-add", *person)
    revoke = ("approver", "revoke", SME, "--reason", "left", *signing(world))
    twice(run, world, "approver-revoke", *revoke)
    other_reason = run("approver", "revoke", SME, "--reason", "moved", *signing(world), "--json")
    assert (other_reason.status, other_reason.codes) == (6, ["MR-C007"])
    assert run(*person, "--json").codes == ["MR-C006"]  # a revoked key does not come back
    twice(run, world, "pipeline-add", "pipeline", "add", "new", "--public-key", world.public("new"), *signing(world))
    twice(run, world, "pipeline-revoke", "pipeline", "revoke", "new", "--reason", "gone", *signing(world))
    config = world.root / "registry.toml"
    config.write_text(config.read_text().replace("approval_hours = 48", "approval_hours = 24"))
    twice(run, world, "policy-sign", "policy", "sign", *signing(world))


def test_init_is_never_repeated(world: World, run: Runner) -> None:
    before = tree(world.root)
    done = run("init", world.root, "--risk", "minimal", "--json")
    assert (done.status, done.codes) == (6, ["MR-C004"])
    taken = done.error["details"]["taken"]
    assert {"registry.toml", "registry.xlsx", "ledger", "models", "archive", "approvals", "allowed_signers"} <= set(
        taken
    )
    assert tree(world.root) == before


def test_fetch_again_finds_the_place_taken(world: World, run: Runner) -> None:
    target = world.place / "copy.bin"
    assert run("fetch", REF, target).status == 0
    done = run("fetch", REF, target, "--json")
    assert (done.status, done.codes) == (6, ["MR-C009"])
