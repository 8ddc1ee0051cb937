"""What DVC recorded about a path in one commit: `.dvc` files, `dvc.lock`, `.dvc/config`.

Rules held here: only the commit is read, never the work tree, so that the answer is the same everywhere; a
`.dvc` file of the path itself wins over one of a directory that contains it, an output of a stage over a
dependency. DVC itself is not needed. In `dvc.lock`, paths are relative to the stage's `wdir` in the
`dvc.yaml` beside it.
"""

from __future__ import annotations

import configparser
import hashlib
import json
import posixpath
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from manual_registry.adapters.documents import decode_text
from manual_registry.adapters.dvc_cache import listing_lacks
from manual_registry.adapters.git import GitRepository
from manual_registry.adapters.yaml_text import parse_yaml, plain
from manual_registry.core.errors import MetadataUnreadable, ReferenceUnresolved
from manual_registry.core.references import without_credentials

#: The hashes that DVC writes, best first; `etag` and `checksum` come from stores that hash in their own way.
ALGORITHMS = ("md5", "etag", "checksum")


@dataclass(frozen=True, kw_only=True, slots=True)
class DvcTarget:
    """What DVC recorded about one path.

    ``md5`` is the hash as DVC writes it (a directory's ends in ``.dir``); ``algorithm`` says which it is:
    md5, etag, checksum, or md5-dos2unix (DVC before 3.0: line ends of text files were changed before
    hashing). ``size`` in bytes, ``nfiles`` of a directory, each None where DVC did not write it. ``path`` is
    what is tracked: the asked path, or a directory that contains it. ``found_in`` is the file of the commit
    that says so; ``role`` out or dep; ``stage`` the stage of dvc.lock; ``remote`` the remote's address
    without credentials; ``source`` where `dvc import` took it.
    """

    path: str
    md5: str
    algorithm: str
    found_in: str
    role: str = "out"
    size: int | None = None
    nfiles: int | None = None
    stage: str | None = None
    remote: str | None = None
    source: Mapping[str, str] | None = None


def resolve(repository: GitRepository, commit: str, path: str) -> DvcTarget:
    """Return what DVC recorded about ``path`` (POSIX, from the top of the repository) in ``commit``.

    Raises :class:`ReferenceUnresolved` when the commit has nothing about it, has it with two hashes, or has a
    DVC file that does not parse; ``CommitUnknown`` for an unknown commit.
    """
    wanted = posixpath.normpath(path)
    broken: list[ReferenceUnresolved] = []
    found = (
        _in_dvc_files(repository, commit, wanted, broken)
        or _in_lock_files(repository, commit, wanted, broken)
        or _in_dvc_files_elsewhere(repository, commit, wanted, broken)
    )
    if found is None and broken:
        raise broken[0]
    if found is None:
        raise ReferenceUnresolved(
            f"dvc: commit {commit[:12]} has no .dvc file and no dvc.lock entry for {path}"
            + _instead(repository, commit, wanted),
            location=path,
            hint=f"dvc list --dvc-only -R {shlex.quote(str(repository.directory))}",
        )
    if listing_lacks(repository.directory, found.md5, posixpath.relpath(wanted, found.path)):
        raise ReferenceUnresolved(
            f"dvc: {found.path} in commit {commit[:12]} has no {posixpath.relpath(wanted, found.path)} in it",
            location=path,
        )
    return found


def tracked(repository: GitRepository, commit: str) -> tuple[DvcTarget, ...]:
    """Return everything that DVC tracks in ``commit``: outputs of .dvc files and of stages, sorted by path.

    Files that do not parse are left out. For offering what may be meant; :func:`resolve` decides.
    """
    found: dict[str, DvcTarget] = {}
    for file in repository.files(commit):
        for target in _readable(_targets_of(repository, commit, file.path), []):
            if target.role == "out":
                found.setdefault(target.path, target)
    return tuple(found[path] for path in sorted(found))


def _instead(repository: GitRepository, commit: str, path: str) -> str:
    if repository.entry(commit, path) is not None and path.endswith(".dvc"):
        return f"; that is DVC's own file: write dvc:{commit}:{path.removesuffix('.dvc')}"
    if repository.entry(commit, path) is not None:
        return f"; it is in git itself: write git:{commit}:{path}"
    return ""


# -- .dvc files -------------------------------------------------------------------------------------------


def _in_dvc_files(
    repository: GitRepository, commit: str, path: str, broken: list[ReferenceUnresolved]
) -> DvcTarget | None:
    """Look in the .dvc files beside the path and in every parent; the nearest tracked path wins.

    Files that do not parse are added to ``broken``.
    """
    best: DvcTarget | None = None
    for file in _candidates(repository, commit, path):
        for target in _readable(_dvc_file(repository, commit, file), broken):
            if _covers(target, path) and (best is None or len(target.path) > len(best.path)):
                best = target
        if best is not None and best.path == path:
            break
    return best


