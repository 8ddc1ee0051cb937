"""Through which events of the ledger something was exported: what the export's own tags say, and what is written to them.

Rules held here: an export says which event it is about to write through before it writes any value, and which one it has
written through when it is done; so a value that an export which was interrupted left behind is never taken for an edit,
however far the ledger went on meanwhile. Exports that did not say the first yet are read as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from manual_registry.core.handover import limits
from manual_registry.core.handover.mapping import EXPORTING, PRODUCTION_ALIAS, PRODUCTION_ALIASES, THROUGH

#: More digits are no number of an event.
_DIGITS: Final = 12


@dataclass(frozen=True, order=True, slots=True)
class Begun:
    """An event that an export was to write through; ``alias`` is what it called production, "" where it has no say."""

    seq: int
    alias: str = ""

    def text(self) -> str:
        """Return the entry of the tag."""
        return f"{self.seq}:{self.alias}" if self.alias else str(self.seq)


def through(tags: Mapping[str, str]) -> int | None:
    """Return the event that the tag says something was exported through; None: it says none."""
    return _number(str(tags.get(THROUGH, "")))


def exporting(tags: Mapping[str, str]) -> list[Begun]:
    """Return the events that exports were begun through; what is no such entry is passed over."""
    found = []
    for word in str(tags.get(EXPORTING, "")).split():
        text, _, alias = word.partition(":")
        seq = _number(text)
        if seq is not None and alias in ("", *PRODUCTION_ALIASES):
            found.append(Begun(seq, alias))
    return found


def of_version(version: Mapping[str, str] | None, run: Mapping[str, str] | None) -> list[Begun]:
    """Return every event whose values may stand in a version, the one that was exported last first.

    ``version`` and ``run`` are the tags of model version and run; None: there is none.
    """
    last = through(version if version is not None else run or {})
    return _distinct([] if last is None else [Begun(last)], exporting(run or {}))


def of_model(tags: Mapping[str, str]) -> list[Begun]:
    """Return the same of what stands once for a model; ``tags`` are the registered model's."""
    last, alias = through(tags), str(tags.get(PRODUCTION_ALIAS, ""))
    known = [Begun(last, alias)] if last is not None and alias in PRODUCTION_ALIASES else []
    return _distinct(known, [one for one in exporting(tags) if one.alias])


@dataclass(frozen=True, slots=True)
class Edit:
    """A tag of the export's own that is not as it was written; ``found`` None: it is not there."""

    name: str
    expected: str
    found: str | None


def edits(tags: Mapping[str, str], head: int, mark: tuple[int, str] | None) -> list[Edit]:
    """Return which of the export's own tags somebody changed.

    ``head`` is the last event of the ledger, ``mark`` what the ledger says was written there last: the event, and what
    production is called (""; no such tag). A later event is an export's that was not recorded, whatever it called that.
    """
    said, last = tags.get(THROUGH), through(tags)
    if said is not None and not 0 < (last or 0) <= head:
        return [Edit(THROUGH, f"an event's number, at most {head}", str(said))]
    if any(one.seq > head for one in exporting(tags)):
        return [Edit(EXPORTING, f"numbers of events, at most {head}", str(tags[EXPORTING]))]
    if mark is None or (last is not None and last > mark[0]):
        return []
    written = ((THROUGH, str(mark[0])), *([(PRODUCTION_ALIAS, mark[1])] if mark[1] else []))
    return [Edit(name, value, tags.get(name)) for name, value in written if tags.get(name) != value]


def counting(begun: list[Begun], mark: tuple[int, str] | None) -> list[Begun]:
    """Return which of ``begun`` count: what the ledger says was written last, which no edit of the tags takes away, and later ones.

    An entry of an earlier event is somebody's who set a value back and the tags with it.
    """
    return begun if mark is None else [Begun(*mark), *(one for one in begun if one.seq > mark[0])]


def unfinished(version: Mapping[str, str] | None, run: Mapping[str, str] | None) -> Begun | None:
    """Return what an export of a version was begun through that has not ended; None: what is there is whole.

    ``version`` and ``run`` are the tags of model version and run. It was interrupted, or it is running now.
    """
    last = through(version or {}) or 0
    return max((one for one in exporting(run or {}) if one.seq > last), default=None)


def _distinct(*lists: list[Begun]) -> list[Begun]:
    return list(dict.fromkeys(one for each in lists for one in each))


def beginning(tags: Mapping[str, str], known: list[Begun], now: Begun) -> str | None:
    """Return what :data:`EXPORTING` of ``tags`` says from now on; None: an export through ``now`` is known of already."""
    if now in known:
        return None
    entries = [one.text() for one in _distinct(exporting(tags), [now])]
    while len(" ".join(entries)) > limits.RUN_TAG_VALUE:
        entries.pop(0)
    return " ".join(entries)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < _DIGITS and int(text) > 0 else None
