"""Roster, pipelines and policy: nobody comes in, leaves or loosens a rule without an active lead's signature (RP-14).

Each forged event fits the chain perfectly. It is found by `verify` at its own place, and no command works with it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from attacker import AUTHOR, CI, FORMER, LEAD, LEAD2, MALLORY, REVIEWER, START, Scene, snapshot, told

from manual_registry.core.canonical import dump, parse
from manual_registry.core.errors import IntegrityError, RegistryError
from manual_registry.core.statements import APPROVAL_NAMESPACE
from manual_registry.core.times import stamp


def place(seq: int) -> str:
    return f"ledger/{seq:012d}.json"


def no_command_works_with_it(scene: Scene) -> None:
    before = snapshot(scene.root)
    keys = scene.world.keys
    attempts: list[Callable[[], object]] = [
        lambda: scene.as_().list(),
        lambda: scene.as_().approver_list(),
        lambda: scene.as_().pipeline_list(),
        lambda: scene.as_().policy_show(),
        lambda: scene.as_().note("churn@2", "a note"),
        lambda: scene.as_(CI).promote("churn@3", to="production", reason="x", pipeline="ci", pipeline_key=keys / "ci"),
        lambda: scene.as_(LEAD).approver_revoke(LEAD2, reason="x", as_=LEAD, key=keys / LEAD),
    ]
    for attempt in attempts:
        with pytest.raises(IntegrityError):
            attempt()
    for hashed in (True, False):  # a trace goes on over what can be read, and says that the ledger does not hold
        assert scene.as_().trace("churn@2", hash=hashed).broken
    assert snapshot(scene.root) == before


def approver(
    scene: Scene,
    who: str,
    *,
    role: str = "ai-governance-lead",
    control: dict[str, Any] | None = None,
    name: str = "Mallory",
) -> int:
    """Forge an enrolment."""
    data = {"name": name, "role": role, "key": scene.key_line(who)}
    empty = {"signer": LEAD, "statement": "", "signature": ""}
    return scene.forge("roster.added", {"approver": who}, {**data, "control": control or empty}, actor=LEAD)


def details(scene: Scene, who: str, *, role: str = "ai-governance-lead", name: str = "Mallory") -> dict[str, Any]:
    return {"approver": who, "name": name, "role": role, "key": scene.key_line(who)}


# -- an approver added by hand ----------------------------------------------------------------------------


def by_nobody(scene: Scene) -> dict[str, Any]:
    return {"signer": LEAD, "statement": "", "signature": ""}


def by_a_stranger(scene: Scene) -> dict[str, Any]:
    return scene.control("approver.add", LEAD, details(scene, MALLORY), key="stranger")


def by_themselves(scene: Scene) -> dict[str, Any]:
    return scene.control("approver.add", MALLORY, details(scene, MALLORY))


def by_a_reviewer(scene: Scene) -> dict[str, Any]:
    return scene.control("approver.add", REVIEWER, details(scene, MALLORY))


def by_a_revoked_lead(scene: Scene) -> dict[str, Any]:
    return scene.control("approver.add", FORMER, details(scene, MALLORY))


def by_a_pipeline_key(scene: Scene) -> dict[str, Any]:
    return scene.control("approver.add", LEAD, details(scene, MALLORY), key="ci")


def by_a_lead_for_another_role(scene: Scene) -> dict[str, Any]:
    return scene.control("approver.add", LEAD, details(scene, MALLORY, role="technical-sme"))


def by_a_lead_for_another_key(scene: Scene) -> dict[str, Any]:
    return scene.control("approver.add", LEAD, {**details(scene, MALLORY), "key": scene.key_line("spare")})


def by_a_lead_in_the_wrong_namespace(scene: Scene) -> dict[str, Any]:
    made = scene.control("approver.add", LEAD, details(scene, MALLORY))
    return {**made, "signature": scene.sign(LEAD, made["statement"].encode(), APPROVAL_NAMESPACE)}


def by_a_lead_for_another_registry(scene: Scene) -> dict[str, Any]:
    return scene.control("approver.add", LEAD, details(scene, MALLORY), registry={"id": "f" * 32})


def by_a_lead_one_event_earlier(scene: Scene) -> dict[str, Any]:
    made = scene.control("approver.add", LEAD, details(scene, MALLORY))
    scene.forge("version.noted", {"model": "churn", "version": "2"}, {"text": "in between"})
    return made


def by_a_lead_long_ago(scene: Scene) -> dict[str, Any]:
    return scene.control("approver.add", LEAD, details(scene, MALLORY), issued_at=stamp(START))


def by_a_lead_with_more_in_it(scene: Scene) -> dict[str, Any]:
    return scene.control("approver.add", LEAD, details(scene, MALLORY), valid_until="2026-11-03")


def by_a_lead_with_a_second_subject(scene: Scene) -> dict[str, Any]:
    return scene.control("approver.add", LEAD, details(scene, MALLORY), _outer={"extra": None})


def in_a_later_armour(scene: Scene) -> dict[str, Any]:
    made = scene.control("approver.add", LEAD, details(scene, MALLORY))
    lines = made["signature"].splitlines()
    return {**made, "signature": "\n".join([*lines[:-2], lines[-2][:-6] + "AAAA==", lines[-1]]) + "\n"}


def in_another_spelling(scene: Scene) -> dict[str, Any]:
    line = scene.control("approver.add", LEAD, details(scene, MALLORY))["statement"].replace('":"', '": "', 1)
    from manual_registry.core.statements import CONTROL_NAMESPACE

    return {"signer": LEAD, "statement": line, "signature": scene.sign(LEAD, line.encode(), CONTROL_NAMESPACE)}


@pytest.mark.parametrize(
    ("signature", "code"),
    [
        (by_nobody, "MR-S001"),
        (by_a_stranger, "MR-S002"),
        (by_themselves, "MR-L008"),
        (by_a_reviewer, "MR-L008"),
        (by_a_revoked_lead, "MR-L008"),
        (by_a_pipeline_key, "MR-S002"),
        (by_a_lead_for_another_role, "MR-L008"),
        (by_a_lead_for_another_key, "MR-L008"),
        (by_a_lead_in_the_wrong_namespace, "MR-S001"),
        (by_a_lead_for_another_registry, "MR-L008"),
        (by_a_lead_one_event_earlier, "MR-L008"),
        (by_a_lead_long_ago, "MR-L008"),
        (by_a_lead_with_more_in_it, "MR-L008"),
        (by_a_lead_with_a_second_subject, "MR-L008"),
        (in_a_later_armour, "MR-S001"),
        (in_another_spelling, "MR-L008"),
    ],
)
def test_an_approver_added_by_hand(scene: Scene, signature: Callable[[Scene], dict[str, Any]], code: str) -> None:
    control = signature(scene)
    seq = approver(scene, MALLORY, control=control)
    assert scene.errors() == [(code, place(seq))]
    no_command_works_with_it(scene)


def test_a_forged_approver_does_not_get_into_allowed_signers_either(scene: Scene) -> None:
    seq = approver(scene, MALLORY)
    path = scene.root / "allowed_signers"
    line = (
        f'{MALLORY} namespaces="stage-approval@manual-registry",valid-after="20261102081800Z" {scene.key_line(MALLORY)}'
    )
    scene.put(path, path.read_bytes() + f"{line}\n".encode())
    count = len(path.read_text(encoding="utf-8").splitlines())
    assert scene.errors() == [("MR-S001", place(seq)), ("MR-S004", f"allowed_signers:{count}")]


def test_the_same_enrolment_signed_truly_is_good(scene: Scene) -> None:
    """So that the forgeries above fail for the reason that they are meant to fail for."""
    seq = approver(scene, MALLORY, control=scene.control("approver.add", LEAD, details(scene, MALLORY)))
    assert [one for one in scene.errors() if one[1] == place(seq)] == []
    scene.as_().note("churn@2", "goes on")
    assert scene.errors() == []


@pytest.mark.parametrize(
    "address",
    [
        "Mallory@example.org",
        "*",
        "lead@example.org,*",
        "mаllory@example.org",
        "mallory@example.org ",
        "!x@example.org",
        "",
    ],
)
def test_an_address_that_is_none_even_if_a_lead_signs_it(scene: Scene, address: str) -> None:
    what = {"approver": address, "name": "M", "role": "technical-sme", "key": scene.key_line(MALLORY)}
    control = scene.control("approver.add", LEAD, what)
    data = {name: what[name] for name in ("name", "role", "key")}
    seq = scene.forge("roster.added", {"approver": address}, {**data, "control": control}, actor=LEAD)
    assert [where for _, where in scene.errors()] == [place(seq)]
    no_command_works_with_it(scene)


@pytest.mark.parametrize("who", [LEAD2, REVIEWER])
def test_who_stands_in_the_roster_is_enrolled_once_even_if_a_lead_signs_it_again(scene: Scene, who: str) -> None:
    """A second key for a person would take the first one's place."""
    what = {"approver": who, "name": "Again", "role": "ai-governance-lead", "key": scene.key_line("spare")}
    control = scene.control("approver.add", LEAD, what)
    data = {name: what[name] for name in ("name", "role", "key")}
    seq = scene.forge("roster.added", {"approver": who}, {**data, "control": control}, actor=LEAD)
    assert scene.errors() == [("MR-L008", place(seq))]
    no_command_works_with_it(scene)


