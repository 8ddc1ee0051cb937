"""A hand-made event may hold what no writer of ours puts there; readers trip over it, and this says over which.

Rules held here: what the ledger is to blame for is an integrity error at its place (exit 4), never a traceback; an
exception that the ledger does not explain is a defect of ours and passes through as it is.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import FunctionType
from typing import TYPE_CHECKING, Any, TypeVar

from manual_registry.core.errors import EventUnreadable

if TYPE_CHECKING:
    from manual_registry.registry.workspace import Workspace

T = TypeVar("T")
_TRIPS = (KeyError, TypeError, AttributeError, ValueError, IndexError, OverflowError, RecursionError)


def locating(kind: type[T]) -> type[T]:
    """Let every public method of a facade (it has its workspace in ``_work``) blame the ledger where it is to blame."""
    for name, method in list(vars(kind).items()):
        if isinstance(method, FunctionType) and not name.startswith("_"):
            setattr(kind, name, _locating(method))
    return kind


def _locating(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return method(self, *args, **kwargs)
        except _TRIPS as trip:
            problem = _to_blame(self._work)
            if problem is None:
                raise
            raise problem from trip

    return call


def _to_blame(work: Workspace) -> EventUnreadable | None:
    from manual_registry.core.audit import audit_ledger
    from manual_registry.core.results import Severity

    found = audit_ledger(work.ledger.listing().events, work.ledger.raw)
    first = next((one for one in found.findings if one.severity is Severity.ERROR), None)
    if first is None:
        return None
    return EventUnreadable(first.message, location=first.location, clause=first.clause, hint="mreg verify")
