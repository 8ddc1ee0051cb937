"""The mapping: names and values that fit, a three-way comparison that blames the right side, and the way back."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from chains import Chain, evidence, gate
from hypothesis import given
from hypothesis import strategies as st

from manual_registry.core import events as kinds
from manual_registry.core.canonical import dump, sha256_hex
from manual_registry.core.errors import BadValue, EventUnreadable, FormatTooNew
from manual_registry.core.handover import back, comparing, earlier, limits, mapping, record, table
from manual_registry.core.handover.entities import VersionEntities
from manual_registry.core.manifest import Content, FileEntry

_MLFLOW_KEY = re.compile(r"[/\w.\- ]*")
DOCS = Path(__file__).parents[2] / "docs" / "mlflow.md"


def content(name: str = "m.bin", size: int = 3) -> Content:
    """Return an artefact of one file."""
    entry = FileEntry(path=name, size=size, blake3="ab" * 32, sha256="cd" * 32)
    return Content(kind="file", name=name, files=(entry,), size=size, blake3="ab" * 32, sha256="cd" * 32)


def mapped(chain: Chain, version: str = "1", **changes: Any) -> VersionEntities:
    """Return a version of the chain in MLflow's terms."""
    return mapping.version_entities(chain.state, chain.record(version), events=chain.events, content=content(**changes))


# -- names and values -----------------------------------------------------------------------------------------


_NAMES = st.one_of(st.text(max_size=300), st.text(alphabet="_x04f1/.@", max_size=30))


@given(_NAMES)
def test_every_name_fits_and_short_ones_come_back(name: str) -> None:
    made = limits.spelled(name)
    assert _MLFLOW_KEY.fullmatch(made)
    assert 0 < len(made) <= limits.KEY
    parts = made.split("/")
    assert not {"", ".", ".."} & set(parts)
    if not re.search(r"\.[0-9a-f]{16}\Z", made):
        assert limits.unspelled(made) == name


@given(st.lists(_NAMES, min_size=2, max_size=5, unique=True))
def test_different_names_stay_different(names: list[str]) -> None:
    assert len({limits.spelled(name) for name in names}) == len(names)
    assert len({limits.spelled_path(name) for name in names}) == len(names)
    assert [limits.unspelled(limits.spelled_path(name)) for name in names] == names
    assert len({limits.spelled_alias(name, taken="production") for name in names}) == len(names)


@pytest.mark.parametrize(
    ("path", "spelled"),
    [
        ("artefact/  lead", "artefact/_x20__x20_lead"),
        (" a/ b /c d", "_x20_a/_x20_b /c d"),
        ("artefact/http:", "artefact/http_x3a_"),
        ("a:/b:c", "a_x3a_/b:c"),
        ("_x3a:", "_x5f_x3a_x3a_"),
    ],
)
def test_spaces_at_the_beginning_and_colons_at_the_end_of_file_names(path: str, spelled: str) -> None:
    assert limits.spelled_path(path) == spelled
    assert limits.unspelled(spelled) == path


