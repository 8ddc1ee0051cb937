"""Which version of ours a run, a logged model and a model version are.

Rules held here: what the parts of one version say counts together, their tags and their composite ids, and only versions
that the register has; the number that the ledger recorded, or else the logged model's name, which MLflow never changes,
decides where that leaves none or several. What bears this registry's tags and is none of its versions is told.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from manual_registry.adapters.mlflow import finding
from manual_registry.core.handover.mapping import COMPOSITE_ID, OURS, VERSION

if TYPE_CHECKING:
    from manual_registry.adapters.mlflow.finding import Owner
    from manual_registry.adapters.mlflow.reading import Shelf

#: How the names of this tool's tags begin.
TOOL: Final = f"{OURS.rstrip('/')}."


def sort_in(found: Shelf, owner: Owner, runs: Sequence[Any], logged: Sequence[Any], versions: Sequence[Any]) -> None:
    """Sort everything that was found into the versions of ``found``, and what is there twice or claims to be ours."""
    placed = _sort_versions(found, owner, runs, logged, versions)
    # A run that was deleted and that no model version names was put away: it is as if it had not been.
    for one in sorted((one for one in runs if one.info.lifecycle_stage == "active"), key=lambda each: each.info.run_id):
        if one.info.run_id not in placed and owner.owns(one.data.tags):
            _place(found, owner, "run", f"run {one.info.run_id}", one, one.data.tags)
    for one in sorted(logged, key=lambda each: (each.creation_timestamp, each.model_id)):
        if one.model_id not in placed and owner.owns(one.tags):
            _place(found, owner, "model", f"logged model {one.model_id}", one, one.tags)


def _place(found: Shelf, owner: Owner, place: str, name: str, one: Any, tags: Any) -> None:
    """Give a run or logged model that no model version names to its version."""
    version = finding.most([*owner.votes(tags), *(() if place == "run" else _named(owner, one))])
    if version is None:
        found.claims.append((place, name, str(tags.get(VERSION))))
        return
    held = found.held(version)
    there = held.run if place == "run" else held.logged
    if there is not None or held.registered is not None:
        held.doubles.append(name)
    elif place == "run":
        held.run = one
    else:
        held.logged = one


def _sort_versions(
    found: Shelf, owner: Owner, runs: Sequence[Any], logged: Sequence[Any], versions: Sequence[Any]
) -> set[str]:
    """Place the model versions with the run and logged model that each names; return the ids of those."""
    by_run = {one.info.run_id: one for one in runs}
    by_model = {one.model_id: one for one in logged}
    placed: set[str] = set()
    told = [(one, by_run.get(one.run_id), by_model.get(model_id_of(one))) for one in versions]
    named = [(_version_of(owner, *parts), parts) for parts in told]
    # The one that the ledger recorded comes before any other of its version.
    named.sort(key=lambda item: (owner.numbers.get(str(item[1][0].version)) != item[0], int(item[1][0].version)))
    for version, (one, run, model) in named:
        name, said = f"model version {one.version}", str(one.tags.get(VERSION))
        if version is None:
            if _bears_our_tags(found, owner, one):
                found.claims.append(("version", name, said))
            continue
        held = found.held(version)
        if held.registered is not None:
            if said in owner.versions:
                held.doubles.append(name)
            else:
                found.claims.append(("version", name, said))
            continue
        held.registered, held.run, held.logged = one, run, model
        placed |= {str(one.run_id), str(model_id_of(one))}
    return placed


def _bears_our_tags(found: Shelf, owner: Owner, one: Any) -> bool:
    """Tell whether a model version that is none of ours looks like one: people's own have no tags of this tool."""
    ours = found.registered is not None and owner.owns(found.registered.tags)
    return owner.owns(one.tags) or (ours and any(name.startswith(TOOL) for name in one.tags))


def _version_of(owner: Owner, one: Any, run: Any, model: Any) -> str | None:
    """Return which version of ours a model version is, with its run and logged model; None: none."""
    tags = [each for each in (one.tags, run.data.tags if run else None, model.tags if model else None) if each]
    recorded = owner.numbers.get(str(one.version))
    sure = {*_named(owner, model), *(owner.composites.get(str(each.get(COMPOSITE_ID))) for each in tags)}
    if recorded is not None and recorded in sure:
        return recorded
    return finding.most(vote for each in tags for vote in owner.votes(each))


def _named(owner: Owner, model: Any) -> Iterator[str]:
    """Yield the version whose logged model has that name."""
    version = owner.names.get(str(model.name)) if model is not None else None
    if version is not None:
        yield version


def model_id_of(version: Any) -> str | None:
    """Return the logged model that a model version names; None: none."""
    if getattr(version, "model_id", None):
        return str(version.model_id)
    source = str(version.source or "")
    return source.removeprefix("models:/") if source.startswith("models:/m-") else None
