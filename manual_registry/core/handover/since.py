"""What became in MLflow of a version that came from there before, as far as names and sizes of its files tell.

MLflow has no hashes of files, so that a version of somebody else's is not compared again byte by byte: its listing is, with
the one that was kept when it came. Same names and sizes prove nothing; other ones are told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from manual_registry.core.canonical import parse
from manual_registry.core.errors import RegistryError
from manual_registry.core.manifest import printable

#: So many files are named.
_SHOWN: Final = 5


def kept_files(snapshot: bytes) -> dict[tuple[str, int], dict[str, int]]:
    """Return {(model, number): {path: bytes}} of a snapshot of ours; nothing of one that cannot be read."""
    try:
        document: Any = parse(snapshot)
        return {
            (str(one["model"]), int(one["version"])): {str(path): int(size) for path, size in one["files"]}
            for one in document["versions"]
        }
    except (RegistryError, KeyError, TypeError, ValueError):
        return {}


def changed(before: Mapping[str, int], now: Mapping[str, int]) -> str | None:
    """Say what differs between two listings (-1: a size that is not told); None: nothing does."""
    found = list(_differences(before, now))
    if not found:
        return None
    rest = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return printable(", ".join(found[:_SHOWN])) + rest


def _differences(before: Mapping[str, int], now: Mapping[str, int]) -> Iterator[str]:
    for path in sorted({*before, *now}):
        was, found = before.get(path), now.get(path)
        if was is None:
            yield f"{path} came to it"
        elif found is None:
            yield f"{path} is gone"
        elif was != found and -1 not in (was, found):
            yield f"{path} has {found} bytes, it had {was}"
