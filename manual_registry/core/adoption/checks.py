"""What rows say together: the same version twice, two versions of one model in production, names that meet.

Rule held here: of two rows that name one version, one is left out only when it says nothing that the other does not;
else a person says which of them counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from manual_registry.core.adoption.cells import clean
from manual_registry.core.adoption.proposal import AdoptedRow, LeftOut, Question, Remarks, TableUse
from manual_registry.core.values import Stage

#: From so many doubled versions on, one question is asked about the whole table.
_MANY: Final = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Checked:
    """The rows that remain, the ones left out, and what must be asked."""

    rows: tuple[AdoptedRow, ...]
    left_out: tuple[LeftOut, ...]
    questions: tuple[Question, ...]


def check(rows: Sequence[AdoptedRow], tables: Sequence[TableUse], remarks: Remarks) -> Checked:
    """Look at all rows of all tables together."""
    _tell_merged_names(rows, remarks)
    kept, left_out, doubles = _doubles(rows)
    questions = [*_ask_doubles(doubles, tables), *ask_production(kept)]
    return Checked(rows=tuple(kept), left_out=tuple(left_out), questions=tuple(questions))


def _tell_merged_names(rows: Iterable[AdoptedRow], remarks: Remarks) -> None:
    spelled: dict[str, dict[str, AdoptedRow]] = {}
    for row in rows:
        if row.model:
            spelled.setdefault(row.model, {}).setdefault(clean(row.stated_model).casefold(), row)
    for model, names in spelled.items():
        if len(names) > 1:
            listed = ", ".join(repr(row.stated_model) for row in names.values())
            remarks.add(
                f"{listed} are one model here: {model}; rename one under [models] in the mapping file if they are not"
            )


def _says(row: AdoptedRow) -> dict[str, str]:
    return {name: clean(stated.raw).casefold() for name, stated in row.values.items()}


def _adds(row: AdoptedRow, other: AdoptedRow) -> bool:
    """Tell whether ``row`` says anything that ``other`` does not."""
    theirs = _says(other)
    foreign = Counter((one.header, one.raw) for one in row.foreign if one.raw)
    return any(theirs.get(name) != text for name, text in _says(row).items()) or bool(
        foreign - Counter((one.header, one.raw) for one in other.foreign)
    )


def _doubles(rows: Iterable[AdoptedRow]) -> tuple[list[AdoptedRow], list[LeftOut], list[list[AdoptedRow]]]:
    groups: dict[tuple[str, str], list[AdoptedRow]] = {}
    kept: list[AdoptedRow] = []
    left_out: list[LeftOut] = []
    for row in rows:
        if row.model is None or row.version is None:
            kept.append(row)
            continue
        group = groups.setdefault((row.model, row.version.casefold()), [])
        same = next((other for other in group if not _adds(row, other)), None)
        if same is not None:
            reason = f"names {row.model}@{row.version} again and says nothing that {same.place} does not"
            left_out.append(LeftOut(sheet=row.sheet, row=row.row, reason=reason))
        else:
            group.append(row)
            kept.append(row)
    return kept, left_out, [group for group in groups.values() if len(group) > 1]


def _table_of(row: AdoptedRow, tables: Iterable[TableUse]) -> TableUse | None:
    return next(
        (one for one in tables if one.sheet == row.sheet and (one.header_row or 0) < row.row <= one.last_row), None
    )


def _ask_doubles(doubles: list[list[AdoptedRow]], tables: Sequence[TableUse]) -> list[Question]:
    whole: dict[tuple[str, int | None], list[list[AdoptedRow]]] = {}
    for group in doubles:
        first, last = _table_of(group[0], tables), _table_of(group[-1], tables)
        if first and last and first is not last:
            whole.setdefault((last.sheet, last.header_row), []).append(group)
    asked = {place for place, groups in whole.items() if len(groups) > _MANY}
    questions = [_ask_table(place, whole[place]) for place in sorted(asked, key=str)]
    for group in doubles:
        last = _table_of(group[-1], tables)
        if last is None or (last.sheet, last.header_row) not in asked:
            questions.append(_ask_double(group, tables))
    return questions


def _ask_table(place: tuple[str, int | None], groups: list[list[AdoptedRow]]) -> Question:
    sheet, header = place
    return Question(
        kind="double_table",
        message=f"{sheet} (headings in row {header}): {len(groups)} of its rows name versions that"
        f" {groups[0][0].sheet} names as well, and say other things; is it another view of"
        " them, not to be imported?",
        answer=f"[[table]] {sheet}, use = false, or the rows that do not count under skip_rows",
        sheet=sheet,
        row=header,
        choices=("use = false", "..."),
    )


def _ask_double(group: list[AdoptedRow], tables: Sequence[TableUse]) -> Question:
    places = " and ".join(row.place for row in group)
    return Question(
        kind="double",
        message=f"{places} name {group[0].model}@{group[0].version} and say different things; which of them counts?",
        answer=f"[[table]] {group[-1].sheet}, skip_rows = [...] with those that do not"
        " (or another version under [table.versions])",
        sheet=group[-1].sheet,
        row=group[-1].row,
        choices=tuple(_without([row for row in group if row is not kept], tables) for kept in group),
    )


def _without(rows: Iterable[AdoptedRow], tables: Sequence[TableUse]) -> str:
    """Spell the answer that leaves out all of ``rows``, beside the rows that are left out already."""
    found: dict[str, set[int]] = {}
    for row in rows:
        table = _table_of(row, tables)
        found.setdefault(row.sheet, set(table.skip_rows if table else ())).add(row.row)
    return "; ".join(f"{sheet}: skip_rows = [{', '.join(map(str, sorted(all_)))}]" for sheet, all_ in found.items())


def ask_production(rows: Iterable[AdoptedRow]) -> list[Question]:
    """Ask of each model of which several versions are stated in production which stage the others have."""
    found: dict[str, list[AdoptedRow]] = {}
    for row in rows:
        if row.model and row.parsed("stage") is Stage.PRODUCTION:
            found.setdefault(row.model, []).append(row)
    return [_ask_stage(model, several) for model, several in found.items() if len({row.version for row in several}) > 1]


def _ask_stage(model: str, rows: Sequence[AdoptedRow]) -> Question:
    listed = ", ".join(f"{row.version or row.stated_version} ({row.place})" for row in rows)
    return Question(
        kind="two_in_production",
        message=f"several versions of {model} are stated in production: {listed}; one at a"
        " time can be. Which stage have the others?",
        answer=f"[[table]] {rows[0].sheet}, [table.stages]: ROW = STAGE",
        sheet=rows[0].sheet,
        row=rows[0].row,
        choices=("archived", "staging", "experimental"),
    )