def test_who_was_revoked_comes_back_only_by_a_lead(scene: Scene) -> None:
    what = {"approver": FORMER, "name": "Again", "role": "ai-governance-lead", "key": scene.key_line("spare")}
    control = scene.control("approver.add", REVIEWER, what)
    data = {name: what[name] for name in ("name", "role", "key")}
    seq = scene.forge("roster.added", {"approver": FORMER}, {**data, "control": control}, actor=REVIEWER)
    assert [where for _, where in scene.errors()] == [place(seq)]
    no_command_works_with_it(scene)


@pytest.mark.parametrize("owner", [LEAD, LEAD2, REVIEWER, FORMER, "ci"])
def test_one_key_is_for_one_identity_and_one_kind_ever(scene: Scene, owner: str) -> None:
    what = {"approver": MALLORY, "name": "M", "role": "technical-sme", "key": scene.key_line(owner)}
    control = scene.control("approver.add", LEAD, what)
    data = {name: what[name] for name in ("name", "role", "key")}
    seq = scene.forge("roster.added", {"approver": MALLORY}, {**data, "control": control}, actor=LEAD)
    assert scene.errors() == [("MR-L008", place(seq))]
    no_command_works_with_it(scene)


@pytest.mark.parametrize("spelling", ["{0} a comment", " {0}", "{0}\n", "ssh-rsa {1}"])
def test_a_key_has_one_spelling(scene: Scene, spelling: str) -> None:
    line = scene.key_line(LEAD2)
    key = spelling.format(line, line.split()[1])
    what = {"approver": MALLORY, "name": "M", "role": "technical-sme", "key": key}
    control = scene.control("approver.add", LEAD, what)
    data = {name: what[name] for name in ("name", "role", "key")}
    seq = scene.forge("roster.added", {"approver": MALLORY}, {**data, "control": control}, actor=LEAD)
    assert {where for _, where in scene.errors()} == {place(seq)}
    no_command_works_with_it(scene)


