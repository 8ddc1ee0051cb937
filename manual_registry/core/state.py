"""State: a pure fold over events.

``fold(events)`` gives the :class:`State`; :meth:`State.apply` takes one event more. Whether an event was allowed is not
asked here (:mod:`manual_registry.core.decide` does, before writing and again in `verify`): applying an event that was
illegal never raises, so that `verify` can go on and tell everything.

Projection law (tests/core/test_state.py): folding only the control events and those that touch one version gives that
version the same record as folding all of them. The index rests on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from manual_registry.core import events as kinds
from manual_registry.core.errors import BadConfig, EventUnreadable
from manual_registry.core.ledger import Event
from manual_registry.core.policy import Policy, policy_from
from manual_registry.core.values import Risk, Role, Stage


@dataclass(kw_only=True, slots=True)
class Step:
    """One stay in a stage: entered by event ``seq`` at ``at``."""

    stage: str
    seq: int
    at: str
    actor: str
    reason: str | None = None
    approval: str | None = None
    pipeline: str | None = None


@dataclass(kw_only=True, slots=True)
class Deployment:
    """A stay in an environment; ``ended_at`` None: open."""

    environment: str
    at: str
    path: str | None
    seq: int
    ended_at: str | None = None


@dataclass(kw_only=True, slots=True)
class Request:
    """An approval request and what came of it.

    ``status``: requested, signed, rejected, used, lapsed or withdrawn; "expired" depends on the clock and is told by
    :func:`manual_registry.core.approvals.status`. ``ratifies`` is the rollback event that opened it; ``filled`` what a
    lead wrote into the workbook, which takes effect only when it is signed.
    """

    id: str
    kind: str
    model: str
    version: str
    from_stage: str
    to: str
    replaces: str | None
    seq: int
    at: str
    actor: str
    status: str = "requested"
    issued: list[str] = field(default_factory=list)
    statement: str | None = None
    signature: str | None = None
    signed_seq: int | None = None
    used_seq: int | None = None
    ratifies: int | None = None
    filled: Mapping[str, Any] | None = None


@dataclass(kw_only=True, slots=True)
class VersionState:
    """Everything the ledger says of one version. ``data`` is the data of its registration."""

    model: str
    version: str
    seq: int
    registered_at: str
    actor: str
    data: Mapping[str, Any]
    stage: str = Stage.EXPERIMENTAL.value
    fields: dict[str, Any] = field(default_factory=dict)
    evidence: list[Mapping[str, Any]] = field(default_factory=list)
    gates: list[Mapping[str, Any]] = field(default_factory=list)
    card: Mapping[str, Any] | None = None
    environment: Mapping[str, Any] | None = None
    tags: dict[str, str] = field(default_factory=dict)
    notes: list[dict[str, Any]] = field(default_factory=list)
    notes_text: str | None = None
    owner: str | None = None
    steps: list[Step] = field(default_factory=list)
    deployments: list[Deployment] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    event_seqs: list[int] = field(default_factory=list)
    bag: str | None = None
    bags: list[dict[str, Any]] = field(default_factory=list)
    staging_approved: bool = False
    was_production: bool = False
    archived_seq: int | None = None
    attached_seq: int = 0

    @property
    def ref(self) -> str:
        """``model@version``."""
        return f"{self.model}@{self.version}"

    @property
    def blake3(self) -> str:
        """Hex BLAKE3 content hash of the artefact."""
        return str(self.data["artefact"]["blake3"])

    @property
    def sha256(self) -> str:
        """Hex SHA-256 content hash of the artefact."""
        return str(self.data["artefact"]["sha256"])

    @property
    def composite_id(self) -> str:
        """The composite version identifier, fixed at registration."""
        return str(self.data["composite_id"])

    @property
    def move_pending(self) -> bool:
        """True when the version is archived and its files have not been moved into a bag yet."""
        return self.stage == Stage.ARCHIVED.value and self.bag is None

    @property
    def registrants(self) -> frozenset[str]:
        """Who registered it: the actor, the person who started the CI job, the commit's author (where recorded)."""
        ci, code = self.data.get("ci") or {}, self.data.get("code") or {}
        found = (self.actor, ci.get("started_by"), code.get("author"))
        return frozenset(str(one).lower() for one in found if one)

    def value(self, name: str) -> Any:
        """Return a field of the registration, or what `attach` filled in later."""
        found = self.data.get(name)
        return self.fields.get(name) if found in (None, [], {}) else found

    def open_deployments(self, environment: str | None = None) -> list[Deployment]:
        """Return deployments that have not ended (in ``environment``)."""
        return [one for one in self.deployments if one.ended_at is None and environment in (None, one.environment)]


