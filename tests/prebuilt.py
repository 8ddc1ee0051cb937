"""Registries made once a worker and copied: what nearly every test begins with need not be made again each time.

A copy is what the commands themselves left: the files, and what the machine remembers of them (heads, renderings). It is
taken only where nothing could come out otherwise:

* a test gets each prebuilt registry once; a second world in the same test is made anew, with an id and keys of its own;
* fixtures that serve more than one test get none, nor does a test that has patched anything;
* single steps after the first (a version registered, approved, promoted) are copied in fixtures only: what a test does
  in its own body is done.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from manual_registry.adapters import memory

if TYPE_CHECKING:
    import pytest
    from world import World

T = TypeVar("T")

#: What a world writes beside its registry and keys.
_BESIDE = ("environment.txt", "metadata.yaml", "model-*.bin")


@dataclass
class _Test:
    """The running test: what it has taken, and whether its body has begun."""

    patch: pytest.MonkeyPatch
    machine: Path
    state: str
    taken: set[str] = field(default_factory=set)
    fixtures: bool = True

    def may_copy(self, world: World) -> bool:
        """Tell that nothing is patched, the machine is still the test's own, and the disk the usual one."""
        if getattr(self.patch, "_setattr", True) or os.environ.get(memory.STATE_VARIABLE) != self.state:
            return False
        world.place.mkdir(parents=True, exist_ok=True)
        return world.place.stat().st_dev == self.machine.stat().st_dev


@dataclass(frozen=True)
class _Made:
    """A world as it was after some steps: its files, what the machine remembers, and what the last step returned."""

    files: Path
    registry: str
    head: tuple[int, str] | None
    written: str | None
    result: Any


_made: dict[str, _Made] = {}
_test: _Test | None = None
_shelf: Path | None = None


def begin(patch: pytest.MonkeyPatch, machine: Path, shelf: Path) -> None:
    """Begin a test on its own ``machine``; ``shelf`` is where this worker keeps what it copies from."""
    global _test, _shelf
    _test, _shelf = _Test(patch, machine, os.environ[memory.STATE_VARIABLE]), shelf


def body() -> None:
    """Tell that the fixtures are done and the test's own body begins."""
    if _test is not None:
        _test.fixtures = False


def end() -> None:
    """End the test."""
    global _test  # noqa: PLW0603 - one test runs at a time
    _test = None


def first(world: World, make: Callable[[], None]) -> None:
    """Make the registry of ``world``, or take a copy of one that was made with the same arguments."""
    world.steps = None
    steps = json.dumps(["init", world.risk, world.leads, world.pipelines, str(world.now)])
    if (
        _test is None
        or not _test.may_copy(world)
        or steps in _test.taken
        or world.root.exists()
        or (world.keys.exists() and any(world.keys.iterdir()))
    ):
        make()
        return
    _test.taken.add(steps)
    if steps in _made:
        _take(world, _made[steps])
    else:
        make()
        _keep(world, steps, None)
    world.steps, world.seen = steps, _print(world)


def step(world: World, name: str, words: Any, do: Callable[[], T], *, anywhere: bool = False) -> T:
    """Do a step of the life of ``world`` (a step may be made of steps), or take a copy of a world after the same steps.

    ``anywhere``: also in a test's own body (what no test is about, but only a way to get somewhere).
    """
    before, world.steps = world.steps, None
    if (
        before is None
        or _test is None
        or not (_test.fixtures or anywhere)
        or not _test.may_copy(world)
        or _in_repository()
    ):
        return do()
    steps = json.dumps([before, name, world.model, str(world.now), repr(words)])
    if str(world.place) in steps or world.seen != _print(world):
        return do()
    if steps in _made:
        result: T = _made[steps].result
        aside = Path(tempfile.mkdtemp(prefix="replaced-", dir=_test.machine))
        for place in (world.root, world.keys):
            place.rename(aside / place.name)  # version directories are read-only: moved, not removed
        _take(world, _made[steps])
    else:
        result = do()
        if str(world.place) in repr(result):
            return result
        _keep(world, steps, result)
    world.steps, world.seen = steps, _print(world)
    return result


def _in_repository() -> bool:
    """A commit would be looked up there."""
    here = Path.cwd()
    return any((place / ".git").exists() for place in (here, *here.parents))


def _print(world: World) -> list[tuple[str, int, int]]:
    """Return what tells whether anybody else has touched the registry, the keys, or what the machine remembers."""
    found: list[tuple[str, int, int]] = []
    for top in (world.root, world.keys, memory.state_dir()):
        for place, _, names in os.walk(top):
            for name in (".", *names):
                facts = os.lstat(f"{place}/{name}")
                found.append((f"{place}/{name}", facts.st_mtime_ns, facts.st_ino))
    return sorted(found)


def _keep(world: World, steps: str, result: Any) -> None:
    assert _shelf is not None
    files = _shelf / str(len(_made))
    _copy(world.place, files)
    workbook = world.root / "registry.xlsx"
    if (kept := memory.renderings_dir(world.root, workbook)).exists():
        shutil.copytree(kept, files / "renderings")
    registry = hashlib.sha256(world.ledger(1).read_bytes()).hexdigest()[:32]
    head, written = memory.recall(registry, world.root), memory.recall_view(world.root, workbook).written
    _made[steps] = _Made(files, registry, head, written, result)


def _take(world: World, made: _Made) -> None:
    _copy(made.files, world.place)
    workbook = world.root / "registry.xlsx"
    kept = memory.renderings_dir(world.root, workbook)
    if (made.files / "renderings").exists():
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(made.files / "renderings", kept)
    if made.head is not None:
        memory.remember(made.registry, world.root, *made.head)
    if made.written is not None:
        memory.remember_written(world.root, workbook, made.written)


def _copy(source: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for entry in os.scandir(source):
        if entry.name in ("registry", "keys"):
            shutil.copytree(entry.path, target / entry.name, symlinks=True, dirs_exist_ok=True)
        elif any(fnmatch.fnmatchcase(entry.name, one) for one in _BESIDE):
            shutil.copy2(entry.path, target / entry.name)
