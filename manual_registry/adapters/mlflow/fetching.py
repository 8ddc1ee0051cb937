"""The files of one model: found by what MLflow calls its source, listed, and downloaded to a directory of ours.

Rules held here: a server's word about paths is not trusted: a listing that leads elsewhere, does not end, or names what
no registry could keep is refused before a byte comes, so nothing is ever written outside the directory that was named;
a place on the server's own disk is not looked for on this machine, and another host's is not asked with our credentials.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from manual_registry.adapters.mlflow.server import Server
from manual_registry.adapters.mlflow.stores import unavailable
from manual_registry.core.errors import (
    ModelSourceUnfit,
    ServerRefused,
    StoreUnavailable,
    raise_for,
)
from manual_registry.core.manifest import path_problems, printable
from manual_registry.ports import Progress

#: More files, or deeper folders, are nobody's model.
MAX_FILES: Final = 100_000
MAX_DEPTH: Final = 64
#: A path longer than this, in UTF-8, no file system here takes.
MAX_PATH: Final = 3_000
#: Never part of an artefact (the contract's list), and not worth a download.
_LEFT_OUT: Final = frozenset({".DS_Store", "Thumbs.db", "desktop.ini", "__pycache__"})
#: A version whose source is another version, whose source is …: so often at most.
_HOPS: Final = 8
_LOGGED: Final = re.compile(r"models:/(m-[0-9a-zA-Z]+)/?")
_VERSION: Final = re.compile(r"models:/([^/@]+)/([0-9]+)/?")
_RUN: Final = re.compile(r"runs:/([^/]+)(?:/(.*))?")


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where a model's files lie: an artefact root, and the folder (or file) ``below`` it; "" is the root itself."""

    location: str
    below: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """What lies at a place: ``files`` as {path from the place: bytes}; -1 where the listing does not tell.

    ``single``: the place is one file, which ``files`` names. ``left_out`` are ``.DS_Store`` and its like.
    """

    place: Place
    files: Mapping[str, int]
    single: bool = False
    left_out: tuple[str, ...] = ()


def fetch_model(
    server: Server, source: str, into: Path, *, local: bool = False, progress: Progress | None = None
) -> Listing:
    """Download the model that MLflow calls ``source`` into the empty directory ``into``; return what was listed.

    ``source`` is ``models:/m-ID``, ``models:/NAME/N``, ``runs:/RUN/PATH`` or an artefact address. ``local``: the store
    is one of this machine, so that its files may lie on this machine's disk. ``progress`` gets bytes. MLflow knows no
    hashes of them. Raises :class:`ModelSourceUnfit` and its kind, :class:`ServerRefused`, :class:`ServerDown`,
    :class:`ToolMissing`, :class:`DiskFull`; what was downloaded until then stays in ``into``.
    """
    found = listed(server, resolve(server, source), local=local)
    download(server, found, found.files, into, progress=progress)
    return found


# -- where --------------------------------------------------------------------------------------------------


def resolve(server: Server, source: str) -> Place:
    """Return where the files of ``source`` lie; raises :class:`ModelSourceUnfit`, :class:`ServerRefused`."""
    with unavailable(server, f"looking for {source}"):
        for _ in range(_HOPS):
            logged, version, run = _LOGGED.fullmatch(source), _VERSION.fullmatch(source), _RUN.fullmatch(source)
            if logged:
                return Place(location=str(server.client.get_logged_model(logged[1]).artifact_location))
            if run:
                return _of_run(server, run[1], (run[2] or "").strip("/"))
            if not version:
                return _of_address(source)
            source = str(server.client.get_model_version(version[1], version[2]).source)
    raise _unfit(source, "names a version that names a version, and so on")


def names_version(source: str) -> bool:
    """Tell whether ``source`` is another version of a registered model (``models:/NAME/N``)."""
    return _VERSION.fullmatch(source) is not None


def _of_run(server: Server, run_id: str, path: str) -> Place:
    """A folder of a run; in MLflow 3 it may be the name of a logged model that the run made instead."""
    run = server.client.get_run(run_id)
    place = Place(location=str(run.info.artifact_uri), below=_below(path))
    with unavailable(server, "listing the files of the run", place.location):
        if not path or server.repository(place.location).list_artifacts(path):
            return place
    name, _, rest = path.partition("/")
    for one in run.outputs.model_outputs if run.outputs is not None else ():
        model = server.client.get_logged_model(one.model_id)
        if model.name == name:
            return Place(location=str(model.artifact_location), below=_below(rest))
    return place


def _of_address(source: str) -> Place:
    if source.startswith(("models:", "runs:")):
        raise _unfit(source, "no fixed version: an alias or stage of MLflow names now this one and now that")
    return Place(location=source)


def _below(path: str) -> str:
    if path:
        raise_for(path_problems([path]))
    return path


def _unfit(what: str, why: str) -> ModelSourceUnfit:
    shown = printable(what)[:200]
    return ModelSourceUnfit(f"{shown}: {why}", location=shown)


