"""Ledgers in memory for the tests of the core: real keys and signatures, no file, and a clock that the test moves."""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from provider import Provider

from manual_registry.core import controls, delegations, drills
from manual_registry.core import events as kinds
from manual_registry.core.canonical import sha256_hex
from manual_registry.core.controls import details as control_details
from manual_registry.core.decide import decide
from manual_registry.core.decide.places import next_bag
from manual_registry.core.decide.registration import identifier
from manual_registry.core.decide.remarks import replaced_deployments
from manual_registry.core.decide.stages import last_used
from manual_registry.core.errors import RegistryError
from manual_registry.core.folding import apply
from manual_registry.core.ledger import Draft, Event, seal
from manual_registry.core.metadata import CARD_FIELDS
from manual_registry.core.oidc import enrolment
from manual_registry.core.policy import default_document
from manual_registry.core.sshkeys import ED25519, PublicKey
from manual_registry.core.sshsig import armour, signed_blob
from manual_registry.core.sshwire import pack
from manual_registry.core.state import Request, State, VersionState
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
from manual_registry.core.values import Risk, Role, Stage

SME, SME2 = "sme@example.org", "sme2@example.org"
LEAD, LEAD2 = "lead@example.org", "lead2@example.org"
CI = "ci@example.org"
DELEGATE = "delegate@example.org"
MODEL = "churn"
START = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Key:
    """An Ed25519 key that follows from its owner's name."""

    private: Ed25519PrivateKey
    public: PublicKey

    @property
    def line(self) -> str:
        """The key as the ledger keeps it."""
        return self.public.line()

    def sign(self, message: bytes, namespace: str) -> str:
        """Return the armoured SSHSIG over ``message``."""
        made = self.private.sign(signed_blob(message, namespace=namespace))
        return armour(self.public, namespace=namespace, algorithm=ED25519, signature=made)


@functools.cache
def key(owner: str) -> Key:
    """Return the key of ``owner``."""
    private = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(owner.encode()).digest())
    blob = pack(ED25519.encode(), private.public_key().public_bytes_raw())
    return Key(private=private, public=PublicKey(type=ED25519, blob=blob))


def evidence(kind: str, name: str, content: str = "") -> dict[str, Any]:
    """Return an evidence file as an event names it."""
    digest = sha256_hex(f"{kind}/{name}/{content}".encode())
    return {"kind": kind, "path": f"evidence/{kind}/{name}", "sha256": digest, "blake3": digest[::-1], "size": 10}


def named(file: Mapping[str, Any]) -> dict[str, Any]:
    """Return how an event refers to an evidence file."""
    return {"path": file["path"], "sha256": file["sha256"]}


