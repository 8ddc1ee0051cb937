"""Reads a predictions table: one row per person, with the true label, the score and, for fairness, the group.

Rules held here: the file is read once, and hashed as read; a table that cannot be judged is refused with row and column
(:class:`BadPredictions`), never repaired: a guessed label is a falsified gate. CSV may have a byte-order mark, semicolons
or tabs, and decimal commas beside semicolons. Parquet needs pyarrow (extra ``gates``).
"""

from __future__ import annotations

import csv
import hashlib
import io
import warnings
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from manual_registry.adapters.documents import read_plain
from manual_registry.core.errors import (
    BadPredictions,
    RegistryError,
    ToolMissing,
    raise_for,
)

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

#: The largest file that is read, in bytes, and the most rows: far above any evaluation set, far below the memory.
LARGEST: Final = 256 << 20
MOST_ROWS: Final = 5_000_000
#: What is told of the bad cells: the first few, and how many more there are.
_SHOWN: Final = 3
PARQUET: Final = b"PAR1"
#: Labels as people and tools write them.
_ONES: Final = frozenset({"1", "1.0", "true"})
_ZEROS: Final = frozenset({"0", "0.0", "false"})
#: A group with fewer rows has no rate at all.
SMALLEST_GROUP: Final = 2

EXTRA_HINT: Final = "pip install 'manual-registry[gates]'"


@dataclass(frozen=True, kw_only=True, slots=True)
class Columns:
    """The names of the columns; ``group`` None: no fairness is measured."""

    label: str = "label"
    score: str = "score"
    group: str | None = "group"


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """What was read: labels 0 or 1, scores from 0 to 1, group numbers into ``names`` (None without groups)."""

    sha256: str
    label: np.ndarray[Any, np.dtype[np.int8]]
    score: np.ndarray[Any, np.dtype[np.float64]]
    group: np.ndarray[Any, np.dtype[np.int64]] | None
    names: tuple[str, ...]

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.label)


def read_table(path: Path, columns: Columns) -> Table:
    """Read and check the table; raises :class:`BadPredictions` (all problems), or that the file cannot be read."""
    data = _bytes(path)
    frame, first = _parquet(data, path, columns) if data[:4] == PARQUET else _csv(data, path, columns)
    if len(frame) > MOST_ROWS:
        raise _bad(path, f"{len(frame)} rows; at most {MOST_ROWS} are read")
    if not len(frame):
        raise _bad(path, "the table has no rows")
    problems: list[RegistryError] = []
    label = _labels(frame[columns.label], path, columns.label, first, problems)
    score = _scores(frame[columns.score], path, columns.score, first, problems)
    group, names = _groups(frame, path, columns, first, problems)
    raise_for(problems)
    if label.min() == label.max():
        problems.append(_bad(path, f"column {columns.label}: every label is {int(label[0])}; both 0 and 1 are needed"))
    raise_for(problems)
    return Table(sha256=hashlib.sha256(data).hexdigest(), label=label, score=score, group=group, names=names)


def fairness_problems(table: Table, where: str) -> list[RegistryError]:
    """Return why rates by group cannot be compared: one group only, tiny groups, groups with one label only."""
    import numpy as np

    if table.group is None:
        return [
            BadPredictions(f"{where}: the fairness gate needs a group column", location=where, hint="--group COLUMN")
        ]
    if len(table.names) < 2:
        return [
            BadPredictions(f"{where}: one group only ({table.names[0]!r}); fairness compares groups", location=where)
        ]
    sizes = np.bincount(table.group, minlength=len(table.names))
    ones = np.bincount(table.group[table.label == 1], minlength=len(table.names))
    problems: list[RegistryError] = []
    for name, size, good in zip(table.names, sizes, ones, strict=True):
        if size < SMALLEST_GROUP:
            told = f"group {name!r} has {size} row only; put it together with another, or leave it out"
            problems.append(BadPredictions(f"{where}: {told}", location=where))
        elif good in (0, size):
            told = f"group {name!r} has the label {int(good > 0)} only: its error rates cannot be compared"
            problems.append(BadPredictions(f"{where}: {told}", location=where))
    return problems[:_SHOWN]


def _bad(path: Path, text: str) -> BadPredictions:
    return BadPredictions(f"{path.name}: {text}", location=str(path))


def _bytes(path: Path) -> bytes:
    larger = f"more than {LARGEST >> 20} MB; evaluate on a sample, or write parquet"
    data = read_plain(path, largest=LARGEST, larger=larger, refusal=lambda why: _bad(path, why))
    if not data.strip():
        raise _bad(path, "the file is empty")
    return data


def _wanted(columns: Columns) -> list[str]:
    return [columns.label, columns.score, *([columns.group] if columns.group is not None else [])]


def _check_header(names: list[str], path: Path, columns: Columns) -> None:
    wanted = _wanted(columns)
    if len(set(wanted)) != len(wanted):
        raise _bad(path, "label, score and group must be different columns")
    times = Counter(names)
    doubled = [name for name in wanted if times[name] > 1]
    if doubled:
        raise _bad(path, f"two columns are called {doubled[0]!r}; which one counts cannot be told")
    missing = [name for name in wanted if name not in times]
    if missing:
        shown = ", ".join(repr(name[:40]) for name in names[:12])
        told = (
            f"no column {', '.join(map(repr, missing))} (there are {shown}); name yours with --label, --score, --group"
        )
        raise _bad(path, told)


# -- csv --------------------------------------------------------------------------------------------------


