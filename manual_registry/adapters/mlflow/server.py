"""Connecting to an MLflow server, and what can go wrong there as clear errors.

Rules held here: credentials come from MLflow's own environment variables and from nowhere else; an address never shows
up with a password in it; MLflow prints nothing to our standard output and sends no usage data from here.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from manual_registry.adapters.mlflow import failing
from manual_registry.core.errors import (
    BadTrackingAddress,
    Busy,
    DiskFull,
    LocalArtefacts,
    ServerDown,
    ServerRefused,
    ServerTooOld,
    StorageFailed,
    ToolMissing,
    Unavailable,
    WrongCredentials,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient

#: The oldest server, and the oldest client: 3.0 reads artefacts from one server only.
OLDEST = 3
OLDEST_CLIENT = (3, 1)
#: What MLflow's client is told unless the person told it something else: it would retry for minutes, print and report.
_QUIET = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_TRUNCATE_LONG_VALUES": "false",
}
_STATUS = re.compile(r"error code (\d{3})|^(\d{3}) (?:Client|Server) Error")
#: More of what is wrong is not read.
_LONGEST = 20_000
#: A host with a port, or one with dots, and perhaps a path: an address whose beginning was forgotten.
_BARE = re.compile(r"(localhost|[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+|[A-Za-z][A-Za-z0-9-]*(?=:\d))(:\d{1,5})?(/[\w./-]*)?")
_DENIED = ("UNAUTHENTICATED", "PERMISSION_DENIED", "CUSTOMER_UNAUTHORIZED")
#: Answers after which a client asks again with GET, whatever it had asked.
_MOVED = (301, 302, 303)
_GONE = (
    "failed with exception",
    "timeout exception",
    "Max retries exceeded",
    "Connection refused",
    "Connection aborted",
)


def plain_address(uri: str) -> tuple[str, bool]:
    """Return ``uri`` without user and password, query and fragment, and whether it had a user or password.

    Raises :class:`BadTrackingAddress` unless it is an http or https address.
    """
    try:
        parts = urlsplit(uri)
        host, port = parts.hostname, parts.port
    except ValueError:
        parts, host, port = urlsplit(""), None, None
    if parts.scheme not in ("http", "https") or not host:
        if _BARE.fullmatch(uri):
            raise BadTrackingAddress(
                f"--tracking-uri asks the whole address of an MLflow server; {uri!r} lacks the http:// or https://",
                location="--tracking-uri",
                hint=f"--tracking-uri http://{uri}",
            )
        shown = uri.partition(":")[0][:20]
        raise BadTrackingAddress(
            f"--tracking-uri asks the http or https address of an MLflow server; {shown!r} is none"
            " (a folder or database is opened through mlflow server, which alone keeps its order)",
            location="--tracking-uri",
            hint="mlflow server --backend-store-uri … --host 127.0.0.1",
        )
    name = f"[{host}]" if ":" in host else host
    netloc = f"{name}:{port}" if port else name
    return urlunsplit((parts.scheme, netloc, parts.path.rstrip("/"), "", "")), parts.username is not None


@dataclass(slots=True)
class Server:
    """A server that answered: its address (no credentials in it), version, and MLflow's client for it."""

    uri: str
    version: str
    client: MlflowClient
    repositories: dict[str, Any] = field(default_factory=dict)
    #: Where the experiment that was made last keeps its artefacts; "": there is none.
    newest: str = ""

    def repository(self, location: str) -> Any:
        """Return MLflow's way to the artefacts below ``location``; raises :class:`LocalArtefacts`."""
        if location not in self.repositories:
            self.require_remote(location)
            from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

            self.repositories[location] = get_artifact_repository(location, tracking_uri=self.uri)
        return self.repositories[location]

    def require_remote(self, location: str) -> None:
        """Raise :class:`LocalArtefacts` for a directory of the server's: MLflow's client would take one of this machine.

        A store on this machine (no address) may have its files here.
        """
        if self.uri.startswith(("http://", "https://")) and is_local(location):
            raise LocalArtefacts(
                f"MLflow at {self.uri} keeps artefacts in {location}, a directory of its own machine: written from here"
                " they would lie on this machine and nowhere else. Start that server with --serve-artifacts, or with"
                " --default-artifact-root at a place that both reach; an experiment keeps the place with which it was"
                " made, so rename or delete one of the model's name first",
                location=self.uri,
                hint="mlflow server --serve-artifacts --artifacts-destination …",
            )

    def require_place(self) -> None:
        """Raise :class:`LocalArtefacts` where an experiment that is made now would keep its artefacts so.

        The one made last tells it, unless the server serves artefacts by now.
        """
        if is_local(self.newest) and not _serves_artefacts(self.uri):
            self.require_remote(self.newest)


def is_local(location: str) -> bool:
    """Tell whether an artefact location is a directory: a plain path, `file:`, a drive of Windows."""
    scheme = urlsplit(location).scheme
    return bool(location) and (scheme in ("", "file") or len(scheme) == 1)


def connect(uri: str) -> Server:
    """Connect to the server at ``uri``; asks its version and whether it lets us in.

    Raises :class:`BadTrackingAddress`, :class:`ToolMissing`, :class:`ServerDown`, :class:`ServerTooOld`,
    :class:`WrongCredentials`.
    """
    address, _ = plain_address(uri)
    library()
    import mlflow

    with told(address):
        version = _version(address)
        if int(version.partition(".")[0]) < OLDEST:
            raise ServerTooOld(
                f"the server at {address} is MLflow {version}; logged models came with {OLDEST}.0. Whoever keeps that server"
                " installs a newer MLflow there and brings its database up to date",
                location=address,
                hint="pip install -U mlflow && mlflow db upgrade DATABASE",
                details={"version": version},
            )
        client = mlflow.MlflowClient(tracking_uri=address, registry_uri=address)
        last = client.search_experiments(max_results=1, order_by=["creation_time DESC"])
    newest = str(last[0].artifact_location or "") if last else ""
    return Server(uri=address, version=version, client=client, newest=newest)


