"""May this version change its stage, or its place (clauses RP-5 to RP-12)?

Promotion to production in a high-risk registry needs, together, all that design 3.4 lists; every reason is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from manual_registry.core import approvals as core
from manual_registry.core import transitions
from manual_registry.core.decide.common import document_reasons, find, gate_reasons, moment_of
from manual_registry.core.errors import (
    ApprovalBad,
    ApprovalOutdated,
    ApprovalRejected,
    ApprovalWanted,
    ArtefactChanged,
    EventUnreadable,
    FormatTooNew,
    LeadNeeded,
    NeverInProduction,
    OpenDeployment,
    PipelineBad,
    PipelineMissing,
    ReasonMissing,
    RegistryError,
    TransitionForbidden,
)
from manual_registry.core.events import ROLLED_BACK
from manual_registry.core.ledger import Event
from manual_registry.core.sshsig import verify
from manual_registry.core.state import Request, State, VersionState
from manual_registry.core.statements import (
    PROMOTION,
    PROMOTION_NAMESPACE,
    differing,
    head_mark,
    promotion_line,
    read_statement,
    statement_sha256,
)
from manual_registry.core.times import parse_time
from manual_registry.core.values import Risk, Stage, free_text


def _reason(text: str | None, *, needed: bool, ref: str) -> list[RegistryError]:
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
        *_reason(data["reason"], needed=needed, ref=record.ref),
        *_replaces(state, record, to, data["replaces"]),
        *gate_reasons(state, record, to),
        *document_reasons(state, record, to),
        *_observed(state, record, to, data["observed"]),
        *_staging_again(state, record, to),
        *approval_reasons(state, event, record, to, data["approval"]),
        *_identity(state, event, record, to),
    ]


def _observed(state: State, record: VersionState, to: Stage, observed: str | None) -> list[RegistryError]:
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


def _staging_again(state: State, record: VersionState, to: Stage) -> list[RegistryError]:
    if to is not Stage.PRODUCTION or record.staging_approved:
        return []
    if not state.policy.needs_approval(Stage.STAGING, has_lead=state.has_lead):
        told = {one.message for one in gate_reasons(state, record, to)}
        return [one for one in gate_reasons(state, record, Stage.STAGING) if one.message not in told]
    return [
        ApprovalOutdated(
            f"{record.ref} came out of the archive: staging's gates and approval are asked again",
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

    What was written after the signature counts too: a clock that was set back does not make an approval young again.
    """
    promotion = event.data.get("promotion")
    found = read_statement(promotion["statement"]) if promotion else None
    issued = found["predicate"].get("issued_at") if found else None
    moment = parse_time(issued) if isinstance(issued, str) else moment_of(event)
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
        leads = [
            one.email
            for one in state.active_leads()
            if one.email not in state.versions[request.model, request.version].registrants
        ]
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


def _pipeline_hint(state: State, event: Event, record: VersionState) -> str:
    active = [one.name for one in state.pipelines.values() if one.revoked_seq is None]
    if not active:
        leads = state.active_leads()
        return f"mreg pipeline add NAME --public-key KEY.pub --as {leads[0].email if leads else 'EMAIL'}"
    identity = f"--pipeline {active[0]} --pipeline-key FILE"
    if event.type == ROLLED_BACK:
        return f'mreg rollback {record.model} --to {record.version} --reason "…" {identity}'
    return f"mreg promote {record.ref} --to production {identity}"


def _identity(state: State, event: Event, record: VersionState, to: Stage) -> list[RegistryError]:
    promotion = event.data["promotion"]
    if promotion is not None:
        return _pipeline_reasons(state, event, record, to, promotion)
    if state.policy.needs_pipeline(to):
        return [
            PipelineMissing(
                f"{record.ref}: only an enrolled pipeline promotes to production in a high-risk registry",
                clause="RP-11",
                hint=_pipeline_hint(state, event, record),
            )
        ]
    if state.policy.needs_pipeline_or_lead(to) and event.actor not in {one.email for one in state.active_leads()}:
        return [
            LeadNeeded(
                f"{record.ref}: a pipeline or a lead promotes to production; {event.actor} is neither",
                clause="RP-11",
                hint=f"mreg --actor LEAD promote {record.ref} --to production",
            )
        ]
    return []


