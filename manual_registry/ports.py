"""What the facade needs from the outside, as protocols; adapters/ fills them.

A port names only what is called; an adapter may offer more. The patcher of the workbook, buckets and other key
holders will stand behind the same protocols.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from manual_registry.core.view import Cell, Difference, View

#: Called with (bytes done, bytes in all); the command line shows a bar when it takes longer than a second.
Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkbookState:
    """What the file on disk is: ``present``; the ledger head that it names (None: not ours or damaged).

    ``link_prefix`` is what its links begin with (None: it does not say); the file may have been moved since.
    ``view_version`` is the number of the rendering that wrote it (None: it does not say). ``joined_up_to`` is the event up
    to which own columns of adopted sheets stand in it (0: none).
    """

    present: bool
    registry_id: str | None = None
    head_seq: int | None = None
    head_hash: str | None = None
    link_prefix: str | None = None
    view_version: int | None = None
    joined_up_to: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Refreshed:
    """What a refresh did: ``written`` False when it was open elsewhere or held edits of tool-owned cells.

    ``set_aside`` is the path of the person's file where openpyxl would have dropped something; ``warnings`` are
    sentences for the user; ``waiting`` counts edits that wait for `sync`; ``sha256`` is of the file as it is left
    (None: it could not be brought up to date).
    """

    written: bool
    set_aside: Path | None = None
    warnings: tuple[str, ...] = ()
    waiting: int = 0
    sha256: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class TypedRow:
    """A row that a person typed into a sheet of ours (no row id): ``number`` is its row, ``cells`` by header.

    ``formulas`` are the headers whose cells hold a formula (its text stands in ``cells``).
    """

    sheet: str
    number: int
    cells: Mapping[str, Cell]
    formulas: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """A workbook read once: what differs from the base, what people typed, and which bytes that was (SHA-256).

    ``notices`` are sentences about what is no reason to refuse the file (macros, hidden sheets, merged cells).
    ``changed_lines`` are (place, sentence) of the tool's own lines that somebody changed, unless ``other_release``.
    ``other_release``: a release with another rendering than the base's wrote it.
    """

    sha256: str
    differences: tuple[Difference, ...]
    typed: tuple[TypedRow, ...]
    notices: tuple[str, ...] = ()
    changed_lines: tuple[tuple[str, str], ...] = ()
    other_release: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Instructions:
    """What `sync` decided about a workbook, for one refresh.

    ``accept``: (sheet, row id, column) whose differing value became an event: the new view's value is written.
    ``keep``: the same for cells that stay as the person left them (waiting, with a problem told in Check).
    Every other cell of a known row that differs from the base is put back, deleted rows come back.
    ``adopt``: (sheet, row number) of typed rows -> the row id that they now have; people's own cells in them stay.
    ``says``: text for the Check cell of (sheet, row id) or (sheet, row number of a typed or copied row).
    ``read``: SHA-256 of the file that all this was decided about; another one is left alone (None: any).
    """

    accept: frozenset[tuple[str, str, str]] = frozenset()
    keep: frozenset[tuple[str, str, str]] = frozenset()
    adopt: Mapping[tuple[str, int], str] = field(default_factory=dict)
    says: Mapping[tuple[str, str | int], str] = field(default_factory=dict)
    read: str | None = None


class WorkbookPort(Protocol):
    """The tracking spreadsheet. Every method is given the path, since ``[workbook] path`` may lie elsewhere."""

    def inspect(self, path: Path) -> WorkbookState:
        """Read the custom properties only; raises ``WorkbookUnreadable`` for a file that is no workbook."""

    def read(self, path: Path, base: View) -> Reading | None:
        """Compare with ``base`` and read what people typed, in one go; writes nothing. None: there is no file."""

    def refresh(self, path: Path, base: View | None, new: View, *, sync: Instructions | None = None) -> Refreshed:
        """Bring the file from ``base`` to ``new``; cells that differ from the base stay as they are.

        ``sync`` says what became of the differences (see :class:`Instructions`).
        """

    def render(self, path: Path, new: View, *, aside: Path | None) -> None:
        """Write the workbook anew; an existing file is first moved to ``aside``."""


class Signer(Protocol):
    """Something that holds a private key."""

    @property
    def public_key(self) -> str:
        """The OpenSSH public key, ``type base64``, without comment."""

    def sign(self, message: bytes, *, namespace: str) -> str:
        """Return an armoured SSHSIG over ``message``; raises ``SigningFailed``."""
