"""Metadata files, gate reports, cards, metrics and parameters as people write them, well and badly."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manual_registry.adapters.metadata import (
    load_card,
    load_gates,
    load_metadata,
    load_metrics,
    load_parameters,
    parse_card,
    parse_gates,
    parse_metadata,
    parse_metrics,
    parse_parameters,
)
from manual_registry.adapters.yaml_text import parse_yaml, plain
from manual_registry.core.errors import (
    BadTime,
    FileUnknown,
    GateClaim,
    MetadataType,
    MetadataUnknownKey,
    MetadataUnreadable,
    MetricNotFinite,
    RegistryError,
)
from manual_registry.core.gates import Direction, report_document
from manual_registry.core.metadata import CARD_FIELDS, Metadata, card_missing

Parser = Callable[..., object]


def causes(parse: Parser, text: str | bytes, name: str = "metadata.yaml") -> dict[str, type[RegistryError]]:
    """Parse what must be refused; return each cause's class by its location."""
    with pytest.raises(RegistryError) as caught:
        parse(text.encode() if isinstance(text, str) else text, name=name)
    assert caught.value.exit_status == 7
    return {cause.location or "": type(cause) for cause in caught.value.reasons}


FULL_YAML = """\
training_data: [dvc:0123abc:data/train.csv, "sha256:00"]
code: {commit: 0012345, repository: https://example.org/r.git}
training_date: 2026-11-20
pipeline_run: 12e4567
hyperparameters: {learning_rate: 1e-3, depth: 3, country: no, limit: .inf, nested: {a: [1, null, true]}}
metrics: {auc_roc: 0.91, count: 10}
subgroup_metrics: {sex: {female: {auc_roc: 0.9}, male: {auc_roc: 0.92}}}
gates:
  - reports/fairness.json
  - gate: performance
    passed: true
    evaluation_dataset: holdout
    evaluated_at: 2026-11-21T10:00:00Z
    metrics: [{name: auc_roc, value: 0.91, lower: 0.9, threshold: 0.85, direction: higher}]
config: config.yaml
prompt: prompt.txt
environment: requirements.lock
owner: Ada Lovelace <ada@example.org>
origin: trained here
description: Churn within 30 days
tags: {team: credit, country: no, release: 1.10, reviewed: true}
card: {architecture: trees, limitations: [small, old]}
"""


def test_a_full_file() -> None:
    found = parse_metadata(FULL_YAML.encode(), name="metadata.yaml")
    assert found.training_data == ("dvc:0123abc:data/train.csv", "sha256:00")
    assert (found.code_commit, found.code_repository) == ("0012345", "https://example.org/r.git")
    assert (found.training_date, found.pipeline_run) == ("2026-11-20", "12e4567")
    assert found.hyperparameters == {
        "learning_rate": 0.001,
        "depth": 3,
        "country": "no",
        "limit": float("inf"),
        "nested": {"a": [1, None, True]},
    }
    assert found.metrics == {"auc_roc": 0.91, "count": 10}
    assert found.subgroup_metrics == {"sex": {"female": {"auc_roc": 0.9}, "male": {"auc_roc": 0.92}}}
    assert found.gate_files == ("reports/fairness.json",)
    assert found.gates[0].metrics[0].direction is Direction.HIGHER
    assert found.tags == {"team": "credit", "country": "no", "release": "1.10", "reviewed": "true"}
    assert found.card == {"architecture": "trees", "limitations": "- small\n- old"}
    assert (found.config, found.prompt, found.environment) == (
        "config.yaml",
        "prompt.txt",
        "requirements.lock",
    )


def test_the_same_in_json_and_toml() -> None:
    document = {
        "training_data": "dvc:0123abc:x",
        "code": {"commit": "0012345"},
        "training_date": "2026-11-20",
        "pipeline_run": 77,
        "hyperparameters": {"depth": 3},
        "metrics": {"auc": 0.9},
        "card": "card.md",
    }
    from_json = parse_metadata(json.dumps(document).encode(), name="metadata.json")
    toml = (
        'training_data = "dvc:0123abc:x"\ntraining_date = 2026-11-20\npipeline_run = 77\ncard = "card.md"\n'
        '[code]\ncommit = "0012345"\n[hyperparameters]\ndepth = 3\n[metrics]\nauc = 0.9\n'
    )
    assert parse_metadata(toml.encode(), name="metadata.toml") == from_json
    assert (from_json.pipeline_run, from_json.card_file, from_json.card) == ("77", "card.md", None)
    yaml = json.dumps(document).encode()
    assert parse_metadata(yaml, name="metadata.yaml") == from_json


@pytest.mark.parametrize("name", ["m.yaml", "m.yml", "m.json", "m.toml", "m"])
def test_an_empty_file_says_nothing(name: str) -> None:
    assert parse_metadata(b"", name=name) == Metadata()
    assert parse_metadata(b"\xef\xbb\xbf\n", name=name) == Metadata()