def library() -> None:
    """Import MLflow, told to be quiet and to send nothing; raises :class:`ToolMissing`, also for one that is too old."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    try:
        import mlflow
    except ImportError as problem:
        absent = problem.name == "mlflow"
        said = "is not installed" if absent else f"is installed, but cannot be loaded: {problem}"
        raise ToolMissing(f"MLflow's client {said}", hint="pip install 'manual-registry[mlflow]'") from None
    version = str(getattr(mlflow, "__version__", "0"))
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    if numbers < OLDEST_CLIENT:
        oldest = ".".join(str(number) for number in OLDEST_CLIENT)
        raise ToolMissing(
            f"MLflow's client is {version} here, and {oldest} is the oldest that serves",
            hint="pip install -U 'manual-registry[mlflow]'",
        )
    for name in ("mlflow", "alembic.runtime.migration"):
        logging.getLogger(name).setLevel(logging.ERROR)


def _version(address: str) -> str:
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    creds = get_default_host_creds(address)
    answer = http_request(creds, "/version", "GET", timeout=10, max_retries=0, raise_on_status=False)
    status, text = int(answer.status_code), str(answer.text).strip()
    moved = [one for one in answer.history if int(one.status_code) in _MOVED]
    if moved:
        raise _elsewhere(address, str(answer.url), int(moved[0].status_code))
    if status in (401, 403):
        raise _credentials(address)
    if status == 429 or status >= 500:
        raise _down(address, "", failing.of_status(status))
    if status != 200 or not re.fullmatch(r"\d+\.\d+[\w.+-]*", text):
        raise ServerDown(
            f"{address} answers ({status}), but not as an MLflow server; {failing.of_text(text) or 'look at the address'}",
            location=address,
        )
    return text


def _elsewhere(address: str, url: str, status: int) -> BadTrackingAddress:
    """Say where a server sends us: a client repeats there what reads, but not what writes or asks with a body."""
    parts = urlsplit(url)
    netloc = parts.netloc.rpartition("@")[2]
    there = urlunsplit((parts.scheme, netloc, parts.path.removesuffix("/version").rstrip("/"), "", ""))
    return BadTrackingAddress(
        f"{address} answers with a redirect ({status}) to {there}, and what is written would get lost on that way; give"
        " the address where the server is. Is it a page to log in, set the credentials of MLflow's own environment"
        " variables",
        location="--tracking-uri",
        hint=f"--tracking-uri {there}",
    )


def _serves_artefacts(address: str) -> bool:
    """Ask whether the server hands artefacts through; what it says of a directory that nobody has is told apart by 503."""
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    place = "/api/2.0/mlflow-artifacts/artifacts"
    with told(address, "asking for artefacts"):
        answer = http_request(
            get_default_host_creds(address),
            place,
            "GET",
            params={"path": "manual-registry"},
            timeout=10,
            max_retries=0,
            raise_on_status=False,
        )
    return int(answer.status_code) != 503


def _credentials(address: str) -> WrongCredentials:
    return WrongCredentials(
        f"the MLflow server at {address} does not let us in; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD,"
        " or MLFLOW_TRACKING_TOKEN, to those of somebody who may write there",
        location=address,
    )


@contextmanager
def told(address: str, doing: str = "") -> Iterator[None]:
    """Turn what MLflow's client and the network raise into errors of ours; ``doing`` says at what."""
    import requests
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as problem:
        raise _named(address, doing, str(problem), getattr(problem, "error_code", "")) from problem
    except requests.HTTPError as problem:
        raise _named(address, doing, str(problem), "") from problem
    except requests.RequestException as problem:
        raise _down(address, doing, failing.of_text(str(problem))) from problem
    except OSError as problem:
        kind = DiskFull if problem.errno == 28 else StorageFailed
        raise kind(f"{doing or 'a file'}: {problem.strerror or problem}", location=address) from problem


def _named(address: str, doing: str, text: str, code: str) -> Unavailable:
    text = text[:_LONGEST]  # MLflow's client puts the whole answer into it
    found = _STATUS.search(text)
    status = int(found[1] or found[2]) if found else 0
    if status in (401, 403) or code in _DENIED:
        return _credentials(address)
    if status in (502, 503, 504) or any(sign in text for sign in _GONE):
        return _down(address, doing, failing.of_text(text) or (failing.of_status(status) if status else ""))
    if any(sign in text for sign in failing.AT_ONCE):
        return Busy(
            f"MLflow at {address} was written to by somebody else at the same moment{_at(doing)}, perhaps by another export"
            " of this registry; what is there stays, and the same command goes on from it",
            location=address,
        )
    first = " ".join(text.split())[:300]
    return ServerRefused(f"MLflow at {address} refused{_at(doing)}: {first}", location=address)


def _at(doing: str) -> str:
    return f" {doing}" if doing else ""


def _down(address: str, doing: str, why: str = "") -> ServerDown:
    return ServerDown(
        f"the MLflow server at {address} does not answer{f' ({doing})' if doing else ''}{f': {why}' if why else ''}; what is"
        " there stays, and the same command goes on from it",
        location=address,
    )
