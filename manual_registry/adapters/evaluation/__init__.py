"""Measures a predictions table: reads it, asks scikit-learn and fairlearn for the values, resamples for the intervals.

Rules held here: every number is computed from the very bytes whose SHA-256 goes into the report; the same table, seed
and number of resamples give the same intervals, on any machine. Which thresholds count is left to ``core/evaluation``.
"""

from __future__ import annotations

from manual_registry.adapters.evaluation.measuring import Measured, measure
from manual_registry.adapters.evaluation.table import Columns, Table, read_table

__all__ = ["Columns", "Measured", "Table", "measure", "read_table"]
