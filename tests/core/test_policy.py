"""The policy as a value: round trip, floors, what is weaker, when retention ends."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manual_registry.core.canonical import dump, parse
from manual_registry.core.errors import BadConfig
from manual_registry.core.policy import (
    GATE_FLOOR,
    LONGEST_APPROVAL,
    REGISTRATION_FLOOR,
    default_document,
    differences,
    policy_from,
    policy_sha256,
    retention_until,
    system_refusals,
)
from manual_registry.core.values import Risk, Role, Stage

E, S, P, A = Stage.EXPERIMENTAL, Stage.STAGING, Stage.PRODUCTION, Stage.ARCHIVED
RISKS = st.sampled_from(list(Risk))
NAMES = st.text("abc_.", min_size=1, max_size=6)
FINITE = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**60), 2**60)
THRESHOLDS = st.dictionaries(
    NAMES,
    FINITE | st.fixed_dictionaries({"threshold": FINITE}, optional={"direction": st.sampled_from(["higher", "lower"])}),
    max_size=4,
)
MORE_FIELDS = st.lists(
    st.sampled_from(["config", "prompt", "environment", "card", "owner", "origin", "description", "metrics"])
)


@st.composite
def documents(draw: st.DrawFn) -> tuple[Risk, dict[str, Any]]:
    """A legal policy document of some risk class, any member of which may be left out."""
    risk = draw(RISKS)
    whole: dict[str, Any] = {
        "approval_hours": draw(st.integers(1, LONGEST_APPROVAL)),
        "retention_years": draw(st.integers(1, 1000)),
        "registration": {"required": [*REGISTRATION_FLOOR[risk], *draw(MORE_FIELDS)]},
        "staging": {"gates": [*GATE_FLOOR[risk][S], *draw(st.lists(NAMES, max_size=3))]},
        "production": {"gates": [*draw(st.lists(NAMES, max_size=3)), *GATE_FLOOR[risk][P]]},
        "thresholds": draw(THRESHOLDS),
    }
    kept = draw(st.sets(st.sampled_from(sorted(whole))))
    return risk, {name: whole[name] for name in whole if name in kept}


@given(documents())
def test_a_document_is_kept_and_read_back(given_: tuple[Risk, dict[str, Any]]) -> None:
    risk, document = given_
    policy = policy_from(document, risk)
    assert policy_from(policy.document, risk) == policy
    read = parse(dump(dict(policy.document)))
    assert isinstance(read, dict)
    again = policy_from(read, risk)
    assert (again.document, again.sha256) == (policy.document, policy.sha256)
    plain = {name: document[name] for name in document if name in ("approval_hours", "retention_years")}
    assert plain.items() <= policy.document.items()
    for stage in (S, P):
        asked = document.get(stage.value, {}).get("gates", GATE_FLOOR[risk][stage])
        assert (set(policy.gates[stage]), len(policy.gates[stage])) == (set(asked), len(set(asked)))
    for name, value in document.get("thresholds", {}).items():
        number = value["threshold"] if isinstance(value, dict) else value
        assert policy.thresholds[name].value == float(number)


@pytest.mark.parametrize("risk", Risk)
def test_the_default_is_full_and_is_its_own_spelling(risk: Risk) -> None:
    document = default_document(risk)
    assert policy_from(document, risk).document == document
    assert policy_from({}, risk).document == document
    assert (document["approval_hours"], document["retention_years"]) == (48, 10)
    assert policy_from({}, risk).sha256 == policy_sha256(document)


@pytest.mark.parametrize("risk", Risk)
def test_the_risk_class_is_a_floor(risk: Risk) -> None:
    document: dict[str, Any] = json.loads(json.dumps(default_document(risk)))
    for table, member in (("registration", "required"), ("staging", "gates"), ("production", "gates")):
        for left_out in document[table][member]:
            less = {**document, table: {member: [one for one in document[table][member] if one != left_out]}}
            with pytest.raises(BadConfig, match=left_out):
                policy_from(less, risk)


@pytest.mark.parametrize("change", [
    {"approval_hours": 0}, {"approval_hours": 49}, {"approval_hours": True}, {"approval_hours": "48"},
    {"approval_hours": 4.5}, {"retention_years": 0}, {"retention_years": 1001}, {"retention_years": None},
    {"unheard-of": 1}, {"staging": []}, {"staging": {"gates": [], "x": 1}}, {"staging": {"gates": "all"}},
    {"production": {"gates": [1]}}, {"production": {"gates": [""]}}, {"registration": {"required": ["luck"]}},
    {"thresholds": []}, {"thresholds": {"auc": "high"}}, {"thresholds": {"auc": True}}, {"thresholds": {"auc": None}},
    {"thresholds": {"auc": float("nan")}}, {"thresholds": {"auc": float("inf")}}, {"thresholds": {"auc": 10**400}},
    {"thresholds": {"auc": {"threshold": 1, "direction": "up"}}}, {"thresholds": {"auc": {"direction": "lower"}}},
    {"thresholds": {"auc": {"threshold": 1, "unit": "%"}}},
])  # fmt: skip
def test_what_is_no_policy(change: dict[str, Any]) -> None:
    with pytest.raises(BadConfig) as refusal:
        policy_from(change, Risk.MINIMAL)
    assert refusal.value.location == "registry.toml"


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(BadConfig) as refusal:
        policy_from({"approval_hours": 0, "retention_years": 0, "luck": 1, "thresholds": {"a": "b"}}, Risk.HIGH)
    assert all(name in refusal.value.message for name in ("approval_hours", "retention_years", "luck", "thresholds.a"))


# -- what each class asks (design 3.4, the table) ----------------------------------------------------------


@pytest.mark.parametrize(("risk", "has_lead", "asked"), [
    (Risk.HIGH, True, {S, P, A}), (Risk.HIGH, False, {S, P, A}),
    (Risk.LIMITED, True, {P, A}), (Risk.LIMITED, False, {P, A}),
    (Risk.MINIMAL, True, {P, A}), (Risk.MINIMAL, False, set()),
])  # fmt: skip
def test_which_steps_need_an_approval(risk: Risk, has_lead: bool, asked: set[Stage]) -> None:
    policy = policy_from({}, risk)
    assert {to for to in Stage if policy.needs_approval(to, has_lead=has_lead)} == asked


def test_what_production_needs_in_each_class() -> None:
    asked = {
        risk: tuple(
            getattr(policy_from({}, risk), name)(P)
            for name in ("needs_card", "needs_environment", "needs_pipeline", "needs_pipeline_or_lead")
        )
        for risk in Risk
    }
    assert asked == {
        Risk.HIGH: (True, True, True, False),
        Risk.LIMITED: (True, False, False, True),
        Risk.MINIMAL: (False, False, False, False),
    }
    for risk in Risk:
        policy = policy_from({}, risk)
        for to in (E, S, A):
            assert not (policy.needs_card(to) or policy.needs_environment(to) or policy.needs_pipeline(to))
            assert not policy.needs_pipeline_or_lead(to)


def test_who_signs_what() -> None:
    policy = policy_from({}, Risk.HIGH)
    assert policy.signers(S) == {Role.LEAD, Role.SME}
    assert policy.signers(P) == policy.signers(A) == {Role.LEAD}


def test_which_steps_need_a_reason() -> None:
    asked = {
        (risk, before, to)
        for risk in Risk for before in Stage for to in Stage
        if policy_from({}, risk).needs_reason(before, to)
    }  # fmt: skip
    back = {(risk, before, E) for risk in Risk for before in Stage}
    assert asked == back | {(Risk.LIMITED, E, S)}


# -- differences -------------------------------------------------------------------------------------------


def compared(**changes: Any) -> list[tuple[str, bool]]:
    """Return (setting, weaker) of a file that differs in ``changes`` from the policy in force."""
    thresholds = {"auc": {"threshold": 0.8, "direction": "higher"}, "err": {"threshold": 0.1, "direction": "lower"}}
    policy: dict[str, Any] = {**default_document(Risk.HIGH), "thresholds": thresholds}
    before: dict[str, Any] = {"system": "s", "risk": "high", "placed_on_market": "2026-01-01", "policy": policy}
    outer = {name: value for name, value in changes.items() if name in before}
    inner = {name: value for name, value in changes.items() if name not in before}
    after = {**before, **outer, "policy": {**policy, **inner}}
    return [(one.setting, one.weaker) for one in differences(before, after)]


@pytest.mark.parametrize(("changes", "told"), [
    ({}, []),
    ({"system": "t"}, [("system", False)]),
    ({"risk": "limited"}, [("risk", True)]),
    ({"placed_on_market": "2025-01-01"}, [("placed_on_market", True)]),
    ({"placed_on_market": "2026-06-01"}, [("placed_on_market", False)]),
    ({"placed_on_market": None}, [("placed_on_market", True)]),
    ({"approval_hours": 24}, [("policy.approval_hours", False)]),
    ({"retention_years": 9}, [("policy.retention_years", True)]),
    ({"retention_years": 11}, [("policy.retention_years", False)]),
    ({"staging": {"gates": ["performance", "fairness"]}}, [("policy.staging.gates", True)]),
    ({"staging": {"gates": ["performance", "fairness", "security", "robustness"]}}, [("policy.staging.gates", False)]),
    ({"registration": {"required": ["metrics"]}}, [("policy.registration.required", True)]),
])  # fmt: skip
def test_what_differs_and_whether_it_is_weaker(changes: dict[str, Any], told: list[tuple[str, bool]]) -> None:
    assert compared(**changes) == told


def test_a_longer_approval_is_weaker() -> None:
    before = {"policy": {**default_document(Risk.HIGH), "approval_hours": 24}}
    (one,) = differences(before, {"policy": dict(default_document(Risk.HIGH))})
    assert (one.setting, one.in_force, one.file, one.weaker) == ("policy.approval_hours", 24, 48, True)


def test_a_stricter_class_is_not_weaker() -> None:
    assert [one.weaker for one in differences({"risk": "minimal"}, {"risk": "high"})] == [False]


@pytest.mark.parametrize(("thresholds", "told"), [
    ({"auc": 0.7}, [("auc.threshold", True)]),
    ({"auc": 0.9}, [("auc.threshold", False)]),
    ({"err": {"threshold": 0.2, "direction": "lower"}}, [("err.threshold", True)]),
    ({"err": {"threshold": 0.05, "direction": "lower"}}, [("err.threshold", False)]),
    ({"auc": {"threshold": 0.8, "direction": "lower"}}, [("auc.direction", True)]),
    ({"auc": None}, [("auc.direction", True), ("auc.threshold", True)]),
    ({"new": 0.5}, [("new.direction", False), ("new.threshold", False)]),
    ({"performance.auc": 0.9}, [("performance.auc.direction", False), ("performance.auc.threshold", False)]),
    ({"performance.auc": 0.1}, [("performance.auc.direction", False), ("performance.auc.threshold", True)]),
    (
        {"performance.err": {"threshold": 0.5, "direction": "lower"}},
        [("performance.err.direction", False), ("performance.err.threshold", True)],
    ),
])  # fmt: skip
def test_thresholds(thresholds: dict[str, Any], told: list[tuple[str, bool]]) -> None:
    base: dict[str, Any] = {"auc": 0.8, "err": {"threshold": 0.1, "direction": "lower"}}
    after = {name: value for name, value in {**base, **thresholds}.items() if value is not None}
    full = policy_from({"thresholds": after}, Risk.HIGH).document
    assert compared(**full) == [(f"policy.thresholds.{name}", weaker) for name, weaker in told]


@given(documents())
def test_nothing_differs_from_itself(given_: tuple[Risk, dict[str, Any]]) -> None:
    document = policy_from(given_[1], given_[0]).document
    assert differences(document, json.loads(json.dumps(document))) == ()


# -- retention ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("placed", "years", "until"), [
    (None, 10, None),
    ("2026-01-01", 10, "2036-01-01"),
    ("2026-12-31", 10, "2036-12-31"),
    ("2024-02-29", 10, "2034-03-01"),
    ("2024-02-29", 4, "2028-02-29"),
    ("2024-02-29", 76, "2100-03-01"),
    ("2000-02-29", 400, "2400-02-29"),
    ("2023-02-28", 1, "2024-02-28"),
])  # fmt: skip
def test_when_retention_ends(placed: str | None, years: int, until: str | None) -> None:
    assert retention_until(placed, years) == until


@given(st.dates(date(1900, 1, 1), date(2100, 12, 31)), st.integers(1, 1000))
def test_retention_never_ends_a_day_early(placed: date, years: int) -> None:
    until = date.fromisoformat(str(retention_until(placed.isoformat(), years)))
    assert until.year == placed.year + years
    assert (until.month, until.day) >= (placed.month, placed.day)
    assert (until - placed).days >= 365 * years


def test_a_risk_class_is_one_of_three() -> None:
    assert [system_refusals(risk.value) for risk in Risk] == [[], [], []]
    assert len(system_refusals("low")) == 1
