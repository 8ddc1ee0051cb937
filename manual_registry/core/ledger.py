"""The ledger chain as values: event files in, a checked sequence of events out.

Rules held here (design 3.1, clause RP-13): an event file is RFC 8785 canonical JSON and LF with the eight members of
:class:`Event`; ``prev`` is the SHA-256 of the whole previous file, null in the first; numbers have no gap. What an
event means is left to :mod:`manual_registry.core.state`, whether it was allowed to :mod:`manual_registry.core.decide`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from json.scanner import make_scanner
from typing import Any

from manual_registry.core.canonical import dump, parse, whole_number
from manual_registry.core.errors import ChainBroken, EventMissing, EventUnreadable, FormatTooNew, Json, RegistryError

FORMAT = 1
#: The members as RFC 8785 orders them, and their kinds (``prev`` is null in the first event).
_ORDER = ("actor", "at", "data", "format", "prev", "seq", "subject", "type")
_KINDS = frozenset({(str, str, dict, int, prev, int, dict, str) for prev in (str, type(None))})
_MEMBERS = frozenset(_ORDER)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_int=whole_number, parse_constant=_no_constant)
_SCAN = make_scanner(_DECODER)  # type: ignore[arg-type]  # typeshed names the wrong class
#: So many event files are parsed as one text.
_TOGETHER = 32
#: Far above what one event of ours needs; a file that is larger is no event.
LARGEST = 1 << 26
#: ``canonical.encode`` takes a person's values 100 deep, below a few levels of our own.
_DEEPEST = 120


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """One event as it stands in the ledger.

    ``hash`` is ``sha256:…`` of the whole file; ``subject`` may name model, version, approver, pipeline; ``data`` is as
    docs/events.md says for ``type``.
    """

    seq: int
    prev: str | None
    at: str
    actor: str
    type: str
    subject: Mapping[str, Any]
    data: Mapping[str, Any]
    hash: str
    raw: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """An event that is not written yet: what its writer decides; place and time come from the chain."""

    type: str
    subject: Mapping[str, Any]
    data: Mapping[str, Any]


def file_name(seq: int) -> str:
    """Return the name of the file of event ``seq``: ``000000000001.json``."""
    return f"{seq:012d}.json"


def hash_of(raw: bytes) -> str:
    """Return the chain hash of an event file: ``sha256:…``."""
    return "sha256:" + hashlib.sha256(raw).hexdigest()


def seal(draft: Draft, *, seq: int, prev: str | None, at: str, actor: str) -> Event:
    """Give a draft its place in the chain; returns the event with its bytes and hash."""
    document: dict[str, Json] = {
        "format": FORMAT,
        "seq": seq,
        "prev": prev,
        "at": at,
        "actor": actor,
        "type": draft.type,
        "subject": dict(draft.subject),
        "data": dict(draft.data),
    }
    # Read back from its bytes, so that what is decided and folded now is what every later reader will see.
    return parse_event(dump(document), location=f"ledger/{file_name(seq)}")


def parse_event(raw: bytes, *, location: str) -> Event:
    """Read one event file; raises :class:`EventUnreadable` or :class:`FormatTooNew`, located at the file."""
    try:
        document = _decoded(raw.decode("utf-8"))
        if b"\\" in raw and b"\\u" in raw:  # the first alone is ten times faster, and mostly enough
            json.dumps(document, ensure_ascii=False).encode()  # lone surrogates have no bytes
    except (ValueError, RecursionError):
        raise EventUnreadable(f"{location} is not JSON", location=location) from None
    return _event(raw, document, hash_of(raw), location)


def _event(raw: bytes, document: Any, digest: str, location: str) -> Event:
    if not isinstance(document, dict) or len(raw) > LARGEST or _too_deep(raw, document):
        raise EventUnreadable(f"{location} is not an event", location=location)
    if tuple(document) != _ORDER or tuple(map(type, document.values())) not in _KINDS or document["format"] != FORMAT:
        _refuse_form(document, location)
    return Event(
        seq=document["seq"],
        prev=document["prev"],
        at=document["at"],
        actor=document["actor"],
        type=document["type"],
        subject=document["subject"],
        data=document["data"],
        hash=digest,
        raw=raw,
    )


def _refuse_form(document: dict[str, Any], location: str) -> None:
    """Raise what is wrong with the members; nothing is when they only stand in another order."""
    version = document.get("format")
    if isinstance(version, int) and version > FORMAT:
        raise FormatTooNew(
            f"{location} has format {version}; this tool knows {FORMAT}",
            location=location,
            hint="pip install -U manual-registry",
        )
    if document.keys() > _MEMBERS and _well_typed(document):
        more = ", ".join(sorted(document.keys() - _MEMBERS))
        raise FormatTooNew(
            f"{location} has members that this tool does not know ({more}); it was written by a newer one",
            location=location,
            hint="pip install -U manual-registry",
        )
    if document.keys() != _MEMBERS or not _well_typed(document):
        raise EventUnreadable(f"{location} does not have the form of an event", location=location)


def _decoded(text: str) -> Any:
    """Parse JSON; the canonical form, a value and LF, without the detours that all others take."""
    try:
        document, end = _SCAN(text, 0)
        if text[end:] == "\n":
            return document
    except StopIteration:
        pass  # nothing, or something before the value
    return _DECODER.decode(text)


def _too_deep(raw: bytes, document: dict[str, Any]) -> bool:
    """Tell whether Python's own stack might not bear what reads this later."""
    if raw.count(b"{") + raw.count(b"[") <= _DEEPEST:
        return False
    level: list[Any] = [document]
    for _ in range(_DEEPEST):
        inner = [list(one.values()) if type(one) is dict else one for one in level]
        level = [item for one in inner for item in one if type(item) is dict or type(item) is list]
        if not level:
            return False
    return True


