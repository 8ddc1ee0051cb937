"""The paragraph of a trace, fit for an incident ticket: what runs or ran, since when, made of what, approved by whom."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from manual_registry.core import gate_exceptions
from manual_registry.core.errors import BadTime
from manual_registry.core.links import LinkStatus, TraceLink
from manual_registry.core.ratifying import RATIFY_HOURS
from manual_registry.core.standing import Asked, decided
from manual_registry.core.state import Request, State, Step, VersionState
from manual_registry.core.stated import approval_sentence, still_as_adopted
from manual_registry.core.statements import read_statement
from manual_registry.core.times import parse_time, stamp
from manual_registry.core.values import Stage


def production_periods(record: VersionState) -> list[tuple[str, str | None]]:
    """Return every stay of the version in production as (from, until), oldest first."""
    steps = record.steps
    return [
        (step.at, steps[index + 1].at if index + 1 < len(steps) else None)
        for index, step in enumerate(steps)
        if step.stage == Stage.PRODUCTION.value
    ]


def paragraph(
    state: State,
    record: VersionState,
    links: tuple[TraceLink, ...],
    *,
    step: Step,
    later: str | None,
    asked: Asked | None,
) -> str:
    """Return the sentences.

    ``step`` is the one that the approval and the gates stand behind; ``later`` what reports say that came after it.
    """
    by_kind = {link.kind: link for link in links}
    whose = f"{record.model} {record.version} ({state.system}, {state.risk} risk)"
    sentences = _then(record, whose, asked) if asked else _now(record, whose)
    sentences.append(_file_sentence(by_kind["artefact"]))
    sentences.append(_origin_sentence(record, by_kind["code"], by_kind["data"]))
    tell = approval_sentence if still_as_adopted(record) else _approval_sentence
    sentences.append(tell(by_kind["approval"]))
    sentences += _exceptions(record, step, by_kind["gates"])
    sentences += [told] if (told := ratification(state, record, step)) else []
    sentences += [f"Later: {later}."] if later else []
    broken = [link.kind for link in links if link.status is LinkStatus.BROKEN]
    gaps = [link.kind for link in links if link.status is LinkStatus.MISSING]
    sentences += [f"BROKEN: {', '.join(broken)}."] if broken else []
    sentences += [f"Missing: {', '.join(gaps)}."] if gaps else []
    return " ".join(sentences)


def _exceptions(record: VersionState, step: Step, gates: TraceLink) -> list[str]:
    """Say which gates did not pass and were let through when the step was taken, by whom and until when."""
    at_hand = {
        str(report["gate"]): report
        for report, seq in zip(record.gates, record.gate_seqs, strict=True)
        if seq < step.seq or not decided(record, step)
    }
    found = [one for report in at_hand.values() if (one := gate_exceptions.at_step(record, report, step)) is not None]
    told = [
        f"Its {one.gate} gate did NOT pass: {one.by} let it through until {one.expires} ({one.id}: {one.justification})."
        for one in found
    ]
    doubt = gates.detail.get("damage") or gates.detail.get("doubt")
    return [*told, f"But {doubt}."] if found and doubt else told


def _now(record: VersionState, whose: str) -> list[str]:
    step = record.steps[-1]
    where = record.stage if record.stage == Stage.ARCHIVED.value else f"in {record.stage}"
    told = f"{whose} has been {where} since {_minute(step.at)}"
    if still_as_adopted(record):
        told = f"{whose} was adopted in {record.stage} at {_minute(step.at)}, as stated"
    told += "".join(f", deployed to {one.environment} at {_minute(one.at)}" for one in record.open_deployments())
    sentences = [f"{told}."]
    past = [(since, until) for since, until in production_periods(record) if until is not None]
    if past and record.stage != Stage.PRODUCTION.value:
        sentences.append(f"It was in production {_periods(past)}.")
    if _came_back(record):
        sentences.append("It came out of the archive: what staging asks is asked again before it goes to production.")
    return sentences


def _came_back(record: VersionState) -> bool:
    """Tell whether the version stands where `unarchive` put it."""
    before = record.steps[-2].stage if len(record.steps) > 1 else None
    return (before, record.stage) == (Stage.ARCHIVED.value, Stage.STAGING.value)


def _then(record: VersionState, whose: str, asked: Asked) -> list[str]:
    """Say where the version stood and what it was deployed to at the time that was asked about."""
    told = f"{whose} was in production at {asked.at}: {_periods(asked.stays)}"
    first, last = asked.stays[0][0], asked.stays[-1][1]
    for one in record.deployments:
        if (last is None or one.at < last) and (one.ended_at is None or one.ended_at > first):
            until = f" until {_minute(one.ended_at)}" if one.ended_at else ""
            told += f", deployed to {one.environment} from {_minute(one.at)}{until}"
    there = record.stage == Stage.PRODUCTION.value and last is None
    return [f"{told}.", *([] if there else [f"Now it is in {record.stage}, since {_minute(record.steps[-1].at)}."])]


def _periods(stays: Sequence[tuple[str, str | None]]) -> str:
    return " and ".join(
        f"from {_minute(since)} to {_minute(until)}" if until else f"since {_minute(since)}, and is still"
        for since, until in stays
    )


def ratification(state: State, record: VersionState, step: Step) -> str | None:
    """Say whether a lead has ratified the rollback that ``step`` was; None: it was none, or nobody had to."""
    found = ratifying(state, record, step)
    if found is None:
        return None
    told = f"A rollback brought it back (event {step.seq})"
    if found.status == "used" and found.statement:
        said = read_statement(found.statement)
        who = said["predicate"].get("approver") if said else None
        return f"{told}, ratified by {who} ({found.id})."
    if found.status == "rejected":
        return f"{told}, and a lead REJECTED that ({found.id})."
    return f"{told}, which no lead has ratified yet ({found.id}, due {_minute(_due(found.at))})."


def ratifying(state: State, record: VersionState, step: Step) -> Request | None:
    """Return the request that asks a lead to ratify the rollback that ``step`` was."""
    asked = [state.requests[name] for name in record.requests]
    return next((one for one in asked if one.ratifies == step.seq), None)


def _due(at: str) -> str:
    try:
        return stamp(parse_time(at) + timedelta(hours=RATIFY_HOURS))
    except (BadTime, OverflowError):  # a hand-made event; `verify` tells it
        return at


def _minute(text: str) -> str:
    return text[:16].replace("T", " ") + " UTC"


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
    references = ", ".join(item["reference"] for item in record.training_data) or "data that was not recorded"
    from_code = (
        f"with commit {record.value('code')['commit'][:12]}"
        if record.value("code")
        else "with code that was not recorded"
    )
    checks = {"code": code.status, "data": data.status}
    found = [name for name, status in checks.items() if status is LinkStatus.VERIFIED]
    lost = [name for name, status in checks.items() if status is LinkStatus.BROKEN]
    told = f" ({' and '.join(found)} found there just now)" if found else ""
    told += f" ({' and '.join(lost)} NOT found there)" if lost else ""
    return f"It was trained{when} on {references} {from_code}{told}."


def _approval_sentence(link: TraceLink) -> str:
    if link.status is LinkStatus.MISSING:
        return "No signed approval stands behind it, though one is needed."
    if link.status is LinkStatus.NOT_APPLICABLE:
        return "No signed approval stands behind its last step; none was asked for there."
    who = (
        f"{link.detail['name']} <{link.detail['approver']}>"
        if link.detail.get("name")
        else str(link.detail["approver"])
    )
    problem, doubt = link.detail.get("problem"), link.detail.get("damage") or link.detail.get("doubt")
    good = f"the signature does NOT hold ({problem})" if problem else "the signature is good"
    if doubt and not problem:
        good = f"the signature holds, but NOTHING can rest on it: {doubt}"
    return f"It was approved for {link.detail['to']} by {who} on {_minute(str(link.detail['issued_at']))}; {good}."
