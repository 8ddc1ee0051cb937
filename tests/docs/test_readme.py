"""The README's blocks run as they stand, in order; the two set-up commands run in .ci/run.

Each ``console`` block begins in one and the same directory, which holds ``churn.pkl`` and the demo. Output is
not compared; the exit status is: 0, or the one named by a comment ``# exit N`` at the end of the line.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SET_UP = re.compile(r"<!-- set-up: (\w+) -->\n```console\n(.*?)```", re.DOTALL)
BLOCK = re.compile(r"^```(console|python)\n(.*?)^```", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Command:
    """One line to type and the exit status that it must have."""

    line: str
    status: int


def _commands(block: str) -> list[Command]:
    found = []
    for typed in block.splitlines():
        if typed.startswith("$ "):
            line, _, status = typed[2:].partition("   # exit ")
            found.append(Command(line=line, status=int(status.split(":")[0] or 0)))
    return found


def _environment(home: Path) -> dict[str, str]:
    """A person's environment: both names of the tool on the path, and nothing of this machine's settings."""
    names = home / "bin"
    names.mkdir()
    for name in ("mreg", "manual-registry"):
        script = names / name
        script.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m manual_registry "$@"\n', encoding="utf-8")
        script.chmod(0o755)
    kept = {name: os.environ[name] for name in ("LANG", "LC_ALL", "OPENBLAS_CORETYPE") if name in os.environ}
    return {**kept, "PATH": f"{names}:{os.environ['PATH']}", "HOME": str(home), "PYTHONPATH": str(ROOT)}


def _run(line: str, directory: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", line],
        cwd=directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_the_blocks_run_in_order(tmp_path: Path) -> None:
    home, start = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    start.mkdir()
    environment = _environment(home)
    (start / "churn.pkl").write_bytes(b"\x80\x04N.")
    demo = _run("mreg demo", start, environment)
    assert demo.returncode == 0, demo.stderr
    for kind, text in BLOCK.findall(SET_UP.sub("", README)):
        if kind == "python":
            done = subprocess.run(
                [sys.executable, "-c", text],
                cwd=start,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, f"{text}\n{done.stderr}"
            continue
        before = ""
        for command in _commands(text):
            if command.line.startswith("cd "):
                before = f"{command.line} && "
                continue
            done = _run(before + command.line, start, environment)
            assert done.returncode == command.status, f"{command.line}\n{done.stdout}{done.stderr}"


def test_there_are_exactly_two_set_up_commands_and_ci_runs_them() -> None:
    commands = {name: _commands(text) for name, text in SET_UP.findall(README)}
    assert {name: len(lines) for name, lines in commands.items()} == {"demo": 1, "tests": 1}
    assert "manual-registry demo" in commands["demo"][0].line
    assert commands["tests"][0].line.endswith(".venv/bin/pytest")
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    for name in commands:
        assert f"readme_command {name}" in script


def test_ci_reads_the_commands_that_stand_here() -> None:
    function = re.search(r"readme_command\(\) \{.*?\n\}", (ROOT / ".ci" / "run").read_text(encoding="utf-8"), re.DOTALL)
    assert function
    for name, text in SET_UP.findall(README):
        read = _run(f"here={shlex.quote(str(ROOT))}; {function[0]}; readme_command {name}", ROOT, dict(os.environ))
        assert [read.stdout.strip()] == [command.line for command in _commands(text)]


def test_the_set_up_stands_on_the_first_screen() -> None:
    assert README.index("<!-- set-up: tests -->") < README.index("\n## ")


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#:]+)\)", README))))
def test_links_lead_somewhere(target: str) -> None:
    assert (ROOT / target).exists()


def test_nothing_is_left_to_be_filled_in() -> None:
    assert not re.search(r"\b(TODO|TBD|FIXME|TRACE)\b|lorem", README)


def test_exit_statuses_are_those_of_the_code() -> None:
    from manual_registry.core import errors

    told = {int(status) for status in re.findall(r"\| (\d+) (?=\|)", README)}
    used = {
        cls.status for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, errors.RegistryError)
    }
    assert used <= told
