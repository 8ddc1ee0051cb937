"""Who promotes: an enrolled pipeline, by its key or a CI job's identity token, over exactly this promotion (RP-11)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from manual_registry.core import approvals as core
from manual_registry.core.decide.common import moment_of
from manual_registry.core.errors import (
    LeadNeeded,
    PipelineBad,
    PipelineMissing,
    RegistryError,
)
from manual_registry.core.events import ROLLED_BACK
from manual_registry.core.ledger import Event
from manual_registry.core.oidc import read_token, token_reasons
from manual_registry.core.sshsig import verify
from manual_registry.core.state import Pipeline, State, VersionState
from manual_registry.core.statements import (
    PROMOTION,
    PROMOTION_NAMESPACE,
    differing,
    head_mark,
    promotion_line,
    read_statement,
)
from manual_registry.core.times import parse_time
from manual_registry.core.values import Stage


def identity_words(state: State) -> str:
    """Return the options by which the pipelines of this registry show themselves."""
    active = [one for one in state.pipelines.values() if one.revoked_seq is None]
    if active and all(one.oidc for one in active):
        return "--oidc-token-file FILE"
    return "--pipeline NAME --pipeline-key FILE"


def _pipeline_hint(state: State, event: Event, record: VersionState) -> str:
    active = [one for one in state.pipelines.values() if one.revoked_seq is None]
    if not active:
        leads = state.active_leads()
        return f"mreg pipeline add NAME --public-key KEY.pub --as {leads[0].email if leads else 'EMAIL'}"
    identity = f"--pipeline {active[0].name} --{'oidc-token-file' if active[0].oidc else 'pipeline-key'} FILE"
    if event.type == ROLLED_BACK:
        return f'mreg rollback {record.model} --to {record.version} --reason "…" {identity}'
    return f"mreg promote {record.ref} --to production {identity}"


def identity_reasons(state: State, event: Event, record: VersionState, to: Stage) -> list[RegistryError]:
    """Return what is wrong with who promotes: an enrolled pipeline, or in limited risk a lead (RP-11)."""
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
    where = f"pipeline {promotion['pipeline']}"
    pipeline = state.pipelines.get(promotion["pipeline"])
    if pipeline is None or pipeline.revoked_seq is not None:
        why = "is not enrolled" if pipeline is None else f"was revoked on {pipeline.revoked_at}"
        return [PipelineBad(f"{where} {why}", clause="RP-11", hint="mreg pipeline list")]
    if "token" in promotion:
        return _token_reasons(state, event, pipeline, promotion["token"])
    if pipeline.key is None:
        why = "is known by identity tokens and has no key that could sign"
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


def _token_reasons(state: State, event: Event, pipeline: Pipeline, token: str) -> list[RegistryError]:
    """Return what is wrong with a CI job's identity token; the event itself is what binds it to this promotion."""
    where = f"pipeline {pipeline.name}"
    if pipeline.oidc is None:
        why = f"{where} is known by its own key, not by identity tokens"
        return [PipelineBad(why, clause="RP-11", hint="mreg pipeline list")]
    head_at = parse_time(state.head_at) if state.head_at else None
    found = token_reasons(pipeline.oidc, token, at=moment_of(event), head_at=head_at, used=state.tokens)
    return [PipelineBad(f"{where}: {why}", clause="RP-11") for why in found]


def signed_at(promotion: Mapping[str, Any] | None) -> datetime | None:
    """Return when the pipeline says that it promotes: the signed ``issued_at``, or the token's ``iat``."""
    if promotion is None:
        return None
    if "token" in promotion:
        token = read_token(promotion["token"])
        return token.time("iat") if token else None
    found = read_statement(promotion["statement"])
    issued = found["predicate"].get("issued_at") if found else None
    return parse_time(issued) if isinstance(issued, str) else None


def _issued_now(issued_at: str, event: Event, where: str) -> list[RegistryError]:
    gap: timedelta = abs(parse_time(issued_at) - moment_of(event))
    if gap <= core.CLOCK_SLACK:
        return []
    return [PipelineBad(f"{where}: signed at {issued_at}, but the promotion is from {event.at}", clause="RP-19")]
