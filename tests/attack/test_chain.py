"""The chain attacked: events edited, inserted, removed, doubled, chained anew; who is witness (RP-13)."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from attacker import CI, LEAD, LEAD2, Scene, finding_of, notices, snapshot, told

from manual_registry.adapters import memory
from manual_registry.core.canonical import dump
from manual_registry.core.errors import (
    BadAnchor,
    ChainBroken,
    EventDoubled,
    EventMissing,
    EventUnreadable,
    HeadUnknown,
    LedgerEmpty,
    RegistryError,
)
from manual_registry.core.results import Severity


def place(seq: int) -> str:
    return f"ledger/{seq:012d}.json"


def stops_writers(scene: Scene, kind: type[RegistryError]) -> None:
    """Every writing command refuses with exit 4, for that reason alone, and changes nothing."""
    before = snapshot(scene.root)
    keys = scene.world.keys
    attempts: list[Callable[[], object]] = [
        lambda: scene.as_().note("churn@2", "a note"),
        lambda: scene.as_().tag("churn@2", {"a": "b"}),
        lambda: scene.as_().register("churn", "99", scene.world.artefact("99"), metadata=scene.world.metadata()),
        lambda: scene.as_().attach("churn@5", evidence=[scene.world.artefact("99")]),
        lambda: scene.as_().approval_request("churn@5", to="staging"),
        lambda: scene.as_(LEAD).approval_sign(open_approval(scene), as_=LEAD2, key=keys / LEAD2),
        lambda: scene.as_(CI).promote("churn@3", to="production", reason="x", pipeline="ci", pipeline_key=keys / "ci"),
        lambda: scene.as_(CI).rollback("churn", to="1", reason="x", pipeline="ci", pipeline_key=keys / "ci"),
        lambda: scene.as_().archive("churn@5", reason="x"),
        lambda: scene.as_().archive_pending(),
        lambda: scene.as_().deploy("churn@2", environment="test"),
        lambda: scene.as_().alias_set("churn", "best", "2"),
        lambda: scene.as_(LEAD).pipeline_revoke("ci2", reason="x", as_=LEAD, key=keys / LEAD),
        lambda: scene.as_(LEAD).approver_revoke(LEAD2, reason="x", as_=LEAD, key=keys / LEAD),
    ]
    for attempt in attempts:
        with pytest.raises(RegistryError) as refusal:
            attempt()
        assert refusal.value.exit_status == 4
        assert all(isinstance(reason, kind) for reason in refusal.value.reasons), refusal.value.reasons
    assert snapshot(scene.root) == before


def open_approval(scene: Scene) -> str:
    """An approval that is open (as the ledger had it before the attack)."""
    whole = Scene(world=scene.world, root=scene.world.root)
    return f"A{whole.seqs('approval.requested', model='other')[-1]}"


# -- edits ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("type_", "data"),
    [
        ("version.noted", None),
        ("version.registered", {"owner": "another team"}),
        ("approval.requested", {"to": "production"}),
        ("version.promoted", {"reason": "because"}),
        ("deployment.started", {"path": "/elsewhere"}),
        ("version.archived", {"reason": "it was good"}),
    ],
)
def test_one_edited_event_gives_one_finding_about_the_chain(
    scene: Scene, type_: str, data: dict[str, object] | None
) -> None:
    seq = scene.seq(type_)
    if data is None:  # the last event: nothing follows that could tell
        scene.as_().note("churn@2", "and one more")
        data = {"text": "seen by nobody"}
    scene.edit(seq, **data)
    found = scene.errors()
    assert ("MR-L004", place(seq)) in found
    # What the edited event itself then says wrongly (its own decision, its record.json, its row) is told too.
    assert len(found) <= 6, found
    stops_writers(scene, ChainBroken)


def test_every_single_event_that_is_touched_is_found(scene: Scene) -> None:
    last = scene.head
    for seq in range(1, last):
        raw = scene.path(seq).read_bytes()
        document = scene.document(seq)
        scene.write(seq, {**document, "actor": "mallory@example.org"})
        found = scene.errors()
        assert ("MR-L004", place(seq)) in found, (seq, found)
        assert len(found) <= 5 or seq == 1, (seq, found)
        scene.put(scene.path(seq), raw)
    assert scene.errors() == []


def test_an_event_that_is_spelt_otherwise(scene: Scene) -> None:
    seq = scene.forge("version.noted", {"model": "churn", "version": "2"}, {"text": "what it says is allowed"})
    assert scene.errors() == []
    scene.put(scene.path(seq), json.dumps(scene.document(seq), indent=1).encode())
    assert scene.errors() == [("MR-L002", place(seq))]


def test_a_member_that_stands_twice_is_found(scene: Scene) -> None:
    seq = scene.forge("version.noted", {"model": "churn", "version": "2"}, {"text": "what machines read"})
    raw = scene.path(seq).read_bytes()
    scene.put(scene.path(seq), raw.replace(b'{"text":', b'{"text":"what people read","text":'))
    assert scene.errors() == [("MR-L002", place(seq))]


def test_the_last_event_edited_is_found_by_what_this_machine_remembers(scene: Scene) -> None:
    scene.as_().note("churn@2", "the last word")
    scene.edit(scene.head, text="another word")
    found = scene.errors()
    assert ("MR-L007", place(scene.head)) in found
    assert {where for code, where in found if code != "MR-V001"} == {place(scene.head)}
    stops_writers(scene, HeadUnknown)


# -- inserted, missing, doubled ---------------------------------------------------------------------------


def test_an_inserted_event_does_not_blame_all_that_follow(scene: Scene) -> None:
    seq = scene.seq("deployment.started")
    forged = {**scene.document(scene.seq("version.noted")), "seq": seq, "prev": scene.document(seq)["prev"]}
    scene.insert(seq, forged)
    found = scene.errors()
    assert ("MR-L004", place(seq)) in found
    assert len(found) <= 4, found
    stops_writers(scene, RegistryError)


def test_an_inserted_event_with_everything_chained_anew(scene: Scene) -> None:
    seq = scene.seq("deployment.started")
    scene.insert(seq, {**scene.document(scene.seq("version.noted"))})
    scene.rechain(seq)
    found = scene.errors()
    assert "MR-L007" in {code for code, _ in found}
    assert ("MR-L007", place(scene.head - 1)) in found  # the workbook's head
    stops_writers(scene, HeadUnknown)


def test_a_missing_event_in_the_middle(scene: Scene) -> None:
    seq = scene.seq("deployment.started")
    scene.path(seq).unlink()
    assert scene.errors() == [("MR-L003", place(seq))]
    assert ("MR-F003", "ledger/") in notices(scene.verify())
    stops_writers(scene, EventMissing)


def test_many_missing_events_are_told_without_a_flood(scene: Scene) -> None:
    for seq in range(3, scene.head):
        scene.path(seq).unlink()
    assert len(scene.errors()) == 10


def test_a_missing_event_with_all_later_ones_moved_up_and_chained_anew(scene: Scene) -> None:
    seq, last = scene.seq("deployment.started"), scene.head
    scene.path(seq).unlink()
    for number in range(seq + 1, last + 1):
        scene.path(number).rename(scene.path(number - 1))
    scene.rechain(seq)
    found = scene.errors()
    assert ("MR-L007", place(last)) in found
    stops_writers(scene, HeadUnknown)


@pytest.mark.parametrize(
    "name",
    ["000000000003 (conflict).json", "000000000003-copy.json", "000000000003.json.bak", "3.json", "000000000003.JSON"],
)
def test_a_doubled_event_is_a_fork_and_stops_writers(scene: Scene, name: str) -> None:
    shutil.copyfile(scene.path(3), scene.root / "ledger" / name)
    assert scene.errors() == [("MR-L005", f"ledger/{name}")]
    assert place(3) in finding_of(scene.verify(), "MR-L005").message
    stops_writers(scene, EventDoubled)


def test_a_fork_with_a_number_that_is_still_free(scene: Scene) -> None:
    name = f"{scene.head + 1:012d} (from the other laptop).json"
    document = {**scene.document(scene.head), "seq": scene.head + 1}
    (scene.root / "ledger" / name).write_bytes(dump(document))
    assert scene.errors() == [("MR-L005", f"ledger/{name}")]
    stops_writers(scene, EventDoubled)


@pytest.mark.parametrize("digits", ["٠٠٠٠٠٠٠٠٠٠٠٣", "００００００００００００"])
def test_digits_of_another_script_are_no_number(scene: Scene, digits: str) -> None:
    shutil.copyfile(scene.path(3), scene.root / "ledger" / f"{digits}.json")
    assert scene.errors() == [("MR-L005", f"ledger/{digits}.json")]


def test_an_event_number_zero_does_not_switch_the_checks_off(scene: Scene) -> None:
    seq = scene.forge("version.promoted", {"model": "churn", "version": "5"}, {})
    zero = {**scene.document(1), "seq": 0, "prev": None}
    (scene.root / "ledger/000000000000.json").write_bytes(dump(zero))
    assert ("MR-L003", "ledger/000000000000.json") in scene.errors()
    assert not scene.verify().ok
    scene.path(seq).unlink()
    stops_writers(scene, EventMissing)


def test_files_in_the_ledger_that_are_no_events(scene: Scene) -> None:
    (scene.root / "ledger/notes.txt").write_text("hello", encoding="utf-8")
    (scene.root / "ledger/.DS_Store").write_bytes(b"junk")
    (scene.root / "ledger/subfolder").mkdir()
    outcome = scene.verify()
    assert outcome.ok
    assert sorted(notices(outcome)) == [("MR-L006", "ledger/notes.txt"), ("MR-L006", "ledger/subfolder")]
    scene.as_().note("churn@2", "goes on")


def test_a_ledger_that_is_gone(scene: Scene) -> None:
    shutil.rmtree(scene.root / "ledger")
    assert scene.errors() == [("MR-L001", "ledger/")]
    stops_writers(scene, LedgerEmpty)


@pytest.mark.parametrize("kind", ["fifo", "directory", "link"])
def test_something_else_in_the_place_of_an_event(scene: Scene, kind: str) -> None:
    import os

    path = scene.path(4)
    raw = path.read_bytes()
    path.unlink()
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    else:
        (scene.root.parent / "elsewhere").write_bytes(raw)
        path.symlink_to(scene.root.parent / "elsewhere")
    assert scene.errors() == [("MR-L002", place(4))]
    with pytest.raises(EventUnreadable):
        scene.as_().list()


# -- chained anew -----------------------------------------------------------------------------------------


def test_events_chained_anew_from_the_middle_are_found_by_the_statements_that_name_heads(scene: Scene) -> None:
    seq = scene.seq("version.archived", version="6")
    scene.edit(seq, reason="another one")
    scene.rechain(seq)
    found = scene.errors()
    assert {code for code, _ in found} == {"MR-L007"} | {"MR-V001"} or {code for code, _ in found} == {"MR-L007"}
    heads = [where for code, where in found if code == "MR-L007"]
    first = scene.seq("approval.signed", version="3")  # the first statement that was signed over the old chain
    assert place(first) in heads
    assert len(found) <= 5, found
    assert "later ones" in finding_of_first(scene, first)
    stops_writers(scene, HeadUnknown)


def finding_of_first(scene: Scene, seq: int) -> str:
    return next(one.message for one in scene.verify().findings if one.location == place(seq))


def test_a_full_rechain_is_one_story_not_fifty(scene: Scene) -> None:
    for seq in range(2, scene.head + 1):
        document = scene.document(seq)
        scene.write(seq, {**document, "at": document["at"].replace("2026-11-02T08", "2026-11-02T09")})
    scene.rechain(2)
    found = scene.errors()
    assert "MR-L007" in {code for code, _ in found}
    # Roster and pipelines are signed for the minute: each of these events says so of itself.
    assert len(found) <= 10, found


def rewrite_workbook(scene: Scene) -> None:
    """Render the workbook of the ledger as it stands, as the tool would if it let itself be deceived."""
    from manual_registry.adapters.workbook import OpenpyxlWorkbook
    from manual_registry.core.rows import build_view

    (scene.root / "registry.xlsx").unlink(missing_ok=True)
    OpenpyxlWorkbook().render(scene.root / "registry.xlsx", build_view(scene.state(), scene.events()), aside=None)


def test_an_unsigned_fact_before_a_signature_cannot_be_changed(scene: Scene) -> None:
    """The attacker re-chains, and rewrites workbook and record.json too; signed statements are not theirs to write."""
    seq = scene.seq("version.registered", version="2")
    data = {**scene.document(seq)["data"], "owner": "mallory's team"}
    scene.edit(seq, **data)
    scene.rechain(seq)
    rewrite_workbook(scene)
    from manual_registry.registry.registering import record_bytes

    state = scene.state()
    scene.put(scene.root / "models/churn/2/record.json", record_bytes(state.registry_id, "churn", "2", data))
    found = scene.errors()
    assert ("MR-L008", place(scene.seq("approval.signed", version="2"))) not in found
    assert {code for code, _ in found} == {"MR-L007"}
    assert len(found) <= 3, found
    with pytest.raises(HeadUnknown):
        scene.as_().note("churn@2", "a note")


def test_the_content_that_was_approved_cannot_be_changed(scene: Scene) -> None:
    """Edited and chained anew: every statement that names the content says so."""
    seq = scene.seq("version.registered", version="2")
    other = scene.document(scene.seq("version.registered", version="5"))["data"]["artefact"]
    scene.edit(seq, artefact={**other, "name": "model-2.bin"})
    scene.rechain(seq)
    found = scene.errors()
    signed, promoted = scene.seqs("approval.signed", version="2"), scene.seqs("version.promoted", version="2")
    assert {("MR-L008", place(one)) for one in (seq, *signed, *promoted)} <= set(found)


def test_a_genesis_of_the_attackers_own_is_another_registry(scene: Scene) -> None:
    document = scene.document(1)
    document["data"]["leads"] = [
        {"email": "mallory@example.org", "name": "M", "key": scene.key_line("mallory@example.org")}
    ]
    scene.write(1, document)
    scene.rechain(1)
    outcome = scene.verify()
    assert not outcome.ok
    assert ("MR-L007", "registry.xlsx") in told(outcome)
    with pytest.raises(RegistryError) as refusal:
        scene.as_().note("churn@2", "a note")
    assert refusal.value.exit_status == 4


# -- the end cut off --------------------------------------------------------------------------------------


def test_a_removed_last_event_is_found_by_the_workbook(scene: Scene) -> None:
    last = scene.head
    scene.cut(last - 1)
    assert scene.errors() == [("MR-L007", place(last))]
    assert "workbook" in finding_of(scene.verify(), "MR-L007").message
    stops_writers(scene, HeadUnknown)


def test_a_removed_last_event_is_found_by_what_this_machine_remembers(scene: Scene) -> None:
    scene.as_().note("churn@2", "soon gone")
    last = scene.head
    workbook = (scene.root / "registry.xlsx").read_bytes()
    scene.cut(last - 1)
    (scene.root / "registry.xlsx").unlink()
    assert scene.errors() == [("MR-L007", place(last))]
    assert "memory" in finding_of(scene.verify(), "MR-L007").message
    scene.put(scene.root / "registry.xlsx", workbook)
    assert scene.errors() == [("MR-L007", place(last))] * 2
    stops_writers(scene, HeadUnknown)


def test_removed_events_are_found_by_a_copy_of_a_signed_statement(scene: Scene) -> None:
    scene.as_(LEAD).approver_revoke(LEAD2, reason="left", as_=LEAD, key=scene.world.key(LEAD))
    last = scene.head
    scene.cut(last - 2)
    (scene.root / "registry.xlsx").unlink()
    memory.forget(scene.state().registry_id, scene.root)
    found = scene.errors()
    assert ("MR-L007", place(last - 1)) in found
    assert ("MR-S003", f"approvals/.control/C{last}.json") in found
    stops_writers(scene, HeadUnknown)


def everything_but_the_anchor(scene: Scene, last: int) -> None:
    """Cut the ledger, and everything in the folder and on this machine that could be witness against it."""
    memory.forget(scene.state().registry_id, scene.root)
    scene.cut(last)
    rewrite_workbook(scene)
    memory.forget(scene.state().registry_id, scene.root)
    from manual_registry.registry.views import copies, signers_text

    wanted = copies(scene.state(), scene.events())
    for path in (scene.root / "approvals").rglob("*.*"):
        if path.is_file() and path.relative_to(scene.root).as_posix() not in wanted:
            path.unlink()
    scene.put(scene.root / "allowed_signers", signers_text(scene.state()).encode())


def test_only_an_anchor_kept_elsewhere_finds_a_perfect_cut(scene: Scene, tmp_path: Path) -> None:
    anchor = scene.as_().anchor()
    seq, digest = scene.as_().head
    revocation = scene.seq("roster.revoked")
    everything_but_the_anchor(scene, revocation - 1)
    assert scene.errors() == []  # said honestly in the README: without an anchor it is not found
    kept = tmp_path / "mail.txt"
    kept.write_text(f"Dear auditor,\n{anchor}\nyours\n", encoding="utf-8")
    for given in (str(kept), f"{seq}:{digest}", f"ledger {seq} {digest}", anchor):
        assert scene.errors(anchor=given) == [("MR-L007", place(seq))]


def test_only_an_anchor_finds_an_unsigned_end_that_was_written_anew(scene: Scene) -> None:
    scene.as_().note("churn@2", "the truth")
    seq, digest = scene.as_().head
    everything_but_the_anchor(scene, seq - 1)
    scene.as_().note("churn@2", "a lie")
    assert scene.errors() == []
    assert scene.errors(anchor=f"{seq}:{digest}") == [("MR-L007", place(seq))]
    outcome = scene.verify(anchor=f"{seq}:{digest}")
    assert "another event there" in finding_of(outcome, "MR-L007").message


def test_an_anchor_of_the_chain_as_it_stands_is_no_finding(scene: Scene) -> None:
    older = scene.as_().anchor()
    scene.as_().note("churn@2", "goes on")
    for given in (older, scene.as_().anchor()):
        assert scene.errors(anchor=given) == []


def test_an_anchor_of_another_registry_or_none_at_all(scene: Scene) -> None:
    seq, digest = scene.as_().head
    assert scene.errors(anchor=f"registry={'f' * 32} {seq}:{digest}") == [("MR-L007", "anchor")]
    for nonsense in (
        "",
        "7",
        "sha256:" + "a" * 64,
        "²:sha256:" + "a" * 64,
        "7:sha256:" + "z" * 64,
        "0:sha256:" + "a" * 64,
    ):
        with pytest.raises(BadAnchor):
            scene.verify(anchor=nonsense)


def test_an_anchor_does_not_hide_behind_a_later_line(scene: Scene, tmp_path: Path) -> None:
    good = scene.as_().anchor()
    kept = tmp_path / "anchors.txt"
    kept.write_text(f"5:sha256:{'a' * 64}\n{good}\n", encoding="utf-8")
    assert scene.errors(anchor=str(kept)) == [("MR-L007", place(5))]


# -- reading, recording and the command line on a broken ledger -------------------------------------------


def test_readers_say_exit_4_on_a_broken_chain_and_warn_of_an_unknown_head(scene: Scene) -> None:
    last = scene.head
    scene.cut(last - 1)
    registry = scene.as_()
    assert registry.list()
    assert any("removed or written anew" in one for one in registry.warnings)
    scene.edit(3, key=scene.key_line("spare"))
    readers: list[Callable[[], object]] = [
        registry.list,
        registry.status,
        registry.history,
        lambda: registry.show("churn@2"),
    ]
    for reader in readers:
        with pytest.raises(ChainBroken):
            reader()


def test_verify_record_tells_what_it_found_and_writes_nothing_into_a_broken_ledger(scene: Scene) -> None:
    scene.edit(3, key=scene.key_line("spare"))
    before = snapshot(scene.root)
    outcome = scene.verify(record=True)
    assert ("MR-L004", place(3)) in told(outcome)
    assert ("MR-F004", "ledger/") in notices(outcome)
    assert snapshot(scene.root) == before


def run(scene: Scene, *words: str) -> tuple[int, str, str]:
    kept, scene.world.root = scene.world.root, scene.root
    try:
        done = scene.world.cli(*words)
    finally:
        scene.world.root = kept
    return done.returncode, done.stdout, done.stderr


def test_the_command_line_tells_the_findings_of_a_broken_chain(scene: Scene) -> None:
    seq = scene.seq("deployment.started")
    scene.edit(seq, path="/elsewhere")
    for words in (("verify", "--json"), ("verify", "--json", "--record"), ("verify", "--json", "--quick")):
        status, out, _ = run(scene, *words)
        assert status == 4
        found = [one for one in json.loads(out)["findings"] if one["severity"] == "error"]
        assert ("MR-L004", place(seq), "RP-13") in [(one["code"], one["location"], one["clause"]) for one in found]
    status, out, err = run(scene, "note", "churn@2", "text", "--json")
    assert (status, out) == (4, "")
    assert json.loads(err)["error"]["code"] == "MR-L004"


def test_the_command_line_finds_a_cut_by_the_anchor(scene: Scene) -> None:
    seq, digest = scene.as_().head
    everything_but_the_anchor(scene, seq - 1)
    status, out, _ = run(scene, "verify", "--json", "--anchor", f"{seq}:{digest}")
    found = [one for one in json.loads(out)["findings"] if one["severity"] == Severity.ERROR.value]
    assert (status, [(one["code"], one["location"]) for one in found]) == (4, [("MR-L007", place(seq))])
