"""`adopt`: a team's own tracking sheet becomes baseline entries, control starting today (design 3.4, clause RP-16).

What the sheet means is decided in :mod:`manual_registry.core.adoption`, what becomes of each row in
:mod:`manual_registry.core.adoption.importing`. This module orders the steps:

1. the sheet is read with a person's answers, its files are found and hashed; questions end it here;
2. the original is kept whole under ``adopted/``, before the first event names it;
3. row by row: files copied (or, ``in_place``, listed), one event; a row that is refused is told and left out;
4. one request over all of it, for a lead to sign;
5. what the mapping does not use joins the workbook as people's own columns.

Killed anywhere, the same command goes on: rows whose event stands are there already, half copies are cleared away as
after `register`, and the request names all of them.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manual_registry.core import events as kinds
from manual_registry.core.adoption import LeftOut, Proposal, Remark
from manual_registry.core.adoption.importing import Importable, Sorting, entry, settled, sort_out, untold
from manual_registry.core.decide.closing import refuse_closed
from manual_registry.core.errors import FileUnknown, PathEscapes, RegistryError, SourceChanged
from manual_registry.core.ledger import Draft
from manual_registry.core.manifest import printable
from manual_registry.registry.access import writing
from manual_registry.registry.adopted import Adoption, with_left_out
from manual_registry.registry.baselining import always, draft_of, enter, open_baselines
from manual_registry.registry.looking import location_from
from manual_registry.registry.synced import raise_unless_about

if TYPE_CHECKING:
    from manual_registry.adapters.staging import Staged
    from manual_registry.core.errors import Json
    from manual_registry.core.results import Result
    from manual_registry.core.state import State, VersionState
    from manual_registry.ports import Progress
    from manual_registry.registry.workspace import Loaded, Workspace


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """What `adopt` was asked: the sheet, where its files may lie, a person's answers, and whether they stay there."""

    sheet: Path
    storage: Path | None = None
    mapping: Path | None = None
    in_place: bool = False

    def command(self, *, mapping: str | None = None, dry_run: bool = False) -> str:
        """Spell the command that would go on."""
        words = ["mreg", "adopt", str(self.sheet)]
        words += ["--storage", str(self.storage)] if self.storage else []
        file = mapping or (str(self.mapping) if self.mapping else None)
        words += ["--mapping", file] if file else []
        words += ["--in-place"] if self.in_place else []
        return shlex.join([*words, "--dry-run"] if dry_run else words)


def dry_run(order: Order, state: State | None, *, progress: Progress | None) -> Adoption:
    """Say what `adopt` would do; nothing is written but the mapping file, and no registry is needed (``state`` None)."""
    proposal, _ = _look(order, state, progress)
    proposal, sorting = _sorted(proposal, state, None)
    mapping, warnings = _mapping_file(order, proposal)
    return Adoption(
        proposal=proposal,
        to_import=len(sorting.importable),
        dry_run=True,
        in_place=order.in_place,
        mapping_file=mapping,
        next=_after_reading(order, proposal, mapping, sorting),
        warnings=warnings,
    )


def adopt(work: Workspace, order: Order, *, progress: Progress | None) -> Adoption:
    """Import the sheet; see :meth:`manual_registry.Registry.adopt`."""
    state = work.load().state
    if state.closed is not None and not _adopted_before(state, order.sheet):
        refuse_closed(state)
    proposal, raw = _look(order, state, progress)
    if proposal.questions:
        proposal, sorting = _sorted(proposal, state, work)
        mapping, warnings = _mapping_file(order, proposal)
        return Adoption(
            proposal=proposal,
            to_import=len(sorting.importable),
            dry_run=False,
            in_place=order.in_place,
            mapping_file=mapping,
            next=_after_reading(order, proposal, mapping, sorting),
            warnings=(*work.warnings, *warnings),
        )
    with writing(work) as loaded:
        proposal, sorting = _sorted(proposal, loaded.state, work)
        if sorting.importable:
            refuse_closed(loaded.state)
        kept = _keep_original(work, proposal, raw) if sorting.importable else _kept_before(loaded.state, proposal)
        imported, refused = _import_all(work, loaded, order, proposal, sorting, kept, progress)
        ids = open_baselines(work, loaded)
    from manual_registry.registry.people_columns import join

    join(work)
    leads = loaded.state.active_leads()
    unsigned = ids or [one.id for one in loaded.state.baselines.values() if one.signed_seq is None]
    after = f"mreg approval sign {unsigned[-1]} --as {leads[0].email}" if unsigned and leads else "mreg status"
    result = work.result("adopt", loaded, id=ids[-1] if ids else None, next=after)
    return Adoption(
        proposal=with_left_out(proposal, tuple(refused)),
        to_import=len(imported),
        dry_run=False,
        in_place=order.in_place,
        imported=tuple(imported),
        result=replace(result, warnings=tuple(work.warnings)),
        kept=kept,
        next=after,
        warnings=tuple(work.warnings),
    )


