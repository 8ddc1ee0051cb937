"""`init`: the first event, the first leads, and the files of the root."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manual_registry.adapters import config as configs
from manual_registry.adapters import keys
from manual_registry.adapters.ledger_files import LedgerFiles
from manual_registry.core import events as kinds
from manual_registry.core.errors import Json, NameTaken, UsageError, raise_for
from manual_registry.core.ledger import Draft, seal
from manual_registry.core.policy import default_document
from manual_registry.core.state import State
from manual_registry.core.times import normal_stamp
from manual_registry.core.values import Risk, email, line_text, person

if TYPE_CHECKING:
    from manual_registry.core.results import Result
    from manual_registry.registry.workspace import Clock, Workspace

#: What `init` makes; if one of these stands already, nothing is touched (exit 6).
OUR_NAMES = (
    "registry.toml", "registry.xlsx", "README.txt", "FORMAT.md", ".gitattributes", "allowed_signers", "ledger", "models",
    "archive", "approvals",
)  # fmt: skip


def init(
    directory: Path,
    *,
    risk: str,
    system: str | None,
    placed_on_market: str | None,
    leads: Sequence[tuple[str, Path]],
    actor: str | None,
    clock: Clock,
    environ: Mapping[str, str],
) -> Result:
    """Make a registry; see :meth:`manual_registry.Registry.init`."""
    root = directory.absolute()
    people = [_lead(text, key) for text, key in leads]
    data: dict[str, Any] = {
        "system": line_text(system or root.resolve().name or "registry", where="system"),
        "risk": _risk(risk).value,
        "placed_on_market": normal_stamp(placed_on_market, where="placed_on_market")[:10] if placed_on_market else None,
        "policy": default_document(_risk(risk)),
        "leads": people,
        "recovery_key": None,
        "nonce": secrets.token_hex(16),  # two registries never share an id, whoever makes them and when
        "tool": "manual-registry",
    }
    _refuse_taken(root)
    return _make(root, data, actor=actor, clock=clock, environ=environ)


def _risk(text: str) -> Risk:
    try:
        return Risk(text)
    except ValueError:
        raise UsageError(f"risk {text!r}: one of {', '.join(Risk)}") from None


def _lead(text: str, key: Path) -> dict[str, Json]:
    name, address = person(text, where="--lead")
    return {"email": address, "name": name, "key": keys.load_public(key).line()}


def _refuse_taken(root: Path) -> None:
    if root.exists() and not root.is_dir():
        raise NameTaken(f"{root} is a file", location=str(root), hint="mreg init DIR")
    taken = [name for name in OUR_NAMES if (root / name).exists() or (root / name).is_symlink()]
    if taken:
        raise NameTaken(
            f"{root} has {', '.join(taken)} already; nothing was touched",
            location=str(root),
            details={"taken": list(taken)},
            hint="mreg init ANOTHER-DIR",
        )


def _make(root: Path, data: dict[str, Any], *, actor: str | None, clock: Clock, environ: Mapping[str, str]) -> Result:
    from manual_registry.adapters.files import make_directory, os_errors, write_atomic
    from manual_registry.adapters.people import default_actor
    from manual_registry.core.decide import decide
    from manual_registry.core.times import stamp
    from manual_registry.registry.workspace import Loaded, Workspace

    who = email(actor, where="--actor") if actor else default_actor(environ, Path.cwd())
    genesis = seal(Draft(type=kinds.CREATED, subject={}, data=data), seq=1, prev=None, at=stamp(clock()), actor=who)
    raise_for(decide(State(), genesis))
    with os_errors(root):
        root.mkdir(parents=True, exist_ok=True)
        for name in (
            "ledger",
            "models",
            "models/.incoming",
            "archive",
            "approvals",
            "approvals/.inbox",
            "approvals/.control",
        ):
            make_directory(root / name)
    if not LedgerFiles(root).append(genesis):
        raise NameTaken(f"{root}: another process made a registry here just now", location=str(root))
    for name, text in _texts(
        genesis.at, genesis.hash, data
    ).items():  # registry.toml last: with it the folder is a registry
        write_atomic(root / name, text.encode("utf-8"))
    work = Workspace(root, actor=who, clock=clock, environ=environ)
    state = State()
    state.apply(genesis)
    loaded = Loaded(events=[genesis], state=state, written=[genesis])
    from manual_registry.registry import views

    views.publish(work, loaded)
    _warn_about_leads(work, state)
    return work.result("init", loaded, id=state.registry_id, next="mreg status")


def _warn_about_leads(work: Workspace, state: State) -> None:
    if state.risk is Risk.MINIMAL:
        return
    count = len(state.approvers)
    if count == 0:
        work.warn(
            'no lead is enrolled; the first one enrols with: mreg approver add "Name <email>" --role ai-governance-lead --public-key KEY.pub --as EMAIL'
        )
    elif count == 1:
        work.warn(
            "there is one lead only: if their key is lost, or they registered a version, nobody can approve; enrol a second one"
        )


def _texts(at: str, genesis_hash: str, data: Mapping[str, Any]) -> dict[str, str]:
    from manual_registry.adapters.templates import render

    facts = {
        "system": data["system"],
        "risk": data["risk"],
        "registry_id": genesis_hash.removeprefix("sha256:")[:32],
        "created": at[:10],
    }
    return {
        "README.txt": render("README.txt.j2", **facts),
        "FORMAT.md": render("FORMAT.md.j2", **facts),
        ".gitattributes": "* -text\n",
        configs.FILE: configs.render(
            system=data["system"],
            risk=Risk(data["risk"]),
            placed_on_market=data["placed_on_market"],
            policy=data["policy"],
        ),
    }
