"""Identity tokens of CI jobs, attacked: by a job that should not promote, and by somebody who writes in the folder."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from attacker import CI, LEAD, MALLORY, Scene, snapshot
from cryptography.hazmat.primitives import serialization
from provider import GITLAB, Provider, assembled, ec_key, github, jwk, rsa_key

from manual_registry.core.errors import RegistryError
from manual_registry.core.oidc import enrolment

REF = "churn@3"  # in staging, with a signed approval to production


def place(seq: int) -> str:
    return f"ledger/{seq:012d}.json"


def provider_of(scene: Scene, **options: Any) -> Provider:
    return Provider(audience=f"manual-registry:{scene.state(1).registry_id}", **options)


def files(scene: Scene, one: Provider, name: str = "github") -> dict[str, Path]:
    """Write the two files of `pipeline add`."""
    oidc, jwks = (scene.root.parent / f"{name}.{ending}" for ending in ("toml", "json"))
    oidc.write_text(one.toml(), encoding="utf-8")
    jwks.write_text(json.dumps(one.key_set()), encoding="utf-8")
    return {"oidc": oidc, "jwks": jwks}


@pytest.fixture
def enrolled(scene: Scene) -> tuple[Scene, Provider]:
    """A scene in which a lead has enrolled the jobs of a repository."""
    one = provider_of(scene)
    scene.as_(LEAD).pipeline_add("github", **files(scene, one), as_=LEAD, key=scene.world.key(LEAD))
    return scene, one


def promote(scene: Scene, token: str, **options: Any) -> Any:
    file = scene.root.parent / "token"
    file.write_text(token, encoding="utf-8")
    return scene.as_(CI).promote(REF, to="production", reason="x", oidc_token_file=file, **options)


def refused(scene: Scene, token: str, why: str, **options: Any) -> None:
    """The promotion is refused with the reason, and nothing was written."""
    before = snapshot(scene.root)
    with pytest.raises(RegistryError) as refusal:
        promote(scene, token, **options)
    assert [reason.code for reason in refusal.value.reasons] == ["MR-P008"], refusal.value.reasons
    assert refusal.value.exit_status == 3
    assert why in refusal.value.reasons[0].message
    assert snapshot(scene.root) == before


# -- a job that should not promote ------------------------------------------------------------------------


def test_a_good_token_promotes_and_is_found_good_for_ever(enrolled: tuple[Scene, Provider]) -> None:
    scene, one = enrolled
    assert promote(scene, one.token(scene.now)).stage == "production"
    scene.later(days=3 * 365)
    assert scene.errors() == []
    again = promote(scene, one.token(scene.now))  # a job that is run again is green, and uses no token up
    assert (again.changed, again.events) == (False, ())


@pytest.mark.parametrize("environ", [{"CI": "true"}, {"CI": "true", "GITHUB_ACTIONS": "true"}, {"GITLAB_CI": "true"}])
def test_a_ci_environment_is_no_identity(
    enrolled: tuple[Scene, Provider], environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    scene, _ = enrolled
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    before = snapshot(scene.root)
    with pytest.raises(RegistryError) as refusal:
        scene.as_(CI).promote(REF, to="production", reason="x")
    assert [reason.code for reason in refusal.value.reasons] == ["MR-P007"]
    assert snapshot(scene.root) == before


def public_pem(private: Any) -> bytes:
    return private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def doubled(one: Provider, scene: Scene) -> str:
    claims = json.dumps(one.claims(scene.now, repository_id="666"))[:-1] + ', "repository_id": "7001"}'
    return assembled({"alg": "ES256", "kid": "k1"}, claims.encode(), one.private, "ES256")


Make = Callable[[Provider, Scene], str]
BAD: dict[str, tuple[Make, str]] = {
    "alg none": (lambda one, at: one.token(at.now, header={"alg": "none"}, key=None), "algorithm 'none'"),
    "HS256 with the public key as secret": (
        lambda one, at: one.token(at.now, header={"alg": "HS256"}, key=public_pem(one.private)),
        "algorithm 'HS256'",
    ),
    "an algorithm of another key type": (lambda one, at: one.token(at.now, header={"alg": "RS256"}, key=rsa_key()), "algorithm 'RS256'"),
    "another key": (lambda one, at: one.token(at.now, key=ec_key("mallory")), "signature is not by the pinned key"),
    "another kid": (
        lambda one, at: one.token(at.now, header={"kid": "k2"}, key=ec_key("mallory")),
        "no pinned key has the token's kid",
    ),
    "a key in the header": (
        lambda one, at: one.token(
            at.now,
            header={"jwk": jwk(ec_key("mallory")), "jku": "https://evil.example/k", "x5u": "https://evil.example/c"},
            key=ec_key("mallory"),
        ),
        "signature is not by the pinned key",
    ),
    "crit": (lambda one, at: one.token(at.now, header={"crit": ["exp"]}), "crit"),
    "wrong audience": (lambda one, at: one.token(at.now, aud="manual-registry:" + "0" * 32), "aud is"),
    "wrong issuer": (lambda one, at: one.token(at.now, iss=GITLAB), "iss is"),
    "wrong repository": (lambda one, at: one.token(at.now, repository_id="666"), "repository_id is '666'"),
    "wrong environment": (lambda one, at: one.token(at.now, environment="test"), "environment is 'test'"),
    "unprotected branch": (lambda one, at: one.token(at.now, ref_protected="false"), "ref_protected is 'false'"),
    "expired": (lambda one, at: one.token(at.now - timedelta(hours=1)), "expired"),
    "not yet valid": (lambda one, at: one.token(at.now + timedelta(hours=1)), "not yet"),
    "claims twice": (doubled, "no JWT"),
    "huge": (lambda one, at: one.token(at.now, x="x" * 13_000), "no identity token"),
}  # fmt: skip


def test_a_bad_token_promotes_nothing(enrolled: tuple[Scene, Provider]) -> None:
    scene, one = enrolled
    for make, why in BAD.values():
        refused(scene, make(one, scene), why)


def test_a_bad_token_in_an_event_made_by_hand_is_found(enrolled: tuple[Scene, Provider]) -> None:
    scene, one = enrolled
    for name, (make, _) in BAD.items():
        seq = forge(scene, make(one, scene))
        assert {where for _, where in scene.errors(quick=True)} == {place(seq)}, name
        scene.cut(seq - 1)


def forge(scene: Scene, token: str, *, version: str = "3", pipeline: str = "github") -> int:
    """Append a promotion that holds ``token``, decided by nobody."""
    asked = f"A{scene.seqs('approval.requested', version=version)[-1]}"
    promotion = {"pipeline": pipeline, "token": token}
    return scene.promoted(version, "production", approval=scene.used(asked), key=None, data={"promotion": promotion})


def test_a_token_is_good_once(enrolled: tuple[Scene, Provider]) -> None:
    scene, one = enrolled
    token = one.token(scene.now)
    promote(scene, token)
    file = scene.root.parent / "token"
    with pytest.raises(RegistryError) as refusal:
        scene.as_(CI).rollback("churn", to="2", reason="x", oidc_token_file=file)
    assert [reason.code for reason in refusal.value.reasons] == ["MR-P008"]
    assert "used in event" in refusal.value.reasons[0].message


def test_two_writers_with_one_token(enrolled: tuple[Scene, Provider]) -> None:
    """Both hold it, both begin at once: one of the two promotes."""
    scene, one = enrolled
    token = one.token(scene.now)
    other = f"A{scene.seqs('approval.requested', model='other')[-1]}"
    assert scene.state().requests[other].status == "signed"
    file = scene.root.parent / "token"
    file.write_text(token, encoding="utf-8")
    outcomes: list[str] = []
    start = threading.Barrier(2)

    def run(ref: str) -> None:
        registry = scene.as_(CI)
        start.wait()
        try:
            registry.promote(ref, to="production", reason="x", oidc_token_file=file)
            outcomes.append("promoted")
        except RegistryError as refusal:
            outcomes.extend(reason.code for reason in refusal.reasons)

    threads = [threading.Thread(target=run, args=(ref,)) for ref in (REF, "other@1")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["MR-P008", "promoted"]
    assert scene.errors() == []


def test_a_token_of_one_registry_is_none_of_another(enrolled: tuple[Scene, Provider]) -> None:
    scene, _ = enrolled
    elsewhere = Provider(audience="manual-registry:" + "a" * 32)
    refused(scene, elsewhere.token(scene.now), "aud is")


def test_another_job_of_the_same_provider_is_told_apart(enrolled: tuple[Scene, Provider], tmp_path: Path) -> None:
    """Two pipelines with one audience: the token says which it is, and nothing beside it does."""
    scene, one = enrolled
    second = provider_of(scene)
    paths = files(scene, second, "second")
    paths["oidc"].write_text(second.toml().replace('"7001"', '"7002"'), encoding="utf-8")
    scene.as_(LEAD).pipeline_add("second", **paths, as_=LEAD, key=scene.world.key(LEAD))
    refused(scene, one.token(scene.now, repository_id="7003"), "repository_id is '7003'")
    refused(scene, one.token(scene.now, repository_id="7002"), "repository_id is '7002'", pipeline="github")
    promote(scene, one.token(scene.now, repository_id="7002"))
    assert scene.document(scene.head)["data"]["promotion"]["pipeline"] == "second"


def test_github_is_asked_only_when_a_step_needs_a_token(
    enrolled: tuple[Scene, Provider], monkeypatch: pytest.MonkeyPatch
) -> None:
    from datetime import UTC, datetime

    scene, one = enrolled
    scene.now = datetime.now(UTC)
    asked_for = scene.as_().approval_request(REF, to="production").id or ""
    scene.as_(LEAD).approval_sign(asked_for, as_=LEAD, key=scene.world.key(LEAD))
    with github(one) as (environ, asked):
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        scene.as_(CI).promote("churn@4", to="experimental", reason="x")
        assert asked == []
        assert scene.as_(CI).promote(REF, to="production", reason="x").changed
        assert asked == [one.audience]
        assert scene.as_(CI).promote(REF, to="production", reason="x").changed is False
        assert asked == [one.audience]
        back = scene.as_(CI).rollback("churn", to="2", reason="worse")
        assert back.changed and back.waiting_for
        assert asked == [one.audience] * 2
    assert scene.errors() == []


def test_in_limited_risk_a_job_with_a_token_promotes_and_a_lead_needs_none(tmp_path: Path) -> None:
    from datetime import UTC, datetime

    from world import World

    world = World(tmp_path / "limited", risk="limited", pipelines=())
    one = Provider(audience=f"manual-registry:{world.as_().status()['registry_id']}")
    oidc, jwks, token = (tmp_path / name for name in ("o.toml", "j.json", "token"))
    oidc.write_text(one.toml(), encoding="utf-8")
    jwks.write_text(json.dumps(one.key_set()), encoding="utf-8")
    world.as_(LEAD).pipeline_add("github", oidc=oidc, jwks=jwks, as_=LEAD, key=world.key(LEAD))
    for version, actor, file in (("1", CI, token), ("2", LEAD, None)):
        ref = f"churn@{version}"
        world.register(version)
        world.as_().promote(ref, to="staging", reason="x")
        world.approve(ref, "production")
        token.write_text(one.token(datetime.now(UTC)), encoding="utf-8")
        with pytest.raises(RegistryError) as refusal:
            world.as_(CI).promote(ref, to="production", reason="x")
        assert refusal.value.code == "MR-P021"
        assert world.as_(actor).promote(ref, to="production", reason="x", oidc_token_file=file).changed
    assert world.as_().verify().ok


def test_github_gives_the_token_and_the_environment_alone_decides_nothing(
    enrolled: tuple[Scene, Provider], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server of the attacker's own gives tokens signed with the attacker's own key."""
    from datetime import UTC, datetime

    scene, one = enrolled
    scene.now = datetime.now(UTC)
    false = provider_of(scene, private=ec_key("mallory"))
    with github(false) as (environ, asked):
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(RegistryError) as refusal:
            scene.as_(CI).promote(REF, to="production", reason="x")
    assert asked == [one.audience]
    assert "MR-P008" in [reason.code for reason in refusal.value.reasons]


