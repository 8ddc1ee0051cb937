"""The facade: orders the steps of every command and is the sole writer.

It takes paths and words, opens what the core must not open, lets :mod:`manual_registry.core.decide` judge, and writes
ledger, storage and workbook in that order. Nothing here prints; every method returns values or raises a
:class:`~manual_registry.core.errors.RegistryError`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from manual_registry.registry.facade import Registry

__all__ = ["Registry"]


def __getattr__(name: str) -> Any:
    # The facade is imported where it is asked for: a `sync` with nothing to do needs none of it.
    if name == "Registry":
        from manual_registry.registry.facade import Registry as found

        return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
