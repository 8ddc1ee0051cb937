"""Writes a whole workbook anew from a view, with openpyxl.

Rules held here: text is written as text (never a formula, never a number); every sheet is a table with a
heading row below a banner; what a sheet shows comes from the view alone. Growing an existing file is left to
``refresh.py``, colours to ``looks.py``.
"""

from __future__ import annotations

import io
import math
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from manual_registry.adapters.workbook import package
from manual_registry.adapters.workbook.layout import decorate, legend, print_setup
from manual_registry.adapters.workbook.looks import INK, MUTED, Styles, look_of
from manual_registry.adapters.workbook.losses import UNLISTED, unlisted_mark
from manual_registry.adapters.workbook.places import letters
from manual_registry.adapters.workbook.text import number, to_file
from manual_registry.core.view import Cell, Column, Row, Sheet, View

if TYPE_CHECKING:
    from openpyxl import Workbook

TITLE_ROW: Final = 1
FACTS_ROW: Final = 2
LEGEND_ROW: Final = 3
HEADING_ROW: Final = 4
READ_ME: Final = "Read me"
AGE_FORM: Final = '[=0]"today";[=1]0" day old";0" days old"'
#: Excel keeps no more hyperlinks than this on a sheet.
MAX_LINKS: Final = 65_000
_UNLISTED_MARK: Final = "@hash-of-unlisted-parts@"
_RENDERING_MARK: Final = "@hash-of-rendering@"
_MAX_LINES: Final = 6
_READ_ME_WIDTHS: Final = (28, 112)
_LINE_POINTS: Final = 12.75
_WORDS: Final = re.compile(r"[^ /\-]+[ /\-]*|[ /\-]+")
#: The elements of a sheet that come after ``ignoredErrors``.
_AFTER: Final = re.compile(
    rb"<(smartTags|drawing|legacyDrawing|legacyDrawingHF|picture|oleObjects|controls|tableParts|extLst)\b|</worksheet>"
)
_LIKE_FORMULA: Final = ("=", "+", "-", "@")


def head_text(view: View) -> str:
    """Return the line of the banner that names the ledger head."""
    return f"Ledger head {view.head_seq} · {view.head_hash}"


def as_of_text(view: View) -> str:
    """Return the line of the banner that dates the view."""
    return f"As of {view.as_of[:16].replace('T', ' ')} UTC"


def age_formula(view: View) -> str:
    """Return the formula that counts the days since the view's date."""
    year, month, day = (int(part) for part in view.as_of[:10].split("-"))
    return f"=MAX(0,TODAY()-DATE({year},{month},{day}))"


def footer_texts(view: View) -> tuple[str, str, str]:
    """Return the three parts of the printed footer; ``&`` is doubled, since it begins a code there."""
    system = view.system.replace("&", "&&")
    return f"{system} · {as_of_text(view)}", head_text(view).replace("&", "&&"), "Page &P of &N"


def properties_of(view: View) -> dict[str, str]:
    """Return the custom document properties that tie the file to registry and ledger head."""
    return {
        package.REGISTRY_ID: view.registry_id,
        package.HEAD_SEQ: str(view.head_seq),
        package.HEAD_HASH: view.head_hash,
        package.AS_OF: view.as_of,
        package.LINKS: view.link_prefix or "./",
        package.VIEW_VERSION: str(view.version),
    }


def link_target(target: str) -> str:
    """Escape a relative path for use as a hyperlink; a scheme or a drive cannot survive it."""
    return quote(target.replace("\\", "/").lstrip("/"), safe="/.~-_+@=,")


def put(cell: Any, value: Cell) -> None:
    """Write ``value`` into an openpyxl cell without letting openpyxl guess what it is."""
    if isinstance(value, str) and value:
        cell._value, cell.data_type = to_file(value), "s"
    elif isinstance(value, bool):
        cell._value, cell.data_type = value, "b"
    elif value is None or value == "":
        cell._value, cell.data_type = None, "n"
    else:
        finite = not isinstance(value, str) and math.isfinite(value)
        cell._value, cell.data_type = (number(float(value)), "n") if finite else (str(value), "s")


