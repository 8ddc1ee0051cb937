"""What CI systems say about the job that runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from manual_registry.adapters.ci import detect

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def test_outside_ci_there_is_no_job() -> None:
    assert detect({}) is None
    assert detect({"CI": "false", "GITHUB_SHA": COMMIT}) is None


def test_github_names_who_started_this_run() -> None:
    job = detect(
        {
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_ACTOR": "first",
            "GITHUB_TRIGGERING_ACTOR": "second",
            "GITHUB_SHA": COMMIT.upper(),
            "GITHUB_RUN_ID": "42",
            "GITHUB_WORKFLOW": "train",
            "GITHUB_REPOSITORY": "team/churn",
            "GITHUB_SERVER_URL": "https://github.example.org",
        }
    )
    assert job is not None
    assert (job.provider, job.started_by, job.commit, job.run) == ("github", "second", COMMIT, "42")
    assert job.run_url == "https://github.example.org/team/churn/actions/runs/42"
    assert (job.pipeline, job.repository) == ("train", "https://github.example.org/team/churn")


def test_gitlab_gives_an_address_and_no_token() -> None:
    job = detect(
        {
            "GITLAB_CI": "true",
            "GITLAB_USER_EMAIL": "ada@example.org",
            "GITLAB_USER_LOGIN": "ada",
            "CI_COMMIT_SHA": COMMIT,
            "CI_PIPELINE_ID": "7",
            "CI_PIPELINE_URL": "https://gitlab.example.org/t/c/-/pipelines/7",
            "CI_REPOSITORY_URL": "https://gitlab-ci-token:SECRET@gitlab.example.org/t/c.git",
            "CI_PROJECT_URL": "https://gitlab.example.org/t/c",
            "CI_JOB_NAME": "register",
        }
    )
    assert job is not None
    assert (job.provider, job.started_by, job.commit, job.run) == ("gitlab", "ada@example.org", COMMIT, "7")
    assert (job.pipeline, job.repository) == ("register", "https://gitlab.example.org/t/c")
    assert "SECRET" not in repr(job)


def test_other_systems_are_generic() -> None:
    jenkins = detect(
        {
            "JENKINS_URL": "https://ci",
            "GIT_COMMIT": COMMIT,
            "BUILD_TAG": "jenkins-x-3",
            "JOB_NAME": "x",
            "GIT_URL": "https://u:p@host/x.git",
        }
    )
    assert jenkins is not None
    assert (jenkins.provider, jenkins.run, jenkins.repository) == (
        "generic",
        "jenkins-x-3",
        "https://host/x.git",
    )
    bare = detect({"CI": "1", "GIT_COMMIT": "not a commit"})
    assert bare is not None
    assert (bare.started_by, bare.commit) == (None, None)


def test_github_tells_addresses_in_the_event_of_a_push(tmp_path: Path) -> None:
    push = {
        "pusher": {"name": "ada-l", "email": "Ada@example.org"},
        "head_commit": {"id": COMMIT, "author": {"name": "Bea", "email": "bea@example.org", "username": "bea"}},
    }
    event = tmp_path / "event.json"
    event.write_text(json.dumps(push), encoding="utf-8")
    said = {"GITHUB_ACTIONS": "true", "GITHUB_SHA": COMMIT, "GITHUB_ACTOR": "ada-l", "GITHUB_EVENT_PATH": str(event)}
    job = detect(said)
    assert job is not None
    assert (job.started_by, job.commit_author) == ("ada@example.org", "bea@example.org")
    again = detect({**said, "GITHUB_TRIGGERING_ACTOR": "carl"})  # somebody else ran it again
    assert again is not None and again.started_by == "carl"
    other = detect({**said, "GITHUB_SHA": "f" * 40})
    assert other is not None and other.commit_author is None


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"pusher": 1, "head_commit": []}', '{"pusher": {"name": "ada-l", "email": "a b"}}']
)
def test_an_event_that_says_nothing_is_no_trouble(tmp_path: Path, text: str) -> None:
    event = tmp_path / "event.json"
    event.write_text(text, encoding="utf-8")
    job = detect({"GITHUB_ACTIONS": "true", "GITHUB_ACTOR": "ada-l", "GITHUB_EVENT_PATH": str(event)})
    assert job is not None
    assert (job.started_by, job.commit_author) == ("ada-l", None)


def test_gitlab_names_the_commits_author() -> None:
    said = {"GITLAB_CI": "true", "CI_COMMIT_SHA": COMMIT, "CI_COMMIT_AUTHOR": "Bea B. <Bea@example.org>"}
    job = detect(said)
    assert job is not None and job.commit_author == "bea@example.org"
    nobody = detect({**said, "CI_COMMIT_AUTHOR": "Bea"})
    assert nobody is not None and nobody.commit_author is None
