"""What earlier releases of this tool wrote otherwise into MLflow: no edit of somebody's, wherever it still stands.

Rules held here: the mapping's number goes up when a version has places that it did not have, or a text that is another;
what an earlier number wrote is then brought up to date by the next export, and asked for by no check before that. A
version of which the ledger says that this mapping wrote it has no such excuse: there an earlier number is an edit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from manual_registry.core.handover.entities import File, Flat
from manual_registry.core.handover.limits import spelled_path, spelled_path_at_first
from manual_registry.core.handover.mapping import GATE, MAPPING_TAG

#: The mapping of the first releases: a logged model had no params and metrics of its own, a gate its last report alone.
FIRST: Final = "1"
_ADDED: Final = ("model.param", "model.metric", "run.metric.earlier")


def number(flat: Flat) -> str | None:
    """Return the mapping that the tags in ``flat`` name, where it is an earlier one; None: this one, or none."""
    named = [value for (_, name), value in flat.items() if name == MAPPING_TAG]
    return FIRST if FIRST in named else None


def expected(ours: Flat, found: Flat) -> Flat:
    """Return what a check asks for: where ``found`` bears an earlier mapping's number, nothing that came later.

    What is there all the same is compared as any other.
    """
    if number(found) is None:
        return ours
    replaced = _replaced(ours)
    kept = {key: value for key, value in ours.items() if key in found or not (_came_later(key) or key in replaced)}
    return {key: _text(key, value, found) for key, value in kept.items()}


def bases(ours: Flat, before: Sequence[Flat], found: Flat) -> list[Flat]:
    """Return ``before`` and the number of an earlier mapping, where ``found`` bears it: it is then brought up to date."""
    if number(found) is None:
        return list(before)
    marks = {key: FIRST for key in ours if key[1] == MAPPING_TAG and found.get(key) == FIRST}
    return [*before, *({**flat, **marks} for flat in before or [ours])]


def _replaced(ours: Flat) -> set[tuple[str, str]]:
    """Return the metrics of reports that a later one of the same gate came after: the first mapping left them out."""
    gates: dict[str, dict[tuple[str, str], int]] = {}
    for key, value in ours.items():
        if key[0] == "run.metric" and key[1].startswith(GATE):
            gates.setdefault(key[1].split("/")[1], {})[key] = int(value.rpartition(" step ")[2])
    return {key for steps in gates.values() for key, step in steps.items() if step < max(steps.values())}


def _came_later(key: tuple[str, str]) -> bool:
    """Tell whether the first mapping had no such place: copies of a checkpoint's files for MLflow's loader are one."""
    return key[0] in _ADDED or (key[0] == "model.file" and key[1].startswith("components/"))


def _text(key: tuple[str, str], value: str, found: Flat) -> str:
    return FIRST if key[1] == MAPPING_TAG and found.get(key) == FIRST else value


def renamed(files: Iterable[File], wanted: Iterable[File], below: str) -> list[File]:
    """Return ``files`` as found, those under the first release's spelling of a name of ``wanted`` under today's.

    ``below``: where the copies lie there. One that is there under both names, with the same bytes, counts once.
    """
    # MLflow lists a name that ends in a colon as if an address began there.
    found = {one.path.removesuffix("//"): one for one in files}
    for one in wanted:
        # A copy that MLflow's loader wants elsewhere never had another name.
        plain = one.origin is not None and one.path == spelled_path(f"{below}{one.origin}")
        old = spelled_path_at_first(f"{below}{one.origin}") if plain else one.path
        if old != one.path and old in found:
            there = replace(found[old], path=one.path)
            if found.setdefault(one.path, there).text() == there.text():
                del found[old]
    return list(found.values())
