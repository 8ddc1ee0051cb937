"""Numbers and metrics as people read them, in the workbook, in a trace and on screens."""

from __future__ import annotations

from collections.abc import Mapping


def number_text(value: object) -> str:
    """Spell a number for people: four digits behind the point at most, no trailing zeros."""
    if isinstance(value, float):
        return f"{value:.4f}".rstrip("0").rstrip(".") if 1e-4 <= abs(value) < 1e9 or value == 0 else f"{value:.4g}"
    return str(value)


def metrics_text(metrics: Mapping[str, object]) -> str:
    """Spell metrics for a cell: ``auc_roc 0.81; dpr 0.93``."""
    return "; ".join(f"{name} {number_text(value)}" for name, value in metrics.items())


def continues_text(old: Mapping[str, object]) -> str:
    """Spell the registry that this one goes on from: its id, its last head, where it lay."""
    return f"registry {old['registry']} ({old['place']}) from event {old['seq']} {old['hash']}"
