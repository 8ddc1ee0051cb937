"""May this version rest in the archive, move there, or come back (clauses RP-5 to RP-9)?"""

from __future__ import annotations

from manual_registry.core import transitions
from manual_registry.core.decide.common import find
from manual_registry.core.decide.stages import approval_reasons, observed_reasons, reason_given, restored_reasons
from manual_registry.core.errors import (
    EventUnreadable,
    OpenDeployment,
    RegistryError,
    TransitionForbidden,
)
from manual_registry.core.ledger import Event
from manual_registry.core.state import State, VersionState
from manual_registry.core.values import Stage


def archived(state: State, event: Event) -> list[RegistryError]:
    """Decide an archiving: a reason always, for a production version the approval of its class (RP-6)."""
    record = find(state, event)
    if isinstance(record, RegistryError):
        return [record]
    data = event.data
    before = Stage(data["from"])
    if before.value != record.stage:
        return [TransitionForbidden(f"{record.ref} is in {record.stage}, not in {before}", clause="RP-9")]
    reasons = [
        *transitions.check("archive", before, Stage.ARCHIVED, ref=record.ref),
        *reason_given(data["reason"], needed=True, ref=record.ref),
        *observed_reasons(state, record, Stage.ARCHIVED, data["observed"]),
        *open_deployment(record),
    ]
    if before is Stage.PRODUCTION or data["approval"] is not None:
        reasons += approval_reasons(state, event, record, Stage.ARCHIVED, data["approval"])
    return reasons


def open_deployment(record: VersionState) -> list[RegistryError]:
    """Return a refusal when the version is deployed still (RP-7)."""
    opened = record.open_deployments()
    if not opened:
        return []
    where = ", ".join(one.environment for one in opened)
    return [
        OpenDeployment(
            f"{record.ref} is deployed in {where}; end that first",
            clause="RP-7",
            hint=f"mreg deploy {record.ref} --environment {opened[0].environment} --end",
        )
    ]


def moved(state: State, event: Event) -> list[RegistryError]:
    """Decide the end of a move into a bag: of an archived version without a bag, to the next free place."""
    record = find(state, event)
    if isinstance(record, RegistryError):
        return [record]
    if not record.move_pending:
        return [TransitionForbidden(f"{record.ref}: no move is pending", clause="RP-5")]
    if event.data["bag"] != next_bag(record):
        return [EventUnreadable(f"{record.ref}: the bag belongs at {next_bag(record)}")]
    return open_deployment(record)


def next_bag(record: VersionState) -> str:
    """Return where the version's next bag goes, below the root: ``archive/m/v``, then ``archive/m/v~2``."""
    count = len(record.bags) + 1
    return f"archive/{record.model}/{record.version}" + (f"~{count}" if count > 1 else "")


def unarchived(state: State, event: Event) -> list[RegistryError]:
    """Decide an unarchiving: from archived to staging, with a reason (RP-8)."""
    record = find(state, event)
    if isinstance(record, RegistryError):
        return [record]
    data = event.data
    steps = transitions.check("unarchive", Stage(record.stage), Stage.STAGING, ref=record.ref)
    if steps:
        return steps
    return [*reason_given(data["reason"], needed=True, ref=record.ref), *restored_reasons(record, data["restored"])]
