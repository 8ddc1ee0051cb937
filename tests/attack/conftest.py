"""One world for all of these tests, built once; each test falsifies a copy of its registry."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from attacker import Scene, build
from world import World


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The finished world, in a process that remembers nothing of it elsewhere."""
    place = tmp_path_factory.mktemp("attack")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MANUAL_REGISTRY_STATE", str(place / "state"))
        patch.setenv("MANUAL_REGISTRY_CACHE", str(place / "cache"))
        patch.delenv("CI", raising=False)
        patch.chdir(place)
        yield build(place / "world")


@pytest.fixture
def scene(finished: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """A copy of its registry in a place that this machine has never seen."""
    monkeypatch.chdir(tmp_path)
    return Scene.copy(finished, tmp_path / "copy")
