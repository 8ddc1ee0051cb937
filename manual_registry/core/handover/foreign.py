"""A model version that this tool never exported, in the register's terms: what its run, tags and data sets say.

Rules held here, those of `adopt`: a field of ours is filled only with what is wholly understood, never with a date that
has not come yet or a number that is none; everything else that is said stays as stated; a name is changed by fixed rules
only. Params and metrics keep their names: nothing here was spelled by :mod:`limits`.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from manual_registry.core.adoption.importing import keepable
from manual_registry.core.adoption.words import StatedHash, parse_hash
from manual_registry.core.canonical import encode
from manual_registry.core.errors import BadValue, RegistryError
from manual_registry.core.handover import back, mapping
from manual_registry.core.handover.arrival import Arrival, Lost
from manual_registry.core.handover.doubting import doubt
from manual_registry.core.handover.entities import Metric, Run
from manual_registry.core.handover.offered import Offered, safe
from manual_registry.core.references import mlflow_reference, own_hash, parse_reference, without_credentials
from manual_registry.core.times import is_date, parse_time, stamp
from manual_registry.core.values import Stage, label, line_text

_COMMIT: Final = re.compile(r"[0-9a-fA-F]{40}|[0-9a-fA-F]{64}")
#: Tags that state a hash of the artefact.
_HASHES: Final = {"aisdp.content_hash": None, "manual_registry.sha256": "sha256", "manual_registry.blake3": "blake3"}
#: Tags that say what a field of ours would, or what is kept as stated under that name.
_TAKEN: Final = frozenset({"aisdp.stage", "manual_registry.stage", mapping.VERSION, "aisdp.owner", *_HASHES})
_STATED: Final = {
    "aisdp.approver": "approver",
    "aisdp.approval_date": "approval_date",
    "aisdp.deployment_date": "deployment_date",
    "aisdp.code_commit": "code_commit",
    "aisdp.training_data_version": "training_data",
    "aisdp.training_date": "training_date",
    "aisdp.evaluation_metrics": "metrics",
    "aisdp.pipeline_run": "pipeline_run",
}
#: A stated text that is longer than MLflow itself lets any be is kept in the snapshot alone.
_LONGEST: Final = 20_000
#: Alias -> the stage that it means where nothing else states one.
ALIAS_STAGES: Final = {"production": Stage.PRODUCTION.value, "staging": Stage.STAGING.value}
#: MLflow's own run tags that are told; the others are its bookkeeping (the snapshot has them all).
_RUN_TAGS: Final = {"mlflow.source.name": "source", "mlflow.source.type": "source_type"}


@dataclass(slots=True)
class _Reading:
    """One version while it is read."""

    offered: Offered
    now: datetime
    own: bool
    stated: dict[str, str] = field(default_factory=dict)
    lost: list[Lost] = field(default_factory=list)

    def state(self, name: str, value: object, why: str = "") -> None:
        """Keep ``value`` as stated; ``why`` it fills no field, told."""
        whole = str(value)
        text = safe(whole)[:_LONGEST]
        if len(whole) > _LONGEST:
            text += f"… [{len(whole)} characters, the snapshot has them all]"
            self.lost.append(Lost(field=name, reason="too long for an entry; the snapshot has all of it"))
        if text:
            self.stated[name] = text
            if why:
                self.lost.append(Lost(field=name, reason=f"{why}; kept as stated"))

    @property
    def run(self) -> Run | None:
        return self.offered.entities.run


def stage_of(offered: Offered) -> str:
    """Return the stage that a version states: by tag, else MLflow's own, else by alias; nothing said: experimental."""
    known = {one.value for one in Stage}
    tags = offered.tags
    told = [tags.get("manual_registry.stage", ""), tags.get("aisdp.stage", ""), offered.stage or ""]
    told += [ALIAS_STAGES[name] for name in ALIAS_STAGES if name in offered.aliases]
    return next((one.lower() for one in told if one.lower() in known), Stage.EXPERIMENTAL.value)


def read(offered: Offered, *, model: str, version: str, now: datetime) -> Arrival:
    """Return the arrival of a version out of MLflow's fields alone; ``now`` (aware): later dates fill no field."""
    own = offered.identity is not None
    reading = _Reading(offered=offered, now=now, own=own)
    members = _kept(back.returned(offered.entities).members) if own and offered.entities.run is not None else {}
    data: dict[str, Any] = {
        "training_data": _training_data(reading),
        "code": _code(reading),
        "training_date": _training_date(reading),
        "pipeline_run": _pipeline_run(reading, members),
        "hyperparameters": _hyperparameters(reading, members),
        "metrics": _metrics(reading, members),
        "subgroup_metrics": members.get("subgroup_metrics"),
        "evidence": [],
        "gates": [],
        "card": None,
        "config": None,
        "prompt": None,
        "environment": None,
        "owner": _owner(reading),
        "origin": None,
        "description": _description(reading),
        "tags": _tags(reading),
        "ci": None,
    }
    _rest(reading)
    return Arrival(
        offered=offered,
        model=model,
        version=version,
        stage=stage_of(offered),
        data=data,
        stated=reading.stated,
        aliases=tuple(name for name in offered.aliases if name not in ALIAS_STAGES),
        hashes=tuple(_hashes(reading)),
        own=own,
        lost=tuple(reading.lost),
    )


