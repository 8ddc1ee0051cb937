"""Promotions, approvals, archivings, rollbacks that are forged: found at their place, never built upon."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from attacker import AUTHOR, CI, DROP, FORMER, LEAD, LEAD2, MALLORY, REVIEWER, Scene, altered, gate, notices, told

from manual_registry.core.canonical import dump, parse
from manual_registry.core.errors import ClockRefused, IntegrityError, RegistryError
from manual_registry.core.results import LinkStatus
from manual_registry.core.statements import APPROVAL_NAMESPACE, CONTROL_NAMESPACE
from manual_registry.core.times import stamp


def place(seq: int) -> str:
    return f"ledger/{seq:012d}.json"


def ready(scene: Scene, version: str = "3", *, model: str = "churn") -> dict[str, Any]:
    """The approval to production that the version has, signed and not used."""
    return scene.used(f"A{scene.seqs('approval.requested', model=model, version=version)[-1]}")


def test_the_true_promotion_is_good(scene: Scene) -> None:
    """What is forged below differs from this in one thing each."""
    scene.promoted("3", "production", approval=ready(scene))
    assert scene.errors() == []
    assert scene.as_().trace("churn@3").verified or scene.as_().trace("churn@3").complete is False


def test_the_true_promotion_by_the_tool_is_good_too(scene: Scene) -> None:
    scene.as_(CI).promote("churn@3", to="production", reason="x", pipeline="ci", pipeline_key=scene.world.key("ci"))
    assert scene.errors() == []


# -- promotions forged ------------------------------------------------------------------------------------


def without_approval(scene: Scene) -> int:
    return scene.promoted("3", "production", approval=None)


def with_an_approval_for_another_version(scene: Scene) -> int:
    scene.signed(scene.requested("4", "production"), LEAD)
    return scene.promoted("3", "production", approval=ready(scene, "4"))


def with_an_approval_for_another_model(scene: Scene) -> int:
    return scene.promoted("3", "production", approval=ready(scene, "1", model="other"))


def with_an_approval_for_another_stage(scene: Scene) -> int:
    asked = scene.requested("3", "archived")
    scene.signed(asked, LEAD)
    return scene.promoted("3", "production", approval=scene.used(asked))


def with_the_used_approval_of_staging(scene: Scene) -> int:
    return scene.promoted("3", "production", approval=scene.used(f"A{scene.seq('approval.requested', version='3')}"))


def with_another_statement_of_the_same_approval(scene: Scene) -> int:
    return scene.promoted("3", "production", approval={**ready(scene), "sha256": "0" * 64})


def with_an_approval_that_is_not_signed(scene: Scene) -> int:
    asked = scene.requested("3", "production")
    return scene.promoted("3", "production", approval={"id": asked, "sha256": None})


def with_an_approval_that_does_not_exist(scene: Scene) -> int:
    return scene.promoted("3", "production", approval={"id": "A999", "sha256": "0" * 64})


def with_an_approval_older_than_48_hours(scene: Scene) -> int:
    scene.later(hours=49)
    return scene.promoted("3", "production", approval=ready(scene))


def with_an_approval_older_than_48_hours_and_a_clock_set_back_after_others_wrote(scene: Scene) -> int:
    approval, then = ready(scene), scene.now
    scene.later(hours=60)
    scene.forge("version.noted", {"model": "churn", "version": "2"}, {"text": "sixty hours later"})
    scene.now = then + timedelta(minutes=10)
    scene.forge("version.noted", {"model": "churn", "version": "2"}, {"text": "the clock goes back"})
    return scene.promoted("3", "production", approval=approval)


def after_a_gate_report_was_attached(scene: Scene) -> int:
    approval = ready(scene)
    worse = scene.root.parent / "worse.json"
    worse.write_bytes(dump(gate("performance", value=0.82, lower=0.81)))
    scene.as_().attach("churn@3", gates=[worse])
    return scene.promoted("3", "production", approval=approval)


def without_a_pipeline(scene: Scene) -> int:
    return scene.promoted("3", "production", approval=ready(scene), key=None)


def by_a_pipeline_that_is_not_enrolled(scene: Scene) -> int:
    return scene.promoted("3", "production", approval=ready(scene), pipeline="ci9", key="stranger")


def by_a_revoked_pipeline(scene: Scene) -> int:
    scene.as_(LEAD).pipeline_revoke("ci", reason="x", as_=LEAD, key=scene.world.key(LEAD))
    return scene.promoted("3", "production", approval=ready(scene))


def by_a_lead_in_the_place_of_the_pipeline(scene: Scene) -> int:
    return scene.promoted("3", "production", approval=ready(scene), key=LEAD)


def by_another_pipelines_key(scene: Scene) -> int:
    return scene.promoted("3", "production", approval=ready(scene), key="ci2")


def by_a_stranger(scene: Scene) -> int:
    return scene.promoted("3", "production", approval=ready(scene), key="stranger")


def for_another_version(scene: Scene) -> int:
    other = scene.state().versions["churn", "4"]
    subject = [{"name": "churn@4", "digest": {"sha256": other.sha256, "blake3": other.blake3}}]
    return scene.promoted("3", "production", approval=ready(scene), _outer={"subject": subject})


def without_replacing_what_is_there(scene: Scene) -> int:
    return scene.promoted("3", "production", approval=ready(scene), data={"replaces": None}, replaces=None)


def replacing_another_than_what_is_there(scene: Scene) -> int:
    return scene.promoted("3", "production", approval=ready(scene), data={"replaces": "4"}, replaces="4")


def from_a_stage_where_it_is_not(scene: Scene) -> int:
    return scene.promoted("3", "production", approval=ready(scene), data={"from": "experimental"})


def of_another_artefact(scene: Scene) -> int:
    return scene.promoted("3", "production", approval=ready(scene), data={"observed": "0" * 64})


def of_an_artefact_that_nobody_looked_at(scene: Scene) -> int:
    return scene.promoted("3", "production", approval=ready(scene), data={"observed": None})


def past_staging(scene: Scene) -> int:
    data = {"kind": "stage", "from": "experimental", "to": "production", "replaces": "2"}
    asked = f"A{scene.forge('approval.requested', {'model': 'churn', 'version': '5'}, data)}"
    return scene.promoted("5", "production", approval={"id": asked, "sha256": None})


def of_a_version_that_does_not_exist(scene: Scene) -> int:
    body = {**scene.document(scene.seq("version.promoted"))["data"]}
    return scene.forge("version.promoted", {"model": "churn", "version": "77"}, body)


def signed_for_the_event_before_the_last(scene: Scene) -> int:
    head = scene.events()[-2]
    return scene.promoted("3", "production", approval=ready(scene), ledger={"seq": head.seq, "hash": head.hash})


def signed_long_ago(scene: Scene) -> int:
    return scene.promoted("3", "production", approval=ready(scene), issued=scene.now - timedelta(hours=1))


def signed_with_less_in_it(scene: Scene) -> int:
    return scene.promoted("3", "production", approval=ready(scene), run=DROP)


def signed_with_more_in_it(scene: Scene) -> int:
    return scene.promoted("3", "production", approval=ready(scene), force=None)


def signed_under_another_policy(scene: Scene) -> int:
    return scene.promoted("3", "production", approval=ready(scene), policy="0" * 64)


def an_old_promotion_again(scene: Scene) -> int:
    """The version came back from the archive; its old promotion, approval and all, is played once more."""
    old = scene.document(scene.seqs("version.promoted", model="churn", version="1")[-1])
    return scene.forge("version.promoted", old["subject"], old["data"], actor=CI)


PROMOTIONS = [
    without_approval,
    with_an_approval_for_another_version,
    with_an_approval_for_another_model,
    with_an_approval_for_another_stage,
    with_the_used_approval_of_staging,
    with_another_statement_of_the_same_approval,
    with_an_approval_that_is_not_signed,
    with_an_approval_that_does_not_exist,
    with_an_approval_older_than_48_hours,
    with_an_approval_older_than_48_hours_and_a_clock_set_back_after_others_wrote,
    after_a_gate_report_was_attached,
    without_a_pipeline,
    by_a_pipeline_that_is_not_enrolled,
    by_a_revoked_pipeline,
    by_a_lead_in_the_place_of_the_pipeline,
    by_another_pipelines_key,
    by_a_stranger,
    for_another_version,
    without_replacing_what_is_there,
    replacing_another_than_what_is_there,
    from_a_stage_where_it_is_not,
    of_another_artefact,
    of_an_artefact_that_nobody_looked_at,
    past_staging,
    of_a_version_that_does_not_exist,
    signed_with_less_in_it,
    signed_for_the_event_before_the_last,
    signed_long_ago,
    signed_with_more_in_it,
    signed_under_another_policy,
    an_old_promotion_again,
]


@pytest.mark.parametrize("attack", PROMOTIONS)
def test_a_forged_promotion_is_found(scene: Scene, attack: Callable[[Scene], int]) -> None:
    seq = attack(scene)
    found = scene.errors()
    at = [one for one in found if one[1] == place(seq)]
    assert at, found
    assert {code for code, _ in at} <= {"MR-L008", "MR-S001", "MR-S002"}
    others = [one for one in found if one not in at]
    assert all(where.startswith("ledger/") for _, where in others)
    assert len(found) <= 4, found


@pytest.mark.slow
@pytest.mark.parametrize("attack", PROMOTIONS)
def test_nothing_is_signed_on_top_of_a_forged_promotion(scene: Scene, attack: Callable[[Scene], int]) -> None:
    """Neither pipeline nor lead puts a signature on a version whose past is forged."""
    attack(scene)
    asked = scene.requested("4", "production")
    head, keys = scene.as_().head, scene.world.keys
    attempts: list[Callable[[], object]] = [
        lambda: scene.as_(CI).rollback("churn", to="1", reason="x", pipeline="ci2", pipeline_key=keys / "ci2"),
        lambda: scene.as_(CI).promote(
            "churn@4", to="production", reason="x", pipeline="ci2", pipeline_key=keys / "ci2"
        ),
        lambda: scene.as_(LEAD).approval_sign(asked, as_=LEAD, key=keys / LEAD),
        # It is told before a key is opened, and so before anybody is asked for a passphrase.
        lambda: scene.as_(LEAD).approval_sign(asked, as_=LEAD, key=keys / "nowhere"),
        lambda: scene.as_(CI).promote(
            "churn@4", to="production", reason="x", pipeline="ci2", pipeline_key=keys / "nowhere"
        ),
    ]
    if attack is an_old_promotion_again:
        del attempts[0]  # the forged event says that it is there already: nothing is written either
    for attempt in attempts:
        with pytest.raises(RegistryError) as refusal:
            attempt()
        assert refusal.value.exit_status == 4
    assert scene.as_().head == head
    with pytest.raises(IntegrityError):
        scene.as_().archive("churn@5", reason="x")


def test_trace_does_not_lend_an_approval_to_a_forged_promotion(scene: Scene) -> None:
    for attack in (without_approval, with_an_approval_for_another_version, with_an_approval_for_another_model):
        copy = Scene.copy(scene.world, scene.root.parent / attack.__name__)
        attack(copy)
        trace = copy.as_().trace("churn@3")
        link = next(link for link in trace.links if link.kind == "approval")
        assert link.status is LinkStatus.MISSING, attack
        assert not trace.verified
        assert "No signed approval stands behind it" in trace.paragraph
        row = next(one for one in copy.as_().list() if (one["model"], one["version"]) == ("churn", "3"))
        assert row["approver"] is None
        assert copy.as_().trace("churn@3", hash=False).links[10].status is LinkStatus.MISSING


# -- approvals forged -------------------------------------------------------------------------------------


def approval(scene: Scene, version: str = "4", to: str = "production") -> str:
    return scene.requested(version, to)


def edited_after_signing(scene: Scene) -> int:
    asked = approval(scene, "3")
    line = scene.statement(asked, LEAD, comment="only for a week")
    signature = scene.sign(LEAD, line, APPROVAL_NAMESPACE)
    found = parse(line)
    assert isinstance(found, dict) and isinstance(found["predicate"], dict)
    found["predicate"]["comment"] = None
    data = {"id": asked, "statement": dump(found).decode(), "signature": signature}
    return scene.forge("approval.signed", {"model": "churn", "version": "3"}, data, actor=LEAD)


def with_a_byte_of_the_signature_changed(scene: Scene) -> int:
    asked = approval(scene, "3")
    line = scene.statement(asked, LEAD)
    good = scene.sign(LEAD, line, APPROVAL_NAMESPACE)
    body = good.splitlines()
    index = len(body[-2]) // 2
    body[-2] = body[-2][:index] + ("A" if body[-2][index] != "A" else "B") + body[-2][index + 1 :]
    data = {"id": asked, "statement": line.decode(), "signature": "\n".join(body) + "\n"}
    return scene.forge("approval.signed", {"model": "churn", "version": "3"}, data, actor=LEAD)


def by_somebody_outside_the_roster(scene: Scene) -> int:
    return scene.signed(approval(scene, "3"), MALLORY)


def in_a_leads_name_by_a_stranger(scene: Scene) -> int:
    return scene.signed(approval(scene, "3"), LEAD, key="stranger")


def in_a_leads_name_by_another_lead(scene: Scene) -> int:
    return scene.signed(approval(scene, "3"), LEAD, key=LEAD2)


def by_the_reviewer(scene: Scene) -> int:
    return scene.signed(approval(scene, "3"), REVIEWER)


def by_the_reviewer_who_calls_herself_lead(scene: Scene) -> int:
    return scene.signed(approval(scene, "3"), REVIEWER, role="ai-governance-lead")


def by_the_registrant(scene: Scene) -> int:
    return scene.signed(approval(scene, "4"), AUTHOR)


def by_a_revoked_lead(scene: Scene) -> int:
    return scene.signed(approval(scene, "3"), FORMER)


def by_the_pipeline(scene: Scene) -> int:
    return scene.signed(approval(scene, "3"), LEAD, key="ci")


def in_another_namespace(scene: Scene) -> int:
    asked = approval(scene, "3")
    line = scene.statement(asked, LEAD)
    data = {"id": asked, "statement": line.decode(), "signature": scene.sign(LEAD, line, CONTROL_NAMESPACE)}
    return scene.forge("approval.signed", {"model": "churn", "version": "3"}, data, actor=LEAD)


def over_another_kind_of_statement(scene: Scene) -> int:
    asked = approval(scene, "3")
    return scene.signed(
        asked, LEAD, line=scene.statement(asked, LEAD, _outer={"predicateType": "urn:manual-registry:promotion:1"})
    )


def issued_in_the_future(scene: Scene) -> int:
    return scene.signed(approval(scene, "3"), LEAD, issued=scene.now + timedelta(hours=1))


def issued_long_ago(scene: Scene) -> int:
    return scene.signed(approval(scene, "3"), LEAD, issued=scene.now - timedelta(hours=49))


def changed(**changes: Any) -> Callable[[Scene], int]:
    def attack(scene: Scene) -> int:
        asked = approval(scene, "3")
        return scene.signed(asked, LEAD, line=altered(scene.statement(asked, LEAD), **changes))

    attack.__name__ = "_".join(["changed", *changes])
    return attack


def of_another_request(scene: Scene) -> int:
    """A signed approval of the same version, under the number of another request."""
    first, second = approval(scene, "3"), approval(scene, "3")
    return scene.signed(second, LEAD, line=scene.statement(first, LEAD))


def of_another_version(scene: Scene) -> int:
    first, second = approval(scene, "4"), approval(scene, "3")
    return scene.signed(second, LEAD, line=scene.statement(first, LEAD))


def for_the_archive(scene: Scene) -> int:
    first, second = approval(scene, "3", "archived"), approval(scene, "3")
    return scene.signed(second, LEAD, line=scene.statement(first, LEAD))


def of_a_withdrawn_request(scene: Scene) -> int:
    asked = approval(scene, "3")
    scene.forge("approval.withdrawn", {"model": "churn", "version": "3"}, {"id": asked})
    return scene.signed(asked, LEAD)


def of_a_used_request(scene: Scene) -> int:
    used = f"A{scene.seq('approval.requested', version='3')}"
    return scene.signed(used, LEAD)


def with_an_integer_spelt_as_a_float(scene: Scene) -> int:
    asked = approval(scene, "3")
    line = scene.statement(asked, LEAD).replace(b'"seq":', b'"seq":1e0,"seq":', 1)
    return scene.signed(asked, LEAD, line=line)


def with_a_doubled_member(scene: Scene) -> int:
    asked = approval(scene, "3")
    line = scene.statement(asked, LEAD).replace(
        b'"decision":"approved"', b'"decision":"rejected","decision":"approved"'
    )
    return scene.signed(asked, LEAD, line=line)


def with_an_escaped_word(scene: Scene) -> int:
    asked = approval(scene, "3")
    line = scene.statement(asked, LEAD, decision="rejected", comment="no").replace(b'"rejected"', b'"\\u0072ejected"')
    return scene.signed(asked, LEAD, line=line)


def with_a_blank_more(scene: Scene) -> int:
    asked = approval(scene, "3")
    return scene.signed(asked, LEAD, line=scene.statement(asked, LEAD).replace(b'":"', b'": "', 1))


def with_windows_line_ends(scene: Scene) -> int:
    asked = approval(scene, "3")
    return scene.signed(asked, LEAD, line=scene.statement(asked, LEAD).replace(b"\n", b"\r\n"))


def with_gates_in_another_order(scene: Scene) -> int:
    asked = approval(scene, "3")
    found = parse(scene.statement(asked, LEAD))
    assert (
        isinstance(found, dict)
        and isinstance(found["predicate"], dict)
        and isinstance(found["predicate"]["gates"], list)
    )
    return scene.signed(asked, LEAD, gates=found["predicate"]["gates"][::-1])


def with_one_gate_less(scene: Scene) -> int:
    asked = approval(scene, "3")
    found = parse(scene.statement(asked, LEAD))
    assert (
        isinstance(found, dict)
        and isinstance(found["predicate"], dict)
        and isinstance(found["predicate"]["gates"], list)
    )
    return scene.signed(asked, LEAD, gates=found["predicate"]["gates"][:-1])


def with_a_head_that_is_none(scene: Scene) -> int:
    return scene.signed(approval(scene, "3"), LEAD, ledger={"seq": 3, "hash": "sha256:" + "a" * 64})


def in_the_name_of_another_alphabet(scene: Scene) -> int:
    asked = approval(scene, "3")
    return scene.signed(asked, LEAD, line=scene.statement(asked, LEAD, approver="leаd@example.org"))


def in_upper_case(scene: Scene) -> int:
    asked = approval(scene, "3")
    return scene.signed(asked, LEAD, line=scene.statement(asked, LEAD, approver="Lead@example.org"))


APPROVALS = [
    edited_after_signing,
    with_a_byte_of_the_signature_changed,
    by_somebody_outside_the_roster,
    in_a_leads_name_by_a_stranger,
    in_a_leads_name_by_another_lead,
    by_the_reviewer,
    by_the_reviewer_who_calls_herself_lead,
    by_the_registrant,
    by_a_revoked_lead,
    by_the_pipeline,
    in_another_namespace,
    over_another_kind_of_statement,
    issued_in_the_future,
    issued_long_ago,
    changed(registry={"id": "f" * 32}),
    changed(key="SHA256:another"),
    changed(replaces="1"),
    changed(to="staging"),
    changed(**{"from": "archived"}),
    changed(composite_id="churn@4"),
    changed(policy="0" * 64),
    changed(card=None),
    changed(approval_id="A1"),
    changed(comment=DROP),
    changed(delegation=DROP),
    changed(exceptions=DROP),
    changed(waived=None),
    changed(waived=True),
    changed(_outer={"more": None}),
    changed(_outer={"_type": "another"}),
    changed(decision="yes"),
    changed(decision=DROP),
    changed(issued_at=DROP),
    changed(issued_at=7),
    changed(ledger=DROP),
    changed(ledger={"seq": True, "hash": "x"}),
    changed(role="technical-sme"),
    changed(comment=7),
    changed(_outer={"subject": []}),
    of_another_request,
    of_another_version,
    for_the_archive,
    of_a_withdrawn_request,
    of_a_used_request,
    with_an_integer_spelt_as_a_float,
    with_a_doubled_member,
    with_an_escaped_word,
    with_a_blank_more,
    with_windows_line_ends,
    with_gates_in_another_order,
    with_one_gate_less,
    with_a_head_that_is_none,
    in_the_name_of_another_alphabet,
    in_upper_case,
]


@pytest.mark.parametrize("attack", APPROVALS, ids=lambda attack: attack.__name__)
def test_a_forged_approval_is_found(scene: Scene, attack: Callable[[Scene], int]) -> None:
    seq = attack(scene)
    found = [one for one in scene.errors() if one[1].startswith("ledger/")]
    assert found
    assert {where for _, where in found} == {place(seq)}
    assert {code for code, _ in found} <= {"MR-L007", "MR-L008", "MR-S001", "MR-S002"}
    assert len(scene.errors()) <= 6, scene.errors()


@pytest.mark.parametrize("attack", APPROVALS, ids=lambda attack: attack.__name__)
def test_no_promotion_is_made_with_a_forged_approval(scene: Scene, attack: Callable[[Scene], int]) -> None:
    seq = attack(scene)
    version = scene.document(seq)["subject"]["version"]
    head = scene.as_().head
    with pytest.raises(RegistryError) as refusal:
        scene.as_(CI).promote(
            f"churn@{version}", to="production", reason="x", pipeline="ci", pipeline_key=scene.world.key("ci")
        )
    assert refusal.value.exit_status == 4
    assert scene.as_().head == head


def test_an_edited_signature_and_a_strangers_have_codes_of_their_own(scene: Scene) -> None:
    for attack, code in (
        (with_a_byte_of_the_signature_changed, "MR-S001"),
        (edited_after_signing, "MR-S001"),
        (in_a_leads_name_by_a_stranger, "MR-S002"),
        (by_somebody_outside_the_roster, "MR-S002"),
    ):
        copy = Scene.copy(scene.world, scene.root.parent / attack.__name__)
        seq = attack(copy)
        assert (code, place(seq)) in copy.errors(), attack


def test_the_same_with_a_pipelines_signature(scene: Scene) -> None:
    assert ("MR-S002", place(by_a_stranger(scene))) in scene.errors()
    copy = Scene.copy(scene.world, scene.root.parent / "edited")
    seq = copy.promoted("3", "production", approval=ready(copy))
    promotion = copy.document(seq)["data"]["promotion"]
    copy.edit(seq, promotion={**promotion, "statement": promotion["statement"].replace('"run":null', '"run":"7"')})
    assert ("MR-S001", place(seq)) in copy.errors()


def test_the_approval_of_one_step_is_used_once(scene: Scene) -> None:
    """The same approval for a second promotion, after the version was taken out and brought back by hand."""
    used = ready(scene)
    scene.promoted("3", "production", approval=used)
    archive = scene.requested("3", "archived")
    scene.signed(archive, LEAD)
    body = {"from": "production", "reason": "x", "approval": scene.used(archive), "observed": None}
    scene.forge("version.archived", {"model": "churn", "version": "3"}, body)
    scene.forge("version.unarchived", {"model": "churn", "version": "3"}, {"reason": "x", "restored": False})
    assert scene.errors() == []
    seq = scene.promoted("3", "production", approval=used)
    assert ("MR-L008", place(seq)) in scene.errors()


def test_an_approval_that_was_rejected_cannot_be_used(scene: Scene) -> None:
    asked = scene.requested("3", "production")
    scene.signed(asked, LEAD, decision="rejected", comment="no")
    assert scene.errors() == []
    seq = scene.promoted("3", "production", approval=scene.used(asked))
    assert scene.errors() == [("MR-L008", place(seq))]


# -- archiving --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["none", "production", "staging"])
def test_production_is_not_archived_by_hand(scene: Scene, which: str) -> None:
    scene.as_().deploy("churn@2", environment="production", end=True)
    number = {"none": None, "production": -1, "staging": 0}[which]
    used = None if number is None else scene.used(f"A{scene.seqs('approval.requested', version='2')[number]}")
    body = {"from": "production", "reason": "x", "approval": used, "observed": None}
    seq = scene.forge("version.archived", {"model": "churn", "version": "2"}, body)
    assert scene.errors() == [("MR-L008", place(seq))]


def test_a_move_that_never_happened(scene: Scene) -> None:
    """An event says that the files lie in a bag; they lie where they were, and no command takes them away for it."""
    body = {"bag": "archive/churn/1", "manifest": "0" * 64, "payload": "0" * 64}
    scene.forge("version.moved", {"model": "churn", "version": "1"}, body)
    found = scene.errors()
    assert found
    assert all("churn/1" in where for _, where in found)
    scene.as_().note("churn@2", "a writing command")
    assert (scene.root / "models/churn/1/artefact/model-1.bin").is_file()


def test_a_move_to_a_place_outside(scene: Scene) -> None:
    outside = scene.root.parent / "outside"
    outside.mkdir()
    body = {"bag": "../outside", "manifest": "0" * 64, "payload": "0" * 64}
    seq = scene.forge("version.moved", {"model": "churn", "version": "1"}, body)
    assert ("MR-L008", place(seq)) in scene.errors()


# -- adoption ---------------------------------------------------------------------------------------------


def adopted(scene: Scene, stage: str) -> int:
    """Say by hand that an old sheet stated a version to be in ``stage``; its files are there."""
    import shutil

    from manual_registry.core.decide.registration import identifier
    from manual_registry.registry.registering import record_bytes

    data = {**scene.document(scene.seq("version.registered", version="5"))["data"], "gates": [], "card": None}
    data["composite_id"] = identifier("fraud", "1", data)
    stated = {"source": "old.xlsx", "sha256": "ab" * 32, "sheet": "Models", "row": 4, "stage": stage, "stated": {}}
    data["baseline"] = stated
    shutil.copytree(scene.root / "models/churn/5", scene.root / "models/fraud/1")
    scene.put(scene.root / "models/fraud/1/record.json", record_bytes(scene.state().registry_id, "fraud", "1", data))
    return scene.forge("version.adopted", {"model": "fraud", "version": "1"}, data)


def baseline(scene: Scene) -> str:
    record = scene.state().versions["fraud", "1"]
    one = {"model": "fraud", "version": "1", "blake3": record.blake3, "stage": record.stage}
    data = {"source": "old.xlsx", "sha256": "ab" * 32, "versions": [one]}
    return f"A{scene.forge('baseline.opened', {}, data)}"


def test_an_adopted_version_is_in_no_governed_stage_until_a_lead_confirms_it(scene: Scene) -> None:
    seq = adopted(scene, "production")
    assert scene.errors() == [("MR-W001", place(seq))]
    asked = baseline(scene)
    assert scene.errors() == []
    assert ("MR-W001", f"approvals/{asked}") in notices(scene.verify())
    scene.later(hours=49)
    assert scene.errors() == [("MR-W001", f"approvals/{asked}")]


@pytest.mark.parametrize(("key", "signer"), [("stranger", LEAD), (REVIEWER, REVIEWER), (FORMER, FORMER)])
def test_a_baseline_confirmed_by_the_wrong_person(scene: Scene, key: str, signer: str) -> None:
    from manual_registry.core.controls import baseline_details

    adopted(scene, "production")
    asked = baseline(scene)
    control = scene.control("baseline.confirm", signer, baseline_details(scene.state(), asked), key=key)
    seq = scene.forge("baseline.signed", {}, {"id": asked, "control": control}, actor=signer)
    assert place(seq) in {where for _, where in scene.errors()}


# -- rollbacks --------------------------------------------------------------------------------------------


def test_a_true_rollback_is_good_until_nobody_ratifies_it(scene: Scene) -> None:
    seq = scene.rolled_back("1")
    assert scene.errors() == []
    assert ("MR-W001", f"approvals/A{seq}") in notices(scene.verify())
    scene.later(hours=49)
    assert scene.errors() == [("MR-W001", f"approvals/A{seq}")]


def rollback_without_a_pipeline(scene: Scene) -> int:
    return scene.rolled_back("1", key=None)


def rollback_by_a_stranger(scene: Scene) -> int:
    return scene.rolled_back("1", key="stranger")


def rollback_to_a_version_that_never_was_in_production(scene: Scene) -> int:
    return scene.rolled_back("6", data={"restored": True})


def rollback_from_staging(scene: Scene) -> int:
    return scene.rolled_back("3")


def rollback_on_another_approval(scene: Scene) -> int:
    return scene.rolled_back(
        "1", data={"approval": scene.used(f"A{scene.seqs('approval.requested', version='2')[-1]}")}
    )


def rollback_on_staging_approval(scene: Scene) -> int:
    return scene.rolled_back("1", data={"approval": scene.used(f"A{scene.seqs('approval.requested', version='1')[0]}")})


def rollback_on_none(scene: Scene) -> int:
    return scene.rolled_back("1", data={"approval": None})


def rollback_that_hides_what_it_replaces(scene: Scene) -> int:
    return scene.rolled_back("1", data={"replaces": None})


def rollback_without_a_reason(scene: Scene) -> int:
    return scene.rolled_back("1", data={"reason": " "})


def rollback_that_was_restored_from_nowhere(scene: Scene) -> int:
    return scene.rolled_back("1", data={"restored": True})


def rollback_after_its_lead_was_revoked(scene: Scene) -> int:
    scene.as_(LEAD2).approver_revoke(LEAD, reason="left", as_=LEAD2, key=scene.world.key(LEAD2))
    return scene.rolled_back("1")


@pytest.mark.parametrize(
    "attack",
    [
        rollback_without_a_pipeline,
        rollback_by_a_stranger,
        rollback_to_a_version_that_never_was_in_production,
        rollback_from_staging,
        rollback_on_another_approval,
        rollback_on_staging_approval,
        rollback_on_none,
        rollback_that_hides_what_it_replaces,
        rollback_without_a_reason,
        rollback_that_was_restored_from_nowhere,
        rollback_after_its_lead_was_revoked,
    ],
)
def test_a_forged_rollback_is_found(scene: Scene, attack: Callable[[Scene], int]) -> None:
    seq = attack(scene)
    found = [one for one in scene.errors() if one[1].startswith("ledger/")]
    assert {where for _, where in found} == {place(seq)}


@pytest.mark.parametrize("who", [REVIEWER, FORMER, MALLORY])
def test_a_rollback_ratified_by_the_wrong_person(scene: Scene, who: str) -> None:
    asked = f"A{scene.rolled_back('1')}"
    seq = scene.signed(asked, who)
    assert place(seq) in {where for _, where in scene.errors()}


def test_a_rollback_ratified_by_who_registered_the_version(scene: Scene) -> None:
    """churn@4 was registered by a lead: they may not be the one who ratifies its return."""
    scene.signed(scene.requested("4", "production"), LEAD)
    scene.promoted("4", "production", approval=ready(scene, "4"))
    scene.promoted("3", "production", approval=_again(scene, "3"))
    assert scene.errors() == []
    asked = f"A{scene.rolled_back('4')}"
    seq = scene.signed(asked, AUTHOR)
    assert scene.errors() == [("MR-L008", place(seq))]


def _again(scene: Scene, version: str) -> dict[str, Any]:
    asked = scene.requested(version, "production")
    scene.signed(asked, LEAD)
    return scene.used(asked)


def test_a_rollback_that_a_lead_rejects_stays_a_finding(scene: Scene) -> None:
    asked = f"A{scene.rolled_back('1')}"
    scene.signed(asked, LEAD, decision="rejected", comment="why at night?")
    assert scene.errors() == [("MR-W001", f"approvals/{asked}")]


def test_a_rollback_ratified_too_late(scene: Scene) -> None:
    asked = f"A{scene.rolled_back('1')}"
    scene.later(hours=49)
    seq = scene.signed(asked, LEAD)
    assert scene.errors() == [("MR-L008", place(seq))]


def test_a_ratification_dated_back_is_found_with_an_anchor(scene: Scene) -> None:
    """Only the lead's own clock says that it was in time; who kept an anchor of a later hour knows better."""
    asked = f"A{scene.rolled_back('1')}"
    early = scene.as_().anchor()
    scene.later(hours=60)
    kept = scene.as_().anchor()
    scene.later(hours=-59)
    seq = scene.signed(asked, LEAD)
    assert scene.errors() == []
    assert scene.errors(anchor=early) == []
    assert scene.errors(anchor=kept) == [("MR-W001", f"approvals/{asked}")]
    assert ("MR-L009", place(seq)) in notices(scene.verify(anchor=kept))


