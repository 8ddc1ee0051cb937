"""The tests of CI jobs work outside every repository."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave this checkout: a commit would be looked up in it."""
    monkeypatch.chdir(tmp_path)
