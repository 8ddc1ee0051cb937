"""The fold: the projection law, what each event does, and that nothing illegal stops it."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from chains import CI, LEAD, LEAD2, SME, SME2, Chain, evidence, key, registration
from histories import MOVES, Player, histories
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from mutations import CASES, mutants

from manual_registry.core import events as kinds
from manual_registry.core.audit import audit_ledger
from manual_registry.core.errors import EventUnreadable, FormatTooNew
from manual_registry.core.folding import apply, fold
from manual_registry.core.ledger import file_name
from manual_registry.core.state import State, VersionState
from manual_registry.core.touches import is_control, touched

HISTORY = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def same_record(left: State, right: State, name: tuple[str, str]) -> None:
    """Assert that two folds say the same of one version, of its approvals and of all control."""
    assert left.versions[name] == right.versions[name]
    for identifier in right.versions[name].requests:
        assert left.requests[identifier] == right.requests[identifier]
    for attribute in (
        "approvers",
        "pipelines",
        "keys",
        "policy",
        "policy_seq",
        "policy_by",
        "risk",
        "system",
        "registry_id",
        "closed",
    ):
        assert getattr(left, attribute) == getattr(right, attribute), attribute


def everything(state: State) -> dict[str, Any]:
    """Return all that a fold holds."""
    return dict(vars(state))


@HISTORY
@given(histories())
def test_folding_what_touches_a_version_gives_its_record(chain: Chain) -> None:
    whole = fold(chain.events)
    for name in whole.versions:
        part = [event for event in chain.events if is_control(event) or name in touched(event)]
        same_record(fold(part), whole, name)


@HISTORY
@given(histories(), st.data())
def test_folding_what_touches_several_versions_gives_their_records(chain: Chain, data: st.DataObject) -> None:
    whole = fold(chain.events)
    names = data.draw(st.sets(st.sampled_from(sorted(whole.versions)))) if whole.versions else set()
    partial = fold(event for event in chain.events if is_control(event) or names & set(touched(event)))
    for name in names:
        same_record(partial, whole, name)


@HISTORY
@given(histories())
def test_one_event_at_a_time_is_the_fold_and_verify_finds_nothing(chain: Chain) -> None:
    assert everything(fold(chain.events)) == everything(chain.state)
    files = {file_name(event.seq): event.raw for event in chain.events}
    audit = audit_ledger(sorted(files), files.__getitem__)
    assert audit.findings == []
    assert (audit.decided, audit.whole) == (len(chain.events), True)
    assert everything(audit.state) == everything(chain.state)


class Life(RuleBasedStateMachine):
    """The same moves, with what must hold after each of them."""

    @initialize(risk=st.sampled_from(("high", "limited", "minimal")), leads=st.booleans())
    def begin(self, risk: str, leads: bool) -> None:
        """Found a registry."""
        self.player = Player(Chain(risk=risk, leads=(LEAD, LEAD2) if leads else ()))

    @rule(which=st.sampled_from(MOVES), first=st.integers(0, 2**16), second=st.integers(0, 2**16))
    def play(self, which: Any, first: int, second: int) -> None:
        """Play a move."""
        self.player.play(which, first, second)

    @invariant()
    def one_production_version_per_model(self) -> None:
        """RP-7."""
        state = self.player.chain.state
        for model in state.models.values():
            there = [one for one in model.versions if state.versions[model.name, one].stage == "production"]
            assert there == ([model.production] if model.production else [])

    @invariant()
    def stages_follow_each_other_without_a_gap(self) -> None:
        """The record's stage is its last step; steps go forward in the chain."""
        for record in self.player.chain.state.versions.values():
            stated = (record.data.get("baseline") or {}).get("stage", "experimental")
            assert record.steps[0].stage == stated
            assert record.steps[-1].stage == record.stage
            assert all(before.seq < after.seq for before, after in itertools.pairwise(record.steps))
            later = any(step.stage == "production" for step in record.steps[1:])
            assert record.was_production == later or (stated == "production" and record.was_production)
            assert record.stated_only <= (record.confirmed is None)
            assert record.move_pending == (record.stage == "archived" and record.bag is None)
            assert record.event_seqs == sorted(set(record.event_seqs))

    @invariant()
    def one_approval_serves_one_step(self) -> None:
        """RP-10; a rollback may rest on it again."""
        steps = [
            step.approval
            for record in self.player.chain.state.versions.values()
            for before, step in itertools.pairwise(record.steps)
            if step.approval and before.stage != "archived"
        ]
        assert len(steps) == len(set(steps))

    @invariant()
    def closed_approvals_do_not_wait(self) -> None:
        """An open request is about where its version stands now."""
        state = self.player.chain.state
        for request in state.requests.values():
            if request.status in ("requested", "signed") and request.ratifies is None:
                assert state.versions[request.model, request.version].stage == request.from_stage

    @invariant()
    def touched_is_what_the_record_counts(self) -> None:
        """The index rests on it."""
        chain = self.player.chain
        for name, record in chain.state.versions.items():
            assert record.event_seqs == [event.seq for event in chain.events if name in touched(event)]

    @invariant()
    def in_high_risk_production_was_signed_and_promoted_by_a_pipeline(self) -> None:
        """RP-10, RP-11."""
        state = self.player.chain.state
        if state.risk.value != "high":
            return
        for record in state.versions.values():
            for step in record.steps[1:]:  # what an old sheet stated was never under control
                if step.stage == "production":
                    assert step.pipeline in state.pipelines
                    assert state.requests[step.approval or ""].signature


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=25, stateful_step_count=40, deadline=None)


