"""Promotions by a CI job's identity token, decided on the ledger: enrolled, revoked, spent, and what stays as it was."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from chains import CI, LEAD, LEAD2, Chain, key
from provider import GITHUB, jwk, rsa_key

from manual_registry.core import events as kinds
from manual_registry.core.errors import RegistryError
from manual_registry.core.folding import fold
from manual_registry.core.oidc import enrolment


def codes(reasons: list[RegistryError]) -> list[str]:
    return [one.code for one in reasons]


def ready(**options: Any) -> tuple[Chain, str]:
    """A version in staging with a signed approval to production, and a pipeline that is known by tokens."""
    chain = Chain(**options)
    chain.token_pipeline_add("github")
    chain.to_staging("1")
    return chain, chain.approve("1", "production")


def refusals(chain: Chain, data: dict[str, Any]) -> list[RegistryError]:
    return chain.reasons(kinds.PROMOTED, chain.of("1"), data, actor=CI)


def test_it_promotes_and_the_ledger_keeps_the_token() -> None:
    chain, approval = ready()
    data = chain.with_token("1", "production", approval, pipeline="github")
    event = chain.add(kinds.PROMOTED, chain.of("1"), data, actor=CI)
    state = fold(chain.events)
    assert state.production("churn") is not None
    assert event.data["promotion"]["token"] == data["promotion"]["token"]
    assert set(state.tokens.values()) == {event.seq}
    assert state.versions["churn", "1"].steps[-1].pipeline == "github"


def test_a_token_serves_once_also_for_another_version_and_a_rollback() -> None:
    chain, approval = ready()
    data = chain.with_token("1", "production", approval, pipeline="github", jti="once")
    chain.add(kinds.PROMOTED, chain.of("1"), data, actor=CI)
    chain.to_staging("2")
    second = chain.approve("2", "production")
    again = chain.with_token("2", "production", second, pipeline="github", jti="once")
    found = chain.reasons(kinds.PROMOTED, chain.of("2"), again, actor=CI)
    assert codes(found) == ["MR-P008"]
    assert "used in event" in found[0].message
    chain.add(kinds.PROMOTED, chain.of("2"), chain.with_token("2", "production", second, pipeline="github"), actor=CI)
    back = {**chain.rollback("1", pipeline=None), "promotion": data["promotion"]}
    again_told = [one.message for one in chain.reasons(kinds.ROLLED_BACK, chain.of("1"), back, actor=CI)]
    assert any("used in event" in message for message in again_told)
    fresh = {"pipeline": "github", "token": chain.provider().token(chain.now)}
    chain.add(kinds.ROLLED_BACK, chain.of("1"), {**back, "promotion": fresh}, actor=CI)


def test_a_revoked_pipeline_promotes_no_more_and_what_it_promoted_stands() -> None:
    chain, approval = ready()
    chain.pipeline_revoke("github")
    data = chain.with_token("1", "production", approval, pipeline="github")
    assert codes(refusals(chain, data)) == ["MR-P008"]
    assert "was revoked" in refusals(chain, data)[0].message


def test_a_revoked_one_comes_back_with_the_providers_new_keys() -> None:
    chain, approval = ready()
    standing = chain.token_pipeline_data("github")
    assert codes(chain.reasons(kinds.PIPELINE_ADDED, {"pipeline": "github"}, standing, actor=LEAD)) == ["MR-C007"]
    chain.pipeline_revoke("github")
    chain.token_pipeline_add("github")
    chain.add(kinds.PROMOTED, chain.of("1"), chain.with_token("1", "production", approval, pipeline="github"), actor=CI)


def test_a_pipeline_with_a_key_does_not_become_one_of_tokens_nor_the_other_way_round() -> None:
    chain, approval = ready()
    token = chain.with_token("1", "production", approval, pipeline="ci")
    assert codes(refusals(chain, token)) == ["MR-P008"]
    by_key = chain.step("1", "production", approval)
    by_key["promotion"] = {**by_key["promotion"], "pipeline": "github"}
    assert codes(refusals(chain, by_key)) == ["MR-P008"]
    chain.pipeline_revoke("ci")
    data = chain.token_pipeline_data("ci")
    assert codes(chain.reasons(kinds.PIPELINE_ADDED, {"pipeline": "ci"}, data, actor=LEAD)) == ["MR-C007"]


def test_the_times_are_those_of_the_event() -> None:
    chain, approval = ready()
    data = chain.with_token("1", "production", approval, pipeline="github")
    chain.now += timedelta(minutes=6)
    assert "expired" in refusals(chain, data)[0].message


def test_an_approval_is_measured_against_the_token() -> None:
    """A token from before the approval does not make the approval one from the future, nor an old one young."""
    chain, approval = ready()
    before = chain.provider()
    before.lifetime = timedelta(hours=12)
    early = before.token(chain.now - timedelta(hours=1))
    data = {
        **chain.step("1", "production", approval, pipeline=None),
        "promotion": {"pipeline": "github", "token": early},
    }
    assert refusals(chain, data) == []
    late = before.token(chain.now + timedelta(hours=49))
    soon = before.token(chain.now + timedelta(hours=40))
    chain.now += timedelta(hours=49)
    for token in (late, soon):  # the second was issued while the approval was young, and is used when it is not
        data["promotion"] = {"pipeline": "github", "token": token}
        assert codes(refusals(chain, data)) == ["MR-P010"]


def test_a_token_is_good_for_a_day_whatever_it_says() -> None:
    chain, _ = ready()
    provider = chain.provider()
    provider.lifetime = timedelta(days=30)
    approval = chain.approve("1", "production")
    for hours, told in ((1, []), (24, ["MR-P008"]), (26, ["MR-P008"])):
        token = provider.token(chain.now - timedelta(hours=hours))
        data = {
            **chain.step("1", "production", approval, pipeline=None),
            "promotion": {"pipeline": "github", "token": token},
        }
        assert codes(refusals(chain, data)) == told


def test_both_identities_or_none_is_no_enrolment() -> None:
    chain = Chain(pipelines=())
    for key_line, oidc in ((None, None), (key("ci").line, chain.token_pipeline_data("x")["oidc"])):
        details = {"pipeline": "x", "key": key_line, "oidc": oidc}
        data = {"key": key_line, "oidc": oidc, "control": chain.control("pipeline.add", details)}
        assert codes(chain.reasons(kinds.PIPELINE_ADDED, {"pipeline": "x"}, data, actor=LEAD)) == ["MR-I045"]


@pytest.mark.parametrize(
    "changes",
    [
        {"audience": "manual-registry:" + "0" * 32},
        {"claims": {}},
        {"algorithms": ["none"]},
        {"keys": [jwk(rsa_key("small", 1024))], "algorithms": ["RS256"]},
        {"keys": []},
    ],
)
def test_even_a_lead_cannot_sign_an_enrolment_that_protects_nothing(changes: dict[str, Any]) -> None:
    chain = Chain(pipelines=())
    data = chain.token_pipeline_data("x", **changes)
    assert codes(chain.reasons(kinds.PIPELINE_ADDED, {"pipeline": "x"}, data, actor=LEAD)) == ["MR-I045"]


def test_a_key_of_the_provider_is_nobody_elses() -> None:
    chain = Chain(pipelines=())
    mine = key(LEAD2).private
    provider = chain.provider()
    provider.private, provider.algorithm = mine, "EdDSA"
    oidc, _ = enrolment(provider.enrolment(), provider.key_set())
    details = {"pipeline": "x", "key": None, "oidc": oidc}
    data = {"key": None, "oidc": oidc, "control": chain.control("pipeline.add", details)}
    assert codes(chain.reasons(kinds.PIPELINE_ADDED, {"pipeline": "x"}, data, actor=LEAD)) == ["MR-C006"]
    chain.token_pipeline_add("github")
    chain.token_pipeline_add("github-2")  # several pipelines of one provider
    assert {holder for holder in chain.state.keys.values() if holder[0] == "identity provider"} == {
        ("identity provider", GITHUB)
    }
