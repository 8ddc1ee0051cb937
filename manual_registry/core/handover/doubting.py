"""Numbers that a server does not give as they were logged: NaN of a logged model, and infinity.

MLflow's SQL store gives 0 for a NaN that is linked to a logged model (the run itself says NaN), and the largest float of
64 bits for infinity. What the run can settle is settled; the rest is taken as it is given, and told.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from manual_registry.core.handover.entities import Metric

_INFINITE: Final = "the largest number there is, which some servers give for infinity"
_ZERO: Final = "0, which some servers give for a NaN of a logged model; the run's own values do not settle it"


def as_logged(linked: Metric, run: Iterable[Metric]) -> Metric:
    """Return a logged model's metric as it was logged: no number, where it is 0 and ``run`` has none at that very point.

    ``run`` are the run's own metrics. Any other difference stays: two models may be measured in one millisecond.
    """
    for one in run if linked.value == 0 else ():
        if _point(one) == _point(linked) and not math.isfinite(one.value):
            return replace(linked, value=one.value)
    return linked


def doubt(metric: Metric, run: Iterable[Metric]) -> str | None:
    """Say why the number may not be the one that was logged; None: nothing speaks against it."""
    if abs(metric.value) == sys.float_info.max:
        return _INFINITE
    if metric.value == 0 and not any(_point(one) == _point(metric) for one in run):
        return _ZERO
    return None


def _point(metric: Metric) -> tuple[str, int, int]:
    return metric.name, metric.step, metric.timestamp
