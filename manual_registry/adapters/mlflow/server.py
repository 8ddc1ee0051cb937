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

from manual_registry.core.errors import (
    BadTrackingAddress,
    DiskFull,
    ServerDown,
    ServerRefused,
    ServerTooOld,
    StorageFailed,
    ToolMissing,
    WrongCredentials,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient

OLDEST = 3
#: What MLflow's client is told unless the person told it something else: it would retry for minutes, print and report.
_QUIET = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_TRUNCATE_LONG_VALUES": "false",
}
_STATUS = re.compile(r"error code (\d{3})|^(\d{3}) (?:Client|Server) Error")
_DENIED = ("UNAUTHENTICATED", "PERMISSION_DENIED", "CUSTOMER_UNAUTHORIZED")
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

    def repository(self, location: str) -> Any:
        """Return MLflow's way to the artefacts below ``location``."""
        if location not in self.repositories:
            from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

            self.repositories[location] = get_artifact_repository(location, tracking_uri=self.uri)
        return self.repositories[location]


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
                f"the server at {address} is MLflow {version}; logged models came with {OLDEST}.0",
                location=address,
                details={"version": version},
            )
        client = mlflow.MlflowClient(tracking_uri=address, registry_uri=address)
        client.search_experiments(max_results=1)
    return Server(uri=address, version=version, client=client)


def library() -> None:
    """Import MLflow, told to be quiet and to send nothing; raises :class:`ToolMissing`."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    try:
        import mlflow  # noqa: F401
    except ImportError:
        raise ToolMissing("MLflow's client is not installed", hint="pip install 'manual-registry[mlflow]'") from None
    logging.getLogger("mlflow").setLevel(logging.ERROR)


def _version(address: str) -> str:
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    answer = http_request(get_default_host_creds(address), "/version", "GET", timeout=10, max_retries=0)
    if answer.status_code in (401, 403):
        raise _credentials(address)
    text = str(answer.text).strip()
    if answer.status_code != 200 or not re.fullmatch(r"\d+\.\d+[\w.+-]*", text):
        raise ServerDown(
            f"{address} answers ({answer.status_code}), but not as an MLflow server; look at the address",
            location=address,
        )
    return text


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
        raise _down(address, doing) from problem
    except OSError as problem:
        kind = DiskFull if problem.errno == 28 else StorageFailed
        raise kind(f"{doing or 'a file'}: {problem.strerror or problem}", location=address) from problem


def _named(address: str, doing: str, text: str, code: str) -> ServerDown | ServerRefused | WrongCredentials:
    found = _STATUS.search(text)
    status = int(found[1] or found[2]) if found else 0
    if status in (401, 403) or code in _DENIED:
        return _credentials(address)
    if status in (502, 503, 504) or any(sign in text for sign in _GONE):
        return _down(address, doing)
    first = " ".join(text.split())[:300]
    return ServerRefused(f"MLflow at {address} refused{_at(doing)}: {first}", location=address)


def _at(doing: str) -> str:
    return f" {doing}" if doing else ""


def _down(address: str, doing: str) -> ServerDown:
    return ServerDown(
        f"the MLflow server at {address} does not answer{f' ({doing})' if doing else ''}; what is there stays,"
        " and the same command goes on from it",
        location=address,
    )
