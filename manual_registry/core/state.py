"""State: a pure fold over events.

``fold(events)`` gives the :class:`State`; :meth:`State.apply` takes one event more. Whether an event was allowed is not
asked here (:mod:`manual_registry.core.decide` does, before writing and again in `verify`): applying an event that was
illegal never raises, so that `verify` can go on and tell everything.

Projection law (tests/core/test_state.py): folding only the control events and those that touch one version gives that
version the same record as folding all of them. The index rests on it.
"""

from __future__ import annotations

from collections.abc import Iterable

from manual_registry.core import events as kinds
from manual_registry.core.errors import BadConfig, EventUnreadable
from manual_registry.core.folding import APPLY
from manual_registry.core.ledger import Event
from manual_registry.core.policy import Policy, policy_from
from manual_registry.core.records import (
    Approver,
    Baseline,
    Deployment,
    ModelState,
    Pipeline,
    Request,
    Step,
    VersionState,
)
from manual_registry.core.values import Risk, Role

__all__ = [
    "Approver",
    "Baseline",
    "Deployment",
    "ModelState",
    "Pipeline",
    "Request",
    "State",
    "Step",
    "VersionState",
    "fold",
]


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
            APPLY[event.type](self, event)
        except (KeyError, TypeError, AttributeError, ValueError, OverflowError, BadConfig) as problem:
            raise EventUnreadable(
                f"event {event.seq} ({event.type}) does not hold together: {problem}",
                location=f"ledger/{event.seq:012d}.json",
            ) from None

    def pass_over(self, event: Event) -> None:
        """Count an event without its effect: `verify` does so with a revocation that no lead signed."""
        self.head, self.head_seq, self.head_hash, self.head_at = event, event.seq, event.hash, event.at
        self.hashes[event.seq], self.times[event.seq] = event.hash, event.at


def fold(events: Iterable[Event]) -> State:
    """Return the state after ``events``, in order."""
    state = State()
    for event in events:
        state.apply(event)
    return state
