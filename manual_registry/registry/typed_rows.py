"""Rows that people type into Models: registered by `sync` when they are complete (design 3.3).

Rules held here: a typed path outside the root and the ``--from`` directory is never read (the key file of the person
who runs sync must not end up in the registry), nor is one that the metadata file beside the model names; what has no
column comes from ``<file>.metadata.yaml`` or the artefact directory's ``metadata.yaml``; a row that is not complete
stays, and Check says what is missing.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Final

from manual_registry.adapters.confined import allowed_path
from manual_registry.adapters.workbook_place import belongs_to_registry
from manual_registry.core import events as kinds
from manual_registry.core.decide.closing import refusal
from manual_registry.core.errors import FieldMissing, PathEscapes, RegistryError
from manual_registry.core.ledger import Draft
from manual_registry.core.syncing import Item
from manual_registry.core.typed_cells import is_version, typed_ignored, typed_problems
from manual_registry.core.values import Stage, one_line, typed_stage
from manual_registry.ports import TypedRow
from manual_registry.registry.access import writing
from manual_registry.registry.given import Given
from manual_registry.registry.model_edits import request
from manual_registry.registry.synced import raise_unless_about

if TYPE_CHECKING:
    from manual_registry.core.state import VersionState
    from manual_registry.registry.synced import Synced
    from manual_registry.registry.workspace import Loaded, Workspace

#: Where a person brings what a registration lacks.
_COLUMNS: Final = {
    "training_data": "Training data version",
    "code": "Code commit",
    "training_date": "Training date",
    "pipeline_run": "Pipeline run",
    "metrics": "Evaluation metrics",
    "owner": "Owner",
}
_MIDNIGHT: Final = re.compile(r"(\d{4}-\d{2}-\d{2})T00:00:00")


def register_all(
    work: Workspace, rows: tuple[TypedRow, ...], present: Collection[str], done: Synced, from_: Path | None
) -> None:
    """Register every complete row; tell the others. ``present`` are the versions that have a row in the file."""
    for row in rows:
        if row.sheet != "Models":
            _problem(row, "rows are typed on Models; on this sheet the tool makes them and reads none", done)
            continue
        if not is_version(row.cells):
            continue
        over = _over(done, row)
        if over is not None:
            _problem(row, over, done)
            continue
        problems = typed_problems(row.cells, row.formulas)
        if problems:
            _pending(row, "; ".join([*problems, *_misplaced(work, row, from_)]), done)
            continue
        try:
            _register(work, row, present, done, from_)
        except RegistryError as refusal:
            raise_unless_about(refusal)
            _refused(row, refusal, done)


def _over(done: Synced, row: TypedRow) -> str | None:
    """Return that the register is closed, for a row that would be a new version of it; None: go on."""
    state = done.loaded.state if done.loaded is not None else None
    if state is None or state.closed is None or state.version(_cell(row, "Model") or "", _cell(row, "Version") or ""):
        return None
    return refusal(state.closed).message


def _line(row: TypedRow, message: str) -> Item:
    name = "@".join(str(row.cells.get(part) or "?") for part in ("Model", "Version"))
    where = f"row {row.number} ({name})" if row.sheet == "Models" else f"row {row.number}"
    return Item(sheet=row.sheet, row=where, column=None, found="typed", kept=None, message=message)


def _pending(row: TypedRow, told: str, done: Synced) -> None:
    done.outcome.pending.append(_line(row, told))
    done.say(row.sheet, row.number, told)


def _problem(row: TypedRow, told: str, done: Synced) -> None:
    done.outcome.problems.append(_line(row, told))
    done.say(row.sheet, row.number, f"! {told}")


def _refused(row: TypedRow, refusal: RegistryError, done: Synced) -> None:
    """Tell why a row was not registered; one that only lacks something is not complete yet."""
    absent = [one for one in refusal.reasons if isinstance(one, FieldMissing)]
    names = [str(one.location) for one in absent]
    told = [_with_headings(reason.message) for reason in refusal.reasons if reason not in absent]
    if names:
        columns = ", ".join(_COLUMNS.get(name, name) for name in names)
        told.insert(0, f"{columns} missing (in the row, or in the metadata file beside the model)")
    (_problem if len(absent) < len(refusal.reasons) else _pending)(row, "; ".join(told), done)


def _with_headings(message: str) -> str:
    """Name columns as the sheet does, where a message begins with the name of a field or holds one of two words."""
    for name, heading in _COLUMNS.items():
        message = re.sub(rf"\b{name}\b" if "_" in name else rf"^{name}(?=:)", heading, message)
    return message


def _cell(row: TypedRow, name: str) -> str | None:
    value = row.cells.get(name)
    return str(value).strip() or None if value is not None else None


def _allowed(work: Workspace, from_: Path | None) -> list[Path]:
    return [work.root] if from_ is None else [from_, work.root]


def _misplaced(work: Workspace, row: TypedRow, from_: Path | None) -> list[str]:
    """Say what is wrong with the location of a row that lacks other things too: all is told at once."""
    location = _cell(row, "Storage location")
    if location is None or "Storage location" in row.formulas:
        return []
    try:
        allowed_path(_allowed(work, from_), location, where="Storage location")
    except RegistryError as refusal:
        raise_unless_about(refusal)
        return [reason.message for reason in refusal.reasons]
    return []


def _register(work: Workspace, row: TypedRow, present: Collection[str], done: Synced, from_: Path | None) -> None:
    from manual_registry.registry.registering import register

    allowed = _allowed(work, from_)
    path = allowed_path(allowed, _cell(row, "Storage location") or "", where="Storage location")
    _refuse_ours(work, row, path)
    result = register(
        work, _cell(row, "Model") or "", _cell(row, "Version") or "", path, _given(work, row, path, allowed)
    )
    done.events += list(result.events)
    ref = f"{result.model}@{result.version}"
    if ref in present or ref in done.adopt.values():
        _problem(row, f"{ref} is registered and has a row already; remove this one", done)
        return
    if not done.copy:
        done.adopt[row.sheet, row.number] = ref
    told = [f"{ref} registered" if result.changed else f"{ref} was registered already", *typed_ignored(row.cells)]
    done.outcome.registered.append(_line(row, "; ".join(told)))
    for sentence in told[1:]:
        done.say(row.sheet, ref, sentence)
    if result.changed and any(_cell(row, name) for name in ("Stage", "Notes")):
        with writing(work) as loaded:
            _afterwards(work, loaded, row, loaded.state.versions[str(result.model), str(result.version)], done)
            done.events += [event.seq for event in loaded.written]


def _refuse_ours(work: Workspace, row: TypedRow, path: Path) -> None:
    """Refuse what the registry itself has made, or a folder that holds some of it."""
    if not _ours(work, row, path):
        return
    raise PathEscapes(
        f"Storage location {_cell(row, 'Storage location')!r}: belongs to the registry itself; type where your model file"
        " is",
        location="Storage location",
    )


def _ours(work: Workspace, row: TypedRow, path: Path) -> bool:
    """Tell whether the registry has made ``path``, or something in it.

    A version's own files are passed on: the row may be one of a version that is registered already.
    """
    root, book = Path(os.path.realpath(work.root)), Path(os.path.realpath(work.workbook_path))
    if path.is_relative_to(root / "models" / (_cell(row, "Model") or "?") / (_cell(row, "Version") or "?")):
        return False
    return belongs_to_registry(root, path) or path == book or root.is_relative_to(path)


def _given(work: Workspace, row: TypedRow, path: Path, allowed: list[Path]) -> Given:
    trained = _cell(row, "Training date")
    midnight = _MIDNIGHT.fullmatch(trained or "")
    return Given(
        metadata=_metadata_beside(path),
        data=_references(_cell(row, "Training data version")),
        commit=_cell(row, "Code commit"),
        trained=midnight[1] if midnight else trained,
        pipeline_run=_cell(row, "Pipeline run"),
        owner=one_line(_cell(row, "Owner") or "") or None,
        metrics_text=_cell(row, "Evaluation metrics"),
        within=allowed,
        ours=lambda named: _ours(work, row, named),
    )


def _afterwards(work: Workspace, loaded: Loaded, row: TypedRow, record: VersionState, done: Synced) -> None:
    """Notes in a typed row stay what they are; another Stage becomes a request."""
    text, wanted = row.cells.get("Notes"), one_line(_cell(row, "Stage") or "")
    try:
        if text and record.notes_text is None:
            subject = {"model": record.model, "version": record.version}
            data = {"field": "notes", "value": str(text), "was": None}
            work.append(loaded, lambda _state, _at: Draft(type=kinds.EDITED, subject=subject, data=data))
        to = typed_stage(wanted) if wanted else Stage.EXPERIMENTAL
        if to is not Stage.EXPERIMENTAL:
            done.outcome.requested.append(_line(row, request(work, loaded, record, to)))
    except RegistryError as refusal:
        raise_unless_about(refusal)
        for reason in refusal.reasons:
            told = f"{reason.message} ({reason.hint})" if reason.hint else reason.message
            done.outcome.problems.append(_line(row, told))
            done.say(row.sheet, record.ref, f"! {told}")


def _references(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in re.split(r"[\n;]", text or "") if part.strip())


def _metadata_beside(path: Path) -> Path | None:
    """Return the metadata file of a model, if there is one; never what a link of that name leads to."""
    beside = path / "metadata.yaml" if path.is_dir() else path.with_name(f"{path.name}.metadata.yaml")
    try:
        mode = beside.lstat().st_mode
    except OSError:
        return None
    if not stat.S_ISREG(mode):
        raise PathEscapes(f"{beside.name}: the metadata file is a link, or no file", location="Storage location")
    return beside
