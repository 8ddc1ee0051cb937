"""How it is told that something stands on the word of an adopted sheet: recorded, never verified (design 3.4).

Serves `trace`, the workbook, and the screen before a baseline is signed. What may rest on it is decided in :mod:`manual_registry.core.decide.baselines`.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final

from manual_registry.core.errors import ApprovalWanted, Json
from manual_registry.core.ledger import file_name
from manual_registry.core.links import LinkStatus, TraceLink
from manual_registry.core.state import Baseline, State, VersionState
from manual_registry.core.values import Stage

#: More models are not named one by one in a command to type.
_NAMED: Final = 8
_DATES: Final = (("approval_date", "approved on"), ("deployment_date", "deployed on"))


def still_as_adopted(record: VersionState) -> bool:
    """Tell whether the version stands in the stage that an adopted sheet stated."""
    return record.adopted is not None and len(record.steps) == 1


def stated_metrics(record: VersionState) -> list[str]:
    """Return the metrics that an adopted sheet states and that stayed text, in its own words, one of each column."""
    stated = record.adopted["stated"] if record.adopted else {}
    columns = {name: text for name, text in stated.items() if name.split("#")[0].split(".")[0] == "metrics"}
    if not columns:
        return []
    numbers = record.data.get("metrics") or {}
    found = []
    for name, text in columns.items():
        plain = " ".join(text.split())
        if name.startswith("metrics."):
            metric = name.removeprefix("metrics.")
            found += [] if metric in numbers else [f"{metric} {plain}"]
        elif not (numbers and (len(columns) == 1 or _is_numbers(text))):
            found.append(plain)
    return found


@lru_cache(maxsize=4096)
def _is_numbers(text: str) -> bool:
    """Tell whether `adopt` reads all of a text as metrics; a text is taken whole or not at all."""
    from manual_registry.core.adoption.metrics import parse_metrics  # noqa: PLC0415 - only some adopted sheets need it

    return parse_metrics(text) is not None


def check_notes(state: State, record: VersionState) -> list[str]:
    """Return what the Check cell of the workbook says of an adopted version; a "!" makes the row stand out."""
    found = record.adopted
    if found is None:
        return []
    told = []
    if record.stated_only:
        governed = record.stage in (Stage.STAGING.value, Stage.PRODUCTION.value)
        owed = governed and state.policy.needs_approval(Stage(record.stage), has_lead=state.has_lead)
        told.append(f"{'! ' if owed else ''}stage stated" + (", not confirmed by a lead" if state.has_lead else ""))
    stated = found["stated"]
    said = [f"approved by {stated['approver']}"] if stated.get("approver") else []
    said += [f"{word} {stated[name]}" for name, word in _DATES if stated.get(name)]
    told += [f"{found['source']} states: {', '.join(said)}"] if said else []
    words = stated_metrics(record)
    told += [f"metrics as stated, not read as numbers: {'; '.join(words)}"] if words else []
    return [*told, *(["files in place (mreg take-in)"] if record.location else [])]


def approval_link(state: State, record: VersionState, *, owed: bool) -> TraceLink:
    """Return trace's link for an approval that a sheet states: missing while one is ``owed`` and no lead confirmed it."""
    found = record.adopted or {}
    who, when = (found.get("stated", {}).get(name) for name in ("approver", "approval_date"))
    told = f"{found.get('source')} states {record.stage}" + (f", approved by {who}" if who else "")
    told += f" on {when}" if when else ""
    detail: dict[str, Json] = {"source": found.get("source"), "stated": {"approver": who, "approval_date": when}}
    baseline = state.baselines.get(record.confirmed or "")
    if baseline is not None:
        return TraceLink(
            kind="approval",
            status=LinkStatus.RECORDED,
            summary=f"{told}; {baseline.signer} confirmed that on {baseline.signed_at} ({baseline.id})",
            detail={**detail, "id": baseline.id, "confirmed_by": baseline.signer, "confirmed_at": baseline.signed_at},
        )
    if not (owed or who or when):
        return TraceLink(kind="approval", status=LinkStatus.NOT_APPLICABLE, summary="no signed approval")
    status = LinkStatus.MISSING if owed else LinkStatus.RECORDED
    return TraceLink(kind="approval", status=status, summary=f"{told}; no lead has confirmed it", detail=detail)


