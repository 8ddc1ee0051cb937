"""Tables and sections of text, for people: rich on a terminal, plain aligned text elsewhere."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from manual_registry.cli.output import STAGE_COLOURS, clean, style

#: How many columns of a table name its rows.
NAMING = 2


def width(text: str) -> int:
    """Return the columns that ``text`` takes on a screen."""
    if text.isascii():
        return len(text)
    return sum(_columns(char) for char in text)


def _columns(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def pad(text: str, columns: int) -> str:
    """Fill ``text`` up with spaces."""
    return text + " " * max(0, columns - width(text))


def table(headers: Sequence[str], rows: Iterable[Sequence[object]], *, capitals: bool = True) -> list[str]:
    """Return the lines of a table; cells are cleaned and never read as markup.

    ``capitals``: headings that are words stand in capitals where there is no terminal.
    """
    cells = [[cell_text(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        return _rich_table(headers, cells)
    return plain_table([header.upper() for header in headers] if capitals else headers, cells)


def plain_table(headers: Sequence[str], cells: Sequence[Sequence[str]]) -> list[str]:
    """Return left-aligned columns two spaces apart."""
    rows = [[clean(header) for header in headers], *cells]
    widths = [max(width(row[index]) for row in rows) for index in range(len(headers))]
    return ["  ".join(pad(cell, columns) for cell, columns in zip(row, widths, strict=True)).rstrip() for row in rows]


def _rich_table(headers: Sequence[str], cells: Sequence[Sequence[str]]) -> list[str]:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=SIMPLE_HEAD, pad_edge=False)
    for index, header in enumerate(headers):
        # The first columns name the row: they are never broken, however narrow the terminal.
        shown.add_column(Text(header), overflow="fold", no_wrap=index < NAMING)
    for row in cells:
        shown.add_row(*(Text(cell, style=STAGE_COLOURS.get(cell, "")) for cell in row))
    console = Console(markup=False, highlight=False)
    with console.capture() as capture:
        console.print(shown)
    return capture.get().rstrip("\n").split("\n")


def cell_text(value: object) -> str:
    """Return a value as one line."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{clean(key)}={cell_text(item)}" for key, item in value.items()) or "-"
    if isinstance(value, list | tuple):
        return "; ".join(cell_text(item) for item in value) or "-"
    return clean(value) or "-"


def moment(stamp: object) -> str:
    """Return a time stamp to the second, fit for a column; anything else as it is."""
    text = clean(stamp) if stamp is not None else "-"
    if len(text) >= 20 and text[10:11] == "T" and text.endswith("Z"):
        return f"{text[:10]} {text[11:19]}Z"
    return text


def size_text(count: int) -> str:
    """Return a number of bytes for people."""
    amount = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "bytes" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def stage_text(stage: object) -> str:
    """Return a stage in its colour."""
    text = clean(stage)
    return style(text, STAGE_COLOURS.get(text))


def heading(text: str) -> str:
    """Return a section's heading."""
    return style(clean(text), bold=True)


def fields(pairs: Mapping[str, object], *, indent: int = 0) -> list[str]:
    """Return ``name  value`` lines, aligned, nested values indented below their name."""
    flat = {name: value for name, value in pairs.items() if not _nested(value)}
    columns = max((width(_label(name)) for name in flat), default=0)
    lines: list[str] = []
    for name, value in pairs.items():
        if name in flat:
            lines += _field(_label(name), value, columns, indent)
        else:
            lines.append(" " * indent + _label(name))
            lines += nested(value, indent=indent + 2)
    return lines


def _field(name: str, value: object, columns: int, indent: int) -> list[str]:
    start = " " * indent + pad(name, columns) + "  "
    if not isinstance(value, str) or "\n" not in value:
        return [start + cell_text(value)]
    first, *rest = clean(value, lines=True).rstrip("\n").split("\n")
    return [start + first, *(" " * len(start) + line for line in rest)]


def _label(name: object) -> str:
    return clean(name)


def _nested(value: object) -> bool:
    if isinstance(value, Mapping):
        return bool(value)
    return isinstance(value, list | tuple) and any(isinstance(item, Mapping | list | tuple) for item in value)


def nested(value: object, *, indent: int) -> list[str]:
    """Return a mapping as fields, a list as items that begin with a dash."""
    if isinstance(value, Mapping):
        return fields(value, indent=indent)
    if not isinstance(value, list | tuple):
        return [" " * indent + cell_text(value)]
    lines: list[str] = []
    for item in value:
        below = nested(item, indent=indent + 2)
        first = below[0][indent + 2 :] if below else "-"
        lines += [" " * indent + "- " + first, *below[1:]]
    return lines


def _told(value: object) -> bool:
    return value is not None and value not in ("", [], {})


def _shown(value: object) -> object:
    """Leave out, at any depth, what holds nothing."""
    if isinstance(value, Mapping):
        return {name: kept for name, item in value.items() if _told(kept := _shown(item))}
    if isinstance(value, list | tuple):
        return [kept for item in value if _told(kept := _shown(item))]
    return value


def sections(document: Mapping[str, object], *, first: Sequence[str] = ()) -> list[str]:
    """Return a document: single values on top (``first`` leading), a section for each part, nothing that is empty."""
    rest = {name: kept for name, value in document.items() if name != "schema" and _told(kept := _shown(value))}
    ordered = {name: rest[name] for name in (*first, *rest) if name in rest}
    lines = fields({name: value for name, value in ordered.items() if not _nested(value)})
    for name, value in ordered.items():
        if _nested(value):
            lines += ["", heading(name), *nested(value, indent=2)]
    return lines
