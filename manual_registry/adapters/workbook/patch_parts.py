"""The parts beside the sheets that a change reaches: relations, styles, tables, names, document properties.

Rules held here: each function takes a part and returns it with the bytes in question replaced; a part written in a
way that is not known here is :class:`Unpatchable`.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from manual_registry.adapters.workbook.container import Unpatchable, pack, rewritten
from manual_registry.adapters.workbook.errors import Trouble
from manual_registry.adapters.workbook.looks import INK, LINK
from manual_registry.adapters.workbook.markup import Element, Splice, escaped, retagged, spliced, tree, with_attribute
from manual_registry.adapters.workbook.package import Entries, member

MAIN: Final = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
RELATIONS: Final = "http://schemas.openxmlformats.org/package/2006/relationships"
OFFICE: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_CUSTOM: Final = "http://schemas.openxmlformats.org/officeDocument/2006/custom-properties"
_VT: Final = "http://schemas.openxmlformats.org/officeDocument/2006/docPropsVTypes"
_FMTID: Final = "{D5CDD505-2E9C-101B-9397-08002B2CF9AE}"
_ENCODING: Final = re.compile(rb"""^<\?xml[^>]*encoding=["']([^"']+)["']""")
_FONT: Final = re.compile(rb'\sfontId="(\d+)"')
_FONT_LOOK: Final = re.compile(rb"<u\b[^>]*/>|<color\b[^>]*/>|<u>[^<]*</u>")
_NAMED_AREA: Final = re.compile(r"\$[A-Z]{1,3}\$\d+:\$[A-Z]{1,3}\$\d+")
#: Given an area as it is written, returns it as it shall be written.
Longer = Callable[[str], str]


def checked(data: bytes, what: str) -> bytes:
    """Return ``data`` when its bytes mean what they do in ASCII; raises ``Unpatchable``."""
    found = _ENCODING.match(data)
    if data[:1] != b"<" or (found and found[1].upper() not in {b"UTF-8", b"US-ASCII"}):
        raise Unpatchable(f"{what} is not in UTF-8")
    return data


def root_of(data: bytes, namespace: str, local: str, what: str) -> Element:
    """Read a part whose elements are written without prefix; raises ``Unpatchable``."""
    try:
        root = tree(checked(data, what))
    except Trouble as trouble:
        raise Unpatchable(f"{what} {trouble.why}") from trouble
    if root.name != f"{namespace} {local}" or not re.match(rb"<%s[\s/>]" % local.encode(), data[root.start :]):
        raise Unpatchable(f"{what} is written in another way than usual")
    return root


class Parts:
    """The parts of one file with what has been changed so far."""

    def __init__(self, data: bytes, archive: zipfile.ZipFile, entries: Entries, read: Mapping[str, bytes]) -> None:
        """``archive`` is ``data``, opened with care; ``entries`` sizes and checksums, ``read`` parts read before."""
        self._data, self._archive, self._entries = data, archive, entries
        self._changes: dict[str, list[bytes]] = {}
        self._read = dict(read)

    def __contains__(self, name: str) -> bool:
        return name in self._changes or name in self._archive.NameToInfo

    def get(self, name: str) -> bytes:
        """Return the part as it stands now."""
        if name in self._changes:
            return b"".join(self._changes[name])
        try:
            if name not in self._read:
                self._read[name] = member(self._archive, name)
            return self._read[name]
        except KeyError as missing:
            raise Unpatchable(f"part {name} is missing") from missing

    def names(self) -> list[str]:
        """Return the names of all parts as they stand now."""
        return list(dict.fromkeys([*self._archive.NameToInfo, *self._changes]))

    def every(self, folder: str) -> list[bytes]:
        """Return all parts in a folder."""
        return [
            self.get(name) for name in self.names() if name.startswith(folder) and not name.endswith(("/", ".rels"))
        ]

    def put(self, name: str, *pieces: bytes) -> None:
        """Replace or add the part; a large one comes in pieces, which are not joined."""
        if len(pieces) > 1 or name in self._changes or name not in self or pieces[0] != self.get(name):
            self._changes[name] = list(pieces)

    def written(self, name: str, last: Callable[[Entries], bytes]) -> bytes:
        """Return the whole file; parts that did not change are copied as they lie there.

        Part ``name`` is made at the end, from sizes and checksums of the others as they will be.
        """
        packed = {part: pack(pieces) for part, pieces in self._changes.items() if part != name}
        entries = {**self._entries, **{part: (one.size, one.crc) for part, one in packed.items()}}
        made = last(entries)
        if not packed and made == self.get(name):
            return self._data
        return rewritten(self._data, {**packed, name: pack([made])})


@dataclass(frozen=True, kw_only=True, slots=True)
class Patched:
    """The file as it shall be, and what the person should know about it."""

    data: bytes
    told: tuple[str, ...]


def table_grown(data: bytes, longer: Longer) -> bytes:
    """Stretch a table and its filter."""
    root = root_of(data, MAIN, "table", "a table")
    changes = [retagged(data, root, ref=longer(root.attributes.get("ref", "")))]
    if (own := root.find("autoFilter")) is not None and "ref" in own.attributes:
        changes.append(retagged(data, own, ref=longer(own.attributes["ref"])))
    return spliced(data, changes)


def names_grown(data: bytes, sheet: str, longer: Longer) -> bytes:
    """Stretch the print area and the hidden name of the filter of one sheet in the workbook part."""
    root = root_of(data, MAIN, "workbook", "the workbook part")
    sheets = [one.attributes.get("name") for one in root.every("sheet")]
    changes: list[Splice] = []
    for one in root.every("definedName"):
        ours = one.attributes.get("localSheetId") == str(sheets.index(sheet))
        if ours and one.attributes.get("name") in {"_xlnm.Print_Area", "_xlnm._FilterDatabase"}:
            old = data[one.inside : one.close].decode()
            changes.append((one.inside, one.close, _NAMED_AREA.sub(lambda area: longer(area[0]), old).encode()))
    return spliced(data, changes)


def properties_set(data: bytes, values: Mapping[str, str]) -> bytes:
    """Set document properties by name; those that are missing are added."""
    root = root_of(data, _CUSTOM, "Properties", "the document properties")
    changes: list[Splice] = []
    missing = dict(values)
    numbers = [1]
    for one in root.children:
        numbers.append(int(one.attributes.get("pid", "1")))
        value = missing.pop(one.attributes.get("name", ""), None)
        if value is None:
            continue
        if len(one.children) != 1 or one.children[0].local != "lpwstr" or one.children[0].inside == one.children[0].end:
            raise Unpatchable("the document properties are written in another way than usual")
        changes.append((one.children[0].inside, one.children[0].close, escaped(value)))
    new = b"".join(
        b'<property fmtid="%s" pid="%d" name="%s"><vt:lpwstr xmlns:vt="%s">%s</vt:lpwstr></property>'
        % (_FMTID.encode(), number, escaped(name, quote=True), _VT.encode(), escaped(value))
        for number, (name, value) in enumerate(missing.items(), max(numbers) + 1)
    )
    return spliced(data, [*changes, (root.close, root.close, new)])


class Relations:
    """The relations of one part, to be changed; ``data`` None: there are none yet."""

    def __init__(self, data: bytes | None) -> None:
        self._data = data or b'<?xml version="1.0" encoding="UTF-8"?>\n<Relationships xmlns="%s"></Relationships>' % (
            RELATIONS.encode()
        )
        self._root = root_of(self._data, RELATIONS, "Relationships", "the relations of a sheet")
        if self._root.inside == self._root.end:
            raise Unpatchable("the relations of a sheet are written in another way than usual")
        self._known = {one.attributes.get("Id", ""): one for one in self._root.children}
        self._changes: dict[str, Splice] = {}
        self._new: list[bytes] = []
        numbers = [int(one[3:]) for one in self._known if re.fullmatch(r"rId\d{1,9}", one)]
        self._number = max(numbers, default=0)

    def target(self, identity: str) -> str:
        """Return where a relation leads; empty when it is not there."""
        known = self._known.get(identity)
        return known.attributes.get("Target", "") if known else ""

    def link(self, target: str) -> str:
        """Add a hyperlink and return its id."""
        self._number += 1
        identity = f"rId{self._number}"
        self._new.append(
            b'<Relationship Id="%s" Type="%s/hyperlink" Target="%s" TargetMode="External"/>'
            % (identity.encode(), OFFICE.encode(), escaped(target, quote=True))
        )
        return identity

    def retarget(self, identity: str, target: str) -> None:
        """Let a relation lead elsewhere."""
        self._changes[identity] = retagged(self._data, self._known[identity], Target=target)

    def remove(self, identity: str) -> None:
        """Take a relation out."""
        one = self._known[identity]
        self._changes[identity] = (one.start, one.end, b"")

    def written(self) -> bytes:
        """Return the part."""
        end = self._root.close
        return spliced(self._data, [*self._changes.values(), (end, end, b"".join(self._new))])


class Styles:
    """The cell styles of the workbook, as their numbers; variants are added at the end, none is changed."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._data = parts.get("xl/styles.xml")
        root = root_of(self._data, MAIN, "styleSheet", "the styles")
        found = root.find("cellXfs")
        if found is None or found.inside == found.end:
            raise Unpatchable("the styles are written in another way than usual")
        self._list = found
        self._xfs = [self._data[one.start : one.end] for one in found.children]
        self._quoted = [one.attributes.get("quotePrefix") in {"1", "true"} for one in found.children]
        self._old = len(self._xfs)
        self._font_list = root.find("fonts")
        fonts = self._font_list.children if self._font_list else []
        self._fonts = [self._data[one.start : one.end] for one in fonts]
        self._old_fonts = len(self._fonts)

    def quoted(self, style: int) -> bool:
        """Tell whether the style marks a text that would be taken for a formula when edited."""
        return style < len(self._quoted) and self._quoted[style]

    def variant(self, style: int, *, quoted: bool) -> int:
        """Return the style that looks the same and has that mark, or has it not."""
        if style >= len(self._xfs) or self._quoted[style] == quoted:
            return style
        tag, rest = _tag_of(self._xfs[style])
        return self._added(with_attribute(tag, "quotePrefix", "1" if quoted else None) + rest, quoted)

    def linked(self, style: int, *, link: bool) -> int:
        """Return the style that is told from it by the look of a link, or by having it no more.

        A person's own underlined or coloured text is no look of ours, and stays.
        """
        if style >= len(self._xfs):
            return style
        tag, rest = _tag_of(self._xfs[style])
        number = _FONT.search(tag)
        font = self._fonts[int(number[1])] if number and int(number[1]) < len(self._fonts) else b""
        ours = LINK.encode() in font
        if not font.endswith(b"</font>") or (b"<u" in font) == link or (not link and not ours):
            return style
        plain = _FONT_LOOK.sub(b"", font).removesuffix(b"</font>")
        ink = f'<color rgb="FF{LINK if link else INK}"/>'.encode()
        new = plain + ink + (b'<u val="single"/>' if link else b"") + b"</font>"
        if new not in self._fonts:
            self._fonts.append(new)
        tag = with_attribute(tag, "fontId", str(self._fonts.index(new)))
        return self._added(with_attribute(tag, "applyFont", "1") + rest, self._quoted[style])

    def _added(self, xf: bytes, quoted: bool) -> int:
        if xf not in self._xfs:
            self._xfs.append(xf)
            self._quoted.append(quoted)
        return self._xfs.index(xf)

    def save(self) -> None:
        """Put the styles back among the parts when there are new ones."""
        if len(self._xfs) > self._old:
            changes = _appended(self._data, self._list, self._xfs[self._old :])
            if self._font_list is not None:
                changes += _appended(self._data, self._font_list, self._fonts[self._old_fonts :])
            self._parts.put("xl/styles.xml", spliced(self._data, changes))


