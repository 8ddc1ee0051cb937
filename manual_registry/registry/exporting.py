"""The register for other programs: `export csv` and `to_dataframe`, one row per version.

Rules held here: no cell of the CSV acts as a formula when a spreadsheet opens it; every column of the table has its
type whatever stands in it, an empty register's too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from manual_registry.core.values import Stage

if TYPE_CHECKING:
    import pandas

    from manual_registry.registry.workspace import Workspace

_COLUMNS: Final = (
    "model", "version", "stage", "blake3", "sha256", "composite_id", "storage_location", "training_data", "code_commit",
    "training_date", "approver", "approval_date", "deployment_date", "owner", "pipeline_run", "registered_at",
    "registered_by", "retention_until", "aliases", "size", "move_pending", "notes",
)  # fmt: skip
_TIMES: Final = ("training_date", "approval_date", "deployment_date", "registered_at", "retention_until")
_LISTS: Final = ("training_data", "aliases")

#: What a spreadsheet takes for the beginning of a formula (OWASP, CSV injection), in Chinese and Japanese widths too.
_FORMULA: Final = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
_BREAKS: Final = ("\t", "\r", "\n")


def _flat(work: Workspace) -> list[dict[str, Any]]:
    from manual_registry.registry.access import read
    from manual_registry.registry.reading import rows

    notes = {key: record.notes_text for key, record in read(work).state.versions.items()}
    return [_row(row) | {"notes": notes.get((row["model"], row["version"]))} for row in rows(work)]


def _row(row: dict[str, Any]) -> dict[str, Any]:
    table = {name: value for name, value in row.items() if name not in ("metrics", "tags")}
    table |= {f"metrics.{name}": value for name, value in row["metrics"].items()}
    return table | {f"tag.{name}": value for name, value in row["tags"].items()}


def _names(flat: list[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys([*_COLUMNS, *(name for row in flat for name in row)]))


def export_csv(work: Workspace) -> bytes:
    """Return the register as CSV; metrics and tags as columns of their own, no cell can act as a formula."""
    import csv
    import io

    flat = _flat(work)
    names = _names(flat)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow([_harmless(name) for name in names])
    writer.writerows([_harmless(row.get(name)) for name in names] for row in flat)
    return stream.getvalue().encode("utf-8")


def _harmless(value: Any) -> Any:
    """Put an apostrophe before a text that would act; numbers, also those below zero, stay numbers."""
    if isinstance(value, list):
        value = "; ".join(str(item) for item in value)
    acts = isinstance(value, str) and (value.startswith(_BREAKS) or value.lstrip().startswith(_FORMULA))
    return f"'{value}" if acts else value


def to_dataframe(work: Workspace) -> pandas.DataFrame:
    """Return the register as a table with proper types; metrics become ``metrics.<name>`` columns of floats.

    Times are in UTC, the stage is an ordered category, texts are ``string``, lists stay lists.
    """
    import pandas as pd

    flat = _flat(work)
    frame = pd.DataFrame(flat, columns=pd.Index(_names(flat)))
    for name in frame.columns:
        if name in _TIMES:
            times = pd.to_datetime(frame[name], utc=True, format="ISO8601")
            frame[name] = times.astype("datetime64[ms, UTC]")  # as exact as the ledger
        elif name == "stage":
            frame[name] = pd.Categorical(frame[name], categories=[stage.value for stage in Stage], ordered=True)
        else:
            frame[name] = frame[name].astype(_dtype(str(name)))
    return frame


def _dtype(name: str) -> Any:
    if name in _LISTS:
        return "object"
    if name.startswith("metrics."):
        return "float64"
    return {"size": "int64", "move_pending": "bool"}.get(name, "string")
