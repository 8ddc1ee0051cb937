"""MLflow -> record: what a version of theirs is in the register's terms.

A version that this tool exported brings its own record.json, which is taken whole once its tags vouch for it; of any
other, tags, params, metrics and data sets say what they can, and :attr:`Returned.not_kept` lists what has no place.
Pure, as :mod:`mapping` is.

Round trip (tests/handover/test_mapping.py): ``returned(version_entities(state, record), record_bytes)`` has the members
with which the version was registered.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from manual_registry.core.canonical import decode, dump, encode, parse
from manual_registry.core.errors import BadReference, BadValue, EventUnreadable
from manual_registry.core.handover import mapping
from manual_registry.core.handover.entities import Dataset, Run, VersionEntities
from manual_registry.core.handover.limits import unspelled
from manual_registry.core.handover.record import read_record
from manual_registry.core.references import mlflow_reference, own_hash, parse_reference
from manual_registry.core.times import stamp

_SHORTENED: Final = re.compile(r"… \[[0-9]+ characters, sha256:[0-9a-f]{64}\]\Z")
_REGISTERS: Final = ("manual_registry.", "aisdp.", "mlflow.")
_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
#: Params that are JSON of these beginnings were no plain text here.
_JSON: Final = ("{", "[", "true", "false", "null")


@dataclass(frozen=True, kw_only=True, slots=True)
class Returned:
    """A version as the register would keep it.

    ``members`` are those of a registration that could be told, ``tags`` the person's own; ``stage`` as stated there;
    ``whole``: they come from record.json and are those of the registration, not read out of MLflow's fields;
    ``document`` is that record, as :func:`read_record` gives it.
    """

    model: str
    version: str
    members: Mapping[str, Any]
    tags: Mapping[str, str]
    stage: str | None
    whole: bool
    not_kept: tuple[str, ...] = field(default=())
    document: Mapping[str, Any] | None = None


def identity(tags: Mapping[str, str]) -> tuple[str, str, str] | None:
    """Return (registry id, model, version) that an object's tags name; None: this tool did not make it."""
    found = tuple(tags.get(name) for name in (mapping.REGISTRY_ID, mapping.MODEL, mapping.VERSION))
    return (found[0], found[1], found[2]) if found[0] and found[1] and found[2] else None


def returned(entities: VersionEntities, *, record: bytes | None = None) -> Returned:
    """Return the version in the register's terms; ``record`` are the bytes of its record.json, where there is one.

    Raises what :func:`read_record` raises, :class:`BadValue` for a record.json that is another version's.
    """
    tags = entities.registered.tags if entities.registered is not None else {}
    if record is not None:
        return _whole(read_record(record), tags)
    own = identity(tags)
    model, version = (own[1], own[2]) if own else (entities.model, entities.version)
    members = _from_run(entities.run) if entities.run is not None else {}
    members["owner"] = tags.get("aisdp.owner") or members.get("owner")
    return Returned(
        model=model,
        version=version,
        members=members,
        tags=own_tags(tags),
        stage=tags.get("manual_registry.stage"),
        whole=False,
        not_kept=tuple(_not_kept(entities)),
    )


def _whole(document: Mapping[str, Any], tags: Mapping[str, str]) -> Returned:
    try:
        return _of_record(document, tags)
    except (KeyError, TypeError, AttributeError) as problem:
        raise EventUnreadable(f"record.json does not hold together: {problem}", location="record.json") from None


def _of_record(document: Mapping[str, Any], tags: Mapping[str, str]) -> Returned:
    said = (document["registry"]["id"], document["model"], document["version"])
    if identity(tags) not in (said, None):
        raise BadValue(f"record.json is that of {said[1]}@{said[2]}, the tags name another version")
    registration = {**document["registration"], **document["fields"]}
    return Returned(
        model=said[1],
        version=said[2],
        members=registration,
        tags=document["tags"],
        stage=document["row"]["stage"],
        whole=True,
        document=document,
    )


