"""What the facade needs from the outside, as protocols; adapters/ fills them.

A port names only what is called; an adapter may offer more. The patcher of the workbook, buckets and other key
holders will stand behind the same protocols.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from manual_registry.core.view import Difference, View

#: Called with (bytes done, bytes in all); the command line shows a bar when it takes longer than a second.
Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkbookState:
    """What the file on disk is: ``present``; the ledger head that it names (None: not ours or damaged)."""

    present: bool
    registry_id: str | None = None
    head_seq: int | None = None
    head_hash: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Refreshed:
    """What a refresh did: ``written`` False when it was open elsewhere or held edits of tool-owned cells.

    ``set_aside`` is the path of the person's file where openpyxl would have dropped something; ``warnings`` are
    sentences for the user; ``waiting`` counts edits that wait for `sync`.
    """

    written: bool
    set_aside: Path | None = None
    warnings: tuple[str, ...] = ()
    waiting: int = 0


class WorkbookPort(Protocol):
    """The tracking spreadsheet. Every method is given the path, since ``[workbook] path`` may lie elsewhere."""

    def inspect(self, path: Path) -> WorkbookState:
        """Read the custom properties only; raises ``WorkbookUnreadable`` for a file that is no workbook."""

    def differences(self, path: Path, base: View) -> tuple[Difference, ...]:
        """Compare cell by cell with ``base``; writes nothing."""

    def refresh(self, path: Path, base: View | None, new: View) -> Refreshed:
        """Bring the file from ``base`` to ``new``; cells that differ from the base stay as they are."""

    def render(self, path: Path, new: View, *, aside: Path | None) -> None:
        """Write the workbook anew; an existing file is first moved to ``aside``."""


class Signer(Protocol):
    """Something that holds a private key."""

    @property
    def public_key(self) -> str:
        """The OpenSSH public key, ``type base64``, without comment."""

    def sign(self, message: bytes, *, namespace: str) -> str:
        """Return an armoured SSHSIG over ``message``; raises ``SigningFailed``."""
