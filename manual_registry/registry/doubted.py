"""What `verify` doubts of a version, for those who ask about that version only: `trace`, `approval`, `status`.

Rule held here: nothing is judged again in another way; the findings are those of :mod:`manual_registry.core.doubts`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from manual_registry.core.audit import Audit
from manual_registry.core.errors import ExceptionEnded, SignatureDoubtful
from manual_registry.core.ledger import file_name
from manual_registry.core.results import Finding, Severity

if TYPE_CHECKING:
    from manual_registry.core.ledger import Event
    from manual_registry.core.standing import Asked
    from manual_registry.core.state import State, VersionState
    from manual_registry.core.walk import Seen
    from manual_registry.registry.workspace import Loaded, Workspace


def may_be(state: State, record: VersionState | None = None) -> bool:
    """Tell whether there can be a doubt at all: most registries have none, and need not be read whole for it."""
    suspected = any(one.compromised_since is not None for one in state.all_approvers())
    return suspected or bool(record.exceptions if record is not None else state.exceptions)


def findings(work: Workspace, state: State, events: Sequence[Event]) -> list[Finding]:
    """Return the doubts that `verify` has without an anchor from elsewhere: doubtful signatures, exceptions that ended."""
    from manual_registry.core import doubts

    if not may_be(state):
        return []
    audit = Audit(state=state, events=list(events))
    doubts.check(audit, work.clock(), ())
    return [one for one in audit.findings if one.code in (SignatureDoubtful.code, ExceptionEnded.code)]


def told_of(found: Sequence[Finding], seq: int | None) -> Finding | None:
    """Return what is doubted of event ``seq``."""
    place = f"ledger/{file_name(seq)}" if seq is not None else None
    return next((one for one in found if one.location == place), None)


def beside(work: Workspace, loaded: Loaded, record: VersionState, seen: Seen, asked: Asked | None) -> Seen:
    """Add to what was seen the doubts about the approval and the exceptions that the version rests on.

    What `verify` counts as an error breaks the link; what it warns of leaves it unverified. An exception that ended says
    nothing about a stay in production that was over before.
    """
    from manual_registry.core.standing import governed
    from manual_registry.core.walk import approval_behind

    found = findings(work, loaded.state, loaded.events)
    if not found:
        return seen
    damage, unsure = dict(seen.damage), dict(seen.doubts)
    over = asked is not None and asked.stays[-1][1] is not None
    request = approval_behind(loaded.state, record, governed(record, asked), asked)
    places = [("approval", request.signed_seq if request else None), *(("gates", one.seq) for one in record.exceptions)]
    for kind, seq in places:
        one = told_of(found, seq)
        if one is None or (over and one.code == ExceptionEnded.code):
            continue
        kept = damage if one.severity is Severity.ERROR else unsure
        kept.setdefault(kind, f"{one.message} ({one.code})")
    return replace(seen, damage=damage, doubts=unsure)