# -- illegal and malformed events --------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_applying_what_is_illegal_or_malformed_never_ends_the_program(name: str) -> None:
    chain, (kind, subject, data, actor) = CASES[name]()
    if chain is None:
        chain = Chain()
    for _, other_subject, other_data in mutants(subject, data):
        event = chain.seal(kind, other_subject, other_data, actor=actor)
        state = fold(chain.events)
        try:
            apply(state, event)
        except (EventUnreadable, FormatTooNew) as refusal:
            assert refusal.location == f"ledger/{event.seq:012d}.json"
        assert state.head_seq in (chain.state.head_seq, event.seq)


@pytest.mark.parametrize("name", [name for name in CASES if name != "created"])
def test_an_event_before_everything_it_speaks_of_changes_nothing_else(name: str) -> None:
    chain, (kind, subject, data, actor) = CASES[name]()
    assert chain is not None
    event = chain.seal(kind, subject, data, actor=actor)
    empty = Chain(pipelines=())
    before = fold(empty.events)
    try:
        apply(before, event)
    except EventUnreadable:
        return
    if kind not in (kinds.REGISTERED, kinds.ADOPTED):
        assert before.versions == {}


def test_a_number_beyond_all_measure_is_a_malformed_event() -> None:
    chain = Chain()
    data = chain.policy_data()
    data["policy"] = {**data["policy"], "thresholds": {"auc": {"threshold": 1, "direction": "higher"}}}
    raw = chain.seal(kinds.POLICY_SIGNED, {}, data).raw.replace(b'"threshold":1', b'"threshold":1' + b"0" * 400)
    from manual_registry.core.ledger import parse_event

    event = parse_event(raw, location="x")
    assert chain.state.head_seq == event.seq - 1
    with pytest.raises(EventUnreadable):
        apply(fold(chain.events), event)
    from manual_registry.core.decide import decide

    assert decide(chain.state, event)


# -- what each event does ----------------------------------------------------------------------------------


def test_genesis() -> None:
    chain = Chain(pipelines=())
    event, state = chain.events[0], chain.state
    assert state.registry_id == event.hash.removeprefix("sha256:")[:32]
    assert (state.system, state.risk.value, state.placed_on_market) == ("a system", "high", "2026-01-01")
    assert [one.email for one in state.active_leads()] == [LEAD, LEAD2]
    assert state.keys[key(LEAD).line] == ("approver", LEAD)
    assert (state.head_seq, state.head_hash, state.hashes) == (1, event.hash, {1: event.hash})


def test_registrants_are_the_actor_the_person_behind_the_job_and_the_author() -> None:
    chain = Chain()
    code = {**registration("churn", "1")["code"], "author": "Ada@Example.org"}
    record = chain.register("1", actor=CI, ci={"started_by": "Bob@example.org"}, code=code)
    assert record.registrants == {CI, "bob@example.org", "ada@example.org"}


def test_attach_adds_fills_and_makes_open_approvals_lapse() -> None:
    chain = Chain()
    chain.register("1", owner=None, environment=None)
    asked, signed = chain.request("1", "staging"), chain.approve("1", "staging")
    packages = evidence("environment", "later.txt")
    chain.attach(
        "1",
        evidence=[packages],
        environment={"path": packages["path"], "sha256": packages["sha256"]},
        fields={"owner": "x"},
    )
    record = chain.record("1")
    assert (record.value("owner"), record.data["owner"]) == ("x", None)
    assert record.environment is not None
    assert len(record.evidence) == 6
    assert [chain.state.requests[name].status for name in (asked, signed)] == ["lapsed", "lapsed"]


def test_one_event_promotes_and_archives_what_it_replaces() -> None:
    chain = Chain()
    chain.to_production("1")
    chain.to_production("2")
    seq = chain.state.head_seq
    one, two = chain.record("1"), chain.record("2")
    assert (one.stage, two.stage, one.archived_seq) == ("archived", "production", seq)
    assert one.steps[-1].seq == two.steps[-1].seq == seq
    assert one.move_pending
    production = chain.state.production("churn")
    assert production is two


