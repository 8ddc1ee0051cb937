"""Attempts to make an approval, a promotion, the roster or the policy lie without being found.

Substitutions between registries and between people, names that look alike, one approval for two steps, statements that
say more or less than they seem to, and the same with everything that a reader (list, show, trace, workbook) tells.
"""

from __future__ import annotations

import json
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from attacker import CI, LEAD, LEAD2, MALLORY, START, Scene, altered, snapshot, told
from world import World

from manual_registry.core.canonical import dump, parse
from manual_registry.core.errors import RegistryError
from manual_registry.core.ledger import hash_of, parse_event
from manual_registry.core.results import LinkStatus
from manual_registry.core.sshkeys import parse_public_key
from manual_registry.core.statements import APPROVAL_NAMESPACE, differing, read_statement


def place(seq: int) -> str:
    return f"ledger/{seq:012d}.json"


@pytest.fixture(scope="module")
def twin(finished: World, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """Another registry of the same people with the same keys, models and contents: only its id differs."""
    folder = tmp_path_factory.mktemp("twin")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MANUAL_REGISTRY_STATE", str(folder / "state"))
        patch.setenv("MANUAL_REGISTRY_CACHE", str(folder / "cache"))
        patch.chdir(folder)
        shutil.copytree(finished.keys, folder / "world/keys")
        world = _same_people(folder / "world")
    return Scene(world=world, root=world.root, now=world.clock())


def _same_people(place_: Path) -> World:
    import attacker
    import world as worlds

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worlds, "generate_ed25519", lambda path, comment: None)  # the keys are there already
        return attacker.build(place_, start=START + timedelta(seconds=1))


def test_the_twin_has_the_same_people_and_contents_and_another_id(scene: Scene, twin: Scene) -> None:
    one, two = scene.state(), twin.state()
    assert one.registry_id != two.registry_id
    assert {who: found.key for who, found in one.approvers.items()} == {
        who: found.key for who, found in two.approvers.items()
    }
    assert one.versions["churn", "3"].blake3 == two.versions["churn", "3"].blake3
    assert twin.errors() == []


# -- between registries -----------------------------------------------------------------------------------


def test_an_approval_of_the_twin_is_none_here(scene: Scene, twin: Scene) -> None:
    """Same people, model, version, content, request number, minute: a lead signed it, but there."""
    theirs = twin.document(twin.seqs("approval.signed", version="3")[-1])
    asked = theirs["data"]["id"]
    scene.cut(int(asked[1:]))  # the request stands open here, as it did there
    (scene.root / "registry.xlsx").unlink()
    seq = scene.forge("approval.signed", theirs["subject"], theirs["data"], actor=LEAD)
    assert ("MR-L008", place(seq)) in scene.errors()


def test_a_pipeline_enrolled_in_the_twin_is_none_here(scene: Scene, twin: Scene) -> None:
    theirs = twin.document(twin.seq("pipeline.added"))
    scene.cut(1)
    seq = scene.forge("pipeline.added", theirs["subject"], theirs["data"], actor=LEAD, at=theirs["at"])
    assert ("MR-L008", place(seq)) in scene.errors()
    with pytest.raises(RegistryError):
        scene.as_().pipeline_list()


def test_the_whole_ledger_of_the_twin_under_our_files(scene: Scene, twin: Scene) -> None:
    """The folder keeps its workbook, records and approvals; the ledger is the other registry's."""
    shutil.rmtree(scene.root / "ledger")
    shutil.copytree(twin.root / "ledger", scene.root / "ledger")
    found = scene.errors()
    assert ("MR-L007", "registry.xlsx") in found
    assert {code for code, _ in found} <= {"MR-L007", "MR-A001", "MR-S003", "MR-S004", "MR-A004"}
    with pytest.raises(RegistryError) as refusal:
        scene.as_().note("churn@2", "a note")
    assert refusal.value.exit_status == 4


