"""A pipeline that is known by identity tokens, enrolled, looked at and revoked on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from provider import Provider, jwk, rsa_key
from world import LEAD, SME, World

from manual_registry.cli import main


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.chdir(tmp_path)
    return World(tmp_path / "w", pipelines=())


@pytest.fixture
def given(world: World) -> dict[str, str]:
    """The two files that a lead hands in."""
    provider = Provider(audience=f"manual-registry:{world.as_().status()['registry_id']}")
    oidc, jwks = world.place / "oidc.toml", world.place / "jwks.json"
    oidc.write_text(provider.toml(), encoding="utf-8")
    jwks.write_text(json.dumps(provider.key_set()), encoding="utf-8")
    return {"--oidc": str(oidc), "--jwks": str(jwks)}


class Typed:
    """Runs the command line in this process."""

    def __init__(self, world: World, capsys: pytest.CaptureFixture[str]) -> None:
        self.world, self.capsys = world, capsys

    def __call__(self, *words: str, actor: str = LEAD) -> tuple[int, str, str]:
        status = main(["--registry", str(self.world.root), "--actor", actor, *words])
        told = self.capsys.readouterr()
        return status, told.out, told.err

    def document(self, *words: str, actor: str = LEAD) -> Any:
        status, out, err = self(*words, "--json", actor=actor)
        assert status == 0, err
        return json.loads(out)


@pytest.fixture
def mreg(world: World, capsys: pytest.CaptureFixture[str]) -> Typed:
    return Typed(world, capsys)


def words(given: dict[str, str]) -> list[str]:
    return [word for pair in given.items() for word in pair]


def test_the_lead_reads_what_tokens_must_say_before_signing(mreg: Typed, world: World, given: dict[str, str]) -> None:
    add = ["pipeline", "add", "github", *words(given), "--as", LEAD, "--key", str(world.key(LEAD))]
    status, out, err = mreg(*add)
    assert status == 0
    assert out.startswith("enrolled the pipeline github\n")
    for told in ("token.actions.githubusercontent.com", "repository_id = 7001", "ref_protected = true", "ES256", "k1"):
        assert told in err
    assert mreg(*add)[1].startswith("github is enrolled so already; nothing changed")
    shown = mreg("pipeline", "list")[1]
    assert "tokens of https://token.actions.githubusercontent.com" in shown
    listed = mreg.document("pipeline", "list")["pipelines"][0]
    assert (listed["key"], listed["fingerprint"]) == (None, None)
    assert listed["oidc"]["claims"]["repository_id"] == "7001"
    assert "github" not in (world.root / "allowed_signers").read_text(encoding="utf-8")
    assert "for tokens of https://token" in mreg("history")[1]
    assert mreg("verify")[0] == 0


def test_somebody_asks_and_a_lead_signs_later(mreg: Typed, world: World, given: dict[str, str]) -> None:
    asked = mreg.document("pipeline", "add", "github", *words(given), actor=SME)
    assert asked["waiting_for"]
    status, shown, _ = mreg("approval", "show", asked["id"])
    assert status == 0
    assert "repository_id" in shown and "7001" in shown
    assert mreg("approval", "sign", asked["id"], "--as", LEAD, "--key", str(world.key(LEAD)))[0] == 0
    assert mreg.document("pipeline", "list")["pipelines"][0]["name"] == "github"
    assert mreg("verify")[0] == 0


def test_new_keys_of_the_provider_are_pinned_by_revoking_and_adding(
    mreg: Typed, world: World, given: dict[str, str]
) -> None:
    signed = ["--as", LEAD, "--key", str(world.key(LEAD))]
    assert mreg("pipeline", "add", "github", *words(given), *signed)[0] == 0
    both = {"keys": [*json.loads(Path(given["--jwks"]).read_text(encoding="utf-8"))["keys"], jwk(rsa_key(), "k9")]}
    Path(given["--jwks"]).write_text(json.dumps(both), encoding="utf-8")
    text = Path(given["--oidc"]).read_text(encoding="utf-8").replace('["ES256"]', '["ES256", "RS256"]')
    Path(given["--oidc"]).write_text(text, encoding="utf-8")
    assert mreg("pipeline", "add", "github", *words(given), *signed)[0] == 6
    assert mreg("pipeline", "revoke", "github", "--reason", "new keys", *signed)[0] == 0
    assert mreg("pipeline", "add", "github", *words(given), *signed)[0] == 0
    old, new = mreg.document("pipeline", "list")["pipelines"]  # former keys stay in the list
    assert (len(old["oidc"]["keys"]), len(new["oidc"]["keys"])) == (1, 2)
    assert mreg("verify")[0] == 0


@pytest.mark.parametrize(
    ("typed", "status"),
    [
        ([], 2),
        (["--oidc"], 2),
        (["--jwks"], 2),
        (["--oidc", "--jwks", "--public-key"], 2),
        (["--public-key", "--jwks"], 2),
    ],
)
def test_a_key_or_tokens_and_nothing_half(
    mreg: Typed, world: World, given: dict[str, str], typed: list[str], status: int
) -> None:
    options = {**given, "--public-key": str(world.public(SME))}
    taken = [word for name in typed for word in (name, options[name])]
    head = world.as_().head
    assert mreg("pipeline", "add", "x", *taken, "--as", LEAD, "--key", str(world.key(LEAD)))[0] == status
    assert world.as_().head == head


def test_an_enrolment_as_the_template_leaves_it_is_refused_with_what_is_missing(
    mreg: Typed, world: World, given: dict[str, str]
) -> None:
    text = world.as_().pipeline_template("github-oidc").replace('"RS256"', '"ES256"')
    Path(given["--oidc"]).write_text(text, encoding="utf-8")
    status, _, err = mreg("pipeline", "add", "github", *words(given), "--as", LEAD, "--key", str(world.key(LEAD)))
    assert status == 7
    assert err.splitlines()[-1] == "error MR-I045: oidc: OIDC enrolment: claim 'repository_id' = '' cannot be pinned"


@pytest.mark.parametrize("which", ["github", "gitlab", "github-oidc", "gitlab-oidc"])
def test_templates_go_to_standard_output(mreg: Typed, world: World, which: str) -> None:
    status, out, _ = mreg("pipeline", "template", which)
    assert status == 0
    assert world.as_().status()["registry_id"] in out or which == "github"
    assert mreg.document("pipeline", "template", which)["text"].rstrip("\n") == out.rstrip("\n")


def test_an_unknown_template_is_a_usage_error(mreg: Typed) -> None:
    assert mreg("pipeline", "template", "jenkins")[0] == 2