def require_reachable(server: Server, location: str, *, local: bool) -> None:
    """Raise :class:`ModelSourceUnfit` for a place that is not looked into from here; see the module's text."""
    try:
        parts, home = urlsplit(location), urlsplit(server.uri)
    except ValueError:
        raise _unfit(location, "no address") from None
    if not location:
        raise _unfit("its files", "the server names no place where they are")
    if parts.scheme in ("", "file") or len(parts.scheme) == 1:
        if not local:
            raise _unfit(
                location,
                "a place on the server's own disk, which is not looked for on this machine; start the server with"
                " --serve-artifacts (its default), or copy the files and register them",
            )
    elif parts.scheme in ("http", "https", "mlflow-artifacts"):
        own = (home.hostname, home.port)
        if parts.hostname is not None and (parts.hostname, parts.port) != own:
            raise _unfit(location, "another host than the tracking server; its files are not asked for there")


# -- what ---------------------------------------------------------------------------------------------------


def listed(server: Server, place: Place, *, local: bool = False) -> Listing:
    """List the files at ``place``; every path is one that an artefact may have. Raises as :func:`fetch_model`."""
    require_reachable(server, place.location, local=local)
    with unavailable(server, f"listing {place.below or 'the artefacts'}", place.location):
        repository = server.repository(place.location)
        found = dict(_bounded(_walk(repository, place.below, place.below, 0), place))
        if not found and place.below:
            size = _file_size(repository, place.below)
            if size is not None:
                return Listing(place=place, files={posixpath.basename(place.below): size}, single=True)
    start = len(place.below) + 1 if place.below else 0
    files = {path[start:]: size for path, size in found.items()}
    out = tuple(path for path in files if _LEFT_OUT & set(path.split("/")))
    kept = {path: size for path, size in files.items() if path not in out}
    if not kept:
        raise _unfit(f"{place.location}/{place.below}".rstrip("/"), "there are no files")
    raise_for(path_problems(kept))
    return Listing(place=place, files=kept, left_out=out)


def _walk(repository: Any, folder: str, top: str, depth: int) -> Iterator[tuple[str, int]]:
    if depth > MAX_DEPTH:
        raise _unfit(folder, f"folders nested deeper than {MAX_DEPTH}")
    found = repository.list_artifacts(folder or None)
    if not found and folder != top:
        # A directory whose one file has the directory's own name is listed as if it were that file; or it is empty.
        yield f"{folder}/{posixpath.basename(folder)}", -1
    for one in found:
        path = str(one.path)
        if posixpath.dirname(path) != folder or posixpath.basename(path) in ("", ".", ".."):
            raise _unfit(path, f"listed below {folder or 'the root'}, where it does not lie")
        if one.is_dir:
            yield from _walk(repository, path, top, depth + 1)
        else:
            yield path, int(one.file_size if one.file_size is not None else -1)


def _bounded(found: Iterable[tuple[str, int]], place: Place) -> Iterator[tuple[str, int]]:
    for count, (path, size) in enumerate(found, 1):
        if count > MAX_FILES:
            raise _unfit(place.location, f"more than {MAX_FILES} files")
        if len(path.encode("utf-8", "replace")) > MAX_PATH:
            raise _unfit(path, "a path that is too long")
        yield path, size


def _file_size(repository: Any, path: str) -> int | None:
    """Return the size of ``path`` where it is one file (-1: not told); None where it is not there."""
    for one in repository.list_artifacts(posixpath.dirname(path) or None):
        if one.path == path and not one.is_dir:
            return int(one.file_size if one.file_size is not None else -1)
    return None


# -- the bytes ----------------------------------------------------------------------------------------------


def download(
    server: Server,
    found: Listing,
    paths: Iterable[str],
    into: Path,
    *,
    names: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> None:
    """Download ``paths`` of a listing into the directory ``into``, each under its path or what ``names`` call it.

    Raises as :func:`fetch_model`; a file that is shorter or longer than it was listed is :class:`ServerRefused`.
    """
    wanted = list(paths)
    targets = {path: (names or {}).get(path, path) for path in wanted}
    raise_for(path_problems(targets.values()))
    total, done = sum(max(found.files[path], 0) for path in wanted), 0
    with unavailable(server, "downloading", found.place.location):
        repository = server.repository(found.place.location)
    for path in wanted:
        done += _one(server, repository, found, path, into / targets[path])
        if progress is not None:
            progress(done, max(total, done))


def _one(server: Server, repository: Any, found: Listing, path: str, target: Path) -> int:
    there = found.place.below if found.single else posixpath.join(found.place.below, path)
    size = found.files[path]
    _require_plain(repository, there)
    try:
        with unavailable(server, f"downloading {path}", found.place.location):
            target.parent.mkdir(parents=True, exist_ok=True)
            repository._download_file(there, str(target))
    except StoreUnavailable:
        raise
    except ServerRefused:
        if size < 0 and not target.exists():
            raise _unfit(path.rpartition("/")[0] or path, "an empty folder, which no artefact has") from None
        raise
    came = target.stat().st_size
    if size not in (-1, came):
        raise ServerRefused(
            f"{path}: {came} bytes came, the server lists {size}; repeat the command", location=printable(path)
        )
    return came


def _require_plain(repository: Any, path: str) -> None:
    """Refuse what is reached through a symbolic link, where the files lie on this machine's disk."""
    root = getattr(repository, "artifact_dir", None)
    if root is None:
        return
    there = Path(root)
    for part in path.split("/"):
        there /= part
        if there.is_symlink():
            raise _unfit(path, "a symbolic link; only files and directories are taken")