def test_keys_without_a_value_count_as_absent() -> None:
    text = "\n".join(f"{key}:" for key in ("training_data", "code", "metrics", "gates", "card", "tags", "owner"))
    assert parse_metadata(text.encode(), name="m.yaml") == Metadata()
    assert parse_metadata(b"code: {commit: , repository: }\ncard: {limitations: }\n", name="m.yaml") == Metadata()
    assert parse_metadata(b"owner: '  '", name="m.yaml").owner is None
    assert parse_metadata(b"hyperparameters: {}\nmetrics: {}", name="m.yaml") == Metadata(
        hyperparameters={}, metrics={}
    )


BAD = """\
traning_data: x
code: {comit: 1, repository: [1]}
training_date: soon
hyperparameters: [1]
metrics: {nan: .nan, word: nan, text: x, nested: {e: 1}, truth: true, none: , huge: 1e999}
subgroup_metrics: {sex: {f: {auc: -.inf}, m: 3}}
training_data: [ok, {a: 1}]
gates:
- gate: performance
  passed: yes
  evaluated_at: x
  metrics: [{name: auc, value: 0.9, treshold: 1, direction: up}]
tags: [a]
card: {limitation: x, intended_use: {a: 1}}
"""


def test_everything_wrong_is_told_at_once_with_its_place() -> None:
    found = {place.removeprefix("metadata.yaml: "): kind for place, kind in causes(parse_metadata, BAD).items()}
    assert found == {
        "traning_data": MetadataUnknownKey,
        "training_data[1]": MetadataType,
        "code.comit": MetadataUnknownKey,
        "code.repository": MetadataType,
        "training_date": BadTime,
        "hyperparameters": MetadataType,
        "metrics.nan": MetricNotFinite,
        "metrics.word": MetricNotFinite,
        "metrics.huge": MetricNotFinite,
        "metrics.text": MetadataType,
        "metrics.nested": MetadataType,
        "metrics.truth": MetadataType,
        "metrics.none": MetadataType,
        "subgroup_metrics.sex.f.auc": MetricNotFinite,
        "subgroup_metrics.sex.m": MetadataType,
        "gates[0].passed": MetadataType,
        "gates[0].evaluation_dataset": MetadataType,
        "gates[0].evaluated_at": BadTime,
        "gates[0].metrics[0].threshold": MetadataType,
        "gates[0].metrics[0].treshold": MetadataUnknownKey,
        "gates[0].metrics[0].direction": MetadataType,
        "tags": MetadataType,
        "card.limitation": MetadataUnknownKey,
        "card.intended_use": MetadataType,
    }


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("hyper_parameters: {}", "'hyperparameters'"),
        ("Training-Data: x", "'training_data'"),
        ("code: {comit: 1}", "'commit'"),
        ("card: {Intended use: x}", "'intended_use'"),
        ("xyz: 1", "there are training_data, code"),
    ],
)
def test_an_unknown_key_comes_with_the_one_that_was_meant(text: str, meant: str) -> None:
    with pytest.raises(MetadataUnknownKey, match=meant):
        parse_metadata(text.encode(), name="m.yaml")


@pytest.mark.parametrize(
    ("name", "text", "place"),
    [
        ("m.yaml", "a: 1\nb: [1\nc: 2", "m.yaml, line 3"),
        ("m.yaml", "owner: a\n\nowner: b\n", "m.yaml, line 3"),
        ("m.yaml", "a: 1\n---\nb: 2\n", "m.yaml, line 2"),
        ("m.yaml", "owner: !!python/object/apply:os.system [ls]", "m.yaml, line 1"),
        ("m.yaml", "owner: *nobody", "m.yaml, line 1"),
        ("m.yaml", "hyperparameters: &a {x: *a}", "m.yaml, line 1"),
        ("m.yaml", "? [a]\n: 1", "m.yaml, line 1"),
        ("m.yaml", "[" * 300_000, "m.yaml, line 1"),
        ("m.yaml", "- " * 50_000, "m.yaml, line 1"),
        ("m.yaml", "a: \x00", "m.yaml"),
        ("m.yaml", "- 1", "m.yaml"),
        ("m.json", '{"a": 1,\n}', "m.json, line 2"),
        ("m.json", '{"a": 1, "a": 2}', "m.json"),
        ("m.json", '{"\\ud800": 1}', "m.json"),
        ("m.json", "[" * 300_000, "m.json"),
        ("m.json", '{"a": ' + "9" * 5000 + "}", "m.json"),
        ("m.toml", "a = ", "m.toml"),
        ("m.toml", "a = " + "[" * 300_000, "m.toml"),
        ("m.toml", "a = " + "9" * 5000, "m.toml"),
        ("m.yaml", b"ok: 1\nowner: J\xfcrgen\n", "m.yaml, line 2"),
        ("m.yaml", "owner: x".encode("utf-16"), "m.yaml, line 1"),
    ],
)
def test_what_does_not_parse_is_told_with_the_line(name: str, text: str | bytes, place: str) -> None:
    assert causes(parse_metadata, text, name) == {place: MetadataUnreadable}


