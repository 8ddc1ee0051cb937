"""`attach` (clauses RP-1, RP-12): files and fields join a version that stands, and nothing that stands is changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from manual_registry.core import events as kinds
from manual_registry.core.canonical import dump
from manual_registry.core.decide.registration import FILLABLE_LATER, fillable, not_archived
from manual_registry.core.errors import RegistryError, raise_for
from manual_registry.core.ledger import Draft
from manual_registry.core.state import VersionState
from manual_registry.registry.access import writing
from manual_registry.registry.gathering import gather, keep_all
from manual_registry.registry.given import Gathered, Given
from manual_registry.registry.lineage import relative_path
from manual_registry.registry.references import find

if TYPE_CHECKING:
    from manual_registry.core.results import Result
    from manual_registry.registry.workspace import Loaded, Workspace


def attach(work: Workspace, ref: str, given: Given) -> Result:
    """Add evidence, fill empty fields; see :meth:`manual_registry.Registry.attach`."""
    found = gather(given, repository_at=None, environ=work.environ, code=False)
    raise_for(found.problems)
    with writing(work) as loaded:
        record = find(work, loaded.state, ref)
        raise_for(not_archived(record))
        _fill_in_late(work, record, found, given)
        fields = _new_fields(record, found)
        attaching = work.storage.attach(record.model, record.version)
        try:
            kept = keep_all(found, lambda file: attaching.add(file.kind, file.path, data=file.data))
            data = _attachment(record, kept, fields)
        except BaseException:
            attaching.discard()
            raise
        try:
            if any(data.values()):
                _append_attachment(work, loaded, record, data)
        except RegistryError:
            attaching.discard()
            raise
        except BaseException:  # Ctrl-C: the event may stand already, the next writing command sees which
            attaching.leave()
            raise
        if not loaded.written:
            attaching.discard()
            return work.result("attach", loaded, record, notes=("all of that is there already",))
        attaching.finish()
    return work.result("attach", loaded, record, next=f"mreg show {record.ref}")


def _fill_in_late(work: Workspace, record: VersionState, found: Gathered, given: Given) -> None:
    """A baseline entry may get its code and data later: look them up as at a registration."""
    if record.adopted is None or not any(found.fields.get(name) for name in FILLABLE_LATER):
        return
    place = given.metadata.absolute().parent if given.metadata else None
    late = gather(Given(metadata=given.metadata), repository_at=place, environ={})  # nothing of a CI job counts here
    raise_for(late.problems)
    work.warn(*late.warnings)
    found.fields |= {name: late.fields[name] for name in FILLABLE_LATER if late.fields.get(name)}
    code = found.fields.get("code")
    if isinstance(code, dict):
        found.fields["code"] = {**code, "path": relative_path(code["path"], work.root)}


def _new_fields(record: VersionState, found: Gathered) -> dict[str, Any]:
    given = {name: value for name, value in found.fields.items() if value not in (None, [], {}, "") and name != "ci"}
    return {
        name: value
        for name, value in given.items()
        if name not in fillable(record) or not _stands(name, value, record.value(name))
    }


def _stands(name: str, value: Any, standing: Any) -> bool:
    if name == "code" and value and standing:
        return bool(value["commit"] == standing["commit"])
    return dump({"v": value}) == dump({"v": standing})


def _attachment(record: VersionState, kept: dict[str, Any], fields: dict[str, Any]) -> dict[str, Any]:
    known = {item["path"] for item in record.evidence}
    reports = {(gate["path"], gate["gate"]) for gate in record.gates}
    card = (
        kept["card"]
        if kept["card"] and (record.card is None or kept["card"]["sha256"] != record.card["sha256"])
        else None
    )
    environment = kept["environment"]
    if environment and record.environment and environment["sha256"] == record.environment["sha256"]:
        environment = None
    return {
        "evidence": [item for item in kept["evidence"] if item["path"] not in known],
        "gates": [gate for gate in kept["gates"] if (gate["path"], gate["gate"]) not in reports],
        "card": card,
        "environment": environment,
        "fields": fields,
    }


def _append_attachment(work: Workspace, loaded: Loaded, record: VersionState, data: dict[str, Any]) -> None:
    subject = {"model": record.model, "version": record.version}
    opened = [name for name in record.requests if loaded.state.requests[name].status in ("requested", "signed")]
    work.append(loaded, lambda _state, _at: Draft(type=kinds.ATTACHED, subject=subject, data=data))
    if opened:
        work.warn(
            f"approval {', '.join(opened)} lapsed: {record.ref} is not what was asked about any more; request again"
        )