def _csv(data: bytes, path: Path, columns: Columns) -> tuple[pd.DataFrame, int]:
    import pandas as pd

    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _bad(
            path, f"line {line} is not UTF-8 text (and the file is no parquet); save it as CSV in UTF-8"
        ) from None
    if "\0" in text:
        raise _bad(path, "holds NUL characters; it is neither CSV nor parquet")
    head = text.lstrip("\r\n").split("\n", 1)[0].rstrip("\r")
    separator = max(",;\t", key=head.count)
    names = next(csv.reader([head], delimiter=separator), [])
    _check_header(names, path, columns)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a row that is longer than the header is cut off with a mere warning
            frame = pd.read_csv(
                io.StringIO(text),
                sep=separator,
                header=0,
                names=list(range(len(names))),
                dtype=str,
                keep_default_na=False,
                na_values=[],
                index_col=False,
                nrows=MOST_ROWS + 1,
                low_memory=False,
            )
    except (ValueError, Warning, OverflowError, csv.Error) as error:
        raise _bad(path, f"does not parse as CSV: {str(error).strip().splitlines()[0][:200]}") from None
    # All columns are read: with some of them picked, pandas would pass over a field too many without a word.
    frame = frame[[names.index(name) for name in _wanted(columns)]]
    frame = frame.rename(columns={names.index(name): name for name in _wanted(columns)})
    if separator == ";":
        frame[columns.score] = frame[columns.score].str.replace(",", ".", regex=False)
    return frame, 2


# -- parquet ----------------------------------------------------------------------------------------------


def _parquet(data: bytes, path: Path, columns: Columns) -> tuple[pd.DataFrame, int]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise ToolMissing("parquet files need pyarrow", hint=EXTRA_HINT) from None
    try:
        file = pq.ParquetFile(pa.BufferReader(data))
        if file.metadata.num_rows > MOST_ROWS:
            raise _bad(path, f"{file.metadata.num_rows} rows; at most {MOST_ROWS} are read")
        _check_header(list(file.schema_arrow.names), path, columns)
        kept: list[Any] = []
        rows = 0
        for batch in file.iter_batches(columns=_wanted(columns), batch_size=1 << 16):
            rows += batch.num_rows
            if rows > MOST_ROWS:  # what the footer says of the rows is not what is there
                raise _bad(path, f"more than {MOST_ROWS} rows")
            kept.append(batch)
        frame = pa.Table.from_batches(kept, schema=kept[0].schema if kept else None).to_pandas() if kept else None
    except (pa.ArrowException, OSError, ValueError, KeyError, MemoryError) as error:
        raise _bad(path, f"does not parse as parquet: {str(error).strip().splitlines()[0][:200]}") from None
    if frame is None:
        raise _bad(path, "the table has no rows")
    return frame, 1


# -- columns ----------------------------------------------------------------------------------------------


def _tell(
    mask: np.ndarray[Any, np.dtype[np.bool_]], values: pd.Series[Any], path: Path, column: str, first: int, wanted: str
) -> list[RegistryError]:
    """Tell the first cells in which ``mask`` is true; ``first`` is the number of the first row of data."""
    import numpy as np

    places = np.flatnonzero(mask)
    kind = "line" if first == 2 else "row"
    told: list[RegistryError] = [
        _bad(path, f"{kind} {place + first}, column {column}: {_shown(values.iloc[place])} is {wanted}")
        for place in places[:_SHOWN]
    ]
    if len(places) > _SHOWN:
        told.append(_bad(path, f"column {column}: {len(places) - _SHOWN} more such cells"))
    return told


def _shown(value: object) -> str:
    text = "" if value is None else str(value)
    return "an empty cell" if not text.strip() else repr(text[:40])


def _labels(
    values: pd.Series[Any], path: Path, column: str, first: int, problems: list[RegistryError]
) -> np.ndarray[Any, np.dtype[np.int8]]:
    import numpy as np

    text = values.astype("object").map(lambda one: str(one).strip().lower())
    ones = text.isin(_ONES).to_numpy()
    bad = ~(ones | text.isin(_ZEROS).to_numpy())
    problems += _tell(
        bad, values, path, column, first, "no label; write 0 or 1 (1: the outcome that the score predicts)"
    )
    return ones.astype(np.int8)


def _scores(
    values: pd.Series[Any], path: Path, column: str, first: int, problems: list[RegistryError]
) -> np.ndarray[Any, np.dtype[np.float64]]:
    import numpy as np
    import pandas as pd

    found = np.asarray(pd.to_numeric(values, errors="coerce"), dtype=np.float64)
    bad = ~np.isfinite(found)
    problems += _tell(bad, values, path, column, first, "no number")
    with np.errstate(invalid="ignore"):
        outside = ~bad & ((found < 0) | (found > 1))
    problems += _tell(outside, values, path, column, first, "outside 0 to 1; a score is a probability")
    return found


def _groups(
    frame: pd.DataFrame, path: Path, columns: Columns, first: int, problems: list[RegistryError]
) -> tuple[np.ndarray[Any, np.dtype[np.int64]] | None, tuple[str, ...]]:
    import pandas as pd

    if columns.group is None:
        return None, ()
    values = frame[columns.group]
    blank = values.isna()
    text = values.astype("object").map(lambda one: str(one).strip()).mask(blank, "")
    problems += _tell((text == "").to_numpy(), values, path, columns.group, first, "no group")
    codes, names = pd.factorize(text, sort=True)
    return codes, tuple(str(name) for name in names)
