"""The storage part of `verify`: artefacts, evidence, manifests, records and bags against the ledger."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manual_registry.core.audit import finding
from manual_registry.core.canonical import sha256_hex
from manual_registry.core.errors import (
    ArtefactAdded,
    ArtefactChanged,
    ArtefactFinding,
    ArtefactGone,
    ArtefactMissing,
    BagInvalid,
    EmptyDirectory,
    RegistryError,
    StorageUnexpected,
)
from manual_registry.core.manifest import FileEntry, content
from manual_registry.core.results import Finding, Severity
from manual_registry.core.state import State, VersionState
from manual_registry.registry.looking import artefact_place, artefact_survey, directory_of, place_of
from manual_registry.registry.references import find
from manual_registry.registry.registering import record_bytes

if TYPE_CHECKING:
    from manual_registry.adapters.tree import Survey
    from manual_registry.ports import Progress
    from manual_registry.registry.workspace import Workspace

_OWN_FILES = ("SHA256SUMS", "B3SUMS", "record.json")
_STOPPED = (
    "where a command was stopped, the next writing command puts it in order (mreg adopt, mreg import: the same one goes on);"
    " otherwise look at it and move it out of the registry"
)
_STOPPED_ADOPT = (
    "where mreg adopt or mreg import was stopped, the same command goes on and names it; otherwise look at it and move"
    " it out of the registry"
)


@dataclass(slots=True)
class Looked:
    """What was looked at, and what was found."""

    files: int = 0
    bytes: int = 0
    findings: list[Finding] = field(default_factory=list)

    def add(self, kind: type[ArtefactFinding], place: str, message: str, *, clause: str = "RP-1") -> None:
        """Keep an error at ``place``."""
        self.findings.append(finding(kind(message, location=place, clause=clause)))


def choose(work: Workspace, state: State, refs: Sequence[str], sample: int | None) -> list[VersionState]:
    """Return the versions to look at: those named, else all; ``sample``: so many of them, by chance."""
    records = [find(work, state, ref) for ref in refs] if refs else list(state.versions.values())
    if sample is not None and sample < len(records):
        records = random.sample(records, sample)
    return records


def audit_storage(
    work: Workspace,
    state: State,
    records: Iterable[VersionState],
    *,
    whole: bool,
    quick: bool,
    both: bool,
    jobs: int | None,
    progress: Progress | None,
) -> Looked:
    """Look at ``records``; ``whole``: also at everything that no event names."""
    looked = Looked()
    chosen = list(records)
    surveys = _surveys(work, chosen, quick=quick, both=both, jobs=jobs, progress=progress)
    for record, found in zip(chosen, surveys, strict=True):
        _version(work, state, record, found, looked, quick=quick, both=both)
        _older_bags(work, record, looked, quick=quick, both=both)
    if whole:
        _foreign(work, state, looked)
        _protection(work, chosen, looked)
    return looked


def _surveys(
    work: Workspace,
    records: list[VersionState],
    *,
    quick: bool,
    both: bool,
    jobs: int | None,
    progress: Progress | None,
) -> Iterator[Survey | None]:
    """Yield what lies in each version's directory, hashed, in order; None where there is no directory."""
    from concurrent.futures import CancelledError, ThreadPoolExecutor

    from manual_registry.adapters import tree

    sizes = [int(one.data["artefact"]["size"]) for one in records]
    count = 1 if quick else tree.workers(jobs, both, sizes)
    tick = tree.counter(progress, sum(sizes))
    stopped = threading.Event()

    def one(record: VersionState) -> Survey | None:
        directory, before = directory_of(work, record), 0

        def step(done: int, _all: int) -> None:
            nonlocal before
            if stopped.is_set():
                raise CancelledError
            if tick is not None:
                tick(done - before)
            before = done

        if not directory.is_dir() or directory.is_symlink():
            return None
        found = tree.survey(
            directory, hashes=not quick, sha256=both and not quick, jobs=jobs, alone=count == 1, progress=step
        )
        return found if record.location is None else _with_outside(work, record, found, quick=quick, both=both)

    if count == 1:
        yield from map(one, records)
        return
    with ThreadPoolExecutor(count) as pool:
        try:
            yield from pool.map(one, records)
        finally:
            stopped.set()  # Ctrl-C: those that are being hashed need not be finished


def _with_outside(work: Workspace, record: VersionState, found: Survey, *, quick: bool, both: bool) -> Survey:
    """Add the files that stayed where they were adopted, as if they lay in ``artefact/``."""
    from manual_registry.adapters.tree import Survey

    there = artefact_survey(work, record, hashes=not quick, sha256=both and not quick)
    files = tuple(replace(entry, path=f"artefact/{entry.path}") for entry in there.files)
    # What is missing altogether is told file by file.
    problems = tuple(one for one in there.problems if not isinstance(one, ArtefactMissing))
    return Survey(files=(*found.files, *files), problems=(*found.problems, *problems))


