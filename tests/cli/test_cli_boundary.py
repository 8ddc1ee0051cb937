"""Errors become text, JSON and an exit status in one place."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest
from cli_fakes import HEAD, FakeRegistry, Ran, result, trace

from manual_registry.core import errors
from manual_registry.core.results import Finding, LinkStatus, Severity, Verification

Run: TypeAlias = Callable[..., Ran]


def test_a_refusal_names_every_reason_and_the_next_command_last(run: Run, facade: FakeRegistry) -> None:
    facade.answers["promote"] = errors.Refused(
        [
            errors.GateMissing("no fairness report", clause="RP-7", hint="mreg attach churn@1 --gates FILE"),
            errors.PipelineMissing("no pipeline", hint="mreg pipeline add"),
            errors.CardIncomplete("no card", hint="mreg attach churn@1 --gates FILE"),
        ],
        message="churn@1 cannot go to production",
    )
    ran = run("promote", "churn@1", "--to", "production")
    assert ran.status == 3
    assert ran.out == ""
    assert ran.err.splitlines() == [
        "churn@1 cannot go to production",
        "error MR-P003: no fairness report [RP-7]",
        "error MR-P007: no pipeline",
        "error MR-P005: no card",
        "next: mreg attach churn@1 --gates FILE",
        "next: mreg pipeline add",
    ]


def test_json_has_one_error_document_and_nothing_else(run: Run, facade: FakeRegistry) -> None:
    facade.warnings = ("registry.toml differs",)
    facade.answers["promote"] = errors.Refused(
        [errors.ApprovalWanted("waits for a lead"), errors.BadName("bad", location="model", details={"n": 1})]
    )
    ran = run("promote", "churn@1", "--to", "production", "--json")
    assert (ran.status, ran.out) == (7, "")
    error = json.loads(ran.err)["error"]
    assert error["code"] == "MR-I001"
    assert [reason["code"] for reason in error["details"]["reasons"]] == ["MR-I001", "MR-W001"]
    assert all(set(reason) == {"code", "message", "clause"} for reason in error["details"]["reasons"])
    assert error["details"]["location"] == "model"
    assert error["details"]["n"] == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("promote", "churn@1"),
        ("list", "--nope"),
        ("approval",),
        ("deploy", "churn@1"),
        ("trace",),
    ],
)
def test_usage_errors_exit_2_in_both_forms(run: Run, arguments: tuple[str, ...]) -> None:
    plain = run(*arguments)
    assert plain.status == 2
    assert plain.err.startswith("error MR-U001: ")
    assert plain.err.splitlines()[-1].startswith("next: mreg")
    ran = run(*arguments, "--json")
    assert (ran.status, ran.out) == (2, "")
    assert json.loads(ran.err)["error"]["code"] == "MR-U001"


def test_control_characters_of_a_message_do_not_reach_the_terminal(run: Run, facade: FakeRegistry) -> None:
    facade.answers["show"] = errors.VersionUnknown("no \x1b[31mred\nerror MR-P001: forged \u202e")
    ran = run("show", "x@1")
    assert ran.status == 5
    assert ran.err == "error MR-N001: no \\x1b[31mred\\nerror MR-P001: forged \\u202e\n"


def test_the_unexpected_is_one_line(run: Run, facade: FakeRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MANUAL_REGISTRY_DEBUG", raising=False)
    facade.answers["status"] = KeyError("x")
    ran = run("status")
    assert ran.status == 1
    assert ran.err.startswith("error MR-E999: unexpected: KeyError: 'x'")
    assert ran.err.count("\n") == 1
    monkeypatch.setenv("MANUAL_REGISTRY_DEBUG", "1")
    assert "Traceback" in run("status").err


def test_ctrl_c_is_130_and_one_line(run: Run, facade: FakeRegistry) -> None:
    facade.answers["status"] = KeyboardInterrupt()
    ran = run("status")
    assert (ran.status, ran.out, ran.err) == (130, "", "error MR-E130: stopped\n")
    assert json.loads(run("status", "--json").err)["error"]["code"] == "MR-E130"


def test_trace_and_verify_print_their_document_when_they_exit_4(run: Run, facade: FakeRegistry) -> None:
    facade.answers["trace"] = trace(artefact=LinkStatus.BROKEN)
    ran = run("trace", "churn", "--json")
    assert (ran.status, ran.err) == (4, "")
    assert json.loads(ran.out)["verified"] is False
    finding = Finding(code="MR-A001", severity=Severity.ERROR, location="models/x", message="differs", clause="RP-1")
    facade.answers["verify"] = Verification(checked={"versions": 1}, findings=(finding,))
    ran = run("--json", "verify")
    assert (ran.status, ran.err) == (4, "")
    assert json.loads(ran.out)["ok"] is False
    ran = run("verify")
    first, advice, last = ran.out.splitlines()
    assert (first, last) == (
        "error MR-A001: models/x: differs [RP-1]",
        "NOT ok: 1 error, 0 warnings; checked 1 versions",
    )
    assert advice.startswith("next (MR-A001): ")


def test_a_missing_link_fails_only_strictly(run: Run, facade: FakeRegistry) -> None:
    facade.answers["trace"] = trace(prompt=LinkStatus.MISSING)
    assert run("trace", "churn").status == 0
    assert run("trace", "churn", "--strict").status == 4


def test_bare_outside_a_registry_shows_the_help(run: Run, facade: FakeRegistry) -> None:
    facade.answers["open"] = errors.NoRegistry("no registry here", hint="mreg init")
    ran = run()
    assert (ran.status, ran.out) == (2, "")
    assert ran.err.startswith("Usage: mreg")
    assert ran.err.splitlines()[-2:] == ["error MR-U002: no registry here", "next: mreg init"]
    assert json.loads(run("--json").err)["error"]["code"] == "MR-U002"


def test_bare_inside_a_registry_is_status(run: Run) -> None:
    assert run() == run("status")
    assert json.loads(run("--json").out)["schema"] == "manual-registry/status/1"


def test_common_options_stand_anywhere(run: Run, facade: FakeRegistry) -> None:
    facade.answers["approval_list"] = []
    common = ("--registry", "/r", "--actor", "a@b.c", "--json")
    first = run(*common, "approval", "list")
    assert json.loads(first.out) == {"schema": "manual-registry/approvals/1", "approvals": []}
    assert run("approval", *common, "list") == run("approval", "list", *common) == first
    assert facade.opened == [(Path("/r"), "a@b.c")] * 3


def test_warnings_come_before_the_reasons(run: Run, facade: FakeRegistry) -> None:
    facade.warnings = ("registry.toml differs",)
    facade.answers["show"] = errors.VersionUnknown("no such version")
    assert run("show", "x@1").err.splitlines() == [
        "warning: registry.toml differs",
        "error MR-N001: no such version",
    ]


def test_a_writing_command_ends_with_the_head(run: Run, facade: FakeRegistry) -> None:
    facade.answers["note"] = result(warnings=("the view is behind",), notes=("kept",), next="mreg show churn@1")
    ran = run("note", "churn@1", "x")
    assert ran.out.splitlines() == [
        "noted on churn@1",
        "kept",
        "next: mreg show churn@1",
        f"ledger 7 {HEAD[1]}",
    ]
    assert ran.err == "warning: the view is behind\n"
    document = json.loads(run("note", "churn@1", "x", "--json").out)
    assert document["ledger"] == {"seq": 7, "hash": HEAD[1]}
    facade.answers["note"] = result(changed=False)
    assert run("note", "churn@1", "x").out.startswith("churn@1 stands so already")


def _process(code: str, shell: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", f'set -o pipefail; "$0" -c "$1" {shell}', sys.executable, code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{Path(__file__).parents[2]}{os.pathsep}{Path(__file__).parent}"},
        check=False,
    )


CODE = """
import sys, pathlib
from cli_fakes import FakeRegistry
from manual_registry.cli import main, session
fake = FakeRegistry(pathlib.Path('/r'))
fake.answers['history'] = [
    dict(seq=n, at="t", actor="a", type="t", model="m", version="1", summary="x" * 200, hash="h")
    for n in range(9999)
]
session.registry_class = lambda: fake
sys.exit(main(['history']))
"""


def test_a_reader_that_goes_away_is_no_error() -> None:
    done = _process(CODE, "| head -1 >/dev/null")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_behind_the_output_is_an_error() -> None:
    done = _process(CODE, ">/dev/full")
    assert done.returncode == 8
    assert done.stderr.startswith("error MR-X001: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_change_nothing(closed: str) -> None:
    done = _process(CODE, closed)
    assert (done.returncode, done.stderr) == (0, "")
