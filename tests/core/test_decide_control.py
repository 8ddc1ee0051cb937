"""Roster, pipelines and policy change only by an active lead's signature (RP-14)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from chains import CI, DELEGATE, LEAD, LEAD2, SME, SME2, START, Chain, key

from manual_registry.core import delegations
from manual_registry.core import events as kinds
from manual_registry.core.controls import details as control_details
from manual_registry.core.decide import clock_warning, decide
from manual_registry.core.errors import RegistryError
from manual_registry.core.ledger import Draft, seal
from manual_registry.core.policy import default_document
from manual_registry.core.state import State
from manual_registry.core.times import stamp
from manual_registry.core.values import Risk
from manual_registry.core.walk import signature_problem


def codes(reasons: list[RegistryError]) -> list[str]:
    """Return the codes, in order."""
    return [reason.code for reason in reasons]


# -- genesis -----------------------------------------------------------------------------------------------


def founding(**changes: Any) -> list[str]:
    """Return the codes against a genesis."""
    data = {**Chain(pipelines=()).events[0].data, **changes}
    draft = Draft(type=kinds.CREATED, subject={}, data=data)
    return codes(decide(State(), seal(draft, seq=1, prev=None, at=stamp(START), actor=LEAD)))


def lead(address: str, owner: str | None = None, **changes: Any) -> dict[str, Any]:
    """Return a lead as genesis names one."""
    return {"email": address, "name": "A Name", "key": key(owner or address).line, **changes}


@pytest.mark.parametrize("risk", Risk)
def test_a_registry_of_each_class_begins(risk: Risk) -> None:
    assert founding(risk=risk.value, policy=default_document(risk)) == []
    assert founding(risk=risk.value, policy=default_document(risk), leads=[], placed_on_market=None) == []


@pytest.mark.parametrize(("changes", "told"), [
    ({"risk": "low"}, ["MR-L002"]),
    ({"system": "a\x07b"}, ["MR-I001"]),
    ({"policy": {**default_document(Risk.HIGH), "staging": {"gates": []}}}, ["MR-I025"]),
    ({"policy": {}}, ["MR-I025"]),
    ({"policy": {**default_document(Risk.HIGH), "luck": 1}}, ["MR-I025"]),
    ({"placed_on_market": "2026-03-02"}, ["MR-I020"]),
    ({"placed_on_market": "2026-03-01"}, []),
    ({"placed_on_market": "soon"}, ["MR-I022"]),
    ({"placed_on_market": "2026-01-01T00:00:00.000Z"}, ["MR-I022"]),
    ({"recovery_key": key("recovery").line}, []),
    ({"recovery_key": key(LEAD).line}, ["MR-C006"]),
    ({"recovery_key": "x"}, ["MR-I024"]),
    ({"recovery_key": key("recovery").line + " x"}, ["MR-I024"]),
    ({"continues": {"registry": "ab" * 16, "seq": 7, "hash": "sha256:" + "cd" * 32, "place": "old"}}, []),
    ({"continues": {"registry": "ab", "seq": 7, "hash": "sha256:" + "cd" * 32, "place": "old"}}, ["MR-I033"]),
    ({"continues": {"registry": "ab" * 16, "seq": 0, "hash": "sha256:" + "cd" * 32, "place": "old"}}, ["MR-I033"]),
    ({"policy": {**default_document(Risk.HIGH), "retention_years": 9}}, ["MR-P063"]),
    ({"nonce": "0" * 31}, ["MR-L002"]),
    ({"nonce": "Z" * 32}, ["MR-L002"]),
    ({"nonce": None}, ["MR-L002"]),
    ({"leads": [lead(LEAD), lead(LEAD)]}, ["MR-C006"]),
    ({"leads": [lead(LEAD), lead(LEAD2, LEAD)]}, ["MR-C006"]),
    ({"leads": [lead(LEAD.upper())]}, ["MR-P018"]),
    ({"leads": [lead(LEAD, name=" ")]}, ["MR-P018"]),
    ({"leads": [lead(LEAD, key=key(LEAD).line + " comment")]}, ["MR-I024"]),
    ({"leads": [lead(LEAD, key="ssh-ed25519 AAAA")]}, ["MR-I024"]),
    ({"leads": [lead("*@example.org", LEAD)]}, ["MR-I023"]),
    ({"leads": [lead(LEAD, role="delegate")]}, ["MR-I026"]),
])  # fmt: skip
def test_what_genesis_may_not_say(changes: dict[str, Any], told: list[str]) -> None:
    assert founding(**changes) == told


def test_there_is_one_genesis_and_it_stands_first() -> None:
    chain = Chain()
    event = chain.events[0]
    assert codes(chain.reasons(kinds.CREATED, event.subject, event.data)) == ["MR-L002"]
    draft = Draft(type=kinds.NOTED, subject={"model": "m", "version": "1"}, data={"text": "x"})
    assert codes(decide(State(), seal(draft, seq=1, prev=None, at=stamp(START), actor=SME))) == ["MR-L002"]


# -- the roster --------------------------------------------------------------------------------------------


def enrolling(
    chain: Chain, address: str, role: str = "ai-governance-lead", *, by: str = LEAD, **changes: Any
) -> list[str]:
    """Return the codes against an enrolment; the signature covers the changes."""
    data = {"name": "A Name", "role": role, "key": key(address).line, **changes}
    control = chain.control("approver.add", control_details({"approver": address}, data), by=by)
    return codes(chain.reasons(kinds.APPROVER_ADDED, {"approver": address}, {**data, "control": control}, actor=by))


def test_a_lead_enrols_leads_and_smes() -> None:
    assert enrolling(Chain(), SME2, "technical-sme") == []
    assert enrolling(Chain(), SME2) == []


def test_nobody_else_does() -> None:
    chain = Chain(smes=(SME2,))
    assert enrolling(chain, "new@example.org", by=SME2) == ["MR-P018"]
    assert enrolling(chain, "new@example.org", by="stranger@example.org") == ["MR-P018"]
    assert enrolling(chain, "new@example.org", by="new@example.org") == ["MR-P018"]
    chain.approver_revoke(LEAD2)
    assert enrolling(chain, "new@example.org", by=LEAD2) == ["MR-P018"]


def test_one_identity_one_key_ever() -> None:
    chain = Chain(smes=(SME2,))
    assert enrolling(chain, SME2, "technical-sme") == ["MR-C007", "MR-C006"]
    assert enrolling(chain, "new@example.org", key=key(SME2).line) == ["MR-C006"]
    assert enrolling(chain, "new@example.org", key=key("ci").line) == ["MR-C006"]
    chain.approver_revoke(SME2)
    assert enrolling(chain, SME2, "technical-sme") == ["MR-C006"]  # a key never comes back
    assert enrolling(chain, "new@example.org", key=key(SME2).line) == ["MR-C006"]
    assert enrolling(chain, SME2, key=key("fresh").line) == []


def test_a_person_with_a_new_key_signs_with_it_alone_and_what_the_old_one_signed_stands() -> None:
    chain = Chain(smes=(SME2,))
    chain.register("1", actor="someone@example.org")
    signed = chain.approve("1", "staging", SME2)
    chain.approver_revoke(SME2)
    again(chain, SME2, "technical-sme", "fresh")
    state = chain.state
    old, new = state.all_approvers()[-2:]
    assert (old.email, old.key, old.revoked_seq is not None) == (SME2, key(SME2).line, True)
    assert (new.email, new.key, new.revoked_seq) == (SME2, key("fresh").line, None)
    assert signature_problem(state, state.requests[signed]) is None
    assert state.approver_at(SME2, state.requests[signed].signed_seq or 0) is old
    assert state.approver_at(SME2, state.head_seq + 1) is new
    told = [one.code for one in chain.reasons(kinds.PROMOTED, chain.of("1"), chain.step("1", "staging", signed))]
    assert told == ["MR-P012"]  # an approval by the old key is used no more
    state.requests[signed].signed_seq = state.head_seq + 1
    assert "not with the key of" in str(signature_problem(state, state.requests[signed]))


def test_a_delegate_with_a_new_key_begins_without_delegations() -> None:
    chain = Chain()
    chain.approver_add(DELEGATE, "delegate")
    chain.delegate(DELEGATE)
    old = chain.state.approvers[DELEGATE]
    assert len(delegations.granted_to(chain.state, old)) == 1
    chain.approver_revoke(DELEGATE)
    again(chain, DELEGATE, "delegate", "fresh")
    new = chain.state.approvers[DELEGATE]
    assert (len(delegations.granted_to(chain.state, old)), delegations.granted_to(chain.state, new)) == (1, [])
    assert delegations.to_name(chain.state, new, "churn", chain.now) is None


def again(chain: Chain, address: str, role: str, owner: str) -> None:
    """Enrol ``address`` with the key of ``owner``."""
    data = {"name": "A Name", "role": role, "key": key(owner).line}
    control = chain.control("approver.add", control_details({"approver": address}, data), by=LEAD)
    chain.add(kinds.APPROVER_ADDED, {"approver": address}, {**data, "control": control}, actor=LEAD)


@pytest.mark.parametrize(("address", "changes", "told"), [
    ("New@example.org", {}, ["MR-P018"]),
    ("new", {}, ["MR-I023"]),
    ("new@example.org", {"name": ""}, ["MR-P018"]),
    ("new@example.org", {"name": "a\nb"}, ["MR-I001"]),
    ("new@example.org", {"key": "x"}, ["MR-I024"]),
    ("new@example.org", {"role": "delegate"}, []),
    ("new@example.org", {"role": "king"}, ["MR-I026"]),
])  # fmt: skip
def test_what_an_enrolment_may_not_say(address: str, changes: dict[str, Any], told: list[str]) -> None:
    assert enrolling(Chain(), address, **changes) == told


def test_the_first_lead_enrols_with_their_own_key_and_only_the_first() -> None:
    chain = Chain(leads=())
    assert enrolling(chain, SME2, "technical-sme", by=SME2) == ["MR-P018"]
    assert enrolling(chain, LEAD, by=SME) == ["MR-P018"]
    assert enrolling(chain, LEAD, by=LEAD) == []
    chain.approver_add(LEAD, by=LEAD)
    assert enrolling(chain, LEAD2, by=LEAD2) == ["MR-P018"]
    assert enrolling(chain, LEAD2, by=LEAD) == []


def telling(chain: Chain, address: str, line: str, since: str | None, *, by: str = LEAD) -> list[str]:
    """Return the codes against telling that a former key was compromised."""
    data = {"reason": "stolen", "compromised_since": since, "key": line}
    control = chain.control("approver.revoke", {"approver": address, **data}, by=by)
    return codes(chain.reasons(kinds.APPROVER_REVOKED, {"approver": address}, {**data, "control": control}, actor=by))


def test_of_a_key_that_signs_no_more_it_is_told_since_when_somebody_had_it() -> None:
    chain, old, since = Chain(), key(LEAD2).line, "2026-02-28T08:00:00.000Z"
    assert telling(chain, LEAD2, old, since) == ["MR-C007"]  # it still signs: revoke it
    chain.approver_revoke(LEAD2)
    assert telling(chain, LEAD2, old, since) == []
    assert telling(chain, LEAD2, old, None) == telling(chain, LEAD2, old, "soon") == ["MR-I022"]
    assert telling(chain, LEAD2, key(LEAD).line, since) == telling(chain, LEAD2, "junk", since) == ["MR-N006"]
    assert telling(chain, LEAD2, old, since, by=SME2) == ["MR-P018"]
    data = {"name": "Two", "role": "ai-governance-lead", "key": key("fresh").line}
    chain.add(
        kinds.APPROVER_ADDED,
        {"approver": LEAD2},
        {**data, "control": chain.control("approver.add", {"approver": LEAD2, **data})},
        actor=LEAD,
    )
    chain.approver_revoke(LEAD2, key=old, compromised_since=since, reason="stolen")
    former, present = (one for one in chain.state.all_approvers() if one.email == LEAD2)
    assert (former.compromised_since, former.reason) == (since, "left; stolen")
    assert (present.compromised_since, present.revoked_seq) == (None, None)
    assert telling(chain, LEAD2, old, "2026-02-28T09:00:00.000Z") == telling(chain, LEAD2, old, since) == ["MR-C007"]
    assert telling(chain, LEAD2, old, "2026-02-27T09:00:00.000Z") == []


def revoking(
    chain: Chain, address: str, *, by: str = LEAD, reason: str = "left", since: str | None = None
) -> list[str]:
    """Return the codes against a revocation."""
    data = {"reason": reason, "compromised_since": since}
    control = chain.control("approver.revoke", {"approver": address, **data}, by=by)
    return codes(chain.reasons(kinds.APPROVER_REVOKED, {"approver": address}, {**data, "control": control}, actor=by))


def test_revocation() -> None:
    chain = Chain(smes=(SME2,))
    assert revoking(chain, LEAD2) == revoking(chain, LEAD) == revoking(chain, SME2) == []
    assert revoking(chain, "nobody@example.org") == ["MR-N006"]
    assert revoking(chain, LEAD2, reason=" ") == ["MR-I031"]
    assert revoking(chain, LEAD2, by=SME2) == ["MR-P018"]
    assert revoking(chain, LEAD2, since="2026-02-28T08:00:00.000Z") == []
    assert revoking(chain, LEAD2, since="2026-03-02T08:00:00.000Z") == ["MR-I020"]
    assert revoking(chain, LEAD2, since="2026-02-28") == []
    assert revoking(chain, LEAD2, since="2026-02-28T08:00:00Z") == ["MR-I022"]
    assert revoking(chain, LEAD2, since="soon") == ["MR-I022"]
    chain.approver_revoke(LEAD2)
    assert revoking(chain, LEAD2) == ["MR-C007"]
    assert revoking(chain, LEAD) == ["MR-P019"]
    assert revoking(chain, SME2) == []


# -- pipelines ---------------------------------------------------------------------------------------------


def piping(chain: Chain, name: str, *, by: str = LEAD, owner: str | None = None) -> list[str]:
    """Return the codes against the enrolment of a pipeline."""
    line = key(owner or name).line
    data = {
        "key": line,
        "oidc": None,
        "control": chain.control("pipeline.add", {"pipeline": name, "key": line, "oidc": None}, by=by),
    }
    return codes(chain.reasons(kinds.PIPELINE_ADDED, {"pipeline": name}, data, actor=by))


def test_pipelines() -> None:
    chain = Chain(smes=(SME2,))
    assert piping(chain, "nightly") == []
    assert piping(chain, "nightly", by=SME2) == ["MR-P018"]
    assert piping(chain, "ci", owner="other") == ["MR-C007"]
    assert piping(chain, "nightly", owner="ci") == ["MR-C006"]
    assert piping(chain, "nightly", owner=LEAD) == ["MR-C006"]
    assert piping(chain, "a b") == ["MR-I001"]
    chain.pipeline_revoke("ci")
    assert piping(chain, "ci") == ["MR-C006"]
    assert piping(chain, "ci", owner="other") == []
    assert piping(chain, "nightly", owner="ci") == ["MR-C006"]


@pytest.mark.parametrize(("name", "reason", "by", "told"), [
    ("ci", "leaked", LEAD, []), ("ci", "", LEAD, ["MR-I031"]), ("nobody", "leaked", LEAD, ["MR-N007"]),
    ("ci", "leaked", SME2, ["MR-P018"]),
])  # fmt: skip
def test_revoking_a_pipeline(name: str, reason: str, by: str, told: list[str]) -> None:
    chain = Chain(smes=(SME2,))
    data = {"reason": reason, "control": chain.control("pipeline.revoke", {"pipeline": name, "reason": reason}, by=by)}
    assert codes(chain.reasons(kinds.PIPELINE_REVOKED, {"pipeline": name}, data, actor=by)) == told


def test_a_pipeline_is_revoked_once() -> None:
    chain = Chain()
    chain.pipeline_revoke("ci")
    data = {"reason": "x", "control": chain.control("pipeline.revoke", {"pipeline": "ci", "reason": "x"})}
    assert codes(chain.reasons(kinds.PIPELINE_REVOKED, {"pipeline": "ci"}, data)) == ["MR-C007"]


# -- the policy --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("changes", "told"), [
    ({}, []),
    ({"risk": "minimal", "policy": default_document(Risk.MINIMAL)}, []),
    ({"risk": "minimal"}, []),
    ({"policy": default_document(Risk.LIMITED)}, ["MR-I025"]),
    ({"policy": {}}, ["MR-I025"]),
    ({"risk": "low"}, ["MR-L002"]),
    ({"placed_on_market": "2027-01-01"}, ["MR-I020"]),
    ({"system": "a\nb"}, ["MR-I001"]),
])  # fmt: skip
def test_a_policy_is_valid_for_its_class_and_written_out(changes: dict[str, Any], told: list[str]) -> None:
    chain = Chain()
    assert codes(chain.reasons(kinds.POLICY_SIGNED, {}, chain.policy_data(**changes), actor=LEAD)) == told


def test_a_policy_needs_a_leads_signature() -> None:
    chain = Chain(smes=(SME2,))
    assert codes(chain.reasons(kinds.POLICY_SIGNED, {}, chain.policy_data(by=SME2), actor=LEAD)) == ["MR-P018"]


# -- the signature -----------------------------------------------------------------------------------------


def test_an_old_signature_puts_no_old_policy_in_force_again() -> None:
    chain = Chain()
    chain.policy_sign(system="one")
    old = dict(chain.events[-1].data)
    chain.policy_sign(system="two")
    assert codes(chain.reasons(kinds.POLICY_SIGNED, {}, old, actor=LEAD)) == ["MR-P018"]


def test_a_signature_is_of_now() -> None:
    chain = Chain()
    data = chain.policy_data()
    for moved, told in ((5, []), (6, ["MR-P018"]), (-20, ["MR-P020", "MR-P018"])):
        chain.now += timedelta(minutes=moved)
        assert codes(chain.reasons(kinds.POLICY_SIGNED, {}, data, actor=LEAD)) == told, moved


def test_a_signature_for_another_purpose_or_registry_is_none() -> None:
    chain, other = Chain(), Chain(placed="2026-01-02")
    data = chain.policy_data()
    details = control_details({}, data)
    for control in (chain.control("policy.change", details), other.control("policy.sign", details)):
        assert codes(chain.reasons(kinds.POLICY_SIGNED, {}, {**data, "control": control}, actor=LEAD)) == ["MR-P018"]
    newer = {**data, "control": {**data["control"], "token": "x"}}
    assert codes(chain.reasons(kinds.POLICY_SIGNED, {}, newer, actor=LEAD)) == ["MR-I026"]


def test_a_statement_that_is_no_statement() -> None:
    from manual_registry.core.statements import CONTROL_NAMESPACE

    chain = Chain()
    data = chain.policy_data()
    for text in ("", "{}\n", "[]\n", data["control"]["statement"] + " ", '{"predicate":{}}\n', '{"predicate":[]}\n'):
        signed = {"signer": LEAD, "statement": text, "signature": key(LEAD).sign(text.encode(), CONTROL_NAMESPACE)}
        assert chain.reasons(kinds.POLICY_SIGNED, {}, {**data, "control": signed}, actor=LEAD), text


# -- clocks ------------------------------------------------------------------------------------------------


def test_a_clock_that_stands_before_the_last_event_is_told() -> None:
    chain = Chain()
    assert clock_warning(chain.state, chain.state.head_at) is None
    assert clock_warning(chain.state, "2999-01-01T00:00:00.000Z") is None
    told = clock_warning(chain.state, "2026-02-28T23:59:59.999Z")
    assert told is not None
    assert chain.state.head_at in told
    assert clock_warning(State(), "2026-01-01T00:00:00.000Z") is None


@pytest.mark.parametrize("kind", sorted(kinds.GOVERNED_TYPES - {kinds.CREATED}))
def test_every_governed_event_is_refused_when_dated_back(kind: str) -> None:
    from mutations import CASES

    for make in CASES.values():
        chain, (found, subject, data, actor) = make()
        if found == kind and chain is not None:
            chain.now = chain.now - timedelta(days=2)
            assert "MR-P020" in codes(chain.reasons(kind, subject, data, actor=actor))


def test_who_acts_is_claimed_and_changes_nothing_of_a_signature() -> None:
    chain = Chain()
    assert codes(chain.reasons(kinds.POLICY_SIGNED, {}, chain.policy_data(), actor=CI)) == []
