"""What a CI system says about the job that runs: who started it, at which commit, in which run.

Rules held here: only variables that the CI system sets itself are read, none with a token in it. They are
claims of the environment, not proofs: a promotion rests on the pipeline's signature, never on these.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from manual_registry.core.references import without_credentials


@dataclass(frozen=True, kw_only=True, slots=True)
class CiJob:
    """The running job; each field is None where the CI system does not say.

    ``provider`` is github, gitlab or generic; ``started_by`` an e-mail address where the system gives one,
    else a login; ``commit`` a full id in lower case; ``run`` the run's id (``run_url`` its address);
    ``pipeline`` the name of the workflow, pipeline or job; ``repository`` an address without credentials.
    """

    provider: str
    started_by: str | None = None
    commit: str | None = None
    run: str | None = None
    run_url: str | None = None
    pipeline: str | None = None
    repository: str | None = None


_COMMIT = re.compile(r"[0-9a-f]{40}")


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
    """GitHub Actions. GITHUB_TRIGGERING_ACTOR started this (re-)run, GITHUB_ACTOR the first one."""
    server = _first(environ, "GITHUB_SERVER_URL") or "https://github.com"
    repository, run = _first(environ, "GITHUB_REPOSITORY"), _first(environ, "GITHUB_RUN_ID")
    return CiJob(
        provider="github",
        started_by=_first(environ, "GITHUB_TRIGGERING_ACTOR", "GITHUB_ACTOR"),
        commit=_commit(_first(environ, "GITHUB_SHA")),
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


def _first(environ: Mapping[str, str], *names: str) -> str | None:
    return next((value for name in names if (value := environ.get(name, "").strip())), None)


def _commit(text: str | None) -> str | None:
    lowered = (text or "").lower()
    return lowered if _COMMIT.fullmatch(lowered) else None


def _address(url: str | None) -> str | None:
    return without_credentials(url) if url else None


def _true(value: str | None) -> bool:
    return (value or "").strip().lower() in ("true", "1", "yes")
