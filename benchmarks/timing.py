"""Times whole processes: wall clock, user and system CPU, the most memory held; several commands in turn.

Rules held here: nothing is timed once; commands that are compared run in turn (A B C A B C), so that a busy moment of
the machine meets all of them; medians count. This process stays small, because Linux counts the memory of whoever
starts a process as the first memory of that process.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


def _nothing() -> None:
    return None


@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """Something to time. ``before`` and ``after`` run around each turn, untimed; ``statuses`` are no failures."""

    name: str
    words: Sequence[str]
    cwd: Path
    env: Mapping[str, str] = field(default_factory=dict)
    before: Callable[[], None] = _nothing
    after: Callable[[], None] = _nothing
    statuses: tuple[int, ...] = (0,)


@dataclass(frozen=True, kw_only=True, slots=True)
class Timing:
    """Seconds of wall clock and CPU (user + system), and the most memory in MB (10^6 bytes)."""

    wall: float
    cpu: float
    memory: float


class Failed(Exception):
    """A command that is timed ended with a status that it must not have."""


def run_once(command: Command) -> Timing:
    """Run ``command`` to its end and return what it took."""
    command.before()
    with tempfile.TemporaryFile() as said:
        begin = time.perf_counter()
        process = subprocess.Popen(
            command.words,
            cwd=command.cwd,
            env=environment(command.env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
        )
        _, ended, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(ended)
        if process.returncode not in command.statuses:
            said.seek(0)
            told = said.read().decode(errors="replace")[-2000:]
            raise Failed(f"{command.name}: exit {process.returncode}: {' '.join(command.words)}\n{told}")
    command.after()
    return Timing(wall=wall, cpu=usage.ru_utime + usage.ru_stime, memory=usage.ru_maxrss * 1024 / 1e6)


def in_turn(commands: Sequence[Command], runs: int, *, warm: bool = True) -> dict[str, Timing]:
    """Run the commands in turn, ``runs`` times each (once before, untimed, when ``warm``); return medians by name."""
    for command in commands if warm else ():
        run_once(command)
    turns: dict[str, list[Timing]] = {command.name: [] for command in commands}
    for _ in range(runs):
        for command in commands:
            turns[command.name].append(run_once(command))
    return {name: median(found) for name, found in turns.items()}


def median(timings: Sequence[Timing]) -> Timing:
    """Return the medians of the times, and the most memory of all."""
    return Timing(
        wall=statistics.median(one.wall for one in timings),
        cpu=statistics.median(one.cpu for one in timings),
        memory=max(one.memory for one in timings),
    )


def environment(more: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a process that is timed: bytecode is kept, as in an installed program."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH")}
    return {**kept, **more}


def call(words: Sequence[str], *, cwd: Path, env: Mapping[str, str] | None = None) -> str:
    """Run a command of the preparations; return its standard output, or raise :class:`Failed` with what it said."""
    done = subprocess.run(words, cwd=cwd, env=environment(env or {}), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failed(f"{' '.join(map(str, words))}: exit {done.returncode}\n{(done.stderr or done.stdout)[-2000:]}")
    return done.stdout
