"""Model cards written in Markdown: the text under headings named like the six fields.

Rules held here: a heading counts when it reads like a field, whatever its level, case, number in front or
colon behind; its text goes on to the next heading of the same or a higher level, or to the next field. Front
matter, fenced code and comments are no headings; a comment alone is no content.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from manual_registry.adapters.documents import decode_text
from manual_registry.core.metadata import CARD_FIELDS

_ATX = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))?[ \t]*#*[ \t]*")
_SETEXT = re.compile(r" {0,3}(=+|-+)[ \t]*")
_FENCE = re.compile(r" {0,3}(```+|~~~+)")
_FRONT_MATTER = re.compile(r"\A---[ \t]*\n.*?\n(---|\.\.\.)[ \t]*(\n|\Z)", re.DOTALL)
_COMMENT = re.compile(r"<!--.*?(-->|\Z)", re.DOTALL)
_NUMBER = re.compile(r"^[0-9]+(\.[0-9]+)*[.)]?\s+")


def is_markdown(name: str) -> bool:
    """Tell whether a card of this file name is read as Markdown."""
    return Path(name).suffix.lower() in (".md", ".markdown", ".txt")


def markdown_card(data: bytes, *, where: str) -> dict[str, str]:
    """Return the fields found, with their text as written.

    Raises ``MetadataUnreadable`` when it is not UTF-8.
    """
    text = decode_text(data, where=where).replace("\r\n", "\n")
    found: dict[str, list[str]] = {}
    current: str | None = None
    depth = 0
    for level, heading, line in _lines(_COMMENT.sub("", _FRONT_MATTER.sub("", text))):
        if level:
            name = _field(heading)
            if name or level <= depth:
                current, depth = name, level if name else 0
                continue
        if current:
            found.setdefault(current, []).append(line)
    return {name: "\n".join(lines).strip() for name, lines in found.items()}


def _field(heading: str) -> str | None:
    words = _NUMBER.sub("", heading.strip().strip("*_`:").strip()).rstrip(":")
    name = re.sub(r"[\s_-]+", "_", words.strip().lower())
    return name if name in CARD_FIELDS else None


def _lines(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield (heading level or 0, heading text, line); a heading underlined with = or - comes as one."""
    lines = text.split("\n")
    fence = ""
    index = 0
    while index < len(lines):
        line = lines[index]
        following = lines[index + 1] if index + 1 < len(lines) else ""
        index += 1
        mark = _FENCE.match(line)
        if mark and (not fence or mark[1].startswith(fence)):
            fence = "" if fence else mark[1]
        atx = None if fence or mark else _ATX.fullmatch(line)
        if atx:
            yield len(atx[1]), atx[2] or "", line
        elif not fence and _field(line) and _SETEXT.fullmatch(following):
            index += 1
            yield 1 if "=" in following else 2, line, line
        else:
            yield 0, "", line
