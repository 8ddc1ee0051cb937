"""Retrieval drills: whose turn it is, what an event of one may say, when the next one is due (RP-23)."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from chains import LEAD, MODEL, SME, Chain

from manual_registry.core import drills, signed_copies
from manual_registry.core import events as kinds
from manual_registry.core.audit import audit_ledger
from manual_registry.core.documents import summary
from manual_registry.core.errors import ApprovalCopyDiffers, SignatureFinding, SignatureStranger
from manual_registry.core.ledger import file_name
from manual_registry.core.results import Severity
from manual_registry.core.sshsig import verify


def archive(chain: Chain, *versions: str, moved: bool = True) -> Chain:
    for version in versions:
        chain.register(version)
        chain.archive(version)
        if moved:
            chain.move(version)
    return chain


def tried(chain: Chain, sample: int | None = None) -> list[str]:
    """Record a drill and return the versions that it tried, in order."""
    return [one["version"] for one in chain.drilled(sample).data["versions"]]


def found(chain: Chain, at: datetime) -> dict[str, tuple[Severity, str]]:
    return {one.code: (one.severity, one.message) for one in drills.findings(chain.state, at)}


# -- whose turn it is ---------------------------------------------------------------------------------------


def test_every_version_has_its_turn_before_one_has_it_twice() -> None:
    chain = archive(Chain(risk="minimal", leads=()), "1", "2", "3", "4", "5")
    first = tried(chain, 2) + tried(chain, 2)
    assert len(set(first)) == 4
    third = tried(chain, 2)
    assert third[0] not in first, "never tried"
    assert third[1] in first[:2], "tried longest ago"
    archive(chain, "6")
    assert tried(chain, 1) == ["6"]
    assert sorted(tried(chain)) == ["1", "2", "3", "4", "5", "6"]
    assert len(tried(chain, 99)) == 6


def test_who_comes_first_among_equals_follows_from_the_head_and_favours_nobody() -> None:
    chain = archive(Chain(risk="minimal", leads=()), *"12345")
    first: Counter[str] = Counter()
    for number in range(200):
        turn = drills.chosen(chain.state, through=chain.state.head_seq, seed=f"sha256:{number}", sample=1)
        again = drills.chosen(chain.state, through=chain.state.head_seq, seed=f"sha256:{number}", sample=1)
        assert turn == again
        first.update(one.version for one in turn)
    assert len(first) == 5
    assert min(first.values()) > 20


def test_only_what_is_archived_is_tried_one_whose_move_is_pending_too() -> None:
    chain = archive(Chain(), "1", "2")
    archive(chain, "3", moved=False)
    chain.register("4")
    chain.unarchive("1")
    event = chain.drilled()
    assert {(one["version"], one["place"]) for one in event.data["versions"]} == {
        ("2", "archive/churn/2"),
        ("3", "models/churn/3"),
    }


def test_a_drill_stands_though_the_ledger_went_on_while_it_was_made() -> None:
    """Others archive, move, unarchive and drill meanwhile: the choice is judged on the event that it names."""
    chain = archive(Chain(), "1", "2")
    archive(chain, "3", moved=False)
    slow, fast = chain.drill(2), chain.drill(2)
    chain.add(kinds.DRILLED, {}, fast)
    chain.move("3")
    chain.unarchive("1")
    archive(chain, "4")
    assert chain.reasons(kinds.DRILLED, {}, slow) == []
    chain.add(kinds.DRILLED, {}, slow)
    audit = audit_ledger(
        [file_name(one.seq) for one in chain.events], lambda name: chain.events[int(name[:12]) - 1].raw
    )
    assert audit.findings == []
    assert len(audit.state.drills) == 2


# -- what may stand -----------------------------------------------------------------------------------------


def left_out(chain: Chain) -> dict[str, Any]:
    data = chain.drill()
    return {**data, "versions": data["versions"][1:]}


def another(chain: Chain) -> dict[str, Any]:
    data = chain.drill(1)
    return {**data, "versions": [one for one in chain.drill()["versions"] if one != data["versions"][0]][:1]}


def picked(chain: Chain) -> dict[str, Any]:
    return chain.drill(seed="sha256:" + "0" * 64)


def ahead(chain: Chain) -> dict[str, Any]:
    return chain.drill(through=chain.state.head_seq + 1)


def nothing(chain: Chain) -> dict[str, Any]:
    return chain.drill(versions=[])


def none_of_them(chain: Chain) -> dict[str, Any]:
    return chain.drill(sample=0, versions=[])


def more_than_there_were(chain: Chain) -> dict[str, Any]:
    return chain.drill(archived=9)


def whitewashed(chain: Chain) -> dict[str, Any]:
    return {**chain.drill(bad=["1"]), "ok": True}


def changed(chain: Chain, **members: Any) -> dict[str, Any]:
    data = chain.drill()
    return {**data, "versions": [{**data["versions"][0], **members}, *data["versions"][1:]]}


def other_content(chain: Chain) -> dict[str, Any]:
    return changed(chain, blake3="0" * 64)


def from_elsewhere(chain: Chain) -> dict[str, Any]:
    return changed(chain, place="../archive/churn/1")


def failed_without_a_reason(chain: Chain) -> dict[str, Any]:
    return {**changed(chain, outcome="failed"), "ok": False}


def good_with_a_problem(chain: Chain) -> dict[str, Any]:
    return changed(chain, problems=[{"code": "MR-A002", "location": "x", "message": "y"}], count=1)


def below_zero(chain: Chain) -> dict[str, Any]:
    return changed(chain, bytes=-1)


def of_nothing(chain: Chain) -> dict[str, Any]:
    return changed(chain, files=0)


def two_lines(chain: Chain) -> dict[str, Any]:
    data = chain.drill(bad=["1", "2"])
    problem = {"code": "MR-A002", "location": "x", "message": "all is well\n\x1b[2J"}
    return {**data, "versions": [{**one, "problems": [problem]} for one in data["versions"]]}


LIES = [
    left_out, another, picked, ahead, nothing, none_of_them, more_than_there_were, whitewashed, other_content,
    from_elsewhere, failed_without_a_reason, good_with_a_problem, below_zero, of_nothing, two_lines,
]  # fmt: skip


@pytest.mark.parametrize("lie", LIES)
def test_an_event_that_lies_about_a_drill_is_refused(lie: Any) -> None:
    chain = archive(Chain(risk="minimal", leads=()), "1", "2")
    assert chain.reasons(kinds.DRILLED, {}, chain.drill()) == []
    (reason,) = chain.reasons(kinds.DRILLED, {}, lie(chain))
    assert reason.code in ("MR-L002", "MR-I003", "MR-I001"), reason
    chain.force(kinds.DRILLED, {}, lie(chain))
    names = [file_name(one.seq) for one in chain.events]
    findings = audit_ledger(names, lambda name: chain.events[int(name[:12]) - 1].raw).findings
    assert [one.location for one in findings] == [f"ledger/{names[-1]}"]


def test_without_an_archive_there_is_no_drill() -> None:
    chain = Chain()
    chain.register("1")
    assert chain.reasons(kinds.DRILLED, {}, chain.drill()) != []
    assert drills.due(chain.state) is None
    assert found(chain, chain.now + timedelta(days=4000)) == {}


def test_a_closed_register_takes_drills_and_owes_them() -> None:
    chain = archive(Chain(), "1")
    chain.close()
    assert "MR-F072" in found(chain, chain.now + timedelta(days=400))
    assert tried(chain) == ["1"]


# -- when the next one is due -------------------------------------------------------------------------------


def test_a_drill_is_due_a_year_after_the_first_archiving_then_after_the_last_drill() -> None:
    chain = archive(Chain(), "1")
    first = chain.now
    chain.now += timedelta(days=300)
    archive(chain, "2")
    assert found(chain, first + timedelta(days=364)) == {}
    (code, (severity, message)) = next(iter(found(chain, first + timedelta(days=366)).items()))
    assert (code, severity) == ("MR-F072", Severity.WARNING)
    assert message.startswith("2 archived versions since 2026-03-01, and none was ever had back")
    chain.drilled(1)
    assert list(found(chain, chain.now + timedelta(days=364))) == ["MR-F070"]
    severity, message = found(chain, chain.now + timedelta(days=367))["MR-F072"]
    assert "none was had back since 2026-12-26" in message


def test_a_version_that_came_back_into_use_asks_for_no_drill() -> None:
    chain = archive(Chain(), "1")
    chain.unarchive("1")
    assert drills.due(chain.state) is None
    chain.now += timedelta(days=500)
    chain.archive("1")
    assert "MR-F072" not in found(chain, chain.now), "counts from when it was archived again"


def test_a_drill_that_failed_altogether_puts_nothing_off() -> None:
    chain = archive(Chain(), "1")
    chain.now += timedelta(days=360)
    chain.drilled(bad=["1"])
    severity, message = found(chain, chain.now)["MR-F071"]
    assert severity is Severity.WARNING
    assert message == "churn@1 could not be had back on 2027-02-24: archive/churn/1: changed"
    assert "MR-F072" in found(chain, chain.now + timedelta(days=10))
    assert "1 could not be had back: churn@1" in summary(chain.events[-1])
    chain.drilled()
    assert list(found(chain, chain.now)) == ["MR-F070"], "a later drill has put it right"


def test_a_failure_of_before_another_bag_is_history() -> None:
    chain = archive(Chain(), "1")
    chain.drilled(bad=["1"])
    chain.unarchive("1")
    assert "MR-F071" not in found(chain, chain.now)
    chain.archive("1")
    chain.move("1")
    assert "MR-F071" not in found(chain, chain.now)


def test_the_29th_of_february_has_its_year() -> None:
    chain = Chain()
    chain.now = datetime(2028, 2, 29, 12, 0, tzinfo=UTC)
    archive(chain, "1")
    due = drills.due(chain.state)
    assert due is not None
    assert due.at.date().isoformat() == "2029-03-01"


# -- the copies of approvals --------------------------------------------------------------------------------


def test_copies_are_judged_by_bytes_signature_and_key() -> None:
    chain = Chain()
    chain.to_production("1")
    copies = list(signed_copies.of_version(chain.state, chain.record("1"), chain.events))
    assert [one.path.rsplit("/", 1)[-1][0] for one in copies] == ["A", "A", "P", "P"]
    for one in copies:
        assert one.problem(one.statement, one.signature) is None
        assert verify(one.statement, one.signature.decode(), namespace=one.namespace).line() == one.key
        assert isinstance(one.problem(one.statement + b" ", one.signature), ApprovalCopyDiffers)
        assert isinstance(one.problem(one.statement, one.signature[:-9]), ApprovalCopyDiffers)


def test_a_signature_in_the_ledger_that_does_not_hold_is_found_in_its_copy_too() -> None:
    chain = Chain()
    chain.to_staging("1")
    request = chain.state.requests[chain.record("1").requests[0]]
    good, request.signature = request.signature, "-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----\n"
    (broken, _) = signed_copies.of_version(chain.state, chain.record("1"), chain.events)
    assert isinstance(broken.problem(broken.statement, broken.signature), SignatureFinding)
    request.signature = good
    chain.state.approvers[LEAD].key = "ssh-ed25519 AAAA"
    (stranger, _) = signed_copies.of_version(chain.state, chain.record("1"), chain.events)
    assert isinstance(stranger.problem(stranger.statement, stranger.signature), SignatureStranger)


def test_the_successor_s_promotion_is_no_paper_of_the_version_that_it_replaced() -> None:
    chain = Chain()
    chain.to_production("1")
    chain.to_production("2")
    papers = list(signed_copies.of_version(chain.state, chain.record("1"), chain.events))
    assert all(one.path.startswith(f"approvals/{MODEL}/1/") for one in papers)
    assert len(papers) == 4
    assert SME not in {one.key for one in papers}