def quoted(value: Cell) -> bool:
    """Tell whether the cell needs the mark that keeps it from becoming a formula when edited."""
    return isinstance(value, str) and value.startswith(_LIKE_FORMULA)


class Body:
    """Writes data rows of one sheet; ``at`` gives header -> column number where people have reordered."""

    def __init__(self, worksheet: Any, sheet: Sheet, styles: Styles, at: Mapping[str, int] | None = None) -> None:
        from openpyxl.cell import Cell as OpenpyxlCell

        self.worksheet, self.styles, self.make, self.links = worksheet, styles, OpenpyxlCell, 0
        places = at or {column.header: number_ for number_, column in enumerate(sheet.columns, 1)}
        self.id_header = sheet.row_id_header
        self.columns = [
            (places[column.header], column, styles.body(look_of(column)))
            for column in sheet.columns
            if column.header in places
        ]

    def row(self, at: int, row: Row) -> None:
        """Write ``row`` at row number ``at``."""
        cells, lines = self.worksheet._cells, 1
        for number_, column, usual in self.columns:
            value: Cell = row.row_id if column.header == self.id_header else row.cells.get(column.header)
            cell: Any = self.make(self.worksheet, row=at, column=number_)
            put(cell, value)
            link = row.links.get(column.header) if row.links else None
            special = link is not None or quoted(value)
            cell._style = self._style(column, value, link) if special else usual
            if link is not None and cell._value is not None and self.links < MAX_LINKS:
                self.links += 1
                add_link(cell, link)
            if column.wrap and isinstance(value, str) and (len(value) > column.width or "\n" in value):
                lines = max(lines, lines_of(value, column.width))
            cells[(at, number_)] = cell
        self.worksheet.row_dimensions[at].height = height_of(lines)

    def _style(self, column: Column, value: Cell, link: str | None) -> Any:
        return self.styles.body(look_of(column, link=link is not None, quoted=quoted(value)))


def add_link(cell: Any, target: str) -> None:
    """Make an openpyxl cell a hyperlink to a relative path, keeping value and style."""
    from openpyxl.worksheet.hyperlink import Hyperlink

    cell._hyperlink = Hyperlink(ref=cell.coordinate, target=link_target(target))


def lines_of(text: str, width: float) -> int:
    """Estimate how many lines a wrapped cell needs; spreadsheets break after blanks, slashes and hyphens."""
    room, lines = (
        max(int(width * 1.1), 2),
        0,
    )  # letters are a little narrower than the digits that widths count
    for paragraph in text.split("\n"):
        used, lines = 0, lines + 1
        for word in _WORDS.findall(paragraph) if len(paragraph) > room else ():
            size = len(word)
            if used and used + size - word.endswith(" ") > room:
                lines, used = lines + 1, 0
            lines, used = lines + (size - 1) // room, used + size
            used = used % room or room if size > room else used
    return lines


def lines_in(row: Row | None, columns: Iterable[Column]) -> int:
    """Return how many lines the highest wrapped cell of a row needs."""
    texts = [(row.cells.get(column.header), column.width) for column in columns if column.wrap] if row else []
    return max((lines_of(text, width) for text, width in texts if isinstance(text, str)), default=1)


def height_of(lines: int, most: int = _MAX_LINES) -> float:
    """Return a row height in points; very long texts are cut in sight, not in the cell."""
    return min(lines, most) * _LINE_POINTS + 3


def visible(columns: Sequence[Column]) -> list[tuple[int, Column]]:
    """Return number and column of those that are seen when groups are collapsed."""
    return [(number_, one) for number_, one in enumerate(columns, 1) if not one.hidden and not one.outline]


def _slots(columns: Sequence[Column], lengths: Sequence[int]) -> Iterator[int]:
    """Yield for each text of ``lengths`` characters a column from which it has room before the next."""
    seen = visible(columns)
    at = 0
    for length in lengths:
        yield seen[min(at, len(seen) - 1)][0]
        room = 0.0
        while room < length and at < len(seen):
            room += seen[at][1].width
            at += 1


