"""May this version change its stage, or its place (clauses RP-5 to RP-12)?

Promotion to production in a high-risk registry needs, together, all that design 3.4 lists; every reason is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from manual_registry.core import approvals as core
from manual_registry.core import transitions
from manual_registry.core.decide.baselines import step_reasons
from manual_registry.core.decide.common import document_reasons, find, gate_reasons, moment_of
from manual_registry.core.decide.identity import identity_reasons, signed_at
from manual_registry.core.errors import (
    ApprovalBad,
    ApprovalOutdated,
    ApprovalRejected,
    ApprovalWanted,
    ApproverUnfit,
    ArtefactChanged,
    EventUnreadable,
    FormatTooNew,
    NeverInProduction,
    ReasonMissing,
    RegistryError,
    TransitionForbidden,
)
from manual_registry.core.ledger import Event
from manual_registry.core.state import Request, State, VersionState
from manual_registry.core.statements import statement_sha256
from manual_registry.core.times import parse_time
from manual_registry.core.values import Risk, Stage, free_text


def reason_given(text: str | None, *, needed: bool, ref: str) -> list[RegistryError]:
    """Refuse a reason that is missing where one is needed, or is no text."""
    if text is not None:
        free_text(text, where="reason")
    if needed and not (text or "").strip():
        return [ReasonMissing(f"{ref}: this step needs a reason", location="reason", hint='add --reason "…"')]
    return []


def _replaces(state: State, record: VersionState, to: Stage, named: str | None) -> list[RegistryError]:
    production = state.production(record.model) if to is Stage.PRODUCTION else None
    if named == (production.version if production else None):
        return []
    return [
        TransitionForbidden(
            f"{record.ref}: the event replaces {named}, which is not the production version", clause="RP-7"
        )
    ]


def promoted(state: State, event: Event) -> list[RegistryError]:
    """Decide a promotion (or the way back to experimental).

    1. The step is one of the table, from where the version stands (RP-9); a reason where one is needed.
    2. It names the production version that it replaces (RP-7).
    3. The gates of the policy, card and environment (RP-12).
    4. The artefact was hashed again and is equal (RP-1).
    5. A signed approval (RP-10).
    6. A pipeline's signature over exactly this promotion (RP-11).
    """
    record = find(state, event)
    if isinstance(record, RegistryError):
        return [record]
    data = event.data
    before, to = Stage(data["from"]), Stage(data["to"])
    if before.value != record.stage:
        return [TransitionForbidden(f"{record.ref} is in {record.stage}, not in {before}", clause="RP-9")]
    steps = transitions.check("promote", before, to, ref=record.ref, was_production=record.was_production)
    if steps:
        return steps
    needed = state.policy.needs_reason(before, to)
    return [
        *reason_given(data["reason"], needed=needed, ref=record.ref),
        *_replaces(state, record, to, data["replaces"]),
        *lacking(state, record, to, moment_of(event)),
        *observed_reasons(state, record, to, data["observed"]),
        *approval_reasons(state, event, record, to, data["approval"]),
        *identity_reasons(state, event, record, to),
    ]


def lacking(state: State, record: VersionState, to: Stage, moment: datetime) -> list[RegistryError]:
    """Return what a promotion to ``to`` would be refused for at ``moment`` whoever signs it.

    Gates, card and environment (RP-12), staging that has to be decided first (RP-8), and what an adopted version lacks.
    """
    return [
        *gate_reasons(state, record, to, moment),
        *document_reasons(state, record, to),
        *_staging_again(state, record, to, moment),
        *step_reasons(state, record, to),
    ]


def observed_reasons(state: State, record: VersionState, to: Stage, observed: str | None) -> list[RegistryError]:
    """Refuse when the artefact was not hashed where it must be, or does not have its registered hash (RP-1)."""
    needed = to is Stage.PRODUCTION and state.risk is Risk.HIGH
    if observed == record.blake3 or (observed is None and not needed):
        return []
    return [
        ArtefactChanged(
            f"{record.ref}: the artefact does not have its registered hash (found {observed})",
            location=f"models/{record.model}/{record.version}",
            clause="RP-1",
            hint=f"mreg verify {record.ref}",
        )
    ]


def _staging_again(state: State, record: VersionState, to: Stage, moment: datetime) -> list[RegistryError]:
    if to is not Stage.PRODUCTION or record.staging_approved:
        return []
    if not state.policy.needs_approval(Stage.STAGING, has_lead=state.has_lead):
        told = {one.message for one in gate_reasons(state, record, to, moment)}
        return [one for one in gate_reasons(state, record, Stage.STAGING, moment) if one.message not in told]
    why = "was adopted in staging" if record.adopted and len(record.steps) == 1 else "came out of the archive"
    return [
        ApprovalOutdated(
            f"{record.ref} {why}: staging's gates and approval are asked {'first' if 'adopted' in why else 'again'}",
            clause="RP-8",
            hint=f'mreg promote {record.ref} --to experimental --reason "staging is decided again"',
        )
    ]


def approval_reasons(
    state: State, event: Event, record: VersionState, to: Stage, used: Mapping[str, Any] | None
) -> list[RegistryError]:
    """Return the reasons against the approval that a step to ``to`` uses, or the lack of one."""
    needed = state.policy.needs_approval(to, has_lead=state.has_lead)
    if used is None:
        return [wanted(state, record, to)] if needed else []
    request = state.requests.get(used["id"])
    if request is None or (request.model, request.version, request.to) != (record.model, record.version, to.value):
        return [ApprovalBad(f"{record.ref}: approval {used['id']} is for something else", clause="RP-10")]
    if request.kind != "stage":
        return [FormatTooNew(f"approval {request.id} is of kind {request.kind}")]
    if request.status == "requested" and not needed and used["sha256"] is None:
        return []
    if request.status != "signed" or request.statement is None or request.signature is None:
        return [not_signed(state, request)]
    if used["sha256"] != statement_sha256(request.statement):
        return [ApprovalBad(f"{record.ref}: the event names another statement than {request.id} has", clause="RP-10")]
    moment = _promotion_moment(state, event, request)
    judgement = core.judge(state, request, request.statement, request.signature, moment=moment)
    if judgement.decision == "rejected":  # the fold says so too; this is the line that must not depend on it
        told = f"{record.ref}: approval {request.id} was rejected"
        return [ApprovalRejected(told, clause="RP-10"), *judgement.reasons]
    return list(judgement.reasons)


def _promotion_moment(state: State, event: Event, request: Request) -> datetime:
    """Freshness is measured against the pipeline's signed time where there is one (design 3.5).

    A key signs when it promotes; a token is issued earlier, so that the event's own time counts beside it. What was
    written after the signature counts too: a clock that was set back does not make an approval young again.
    """
    promotion = event.data.get("promotion")
    moment = signed_at(promotion) or moment_of(event)
    if promotion is not None and "token" in promotion:
        moment = max(moment, moment_of(event))
    later = [state.times.get(seq, "") for seq in range(request.signed_seq or 0, state.head_seq + 1)]
    return max(moment, parse_time(max(later, default=event.at) or event.at))


def wanted(state: State, record: VersionState, to: Stage) -> RegistryError:
    """The refusal when nobody has asked for the approval yet."""
    who = "an ai-governance-lead" if to is not Stage.STAGING else "a technical-sme or ai-governance-lead"
    return ApprovalWanted(
        f"{record.ref}: {to} needs a signed approval by {who} who did not register it",
        clause="RP-10",
        hint=f"mreg approval request {record.ref} --to {to}",
    )


def not_signed(state: State, request: Request) -> RegistryError:
    """The refusal for a request that is not signed: waiting, rejected, or closed."""
    ref = f"{request.model}@{request.version}"
    if request.status == "rejected":
        return ApprovalRejected(
            f"{ref}: approval {request.id} was rejected",
            clause="RP-10",
            location=request.id,
            hint=f"mreg approval show {request.id}",
        )
    if request.status == "requested":
        leads = core.may_sign(state, request)
        return ApprovalWanted(
            f"{ref}: approval {request.id} waits for a signature" + (f" (of {' or '.join(leads)})" if leads else ""),
            clause="RP-10",
            location=request.id,
            hint=f"mreg approval sign {request.id} --as {leads[0] if leads else 'EMAIL'}",
        )
    return ApprovalWanted(
        f"{ref}: approval {request.id} is {request.status}",
        clause="RP-10",
        location=request.id,
        hint=f"mreg approval request {ref} --to {request.to}",
    )


def last_used(state: State, record: VersionState) -> Request | None:
    """Return the version's approval to production that was used last and was signed."""
    used = [
        request
        for request in map(state.requests.__getitem__, record.requests)
        if request.status == "used" and request.to == Stage.PRODUCTION.value and request.statement
    ]
    return max(used, key=lambda request: request.used_seq or 0, default=None)


