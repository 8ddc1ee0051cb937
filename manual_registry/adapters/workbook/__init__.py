"""The tracking spreadsheet, behind ``ports.WorkbookPort``: rendered, compared, and brought up to date.

Who does what: ``package`` and ``read`` open files carefully, ``compare`` finds differences, ``losses`` names
what a save would drop, ``render``, ``layout`` and ``looks`` write, ``refresh`` updates, ``disk`` swaps files.
This module orders those steps. Rule held here: no step that could lose something of a person's comes before a
whole copy of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from manual_registry.adapters.workbook import disk, package
from manual_registry.core.errors import BadConfig, Busy, WorkbookUnreadable
from manual_registry.core.view import Difference, View
from manual_registry.ports import Instructions, Reading, Refreshed, WorkbookState

if TYPE_CHECKING:
    from manual_registry.adapters.workbook.banner import Changed
    from manual_registry.adapters.workbook.people import OwnColumns

__all__ = ["OpenpyxlWorkbook"]


def _now() -> datetime:
    return datetime.now(UTC)


class OpenpyxlWorkbook:
    """Fills ``WorkbookPort`` with openpyxl for writing and a guarded reader of our own."""

    def __init__(self, *, clock: Callable[[], datetime] = _now) -> None:
        """``clock`` dates the names of set-aside copies (aware)."""
        self._clock = clock

    def inspect(self, path: Path) -> WorkbookState:
        """Read the custom properties only, without openpyxl.

        Raises ``WorkbookUnreadable`` for what is no workbook.
        """
        with disk.disk_errors(path, "reading the workbook"):
            if not path.exists():
                return WorkbookState(present=False)
            if not path.is_file():
                raise package.unreadable(path.name, "is no plain file")
            found = package.peek(path)
        return WorkbookState(
            present=True,
            registry_id=found.get(package.REGISTRY_ID) or None,
            head_seq=_whole(found.get(package.HEAD_SEQ, "")),
            head_hash=found.get(package.HEAD_HASH) or None,
            link_prefix=links.removeprefix("./") if (links := found.get(package.LINKS)) else None,
            view_version=_whole(found.get(package.VIEW_VERSION, "")),
            joined_up_to=_whole(found.get(package.JOINED, "")) or 0,
        )

    def read(self, path: Path, base: View) -> Reading | None:
        """Compare with ``base`` and read what people typed, from the same bytes; None: there is no file.

        Of a difference ``row`` is empty for a typed row, and where a whole sheet (``column`` None) or column is gone.
        """
        from manual_registry.adapters.workbook.banner import changed_lines
        from manual_registry.adapters.workbook.compare import compare, locate_all, typed_rows
        from manual_registry.adapters.workbook.notices import notices
        from manual_registry.adapters.workbook.places import place
        from manual_registry.adapters.workbook.read import read_book
        from manual_registry.adapters.workbook.releases import from_other_release

        data = disk.read_file(path)
        if data is None:
            return None
        book = read_book(data, path.name, _wanted(base))
        places = locate_all(book, base)
        other = from_other_release(book, base)
        lines = () if other else changed_lines(book, base, places)
        return Reading(
            sha256=disk.digest(data) or "",
            differences=compare(book, base, places),
            typed=typed_rows(book, base, places),
            notices=notices(book, base, places, lines),
            changed_lines=tuple((place(one.sheet, one.row, one.column), one.told(base)) for one in lines),
            other_release=other,
        )

    def render(self, path: Path, new: View, *, aside: Path | None) -> None:
        """Write the workbook anew.

        An existing file is first kept as ``aside``; raises ``Busy`` while it is open, ``BadConfig`` for an .xlsm.
        """
        from manual_registry.adapters.workbook.render import render_bytes

        path = path.resolve()
        if not _renderable(path):
            raise BadConfig(_not_rendered(path).warnings[0], location="registry.toml")
        old = disk.read_file(path)
        if old is not None and (holder := disk.open_elsewhere(path)):
            raise Busy(
                f"{path.name} is {holder}; close it there (or remove the mark if nobody has it open)",
                location=path.name,
            )
        data = render_bytes(new)
        if old is not None and aside is not None:
            disk.keep_as(path, old, aside)
        if not disk.swap(path, data, expected=old):
            raise Busy(f"{path.name} was changed by someone else at this moment; try again", location=path.name)

    def refresh(self, path: Path, base: View | None, new: View, *, sync: Instructions | None = None) -> Refreshed:
        """Bring the file from ``base`` to ``new``; cells that differ from the base stay as they are.

        ``base`` None says that the base is unknown: the file is kept whole beside, and a new one rendered. ``sync``
        says what became of the differences; where it puts something back, the file is kept whole beside.
        """
        path = path.resolve()
        data = disk.read_file(path)
        if data is not None and (holder := disk.open_elsewhere(path)):
            return Refreshed(written=False, warnings=(f"{path.name} is {holder}: not written, {_behind(new)}",))
        if data is None:
            return self._write(path, None, new) if _renderable(path) else _not_rendered(path)
        if sync is not None and sync.read not in (None, disk.digest(data)):
            again = f"{path.name} was saved again while it was read: not written; sync once more"
            return Refreshed(written=False, warnings=(again,))
        if shut := package.locked(path.name, data):
            return Refreshed(written=False, warnings=(f"{shut}; not written, {_behind(new)}",))
        if base is None:
            return self._anew(path, data, new, self._why_no_base(path))
        return self._refresh(path, data, base, new, sync)

    def _why_no_base(self, path: Path) -> str:
        """Say why edits in the file cannot be told apart: it cannot be read, or names no head of the ledger."""
        try:
            self.inspect(path)
        except WorkbookUnreadable as problem:
            return str(problem.details.get("why") or problem.message)
        return "names no state of this registry's ledger, so edits cannot be told apart"

    def add_columns(
        self, path: Path, view: View, sheet: str, several: Sequence[OwnColumns], *, up_to: int
    ) -> Refreshed:
        """Put adopted sheets' own columns and comments beside ours in ``sheet``; ``view`` is what the file shows.

        What stands there already stays; where something of a person's could be lost, nothing is written and that is
        told. ``up_to``: the event up to which they are there then. Raises ``WorkbookUnreadable``.
        """
        from manual_registry.adapters.workbook.compare import locate
        from manual_registry.adapters.workbook.losses import losses
        from manual_registry.adapters.workbook.people import with_columns
        from manual_registry.adapters.workbook.read import read_book
        from manual_registry.adapters.workbook.refresh import Unloadable

        path = path.resolve()
        data = disk.read_file(path)
        holder = disk.open_elsewhere(path) if data is not None else None
        shut = package.locked(path.name, data) if data is not None else f"{path.name} is not there"
        if data is None or holder or shut:
            return Refreshed(written=False, warnings=(shut or f"{path.name} is {holder}",))
        book = read_book(data, path.name)
        wanted = next(one for one in view.sheets if one.name == sheet)
        located, lost = locate(book, wanted), losses(book)
        if located is None or lost or book.macros:
            why = f"holds {', '.join(lost)}" if lost else "holds macros" if book.macros else f"has no sheet {sheet}"
            return Refreshed(written=False, warnings=(f"{path.name} {why}",))
        try:
            written, told = with_columns(data, book, located, wanted, view, several, mark=up_to)
        except Unloadable as failed:
            return Refreshed(written=False, warnings=(f"{path.name} cannot be processed ({failed})",))
        return self._swap(path, data, written, view, Refreshed(written=True, warnings=told))

    def _refresh(self, path: Path, data: bytes, base: View, new: View, sync: Instructions | None) -> Refreshed:
        from manual_registry.adapters.workbook.banner import changed_lines
        from manual_registry.adapters.workbook.compare import compare, locate_all
        from manual_registry.adapters.workbook.container import Unpatchable
        from manual_registry.adapters.workbook.errors import is_fixable
        from manual_registry.adapters.workbook.patch import patched
        from manual_registry.adapters.workbook.plan import crossings, settles
        from manual_registry.adapters.workbook.read import read_book
        from manual_registry.adapters.workbook.releases import from_other_release, missing_told, rebased

        try:
            book = read_book(data, path.name, _wanted(base, new))
            places = locate_all(book, base)
            found = compare(book, base, places)
        except WorkbookUnreadable as refused:
            if is_fixable(refused):
                told = f"{refused.message}. The view is not written: {_behind(new)}"
                return Refreshed(written=False, warnings=(told,))
            return self._anew(path, data, new, "cannot be read")
        reworded: tuple[Difference, ...] = ()
        if other := from_other_release(book, base):
            again = rebased(found, base, places, sync.keep if sync else ())
            found, base, reworded = again.found, again.base, again.reworded
            if book.untouched and not found:
                return self._write(path, data, new)
        if base == new and sync is None and not other:
            return Refreshed(written=False, waiting=len(found), sha256=disk.digest(data))
        if book.macros:
            told = (
                f"{path.name} holds macros (.xlsm) and is never rewritten: it stays behind the ledger (which is at"
                f" {new.head_seq}), and edits there are read. {_NAME_AN_XLSX}"
            )
            return Refreshed(written=False, warnings=(told,), waiting=len(found))
        waiting = sum(1 for one in found if not settles(sync, one, new))
        if sync is None and found and (crossed := crossings(found, new)):
            told = f"{path.name}: {', '.join(crossed)} changed there and in the record: not written until mreg sync"
            return Refreshed(written=False, warnings=(told,), waiting=waiting)
        lines = changed_lines(book, base, places) if sync is not None and not other else ()
        try:
            done = patched(data, book, found, base, new, sync, places, lines)
        except Unpatchable as why:
            return self._by_openpyxl(path, data, base, new, sync, str(why), reworded)
        if done.data == data:
            return Refreshed(written=False, waiting=waiting, sha256=disk.digest(data))
        aside, warnings = self._keep_rejected(path, data, found, sync, new, reworded, lines)
        warnings = (*warnings, *done.told, *missing_told(reworded))
        result = Refreshed(written=True, set_aside=aside, warnings=warnings, waiting=waiting)
        return self._swap(path, data, done.data, new, result)

    def _keep_rejected(
        self,
        path: Path,
        data: bytes,
        found: tuple[Difference, ...],
        sync: Instructions | None,
        new: View,
        reworded: tuple[Difference, ...] = (),
        lines: tuple[Changed, ...] = (),
    ) -> tuple[Path | None, tuple[str, ...]]:
        """Keep the file whole where `sync` puts something back that a person wrote: the ledger has only a hash.

        Also where it cannot be told whether a person wrote it or another release of the tool.
        """
        from manual_registry.adapters.workbook.plan import rejects

        back = sync is not None and (bool(lines) or rejects(sync, found, new))
        if not back and not rejects(Instructions(), reworded, new):
            return None, ()
        aside = disk.copy_aside(path, data, self._clock())
        why = "with what was put right" if back else "as another release of the tool had written it"
        return aside, (f"{path.name} as it was, {why}, is kept as {aside.name}",)

    def _by_openpyxl(
        self,
        path: Path,
        data: bytes,
        base: View,
        new: View,
        sync: Instructions | None,
        why: str,
        reworded: tuple[Difference, ...],
    ) -> Refreshed:
        """Take the older way: all is written anew, and what openpyxl would drop is kept in a copy."""
        from manual_registry.adapters.workbook.compare import compare
        from manual_registry.adapters.workbook.losses import losses
        from manual_registry.adapters.workbook.plan import settles
        from manual_registry.adapters.workbook.read import read_book
        from manual_registry.adapters.workbook.refresh import Unloadable, refreshed

        try:
            book = read_book(data, path.name)
        except WorkbookUnreadable:
            return self._anew(path, data, new, "cannot be read")
        found = compare(book, base)
        if book.untouched and not found and sync is None:
            return self._write(path, data, new)
        lost = losses(book)
        try:
            written = refreshed(data, book, found, base, new, sync)
        except Unloadable as failed:
            return self._anew(path, data, new, f"cannot be processed ({failed})")
        aside, kept = self._keep_rejected(path, data, found, sync, new, reworded)
        told = f"{path.name} could not be changed in place ({why}) and was saved anew"
        if lost and aside is None:
            aside = disk.copy_aside(path, data, self._clock())
        if lost and aside is not None:
            told += f"; it held what that drops ({', '.join(lost)}): kept whole as {aside.name}"
        waiting = sum(1 for one in found if not settles(sync, one, new))
        done = Refreshed(written=True, set_aside=aside, warnings=(*kept, told), waiting=waiting)
        return self._swap(path, data, written, new, done)

    def _anew(self, path: Path, data: bytes, new: View, why: str) -> Refreshed:
        from manual_registry.adapters.workbook.render import render_bytes

        if not _renderable(path):
            return _not_rendered(path)
        written = render_bytes(new)
        aside = disk.copy_aside(path, data, self._clock())
        told = (f"{path.name} {why}: kept whole as {aside.name}, and written anew",)
        return self._swap(path, data, written, new, Refreshed(written=True, set_aside=aside, warnings=told))

    def _write(self, path: Path, data: bytes | None, new: View) -> Refreshed:
        from manual_registry.adapters.workbook.render import render_bytes

        return self._swap(path, data, render_bytes(new), new, Refreshed(written=True))

    def _swap(self, path: Path, old: bytes | None, data: bytes, new: View, done: Refreshed) -> Refreshed:
        if disk.swap(path, data, expected=old):
            return replace(done, sha256=disk.digest(data))
        told = (
            *done.warnings,
            f"{path.name} was changed by someone else meanwhile: not written, {_behind(new)}",
        )
        return Refreshed(written=False, set_aside=done.set_aside, warnings=told, waiting=done.waiting)


def _whole(text: str) -> int | None:
    """Read a whole number from a property; None for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


_NAME_AN_XLSX = "For one that is kept up, name an .xlsx ([workbook] path in registry.toml)"


def _renderable(path: Path) -> bool:
    """Tell whether a new workbook may be written there: spreadsheets refuse an .xlsm that is none inside."""
    return path.suffix.lower() != ".xlsm"


def _not_rendered(path: Path) -> Refreshed:
    return Refreshed(written=False, warnings=(f"{path.name}: no .xlsm is written by this tool. {_NAME_AN_XLSX}",))


def _wanted(*views: View) -> frozenset[str]:
    """Name the sheets that are the tool's; what stands on others is not read."""
    return frozenset({"Read me", "_choices"}.union(*({sheet.name for sheet in view.sheets} for view in views)))


def _behind(new: View) -> str:
    return f"it is behind the ledger (which is at {new.head_seq}); the next command brings it up to date"
