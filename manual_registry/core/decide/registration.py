"""May this version be registered, may this be attached to it (clauses RP-1, RP-12, RP-16)?"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from manual_registry.core.approvals import CLOCK_SLACK
from manual_registry.core.canonical import decode
from manual_registry.core.decide.common import find, moment_of
from manual_registry.core.decide.forms import artefact_reasons, code_reasons, data_reasons, evidence_reasons
from manual_registry.core.errors import (
    ArchivedVersion,
    DateInFuture,
    DateOrder,
    EventUnreadable,
    FieldFilled,
    FieldMissing,
    GateModelMismatch,
    GateWeaker,
    MetricNotFinite,
    PolicyRefusal,
    RegistryError,
    ReservedVersion,
    TransitionForbidden,
    VersionCaseTaken,
    VersionTaken,
)
from manual_registry.core.gates import claim_problem, report_from, weaker_thresholds
from manual_registry.core.ledger import Event
from manual_registry.core.references import composite_id, data_content_hash
from manual_registry.core.state import State, VersionState
from manual_registry.core.times import is_date, parse_time
from manual_registry.core.values import Stage, label, line_text, model_name, version_name

#: What `attach` may fill when it is empty; code, data, config and artefact are fixed at registration (RP-1).
FILLABLE = (
    "pipeline_run",
    "hyperparameters",
    "metrics",
    "subgroup_metrics",
    "training_date",
    "owner",
    "origin",
    "description",
)
#: And beside them of a baseline entry, which may come without: the sheet did not say it in a form that can be checked.
FILLABLE_LATER = ("training_data", "code")


def taken(state: State, model: str, version: str) -> RegistryError | None:
    """Return the refusal for a version that exists, in whatever letter case, or is an alias of its model."""
    found = state.models.get(model)
    if found is None:
        return None
    standing = found.by_lower.get(version.lower())
    if standing == version:
        return VersionTaken(
            f"{model}@{version} exists; a version is never registered twice",
            location=f"{model}@{version}",
            clause="RP-1",
            hint=f"mreg register {model} next PATH",
        )
    if standing is not None:
        return VersionCaseTaken(
            f"{model}@{standing} exists; {version!r} differs in letter case only",
            location=f"{model}@{version}",
            clause="RP-1",
            hint=f"mreg register {model} next PATH",
        )
    if version.lower() in {alias.lower() for alias in found.aliases}:
        return ReservedVersion(
            f"{version!r} is an alias of {model}; choose another version", location=f"{model}@{version}", clause="RP-1"
        )
    return None


def registered(state: State, event: Event) -> list[RegistryError]:
    """Decide a registration: all that the risk class asks must be there (RP-16)."""
    ref = f"{event.subject['model']}@{event.subject['version']}"
    reasons = _brought(state, event)
    fatal = any(isinstance(one, VersionTaken | VersionCaseTaken | ReservedVersion) for one in reasons)
    return reasons if fatal else [*refuse_missing(missing_fields(state, event.data), ref), *reasons]


def adopted(state: State, event: Event) -> list[RegistryError]:
    """Decide a baseline entry: control from today, so fields may be missing; the stage is as the old sheet stated.

    A stated production is one per model, as everywhere; the class's conditions are asked at the next promotion.
    """
    stated, model = event.data["baseline"]["stage"], event.subject["model"]
    reasons = _brought(state, event)
    if stated not in {known.value for known in Stage}:
        reasons.append(EventUnreadable(f"a baseline entry in no stage of ours: {stated}"))
    line_text(event.data["baseline"].get("location") or "", where="location")
    kept, sha256 = event.data["baseline"].get("kept"), event.data["baseline"]["sha256"]
    if kept is not None and state.adopted.get(kept, sha256) != sha256:
        reasons.append(
            EventUnreadable(f"{kept} is another spreadsheet: it was adopted with other content", location=kept)
        )
    if stated == Stage.PRODUCTION.value and state.production(model) is not None:
        reasons.append(TransitionForbidden(f"{model}: two versions are stated to be in production", clause="RP-7"))
    return reasons


#: What a baseline repeats of each entry, beside its content.
_SAID = ("stage", "source", "sha256")


def baseline_opened(state: State, event: Event) -> list[RegistryError]:
    """Decide the opening of a baseline: it names versions as they were adopted from that sheet, each in one only."""
    data = event.data
    named = {(one["model"], one["version"]) for found in state.baselines.values() for one in found.versions}
    wrong = []
    for one in data["versions"]:
        name = (one["model"], one["version"])
        record = state.version(*name)
        adopted = record.adopted if record else None
        stands = (record.blake3, *(adopted[key] for key in _SAID)) if record and adopted else None
        if name in named or stands != (one["blake3"], one["stage"], data["source"], data["sha256"]):
            wrong.append("@".join(name))
        named.add(name)
    return [EventUnreadable(f"a baseline over what was not adopted so: {', '.join(wrong[:5])}")] if wrong else []


def _brought(state: State, event: Event) -> list[RegistryError]:
    model, version = model_name(event.subject["model"]), version_name(event.subject["version"])
    standing = taken(state, model, version)
    if standing is not None:
        return [standing]
    data = event.data
    return [
        *artefact_reasons(data["artefact"]),
        *code_reasons(data["code"]),
        *data_reasons(data["training_data"]),
        *evidence_reasons(data),
        *_tags(data["tags"]),
        *_gates(state, data["gates"], data["artefact"]),
        *_metrics(data["metrics"]),
        *_dates(data, event),
        *_identifier(model, version, data),
    ]


def missing_fields(state: State, data: Mapping[str, Any]) -> list[str]:
    """Return the names of fields that this registry asks of a registration and that are empty."""
    return [name for name in state.policy.required if _empty(name, data.get(name))]


def _empty(name: str, value: Any) -> bool:
    # A model without hyperparameters says so with {}; an empty mapping of metrics says nothing.
    return value is None if name == "hyperparameters" else value in (None, [], {}, "")


#: How each field is brought.
HOW = {
    "training_data": "--data dvc:COMMIT:PATH",
    "code": "--commit SHA --repo DIR",
    "training_date": "--trained DATE",
    "pipeline_run": "--pipeline-run ID",
    "hyperparameters": "--params FILE",
    "metrics": "--metrics FILE",
}


def refuse_missing(
    names: Iterable[str], ref: str, *, hint: str = "mreg register MODEL VERSION PATH --template metadata.yaml"
) -> list[RegistryError]:
    """Return a refusal for each field that is missing, with the option that would bring it."""
    return [
        FieldMissing(
            f"{ref}: {name} is missing ({HOW.get(name, 'in the --metadata file')})",
            location=name,
            clause="RP-16",
            hint=hint,
        )
        for name in names
    ]


def _gates(state: State, gates: Iterable[Mapping[str, Any]], artefact: Mapping[str, Any]) -> list[RegistryError]:
    reasons: list[RegistryError] = []
    for document in gates:
        report = report_from(document)
        problem = claim_problem(report)
        if problem is not None:
            reasons.append(problem)
        reasons += [
            GateWeaker(
                f"{told}: a report never asks less",
                location=f"gates.{report.gate}",
                clause="RP-12",
                hint="mreg policy show",
            )
            for told in weaker_thresholds(report, state.policy.thresholds)
        ]
        if report.model is not None and report.model not in (
            f"sha256:{artefact['sha256']}",
            f"blake3:{artefact['blake3']}",
        ):
            reasons.append(
                GateModelMismatch(
                    f"{report.gate} report: it is about {report.model}, but the artefact is sha256:{artefact['sha256']}",
                    location=f"gates.{report.gate}.model",
                    clause="RP-12",
                )
            )
    return reasons


def _metrics(metrics: Mapping[str, Any] | None) -> list[RegistryError]:
    return [
        MetricNotFinite(f"metrics.{name}: {value!r} is not a finite number", location=f"metrics.{name}")
        for name, value in decode(dict(metrics or {})).items()
        if type(value) is not int and not (type(value) is float and math.isfinite(value))
    ]


def _tags(tags: Mapping[str, Any]) -> list[RegistryError]:
    for key, value in tags.items():
        label(key, where="tag")
        line_text(value, where=f"tag {key}")
    return []


def _dates(data: Mapping[str, Any], event: Event) -> list[RegistryError]:
    reasons: list[RegistryError] = []
    given = [("training_date", data.get("training_date"))]
    given += [(f"gates.{gate['gate']}.evaluated_at", gate.get("evaluated_at")) for gate in data.get("gates", ())]
    for where, text in given:
        if text is not None and future(text, event):
            reasons.append(DateInFuture(f"{where}: {text} has not come yet", location=where, clause="RP-19"))
    return reasons


def future(text: str, event: Event) -> bool:
    """Tell whether ``text`` lies after the event; a bare date has the slack of the world's time zones."""
    slack = timedelta(hours=14) if is_date(text) else CLOCK_SLACK
    return parse_time(text) > moment_of(event) + slack


