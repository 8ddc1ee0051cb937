"""`export mlflow`: the register in MLflow, nothing lost, and proof of it.

1. What is there is found by its tags; a name that is somebody else's stops everything before anything is written.
2. For each version, in order of registration: what is missing is written, what is behind brought up to date, what
   somebody changed in MLflow told and left alone (:mod:`manual_registry.registry.handing_over`).
3. Whatever was written is read back over the same interface, files downloaded and hashed, and compared.
4. Aliases follow; one event keeps the outcome, when it is another than the one recorded last.

``dry_run`` and ``verify_only`` write nothing to MLflow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from manual_registry.core import events as kinds
from manual_registry.core.decide.closing import refuse_closed
from manual_registry.core.decide.exports import LISTED
from manual_registry.core.errors import Busy, ModelUnknown, UsageError
from manual_registry.core.handover import mapping
from manual_registry.core.handover.comparing import Mismatch
from manual_registry.core.ledger import Draft
from manual_registry.core.records import Exported
from manual_registry.registry.access import read, writing
from manual_registry.registry.handing_over import Handing, Outcome
from manual_registry.registry.handover_sources import Sources

if TYPE_CHECKING:
    from manual_registry.adapters.mlflow.reading import Shelf
    from manual_registry.core.state import State
    from manual_registry.ports import Progress
    from manual_registry.registry.workspace import Loaded, Workspace

TARGET = "mlflow"


@dataclass(kw_only=True, slots=True)
class Handover:
    """The outcome of an export (``manual-registry/export/1``)."""

    uri: str
    server: str
    action: str
    outcomes: list[Outcome] = field(default_factory=list)
    mismatches: list[Mismatch] = field(default_factory=list)
    remarks: list[dict[str, Any]] = field(default_factory=list)
    plan: list[dict[str, Any]] = field(default_factory=list)
    requests: int = 0
    warnings: tuple[str, ...] = ()
    event: int | None = None
    head: tuple[int, str] | None = None

    @property
    def verified(self) -> bool:
        """True when MLflow was read and is as the register says."""
        return self.action != "dry-run" and not self.mismatches

    def document(self) -> dict[str, Any]:
        """Return the JSON document; in a dry run ``exported`` is what would be."""
        done = [one for one in self.outcomes if one.requests or one.would_write]
        rest = [one for one in self.outcomes if not (one.requests or one.would_write)]
        document: dict[str, Any] = {
            "schema": "manual-registry/export/1",
            "target": TARGET,
            "uri": self.uri,
            "server": self.server,
            "action": self.action,
            "exported": [one.document() for one in done],
            "skipped": [{**one.document(), "reason": one.reason} for one in rest],
            "verified": self.verified,
            "mismatches": [one.document() for one in self.mismatches],
            "remarks": self.remarks,
            "requests": self.requests,
            "warnings": list(self.warnings),
            "events": [] if self.event is None else [self.event],
        }
        if self.action == "dry-run":
            document["plan"] = self.plan
        if self.head is not None:
            document["ledger"] = {"seq": self.head[0], "hash": self.head[1]}
        return document


def export_mlflow(
    work: Workspace,
    *,
    tracking_uri: str,
    model: str | None = None,
    dry_run: bool = False,
    verify_only: bool = False,
    record: bool = False,
    alias: str = "production",
    progress: Progress | None = None,
) -> Handover:
    """Export to, or compare with, the MLflow server at ``tracking_uri``; see the module's text.

    ``model``: that one alone. ``alias`` names the production version there. ``record`` keeps the outcome of
    ``verify_only`` in the ledger. Raises the errors of :mod:`manual_registry.adapters.mlflow.server`,
    :class:`ForeignTarget`, :class:`ModelUnknown`; what differs is in the result, not an error.
    """
    from manual_registry.adapters.mlflow import server as servers

    if alias not in mapping.PRODUCTION_ALIASES:
        raise UsageError(f"--alias is {' or '.join(mapping.PRODUCTION_ALIASES)}, not {alias!r}")
    if (record and not verify_only) or (dry_run and verify_only):
        raise UsageError("--record goes with --verify-only, and --verify-only without --dry-run")
    address, has_user = servers.plain_address(tracking_uri)
    if has_user:
        work.warn("user and password in --tracking-uri are not used; set MLFLOW_TRACKING_USERNAME and _PASSWORD")
    loaded = read(work)
    if not dry_run and not verify_only:
        refuse_closed(loaded.state)
    models = _models(loaded.state, model)
    server = servers.connect(address)
    action = "dry-run" if dry_run else "check" if verify_only else "export"
    done = Handover(uri=address, server=server.version, action=action)
    handing = Handing(
        sources=Sources(work, loaded), server=server, action=action, production_alias=alias, progress=progress
    )
    if action != "export":
        _all(handing, models, done)
    else:
        with _OneAtATime(loaded.state.registry_id, address):
            _all(handing, models, done)
    if models and (action == "export" or record):
        _record(work, loaded, done, models)
    done.warnings = tuple(work.warnings)
    return done


def _models(state: State, model: str | None) -> list[str]:
    if model is not None and model not in state.models:
        raise ModelUnknown(f"no model {model!r} in this registry", location=model, hint="mreg list")
    return [model] if model is not None else sorted(state.models)


class _OneAtATime:
    """The lock that keeps two exports of one registry to one server on this machine from doing things twice."""

    def __init__(self, registry_id: str, address: str) -> None:
        from manual_registry.adapters.locks import FileLock
        from manual_registry.adapters.memory import state_dir
        from manual_registry.core.canonical import sha256_hex

        name = sha256_hex(f"{registry_id} {address}".encode())[:32]
        self._lock = FileLock(state_dir() / "exports" / f"{name}.lock")

    def __enter__(self) -> None:
        if not self._lock.take(0):
            raise Busy("another export of this registry to that server is running; repeat the command when it is done")

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def _all(handing: Handing, models: Sequence[str], done: Handover) -> None:
    from manual_registry.adapters.mlflow import reading

    registry_id = handing.sources.loaded.state.registry_id
    # All of them first: a name that is taken stops the export before anything is written.
    shelves = [reading.shelf(handing.server, registry_id, name) for name in models]
    for shelf in shelves:
        _model(handing, shelf, done)
    done.requests = handing.writer.written


def _model(handing: Handing, shelf: Shelf, done: Handover) -> None:
    state = handing.sources.told()
    wanted = mapping.model_entities(state, shelf.model, production_alias=handing.production_alias)
    done.remarks += [{"model": shelf.model, "version": None, **one.document()} for one in wanted.remarks]
    if handing.action == "export":
        handing.writer.ensure_model(shelf, wanted)
    for version in state.models[shelf.model].versions:
        outcome, mismatches = handing.version(shelf, state.versions[shelf.model, version])
        done.outcomes.append(outcome)
        done.mismatches += mismatches
        done.remarks += [{"model": shelf.model, "version": version, **one.document()} for one in outcome.remarks]
    done.mismatches += handing.model(shelf, wanted)
    done.plan += handing.plan
    handing.plan = []


# -- the event ------------------------------------------------------------------------------------------------


def _record(work: Workspace, loaded: Loaded, done: Handover, models: Sequence[str]) -> None:
    """Keep the outcome; of an export only when it is another than the one recorded last."""
    fresh = _fresh(loaded.state, done)
    if done.action == "export" and not fresh and not _news(loaded.state, done, models):
        done.head = loaded.head
        return
    told: list[Any] = [one.document() for one in done.mismatches]
    data = {
        "target": TARGET,
        "uri": done.uri,
        "server": done.server,
        "action": done.action,
        "through": loaded.head[0],
        "models": list(models),
        "checked": sum(one.number is not None for one in done.outcomes),
        "versions": fresh if done.action == "export" else [],
        "mismatches": told[:LISTED],
        "count": len(told),
    }
    with writing(work) as now:
        done.event = work.append(now, lambda _state, _at: Draft(type=kinds.EXPORTED, subject={}, data=data)).seq
    done.head = now.head


def _before(state: State, done: Handover) -> Exported:
    return state.exports.get((TARGET, done.uri), Exported())


def _fresh(state: State, done: Handover) -> list[dict[str, Any]]:
    """Return the versions whose number or digest is another than the one recorded last."""
    before = _before(state, done).versions
    return [
        {"model": one.model, "version": one.version, "number": one.number, "digest": one.digest}
        for one in done.outcomes
        if one.number is not None and before.get((one.model, one.version)) != (one.number, one.digest)
    ]


def _news(state: State, done: Handover, models: Sequence[str]) -> bool:
    """Tell whether the mismatches are others than those recorded last, or nothing was recorded at all."""
    before = _before(state, done)
    told = [one.document() for one in done.mismatches][:LISTED]
    return any(before.mismatches.get(name) != [one for one in told if one["model"] == name] for name in models)
