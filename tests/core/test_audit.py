"""`verify`, the ledger's part: what was removed, changed, doubled, put in between; anchors; deadlines."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from chains import LEAD, LEAD2, SME, Chain, key, registration
from histories import played
from hypothesis import given, settings
from hypothesis import strategies as st

from manual_registry.core import events as kinds
from manual_registry.core.audit import Audit, audit_ledger, check_deadlines, check_head, parse_anchor
from manual_registry.core.canonical import dump
from manual_registry.core.errors import BadAnchor
from manual_registry.core.ledger import file_name, hash_of
from manual_registry.core.results import Severity
from manual_registry.core.statements import APPROVAL_NAMESPACE

Files = dict[str, bytes]


def files_of(chain: Chain) -> Files:
    """Return the files of a ledger by name."""
    return {file_name(event.seq): event.raw for event in chain.events}


def audited(files: Files) -> Audit:
    """Audit the files."""
    return audit_ledger(sorted(files), files.__getitem__)


def told(audit: Audit) -> set[tuple[str, str]]:
    """Return (code, location) of each error."""
    return {(one.code, one.location) for one in audit.findings if one.severity is Severity.ERROR}


def at(seq: int) -> str:
    """Return the location of an event."""
    return f"ledger/{file_name(seq)}"


@pytest.fixture(name="chain")
def _chain() -> Chain:
    chain = Chain()
    chain.to_production("1")
    chain.deploy("1", "production")
    chain.to_staging("2")
    chain.add(kinds.NOTED, chain.of("2"), {"text": "seen"})
    return chain


def edited(raw: bytes, change: Callable[[dict[str, Any]], Any]) -> bytes:
    """Return an event file with something changed in it."""
    document: dict[str, Any] = json.loads(raw)
    change(document)
    return dump(document)


def rechained(files: Files, first: int) -> Files:
    """Put right every ``prev`` behind ``first``, as a forger does who knows the format."""
    names = sorted(files)
    found = dict(files)
    for before, name in zip(names[first - 1 :], names[first:], strict=False):
        document: dict[str, Any] = {**json.loads(found[name]), "prev": hash_of(found[before])}
        found[name] = dump(document)
    return found


def test_a_whole_ledger_has_no_findings(chain: Chain) -> None:
    audit = audited(files_of(chain))
    assert (audit.findings, audit.decided, audit.whole, audit.too_new) == ([], len(chain.events), True, None)
    assert audit.events == chain.events


def test_an_empty_ledger_is_empty() -> None:
    audit = audited({})
    assert (audit.findings, audit.decided, audit.state.head_seq) == ([], 0, 0)


@pytest.mark.parametrize("gone", [1, 2, 7])
def test_a_missing_event_is_told_with_its_number(chain: Chain, gone: int) -> None:
    files = files_of(chain)
    del files[file_name(gone)]
    audit = audited(files)
    assert told(audit) == {("MR-L003", at(gone))}
    assert not audit.whole


def test_several_missing_events(chain: Chain) -> None:
    files = files_of(chain)
    for seq in (3, 4, 9):
        del files[file_name(seq)]
    assert told(audited(files)) == {("MR-L003", at(seq)) for seq in (3, 4, 9)}


def test_a_missing_end_is_whole_and_only_an_anchor_tells_it(chain: Chain) -> None:
    files = files_of(chain)
    last = chain.events[-1]
    del files[file_name(last.seq)]
    audit = audited(files)
    assert audit.findings == []
    check_head(audit, seq=last.seq, hash=last.hash, source="the anchor")
    assert told(audit) == {("MR-L007", at(last.seq))}
    assert f"ends at event {last.seq - 1}" in audit.findings[0].message


@pytest.mark.parametrize("seq", range(1, 11))
def test_a_changed_event_is_told_at_its_place(chain: Chain, seq: int) -> None:
    files = files_of(chain)
    files[file_name(seq)] = edited(files[file_name(seq)], lambda document: document.update(actor="thief@example.org"))
    audit = audited(files)
    assert ("MR-L004", at(seq)) in told(audit)
    assert {place for code, place in told(audit) if code == "MR-L004"} == {at(seq)}


def test_a_second_spelling_is_told_at_its_place(chain: Chain) -> None:
    files = files_of(chain)
    files[file_name(4)] = files[file_name(4)].replace(b'{"actor"', b'{ "actor"')
    assert told(audited(files)) == {("MR-L002", at(4)), ("MR-L004", at(4))}


@pytest.mark.parametrize("raw", [b"", b"{}", b"\x00", b"null\n"])
def test_an_unreadable_event_is_told_and_ends_the_decisions(chain: Chain, raw: bytes) -> None:
    files = files_of(chain)
    files[file_name(4)] = raw
    audit = audited(files)
    assert told(audit) == {("MR-L002", at(4))}
    assert (audit.whole, audit.decided) == (False, 3)


def test_a_newer_event_is_told_as_newer(chain: Chain) -> None:
    files = files_of(chain)
    files[file_name(5)] = edited(files[file_name(5)], lambda document: document.update(format=2))
    audit = audited(files)
    assert ("MR-I026", at(5)) in told(audit)
    assert audit.too_new is not None
    files = files_of(chain)
    last = len(files)
    files[file_name(last)] = edited(files[file_name(last)], lambda document: document.update(type="version.praised"))
    audit = audited(files)
    assert told(audit) == {("MR-I026", at(last))}
    assert audit.too_new is not None


def test_a_doubled_event_is_an_event_that_says_it_is_another(chain: Chain) -> None:
    files = files_of(chain)
    files[file_name(5)] = files[file_name(4)]
    codes = {code for code, _ in told(audited(files))}
    assert codes & {"MR-L003", "MR-L004"}


def test_an_inserted_event_is_told(chain: Chain) -> None:
    files = files_of(chain)
    names = sorted(files, reverse=True)
    for name in names[: len(names) - 4]:
        files[file_name(int(name[:12]) + 1)] = files[name]
    files[file_name(5)] = edited(
        files[file_name(4)],
        lambda document: document.update(
            seq=5, prev=hash_of(files[file_name(4)]), type="version.noted", data={"text": "forged"}
        ),
    )
    assert told(audited(files))


def forged_registration(document: dict[str, Any]) -> None:
    """Change an owner, which nothing in the ledger gainsays."""
    document["data"]["owner"] = "thief"


def test_a_ledger_that_was_chained_anew_is_told_by_the_statements_signed_on_it(chain: Chain) -> None:
    seq = next(event.seq for event in chain.events if event.type == kinds.REGISTERED)
    files = files_of(chain)
    files[file_name(seq)] = edited(files[file_name(seq)], forged_registration)
    files = rechained(files, seq)
    assert told(audited(files))


def test_a_ledger_without_signatures_that_was_chained_anew_is_whole_and_an_anchor_tells_it() -> None:
    chain = Chain(risk="minimal", leads=())
    chain.register("1")
    chain.add(kinds.NOTED, chain.of("1"), {"text": "seen"})
    files = files_of(chain)
    files[file_name(2)] = edited(files[file_name(2)], forged_registration)
    audit = audited(rechained(files, 2))
    assert audit.findings == []
    for event in chain.events:
        check_head(audit, seq=event.seq, hash=event.hash, source="the anchor")
    assert told(audit) == {("MR-L007", at(2)), ("MR-L007", at(3))}


ILLEGAL: list[tuple[str, dict[str, str], dict[str, Any], str]] = [
    (kinds.PROMOTED, {"model": "churn", "version": "2"}, {
        "from": "staging", "to": "production", "replaces": "1", "reason": None, "approval": None, "promotion": None,
        "observed": None,
    }, "MR-L008"),
    (kinds.REGISTERED, {"model": "churn", "version": "1"}, registration("churn", "1"), "MR-L008"),
    (kinds.NOTED, {"model": "churn", "version": "9"}, {"text": "x"}, "MR-L008"),
    (kinds.ARCHIVED, {"model": "churn", "version": "1"}, {
        "from": "production", "reason": "x", "approval": None, "observed": None,
    }, "MR-L008"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "subject", "data", "code"), ILLEGAL)
def test_an_event_that_was_not_allowed_is_told_whoever_wrote_it(
    chain: Chain, kind: str, subject: dict[str, str], data: dict[str, Any], code: str
) -> None:
    event = chain.force(kind, subject, data)
    chain.force(kinds.NOTED, chain.of("2"), {"text": "and on it goes"})
    audit = audited(files_of(chain))
    assert told(audit) == {(code, at(event.seq))}
    assert audit.decided == len(chain.events)


def test_a_signature_by_a_stranger_or_an_edited_one_has_its_own_code(chain: Chain) -> None:
    identifier = chain.request("2", "production")
    good = chain.signature(identifier)
    stranger = {**good, "signature": key("stranger").sign(good["statement"].encode(), APPROVAL_NAMESPACE)}
    event = chain.force(kinds.SIGNED, chain.of("2"), stranger)
    assert told(audited(files_of(chain))) == {("MR-S002", at(event.seq))}
    chain.events.pop()
    other = {**good, "signature": key(LEAD).sign(b"something else", APPROVAL_NAMESPACE)}
    chain.state.head_seq, chain.state.head_hash = chain.events[-1].seq, chain.events[-1].hash
    event = chain.force(kinds.SIGNED, chain.of("2"), other)
    found = told(audited(files_of(chain)))
    assert {place for _, place in found} == {at(event.seq)}
    assert {code for code, _ in found} <= {"MR-S001", "MR-L008"}


def test_a_clock_that_went_back_is_a_warning_unless_it_was_governed(chain: Chain) -> None:
    chain.now -= timedelta(days=1)
    event = chain.add(kinds.NOTED, chain.of("2"), {"text": "yesterday"})
    audit = audited(files_of(chain))
    assert [(one.code, one.severity, one.location) for one in audit.findings] == [
        ("MR-L009", Severity.WARNING, at(event.seq))
    ]
    chain.now -= timedelta(days=1)
    event = chain.force(
        kinds.REQUESTED, chain.of("2"), {"kind": "stage", "from": "staging", "to": "archived", "replaces": None}
    )
    assert told(audited(files_of(chain))) == {("MR-L008", at(event.seq))}


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_any_changed_byte_is_found(data: st.DataObject) -> None:
    moves = data.draw(
        st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99), st.integers(0, 99)), min_size=8, max_size=20)
    )
    chain = played("minimal", moves, leads=False)
    files = files_of(chain)
    heads = [(event.seq, event.hash) for event in chain.events]
    name = data.draw(st.sampled_from(sorted(files)))
    raw = bytearray(files[name])
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] ^= data.draw(st.integers(1, 255))
    files[name] = bytes(raw)
    audit = audited(files)
    for seq, digest in heads[-1:]:
        check_head(audit, seq=seq, hash=digest, source="the anchor")
    assert told(audit)


# -- deadlines ---------------------------------------------------------------------------------------------


def test_a_rollback_that_nobody_ratified() -> None:
    chain = Chain()
    chain.to_production("1")
    chain.to_production("2")
    identifier = chain.roll_back("1")
    due = chain.now - timedelta(minutes=1) + timedelta(hours=48)

    def found(now: Any) -> list[tuple[str, Severity, str]]:
        audit = audited(files_of(chain))
        check_deadlines(audit, now)
        return [(one.code, one.severity, one.location) for one in audit.findings if one.code != "MR-F001"]

    place = f"approvals/{identifier}"
    assert found(due) == [("MR-W001", Severity.WARNING, place)]
    assert found(due + timedelta(seconds=1)) == [("MR-W001", Severity.ERROR, place)]
    chain.sign(identifier)
    assert found(due + timedelta(days=999)) == []


def test_a_rollback_that_a_lead_rejected_is_an_error_at_once() -> None:
    chain = Chain()
    chain.to_production("1")
    chain.to_production("2")
    identifier = chain.roll_back("1")
    chain.sign(identifier, decision="rejected", comment="not this one")
    audit = audited(files_of(chain))
    check_deadlines(audit, chain.now)
    assert ("MR-W001", f"approvals/{identifier}") in told(audit)
    assert any("rejected" in one.message for one in audit.findings)


def test_moves_that_are_pending_are_information() -> None:
    chain = Chain()
    chain.register("1")
    chain.archive("1")
    audit = audited(files_of(chain))
    check_deadlines(audit, chain.now)
    assert [(one.code, one.severity, one.location, one.clause) for one in audit.findings] == [
        ("MR-F001", Severity.INFO, "models/churn/1", "RP-7")
    ]
    chain.move("1")
    audit = audited(files_of(chain))
    check_deadlines(audit, chain.now)
    assert audit.findings == []


# -- anchors -----------------------------------------------------------------------------------------------

HASH = "sha256:" + "ab" * 32


@pytest.mark.parametrize(("text", "read"), [
    (f"7:{HASH}", (None, 7, HASH)),
    (f"ledger 7 {HASH}", (None, 7, HASH)),
    (f"  7 {HASH}\n", (None, 7, HASH)),
    (f"manual-registry anchor registry=0123 7:{HASH} at=2026-03-01T08:00:00.000Z leads=none", ("0123", 7, HASH)),
    (f"registry 0123 seq=7 {HASH}", ("0123", 7, HASH)),
])  # fmt: skip
def test_anchors_are_read(text: str, read: tuple[str | None, int, str]) -> None:
    assert parse_anchor(text) == read


@pytest.mark.parametrize("text", [
    "", "7", HASH, f"x:{HASH}", f"0:{HASH}", f"-7:{HASH}", f"\u00b2:{HASH}", f"\u0663:{HASH}", "7:sha256:" + "zz" * 32,
    f"7:{HASH}0", f"7:{HASH[:-1]}", f"7:{HASH.upper()}", f"7.5:{HASH}", "9" * 5000 + f":{HASH}",
])  # fmt: skip
def test_what_is_no_anchor(text: str) -> None:
    with pytest.raises(BadAnchor):
        parse_anchor(text)


def test_a_head_that_is_there_is_no_finding(chain: Chain) -> None:
    audit = audited(files_of(chain))
    for event in chain.events:
        check_head(audit, seq=event.seq, hash=event.hash, source="the anchor")
    assert audit.findings == []
    check_head(audit, seq=3, hash=HASH, source="the workbook", severity=Severity.WARNING)
    assert [(one.severity, one.location) for one in audit.findings] == [(Severity.WARNING, at(3))]


def test_who_wrote_it_does_not_matter(chain: Chain) -> None:
    for actor in (LEAD, LEAD2, SME):
        event = chain.force(kinds.ALIAS_SET, chain.of("1"), {"alias": "latest"}, actor=actor)
        assert ("MR-L008", at(event.seq)) in told(audited(files_of(chain)))
