"""What a CI system says about the job that runs: who started it, at which commit, in which run.

Rules held here: only variables that the CI system sets itself are read, none with a token in it. They are
claims of the environment, not proofs: a promotion rests on the pipeline's signature, never on these.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from manual_registry.core.references import without_credentials


@dataclass(frozen=True, kw_only=True, slots=True)
class CiJob:
    """The running job; each field is None where the CI system does not say.

    ``provider`` is github, gitlab or generic; ``started_by`` an e-mail address where the system gives one,
    else a login; ``commit`` a full id in lower case, ``commit_author`` the address of who wrote it; ``run`` the run's
    id (``run_url`` its address); ``pipeline`` the name of the workflow, pipeline or job; ``repository`` an address
    without credentials.
    """

    provider: str
    started_by: str | None = None
    commit: str | None = None
    run: str | None = None
    run_url: str | None = None
    pipeline: str | None = None
    repository: str | None = None
    commit_author: str | None = None


#: The largest description of an event that is read, in bytes; GitHub's have some 10 kB.
_LARGEST = 1_000_000
_COMMIT = re.compile(r"[0-9a-f]{40}")
_ADDRESS = re.compile(r"[^@\s<>]{1,200}@[^@\s<>]{1,200}")


def detect(environ: Mapping[str, str]) -> CiJob | None:
    """Return the CI job that ``environ`` (the process environment) describes, or None outside CI."""
    if environ.get("GITHUB_ACTIONS") == "true":
        return _github(environ)
    if environ.get("GITLAB_CI") == "true":
        return _gitlab(environ)
    if _true(environ.get("CI")) or _true(environ.get("TF_BUILD")) or environ.get("JENKINS_URL"):
        return _generic(environ)
    return None


def _github(environ: Mapping[str, str]) -> CiJob:
    """GitHub Actions. GITHUB_TRIGGERING_ACTOR started this (re-)run, GITHUB_ACTOR the first one.

    Both are logins; the description of a push adds the addresses of who pushed and of the commit's author.
    """
    server = _first(environ, "GITHUB_SERVER_URL") or "https://github.com"
    repository, run = _first(environ, "GITHUB_REPOSITORY"), _first(environ, "GITHUB_RUN_ID")
    login, commit = _first(environ, "GITHUB_TRIGGERING_ACTOR", "GITHUB_ACTOR"), _commit(_first(environ, "GITHUB_SHA"))
    pusher, head = (_part(_event(environ), name) for name in ("pusher", "head_commit"))
    return CiJob(
        provider="github",
        started_by=(_email(pusher) if login and pusher.get("name") == login else None) or login,
        commit=commit,
        commit_author=_email(_part(head, "author")) if head.get("id") == commit else None,
        run=run,
        run_url=f"{server}/{repository}/actions/runs/{run}" if repository and run else None,
        pipeline=_first(environ, "GITHUB_WORKFLOW"),
        repository=f"{server}/{repository}" if repository else None,
    )


def _gitlab(environ: Mapping[str, str]) -> CiJob:
    """GitLab CI. CI_REPOSITORY_URL holds a token, so the project's address is taken."""
    return CiJob(
        provider="gitlab",
        started_by=_first(environ, "GITLAB_USER_EMAIL", "GITLAB_USER_LOGIN"),
        commit=_commit(_first(environ, "CI_COMMIT_SHA")),
        commit_author=_between_angles(_first(environ, "CI_COMMIT_AUTHOR")),
        run=_first(environ, "CI_PIPELINE_ID", "CI_JOB_ID"),
        run_url=_address(_first(environ, "CI_PIPELINE_URL", "CI_JOB_URL")),
        pipeline=_first(environ, "CI_PIPELINE_NAME", "CI_JOB_NAME"),
        repository=_address(_first(environ, "CI_PROJECT_URL")),
    )


def _generic(environ: Mapping[str, str]) -> CiJob:
    """Jenkins, Azure Pipelines, CircleCI, and whatever sets CI=true."""
    return CiJob(
        provider="generic",
        started_by=_first(environ, "BUILD_USER_EMAIL", "BUILD_REQUESTEDFOREMAIL", "BUILD_USER_ID", "CIRCLE_USERNAME"),
        commit=_commit(_first(environ, "GIT_COMMIT", "BUILD_SOURCEVERSION", "CIRCLE_SHA1")),
        run=_first(environ, "BUILD_TAG", "BUILD_BUILDID", "CIRCLE_BUILD_NUM", "BUILD_NUMBER"),
        run_url=_address(_first(environ, "BUILD_URL", "CIRCLE_BUILD_URL")),
        pipeline=_first(environ, "JOB_NAME", "BUILD_DEFINITIONNAME", "CIRCLE_JOB"),
        repository=_address(_first(environ, "GIT_URL", "BUILD_REPOSITORY_URI", "CIRCLE_REPOSITORY_URL")),
    )


def _event(environ: Mapping[str, str]) -> Mapping[str, Any]:
    """Return GitHub's description of what started the workflow; empty where there is none that can be read."""
    try:
        with Path(environ.get("GITHUB_EVENT_PATH", "")).open("rb") as file:
            found = json.loads(file.read(_LARGEST))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _part(of: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = of.get(name)
    return found if isinstance(found, dict) else {}


def _email(person: Mapping[str, Any]) -> str | None:
    found = person.get("email")
    return found.strip().lower() if isinstance(found, str) and _ADDRESS.fullmatch(found.strip()) else None


def _between_angles(text: str | None) -> str | None:
    """Return the address out of ``Name <address>``."""
    found = re.search(r"<([^<>]+)>\s*$", text or "")
    return _email({"email": found[1]}) if found else None


def _first(environ: Mapping[str, str], *names: str) -> str | None:
    return next((value for name in names if (value := environ.get(name, "").strip())), None)


def _commit(text: str | None) -> str | None:
    lowered = (text or "").lower()
    return lowered if _COMMIT.fullmatch(lowered) else None


def _address(url: str | None) -> str | None:
    return without_credentials(url) if url else None


def _true(value: str | None) -> bool:
    return (value or "").strip().lower() in ("true", "1", "yes")
