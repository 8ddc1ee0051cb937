"""Makes the files of this folder, each named by the code that it must be refused with: ``python make.py``.

A case is (name, file, the place that the refusal must name). The files are kept, so that they stay the same when the
libraries that could write them change; this script shows how each was made.
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
SHEET = "xl/worksheets/sheet1.xml"
STRINGS = "xl/sharedStrings.xml"
WORKBOOK = "xl/workbook.xml"
HEADINGS = ("Model", "Version", "Notes", "Row id")


def text_cell(place: str, text: str) -> str:
    return f'<c r="{place}" t="inlineStr"><is><t>{text}</t></is></c>'


def sheet(rows: str = "", tail: str = "", headings: tuple[str, ...] = HEADINGS) -> str:
    """Return a sheet with headings in row 4, one row, and ``rows`` behind it."""
    head = "".join(text_cell(f"{chr(65 + at)}4", text) for at, text in enumerate(headings))
    first = "".join(
        text_cell(f"{column}5", text) for column, text in zip("ABD", ("churn", "1", "churn@1"), strict=True)
    )
    body = f'<sheetData><row r="4">{head}</row><row r="5">{first}</row>{rows}</sheetData>'
    return f'<worksheet xmlns="{MAIN}" xmlns:r="{OFFICE}">{body}{tail}</worksheet>'


def parts(**changes: str) -> dict[str, bytes]:
    """Return the parts of a small workbook; a part is changed by its short name."""
    found = {
        "types": f'<Types xmlns="{PACKAGE}/content-types"><Default Extension="rels" ContentType='
        f'"application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType='
        '"application/xml"/><Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-'
        'officedocument.spreadsheetml.sheet.main+xml"/><Override PartName="/xl/worksheets/sheet1.xml" ContentType='
        '"application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/></Types>',
        "rels": f'<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="rId1" Type="{OFFICE}/officeDocument"'
        ' Target="xl/workbook.xml"/></Relationships>',
        "workbook": f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets><sheet name="Models" sheetId="1"'
        ' r:id="rId1"/></sheets></workbook>',
        "workbook_rels": f'<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="rId1" '
        f'Type="{OFFICE}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
        "sheet": sheet(),
        **changes,
    }
    names = {
        "types": "[Content_Types].xml", "rels": "_rels/.rels", "workbook": WORKBOOK,
        "workbook_rels": "xl/_rels/workbook.xml.rels", "sheet": SHEET, "strings": STRINGS, "styles": "xl/styles.xml",
        "custom": "docProps/custom.xml",
    }  # fmt: skip
    return {names[name]: text.encode() for name, text in found.items()}


def zipped(members: dict[str, bytes] | list[tuple[str, bytes]], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, data in members.items() if isinstance(members, dict) else members:
            archive.writestr(zipfile.ZipInfo(name, (2026, 11, 24, 8, 0, 0)), data, method)
    return target.getvalue()


def central(data: bytes, name: str) -> int:
    """Return where the directory's record of a part begins."""
    at: int = struct.unpack_from("<I", data, data.rindex(b"PK\x05\x06") + 16)[0]
    while data[at : at + 4] == b"PK\x01\x02":
        names, extra, comment = struct.unpack_from("<3H", data, at + 28)
        if data[at + 46 : at + 46 + names] == name.encode():
            return at
        at += 46 + names + extra + comment
    raise LookupError(name)


def patched(data: bytes, at: int, layout: str, value: int) -> bytes:
    return data[:at] + struct.pack(layout, value) + data[at + struct.calcsize(layout) :]


def lying(data: bytes, name: str, size: int, *, both: bool) -> bytes:
    """State another unpacked size for a part, in the directory and maybe in the part's own head."""
    record = central(data, name)
    head = struct.unpack_from("<I", data, record + 42)[0]
    data = patched(data, record + 24, "<I", size)
    return patched(data, head + 22, "<I", size) if both else data


def overlapping() -> bytes:
    """Let two records of the directory point to one part."""
    data = zipped([*parts().items(), ("xl/second.xml", b"<a/>")])
    first, second = central(data, SHEET), central(data, "xl/second.xml")
    return patched(data, second + 42, "<I", struct.unpack_from("<I", data, first + 42)[0])


