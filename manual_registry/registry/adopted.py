"""What one run of `adopt` comes to: the document ``manual-registry/adopt/1``, and the lines for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from manual_registry.core.adoption import LeftOut, Proposal, report
from manual_registry.core.errors import Json, MappingOpen
from manual_registry.core.results import Result


@dataclass(frozen=True, kw_only=True, slots=True)
class Adoption:
    """The outcome of `adopt`.

    ``proposal`` is how the sheet is read, with every row that is not imported; ``to_import`` how many rows are (or
    would be); ``imported`` what was; ``result`` is None for a dry run and while questions are open; ``mapping_file``
    is the file that was written for a person to correct; ``kept`` where the original lies below the root.
    """

    proposal: Proposal
    to_import: int
    dry_run: bool
    in_place: bool = False
    imported: tuple[dict[str, Json], ...] = ()
    result: Result | None = None
    mapping_file: str | None = None
    kept: str | None = None
    next: str | None = None
    warnings: tuple[str, ...] = ()

    @property
    def open(self) -> bool:
        """True while a person must answer a question; nothing was imported then."""
        return bool(self.proposal.questions)

    def refusal(self) -> MappingOpen:
        """Return the error of exit status 7."""
        count = len(self.proposal.questions)
        told = "1 question is" if count == 1 else f"{count} questions are"
        where = f"; answer in {self.mapping_file}" if self.mapping_file else ""
        return MappingOpen(
            f"{self.proposal.plan.workbook}: {told} open, so nothing is imported{where}",
            location=self.proposal.plan.workbook,
            hint=self.next,
            details={"questions": count, "mapping_file": self.mapping_file},
        )

    def document(self) -> dict[str, Any]:
        """Return ``manual-registry/adopt/1``."""
        found = report.document(self.proposal, imported=self.imported)
        found["summary"] |= {"to_import": self.to_import, "imported": len(self.imported)}
        found["warnings"] += [
            {"sheet": None, "rows": [], "column": None, "message": sentence} for sentence in self.warnings
        ]
        done = self.result
        return {
            **found,
            "dry_run": self.dry_run,
            "in_place": self.in_place,
            "mapping_file": self.mapping_file,
            "kept": self.kept,
            "changed": done.changed if done else False,
            "id": done.id if done else None,
            "events": list(done.events) if done else [],
            "ledger": {"seq": done.ledger[0], "hash": done.ledger[1]} if done else None,
            "next": self.next,
        }

    def lines(self) -> Iterator[str]:
        """Yield what a person reads: how the sheet is read, what came (or will come) of it, what is open."""
        done = None
        if self.result is not None:
            count = len(self.imported)
            done = f"imported {count} version{'' if count == 1 else 's'}" if count else "nothing new was imported"
        yield from report.text(self.proposal, done=done).splitlines()
        if self.kept:
            yield f"{self.proposal.plan.workbook} is kept whole as {self.kept}"
        if self.mapping_file:
            yield f"wrote {self.mapping_file}: correct it where it is wrong, and hand it in with --mapping"


def with_left_out(proposal: Proposal, left_out: tuple[LeftOut, ...]) -> Proposal:
    """Return ``proposal`` with more rows that are not imported, in the order of the sheets."""
    order = {table.sheet: number for number, table in enumerate(proposal.plan.tables)}
    every = sorted(
        (*proposal.not_imported, *left_out), key=lambda one: (order.get(one.sheet, len(order)), one.sheet, one.row or 0)
    )
    return replace(proposal, not_imported=tuple(every))
