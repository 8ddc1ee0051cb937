"""`export mlflow`: the register in MLflow, nothing lost, and proof of it.

1. What is there is found by its tags; a name that is somebody else's stops everything before anything is written.
2. For each version, in order of registration: what is missing is written, what is behind brought up to date, what
   somebody changed in MLflow told and left alone (:mod:`manual_registry.registry.handover_version`).
3. Whatever was written is read back over the same interface, files downloaded and hashed, and compared.
4. Aliases follow; one event keeps the outcome, when something was written or it is another than the one recorded last.
   It says of no version that it was read which was not: what was known to differ there stays known until it is.

``dry_run`` and ``verify_only`` write nothing to MLflow. Whether the ledger can be written is looked at before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from manual_registry.core import events as kinds
from manual_registry.core.decide.closing import refuse_closed
from manual_registry.core.decide.exports import LISTED
from manual_registry.core.errors import (
    Busy,
    ModelUnknown,
    RegistryClosed,
    RegistryError,
    UsageError,
)
from manual_registry.core.handover import mapping
from manual_registry.core.handover.addresses import same_server
from manual_registry.core.handover.comparing import Mismatch
from manual_registry.core.ledger import Draft
from manual_registry.core.records import Exported
from manual_registry.registry import handover_shelves
from manual_registry.registry.access import read, writable, writing
from manual_registry.registry.handing_over import Handing
from manual_registry.registry.handover_outcome import Outcome
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
    #: Models of which everything was looked at, aliases included.
    models: list[str] = field(default_factory=list)
    #: What the export wrote of itself to those, as it was read back: the event, and what production is called.
    marks: dict[str, tuple[int, str]] = field(default_factory=dict)
    mismatches: list[Mismatch] = field(default_factory=list)
    remarks: list[dict[str, Any]] = field(default_factory=list)
    plan: list[dict[str, Any]] = field(default_factory=list)
    #: Of a check: what is there as it was exported last, or not yet; the register went on since.
    behind: list[dict[str, Any]] = field(default_factory=list)
    #: The register is closed: what is behind stays so.
    closed: bool = False
    #: The event through which something there says that it was exported, where this ledger ends before it; 0: it does not.
    beyond: int = 0
    requests: int = 0
    warnings: tuple[str, ...] = ()
    event: int | None = None
    head: tuple[int, str] | None = None
    #: Of a dry run: what an export would be refused for, and the model.
    refusals: list[tuple[str, RegistryError]] = field(default_factory=list)
    #: Why the outcome could not be kept in the ledger; None: it could, or was not to be.
    unrecorded: RegistryError | None = None

    @property
    def read(self) -> int:
        """How many versions were read back now."""
        return sum(one.read for one in self.outcomes)

    @property
    def stood(self) -> int:
        """How many stood already and were not read again: the ledger says that they were, without a mismatch."""
        return sum(not one.read and not one.unfit for one in self.outcomes)

    @property
    def verified(self) -> bool:
        """True when no mismatch is known: each version was read back now, or (:attr:`stood`) by an earlier export.

        Of a dry run: nothing would be written, either.
        """
        stands = not any(one["new"] or one["values"] for one in self.plan)
        return not self.mismatches and not self.refusals and stands

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
            "read": self.read,
            "mismatches": [one.document() for one in self.mismatches],
            "behind": self.behind,
            "remarks": self.remarks,
            "requests": self.requests,
            "warnings": list(self.warnings),
            "events": [] if self.event is None else [self.event],
        }
        if self.unrecorded is not None:
            why = self.unrecorded
            document["unrecorded"] = {"code": why.code, "message": why.message, "hint": why.hint}
        if self.action == "dry-run":
            document["plan"] = self.plan
            document["refusals"] = [
                {"model": model, "code": why.code, "message": why.message, "hint": why.hint}
                for model, why in self.refusals
            ]
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
    alias: str | None = None,
    progress: Progress | None = None,
) -> Handover:
    """Export to, or compare with, the MLflow server at ``tracking_uri``; see the module's text.

    ``model``: that one alone. ``alias`` names the production version there; None: as the last export did. ``record``
    keeps the outcome of ``verify_only`` in the ledger; should that fail at the end, the result says so (``unrecorded``)
    beside what was found. Raises the errors of :mod:`manual_registry.adapters.mlflow.server`, :class:`ForeignTarget`,
    :class:`ModelUnknown`, :class:`NothingExported`; what differs is in the result, not an error, and so is what an
    export would be refused for in a dry run.
    """
    from manual_registry.adapters.mlflow import server as servers

    if alias is not None and alias not in mapping.PRODUCTION_ALIASES:
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
    action = "dry-run" if dry_run else "check" if verify_only else "export"
    keeps = bool(models) and (action == "export" or record)
    if keeps:
        loaded = writable(work)
    server = servers.connect(address)
    done = Handover(uri=address, server=server.version, action=action, closed=loaded.state.closed is not None)
    handing = Handing(
        sources=Sources(work, loaded),
        server=server,
        action=action,
        before=_before(loaded.state, done),
        alias=alias,
        progress=progress,
    )
    if action == "export":
        with _OneAtATime(loaded.state.registry_id, same_server(address)):
            _all_recorded(work, handing, models, done)
    else:
        _all(handing, models, done)
        if keeps:
            _keep(work, loaded, done)
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
    # All of them first: a name that is taken stops the export before anything is written.
    shelves = handover_shelves.found(handing, models)
    done.refusals = [(one.model, each) for one in shelves for each in one.refusals] if done.action == "dry-run" else []
    try:
        for shelf in shelves:
            _model(handing, shelf, done)
            done.models.append(shelf.model)
    finally:
        done.requests, done.behind = handing.writer.written, handing.behind


def _all_recorded(work: Workspace, handing: Handing, models: Sequence[str], done: Handover) -> None:
    """Export; what was read until a server went away is kept too, so that the next run need not read it again."""
    try:
        _all(handing, models, done)
    except RegistryError:
        if any(one.read for one in done.outcomes):
            _keep(work, handing.sources.loaded, done)
        raise
    if models:
        _keep(work, handing.sources.loaded, done)


def _model(handing: Handing, shelf: Shelf, done: Handover) -> None:
    state = handing.sources.told()
    wanted = mapping.model_entities(state, shelf.model, production_alias=handing.production_alias(shelf))
    done.remarks += [{"model": shelf.model, "version": None, **one.document()} for one in wanted.remarks]
    done.beyond = max(done.beyond, shelf.ahead(handing.sources.loaded.head[0]) or 0)
    edited = handing.edited(shelf) if handing.action == "export" else []
    if handing.action == "export":
        handing.writer.ensure_model(shelf, wanted, production_alias=handing.production_alias(shelf))
        handing.server.require_remote(str(shelf.experiment.artifact_location))
    for version in state.models[shelf.model].versions:
        outcome, mismatches = handing.version(shelf, state.versions[shelf.model, version])
        done.outcomes.append(outcome)
        done.mismatches += mismatches
        done.remarks += [{"model": shelf.model, "version": version, **one.document()} for one in outcome.remarks]
    stays = handing.model(shelf, wanted)
    done.mismatches += [*stays, *(one for one in edited if one not in stays)]
    mark = handing.mark(shelf) if handing.action == "export" else None
    if mark is not None:
        done.marks[shelf.model] = mark
    done.plan += handing.plan
    handing.plan = []


# -- the event ------------------------------------------------------------------------------------------------


def _keep(work: Workspace, loaded: Loaded, done: Handover) -> None:
    """Record; a ledger that cannot take it is told beside what was found, which is not lost by that."""
    try:
        _record(work, loaded, done)
    except RegistryError as problem:
        done.unrecorded = _after_the_end(done, problem) if problem.code == RegistryClosed.code else problem


def _after_the_end(done: Handover, problem: RegistryError) -> RegistryError:
    """Say what became of an export during which somebody else closed the register: it is there, and can be proven."""
    return RegistryClosed(
        f"the register was closed while this export ran ({problem.message}). What it wrote to MLflow by then stays there"
        f" ({done.requests} writes), and the ledger does not say so; what was entered after the export had begun is in the"
        " register alone. A closed register still compares with MLflow, and records that",
        location=done.uri,
        clause=problem.clause,
        hint=f"mreg export mlflow --tracking-uri {done.uri} --verify-only --record",
    )


def _record(work: Workspace, loaded: Loaded, done: Handover) -> None:
    """Keep the outcome; of an export only when it wrote something or is another than the one recorded last."""
    before = _before(loaded.state, done)
    models = sorted({*done.models, *(one.model for one in done.outcomes)})
    fresh, told = _fresh(before, done), _told(before, done, models)
    if done.action == "export" and not (fresh or done.requests or _news(before, told, models)):
        done.head = loaded.head
        return
    listed: list[Any] = told[:LISTED]
    data: dict[str, Any] = {
        "target": TARGET,
        "uri": done.uri,
        "server": done.server,
        "action": done.action,
        "through": loaded.head[0],
        "models": list(models),
        "checked": sum(one.read and one.number is not None for one in done.outcomes),
        "versions": fresh if done.action == "export" else [],
        "mismatches": listed,
        "count": len(told),
    }
    marks = _marks(before, done)
    if marks:
        data["marks"] = marks
    with writing(work) as now:
        done.event = work.append(now, lambda _state, _at: Draft(type=kinds.EXPORTED, subject={}, data=data)).seq
    done.head = now.head


def _before(state: State, done: Handover) -> Exported:
    return state.exports.get((TARGET, same_server(done.uri)), Exported())


def _fresh(before: Exported, done: Handover) -> list[dict[str, Any]]:
    """Return the versions, of those read, whose number or digest is another than the one recorded last."""
    return [
        {"model": one.model, "version": one.version, "number": one.number, "digest": one.digest}
        for one in done.outcomes
        if one.read and not one.unfit and one.number is not None
        if before.versions.get((one.model, one.version)) != (one.number, one.digest)
    ]


def _marks(before: Exported, done: Handover) -> list[dict[str, Any]]:
    """Return what the export wrote of itself, where it is another than the one recorded last."""
    found: dict[tuple[str, str | None], tuple[int, str]] = {(name, None): mark for name, mark in done.marks.items()}
    found |= {(one.model, one.version): one.mark for one in done.outcomes if one.mark is not None}
    return [
        {"model": key[0], "version": key[1], "through": mark[0], "alias": mark[1] or None}
        for key, mark in sorted(found.items(), key=lambda item: (item[0][0], item[0][1] or ""))
        if before.marks.get(key) != mark
    ]


def _told(before: Exported, done: Handover, models: Sequence[str]) -> list[dict[str, Any]]:
    """Return what differs: as found now, and of what was not read now as it was recorded last."""
    now = [one.document() for one in done.mismatches]
    looked: set[tuple[str, str | None]] = {
        (one.model, one.version) for one in done.outcomes if one.read and not one.unfit
    }
    looked |= {(model, None) for model in done.models}
    kept = [
        dict(one)
        for model in models
        for one in before.mismatches.get(model, ())
        if (model, one["version"]) not in looked and one["problem"] != "unfit"
    ]
    return _sorted([*now, *(one for one in kept if one not in now)])


def _sorted(told: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    order = ("model", "version", "place", "field", "problem", "expected", "found")
    return [dict(one) for one in sorted(told, key=lambda one: [str(one[name] or "") for name in order])]


def _news(before: Exported, told: Sequence[Mapping[str, Any]], models: Sequence[str]) -> bool:
    """Tell whether the mismatches are others than those recorded last, or nothing was recorded at all."""
    if any(name not in before.mismatches for name in models):
        return True
    last = _sorted(one for name in models for one in before.mismatches[name])
    return last != list(told[:LISTED])
