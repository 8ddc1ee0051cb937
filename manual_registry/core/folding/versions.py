"""Events about what a version is: registered, attached, named, remarked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from manual_registry.core.folding.marks import lapse, touch
from manual_registry.core.records import ModelState, Step, TimeAnchor, VersionState
from manual_registry.core.values import Stage

if TYPE_CHECKING:
    from manual_registry.core.ledger import Event
    from manual_registry.core.state import State

#: Longer notes than one cell of a workbook holds stay what the sheet stated; `show` has them.
_ONE_CELL: Final = 32_767


def registered(state: State, event: Event) -> None:
    """Fold ``version.registered`` and ``version.adopted``."""
    model, version, data = event.subject["model"], event.subject["version"], event.data
    baseline = data.get("baseline")
    stage = baseline["stage"] if baseline else Stage.EXPERIMENTAL.value
    record = VersionState(
        model=model,
        version=version,
        seq=event.seq,
        registered_at=event.at,
        actor=event.actor,
        data=data,
        evidence=list(data["evidence"]),
        gates=list(data["gates"]),
        gate_seqs=[event.seq] * len(data["gates"]),
        card=data["card"],
        environment=data["environment"],
        tags=dict(data["tags"]),
        owner=data["owner"],
        stage=stage,
        steps=[Step(stage=stage, seq=event.seq, at=event.at, actor=event.actor)],
        event_seqs=[event.seq],
    )
    if baseline:
        _stated(state, record, baseline)
    if (model, version) in state.versions:
        return  # a doubled registration is a finding; the first one stands
    state.versions[model, version] = record
    found = state.models.get(model)
    if found is None:
        found = state.models[model] = ModelState(name=model)
    found.versions.append(version)
    found.by_lower.setdefault(version.lower(), version)
    if stage == Stage.PRODUCTION.value:
        found.production = version
    elif stage == Stage.ARCHIVED.value:
        record.archived_seq = event.seq


def _stated(state: State, record: VersionState, baseline: Mapping[str, Any]) -> None:
    """Take up what an adopted sheet says beside the fields: notes, where the files lie, where the sheet is kept."""
    notes = baseline["stated"].get("notes")
    record.notes_text = notes if notes and len(notes) <= _ONE_CELL else None
    record.location = baseline.get("location")
    if record.stage == Stage.PRODUCTION.value:
        # Where nobody need sign for production, nobody need confirm that it was there.
        record.was_production = not state.policy.needs_approval(Stage.PRODUCTION, has_lead=state.has_lead)
    if "kept" in baseline:
        state.adopted.setdefault(baseline["kept"], baseline["sha256"])


def taken_in(state: State, event: Event) -> None:
    """Fold ``version.taken-in``."""
    record = touch(state, event)
    if record is not None:
        record.location = None


def attached(state: State, event: Event) -> None:
    """Fold ``version.attached``."""
    record = touch(state, event)
    if record is None:
        return
    data = event.data
    record.evidence.extend(data["evidence"])
    record.gates.extend(data["gates"])
    record.gate_seqs.extend([event.seq] * len(data["gates"]))
    record.card = data["card"] or record.card
    record.environment = data["environment"] or record.environment
    record.fields.update({name: value for name, value in data["fields"].items() if value is not True})
    record.owner = record.owner or data["fields"].get("owner")
    record.attached_seq = event.seq
    lapse(state, record)


def alias_set(state: State, event: Event) -> None:
    """Fold ``alias.set``."""
    touch(state, event)
    model = state.models.get(event.subject["model"])
    if model is not None:
        model.aliases[event.data["alias"]] = event.subject["version"]


def alias_removed(state: State, event: Event) -> None:
    """Fold ``alias.removed``."""
    model = state.models.get(event.subject["model"])
    if model is not None:
        model.aliases.pop(event.data["alias"], None)


def tagged(state: State, event: Event) -> None:
    """Fold ``version.tagged``."""
    record = touch(state, event)
    if record is not None:
        record.tags.update(event.data["tags"])


def noted(state: State, event: Event) -> None:
    """Fold ``version.noted``."""
    record = touch(state, event)
    if record is not None:
        record.notes.append({"at": event.at, "actor": event.actor, "text": event.data["text"]})
        line = f"{event.at[:10]} {event.actor}: {event.data['text']}"
        record.notes_text = f"{record.notes_text}\n{line}" if record.notes_text else line


def edited(state: State, event: Event) -> None:
    """Fold ``version.edited``."""
    record = touch(state, event)
    if record is None:
        return
    value = event.data["value"]
    if event.data["field"] == "owner":
        record.owner = value
    else:
        record.notes_text = value
        record.notes.append({"at": event.at, "actor": event.actor, "text": value or "", "edited": True})


def recorded(state: State, event: Event) -> None:
    """Fold ``verification.recorded``."""
    state.last_verified = event.at


def restored(state: State, event: Event) -> None:
    """Fold ``workbook.restored``."""
    state.last_restored = event.data["workbook"]


def anchored(state: State, event: Event) -> None:
    """Fold ``ledger.anchored``."""
    data = event.data
    state.anchors.append(
        TimeAnchor(
            seq=data["seq"],
            hash=data["hash"],
            time=data["time"],
            authority=data["authority"],
            token=data["token"],
            event=event.seq,
            at=event.at,
        )
    )
