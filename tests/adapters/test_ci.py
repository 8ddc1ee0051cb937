"""What CI systems say about the job that runs."""

from __future__ import annotations

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
