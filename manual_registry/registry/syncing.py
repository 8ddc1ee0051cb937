"""`sync`: people's edits of the workbook become events, requests or problems; then the view follows (clause RP-15).

The three-way diff is between the file, its base (the view at the ledger head that the file names, recomputed from the
ledger) and the state now. What each difference means is decided in :mod:`manual_registry.core.syncing`; whether it may
become an event in :mod:`manual_registry.core.decide`. This module orders the steps:

1. file and ledger are what the last sync left: nothing to do (:mod:`unchanged`);
2. differences and typed rows are read from the file, once; nothing is written there;
3. edits become events under the write lock (:mod:`model_edits`, :mod:`entries`);
4. complete typed rows are registered (:mod:`typed_rows`);
5. the workbook is brought up to date, everything else put back. Not when it was saved meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from manual_registry.core.errors import FileUnknown, HeadUnknown, WorkbookForeign
from manual_registry.registry import unchanged
from manual_registry.registry.copies_beside import copy_told, unmerged
from manual_registry.registry.synced import Synced

if TYPE_CHECKING:
    from manual_registry.core.syncing import Sorted
    from manual_registry.core.view import View
    from manual_registry.ports import Reading
    from manual_registry.registry.workspace import Loaded, Workspace


def sync(work: Workspace, *, workbook: Path | None, from_: Path | None) -> Synced:
    """Read people's edits back, then refresh the view; see :meth:`manual_registry.Registry.sync`."""
    path, done = _which(work, workbook, from_)
    head = None if done.copy else unchanged.head_if_settled(work.root)
    if head is not None:
        done.head = head
        return done
    if done.copy and unchanged.merged(work, path):
        work.warn(f"{path.name} was merged already")
        done.head = work.load().head
        return done
    work.hold_workbook = True
    try:
        with _foreign_told(work):
            present = _edits(work, path, done)
        _typed(work, present, done, from_)
    finally:
        work.hold_workbook = False
    _finish(work, path, done)
    return done


@contextmanager
def _foreign_told(work: Workspace) -> Iterator[None]:
    """Another registry's workbook in place stops every writer; to `sync` it is the file that is wrong."""
    try:
        yield
    except HeadUnknown as problem:
        if any(one.location != work.config.workbook for one in problem.reasons):
            raise
        raise WorkbookForeign(problem.message, location=problem.location, hint="mreg reset-view") from problem


def _which(work: Workspace, workbook: Path | None, from_: Path | None) -> tuple[Path, Synced]:
    """Return the file to read, and whether it is a copy of the workbook."""
    if from_ is not None and not from_.is_dir():
        raise FileUnknown(f"--from {from_}: there is no such directory", location=str(from_))
    main = work.workbook_path
    if workbook is None:
        return main, Synced()
    if not workbook.is_file():
        raise FileUnknown(f"{workbook}: there is no such workbook", location=str(workbook), hint="mreg sync")
    same = main.exists() and workbook.samefile(main)
    return (main, Synced()) if same else (workbook, Synced(copy=True))


def _edits(work: Workspace, path: Path, done: Synced) -> frozenset[str] | None:
    """Steps 2 and 3, under the write lock; returns the versions that have a row in the file, None without a base."""
    from manual_registry.adapters.workbook import OpenpyxlWorkbook
    from manual_registry.core.syncing import sort_out
    from manual_registry.registry.access import writing

    with writing(work) as loaded:
        done.head = loaded.head
        base = _base(work, loaded, path) if path.exists() else None
        done.base, done.loaded = base, loaded
        if base is None:
            _tell_all(work, loaded, path, done)
            return None
        reading = done.reading = OpenpyxlWorkbook().read(path, base)
        if reading is None:
            return None
        work.warn(*reading.notices)
        found = sort_out(reading.differences, base, copy=done.copy, other_release=reading.other_release)
        _take(work, loaded, found, done)
        if not done.copy:
            _keep_hashes(work, loaded, reading, done)
        done.events += [event.seq for event in loaded.written]
        done.head = loaded.head
    return _present(base, reading)


def _present(base: View, reading: Reading) -> frozenset[str]:
    """Return the row ids of Models that stand in the file."""
    gone = {one.row for one in reading.differences if one.sheet == "Models" and one.found == "deleted"}
    sheet = next((sheet for sheet in base.sheets if sheet.name == "Models"), None)
    rows = {row.row_id for row in sheet.rows} if sheet and "" not in gone else set()
    return frozenset(rows - gone)


