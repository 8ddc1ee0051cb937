"""`verify`: everything checked again from the files alone, every finding with its code and place (clause RP-17).

1. The ledger: chain, canonical bytes, each decision again (:mod:`manual_registry.core.audit`).
2. Witnesses: workbook, machine, signed statements, the anchor that was handed in (RP-13).
3. Storage: artefacts hashed, evidence, manifests, records, bags; nothing more, nothing less (RP-1, RP-5).
4. Views: approvals/, allowed_signers, the workbook's cells, registry.toml (RP-14, RP-15).
5. Deadlines and protection (RP-7, RP-10, RP-18).

It writes nothing; ``record`` appends one event with the outcome.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from manual_registry.core import allowed_signers, audit, doubts, drills
from manual_registry.core import events as kinds
from manual_registry.core.audit import Audit, finding
from manual_registry.core.errors import (
    AllowedSignersDiffers,
    ApprovalCopyDiffers,
    BadConfig,
    EventDoubled,
    FormatTooNew,
    HeadUnknown,
    IntegrityError,
    LedgerEmpty,
    LedgerForeign,
    PolicyDiffers,
    RegistryError,
    WorkbookEdited,
    WorkbookUnreadable,
)
from manual_registry.core.ledger import Draft, file_name
from manual_registry.core.rendering import VIEW_VERSION, explained
from manual_registry.core.results import NOT_RECORDED, Finding, Severity, Verification
from manual_registry.registry import anchoring, views
from manual_registry.registry.access import writing
from manual_registry.registry.copies_beside import copy_told, unmerged
from manual_registry.registry.root_files import audit_root
from manual_registry.registry.witnesses import unknown_heads
from manual_registry.registry.workbook_findings import difference_findings, reworded_told
from manual_registry.registry.workspace import Loaded

if TYPE_CHECKING:
    from datetime import datetime

    from cryptography.x509 import Certificate

    from manual_registry.ports import Progress
    from manual_registry.registry.workspace import Workspace


def verify(
    work: Workspace,
    refs: Sequence[str],
    *,
    sample: int | None,
    jobs: int | None,
    both: bool,
    quick: bool,
    anchor: str | None,
    tsa_roots: Path | None = None,
    record: bool,
    progress: Progress | None,
) -> Verification:
    """Check everything; see :meth:`manual_registry.Registry.verify`."""
    from manual_registry.registry.auditing import audit_storage, choose

    roots = _roots(tsa_roots)
    found = audit_files(work)
    loaded = Loaded(events=found.events, state=found.state)
    checked = {
        "events": found.decided,
        "versions": 0,
        "files": 0,
        "bytes": 0,
        "signatures": len(views.copies(found.state, found.events)) // 2 + len(set(found.state.tokens.values())),
    }
    if found.events:
        anchors = _witnesses(work, loaded, found, anchor, roots)
        stamped = anchoring.check(work, found, roots=roots)
        checked["timestamps"] = len(stamped)
        records = choose(work, loaded.state, refs, sample)
        storage = audit_storage(
            work,
            loaded.state,
            records,
            whole=not refs and sample is None and found.whole,
            quick=quick,
            both=both,
            jobs=jobs,
            progress=progress,
        )
        found.findings += storage.findings
        checked |= {"versions": len(records), "files": storage.files, "bytes": storage.bytes}
        if not refs:
            found.findings += audit_root(work, loaded)
        if not refs and found.whole:
            _views(work, loaded, found)
        audit.check_deadlines(found, work.clock())
        audit.check_baselines(found)
        doubts.check(found, work.clock(), [*anchors, *stamped])
        found.findings += drills.findings(loaded.state, work.clock())
    if not found.whole:
        told = f"the ledger could be judged up to event {found.state.head_seq} only: nothing later was checked"
        found.findings.append(_notice("MR-F003", "ledger/", told, clause="RP-13"))
    outcome = Verification(checked=checked, findings=tuple(found.findings))
    return _record(work, outcome, refs) if record else outcome


def audit_files(work: Workspace) -> Audit:
    """Take step 1: the ledger's files, each decision again, and what else lies in ledger/."""
    listing = work.ledger.listing()
    found = audit.audit_ledger(listing.events, work.ledger.raw)
    if not listing.events:
        found.findings.append(finding(LedgerEmpty("the ledger is empty", location="ledger/", clause="RP-13")))
    for name in listing.foreign:
        claimed = work.ledger.claimed_number(name)
        place = f"ledger/{name}"
        if claimed is None:
            stray = LedgerForeign(f"{place} is no event", location=place, clause="RP-13")
            found.findings.append(finding(stray, severity=Severity.WARNING))
        else:
            fork = EventDoubled(
                f"{place} and ledger/{file_name(claimed)} both claim event {claimed}", location=place, clause="RP-13"
            )
            found.findings.append(finding(fork))
    return found


