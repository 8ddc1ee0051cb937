"""What `verify` says of a workbook whose cells differ from the record (clause RP-15).

Rules held here: a cell of the tool's own that somebody changed is an error, and so is a row with an id that the register
never gave; what waits for `sync` is for information; a row that somebody typed on a sheet that only the tool writes is a
warning, for no command reads it and none removes it; a row of a person's own below the table is nobody's business.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from manual_registry.core.audit import finding
from manual_registry.core.errors import WorkbookEdited
from manual_registry.core.results import Finding, Severity
from manual_registry.core.typed_cells import is_version, typed_problems
from manual_registry.core.view import ColumnKind, row_number

if TYPE_CHECKING:
    from manual_registry.core.view import Difference
    from manual_registry.ports import TypedRow

WAITS: Final = "MR-V006"
#: The finding that somebody typed a row on a sheet that only the tool writes.
TYPED_THERE: Final = "MR-V009"


def difference_findings(place: str, found: Iterable[Difference], typed: Sequence[TypedRow]) -> Iterator[Finding]:
    """Yield what is to be said of each difference; ``place`` is the workbook, ``typed`` its rows without an id."""
    rows = {(row.sheet, row.number): row for row in typed}
    for one in found:
        row = rows.get((one.sheet, row_number(one.place))) if not (one.row or one.column) else None
        if row is None or row.sheet != "Models" or is_version(row.cells):
            yield _finding(f"{place}:{one.place}", one, row)


def _finding(where: str, one: Difference, row: TypedRow | None) -> Finding:
    if one.column is None and one.found == "typed" and not one.row:
        if one.sheet == "Models":
            lacks = "; ".join(typed_problems(row.cells, row.formulas)) if row is not None else ""
            told = f"a typed row waits for sync{f', which will leave it as it is: {lacks}' if lacks else ''}"
            return _told(WAITS, where, told, Severity.INFO)
        told = "a row that somebody typed: the register knows nothing of it, and sync reads rows on Models only"
        return _told(TYPED_THERE, where, told, Severity.WARNING)
    if one.column is None:
        hint = None if one.found == "deleted" else "remove that row; mreg sync says which one it is"
        return finding(WorkbookEdited(f"row {one.row}: {one.found}", location=where, clause="RP-15", hint=hint))
    if one.kind is ColumnKind.EDITABLE:
        told = f"{one.column} of {one.row}: {one.found!r} (the record has {one.base!r}) waits for sync"
        return _told(WAITS, where, told, Severity.INFO)
    told = f"{one.column} of {one.row}: {one.found!r}, but the record has {one.base!r}"
    return finding(WorkbookEdited(told, location=where, clause="RP-15"))


def reworded_told(found: Iterable[Difference]) -> str:
    """Say which cells another release of the tool spelled in another way, unless somebody changed them."""
    places = sorted(one.place for one in found)
    shown = ", ".join(places[:5]) + (", …" if len(places) > 5 else "")
    told = f"was written by another release of the tool, which may explain {len(places)} differences ({shown})"
    return f"the workbook {told}; the next writing command brings it up to date"


def _told(code: str, place: str, message: str, severity: Severity) -> Finding:
    return Finding(code=code, severity=severity, location=place, message=message, clause="RP-15")
