"""YAML with the scalars of YAML 1.2: what is written is what is meant.

Rules held here: `no`, `on` and dates are text (YAML 1.1 makes booleans and dates of them); a plain number
keeps the text that it was written as, so that `commit: 0012345` stays readable as text; keys are text;
doubled keys, tags of foreign types, cycles and alias bombs are refused. Which values a field takes is left to
the callers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from manual_registry.core.errors import MetadataUnreadable

if TYPE_CHECKING:
    from yaml import Event, ScalarEvent

#: How many values a document may have once every alias is written out, and how deep it may be nested.
MOST_NODES = 1_000_000
DEEPEST = 100

#: Python refuses to read longer integers; nobody means them as numbers.
LONGEST_NUMBER = 4000

_INT = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"([-+]?\.(inf|Inf|INF))|(\.(nan|NaN|NAN))")
_STR = "tag:yaml.org,2002:str"
_SEQ = "tag:yaml.org,2002:seq"
_MAP = "tag:yaml.org,2002:map"


class WrittenInt(int):
    """An integer that knows how it was written."""

    source: str


class WrittenFloat(float):
    """A floating-point number that knows how it was written."""

    source: str


def plain(value: Any) -> Any:
    """Return ``value`` with ordinary numbers in place of those that know how they were written."""
    match value:
        case WrittenInt():
            return int(value)
        case WrittenFloat():
            return float(value)
        case dict():
            return {key: plain(item) for key, item in value.items()}
        case list():
            return [plain(item) for item in value]
    return value


def parse_yaml(text: str, *, where: str) -> Any:
    """Parse one YAML document; an empty one is None.

    Raises :class:`MetadataUnreadable` located at ``where``, with the line.
    """
    import yaml

    loader: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    try:
        return _Builder(yaml.parse(text, Loader=loader), where).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise unreadable(where, error.problem or "not YAML", mark.line + 1 if mark else None) from None
    except yaml.YAMLError as error:
        raise unreadable(where, str(error).splitlines()[0], None) from None


def unreadable(where: str, why: str, line: int | None) -> MetadataUnreadable:
    """Return the error for a file that does not parse; ``line`` counts from 1."""
    place = f"{where}, line {line}" if line else where
    return MetadataUnreadable(f"{place}: {why}", location=place)


class _Builder:
    """Builds the value from the parser's events, which come without recursion however deep the nesting.

    (PyYAML's composer in C overflows the stack, and ends the process, on a few hundred kilobytes of
    brackets.) ``_count`` counts values with every alias written out.
    """

    def __init__(self, events: Iterator[Event], where: str) -> None:
        self._events = events
        self._where = where
        self._count = 0
        self._depth = 0
        self._anchors: dict[str, tuple[Any, int]] = {}

    def document(self) -> Any:
        """Return the value of the one document; None when there is none."""
        import yaml

        starts = (event for event in self._events if isinstance(event, yaml.DocumentStartEvent))
        if next(starts, None) is None:
            return None
        value = self._value(next(self._events))
        second = next(starts, None)
        if second is not None:
            raise self._fail(second, "a second document; one file describes one version")
        return value

    def _fail(self, event: Event, why: str) -> MetadataUnreadable:
        return unreadable(self._where, why, _line(event))

    def _counted(self, event: Event, number: int) -> None:
        self._count += number
        if self._count > MOST_NODES:
            raise self._fail(event, f"more than {MOST_NODES} values once its aliases are written out")

    def _value(self, event: Event) -> Any:
        import yaml

        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        before = self._count
        self._counted(event, 1)
        value = self._scalar(event) if isinstance(event, yaml.ScalarEvent) else self._collection(event)
        anchor = getattr(event, "anchor", None)
        if anchor:
            self._anchors[anchor] = (value, self._count - before)
        return value

    def _alias(self, event: Event) -> Any:
        name = getattr(event, "anchor", "")
        if name not in self._anchors:
            raise self._fail(event, f"the alias *{name} stands for nothing that is complete before it")
        value, size = self._anchors[name]
        self._counted(event, size)
        return value

    def _collection(self, event: Event) -> Any:
        import yaml

        if self._depth >= DEEPEST:
            raise self._fail(event, f"nested more than {DEEPEST} deep")
        self._depth += 1
        tag = getattr(event, "tag", None)
        value: Any
        if isinstance(event, yaml.MappingStartEvent) and tag in (None, "!", _MAP):
            value = self._mapping()
        elif isinstance(event, yaml.SequenceStartEvent) and tag in (None, "!", _SEQ):
            value = [self._value(item) for item in self._until(yaml.SequenceEndEvent)]
        else:
            raise self._fail(event, _foreign(tag))
        self._depth -= 1
        return value

    def _until(self, end: type[Event]) -> Iterator[Event]:
        for event in self._events:
            if isinstance(event, end):
                return
            yield event

    def _mapping(self) -> dict[str, Any]:
        import yaml

        own: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        lines: dict[str, int | None] = {}
        for event in self._until(yaml.MappingEndEvent):
            key, merges = self._key(event)
            if key in lines:
                raise self._fail(event, f"the key {key!r} stands twice (first in line {lines[key]})")
            lines[key] = _line(event)
            value = self._value(next(self._events))
            if merges:
                merged = self._merged(event, value)
            else:
                own[key] = value
        return merged | own

    def _key(self, event: Event) -> tuple[str, bool]:
        """Return the key as written, and whether it is the `<<` that merges another mapping in."""
        import yaml

        if not isinstance(event, yaml.ScalarEvent) or event.tag not in (None, "!", _STR):
            raise self._fail(event, "a key that is not text")
        self._counted(event, 1)
        return str(event.value), event.value == "<<" and bool(event.implicit[0])

    def _merged(self, event: Event, value: Any) -> dict[str, Any]:
        """Read `<<: *base` and `<<: [*first, *second]`.

        Earlier mappings win, the mapping's own keys over all.
        """
        sources = value if isinstance(value, list) else [value]
        if not all(isinstance(source, dict) for source in sources):
            raise self._fail(event, "'<<' merges mappings only")
        result: dict[str, Any] = {}
        for source in reversed(sources):
            result |= source
        return result

    def _scalar(self, event: ScalarEvent) -> Any:
        if event.tag not in (None, "!", _STR):
            raise self._fail(event, _foreign(event.tag))
        text = str(event.value)
        return _plain_scalar(text) if event.implicit[0] else text


def _line(event: Event) -> int | None:
    return event.start_mark.line + 1 if event.start_mark else None


def _foreign(tag: str | None) -> str:
    return f"a value of the type {tag}; write text, numbers, lists and mappings only"


def _plain_scalar(text: str) -> Any:
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if text in ("true", "True", "TRUE"):
        return True
    if text in ("false", "False", "FALSE"):
        return False
    return _number(text)


def _number(text: str) -> WrittenInt | WrittenFloat | str:
    number: WrittenInt | WrittenFloat
    if len(text) > LONGEST_NUMBER:
        return text
    if _INT.fullmatch(text):
        number = WrittenInt(text)
    elif _OCTAL.fullmatch(text):
        number = WrittenInt(text[2:], 8)
    elif _HEXADECIMAL.fullmatch(text):
        number = WrittenInt(text[2:], 16)
    elif _FLOAT.fullmatch(text):
        number = WrittenFloat(text)
    elif _SPECIAL.fullmatch(text):
        number = WrittenFloat(text.replace(".", ""))
    else:
        return text
    number.source = text
    return number
