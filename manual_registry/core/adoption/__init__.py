"""A team's own tracking spreadsheet, read: tables, columns, rows, and the questions that a person must answer.

Pure: sheets come in as :class:`~manual_registry.core.adoption.cells.SheetGrid` (``adapters/adoption`` reads files), a
:class:`Proposal` comes out. Rule held here: a spreadsheet is understood by fixed tables and rules; where they do not
settle something, it is asked, and nothing is imported while a question is open. Nothing that a row holds gets lost:
what the mapping does not use is carried along as foreign.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from manual_registry.core.adoption.answers import Answers, TableAnswers, answers_from
from manual_registry.core.adoption.cells import SheetCell, SheetGrid, letter, number_of
from manual_registry.core.adoption.checks import check
from manual_registry.core.adoption.planning import column_named, plan, tell_columns
from manual_registry.core.adoption.proposal import (
    AdoptedRow,
    ColumnUse,
    FileFinding,
    Foreign,
    LeftOut,
    Plan,
    Proposal,
    Question,
    Remark,
    Remarks,
    Stated,
    TableUse,
)
from manual_registry.core.adoption.reading import read_table
from manual_registry.core.adoption.words import StatedHash

__all__ = [
    "AdoptedRow",
    "Answers",
    "ColumnUse",
    "FileFinding",
    "Foreign",
    "LeftOut",
    "Plan",
    "Proposal",
    "Question",
    "Remark",
    "SheetCell",
    "SheetGrid",
    "Stated",
    "StatedHash",
    "TableAnswers",
    "TableUse",
    "answers_from",
    "propose_sheets",
]


def propose_sheets(
    grids: Sequence[SheetGrid],
    answers: Answers | None,
    *,
    workbook: str,
    sha256: str,
    system_1904: bool = False,
    only: str | None = None,
) -> Proposal:
    """Read all sheets of a spreadsheet.

    ``workbook`` is its name and ``sha256`` its hash; ``system_1904`` says from when plain numbers count as dates;
    ``only`` the one sheet that is read unless the answers say otherwise. Raises ``BadValue`` for answers that do not
    fit the file.
    """
    planned = plan(grids, answers, workbook=workbook, sha256=sha256, only=only)
    remarks = Remarks()
    if answers and answers.sha256 and answers.sha256 != sha256:
        remarks.add("the mapping file was written for another state of this spreadsheet; look at its row numbers")
    done, questions = replace(planned.plan, tables=_with_dates(planned.plan, answers)), list(planned.questions)
    tell_columns(done, remarks)
    tables: list[TableUse] = []
    rows: list[AdoptedRow] = []
    left_out: list[LeftOut] = []
    for grid in grids:
        left_out += _unused(grid, done, only)
        for table in (one for one in done.tables if one.sheet == grid.name):
            if table.use is False:
                tables.append(table)
                continue
            read = read_table(grid, table, done, remarks, system_1904=system_1904)
            tables.append(read.table)
            rows += read.rows
            left_out += read.left_out
            questions += read.questions
    checked = check(rows, tables, remarks)
    return Proposal(
        plan=replace(done, tables=tuple(tables)),
        rows=checked.rows,
        not_imported=(*left_out, *checked.left_out),
        questions=(*questions, *checked.questions),
        warnings=remarks.all,
    )


def _with_dates(done: Plan, answers: Answers | None) -> tuple[TableUse, ...]:
    """Put a person's orders of day and month into the tables, by column letter."""
    tables = []
    for table in done.tables:
        said = [
            one for one in (answers.tables if answers else ()) if one.sheet.strip().casefold() == table.sheet.casefold()
        ]
        mine = next((one for one in said if one.header_row in (None, table.header_row)), None)
        titles = {number_of(column.letter) or 0: column.header for column in table.columns}
        dates = {
            letter(column_named(titles, key, table.sheet)): order for key, order in (mine.dates if mine else {}).items()
        }
        tables.append(replace(table, dates=dates))
    return tuple(tables)


def _unused(grid: SheetGrid, done: Plan, only: str | None) -> list[LeftOut]:
    """Tell why a sheet, or a table of it, is not read."""
    tables = [table for table in done.tables if table.sheet == grid.name]
    if not grid.cells:
        return []
    if not tables:
        return [
            LeftOut(
                sheet=grid.name, row=None, reason="no headings that are known in its first rows; kept in the original"
            )
        ]
    reason = "left out by the mapping file; kept in the original"
    if grid.hidden:
        reason = "the sheet is hidden; use = true in the mapping file reads it"
    elif only not in (None, grid.name):
        reason = f"a view of this tool's own workbook; only {only} is read"
    unused = [table for table in tables if table.use is False]
    if len(unused) == len(tables):
        return [LeftOut(sheet=grid.name, row=None, reason=reason)]
    return [
        LeftOut(sheet=grid.name, row=table.header_row, reason=f"the table below these headings is {reason}")
        for table in unused
    ]
