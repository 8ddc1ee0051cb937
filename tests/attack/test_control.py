"""Delegations, exceptions, requests, recovery: somebody with write access to the folder makes them up (RP-14, 20, 21).

Each forged event fits the chain perfectly. `verify` finds it at its own place, and what rests on it is refused.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from attacker import CI, LEAD, LEAD2, MALLORY, REVIEWER, SME, Scene, altered, gate, told

from manual_registry.adapters.keys import generate_ed25519
from manual_registry.core.controls import details as control_details
from manual_registry.core.errors import IntegrityError, RegistryError
from manual_registry.core.statements import CONTROL_NAMESPACE

DEPUTY = "deputy@example.org"


def place(seq: int) -> str:
    return f"ledger/{seq:012d}.json"


def new_key(scene: Scene, who: str) -> Path:
    if not scene.world.key(who).exists():
        generate_ed25519(scene.world.key(who), who)
    return scene.world.public(who)


def deputy(scene: Scene, **scope: str) -> None:
    """Enrol a delegate, and delegate by the lead's true signature."""
    lead: dict[str, Any] = {"as_": LEAD, "key": scene.world.key(LEAD)}
    public = new_key(scene, DEPUTY)
    scene.as_(LEAD).approver_add(f"Dee <{DEPUTY}>", role="delegate", public_key=public, **lead)
    if scope:
        scene.as_(LEAD).approver_delegate(DEPUTY, reason="leave", **scope, **lead)  # type: ignore[arg-type]


SCOPE = {"models": "churn", "from_": "2026-11-02", "until": "2026-11-30"}


def first_errors(scene: Scene, seq: int) -> list[str]:
    """Return the codes of the errors at an event."""
    return [code for code, where in scene.errors() if where == place(seq)]


def delegated(scene: Scene) -> dict[str, int]:
    state = scene.state()
    found = next(iter(state.delegations.values()))
    return {"seq": found.seq, "hash": found.hash}  # type: ignore[dict-item]


# -- delegates ---------------------------------------------------------------------------------------------


def test_within_the_scope_it_is_good(scene: Scene) -> None:
    """So that the forgeries below fail for the reason that they are meant to fail for."""
    deputy(scene, **SCOPE)
    identifier = scene.as_().approval_request("churn@5", to="staging").id or ""
    scene.as_(DEPUTY).approval_sign(identifier, as_=DEPUTY, key=scene.world.key(DEPUTY))
    assert scene.errors() == []


@pytest.mark.parametrize(("version", "model", "to"), [("1", "other", "production"), ("5", "churn", "staging")])
def test_a_delegate_outside_the_scope(scene: Scene, version: str, model: str, to: str) -> None:
    scope = SCOPE if model == "other" else {**SCOPE, "until": "2026-11-02"}
    deputy(scene, **scope)
    named = delegated(scene)
    if model == "churn":
        scene.later(days=1)
    seq = scene.signed(scene.requested(version, to, model=model), DEPUTY, delegation=named)
    assert first_errors(scene, seq) == ["MR-L008"]
    with pytest.raises(RegistryError) as refusal:
        scene.as_(CI).promote(
            f"{model}@{version}", to=to, reason="x", pipeline="ci", pipeline_key=scene.world.key("ci")
        )
    assert refusal.value.exit_status == 4


def test_a_delegate_without_a_delegation(scene: Scene) -> None:
    deputy(scene)
    seq = scene.signed(scene.requested("5", "staging"), DEPUTY)
    assert first_errors(scene, seq) == ["MR-L008"]


def test_a_delegation_that_the_statement_makes_up(scene: Scene) -> None:
    deputy(scene)
    made_up = {"seq": scene.head, "hash": scene.as_().head[1]}
    seq = scene.signed(scene.requested("5", "staging"), DEPUTY, delegation=made_up)
    assert set(first_errors(scene, seq)) == {"MR-L008"}


def test_a_delegate_who_was_revoked(scene: Scene) -> None:
    deputy(scene, **SCOPE)
    named = delegated(scene)
    scene.as_(LEAD).approver_revoke(DEPUTY, reason="back", as_=LEAD, key=scene.world.key(LEAD))
    seq = scene.signed(scene.requested("5", "staging"), DEPUTY, delegation=named)
    assert first_errors(scene, seq) == ["MR-L008"]