def _pipeline_reasons(
    state: State, event: Event, record: VersionState, to: Stage, promotion: Mapping[str, Any]
) -> list[RegistryError]:
    if promotion.keys() != {"pipeline", "statement", "signature"}:
        return [FormatTooNew(f"{record.ref}: a pipeline identity of a kind that this tool does not know yet")]
    where = f"pipeline {promotion['pipeline']}"
    pipeline = state.pipelines.get(promotion["pipeline"])
    if pipeline is None or pipeline.revoked_seq is not None:
        why = "is not enrolled" if pipeline is None else f"was revoked on {pipeline.revoked_at}"
        return [PipelineBad(f"{where} {why}", clause="RP-11", hint="mreg pipeline list")]
    try:
        key = verify(promotion["statement"].encode("utf-8"), promotion["signature"], namespace=PROMOTION_NAMESPACE)
    except RegistryError as problem:
        why = f"{where}: the signature does not hold: {problem.message}"
        return [PipelineBad(why, clause="RP-11", details={"signature": "broken"})]
    if key.line() != pipeline.key:
        return [
            PipelineBad(
                f"{where}: signed with {key.fingerprint}, which is not its key",
                clause="RP-11",
                hint="mreg pipeline list",
                details={"signature": "stranger"},
            )
        ]
    found = read_statement(promotion["statement"])
    if found is None or found.get("predicateType") != PROMOTION:
        return [PipelineBad(f"{where}: the statement is not one of a promotion", clause="RP-11")]
    said = found["predicate"]
    expected = promotion_line(
        state,
        record,
        pipeline,
        to=to.value,
        approval=event.data["approval"],
        run=said.get("run"),
        issued_at=said["issued_at"],
    )
    wrong = differing(found, expected)
    if wrong:
        why = f"{where}: signed something else: {', '.join(wrong)} differ"
        return [PipelineBad(why, clause="RP-11", details=head_mark(state, found, wrong))]
    return _issued_now(said["issued_at"], event, where)


def _issued_now(issued_at: str, event: Event, where: str) -> list[RegistryError]:
    gap: timedelta = abs(parse_time(issued_at) - moment_of(event))
    if gap <= core.CLOCK_SLACK:
        return []
    return [PipelineBad(f"{where}: signed at {issued_at}, but the promotion is from {event.at}", clause="RP-19")]


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
        *_reason(data["reason"], needed=True, ref=record.ref),
        *_replaces(state, record, Stage.PRODUCTION, data["replaces"]),
        *gate_reasons(state, record, Stage.PRODUCTION),
        *document_reasons(state, record, Stage.PRODUCTION),
        *_observed(state, record, Stage.PRODUCTION, data["observed"]),
        *_restored(record, data["restored"]),
        *_rests_on(state, event, record),
        *_identity(state, event, record, Stage.PRODUCTION),
    ]


def _rests_on(state: State, event: Event, record: VersionState) -> list[RegistryError]:
    rests, request = event.data["approval"], last_used(state, record)
    if request is None or request.statement is None or request.signature is None:
        if rests is not None:
            return [ApprovalBad(f"{record.ref}: no approval was used that a rollback could rest on", clause="RP-10")]
        needed = state.policy.needs_approval(Stage.PRODUCTION, has_lead=state.has_lead)
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
    return list(judgement.reasons)


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
        *_reason(data["reason"], needed=True, ref=record.ref),
        *_observed(state, record, Stage.ARCHIVED, data["observed"]),
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
    return [*_reason(data["reason"], needed=True, ref=record.ref), *_restored(record, data["restored"])]


def _restored(record: VersionState, said: bool) -> list[RegistryError]:
    if said == (record.bag is not None):
        return []
    return [EventUnreadable(f"{record.ref}: the event does not say truly whether the files came from the bag")]
