"""Which of the offered versions can come into a registry, under which names, and why the others cannot.

Rules held here: a version's name is for ever, so nothing about it is guessed: two that would have one name are left out
and told, both; one version of a model is in production, and where several state it the alias `production` decides; a
model here that came from another model there takes nothing of this one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from manual_registry.core.adoption.words import model_name_of
from manual_registry.core.decide.registration import taken
from manual_registry.core.errors import EventUnreadable, ExportUnfinished, RegistryError
from manual_registry.core.handover import back, foreign, mapping, proof, through
from manual_registry.core.handover.arrival import Arrival, whole
from manual_registry.core.handover.offered import READY, Offer, Offered
from manual_registry.core.handover.record import EVENTS, RECORD
from manual_registry.core.manifest import printable
from manual_registry.core.state import State, VersionState
from manual_registry.core.values import Stage, version_name

_RECORD: Final = RECORD.removeprefix(mapping.OURS)
_EVENTS: Final = EVENTS.removeprefix(mapping.OURS)


@dataclass(frozen=True, kw_only=True, slots=True)
class LeftOut:
    """A version that does not come. ``differs``: what it holds is not what was said of it (an integrity finding).

    ``stands``: it came before, and is as it was. ``code``: that of the error which keeps it back for now: repeat the
    import once that is mended. None: there is none, or repeating it would change nothing.
    """

    name: str
    number: int
    reason: str
    differs: bool = False
    stands: bool = False
    code: str | None = None

    def document(self) -> dict[str, object]:
        """Return it as it stands in the import's document."""
        return {"model": self.name, "version": self.number, "reason": printable(self.reason), "code": self.code}


@dataclass(kw_only=True, slots=True)
class Arrangement:
    """``arrivals`` in MLflow's order, model by model; ``standing`` came before and is as it was; ``names``: MLflow's
    name of a model -> ours, where they differ."""

    arrivals: list[Arrival] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    standing: list[Arrival] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def arrange(offer: Offer, state: State, now: datetime) -> Arrangement:
    """Say of everything that is offered what becomes of it in the registry of ``state``; ``now`` (aware) is today."""
    done = Arrangement()
    done.warnings += [
        f"{printable(one.name)}: {'a prompt, no model' if one.prompt else 'a registered model without versions'}"
        for one in offer.models
        if one.prompt or not any(version.name == one.name for version in offer.versions)
    ]
    read = [_read(one, state, now, done) for one in offer.versions]
    found = _without_clashes([one for one in read if one is not None], done)
    for one in _one_in_production(found, done):
        _sort(one, offer.uri, state, done)
    return done


def _leave(
    done: Arrangement,
    one: Offered,
    reason: str,
    *,
    differs: bool = False,
    stands: bool = False,
    code: str | None = None,
) -> None:
    made = LeftOut(name=one.name, number=one.number, reason=reason, differs=differs, stands=stands, code=code)
    done.left_out.append(made)


def differing(one: Offered, reason: str) -> LeftOut:
    """Return a version that is not what was said of it; while an export of it has not ended, that is no finding."""
    begun = under_way(one)
    if begun is None:
        return LeftOut(name=one.name, number=one.number, reason=reason, differs=True)
    why = f"{begun}; repeat the export, then the import. Until then: {reason}"
    return LeftOut(name=one.name, number=one.number, reason=why, code=ExportUnfinished.code)


def under_way(one: Offered) -> str | None:
    """Say that an export of a version was begun and has not ended; None: none was."""
    run = one.entities.run
    begun = through.unfinished(one.tags, run.tags if run is not None else None)
    if begun is None:
        return None
    return f"an export of it through event {begun.seq} was interrupted, or is running now"


