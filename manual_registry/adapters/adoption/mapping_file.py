"""The mapping file: TOML with comments, written for a person to correct, and read back.

Law, held by a property test: reading back what was written, and applying it to the same spreadsheet, gives the same
proposal; a question that nobody answered is asked again.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from manual_registry.core.adoption.answers import FORMAT, Answers, answers_from
from manual_registry.core.adoption.headers import ASK, IGNORE
from manual_registry.core.adoption.proposal import ColumnUse, Plan, Proposal, Question, TableUse
from manual_registry.core.adoption.versions import DATES, NUMBERS
from manual_registry.core.adoption.vocabulary import FIELDS
from manual_registry.core.errors import MetadataUnreadable

#: One answer to a question about doubles (``core/adoption/checks``).
_SKIPPED: Final = re.compile(r"(.+): skip_rows = \[(\d+(?:, \d+)*)\]", re.DOTALL)


def read_mapping(path: Path) -> Answers:
    """Read a mapping file.

    Raises ``FileUnknown``, :class:`MetadataUnreadable` with the line, or everything that is wrong in it at once.
    """
    from manual_registry.adapters.documents import decode_text, read_bytes

    text = decode_text(read_bytes(path), where=str(path))
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise MetadataUnreadable(f"{path}: not TOML: {error}", location=str(path)) from None
    return answers_from(document, where=path.name)


def write_mapping(proposal: Proposal) -> str:
    """Return the mapping file's text for ``proposal``, its questions as comments where their answers go."""
    plan = proposal.plan
    lines = [
        f"# How {_comment(plan.workbook)} is read. manual-registry adopt {_comment(plan.workbook)} --mapping THIS-FILE",
        '# Correct it where it is wrong. "?" is a question; nothing is imported while one is open.',
        "# Fields: " + ", ".join(FIELDS) + ",",
        f'# metrics.NAME (a column with the numbers of one metric); "{IGNORE}": not read, carried along with the row.',
        f"format = {FORMAT}",
        f"workbook = {quoted(plan.workbook)}",
        f"sha256 = {quoted(plan.sha256)}",
    ]
    if not plan.tables:
        lines += _no_table(proposal.questions)
    for table in plan.tables:
        mine = [one for one in proposal.questions if one.sheet == table.sheet and _within(one, table)]
        lines += ["", *_table(table, mine)]
    lines += ["", *_words(plan, proposal.questions)]
    return "\n".join(lines) + "\n"


def _within(question: Question, table: TableUse) -> bool:
    return question.row is None or (table.header_row or 0) <= question.row <= table.last_row


def _no_table(questions: Iterable[Question]) -> list[str]:
    lines = ["", *(f"# ? {_comment(one.message)}" for one in questions)]
    return [
        *lines,
        "# [[table]]",
        '# sheet = "Sheet1"',
        "# header_row = 1",
        "# [table.columns]",
        '# A = "model"',
        '# B = "version"',
    ]


def _table(table: TableUse, questions: list[Question]) -> Iterator[str]:
    yield "[[table]]"
    yield f"sheet = {quoted(table.sheet)}"
    yield f"header_row = {table.header_row}  # its rows end with row {table.last_row}"
    yield from _asked(questions, "double_table", "double")
    use = {True: "true", False: "false", None: quoted(ASK)}[table.use]
    yield f"use = {use}  # false: this table is not imported"
    yield from _decisions(table, questions)
    if table.skip_rows:
        yield f"skip_rows = [{', '.join(map(str, table.skip_rows))}]"
    else:
        yield f"# skip_rows = [{_doubled(table, questions)}]  # rows that are not imported"
    yield ""
    yield "[table.columns]  # heading (or column letter) = field"
    yield from _asked(questions, "version_column")
    yield from (_column(table, column) for column in table.columns)
    yield from _dates(table, questions)
    yield from _by_row(
        "versions",
        "the version of a row, where the cell does not tell it",
        table.versions,
        _asked(questions, "version", "version_number", "version_date"),
    )
    yield from _by_row(
        "stages", "the stage of a row, where the cell is wrong", table.stages, _asked(questions, "two_in_production")
    )
    yield from _by_row(
        "locations",
        "the file of a row, below --storage or the spreadsheet's folder",
        table.locations,
        _asked(questions, "location"),
    )


