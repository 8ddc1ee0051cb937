"""The number of the view's rendering, and what another release's rendering explains.

The base of every comparison is computed by today's code, so a release that spells a tool-owned cell in another way would
find an edit in every old workbook. The workbook therefore names the number of the rendering that wrote it; where that
is another one, differing cells of the tool's own are no edits, and the next write brings them up to date. Rule held
here: what tells rows apart (row ids, Model, Version, Approval) and what people may edit reads alike in all releases.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from manual_registry.core.view import Difference, View

#: The number of the rendering. Raise it with every change of what ``core/rows.py`` says in tool-owned cells, of its
#: columns, sheets or row ids (a test compares): workbooks of earlier releases then show no edits that nobody made.
VIEW_VERSION: Final = 1
#: Values that belong to one row only: where they stand in another one, rows were sorted in part.
IDENTITY: Final = ("Model", "Version", "Approval")
#: As in ``core/view.py``, which imports this module; a `sync` with nothing to do loads no more than the number.
_TOOL: Final = "tool"


def explained(found: Iterable[Difference], base: View) -> frozenset[Difference]:
    """Return the differences that another release's rendering of the same ledger head explains.

    Cells and columns of the tool's own, sheets, and whole rows of sheets that are only a view. A formula is never one
    of them, nor a row of a sheet that people write in.
    """
    views = {one.name for one in base.sheets if all(column.kind == _TOOL for column in one.columns)}
    return frozenset(one for one in found if _explained(one, views))


def _explained(one: Difference, views: set[str]) -> bool:
    if one.column is None:
        return one.sheet in views or (not one.row and one.found == "deleted")
    if not one.row:
        return one.column != "Row id"
    return one.kind == _TOOL and one.column not in IDENTITY and not one.formula
