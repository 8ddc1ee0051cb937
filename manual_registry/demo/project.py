"""The demo's own project: a real git repository with real DVC metadata, written without a git or dvc binary.

Layout below the project directory, as a team would have it:

    train.py  params.yaml  .gitignore  .dvc/config  data/german_credit.csv.dvc     in git
    data/german_credit.csv                                                         tracked by DVC, ignored
    by git build/<version>/                                                               what a run leaves,
    ignored by git

The DVC remote is a directory beside it, so ``dvc pull`` works in a clone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pygit2

DATA_PATH = "data/german_credit.csv"
PARAMS_PATH = "params.yaml"

_DVC_CONFIG = """\
[core]
    remote = store
    analytics = false
['remote "store"']
    url = ../../data-store
"""
_IGNORED = {
    ".gitignore": "/build/\n__pycache__/\n",
    "data/.gitignore": "/german_credit.csv\n",
    ".dvc/.gitignore": "/config.local\n/tmp\n/cache\n",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Person:
    """Someone of the demo: name, e-mail and role in words."""

    name: str
    email: str
    role: str

    def __str__(self) -> str:
        return f"{self.name} <{self.email}>"


@dataclass(frozen=True, kw_only=True, slots=True)
class Project:
    """The repository at ``root``."""

    root: Path

    def build(self, version: str) -> Path:
        """Return where a run leaves what it made."""
        return self.root / "build" / version

    def data_reference(self, commit: str) -> str:
        """Return the training data reference (``dvc:<commit>:<path>``)."""
        return f"dvc:{commit}:{DATA_PATH}"

    def data(self) -> bytes:
        """Return the training data as DVC checked it out."""
        return (self.root / DATA_PATH).read_bytes()


def shipped_data() -> bytes:
    """Return the data set that the package ships (see german_credit.SOURCE.md)."""
    return (resources.files("manual_registry.demo") / "data" / "german_credit.csv").read_bytes()


def create_project(root: Path) -> Project:
    """Make the repository with everything but ``params.yaml``; nothing is committed yet."""
    import pygit2

    data = shipped_data()
    _write(root, {path: text.encode() for path, text in _IGNORED.items()})
    _write(root, {".dvc/config": _DVC_CONFIG.encode(), f"{DATA_PATH}.dvc": dvc_file(data), DATA_PATH: data})
    _write(root, {"train.py": (resources.files("manual_registry.demo") / "train.py").read_bytes()})
    md5 = _md5(data)
    _write(root.parent, {f"data-store/files/md5/{md5[:2]}/{md5[2:]}": data})
    repository = pygit2.init_repository(root, initial_head="main")
    repository.config["core.autocrlf"] = "false"  # whatever the user's own configuration says
    return Project(root=root)


def dvc_file(data: bytes) -> bytes:
    """Return the ``.dvc`` file that ``dvc add`` writes for the data set."""
    name = DATA_PATH.rpartition("/")[2]
    return f"outs:\n- md5: {_md5(data)}\n  size: {len(data)}\n  hash: md5\n  path: {name}\n".encode()


def commit_params(project: Project, params: Mapping[str, Any], *, message: str, author: Person, at: datetime) -> str:
    """Write ``params.yaml``, commit every tracked file and return the full commit id."""
    import pygit2
    import yaml

    text = yaml.safe_dump(dict(params), sort_keys=False, allow_unicode=True)
    _write(project.root, {PARAMS_PATH: text.encode()})
    repository = pygit2.Repository(project.root)
    for path in (*_IGNORED, ".dvc/config", f"{DATA_PATH}.dvc", "train.py", PARAMS_PATH):
        repository.index.add(path)  # one by one: the user's own ignore rules must not leave one out
    repository.index.write()
    signature = pygit2.Signature(author.name, author.email, int(at.timestamp()), 0)
    parents = [] if repository.head_is_unborn else [repository.head.target]
    return _commit(repository, signature, message, parents)


def _commit(repository: pygit2.Repository, signature: pygit2.Signature, message: str, parents: list[Any]) -> str:
    tree = repository.index.write_tree()
    return str(repository.create_commit("HEAD", signature, signature, message + "\n", tree, parents))


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _write(root: Path, files: Mapping[str, bytes]) -> None:
    for path, content in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
