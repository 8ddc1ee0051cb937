"""Registries for the tests of `sync`."""

from __future__ import annotations

from pathlib import Path

import prebuilt
import pytest
from world import World


@pytest.fixture(autouse=True)
def own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work outside every repository."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A high-risk registry with two versions."""
    made = World(tmp_path / "world")
    made.register("1")
    made.register("2")
    return made


@pytest.fixture
def small(tmp_path: Path) -> World:
    """A registry of minimal risk, no leads, three versions that need nothing but a file."""
    made = World(tmp_path / "small", risk="minimal", leads=(), pipelines=())

    def register() -> None:
        for version in ("1", "2", "3"):
            made.as_().register("churn", version, made.artefact(version), owner="team")

    prebuilt.step(made, "three small versions", None, register)
    return made