def delegation(scene: Scene, to: str, signer: str, *, key: str | None = None) -> int:
    data = {"models": "*", "from": "2026-11-02", "until": "2027-11-02", "reason": "because"}
    control = scene.control("approver.delegate", signer, {"approver": to, **data}, key=key)
    return scene.forge("roster.delegated", {"approver": to}, {**data, "control": control}, actor=signer)


@pytest.mark.parametrize(
    ("signer", "key", "code"),
    [(DEPUTY, None, "MR-L008"), (LEAD, DEPUTY, "MR-S002"), (REVIEWER, None, "MR-L008"), (LEAD, "stranger", "MR-S002")],
)
def test_a_delegate_who_delegates(scene: Scene, signer: str, key: str | None, code: str) -> None:
    deputy(scene, **SCOPE)
    seq = delegation(scene, DEPUTY, signer, key=key)
    assert first_errors(scene, seq) == [code]
    with pytest.raises(IntegrityError):
        scene.as_().approver_list()


def test_nobody_is_made_a_delegate_by_a_delegation(scene: Scene) -> None:
    assert first_errors(scene, delegation(scene, REVIEWER, LEAD)) == ["MR-L008"]


# -- exceptions --------------------------------------------------------------------------------------------


def failing(scene: Scene, version: str = "7") -> None:
    """Register a version whose fairness gate failed."""
    gates = [gate("performance"), gate("fairness", lower=0.5, value=0.55, passed=False), gate("security")]
    path = scene.world.artefact(version)
    scene.as_().register("churn", version, path, metadata=scene.world.metadata(gates=gates))


WORDS = {
    "severity": "high",
    "justification": "x",
    "controls": "x",
    "expires": "2026-12-31",
    "remediation": "x",
    "remediation_date": "2026-12-31",
    "root_cause": "x",
}


def exception(scene: Scene, signer: str = LEAD, *, version: str = "7", key: str | None = None, **changes: Any) -> int:
    record = scene.state().versions["churn", version]
    report = next(one["sha256"] for one in record.gates if one["gate"] == "fairness")
    subject = {"model": "churn", "version": version}
    data = {"gate": "fairness", "report": report, **WORDS, **changes}
    control = scene.control("exception.grant", signer, control_details(subject, data), key=key)
    return scene.forge("exception.granted", subject, {**data, "control": control}, actor=signer)


@pytest.mark.parametrize(
    ("signer", "key", "code"),
    [(LEAD, "stranger", "MR-S002"), (REVIEWER, None, "MR-L008"), (MALLORY, None, "MR-L008"), (LEAD, "ci", "MR-S002")],
)
def test_an_exception_that_no_lead_signed(scene: Scene, signer: str, key: str | None, code: str) -> None:
    failing(scene)
    seq = exception(scene, signer, key=key)
    assert first_errors(scene, seq) == [code]
    identifier = scene.as_().approval_request("churn@7", to="staging").id or ""
    with pytest.raises(IntegrityError):  # nobody signs for a version on that ground
        scene.as_(LEAD).approval_sign(identifier, as_=LEAD, key=scene.world.key(LEAD))


@pytest.mark.parametrize(
    "changes",
    [{"root_cause": None}, {"justification": ""}, {"expires": "2026-11-01"}, {"gate": "drift"}, {"report": "ab" * 32}],
)
def test_an_exception_that_even_a_lead_cannot_grant(scene: Scene, changes: dict[str, Any]) -> None:
    failing(scene)
    assert set(first_errors(scene, exception(scene, **changes))) == {"MR-L008"}


def test_an_exception_copied_to_another_version(scene: Scene) -> None:
    failing(scene)
    failing(scene, "8")
    true = scene.document(exception(scene))
    seq = scene.forge("exception.granted", {"model": "churn", "version": "8"}, true["data"], actor=LEAD)
    assert set(first_errors(scene, seq)) == {"MR-L008"}


def test_an_exception_prolonged_by_hand(scene: Scene) -> None:
    failing(scene)
    seq = exception(scene)
    assert first_errors(scene, seq) == []
    scene.edit(seq, expires="2036-12-31")
    assert "MR-L008" in first_errors(scene, seq)


