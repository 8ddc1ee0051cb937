"""What several decisions ask: does the version exist, did its gates pass, may this step be approved so?"""

from __future__ import annotations

from datetime import datetime

from manual_registry.core import gate_exceptions
from manual_registry.core.errors import (
    CardIncomplete,
    EnvironmentMissing,
    GateFailed,
    GateMissing,
    ModelUnknown,
    RegistryError,
    VersionUnknown,
)
from manual_registry.core.gates import report_from, shortfalls, unmeasured
from manual_registry.core.ledger import Event
from manual_registry.core.state import State, VersionState
from manual_registry.core.times import parse_time
from manual_registry.core.values import Stage


def moment_of(event: Event) -> datetime:
    """Return the event's time as an aware datetime."""
    return parse_time(event.at)


def find(state: State, event: Event) -> VersionState | RegistryError:
    """Return the version that ``event`` is about, or the refusal that it does not exist."""
    model, version = event.subject["model"], event.subject["version"]
    record = state.version(model, version)
    if record is not None:
        return record
    return unknown(state, model, version)


def unknown(state: State, model: str, version: str) -> RegistryError:
    """Return the refusal for a version that is not there, with what is."""
    found = state.models.get(model)
    if found is None:
        return ModelUnknown(f"no model {model!r} in this registry", location=model, hint="mreg list")
    there = ", ".join(found.versions[-5:])
    return VersionUnknown(
        f"{model} has no version {version!r}; the latest are {there}",
        location=f"{model}@{version}",
        hint=f"mreg search model={model}",
    )


def gate_reasons(state: State, record: VersionState, to: Stage, moment: datetime) -> list[RegistryError]:
    """Return a reason for each gate of the policy that has no report or did not pass (clause RP-12).

    The report that came last counts; earlier ones of the same gate stay visible beside it. A failure is let through by
    an exception that has not ended at ``moment`` (RP-21).
    """
    latest = {gate["gate"]: gate for gate in record.gates}
    reasons: list[RegistryError] = []
    for name in state.policy.gates.get(to, ()):
        if name not in latest:
            reasons.append(
                GateMissing(
                    f"{record.ref}: no report of the {name} gate",
                    clause="RP-12",
                    hint=f"mreg attach {record.ref} --gates REPORT.json",
                )
            )
            continue
        if gate_exceptions.lets_through(record, name, moment) is not None:
            continue
        ended = gate_exceptions.for_gate(record, name)[-1:]
        reasons.extend(
            GateFailed(
                f"{record.ref}: {name} gate: {shortfall}"
                + "".join(f" (exception {one.id} ended on {one.expires})" for one in ended),
                clause="RP-12",
                hint=f"mreg attach {record.ref} --gates REPORT.json",
            )
            for shortfall in shortfalls(report_from(latest[name]), state.policy.thresholds)
        )
    if state.policy.gates.get(to):
        # A threshold of the policy that no report measures would else be passed by renaming the metric.
        reports = [report_from(gate) for gate in latest.values()]
        reasons += [
            GateFailed(
                f"{record.ref}: {sentence}", clause="RP-12", hint=f"mreg attach {record.ref} --gates REPORT.json"
            )
            for sentence in unmeasured(reports, state.policy.thresholds)
        ]
    return reasons


def document_reasons(state: State, record: VersionState, to: Stage) -> list[RegistryError]:
    """Return reasons for an incomplete card and a missing environment file (clause RP-12)."""
    reasons: list[RegistryError] = []
    if state.policy.needs_card(to):
        from manual_registry.core.metadata import card_missing  # noqa: PLC0415 - a trace needs none of it

        missing = card_missing(record.card["fields"] if record.card else {})
        if missing:
            reasons.append(
                CardIncomplete(
                    f"{record.ref}: the model card lacks {', '.join(missing)}",
                    clause="RP-12",
                    hint=f"mreg attach {record.ref} --card CARD.yaml",
                )
            )
    if state.policy.needs_environment(to) and record.environment is None:
        reasons.append(
            EnvironmentMissing(
                f"{record.ref}: no environment file (which packages, which versions)",
                clause="RP-12",
                hint=f"mreg attach {record.ref} --environment requirements.txt",
            )
        )
    return reasons
