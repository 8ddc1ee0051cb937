"""Every signature of a lead is one kind of thing: asked for, read, signed here or elsewhere, or laid into the inbox."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from life_line import Copied, Runner, here
from world import LEAD, LEAD2, SME, World, gate

from manual_registry.adapters.keys import generate_ed25519
from manual_registry.registry import Registry

CONTROL = "registry-control@manual-registry"
APPROVAL = "stage-approval@manual-registry"
DEPUTY = "deputy@example.org"
needs_keygen = pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="needs ssh-keygen")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A high-risk registry with one version whose fairness gate failed; to be copied."""
    place = tmp_path_factory.mktemp("asked")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MANUAL_REGISTRY_STATE", str(place / "state"))
        patch.setenv("MANUAL_REGISTRY_CACHE", str(place / "cache"))
        patch.chdir(place)
        world = World(place / "world")
        world.register(
            gates=[gate("performance"), gate("fairness", lower=0.1, value=0.2, passed=False), gate("security")]
        )
        for name in (DEPUTY, "ci2"):
            generate_ed25519(world.key(name), name)
        yield place / "world"


@pytest.fixture
def world(made: Path, tmp_path: Path) -> World:
    """A copy of :func:`made`."""
    shutil.copytree(made, tmp_path / "world")
    return Copied(tmp_path / "world")


@pytest.fixture
def run(world: World) -> Runner:
    """The command line in this process."""
    return here(world)


def keygen_sign(key: Path, message: Path, namespace: str = CONTROL) -> Path:
    words = ["ssh-keygen", "-q", "-Y", "sign", "-n", namespace, "-f", str(key), str(message)]
    assert subprocess.run(words, capture_output=True, check=False).returncode == 0
    return message.with_name(f"{message.name}.sig")


def opened(run: Runner, *words: str | Path) -> str:
    """Run a command that asks a lead; returns the request's id."""
    done = run(*words, "--json")
    assert done.status == 0, done.err
    document = done.document
    assert document["waiting_for"] == ["the signature of an ai-governance-lead"]
    assert document["next"] == f"mreg approval sign {document['id']} --as {LEAD}"
    again = run(*words, "--json").document
    assert (again["changed"], again["id"], again["waiting_for"]) == (False, document["id"], document["waiting_for"])
    return str(document["id"])