def test_a_promotion_of_the_twin_is_none_here(scene: Scene, twin: Scene) -> None:
    theirs = twin.document(twin.seq("version.promoted", version="1"))
    scene.cut(theirs["seq"] - 1)
    (scene.root / "registry.xlsx").unlink()
    seq = scene.forge("version.promoted", theirs["subject"], theirs["data"], actor=CI, at=theirs["at"])
    assert ("MR-L008", place(seq)) in scene.errors()


# -- equal content ----------------------------------------------------------------------------------------


def test_an_approval_is_for_a_version_not_for_a_content(scene: Scene) -> None:
    """churn@1 and other@1 have the same bytes; the approval of the one does not open the way for the other."""
    state = scene.state()
    assert state.versions["churn", "1"].blake3 == state.versions["other", "1"].blake3
    theirs = scene.document(scene.seqs("approval.signed", model="churn", version="1")[-1])["data"]
    scene.cut(scene.seqs("approval.requested", model="other")[-1])
    (scene.root / "registry.xlsx").unlink()
    asked = f"A{scene.head}"
    data = {**theirs, "id": asked}
    seq = scene.forge("approval.signed", {"model": "other", "version": "1"}, data, actor=LEAD)
    assert ("MR-L008", place(seq)) in scene.errors()


# -- one approval, two steps ------------------------------------------------------------------------------


def test_one_approval_is_not_used_by_two_events(scene: Scene) -> None:
    used = scene.used(f"A{scene.seqs('approval.requested', version='3')[-1]}")
    scene.promoted("3", "production", approval=used)
    assert scene.errors() == []
    # The way back and again, as far as it goes without a signature:
    seq = scene.promoted("3", "production", approval=used, data={"from": "staging"})
    assert ("MR-L008", place(seq)) in scene.errors()


def test_an_approval_to_archive_is_not_one_to_produce_nor_the_other_way(scene: Scene) -> None:
    scene.as_().deploy("churn@2", environment="production", end=True)
    asked = scene.requested("2", "archived")
    scene.signed(asked, LEAD)
    assert scene.errors() == []
    body = {"from": "production", "reason": "x", "observed": None}
    other = scene.used(f"A{scene.seqs('approval.requested', version='3')[-1]}")
    seq = scene.forge("version.archived", {"model": "churn", "version": "2"}, {**body, "approval": other})
    assert ("MR-L008", place(seq)) in scene.errors()
    copy = Scene.copy(scene.world, scene.root.parent / "good")
    copy.as_().deploy("churn@2", environment="production", end=True)
    asked = copy.requested("2", "archived")
    copy.signed(asked, LEAD)
    copy.forge("version.archived", {"model": "churn", "version": "2"}, {**body, "approval": copy.used(asked)})
    assert copy.errors() == []


def test_a_signature_over_two_statements_at_once(scene: Scene) -> None:
    """Two lines in one signed text: neither is what was signed."""
    asked = scene.requested("3", "production")
    line = scene.statement(asked, LEAD)
    seq = scene.signed(asked, LEAD, line=line + line)
    assert ("MR-L008", place(seq)) in scene.errors()


# -- statements -------------------------------------------------------------------------------------------