def own_tags(tags: Mapping[str, str], *, spelled: bool = True) -> dict[str, str]:
    """Return the tags that people gave, without those of this tool, of registers and of MLflow itself.

    ``spelled``: this tool wrote its own below ``manual_registry.tag.``, and their names are unspelled.
    """
    if not spelled:
        return {name: value for name, value in tags.items() if not name.startswith(_REGISTERS)}
    ours = {unspelled(name[len(mapping.TAG) :]): value for name, value in tags.items() if name.startswith(mapping.TAG)}
    theirs = {name: value for name, value in tags.items() if not name.startswith(_REGISTERS)}
    return {**theirs, **ours}


def _from_run(run: Run) -> dict[str, Any]:
    metrics: dict[str, float] = {}
    subgroups: dict[str, dict[str, dict[str, float]]] = {}
    for one in run.metrics:
        parts = [unspelled(part) for part in one.name.split("/")]
        if one.name.startswith(mapping.SUBGROUP) and len(parts) == 4:
            subgroups.setdefault(parts[1], {}).setdefault(parts[2], {})[parts[3]] = one.value
        elif not one.name.startswith(mapping.GATE):
            metrics[unspelled(one.name)] = one.value
    commit, repository = (run.tags.get(f"mlflow.source.git.{name}") for name in ("commit", "repoURL"))
    source = run.tags.get("mlflow.source.name")
    return {
        "code": {"commit": commit, "repository": repository} if commit else None,
        "training_data": [reference(one) for one in run.datasets if one.trains],
        "training_date": stamp(datetime.fromtimestamp((run.start or 0) / 1000, UTC)) if run.start else None,
        "hyperparameters": {unspelled(name): hyperparameter(value) for name, value in run.params.items()} or None,
        "metrics": metrics or None,
        "subgroup_metrics": subgroups or None,
        "pipeline_run": source if source != "manual-registry" else None,
        "description": run.tags.get("mlflow.note.content"),
        "owner": run.tags.get("mlflow.user"),
    }


def hyperparameter(text: str) -> Any:
    """Return a param as the value that it most likely was: a number, a bool, a list or mapping in JSON, else text.

    Nothing of the text is lost: what the value does not spell again, once it was kept, stays text (``0.10``, ``1.0``).
    """
    if not _NUMBER.fullmatch(text) and not text.startswith(_JSON):
        return text
    try:
        kept = encode(decode(json.loads(text)))
        line = dump(kept)
        again = decode(parse(line))
        return kept if text in (line.decode().rstrip("\n"), json.dumps(again, ensure_ascii=False)) else text
    except (ValueError, RecursionError, BadValue):
        return text


def reference(dataset: Dataset) -> dict[str, str]:
    """Return the reference and hash of a data set: ours as it was registered, any other by MLflow's name and digest."""
    try:
        source = json.loads(dataset.source)
    except (ValueError, RecursionError):
        source = None
    stated = source.get("reference") if isinstance(source, dict) else None
    try:
        ours = parse_reference(stated) if isinstance(stated, str) else None
    except BadReference:  # somebody else's source has a member of that name
        ours = None
    found = ours or parse_reference(mlflow_reference(dataset.name or "?", dataset.digest or "?"))
    known = source.get("hash") if ours is not None and isinstance(source, dict) else None
    return {"reference": found.text, "hash": own_hash(found) or str(known or dataset.digest)}


def is_shortened(value: str) -> bool:
    """Tell whether a value is what an export made of a longer one."""
    return _SHORTENED.search(value) is not None


def _not_kept(entities: VersionEntities) -> list[str]:
    """List what cannot come back out of MLflow's fields alone."""
    run, found = entities.run, []
    if run is not None:
        found += [f"param {name}: shortened there" for name, value in run.params.items() if is_shortened(value)]
        found += [f"metric {one.name}: step {one.step}" for one in run.metrics if one.step]
        found += [f"data set {one.name}: for {one.context}" for one in run.datasets if not one.trains]
        found += [f"tag {name} of the run" for name in run.tags if not name.startswith(("mlflow.", "manual_registry."))]
    if entities.registered is not None and entities.registered.description:
        found.append("description of the model version")
    return found
