"""Verifying signed approvals as one number: CPU seconds to judge each of them again at its place in the chain.

    python approvals_check.py DIR [--approvals 1000]

DIR is new; a registry with so many signed approvals is made in it. Judging one is what `verify` does with it: the
canonical statement, the signature, the roster, freshness, segregation of duties, every field against the state.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from make_ledger import Writer, found_registry, registration, stage

from manual_registry.adapters.keys import signer_for
from manual_registry.core import events as kinds
from manual_registry.core.decide import decide
from manual_registry.core.folding import apply
from manual_registry.core.sshkeys import parse_public_key
from manual_registry.core.state import State


def made(place: Path, approvals: int) -> Writer:
    """Return a writer that has written ``approvals`` signed approvals to staging, each used."""
    start = datetime.now(UTC) - timedelta(days=300)
    root = found_registry(place, start)
    writer = Writer(root=root, clock=start + timedelta(hours=1), step=timedelta(minutes=1), check=1)
    public = parse_public_key((place / "keys" / "lead.pub").read_text(encoding="utf-8"))
    signer, chance = signer_for(place / "keys" / "lead", public, terminal=False), random.Random(7)
    for number in range(approvals):
        version = f"{number // 100}.{number // 10 % 10}.{number % 10}"
        writer.append(kinds.REGISTERED, "many", version, registration(writer, chance, "many", version, number))
        stage(writer, "many", version, signer)
    return writer


def main() -> None:
    """Print ``{approvals, cpu}`` as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("place", type=Path, metavar="DIR", help="a new directory")
    parser.add_argument("--approvals", type=int, default=1000)
    given = parser.parse_args()
    events = made(given.place, given.approvals).events
    gc.disable()  # as the command line does it
    state, spent, judged = State(), 0.0, 0
    for event in events:
        if event.type == kinds.SIGNED:
            begin = time.process_time()
            reasons = decide(state, event)
            spent += time.process_time() - begin
            judged += 1
            if reasons:
                raise SystemExit(f"event {event.seq}: {reasons[0].message}")
        apply(state, event)
    print(json.dumps({"approvals": judged, "cpu": spent}))


if __name__ == "__main__":
    main()