def test_every_single_member_of_a_statement_counts(scene: Scene) -> None:
    """Drop each, null each, change each, at every depth: the difference is always seen."""
    asked = scene.requested("3", "production")
    line = scene.statement(asked, LEAD)

    def walk(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        return (
            [at, *(path for name, item in inner for path in walk(item, (*at, name)))]
            if at
            else [path for name, item in inner for path in walk(item, (name,))]
        )

    good = json.loads(line)
    assert differing(good, line) == []
    for path in walk(good):
        for change in ("drop", "null", "true", "text", "more"):
            copy = json.loads(line)
            parent = copy
            for step in path[:-1]:
                parent = parent[step]
            standing = parent[path[-1]]
            match change:
                case "drop":
                    del parent[path[-1]]
                case "null":
                    parent[path[-1]] = None
                case "true":
                    parent[path[-1]] = True
                case "text":
                    parent[path[-1]] = "another"
                case "more" if isinstance(standing, dict):
                    standing["more"] = None
                case "more" if isinstance(standing, list):
                    standing.append(None)
            if copy == good and repr(copy) == repr(good):
                continue
            if not isinstance(copy.get("predicate"), dict):
                assert read_statement(json.dumps(copy)) is None
                continue
            assert differing(copy, line), (path, change)


def test_one_is_not_true_and_not_a_text(scene: Scene) -> None:
    """Python thinks that 1 == 1.0 == True; a statement does not."""
    asked = scene.requested("3", "production")
    line = scene.statement(asked, LEAD)
    found = parse(line)
    assert isinstance(found, dict) and isinstance(found["predicate"], dict)
    found["predicate"]["ledger"]["seq"] = 1  # type: ignore[index, call-overload]
    once = dump(found)
    found["predicate"]["ledger"]["seq"] = True  # type: ignore[index, call-overload]
    assert differing(found, once) == ["ledger"]


def test_unicode_in_a_comment_is_kept_as_it_was_signed(scene: Scene) -> None:
    """Two spellings of é are two comments; nothing is normalised behind the lead's back."""
    for number, comment in enumerate(("caf\u00e9", "cafe\u0301", "\u202eabc", "a\u200bb", "\U0001f600")):
        copy = Scene.copy(scene.world, scene.root.parent / f"comment{number}")
        asked = copy.requested("3", "production")
        seq = copy.signed(asked, LEAD, comment=comment)
        assert copy.errors() == []
        assert copy.as_().approval_show(asked)["statement"] == copy.document(seq)["data"]["statement"]
        other = comment.replace("\u00e9", "e\u0301") if "\u00e9" in comment else comment + "\u0301"
        text = copy.document(seq)["data"]["statement"].replace(comment, other)
        copy.edit(seq, statement=text)
        assert ("MR-S001", place(seq)) in copy.errors()


@pytest.mark.parametrize(
    "name",
    [
        "3 ",
        " 3",
        "3\u200b",
        "３",
        "3.",
        "3/../2",
        "../3",
        "PRODUCTION",
        "latest",
        "none",
        "con",
        "3+code.x",
        "",
        "a" * 65,
        "-1",
        "٣",
    ],
)
def test_a_version_whose_name_plays_tricks(scene: Scene, name: str) -> None:
    data = {**scene.document(scene.seq("version.registered", version="5"))["data"]}
    seq = scene.forge("version.registered", {"model": "churn", "version": name}, data)
    assert place(seq) in {where for _, where in scene.errors()}


@pytest.mark.parametrize(
    "name", ["Churn", "churn ", "churn\u200b", "сhurn", "../churn", "churn/..", "aux", "", "ch@urn", ".incoming"]
)
def test_a_model_whose_name_plays_tricks(scene: Scene, name: str) -> None:
    data = {**scene.document(scene.seq("version.registered", version="5"))["data"]}
    seq = scene.forge("version.registered", {"model": name, "version": "1"}, data)
    assert place(seq) in {where for _, where in scene.errors()}
    assert not (scene.root.parent / "1").exists()


def test_a_version_that_is_registered_again_in_the_ledger(scene: Scene) -> None:
    """The first one stands; the second changes nothing that anybody is told."""
    other = scene.document(scene.seq("version.registered", version="5"))["data"]
    before = scene.as_().show("churn@2")["blake3"]
    seq = scene.forge("version.registered", {"model": "churn", "version": "2"}, other)
    assert scene.errors() == [("MR-L008", place(seq))]
    assert scene.as_().show("churn@2")["blake3"] == before


@pytest.mark.parametrize(
    "change",
    [
        {"composite_id": "churn@9+code.none.data.none.model.none.config.none"},
        {"card": {"fields": {}, "sha256": "0" * 64, "path": "evidence/metadata/metadata.yaml"}},
        {"environment": {"path": "../../../../etc/passwd", "sha256": "0" * 64}},
        {"environment": {"path": "evidence/../../x", "sha256": "0" * 64}},
        {"config": {"path": "evidence/config/none.yaml", "sha256": "0" * 64}},
        {"evidence": []},
        {"training_data": [{"reference": "sha256:" + "cd" * 32, "hash": "ab" * 32, "detail": {}}]},
        {"code": {"commit": "main", "repository": None, "path": None, "dirty": None, "author": None, "checked": True}},
        {"metrics": {"auc": True}},
        {"metrics": {"auc": "0.9"}},
        {
            "artefact": {
                "kind": "file",
                "name": "../../x",
                "files": 1,
                "size": 1,
                "blake3": "0" * 64,
                "sha256": "0" * 64,
            }
        },
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_registration_that_does_not_hold_together(scene: Scene, change: dict[str, Any]) -> None:
    data = {**scene.document(scene.seq("version.registered", version="5"))["data"], **change}
    seq = scene.forge("version.registered", {"model": "churn", "version": "9"}, data)
    assert place(seq) in {where for _, where in scene.errors()}


@pytest.mark.parametrize("threshold", [0.95, 0.8500001])
def test_a_gate_that_claims_more_than_its_numbers_bear_out(scene: Scene, threshold: float) -> None:
    data = json.loads(json.dumps(scene.document(scene.seq("version.registered", version="5"))["data"]))
    data["gates"][0]["metrics"][0]["threshold"] = threshold
    seq = scene.forge("version.registered", {"model": "churn", "version": "9"}, data)
    assert ("MR-L008", place(seq)) in scene.errors()


# -- what readers tell ------------------------------------------------------------------------------------


def test_trace_does_not_call_a_forged_approval_good(scene: Scene) -> None:
    """The signature is a stranger's, the step uses it all the same: broken, and said so in the paragraph."""
    for key, who in (("stranger", LEAD), (MALLORY, MALLORY), ("reviewer@example.org", "reviewer@example.org")):
        copy = Scene.copy(scene.world, scene.root.parent / f"by-{key}")
        asked = copy.requested("3", "production")
        copy.signed(asked, who, key=key)
        copy.promoted("3", "production", approval=copy.used(asked))
        for options in ({}, {"hash": False}):
            trace = copy.as_().trace("churn@3", **options)  # type: ignore[arg-type]
            link = next(link for link in trace.links if link.kind == "approval")
            assert link.status is LinkStatus.BROKEN, key
            assert trace.broken and not trace.verified
            assert "does NOT hold" in trace.paragraph


def test_trace_does_not_lend_the_approval_of_staging_to_production(scene: Scene) -> None:
    staging = scene.used(f"A{scene.seq('approval.requested', version='3')}")
    for approval in (None, staging):
        copy = Scene.copy(scene.world, scene.root.parent / f"with-{approval is None}")
        copy.promoted("3", "production", approval=approval)
        trace = copy.as_().trace("churn@3")
        assert next(link for link in trace.links if link.kind == "approval").status is LinkStatus.MISSING
        [row] = [one for one in copy.as_().list() if (one["model"], one["version"]) == ("churn", "3")]
        assert (row["stage"], row["approver"], row["approval_date"]) == ("production", None, None)


def test_the_workbook_does_not_show_an_approver_who_did_not_approve(scene: Scene) -> None:
    from manual_registry.core.rows import build_view

    scene.promoted("3", "production", approval=scene.used(f"A{scene.seqs('approval.requested', version='2')[-1]}"))
    view = build_view(scene.state(), scene.events())
    [row] = [row for row in view.sheets[0].rows if row.row_id == "churn@3"]
    assert row.cells["Approver"] is None


def test_a_recorded_verification_convinces_nobody(scene: Scene) -> None:
    """`verify` looks for itself, whatever an earlier event says that it found."""
    forged = scene.promoted("5", "staging", approval=None, key=None)
    scene.forge("verification.recorded", {}, {"ok": True, "checked": {"events": 999}, "findings": [], "scope": []})
    assert ("MR-L008", place(forged)) in scene.errors()


def test_an_alias_or_tag_that_plays_stage(scene: Scene) -> None:
    forged: list[tuple[str, dict[str, Any]]] = [
        ("alias.set", {"alias": "production"}),
        ("alias.set", {"alias": "Latest"}),
        ("alias.set", {"alias": "3"}),
        ("version.tagged", {"tags": {"a b": "x"}}),
    ]
    for number, (type_, data) in enumerate(forged):
        copy = Scene.copy(scene.world, scene.root.parent / str(number))
        seq = copy.forge(type_, {"model": "churn", "version": "5"}, data)
        assert ("MR-L008", place(seq)) in copy.errors()


def test_a_deployment_to_production_of_what_is_not_there(scene: Scene) -> None:
    body = {"environment": "production", "at": "2026-11-02T08:17:00.000Z", "path": None, "replaces": ["2"]}
    seq = scene.forge("deployment.started", {"model": "churn", "version": "3"}, body)
    assert ("MR-L008", place(seq)) in scene.errors()


# -- keys -------------------------------------------------------------------------------------------------


def test_a_key_with_which_anybody_could_sign_is_none(scene: Scene) -> None:
    import base64

    for point in (bytes(32), (1).to_bytes(32, "little"), bytes([0xEC]) + b"\xff" * 30 + b"\x7f"):
        blob = len(b"ssh-ed25519").to_bytes(4, "big") + b"ssh-ed25519" + (32).to_bytes(4, "big") + point
        line = f"ssh-ed25519 {base64.b64encode(blob).decode()}"
        with pytest.raises(RegistryError):
            parse_public_key(line)
        copy = Scene.copy(scene.world, scene.root.parent / point.hex()[:8])
        control = copy.control("pipeline.add", LEAD, {"pipeline": "weak", "key": line, "oidc": None})
        seq = copy.forge(
            "pipeline.added", {"pipeline": "weak"}, {"key": line, "oidc": None, "control": control}, actor=LEAD
        )
        assert place(seq) in {where for _, where in copy.errors()}


def test_a_lead_cannot_approve_what_they_registered_under_a_name_in_capitals(scene: Scene) -> None:
    """The commit's author is compared without regard to case."""
    data = json.loads(json.dumps(scene.document(scene.seq("version.registered", version="5"))["data"]))
    data["code"]["author"] = "LEAD@Example.org"
    from manual_registry.core.decide.registration import identifier

    data["composite_id"] = identifier("churn", "9", data)
    scene.forge("version.registered", {"model": "churn", "version": "9"}, data)
    asked = scene.requested("9", "staging")
    seq = scene.signed(asked, LEAD)
    assert ("MR-L008", place(seq)) in scene.errors()
    scene.path(seq).unlink()
    scene.signed(asked, LEAD2)
    assert [one for one in scene.errors() if one[1].startswith("ledger/")] == []


def test_the_statement_names_the_content_and_nothing_is_left_to_the_name(scene: Scene) -> None:
    seq = scene.seqs("approval.signed", version="3")[-1]
    found = read_statement(scene.document(seq)["data"]["statement"])
    assert found is not None
    record = scene.state().versions["churn", "3"]
    assert found["subject"] == [{"name": "churn@3", "digest": {"sha256": record.sha256, "blake3": record.blake3}}]
    assert found["predicate"]["registry"] == {"id": hash_of(scene.path(1).read_bytes()).removeprefix("sha256:")[:32]}
    raw = scene.path(seq).read_bytes()
    assert parse_event(raw, location="x").raw == raw
    assert altered(b"{}\n") == b"{}\n"
    assert APPROVAL_NAMESPACE == "stage-approval@manual-registry"


def test_looking_changes_nothing(scene: Scene) -> None:
    """`verify`, also of a falsified registry, writes nothing."""
    scene.signed(scene.requested("3", "production"), LEAD, key="stranger")
    before = snapshot(scene.root)
    assert not scene.verify(both=True).ok
    assert snapshot(scene.root) == before
    assert told(scene.verify()) == scene.errors()
