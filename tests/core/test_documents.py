"""What `list`, `show`, `history` and `compare` tell: the contract's members, and numbers as they were stated."""

from __future__ import annotations

import json

import pytest
from chains import LEAD, SME, Chain, evidence, gate
from mutations import CASES

from manual_registry.core import events as kinds
from manual_registry.core.documents import (
    approval_row,
    compare_document,
    history_row,
    signed_approval,
    storage_location,
    version_document,
    version_row,
)
from manual_registry.core.ledger import Draft, seal

LISTED = (
    "model", "version", "stage", "blake3", "sha256", "composite_id", "storage_location", "training_data", "code_commit",
    "training_date", "metrics", "approver", "approval_date", "deployment_date",
)  # fmt: skip


def test_a_row_has_the_members_of_the_contract_in_their_order() -> None:
    chain = Chain()
    record = chain.to_production("1")
    chain.deploy("1", "production")
    row = version_row(chain.state, record)
    assert tuple(row)[: len(LISTED)] == LISTED
    assert (row["approver"], row["stage"], row["code_commit"]) == (LEAD, "production", "c0de" * 10)
    assert row["deployment_date"] == record.deployments[0].at
    assert row["retention_until"] == "2036-01-01"
    assert json.loads(json.dumps(row, allow_nan=False)) == row


def test_numbers_come_back_as_they_were_stated() -> None:
    chain = Chain()
    record = chain.register(
        "1", metrics={"rows": {"$int": "9007199254740993"}, "big": 1e17}, hyperparameters={"inf": {"$float": "-inf"}}
    )
    assert version_row(chain.state, record)["metrics"] == {"rows": 2**53 + 1, "big": 1e17}
    assert version_document(chain.state, record, chain.now)["metadata"]["hyperparameters"] == {"inf": float("-inf")}


def test_where_the_files_are() -> None:
    chain = Chain()
    record = chain.register("1")
    assert storage_location(record) == "models/churn/1"
    chain.archive("1")
    assert storage_location(record) == "models/churn/1"
    chain.move("1")
    assert storage_location(record) == "archive/churn/1"
    chain.unarchive("1")
    assert storage_location(record) == "models/churn/1"


def test_whose_approval_a_version_shows() -> None:
    chain = Chain()
    chain.register("1")
    shown: list[str | None] = []

    def look() -> None:
        found = signed_approval(chain.state, chain.record("1"))
        shown.append(found.id if found else None)

    look()
    staging = chain.approve("1", "staging")
    look()
    chain.promote("1", "staging", staging)
    look()
    chain.promote("1", "experimental")
    look()
    again = chain.approve("1", "staging")
    chain.promote("1", "staging", again)
    production = chain.approve("1", "production")
    chain.promote("1", "production", production)
    look()
    chain.to_production("2")
    look()
    chain.unarchive("1")
    look()
    assert shown == [None, None, staging, None, production, production, None]


def test_an_approval_of_another_version_is_not_shown() -> None:
    chain = Chain()
    chain.register("1")
    chain.register("2")
    other = chain.approve("2", "staging")
    chain.force(kinds.PROMOTED, chain.of("1"), chain.step("1", "staging", other))
    assert signed_approval(chain.state, chain.record("1")) is None


def test_what_would_stop_an_approval_is_told_with_it() -> None:
    chain = Chain()
    chain.to_staging("1")
    identifier = chain.approve("1", "production")
    row = approval_row(chain.state, chain.state.requests[identifier], chain.now)
    assert row == {
        "id": identifier, "kind": "stage", "model": "churn", "version": "1", "to": "production", "status": "signed",
        "approver": LEAD, "problems": [],
    }  # fmt: skip
    chain.to_production("2")
    row = approval_row(chain.state, chain.state.requests[identifier], chain.now)
    assert row["status"] == "signed"
    assert "replaces" in str(row["problems"])


def test_show_holds_the_row_and_everything_else() -> None:
    chain = Chain()
    record = chain.to_production("1")
    chain.add(kinds.NOTED, chain.of("1"), {"text": "hm"})
    chain.alias("champion", "1")
    document = version_document(chain.state, record, chain.now)
    assert document["schema"] == "manual-registry/show/1"
    assert version_row(chain.state, record).items() <= document.items()
    assert {"metadata", "notes", "tags", "aliases", "gates", "approvals", "deployments"} <= document.keys()
    assert (document["aliases"], [note["text"] for note in document["notes"]]) == (["champion"], ["hm"])
    assert [one["stage"] for one in document["stages"]] == ["experimental", "staging", "production"]
    assert document["stages"][2]["pipeline"] == "ci"
    assert document["events"] == record.event_seqs
    json.dumps(document, allow_nan=False)


@pytest.mark.parametrize("name", CASES)
def test_every_event_is_told_in_one_sentence(name: str) -> None:
    chain, (kind, subject, data, actor) = CASES[name]()
    if chain is None:
        event = seal(
            Draft(type=kind, subject=subject, data=data), seq=1, prev=None, at="2026-03-01T08:00:00.000Z", actor=actor
        )
    else:
        event = chain.seal(kind, subject, data, actor=actor)
    row = history_row(event)
    assert (row["seq"], row["type"], row["actor"], row["hash"]) == (event.seq, kind, actor, event.hash)
    assert (row["model"], row["version"]) == (subject.get("model"), subject.get("version"))
    assert row["summary"] != kind
    named = [data["id"]] if "id" in data else list(subject.values())  # an approval's own number says which version
    assert all(str(word) in str(row["summary"]) for word in named)


def test_compare_names_what_differs_and_what_does_not() -> None:
    chain = Chain()
    one = chain.register("1")
    file = evidence("gates", "gates.txt")
    two = chain.register(
        "2", metrics={"auc": 0.92, "f1": 0.5}, hyperparameters={"depth": 4}, environment=None, owner="team",
        gates=[gate("performance", file, passed=False, metric={"lower": 0.1})],
    )  # fmt: skip
    document = compare_document(chain.state, one, two, chain.now)
    assert (document["schema"], document["a"], document["b"]) == ("manual-registry/compare/1", "churn@1", "churn@2")
    found = {item["field"]: (item["a"], item["b"]) for item in document["differences"]}
    assert found["metrics.auc"] == (0.91, 0.92)
    assert found["metrics.f1"] == (None, 0.5)
    assert found["params.depth"] == (3, 4)
    assert found["gates.performance"] == ("passed", "failed")
    assert found["gates.fairness"] == ("passed", None)
    assert {"blake3", "sha256", "environment"} <= found.keys()
    assert {"owner", "stage", "training_data", "config", "prompt"} <= set(document["same"])
    assert not set(document["same"]) & found.keys()
    same = compare_document(chain.state, one, one, chain.now)
    assert same["differences"] == []


def test_who_registered_it() -> None:
    chain = Chain()
    row = version_row(chain.state, chain.register("1"))
    assert (row["registered_by"], row["registered_at"]) == (SME, chain.events[-1].at)
