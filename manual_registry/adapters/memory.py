"""What this machine remembers outside every registry: the last head seen, per registry and place.

Rules held here: a hash chain alone misses a ledger that was cut off or chained anew, so each machine keeps
the last head that it has seen and accepted (an anchor). Memory never goes back by itself; losing it costs no
command; it is one file per registry and place, replaced atomically. What a difference means is decided by the
facade.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

STATE_VARIABLE: Final = "MANUAL_REGISTRY_STATE"
CACHE_VARIABLE: Final = "MANUAL_REGISTRY_CACHE"
_APP: Final = "manual-registry"


def state_dir() -> Path:
    """Return the directory of the memory: ``$MANUAL_REGISTRY_STATE``, else the user's state directory."""
    return _directory(STATE_VARIABLE, "XDG_STATE_HOME", "~/.local/state", "user_state_dir")


def cache_dir() -> Path:
    """Return where derived indexes may lie: ``$MANUAL_REGISTRY_CACHE``, else the user's cache directory.

    The directory may not exist yet, and what lies in it may vanish at any time.
    """
    return _directory(CACHE_VARIABLE, "XDG_CACHE_HOME", "~/.cache", "user_cache_dir")


def _directory(variable: str, xdg: str, home: str, otherwise: str) -> Path:
    named = os.environ.get(variable)
    if named:
        return Path(named).absolute()
    if sys.platform == "linux":  # as platformdirs does it, which takes longer to load than a trace to read its events
        base = os.environ.get(xdg, "")
        return Path(base if base.startswith("/") else os.path.expanduser(home), _APP)  # noqa: PTH111 - no home: no error
    import platformdirs

    return Path(getattr(platformdirs, otherwise)(_APP, appauthor=False)).absolute()


def recall(registry_id: str, root: Path | str) -> tuple[int, str] | None:
    """Return (seq, hash) of the last head remembered, or None when there is none or it cannot be read."""
    record = _read(_file(registry_id, root))
    if record is None or record.get("registry") != registry_id:
        return None
    seq, digest = record.get("seq"), record.get("hash")
    if type(seq) is int and seq > 0 and isinstance(digest, str):
        return seq, digest
    return None


def remember(registry_id: str, root: Path | str, seq: int, hash: str) -> str | None:
    """Remember a head that was checked; returns a sentence for the user where that failed, else None.

    A later head that is remembered already stays: to go back is a person's decision (:func:`forget`).
    """
    known = recall(registry_id, root)
    if known is not None and known[0] >= seq:
        return None
    record = {"registry": registry_id, "root": _place(root), "seq": seq, "hash": hash}
    try:
        _replace(_file(registry_id, root), json.dumps(record, sort_keys=True).encode() + b"\n")
    except OSError as error:
        return (
            f"this machine cannot remember the ledger's head ({error.strerror or error}: {state_dir()}); "
            f"set ${STATE_VARIABLE} to a directory that can be written"
        )
    return None


def forget(registry_id: str, root: Path | str) -> str | None:
    """Forget the head of one registry in one place (a backup was put back on purpose); returns as above."""
    try:
        _file(registry_id, root).unlink(missing_ok=True)
    except OSError as error:
        return f"this machine's memory cannot be changed ({error.strerror or error}: {state_dir()})"
    return None


# -- workbooks --------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Settled:
    """What a `sync` left, with nothing open.

    ``workbook`` is its path, ``sha256`` its hash, ``config`` that of registry.toml; ``seq`` and ``hash`` are the ledger's
    head, ``mark`` is the state of its directory.
    """

    workbook: str
    sha256: str
    config: str
    seq: int
    hash: str
    mark: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """What this machine knows of one registry's workbook.

    ``written`` is the SHA-256 of what this machine wrote there last; ``merged`` those of copies that were merged,
    ``settling`` those of copies that were read, and not all of which could be taken.
    """

    written: str | None = None
    merged: tuple[str, ...] = ()
    settling: tuple[str, ...] = ()


