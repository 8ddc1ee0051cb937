"""What one run of `import mlflow` comes to: the document ``manual-registry/import-mlflow/1``, and the lines for a person."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from manual_registry.core.errors import ExportUnfinished, IntegrityError, Unavailable
from manual_registry.core.handover.arranging import LeftOut
from manual_registry.core.handover.arrival import Arrival, Lost
from manual_registry.core.manifest import printable

if TYPE_CHECKING:
    from manual_registry.core.results import Result
    from manual_registry.core.state import VersionState

SCHEMA = "manual-registry/import-mlflow/1"


@dataclass(frozen=True, kw_only=True, slots=True)
class Imported:
    """A version that came, or (``record`` None) would come."""

    arrival: Arrival
    record: VersionState | None = None

    def document(self) -> dict[str, Any]:
        """Return its entry of the document; ``whole``: its record.json brought it."""
        one, record = self.arrival, self.record
        known = one.artefact
        return {
            "model": one.model,
            "version": one.version,
            "from": {"model": one.offered.name, "version": one.offered.number},
            "whole": known is not None,
            "stage": one.stage,
            "blake3": record.blake3 if record else known.blake3 if known else None,
            "sha256": record.sha256 if record else known.sha256 if known else None,
            "composite_id": record.composite_id if record else one.composite_id,
            "event": record.seq if record else None,
        }


@dataclass(kw_only=True, slots=True)
class Brought:
    """The outcome of an import. ``names``: MLflow's name of a model -> ours, where they differ.

    ``lost`` is what has no place here, by MLflow's (name, number), of the versions that came (or would);
    ``kept`` where the snapshot lies below the root.
    """

    uri: str
    server: str
    dry_run: bool
    imported: list[Imported] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    lost: dict[tuple[str, int], list[Lost]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    kept: str | None = None
    events: list[int] = field(default_factory=list)
    result: Result | None = None
    next: str | None = None

    @property
    def differs(self) -> bool:
        """True where files in MLflow are not what was said of them; such a version is not imported (exit 4)."""
        return any(one.differs for one in self.left_out)

    @property
    def exit_status(self) -> int:
        """The status that the command line exits with: 4 for what differs; else 8, or 6, for what is kept back for now."""
        codes = {one.code for one in self.left_out if one.code is not None}
        if self.differs:
            return IntegrityError.status
        if codes - {ExportUnfinished.code}:
            return Unavailable.status
        return ExportUnfinished.status if codes else 0

    def document(self) -> dict[str, Any]:
        """Return ``manual-registry/import-mlflow/1``; in a dry run ``imported`` is what would be."""
        done = self.result
        return {
            "schema": SCHEMA,
            "uri": self.uri,
            "server": self.server,
            "dry_run": self.dry_run,
            "imported": [one.document() for one in self.imported],
            "not_imported": [one.document() for one in self.left_out],
            "differs": [one.document() for one in self.left_out if one.differs],
            "not_kept": [
                {"model": name, "version": number, "what": [one.document() for one in lost]}
                for (name, number), lost in sorted(self.lost.items())
                if lost
            ],
            "names": [{"mlflow": theirs, "model": ours} for theirs, ours in sorted(self.names.items())],
            "kept": self.kept,
            "warnings": list(self.warnings),
            "changed": bool(self.events),
            "id": done.id if done else None,
            "events": list(self.events),
            "ledger": {"seq": done.ledger[0], "hash": done.ledger[1]} if done else None,
            "next": self.next,
        }

    def lines(self) -> Iterator[str]:
        """Yield what a person reads."""
        come = "would come" if self.dry_run else "imported"
        for theirs, ours in sorted(self.names.items()):
            yield f"called     {theirs} is {ours} here"
        for one in self.imported:
            arrival = one.arrival
            yield f"{come:<10} {arrival.ref} ({arrival.stage}): {arrival.offered.ref} there"
        for left in self.left_out:
            word = "differs" if left.differs else "stands" if left.stands else "waits" if left.code else "left out"
            yield f"{word:<10} {left.name}, version {left.number}: {left.reason}"
        yield from (f"not kept   {text}" for text in self._lost())
        yield self._sum()

    def _lost(self) -> Iterator[str]:
        """Yield each thing that is lost once, with the versions that lose it."""
        found: dict[Lost, list[str]] = {}
        for (name, number), lost in sorted(self.lost.items()):
            for one in lost:
                found.setdefault(one, []).append(f"{name}, version {number}")
        whole = len(self.lost)
        for one, refs in found.items():
            where = refs[0] if len(refs) == 1 else f"all {whole}" if len(refs) == whole else f"{len(refs)} versions"
            yield f"{printable(one.field)} ({where}): {printable(one.reason)}"

    def _sum(self) -> str:
        count, total = len(self.imported), len(self.imported) + len(self.left_out)
        word = "would be imported" if self.dry_run else "imported"
        standing = sum(one.stands for one in self.left_out)
        word += f", {standing} came before" if standing else ""
        kept = f"; what was read is kept as {self.kept}" if self.kept else ""
        return f"MLflow {self.server} at {self.uri}: {count} of {total} versions {word}{kept}"


def told(problem: Sequence[str]) -> str:
    """Return several reasons as one text fit for a line."""
    return printable("; ".join(dict.fromkeys(problem)))
