"""Real git repositories for the tests, made with the git binary."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def environment(home: Path) -> dict[str, str]:
    """The process environment without the configuration of whoever runs the tests."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("GIT_", "DVC_"))}
    return kept | {
        "HOME": str(home),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "Ada Lovelace",
        "GIT_AUTHOR_EMAIL": "ada@example.org",
        "GIT_COMMITTER_NAME": "Charles Babbage",
        "GIT_COMMITTER_EMAIL": "charles@example.org",
        "GIT_AUTHOR_DATE": "2026-11-20T10:00:00Z",
        "GIT_COMMITTER_DATE": "2026-11-21T10:00:00Z",
        "DVC_NO_ANALYTICS": "1",
    }


def git(directory: Path, *arguments: str) -> str:
    """Run git in ``directory`` and return what it printed."""
    done = subprocess.run(
        ["git", "-C", str(directory), *arguments],
        check=True,
        capture_output=True,
        text=True,
        env=environment(directory.parent),
    )
    return done.stdout.strip()


def dvc(directory: Path, *arguments: str) -> None:
    """Run dvc in ``directory``."""
    subprocess.run(
        [sys.executable, "-m", "dvc", *arguments, "-q"],
        check=True,
        capture_output=True,
        cwd=directory,
        env=environment(directory.parent),
    )


def write(directory: Path, files: dict[str, str | bytes]) -> None:
    """Write ``files`` below ``directory``."""
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def new_repository(directory: Path, files: dict[str, str | bytes] | None = None) -> str:
    """Make a repository with one commit of ``files`` (if any) and return the commit's id ('' without)."""
    directory.mkdir(parents=True, exist_ok=True)
    git(directory, "init", "-q", "-b", "main")
    return commit(directory, files) if files else ""


def commit(directory: Path, files: dict[str, str | bytes] | None = None, message: str = "step") -> str:
    """Write ``files``, commit everything, return the commit's id."""
    write(directory, files or {})
    git(directory, "add", "-A")
    git(directory, "commit", "-q", "-m", message)
    return git(directory, "rev-parse", "HEAD")
