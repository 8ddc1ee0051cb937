"""The command line ``mreg`` (``manual-registry``): parses, calls the facade, shows what came back.

Layers inside: ``app`` (which commands there are) -> command modules (``read``, ``checks``, ``change``,
``stages``, ``approvals``, ``roster``, ``setup``) -> ``screens``, ``tables``, ``ask``, ``options``,
``output``; ``boundary`` turns errors into text and exit status. No rule of the registry is decided here.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status (for ``sys.exit``); None: what this process was started with."""
    if arguments is not None:
        return _run(list(arguments))
    # A process of our own, which soon ends: events make no cycles, and looking for some takes as long as parsing them.
    gc.disable()
    try:
        return _run(sys.argv[1:])
    finally:
        gc.freeze()  # the interpreter would look once more on its way out


def _run(typed: list[str]) -> int:
    from manual_registry.cli.app import run
    from manual_registry.cli.ask import ask_passphrase
    from manual_registry.cli.boundary import guarded
    from manual_registry.cli.output import prepare_streams
    from manual_registry.cli.session import Session

    session = Session(passphrase=ask_passphrase)
    prepare_streams()
    return guarded(lambda: run(typed, session), session, typed)
