"""Reads a model without loading it, and tells what it would run: the work behind the security gate.

>>> scan(Path("model.pkl")).clean  # doctest: +SKIP
True

Every file of the model is told apart by its content (:mod:`forms`), pickles are followed step by step
(:mod:`machine`), what they import is judged by name (:mod:`imports`). Nothing is imported, called, or written.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path

from manual_registry.adapters.scanning.findings import Kind, Scan, ScanFinding, TooMuch, Watch
from manual_registry.adapters.scanning.forms import Part, look
from manual_registry.adapters.scanning.imports import dangerous, harmless, is_name, scanner
from manual_registry.adapters.tree import Source, opened_source, walk
from manual_registry.core.errors import BadValue, raise_for

__all__ = ["Kind", "Scan", "ScanFinding", "scan"]


def scan(path: Path, *, allow: Iterable[str] = ()) -> Scan:
    """Scan a file or directory; ``allow`` are imports (``module.Name``) of one's own that are let through by hand.

    Raises as :func:`manual_registry.adapters.tree.walk` for a path that cannot be registered either,
    :class:`ToolMissing` without the extra, :class:`BadValue` for an ``allow`` that is no name.
    """
    allowed = tuple(dict.fromkeys(allow))
    raise_for(
        BadValue(f"{one!r} is no name; write MODULE.NAME", location="--allow") for one in allowed if not _name(one)
    )
    library = scanner()
    found = walk(path)
    raise_for(found.problems)
    watch = Watch(size=max(1, found.size))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what readers think of an odd file is told as a finding or not at all
            for source in found.files:
                _file(source, found.name, watch)
    except TooMuch as problem:
        watch.find(Kind.NOT_UNDERSTOOD, path.name, f"{problem}: more than is looked at; the rest was not read")
    verdicts, used = _judge(watch, allowed)
    return Scan(
        findings=tuple(watch.findings),
        counts=dict(watch.counts),
        imports=verdicts,
        forms=dict(watch.forms),
        allowed=used,
        scanner=library,
    )


def _name(text: str) -> bool:
    return "." in text and is_name(text)


def _file(source: Source, name: str | None, watch: Watch) -> None:
    with opened_source(source) as descriptor, open(descriptor, "rb", closefd=False) as file:
        place = name or source.path
        look(Part(place=place, name=place, file=file, size=source.size), watch)


def _judge(watch: Watch, allowed: tuple[str, ...]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Turn imports into findings; returns the verdict of each, and what was let through by hand."""
    known = dangerous(watch.imports)
    verdicts: dict[str, str] = {}
    used: list[str] = []
    for (module, name), place in sorted(watch.imports.items()):
        whole = f"{module}.{name}"
        if (module, name) in known:
            watch.find(Kind.DANGEROUS, place, f"would run {whole}")
            verdicts[whole] = "dangerous"
        elif harmless(module, name):
            verdicts[whole] = "harmless"
        elif whole in allowed:
            used.append(whole)
            verdicts[whole] = "allowed"
        else:
            watch.find(Kind.UNKNOWN, place, f"would import {whole!r}, which is not known to be harmless")
            verdicts[whole] = "unknown"
    return verdicts, tuple(used)
