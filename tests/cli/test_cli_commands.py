"""Each command calls its method of the facade with what was typed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from cli_fakes import HEAD, FakeRegistry, Ran, result

Run: TypeAlias = Callable[..., Ran]
REGISTER: dict[str, Any] = {
    "metadata": None,
    "commit": None,
    "repo": None,
    "data": (),
    "pipeline_run": None,
    "trained": None,
    "owner": None,
    "metrics": None,
    "params": None,
    "gates": (),
    "config": None,
    "prompt": None,
    "environment": None,
    "card": None,
    "dereference": False,
    "progress": None,
}
P = Path
CALLS: list[tuple[str, str, tuple[Any, ...], dict[str, Any]]] = [
    (
        "register churn next m.pkl --data dvc:a:b --data sha256:c --gates g1 --gates g2 --owner O",
        "register",
        ("churn", "next", P("m.pkl")),
        {
            **REGISTER,
            "data": ("dvc:a:b", "sha256:c"),
            "gates": (P("g1"), P("g2")),
            "owner": "O",
        },
    ),
    (
        "register churn next model/ --from-run r1 --tracking-uri http://h --owner O",
        "register_from_run",
        ("churn", "next", "r1"),
        {**REGISTER, "owner": "O", "path": "model", "tracking_uri": "http://h"},
    ),
    (
        "register churn 1 --from-run r1",
        "register_from_run",
        ("churn", "1", "r1"),
        {**REGISTER, "path": None, "tracking_uri": None},
    ),
    (
        "attach churn@1 --gates g --evidence e --evidence f",
        "attach",
        ("churn@1",),
        {
            "gates": (P("g"),),
            "card": None,
            "environment": None,
            "metadata": None,
            "evidence": (P("e"), P("f")),
        },
    ),
    ("tag churn@1 a=b c=d=e f=", "tag", ("churn@1", {"a": "b", "c": "d=e", "f": ""}), {}),
    ("note churn@1 hello", "note", ("churn@1", "hello"), {}),
    ("alias set churn champion 1", "alias_set", ("churn", "champion", "1"), {}),
    ("alias remove churn champion", "alias_remove", ("churn", "champion"), {}),
    (
        "promote churn@1 --to production --pipeline ci --pipeline-key k",
        "promote",
        ("churn@1",),
        {
            "to": "production",
            "reason": None,
            "pipeline": "ci",
            "pipeline_key": P("k"),
            "oidc_token_file": None,
            "progress": None,
        },
    ),
    (
        "promote churn@1 --to production --oidc-token-file t",
        "promote",
        ("churn@1",),
        {
            "to": "production",
            "reason": None,
            "pipeline": None,
            "pipeline_key": None,
            "oidc_token_file": P("t"),
            "progress": None,
        },
    ),
    (
        "rollback churn --to 1 --reason r",
        "rollback",
        ("churn",),
        {
            "to": "1",
            "reason": "r",
            "pipeline": None,
            "pipeline_key": None,
            "oidc_token_file": None,
            "progress": None,
        },
    ),
    ("archive churn@1 --reason r", "archive", ("churn@1",), {"reason": "r", "progress": None}),
    ("archive --pending", "archive_pending", (), {"progress": None}),
    ("unarchive churn@1 --reason r", "unarchive", ("churn@1",), {"reason": "r", "progress": None}),
    (
        "deploy churn@1 --environment prod --end",
        "deploy",
        ("churn@1",),
        {"environment": "prod", "at": None, "path": None, "end": True},
    ),
    ("delete churn@1 --force", "delete", ("churn@1",), {}),
    ("approval request churn@1 --to staging", "approval_request", ("churn@1",), {"to": "staging"}),
    (
        "approval import A1 --signature s",
        "approval_import",
        ("A1",),
        {"signature": P("s"), "statement": None},
    ),
    ("approval withdraw A1", "approval_withdraw", ("A1",), {}),
    ("reset-view", "reset_view", (), {}),
    (
        "close --successor u --reason r --as l@x.y --key k",
        "close",
        ("u",),
        {"reason": "r", "as_": "l@x.y", "key": P("k")},
    ),
    ("close --successor u --reason r", "close", ("u",), {"reason": "r", "as_": None, "key": None}),
    (
        "pipeline add ci --public-key k.pub --as l@x.y --key k",
        "pipeline_add",
        ("ci",),
        {"public_key": P("k.pub"), "oidc": None, "jwks": None, "as_": "l@x.y", "key": P("k")},
    ),
    (
        "pipeline add github --oidc o.toml --jwks j.json --as l@x.y --key k",
        "pipeline_add",
        ("github",),
        {"public_key": None, "oidc": P("o.toml"), "jwks": P("j.json"), "as_": "l@x.y", "key": P("k")},
    ),
    (
        "approver revoke a@x.y --reason left --as l@x.y --yes",
        "approver_revoke",
        ("a@x.y",),
        {"reason": "left", "compromised_since": None, "former_key": None, "as_": "l@x.y", "key": None},
    ),
    (
        "approver revoke a@x.y --reason stolen --compromised-since 2026-01-01 --former-key SHA256:x --as l@x.y --yes",
        "approver_revoke",
        ("a@x.y",),
        {
            "reason": "stolen",
            "compromised_since": "2026-01-01",
            "former_key": "SHA256:x",
            "as_": "l@x.y",
            "key": None,
        },
    ),
    (
        "approver delegate d@x.y --models c* --from 2026-01-01 --until 2026-02-01 --reason r",
        "approver_delegate",
        ("d@x.y",),
        {"models": "c*", "from_": "2026-01-01", "until": "2026-02-01", "reason": "r", "as_": None, "key": None},
    ),
    (
        "exception grant churn@1 --gate g --severity s --justification j --controls c --expires 2026-02-01"
        " --remediation r --remediation-date 2026-01-02 --as l@x.y --key k",
        "exception_grant",
        ("churn@1",),
        {
            "gate": "g",
            "severity": "s",
            "justification": "j",
            "controls": "c",
            "expires": "2026-02-01",
            "remediation": "r",
            "remediation_date": "2026-01-02",
            "root_cause": None,
            "as_": "l@x.y",
            "key": P("k"),
        },
    ),
]


@pytest.mark.parametrize(("typed", "method", "args", "kwargs"), CALLS, ids=[call[0][:30] for call in CALLS])
def test_what_was_typed_reaches_the_facade(
    run: Run, facade: FakeRegistry, typed: str, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    ran = run(*typed.split())
    assert facade.asked[-1] == (method, args, kwargs)
    if method != "delete":
        assert ran.status == 0, ran.err
        assert ran.out.splitlines()[-1] == f"ledger 7 {HEAD[1]}"


@pytest.mark.parametrize(
    "typed",
    [
        "archive",
        "archive churn@1 --pending",
        "archive --pending --reason r",
        "register churn 1",
        "register churn 1 m.pkl --tracking-uri http://h",
        "register churn 1 --from-run r1 --template t.yaml",
        "attach churn@1",
        "tag churn@1",
        "tag churn@1 novalue",
        "tag churn@1 a=1 a=2",
        "promote churn@1 --to staging --pipeline-key k",
        "verify --sample 0",
        "init --risk extreme",
        "init --risk high --lead x",
        "init",
        "approval sign A1 --as l@x.y",
        "approver add N --role boss --public-key k --as l@x.y",
        "approval statement A1 --as l@x.y -o - --json",
    ],
)
def test_what_does_not_fit_is_exit_2_and_reaches_nothing(run: Run, facade: FakeRegistry, typed: str) -> None:
    facade.answers["approval_show"] = {"id": "A1", "model": "churn", "version": "1", "review": {}}
    ran = run(*typed.split())
    assert ran.status == 2
    assert [name for name, _, _ in facade.asked if name not in ("approval_show", "takes_signature")] == []


def test_the_pipeline_key_of_the_environment_is_used_with_a_pipeline_only(
    run: Run, facade: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MANUAL_REGISTRY_PIPELINE_KEY", "/k")
    run("promote", "churn@1", "--to", "production", "--pipeline", "ci")
    assert facade.asked[-1][2]["pipeline_key"] == Path("/k")
    run("promote", "churn@1", "--to", "staging")
    assert facade.asked[-1][2]["pipeline_key"] is None


def test_signing_shows_the_review_first(run: Run, facade: FakeRegistry) -> None:
    facade.answers["approval_show"] = {
        "id": "A1",
        "model": "churn",
        "version": "2",
        "review": {
            "from": "staging",
            "to": "production",
            "replaces": "1",
            "metrics": [{"name": "auc", "value": 0.9, "production": 0.8, "difference": 0.1}],
            "gates": [
                {
                    "gate": "fairness",
                    "passed": True,
                    "metrics": [{"name": "dpr", "value": 0.9, "lower": 0.85, "threshold": 0.8, "direction": "higher"}],
                }
            ],
            "registered_by": ["sme@x.y"],
            "blake3": "ab" * 32,
            "limitations": "none known",
            "needs": "an AI Governance Lead",
        },
    }
    ran = run("approval", "sign", "A1", "--as", "l@x.y", "--key", "k", "--reject", "--comment", "no")
    assert ran.status == 0
    assert "staging -> production, replaces 1" in ran.err
    assert "auc" in ran.err
    assert "fairness passed: dpr 0.9 (0.85 to ?), asked >= 0.8" in ran.err
    assert facade.asked[-1] == (
        "approval_sign",
        ("A1",),
        {"as_": "l@x.y", "key": Path("k"), "reject": True, "comment": "no"},
    )
    ran = run("approval", "sign", "A1", "--as", "l@x.y", "--key", "k", "--json")
    assert ran.err == ""
    assert json.loads(ran.out)["schema"] == "manual-registry/result/1"


def test_a_statement_goes_to_the_file_and_the_result_to_stdout(run: Run, facade: FakeRegistry, tmp_path: Path) -> None:
    facade.answers["approval_statement"] = (b"{}\n", result())
    target = tmp_path / "s.json"
    ran = run("approval", "statement", "A1", "--as", "l@x.y", "-o", str(target))
    assert (ran.status, target.read_bytes()) == (0, b"{}\n")
    ran = run("approval", "statement", "A1", "--as", "l@x.y", "-o", "-")
    assert ran.out == "{}\n"
    assert ran.err.splitlines()[-1] == f"ledger 7 {HEAD[1]}"


@pytest.mark.parametrize("name", ["registry.toml", "ledger/x.json", "models/a/b", "LEDGER/x", "approvals"])
def test_an_output_never_lands_on_what_is_the_registrys(run: Run, facade: FakeRegistry, name: str) -> None:
    facade.answers["anchor"] = "line"
    target = facade.root / name
    target.parent.mkdir(parents=True, exist_ok=True)
    ran = run("anchor", "-o", str(target))
    assert (ran.status, target.exists()) == (6, False)
    assert run("anchor", "-o", str(facade.root / "anchor.txt")).status == 0


def test_anchor_and_card(run: Run, facade: FakeRegistry, tmp_path: Path) -> None:
    facade.answers |= {"anchor": "line", "card": "# Card\n\nü\n"}
    assert run("anchor").out == "line\n"
    assert run("anchor", "-o", "-").out == "line\n"
    assert json.loads(run("anchor", "--json").out) == {"schema": "manual-registry/anchor/1", "line": "line"}
    assert run("card", "churn@1").out == "# Card\n\nü\n"
    run("card", "churn@1", "-o", str(tmp_path / "c.md"))
    assert (tmp_path / "c.md").read_text() == "# Card\n\nü\n"
    missing = run("card", "churn@1", "-o", str(tmp_path / "no" / "c.md"))
    assert (missing.status, missing.err[:14]) == (8, "error MR-X003:")


def test_an_output_may_be_a_device_or_a_link(run: Run, facade: FakeRegistry, tmp_path: Path) -> None:
    facade.answers["anchor"] = "line"
    assert run("anchor", "-o", "/dev/null").status == 0
    assert not Path("/dev/null").is_file()
    (tmp_path / "real").write_text("line\n")
    (tmp_path / "link").symlink_to("real")
    assert run("anchor", "-o", str(tmp_path / "link")).status == 0  # the same bytes: nothing is lost
    assert ((tmp_path / "link").is_symlink(), (tmp_path / "real").read_text()) == (True, "line\n")
    assert run("anchor", "-o", str(tmp_path)).status == 6


def test_nothing_that_a_person_wrote_is_written_over(run: Run, facade: FakeRegistry, tmp_path: Path) -> None:
    facade.answers["anchor"] = "line"
    facade.answers["card"] = "# a card\n"
    kept = tmp_path / "notes.txt"
    kept.write_text("minutes of the meeting\n")
    (tmp_path / "link").symlink_to("notes.txt")
    for name in ("notes.txt", "link"):
        for words in (("anchor",), ("card", "churn@1"), ("approval", "statement", "A1", "--as", "l@x.y")):
            done = run(*words, "-o", str(tmp_path / name))
            assert (done.status, done.err[:15]) == (6, "error MR-C009: ")
    assert kept.read_text() == "minutes of the meeting\n"
    assert not any(one[0] == "approval_statement" for one in facade.asked)  # nothing was issued for it


def test_a_template_is_never_written_over_a_file(run: Run, facade: FakeRegistry, tmp_path: Path) -> None:
    facade.answers["metadata_template"] = "training_data:\n"
    target = tmp_path / "m.yaml"
    ran = run("register", "churn", "1", "m.pkl", "--template", str(target))
    assert ran.status == 0
    assert ran.out.splitlines()[-1] == f"next: mreg register churn 1 m.pkl --metadata {target}"
    assert target.read_text() == "training_data:\n"
    again = run("register", "churn", "1", "m.pkl", "--template", str(target))
    assert (again.status, again.err[:15]) == (6, "error MR-C009: ")


def test_init_ends_with_three_commands(run: Run, facade: FakeRegistry, tmp_path: Path) -> None:
    facade.answers["init"] = result(command="init", model=None, version=None)
    ran = run("init", str(tmp_path), "--risk", "high", "--lead", "L <l@x.y>", "--lead-key", "k.pub")
    assert ran.status == 0, ran.err
    assert facade.asked[-1][2]["leads"] == [("L <l@x.y>", Path("k.pub"))]
    lines = ran.out.splitlines()
    assert lines[-5].startswith("next")
    assert all(line.startswith("  mreg ") for line in lines[-4:-1])
    assert json.loads(run("init", str(tmp_path), "--risk", "minimal", "--json").out)["command"] == "init"


def test_verify_quiet_and_record(run: Run, facade: FakeRegistry) -> None:
    assert run("verify", "--quiet").out == ""
    assert run("verify", "--record").out.splitlines()[-1] == f"ledger 7 {HEAD[1]}"
    assert json.loads(run("verify", "--record", "--json").out)["ledger"] == {"seq": 7, "hash": HEAD[1]}
    run("verify", "a@1", "b@2", "--sample", "3", "--jobs", "2", "--both", "--quick", "--anchor", "1:sha256:ab")
    assert facade.asked[-1] == (
        "verify",
        (("a@1", "b@2"),),
        {
            "sample": 3,
            "jobs": 2,
            "both": True,
            "quick": True,
            "anchor": "1:sha256:ab",
            "tsa_roots": None,
            "record": False,
            "progress": None,
        },
    )


def test_trace_formats(run: Run, facade: FakeRegistry, tmp_path: Path) -> None:
    text = run("trace", "churn")
    assert text.out.splitlines()[0] == "churn@1 has been in production since 2026-11-24."
    assert "✓ verified  artefact" in text.out
    document = json.loads(run("trace", "churn", "--json").out)
    assert json.loads(run("trace", "churn", "--format", "json").out) == document
    target = tmp_path / "t.txt"
    assert run("trace", "churn", "-o", str(target)).out == f"written to {target}\n"
    assert target.read_text() == text.out
    both = run("trace", "churn", "--json", "--format", "text", "-o", str(target))
    assert json.loads(both.out) == document
    assert target.read_text() == text.out
    run("trace", "churn", "--at", "2026-01-01", "--no-hash")
    assert facade.asked[-1][2] == {"at": "2026-01-01", "hash": False, "progress": None}
