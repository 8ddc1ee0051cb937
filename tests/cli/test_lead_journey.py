"""A lead's whole journey on a terminal: what waits, what is asked, the signature with a passphrase, done."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pexpect
import pytest

from manual_registry.adapters.keys import generate_ed25519
from manual_registry.registry import Registry

LEAD, SME = "lead@example.org", "sme@example.org"
PASSPHRASE = "four words are better"
pytestmark = pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="needs ssh-keygen")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A registry that waits for its lead, whose key has a passphrase."""
    key = tmp_path / "lead"
    generate_ed25519(key, LEAD)
    words = ["ssh-keygen", "-q", "-p", "-P", "", "-N", PASSPHRASE, "-f", str(key)]
    assert subprocess.run(words, capture_output=True, check=False).returncode == 0
    generate_ed25519(tmp_path / "ci", "ci")
    Registry.init(tmp_path / "reg", risk="high", leads=[(f"Lea <{LEAD}>", tmp_path / "lead.pub")], actor=SME)
    Registry.open(tmp_path / "reg", actor=SME).pipeline_add("ci", public_key=tmp_path / "ci.pub")
    return tmp_path


def typed(place: Path, *words: str) -> Any:
    """Start the command line on a terminal of its own."""
    env = {name: value for name, value in os.environ.items() if name not in ("SSH_AUTH_SOCK", "NO_COLOR", "DISPLAY")}
    env |= {"TERM": "dumb", "PYTHONPATH": str(Path(__file__).parents[2])}
    return pexpect.spawn(
        sys.executable,
        ["-m", "manual_registry", "--registry", str(place / "reg"), "--actor", LEAD, *words],
        env=env,
        encoding="utf-8",
        timeout=30,
        dimensions=(50, 160),
        cwd=str(place),
    )


def end(child: Any) -> tuple[str, int]:
    child.expect(pexpect.EOF)
    child.close()
    return child.before, child.exitstatus


def test_pending_read_sign(place: Path) -> None:
    text, status = end(typed(place, "approval", "list", "--pending"))
    assert status == 0
    assert "A2" in text and "enrol pipeline ci" in text and "requested" in text
    text, status = end(typed(place, "approval", "show", "A2"))
    assert "next: mreg approval sign A2 --as lead@example.org" in text
    assert "SHA256:" in text  # the fingerprint, to compare with the pipeline's owner

    child = typed(place, "approval", "sign", "A2", "--as", LEAD, "--key", "lead")
    child.expect("Request A2: enrol pipeline ci")
    child.expect(r"Sign as lead@example.org that you approve this\? \[y/N\]")
    child.sendline("n")
    text, status = end(child)
    assert (status, "nothing changed" in text) == (9, True)

    child = typed(place, "approval", "sign", "A2", "--as", LEAD, "--key", "lead")
    child.expect(r"\[y/N\]")
    child.sendline("y")
    child.expect("(?i)passphrase")
    child.sendline(PASSPHRASE)
    text, status = end(child)
    assert status == 0, text
    assert "signed approval A2" in text
    assert PASSPHRASE not in text

    text, status = end(typed(place, "approval", "list", "--pending"))
    assert "A2" not in text
    assert [one["name"] for one in Registry.open(place / "reg").pipeline_list()] == ["ci"]
    assert Registry.open(place / "reg").verify().ok


def test_a_wrong_passphrase_signs_nothing(place: Path) -> None:
    child = typed(place, "approval", "sign", "A2", "--as", LEAD, "--key", "lead", "--yes")
    for _ in range(3):
        if child.expect(["(?i)passphrase", pexpect.EOF]) == 1:
            break
        child.sendline("wrong")
    text, status = end(child)
    assert status == 8, text
    assert Registry.open(place / "reg").pipeline_list() == []
