"""What is rendered from the ledger after each command: approvals/, allowed_signers, the workbook (clause RP-15).

None of these decides anything; a view that cannot be written is a warning, and the next writing command catches up.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from manual_registry.adapters.config import FILE
from manual_registry.adapters.files import os_errors, put_if_absent, write_atomic
from manual_registry.adapters.hashing import file_sha256
from manual_registry.adapters.workbook_place import DEFAULT
from manual_registry.core import allowed_signers
from manual_registry.core import events as kinds
from manual_registry.core.decide.signing import RECOVERY
from manual_registry.core.errors import RegistryError, WorkbookUnreadable
from manual_registry.core.folding import apply, fold
from manual_registry.core.rows import build_view
from manual_registry.core.sshkeys import parse_public_key
from manual_registry.core.state import Request, State
from manual_registry.core.statements import APPROVAL_NAMESPACE, CONTROL_NAMESPACE, PROMOTION_NAMESPACE
from manual_registry.core.times import parse_time
from manual_registry.core.touches import is_control
from manual_registry.core.values import Role
from manual_registry.core.view import View
from manual_registry.ports import Refreshed
from manual_registry.registry.root_files import tell_closed

if TYPE_CHECKING:
    from manual_registry.core.ledger import Event
    from manual_registry.core.results import Result
    from manual_registry.ports import Instructions
    from manual_registry.registry.workspace import Loaded, Workspace


def publish(work: Workspace, loaded: Loaded) -> None:
    """Bring every view to the head; what fails is told, not raised."""
    for step in (_approval_copies, _allowed_signers, tell_closed, _workbook):
        try:
            with os_errors(work.root):  # a temporary directory that is full, say
                step(work, loaded)
        except RegistryError as problem:
            work.warn(f"the view is behind: {problem.message}")
    work.remember(loaded)


# -- approvals/ -------------------------------------------------------------------------------------------


def copies(state: State, events: list[Event]) -> dict[str, bytes]:
    """Return the files under approvals/ that the ledger stands for: ``{path below the root: bytes}``."""
    found: dict[str, bytes] = {}
    for request in state.requests.values():
        if request.statement is not None and request.signature is not None:
            found |= _pair(approval_path(request), request.statement, request.signature)
    for event in events:
        control = event.data.get("control")
        if control:
            found |= _pair(f"approvals/.control/C{event.seq}.json", control["statement"], control["signature"])
        promotion = event.data.get("promotion")
        if promotion and "signature" in promotion:  # a token stands in the ledger alone
            ref = f"approvals/{event.subject['model']}/{event.subject['version']}"
            found |= _pair(f"{ref}/P{event.seq}.json", promotion["statement"], promotion["signature"])
    return found


def approval_path(request: Request) -> str:
    """Return where the copy of an approval's statement lies, below the root."""
    return f"approvals/{request.model}/{request.version}/{request.id}.json"


def _pair(path: str, statement: str, signature: str) -> dict[str, bytes]:
    return {path: statement.encode(), f"{path}.sig": signature.encode()}


def _approval_copies(work: Workspace, loaded: Loaded) -> None:
    earlier = _earlier_copies(loaded)
    for path, data in copies(loaded.state, loaded.events).items():
        target = work.root / path
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            put_if_absent(target, data)
        elif path in earlier and target.read_bytes() in earlier[path] - {data}:
            write_atomic(target, data, mode=0o444)  # signed again: the ledger keeps both


def _earlier_copies(loaded: Loaded) -> dict[str, set[bytes]]:
    """Return what the copies of approvals that were signed several times have held; other bytes are somebody else's."""
    found: dict[str, list[bytes]] = {}
    for event in loaded.events:
        if event.type == kinds.SIGNED:
            path = approval_path(loaded.state.requests[event.data["id"]])
            for name, data in _pair(path, event.data["statement"], event.data["signature"]).items():
                found.setdefault(name, []).append(data)
    return {path: set(several) for path, several in found.items() if len(several) > 1}


# -- allowed_signers --------------------------------------------------------------------------------------


