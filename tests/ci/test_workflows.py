"""The workflow files that the package ships, read as YAML and run here as GitHub and GitLab would run them.

Each job has the environment that its system gives it and an identity provider whose keys a lead has enrolled; the
commands are those of the files, word for word. A repository with `make train` stands in for the team's own.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pygit2
import pytest
import yaml
from provider import GITHUB, GITLAB, Provider, github
from world import LEAD, LEAD2, SME, World, gate

from manual_registry.core.errors import RegistryError

ROOT = Path(__file__).resolve().parents[2]
AUTHOR = "bea@example.org"
REVIEWER = "rita@example.org"
#: What the templates leave to the team: how the tool gets onto a runner.
INSTALL = "Install manual-registry"


@dataclass
class Outcome:
    """How a job ended: ``success``, ``waiting`` or ``failed``, and what it wrote."""

    status: str
    exit: int
    out: str = ""
    err: str = ""

    @property
    def mail(self) -> list[str]:
        """The last lines of standard error, as a mail about the job shows them."""
        return self.err.splitlines()[-6:]


@dataclass
class Place:
    """A registry, a team's repository, and a runner."""

    world: World
    repository: Path
    environ: dict[str, str]
    commit: str

    def shell(self, script: str, environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
            cwd=self.repository,
            env={**self.environ, **environ},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def sign(self, to: str, who: str) -> None:
        """Whoever may signs the open request."""
        registry = self.world.as_(who)
        asked = [one for one in registry.approval_list(pending=True) if one["to"] == to]
        registry.approval_sign(asked[-1]["id"], as_=who, key=self.world.key(who))

    @property
    def stage(self) -> str:
        return str(self.world.as_().show("my-model@latest")["stage"])


_MAKE = """#!/bin/sh
mkdir -p build/model build/gates
printf 'weights' > build/model/weights.bin
cp training/metadata.yaml training/environment.txt build/
cp training/gates/*.json build/gates/
"""


def _repository(place: Path, world: World) -> str:
    """Make the team's repository with one commit; return its id."""
    training = place / "training"
    (training / "gates").mkdir(parents=True)
    (training / "metadata.yaml").write_bytes(world.metadata(gates=None, code=None, pipeline_run=None).read_bytes())
    (training / "environment.txt").write_text("numpy==2.0\n", encoding="utf-8")
    for name in ("performance", "fairness", "security"):
        (training / "gates" / f"{name}.json").write_text(json.dumps(gate(name)), encoding="utf-8")
    repository = pygit2.init_repository(str(place))
    (place / ".gitignore").write_text("build/\n", encoding="utf-8")
    repository.index.add_all()
    repository.index.write()
    person = pygit2.Signature("Bea", AUTHOR, 1_700_000_000, 0)
    made = repository.create_commit("HEAD", person, person, "train", repository.index.write_tree(), [])
    return str(made)


@pytest.fixture
def place(tmp_path: Path, own_machine: Path) -> Place:
    """A high-risk registry with a reviewer and two leads, and a runner that has nothing of this process but the tool."""
    world = World(tmp_path / "w", model="my-model", pipelines=())
    lead = world.as_(LEAD)
    from manual_registry.adapters.keys import generate_ed25519

    generate_ed25519(world.key(REVIEWER), REVIEWER)
    lead.approver_add(
        f"Rita <{REVIEWER}>", role="technical-sme", public_key=world.public(REVIEWER), as_=LEAD, key=world.key(LEAD)
    )
    repository, programs = tmp_path / "repository", tmp_path / "bin"
    repository.mkdir()
    programs.mkdir()
    commit = _repository(repository, world)
    for name, text in {
        "mreg": f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m manual_registry "$@"\n',
        "make": _MAKE,
        "python3": f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n',
    }.items():
        (programs / name).write_text(text, encoding="utf-8")
        (programs / name).chmod(0o755)
    kept = {
        name: os.environ[name]
        for name in ("LANG", "LC_ALL", "MANUAL_REGISTRY_STATE", "MANUAL_REGISTRY_CACHE")
        if name in os.environ
    }
    environ = {**kept, "PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    return Place(world=world, repository=repository, environ=environ, commit=commit)


def _enrol(place: Place, which: str, issuer: str) -> Provider:
    """A lead enrols the jobs, with the file that the tool begins."""
    lead = place.world.as_(LEAD)
    begun = lead.pipeline_template(f"{which}-oidc")
    audience = re.findall(r'^audience = "(.*)"', begun, re.MULTILINE)[0]
    provider = Provider(audience=audience, issuer=issuer)
    told = begun.replace('_id = ""', '_id = "7001"' if which == "github" else '_id = "42"')
    told = told.replace("https://gitlab.com", issuer).replace('"RS256"', '"ES256"')
    oidc, jwks = place.world.place / "oidc.toml", place.world.place / "jwks.json"
    oidc.write_text(told, encoding="utf-8")
    jwks.write_text(json.dumps(provider.key_set()), encoding="utf-8")
    lead.pipeline_add(which, oidc=oidc, jwks=jwks, as_=LEAD, key=place.world.key(LEAD))
    return provider


# -- GitHub Actions ---------------------------------------------------------------------------------------


def _on_github(
    place: Place, event: str, *, run: int = 7, provider: Provider | None = None, **more: str
) -> dict[str, Outcome]:
    """Run the workflow for an event; returns how each job ended."""
    found = yaml.safe_load(place.world.as_().pipeline_template("github"))
    job_environ = {
        "CI": "true",
        "GITHUB_ACTIONS": "true",
        "GITHUB_ACTOR": "bea-b",
        "GITHUB_SHA": place.commit,
        "GITHUB_RUN_ID": "12345",
        "GITHUB_REPOSITORY": "team/model",
        "GITHUB_WORKFLOW": found["name"],
        **{name: str(value).replace("${{ github.run_number }}", str(run)) for name, value in found["env"].items()},
        "MANUAL_REGISTRY": str(place.world.root),
        **more,
    }
    outcomes: dict[str, Outcome] = {}
    for name, job in found["jobs"].items():
        if job.get("if") == "github.event_name == 'push'" and event != "push":
            continue
        if (
            any(outcomes[needed].status == "failed" for needed in [job["needs"]] if needed in outcomes)
            if "needs" in job
            else False
        ):
            continue
        own = dict(job_environ)
        with ExitStack() as stack:
            if job.get("permissions", {}).get("id-token") == "write" and provider is not None:
                served, _ = stack.enter_context(github(provider))
                own |= served
            outcomes[name] = _steps(place, job["steps"], own)
    return outcomes


def _steps(place: Place, steps: list[dict[str, Any]], environ: Mapping[str, str]) -> Outcome:
    out = err = ""
    for step in steps:
        if "run" not in step or step["name"] == INSTALL:
            continue
        done = place.shell(step["run"], environ)
        out, err = out + done.stdout, err + done.stderr
        if done.returncode:
            return Outcome("failed", done.returncode, out, err)
    return Outcome("waiting" if "::notice title=Waiting" in out else "success", 0, out, err)


def test_github_from_a_push_to_production(place: Place) -> None:
    provider = _enrol(place, "github", GITHUB)
    pushed = _on_github(place, "push", provider=provider)
    assert {name: one.status for name, one in pushed.items()} == {"register": "success", "promote": "waiting"}
    assert (
        pushed["promote"]
        .mail[-2]
        .endswith("waits for a signature (of lead@example.org or lead2@example.org or rita@example.org) [RP-10]")
    )
    assert pushed["promote"].mail[-1].startswith("next: mreg approval sign A")
    shown = place.world.as_().show("my-model@1.0.7")
    assert shown["pipeline_run"] == "https://github.com/team/model/actions/runs/12345"
    assert shown["code_commit"] == place.commit
    place.sign("staging", REVIEWER)
    assert _on_github(place, "schedule", provider=provider)["promote"].status == "waiting"
    assert place.stage == "staging"
    place.sign("production", LEAD)
    done = _on_github(place, "schedule", provider=provider)["promote"]
    assert (done.status, place.stage) == ("success", "production")
    assert re.fullmatch(r"ledger \d+ sha256:[0-9a-f]{64}", done.out.splitlines()[-1])
    head = place.world.as_().head
    again = _on_github(place, "push", provider=provider, GITHUB_RUN_ID="12346")
    assert {name: one.status for name, one in again.items()} == {"register": "success", "promote": "success"}
    assert place.world.as_().head == head  # green, and nothing was written
    assert place.world.as_().verify().ok


def test_github_refuses_who_is_not_enrolled_and_says_why_at_the_end(place: Place) -> None:
    provider = _enrol(place, "github", GITHUB)
    _ready(place)
    fork = Provider(audience=provider.audience)
    fork.claims = lambda now, **changes: Provider.claims(fork, now, **{**changes, "repository_id": "666"})  # type: ignore[method-assign]
    refused = _on_github(place, "schedule", provider=fork)["promote"]
    assert (refused.status, refused.exit) == ("failed", 3)
    assert refused.mail == [
        "error MR-P008: pipeline github: the token's repository_id is '666', pinned is '7001' [RP-11]",
    ]
    without = _on_github(place, "schedule", provider=None)["promote"]
    assert (without.status, without.exit) == ("failed", 3)
    assert without.mail == [
        "error MR-P007: this job has no identity token to promote with; it gets one with permissions: {id-token: write}"
        " [RP-11]",
    ]
    assert place.stage == "staging"


@pytest.mark.parametrize("run", ["github", "gitlab"])
def test_before_the_first_version_the_mail_says_so(place: Place, run: str) -> None:
    job = {"github": _on_github, "gitlab": _on_gitlab}[run](place, "schedule")["promote"]
    assert (job.status, job.exit) == ("failed", 5)
    assert job.mail[0].startswith("error MR-N002: no model 'my-model' in this registry")
    assert len(job.mail) <= 2


def _ready(place: Place) -> None:
    """A version in staging with a signed approval to production, made without CI."""
    world = place.world
    world.register("1.0.7")
    world.approve("my-model@1.0.7", "staging", lead=LEAD2)
    world.as_(SME).promote("my-model@1.0.7", to="staging")
    world.approve("my-model@1.0.7", "production")


# -- GitLab CI --------------------------------------------------------------------------------------------


def _on_gitlab(
    place: Place, source: str, *, iid: int = 7, provider: Provider | None = None, **more: str
) -> dict[str, Outcome]:
    """Run the pipeline; returns how each job ended (waiting: allowed to fail with the status that it has)."""
    found = yaml.safe_load(place.world.as_().pipeline_template("gitlab"))
    environ = {
        "CI": "true",
        "GITLAB_CI": "true",
        "GITLAB_USER_EMAIL": "carl@example.org",
        "CI_COMMIT_SHA": place.commit,
        "CI_COMMIT_AUTHOR": f"Bea <{AUTHOR}>",
        "CI_COMMIT_BRANCH": "main",
        "CI_DEFAULT_BRANCH": "main",
        "CI_PIPELINE_SOURCE": source,
        "CI_PIPELINE_IID": str(iid),
        "CI_PIPELINE_ID": f"90{iid}",
        "CI_PIPELINE_URL": f"https://gitlab.example.org/t/m/-/pipelines/90{iid}",
        **{name: str(value).replace("$CI_PIPELINE_IID", str(iid)) for name, value in found["variables"].items()},
        "MANUAL_REGISTRY": str(place.world.root),
        **more,
    }
    outcomes: dict[str, Outcome] = {}
    for name in ("register", "promote"):
        job = found[name]
        if not any(_holds(rule["if"], environ) for rule in job["rules"]):
            continue
        own = dict(environ)
        for variable, token in job.get("id_tokens", {}).items():
            if provider is not None:
                own[variable] = provider.token(datetime.now(UTC), aud=token["aud"])
        done = place.shell("\n".join(job["script"]), own)
        allowed = done.returncode in job.get("allow_failure", {}).get("exit_codes", [])
        status = "success" if done.returncode == 0 else "waiting" if allowed else "failed"
        outcomes[name] = Outcome(status, done.returncode, done.stdout, done.stderr)
        if status == "failed":
            break
    return outcomes


def _holds(rule: str, environ: Mapping[str, str]) -> bool:
    """Tell whether a rule of the kind ``$A == "b" && $C == $D`` holds."""
    sides = [[_value(one.strip(), environ) for one in part.split("==")] for part in rule.split("&&")]
    return all(left == right for left, right in sides)


def _value(text: str, environ: Mapping[str, str]) -> str:
    return environ[text[1:]] if text.startswith("$") else text.strip('"')


@pytest.mark.slow  # the same life as GitHub's, in as many processes
def test_gitlab_from_a_push_to_production(place: Place) -> None:
    provider = _enrol(place, "gitlab", GITLAB)
    provider.claims = _claims_of(provider)  # type: ignore[method-assign]
    pushed = _on_gitlab(place, "push", provider=provider)
    assert {name: (one.status, one.exit) for name, one in pushed.items()} == {
        "register": ("success", 0),
        "promote": ("waiting", 9),
    }
    registered = place.world.as_().show("my-model@1.0.7")
    assert registered["pipeline_run"] == "https://gitlab.example.org/t/m/-/pipelines/907"
    place.sign("staging", REVIEWER)
    assert _on_gitlab(place, "schedule", iid=8, provider=provider)["promote"].exit == 9
    place.sign("production", LEAD)
    done = _on_gitlab(place, "schedule", iid=9, provider=provider)
    assert ({name: one.status for name, one in done.items()}, place.stage) == ({"promote": "success"}, "production")
    head = place.world.as_().head
    again = _on_gitlab(place, "push", provider=provider, CI_PIPELINE_ID="911")
    assert {name: one.status for name, one in again.items()} == {"register": "success", "promote": "success"}
    assert place.world.as_().head == head
    assert place.world.as_().verify().ok


def _claims_of(provider: Provider) -> Any:
    """The tokens of the job's own environment."""
    return lambda now, **changes: Provider.claims(provider, now, **{"environment": "production", **changes})


def test_gitlab_refuses_a_branch_and_a_job_without_a_token(place: Place) -> None:
    provider = _enrol(place, "gitlab", GITLAB)
    _ready(place)
    refused = _on_gitlab(place, "schedule", provider=provider)["promote"]  # the job names no environment
    assert (refused.status, refused.exit) == ("failed", 3)
    assert refused.mail == [
        "error MR-P008: pipeline gitlab: the token's environment is absent, pinned is 'production' [RP-11]",
    ]
    without = _on_gitlab(place, "schedule", provider=None)["promote"]
    assert without.exit == 3
    assert without.mail == [
        "error MR-P007: this job has no identity token to promote with; it gets one with id_tokens:"
        f" {{MANUAL_REGISTRY_OIDC_TOKEN: {{aud: '{provider.audience}'}}}} [RP-11]",
    ]


# -- by a key, and the files themselves -------------------------------------------------------------------


def test_a_key_in_the_environment_promotes_as_text(place: Place) -> None:
    from manual_registry.adapters.keys import generate_ed25519

    world = place.world
    generate_ed25519(world.key("ci"), "ci")
    world.as_(LEAD).pipeline_add("ci", public_key=world.public("ci"), as_=LEAD, key=world.key(LEAD))
    _ready(place)
    secret = world.key("ci").read_text(encoding="ascii").rstrip("\n")  # as a web form keeps it
    environ = {"MANUAL_REGISTRY": str(world.root), "GITLAB_CI": "true", "MANUAL_REGISTRY_PIPELINE_KEY": secret}
    word = "mreg promote my-model@latest --to production"
    ignored = place.shell(word, environ)
    assert ignored.returncode == 3  # a key without --pipeline may be another job's
    wrong = place.shell(f"{word} --pipeline ci", {**environ, "MANUAL_REGISTRY_PIPELINE_KEY": secret[:200]})
    assert wrong.returncode == 3
    assert secret.splitlines()[1] not in wrong.stderr + wrong.stdout
    done = place.shell(f"{word} --pipeline ci", environ)
    assert (done.returncode, place.stage) == (0, "production"), done.stderr
    assert "\x1b" not in done.stdout + done.stderr + wrong.stderr + ignored.stderr


@pytest.mark.parametrize("which", ["github", "gitlab"])
def test_a_workflow_names_the_registry_and_is_never_overwritten(
    place: Place, which: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from manual_registry.cli import main

    monkeypatch.chdir(place.repository)
    target = Path(".github/workflows/model.yml")
    root = str(place.world.root)
    assert main(["--registry", root, "pipeline", "template", which, "-o", str(target)]) == 0
    text = target.read_text(encoding="utf-8")
    assert "REGISTRY_ID" not in text
    assert yaml.safe_load(text)
    assert main(["--registry", root, "pipeline", "template", which, "-o", str(target)]) == 6
    assert target.read_text(encoding="utf-8") == text


def test_a_workflow_puts_nothing_that_others_write_into_a_shell() -> None:
    """Titles, branch names and messages are other people's words: an expression inside ``run`` would be code."""
    found = yaml.safe_load((ROOT / "templates" / "github-actions.yml").read_text(encoding="utf-8"))
    runs = [step["run"] for job in found["jobs"].values() for step in job["steps"] if "run" in step]
    assert runs
    assert not [run for run in runs if "${{" in run]
    assert found["permissions"] == {"contents": "read"}


def test_who_started_the_job_and_who_wrote_the_commit_do_not_approve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are recorded as the CI system names them, where nobody said otherwise and no repository is at hand."""
    monkeypatch.chdir(tmp_path)
    for name, value in {
        "GITLAB_CI": "true",
        "GITLAB_USER_EMAIL": LEAD,
        "CI_COMMIT_SHA": "c" * 40,
        "CI_COMMIT_AUTHOR": f"Lea Two <{LEAD2}>",
        "CI_PIPELINE_ID": "907",
    }.items():
        monkeypatch.setenv(name, value)
    world = World(tmp_path / "w")
    world.register("1", code=None, pipeline_run=None)
    data = world.as_().show("churn@1")
    assert (data["code_commit"], data["pipeline_run"]) == ("c" * 40, "907")
    asked = world.as_().approval_request("churn@1", to="staging").id or ""
    for lead in (LEAD, LEAD2):
        with pytest.raises(RegistryError) as refusal:
            world.as_(lead).approval_sign(asked, as_=lead, key=world.key(lead))
        assert refusal.value.code == "MR-P009"
    monkeypatch.setenv("CI_PIPELINE_ID", "908")  # another run of the job, the same version
    assert world.register("1", code=None, pipeline_run=None).changed is False
