"""Number formats of a workbook: which code each cell style has, and which codes show a date."""

from __future__ import annotations

import re
from typing import Final

from manual_registry.adapters.adoption.xml import events

#: The codes that a file need not spell out (ECMA-376, 18.8.30).
_BUILT_IN: Final[dict[int, str]] = {
    0: "General",
    1: "0",
    2: "0.00",
    3: "#,##0",
    4: "#,##0.00",
    9: "0%",
    10: "0.00%",
    11: "0.00E+00",
    12: "# ?/?",
    13: "# ??/??",
    14: "mm-dd-yy",
    15: "d-mmm-yy",
    16: "d-mmm",
    17: "mmm-yy",
    18: "h:mm AM/PM",
    19: "h:mm:ss AM/PM",
    20: "h:mm",
    21: "h:mm:ss",
    22: "m/d/yy h:mm",
    37: "#,##0",
    38: "#,##0",
    39: "#,##0.00",
    40: "#,##0.00",
    45: "mm:ss",
    46: "[h]:mm:ss",
    47: "mmss.0",
    48: "##0.0E+0",
    49: "@",
}
#: Dates of East Asian programs.
_LOCAL_DATES: Final = frozenset({*range(27, 37), *range(50, 59)})
_NO_CODE: Final = re.compile(r'"[^"]*"|\\.|\[[^\]]*\]|_.|\*.')


def is_date_format(code: str) -> bool:
    """Tell whether a number of this format is shown as a date (a time of day alone is none)."""
    bare = _NO_CODE.sub("", code.split(";", 1)[0]).lower()
    return "y" in bare or "d" in bare or "mmm" in bare


def read_formats(data: bytes) -> tuple[str, ...]:
    """Return the format code of each cell style, by its index, from ``xl/styles.xml``."""
    custom: dict[int, str] = {}
    found: list[str] = []
    inside = False

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal inside
        if tag == "numFmt":
            custom[int(attributes.get("numFmtId", "0"))] = attributes.get("formatCode", "General")
        elif tag == "cellXfs":
            inside = True
        elif tag == "xf" and inside:
            number = int(attributes.get("numFmtId", "0"))
            found.append(
                custom.get(number) or _BUILT_IN.get(number) or ("yyyy-mm-dd" if number in _LOCAL_DATES else "General")
            )

    def end(tag: str, _: str) -> None:
        nonlocal inside
        if tag == "cellXfs":
            inside = False

    events(data, start=start, end=end)
    return tuple(found)
