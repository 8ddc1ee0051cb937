"""May this be deployed, named, tagged, noted, recorded?"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from chains import Chain

from manual_registry.core import events as kinds
from manual_registry.core.decide.remarks import replaced_deployments
from manual_registry.core.errors import RegistryError


def codes(reasons: list[RegistryError]) -> list[str]:
    """Return the codes, in order."""
    return [reason.code for reason in reasons]


def deploying(chain: Chain, version: str = "1", environment: str = "test", **changes: Any) -> list[str]:
    """Return the codes against a deployment."""
    data = {**chain.deployment(version, environment), **changes}
    return codes(chain.reasons(kinds.DEPLOYED, chain.of(version), data))


@pytest.fixture(name="chain")
def _chain() -> Chain:
    chain = Chain()
    chain.register("1")
    chain.register("2")
    return chain


@pytest.mark.parametrize(("risk", "told"), [("high", ["MR-P015"]), ("limited", ["MR-P015"]), ("minimal", [])])
def test_only_the_production_version_is_deployed_to_production(risk: str, told: list[str]) -> None:
    chain = Chain(risk=risk)
    chain.register("1")
    assert deploying(chain, environment="production") == told
    assert deploying(chain, environment="test") == []
    chain.to_production("2")
    assert deploying(chain, "2", "production") == []


@pytest.mark.parametrize(("at", "told"), [
    ("2026-03-01", []), ("2026-02-01", []), ("2026-01-31", ["MR-I021"]), ("2026-03-02", ["MR-I020"]),
    ("2026-03-01T08:30:00.000Z", ["MR-I020"]), ("whenever", ["MR-I022"]),
])  # fmt: skip
def test_a_deployment_is_after_the_training_and_not_in_the_future(chain: Chain, at: str, told: list[str]) -> None:
    assert deploying(chain, at=at) == told


def test_a_deployment_names_what_it_ends(chain: Chain) -> None:
    chain.deploy("1")
    assert replaced_deployments(chain.state, chain.record("2"), "test") == ["1"]
    assert deploying(chain, "2") == []
    assert deploying(chain, "2", replaces=[]) == ["MR-L002"]
    assert "MR-L002" in deploying(chain, "2", "eu", replaces=["1"])
    early = (chain.now - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    assert deploying(chain, "2", at=early) == ["MR-I021"]


@pytest.mark.parametrize(
    "changes", [{"environment": ""}, {"environment": "a b"}, {"path": "/srv/\x1b"}, {"replaces": [1]}, {"at": 1}]
)
def test_what_a_deployment_may_not_say(chain: Chain, changes: dict[str, Any]) -> None:
    assert deploying(chain, **changes)


def ending(chain: Chain, version: str = "1", **changes: Any) -> list[str]:
    """Return the codes against the end of a deployment."""
    data = {"environment": "test", "at": "2026-03-01T08:04:00.000Z", **changes}
    return codes(chain.reasons(kinds.DEPLOYMENT_ENDED, chain.of(version), data))


def test_a_deployment_ends_once_after_it_began_and_not_in_the_future(chain: Chain) -> None:
    assert ending(chain) == ["MR-N010"]
    chain.deploy("1")
    assert ending(chain) == []
    assert ending(chain, environment="eu") == ["MR-N010"]
    assert ending(chain, "2") == ["MR-N010"]
    assert ending(chain, at="2026-03-01T07:00:00.000Z") == ["MR-I021"]
    assert ending(chain, at="2026-03-09T08:00:00.000Z") == ["MR-I020"]
    chain.end("1")
    assert ending(chain) == ["MR-N010"]


@pytest.mark.parametrize(("name", "told"), [
    ("champion", []), ("Champion", []), ("1", ["MR-C011"]), ("2", ["MR-C011"]), ("3", []), ("latest", ["MR-C011"]),
    ("Production", ["MR-C011"]), ("none", ["MR-C011"]), ("next", ["MR-C011"]), ("auto", ["MR-C011"]),
    ("a b", ["MR-I001"]),
    ("", ["MR-I001"]),
])  # fmt: skip
def test_aliases(chain: Chain, name: str, told: list[str]) -> None:
    assert codes(chain.reasons(kinds.ALIAS_SET, chain.of("1"), {"alias": name})) == told


def test_an_alias_is_no_version_in_another_letter_case() -> None:
    chain = Chain()
    chain.register("1.0A")
    assert codes(chain.reasons(kinds.ALIAS_SET, chain.of("1.0A"), {"alias": "1.0a"})) == ["MR-C011"]


def test_an_alias_is_removed_when_it_is_there(chain: Chain) -> None:
    assert codes(chain.reasons(kinds.ALIAS_REMOVED, {"model": "churn"}, {"alias": "x"})) == ["MR-N008"]
    assert codes(chain.reasons(kinds.ALIAS_REMOVED, {"model": "fraud"}, {"alias": "x"})) == ["MR-N008"]
    chain.alias("x", "1")
    assert codes(chain.reasons(kinds.ALIAS_REMOVED, {"model": "churn"}, {"alias": "x"})) == []


@pytest.mark.parametrize(("text", "told"), [
    ("seen\n\tby audit", []), (" ", ["MR-L002"]), ("a\x00", ["MR-I001"]), ("x" * 32_768, ["MR-I001"]),
])  # fmt: skip
def test_notes(chain: Chain, text: str, told: list[str]) -> None:
    assert codes(chain.reasons(kinds.NOTED, chain.of("1"), {"text": text})) == told


@pytest.mark.parametrize(("tags", "told"), [
    ({"team": "risk", "cost.centre": ""}, []), ({"a b": "x"}, ["MR-I001"]), ({"a": "x\ny"}, ["MR-I001"]),
])  # fmt: skip
def test_tags(chain: Chain, tags: dict[str, str], told: list[str]) -> None:
    assert codes(chain.reasons(kinds.TAGGED, chain.of("1"), {"tags": tags})) == told


@pytest.mark.parametrize(("kind", "data"), [
    (kinds.ALIAS_SET, {"alias": "x"}), (kinds.TAGGED, {"tags": {}}), (kinds.NOTED, {"text": "x"}),
    (kinds.DEPLOYED, {"environment": "test", "at": "2026-03-01", "path": None, "replaces": []}),
    (kinds.DEPLOYMENT_ENDED, {"environment": "test", "at": "2026-03-01"}),
    (kinds.EDITED, {"field": "owner", "value": "x", "was": None}),
])  # fmt: skip
def test_nothing_is_said_of_what_is_not_there(chain: Chain, kind: str, data: dict[str, Any]) -> None:
    assert codes(chain.reasons(kind, chain.of("9"), data)) == ["MR-N001"]
    assert codes(chain.reasons(kind, chain.of("1", "fraud"), data)) == ["MR-N002"]
    assert codes(chain.reasons(kind, chain.of("1", "Churn"), data)) == ["MR-N002"]


def test_a_verification_may_always_be_recorded(chain: Chain) -> None:
    data = {"ok": False, "checked": {"events": 3}, "findings": [{"code": "MR-A001"}], "scope": ["churn@1"]}
    assert codes(chain.reasons(kinds.VERIFIED, {}, data)) == []
