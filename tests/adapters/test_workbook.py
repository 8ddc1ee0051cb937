"""The workbook: what a rendering looks like, what counts as a difference, what a refresh leaves alone."""

from __future__ import annotations

import io
import os
import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl.comments import Comment
from openpyxl.styles import PatternFill
from workbook_views import MODEL_COLUMNS, model_row, view, with_row

from manual_registry.adapters.workbook import OpenpyxlWorkbook
from manual_registry.adapters.workbook.read import read_book
from manual_registry.adapters.workbook.render import link_target, render_bytes
from manual_registry.adapters.workbook.text import CELL_LIMIT, from_file, shown, to_file
from manual_registry.core.errors import Busy, StorageFailed, WorkbookUnreadable
from manual_registry.core.view import Cell, ColumnKind, Row, Sheet, View

NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)
BOOK = OpenpyxlWorkbook(clock=lambda: NOW)
BASE = view(12)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A fresh rendering of BASE."""
    target = tmp_path / "registry.xlsx"
    target.write_bytes(render_bytes(BASE))
    return target


@pytest.fixture
def older_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let refresh take the way that it takes when a file cannot be changed in place."""
    from manual_registry.adapters.workbook import patch
    from manual_registry.adapters.workbook.container import Unpatchable

    def refuse(*_: object) -> None:
        raise Unpatchable("of this test")

    monkeypatch.setattr(patch, "patched", refuse)


def edit(path: Path, change: Any) -> None:
    """Do to the file what a person would do in a spreadsheet."""
    workbook = openpyxl.load_workbook(path)
    change(workbook)
    workbook.save(path)


def at(workbook: Any, row: str, header: str, sheet: str = "Models") -> Any:
    """Find a cell by row id and heading."""
    worksheet = workbook[sheet]
    heading = next(cells for cells in worksheet.iter_rows() if any(cell.value == "Row id" for cell in cells))
    columns = {cell.value: cell.column for cell in heading}
    for cells in worksheet.iter_rows(min_row=heading[0].row + 1):
        if worksheet.cell(cells[0].row, columns["Row id"]).value == row:
            return worksheet.cell(cells[0].row, columns[header])
    raise LookupError(row)


def differences(path: Path, base: View = BASE) -> list[tuple[str, str | None, Cell, str]]:
    return [(one.row, one.column, one.found, one.place) for one in BOOK.read(path, base).differences]


# -- text ---------------------------------------------------------------------------------------------------


@given(
    st.text(st.characters(codec=None)) | st.from_regex(r"(_?x[0-9A-F]{0,4}_|[\x00-\x1f]|_x005F_){1,6}", fullmatch=True)
)
def test_text_comes_back_as_shown(text: str) -> None:
    assert from_file(to_file(text)) == shown(text)


def test_long_text_is_cut_with_a_mark_and_counted_in_utf16_units() -> None:
    cut = shown("😀" * 20_000)
    assert len(cut.encode("utf-16-le")) // 2 <= CELL_LIMIT
    assert cut.endswith("keeps the whole text)")
    assert shown("x" * CELL_LIMIT) == "x" * CELL_LIMIT


ODD = (
    "=1+1",
    "+49 30",
    "-x",
    "@home",
    "1.10",
    "0012345",
    "12e4567",
    "TRUE",
    "#N/A",
    "a\r\nb",
    "\x01\x1f",
    "_x0041_",
    " a ",
)


@pytest.mark.parametrize("value", [*ODD, "x" * 40_000, "ünï 😀", "\ud800", "<&>", "2026-11-24"])
def test_text_stays_text(tmp_path: Path, value: str) -> None:
    base = with_row(BASE, "Models", replace(model_row(0), cells={**model_row(0).cells, "Notes": value}))
    path = tmp_path / "registry.xlsx"
    BOOK.render(path, base, aside=None)
    assert differences(path, base) == []
    cell = at(openpyxl.load_workbook(path), "churn@1.0.0", "Notes")
    assert cell.data_type == "s"
    assert bool(cell.quotePrefix) == value.startswith(("=", "+", "-", "@"))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), min_size=20, max_size=20))
