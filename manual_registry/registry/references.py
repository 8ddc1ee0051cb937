"""REF on this machine: what the core resolves by name, and paths, which are hashed and looked up (design 3.2)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from manual_registry.core.errors import Ambiguous, ContentUnknown, VersionUnknown
from manual_registry.core.resolve import Lookup, StateLookup, is_symbolic, one, resolve
from manual_registry.core.state import State, VersionState
from manual_registry.core.values import Digest

if TYPE_CHECKING:
    from manual_registry.registry.workspace import Workspace


def find(work: Workspace, state: State, ref: str) -> VersionState:
    """Return the one version that REF names, or raise as :func:`manual_registry.core.resolve.resolve` does."""
    return state.versions[name_of(work, StateLookup(state), ref)]


def name_of(work: Workspace, lookup: Lookup, ref: str) -> tuple[str, str]:
    """Return (model, version) of REF; a path is hashed, and looked up file by file when it fits none as a whole."""
    if is_symbolic(ref):
        return resolve(lookup, ref)
    path = Path(ref)
    if not path.exists():
        raise VersionUnknown(
            f"{ref!r}: neither MODEL@VERSION nor a content hash, and no file or directory of that name",
            location=ref,
            hint="mreg list",
        )
    return _by_content(lookup, path, ref)


def _by_content(lookup: Lookup, path: Path, ref: str) -> tuple[str, str]:
    from manual_registry.adapters.tree import hash_tree

    content = hash_tree(path, sha256=False)
    whole = lookup.with_digest(Digest(algorithm="blake3", value=content.blake3))
    nothing = ContentUnknown(
        f"{ref}: no version has this content (blake3:{content.blake3})", location=ref, hint="mreg list"
    )
    if whole or content.kind == "file":
        return one(whole, ref, nothing)
    hits = {
        entry.path: lookup.with_digest(Digest(algorithm="blake3", value=entry.blake3 or "")) for entry in content.files
    }
    found = {name for names in hits.values() for name in names}
    if len(found) > 1:
        told = [f"{file}: {model}@{version}" for file, names in hits.items() for model, version in names]
        raise Ambiguous(
            f"{ref}: as a whole it fits no version; its files fit {len(found)}: {'; '.join(told)}",
            location=ref,
            details={"matches": list(told)},
        )
    return one(sorted(found), ref, nothing)