def test_an_alias_bomb_is_refused_and_honest_aliases_work() -> None:
    bomb = "a: &a [" + ",".join(["1"] * 10) + "]\n"
    for one, two in zip("abcdefgh", "bcdefghi", strict=True):
        bomb += f"{two}: &{two} [{','.join([f'*{one}'] * 10)}]\n"
    with pytest.raises(MetadataUnreadable, match="aliases"):
        parse_parameters(bomb.encode(), name="p.yaml")
    shared = b"base: &base {depth: 3, rate: 0.1}\nother: {<<: *base, depth: 4}\nlist: &l [1]\nagain: *l\n"
    assert parse_parameters(shared, name="p.yaml") == {
        "base": {"depth": 3, "rate": 0.1},
        "other": {"depth": 4, "rate": 0.1},
        "list": [1],
        "again": [1],
    }


def test_scalars_are_those_of_yaml_1_2() -> None:
    text = "[no, on, 2026-11-24, 12:30:45, 1_000, 0o17, 0x1F, 010, .5, 1., -0.0,"
    text += " ~, Null, TRUE, '1', !!str 2, '', -.INF]"
    found = plain(parse_yaml(text, where="x"))
    assert found == [
        *("no", "on", "2026-11-24", "12:30:45", "1_000", 15, 31, 10, 0.5, 1.0, -0.0),
        *(None, None, True, "1", "2", "", float("-inf")),
    ]
    assert [type(item) for item in found[5:11]] == [int, int, int, float, float, float]


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(st.dictionaries(st.text(st.characters(codec="utf-8")), _json, max_size=4))
def test_parameters_come_back_from_json(value: dict[str, object]) -> None:
    assert parse_parameters(json.dumps(value).encode(), name="p.json") == value


@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_nothing_but_our_errors_comes_out(data: bytes) -> None:
    for parse in (parse_metadata, parse_gates, parse_card, parse_metrics, parse_parameters):
        for name in ("x.yaml", "x.json", "x.toml", "x.md"):
            try:
                parse(data, name=name)
            except RegistryError as error:
                assert error.exit_status == 7


# -- gates, metrics, parameters ---------------------------------------------------------------------------

GATE = {
    "gate": "fairness",
    "passed": True,
    "evaluation_dataset": "holdout",
    "evaluated_at": "2026-11-21",
    "model": "sha256:" + "AB" * 32,
    "metrics": [{"name": "dpr", "value": 0.9, "lower": 0.85, "upper": 0.97, "threshold": 0.8, "direction": "higher"}],
}


def test_one_report_or_a_list() -> None:
    one = parse_gates(json.dumps(GATE).encode(), name="g.json")
    several = parse_gates(json.dumps([GATE, {**GATE, "gate": "security"}]).encode(), name="g.json")
    assert [report.gate for report in several] == ["fairness", "security"]
    assert one[0] == several[0]
    assert one[0].model == "sha256:" + "ab" * 32
    assert parse_gates(json.dumps(report_document(one[0])).encode(), name="g.yaml") == one


@pytest.mark.parametrize("text", ["", "[]", "5", "[1]", "[[]]"])
def test_what_is_no_report(text: str) -> None:
    assert causes(parse_gates, text, "g.json") == {"g.json": MetadataType}


def test_a_claim_that_the_numbers_do_not_bear_out() -> None:
    metric = {"name": "dpr", "value": 0.7, "threshold": 0.8, "direction": "higher"}
    false = {**GATE, "metrics": [metric]}
    assert causes(parse_gates, json.dumps(false), "g.json") == {"g.json": GateClaim}
    assert causes(parse_gates, json.dumps([GATE, false]), "g.json") == {"g.json: [1]": GateClaim}
    assert causes(parse_metadata, json.dumps({"gates": [GATE, false]}), "m.json") == {"m.json: gates[1]": GateClaim}
    assert parse_gates(json.dumps({**false, "passed": False}).encode(), name="g.json")[0].passed is False


def test_errors_in_a_report_are_located() -> None:
    bad = {
        **GATE,
        "metrics": [{"name": "", "value": "x", "threshold": float("nan"), "direction": "higher"}],
        "model": "x",
    }
    assert causes(parse_gates, json.dumps([GATE, bad]), "g.json") == {
        "g.json: [1].metrics[0].name": MetadataType,
        "g.json: [1].metrics[0].value": MetadataType,
        "g.json: [1].metrics[0].threshold": MetricNotFinite,
        "g.json: [1].model": MetadataType,
    }
    assert set(causes(parse_gates, json.dumps(bad), "g.json")) >= {
        "g.json: model",
        "g.json: metrics[0].value",
    }


