"""May this be registered, may this be attached: each refusal by its own class (RP-1, RP-12, RP-16, RP-19)."""

from __future__ import annotations

import math
from typing import Any

import pytest
from chains import SME, Chain, evidence, gate, named, registration

from manual_registry.core import errors
from manual_registry.core import events as kinds
from manual_registry.core.decide.registration import FILLABLE
from manual_registry.core.errors import RegistryError


def codes(reasons: list[RegistryError]) -> list[str]:
    """Return the codes, in order."""
    return [reason.code for reason in reasons]


def judged(chain: Chain, version: str = "1", model: str = "churn", **changes: Any) -> list[str]:
    """Return the codes against a registration."""
    return codes(chain.reasons(kinds.REGISTERED, chain.of(version, model), registration(model, version, **changes)))


HIGH = ("training_data", "code", "training_date", "pipeline_run", "hyperparameters", "metrics")


@pytest.mark.parametrize(("risk", "asked"), [
    ("high", HIGH), ("limited", ("training_data", "code", "training_date", "metrics")), ("minimal", ()),
])  # fmt: skip
def test_what_each_class_asks(risk: str, asked: tuple[str, ...]) -> None:
    chain = Chain(risk=risk)
    empty: dict[str, Any] = {name: [] if name == "training_data" else None for name in HIGH}
    reasons = chain.reasons(kinds.REGISTERED, chain.of("1"), registration("churn", "1", **empty))
    assert [(reason.code, reason.location, reason.clause) for reason in reasons] == [
        ("MR-I030", name, "RP-16") for name in asked
    ]
    for name in HIGH:
        assert judged(chain, **{name: empty[name]}) == (["MR-I030"] if name in asked else [])


def test_no_hyperparameters_is_an_answer_no_metrics_is_none() -> None:
    assert judged(Chain(), hyperparameters={}) == []
    assert judged(Chain(), metrics={}) == ["MR-I030"]


def test_the_policy_may_ask_more() -> None:
    document = {**Chain(risk="minimal").state.policy.document, "registration": {"required": ["owner"]}}
    assert judged(Chain(risk="minimal", policy=document), owner=None) == ["MR-I030"]


def test_a_number_is_taken_for_ever_and_in_every_letter_case() -> None:
    chain = Chain()
    chain.register("1.0a")
    assert judged(chain, "1.0a") == ["MR-C001"]
    assert judged(chain, "1.0A") == ["MR-C002"]
    chain.archive("1.0a")
    assert judged(chain, "1.0a") == ["MR-C001"]
    assert judged(chain, "1.0a", "fraud") == []
    chain.alias("champion", "1.0a")
    assert judged(chain, "Champion") == ["MR-C011"]
    assert judged(chain, "champion", "fraud") == []


@pytest.mark.parametrize(("version", "model", "code"), [
    ("latest", "churn", "MR-C011"), ("Staging", "churn", "MR-C011"), ("1/2", "churn", "MR-I001"),
    ("1", "Churn", "MR-I001"),
    ("1+code.x", "churn", "MR-I001"), ("nul", "churn", "MR-I001"),
])  # fmt: skip
def test_names_outside_their_grammar(version: str, model: str, code: str) -> None:
    chain = Chain()
    data = registration("churn", "1")
    assert codes(chain.reasons(kinds.REGISTERED, {"model": model, "version": version}, data)) == [code]


@pytest.mark.parametrize("value", [math.nan, math.inf, "0.9", True, None, [1]])
def test_metrics_are_finite_numbers(value: Any) -> None:
    chain = Chain()
    data = registration("churn", "1")
    data["metrics"] = {
        "auc": {"$float": "inf"} if value == math.inf else "NaN" if value is not None and value != value else value
    }
    assert chain.reasons(kinds.REGISTERED, chain.of("1"), data)


def test_a_metric_may_be_a_count_beyond_what_a_float_holds() -> None:
    assert judged(Chain(), metrics={"rows": {"$int": "9007199254740993"}}) == []


def test_a_report_that_claims_what_its_numbers_do_not_bear_out() -> None:
    file = evidence("gates", "gates.txt")
    assert judged(Chain(), gates=[gate("performance", file, metric={"lower": 0.7})]) == ["MR-I018"]
    assert judged(Chain(), gates=[gate("performance", file, passed=False)]) == ["MR-I018"]
    assert judged(Chain(), gates=[gate("performance", file, passed=False, metric={"lower": 0.7})]) == []
    assert judged(Chain(), gates=[gate("performance", file, metrics=[])]) == ["MR-I018"]


def test_a_report_about_another_model() -> None:
    file, data = evidence("gates", "gates.txt"), registration("churn", "1")
    for own in ("sha256", "blake3"):
        good = f"{own}:{data['artefact'][own]}"
        assert judged(Chain(), gates=[gate("performance", file, model=good)]) == []
    assert judged(Chain(), gates=[gate("performance", file, model="sha256:" + "0" * 64)]) == ["MR-I019"]


