"""What becomes of an offered version, without a server: names, stages, records, and whatever a hostile server may say."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from chains import MODEL, START, Chain, registration
from histories import histories
from hypothesis import given, settings
from hypothesis import strategies as st
from mlflow_offers import NOW, URI, arranged, exported, full, offer, plain, run

from manual_registry.adapters.mlflow import fetching
from manual_registry.adapters.mlflow.fetching import Listing, Place
from manual_registry.adapters.mlflow.server import Server
from manual_registry.core import events as kinds
from manual_registry.core.canonical import dump, parse
from manual_registry.core.decide import decide
from manual_registry.core.decide.registration import identifier
from manual_registry.core.errors import ModelSourceUnfit, PathEscapes, RegistryError, ServerRefused
from manual_registry.core.handover import back, foreign, mapping, proof
from manual_registry.core.handover.arranging import Arrangement, arrange
from manual_registry.core.handover.arrival import MEMBERS, Arrival, whole
from manual_registry.core.handover.entities import Dataset, Metric
from manual_registry.core.handover.record import read_record
from manual_registry.core.ledger import Draft, seal
from manual_registry.core.times import stamp


def entry(one: Arrival, artefact: Mapping[str, Any]) -> dict[str, Any]:
    """Return the data of the event."""
    data = {**one.data, "artefact": dict(artefact)}
    baseline = one.baseline(uri=URI, sha256="ab" * 32, kept="adopted/x.json")
    return {**data, "composite_id": identifier(one.model, one.version, data), "baseline": baseline}


def reasons(chain: Chain, one: Arrival, artefact: Mapping[str, Any] | None = None) -> list[RegistryError]:
    """Decide the entry of an arrival in the registry of ``chain``."""
    known = artefact or registration("x", "1")["artefact"]
    draft = Draft(type=kinds.ADOPTED, subject={"model": one.model, "version": one.version}, data=entry(one, known))
    state = chain.state
    event = seal(draft, seq=state.head_seq + 1, prev=state.head_hash, at=stamp(NOW), actor="sme@example.org")
    return decide(state, event)


# -- what this tool exported ------------------------------------------------------------------------------------


def test_a_record_brings_every_member_and_is_decided_elsewhere() -> None:
    chain = full()
    (one,) = arranged(exported(chain)).arrivals
    record = chain.record("1")
    for name in (*MEMBERS, "owner", "tags"):
        assert one.data[name] == (record.value(name) if name != "tags" else record.tags), name
    assert one.data["description"] == "filled in"
    for name in ("evidence", "gates"):
        assert one.data[name] == [dict(item) for item in getattr(record, name)]
    assert (one.aliases, one.composite_id, one.stage) == (("good",), record.composite_id, "experimental")
    assert reasons(Chain(), one, record.data["artefact"]) == []
    assert entry(one, record.data["artefact"])["composite_id"] == record.composite_id
    assert "seen" in one.stated["notes"]


def test_the_same_offer_gives_the_same_snapshot_and_its_papers_come_back() -> None:
    chain = full()
    one, other = exported(chain), plain(run=run(metrics=(Metric(name="x", value=math.nan, timestamp=1),)))
    first = offer(one, other).snapshot()
    assert first == offer(other, one).snapshot()
    assert first == replace(offer(one, other), server="4").snapshot()
    versions = json.loads(first)["versions"]
    assert {path: text.encode() for path, text in versions[1]["papers"]} == dict(one.papers)
    assert first == dump(parse(first))


def test_a_number_that_may_not_be_what_was_logged_is_told() -> None:
    made = plain(
        run=run(metrics=(Metric(name="top", value=sys.float_info.max, timestamp=1),)),
        model_metrics=(Metric(name="loss", value=0.0, timestamp=1),),
    )
    found = arranged(made).arrivals[0]
    assert found.data["metrics"].keys() == {"top", "loss"}
    reasons = {one.field: one.reason for one in found.lost}
    assert "for infinity" in reasons["metric top"]
    assert "for a NaN" in reasons["metric loss"]


def test_a_record_that_was_changed_is_told_and_never_taken() -> None:
    chain = full()
    good = json.loads(exported(chain).papers["record.json"])

    def told(change: dict[str, Any], **tags: str) -> tuple[str, bool]:
        data = dump({**good, **change})
        made = exported(chain, tags=tags)
        done = arranged(replace(made, papers={**made.papers, "record.json": data}))
        assert done.arrivals == []
        return done.left_out[0].reason, done.left_out[0].differs

    registered = good["registration"]
    for change, member in (
        ({"registration": {**registered, "metrics": {"auc": 0.99}}}, "registration"),
        ({"registration": {**registered, "artefact": {**registered["artefact"], "sha256": "ee" * 32}}}, "registration"),
        ({"row": {**good["row"], "stage": "staging"}}, "row.stage"),
        ({"row": {**good["row"], "registered_by": "victim@example.org"}}, "row.registered_by"),
        ({"row": {**good["row"], "aliases": ["good", "better"]}}, "row.aliases"),
        ({"fields": {"description": "another"}}, "fields"),
        ({"evidence": good["evidence"][:-1]}, "evidence"),
        ({"gates": [{**one, "passed": 1} for one in good["gates"]]}, "gates"),
        ({"owner": "thief"}, "owner"),
        ({"tags": {}}, "tags"),
        ({"notes_text": "other"}, "notes_text"),
        ({"approvals": [{"id": "A1", "status": "lapsed"}]}, "approvals"),
        ({"events": good["events"][:-1]}, "of which events.jsonl holds"),
        ({"events": 7}, "hold together"),
        ({"row": None}, "hold together"),
        ({"evidence": 7}, "evidence"),
    ):
        reason, differs = told(change)
        assert (member in reason, differs) == (True, True), (change, reason)
    assert "another version" in told({"version": "2"})[0]
    assert "one of them was changed" in told({}, **{"aisdp.content_hash": "blake3:" + "0" * 64})[0]
    assert told({"schema": "manual-registry/handover/9"})[0]


def test_events_that_were_changed_are_told_and_the_record_is_not_taken() -> None:
    good = exported(full())
    lines = good.papers["events.jsonl"].splitlines(keepends=True)
    for events in (
        None,
        b"",
        b"".join(lines[:-1]),
        b"".join(reversed(lines)),
        b"".join([*lines, lines[-1]]),
        good.papers["events.jsonl"].replace(b"filled in", b"filled up"),
        b"\xff\n",
    ):
        papers = {name: data for name, data in good.papers.items() if name != "events.jsonl"}
        papers |= {} if events is None else {"events.jsonl": events}
        (left,) = (done := arranged(replace(good, papers=papers))).left_out
        assert (done.arrivals, left.differs, "events.jsonl" in left.reason) == ([], True, True), left.reason


@settings(max_examples=15)
@given(chain=histories(longest=40))
def test_what_an_export_wrote_is_borne_out_by_its_events(chain: Chain) -> None:
    for model, version in chain.state.versions:
        one = exported(chain, version, model=model)
        borne = proof.borne_out(one.papers["record.json"], one.papers["events.jsonl"])
        assert proof.told(borne, one.entities, read_record(one.papers["record.json"])) == []


def test_what_mlflow_says_beside_the_record_is_told() -> None:
    chain = full()
    assert arranged(exported(chain)).warnings == []
    one = exported(
        chain,
        tags={
            "manual_registry.stage": "staging",
            "aisdp.owner": "thief",
            "aisdp.retention_until": "2027-01-01",
            "x": "y",
        },
    )
    assert one.entities.run is not None
    assert one.entities.registered is not None
    edited = replace(
        one.entities,
        registered=replace(one.entities.registered, description="another card"),
        run=replace(one.entities.run, params={**one.entities.run.params, "big": "1"}, metrics=()),
    )
    done = arranged(replace(one, entities=edited))
    assert done.arrivals[0].stage == "experimental"
    for name in (
        "version.tag manual_registry.stage is “staging”", "version.tag aisdp.owner", "version.tag aisdp.retention_until",
        "version description", "run.param big", "run.metric count is not there",
    ):  # fmt: skip
        assert any(name in warning and "the record counts" in warning for warning in done.warnings), name
    assert not any("version.tag x" in warning for warning in done.warnings)


def test_a_record_that_its_events_bear_out_is_judged_all_the_same() -> None:
    chain = full()
    good = json.loads(exported(chain).papers["record.json"])

    def refused(change: dict[str, Any]) -> str:
        made = exported(chain)
        with pytest.raises(RegistryError) as caught:
            whole(made, back.returned(made.entities, record=dump({**good, **change})), chain.state.policy)
        return caught.value.message

    assert "does not follow" in refused({"registration": {**good["registration"], "code": None}})
    outside = [{**good["evidence"][0], "path": "../../evil"}]
    assert "only paths inside" in refused({"evidence": outside})
    assert "no evidence file" in refused({"evidence": [{**good["evidence"][0], "path": "record.json"}]})


def test_what_was_filled_in_late_does_not_change_the_identifier() -> None:
    chain = Chain()
    first = registration(MODEL, "1", code=None)
    first["composite_id"] = identifier(MODEL, "1", first)
    code = registration(MODEL, "1")["code"]
    document = {**_record(first), "fields": {"code": code}}
    found = back.Returned(model=MODEL, version="1", members={}, tags={}, stage="staging", whole=True, document=document)
    one = whole(plain(MODEL), found, chain.state.policy)
    assert (one.data["code"], one.later) == (None, {"code": code})
    archived = whole(plain(MODEL), replace(found, stage="archived"), chain.state.policy)
    assert (archived.later, archived.stated["code_commit"]) == ({}, code["commit"])
    assert "code" in {lost.field for lost in archived.lost}


def _record(registered: dict[str, Any]) -> dict[str, Any]:
    row = dict.fromkeys(
        ("registered_at", "registered_by", "approver", "approval_date", "deployment_date", "retention_until"), None
    )
    return {
        "registry": {"id": "ab" * 16, "system": "s", "risk": "high"},
        "model": MODEL,
        "version": "1",
        "registration": registered,
        "row": {
            **row,
            "aliases": [],
            "storage_location": f"models/{MODEL}/1",
            "stage": "staging",
            "move_pending": False,
        },
        **{name: [] for name in ("notes", "approvals", "exceptions", "deployments", "stages")},
        **{name: registered[name] for name in ("evidence", "gates", "card", "environment", "owner", "tags")},
        "notes_text": None,
    }


def test_gates_that_ask_less_than_this_registry_stay_behind() -> None:
    strict = Chain()
    policy = {
        **strict.state.policy.document,
        "thresholds": {"performance_score": {"direction": "higher", "threshold": 0.88}},
    }
    strict.policy_sign(policy=policy)
    chain = Chain()
    chain.register("1")
    (one,) = arranged(exported(chain), state=strict.state).arrivals
    before = chain.record("1")
    assert [gate["gate"] for gate in one.data["gates"]] == [
        gate["gate"] for gate in before.gates if gate["gate"] != "performance"
    ]
    assert [lost.field for lost in one.lost if "performance" in lost.reason] == ["gates"]
    assert len(one.data["evidence"]) == len(before.evidence)
    assert reasons(strict, one, before.data["artefact"]) == []


# -- names, numbers, stages --------------------------------------------------------------------------------------


def test_an_edited_tag_does_not_make_it_somebody_elses() -> None:
    chain = full()
    one = exported(chain)
    registered = one.entities.registered
    assert registered is not None
    tags = {name: value for name, value in registered.tags.items() if name != mapping.REGISTRY_ID}
    bare = replace(one, entities=replace(one.entities, registered=replace(registered, tags=tags)))
    assert bare.identity == one.identity
    assert arranged(bare).arrivals[0].artefact is not None


def why(done: Arrangement) -> dict[int, str]:
    """Return the reasons by number."""
    return {one.number: one.reason for one in done.left_out}


def test_a_tag_that_is_no_version_is_named() -> None:
    done = arranged(
        plain(number=1, tags={mapping.VERSION: "next"}), plain("latest-of-all", 2, tags={mapping.VERSION: "a/b"})
    )
    assert done.arrivals == []
    for number, value in ((1, "next"), (2, "a/b")):
        assert f"the tag {mapping.VERSION}" in why(done)[number]
        assert value in why(done)[number]


def test_copies_of_one_version_come_once_and_rivals_not_at_all() -> None:
    chain = full()
    done = arranged(exported(chain, number=1), exported(chain, number=2))
    assert [one.offered.number for one in done.arrivals] == [1]
    assert "the same as churn, version 1" in why(done)[2]
    # A copy under another name, which MLflow lists first, is no other version.
    copy = exported(chain, number=1)
    done = arranged(replace(copy, name="Copied"), copy)
    assert [one.offered.name for one in done.arrivals] == [MODEL]
    # One that was never exported gives way: the record of the other is sure.
    done = arranged(exported(chain, number=1), plain(MODEL, 2, tags={mapping.VERSION: "1"}))
    assert [one.offered.number for one in done.arrivals] == [1]
    assert "would be churn@1 too" in why(done)[2]
    tag = {mapping.VERSION: "2"}
    done = arranged(plain(number=1, tags=tag), plain(number=2), plain(number=3))
    assert [one.version for one in done.arrivals] == ["3"]
    assert set(why(done)) == {1, 2}
    done = arranged(plain(number=1, tags={mapping.VERSION: "A"}), plain(number=2, tags={mapping.VERSION: "a"}))
    assert done.arrivals == []


@pytest.mark.parametrize(
    ("changes", "stage"),
    [
        ({}, "experimental"),
        ({"stage": "Archived"}, "archived"),
        ({"stage": "Staging", "tags": {"aisdp.stage": "production"}}, "production"),
        ({"stage": "Staging", "tags": {"aisdp.stage": "live!"}}, "staging"),
        ({"aliases": ("production",)}, "production"),
        ({"aliases": ("staging", "other")}, "staging"),
        ({"aliases": ("champion",)}, "experimental"),
        ({"aliases": ("production",), "stage": "Archived"}, "archived"),
    ],
)
def test_the_stage_that_is_stated(changes: dict[str, Any], stage: str) -> None:
    assert foreign.stage_of(plain(**changes)) == stage


def test_one_is_in_production() -> None:
    chain = full()
    here, there = plain(number=1, stage="Production"), plain(number=2, stage="Production")
    assert arranged(here, there).arrivals == []
    done = arranged(here, replace(there, aliases=("production",)))
    assert [one.offered.number for one in done.arrivals] == [2]
    chain.to_production("2")
    done = arranged(plain(MODEL, 7, stage="Production"), state=chain.state)
    assert "is in production here" in why(done)[7]


def test_only_what_people_call_training_data_is() -> None:
    contexts = ("training", "Train", "", "eval", "evaluation", "validation", "test", "holdout")
    used = (Dataset(name=f"d-{one}", digest="1", source_type="x", source="y", context=one) for one in contexts)
    (one,) = arranged(plain(run=run(datasets=tuple(used)))).arrivals
    assert [item["reference"] for item in one.data["training_data"]] == [
        "mlflow:d-training@1", "mlflow:d-Train@1", "mlflow:d-@1",
    ]  # fmt: skip
    told = {lost.field: lost.reason for lost in one.lost}
    for context in contexts[3:]:
        assert f"for {context}" in told[f"data set d-{context}"]


def test_what_is_not_ready_or_has_no_files() -> None:
    done = arranged(
        plain(number=1, status="PENDING_REGISTRATION"), plain(number=2, problem="gone"), plain("\u6a21\u578b", 3)
    )
    assert done.arrivals == []
    assert "PENDING" in why(done)[1]
    assert "gone" in why(done)[2]
    assert "rename" in why(done)[3]
    chain = full()
    lost = replace(exported(chain), papers={})
    done = arranged(lost)
    assert (done.arrivals[0].own, done.arrivals[0].artefact, done.arrivals[0].version) == (True, None, "1")
    assert done.arrivals[0].data["tags"] == chain.record("1").tags
    assert "record.json is not there" in done.warnings[0]
    assert [str(one) for one in done.arrivals[0].hashes] == [
        f"blake3:{chain.record('1').blake3}", f"sha256:{chain.record('1').sha256}",
    ]  # fmt: skip


# -- whatever a server says -------------------------------------------------------------------------------------

_TEXT = st.one_of(
    st.text(max_size=40), st.sampled_from(["$int", "mlflow:", "sha256:", "\ud800", "9" * 400, "1e999", "[" * 200])
)
_MILLIS = st.one_of(st.none(), st.integers(-(2**62), 2**62))
_FLOATS = st.floats()


@settings(max_examples=40)
@given(
    name=_TEXT, tags=st.dictionaries(_TEXT, _TEXT, max_size=4), params=st.dictionaries(_TEXT, _TEXT, max_size=3),
    description=_TEXT, metric=st.tuples(_TEXT, _FLOATS), dataset=st.tuples(_TEXT, _TEXT, _TEXT), start=_MILLIS, end=_MILLIS,
    created=_MILLIS, own=st.booleans(),
)  # fmt: skip
def test_nothing_that_is_said_breaks_it(
    *, name: str, tags: dict[str, str], params: dict[str, str], description: str, metric: tuple[str, float],
    dataset: tuple[str, str, str], start: int | None, end: int | None, created: int | None, own: bool,
) -> None:  # fmt: skip
    identity = {mapping.REGISTRY_ID: "ab" * 16, mapping.MODEL: "churn", mapping.VERSION: "1"} if own else {}
    one = plain(
        f"m{name}",
        tags={**tags, **identity},
        description=description,
        created=created,
        run=run(
            start=start,
            end=end,
            params=params,
            tags=tags,
            metrics=(Metric(name=metric[0], value=metric[1], timestamp=0),),
            datasets=(Dataset(name=dataset[0], digest=dataset[1], source_type="x", source=dataset[2], context=""),),
        ),
    )
    made = offer(one)
    assert made.snapshot() == dump(parse(made.snapshot()))
    chain = Chain()
    done = arrange(made, chain.state, START)
    assert len(done.arrivals) + len(done.left_out) == 1
    for arrival in done.arrivals:
        for reason in reasons(chain, arrival):
            assert reason.status in (3, 7), reason.message


class Listed:
    """An artefact store that lists what it is told to."""

    def __init__(self, entries: Mapping[str, list[tuple[str, bool, int | None]]]) -> None:
        self.entries = entries

    def list_artifacts(self, path: str | None) -> list[Any]:
        """Return the entries of a folder."""
        found = self.entries.get(path or "", [])
        return [type("Info", (), {"path": name, "is_dir": folder, "file_size": size}) for name, folder, size in found]


def listed(entries: Mapping[str, list[tuple[str, bool, int | None]]], below: str = "") -> Listing:
    """List a place of a server whose store is ``entries``."""
    server = Server(uri=URI, version="3", client=None)  # type: ignore[arg-type]
    server.repositories["mlflow-artifacts:/1"] = Listed(entries)
    return fetching.listed(server, Place(location="mlflow-artifacts:/1", below=below))


def test_a_listing_is_read_as_it_is_meant() -> None:
    pytest.importorskip("mlflow")
    found = listed({"": [("a", True, None), ("b.bin", False, 3), (".DS_Store", False, 1)], "a": [("a/c", False, None)]})
    assert (dict(found.files), found.left_out, found.single) == ({"a/c": -1, "b.bin": 3}, (".DS_Store",), False)
    found = listed({"": [("m.pkl", False, 3)]}, below="m.pkl")
    assert (dict(found.files), found.single) == ({"m.pkl": 3}, True)
    assert dict(listed({"m": [("m/x", False, 1)]}, below="m").files) == {"x": 1}


@pytest.mark.parametrize(
    "entries",
    [
        {},
        {"": [("../x", False, 1)]},
        {"": [("/etc/passwd", False, 1)]},
        {"": [("..", True, 1)]},
        {"": [("", True, 1)]},
        {"": [("a", True, None)], "a": [("b", False, 1)]},
        {"": [("a", True, None)], "a": [("a", True, None)]},
        {"": [("A", False, 1), ("a", False, 1)]},
        {"": [("a\\b", False, 1)]},
        {"": [("a\nb", False, 1)]},
        {"": [("aux", False, 1)]},
        {"": [("x" * 5000, False, 1)]},
        {"": [(str(number), False, 1) for number in range(11)]},
    ],
    ids=lambda entries: str(entries)[:30],
)
def test_a_listing_that_leads_elsewhere_is_refused(entries: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow")
    monkeypatch.setattr(fetching, "MAX_FILES", 10)
    with pytest.raises(RegistryError) as caught:
        listed(entries)
    assert caught.value.status == 7


def test_folders_without_end_and_listings_that_are_none() -> None:
    pytest.importorskip("mlflow")

    class Endless(dict[str, Any]):
        def get(self, key: str, _default: Any = None) -> Any:
            return [(f"{key}/x".strip("/"), True, None)]

    with pytest.raises(ModelSourceUnfit, match="deeper"):
        listed(Endless())
    with pytest.raises(ServerRefused):
        listed({"": [("x", False, "many")]})  # type: ignore[list-item]
    with pytest.raises(PathEscapes):
        fetching._below("../x")