def test_metrics_are_flat_and_finite() -> None:
    assert parse_metrics(b'{"auc": 0.9, "n": 3}', name="m.json") == {"auc": 0.9, "n": 3}
    text = '{"a": NaN, "b": {"c": 1}, "d": Infinity, "e": 1' + "0" * 400 + "}"
    assert causes(parse_metrics, text, "m.json") == {
        "m.json: a": MetricNotFinite,
        "m.json: b": MetadataType,
        "m.json: d": MetricNotFinite,
        "m.json: e": MetricNotFinite,
    }


def test_parameters_take_any_json_but_nan() -> None:
    assert parse_parameters(b"a: [1, {b: .inf}]", name="p.yaml") == {"a": [1, {"b": float("inf")}]}
    assert causes(parse_parameters, "a: [1, {b: .nan}]", "p.yaml") == {"p.yaml: a": MetadataType}
    assert causes(parse_parameters, '{"a": "\\ud800"}', "p.json") == {"p.json: a": MetadataType}


# -- cards ------------------------------------------------------------------------------------------------

MARKDOWN = """\
---
license: mit
---
# Churn

Intro.

## 1. Architecture
Gradient boosted trees.
### Inputs
Twelve columns.
```
# Limitations
```
## Training data:
<!-- describe it -->
## **Intended Use**
Retention offers.

Limitations
-----------
Not for new customers.
## Contact
Nobody.
## FAILURE-MODES ##
Drift.
"""


def test_a_card_in_markdown() -> None:
    card = parse_card(MARKDOWN.encode(), name="card.md")
    assert card == {
        "architecture": "Gradient boosted trees.\n### Inputs\nTwelve columns.\n```\n# Limitations\n```",
        "intended_use": "Retention offers.",
        "limitations": "Not for new customers.",
        "failure_modes": "Drift.",
    }
    assert card_missing(card) == ["training_data", "ethical_considerations"]
    assert parse_card(MARKDOWN.replace("\n", "\r\n").encode(), name="card.md") == card


@given(st.dictionaries(st.sampled_from(CARD_FIELDS), st.from_regex(r"[a-z]{1,20}( [a-z]{1,9})?", fullmatch=True)))
def test_a_card_reads_alike_in_every_format(card: dict[str, str]) -> None:
    markdown = "\n".join(f"## {name.replace('_', ' ').title()}\n\n{text}\n" for name, text in card.items())
    assert parse_card(markdown.encode(), name="c.md") == card
    assert parse_card(json.dumps(card).encode(), name="c.json") == card
    assert parse_card(json.dumps(card).encode(), name="c.yaml") == card


def test_what_a_card_lacks() -> None:
    assert card_missing(None) == list(CARD_FIELDS)
    assert card_missing(dict.fromkeys(CARD_FIELDS, "x")) == []
    assert card_missing({**dict.fromkeys(CARD_FIELDS, "x"), "limitations": " \n"}) == ["limitations"]


# -- files ------------------------------------------------------------------------------------------------


def test_files_are_read_from_disk(tmp_path: Path) -> None:
    (tmp_path / "metadata.yaml").write_text(FULL_YAML)
    (tmp_path / "gate.json").write_text(json.dumps(GATE))
    (tmp_path / "card.md").write_text(MARKDOWN)
    (tmp_path / "metrics.json").write_text('{"auc": 1}')
    assert load_metadata(tmp_path / "metadata.yaml").owner == "Ada Lovelace <ada@example.org>"
    assert load_gates(tmp_path / "gate.json")[0].gate == "fairness"
    assert load_card(tmp_path / "card.md")["failure_modes"] == "Drift."
    assert load_metrics(tmp_path / "metrics.json") == load_parameters(tmp_path / "metrics.json") == {"auc": 1}


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(FileUnknown):
        load_metadata(tmp_path / "nope.yaml")
    with pytest.raises(FileUnknown):
        load_metadata(tmp_path / "nope" / "m.yaml")
    with pytest.raises(MetadataUnreadable, match="not a plain file"):
        load_metadata(tmp_path)
    os.mkfifo(tmp_path / "pipe.yaml")
    with pytest.raises(MetadataUnreadable, match="not a plain file"):
        load_metadata(tmp_path / "pipe.yaml")
    with (tmp_path / "big.yaml").open("wb") as file:
        file.truncate(10_000_001)
    with pytest.raises(MetadataUnreadable, match="10 MB"):
        load_metadata(tmp_path / "big.yaml")
