"""Measures what design section 6 asks for, beside the peers, in one run, and prints ratios.

    python benchmarks/run.py [--only ROW]... [--quick] [--json] [--runs N] [--keep DIR] [--peers DIR]

What each row means stands in README.md beside this file. Exit status 1 when a row that is due misses its target.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shutil
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from peers import Peers, install
from rows import PEERED, ROWS, Bench, Row
from timing import Failed, Timing


def parsed(words: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--only", action="append", choices=list(ROWS), metavar="ROW", help=f"one of {', '.join(ROWS)}; may repeat"
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="a tenth of everything, three runs: to see whether it works; judges nothing",
    )
    parser.add_argument("--json", action="store_true", help="one JSON document instead of the table")
    parser.add_argument("--runs", type=int, default=5, help="how often each is timed [default: 5]")
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="work in DIR and leave everything there (else a temporary directory)"
    )
    parser.add_argument("--peers", type=Path, metavar="DIR", help="the peers' environment, made when it is not there")
    return parser.parse_args(words)


def machine(peers: Peers) -> dict[str, Any]:
    """Return what a reader of the numbers must know; no name of a machine or person."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "cores": os.cpu_count(),
        "memory_gb": round(memory, 1),
        "load_at_start": round(os.getloadavg()[0], 1),
        "python": sys.version.split()[0],
        "peers": peers.versions(),
    }


def measure(bench: Bench, names: list[str]) -> list[Row]:
    """Return the rows of ``names``; what cannot be measured here is told in its place."""
    found: list[Row] = []
    for name in names:
        action, needs = ROWS[name]
        missing = [program for program in needs if program in bench.peers.missing]
        if missing:
            found.append(Row(name=name, what="not measured", by="-", note=f"{', '.join(missing)} is not installed"))
            continue
        print(f"measuring {name} ...", file=sys.stderr)
        found += action(bench)
    return found


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}" if value >= 20 else f"{value:.3f}"


def _seconds(timing: Timing | None) -> str:
    if timing is None:
        return "-"
    return f"{_time(timing.wall)} / {_time(timing.cpu)}"


def _time(seconds: float) -> str:
    return f"{seconds:.3f}" if seconds else "-"


def table(facts: dict[str, Any], rows: list[Row]) -> list[str]:
    """Return the lines of the table."""
    told = ", ".join(f"{name} {version}" for name, version in facts["peers"].items())
    lines = [
        f"{facts['date']}, {facts['cores']} cores, {facts['memory_gb']} GB, load {facts['load_at_start']}",
        f"Python {facts['python']}, {told}",
        "times are medians in seconds, wall / CPU; judged is the ratio in the column 'by'",
        "",
    ]
    heads = ("row", "by", "value", "target", "", "ours", "theirs", "what")
    cells = [
        (
            row.name,
            row.by,
            _figure(row.value),
            "-" if row.target is None else f"{'>=' if row.least else '<='} {_figure(row.target)}",
            row.verdict,
            _seconds(row.ours),
            _seconds(row.theirs),
            row.what + (f" ({row.note})" if row.note else ""),
        )
        for row in rows
    ]
    widths = [max(len(line[column]) for line in (heads, *cells)) for column in range(len(heads))]
    return lines + [
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in (heads, *cells)
    ]


def document(facts: dict[str, Any], rows: list[Row]) -> dict[str, Any]:
    """Return the same as one JSON document."""
    return {**facts, "rows": [{**dataclasses.asdict(row), "verdict": row.verdict} for row in rows]}


def main(words: list[str] | None = None) -> int:
    """Measure and print; return the exit status."""
    given = parsed(words)
    place = given.keep.absolute() if given.keep else Path(tempfile.mkdtemp(prefix="manual-registry-bench-"))
    place.mkdir(parents=True, exist_ok=True)
    share = 10 if given.quick else 1
    try:
        names = given.only or list(ROWS)
        wanted = not PEERED.isdisjoint(names)
        peers = install(given.peers.absolute() if given.peers else place / "peers", wanted=wanted)
        bench = Bench(
            place=place,
            peers=peers,
            runs=3 if given.quick else given.runs,
            versions=10_000 // share,
            size=(1 << 30) // share // (1 << 20) * (1 << 20),
        )
        facts, rows = machine(peers), measure(bench, names)
        if given.quick:
            rows = [dataclasses.replace(row, target=None) for row in rows]
    except Failed as problem:
        print(f"cannot measure: {problem}", file=sys.stderr)
        return 2
    finally:
        if given.keep is None:
            for folder, _, _ in os.walk(place):
                Path(folder).chmod(0o755)
            shutil.rmtree(place, ignore_errors=True)
    print(json.dumps(document(facts, rows), indent=2) if given.json else "\n".join(table(facts, rows)))
    return 1 if any(row.verdict == "FAIL" for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
