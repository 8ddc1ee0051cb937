"""What each type of event does to the state; no rule is asked here.

A function for each type, which changes the :class:`~manual_registry.core.state.State` that it is given.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from manual_registry.core import events as kinds
from manual_registry.core.folding import approvals, roster, stages, versions

if TYPE_CHECKING:
    from manual_registry.core.ledger import Event
    from manual_registry.core.state import State

#: Type of event -> what it does.
APPLY: Final[dict[str, Callable[[State, Event], None]]] = {
    kinds.CREATED: roster.created,
    kinds.REGISTERED: versions.registered,
    kinds.ADOPTED: versions.registered,
    kinds.BASELINE_OPENED: roster.baseline_opened,
    kinds.BASELINE_SIGNED: roster.baseline_signed,
    kinds.ATTACHED: versions.attached,
    kinds.PROMOTED: stages.promoted,
    kinds.ROLLED_BACK: stages.rolled_back,
    kinds.ARCHIVED: stages.archived,
    kinds.MOVED: stages.moved,
    kinds.UNARCHIVED: stages.unarchived,
    kinds.DEPLOYED: stages.deployed,
    kinds.DEPLOYMENT_ENDED: stages.deployment_ended,
    kinds.ALIAS_SET: versions.alias_set,
    kinds.ALIAS_REMOVED: versions.alias_removed,
    kinds.TAGGED: versions.tagged,
    kinds.NOTED: versions.noted,
    kinds.EDITED: versions.edited,
    kinds.FILLED: approvals.filled,
    kinds.REQUESTED: approvals.requested,
    kinds.ISSUED: approvals.issued,
    kinds.SIGNED: approvals.signed,
    kinds.WITHDRAWN: approvals.withdrawn,
    kinds.APPROVER_ADDED: roster.approver_added,
    kinds.APPROVER_REVOKED: roster.approver_revoked,
    kinds.PIPELINE_ADDED: roster.pipeline_added,
    kinds.PIPELINE_REVOKED: roster.pipeline_revoked,
    kinds.POLICY_SIGNED: roster.policy_signed,
    kinds.VERIFIED: versions.recorded,
    kinds.RESTORED: versions.restored,
}
