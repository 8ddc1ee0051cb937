"""Record -> MLflow: which field goes where. docs/mlflow.md tells the same, and a test holds them together.

Rules held here: pure, and the same for an export, its later check, and whoever serves the register as MLflow's store;
everything depends on the ledger and the files' hashes alone; what does not fit is told, and stands whole in record.json.
:mod:`manual_registry.core.handover.back` is the other direction.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from manual_registry.core.canonical import decode, dump, encode, sha256_hex
from manual_registry.core.documents import version_row
from manual_registry.core.errors import SignatureFinding
from manual_registry.core.handover import limits, record
from manual_registry.core.handover.entities import (
    Dataset,
    File,
    Logged,
    Metric,
    ModelEntities,
    Registered,
    Run,
    VersionEntities,
    made_file,
)
from manual_registry.core.handover.flavours import ARTEFACT
from manual_registry.core.handover.limits import Notes
from manual_registry.core.ledger import Event
from manual_registry.core.manifest import Content, manifest_bytes
from manual_registry.core.metadata import CARD_FIELDS
from manual_registry.core.records import VersionState
from manual_registry.core.state import State
from manual_registry.core.statements import APPROVAL_NAMESPACE, PROMOTION_NAMESPACE, read_statement
from manual_registry.core.times import parse_time

#: Goes up when a version has other places or texts there: what earlier tools wrote (:mod:`earlier`) is then no edit, and
#: earlier tools leave alone what this one wrote. 2: a logged model has the run's params and metrics, a gate
#: all its reports.
MAPPING: Final = "2"
MAPPING_TAG: Final = "manual_registry.mapping"
PRODUCTION_ALIASES: Final = ("production", "champion")

REGISTRY_ID: Final = "manual_registry.registry_id"
MODEL: Final = "manual_registry.model"
VERSION: Final = "manual_registry.version"
COMPOSITE_ID: Final = "manual_registry.composite_id"
TAG: Final = "manual_registry.tag."
#: Said of the export itself, not of the version: written by it, left out of every comparison.
THROUGH: Final = "manual_registry.exported_through"
EXPORTING: Final = "manual_registry.exporting_through"
VERIFIED: Final = "manual_registry.verified"
PRODUCTION_ALIAS: Final = "manual_registry.production_alias"
ABOUT_EXPORT: Final = frozenset({THROUGH, EXPORTING, VERIFIED, PRODUCTION_ALIAS})
#: Names below which metrics of other kinds stand.
GATE: Final = "gate/"
SUBGROUP: Final = "subgroup/"
#: Files of the run that are ours.
OURS: Final = "manual_registry/"


def version_entities(
    state: State, found: VersionState, *, events: Sequence[Event], content: Content
) -> VersionEntities:
    """Return what ``found`` is in MLflow; ``content`` is its artefact, ``events`` the chain from event 1 on."""
    notes = Notes()
    identity = _identity(state, found)
    params, (metrics, earlier) = dict(_params(found, notes)), _last(_metrics(found, notes))
    return VersionEntities(
        model=found.model,
        version=found.version,
        run=Run(
            name=notes.text("run", "name", f"{found.model} {found.version}", limits.RUN_NAME),
            start=_trained(found, notes),
            end=_trained(found, notes),
            status="FINISHED",
            tags={**identity, **_run_tags(found, notes)},
            params=params,
            metrics=metrics,
            datasets=tuple(_datasets(found, notes)),
            files=tuple(_run_files(state, found, events, content, notes)),
            earlier=earlier,
        ),
        logged=Logged(
            name=_logged_name(found, notes),
            status="READY",
            tags=identity,
            params=params,
            metrics=metrics,
            files=tuple(
                File(
                    path=notes.path("model.file", f"{ARTEFACT}/{one.path}"),
                    size=one.size,
                    sha256=one.sha256,
                    origin=f"artefact/{one.path}",
                )
                for one in content.files
            ),
        ),
        registered=Registered(
            tags={**identity, **_version_tags(state, found, notes)},
            description=notes.text("version", "description", description(found), limits.DESCRIPTION),
        ),
        remarks=tuple(dict.fromkeys(notes.remarks)),
    )


def model_entities(state: State, model: str, *, production_alias: str = "production") -> ModelEntities:
    """Return what stands once for ``model``; its aliases name versions of ours."""
    notes = Notes()
    tags = {
        REGISTRY_ID: state.registry_id,
        MODEL: model,
        MAPPING_TAG: MAPPING,
        "aisdp.system": notes.text("experiment.tag", "aisdp.system", state.system, limits.VERSION_TAG_VALUE),
        "aisdp.risk_class": state.risk.value,
    }
    found = state.models[model]
    aliases = {notes.alias(name, taken=production_alias): version for name, version in found.aliases.items()}
    if found.production is not None:
        aliases[production_alias] = found.production
    return ModelEntities(
        model=model,
        experiment_tags=tags,
        model_tags=tags,
        description=f"Exported by manual-registry from registry {state.registry_id}; mreg export mlflow --verify-only checks it.",
        aliases=aliases,
        remarks=tuple(notes.remarks),
    )


def _identity(state: State, found: VersionState) -> dict[str, str]:
    return {
        REGISTRY_ID: state.registry_id,
        MODEL: found.model,
        VERSION: found.version,
        COMPOSITE_ID: found.composite_id,
    }


def _logged_name(found: VersionState, notes: Notes) -> str:
    name = limits.logged_model_name(found.model, found.version)
    if name != f"{found.model}-{found.version}":
        notes.add("model", f"{found.model}-{found.version}", "renamed", f"written as {name}; the tags keep the version")
    return name


def _millis(text: str) -> int:
    return round(parse_time(text).timestamp() * 1000)


def _moment(text: str, name: str, notes: Notes) -> int:
    """Return a time in milliseconds; MLflow knows none before 1970."""
    found = _millis(text)
    if found < 1:  # and 0 is taken for "now"
        notes.add("run.metric", name, "refused", f"{text} is not after 1970-01-01: written as its first millisecond")
    return max(found, 1)


def _trained(found: VersionState, notes: Notes) -> int:
    return _moment(found.value("training_date") or found.registered_at, "training date", notes)


# -- the run ------------------------------------------------------------------------------------------------


def _run_tags(found: VersionState, notes: Notes) -> dict[str, str]:
    code = found.value("code") or {}
    tags = {
        "mlflow.user": notes.text("run.tag", "mlflow.user", found.actor, limits.USER),
        "mlflow.source.name": found.value("pipeline_run") or found.value("origin") or "manual-registry",
        "mlflow.source.type": "JOB",
        "mlflow.source.git.commit": code.get("commit"),
        "mlflow.source.git.repoURL": code.get("repository"),
        "mlflow.note.content": found.value("description"),
    }
    return {name: _text(notes, "run.tag", name, value, limits.RUN_TAG_VALUE) for name, value in tags.items() if value}


def _text(notes: Notes, place: str, name: str, value: str, limit: int) -> str:
    """Return a text as a database takes it."""
    if not limits.plain(value):
        notes.add(place, name, "respelled", "holds control characters: written as JSON")
        value = json.dumps(value, ensure_ascii=False)
    return notes.text(place, name, value, limit)


def _params(found: VersionState, notes: Notes) -> Iterator[tuple[str, str]]:
    for name, value in (found.value("hyperparameters") or {}).items():
        text = value if isinstance(value, str) else dump(encode(decode(value))).decode().rstrip("\n")
        yield notes.key("run.param", name), _text(notes, "run.param", name, text, limits.PARAM_VALUE)


def _metrics(found: VersionState, notes: Notes) -> Iterator[Metric]:
    trained = _trained(found, notes)
    for name, value in (found.value("metrics") or {}).items():
        # A metric of that name is not to be taken for one of a gate.
        key = notes.key("run.metric", name, apart=(GATE, SUBGROUP))
        yield from _metric(key, value, trained, 0, notes)
    for attribute, groups in (found.value("subgroup_metrics") or {}).items():
        for group, metrics in groups.items():
            for name, value in metrics.items():
                key = notes.key("run.metric", SUBGROUP.rstrip("/"), attribute, group, name)
                yield from _metric(key, value, trained, 0, notes)
    reports: Counter[str] = Counter()
    for gate in found.gates:
        yield from _gate_metrics(gate, reports[gate["gate"]], notes)
        reports[gate["gate"]] += 1


def _last(metrics: Iterable[Metric]) -> tuple[tuple[Metric, ...], tuple[Metric, ...]]:
    """Return the last value of each metric, and those that a later report of the same gate came after."""
    last: dict[str, Metric] = {}
    earlier: list[Metric] = []
    for one in metrics:
        if one.name in last:
            earlier.append(last[one.name])
        last[one.name] = one
    return tuple(last.values()), tuple(earlier)


def _gate_metrics(gate: Mapping[str, Any], step: int, notes: Notes) -> Iterator[Metric]:
    at = _moment(gate["evaluated_at"], gate["gate"], notes)
    for metric in gate["metrics"]:
        for bound in ("value", "lower", "upper", "threshold"):
            if metric.get(bound) is not None:
                parts = (GATE.rstrip("/"), gate["gate"], metric["name"], *([] if bound == "value" else [bound]))
                yield from _metric(notes.key("run.metric", *parts), metric[bound], at, step, notes)


def _metric(key: str, value: Any, at: int, step: int, notes: Notes) -> Iterator[Metric]:
    number = decode(value)
    made = limits.double(number)
    if made is None:
        notes.add("run.metric", key, "refused", "does not fit a 64-bit float: left out; in record.json")
        return
    if made != number:
        notes.add("run.metric", key, "inexact", f"{number} is kept as {made!r}; exact in record.json")
    yield Metric(name=key, value=made, timestamp=at, step=step)


def _datasets(found: VersionState, notes: Notes) -> Iterator[Dataset]:
    """Yield the data references as training inputs, the gates' data sets as evaluation inputs.

    MLflow keeps one data set for each name and digest of an experiment, with the source that came first: what is in
    the source therefore follows from name and digest.
    """
    for item in found.data["training_data"]:
        reference, digest = str(item["reference"]), str(item["hash"])
        yield Dataset(
            name=notes.text("run.dataset", reference, reference, limits.DATASET_NAME),
            digest=_digest(reference, digest, notes),
            source_type=reference.partition(":")[0][: limits.DATASET_SOURCE_TYPE],
            source=_source({"reference": reference, "hash": digest}, reference, notes),
            context="training",
        )
    for text in dict.fromkeys(str(gate["evaluation_dataset"]) for gate in found.gates):
        if text:
            yield Dataset(
                name=_text(notes, "run.dataset", text[:60], text, limits.DATASET_NAME),
                digest=sha256_hex(text.encode())[: limits.DATASET_DIGEST],
                source_type="text",
                source=_source({"evaluation_dataset": text}, text[:60], notes),
                context="evaluation",
            )


def _digest(reference: str, digest: str, notes: Notes) -> str:
    if len(digest) > limits.DATASET_DIGEST:
        notes.add(
            "run.dataset", reference, "cut", f"the digest's first {limits.DATASET_DIGEST} characters; whole in source"
        )
    return digest[: limits.DATASET_DIGEST]


def _source(value: dict[str, str], name: str, notes: Notes) -> str:
    return notes.text("run.dataset", f"{name} source", json.dumps(value, ensure_ascii=False), limits.DATASET_SOURCE)


def _run_files(
    state: State, found: VersionState, events: Sequence[Event], content: Content, notes: Notes
) -> Iterator[File]:
    yield made_file(record.RECORD, record.record_bytes(state, found))
    yield made_file(record.EVENTS, record.events_bytes(found, events))
    yield made_file(f"{OURS}SHA256SUMS", manifest_bytes(content.files, "sha256"))
    yield made_file(f"{OURS}B3SUMS", manifest_bytes(content.files, "blake3"))
    for item in found.evidence:
        yield File(
            path=notes.path("run.file", f"{OURS}{item['path']}"),
            size=item["size"],
            sha256=item["sha256"],
            origin=str(item["path"]),
        )
    yield from approval_files(state, found)
    yield from promotion_files(found, events)


def approval_files(state: State, found: VersionState) -> Iterator[File]:
    """Yield each signed statement, its signature, and a line of allowed_signers that checks it with ssh-keygen."""
    for request in (state.requests[name] for name in found.requests):
        if request.statement is None or request.signature is None:
            continue
        place = f"{OURS}approvals/{request.id}.json"
        yield made_file(place, request.statement.encode())
        yield made_file(f"{place}.sig", request.signature.encode())
        said = read_statement(request.statement)
        if said is not None:
            yield from _signers(place, str(said["predicate"].get("approver")), APPROVAL_NAMESPACE, request.signature)


def promotion_files(found: VersionState, events: Sequence[Event]) -> Iterator[File]:
    """Yield the same of each promotion that a pipeline signed; an identity token stands in events.jsonl alone."""
    for event in (events[seq - 1] for seq in found.event_seqs):
        promotion = event.data.get("promotion")
        if promotion and "signature" in promotion and event.subject.get("version") == found.version:
            place = f"{OURS}approvals/P{event.seq}.json"
            yield made_file(place, promotion["statement"].encode())
            yield made_file(f"{place}.sig", promotion["signature"].encode())
            yield from _signers(place, promotion["pipeline"], PROMOTION_NAMESPACE, promotion["signature"])


def _signers(place: str, principal: str, namespace: str, signature: str) -> Iterator[File]:
    """Yield the line that names the key that signed: whose it is, and until when, the roster in the ledger says."""
    key = _signer(signature)
    if key is not None:
        yield made_file(f"{place}.allowed_signers", f'{principal} namespaces="{namespace}" {key}\n'.encode())


def _signer(signature: str) -> str | None:
    from manual_registry.core import sshsig  # noqa: PLC0415 - only where something was signed

    try:
        return sshsig.parse(signature).key.line()
    except SignatureFinding:
        return None


# -- the model version ----------------------------------------------------------------------------------------


def _version_tags(state: State, found: VersionState, notes: Notes) -> dict[str, str]:
    row = version_row(state, found)
    gates = {gate["gate"]: "passed" if gate["passed"] else "failed" for gate in found.gates}
    tags: dict[str, Any] = {
        "aisdp.storage_location": row["storage_location"],
        "aisdp.content_hash": f"blake3:{found.blake3}",
        "aisdp.training_data_version": "; ".join(row["training_data"]),
        "aisdp.code_commit": row["code_commit"],
        "aisdp.training_date": row["training_date"],
        "aisdp.evaluation_metrics": "; ".join(f"{name} {value}" for name, value in row["metrics"].items()),
        "aisdp.stage": found.stage,
        "aisdp.approver": row["approver"],
        "aisdp.approval_date": row["approval_date"],
        "aisdp.deployment_date": row["deployment_date"],
        "aisdp.validation_gates": "; ".join(f"{name} {word}" for name, word in gates.items()),
        "aisdp.pipeline_run": row["pipeline_run"],
        "aisdp.retention_until": row["retention_until"],
        "aisdp.owner": found.owner,
        "aisdp.system": state.system,
        "aisdp.risk_class": state.risk.value,
        "manual_registry.stage": found.stage,
        "manual_registry.sha256": found.sha256,
        "manual_registry.size": str(row["size"]),
        "manual_registry.registered_at": found.registered_at,
        "manual_registry.registered_by": found.actor,
        MAPPING_TAG: MAPPING,
    }
    tags |= {notes.key("version.tag", f"{TAG}{name}"): value for name, value in found.tags.items()}
    return {
        name: _text(notes, "version.tag", name, str(value), limits.VERSION_TAG_VALUE)
        for name, value in tags.items()
        if value not in (None, "")
    }


def description(found: VersionState) -> str:
    """Return the description of a model version: the version's own, then the parts of its card, as Markdown."""
    parts = [str(found.value("description") or "")]
    fields = found.card["fields"] if found.card else {}
    titles: Iterable[str] = [*(name for name in CARD_FIELDS if name in fields), *sorted(set(fields) - set(CARD_FIELDS))]
    parts += [f"## {name.replace('_', ' ').capitalize()}\n\n{fields[name]}" for name in titles if fields[name]]
    text = "\n\n".join(part for part in parts if part)
    return text if limits.plain(text) else "".join(char for char in text if limits.plain(char))


def with_mlmodel(entities: VersionEntities, data: bytes, copies: Mapping[str, str]) -> VersionEntities:
    """Return ``entities`` with MLmodel and ``copies``, ``{place: file of the artefact}``, in its logged model."""
    if entities.logged is None:
        return entities
    there = {one.origin: one for one in entities.logged.files}
    also = (replace(there[f"artefact/{path}"], path=place) for place, path in copies.items())
    files = (*entities.logged.files, *also, made_file("MLmodel", data))
    return replace(entities, logged=replace(entities.logged, files=files))
