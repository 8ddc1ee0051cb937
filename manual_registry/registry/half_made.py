"""What an `init` that was killed has left: the same `init` again goes on from there.

Rules held here: only what `init` itself makes is passed over, and only in the form that it has; a first event that stands
is never written anew, so another `init` than the one that began is refused with the command that would go on.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from manual_registry.adapters import config as configs
from manual_registry.adapters import remover
from manual_registry.adapters.ledger_files import LedgerFiles
from manual_registry.core.errors import NameTaken, RegistryError
from manual_registry.core.ledger import Event, file_name, parse_event
from manual_registry.registry.roots import has_ledger, refuse_address

#: The directories that `init` makes, in order.
DIRECTORIES = (
    "ledger", "models", "models/.incoming", "archive", "approvals", "approvals/.inbox", "approvals/.control",
)  # fmt: skip
#: What `init` makes; if one of these stands already, and is nothing that it began, nothing is touched (exit 6).
OUR_NAMES = (
    "registry.toml", "registry.xlsx", "README.txt", "FORMAT.md", ".gitattributes", "allowed_signers", "ledger", "models",
    "archive", "approvals",
)  # fmt: skip
_LOCK = ".lock"


def begun(root: Path, data: Mapping[str, Any], texts: Callable[[Event], Mapping[str, str]]) -> Event | None:
    """Return the first event that an `init` with the same ``data`` has left in ``root``; None: begin anew.

    ``texts``: the files of the root that follow from it. Raises :class:`NameTaken` when something else stands there.
    """
    refuse_address(root, hint="mreg init DIR")
    if root.exists() and not root.is_dir():
        raise NameTaken(f"{root} is a file", location=str(root), hint="mreg init DIR")
    taken = [name for name in OUR_NAMES if os.path.lexists(root / name)]
    if not taken:
        return None
    genesis = _genesis(root)
    ours = {"ledger", "models", "archive", "approvals"}
    if genesis is not None:
        ours |= {name for name, text in texts(genesis).items() if _holds(root / name, text.encode())} - {configs.FILE}
    if not ours.issuperset(taken) or not _nothing_else(root):
        raise _taken(root, taken)
    if genesis is not None and _differing(genesis.data, data):
        raise NameTaken(
            f"{root}: an init was stopped half-way here; it goes on only as it began"
            f" ({', '.join(_differing(genesis.data, data))} differ)",
            location=str(root),
            details={"taken": list(taken)},
            hint=_command(root, genesis.data),
        )
    return genesis


def _taken(root: Path, taken: list[str]) -> NameTaken:
    registry = configs.FILE in taken and "ledger" in taken
    if configs.FILE not in taken and has_ledger(root):
        return NameTaken(
            f"{root} is a registry whose {configs.FILE} is gone; nothing was touched",
            location=str(root),
            details={"taken": list(taken)},
            hint=f"mreg --registry {shlex.quote(str(root))} policy restore",
        )
    return NameTaken(
        f"{root} has {', '.join(taken)} already; nothing was touched",
        location=str(root),
        details={"taken": list(taken)},
        hint=f"mreg --registry {shlex.quote(str(root))} status" if registry else "mreg init ANOTHER-DIR",
    )


def _genesis(root: Path) -> Event | None:
    try:
        return parse_event(LedgerFiles(root).raw(file_name(1)), location=f"ledger/{file_name(1)}")
    except RegistryError:
        return None


def _holds(path: Path, data: bytes) -> bool:
    try:
        return not path.is_symlink() and path.read_bytes() == data
    except OSError:
        return False


def _nothing_else(root: Path) -> bool:
    """Tell whether our directories hold nothing but each other, the first event, a lock, and files half-written."""
    known = {*DIRECTORIES, f"ledger/{file_name(1)}", f"models/.incoming/{_LOCK}"}
    for top in ("ledger", "models", "archive", "approvals"):
        if os.path.lexists(root / top) and ((root / top).is_symlink() or not (root / top).is_dir()):
            return False
        for folder, folders, files in os.walk(root / top):
            for name in (*folders, *files):
                path = Path(folder, name)
                plain = not path.is_symlink() and path.relative_to(root).as_posix() in known
                if not plain and not remover.is_temporary(name):
                    return False
    return True


def _differing(standing: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    names = sorted((standing.keys() | wanted.keys()) - {"nonce"})
    return [name for name in names if standing.get(name) != wanted.get(name)]


def _command(root: Path, data: Mapping[str, Any]) -> str:
    """Return the command that would go on; the key files are for the person to name."""
    words = ["mreg", "init", str(root), "--risk", str(data["risk"]), "--system", str(data["system"])]
    words += ["--placed-on-market", str(data["placed_on_market"])] if data["placed_on_market"] else []
    for lead in data["leads"]:
        words += ["--lead", f"{lead['name']} <{lead['email']}>", "--lead-key", "KEY.pub"]
    return shlex.join(words)