def _kept(value: Any) -> Any:
    """Return a value whose texts an event can hold."""
    if isinstance(value, str):
        return keepable(value)
    if isinstance(value, Mapping):
        return {keepable(str(name)): _kept(one) for name, one in value.items()}
    return [_kept(one) for one in value] if isinstance(value, list | tuple) else value


def line(text: str | None) -> str | None:
    """Return one line fit for a field of ours; control characters are blanks there (as stated, they are kept)."""
    plain = "".join(" " if unicodedata.category(char)[0] == "C" else char for char in text or "")
    return " ".join(plain.split()) or None


def moment(millis: int | None) -> str | None:
    """Return a time of MLflow's as a stamp; None for none, and for one that no calendar has."""
    if not millis or millis < 0:
        return None
    try:
        return stamp(datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=millis))
    except (OverflowError, ValueError):
        return None


# -- how it was made ----------------------------------------------------------------------------------------


def _training_data(reading: _Reading) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for one in reading.run.datasets if reading.run is not None else ():
        name = f"data set {keepable(one.name)}"
        if not one.trains:
            reading.lost.append(Lost(field=name, reason=f"for {keepable(one.context)}; the snapshot has it"))
            continue
        said = back.reference(one)
        item = _reference(said["reference"], said["hash"]) or _reference(mlflow_reference(one.name, one.digest), None)
        if item is None:
            reading.state(name, one.digest, "no reference of ours can be made of it")
            continue
        found.setdefault(item["reference"], item)
        if one.name != item["reference"]:
            reading.state(name, f"{one.digest}, {one.source}")
    text = reading.offered.tags.get("aisdp.training_data_version", "")
    if not found and text:
        for part in text.split("; "):
            item = _reference(part, None)
            if item is not None:
                found.setdefault(item["reference"], item)
        reading.state("training_data", text, "" if found else "not looked up; attach fills it in")
    return list(found.values())


def _reference(text: str, digest: str | None) -> dict[str, Any] | None:
    """Return a reference of ours with its hash; None where it has another spelling, or a hash that is not known."""
    try:
        reference = parse_reference(keepable(text))
    except RegistryError:
        return None
    own = own_hash(reference)
    if own is None and not digest:
        return None
    return {"reference": reference.text, "hash": own or digest, "detail": {}}


def _code(reading: _Reading) -> dict[str, Any] | None:
    tags: Mapping[str, str] = reading.run.tags if reading.run is not None else {}
    commit = tags.get("mlflow.source.git.commit") or reading.offered.tags.get("aisdp.code_commit") or ""
    repository = line(tags.get("mlflow.source.git.repoURL"))
    address = without_credentials(repository) if repository else None
    if _COMMIT.fullmatch(commit):
        return {
            "commit": commit.lower(),
            "repository": address,
            "path": None,
            "dirty": None,
            "author": None,
            "checked": False,
        }
    if commit:
        reading.state("code_commit", commit, "no full commit id")
    if address:
        reading.state("repository", address)
    return None


def _training_date(reading: _Reading) -> str | None:
    run = reading.run
    text = moment(run.end or run.start) if run is not None else None
    said = reading.offered.tags.get("aisdp.training_date")
    text = text or (keepable(said) if said else None)
    if text is None:
        return None
    try:
        late = parse_time(text) > reading.now + (timedelta(hours=14) if is_date(text) else timedelta())
        kept = text if is_date(text) else stamp(parse_time(text))
    except RegistryError:
        reading.state("training_date", text, "no date")
        return None
    if late:
        reading.state("training_date", text, "has not come yet")
        return None
    return kept


def _pipeline_run(reading: _Reading, members: Mapping[str, Any]) -> str | None:
    said = members.get("pipeline_run") or reading.offered.tags.get("aisdp.pipeline_run")
    if said:
        return line(keepable(said))
    return f"mlflow:{line(keepable(reading.offered.run_id))}" if reading.offered.run_id else None


def _hyperparameters(reading: _Reading, members: Mapping[str, Any]) -> Any:
    params = {**reading.offered.model_params, **(reading.run.params if reading.run is not None else {})}
    if reading.own and members.get("hyperparameters"):
        return members["hyperparameters"]
    for name in (name for name, value in params.items() if back.is_shortened(value)):
        reading.lost.append(Lost(field=f"param {keepable(name)}", reason="shortened there; as it stands there"))
    for name in (name for name, value in params.items() if len(value) > _LONGEST):
        reading.state(f"param {keepable(name)}", params[name])
    params = {name: value for name, value in params.items() if len(value) <= _LONGEST}
    if len(params) == 1 and next(iter(params)) in ("$int", "$float"):  # how the ledger spells a number
        reading.state(f"param {next(iter(params))}", next(iter(params.values())), "no name that can be kept alone")
        return None
    for name in (name for name, value in params.items() if safe(value) != keepable(value)):
        reading.lost.append(Lost(field=f"param {keepable(name)}", reason="a password in an address; left out"))
    return {keepable(name): back.hyperparameter(safe(value)) for name, value in params.items()} or None


