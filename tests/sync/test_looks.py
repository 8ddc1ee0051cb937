"""How the workbook looks: what a lead sees without scrolling, on paper and by colour; patched rows look like rendered ones."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from sheets import columns, edit, heading_row, opened, row_of, type_row
from world import LEAD, World, gate

from manual_registry.adapters.workbook.render import render_bytes
from manual_registry.registry import views

#: Pixels of a column as spreadsheets draw them at 100 %: seven for each character, five around it.
PIXEL, AROUND = 7, 5
#: What a spreadsheet's window takes for itself at the left and right.
FRAME = 60


def book(world: World) -> Path:
    """Return the workbook."""
    return world.root / "registry.xlsx"


def loaded(data: bytes) -> Any:
    """Open a workbook."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return openpyxl.load_workbook(io.BytesIO(data))


def rendered(world: World) -> Any:
    """Return the workbook as a whole new rendering at this head."""
    work = world.as_()._work
    found = work.load()
    return loaded(render_bytes(views.view_at(work, found.events, found.state)))


def look(cell: Any) -> tuple[Any, ...]:
    """Return what a person sees of a cell."""
    font, edge = cell.font, cell.border
    return (
        cell.value, cell.data_type, font.name, font.sz, font.b, font.color.rgb[-6:], font.u, cell.fill.fill_type,
        cell.fill.fgColor.rgb, cell.alignment.vertical, cell.alignment.wrap_text, cell.alignment.horizontal,
        cell.number_format, cell.quotePrefix, edge.bottom.style, edge.left.style,
        cell.hyperlink.target if cell.hyperlink else None,
    )  # fmt: skip


def looks(sheet: Any) -> dict[tuple[str, str], tuple[Any, ...]]:
    """Return (row id, heading) -> look, and (row id, "") -> the row's height."""
    places, found = columns(sheet), {}
    for row in range(heading_row(sheet) + 1, sheet.max_row + 1):
        name = str(sheet.cell(row, places["Row id"]).value)
        for heading, at in places.items():
            found[name, heading] = look(sheet.cell(row, at))
        found[name, ""] = (sheet.row_dimensions[row].height,)
    return found


def same_looks(world: World) -> None:
    """Compare the workbook with a new rendering, sheet by sheet, cell by cell."""
    mine, new = loaded(book(world).read_bytes()), rendered(world)
    for name in ("Models", "Approvals", "Approvers", "History"):
        here, there = looks(mine[name]), looks(new[name])
        assert here.keys() == there.keys()
        other = {place: _apart(here[place], there[place]) for place in here if here[place] != there[place]}
        assert other == {}, name
        assert mine[name].tables[name].ref == new[name].tables[name].ref
        assert mine[name].print_area == new[name].print_area
        assert mine[name].oddFooter.center.text == new[name].oddFooter.center.text


def _apart(one: tuple[Any, ...], other: tuple[Any, ...]) -> list[tuple[Any, Any]]:
    return [pair for pair in zip(one, other, strict=True) if pair[0] != pair[1]]


@pytest.mark.parametrize("touched", [False, True])
def test_patched_rows_look_like_rendered_ones(tmp_path: Path, touched: bool) -> None:
    world = World(tmp_path / "world")
    world.register("1", card=None, metrics={"auc": 0.9}, owner=None)
    if touched:
        with opened(book(world)) as found:
            found.create_sheet("Mine")["A1"] = "mine"
    world.register("2", metrics={f"a_long_name_of_a_metric_{number}": 0.5 for number in range(4)})
    world.register("3", owner="=1+1", gates=[gate("performance", lower=0.1, passed=False)])
    world.as_().attach("churn@1", card=card(world))
    world.to_production("4")
    world.as_().note("churn@4", "A note that is long enough for several lines of the narrow column of notes. " * 3)
    world.as_().approval_request("churn@2", to="staging")
    world.as_().archive("churn@1", reason="old")
    same_looks(world)


