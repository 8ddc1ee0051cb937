"""`status`, `list`, `show`, `search`, `compare`, `history`, `card`: read-only answers out of the fold."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, Any

from manual_registry.core import closing, documents, drills, gate_exceptions, stated
from manual_registry.core.canonical import decode
from manual_registry.core.errors import ModelUnknown, WorkbookUnreadable
from manual_registry.core.resolve import is_symbolic
from manual_registry.core.search import check_fields, fields_of, matches, parse_expression
from manual_registry.core.state import State, VersionState
from manual_registry.core.values import Risk, Stage
from manual_registry.registry import doubted
from manual_registry.registry.access import read
from manual_registry.registry.copies_beside import copy_told, unmerged
from manual_registry.registry.references import find, there

if TYPE_CHECKING:
    from manual_registry.registry.workspace import Loaded, Workspace


#: So many versions of one kind are told by `status`, one by one.
_SHOWN = 10


def rows(work: Workspace) -> list[dict[str, Any]]:
    """Return one `list` entry per version, by model, in order of registration."""
    return _rows(read(work).state)


def _rows(state: State) -> list[dict[str, Any]]:
    records = sorted(state.versions.values(), key=lambda one: (one.model, one.seq))
    return [documents.version_row(state, one) for one in records]


def search(work: Workspace, expression: str) -> list[dict[str, Any]]:
    """Return the `list` entries for which every term of EXPR holds."""
    terms = parse_expression(expression)
    state = read(work).state
    found = []
    known: set[str] = set()
    for row in _rows(state):
        fields = fields_of(row, decode(state.versions[row["model"], row["version"]].value("hyperparameters") or {}))
        known |= row.keys() - {"metrics", "tags"}
        if matches(terms, fields):
            found.append(row)
    if known:
        check_fields(terms, known)
    return found


def show(work: Workspace, ref: str) -> dict[str, Any]:
    """Return everything that is known of a version."""
    state = read(work).state
    return documents.version_document(state, find(work, state, ref), work.clock())


def compare(work: Workspace, first: str, second: str) -> dict[str, Any]:
    """Return what differs between two versions."""
    state = read(work).state
    return documents.compare_document(state, find(work, state, first), find(work, state, second), work.clock())


def history(work: Workspace, ref: str | None) -> list[dict[str, Any]]:
    """Return the events, all of them, a model's, or a version's, oldest first."""
    loaded = read(work)
    if ref is None:
        wanted = None
    elif ref in loaded.state.models:
        names = loaded.state.models[ref].versions
        wanted = {seq for name in names for seq in loaded.state.versions[ref, name].event_seqs}
        wanted |= {event.seq for event in loaded.events if event.subject.get("model") == ref}
        wanted |= {drill.seq for drill in loaded.state.drills if any(model == ref for model, _ in drill.versions)}
    elif not is_symbolic(ref) and not there(ref):
        raise ModelUnknown(f"no model {ref!r} in this registry", location=ref, hint="mreg list")
    else:
        record = find(work, loaded.state, ref)
        wanted = {*record.event_seqs, *drills.of(loaded.state, record)}
    return [documents.history_row(event) for event in loaded.events if wanted is None or event.seq in wanted]


def card(work: Workspace, ref: str) -> str:
    """Return the model card as Markdown, rendered from the record."""
    from manual_registry.adapters.templates import render

    document = show(work, ref)
    whole = {**document, **document["metadata"], "card": document["card"] or {}}
    return render("card.md.j2", record=whole)


# -- status -----------------------------------------------------------------------------------------------


def status(work: Workspace) -> dict[str, Any]:
    """Say what the registry is, what waits, and what to do next."""
    loaded = read(work)
    state = loaded.state
    pending = [documents.approval_row(state, one, work.clock()) for one in state.requests.values()]
    pending += [documents.control_row(one) for one in state.controls.values()]
    pending += [documents.baseline_row(one) for one in state.baselines.values()]
    pending = [one for one in pending if one["status"] in ("requested", "filled")]
    moves = [one.ref for one in state.versions.values() if one.move_pending]
    counts = Counter(one.stage for one in state.versions.values())
    behind = _view_behind(work, loaded)
    copies = unmerged(work, state.registry_id)
    work.warn(*(copy_told(work, copy) for copy in copies))
    return {
        "schema": "manual-registry/status/1",
        "system": state.system,
        "risk": state.risk.value,
        "registry_id": state.registry_id,
        "continues": dict(state.continues) if state.continues else None,
        "closed": closing.document(state.closed),
        "root": str(work.root),
        "models": len(state.models),
        "counts": {stage.value: counts.get(stage.value, 0) for stage in Stage},
        "pending": pending,
        "overdue": [*_overdue(work, state), *_drills(work, state), *_stopped(state), *_doubts(work, loaded)],
        "pending_moves": moves,
        "view_behind": behind,
        "copies": [os.path.relpath(copy, work.root) for copy in copies],
        "policy_differs": bool(work.policy_differences(state)),
        "last_verified": state.last_verified,
        "last_drill": drills.document(state),
        "ledger": {"seq": loaded.head[0], "hash": loaded.head[1]},
        "next": _next(work, state, pending, moves, behind),
    }


def _overdue(work: Workspace, state: State) -> list[str]:
    from manual_registry.core.ratifying import RATIFY_HOURS
    from manual_registry.core.times import parse_time

    late = []
    for one in state.requests.values():
        waits = one.ratifies is not None and one.status == "requested"
        if waits and (work.clock() - parse_time(one.at)).total_seconds() > RATIFY_HOURS * 3600:
            late.append(
                f"{one.id}: the rollback to {one.model}@{one.version} was not ratified within {RATIFY_HOURS} hours"
            )
    late += [
        f"{record.ref} in production: exception {one.id} of its {one.gate} gate ended on {one.expires}"
        for record, one in gate_exceptions.ended_over_production(state, work.clock())
    ]
    return late


def _drills(work: Workspace, state: State) -> list[str]:
    """Return that a retrieval drill is overdue, and what the last one could not have back (RP-23)."""
    late = drills.overdue(state, work.clock())
    bad = [drills.failed_text(*found) for found in drills.failed(state)]
    more = [f"{len(bad) - _SHOWN} more could not be had back (mreg verify names them)"] if len(bad) > _SHOWN else []
    return [*([late] if late else []), *bad[:_SHOWN], *more]


def _unnamed(state: State) -> dict[str, list[VersionState]]:
    """Return by source the entries that no request names; a closed register takes none any more."""
    found: dict[str, list[VersionState]] = {}
    for one in stated.unnamed(state) if state.closed is None else []:
        found.setdefault(str((one.adopted or {})["source"]), []).append(one)
    return found


def _stopped(state: State) -> list[str]:
    return [
        f"{len(found)} version{'s' if len(found) > 1 else ''} from {source}: bringing them in was stopped before a lead was"
        f" asked; the same command goes on: {stated.command_again(source, found)}"
        for source, found in _unnamed(state).items()
    ]


def _doubts(work: Workspace, loaded: Loaded) -> list[str]:
    """Return what stands though its signature is in doubt; an exception that ended is told above."""
    from manual_registry.core.errors import SignatureDoubtful
    from manual_registry.core.results import Severity

    found = doubted.findings(work, loaded.state, loaded.events)
    serious = [one for one in found if one.code == SignatureDoubtful.code and one.severity is Severity.ERROR]
    return [f"{one.location}: {one.message}" for one in serious]


def _view_behind(work: Workspace, loaded: Loaded) -> bool:
    from manual_registry.adapters.workbook import OpenpyxlWorkbook

    if work.config.unusable is not None:
        return False  # where it lies is not known
    try:
        found = OpenpyxlWorkbook().inspect(work.workbook_path)
    except WorkbookUnreadable:
        return True
    return (found.head_seq, found.head_hash) != loaded.head


def _next(work: Workspace, state: State, pending: list[dict[str, Any]], moves: list[str], behind: bool) -> list[str]:
    commands = [stated.command_again(source, found) for source, found in list(_unnamed(state).items())[:1]]
    commands += [f"mreg approval show {one['id']}" for one in pending[:2]]
    outside = [one.ref for one in state.versions.values() if one.move_pending and one.location is not None]
    commands += ["mreg archive --pending"] if len(outside) < len(moves) else []
    commands += [f"mreg archive {one} --reason TEXT" for one in outside[:1]]
    commands += ["mreg drill"] if drills.overdue(state, work.clock()) else []
    commands += ["mreg sync"] if behind else []
    if state.closed is not None:
        doubted = [closing.continuing(str(work.root))] if state.closed.doubted_since else []
        return [*doubted, *commands, "mreg verify"][:4]
    if not state.approvers and state.risk is not Risk.MINIMAL:
        commands.append('mreg approver add "Name <email>" --role ai-governance-lead --public-key KEY.pub --as EMAIL')
    if not state.versions:
        commands.append("mreg register MODEL next PATH")
    return [*commands, "mreg verify"][:4]
