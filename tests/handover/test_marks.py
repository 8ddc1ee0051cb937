"""What the ledger knows of the export's own tags, what earlier releases wrote, and when two addresses are one server."""

from __future__ import annotations

import pytest
from chains import Chain

from manual_registry.core import events as kinds
from manual_registry.core.closing import consequences
from manual_registry.core.handover import earlier, through
from manual_registry.core.handover.addresses import lies_in, same_server
from manual_registry.core.handover.comparing import check, three_way
from manual_registry.core.handover.entities import File
from manual_registry.core.handover.mapping import EXPORTING, MAPPING, MAPPING_TAG, PRODUCTION_ALIAS, THROUGH

TAG = ("version.tag", MAPPING_TAG)
PARAM, METRIC, STAGE = ("model.param", "depth"), ("model.metric", "auc"), ("version.tag", "aisdp.stage")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("http://localhost:5000", "http://127.0.0.1:5000/", True),
        ("HTTP://LocalHost:5000//", "http://[::1]:5000", True),
        ("http://[0:0:0:0:0:0:0:1]:80", "http://localhost", True),
        ("https://MLflow.Example.org:443/ml/", "https://mlflow.example.org/ml", True),
        ("http://mlflow.example.org:80", "http://mlflow.example.org", True),
        ("http://[FE80::1]:5000", "http://[fe80:0::1]:5000", True),
        ("http://127.0.0.2:5000", "http://127.0.0.1:5000", False),  # another service may listen there
        ("http://mlflow.example.org:443", "https://mlflow.example.org", False),
        ("https://mlflow.example.org/ML", "https://mlflow.example.org/ml", False),
        ("http://localhost:5000", "http://localhost:5001", False),
    ],
)
def test_what_is_one_server_without_asking_anybody(one: str, other: str, *, same: bool) -> None:
    assert (same_server(one) == same_server(other)) is same


@pytest.mark.parametrize("text", ["the new platform", "http://h:port", "http://[::1", "", "https://", "s3://bucket/"])
def test_what_is_no_address_stays_as_it_is(text: str) -> None:
    assert same_server(text) == text


def test_a_page_of_a_server_is_that_server() -> None:
    assert lies_in("https://H.example:443/#/models", "https://h.example")
    assert lies_in("http://127.0.0.1:5000/#/models/churn", "http://localhost:5000/")
    assert not lies_in("https://h.example.org", "https://h.example")
    assert not lies_in("the new platform", "https://h.example")


def test_exports_by_several_addresses_are_one_history() -> None:
    chain = Chain()
    chain.register("1")
    chain.register("2")
    data = {"target": "mlflow", "server": "3.1.0", "through": 1, "models": ["churn"], "checked": 2, "count": 0}
    exported = {"model": "churn", "number": "1", "digest": "0" * 64}
    for version, uri in (("1", "http://LOCALHOST:5000"), ("2", "http://127.0.0.1:5000")):
        versions = [{**exported, "version": version}]
        more = {"uri": uri, "action": "export", "versions": versions, "mismatches": []}
        chain.add(kinds.EXPORTED, {}, {**data, **more})
    (found,) = chain.state.exports.values()
    assert (len(found.versions), found.uri) == (2, "http://127.0.0.1:5000")
    assert not [line for line in consequences(chain.state, "http://localhost:5000/#/models") if "export" in line]


