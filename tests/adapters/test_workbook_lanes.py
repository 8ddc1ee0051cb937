"""The two lanes of the reader say the same: rows found in one call, and expat with handlers."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manual_registry.adapters.workbook import scan
from manual_registry.adapters.workbook.cells import Cells, Grid, strings_in
from manual_registry.adapters.workbook.errors import Trouble

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
EPOCH = datetime(1899, 12, 30)

values = st.text(st.characters(codec="utf-8", exclude_characters="<&"), max_size=8) | st.sampled_from(
    [
        "1",
        "0",
        "3.5",
        "1e300",
        "nan",
        "45000",
        "&lt;b&gt;",
        "&#65;",
        "&#x1F600;",
        "&amp;amp;",
        "_x0041_",
        "_x000D_",
        "a\r\nb",
        "]]",
        "&unknown;",
        "&#0;",
        "<b/>",
        "<!-- x -->",
        "<![CDATA[y]]>",
        " ",
        "true",
        "#N/A",
    ]
)
kinds = st.sampled_from(
    ["", ' t="s"', ' t="n"', ' t="b"', ' t="str"', ' t="inlineStr"', ' t="e"', ' t="d"', " t='n'", ' t="n" t="s"']
)
styles = st.sampled_from(["", ' s="1"', ' s="2"', ' s="x"', ' cm="1"', ' other="1"'])


@st.composite
def contents(draw: st.DrawFn) -> str:
    value = draw(values)
    return draw(
        st.sampled_from(
            [
                f"<v>{value}</v>",
                f"<is><t>{value}</t></is>",
                f'<is><t xml:space="preserve">{value}</t></is>',
                "",
                "<v/>",
                "<v />",
                f"<f>A1+1</f><v>{value}</v>",
                "<f>TRUE()</f><v>1</v>",
                '<f aca="false">1&gt;2</f>',
                "<f/>",
                '<f t="shared" si="0"/><v>3</v>',
                f"<is><r><rPr><b/></rPr><t>x</t></r><r><t>{value}</t></r></is>",
                f'<is><t>{value}</t><rPh sb="0" eb="1"><t>ignored</t></rPh></is>',
                "\n<v>1</v>\n",
                f"<v>{value}</v><extLst/>",
            ]
        )
    )


@st.composite
def cells(draw: st.DrawFn, row: int) -> str:
    place = draw(
        st.sampled_from([f"A{row}", f"B{row}", f"C{row}", f"AA{row}", f"D{row + 1}", "", f"a{row}", "A0", "XFE1", "B"])
    )
    usual = draw(st.integers(0, 5)) > 0
    if usual:
        place = draw(st.sampled_from("ABCDEFGH")) + str(row)
    reference = f' r="{place}"' if place else ""
    return f"<c{reference}{draw(styles)}{draw(kinds)}>{draw(contents())}</c>"


@st.composite
def sheets(draw: st.DrawFn) -> bytes:
    rows: list[str] = []
    for row in range(1, draw(st.integers(1, 4)) + 1):
        inside = "".join(draw(st.lists(cells(row), max_size=4)))
        number = draw(st.sampled_from([f' r="{row}"'] * 8 + ["", f' r="{row + 1}"', ' r="1"', f" r='{row}'"]))
        more = draw(st.sampled_from(["", ' ht="12"', ' spans="1:3" x14ac:dyDescent="0.2"', ' note="&gt;"']))
        rows.append(f"<row{number}{more}>{inside}</row>" if inside or draw(st.booleans()) else f"<row{number}{more}/>")
    between = draw(st.sampled_from([""] * 6 + ["\n", "<!-- </row> -->", "<?x?>", "text"]))
    tail = draw(
        st.sampled_from(
            [
                "",
                '<mergeCells><mergeCell ref="A1:B2"/></mergeCells>',
                "<hyperlinks><hyperlink ref='A1'/></hyperlinks>",
            ]
        )
    )
    head = draw(st.sampled_from(["", '<?xml version="1.0" encoding="UTF-8"?>\r\n', "\ufeff", '<?xml version="1.0"?>']))
    spaces = f'xmlns="{MAIN}" xmlns:x14ac="u"'
    return f"{head}<worksheet {spaces}><sheetData>{between.join(rows)}</sheetData>{tail}</worksheet>".encode()


def read(data: bytes) -> object:
    grid = Grid(name="S", part="p")
    try:
        Cells(grid, ["zero", "one", "two", ""], frozenset({2}), EPOCH).read(data)
    except (Trouble, ValueError, IndexError, OverflowError):
        return "refused"
    typed = {
        (row, column): (type(value), value) for row, found in grid.cells.items() for column, value in found.items()
    }
    return repr(sorted(typed.items())), grid.features, grid.formulas, grid.merged


@settings(max_examples=400, deadline=None)
@given(sheets())
def test_both_lanes_read_the_same(data: bytes) -> None:
    fast = read(data)
    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(scan, "body_of", lambda _: None)
        slow = read(data)
    assert fast == slow


def test_the_fast_lane_is_taken() -> None:
    rows = '<row r="1"><c r="A1"><v>1</v></c></row>'
    data = f'<worksheet xmlns="{MAIN}"><sheetData>{rows}</sheetData></worksheet>'.encode()
    grid = Grid(name="S", part="p")
    Cells(grid, [], frozenset(), EPOCH).read(data)
    assert (grid.cells, list(grid.places)) == ({1: {1: 1}}, [1])


@st.composite
def shared(draw: st.DrawFn) -> bytes:
    pieces = []
    for value in draw(st.lists(values, max_size=5)):
        pieces.append(
            draw(
                st.sampled_from(
                    [
                        f"<si><t>{value}</t></si>",
                        f'<si><t xml:space="preserve">{value}</t></si>',
                        "<si/>",
                        "<si><t/></si>",
                        f"<si><r><t>x</t></r><r><rPr><b/></rPr><t>{value}</t></r></si>",
                        "<si></si>",
                        "\n",
                        f'<si><t>{value}</t><rPh sb="0" eb="1"><t>ignored</t></rPh><phoneticPr fontId="1"/></si>',
                    ]
                )
            )
        )
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<sst xmlns="{MAIN}" count="1">{"".join(pieces)}</sst>'.encode()


@settings(max_examples=300, deadline=None)
@given(shared())
def test_both_lanes_read_the_same_strings(data: bytes) -> None:
    def attempt() -> object:
        try:
            return strings_in(data)
        except Trouble as refused:
            return refused.kind

    fast = attempt()
    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(scan, "strings_of", lambda _: None)
        assert fast == attempt()
