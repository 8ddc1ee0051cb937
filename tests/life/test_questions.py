"""Nothing prompts without a terminal; on one, init asks and signing asks for a yes and a passphrase (design 3.2)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pexpect
import pytest
from life_line import RESULT, Runner, apart, event, events_in, here, result_of
from world import LEAD, LEAD2, SME, World

REF = "churn@1"
SECRET = "correct horse battery staple"


def terminal(world: World, *words: str | Path, cwd: Path | None = None, **environment: str) -> Any:
    """Run the command line on a pseudo terminal, as the first lead."""
    return pexpect.spawn(
        sys.executable,
        ["-m", "manual_registry", "--actor", LEAD, *map(str, words)],
        cwd=str(cwd or world.root),
        env={**os.environ, "TERM": "dumb", "NO_COLOR": "1", **environment},
        encoding="utf-8",
        timeout=60,
        dimensions=(50, 160),
    )


def ended(child: Any) -> tuple[str, int]:
    """Wait for the end; return what was written since the last question, and the exit status."""
    child.expect(pexpect.EOF)
    child.close()
    return child.before.replace("\r\n", "\n"), child.exitstatus


def with_passphrase(world: World) -> None:
    """Put a passphrase on the first lead's key."""
    words = ["ssh-keygen", "-q", "-p", "-P", "", "-N", SECRET, "-f", str(world.key(LEAD))]
    subprocess.run(words, check=True, capture_output=True)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A high-risk registry with a version that asks for its first approval."""
    made = World(tmp_path / "world")
    made.register()
    made.as_().approval_request(REF, to="staging")
    return made


def test_nothing_prompts_without_a_terminal(world: World) -> None:
    """With standard input closed every command ends by itself: what it would ask is a usage error or refused."""
    run = apart(world)
    name = f"A{events_in(world.root)}"
    elsewhere = world.place / "new"
    missing = run("init", elsewhere, "--json", cwd=world.place)
    assert (missing.status, missing.codes, missing.hint) == (2, ["MR-U004"], f"mreg init {elsewhere} --risk minimal")
    assert not elsewhere.exists()
    keyless = run("approval", "sign", name, "--as", LEAD, "--json")
    assert (keyless.status, keyless.codes) == (2, ["MR-U001"])
    with_passphrase(world)
    locked = run("approval", "sign", name, "--as", LEAD, "--key", world.key(LEAD), "--json")
    assert (locked.status, locked.codes, locked.hint) == (8, ["MR-X006"], f"ssh-add {world.key(LEAD)}")
    assert run("approval", "list", "--json").document["approvals"][0]["status"] == "requested"


def test_the_key_is_the_yes_where_nobody_sits(world: World) -> None:
    run = here(world)
    name = f"A{events_in(world.root)}"
    done = run("approval", "sign", name, "--as", LEAD, "--key", world.key(LEAD))
    assert done.status == 0
    for told in ("churn", "experimental", "staging"):
        assert told in done.err  # what is signed is shown all the same
    quiet = run("approval", "sign", name, "--as", LEAD2, "--key", world.key(LEAD2), "--json")
    result_of(quiet, world.root, "approval-sign", id=name)
    assert quiet.err == ""


@pytest.mark.parametrize("before", [True, False])
def test_json_is_one_document_and_the_option_stands_anywhere(world: World, before: bool) -> None:
    run: Runner = here(world)
    for words in (
        ("status",),
        ("list",),
        ("approval", "list"),
        ("note", REF, f"note {before}"),
        ("trace", REF),
        ("verify",),
    ):
        done = run("--json", *words) if before else run(*words, "--json")
        assert done.status == 0
        assert done.document["schema"].startswith("manual-registry/")
    done = run("--json", "show", "nobody@1") if before else run("show", "nobody@1", "--json")
    assert (done.status, done.error["code"]) == (5, "MR-N002")
    usage = run("--json", "promote") if before else run("promote", "--json")
    assert (usage.status, usage.error["code"]) == (2, "MR-U001")
    version = run("--json", "--version") if before else run("--version", "--json")
    assert version.document["schema"] == "manual-registry/version/1"


def test_trace_and_verify_print_their_document_when_they_exit_4(world: World) -> None:
    run = here(world)
    path = world.root / "models/churn/1/artefact/model-1.bin"
    path.chmod(0o644)
    path.write_bytes(b"other")
    traced = run("trace", REF, "--json")
    assert (traced.status, traced.err) == (4, "")
    assert next(one for one in traced.document["links"] if one["kind"] == "artefact")["status"] == "broken"
    checked = run("verify", "--json")
    assert (checked.status, checked.err, checked.document["ok"]) == (4, "", False)
    finding = next(one for one in checked.document["findings"] if one["severity"] == "error")
    assert finding["code"] == "MR-A001"
    assert tuple(finding) == ("code", "severity", "location", "message", "clause")
    assert finding["location"].startswith("models/churn/1/artefact")
    text = run("verify")
    assert text.status == 4
    assert "NOT ok" in text.out.splitlines()[-1]


def test_warnings_stand_in_the_document_and_not_beside_it(world: World) -> None:
    run = here(world)
    done = run("register", "churn", "2", world.artefact("1"), "--metadata", world.metadata(), "--json")
    document = result_of(done, world.root, "register")
    assert tuple(document) == RESULT
    assert any("churn@1" in warning for warning in document["warnings"])
    assert done.err == ""


# -- on a terminal ----------------------------------------------------------------------------------------


def test_init_asks_for_what_it_needs_and_ends_with_three_commands(world: World) -> None:
    child = terminal(world, "init", world.place / "fraud", cwd=world.place)
    child.expect(r"Name of the AI system \[fraud\]")
    child.sendline("Fraud detection")
    child.expect("Risk class .*:")
    child.sendline("huge")
    child.expect("Risk class .*:")  # asked until it is one of the three
    child.sendline("high")
    child.expect("Placed on the market")
    child.sendline("")
    child.expect('The lead, as "Name <email>"')
    child.sendline(f"A Lead <{LEAD}>")
    child.expect("public key")
    child.sendline(str(world.public(LEAD)))
    text, status = ended(child)
    assert status == 0, text
    commands = [line.strip() for line in text.split("\n") if line.startswith("  mreg ")]
    assert len(commands) == 3
    assert commands[0].startswith("mreg approver add ")
    genesis = event(world.place / "fraud", 1)["data"]
    assert (genesis["system"], genesis["risk"], genesis["placed_on_market"]) == ("Fraud detection", "high", None)
    assert [lead["email"] for lead in genesis["leads"]] == [LEAD]


def test_signing_asks_a_yes_and_a_passphrase(world: World) -> None:
    with_passphrase(world)
    name, before = f"A{events_in(world.root)}", events_in(world.root)
    words = ("approval", "sign", name, "--as", LEAD, "--key", world.key(LEAD))
    child = terminal(world, *words)
    child.expect("experimental -> staging")  # first what it is about
    child.expect(rf"Sign as {LEAD} that you approve this\? \[y/N\]")
    child.sendline("n")
    text, status = ended(child)
    assert (status, events_in(world.root)) == (9, before)
    assert "nothing changed" in text

    child = terminal(world, *words)
    child.expect(r"\[y/N\]")
    child.sendline("y")
    child.expect("(?i)passphrase")
    child.sendline(SECRET)
    text, status = ended(child)
    assert status == 0, text
    assert SECRET not in text
    assert f"signed approval {name}" in text
    assert here(world)("approval", "list", "--json").document["approvals"][0]["approver"] == LEAD


def test_a_wrong_passphrase_signs_nothing(world: World) -> None:
    with_passphrase(world)
    name, before = f"A{events_in(world.root)}", events_in(world.root)
    child = terminal(world, "approval", "sign", name, "--as", LEAD, "--key", world.key(LEAD), "--yes")
    while child.expect(["(?i)passphrase", pexpect.EOF]) == 0:
        child.sendline("wrong")
    child.close()
    assert (child.exitstatus, events_in(world.root)) == (8, before)


def test_a_change_of_the_roster_asks_a_yes(world: World) -> None:
    words = ("approver", "add", f"An Expert <{SME}>", "--role", "technical-sme", "--public-key", world.public(SME))
    child = terminal(world, *words, "--as", LEAD, "--key", world.key(LEAD))
    child.expect(r"\[y/N\]")
    child.sendline("y")
    text, status = ended(child)
    assert status == 0, text
    again = terminal(
        world, "pipeline", "revoke", "ci", "--reason", "r", "--as", LEAD, "--key", world.key(LEAD), "--yes"
    )
    text, status = ended(again)
    assert (status, "[y/N]" in text) == (0, False)
