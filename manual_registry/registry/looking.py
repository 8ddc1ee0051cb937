"""Looking at stored files: is the artefact what was registered, are the evidence files (clause RP-1)?

Serves promotion, archiving, fetching, trace and verify, so that "unchanged" means one thing everywhere.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from manual_registry.core.errors import (
    ArtefactAdded,
    ArtefactChanged,
    ArtefactFinding,
    ArtefactGone,
    RegistryError,
    raise_for,
)

if TYPE_CHECKING:
    from manual_registry.adapters.tree import Survey
    from manual_registry.core.manifest import Content, FileEntry
    from manual_registry.core.state import VersionState
    from manual_registry.ports import Progress
    from manual_registry.registry.workspace import Workspace

#: What stands in a version directory beside evidence/ and is named by no evidence item.
OWN_NAMES = ("artefact", "SHA256SUMS", "B3SUMS", "record.json")


def directory_of(work: Workspace, record: VersionState) -> Path:
    """Return the directory that holds artefact/ and evidence/: models/m/v, or data/ of its bag."""
    if record.bag is not None:
        return work.root / record.bag / "data"
    return work.root / "models" / record.model / record.version


def artefact_path(work: Workspace, record: VersionState) -> Path:
    """Return where the artefact lies: ``artefact/``, or the file or directory that was adopted in place."""
    if record.location is None:
        return directory_of(work, record) / "artefact"
    # As location_from spells it; a link on the way to the root must not send it elsewhere.
    return Path(os.path.normpath(Path(os.path.realpath(work.root)) / record.location))


def location_from(work: Workspace, path: Path) -> str:
    """Spell where ``path`` lies, from the root: both may move together."""
    return Path(os.path.relpath(os.path.realpath(path), os.path.realpath(work.root))).as_posix()


def artefact_place(work: Workspace, record: VersionState) -> str:
    """Return :func:`artefact_path` for messages."""
    return record.location or f"{place_of(work, record)}/artefact"


def artefact_survey(
    work: Workspace,
    record: VersionState,
    *,
    hashes: bool = True,
    sha256: bool = False,
    progress: Progress | None = None,
) -> Survey:
    """Look at the artefact wherever it lies; `.DS_Store` and its like count in the registry only."""
    from manual_registry.adapters import tree

    path, outside = artefact_path(work, record), record.location is not None
    return tree.survey(path, hashes=hashes, sha256=sha256, progress=progress, leave_out=outside)


def place_of(work: Workspace, record: VersionState) -> str:
    """Return :func:`directory_of` below the root, for messages."""
    return directory_of(work, record).relative_to(work.root).as_posix()


def observed_blake3(work: Workspace, record: VersionState, *, progress: Progress | None = None) -> str | None:
    """Hash the artefact now; None when it is not there. Equal to the registered hash means unchanged."""
    found = observed_content(work, record, progress=progress)
    return found.blake3 if found else None


def observed_content(
    work: Workspace, record: VersionState, *, sha256: bool = False, progress: Progress | None = None
) -> Content | None:
    """Hash the artefact as it stands; None when it is not there or holds what cannot be hashed."""
    from manual_registry.core.manifest import content

    found = artefact_survey(work, record, sha256=sha256, progress=progress)
    if found.problems or not found.files:
        return None
    kind = record.data["artefact"]["kind"]
    if kind == "file" and len(found.files) != 1:
        kind = "directory"
    return content(kind, found.files)


def recorded_content(work: Workspace, record: VersionState) -> Content:
    """Return the artefact as registered, file by file: the manifests, checked against the ledger's hash.

    Sizes are those on disk. Raises :class:`ArtefactGone` or :class:`ArtefactChanged`.
    """
    return _listed_content(work, record, sizes=True)


def _listed_content(work: Workspace, record: VersionState, *, sizes: bool) -> Content:
    from manual_registry.core.manifest import FileEntry, content

    directory, place = directory_of(work, record), place_of(work, record)
    blake3, sha256 = (_manifest(directory / name, f"{place}/{name}") for name in ("B3SUMS", "SHA256SUMS"))
    entries = [
        FileEntry(
            path=path,
            size=_size(artefact_file(work, record, path), _file_place(work, record, path)) if sizes else 0,
            blake3=digest,
            sha256=sha256.get(path),
        )
        for path, digest in blake3.items()
    ]
    made = content(record.data["artefact"]["kind"], entries)
    if (made.blake3, made.sha256) != (record.blake3, record.sha256):
        raise ArtefactChanged(
            f"{place}: B3SUMS or SHA256SUMS is not as registered", location=f"{place}/B3SUMS", clause="RP-1"
        )
    return made


def artefact_file(work: Workspace, record: VersionState, path: str) -> Path:
    """Return one file of the artefact; a single file that lies elsewhere is the location itself."""
    whole = artefact_path(work, record)
    single = record.location is not None and record.data["artefact"]["kind"] == "file"
    return whole if single else whole / path


def _file_place(work: Workspace, record: VersionState, path: str) -> str:
    """Return :func:`artefact_file` for messages."""
    single = record.location is not None and record.data["artefact"]["kind"] == "file"
    return artefact_place(work, record) + ("" if single else f"/{path}")


def _manifest(path: Path, place: str) -> dict[str, str]:
    from manual_registry.core.manifest import parse_manifest

    try:
        return parse_manifest(path.read_bytes(), where=place)
    except FileNotFoundError:
        raise ArtefactGone(f"{place} is missing", location=place, clause="RP-1") from None


def _size(path: Path, place: str) -> int:
    try:
        return path.lstat().st_size
    except (FileNotFoundError, NotADirectoryError):
        raise ArtefactGone(f"{place} is missing", location=place, clause="RP-1") from None


def require_unchanged(work: Workspace, record: VersionState, *, progress: Progress | None = None) -> str:
    """Hash the artefact now and return its BLAKE3; raises the finding when it is not as registered."""
    found = observed_blake3(work, record, progress=progress)
    if found != record.blake3:
        raise changed(work, record, found)
    return found


def require_as_named(work: Workspace, record: VersionState) -> None:
    """Raise what `verify` would find beside the artefact: in a bag it could never be put right again."""
    from manual_registry.adapters import tree

    directory, place = directory_of(work, record), place_of(work, record)
    named = {str(item["path"]): item["blake3"] for item in record.evidence}
    there: dict[str, str | None] = {path.name: None for path in directory.iterdir() if path.name not in OWN_NAMES}
    problems: tuple[RegistryError, ...] = ()
    if there.pop("evidence", "") is None:
        survey = tree.survey(directory / "evidence")
        there |= {f"evidence/{entry.path}": entry.blake3 for entry in survey.files}
        problems = survey.problems
    hint = f"mreg verify {record.ref}"
    for path in sorted(named.keys() | there.keys()):
        where = f"{place}/{path}"
        if path not in there:
            raise ArtefactGone(f"{where}: an evidence file is missing", location=where, clause="RP-1", hint=hint)
        if path not in named:
            raise ArtefactAdded(f"{where}: no event names this file", location=where, clause="RP-1", hint=hint)
        if named[path] != there[path]:
            raise ArtefactChanged(f"{where}: an evidence file was changed", location=where, clause="RP-1", hint=hint)
    raise_for(problems)


def evidence_problems(work: Workspace, record: VersionState) -> list[RegistryError]:
    """Return what is gone or changed of the small files beside the artefact: evidence and manifests, hashed now.

    What an approval rests on (gate reports, model card, environment) must be there as signed when the step is taken.
    """
    from manual_registry.adapters import tree

    directory, place, hint = directory_of(work, record), place_of(work, record), f"mreg verify {record.ref}"
    there = {f"evidence/{one.path}": one.blake3 for one in tree.survey(directory / "evidence").files}
    problems: list[RegistryError] = []
    for item in record.evidence:
        path, where = str(item["path"]), f"{place}/{item['path']}"
        if path not in there:
            told = f"{where}: an evidence file is missing"
            problems.append(ArtefactGone(told, location=where, clause="RP-1", hint=hint))
        elif there[path] != item["blake3"]:
            told = f"{where}: an evidence file was changed"
            problems.append(ArtefactChanged(told, location=where, clause="RP-1", hint=hint))
    try:
        _listed_content(work, record, sizes=False)
    except ArtefactFinding as problem:
        problems.append(problem)
    except RegistryError as problem:  # a manifest that is none any more
        where = f"{place}/B3SUMS"
        told = f"{where}: B3SUMS or SHA256SUMS is not as registered: {problem.message}"
        problems.append(ArtefactChanged(told, location=where, clause="RP-1", hint=hint))
    return problems


def changed(work: Workspace, record: VersionState, found: str | None) -> RegistryError:
    """The finding for an artefact that is gone or differs."""
    place = artefact_place(work, record)
    if found is None:
        return ArtefactGone(
            f"{place}: the artefact is gone or cannot be read",
            location=place,
            clause="RP-1",
            hint=f"mreg verify {record.ref}",
        )
    return ArtefactChanged(
        f"{place}: its hash is blake3:{found[:12]}…, registered was {record.blake3[:12]}…",
        location=place,
        clause="RP-1",
        hint=f"mreg verify {record.ref}",
    )


def without_sizes(entries: tuple[FileEntry, ...]) -> tuple[FileEntry, ...]:
    """Return entries whose size does not count in a comparison."""
    return tuple(replace(entry, size=0) for entry in entries)


def expected_manifests(made: Content) -> dict[str, bytes]:
    """Return the bytes that SHA256SUMS and B3SUMS must have."""
    from manual_registry.core.manifest import manifest_bytes

    return {"SHA256SUMS": manifest_bytes(made.files, "sha256"), "B3SUMS": manifest_bytes(made.files, "blake3")}
