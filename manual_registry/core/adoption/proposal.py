"""What is proposed for a team's spreadsheet: how it is read, which rows come of it, what a person must say.

These are values only; ``planning.py`` and ``reading.py`` make them, ``report.py`` tells them. Every value keeps the
cell that it came from, as written there and as understood.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from manual_registry.core.adoption.cells import letter, place
from manual_registry.core.adoption.words import StatedHash
from manual_registry.core.manifest import Content
from manual_registry.core.values import ModelName, Version


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """Something that a person must say before anything is imported.

    ``answer`` is the place in the mapping file where the answer goes, ``key`` what stands there before the equals sign
    (empty: the line is there already); ``choices`` are possible answers, most likely first; an answer beyond them is
    possible where they are empty or end in ``...``. Kinds: headings, column, model, model_name, fill_down, split_model,
    version_column, version, version_number, version_date, date_order, stage, double, double_table, two_in_production,
    location.
    """

    kind: str
    message: str
    answer: str
    key: str = ""
    sheet: str | None = None
    row: int | None = None
    column: str | None = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Remark:
    """Something that was done or noticed, and is told; ``rows`` are those that it is about (none: the whole sheet)."""

    message: str
    sheet: str | None = None
    rows: tuple[int, ...] = ()
    column: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class LeftOut:
    """A row (None: a whole sheet) that is not imported, and why."""

    sheet: str
    row: int | None
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ColumnUse:
    """One column of a table: ``field`` is a field of :data:`headers.FIELDS`, ``ignore``, or ``?`` while it is asked.

    ``how``: known (synonym table), person (mapping file), asked, unknown. ``choices`` while it is asked.
    """

    letter: str
    header: str
    field: str
    how: str
    choices: tuple[str, ...] = ()
    hidden: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class TableUse:
    """One table of a sheet, and every decision about how it is read.

    ``header_row`` None: no headings are known. ``last_row``: where it ends. ``use``: False for a table that is left
    out, None while it is asked. ``model``: the name for rows of a table without a model column. ``fill_down``: rows
    that name no model take the one above. ``split_model``: the model column holds ``name version``. ``dates``: the
    order of day and month by column letter. The mappings by row are a person's corrections.
    """

    sheet: str
    header_row: int | None
    last_row: int
    use: bool | None
    columns: tuple[ColumnUse, ...] = ()
    model: str | None = None
    fill_down: bool | None = None
    split_model: bool | None = None
    version_numbers: str | None = None
    version_dates: str | None = None
    dates: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[int, str] = field(default_factory=dict)
    stages: Mapping[int, str] = field(default_factory=dict)
    locations: Mapping[int, str] = field(default_factory=dict)
    skip_rows: tuple[int, ...] = ()

    def column_of(self, name: str) -> ColumnUse | None:
        """Return the column that fills ``name``."""
        return next((column for column in self.columns if column.field == name), None)

    @property
    def name(self) -> str:
        """How a message names the table."""
        return f"{self.sheet} (headings in row {self.header_row})"


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """How a whole spreadsheet is read; ``stage_words`` and ``model_names`` are a person's words for theirs."""

    workbook: str
    sha256: str
    tables: tuple[TableUse, ...]
    stage_words: Mapping[str, str] = field(default_factory=dict)
    model_names: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Stated:
    """One value as stated: ``raw`` as a person sees it, ``parsed`` as understood (None: it stays text).

    ``parsed`` by field: dates ISO text without zone unless one was stated; ``stage`` one of our stages;
    ``training_data`` a canonical reference; ``code_commit`` 7 to 40 hex characters, or 64; ``metrics.NAME`` a number;
    ``metrics`` and ``hyperparameters`` numbers by name; a hash its :class:`StatedHash`; other fields their text.
    """

    field: str
    raw: str
    parsed: Any
    sheet: str
    row: int
    column: str

    @property
    def place(self) -> str:
        """``Models!C12``."""
        return f"{self.sheet}!{self.column}{self.row}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Foreign:
    """A cell of an imported row that the mapping does not use; it is carried along."""

    header: str
    column: str
    raw: str


