"""Commands of the facade: what reads and changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from manual_registry.registry.commands.base import Commands, Document, Documents

if TYPE_CHECKING:
    import pandas

    from manual_registry.core.results import Trace, Verification
    from manual_registry.ports import Progress


class ReadCommands(Commands):
    """What reads and changes nothing."""

    def status(self) -> Document:
        """Say what the registry is, what waits, and what to do next."""
        from manual_registry.registry import reading

        return reading.status(self._work)

    def list(self) -> Documents:
        """Return one entry per version, by model, in order of registration."""
        from manual_registry.registry import reading

        return reading.rows(self._work)

    def search(self, expression: str) -> Documents:
        """Return the entries for which every term of EXPR (words, ``field>=value``) holds."""
        from manual_registry.registry import reading

        return reading.search(self._work, expression)

    def show(self, ref: str) -> Document:
        """Return everything that is known of one version."""
        from manual_registry.registry import reading

        return reading.show(self._work, ref)

    def compare(self, first: str, second: str) -> Document:
        """Return what differs between two versions, and the names of what does not."""
        from manual_registry.registry import reading

        return reading.compare(self._work, first, second)

    def history(self, ref: str | None = None) -> Documents:
        """Return the events, oldest first: all, a model's, or a version's."""
        from manual_registry.registry import reading

        return reading.history(self._work, ref)

    def card(self, ref: str) -> str:
        """Return the model card of a version as Markdown."""
        from manual_registry.registry import reading

        return reading.card(self._work, ref)

    def export_csv(self) -> bytes:
        """Return the register as CSV (UTF-8, header line); a text that a spreadsheet would run gets a ' in front."""
        from manual_registry.registry import exporting

        return exporting.export_csv(self._work)

    def to_dataframe(self) -> pandas.DataFrame:
        """Return the register as a table: one row per version, dates and stages typed, ``metrics.*`` as columns."""
        from manual_registry.registry import exporting

        return exporting.to_dataframe(self._work)

    def trace(self, ref: str, *, at: str | None = None, hash: bool = True, progress: Progress | None = None) -> Trace:
        """Walk from a version back to code, data, evaluation and signature.

        ``ref`` may be a bare model: its production version, with ``at`` (RFC 3339, or a date for the whole day) the one
        of that time. ``hash`` False: nothing is hashed, the index serves. Raises :class:`NothingInProduction`,
        :class:`SeveralInTime`. What does not hold is a broken link of the result, not an error.
        """
        from manual_registry.registry import tracing

        return tracing.trace(self._work, ref, at=at, hash=hash, progress=progress)

    def verify(
        self,
        refs: Sequence[str] = (),
        *,
        sample: int | None = None,
        jobs: int | None = None,
        both: bool = False,
        quick: bool = False,
        anchor: str | None = None,
        record: bool = False,
        progress: Progress | None = None,
    ) -> Verification:
        """Check the ledger, every decision, signature, file and view again; all findings, each located.

        ``both`` adds SHA-256 to BLAKE3; ``quick`` hashes no artefact; ``anchor`` is ``SEQ:sha256:HEX`` or a file with a
        line of :meth:`anchor`; ``record`` keeps the outcome in the ledger. Writes nothing otherwise.
        """
        from manual_registry.registry import verifying

        return verifying.verify(
            self._work,
            refs,
            sample=sample,
            jobs=jobs,
            both=both,
            quick=quick,
            anchor=anchor,
            record=record,
            progress=progress,
        )

    def fetch(self, ref: str, destination: str | Path, *, progress: Progress | None = None) -> Document:
        """Copy a version's artefact to ``destination``, verified; refuses on a hash mismatch."""
        from manual_registry.registry import archiving

        return archiving.fetch(self._work, ref, Path(destination), progress=progress)
