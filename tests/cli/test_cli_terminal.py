"""On a real (pseudo) terminal: questions, colour, tables, the progress bar."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import pexpect
import pytest
from cli_fakes import HEAD

from manual_registry.adapters.keys import generate_ed25519

PRELUDE = """
import pathlib, sys, time
from cli_fakes import FakeRegistry, result
from manual_registry.cli import main, session, setup
fake = FakeRegistry(pathlib.Path('/nowhere'))
session.registry_class = setup.registry_class = lambda: fake
"""
SHOW = (
    "fake.answers['approval_show'] = dict(id='A1', model='churn', version='2',"
    " review={'from': 'staging', 'to': 'production', 'limitations': '[red]none[/red]'})\n"
)


def _spawn(code: str, *arguments: str, **environment: str) -> Any:
    ending = "status = main(sys.argv[1:])\nprint('ASKED', fake.asked, file=sys.stderr)\nsys.exit(status)"
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "TERM", "COLUMNS", "LINES")}
    path = f"{Path(__file__).parents[2]}{os.pathsep}{Path(__file__).parent}"
    env = {**kept, "TERM": "xterm-256color", "PYTHONPATH": path, **environment}
    return pexpect.spawn(
        sys.executable,
        ["-c", PRELUDE + code + ending, *arguments],
        env=env,
        encoding="utf-8",
        timeout=20,
        dimensions=(40, 100),
    )


def _end(child: Any) -> tuple[str, int]:
    child.expect(pexpect.EOF)
    child.close()
    return child.before, child.exitstatus


def test_signing_asks_after_the_review_and_no_means_no() -> None:
    child = _spawn(SHOW, "approval", "sign", "A1", "--as", "lead@x.y")
    child.expect(r"staging -> production")
    child.expect(r"\[red\]none\[/red\]")
    child.expect(r"Sign as lead@x.y that you approve this\? \[y/N\]")
    child.sendline("n")
    text, status = _end(child)
    assert status == 9
    assert "nothing was signed, nothing changed" in text
    assert "'approval_sign'" not in text


def test_yes_signs() -> None:
    child = _spawn(SHOW, "approval", "sign", "A1", "--as", "lead@x.y")
    child.expect(r"\[y/N\]")
    child.sendline("y")
    text, status = _end(child)
    assert status == 0
    assert "'approval_sign'" in text
    assert f"ledger 7 {HEAD[1]}" in text


def test_yes_on_the_command_line_asks_nothing() -> None:
    text, status = _end(_spawn(SHOW, "approval", "sign", "A1", "--as", "lead@x.y", "--yes"))
    assert status == 0
    assert "[y/N]" not in text


def test_init_asks_for_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / ".ssh").mkdir()
    generate_ed25519(tmp_path / ".ssh" / "id_ed25519", "lea@x.y")
    (tmp_path / "no.pub").write_text("ssh-ed25519 AAAA")
    answers = "fake.answers['init'] = result(command='init', model=None, version=None)\n"
    child = _spawn(answers, "init", str(tmp_path / "churn"), HOME=str(tmp_path))
    child.expect(r"Name of the AI system \[churn\]:")
    child.sendline("")
    child.expect("Risk class .high, limited, minimal.:")
    child.sendline("high")
    for wrong, told in (("soon", "soon"), ("2999-01-01", "has not come yet")):
        child.expect("Placed on the market")
        child.sendline(wrong)
        child.expect(told)
    child.expect("Placed on the market")
    child.sendline("")
    child.expect("The lead")
    child.sendline("lea@x.y")
    child.expect("write it as")
    child.expect("The lead, as")
    child.sendline("Lea <lea@x.y>")
    child.expect("1  .*id_ed25519.pub")
    for wrong in (tmp_path / "no.pub", tmp_path / "gone.pub"):
        child.expect("public key")
        child.sendline(str(wrong))
    child.expect("public key: a number")
    child.sendline("1")
    text, status = _end(child)
    assert status == 0
    assert "mreg approver add" in text
    assert "('Lea <lea@x.y>', PosixPath(" in text
    assert "'system': 'churn'" in text


def test_the_three_command_user_is_asked_nothing(tmp_path: Path) -> None:
    answers = "fake.answers['init'] = result(command='init', model=None, version=None)\n"
    text, status = _end(_spawn(answers, "init", str(tmp_path), "--risk", "minimal"))
    assert status == 0
    assert "?" not in text


def test_ctrl_c_at_a_question_is_130(tmp_path: Path) -> None:
    child = _spawn("", "init", str(tmp_path))
    child.expect("Name of the AI system")
    time.sleep(0.3)  # the prompt is written before the reading begins
    child.sendintr()
    text, status = _end(child)
    assert status == 130
    assert "error MR-E130" in text
    assert "Traceback" not in text


LIST = "fake.answers['list'] = [dict(model='m', version='1', stage='production', approver='[blink]x[/blink]')]\n"


def test_a_table_on_a_terminal_is_coloured_and_reads_no_markup() -> None:
    text, _ = _end(_spawn(LIST, "list"))
    assert "\x1b[32mproduction" in text
    assert "[blink]x[/blink]" in text
    assert "\x1b[5m" not in text


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_no_colour_when_it_is_not_wanted(environment: dict[str, str]) -> None:
    for arguments in (("list",), ("status",), ("trace", "churn"), ("verify",)):
        text, _ = _end(_spawn(LIST, *arguments, **environment))
        assert "\x1b[3" not in text


BUSY = """
def busy(ref, destination, progress=None):
    for done in range(4):
        progress(done * 25, 100)
        time.sleep({pause})
    return dict(model='m', version='1', path='p', blake3='b', sha256='s', files=1, size=100)
fake.fetch = busy
"""


def test_a_bar_comes_after_a_second_and_not_before() -> None:
    text, status = _end(_spawn(BUSY.format(pause=0.5), "fetch", "m@[b]1", "d"))
    assert status == 0
    assert "fetch m@[b]1" in text
    text, status = _end(_spawn(BUSY.format(pause=0.01), "fetch", "m@1", "d"))
    assert "━" not in text
    assert text.splitlines()[0].startswith("copied m@1 to p: 1 file(s), 100 bytes")