@given(st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z"))
def test_every_alias_is_one_that_mlflow_takes(name: str) -> None:
    made = limits.spelled_alias(name, taken="champion")
    assert re.fullmatch(r"[\w-]{1,255}", made)
    assert not re.fullmatch(r"[vV]\d+", made)
    assert made.lower() not in ("latest", "champion")


@given(_NAMES.map(lambda one: one[:60]), _NAMES.map(lambda one: one[:60]))
def test_parts_of_a_name_come_back(one: str, other: str) -> None:
    made = limits.joined(("gate", one, other))
    if re.search(r"\.[0-9a-f]{16}\Z", made):
        return  # too long: the whole stands in record.json
    assert [limits.unspelled(part) for part in made.split("/")] == ["gate", one, other]


def test_long_values_say_what_they_were() -> None:
    made = limits.shortened("ü" * 7000, 6000)
    assert len(made) == 6000
    assert "7000 characters, sha256:" in made
    assert limits.shortened("x" * 6000, 6000) == "x" * 6000


# -- what a version is there ------------------------------------------------------------------------------------


def test_the_same_ledger_gives_the_same_entities_whatever_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    chain = Chain()
    chain.register("1")
    first = mapped(chain)
    chain.register("2")
    assert mapped(chain).flat() == first.flat()
    assert mapped(chain).digest() == first.digest()
    assert mapped(chain, size=4).digest() != first.digest()


def test_a_later_report_of_a_gate_is_a_later_step() -> None:
    chain = Chain()
    chain.register("1")
    file = evidence("gates", "again.json")
    again = chain.attachment(evidence=[file], gates=[gate("fairness", file, metric={"value": 0.95})])
    before = mapped(chain)
    chain.add(kinds.ATTACHED, chain.of("1"), again)
    found = {one.name: one for one in mapped(chain).whole()[0].metrics}
    assert (found["gate/fairness/fairness_score"].step, found["gate/performance/performance_score"].step) == (1, 0)
    done = comparing.three_way(mapped(chain).flat(), [before.flat()], before.flat(), model="m", version="1")
    assert not done.mismatches
    assert ("run.metric", "gate/fairness/fairness_score") in done.write
    replaced = ("run.metric.earlier", "gate/fairness/fairness_score step 0")
    assert replaced in done.write
    assert mapped(chain).flat()[replaced] == before.flat()["run.metric", "gate/fairness/fairness_score"]


def test_what_an_earlier_report_alone_measured_stays() -> None:
    chain = Chain()
    chain.register("1")
    file = evidence("gates", "again.json")
    other = gate("fairness", file, metric={"name": "another"})
    chain.add(kinds.ATTACHED, chain.of("1"), chain.attachment(evidence=[file], gates=[other]))
    run = mapped(chain).whole()[0]
    steps = {
        one.name: one.step for one in run.metrics if one.name.startswith("gate/fairness/") and one.name.count("/") == 2
    }
    assert steps == {"gate/fairness/fairness_score": 0, "gate/fairness/another": 1}
    assert run.earlier == ()
    # The first mapping had the last report alone: no check asks it for what the other one measured.
    ours = {**mapped(chain).flat(), ("version.tag", mapping.MAPPING_TAG): "1"}
    found = {key: value for key, value in ours.items() if "fairness_score" not in key[1] and key[0] != "model.metric"}
    assert comparing.check(earlier.expected(ours, found), found, model="m", version="1") == []
    del found["run.metric", "gate/fairness/another"]
    (told,) = comparing.check(earlier.expected(ours, found), found, model="m", version="1")
    assert (told.name, told.problem) == ("gate/fairness/another", "missing")


@pytest.mark.parametrize("name", ["gate/foo@bar", "subgroup/" + "x" * 300, "gate/_x2f_", "subgroup//"])
def test_a_metric_named_like_a_gates_fits_comes_back_and_is_told(name: str) -> None:
    chain = Chain()
    chain.register("1", metrics={name: 0.1})
    entities = mapped(chain)
    (made,) = (one.name for one in entities.whole()[0].metrics if not one.name.startswith(("gate/", "subgroup/")))
    assert _MLFLOW_KEY.fullmatch(made)
    assert len(made) <= limits.KEY
    assert ("run.metric", name, "renamed") in {(one.place, one.name, one.problem) for one in entities.remarks}
    if len(name) < 200:
        assert back.returned(entities).members["metrics"] == {name: 0.1}


def test_metrics_of_every_kind_stay_apart() -> None:
    chain = Chain()
    chain.register(
        "1", metrics={"gate/fairness/fairness_score": 0.1, "subgroup/a": 0.2, "auc": {"$int": "1" + "0" * 400}}
    )
    entities = mapped(chain)
    found = {one.name: one.value for one in entities.whole()[0].metrics}
    assert found["_x67_ate/fairness/fairness_score"] == 0.1
    assert found["gate/fairness/fairness_score"] == 0.9
    assert "auc" not in found
    assert ("run.metric", "auc", "refused") in {(one.place, one.name, one.problem) for one in entities.remarks}
    said = back.returned(entities).members["metrics"]
    assert said == {"gate/fairness/fairness_score": 0.1, "subgroup/a": 0.2}


def test_dates_before_1970_are_told() -> None:
    chain = Chain()
    chain.register("1", training_date="1968-05-01")
    entities = mapped(chain)
    assert entities.whole()[0].start == 1
    assert "1968-05-01" in entities.remarks[0].instead


# -- there and back ---------------------------------------------------------------------------------------------


def test_record_json_brings_the_registration_back() -> None:
    chain = Chain()
    chain.register("1", hyperparameters={"big": {"$int": str(2**70)}, "deep": {"a": [1, None, "x"]}})
    entities = mapped(chain)
    data = next(one.data for one in entities.whole()[0].files if one.path == record.RECORD)
    found = back.returned(entities, record=data)
    assert found.whole
    assert dict(found.members) == dict(chain.record("1").data)
    assert (found.model, found.version, found.stage) == ("churn", "1", "experimental")


def test_without_it_mlflows_fields_say_what_they_can() -> None:
    chain = Chain()
    chain.register(
        "1", hyperparameters={"depth": 3, "rate": 0.1, "on": True, "layers": [1, 2], "name": "x", "a b@": "1e"}
    )
    found = back.returned(mapped(chain))
    members, registered = found.members, chain.record("1").data
    for name in ("hyperparameters", "metrics", "subgroup_metrics", "pipeline_run", "description"):
        assert members[name] == registered[name], name
    assert members["code"]["commit"] == registered["code"]["commit"]
    assert [one["reference"] for one in members["training_data"]] == [
        one["reference"] for one in registered["training_data"]
    ]
    assert members["training_date"] == "2026-02-01T00:00:00.000Z"
    assert (found.tags, found.whole) == ({"team": "risk"}, False)
    assert any("evaluation" in line for line in found.not_kept)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", EventUnreadable),
        (b"[]", EventUnreadable),
        (b'{"schema":"manual-registry/show/1"}', EventUnreadable),
        (b'{"schema":"manual-registry/handover/2"}', FormatTooNew),
        (b"\xff", EventUnreadable),
    ],
)
def test_what_is_no_record_is_refused(data: bytes, problem: type[Exception]) -> None:
    with pytest.raises(problem):
        record.read_record(data)


