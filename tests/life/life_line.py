"""The command line for the tests of a version's life: in processes of their own, or in this one for many cases."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from world import SME, World

from manual_registry.cli import main

#: The members of ``manual-registry/result/1``, no more and no fewer.
RESULT = (
    "schema",
    "command",
    "changed",
    "model",
    "version",
    "stage",
    "composite_id",
    "id",
    "events",
    "ledger",
    "waiting_for",
    "warnings",
    "next",
)
COMPOSITE = re.compile(
    r"[a-z0-9._-]+@[A-Za-z0-9._+-]+\+code\.([0-9a-f]{12}|none)\.data\.([0-9a-f]{12}|none)\.model\.[0-9a-f]{12}"
    r"\.config\.([0-9a-f]{12}|none)(\.prompt\.[0-9a-f]{12})?"
)
HEAD_LINE = re.compile(r"ledger \d+ sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Done:
    """What one run of the command line left: exit status, standard output, standard error."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on standard output."""
        found = json.loads(self.out)
        assert isinstance(found, dict)
        assert found["schema"].startswith("manual-registry/")
        return found

    @property
    def error(self) -> dict[str, Any]:
        """The inside of the one error document on standard error; standard output must be empty."""
        assert self.out == ""
        found = json.loads(self.err)
        assert found.keys() == {"error"}
        body = found["error"]
        assert isinstance(body, dict)
        assert body.keys() == {"code", "message", "clause", "details"}
        assert body["details"]["reasons"]
        for reason in body["details"]["reasons"]:
            assert reason.keys() == {"code", "message", "clause"}
        return body

    @property
    def codes(self) -> list[str]:
        """The codes of the reasons, from the error document or from the lines for a person, in order."""
        if self.err.lstrip().startswith("{"):
            return [reason["code"] for reason in self.error["details"]["reasons"]]
        return re.findall(r"^error (MR-[A-Z]\d{3}):", self.err, re.MULTILINE)

    @property
    def hint(self) -> str:
        """The command on the last line of standard error (or ``details.next``)."""
        if self.err.lstrip().startswith("{"):
            return str(self.error["details"].get("next", ""))
        last = self.err.rstrip("\n").split("\n")[-1]
        assert last.startswith("next: "), self.err
        return last.removeprefix("next: ")


Runner = Callable[..., Done]


class Copied(World):
    """A world whose directory is a copy of one that was made before."""

    def __post_init__(self) -> None:
        """Take what lies there."""
        self.root = self.place / "registry"
        self.keys = self.place / "keys"


@contextlib.contextmanager
def working_in(place: Path) -> Iterator[None]:
    """Change the working directory for a while."""
    before = Path.cwd()
    os.chdir(place)
    try:
        yield
    finally:
        os.chdir(before)


def call(*words: str | Path, actor: str | None = SME, cwd: Path) -> Done:
    """Run the command line in this process."""
    kept = io.BytesIO(), io.BytesIO()
    out, err = (io.TextIOWrapper(one, encoding="utf-8") for one in kept)
    head = ["--actor", actor] if actor else []
    with working_in(cwd), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main([*head, *map(str, words)])
        for stream in (out, err):
            stream.flush()
    return Done(status, *(one.getvalue().decode() for one in kept))


def here(world: World) -> Runner:
    """Return a runner in this process, inside the world's registry (or ``cwd``)."""

    def run(*words: str | Path, actor: str | None = SME, cwd: Path | None = None) -> Done:
        return call(*words, actor=actor, cwd=cwd or world.root)

    return run


def apart(world: World) -> Runner:
    """Return a runner in processes of their own, inside the world's registry (or ``cwd``)."""

    def run(*words: str | Path, actor: str = SME, cwd: Path | None = None) -> Done:
        done = world.cli(*map(str, words), actor=actor, cwd=cwd)
        return Done(done.returncode, done.stdout, done.stderr)

    return run


def event_hash(root: Path, seq: int) -> str:
    """Return the hash of an event file as the contract has it."""
    return "sha256:" + hashlib.sha256((root / "ledger" / f"{seq:012d}.json").read_bytes()).hexdigest()


def events_in(root: Path) -> int:
    """Return how many events the ledger has."""
    return len(list((root / "ledger").glob("*.json")))


def event(root: Path, seq: int) -> dict[str, Any]:
    """Return an event."""
    found = json.loads((root / "ledger" / f"{seq:012d}.json").read_bytes())
    assert isinstance(found, dict)
    return found


def result_of(done: Done, root: Path, command: str, *, changed: bool = True, **members: Any) -> dict[str, Any]:
    """Check a writing command's document against the contract and return it; ``members`` must be as given."""
    assert done.status == 0, (done.status, done.out, done.err)
    document = done.document
    assert tuple(document) == RESULT
    assert (document["schema"], document["command"], document["changed"]) == (
        "manual-registry/result/1",
        command,
        changed,
    )
    head = events_in(root)
    assert document["ledger"] == {"seq": head, "hash": event_hash(root, head)}
    assert bool(document["events"]) is changed or command == "reset-view"
    assert document["events"] == sorted(document["events"])
    if document["events"]:
        assert document["events"][-1] == head
    for name in ("waiting_for", "warnings"):
        assert all(isinstance(one, str) for one in document[name])
    assert document["next"] is None or document["next"].startswith(("mreg ", "ssh-keygen "))
    if document["composite_id"] is not None:
        assert COMPOSITE.fullmatch(document["composite_id"])
    for name, value in members.items():
        assert document[name] == value, (name, document[name], value)
    return document


def tree(root: Path) -> dict[str, tuple[bytes, int]]:
    """Return every file below ``root`` but locks, with bytes and mode, to show that nothing changed."""
    return {
        path.relative_to(root).as_posix(): (path.read_bytes(), path.stat().st_mode)
        for path in sorted(root.rglob("*"))
        if path.is_file() and not path.name.endswith(".lock")
    }
