"""Forty random edits, five deleted rows and a shuffled sheet are all told right, on a second machine too."""

from __future__ import annotations

import json
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sheets import columns, counts, heading_row, opened, row_of, table
from world import World

from manual_registry.core.results import Severity
from manual_registry.registry import Registry

VERSIONS = 14
TOOLS = (
    "Storage location", "Content hash", "Training data version", "Code commit", "Training date", "Evaluation metrics",
    "Deployment date", "SHA-256", "Validation gates", "Pipeline run", "Composite version", "Retention until",
)  # fmt: skip
STAGES = ("experimental", "staging", "production", "archived")
#: Which wanted stage is a request, by where the version stands.
ASKED = {"experimental": {"staging", "archived"}, "staging": {"production", "archived"}}


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Fourteen versions, four of them in staging, with an own column in the workbook."""
    place = tmp_path_factory.mktemp("origin")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MANUAL_REGISTRY_STATE", str(place / "state"))
        patch.setenv("MANUAL_REGISTRY_CACHE", str(place / "cache"))
        patch.chdir(place)
        world = World(place / "world", risk="minimal", leads=(), pipelines=())
        for number in range(1, VERSIONS + 1):
            world.as_().register("churn", str(number), world.artefact(str(number)), owner=f"owner {number}")
        for number in range(1, 5):
            world.as_().promote(f"churn@{number}", to="staging", reason="good")
        with opened(world.root / "registry.xlsx") as book:
            sheet = book["Models"]
            at = sheet.max_column + 1
            sheet.cell(heading_row(sheet), at).value = "Mine"
            for number in range(1, VERSIONS + 1):
                sheet.cell(row_of(sheet, f"churn@{number}"), at).value = f"own {number}"
        assert counts(world.as_().sync()) == {}
        yield world


@dataclass
class Plan:
    """What is done to the workbook, and how many lines of each list have to tell it."""

    edits: dict[tuple[str, str], Any] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    order: list[int] = field(default_factory=list)
    overtyped: set[str] = field(default_factory=set)
    told: set[str] = field(default_factory=set)
    expected: Counter[str] = field(default_factory=Counter)


def listed(column: str, before: Any, value: Any, stage: str) -> str | None:
    """Say which list one edit must appear in; None: it is none."""
    if value == before and type(value) is type(before):
        return None
    if column not in ("Owner", "Notes", "Stage") or isinstance(value, int | float):
        return "restored"
    if column != "Stage":
        return "accepted"
    return None if value == stage else "requested" if value in ASKED[stage] else "problems"


def planned(rows: dict[str, dict[str, Any]], seed: int, edits: int, deleted: int) -> Plan:
    """Draw a plan; deleted rows are not edited, and at most one row loses its Version."""
    dice, plan = random.Random(seed), Plan()
    plan.deleted = dice.sample(list(rows), deleted)
    left = [name for name in rows if name not in plan.deleted]
    cells = [(name, column) for name in left for column in (*TOOLS, "Owner", "Notes", "Stage")]
    cells.append((dice.choice(left), "Version"))
    for name, column in dice.sample(cells, edits):
        value: Any = dice.choice([f"typed {dice.random()}", dice.random() * 100, dice.randrange(10**6), True, None])
        if column == "Stage" and dice.random() < 0.7:
            value = dice.choice(STAGES)
        plan.edits[name, column] = value
    plan.overtyped |= {
        name for (name, column), value in plan.edits.items() if column == "Version" and value != rows[name][column]
    }
    for (name, column), value in plan.edits.items():
        becomes = listed(column, rows[name][column], value, rows[name]["Stage"])
        changed = value != rows[name][column]
        if (
            name in plan.overtyped and changed and becomes != "restored"
        ):  # of such a row nothing is taken, and that is told
            plan.expected["restored"] += 1
            plan.expected["problems"] = plan.expected["problems"] + (name not in plan.told)
            plan.told.add(name)
        else:
            plan.expected[becomes or ""] += 1
    plan.expected["restored"] += deleted
    plan.order = list(range(len(left)))
    dice.shuffle(plan.order)
    return plan


def carried_out(path: Path, plan: Plan) -> None:
    """Edit, delete, shuffle."""
    with opened(path) as book:
        sheet = book["Models"]
        places, top, width = columns(sheet), heading_row(sheet) + 1, range(1, sheet.max_column + 1)
        for (name, column), value in plan.edits.items():
            sheet.cell(row_of(sheet, name), places[column]).value = value
        for row in sheet.iter_rows():
            for cell in row:
                cell.hyperlink = None
        sheet._hyperlinks = []
        for name in plan.deleted:
            sheet.delete_rows(row_of(sheet, name))
        rows = [[sheet.cell(top + at, place).value for place in width] for at in range(len(plan.order))]
        for at, source in enumerate(plan.order):
            for place in width:
                sheet.cell(top + at, place).value = rows[source][place - 1]


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**32), edits=st.sampled_from([1, 5, 40]), deleted=st.sampled_from([0, 1, 5]))
def test_random_edits_are_told_right(origin: World, seed: int, edits: int, deleted: int) -> None:
    tell_right(origin, seed, edits, deleted)


@pytest.mark.parametrize("seed", range(4))
def test_forty_edits_five_deleted_rows_a_shuffled_sheet_on_a_second_machine(origin: World, seed: int) -> None:
    tell_right(origin, seed, 40, 5)


def test_the_same_through_the_command_line(origin: World, tmp_path: Path) -> None:
    shutil.copytree(origin.root, tmp_path / "registry", symlinks=True)
    path = tmp_path / "registry" / "registry.xlsx"
    before = table(path)
    plan = planned(before, 99, 40, 5)
    carried_out(path, plan)
    other = {"MANUAL_REGISTRY_STATE": str(tmp_path / "state"), "MANUAL_REGISTRY_CACHE": str(tmp_path / "cache")}
    done = origin.cli("--json", "sync", actor="other@example.org", cwd=tmp_path / "registry", env=other)
    assert done.returncode == 0, done.stderr
    assert "is kept as registry." in done.stderr, "what was put back is not lost"
    document = json.loads(done.stdout)
    told = {name: len(lines) for name, lines in document.items() if isinstance(lines, list) and lines}
    wanted = {name: number for name, number in plan.expected.items() if name and number}
    assert {name: told.get(name, 0) for name in wanted} == wanted
    check_lines(document, plan)
    check_rows(before, table(path), plan)
    again = origin.cli("sync", actor="other@example.org", cwd=tmp_path / "registry", env=other)
    assert "nothing to do" in again.stdout


def tell_right(origin: World, seed: int, edits: int, deleted: int) -> None:
    """Carry a plan out on a copy that another machine reads; compare what is told with what was done."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder_name, pytest.MonkeyPatch.context() as patch:
        place = Path(folder_name)
        patch.setenv("MANUAL_REGISTRY_STATE", str(place / "state"))
        patch.setenv("MANUAL_REGISTRY_CACHE", str(place / "cache"))
        shutil.copytree(origin.root, place / "registry", symlinks=True)
        path = place / "registry" / "registry.xlsx"
        before = table(path)
        plan = planned(before, seed, edits, deleted)
        carried_out(path, plan)
        done = Registry.open(place / "registry", actor="other@example.org").sync()
        wanted = {listed_: number for listed_, number in plan.expected.items() if listed_ and number}
        assert counts(done) == wanted, [item.message for item in done.outcome.problems]
        check_lines(done.document(), plan)
        check_rows(before, table(path), plan)
        again = Registry.open(place / "registry", actor="other@example.org")
        assert counts(again.sync()) == {}
        assert again.head == done.head
        assert [one for one in again.verify(quick=True).findings if one.severity is Severity.ERROR] == []
        for folder in place.rglob("*"):
            if folder.is_dir():
                folder.chmod(0o755)


def check_lines(document: dict[str, Any], plan: Plan) -> None:
    """Each line is about a cell that was edited, or a row that was deleted, and says what was found there."""
    for name in ("accepted", "requested", "restored", "problems"):
        for line in document[name]:
            if line["column"] is None:
                assert line["row"] in plan.deleted
                continue
            typed = plan.edits[line["row"], line["column"]]
            assert line["found"] == (pytest.approx(typed, rel=1e-12) if isinstance(typed, float) else typed)


def check_rows(before: dict[str, dict[str, Any]], after: dict[str, dict[str, Any]], plan: Plan) -> None:
    """Accepted cells say what was typed, all others what they said before; own cells are with their rows."""
    assert after.keys() == before.keys()
    for name, row in before.items():
        for column, value in row.items():
            typed = plan.edits.get((name, column), value)
            taken = column in ("Owner", "Notes") and not isinstance(typed, int | float) and name not in plan.overtyped
            if column != "Check" and not (column == "Mine" and name in plan.deleted):
                assert after[name][column] == (typed if taken else value), (name, column)