def _in_dvc_files_elsewhere(
    repository: GitRepository, commit: str, path: str, broken: list[ReferenceUnresolved]
) -> DvcTarget | None:
    """Look in all .dvc files of the commit: one with a `wdir` may lie anywhere. Slow, hence last."""
    found = [
        target
        for file in repository.files(commit)
        if _is_dvc_file(file.path)
        for target in _readable(_dvc_file(repository, commit, file.path), broken)
        if _covers(target, path)
    ]
    return max(found, key=lambda target: len(target.path), default=None)


def _readable(targets: Iterable[DvcTarget], broken: list[ReferenceUnresolved]) -> list[DvcTarget]:
    try:
        return list(targets)
    except ReferenceUnresolved as error:
        broken.append(error)
        return []


def _candidates(repository: GitRepository, commit: str, path: str) -> Iterator[str]:
    """The path's own .dvc file first, then those of its directory, then of each parent up to the top."""
    own = path + ".dvc"
    if repository.entry(commit, own) is not None:
        yield own
    folder = path
    while folder:
        folder = posixpath.dirname(folder)
        for name in repository.names(commit, folder):
            file = posixpath.join(folder, name)
            if _is_dvc_file(file) and file != own:
                yield file


def _covers(target: DvcTarget, path: str) -> bool:
    """Tell whether ``path`` is what is tracked or may lie in it (an md5 without ``.dir`` is a file's)."""
    is_file = target.algorithm.startswith("md5") and not target.md5.endswith(".dir")
    return path == target.path or (not is_file and path.startswith(target.path + "/"))


def _is_dvc_file(path: str) -> bool:
    name = posixpath.basename(path)
    return name.endswith(".dvc") and name != ".dvc"


def _targets_of(repository: GitRepository, commit: str, file: str) -> Iterable[DvcTarget]:
    if _is_dvc_file(file):
        return _dvc_file(repository, commit, file)
    return _lock_file(repository, commit, file) if posixpath.basename(file) == "dvc.lock" else ()


def _dvc_file(repository: GitRepository, commit: str, file: str) -> Iterator[DvcTarget]:
    document = _read(repository, commit, file)
    folder = posixpath.join(posixpath.dirname(file), str(document.get("wdir") or "."))
    common = DvcTarget(path="", md5="", algorithm="", found_in=file, source=_source(document))
    for out in _entries(document, "outs", file):
        yield from _targets(repository, commit, out, folder, common)


def _source(document: Mapping[str, Any]) -> dict[str, str] | None:
    """Where `dvc import` or `dvc import-url` took the data: address, and a repository's locked commit."""
    deps = document.get("deps")
    if not isinstance(deps, list) or not deps or not isinstance(deps[0], dict):
        return None
    dep, repo = deps[0], deps[0].get("repo")
    found = {"path": dep.get("path")}
    if isinstance(repo, dict):
        found |= {"url": repo.get("url"), "commit": repo.get("rev_lock")}
    return {key: without_credentials(value) for key, value in found.items() if isinstance(value, str)}


# -- dvc.lock ---------------------------------------------------------------------------------------------


def _in_lock_files(
    repository: GitRepository, commit: str, path: str, broken: list[ReferenceUnresolved]
) -> DvcTarget | None:
    """Look in every dvc.lock of the commit (a stage may read and write outside its folder)."""
    found = [
        target
        for file in repository.files(commit)
        if posixpath.basename(file.path) == "dvc.lock"
        for target in _readable(_lock_file(repository, commit, file.path), broken)
        if _covers(target, path)
    ]
    if not found:
        return None
    best = [target for target in found if target.role == "out"] or found
    nearest = max(len(target.path) for target in best)
    chosen = [target for target in best if len(target.path) == nearest]
    if len({target.md5 for target in chosen}) > 1:
        told = ", ".join(f"{target.md5} ({target.found_in}, stage {target.stage})" for target in chosen)
        raise ReferenceUnresolved(
            f"dvc: commit {commit[:12]} records {path} with several hashes: {told}",
            location=path,
            hint="dvc repro",
        )
    return chosen[0]


def _lock_file(repository: GitRepository, commit: str, file: str) -> Iterator[DvcTarget]:
    document = _read(repository, commit, file)
    stages = document.get("stages", document if "schema" not in document else {})
    if not isinstance(stages, dict):
        raise _malformed(file, commit, "`stages` is not a mapping")
    wdirs = _wdirs(repository, commit, posixpath.join(posixpath.dirname(file), "dvc.yaml"))
    for name, stage in stages.items():
        if not isinstance(stage, dict):
            raise _malformed(file, commit, f"stage {name} is not a mapping")
        wdir = wdirs.get(str(name).partition("@")[0], ".")
        folder = posixpath.join(posixpath.dirname(file), wdir)
        for role in ("outs", "deps"):
            common = DvcTarget(path="", md5="", algorithm="", found_in=file, role=role[:-1], stage=str(name))
            for out in _entries(stage, role, file):
                yield from _targets(repository, commit, out, folder, common)