def test_what_is_rendered_has_no_differences(values: list[Cell]) -> None:
    cells = {column.header: value for column, value in zip(MODEL_COLUMNS, values, strict=False)}
    base = replace(BASE, sheets=(replace(BASE.sheets[0], rows=(Row(row_id="a@1", cells=cells),)),))
    from manual_registry.adapters.workbook.compare import compare

    assert compare(read_book(render_bytes(base), "x"), base) == ()


# -- looks --------------------------------------------------------------------------------------------------


def test_sheets_and_looks(path: Path) -> None:
    workbook: Any = openpyxl.load_workbook(path)
    assert workbook.sheetnames == ["Models", "Approvals", "History", "Read me"]
    models: Any = workbook["Models"]
    assert models.freeze_panes == "C5"
    assert models.tables["Models"].ref == "A4:U16"
    assert models.tables["Models"].autoFilter.ref == "A4:U16"
    assert (models.page_setup.orientation, models.page_setup.fitToWidth, models.page_setup.fitToHeight) == (
        "landscape",
        1,
        0,
    )
    assert models.print_title_rows == "$4:$4"
    assert "Ledger head 12" in models.oddFooter.center.text
    assert models["I4"].fill.fgColor.rgb != models["A4"].fill.fgColor.rgb
    assert models.column_dimensions["B"].number_format == "@"
    assert models.column_dimensions["M"].outlineLevel == 1
    assert models.column_dimensions["M"].hidden
    assert models.column_dimensions["U"].hidden
    assert any(cell.value == "=MAX(0,TODAY()-DATE(2026,11,24))" for cell in models[2])
    assert models["C5"].hyperlink.target == "models/churn/1.0.0/"
    lists = {str(one.sqref).split(":")[0]: one.formula1 for one in models.data_validations.dataValidation}
    assert lists["I5"] == '"experimental,staging,production,archived"'
    assert {one.name: one.value for one in workbook.custom_doc_props.props}["manual-registry.head-seq"] == "12"


def test_an_empty_register_renders_and_grows(tmp_path: Path) -> None:
    path = tmp_path / "registry.xlsx"
    empty = view(0, seq=1)
    BOOK.refresh(path, None, empty)
    assert differences(path, empty) == []
    edit(path, lambda workbook: workbook["Models"].__setitem__("X1", "mine"))
    grown = with_row(empty, "Models", model_row(0))
    assert BOOK.refresh(path, empty, grown).written
    assert differences(path, grown) == []
    assert openpyxl.load_workbook(path)["Models"]["A5"].value == "churn"


def test_long_choices_stand_on_a_hidden_sheet(tmp_path: Path) -> None:
    people = tuple(f"person{number}@example.org" for number in range(40))
    columns = tuple(replace(one, choices=people) if one.header == "Owner" else one for one in MODEL_COLUMNS)
    base = replace(BASE, sheets=(replace(BASE.sheets[0], columns=columns), *BASE.sheets[1:]))
    path = tmp_path / "registry.xlsx"
    BOOK.render(path, base, aside=None)
    workbook = openpyxl.load_workbook(path)
    assert workbook["_choices"].sheet_state == "hidden"
    assert workbook["_choices"]["A41"].value == "person39@example.org"
    assert differences(path, base) == []


@pytest.mark.parametrize(
    ("target", "written"),
    [
        ("models/a b/é#1.pkl", "models/a%20b/%C3%A9%231.pkl"),
        ("javascript:x", "javascript%3Ax"),
        ("//host/share", "host/share"),
    ],
)
def test_links_are_relative_paths(target: str, written: str) -> None:
    assert link_target(target) == written


# -- inspect ------------------------------------------------------------------------------------------------