def test_a_record_of_another_version_is_refused() -> None:
    chain = Chain()
    chain.register("1")
    chain.register("2")
    data = record.record_bytes(chain.state, chain.record("2"))
    with pytest.raises(BadValue):
        back.returned(mapped(chain), record=data)


# -- whose doing it is ------------------------------------------------------------------------------------------

TAG = ("version.tag", "aisdp.stage")


@pytest.mark.parametrize(
    ("ours", "base", "found", "write", "problems"),
    [
        ("a", "a", "a", {}, []),
        ("b", "a", "a", {TAG: "b"}, []),  # the register has gone on
        ("b", "a", "b", {}, []),  # an update that was interrupted
        ("a", "a", "x", {}, ["changed"]),  # somebody changed it
        ("b", "a", "x", {}, ["changed"]),  # both
        ("a", "a", None, {TAG: "a"}, []),  # taken away there: nothing is lost by writing it
        ("a", None, None, {TAG: "a"}, []),  # new
        ("a", None, "x", {}, ["changed"]),
        (None, "a", "a", {TAG: None}, []),  # gone here
        (None, "a", None, {}, []),
        (None, "a", "x", {}, ["changed"]),
        (None, None, "x", {}, []),  # their own
    ],
)
def test_three_ways(
    ours: str | None, base: str | None, found: str | None, write: dict[Any, Any], problems: list[str]
) -> None:
    one, two, three = ({TAG: value} if value is not None else {} for value in (ours, base, found))
    done = comparing.three_way(one, [two], three, model="m", version="1")
    assert (done.write, [each.problem for each in done.mismatches]) == (write, problems)


def test_fixed_places_and_files() -> None:
    param = ("run.param", "depth")
    done = comparing.three_way({param: "4"}, [{param: "3"}], {param: "3"}, model="m", version="1")
    assert not done.write
    assert [one.problem for one in done.mismatches] == ["changed"]
    file = ("model.file", "artefact/m.bin")
    known, size_only = "3 bytes sha256:" + "ab" * 32, "3 bytes sha256:?"
    assert comparing.equal(known, size_only)
    assert not comparing.equal(known, "4 bytes sha256:?")
    assert not comparing.equal(known, None)
    added = comparing.check({file: known}, {file: known, ("model.file", "evil.py"): known}, model="m", version="1")
    assert [(one.name, one.problem) for one in added] == [("evil.py", "added")]
    odd = comparing.check({}, {("model", "na\ud800me"): "x\udfff" * 300}, model="m", version="1")[0].document()
    assert sha256_hex(dump(odd))
    shown = comparing.check({file: known}, {}, model="m", version="1")[0].document()
    assert (shown["problem"], shown["field"]) == ("missing", "artefact/m.bin")


# -- the table -------------------------------------------------------------------------------------------------


def test_docs_tell_where_every_field_goes() -> None:
    assert table.markdown() in DOCS.read_text(encoding="utf-8")


def test_every_field_of_the_register_is_in_the_table() -> None:
    told = {name for row in table.ROWS for name in row.fields}
    registration = {*kinds.SHAPES[kinds.REGISTERED][1], "model", "version"}
    assert registration - told == set()


def test_every_place_that_the_mapping_fills_is_in_the_table() -> None:
    chain = Chain()
    chain.to_production("1")
    chain.add(kinds.TAGGED, chain.of("1"), {"tags": {"team": "x"}})
    told = [place for row in table.ROWS for place in row.places]
    for place, name in mapped(chain).flat():
        assert any(re.fullmatch(one, f"{place} {name}") for one in told), (place, name)
    entities = mapping.model_entities(chain.state, "churn")
    for place, name in entities.flat():
        assert any(re.fullmatch(one, f"{place} {name}") for one in told), (place, name)