# -- revocations ------------------------------------------------------------------------------------------


def test_a_revocation_that_no_lead_signed_takes_nothing_away(scene: Scene) -> None:
    what = {"reason": "x", "compromised_since": None}
    control = scene.control("approver.revoke", LEAD, {"approver": LEAD, **what}, key="stranger")
    seq = scene.forge("roster.revoked", {"approver": LEAD}, {**what, "control": control}, actor=LEAD)
    scene.signed(scene.requested("5", "staging"), LEAD)  # a true one after it
    assert [one for one in scene.errors() if one[1].startswith("ledger/")] == [("MR-S002", place(seq))]


def test_an_old_revocation_and_an_old_enrolment_are_no_way_in(scene: Scene) -> None:
    """Revoke and add again, both with true old statements."""
    old = scene.document(scene.seq("roster.revoked"))
    added = scene.document(scene.seq("roster.added"))
    one = scene.forge("roster.revoked", {"approver": REVIEWER}, {**old["data"]}, actor=LEAD)
    two = scene.forge("roster.added", added["subject"], added["data"], actor=LEAD)
    three = scene.forge("roster.revoked", old["subject"], old["data"], actor=LEAD)
    found = [one for one in scene.errors() if one[1].startswith("ledger/")]
    assert {where for _, where in found} == {place(one), place(two), place(three)}
    assert {code for code, _ in found} == {"MR-L008"}