def test_inspect_names_the_head(path: Path, tmp_path: Path) -> None:
    state = BOOK.inspect(path)
    assert (state.present, state.registry_id, state.head_seq) == (True, BASE.registry_id, 12)
    assert state.head_hash == BASE.head_hash
    assert not BOOK.inspect(tmp_path / "none.xlsx").present


def _zip(*members: tuple[str, bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return target.getvalue()


_ENTITY = b'<!DOCTYPE x [<!ENTITY e "y">]><worksheet/>'
BAD = {
    "text": (b"Model,Version\n", "is no .xlsx file"),
    "empty": (b"", "is an empty file"),
    "encrypted": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "is encrypted"),
    "cut": (render_bytes(BASE)[:9000], "is damaged"),
    "other zip": (_zip(("word/document.xml", b"<a/>")), "holds no workbook"),
    "bomb": (_zip(("xl/workbook.xml", b"<a/>"), ("xl/x.xml", b"\0" * 2**22)), "unpacks to"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_workbook_is_told(tmp_path: Path, case: str) -> None:
    path = tmp_path / "registry.xlsx"
    path.write_bytes(BAD[case][0])
    for reading in (lambda: BOOK.inspect(path), lambda: BOOK.read(path, BASE).differences):
        with pytest.raises(WorkbookUnreadable, match=BAD[case][1]):
            reading()


@pytest.mark.parametrize(
    "part", [_ENTITY, b"<worksheet><a", b"<a>" * 99, b'<worksheet><c t="s"><v>99999</v></c></worksheet>']
)
def test_a_bad_sheet_is_told(tmp_path: Path, path: Path, part: bytes) -> None:
    with zipfile.ZipFile(path) as archive:
        members = [
            (name, part if name == "xl/worksheets/sheet1.xml" else archive.read(name)) for name in archive.namelist()
        ]
    path.write_bytes(_zip(*members))
    with pytest.raises(WorkbookUnreadable, match="is damaged"):
        BOOK.read(path, BASE)


def test_a_cell_at_the_far_corner_is_told_and_the_file_left_alone(path: Path) -> None:
    edit(path, lambda workbook: workbook["Models"].__setitem__("XFD1048576", "here"))
    before = path.read_bytes()
    with pytest.raises(WorkbookUnreadable, match="far end of the grid \\(Models!XFD1048576\\)"):
        differences(path)
    done = BOOK.refresh(path, BASE, NEW)
    assert (done.written, done.set_aside) == (False, None)
    assert "Models!XFD1048576" in done.warnings[0]
    assert path.read_bytes() == before


def test_a_directory_is_no_workbook(tmp_path: Path) -> None:
    with pytest.raises(WorkbookUnreadable):
        BOOK.inspect(tmp_path)


# -- differences --------------------------------------------------------------------------------------------


def test_edits_and_tampering_are_told_with_their_place(path: Path) -> None:
    def change(workbook: Any) -> None:
        at(workbook, "churn@1.0.0", "Stage").value = "production"
        at(workbook, "churn@1.0.0", "SHA-256").value = "0" * 64
        at(workbook, "churn@1.1.0", "Version").value = 1.1

    edit(path, change)
    found = {(one.column, one.kind): one for one in BOOK.read(path, BASE).differences}
    assert found["Stage", ColumnKind.EDITABLE].place == "Models!I5"
    assert found["SHA-256", ColumnKind.TOOL].base == model_row(0).cells["SHA-256"]
    assert found["Version", ColumnKind.TOOL].found == 1.1
    assert len(found) == 3


def test_own_columns_rows_and_order_are_no_differences(path: Path) -> None:
    def change(workbook: Any) -> None:
        models = workbook["Models"]
        models.insert_rows(1, 3)
        models.insert_cols(2)
        models["B7"] = "My column"
        models["B8"] = "mine"
        models["X40"] = "below"
        rows = [[cell.value for cell in cells] for cells in models.iter_rows(min_row=8, max_row=19)]
        for number, values in enumerate(reversed(rows), 8):
            for column, value in enumerate(values, 1):
                models.cell(number, column).value = value
        workbook.create_sheet("Mine", 0)["A1"] = "=1+1"

    edit(path, change)
    assert differences(path) == []


def test_rows_deleted_copied_and_typed(path: Path) -> None:
    def change(workbook: Any) -> None:
        models = workbook["Models"]
        values = [cell.value for cell in models[6]]
        models.delete_rows(16)
        for column, value in enumerate(values, 1):
            models.cell(20, column).value = value
        models["B20"] = "9.9"
        models["A21"], models["B21"] = "typed", "1"

    edit(path, change)
    assert differences(path) == [
        ("cv-screening@1.2.0", None, "deleted", "Models"),
        ("credit-scoring@1.0.0", None, "copied", "Models!A20"),
        ("", None, "typed", "Models!A21"),
    ]


def test_the_copy_is_the_row_that_differs_wherever_it_stands(path: Path) -> None:
    def change(workbook: Any) -> None:
        models = workbook["Models"]
        for column in range(1, 22):
            models.cell(20, column).value = models.cell(6, column).value
        models["B6"] = "9.9"

    edit(path, change)
    assert differences(path) == [("credit-scoring@1.0.0", None, "copied", "Models!A6")]


def test_a_missing_sheet_column_or_row_id_is_one_difference(path: Path) -> None:
    def change(workbook: Any) -> None:
        del workbook["History"]
        workbook["Models"]["N4"] = "Gates"
        workbook["Approvals"]["N4"] = None

    edit(path, change)
    assert differences(path) == [
        ("", "Validation gates", None, "Models!4:4"),
        ("", "Row id", None, "Approvals"),
        ("", None, "deleted", "History"),
    ]


def test_a_formula_in_place_of_a_value_is_told_and_booleans_are_not(path: Path) -> None:
    def change(workbook: Any) -> None:
        at(workbook, "churn@1.0.0", "Version").value = '="1.0.0"'

    edit(path, change)
    assert [(column, found) for _, column, found, _ in differences(path)] == [("Version", '="1.0.0"')]
    base = replace(BASE, sheets=(_one_cell(True),))
    path.write_bytes(render_bytes(base))
    edit(path, lambda workbook: workbook["Flags"].__setitem__("A5", "=TRUE()"))
    assert BOOK.read(path, base).differences == ()


def _one_cell(value: Cell) -> Sheet:
    columns = tuple(replace(one, header="On", text=False) if one.header == "Model" else one for one in MODEL_COLUMNS)
    return Sheet(name="Flags", title="Flags", columns=columns, rows=(Row(row_id="x", cells={"On": value}),))


def test_a_date_typed_as_a_date_reads_as_iso_text(path: Path) -> None:
    edit(
        path,
        lambda workbook: setattr(at(workbook, "ap-0", "Approval date", "Approvals"), "value", datetime(2026, 11, 24)),
    )
    assert [found for _, _, found, _ in differences(path)] == ["2026-11-24"]


# -- refresh ------------------------------------------------------------------------------------------------

CHANGED = replace(model_row(1), cells={**model_row(1).cells, "Stage": "archived", "Check": "=x _x0041_"})
NEW = with_row(with_row(BASE, "Models", CHANGED), "Models", model_row(12))


def test_a_missing_file_is_rendered(tmp_path: Path) -> None:
    path = tmp_path / "registry.xlsx"
    assert BOOK.refresh(path, BASE, NEW).written
    assert differences(path, NEW) == []
    assert [one.name for one in tmp_path.iterdir()] == ["registry.xlsx"]
    assert path.stat().st_mode & 0o777 == 0o666 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.parametrize("touched", [False, True])
def test_refresh_brings_the_file_to_the_new_view(path: Path, touched: bool) -> None:
    path.chmod(0o640)
    if touched:
        edit(path, lambda workbook: workbook["Models"].__setitem__("W4", "Mine"))
    done = BOOK.refresh(path, BASE, NEW)
    assert (done.written, done.waiting, done.set_aside, done.warnings) == (True, 0, None, ())
    assert differences(path, NEW) == []
    assert BOOK.inspect(path).head_hash == NEW.head_hash
    assert path.stat().st_mode & 0o777 == 0o640
    models: Any = openpyxl.load_workbook(path)["Models"]
    assert models.tables["Models"].ref == "A4:U17"
    assert models.print_area == "'Models'!$A$1:$U$17"
    assert f"Ledger head {NEW.head_seq}" in models.oddFooter.center.text
    assert any(f"Ledger head {NEW.head_seq}" in str(cell.value) for cell in models[2])
    assert models["T6"].quotePrefix
    assert models["C17"].hyperlink.target == model_row(12).links["Storage location"]
    with zipfile.ZipFile(path) as archive:  # openpyxl has taken it out of the file that was touched
        assert touched or b"numberStoredAsText" in archive.read("xl/worksheets/sheet1.xml")


def test_an_edit_waits_and_everything_of_a_person_stays(path: Path) -> None:
    def change(workbook: Any) -> None:
        models = workbook["Models"]
        at(workbook, "credit-scoring@1.0.0", "Check").value = "my edit"
        at(workbook, "churn@1.0.0", "SHA-256").value = "tampered"
        models["W4"], models["W5"] = "My column", "=A5&_x0041_1"
        models["W6"] = "_x0041_ kept"
        models["A5"].fill = PatternFill("solid", fgColor="FFFF00")
        models["B5"].comment = Comment("look at this", "Grace")
        models.column_dimensions["D"].width = 33
        workbook.create_sheet("Mine")["A1"] = 42
        workbook["Models"]["A30"] = "typed"

    edit(path, change)
    done = BOOK.refresh(path, BASE, NEW)
    assert (done.written, done.waiting) == (True, 3)
    workbook = openpyxl.load_workbook(path)
    models: Any = workbook["Models"]
    assert at(workbook, "credit-scoring@1.0.0", "Check").value == "my edit"
    assert at(workbook, "credit-scoring@1.0.0", "Stage").value == "archived"
    assert at(workbook, "churn@1.0.0", "SHA-256").value == "tampered"
    assert (models["W4"].value, models["W5"].value) == ("My column", "=A5&_x0041_1")
    assert models["A5"].fill.fgColor.rgb == "00FFFF00"
    assert models["B5"].comment.text == "look at this"
    assert models.column_dimensions["D"].width == 33
    assert workbook["Mine"]["A1"].value == 42
    assert (models["A17"].value, models["A30"].value) == ("churn", "typed")
    columns = {(row, column) for row, column, _, _ in differences(path, NEW)}
    assert columns == {("credit-scoring@1.0.0", "Check"), ("churn@1.0.0", "SHA-256"), ("", None)}


def test_a_deleted_row_stays_deleted_until_someone_decides(path: Path) -> None:
    edit(path, lambda workbook: workbook["Models"].delete_rows(7))
    assert BOOK.refresh(path, BASE, NEW).waiting == 1
    assert differences(path, NEW) == [("fraud-detection@1.0.0", None, "deleted", "Models")]


@pytest.mark.parametrize("touched", [False, True])
def test_many_refreshes_in_a_row(path: Path, touched: bool) -> None:
    if touched:
        edit(path, lambda workbook: workbook["Models"].__setitem__("W4", "Mine"))
    base = BASE
    for number in range(12, 20):
        new = with_row(base, "Models", model_row(number))
        assert BOOK.refresh(path, base, new).written
        assert differences(path, new) == []
        base = new
    assert openpyxl.load_workbook(path)["Models"].tables["Models"].ref == "A4:U24"


def _add_part(path: Path, name: str, data: bytes) -> None:
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, data)


def _replace(path: Path, part: str, old: bytes, new: bytes) -> None:
    with zipfile.ZipFile(path) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    path.write_bytes(_zip(*[(name, data.replace(old, new) if name == part else data) for name, data in members]))


LOSSES = {
    "threaded comments": lambda path: _add_part(path, "xl/threadedComments/threadedComment1.xml", b"<a/>"),
    "custom XML": lambda path: _add_part(path, "customXml/item1.xml", b"<a/>"),
    "macros": lambda path: _add_part(path, "xl/vbaProject.bin", b"x"),
    "xl/unheard/of.xml": lambda path: _add_part(path, "xl/unheard/of.xml", b"<a/>"),
    "newer formatting": lambda path: _replace(
        path, "xl/worksheets/sheet1.xml", b"</worksheet>", b'<extLst><ext uri="x"/></extLst></worksheet>'
    ),
    "stored results of formulas (Models!W5)": lambda path: _replace(
        path,
        "xl/worksheets/sheet1.xml",
        b'</row><row r="6"',
        b'<c r="W5"><f>1+1</f><v>2</v></c></row><row r="6"',
    ),
}


@pytest.mark.usefixtures("older_way")
@pytest.mark.parametrize("word", LOSSES)
def test_what_openpyxl_would_drop_is_set_aside_once_and_told(path: Path, word: str) -> None:
    LOSSES[word](path)
    before = path.read_bytes()
    done = BOOK.refresh(path, BASE, NEW)
    assert done.set_aside == path.with_name("registry.20261124T080000Z.set-aside.xlsx")
    assert done.set_aside is not None
    assert done.set_aside.read_bytes() == before
    assert word in done.warnings[0]
    assert differences(path, NEW) == []
    again = BOOK.refresh(path, NEW, with_row(NEW, "Models", model_row(13)))
    assert (again.written, again.set_aside) == (True, None)


@pytest.mark.usefixtures("older_way")
def test_a_chart_is_kept_as_well_as_openpyxl_can_and_set_aside_once(path: Path) -> None:
    def change(workbook: Any) -> None:
        from openpyxl.chart import BarChart, Reference

        chart = BarChart()
        chart.add_data(Reference(workbook["History"], min_col=1, min_row=4, max_row=9))
        workbook["Models"].add_chart(chart, "Z5")

    edit(path, change)
    assert "charts" in BOOK.refresh(path, BASE, NEW).warnings[0]
    again = BOOK.refresh(path, NEW, with_row(NEW, "Models", model_row(13)))
    assert again.set_aside is None
    with zipfile.ZipFile(path) as archive:
        assert "xl/charts/chart1.xml" in archive.namelist()


@pytest.mark.usefixtures("older_way")
def test_characters_formatted_one_by_one_survive(path: Path) -> None:
    def change(workbook: Any) -> None:
        from openpyxl.cell.rich_text import CellRichText, TextBlock
        from openpyxl.cell.text import InlineFont

        workbook["Models"]["W5"] = CellRichText("plain ", TextBlock(InlineFont(b=True), "bold"))

    edit(path, change)
    done = BOOK.refresh(path, BASE, NEW)
    assert (done.written, done.set_aside) == (True, None)
    assert "could not be changed in place (of this test)" in done.warnings[0]
    kept = openpyxl.load_workbook(path, rich_text=True)["Models"]["W5"].value
    assert str(kept) == "plain bold"
    assert kept[1].font.b


def test_an_unknown_base_sets_the_file_aside_and_renders(path: Path) -> None:
    before = path.read_bytes()
    done = BOOK.refresh(path, None, NEW)
    assert done.written
    assert done.set_aside is not None
    assert done.set_aside.read_bytes() == before
    assert differences(path, NEW) == []
    second = BOOK.refresh(path, None, NEW)
    assert second.set_aside == path.with_name("registry.20261124T080000Z~2.set-aside.xlsx")


@pytest.mark.parametrize("case", ["text", "cut", "other zip"])
def test_a_damaged_file_is_set_aside_and_told(path: Path, case: str) -> None:
    path.write_bytes(BAD[case][0])
    done = BOOK.refresh(path, BASE, NEW)
    assert done.set_aside is not None
    assert done.set_aside.read_bytes() == BAD[case][0]
    assert differences(path, NEW) == []


@pytest.mark.parametrize("base", [BASE, None])
def test_an_encrypted_file_is_left_alone(path: Path, base: View | None) -> None:
    path.write_bytes(BAD["encrypted"][0])
    done = BOOK.refresh(path, base, NEW)
    assert not done.written
    assert "encrypted" in done.warnings[0]
    assert path.read_bytes() == BAD["encrypted"][0]


def test_what_openpyxl_cannot_load_is_set_aside(path: Path) -> None:
    _replace(path, "xl/styles.xml", b"<styleSheet", b"<nonsense/><styleSheet")
    _replace(path, "xl/worksheets/sheet1.xml", b"<pageMargins", b'<pageMargins wrong="1"')
    done = BOOK.refresh(path, BASE, NEW)
    assert done.set_aside is not None
    assert differences(path, NEW) == []


def test_merged_cells_do_not_stop_it(path: Path) -> None:
    edit(path, lambda workbook: workbook["Models"].merge_cells("H6:J7"))
    done = BOOK.refresh(path, BASE, NEW)
    assert done.written
    assert done.waiting == 0  # what a spreadsheet emptied is no edit, and no cell of it is written
    area = openpyxl.load_workbook(path)["Models"]["H6:J7"]
    with_values = {one.coordinate for row in area for one in row if one.value is not None}
    assert with_values <= {"H6"}
    assert differences(path, NEW) == []


EXCEL_MARK = b"\x03Ada" + b" " * 51 + b"\x03\x00A\x00d\x00a\x00" + b" \x00" * 51


@pytest.mark.parametrize(
    ("mark", "data", "said"),
    [
        ("~$registry.xlsx", EXCEL_MARK, "open in Excel since 2026-11-24 08:00 UTC by Ada"),
        (
            ".~lock.registry.xlsx#",
            b",ada,laptop,24.11.2026 08:00,file:///x;",
            "LibreOffice since 2026-11-24 08:00 UTC by ada on laptop",
        ),
        ("~$registry.xlsx", b"", "open in Excel"),
    ],
)
def test_a_file_open_elsewhere_is_left_alone(path: Path, mark: str, data: bytes, said: str) -> None:
    before = path.read_bytes()
    path.with_name(mark).write_bytes(data)
    os.utime(path.with_name(mark), (NOW.timestamp(), NOW.timestamp()))
    done = BOOK.refresh(path, BASE, NEW)
    assert not done.written
    assert said in done.warnings[0]
    assert "behind" in done.warnings[0]
    with pytest.raises(Busy):
        BOOK.render(path, NEW, aside=None)
    assert path.read_bytes() == before


def test_a_file_changed_meanwhile_is_left_alone(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from manual_registry.adapters.workbook import patch

    patched = patch.patched

    def slow(*given: Any) -> patch.Patched:
        path.write_bytes(b"PK of someone else")
        return patched(*given)

    monkeypatch.setattr(patch, "patched", slow)
    done = BOOK.refresh(path, BASE, NEW)
    assert not done.written
    assert "changed by someone else" in done.warnings[0]
    assert path.read_bytes() == b"PK of someone else"
    assert [one.name for one in path.parent.iterdir()] == ["registry.xlsx"]


def test_render_keeps_the_old_file_and_never_overwrites_a_kept_one(path: Path, tmp_path: Path) -> None:
    before, aside = path.read_bytes(), tmp_path / "kept" / "old.xlsx"
    BOOK.render(path, NEW, aside=aside)
    assert aside.read_bytes() == before
    assert differences(path, NEW) == []
    with pytest.raises(StorageFailed):
        BOOK.render(path, NEW, aside=aside)


def test_a_symlink_is_written_through(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.xlsx"
    link.symlink_to(path)
    assert BOOK.refresh(link, BASE, NEW).written
    assert link.is_symlink()
    assert differences(path, NEW) == []


def test_nothing_to_do_writes_nothing(path: Path) -> None:
    before = path.stat().st_mtime_ns
    assert BOOK.refresh(path, BASE, BASE).waiting == 0
    assert path.stat().st_mtime_ns == before


def test_new_choices_reach_the_dropdown(path: Path) -> None:
    edit(path, lambda workbook: workbook["Models"].__setitem__("W4", "Mine"))
    columns = tuple(
        replace(one, choices=("staging", "archived")) if one.header == "Stage" else one for one in MODEL_COLUMNS
    )
    new = with_row(
        replace(BASE, sheets=(replace(BASE.sheets[0], columns=columns), *BASE.sheets[1:])), "Models", CHANGED
    )
    BOOK.refresh(path, BASE, new)
    models: Any = openpyxl.load_workbook(path)["Models"]
    assert [one.formula1 for one in models.data_validations.dataValidation] == ['"staging,archived"']


def test_many_new_rows_take_colours_and_dropdowns_along(path: Path) -> None:
    edit(path, lambda workbook: workbook["Models"].__setitem__("W4", "Mine"))
    new = BASE
    for number in range(12, 1100):
        new = with_row(new, "Models", model_row(number)) if number < 14 else new
    more = tuple(model_row(number) for number in range(1100))
    new = replace(new, sheets=(replace(new.sheets[0], rows=more), *new.sheets[1:]))
    BOOK.refresh(path, BASE, new)
    models: Any = openpyxl.load_workbook(path)["Models"]
    assert str(models.data_validations.dataValidation[0].sqref) == "I5:I2104"
    assert all("2104" in str(one.sqref) or str(one.sqref).endswith("2") for one in models.conditional_formatting)


def _history(view: View, numbers: range) -> View:
    """Return ``view`` with events newest first, the oldest dropped."""
    rows = tuple(
        Row(row_id=str(number), cells={"No": number, "What": f"event {number}"}) for number in reversed(numbers)
    )
    sheets = tuple(replace(one, rows=rows) if one.name == "History" else one for one in view.sheets)
    return replace(view, sheets=sheets, head_seq=numbers[-1])


@pytest.mark.parametrize(("before", "after"), [((1, 9), (4, 12)), ((1, 9), (1, 12)), ((1, 9), (6, 10))])
def test_a_sheet_that_is_only_a_view_keeps_the_order_of_the_view(path: Path, before: Any, after: Any) -> None:
    base, new = _history(BASE, range(*before)), _history(BASE, range(*after))
    path.write_bytes(render_bytes(base))
    edit(path, lambda workbook: workbook["Models"].__setitem__("W4", "Mine"))
    BOOK.refresh(path, base, new)
    history: Any = openpyxl.load_workbook(path)["History"]
    found = [history.cell(row, 1).value for row in range(5, history.max_row + 1)]
    assert [number for number in found if number is not None] == list(reversed(range(*after)))
    assert differences(path, new) == []


def test_but_not_where_someone_wrote_beside_it(path: Path) -> None:
    base, new = _history(BASE, range(1, 9)), _history(BASE, range(4, 12))
    path.write_bytes(render_bytes(base))
    edit(path, lambda workbook: workbook["History"].__setitem__("K5", "about event 8"))
    BOOK.refresh(path, base, new)
    history: Any = openpyxl.load_workbook(path)["History"]
    about = [(row[0].value, row[10].value) for row in history.iter_rows(min_row=5) if row[10].value]
    assert about == [(8, "about event 8")], "what stands beside a row moves with it"
    assert history["A5"].value == 11
    assert differences(path, new) == []


def test_the_banner_of_a_system_named_in_the_title_does_not_repeat_it() -> None:
    base = replace(BASE, sheets=(replace(BASE.sheets[0], title=f"{BASE.system} - models"),))
    workbook = openpyxl.load_workbook(io.BytesIO(render_bytes(base)))
    assert workbook["Models"]["A1"].value == "Credit & churn scoring - models"
