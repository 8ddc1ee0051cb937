"""The ledger check as one number: CPU seconds to parse, chain and fold every event of a registry.

    python ledger_check.py ROOT

Without canonical re-encoding, repeated decisions and signatures of versions (`verify` does those). ``read`` is apart:
the files are opened and read before the clock starts.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from pathlib import Path

from manual_registry.adapters.ledger_files import LedgerFiles
from manual_registry.core.folding import fold
from manual_registry.core.ledger import chain


def main(root: Path) -> None:
    """Print ``{events, read, check}`` as JSON."""
    gc.disable()  # as the command line and Registry.open do it
    ledger = LedgerFiles(root)
    begin = time.process_time()
    files = [(name, ledger.raw(name)) for name in ledger.listing().events]
    read = time.process_time()
    state = fold(list(chain(files)))
    end = time.process_time()
    print(json.dumps({"events": state.head_seq, "read": read - begin, "check": end - read}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
