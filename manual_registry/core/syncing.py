"""`sync` decided: what a person's differences from the base mean (design 3.3). No I/O.

Rules held here: a differing tool-owned cell is reported and put back; an editable cell may become an event after
validation; row ids that disagree with what stands in several rows are a partial sort, the same row id twice is a copied
row, and nothing of them is accepted, nor put back (a person's own columns may have been sorted along); of one row whose
Model or Version was typed over nothing is accepted either, and all of it is put back; a deleted row comes back; a
number, a formula or an error value in a text column is spreadsheet damage, told and put right, never an edit.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from manual_registry.core.canonical import sha256_hex
from manual_registry.core.errors import Json
from manual_registry.core.rendering import IDENTITY, explained
from manual_registry.core.view import Cell, ColumnKind, Difference, Row, View, row_number

Spot = tuple[str, str, str]

#: How much of a text is repeated in a message.
_SHOWN: Final = 80
#: So many cells of one editable column that changed places among themselves were sorted, not edited.
_SORTED: Final = 3
#: In so small a column two cells that changed places put it in order by chance.
_COLUMN: Final = 4
#: What a spreadsheet program shows in place of a value that it could not compute, as it is stored.
ERRORS: Final = frozenset({
    "#REF!", "#N/A", "#NAME?", "#VALUE!", "#DIV/0!", "#NULL!", "#NUM!", "#SPILL!", "#CALC!", "#FIELD!", "#BLOCKED!",
    "#CONNECT!", "#BUSY!", "#UNKNOWN!", "#EXTERNAL!", "#PYTHON!", "#GETTING_DATA",
})  # fmt: skip
#: Values of one version only, beside ``IDENTITY``.
_UNIQUE: Final = ("SHA-256", "Composite version", "Storage location")


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One line of the sync document: where, what was found, what stands now, in a sentence.

    ``why`` is the reason alone, for the Check cell beside it.
    """

    sheet: str
    row: str
    column: str | None
    found: Cell
    kept: Cell
    message: str
    why: str = ""

    def document(self) -> dict[str, Json]:
        """Return the item of ``manual-registry/sync/1``."""
        return {
            "sheet": self.sheet,
            "row": self.row,
            "column": self.column,
            "found": self.found,
            "kept": self.kept,
            "message": self.message,
        }


