"""What the tests of trouble share: real processes of the command line, and what must hold once the trouble is over."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import manual_registry
from manual_registry.adapters.workbook import OpenpyxlWorkbook
from manual_registry.core.results import Severity
from manual_registry.registry import Registry

#: Where the package lies that the tests imported; the processes run the same one.
PACKAGE = Path(manual_registry.__file__).resolve().parent.parent
#: Starts the interpreter and the package, then waits for a file, so that several begin at one moment.
_GATE = """
import os, sys, time
from pathlib import Path
import blake3, filelock
import manual_registry.registry, manual_registry.adapters.copying, manual_registry.adapters.workbook.render
from manual_registry.cli import main
gate, ready = Path(sys.argv[1]), Path(sys.argv[2])
ready.touch()
while not gate.exists():
    time.sleep(0.002)
sys.exit(main(sys.argv[3:]))
"""


@dataclass(frozen=True)
class Ended:
    """A process that has ended."""

    status: int
    out: str
    err: str


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a process that runs the package under test."""
    path = os.pathsep.join(part for part in (str(PACKAGE), os.environ.get("PYTHONPATH")) if part)
    return {**os.environ, "NO_COLOR": "1", "PYTHONPATH": path, **(more or {})}


def start(
    root: Path, *words: str, actor: str = "sme@example.org", env: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    """Start the command line on the registry in ``root``."""
    return subprocess.Popen(
        [sys.executable, "-m", "manual_registry", "--registry", str(root), "--actor", actor, *words],
        env=environment(env),
        cwd=root.parent,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def end(process: subprocess.Popen[str], timeout: float = 300) -> Ended:
    """Wait for a process."""
    out, err = process.communicate(timeout=timeout)
    return Ended(process.returncode, out, err)


def run(root: Path, *words: str, actor: str = "sme@example.org", env: Mapping[str, str] | None = None) -> Ended:
    """Run the command line on the registry in ``root``."""
    return end(start(root, *words, actor=actor, env=env))


def together(root: Path | None, commands: Sequence[Sequence[str]], *, at: Path, cwd: Path | None = None) -> list[Ended]:
    """Run several command lines that all begin at one moment; ``at`` is a scratch directory."""
    at.mkdir(parents=True)
    where = ["--registry", str(root)] if root else []
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _GATE, str(at / "go"), str(at / f"ready{number}"), *where, *words],
            env=environment(),
            cwd=cwd or at,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number, words in enumerate(commands)
    ]
    wait_for(lambda: len(list(at.glob("ready*"))) == len(processes), "all processes are ready", 180)
    (at / "go").touch()
    return [end(process) for process in processes]


def wait_for(condition: object, what: str, seconds: float = 120.0) -> None:
    """Wait until ``condition()`` holds; fail when it does not within ``seconds``."""
    assert callable(condition)
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, f"waited {seconds} s in vain: {what}"
        time.sleep(0.002)


def leftovers(root: Path) -> list[str]:
    """Return what only an interrupted writer leaves below ``root``: jobs, temporary files."""
    jobs = [path for path in (root / "models").glob(".incoming/*") if path.name != ".lock"]
    temporary = [path for path in root.rglob("*") if ".mreg-tmp-" in path.name or path.name.endswith(".tmp")]
    return sorted(str(path.relative_to(root)) for path in {*jobs, *temporary})


def findings(registry: Registry) -> list[str]:
    """Return what `verify` has against the registry, information left out."""
    found = registry.verify(both=True).findings
    return [f"{one.code} {one.location}: {one.message}" for one in found if one.severity is not Severity.INFO]


def assert_whole(root: Path, *, but: Iterable[str] = ()) -> None:
    """All is well: `verify` finds nothing, nothing is left over, the workbook shows the head.

    ``but`` are codes of findings that are expected.
    """
    registry = Registry.open(root, actor="auditor@example.org")
    found = [one for one in findings(registry) if one.split()[0] not in set(but)]
    assert not found, found
    assert leftovers(root) == []
    shown = OpenpyxlWorkbook().inspect(root / "registry.xlsx")
    assert (shown.head_seq, shown.head_hash) == registry.head, "the workbook is not in step"


def tree(root: Path) -> dict[str, bytes]:
    """Return every file below ``root`` with its bytes, locks left out."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and not path.is_symlink() and path.name != ".lock"
    }


@contextmanager
def mounted(place: Path, size: str, *options: str) -> Iterator[Path]:
    """Mount a small disk at ``place``; skips the test where that is not allowed."""
    import pytest

    place.mkdir(parents=True, exist_ok=True)
    words = ["mount", "-t", "tmpfs", "-o", ",".join((f"size={size}", *options)), "tmpfs", str(place)]
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount program here")
    if done.returncode:
        pytest.skip(f"no small disk can be mounted here: {done.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)
