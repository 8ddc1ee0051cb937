"""What people and pipelines sign: in-toto Statements (v1) as canonical JSON lines (design 3.5).

Rules held here: one function builds each statement from the state, and checking is building again and comparing, so
that a field can neither be forgotten nor be checked twice in two ways. The signature itself is verified by
:mod:`manual_registry.core.sshsig`.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from manual_registry.core import delegations, gate_exceptions
from manual_registry.core.canonical import dump, encode, parse, sha256_hex
from manual_registry.core.errors import BadTime, Json
from manual_registry.core.sshkeys import parse_public_key
from manual_registry.core.state import Approver, Delegation, Pipeline, Request, State, VersionState
from manual_registry.core.times import parse_time

STATEMENT: Final = "https://in-toto.io/Statement/v1"
APPROVAL: Final = "urn:manual-registry:stage-approval:1"
PROMOTION: Final = "urn:manual-registry:promotion:1"
CONTROL: Final = "urn:manual-registry:registry-control:1"

APPROVAL_NAMESPACE: Final = "stage-approval@manual-registry"
PROMOTION_NAMESPACE: Final = "ci-promote@manual-registry"
CONTROL_NAMESPACE: Final = "registry-control@manual-registry"


@dataclass(frozen=True, kw_only=True, slots=True)
class Position:
    """A place in the ledger: number and ``sha256:…`` of an event."""

    seq: int
    hash: str

    def document(self) -> dict[str, Json]:
        """Return ``{seq, hash}``."""
        return {"seq": self.seq, "hash": self.hash}


def fingerprint(key_line: str) -> str:
    """Return the ``SHA256:…`` fingerprint of a ``type base64`` line."""
    return parse_public_key(key_line).fingerprint


def statement_line(kind: str, subject: list[Json], predicate: dict[str, Json]) -> bytes:
    """Return the canonical line of a statement."""
    return dump({"_type": STATEMENT, "subject": subject, "predicateType": kind, "predicate": predicate})


def read_statement(text: str) -> dict[str, Any] | None:
    """Return the statement, or None when ``text`` is not the canonical line of one."""
    if not _is_statement(text):
        return None
    found = parse(text.encode("utf-8"))  # anew: the caller may do with it as it likes
    return found if isinstance(found, dict) else None


@functools.lru_cache(maxsize=4096)  # spelling it again takes ten times as long as reading it, and views do it often
def _is_statement(text: str) -> bool:
    try:
        raw = text.encode("utf-8")
        found = parse(raw)
        canonical = isinstance(found, dict) and dump(found) == raw
    except (ValueError, TypeError, RecursionError):
        return False
    return canonical and isinstance(found, dict) and isinstance(found.get("predicate"), dict)


def version_subject(record: VersionState) -> list[Json]:
    """Return the in-toto subject of a version: its name and both content hashes."""
    return [{"name": record.ref, "digest": {"sha256": record.sha256, "blake3": record.blake3}}]


def _gate_summary(gates: list[Mapping[str, Any]]) -> list[Json]:
    return [{"gate": gate["gate"], "sha256": gate["sha256"], "metrics": encode(gate["metrics"])} for gate in gates]


def replaces_now(state: State, request: Request) -> str | None:
    """Return the version that the step would take out of production (for a rollback: did)."""
    if request.ratifies is not None:
        return request.replaces
    production = state.production(request.model) if request.to == "production" else None
    return production.version if production else None


def approval_line(
    state: State,
    request: Request,
    approver: Approver,
    *,
    decision: str,
    comment: str | None,
    issued_at: str,
    position: Position,
    delegation: Delegation | None = None,
) -> bytes:
    """Build the statement that ``approver`` signs: all that they were shown.

    ``delegation`` is what a delegate's signature rests on.
    """
    record = state.versions[request.model, request.version]
    before = request.from_stage if request.ratifies is not None else record.stage
    predicate: dict[str, Json] = {
        "registry": {"id": state.registry_id},
        "approval_id": request.id,
        "decision": decision,
        "approver": approver.email,
        "key": fingerprint(approver.key),
        "role": approver.role.value,
        "delegation": delegations.document(delegation),
        "from": before,
        "to": request.to,
        "replaces": replaces_now(state, request),
        "composite_id": record.composite_id,
        "policy": state.policy.sha256,
        "gates": _gate_summary(record.gates),
        "card": record.card["sha256"] if record.card else None,
        "exceptions": _exceptions(record, issued_at),
        "comment": comment,
        "issued_at": issued_at,
        "ledger": position.document(),
    }
    return statement_line(APPROVAL, version_subject(record), predicate)


def _exceptions(record: VersionState, issued_at: str) -> list[Json]:
    try:
        return gate_exceptions.listed(record, parse_time(issued_at))
    except BadTime:  # a hand-made statement, which is refused for that
        return []


def promotion_line(
    state: State,
    record: VersionState,
    pipeline: Pipeline,
    *,
    to: str,
    approval: Mapping[str, Any] | None,
    run: str | None,
    issued_at: str,
) -> bytes:
    """Build the statement that a pipeline signs over exactly this promotion, bound to the event directly before."""
    production = state.production(record.model) if to == "production" else None
    code = record.value("code")
    predicate: dict[str, Json] = {
        "registry": {"id": state.registry_id},
        "pipeline": pipeline.name,
        "key": fingerprint(pipeline.key or ""),
        "from": record.stage,
        "to": to,
        "replaces": production.version if production else None,
        "approval": dict(approval) if approval else None,
        "policy": state.policy.sha256,
        "commit": code["commit"] if code else None,
        "run": run,
        "issued_at": issued_at,
        "ledger": Position(seq=state.head_seq, hash=state.head_hash or "").document(),
    }
    return statement_line(PROMOTION, version_subject(record), predicate)


def control_line(
    state: State,
    *,
    action: str,
    signer: str,
    key: str,
    role: str,
    details: Mapping[str, Json],
    issued_at: str,
    answers: tuple[str, int] | None = None,
) -> bytes:
    """Build the statement by which a lead changes roster, pipelines or policy, bound to the event directly before.

    That binding makes a copied statement worthless: an old policy cannot be put in force again with its old signature.
    ``answers`` is (id, event) of the request that the lead answers, to which the statement is bound instead: a request is
    answered once.
    """
    bound = answers[1] if answers else state.head_seq
    hash = state.hashes.get(bound, "") if answers else state.head_hash or ""
    genesis = state.hashes.get(1, "")
    predicate: dict[str, Json] = {
        "registry": {"id": state.registry_id},
        "control_id": answers[0] if answers else f"C{state.head_seq + 1}",
        "action": action,
        "signer": signer,
        "key": fingerprint(key),
        "role": role,
        "details": dict(details),
        "issued_at": issued_at,
        "ledger": Position(seq=bound, hash=hash).document(),
    }
    subject: list[Json] = [
        {"name": f"registry:{state.registry_id}", "digest": {"sha256": genesis.removeprefix("sha256:")}}
    ]
    return statement_line(CONTROL, subject, predicate)


def differing(found: Mapping[str, Any], expected: bytes) -> list[str]:
    """Name the members in which a statement differs from the expected line, ``predicate.`` left out.

    The bytes count: a member that is missing is not one that is null, and ``true`` is not 1.
    """
    if dump(dict(found)) == expected:
        return []
    want = parse(expected)
    if not isinstance(want, dict):
        return ["statement"]
    inner_found, inner_want = found["predicate"], want["predicate"]
    if not isinstance(inner_want, dict):
        return ["predicate"]
    outer = [name for name in _unequal(found, want) if name != "predicate"]
    return outer + _unequal(inner_found, inner_want)


def _unequal(found: Mapping[str, Any], want: Mapping[str, Any]) -> list[str]:
    both = found.keys() & want.keys()
    return sorted((found.keys() ^ want.keys()) | {name for name in both if dump(found[name]) != dump(want[name])})


def head_mark(state: State, found: Mapping[str, Any], wrong: Iterable[str]) -> dict[str, Json]:
    """Return the detail ``head`` when nothing is wrong but that the chain has not the event which the statement names.

    Then the statement is not at fault: what stands before it was written anew. One that names an older event of the
    chain is a replay, and gets no such mark.
    """
    named = found["predicate"].get("ledger")
    seq = named.get("seq") if type(named) is dict else None
    known = type(seq) is int and state.hashes.get(seq) == named.get("hash")
    return {} if known or not set(wrong) <= {"ledger", "control_id"} else {"head": state.head_seq}


def statement_sha256(text: str) -> str:
    """Return the hex SHA-256 of a statement line; promotions name approvals by it."""
    return sha256_hex(text.encode("utf-8"))
