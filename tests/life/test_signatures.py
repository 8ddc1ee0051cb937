"""Signatures made and checked by ssh-keygen, and what a copied registry is worth (design 3.5)."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from life_line import Copied, Runner, call, event, events_in, here, result_of, tree
from world import LEAD, LEAD2, SME, World

REF = "churn@1"
NAMESPACE = "stage-approval@manual-registry"
pytestmark = pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="needs ssh-keygen")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A high-risk registry with one registered version; to be copied."""
    place = tmp_path_factory.mktemp("signed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MANUAL_REGISTRY_STATE", str(place / "state"))
        patch.setenv("MANUAL_REGISTRY_CACHE", str(place / "cache"))
        patch.chdir(place)
        World(place / "world").register()
        yield place / "world"


@pytest.fixture
def world(made: Path, tmp_path: Path) -> World:
    """A copy of :func:`made`."""
    shutil.copytree(made, tmp_path / "a world")
    return Copied(tmp_path / "a world")


@pytest.fixture
def run(world: World) -> Runner:
    """The command line in this process."""
    return here(world)


def keygen_sign(key: Path, message: Path, namespace: str = NAMESPACE) -> Path:
    """Sign as a person does, without this tool; returns the signature file."""
    done = subprocess.run(
        ["ssh-keygen", "-q", "-Y", "sign", "-n", namespace, "-f", str(key), str(message)],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return message.with_name(f"{message.name}.sig")


def issue(world: World, run: Runner, name: str, who: str, file: str = "statement.json", *words: str) -> Path:
    """Export a statement to sign elsewhere."""
    path = world.place / file
    done = run("approval", "statement", name, "--as", who, "-o", path, *words, "--json")
    result_of(done, world.root, "approval-statement", id=name)
    assert event(world.root, events_in(world.root))["data"]["statement"].encode() == path.read_bytes()
    return path


def in_shell(line: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run one line as an auditor would."""
    return subprocess.run(["sh", "-c", line], cwd=cwd, capture_output=True, text=True, check=False)


# -- signed elsewhere -------------------------------------------------------------------------------------


@pytest.mark.parametrize("named", [False, True])
def test_a_signature_of_ssh_keygen_imports_and_promotes(world: World, run: Runner, named: bool) -> None:
    name = world.as_().approval_request(REF, to="staging").id or ""
    first = issue(world, run, name, LEAD, "first.json")
    issue(world, run, name, LEAD2, "second.json")  # several statements of one request are possible
    signature = keygen_sign(world.key(LEAD), first)
    words = ("--statement", first) if named else ()
    done = run("approval", "import", name, "--signature", signature, *words, "--json")
    result_of(done, world.root, "approval-import", id=name, next=f"mreg promote {REF} --to staging")
    signed = event(world.root, events_in(world.root))["data"]
    assert (signed["statement"].encode(), signed["id"]) == (first.read_bytes(), name)  # whole, in the event
    row = run("approval", "list", "--json").document["approvals"][0]
    assert (row["status"], row["approver"], row["problems"]) == ("signed", LEAD, [])
    result_of(run("promote", REF, "--to", "staging", "--json"), world.root, "promote", stage="staging")
    assert run("verify", "--json").document["ok"] is True


def test_the_statement_holds_all_that_the_lead_was_shown(world: World, run: Runner) -> None:
    name = world.as_().approval_request(REF, to="staging").id or ""
    path = issue(world, run, name, LEAD, "statement.json", "--comment", "looks right")
    data = path.read_bytes()
    assert data.endswith(b"}\n")
    assert data.count(b"\n") == 1
    statement = json.loads(data)
    assert data == json.dumps(statement, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
    shown = run("show", REF, "--json").document
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "urn:manual-registry:stage-approval:1"
    assert statement["subject"] == [{"name": REF, "digest": {"sha256": shown["sha256"], "blake3": shown["blake3"]}}]
    said = statement["predicate"]
    assert " ".join(said) == (
        "approval_id approver card comment composite_id decision delegation exceptions from gates issued_at key ledger"
        " policy registry replaces role to"
    )
    assert said["registry"] == {"id": run("status", "--json").document["registry_id"]}
    assert (said["approval_id"], said["decision"], said["approver"]) == (name, "approved", LEAD)
    assert (said["role"], said["delegation"], said["exceptions"]) == ("ai-governance-lead", None, [])
    assert (said["from"], said["to"], said["replaces"], said["comment"]) == (
        "experimental",
        "staging",
        None,
        "looks right",
    )
    assert said["composite_id"] == shown["composite_id"]
    assert [one["gate"] for one in said["gates"]] == ["performance", "fairness", "security"]
    assert said["ledger"]["seq"] == events_in(world.root) - 1
    assert said["key"] == run("approver", "list", "--json").document["approvers"][0]["fingerprint"]
    out = run("approval", "statement", name, "--as", LEAD, "-o", "-")  # on a pipe: the bytes alone
    assert json.loads(out.out)["predicate"]["approval_id"] == name
    assert run("approval", "statement", name, "--as", LEAD, "-o", "-", "--json").status == 2
    inside = run("approval", "statement", name, "--as", LEAD, "-o", world.root / "ledger" / "x.json", "--json")
    assert (inside.status, inside.codes) == (6, ["MR-C009"])
    file = world.place / "a b.json"
    comment = ("--comment", "it's right")
    assert run("approval", "statement", name, "--as", LEAD, *comment, "-o", file).status == 0
    issued, before = file.read_bytes(), events_in(world.root)
    taken = run("approval", "statement", name, "--as", LEAD, *comment, "-o", file, "--json")
    assert (taken.status, taken.codes, file.read_bytes()) == (6, ["MR-C009"], issued)
    assert events_in(world.root) == before
    words = shlex.split(taken.error["details"]["next"])  # the command to type instead, with a name that is free
    assert (words[0], words[-1]) == ("mreg", str(world.place / "a b-2.json"))
    assert run(*words[1:]).status == 0
    assert json.loads(Path(words[-1]).read_bytes())["predicate"]["comment"] == "it's right"


@pytest.mark.parametrize(
    ("case", "status", "code"),
    [
        ("never issued", 7, "MR-I029"),
        ("issued for another approval", 7, "MR-I029"),
        ("crlf", 7, "MR-I029"),
        ("another namespace", 7, "MR-I029"),
        ("a stranger's key", 4, "MR-S002"),
        ("the other lead's key", 4, "MR-S002"),
        ("no signature", 7, "MR-I028"),
        ("no such file", 5, "MR-N009"),
    ],
)
def test_what_cannot_be_imported(world: World, run: Runner, case: str, status: int, code: str) -> None:
    from manual_registry.adapters.keys import generate_ed25519

    name = world.as_().approval_request(REF, to="staging").id or ""
    path = issue(world, run, name, LEAD)
    words: tuple[str | Path, ...] = ()
    key, namespace = world.key(LEAD), NAMESPACE
    if case == "never issued":
        path.write_bytes(path.read_bytes().replace(b"experimental", b"staging"))
        words = ("--statement", path)
    if case == "issued for another approval":
        other = world.as_().approval_request(REF, to="archived").id or ""
        path = issue(world, run, other, LEAD, "other.json")
    if case == "crlf":
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    if case == "another namespace":
        namespace = "file"
    if case == "a stranger's key":
        key = world.key("stranger")
        generate_ed25519(key, "stranger")
    if case == "the other lead's key":
        key = world.key(LEAD2)
    signature = keygen_sign(key, path, namespace)
    if case == "no signature":
        signature.write_text("-----BEGIN SSH SIGNATURE-----\nnonsense\n")
    if case == "no such file":
        signature = world.place / "nothing.sig"
    before = tree(world.root)
    done = run("approval", "import", name, "--signature", signature, *words, "--json")
    assert done.status == status, done.err
    assert done.codes == [code]
    assert tree(world.root) == before


def test_an_expert_signs_for_staging_and_no_further(world: World, run: Runner) -> None:
    from manual_registry.adapters.keys import generate_ed25519

    expert = "expert@example.org"
    generate_ed25519(world.key(expert), expert)
    lead = world.as_(LEAD)
    lead.approver_add(
        f"An Expert <{expert}>", role="technical-sme", public_key=world.public(expert), as_=LEAD, key=world.key(LEAD)
    )
    name = world.as_().approval_request(REF, to="staging").id or ""
    signature = keygen_sign(world.key(expert), issue(world, run, name, expert))
    assert run("approval", "import", name, "--signature", signature).status == 0
    assert run("promote", REF, "--to", "staging").status == 0
    name = world.as_().approval_request(REF, to="production").id or ""
    refused = run("approval", "statement", name, "--as", expert, "-o", world.place / "no.json", "--json")
    assert (refused.status, refused.codes) == (3, ["MR-P012"])
    assert not (world.place / "no.json").exists()


# -- signed by the tool, checked without it ---------------------------------------------------------------


def test_the_auditors_line_runs_in_sh_from_the_root(world: World, run: Runner) -> None:
    staging = world.approve(REF, "staging")
    world.promote(REF, "staging")
    production = world.approve(REF, "production", lead=LEAD2)
    for name, who in ((staging, LEAD), (production, LEAD2)):
        line = run("approval", "show", name, "--json").document["auditor_command"]
        assert "\n" not in line
        assert line.startswith("ssh-keygen -Y verify -f allowed_signers ")
        done = in_shell(line, world.root)
        assert done.returncode == 0, (line, done.stderr)
        assert done.stdout.startswith(f'Good "{NAMESPACE}" signature for {who}')
        assert line in run("approval", "show", name).out  # a person gets the same line, to paste
    # It fails when it should: another statement, another signer, a time before the key counted.
    line = run("approval", "show", staging, "--json").document["auditor_command"]
    assert in_shell(line.replace(LEAD, LEAD2), world.root).returncode != 0
    assert in_shell(line.replace("-Overify-time=20", "-Overify-time=19"), world.root).returncode != 0
    statement = world.root / f"approvals/churn/1/{staging}.json"
    statement.chmod(0o644)
    statement.write_bytes(statement.read_bytes().replace(b"staging", b"archive"))
    assert in_shell(line, world.root).returncode != 0
    codes = [one["code"] for one in run("verify", "--json").document["findings"]]
    assert "MR-S003" in codes


def test_the_pipelines_and_the_roster_signatures_verify_as_well(world: World, run: Runner) -> None:
    world.approve(REF, "staging")
    world.promote(REF, "staging")
    world.approve(REF, "production")
    world.promote(REF, "production")
    promotion = events_in(world.root)
    at = event(world.root, promotion)["at"]
    moment = at[:19].replace("-", "").replace(":", "").replace("T", "") + "Z"
    for path, who, namespace in (
        (f"approvals/churn/1/P{promotion}.json", "ci", "ci-promote@manual-registry"),
        ("approvals/.control/C2.json", LEAD, "registry-control@manual-registry"),
    ):
        assert verifies(world, path, who, namespace, moment)
    # A pipeline's key signs no approval, a lead's no promotion, whatever they sign.
    for who, good, bad in (
        ("ci", "ci-promote@manual-registry", NAMESPACE),
        (LEAD, NAMESPACE, "ci-promote@manual-registry"),
    ):
        for namespace in (good, bad):
            message = world.root / f"{who}.{namespace}"
            message.write_bytes(b"a message")
            keygen_sign(world.key(who), message, namespace)
            assert verifies(world, message.name, who, namespace, moment) is (namespace == good)


def verifies(world: World, path: str, who: str, namespace: str, moment: str) -> bool:
    """Check a signature beside its file with ssh-keygen, from the root."""
    words = f"-f allowed_signers -I {who} -n {namespace} -Overify-time={moment} -s {path}.sig < {path}"
    return in_shell(f"ssh-keygen -Y verify {words}", world.root).returncode == 0


def test_a_copied_registry_works_without_findings(world: World, run: Runner, tmp_path: Path) -> None:
    name = world.approve(REF, "staging")
    world.promote(REF, "staging")
    line = run("approval", "show", name, "--json").document["auditor_command"]
    elsewhere = tmp_path / "élsewhere ünd far"
    shutil.copytree(world.root, elsewhere)
    shutil.move(world.root, tmp_path / "gone")
    assert in_shell(line, elsewhere).returncode == 0
    checked = call("verify", "--json", cwd=elsewhere)
    assert checked.status == 0
    assert [one for one in checked.document["findings"] if one["severity"] != "info"] == []
    shown = call("approval", "show", name, "--json", cwd=elsewhere).document
    assert shown["auditor_command"] == line
    there = Copied(world.place)
    there.root = elsewhere
    there.approve(REF, "production")
    there.promote(REF, "production")
    assert call("trace", "churn", "--json", cwd=elsewhere).status == 0
    assert call("verify", "--json", cwd=elsewhere).document["ok"] is True


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_other_kinds_of_keys(tmp_path: Path, kind: str) -> None:
    """A lead with another kind of key, made by ssh-keygen: the tool signs with it, ssh-keygen checks."""
    bits = {"rsa": ["-b", "3072"], "ecdsa": ["-b", "256"]}.get(kind, [])
    subprocess.run(["ssh-keygen", "-q", "-t", kind, *bits, "-N", "", "-f", str(tmp_path / "key")], check=True)
    root = tmp_path / "registry"
    lead = ("--lead", f"A Lead <{LEAD}>", "--lead-key", tmp_path / "key.pub")
    assert call("init", root, "--risk", "limited", *lead, actor=LEAD, cwd=tmp_path).status == 0
    (tmp_path / "m.bin").write_bytes(b"m")
    (tmp_path / "metrics.json").write_text('{"auc": 0.9}')
    words = (
        "--commit",
        "a" * 40,
        "--data",
        "sha256:" + "ab" * 32,
        "--trained",
        "2026-01-01",
        "--metrics",
        tmp_path / "metrics.json",
    )
    assert call("register", "churn", "1", tmp_path / "m.bin", *words, cwd=root).status == 0
    name = call("approval", "request", REF, "--to", "staging", "--json", cwd=root).document["id"]
    done = call("approval", "sign", name, "--as", LEAD, "--key", tmp_path / "key", "--json", cwd=root, actor=LEAD)
    result_of(done, root, "approval-sign", id=name)
    line = call("approval", "show", name, "--json", cwd=root).document["auditor_command"]
    assert in_shell(line, root).returncode == 0
    assert call("verify", "--json", cwd=root).document["ok"] is True


def test_a_weak_rsa_key_is_not_enrolled(world: World, run: Runner, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", str(tmp_path / "weak")], check=True)
    words = ("--role", "technical-sme", "--public-key", tmp_path / "weak.pub", "--as", LEAD, "--key", world.key(LEAD))
    done = run("approver", "add", f"X <{SME}>", *words, "--json")
    assert (done.status, done.codes) == (7, ["MR-I024"])
