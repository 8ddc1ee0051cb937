"""The pictures in docs/ come from a script in the repository, and README shows them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "docs" / "pictures.py"
PNG = b"\x89PNG\r\n\x1a\n"


def run(target: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the script."""
    words = [sys.executable, str(SCRIPT), "-o", str(target)]
    return subprocess.run(
        words, cwd=target, env={**os.environ, **env}, capture_output=True, text=True, check=False, timeout=600
    )


def test_without_libreoffice_it_says_so_and_changes_nothing(tmp_path: Path) -> None:
    done = run(tmp_path, PATH=str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    assert "no pictures made: soffice and pdftoppm not installed" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_readme_shows_pictures_that_are_there_and_not_large() -> None:
    names = re.findall(r"\]\((docs/[\w-]+\.png)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert "docs/workbook-models.png" in names
    for name in names:
        data = (ROOT / name).read_bytes()
        assert data.startswith(PNG)
        assert len(data) < 600_000


@pytest.mark.slow
@pytest.mark.skipif(not (shutil.which("soffice") and shutil.which("pdftoppm")), reason="LibreOffice or poppler missing")
def test_the_script_makes_them(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert done.returncode == 0, done.stderr
    made = {path.name for path in tmp_path.glob("*.png")}
    assert made == {path.name for path in (ROOT / "docs").glob("workbook-*.png")}
    assert all((tmp_path / name).read_bytes().startswith(PNG) for name in made)
