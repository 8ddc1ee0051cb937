"""The text of a trace: first the paragraph for an incident ticket, then a line per link."""

from __future__ import annotations

import sys
import textwrap

from manual_registry.cli.output import clean, style
from manual_registry.cli.tables import pad
from manual_registry.core.links import LINK_KINDS, LinkStatus, Trace, TraceLink

#: Status -> word, colour. Words, not signs: they survive a ticket system and a screen reader.
WORDS: dict[LinkStatus, tuple[str, str]] = {
    LinkStatus.VERIFIED: ("verified", "green"),
    LinkStatus.RECORDED: ("recorded", "cyan"),
    LinkStatus.MISSING: ("MISSING", "yellow"),
    LinkStatus.BROKEN: ("BROKEN", "red"),
    LinkStatus.NOT_APPLICABLE: ("n/a", "bright_black"),
}
_MARKS = {
    LinkStatus.VERIFIED: ("✓", "+"),
    LinkStatus.RECORDED: ("·", "."),
    LinkStatus.MISSING: ("?", "?"),
    LinkStatus.BROKEN: ("✗", "!"),
    LinkStatus.NOT_APPLICABLE: ("-", "-"),
}
_KIND_WIDTH = max(map(len, LINK_KINDS))


def trace_lines(trace: Trace, *, plain: bool = False) -> list[str]:
    """Return the lines; ``plain`` (for a file) leaves out colour and wrapping."""
    lines = [*_paragraph(trace.paragraph, plain), ""]
    lines += [_link_line(link, plain) for link in trace.links]
    verdict = f"complete: {_yes(trace.complete)}; verified: {_yes(trace.verified)}"
    return [*lines, "", f"{clean(trace.composite_id)}", verdict]


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _paragraph(text: str, plain: bool) -> list[str]:
    # On a pipe the paragraph stays one line: ticket systems wrap by themselves.
    if plain or not sys.stdout.isatty():
        return [clean(text)]
    import shutil

    columns = min(100, shutil.get_terminal_size().columns)
    return textwrap.wrap(clean(text), columns, break_on_hyphens=False, break_long_words=False)


def _link_line(link: TraceLink, plain: bool) -> str:
    word, colour = WORDS[link.status]
    start = f"{_mark(link.status, plain)} {pad(word, 8)}"
    shown = start if plain else style(start, colour)
    return f"{shown}  {pad(clean(link.kind), _KIND_WIDTH)}  {clean(link.summary)}"


def _mark(status: LinkStatus, plain: bool) -> str:
    fancy, simple = _MARKS[status]
    encoding = "utf-8" if plain else (sys.stdout.encoding or "ascii")
    try:
        fancy.encode(encoding)
    except UnicodeEncodeError:
        return simple
    return fancy
