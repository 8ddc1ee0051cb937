"""What the speed rests on: what is loaded, what the index reads, that hashing several at once misses nothing."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import platformdirs
import pytest
from blake3 import blake3
from world import World

from manual_registry.adapters import hashing, memory, tree
from manual_registry.adapters.ledger_files import LedgerFiles
from manual_registry.core import ledger
from manual_registry.core.errors import EventMissing, EventUnreadable
from manual_registry.registry import Registry
from manual_registry.registry.workspace import Workspace

HEAVY = {
    "pydantic",
    "openpyxl",
    "pandas",
    "numpy",
    "rich",
    "jinja2",
    "yaml",
    "pygit2",
    "platformdirs",
    "filelock",
    "blake3",
}
UNTOUCHED = {
    "manual_registry.adapters.storage",
    "manual_registry.adapters.workbook",
    "manual_registry.registry.promoting",
    "manual_registry.registry.registering",
    "manual_registry.registry.verifying",
    "cryptography.hazmat.primitives.serialization.ssh",
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with pytest.MonkeyPatch.context() as patch:
        place = tmp_path_factory.mktemp("speed")
        patch.setenv("MANUAL_REGISTRY_STATE", str(place / "state"))
        patch.setenv("MANUAL_REGISTRY_CACHE", str(place / "cache"))
        patch.chdir(place)  # out of this repository, which does not have the commits that the world names
        made = World(place / "world")
        made.to_production("1")
        yield made


@pytest.fixture(autouse=True)
def same_machine(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every test here use the module's machine, where the index is."""
    monkeypatch.chdir(world.place)
    monkeypatch.setenv("MANUAL_REGISTRY_STATE", str(world.place.parent / "state"))
    monkeypatch.setenv("MANUAL_REGISTRY_CACHE", str(world.place.parent / "cache"))


def loaded_by(world: World, *words: str) -> tuple[set[str], int]:
    """Run a command in a process of its own; return the modules that it loaded, and its exit status."""
    code = (
        "import json, sys\n"
        "from manual_registry.cli import main\n"
        "status = main(sys.argv[1:])\n"
        "print(json.dumps(sorted(sys.modules)), file=sys.stderr)\n"
        "sys.exit(status)\n"
    )
    line = [sys.executable, "-c", code, "--registry", str(world.root), *words]
    done = subprocess.run(line, capture_output=True, text=True, check=False, cwd=world.place)
    return set(json.loads(done.stderr.splitlines()[-1])), done.returncode


def test_trace_without_hashing_loads_only_what_it_needs(world: World) -> None:
    Registry.open(world.root).trace("churn@1", hash=False)  # makes the index
    found, status = loaded_by(world, "trace", "churn@1", "--no-hash")
    assert status == 0
    assert not found & HEAVY
    assert not found & UNTOUCHED
    assert "cryptography.hazmat.primitives.asymmetric.ed25519" in found, "the signature was checked"


def test_trace_through_the_index_lists_nothing_and_reads_the_version_alone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(2, 6):
        world.register(str(number))
    Registry.open(world.root).trace("churn@1", hash=False)
    read: list[str] = []
    real = LedgerFiles.raw

    def raw(self: LedgerFiles, name: str) -> bytes:
        read.append(name)
        return real(self, name)

    def listing(self: LedgerFiles) -> None:
        raise AssertionError("ledger/ was listed")

    monkeypatch.setattr(LedgerFiles, "raw", raw)
    monkeypatch.setattr(LedgerFiles, "listing", listing)
    trace = Registry.open(world.root).trace("churn@1", hash=False)
    events = {int(name.removesuffix(".json")) for name in read}
    work = Workspace(world.root)
    monkeypatch.undo()
    others = {seq for version in "2345" for seq in work.load().state.versions["churn", version].event_seqs}
    head = work.load().state.head_seq
    assert not (events & others) - {head}, "the head alone is looked at, to see whether the index is current"
    assert trace.stage == "production"


def test_the_index_follows_a_writer(world: World) -> None:
    before = Registry.open(world.root).trace("churn@1", hash=False)
    world.as_().deploy("churn@1", environment="test")
    after = Registry.open(world.root).trace("churn@1", hash=False)
    assert "test" in after.links[0].summary
    assert before.links[0].summary != after.links[0].summary


def test_several_versions_hashed_at_once_miss_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "_WORTH_A_THREAD", 0)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    for version in ("20", "21", "22", "23"):
        artefact = world.artefact(version, os.urandom(3 << 20))
        world.as_().register("several", version, artefact, metadata=world.metadata())
    seen: list[tuple[int, int]] = []
    registry = Registry.open(world.root)
    refs = [f"several@{version}" for version in ("20", "21", "22", "23")]
    assert registry.verify(refs, progress=lambda done, total: seen.append((done, total))).ok
    assert seen[-1][0] >= 4 * (3 << 20)
    (stored,) = (world.root / "models/several/22/artefact").iterdir()
    stored.chmod(0o644)
    data = bytearray(stored.read_bytes())
    data[2_500_000] ^= 1
    stored.write_bytes(data)
    outcome = registry.verify(refs)
    assert [(one.code, one.location) for one in outcome.findings if one.severity == "error"] == [
        ("MR-A001", f"models/several/22/artefact/{stored.name}")
    ]
    data[2_500_000] ^= 1
    stored.write_bytes(data)