@dataclass(kw_only=True, slots=True)
class ModelState:
    """A model: versions in order of registration, aliases, the one production version."""

    name: str
    versions: list[str] = field(default_factory=list)
    by_lower: dict[str, str] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    production: str | None = None


@dataclass(kw_only=True, slots=True)
class Approver:
    """A person of the roster; ``revoked_seq`` None: active. ``key`` is ``type base64``."""

    email: str
    name: str
    role: Role
    key: str
    added_seq: int
    added_at: str
    added_by: str
    revoked_seq: int | None = None
    revoked_at: str | None = None
    reason: str | None = None


@dataclass(kw_only=True, slots=True)
class Pipeline:
    """A pipeline with a key of its own."""

    name: str
    key: str
    added_seq: int
    added_at: str
    added_by: str
    revoked_seq: int | None = None
    revoked_at: str | None = None
    reason: str | None = None


@dataclass(kw_only=True, slots=True)
class Baseline:
    """What was adopted in one go; ``signed_seq`` None: no lead has confirmed yet what the old sheet stated."""

    id: str
    source: str
    sha256: str
    versions: list[Mapping[str, Any]]
    seq: int
    at: str
    actor: str
    signed_seq: int | None = None
    signed_at: str | None = None
    signer: str | None = None


class State:
    """The fold. Read its attributes; only :meth:`apply` changes them."""

    def __init__(self) -> None:
        """Start before the first event."""
        self.registry_id = ""
        self.system = ""
        self.risk = Risk.HIGH
        self.placed_on_market: str | None = None
        self.policy: Policy = policy_from({}, Risk.HIGH)
        self.policy_seq = 0
        self.policy_at = ""
        self.policy_by: str | None = None
        self.created_at = ""
        self.head: Event | None = None
        self.head_seq = 0
        self.head_hash: str | None = None
        self.head_at = ""
        self.hashes: dict[int, str] = {}
        self.times: dict[int, str] = {}
        self.models: dict[str, ModelState] = {}
        self.versions: dict[tuple[str, str], VersionState] = {}
        self.requests: dict[str, Request] = {}
        self.baselines: dict[str, Baseline] = {}
        self.approvers: dict[str, Approver] = {}
        self.pipelines: dict[str, Pipeline] = {}
        #: base64 of every key ever enrolled -> ("approver" | "pipeline", whose)
        self.keys: dict[str, tuple[str, str]] = {}
        self.last_verified: str | None = None
        #: The SHA-256 of the workbook in which cells were put back last.
        self.last_restored: str | None = None

    # -- questions ----------------------------------------------------------------------------------------

    def version(self, model: str, version: str) -> VersionState | None:
        """Return a version by its exact name."""
        return self.versions.get((model, version))

    def production(self, model: str) -> VersionState | None:
        """Return the one production version of ``model``."""
        found = self.models.get(model)
        return self.versions.get((model, found.production)) if found and found.production else None

    def active_leads(self) -> list[Approver]:
        """Return the leads who may sign now."""
        return [one for one in self.approvers.values() if one.role is Role.LEAD and one.revoked_seq is None]

    @property
    def has_lead(self) -> bool:
        """True when a lead is active."""
        return bool(self.active_leads())

    # -- the fold -----------------------------------------------------------------------------------------

    def apply(self, event: Event) -> None:
        """Take one event more.

        Raises :class:`FormatTooNew` for what this tool does not know, :class:`EventUnreadable` for malformed data.
        """
        kinds.check_known(event)
        self.head = event
        self.head_seq = event.seq
        self.head_hash = event.hash
        self.head_at = event.at
        self.hashes[event.seq], self.times[event.seq] = event.hash, event.at
        try:
            _APPLY[event.type](self, event)
        except (KeyError, TypeError, AttributeError, ValueError, OverflowError, BadConfig) as problem:
            raise EventUnreadable(
                f"event {event.seq} ({event.type}) does not hold together: {problem}",
                location=f"ledger/{event.seq:012d}.json",
            ) from None

    def pass_over(self, event: Event) -> None:
        """Count an event without its effect: `verify` does so with a revocation that no lead signed."""
        self.head, self.head_seq, self.head_hash, self.head_at = event, event.seq, event.hash, event.at
        self.hashes[event.seq], self.times[event.seq] = event.hash, event.at

    def _touch(self, event: Event, version: str | None = None) -> VersionState | None:
        found = self.versions.get((event.subject.get("model", ""), version or event.subject.get("version", "")))
        if found is not None:
            found.event_seqs.append(event.seq)
        return found

    def _created(self, event: Event) -> None:
        data = event.data
        self.registry_id = event.hash.removeprefix("sha256:")[:32]
        self.created_at = event.at
        self._in_force(event)
        for lead in data["leads"]:
            self._enrol(event, str(lead["email"]), str(lead["name"]), Role.LEAD, str(lead["key"]), by=event.actor)

    def _in_force(self, event: Event) -> None:
        self.system = event.data["system"]
        self.risk = Risk(event.data["risk"])
        self.placed_on_market = event.data["placed_on_market"]
        self.policy = policy_from(event.data["policy"], self.risk)
        self.policy_seq, self.policy_at = event.seq, event.at

    def _policy_signed(self, event: Event) -> None:
        self._in_force(event)
        self.policy_by = str(event.data["control"]["signer"])

    def _enrol(self, event: Event, email: str, name: str, role: Role, key: str, *, by: str) -> None:
        self.approvers[email] = Approver(
            email=email, name=name, role=role, key=key, added_seq=event.seq, added_at=event.at, added_by=by
        )
        self.keys.setdefault(key, ("approver", email))

    def _approver_added(self, event: Event) -> None:
        data = event.data
        by = str(data["control"]["signer"])
        self._enrol(event, event.subject["approver"], data["name"], Role(data["role"]), data["key"], by=by)

    def _approver_revoked(self, event: Event) -> None:
        found = self.approvers.get(event.subject["approver"])
        if found is not None:
            found.revoked_seq, found.revoked_at, found.reason = event.seq, event.at, event.data["reason"]

    def _pipeline_added(self, event: Event) -> None:
        name, key = event.subject["pipeline"], event.data["key"]
        by = str(event.data["control"]["signer"])
        self.pipelines[name] = Pipeline(name=name, key=key, added_seq=event.seq, added_at=event.at, added_by=by)
        self.keys.setdefault(key, ("pipeline", name))

    def _pipeline_revoked(self, event: Event) -> None:
        found = self.pipelines.get(event.subject["pipeline"])
        if found is not None:
            found.revoked_seq, found.revoked_at, found.reason = event.seq, event.at, event.data["reason"]

    def _registered(self, event: Event) -> None:
        model, version, data = event.subject["model"], event.subject["version"], event.data
        baseline = data.get("baseline")
        stage = baseline["stage"] if baseline else Stage.EXPERIMENTAL.value
        record = VersionState(
            model=model,
            version=version,
            seq=event.seq,
            registered_at=event.at,
            actor=event.actor,
            data=data,
            evidence=list(data["evidence"]),
            gates=list(data["gates"]),
            card=data["card"],
            environment=data["environment"],
            tags=dict(data["tags"]),
            owner=data["owner"],
            stage=stage,
            steps=[Step(stage=stage, seq=event.seq, at=event.at, actor=event.actor)],
            event_seqs=[event.seq],
        )
        if (model, version) in self.versions:
            return  # a doubled registration is a finding; the first one stands
        self.versions[model, version] = record
        found = self.models.get(model)
        if found is None:
            found = self.models[model] = ModelState(name=model)
        found.versions.append(version)
        found.by_lower.setdefault(version.lower(), version)
        if stage == Stage.PRODUCTION.value:
            found.production = version
        elif stage == Stage.ARCHIVED.value:
            record.archived_seq = event.seq

    def _baseline_opened(self, event: Event) -> None:
        data = event.data
        name = f"A{event.seq}"
        self.baselines[name] = Baseline(
            id=name,
            source=data["source"],
            sha256=data["sha256"],
            versions=list(data["versions"]),
            seq=event.seq,
            at=event.at,
            actor=event.actor,
        )

    def _baseline_signed(self, event: Event) -> None:
        found = self.baselines.get(event.data["id"])
        if found is not None:
            found.signed_seq, found.signed_at = event.seq, event.at
            found.signer = str(event.data["control"]["signer"])

    def _attached(self, event: Event) -> None:
        record = self._touch(event)
        if record is None:
            return
        data = event.data
        record.evidence.extend(data["evidence"])
        record.gates.extend(data["gates"])
        record.card = data["card"] or record.card
        record.environment = data["environment"] or record.environment
        record.fields.update(data["fields"])
        record.owner = record.owner or data["fields"].get("owner")
        record.attached_seq = event.seq
        self._lapse(record)

    def _lapse(self, record: VersionState) -> None:
        for request in map(self.requests.__getitem__, record.requests):
            if request.status in ("requested", "signed") and request.ratifies is None:
                request.status = "lapsed"

    def _enter(self, record: VersionState, event: Event, stage: str, *, approval: str | None = None) -> None:
        record.stage = stage
        promotion = event.data.get("promotion")
        record.steps.append(
            Step(
                stage=stage,
                seq=event.seq,
                at=event.at,
                actor=event.actor,
                reason=event.data.get("reason"),
                approval=approval,
                pipeline=promotion.get("pipeline") if promotion else None,
            )
        )
        model = self.models[record.model]
        if stage == Stage.PRODUCTION.value:
            model.production, record.was_production = record.version, True
        elif model.production == record.version:
            model.production = None
        if stage == Stage.ARCHIVED.value:
            record.archived_seq, record.bag = event.seq, None
        self._lapse(record)

    def _use(self, approval: Mapping[str, Any] | None, seq: int) -> str | None:
        if approval is None:
            return None
        request = self.requests.get(approval["id"])
        if request is not None:
            request.status, request.used_seq = "used", seq
        return str(approval["id"])

    def _replace(self, event: Event) -> None:
        replaced = event.data["replaces"]
        if replaced is not None:
            record = self._touch(event, replaced)
            if record is not None:
                self._enter(record, event, Stage.ARCHIVED.value)

    def _promoted(self, event: Event) -> None:
        self._replace(event)
        record = self._touch(event)
        if record is None:
            return
        used = self._use(event.data["approval"], event.seq)
        self._enter(record, event, event.data["to"], approval=used)
        record.staging_approved = {
            Stage.STAGING.value: True,
            Stage.EXPERIMENTAL.value: False,
        }.get(record.stage, record.staging_approved)

    def _rolled_back(self, event: Event) -> None:
        self._replace(event)
        record = self._touch(event)
        if record is None:
            return
        rests = event.data["approval"]
        self._enter(record, event, Stage.PRODUCTION.value, approval=rests["id"] if rests else None)
        record.bag = None
        if rests:  # a rollback that needed no approval needs no lead to ratify it
            self._open(
                event, record, kind="stage", before=Stage.ARCHIVED.value, to=Stage.PRODUCTION.value, ratifies=event.seq
            )

    def _archived(self, event: Event) -> None:
        record = self._touch(event)
        if record is not None:
            used = self._use(event.data["approval"], event.seq)
            self._enter(record, event, Stage.ARCHIVED.value, approval=used)

    def _moved(self, event: Event) -> None:
        record = self._touch(event)
        if record is not None:
            record.bag = event.data["bag"]
            record.bags.append({**event.data, "seq": event.seq, "at": event.at})

    def _unarchived(self, event: Event) -> None:
        record = self._touch(event)
        if record is not None:
            self._enter(record, event, Stage.STAGING.value)
            record.bag, record.staging_approved = None, False

    def _deployed(self, event: Event) -> None:
        data = event.data
        for replaced in data["replaces"]:
            other = self.versions.get((event.subject["model"], replaced))
            if other is not None:
                if replaced != event.subject["version"]:
                    other.event_seqs.append(event.seq)
                self._end(other, data["environment"], data["at"])
        record = self._touch(event)
        if record is not None:
            record.deployments.append(
                Deployment(environment=data["environment"], at=data["at"], path=data["path"], seq=event.seq)
            )

    def _deployment_ended(self, event: Event) -> None:
        record = self._touch(event)
        if record is not None:
            self._end(record, event.data["environment"], event.data["at"])

    @staticmethod
    def _end(record: VersionState, environment: str, at: str) -> None:
        for one in record.open_deployments(environment):
            one.ended_at = at

    def _alias_set(self, event: Event) -> None:
        self._touch(event)
        model = self.models.get(event.subject["model"])
        if model is not None:
            model.aliases[event.data["alias"]] = event.subject["version"]

    def _alias_removed(self, event: Event) -> None:
        model = self.models.get(event.subject["model"])
        if model is not None:
            model.aliases.pop(event.data["alias"], None)

    def _tagged(self, event: Event) -> None:
        record = self._touch(event)
        if record is not None:
            record.tags.update(event.data["tags"])

    def _noted(self, event: Event) -> None:
        record = self._touch(event)
        if record is not None:
            record.notes.append({"at": event.at, "actor": event.actor, "text": event.data["text"]})
            line = f"{event.at[:10]} {event.actor}: {event.data['text']}"
            record.notes_text = f"{record.notes_text}\n{line}" if record.notes_text else line

    def _edited(self, event: Event) -> None:
        record = self._touch(event)
        if record is None:
            return
        value = event.data["value"]
        if event.data["field"] == "owner":
            record.owner = value
        else:
            record.notes_text = value
            record.notes.append({"at": event.at, "actor": event.actor, "text": value or "", "edited": True})

    def _open(
        self, event: Event, record: VersionState, *, kind: str, before: str, to: str, ratifies: int | None = None
    ) -> None:
        request = Request(
            id=f"A{event.seq}",
            kind=kind,
            model=record.model,
            version=record.version,
            from_stage=before,
            to=to,
            replaces=event.data["replaces"],
            seq=event.seq,
            at=event.at,
            actor=event.actor,
            ratifies=ratifies,
        )
        self.requests[request.id] = request
        record.requests.append(request.id)

    def _requested(self, event: Event) -> None:
        record = self._touch(event)
        if record is not None:
            data = event.data
            self._open(event, record, kind=data["kind"], before=data["from"], to=data["to"])

    def _issued(self, event: Event) -> None:
        self._touch(event)
        request = self.requests.get(event.data["id"])
        if request is not None:
            request.issued.append(event.data["statement"])

    def _signed(self, event: Event) -> None:
        self._touch(event)
        request = self.requests.get(event.data["id"])
        if request is None:
            return
        request.statement, request.signature = event.data["statement"], event.data["signature"]
        request.signed_seq = event.seq
        if '"decision":"rejected"' in request.statement:
            request.status = "rejected"
        elif request.ratifies is not None:
            request.status, request.used_seq = "used", request.ratifies
        else:
            request.status = "signed"

    def _filled(self, event: Event) -> None:
        self._touch(event)
        request = self.requests.get(event.data["id"])
        if request is not None:
            request.filled = {name: event.data[name] for name in ("decision", "approver", "date", "comment")}

    def _withdrawn(self, event: Event) -> None:
        self._touch(event)
        request = self.requests.get(event.data["id"])
        if request is not None:
            request.status = "withdrawn"

    def _recorded(self, event: Event) -> None:
        self.last_verified = event.at

    def _restored(self, event: Event) -> None:
        self.last_restored = event.data["workbook"]