@dataclass(frozen=True, kw_only=True, slots=True)
class BannerLine:
    """A line of the tool's own above the rows: where it stands in a rendering, how it begins, and what it says."""

    row: int
    column: int
    begins: str
    text: Callable[[Sheet, View], str]
    age: bool = False
    heading: int = HEADING_ROW


def banner_lines(sheet: Sheet, view: View) -> tuple[BannerLine, ...]:
    """Return the title and the facts as they are rendered above the rows of ``sheet``."""
    lengths = [len(as_of_text(view)), _AGE_LENGTH, len(head_text(view))]
    as_of, age, head = _slots(sheet.columns, lengths)
    return (
        BannerLine(row=TITLE_ROW, column=1, begins="", text=title_text),
        BannerLine(row=FACTS_ROW, column=as_of, begins="As of ", text=lambda _, shown: as_of_text(shown)),
        BannerLine(row=FACTS_ROW, column=age, begins="", text=lambda _, shown: age_formula(shown), age=True),
        BannerLine(row=FACTS_ROW, column=head, begins="Ledger head ", text=lambda _, shown: head_text(shown)),
    )


def title_text(sheet: Sheet, view: View) -> str:
    """Return the first line of the banner: which register, which sheet, and that it is closed, where it is."""
    return sheet.title if view.system in sheet.title else f"{sheet.title} · {view.system}"


#: How many characters the age takes ("(1,234 days)").
_AGE_LENGTH: Final = 13


def _banner(worksheet: Any, sheet: Sheet, view: View, styles: Styles) -> None:
    title = worksheet.cell(TITLE_ROW, 1)
    put(title, title_text(sheet, view))
    title._style = styles.banner(size=15, bold=True)
    facts: list[tuple[str, Any]] = [
        (as_of_text(view), styles.banner(bold=True)),
        (age_formula(view), styles.banner(bold=True, form=AGE_FORM)),
        (head_text(view), styles.banner(ink=MUTED)),
    ]
    lengths = [len(facts[0][0]), _AGE_LENGTH, len(facts[2][0])]
    for column, (text, style) in zip(_slots(sheet.columns, lengths), facts, strict=True):
        cell = worksheet.cell(FACTS_ROW, column)
        if text.startswith("="):
            cell.value = text
        else:
            put(cell, text)
        cell._style = style
    worksheet.row_dimensions[TITLE_ROW].height = 24
    worksheet.row_dimensions[FACTS_ROW].height = 16


def _heading(worksheet: Any, sheet: Sheet, styles: Styles) -> None:
    for number_, column in enumerate(sheet.columns, 1):
        cell = worksheet.cell(HEADING_ROW, number_)
        put(cell, column.header)
        cell._style = styles.heading(editable=column.kind.value == "editable")
        dimension = worksheet.column_dimensions[letters(number_)]
        dimension.width = column.width
        dimension._style = styles.column(text=column.text, wrap=column.wrap)
        dimension.hidden = column.hidden or column.outline
        if column.outline:
            dimension.outlineLevel = 1
        elif number_ > 1 and sheet.columns[number_ - 2].outline:
            dimension.collapsed = True
    worksheet.row_dimensions[HEADING_ROW].height = 30


def read_me_lines(view: View) -> tuple[tuple[str, str], ...]:
    """Return the lines of the Read me sheet, the first of which says which register and how old."""
    return ((view.system, view.closed), (as_of_text(view), head_text(view)), *view.read_me)


def fill_read_me(worksheet: Any, view: View, styles: Styles) -> None:
    """Write the Read me sheet: headings on the left, text on the right."""
    worksheet.column_dimensions["A"].width = _READ_ME_WIDTHS[0]
    worksheet.column_dimensions["B"].width = _READ_ME_WIDTHS[1]
    worksheet.sheet_view.showGridLines = False
    lines = read_me_lines(view)
    title, left = styles.banner(size=15, bold=True), styles.banner(bold=True, wrap=True)
    for at, (heading, text) in enumerate(lines, 1):
        put(worksheet.cell(at, 1), heading)
        put(worksheet.cell(at, 2), text)
        worksheet.cell(at, 1)._style = title if at == 1 else left
        worksheet.cell(at, 2)._style = styles.banner(wrap=True, ink=MUTED if at == 2 else INK)
        height = height_of(lines_of(text, _READ_ME_WIDTHS[1]), 40) + 4
        worksheet.row_dimensions[at].height = 28 if at == 1 else height
    legend(worksheet, len(lines) + 2, styles)
    print_setup(worksheet, footer_texts(view))