def test_edits_of_what_an_export_says_of_itself() -> None:
    def found(tags: dict[str, str], mark: tuple[int, str] | None) -> list[tuple[str, str, str | None]]:
        return [(one.name, one.expected, one.found) for one in through.edits(tags, 9, mark)]

    whole = {THROUGH: "5", PRODUCTION_ALIAS: "production"}
    assert found(whole, (5, "production")) == found(whole, None) == []
    assert found({**whole, THROUGH: "4"}, (5, "production")) == [(THROUGH, "5", "4")]
    assert found({**whole, PRODUCTION_ALIAS: "champion"}, (5, "production")) == [
        (PRODUCTION_ALIAS, "production", "champion")
    ]
    assert [one[2] for one in found({}, (5, "production"))] == [None, None]
    # A later one is an export's that could not be recorded; what no event has is nobody's.
    assert found({THROUGH: "7", PRODUCTION_ALIAS: "champion"}, (5, "production")) == []
    for text in ("10", "0", "x", "-5", "٣"):
        assert found({THROUGH: text}, (5, "")) == [(THROUGH, "an event's number, at most 9", text)]
    assert found({THROUGH: "5", EXPORTING: "3 10:champion"}, (5, "")) == [
        (EXPORTING, "numbers of events, at most 9", "3 10:champion")
    ]
    # A version says nothing of aliases, whatever people call a tag of their own.
    assert found({THROUGH: "5", PRODUCTION_ALIAS: "mine"}, (5, "")) == []


def test_what_the_first_mapping_did_not_have_is_not_missing() -> None:
    ours = {TAG: MAPPING, PARAM: "3", METRIC: "0.9 at 1 step 0", STAGE: "staging"}
    then = {TAG: "1", STAGE: "staging"}
    assert earlier.expected(ours, then) == then
    assert check(earlier.expected(ours, then), then, model="m", version="1") == []
    edited = {**then, PARAM: "4", STAGE: "production"}
    told = check(earlier.expected(ours, edited), edited, model="m", version="1")
    assert [(one.place, one.problem) for one in told] == [("model.param", "changed"), ("version.tag", "changed")]
    # What bears this mapping's number, or none, is asked for all of it.
    for number in (MAPPING, "0", "11"):
        assert earlier.expected(ours, {**then, TAG: number}) == ours
    assert earlier.expected(ours, {STAGE: "staging"}) == ours


def test_what_the_first_mapping_wrote_is_brought_up_to_date_and_edits_are_not() -> None:
    ours = {TAG: MAPPING, PARAM: "3", METRIC: "0.9 at 1 step 0", STAGE: "staging"}
    then = {TAG: "1", STAGE: "experimental"}
    before = [{**ours, STAGE: "experimental"}]
    done = three_way(ours, earlier.bases(ours, before, then), then, model="m", version="1")
    assert (done.write, done.mismatches) == (ours, ())
    # The same where it is not known what was exported: the number itself is no edit.
    done = three_way(ours, earlier.bases(ours, [], then), then, model="m", version="1")
    assert (done.write.keys(), [one.name for one in done.mismatches]) == ({TAG, PARAM, METRIC}, ["aisdp.stage"])
    edited = {**then, PARAM: "4", STAGE: "retired"}
    done = three_way(ours, earlier.bases(ours, before, edited), edited, model="m", version="1")
    assert (done.write.keys(), [one.name for one in done.mismatches]) == (
        {TAG, METRIC},
        ["depth", "aisdp.stage"],
    )


def test_names_of_files_that_the_first_release_spelled_otherwise() -> None:
    def file(path: str, origin: str | None = None, sha256: str = "a") -> File:
        return File(path=path, size=1, sha256=sha256, origin=origin)

    wanted = [file("artefact/http_x3a_", "artefact/http:"), file("artefact/a", "artefact/a"), file("MLmodel")]
    assert [one.path for one in earlier.renamed([file("artefact/http:")], wanted, "")] == ["artefact/http_x3a_"]
    listed = [file("artefact/http://"), file("other:")]
    assert [one.path for one in earlier.renamed(listed, wanted, "")] == ["other:", "artefact/http_x3a_"]
    # There under both names: once, or both where the bytes are others.
    both = [file("artefact/http:"), file("artefact/http_x3a_")]
    assert [one.path for one in earlier.renamed(both, wanted, "")] == ["artefact/http_x3a_"]
    both = [file("artefact/http:", sha256="b"), file("artefact/http_x3a_")]
    assert len(earlier.renamed(both, wanted, "")) == 2