def gate(name: str, file: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    """Return a gate report that passes, as it stands in an event."""
    metric = {
        "name": f"{name}_score",
        "value": 0.9,
        "lower": 0.85,
        "upper": 0.95,
        "threshold": 0.8,
        "direction": "higher",
    }
    report = {
        "gate": name,
        "passed": True,
        "evaluation_dataset": "holdout",
        "evaluated_at": "2026-02-02",
        "metrics": [{**metric, **changes.pop("metric", {})}],
        **named(file),
    }
    return {**report, **changes}


def registration(model: str, version: str, **changes: Any) -> dict[str, Any]:
    """Return the data of a complete registration; ``None`` or another value for a member replaces it."""
    digest = sha256_hex(f"{model}@{version}".encode())
    files = {name: evidence(name, f"{name}.txt") for name in ("config", "prompt", "environment", "card", "gates")}
    data: dict[str, Any] = {
        "artefact": {"kind": "file", "name": "m.bin", "files": 1, "size": 3, "blake3": digest, "sha256": digest[::-1]},
        "training_data": [{"reference": "sha256:" + "ab" * 32, "hash": "ab" * 32, "detail": {}}],
        "code": {
            "commit": "c0de" * 10, "repository": None, "path": None, "dirty": False, "author": None, "checked": False,
        },
        "training_date": "2026-02-01",
        "pipeline_run": "run-1",
        "hyperparameters": {"depth": 3},
        "metrics": {"auc": 0.91},
        "subgroup_metrics": {"age": {"young": {"auc": 0.9}}},
        "evidence": list(files.values()),
        "gates": [gate(name, files["gates"]) for name in ("performance", "fairness", "security")],
        "card": {"fields": dict.fromkeys(CARD_FIELDS, "told"), **named(files["card"])},
        "config": named(files["config"]),
        "prompt": named(files["prompt"]),
        "environment": named(files["environment"]),
        "owner": "team",
        "origin": None,
        "description": "a model",
        "tags": {"team": "risk"},
        "ci": None,
    }  # fmt: skip
    data |= changes
    return {**data, "composite_id": identifier(model, version, data)} | {
        name: changes[name] for name in ("composite_id",) if name in changes
    }


@dataclass
class Chain:
    """A ledger in memory. ``add`` decides and applies; ``now`` moves a minute with each event."""

    risk: str = "high"
    leads: Sequence[str] = (LEAD, LEAD2)
    smes: Sequence[str] = ()
    pipelines: Sequence[str] = ("ci",)
    policy: Mapping[str, Any] | None = None
    placed: str | None = "2026-01-01"
    recovery: str | None = None
    now: datetime = START
    state: State = field(default_factory=State)
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Write the genesis and the roster."""
        data = {
            "system": "a system",
            "risk": self.risk,
            "placed_on_market": self.placed,
            "policy": dict(self.policy or default_document(Risk(self.risk))),
            "leads": [{"email": one, "name": f"Lead {one[:5]}", "key": key(one).line} for one in self.leads],
            "recovery_key": self.recovery,
            "continues": None,
            "nonce": "0" * 32,
            "tool": "manual-registry",
        }
        self.add(kinds.CREATED, {}, data, actor=LEAD)
        for name in self.pipelines if self.leads else ():
            self.pipeline_add(name)
        for address in self.smes:
            self.approver_add(address, Role.SME.value)

    # -- the four ways to write an event ------------------------------------------------------------------

    def seal(self, type: str, subject: Mapping[str, Any], data: Mapping[str, Any], *, actor: str = SME) -> Event:
        """Return the event as it would stand next."""
        draft = Draft(type=type, subject=subject, data=data)
        at = stamp(self.now)
        return seal(draft, seq=self.state.head_seq + 1, prev=self.state.head_hash, at=at, actor=actor)

    def reasons(
        self, type: str, subject: Mapping[str, Any], data: Mapping[str, Any], *, actor: str = SME
    ) -> list[RegistryError]:
        """Return the reasons against the event as the next one; nothing changes."""
        return decide(self.state, self.seal(type, subject, data, actor=actor))

    def force(self, type: str, subject: Mapping[str, Any], data: Mapping[str, Any], *, actor: str = SME) -> Event:
        """Apply the event without asking whether it may stand."""
        event = self.seal(type, subject, data, actor=actor)
        apply(self.state, event)
        self.events.append(event)
        self.now += MINUTE
        return event

    def add(self, type: str, subject: Mapping[str, Any], data: Mapping[str, Any], *, actor: str = SME) -> Event:
        """Apply a legal event; a refusal fails the test with its reasons."""
        reasons = self.reasons(type, subject, data, actor=actor)
        assert not reasons, [f"{reason.code} {reason.message}" for reason in reasons]
        return self.force(type, subject, data, actor=actor)

    # -- subjects and parts -------------------------------------------------------------------------------

    def of(self, version: str, model: str = MODEL) -> dict[str, str]:
        """Return the subject of a version."""
        return {"model": model, "version": version}

    def record(self, version: str, model: str = MODEL) -> VersionState:
        """Return a version's state."""
        return self.state.versions[model, version]

    def statement(self, request: Request, who: str, **changes: Any) -> str:
        """Return the statement that ``who`` signs now."""
        said: dict[str, Any] = {
            "decision": "approved",
            "comment": None,
            "issued_at": stamp(self.now),
            "position": Position(seq=self.state.head_seq, hash=self.state.head_hash or ""),
            "delegation": delegations.to_name(self.state, self.state.approvers[who], request.model, self.now),
        }
        return approval_line(self.state, request, self.state.approvers[who], **{**said, **changes}).decode()

    def signature(self, identifier: str, who: str = LEAD, **changes: Any) -> dict[str, Any]:
        """Return the data of a signing event."""
        line = self.statement(self.state.requests[identifier], who, **changes)
        return {"id": identifier, "statement": line, "signature": key(who).sign(line.encode(), APPROVAL_NAMESPACE)}

    def used(self, identifier: str | None) -> dict[str, Any] | None:
        """Return how a step names the approval that it uses."""
        if identifier is None:
            return None
        statement = self.state.requests[identifier].statement
        return {"id": identifier, "sha256": statement_sha256(statement) if statement else None}

    def promotion(
        self, version: str, to: str, approval: str | None, *, pipeline: str = "ci", model: str = MODEL, **changes: Any
    ) -> dict[str, Any]:
        """Return a pipeline's signature over a step."""
        line = promotion_line(
            self.state,
            self.record(version, model),
            self.state.pipelines[pipeline],
            to=to,
            approval=self.used(approval),
            **{"run": "42", "issued_at": stamp(self.now), **changes},
        )
        signed = key(pipeline).sign(line, PROMOTION_NAMESPACE)
        return {"pipeline": pipeline, "statement": line.decode(), "signature": signed}

    def step(
        self, version: str, to: str, approval: str | None = None, *, pipeline: str | None = "ci", model: str = MODEL
    ) -> dict[str, Any]:
        """Return the data of a promotion from where the version stands."""
        record, production = self.record(version, model), self.state.production(model)
        return {
            "from": record.stage,
            "to": to,
            "replaces": production.version if production and to == "production" else None,
            "reason": "decided",
            "approval": self.used(approval),
            "promotion": self.promotion(version, to, approval, pipeline=pipeline, model=model) if pipeline else None,
            "observed": record.blake3 if to != "experimental" else None,
        }

    def control(
        self,
        action: str,
        details: Mapping[str, Any],
        *,
        by: str = LEAD,
        key_line: str | None = None,
        owner: str | None = None,
        role: str | None = None,
        **changes: Any,
    ) -> dict[str, Any]:
        """Return a lead's signature over a change of roster, pipelines or policy; ``owner``: whose key signs."""
        approver = self.state.approvers.get(by)
        role = role or (approver.role.value if approver else Role.LEAD.value)
        line = control_line(
            self.state,
            action=action,
            signer=by,
            key=key_line or key(owner or by).line,
            role=role,
            details=details,
            **{"issued_at": stamp(self.now), **changes},
        )
        signed = {"signer": by, "statement": line.decode(), "signature": key(owner or by).sign(line, CONTROL_NAMESPACE)}
        return {**signed, "request": changes["answers"][0]} if changes.get("answers") else signed

    # -- the commands, short ------------------------------------------------------------------------------

    def register(self, version: str, model: str = MODEL, *, actor: str = SME, **changes: Any) -> VersionState:
        """Register a version."""
        self.add(kinds.REGISTERED, self.of(version, model), registration(model, version, **changes), actor=actor)
        return self.record(version, model)

    def attachment(self, **changes: Any) -> dict[str, Any]:
        """Return the data of an attachment."""
        return {"evidence": [], "gates": [], "card": None, "environment": None, "fields": {}, **changes}

    def attach(self, version: str, model: str = MODEL, **changes: Any) -> Event:
        """Attach something; by default one evidence file."""
        changes = changes or {"evidence": [evidence("other", f"report-{self.state.head_seq}.txt")]}
        return self.add(kinds.ATTACHED, self.of(version, model), self.attachment(**changes))

    def request(self, version: str, to: str, model: str = MODEL) -> str:
        """Ask for an approval; returns its id."""
        record, production = self.record(version, model), self.state.production(model)
        replaces = production.version if production and to == "production" else None
        data = {"kind": "stage", "from": record.stage, "to": to, "replaces": replaces}
        return f"A{self.add(kinds.REQUESTED, self.of(version, model), data).seq}"

    def sign(self, identifier: str, who: str = LEAD, **changes: Any) -> Event:
        """Sign an approval."""
        request = self.state.requests[identifier]
        data = self.signature(identifier, who, **changes)
        return self.add(kinds.SIGNED, self.of(request.version, request.model), data, actor=who)

    def approve(self, version: str, to: str, who: str = LEAD, model: str = MODEL) -> str:
        """Ask for and sign an approval; returns its id."""
        identifier = self.request(version, to, model)
        self.sign(identifier, who)
        return identifier

    def promote(
        self, version: str, to: str, approval: str | None = None, *, model: str = MODEL, pipeline: str | None = "ci"
    ) -> Event:
        """Promote; ``approval`` None: asked for and signed where the policy needs it."""
        if approval is None and self.state.policy.needs_approval(Stage(to), has_lead=self.state.has_lead):
            approval = self.approve(version, to, model=model)
        pipeline = pipeline if pipeline in self.state.pipelines else None
        data = self.step(version, to, approval, pipeline=pipeline, model=model)
        return self.add(kinds.PROMOTED, self.of(version, model), data, actor=CI)

    def to_staging(self, version: str, model: str = MODEL, **changes: Any) -> VersionState:
        """Register and take to staging."""
        self.register(version, model, **changes)
        self.promote(version, "staging", model=model)
        return self.record(version, model)

    def to_production(self, version: str, model: str = MODEL, **changes: Any) -> VersionState:
        """Register and take to production."""
        self.to_staging(version, model, **changes)
        self.promote(version, "production", model=model)
        return self.record(version, model)

    def archival(self, version: str, approval: str | None = None, model: str = MODEL) -> dict[str, Any]:
        """Return the data of an archiving."""
        return {
            "from": self.record(version, model).stage,
            "reason": "old",
            "approval": self.used(approval),
            "observed": None,
        }

    def archive(self, version: str, approval: str | None = None, model: str = MODEL) -> Event:
        """Archive."""
        return self.add(kinds.ARCHIVED, self.of(version, model), self.archival(version, approval, model))

    def move(self, version: str, model: str = MODEL) -> Event:
        """End the move into a bag."""
        data = {"bag": next_bag(self.record(version, model)), "manifest": "1" * 64, "payload": "2" * 64}
        return self.add(kinds.MOVED, self.of(version, model), data)

    def unarchive(self, version: str, model: str = MODEL) -> Event:
        """Take out of the archive."""
        data = {"reason": "needed", "restored": self.record(version, model).bag is not None}
        return self.add(kinds.UNARCHIVED, self.of(version, model), data)

    def rollback(self, version: str, *, pipeline: str | None = "ci", model: str = MODEL) -> dict[str, Any]:
        """Return the data of a rollback."""
        record, production = self.record(version, model), self.state.production(model)
        rests = last_used(self.state, record)
        identifier = rests.id if rests else None
        signed = pipeline if pipeline in self.state.pipelines else None
        return {
            "replaces": production.version if production else None,
            "reason": "worse",
            "approval": self.used(identifier),
            "promotion": self.promotion(version, "production", identifier, pipeline=signed, model=model)
            if signed
            else None,
            "observed": record.blake3,
            "restored": record.bag is not None,
        }

    def roll_back(self, version: str, model: str = MODEL) -> str:
        """Roll back; returns the id of the approval that ratifies it."""
        data = self.rollback(version, model=model)
        return f"A{self.add(kinds.ROLLED_BACK, self.of(version, model), data, actor=CI).seq}"

    def deployment(self, version: str, environment: str = "test", model: str = MODEL) -> dict[str, Any]:
        """Return the data of a deployment."""
        replaces = replaced_deployments(self.state, self.record(version, model), environment)
        return {"environment": environment, "at": stamp(self.now), "path": None, "replaces": replaces}

    def deploy(self, version: str, environment: str = "test", model: str = MODEL) -> Event:
        """Deploy."""
        return self.add(kinds.DEPLOYED, self.of(version, model), self.deployment(version, environment, model))

    def end(self, version: str, environment: str = "test", model: str = MODEL) -> Event:
        """End a deployment."""
        data = {"environment": environment, "at": stamp(self.now)}
        return self.add(kinds.DEPLOYMENT_ENDED, self.of(version, model), data)

    def alias(self, name: str, version: str, model: str = MODEL) -> Event:
        """Set an alias."""
        return self.add(kinds.ALIAS_SET, self.of(version, model), {"alias": name})

    def enrolment(self, address: str, role: str = "ai-governance-lead", *, by: str = LEAD) -> dict[str, Any]:
        """Return the data of an enrolment."""
        data = {"name": f"Name of {address[:4]}", "role": role, "key": key(address).line}
        signed = self.control("approver.add", control_details({"approver": address}, data), by=by)
        return {**data, "control": signed}

    def anchor(self, **changes: Any) -> dict[str, Any]:
        """Return the data of a time-stamp over the head; the token is none of an authority's."""
        token = b"token" + bytes.fromhex((self.state.head_hash or "").removeprefix("sha256:"))
        data = {
            "seq": self.state.head_seq,
            "hash": self.state.head_hash,
            "time": stamp(self.now),
            "authority": "CN=Time",
            "token": base64.b64encode(token).decode(),
        }
        return {**data, **changes}

    def approver_add(self, address: str, role: str = "ai-governance-lead", *, by: str = LEAD) -> Event:
        """Enrol an approver."""
        return self.add(kinds.APPROVER_ADDED, {"approver": address}, self.enrolment(address, role, by=by), actor=by)

    def approver_revoke(self, address: str, *, by: str = LEAD, **changes: Any) -> Event:
        """Revoke an approver."""
        data: dict[str, Any] = {"reason": "left", "compromised_since": None, **changes}
        data["control"] = self.control("approver.revoke", control_details({"approver": address}, data), by=by)
        return self.add(kinds.APPROVER_REVOKED, {"approver": address}, data, actor=by)

    def pipeline_add(self, name: str, *, by: str = LEAD) -> Event:
        """Enrol a pipeline."""
        details = {"pipeline": name, "key": key(name).line, "oidc": None}
        data = {"key": key(name).line, "oidc": None, "control": self.control("pipeline.add", details, by=by)}
        return self.add(kinds.PIPELINE_ADDED, {"pipeline": name}, data, actor=by)

    def provider(self) -> Provider:
        """Return the CI system whose tokens are for this registry."""
        return Provider(audience=f"manual-registry:{self.state.registry_id}")

    def token_pipeline_data(self, name: str, *, by: str = LEAD, **changes: Any) -> dict[str, Any]:
        """Return the data by which a pipeline is enrolled that CI jobs' identity tokens make known."""
        provider = self.provider()
        oidc = {**enrolment(provider.enrolment(), provider.key_set())[0], **changes}
        details = {"pipeline": name, "key": None, "oidc": oidc}
        return {"key": None, "oidc": oidc, "control": self.control("pipeline.add", details, by=by)}

    def token_pipeline_add(self, name: str, *, by: str = LEAD) -> Event:
        """Enrol a pipeline that is known by identity tokens."""
        data = self.token_pipeline_data(name, by=by)
        return self.add(kinds.PIPELINE_ADDED, {"pipeline": name}, data, actor=by)

    def with_token(
        self, version: str, to: str, approval: str | None, *, pipeline: str, **changes: Any
    ) -> dict[str, Any]:
        """Return the data of a promotion by a CI job with an identity token."""
        promotion = {"pipeline": pipeline, "token": self.provider().token(self.now, **changes)}
        return {**self.step(version, to, approval, pipeline=None), "promotion": promotion}

    def pipeline_revoke(self, name: str, *, by: str = LEAD) -> Event:
        """Revoke a pipeline."""
        details = {"pipeline": name, "reason": "leaked"}
        data = {"reason": "leaked", "control": self.control("pipeline.revoke", details, by=by)}
        return self.add(kinds.PIPELINE_REVOKED, {"pipeline": name}, data, actor=by)

    def policy_data(self, *, by: str = LEAD, **changes: Any) -> dict[str, Any]:
        """Return the data of a policy that comes into force."""
        data = {
            "system": self.state.system,
            "risk": self.state.risk.value,
            "placed_on_market": self.state.placed_on_market,
            "policy": dict(self.state.policy.document),
            **changes,
        }
        return {**data, "control": self.control("policy.sign", control_details({}, data), by=by)}

    def policy_sign(self, **changes: Any) -> Event:
        """Put a policy in force."""
        return self.add(kinds.POLICY_SIGNED, {}, self.policy_data(**changes), actor=LEAD)

    def delegation(self, address: str, *, by: str = LEAD, **changes: Any) -> dict[str, Any]:
        """Return the data of a delegation: of every model, this month."""
        data = {"models": "*", "from": "2026-03-01", "until": "2026-03-31", "reason": "on leave", **changes}
        details = control_details({"approver": address}, data)
        return {**data, "control": self.control("approver.delegate", details, by=by)}

    def delegate(self, address: str = DELEGATE, **changes: Any) -> str:
        """Enrol a delegate, if need be, and delegate; returns the delegation's id."""
        if address not in self.state.approvers:
            self.approver_add(address, Role.DELEGATE.value)
        data = self.delegation(address, **changes)
        return f"D{self.add(kinds.DELEGATED, {'approver': address}, data, actor=LEAD).seq}"

    def register_failed(self, version: str, gate_name: str = "fairness", model: str = MODEL) -> VersionState:
        """Register a version whose report of one gate says that it failed."""
        file = evidence("gates", "gates.txt")
        bad = {"lower": 0.5, "value": 0.55, "upper": 0.6}
        gates = [
            gate(name, file, **({"passed": False, "metric": bad} if name == gate_name else {}))
            for name in ("performance", "fairness", "security")
        ]
        return self.register(version, model, gates=gates)

    def exception(
        self, version: str, gate_name: str = "fairness", *, by: str = LEAD, model: str = MODEL, **changes: Any
    ) -> dict[str, Any]:
        """Return the data of an exception for the latest report of a gate."""
        latest = {one["gate"]: one for one in self.record(version, model).gates}
        data = {
            "gate": gate_name,
            "report": latest[gate_name]["sha256"],
            "severity": "medium",
            "justification": "the old one is worse",
            "controls": "each decision is seen by a person",
            "expires": "2026-03-20",
            "remediation": "more data of the young",
            "remediation_date": "2026-03-15",
            "root_cause": "few young people in the data",
            **changes,
        }
        return {
            **data,
            "control": self.control("exception.grant", control_details(self.of(version, model), data), by=by),
        }

    def let_through(self, version: str, gate_name: str = "fairness", *, model: str = MODEL, **changes: Any) -> str:
        """Grant an exception; returns its id."""
        data = self.exception(version, gate_name, model=model, **changes)
        return f"E{self.add(kinds.EXCEPTION_GRANTED, self.of(version, model), data, actor=LEAD).seq}"

    def closing(self, *, by: str = LEAD, **changes: Any) -> dict[str, Any]:
        """Return the data of the register's end."""
        data = {"successor": "https://mlflow.example.org", "reason": "moved to MLflow", **changes}
        return {**data, "control": self.control("registry.close", data, by=by)}

    def close(self, **changes: Any) -> Event:
        """Close the register."""
        return self.add(kinds.CLOSED, {}, self.closing(**changes), actor=LEAD)

    def drill(self, sample: int | None = None, *, bad: Sequence[str] = (), **changes: Any) -> dict[str, Any]:
        """Return the data of a retrieval drill, chosen on the head; ``bad`` versions could not be had back."""
        through, seed = self.state.head_seq, self.state.head_hash or ""
        there = drills.archived(self.state)
        outcomes = []
        for record in drills.chosen(self.state, through=through, seed=seed, sample=sample):
            wrong = record.version in bad
            problem = {"code": "MR-A002", "location": drills.place(record), "message": "changed"}
            outcome: dict[str, Any] = {"model": record.model, "version": record.version}
            outcome |= {"place": drills.place(record), "outcome": "failed" if wrong else "retrieved"}
            outcome |= {"blake3": None if wrong else record.blake3, "files": 9, "bytes": 3000, "milliseconds": 12}
            outcomes.append({**outcome, "problems": [problem] if wrong else [], "count": int(wrong)})
        good = all(one["outcome"] == "retrieved" for one in outcomes)
        data = {"through": through, "seed": seed, "sample": sample, "archived": len(there), "ok": good}
        return {**data, "versions": outcomes, **changes}

    def drilled(self, sample: int | None = None, **changes: Any) -> Event:
        """Record a retrieval drill."""
        return self.add(kinds.DRILLED, {}, self.drill(sample, **changes))

    def ask(self, action: str, subject: Mapping[str, Any], data: Mapping[str, Any]) -> str:
        """Ask a lead for a change; returns the request's id."""
        body = {"action": action, "subject": dict(subject), "data": dict(data)}
        return f"A{self.add(kinds.CONTROL_REQUESTED, {}, body).seq}"

    def answer(self, identifier: str, *, by: str = LEAD, **changes: Any) -> dict[str, Any]:
        """Return a lead's signature in answer to a request or baseline."""
        asked = controls.find(self.state, identifier)
        assert asked is not None
        details = controls.details_of(self.state, asked)
        answers = (asked.id, asked.seq)
        return self.control(controls.action_of(asked), details, by=by, answers=answers, **changes)
