"""Numbers and metrics as people read them, in the workbook, in a trace and on screens."""

from __future__ import annotations

from collections.abc import Mapping
