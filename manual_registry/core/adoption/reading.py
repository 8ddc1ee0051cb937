"""Makes rows out of a planned table: names, versions and values, each with the cell that it came from.

Rules held here: what a person must say becomes a question, once; what was changed or noticed becomes a remark; a row
that cannot be imported is told with its reason. What rows say together (doubles, two in production) is left to
``checks.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from manual_registry.core.adoption import dates, words
from manual_registry.core.adoption.cells import SheetCell, SheetGrid, is_ditto, number_of, shown
from manual_registry.core.adoption.cells import letter as column_letter
from manual_registry.core.adoption.fields import DATES, Context, meaning
from manual_registry.core.adoption.headers import ASK, IGNORE, SEVERAL, order_hint
from manual_registry.core.adoption.naming import Namer
from manual_registry.core.adoption.proposal import (
    AdoptedRow,
    ColumnUse,
    Foreign,
    LeftOut,
    Plan,
    Question,
    Remarks,
    Stated,
    TableUse,
)
from manual_registry.core.adoption.sorting import Sorted, says, sort_rows
from manual_registry.core.values import Stage

_NAMES: Final = frozenset({"model", "version"})


@dataclass(frozen=True, kw_only=True, slots=True)
class TableRead:
    """What came of one table; ``table`` carries what was inferred (orders of dates)."""

    table: TableUse
    rows: tuple[AdoptedRow, ...]
    left_out: tuple[LeftOut, ...]
    questions: tuple[Question, ...]


def read_table(
    grid: SheetGrid, table: TableUse, plan: Plan, remarks: Remarks, *, system_1904: bool = False
) -> TableRead:
    """Read one table of ``plan``."""
    return _Reader(grid, table, plan, remarks, system_1904).read()


class _Reader:
    def __init__(self, grid: SheetGrid, table: TableUse, plan: Plan, remarks: Remarks, system_1904: bool) -> None:
        self.grid, self.table, self.plan, self.remarks = grid, table, plan, remarks
        self.system_1904 = system_1904
        self.questions: list[Question] = []
        self.left_out: list[LeftOut] = []
        self.unknown_stages: dict[str, list[int]] = {}

    def read(self) -> TableRead:
        found = list(self._dittoed(sort_rows(self.grid, self.table)))
        namer = Namer(self.table, self.plan, self.remarks)
        named = namer.name(found)
        self.questions += namer.questions
        self.left_out += namer.left_out
        records = [one for one in found if one.row in named]
        contexts = {column.letter: self._context(column, records) for column in self.table.columns}
        rows = tuple(self._row(one, named[one.row], contexts) for one in records)
        self._ask_stages()
        self._tell_uncomputed(records)
        orders = {letter: self._settled(context) for letter, context in contexts.items() if context.order}
        settled = {letter: order for letter, order in orders.items() if order}
        return TableRead(
            table=replace(self.table, dates={**settled, **self.table.dates}),
            rows=rows,
            left_out=tuple(sorted(self.left_out, key=lambda one: one.row or 0)),
            questions=tuple(self.questions),
        )

    def _dittoed(self, found: Any) -> Any:
        """Put the value above in place of ditto marks."""
        above: dict[str, SheetCell] = {}
        for one in found:
            cells = dict(one.cells)
            for letter, cell in one.cells.items():
                if isinstance(cell.value, str) and is_ditto(cell.value) and letter in above:
                    cells[letter] = replace(above[letter], comment=cell.comment, merged="")
                    self.remarks.add(
                        "a ditto mark; the value above is taken", sheet=self.grid.name, row=one.row, column=letter
                    )
                elif cell.merged == "down" and not one.reason:
                    self.remarks.add(
                        "merged cells; the value counts for each of their rows",
                        sheet=self.grid.name,
                        row=one.row,
                        column=letter,
                    )
            above = cells if not one.reason else above
            yield self._renamed(one, cells)

    def _renamed(self, one: Sorted, cells: Mapping[str, SheetCell]) -> Sorted:
        found = [self.table.column_of(name) for name in ("model", "version")]
        names = [cells.get(column.letter) if column else None for column in found]
        model, version = (cell if says(cell) else None for cell in names)
        return replace(one, cells=cells, model=model, version=version)

    def _context(self, column: ColumnUse, records: list[Sorted]) -> Context:
        if column.field not in DATES:
            return Context(header=column.header)
        cells = [one.cells[column.letter] for one in records if says(one.cells.get(column.letter))]
        readings = [
            reading for reading in (dates.read_cell(cell, system_1904=self.system_1904) for cell in cells) if reading
        ]
        given = self.table.dates.get(column.letter) or order_hint(column.header)
        order = dates.infer_order(readings, given=given)
        if order.open:
            self._ask_order(column, order, [one for one in records if column.letter in one.cells])
        self._tell_exchanged(column, cells)
        return Context(header=column.header, order=order, system_1904=self.system_1904)

    def _ask_order(self, column: ColumnUse, order: dates.Order, records: list[Sorted]) -> None:
        for one in records:
            reading = dates.read_cell(one.cells[column.letter])
            if reading and order.read(reading) is None and reading.by_order:
                meant = " or ".join(f"{value} ({name})" for name, value in reading.by_order.items())
                self.questions.append(
                    Question(
                        kind="date_order",
                        message=f"{self.table.name}: does {shown(one.cells[column.letter])!r} in column"
                        f" {column.letter}, {column.header!r}, mean {meant}?",
                        answer=f"[[table]] {self.table.sheet}, [table.dates]: {column.letter} = ORDER",
                        sheet=self.table.sheet,
                        row=one.row,
                        column=column.letter,
                        choices=order.choices,
                    )
                )
                return

    def _tell_exchanged(self, column: ColumnUse, cells: list[SheetCell]) -> None:
        """Warn of the trap of a spreadsheet that read some of a column's dates in another country's order."""
        real = [cell.value for cell in cells if not isinstance(cell.value, str | bool | int | float)]
        texts = [dates.read_cell(cell) for cell in cells if isinstance(cell.value, str)]
        numeric = [one for one in texts if one and one.by_order]
        if len(real) > 1 and numeric and all(day.day <= 12 for day in real) and all(one.evidence for one in numeric):
            self.remarks.add(
                "some dates are real dates, all with a day up to 12, and the others are text: the program may have"
                " exchanged day and month of the real ones; look at them",
                sheet=self.table.sheet,
                column=column.letter,
            )

    def _settled(self, context: Context) -> str | None:
        orders = set(context.order.by_notation.values()) if context.order and not context.order.open else set()
        return orders.pop() if len(orders) == 1 else None

    # -- rows ---------------------------------------------------------------------------------------------

    def _row(self, one: Sorted, names: Any, contexts: Mapping[str, Context]) -> AdoptedRow:
        values: dict[str, Stated] = {}
        foreign: list[Foreign] = []
        for column in self.table.columns:
            cell = one.cells.get(column.letter)
            if cell is None:
                continue
            if column.field in (IGNORE, ASK):
                foreign.append(Foreign(header=column.header, column=column.letter, raw=shown(cell)))
            elif column.field not in _NAMES and says(cell):
                stated = self._stated(column, one.row, cell, contexts[column.letter])
                key = column.field
                if key in SEVERAL and key in values:
                    key = f"{key}#{column.letter}"
                values[key] = stated
            self._tell(column, one.row, cell)
        hidden = one.row in self.grid.hidden_rows
        if hidden:
            self.remarks.add("the row is hidden; it is imported as the others are", sheet=self.grid.name, row=one.row)
        own = sorted(self.grid.cells[one.row].items())
        comments = tuple((column_letter(number), cell.comment) for number, cell in own if cell.comment)
        return AdoptedRow(
            sheet=self.grid.name,
            row=one.row,
            model=names.model,
            version=names.version,
            stated_model=names.stated_model,
            stated_version=names.stated_version,
            values=values,
            foreign=tuple(foreign),
            comments=comments,
            hidden=hidden,
        )

    def _stated(self, column: ColumnUse, row: int, cell: SheetCell, context: Context) -> Stated:
        if column.field == "stage":
            parsed: Any = self._stage(column, row, shown(cell))
        else:
            found = meaning(column.field, cell, context)
            parsed = found.parsed
            if found.note:
                self.remarks.add(found.note, sheet=self.grid.name, row=row, column=column.letter)
        if column.field == "storage_location" and row in self.table.locations:
            parsed = self.table.locations[row]
        return Stated(
            field=column.field, raw=shown(cell), parsed=parsed, sheet=self.grid.name, row=row, column=column.letter
        )

    def _stage(self, column: ColumnUse, row: int, text: str) -> Stage | None:
        said = self.table.stages.get(row) or self.plan.stage_words.get(text) or self._word(text)
        if said:
            return Stage.EXPERIMENTAL if said.lower() == "none" else Stage(said.lower())
        found = words.stage_of(text)
        if found is None:
            self.unknown_stages.setdefault(text, []).append(row)
        elif found.value != text.strip().lower():
            self.remarks.add(f"{text!r} is read as {found.value}", sheet=self.grid.name, row=row, column=column.letter)
        return found

    def _word(self, text: str) -> str | None:
        return next(
            (stage for word, stage in self.plan.stage_words.items() if word.casefold() == text.casefold()), None
        )

    def _ask_stages(self) -> None:
        column = self.table.column_of("stage")
        for text, rows in self.unknown_stages.items():
            likely = words.stage_suggestion(text)
            others = [stage.value for stage in Stage if stage is not likely]
            self.questions.append(
                Question(
                    kind="stage",
                    message=f"{self.table.name}: which stage does {text!r} mean ({_rows(rows)})?",
                    answer=f"[stages]: {text!r} = STAGE",
                    key=text,
                    sheet=self.table.sheet,
                    row=rows[0],
                    column=column.letter if column else None,
                    choices=(likely.value, *others) if likely else tuple(others),
                )
            )

    def _tell(self, column: ColumnUse, row: int, cell: SheetCell) -> None:
        if column.field in (IGNORE, ASK):
            return
        if cell.formula:
            self.remarks.add(
                "a formula; its last stored result is read", sheet=self.grid.name, row=row, column=column.letter
            )
        text = shown(cell)
        if text.startswith("#") and not says(cell):
            self.remarks.add(
                f"a formula that failed ({text}); read as empty", sheet=self.grid.name, row=row, column=column.letter
            )

    def _tell_uncomputed(self, records: list[Sorted]) -> None:
        known = {number_of(column.letter): column for column in self.table.columns if column.field not in (IGNORE, ASK)}
        rows = {one.row for one in records}
        for row, number in sorted(self.grid.uncomputed):
            if row in rows and number in known:
                self.remarks.add(
                    "a formula without a stored result, read as empty; open and save the file in a spreadsheet program",
                    sheet=self.grid.name,
                    row=row,
                    column=number,
                )


def _rows(rows: list[int]) -> str:
    shown_rows = ", ".join(map(str, rows[:8])) + (", \u2026" if len(rows) > 8 else "")
    return f"row {shown_rows}" if len(rows) == 1 else f"rows {shown_rows}"