def _decisions(table: TableUse, questions: list[Question]) -> Iterator[str]:
    yield from _asked(questions, "model")
    kinds = {question.kind for question in questions}
    if table.model or "model" in kinds:
        yield f"model = {quoted(table.model or ASK)}  # the model of every row that names none"
    for name, value, meaning in (
        (
            "fill_down",
            table.fill_down,
            "true: a row that names no model belongs to the one above; false: it is left out",
        ),
        ("split_model", table.split_model, "true: the model column holds name and version"),
    ):
        yield from _asked(questions, name)
        if value is not None or name in kinds:
            yield f"{name} = {str(value).lower() if value is not None else quoted(ASK)}  # {meaning}"
    for name, text, choices in (
        ("version_numbers", table.version_numbers, NUMBERS),
        ("version_dates", table.version_dates, DATES),
    ):
        if text or name.rstrip("s") in kinds:
            yield f"{name} = {quoted(text or ASK)}  # for the whole table: {', '.join(choices)}; or row by row below"


def _column(table: TableUse, column: ColumnUse) -> str:
    key = _key(table, column)
    asked = f", asked: {' or '.join(column.choices)}?" if column.field == ASK else ""
    hidden = ", hidden" if column.hidden else ""
    title = f" {_comment(column.header)!r}" if column.header and not key.startswith(quoted(column.header)) else ""
    return f"{key} = {quoted(column.field)}  # column {column.letter}{title}{hidden}{asked}"


def _key(table: TableUse, column: ColumnUse) -> str:
    """Name a column by its heading; by its letter where the heading is blank or stands twice."""
    headers = [other.header.casefold() for other in table.columns]
    header = column.header.casefold()
    if header and headers.count(header) == 1:
        return quoted(column.header)
    return quoted(f"column {column.letter}") if column.letter.casefold() in headers else column.letter


def _dates(table: TableUse, questions: list[Question]) -> Iterator[str]:
    open_ = {question.column: question for question in questions if question.kind == "date_order"}
    if not table.dates and not open_:
        return
    yield ""
    yield "[table.dates]  # column = day-first, month-first or year-first"
    for column in table.columns:
        if column.letter in open_:
            yield f"# ? {_comment(open_[column.letter].message)}"
            choices = ", ".join(open_[column.letter].choices)
            yield f"{_key(table, column)} = {quoted(ASK)}  # column {column.letter}: {choices}"
        elif column.letter in table.dates:
            yield f"{_key(table, column)} = {quoted(table.dates[column.letter])}  # column {column.letter}"


def _by_row(name: str, meaning: str, said: Mapping[int, str], asked: Iterable[str]) -> Iterator[str]:
    questions = list(asked)
    if not said and not questions:
        return
    yield ""
    yield f"[table.{name}]  # row = {meaning}"
    yield from questions
    yield from (f"{row} = {quoted(text)}" for row, text in sorted(said.items()))


def _words(plan: Plan, questions: Iterable[Question]) -> Iterator[str]:
    asked = list(questions)
    for name, said, kind, meaning in (
        ("stages", plan.stage_words, "stage", '"their word" = "experimental", "staging", "production" or "archived"'),
        ("models", plan.model_names, "model_name", '"their name" = "the model\'s name here" (a-z, 0-9, ".", "_", "-")'),
    ):
        yield f"[{name}]  # {meaning}"
        yield from _asked(asked, kind)
        yield from (f"{quoted(left)} = {quoted(right)}" for left, right in said.items())
        yield ""


def _doubled(table: TableUse, questions: Iterable[Question]) -> str:
    """Return the rows that the first answer offered to each question about doubles leaves out; a person picks."""
    rows: set[int] = set()
    for one in questions:
        first = one.choices[0] if one.kind == "double" and one.choices else ""
        here = _SKIPPED.fullmatch(first)
        if here is not None and here[1] == table.sheet:
            rows.update(int(number) for number in here[2].split(", "))
    return ", ".join(map(str, sorted(rows)))


def _asked(questions: Iterable[Question], *kinds: str) -> Iterator[str]:
    for one in questions:
        if one.kind in kinds:
            likely = f"  ({', '.join(one.choices)})" if one.choices else ""
            yield f"# ? {_comment(one.message)}{_comment(likely)}"
            if one.key:
                key = one.key if one.key.isascii() and one.key.isdigit() else quoted(one.key)
                answer = one.choices[0] if one.choices and one.choices[0] != "..." else ""
                yield f"# {key} = {quoted(answer)}"


def _comment(text: str) -> str:
    """Return a text fit for one line of comment."""
    return "".join(char if char.isprintable() else " " for char in text)


_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def quoted(text: str) -> str:
    """Spell a TOML string."""
    return (
        '"'
        + "".join(
            _ESCAPES.get(char) or (char if ord(char) >= 32 and char != "\x7f" else f"\\u{ord(char):04x}")
            for char in text
        )
        + '"'
    )
