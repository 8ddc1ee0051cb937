"""A workbook that a person has dressed goes through a life of the registry; everything of the person's is still there.

What the patcher changes, and what not, is tested in tests/adapters; here the commands do it, `sync` among them.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sheets import OFFICE, columns, counts, edit, heading_row, opened, raw, row_of, table, type_row
from sheets import by_office as saved_by_office
from workbook_files import OWN, allowed_parts, by_hand, by_office, by_xlsxwriter, foreign, opens, parts_of
from world import World

from manual_registry.adapters.workbook.compare import locate
from manual_registry.adapters.workbook.places import letters
from manual_registry.adapters.workbook.read import read_book
from manual_registry.core.view import View
from manual_registry.registry import views

THEIRS = {
    "xl/charts/chart1.xml", "xl/media/image1.png", "xl/comments1.xml", "xl/pivotTables/pivotTable1.xml",
    "xl/threadedComments/threadedComment1.xml", "xl/persons/person.xml", "xl/sharedStrings.xml",
}  # fmt: skip


def view(world: World) -> View:
    """Return the view at the head."""
    work = world.as_()._work
    loaded = work.load()
    return views.view_at(work, loaded.events, loaded.state)


def book(world: World) -> Path:
    """Return the workbook."""
    return world.root / "registry.xlsx"


@pytest.fixture
def dressed(small: World) -> World:
    """A registry whose workbook has own columns between ours, a chart, a picture, a pivot table, comments and threads.

    Also conditional formats, own formulas with cached values, own sheets, a tab colour, rich text, merged cells, links.
    """
    book(small).write_bytes(by_hand(by_xlsxwriter(view(small), dressed=True)))
    assert counts(small.as_().sync()) == {}
    return small


def registrations(world: World, numbers: range) -> None:
    """Register versions."""
    for number in numbers:
        world.as_().register("churn", str(number), world.artefact(str(number)), owner=f"owner {number}")


def steps(world: World) -> None:
    """Three stage changes and an archive."""
    world.as_().promote("churn@4", to="staging", reason="good")
    world.as_().promote("churn@4", to="production", reason="better")
    world.as_().promote("churn@6", to="staging", reason="next")
    world.as_().archive("churn@1", reason="old")


def typed_over(world: World, row: str, column: str, value: str) -> None:
    """Edit one cell in the XML: openpyxl would undress the workbook."""
    found = read_book(book(world).read_bytes(), "x")
    located = locate(found, next(sheet for sheet in view(world).sheets if sheet.name == "Models"))
    assert located is not None
    place = f"{letters(located.columns[column])}{located.rows[row]}"
    cell = f'<c r="{place}" t="inlineStr"><is><t>{value}</t></is></c>'
    pattern = rf'<c r="{place}"(?:[^>]*/>|[^>]*>.*?</c>)'
    raw(book(world), located.grid.part, lambda text: re.sub(pattern, cell, text, count=1, flags=re.DOTALL))


def check_foreign(before: bytes, after: bytes, was: View, now: View) -> None:
    """Everything of the person's is as it was: part by part, cell by cell, link by link, format by format."""
    old, new = parts_of(before), parts_of(after)
    mine = old.keys() - allowed_parts(before, was)
    assert {name for name in mine if new.get(name) != old[name]} == set()
    assert new.keys() >= old.keys()
    kept, there = foreign(before, was), foreign(after, now)
    assert {name: value for name, value in kept.items() if there.get(name) != value} == {}


def check_rows(world: World, number: int) -> None:
    """The tool's own is up to date, and own cells stand in their rows."""
    rows = table(book(world))
    assert len(rows) == number
    assert (rows["churn@4"]["Stage"], rows["churn@1"]["Stage"]) == ("production", "archived")
    assert [rows[f"churn@{version}"][OWN[0]] for version in (1, 2, 3)] == [6.0, 7.5, 9.0]
    assert not list(world.root.glob("*.set-aside*"))
    assert world.as_().verify().ok


def test_everything_of_the_persons_is_still_there(dressed: World) -> None:
    before, was = book(dressed).read_bytes(), view(dressed)
    assert parts_of(before).keys() >= THEIRS
    registrations(dressed, range(4, 22))
    typed_over(dressed, "churn@5", "Owner", "Grace")
    typed_over(dressed, "churn@7", "Stage", "staging")
    assert counts(dressed.as_().sync()) == {"accepted": 1, "requested": 1}
    for number in ("1", "2"):
        dressed.as_().register("other", number, dressed.artefact(f"other {number}"))
    steps(dressed)
    check_foreign(before, book(dressed).read_bytes(), was, view(dressed))
    check_rows(dressed, 23)
    assert table(book(dressed))["churn@5"]["Owner"] == "Grace"
    workbook = opens(book(dressed).read_bytes())
    assert workbook["Models"].tables["Models"].ref.endswith("27")
    assert workbook["Buried"].sheet_state == "veryHidden"
    assert workbook["Mine"].sheet_properties.tabColor.rgb == "FFFF9900"


