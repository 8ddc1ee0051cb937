"""A whole life of a small real model, from training on public data to the trace of an incident.

>>> from pathlib import Path
>>> from manual_registry.demo import run
>>> trace = run(Path("manual-registry-demo"), report=print)  # doctest: +SKIP

Nothing heavy is imported until :func:`run` is called.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from manual_registry.core.results import Trace

__all__ = ["run"]


def run(directory: Path | None, *, report: Callable[[str], None]) -> Trace:
    """Play the demo in ``directory`` (None: ``./manual-registry-demo``); see :func:`.story.run`."""
    from manual_registry.demo import story

    return story.run(directory, report=report)
