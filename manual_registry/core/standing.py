"""Where a version stands, or stood at a time that is asked about: the step that counts, and what was asked for it.

`trace` judges by it: gates and approval are those of that step, under the policy of its moment.
"""

from __future__ import annotations

from dataclasses import dataclass

from manual_registry.core.policy import Policy
from manual_registry.core.state import State, Step, VersionState
from manual_registry.core.values import Role, Stage


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """A time that was asked about (``at``, as typed), and the stays in production that it fell into, as (from, until).

    Times are UTC stamps; ``until`` None: it is there still.
    """

    at: str
    stays: tuple[tuple[str, str | None], ...]


def governed(record: VersionState, asked: Asked | None) -> Step:
    """Return the step whose conditions count: an archived version's is the one before, that of a time its own."""
    if asked is not None:
        return next(one for one in reversed(record.steps) if one.at == asked.stays[-1][0])
    if record.stage == Stage.ARCHIVED.value and len(record.steps) > 1:
        return record.steps[-2]
    return record.steps[-1]


def decided(record: VersionState, step: Step) -> bool:
    """Tell whether a promotion or rollback brought the version there: neither registration nor `unarchive` asks gates."""
    index = record.steps.index(step)
    back = step.stage == Stage.STAGING.value and index and record.steps[index - 1].stage == Stage.ARCHIVED.value
    return bool(index) and not back


def policy_at(state: State, record: VersionState, step: Step) -> Policy:
    """Return the policy by which the step was decided; where none was, the one in force."""
    return state.policy_before(step.seq) if decided(record, step) else state.policy


def approval_needed(state: State, record: VersionState, step: Step) -> bool:
    """Tell whether the step needed a signed approval when it was taken."""
    stage = Stage(step.stage)
    unapproved = stage is Stage.STAGING and not record.staging_approved
    policy = policy_at(state, record, step)
    return not unapproved and policy.needs_approval(stage, has_lead=_had_lead(state, step))


def _had_lead(state: State, step: Step) -> bool:
    """Tell whether a lead was active when the step was taken: a later one was not asked."""
    place = step.seq
    return any(
        one.role is Role.LEAD and one.added_seq < place and (one.revoked_seq is None or one.revoked_seq > place)
        for one in state.all_approvers()
    )
