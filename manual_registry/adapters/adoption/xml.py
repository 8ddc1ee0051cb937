"""One part of a workbook as a run of elements with their text; the guarded parser is that of ``adapters/workbook``."""

from __future__ import annotations

from collections.abc import Callable

from manual_registry.adapters.workbook.markup import ignore, parse


def events(
    data: bytes,
    *,
    start: Callable[[str, dict[str, str]], None] = ignore,
    end: Callable[[str, str], None] = ignore,
    texts: frozenset[str] = frozenset(),
) -> None:
    """Call ``start(name, attributes)`` and ``end(name, text)``; the text of elements in ``texts`` only.

    Names come without their namespace, attribute names keep it before a blank. Raises ``Trouble``.
    """
    collected: list[str] | None = None

    def on_start(name: str, attributes: dict[str, str]) -> None:
        nonlocal collected
        if name in texts:
            collected = []
        start(name, attributes)

    def on_end(name: str) -> None:
        nonlocal collected
        text = "".join(collected) if collected is not None and name in texts else ""
        if name in texts:
            collected = None
        end(name, text)

    def on_text(text: str) -> None:
        if collected is not None:
            collected.append(text)

    parse(data, on_start, on_end, on_text)
