"""May this be deployed, named, tagged, noted, recorded?"""

from __future__ import annotations

from manual_registry.core.decide.baselines import unconfirmed
from manual_registry.core.decide.common import find
from manual_registry.core.decide.registration import future
from manual_registry.core.errors import (
    AliasUnknown,
    DateInFuture,
    DateOrder,
    DeploymentUnknown,
    DeployNotProduction,
    EventUnreadable,
    FieldFilled,
    RegistryError,
    ReservedVersion,
)
from manual_registry.core.ledger import Event
from manual_registry.core.state import Deployment, State, VersionState
from manual_registry.core.times import parse_time
from manual_registry.core.values import RESERVED_VERSIONS, Risk, Stage, free_text, label, line_text


def _when(record: VersionState, event: Event) -> list[RegistryError]:
    at, trained = event.data["at"], record.value("training_date")
    reasons: list[RegistryError] = []
    if future(at, event):
        reasons.append(DateInFuture(f"{record.ref}: {at} has not come yet", location="at", clause="RP-19"))
    if trained is not None and parse_time(trained) > parse_time(at):
        reasons.append(
            DateOrder(f"{record.ref}: deployed at {at}, but trained on {trained} only", location="at", clause="RP-19")
        )
    return reasons


def deployed(state: State, event: Event) -> list[RegistryError]:
    """Decide a deployment: to ``production`` only the production version, except in minimal risk (design 3.4)."""
    record = find(state, event)
    if isinstance(record, RegistryError):
        return [record]
    data = event.data
    label(data["environment"], where="environment")
    if data["path"] is not None:
        line_text(data["path"], where="path")
    reasons = _when(record, event)
    governed = data["environment"] == "production" and state.risk is not Risk.MINIMAL
    if governed and record.stage != Stage.PRODUCTION.value:
        reasons.append(
            DeployNotProduction(
                f"{record.ref} is in {record.stage}; only the production version is deployed to production",
                clause="RP-9",
                hint=f"mreg promote {record.ref} --to production",
            )
        )
    elif governed:
        reasons += unconfirmed(state, record)
    if list(data["replaces"]) != replaced_deployments(state, record, data["environment"]):
        reasons.append(EventUnreadable(f"{record.ref}: the event does not name the deployments that it ends"))
    starts = [one.at for other in data["replaces"] for one in _open(state, record.model, other, data["environment"])]
    if any(parse_time(start) > parse_time(data["at"]) for start in starts):
        reasons.append(
            DateOrder(
                f"{record.ref}: deployed at {data['at']}, before the deployment that it replaces",
                location="at",
                clause="RP-19",
            )
        )
    return reasons


def _open(state: State, model: str, version: str, environment: str) -> list[Deployment]:
    record = state.version(model, version)
    return record.open_deployments(environment) if record else []


def replaced_deployments(state: State, record: VersionState, environment: str) -> list[str]:
    """Return the versions of the model whose deployment in ``environment`` ends when ``record`` comes."""
    versions = state.models[record.model].versions
    return [name for name in versions if state.versions[record.model, name].open_deployments(environment)]


def deployment_ended(state: State, event: Event) -> list[RegistryError]:
    """Decide the end of a deployment: there must be an open one, begun before."""
    record = find(state, event)
    if isinstance(record, RegistryError):
        return [record]
    data = event.data
    opened = record.open_deployments(data["environment"])
    if not opened:
        return [
            DeploymentUnknown(
                f"{record.ref} is not deployed in {data['environment']}",
                location=record.ref,
                hint=f"mreg show {record.ref}",
            )
        ]
    reasons: list[RegistryError] = []
    if future(data["at"], event):
        reasons.append(DateInFuture(f"{record.ref}: {data['at']} has not come yet", location="at", clause="RP-19"))
    if any(parse_time(one.at) > parse_time(data["at"]) for one in opened):
        reasons.append(
            DateOrder(f"{record.ref}: the deployment began after {data['at']}", location="at", clause="RP-19")
        )
    return reasons


def alias_set(state: State, event: Event) -> list[RegistryError]:
    """Decide an alias: not a reserved word, not a version of its model."""
    record = find(state, event)
    if isinstance(record, RegistryError):
        return [record]
    name = label(event.data["alias"], where="alias")
    if name.lower() in RESERVED_VERSIONS:
        return [ReservedVersion(f"alias {name!r}: the word means something else here", location=name)]
    if name.lower() in state.models[record.model].by_lower:
        return [ReservedVersion(f"alias {name!r} is a version of {record.model}", location=name)]
    return []


def alias_removed(state: State, event: Event) -> list[RegistryError]:
    """Decide the removal of an alias: it must be there. (The event stays; nothing is lost.)"""
    model = state.models.get(event.subject["model"])
    if model is None or event.data["alias"] not in model.aliases:
        return [
            AliasUnknown(f"{event.subject['model']} has no alias {event.data['alias']!r}", location=event.data["alias"])
        ]
    return []


def tagged(state: State, event: Event) -> list[RegistryError]:
    """Decide tags: keys of the label grammar, values text without control characters."""
    record = find(state, event)
    if isinstance(record, RegistryError):
        return [record]
    for key, value in event.data["tags"].items():
        label(key, where="tag")
        line_text(value, where=f"tag {key}")
    return []


def noted(state: State, event: Event) -> list[RegistryError]:
    """Decide a note: text of several lines, at most 32,767 characters."""
    record = find(state, event)
    if isinstance(record, RegistryError):
        return [record]
    if not event.data["text"].strip():
        return [EventUnreadable("an empty note says nothing")]
    free_text(event.data["text"], where="note")
    return []


def recorded(state: State, event: Event) -> list[RegistryError]:
    """A recorded verification may always stand."""
    return []


#: So many cells that were put back are listed; their number is told in any case.
LISTED = 1000


def restored(state: State, event: Event) -> list[RegistryError]:
    """Decide that edits were put back: a remark about the workbook that changes nothing (RP-15)."""
    cells, count = event.data["cells"], event.data["count"]
    if not cells or len(cells) > LISTED or (count != len(cells) and not count > len(cells) == LISTED):
        return [EventUnreadable("the cells that were put back are not as many as the event says")]
    return []


#: What a person may edit in the workbook and `sync` takes as an edit (design 3.3).
EDITABLE = ("owner", "notes")


def edited(state: State, event: Event) -> list[RegistryError]:
    """Decide an edit that came from the workbook: of an editable field, made on the value that stands (RP-15)."""
    record = find(state, event)
    if isinstance(record, RegistryError):
        return [record]
    data = event.data
    if data["field"] not in EDITABLE:
        return [
            FieldFilled(
                f"{record.ref}: {data['field']} is not edited in the workbook", location=data["field"], clause="RP-15"
            )
        ]
    standing = record.owner if data["field"] == "owner" else record.notes_text
    if data["was"] != standing:
        return [
            FieldFilled(
                f"{record.ref}: {data['field']} was changed by somebody else meanwhile; sync again",
                location=data["field"],
                clause="RP-15",
                hint="mreg sync",
            )
        ]
    if data["value"] is not None:
        check = line_text if data["field"] == "owner" else free_text
        check(data["value"], where=data["field"])
    return []
