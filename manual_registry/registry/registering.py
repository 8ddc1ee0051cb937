"""`register` (clauses RP-1, RP-12, RP-16): what is told and copied becomes one event; :mod:`attaching` adds to it later."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manual_registry.core import events as kinds
from manual_registry.core.canonical import dump
from manual_registry.core.decide.closing import refuse_closed
from manual_registry.core.decide.registration import (
    identifier,
    missing_fields,
    refuse_missing,
    taken,
)
from manual_registry.core.errors import ArtefactMissing, NoNextVersion, RegistryError, VersionTaken, raise_for
from manual_registry.core.ledger import Draft
from manual_registry.core.manifest import printable
from manual_registry.core.state import State, VersionState
from manual_registry.core.values import ModelName, Stage, Version, model_name, version_name
from manual_registry.registry.access import writing
from manual_registry.registry.gathering import gather, keep_all
from manual_registry.registry.given import Gathered, Given
from manual_registry.registry.lineage import relative_path

if TYPE_CHECKING:
    from manual_registry.adapters.staging import Staged
    from manual_registry.core.results import Result
    from manual_registry.ports import Progress
    from manual_registry.registry.workspace import Loaded, Workspace


def register(
    work: Workspace,
    model: str,
    version: str,
    path: Path,
    given: Given,
    *,
    dereference: bool = False,
    progress: Progress | None = None,
) -> Result:
    """Register a version; see :meth:`manual_registry.Registry.register`."""
    wanted = sought(work, model, version)
    hint = f"mreg register {wanted.model} {wanted.version} {shlex.quote(printable(str(path)))} --template metadata.yaml"
    found = gathered(work, wanted, given, beside=path.absolute().parent, path=path, hint=hint)
    return brought(work, wanted, found, path, dereference=dereference, progress=progress)


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """The version that is to be: its name, whether it is the ``next`` one, and the state that this was found in."""

    state: State
    model: ModelName
    version: Version
    is_next: bool


def sought(work: Workspace, model: str, version: str) -> Wanted:
    """Return the version that ``model`` and ``version`` (``next``: count up) name.

    Raises :class:`BadName` and its kind, :class:`RegistryClosed` where it does not stand already.
    """
    name = model_name(model)
    state = work.load().state
    is_next = version == "next"
    if is_next or state.version(name, version_name(version)) is None:
        refuse_closed(state)
    named = next_version(state, name) if is_next else version_name(version)
    return Wanted(state=state, model=name, version=named, is_next=is_next)


def brought(
    work: Workspace,
    wanted: Wanted,
    found: Gathered,
    path: Path,
    *,
    dereference: bool = False,
    progress: Progress | None = None,
) -> Result:
    """Copy ``path`` in as the version that is wanted, and write its event."""
    standing = wanted.state.version(wanted.model, wanted.version)
    if standing is not None:
        _refuse_other_content(standing, path, dereference)
    return entered(work, wanted, found, work.storage.stage(path, dereference=dereference, progress=progress))


def entered(work: Workspace, wanted: Wanted, found: Gathered, staged: Staged) -> Result:
    """Write the event of what was staged; the same as a version that stands changes nothing, anything else is refused."""
    name, version = wanted.model, wanted.version
    with staged:
        members = _members(work, staged, found)
        with writing(work) as loaded:
            if wanted.is_next:
                version = next_version(loaded.state, name)
            standing = loaded.state.version(name, version)
            if standing is not None:
                staged.discard()
                return _again(work, loaded, standing, members, found.assumed)
            record = _write(work, loaded, name, version, staged, members)
            _tell(work, loaded, record, found, staged.content.left_out)
    lacking = _lacking(work, loaded.state, record)
    return work.result("register", loaded, record, next=_after(loaded.state, record, lacking), notes=_told(lacking))


def next_version(state: State, model: ModelName) -> Version:
    """Count up the last digits of the version registered last; the first is ``1``; raises :class:`NoNextVersion`."""
    found = state.models.get(model)
    if found is None:
        return version_name("1")
    last = found.versions[-1]
    head = last.rstrip("0123456789")
    digits = last[len(head) :]
    # "1.0rc" ends in no digit: count the last run of digits, wherever it stands.
    tail = ""
    while head and not digits:
        tail = head[-1] + tail
        head = head[:-1]
        stripped = head.rstrip("0123456789")
        head, digits = stripped, head[len(stripped) :]
    if not digits:
        raise NoNextVersion(
            f"{model}@{last} has no digits to count up; name the version",
            location="version",
            hint=f"mreg register {model} VERSION PATH",
        )
    candidate = f"{head}{int(digits) + 1:0{len(digits)}d}{tail}"
    while candidate.lower() in found.by_lower or candidate.lower() in {alias.lower() for alias in found.aliases}:
        digits = f"{int(digits) + 1:0{len(digits)}d}"
        candidate = f"{head}{int(digits) + 1:0{len(digits)}d}{tail}"
    return version_name(candidate)


def gathered(
    work: Workspace, wanted: Wanted, given: Given, *, beside: Path | None, path: Path | None, hint: str
) -> Gathered:
    """Gather, and raise everything that can be told before a byte is copied: all at once.

    ``path`` None: what will be copied is not on this machine. ``beside``: where a repository is looked for first when no
    metadata file was named. ``hint`` says what brings fields that are missing.
    """
    state, model, version = wanted.state, wanted.model, wanted.version
    place = given.metadata.absolute().parent if given.metadata else beside
    found = gather(given, repository_at=place, environ=work.environ)
    problems = list(found.problems)
    if path is not None and not path.exists() and not path.is_symlink():
        problems.append(
            ArtefactMissing(
                f"{printable(str(path))}: there is no such file or directory", location=printable(str(path))
            )
        )
    standing = state.version(model, version)
    other = taken(state, model, version) if standing is None else None
    if other is not None:
        problems.append(other)
    if standing is None:
        told = {**found.fields, "card": found.card, **{file.kind: True for file in found.files}}
        wrong = {problem.location.split(": ")[-1].split(".")[0] for problem in problems if problem.location}
        absent = [name for name in missing_fields(state, told) if name not in wrong | found.named]
        problems += refuse_missing(absent, f"{model}@{version}", hint=hint)
    raise_for(problems)
    return found


def _refuse_other_content(standing: VersionState, path: Path, dereference: bool) -> None:
    """A version that stands: other content is told before anything is copied."""
    from manual_registry.adapters.tree import hash_tree

    content = hash_tree(path, sha256=False, dereference=dereference)
    if content.blake3 != standing.blake3:
        raise _differs(standing, [f"content (blake3 {content.blake3[:12]}, registered {standing.blake3[:12]})"])


def _differs(standing: VersionState, names: list[str]) -> VersionTaken:
    return VersionTaken(
        f"{standing.ref} exists and differs in {', '.join(names)}; a version is never registered twice",
        location=standing.ref,
        clause="RP-1",
        hint=f"mreg register {standing.model} next PATH",
        details={"differs": list(names)},
    )


def _members(work: Workspace, staged: Staged, found: Gathered) -> dict[str, Any]:
    """Keep the evidence in the staged version and return the event's data, identifier left out."""
    kept = keep_all(found, lambda file: staged.add_evidence(file.kind, file.path, data=file.data))
    code = found.fields["code"]
    if code:
        code = {**code, "path": relative_path(code["path"], work.root)}
    return {**found.fields, **kept, "code": code, "artefact": staged.content.document(), "tags": found.tags}


