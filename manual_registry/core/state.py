"""State: what the events so far amount to.

:mod:`manual_registry.core.folding` makes it from events; nothing else changes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from manual_registry.core.ledger import Event
from manual_registry.core.policy import Policy, policy_from
from manual_registry.core.records import (
    Approver,
    Baseline,
    Closed,
    ControlRequest,
    Delegation,
    Deployment,
    Drilled,
    Exported,
    GateException,
    ModelState,
    Pipeline,
    Request,
    Step,
    TimeAnchor,
    VersionState,
)
from manual_registry.core.values import Risk, Role

__all__ = [
    "Approver",
    "Baseline",
    "Closed",
    "ControlRequest",
    "Delegation",
    "Deployment",
    "GateException",
    "ModelState",
    "Pipeline",
    "Request",
    "State",
    "Step",
    "TimeAnchor",
    "VersionState",
]


class State:
    """The fold. Read its attributes; only :func:`manual_registry.core.folding.apply` changes them."""

    def __init__(self) -> None:
        """Start before the first event."""
        self.registry_id = ""
        self.system = ""
        self.risk = Risk.HIGH
        self.placed_on_market: str | None = None
        self.policy: Policy = policy_from({}, Risk.HIGH)
        self.policy_seq = 0
        #: Every policy that was in force, with the event that put it there.
        self.policies: list[tuple[int, Policy]] = []
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
        #: Each spreadsheet, or snapshot of a server, that was adopted: where it is kept below the root -> its SHA-256.
        self.adopted: dict[str, str] = {}
        #: Whoever stands in the roster now, by address; one who was given a new key had another entry before.
        self.approvers: dict[str, Approver] = {}
        self.pipelines: dict[str, Pipeline] = {}
        #: Entries with a former key, in the order in which they ended; all of them are revoked.
        self.former_approvers: list[Approver] = []
        self.former_pipelines: list[Pipeline] = []
        self.delegations: dict[str, Delegation] = {}
        self.exceptions: dict[str, GateException] = {}
        self.controls: dict[str, ControlRequest] = {}
        #: The key that can add a lead when no lead's can; None: there is none.
        self.recovery_key: str | None = None
        #: The registry that this one goes on from: ``registry``, ``seq``, ``hash`` of its last head, where it lay.
        self.continues: Mapping[str, Any] | None = None
        #: The end of this register; None: it is open.
        self.closed: Closed | None = None
        #: base64 of every key ever enrolled -> ("approver" | "pipeline" | "recovery key" | "identity provider", whose)
        self.keys: dict[str, tuple[str, str]] = {}
        #: Each identity token that a pipeline has used (its jti, its hash) -> the event.
        self.tokens: dict[str, int] = {}
        #: Time-stamp tokens over the ledger, in the order in which they were added.
        self.anchors: list[TimeAnchor] = []
        #: What was exported where: (target, address without credentials) -> what was recorded of it.
        self.exports: dict[tuple[str, str], Exported] = {}
        #: Retrieval drills, in order.
        self.drills: list[Drilled] = []
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

    def policy_before(self, seq: int) -> Policy:
        """Return the policy on which event ``seq`` was decided."""
        return next((policy for since, policy in reversed(self.policies) if since < seq), self.policy)

    def all_approvers(self) -> list[Approver]:
        """Return every entry that the roster ever had, former keys included, in the order of enrolment."""
        return sorted([*self.former_approvers, *self.approvers.values()], key=lambda one: one.added_seq)

    def all_pipelines(self) -> list[Pipeline]:
        """Return every pipeline's every enrolment, in the order of enrolment."""
        return sorted([*self.former_pipelines, *self.pipelines.values()], key=lambda one: one.added_seq)

    def approver_at(self, address: str, seq: int) -> Approver | None:
        """Return the entry of ``address`` whose key counts for event ``seq``: the last one enrolled before it."""
        found = [one for one in self.all_approvers() if one.email == address and one.added_seq < seq]
        return found[-1] if found else self.approvers.get(address)

    def active_leads(self) -> list[Approver]:
        """Return the leads who may sign now."""
        return [one for one in self.approvers.values() if one.role is Role.LEAD and one.revoked_seq is None]

    @property
    def has_lead(self) -> bool:
        """True when a lead is active."""
        return bool(self.active_leads())

    def pass_over(self, event: Event) -> None:
        """Count an event without its effect: `verify` does so with a revocation that no lead signed."""
        self.head, self.head_seq, self.head_hash, self.head_at = event, event.seq, event.hash, event.at
        self.hashes[event.seq], self.times[event.seq] = event.hash, event.at
