"""One changed row in a large workbook, as CPU seconds.

    python workbook_row.py render ROOT FILE     the workbook of the registry in ROOT, as FILE
    python workbook_row.py refresh ROOT FILE    what is timed: one row more is due, FILE is brought up to date
    python workbook_row.py openpyxl ROOT FILE   the peer: openpyxl loads FILE and saves it

``refresh`` begins when both views are there: computing them is the ledger's part, not the workbook's.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from manual_registry.adapters.ledger_files import LedgerFiles
from manual_registry.adapters.workbook import OpenpyxlWorkbook
from manual_registry.core import events as kinds
from manual_registry.core.folding import apply, fold
from manual_registry.core.ledger import Draft, seal
from manual_registry.core.rows import build_view
from manual_registry.core.times import stamp
from manual_registry.core.view import View


def views(root: Path) -> tuple[View, View]:
    """Return the view at the ledger's head, and the one after a note on one version."""
    events = LedgerFiles(root).load()
    state = fold(events)
    base = build_view(state, events)
    one = next(iter(state.versions.values()))
    draft = Draft(type=kinds.NOTED, subject={"model": one.model, "version": one.version}, data={"text": "Seen."})
    note = seal(draft, seq=state.head_seq + 1, prev=state.head_hash, at=stamp(datetime.now(UTC)), actor=one.actor)
    apply(state, note)
    return base, build_view(state, [*events, note])


def main(what: str, root: Path, file: Path) -> None:
    """Do ``what`` and print its CPU seconds as JSON."""
    gc.disable()  # as the command line does; openpyxl gains by it as well
    if what == "openpyxl":
        from openpyxl import load_workbook

        begin = time.process_time()
        load_workbook(file).save(file.with_suffix(".saved.xlsx"))
    else:
        base, new = views(root)
        port = OpenpyxlWorkbook()
        begin = time.process_time()
        if what == "render":
            port.render(file, base, aside=None)
        elif not port.refresh(file, base, new).written:
            raise SystemExit("nothing was written")
    print(json.dumps({"cpu": time.process_time() - begin}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