def test_the_last_lead_stays(scene: Scene) -> None:
    for who in (LEAD2, AUTHOR):
        scene.as_(LEAD).approver_revoke(who, reason="left", as_=LEAD, key=scene.world.key(LEAD))
    what = {"reason": "x", "compromised_since": None}
    control = scene.control("approver.revoke", LEAD, {"approver": LEAD, **what})
    seq = scene.forge("roster.revoked", {"approver": LEAD}, {**what, "control": control}, actor=LEAD)
    assert scene.errors() == [("MR-L008", place(seq))]


# -- pipelines --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("signer", "key", "code"),
    [
        (LEAD, "stranger", "MR-S002"),
        (REVIEWER, None, "MR-L008"),
        (FORMER, None, "MR-L008"),
        (MALLORY, None, "MR-L008"),
        (LEAD, "ci", "MR-S002"),
    ],
)
def test_a_pipeline_enrolled_by_hand(scene: Scene, signer: str, key: str | None, code: str) -> None:
    line = scene.key_line(MALLORY)
    control = scene.control("pipeline.add", signer, {"pipeline": "ci3", "key": line, "oidc": None}, key=key)
    seq = scene.forge(
        "pipeline.added", {"pipeline": "ci3"}, {"key": line, "oidc": None, "control": control}, actor=LEAD
    )
    assert [one for one in scene.errors() if one[1].startswith("ledger/")] == [(code, place(seq))]
    no_command_works_with_it(scene)


@pytest.mark.parametrize("owner", [LEAD, LEAD2, FORMER, REVIEWER, "ci"])
def test_a_key_of_a_person_is_no_pipelines(scene: Scene, owner: str) -> None:
    line = scene.key_line(owner)
    control = scene.control("pipeline.add", LEAD, {"pipeline": "ci3", "key": line, "oidc": None})
    seq = scene.forge(
        "pipeline.added", {"pipeline": "ci3"}, {"key": line, "oidc": None, "control": control}, actor=LEAD
    )
    assert scene.errors() == [("MR-L008", place(seq))]
    no_command_works_with_it(scene)


def test_a_pipelines_key_is_not_replaced_under_its_name(scene: Scene) -> None:
    line = scene.key_line(MALLORY)
    control = scene.control("pipeline.add", LEAD, {"pipeline": "ci", "key": line, "oidc": None})
    seq = scene.forge("pipeline.added", {"pipeline": "ci"}, {"key": line, "oidc": None, "control": control}, actor=LEAD)
    assert scene.errors() == [("MR-L008", place(seq))]
    no_command_works_with_it(scene)


def test_an_approval_by_a_lead_is_no_enrolment(scene: Scene) -> None:
    """A statement of one kind under the name of another, with a true signature of its own namespace."""
    signed = scene.document(scene.seq("approval.signed"))["data"]
    control = {"signer": LEAD, "statement": signed["statement"], "signature": signed["signature"]}
    line = scene.key_line(MALLORY)
    seq = scene.forge(
        "pipeline.added", {"pipeline": "ci3"}, {"key": line, "oidc": None, "control": control}, actor=LEAD
    )
    assert ("MR-S001", place(seq)) in scene.errors()


# -- policy -----------------------------------------------------------------------------------------------


def policy(scene: Scene, *, control: dict[str, Any] | None = None, **changes: Any) -> int:
    genesis = scene.document(1)["data"]
    body = {name: genesis[name] for name in ("system", "risk", "placed_on_market", "policy")} | changes
    made = control or scene.control("policy.sign", LEAD, body, key="stranger")
    return scene.forge("policy.signed", {}, {**body, "control": made}, actor=LEAD)


def test_a_policy_loosened_by_hand_is_not_in_force(scene: Scene) -> None:
    from manual_registry.core.policy import default_document
    from manual_registry.core.values import Risk

    seq = policy(scene, risk="minimal", policy=default_document(Risk.MINIMAL))
    forged = scene.promoted("5", "staging", approval=None)  # what minimal risk would allow
    found = [one for one in scene.errors() if one[1].startswith("ledger/")]
    assert found[0] == ("MR-S002", place(seq))
    assert place(forged) in {where for _, where in found}  # judged by the policy that is truly in force
    no_command_works_with_it(scene)


