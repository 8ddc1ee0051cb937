"""The provenance walk: from a version back to code, data, evaluation and signature (design 3.2, trace).

What was seen outside comes in as :class:`Seen`; this module says what it means, link by link, and in one paragraph.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from manual_registry.core.canonical import decode
from manual_registry.core.documents import approver_of, signed_approval, storage_location
from manual_registry.core.errors import Json, RegistryError
from manual_registry.core.gates import report_from, shortfalls
from manual_registry.core.links import LinkStatus, Trace, TraceLink
from manual_registry.core.sshsig import verify
from manual_registry.core.state import Approver, Request, State, VersionState
from manual_registry.core.statements import APPROVAL, APPROVAL_NAMESPACE, read_statement, version_subject
from manual_registry.core.values import Risk, Role, Stage
from manual_registry.core.wording import metrics_text, number_text

OK, KNOWN, GONE, BAD, NONE = (
    LinkStatus.VERIFIED,
    LinkStatus.RECORDED,
    LinkStatus.MISSING,
    LinkStatus.BROKEN,
    LinkStatus.NOT_APPLICABLE,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """What looking at one thing outside gave: ``status`` (verified, recorded, broken) and a sentence."""

    status: LinkStatus
    message: str
    detail: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """Everything that was looked at. ``data`` has one entry per reference, ``evidence`` one per evidence path."""

    artefact: Look
    code: Look | None = None
    data: tuple[Look, ...] = ()
    deployment: Look | None = None
    evidence: Mapping[str, Look] = field(default_factory=dict)
    chain: Look = Look(status=LinkStatus.RECORDED, message="the ledger's chain was not checked")


def worst(looks: list[Look]) -> LinkStatus:
    """Return the least reassuring status: broken, then recorded, then verified."""
    for status in (BAD, GONE, KNOWN):
        if any(look.status is status for look in looks):
            return status
    return OK


def walk(state: State, record: VersionState, seen: Seen, *, warnings: tuple[str, ...] = ()) -> Trace:
    """Compose the trace of ``record``; ``state`` may be the partial fold of its events and the control events."""
    links = (
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
        _gates(state, record, seen),
        _approval(state, record),
        _history(record, seen),
    )
    needed = {"artefact", "code", "data"}
    if _gates_needed(state, record):
        needed.add("gates")
    if _approval_needed(state, record):
        needed.add("approval")
    return Trace(
        model=record.model,
        version=record.version,
        stage=record.stage,
        composite_id=record.composite_id,
        links=links,
        needed=frozenset(needed),
        paragraph=_paragraph(state, record, links, seen),
        warnings=warnings,
    )


def _reached_production(record: VersionState) -> bool:
    return record.stage == Stage.PRODUCTION.value or record.was_production


def _governed_stage(record: VersionState) -> Stage:
    """The stage whose conditions the version has met: an archived one counts as what it was archived from."""
    if record.stage != Stage.ARCHIVED.value:
        return Stage(record.stage)
    return Stage(record.steps[-2].stage) if len(record.steps) > 1 else Stage.EXPERIMENTAL


def _gates_needed(state: State, record: VersionState) -> bool:
    return bool(state.policy.gates.get(_governed_stage(record)))


def _approval_needed(state: State, record: VersionState) -> bool:
    stage = _governed_stage(record)
    unapproved = stage is Stage.STAGING and not record.staging_approved
    return not unapproved and state.policy.needs_approval(stage, has_lead=_had_lead(state, record, stage))


def _had_lead(state: State, record: VersionState, stage: Stage) -> bool:
    """Tell whether a lead was active when the version came into ``stage``: a later one was not asked."""
    place = next((step.seq for step in reversed(record.steps) if step.stage == stage.value), record.seq)
    return any(
        one.role is Role.LEAD and one.added_seq < place and (one.revoked_seq is None or one.revoked_seq > place)
        for one in state.approvers.values()
    )


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
            summary="in production, but no deployment is recorded" if owed else "never deployed",
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
        return TraceLink(kind="code", status=GONE, summary="no commit was recorded")
    look = seen.code or Look(status=KNOWN, message="the repository was not looked at")
    dirty = ", from a work tree with uncommitted changes" if code.get("dirty") else ""
    return TraceLink(
        kind="code",
        status=look.status,
        summary=f"commit {code['commit'][:12]}{dirty}: {look.message}",
        detail={**decode(code), **look.detail},
    )


def _data(record: VersionState, seen: Seen) -> TraceLink:
    references = record.data["training_data"]
    if not references:
        return TraceLink(kind="data", status=GONE, summary="no training data was recorded")
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
    return TraceLink(kind="evaluation", status=GONE if owed else NONE, summary="no metrics were recorded")


def _gates(state: State, record: VersionState, seen: Seen) -> TraceLink:
    needed = state.policy.gates.get(_governed_stage(record), ())
    latest = {gate["gate"]: gate for gate in record.gates}
    missing = [name for name in needed if name not in latest]
    if not latest or missing:
        status = GONE if missing else NONE
        return TraceLink(
            kind="gates", status=status, summary=f"no report of {', '.join(missing)}" if missing else "no gate report"
        )
    failed = {name: list(shortfalls(report_from(gate), state.policy.thresholds)) for name, gate in latest.items()}
    told_failed = [text for texts in failed.values() for text in texts]
    looks = [seen.evidence.get(gate["path"], Look(status=KNOWN, message="not looked at")) for gate in record.gates]
    broken = [look.message for look in looks if look.status is BAD]
    # What breaks the walk is a needed gate that its own report does not bear out. A policy that asks more since then, or
    # a gate that it does not ask for, is told and breaks nothing: the promotion was decided on the policy of its time.
    unmet = [name for name in needed if shortfalls(report_from(latest[name]))]
    status = BAD if broken or unmet else worst(looks)
    told = "; ".join(broken + told_failed) or ", ".join(
        f"{name} passed{_interval(gate)}" for name, gate in latest.items()
    )
    return TraceLink(
        kind="gates", status=status, summary=told, detail={"gates": [decode(gate) for gate in record.gates]}
    )


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
    approver = state.approvers.get(str(found["predicate"].get("approver")))
    if approver is None:
        return f"{found['predicate'].get('approver')} is not in the roster"
    place = request.signed_seq or 0
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
    if approver.role not in state.policy.signers(Stage(request.to)):
        return f"{approver.email} is {approver.role}, which does not suffice for {request.to}"
    if approver.email in record.registrants:
        return f"{approver.email} registered the version"
    return None


def _approval(state: State, record: VersionState) -> TraceLink:
    request = signed_approval(state, record)
    if request is None:
        owed = _approval_needed(state, record)
        return TraceLink(kind="approval", status=GONE if owed else NONE, summary="no signed approval")
    problem = signature_problem(state, request)
    approver, issued_at = approver_of(request)
    found = read_statement(request.statement or "")
    said = found["predicate"] if found else {}
    name = state.approvers[approver].name if approver in state.approvers else ""
    who = f"{name} <{approver}>".strip()
    told = f"{request.id} to {request.to}, by {who} on {issued_at}: "
    return TraceLink(
        kind="approval",
        status=BAD if problem else OK,
        summary=told + (f"the signature does NOT hold: {problem}" if problem else "the signature is good"),
        detail={"id": request.id, "approver": approver, "name": name, "key": said.get("key"), "issued_at": issued_at,
                "to": request.to, "comment": said.get("comment"), "problem": problem},
    )  # fmt: skip


def _history(record: VersionState, seen: Seen) -> TraceLink:
    steps: list[Json] = [
        {"stage": step.stage, "at": step.at, "actor": step.actor, "event": step.seq, "approval": step.approval,
         "pipeline": step.pipeline, "reason": step.reason}
        for step in record.steps
    ]  # fmt: skip
    told = " -> ".join(f"{step.stage} {step.at[:10]}" for step in record.steps)
    return TraceLink(
        kind="history",
        status=seen.chain.status,
        summary=f"{told}; {seen.chain.message}",
        detail={"stages": steps, "events": list(record.event_seqs)},
    )


def _minute(text: str) -> str:
    return text[:16].replace("T", " ") + " UTC"


def _paragraph(state: State, record: VersionState, links: tuple[TraceLink, ...], seen: Seen) -> str:
    by_kind = {link.kind: link for link in links}
    step = record.steps[-1]
    sentences = [
        f"{record.model} {record.version} ({state.system}, {state.risk} risk) has been in {record.stage} since {_minute(step.at)}"
    ]
    opened = record.open_deployments()
    sentences[0] += "".join(f", deployed to {one.environment} at {_minute(one.at)}" for one in opened) + "."
    sentences.append(_file_sentence(by_kind["artefact"]))
    sentences.append(_origin_sentence(record, by_kind["code"], by_kind["data"]))
    sentences.append(_approval_sentence(by_kind["approval"]))
    broken = [link.kind for link in links if link.status is BAD]
    gaps = [link.kind for link in links if link.status is GONE]
    sentences += [f"BROKEN: {', '.join(broken)}."] if broken else []
    sentences += [f"Missing: {', '.join(gaps)}."] if gaps else []
    return " ".join(sentences)


def _file_sentence(link: TraceLink) -> str:
    short = f"BLAKE3 {str(link.detail['blake3'])[:12]}"
    match link.status:
        case LinkStatus.VERIFIED:
            return f"Its file is unchanged since registration ({short}, hashed again just now)."
        case LinkStatus.RECORDED:
            return f"Its file was not hashed again ({short} as registered)."
    return f"Its file is NOT as registered: {link.summary}."


def _origin_sentence(record: VersionState, code: TraceLink, data: TraceLink) -> str:
    trained = record.value("training_date")
    when = f" on {trained[:10]}" if trained else ""
    references = ", ".join(item["reference"] for item in record.data["training_data"]) or "data that was not recorded"
    from_code = (
        f"with commit {record.value('code')['commit'][:12]}"
        if record.value("code")
        else "with code that was not recorded"
    )
    checks = {"code": code.status, "data": data.status}
    found = [name for name, status in checks.items() if status is OK]
    lost = [name for name, status in checks.items() if status is BAD]
    told = f" ({' and '.join(found)} found there just now)" if found else ""
    told += f" ({' and '.join(lost)} NOT found there)" if lost else ""
    return f"It was trained{when} on {references} {from_code}{told}."


def _approval_sentence(link: TraceLink) -> str:
    if link.status is GONE:
        return "No signed approval stands behind it, though one is needed."
    if link.status is NONE:
        return "No signed approval stands behind its last step; none was asked for there."
    who = (
        f"{link.detail['name']} <{link.detail['approver']}>"
        if link.detail.get("name")
        else str(link.detail["approver"])
    )
    good = "the signature is good" if link.status is OK else f"the signature does NOT hold ({link.detail['problem']})"
    return f"It was approved for {link.detail['to']} by {who} on {_minute(str(link.detail['issued_at']))}; {good}."
