"""`promote` and `rollback` (clauses RP-7, RP-9 to RP-12)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manual_registry.adapters.keys import signer_for
from manual_registry.core import approvals
from manual_registry.core import events as kinds
from manual_registry.core.decide.stages import last_used
from manual_registry.core.errors import (
    ArtefactChanged,
    LeadNeeded,
    PipelineBad,
    PipelineMissing,
    RegistryError,
    UsageError,
)
from manual_registry.core.ledger import Draft
from manual_registry.core.sshkeys import parse_public_key
from manual_registry.core.state import State, VersionState
from manual_registry.core.statements import PROMOTION_NAMESPACE, promotion_line, statement_sha256
from manual_registry.core.transitions import not_by_promote
from manual_registry.core.values import Stage, model_name, stage
from manual_registry.registry.access import writing
from manual_registry.registry.approving import approval_to_use
from manual_registry.registry.looking import changed, observed_blake3
from manual_registry.registry.references import find

if TYPE_CHECKING:
    from manual_registry.core.results import Result
    from manual_registry.ports import Progress, Signer
    from manual_registry.registry.workspace import Loaded, Workspace


def promote(
    work: Workspace,
    ref: str,
    *,
    to: str,
    reason: str | None,
    pipeline: str | None,
    pipeline_key: Path | None,
    progress: Progress | None,
) -> Result:
    """Change a version's stage; see :meth:`manual_registry.Registry.promote`."""
    wanted = stage(to)
    if wanted is Stage.ARCHIVED:
        raise not_by_promote(ref)
    state = work.load().state
    record = find(work, state, ref)
    if record.stage == wanted.value:
        return _stands(work, "promote", record.ref)
    identity = pipeline_identity(work, state, pipeline, pipeline_key)
    observed = observed_blake3(work, record, progress=progress) if wanted is not Stage.EXPERIMENTAL else None
    with writing(work) as loaded:

        def build(state: State, at: str) -> Draft:
            one = state.versions[record.model, record.version]
            production = state.production(record.model) if wanted is Stage.PRODUCTION else None
            used = approval_to_use(work, state, one, wanted)
            data: dict[str, Any] = {
                "from": one.stage,
                "to": wanted.value,
                "replaces": production.version if production else None,
                "reason": reason,
                "approval": used,
                "promotion": _promotion(work, state, one, wanted, used, identity, at),
                "observed": observed,
            }
            return Draft(type=kinds.PROMOTED, subject={"model": record.model, "version": record.version}, data=data)

        def review(state: State, found: list[RegistryError]) -> list[RegistryError]:
            # What only this machine can see: a policy file that differs, a file that is not as registered.
            other = [one for one in found if not isinstance(one, ArtefactChanged)]
            gone = observed != record.blake3 and wanted is not Stage.EXPERIMENTAL
            seen = [changed(work, record, observed)] if gone else []
            return [*seen, *work.policy_refusals(state), *identity.reasons(other)]

        work.append(loaded, build, review=review)
        after = loaded.state.versions[record.model, record.version]
    return work.result("promote", loaded, after, next=_after(loaded, after))


def _stands(work: Workspace, command: str, ref: str) -> Result:
    """The version is there already: a re-run of a green job is green. What a rollback waits for is told again."""
    with writing(work) as loaded:  # a repetition after a crash brings the views up to date
        record = find(work, loaded.state, ref)
    note = f"{record.ref} is in {record.stage} already"
    if command == "rollback" and record.steps[-1].seq == _ratification(loaded.state, record):
        return _waits(work, loaded, record, note)
    return work.result(command, loaded, record, next=f"mreg show {record.ref}", notes=(note,))


def _ratification(state: State, record: VersionState) -> int | None:
    """Return the rollback whose ratification is open still."""
    found = [state.requests[name] for name in record.requests]
    return next((one.ratifies for one in found if one.ratifies is not None and one.status == "requested"), None)


def _waits(work: Workspace, loaded: Loaded, record: VersionState, *notes: str) -> Result:
    """The result of a rollback that a lead is to ratify."""
    ratify = f"A{record.steps[-1].seq}"
    leads = [one.email for one in loaded.state.active_leads() if one.email not in record.registrants]
    return work.result(
        "rollback",
        loaded,
        record,
        id=ratify,
        next=f"mreg approval sign {ratify} --as {leads[0] if leads else 'EMAIL'}",
        waiting_for=(f"a lead ratifies {ratify} within {approvals.RATIFY_HOURS} hours",),
        notes=notes,
    )