def _read(one: Offered, state: State, now: datetime, done: Arrangement) -> Arrival | None:
    """Return the arrival of one version; None: it is left out, and told."""
    if one.status != READY:
        _leave(done, one, f"MLflow says {one.status}, not {READY}")
        return None
    if one.problem is not None:
        _leave(done, one, f"its files cannot be had: {one.problem}", code=one.problem_code)
        return None
    try:
        return _arrival(one, state, now, done)
    except RegistryError as problem:
        reason = "; ".join(each.message for each in problem.reasons)
        if isinstance(problem, EventUnreadable):
            done.left_out.append(differing(one, reason))
        else:
            _leave(done, one, reason)
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError, RecursionError) as problem:
        _leave(done, one, f"what the server says of it does not hold together: {problem}")
    return None


def _arrival(one: Offered, state: State, now: datetime, done: Arrangement) -> Arrival | None:
    record = one.papers.get(_RECORD)
    if record is not None:
        found = back.returned(one.entities, record=record)
        borne = proof.borne_out(record, one.papers.get(_EVENTS))
        made = whole(one, found, state.policy)
        wrong = _against_tags(one, made)
        if wrong is not None:
            done.left_out.append(differing(one, wrong))
            return None
        told, begun = proof.told(borne, one.entities, found.document or {}), under_way(one)
        if begun is not None:
            told = [f"{begun}: it comes as its record.json says; repeat the export first, if you can"]
        done.warnings += [f"{printable(one.ref)}: {printable(each)}" for each in told]
        return made
    own = one.identity
    if own is not None:
        done.warnings.append(f"{printable(one.ref)}: its record.json is not there; it comes as MLflow's fields tell it")
    model = own[1] if own is not None else model_name_of(one.name)
    if model is None:
        _leave(done, one, "nothing of its model's name fits a model name of ours; rename it there")
        return None
    if model != one.name:
        done.names[one.name] = model
    stated = own[2] if own is not None else one.tags.get(mapping.VERSION)
    try:
        version = version_name(stated or str(one.number))
    except RegistryError as problem:
        _leave(done, one, f"the tag {mapping.VERSION} is no version of ours: {problem.message}")
        return None
    return foreign.read(one, model=model, version=version, now=now)


def _against_tags(one: Offered, made: Arrival) -> str | None:
    """Return what is wrong when the tags name another artefact than the record: one of them was edited."""
    if made.artefact is None:
        return None
    for tag, said in (
        ("aisdp.content_hash", f"blake3:{made.artefact.blake3}"),
        ("manual_registry.sha256", made.artefact.sha256),
    ):
        found = one.tags.get(tag)
        if found is not None and found != said:
            return f"the tag {tag} says {found[:80]}, its record.json {said}; one of them was changed in MLflow"
    return None


def _without_clashes(found: Sequence[Arrival], done: Arrangement) -> list[Arrival]:
    """Leave out versions that would have one name, and models that would become one."""
    sources: dict[str, set[str]] = defaultdict(set)
    claims: dict[tuple[str, str], list[Arrival]] = defaultdict(list)
    for one in found:
        if not one.own:
            sources[one.model].add(one.offered.name)
        claims[one.model, one.version.lower()].append(one)
    kept: list[Arrival] = []
    for one in found:
        others = sorted(sources[one.model] - {one.offered.name}) if not one.own else []
        rivals = claims[one.model, one.version.lower()]
        first = _first(rivals)
        if others:
            _leave(done, one.offered, f"{', '.join(others)} would be called {one.model} too; rename one of them there")
        elif one is first:
            kept.append(one)
        elif first is not None and (one.version, one.twin) == (first.version, first.twin):
            _leave(done, one.offered, f"the same as {first.offered.ref}, which comes as {one.ref}")
        else:
            rest = ", ".join(each.offered.ref for each in rivals if each is not one)
            _leave(done, one.offered, f"{rest} there would be {one.ref} too (tag {mapping.VERSION})")
    return kept


def _first(rivals: Sequence[Arrival]) -> Arrival | None:
    """Return the one that comes under a name: alone, or with a record, of which the others are copies; else None."""
    if len(rivals) == 1:
        return rivals[0]
    certain = [one for one in rivals if one.twin is not None]
    if not certain or len({(one.version, one.twin) for one in certain}) > 1:
        return None
    return min(certain, key=lambda one: one.offered.name != one.model)