def test_an_old_policy_does_not_come_back_with_its_old_signature(scene: Scene) -> None:
    lead, path = scene.as_(LEAD), scene.root / "registry.toml"
    first = path.read_text(encoding="utf-8")
    sign: dict[str, Any] = {"as_": LEAD, "key": scene.world.key(LEAD)}
    scene.put(path, first.replace("approval_hours = 48", "approval_hours = 24").encode())
    scene.as_(LEAD).policy_sign(**sign)
    loose = scene.document(scene.head)
    scene.put(path, first.replace("approval_hours = 48", "approval_hours = 2").encode())
    scene.as_(LEAD).policy_sign(**sign)
    assert scene.errors() == []
    seq = scene.forge("policy.signed", {}, loose["data"], actor=LEAD)
    assert ("MR-L008", place(seq)) in scene.errors()
    with pytest.raises(IntegrityError):
        lead.policy_show()


def test_a_policy_below_the_floor_is_not_in_force_even_if_a_lead_signs_it(scene: Scene) -> None:
    genesis = scene.document(1)["data"]
    body = {name: genesis[name] for name in ("system", "risk", "placed_on_market", "policy")}
    body["policy"] = {**body["policy"], "production": {"gates": []}}
    seq = policy(scene, control=scene.control("policy.sign", LEAD, body), policy=body["policy"])
    assert [where for _, where in scene.errors()] == [place(seq)]
    no_command_works_with_it(scene)


@pytest.mark.parametrize("value", [48.5, True, "48", 0, -1, 10**30, None])
def test_a_number_that_is_none(scene: Scene, value: object) -> None:
    genesis = scene.document(1)["data"]
    body = {name: genesis[name] for name in ("system", "risk", "placed_on_market", "policy")}
    spelt = float(value) if isinstance(value, int) and abs(value) > 2**53 else value
    body["policy"] = {**body["policy"], "approval_hours": spelt}
    seq = policy(scene, control=scene.control("policy.sign", LEAD, body), policy=body["policy"])
    assert place(seq) in {where for _, where in scene.errors()}
    no_command_works_with_it(scene)


# -- genesis ----------------------------------------------------------------------------------------------


def test_a_registry_without_a_lead_is_joined_once_and_by_oneself_only(
    scene: Scene, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from world import World

    from manual_registry.adapters.keys import generate_ed25519

    world = World(tmp_path_factory.mktemp("leaderless"), now=START, leads=(), pipelines=())
    for name in (LEAD, MALLORY, "stranger"):
        generate_ed25519(world.key(name), name)
    bare = Scene(world=world, root=world.root, now=START)
    # In another's name, with a key of one's own:
    control = bare.control("approver.add", LEAD, details(bare, MALLORY), key=MALLORY)
    seq = approver(bare, MALLORY, control=control)
    assert [one for one in bare.errors() if one[1].startswith("ledger/")] == [("MR-L008", place(seq))]
    bare.path(seq).unlink()
    bare.as_(LEAD).approver_add(
        f"Lead <{LEAD}>", role="ai-governance-lead", public_key=world.public(LEAD), as_=LEAD, key=world.key(LEAD)
    )
    assert bare.errors() == []
    # A second one by the same way:
    seq = approver(bare, MALLORY, control=bare.control("approver.add", MALLORY, details(bare, MALLORY)))
    assert ("MR-L008", place(seq)) in bare.errors()


def test_nothing_that_a_stranger_signs_counts_after_a_forged_enrolment(scene: Scene) -> None:
    """The pipeline is honest, the roster is not: the promotion is refused, not only found later."""
    approver(scene, MALLORY)
    request = scene.requested("5", "staging")
    scene.signed(request, MALLORY)
    with pytest.raises(RegistryError) as refusal:
        scene.as_(CI).promote("churn@5", to="staging", reason="x", pipeline="ci", pipeline_key=scene.world.key("ci"))
    assert refusal.value.exit_status == 4


def test_a_control_statement_names_its_own_place_and_nothing_else(scene: Scene) -> None:
    """What a lead signs for one place in the chain cannot be cut out and put to another one."""
    what = {"pipeline": "ci3", "key": scene.key_line("spare"), "oidc": None}
    control = scene.control("pipeline.add", LEAD, what)
    statement = parse(control["statement"].encode())
    assert isinstance(statement, dict) and isinstance(statement["predicate"], dict)
    named = statement["predicate"]["ledger"]
    head = scene.as_().head
    assert named == {"seq": head[0], "hash": head[1]}
    assert dump(statement).decode() == control["statement"]
    assert told(scene.verify()) == []