@pytest.mark.parametrize(("date", "told"), [
    ("2026-03-01", []), ("2026-03-02", ["MR-I020"]), ("2026-03-01T08:00:00.000Z", []),
    ("2026-03-01T08:30:00.000Z", ["MR-I020"]), ("2999-01-01", ["MR-I020"]), ("soon", ["MR-I022"]),
    ("20260301", ["MR-I022"]),
])  # fmt: skip
def test_dates_that_have_not_come(date: str, told: list[str]) -> None:
    assert judged(Chain(), training_date=date) == told
    file = evidence("gates", "gates.txt")
    assert judged(Chain(), gates=[gate("performance", file, evaluated_at=date)]) == told


def test_a_bare_date_has_the_slack_of_the_worlds_time_zones() -> None:
    chain = Chain()
    chain.now = chain.now.replace(hour=11)
    assert judged(chain, training_date="2026-03-02") == []
    chain.now = chain.now.replace(hour=9)
    assert judged(chain, training_date="2026-03-02") == ["MR-I020"]


@pytest.mark.parametrize(
    "path",
    [
        "../../etc/passwd",
        "/etc/passwd",
        "evidence/../x",
        "evidence/gates/a/../../b",
        "artefact/m.bin",
        "evidence/config/gates.txt",
    ],
)
def test_evidence_lies_below_evidence_whatever_the_event_says(path: str) -> None:
    chain, file = Chain(), evidence("gates", "gates.txt")
    data = registration("churn", "1")
    data["evidence"] = [{**file, "path": path}, *data["evidence"]]
    assert chain.reasons(kinds.REGISTERED, chain.of("1"), data)


@pytest.mark.parametrize("member", ["config", "prompt", "environment", "card", "gates"])
def test_a_file_that_is_named_is_evidence(member: str) -> None:
    chain, data = Chain(), registration("churn", "1")
    data["evidence"] = [item for item in data["evidence"] if item["kind"] != member]
    reasons = chain.reasons(kinds.REGISTERED, chain.of("1"), data)
    assert {(reason.code, reason.location) for reason in reasons} == {("MR-L002", member)}


@pytest.mark.parametrize("reference", [
    {"reference": "SHA256:" + "ab" * 32, "hash": "ab" * 32, "detail": {}},
    {"reference": "sha256:" + "ab" * 32, "hash": "cd" * 32, "detail": {}},
    {"reference": "delta:t@v1", "hash": "0" * 64, "detail": {}},
    {"reference": "git:" + "a" * 40 + ":data.csv", "hash": "", "detail": {}},
    {"reference": "s3://bucket/data", "hash": "ab" * 32, "detail": {}},
])  # fmt: skip
def test_a_reference_has_its_one_spelling_and_hash(reference: dict[str, Any]) -> None:
    assert judged(Chain(), training_data=[reference])


def test_the_composite_identifier_follows_from_the_parts() -> None:
    data = registration("churn", "1")
    assert data["composite_id"].startswith("churn@1+code.c0dec0dec0de.data.abababababab.model.")
    assert judged(Chain(), composite_id=data["composite_id"].replace("c0de", "beef", 1)) == ["MR-P000"]


@pytest.mark.parametrize("tags", [{"a b": "x"}, {"a": "x\n"}, {"a": 1}, {"": "x"}])
def test_tags_are_as_the_command_takes_them(tags: dict[str, Any]) -> None:
    assert judged(Chain(), tags=tags)


def test_everything_is_told_at_once() -> None:
    file = evidence("gates", "gates.txt")
    found = judged(
        Chain(), metrics=None, owner=None, training_date="2999-01-01", gates=[gate("performance", file, passed=False)]
    )
    assert found == ["MR-I030", "MR-I018", "MR-I020"]


# -- attach ------------------------------------------------------------------------------------------------

EMPTY: dict[str, Any] = dict.fromkeys(FILLABLE)
VALUES: dict[str, Any] = {
    "pipeline_run": "run-2", "hyperparameters": {"a": 1}, "metrics": {"auc": 0.5}, "training_date": "2026-01-01",
    "subgroup_metrics": {"age": {"old": {"auc": 0.4}}}, "owner": "x", "origin": "bought", "description": "d",
}  # fmt: skip


def attaching(chain: Chain, **changes: Any) -> list[str]:
    """Return the codes against an attachment to version 1."""
    return codes(chain.reasons(kinds.ATTACHED, chain.of("1"), chain.attachment(**changes)))


@pytest.fixture(name="bare")
def _bare() -> Chain:
    chain = Chain(risk="minimal")
    chain.register("1", **EMPTY, environment=None, card=None, config=None, prompt=None)
    return chain


@pytest.mark.parametrize("name", FILLABLE)
def test_an_empty_field_is_filled_once(bare: Chain, name: str) -> None:
    bare.attach("1", fields={name: VALUES[name]})
    assert bare.record("1").value(name) == VALUES[name]
    assert attaching(bare, fields={name: VALUES[name]}) == ["MR-C005"]