def identifier(model: str, version: str, data: Mapping[str, Any]) -> str:
    """Compute the composite version identifier of a registration."""
    code, config, prompt = data["code"], data["config"], data["prompt"]
    references = [(item["reference"], item["hash"]) for item in data["training_data"]]
    return composite_id(
        model=model,
        version=version,
        commit=code["commit"] if code else None,
        data_hash=data_content_hash(references),
        blake3=data["artefact"]["blake3"],
        config_sha256=config["sha256"] if config else None,
        prompt_sha256=prompt["sha256"] if prompt else None,
    )


def _identifier(model: str, version: str, data: Mapping[str, Any]) -> list[RegistryError]:
    if data["composite_id"] == identifier(model, version, data):
        return []
    return [PolicyRefusal(f"{model}@{version}: the composite identifier does not follow from its parts", clause="RP-1")]


def attached(state: State, event: Event) -> list[RegistryError]:
    """Decide an attachment: evidence may be added, empty fields filled, nothing changed."""
    record = find(state, event)
    if isinstance(record, RegistryError):
        return [record]
    data = event.data
    return not_archived(record) or [
        *_filled(record, data["fields"]),
        *_card_stands(record, data),
        *_late_code_and_data(data["fields"]),
        *evidence_reasons(data, record.evidence),
        *_gates(state, data["gates"], record.data["artefact"]),
        *_metrics(data["fields"].get("metrics")),
        *_dates({**data["fields"], "gates": data["gates"]}, event),
        *_after_deployment(record, data["fields"].get("training_date")),
    ]