@dataclass(frozen=True, kw_only=True, slots=True)
class AdoptedRow:
    """One row that is to be imported.

    ``model`` and ``version`` are None while a question about them is open; ``stated_model`` and ``stated_version`` are
    the text of the sheet. ``values`` holds what the row says, by field (several columns of notes: ``notes``,
    ``notes.2``, ...); a field that the row leaves empty is not there. ``comments`` are (column letter, text).
    """

    sheet: str
    row: int
    model: ModelName | None
    version: Version | None
    stated_model: str
    stated_version: str
    values: Mapping[str, Stated]
    foreign: tuple[Foreign, ...] = ()
    comments: tuple[tuple[str, str], ...] = ()
    hidden: bool = False

    @property
    def place(self) -> str:
        """``Models!12``."""
        return place(self.sheet, self.row)

    def parsed(self, name: str) -> Any:
        """Return the value of a field as understood; None when it is empty or stays text."""
        found = self.values.get(name)
        return found.parsed if found else None

    def raw(self, name: str) -> str | None:
        """Return the value of a field as stated; None when it is empty."""
        found = self.values.get(name)
        return found.raw if found else None

    @property
    def metrics(self) -> dict[str, float]:
        """All numbers that the row states, a column of its own before free text; empty when it states none."""
        found: dict[str, float] = {}
        for name, stated in self.values.items():
            if (name == "metrics" or name.startswith("metrics#")) and stated.parsed is not None:
                found.update({key: value for key, value in stated.parsed.items() if key not in found})
        for name, stated in self.values.items():
            if name.startswith("metrics.") and stated.parsed is not None:
                found[name.removeprefix("metrics.")] = stated.parsed
        return found

    @property
    def metrics_text(self) -> tuple[str, ...]:
        """The metrics that stay text."""
        return tuple(one.raw for name, one in self.values.items() if name.startswith("metrics") and one.parsed is None)

    @property
    def notes(self) -> tuple[str, ...]:
        """The remarks of all columns of notes."""
        return tuple(one.raw for name, one in self.values.items() if name == "notes" or name.startswith("notes#"))

    @property
    def hashes(self) -> tuple[Stated, ...]:
        """The stated hashes that were understood; ``parsed`` is a :class:`StatedHash`."""
        return tuple(one for one in self.values.values() if isinstance(one.parsed, StatedHash))


@dataclass(frozen=True, kw_only=True, slots=True)
class FileFinding:
    """What was found of the file that a row names.

    ``status``: found, missing, outside (below no directory that may be read), unreachable, unusable (a link, a
    socket, an empty directory, ...), open (a question), not_stated. ``path``: where it lies (absolute), ``how`` it
    was found. ``hash``: equal, differs, not_comparable, not_stated, unchecked. ``also_named_by``: other rows that
    name the same file. ``candidates``: files of that name elsewhere, relative to where they were looked for.
    """

    sheet: str
    row: int
    stated: str
    status: str
    message: str
    path: str | None = None
    how: str = ""
    content: Content | None = None
    hash: str = "not_stated"
    hash_detail: str = ""
    also_named_by: tuple[tuple[str, int], ...] = ()
    candidates: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Proposal:
    """All that `adopt` would do with one spreadsheet; nothing is open when ``questions`` is empty.

    ``files`` is filled by ``adapters.adoption.look_up``: one finding per row, in the order of the rows.
    """

    plan: Plan
    rows: tuple[AdoptedRow, ...]
    not_imported: tuple[LeftOut, ...]
    questions: tuple[Question, ...]
    warnings: tuple[Remark, ...]
    files: tuple[FileFinding, ...] = ()

    def finding(self, row: AdoptedRow) -> FileFinding | None:
        """Return what was found of the file of ``row``; None before anything was looked for."""
        return next((one for one in self.files if (one.sheet, one.row) == (row.sheet, row.row)), None)

    @property
    def pairs(self) -> tuple[tuple[AdoptedRow, FileFinding], ...]:
        """Every row with what was found of its file; empty before anything was looked for."""
        return tuple(zip(self.rows, self.files, strict=True)) if self.files else ()


class Remarks:
    """Collects remarks, one per sheet, column and message, with all the rows that it is about."""

    def __init__(self) -> None:
        """Begin empty."""
        self._found: dict[tuple[str | None, str | None, str], list[int]] = {}

    def add(
        self, message: str, *, sheet: str | None = None, row: int | None = None, column: int | str | None = None
    ) -> None:
        """Note ``message``; ``column`` a number or its letter."""
        name = letter(column) if isinstance(column, int) else column
        rows = self._found.setdefault((sheet, name, message), [])
        if row is not None and row not in rows[-1:]:
            rows.append(row)

    @property
    def all(self) -> tuple[Remark, ...]:
        """The remarks in the order of their first occurrence."""
        return tuple(
            Remark(message=message, sheet=sheet, column=column, rows=tuple(rows))
            for (sheet, column, message), rows in self._found.items()
        )
