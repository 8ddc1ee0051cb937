"""Who is acting, when nobody said: in CI the person who started the job, else git's user.email, else the system's user.

An actor is claimed, not proven (README, "prevented and detected"); what must be proven is signed.
"""

from __future__ import annotations

import getpass
import re
import socket
from collections.abc import Mapping
from pathlib import Path

from manual_registry.adapters.ci import detect
from manual_registry.core.errors import BadEmail
from manual_registry.core.values import Email, email


def default_actor(environ: Mapping[str, str], directory: Path) -> Email:
    """Return the address of the acting person (design 3.2, ``--actor``)."""
    job = detect(environ)
    found = (job.started_by if job else None, _git_email(directory))
    for candidate in found:
        address = _address(candidate, job.provider if job else "")
        if address is not None:
            return address
    return email(f"{_plain(_system_user())}@{_plain(socket.gethostname()) or 'localhost'}")


def _address(text: str | None, provider: str) -> Email | None:
    if not text:
        return None
    try:
        return email(text)
    except BadEmail:
        # A login without an address: GitHub's own form of one; elsewhere the provider's name stands in.
        host = "users.noreply.github.com" if provider == "github" else f"{provider or 'users'}.invalid"
        return email(f"{_plain(text)}@{host}") if _plain(text) else None


def _git_email(directory: Path) -> str | None:
    import pygit2

    try:
        found = pygit2.discover_repository(str(directory))
        config = pygit2.Repository(found).config if found else pygit2.Config.get_global_config()
        return str(config["user.email"]) if "user.email" in config else None
    except (pygit2.GitError, OSError, KeyError, ValueError):
        return None  # no configuration, or a repository that git would refuse: somebody else must be named


def _system_user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9.-]", "", text.lower()).strip(".-")
