"""The demo as a whole: a complete life in a high-risk registry, with no network, no git and no ssh-keygen."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from manual_registry import Registry
from manual_registry.core.errors import NameTaken, StorageReadOnly
from manual_registry.core.results import Trace
from manual_registry.demo import run
from manual_registry.demo.story import ENGINEER, LEAD, SME

FIRST, SECOND = "credit-scorecard@1.0.0", "credit-scorecard@1.1.0"


@dataclass(frozen=True)
class _Played:
    directory: Path
    lines: list[str]
    trace: Trace
    seconds: float

    @property
    def registry(self) -> Registry:
        return Registry.open(self.directory / "registry", actor=ENGINEER.email)


def _no_network(*_: object, **__: object) -> None:
    raise AssertionError("the demo reached for the network")


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Played]:
    """Play the demo once, with an empty PATH, no home and no network."""
    place = tmp_path_factory.mktemp("story")
    lines: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(place / "nothing"))
        patch.setenv("HOME", str(place / "home"))
        patch.setenv("XDG_STATE_HOME", str(place / "state"))
        patch.setenv("XDG_CACHE_HOME", str(place / "cache"))
        patch.delenv("SSH_AUTH_SOCK", raising=False)
        patch.setattr(socket.socket, "connect", _no_network)
        begun = time.monotonic()
        trace = run(place / "demo", report=lines.append)
        yield _Played(place / "demo", lines, trace, time.monotonic() - begun)


def test_ends_with_a_whole_and_verified_trace(played: _Played) -> None:
    assert (played.trace.model, played.trace.version) == ("credit-scorecard", "1.1.0")
    assert played.trace.stage == "production"
    assert played.trace.complete and played.trace.verified and not played.trace.broken


def test_is_quick(played: _Played) -> None:
    assert played.seconds < 15


def test_tells_the_story(played: _Played) -> None:
    text = "\n".join(played.lines)
    for person in (SME, LEAD, ENGINEER):
        assert person.name in text
    for command in (
        "init",
        "pipeline add",
        "register",
        "approval request",
        "approval sign",
        "promote",
        "deploy",
    ):
        assert f"$ mreg {command} " in text
    assert "REFUSED (exit 3, MR-P007" in text
    assert played.lines[-1].startswith(f"Open {played.directory / 'registry/registry.xlsx'}")
    assert (played.directory / "registry/registry.xlsx").is_file()
    assert all("\n" not in line for line in played.lines)


def test_first_is_in_its_bag_and_second_in_production(played: _Played) -> None:
    first, second = played.registry.show(FIRST), played.registry.show(SECOND)
    assert (first["stage"], second["stage"]) == ("archived", "production")
    root = played.directory / "registry"
    assert (root / "archive/credit-scorecard/1.0.0/bagit.txt").is_file()
    assert not (root / "models/credit-scorecard/1.0.0").exists()
    assert (root / "models/credit-scorecard/1.1.0/artefact/model.npz").is_file()


def test_every_approval_is_the_leads_and_used(played: _Played) -> None:
    approvals = played.registry.approval_list()
    assert len(approvals) == 4
    assert {approval["status"] for approval in approvals} == {"used"}
    assert {approval["to"] for approval in approvals} == {"staging", "production"}


def test_verify_is_clean(played: _Played) -> None:
    found = played.registry.verify()
    assert found.ok, found.findings


def test_a_directory_that_holds_anything_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(NameTaken) as refused:
        run(tmp_path, report=lambda _: None)
    assert refused.value.exit_status == 6
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_file_in_its_place_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "demo").write_text("keep")
    with pytest.raises(NameTaken):
        run(tmp_path / "demo", report=lambda _: None)
    assert (tmp_path / "demo").read_text() == "keep"


def test_default_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "manual-registry-demo").mkdir()
    (tmp_path / "manual-registry-demo" / "x").touch()
    with pytest.raises(NameTaken, match="manual-registry-demo"):
        run(None, report=lambda _: None)


def test_read_only_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(StorageReadOnly, match="Permission denied"):
        run(tmp_path / "demo", report=lambda _: None)
