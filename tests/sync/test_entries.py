"""Entries of the Approvals sheet, and Approver and Approval date on Models: validated, told in the row, not yet signed."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import prebuilt
import pytest
from sheets import cell, counts, edit, messages, nothing, table, type_row
from world import LEAD, LEAD2, SME, World

NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)
TODAY = "2026-11-24"


@pytest.fixture
def asked(tmp_path: Path) -> World:
    """A version with one open request, on a day that is known."""
    world = World(tmp_path / "asked", now=NOW)
    world.register("1")
    request = partial(world.as_().approval_request, "churn@1", to="staging")
    world.made.append(prebuilt.step(world, "ask", None, request).id or "")
    return world


def book(world: World) -> Path:
    """Return the workbook."""
    return world.root / "registry.xlsx"


def fill(world: World, **changes: Any) -> None:
    """Fill in the request as a lead would; ``changes`` by heading (with _ for a space)."""
    entry = {"Decision": "approved", "Approver": LEAD, "Approval date": TODAY, "Comment": None}
    entry |= {name.replace("_", " "): value for name, value in changes.items()}
    edit(book(world), {("Approvals", world.made[0], name): value for name, value in entry.items()})


def last_event(world: World) -> dict[str, Any]:
    """Return the newest event."""
    found: dict[str, Any] = json.loads(world.ledger(world.as_().head[0]).read_bytes())
    return found


def test_a_good_entry_becomes_an_event_and_waits_for_its_signature(asked: World) -> None:
    fill(asked, Comment="read the card; it's good")
    done = asked.as_().sync()
    assert counts(done) == {"filled": 1}
    assert last_event(asked)["type"] == "approval.filled"
    row = table(book(asked), "Approvals")[asked.made[0]]
    assert row["Status"] == "filled"
    told = "Filled in, NOT yet signed: mreg approval sign A4 --as lead@example.org --comment 'read the card; it'\"'\"'s good'"
    assert row["Check"] == told
    assert [one["id"] for one in asked.as_().approval_list(pending=True)] == ["A4"], "it still waits for its signature"
    assert [one["id"] for one in asked.as_().status()["pending"]] == ["A4"]
    assert (row["Decision"], row["Approver"], row["Approval date"]) == ("approved", LEAD, TODAY)
    assert asked.as_().show("churn@1")["stage"] == "experimental"
    with pytest.raises(Exception, match="signature"):
        asked.promote("churn@1", "staging")
    assert nothing(asked.as_())
    assert asked.as_().verify().ok
    asked.as_(LEAD).approval_sign("A4", as_=LEAD, key=asked.key(LEAD))
    asked.promote("churn@1", "staging")
    assert table(book(asked), "Approvals")["A4"]["Status"] == "used"
    assert nothing(asked.as_())


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"Approver": "nobody@example.org"}, "'nobody@example.org' is not in the roster"),
        ({"Approver": "Grace"}, "'grace' is not in the roster"),
        ({"Approver": SME}, "is not in the roster"),
        ({"Approval_date": "2026-11-20"}, "before the request of 2026-11-24"),
        ({"Approval_date": "2026-11-26"}, "has not come yet"),
        ({"Approval_date": "2062-11-24"}, "has not come yet"),
        ({"Approval_date": "11.24.2026"}, "'11.24.2026' is not a date; write 2026-11-24"),
        ({"Approval_date": "2026-11-244"}, "is not a date"),
        ({"Approval_date": "2026-02-30"}, "is not a date"),
        ({"Approval_date": "yesterday"}, "is not a date"),
        ({"Decision": "maybe"}, "Decision is approved or rejected, not 'maybe'"),
        ({"Decision": "rejected"}, "a rejection needs a Comment"),
    ],
)
def test_what_is_wrong_is_read_in_the_row_and_stays_there(asked: World, changes: dict[str, Any], says: str) -> None:
    fill(asked, **changes)
    head = asked.as_().head
    done = asked.as_().sync()
    assert counts(done) == {"problems": 1}
    assert says in messages(done, "problems")
    row = table(book(asked), "Approvals")["A4"]
    assert row["Check"].startswith("! ")
    assert says in row["Check"]
    for name, value in changes.items():
        assert row[name.replace("_", " ")] == value
    assert (row["Status"], asked.as_().head) == ("requested", head)
    assert not list(asked.root.glob("*.set-aside*"))
    assert counts(asked.as_().sync()) == {"problems": 1}, "as long as it stands there, it is told"
    fill(asked, Comment="now right")
    assert counts(asked.as_().sync()) == {"filled": 1}
    assert nothing(asked.as_())


def test_several_things_that_are_wrong_are_told_together(asked: World) -> None:
    fill(asked, Approver="nobody@example.org", Approval_date="2062-01-01", Decision="yes")
    done = asked.as_().sync()
    assert counts(done) == {"problems": 3}
    check = table(book(asked), "Approvals")["A4"]["Check"]
    assert all(word in check for word in ("Decision", "roster", "has not come yet"))


def test_a_lead_reads_that_it_is_her_own_version(tmp_path: Path) -> None:
    world = World(tmp_path / "own", now=NOW)
    world.as_(LEAD).register("churn", "1", world.artefact("1"), metadata=world.metadata())
    world.made.append(world.as_().approval_request("churn@1", to="staging").id or "")
    fill(world)
    done = world.as_().sync()
    assert counts(done) == {"problems": 1}
    assert "registered churn@1 and cannot approve it" in table(book(world), "Approvals")["A4"]["Check"]


def test_a_technical_sme_cannot_approve_for_production_nor_one_who_was_revoked(tmp_path: Path) -> None:
    world = World(tmp_path / "roles", now=NOW)
    sign: dict[str, Any] = {"as_": LEAD, "key": world.key(LEAD)}
    world.as_(LEAD).approver_add(f"S <{SME}>", role="technical-sme", public_key=world.public(SME), **sign)
    world.as_(LEAD2).register("churn", "1", world.artefact("1"), metadata=world.metadata())
    world.approve("churn@1", "staging")
    world.promote("churn@1", "staging")
    world.made.append(world.as_(LEAD2).approval_request("churn@1", to="production").id or "")
    fill(world, Approver=SME)
    assert counts(world.as_(LEAD2).sync()) == {"problems": 1}
    assert "needs an ai-governance-lead" in table(book(world), "Approvals")[world.made[0]]["Check"]
    world.as_(LEAD).approver_revoke(SME, reason="left", **sign)
    assert counts(world.as_(LEAD2).sync()) == {"problems": 2}
    assert "was revoked" in table(book(world), "Approvals")[world.made[0]]["Check"]


def test_an_entry_that_is_not_complete_waits_and_says_what_is_missing(asked: World) -> None:
    fill(asked, Approver=None, Approval_date=None, Comment="so far")
    done = asked.as_().sync()
    assert counts(done) == {"pending": 1}
    row = table(book(asked), "Approvals")["A4"]
    assert "still to fill in: Approver, Approval date" in row["Check"]
    assert (row["Decision"], row["Comment"]) == ("approved", "so far")
    edit(book(asked), {("Approvals", "A4", "Approver"): LEAD, ("Approvals", "A4", "Approval date"): TODAY})
    assert counts(asked.as_().sync()) == {"filled": 1}
    assert last_event(asked)["data"]["comment"] == "so far"


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        ("Approver", "Lead 0"),
        ("Approver", "LEAD@example.org "),
        ("Approver", f"Lead 0 <{LEAD}>"),
        ("Decision", "Approved"),
        ("Approval date", date(2026, 11, 24)),
        ("Approval date", datetime(2026, 11, 24, 13, 30)),
        ("Approval date", "24.11.2026"),
    ],
)
def test_people_write_names_and_dates_in_their_way(asked: World, typed: str, value: Any) -> None:
    fill(asked, **{typed.replace(" ", "_"): value})
    assert counts(asked.as_().sync()) == {"filled": 1}
    assert last_event(asked)["data"] == {
        "id": "A4",
        "decision": "approved",
        "approver": LEAD,
        "date": TODAY,
        "comment": None,
    }
    row = table(book(asked), "Approvals")["A4"]
    assert (row["Decision"], row["Approver"], row["Approval date"]) == ("approved", LEAD, TODAY)
    assert nothing(asked.as_())


def test_a_rejection_is_filled_in_and_signed_as_one(asked: World) -> None:
    fill(asked, Decision="rejected", Comment="too weak")
    done = asked.as_().sync()
    assert "--reject --comment 'too weak'" in messages(done, "filled")
    asked.as_(LEAD).approval_sign("A4", as_=LEAD, key=asked.key(LEAD), reject=True, comment="too weak")
    assert table(book(asked), "Approvals")["A4"]["Status"] == "rejected"
    assert nothing(asked.as_())


def test_an_entry_may_be_changed_until_it_is_signed(asked: World) -> None:
    fill(asked)
    asked.as_().sync()
    fill(asked, Approver=LEAD2, Comment="I take it")
    assert counts(asked.as_().sync()) == {"filled": 1}
    assert last_event(asked)["data"]["approver"] == LEAD2
    asked.as_(LEAD).approval_sign("A4", as_=LEAD, key=asked.key(LEAD))
    fill(asked, Approver=LEAD2)
    done = asked.as_().sync()
    assert counts(done) == {"problems": 1}
    assert "signed already" in messages(done, "problems")
    row = table(book(asked), "Approvals")["A4"]
    assert (row["Approver"], row["Status"]) == (LEAD, "signed")
    assert nothing(asked.as_())


def test_a_closed_request_takes_no_entry(asked: World) -> None:
    asked.as_().approval_withdraw("A4")
    fill(asked)
    done = asked.as_().sync()
    assert counts(done) == {"problems": 1}
    assert "mreg approval request churn@1 --to staging" in messages(done, "problems")
    row = table(book(asked), "Approvals")["A4"]
    assert (row["Decision"], row["Approver"]) == (None, None)
    assert nothing(asked.as_())


def test_everything_else_of_an_approval_is_the_tools(asked: World) -> None:
    edit(book(asked), {("Approvals", "A4", "Status"): "signed", ("Approvals", "A4", "Requested by"): LEAD2})
    done = asked.as_().sync()
    assert counts(done) == {"restored": 2}
    row = table(book(asked), "Approvals")["A4"]
    assert (row["Status"], row["Requested by"]) == ("requested", SME)


def test_a_row_typed_into_approvals_is_told(asked: World) -> None:
    at = type_row(
        book(asked), {"Model": "churn", "Version": "1", "To": "production", "Decision": "approved"}, sheet="Approvals"
    )
    done = asked.as_().sync()
    assert counts(done) == {"problems": 1}
    assert "typed on Models" in messages(done, "problems")
    from sheets import cell_at

    assert cell_at(book(asked), at, "Check", sheet="Approvals").startswith("! ")
    assert len(asked.as_().approval_list()) == 1


# -- on Models ----------------------------------------------------------------------------------------------


def on_models(world: World, approver: Any, day: Any, **more: Any) -> None:
    """Type Approver and Approval date into the version's row."""
    cells = {"Approver": approver, "Approval date": day, **more}
    edit(book(world), {("Models", "churn@1", name): value for name, value in cells.items() if value is not None})


