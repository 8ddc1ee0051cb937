"""Somebody with write access to the folder: edits events, forges them, chains anew, signs with whatever keys they have.

A :class:`Scene` is a registry that was copied from a finished world, with the means to falsify it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from world import CARD, LEAD, LEAD2, SME, World, gate

from manual_registry.adapters.keys import load_public, signer_for
from manual_registry.core.canonical import dump, parse
from manual_registry.core.decide.stages import last_used
from manual_registry.core.folding import fold
from manual_registry.core.ledger import Event, file_name, hash_of, parse_event
from manual_registry.core.results import Finding, Severity, Verification
from manual_registry.core.state import Approver, Pipeline, Request, State
from manual_registry.core.statements import (
    APPROVAL_NAMESPACE,
    CONTROL_NAMESPACE,
    PROMOTION_NAMESPACE,
    Position,
    approval_line,
    control_line,
    promotion_line,
    statement_sha256,
)
from manual_registry.core.times import stamp
from manual_registry.registry import Registry

START = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)
REVIEWER = "reviewer@example.org"  # a technical SME in the roster
FORMER = "former@example.org"  # a lead who was revoked
AUTHOR = "author@example.org"  # a lead who registered a version
MALLORY = "mallory@example.org"  # nobody
CI = "ci@example.org"


def build(place: Path, *, start: datetime = START) -> World:
    """Make the world of these tests.

    ``churn@1`` was in production and is replaced, ``churn@2`` is in production and deployed, ``churn@3`` is in staging
    with a signed, unused approval to production, ``churn@4`` (registered by a lead) is in staging, ``churn@5`` is
    experimental, ``churn@6`` lies in its bag; ``other@1`` is in staging with an approval to production. Everybody and
    everything of this module's names is enrolled.
    """
    world = World(place, now=start, leads=(LEAD, LEAD2, FORMER, AUTHOR), pipelines=("ci", "ci2"))
    _tick(world)
    for name in (REVIEWER, MALLORY, "stranger", "spare"):
        _key(world, name)
    lead = world.as_(LEAD)
    lead.approver_add(
        f"Rita Reviewer <{REVIEWER}>",
        role="technical-sme",
        public_key=world.public(REVIEWER),
        as_=LEAD,
        key=world.key(LEAD),
    )
    _tick(world)
    world.to_production("1")
    _tick(world)
    world.to_production("2")
    world.as_(CI).deploy("churn@2", environment="production")
    world.register("6")
    world.as_().archive("churn@6", reason="a failed try")
    _tick(world)
    world.to_staging("3")
    world.approve("churn@3", "production")
    world.register("5")
    world.as_(AUTHOR).register("churn", "4", world.artefact("4"), metadata=world.metadata())
    world.approve("churn@4", "staging")
    world.promote("churn@4", "staging")
    world.model = "other"
    world.to_staging("1")
    world.approve("other@1", "production")
    world.model = "churn"
    _tick(world)
    lead.approver_revoke(FORMER, reason="left", as_=LEAD, key=world.key(LEAD))
    world.as_().note("churn@2", "seen by audit")
    _tick(world)
    return world


def _tick(world: World) -> None:
    world.later(minutes=3)


def _key(world: World, name: str) -> None:
    from manual_registry.adapters.keys import generate_ed25519

    if not world.key(name).exists():
        generate_ed25519(world.key(name), name)


@dataclass
class Scene:
    """A copy of a world's registry in a place of its own; ``now`` is the clock of all who open it."""

    world: World
    root: Path
    now: datetime = field(default=START)

    @classmethod
    def copy(cls, world: World, place: Path) -> Scene:
        """Copy the registry of ``world`` below ``place``."""
        shutil.copytree(world.root, place / "registry")
        return cls(world=world, root=place / "registry", now=world.clock())

    # -- looking ------------------------------------------------------------------------------------------

    def as_(self, actor: str = SME) -> Registry:
        """Open the copy as ``actor``."""
        return Registry.open(self.root, actor=actor, clock=lambda: self.now)

    def later(self, **parts: float) -> None:
        """Move the clock."""
        self.now += timedelta(**parts)

    def verify(self, **options: Any) -> Verification:
        """Run `verify` in process."""
        return self.as_().verify(**options)

    def errors(self, **options: Any) -> list[tuple[str, str]]:
        """Return (code, location) of every error that `verify` finds, in order."""
        return told(self.verify(**options))

    def path(self, seq: int) -> Path:
        """Return an event's file."""
        return self.root / "ledger" / file_name(seq)

    @property
    def head(self) -> int:
        """The number of the last event file."""
        return len(list((self.root / "ledger").glob("????????????.json")))

    def document(self, seq: int) -> dict[str, Any]:
        """Return an event as plain JSON."""
        found: dict[str, Any] = json.loads(self.path(seq).read_bytes())
        return found

    def documents(self) -> Iterator[dict[str, Any]]:
        """Yield every event as plain JSON."""
        for seq in range(1, self.head + 1):
            yield self.document(seq)

    def seqs(self, type_: str, **subject: str) -> list[int]:
        """Return the numbers of all events of a type (and subject)."""
        return [
            one["seq"] for one in self.documents() if one["type"] == type_ and subject.items() <= one["subject"].items()
        ]

    def seq(self, type_: str, **subject: str) -> int:
        """Return the number of the first event of a type (and subject)."""
        return self.seqs(type_, **subject)[0]

    def events(self, until: int | None = None) -> list[Event]:
        """Return the events, up to ``until``."""
        last = self.head if until is None else until
        return [parse_event(self.path(seq).read_bytes(), location=file_name(seq)) for seq in range(1, last + 1)]

    def state(self, until: int | None = None) -> State:
        """Fold the ledger, up to ``until``."""
        return fold(self.events(until))

    # -- falsifying ---------------------------------------------------------------------------------------

    def put(self, path: Path, data: bytes) -> None:
        """Replace a file, whatever its permissions."""
        if path.exists():
            path.unlink()
        path.write_bytes(data)

    def write(self, seq: int, document: Mapping[str, Any]) -> None:
        """Write an event in canonical form, whatever it says."""
        self.put(self.path(seq), dump(dict(document)))

    def edit(self, seq: int, **data: Any) -> None:
        """Change members of an event's data."""
        document = self.document(seq)
        document["data"] |= data
        self.write(seq, document)

    def rechain(self, first: int = 1) -> None:
        """Give every event from ``first`` on its right number and the hash of the one before."""
        for seq in range(first, self.head + 1):
            prev = hash_of(self.path(seq - 1).read_bytes()) if seq > 1 else None
            self.write(seq, {**self.document(seq), "seq": seq, "prev": prev})

    def insert(self, seq: int, document: Mapping[str, Any]) -> None:
        """Put an event in place ``seq``; all later files move on by one, unchanged."""
        for number in range(self.head, seq - 1, -1):
            self.path(number).rename(self.path(number + 1))
        self.write(seq, document)

    def cut(self, last: int) -> None:
        """Remove every event after ``last``."""
        for seq in range(self.head, last, -1):
            self.path(seq).unlink()

    def forge(
        self,
        type_: str,
        subject: Mapping[str, Any],
        data: Mapping[str, Any],
        *,
        actor: str = SME,
        at: str | None = None,
    ) -> int:
        """Append an event that fits the chain, decided by nobody; return its number."""
        seq = self.head + 1
        document = {
            "format": 1,
            "seq": seq,
            "prev": hash_of(self.path(seq - 1).read_bytes()),
            "at": stamp(self.now) if at is None else at,
            "actor": actor,
            "type": type_,
            "subject": dict(subject),
            "data": dict(data),
        }
        self.write(seq, document)
        return seq

    # -- signing ------------------------------------------------------------------------------------------

    def sign(self, who: str, line: bytes, namespace: str) -> str:
        """Sign with the key of ``who`` (of this world, stranger or not)."""
        signer = signer_for(self.world.key(who), load_public(self.world.public(who)), terminal=False)
        return signer.sign(line, namespace=namespace)

    def key_line(self, who: str) -> str:
        """Return the public key of ``who`` as the ledger spells it."""
        return load_public(self.world.public(who)).line()

    def control(
        self, action: str, signer: str, details: Mapping[str, Any], *, key: str | None = None, **changes: Any
    ) -> dict[str, Any]:
        """Make a control signature in the name of ``signer`` with the key of ``key``."""
        state = self.state()
        known = state.approvers.get(signer)
        role = known.role.value if known else "ai-governance-lead"
        line = control_line(
            state,
            action=action,
            signer=signer,
            key=known.key if known else self.key_line(signer),
            role=role,
            details=details,
            issued_at=stamp(self.now),
        )
        line = altered(line, **changes)
        return {
            "signer": signer,
            "statement": line.decode(),
            "signature": self.sign(key or signer, line, CONTROL_NAMESPACE),
        }

    def statement(
        self,
        request_id: str,
        who: str,
        *,
        role: str | None = None,
        issued: datetime | None = None,
        decision: str = "approved",
        **changes: Any,
    ) -> bytes:
        """Make the statement of an approval as the tool would; ``changes`` alter its predicate."""
        state = self.state()
        request = state.requests[request_id]
        known = state.approvers.get(who)
        approver = known or Approver(
            email=who,
            name=who,
            role=next(iter(state.policy.signers(_stage(request)))),
            key=self.key_line(who),
            added_seq=1,
            added_at="",
            added_by="",
        )
        line = approval_line(
            state,
            request,
            approver,
            decision=decision,
            comment=None,
            issued_at=stamp(issued or self.now),
            position=Position(seq=state.head_seq, hash=state.head_hash or ""),
        )
        return altered(line, **({"role": role} if role else {}), **changes)

    def signed(
        self,
        request_id: str,
        who: str,
        *,
        key: str | None = None,
        line: bytes | None = None,
        at: str | None = None,
        **options: Any,
    ) -> int:
        """Forge the event by which ``who`` signed an approval."""
        text = line or self.statement(request_id, who, **options)
        request = self.state().requests[request_id]
        data = {
            "id": request_id,
            "statement": text.decode(),
            "signature": self.sign(key or who, text, APPROVAL_NAMESPACE),
        }
        return self.forge(
            "approval.signed", {"model": request.model, "version": request.version}, data, actor=who, at=at
        )

    def requested(self, version: str, to: str, *, model: str = "churn") -> str:
        """Ask for an approval, by hand; return its id."""
        state = self.state()
        record = state.versions[model, version]
        production = state.production(model) if to == "production" else None
        data = {"kind": "stage", "from": record.stage, "to": to, "replaces": production.version if production else None}
        return f"A{self.forge('approval.requested', {'model': model, 'version': version}, data)}"

    def used(self, request_id: str) -> dict[str, Any]:
        """Return what a step says of the approval that it uses."""
        statement = self.state().requests[request_id].statement
        return {"id": request_id, "sha256": statement_sha256(statement) if statement else None}

    def promoted(
        self,
        version: str,
        to: str,
        *,
        approval: Mapping[str, Any] | None,
        key: str | None = "ci",
        pipeline: str = "ci",
        model: str = "churn",
        issued: datetime | None = None,
        at: str | None = None,
        data: Mapping[str, Any] | None = None,
        **changes: Any,
    ) -> int:
        """Forge a promotion, with a pipeline's signature by the key ``key`` (None: without one)."""
        state = self.state()
        record = state.versions[model, version]
        production = state.production(model) if to == "production" else None
        promotion = None
        if key is not None:
            enrolled = state.pipelines.get(pipeline) or Pipeline(
                name=pipeline, key=self.key_line(key), added_seq=1, added_at="", added_by=""
            )
            line = promotion_line(
                state, record, enrolled, to=to, approval=approval, run=None, issued_at=stamp(issued or self.now)
            )
            line = altered(line, **changes)
            promotion = {
                "pipeline": pipeline,
                "statement": line.decode(),
                "signature": self.sign(key, line, PROMOTION_NAMESPACE),
            }
        body = {
            "from": record.stage,
            "to": to,
            "replaces": production.version if production else None,
            "reason": "forged",
            "approval": dict(approval) if approval else None,
            "promotion": promotion,
            "observed": record.blake3,
        }
        return self.forge(
            "version.promoted", {"model": model, "version": version}, {**body, **(data or {})}, actor=CI, at=at
        )

    def rolled_back(
        self, version: str, *, key: str | None = "ci", data: Mapping[str, Any] | None = None, at: str | None = None
    ) -> int:
        """Forge a rollback to ``version`` that rests on its last used approval."""
        state = self.state()
        record = state.versions["churn", version]
        production = state.production("churn")
        rests = last_used(state, record)
        used = {"id": rests.id, "sha256": statement_sha256(rests.statement)} if rests and rests.statement else None
        promotion = None
        if key is not None:
            line = promotion_line(
                state,
                record,
                state.pipelines["ci"],
                to="production",
                approval=used,
                run=None,
                issued_at=stamp(self.now),
            )
            promotion = {
                "pipeline": "ci",
                "statement": line.decode(),
                "signature": self.sign(key, line, PROMOTION_NAMESPACE),
            }
        body = {
            "replaces": production.version if production else None,
            "reason": "forged",
            "approval": used,
            "promotion": promotion,
            "observed": record.blake3,
            "restored": record.bag is not None,
        }
        return self.forge(
            "version.rolled-back", {"model": "churn", "version": version}, {**body, **(data or {})}, actor=CI, at=at
        )


