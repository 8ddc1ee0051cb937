"""Where runs are read from: a server, or a store of this machine (a folder ``mlruns``, an SQLite file), never written.

Rules held here: MLflow's stores create what they miss (a default experiment, ``.trash``, tables, a newer schema), so a
store of this machine is opened through a stand-in: of a folder one that links to the experiments, of a database a copy.
A wrong path creates nothing.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import quote, unquote, urlsplit
from urllib.request import url2pathname

from manual_registry.adapters.files import storage_error, unreadable
from manual_registry.adapters.mlflow.fetching import Place
from manual_registry.adapters.mlflow.server import Server, connect, library
from manual_registry.core.errors import (
    BadTrackingAddress,
    DiskFull,
    RegistryError,
    StorageFailed,
    ToolMissing,
    UsageError,
)
from manual_registry.core.manifest import printable

_OPTION: Final = "--tracking-uri"
_SQLITE: Final = b"SQLite format 3\0"
#: Where MLflow and its server put files that no experiment placed elsewhere, beside the database.
_BESIDE: Final = ("mlruns", "mlartifacts")


@dataclass(frozen=True, kw_only=True, slots=True)
class Opened:
    """Where runs are read from. ``folder`` is the store's own on this machine, None for a server.

    ``roots`` are where files may lie when the store was moved from the place that it remembers.
    """

    server: Server
    folder: Path | None = None
    roots: tuple[Path, ...] = ()

    @property
    def local(self) -> bool:
        """True when the store is one of this machine."""
        return self.folder is not None

    def on_disk(self, place: Place, *fallback: str) -> Path | None:
        """Return where ``place`` lies on this machine's disk; None: it does not, and is downloaded.

        ``fallback``: the folders in which MLflow keeps it below its root, for a store that was moved.
        """
        if self.folder is None:
            return None
        found = _disk_path(place.location)
        if found is None:
            return self._of_a_server(place)
        if not found.exists():
            found = next((root.joinpath(*fallback) for root in self.roots if root.joinpath(*fallback).exists()), found)
        return found / place.below if place.below else found

    def _of_a_server(self, place: Place) -> Path | None:
        """The files of a server whose database is read directly: in its default folder, or out of reach."""
        parts = urlsplit(place.location)
        if parts.scheme != "mlflow-artifacts":
            return None
        inside = [part for part in unquote(parts.path).split("/") if part not in ("", ".", "..")]
        there = next((root.joinpath(*inside) for root in self.roots if root.joinpath(*inside).exists()), None)
        if there is None:
            raise BadTrackingAddress(
                f"the files of this run are with an MLflow server ({place.location}), not beside its database; name the"
                " server's address",
                location=_OPTION,
            )
        return there / place.below if place.below else there


def tracking_address(given: str | None, environ: Mapping[str, str], here: Path) -> str:
    """Return the address to read from: ``given``, MLFLOW_TRACKING_URI, or the store in the directory ``here``.

    Raises :class:`UsageError` where there is none of them.
    """
    named = given or environ.get("MLFLOW_TRACKING_URI")
    if named:
        return named
    if _experiments(here / "mlruns"):
        return str(here / "mlruns")
    if (here / "mlflow.db").is_file():
        return str(here / "mlflow.db")
    raise UsageError(
        "where is the run? Name the server, folder or database with --tracking-uri (or MLFLOW_TRACKING_URI); there is"
        " neither mlruns nor mlflow.db in this directory"
    )


@contextmanager
def opened(uri: str, scratch: Path) -> Iterator[Opened]:
    """Open ``uri`` for reading: http(s), a folder, ``file:``, or an SQLite file (``sqlite:///…``).

    ``scratch`` is an empty directory for the stand-in. Raises :class:`BadTrackingAddress`, :class:`ToolMissing`, and for a
    server what :func:`connect` raises.
    """
    scheme = uri.partition(":")[0].lower()
    if scheme in ("http", "https"):
        yield Opened(server=connect(uri))
        return
    path = _store_path(uri, scheme)
    library()
    store = _database(path, scratch) if path.is_file() else _folder(path, scratch)
    with closing(store):
        yield store.opened


def _store_path(uri: str, scheme: str) -> Path:
    if "://" in uri and scheme not in ("file", "sqlite"):
        raise BadTrackingAddress(
            f"{_OPTION}: {printable(scheme)[:20]} is not read directly; start mlflow server on it and name its address",
            location=_OPTION,
            hint="mlflow server --backend-store-uri … --host 127.0.0.1",
        )
    if scheme == "sqlite":
        text = unquote(uri.partition("?")[0].partition("///")[2])
    elif scheme == "file":
        text = _disk_text(uri) or ""
    else:
        text = uri
    path = Path(text).absolute()
    if not text or not path.exists():
        raise BadTrackingAddress(
            f"{_OPTION}: {printable(text or uri)}: there is no such folder or database", location=_OPTION
        )
    return path


def _disk_text(uri: str) -> str | None:
    parts = urlsplit(uri)
    if parts.scheme not in ("", "file") or parts.netloc not in ("", "localhost"):
        return None
    return url2pathname(parts.path) if parts.scheme else uri


def _disk_path(location: str) -> Path | None:
    """Return the path that an artefact address is on this machine's disk; None: it is elsewhere."""
    try:
        text = _disk_text(location)
    except ValueError:
        return None
    return Path(text) if text else None


@contextmanager
def _errors(path: Path) -> Iterator[None]:
    """Turn an ``OSError`` into one of ours: the store cannot be read, or there is no room for the stand-in."""
    try:
        yield
    except OSError as error:
        made = storage_error(error, path)
        raise (made if isinstance(made, DiskFull) else unreadable(error, printable(str(path)))) from error


# -- a folder ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class _Store:
    """A store of MLflow's over a stand-in, and what it holds open."""

    opened: Opened
    engine: Any = None

    def close(self) -> None:
        """Let go of the stand-in."""
        if self.engine is not None:
            self.engine.dispose()


def _experiments(folder: Path) -> list[Path]:
    """Return what a folder has to be MLflow's for: the experiments in it, deleted ones too."""
    places = [folder, folder / ".trash"]
    found = [one for place in places if place.is_dir() for one in place.iterdir() if (one / "meta.yaml").is_file()]
    return [one for one in found if one.parent.name == ".trash" or one.name.isdigit()]


def _folder(path: Path, scratch: Path) -> _Store:
    with _errors(path):
        if not path.is_dir() or not _experiments(path):
            raise BadTrackingAddress(
                f"{_OPTION}: {printable(str(path))} holds no experiments of MLflow's (a folder mlruns, or mlflow.db)",
                location=_OPTION,
            )
        stand_in = scratch / "mlruns"
        (stand_in / ".trash").mkdir(parents=True)
        for one in _experiments(path):
            (stand_in / one.relative_to(path)).symlink_to(one.resolve(), target_is_directory=True)
    return _Store(opened=_opened(_file_store(stand_in, path), path, path, (path,)))


def _file_store(stand_in: Path, path: Path) -> Any:
    """Open MLflow's store of files, which MLflow 3.17 wants to be allowed: it gets no new features, and reads on."""
    allowed = os.environ.get("MLFLOW_ALLOW_FILE_STORE")
    os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
    try:
        from mlflow.store.tracking.file_store import FileStore

        return FileStore(str(stand_in), str(stand_in))
    except ImportError as problem:
        raise ToolMissing(f"{printable(str(path))}: {problem}", hint="pip install mlflow") from problem
    finally:
        if allowed is None:
            del os.environ["MLFLOW_ALLOW_FILE_STORE"]
        else:
            os.environ["MLFLOW_ALLOW_FILE_STORE"] = allowed


def _opened(store: Any, path: Path, folder: Path, roots: tuple[Path, ...]) -> Opened:
    import mlflow

    # The stores have the methods of MLflow's client that are called here.
    server = Server(uri=str(path), version=str(mlflow.__version__), client=cast("mlflow.MlflowClient", store))
    return Opened(server=server, folder=folder.resolve(), roots=roots)


# -- a database -------------------------------------------------------------------------------------------------


def _database(path: Path, scratch: Path) -> _Store:
    copy = scratch / "mlflow.db"
    with _errors(path):
        _copy(path, copy)
    _require_mlflow(copy, path)
    try:
        from mlflow.exceptions import MlflowException
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
    except ImportError:
        raise ToolMissing(
            f"{printable(str(path))}: reading MLflow's database needs all of MLflow, not mlflow-skinny alone",
            hint="pip install mlflow",
        ) from None
    address = f"sqlite:///{copy}"
    if "?" in address:
        raise StorageFailed(f"{copy.parent}: MLflow opens no database in a folder with '?' in its name")
    with _newer_or_older(path):
        try:
            store = SqlAlchemyStore(address, str(scratch / "artefacts"))
        except MlflowException:  # an older schema, of the tables that are there
            _upgrade(address)
            store = SqlAlchemyStore(address, str(scratch / "artefacts"))
    roots = tuple(path.parent / name for name in _BESIDE)
    return _Store(opened=_opened(store, path, path.parent, roots), engine=store.engine)


@contextmanager
def _newer_or_older(path: Path) -> Iterator[None]:
    try:
        yield
    except RegistryError:
        raise
    except Exception as problem:  # alembic, SQLAlchemy and MLflow each have errors of their own
        first = " ".join(str(problem).split())[:200]
        raise BadTrackingAddress(
            f"{_OPTION}: {printable(str(path))} cannot be read by the MLflow that is installed: {first}",
            location=_OPTION,
            hint="pip install -U mlflow",
        ) from problem


def _upgrade(address: str) -> None:
    """Bring the copy's schema up to this MLflow's, as ``mlflow db upgrade`` does."""
    from mlflow.store.db import utils

    engine = utils.create_sqlalchemy_engine(address)
    try:
        utils._upgrade_db(engine)
    finally:
        engine.dispose()


def _copy(path: Path, copy: Path) -> None:
    """Copy an SQLite database as it is at one moment; nothing appears beside the original."""
    with path.open("rb") as file:
        head = file.read(20)
    if head[:16] != _SQLITE:
        raise BadTrackingAddress(f"{_OPTION}: {printable(str(path))} is no SQLite database", location=_OPTION)
    # Where nobody has it open, SQLite would make the shared memory of a write-ahead log beside it, in order to read.
    quiet = head[18:20] == b"\x01\x01" or path.with_name(f"{path.name}-shm").exists()
    if quiet and _backed_up(path, copy):
        return
    # Nobody writes it then, or its writer was killed: what is to be rolled back or taken in, SQLite does in the copy.
    from shutil import copyfile

    for suffix in ("", "-wal", "-journal"):
        if (beside := path.with_name(path.name + suffix)).is_file():
            copyfile(beside, copy.with_name(copy.name + suffix))
    with closing(sqlite3.connect(copy)) as made:
        try:
            whole = made.execute("PRAGMA quick_check").fetchone() == ("ok",)
        except sqlite3.Error:
            whole = False
    if not whole:
        raise StorageFailed(
            f"{printable(str(path))} is being written, or damaged; repeat the command when MLflow is at rest",
            location=printable(str(path)),
        )


def _backed_up(path: Path, copy: Path) -> bool:
    try:
        with (
            closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=5)) as source,
            closing(sqlite3.connect(copy)) as target,
        ):
            source.backup(target)
    except sqlite3.Error:
        return False
    return True


def _require_mlflow(copy: Path, path: Path) -> None:
    with closing(sqlite3.connect(copy)) as made:
        names = {name for (name,) in made.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not {"experiments", "runs"} <= names:
        raise BadTrackingAddress(f"{_OPTION}: {printable(str(path))} is no database of MLflow's", location=_OPTION)
