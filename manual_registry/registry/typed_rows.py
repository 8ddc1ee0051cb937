"""Rows that people type into Models: registered by `sync` when they are complete (design 3.3).

Rules held here: a typed path outside the root and the ``--from`` directory is never read (the key file of the person
who runs sync must not end up in the registry), links are not followed, UNC paths and URLs are refused; what has no
column comes from ``<file>.metadata.yaml`` or the artefact directory's ``metadata.yaml``; a row that is not complete
stays, and Check says what is missing.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from manual_registry.core.errors import PathEscapes, RegistryError
from manual_registry.core.syncing import Item, typed_ignored, typed_problems
from manual_registry.core.values import Stage, stage
from manual_registry.ports import TypedRow
from manual_registry.registry.gathering import Given

if TYPE_CHECKING:
    from manual_registry.core.state import VersionState
    from manual_registry.registry.synced import Synced
    from manual_registry.registry.workspace import Workspace


def register_all(work: Workspace, rows: tuple[TypedRow, ...], done: Synced, from_: Path | None) -> None:
    """Register every complete row; tell the others."""
    for row in rows:
        if row.sheet != "Models":
            done.outcome.problems.append(_line(row, "rows are typed on Models; this sheet is a view"))
            continue
        problems = typed_problems(row.cells)
        if problems:
            done.outcome.pending.append(_line(row, "; ".join(problems)))
            done.says[row.sheet, row.number] = "; ".join(problems)
            continue
        try:
            _register(work, row, done, from_)
        except RegistryError as refusal:
            told = "; ".join(reason.message for reason in refusal.reasons)
            done.outcome.problems.append(_line(row, told))
            done.says[row.sheet, row.number] = f"! {told}"


def _line(row: TypedRow, message: str) -> Item:
    name = "@".join(str(row.cells.get(part) or "?") for part in ("Model", "Version"))
    return Item(
        sheet=row.sheet, row=f"row {row.number} ({name})", column=None, found="typed", kept=None, message=message
    )


def _cell(row: TypedRow, name: str) -> str | None:
    value = row.cells.get(name)
    return str(value).strip() or None if value is not None else None


def _register(work: Workspace, row: TypedRow, done: Synced, from_: Path | None) -> None:
    from manual_registry.registry.registering import register

    path = allowed_path(work.root, from_, _cell(row, "Storage location") or "")
    model, version = _cell(row, "Model") or "", _cell(row, "Version") or ""
    given = Given(
        metadata=_metadata_beside(path),
        data=_references(_cell(row, "Training data version")),
        commit=_cell(row, "Code commit"),
        trained=_cell(row, "Training date"),
        pipeline_run=_cell(row, "Pipeline run"),
        owner=_cell(row, "Owner"),
        metrics_text=_cell(row, "Evaluation metrics"),
    )
    result = register(work, model, version, path, given)
    record = work.load().state.versions[str(result.model), str(result.version)]
    done.events += list(result.events)
    done.adopt[row.sheet, row.number] = record.ref
    told = [f"{record.ref} registered", *typed_ignored(row.cells)]
    done.outcome.registered.append(_line(row, "; ".join(told)))
    if len(told) > 1:
        done.says[row.sheet, record.ref] = "; ".join(told[1:])
    _afterwards(work, row, record, done)


def _afterwards(work: Workspace, row: TypedRow, record: VersionState, done: Synced) -> None:
    """Another Stage in a typed row becomes a request, Notes a note."""
    from manual_registry.registry import approving, remarking

    text, wanted = _cell(row, "Notes"), _cell(row, "Stage")
    if text:
        done.events += list(remarking.note(work, record.ref, text).events)
    if not wanted:
        return
    try:
        to = stage(wanted)
        if to is not Stage.EXPERIMENTAL:
            result = approving.request(work, record.ref, to.value)
            done.events += list(result.events)
            done.outcome.requested.append(_line(row, f"{result.id} asks for {to}"))
    except RegistryError as refusal:
        done.outcome.problems.append(_line(row, f"Stage {wanted}: {refusal.message}"))
        done.says[row.sheet, record.ref] = f"! {refusal.message}"


def _references(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in re.split(r"[\n;]", text or "") if part.strip())


def _metadata_beside(path: Path) -> Path | None:
    beside = path / "metadata.yaml" if path.is_dir() else path.with_name(f"{path.name}.metadata.yaml")
    return beside if beside.is_file() and not beside.is_symlink() else None


def allowed_path(root: Path, from_: Path | None, typed: str) -> Path:
    """Return the path that a row names, if it lies below the root or ``from_``; raises :class:`PathEscapes`.

    Every part is looked at without following links: none of them may be one below the allowed directory.
    """
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", typed) or typed.startswith(("\\\\", "//")):
        raise PathEscapes(
            f"Storage location {typed!r}: a path on this machine is needed, no URL and no UNC path",
            location="Storage location",
        )
    for allowed in (from_, root):
        if allowed is None:
            continue
        top = Path(os.path.realpath(allowed))
        candidate = Path(os.path.normpath(top / typed))
        if candidate != top and candidate.is_relative_to(top) and not _has_link(top, candidate) and candidate.exists():
            return candidate
    where = f"{root}" + (f" or {from_}" if from_ else "")
    raise PathEscapes(
        f"Storage location {typed!r}: nothing of that name lies below {where} (links are not followed)",
        location="Storage location",
        hint="mreg sync --from DIR",
    )


def _has_link(top: Path, path: Path) -> bool:
    parts = path.relative_to(top).parts
    return any(top.joinpath(*parts[: depth + 1]).is_symlink() for depth in range(len(parts)))