def _well_typed(document: dict[str, Any]) -> bool:
    return (
        type(document["format"]) is int
        and document["format"] == FORMAT
        and type(document["seq"]) is int
        and (document["prev"] is None or type(document["prev"]) is str)
        and type(document["at"]) is str
        and type(document["actor"]) is str
        and type(document["type"]) is str
        and type(document["subject"]) is dict
        and type(document["data"]) is dict
    )


def is_canonical(event: Event) -> bool:
    """Tell whether the file is the one canonical spelling of what it says."""
    try:
        return dump(parse(event.raw)) == event.raw
    except (ValueError, TypeError, RecursionError):
        return False


def check_link(event: Event, *, seq: int, prev: str | None, location: str) -> None:
    """Raise :class:`EventMissing` or :class:`ChainBroken` unless ``event`` stands at ``seq`` after ``prev``."""
    if event.seq != seq:
        raise EventMissing(f"{location} says that it is event {event.seq}, where {seq} is due", location=location)
    if event.prev != prev:
        raise ChainBroken(
            f"{location}: prev is {event.prev}, but the event before it has {prev}; one of the two was changed",
            location=location,
            clause="RP-13",
        )


def chain(files: Iterable[tuple[str, bytes]]) -> Iterator[Event]:
    """Check ``(name, bytes)`` of event files, in order, and yield their events; raises at the first fault."""
    prev: str | None = None
    seq = 0
    for part in _parts(files):
        documents = _parsed_together([raw for _, raw in part])
        for index, (name, raw) in enumerate(part):
            seq += 1
            location = f"ledger/{name}"
            if name != file_name(seq):
                raise EventMissing(
                    f"event {seq} is missing: {name} stands in its place", location=f"ledger/{file_name(seq)}"
                )
            if documents is None:
                event = parse_event(raw, location=location)
            else:
                event = _event(raw, *documents[index], location)
            check_link(event, seq=seq, prev=prev, location=location)
            prev = event.hash
            yield event


def _parts(files: Iterable[tuple[str, bytes]]) -> Iterator[list[tuple[str, bytes]]]:
    """Yield the files some at a time; where reading one fails, those before it come first."""
    part: list[tuple[str, bytes]] = []
    try:
        for file in files:
            part.append(file)
            if len(part) == _TOGETHER:
                yield part
                part = []
    except RegistryError:
        yield part
        raise
    yield part


def _parsed_together(raws: list[bytes]) -> list[tuple[Any, str]] | None:
    """Parse several files as one text; returns (document, chain hash) of each, None: look at each by itself.

    They then share the texts of their keys, which saves time and memory. What one file holds cannot run over into the
    next: between them stands a mark that follows from their hashes, so that none of them can hold it.
    """
    if any(b"\\u" in raw for raw in raws if b"\\" in raw):
        return None  # surrogates are looked for file by file
    hashes = [hash_of(raw) for raw in raws]
    mark = hash_of("".join(hashes).encode())
    try:
        found = _DECODER.decode((b"[" + f',"{mark}",'.encode().join(raws) + b"]").decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    if len(found) != 2 * len(raws) - 1 or found[1::2] != [mark] * (len(raws) - 1):
        return None
    return list(zip(found[::2], hashes, strict=True))