def test_an_ended_exception_lets_no_promotion_through_and_is_found_under_production(scene: Scene) -> None:
    failing(scene)
    sign: dict[str, Any] = {"as_": LEAD, "key": scene.world.key(LEAD)}
    words = {**WORDS, "expires": "2026-11-03", "remediation_date": "2026-11-03"}
    scene.as_(LEAD).exception_grant("churn@7", gate="fairness", **words, **sign)
    ci: dict[str, Any] = {"pipeline": "ci", "pipeline_key": scene.world.key("ci")}
    for to in ("staging", "production"):
        identifier = scene.as_().approval_request("churn@7", to=to).id or ""
        scene.as_(LEAD2).approval_sign(identifier, as_=LEAD2, key=scene.world.key(LEAD2))
        if to == "staging":
            scene.as_(CI).promote("churn@7", to=to, reason="x", **ci)
    assert scene.errors() == []
    used = scene.used(identifier)
    # The clock goes on; a promotion is forged with every true signature that there is.
    scene.later(days=2)
    seq = scene.promoted("7", "production", approval=used)
    assert "MR-L008" in first_errors(scene, seq)
    assert [where for code, where in scene.errors() if code == "MR-P062"] == [place(scene.seq("exception.granted"))]


# -- requests ----------------------------------------------------------------------------------------------


def asked(scene: Scene, who: str = MALLORY) -> str:
    public = new_key(scene, who)
    return scene.as_().approver_add(f"Mallory <{who}>", role="technical-sme", public_key=public).id or ""


def answered(scene: Scene, identifier: str, *, key: str = LEAD, **changes: Any) -> dict[str, Any]:
    """Make the answer of a lead to a request by hand."""
    from manual_registry.core.statements import control_line
    from manual_registry.core.times import stamp

    state = scene.state()
    request = state.controls[identifier]
    line = control_line(
        state,
        action=request.action,
        signer=LEAD,
        key=state.approvers[LEAD].key,
        role="ai-governance-lead",
        details=control_details(request.subject, request.data),
        issued_at=stamp(scene.now),
        answers=(request.id, request.seq),
    )
    line = altered(line, **changes)
    signed = {"signer": LEAD, "statement": line.decode(), "signature": scene.sign(key, line, CONTROL_NAMESPACE)}
    return {**signed, "request": identifier}


def enrolled(scene: Scene, identifier: str, control: dict[str, Any], **changes: Any) -> int:
    request = scene.state().controls[identifier]
    data = {**request.data, **changes, "control": control}
    return scene.forge("roster.added", dict(request.subject), data, actor=LEAD)


def test_a_true_answer_is_good_though_others_wrote_meanwhile(scene: Scene) -> None:
    identifier = asked(scene)
    control = answered(scene, identifier)
    scene.as_().note("churn@2", "in between")
    enrolled(scene, identifier, control)
    assert [one for one in scene.errors() if one[1].startswith("ledger/")] == []


@pytest.mark.parametrize(
    ("forge", "code"),
    [
        (lambda scene, name: answered(scene, name, key="stranger"), "MR-S002"),
        (lambda scene, name: answered(scene, name, registry={"id": "f" * 32}), "MR-L008"),
        (lambda scene, name: answered(scene, name, control_id="A1"), "MR-L008"),
        (lambda scene, name: answered(scene, name, ledger={"seq": 1, "hash": "sha256:" + "0" * 64}), "MR-L007"),
        (lambda scene, name: {**answered(scene, name), "request": "A1"}, "MR-L008"),
        (lambda scene, name: {k: v for k, v in answered(scene, name).items() if k != "request"}, "MR-L008"),
        (lambda scene, name: {**answered(scene, name), "signature": ""}, "MR-S001"),
    ],
)
def test_an_answer_that_is_none(scene: Scene, forge: Callable[[Scene, str], dict[str, Any]], code: str) -> None:
    identifier = asked(scene)
    seq = enrolled(scene, identifier, forge(scene, identifier))
    assert first_errors(scene, seq) == [code]
    with pytest.raises(IntegrityError):
        scene.as_().approver_list()


def test_an_answer_is_no_answer_to_something_bigger(scene: Scene) -> None:
    identifier = asked(scene)
    seq = enrolled(scene, identifier, answered(scene, identifier), role="ai-governance-lead")
    assert first_errors(scene, seq) == ["MR-L008"]