def test_without_the_library_that_checks_tokens_nobody_is_accused(
    enrolled: tuple[Scene, Provider], monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    scene, one = enrolled
    seq = promote(scene, one.token(scene.now)).events[0]
    monkeypatch.setitem(sys.modules, "jwt", None)
    assert scene.errors() == [("MR-X004", place(seq))]
    assert scene.as_().trace(REF, hash=False).version == "3"
    assert {one["version"] for one in scene.as_().list()} >= {"3"}
    with pytest.raises(RegistryError) as refusal:
        scene.as_(CI).archive("churn@3", reason="x")
    assert (refusal.value.exit_status, refusal.value.code) == (8, "MR-X004")
    assert refusal.value.hint == 'pip install "PyJWT>=2.13"'
    monkeypatch.undo()
    assert scene.errors() == []


# -- somebody who writes in the folder --------------------------------------------------------------------


def test_a_key_set_put_into_the_ledger_by_hand(scene: Scene) -> None:
    """The event fits the chain; no lead signed it: every command stops, verify names it, and nothing rests on it."""
    mine = provider_of(scene, private=ec_key("mallory"))
    oidc, _ = enrolment(mine.enrolment(), mine.key_set())
    control = scene.control("pipeline.add", MALLORY, {"pipeline": "mine", "key": None, "oidc": oidc})
    seq = scene.forge(
        "pipeline.added", {"pipeline": "mine"}, {"key": None, "oidc": oidc, "control": control}, actor=LEAD
    )
    assert [where for _, where in scene.errors() if where.startswith("ledger/")] == [place(seq)]
    with pytest.raises(RegistryError) as refusal:
        promote(scene, mine.token(scene.now))
    assert refusal.value.exit_status == 4
    with pytest.raises(RegistryError):
        scene.as_().list()


def test_a_key_added_to_a_signed_enrolment(enrolled: tuple[Scene, Provider]) -> None:
    scene, one = enrolled
    seq = scene.seq("pipeline.added", pipeline="github")
    oidc = scene.document(seq)["data"]["oidc"]
    scene.edit(seq, oidc={**oidc, "keys": [*oidc["keys"], jwk(ec_key("mallory"), "k2")]})
    scene.rechain(seq)
    assert place(seq) in [where for _, where in scene.errors()]
    with pytest.raises(RegistryError) as refusal:
        promote(scene, one.token(scene.now, header={"kid": "k2"}, key=ec_key("mallory")))
    assert refusal.value.exit_status == 4


@pytest.mark.parametrize(
    "change",
    [
        {"claims": {"repository_id": "666"}},
        {"audience": "manual-registry:" + "0" * 32},
        {"issuer": "https://evil.example"},
        {"algorithms": ["ES256", "ES384"]},
    ],
    ids=str,
)
def test_a_pin_changed_in_a_signed_enrolment(enrolled: tuple[Scene, Provider], change: dict[str, Any]) -> None:
    scene, _ = enrolled
    seq = scene.seq("pipeline.added", pipeline="github")
    scene.edit(seq, oidc={**scene.document(seq)["data"]["oidc"], **change})
    scene.rechain(seq)
    assert place(seq) in [where for _, where in scene.errors()]


def test_weak_rsa_keys_are_not_enrolled_whoever_signs(scene: Scene) -> None:
    weak = provider_of(scene, private=rsa_key("small", 1024), algorithm="RS256")
    before = snapshot(scene.root)
    with pytest.raises(RegistryError) as refusal:
        scene.as_(LEAD).pipeline_add("weak", **files(scene, weak), as_=LEAD, key=scene.world.key(LEAD))
    assert (refusal.value.code, refusal.value.exit_status) == ("MR-I045", 7)
    assert "1024 bits" in refusal.value.message
    assert snapshot(scene.root) == before


def test_a_used_token_in_a_promotion_made_by_hand(enrolled: tuple[Scene, Provider]) -> None:
    scene, one = enrolled
    token = one.token(scene.now)
    promote(scene, token)
    asked = f"A{scene.seqs('approval.requested', model='other')[-1]}"
    promotion = {"pipeline": "github", "token": token}
    seq = scene.promoted(
        "1", "production", model="other", approval=scene.used(asked), key=None, data={"promotion": promotion}
    )
    assert [where for _, where in scene.errors()] == [place(seq)]


def test_a_token_taken_out_of_its_event_and_put_to_another_version(enrolled: tuple[Scene, Provider]) -> None:
    """The token binds its job only; the event that holds both binds it to the promotion, and heads bind the event."""
    scene, one = enrolled
    promote(scene, one.token(scene.now))
    head = scene.as_().head
    token = scene.document(scene.head)["data"]["promotion"]["token"]
    scene.cut(scene.head - 1)
    asked = f"A{scene.seqs('approval.requested', model='other')[-1]}"
    promotion = {"pipeline": "github", "token": token}
    scene.promoted(
        "1", "production", model="other", approval=scene.used(asked), key=None, data={"promotion": promotion}
    )
    found = scene.verify(anchor=f"{head[0]}:{head[1]}")
    assert any(one.code == "MR-L005" or "events were removed" in one.message for one in found.findings)


def test_a_promotion_signed_by_key_in_the_name_of_a_token_pipeline(enrolled: tuple[Scene, Provider]) -> None:
    scene, _ = enrolled
    asked = f"A{scene.seqs('approval.requested', version='3')[-1]}"
    seq = scene.promoted("3", "production", approval=scene.used(asked), key="ci", data=None)
    document = scene.document(seq)
    document["data"]["promotion"]["pipeline"] = "github"
    scene.write(seq, document)
    assert [where for _, where in scene.errors()] == [place(seq)]
