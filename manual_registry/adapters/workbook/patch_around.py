"""What stands around the rows of a sheet and is changed with them: ranges, links, dropdowns, the printed footer.

Rules held here: a range is stretched only when it begins at the table's first rows, reaches its last one, and lies in
its columns; a person's link stays where it is and leads where it leads; an element that is not named here is kept
as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from manual_registry.adapters.workbook.container import Unpatchable
from manual_registry.adapters.workbook.markup import Element, Splice, escaped, retagged, spliced
from manual_registry.adapters.workbook.patch_parts import MAIN, OFFICE, Relations, checked, root_of
from manual_registry.adapters.workbook.places import MAX_ROWS

AREA: Final = re.compile(r"(\$?)([A-Z]{1,3})(\$?)(\d+):(\$?)([A-Z]{1,3})(\$?)(\d+)")
_ROOT: Final = re.compile(rb"""<worksheet(?:\s[^<>]*)?\sxmlns=["']%s["']""" % MAIN.encode())
#: The elements of a sheet that come behind its hyperlinks.
_BEHIND_LINKS: Final = frozenset(
    (  # noqa: SIM905 - words read better as words
        "printOptions pageMargins pageSetup headerFooter rowBreaks colBreaks customProperties cellWatches ignoredErrors"
        " smartTags drawing legacyDrawing legacyDrawingHF drawingHF picture oleObjects controls webPublishItems"
        " tableParts extLst AlternateContent"
    ).split()
)


def number_of(column: str) -> int:
    """Turn ``H`` into 8."""
    found = 0
    for letter in column:
        found = found * 26 + ord(letter) - 64
    return found


def longer(heading: int, last: int, end: int, span: tuple[int, int], beyond: int = 0) -> Callable[[str], str]:
    """Return a function that stretches an area of the table down to row ``end`` (and ``beyond`` it).

    The table has its heading in row ``heading``, its last row in ``last``, and the columns ``span``.
    """

    def stretch(text: str) -> str:
        found = AREA.fullmatch(text)
        if found is None:
            return text
        top, bottom = int(found[4]), int(found[8])
        inside = number_of(found[2]) <= span[1] and number_of(found[6]) >= span[0]
        if not inside or top > heading + 1 or not last <= bottom < end:
            return text
        return text[: found.start(8)] + str(min(end + beyond, MAX_ROWS))

    return stretch


class Around:
    """A sheet part without its rows, to be changed."""

    def __init__(self, outer: bytes, cut: int, relations: Callable[[], Relations]) -> None:
        """``outer`` is the part with the rows taken out, which stood at ``cut``."""
        self.outer, self.cut, self._relations = outer, cut, relations
        if not _ROOT.search(checked(outer[:cut], "a sheet")):
            raise Unpatchable("a sheet is written in another way than usual")
        self._changes: list[Splice] = []
        self._rels: Relations | None = None
        self._tree: Element | None = None
        self._links: dict[str, Element] | None = None
        self._new_links: list[bytes] = []
        self._gone: set[int] = set()
        self._bottom = 0

    @property
    def root(self) -> Element:
        """The elements, read when needed: a large sheet may have thousands of links."""
        if self._tree is None:
            self._tree = root_of(self.outer, MAIN, "worksheet", "a sheet")
        return self._tree

    # -- ranges ---------------------------------------------------------------------------------------------

    def grow(self, table: Callable[[str], str], marks: Callable[[str], str], end: int) -> None:
        """Stretch filter and size of the sheet with ``table``, colours and dropdowns with ``marks``."""
        if (filtered := self.root.find("autoFilter")) is not None and "ref" in filtered.attributes:
            self._retag(filtered, ref=table(filtered.attributes["ref"]))
        for one in [*self.root.every("conditionalFormatting"), *self.root.every("dataValidation")]:
            if "sqref" in one.attributes:
                self._retag(one, sqref=_each(one.attributes["sqref"], marks))
            elif (inner := one.find("sqref")) is not None:  # the newer form, in an extension
                self._content(inner, _each(self._text(inner), marks))
        self.reach(end)

    def reach(self, end: int) -> None:
        """Let the size of the sheet, as it is stated, hold row ``end``."""
        self._bottom = max(self._bottom, end)

    def _place_size(self) -> None:
        if not self._bottom:
            return
        end = self._bottom
        size = self.root.find("dimension")
        found = AREA.fullmatch(size.attributes.get("ref", "")) if size is not None else None
        if size is not None and found and int(found[8]) < end:
            self._retag(size, ref=found[0][: found.start(8)] + str(end))

    def _retag(self, element: Element, **attributes: str) -> None:
        if any(element.attributes.get(name) != value for name, value in attributes.items()):
            self._changes.append(retagged(self.outer, element, **attributes))

    def _text(self, element: Element) -> str:
        return self.outer[element.inside : element.close].decode()

    def _content(self, element: Element, text: str) -> None:
        """Replace the text of an element; ``text`` is XML already."""
        if text != self._text(element):
            self._changes.append((element.inside, element.close, text.encode()))

    def column_style(self, column: int) -> int | None:
        """Return the style of a whole column, which its empty cells have."""
        for one in self.root.every("col"):
            if int(one.attributes.get("min", "0")) <= column <= int(one.attributes.get("max", "0")):
                return int(one.attributes["style"]) if "style" in one.attributes else None
        return None

    # -- dropdowns ------------------------------------------------------------------------------------------

    def choices(self, cell: str, formula: str) -> bool:
        """Give the dropdown that holds ``cell`` (the table's first in its column) another list.

        False: there is no such dropdown.
        """
        done = False
        for one in self.root.every("dataValidation"):
            if one.attributes.get("type") != "list":
                continue
            where = one.attributes.get("sqref") or (self._text(inner) if (inner := one.find("sqref")) else "")
            source = one.find("formula1", "f") or one.find("formula1")
            if source is not None and any(area == cell or area.startswith(cell + ":") for area in where.split()):
                self._content(source, escaped(formula).decode())
                done = True
        return done

    # -- links ----------------------------------------------------------------------------------------------

    @property
    def rels(self) -> Relations:
        """The sheet's relations, read when needed."""
        if self._rels is None:
            self._rels = self._relations()
        return self._rels

    def linked(self) -> dict[str, Element]:
        """Return the links of single cells."""
        if self._links is None:
            self._links = {one.attributes.get("ref", "").partition(":")[0]: one for one in self.root.every("hyperlink")}
        return self._links

    def link(self, cell: str, old: str | None, new: str | None) -> None:
        """Let a cell lead to ``new`` (None: nowhere) when it leads to ``old`` now; another link stays."""
        one = self.linked().get(cell)
        if one is None:
            if new is not None and old is None:
                self._new_links.append(self._xml(cell, self.rels.link(new)))
            return
        identity = one.attributes.get(f"{OFFICE} id", "")
        target = self.rels.target(identity)
        single = one.attributes.get("ref") == cell
        if not identity or not single or old is None or not (target == old or target.endswith("/" + old)):
            return
        shared = sum(other.attributes.get(f"{OFFICE} id") == identity for other in self.linked().values()) > 1
        if new is None:
            self._changes.append((one.start, one.end, b""))
            self._gone.add(one.start)
            if not shared:
                self.rels.remove(identity)
        elif shared:
            self._changes.append((one.start, one.end, self._xml(cell, self.rels.link(new))))
        else:
            self.rels.retarget(identity, target[: len(target) - len(old)] + new)

    def _xml(self, cell: str, identity: str) -> bytes:
        return b'<hyperlink xmlns:r="%s" ref="%s" r:id="%s"/>' % (OFFICE.encode(), cell.encode(), identity.encode())

    def count_links(self) -> int:
        """Return how many links the sheet has, new ones included."""
        return len(self.linked()) + len(self._new_links)

    def _place_links(self) -> None:
        if not self._new_links and not self._gone:
            return
        holder = self.root.find("hyperlinks")
        new = b"".join(self._new_links)
        if holder is not None and holder.inside != holder.end:
            if not new and self._gone and len(self._gone) == len(holder.children):
                self._changes = [one for one in self._changes if not holder.start <= one[0] < holder.end]
                self._changes.append((holder.start, holder.end, b""))  # an empty list of links is an error to Excel
            elif new:
                self._changes.append((holder.close, holder.close, new))
        elif new:
            if holder is not None:
                raise Unpatchable("its list of links is written in another way than usual")
            behind = [one.start for one in self.root.children if one.local in _BEHIND_LINKS and one.start >= self.cut]
            at = min(behind, default=self.root.close)
            self._changes.append((at, at, b"<hyperlinks>" + new + b"</hyperlinks>"))

    # -- the whole ------------------------------------------------------------------------------------------

    def footer(self, texts: dict[str, str]) -> None:
        """Replace texts in what is printed at head and foot of each page."""
        start = self.outer.find(b"<headerFooter", self.cut)
        end = self.outer.find(b"</headerFooter>", start)
        if start < 0 or end < 0:
            return
        old = now = self.outer[start:end]
        for was, becomes in texts.items():
            now = now.replace(escaped(was.replace("&", "&&")), escaped(becomes.replace("&", "&&")))
        if now != old:
            self._changes.append((start, end, now))

    @property
    def changed(self) -> bool:
        """Tell whether anything is different; known once it is written."""
        return bool(self._changes)

    def written(self) -> tuple[bytes, bytes]:
        """Return what comes before the rows and what comes behind them."""
        self._place_links()
        self._place_size()
        cut = self.cut
        before = [one for one in self._changes if one[1] <= cut]
        behind = [(start - cut, end - cut, new) for start, end, new in self._changes if end > cut]
        return spliced(self.outer[:cut], before), spliced(self.outer[cut:], behind)

    def relations_written(self) -> bytes | None:
        """Return the relations when they were asked for, None otherwise."""
        return self._rels.written() if self._rels is not None else None


def _each(areas: str, stretch: Callable[[str], str]) -> str:
    return " ".join(stretch(area) for area in areas.split())
