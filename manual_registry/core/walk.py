"""The provenance walk: from a version back to code, data, evaluation and signature (design 3.2, trace).

What was seen outside comes in as :class:`Seen`; this module says what it means, link by link;
:mod:`manual_registry.core.incident` says it in one paragraph. Rules held here: gates and approval are those of the step
that brought the version where it stands (or stood, when a time is asked about), judged by the reports and the policy of
that moment; what came later is told beside. A link that rests on a damaged event is broken.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from manual_registry.core import delegations, gate_exceptions
from manual_registry.core.canonical import decode
from manual_registry.core.documents import approver_of, signed_approval, storage_location
from manual_registry.core.errors import Json, RegistryError
from manual_registry.core.gates import report_from, shortfalls
from manual_registry.core.incident import paragraph, ratification
from manual_registry.core.links import LinkStatus, Trace, TraceLink
from manual_registry.core.sshsig import verify
from manual_registry.core.standing import Asked, approval_needed, decided, governed, policy_at
from manual_registry.core.state import Approver, Request, State, Step, VersionState
from manual_registry.core.stated import approval_link, as_stated, still_as_adopted
from manual_registry.core.statements import APPROVAL, APPROVAL_NAMESPACE, read_statement, version_subject
from manual_registry.core.values import Risk, Stage
from manual_registry.core.wording import continues_text, metrics_text, number_text

OK, KNOWN, GONE = LinkStatus.VERIFIED, LinkStatus.RECORDED, LinkStatus.MISSING
BAD, NONE = LinkStatus.BROKEN, LinkStatus.NOT_APPLICABLE


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """What looking at one thing outside gave: ``status`` (verified, recorded, broken) and a sentence."""

    status: LinkStatus
    message: str
    detail: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """Everything that was looked at. ``data`` has one entry per reference, ``evidence`` one per evidence path.

    ``damage``: kind of link -> a sentence about what is wrong with the event that it rests on (damaged, see
    :mod:`manual_registry.core.damage`, or in doubt); ``doubts``: the same of what is told but breaks nothing.
    """

    artefact: Look
    code: Look | None = None
    data: tuple[Look, ...] = ()
    deployment: Look | None = None
    evidence: Mapping[str, Look] = field(default_factory=dict)
    chain: Look = Look(status=LinkStatus.RECORDED, message="the ledger's chain was not checked")
    damage: Mapping[str, str] = field(default_factory=dict)
    doubts: Mapping[str, str] = field(default_factory=dict)


def worst(looks: list[Look]) -> LinkStatus:
    """Return the least reassuring status: broken, then recorded, then verified."""
    for status in (BAD, GONE, KNOWN):
        if any(look.status is status for look in looks):
            return status
    return OK


def walk(
    state: State, record: VersionState, seen: Seen, *, asked: Asked | None = None, warnings: tuple[str, ...] = ()
) -> Trace:
    """Compose the trace of ``record``; ``state`` may be the partial fold of its events and the control events.

    ``asked``: the time that was asked about; its last stay in production counts then, not the version's last step.
    """
    step = governed(record, asked)
    links: tuple[TraceLink, ...] = (
        _deployment(record, seen),
        _artefact(record, seen),
        _code(record, seen),
        _data(record, seen),
        _pipeline(state, record),
        _file(record, seen, "configuration", record.data["config"], needed=False),
        _file(record, seen, "prompt", record.data["prompt"], needed=False),
        _file(
            record,
            seen,
            "environment",
            record.environment,
            needed=_reached_production(record) and state.risk is Risk.HIGH,
        ),
        _evaluation(state, record),
        _gates(state, record, step, seen),
        _approval(state, record, step, asked),
        _history(state, record, seen),
    )
    links = tuple(_in_doubt(link, seen.doubts.get(link.kind)) for link in links)
    links = tuple(_on_damage(link, seen.damage.get(link.kind)) for link in links)
    needed = {"artefact", "code", "data"}
    if policy_at(state, record, step).gates.get(Stage(step.stage)):
        needed.add("gates")
    if approval_needed(state, record, step):
        needed.add("approval")
    return Trace(
        model=record.model,
        version=record.version,
        stage=record.stage,
        composite_id=record.composite_id,
        links=links,
        needed=frozenset(needed),
        paragraph=paragraph(state, record, links, step=step, later=_later(state, record, step), asked=asked),
        warnings=warnings,
    )


def _reached_production(record: VersionState) -> bool:
    return record.stage == Stage.PRODUCTION.value or record.was_production


def _on_damage(link: TraceLink, told: str | None) -> TraceLink:
    if told is None or link.status is NONE:
        return link
    return replace(link, status=BAD, summary=f"{link.summary}; {told}", detail={**link.detail, "damage": told})


def _in_doubt(link: TraceLink, told: str | None) -> TraceLink:
    if told is None or link.status is NONE:
        return link
    status = KNOWN if link.status is OK else link.status
    return replace(link, status=status, summary=f"{link.summary}; {told}", detail={**link.detail, "doubt": told})


def _deployment(record: VersionState, seen: Seen) -> TraceLink:
    detail: dict[str, Json] = {
        "deployments": [
            {"environment": one.environment, "at": one.at, "ended_at": one.ended_at, "path": one.path}
            for one in record.deployments
        ]
    }
    opened = record.open_deployments()
    if not record.deployments:
        owed = record.stage == Stage.PRODUCTION.value
        return TraceLink(
            kind="deployment",
            status=GONE if owed else NONE,
            summary=("in production, but no deployment is recorded" if owed else "never deployed")
            + as_stated(record, "deployment_date", "deployment_environment"),
            detail=detail,
        )
    if not opened:
        last = record.deployments[-1]
        return TraceLink(
            kind="deployment",
            status=KNOWN,
            summary=f"was in {last.environment} from {last.at} to {last.ended_at}",
            detail=detail,
        )
    where = ", ".join(f"{one.environment} since {one.at}" for one in opened)
    if seen.deployment is not None:
        detail |= dict(seen.deployment.detail)
        return TraceLink(
            kind="deployment",
            status=seen.deployment.status,
            summary=f"{where}; {seen.deployment.message}",
            detail=detail,
        )
    return TraceLink(kind="deployment", status=KNOWN, summary=where, detail=detail)


def _artefact(record: VersionState, seen: Seen) -> TraceLink:
    detail: dict[str, Json] = {
        "storage_location": storage_location(record),
        "blake3": record.blake3,
        "sha256": record.sha256,
        "size": record.data["artefact"]["size"],
        **seen.artefact.detail,
    }
    return TraceLink(kind="artefact", status=seen.artefact.status, summary=seen.artefact.message, detail=detail)


def _code(record: VersionState, seen: Seen) -> TraceLink:
    code = record.value("code")
    if code is None:
        return TraceLink(kind="code", status=GONE, summary="no commit was recorded" + as_stated(record, "code_commit"))
    look = seen.code or Look(status=KNOWN, message="the repository was not looked at")
    dirty = ", from a work tree with uncommitted changes" if code.get("dirty") else ""
    return TraceLink(
        kind="code",
        status=look.status,
        summary=f"commit {code['commit'][:12]}{dirty}: {look.message}",
        detail={**decode(code), **look.detail},
    )


def _data(record: VersionState, seen: Seen) -> TraceLink:
    references = record.training_data
    if not references:
        return TraceLink(
            kind="data", status=GONE, summary="no training data was recorded" + as_stated(record, "training_data")
        )
    detail: dict[str, Json] = {
        "references": [
            {**decode(item), "status": look.status.value, "message": look.message}
            for item, look in zip(references, seen.data, strict=True)
        ]
    }
    told = "; ".join(f"{item['reference']}: {look.message}" for item, look in zip(references, seen.data, strict=True))
    return TraceLink(kind="data", status=worst(list(seen.data)), summary=told, detail=detail)


def _pipeline(state: State, record: VersionState) -> TraceLink:
    run = record.value("pipeline_run")
    if run:
        return TraceLink(
            kind="pipeline", status=KNOWN, summary=f"run {run}", detail={"run": run, "ci": record.data["ci"]}
        )
    owed = "pipeline_run" in state.policy.required
    return TraceLink(kind="pipeline", status=GONE if owed else NONE, summary="no pipeline run was recorded")


def _file(record: VersionState, seen: Seen, kind: str, file: Mapping[str, Any] | None, *, needed: bool) -> TraceLink:
    if file is None:
        return TraceLink(kind=kind, status=GONE if needed else NONE, summary=f"no {kind} file")
    look = seen.evidence.get(file["path"], Look(status=KNOWN, message="not looked at"))
    return TraceLink(kind=kind, status=look.status, summary=f"{file['path']}: {look.message}", detail=dict(file))


def _evaluation(state: State, record: VersionState) -> TraceLink:
    metrics = decode(record.value("metrics") or {})
    if metrics:
        detail = {"metrics": metrics, "subgroup_metrics": decode(record.value("subgroup_metrics") or {})}
        return TraceLink(kind="evaluation", status=KNOWN, summary=metrics_text(metrics), detail=detail)
    owed = "metrics" in state.policy.required
    told = "no metrics were recorded" + as_stated(record, "metrics")
    return TraceLink(kind="evaluation", status=GONE if owed else NONE, summary=told)


def _gates(state: State, record: VersionState, step: Step, seen: Seen) -> TraceLink:
    """Judge the reports that the step rested on by the policy of that time; later ones are told beside."""
    policy, was_decided = policy_at(state, record, step), decided(record, step)
    needed = policy.gates.get(Stage(step.stage), ())
    counted = [gate for gate, seq in _brought(record) if not was_decided or seq < step.seq]
    latest, later = {gate["gate"]: gate for gate in counted}, _later(state, record, step)
    beside = f"; later: {later}" if later else ""
    detail: dict[str, Json] = {"gates": [decode(gate) for gate in record.gates]}
    missing = [name for name in needed if name not in latest]
    if not latest or missing:
        told = f"no report of {', '.join(missing)}" if missing else "no gate report"
        return TraceLink(kind="gates", status=GONE if missing else NONE, summary=told + beside, detail=detail)
    failed = {name: list(shortfalls(report_from(gate), state.policy.thresholds)) for name, gate in latest.items()}
    told_failed = [text for texts in failed.values() for text in texts]
    looks = [seen.evidence.get(gate["path"], Look(status=KNOWN, message="not looked at")) for gate in record.gates]
    broken = [look.message for look in looks if look.status is BAD]
    # What breaks the walk is a needed gate that was not passed when the step was taken. A policy that asks more since
    # then, or a gate that it does not ask for, is told and breaks nothing.
    thresholds = policy.thresholds if was_decided else {}
    let = {name: one for name in latest if (one := gate_exceptions.at_step(record, latest[name], step)) is not None}
    forged = [problem for one in let.values() if (problem := gate_exceptions.problem(state, one))]
    unmet = [name for name in needed if name not in let and shortfalls(report_from(latest[name]), thresholds)]
    told_let = [f"{name} let through by {gate_exceptions.text(one)}, signed by {one.by}" for name, one in let.items()]
    told = "; ".join(broken + forged + told_failed + told_let) or ", ".join(
        f"{name} passed{_interval(gate)}" for name, gate in latest.items()
    )
    status = BAD if broken or unmet or forged else worst(looks)
    return TraceLink(kind="gates", status=status, summary=told + beside, detail=detail)


def _brought(record: VersionState) -> list[tuple[Mapping[str, Any], int]]:
    """Return each gate report with the event that brought it."""
    return list(zip(record.gates, record.gate_seqs, strict=True))


def _later(state: State, record: VersionState, step: Step) -> str | None:
    """Say what the last report of each gate shows that came after the step; None: none came, or nothing was decided."""
    if not decided(record, step):
        return None
    latest = {gate["gate"]: (gate, seq) for gate, seq in _brought(record) if seq > step.seq}
    told = []
    for name, (gate, seq) in latest.items():
        short = shortfalls(report_from(gate), state.policy.thresholds)
        verdict = f"did NOT pass ({'; '.join(short)})" if short else "passed"
        told.append(f"a report of the {name} gate (event {seq}) {verdict}")
    return ", ".join(told) or None


def _interval(gate: Mapping[str, Any]) -> str:
    metric = gate["metrics"][0] if gate["metrics"] else None
    if metric is None:
        return ""
    lower = metric["direction"] == "lower"
    bound = metric.get("upper" if lower else "lower")
    end = f", {'upper' if lower else 'lower'} end {number_text(bound)}" if bound is not None else ""
    asked = f"{'at most' if lower else 'at least'} {number_text(metric['threshold'])}"
    return f" ({metric['name']} {number_text(metric['value'])}{end}; {asked} is asked)"


def signature_problem(state: State, request: Request) -> str | None:
    """Check a signed approval again: bytes, key, and that the approver was active at that place; None: good."""
    found = read_statement(request.statement or "")
    if found is None or request.signature is None or request.statement is None:
        return "the statement is not canonical"
    place = request.signed_seq or 0
    approver = state.approver_at(str(found["predicate"].get("approver")), place)
    if approver is None:
        return f"{found['predicate'].get('approver')} is not in the roster"
    if not approver.added_seq < place or (approver.revoked_seq is not None and approver.revoked_seq < place):
        return f"{approver.email} was not active at event {place}"
    try:
        key = verify(request.statement.encode("utf-8"), request.signature, namespace=APPROVAL_NAMESPACE)
    except RegistryError as problem:
        return problem.message
    if key.line() != approver.key:
        return f"signed with {key.fingerprint}, not with the key of {approver.email}"
    return _statement_problem(state, request, approver, found)


def _statement_problem(state: State, request: Request, approver: Approver, found: Mapping[str, Any]) -> str | None:
    """Say what of the statement is not about this approval: a good signature over something else is none."""
    record, said = state.versions[request.model, request.version], found["predicate"]
    if (found.get("predicateType"), found.get("subject")) != (APPROVAL, version_subject(record)):
        return "the statement is about other content"
    wanted = {"registry": {"id": state.registry_id}, "approval_id": request.id, "to": request.to}
    wrong = [name for name, value in {**wanted, "decision": "approved"}.items() if said.get(name) != value]
    if wrong:
        return f"the statement says otherwise: {', '.join(wrong)}"
    if not delegations.suffices(state, approver, request, said):
        return f"{approver.email} is {approver.role}, which does not suffice for {request.to}"
    if record.registered_by(approver.email):
        return f"{approver.email} registered the version"
    return None


def approval_behind(state: State, record: VersionState, step: Step, asked: Asked | None) -> Request | None:
    """Return the signed approval that the step rests on; None: there is none."""
    if asked is None:
        return signed_approval(state, record)
    request = state.requests.get(step.approval) if step.approval else None
    fits = request is not None and (request.model, request.version, request.to) == (
        record.model,
        record.version,
        step.stage,
    )
    return request if request is not None and request.statement and fits else None


def _approval(state: State, record: VersionState, step: Step, asked: Asked | None) -> TraceLink:
    request = approval_behind(state, record, step, asked)
    if request is None and still_as_adopted(record):
        return approval_link(state, record, owed=approval_needed(state, record, step))
    if request is None:
        owed = approval_needed(state, record, step)
        return TraceLink(kind="approval", status=GONE if owed else NONE, summary="no signed approval")
    problem = signature_problem(state, request)
    approver, issued_at = approver_of(request)
    found = read_statement(request.statement or "")
    said = found["predicate"] if found else {}
    person = state.approver_at(approver or "", request.signed_seq or 0)
    name = person.name if person else ""
    who = f"{name} <{approver}>".strip()
    delegation = said.get("delegation")
    who += f" (delegate, D{delegation.get('seq')})" if isinstance(delegation, dict) else ""
    told = f"{request.id} to {request.to}, by {who} on {issued_at}: "
    told += f"the signature does NOT hold: {problem}" if problem else "the signature is good"
    rolled = ratification(state, record, step)
    return TraceLink(
        kind="approval",
        status=BAD if problem else OK,
        summary=f"{told}; {rolled.rstrip('.')}" if rolled else told,
        detail={"id": request.id, "approver": approver, "name": name, "key": said.get("key"), "issued_at": issued_at,
                "to": request.to, "comment": said.get("comment"), "problem": problem},
    )  # fmt: skip


def _history(state: State, record: VersionState, seen: Seen) -> TraceLink:
    steps: list[Json] = [
        {"stage": step.stage, "at": step.at, "actor": step.actor, "event": step.seq, "approval": step.approval,
         "pipeline": step.pipeline, "reason": step.reason}
        for step in record.steps
    ]  # fmt: skip
    told = " -> ".join(f"{step.stage} {step.at[:10]}" for step in record.steps)
    before = f"; the registry continues {continues_text(state.continues)}" if state.continues else ""
    return TraceLink(
        kind="history",
        status=seen.chain.status,
        summary=f"{told}; {seen.chain.message}{before}",
        detail={
            "stages": steps,
            "events": list(record.event_seqs),
            "continues": dict(state.continues) if state.continues else None,
        },
    )
