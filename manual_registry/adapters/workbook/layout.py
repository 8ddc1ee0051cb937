"""What lies around the cells of a sheet: table, panes, print set-up, coloured words, dropdowns, legend.

Rules held here: all of it is made for ``GROWTH`` rows more than there are, so that rows that people type look
and behave like the others; long choices stand on a hidden sheet, since a list in the cell holds 255
characters only.
"""

from __future__ import annotations

import re
from typing import Any, Final

from manual_registry.adapters.workbook.looks import (
    AMBER,
    CHECK_COLUMN,
    EDITABLE_HEADING,
    GREY,
    LINE,
    RED,
    STAGES,
    TOOL_HEADING,
    WORD_COLUMNS,
    WORDS,
    Styles,
)
from manual_registry.adapters.workbook.places import letters
from manual_registry.core.view import Column, ColumnKind, Sheet

HEADING_ROW: Final = 4
GROWTH: Final = 1000
CHOICES: Final = "_choices"
_CHIP_WIDTH: Final = 10


def decorate(worksheet: Any, sheet: Sheet, styles: Styles, footer: tuple[str, str, str]) -> None:
    """Add to a filled worksheet all that is not a cell of the table."""
    last = HEADING_ROW + max(len(sheet.rows), 1)
    _legend(worksheet, sheet, styles)
    _table(worksheet, sheet, last)
    _panes(worksheet, sheet)
    print_setup(worksheet, footer)
    worksheet.print_title_rows = f"{HEADING_ROW}:{HEADING_ROW}"
    worksheet.print_area = f"A1:{letters(len(sheet.columns))}{last}"
    _words(worksheet, sheet, last + GROWTH)
    for number, column in enumerate(sheet.columns, 1):
        if column.choices:
            _dropdown(worksheet, sheet, number, column, last + GROWTH)


def _legend(worksheet: Any, sheet: Sheet, styles: Styles) -> None:
    """Put a chip for each colour into the row above the headings, one per column that is wide enough."""
    chips: list[tuple[str, tuple[str, str]]] = []
    if any(column.kind is ColumnKind.EDITABLE for column in sheet.columns):
        chips += [("kept by tool", ("FFFFFF", TOOL_HEADING)), ("yours to edit", ("FFFFFF", EDITABLE_HEADING))]
    if any(column.header == "Stage" for column in sheet.columns):
        chips += list(STAGES.items())
    room = [
        number
        for number, column in enumerate(sheet.columns, 1)
        if not (column.hidden or column.outline) and column.width >= _CHIP_WIDTH
    ]
    for number, (text, (ink, ground)) in zip(room, chips, strict=False):
        cell = worksheet.cell(HEADING_ROW - 1, number)
        cell.value = text
        cell._style = styles.chip(ink, ground)


def legend(worksheet: Any, at: int, styles: Styles) -> None:
    """Explain every colour on the Read me sheet, from row ``at`` on."""
    lines = (
        (
            "heading like this",
            ("FFFFFF", TOOL_HEADING),
            "Kept by the tool. A change there is found, told, and put back from the ledger.",
        ),
        (
            "heading like this",
            ("FFFFFF", EDITABLE_HEADING),
            "Yours to edit. What you write waits until it is read into the ledger.",
        ),
        *((stage, colours, f"The version's stage is {stage}.") for stage, colours in STAGES.items()),
        ("row like this", RED, "Something is wrong with this row; the column Check says what, after a !."),
        ("cell like this", AMBER, "Something is still to be done here; the column Check says what."),
    )
    for row, (word, (ink, ground), text) in enumerate(lines, at):
        chip, explanation = worksheet.cell(row, 1), worksheet.cell(row, 2)
        chip.value, explanation.value = word, f"  {text}"
        chip._style, explanation._style = styles.chip(ink, ground), styles.banner()
        worksheet.row_dimensions[row].height = 17


