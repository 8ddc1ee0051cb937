"""Files of runs and logged models: listed, uploaded, downloaded and hashed, one after the other and never in memory."""

from __future__ import annotations

import hashlib
import posixpath
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from manual_registry.adapters.mlflow.server import Server
from manual_registry.adapters.mlflow.stores import unavailable
from manual_registry.core.errors import ServerRefused, StoreUnavailable
from manual_registry.core.handover.entities import File

_CHUNK = 1 << 20


def listing(server: Server, location: str, below: str = "") -> dict[str, int]:
    """Return ``{path: size}`` of every file below ``location``/``below``; nothing where there is none.

    The size -1 is a file that may be there: the listing does not tell, a download does.
    """
    with unavailable(server, f"listing {below or 'the artefacts'}", location):
        return dict(_walk(server.repository(location), below))


def _walk(repository: Any, below: str) -> Iterator[tuple[str, int]]:
    found = repository.list_artifacts(below or None)
    if not found and below:
        # A directory whose one file has the directory's own name is listed as if it were that file; or it is empty.
        parent = repository.list_artifacts(posixpath.dirname(below) or None)
        if any(one.is_dir and one.path == below for one in parent):
            yield f"{below}/{posixpath.basename(below)}", -1
        return
    for one in found:
        if one.is_dir:
            yield from _walk(repository, one.path)
        else:
            yield one.path, int(one.file_size or 0)


def upload(server: Server, location: str, file: File, locate: Callable[[str], Path]) -> None:
    """Upload ``file`` to ``location``: its bytes where they are made here, else what ``locate`` finds for its origin."""
    folder, name = posixpath.split(file.path)
    with (
        unavailable(server, f"uploading {file.path}", location),
        tempfile.TemporaryDirectory(prefix="manual-registry-") as scratch,
    ):
        repository = server.repository(location)
        local = locate(file.origin) if file.origin is not None else Path(scratch) / name
        if file.data is not None:
            local.write_bytes(file.data)
        elif local.name != name:  # it has another name there
            link = Path(scratch) / name
            link.symlink_to(local.resolve())
            local = link
        repository.log_artifact(str(local), folder or None)


def hashed(
    server: Server, location: str, sizes: Mapping[str, int], progress: Callable[[int], None] | None = None
) -> Iterator[File]:
    """Download each file of ``sizes`` to a temporary place and hash it; gone again before the next one comes."""
    with unavailable(server, "downloading", location):
        repository = server.repository(location)
    for path, size in sizes.items():
        with tempfile.TemporaryDirectory(prefix="manual-registry-") as scratch:
            local = Path(scratch) / "file"
            try:
                with unavailable(server, f"downloading {path}", location):
                    repository._download_file(path, str(local))
            except StoreUnavailable:
                raise
            except ServerRefused:
                if size < 0:
                    continue
                raise
            yield _hashed(local, path, progress)


def _hashed(local: Path, path: str, progress: Callable[[int], None] | None) -> File:
    digest, size = hashlib.sha256(), 0
    with local.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
            if progress is not None:
                progress(len(chunk))
    return File(path=path, size=size, sha256=digest.hexdigest())


def unhashed(sizes: Mapping[str, int]) -> list[File]:
    """Return the files of a listing, hashes unknown."""
    return [File(path=path, size=size, sha256=None) for path, size in sizes.items()]
