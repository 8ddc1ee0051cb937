"""What is rendered from the ledger after each command: approvals/, allowed_signers, the workbook (clause RP-15).

None of these decides anything; a view that cannot be written is a warning, and the next writing command catches up.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from manual_registry.adapters.files import put_if_absent, write_atomic
from manual_registry.core import allowed_signers
from manual_registry.core.errors import RegistryError, WorkbookUnreadable
from manual_registry.core.rows import build_view
from manual_registry.core.sshkeys import parse_public_key
from manual_registry.core.state import Request, State, fold
from manual_registry.core.statements import APPROVAL_NAMESPACE, CONTROL_NAMESPACE, PROMOTION_NAMESPACE
from manual_registry.core.times import parse_time
from manual_registry.core.values import Role
from manual_registry.core.view import View

if TYPE_CHECKING:
    from manual_registry.core.ledger import Event
    from manual_registry.core.results import Result
    from manual_registry.registry.workspace import Loaded, Workspace


def publish(work: Workspace, loaded: Loaded) -> None:
    """Bring every view to the head; what fails is told, not raised."""
    for step in (_approval_copies, _allowed_signers, _workbook):
        try:
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
        if promotion:
            ref = f"approvals/{event.subject['model']}/{event.subject['version']}"
            found |= _pair(f"{ref}/P{event.seq}.json", promotion["statement"], promotion["signature"])
    return found


def approval_path(request: Request) -> str:
    """Return where the copy of an approval's statement lies, below the root."""
    return f"approvals/{request.model}/{request.version}/{request.id}.json"


def _pair(path: str, statement: str, signature: str) -> dict[str, bytes]:
    return {path: statement.encode(), f"{path}.sig": signature.encode()}


def _approval_copies(work: Workspace, loaded: Loaded) -> None:
    replaced = {event.data["id"] for event in loaded.written if event.type == "approval.signed"}
    for path, data in copies(loaded.state, loaded.events).items():
        target = work.root / path
        if target.exists() and not (replaced and target.name.split(".")[0] in replaced):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            write_atomic(target, data, mode=0o444)  # signed again: the ledger keeps both
        else:
            put_if_absent(target, data)


# -- allowed_signers --------------------------------------------------------------------------------------


def signers_text(state: State) -> str:
    """Render allowed_signers from the roster."""
    signers = []
    for person in state.approvers.values():
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
        for pipeline in state.pipelines.values()
    ]
    return allowed_signers.render(signers)


def _allowed_signers(work: Workspace, loaded: Loaded) -> None:
    path, wanted = work.root / allowed_signers.FILE_NAME, signers_text(loaded.state).encode()
    found = path.read_bytes() if path.is_file() else None
    if found == wanted:
        return
    before = fold(loaded.events[: -len(loaded.written)]) if len(loaded.events) > len(loaded.written) else None
    if found is not None and before is not None and found != signers_text(before).encode():
        aside = path.with_name(f"allowed_signers.{loaded.state.head_seq}.set-aside")
        put_if_absent(aside, found)
        work.warn(f"allowed_signers differed from the ledger; it was kept as {aside.name} and rendered anew")
    write_atomic(path, wanted)


# -- the workbook -----------------------------------------------------------------------------------------


def view_at(work: Workspace, events: list[Event], state: State | None = None) -> View:
    """Return the view at the last of ``events``, with links as the workbook's place needs them."""
    prefix = os.path.relpath(work.root, work.workbook_path.parent)
    return build_view(state or fold(events), events, link_prefix="" if prefix == "." else Path(prefix).as_posix() + "/")


def base_view(work: Workspace, loaded: Loaded) -> View | None:
    """Return the view at the head that the workbook names; None when it names none that is in the chain."""
    from manual_registry.adapters.workbook import OpenpyxlWorkbook

    found = OpenpyxlWorkbook().inspect(work.workbook_path)
    seq = found.head_seq
    if found.registry_id != loaded.state.registry_id or seq is None or loaded.state.hashes.get(seq) != found.head_hash:
        return None
    return view_at(work, loaded.events[:seq])


def _workbook(work: Workspace, loaded: Loaded) -> None:
    from manual_registry.adapters.workbook import OpenpyxlWorkbook

    path = work.workbook_path
    present = path.exists()
    try:
        base = base_view(work, loaded) if present else None
    except WorkbookUnreadable as problem:
        work.warn(problem.message)
        base = None
    done = OpenpyxlWorkbook().refresh(path, base, view_at(work, loaded.events, loaded.state))
    work.warn(*done.warnings)
    if not present and loaded.events[0] not in loaded.written:
        work.warn(f"{work.config.workbook} was gone; it was rendered anew from the ledger")
    if done.waiting:
        told = (
            "1 cell differs from the record and was"
            if done.waiting == 1
            else f"{done.waiting} cells differ from the record and were"
        )
        work.warn(f"{told} left alone; mreg verify names them, mreg reset-view renders the workbook anew")


def reset(work: Workspace) -> Result:
    """Render the workbook anew from the ledger; the old file is kept beside it under another name."""
    from manual_registry.adapters.locks import WriteLock
    from manual_registry.adapters.workbook import OpenpyxlWorkbook

    path = work.workbook_path
    with WriteLock(work.root):
        loaded = work.load()
        aside = None
        if path.exists():
            stem = work.now().replace(":", "").replace("-", "").replace(".", "")
            aside = path.with_name(f"{path.stem}.{stem}.set-aside{path.suffix}")
        OpenpyxlWorkbook().render(path, view_at(work, loaded.events, loaded.state), aside=aside)
        work.remember(loaded)
    told = (f"the old workbook is kept as {aside.name}",) if aside else ()
    work.warn(*told)
    return replace(work.result("reset-view", loaded, next="mreg status"), changed=True, notes=told)