#: How many merged copies are remembered.
_MERGED: Final = 50


def recall_settled(root: Path) -> Settled | None:
    """Return how the last sync of the registry at ``root`` left things; None when it left something open."""
    record = _read(_settled_file(root)) or {}
    texts = {name: record.get(name) for name in ("workbook", "sha256", "config", "hash", "mark")}
    seq = record.get("seq")
    if type(seq) is not int or not all(isinstance(one, str) for one in texts.values()):
        return None
    return Settled(seq=seq, **{name: str(one) for name, one in texts.items()})


def remember_settled(root: Path, settled: Settled) -> None:
    """Remember that a sync left nothing open; a memory that cannot be written costs speed only."""
    if settled != recall_settled(root):
        _keep(_settled_file(root), {"root": _place(root), **asdict(settled)})


def _settled_file(root: Path) -> Path:
    return state_dir() / "settled" / f"{_key(root)}.json"


def recall_view(root: Path, workbook: Path) -> Seen:
    """Return what is known of the workbook of the registry at ``root``; nothing is known when it cannot be read."""
    record = _read(_view_file(root, workbook)) or {}
    written = record.get("written")
    return Seen(
        written=written if isinstance(written, str) else None,
        merged=_texts(record.get("merged")),
        settling=_texts(record.get("settling")),
    )


def _texts(found: Any) -> tuple[str, ...]:
    return tuple(one for one in found if isinstance(one, str)) if isinstance(found, list) else ()


def remember_written(root: Path, workbook: Path, sha256: str) -> None:
    """Remember what this machine has just written there; a memory that cannot be written costs speed only."""
    _remember_view(root, workbook, replace(recall_view(root, workbook), written=sha256))


def remember_merged(root: Path, workbook: Path, sha256: str, *, whole: bool = True) -> None:
    """Remember that a copy of the workbook was merged; not ``whole``: some of its edits could not be taken."""
    seen = recall_view(root, workbook)
    merged, settling = (tuple(one for one in known if one != sha256) for known in (seen.merged, seen.settling))
    if whole:
        merged = (*merged, sha256)[-_MERGED:]
    else:
        settling = (*settling, sha256)[-_MERGED:]
    _remember_view(root, workbook, replace(seen, merged=merged, settling=settling))


def _remember_view(root: Path, workbook: Path, seen: Seen) -> None:
    if seen != recall_view(root, workbook):
        record = {"root": _place(root), "workbook": _place(workbook), **asdict(seen)}
        _keep(_view_file(root, workbook), record)


def _keep(path: Path, record: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):  # `remember` tells that this machine cannot remember
        _replace(path, json.dumps(record, sort_keys=True).encode() + b"\n")


def _view_file(root: Path, workbook: Path) -> Path:
    return state_dir() / "views" / f"{_key(root, workbook)}.json"


def renderings_dir(root: Path, workbook: Path) -> Path:
    """Return where the tool's own last renderings of this workbook are kept (RP-3)."""
    return state_dir() / "renderings" / _key(root, workbook)


def _key(*places: Path) -> str:
    name = "\n".join(_place(one) for one in places).encode("utf-8", "surrogateescape")
    return hashlib.sha256(name).hexdigest()[:32]


def _place(root: Path | str) -> str:
    """Return one spelling of the place; a text (an s3:// address, one day) is kept as it is."""
    return os.path.realpath(root) if isinstance(root, Path) else root


def _file(registry_id: str, root: Path | str) -> Path:
    # Hashed, since neither an id read from a damaged ledger nor a path is safe as a file name.
    name = hashlib.sha256(f"{registry_id}\n{_place(root)}".encode("utf-8", "surrogateescape")).hexdigest()[:32]
    return state_dir() / "heads" / f"{name}.json"


def _read(path: Path) -> dict[str, Any] | None:
    try:
        record = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _replace(path: Path, data: bytes) -> None:
    """Write beside and rename. No fsync: a head lost in a power cut is remembered by the next command."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    import tempfile

    handle, temporary = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(temporary).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise
