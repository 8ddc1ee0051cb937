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
