"""What a save with openpyxl would drop from a workbook, in words for the person whose work it is.

A whitelist: parts and elements that our own rendering has, or that Excel and LibreOffice write into every
file and make anew on the next save. Comments keep their text (their size may change). Everything else is
named, and the caller sets the file aside before saving.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from manual_registry.adapters.workbook.package import Entries, fingerprint
from manual_registry.adapters.workbook.places import place
from manual_registry.adapters.workbook.read import Book

_PARTS: Final = re.compile(
    r"""\[Content_Types\]\.xml|_rels/\.rels|docProps/(app|core|custom)\.xml|docProps/thumbnail\.\w+
    |xl/(workbook|styles|sharedStrings|calcChain)\.xml|xl/theme/theme\d*\.xml|xl/_rels/workbook\.xml\.rels
    |xl/worksheets/sheet\d+\.xml|xl/worksheets/_rels/sheet\d+\.xml\.rels|xl/tables/table\d+\.xml
    |xl/printerSettings/printerSettings\d+\.bin|.*/
    |xl/comments\d+\.xml|xl/comments/comment\d+\.xml|xl/drawings/(vmlDrawing|commentsDrawing)\d+\.vml""",
    re.VERBOSE | re.IGNORECASE,
)
# A drawing is told by its parts.
_ELEMENTS: Final = frozenset(
    (  # noqa: SIM905 - words read better as words
        "sheetPr dimension sheetViews sheetFormatPr cols sheetData sheetProtection autoFilter mergeCells"
        " conditionalFormatting dataValidations hyperlinks printOptions pageMargins pageSetup headerFooter"
        " rowBreaks colBreaks ignoredErrors drawing legacyDrawing tableParts phoneticPr sheetCalcPr"
    ).split()
)
#: The custom property that holds :func:`unlisted_mark`.
UNLISTED: Final = "manual-registry.kept-parts"
#: Part of a name -> what people call it; the first that fits counts.
_WORDS: Final = (
    ("threadedcomment", "threaded comments"),
    ("persons/", "threaded comments"),
    ("chart", "charts"),
    ("media/", "images"),
    ("drawings/", "drawings"),
    ("pivot", "pivot tables"),
    ("slicer", "slicers"),
    ("timeline", "timelines"),
    ("vbaproject", "macros"),
    ("externallink", "links to other workbooks"),
    ("customxml", "custom XML (SharePoint properties)"),
    ("docmetadata", "a sensitivity label"),
    ("connections", "data connections"),
    ("querytable", "data connections"),
    ("embeddings", "embedded objects"),
    ("activex", "controls"),
    ("ctrlprops", "controls"),
    ("revisions", "shared-workbook revisions"),
    ("richdata", "linked data types"),
    ("legacydrawinghf", "pictures in header or footer"),
    ("metadata", "dynamic-array formulas"),
    ("extlst", "newer formatting (sparklines, icon sets, dropdowns from other sheets)"),
    ("drawing", "drawings"),
    ("alternatecontent", "controls"),
    ("picture", "a background picture"),
)


def _word(name: str) -> str:
    lowered = name.lower()
    return next((word for part, word in _WORDS if part in lowered), name)


def unlisted(entries: Iterable[str]) -> list[str]:
    """Return the parts that our own rendering never has."""
    return sorted(part for part in entries if not _PARTS.fullmatch(part))


def unlisted_mark(entries: Entries) -> str:
    """Return a hash over the unlisted parts.

    Written at each save: a file whose parts are still those that openpyxl wrote loses nothing when openpyxl
    writes it again, so that it is not set aside time after time.
    """
    return fingerprint({part: entries[part] for part in unlisted(entries)})


def losses(book: Book) -> tuple[str, ...]:
    """Return what would be dropped, each once, in words; empty when openpyxl keeps all."""
    strange = unlisted(book.entries)
    kept = book.properties.get(UNLISTED) == unlisted_mark(book.entries)
    found = [] if kept else [_word(part) for part in strange]
    for grid in book.grids.values():
        if grid.part and grid.part not in book.entries:
            found.append(f"sheet {grid.name}")
        found += [_word(name) for name in sorted(grid.features - _ELEMENTS)]
        stored = sorted(spot for spot in grid.formulas if not is_age(grid.cells[spot[0]][spot[1]]))
        if stored:
            more = " and more" if stored[1:] else ""
            found.append(f"stored results of formulas ({place(grid.name, *stored[0])}{more})")
    if book.phonetic:
        found.append("phonetic guides")
    return tuple(dict.fromkeys(found))


def is_age(value: object) -> bool:
    """Tell whether a cell holds our own formula for the age of the view."""
    return str(value).replace(" ", "").upper().startswith("=MAX(0,TODAY()-DATE(")