def _wdirs(repository: GitRepository, commit: str, file: str) -> dict[str, str]:
    """Return the `wdir` of each stage in a dvc.yaml (of `foreach` and `matrix` stages too)."""
    if repository.blob(commit, file) is None:
        return {}
    stages = _read(repository, commit, file).get("stages")
    found: dict[str, str] = {}
    for name, stage in (stages if isinstance(stages, dict) else {}).items():
        inner = stage.get("do", stage) if isinstance(stage, dict) else {}
        wdir = inner.get("wdir") if isinstance(inner, dict) else None
        if isinstance(wdir, str):
            found[str(name)] = wdir
    return found


# -- entries ----------------------------------------------------------------------------------------------


def _entries(document: Mapping[str, Any], key: str, file: str) -> list[dict[str, Any]]:
    entries = document.get(key) or []
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ReferenceUnresolved(f"{file}: `{key}` is not a list of entries", location=file)
    return entries


def _targets(
    repository: GitRepository, commit: str, entry: Mapping[str, Any], folder: str, common: DvcTarget
) -> Iterator[DvcTarget]:
    """Yield the target of one entry, and one for each file that the entry lists (cloud versioning).

    ``common`` holds what the entries of one file or stage share.
    """
    path = _inside(folder, entry.get("path"))
    if path is None:
        return
    common = replace(common, path=path, remote=_remote(repository, commit, path, entry.get("remote")))
    listed = [item for item in entry.get("files") or [] if isinstance(item, dict) and item.get("relpath")]
    for found, item, inner in [
        (_hash_of(entry) or _hash_of_list(listed), entry, path),
        *((_hash_of(item), item, posixpath.join(path, str(item["relpath"]))) for item in listed),
    ]:
        if found:
            size, nfiles = _whole_number(item.get("size")), _whole_number(item.get("nfiles"))
            yield replace(common, path=inner, algorithm=found[0], md5=found[1], size=size, nfiles=nfiles)


def _inside(folder: str, path: Any) -> str | None:
    """Return the path from the top of the repository.

    None for what lies outside it (absolute, an address, ..).
    """
    if not isinstance(path, str) or "://" in path or posixpath.isabs(path):
        return None
    joined = posixpath.normpath(posixpath.join(folder, path))
    return None if joined.startswith("../") or joined in ("..", ".") else joined


def _hash_of(entry: Mapping[str, Any]) -> tuple[str, str] | None:
    for name in ALGORITHMS:
        value = _as_text(entry.get(name))
        if value:
            legacy = name == "md5" and entry.get("hash") != "md5" and not value.endswith(".dir")
            return ("md5-dos2unix" if legacy else name, value)
    return None


def _hash_of_list(listed: list[dict[str, Any]]) -> tuple[str, str] | None:
    """Compute a directory's hash as DVC does, from the files that a cloud-versioned .dvc file lists."""
    pairs = [{"md5": _as_text(item.get("md5")), "relpath": item["relpath"]} for item in listed]
    if not pairs or not all(pair["md5"] for pair in pairs):
        return None
    pairs.sort(key=lambda pair: tuple(str(pair["relpath"]).split("/")))
    text = json.dumps(pairs, sort_keys=True).encode("utf-8")
    return "md5", hashlib.md5(text, usedforsecurity=False).hexdigest() + ".dir"


def _as_text(value: Any) -> str | None:
    """A hash of digits alone is a number to YAML; take it as it was written."""
    text = getattr(value, "source", value)
    return text if isinstance(text, str) and text else None


def _whole_number(value: Any) -> int | None:
    return plain(value) if isinstance(value, int) and not isinstance(value, bool) else None


# -- the remote -------------------------------------------------------------------------------------------


def _remote(repository: GitRepository, commit: str, path: str, named: Any) -> str | None:
    """Return the address of the remote that the entry names, else of the DVC project's default one."""
    folder = posixpath.dirname(path)
    while True:
        found = repository.blob(commit, posixpath.join(folder, ".dvc/config"))
        if found is not None:
            return _address(found[0], named)
        if not folder:
            return None
        folder = posixpath.dirname(folder)


def _address(config: bytes, named: Any) -> str | None:
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(config.decode("utf-8", "replace"))
    except configparser.Error:
        return None
    name = named if isinstance(named, str) else parser.get("core", "remote", fallback=None)
    section = next((key for key in parser.sections() if key.strip("'") == f'remote "{name}"'), None)
    url = parser.get(section, "url", fallback=None) if section else None
    return without_credentials(url) if url else None


# -- reading ----------------------------------------------------------------------------------------------


def _read(repository: GitRepository, commit: str, file: str) -> dict[str, Any]:
    found = repository.blob(commit, file)
    if found is None:
        return {}
    try:
        document = parse_yaml(decode_text(found[0], where=file), where=file)
    except MetadataUnreadable as error:
        raise _malformed(file, commit, str(error)) from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise _malformed(file, commit, "not a mapping")
    return document


def _malformed(file: str, commit: str, why: str) -> ReferenceUnresolved:
    return ReferenceUnresolved(f"dvc: {file} in commit {commit[:12]} cannot be read: {why}", location=file)
