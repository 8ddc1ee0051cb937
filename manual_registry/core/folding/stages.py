"""Events that move a version: promotions, rollbacks, archiving, deployments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from manual_registry.core.folding.marks import enter, open_request, touch
from manual_registry.core.oidc import read_token
from manual_registry.core.records import Deployment, VersionState
from manual_registry.core.values import Stage

if TYPE_CHECKING:
    from manual_registry.core.ledger import Event
    from manual_registry.core.state import State


def _use(state: State, approval: Mapping[str, Any] | None, seq: int) -> str | None:
    if approval is None:
        return None
    request = state.requests.get(approval["id"])
    if request is not None:
        request.status, request.used_seq = "used", seq
    return str(approval["id"])


def _spend(state: State, event: Event) -> None:
    """A pipeline's identity token is good once."""
    token = read_token(str((event.data["promotion"] or {}).get("token", "")))
    for one in token.ids if token else ():
        state.tokens.setdefault(one, event.seq)


def _replace(state: State, event: Event) -> None:
    replaced = event.data["replaces"]
    if replaced is not None:
        record = touch(state, event, replaced)
        if record is not None:
            enter(state, record, event, Stage.ARCHIVED.value)


def promoted(state: State, event: Event) -> None:
    """Fold ``version.promoted``."""
    _spend(state, event)
    _replace(state, event)
    record = touch(state, event)
    if record is None:
        return
    used = _use(state, event.data["approval"], event.seq)
    enter(state, record, event, event.data["to"], approval=used)
    record.staging_approved = {
        Stage.STAGING.value: True,
        Stage.EXPERIMENTAL.value: False,
    }.get(record.stage, record.staging_approved)


def rolled_back(state: State, event: Event) -> None:
    """Fold ``version.rolled-back``."""
    _spend(state, event)
    _replace(state, event)
    record = touch(state, event)
    if record is None:
        return
    rests = event.data["approval"]
    enter(state, record, event, Stage.PRODUCTION.value, approval=rests["id"] if rests else None)
    record.bag = None
    if rests:  # a rollback that needed no approval needs no lead to ratify it
        open_request(
            state,
            event,
            record,
            kind="stage",
            before=Stage.ARCHIVED.value,
            to=Stage.PRODUCTION.value,
            ratifies=event.seq,
        )


def archived(state: State, event: Event) -> None:
    """Fold ``version.archived``."""
    record = touch(state, event)
    if record is not None:
        used = _use(state, event.data["approval"], event.seq)
        enter(state, record, event, Stage.ARCHIVED.value, approval=used)


def moved(state: State, event: Event) -> None:
    """Fold ``version.moved``."""
    record = touch(state, event)
    if record is not None:
        record.bag = event.data["bag"]
        record.bags.append({**event.data, "seq": event.seq, "at": event.at})


def unarchived(state: State, event: Event) -> None:
    """Fold ``version.unarchived``."""
    record = touch(state, event)
    if record is not None:
        enter(state, record, event, Stage.STAGING.value)
        record.bag, record.staging_approved = None, False


def deployed(state: State, event: Event) -> None:
    """Fold ``deployment.started``."""
    data = event.data
    for replaced in data["replaces"]:
        other = state.versions.get((event.subject["model"], replaced))
        if other is not None:
            if replaced != event.subject["version"]:
                other.event_seqs.append(event.seq)
            _end(other, data["environment"], data["at"])
    record = touch(state, event)
    if record is not None:
        record.deployments.append(
            Deployment(environment=data["environment"], at=data["at"], path=data["path"], seq=event.seq)
        )


def deployment_ended(state: State, event: Event) -> None:
    """Fold ``deployment.ended``."""
    record = touch(state, event)
    if record is not None:
        _end(record, event.data["environment"], event.data["at"])


def _end(record: VersionState, environment: str, at: str) -> None:
    for one in record.open_deployments(environment):
        one.ended_at = at
