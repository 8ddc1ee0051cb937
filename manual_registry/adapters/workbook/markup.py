"""XML read with care, and XML changed without being written anew.

Rules held here: no document type, no entity, bounded depth; an element is found with its place in the bytes, so
that a change replaces those bytes and no others. What the elements mean is left to the callers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, TypeAlias
from xml.parsers import expat

from manual_registry.adapters.workbook.errors import Trouble, WorkbookDamaged, WorkbookEntities, WorkbookNested

MAX_DEPTH: Final = 64
Start: TypeAlias = Callable[[str, dict[str, str]], None]
#: (first byte, byte behind the last, what stands there from now on).
Splice: TypeAlias = "tuple[int, int, bytes]"

_ATTRIBUTE: Final = re.compile(rb"""\s+([^\s=/>"'<]+)\s*=\s*("[^"<]*"|'[^'<]*')""")
_TAG: Final = re.compile(rb"""<[^\s/>"'<]+(?:\s+[^\s=/>"'<]+\s*=\s*(?:"[^"<]*"|'[^'<]*'))*\s*/?>""")


def ignore(*_: object) -> None:
    """Stand in for a handler that has nothing to do."""


def parse(data: bytes, start: Start, end: Callable[[str], None], text: Callable[[str], None]) -> None:
    """Run expat with local names (the element's namespace is dropped) and without entities.

    Raises :class:`Trouble`.
    """
    depth = 0
    local: dict[str, str] = {}

    def on_start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > MAX_DEPTH:
            raise Trouble(WorkbookNested, "is damaged (elements are nested too deep)")
        short = local.get(name) or local.setdefault(name, name.rpartition(" ")[2])
        start(short, attributes)

    def on_end(name: str) -> None:
        nonlocal depth
        depth -= 1
        end(local[name])

    parser = _parser()
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = on_start, on_end, text
    _run(parser, data)


def _parser() -> expat.XMLParserType:
    def refuse(*_: object) -> None:
        raise Trouble(WorkbookEntities, "is damaged (it declares a document type)")

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    return parser


def _run(parser: expat.XMLParserType, data: bytes) -> None:
    try:
        parser.Parse(data, True)
    except expat.ExpatError as broken:
        raise Trouble(WorkbookDamaged, f"is damaged ({broken})") from broken


@dataclass(kw_only=True, slots=True)
class Element:
    """One element with its place: ``start`` of its first tag, ``inside`` behind it, ``close`` of its last tag, ``end``.

    ``inside`` is ``end`` for an element written as one tag. ``name`` is ``namespace local``.
    """

    name: str
    attributes: dict[str, str]
    start: int
    inside: int = 0
    close: int = 0
    end: int = 0
    children: list[Element] = field(default_factory=list)

    @property
    def local(self) -> str:
        """The name without its namespace."""
        return self.name.rpartition(" ")[2]

    def find(self, *path: str) -> Element | None:
        """Return the first descendant at the path of local names."""
        here: Element | None = self
        for step in path:
            here = next((child for child in here.children if child.local == step), None) if here else None
        return here

    def every(self, local: str) -> Iterator[Element]:
        """Yield all descendants of that local name, in their order."""
        for child in self.children:
            if child.local == local:
                yield child
            yield from child.every(local)


def tree(data: bytes) -> Element:
    """Read a small part into elements with their places; raises :class:`Trouble`."""
    root = Element(name="", attributes={}, start=0)
    open_: list[Element] = [root]
    parser = _parser()

    def on_start(name: str, attributes: dict[str, str]) -> None:
        if len(open_) > MAX_DEPTH:
            raise Trouble(WorkbookNested, "is damaged (elements are nested too deep)")
        at = parser.CurrentByteIndex
        one = Element(name=name, attributes=attributes, start=at, inside=tag_end(data, at))
        open_[-1].children.append(one)
        open_.append(one)

    def on_end(_: str) -> None:
        one = open_.pop()
        if data[one.inside - 2 : one.inside] == b"/>":
            one.close = one.end = one.inside
        else:
            one.close = parser.CurrentByteIndex
            one.end = data.index(b">", one.close) + 1

    parser.StartElementHandler, parser.EndElementHandler = on_start, on_end
    _run(parser, data)
    return root.children[0]


def tag_end(data: bytes, start: int) -> int:
    """Return the place behind the tag that begins at ``start``; ``>`` may stand in its attributes."""
    found = _TAG.match(data, start)
    if found is None:
        raise Trouble(WorkbookDamaged, f"is damaged (an unreadable tag at byte {start})")
    return found.end()


def spliced(data: bytes, changes: Iterable[Splice]) -> bytes:
    """Return ``data`` with each stretch replaced; stretches must not overlap."""
    return b"".join(pieces(data, changes, 0, len(data)))


def pieces(data: bytes, changes: Iterable[Splice], start: int, end: int) -> list[bytes]:
    """Return the bytes from ``start`` to ``end`` with each stretch replaced, not joined: they may be many."""
    found: list[bytes] = []
    for first, last, new in sorted(changes, key=lambda change: change[:2]):
        if first < start:
            raise ValueError("changes overlap")
        found += (data[start:first], new)
        start = last
    found.append(data[start:end])
    return found


def escaped(text: str, *, quote: bool = False) -> bytes:
    """Return ``text`` as XML text, or as what stands between double quotes."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    if quote:
        text = text.replace('"', "&quot;").replace("\n", "&#10;").replace("\t", "&#9;")
    return text.replace("\r", "&#13;").encode()


def with_attribute(tag: bytes, name: str, value: str | None) -> bytes:
    """Return a start tag with one attribute set, or taken out (None); everything else in it stays as it is."""
    key = name.encode()
    new = b"" if value is None else b' %s="%s"' % (key, escaped(value, quote=True))
    for found in _ATTRIBUTE.finditer(tag):
        if found[1] == key:
            return tag[: found.start()] + new + tag[found.end() :]
    end = len(tag) - (2 if tag.endswith(b"/>") else 1)
    return tag[:end].rstrip() + new + tag[end:]


def retagged(data: bytes, element: Element, **attributes: str | None) -> Splice:
    """Return the change that sets attributes of an element's start tag."""
    tag = data[element.start : element.inside]
    for name, value in attributes.items():
        tag = with_attribute(tag, name, value)
    return element.start, element.inside, tag
