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
from manual_registry.core.folding import apply
from manual_registry.core.ledger import Draft, Event, seal
from manual_registry.core.policy import default_document
from manual_registry.core.state import State
from manual_registry.core.times import normal_stamp
from manual_registry.core.values import Risk, email, line_text, person
from manual_registry.registry.half_made import DIRECTORIES, begun
from manual_registry.registry.root_texts import root_texts
from manual_registry.registry.roots import is_address

if TYPE_CHECKING:
    from manual_registry.core.results import Result
    from manual_registry.registry.workspace import Clock, Workspace


def init(
    directory: Path,
    *,
    risk: str,
    system: str | None,
    placed_on_market: str | None,
    leads: Sequence[tuple[str, Path]],
    recovery_key: Path | None = None,
    continues: Path | None = None,
    actor: str | None,
    clock: Clock,
    environ: Mapping[str, str],
) -> Result:
    """Make a registry; see :meth:`manual_registry.Registry.init`."""
    root = directory if is_address(str(directory)) else directory.absolute()
    people = [lead_of(text, key) for text, key in leads]
    data: dict[str, Any] = {
        "system": line_text(system or root.resolve().name or "registry", where="system"),
        "risk": _risk(risk).value,
        "placed_on_market": normal_stamp(placed_on_market, where="placed_on_market")[:10] if placed_on_market else None,
        "policy": default_document(_risk(risk)),
        "leads": people,
        "recovery_key": keys.load_public(recovery_key).line() if recovery_key else None,
        "continues": _head_of(continues) if continues else None,
        "nonce": secrets.token_hex(16),  # two registries never share an id, whoever makes them and when
        "tool": "manual-registry",
    }
    return _make(root, data, actor=actor, clock=clock, environ=environ)


def _risk(text: str) -> Risk:
    try:
        return Risk(text)
    except ValueError:
        raise UsageError(f"risk {text!r}: one of {', '.join(Risk)}") from None


def _head_of(old: Path) -> dict[str, Json]:
    """Read the head of the registry that the new one goes on from; its chain is checked, nothing is changed in it."""
    from manual_registry.registry.roots import find_root
    from manual_registry.registry.workspace import Workspace

    root = find_root(old, {})
    seq, hash = (loaded := Workspace(root).load()).head
    return {"registry": loaded.state.registry_id, "seq": seq, "hash": hash, "place": root.resolve().name or str(root)}


def lead_of(text: str, key: Path) -> dict[str, Json]:
    """Read ``Name <email>`` and a public key file; raises :class:`BadEmail`, :class:`BadKey`, what reading a file raises."""
    name, address = person(text, where="--lead")
    return {"email": address, "name": name, "key": keys.load_public(key).line()}


def _make(root: Path, data: dict[str, Any], *, actor: str | None, clock: Clock, environ: Mapping[str, str]) -> Result:
    from manual_registry.adapters.files import make_directory, os_errors
    from manual_registry.adapters.locks import WriteLock
    from manual_registry.adapters.people import default_actor
    from manual_registry.core.decide import decide
    from manual_registry.core.times import stamp
    from manual_registry.registry.workspace import Loaded, Workspace

    who = email(actor, where="--actor") if actor else default_actor(environ, Path.cwd())
    first = seal(Draft(type=kinds.CREATED, subject={}, data=data), seq=1, prev=None, at=stamp(clock()), actor=who)
    raise_for(decide(State(), first))
    begun(root, data, _texts)
    with os_errors(root):
        root.mkdir(parents=True, exist_ok=True)
        for name in DIRECTORIES:
            make_directory(root / name)
    with WriteLock(root):
        genesis = _write(root, first)
    work = Workspace(root, actor=who, clock=clock, environ=environ)
    state = State()
    apply(state, genesis)
    loaded = Loaded(events=[genesis], state=state, written=[genesis])
    from manual_registry.registry import views

    views.publish(work, loaded)
    _warn_about_leads(work, state)
    return work.result("init", loaded, id=state.registry_id, next="mreg status")


def _write(root: Path, first: Event) -> Event:
    """Write the first event, or take the one that a killed `init` left, and the files of the root; returns the event."""
    from manual_registry.adapters.files import write_atomic

    genesis = begun(root, first.data, _texts) or first  # again, now that nobody else can be at it
    if genesis is first and not LedgerFiles(root).append(first):
        raise NameTaken(f"{root}: another process made a registry here just now", location=str(root))
    for name, text in _texts(genesis).items():  # registry.toml last: with it the folder is a registry
        write_atomic(root / name, text.encode("utf-8"))
    return genesis


def _warn_about_leads(work: Workspace, state: State) -> None:
    if state.risk is Risk.MINIMAL:
        return
    count = len(state.approvers)
    if count == 0:
        work.warn(
            'no lead is enrolled; the first one enrols with: mreg approver add "Name <email>" --role ai-governance-lead --public-key KEY.pub --as EMAIL'
        )
    elif count == 1:
        lost = "" if state.recovery_key else "if their key is lost, no other lead can be enrolled (no recovery key); "
        work.warn(f"there is one lead only: {lost}what they register themselves nobody can approve; enrol a second one")


def _texts(genesis: Event) -> dict[str, str]:
    data = genesis.data
    return {
        **root_texts(genesis),
        configs.FILE: configs.render(
            system=data["system"],
            risk=Risk(data["risk"]),
            placed_on_market=data["placed_on_market"],
            policy=data["policy"],
        ),
    }