def _data(model: str, version: str, members: Mapping[str, Any]) -> dict[str, Any]:
    return {**members, "composite_id": identifier(model, version, members)}


def record_bytes(registry_id: str, model: str, version: str, data: Mapping[str, Any]) -> bytes:
    """Return record.json of a version: what was registered, for whoever finds the directory alone."""
    return dump(
        {
            "schema": "manual-registry/record/1",
            "registry": registry_id,
            "model": model,
            "version": version,
            "registration": dict(data),
        }
    )


def _write(
    work: Workspace, loaded: Loaded, model: ModelName, version: Version, staged: Staged, members: Mapping[str, Any]
) -> VersionState:
    from manual_registry.core.decide import decide
    from manual_registry.core.ledger import seal

    data = _data(model, version, members)
    draft = Draft(type=kinds.REGISTERED, subject={"model": model, "version": version}, data=data)
    state, at = loaded.state, work.now()
    raise_for(decide(state, seal(draft, seq=state.head_seq + 1, prev=state.head_hash, at=at, actor=work.actor)))
    staged.write("record.json", record_bytes(state.registry_id, model, version, data))
    staged.place(model, version, facts={"blake3": staged.content.blake3})
    try:
        work.append(loaded, lambda _state, _at: draft)
    except RegistryError:
        staged.discard()  # decided anew after a lost race: somebody else took the version
        raise
    staged.finish()
    return loaded.state.versions[model, version]


