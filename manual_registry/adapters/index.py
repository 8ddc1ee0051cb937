"""The derived index: which events touch a version, so that `trace --no-hash` reads a handful of files, not all.

An sqlite3 file in the user's cache directory, rebuilt when missing, behind or wrong. It is never trusted by `verify` nor
by a governed command: every event that is read through it is checked against the hash that stands in it, and it names
the head whose file it was made from.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

from manual_registry.adapters.ledger_files import LedgerFiles
from manual_registry.adapters.memory import cache_dir
from manual_registry.core.errors import EventMissing, EventUnreadable
from manual_registry.core.events import check_known
from manual_registry.core.ledger import Event, file_name, parse_event
from manual_registry.core.resolve import Name
from manual_registry.core.state import State
from manual_registry.core.touches import is_control, touched
from manual_registry.core.trusted import trusted_fold
from manual_registry.core.values import Digest

_LAYOUT = 4
_SCHEMA = """
create table meta (layout integer, root text, head integer, hash text);
create table event (seq integer primary key, hash text, control integer);
create index event_control on event (seq) where control = 1;
create table touch (model text, version text, seq integer, primary key (model, version, seq)) without rowid;
create table version (
  model text, version text, lower text, seq integer, stage text, blake3 text, sha256 text, composite text,
  primary key (model, version)
) without rowid;
create index version_lower on version (model, lower);
create index version_stage on version (model, stage);
create index version_seq on version (model, seq);
create index version_blake3 on version (blake3);
create index version_sha256 on version (sha256);
create index version_composite on version (composite);
create table alias (model text, name text, version text, primary key (model, name)) without rowid;
"""
#: Further behind than this, building anew is quicker than catching up.
_CATCH_UP = 200


class Index:
    """A current index of one registry, as a ``core.resolve.Lookup`` and a reader of partial folds."""

    def __init__(self, ledger: LedgerFiles, connection: sqlite3.Connection) -> None:
        """Wrap an open, current index; use :func:`open_index`."""
        self._ledger = ledger
        self._db = connection

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _names(self, where: str, *values: object) -> list[Name]:
        rows = self._db.execute(f"select model, version from version where {where}", values)  # noqa: S608 - our own text
        return [(str(model), str(version)) for model, version in rows]

    def has_model(self, model: str) -> bool:
        return bool(self._names("model = ? limit 1", model))

    def versions_named(self, model: str, version: str) -> list[Name]:
        return self._names("model = ? and lower = ?", model, version.lower())

    def versions_in(self, model: str, stage: str) -> list[Name]:
        return self._names("model = ? and stage = ?", model, stage)

    def alias(self, model: str, name: str) -> list[Name]:
        rows = self._db.execute("select model, version from alias where model = ? and name = ?", (model, name))
        return [(str(found), str(version)) for found, version in rows]

    def latest(self, model: str) -> list[Name]:
        return self._names("model = ? order by seq desc limit 1", model)

    def with_digest(self, digest: Digest) -> list[Name]:
        column = "blake3" if digest.algorithm == "blake3" else "sha256"
        return self._names(f"{column} >= ? and {column} < ?", digest.value, digest.value + "g")

    def with_composite(self, text: str) -> list[Name]:
        return self._names("composite = ?", text)

    def partial(self, names: Iterable[Name]) -> State:
        """Fold the control events and those that touch ``names``; every file is checked against its hash."""
        seqs = {seq for (seq,) in self._db.execute("select seq from event where control = 1")}
        for name in names:
            seqs |= {seq for (seq,) in self._db.execute("select seq from touch where model = ? and version = ?", name)}
        return trusted_fold(self._events(sorted(seqs)))

    def _events(self, seqs: list[int]) -> Iterator[Event]:
        for seq in seqs:
            (wanted,) = self._db.execute("select hash from event where seq = ?", (seq,)).fetchone()
            event = parse_event(self._ledger.raw(file_name(seq)), location=f"ledger/{file_name(seq)}")
            if event.hash != wanted:
                raise EventUnreadable(
                    f"ledger/{file_name(seq)} is not what the index was made from", location=f"ledger/{file_name(seq)}"
                )
            yield event


def open_index(ledger: LedgerFiles, root: Path) -> Index | None:
    """Open the index of ``root`` when it is current; None when it is missing, behind by much, or wrong."""
    path = index_path(root)
    if not path.is_file():
        return None
    found: Index | None = None
    connection = sqlite3.connect(path)
    try:
        index = Index(ledger, connection)
        if _current(connection, ledger, root) or _caught_up(index, connection, ledger, root):
            found = index
    except (sqlite3.Error, EventMissing, EventUnreadable):
        found = None
    finally:
        if found is None:
            connection.close()
    return found


def index_path(root: Path) -> Path:
    """Return where the index of ``root`` lies."""
    name = hashlib.sha256(str(root).encode("utf-8", "surrogateescape")).hexdigest()[:32]
    return cache_dir() / f"{name}.sqlite3"


def _meta(connection: sqlite3.Connection) -> tuple[int, str, int, str] | None:
    row = connection.execute("select layout, root, head, hash from meta").fetchone()
    return (int(row[0]), str(row[1]), int(row[2]), str(row[3])) if row else None


def _current(connection: sqlite3.Connection, ledger: LedgerFiles, root: Path) -> bool:
    meta = _meta(connection)
    return meta is not None and _fits(meta, ledger, root) and not ledger.has(meta[2] + 1)


def _fits(meta: tuple[int, str, int, str], ledger: LedgerFiles, root: Path) -> bool:
    """Tell whether the head that the index was made at is still what it was."""
    layout, place, head, digest = meta
    if layout != _LAYOUT or place != str(root):
        return False
    return "sha256:" + hashlib.sha256(ledger.raw(file_name(head))).hexdigest() == digest


def _caught_up(index: Index, connection: sqlite3.Connection, ledger: LedgerFiles, root: Path) -> bool:
    meta = _meta(connection)
    if meta is None or not _fits(meta, ledger, root):
        return False
    fresh: list[Event] = []
    prev = meta[3]
    while ledger.has(meta[2] + len(fresh) + 1):
        if len(fresh) >= _CATCH_UP:
            return False
        name = file_name(meta[2] + len(fresh) + 1)
        event = parse_event(ledger.raw(name), location=f"ledger/{name}")
        if event.prev != prev:
            return False
        check_known(event)
        fresh.append(event)
        prev = event.hash
    _write(connection, fresh)
    names = list(dict.fromkeys(name for event in fresh for name in touched(event)))
    _write_state(connection, index.partial(names))
    connection.execute("update meta set head = ?, hash = ?", (fresh[-1].seq, fresh[-1].hash))
    connection.commit()
    return True


def _write(connection: sqlite3.Connection, events: Iterable[Event]) -> None:
    for event in events:
        connection.execute("insert into event values (?, ?, ?)", (event.seq, event.hash, int(is_control(event))))
        for model, version in touched(event):
            connection.execute("insert or ignore into touch values (?, ?, ?)", (model, version, event.seq))
        if event.type == "alias.set":
            row = (event.subject["model"], event.data["alias"], event.subject["version"])
            connection.execute("insert or replace into alias values (?, ?, ?)", row)
        elif event.type == "alias.removed":
            connection.execute(
                "delete from alias where model = ? and name = ?", (event.subject["model"], event.data["alias"])
            )


def _write_state(connection: sqlite3.Connection, state: State) -> None:
    connection.executemany(
        "insert or replace into version values (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (one.model, one.version, one.version.lower(), one.seq, one.stage, one.blake3, one.sha256, one.composite_id)
            for one in state.versions.values()
        ),
    )


def build_index(ledger: LedgerFiles, root: Path, events: list[Event], state: State) -> Index | None:
    """Make the index anew from a checked chain; None where the cache cannot be written (it is only a cache)."""
    from manual_registry.adapters import remover

    path = index_path(root)
    fresh = path.with_suffix(f".{hashlib.sha256(str(state.head_hash).encode()).hexdigest()[:8]}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remover.discard_cache(fresh)
        with closing(sqlite3.connect(fresh)) as connection:
            connection.executescript(_SCHEMA)
            _write(connection, events)
            _write_state(connection, state)
            connection.execute(
                "insert into meta values (?, ?, ?, ?)", (_LAYOUT, str(root), state.head_seq, state.head_hash)
            )
            connection.commit()
        fresh.replace(path)
        return Index(ledger, sqlite3.connect(path))
    except (sqlite3.Error, OSError):
        return None
