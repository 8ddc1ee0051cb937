"""`anchor --tsa`, and what `verify` makes of time-stamp tokens: those in the ledger, and one beside an anchor file."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from manual_registry.core import events as kinds
from manual_registry.core.audit import Audit, check_dated_back, finding
from manual_registry.core.decide.anchoring import LARGEST_TOKEN, read_token
from manual_registry.core.errors import RegistryError, TimestampFinding, ToolMissing
from manual_registry.core.ledger import Draft, file_name
from manual_registry.core.results import Finding, Severity
from manual_registry.core.times import parse_time
from manual_registry.registry.access import writing

if TYPE_CHECKING:
    from datetime import datetime

    from cryptography.x509 import Certificate

    from manual_registry.core.results import Result
    from manual_registry.core.state import State, TimeAnchor
    from manual_registry.registry.workspace import Workspace

#: A token that lies beside an anchor file has its name and this.
BESIDE: Final = ".tsr"


def anchor_with(work: Workspace, url: str, *, roots: Path | None) -> tuple[Result, str, bytes]:
    """Have the head stamped by the authority at ``url`` and keep its token in the ledger.

    Returns the result, the anchor line of the stamped head, and the token. Without ``roots`` it is told that nobody knows
    yet whose signature it is.
    """
    from manual_registry.adapters.timestamping import ask, load_roots
    from manual_registry.registry.controlling import anchor_line

    trusted = load_roots(roots) if roots is not None else []
    with writing(work) as loaded:
        line = anchor_line(work, loaded.state)
        head = loaded.events[-1]
        stamped = ask(url, head.raw, trusted)
        if not stamped.rooted:
            work.warn(
                f"the signature of {stamped.authority} was not judged: name its roots, got from elsewhere, with --tsa-roots"
            )
        data = {
            "seq": head.seq,
            "hash": head.hash,
            "time": stamped.time,
            "authority": stamped.authority,
            "token": base64.b64encode(stamped.token).decode(),
        }
        work.append(loaded, lambda _state, _at: Draft(type=kinds.ANCHORED, subject={}, data=data))
        note = f"event {head.seq} existed at {stamped.time}, says {stamped.authority}"
        result = work.result("anchor", loaded, notes=(note,), next="mreg verify --tsa-roots FILE")
    return result, line, stamped.token


# -- verify -----------------------------------------------------------------------------------------------


def check(work: Workspace, found: Audit, *, roots: Sequence[Certificate] | None) -> list[tuple[int, datetime]]:
    """Judge every token in the ledger again; returns (event, time) of those that were judged to a root.

    Without roots, or without the optional part, it is told that they were not judged: a token by itself proves nothing.
    """
    anchors = found.state.anchors
    if not anchors:
        return []
    if roots is None:
        told = f"{len(anchors)} time-stamps of {_names(anchors)} were not judged; name trusted roots with --tsa-roots"
        found.findings.append(_info(told))
        return []
    judged: list[tuple[int, datetime]] = []
    for one in anchors:
        try:
            _judge(work, found.state, one, roots)
            judged.append((one.seq, parse_time(one.time)))
            # It was asked under the write lock, so event `seq` was the last one then.
            check_dated_back(found, seq=one.seq, at=parse_time(one.time), source=one.authority)
        except ToolMissing as problem:
            found.findings.append(
                _info(f"{len(anchors)} time-stamps were not judged: {problem.message} ({problem.hint})")
            )
            return []
        except RegistryError as problem:
            found.findings.append(finding(problem, location=f"ledger/{file_name(one.event)}"))
    if judged:
        last = max(anchors, key=lambda one: one.seq)
        found.findings.append(
            _info(f"event {last.seq} and all before it existed at {last.time}, says {last.authority}")
        )
    return judged


def _judge(work: Workspace, state: State, one: TimeAnchor, roots: Sequence[Certificate]) -> None:
    from manual_registry.adapters.timestamping import judge

    token = read_token(one.token)
    if token is None:
        raise TimestampFinding("a time-stamp token that is none", clause="RP-13")
    if state.hashes.get(one.seq) != one.hash:
        raise TimestampFinding(
            f"the time-stamp is over event {one.seq} as it no longer stands",
            location=file_name(one.event),
            clause="RP-13",
        )
    stamped = judge(token, work.ledger.raw(file_name(one.seq)), roots)
    if (stamped.time, stamped.authority) != (one.time, one.authority):
        told = f"the token says {stamped.time}, {stamped.authority}; its event {one.time}, {one.authority}"
        raise TimestampFinding(told, clause="RP-13")


def check_beside(work: Workspace, found: Audit, anchor: str, *, seq: int, roots: Sequence[Certificate] | None) -> None:
    """Judge the token that lies beside an anchor file (``FILE.tsr``), if one does, over event ``seq``."""
    path = Path(anchor + BESIDE)
    try:
        token = path.read_bytes()[: LARGEST_TOKEN + 1] if path.is_file() else None
    except (OSError, ValueError):
        token = None
    if token is None or seq > found.state.head_seq:
        return
    if roots is None:
        found.findings.append(_info(f"{path.name} was not judged; name trusted roots with --tsa-roots", str(path)))
        return
    from manual_registry.adapters.timestamping import judge

    try:
        stamped = judge(token, work.ledger.raw(file_name(seq)), roots)
    except RegistryError as problem:
        found.findings.append(finding(problem, location=str(path)))
        return
    found.findings.append(_info(f"event {seq} existed at {stamped.time}, says {stamped.authority}", str(path)))


def _names(anchors: Sequence[TimeAnchor]) -> str:
    return ", ".join(dict.fromkeys(one.authority for one in anchors))


def _info(message: str, location: str = "ledger/") -> Finding:
    return Finding(code="MR-F020", severity=Severity.INFO, location=location, message=message, clause="RP-13")
