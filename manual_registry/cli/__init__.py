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
    """Run one command and return the exit status (for ``sys.exit``)."""
    gc.disable()  # one command, then the process ends: events make no cycles, and looking for some takes half the time
    from manual_registry.cli.app import run
    from manual_registry.cli.boundary import guarded
    from manual_registry.cli.output import prepare_streams
    from manual_registry.cli.session import Session

    typed = list(sys.argv[1:] if arguments is None else arguments)
    session = Session()
    prepare_streams()
    return guarded(lambda: run(typed, session), session, typed)