def rolled_back(state: State, event: Event) -> list[RegistryError]:
    """Decide a rollback: to a version that was in production, resting on its last used approval (design 3.4)."""
    record = find(state, event)
    if isinstance(record, RegistryError):
        return [record]
    data = event.data
    steps = transitions.check("rollback", Stage(record.stage), Stage.PRODUCTION, ref=record.ref)
    if steps:
        return steps
    if not record.was_production:
        return [
            NeverInProduction(
                f"{record.ref} was never in production; rollback goes to a version that was",
                clause="RP-9",
                hint=f"mreg unarchive {record.ref} --reason TEXT",
            )
        ]
    return [
        *reason_given(data["reason"], needed=True, ref=record.ref),
        *_replaces(state, record, Stage.PRODUCTION, data["replaces"]),
        *gate_reasons(state, record, Stage.PRODUCTION, moment_of(event)),
        *document_reasons(state, record, Stage.PRODUCTION),
        *observed_reasons(state, record, Stage.PRODUCTION, data["observed"]),
        *restored_reasons(record, data["restored"]),
        *step_reasons(state, record, Stage.PRODUCTION),
        *_rests_on(state, event, record),
        *identity_reasons(state, event, record, Stage.PRODUCTION),
    ]


def _rests_on(state: State, event: Event, record: VersionState) -> list[RegistryError]:
    rests, request = event.data["approval"], last_used(state, record)
    if request is None or request.statement is None or request.signature is None:
        if rests is not None:
            return [ApprovalBad(f"{record.ref}: no approval was used that a rollback could rest on", clause="RP-10")]
        needed = state.policy.needs_approval(Stage.PRODUCTION, has_lead=state.has_lead)
        if needed and record.adopted is not None:
            return [_no_approval_ever(record)]
        return [wanted(state, record, Stage.PRODUCTION)] if needed else []
    if rests != {"id": request.id, "sha256": statement_sha256(request.statement)}:
        return [ApprovalBad(f"{record.ref}: a rollback rests on the approval used last, {request.id}", clause="RP-10")]
    judgement = core.judge(
        state,
        request,
        request.statement,
        request.signature,
        moment=moment_of(event),
        fresh=False,
        may_differ=core.ROLLBACK_MAY_DIFFER,
    )
    return [_other_way(one, record) for one in judgement.reasons]


def _other_way(reason: RegistryError, record: VersionState) -> RegistryError:
    """Where who approved it has left, no rollback rests on that: the version goes the whole way again."""
    if not isinstance(reason, ApproverUnfit):
        return reason
    told = f"{reason.message}; no rollback rests on that: take it to production with an approval of its own"
    hint = f'mreg unarchive {record.ref} --reason "back to production"'
    return ApproverUnfit(told, location=reason.location, clause=reason.clause, hint=hint)


def _no_approval_ever(record: VersionState) -> RegistryError:
    """The refusal to go back to what was in production before control began: no signature stands behind that."""
    source = (record.adopted or {}).get("source")
    return ApprovalBad(
        f"{record.ref} was in production as {source} stated; no approval was used here that a rollback could rest on",
        clause="RP-10",
        hint=f'mreg unarchive {record.ref} --reason "back to production"',
    )


def restored_reasons(record: VersionState, said: bool) -> list[RegistryError]:
    """Refuse an event that does not say truly whether the files came back from the bag."""
    if said == (record.bag is not None):
        return []
    return [EventUnreadable(f"{record.ref}: the event does not say truly whether the files came from the bag")]