def test_a_rollback_is_not_ratified_by_an_approval_of_something_else(scene: Scene) -> None:
    asked = f"A{scene.rolled_back('1')}"
    other = scene.requested("3", "production")
    seq = scene.signed(asked, LEAD, line=scene.statement(other, LEAD))
    assert place(seq) in {where for _, where in scene.errors()}
    copy = Scene.copy(scene.world, scene.root.parent / "withdrawn")
    asked = f"A{copy.rolled_back('1')}"
    seq = copy.forge("approval.withdrawn", {"model": "churn", "version": "1"}, {"id": asked})
    assert place(seq) in {where for _, where in copy.errors()}


# -- time -------------------------------------------------------------------------------------------------


def test_an_unsigned_event_dated_back_is_told(scene: Scene) -> None:
    seq = scene.forge(
        "version.noted", {"model": "churn", "version": "2"}, {"text": "x"}, at=stamp(scene.now - timedelta(days=3))
    )
    outcome = scene.verify()
    assert outcome.ok
    assert ("MR-L009", place(seq)) in notices(outcome)


def test_a_governed_event_dated_back_is_found(scene: Scene) -> None:
    earlier = scene.now - timedelta(minutes=9)  # the last event was written three minutes ago
    seq = scene.promoted("3", "production", approval=ready(scene), issued=earlier, at=stamp(earlier))
    assert ("MR-L008", place(seq)) in scene.errors()
    assert ("MR-L009", place(seq)) in notices(scene.verify())