def _adopted_before(state: State, sheet: Path) -> bool:
    """Tell whether this very sheet was adopted; then the command only says so again."""
    from manual_registry.adapters.adoption import read_sheet_bytes
    from manual_registry.core.canonical import sha256_hex

    return sha256_hex(read_sheet_bytes(sheet)) in state.adopted.values()


# -- reading ----------------------------------------------------------------------------------------------


def _look(order: Order, state: State | None, progress: Progress | None) -> tuple[Proposal, bytes]:
    """Step 1; nothing is written."""
    from manual_registry.adapters.adoption import is_whole_machine, look_up, propose, read_mapping, read_sheet_bytes

    if order.storage is not None and not order.storage.is_dir():
        raise FileUnknown(f"--storage {order.storage}: there is no such directory", location=str(order.storage))
    if order.storage is not None and is_whole_machine(order.storage):
        raise PathEscapes(
            f"--storage {order.storage}: that is the whole machine, or the system's own; a sheet may name any file there."
            " Name the directory in which the models lie",
            location=str(order.storage),
        )
    raw = read_sheet_bytes(order.sheet)
    answers = read_mapping(order.mapping) if order.mapping else None
    proposal = propose(order.sheet, answers, data=raw)
    folder = order.sheet.absolute().parent
    found = look_up(proposal, sheet_folder=folder, storage=order.storage, progress=progress)
    return settled(found, state), raw


def _sorted(proposal: Proposal, state: State | None, work: Workspace | None) -> tuple[Proposal, Sorting]:
    from manual_registry.registry.workspace import utc_now

    sorting = sort_out(proposal, state)
    rows: dict[str, dict[str, list[int]]] = {}
    for row, why in untold(sorting.importable, work.clock() if work else utc_now()):
        rows.setdefault(why, {}).setdefault(row.sheet, []).append(row.row)
    told = tuple(
        Remark(message=why, sheet=sheet, rows=tuple(numbers))
        for why, sheets in rows.items()
        for sheet, numbers in sheets.items()
    )
    done = replace(with_left_out(proposal, sorting.left_out), warnings=(*proposal.warnings, *told))
    return done, sorting


def _after_reading(order: Order, proposal: Proposal, mapping: str | None, sorting: Sorting) -> str | None:
    """Return the command that comes next."""
    if proposal.questions:
        return order.command(mapping=mapping, dry_run=True) if mapping or order.mapping else None
    return order.command() if sorting.importable else None


def _mapping_file(order: Order, proposal: Proposal) -> tuple[str | None, tuple[str, ...]]:
    """Write the mapping beside the sheet, never over a file that stands: a person may have corrected that one.

    Answers that were handed in and leave no question open need no new file.
    """
    from manual_registry.adapters.adoption import put_mapping

    if order.mapping is not None and not proposal.questions:
        return None, ()
    try:
        return str(put_mapping(proposal, order.sheet)), ()
    except RegistryError as problem:
        return None, (f"the mapping file could not be written beside the sheet: {problem.message}",)


# -- importing --------------------------------------------------------------------------------------------


def _keep_original(work: Workspace, proposal: Proposal, raw: bytes) -> str:
    """Step 2."""
    from manual_registry.adapters import adopted_sheets

    return adopted_sheets.keep(work.root, proposal.plan.workbook, raw, day=work.now()[:10])


def _kept_before(state: State, proposal: Proposal) -> str | None:
    return next((path for path, sha256 in state.adopted.items() if sha256 == proposal.plan.sha256), None)


