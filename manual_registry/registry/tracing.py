"""`trace`: look at everything that can be looked at, and let the core say what it means."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manual_registry.core.approvals import CLOCK_SLACK
from manual_registry.core.errors import (
    CommitUnknown,
    DateInFuture,
    IntegrityError,
    Json,
    ModelUnknown,
    NotARepository,
    NotFound,
    NothingInProduction,
    ReferenceUnresolved,
    RegistryError,
    SeveralInTime,
    UsageError,
)
from manual_registry.core.incident import production_periods
from manual_registry.core.links import LinkStatus, Trace
from manual_registry.core.references import parse_reference, without_credentials
from manual_registry.core.resolve import StateLookup, is_symbolic
from manual_registry.core.standing import Asked
from manual_registry.core.state import State, VersionState
from manual_registry.core.times import day_after, is_date, parse_time, stamp
from manual_registry.core.walk import Look, Seen, walk
from manual_registry.registry import doubted
from manual_registry.registry.looking import artefact_path, artefact_place, directory_of, observed_blake3
from manual_registry.registry.references import name_of, there

if TYPE_CHECKING:
    from manual_registry.adapters.git import GitRepository
    from manual_registry.core.results import Finding
    from manual_registry.ports import Progress
    from manual_registry.registry.workspace import Loaded, Workspace


def trace(work: Workspace, ref: str, *, at: str | None, hash: bool, progress: Progress | None) -> Trace:
    """Walk from a version back to code, data, evaluation and signature; see :meth:`manual_registry.Registry.trace`."""
    try:
        if not hash and at is None:
            loaded, state, name = None, *_through_index(work, ref)
            if doubted.may_be(state, state.versions[name]):  # what is doubted takes the whole ledger
                loaded = _whole(work)
                state = loaded.state
            chain = Look(status=LinkStatus.RECORDED, message="the ledger's chain was not checked (--no-hash)")
        else:
            loaded = _whole(work)
            state, chain = loaded.state, _chain(work, loaded)
            name = _named(work, state, ref, at)
    except IntegrityError as problem:
        return _damaged(work, ref, problem, at=at, hash=hash, progress=progress)
    record, asked = state.versions[name], _asked(state, name, at)
    seen = look(work, record, hash=hash, chain=chain, progress=progress)
    seen = doubted.beside(work, loaded, record, seen, asked) if loaded is not None else seen
    return walk(state, record, seen, asked=asked, warnings=tuple(work.warnings))


def _whole(work: Workspace) -> Loaded:
    from manual_registry.registry.access import read

    return read(work)


def _chain(work: Workspace, loaded: Loaded) -> Look:
    """Say whether the chain is whole: not when somebody names a head that it lost."""
    lost = [one for one in work.lost_heads if (one.location or "").startswith("ledger/")]
    if lost:
        return Look(status=LinkStatus.BROKEN, message=lost[0].message, detail={"code": lost[0].code})
    return Look(status=LinkStatus.VERIFIED, message=f"chain of {loaded.state.head_seq} events whole")


def _damaged(
    work: Workspace, ref: str, problem: IntegrityError, *, at: str | None, hash: bool, progress: Progress | None
) -> Trace:
    """Walk over what can be read of a ledger that does not hold; raises ``problem`` where the version is not in it."""
    from manual_registry.core.audit import finding
    from manual_registry.core.damage import damage_of, fold_what_stands, resting
    from manual_registry.registry.verifying import audit_files

    found = audit_files(work)
    if found.too_new is not None:
        raise found.too_new
    damage = damage_of(found.findings)
    if not damage.findings:
        damage = damage_of([finding(problem)])
    state = fold_what_stands(work.ledger.listing().events, work.ledger.raw)
    try:
        name = _named(work, state, ref, at)
    except NotFound:
        raise problem from None
    record = state.versions[name]
    chain = Look(status=LinkStatus.BROKEN, message="the chain does NOT hold", detail=_told(damage.findings))
    seen = look(work, record, hash=hash, chain=chain, progress=progress)
    work.warn(*(f"{one.location}: {one.message}" for one in damage.findings[:_SHOWN]))
    return walk(
        state,
        record,
        replace(seen, damage=resting(record, damage)),
        asked=_asked(state, name, at),
        warnings=tuple(work.warnings),
    )


#: So many findings of a damaged ledger are told by `trace`; `verify` has them all.
_SHOWN = 5


def _told(findings: Sequence[Finding]) -> dict[str, Json]:
    return {
        "findings": [{"code": one.code, "location": one.location, "message": one.message} for one in findings[:_SHOWN]]
    }


def _asked(state: State, name: tuple[str, str], at: str | None) -> Asked | None:
    if at is None:
        return None
    stays = [stay[1:] for stay in stays_at(state, name[0], at) if stay[0] == name[1]]
    return Asked(at=at, stays=tuple(stays))


def _through_index(work: Workspace, ref: str) -> tuple[State, tuple[str, str]]:
    from manual_registry.adapters.index import build_index, open_index

    index = open_index(work.ledger, work.root)
    if index is None:
        loaded = _whole(work)
        index = build_index(work.ledger, work.root, loaded.events, loaded.state)
        if index is None:
            return loaded.state, _named(work, loaded.state, ref, None)
    try:
        symbolic = f"{ref}@production" if _is_model(index, ref) else ref
        name = name_of(work, index, symbolic)
        return index.partial([name]), name
    except RegistryError as problem:
        if problem.status != 4:
            raise
        state = _whole(work).state  # the ledger is not what the index was made from: read it whole
        return state, _named(work, state, ref, None)
    finally:
        index.close()


def _is_model(lookup: Any, ref: str) -> bool:
    return not is_symbolic(ref) and bool(lookup.has_model(ref))


def _named(work: Workspace, state: State, ref: str, at: str | None) -> tuple[str, str]:
    if is_symbolic(ref) or (ref not in state.models and there(ref)):
        if at is not None:
            told = f"{ref}: --at asks what was in production then; name the model alone"
            raise UsageError(told, hint="mreg trace MODEL --at TIME")
        return name_of(work, StateLookup(state), ref)
    if ref not in state.models:
        raise ModelUnknown(f"no model {ref!r} in this registry", location=ref, hint="mreg list")
    if at is not None:
        if parse_time(at, where="--at") > work.clock() + CLOCK_SLACK:
            raise DateInFuture(f"--at {at}: that has not come yet", location="--at", clause="RP-19")
        return ref, in_production_at(state, ref, at)
    found = state.production(ref)
    if found is None:
        raise NothingInProduction(
            f"{ref} has no version in production", location=ref, hint=f"mreg trace {ref} --at TIME"
        )
    return ref, found.version


def production_stays(state: State, model: str) -> list[tuple[str, str, str | None]]:
    """Return (version, since, until) of every stay in production; ``until`` None: still there."""
    stays = [
        (version, since, until)
        for version in state.models[model].versions
        for since, until in production_periods(state.versions[model, version])
    ]
    return sorted(stays, key=lambda stay: stay[1])


def stays_at(state: State, model: str, at: str) -> list[tuple[str, str, str | None]]:
    """Return those of :func:`production_stays` that TIME fell into; a bare date means the whole day (design 3.2)."""
    begin = parse_time(at, where="--at")
    end = day_after(begin) if is_date(at) else begin + timedelta(milliseconds=1)
    first, last = stamp(begin), stamp(end)
    return [stay for stay in production_stays(state, model) if stay[1] < last and (stay[2] is None or stay[2] > first)]


def in_production_at(state: State, model: str, at: str) -> str:
    """Return the version that was in production at TIME; raises :class:`SeveralInTime` for more than one."""
    stays = stays_at(state, model, at)
    if not stays:
        raise NothingInProduction(
            f"{model}: nothing was in production at {at}", location=model, hint=f"mreg history {model}"
        )
    if len({stay[0] for stay in stays}) > 1:
        told = [f"{version} from {since} to {until or 'now'}" for version, since, until in stays]
        raise SeveralInTime(
            f"{model}: {len(told)} versions were in production at {at}: {'; '.join(told)}",
            location=model,
            details={
                "intervals": [{"version": version, "from": since, "to": until} for version, since, until in stays]
            },
            hint=f"mreg trace {model} --at {stays[0][1]}",
        )
    return stays[0][0]


# -- looking ----------------------------------------------------------------------------------------------


def look(work: Workspace, record: VersionState, *, hash: bool, chain: Look, progress: Progress | None) -> Seen:
    """Look at the artefact, the commit, the data references, the evidence files and the deployed file."""
    code = record.value("code")
    repository = repository_of(work, code) if code else None
    return Seen(
        artefact=_artefact(work, record, hash=hash, progress=progress),
        code=_code(code, repository) if code else None,
        data=tuple(_data(item, repository) for item in record.training_data),
        deployment=_deployed(record) if hash else None,
        evidence=_evidence(work, record, hash=hash),
        chain=chain,
    )


def _artefact(work: Workspace, record: VersionState, *, hash: bool, progress: Progress | None) -> Look:
    place = artefact_place(work, record)
    if not hash:
        there = artefact_path(work, record).exists()
        status = LinkStatus.RECORDED if there else LinkStatus.BROKEN
        return Look(status=status, message=f"{place}: {'not hashed again' if there else 'GONE'}")
    found = observed_blake3(work, record, progress=progress)
    if found == record.blake3:
        return Look(
            status=LinkStatus.VERIFIED,
            message=f"{place}: unchanged, blake3 {found[:12]}",
            detail={"observed_blake3": found},
        )
    why = (
        f"blake3 is {found[:12]}, registered was {record.blake3[:12]}"
        if found
        else "gone, or not readable as registered"
    )
    return Look(status=LinkStatus.BROKEN, message=f"{place}: {why}", detail={"observed_blake3": found})


def _evidence(work: Workspace, record: VersionState, *, hash: bool) -> dict[str, Look]:
    from manual_registry.core.canonical import sha256_hex

    base, found = directory_of(work, record), {}
    for item in record.evidence:
        path = base / item["path"]
        if not hash:
            found[item["path"]] = Look(status=LinkStatus.RECORDED, message="not hashed again")
        elif not path.is_file() or path.is_symlink():
            found[item["path"]] = Look(status=LinkStatus.BROKEN, message=f"{item['path']} is gone")
        elif sha256_hex(path.read_bytes()) != item["sha256"]:
            found[item["path"]] = Look(status=LinkStatus.BROKEN, message=f"{item['path']} was changed")
        else:
            found[item["path"]] = Look(status=LinkStatus.VERIFIED, message=f"unchanged, sha256 {item['sha256'][:12]}")
    return found


def _deployed(record: VersionState) -> Look | None:
    """Hash the deployed file where it can be reached from here."""
    from manual_registry.adapters.tree import hash_tree

    reachable = [one for one in record.open_deployments() if one.path and Path(one.path).exists()]
    if not reachable:
        return None
    try:
        found = {one.path: hash_tree(Path(one.path), sha256=False).blake3 for one in reachable if one.path}
    except RegistryError as problem:
        return Look(status=LinkStatus.RECORDED, message=f"the deployed file could not be read: {problem.message}")
    wrong = [path for path, blake3 in found.items() if blake3 != record.blake3]
    if wrong:
        return Look(status=LinkStatus.BROKEN, message=f"the deployed file {wrong[0]} is NOT this version")
    return Look(status=LinkStatus.VERIFIED, message="the deployed file is this version")


def repository_of(work: Workspace, code: Mapping[str, Any]) -> GitRepository | None:
    """Find a repository that may hold the commit: the recorded one, one around here, one around the registry."""
    places = [work.root / code["path"]] if code.get("path") else []
    found: list[GitRepository] = []
    for place in dict.fromkeys((*places, Path.cwd(), work.root)):
        repository = _repository_around(place)
        if repository is None:
            continue
        if repository.has(code["commit"]):
            return repository
        found.append(repository)
    # Another project's repository around here proves nothing; the recorded one does.
    recorded = code.get("repository")
    ours = [
        one for one in found if recorded and one.remote_url() and without_credentials(str(recorded)) == one.remote_url()
    ]
    by_path = [one for one in found if places and one.directory.resolve() == places[0].resolve()]
    return next(iter(by_path or ours), None)


def _repository_around(place: Path) -> GitRepository | None:
    # A look at the names first: loading libgit2 takes longer than the rest of `trace --no-hash`.
    folders = (place, *place.absolute().parents)
    if not any(os.path.lexists(folder / name) for folder in folders for name in (".git", "HEAD")):
        return None
    from manual_registry.adapters.git import GitRepository

    try:
        return GitRepository.discover(place) if place.exists() else None
    except NotARepository:
        return None


def _code(code: Mapping[str, Any], repository: GitRepository | None) -> Look:
    if repository is None:
        where = code.get("repository") or code.get("path") or "no repository is recorded"
        return Look(status=LinkStatus.RECORDED, message=f"its repository is not here ({where})")
    try:
        repository.resolve(code["commit"])
    except CommitUnknown as problem:
        return Look(status=LinkStatus.BROKEN, message=problem.message)
    name, address = repository.author(code["commit"])
    committed = stamp(repository.committed_at(code["commit"]))
    detail: dict[str, Json] = {"author_name": name, "author_email": address, "committed_at": committed}
    return Look(
        status=LinkStatus.VERIFIED,
        message=f"found in {repository.directory.name}, by {name} <{address}> on {committed[:10]}",
        detail=detail,
    )


def _data(item: Mapping[str, Any], repository: GitRepository | None) -> Look:
    reference = parse_reference(item["reference"])
    if not reference.in_repository:
        return Look(status=LinkStatus.RECORDED, message="recorded; it cannot be looked up from here")
    if repository is None:
        return Look(status=LinkStatus.RECORDED, message="its repository is not here")
    from manual_registry.adapters.data_references import resolve_reference

    try:
        found = resolve_reference(item["reference"], repository)
    except (CommitUnknown, ReferenceUnresolved, NotARepository) as problem:
        return Look(status=LinkStatus.BROKEN, message=problem.message)
    if found.hash != item["hash"]:
        return Look(
            status=LinkStatus.BROKEN, message=f"the commit says {found.hash[:12]}, registered was {item['hash'][:12]}"
        )
    place = found.detail.get("found_in")
    return Look(status=LinkStatus.VERIFIED, message=f"found{f' in {place}' if place else ''}, {found.hash[:12]}")