def signers_text(state: State, *, without: Collection[str] = ()) -> str:
    """Render allowed_signers from the roster, ``without`` those whom no lead enrolled."""
    signers = []
    for person in (one for one in state.all_approvers() if one.email not in without):
        lead = person.role is Role.LEAD
        signers.append(
            allowed_signers.AllowedSigner(
                principal=person.email,
                namespaces=(APPROVAL_NAMESPACE, CONTROL_NAMESPACE) if lead else (APPROVAL_NAMESPACE,),
                valid_after=parse_time(person.added_at),
                valid_before=parse_time(person.revoked_at) if person.revoked_at else None,
                key=parse_public_key(person.key),
            )
        )
    signers += [
        allowed_signers.AllowedSigner(
            principal=pipeline.name,
            namespaces=(PROMOTION_NAMESPACE,),
            valid_after=parse_time(pipeline.added_at),
            valid_before=parse_time(pipeline.revoked_at) if pipeline.revoked_at else None,
            key=parse_public_key(pipeline.key),
        )
        for pipeline in state.all_pipelines()
        if pipeline.key is not None and pipeline.name not in without
    ]
    if state.recovery_key is not None:
        signers.append(
            allowed_signers.AllowedSigner(
                principal=RECOVERY,
                namespaces=(CONTROL_NAMESPACE,),
                valid_after=parse_time(state.created_at),
                key=parse_public_key(state.recovery_key),
            )
        )
    return allowed_signers.render(signers)


def _allowed_signers(work: Workspace, loaded: Loaded) -> None:
    path, wanted = work.root / allowed_signers.FILE_NAME, signers_text(loaded.state).encode()
    found = path.read_bytes() if path.is_file() else None
    if found == wanted:
        return
    if found is not None and found not in _earlier_signers(loaded.events):
        aside = path.with_name(f"allowed_signers.{loaded.state.head_seq}.set-aside")
        put_if_absent(aside, found)
        work.warn(f"allowed_signers differed from the ledger; it was kept as {aside.name} and rendered anew")
    write_atomic(path, wanted)


def _earlier_signers(events: list[Event]) -> set[bytes]:
    """Return every text that allowed_signers has had: one of them is only behind, another was edited."""
    state, found = State(), set()
    for event in events:
        apply(state, event)
        if is_control(event):
            found.add(signers_text(state).encode())
    return found


# -- the workbook -----------------------------------------------------------------------------------------


def behind(work: Workspace, loaded: Loaded) -> bool:
    """Tell whether the workbook shows another head than the ledger's (a command was killed, the disk was full)."""
    from manual_registry.adapters.workbook import OpenpyxlWorkbook

    try:
        found = OpenpyxlWorkbook().inspect(work.workbook_path)
    except RegistryError:
        return False  # nothing was written: `verify` tells it
    return not found.present or (
        found.registry_id == loaded.state.registry_id and (found.head_seq, found.head_hash) != loaded.head
    )


def view_at(
    work: Workspace, events: list[Event], state: State | None = None, *, link_prefix: str | None = None
) -> View:
    """Return the view at the last of ``events``; links are as the workbook's place needs them, or as it was written."""
    prefix = _link_prefix(work) if link_prefix is None else link_prefix
    return build_view(state or fold(events), events, link_prefix=prefix)


def _link_prefix(work: Workspace) -> str:
    """Return what leads from the workbook to the root."""
    place = os.path.relpath(work.root, work.workbook_path.parent)
    return "" if place == "." else Path(place).as_posix() + "/"


def base_view(work: Workspace, loaded: Loaded, known: View | None = None) -> View | None:
    """Return the view at the head that the workbook names; None when it names none that is in the chain.

    ``known`` is a view that was computed from this ledger just now; it may be the one.
    """
    from manual_registry.adapters.workbook import OpenpyxlWorkbook

    found = OpenpyxlWorkbook().inspect(work.workbook_path)
    seq = found.head_seq
    if found.registry_id != loaded.state.registry_id or seq is None or loaded.state.hashes.get(seq) != found.head_hash:
        return None
    prefix = _link_prefix(work) if found.link_prefix is None else found.link_prefix
    if known is not None and (known.head_seq, known.head_hash, known.link_prefix) == (seq, found.head_hash, prefix):
        return known
    return view_at(work, loaded.events[:seq], link_prefix=prefix)


def _workbook(work: Workspace, loaded: Loaded) -> None:
    if not work.hold_workbook:
        refresh_workbook(work, loaded, None)


