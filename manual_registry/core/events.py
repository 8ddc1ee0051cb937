"""The event types and the shape of their data (docs/events.md tells them in words).

A type, or a member of its data, that is not listed here was written by a newer tool: it is refused as such
(:class:`FormatTooNew`), never skipped.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from manual_registry.core.errors import EventUnreadable, FormatTooNew
from manual_registry.core.ledger import Event
from manual_registry.core.shapes import check_inside
from manual_registry.core.values import Role

CREATED: Final = "registry.created"
REGISTERED: Final = "version.registered"
ADOPTED: Final = "version.adopted"
TAKEN_IN: Final = "version.taken-in"
ATTACHED: Final = "version.attached"
PROMOTED: Final = "version.promoted"
ROLLED_BACK: Final = "version.rolled-back"
ARCHIVED: Final = "version.archived"
MOVED: Final = "version.moved"
UNARCHIVED: Final = "version.unarchived"
DEPLOYED: Final = "deployment.started"
DEPLOYMENT_ENDED: Final = "deployment.ended"
ALIAS_SET: Final = "alias.set"
ALIAS_REMOVED: Final = "alias.removed"
TAGGED: Final = "version.tagged"
NOTED: Final = "version.noted"
EDITED: Final = "version.edited"
REQUESTED: Final = "approval.requested"
FILLED: Final = "approval.filled"
ISSUED: Final = "approval.issued"
SIGNED: Final = "approval.signed"
WITHDRAWN: Final = "approval.withdrawn"
APPROVER_ADDED: Final = "roster.added"
APPROVER_REVOKED: Final = "roster.revoked"
PIPELINE_ADDED: Final = "pipeline.added"
PIPELINE_REVOKED: Final = "pipeline.revoked"
POLICY_SIGNED: Final = "policy.signed"
DELEGATED: Final = "roster.delegated"
RECOVERED: Final = "roster.recovered"
EXCEPTION_GRANTED: Final = "exception.granted"
CONTROL_REQUESTED: Final = "control.requested"
CONTROL_ISSUED: Final = "control.issued"
CONTROL_REJECTED: Final = "control.rejected"
CONTROL_WITHDRAWN: Final = "control.withdrawn"
VERIFIED: Final = "verification.recorded"
RESTORED: Final = "workbook.restored"
EXPORTED: Final = "export.recorded"
DRILLED: Final = "retrieval.drilled"
ANCHORED: Final = "ledger.anchored"
CLOSED: Final = "registry.closed"
BASELINE_OPENED: Final = "baseline.opened"
BASELINE_SIGNED: Final = "baseline.signed"

_TEXT = (str,)
_TEXT_OR_NONE = (str, type(None))
_MAP = (dict,)
_MAP_OR_NONE = (dict, type(None))
_LIST = (list,)
_BOOL = (bool,)
_COUNT = (int,)
_COUNT_OR_NONE = (int, type(None))

Shape = Mapping[str, tuple[type, ...]]

_SIGNATURE: Shape = {"statement": _TEXT, "signature": _TEXT}
_CONTROL: Shape = {"control": _MAP}

_REGISTRATION: Shape = {
    "artefact": _MAP,
    "training_data": _LIST,
    "code": _MAP_OR_NONE,
    "training_date": _TEXT_OR_NONE,
    "pipeline_run": _TEXT_OR_NONE,
    "hyperparameters": _MAP_OR_NONE,
    "metrics": _MAP_OR_NONE,
    "subgroup_metrics": _MAP_OR_NONE,
    "evidence": _LIST,
    "gates": _LIST,
    "card": _MAP_OR_NONE,
    "config": _MAP_OR_NONE,
    "prompt": _MAP_OR_NONE,
    "environment": _MAP_OR_NONE,
    "owner": _TEXT_OR_NONE,
    "origin": _TEXT_OR_NONE,
    "description": _TEXT_OR_NONE,
    "tags": _MAP,
    "ci": _MAP_OR_NONE,
    "composite_id": _TEXT,
}

#: type -> (members of subject, members of data)
SHAPES: Final[Mapping[str, tuple[Shape, Shape]]] = {
    CREATED: (
        {},
        {
            "system": _TEXT,
            "risk": _TEXT,
            "placed_on_market": _TEXT_OR_NONE,
            "policy": _MAP,
            "leads": _LIST,
            "recovery_key": _TEXT_OR_NONE,
            "continues": _MAP_OR_NONE,
            "nonce": _TEXT,
            "tool": _TEXT,
        },
    ),
    REGISTERED: ({"model": _TEXT, "version": _TEXT}, _REGISTRATION),
    ADOPTED: ({"model": _TEXT, "version": _TEXT}, {**_REGISTRATION, "baseline": _MAP}),
    TAKEN_IN: ({"model": _TEXT, "version": _TEXT}, {"location": _TEXT, "observed": _TEXT}),
    BASELINE_OPENED: ({}, {"source": _TEXT, "sha256": _TEXT, "versions": _LIST}),
    BASELINE_SIGNED: ({}, {"id": _TEXT, **_CONTROL}),
    ATTACHED: (
        {"model": _TEXT, "version": _TEXT},
        {"evidence": _LIST, "gates": _LIST, "card": _MAP_OR_NONE, "environment": _MAP_OR_NONE, "fields": _MAP},
    ),
    PROMOTED: (
        {"model": _TEXT, "version": _TEXT},
        {
            "from": _TEXT,
            "to": _TEXT,
            "replaces": _TEXT_OR_NONE,
            "reason": _TEXT_OR_NONE,
            "approval": _MAP_OR_NONE,
            "promotion": _MAP_OR_NONE,
            "observed": _TEXT_OR_NONE,
        },
    ),
    ROLLED_BACK: (
        {"model": _TEXT, "version": _TEXT},
        {
            "replaces": _TEXT_OR_NONE,
            "reason": _TEXT,
            "approval": _MAP_OR_NONE,
            "promotion": _MAP_OR_NONE,
            "observed": _TEXT_OR_NONE,
            "restored": _BOOL,
        },
    ),
    ARCHIVED: (
        {"model": _TEXT, "version": _TEXT},
        {"from": _TEXT, "reason": _TEXT, "approval": _MAP_OR_NONE, "observed": _TEXT_OR_NONE},
    ),
    MOVED: ({"model": _TEXT, "version": _TEXT}, {"bag": _TEXT, "manifest": _TEXT, "payload": _TEXT}),
    UNARCHIVED: ({"model": _TEXT, "version": _TEXT}, {"reason": _TEXT, "restored": _BOOL}),
    DEPLOYED: (
        {"model": _TEXT, "version": _TEXT},
        {"environment": _TEXT, "at": _TEXT, "path": _TEXT_OR_NONE, "replaces": _LIST},
    ),
    DEPLOYMENT_ENDED: ({"model": _TEXT, "version": _TEXT}, {"environment": _TEXT, "at": _TEXT}),
    ALIAS_SET: ({"model": _TEXT, "version": _TEXT}, {"alias": _TEXT}),
    ALIAS_REMOVED: ({"model": _TEXT}, {"alias": _TEXT}),
    TAGGED: ({"model": _TEXT, "version": _TEXT}, {"tags": _MAP}),
    NOTED: ({"model": _TEXT, "version": _TEXT}, {"text": _TEXT}),
    EDITED: ({"model": _TEXT, "version": _TEXT}, {"field": _TEXT, "value": _TEXT_OR_NONE, "was": _TEXT_OR_NONE}),
    FILLED: (
        {"model": _TEXT, "version": _TEXT},
        {"id": _TEXT, "decision": _TEXT, "approver": _TEXT, "date": _TEXT, "comment": _TEXT_OR_NONE},
    ),
    REQUESTED: (
        {"model": _TEXT, "version": _TEXT},
        {"kind": _TEXT, "from": _TEXT, "to": _TEXT, "replaces": _TEXT_OR_NONE},
    ),
    ISSUED: ({"model": _TEXT, "version": _TEXT}, {"id": _TEXT, "statement": _TEXT}),
    SIGNED: ({"model": _TEXT, "version": _TEXT}, {"id": _TEXT, **_SIGNATURE}),
    WITHDRAWN: ({"model": _TEXT, "version": _TEXT}, {"id": _TEXT}),
    APPROVER_ADDED: ({"approver": _TEXT}, {"name": _TEXT, "role": _TEXT, "key": _TEXT, **_CONTROL}),
    APPROVER_REVOKED: ({"approver": _TEXT}, {"reason": _TEXT, "compromised_since": _TEXT_OR_NONE, **_CONTROL}),
    DELEGATED: ({"approver": _TEXT}, {"models": _TEXT, "from": _TEXT, "until": _TEXT, "reason": _TEXT, **_CONTROL}),
    RECOVERED: ({"approver": _TEXT}, {"name": _TEXT, "key": _TEXT, **_CONTROL}),
    PIPELINE_ADDED: ({"pipeline": _TEXT}, {"key": _TEXT_OR_NONE, "oidc": _MAP_OR_NONE, **_CONTROL}),
    PIPELINE_REVOKED: ({"pipeline": _TEXT}, {"reason": _TEXT, **_CONTROL}),
    POLICY_SIGNED: (
        {},
        {"system": _TEXT, "risk": _TEXT, "placed_on_market": _TEXT_OR_NONE, "policy": _MAP, **_CONTROL},
    ),
    CLOSED: ({}, {"successor": _TEXT, "reason": _TEXT, **_CONTROL}),
    EXCEPTION_GRANTED: (
        {"model": _TEXT, "version": _TEXT},
        {
            "gate": _TEXT,
            "report": _TEXT,
            "severity": _TEXT,
            "justification": _TEXT,
            "controls": _TEXT,
            "expires": _TEXT,
            "remediation": _TEXT,
            "remediation_date": _TEXT,
            "root_cause": _TEXT_OR_NONE,
            **_CONTROL,
        },
    ),
    CONTROL_REQUESTED: ({}, {"action": _TEXT, "subject": _MAP, "data": _MAP}),
    CONTROL_ISSUED: ({}, {"id": _TEXT, "statement": _TEXT}),
    CONTROL_REJECTED: ({}, {"id": _TEXT, "comment": _TEXT, **_CONTROL}),
    CONTROL_WITHDRAWN: ({}, {"id": _TEXT}),
    VERIFIED: ({}, {"ok": _BOOL, "checked": _MAP, "findings": _LIST, "scope": _LIST}),
    RESTORED: ({}, {"workbook": _TEXT, "cells": _LIST, "count": _COUNT}),
    EXPORTED: (
        {},
        {
            "target": _TEXT,
            "uri": _TEXT,
            "server": _TEXT,
            "action": _TEXT,
            "through": _COUNT,
            "models": _LIST,
            "checked": _COUNT,
            "versions": _LIST,
            "mismatches": _LIST,
            "count": _COUNT,
        },
    ),
    DRILLED: (
        {},
        {
            "through": _COUNT,
            "seed": _TEXT,
            "sample": _COUNT_OR_NONE,
            "archived": _COUNT,
            "ok": _BOOL,
            "versions": _LIST,
        },
    ),
    ANCHORED: ({}, {"seq": _COUNT, "hash": _TEXT, "time": _TEXT, "authority": _TEXT, "token": _TEXT}),
}

#: Members of data that may be left out.
OPTIONAL: Final[Mapping[str, Shape]] = {APPROVER_REVOKED: {"key": _TEXT}, EXPORTED: {"marks": _LIST}}

EVENT_TYPES: Final = tuple(SHAPES)

#: Events that change what is allowed, and the requests that a signature may answer; always part of a partial fold.
CONTROL_TYPES: Final = frozenset(
    {
        CREATED,
        APPROVER_ADDED,
        APPROVER_REVOKED,
        DELEGATED,
        RECOVERED,
        PIPELINE_ADDED,
        PIPELINE_REVOKED,
        POLICY_SIGNED,
        CLOSED,
        BASELINE_SIGNED,
        CONTROL_REQUESTED,
        CONTROL_REJECTED,
        CONTROL_WITHDRAWN,
    }
)
#: Where a newer tool may say more than this one knows.
_EXTENSIBLE: Final = CONTROL_TYPES | {REQUESTED, PROMOTED, ROLLED_BACK, EXCEPTION_GRANTED}
#: Events that a wrong clock must not date back (clause RP-19).
GOVERNED_TYPES: Final = CONTROL_TYPES | {
    PROMOTED,
    ROLLED_BACK,
    ARCHIVED,
    UNARCHIVED,
    ISSUED,
    SIGNED,
    REQUESTED,
    EXCEPTION_GRANTED,
    CONTROL_ISSUED,
}

#: Steps that rest on what the ledger says of the version so far: all of that is decided again first.
RESTING_TYPES: Final = frozenset({PROMOTED, ROLLED_BACK, ARCHIVED, SIGNED})

_MEMBERS: Final = {
    name: (subject.keys(), data.keys() | OPTIONAL.get(name, {}).keys()) for name, (subject, data) in SHAPES.items()
}

_KNOWN_ROLES: Final = frozenset(role.value for role in Role)
_CONTROL_MEMBERS: Final = frozenset({"signer", "statement", "signature", "request"})
#: A pipeline's signature, or a CI job's identity token.
_IDENTITIES: Final = (frozenset({"pipeline", "statement", "signature"}), frozenset({"pipeline", "token"}))


def _newer(event: Event) -> str | None:
    """Name what a newer tool put into members that this one has (another identity, role, kind of approval)."""
    data, kind = event.data, event.type
    if kind == REQUESTED and type(data.get("kind")) is str and data["kind"] != "stage":
        return f"an approval of kind {data['kind']}"
    if kind == APPROVER_ADDED and type(data.get("role")) is str and data["role"] not in _KNOWN_ROLES:
        return f"the role {data['role']}"
    for name, forms in (("promotion", _IDENTITIES), ("control", (_CONTROL_MEMBERS,))):
        found = data.get(name)
        if type(found) is dict and not any(found.keys() <= known for known in forms):
            return f"an identity ({', '.join(sorted(found.keys()))})"
    return None


def check_known(event: Event) -> None:
    """Raise :class:`FormatTooNew` for a type or member that this tool does not know. Cheap; every fold calls it."""
    known = _MEMBERS.get(event.type)
    what: str | None = None
    if known is None:
        what = f"type {event.type}"
    elif not (event.subject.keys() <= known[0] and event.data.keys() <= known[1]):
        what = f"members of {event.type}"
    elif event.type in _EXTENSIBLE:
        what = _newer(event)
    if what is not None:
        raise FormatTooNew(
            f"event {event.seq} has {what} that this tool does not know; it was written by a newer one",
            location=f"ledger/{event.seq:012d}.json",
            hint="pip install -U manual-registry",
        )


def check_shape(event: Event) -> None:
    """Raise :class:`EventUnreadable` unless every member is there with its kind of value (and nothing newer)."""
    check_known(event)
    for part, found, shape in zip(("subject", "data"), (event.subject, event.data), SHAPES[event.type], strict=True):
        for member, kinds in shape.items():
            if member not in found or type(found[member]) not in kinds:
                raise EventUnreadable(
                    f"event {event.seq} ({event.type}): {part}.{member} is missing or of the wrong kind",
                    location=f"ledger/{event.seq:012d}.json",
                )
    for member, kinds in OPTIONAL.get(event.type, {}).items():
        if member in event.data and type(event.data[member]) not in kinds:
            raise EventUnreadable(
                f"event {event.seq} ({event.type}): data.{member} is of the wrong kind",
                location=f"ledger/{event.seq:012d}.json",
            )
    try:
        check_inside(event.type, event.data)
    except (EventUnreadable, FormatTooNew) as problem:
        place = f"ledger/{event.seq:012d}.json"
        told = f"event {event.seq} ({event.type}): {problem.message}"
        raise type(problem)(told, location=place, hint=problem.hint) from None
