"""Messy workbooks for the tests of adoption: rows in, a file made by openpyxl or XlsxWriter out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import openpyxl

from manual_registry.adapters.adoption import propose
from manual_registry.core.adoption import Answers, Proposal

HEADINGS = (
    "Model",
    "Version",
    "Path",
    "SHA256",
    "Trained on",
    "Metrics",
    "Stage",
    "Approver",
    "Approval date",
    "Owner",
)


def book(
    path: Path, sheets: Mapping[str, Sequence[Sequence[Any]]], change: Callable[[Any], None] | None = None
) -> Path:
    """Write ``sheets`` (name -> rows) with openpyxl; ``change`` gets the workbook before it is saved."""
    workbook = openpyxl.Workbook()
    first = workbook.worksheets[0]
    workbook.remove(first)
    for name, rows in sheets.items():
        sheet = workbook.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
    if change:
        change(workbook)
    workbook.save(path)
    return path


def proposed(
    path: Path,
    rows: Sequence[Sequence[Any]],
    answers: Answers | None = None,
    change: Callable[[Any], None] | None = None,
) -> Proposal:
    """Write one sheet ``Models`` and read it."""
    return propose(book(path / "sheet.xlsx", {"Models": rows}, change), answers)


def kinds(proposal: Proposal) -> list[str]:
    """The kinds of the open questions."""
    return [question.kind for question in proposal.questions]


def reasons(proposal: Proposal) -> dict[int | None, str]:
    """Row -> why it is not imported."""
    return {one.row: one.reason for one in proposal.not_imported}


def names(proposal: Proposal) -> list[tuple[int, str | None, str | None]]:
    """(row, model, version) of each row to import."""
    return [(row.row, row.model, row.version) for row in proposal.rows]


def told(proposal: Proposal, words: str) -> bool:
    """Tell whether any remark holds ``words``."""
    return any(words in remark.message for remark in proposal.warnings)


def digest(data: bytes, algorithm: str = "sha256") -> str:
    """Hex of a hash."""
    return hashlib.new(algorithm, data).hexdigest()