_APPLY: dict[str, Callable[[State, Event], None]] = {
    kinds.CREATED: State._created,
    kinds.REGISTERED: State._registered,
    kinds.ADOPTED: State._registered,
    kinds.BASELINE_OPENED: State._baseline_opened,
    kinds.BASELINE_SIGNED: State._baseline_signed,
    kinds.ATTACHED: State._attached,
    kinds.PROMOTED: State._promoted,
    kinds.ROLLED_BACK: State._rolled_back,
    kinds.ARCHIVED: State._archived,
    kinds.MOVED: State._moved,
    kinds.UNARCHIVED: State._unarchived,
    kinds.DEPLOYED: State._deployed,
    kinds.DEPLOYMENT_ENDED: State._deployment_ended,
    kinds.ALIAS_SET: State._alias_set,
    kinds.ALIAS_REMOVED: State._alias_removed,
    kinds.TAGGED: State._tagged,
    kinds.NOTED: State._noted,
    kinds.EDITED: State._edited,
    kinds.FILLED: State._filled,
    kinds.REQUESTED: State._requested,
    kinds.ISSUED: State._issued,
    kinds.SIGNED: State._signed,
    kinds.WITHDRAWN: State._withdrawn,
    kinds.APPROVER_ADDED: State._approver_added,
    kinds.APPROVER_REVOKED: State._approver_revoked,
    kinds.PIPELINE_ADDED: State._pipeline_added,
    kinds.PIPELINE_REVOKED: State._pipeline_revoked,
    kinds.POLICY_SIGNED: State._policy_signed,
    kinds.VERIFIED: State._recorded,
    kinds.RESTORED: State._restored,
}


def fold(events: Iterable[Event]) -> State:
    """Return the state after ``events``, in order."""
    state = State()
    for event in events:
        state.apply(event)
    return state