def test_a_request_rewritten_after_its_answer(scene: Scene) -> None:
    """The request is part of the chain: another one in its place has another hash, and the answer names the old one."""
    identifier = asked(scene)
    control = answered(scene, identifier)
    seq = int(identifier[1:])
    document = scene.document(seq)
    document["data"]["data"]["role"] = "ai-governance-lead"
    scene.write(seq, document)
    made = enrolled(scene, identifier, control)
    assert first_errors(scene, made) != []


def test_an_answer_used_twice(scene: Scene) -> None:
    identifier = asked(scene)
    control = answered(scene, identifier)
    enrolled(scene, identifier, control)
    lead: dict[str, Any] = {"as_": LEAD, "key": scene.world.key(LEAD)}
    scene.as_(LEAD).approver_revoke(MALLORY, reason="out", **lead)
    request = scene.state().controls[identifier]
    other = {**request.subject, "approver": "again@example.org"}
    seq = scene.forge("roster.added", other, {**request.data, "control": control}, actor=LEAD)
    assert set(first_errors(scene, seq)) == {"MR-L008"}


def test_an_answer_from_another_registry(scene: Scene, tmp_path: Path) -> None:
    """Two copies of one registry go on apart: each has a request of the same id, for the same change."""
    twin = Scene(world=scene.world, root=tmp_path / "twin", now=scene.now + timedelta(seconds=1))
    shutil.copytree(scene.root, twin.root)
    mine, theirs = asked(scene), asked(twin)
    assert mine == theirs
    seq = enrolled(scene, mine, answered(twin, theirs))
    assert first_errors(scene, seq) != []


def test_a_signature_in_the_inbox_of_a_stranger(scene: Scene) -> None:
    identifier = asked(scene)
    data, _ = scene.as_(LEAD).approval_statement(identifier, as_=LEAD)
    inbox = scene.root / "approvals" / ".inbox"
    inbox.mkdir(parents=True, exist_ok=True)
    forged = inbox / f"{identifier}.json.sig"
    forged.write_text(scene.sign("stranger", data, CONTROL_NAMESPACE), encoding="utf-8")
    outside = inbox / "link.sig"
    outside.symlink_to(scene.world.key(LEAD))
    registry = scene.as_()
    registry.note("churn@2", "goes on")
    assert any(forged.name in one for one in registry.warnings)
    assert forged.is_file() and outside.is_symlink()
    assert MALLORY not in scene.state().approvers
    assert scene.errors() == []


# -- recovery ----------------------------------------------------------------------------------------------


def test_a_recovery_where_no_recovery_key_was_pinned(scene: Scene) -> None:
    data = {"name": "Mallory", "key": scene.key_line(MALLORY)}
    control = scene.control("approver.recover", MALLORY, {"approver": MALLORY, **data})
    seq = scene.forge("roster.recovered", {"approver": MALLORY}, {**data, "control": {**control, "signer": "recovery"}})
    assert first_errors(scene, seq) == ["MR-L008"]
    with pytest.raises(IntegrityError):
        scene.as_().approver_list()


def test_a_recovery_key_put_into_the_first_event(scene: Scene) -> None:
    """Genesis gives the registry its id: another one is another registry, and nothing that was signed fits it."""
    scene.edit(1, recovery_key=scene.key_line(MALLORY))
    scene.rechain()
    assert len(scene.errors()) > 1
    with pytest.raises(IntegrityError):
        scene.as_().approver_list()


# -- an ssh-keygen that says yes ---------------------------------------------------------------------------


def test_an_ssh_keygen_that_says_yes_to_everything_decides_nothing(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    liar = bin_ / "ssh-keygen"
    liar.write_text('#!/bin/sh\ncat > /dev/null\necho "Good signature"\nexit 0\n', encoding="utf-8")
    liar.chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin_}{os.pathsep}{os.environ['PATH']}")
    identifier = scene.requested("5", "staging")
    seq = scene.signed(identifier, LEAD, key="stranger")
    assert first_errors(scene, seq) == ["MR-S002"]
    scene.path(seq).unlink()
    data, _ = scene.as_(LEAD).approval_statement(identifier, as_=LEAD)
    bad = tmp_path / "bad.sig"
    bad.write_text(scene.sign("stranger", data, "stage-approval@manual-registry"), encoding="utf-8")
    with pytest.raises(RegistryError):
        scene.as_().approval_import(identifier, signature=bad)
    assert told(scene.verify()) == []
    assert SME not in scene.state().approvers
