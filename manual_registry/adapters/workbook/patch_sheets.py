"""A sheet of the tool added to a person's file: one that was deleted, or that an earlier release did not have.

Rules held here: the sheet is rendered as in a new workbook, and its styles are added behind those of the file, which
keep their numbers; it becomes the last tab. The hidden sheet with long lists for dropdowns is added in the same way.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

from manual_registry.adapters.workbook.container import Unpatchable
from manual_registry.adapters.workbook.layout import CHOICES, HEADING_ROW
from manual_registry.adapters.workbook.markup import Element, Splice, escaped, retagged, spliced, with_attribute
from manual_registry.adapters.workbook.package import WORKBOOK
from manual_registry.adapters.workbook.patch_parts import MAIN, OFFICE, RELATIONS, Parts, root_of
from manual_registry.adapters.workbook.patch_rows import cell_xml
from manual_registry.adapters.workbook.places import letters, position
from manual_registry.core.view import View

_TYPES: Final = "http://schemas.openxmlformats.org/package/2006/content-types"
_KIND: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml."
_WORKBOOK_RELS: Final = "xl/_rels/workbook.xml.rels"
_STYLES: Final = "xl/styles.xml"
_STYLED: Final = re.compile(rb'<c r="([A-Z]+\d+)" s="(\d+)"')
_LINKED: Final = re.compile(rb'<hyperlink [^>]*\bref="([A-Z]+\d+)"')


def add_sheets(parts: Parts, new: View, names: Iterable[str]) -> None:
    """Add sheets of ``new`` by name; raises ``Unpatchable``."""
    for name in names:
        _add_rendered(parts, name, _rendered(new, name))


def _rendered(new: View, name: str) -> dict[str, bytes]:
    """Return the parts of a new workbook that holds one sheet."""
    from manual_registry.adapters.workbook.render import render_bytes

    alone = replace(new, sheets=tuple(one for one in new.sheets if one.name == name), read_me=())
    with zipfile.ZipFile(io.BytesIO(render_bytes(alone))) as archive:
        return {part: archive.read(part) for part in archive.namelist()}


def body_styles(parts: Parts, new: View, name: str) -> dict[tuple[str, bool], int]:
    """Add the styles of a new rendering of a sheet that has no row yet to those of the file.

    Returns (heading, with a link) -> style, for what stands in its first rows.
    """
    made = _rendered(new, name)
    shift, _ = _merge_styles(parts, made[_STYLES])
    sheet = made["xl/worksheets/sheet1.xml"]
    headers = [column.header for one in new.sheets if one.name == name for column in one.columns]
    links = {found[1] for found in _LINKED.finditer(sheet)}
    styles: dict[tuple[str, bool], int] = {}
    for found in _STYLED.finditer(sheet):
        column, row = position(found[1].decode())[::-1]
        if row > HEADING_ROW and column <= len(headers):
            styles.setdefault((headers[column - 1], found[1] in links), shift(int(found[2])))
    return styles


def _add_rendered(parts: Parts, name: str, made: dict[str, bytes]) -> None:
    sheet, rels = made["xl/worksheets/sheet1.xml"], made["xl/worksheets/_rels/sheet1.xml.rels"]
    if b"_choices!" in sheet:
        raise Unpatchable(f"sheet {name} needs a list that the file does not have")
    shift, marks = _merge_styles(parts, made[_STYLES])
    sheet = re.sub(rb'(<c r="[A-Z]+\d+" s=")(\d+)"', lambda found: b'%s%d"' % (found[1], shift(int(found[2]))), sheet)
    sheet = re.sub(rb'(<col [^>]*style=")(\d+)"', lambda found: b'%s%d"' % (found[1], shift(int(found[2]))), sheet)
    sheet = re.sub(rb'(<cfRule [^>]*dxfId=")(\d+)"', lambda found: b'%s%d"' % (found[1], int(found[2]) + marks), sheet)
    table, number = _free(parts, "xl/tables/table{}.xml")
    parts.put(table, _renumbered(parts, made["xl/tables/table1.xml"], number))
    part = add_part(parts, name, sheet, "visible")
    parts.put(
        f"xl/worksheets/_rels/{part.rpartition('/')[2]}.rels",
        rels.replace(b"/xl/tables/table1.xml", b"/" + table.encode()),
    )
    _declare(parts, table, f"{_KIND}table+xml")


def add_lists(parts: Parts, lists: list[tuple[str, ...]]) -> None:
    """Add the hidden sheet with lists that are too long for a cell, each in a column of its own."""
    rows = []
    for row in range(1, max(map(len, lists)) + 1):
        cells = [
            cell_xml(f"{letters(column)}{row}", None, one[row - 1])
            for column, one in enumerate(lists, 1)
            if row <= len(one)
        ]
        rows.append(f'<row r="{row}">{"".join(cells)}</row>')
    sheet = f'<worksheet xmlns="{MAIN}"><sheetData>{"".join(rows)}</sheetData></worksheet>'
    add_part(parts, CHOICES, sheet.encode(), "hidden")


def add_part(parts: Parts, name: str, sheet: bytes, state: str) -> str:
    """Add a sheet as the last tab and return the name of its part."""
    part, _ = _free(parts, "xl/worksheets/sheet{}.xml")
    parts.put(part, sheet)
    _declare(parts, part, f"{_KIND}worksheet+xml")
    rels = parts.get(_WORKBOOK_RELS)
    root = root_of(rels, RELATIONS, "Relationships", "the relations of the workbook")
    known = {one.attributes.get("Id", "") for one in root.children}
    identity = next(f"rId{number}" for number in range(1, len(known) + 2) if f"rId{number}" not in known)
    entry = f'<Relationship Id="{identity}" Type="{OFFICE}/worksheet" Target="/{part}"/>'
    parts.put(_WORKBOOK_RELS, _appended(rels, root, entry.encode()))
    data = parts.get(WORKBOOK)
    holder = root_of(data, MAIN, "workbook", "the workbook part").find("sheets")
    if holder is None:
        raise Unpatchable("the workbook part is written in another way than usual")
    number = 1 + max((int(one.attributes.get("sheetId", "0")) for one in holder.children), default=0)
    entry = f'<sheet xmlns:r="{OFFICE}" name="{escaped(name, quote=True).decode()}" sheetId="{number}"'
    entry += f' state="{state}" r:id="{identity}"/>'
    parts.put(WORKBOOK, _appended(data, holder, entry.encode()))
    return part


def _free(parts: Parts, pattern: str) -> tuple[str, int]:
    number = next(number for number in range(1, 10_000) if pattern.format(number) not in parts)
    return pattern.format(number), number


def _appended(data: bytes, holder: Element, new: bytes) -> bytes:
    if holder.inside == holder.end:
        raise Unpatchable("an empty list is written in another way than usual")
    return spliced(data, [(holder.close, holder.close, new)])


def _declare(parts: Parts, part: str, kind: str) -> None:
    types = parts.get("[Content_Types].xml")
    root = root_of(types, _TYPES, "Types", "the list of parts")
    parts.put(
        "[Content_Types].xml", _appended(types, root, f'<Override PartName="/{part}" ContentType="{kind}"/>'.encode())
    )


def _renumbered(parts: Parts, table: bytes, number: int) -> bytes:
    """Give a table an id and a name that no other has."""
    root = root_of(table, MAIN, "table", "a table")
    others = [root_of(data, MAIN, "table", "a table").attributes for data in parts.every("xl/tables/")]
    identity = 1 + max((int(one.get("id", "0")) for one in others), default=0)
    name, taken = root.attributes["displayName"], {one.get("displayName", "").lower() for one in others}
    if name.lower() in taken:
        name = f"{name}_{number}"
    return spliced(table, [retagged(table, root, id=str(identity), name=name, displayName=name)])


def _merge_styles(parts: Parts, made: bytes) -> tuple[Callable[[int], int], int]:
    """Add the styles of a rendering; return how its cell styles are numbered now, and what its marks are shifted by."""
    data = parts.get(_STYLES)
    ours, theirs = (root_of(one, MAIN, "styleSheet", "the styles") for one in (made, data))
    shifts: dict[str, int] = {}
    changes: list[Splice] = []
    forms = _forms(made, ours, theirs)
    for local in ("fonts", "fills", "borders", "cellXfs", "dxfs"):
        source, target = ours.find(local), theirs.find(local)
        if source is None:
            continue
        if target is None:
            raise Unpatchable("the styles are written in another way than usual")
        shifts[local] = len(target.children)
        pieces = [made[one.start : one.end] for one in source.children]
        if local == "cellXfs":
            pieces = [_shifted(piece, one, shifts, forms) for piece, one in zip(pieces, source.children, strict=True)]
        changes.append(_grown(data, target, local, pieces))
    if (new := [xml for _, xml in forms.values()]) and (holder := theirs.find("numFmts")) is not None:
        changes.append(_grown(data, holder, "numFmts", new))
    elif new:
        at = theirs.inside
        changes.append((at, at, b'<numFmts count="%d">%s</numFmts>' % (len(new), b"".join(new))))
    parts.put(_STYLES, spliced(data, changes))
    return lambda style: style + shifts["cellXfs"], shifts.get("dxfs", 0)


def _forms(made: bytes, ours: Element, theirs: Element) -> dict[str, tuple[str, bytes]]:
    """Return the number formats of the rendering: old id -> (new id, its XML)."""
    known = [int(one.attributes.get("numFmtId", "0")) for one in theirs.every("numFmt")]
    first = 1 + max([163, *known])
    holder = ours.find("numFmts")
    return {
        one.attributes["numFmtId"]: (
            str(number),
            with_attribute(made[one.start : one.end], "numFmtId", str(number)),
        )
        for number, one in enumerate(holder.children if holder else (), first)
    }


def _shifted(xf: bytes, element: Element, shifts: dict[str, int], forms: dict[str, tuple[str, bytes]]) -> bytes:
    tag, rest = xf[: element.inside - element.start], xf[element.inside - element.start :]
    for name, local in (("fontId", "fonts"), ("fillId", "fills"), ("borderId", "borders")):
        tag = with_attribute(tag, name, str(int(element.attributes.get(name, "0")) + shifts[local]))
    form = element.attributes.get("numFmtId", "0")
    return with_attribute(with_attribute(tag, "numFmtId", forms.get(form, (form, b""))[0]), "xfId", "0") + rest


def _grown(data: bytes, holder: Element, local: str, new: list[bytes]) -> Splice:
    """Return the change that adds ``new`` at the end of a list, and counts again."""
    tag = with_attribute(data[holder.start : holder.inside], "count", str(len(holder.children) + len(new)))
    if tag.endswith(b"/>"):
        tag = tag[:-2].rstrip() + b">"
    inside = data[holder.inside : holder.close] if holder.inside != holder.end else b""
    return holder.start, holder.end, b"".join((tag, inside, *new, b"</%s>" % local.encode()))
