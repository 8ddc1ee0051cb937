"""What a row that a person typed into Models holds and lacks (design 3.3). No I/O.

Rules held here: a row of a person's own below the table (a sum, a legend) names no version and is no business of ours;
what is read of a typed row is text, and a number, a formula or an error value in its place is told.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from manual_registry.core.syncing import ERRORS
from manual_registry.core.view import Cell

#: What a typed row needs in columns of ours, beside what the risk class asks for.
TYPED_NEEDS: Final = ("Model", "Version", "Storage location")
#: What is read of a typed row; all of it is text.
TYPED_READ: Final = (
    *TYPED_NEEDS,
    "Training data version",
    "Code commit",
    "Training date",
    "Evaluation metrics",
    "Stage",
    "Pipeline run",
    "Owner",
    "Notes",
)  # fmt: skip
#: What is typed into a new row and not taken: approvals and deployments are not made by typing.
TYPED_IGNORED: Final = ("Approver", "Approval date", "Deployment date")
#: What is computed; a typed value there is told, and gives way to what was computed.
TYPED_COMPUTED: Final = (
    "Content hash",
    "SHA-256",
    "Validation gates",
    "Composite version",
    "Retention until",
)  # fmt: skip


def _filled(cells: Mapping[str, Cell], names: Iterable[str]) -> list[str]:
    return [name for name in names if cells.get(name) is not None and str(cells[name]).strip()]


def is_version(cells: Mapping[str, Cell]) -> bool:
    """Tell whether a row is meant for the register: it names a model, a version or a file."""
    return bool(_filled(cells, TYPED_NEEDS))


def typed_problems(cells: Mapping[str, Cell], formulas: Collection[str] = ()) -> list[str]:
    """Return what a typed row still lacks or holds in a way that cannot be taken."""
    there = _filled(cells, TYPED_NEEDS)
    missing = [name for name in TYPED_NEEDS if name not in there]
    told = [f"{', '.join(missing)} missing"] if missing else []
    told += [f"{name} is a formula: type its value" for name in TYPED_READ if name in formulas]
    told += [
        f"{name} is the error value {cells[name]}: type it again" for name in TYPED_READ if cells.get(name) in ERRORS
    ]
    numbers = [name for name in TYPED_READ if isinstance(cells.get(name), int | float)]
    return told + [f"{name} is a number: format the cell as text and type it again" for name in numbers]


def typed_ignored(cells: Mapping[str, Cell]) -> list[str]:
    """Return what is typed into a new row and not taken, each in a sentence."""
    told = []
    if names := _filled(cells, TYPED_IGNORED):
        told.append(f"{', '.join(names)} not taken: approve with an approval, deploy with mreg deploy")
    if names := _filled(cells, TYPED_COMPUTED):
        told.append(f"{', '.join(names)} not taken: computed from the files")
    return told
