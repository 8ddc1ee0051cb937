"""``Registry``: one method for each command, returning values; the groups stand in :mod:`commands`."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from manual_registry.registry.commands.adopt import AdoptCommands
from manual_registry.registry.commands.approve import ApproveCommands
from manual_registry.registry.commands.change import ChangeCommands
from manual_registry.registry.commands.ending import EndingCommands
from manual_registry.registry.commands.gates import GateCommands
from manual_registry.registry.commands.keeping import KeepingCommands
from manual_registry.registry.commands.read import ReadCommands
from manual_registry.registry.commands.roster import RosterCommands
from manual_registry.registry.roots import find_root
from manual_registry.registry.workspace import Clock, Workspace, utc_now

if TYPE_CHECKING:
    from manual_registry.core.results import Result


class Registry(
    ReadCommands,
    ChangeCommands,
    AdoptCommands,
    ApproveCommands,
    RosterCommands,
    GateCommands,
    KeepingCommands,
    EndingCommands,
):
    """An opened registry.

    Every writing method returns a :class:`~manual_registry.core.results.Result`; every method raises
    :class:`~manual_registry.core.errors.RegistryError` and nothing else for what can be foreseen. ``REF`` is as in the
    README: ``model@version``, ``model@stage``, ``model@alias``, ``model@latest``, a composite identifier, a content
    hash or a path. Its classes stand in :mod:`manual_registry.core.errors`; those that a method's docstring names are the
    ones that belong to it. Beside them every method raises :class:`IntegrityError` for a ledger that does not hold
    (status 4) and :class:`FormatTooNew`, and every writing one :class:`HeadUnknown`, :class:`Busy` (another process
    writes), :class:`LostRace`, :class:`BadConfig` (registry.toml leaves open where the workbook lies),
    :class:`ClockRefused` and :class:`Unavailable` (disk full, read-only, unreachable); a refused call changes nothing.
    Sizes are bytes, times RFC 3339 in UTC with milliseconds, hashes lower-case hex.
    """

    @staticmethod
    def init(
        directory: str | Path,
        *,
        risk: str,
        system: str | None = None,
        placed_on_market: str | None = None,
        leads: Sequence[tuple[str, Path]] = (),
        recovery_key: str | Path | None = None,
        continues: str | Path | None = None,
        actor: str | None = None,
        clock: Clock = utc_now,
    ) -> Result:
        """Make a registry in ``directory``.

        ``leads`` are pairs of ``Name <email>`` and the path of an OpenSSH public key; ``placed_on_market`` is a date
        (AI Act Art. 18: retention counts from it). ``recovery_key`` is a public key whose private half, kept offline, can
        enrol a lead when no lead's key can be used. ``continues`` is a registry that cannot go on (no usable key): its
        head is pinned in the new one. Raises :class:`NameTaken` (nothing is touched).

        What a killed `init` left is taken further by the same call. Raises also :class:`UsageError` (no risk class, an
        address), :class:`BadEmail`, :class:`BadKey`, :class:`BadTime`, :class:`DateInFuture`, :class:`Unavailable`.
        """
        from manual_registry.registry import initialising

        return initialising.init(
            Path(directory),
            risk=risk,
            system=system,
            placed_on_market=placed_on_market,
            leads=leads,
            recovery_key=Path(recovery_key) if recovery_key is not None else None,
            continues=Path(continues) if continues is not None else None,
            actor=actor,
            clock=clock,
            environ=os.environ,
        )

    @classmethod
    def open(cls, path: str | Path | None = None, *, actor: str | None = None, clock: Clock = utc_now) -> Registry:
        """Open a registry: ``path``, else ``$MANUAL_REGISTRY``, else the nearest parent with a registry.toml.

        ``actor`` is an e-mail address (claimed, not proven). Raises :class:`NoRegistry`, :class:`FormatTooNew`,
        :class:`BadEmail`, :class:`UsageError` for an address; a mistake in registry.toml stops no reader.
        """
        root = find_root(Path(path) if path is not None else None, os.environ)
        return cls(Workspace(root, actor=actor, clock=clock))

    @property
    def root(self) -> Path:
        """The registry's root directory."""
        return self._work.root

    @property
    def workbook(self) -> str:
        """Where the tracking spreadsheet lies, as registry.toml says it (relative to the root)."""
        return self._work.config.workbook

    def owns(self, path: str | Path) -> bool:
        """Tell whether ``path`` is the registry's: its workbook, or one of its own names in the root, or below one.

        Nothing is written there by ``-o``. Raises :class:`BadConfig` when registry.toml names no place for the workbook.
        """
        from manual_registry.adapters.workbook_place import belongs_to_registry

        target = Path(path)
        workbook = self._work.workbook_path
        by_name = target.parent.resolve() / target.name  # a link there is replaced, one that leads in is followed
        return (
            any(belongs_to_registry(self.root, one) for one in (by_name, target))
            or workbook.resolve() in (by_name, target.resolve())
            or by_name == workbook.parent.resolve() / workbook.name
        )

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences for the user that came up so far."""
        return tuple(self._work.warnings)

    @property
    def head(self) -> tuple[int, str]:
        """The ledger's head as (number, ``sha256:…``).

        Raises :class:`IntegrityError`.
        """
        return self._work.load().head

    @property
    def passphrase(self) -> Callable[[str], str] | None:
        """Asks a person for a key's passphrase; None: nobody is there to ask."""
        return self._work.passphrase

    @passphrase.setter
    def passphrase(self, ask: Callable[[str], str] | None) -> None:
        self._work.passphrase = ask
