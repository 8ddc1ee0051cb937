"""Records of the state: a version, its approvals and exceptions, approvers, delegations, pipelines, requests to leads.

Plain data; :mod:`manual_registry.core.folding` fills them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from manual_registry.core.values import Role, Stage


def _plain(address: str) -> str:
    name, _, place = address.lower().partition("@")
    return f"{name.partition('+')[0]}@{place}"


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


@dataclass(frozen=True, kw_only=True, slots=True)
class TimeAnchor:
    """A time-stamp token over the file of event ``seq``: it existed at ``time`` (as the token says, UTC).

    ``token`` is the authority's whole answer (RFC 3161), base64; `verify` judges it again.
    """

    seq: int
    hash: str
    time: str
    authority: str
    token: str
    event: int
    at: str


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
class GateException:
    """One failed gate of one version, let through by a lead until the day ``expires`` (UTC, that day included).

    ``report`` is the SHA-256 of the file of the report that failed: a later report of that gate is not let through.
    ``root_cause`` is given where the gate is one of fairness. The signature stands in ``control``.
    """

    id: str
    model: str
    version: str
    gate: str
    report: str
    severity: str
    justification: str
    controls: str
    expires: str
    remediation: str
    remediation_date: str
    root_cause: str | None
    seq: int
    hash: str
    at: str
    by: str
    control: Mapping[str, Any]


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
    #: The event that brought each of the gates, in the same order.
    gate_seqs: list[int] = field(default_factory=list)
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
    #: Where the files lie, from the root, when they were adopted in place and not taken in yet.
    location: str | None = None
    #: The baseline that a lead confirmed and that names this version as it was adopted.
    confirmed: str | None = None
    exceptions: list[GateException] = field(default_factory=list)

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
        ci, code = self.data.get("ci") or {}, self.value("code") or {}
        found = (self.actor, ci.get("started_by"), code.get("author"))
        return frozenset(str(one).lower() for one in found if one)

    @property
    def adopted(self) -> Mapping[str, Any] | None:
        """What an adopted sheet stated of it; None for a version that was registered."""
        found: Mapping[str, Any] | None = self.data.get("baseline")
        return found

    @property
    def stated_only(self) -> bool:
        """True while its stage is what an adopted sheet stated and no lead has confirmed that."""
        return self.adopted is not None and self.confirmed is None and len(self.steps) == 1

    @property
    def training_data(self) -> list[Mapping[str, Any]]:
        """The references to its training data, as registered or, of a baseline entry, filled in later."""
        found = self.value("training_data")
        return list(found) if isinstance(found, list) else []

    def registered_by(self, address: str) -> bool:
        """Tell whether ``address`` is a registrant's; what stands after a plus sign does not make another person."""
        return _plain(address) in {_plain(one) for one in self.registrants}

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
    #: Since when somebody else may have had the key, as the revocation says it.
    compromised_since: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Delegation:
    """What a delegate may approve as a lead would: models by a pattern, from the one day to the other (UTC, both in)."""

    id: str
    delegate: str
    models: str
    from_: str
    until: str
    reason: str
    seq: int
    hash: str
    at: str
    by: str


@dataclass(kw_only=True, slots=True)
class ControlRequest:
    """A change of roster, pipelines, policy or exceptions that waits for a lead.

    ``subject`` and ``data`` are those of the event that the signature makes of it. ``status``: requested, used, rejected,
    withdrawn, or lapsed (a policy, when another one came into force; most, when the register was closed).
    """

    id: str
    action: str
    subject: Mapping[str, str]
    data: Mapping[str, Any]
    seq: int
    at: str
    actor: str
    status: str = "requested"
    issued: list[str] = field(default_factory=list)
    signed_seq: int | None = None
    signer: str | None = None
    comment: str | None = None


@dataclass(kw_only=True, slots=True)
class Pipeline:
    """A pipeline: with a ``key`` of its own, or known by identity tokens as ``oidc`` pins them (the other is None)."""

    name: str
    key: str | None
    added_seq: int
    added_at: str
    added_by: str
    revoked_seq: int | None = None
    revoked_at: str | None = None
    reason: str | None = None
    oidc: Mapping[str, Any] | None = None


@dataclass(kw_only=True, slots=True)
class Baseline:
    """What was adopted in one go; ``signed_seq`` None: no lead has confirmed yet what the old sheet stated."""

    id: str
    source: str
    sha256: str
    versions: list[Mapping[str, Any]]
    seq: int
    hash: str
    at: str
    actor: str
    signed_seq: int | None = None
    signed_at: str | None = None
    signer: str | None = None
    issued: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True, slots=True)
class Closed:
    """The end of the register: the event and its time, where it goes on, why, and the lead who signed it.

    ``doubted_since``: the key that signed it was told as compromised since then (UTC), which is not after ``at``; None:
    nobody said so.
    """

    seq: int
    at: str
    successor: str
    reason: str
    by: str
    doubted_since: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Drilled:
    """One retrieval drill: its event, how many versions were archived then, and what came of each that was tried.

    ``versions``: (model, version) -> its entry in the event: place, outcome, blake3, files, bytes, milliseconds, problems.
    """

    seq: int
    at: str
    archived: int
    versions: Mapping[tuple[str, str], Mapping[str, Any]]


@dataclass(kw_only=True, slots=True)
class Exported:
    """What was recorded of exports to one place; it is read to tell whether there is anything new to record.

    ``uri``: the place's address, as it was given last. ``versions``: (model, version) -> (its number there, the digest of what was compared). ``mismatches``: model -> the
    mismatches told last, by an export or a check. ``cut``: models of which more were found than the event lists.
    ``checked_at``: the last recorded check, None: none. ``marks``: what exports wrote of themselves there, (model,
    version) -> (the event exported through, ""), and (model, None) -> (the same, what production is called).
    """

    uri: str = ""
    versions: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    mismatches: dict[str, list[Mapping[str, Any]]] = field(default_factory=dict)
    seq: int = 0
    at: str = ""
    checked_at: str | None = None
    cut: set[str] = field(default_factory=set)
    marks: dict[tuple[str, str | None], tuple[int, str]] = field(default_factory=dict)

    def doubtful(self, model: str, version: str) -> bool:
        """Tell whether what was recorded last has a mismatch of that version, or may have one that it does not list."""
        return model in self.cut or any(one["version"] == version for one in self.mismatches.get(model, ()))
