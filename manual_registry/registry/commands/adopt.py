"""Commands of the facade: a team's own spreadsheet comes in, or what an MLflow server holds."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from manual_registry.registry.commands.base import Commands, path_or_none

if TYPE_CHECKING:
    from manual_registry.core.results import Result
    from manual_registry.ports import Progress
    from manual_registry.registry.adopted import Adoption
    from manual_registry.registry.adopting import Order
    from manual_registry.registry.brought import Brought


class AdoptCommands(Commands):
    """A team's own spreadsheet comes in, or what an MLflow server holds."""

    def adopt(
        self,
        sheet: str | Path,
        *,
        storage: str | Path | None = None,
        mapping: str | Path | None = None,
        in_place: bool = False,
        progress: Progress | None = None,
    ) -> Adoption:
        """Import each row of a team's tracking sheet as a baseline entry; control starts today.

        Files are looked for below ``storage`` and the sheet's own folder, nowhere else. ``mapping``: a corrected mapping
        file. ``in_place``: files are hashed where they lie and not copied. While ``open`` is True of the outcome,
        nothing was imported. The original is kept whole under ``adopted/``. Raises :class:`FileUnknown`,
        :class:`MetadataUnreadable` for what is no spreadsheet, and everything that is wrong with the mapping file.
        """
        from manual_registry.registry import adopting

        order = _order(sheet, storage, mapping, in_place)
        return adopting.adopt(self._work, order, progress=progress)

    @staticmethod
    def adopt_dry_run(
        sheet: str | Path,
        *,
        registry: str | Path | None = None,
        storage: str | Path | None = None,
        mapping: str | Path | None = None,
        in_place: bool = False,
        progress: Progress | None = None,
    ) -> Adoption:
        """Say what :meth:`adopt` would do; needs no registry. Writes a mapping file beside the sheet, nothing else.

        Where ``registry``, the environment or the working directory names a registry, its versions count as well.

        Raises :class:`FileUnknown`, :class:`WorkbookUnreadable` and its kinds, :class:`InvalidInput` for a mapping file
        that cannot be taken.
        """
        from manual_registry.core.errors import NoRegistry
        from manual_registry.registry import adopting
        from manual_registry.registry.roots import find_root
        from manual_registry.registry.workspace import Workspace

        state = None
        try:
            state = Workspace(find_root(path_or_none(registry), os.environ)).load().state
        except NoRegistry:
            if registry is not None:
                raise
        return adopting.dry_run(_order(sheet, storage, mapping, in_place), state, progress=progress)

    def import_mlflow(
        self,
        tracking_uri: str,
        *,
        models: Sequence[str] = (),
        dry_run: bool = False,
        progress: Progress | None = None,
    ) -> Brought:
        """Import the registered versions of an MLflow server as baseline entries; control starts today.

        ``models``: those registered models alone, by MLflow's names. What this tool exported comes back whole, with the
        hashes checked; of others, runs, tags and data sets become metadata, numbers become versions. What cannot come is
        in the outcome with its reason, as is what has no place here; ``differs`` is True of it where files are not what
        was said of them. ``dry_run`` reads and downloads nothing but this tool's own papers, and writes nothing.

        Again imports only what is new. Raises :class:`BadTrackingAddress`, :class:`ToolMissing`, :class:`ServerDown` (what
        was imported until then stays), :class:`ServerTooOld`, :class:`WrongCredentials`, :class:`ModelUnknown`,
        :class:`RegistryClosed`.
        """
        from manual_registry.registry import bringing

        return bringing.import_mlflow(
            self._work, tracking_uri=tracking_uri, models=models, dry_run=dry_run, progress=progress
        )

    def take_in(self, ref: str, *, progress: Progress | None = None) -> Result:
        """Copy the files of a version that was adopted in place into the registry; they must be as adopted.

        Raises :class:`NotFound`, :class:`ArtefactFinding`, :class:`Unavailable`.
        """
        from manual_registry.registry import adopting

        return adopting.take_in(self._work, ref, progress=progress)


def _order(sheet: str | Path, storage: str | Path | None, mapping: str | Path | None, in_place: bool) -> Order:
    from manual_registry.registry.adopting import Order

    return Order(sheet=Path(sheet), storage=path_or_none(storage), mapping=path_or_none(mapping), in_place=in_place)
