"""The mapping file as values: what a person has said about how a spreadsheet is read.

Rules held here: every key is known or refused with its place, all at once; ``"?"`` (and, for names, an empty text)
means not answered yet. Reading and writing TOML is left to ``adapters/adoption``.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from manual_registry.core.adoption import dates, versions
from manual_registry.core.adoption.headers import ASK, IGNORE, is_field
from manual_registry.core.adoption.vocabulary import FIELDS
from manual_registry.core.errors import (
    BadValue,
    FormatTooNew,
    MetadataType,
    MetadataUnknownKey,
    RegistryError,
    raise_for,
)
from manual_registry.core.values import model_name, stage, version_name

FORMAT: Final = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class TableAnswers:
    """What a person says of one table; None and absent keys mean: as the tool finds it.

    ``columns`` and ``dates`` by heading or letter.
    """

    sheet: str
    header_row: int | None = None
    use: bool | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    model: str | None = None
    fill_down: bool | None = None
    split_model: bool | None = None
    version_numbers: str | None = None
    version_dates: str | None = None
    dates: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[int, str] = field(default_factory=dict)
    stages: Mapping[int, str] = field(default_factory=dict)
    locations: Mapping[int, str] = field(default_factory=dict)
    skip_rows: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Answers:
    """A mapping file. ``sha256`` is that of the spreadsheet for which it was written, when it says so."""

    workbook: str | None = None
    sha256: str | None = None
    tables: tuple[TableAnswers, ...] = ()
    stage_words: Mapping[str, str] = field(default_factory=dict)
    model_names: Mapping[str, str] = field(default_factory=dict)


class _Checker:
    """Reads a document member by member and collects what is wrong with it."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.problems: list[RegistryError] = []

    def wrong(self, key: str, text: str, kind: type[RegistryError] = MetadataType) -> None:
        self.problems.append(kind(f"{self.where}: {key}: {text}", location=f"{self.where}: {key}"))

    def unknown(self, key: str, found: Iterable[str], known: Iterable[str]) -> None:
        names = list(known)
        for name in sorted(set(found) - set(names)):
            close = difflib.get_close_matches(name, names, n=1)
            hint = f"; did you mean {close[0]}?" if close else f"; known are {', '.join(names)}"
            self.wrong(f"{key}{name}", f"not known here{hint}", MetadataUnknownKey)

    def text(self, table: Mapping[str, Any], name: str, key: str) -> str | None:
        value = table.get(name)
        if value in (None, "", ASK):
            return None
        if not isinstance(value, str):
            self.wrong(key + name, f"text in quotes is wanted, not {value!r}")
            return None
        return value

    def truth(self, table: Mapping[str, Any], name: str, key: str) -> bool | None:
        value = table.get(name)
        if value in (None, "", ASK) or isinstance(value, bool):
            return value if isinstance(value, bool) else None
        self.wrong(key + name, f"true or false is wanted (no quotes), not {value!r}")
        return None

    def number(self, table: Mapping[str, Any], name: str, key: str) -> int | None:
        value = table.get(name)
        if value is None or value == ASK:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 1_048_576:
            self.wrong(key + name, f"a row number is wanted, not {value!r}")
            return None
        return value

    def choice(self, table: Mapping[str, Any], name: str, key: str, known: Iterable[str]) -> str | None:
        value = self.text(table, name, key)
        if value is not None and value not in known:
            self.wrong(key + name, f"{value!r} is none of {', '.join(known)}", BadValue)
            return None
        return value

    def texts(
        self, table: Mapping[str, Any], name: str, key: str, check: Callable[[str], object] | None = None
    ) -> dict[str, str]:
        """Read a table of texts; ``check`` raises one of our errors for a text that does not fit."""
        inner = table.get(name, {})
        if not isinstance(inner, dict):
            self.wrong(key + name, "a table is wanted")
            return {}
        found: dict[str, str] = {}
        for left in inner:
            value = self.text(inner, left, f"{key}{name}.")
            if value is None:
                continue
            try:
                if check:
                    check(value)
                found[left] = value
            except RegistryError as error:
                self.wrong(f"{key}{name}.{left}", error.message, type(error))
        return found

    def by_row(
        self, table: Mapping[str, Any], name: str, key: str, check: Callable[[str], object] | None = None
    ) -> dict[int, str]:
        found: dict[int, str] = {}
        for row, value in self.texts(table, name, key, check).items():
            if row.isascii() and row.isdigit():
                found[int(row)] = value
            else:
                self.wrong(f"{key}{name}.{row}", "a row number is wanted before the equals sign")
        return found