@pytest.mark.parametrize(
    ("sizes", "both", "expected"),
    [
        ([], False, 1),
        ([5 << 30], False, 1),
        ([1 << 30, 1 << 30], False, 2),
        ([9 << 30, 1 << 30], False, 1),
        ([1 << 30] * 40, False, 2),
        ([6 << 30, 4 << 30], True, 2),
        ([100] * 1000, False, 1),
    ],
)
def test_one_after_another_where_one_outweighs_the_others(
    sizes: list[int], both: bool, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert tree.workers(None, both, sizes) == expected


def test_jobs_is_what_the_user_asked_for() -> None:
    assert tree.workers(3, False, [10, 20, 30, 40]) == 3
    assert tree.workers(3, False, [10]) == 1


@pytest.mark.parametrize("size", [0, 1, 4096, (1 << 20) + 1, 3_000_001])
@pytest.mark.parametrize("alone", [True, False])
def test_hashed_alone_or_not_it_is_the_same(size: int, alone: bool, tmp_path: Path) -> None:
    data = os.urandom(size)
    path = tmp_path / "file"
    path.write_bytes(data)
    pieces: list[bytes] = []
    counts: list[int] = []
    with path.open("rb") as file:
        done = hashing.read_through(
            file.fileno(),
            sha256=True,
            sink=lambda piece: pieces.append(bytes(piece)),
            tick=counts.append,
            buffer=1 << 20,
            alone=alone,
        )
    assert (done.size, done.blake3) == (size, blake3(data).hexdigest())
    assert b"".join(pieces) == data
    assert sum(counts) == size


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere platformdirs itself is asked")
@pytest.mark.parametrize("value", [None, "", "/somewhere/else"])
def test_the_machines_directories_are_those_of_platformdirs(
    value: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("MANUAL_REGISTRY_STATE", "MANUAL_REGISTRY_CACHE"):
        monkeypatch.delenv(name)
    for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    assert memory.state_dir() == Path(platformdirs.user_state_dir("manual-registry", appauthor=False))
    assert memory.cache_dir() == Path(platformdirs.user_cache_dir("manual-registry", appauthor=False))


def test_loading_leaves_the_collector_as_it_was(world: World) -> None:
    work = Workspace(world.root)
    assert gc.isenabled()
    work.load()
    assert gc.isenabled()
    gc.disable()
    try:
        work.load()
        assert not gc.isenabled()
    finally:
        gc.enable()


# -- several event files parsed as one text ---------------------------------------------------------------


def made_chain(count: int) -> list[tuple[str, bytes]]:
    """Return a chain of notes, one of them with text that must be escaped; what they mean counts for nothing here."""
    files: list[tuple[str, bytes]] = []
    prev = None
    for seq in range(1, count + 1):
        draft = ledger.Draft(
            type="version.noted",
            subject={"model": "m", "version": "1"},
            data={"text": f"{seq} € \x07" if seq == 40 else "a"},
        )
        event = ledger.seal(draft, seq=seq, prev=prev, at="2026-01-01T00:00:00.000Z", actor="a@b.c")
        files.append((ledger.file_name(seq), event.raw))
        prev = event.hash
    return files


@pytest.mark.parametrize("count", [0, 1, 31, 32, 33, 100])
def test_parsed_together_they_are_what_each_is_by_itself(count: int) -> None:
    files = made_chain(count)
    assert list(ledger.chain(files)) == [ledger.parse_event(raw, location=name) for name, raw in files]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (b'{"a":[{}\n', b'{}]},{"b":{}}\n'),
        (b'{"a":"\n', b'"},{"b":1}\n'),
        (b'{"a":1},{"b":2}\n', b"\n"),
        (b"{}\n", b'{},"sha256:00",{}\n'),
        (b'{"a":[\n', b"]}\n"),
    ],
)
def test_what_only_together_is_json_is_none(first: bytes, second: bytes) -> None:
    files = made_chain(4)
    files[1], files[2] = (files[1][0], first), (files[2][0], second)
    read = ledger.chain(files)
    assert next(read).seq == 1
    with pytest.raises(EventUnreadable) as caught:
        next(read)
    assert caught.value.location == f"ledger/{files[1][0]}"


def test_the_first_fault_is_told_though_a_later_file_cannot_be_read() -> None:
    files = made_chain(10)
    files[4] = (files[4][0], files[3][1])

    def reading() -> Iterator[tuple[str, bytes]]:
        yield from files[:8]
        raise EventUnreadable("a later file", location="later")

    read = ledger.chain(reading())
    assert [next(read).seq for _ in range(4)] == [1, 2, 3, 4]
    with pytest.raises(EventMissing, match="says that it is event 4"):
        next(read)

    def whole() -> Iterator[tuple[str, bytes]]:
        yield from made_chain(8)
        raise EventUnreadable("a later file", location="later")

    read = ledger.chain(whole())
    assert [next(read).seq for _ in range(8)] == list(range(1, 9))
    with pytest.raises(EventUnreadable, match="a later file"):
        next(read)
