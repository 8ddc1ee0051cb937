"""Colours, fonts and cell styles; nothing here knows what a registry is but the words of its stages.

Rules held here: a style is made once per workbook and shared by all its cells; a colour always comes with a
word, so that nobody has to see colours; contrast of text to ground is at least 4.5 to 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from manual_registry.core.view import Column, ColumnKind

FONT: Final = "Calibri"
SIZE: Final = 10
INK, MUTED, LINE = "1F2937", "6B7280", "D9DEE6"
TOOL_HEADING, EDITABLE_HEADING, EDITABLE_GROUND = "1E3A5F", "7A3E9D", "FAF5FD"
PROBLEM_INK, PROBLEM_GROUND, LINK = "9B1C1C", "FDE8E8", "1D4ED8"
AMBER = ("8A4B08", "FEF0C7")
GREEN = ("05603A", "D1FADF")
GREY = ("4B5563", "E5E7EB")
BLUE = ("1E429F", "E1EFFE")
RED = (PROBLEM_INK, PROBLEM_GROUND)

#: Word -> (ink, ground): a cell that holds exactly this word is coloured, in the columns of WORD_COLUMNS.
STAGES: Final = {"experimental": BLUE, "staging": AMBER, "production": GREEN, "archived": GREY}
WORDS: Final = {
    **STAGES,
    **dict.fromkeys(("signed", "used", "approve", "approved", "active"), GREEN),
    **dict.fromkeys(("requested", "filled", "open", "pending", "waiting"), AMBER),
    **dict.fromkeys(("reject", "rejected", "revoked"), RED),
    **dict.fromkeys(("withdrawn", "lapsed", "expired", "closed"), GREY),
}
WORD_COLUMNS: Final = frozenset({"Stage", "To", "Status", "Decision"})
#: The column that says what is to do (amber), or wrong (with a "!": the whole row turns red).
CHECK_COLUMN: Final = "Check"


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """What distinguishes one body style from another."""

    text: bool = True
    wrap: bool = False
    link: bool = False
    editable: bool = False
    quoted: bool = False


def look_of(column: Column, *, link: bool = False, quoted: bool = False) -> Look:
    """Return the look of a body cell of ``column``; ``link``: this cell has a target."""
    return Look(
        text=column.text,
        wrap=column.wrap,
        link=link,
        editable=column.kind is ColumnKind.EDITABLE,
        quoted=quoted,
    )


class Styles:
    """Makes each cell style of one workbook once; what it returns is assigned to ``cell._style``.

    openpyxl keeps a style as an array of indices; sharing that array spares 200,000 look-ups in a large
    register.
    """

    def __init__(self, worksheet: Any) -> None:
        """Take any sheet of the workbook; styles belong to the workbook, and the sheet is not changed."""
        from openpyxl.cell import Cell

        self._scratch: Any = Cell(worksheet, row=1, column=1)
        self._known: dict[object, Any] = {}

    def _made(self, name: object, **parts: Any) -> Any:
        from copy import copy

        from openpyxl.styles.cell_style import StyleArray

        if name not in self._known:
            self._scratch._style = StyleArray()
            for part, value in parts.items():
                setattr(self._scratch, part, value)
            self._known[name] = copy(self._scratch._style)
        return self._known[name]

    def body(self, look: Look) -> Any:
        """Style of a data cell."""
        if look in self._known:
            return self._known[look]
        from openpyxl.styles import Alignment, Border, Font, PatternFill, Side

        ground = EDITABLE_GROUND if look.editable else None
        ink = LINK if look.link else INK
        line = Side(style="thin", color=LINE)
        return self._made(
            look,
            font=Font(name=FONT, size=SIZE, color=ink, underline="single" if look.link else None),
            fill=PatternFill("solid", fgColor=ground) if ground else PatternFill(),
            border=Border(bottom=line, left=Side(style="hair", color=LINE), right=Side(style="hair", color=LINE)),
            alignment=Alignment(vertical="center", wrap_text=look.wrap, horizontal="left"),
            number_format="@" if look.text else "General",
            quotePrefix=look.quoted,
        )

    def column(self, *, text: bool, wrap: bool) -> Any:
        """Style of a column as such: what an empty cell takes on when somebody types into it."""
        from openpyxl.styles import Alignment, Font

        return self._made(
            ("column", text, wrap),
            font=Font(name=FONT, size=SIZE, color=INK),
            alignment=Alignment(vertical="center", wrap_text=wrap, horizontal="left"),
            number_format="@" if text else "General",
        )

    def heading(self, *, editable: bool) -> Any:
        """Style of a column heading; editable columns have their own colour."""
        from openpyxl.styles import Alignment, Border, Font, PatternFill, Side

        ground = EDITABLE_HEADING if editable else TOOL_HEADING
        return self._made(
            ("heading", editable),
            font=Font(name=FONT, size=SIZE, bold=True, color="FFFFFF"),
            fill=PatternFill("solid", fgColor=ground),
            border=Border(left=Side(style="thin", color="FFFFFF"), right=Side(style="thin", color="FFFFFF")),
            alignment=Alignment(vertical="center", wrap_text=True),
        )

    def banner(
        self,
        *,
        size: int = SIZE,
        bold: bool = False,
        ink: str = INK,
        wrap: bool = False,
        form: str = "General",
    ) -> Any:
        """Style of the lines above a table and of the Read me sheet."""
        from openpyxl.styles import Alignment, Font

        return self._made(
            ("banner", size, bold, ink, wrap, form),
            font=Font(name=FONT, size=size, bold=bold, color=ink),
            alignment=Alignment(vertical="top" if wrap else "center", wrap_text=wrap, horizontal="left"),
            number_format=form,
        )

    def chip(self, ink: str, ground: str) -> Any:
        """Style of one word of the legend."""
        from openpyxl.styles import Alignment, Font, PatternFill

        return self._made(
            ("chip", ink, ground),
            font=Font(name=FONT, size=SIZE - 1, bold=True, color=ink),
            fill=PatternFill("solid", fgColor=ground),
            alignment=Alignment(horizontal="center", vertical="center"),
        )
