"""Signatures that people lay into approvals/.inbox/: taken in by the next writing command (clause RP-10).

Rules held here: what is taken in is judged as `approval import` judges it; what is not good stays where it is, and is told
each time; what was taken is moved aside, to approvals/.inbox/taken/, never removed. None of it fails a command.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from manual_registry.core import approvals, controls
from manual_registry.core.errors import RegistryError, StatementUnknown
from manual_registry.core.sshsig import MAX_ARMOUR, normalise, verify
from manual_registry.core.state import State
from manual_registry.core.statements import APPROVAL_NAMESPACE, CONTROL_NAMESPACE
from manual_registry.registry import answering

if TYPE_CHECKING:
    from manual_registry.registry.workspace import Loaded, Workspace

PLACE = "approvals/.inbox"
#: How many files of the inbox one command looks at.
_AT_ONCE = 100
_ID = re.compile(r"A[0-9]+", re.IGNORECASE)


def take(work: Workspace, loaded: Loaded) -> None:
    """Take in every signature of the inbox that answers an open approval or request."""
    from manual_registry.adapters import remover
    from manual_registry.adapters.files import os_errors

    for path in _files(work.root / PLACE):
        try:
            with os_errors(path):
                _take_in(work, loaded, path)
                remover.retire_signature(path)
        except RegistryError as problem:
            work.warn(f"{PLACE}/{path.name} stays there: {problem.message}")


def _files(folder: Path) -> Iterator[Path]:
    """Yield signature files; statements beside them, links, folders and hidden files are nobody's signature."""
    if not folder.is_dir() or folder.is_symlink():
        return
    found = sorted(path for path in folder.iterdir() if path.suffix == ".sig" and not path.name.startswith("."))
    yield from [path for path in found if path.is_file() and not path.is_symlink()][:_AT_ONCE]


def _take_in(work: Workspace, loaded: Loaded, path: Path) -> None:
    with path.open("rb") as file:
        armour = normalise(file.read(2 * MAX_ARMOUR + 1))
    if _stands(loaded, armour):
        return  # a command was killed between the event and the move
    name = _answers(loaded.state, path, armour)
    asked = controls.find(loaded.state, name)
    if asked is not None:
        answering.take_control(work, loaded, asked, armour)
    else:
        answering.take_approval(work, loaded, loaded.state.requests[name], armour)
    work.warn(f"{PLACE}/{path.name}: took in the signature of {name}")
    work.warn(answering.closed_by(loaded.state, name))


def _stands(loaded: Loaded, armour: str) -> bool:
    return any(
        event.data.get("signature") == armour or (event.data.get("control") or {}).get("signature") == armour
        for event in loaded.events
    )


def _answers(state: State, path: Path, armour: str) -> str:
    """Return what is open and whose issued statement the signature is over; the file's name says where to look first."""
    hinted = {name.upper() for name in _ID.findall(path.name)}
    opened = [(one.id, one.issued, APPROVAL_NAMESPACE) for one in state.requests.values() if approvals.is_open(one)]
    asked: list[controls.Asked] = [*state.controls.values(), *state.baselines.values()]
    opened += [(one.id, one.issued, CONTROL_NAMESPACE) for one in asked if controls.status(one) == "requested"]
    for name, issued, namespace in sorted(opened, key=lambda one: one[0] not in hinted):
        for line in issued:
            try:
                verify(line.encode(), armour, namespace=namespace)
            except RegistryError:
                continue
            return name
    raise StatementUnknown(
        "the signature is good over no statement that was issued and is still open",
        location=f"{PLACE}/{path.name}",
        hint="mreg approval statement ID --as EMAIL -o FILE",
    )
