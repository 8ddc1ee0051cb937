"""`sync` decided: what a person's differences from the base mean (design 3.3). No I/O.

Rules held here: a differing tool-owned cell is reported and put back; an editable cell becomes an event after
validation; row ids that disagree with Model and Version in several rows are a partial sort, the same row id twice is a
copied row, and nothing of them is accepted; a deleted row comes back; a number in a text column is spreadsheet damage,
told and put right, never an edit.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from manual_registry.core.errors import Json
from manual_registry.core.view import Cell, ColumnKind, Difference


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One line of the sync document: where, what was found, what stands now, in a sentence."""

    sheet: str
    row: str
    column: str | None
    found: Cell
    kept: Cell
    message: str

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
    """The differences by what they are. ``edits`` are editable cells that may become events."""

    edits: tuple[Difference, ...]
    restored: tuple[Item, ...]
    problems: tuple[Item, ...]
    distrusted: frozenset[tuple[str, str]]


def sort_out(differences: Iterable[Difference]) -> Sorted:
    """Sort differences into edits, what is put back, and problems; nothing of a distrusted row is accepted."""
    found = [one for one in differences if one.found != "typed" or one.column is not None]
    distrusted, problems = _distrusted(found)
    edits: list[Difference] = []
    restored: list[Item] = []
    for one in found:
        if one.column is None:
            if one.found == "deleted":
                what = f"row {one.row} was deleted; it comes back" if one.row else "the sheet is gone; it comes back"
                restored.append(_item(one, what))
        elif (one.sheet, one.row) in distrusted:
            continue
        elif one.kind is ColumnKind.EDITABLE and not _damage(one):
            edits.append(one)
        else:
            why = (
                "a number where text belongs: put right from the ledger"
                if _damage(one)
                else "belongs to the tool; put back"
            )
            restored.append(_item(one, f"{one.column} of {one.row}: {why}"))
    return Sorted(
        edits=tuple(edits), restored=tuple(restored), problems=tuple(problems), distrusted=frozenset(distrusted)
    )


def _damage(one: Difference) -> bool:
    """A text column holds a number or a formula: what a spreadsheet makes of `1.10`, not what a person meant."""
    number = isinstance(one.found, int | float) and not isinstance(one.found, bool)
    return number and (one.base is None or isinstance(one.base, str))


def _distrusted(found: list[Difference]) -> tuple[set[tuple[str, str]], list[Item]]:
    """Find copied rows and partial sorts: rows whose identity cannot be trusted."""
    rows: set[tuple[str, str]] = set()
    problems: list[Item] = []
    for one in found:
        if one.column is None and one.found == "copied":
            rows.add((one.sheet, one.row))
            problems.append(
                _item(one, f"row {one.row} stands there more than once (copied?); nothing of it is accepted")
            )
    moved = _moved(found)
    for sheet, names in moved.items():
        if len(names) > 1:
            rows |= {(sheet, name) for name in names}
            first = next(one for one in found if one.sheet == sheet and one.row in names)
            problems.append(
                _item(
                    first,
                    f"{len(names)} rows carry the Model or Version of others (sorted in part?); nothing of them is accepted",
                )
            )
    return rows, problems


def _moved(found: list[Difference]) -> Mapping[str, set[str]]:
    identity: dict[str, set[str]] = defaultdict(set)
    for one in found:
        if one.column in ("Model", "Version", "Approval"):
            identity[one.sheet].add(one.row)
    return identity


def _item(one: Difference, message: str) -> Item:
    return Item(sheet=one.sheet, row=one.row, column=one.column, found=one.found, kept=one.base, message=message)


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


#: What a typed row needs in columns of ours, beside what the risk class asks for.
TYPED_NEEDS = ("Model", "Version", "Storage location")


def typed_problems(cells: Mapping[str, Cell]) -> list[str]:
    """Return what a typed row still lacks or holds in a way that cannot be taken."""
    missing = [name for name in TYPED_NEEDS if cells.get(name) in (None, "")]
    told = [f"{', '.join(missing)} missing"] if missing else []
    numbers = [name for name in ("Model", "Version") if isinstance(cells.get(name), int | float)]
    told += [f"{name} is a number: format the cell as text and type it again" for name in numbers]
    return told


def typed_ignored(cells: Mapping[str, Cell]) -> list[str]:
    """Return what is typed into a new row and not taken: approvals and deployments are not made by typing."""
    names = [name for name in ("Approver", "Approval date", "Deployment date") if cells.get(name) not in (None, "")]
    return [f"{', '.join(names)} not taken: approve with an approval, deploy with mreg deploy"] if names else []
