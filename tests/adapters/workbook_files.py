"""Workbooks as people's programs leave them, and what must not have changed in them, for the tests of the patcher."""

from __future__ import annotations

import io
import re
import shutil
import struct
import subprocess
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from manual_registry.adapters.workbook import package
from manual_registry.adapters.workbook.compare import locate
from manual_registry.adapters.workbook.read import read_book
from manual_registry.adapters.workbook.render import as_of_text, head_text, link_target, properties_of
from manual_registry.core.view import Sheet, View

OFFICE = shutil.which("soffice")
MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
X14 = "{http://schemas.microsoft.com/office/spreadsheetml/2009/9/main}"
#: Own columns of the person: heading, place among ours.
OWN = ("My priority", "My formula")


def png() -> bytes:
    """Return a picture of two by two pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    pixels = zlib.compress(b"\0\xff\0\0\0\xff\0" + b"\0\0\0\xff\xff\xff\xff")
    head = struct.pack(">IIBBBBB", 2, 2, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def by_xlsxwriter(view: View, *, dressed: bool = False) -> bytes:
    """Write ``view`` as XlsxWriter would, headings in row 4; ``dressed`` adds what people add."""
    xlsxwriter: Any = import_module("xlsxwriter")  # it has no types

    target = io.BytesIO()
    workbook = xlsxwriter.Workbook(target, {"in_memory": True})
    text = workbook.add_format({"num_format": "@", "border": 1})
    head = workbook.add_format({"bold": True, "bg_color": "#1E3A5F", "font_color": "#FFFFFF"})
    for name, value in properties_of(view).items():
        workbook.set_custom_property(name, value, "text")
    for sheet in view.sheets:
        worksheet = workbook.add_worksheet(sheet.name)
        own = dressed and sheet.name == "Models"
        _fill(workbook, worksheet, sheet, view, text, head, own)
        if own:
            _dress(workbook, worksheet, sheet)
    if dressed:
        mine = workbook.add_worksheet("Mine")
        mine.write_formula("A1", '=COUNTIF(Models!I:I,"staging")', None, 7)
        mine.write_rich_string("A2", "plain ", workbook.add_format({"bold": True}), "bold", " rest")
        mine.set_tab_color("#FF9900")
        workbook.add_worksheet("Buried").very_hidden()
        workbook.add_chartsheet("Picture").set_chart(_chart(workbook))
        workbook.define_name("MyRange", "=Models!$A$5:$A$9")
    workbook.close()
    return target.getvalue()


def headers_of(sheet: Sheet, own: bool) -> list[str]:
    """Return the headings of a sheet in their order, the person's among them."""
    headers = [column.header for column in sheet.columns]
    return [*headers[:3], OWN[0], *headers[3:9], OWN[1], *headers[9:]] if own else headers


def _fill(workbook: Any, worksheet: Any, sheet: Sheet, view: View, text: Any, head: Any, own: bool) -> None:
    headers = headers_of(sheet, own)
    worksheet.write_string(0, 0, sheet.title if view.system in sheet.title else f"{sheet.title} · {view.system}")
    worksheet.write_string(1, 0, as_of_text(view))
    worksheet.write_string(1, 5, head_text(view))
    worksheet.set_footer(f"&L{as_of_text(view)}&C{head_text(view)}")
    for at, header in enumerate(headers):
        worksheet.write_string(3, at, header, head)
    for number, row in enumerate(sheet.rows, 4):
        for at, header in enumerate(headers):
            if own and header == OWN[0]:
                worksheet.write_number(number, at, number * 1.5)
            elif own and header == OWN[1]:
                worksheet.write_formula(number, at, f'=A{number + 1}&"!"', None, f"{row.cells.get('Model')}!")
            else:
                _cell(
                    worksheet,
                    number,
                    at,
                    row.row_id if header == sheet.row_id_header else row.cells.get(header),
                    text,
                )
            if header in row.links:
                worksheet.write_url(
                    number, at, f"external:{link_target(row.links[header])}", text, str(row.cells[header])
                )
    last = 3 + max(len(sheet.rows), 1)
    # Given no columns' names, XlsxWriter would write "Column1" over the headings.
    worksheet.add_table(
        3, 0, last, len(headers) - 1, {"name": sheet.name, "columns": [{"header": header} for header in headers]}
    )
    if "Stage" in headers:
        at = headers.index("Stage")
        source = ["experimental", "staging", "production", "archived"]
        worksheet.data_validation(4, at, last, at, {"validate": "list", "source": source})
        bold = workbook.add_format({"bold": True})
        worksheet.conditional_format(
            4, at, last, at, {"type": "cell", "criteria": "==", "value": '"staging"', "format": bold}
        )
    worksheet.print_area(0, 0, last, len(headers) - 1)


