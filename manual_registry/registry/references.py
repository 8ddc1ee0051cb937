"""REF on this machine: what the core resolves by name, and paths, which are hashed and looked up (design 3.2)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from manual_registry.core.errors import (
    Ambiguous,
    ArtefactChanged,
    ContentUnknown,
    FilesystemUnsuited,
    SourceChanged,
    VersionUnknown,
)
from manual_registry.core.resolve import Lookup, Name, StateLookup, is_symbolic, one, resolve
from manual_registry.core.state import State, VersionState
from manual_registry.core.values import Digest

if TYPE_CHECKING:
    from manual_registry.core.manifest import FileEntry
    from manual_registry.registry.workspace import Workspace


def there(ref: str) -> bool:
    """Tell whether a path of that name exists; a text that no system takes for a path is none."""
    return os.path.exists(ref)  # noqa: PTH110 - Path.exists raises for names that are too long


def find(work: Workspace, state: State, ref: str) -> VersionState:
    """Return the one version that REF names, or raise as :func:`manual_registry.core.resolve.resolve` does."""
    return state.versions[name_of(work, StateLookup(state), ref)]


def name_of(work: Workspace, lookup: Lookup, ref: str) -> Name:
    """Return (model, version) of REF; a path is hashed, and looked up file by file when it fits none as a whole."""
    if is_symbolic(ref):
        return resolve(lookup, ref)
    path = Path(ref)
    if not there(ref):
        raise VersionUnknown(
            f"{ref!r}: neither MODEL@VERSION nor a content hash, and no file or directory of that name",
            location=ref,
            hint="mreg list",
        )
    return _by_content(work, lookup, path, ref)


def _by_content(work: Workspace, lookup: Lookup, path: Path, ref: str) -> Name:
    from manual_registry.adapters.tree import sight

    found = sight(path)
    whole = lookup.with_digest(Digest(algorithm="blake3", value=found.whole)) if found.whole else []
    content = f" (blake3:{found.whole})" if found.whole else ""
    unread = [one.message for one in found.problems if isinstance(one, FilesystemUnsuited | SourceChanged)]
    told = f"; not everything could be read: {'; '.join(unread[:3])}" if unread else ""
    nothing = ContentUnknown(f"{ref}: no version has this content{content}{told}", location=ref, hint="mreg list")
    if whole or found.kind == "file":
        return one(whole, ref, nothing)
    return _by_files(work, lookup, found.files, ref, nothing)


def _by_files(work: Workspace, lookup: Lookup, files: tuple[FileEntry, ...], ref: str, nothing: ContentUnknown) -> Name:
    """Find the one version whose files are in the folder, all of them before some of them."""
    fits = _fits(work, lookup, files)
    whole = {name: there for name, (there, count) in fits.items() if len(there) == count}
    found = whole or {name: there for name, (there, _) in fits.items()}
    told = [f"{file}: {model}@{version}" for (model, version), there in sorted(found.items()) for file in sorted(there)]
    if len(found) > 1:
        raise Ambiguous(
            f"{ref}: as a whole it fits no version; its files fit {len(found)}: {'; '.join(told)}",
            location=ref,
            details={"matches": list(told)},
        )
    name = one(sorted(found), ref, nothing)
    there, count = fits[name]
    work.warn(
        f"{ref} as a whole is no version: {len(there)} of the {count} file(s) of {name[0]}@{name[1]} are in it,"
        f" among {len(files)}"
    )
    return name


def _fits(work: Workspace, lookup: Lookup, files: tuple[FileEntry, ...]) -> dict[Name, tuple[set[str], int]]:
    """Return, for each version with a file of the folder, its contents there, and how many it has in all.

    A B3SUMS file in the storage counts only where its own hash is the registered one of a directory.
    """
    from manual_registry.core.manifest import FileEntry, content, parse_manifest

    fits: dict[Name, tuple[set[str], int]] = {}
    there = {entry.blake3 or "" for entry in files}
    for digest in there:
        fits |= dict.fromkeys(lookup.with_digest(Digest(algorithm="blake3", value=digest)), ({digest}, 1))
    for manifest in (*work.root.glob("models/*/*/B3SUMS"), *work.root.glob("archive/*/*/data/B3SUMS")):
        try:
            hashes = parse_manifest(manifest.read_bytes())
        except (OSError, ArtefactChanged):  # verify tells; what cannot be read fits nothing
            continue
        wanted = set(hashes.values())
        if wanted & there:
            whole = content("directory", [FileEntry(path=path, size=0, blake3=one) for path, one in hashes.items()])
            names = lookup.with_digest(Digest(algorithm="blake3", value=whole.blake3))
            fits |= dict.fromkeys(names, (wanted & there, len(wanted)))
    paths = {entry.blake3: entry.path for entry in reversed(files)}
    return {name: ({paths[digest] for digest in digests}, count) for name, (digests, count) in fits.items()}