def refresh_workbook(
    work: Workspace, loaded: Loaded, instructions: Instructions | None, known: View | None = None
) -> Refreshed | None:
    """Bring the workbook to the head; ``instructions`` come from `sync`. What could not be done is a warning.

    ``known`` is a view that was computed from this ledger just now.

    None: nothing was written, because the file has just been changed in a synced folder, or is not ours.
    """
    from manual_registry.adapters.workbook import OpenpyxlWorkbook

    path = work.workbook_path
    present = path.exists()
    if present and (told := _restless(work, path) or _foreign(work, loaded, path)):
        work.warn(told)
        return None
    try:
        base = base_view(work, loaded, known) if present else None
    except WorkbookUnreadable:  # `refresh` tells it, and what became of the file
        base = None
    if base is not None and (base.head_seq, base.head_hash, base.link_prefix) == (*loaded.head, _link_prefix(work)):
        new = base
    else:
        new = view_at(work, loaded.events, loaded.state)
    port = OpenpyxlWorkbook()
    done = port.refresh(path, base, new, sync=instructions) if instructions else port.refresh(path, base, new)
    work.warn(*done.warnings)
    if not present and loaded.events[0] not in loaded.written:
        work.warn(f"{work.config.workbook} was gone; it was rendered anew from the ledger")
    keep_rendering(work, loaded, path, done)
    done = _with_own_columns(work, loaded, new, done)
    if done.waiting and instructions is None:
        told = (
            "1 cell differs from the record and was"
            if done.waiting == 1
            else f"{done.waiting} cells differ from the record and were"
        )
        then = "reads edits back" if loaded.state.closed is None else "takes notes, keeps a copy"
        work.warn(f"{told} left alone; mreg sync {then} and puts the rest right")
    return done


def _with_own_columns(work: Workspace, loaded: Loaded, view: View, done: Refreshed) -> Refreshed:
    """Add what adopted sheets brought along and the workbook never had; `adopt` alone tells why it cannot be."""
    if not loaded.state.adopted:
        return done
    from manual_registry.registry.people_columns import catch_up

    added = catch_up(work, loaded, view)
    return replace(done, written=True, sha256=added.sha256) if added is not None and added.written else done


def _foreign(work: Workspace, loaded: Loaded, path: Path) -> str | None:
    """Say so when at a place that a person named stands a file of somebody else: it is not written over.

    In its usual place, and where this machine has written it before, a damaged workbook is kept whole and written anew.
    """
    from manual_registry.adapters import memory
    from manual_registry.adapters.workbook import OpenpyxlWorkbook
    from manual_registry.adapters.workbook.package import is_locked

    here = path.resolve()
    if here == (work.root / DEFAULT).resolve() or memory.recall_view(work.root, path).written is not None:
        return None
    try:
        if OpenpyxlWorkbook().inspect(here).registry_id == loaded.state.registry_id:
            return None
    except WorkbookUnreadable as refused:
        if is_locked(refused):
            return None  # `refresh` says what to do about it
    return (
        f"{work.config.workbook} is there already and is no workbook of this registry: it is not written over. Name another"
        f" place ([workbook] path in {FILE}), or let mreg reset-view keep it beside and write a new one"
    )


def _restless(work: Workspace, path: Path) -> str | None:
    """Say so when somebody else has just written the workbook in a synced folder: more of it may be on the way."""
    if not work.quiet_seconds:
        return None
    from manual_registry.adapters import memory, synced_folder

    passed = synced_folder.seconds_since_change(path)
    if passed is None or passed >= work.quiet_seconds:
        return None
    if file_sha256(path) == memory.recall_view(work.root, path).written:
        return None  # nobody but this machine
    return (
        f"{path.name} was changed {passed:.0f} s ago in a synced folder: not written before it has been quiet for"
        f" {work.quiet_seconds:.0f} s; the next writing command catches up"
    )


def keep_rendering(work: Workspace, loaded: Loaded, path: Path, done: Refreshed) -> None:
    """Remember what was written, and keep it as one of the last renderings."""
    if not done.written or done.sha256 is None:
        return
    import hashlib

    from manual_registry.adapters import memory, renderings

    memory.remember_written(work.root, path, done.sha256)
    try:
        data = path.read_bytes()
    except OSError:
        return  # somebody was quicker; the next rendering is kept
    if hashlib.sha256(data).hexdigest() == done.sha256:
        renderings.keep(work.root, path, data, seq=loaded.head[0], sha256=done.sha256)


def reset(work: Workspace) -> Result:
    """Render the workbook anew from the ledger; the old file is kept beside it under another name."""
    from manual_registry.adapters.locks import WriteLock
    from manual_registry.adapters.workbook import OpenpyxlWorkbook

    work.require_config()
    path = work.workbook_path
    with WriteLock(work.root):
        loaded = work.load()
        aside = None
        if path.exists():
            stem = work.now().replace(":", "").replace("-", "").replace(".", "")
            aside = path.with_name(f"{path.stem}.{stem}.set-aside{path.suffix}")
        view, port = view_at(work, loaded.events, loaded.state), OpenpyxlWorkbook()
        port.render(path, view, aside=aside)
        done = Refreshed(written=True, sha256=file_sha256(path))
        keep_rendering(work, loaded, path, done)
        _with_own_columns(work, loaded, view, done)
        work.remember(loaded)
    told = (f"the old workbook is kept as {aside.name}",) if aside else ()
    work.warn(*told)
    return replace(work.result("reset-view", loaded, next="mreg status"), changed=True, notes=told)
