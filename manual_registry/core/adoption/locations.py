"""Storage locations as people write them: POSIX and Windows paths, ``file://`` addresses, shares, buckets.

Rule held here: a location becomes a list of names, to be looked for below directories that the person running the
command named; what lies on another machine (a share, a bucket, a web server) is told as not reachable, never opened.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote, urlsplit

from manual_registry.core.adoption.cells import clean


@dataclass(frozen=True, kw_only=True, slots=True)
class Location:
    """A stated location.

    ``parts`` are the names on the way, without ``.``; ``..`` is kept for relative paths. ``absolute`` says that
    they were counted from the top of some machine. ``unreachable`` says why nobody can look there, else it is empty.
    """

    parts: tuple[str, ...] = ()
    absolute: bool = False
    system: Literal["posix", "windows"] = "posix"
    unreachable: str = ""


_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+):(/{1,3})?", re.IGNORECASE)
_SCHEMES = {
    "s3": "a bucket (S3)",
    "s3a": "a bucket (S3)",
    "gs": "a bucket (Google Cloud)",
    "az": "Azure storage",
    "abfs": "Azure storage",
    "abfss": "Azure storage",
    "wasbs": "Azure storage",
    "hdfs": "HDFS",
    "dbfs": "Databricks storage",
    "http": "a web address",
    "https": "a web address",
    "ftp": "an FTP server",
    "sftp": "a server",
    "ssh": "a server",
    "smb": "a network share",
    "models": "an MLflow registry",
    "runs": "an MLflow run",
    "mlflow-artifacts": "an MLflow server",
    "docker": "a container registry",
    "oci": "a container registry",
    "hf": "the Hugging Face hub",
    "dvc": "a DVC reference",
    "gdrive": "Google Drive",
    "onedrive": "OneDrive",
    "sharepoint": "SharePoint",
    "azureml": "Azure ML",
    "wandb": "Weights & Biases",
}


def parse_location(text: str) -> Location:
    """Read a stated location; quotes around it, and blanks, are dropped."""
    bare = re.sub(r"[\r\n\t]+", "", text).strip().strip("\"'<>`\u201c\u201d\u201e").strip()
    if not bare or "\0" in bare:
        return Location(unreachable="no path")
    if bare.lower().startswith("file:"):
        return _file_url(bare)
    if re.match(r"[A-Za-z]:(?=[\\/]|$)", bare):
        return _windows(bare[2:], absolute=True)
    if bare.startswith(("\\\\", "//")):
        return Location(unreachable="a network share (UNC path)", system="windows")
    scheme = _SCHEME.match(bare)
    if scheme and (scheme[2] or scheme[1].lower() in _SCHEMES):
        kind = _SCHEMES.get(scheme[1].lower(), f"an address ({scheme[1].lower()}:)")
        return Location(unreachable=kind)
    if re.fullmatch(r"[\w.-]+@[\w.-]+:.*", bare):
        return Location(unreachable="a path on a server (ssh)")
    if "\\" in bare and "/" not in bare.replace("\\/", ""):
        return _windows(bare, absolute=bare.startswith("\\"))
    return _posix(bare)


def _names(text: str, separators: str) -> tuple[str, ...]:
    return tuple(part for part in re.split(f"[{separators}]+", text) if part not in ("", "."))


def _windows(text: str, *, absolute: bool) -> Location:
    parts = _names(text, r"\\/")
    if parts and re.fullmatch(r"%\w+%", parts[0]):
        return Location(parts=parts[1:], absolute=True, system="windows")
    return Location(parts=parts, absolute=absolute, system="windows")


def _posix(text: str) -> Location:
    parts = _names(text, "/")
    if parts and re.fullmatch(r"~[\w.-]*|\$\{?\w+\}?|<[\w -]+>|\{\w+\}", parts[0]):
        return Location(parts=parts[1:], absolute=True)
    return Location(parts=parts, absolute=text.startswith("/"))


def _file_url(text: str) -> Location:
    try:
        split = urlsplit(text)
        host, path = split.hostname or "", unquote(split.path)
    except ValueError:
        return Location(unreachable="no address that can be read")
    if host not in ("", "localhost", "127.0.0.1") or path.startswith("//"):
        return Location(unreachable="a network share (UNC path)", system="windows")
    if "\0" in path:
        return Location(unreachable="no path")
    drive = re.match(r"/?[A-Za-z]:(?=[\\/]|$)", path)
    if drive:
        return _windows(path[drive.end() :], absolute=True)
    return _posix(path)


def several(text: str) -> tuple[str, ...]:
    """Return the single locations when a cell names several (one a line, or between ``;``); else nothing."""
    pieces = tuple(piece.strip() for piece in re.split(r"[\n;]+", text) if piece.strip())
    return pieces if len(pieces) > 1 else ()


def names_version(name: str, version: str) -> bool:
    """Tell whether a file or directory name carries ``version`` as a word of its own: ``credit-v1.2.pkl``."""
    bare = re.escape(re.sub(r"^[vV](?=\d)", "", clean(version)))
    return re.search(rf"(?<![\w.])[vV]?{bare}(?![\w]|\.\d)|(?<=[_-])[vV]?{bare}(?![a-zA-Z0-9]|\.\d)", name) is not None
