"""What one run of `sync` has done so far: its lines, its events, and what the workbook has to be told."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from manual_registry.core.errors import RegistryError
from manual_registry.core.syncing import Outcome, Spot, item
from manual_registry.core.view import Cell, Difference, View
from manual_registry.ports import Instructions, Reading

if TYPE_CHECKING:
    from manual_registry.registry.workspace import Loaded

#: Refusals that are about what a person wrote; anything else (disk full, a lost race, a broken chain) ends the run.
_ABOUT_THE_CELL = frozenset({2, 3, 5, 6, 7})


#: How lines about what is put back end (:mod:`manual_registry.core.syncing`), and what is true where nothing was written.
BACK, COMES = "put back from the ledger", "it comes back"
STAYS = "not put back yet, since the workbook was not written"


@dataclass(slots=True)
class Synced:
    """One run: the outcome, the head, the events written; ``document()`` is ``manual-registry/sync/1``.

    ``copy``: a copy of the workbook was merged, so that nothing is put back there. ``base`` is the view that the file
    was compared with, ``loaded`` the ledger as it was left by the edits.
    """

    copy: bool = False
    outcome: Outcome = field(default_factory=Outcome)
    events: list[int] = field(default_factory=list)
    head: tuple[int, str] = (0, "")
    accept: set[Spot] = field(default_factory=set)
    keep: set[Spot] = field(default_factory=set)
    explained: set[Spot] = field(default_factory=set)
    adopt: dict[tuple[str, int], str] = field(default_factory=dict)
    says: dict[tuple[str, str | int], str] = field(default_factory=dict)
    reading: Reading | None = None
    base: View | None = None
    loaded: Loaded | None = None

    def document(self) -> dict[str, object]:
        """Return ``manual-registry/sync/1`` with the ledger's head."""
        return {**self.outcome.document(), "ledger": {"seq": self.head[0], "hash": self.head[1]}}

    def say(self, sheet: str, row: str | int, text: str) -> None:
        """Add a sentence to the Check cell of a row."""
        said = self.says.get((sheet, row))
        if said is None or text not in said:
            self.says[sheet, row] = f"{said}; {text}" if said else text

    def problem(self, one: Difference, message: str, *, kept: Cell | None = None, note: str | None = None) -> None:
        """Keep a problem, and tell it in its row."""
        self.outcome.problems.append(item(one, message, kept=kept))
        self.say(one.sheet, one.row, f"! {note or message}")

    def refused(self, one: Difference, refusal: RegistryError, *, kept: Cell | None = None) -> None:
        """Keep what speaks against a cell; raises it again when it is not about the cell."""
        raise_unless_about(refusal)
        for reason in refusal.reasons:
            hint = f" ({reason.hint})" if reason.hint and reason.hint not in reason.message else ""
            self.problem(one, f"{reason.message}{hint}", kept=kept)

    def not_put_back(self) -> None:
        """Say of what was to be put back that it was not: the workbook could not be written."""
        self.outcome.restored = [
            replace(one, message=one.message.replace(BACK, STAYS).replace(COMES, STAYS))
            for one in self.outcome.restored
        ]

    def accepted(self, spots: Iterable[Spot]) -> None:
        """The differing value stands in the record: the view's value is written in its place."""
        self.accept |= {*spots}

    def instructions(self) -> Instructions:
        """Return what the workbook has to be told."""
        return Instructions(
            accept=frozenset(self.accept),
            keep=frozenset(self.keep),
            adopt=dict(self.adopt),
            says=dict(self.says),
            read=self.reading.sha256 if self.reading else None,
        )


def raise_unless_about(refusal: RegistryError) -> None:
    """Raise a refusal again that is not about what a person wrote into a cell."""
    if any(reason.status not in _ABOUT_THE_CELL for reason in refusal.reasons):
        raise refusal


def spot(one: Difference) -> Spot:
    """Name the cell of a difference."""
    return one.sheet, one.row, str(one.column)