def test_bags_are_counted_and_stay() -> None:
    chain = Chain()
    chain.register("1")
    for number in (1, 2):
        chain.archive("1")
        chain.move("1")
        record = chain.record("1")
        assert record.bag == f"archive/churn/1{'' if number == 1 else '~2'}"
        assert not record.move_pending
        chain.unarchive("1")
        assert chain.record("1").bag is None
    assert [bag["bag"] for bag in chain.record("1").bags] == ["archive/churn/1", "archive/churn/1~2"]


def test_a_rollback_opens_an_approval_that_a_lead_ratifies() -> None:
    chain = Chain()
    chain.to_production("1")
    first = chain.record("1").steps[-1].approval
    chain.to_production("2")
    identifier = chain.roll_back("1")
    request = chain.state.requests[identifier]
    assert identifier == f"A{chain.state.head_seq}"
    assert (request.from_stage, request.to, request.replaces, request.ratifies) == (
        "archived",
        "production",
        "2",
        chain.state.head_seq,
    )
    assert (request.status, chain.record("1").steps[-1].approval) == ("requested", first)
    chain.attach("1")
    assert request.status == "requested"  # what ratifies does not lapse
    chain.sign(identifier)
    assert (request.status, request.used_seq) == ("used", request.ratifies)


def test_a_rejection_closes_and_words_in_a_comment_do_not_reject() -> None:
    chain = Chain()
    chain.register("1")
    identifier = chain.request("1", "staging")
    chain.sign(identifier, comment='"decision":"rejected"')
    assert chain.state.requests[identifier].status == "signed"
    chain.sign(identifier, LEAD2, decision="rejected", comment="no")
    assert chain.state.requests[identifier].status == "rejected"


def test_a_deployment_ends_the_models_earlier_one_there_only() -> None:
    chain = Chain(risk="minimal", leads=())
    chain.register("1")
    chain.register("2")
    chain.deploy("1", "test")
    chain.deploy("1", "eu")
    chain.register("1", "fraud")
    chain.deploy("1", "test", model="fraud")
    chain.deploy("2", "test")
    assert [one.environment for one in chain.record("1").open_deployments()] == ["eu"]
    assert chain.record("1").deployments[0].ended_at == chain.record("2").deployments[0].at
    assert chain.record("1", "fraud").open_deployments("test")
    chain.end("1", "eu")
    assert chain.record("1").open_deployments() == []


def test_aliases_move_and_go() -> None:
    chain = Chain()
    chain.register("1")
    chain.register("2")
    chain.alias("champion", "1")
    chain.alias("champion", "2")
    assert chain.state.models["churn"].aliases == {"champion": "2"}
    chain.add(kinds.ALIAS_REMOVED, {"model": "churn"}, {"alias": "champion"})
    assert chain.state.models["churn"].aliases == {}


def test_tags_and_notes_gather() -> None:
    chain = Chain()
    chain.register("1", tags={"a": "1"})
    chain.add(kinds.TAGGED, chain.of("1"), {"tags": {"a": "2", "b": "3"}})
    event = chain.add(kinds.NOTED, chain.of("1"), {"text": "hm"})
    assert chain.record("1").tags == {"a": "2", "b": "3"}
    assert chain.record("1").notes == [{"at": event.at, "actor": SME, "text": "hm"}]


def test_roster_and_pipelines_keep_whoever_left() -> None:
    chain = Chain(smes=(SME2,))
    chain.approver_revoke(LEAD2)
    chain.pipeline_revoke("ci")
    assert [one.email for one in chain.state.active_leads()] == [LEAD]
    assert chain.state.approvers[LEAD2].reason == "left"
    assert chain.state.pipelines["ci"].revoked_seq == chain.state.head_seq
    assert set(chain.state.keys) == {key(name).line for name in (LEAD, LEAD2, SME2, "ci")}


def test_a_policy_comes_into_force_whole() -> None:
    chain = Chain()
    before = chain.state.policy.sha256
    chain.policy_sign(placed_on_market="2025-05-05", policy={**chain.state.policy.document, "approval_hours": 12})
    assert (chain.state.policy.approval_hours, chain.state.placed_on_market) == (12, "2025-05-05")
    assert (chain.state.policy_seq, chain.state.policy_by) == (chain.state.head_seq, LEAD)
    assert chain.state.policy.sha256 != before


def test_a_doubled_registration_leaves_the_first_standing() -> None:
    chain = Chain()
    record: VersionState = chain.register("1")
    chain.force(kinds.REGISTERED, chain.of("1"), registration("churn", "1", owner="thief"))
    assert chain.record("1") is record
    assert record.value("owner") == "team"
    assert chain.state.models["churn"].versions == ["1"]