def _base(work: Workspace, loaded: Loaded, path: Path) -> View | None:
    """Return the base; refuses a workbook of another registry and one that names an unknown head."""
    from manual_registry.adapters.workbook import OpenpyxlWorkbook
    from manual_registry.core.ledger import file_name
    from manual_registry.registry import views

    found = OpenpyxlWorkbook().inspect(path)
    if found.registry_id is None or found.head_seq is None:
        return None
    if found.registry_id != loaded.state.registry_id:
        raise WorkbookForeign(
            f"{path.name} belongs to another registry ({found.registry_id}); this one is {loaded.state.registry_id}",
            location=str(path),
        )
    if loaded.state.hashes.get(found.head_seq) != found.head_hash:
        raise HeadUnknown(
            f"{path.name} names event {found.head_seq} with a hash that this ledger does not contain",
            location=f"ledger/{file_name(found.head_seq)}",
            clause="RP-13",
            hint="mreg verify",
        )
    return views.view_at(work, loaded.events[: found.head_seq], link_prefix=found.link_prefix)


def _tell_all(work: Workspace, loaded: Loaded, path: Path, done: Synced) -> None:
    """Without a base nothing can be accepted: every difference from the present view is told."""
    from manual_registry.adapters.workbook import OpenpyxlWorkbook
    from manual_registry.core.syncing import item
    from manual_registry.registry import views

    reading = OpenpyxlWorkbook().read(path, views.view_at(work, loaded.events, loaded.state))
    if reading is None:
        return
    done.reading = reading
    why = "the workbook does not say at which ledger head it was written; nothing of it is accepted"
    done.outcome.problems += [item(one, why) for one in reading.differences]


def _take(work: Workspace, loaded: Loaded, found: Sorted, done: Synced) -> None:
    """Step 3: edits of Models first, so that a name typed beside a new Stage belongs to the request that it makes."""
    from manual_registry.registry import entries, model_edits

    done.outcome.problems += found.problems
    done.keep |= found.kept
    done.explained |= found.explained
    for (sheet, row), text in found.notes.items():
        done.say(sheet, row, text)
    for one in found.edits:
        if one.sheet == "Models":
            model_edits.take(work, loaded, one, done)
    restored = entries.take_all(work, loaded, found, done)
    done.outcome.restored += restored
    for line in restored:
        if line.column is not None:
            done.say(line.sheet, line.row, f"{line.column} put back: {line.why}")


def _keep_hashes(work: Workspace, loaded: Loaded, reading: Reading, done: Synced) -> None:
    """Of what is put back the ledger keeps the hashes, once for each state of the file."""
    from manual_registry.core import events as kinds
    from manual_registry.core.decide.remarks import LISTED
    from manual_registry.core.ledger import Draft
    from manual_registry.core.syncing import rejected, rejection

    cells = rejected(reading.differences, done.accept | done.keep | done.explained)
    if cells and loaded.state.last_restored != reading.sha256:
        data = rejection(reading.sha256, cells, listed=LISTED)
        work.append(loaded, lambda _state, _at: Draft(type=kinds.RESTORED, subject={}, data=data))


def _typed(work: Workspace, present: frozenset[str] | None, done: Synced, from_: Path | None) -> None:
    """Step 4; without a base nothing is registered either."""
    if present is not None and done.reading is not None and done.reading.typed:
        from manual_registry.registry import typed_rows

        typed_rows.register_all(work, done.reading.typed, present, done, from_)


def _ledger_now(work: Workspace, done: Synced) -> Loaded:
    """Return the ledger under the write lock: as the edits left it, unless an event has been added since."""
    known = done.loaded
    if known is None or work.ledger.has(known.state.head_seq + 1) or not work.ledger.holds(known.events[-1]):
        return work.load()
    return known


def _finish(work: Workspace, path: Path, done: Synced) -> None:
    """Step 5: the workbook follows; a copy that was merged stays as it is."""
    from manual_registry.adapters.files import os_errors
    from manual_registry.adapters.locks import WriteLock
    from manual_registry.core.errors import Unavailable
    from manual_registry.registry import views

    with WriteLock(work.root):
        mark = unchanged.mark(work.root)
        loaded = _ledger_now(work, done)
        done.head = loaded.head
        left = None
        try:
            with os_errors(work.root):
                left = views.refresh_workbook(work, loaded, None if done.copy else done.instructions(), done.base)
        except Unavailable as problem:  # a full disk, say: what was read stands in the ledger
            work.warn(f"the view is behind: {problem.message}")
        if not done.copy and (left is None or left.sha256 is None):
            done.not_put_back()
        work.remember(loaded)
        unchanged.remember(work, loaded, done, left, mark)
        work.warn(*(copy_told(work, copy) for copy in unmerged(work, loaded.state.registry_id)))
