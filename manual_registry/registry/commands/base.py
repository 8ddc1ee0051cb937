"""What every group of commands has: the workspace, and how paths are taken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from manual_registry.registry.handmade import locating
from manual_registry.registry.workspace import Workspace

Document = dict[str, Any]
Documents = list[Document]


class Commands:
    """Commands on one opened registry; what a hand-made event trips over is located (see :mod:`handmade`)."""

    def __init_subclass__(cls) -> None:
        """Guard the public methods of every group."""
        super().__init_subclass__()
        locating(cls)

    def __init__(self, work: Workspace) -> None:
        """Wrap a workspace."""
        self._work = work


def path_or_none(text: str | Path | None) -> Path | None:
    """Take a path as text or Path; None stays None."""
    return Path(text) if text is not None else None
