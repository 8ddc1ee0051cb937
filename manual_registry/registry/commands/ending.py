"""Commands of the facade: the end of a register."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from manual_registry.registry.commands.base import Commands, Document, path_or_none

if TYPE_CHECKING:
    from manual_registry.core.results import Result


class EndingCommands(Commands):
    """The end of a register, which goes on elsewhere."""

    def close(self, successor: str, *, reason: str, as_: str | None = None, key: str | Path | None = None) -> Result:
        """Close the register: nothing new is registered here any more; it goes on at ``successor`` (RP-22).

        ``successor`` is an address or a place, one line; user, password and parameters that look like a token or key are
        left out. Signed by the lead ``as_``; None: a request is opened, which a lead signs later. Still possible
        afterwards: what reads, `verify` with ``record``, a check of an export, `anchor`, `drill`, `archive`, `take_in`, `note`,
        the end of a deployment, revocations.
        Closed so already: ``changed`` False.

        Raises :class:`AlreadyClosed` (with another successor or reason), :class:`BadName`, :class:`BadValue`,
        :class:`ReasonMissing`, :class:`LeadNeeded` (the registry has none), :class:`ApprovalWanted` (a rollback waits
        for its ratification), :class:`BaselineUnconfirmed`, :class:`ControlRefused`, :class:`SigningFailed`.
        """
        from manual_registry.registry import closing

        return closing.close(self._work, successor=successor, reason=reason, as_=as_, key=path_or_none(key))

    def close_facts(self, successor: str) -> Document:
        """Return what a lead reads before :meth:`close`: ``successor`` as it is kept, ``versions`` (stage -> how many).

        ``remarks`` are sentences on what is under way; ``closed`` is null, or ``at`` (UTC), ``successor``, ``reason``,
        ``by``, ``event``, ``doubted_since`` (UTC: the key that signed it was compromised since then). Raises
        :class:`BadName`, :class:`IntegrityError`.
        """
        from manual_registry.registry import closing

        return closing.close_facts(self._work, successor)

    def takes_signature(self, id: str | None = None) -> bool:
        """Tell whether a lead may still be asked to sign: always while the register is open.

        In a closed one nothing is signed but revocations (which this does not ask about) and the answers to requests that
        outlast it: ``id`` names one. The commands refuse the rest themselves; this keeps them from asking for a yes first.
        Raises :class:`IntegrityError`.
        """
        from manual_registry.registry import closing

        return closing.takes_signature(self._work, id)

    def without_leads(self, email: str) -> str | None:
        """Say what nobody can sign any more once ``email`` is revoked, the last lead of a closed register; else None.

        Raises :class:`IntegrityError`.
        """
        from manual_registry.registry import closing

        return closing.without_leads(self._work, email)
