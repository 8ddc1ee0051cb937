"""What `adopt` tells: the document ``manual-registry/adopt/1`` (design 3.2), and the same for a terminal.

Nothing here decides anything; the texts are made from a :class:`Proposal`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from manual_registry.core.adoption.headers import ASK, IGNORE
from manual_registry.core.adoption.proposal import (
    AdoptedRow,
    ColumnUse,
    FileFinding,
    Plan,
    Proposal,
    Question,
    Remark,
    Stated,
    TableUse,
)
from manual_registry.core.adoption.words import StatedHash
from manual_registry.core.errors import Json
from manual_registry.core.manifest import printable

SCHEMA = "manual-registry/adopt/1"


def document(proposal: Proposal, *, imported: Sequence[dict[str, Json]] = ()) -> dict[str, Any]:
    """Return the JSON document.

    ``imported`` are the entries of what has been imported; ``rows`` is what each row comes to, ``files`` what was
    found of its file; ``row`` in ``not_imported`` is null for a whole sheet.
    """
    return {
        "schema": SCHEMA,
        "workbook": proposal.plan.workbook,
        "sha256": proposal.plan.sha256,
        "mapping": mapping(proposal.plan),
        "imported": list(imported),
        "not_imported": [{"sheet": one.sheet, "row": one.row, "reason": one.reason} for one in proposal.not_imported],
        "questions": [question(one) for one in proposal.questions],
        "rows": [row(one) for one in proposal.rows],
        "files": [file(one) for one in proposal.files],
        "summary": summary(proposal),
        "warnings": [
            {"sheet": one.sheet, "rows": list(one.rows), "column": one.column, "message": one.message}
            for one in proposal.warnings
        ],
    }


def mapping(plan: Plan) -> dict[str, Any]:
    """Return how the spreadsheet is read, as JSON."""
    return {
        "tables": [_table(table) for table in plan.tables],
        "stages": dict(plan.stage_words),
        "models": dict(plan.model_names),
    }


def _table(table: TableUse) -> dict[str, Any]:
    return {
        "sheet": table.sheet,
        "header_row": table.header_row,
        "last_row": table.last_row,
        "use": table.use,
        "columns": [
            {
                "column": one.letter,
                "header": one.header,
                "field": None if one.field == ASK else one.field,
                "how": one.how,
            }
            for one in table.columns
        ],
        "model": table.model,
        "fill_down": table.fill_down,
        "split_model": table.split_model,
        "version_numbers": table.version_numbers,
        "version_dates": table.version_dates,
        "dates": dict(table.dates),
        "versions": {str(number): text for number, text in table.versions.items()},
        "stages": {str(number): text for number, text in table.stages.items()},
        "locations": {str(number): text for number, text in table.locations.items()},
        "skip_rows": list(table.skip_rows),
    }


def question(one: Question) -> dict[str, Any]:
    """Return a question as JSON."""
    return {
        "kind": one.kind,
        "sheet": one.sheet,
        "row": one.row,
        "column": one.column,
        "message": one.message,
        "answer": one.answer,
        "choices": list(one.choices),
    }


def row(one: AdoptedRow) -> dict[str, Any]:
    """Return a row as JSON: every value as stated and as understood, with its column, and what is carried along."""
    return {
        "sheet": one.sheet,
        "row": one.row,
        "model": one.model,
        "version": one.version,
        "stated_model": one.stated_model,
        "stated_version": one.stated_version,
        "values": {name: _stated(value) for name, value in one.values.items()},
        "metrics": one.metrics,
        "foreign": [{"header": cell.header, "column": cell.column, "value": cell.raw} for cell in one.foreign],
        "comments": [{"column": column, "text": text} for column, text in one.comments],
        "hidden": one.hidden,
    }


def _stated(value: Stated) -> dict[str, Any]:
    parsed = value.parsed
    return {
        "column": value.column,
        "stated": value.raw,
        "understood": str(parsed) if isinstance(parsed, StatedHash) else parsed,
    }


def file(one: FileFinding) -> dict[str, Any]:
    """Return a finding about a file as JSON."""
    content = one.content
    return {
        "sheet": one.sheet,
        "row": one.row,
        "stated": one.stated,
        "status": one.status,
        "message": printable(one.message),
        "path": printable(one.path) if one.path else None,
        "how": one.how,
        "kind": content.kind if content else None,
        "files": len(content.files) if content else None,
        "size": content.size if content else None,
        "blake3": content.blake3 if content else None,
        "sha256": content.sha256 if content else None,
        "hash": one.hash,
        "hash_detail": one.hash_detail,
        "also_named_by": [{"sheet": sheet, "row": number} for sheet, number in one.also_named_by],
        "candidates": [printable(path) for path in one.candidates],
    }


def summary(proposal: Proposal) -> dict[str, int]:
    """Count what matters: rows, questions, and files by what was found of them."""
    status = Counter(one.status for one in proposal.files)
    hashes = Counter(one.hash for one in proposal.files)
    return {
        "rows": len(proposal.rows),
        "not_imported": len(proposal.not_imported),
        "questions": len(proposal.questions),
        "files_found": status["found"],
        "files_missing": status["missing"],
        "files_unreachable": status["unreachable"] + status["outside"],
        "files_unusable": status["unusable"],
        "files_not_stated": status["not_stated"],
        "hashes_equal": hashes["equal"],
        "hashes_different": hashes["differs"],
        "named_twice": sum(bool(one.also_named_by) for one in proposal.files),
    }


# -- for a terminal ---------------------------------------------------------------------------------------


def text(proposal: Proposal, *, done: str | None = None) -> str:
    """Return the whole report as plain text, lines ending in LF; ``done`` says what came of it (None: nothing yet)."""
    parts = [
        _mapping_lines(proposal.plan),
        _row_lines(proposal),
        _file_lines(proposal),
        _left_out_lines(proposal),
        _remark_lines(proposal.warnings),
        _question_lines(proposal.questions),
        ["", done] if done else _end(proposal),
    ]
    return "\n".join(safe(line) for part in parts for line in part) + "\n"


def safe(line: str) -> str:
    """Return a line fit for a terminal: what a sheet holds cannot move the cursor."""
    return "".join(char if char.isprintable() else "\ufffd" if char != "\n" else " / " for char in line)


def _heading(title: str) -> list[str]:
    return ["", title]


def _mapping_lines(plan: Plan) -> list[str]:
    lines = [f"How {plan.workbook} is read"]
    for table in plan.tables:
        state = {True: "", False: ", not read", None: ", asked"}[table.use]
        lines.append(f"  {table.sheet}, headings in row {table.header_row}{state}")
        if table.use is False:
            continue
        width = max((len(_title(column)) for column in table.columns), default=0)
        lines += [
            f"    {column.letter:>3}  {_title(column):<{min(width, 32)}}  {_use(table, column)}"
            for column in table.columns
        ]
    return lines


def _title(column: ColumnUse) -> str:
    title = column.header or "(no heading)"
    return title if len(title) <= 32 else title[:31] + "\u2026"


def _use(table: TableUse, column: ColumnUse) -> str:
    if column.field == ASK:
        return "? " + " or ".join(column.choices)
    if column.field == IGNORE:
        return "carried along, not read"
    order = f" ({table.dates[column.letter]})" if column.letter in table.dates else ""
    return column.field + order


def _row_lines(proposal: Proposal) -> list[str]:
    left = {(one.sheet, one.row) for one in proposal.not_imported}
    rows = [one for one in proposal.rows if (one.sheet, one.row) not in left]
    by_model = Counter(one.model or f"{one.stated_model or '?'} (asked)" for one in rows)
    lines = _heading(f"Rows to import: {len(rows)}")
    return lines + [
        f"  {model}: {count} version{'s' if count > 1 else ''}" for model, count in sorted(by_model.items())
    ]


def _file_lines(proposal: Proposal) -> Iterator[str]:
    """Count the files, and say of those that are taken what is not plain; of the others the reason is told below."""
    files = proposal.files
    if not files:
        return
    left = {(one.sheet, one.row) for one in proposal.not_imported}
    counts = Counter(one.status for one in files)
    names = {
        "found": "found",
        "missing": "missing",
        "outside": "outside the directories that may be read",
        "unreachable": "not reachable from here",
        "unusable": "cannot be taken",
        "open": "asked",
        "not_stated": "not stated",
    }
    yield from _heading("Files: " + ", ".join(f"{counts[key]} {name}" for key, name in names.items() if counts[key]))
    for one in files:
        if (one.sheet, one.row) not in left and (
            one.status != "found"
            or one.hash in ("differs", "not_comparable")
            or one.also_named_by
            or one.how != "as stated"
        ):
            yield f"  {one.sheet}!{one.row}: {one.message}"


def _left_out_lines(proposal: Proposal) -> list[str]:
    if not proposal.not_imported:
        return []
    lines = _heading(f"Not imported: {len(proposal.not_imported)}")
    return lines + [
        f"  {one.sheet}{'' if one.row is None else f'!{one.row}'}: {one.reason}" for one in proposal.not_imported
    ]


def _remark_lines(remarks: Iterable[Remark]) -> list[str]:
    lines = [f"  {_place(one)}{one.message}" for one in remarks]
    return _heading("Noticed") + lines if lines else []


def _place(one: Remark) -> str:
    if one.sheet is None:
        return ""
    column = f" column {one.column}" if one.column else ""
    rows = ", ".join(map(str, one.rows[:8])) + (f" and {len(one.rows) - 8} more" if len(one.rows) > 8 else "")
    number = f" row{'s' if len(one.rows) > 1 else ''} {rows}" if rows else ""
    return f"{one.sheet}{column}{number}: "


def _question_lines(questions: Sequence[Question]) -> Iterator[str]:
    if not questions:
        return
    yield from _heading(f"Questions: {len(questions)}")
    for number, one in enumerate(questions, 1):
        yield f"  {number}. {one.message}"
        likely = ", ".join(one.choices)
        yield f"     answer: {one.answer}" + (f"   ({likely})" if likely else "")


def _end(proposal: Proposal) -> list[str]:
    if proposal.questions:
        return ["", "Nothing can be imported until the questions are answered in the mapping file."]
    return ["", "No question is open."]