def _stage(request: Request) -> Any:
    from manual_registry.core.values import Stage

    return Stage(request.to)


def altered(line: bytes, **changes: Any) -> bytes:
    """Change members of a statement's predicate; ``_outer`` holds changes of the statement itself."""
    outer = changes.pop("_outer", {})
    if not changes and not outer:
        return line
    found = parse(line)
    assert isinstance(found, dict) and isinstance(found["predicate"], dict)
    predicate = {**found["predicate"], **changes}
    return dump(
        {**found, **outer, "predicate": {name: value for name, value in predicate.items() if value is not DROP}}
    )


#: A change that takes the member away.
DROP: Any = object()


def told(outcome: Verification) -> list[tuple[str, str]]:
    """Return (code, location) of the errors among the findings."""
    return [(one.code, one.location) for one in outcome.findings if one.severity is Severity.ERROR]


def notices(outcome: Verification) -> list[tuple[str, str]]:
    """Return (code, location) of the warnings among the findings."""
    return [(one.code, one.location) for one in outcome.findings if one.severity is Severity.WARNING]


def snapshot(root: Path) -> dict[str, bytes]:
    """Return every file below ``root``, to see that nothing changed."""
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def finding_of(outcome: Verification, code: str) -> Finding:
    """Return the one finding with ``code``."""
    found = [one for one in outcome.findings if one.code == code]
    assert len(found) == 1, outcome.findings
    return found[0]


__all__ = [
    "AUTHOR",
    "CARD",
    "CI",
    "DROP",
    "FORMER",
    "LEAD",
    "LEAD2",
    "MALLORY",
    "REVIEWER",
    "SME",
    "START",
    "Scene",
    "altered",
    "build",
    "finding_of",
    "gate",
    "notices",
    "snapshot",
    "told",
]