def card(world: World) -> Path:
    """Write a complete card."""
    names = ("architecture", "training_data", "intended_use", "limitations", "failure_modes", "ethical_considerations")
    path = world.place / "card.yaml"
    path.write_text("".join(f"{name}: x\n" for name in names), encoding="utf-8")
    return path


def test_edits_and_typed_rows_look_like_rendered_ones(small: World) -> None:
    (small.root / "m.bin").write_bytes(b"typed")
    edit(book(small), {("Models", "churn@1", "Owner"): "-new", ("Models", "churn@2", "SHA-256"): "=forged"})
    type_row(book(small), {"Model": "churn", "Version": "4", "Storage location": "m.bin"})
    small.as_().sync()
    mine, new = looks(loaded(book(small).read_bytes())["Models"]), looks(rendered(small)["Models"])
    other = {place for place in mine if mine[place] != new[place]}
    assert other == {("churn@2", ""), ("churn@2", "Check"), ("churn@4", "")}, "heights, and what Check says of the edit"
    assert _apart(mine["churn@2", "Check"], new["churn@2", "Check"])[0][0] == "SHA-256 put back: kept by the tool"


def test_a_height_and_a_look_of_a_persons_own_stay(world: World) -> None:
    from openpyxl.styles import Font

    with opened(book(world)) as found:
        sheet = found["Models"]
        at = row_of(sheet, "churn@1")
        sheet.row_dimensions[at].height = 100
        sheet.cell(at, columns(sheet)["Version"]).font = Font(name="Arial", color="00AA00", underline="double")
    world.as_().note("churn@1", "a note")
    world.as_().archive("churn@1", reason="old")
    sheet = loaded(book(world).read_bytes())["Models"]
    at = row_of(sheet, "churn@1")
    cell = sheet.cell(at, columns(sheet)["Version"])
    assert sheet.row_dimensions[at].height == 100
    assert (cell.font.name, cell.font.color.rgb, cell.font.u) == ("Arial", "0000AA00", "double")
    assert cell.hyperlink.target.startswith("archive/churn/1/data/evidence/")


# -- what is seen -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sixty(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A rendering with versions at every stage."""
    place = tmp_path_factory.mktemp("looks")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MANUAL_REGISTRY_STATE", str(place / "state"))
        patch.chdir(place)
        world = World(place / "world")
        world.to_production("1")
        world.register("2", gates=[gate("performance", lower=0.1, passed=False)])
        world.as_().approval_request("churn@2", to="staging")
        yield rendered(world)


def width(sheet: Any, last: str) -> float:
    """Return the pixels from the left to the end of a column, hidden ones left out, at 100 %."""
    letters = [openpyxl.utils.get_column_letter(at) for at in range(1, columns(sheet)[last] + 1)]
    shown = [sheet.column_dimensions[letter] for letter in letters if not sheet.column_dimensions[letter].hidden]
    return FRAME + sum(PIXEL * one.width + AROUND for one in shown)


def test_a_lead_sees_stage_gates_metrics_who_and_when_without_scrolling(sixty: Any) -> None:
    assert width(sixty["Models"], "Validation gates") <= 1536, "on a notebook"
    assert width(sixty["Models"], "Check") <= 1920
    assert width(sixty["Approvals"], "Comment") <= 1750
    assert width(sixty["Approvals"], "Check") <= 1920
    for name in ("Models", "Approvals", "Approvers", "History"):
        sheet = sixty[name]
        assert sheet.sheet_view.zoomScale == 100
        assert sheet.freeze_panes is not None
        assert not sheet.sheet_view.showGridLines
    assert sixty["Models"].freeze_panes == "C5", "Model and Version stay in sight"


def test_long_hashes_are_in_a_closed_group(sixty: Any) -> None:
    sheet = sixty["Models"]
    for name in ("SHA-256", "Composite version", "Pipeline run", "Retention until"):
        dimension = sheet.column_dimensions[openpyxl.utils.get_column_letter(columns(sheet)[name])]
        assert (dimension.outlineLevel, dimension.hidden) == (1, True)
    assert sheet.sheet_format.outlineLevelCol == 1