@dataclass(kw_only=True, slots=True)
class Outcome:
    """What became of the workbook: the lists of ``manual-registry/sync/1``."""

    registered: list[Item] = field(default_factory=list)
    accepted: list[Item] = field(default_factory=list)
    requested: list[Item] = field(default_factory=list)
    filled: list[Item] = field(default_factory=list)
    restored: list[Item] = field(default_factory=list)
    pending: list[Item] = field(default_factory=list)
    problems: list[Item] = field(default_factory=list)

    def document(self) -> dict[str, Json]:
        """Return ``manual-registry/sync/1``."""
        lists = ("registered", "accepted", "requested", "filled", "restored", "pending", "problems")
        return {
            "schema": "manual-registry/sync/1",
            **{name: [item.document() for item in getattr(self, name)] for name in lists},
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Sorted:
    """The differences by what they are.

    ``edits`` are editable cells that may become events; ``kept`` are cells that stay as they are, since it cannot be
    told what they mean; ``notes`` are texts for Check cells, by (sheet, row id or row number); ``explained`` are cells
    that another release of the tool has written otherwise; ``overtyped`` are rows, (sheet, row id), of which nothing is
    read since Model or Version was typed over.
    """

    edits: tuple[Difference, ...]
    restored: tuple[tuple[Difference, Item], ...]
    problems: tuple[Item, ...]
    kept: frozenset[Spot]
    notes: Mapping[tuple[str, str | int], str]
    explained: frozenset[Spot] = frozenset()
    overtyped: frozenset[tuple[str, str]] = frozenset()


def sort_out(
    differences: Iterable[Difference], base: View, *, copy: bool = False, other_release: bool = False
) -> Sorted:
    """Sort differences from ``base`` into edits, what is put back, and problems.

    Nothing of a row is accepted of which it cannot be told which version it is. Rows without a row id are no matter of
    this function. In a ``copy`` of the workbook nothing is put back. ``other_release``: the file was written by a
    release with another rendering, whose wording is no edit.
    """
    found = [one for one in differences if one.found != "typed" or one.column is not None or one.row]
    sorter = _Sorter(_Distrusted(found, base), copy, explained(found, base) if other_release else frozenset())
    for one in found:
        sorter.place(one)
    return sorter.done()


class _Sorter:
    """Collects the parts of a :class:`Sorted`."""

    def __init__(self, distrusted: _Distrusted, copy: bool, explained: frozenset[Difference]) -> None:
        self.distrusted, self.copy, self.explained = distrusted, copy, explained
        self.edits: list[Difference] = []
        self.restored: list[tuple[Difference, Item]] = []
        self.problems: list[Item] = list(distrusted.problems)
        self.kept: set[Spot] = set()
        self.reworded: set[Spot] = set()

    def place(self, one: Difference) -> None:
        """Find the one list that a difference belongs to."""
        if one.row and one.column is not None and (one.sheet, one.row) in self.distrusted.rows:
            self.kept.add((one.sheet, one.row, one.column))
        elif one in self.explained:
            self.reworded.add((one.sheet, one.row, one.column or ""))
        elif one.column is None:
            self._whole(one)
        elif not one.row:
            self.problems.append(item(one, _gone(one)))
        elif one.kind is not ColumnKind.EDITABLE:
            self._back(one, _damage(one) or "belongs to the tool")
        elif (damage := _damage(one)) is not None:
            self._back(one, damage)
        elif (one.sheet, one.row) in self.distrusted.overtyped:
            self._back(one, f"{self.distrusted.overtyped[one.sheet, one.row]} of this row was typed over")
        elif (one.sheet, one.column) in self.distrusted.columns:
            self._back(one, "changed places (sorted by itself?)")
        else:
            self.edits.append(one)

    def _back(self, one: Difference, why: str) -> None:
        what = "not taken" if self.copy else "put back from the ledger"
        line = item(one, f"{one.column} of {one.row}: {why}; {what}")
        ours = one.kind is not ColumnKind.EDITABLE
        self.restored.append((one, replace(line, why="kept by the tool" if ours else why)))

    def _whole(self, one: Difference) -> None:
        if one.found == "deleted":
            what = f"row {one.row} was deleted" if one.row else "the sheet is gone"
            self.restored.append((one, item(one, f"{what}; {'nothing is deleted' if self.copy else 'it comes back'}")))
        elif one.found == "typed":
            told = f"{one.place}: the register has no row {shown(one.row)!r} (hidden column Row id)"
            self.problems.append(item(one, f"{told}; nothing of it is read"))

    def done(self) -> Sorted:
        """Return what was collected."""
        return Sorted(
            edits=tuple(self.edits),
            restored=tuple(self.restored),
            problems=tuple(self.problems),
            kept=frozenset(self.kept),
            notes=self.distrusted.notes,
            explained=frozenset(self.reworded),
            overtyped=frozenset(self.distrusted.overtyped),
        )


def _gone(one: Difference) -> str:
    """Say what it means that a column, or the one with the row ids, is not there."""
    advice = "mreg reset-view writes the workbook anew and keeps this one whole"
    if one.column == "Row id":
        return f"the hidden column Row id is gone: nothing of the sheet can be read ({advice})"
    return f"the column {one.column} is gone, or its heading was changed ({advice})"


def _damage(one: Difference) -> str | None:
    """Say what a spreadsheet made of a text (`1.10` becomes a number, a lost reference #REF!), which no person meant."""
    text = one.base is None or isinstance(one.base, str)
    if one.formula:
        return "a formula stands where a value belongs"
    if text and isinstance(one.found, bool):
        return "TRUE or FALSE where text belongs"
    if one.found in ERRORS:
        return f"the error value {one.found}, which a formula or a paste has left"
    return "a number where text belongs" if text and isinstance(one.found, int | float) else None


# -- rows and columns that were copied or sorted ----------------------------------------------------------


class _Distrusted:
    """Copied rows, partial sorts, rows typed over, and editable columns whose cells have changed places.

    ``overtyped`` maps such a row to the heading that says so.
    """

    def __init__(self, found: list[Difference], base: View) -> None:
        self.rows: set[tuple[str, str]] = set()
        self.overtyped: dict[tuple[str, str], str] = {}
        self.columns: set[tuple[str, str]] = set()
        self.problems: list[Item] = []
        self.notes: dict[tuple[str, str | int], str] = {}
        self._copied(found)
        self._sorted(found, base)
        self._overtyped(found)
        self._columns(found, base)

    def _copied(self, found: list[Difference]) -> None:
        for one in found:
            if one.column is None and one.found == "copied":
                self.rows.add((one.sheet, one.row))
                told = f"{one.place}: row {one.row} stands there more than once (copied?); nothing of it is accepted"
                advice = "remove the copy; for a new version type into an empty row"
                self.problems.append(item(one, f"{told}; {advice}"))
                self.notes[one.sheet, row_number(one.place)] = f"! a copy of {one.row} (hidden column Row id): {advice}"
                self.notes[one.sheet, one.row] = "! stands there more than once: remove the copy"

    def _sorted(self, found: list[Difference], base: View) -> None:
        for sheet, names in _moved(found, base).items():
            if len(names) < 2:  # one row alone was edited, not sorted
                continue
            self.rows |= {(sheet, name) for name in names}
            first = next(one for one in found if one.sheet == sheet and one.row in names)
            told = "carry what belongs to others (sorted in part?); nothing of them is accepted"
            advice = "undo the sort and sort whole rows"
            self.problems.append(item(first, f"{len(names)} rows {told} nor put back: {advice}"))
            note = f"! the hidden Row id and this row disagree (sorted in part?): {advice}"
            self.notes |= {(sheet, name): note for name in names}

    def _overtyped(self, found: list[Difference]) -> None:
        """Find rows that say of themselves that they are another version: what else was typed there is meant for that."""
        for one in found:
            if one.column in IDENTITY and one.row and (one.sheet, one.row) not in self.rows:
                self.overtyped.setdefault((one.sheet, one.row), one.column)
        told = set()
        for one in found:
            place = (one.sheet, one.row)
            edited = one.column is not None and one.kind is ColumnKind.EDITABLE and _damage(one) is None
            if edited and place in self.overtyped and place not in told:
                told.add(place)
                why = (
                    f"{self.overtyped[place]} of {one.row} was typed over, so that nothing else of its row is accepted"
                )
                self.problems.append(item(one, f"{why}; for a new version type into an empty row"))

    def _columns(self, found: list[Difference], base: View) -> None:
        cells: dict[tuple[str, str], list[Difference]] = defaultdict(list)
        for one in found:
            if one.column and one.row and one.kind is ColumnKind.EDITABLE and not self._placeless(one):
                cells[one.sheet, one.column].append(one)
        for place, several in cells.items():
            if _changed_places(several) or _put_in_order(several, base):
                self.columns.add(place)
                told = f"{len(several)} cells of {place[1]} changed places (one column sorted by itself?)"
                advice = "if they were meant, type some of them, mreg sync, then the others"
                self.problems.append(item(several[0], f"{told}; none is accepted: {advice}"))

    def _placeless(self, one: Difference) -> bool:
        place = (one.sheet, one.row)
        return place in self.rows or place in self.overtyped or one.formula


def _moved(found: list[Difference], base: View) -> Mapping[str, set[str]]:
    """Return sheet -> rows that carry another row's identity, or a value that is another row's alone."""
    moved: dict[str, set[str]] = defaultdict(set)
    owners: dict[tuple[str, str], Mapping[Cell, str]] = {}
    for one in found:
        if one.column in IDENTITY and one.row:
            moved[one.sheet].add(one.row)
        elif one.column in _UNIQUE and one.row:
            place = (one.sheet, one.column)
            if place not in owners:
                owners[place] = {row.cells.get(one.column): row.row_id for row in _rows(base, one.sheet)}
            if one.found is not None and owners[place].get(one.found, one.row) != one.row:
                moved[one.sheet].add(one.row)
    return moved


def _rows(base: View, name: str) -> Iterator[Row]:
    for sheet in base.sheets:
        if sheet.name == name:
            yield from sheet.rows


def _changed_places(several: Collection[Difference]) -> bool:
    """Tell whether cells of a column hold each other's values, one in four excepted (somebody edited there as well).

    Versions that move up the stages one after the other share two values in three at most.
    """
    now, before = Counter(one.found for one in several), Counter(one.base for one in several)
    moved = (now & before).total()
    return moved >= _SORTED and moved * 4 >= len(several) * 3


def _put_in_order(several: Sequence[Difference], base: View) -> bool:
    """Tell whether two cells that changed places put a whole column in order: then it was sorted by itself.

    Two such cells alone may be two edits (versions that change owners); they are taken.
    """
    if len(several) != 2 or {one.found for one in several} != {one.base for one in several}:
        return False
    found = {one.row: one.found for one in several}
    column = str(several[0].column)
    rows = list(_rows(base, several[0].sheet))
    before = [str(row.cells.get(column)) for row in rows if row.cells.get(column) is not None]
    now = [str(value) for row in rows if (value := found.get(row.row_id, row.cells.get(column))) is not None]
    return len(now) >= _COLUMN and _in_order(now) and not _in_order(before)


def _in_order(texts: list[str]) -> bool:
    folded = [text.casefold() for text in texts]
    return folded in (sorted(folded), sorted(folded, reverse=True))


# -- lines ------------------------------------------------------------------------------------------------


def item(one: Difference, message: str, *, kept: Cell | None = None) -> Item:
    """Make a line about ``one``; ``kept`` is what stands now (default: the base's value)."""
    return Item(
        sheet=one.sheet,
        row=one.row,
        column=one.column,
        found=one.found,
        kept=one.base if kept is None else kept,
        message=message,
    )


def rejected(differences: Iterable[Difference], settled: Collection[Spot]) -> list[Difference]:
    """Return the cells that are put back: those that differ and are neither accepted nor kept (``settled``)."""
    return [one for one in differences if one.column and one.row and (one.sheet, one.row, one.column) not in settled]


def rejection(workbook: str, cells: Sequence[Difference], *, listed: int) -> dict[str, Json]:
    """Return the data of ``workbook.restored``: hashes of what stood in ``cells``; ``workbook``: the file's SHA-256."""
    found: list[Json] = [
        {"sheet": one.sheet, "row": one.row, "column": one.column, "sha256": sha256_hex(_spelled(one.found))}
        for one in cells[:listed]
    ]
    return {"workbook": workbook, "cells": found, "count": len(cells)}


def _spelled(value: Cell) -> bytes:
    if isinstance(value, bool):
        return b"true" if value else b"false"
    return b"" if value is None else str(value).encode("utf-8", "surrogatepass")


def shown(value: Cell) -> str:
    """Spell a value for a message, long ones cut."""
    text = " ".join(str(value).split())
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
