"""Commands of the facade: what is done year after year, so that what is kept stays usable."""

from __future__ import annotations

from typing import TYPE_CHECKING

from manual_registry.registry.commands.base import Commands

if TYPE_CHECKING:
    from manual_registry.ports import Progress
    from manual_registry.registry.drilled import Drilling


class KeepingCommands(Commands):
    """What looks after the archive."""

    def drill(self, *, sample: int | None = None, progress: Progress | None = None) -> Drilling:
        """Have archived versions back to a temporary place outside of the registry, check them there, keep the outcome (RP-23).

        ``sample``: so many of them, those never drilled first, then those whose drill is longest ago; None: all. Each is
        copied and hashed as :meth:`fetch` does; bag, tag files, both hashes of every file, evidence, record and the
        copies of its approvals are checked as :meth:`verify` does. ``progress`` gets bytes done and in all.

        What could not be had back is in the result, not an error, and in the event; so is an outcome that the ledger did
        not take (``unrecorded``). With nothing archived nothing changes. Also for a closed register.

        Raises :class:`UsageError` for ``sample``, :class:`DiskFull`, :class:`StorageReadOnly` and :class:`StorageFailed`
        for the temporary place (``TMPDIR``); nothing is recorded then.
        """
        from manual_registry.registry import drilling

        return drilling.drill(self._work, sample=sample, progress=progress)