def _roots(path: Path | None) -> list[Certificate] | None:
    """Read the trusted roots, whether or not there is a time-stamp to judge: a mistyped name is told."""
    if path is None:
        return None
    from manual_registry.adapters.timestamping import load_roots

    return load_roots(path)


def _witnesses(
    work: Workspace, loaded: Loaded, found: Audit, anchor: str | None, roots: Sequence[Certificate] | None
) -> list[tuple[int, datetime]]:
    """Take step 2; returns (event, time) of what was handed in and is in the chain."""
    kept: list[tuple[int, datetime]] = []
    if found.whole:
        found.findings += [finding(problem) for problem in unknown_heads(work, loaded)]
    if anchor is None:
        return kept
    text = _anchor_text(anchor)
    for line in [line for line in text.splitlines() if "sha256:" in line] or [text]:
        registry, seq, digest = audit.parse_anchor(line)
        if registry not in (None, loaded.state.registry_id):
            other = HeadUnknown(f"the anchor is of another registry ({registry})", location="anchor", clause="RP-13")
            found.findings.append(finding(other))
            continue
        audit.check_head(found, seq=seq, hash=digest, source="the anchor")
        at = audit.anchor_time(line)
        if at is not None and loaded.state.hashes.get(seq) == digest:
            audit.check_dated_back(found, seq=seq, at=at, source="the anchor")
            kept.append((seq, at))
        anchoring.check_beside(work, found, anchor, seq=seq, roots=roots)
    return kept


def _anchor_text(anchor: str) -> str:
    """Return the text of the file that ``anchor`` names, else ``anchor`` itself (a line may be long)."""
    try:
        return Path(anchor).read_text(encoding="utf-8", errors="replace") if Path(anchor).is_file() else anchor
    except (OSError, ValueError):
        return anchor


# -- views ------------------------------------------------------------------------------------------------


def _views(work: Workspace, loaded: Loaded, found: Audit) -> None:
    tainted = any(one.severity is Severity.ERROR and one.code.startswith("MR-L") for one in found.findings)
    for look, place in (
        (_approval_copies, "approvals"),
        (_allowed_signers, allowed_signers.FILE_NAME),
        (_workbook, work.config.workbook),
        (_copies, work.config.workbook),
    ):
        if work.config.unusable is not None and look in (_workbook, _copies):
            continue  # where the workbook lies is not known; told below
        try:
            seen = look(work, loaded, found)
            found.findings += _in_one(seen) if tainted else seen
        except RegistryError as problem:  # a hand-made event that cannot be rendered; step 1 told why
            found.findings.append(finding(problem, location=place))
    wrong = work.config.wrong
    if wrong is not None:
        found.findings.append(finding(wrong, severity=Severity.WARNING, location="registry.toml"))
    elif work.policy_differences(loaded.state):
        names = ", ".join(one.setting for one in work.policy_differences(loaded.state))
        found.findings.append(
            Finding(
                code=PolicyDiffers.code,
                severity=Severity.WARNING,
                location="registry.toml",
                message=f"differs from the policy in force ({names}); nothing is promoted until a lead signs it",
                clause="RP-14",
            )
        )


#: What a ledger that was changed makes differ is told in one finding from so many on.
_MANY = 3


def _in_one(findings: list[Finding]) -> list[Finding]:
    """Where the ledger itself does not hold, the views differ from it all over: told once, with the first places."""
    errors = [one for one in findings if one.severity is Severity.ERROR]
    if len(errors) < _MANY:
        return findings
    places = ", ".join(one.location for one in errors[:_MANY])
    told = f"{len(errors)} places differ from the ledger as it stands now: {places}, …; {errors[0].message}"
    return [*(one for one in findings if one not in errors), replace(errors[0], message=told)]


def _approval_copies(work: Workspace, loaded: Loaded, _found: Audit) -> list[Finding]:
    wanted = views.copies(loaded.state, loaded.events)
    findings = []
    root = work.root / "approvals"
    there = {
        path.relative_to(work.root).as_posix()
        for path in root.rglob("*")
        if path.is_file() and path.relative_to(root).parts[0] != ".inbox"
    }
    absent = [path for path in wanted if path not in there]
    if len(absent) >= _MANY:
        told = f"{len(absent)} copies are missing ({absent[0]}, …); the ledger has them"
        findings.append(_notice(ApprovalCopyDiffers.code, "approvals", told, clause="RP-10"))
        absent = []
    for path in absent:
        told = f"{path} is missing; the ledger has it"
        findings.append(_notice(ApprovalCopyDiffers.code, path, told, clause="RP-10"))
    for path, data in wanted.items():
        if path in there and (work.root / path).read_bytes() != data:
            findings.append(
                finding(ApprovalCopyDiffers(f"{path} differs from the ledger", location=path, clause="RP-10"))
            )
    for path in sorted(there - wanted.keys()):
        if not _own_temporary(path):
            findings.append(finding(ApprovalCopyDiffers(f"{path} is not in the ledger", location=path, clause="RP-10")))
    return findings


