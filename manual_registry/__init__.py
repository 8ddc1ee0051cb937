"""A spreadsheet-first model registry: nothing lost, approvals anyone can check, provenance in one command.

The ledger is the truth, the workbook is the face, the storage is the goods::

    from manual_registry import Registry

    registry = Registry.open("registry")
    registry.register("churn", "next", "churn.pkl")
    print(registry.trace("churn@latest").paragraph)

Layers, each importing downward only: ``cli`` -> ``demo`` -> ``registry`` (the facade: orders the steps, the sole
writer) -> ``adapters`` (files, workbook, git, keys) -> ``ports`` -> ``core`` (state = fold(events), policy, decisions,
signatures; opens nothing).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["Registry", "__version__"]

if TYPE_CHECKING:
    from manual_registry.registry import Registry


def __getattr__(name: str) -> Any:
    # The facade is imported where it is asked for: `mreg --version` needs none of it.
    if name == "Registry":
        from manual_registry.registry import Registry as found  # noqa: PLC0415

        return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
