"""Delegations: what a delegate may approve in the place of a lead (clause RP-20).

Rules held here: a delegation is of one person, for models by a pattern, from one day to another (UTC, both days in); it
ends with the delegate's revocation. Whether the granting lead might grant it is decided with its event.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

from manual_registry.core.errors import BadTime, Json
from manual_registry.core.times import parse_time, stamp
from manual_registry.core.values import Role, Stage

if TYPE_CHECKING:
    from manual_registry.core.state import Approver, Delegation, Request, State

#: Model names, with ``*``, ``?`` and ``[…]``.
_GLOB: Final = re.compile(r"[a-z0-9._*?\[\]!-]{1,100}")


def is_glob(text: str) -> bool:
    """Tell whether ``text`` is a pattern of model names."""
    return _GLOB.fullmatch(text) is not None


def covers(delegation: Delegation, model: str, moment: datetime) -> bool:
    """Tell whether ``model`` may be approved at ``moment``."""
    day = stamp(moment)[:10]
    return fnmatchcase(model, delegation.models) and delegation.from_ <= day <= delegation.until


def granted_to(state: State, approver: Approver) -> list[Delegation]:
    """Return what was delegated to this entry of the roster: a delegate with a new key begins without delegations."""
    end = approver.revoked_seq or state.head_seq + 1
    return [
        one
        for one in state.delegations.values()
        if one.delegate == approver.email and approver.added_seq < one.seq <= end
    ]


def to_name(state: State, approver: Approver, model: str, moment: datetime) -> Delegation | None:
    """Return the delegation that an approval by ``approver`` rests on: the latest that covers it, else the latest."""
    if approver.role is not Role.DELEGATE:
        return None
    found = granted_to(state, approver)
    fit = [one for one in found if covers(one, model, moment)] or found
    return fit[-1] if fit else None


def named(state: State, approver: Approver, said: Any) -> Delegation | None:
    """Return the delegation of ``approver`` that a statement's ``delegation`` names; None: none, or one of nobody."""
    if type(said) is not dict or approver.role is not Role.DELEGATE:
        return None
    found = state.delegations.get(f"D{said.get('seq')}")
    return found if found is not None and found in granted_to(state, approver) else None


def suffices(state: State, approver: Approver, request: Request, said: Mapping[str, Any]) -> bool:
    """Tell whether the role of ``approver`` suffices for what was signed: a delegate's within what was delegated."""
    if approver.role is not Role.DELEGATE:
        return approver.role in state.policy.signers(Stage(request.to))
    found = named(state, approver, said.get("delegation"))
    try:
        return found is not None and covers(found, request.model, parse_time(str(said.get("issued_at"))))
    except BadTime:
        return False


def document(delegation: Delegation | None) -> dict[str, Json] | None:
    """Return how a statement names a delegation: by its event."""
    return {"seq": delegation.seq, "hash": delegation.hash} if delegation else None


def row(delegation: Delegation, approver: Approver | None, day: str) -> Mapping[str, Json]:
    """Return what `approver list` tells of a delegation."""
    ended = approver is None or approver.revoked_seq is not None
    return {
        "id": delegation.id,
        "models": delegation.models,
        "from": delegation.from_,
        "until": delegation.until,
        "reason": delegation.reason,
        "granted_by": delegation.by,
        "in_force": not ended and delegation.from_ <= day <= delegation.until,
    }
