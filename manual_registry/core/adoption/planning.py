"""Finds the tables of a spreadsheet and what their columns are; a person's answers count before everything found.

Rules held here: headings may stand anywhere in the first rows, below titles, in two rows, and again further down; a
sheet may hold several tables; two columns for one field are asked, unless one heading is clearly surer. Rows are
left to ``reading.py``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from manual_registry.core.adoption.answers import Answers, TableAnswers
from manual_registry.core.adoption.cells import SheetCell, SheetGrid, clean, letter, number_of, shown
from manual_registry.core.adoption.headers import (
    ASK,
    IGNORE,
    SEVERAL,
    Match,
    is_plain_heading,
    known_field,
    match_header,
)
from manual_registry.core.adoption.proposal import ColumnUse, Plan, Question, Remarks, TableUse
from manual_registry.core.errors import BadValue

#: Headings stand within so many rows from the top of a sheet.
_FIRST_ROWS: Final = 40
_LAST: Final = 1_048_576
_LOCATION: Final = "storage_location"
#: A path, or an address that is none of the web: with a letter in it, so that it is no date.
_PATH: Final = re.compile(r"(?!https?://)(?=.*[^\W\d])[^\s].*[\\/][^\\/]+")

_Choice = tuple[str, str, tuple[str, ...]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Planned:
    """A plan and what must be asked about it."""

    plan: Plan
    questions: tuple[Question, ...]


def headings(grid: SheetGrid, row: int) -> dict[int, str]:
    """Return the texts of a row by column; a merged title counts in its first column only."""
    return {
        column: clean(cell.value)
        for column, cell in sorted(grid.cells.get(row, {}).items())
        if isinstance(cell.value, str) and cell.merged != "across" and clean(cell.value)
    }


def _fields(texts: Iterable[str]) -> set[str]:
    return {field for field in map(known_field, texts) if field}


def _is_heading_row(texts: Mapping[int, str]) -> bool:
    if len(texts) < 2:
        return False
    found = _fields(texts.values())
    return len(found) >= 3 or (len(found) == 2 and bool(found & {"model", "version"}))


def header_rows(grid: SheetGrid) -> list[int]:
    """Return the rows that hold headings, from the top; of rows directly below each other the best one.

    The first stands within the first rows; a later one begins a table of its own, unless it repeats the first.
    """
    groups: list[list[int]] = []
    for row in sorted(grid.cells):
        if not groups and row > _FIRST_ROWS:
            break
        # Below the first table, a row without any plain heading is data; there may be very many.
        if groups and not any(
            isinstance(cell.value, str) and is_plain_heading(cell.value) for cell in grid.cells[row].values()
        ):
            continue
        if not _is_heading_row(headings(grid, row)):
            continue
        if groups and groups[-1][-1] == row - 1:
            groups[-1].append(row)
        else:
            groups.append([row])
    chosen = [
        max(group, key=lambda row: (len(_fields(headings(grid, row).values())), _below(grid, row))) for group in groups
    ]
    kept: list[int] = []
    for row in chosen:
        if not kept or not repeats(grid, row, kept[-1]):
            kept.append(row)
    return kept


def _below(grid: SheetGrid, row: int) -> bool:
    """Tell whether the row continues headings that are merged downwards."""
    return any(cell.merged == "down" for cell in grid.cells[row].values())


def repeats(grid: SheetGrid, row: int, header: int) -> bool:
    """Tell whether ``row`` says again what ``header`` says, in the same columns (headings repeated on each page)."""
    cells, first = grid.cells.get(row, {}), grid.cells.get(header, {})
    if sum(_same_text(cell, first.get(column)) for column, cell in cells.items()) < 2:
        return False
    texts, titles = headings(grid, row), headings(grid, header)
    same = sum(text.casefold() == titles.get(column, "").casefold() for column, text in texts.items())
    return same >= 2 and same * 10 >= len(texts) * 6


def _same_text(cell: SheetCell, other: SheetCell | None) -> bool:
    """Tell, quickly, whether two texts may be the same."""
    one, two = cell.value, other.value if other else None
    return isinstance(one, str) and isinstance(two, str) and one.strip()[:2].casefold() == two.strip()[:2].casefold()


def plan(
    grids: Iterable[SheetGrid], answers: Answers | None, *, workbook: str, sha256: str, only: str | None = None
) -> Planned:
    """Find every table and its columns.

    ``only``: the one sheet that is read when nothing else is said (a workbook of this tool's own). Raises
    :class:`BadValue` for answers about a sheet, row or column that is not there.
    """
    said = answers or Answers()
    remaining = list(said.tables)
    tables: list[TableUse] = []
    questions: list[Question] = []
    for grid in grids:
        mine = [one for one in remaining if _same(one.sheet, grid.name)]
        remaining = [one for one in remaining if one not in mine]
        for table in _sheet(grid, mine, only=only):
            columns, asked = _columns(grid, table[0], table[1])
            tables.append(replace(table[0], columns=columns))
            questions += asked if table[0].use is not False else []
    if remaining:
        names = ", ".join(repr(one.sheet) for one in remaining)
        raise BadValue(f"the mapping file names sheets that {workbook} does not have: {names}", location="table.sheet")
    questions += [_no_headings(table.sheet) for table in tables if table.use and table.header_row is None]
    if not any(table.header_row for table in tables):
        questions += [] if questions else [_no_headings(workbook)]
    kept = tuple(table for table in tables if table.header_row is not None)
    done = Plan(
        workbook=workbook, sha256=sha256, tables=kept, stage_words=said.stage_words, model_names=said.model_names
    )
    return Planned(plan=done, questions=tuple(questions))


def _no_headings(where: str) -> Question:
    return Question(
        kind="headings",
        message=f"no headings are known in {where}: which row holds them, and what do the columns mean?",
        answer="[[table]]: use = true, header_row = ..., and the fields under [table.columns]",
    )


def _same(one: str, other: str) -> bool:
    return clean(one).casefold() == clean(other).casefold()


def _sheet(
    grid: SheetGrid, said: list[TableAnswers], *, only: str | None
) -> list[tuple[TableUse, TableAnswers | None]]:
    """Return the tables of one sheet without their columns; those that a person named come first in meaning."""
    found = header_rows(grid)
    if not said:
        use = not grid.hidden and only in (None, grid.name)
        return [(table, None) for table in _ranges(grid, [(row, use) for row in found] or [(None, False)])]
    named = {_row_of(grid, one, found, said): one for one in said}
    rows: list[tuple[int | None, bool]] = [
        (row, row in named) for row in sorted({*found, *(row for row in named if row)})
    ]
    result: list[tuple[TableUse, TableAnswers | None]] = []
    for table in _ranges(grid, rows or [(None, False)]):
        one = named.get(table.header_row)
        result.append((_answered(table, one) if one else table, one))
    return result


def _row_of(grid: SheetGrid, one: TableAnswers, found: list[int], said: list[TableAnswers]) -> int | None:
    if one.header_row is not None:
        if one.header_row not in grid.cells and one.use is not False:
            raise BadValue(
                f"{grid.name}: row {one.header_row} is empty; it cannot hold the headings", location="table.header_row"
            )
        return one.header_row
    if len(said) > 1:
        raise BadValue(f"{grid.name}: several tables of one sheet need a header_row each", location="table.header_row")
    return found[0] if found else None


def _ranges(grid: SheetGrid, rows: list[tuple[int | None, bool]]) -> list[TableUse]:
    last = max(grid.cells, default=0)
    starts = [row for row, _ in rows]
    ends = [*((row or 1) - 1 for row in starts[1:]), last]
    return [
        TableUse(sheet=grid.name, header_row=row, last_row=end, use=use)
        for (row, use), end in zip(rows, ends, strict=True)
    ]


def _answered(table: TableUse, said: TableAnswers) -> TableUse:
    return replace(
        table,
        use=said.use if said.use is not None else table.use,
        model=said.model,
        fill_down=said.fill_down,
        split_model=said.split_model,
        version_numbers=said.version_numbers,
        version_dates=said.version_dates,
        versions=said.versions,
        stages=said.stages,
        locations=said.locations,
        skip_rows=said.skip_rows,
    )


# -- columns ----------------------------------------------------------------------------------------------


def _columns(
    grid: SheetGrid, table: TableUse, said: TableAnswers | None
) -> tuple[tuple[ColumnUse, ...], list[Question]]:
    if table.header_row is None:
        return (), []
    texts = headings(grid, table.header_row)
    filled = _filled(grid, table)
    numbers = sorted({*texts, *filled})
    titles = {column: texts.get(column, _other(grid.at(table.header_row, column))) for column in numbers}
    given = _given(titles, said, grid.name)
    matches = {column: _match(grid, table.header_row, column, titles[column]) for column in numbers}
    chosen = _choose(
        {column: matches[column] for column in numbers if column not in given}, set(given.values()), filled
    )
    if _LOCATION not in {*given.values(), *(one for field, _, choices in chosen.values() for one in (field, *choices))}:
        _ask_for_paths(grid, table, chosen)
    columns = []
    for column in numbers:
        field, how, choices = (given[column], "person", ()) if column in given else chosen[column]
        hidden = column in grid.hidden_columns
        columns.append(
            ColumnUse(
                letter=letter(column), header=titles[column], field=field, how=how, choices=choices, hidden=hidden
            )
        )
    return tuple(columns), [_ask(table, column) for column in columns if column.field == ASK]


def _ask_for_paths(grid: SheetGrid, table: TableUse, chosen: dict[int, _Choice]) -> None:
    """Where no heading says where the files are, suggest the columns whose cells look like paths."""
    for column, (_, how, _) in list(chosen.items()):
        texts = [
            clean(shown(cells[column]))
            for row, cells in grid.cells.items()
            if how == "unknown" and (table.header_row or 0) < row <= table.last_row and column in cells
        ]
        texts = [text for text in texts if text]
        if texts and sum(bool(_PATH.fullmatch(text)) for text in texts) * 2 >= len(texts):
            chosen[column] = (ASK, "asked", (_LOCATION, IGNORE))


def _other(cell: SheetCell | None) -> str:
    """A heading that is no text (a year, a date)."""
    return clean(shown(cell)) if cell and cell.merged != "across" else ""


def _filled(grid: SheetGrid, table: TableUse) -> set[int]:
    """The columns in which any row of the table has something."""
    found: set[int] = set()
    for row, cells in grid.cells.items():
        if (table.header_row or 0) < row <= table.last_row:
            found.update(column for column, cell in cells.items() if cell.merged != "across")
    return found


def _given(titles: Mapping[int, str], said: TableAnswers | None, sheet: str) -> dict[int, str]:
    """Resolve a person's columns: by heading first, then by letter."""
    found: dict[int, str] = {}
    for key, field in (said.columns if said else {}).items():
        column = column_named(titles, key, sheet)
        if column in found or (field in found.values() and field not in (IGNORE, *SEVERAL)):
            raise BadValue(f"{sheet}: {field} is named for two columns, or {key!r} twice", location="table.columns")
        found[column] = field
    return found


def column_named(titles: Mapping[int, str], key: str, sheet: str) -> int:
    """Return the column with the heading, or else the letter, ``key`` (or ``column KEY``); raises :class:`BadValue`."""
    same = [column for column, title in titles.items() if title and _same(title, key)]
    number = number_of(re.sub("^column ", "", key.strip()))
    if len(same) == 1 or (same and number not in titles):
        if len(same) > 1:
            raise BadValue(
                f"{sheet}: {len(same)} columns have the heading {key!r}; name them by their letters",
                location="table.columns",
            )
        return same[0]
    if number is not None and number in titles:
        return number
    raise BadValue(f"{sheet}: no column has the heading or the letter {key!r}", location="table.columns")


def _match(grid: SheetGrid, row: int, column: int, title: str) -> Match:
    """Match a heading; where it alone says too little, together with the group title above it (``Approval | Date``)."""
    alone = match_header(title)
    above = grid.at(row - 1, column)
    if (alone.field and not alone.weak) or above is None or not isinstance(above.value, str) or not title:
        return alone
    for together in (f"{clean(above.value)} {title}", f"{title} {clean(above.value)}"):
        both = match_header(together)
        if both.field:
            return both
    return alone


def _choose(matches: Mapping[int, Match], taken: set[str], filled: set[int]) -> dict[int, _Choice]:
    """Give each column its field; what cannot be decided is asked."""
    by_field: dict[str, list[int]] = {}
    for column, match in matches.items():
        if match.field and (match.field in SEVERAL or match.field not in taken):
            by_field.setdefault(match.field, []).append(column)
    result: dict[int, _Choice] = dict.fromkeys(matches, (IGNORE, "unknown", ()))
    for field, columns in by_field.items():
        best = columns if field in SEVERAL else _surest(columns, matches, filled)
        for column in best:
            settled = field in SEVERAL or len(best) == 1
            result[column] = (field, "known", ()) if settled else (ASK, "asked", (field, IGNORE))
    known = taken | {field for field, how, _ in result.values() if how == "known"}
    for column, match in matches.items():
        free = tuple(field for field in match.choices if field in SEVERAL or field not in known)
        if free and column in filled and not match.field:
            result[column] = (ASK, "asked", (*free, IGNORE))
    return result


def _surest(columns: list[int], matches: Mapping[int, Match], filled: set[int]) -> list[int]:
    """Of several columns for one field: those that hold anything, of these those with a sure heading, and a whole one.

    ``Model`` beside ``Model (old)`` needs no question.
    """
    holding = [column for column in columns if column in filled] or columns[:1]
    sure = [column for column in holding if not matches[column].weak] or holding
    return [column for column in sure if not matches[column].cut] or sure


def _ask(table: TableUse, column: ColumnUse) -> Question:
    fields = [choice for choice in column.choices if choice != IGNORE]
    return Question(
        kind="column",
        message=f"{table.name}: does column {column.letter}, {column.header!r}, mean {' or '.join(fields)}?",
        answer=f"[[table]] {table.sheet}, [table.columns]: {column.header or column.letter!r} = FIELD or {IGNORE!r}",
        sheet=table.sheet,
        row=table.header_row,
        column=column.letter,
        choices=column.choices,
    )


def tell_columns(done: Plan, remarks: Remarks) -> None:
    """Remark on hidden columns that are read, and on a table that names no files."""
    for table in done.tables:
        fields = {one for column in table.columns for one in (column.field, *column.choices)}
        if table.use and table.columns and _LOCATION not in fields and not table.locations:
            remarks.add(
                f"no column says where the files are; name one {_LOCATION} in the mapping file", sheet=table.sheet
            )
        for column in table.columns:
            if table.use and column.hidden and column.field not in (IGNORE, ASK):
                remarks.add(
                    f"the column is hidden; it is read as {column.field}", sheet=table.sheet, column=column.letter
                )
