"""Why a workbook is refused: one class and code per reason, all of them ``WorkbookUnreadable``.

Rule held here: ``fixable`` tells apart what a person made by honest means and can put right in the spreadsheet
(the file is then left alone, and the person told where) from what is damaged or made to harm (the file is then
kept whole beside, and a new one written). Finding it is left to ``package``, ``markup``, ``read`` and ``compare``.
"""

from __future__ import annotations

from typing import ClassVar

from manual_registry.core.errors import WorkbookUnreadable


class WorkbookRefused(WorkbookUnreadable):
    """The root of the classes here; never raised itself."""

    code = "MR-V010"
    #: True where the file is whole, and a person can put it right in the spreadsheet.
    fixable: ClassVar[bool] = False


class WorkbookDamaged(WorkbookRefused):
    """The file is no workbook, cut short, or its XML is broken."""

    code = "MR-V011"


class WorkbookBomb(WorkbookRefused):
    """It unpacks to more than a workbook may hold."""

    code = "MR-V012"


class WorkbookForged(WorkbookRefused):
    """Its zip directory contradicts itself: two parts of one name, sizes that lie, parts that overlap."""

    code = "MR-V013"


class WorkbookEntities(WorkbookRefused):
    """One of its parts declares a document type, entities or external ones."""

    code = "MR-V014"


class WorkbookNested(WorkbookRefused):
    """Elements of one of its parts are nested deeper than any spreadsheet nests them."""

    code = "MR-V015"


class WorkbookTooLarge(WorkbookRefused):
    """It has more cells, or a larger merged area, than can be handled."""

    code, fixable = "MR-V016", True


class WorkbookOffGrid(WorkbookRefused):
    """A cell or area lies at the far end of the grid, or beyond it."""

    code, fixable = "MR-V017", True


class WorkbookOverlong(WorkbookRefused):
    """A cell holds more text than a cell may hold."""

    code, fixable = "MR-V018", True


class WorkbookAmbiguous(WorkbookRefused):
    """Two columns have the same one of the tool's headings."""

    code, fixable = "MR-V019", True


class WorkbookLocked(WorkbookRefused):
    """The file is encrypted (a password, a sensitivity label), or in the old .xls format."""

    code, fixable = "MR-V020", True


class Trouble(Exception):
    """A reason found below the level that knows the file's name; :func:`refusal` makes the error of it."""

    def __init__(self, kind: type[WorkbookRefused], why: str, place: str = "") -> None:
        """``why`` completes "registry.xlsx …"; ``place`` is a part or a cell (``Models!H12``)."""
        super().__init__(why)
        self.kind, self.why, self.place = kind, why, place


def refusal(name: str, trouble: Trouble) -> WorkbookRefused:
    """Build the error of ``trouble`` for the workbook ``name``."""
    where = f" ({trouble.place})" if trouble.place and trouble.place not in trouble.why else ""
    advice = (
        "Put it right in the spreadsheet and save"
        if trouble.kind.fixable
        else "Put a readable copy there, or let the tool write a new one"
    )
    why = f"{trouble.why}{where}"
    return trouble.kind(
        f"{name} {why}; nothing was changed. {advice}",
        location=f"{name}:{trouble.place}" if trouble.place else name,
        hint="manual-registry reset-view",
        details={"why": why, **({"locked": True} if trouble.kind is WorkbookLocked else {})},
    )


def is_fixable(error: WorkbookUnreadable) -> bool:
    """Tell whether the file is whole, so that it must not be taken for damaged."""
    return isinstance(error, WorkbookRefused) and error.fixable
