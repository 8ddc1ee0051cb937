"""Brings a workbook from one view to the next by changing its bytes: only the cells in question, and what grows.

Rules held here: every part that does not change is copied as it lies in the file; in a part that does, nothing but
the tool's own cells, the ranges of its tables, its banner and its document properties; what is not known is
``Unpatchable`` before anything has been written, and the front then takes the older way (``refresh.py``).
"""

from __future__ import annotations

from collections.abc import Mapping

from manual_registry.adapters.workbook.banner import Changed
from manual_registry.adapters.workbook.compare import Located
from manual_registry.adapters.workbook.container import Unpatchable
from manual_registry.adapters.workbook.patch_parts import Patched
from manual_registry.adapters.workbook.patch_rows import Write
from manual_registry.adapters.workbook.patch_sheet import SheetPatch, Work
from manual_registry.adapters.workbook.patch_shift import NEWEST_FIRST, Tied, moved_down, room_above
from manual_registry.adapters.workbook.places import Area
from manual_registry.adapters.workbook.plan import SheetPlan, make_plan
from manual_registry.adapters.workbook.read import Book
from manual_registry.adapters.workbook.render import (
    READ_ME,
    as_of_text,
    head_text,
    read_me_lines,
)
from manual_registry.adapters.workbook.text import key
from manual_registry.core.view import Difference, View
from manual_registry.ports import Instructions

__all__ = ["Patched", "patched"]


def patched(
    data: bytes,
    book: Book,
    differences: tuple[Difference, ...],
    base: View,
    new: View,
    sync: Instructions | None,
    found: Mapping[str, Located | None],
    lines: tuple[Changed, ...] = (),
) -> Patched:
    """Return the file ``data`` (read as ``book``) brought from ``base`` to ``new``; raises ``Unpatchable``.

    ``found`` are the sheets of ``base`` as they were located for the comparison; ``lines`` of the tool's own are put back.
    """
    if any(name.lower().startswith("_xmlsignatures/") for name in book.entries):
        raise Unpatchable("it carries a digital signature, which any change breaks")
    work = Work(data, book, base, new, lines)
    older = {sheet.name: sheet for sheet in base.sheets}
    missing: list[str] = []
    for sheet in new.sheets:
        before = older.get(sheet.name)
        if before is None or (sync is not None and sheet.name not in book.grids and found.get(sheet.name) is None):
            missing += [sheet.name] if sheet.name not in book.grids else []
            continue
        located = found.get(sheet.name)
        if located is None:
            work.told.append(_missing(sheet.name, in_file=sheet.name in book.grids))
        else:
            patch = SheetPatch(work, located.grid)
            areas, own = patch.areas(located)
            plan = make_plan(located, before, sheet, differences, sync, areas=areas, untouched=book.untouched)
            patch, plan = _with_room(work, patch, plan, areas)
            patch.run(plan, own)
    if READ_ME in book.grids and not any(sheet.name == READ_ME for sheet in new.sheets):
        _read_me(SheetPatch(work, book.grids[READ_ME]), base, new)
    return work.finished(missing)


def _with_room(work: Work, patch: SheetPatch, plan: SheetPlan, areas: list[Area]) -> tuple[SheetPatch, SheetPlan]:
    """Move rows down where new ones belong above them; where something is tied to their places, they stay."""
    first = room_above(plan, newest_first=plan.after.name in NEWEST_FIRST)
    if first is None:
        return patch, plan
    try:
        moved, calculated = moved_down(work.parts, plan, first, areas)
    except Tied as why:
        if first == plan.located.heading + 1:  # of what stands below the table `run` tells
            work.told.append(f"sheet {plan.after.name}: new rows stand at the bottom and not on top, since {why}")
        return patch, plan
    patch = SheetPatch(work, moved.located.grid)
    patch.rows.calculated |= calculated
    patch.around.reach(moved.located.last)
    return patch, moved


def _missing(sheet: str, *, in_file: bool) -> str:
    what = "has no row of headings, or no column of row ids, any more" if in_file else "is gone"
    return f"sheet {sheet} {what}: it is not kept up (mreg reset-view writes the workbook anew, yours is kept beside)"


def _read_me(patch: SheetPatch, base: View, new: View) -> None:
    old, now = read_me_lines(base), read_me_lines(new)
    if len(old) == len(now):  # only another release of the tool has other lines; the next rendering brings them
        for at, (before, after) in enumerate(zip(old, now, strict=True), 1):
            for column, (was, becomes) in enumerate(zip(before, after, strict=True), 1):
                if was != becomes and key(patch.grid.cells.get(at, {}).get(column)) == key(was):
                    patch.put(at, column, Write(becomes))
        patch.around.footer({as_of_text(base): as_of_text(new), head_text(base): head_text(new)})
    patch.restore(patch.work.lines)
    patch.finish()