def _one_in_production(found: Sequence[Arrival], done: Arrangement) -> Iterator[Arrival]:
    stating: dict[str, list[Arrival]] = defaultdict(list)
    for one in found:
        if one.stage == Stage.PRODUCTION.value:
            stating[one.model].append(one)
    for one in found:
        rivals = stating[one.model] if one.stage == Stage.PRODUCTION.value else []
        decided = [each for each in rivals if set(mapping.PRODUCTION_ALIASES) & set(each.offered.aliases)]
        if len(rivals) < 2 or decided == [one]:
            yield one
            continue
        numbers = ", ".join(str(each.offered.number) for each in rivals)
        rest = "the alias production names another" if decided else "give one of them the alias production"
        _leave(done, one.offered, f"versions {numbers} state production, one at a time can be; {rest}")


def _sort(one: Arrival, uri: str, state: State, done: Arrangement) -> None:
    standing = state.version(one.model, one.version)
    other = _other_source(one, uri, state)
    if standing is not None:
        if _same(one, uri, standing):
            done.standing.append(one)
            same = "with the same content" if one.artefact else "from here"
            reason = f"{standing.ref} is in the registry already, {same} (event {standing.seq})"
            _leave(done, one.offered, reason, stands=True)
        else:
            _leave(
                done, one.offered, f"{standing.ref} is in the registry already (event {standing.seq}), not from here"
            )
        return
    refusal = taken(state, one.model, one.version)
    if refusal is not None:
        _leave(done, one.offered, refusal.message)
    elif other is not None:
        _leave(done, one.offered, f"{one.model} in the registry came from the model {other} there")
    elif one.stage == Stage.PRODUCTION.value and (running := state.production(one.model)) is not None:
        _leave(done, one.offered, f"states production, and {running.ref} is in production here; one at a time can be")
    else:
        _warn_of_another_server(one, uri, state, done)
        done.arrivals.append(one)


def _same(one: Arrival, uri: str, standing: VersionState) -> bool:
    if one.artefact is not None:
        return standing.blake3 == one.artefact.blake3
    return _from_here(one, uri, standing)


def _from_here(one: Arrival, uri: str, standing: VersionState) -> bool:
    adopted = standing.adopted or {}
    said = (adopted.get("source"), adopted.get("sheet"), adopted.get("row"))
    return said == (uri, one.offered.name, one.offered.number)


def _other_source(one: Arrival, uri: str, state: State) -> str | None:
    """Return the model there from which the model of that name here came, when it is another one."""
    if one.own or one.model not in state.models:
        return None
    records = (state.versions[one.model, version].adopted or {} for version in state.models[one.model].versions)
    sheets = {str(each["sheet"]) for each in records if each.get("source") == uri}
    return next(iter(sorted(sheets)), None) if sheets and one.offered.name not in sheets else None


def _warn_of_another_server(one: Arrival, uri: str, state: State, done: Arrangement) -> None:
    """Tell where a model here came from another address: that may be the same server, or another team's model."""
    found = state.models.get(one.model)
    records = (state.versions[one.model, version].adopted or {} for version in (found.versions if found else ()))
    others = {str(each["source"]) for each in records if each} - {uri}
    addresses = sorted(each for each in others if each.startswith(("http://", "https://")))
    told = (
        f"{one.model} in the registry has versions that came from {', '.join(addresses)}; look whether it is the same"
    )
    if addresses and told not in done.warnings:
        done.warnings.append(told)


def lacking(arrivals: Iterable[Arrival], uri: str, state: State) -> list[tuple[VersionState, Arrival]]:
    """Return what came and is in no baseline yet: there is more to say of it, also after an interruption."""
    named = {(one["model"], one["version"]) for found in state.baselines.values() for one in found.versions}
    found = ((state.version(one.model, one.version), one) for one in arrivals)
    return [
        (record, one)
        for record, one in found
        if record is not None and (record.model, record.version) not in named and _from_here(one, uri, record)
    ]
