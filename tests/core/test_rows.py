"""The view of the fold: one head, one view, whatever the clock says; cells as the contract prescribes (design 3.3)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from chains import LEAD, SME, Chain, evidence, gate, key
from histories import histories
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from manual_registry.core import events as kinds
from manual_registry.core.canonical import sha256_hex
from manual_registry.core.folding import fold
from manual_registry.core.rows import HISTORY_ROWS, build_view
from manual_registry.core.values import Stage
from manual_registry.core.view import Cell, ColumnKind, Row, Sheet, View
from manual_registry.core.wording import metrics_text, number_text

PRESCRIBED = (
    "Model", "Version", "Storage location", "Content hash", "Training data version", "Code commit", "Training date",
    "Evaluation metrics", "Stage", "Approver", "Approval date", "Deployment date", "SHA-256", "Validation gates",
    "Pipeline run", "Composite version", "Retention until", "Owner", "Notes", "Check", "Row id",
)  # fmt: skip


def view_of(chain: Chain, **options: Any) -> View:
    """Return the view at the head."""
    return build_view(chain.state, chain.events, **options)


def sheet(view: View, name: str) -> Sheet:
    """Return a sheet."""
    return next(one for one in view.sheets if one.name == name)


def row(chain: Chain, name: str, row_id: str) -> Row:
    """Return a row."""
    return next(one for one in sheet(view_of(chain), name).rows if one.row_id == row_id)


def cell(chain: Chain, header: str, version: str = "1") -> Cell:
    """Return a cell of Models."""
    return row(chain, "Models", f"churn@{version}").cells[header]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(histories())
def test_the_same_head_gives_the_same_view_on_every_machine(chain: Chain) -> None:
    view = view_of(chain)
    assert build_view(fold(chain.events), list(chain.events)) == view
    assert (view.head_seq, view.head_hash, view.as_of) == (
        len(chain.events),
        chain.events[-1].hash,
        chain.events[-1].at,
    )
    for one in view.sheets:
        headers = [column.header for column in one.columns]
        assert len({found.row_id for found in one.rows}) == len(one.rows)
        for found in one.rows:
            assert list(found.cells) == headers
            assert found.cells[one.row_id_header] == found.row_id
            assert all(type(value) in (str, int, float, bool, type(None)) for value in found.cells.values())
            assert "" not in found.cells.values()
            assert set(found.links) <= set(headers)


def test_no_clock_is_read_when_a_view_is_made() -> None:
    """An approval grows stale with the head's time, never with the reader's."""
    chain = Chain()
    chain.register("1")
    identifier = chain.approve("1", "staging")
    early, head = chain.events[:], chain.state.head_seq
    assert row(chain, "Approvals", identifier).cells["Status"] == "signed"
    chain.now = datetime(2030, 1, 1, tzinfo=UTC)
    assert row(chain, "Approvals", identifier).cells["Status"] == "signed"
    chain.add(kinds.NOTED, chain.of("1"), {"text": "years later"})
    assert row(chain, "Approvals", identifier).cells["Status"] == "expired"
    then = build_view(fold(early), early)
    assert then.head_seq == head
    assert next(one for one in sheet(then, "Approvals").rows).cells["Status"] == "signed"


def test_the_prescribed_columns_stand_first_and_in_order() -> None:
    chain = Chain()
    models = sheet(view_of(chain), "Models")
    assert tuple(column.header for column in models.columns) == PRESCRIBED
    editable = {column.header for column in models.columns if column.kind is ColumnKind.EDITABLE}
    assert editable == {"Owner", "Notes", "Stage"}
    approvals = sheet(view_of(chain), "Approvals")
    editable = {column.header for column in approvals.columns if column.kind is ColumnKind.EDITABLE}
    assert editable == {"Decision", "Approver", "Approval date", "Comment"}
    stage = next(column for column in models.columns if column.header == "Stage")
    assert stage.choices == tuple(Stage)
    assert [one.name for one in view_of(chain).sheets] == ["Models", "Approvals", "Approvers", "History"]
    assert view_of(chain).read_me


def test_text_that_looks_like_a_number_is_in_a_text_column() -> None:
    for one in view_of(Chain()).sheets:
        for column in one.columns:
            assert column.text or column.header == "Event"


def test_a_row_of_models() -> None:
    chain = Chain()
    record = chain.to_production("1", metrics={"auc": 0.912345, "rows": {"$int": "9007199254740993"}})
    chain.deploy("1", "production")
    chain.add(kinds.NOTED, chain.of("1"), {"text": "hm"})
    found = row(chain, "Models", "churn@1").cells
    assert found == {
        "Model": "churn", "Version": "1", "Storage location": "models/churn/1", "Content hash": record.blake3[:12],
        "Training data version": found["Training data version"], "Code commit": "c0dec0dec0de",
        "Training date": "2026-02-01",
        "Evaluation metrics": "auc 0.9123\nrows 9007199254740993", "Stage": "production", "Approver": LEAD,
        "Approval date": "2026-03-01", "Deployment date": "2026-03-01", "SHA-256": record.sha256,
        "Validation gates": "performance passed\nfairness passed\nsecurity passed", "Pipeline run": "run-1",
        "Composite version": record.composite_id, "Retention until": "2036-01-01", "Owner": "team",
        "Notes": f"2026-03-01 {SME}: hm", "Check": None, "Row id": "churn@1",
    }  # fmt: skip
    assert str(found["Training data version"]).startswith("sha256:abab")


#: Rendering number -> SHA-256 of what it makes of the chain below, hashes and fingerprints left out.
RENDERINGS = {1: "fe14479c8773d67d58b1fe98faf7b4661076cd2241d153dc2a0592acd1c318c2"}


def test_another_rendering_has_another_number() -> None:
    """Who changes what cells, columns or row ids say raises VIEW_VERSION, and adds the new hash here."""
    chain = Chain()
    failed = gate("performance", evidence("gates", "gates.txt"), passed=False, metric={"lower": 0.1})
    chain.register("0", gates=[failed])
    chain.to_production("1")
    chain.to_production("2")
    chain.request("0", "staging")
    chain.roll_back("1")
    chain.archive("0")
    view = view_of(chain)
    shown = [
        (one.name, one.title, one.columns, [(row.row_id, sorted(row.cells.items()), row.links) for row in one.rows])
        for one in view.sheets
    ]
    text = re.sub(r"[0-9a-f]{12,}|SHA256:\S+|width=[0-9.]+", "…", repr((shown, view.read_me)))
    assert RENDERINGS.get(view.version) == sha256_hex(text.encode()), (
        "the view reads otherwise than it did: raise VIEW_VERSION in core/rendering.py, and add its hash to RENDERINGS"
    )


def test_what_is_not_there_is_none() -> None:
    chain = Chain(risk="minimal", leads=(), placed=None)
    none: dict[str, Any] = dict.fromkeys(
        ("code", "training_date", "pipeline_run", "metrics", "owner", "card", "config", "prompt", "environment")
    )
    chain.register("1", **none, training_data=[], gates=[], evidence=[], tags={})
    empty = {name for name, value in row(chain, "Models", "churn@1").cells.items() if value is None}
    assert empty == {
        "Training data version", "Code commit", "Training date", "Evaluation metrics", "Approver", "Approval date",
        "Deployment date", "Validation gates", "Pipeline run", "Retention until", "Owner", "Notes", "Check",
    }  # fmt: skip


def test_what_a_reader_should_know_stands_in_check() -> None:
    chain = Chain()
    file = evidence("gates", "gates.txt")
    chain.register("1", gates=[gate("performance", file, passed=False, metric={"lower": 0.1})])
    asked = chain.request("1", "staging")
    assert cell(chain, "Check") == f"! performance gate failed; {asked} waits for a signature"
    assert row(chain, "Models", "churn@1").look == "problem"
    chain.archive("1")
    assert cell(chain, "Check") == "move to the archive is pending", "what failed there asks for nothing any more"
    chain.to_production("2")
    chain.to_production("3")
    ratify = chain.roll_back("2")
    assert cell(chain, "Check", "2") == f"! {ratify} must ratify the rollback"
    chain.sign(ratify)
    assert (cell(chain, "Check", "2"), row(chain, "Models", "churn@2").look) == (None, "production")


def test_links_lead_to_the_files_wherever_they_are() -> None:
    chain = Chain()
    chain.register("1")
    links = sheet(build_view(chain.state, chain.events, link_prefix="../reg/"), "Models").rows[0].links
    assert links == {
        "Storage location": "../reg/models/churn/1/",
        "Version": "../reg/models/churn/1/evidence/card/card.txt",
    }
    chain.archive("1")
    chain.move("1")
    links = row(chain, "Models", "churn@1").links
    assert links == {"Storage location": "archive/churn/1/", "Version": "archive/churn/1/data/evidence/card/card.txt"}


def test_approvals_show_what_was_signed_or_asked() -> None:
    chain = Chain()
    chain.to_production("1")
    chain.to_staging("2")
    identifier = chain.request("2", "production")
    found = row(chain, "Approvals", identifier).cells
    assert (found["From"], found["To"], found["Replaces"], found["Status"]) == (
        "staging",
        "production",
        "1",
        "requested",
    )
    assert (found["Decision"], found["Approver"], found["Approval date"], found["Comment"]) == (None, None, None, None)
    chain.sign(identifier, comment="well done")
    found = row(chain, "Approvals", identifier).cells
    assert (found["Decision"], found["Approver"], found["Approval date"], found["Comment"]) == (
        "approved",
        LEAD,
        "2026-03-01",
        "well done",
    )
    assert next(one.row_id for one in sheet(view_of(chain), "Approvals").rows) == identifier  # the latest first


def test_approvers_are_people_and_pipelines_and_stay_when_they_left() -> None:
    chain = Chain()
    chain.pipeline_revoke("ci")
    chain.approver_revoke("lead2@example.org")
    rows = {one.row_id: one.cells for one in sheet(view_of(chain), "Approvers").rows}
    assert set(rows) == {f"approver {LEAD}", "approver lead2@example.org", "pipeline ci"}
    assert rows["pipeline ci"]["Reason"] == "leaked"
    assert rows[f"approver {LEAD}"]["Key"] == key(LEAD).public.fingerprint
    assert (rows[f"approver {LEAD}"]["Revoked"], rows["pipeline ci"]["Revoked"]) == (None, "2026-03-01")
    choices = next(
        column for column in sheet(view_of(chain), "Approvals").columns if column.header == "Approver"
    ).choices
    assert choices == (LEAD,)


def test_history_shows_the_latest_events_newest_first() -> None:
    chain = Chain()
    chain.register("1")
    for _ in range(HISTORY_ROWS):
        chain.force(kinds.NOTED, chain.of("1"), {"text": "x"})
    rows = sheet(view_of(chain), "History").rows
    assert len(rows) == HISTORY_ROWS
    assert rows[0].cells["Event"] == chain.state.head_seq
    assert rows[-1].cells["Event"] == chain.state.head_seq - HISTORY_ROWS + 1


# -- numbers -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("value", "told"), [
    (0.9, "0.9"), (0.91234567, "0.9123"), (1.0, "1"), (100.0, "100"), (0.0, "0"), (1, "1"), (0.00005, "5e-05"),
    (0.0001, "0.0001"), (-0.25, "-0.25"), (123456.789, "123456.789"), (1e9, "1e+09"), (1e17, "1e+17"),
    (2**53 + 1, "9007199254740993"), (0.99999, "1"), (-0.00001, "-1e-05"), (float("inf"), "inf"),
])  # fmt: skip
def test_numbers_as_people_read_them(value: float, told: str) -> None:
    assert number_text(value) == told


@given(st.floats(-1e300, 1e300))
def test_a_number_is_told_to_four_digits(value: float) -> None:
    told = float(number_text(value))
    assert told == pytest.approx(value, rel=1e-3, abs=5.1e-5)
    assert (told < 0) <= (value < 0)


def test_metrics_in_one_line() -> None:
    assert metrics_text({"auc_roc": 0.81, "n": 3}) == "auc_roc 0.81; n 3"