def _after(loaded: Loaded, record: VersionState) -> str:
    if record.stage == Stage.PRODUCTION.value:
        return f"mreg deploy {record.ref} --environment production"
    if record.stage == Stage.STAGING.value and loaded.state.policy.needs_approval(
        Stage.PRODUCTION, has_lead=loaded.state.has_lead
    ):
        return f"mreg approval request {record.ref} --to production"
    return f"mreg show {record.ref}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """A pipeline's name and signer, or the ``problem`` that there is with it (exit 3, beside the other reasons)."""

    name: str | None = None
    signer: Signer | None = None
    problem: PipelineBad | None = None

    def reasons(self, found: list[RegistryError]) -> list[RegistryError]:
        """Put the problem in the place of "no pipeline identity"."""
        if self.problem is None:
            return found
        return [*(one for one in found if not isinstance(one, PipelineMissing | LeadNeeded)), self.problem]


def pipeline_identity(work: Workspace, state: State, name: str | None, key: Path | None) -> Identity:
    """Find the pipeline and open its key; a name without a key is a usage error, all else is kept as a problem."""
    if key is None and name is None:
        return Identity()
    if key is None:
        raise UsageError(f"--pipeline {name} needs its key: --pipeline-key FILE (or $MANUAL_REGISTRY_PIPELINE_KEY)")
    candidates = [one for one in state.pipelines.values() if name in (None, one.name)]
    why = f"pipeline {name} is not enrolled" if name else "no pipeline is enrolled"
    for one in reversed(candidates):
        try:
            signer = signer_for(key, parse_public_key(one.key), terminal=False, passphrase=work.passphrase)
        except RegistryError as problem:
            why = f"pipeline {one.name}: {problem.message}"
            continue
        return Identity(name=one.name, signer=signer)
    return Identity(problem=PipelineBad(why, clause="RP-11", hint="mreg pipeline list"))


def _promotion(
    work: Workspace,
    state: State,
    record: VersionState,
    to: Stage,
    used: dict[str, Any] | None,
    identity: Identity,
    at: str,
) -> dict[str, Any] | None:
    from manual_registry.adapters.ci import detect

    if identity.signer is None or identity.name is None:
        return None
    job = detect(work.environ)
    line = promotion_line(
        state,
        record,
        state.pipelines[identity.name],
        to=to.value,
        approval=used,
        run=job.run if job else None,
        issued_at=at,
    )
    signature = identity.signer.sign(line, namespace=PROMOTION_NAMESPACE)
    return {"pipeline": identity.name, "statement": line.decode(), "signature": signature}


def rollback(
    work: Workspace,
    model: str,
    *,
    to: str,
    reason: str,
    pipeline: str | None,
    pipeline_key: Path | None,
    progress: Progress | None,
) -> Result:
    """Go back to a version that was in production; see :meth:`manual_registry.Registry.rollback`."""
    from manual_registry.registry.archiving import restored

    before = work.load().state
    record = find(work, before, f"{model_name(model)}@{to}")
    if record.stage == Stage.PRODUCTION.value:
        return _stands(work, "rollback", record.ref)
    identity = pipeline_identity(work, before, pipeline, pipeline_key)
    observed = observed_blake3(work, record, progress=progress)

    def build(state: State, at: str) -> Draft:
        one = state.versions[record.model, record.version]
        production = state.production(record.model)
        rests = last_used(state, one)
        used = {"id": rests.id, "sha256": statement_sha256(rests.statement)} if rests and rests.statement else None
        data: dict[str, Any] = {
            "replaces": production.version if production else None,
            "reason": reason,
            "approval": used,
            "promotion": _promotion(work, state, one, Stage.PRODUCTION, used, identity, at),
            "observed": observed,
            "restored": one.bag is not None,
        }
        return Draft(type=kinds.ROLLED_BACK, subject={"model": record.model, "version": record.version}, data=data)

    def review(state: State, found: list[RegistryError]) -> list[RegistryError]:
        return [*work.policy_refusals(state), *identity.reasons(found)]

    with writing(work) as loaded:
        restored(work, loaded, record, build, review=review, progress=progress)
        after = loaded.state.versions[record.model, record.version]
    if after.steps[-1].approval is None:
        return work.result("rollback", loaded, after, next=_after(loaded, after))
    return _waits(work, loaded, after)