def not_archived(record: VersionState) -> list[RegistryError]:
    """Return the refusal to attach to an archived version."""
    if record.stage != Stage.ARCHIVED.value:
        return []
    return [
        ArchivedVersion(
            f"{record.ref} is archived; its bag takes nothing more",
            clause="RP-5",
            hint=f"mreg unarchive {record.ref} --reason TEXT",
        )
    ]


def fillable(record: VersionState) -> tuple[str, ...]:
    """Return the fields of a version that `attach` may fill when they are empty."""
    return (*FILLABLE, *FILLABLE_LATER) if record.adopted else FILLABLE


def _late_code_and_data(fields: Mapping[str, Any]) -> list[RegistryError]:
    code, references = fields.get("code"), fields.get("training_data")
    return [
        *(code_reasons(code) if isinstance(code, dict) else []),
        *(data_reasons(references) if isinstance(references, list) else []),
    ]


def _filled(record: VersionState, fields: Mapping[str, Any]) -> list[RegistryError]:
    reasons: list[RegistryError] = []
    for name in fields:
        if name not in fillable(record):
            reasons.append(FieldFilled(f"{record.ref}: {name} is fixed at registration", location=name, clause="RP-1"))
        elif record.value(name) not in (None, [], {}, ""):
            reasons.append(
                FieldFilled(
                    f"{record.ref}: {name} is filled already; attach fills empty fields only",
                    location=name,
                    clause="RP-1",
                )
            )
    return reasons


def _card_stands(record: VersionState, data: Mapping[str, Any]) -> list[RegistryError]:
    reasons: list[RegistryError] = []
    for name, standing in (("environment", record.environment),):
        if data[name] is not None and standing is not None:
            reasons.append(FieldFilled(f"{record.ref}: it has its {name} file already", location=name, clause="RP-1"))
    return reasons


def _after_deployment(record: VersionState, training_date: str | None) -> list[RegistryError]:
    first = min((one.at for one in record.deployments), default=None)
    if training_date is None or first is None or parse_time(training_date) <= parse_time(first):
        return []
    return [
        DateOrder(
            f"{record.ref}: trained on {training_date}, but deployed at {first} already",
            location="training_date",
            clause="RP-19",
        )
    ]