def _cell(worksheet: Any, row: int, column: int, value: Any, text: Any) -> None:
    if value is None or value == "":
        worksheet.write_blank(row, column, None, text)
    elif isinstance(value, bool):
        worksheet.write_boolean(row, column, value, text)
    elif isinstance(value, int | float):
        worksheet.write_number(row, column, value)
    else:
        worksheet.write_string(row, column, str(value), text)


def _chart(workbook: Any) -> Any:
    chart = workbook.add_chart({"type": "bar"})
    chart.add_series({"values": "=Models!$D$5:$D$9", "categories": "=Models!$A$5:$A$9"})
    return chart


def _dress(workbook: Any, worksheet: Any, sheet: Sheet) -> None:
    last = 3 + len(sheet.rows)
    worksheet.insert_chart(last + 4, 1, _chart(workbook))
    worksheet.insert_image(last + 20, 1, "mine.png", {"image_data": io.BytesIO(png())})
    worksheet.write_comment("B6", "look at this", {"author": "Grace"})
    worksheet.write_url("Z2", "https://example.org/mine", None, "my link")
    worksheet.write_url("Z3", "internal:'Mine'!A1", None, "to my sheet")
    worksheet.write_string("AB4", "a list of mine")
    worksheet.write_formula("AB30", "=SUM(D5:D9)", None, 42.5)
    worksheet.conditional_format(4, 3, last, 3, {"type": "data_bar", "data_bar_2010": True})
    worksheet.conditional_format("AB4:AB40", {"type": "icon_set", "icon_style": "3_traffic_lights"})
    worksheet.add_sparkline("AC5", {"range": "Models!D5:D9"})
    worksheet.set_row(6, 45)
    worksheet.set_row(8, None, None, {"hidden": True})
    worksheet.set_column("AD:AD", 33)
    worksheet.set_tab_color("#00AA00")
    worksheet.set_comments_author("Grace")
    worksheet.merge_range("AE5:AF7", "merged")


_EXCEL_SPACES = {
    "xmlns:mc": "http://schemas.openxmlformats.org/markup-compatibility/2006",
    "xmlns:x14ac": "http://schemas.microsoft.com/office/spreadsheetml/2009/9/ac",
    "xmlns:xr": "http://schemas.microsoft.com/office/spreadsheetml/2014/revision",
    "mc:Ignorable": "x14ac xr",
    "xr:uid": "{00000000-0001-0000-0000-000000000000}",
}


def like_excel(data: bytes) -> bytes:
    """Add what Excel writes beside what XlsxWriter does: hints in rows, ids of its own, spaces that may be ignored."""

    def root(found: re.Match[str]) -> str:
        more = {name: text for name, text in _EXCEL_SPACES.items() if f" {name}=" not in found[0]}
        tag = found[0].replace('mc:Ignorable="x14ac"', 'mc:Ignorable="x14ac xr"')
        return tag[:-1] + "".join(f' {name}="{text}"' for name, text in more.items()) + ">"

    parts = parts_of(data)
    for name, part in parts.items():
        if name.startswith(("xl/worksheets/sheet", "xl/tables/")):
            text = part.decode().replace("?>\n", "?>\r\n", 1)
            text = re.sub(r"<(?:worksheet|table) [^>]*>", root, text, count=1)
            text = re.sub(r' x14ac:dyDescent="[^"]*"', "", text)
            text = re.sub(r'(<row r="\d+"[^>/]*)', r'\1 x14ac:dyDescent="0.25"', text)
            text = text.replace("<hyperlink ", '<hyperlink xr:uid="{00000000-0002-0000-0000-000000000000}" ')
            parts[name] = text.encode()
    return zipped(parts)


