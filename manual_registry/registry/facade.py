"""``Registry``: one method for each command, returning values; the groups stand in :mod:`commands`."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from manual_registry.registry.commands.approve import ApproveCommands
from manual_registry.registry.commands.change import ChangeCommands
from manual_registry.registry.commands.read import ReadCommands
from manual_registry.registry.commands.roster import RosterCommands
from manual_registry.registry.roots import find_root
from manual_registry.registry.workspace import Clock, Workspace, utc_now

if TYPE_CHECKING:
    from manual_registry.core.results import Result


class Registry(ReadCommands, ChangeCommands, ApproveCommands, RosterCommands):
    """An opened registry.

    Every writing method returns a :class:`~manual_registry.core.results.Result`; every method raises
    :class:`~manual_registry.core.errors.RegistryError` and nothing else for what can be foreseen. ``REF`` is as in the
    README: ``model@version``, ``model@stage``, ``model@alias``, ``model@latest``, a composite identifier, a content
    hash or a path.
    """

    @staticmethod
    def init(
        directory: str | Path,
        *,
        risk: str,
        system: str | None = None,
        placed_on_market: str | None = None,
        leads: Sequence[tuple[str, Path]] = (),
        actor: str | None = None,
        clock: Clock = utc_now,
    ) -> Result:
        """Make a registry in ``directory``.

        ``leads`` are pairs of ``Name <email>`` and the path of an OpenSSH public key; ``placed_on_market`` is a date
        (AI Act Art. 18: retention counts from it). Raises :class:`NameTaken` (nothing is touched).
        """
        from manual_registry.registry import initialising

        return initialising.init(
            Path(directory),
            risk=risk,
            system=system,
            placed_on_market=placed_on_market,
            leads=leads,
            actor=actor,
            clock=clock,
            environ=os.environ,
        )

    @classmethod
    def open(cls, path: str | Path | None = None, *, actor: str | None = None, clock: Clock = utc_now) -> Registry:
        """Open a registry: ``path``, else ``$MANUAL_REGISTRY``, else the nearest parent with a registry.toml.

        ``actor`` is an e-mail address (claimed, not proven). Raises :class:`NoRegistry`, :class:`BadConfig`.
        """
        root = find_root(Path(path) if path is not None else None, os.environ)
        return cls(Workspace(root, actor=actor, clock=clock))

    @property
    def root(self) -> Path:
        """The registry's root directory."""
        return self._work.root

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences for the user that came up so far."""
        return tuple(self._work.warnings)

    @property
    def head(self) -> tuple[int, str]:
        """The ledger's head as (number, ``sha256:…``)."""
        return self._work.load().head

    @property
    def passphrase(self) -> Callable[[str], str] | None:
        """Asks a person for a key's passphrase; None: nobody is there to ask."""
        return self._work.passphrase

    @passphrase.setter
    def passphrase(self, ask: Callable[[str], str] | None) -> None:
        self._work.passphrase = ask