def rows(run: Runner, *words: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = run("approval", "list", *words, "--json").document["approvals"]
    return found


EXCEPTION = (
    "exception", "grant", "churn@1", "--gate", "fairness", "--severity", "medium", "--justification", "better than the old",
    "--controls", "seen by a person", "--expires", "2099-01-31", "--remediation", "more data", "--remediation-date",
    "2099-01-15", "--root-cause", "few young people",
)  # fmt: skip


def test_each_kind_is_asked_for_listed_read_and_signed(world: World, run: Runner) -> None:
    policy = world.root / "registry.toml"
    policy.write_text(policy.read_text(encoding="utf-8").replace("approval_hours = 48", "approval_hours = 24"))
    asked = {
        "roster": opened(run, "approver", "add", f"Dee <{DEPUTY}>", "--role", "delegate", "--public-key", world.public(DEPUTY)),
        "pipeline": opened(run, "pipeline", "add", "ci2", "--public-key", world.public("ci2")),
        "policy": opened(run, "policy", "sign"),
        "exception": opened(run, *EXCEPTION),
    }  # fmt: skip
    pending = {row["id"]: row for row in rows(run, "--pending")}
    assert {row["kind"]: name for name, row in pending.items()} == asked
    assert all(row["status"] == "requested" and row["problems"] == [] for row in pending.values())
    shown = run("approval", "show", asked["policy"])
    assert "approval_hours" in shown.out and "24" in shown.out
    assert "few young people" in run("approval", "show", asked["exception"]).out
    for name in asked.values():
        done = run("approval", "sign", name, "--as", LEAD, "--key", world.key(LEAD), "--yes")
        assert done.status == 0, done.err
    assert rows(run, "--pending") == []
    assert {row["status"] for row in rows(run) if row["id"] in asked.values()} == {"used"}
    delegate = ("approver", "delegate", DEPUTY, "--models", "ch*", "--from", "2020-01-01", "--until", "2099-01-01")
    name = opened(run, *delegate, "--reason", "leave")
    assert run("approval", "sign", name, "--as", LEAD2, "--key", world.key(LEAD2), "--yes").status == 0
    assert run("pipeline", "list", "--json").document["pipelines"][1]["name"] == "ci2"
    assert run("policy", "show", "--json").document["differs"] is False
    assert run("verify", "--json").document["ok"] is True


def test_a_lead_says_no_with_a_comment(world: World, run: Runner) -> None:
    name = opened(run, "pipeline", "add", "ci2", "--public-key", world.public("ci2"))
    sign = ("approval", "sign", name, "--as", LEAD, "--key", world.key(LEAD), "--yes", "--reject")
    assert run(*sign).status == 7
    assert run(*sign, "--comment", "whose runner is that?").status == 0
    assert rows(run)[-1]["status"] == "rejected"
    assert run(*sign, "--comment", "whose runner is that?", "--json").document["changed"] is False
    refused = run("approval", "sign", name, "--as", LEAD, "--key", world.key(LEAD), "--yes")
    assert (refused.status, refused.codes) == (6, ["MR-C008"]) if refused.out == "" else True
    assert run("verify", "--json").document["ok"] is True


def test_a_request_is_withdrawn_once(world: World, run: Runner) -> None:
    name = opened(run, "approver", "revoke", LEAD2, "--reason", "left")
    assert run("approval", "withdraw", name, "--json").document["changed"] is True
    assert run("approval", "withdraw", name, "--json").document["changed"] is False
    assert run("approval", "sign", name, "--as", LEAD, "--key", world.key(LEAD), "--yes").status == 6
    assert run("approver", "list", "--json").document["approvers"][1]["revoked_at"] is None


def test_who_may_not_sign_is_told_before_a_key_is_asked_for(world: World, run: Runner) -> None:
    name = opened(run, "pipeline", "add", "ci2", "--public-key", world.public("ci2"))
    done = run("approval", "sign", name, "--as", SME, "--key", world.key("nowhere"), "--yes", "--json")
    assert (done.status, done.codes) == (3, ["MR-P018"])


def test_what_cannot_be_is_not_asked_for(world: World, run: Runner) -> None:
    """A taken key, an unknown delegate, a gate that passed: refused at once, and nothing is opened."""
    before = len(rows(run))
    taken = run("pipeline", "add", "ci2", "--public-key", world.public(LEAD), "--json")
    assert (taken.status, taken.codes) == (6, ["MR-C006"])
    words = ("--models", "*", "--from", "2020-01-01", "--until", "2099-01-01", "--reason", "x", "--json")
    assert run("approver", "delegate", "nobody@example.org", *words).status == 5
    passed = [*EXCEPTION]
    passed[passed.index("fairness")] = "performance"
    assert run(*passed, "--json").codes == ["MR-P061"]
    assert len(rows(run)) == before


@needs_keygen
def test_signed_elsewhere_while_the_ledger_goes_on(world: World, run: Runner) -> None:
    name = opened(run, "pipeline", "add", "ci2", "--public-key", world.public("ci2"))
    statement = world.place / f"{name}.json"
    assert run("approval", "statement", name, "--as", LEAD, "-o", statement).status == 0
    run("note", "churn@1", "somebody else works on")
    signature = keygen_sign(world.key(LEAD), statement)
    run("note", "churn@1", "and on")
    done = run("approval", "import", name, "--signature", signature, "--json")
    assert done.status == 0, done.err
    assert run("approval", "import", name, "--signature", signature, "--json").document["changed"] is False
    shown = run("approval", "show", name, "--json").document
    assert shown["status"] == "used"
    check = subprocess.run(["sh", "-c", shown["auditor_command"]], cwd=world.root, capture_output=True, check=False)
    assert check.returncode == 0, check.stderr
    assert b"Good" in check.stdout
    assert run("verify", "--json").document["ok"] is True


@needs_keygen
def test_the_inbox_is_emptied_by_the_next_writing_command(world: World, run: Runner) -> None:
    inbox = world.root / "approvals" / ".inbox"
    request = opened(run, "pipeline", "add", "ci2", "--public-key", world.public("ci2"))
    approval = run("approval", "request", "churn@1", "--to", "archived", "--json").document["id"]
    for name, namespace in ((request, CONTROL), (approval, APPROVAL)):
        statement = world.place / f"{name}.json"
        assert run("approval", "statement", name, "--as", LEAD, "-o", statement).status == 0
        keygen_sign(world.key(LEAD), statement, namespace)
    for name in (request, approval):
        shutil.copy(world.place / f"{name}.json.sig", inbox / f"from Ada, {name}.json.sig")
    (inbox / "notes.txt").write_text("not a signature", encoding="utf-8")
    (inbox / "bad.sig").write_text("neither\n", encoding="utf-8")
    assert run("list").status == 0
    assert len(list(inbox.glob("*.sig"))) == 3  # a reading command takes nothing
    done = run("note", "churn@1", "a note", "--json")
    assert done.status == 0, done.err
    assert len(done.document["events"]) == 3
    told = " ".join(done.document["warnings"])
    assert f"took in the signature of {request}" in told
    assert "bad.sig stays there" in told
    assert sorted(path.name for path in inbox.iterdir()) == ["bad.sig", "notes.txt", "taken"]
    assert len(list((inbox / "taken").iterdir())) == 2
    assert {row["id"]: row["status"] for row in rows(run)}[request] == "used"
    assert {row["id"]: row["status"] for row in rows(run)}[approval] == "signed"
    again = run("note", "churn@1", "another note", "--json").document
    assert len(again["events"]) == 1
    assert any("bad.sig stays there" in one for one in again["warnings"])
    assert run("verify", "--json").document["ok"] is True


@needs_keygen
def test_a_signature_that_stands_already_is_only_put_aside(world: World, run: Runner) -> None:
    name = opened(run, "pipeline", "add", "ci2", "--public-key", world.public("ci2"))
    statement = world.place / f"{name}.json"
    run("approval", "statement", name, "--as", LEAD, "-o", statement)
    signature = keygen_sign(world.key(LEAD), statement)
    assert run("approval", "import", name, "--signature", signature).status == 0
    inbox = world.root / "approvals" / ".inbox"
    for text in ("one", "two"):
        shutil.copy(signature, inbox / signature.name)
        assert len(run("note", "churn@1", text, "--json").document["events"]) == 1
    assert sorted(path.name for path in (inbox / "taken").iterdir()) == [f"{name}.json.sig", f"{name}.json~2.sig"]


def test_an_exception_from_the_failed_gate_to_every_place_that_tells_it(world: World, run: Runner) -> None:
    run(*EXCEPTION, "--as", LEAD, "--key", world.key(LEAD))
    listed = run("exception", "list", "--json").document
    (one,) = listed["exceptions"]
    assert listed["by_gate"] == {"fairness": {"in_force": 1, "all": 1}} == {"fairness": listed["by_model"]["churn"]}
    assert "few young people" not in run("exception", "list").out  # the table is short, --json has all
    world.approve("churn@1", "staging")
    world.promote("churn@1", "staging")
    asked = world.as_().approval_request("churn@1", to="production").id or ""
    shown = run("approval", "show", asked)
    assert "let through by" in shown.out and "few young people" in shown.out
    world.as_(LEAD).approval_sign(asked, as_=LEAD, key=world.key(LEAD))
    world.promote("churn@1", "production")
    statement = json.loads(run("approval", "show", asked, "--json").document["statement"])
    assert [each["id"] for each in statement["predicate"]["exceptions"]] == [one["id"]]
    gates = next(link for link in run("trace", "churn", "--json").document["links"] if link["kind"] == "gates")
    assert gates["status"] == "verified"
    assert f"fairness let through by exception {one['id']} until 2099-01-31" in gates["summary"]
    assert run("show", "churn@1", "--json").document["exceptions"] == [one]
    from openpyxl import load_workbook

    sheet = load_workbook(world.root / "registry.xlsx")["Models"]
    cells = [str(cell.value) for row in sheet.iter_rows() for cell in row]
    assert any(f"fairness FAILED, exception {one['id']} until 2099-01-31" in cell for cell in cells)
    assert run("verify", "--json").document["ok"] is True


def test_the_date_of_placing_on_the_market_is_set_later(tmp_path: Path, made: Path) -> None:
    root, keys = tmp_path / "later", made / "keys"
    Registry.init(root, risk="high", leads=[(f"Lead <{LEAD}>", keys / f"{LEAD}.pub")], actor=SME)
    registry = Registry.open(root, actor=SME)
    assert registry.policy_show()["in_force"]["placed_on_market"] is None
    text = (root / "registry.toml").read_text(encoding="utf-8")
    place = next(line for line in text.splitlines() if "placed_on_market" in line)
    (root / "registry.toml").write_text(text.replace(place, 'placed_on_market = "2026-11-01"'), encoding="utf-8")
    registry = Registry.open(root, actor=SME)
    (one,) = registry.policy_show()["differences"]
    assert (one["setting"], one["weaker"]) == ("placed_on_market", False)
    registry.policy_sign(as_=LEAD, key=keys / LEAD)
    shown = Registry.open(root).policy_show()
    assert (shown["in_force"]["placed_on_market"], shown["differs"]) == ("2026-11-01", False)
    assert shown["since"]["seq"] == 2 and shown["signed_by"] == LEAD


def test_a_high_risk_policy_of_less_than_ten_years_is_not_signed(world: World, run: Runner) -> None:
    policy = world.root / "registry.toml"
    policy.write_text(policy.read_text(encoding="utf-8").replace("retention_years = 10", "retention_years = 9"))
    sign = ("policy", "sign", "--as", LEAD, "--key", world.key(LEAD))
    done = run(*sign, "--json")
    assert (done.status, done.codes) == (3, ["MR-P063"])
    assert "WEAKER" in run(*sign).err
    assert run("policy", "sign", "--json").codes == ["MR-P063"]