def without_sheet(data: bytes, name: str) -> bytes:
    """Delete a sheet as a spreadsheet program does: its part, its table, and what names them."""
    part = read_book(data, "x").grids[name].part
    file = part.rpartition("/")[2]
    parts = parts_of(data)
    rels = parts.pop(f"xl/worksheets/_rels/{file}.rels").decode()
    gone = [part, *("xl/tables/" + one for one in re.findall(r'tables/(table\d+\.xml)"', rels))]
    for one in gone:
        del parts[one]
        parts["[Content_Types].xml"] = re.sub(
            rb'<Override PartName="/%s"[^>]*/>' % one.encode(), b"", parts["[Content_Types].xml"]
        )
    holder = parts["xl/_rels/workbook.xml.rels"]
    entry = re.search(rb'<Relationship [^>]*worksheets/%s"[^>]*/>' % file.encode(), holder)
    assert entry
    identity = re.search(rb'Id="(\w+)"', entry[0])
    assert identity
    parts["xl/_rels/workbook.xml.rels"] = holder.replace(entry[0], b"")
    workbook = re.sub(rb'<sheet [^>]*r:id="%s"[^>]*/>' % identity[1], b"", parts[package.WORKBOOK])
    parts[package.WORKBOOK] = re.sub(rb"<definedName [^>]*>%s!.*?</definedName>" % name.encode(), b"", workbook)
    return zipped(parts)


def by_openpyxl(data: bytes) -> bytes:
    """Load and save with openpyxl."""
    import warnings

    import openpyxl

    target = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        openpyxl.load_workbook(io.BytesIO(data)).save(target)
    return target.getvalue()


def by_office(data: bytes, folder: Path) -> bytes:
    """Open and save with LibreOffice."""
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / "in.xlsx"
    source.write_bytes(data)
    profile = f"-env:UserInstallation=file://{folder}/profile"
    command = [
        str(OFFICE),
        profile,
        "--headless",
        "--convert-to",
        "xlsx",
        "--outdir",
        str(folder / "out"),
        str(source),
    ]
    for attempt in (1, 2, 3):  # on a busy machine it may give up before it has made its profile
        done = subprocess.run(command, check=attempt == 3, capture_output=True, timeout=180)
        if done.returncode == 0:
            break
    return (folder / "out" / "in.xlsx").read_bytes()


@dataclass(frozen=True)
class Extra:
    """A part to add by hand: its type, and the part that refers to it."""

    name: str
    data: bytes
    content_type: str
    owner: str
    kind: str


def with_parts(data: bytes, *extras: Extra) -> bytes:
    """Add parts with their content types and relations."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    for number, one in enumerate(extras, 900):
        parts[one.name] = one.data
        override = f'<Override PartName="/{one.name}" ContentType="{one.content_type}"/></Types>'
        parts["[Content_Types].xml"] = parts["[Content_Types].xml"].replace(b"</Types>", override.encode())
        folder, _, file = one.owner.rpartition("/")
        rels = f"{folder}/_rels/{file}.rels".lstrip("/")
        relation = f'<Relationship Id="rId{number}" Type="{one.kind}" Target="/{one.name}"/></Relationships>'
        empty = b'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"></Relationships>'
        parts[rels] = parts.get(rels, empty).replace(b"</Relationships>", relation.encode())
    return zipped(parts)


def zipped(parts: Mapping[str, bytes]) -> bytes:
    """Zip parts in their order."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(zipfile.ZipInfo(name, (2021, 3, 4, 5, 6, 8)), content, zipfile.ZIP_DEFLATED)
    return target.getvalue()


