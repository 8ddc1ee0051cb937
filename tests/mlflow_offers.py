"""Versions as an import meets them on a server, without one: somebody else's, and those that this tool exported."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from chains import MODEL, Chain, evidence, gate

from manual_registry.core import events as kinds
from manual_registry.core.handover import mapping
from manual_registry.core.handover.arranging import Arrangement, arrange
from manual_registry.core.handover.entities import Registered, Run, VersionEntities
from manual_registry.core.handover.offered import Offer, Offered, OfferedModel
from manual_registry.core.manifest import Content, FileEntry
from manual_registry.core.state import State

NOW = datetime(2026, 4, 1, tzinfo=UTC)
URI = "http://mlflow.example.org"


def content(chain: Chain, version: str, model: str) -> Content:
    """Return the artefact of a version of the chain."""
    record = chain.record(version, model)
    entry = FileEntry(path="m.bin", size=3, blake3=record.blake3, sha256=record.sha256)
    return Content(kind="file", name="m.bin", files=(entry,), size=3, blake3=record.blake3, sha256=record.sha256)


def exported(chain: Chain, version: str = "1", number: int = 1, model: str = MODEL, **changes: Any) -> Offered:
    """Return a version of the chain as an import meets it."""
    entities = mapping.version_entities(
        chain.state, chain.record(version, model), events=chain.events, content=content(chain, version, model)
    )
    run, _, registered = entities.whole()
    papers = {one.path.removeprefix(mapping.OURS): one.data for one in run.files if one.data is not None}
    made = plain(model, number, entities=entities, papers=papers, files={"artefact/m.bin": 3, "MLmodel": 1})
    tags = {**registered.tags, **changes.pop("tags", {})}
    made = replace(made, entities=replace(entities, registered=replace(registered, tags=tags)))
    return replace(made, **changes)


def plain(name: str = "Credit Risk", number: int = 1, **changes: Any) -> Offered:
    """Return a version of somebody else's; ``tags``, ``description`` and ``run`` are of its entities."""
    registered = Registered(tags=changes.pop("tags", {}), description=changes.pop("description", ""))
    entities = VersionEntities(
        model=name, version=str(number), run=changes.pop("run", None), logged=None, registered=registered
    )
    members: dict[str, Any] = {
        "name": name,
        "number": number,
        "status": "READY",
        "stage": None,
        "aliases": (),
        "source": "models:/m-1",
        "run_id": None,
        "model_id": None,
        "created": 1_700_000_000_000,
        "user": None,
        "entities": entities,
        "files": {"MLmodel": 1},
    }
    return Offered(**{**members, **changes})


def run(**changes: Any) -> Run:
    """Return a run of somebody else's."""
    members: dict[str, Any] = {
        "name": "nightly", "start": 1, "end": 1_700_000_000_000, "status": "FINISHED", "tags": {}, "params": {},
        "metrics": (), "datasets": (), "files": (),
    }  # fmt: skip
    return Run(**{**members, **changes})


def offer(*versions: Offered) -> Offer:
    """Return an offer of these versions."""
    names = dict.fromkeys(one.name for one in versions)
    models = tuple(OfferedModel(name=name, description="", tags={}, aliases={}) for name in names)
    return Offer(uri=URI, server="3", models=models, versions=versions)


def arranged(*versions: Offered, state: State | None = None) -> Arrangement:
    """Arrange these versions into an empty registry, or one in ``state``."""
    return arrange(offer(*versions), state or Chain().state, NOW)


def full() -> Chain:
    """Return a registry with a version that has everything, much of it attached later."""
    chain = Chain()
    chain.register(
        "1",
        hyperparameters={"big": {"$int": str(2**70)}, "end": {"$float": "inf"}, "deep": [1, None]},
        metrics={"count": {"$int": str(2**60)}},
        subgroup_metrics={"age": {"<30": {"auc": 0.8}}},
        description=None,
    )
    later = evidence("gates", "again.json")
    chain.attach("1", evidence=[later], gates=[gate("fairness", later)], fields={"description": "filled in"})
    chain.add(kinds.NOTED, chain.of("1"), {"text": "seen"})
    chain.alias("good", "1")
    return chain