def _import_all(
    work: Workspace,
    loaded: Loaded,
    order: Order,
    proposal: Proposal,
    sorting: Sorting,
    kept: str | None,
    progress: Progress | None,
) -> tuple[list[dict[str, Json]], list[LeftOut]]:
    """Step 3: what cannot be foreseen (a file that changes while it is copied) leaves out its row alone."""
    imported: list[dict[str, Json]] = []
    refused: list[LeftOut] = []
    done, total = 0, sum(one.content.size for one in sorting.importable)
    for one in sorting.importable if kept else ():
        if progress is not None:
            progress(done, total)
        done += one.content.size
        location = location_from(work, Path(str(one.finding.path))) if order.in_place else None
        data = entry(
            one,
            source=proposal.plan.workbook,
            sha256=proposal.plan.sha256,
            kept=str(kept),
            location=location,
            headings=_headings(proposal, one),
            now=work.clock(),
        )
        try:
            record = _import(work, loaded, one, data)
        except RegistryError as refusal:
            raise_unless_about(refusal)
            told = "; ".join(reason.message for reason in refusal.reasons)
            refused.append(LeftOut(sheet=one.row.sheet, row=one.row.row, reason=printable(told)))
            continue
        imported.append(_told(one, record))
    return imported, refused


def _headings(proposal: Proposal, one: Importable) -> dict[str, str]:
    """Return the headings of the table that a row stands in, by column letter."""
    for table in proposal.plan.tables:
        if table.sheet == one.row.sheet and (table.header_row or 0) < one.row.row <= table.last_row:
            return {column.letter: column.header for column in table.columns}
    return {}


def _told(one: Importable, record: VersionState) -> dict[str, Json]:
    return {
        "sheet": one.row.sheet,
        "row": one.row.row,
        "model": record.model,
        "version": record.version,
        "stage": record.stage,
        "blake3": record.blake3,
        "sha256": record.sha256,
        "composite_id": record.composite_id,
        "location": record.location,
        "event": record.seq,
    }


def _import(work: Workspace, loaded: Loaded, one: Importable, data: dict[str, Any]) -> VersionState:
    """Bring one version in: decided, copied or listed, placed, and only then the event."""
    draft = draft_of(str(one.row.model), str(one.row.version), data)
    work.decided(loaded, draft)
    with _staged(work, one, data) as staged:
        return enter(work, loaded, draft, staged)


def _staged(work: Workspace, one: Importable, data: dict[str, Any]) -> Staged:
    if "location" in data["baseline"]:
        return work.storage.stage_in_place(one.content)
    path = Path(str(one.finding.path))
    staged = work.storage.stage(path)
    if (staged.content.blake3, staged.content.sha256) != (one.content.blake3, one.content.sha256):
        staged.discard()
        raise SourceChanged(f"{printable(str(path))}: changed since it was hashed; repeat the command")
    return staged


def take_in(work: Workspace, ref: str, *, progress: Progress | None) -> Result:
    """Copy the files of a version that was adopted in place; see :meth:`manual_registry.Registry.take_in`."""
    from manual_registry.registry.references import find

    with writing(work) as loaded:
        record = find(work, loaded.state, ref)
        if record.location is None:
            note = f"the files of {record.ref} lie in the registry already"
            return work.result("take-in", loaded, record, next=f"mreg show {record.ref}", notes=(note,))
        notes = (copy_in(work, loaded, record, progress=progress),)
        after = loaded.state.versions[record.model, record.version]
    return work.result("take-in", loaded, after, next=f"mreg verify {after.ref}", notes=notes)


def copy_in(work: Workspace, loaded: Loaded, record: VersionState, *, progress: Progress | None) -> str:
    """Copy the files of a version that was adopted in place, verified, and write that; returns where they were, told."""
    from manual_registry.registry.looking import artefact_path, recorded_content

    draft = Draft(
        type=kinds.TAKEN_IN,
        subject={"model": record.model, "version": record.version},
        data={"location": record.location, "observed": record.blake3},
    )
    work.decided(loaded, draft)
    expected = recorded_content(work, record)
    source = artefact_path(work, record)
    with work.storage.take_in(record.model, record.version, source, expected=expected, progress=progress) as taken:
        taken.place()
        try:
            work.append(loaded, always(draft))
        except RegistryError:
            taken.discard()
            raise
        taken.finish()
    return f"copied from {draft.data['location']}; what lies there is not touched and not needed any more"
