"""Commands of the facade: gate reports made here, from a predictions table or from the model's own bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from manual_registry.registry.commands.base import Commands, path_or_none

if TYPE_CHECKING:
    from manual_registry.registry.gating import GateRun


class GateCommands(Commands):
    """Gate reports made here; they read the registry and change nothing in it."""

    def gates_run(
        self,
        predictions: str | Path,
        *,
        ref: str | None = None,
        gates: Sequence[str] = (),
        label: str = "label",
        score: str = "score",
        group: str | None = "group",
        threshold_at: float = 0.5,
        thresholds: Mapping[str, float] | None = None,
        confidence: float = 0.95,
        resamples: int = 1000,
        seed: int = 0,
        evaluation_dataset: str | None = None,
        model: str | Path | None = None,
    ) -> GateRun:
        """Measure a table of label (0, 1), score (0 to 1) and group, and hold it against the policy in force.

        ``gates`` are taken in order, performance and fairness without; the first that fails ends it. ``threshold_at``: a
        score from there on is the outcome 1. ``thresholds`` (by metric) may ask more than the policy. ``ref`` or ``model``
        puts the model's hash into the report. Raises :class:`BadPredictions`, :class:`GateWeaker`, :class:`ToolMissing`;
        a gate that failed is no error here: ``refuse()`` of the outcome raises it.
        """
        from manual_registry.registry import gating

        asked = gating.Measure(
            predictions=Path(predictions),
            gates=tuple(gates),
            label=label,
            score=score,
            group=group,
            threshold_at=threshold_at,
            thresholds=dict(thresholds or {}),
            confidence=confidence,
            resamples=resamples,
            seed=seed,
            evaluation_dataset=evaluation_dataset,
            model=path_or_none(model),
        )
        return gating.run(self._work, ref, asked, self._work.clock)

    def gates_scan(self, path: str | Path, *, ref: str | None = None, allow: Sequence[str] = ()) -> GateRun:
        """Read a model without loading it; ``allow`` lets imports (``module.Name``) through by hand, and says so.

        Code known to be dangerous, code not known to be harmless, broken parts and parts that nobody understands fail the
        security gate. Raises as :meth:`gates_run`.
        """
        from manual_registry.registry import gating

        return gating.scan(self._work, Path(path), ref=ref, allow=allow, clock=self._work.clock)
