"""The patcher: what changes in a file, and above all what does not, whichever program has saved it."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from workbook_files import (
    OFFICE,
    OWN,
    allowed_parts,
    by_hand,
    by_office,
    by_openpyxl,
    by_xlsxwriter,
    changed_parts,
    foreign,
    like_excel,
    opens,
    parts_of,
    without_sheet,
)
from workbook_views import MODEL_COLUMNS, model_row, view, with_row

from manual_registry.adapters.workbook import OpenpyxlWorkbook
from manual_registry.adapters.workbook.render import render_bytes
from manual_registry.core.view import Cell, Row, View
from manual_registry.ports import Instructions, Refreshed

NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)
BOOK = OpenpyxlWorkbook(clock=lambda: NOW)
BASE = view(12)
BY_OFFICE = pytest.mark.skipif(OFFICE is None, reason="LibreOffice is not installed")
PROGRAMS = [
    "ours",
    pytest.param("ours by openpyxl", marks=pytest.mark.slow),
    "XlsxWriter",
    "XlsxWriter by openpyxl",
    "like Excel",
    pytest.param("ours by LibreOffice", marks=[pytest.mark.slow, BY_OFFICE]),
    pytest.param("dressed by LibreOffice", marks=[pytest.mark.slow, BY_OFFICE]),
    "dressed",
]


@cache
def made_by(program: str) -> bytes:
    """Return BASE as a file of that program, once for all tests."""
    first, _, second = program.partition(" by ")
    makers: dict[str, Callable[[], bytes]] = {
        "ours": lambda: render_bytes(BASE),
        "XlsxWriter": lambda: by_xlsxwriter(BASE),
        "like Excel": lambda: like_excel(by_xlsxwriter(BASE, dressed=True)),
        "dressed": lambda: by_hand(by_xlsxwriter(BASE, dressed=True)),
    }
    data = makers[first]()
    if second == "openpyxl":
        return by_openpyxl(data)
    if second == "LibreOffice":
        with TemporaryDirectory() as folder:
            return by_office(data, Path(folder))
    return data


def refresh(path: Path, base: View, new: View) -> Refreshed:
    """Refresh, and check that nothing but what is allowed has changed."""
    before = path.read_bytes()
    done = BOOK.refresh(path, base, new)
    after = path.read_bytes()
    assert done.written
    assert changed_parts(before, after) <= allowed_parts(before, base)
    kept, now = foreign(before, base), foreign(after, new)
    assert {name: now.get(name) for name in kept} == kept
    added = now.keys() - kept.keys()
    assert all(re.match(r"\w+ link [A-Z]+\S+$", name) for name in added), added
    assert opens(after)
    return done


# -- properties ---------------------------------------------------------------------------------------------

_CHANGEABLE = [column.header for column in MODEL_COLUMNS if column.header not in {"Row id", "Model", "Version"}]
texts = st.text(st.characters(codec="utf-8"), max_size=40) | st.sampled_from(
    [
        "=1+1",
        "+49",
        "-x",
        "@home",
        " a ",
        "a\nb",
        "_x0041_",
        "1.10",
        "0012345",
        "TRUE",
        "<&>\"'",
        "\x01",
        "x" * 33_000,
        "ünï 😀",
    ]
)
cells: st.SearchStrategy[Cell] = st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(-1e9, 1e9) | texts


@st.composite
def steps(draw: st.DrawFn) -> list[tuple[int, dict[str, Cell], str | None]]:
    """Return changes: (row number, cells by heading, link); rows from twelve on are new."""
    some = st.tuples(
        st.integers(0, 14),
        st.dictionaries(st.sampled_from(_CHANGEABLE), cells, max_size=4),
        st.none() | st.sampled_from(["archive/a/1/", "models/é b/2/"]),
    )
    return draw(st.lists(some, min_size=1, max_size=4))


@pytest.mark.parametrize("program", PROGRAMS)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=steps())
def test_nothing_else_changes(program: str, steps: list[tuple[int, dict[str, Cell], str | None]]) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "registry.xlsx"
        path.write_bytes(made_by(program))
        base = BASE
        assert BOOK.read(path, base).differences == ()
        for number, changes, link in steps:
            old = next(
                (row for row in base.sheets[0].rows if row.row_id == model_row(number).row_id), model_row(number)
            )
            links = {"Storage location": link} if link else dict(old.links)
            new = with_row(base, "Models", replace(old, cells={**old.cells, **changes}, links=links))
            done = refresh(path, base, new)
            assert (done.warnings, done.set_aside, done.waiting) == ((), None, 0)
            assert BOOK.read(path, new).differences == ()
            assert BOOK.inspect(path).head_hash == new.head_hash
            base = new


@pytest.mark.slow
@pytest.mark.skipif(OFFICE is None, reason="LibreOffice is not installed")
@pytest.mark.parametrize("program", ["ours", "ours by LibreOffice", "XlsxWriter", "dressed", "ours by openpyxl"])
def test_the_result_opens_in_libreoffice_and_says_the_same(program: str, tmp_path: Path) -> None:
    path = tmp_path / "registry.xlsx"
    path.write_bytes(made_by(program))
    new = BASE
    for number in (3, 12, 13):
        odd = {"Notes": "=1+1 _x0041_ é\nline", "Check": "+49", "Owner": None}
        new = with_row(new, "Models", replace(model_row(number), cells={**model_row(number).cells, **odd}))
    refresh(path, BASE, new)
    again = tmp_path / "again.xlsx"
    again.write_bytes(by_office(path.read_bytes(), tmp_path / "office"))
    assert BOOK.read(again, new).differences == ()
    assert opens(again.read_bytes())["Models"].tables["Models"].ref.endswith("18")


# -- the dressed workbook -----------------------------------------------------------------------------------


def twenty(base: View) -> list[View]:
    """Return twenty views: fifteen registrations, three stage changes, an archive, a new approval."""
    found: list[View] = []
    for number in range(12, 27):
        base = with_row(base, "Models", model_row(number))
        found.append(base)
    for number, stage in ((2, "staging"), (3, "production"), (4, "staging"), (5, "archived")):
        row = model_row(number)
        links = {"Storage location": f"archive/{row.row_id}/"} if stage == "archived" else row.links
        base = with_row(base, "Models", replace(row, cells={**row.cells, "Stage": stage}, links=links))
        found.append(base)
    approval = Row(row_id="ap-99", cells={"Approval": "ap-99", "Model": "churn", "Status": "requested"})
    found.append(with_row(base, "Approvals", approval))
    return found


def test_a_dressed_workbook_goes_through_twenty_changes(tmp_path: Path) -> None:
    path = tmp_path / "registry.xlsx"
    path.write_bytes(made_by("dressed"))
    before, base = path.read_bytes(), BASE
    for new in twenty(BASE):
        done = refresh(path, base, new)
        assert (done.warnings, done.set_aside, done.waiting) == ((), None, 0)
        base = new
    after = path.read_bytes()
    assert BOOK.read(path, base).differences == ()
    was, now = parts_of(before), parts_of(after)
    for part in (
        "xl/charts/chart1.xml",
        "xl/drawings/drawing1.xml",
        "xl/media/image1.png",
        "xl/comments1.xml",
        "xl/drawings/vmlDrawing1.vml",
        "xl/pivotTables/pivotTable1.xml",
        "xl/pivotCache/pivotCacheRecords1.xml",
        "xl/threadedComments/threadedComment1.xml",
        "xl/persons/person.xml",
        "xl/chartsheets/sheet1.xml",
        "xl/sharedStrings.xml",
        "xl/worksheets/sheet4.xml",
        "xl/worksheets/sheet5.xml",
    ):
        assert now[part] == was[part], part
    sheet = now["xl/worksheets/sheet1.xml"].decode()
    for kept in (
        '<tabColor rgb="FF00AA00"/>',
        "sparklineGroup ",
        "x14:conditionalFormatting",
        '<mergeCell ref="AE5:AF7"/>',
        "<f>SUM(D5:D9)</f><v>42.5</v>",
        'ref="Z2"',
        "legacyDrawing",
    ):
        assert kept in sheet, kept
    assert "<xm:sqref>D5:D1017</xm:sqref>" in sheet  # the newer form of a data bar over an own column
    assert 'sqref="AB4:AB40"' in sheet
    workbook = opens(after)
    models = workbook["Models"]
    assert models.tables["Models"].ref == "A4:W31"
    assert models["C20"].hyperlink.target == model_row(15).links["Storage location"]
    assert models["Z2"].hyperlink.target == "https://example.org/mine"
    assert models["D10"].value == 13.5
    assert workbook["Buried"].sheet_state == "veryHidden"


@pytest.mark.slow
def test_the_same_workbook_saved_by_libreoffice_in_between(tmp_path: Path) -> None:
    if OFFICE is None:
        pytest.skip("LibreOffice is not installed")
    path = tmp_path / "registry.xlsx"
    path.write_bytes(made_by("dressed"))
    views = twenty(BASE)
    refresh(path, BASE, views[0])
    path.write_bytes(by_office(path.read_bytes(), tmp_path / "office"))
    base = views[0]
    for new in views[1:]:
        done = refresh(path, base, new)
        assert (done.warnings, done.set_aside, done.waiting) == ((), None, 0)
        base = new
    assert BOOK.read(path, base).differences == ()
    workbook = opens(path.read_bytes())
    assert workbook["Models"].tables["Models"].ref == "A4:W31"
    assert workbook["Models"]["E20"].value == model_row(15).cells["Content hash"]


# -- sheets as people leave them ----------------------------------------------------------------------------

CHANGED = with_row(BASE, "Models", replace(model_row(1), cells={**model_row(1).cells, "Stage": "staging"}))
GROWN = with_row(CHANGED, "Models", model_row(12))


def touched(path: Path, change: Callable[[Any], None], program: str = "ours") -> None:
    """Write BASE and do to it what a person would do."""
    path.write_bytes(made_by(program))
    workbook = opens(path.read_bytes())
    change(workbook)
    workbook.save(path)


def _sort(workbook: Any) -> None:
    models = workbook["Models"]
    rows = [[(cell.value, cell._style) for cell in row] for row in models.iter_rows(min_row=5, max_row=16)]
    random.Random(3).shuffle(rows)
    for number, row in enumerate(rows, 5):
        for column, (value, style) in enumerate(row, 1):
            cell = models.cell(number, column)
            cell.value, cell._style = value, style
            cell.hyperlink = None


def _reorder(workbook: Any) -> None:
    models = workbook["Models"]
    models.insert_rows(1, 2)
    models.move_range("B6:B18", cols=40)
    models["B6"] = "Mine"
    models["B7"] = "=1+1"


def _filter(workbook: Any) -> None:
    models = workbook["Models"]
    models.auto_filter.ref = "A4:U16"
    models.auto_filter.add_filter_column(8, ["staging"])
    for row in (5, 6, 8):
        models.row_dimensions[row].hidden = True


@pytest.mark.parametrize("change", [_sort, _reorder, _filter])
def test_sorted_reordered_and_filtered_sheets(tmp_path: Path, change: Callable[[Any], None]) -> None:
    path = tmp_path / "registry.xlsx"
    touched(path, change)
    assert BOOK.read(path, BASE).differences == ()
    done = refresh(path, BASE, GROWN)
    assert (done.warnings, done.waiting) == ((), 0)
    assert BOOK.read(path, GROWN).differences == ()


def test_a_new_row_looks_like_the_others(tmp_path: Path) -> None:
    path = tmp_path / "registry.xlsx"

    def change(workbook: Any) -> None:
        from openpyxl.styles import PatternFill

        for cell in workbook["Models"][16]:
            cell.fill = PatternFill("solid", fgColor="FFFF00")  # one row that someone marked
        workbook["Models"].row_dimensions[16].height = 99

    touched(path, change)
    odd = replace(model_row(12), cells={**model_row(12).cells, "Notes": "=x", "Evaluation metrics": "a\nb\nc"})
    refresh(path, BASE, with_row(BASE, "Models", odd))
    models = opens(path.read_bytes())["Models"]
    for column in ("A", "C", "I", "R"):
        new, old = models[f"{column}17"], models[f"{column}9"]
        assert (new.fill.fgColor.rgb, new.border.bottom.style, new.number_format, new.font.color.rgb) == (
            old.fill.fgColor.rgb,
            old.border.bottom.style,
            old.number_format,
            old.font.color.rgb,
        )
    assert models["S17"].quotePrefix
    assert models["S17"].data_type == "s"
    assert models.row_dimensions[17].height == models.row_dimensions[6].height


def _total(workbook: Any) -> None:
    models = workbook["Models"]
    models["A18"], models["I18"] = "in all", "=COUNTA(I5:I16)"


def _total_at_once(workbook: Any) -> None:
    models = workbook["Models"]
    models["A17"], models["I17"] = "in all", "=COUNTA(I5:I16)"


def _list_below(workbook: Any) -> None:
    from openpyxl.worksheet.table import Table

    models = workbook["Models"]
    for column in "BCD":
        models[f"{column}18"], models[f"{column}19"] = f"Own {column}", "x"
    models.add_table(Table(displayName="Own", ref="B18:D19"))


def _merged_below(workbook: Any) -> None:
    workbook["Models"].merge_cells("A17:U18")


@pytest.mark.parametrize(
    ("change", "row"), [(_total, 19), (_total_at_once, 18), (_list_below, 20), (_merged_below, 19)]
)
def test_what_stands_below_the_table_is_not_written_over_nor_drawn_into_it(
    tmp_path: Path, change: Callable[[Any], None], row: int
) -> None:
    path = tmp_path / "registry.xlsx"
    touched(path, change)
    before = opens(path.read_bytes())["Models"]
    done = refresh(path, BASE, GROWN)
    assert "the table was not stretched" in done.warnings[0]
    models = opens(path.read_bytes())["Models"]
    assert models.tables["Models"].ref == "A4:U16"
    assert models[f"U{row}"].value == model_row(12).row_id
    for number in range(17, row):
        for column in "ABCDI":
            assert models[f"{column}{number}"].value == before[f"{column}{number}"].value


def test_a_gap_below_the_table_is_used_and_a_typed_row_is_drawn_into_it(tmp_path: Path) -> None:
    path = tmp_path / "registry.xlsx"
    touched(path, lambda workbook: workbook["Models"].__setitem__("A40", "a footnote"))
    assert refresh(path, BASE, GROWN).warnings == ()
    models = opens(path.read_bytes())["Models"]
    assert (models["U17"].value, models.tables["Models"].ref, models["A40"].value) == (
        model_row(12).row_id,
        "A4:U17",
        "a footnote",
    )
    touched(path, lambda workbook: workbook["Models"].__setitem__("A17", "typed"))
    assert refresh(path, BASE, GROWN).waiting == 1
    models = opens(path.read_bytes())["Models"]
    assert (models["A17"].value, models["U18"].value, models.tables["Models"].ref) == (
        "typed",
        model_row(12).row_id,
        "A4:U18",
    )


def test_a_list_beside_the_table_does_not_push_new_rows_down(tmp_path: Path) -> None:
    path = tmp_path / "registry.xlsx"
    touched(path, lambda workbook: workbook["Models"].__setitem__("Z60", "=SUM(Z5:Z59)"))
    refresh(path, BASE, GROWN)
    models = opens(path.read_bytes())["Models"]
    assert (models["U17"].value, models["Z60"].value) == (model_row(12).row_id, "=SUM(Z5:Z59)")


def test_a_persons_link_stays_where_it_is(tmp_path: Path) -> None:
    path = tmp_path / "registry.xlsx"

    def change(workbook: Any) -> None:
        models = workbook["Models"]
        models["C6"].hyperlink = "https://example.org/changed"
        models["B16"].hyperlink = "https://example.org/mine"
        models["W17"].hyperlink = "https://example.org/below"

    touched(path, change)
    moved = replace(model_row(1), links={"Storage location": "archive/elsewhere/"})
    refresh(path, BASE, with_row(GROWN, "Models", moved))
    models = opens(path.read_bytes())["Models"]
    assert models["C6"].hyperlink.target == "https://example.org/changed"
    assert models["B16"].hyperlink.target == "https://example.org/mine"
    assert models["W17"].hyperlink.target == "https://example.org/below"


def test_links_are_moved_added_and_taken_away(tmp_path: Path) -> None:
    path = tmp_path / "registry.xlsx"
    path.write_bytes(made_by("ours by openpyxl"))
    new = with_row(
        BASE, "Models", replace(model_row(1), links={"Storage location": "archive/x/", "Version": "card.md"})
    )
    refresh(path, BASE, new)
    models = opens(path.read_bytes())["Models"]
    assert (models["C6"].hyperlink.target, models["B6"].hyperlink.target) == ("archive/x/", "card.md")
    gone = BASE
    for number in range(12):
        gone = with_row(gone, "Models", replace(model_row(number), links={}))
    BOOK.refresh(path, new, gone)
    sheet = parts_of(path.read_bytes())["xl/worksheets/sheet1.xml"]
    assert b"hyperlink" not in sheet
    assert b"hyperlink" not in parts_of(path.read_bytes())["xl/worksheets/_rels/sheet1.xml.rels"]
    assert opens(path.read_bytes())


def test_an_own_column_keeps_its_formulas_and_their_results(tmp_path: Path) -> None:
    path = tmp_path / "registry.xlsx"
    path.write_bytes(made_by("dressed"))
    refresh(path, BASE, GROWN)
    sheet = parts_of(path.read_bytes())["xl/worksheets/sheet1.xml"].decode()
    assert '<f>A5&amp;"!"</f><v>churn!</v>' in sheet
    assert OWN[0] in [cell.value for cell in opens(path.read_bytes())["Models"][4]]


# -- sheets that come back, lists that become long ----------------------------------------------------------


def _no_history(workbook: Any) -> None:
    del workbook["History"]


@pytest.mark.parametrize("program", ["ours", "dressed", "like Excel"])
def test_a_deleted_sheet_comes_back_with_sync_and_not_before(tmp_path: Path, program: str) -> None:
    path = tmp_path / "registry.xlsx"
    if program == "ours":
        touched(path, _no_history)
    else:
        path.write_bytes(without_sheet(made_by(program), "History"))
    done = refresh(path, BASE, CHANGED)
    assert (done.waiting, "sheet History is gone" in done.warnings[0]) == (1, True)
    before = path.read_bytes()
    done = BOOK.refresh(path, CHANGED, CHANGED, sync=Instructions())
    assert (done.written, done.waiting) == (True, 0)
    assert BOOK.read(path, CHANGED).differences == ()
    kept = parts_of(before)
    lists = {
        "xl/workbook.xml",
        "xl/styles.xml",
        "[Content_Types].xml",
        "xl/_rels/workbook.xml.rels",
        "docProps/custom.xml",
    }
    assert all(parts_of(path.read_bytes())[name] == data for name, data in kept.items() if name not in lists)
    workbook = opens(path.read_bytes())
    history = workbook["History"]
    assert workbook.sheetnames[-1] == "History"
    assert (history["A4"].font.b, history["A4"].fill.fgColor.rgb) == (True, "001E3A5F")
    assert len({table.id for sheet in workbook.worksheets for table in sheet.tables.values()}) == 3
    old = opens(before)
    for spot in ("A4", "A5", "I6", "M7"):
        assert workbook["Models"][spot].font.b == old["Models"][spot].font.b
        assert repr(workbook["Models"][spot].border) == repr(old["Models"][spot].border)
    later = with_row(CHANGED, "History", Row(row_id="99", cells={"No": 99, "What": "later"}))
    assert BOOK.refresh(path, CHANGED, later).warnings == ()
    assert BOOK.read(path, later).differences == ()


@pytest.mark.slow
@pytest.mark.skipif(OFFICE is None, reason="LibreOffice is not installed")
def test_a_sheet_that_came_back_opens_in_libreoffice(tmp_path: Path) -> None:
    path = tmp_path / "registry.xlsx"
    path.write_bytes(without_sheet(made_by("dressed"), "History"))
    assert BOOK.refresh(path, BASE, BASE, sync=Instructions()).waiting == 0
    again = tmp_path / "again.xlsx"
    again.write_bytes(by_office(path.read_bytes(), tmp_path / "office"))
    assert BOOK.read(again, BASE).differences == ()
    assert "History" in opens(again.read_bytes())["History"].tables


@pytest.mark.parametrize("program", ["ours by openpyxl", "dressed"])
def test_a_list_that_becomes_too_long_for_a_cell(tmp_path: Path, program: str) -> None:
    path = tmp_path / "registry.xlsx"
    path.write_bytes(made_by(program))

    def people(number: int) -> View:
        names = tuple(f"person{one}@example.org" for one in range(number))
        columns = tuple(replace(one, choices=names) if one.header == "Stage" else one for one in MODEL_COLUMNS)
        return replace(BASE, head_seq=12 + number, sheets=(replace(BASE.sheets[0], columns=columns), *BASE.sheets[1:]))

    base = BASE
    for number in (30, 40, 35):
        assert BOOK.refresh(path, base, people(number)).warnings == ()
        base = people(number)
        workbook = opens(path.read_bytes())
        lists = workbook["_choices"]
        assert (lists.sheet_state, lists["A2"].value, lists[f"A{number + 1}"].value) == (
            "hidden",
            "person0@example.org",
            f"person{number - 1}@example.org",
        )
        assert lists[f"A{number + 2}"].value is None
        formulas = [one.formula1 for one in workbook["Models"].data_validations.dataValidation]
        assert f"_choices!$A$2:$A${number + 1}" in formulas
    assert BOOK.read(path, base).differences == ()