def renamed() -> bytes:
    """Name a part otherwise in its own head than in the directory."""
    data = zipped(parts())
    head = struct.unpack_from("<I", data, central(data, SHEET) + 42)[0]
    return data[: head + 30] + b"xl/worksheets/sheet9.xml" + data[head + 30 + len(SHEET) :]


def entity(body: str) -> str:
    return sheet().replace("<worksheet", body + "<worksheet", 1).replace("churn@1", "&e9;")


BOMB = "".join(f'<!ENTITY e{number} "{f"&e{number - 1};" * 10}">' for number in range(1, 10))
LAUGHS = f'<!DOCTYPE x [<!ENTITY e0 "lol">{BOMB}]>'
BLOWUP = f'<!DOCTYPE x [<!ENTITY e9 "{"A" * 50_000}">]>'
OUTER = '<!DOCTYPE x [<!ENTITY e9 SYSTEM "file:///etc/hostname">]>'
REMOTE = '<!DOCTYPE x [<!ENTITY % d SYSTEM "http://127.0.0.1:9/x.dtd"> %d;]>'
LONG = "x" * 32_768


def cases() -> Iterator[tuple[str, bytes, str]]:
    """Yield name, file and place of each case."""
    whole = zipped(parts())
    yield "MR-V011_empty", b"", ""
    yield "MR-V011_text", b"Model,Version\n", ""
    yield "MR-V011_cut_short", whole[: len(whole) // 2], ""
    yield "MR-V011_a_letter", zipped({"word/document.xml": b"<a/>"}), ""
    yield (
        "MR-V011_no_sheet_part",
        zipped({name: one for name, one in parts().items() if name != "xl/_rels/workbook.xml.rels"}),
        "",
    )
    yield "MR-V011_unclosed", zipped(parts(sheet=sheet()[:-20])), SHEET
    yield (
        "MR-V011_string_that_is_not_there",
        zipped(parts(sheet=sheet('<row r="6"><c r="A6" t="s"><v>9</v></c></row>'))),
        "",
    )
    yield "MR-V011_number_that_is_none", zipped(parts(sheet=sheet('<row r="6"><c r="A6"><v>x</v></c></row>'))), ""
    bad = bytearray(whole)
    bad[whole.index(SHEET.encode()) + len(SHEET) + 40] ^= 255
    yield "MR-V011_flipped_byte", bytes(bad), ""
    yield (
        "MR-V011_unknown_packing",
        patched(
            patched(whole, central(whole, SHEET) + 10, "<H", 99),
            struct.unpack_from("<I", whole, central(whole, SHEET) + 42)[0] + 8,
            "<H",
            99,
        ),
        SHEET,
    )
    yield "MR-V012_bomb", zipped([*parts().items(), ("xl/bomb.xml", b"\0" * 2**22)]), "xl/bomb.xml"
    yield "MR-V012_bomb_in_the_sheet", zipped(parts(sheet=sheet("<!--" + " " * 2**23 + "-->"))), SHEET
    yield (
        "MR-V012_many_parts",
        zipped([*parts().items(), *((f"xl/p{n}", b"") for n in range(5001))], zipfile.ZIP_STORED),
        "",
    )
    yield (
        "MR-V012_huge_in_words",
        lying(zipped([*parts().items(), ("xl/media/a.bin", b"x")]), "xl/media/a.bin", 2**31, both=True),
        "",
    )
    yield (
        "MR-V013_two_of_one_name",
        zipped([*parts().items(), ("XL/worksheets/SHEET1.xml", b"<a/>")]),
        "XL/worksheets/SHEET1.xml",
    )
    yield "MR-V013_larger_than_said", lying(whole, SHEET, 100, both=True), SHEET
    yield "MR-V013_smaller_than_said", lying(whole, SHEET, 9_000, both=True), SHEET
    yield "MR-V013_two_sizes", lying(whole, SHEET, 100, both=False), SHEET
    yield "MR-V013_overlapping", overlapping(), ""
    yield "MR-V013_two_names", renamed(), SHEET
    yield (
        "MR-V013_cell_twice",
        zipped(parts(sheet=sheet('<row r="6"><c r="A6"><v>1</v></c><c r="A6"><v>2</v></c></row>'))),
        "Models!A6",
    )
    two = (
        parts()["xl/workbook.xml"]
        .decode()
        .replace("</sheets>", '<sheet name="Models" sheetId="2" r:id="rId1"/></sheets>')
    )
    yield "MR-V013_sheet_twice", zipped(parts(workbook=two)), "Models"
    for name, body in (("laughs", LAUGHS), ("blowup", BLOWUP), ("outer_file", OUTER), ("outer_dtd", REMOTE)):
        yield f"MR-V014_{name}", zipped(parts(sheet=entity(body))), SHEET
    yield (
        "MR-V014_in_the_strings",
        zipped(parts(strings=LAUGHS + f'<sst xmlns="{MAIN}"><si><t>&e9;</t></si></sst>')),
        STRINGS,
    )
    yield "MR-V014_in_the_workbook", zipped(parts(workbook=LAUGHS + parts()[WORKBOOK].decode())), WORKBOOK
    yield "MR-V014_in_the_properties", zipped(parts(custom=LAUGHS + "<Properties/>")), "docProps/custom.xml"
    deep = "<a>" * 20_000 + "</a>" * 20_000
    yield "MR-V015_nested", zipped(parts(sheet=sheet(tail=f"<extLst>{deep}</extLst>"))), SHEET
    yield "MR-V015_nested_in_a_row", zipped(parts(sheet=sheet(f'<row r="6">{deep}</row>'))), SHEET
    yield "MR-V015_nested_properties", zipped(parts(custom=deep)), "docProps/custom.xml"
    yield (
        "MR-V016_merged_wide",
        zipped(parts(sheet=sheet(tail='<mergeCells><mergeCell ref="A1:XFD1048576"/></mergeCells>'))),
        "Models!A1:XFD1048576",
    )
    many = "".join(f'<mergeCell ref="A{row}:XFD{row}"/>' for row in range(10, 40))
    yield "MR-V016_merged_often", zipped(parts(sheet=sheet(tail=f"<mergeCells>{many}</mergeCells>"))), "Models!"
    corner = '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'
    yield "MR-V017_far_corner", zipped(parts(sheet=sheet(corner))), "Models!XFD1048576"
    yield "MR-V017_far_column", zipped(parts(sheet=sheet('<row r="6"><c r="XFD6"><v>1</v></c></row>'))), "Models!XFD6"
    yield (
        "MR-V017_beyond_the_last_row",
        zipped(parts(sheet=sheet('<row r="1048577"><c r="A1048577"><v>1</v></c></row>'))),
        "1048577",
    )
    yield "MR-V017_row_nine_million", zipped(parts(sheet=sheet('<row r="9999999"/>'))), "9999999"
    yield (
        "MR-V017_beyond_the_last_column",
        zipped(parts(sheet=sheet('<row r="6"><c r="XFE6"><v>1</v></c></row>'))),
        "XFE",
    )
    yield (
        "MR-V017_merged_beyond",
        zipped(parts(sheet=sheet(tail='<mergeCells><mergeCell ref="A1:A1048577"/></mergeCells>'))),
        "A1048577",
    )
    yield "MR-V018_long_text", zipped(parts(sheet=sheet(f'<row r="6">{text_cell("C6", LONG)}</row>'))), "Models!C6"
    yield "MR-V018_long_string", zipped(parts(strings=f'<sst xmlns="{MAIN}"><si><t>{LONG}</t></si></sst>')), STRINGS
    rich = f'<row r="6"><c r="C6" t="inlineStr"><is><r><t>{LONG[1:]}</t></r><r><t>yz</t></r></is></c></row>'
    yield "MR-V018_long_in_pieces", zipped(parts(sheet=sheet(rich))), "Models!C6"
    yield (
        "MR-V019_heading_twice",
        zipped(parts(sheet=sheet(headings=("Model", "Version", "Model", "Row id")))),
        "Models!C4",
    )
    yield (
        "MR-V019_row_id_twice",
        zipped(parts(sheet=sheet(headings=("Model", "Version", "Row id", "Row id")))),
        "Models!D4",
    )
    yield "MR-V020_encrypted", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 4096, ""
    data = zipped(parts())
    flag = central(data, SHEET) + 8
    yield "MR-V020_zip_password", patched(data, flag, "<H", 1), SHEET


if __name__ == "__main__":
    for old in HERE.glob("*.xlsx"):
        old.unlink()
    lines = []
    for name, data, place in cases():
        (HERE / f"{name}.xlsx").write_bytes(data)
        lines.append(f"{name}\t{place}\n")
    (HERE / "places.tsv").write_text("".join(lines))
