"""A team with an ugly tracking sheet and a folder of model files, for the tests of `adopt`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import openpyxl
from openpyxl.comments import Comment
from world import LEAD, World

HEADINGS = ("#", "Model Name", "Version", "Path", "SHA-256", "Trained on", "Metrics", "Status", "Signed off by", "Jira")


def sha256(data: bytes) -> str:
    """Hex SHA-256."""
    return hashlib.sha256(data).hexdigest()


@dataclass
class Team:
    """Files and a sheet below ``place``; every file holds its own path."""

    place: Path
    rows: list[list[Any]] = field(default_factory=list)
    headings: tuple[str, ...] = HEADINGS

    def __post_init__(self) -> None:
        self.place.mkdir(parents=True, exist_ok=True)
        self.sheet = self.place / "tracking.xlsx"

    def file(self, path: str, content: bytes | None = None) -> str:
        """Write a model file; return its SHA-256."""
        target = self.place / path
        target.parent.mkdir(parents=True, exist_ok=True)
        data = path.encode() if content is None else content
        target.write_bytes(data)
        return sha256(data)

    def row(self, model: str, version: str, path: str | None, *rest: Any) -> None:
        """Add a row: hash, training date, metrics, stage, approver, ticket."""
        cells = [len(self.rows) + 1, model, version, path, *rest]
        self.rows.append([*cells, *[None] * (len(self.headings) - len(cells))])

    def save(self, change: Callable[[Any], None] | None = None) -> Path:
        """Write the sheet: a merged title, headings in row 3, a blank row, a total, and a sheet of costs."""
        workbook = openpyxl.Workbook()
        sheet = workbook.worksheets[0]
        sheet.title = "Inventory"
        sheet["A1"] = "Model inventory (ask Bob)"
        sheet.merge_cells("A1:J1")
        for number, heading in enumerate(self.headings, 1):
            sheet.cell(3, number, heading)
        for number, row in enumerate(self.rows, 4):
            for column, value in enumerate(row, 1):
                if value is not None:
                    sheet.cell(number, column, value)
        sheet.cell(len(self.rows) + 5, 2, "TOTAL")
        workbook.create_sheet("Costs").append(["risk", 1200])
        if change:
            change(sheet)
        workbook.save(self.sheet)
        return self.sheet


def usual(place: Path) -> Team:
    """Return a team with two models, four good rows and four that cannot be imported."""
    team = Team(place)
    team.row("Churn", "1.0.0", "m/churn-1.pkl", team.file("m/churn-1.pkl"), "2023-02-13", "AUC 0.88", "retired", "Bob")
    team.row(
        "Churn", "1.1.0", r"C:\ml\m\churn-2.pkl", team.file("m/churn-2.pkl")[:12], datetime(2023, 9, 30),
        "auc=0.91, f1: 88%", "LIVE", "Alice", "ML-140",
    )  # fmt: skip
    team.row("Churn", "1.2.0", "m/churn-3.pkl", "f" * 64, None, "good enough", "UAT", None, "ML-177")
    team.file("m/churn-3.pkl")
    team.file("m/fraud/model.bin")
    team.file("m/fraud/vocab.txt")
    team.row("Fraud (EU)", "2024-Q1", "m/fraud", None, "2024-01-15", None, "staging", None, "=1+1")
    team.row("Fraud (EU)", "2024-Q2", "m/lost.bin", None, None, None, "dev")
    team.row("Secret", "1.0.0", "/etc/passwd", None, None, None, "dev")
    team.row("Secret", "2.0.0", "../../../../../../../etc/hostname", None, None, None, "dev")
    team.row("Price", "v7", "m/price.bin", team.file("m/price.bin"), "2062-01-01", None, None, None, "ML-9")

    def comment(sheet: Any) -> None:
        sheet["G5"].comment = Comment("measured in June", "Bob")
        sheet["J5"].comment = Comment("reopened twice", "Alice")

    team.save(comment)
    return team


def adopted(place: Path, **options: Any) -> tuple[World, Team, Any]:
    """Return a world, the usual team, and the outcome of adopting its sheet."""
    world, team = World(place, risk=options.pop("risk", "high")), usual(place / "team")
    return world, team, world.as_().adopt(team.sheet, **options)


def confirm(world: World, id: str, lead: str = LEAD) -> None:
    """Sign a baseline."""
    world.as_(lead).approval_sign(id, as_=lead, key=world.key(lead))


def errors(world: World, *refs: Sequence[str]) -> list[tuple[str, str]]:
    """(code, place) of everything that verify calls an error."""
    found = world.as_().verify([str(ref) for ref in refs])
    return [(one.code, one.location) for one in found.findings if one.severity.value == "error"]
