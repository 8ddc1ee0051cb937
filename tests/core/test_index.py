"""The derived index: catching up is building anew, a partial fold gives the record, a lookup the same answers."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from chains import Chain
from histories import histories
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from manual_registry.adapters import index as module
from manual_registry.adapters.index import Index, build_index, index_path, open_index
from manual_registry.adapters.ledger_files import LedgerFiles
from manual_registry.core.errors import RegistryError
from manual_registry.core.folding import fold
from manual_registry.core.ledger import Event, file_name
from manual_registry.core.resolve import StateLookup, resolve
from manual_registry.core.state import State
from manual_registry.core.values import Digest, Stage

QUICK = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)


def write(root: Path, events: list[Event]) -> LedgerFiles:
    """Write events into a ledger directory."""
    (root / "ledger").mkdir(parents=True, exist_ok=True)
    for event in events:
        path = root / "ledger" / file_name(event.seq)
        if not path.exists():
            path.write_bytes(event.raw)
    return LedgerFiles(root)


def tables(root: Path) -> dict[str, list[tuple[object, ...]]]:
    """Return everything that stands in the index."""
    names = ("meta", "event", "touch", "version", "alias")
    with closing(sqlite3.connect(index_path(root))) as connection:
        return {name: sorted(connection.execute(f"select * from {name}"), key=repr) for name in names}


@contextmanager
def built(root: Path, events: list[Event]) -> Iterator[Index]:
    """Build an index anew and close it at the end."""
    found = build_index(write(root, events), root, events, fold(events))
    assert found is not None
    try:
        yield found
    finally:
        found.close()


def reopened(root: Path) -> bool:
    """Open the index; tell whether it could be (after catching up)."""
    found = open_index(LedgerFiles(root), root)
    if found is None:
        return False
    found.close()
    return True


@QUICK
@given(chain=histories(longest=40), cut=st.integers(0, 10_000))
def test_catching_up_is_building_anew(chain: Chain, cut: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.mktemp("registry")
    with built(root, chain.events[: 1 + cut % len(chain.events)]):
        pass
    write(root, chain.events)
    assert reopened(root)
    caught_up = tables(root)
    with built(root, chain.events):
        pass
    assert caught_up == tables(root)


@QUICK
@given(chain=histories(longest=40))
def test_a_partial_fold_gives_the_record(chain: Chain, tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.mktemp("registry")
    whole = fold(chain.events)
    with built(root, chain.events) as index:
        for name, record in whole.versions.items():
            partial = index.partial([name])
            assert partial.versions[name] == record
            assert {one: partial.requests[one] for one in record.requests} == {
                one: whole.requests[one] for one in record.requests
            }
            assert (partial.approvers, partial.pipelines, partial.policy) == (
                whole.approvers,
                whole.pipelines,
                whole.policy,
            )


def answer(lookup: StateLookup | Index, ref: str) -> tuple[str, str] | str:
    """Resolve a REF, or return what was refused."""
    try:
        return resolve(lookup, ref)
    except RegistryError as refusal:
        return f"{refusal.code} {refusal.message}"


@QUICK
@given(chain=histories(longest=40))
def test_the_index_answers_as_the_fold_does(chain: Chain, tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.mktemp("registry")
    state: State = fold(chain.events)
    words = ["latest", "none", "9.0", "", *Stage, "champion", "Challenger", "old"]
    refs = [f"{model}@{word}" for model in ("churn", "fraud", "other") for word in words]
    for record in state.versions.values():
        refs += [
            record.ref,
            record.ref.swapcase(),
            record.composite_id,
            f"blake3:{record.blake3[:12]}",
            f"sha256:{record.sha256}",
        ]
    with built(root, chain.events) as index:
        for ref in refs:
            assert answer(index, ref) == answer(StateLookup(state), ref), ref
        for record in state.versions.values():
            for digest in (
                Digest(algorithm="blake3", value=record.blake3),
                Digest(algorithm="sha256", value=record.sha256[:12]),
            ):
                assert sorted(index.with_digest(digest)) == sorted(StateLookup(state).with_digest(digest))


@pytest.fixture(name="chain")
def _chain() -> Chain:
    chain = Chain()
    chain.to_production("1")
    chain.to_production("2")
    return chain


def test_a_current_index_is_opened_and_nothing_is_written(chain: Chain, tmp_path: Path) -> None:
    with built(tmp_path, chain.events):
        pass
    before = index_path(tmp_path).read_bytes()
    assert reopened(tmp_path)
    assert index_path(tmp_path).read_bytes() == before


def test_without_one_there_is_none(chain: Chain, tmp_path: Path) -> None:
    write(tmp_path, chain.events)
    assert not reopened(tmp_path)


@pytest.mark.parametrize("damage", [b"", b"not a database at all, but long enough to be looked at" * 20])
def test_a_damaged_one_is_none(chain: Chain, tmp_path: Path, damage: bytes) -> None:
    with built(tmp_path, chain.events):
        pass
    index_path(tmp_path).write_bytes(damage)
    assert not reopened(tmp_path)


def test_one_of_another_layout_or_place_is_none(chain: Chain, tmp_path: Path) -> None:
    for change in ("layout = layout + 1", "root = '/elsewhere'"):
        with built(tmp_path, chain.events):
            pass
        with closing(sqlite3.connect(index_path(tmp_path))) as connection:
            connection.execute(f"update meta set {change}")
            connection.commit()
        assert not reopened(tmp_path)


def test_a_ledger_with_another_head_is_told_and_one_that_was_cut(chain: Chain, tmp_path: Path) -> None:
    with built(tmp_path, chain.events):
        pass
    last = tmp_path / "ledger" / file_name(len(chain.events))
    raw = last.read_bytes()
    last.write_bytes(raw.replace(b"decided", b"decades"))
    assert not reopened(tmp_path)
    last.unlink()
    assert not reopened(tmp_path)
    last.write_bytes(raw)
    assert reopened(tmp_path)


def test_new_events_that_do_not_follow_are_not_taken(chain: Chain, tmp_path: Path) -> None:
    with built(tmp_path, chain.events):
        pass
    before = tables(tmp_path)
    chain.register("3")
    raw = chain.events[-1].raw.replace(chain.events[-2].hash.encode(), b"sha256:" + b"0" * 64)
    (tmp_path / "ledger" / file_name(len(chain.events))).write_bytes(raw)
    assert not reopened(tmp_path)
    assert tables(tmp_path) == before


@pytest.mark.parametrize("raw", [b"", b"{}", b"\x00"])
def test_new_events_that_cannot_be_read_are_not_taken(chain: Chain, tmp_path: Path, raw: bytes) -> None:
    with built(tmp_path, chain.events):
        pass
    before = tables(tmp_path)
    (tmp_path / "ledger" / file_name(len(chain.events) + 1)).write_bytes(raw)
    assert not reopened(tmp_path)
    assert tables(tmp_path) == before


def test_far_behind_it_is_built_anew(chain: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CATCH_UP", 3)
    with built(tmp_path, chain.events[:-4]):
        pass
    write(tmp_path, chain.events)
    assert not reopened(tmp_path)
    with built(tmp_path, chain.events[:-3]):
        pass
    assert reopened(tmp_path)


def test_an_older_event_that_was_changed_is_not_folded(chain: Chain, tmp_path: Path) -> None:
    with built(tmp_path, chain.events) as index:
        seq = chain.record("1").seq
        path = tmp_path / "ledger" / file_name(seq)
        path.write_bytes(path.read_bytes().replace(b'"team"', b'"game"'))
        with pytest.raises(RegistryError) as refusal:
            index.partial([("churn", "1")])
        assert refusal.value.status == 4
        assert refusal.value.location == f"ledger/{file_name(seq)}"
        path.unlink()
        with pytest.raises(RegistryError) as refusal:
            index.partial([("churn", "1")])
        assert refusal.value.status == 4
        assert index.partial([]).versions == {}


def test_a_cache_that_cannot_be_written_is_no_reason_to_fail(
    chain: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"")
    monkeypatch.setenv("MANUAL_REGISTRY_CACHE", str(file / "below"))
    assert build_index(write(tmp_path, chain.events), tmp_path, chain.events, chain.state) is None
    assert open_index(LedgerFiles(tmp_path), tmp_path) is None