def _version(
    work: Workspace,
    state: State,
    record: VersionState,
    found: Survey | None,
    looked: Looked,
    *,
    quick: bool,
    both: bool,
) -> None:
    directory, place = directory_of(work, record), place_of(work, record)
    if found is None:
        looked.add(ArtefactGone, place, "the version's directory is missing")
        return
    if record.bag is not None:
        _bag(work, record.bags[-1], looked, quick=quick, both=both)
    entries = {entry.path: entry for entry in found.files}
    looked.files += len(entries)
    _artefact(record, entries, place, artefact_place(work, record), directory, looked, both=both, quick=quick)
    _evidence(record, entries, place, looked, quick=quick)
    _record(state, record, directory, place, looked)
    _problems(found.problems, place, looked)
    named = {f"{item['path']}" for item in record.evidence} | set(_OWN_FILES)
    for path in sorted(entries):
        if not path.startswith("artefact/") and path not in named:
            looked.add(ArtefactAdded, f"{place}/{path}", "no event names this file")


def _problems(problems: Iterable[RegistryError], place: str, looked: Looked) -> None:
    """Tell what cannot be hashed; a folder whose file is gone is not told as empty too, nor a link as missing."""
    unfit = {f"{place}/{one.location}" if one.location else place: one for one in problems}
    looked.findings = [one for one in looked.findings if one.location not in unfit or one.code != ArtefactGone.code]
    gone = [one.location for one in looked.findings if one.code == ArtefactGone.code]
    for where, problem in unfit.items():
        if isinstance(problem, EmptyDirectory) and any(one.startswith(f"{where}/") for one in gone):
            continue
        looked.add(ArtefactAdded, where, problem.message)


def _artefact(
    record: VersionState,
    entries: dict[str, FileEntry],
    place: str,
    artefact: str,
    directory: Path,
    looked: Looked,
    *,
    both: bool,
    quick: bool,
) -> None:
    """Compare the artefact (at ``artefact``) with the manifest, file by file, and the manifests with the ledger."""
    stands = [entry for path, entry in entries.items() if path.startswith("artefact/")]
    looked.bytes += sum(entry.size for entry in stands)
    listed = _listed(record, directory, place, looked)
    if listed is None:
        _whole_only(record, stands, artefact, looked, quick=quick)
        return
    there = {entry.path.removeprefix("artefact/"): entry for entry in stands}
    for path in sorted(listed.keys() | there.keys()):
        where = artefact if record.location and record.data["artefact"]["kind"] == "file" else f"{artefact}/{path}"
        if path not in there:
            looked.add(ArtefactGone, where, "missing")
        elif path not in listed:
            looked.add(ArtefactAdded, where, "added after registration")
        elif not quick and there[path].blake3 != listed[path].blake3:
            looked.add(
                ArtefactChanged,
                where,
                f"changed: blake3 is {str(there[path].blake3)[:12]}, registered was {str(listed[path].blake3)[:12]}",
            )
        elif both and not quick and there[path].sha256 != listed[path].sha256:
            looked.add(
                ArtefactChanged,
                where,
                f"changed: sha256 is {str(there[path].sha256)[:12]}, registered was {str(listed[path].sha256)[:12]}",
            )
    if (
        quick
        and sum(entry.size for entry in stands) != record.data["artefact"]["size"]
        and listed.keys() == there.keys()
    ):
        looked.add(ArtefactChanged, artefact, "its size is not the registered one")


def _listed(record: VersionState, directory: Path, place: str, looked: Looked) -> dict[str, FileEntry] | None:
    """Read the manifests; None (told) when they are not what was registered."""
    from manual_registry.core.manifest import parse_manifest

    try:
        blake3 = parse_manifest((directory / "B3SUMS").read_bytes(), where=f"{place}/B3SUMS")
        sha256 = parse_manifest((directory / "SHA256SUMS").read_bytes(), where=f"{place}/SHA256SUMS")
        entries = [
            FileEntry(path=path, size=0, blake3=digest, sha256=sha256.get(path)) for path, digest in blake3.items()
        ]
        made = content(record.data["artefact"]["kind"], entries)
    except FileNotFoundError as gone:
        looked.add(ArtefactGone, f"{place}/{Path(str(gone.filename)).name}", "missing")
        return None
    except RegistryError as problem:
        looked.add(ArtefactChanged, problem.location or f"{place}/B3SUMS", problem.message)
        return None
    if (made.blake3, made.sha256) != (record.blake3, record.sha256) or blake3.keys() != sha256.keys():
        name = "B3SUMS" if made.blake3 != record.blake3 else "SHA256SUMS"
        looked.add(ArtefactChanged, f"{place}/{name}", "not the manifest that was registered")
        return None
    return {entry.path: entry for entry in made.files}


def _whole_only(record: VersionState, stands: list[FileEntry], artefact: str, looked: Looked, *, quick: bool) -> None:
    """Without a good manifest only the artefact as a whole can be compared with the ledger."""
    if quick:
        return
    inner = [FileEntry(path=one.path.removeprefix("artefact/"), size=one.size, blake3=one.blake3) for one in stands]
    try:
        made = content(record.data["artefact"]["kind"], inner)
    except RegistryError as problem:
        looked.add(ArtefactChanged, artefact, problem.message)
        return
    if made.blake3 != record.blake3:
        looked.add(ArtefactChanged, artefact, "the artefact is not as registered either")