def _metrics(reading: _Reading, members: Mapping[str, Any]) -> Any:
    found: dict[str, Metric] = {one.name: one for one in reading.offered.model_metrics}
    if reading.run is not None:
        found |= {one.name: one for one in reading.run.metrics}
    numbers = members.get("metrics") if reading.own else {keepable(name): one.value for name, one in found.items()}
    kept: dict[str, Any] = {}
    for name, value in (numbers or {}).items():
        if math.isfinite(value):
            kept[name] = value
        else:
            reading.state(f"metrics.{name}", value, "no finite number")
    last = reading.run.metrics if reading.run is not None else ()
    for one in found.values() if not reading.own else ():
        why = doubt(one, last)
        if why:
            reading.lost.append(Lost(field=f"metric {keepable(one.name)}", reason=why))
        others = reading.offered.history.told(one.name, "the snapshot")
        if one.step or others:
            reason = f"its last value{f', of step {one.step}' if one.step else ''}{f'; {others}' if others else ''}"
            reading.lost.append(Lost(field=f"metric {keepable(one.name)}", reason=reason))
    return encode(kept) if kept else None


# -- what is said of it -------------------------------------------------------------------------------------


def _owner(reading: _Reading) -> str | None:
    run_user = reading.run.tags.get("mlflow.user") if reading.run is not None else None
    return line(keepable(reading.offered.tags.get("aisdp.owner") or run_user or reading.offered.user or ""))


def _description(reading: _Reading) -> str | None:
    registered = reading.offered.entities.registered
    own = keepable(registered.description) if registered is not None else ""
    note = keepable(reading.run.tags.get("mlflow.note.content", "")) if reading.run is not None else ""
    if own and note and note != own and not reading.own:
        reading.state("run_description", note)
    text = note if reading.own else own or note
    if reading.own and own and own != note:
        reading.state("card", own, "text of the card")
    made = line(text[:_LONGEST])
    if made is not None and made != text:
        reading.state("description", text)
    return made


def _tags(reading: _Reading) -> dict[str, str]:
    kept: dict[str, str] = {}
    for name, value in back.own_tags(reading.offered.tags, spelled=reading.own).items():
        try:
            if len(value) > _LONGEST:
                raise BadValue("too long")
            kept[label(name, where="tag")] = line_text(keepable(value), where=f"tag {name}")
        except RegistryError:
            reading.state(f"tag {keepable(name)}", value, "no tag of ours can be called or say that")
    return kept


def _hashes(reading: _Reading) -> Iterator[StatedHash]:
    for name, algorithm in _HASHES.items():
        text = reading.offered.tags.get(name)
        if not text:
            continue
        found = parse_hash(text, algorithm=algorithm)
        if found is not None and {"sha256", "blake3"} & set(found.algorithms):
            yield found
        else:
            reading.state("content_hash", text, "a hash that cannot be checked")


def _rest(reading: _Reading) -> None:
    """State what is left: what the tags of other registers say, when and by whom it was registered there."""
    offered, run = reading.offered, reading.run
    for tag, name in _STATED.items():
        if tag in offered.tags and name not in reading.stated:
            reading.state(name, offered.tags[tag])
    for tag, value in offered.tags.items():
        if tag.startswith(("aisdp.", "manual_registry.")) and tag not in {*_TAKEN, *_STATED} and not reading.own:
            reading.state(f"tag {keepable(tag)}", value)
    tags = offered.tags if reading.own else {}
    reading.state("registered_at", tags.get("manual_registry.registered_at") or moment(offered.created) or "")
    reading.state("registered_by", tags.get("manual_registry.registered_by") or offered.user or "")
    if reading.own:
        reason = "nothing names its evidence, gates and environment without its record.json; the files stay in MLflow"
        reading.lost.append(Lost(field="evidence", reason=reason))
    reading.state(
        "stage", offered.tags.get("manual_registry.stage") or offered.tags.get("aisdp.stage") or offered.stage or ""
    )
    if run is None:
        reading.lost += [Lost(field="run", reason=one) for one in offered.remarks]
        return
    if run.lifecycle != "active":
        reading.lost.append(
            Lost(field="run", reason="it was deleted in MLflow; what it says is taken as long as it says it")
        )
    reading.state("run", f"{run.name} {offered.run_id}, {run.status}")
    for tag, value in run.tags.items():
        if tag in _RUN_TAGS and not reading.own:
            reading.state(_RUN_TAGS[tag], value)
        elif not tag.startswith(("mlflow.", "manual_registry.")):
            reading.state(f"run tag {keepable(tag)}", value, "a tag of the run")