def table_name(sheet: str) -> str:
    """Return a table name that spreadsheets accept: people write ``=COUNTIF(Models[Stage],"staging")``."""
    return re.sub(r"[^A-Za-z0-9_]", "_", sheet)


def _table(worksheet: Any, sheet: Sheet, last: int) -> None:
    from openpyxl.worksheet.filters import AutoFilter
    from openpyxl.worksheet.table import Table

    reference = f"A{HEADING_ROW}:{letters(len(sheet.columns))}{last}"
    worksheet.add_table(Table(displayName=table_name(sheet.name), ref=reference, autoFilter=AutoFilter(ref=reference)))


def _panes(worksheet: Any, sheet: Sheet) -> None:
    """Keep the headings in sight, and the columns that say which version a row is about."""
    headers = [column.header for column in sheet.columns[:4]]
    fixed = headers.index("Version") + 1 if "Version" in headers else 1
    if sum(column.width for column in sheet.columns[:fixed] if not column.hidden) > 50:
        fixed = 1
    worksheet.freeze_panes = f"{letters(fixed + 1)}{HEADING_ROW + 1}"
    worksheet.sheet_view.showGridLines = False
    worksheet.sheet_view.zoomScale = 100


def print_setup(worksheet: Any, footer: tuple[str, str, str]) -> None:
    """Set one landscape page of A4 in width, any number in height, with the footer."""
    worksheet.page_setup.orientation = "landscape"
    worksheet.page_setup.paperSize = 9
    worksheet.page_setup.fitToWidth = 1
    worksheet.page_setup.fitToHeight = 0
    worksheet.sheet_properties.pageSetUpPr.fitToPage = True
    margins = worksheet.page_margins
    margins.left = margins.right = 0.25
    margins.top, margins.bottom, margins.footer = 0.35, 0.5, 0.25
    set_footer(worksheet, footer)


def set_footer(worksheet: Any, footer: tuple[str, str, str]) -> None:
    """Write the three parts of the footer."""
    parts = worksheet.oddFooter
    for part, text in zip((parts.left, parts.center, parts.right), footer, strict=True):
        part.text, part.size = text, 8


def _rule(formula: str, ink: str, ground: str | None = None, *, equal: bool = False, italic: bool = False) -> Any:
    """Return a rule of conditional formatting: a formula that holds, or a value to ``equal``."""
    from openpyxl.formatting.rule import Rule
    from openpyxl.styles import Font, PatternFill
    from openpyxl.styles.differential import DifferentialStyle

    font = Font(color=ink, bold=True if equal else None, italic=italic or None)
    style = DifferentialStyle(font=font, fill=PatternFill(bgColor=ground) if ground else None)
    if equal:
        return Rule(type="cellIs", operator="equal", formula=[formula], dxf=style)
    return Rule(type="expression", formula=[formula], dxf=style)


def _words(worksheet: Any, sheet: Sheet, end: int) -> None:
    """Colour stages and states by what the cell says, so that colours follow sorting and edits."""
    for number, column in enumerate(sheet.columns, 1):
        letter = letters(number)
        area = f"{letter}{HEADING_ROW + 1}:{letter}{end}"
        words = STAGES if column.header in {"Stage", "To"} else WORDS
        if column.header in WORD_COLUMNS:
            for word, (ink, ground) in words.items():
                worksheet.conditional_formatting.add(area, _rule(f'"{word}"', ink, ground, equal=True))
    _rows(worksheet, sheet, end)
    _models(worksheet, sheet, end)
    _age(worksheet)


