"""The facade: orders the steps of every command and is the sole writer.

It takes paths and words, opens what the core must not open, lets :mod:`manual_registry.core.decide` judge, and writes
ledger, storage and workbook in that order. Nothing here prints; every method returns values or raises a
:class:`~manual_registry.core.errors.RegistryError`.
"""

from manual_registry.registry.facade import Registry

__all__ = ["Registry"]
