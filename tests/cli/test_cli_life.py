"""A whole life through the command line, on the real facade: exit statuses and documents as in the contract."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from world import CARD, LEAD, LEAD2, SME, World, gate

from manual_registry.cli import main

Document: TypeAlias = dict[str, Any]


class Shell:
    """Types commands into this process."""

    def __init__(self, world: World, capfd: pytest.CaptureFixture[str]) -> None:
        self.world = world
        self._capfd = capfd

    def text(self, *words: str, status: int = 0, actor: str = SME) -> tuple[str, str]:
        self._capfd.readouterr()
        found = main(["--registry", str(self.world.root), "--actor", actor, *words])
        captured = self._capfd.readouterr()
        assert found == status, captured.err
        return captured.out, captured.err

    def json(self, *words: str, status: int = 0, actor: str = SME) -> Document:
        """Return the one document: of standard output, or of standard error when that is where it must be."""
        out, err = self.text(*words, "--json", status=status, actor=actor)
        if status and words[0] not in ("trace", "verify"):
            assert out == ""
            refused: Document = json.loads(err)["error"]
            return refused
        document: Document = json.loads(out)
        assert document["schema"].startswith("manual-registry/")
        return document

    def write(self, *words: str, actor: str = SME) -> Document:
        document = self.json(*words, actor=actor)
        assert document["schema"] == "manual-registry/result/1"
        assert document["changed"] is True
        return document


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.chdir(tmp_path)  # outside of this project's own git repository
    return World(tmp_path)


@pytest.fixture
def sh(world: World, capfd: pytest.CaptureFixture[str]) -> Shell:
    return Shell(world, capfd)


def _codes(error: Document) -> list[str]:
    return [reason["code"] for reason in error["details"]["reasons"]]


def _write(path: Path, value: Any) -> str:
    path.write_text(json.dumps(value), encoding="utf-8")
    return str(path)


def test_a_version_lives_from_registration_to_the_archive(sh: Shell, world: World) -> None:
    lead_key, ci_key = str(world.key(LEAD)), str(world.key("ci"))
    metadata = str(world.metadata(gates=None, card=None))
    register = ("register", "churn", "next", str(world.artefact("1")), "--metadata", metadata)
    assert sh.write(*register)["stage"] == "experimental"
    again = sh.json("register", "churn", "1", str(world.artefact("1")), "--metadata", metadata)
    assert again["changed"] is False

    refused = sh.json("promote", "churn@1", "--to", "staging", status=3)
    assert _codes(refused) == ["MR-P003"] * 3 + ["MR-W001"]
    _, err = sh.text("promote", "churn@1", "--to", "staging", status=3)
    assert [line[:14] for line in err.splitlines()[:4]] == ["error MR-P003:"] * 3 + ["error MR-W001:"]
    assert err.splitlines()[-1].startswith("next: mreg ")

    gates = [_write(world.place / f"{name}.json", gate(name)) for name in ("performance", "fairness", "security")]
    card = _write(world.place / "card.json", CARD)
    sh.write("attach", "churn@1", "--card", card, *(word for path in gates for word in ("--gates", path)))
    assert sh.json("promote", "churn@1", "--to", "staging", status=9)["code"] == "MR-W001"

    asked = sh.write("approval", "request", "churn@1", "--to", "staging")
    assert asked["waiting_for"]
    sign = ("approval", "sign", str(asked["id"]), "--as", LEAD, "--key", lead_key)
    out, err = sh.text(*sign, actor=LEAD)
    assert "experimental -> staging" in err
    assert out.splitlines()[-1].startswith("ledger ")
    sh.write("promote", "churn@1", "--to", "staging")

    asked = sh.write("approval", "request", "churn@1", "--to", "production")
    sh.write("approval", "sign", str(asked["id"]), "--as", LEAD, "--key", lead_key, actor=LEAD)
    assert _codes(sh.json("promote", "churn@1", "--to", "production", status=3)) == ["MR-P007"]
    promote = ("promote", "churn@1", "--to", "production", "--pipeline", "ci", "--pipeline-key", ci_key)
    assert sh.write(*promote)["stage"] == "production"
    assert sh.json(*promote)["changed"] is False
    sh.write("deploy", "churn@1", "--environment", "production", "--path", "/srv/model.bin")
    _codes(sh.json("archive", "churn@1", "--reason", "over", status=3))
    sh.write("deploy", "churn@1", "--environment", "production", "--end")
    asked = sh.write("approval", "request", "churn@1", "--to", "archived")
    sh.write("approval", "sign", str(asked["id"]), "--as", LEAD, "--key", lead_key, actor=LEAD)
    assert sh.write("archive", "churn@1", "--reason", "over")["stage"] == "archived"
    sh.write("unarchive", "churn@1", "--reason", "needed")
    sh.write("promote", "churn@1", "--to", "experimental", "--reason", "again")
    assert sh.json("verify", "--both")["ok"] is True
    assert len(sh.json("history", "churn")["events"]) > 10


READS: list[tuple[str, str]] = [
    ("status", "status"),
    ("list", "list"),
    ("search churn metrics.auc>=0.9 stage=production", "search"),
    ("show churn@production", "show"),
    ("compare churn@1 churn@2", "compare"),
    ("history", "history"),
    ("history churn", "history"),
    ("history churn@1", "history"),
    ("trace churn", "trace"),
    ("trace churn@2 --no-hash", "trace"),
    ("approval list", "approvals"),
    ("approval list --pending", "approvals"),
    ("approver list", "approver-list"),
    ("pipeline list", "pipeline-list"),
    ("policy show", "policy-show"),
    ("anchor", "anchor"),
    ("card churn@1", "card"),
    ("verify", "verify"),
    ("verify churn@1 --quick", "verify"),
]


def test_reading_gives_documents_and_text_and_writes_nothing(sh: Shell, world: World) -> None:
    world.to_production("1")
    world.to_staging("2")
    approval = sh.json("approval", "list")["approvals"][0]["id"]
    before = {path: path.stat().st_mtime_ns for path in sorted(world.root.rglob("*"))}
    for typed, schema in [*READS, (f"approval show {approval}", "approval-show")]:
        assert sh.json(*typed.split())["schema"] == f"manual-registry/{schema}/1", typed
        out, err = sh.text(*typed.split())
        assert out.strip(), typed
        assert err == "", typed
    assert {path: path.stat().st_mtime_ns for path in sorted(world.root.rglob("*"))} == before
    fetched = sh.json("fetch", "churn@1", str(world.place / "copy"))
    assert fetched["schema"] == "manual-registry/fetch/1"
    assert sh.json("fetch", "churn@1", str(world.place / "copy"), status=6)["code"] == "MR-C009"


def test_small_facts_beside_a_version(sh: Shell, world: World) -> None:
    world.register("1")
    sh.write("alias", "set", "churn", "champion", "1")
    sh.write("tag", "churn@champion", "team=risk")
    sh.write("note", "churn@1", "two\nlines [bold]")
    out, _ = sh.text("show", "churn@champion")
    assert "two\n" in out
    assert "lines [bold]" in out
    assert sh.json("tag", "churn@1", "team=risk")["changed"] is False
    sh.write("alias", "remove", "churn", "champion")
    assert sh.json("show", "churn@champion", status=5)["code"] == "MR-N001"
    assert sh.json("delete", "churn@1", "--force", status=3)["code"] == "MR-P001"
    assert sh.json("delete", "nothing", status=3)["clause"] == "RP-2"
    assert sh.json("promote", "churn@1", "--to", "archived", status=2)["code"] == "MR-U003"
    sh.write("reset-view")


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs ssh-keygen")
def test_a_signature_made_with_ssh_keygen_comes_in(sh: Shell, world: World) -> None:
    world.register("1")
    asked = str(sh.write("approval", "request", "churn@1", "--to", "staging")["id"])
    statement = world.place / "statement.json"
    sh.write("approval", "statement", asked, "--as", LEAD, "-o", str(statement), actor=LEAD)
    sign = ["ssh-keygen", "-q", "-Y", "sign", "-n", "stage-approval@manual-registry", "-f", str(world.key(LEAD))]
    subprocess.run([*sign, str(statement)], check=True, capture_output=True)
    sh.write("approval", "import", asked, "--signature", f"{statement}.sig", "--statement", str(statement))
    assert sh.json("approval", "show", asked)["status"] == "signed"
    sh.write("promote", "churn@1", "--to", "staging")


def test_rollback_names_what_ratifies_it(sh: Shell, world: World) -> None:
    world.to_production("1")
    world.to_production("2")
    words = ("rollback", "churn", "--to", "1", "--reason", "incident", "--pipeline", "ci")
    out, _ = sh.text(*words, "--pipeline-key", str(world.key("ci")))
    approval = sh.json("approval", "list", "--pending")["approvals"][0]["id"]
    assert f"churn@1 is back in production; a lead ratifies it by signing {approval}" in out
    sh.write("approval", "sign", approval, "--as", LEAD, "--key", str(world.key(LEAD)), actor=LEAD)


def test_roster_and_policy(sh: Shell, world: World) -> None:
    signer = ("--as", LEAD, "--key", str(world.key(LEAD)))
    sh.write(
        "approver", "add", f"Sam <{SME}>", "--role", "technical-sme", "--public-key", str(world.public(SME)), *signer
    )
    sh.write("approver", "revoke", LEAD2, "--reason", "left", *signer)
    sh.write("pipeline", "revoke", "ci", "--reason", "rebuilt", *signer)
    out, _ = sh.text("approver", "list")
    assert "(left)" in out
    settings = world.root / "registry.toml"
    settings.write_text(settings.read_text().replace("approval_hours = 48", "approval_hours = 24"))
    assert sh.text("list")[1].startswith("warning: registry.toml differs")
    out, err = sh.text("policy", "sign", *signer)
    assert "approval_hours" in err
    assert "warning" not in err
    assert sh.json("policy", "sign", *signer)["changed"] is False


def test_an_edited_artefact_is_found_by_every_check(sh: Shell, world: World) -> None:
    world.register("1")
    file = next((world.root / "models/churn/1/artefact").iterdir())
    file.chmod(0o644)
    file.write_bytes(file.read_bytes() + b"x")
    assert sh.json("verify", status=4)["ok"] is False
    out, _ = sh.text("verify", "--quiet", status=4)
    assert out.startswith("error MR-A001: models/churn/1/artefact")
    assert sh.json("trace", "churn@1", status=4)["verified"] is False
    assert sh.text("trace", "churn@1", status=4)[0].count("BROKEN") == 2
    assert sh.json("fetch", "churn@1", str(world.place / "copy"), status=4)["code"] == "MR-A001"


def test_the_three_command_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "churn.pkl").write_bytes(b"model")
    typed: list[tuple[str, ...]] = [
        ("init", "--risk", "minimal"),
        ("register", "churn", "next", "churn.pkl"),
        ("verify",),
        (),
    ]
    assert [main(list(words)) for words in typed] == [0, 0, 0, 0]
    assert main(["init", "--risk", "minimal"]) == 6
    assert main(["init", "other"]) == 2
    captured = capfd.readouterr()
    assert "error MR-U004" in captured.err


def test_a_template_is_filled_in_and_registered(sh: Shell, world: World) -> None:
    model = str(world.artefact("1"))
    refused = sh.json("register", "churn", "1", model, status=7)
    assert len(_codes(refused)) == 6
    template = world.place / "t.yaml"
    sh.text("register", "churn", "1", model, "--template", str(template))
    assert "training_data:" in template.read_text()
    out, _ = sh.text("register", "churn", "1", model, "--template", "-")
    assert out == template.read_text()


@pytest.mark.parametrize("words", [("trace", "churn"), ("show", "churn@1"), ("status",)])
def test_outside_of_a_registry(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(list(words)) == 2
    assert capfd.readouterr().err.startswith("error MR-U002")