def test_approver_and_date_on_models_are_the_open_requests_entry(asked: World) -> None:
    on_models(asked, LEAD, TODAY)
    done = asked.as_().sync()
    assert counts(done) == {"filled": 1}
    assert last_event(asked)["data"]["decision"] == "approved"
    row = table(book(asked), "Models")["churn@1"]
    assert (row["Approver"], row["Approval date"]) == (None, None), "nothing is approved before it is signed"
    assert table(book(asked), "Approvals")["A4"]["Approver"] == LEAD
    assert not list(asked.root.glob("*.set-aside*"))
    assert nothing(asked.as_())


@pytest.mark.parametrize(
    ("approver", "day", "says"),
    [
        ("nobody@example.org", TODAY, "roster"),
        (LEAD, "2026-11-20", "before the request"),
        (LEAD, "2031-01-01", "not come"),
    ],
)
def test_what_is_wrong_on_models_is_read_there(asked: World, approver: str, day: str, says: str) -> None:
    on_models(asked, approver, day)
    assert counts(asked.as_().sync()) == {"problems": 1}
    row = table(book(asked), "Models")["churn@1"]
    assert says in row["Check"]
    assert (row["Approver"], row["Approval date"]) == (approver, day)
    on_models(asked, LEAD, TODAY)
    assert counts(asked.as_().sync()) == {"filled": 1}
    assert nothing(asked.as_())


