"""Fixtures: the command line in this process, on a fake facade."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cli_fakes import FakeRegistry, Ran

from manual_registry.cli import main, session


@pytest.fixture
def facade(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeRegistry]:
    fake = FakeRegistry(tmp_path / "registry")
    fake.root.mkdir()
    monkeypatch.setattr(session, "registry_class", lambda: fake)
    monkeypatch.setattr("manual_registry.cli.setup.registry_class", lambda: fake)
    monkeypatch.delenv("MANUAL_REGISTRY_PIPELINE_KEY", raising=False)
    yield fake


@pytest.fixture
def run(facade: FakeRegistry, capfd: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    def _run(*arguments: str) -> Ran:
        capfd.readouterr()
        status = main(list(arguments))
        captured = capfd.readouterr()
        return Ran(status, captured.out, captured.err)

    return _run