def _evidence(record: VersionState, entries: dict[str, FileEntry], place: str, looked: Looked, *, quick: bool) -> None:
    for item in record.evidence:
        entry, where = entries.get(item["path"]), f"{place}/{item['path']}"
        if entry is None:
            looked.add(ArtefactGone, where, "an evidence file is missing")
        elif entry.size != item["size"] or (not quick and entry.blake3 != item["blake3"]):
            looked.add(ArtefactChanged, where, "an evidence file was changed")


def _record(state: State, record: VersionState, directory: Path, place: str, looked: Looked) -> None:
    path = directory / "record.json"
    if not path.is_file():
        looked.add(ArtefactGone, f"{place}/record.json", "missing")
    elif path.read_bytes() != record_bytes(state.registry_id, record.model, record.version, record.data):
        looked.add(ArtefactChanged, f"{place}/record.json", "differs from the event that registered it")


def _bag(work: Workspace, bag: dict[str, Any], looked: Looked, *, quick: bool, both: bool) -> None:
    path = work.root / bag["bag"]
    for name, wanted in (("tagmanifest-sha256.txt", bag["manifest"]), ("manifest-sha256.txt", bag["payload"])):
        there = path / name
        if not there.is_file() or sha256_hex(there.read_bytes()) != wanted:
            looked.add(BagInvalid, f"{bag['bag']}/{name}", "not as it was when the bag was made", clause="RP-5")
    if not quick:
        looked.findings += [finding(problem) for problem in work.storage.verify_bag(path, both=both)]


def _older_bags(work: Workspace, record: VersionState, looked: Looked, *, quick: bool, both: bool) -> None:
    """Bags from which a version was copied back stay, and are checked like the others (RP-8)."""
    current = record.bag
    for bag in record.bags:
        if bag["bag"] == current:
            continue
        if not (work.root / bag["bag"]).is_dir():
            looked.add(ArtefactGone, bag["bag"], "the bag is missing", clause="RP-8")
        else:
            _bag(work, bag, looked, quick=quick, both=both)


def _foreign(work: Workspace, state: State, looked: Looked) -> None:
    """Tell what lies in models/ and archive/ and has no event."""
    standing = work.storage.standing()
    for model, version in standing.models:
        record, place = state.version(model, version), f"models/{model}/{version}"
        if record is None:
            looked.findings.append(
                finding(
                    StorageUnexpected(
                        f"{place}: no event names this directory", location=place, clause="RP-1", hint=_STOPPED
                    )
                )
            )
        elif record.bag is not None:
            waits = StorageUnexpected(
                f"{place}: its move to {record.bag} is not finished; the next writing command ends it", location=place
            )
            looked.findings.append(finding(waits, severity=Severity.INFO))
    _adopted_sheets(work, state, looked)
    bags = {bag["bag"] for record in state.versions.values() for bag in record.bags}
    for model, version, number in standing.bags:
        place = f"archive/{model}/{version}" + (f"~{number}" if number > 1 else "")
        if place not in bags:
            looked.findings.append(
                finding(StorageUnexpected(f"{place}: no event names this bag", location=place, clause="RP-5"))
            )
    for place in standing.foreign:
        looked.findings.append(
            finding(
                StorageUnexpected(f"{place}: this has no place here", location=place, clause="RP-1"),
                severity=Severity.WARNING,
            )
        )


def _adopted_sheets(work: Workspace, state: State, looked: Looked) -> None:
    """The spreadsheets and snapshots that were adopted stay whole, as the events name them (RP-16)."""
    from manual_registry.adapters import adopted_sheets

    for place, sha256 in state.adopted.items():
        found = adopted_sheets.sha256_of(work.root / place)
        if found is None:
            looked.add(ArtefactGone, place, "what was adopted was kept here, and is missing", clause="RP-16")
        elif found != sha256:
            looked.add(ArtefactChanged, place, "what was adopted was kept here, and was changed", clause="RP-16")
    for place in adopted_sheets.standing(work.root):
        if place not in state.adopted:
            stray = StorageUnexpected(
                f"{place}: no event names this file", location=place, clause="RP-16", hint=_STOPPED_ADOPT
            )
            looked.findings.append(finding(stray, severity=Severity.WARNING))


def _protection(work: Workspace, records: list[VersionState], looked: Looked) -> None:
    """Tell the level at which deletion is refused, observed now (RP-18)."""
    levels: dict[str, list[str]] = {}
    for record in records:
        directory = directory_of(work, record)
        if record.location is not None:
            levels.setdefault("none", []).append(record.ref)
        elif directory.is_dir():
            levels.setdefault(work.storage.protection(directory), []).append(record.ref)
    for level, refs in sorted(levels.items()):
        weak = level == "none"
        looked.findings.append(
            Finding(
                code="MR-F002",
                severity=Severity.WARNING if weak else Severity.INFO,
                location="models/",
                message=f"protection against deletion is {level} for {len(refs)} version{'s' if len(refs) > 1 else ''}"
                + (f" ({refs[0]}, …)" if weak else ""),
                clause="RP-18",
            )
        )
