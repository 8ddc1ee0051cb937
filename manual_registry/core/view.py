"""What the workbook shows, as values: the seam between the fold of the ledger and any spreadsheet writer.

A :class:`View` is computed from the state (``core/rows.py``) and rendered by an adapter behind
``ports.WorkbookPort``. Cell values are canonical: text, int, float, bool or None; dates are ISO text;
``""`` is None. Row ids and column headers, not positions, name a cell, so that people may sort, filter and reorder.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from manual_registry.core.rendering import VIEW_VERSION

Cell: TypeAlias = "str | int | float | bool | None"


class ColumnKind(StrEnum):
    """Who owns the cells of a column in a registered row."""

    TOOL = "tool"
    EDITABLE = "editable"


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """One column of a sheet.

    ``text``: format ``@`` so that ``1.10`` and ``0012345`` survive typing; ``outline``: in a collapsed outline group;
    ``choices``: a dropdown; ``width`` in characters; ``hidden``: the row id; ``volatile``: may differ from the base
    without being an edit (nothing is compared there); ``shared``: commands change it too, so that an edit of a value
    that has changed meanwhile must be told as such.
    """

    header: str
    kind: ColumnKind = ColumnKind.TOOL
    text: bool = True
    width: float = 14.0
    wrap: bool = False
    outline: bool = False
    hidden: bool = False
    choices: tuple[str, ...] = ()
    link: bool = False
    volatile: bool = False
    shared: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One row: ``row_id`` is unique in its sheet; ``cells`` by header; ``links`` header -> relative target.

    ``look`` is a word for the colours: a stage, or ``problem``.
    """

    row_id: str
    cells: Mapping[str, Cell]
    links: Mapping[str, str] = field(default_factory=dict)
    look: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sheet:
    """One sheet with a heading row. ``row_id_header`` names the hidden column that carries row ids."""

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    row_id_header: str = "Row id"


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """The whole workbook at one ledger head.

    ``registry_id``: 32 hex; ``head_seq`` and ``head_hash`` (``sha256:…``) go into custom document properties; ``as_of``
    is the head event's time; ``read_me`` are the lines of the Read me sheet (heading, text); ``closed`` says that the
    register is closed, ``""``: it is open; ``link_prefix`` leads from the workbook to the registry, as all links do;
    ``version`` is the number of the rendering.
    """

    registry_id: str
    system: str
    head_seq: int
    head_hash: str
    as_of: str
    sheets: tuple[Sheet, ...]
    read_me: tuple[tuple[str, str], ...]
    closed: str = ""
    link_prefix: str = ""
    version: int = VIEW_VERSION


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """A cell of the file that differs from the base.

    ``column`` is None for a whole row (``found`` then says "deleted", "typed", "copied"); ``kind`` is the column's;
    ``formula``: ``found`` is the text of a formula, not a text that looks like one.
    """

    sheet: str
    row: str
    column: str | None
    found: Cell
    base: Cell
    kind: ColumnKind
    place: str
    formula: bool = False


def row_number(place: str) -> int:
    """Return the row number of a place like ``Models!A12``; 0 for a whole sheet."""
    digits = place.rpartition("!")[2].lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    return int(digits) if digits.isdigit() else 0