def test_only_a_name_waits_for_its_date(asked: World) -> None:
    on_models(asked, LEAD, None)
    assert counts(asked.as_().sync()) == {"pending": 1}
    assert "still to fill in: Approval date" in table(book(asked), "Models")["churn@1"]["Check"]


def test_stage_and_name_in_one_go_are_a_request_and_its_entry(tmp_path: Path) -> None:
    world = World(tmp_path / "one-go", now=NOW)
    world.register("1")
    on_models(world, LEAD, TODAY, Stage="staging")
    done = world.as_().sync()
    assert counts(done) == {"requested": 1, "filled": 1}
    ((identifier, row),) = table(book(world), "Approvals").items()
    assert (row["Status"], row["Approver"]) == ("filled", LEAD)
    assert identifier in messages(done, "requested")
    assert nothing(world.as_())


def test_without_an_open_request_a_name_on_models_is_put_back(tmp_path: Path) -> None:
    world = World(tmp_path / "none", now=NOW)
    world.register("1")
    on_models(world, LEAD, TODAY)
    done = world.as_().sync()
    assert counts(done) == {"restored": 2}
    assert table(book(world), "Models")["churn@1"]["Approver"] is None
    assert nothing(world.as_())


def test_with_two_open_requests_it_cannot_be_told_which_is_meant(asked: World) -> None:
    asked.as_().approval_request("churn@1", to="archived")
    on_models(asked, LEAD, TODAY)
    assert counts(asked.as_().sync()) == {"restored": 2}


def test_the_entry_on_approvals_wins_over_models(asked: World) -> None:
    fill(asked, Approver=LEAD2)
    on_models(asked, LEAD, TODAY)
    assert counts(asked.as_().sync()) == {"filled": 1}
    assert last_event(asked)["data"]["approver"] == LEAD2
    assert cell(book(asked), "Models", "churn@1", "Approver") is None
    assert nothing(asked.as_())


def test_an_entry_on_the_day_before_is_allowed_and_two_days_before_is_not(asked: World) -> None:
    day = (NOW - timedelta(days=1)).date().isoformat()
    fill(asked, Approval_date=day)
    assert counts(asked.as_().sync()) == {"filled": 1}