def _tag_of(xf: bytes) -> tuple[bytes, bytes]:
    end = xf.index(b">") + 1
    return xf[:end], xf[end:]


def _appended(data: bytes, holder: Element, new: list[bytes]) -> list[Splice]:
    if not new:
        return []
    count = retagged(data, holder, count=str(len(holder.children) + len(new)))
    return [count, (holder.close, holder.close, b"".join(new))]


def calculation_removed(data: bytes, sheet: int, cells: set[str]) -> bytes:
    """Take cells that hold no formula any more out of the calculation chain; ``sheet`` is the sheet's own id."""
    root = root_of(data, MAIN, "calcChain", "the calculation chain")
    changes: list[Splice] = []
    here, removed = 0, False
    for one in root.children:
        said = one.attributes.get("i")
        here = int(said) if said is not None else here
        if here == sheet and one.attributes.get("r") in cells:
            changes.append((one.start, one.end, b""))
            removed = True
        elif removed and said is None:  # it took the sheet's number from the one before
            changes.append(retagged(data, one, i=str(here)))
            removed = False
        else:
            removed = removed and said is None
    return spliced(data, changes)


def opened_parts(data: bytes, entries: Entries, read: Mapping[str, bytes]) -> Parts:
    """Return the parts of a file that was read before (and so has passed all checks)."""
    return Parts(data, zipfile.ZipFile(io.BytesIO(data)), entries, read)