def add_sheet(workbook: Workbook, sheet: Sheet, view: View, styles: Styles) -> None:
    """Add one sheet of the view at the end of ``workbook``."""
    worksheet = workbook.create_sheet(sheet.name)
    _banner(worksheet, sheet, view, styles)
    _heading(worksheet, sheet, styles)
    body = Body(worksheet, sheet, styles)
    for at, row in enumerate(sheet.rows, HEADING_ROW + 1):
        body.row(at, row)
    decorate(worksheet, sheet, styles, footer_texts(view))


def build(view: View) -> Workbook:
    """Return the workbook of ``view`` as an openpyxl object."""
    from openpyxl import Workbook

    workbook = Workbook()
    first = workbook.worksheets[0]
    styles = Styles(first)
    for sheet in view.sheets:
        add_sheet(workbook, sheet, view, styles)
    if view.read_me:
        fill_read_me(workbook.create_sheet(READ_ME), view, styles)
    workbook.remove(first)
    workbook.active = 0
    workbook.properties.creator = "manual-registry"
    workbook.properties.title = to_file(view.system)
    return workbook


def parts_of(workbook: Workbook, ours: frozenset[str]) -> dict[str, bytes]:
    """Let openpyxl write ``workbook`` and return its parts; they are zipped once, by ``package.repack``.

    ``ours`` names the sheets of the view, which alone are polished.
    """
    from openpyxl.writer.excel import ExcelWriter

    for worksheet in workbook.worksheets:
        # openpyxl forgets this for groups that it did not make itself; Excel then shows no buttons for them.
        columns: Any = worksheet.column_dimensions
        columns.max_outline = max((one.outlineLevel or 0 for one in columns.values()), default=0) or None
    target = io.BytesIO()
    ExcelWriter(workbook, zipfile.ZipFile(target, "w", zipfile.ZIP_STORED)).save()
    polish = {worksheet.path.lstrip("/") for worksheet in workbook.worksheets if worksheet.title in ours}
    with zipfile.ZipFile(target) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    return {name: _polished(data) if name in polish else data for name, data in parts.items()}


def _polished(part: bytes) -> bytes:
    """Tell spreadsheets not to mark ``1.10`` in a text column as a mistake; openpyxl cannot write that."""
    spot = _AFTER.search(part, max(part.find(b"</sheetData>"), 0))
    if spot is None:
        return part
    mark = b'<ignoredErrors><ignoredError sqref="A1:XFD1048576" numberStoredAsText="1"/></ignoredErrors>'
    return part[: spot.start()] + mark + part[spot.start() :]


def set_properties(workbook: Any, view: View, *, rendering: bool) -> None:
    """Name registry and head in the custom properties; placeholders stand for hashes over other parts."""
    from openpyxl.packaging.custom import CustomPropertyList, StringProperty

    values = (
        properties_of(view) | {UNLISTED: _UNLISTED_MARK} | ({package.RENDERING: _RENDERING_MARK} if rendering else {})
    )
    kept: Any = CustomPropertyList()
    for one in workbook.custom_doc_props.props:
        if one.name not in {*values, package.RENDERING}:
            kept.append(one)
    for name, value in values.items():
        kept.append(StringProperty(name=name, value=value))
    workbook.custom_doc_props = kept


def finish(workbook: Workbook, view: View, *, rendering: bool) -> bytes:
    """Return ``workbook`` as a file; ``rendering`` says that nothing in it is a person's."""
    set_properties(workbook, view, rendering=rendering)
    marks = {_UNLISTED_MARK: unlisted_mark, _RENDERING_MARK: package.fingerprint}
    ours = frozenset(sheet.name for sheet in view.sheets)
    return package.repack(parts_of(workbook, ours), marks)


def render_bytes(view: View) -> bytes:
    """Return the whole file for ``view``."""
    return finish(build(view), view, rendering=True)
