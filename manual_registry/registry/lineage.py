"""Code, training data and CI job of a version: what was told, looked up in git and DVC."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from manual_registry.core.canonical import encode
from manual_registry.core.errors import Json
from manual_registry.core.metadata import Metadata
from manual_registry.core.references import without_credentials
from manual_registry.registry.given import Gathered, Given

if TYPE_CHECKING:
    from manual_registry.adapters.git import GitRepository


def code_and_data(
    found: Gathered, given: Given, told: Metadata, repository_at: Path | None, environ: Mapping[str, str]
) -> None:
    """Gather commit, training data and CI job into ``found``; what does not resolve is kept as a problem."""
    from manual_registry.adapters.ci import detect

    job = detect(environ)
    commit = given.commit or told.code_commit or (job.commit if job else None)
    references = list(given.data) or list(told.training_data)
    asked = (
        given.repo is not None
        or commit
        or any(text.strip().lower().startswith(("dvc:", "git:")) for text in references)
    )
    repository = _repository(found, given, repository_at) if asked else None
    if commit is None and repository is not None and given.repo is not None:
        commit = repository.head()
        found.warnings.append(f"no commit was named; {commit or 'none'} is checked out in {given.repo} and was taken")
    found.named |= {name for name, value in (("code", commit), ("training_data", references)) if value}
    author = job.commit_author if job and commit and commit.lower() == job.commit else None
    if commit and not given.commit and given.run is not None and commit == given.run.metadata.code_commit:
        repository_of_commit = _that_has(found, given, repository, commit)
    else:
        repository_of_commit = repository
    found.fields["code"] = (
        found.attempt(lambda: _code(found, commit, told, repository_of_commit, author)) if commit else None
    )
    found.fields["training_data"] = _data(found, references, repository)
    found.fields["ci"] = {name: value for name, value in asdict(job).items() if value} if job else None
    if job and not found.fields["pipeline_run"]:
        found.fields["pipeline_run"] = job.run_url or job.run
        found.assumed.add("pipeline_run")


def _repository(found: Gathered, given: Given, repository_at: Path | None) -> GitRepository | None:
    from manual_registry.adapters.git import GitRepository

    if given.repo is not None:
        repo = given.repo
        return found.attempt(lambda: GitRepository.open(repo))
    for place in (repository_at, Path.cwd()):
        if place is None:
            continue
        here = place
        repository = found.attempt(lambda here=here: GitRepository.discover(here))  # type: ignore[misc]
        if repository is not None:
            return repository
    return None


def _that_has(found: Gathered, given: Given, repository: GitRepository | None, commit: str) -> GitRepository | None:
    """Return the repository, unless nobody named it and it is not the one of a run's commit: a run may be from anywhere."""
    from manual_registry.core.errors import CommitUnknown

    if repository is None or given.repo is not None:
        return repository
    try:
        repository.resolve(commit)
    except CommitUnknown:
        found.warnings.append(f"{repository.directory.name}, found from here, does not have the run's commit")
        return None
    return repository


def _code(
    found: Gathered, commit: str, told: Metadata, repository: GitRepository | None, author: str | None
) -> dict[str, Json]:
    """Describe the commit; without a repository a full id is recorded unchecked, and that is told.

    ``author`` is whom the CI system names; a repository says it better.
    """
    from manual_registry.core.errors import CommitUnknown

    if repository is None:
        if len(commit) != 40 or set(commit.lower()) - set("0123456789abcdef"):
            raise CommitUnknown(
                f"commit {commit!r}: no repository was found to look it up in",
                location="code.commit",
                hint="add --repo DIR",
            )
        found.warnings.append("the commit was not looked up: no repository was found (name it with --repo DIR)")
        return {"commit": commit.lower(), "repository": told.code_repository and without_credentials(told.code_repository),
                "path": None, "dirty": None, "author": author, "checked": False}  # fmt: skip
    full = repository.resolve(commit)
    changed = () if repository.is_bare else repository.changed_files()
    if changed:
        found.warnings.append(
            f"the work tree has uncommitted changes ({', '.join(changed[:3])}{', …' if len(changed) > 3 else ''}); recorded"
        )
    author = repository.author(full)[1].lower() or None
    return {
        "commit": full,
        "repository": without_credentials(told.code_repository) if told.code_repository else repository.remote_url(),
        "path": str(repository.directory.resolve()),
        "dirty": bool(changed),
        "author": author,
        "checked": True,
    }


def _data(found: Gathered, references: Iterable[str], repository: GitRepository | None) -> list[dict[str, Json]]:
    from manual_registry.adapters.data_references import resolve_reference

    resolved: list[dict[str, Json]] = []
    for text in dict.fromkeys(references):
        one = found.attempt(lambda text=text: resolve_reference(text, repository))  # type: ignore[misc]
        if one is not None and one.reference not in {item["reference"] for item in resolved}:
            detail = encode(dict(one.detail), where=f"training_data {text}")
            resolved.append({"reference": one.reference, "hash": one.hash, "detail": detail})
    return resolved


def relative_path(path: str | None, root: Path) -> str | None:
    """Return ``path`` relative to the registry root, so that both may move together."""
    return Path(os.path.relpath(path, root)).as_posix() if path else None