#: Facts about the moment of registering; they do not make a second registration another one.
_CIRCUMSTANCES = frozenset({"ci", "composite_id"})


def _again(
    work: Workspace, loaded: Loaded, standing: VersionState, members: Mapping[str, Any], assumed: Collection[str]
) -> Result:
    """The version stands: nothing to do when all is the same, else a conflict that names what differs.

    What was ``assumed`` from the CI system belongs to the run: another run of the job says another one.
    """
    fresh = _data(standing.model, standing.version, members)
    names = [
        name
        for name in fresh
        if name not in _CIRCUMSTANCES and not _same(name, fresh[name], standing.data.get(name))
        if name not in assumed or standing.data.get(name) is None
    ]
    if names:
        raise _differs(standing, names)
    return work.result(
        "register", loaded, standing, next=f"mreg show {standing.ref}", notes=(f"{standing.ref} is registered already",)
    )


def _same(name: str, fresh: Any, standing: Any) -> bool:
    if name == "code" and fresh and standing:
        return bool(fresh["commit"] == standing["commit"])
    if name == "pipeline_run" and fresh is None:
        return True
    if name == "artefact":
        return bool((fresh["blake3"], fresh["sha256"]) == (standing["blake3"], standing["sha256"]))
    return dump({"value": fresh}) == dump({"value": standing})


def _tell(work: Workspace, loaded: Loaded, record: VersionState, found: Gathered, left_out: tuple[str, ...]) -> None:
    work.warn(*found.warnings)
    if left_out:
        work.warn(f"left out: {', '.join(left_out[:5])}{', …' if len(left_out) > 5 else ''}")
    twins = [one.ref for one in loaded.state.versions.values() if one.blake3 == record.blake3 and one is not record]
    if twins:
        work.warn(f"the same content is registered as {', '.join(twins)} too")


def _lacking(work: Workspace, state: State, record: VersionState) -> list[RegistryError]:
    """Return what staging would refuse the version for besides an approval."""
    from manual_registry.core.decide.common import document_reasons, gate_reasons

    return [
        *gate_reasons(state, record, Stage.STAGING, work.clock()),
        *document_reasons(state, record, Stage.STAGING),
    ]


def _told(lacking: list[RegistryError]) -> tuple[str, ...]:
    """Say it in one sentence."""
    told = [one.message.partition(": ")[2] or one.message for one in lacking]
    return (f"before staging: {'; '.join(told)}",) if told else ()


def _after(state: State, record: VersionState, lacking: list[RegistryError]) -> str:
    if lacking and lacking[0].hint:
        return lacking[0].hint
    if state.policy.needs_approval(Stage.STAGING, has_lead=state.has_lead):
        return f"mreg approval request {record.ref} --to staging"
    return f"mreg promote {record.ref} --to staging"


def template(work: Workspace, path: Path, *, repo: Path | None) -> str:
    """Return a metadata file for ``path``; see :meth:`manual_registry.Registry.metadata_template`."""
    from manual_registry.adapters.ci import detect
    from manual_registry.adapters.git import GitRepository
    from manual_registry.adapters.template import metadata_template

    if not path.exists():
        raise ArtefactMissing(
            f"{printable(str(path))}: there is no such file or directory", location=printable(str(path))
        )
    repository = GitRepository.open(repo) if repo else GitRepository.discover(path.absolute())
    repository = repository or GitRepository.discover(Path.cwd())
    return metadata_template(path, repository, detect(work.environ), work.load().state.risk.value)
