"""This machine's memory: it keeps the last head, never goes back by itself, and never fails a command."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from manual_registry.adapters import memory

ID = "0123456789abcdef" * 2


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MANUAL_REGISTRY_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("MANUAL_REGISTRY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "state"


def files(state: Path) -> list[Path]:
    return [path for path in state.rglob("*") if path.is_file()]


def test_nothing_is_known_at_first(state: Path, tmp_path: Path) -> None:
    assert memory.recall(ID, tmp_path) is None
    assert not state.exists(), "reading makes nothing"


def test_remember_then_recall(state: Path, tmp_path: Path) -> None:
    assert memory.remember(ID, tmp_path, 3, "sha256:aa") is None
    assert memory.recall(ID, tmp_path) == (3, "sha256:aa")
    assert memory.remember(ID, tmp_path, 4, "sha256:bb") is None
    assert memory.recall(ID, tmp_path) == (4, "sha256:bb")
    assert len(files(state)) == 1, "no temporary file stays"


def test_registries_and_places_are_apart(tmp_path: Path) -> None:
    memory.remember(ID, tmp_path / "a", 1, "one")
    memory.remember(ID, tmp_path / "b", 2, "two")
    memory.remember("other", tmp_path / "a", 3, "three")
    memory.remember("other", "s3://bucket/prefix", 4, "four")
    assert memory.recall(ID, tmp_path / "a") == (1, "one")
    assert memory.recall(ID, tmp_path / "b") == (2, "two")
    assert memory.recall("other", tmp_path / "a") == (3, "three")
    assert memory.recall("other", "s3://bucket/prefix") == (4, "four")


def test_one_place_has_one_name(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    memory.remember(ID, tmp_path / "link", 5, "five")
    assert memory.recall(ID, tmp_path / "real" / ".." / "real") == (5, "five")


def test_memory_does_not_go_back(tmp_path: Path) -> None:
    memory.remember(ID, tmp_path, 5, "five")
    memory.remember(ID, tmp_path, 4, "four")
    memory.remember(ID, tmp_path, 5, "another five")
    assert memory.recall(ID, tmp_path) == (5, "five")
    assert memory.forget(ID, tmp_path) is None
    assert memory.recall(ID, tmp_path) is None
    assert memory.forget(ID, tmp_path) is None
    memory.remember(ID, tmp_path, 4, "four")
    assert memory.recall(ID, tmp_path) == (4, "four")


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\x00\xff", b"[]", b"{}", b"null", b"[" * 100_000,
        json.dumps({"registry": ID, "seq": "3", "hash": "x"}).encode(),
        json.dumps({"registry": ID, "seq": True, "hash": "x"}).encode(),
        json.dumps({"registry": ID, "seq": 0, "hash": "x"}).encode(),
        json.dumps({"registry": ID, "seq": 3, "hash": None}).encode(),
        json.dumps({"registry": "another", "seq": 3, "hash": "x"}).encode(),
    ],
)  # fmt: skip
def test_a_broken_memory_is_no_memory(content: bytes, state: Path, tmp_path: Path) -> None:
    memory.remember(ID, tmp_path, 1, "one")
    files(state)[0].write_bytes(content)
    assert memory.recall(ID, tmp_path) is None
    assert memory.remember(ID, tmp_path, 2, "two") is None
    assert memory.recall(ID, tmp_path) == (2, "two")


def test_a_state_directory_that_is_a_file_is_told(state: Path, tmp_path: Path) -> None:
    state.write_text("in the way")
    told = memory.remember(ID, tmp_path, 1, "one")
    assert told is not None and str(state) in told and "MANUAL_REGISTRY_STATE" in told
    assert memory.recall(ID, tmp_path) is None
    assert memory.forget(ID, tmp_path) is not None


def test_a_memory_that_is_a_directory_is_told(state: Path, tmp_path: Path) -> None:
    memory.remember(ID, tmp_path, 1, "one")
    path = files(state)[0]
    path.unlink()
    path.mkdir()
    assert memory.recall(ID, tmp_path) is None
    assert memory.remember(ID, tmp_path, 2, "two") is not None
    assert files(state) == [], "no temporary file stays"


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_an_unwritable_state_directory_is_told(state: Path, tmp_path: Path) -> None:
    state.mkdir(mode=0o500)
    assert memory.remember(ID, tmp_path, 1, "one") is not None


def test_threads_do_not_tear_it(tmp_path: Path) -> None:
    def write(start: int) -> None:
        for seq in range(start, 100, 4):
            assert memory.remember(ID, tmp_path, seq, f"hash {seq}") is None
            known = memory.recall(ID, tmp_path)
            assert known is not None and known[1] == f"hash {known[0]}"

    threads = [threading.Thread(target=write, args=(start,)) for start in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert memory.recall(ID, tmp_path) is not None


def test_directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert memory.state_dir() == tmp_path / "state"
    assert memory.cache_dir() == tmp_path / "cache"
    for variable in ("MANUAL_REGISTRY_STATE", "MANUAL_REGISTRY_CACHE"):
        monkeypatch.delenv(variable)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg-state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg-cache"))
    assert memory.state_dir().name == memory.cache_dir().name == "manual-registry"
    assert not memory.cache_dir().exists()
