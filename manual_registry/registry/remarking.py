"""`deploy`, `alias`, `tag`, `note`: facts beside a version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from manual_registry.core import events as kinds
from manual_registry.core.decide.remarks import replaced_deployments
from manual_registry.core.errors import ReasonMissing
from manual_registry.core.ledger import Draft
from manual_registry.core.state import State, VersionState
from manual_registry.core.times import parse_time, stamp
from manual_registry.core.values import free_text, label, line_text, model_name
from manual_registry.registry.access import writing
from manual_registry.registry.references import find

if TYPE_CHECKING:
    from manual_registry.core.results import Result
    from manual_registry.registry.workspace import Loaded, Workspace


def deploy(work: Workspace, ref: str, *, environment: str, at: str | None, path: str | None, end: bool) -> Result:
    """Record that a version is deployed (``end``: no longer); it ends the model's earlier deployment there."""
    label(environment, where="environment")
    when = stamp(parse_time(at, where="--at")) if at else None
    with writing(work) as loaded:
        record = find(work, loaded.state, ref)
        subject = {"model": record.model, "version": record.version}
        if _stands(record, environment, when, path, end=end):
            return work.result("deploy", loaded, record, next=f"mreg trace {record.ref}")

        def build(state: State, now: str) -> Draft:
            if end:
                return Draft(
                    type=kinds.DEPLOYMENT_ENDED, subject=subject, data={"environment": environment, "at": when or now}
                )
            replaces = replaced_deployments(state, state.versions[record.model, record.version], environment)
            data = {"environment": environment, "at": when or now, "path": path, "replaces": replaces}
            return Draft(type=kinds.DEPLOYED, subject=subject, data=data)

        work.append(loaded, build)
        after = loaded.state.versions[record.model, record.version]
    pending = [
        one
        for one in loaded.state.versions.values()
        if one.model == after.model and one.move_pending and not one.open_deployments()
    ]
    return work.result("deploy", loaded, after, next="mreg archive --pending" if pending else f"mreg trace {after.ref}")


def _stands(record: VersionState, environment: str, when: str | None, path: str | None, *, end: bool) -> bool:
    """Tell whether that deployment, or its end, is recorded already."""
    opened = record.open_deployments(environment)
    if not end:
        return any(path in (None, one.path) and when in (None, one.at) for one in opened)
    ended = [one for one in record.deployments if one.environment == environment]
    return not opened and any(when in (None, one.ended_at) for one in ended)


def alias_set(work: Workspace, model: str, name: str, version: str) -> Result:
    """Let an alias name a version."""
    with writing(work) as loaded:
        record = find(work, loaded.state, f"{model_name(model)}@{version}")
        if loaded.state.models[record.model].aliases.get(name) == record.version:
            return work.result("alias-set", loaded, record)
        draft = Draft(
            type=kinds.ALIAS_SET, subject={"model": record.model, "version": record.version}, data={"alias": name}
        )
        work.append(loaded, lambda _state, _at: draft)
    return work.result("alias-set", loaded, record, next=f"mreg show {record.model}@{name}")


def alias_remove(work: Workspace, model: str, name: str) -> Result:
    """Take an alias away; the events that set it stay."""
    with writing(work) as loaded:
        draft = Draft(type=kinds.ALIAS_REMOVED, subject={"model": model_name(model)}, data={"alias": name})
        found = loaded.state.models.get(model)
        if found and name not in found.aliases and _removed_before(loaded, draft):
            return work.result("alias-remove", loaded)
        work.append(loaded, lambda _state, _at: draft)
    return work.result("alias-remove", loaded)


def _removed_before(loaded: Loaded, draft: Draft) -> bool:
    wanted = (draft.type, draft.subject, draft.data)
    return any((event.type, event.subject, event.data) == wanted for event in loaded.events)


def tag(work: Workspace, ref: str, tags: Mapping[str, str]) -> Result:
    """Set tags; an earlier value of a key stays in the history."""
    for key, value in tags.items():
        label(key, where="tag")
        line_text(value, where=f"tag {key}")
    with writing(work) as loaded:
        record = find(work, loaded.state, ref)
        fresh = {key: value for key, value in tags.items() if record.tags.get(key) != value}
        if not fresh:
            return work.result("tag", loaded, record)
        draft = Draft(
            type=kinds.TAGGED, subject={"model": record.model, "version": record.version}, data={"tags": fresh}
        )
        work.append(loaded, lambda _state, _at: draft)
    return work.result("tag", loaded, record, next=f"mreg show {record.ref}")


def note(work: Workspace, ref: str, text: str) -> Result:
    """Add a note; the note that the same person left last is not repeated."""
    if not free_text(text, where="note").strip():
        raise ReasonMissing("an empty note says nothing", location="note")
    with writing(work) as loaded:
        record = find(work, loaded.state, ref)
        if record.notes and (record.notes[-1]["actor"], record.notes[-1]["text"]) == (work.actor, text):
            return work.result("note", loaded, record)
        draft = Draft(type=kinds.NOTED, subject={"model": record.model, "version": record.version}, data={"text": text})
        work.append(loaded, lambda _state, _at: draft)
    return work.result("note", loaded, record, next=f"mreg show {record.ref}")