def _rows(worksheet: Any, sheet: Sheet, end: int) -> None:
    """Colour whole rows by one of their cells: what is wrong stands out, what is over steps back."""
    row = HEADING_ROW + 1
    area = f"A{row}:{letters(len(sheet.columns))}{end}"
    rules = {
        CHECK_COLUMN: ('ISNUMBER(FIND("!",{cell}))', RED[0], RED[1], False),
        "Stage": ('{cell}="archived"', GREY[0], None, True),
        "Revoked": ("LEN({cell})>0", GREY[0], None, True),
    }
    places = {column.header: letters(number) for number, column in enumerate(sheet.columns, 1)}
    for header, (
        formula,
        ink,
        ground,
        italic,
    ) in rules.items():  # what is wrong first: it wins over what is past
        if header in places:
            rule = _rule(formula.format(cell=f"${places[header]}{row}"), ink, ground, italic=italic)
            worksheet.conditional_formatting.add(area, rule)
    if CHECK_COLUMN in places:
        here = f"{places[CHECK_COLUMN]}{row}"
        waiting = _rule(f'AND(LEN({here})>0,ISERROR(FIND("!",{here})))', *AMBER)
        worksheet.conditional_formatting.add(f"{here}:{places[CHECK_COLUMN]}{end}", waiting)


def _models(worksheet: Any, sheet: Sheet, end: int) -> None:
    """Draw a line where another model begins; it goes along when people sort."""
    from openpyxl.formatting.rule import Rule
    from openpyxl.styles import Border, Side
    from openpyxl.styles.differential import DifferentialStyle

    places = {column.header: number for number, column in enumerate(sheet.columns, 1)}
    if {"Model", "Stage"} <= places.keys():
        cell, row = f"${letters(places['Model'])}", HEADING_ROW + 1
        side, usual = Side("hair", LINE), Side("thin", LINE)  # LibreOffice takes the others away where none is said
        border = Border(top=Side("thin", TOOL_HEADING), left=side, right=side, bottom=usual)
        line = DifferentialStyle(border=border)
        rule = Rule(type="expression", formula=[f"{cell}{row}<>{cell}{row - 1}"], dxf=line)
        worksheet.conditional_formatting.add(f"A{row}:{letters(len(sheet.columns))}{end}", rule)


def _age(worksheet: Any) -> None:
    """Colour the age of the view once it is more than a week."""
    for cell in worksheet[2]:
        if cell.data_type == "f":
            worksheet.conditional_formatting.add(cell.coordinate, _rule(f"{cell.coordinate}>7", *AMBER))


def choices_formula(workbook: Any, sheet: str, column: Column) -> str:
    """Return the source of a dropdown.

    The words themselves, or a range of the hidden sheet that holds them.
    """
    inline = ",".join(column.choices)
    if len(inline) <= 250 and not any(set(choice) & set(',"') for choice in column.choices):
        return f'"{inline}"'
    worksheet = workbook[CHOICES] if CHOICES in workbook.sheetnames else workbook.create_sheet(CHOICES)
    worksheet.sheet_state = "hidden"
    title = f"{sheet}: {column.header}"
    titles = [cell.value for cell in worksheet[1]] if worksheet.max_row > 1 or worksheet["A1"].value else []
    at = titles.index(title) + 1 if title in titles else len(titles) + 1
    for row in range(1, max(worksheet.max_row, len(column.choices) + 1) + 1):
        text = title if row == 1 else column.choices[row - 2] if row - 2 < len(column.choices) else None
        cell = worksheet.cell(row, at)
        cell._value, cell.data_type = text, "s" if text else "n"
    return f"{CHOICES}!${letters(at)}$2:${letters(at)}${len(column.choices) + 1}"


def _dropdown(worksheet: Any, sheet: Sheet, number: int, column: Column, end: int) -> None:
    from openpyxl.worksheet.datavalidation import DataValidation

    validation = DataValidation(
        type="list",
        formula1=choices_formula(worksheet.parent, sheet.name, column),
        allow_blank=True,
        showErrorMessage=True,
        errorStyle="warning",
        errorTitle=column.header[:32],
        error="This is none of the listed values. Keep it only if you mean it.",
    )
    letter = letters(number)
    validation.add(f"{letter}{HEADING_ROW + 1}:{letter}{end}")
    worksheet.add_data_validation(validation)