def test_what_was_registered_is_not_filled_again() -> None:
    chain = Chain()
    chain.register("1", origin="bought")
    for name in FILLABLE:
        assert attaching(chain, fields={name: VALUES[name]}) == ["MR-C005"], name


@pytest.mark.parametrize("name", ["artefact", "config", "prompt", "tags", "composite_id"])
def test_nothing_else_is_ever_filled(bare: Chain, name: str) -> None:
    assert attaching(bare, fields={name: "x"})


@pytest.mark.parametrize("name", ["code", "training_data"])
def test_code_and_data_are_fixed_at_registration_and_this_is_what_is_told(bare: Chain, name: str) -> None:
    assert attaching(bare, fields={name: True}) == ["MR-C005"]  # as `attach --metadata` asks it


def test_an_environment_file_comes_once_a_card_may_be_better(bare: Chain) -> None:
    packages, card = evidence("environment", "e.txt"), evidence("card", "c.yaml")
    bare.attach("1", evidence=[packages], environment=named(packages))
    assert attaching(bare, evidence=[packages], environment=named(packages)) == ["MR-C005"]
    for words in ("one", "two"):
        bare.attach("1", evidence=[card], card={"fields": {"architecture": words}, **named(card)})
    assert bare.record("1").card == {"fields": {"architecture": "two"}, **named(card)}


def test_a_report_may_lie_in_evidence_that_stands(bare: Chain) -> None:
    file = evidence("gates", "g.json")
    bare.attach("1", evidence=[file])
    assert attaching(bare, gates=[gate("fairness", file)]) == []
    assert attaching(bare, gates=[gate("fairness", evidence("gates", "g.json", "other"))]) == ["MR-L002"]


def test_the_later_report_of_a_gate_stands_beside_the_earlier(bare: Chain) -> None:
    file = evidence("gates", "g.json")
    before = len(bare.record("1").gates)
    bare.attach("1", evidence=[file], gates=[gate("performance", file)])
    assert len(bare.record("1").gates) == before + 1


def test_trained_after_it_was_deployed(bare: Chain) -> None:
    bare.deploy("1")
    assert attaching(bare, fields={"training_date": "2026-02-28"}) == []
    bare.now = bare.now.replace(day=5)
    assert attaching(bare, fields={"training_date": "2026-03-04"}) == ["MR-I021"]


def test_a_bag_takes_nothing_more(bare: Chain) -> None:
    bare.archive("1")
    assert attaching(bare, fields={"owner": "x"}) == ["MR-P017"]


def test_to_what_is_not_there(bare: Chain) -> None:
    for version, model, kind in (("2", "churn", errors.VersionUnknown), ("1", "fraud", errors.ModelUnknown)):
        reasons = bare.reasons(
            kinds.ATTACHED, bare.of(version, model), bare.attachment(fields={"owner": "x"}), actor=SME
        )
        assert [type(reason) for reason in reasons] == [kind]


def test_one_kept_sheet_has_one_content() -> None:
    chain = Chain()
    place = {
        "source": "old.xlsx",
        "sheet": "Models",
        "row": 4,
        "stage": "experimental",
        "stated": {},
        "kept": "adopted/a",
    }
    for version, digest in (("1", "ab" * 32), ("2", "ab" * 32)):
        data = {**registration("old", version), "baseline": {**place, "sha256": digest}}
        chain.add(kinds.ADOPTED, {"model": "old", "version": version}, data)
    data = {**registration("old", "3"), "baseline": {**place, "sha256": "cd" * 32}}
    (reason,) = chain.reasons(kinds.ADOPTED, {"model": "old", "version": "3"}, data)
    assert (type(reason), reason.location) == (errors.EventUnreadable, "adopted/a")


def test_a_baseline_names_each_version_once_and_as_it_was_adopted() -> None:
    chain = Chain()
    place = {"source": "old.xlsx", "sheet": "Models", "row": 4, "stage": "staging", "stated": {}, "sha256": "ab" * 32}
    data = {**registration("old", "1"), "baseline": place}
    chain.add(kinds.ADOPTED, {"model": "old", "version": "1"}, data)
    one = {"model": "old", "version": "1", "blake3": data["artefact"]["blake3"], "stage": "staging"}
    good = {"source": "old.xlsx", "sha256": "ab" * 32, "versions": [one]}
    for bad in (
        {**good, "versions": [one, one]},
        {**good, "versions": [{**one, "stage": "production"}]},
        {**good, "versions": [{**one, "blake3": "cd" * 32}]},
        {**good, "versions": [{**one, "version": "9"}]},
        {**good, "source": "other.xlsx"},
        {**good, "sha256": "cd" * 32},
    ):
        assert chain.reasons(kinds.BASELINE_OPENED, {}, bad), bad
    chain.add(kinds.BASELINE_OPENED, {}, good)
    assert chain.reasons(kinds.BASELINE_OPENED, {}, good)  # it waits already
