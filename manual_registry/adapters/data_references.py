"""Looks a training-data reference up: which content does it name, by which hash.

Rules held here: the reference that is recorded names a full commit; `dvc:` and `git:` are looked up in the
repository and refused when that commit does not have the path; `lakefs:`, `delta:`, `sha256:` and `mlflow:` are
recorded as they stand.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from manual_registry.adapters.dvc import DvcTarget
from manual_registry.adapters.dvc import resolve as resolve_dvc
from manual_registry.adapters.git import GitRepository, lfs_pointer
from manual_registry.core.errors import Json, NotARepository, ReferenceUnresolved
from manual_registry.core.references import DataReference, ReferenceKind, own_hash, parse_reference


@dataclass(frozen=True, kw_only=True, slots=True)
class ResolvedData:
    """A reference that was looked up.

    ``reference`` is the text to record (full commit); ``hash`` its content hash (bare: no algorithm in
    front); ``detail`` plain JSON, with ``algorithm`` and what is known besides (size, remote, the file that
    says so).
    """

    kind: ReferenceKind
    reference: str
    hash: str
    detail: Mapping[str, Json] = field(default_factory=dict)


def resolve_reference(text: str, repository: GitRepository | None, *, where: str = "training_data") -> ResolvedData:
    """Parse ``text`` and look it up.

    Raises ``BadReference`` (grammar), ``NotARepository`` (dvc: or git: without a repository),
    ``CommitUnknown``, ``ReferenceUnresolved`` (the commit does not have the path).
    """
    reference = parse_reference(text, where=where)
    own = own_hash(reference)
    if own is not None:
        return _by_itself(reference, own)
    if repository is None:
        raise NotARepository(
            f"{where}: {reference.text} is looked up in a git repository, and none was found",
            location=where,
            hint="name the repository with --repo DIR",
        )
    full = reference.at(repository.resolve(reference.commit or ""))
    return _dvc(full, repository) if full.kind is ReferenceKind.DVC else _git(full, repository)


def _by_itself(reference: DataReference, own: str) -> ResolvedData:
    algorithm = "sha256" if reference.kind is ReferenceKind.SHA256 else "sha256 of the reference"
    return ResolvedData(kind=reference.kind, reference=reference.text, hash=own, detail={"algorithm": algorithm})


def _dvc(reference: DataReference, repository: GitRepository) -> ResolvedData:
    target = resolve_dvc(repository, reference.commit or "", reference.path or "")
    return ResolvedData(kind=reference.kind, reference=reference.text, hash=target.md5, detail=_told(target))


def _told(target: DvcTarget) -> dict[str, Json]:
    detail: dict[str, Json] = {
        "algorithm": target.algorithm,
        "tracked": target.path,
        "found_in": target.found_in,
        "role": target.role,
        "size": target.size,
        "nfiles": target.nfiles,
        "stage": target.stage,
        "remote": target.remote,
        "source": dict(target.source) if target.source else None,
    }
    return {key: value for key, value in detail.items() if value is not None}


def _git(reference: DataReference, repository: GitRepository) -> ResolvedData:
    commit, path = reference.commit or "", reference.path or ""
    entry = repository.entry(commit, path)
    if entry is None:
        raise ReferenceUnresolved(
            f"git: commit {commit[:12]} does not have {path}{_instead(repository, commit, path)}",
            location=path,
            hint=f"git -C {repository.directory} ls-tree -r --name-only {commit}",
        )
    detail: dict[str, Json] = {"algorithm": "git object id", "object": entry.kind}
    if entry.kind == "blob":
        detail |= _blob_detail(repository, commit, path)
    return ResolvedData(kind=reference.kind, reference=reference.text, hash=entry.oid, detail=detail)


def _instead(repository: GitRepository, commit: str, path: str) -> str:
    if repository.entry(commit, path + ".dvc") is not None:
        return f"; DVC tracks it: write dvc:{commit}:{path}"
    return ""


def _blob_detail(repository: GitRepository, commit: str, path: str) -> dict[str, Json]:
    """Size, and of a Git LFS pointer the hash and size of the content it stands for."""
    try:
        found = repository.blob(commit, path)
    except ReferenceUnresolved:  # a partial clone knows the object id, and that is all we record
        return {}
    if found is None:
        return {}
    pointer = lfs_pointer(found[0])
    if pointer is None:
        return {"size": len(found[0])}
    return {"lfs_sha256": pointer[0], "lfs_size": pointer[1]}
