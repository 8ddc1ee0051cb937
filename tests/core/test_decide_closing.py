"""The end of a register: when it may be closed, what it takes afterwards, and what lapses with it (RP-22)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from chains import CI, DELEGATE, LEAD, LEAD2, SME, Chain, key
from mutations import CASES

from manual_registry.core import doubts
from manual_registry.core import events as kinds
from manual_registry.core.audit import Audit, audit_ledger
from manual_registry.core.closing import closed_text, consequences, without_leads
from manual_registry.core.documents import summary
from manual_registry.core.errors import RegistryError
from manual_registry.core.ledger import file_name
from manual_registry.core.ratifying import way_back
from manual_registry.core.rows import build_view
from manual_registry.core.trusted import trusted_fold

PLACE = "https://mlflow.example.org"


def codes(reasons: list[RegistryError]) -> list[str]:
    """Return the codes of reasons."""
    return [one.code for one in reasons]


def closed(**parts: Any) -> Chain:
    """Return a closed chain."""
    chain = Chain(**parts)
    chain.close()
    return chain


def audited(chain: Chain) -> Audit:
    """Return what `verify` makes of a chain."""
    files = {file_name(event.seq): event.raw for event in chain.events}
    return audit_ledger(sorted(files), files.__getitem__)


# -- afterwards -------------------------------------------------------------------------------------------

#: The cases of events that a closed register still takes; every other one is refused.
STILL = {
    "archived_from_production", "archived_experimental", "moved", "deployment_ended", "noted", "recorded", "restored",
    "anchored", "drilled", "approver_revoked", "former_key_told", "pipeline_revoked", "closed", "taken_in",
}  # fmt: skip


@pytest.mark.parametrize("name", [name for name in CASES if name != "created"])
def test_every_event_is_taken_or_refused_with_the_successor(name: str) -> None:
    chain, (kind, subject, data, actor) = CASES[name]()
    assert chain is not None
    signer = LEAD if LEAD in chain.state.approvers else "nobody@example.org"
    chain.force(kinds.CLOSED, {}, chain.closing(by=signer), actor=LEAD)
    reasons = chain.reasons(kind, subject, data, actor=actor)
    if name in STILL:
        assert "MR-P080" not in codes(reasons)
        return
    assert codes(reasons) == ["MR-P080"]
    refusal = reasons[0]
    assert PLACE in refusal.message
    assert "2026-03-01" in refusal.message
    assert (refusal.exit_status, refusal.clause, refusal.details["successor"]) == (3, "RP-22", PLACE)


def test_what_looks_after_the_record_goes_on() -> None:
    chain = Chain()
    chain.to_production("1")
    chain.deploy("1", "production")
    chain.register("2")
    chain.register("3")
    chain.archive("3")
    chain.approver_add(SME, "technical-sme")
    chain.close()
    chain.add(kinds.NOTED, chain.of("1"), {"text": "seen"})
    was = chain.record("1").notes_text
    more = {"field": "notes", "was": was, "value": f"{was}\nand again"}
    chain.add(kinds.EDITED, chain.of("1"), more)
    chain.move("3")
    chain.archive("2")
    chain.end("1", "production")
    withdrawn = chain.request("1", "archived")
    chain.add(kinds.WITHDRAWN, chain.of("1"), {"id": withdrawn})
    chain.archive("1", chain.approve("1", "archived"))
    checked = {
        "target": "mlflow",
        "uri": PLACE,
        "server": "3.1.0",
        "action": "check",
        "through": 1,
        "models": ["churn"],
    }
    chain.add(kinds.EXPORTED, {}, {**checked, "checked": 0, "versions": [], "mismatches": [], "count": 0})
    chain.add(kinds.VERIFIED, {}, {"ok": True, "checked": {}, "findings": [], "scope": []})
    chain.add(kinds.ANCHORED, {}, chain.anchor())
    leaving = {"reason": "left", "compromised_since": None}
    for answer in ("withdraw", "reject", "sign"):
        identifier = chain.ask("approver.revoke", {"approver": SME}, leaving)
        chain.add(kinds.CONTROL_ISSUED, {}, {"id": identifier, "statement": chain.answer(identifier)["statement"]})
        if answer == "withdraw":
            chain.add(kinds.CONTROL_WITHDRAWN, {}, {"id": identifier})
        elif answer == "reject":
            said = {"id": identifier, "comment": "no"}
            control = chain.control("request.reject", said, answers=(identifier, int(identifier[1:])))
            chain.add(kinds.CONTROL_REJECTED, {}, {**said, "control": control}, actor=LEAD)
        else:
            control = chain.answer(identifier)
            chain.add(kinds.APPROVER_REVOKED, {"approver": SME}, {**leaving, "control": control}, actor=LEAD)
    chain.pipeline_revoke("ci")
    assert audited(chain).findings == []
    trusted_fold(chain.events)


@pytest.mark.parametrize(
    ("field", "was", "value"),
    [
        ("notes", "old", "new"),
        ("notes", "old", None),
        ("notes", "old", ""),
        ("owner", None, "me"),
        ("owner", "a", "ab"),
    ],
)
def test_an_edit_that_does_more_than_add_a_note_is_refused(field: str, was: str | None, value: str | None) -> None:
    chain = Chain()
    chain.register("1")
    chain.close()
    assert codes(chain.reasons(kinds.EDITED, chain.of("1"), {"field": field, "was": was, "value": value})) == [
        "MR-P080"
    ]


def test_an_export_is_no_check() -> None:
    chain = Chain()
    chain.register("1")
    chain.close()
    data = {"target": "mlflow", "uri": PLACE, "server": "3", "action": "export", "through": 1, "models": ["churn"]}
    data |= {"checked": 0, "versions": [], "mismatches": [], "count": 0}
    assert codes(chain.reasons(kinds.EXPORTED, {}, data)) == ["MR-P080"]


def test_the_last_lead_of_a_closed_register_can_be_revoked() -> None:
    """Who left, or whose key was stolen, does not stay a signer for ever because nobody can be enrolled."""
    chain = Chain(leads=(LEAD, LEAD2))
    chain.to_production("1")
    chain.close()
    assert without_leads(chain.state, LEAD) is None
    chain.approver_revoke(LEAD2)
    told = without_leads(chain.state, LEAD)
    assert told is not None
    assert "churn@1 stays in production for ever" in told
    chain.approver_revoke(LEAD, compromised_since=chain.events[1].at)
    assert (chain.state.active_leads(), without_leads(chain.state, LEAD)) == ([], None)
    archiving = {"from": "production", "reason": "r", "approval": None, "observed": None}
    assert codes(chain.reasons(kinds.ARCHIVED, chain.of("1"), archiving)) == ["MR-W001"]
    enrolment = chain.enrolment("thief@example.org", by="thief@example.org")
    thief = {"approver": "thief@example.org"}
    assert codes(chain.reasons(kinds.APPROVER_ADDED, thief, enrolment)) == ["MR-P080"]
    assert audited(chain).findings == []
    trusted_fold(chain.events)


@pytest.mark.parametrize("risk", ["minimal", "high"])
def test_only_the_lead_who_is_left_revokes_the_last_one(risk: str) -> None:
    chain = Chain(leads=(LEAD,), smes=(SME,), risk=risk)
    said = {"reason": "left", "compromised_since": None}
    data = {**said, "control": chain.control("approver.revoke", {"approver": LEAD, **said})}
    assert codes(chain.reasons(kinds.APPROVER_REVOKED, {"approver": LEAD}, data, actor=LEAD)) == ["MR-P019"], "open"
    assert without_leads(chain.state, LEAD) is None
    chain.close()
    told = without_leads(chain.state, LEAD)
    assert told is not None
    assert "production" not in told
    by_another = {**said, "control": chain.control("approver.revoke", {"approver": LEAD, **said}, by=SME)}
    assert codes(chain.reasons(kinds.APPROVER_REVOKED, {"approver": LEAD}, by_another, actor=SME)) == ["MR-P018"]
    chain.approver_revoke(LEAD)


# -- closing it -------------------------------------------------------------------------------------------


def test_the_state_says_who_closed_it_when_and_why() -> None:
    chain = Chain()
    event = chain.close(reason="moved\nfor good")
    found = chain.state.closed
    assert found is not None
    assert (found.seq, found.at, found.by) == (event.seq, event.at, LEAD)
    assert (found.successor, found.reason) == (PLACE, "moved\nfor good")
    assert summary(event) == f"register closed by {LEAD}, successor {PLACE}: moved\nfor good"
    view = build_view(chain.state, chain.events)
    assert view.closed == closed_text(found) == f"CLOSED on 2026-03-01; successor: {PLACE}"
    assert all(sheet.title.endswith(f" - {view.closed}") for sheet in view.sheets)
    assert "Nothing new begins here any more" in dict(view.read_me)["What you may edit"]


def test_once_and_no_second_time() -> None:
    chain = closed()
    for changes in ({}, {"successor": "elsewhere"}, {"reason": "another"}):
        assert codes(chain.reasons(kinds.CLOSED, {}, chain.closing(**changes), actor=LEAD)) == ["MR-C080"]


@pytest.mark.parametrize(
    ("successor", "code"),
    [
        ("JavaScript:alert(1)", "MR-I"),
        ("data:text/html,x", "MR-I"),
        ("data store in the cellar", None),
        ("https://mlflow.example.org:5000/a/b", None),
        ("databricks://profile", None),
        ("\\\\server\\share\\registry", None),
        ("../new-registry", None),
        ("the folder „Neues Register“ in SharePoint", None),
        ("git@example.org:team/registry.git", None),
        ("https://mlflow.example.org/#/models/churn/versions/3", None),
        ("https://adb-1.azuredatabricks.net/?o=7405607#mlflow/models/churn", None),
        ("https://mlflow.example.org/#/compare?runs=1&experiments=2", None),
        ("the second folder (Register? yes, #2)", None),
        ("https://mlflow.example.org/#access_token=secret&state=1", "MR-I"),
        ("https://mlflow.example.org/#/models?api_key=secret", "MR-I"),
        ("https://blob.example.org/r?sv=1&sig=secret", "MR-I"),
        ("https://mlflow.example.org/?secret", "MR-I"),
        ("mlflow.example.org/?to%6ben=secret", "MR-I"),
        ("https://bob:sec#ret@mlflow.example.org/", "MR-I"),
        ("", "MR-I"),
        ("  ", "MR-I"),
        (" https://mlflow.example.org", "MR-I"),
        ("https://bob:secret@mlflow.example.org", "MR-I"),
        ("https://mlflow.example.org/?token=secret", "MR-I"),
        ("https://mlflow.example.org\nor not", "MR-I"),
        ("https://mlflow.example.org\u202e", "MR-I"),
        ("x" * 241, "MR-I"),
    ],
)
def test_a_successor_is_one_line_without_credentials(successor: str, code: str | None) -> None:
    chain = Chain()
    reasons = chain.reasons(kinds.CLOSED, {}, chain.closing(successor=successor), actor=LEAD)
    assert [one.code[:4] for one in reasons] == ([code] if code else [])
    assert "secret" not in "".join(f"{one.message}{one.hint}" for one in reasons)


@pytest.mark.parametrize(("reason", "code"), [("", "MR-I"), (" \n", "MR-I"), ("a\x07", "MR-I"), ("x" * 40_000, "MR-I")])
def test_a_reason_is_text(reason: str, code: str) -> None:
    chain = Chain()
    assert codes(chain.reasons(kinds.CLOSED, {}, chain.closing(reason=reason), actor=LEAD))[0].startswith(code)


def test_only_a_lead_closes() -> None:
    chain = Chain(smes=(SME,))
    chain.approver_add(DELEGATE, "delegate")
    chain.delegate()
    for who in (SME, DELEGATE, CI):
        assert codes(chain.reasons(kinds.CLOSED, {}, chain.closing(by=who), actor=LEAD)) == ["MR-P018"], who
    details = {"successor": PLACE, "reason": "moved to MLflow"}
    for control in (
        chain.control("policy.sign", details),
        chain.control("registry.close", {**details, "reason": "another"}),
        chain.control("registry.close", details, owner="stranger@example.org", key_line=key(LEAD).line),
        chain.control("registry.close", details, owner="stranger@example.org"),
    ):
        assert codes(chain.reasons(kinds.CLOSED, {}, {**details, "control": control}, actor=LEAD)) == ["MR-P018"]


def test_a_register_without_a_lead_says_how_to_enrol_one() -> None:
    chain = Chain(risk="minimal", leads=())
    reasons = chain.reasons(kinds.CLOSED, {}, chain.closing(by=SME), actor=SME)
    assert codes(reasons) == ["MR-P021"]
    assert "approver add" in str(reasons[0].hint)
    chain.add(kinds.APPROVER_ADDED, {"approver": LEAD}, chain.enrolment(LEAD, by=LEAD), actor=LEAD)
    chain.close()


def test_what_only_an_open_register_can_settle_is_settled_first() -> None:
    chain = Chain()
    chain.to_production("1")
    chain.to_production("2")
    ratify = chain.roll_back("1")
    reasons = chain.reasons(kinds.CLOSED, {}, chain.closing(), actor=LEAD)
    assert (codes(reasons), reasons[0].location) == (["MR-W001"], ratify)
    assert reasons[0].hint == f"mreg approval sign {ratify} --as {LEAD}"
    chain.sign(ratify)
    chain.close()


def test_a_rollback_that_nobody_ratified_in_time_does_not_keep_it_open_for_ever() -> None:
    chain = Chain()
    chain.to_production("1")
    chain.to_production("2")
    ratify = chain.roll_back("1")
    chain.now += timedelta(hours=49)
    chain.close()
    request = chain.state.requests[ratify]
    assert request.status == "requested"  # an error of `verify` as long as it runs
    assert way_back(chain.state, request).startswith("mreg archive churn@1 ")
    chain.archive("1", chain.approve("1", "archived"))


def test_a_rollback_that_has_ended_since_waits_for_nobody() -> None:
    chain = Chain()
    chain.to_production("1")
    chain.to_production("2")
    chain.roll_back("1")
    chain.archive("1", chain.approve("1", "archived"))
    chain.close()


def test_a_baseline_is_confirmed_first() -> None:
    chain, (kind, subject, data, actor) = CASES["baseline_opened"]()
    assert chain is not None
    unasked = chain.reasons(kinds.CLOSED, {}, chain.closing(), actor=LEAD)
    assert set(codes(unasked)) == {"MR-W001"}, "a stopped import, which nobody could go on with"
    name = f"A{chain.add(kind, subject, data, actor=actor).seq}"
    reasons = chain.reasons(kinds.CLOSED, {}, chain.closing(), actor=LEAD)
    assert (codes(reasons), reasons[0].location) == (["MR-W070"], name)
    chain.add(kinds.BASELINE_SIGNED, {}, {"id": name, "control": chain.answer(name)}, actor=LEAD)
    chain.close()


# -- as a request -----------------------------------------------------------------------------------------


def test_a_lead_is_asked_and_answers() -> None:
    chain = Chain()
    details = {"successor": PLACE, "reason": "moved"}
    first, second = (chain.ask("registry.close", {}, details) for _ in "ab")
    chain.register("1")
    for name, value in (("successor", "elsewhere"), ("reason", "another")):
        changed = {**details, name: value, "control": chain.answer(first)}
        assert codes(chain.reasons(kinds.CLOSED, {}, changed, actor=LEAD)) == ["MR-P018"]
    chain.add(kinds.CLOSED, {}, {**details, "control": chain.answer(first)}, actor=LEAD)
    assert {name: chain.state.controls[name].status for name in (first, second)} == {first: "used", second: "lapsed"}
    assert audited(chain).findings == []


# -- what lapses ------------------------------------------------------------------------------------------


def lapsing(chain: Chain) -> dict[str, str]:
    """Open every kind of request; returns id -> the status that it is to have afterwards."""
    chain.to_production("1")
    chain.register("2")
    chain.register("3")
    signed, waiting = chain.approve("2", "staging"), chain.request("3", "staging")
    archived = chain.request("1", "archived")
    going = chain.ask("approver.revoke", {"approver": LEAD2}, {"reason": "left", "compromised_since": None})
    coming = {"name": "New", "role": "technical-sme", "key": key("new@example.org").line}
    new = chain.ask("approver.add", {"approver": "new@example.org"}, coming)
    return {signed: "lapsed", waiting: "lapsed", archived: "requested", going: "requested", new: "lapsed"}


def test_open_requests_lapse_but_for_what_still_may_be() -> None:
    chain = Chain()
    expected = lapsing(chain)
    ending = [name for name, status in expected.items() if status == "lapsed"]
    told, never = consequences(chain.state)
    assert told == f"3 open requests lapse with it: {', '.join(ending)}"
    assert never.startswith("no export is recorded")
    chain.close()
    found = {**chain.state.requests, **chain.state.controls}
    assert {name: found[name].status for name in expected} == expected
    assert consequences(chain.state) == []
    rows = {row.row_id: row.cells["Status"] for row in build_view(chain.state, chain.events).sheets[1].rows}
    assert {name: rows[name] for name in expected} == expected


def test_what_is_under_way_is_told_beforehand() -> None:
    chain = Chain(leads=(LEAD,))
    chain.register("1")
    chain.register("2")
    chain.archive("1")
    told = {"target": "mlflow", "uri": PLACE, "server": "3", "action": "export", "through": 1, "models": ["churn"]}
    told |= {"checked": 1, "mismatches": [], "count": 0}
    versions = [{"model": "churn", "version": "1", "number": "1", "digest": "0" * 64}]
    chain.add(kinds.EXPORTED, {}, {**told, "versions": versions})
    moves, missing, only = consequences(chain.state)
    assert moves.startswith("to be moved to the archive: churn@1")
    assert missing.startswith("in no recorded export: churn@2 ")
    assert only.startswith(f"{LEAD} is the only lead")


def test_what_the_exports_recorded_is_told_beforehand() -> None:
    """Afterwards nothing can be exported any more: what differs then does so for ever."""
    chain = Chain()
    chain.register("1")
    told = {"target": "mlflow", "uri": PLACE, "server": "3", "through": 1, "models": ["churn"], "checked": 1}
    versions = [{"model": "churn", "version": "1", "number": "1", "digest": "0" * 64}]
    none: dict[str, Any] = {"mismatches": [], "count": 0}
    chain.add(kinds.EXPORTED, {}, {**told, "action": "export", "versions": versions, **none})
    assert consequences(chain.state, PLACE) == []
    assert consequences(chain.state, "https://elsewhere.example.org") == [
        f"recorded exports went to {PLACE}, none to https://elsewhere.example.org"
    ]
    chain.add(kinds.NOTED, {"model": "churn", "version": "1"}, {"text": "seen"})
    (since,) = consequences(chain.state, PLACE)
    assert since.startswith("changed since the last recorded export: churn@1 ")
    chain.add(kinds.EXPORTED, {}, {**told, "action": "export", "versions": versions, **none})
    one = {"model": "churn", "version": "1", "place": "run.tag", "field": "a", "problem": "changed"}
    found = {"mismatches": [{**one, "expected": "1", "found": "2"}], "count": 1}
    chain.add(kinds.EXPORTED, {}, {**told, "action": "check", "versions": [], **found})
    (wrong,) = consequences(chain.state, PLACE)
    assert wrong.startswith(f"1 mismatch is recorded of {PLACE} ")


# -- forged -----------------------------------------------------------------------------------------------


def _unsigned(chain: Chain) -> dict[str, Any]:
    return {**chain.closing(), "control": {"signer": LEAD, "statement": "", "signature": ""}}


def _by_an_sme(chain: Chain) -> dict[str, Any]:
    return chain.closing(by=SME)


def _another_place(chain: Chain) -> dict[str, Any]:
    return {**chain.closing(), "successor": "https://attacker.example.org"}


@pytest.mark.parametrize("make", [_unsigned, _by_an_sme, _another_place])
def test_a_forged_end_stops_every_command_and_ends_nothing(make: Callable[[Chain], dict[str, Any]]) -> None:
    chain = Chain(smes=(SME,))
    chain.register("1")
    asked = chain.request("1", "staging")
    forged = chain.force(kinds.CLOSED, {}, make(chain), actor=LEAD)
    with pytest.raises(RegistryError) as refused:
        trusted_fold(chain.events)
    assert (refused.value.exit_status, refused.value.location) == (4, f"ledger/{file_name(forged.seq)}")
    audit = audited(chain)
    assert [one.location for one in audit.findings] == [f"ledger/{file_name(forged.seq)}"]
    assert (audit.state.closed, audit.state.requests[asked].status) == (None, "requested")


def test_an_event_that_a_closed_register_does_not_take_is_found() -> None:
    chain = closed()
    plain = {name: value for name, value in chain.policy_data().items() if name != "control"}
    event = chain.force(kinds.CONTROL_REQUESTED, {}, {"action": "policy.sign", "subject": {}, "data": plain})
    (found,) = audited(chain).findings
    assert (found.location, found.clause) == (f"ledger/{file_name(event.seq)}", "RP-22")
    assert "MR-P080" in found.message
    with pytest.raises(RegistryError, match="MR-P080"):
        trusted_fold(chain.events)


def test_verify_tells_it_and_doubts_it_when_the_key_was_stolen() -> None:
    chain = Chain()
    chain.close()
    since = chain.events[0].at
    said = {"reason": "stolen", "compromised_since": since}
    control = chain.control("approver.revoke", {"approver": LEAD, **said}, by=LEAD2)
    event = chain.events[-1]
    audit = audited(chain)
    doubts.check(audit, chain.now, [])
    (told,) = audit.findings
    assert (told.code, told.severity.value, told.location) == ("MR-F063", "info", f"ledger/{file_name(event.seq)}")
    assert PLACE in told.message
    chain.add(kinds.APPROVER_REVOKED, {"approver": LEAD}, {**said, "control": control}, actor=LEAD2)
    audit = audited(chain)
    doubts.check(audit, chain.now, [])
    doubted = [one for one in audit.findings if one.location == f"ledger/{file_name(event.seq)}"]
    (wrong,) = [one for one in doubted if "the end of this register stands on it" in one.message]
    assert (wrong.severity.value, "--continues THIS-FOLDER" in str(wrong.advice)) == ("error", True)
    assert chain.state.closed is not None
    text = closed_text(chain.state.closed)
    assert text == f"CLOSED on 2026-03-01, IN DOUBT (its key was compromised since {since[:10]}); successor: {PLACE}"
    assert any(text in one.message for one in doubted)
    assert build_view(chain.state, chain.events).closed == text
    (refusal,) = chain.reasons(kinds.ALIAS_REMOVED, {"model": "churn"}, {"alias": "best"})
    assert "in doubt" in refusal.message
    assert "--continues" in refusal.message


def test_a_key_that_was_stolen_after_the_end_doubts_nothing() -> None:
    chain = Chain()
    chain.close()
    since = chain.add(kinds.VERIFIED, {}, {"ok": True, "checked": {}, "findings": [], "scope": []}).at
    chain.approver_revoke(LEAD, by=LEAD2, compromised_since=since)
    assert chain.state.closed is not None
    assert chain.state.closed.doubted_since is None


def test_a_former_key_that_is_told_as_stolen_doubts_the_end_that_it_signed() -> None:
    chain = Chain()
    chain.close()
    chain.approver_revoke(LEAD, by=LEAD2)
    since, line = chain.events[0].at, key(LEAD).line
    chain.approver_revoke(LEAD, by=LEAD2, compromised_since=since, key=line)
    assert chain.state.closed is not None
    assert chain.state.closed.doubted_since == since