@pytest.mark.parametrize(
    "at",
    [
        "2026-11-02T09:00:00Z",
        "2026-11-02T09:00:00.000+00:00",
        "2026-11-02 09:00:00.000Z",
        "tomorrow",
        "2026-11-02",
        "9999-99-99T00:00:00.000Z",
        "",
    ],
)
def test_a_time_in_another_spelling(scene: Scene, at: str) -> None:
    seq = scene.forge("version.noted", {"model": "churn", "version": "2"}, {"text": "x"}, at=at)
    assert ("MR-L008", place(seq)) in scene.errors()


def test_with_a_clock_set_back_governed_commands_refuse_and_others_warn(scene: Scene) -> None:
    scene.later(minutes=-9)
    keys = scene.world.keys
    attempts: list[Callable[[], object]] = [
        lambda: scene.as_(CI).promote("churn@3", to="production", reason="x", pipeline="ci", pipeline_key=keys / "ci"),
        lambda: scene.as_().approval_request("churn@5", to="staging"),
        lambda: scene.as_().archive("churn@5", reason="x"),
        lambda: scene.as_(LEAD).pipeline_revoke("ci2", reason="x", as_=LEAD, key=keys / LEAD),
    ]
    for attempt in attempts:
        with pytest.raises(RegistryError) as refusal:
            attempt()
        assert any(isinstance(reason, ClockRefused) for reason in refusal.value.reasons)
    registry = scene.as_()
    registry.note("churn@2", "a note")
    assert any("clock" in one for one in registry.warnings)
    assert told(scene.verify()) == []


def test_with_a_clock_a_little_behind_all_goes_on(scene: Scene) -> None:
    scene.later(minutes=-7)
    scene.as_(CI).promote("churn@3", to="production", reason="x", pipeline="ci", pipeline_key=scene.world.key("ci"))
    assert told(scene.verify()) == []


def test_an_actor_who_is_none(scene: Scene) -> None:
    for actor in ("", "Lead@example.org", "lead", "lead@example.org\n", "*@example.org"):
        copy = Scene.copy(scene.world, scene.root.parent / f"actor{len(actor)}{actor[:1].strip('*')}")
        seq = copy.forge("version.noted", {"model": "churn", "version": "2"}, {"text": "x"}, actor=actor)
        assert ("MR-L008", place(seq)) in copy.errors(), actor
