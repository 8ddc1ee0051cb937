"""Model and version of each row: filled down, split, put right after what a spreadsheet did to them, or asked.

Rule held here: a version's name is for ever, so nothing about it is guessed; a model's name is changed by fixed rules
only, and told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from manual_registry.core.adoption import versions, words
from manual_registry.core.adoption.cells import SheetCell, clean, shown
from manual_registry.core.adoption.headers import ASK
from manual_registry.core.adoption.proposal import LeftOut, Plan, Question, Remarks, TableUse
from manual_registry.core.adoption.sorting import Sorted
from manual_registry.core.errors import RegistryError
from manual_registry.core.values import ModelName, Version, model_name, version_name


@dataclass(frozen=True, kw_only=True, slots=True)
class Names:
    """Model and version of one row; None while a question is open."""

    model: ModelName | None
    version: Version | None
    stated_model: str
    stated_version: str


class Namer:
    """Names the records of one table; ``questions`` and ``left_out`` tell what it could not name."""

    def __init__(self, table: TableUse, plan: Plan, remarks: Remarks) -> None:
        """Prepare for ``table``."""
        self.table, self.plan, self.remarks = table, plan, remarks
        self.questions: list[Question] = []
        self.left_out: list[LeftOut] = []
        #: Fields that a column which is asked may turn out to be.
        self._possible = {choice for column in table.columns if column.field == ASK for choice in column.choices}
        self._unfilled: list[tuple[int, str]] = []
        self._models: dict[str, ModelName | None] = {}

    def name(self, found: list[Sorted]) -> dict[int, Names]:
        """Return the names of every row that is a record."""
        models = self._model_texts(found)
        kept = [one for one in found if one.row in models]
        cells = self._version_cells(kept, models)
        if cells is None:
            return {
                one.row: Names(model=None, version=None, stated_model=models[one.row] or "", stated_version="")
                for one in kept
            }
        result: dict[int, Names] = {}
        for text in dict.fromkeys(models.values()):
            rows = {one.row: cells[one.row] for one in kept if models[one.row] == text and one.row in cells}
            result.update(self._versions(text, rows))
        self._ask_fill()
        return result

    # -- models -------------------------------------------------------------------------------------------

    def _model_texts(self, found: list[Sorted]) -> dict[int, str | None]:
        """Return the model as stated by row (None: asked); rows that are no record are told."""
        column = self.table.column_of("model")
        if (
            column is None
            and self.table.model is None
            and "model" not in self._possible
            and any(not one.reason for one in found)
        ):
            self._ask_model()
        texts: dict[int, str | None] = {}
        above: str | None = None
        for one in found:
            if one.model is not None and not one.reason.startswith(("a total", "a footnote", "the headings")):
                above = clean(shown(one.model))
            if one.reason:
                self._leave(one.row, one.reason)
            elif one.model is not None:
                texts[one.row] = above
            elif column is None or self.table.model:
                texts[one.row] = self.table.model
            elif above is None:
                self._leave(one.row, "names no model")
            else:
                self._fill(one.row, above, texts)
        return texts

    def _fill(self, row: int, above: str, texts: dict[int, str | None]) -> None:
        if self.table.fill_down is False:
            self._leave(row, "names no model")
            return
        texts[row] = above
        if self.table.fill_down is None:
            self._unfilled.append((row, above))
        else:
            self.remarks.add("names no model; the one above is taken", sheet=self.table.sheet, row=row)

    def _ask_fill(self) -> None:
        if not self._unfilled:
            return
        pairs = ", ".join(f"row {row}: {text}" for row, text in self._unfilled[:6]) + (
            ", \u2026" if len(self._unfilled) > 6 else ""
        )
        self._ask(
            "fill_down",
            f"{len(self._unfilled)} rows name no model; is it the one above ({pairs})?",
            "fill_down = true or false",
            row=self._unfilled[0][0],
            choices=("true", "false"),
        )

    def _ask_model(self) -> None:
        likely = words.model_name_of(self.table.sheet)
        self._ask(
            "model",
            "no column of models is known; which model is this table about?",
            'model = "NAME", or the column under [table.columns]',
            choices=(likely, "...") if likely else ("...",),
        )

    def _model(self, text: str | None, row: int) -> ModelName | None:
        if text is None:
            return None
        if text not in self._models:
            self._models[text] = self._new_model(text, row)
        return self._models[text]

    def _new_model(self, text: str, row: int) -> ModelName | None:
        said = next(
            (name for word, name in self.plan.model_names.items() if clean(word).casefold() == text.casefold()), None
        )
        if said:
            return model_name(said)
        found = words.model_name_of(text)
        if found is None:
            self._ask(
                "model_name",
                f"nothing of the name {text!r} fits a model name (a-z, 0-9, '.', '_', '-'); what is it called?",
                f"[models]: {text!r} = NAME",
                row=row,
                key=text,
                choices=("...",),
            )
        elif found != text:
            self.remarks.add(f"the model {text!r} is called {found}", sheet=self.table.sheet)
        return found

    # -- versions -----------------------------------------------------------------------------------------

    def _version_cells(self, kept: list[Sorted], models: dict[int, str | None]) -> dict[int, SheetCell] | None:
        """Return the cell that names the version, by row; None when no column does and it is asked."""
        if self.table.column_of("version"):
            return {one.row: one.version or SheetCell(value="") for one in kept}
        splits = {row: words.split_model(text) for row, text in models.items() if text}
        if self.table.split_model:
            return self._split(kept, models, splits)
        if kept and all(one.row in self.table.versions for one in kept):
            return {one.row: SheetCell(value="") for one in kept}
        if not kept or "version" in self._possible:
            return {} if not kept else None
        pairs = [(models[row], pair) for row, pair in splits.items() if pair]
        if self.table.split_model is None and len(pairs) * 10 >= len(kept) * 6:
            text, (model, version) = pairs[0]
            self._ask(
                "split_model",
                f"no column of versions is known; does {text!r} name model {model!r} and version {version!r}?",
                "split_model = true or false",
                row=kept[0].row,
                choices=("true", "false"),
            )
        else:
            self._ask(
                "version_column",
                "no column of versions is known; which one is it?",
                "a column = 'version' under [table.columns], or each row's under [table.versions]",
                row=kept[0].row,
                choices=("...",),
            )
        return None

    def _split(
        self, kept: list[Sorted], models: dict[int, str | None], splits: Mapping[int, tuple[str, str] | None]
    ) -> dict[int, SheetCell]:
        cells: dict[int, SheetCell] = {}
        for one in kept:
            pair = splits.get(one.row)
            if pair:
                models[one.row], cells[one.row] = pair[0], SheetCell(value=pair[1])
            elif one.row in self.table.versions:
                cells[one.row] = SheetCell(value="")
            else:
                self._leave(one.row, "its model cell holds no version")
        return cells

    def _versions(self, text: str | None, cells: dict[int, SheetCell]) -> dict[int, Names]:
        column = versions.VersionColumn(cells, numbers=self.table.version_numbers, dates=self.table.version_dates)
        found: dict[int, Names] = {}
        for row, cell in cells.items():
            version = self._version(row, cell, column)
            model = self._model(text, row)
            found[row] = Names(model=model, version=version, stated_model=text or "", stated_version=shown(cell))
        return found

    def _version(self, row: int, cell: SheetCell, column: versions.VersionColumn) -> Version | None:
        said = self.table.versions.get(row)
        if said:
            return version_name(said)
        read = column.read(row)
        if read.text is None:
            self._ask_version(row, cell, read)
            return None
        if read.note:
            self._remark(row, read.note)
        found = words.version_of(read.text)
        if found is None:
            self._ask_bad_version(row, read.text)
        elif found != clean(read.text):
            self._remark(row, f"the version {read.text!r} is called {found}")
        return found

    def _ask_version(self, row: int, cell: SheetCell, read: versions.Read) -> None:
        what = "a date" if read.kind == "dates" else "the number"
        table_wide = "version_dates" if read.kind == "dates" else "version_numbers"
        message = (
            f"row {row}: the version cell holds {what} {shown(cell)}; what was typed: {' or '.join(read.choices)}?"
        )
        answer = f"[table.versions]: {row} = VERSION (or {table_wide} for the whole table)"
        column = self.table.column_of("version")
        kind = "version_date" if read.kind == "dates" else "version_number"
        self._ask(
            kind,
            message,
            answer,
            row=row,
            key=str(row),
            column=column.letter if column else None,
            choices=(*read.choices, "..."),
        )

    def _ask_bad_version(self, row: int, text: str) -> None:
        likely = words.version_suggestion(text)
        try:
            version_name(clean(text))
            why = ""
        except RegistryError as error:
            why = error.message
        self._ask(
            "version",
            f"row {row}: {why or text}",
            f"[table.versions]: {row} = VERSION",
            row=row,
            key=str(row),
            choices=(likely, "...") if likely else ("...",),
        )

    # -- telling ------------------------------------------------------------------------------------------

    def _ask(self, kind: str, message: str, answer: str, **place: Any) -> None:
        where = answer if answer.startswith("[models]") else f"[[table]] {self.table.sheet}, {answer}"
        self.questions.append(
            Question(kind=kind, message=f"{self.table.name}: {message}", answer=where, sheet=self.table.sheet, **place)
        )

    def _leave(self, row: int, reason: str) -> None:
        self.left_out.append(LeftOut(sheet=self.table.sheet, row=row, reason=reason))

    def _remark(self, row: int, message: str) -> None:
        column = self.table.column_of("version")
        self.remarks.add(message, sheet=self.table.sheet, row=row, column=column.letter if column else None)
