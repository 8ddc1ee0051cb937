"""What a newer tool wrote is answered as newer (exit 7, MR-I026), by every command, and never skipped."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from attacker import CI, LEAD, MALLORY, Scene, notices, snapshot

from manual_registry.core.errors import FormatTooNew
from manual_registry.core.ledger import hash_of
from manual_registry.core.statements import APPROVAL_NAMESPACE

NOTE = ({"model": "churn", "version": "2"}, {"text": "a note"})


def an_unknown_type(scene: Scene) -> int:
    return scene.forge("version.blessed", *NOTE)


def an_unknown_member_of_data(scene: Scene) -> int:
    return scene.forge("version.noted", NOTE[0], {**NOTE[1], "colour": "red"})


def an_unknown_member_of_subject(scene: Scene) -> int:
    return scene.forge("version.noted", {**NOTE[0], "tenant": "x"}, NOTE[1])


def outer(scene: Scene, **members: Any) -> int:
    seq = scene.forge("version.noted", *NOTE)
    scene.write(seq, {**scene.document(seq), **members})
    return seq


def an_unknown_member_of_the_event(scene: Scene) -> int:
    return outer(scene, signature="…")


def another_format(scene: Scene) -> int:
    return outer(scene, format=2)


def another_format_with_another_form(scene: Scene) -> int:
    seq = outer(scene)
    document = {**scene.document(seq), "format": 2}
    del document["actor"]
    scene.write(seq, document)
    return seq


def a_role(scene: Scene) -> int:
    what = {"approver": MALLORY, "name": "Dora", "role": "chief-of-all", "key": scene.key_line(MALLORY)}
    control = scene.control("approver.add", LEAD, what)
    data = {name: what[name] for name in ("name", "role", "key")}
    return scene.forge("roster.added", {"approver": MALLORY}, {**data, "control": control}, actor=LEAD)


def a_request_for_a_change_that_is_new(scene: Scene) -> int:
    return scene.forge("control.requested", {}, {"action": "registry.merge", "subject": {}, "data": {"reason": "x"}})


def a_request_of_kind_baseline(scene: Scene) -> int:
    data = {"kind": "baseline", "from": "experimental", "to": "staging", "replaces": None}
    return scene.forge("approval.requested", {"model": "churn", "version": "5"}, data)


def a_promotion_with_a_token(scene: Scene) -> int:
    seq = scene.promoted(
        "3", "production", approval=scene.used(f"A{scene.seqs('approval.requested', version='3')[-1]}")
    )
    promotion = scene.document(seq)["data"]["promotion"]
    scene.edit(seq, promotion={"pipeline": promotion["pipeline"], "statement": promotion["statement"], "token": "ey…"})
    return seq


def a_control_with_a_countersignature(scene: Scene) -> int:
    what = {"pipeline": "ci3", "key": scene.key_line("spare"), "oidc": None}
    control = {**scene.control("pipeline.add", LEAD, what), "countersignature": "…"}
    return scene.forge(
        "pipeline.added", {"pipeline": "ci3"}, {"key": what["key"], "oidc": None, "control": control}, actor=LEAD
    )


NEWER = [
    an_unknown_type,
    an_unknown_member_of_data,
    an_unknown_member_of_subject,
    an_unknown_member_of_the_event,
    another_format,
    another_format_with_another_form,
    a_role,
    a_request_for_a_change_that_is_new,
    a_request_of_kind_baseline,
    a_promotion_with_a_token,
    a_control_with_a_countersignature,
]


@pytest.mark.parametrize("attack", NEWER, ids=lambda attack: attack.__name__)
def test_every_command_says_newer_and_writes_nothing(scene: Scene, attack: Callable[[Scene], int]) -> None:
    seq = attack(scene)
    before = snapshot(scene.root)
    keys = scene.world.keys
    attempts: list[Callable[[], object]] = [
        lambda: scene.as_().list(),
        lambda: scene.as_().status(),
        lambda: scene.as_().show("churn@2"),
        lambda: scene.as_().history(),
        lambda: scene.as_().trace("churn@2"),
        lambda: scene.as_().trace("churn@2", hash=False),
        lambda: scene.as_().approval_list(),
        lambda: scene.as_().note("churn@2", "a note"),
        lambda: scene.as_().approval_request("churn@5", to="staging"),
        lambda: scene.as_(CI).promote("churn@3", to="production", reason="x", pipeline="ci", pipeline_key=keys / "ci"),
        lambda: scene.as_(LEAD).pipeline_revoke("ci2", reason="x", as_=LEAD, key=keys / LEAD),
        lambda: scene.as_().reset_view(),
    ]
    for attempt in attempts:
        with pytest.raises(FormatTooNew) as refusal:
            attempt()
        assert (refusal.value.exit_status, refusal.value.code) == (7, "MR-I026")
        assert refusal.value.location == f"ledger/{seq:012d}.json"
    assert snapshot(scene.root) == before


@pytest.mark.parametrize("attack", NEWER, ids=lambda attack: attack.__name__)
def test_verify_tells_it_as_a_finding_and_stops_there(scene: Scene, attack: Callable[[Scene], int]) -> None:
    seq = attack(scene)
    assert scene.errors() == [("MR-I026", f"ledger/{seq:012d}.json")]
    assert ("MR-F003", "ledger/") in notices(scene.verify())


def test_a_newer_event_is_not_skipped_by_an_index_that_was_made_before_it(scene: Scene) -> None:
    assert scene.as_().trace("churn@2", hash=False)
    assert scene.as_().trace("churn@2", hash=False)
    an_unknown_type(scene)
    with pytest.raises(FormatTooNew):
        scene.as_().trace("churn@2", hash=False)


def test_a_text_that_only_speaks_of_delegation_is_nothing_newer(scene: Scene) -> None:
    asked = scene.requested("3", "production")
    comment = 'see "delegation":{"by":"x"} and "exceptions":[1], "decision":"rejected"'
    scene.signed(asked, LEAD, line=scene.statement(asked, LEAD, comment=comment))
    assert scene.errors() == []
    assert scene.state().requests[asked].status == "signed"
    assert APPROVAL_NAMESPACE.startswith("stage-approval")


def test_the_command_line_exits_7_with_the_code(scene: Scene) -> None:
    seq = an_unknown_type(scene)
    kept, scene.world.root = scene.world.root, scene.root
    try:
        listed = scene.world.cli("list", "--json")
        verified = scene.world.cli("verify", "--json")
    finally:
        scene.world.root = kept
    assert (listed.returncode, listed.stdout) == (7, "")
    assert json.loads(listed.stderr)["error"]["code"] == "MR-I026"
    assert verified.returncode == 4
    errors = [one for one in json.loads(verified.stdout)["findings"] if one["severity"] == "error"]
    assert [(one["code"], one["location"]) for one in errors] == [("MR-I026", f"ledger/{seq:012d}.json")]


def test_an_older_format_is_no_format(scene: Scene) -> None:
    for number in (0, -1):
        seq = outer(scene, format=number)
        assert scene.errors() == [("MR-L002", f"ledger/{seq:012d}.json")]
        scene.path(seq).unlink()
    assert hash_of(b"") == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