def _own_temporary(path: str) -> bool:
    from manual_registry.adapters import remover

    return remover.is_temporary(path.rsplit("/", 1)[-1])


def _allowed_signers(work: Workspace, loaded: Loaded, found: Audit) -> list[Finding]:
    name = allowed_signers.FILE_NAME
    path = work.root / name
    if not path.is_file():
        gone = AllowedSignersDiffers(
            f"{name} is missing; the next change of the roster renders it", location=name, clause="RP-14"
        )
        return [finding(gone, severity=Severity.WARNING)]
    # Bytes and LF only: with Windows line ends ssh-keygen does not read it.
    text = path.read_bytes().decode("utf-8", "replace")
    wanted = views.signers_text(loaded.state, without=found.forged)
    if text == wanted:
        return []
    theirs, ours = text.split("\n"), wanted.split("\n")
    findings = [
        finding(
            AllowedSignersDiffers(
                f"{name}: line {number} is not in the ledger: {line[:80]}", location=f"{name}:{number}", clause="RP-14"
            )
        )
        for number, line in enumerate(theirs, 1)
        if line not in ours
    ]
    findings += [
        finding(
            AllowedSignersDiffers(
                f"{name}: a line of the ledger is missing: {line[:80]}", location=name, clause="RP-14"
            )
        )
        for line in ours
        if line not in theirs
    ]
    return findings or [
        finding(AllowedSignersDiffers(f"{name} has the lines of the ledger in another order", location=name))
    ]


def _workbook(work: Workspace, loaded: Loaded, _found: Audit) -> list[Finding]:
    from manual_registry.adapters.workbook import OpenpyxlWorkbook

    place = work.config.workbook
    port = OpenpyxlWorkbook()
    try:
        state = port.inspect(work.workbook_path)
        if not state.present:
            return [
                _info(
                    "MR-V003", place, "the workbook is gone; the next writing command renders it anew", Severity.WARNING
                )
            ]
        if state.registry_id not in (None, loaded.state.registry_id):
            return []  # a witness: told as a head that this ledger does not have
        base = views.base_view(work, loaded)
        known = base is not None
        if not known and state.head_seq is not None:
            return []  # the same: with what it should be compared cannot be told
        reading = port.read(work.workbook_path, base or views.view_at(work, loaded.events, loaded.state))
    except WorkbookUnreadable as problem:
        return [finding(problem, location=place)]
    differences = reading.differences if reading else ()
    findings = []
    if not known:
        told = "the workbook names no head of this ledger; it was compared with the newest one"
        findings.append(_info("MR-V004", place, told, Severity.WARNING))
    elif (state.head_seq, state.head_hash) != loaded.head:
        findings.append(
            _info(
                "MR-V005",
                place,
                f"the view is behind: it shows event {state.head_seq} of {loaded.head[0]}",
                Severity.WARNING,
            )
        )
    if known and reading:
        findings += [
            finding(WorkbookEdited(told, location=f"{place}:{where}", clause="RP-15"))
            for where, told in reading.changed_lines
        ]
    reworded = explained(differences, base) if base is not None and state.view_version != VIEW_VERSION else frozenset()
    if reworded:
        findings.append(_info("MR-V008", place, reworded_told(reworded), Severity.WARNING))
    judged = (one for one in differences if one not in reworded)
    return [*findings, *difference_findings(place, judged, reading.typed if reading else ())]


def _copies(work: Workspace, loaded: Loaded, _found: Audit) -> list[Finding]:
    return [
        _info("MR-V007", Path(os.path.relpath(copy, work.root)).as_posix(), copy_told(work, copy), Severity.WARNING)
        for copy in unmerged(work, loaded.state.registry_id)
    ]


def _notice(code: str, place: str, message: str, *, clause: str) -> Finding:
    return Finding(code=code, severity=Severity.WARNING, location=place, message=message, clause=clause)


def _info(code: str, place: str, message: str, severity: Severity) -> Finding:
    return Finding(code=code, severity=severity, location=place, message=message, clause="RP-15")


def _record(work: Workspace, outcome: Verification, refs: Sequence[str]) -> Verification:
    errors = [one for one in outcome.findings if one.severity is Severity.ERROR]
    data = {
        "ok": outcome.ok,
        "checked": dict(outcome.checked),
        "findings": [one.document() for one in errors[:100]],
        "scope": list(refs),
    }
    try:
        with writing(work) as loaded:
            work.append(loaded, lambda _state, _at: Draft(type=kinds.VERIFIED, subject={}, data=data))
    except (IntegrityError, FormatTooNew, BadConfig) as problem:  # nothing is written into a ledger that does not hold
        told = f"the outcome was not recorded: {problem.message}"
        return replace(outcome, findings=(*outcome.findings, _notice(NOT_RECORDED, "ledger/", told, clause="RP-13")))
    return outcome