def test_one_landscape_page_wide_with_titles_and_footer(sixty: Any) -> None:
    for name in ("Models", "Approvals", "Approvers", "History", "Read me"):
        sheet = sixty[name]
        setup = sheet.page_setup
        assert (setup.orientation, setup.fitToWidth, setup.fitToHeight) == ("landscape", 1, 0)
        assert sheet.sheet_properties.pageSetUpPr.fitToPage
        foot = sheet.oddFooter
        assert "As of 20" in foot.left.text
        assert foot.center.text.startswith("Ledger head ")
        assert foot.right.text == "Page &P of &N"
        if name != "Read me":
            assert sheet.print_title_rows == "$4:$4"


def test_links_lead_to_the_directory_and_the_card(sixty: Any) -> None:
    sheet = sixty["Models"]
    at, places = row_of(sheet, "churn@1"), columns(sheet)
    assert sheet.cell(at, places["Storage location"]).hyperlink.target == "models/churn/1/"
    assert sheet.cell(at, places["Version"]).hyperlink.target.startswith("models/churn/1/evidence/")
    approvals = sixty["Approvals"]
    cell = approvals.cell(
        row_of(approvals, "A9") if False else heading_row(approvals) + 1, columns(approvals)["Version"]
    )
    assert cell.hyperlink.target.startswith("models/churn/2/evidence/"), "what she decides on is a click away"


def test_a_lead_reads_gates_and_metrics_where_she_decides(sixty: Any) -> None:
    sheet = sixty["Approvals"]
    places, top = columns(sheet), heading_row(sheet) + 1
    row = {name: sheet.cell(top, at).value for name, at in places.items()}
    assert (row["Status"], row["Validation gates"], row["Evaluation metrics"]) == (
        "requested", "performance FAILED", "auc 0.91"
    )  # fmt: skip
    below = {name: sheet.cell(top + 1, at).value for name, at in places.items()}
    assert (below["Status"], below["Validation gates"]) == ("used", None), "what is decided takes one line"


def test_dropdowns(sixty: Any) -> None:
    found = {
        (name, heading): validation.formula1
        for name in ("Models", "Approvals")
        for heading, at in columns(sixty[name]).items()
        for validation in sixty[name].data_validations.dataValidation
        if f"{openpyxl.utils.get_column_letter(at)}5" in validation.sqref
    }
    assert found == {
        ("Models", "Stage"): '"experimental,staging,production,archived"',
        ("Approvals", "Decision"): '"approved,rejected"',
        ("Approvals", "Approver"): f'"{LEAD},lead2@example.org"',
    }


def test_colours_follow_what_the_cells_say(sixty: Any) -> None:
    rules = [
        (str(one.sqref), rule.formula[0], rule.dxf.fill.bgColor.rgb[-6:] if rule.dxf.fill else None)
        for one in sixty["Models"].conditional_formatting
        for rule in one.rules
    ]
    by_word = {formula: (area, ground) for area, formula, ground in rules}
    grounds = [by_word[f'"{stage}"'][1] for stage in ("experimental", "staging", "production", "archived")]
    assert len(set(grounds)) == 4
    (wrong,) = [(area, ground) for area, formula, ground in rules if formula.startswith('ISNUMBER(FIND("!"')]
    assert wrong[0].startswith("A5:"), "the whole row stands out"
    assert wrong[1] not in grounds
    assert any(formula == "$A5<>$A4" for _, formula, _ in rules), "a line where another model begins"


def test_the_worst_contrast_of_text_to_ground_can_be_read(sixty: Any) -> None:
    from manual_registry.adapters.workbook.looks import EDITABLE_HEADING, TOOL_HEADING, WORDS

    def light(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (0, 2, 4)]
        linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    pairs = [*WORDS.values(), ("FFFFFF", TOOL_HEADING), ("FFFFFF", EDITABLE_HEADING)]
    for ink, ground in pairs:
        dark, bright = sorted((light(ink), light(ground)))
        assert (bright + 0.05) / (dark + 0.05) >= 4.5, (ink, ground)
