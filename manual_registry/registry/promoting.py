"""`promote` and `rollback` (clauses RP-7, RP-9 to RP-12)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from manual_registry.core import approvals, ratifying
from manual_registry.core import events as kinds
from manual_registry.core.decide.closing import refuse_closed
from manual_registry.core.decide.stages import last_used
from manual_registry.core.errors import ArtefactChanged, RegistryError
from manual_registry.core.ledger import Draft
from manual_registry.core.state import State, VersionState
from manual_registry.core.statements import statement_sha256
from manual_registry.core.transitions import not_by_promote
from manual_registry.core.values import Stage, model_name, stage
from manual_registry.registry.access import writing
from manual_registry.registry.approving import approval_to_use
from manual_registry.registry.identity import Credentials, identity_for
from manual_registry.registry.looking import changed, evidence_problems, observed_blake3
from manual_registry.registry.references import find

if TYPE_CHECKING:
    from manual_registry.core.results import Result
    from manual_registry.ports import Progress
    from manual_registry.registry.workspace import Loaded, Workspace


def promote(
    work: Workspace,
    ref: str,
    *,
    to: str,
    reason: str | None,
    credentials: Credentials,
    progress: Progress | None,
) -> Result:
    """Change a version's stage; see :meth:`manual_registry.Registry.promote`."""
    wanted = stage(to)
    if wanted is Stage.ARCHIVED:
        raise not_by_promote(ref)
    before = work.load()
    state, record = before.state, find(work, before.state, ref)
    if record.stage == wanted.value:
        return _stands(work, "promote", record.ref)
    refuse_closed(state)
    work.trust(before, record.model)
    identity = identity_for(work, state, credentials, wanted)
    forward = wanted is not Stage.EXPERIMENTAL
    observed = observed_blake3(work, record, progress=progress) if forward else None
    beside = evidence_problems(work, record) if forward else []
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
                "promotion": identity.promotion(work, state, one, wanted, used, at),
                "observed": observed,
            }
            return Draft(type=kinds.PROMOTED, subject={"model": record.model, "version": record.version}, data=data)

        def review(state: State, found: list[RegistryError]) -> list[RegistryError]:
            # What only this machine can see: a policy file that differs, a file that is not as registered.
            other = [one for one in found if not isinstance(one, ArtefactChanged)]
            gone = observed != record.blake3 and forward
            seen = [changed(work, record, observed), *beside] if gone else beside
            other = approvals.wanted_anew(identity.reasons(other), record.ref, wanted)
            return [*seen, *work.policy_refusals(state), *other]

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
    leads = [one.email for one in loaded.state.active_leads() if not record.registered_by(one.email)]
    return work.result(
        "rollback",
        loaded,
        record,
        id=ratify,
        next=f"mreg approval sign {ratify} --as {leads[0] if leads else 'EMAIL'}",
        waiting_for=(f"a lead ratifies {ratify} within {ratifying.RATIFY_HOURS} hours",),
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


def rollback(
    work: Workspace,
    model: str,
    *,
    to: str,
    reason: str,
    credentials: Credentials,
    progress: Progress | None,
) -> Result:
    """Go back to a version that was in production; see :meth:`manual_registry.Registry.rollback`."""
    from manual_registry.registry.archiving import restored

    known = work.load()
    before, record = known.state, find(work, known.state, f"{model_name(model)}@{to}")
    if record.stage == Stage.PRODUCTION.value:
        return _stands(work, "rollback", record.ref)
    refuse_closed(before)
    work.trust(known, record.model)
    identity = identity_for(work, before, credentials, Stage.PRODUCTION)
    observed = observed_blake3(work, record, progress=progress)
    beside = evidence_problems(work, record)

    def build(state: State, at: str) -> Draft:
        one = state.versions[record.model, record.version]
        production = state.production(record.model)
        rests = last_used(state, one)
        used = {"id": rests.id, "sha256": statement_sha256(rests.statement)} if rests and rests.statement else None
        data: dict[str, Any] = {
            "replaces": production.version if production else None,
            "reason": reason,
            "approval": used,
            "promotion": identity.promotion(work, state, one, Stage.PRODUCTION, used, at),
            "observed": observed,
            "restored": one.bag is not None,
        }
        return Draft(type=kinds.ROLLED_BACK, subject={"model": record.model, "version": record.version}, data=data)

    def review(state: State, found: list[RegistryError]) -> list[RegistryError]:
        return [*beside, *work.policy_refusals(state), *identity.reasons(found)]

    with writing(work) as loaded:
        restored(work, loaded, record, build, review=review, progress=progress)
        after = loaded.state.versions[record.model, record.version]
    if after.steps[-1].approval is None:
        return work.result("rollback", loaded, after, next=_after(loaded, after))
    return _waits(work, loaded, after)