def test_what_is_put_back_undresses_nothing(dressed: World) -> None:
    before, was = book(dressed).read_bytes(), view(dressed)
    typed_over(dressed, "churn@2", "Version", "forged")
    assert counts(dressed.as_().sync()) == {"restored": 1}
    check_foreign(before, book(dressed).read_bytes(), was, view(dressed))
    assert table(book(dressed))["churn@2"]["Version"] == "2"


@pytest.mark.skipif(OFFICE is None, reason="LibreOffice is not installed")
def test_the_same_workbook_saved_by_libreoffice_in_between(dressed: World) -> None:
    registrations(dressed, range(4, 14))
    book(dressed).write_bytes(by_office(book(dressed).read_bytes(), dressed.place / "office"))
    assert counts(dressed.as_().sync()) == {}, "LibreOffice's habits are no edits"
    saved, was = book(dressed).read_bytes(), view(dressed)
    registrations(dressed, range(14, 24))
    steps(dressed)
    check_foreign(saved, book(dressed).read_bytes(), was, view(dressed))
    check_rows(dressed, 23)


@pytest.mark.slow
@pytest.mark.parametrize("office", [False, True])
def test_seen_through_the_command_line(dressed: World, office: bool) -> None:
    """Twenty registrations, three stage changes and an archive as typed; LibreOffice saves it half-way, or not."""
    if office and OFFICE is None:
        pytest.skip("LibreOffice is not installed")

    def typed(*words: str) -> None:
        done = dressed.cli(*words)
        assert (done.returncode, "Traceback" in done.stderr) == (0, False), (words, done.stderr)

    before, was = book(dressed).read_bytes(), view(dressed)
    assert parts_of(before).keys() >= THEIRS
    for number in range(4, 14):
        typed("register", "churn", str(number), str(dressed.artefact(str(number))), "--owner", f"owner {number}")
    if office:
        book(dressed).write_bytes(by_office(book(dressed).read_bytes(), dressed.place / "office"))
        before, was = book(dressed).read_bytes(), view(dressed)
        assert "nothing to do" in dressed.cli("sync").stdout
    typed_over(dressed, "churn@5", "Owner", "Grace")
    typed_over(dressed, "churn@7", "Stage", "staging")
    synced = dressed.cli("sync")
    assert (synced.returncode, "accepted" in synced.stdout, "requested" in synced.stdout) == (0, True, True)
    for number in range(14, 24):
        typed("register", "churn", str(number), str(dressed.artefact(str(number))))
    typed("promote", "churn@4", "--to", "staging", "--reason", "good")
    typed("promote", "churn@4", "--to", "production", "--reason", "better")
    typed("promote", "churn@6", "--to", "staging", "--reason", "next")
    typed("archive", "churn@1", "--reason", "old")
    check_foreign(before, book(dressed).read_bytes(), was, view(dressed))
    check_rows(dressed, 23)
    assert table(book(dressed))["churn@5"]["Owner"] == "Grace"
    typed("verify")


@pytest.mark.slow
@pytest.mark.skipif(OFFICE is None, reason="LibreOffice is not installed")
def test_edits_sorts_and_typed_rows_saved_by_libreoffice(small: World) -> None:
    (small.root / "m.bin").write_bytes(b"typed")
    with opened(book(small)) as found:
        sheet = found["Models"]
        places, first = columns(sheet), row_of(sheet, "churn@1")
        own, top = sheet.max_column + 1, heading_row(sheet)
        sheet.cell(top, own).value = "Mine"
        sheet.cell(row_of(sheet, "churn@2"), own).value = "my own"
        sheet.cell(first, places["Owner"]).value = "Grace"
        sheet.cell(row_of(sheet, "churn@2"), places["Version"]).value = "1.10"
        cells = [[sheet.cell(row, at).value for at in range(1, own + 1)] for row in range(first, first + 3)]
        for row, values in enumerate(cells[::-1], first):
            for at, value in enumerate(values, 1):
                sheet.cell(row, at).value = value
    type_row(book(small), {"Model": "churn", "Version": "1.10", "Storage location": "m.bin"})
    saved_by_office(book(small), small.place / "office")
    assert counts(small.as_().sync()) == {"accepted": 1, "restored": 1, "registered": 1}
    rows = table(book(small))
    assert list(rows)[:3] == ["churn@3", "churn@2", "churn@1"]
    assert (rows["churn@1"]["Owner"], rows["churn@2"]["Version"], rows["churn@2"]["Mine"]) == ("Grace", "2", "my own")
    assert rows["churn@1.10"]["Version"] == "1.10"
    saved_by_office(book(small), small.place / "office")
    assert counts(small.as_().sync()) == {}
    assert small.as_().verify().ok


def test_own_columns_stay_with_their_rows(small: World) -> None:
    with opened(book(small)) as found:
        sheet = found["Models"]
        at = sheet.max_column + 1
        sheet.cell(heading_row(sheet), at).value = "Mine"
        for version in "123":
            sheet.cell(row_of(sheet, f"churn@{version}"), at).value = f"own {version}"
    edit(book(small), {("Models", "churn@2", "Owner"): "new"})
    assert counts(small.as_().sync()) == {"accepted": 1}
    small.as_().register("churn", "4", small.artefact("4"))
    rows = table(book(small))
    assert [rows[f"churn@{version}"]["Mine"] for version in "1234"] == ["own 1", "own 2", "own 3", None]
