"""May this approval be asked for, issued, signed, withdrawn (RP-10)?"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from chains import LEAD, LEAD2, SME2, Chain, key

from manual_registry.core import events as kinds
from manual_registry.core.errors import RegistryError
from manual_registry.core.statements import APPROVAL_NAMESPACE
from manual_registry.core.times import parse_time, stamp
from manual_registry.core.values import Stage

HOURS48 = timedelta(hours=48)


def codes(reasons: list[RegistryError]) -> list[str]:
    """Return the codes, in order."""
    return [reason.code for reason in reasons]


def asking(chain: Chain, before: str, to: str, version: str = "1", **changes: Any) -> list[str]:
    """Return the codes against a request."""
    data = {"kind": "stage", "from": before, "to": to, "replaces": None, **changes}
    return codes(chain.reasons(kinds.REQUESTED, chain.of(version), data))


def signing(chain: Chain, identifier: str, who: str = LEAD, **changes: Any) -> list[str]:
    """Return the codes against a signature."""
    request = chain.state.requests[identifier]
    data = chain.signature(identifier, who, **changes)
    return codes(chain.reasons(kinds.SIGNED, chain.of(request.version, request.model), data, actor=who))


#: Steps that are decided by an approval; going back to experimental and coming out of the archive need none.
ASKED = {
    ("experimental", "staging"), ("staging", "production"), ("experimental", "archived"), ("staging", "archived"),
    ("production", "archived"),
}  # fmt: skip


@pytest.mark.parametrize("to", Stage)
@pytest.mark.parametrize("before", Stage)
def test_what_may_be_asked_for(before: Stage, to: Stage) -> None:
    chain = Chain()
    chain.register("1")
    chain.record("1").stage = before.value
    assert asking(chain, before.value, to.value) == ([] if (before, to) in ASKED else ["MR-P002"])


def test_a_request_says_truly_where_the_version_stands_and_what_it_replaces() -> None:
    chain = Chain()
    chain.to_production("1")
    chain.to_staging("2")
    assert asking(chain, "experimental", "staging", "2") == ["MR-P002"]
    assert asking(chain, "staging", "production", "2") == ["MR-P002"]
    assert asking(chain, "staging", "production", "2", replaces="1") == []
    assert asking(chain, "staging", "archived", "2", replaces="1") == ["MR-P002"]


@pytest.mark.parametrize("changes", [{"kind": "baseline"}, {"kind": "exception"}])
def test_a_request_of_another_kind_is_newer(changes: dict[str, str]) -> None:
    chain = Chain()
    chain.register("1")
    assert asking(chain, "experimental", "staging", **changes) == ["MR-I026"]


def test_nobody_signs_for_another_version() -> None:
    chain = Chain()
    chain.register("1")
    chain.register("2")
    identifier = chain.request("1", "staging")
    for kind, data in (
        (kinds.SIGNED, chain.signature(identifier)),
        (kinds.ISSUED, {"id": identifier, "statement": chain.signature(identifier)["statement"]}),
        (kinds.WITHDRAWN, {"id": identifier}),
    ):
        assert codes(chain.reasons(kind, chain.of("2"), data)) == ["MR-N004"]
        assert codes(chain.reasons(kind, chain.of("1"), {**data, "id": "A999"})) == ["MR-N004"]


def test_a_closed_approval_stays_closed() -> None:
    chain = Chain()
    chain.register("1")
    rejected, withdrawn, lapsed = (chain.request("1", "staging") for _ in range(3))
    chain.sign(rejected, decision="rejected", comment="no")
    chain.add(kinds.WITHDRAWN, chain.of("1"), {"id": withdrawn})
    used = chain.approve("1", "staging")
    chain.promote("1", "staging", used)
    assert [chain.state.requests[name].status for name in (rejected, withdrawn, lapsed, used)] == [
        "rejected",
        "withdrawn",
        "lapsed",
        "used",
    ]
    for name in (rejected, withdrawn, lapsed, used):
        assert signing(chain, name) == ["MR-C008"]
        assert codes(chain.reasons(kinds.WITHDRAWN, chain.of("1"), {"id": name})) == ["MR-C008"]
        statement = chain.signature(name)["statement"]
        assert codes(chain.reasons(kinds.ISSUED, chain.of("1"), {"id": name, "statement": statement})) == ["MR-C008"]


def test_a_signed_approval_may_be_signed_again_when_it_grew_stale() -> None:
    chain = Chain()
    chain.register("1")
    identifier = chain.approve("1", "staging")
    chain.now += 2 * HOURS48
    assert signing(chain, identifier, LEAD2) == []


def test_a_rejection_needs_a_comment() -> None:
    chain = Chain()
    chain.register("1")
    identifier = chain.request("1", "staging")
    for comment in (None, "", " \n"):
        assert signing(chain, identifier, decision="rejected", comment=comment) == ["MR-I031"]
    assert signing(chain, identifier, decision="rejected", comment="gates too old") == []
    assert signing(chain, identifier, decision="perhaps") == ["MR-P013"]


@pytest.mark.parametrize(("shift", "told"), [
    (timedelta(minutes=5), []), (timedelta(minutes=5, seconds=1), ["MR-P013"]), (-HOURS48, []),
    (-HOURS48 - timedelta(seconds=1), ["MR-P010"]),
])  # fmt: skip
def test_a_statement_is_from_the_last_48_hours(shift: timedelta, told: list[str]) -> None:
    chain = Chain()
    chain.register("1")
    identifier = chain.request("1", "staging")
    assert signing(chain, identifier, issued_at=stamp(chain.now + shift)) == told


def test_several_statements_may_be_out_and_each_may_come_back() -> None:
    chain = Chain()
    chain.register("1")
    identifier = chain.request("1", "staging")
    lines = []
    for who in (LEAD, LEAD2):
        lines.append(chain.statement(chain.state.requests[identifier], who))
        chain.add(kinds.ISSUED, chain.of("1"), {"id": identifier, "statement": lines[-1]})
    assert chain.state.requests[identifier].issued == lines
    data = {"id": identifier, "statement": lines[0], "signature": key(LEAD).sign(lines[0].encode(), APPROVAL_NAMESPACE)}
    assert codes(chain.reasons(kinds.SIGNED, chain.of("1"), data, actor=LEAD)) == []


def test_a_statement_is_issued_to_somebody_who_may_sign_it() -> None:
    chain = Chain(smes=(SME2,))
    chain.to_staging("1")
    identifier = chain.request("1", "production")
    request = chain.state.requests[identifier]
    for who, told in ((LEAD, []), (SME2, ["MR-P012"])):
        data = {"id": identifier, "statement": chain.statement(request, who)}
        assert codes(chain.reasons(kinds.ISSUED, chain.of("1"), data)) == told
    for text in ("", "words", "{}\n"):
        assert codes(chain.reasons(kinds.ISSUED, chain.of("1"), {"id": identifier, "statement": text})) == ["MR-P013"]


# -- ratifying a rollback ----------------------------------------------------------------------------------


@pytest.fixture(name="rolled")
def _rolled() -> tuple[Chain, str]:
    chain = Chain(smes=(SME2,))
    chain.to_production("1")
    chain.to_production("2")
    return chain, chain.roll_back("1")


def test_a_lead_ratifies_within_48_hours(rolled: tuple[Chain, str]) -> None:
    chain, identifier = rolled
    asked = chain.state.requests[identifier].at
    assert signing(chain, identifier) == []
    assert signing(chain, identifier, SME2) == ["MR-P012"]
    chain.now = parse_time(asked) + HOURS48
    assert signing(chain, identifier) == []
    chain.now += timedelta(seconds=1)
    assert signing(chain, identifier) == ["MR-C008"]


def test_what_was_written_since_the_rollback_dates_the_ratification_too(rolled: tuple[Chain, str]) -> None:
    chain, identifier = rolled
    chain.now = parse_time(chain.state.requests[identifier].at) + HOURS48 + timedelta(minutes=2)
    chain.add(kinds.NOTED, chain.of("2"), {"text": "seen"})
    chain.now -= timedelta(minutes=4)
    assert signing(chain, identifier) == ["MR-C008"]


def test_a_ratification_is_not_withdrawn_and_is_signed_once(rolled: tuple[Chain, str]) -> None:
    chain, identifier = rolled
    assert codes(chain.reasons(kinds.WITHDRAWN, chain.of("1"), {"id": identifier})) == ["MR-C008"]
    chain.sign(identifier)
    assert signing(chain, identifier, LEAD2) == ["MR-C008"]


def test_a_ratification_promotes_nothing(rolled: tuple[Chain, str]) -> None:
    chain, identifier = rolled
    chain.sign(identifier)
    chain.archive("1", chain.approve("1", "archived"))
    chain.unarchive("1")
    data = {**chain.step("1", "production", None), "approval": chain.used(identifier)}
    assert "MR-W001" in codes(chain.reasons(kinds.PROMOTED, chain.of("1"), data))


# -- what a lead fills into the workbook -------------------------------------------------------------------


def filling(chain: Chain, identifier: str, **changes: Any) -> list[str]:
    """Return the codes against an entry of the Approvals sheet."""
    entry = {"id": identifier, "decision": "approved", "approver": LEAD, "date": "2026-03-01", "comment": None}
    request = chain.state.requests[identifier]
    return codes(chain.reasons(kinds.FILLED, chain.of(request.version, request.model), {**entry, **changes}))


@pytest.mark.parametrize(("changes", "told"), [
    ({}, []),
    ({"approver": SME2}, []),
    ({"approver": "nobody@example.org"}, ["MR-P012"]),
    ({"decision": "maybe"}, ["MR-I033"]),
    ({"comment": "approved\u202e"}, ["MR-I001"]),
    ({"comment": "ok\x1b[2J"}, ["MR-I001"]),
    ({"comment": "אושר\u200f, נבדק"}, []),
    ({"decision": "rejected"}, ["MR-I031"]),
    ({"decision": "rejected", "comment": "no"}, []),
    ({"date": "01.03.2026"}, ["MR-I022"]),
    ({"date": "2026-02-30"}, ["MR-I022"]),
    ({"date": "2026-02-28"}, []),
    ({"date": "2026-02-27"}, ["MR-I021"]),
    ({"date": "2026-03-09"}, ["MR-I020"]),
])  # fmt: skip
def test_an_entry_is_checked_against_the_roster_and_the_calendar(changes: dict[str, Any], told: list[str]) -> None:
    chain = Chain(smes=(SME2,))
    chain.register("1")
    assert filling(chain, chain.request("1", "staging"), **changes) == told


def test_an_entry_by_the_registrant_or_somebody_who_left() -> None:
    chain = Chain()
    chain.register("1", actor=LEAD)
    identifier = chain.request("1", "staging")
    assert filling(chain, identifier) == ["MR-P009"]
    chain.approver_revoke(LEAD2)
    assert filling(chain, identifier, approver=LEAD2) == ["MR-P012"]


def test_an_empty_entry_takes_back_what_was_filled_in_and_nothing_else() -> None:
    chain = Chain()
    chain.register("1")
    identifier = chain.request("1", "staging")
    empty = {"decision": "", "approver": "", "date": "", "comment": None}
    assert filling(chain, identifier, **empty) == ["MR-I033"]
    entry = {"id": identifier, "decision": "approved", "approver": LEAD, "date": "2026-03-01", "comment": None}
    chain.add(kinds.FILLED, chain.of("1"), entry)
    assert filling(chain, identifier, **{**empty, "comment": "still here"}) != []
    assert filling(chain, identifier, **empty) == []
    chain.add(kinds.FILLED, chain.of("1"), {"id": identifier, **empty})
    assert chain.state.requests[identifier].filled is None


def test_an_entry_changes_no_stage_and_no_status() -> None:
    chain = Chain()
    chain.register("1")
    identifier = chain.request("1", "staging")
    entry = {"id": identifier, "decision": "approved", "approver": LEAD, "date": "2026-03-01", "comment": None}
    chain.add(kinds.FILLED, chain.of("1"), entry)
    assert (chain.state.requests[identifier].status, chain.record("1").stage) == ("requested", "experimental")
    data = {**chain.step("1", "staging", identifier, pipeline=None)}
    assert codes(chain.reasons(kinds.PROMOTED, chain.of("1"), data)) == ["MR-W001"]
    chain.sign(identifier)
    assert filling(chain, identifier) == ["MR-C008"]
