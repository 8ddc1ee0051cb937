"""No test of trouble runs inside a git repository: the one of this project is nobody's training code."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in the test's own directory."""
    monkeypatch.chdir(tmp_path)
