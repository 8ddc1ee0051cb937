"""Where an MLflow server keeps its files, when that is a store of its own (S3, GCS, Azure): what can go wrong there.

Rules held here: the libraries below MLflow's client (boto3, azure, google) raise whatever they like, and none of it reaches
a person as it is; credentials of a store are the ones that its own library finds, from its own environment variables; a
store that is down is told as such, not as the server's being down.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import urlsplit

from manual_registry.adapters.mlflow.server import Server, told
from manual_registry.core.errors import (
    RegistryError,
    ServerDown,
    ServerRefused,
    StoreUnavailable,
    ToolMissing,
    WrongCredentials,
)
from manual_registry.core.manifest import printable

#: Places that are the tracking server's own, or none.
_SERVERS: Final = ("", "http", "https", "mlflow-artifacts")
#: Module that is missing -> what brings it.
_PACKAGES: Final = {
    "boto3": "boto3",
    "botocore": "boto3",
    "azure": "azure-storage-blob azure-identity",
    "google": "google-cloud-storage",
}
_CREDENTIALS: Final = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE (with MLFLOW_S3_ENDPOINT_URL where it is not Amazon's)",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS",
    "wasbs": "AZURE_STORAGE_CONNECTION_STRING or AZURE_STORAGE_ACCESS_KEY",
}
#: What libraries say of credentials that are not there, are not right, or do not suffice.
_DENIED: Final = re.compile(
    r"credential|AccessDenied|Access Denied|InvalidAccessKeyId|InvalidClientTokenId|SignatureDoesNotMatch|ExpiredToken"
    r"|InvalidToken|AuthenticationFailed|AuthorizationFailure|Forbidden|\(403\)|\(401\)|Unauthorized|Profile \(",
    re.IGNORECASE,
)
#: What MLflow's client falls over when an answer is not of the form that it expects.
_UNLIKE: Final = (AttributeError, KeyError, TypeError, ValueError, IndexError, RecursionError)
#: More of what is wrong is not read.
_LONGEST: Final = 20_000
#: So many causes below a problem are looked at.
_CAUSES: Final = 5
_GONE: Final = re.compile(r"NoSuchBucket|bucket does not exist|ContainerNotFound", re.IGNORECASE)
_SILENT: Final = re.compile(
    r"Could not connect|Connect(ion)? ?(was closed|timeout|refused|reset|error)|timed out|timeout on|Max retries|SSL validation",
    re.IGNORECASE,
)


@contextmanager
def unavailable(server: Server, doing: str, location: str = "") -> Iterator[None]:
    """Turn what MLflow and the libraries below it raise into errors of ours: :class:`StoreUnavailable` and the server's.

    ``location``: where it is done; a store that is not the server's own may be down without the server being so.
    """
    what = printable(doing)[:200]
    try:
        with told(server.uri, what):
            yield
    except (ServerDown, ServerRefused, WrongCredentials) as problem:
        if location.partition(":")[0] in _SERVERS:
            raise
        raise _of_store(location, what, problem.__cause__ or problem) from problem
    except RegistryError:
        raise
    except ImportError as problem:
        name = (problem.name or "a library").partition(".")[0]
        raise ToolMissing(
            f"{name} is needed for {what}{f' in {_root(location)}' if location else ''}",
            hint=f"pip install {_PACKAGES.get(name, name)}",
        ) from problem
    except Exception as problem:  # whatever the library of a cloud's storage raises is no business of a traceback
        if location.partition(":")[0] not in _SERVERS:
            raise _of_store(location, what, problem) from problem
        said = f"no answer of MLflow's ({_first(problem)})" if isinstance(problem, _UNLIKE) else _first(problem)
        raise ServerRefused(f"{what}: {said}", location=server.uri) from problem


def _root(location: str) -> str:
    """Return the store of a place, without what lies in it and without a user or password."""
    try:
        parts = urlsplit(location)
    except ValueError:
        return printable(location.partition(":")[0])
    return printable(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}")[:200]


def _first(problem: BaseException) -> str:
    return printable(" ".join(str(problem)[:_LONGEST].split()))[:300] or type(problem).__name__


def _whole(problem: BaseException) -> str:
    """Return what a library said, and what lies below that: MLflow tells the sentence, the cause has the code."""
    found: list[str] = []
    below: BaseException | None = problem
    while below is not None and len(found) < _CAUSES:
        found.append(f"{type(below).__name__}: {str(below)[:_LONGEST]}")
        below = below.__cause__ or below.__context__
    return "; ".join(found)


def _of_store(location: str, doing: str, problem: BaseException) -> StoreUnavailable | ServerRefused:
    """Say what is wrong; one file that is not there is no fault of the store's."""
    root, text = _root(location), _whole(problem)
    scheme = location.partition(":")[0]
    if _GONE.search(text):
        why = f"{root} is not there any more, or was never ({doing}); it is where the server keeps its files"
    elif _DENIED.search(text):
        names = _CREDENTIALS.get({"s3a": "s3", "s3n": "s3", "wasb": "wasbs", "abfss": "wasbs"}.get(scheme, scheme))
        why = f"{root}, where the server keeps its files, does not let us in ({doing})"
        why += f"; set {names} to those of somebody who may" if names else f": {_first(problem)}"
    elif _SILENT.search(text):
        why = f"{root}, where the server keeps its files, does not answer ({doing})"
        why += "; look at MLFLOW_S3_ENDPOINT_URL, and repeat the command" if scheme == "s3" else "; repeat the command"
    else:
        return ServerRefused(f"{root} refused {doing}: {_first(problem)}", location=root)
    return StoreUnavailable(why, location=root)