def parts_of(data: bytes) -> dict[str, bytes]:
    """Return the parts of a file."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {entry.filename: archive.read(entry) for entry in archive.infolist()}


def raw_of(data: bytes) -> dict[str, tuple[bytes, object]]:
    """Return the packed bytes of each part with its date, flags and extra fields."""
    found: dict[str, tuple[bytes, object]] = {}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for entry in archive.infolist():
            names, extra = struct.unpack_from("<2H", data, entry.header_offset + 26)
            start = entry.header_offset + 30 + names + extra
            facts = (entry.date_time, entry.flag_bits, entry.extra, entry.external_attr, entry.create_system)
            found[entry.filename] = data[start : start + entry.compress_size], facts
    return found


_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_MAIN_NS = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_SHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_THREADS = "http://schemas.microsoft.com/office/2017/10/relationships"


def by_hand(data: bytes) -> bytes:
    """Add a pivot table on the sheet Mine and a threaded comment on Models, which no library here writes."""
    cache = (
        f'<pivotCacheDefinition xmlns="{_MAIN_NS}" xmlns:r="{_OFFICE}" r:id="rId902" refreshedVersion="6"'
        ' recordCount="2"><cacheSource type="worksheet"><worksheetSource ref="A4:B6" sheet="Models"/></cacheSource>'
        '<cacheFields count="2"><cacheField name="Model" numFmtId="0">'
        '<sharedItems count="1"><s v="churn"/></sharedItems>'
        '</cacheField><cacheField name="Version" numFmtId="0"><sharedItems count="1"><s v="1"/></sharedItems>'
        "</cacheField>"
        "</cacheFields></pivotCacheDefinition>"
    )
    records = (
        f'<pivotCacheRecords xmlns="{_MAIN_NS}" count="2"><r><x v="0"/><x v="0"/></r><r><x v="0"/><x v="0"/></r>'
        "</pivotCacheRecords>"
    )
    pivot = (
        f'<pivotTableDefinition xmlns="{_MAIN_NS}" name="Mine" cacheId="7" dataCaption="Values" updatedVersion="6">'
        '<location ref="D3:E5" firstHeaderRow="1" firstDataRow="1" firstDataCol="1"/><pivotFields count="2">'
        '<pivotField axis="axisRow" showAll="0"><items count="2"><item x="0"/><item t="default"/></items></pivotField>'
        '<pivotField dataField="1" showAll="0"/></pivotFields><rowFields count="1"><field x="0"/></rowFields>'
        '<rowItems count="2"><i><x/></i><i t="grand"><x/></i></rowItems><colItems count="1"><i/></colItems>'
        '<dataFields count="1"><dataField name="Count of Version" fld="1" subtotal="count" baseField="0" baseItem="0"/>'
        "</dataFields></pivotTableDefinition>"
    )
    thread = (
        '<ThreadedComments xmlns="http://schemas.microsoft.com/office/spreadsheetml/2018/threadedcomments">'
        '<threadedComment ref="B6" dT="2026-11-24T08:00:00.00" personId="{11111111-2222-3333-4444-555555555555}"'
        ' id="{66666666-2222-3333-4444-555555555555}"><text>a thread</text></threadedComment></ThreadedComments>'
    )
    person = (
        '<personList xmlns="http://schemas.microsoft.com/office/spreadsheetml/2018/threadedcomments">'
        '<person displayName="Grace" id="{11111111-2222-3333-4444-555555555555}" userId="grace" providerId="None"/>'
        "</personList>"
    )
    book = read_book(data, "x")
    mine, models = book.grids["Mine"].part, book.grids["Models"].part
    definition = "xl/pivotCache/pivotCacheDefinition1.xml"
    data = with_parts(
        data,
        Extra(
            definition,
            cache.encode(),
            f"{_SHEET}.pivotCacheDefinition+xml",
            package.WORKBOOK,
            f"{_OFFICE}/pivotCacheDefinition",
        ),
        Extra(
            "xl/pivotTables/pivotTable1.xml",
            pivot.encode(),
            f"{_SHEET}.pivotTable+xml",
            mine,
            f"{_OFFICE}/pivotTable",
        ),
        Extra(
            "xl/pivotCache/pivotCacheRecords1.xml",
            records.encode(),
            f"{_SHEET}.pivotCacheRecords+xml",
            definition,
            f"{_OFFICE}/pivotCacheRecords",
        ),
        Extra(
            "xl/threadedComments/threadedComment1.xml",
            thread.encode(),
            "application/vnd.ms-excel.threadedcomments+xml",
            models,
            f"{_THREADS}/threadedComment",
        ),
        Extra(
            "xl/persons/person.xml",
            person.encode(),
            "application/vnd.ms-excel.person+xml",
            package.WORKBOOK,
            f"{_THREADS}/person",
        ),
    )
    parts = parts_of(data)
    pointer = f'<Relationship Id="rId1" Type="{_OFFICE}/pivotCacheDefinition" Target="/{definition}"/>'
    parts["xl/pivotTables/_rels/pivotTable1.xml.rels"] = (
        f'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{pointer}</Relationships>'
    ).encode()
    caches = '<pivotCaches><pivotCache cacheId="7" r:id="rId900"/></pivotCaches></workbook>'
    parts[package.WORKBOOK] = parts[package.WORKBOOK].replace(b"</workbook>", caches.encode())
    return zipped(parts)


# -- what must not change -----------------------------------------------------------------------------------


def allowed_parts(data: bytes, view: View) -> set[str]:
    """Return the parts that a refresh may change: sheets of ours, their relations and tables, names, properties."""
    book = read_book(data, "x")
    found = {package.CUSTOM, package.WORKBOOK, "xl/styles.xml", "xl/calcChain.xml"}
    names = {sheet.name for sheet in view.sheets} | {"Read me", "_choices"}
    for name in names & book.grids.keys():
        part = book.grids[name].part
        rels = f"xl/worksheets/_rels/{part.rpartition('/')[2]}.rels"
        found |= {part, rels}
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            text = archive.read(rels).decode() if rels in archive.namelist() else ""
        found |= {"xl/tables/" + one for one in re.findall(r'tables/(table\d+\.xml)"', text)}
    return found


def changed_parts(old: bytes, new: bytes) -> set[str]:
    """Return the parts that are different, new or gone; order and packed bytes of the others are checked."""
    before, after = raw_of(old), raw_of(new)
    kept = [name for name in before if name in after]
    assert kept == [name for name in after if name in before], "order"
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def foreign(data: bytes, view: View) -> dict[str, object]:
    """Return everything on the tool's sheets that is a person's, in a form that can be compared.

    Rows with an id go by it: where new ones are put on top, the others move down, with all that is in them.
    """
    book, parts = read_book(data, "x"), parts_of(data)
    found: dict[str, object] = {}
    for sheet in view.sheets:
        located = locate(book, sheet)
        if located is None:
            continue
        root = ET.fromstring(parts[located.grid.part])
        ours = set(located.columns.values())
        ids = {row: one for one, row in located.rows.items()} if sheet.name == "Approvals" else {}
        banner = {as_of_text(view), head_text(view)}
        for place, xml in _cells(root):
            row, column = place
            value = located.grid.cells.get(row, {}).get(column)
            if value in banner or "TODAY()-DATE" in str(value):
                continue
            if column not in ours or row < located.heading:
                found[f"{sheet.name} cell {ids.get(row, row)} {column}"] = re.sub(
                    r' r="([A-Z]+)\d+"', r' r="\1"', xml, count=1
                )
        found |= {f"{sheet.name} {name}": value for name, value in _around(root, ids)}
        for line in root.iter(f"{MAIN}row"):
            facts = {
                name: line.get(name) for name in ("hidden", "outlineLevel", "s", "collapsed") if name in line.attrib
            }
            if facts and len(line):
                row = int(line.get("r", ""))
                found[f"{sheet.name} row {ids.get(row, row)}"] = facts
    return found


def _cells(root: ET.Element) -> Iterator[tuple[tuple[int, int], str]]:
    for cell in root.iter(f"{MAIN}c"):
        letters = re.match(r"[A-Z]+", cell.get("r", ""))
        assert letters
        column = 0
        for letter in letters[0]:
            column = column * 26 + ord(letter) - 64
        if len(cell):
            yield (int(cell.get("r", "")[len(letters[0]) :]), column), ET.tostring(cell, encoding="unicode")


def _around(root: ET.Element, ids: dict[int, str]) -> Iterator[tuple[str, object]]:
    for child in root:
        name = child.tag.rpartition("}")[2]
        if name in {"sheetData", "dimension"}:
            continue
        if name == "hyperlinks":
            for link in child:
                column, row = re.fullmatch(r"([A-Z]+)(\d+).*", link.get("ref", "")).groups()
                place = f"{column}{ids.get(int(row), row)}"
                yield f"link {place}", sorted({**link.attrib, "ref": place}.items())
            continue
        text = ET.tostring(child, encoding="unicode")
        text = re.sub(r'(sqref|ref)="[^"]*"', r'\1=""', text)
        text = re.sub(r"(sqref>)[^<]*<", r"\1<", text)
        text = re.sub(r"As of [^&<]*|Ledger head \d+ · sha256:[0-9a-f]*", "", text)
        yield f"{name} {list(root).index(child) if name == 'conditionalFormatting' else ''}", text


def opens(data: bytes) -> Any:
    """Open with openpyxl, which checks a good part of the grammar."""
    import warnings

    import openpyxl

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return openpyxl.load_workbook(io.BytesIO(data))
