"""Every value that a metric ever had in a run: MLflow's runs themselves give the last one alone.

Rules held here: reading only; what one run, and one command, brings is bounded, and what lies beyond is told by name.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from manual_registry.adapters.mlflow.server import Server
from manual_registry.adapters.mlflow.stores import unavailable
from manual_registry.core.errors import ServerRefused
from manual_registry.core.handover.entities import History, Metric, Run

#: So many values of one run are kept.
OF_RUN: Final = 10_000
#: So many of all runs that one command reads.
IN_ALL: Final = 1_000_000
#: What a server says that will not give the values of a metric, today or ever; its last value is there.
_NOT_GIVEN: Final = frozenset(
    {"INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "NOT_FOUND", "ENDPOINT_NOT_FOUND", "NOT_IMPLEMENTED"}
)
_PAGE: Final = 5_000
_NONE: Final = History()


@dataclass(slots=True)
class Histories:
    """Reads them from a server, each run once; ``left`` is how many values may still be kept."""

    server: Server
    left: int = IN_ALL
    _known: dict[str, History] = field(default_factory=dict)

    def of(self, run_id: str, run: Run) -> History:
        """Return what the metrics of a run were before their last values.

        Raises :class:`ServerDown`, :class:`ServerRefused`.
        """
        if run_id not in self._known:
            self._known[run_id] = self._read(run_id, run)
        return self._known[run_id]

    def _read(self, run_id: str, run: Run) -> History:
        values: dict[str, tuple[Metric, ...]] = {}
        cut: list[str] = []
        room = OF_RUN
        for name in sorted({one.name for one in run.metrics}):
            bound = max(1, min(room, self.left))
            found, whole = self._metric(run_id, name, bound)
            if not whole:
                cut.append(name)
            if len(found) > 1:
                values[name] = tuple(sorted(found, key=lambda one: (one.step, one.timestamp, str(one.value))))
                room -= len(found)
                self.left -= len(found)
        return History(values=values, cut=tuple(cut)) if values or cut else _NONE

    def _metric(self, run_id: str, name: str, bound: int) -> tuple[list[Metric], bool]:
        """Return the first ``bound`` values at most, as the server orders them, and whether those are all."""
        found: list[Metric] = []
        token: str | None = None
        seen: set[str] = set()
        while True:
            try:
                with unavailable(self.server, f"reading the values of {name}"):
                    page = self._page(run_id, name, min(_PAGE, bound - len(found) + 1), token)
                    found += [_metric(one) for one in page]
            except ServerRefused as problem:
                if getattr(problem.__cause__, "error_code", "") in _NOT_GIVEN:
                    return found[:bound], False
                raise  # it may come the next time
            token = page.token or None
            if len(found) > bound or token is None:
                return found[:bound], len(found) <= bound
            if token in seen or not page:  # no end
                return found[:bound], False
            seen.add(token)

    def _page(self, run_id: str, name: str, count: int, token: str | None) -> Any:
        """Ask MLflow's store, which gives pages; its client asks for everything at once."""
        tracking = getattr(self.server.client, "_tracking_client", None)
        store = tracking.store if tracking is not None else self.server.client
        return store.get_metric_history(run_id, name, max_results=count, page_token=token)


def _metric(one: Any) -> Metric:
    return Metric(name=str(one.key), value=float(one.value), timestamp=int(one.timestamp), step=int(one.step or 0))
