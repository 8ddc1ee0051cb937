"""Commands of the facade: what reads and changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from manual_registry.registry.commands.base import Commands, Document, Documents, path_or_none

if TYPE_CHECKING:
    import pandas

    from manual_registry.core.results import Trace, Verification
    from manual_registry.ports import Progress
    from manual_registry.registry.handover import Handover


class ReadCommands(Commands):
    """What reads and changes nothing."""

    def status(self) -> Document:
        """Say what the registry is, what waits, and what to do next.

        Returns ``manual-registry/status/1``: counts by stage, pending approvals, what is overdue, moves, the
        last retrieval drill, the head, commands to type next; times are UTC stamps with milliseconds. Raises :class:`IntegrityError`.
        """
        from manual_registry.registry import reading

        return reading.status(self._work)

    def list(self) -> Documents:
        """Return one entry per version, by model, in order of registration.

        An entry is one of ``manual-registry/list/1``: hashes in hex, ``size`` in bytes, dates as UTC stamps. Raises
        :class:`IntegrityError`.
        """
        from manual_registry.registry import reading

        return reading.rows(self._work)

    def search(self, expression: str) -> Documents:
        """Return the entries for which every term of EXPR (words, ``field>=value``) holds.

        Entries are as in :meth:`list`. Raises :class:`BadExpression` for what is no expression or names no field.
        """
        from manual_registry.registry import reading

        return reading.search(self._work, expression)

    def show(self, ref: str) -> Document:
        """Return everything that is known of one version.

        Returns ``manual-registry/show/1``. Raises :class:`NotFound`, :class:`Ambiguous`.
        """
        from manual_registry.registry import reading

        return reading.show(self._work, ref)

    def compare(self, first: str, second: str) -> Document:
        """Return what differs between two versions, and the names of what does not.

        Returns ``a``, ``b``, ``differences`` (field, a, b), ``same``. Raises :class:`NotFound`, :class:`Ambiguous`.
        """
        from manual_registry.registry import reading

        return reading.compare(self._work, first, second)

    def history(self, ref: str | None = None) -> Documents:
        """Return the events, oldest first: all, a model's, or a version's.

        A row has seq, at (UTC), type, actor, subject, a summary, the hash. Raises :class:`NotFound`,
        :class:`Ambiguous`.
        """
        from manual_registry.registry import reading

        return reading.history(self._work, ref)

    def card(self, ref: str) -> str:
        """Return the model card of a version as Markdown.

        Raises :class:`NotFound`, :class:`Ambiguous`.
        """
        from manual_registry.registry import reading

        return reading.card(self._work, ref)

    def export_csv(self) -> bytes:
        """Return the register as CSV (UTF-8, header line); a text that a spreadsheet would run gets a ' in front.

        Columns are those of :meth:`list` and the workbook's Notes, times UTC. Raises :class:`IntegrityError`.
        """
        from manual_registry.registry import exporting

        return exporting.export_csv(self._work)

    def export_mlflow(
        self,
        tracking_uri: str,
        *,
        model: str | None = None,
        dry_run: bool = False,
        verify_only: bool = False,
        record: bool = False,
        alias: str | None = None,
        progress: Progress | None = None,
    ) -> Handover:
        """Export to the MLflow server at ``tracking_uri``, and read everything back; again: only what is new.

        ``dry_run`` says what would be written, and what MLflow would cut, rename or refuse; ``verify_only`` compares,
        hashes included, and writes nothing to MLflow (``record``: an event in the ledger). ``alias`` (production or
        champion) names the production version there; None: as the last export did. Mismatches are in the result, not
        errors; so is an outcome that the ledger did not take (``unrecorded``).

        Raises :class:`NotFound` for ``model``, :class:`Unavailable` where the server or the package is missing.
        """
        from manual_registry.registry import handover

        return handover.export_mlflow(
            self._work,
            tracking_uri=tracking_uri,
            model=model,
            dry_run=dry_run,
            verify_only=verify_only,
            record=record,
            alias=alias,
            progress=progress,
        )

    def to_dataframe(self) -> pandas.DataFrame:
        """Return the register as a table: one row per version, dates and stages typed, ``metrics.*`` as columns.

        Times are ``datetime64[ns, UTC]``. Raises :class:`IntegrityError`.
        """
        from manual_registry.registry import exporting

        return exporting.to_dataframe(self._work)

    def trace(self, ref: str, *, at: str | None = None, hash: bool = True, progress: Progress | None = None) -> Trace:
        """Walk from a version back to code, data, evaluation and signature.

        ``ref`` may be a bare model: its production version, with ``at`` (RFC 3339, or a date for the whole day) the one
        of that time. ``hash`` False: nothing is hashed, the index serves. Raises :class:`NothingInProduction`,
        :class:`SeveralInTime`. What does not hold is a broken link of the result, not an error.

        ``progress`` gets bytes done and in all. Raises :class:`NotFound` and :class:`Ambiguous` for a REF,
        :class:`BadTime` and :class:`DateInFuture` for ``at``, :class:`UsageError` for ``at`` with more than a model;
        :class:`IntegrityError` only where a damaged ledger does not hold the version any more.
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
        tsa_roots: str | Path | None = None,
        record: bool = False,
        progress: Progress | None = None,
    ) -> Verification:
        """Check the ledger, every decision, signature, file and view again; all findings, each located.

        ``both`` adds SHA-256 to BLAKE3; ``quick`` hashes no artefact; ``anchor`` is ``SEQ:sha256:HEX`` or a file with a
        line of :meth:`anchor`; ``tsa_roots`` are certificates (PEM) by which time-stamps are judged; ``record`` keeps the outcome in the ledger. Writes nothing otherwise.

        ``sample``: so many versions, by chance; ``jobs``: threads; ``progress`` gets bytes. ``checked`` of the result
        counts events, versions, files, bytes, signatures. Raises :class:`NotFound` and :class:`Ambiguous` for ``refs``,
        :class:`BadAnchor`; what is wrong with the registry is a finding, never raised.
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
            tsa_roots=path_or_none(tsa_roots),
            record=record,
            progress=progress,
        )

    def fetch(self, ref: str, destination: str | Path, *, progress: Progress | None = None) -> Document:
        """Copy a version's artefact to ``destination``, verified; refuses on a hash mismatch.

        Returns model, version, path, blake3, sha256, files, size (bytes). Raises :class:`NotFound`,
        :class:`DestinationTaken`, :class:`ArtefactFinding`, :class:`Unavailable` (disk full, not writable); a half copy
        is removed.
        """
        from manual_registry.registry import archiving

        return archiving.fetch(self._work, ref, Path(destination), progress=progress)