_TOP: Final = ("format", "workbook", "sha256", "table", "stages", "models")
_TABLE: Final = (
    "sheet", "header_row", "use", "columns", "model", "fill_down", "split_model", "version_numbers", "version_dates",
    "dates", "versions", "stages", "locations", "skip_rows",
)  # fmt: skip


def _check_field(name: str) -> None:
    if not is_field(name):
        close = difflib.get_close_matches(name, [*FIELDS, IGNORE], n=1)
        hint = f"; did you mean {close[0]}?" if close else f"; known are {', '.join(FIELDS)}, metrics.NAME, {IGNORE}"
        raise BadValue(f"{name!r} is no field{hint}")


def _check_order(name: str) -> None:
    if name not in dates.ORDERS:
        raise BadValue(f"{name!r} is none of {', '.join(dates.ORDERS)}")


def answers_from(document: Any, *, where: str) -> Answers:
    """Read a parsed mapping file; raises everything that is wrong with it at once, located at ``where`` and the key."""
    check = _Checker(where)
    if not isinstance(document, dict):
        raise MetadataType(f"{where}: a TOML document is wanted", location=where)
    number = document.get("format", FORMAT)
    if isinstance(number, int) and number > FORMAT:
        raise FormatTooNew(f"{where}: has format {number}; this tool knows {FORMAT}", location=where)
    check.unknown("", document, _TOP)
    listed = document.get("table", [])
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        check.wrong("table", "tables are written as [[table]]")
        listed = []
    answers = Answers(
        workbook=check.text(document, "workbook", ""),
        sha256=check.text(document, "sha256", ""),
        tables=tuple(_table(check, one, index) for index, one in enumerate(listed, 1)),
        stage_words=check.texts(document, "stages", "", stage),
        model_names=check.texts(document, "models", "", model_name),
    )
    raise_for(check.problems)
    return answers


def _table(check: _Checker, table: dict[str, Any], index: int) -> TableAnswers:
    sheet = check.text(table, "sheet", f"table {index}: ")
    key = f"table {index} ({sheet}): " if sheet else f"table {index}: "
    if sheet is None and "sheet" not in table:
        check.wrong(f"{key}sheet", "the name of the sheet is missing")
    check.unknown(key, table, _TABLE)
    rows = table.get("skip_rows", [])
    if not isinstance(rows, list) or not all(isinstance(row, int) and not isinstance(row, bool) for row in rows):
        check.wrong(f"{key}skip_rows", "a list of row numbers is wanted")
        rows = []
    return TableAnswers(
        sheet=sheet or "",
        header_row=check.number(table, "header_row", key),
        use=check.truth(table, "use", key),
        columns=check.texts(table, "columns", key, _check_field),
        model=_model(check, table, key),
        fill_down=check.truth(table, "fill_down", key),
        split_model=check.truth(table, "split_model", key),
        version_numbers=check.choice(table, "version_numbers", key, versions.NUMBERS),
        version_dates=check.choice(table, "version_dates", key, versions.DATES),
        dates=check.texts(table, "dates", key, _check_order),
        versions=check.by_row(table, "versions", key, version_name),
        stages=check.by_row(table, "stages", key, stage),
        locations=check.by_row(table, "locations", key),
        skip_rows=tuple(sorted(set(rows))),
    )


def _model(check: _Checker, table: Mapping[str, Any], key: str) -> str | None:
    name = check.text(table, "model", key)
    if name is None:
        return None
    try:
        return model_name(name)
    except RegistryError as error:
        check.wrong(f"{key}model", error.message, type(error))
        return None