def approval_sentence(link: TraceLink) -> str:
    """Return the same for trace's paragraph."""
    if link.status is LinkStatus.NOT_APPLICABLE:
        return "No approval was asked for there."
    return f"No approval was signed here: {link.summary}."


def as_stated(record: VersionState, *fields: str) -> str:
    """Return what an adopted sheet states of ``fields`` that no field of ours could take up, for the end of a sentence."""
    stated = (record.adopted or {}).get("stated", {})
    found = [str(stated[name]) for name in fields if stated.get(name)]
    return f"; {(record.adopted or {}).get('source')} states {', '.join(found)}" if found else ""


def unnamed(state: State) -> list[VersionState]:
    """Return the baseline entries that no request names: the command that brought them was stopped before it asked."""
    named = {(one["model"], one["version"]) for found in state.baselines.values() for one in found.versions}
    return [record for name, record in state.versions.items() if record.adopted is not None and name not in named]


def command_again(source: str, records: Iterable[VersionState] = ()) -> str:
    """Return the command that goes on with what came from ``source``: a server's address, or the name of a sheet.

    ``records`` came from there: their models alone are named, so that no other one comes that nobody asked for.
    """
    if source.lower().startswith(("http://", "https://")):
        sheets = dict.fromkeys(str((one.adopted or {}).get("sheet")) for one in records)
        names = list(sheets) if len(sheets) <= _NAMED else []
        models = (word for name in names for word in ("--model", name))
        return shlex.join(["mreg", "import", "mlflow", "--tracking-uri", source, *models])
    return shlex.join(["mreg", "adopt", source])


def nobody_asked(record: VersionState) -> ApprovalWanted:
    """Return what is wrong with a baseline entry that owes a confirmation and that no request names."""
    source = str((record.adopted or {}).get("source"))
    return ApprovalWanted(
        f"{record.ref} was adopted in {(record.adopted or {}).get('stage')}, and no baseline names it that a lead could"
        f" confirm: bringing in {source} was stopped before it asked; the same command goes on",
        location=f"ledger/{file_name(record.seq)}",
        clause="RP-10",
        hint=command_again(source, [record]),
    )


def baseline_review(state: State, found: Baseline) -> dict[str, Any]:
    """Return what a lead reads before confirming a baseline: every version, production first, and what each lacks."""
    from manual_registry.core.decide.registration import missing_fields  # noqa: PLC0415 - a trace needs none of it

    versions = []
    for one in found.versions:
        record = state.version(one["model"], one["version"])
        stated = (record.adopted or {}).get("stated", {}) if record else {}
        there = {name: record.value(name) for name in state.policy.required} if record else {}
        versions.append(
            {
                **one,
                "approver": stated.get("approver"),
                "approval_date": stated.get("approval_date"),
                "missing": missing_fields(state, there) if record else [],
                "location": record.location if record else None,
            }
        )
    order = [stage.value for stage in (Stage.PRODUCTION, Stage.STAGING, Stage.EXPERIMENTAL, Stage.ARCHIVED)]
    versions.sort(key=lambda one: (order.index(one["stage"]) if one["stage"] in order else len(order), one["model"]))
    lacks = Counter(name for one in versions for name in one["missing"])
    return {
        "source": found.source,
        "sha256": found.sha256,
        "kept": next((path for path, sha256 in state.adopted.items() if sha256 == found.sha256), None),
        "stages": {stage: sum(one["stage"] == stage for one in versions) for stage in order},
        "missing": dict(lacks),
        "in_place": sum(one["location"] is not None for one in versions),
        "versions": versions,
    }
