"""Training-data references and composite version identifiers: their grammar and their spelling.

Rules held here: a reference has one canonical spelling (:attr:`DataReference.text`); a composite identifier
is made of the first 12 characters of each part, ``none`` where a part does not exist. Looking a reference up
in a repository is left to ``adapters/data_references.py``.

Round trips: ``parse_reference(parse_reference(t).text).text == parse_reference(t).text`` and
``str(parse_composite(t)) == t``; tests/core/test_references.py runs both.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from manual_registry.core.errors import BadReference


class ReferenceKind(StrEnum):
    """Which system keeps the data."""

    DVC = "dvc"
    GIT = "git"
    LAKEFS = "lakefs"
    DELTA = "delta"
    SHA256 = "sha256"
    MLFLOW = "mlflow"


@dataclass(frozen=True, kw_only=True, slots=True)
class DataReference:
    """One training-data reference.

    ``text`` is the canonical spelling; ``commit`` lower-case hex, 4 to 64 characters (None for ``delta:``, ``sha256:``
    and ``mlflow:``); ``path`` POSIX without ``.``, ``..`` or doubled slashes (None for ``sha256:``; of ``mlflow:`` the
    data set's name); ``repository`` is set for ``lakefs:``, ``table_version`` for ``delta:``, ``sha256`` for ``sha256:``,
    ``digest`` (as MLflow says it) for ``mlflow:``.
    """

    kind: ReferenceKind
    text: str
    commit: str | None = None
    path: str | None = None
    repository: str | None = None
    table_version: int | None = None
    sha256: str | None = None
    digest: str | None = None

    @property
    def in_repository(self) -> bool:
        """True when a git repository is needed to resolve it."""
        return self.kind in (ReferenceKind.DVC, ReferenceKind.GIT)

    @property
    def is_full(self) -> bool:
        """True when the commit is a full identifier (or the kind has none)."""
        return not self.in_repository or len(self.commit or "") in _FULL

    def at(self, commit: str) -> DataReference:
        """Return the same reference with the full ``commit`` that the short one stood for."""
        text = f"{self.kind.value}:{commit}:{self.path}"
        return DataReference(kind=self.kind, text=text, commit=commit, path=self.path)


_FULL = (40, 64)
_HEX = re.compile(r"[0-9a-f]{4,64}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LAKEFS = re.compile(r"(?P<repository>[a-z0-9][a-z0-9-]{2,62})/(?P<commit>[^/]+)/(?P<path>.+)")
_DELTA = re.compile(r"(?P<path>.+)@v(?P<version>0|[1-9][0-9]{0,17})")

#: What a refusal shows: every form of the contract.
FORMS = (
    "dvc:<commit>:<path>, git:<commit>:<path>, lakefs://<repository>/<commit id>/<path>, delta:<path>@v<n>,"
    " sha256:<hex> or mlflow:<data set>@<digest>"
)


def parse_reference(text: str, *, where: str = "training_data") -> DataReference:
    """Parse a training-data reference; raises :class:`BadReference` located at ``where``."""
    cleaned = text.strip()
    if any(unicodedata.category(char) in ("Cc", "Cs") for char in cleaned):
        raise _bad(text, "a control character in it", where)
    scheme, colon, rest = cleaned.partition(":")
    match scheme.lower() if colon else "":
        case "dvc":
            return _in_repository(ReferenceKind.DVC, text, rest, where)
        case "git":
            return _in_repository(ReferenceKind.GIT, text, rest, where)
        case "lakefs":
            return _lakefs(text, rest, where)
        case "delta":
            return _delta(text, rest, where)
        case "sha256":
            return _sha256(text, rest, where)
        case "mlflow":
            return _mlflow(text, rest, where)
    raise _bad(text, f"write {FORMS}", where)


def _bad(text: str, why: str, where: str, hint: str | None = None) -> BadReference:
    return BadReference(f"{where}: {text!r} is no training-data reference: {why}", location=where, hint=hint)


def _in_repository(kind: ReferenceKind, text: str, rest: str, where: str) -> DataReference:
    commit, colon, path = rest.partition(":")
    if not colon:
        raise _bad(text, f"write {kind.value}:<commit>:<path>", where)
    lowered = commit.lower()
    if not _HEX.fullmatch(lowered):
        why = "the commit is not its hex id (4 to 40 characters); branches and tags move"
        raise _bad(text, why, where, hint=f"git rev-parse {commit or 'HEAD'}")
    clean = _path(text, path, where)
    return DataReference(kind=kind, text=f"{kind.value}:{lowered}:{clean}", commit=lowered, path=clean)


def _path(text: str, path: str, where: str) -> str:
    if path.startswith("/"):
        raise _bad(text, "the path must be relative to the top of the repository", where)
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise _bad(text, "'..' leads out of the repository; write the path from its top", where)
    if not parts:
        raise _bad(text, "the path is missing", where)
    return "/".join(parts)


def _lakefs(text: str, rest: str, where: str) -> DataReference:
    match = _LAKEFS.fullmatch(rest.removeprefix("//")) if rest.startswith("//") else None
    if not match:
        raise _bad(text, "write lakefs://<repository>/<commit id>/<path>", where)
    commit = match["commit"].lower()
    if not _SHA256.fullmatch(commit):
        why = "name the 64 hex characters of the lakeFS commit; branches and tags move"
        raise _bad(text, why, where, hint=f"lakectl show commit lakefs://{match['repository']}/{match['commit']}")
    path = match["path"]
    canonical = f"lakefs://{match['repository']}/{commit}/{path}"
    return DataReference(
        kind=ReferenceKind.LAKEFS, text=canonical, commit=commit, path=path, repository=match["repository"]
    )


def _delta(text: str, rest: str, where: str) -> DataReference:
    match = _DELTA.fullmatch(rest)
    if not match:
        raise _bad(text, "write delta:<path>@v<n>, n being the table version", where)
    path, version = match["path"], int(match["version"])
    if without_credentials(path) != path:
        raise _bad(text, "a user name, password or query in the address; references are kept for ten years", where)
    return DataReference(kind=ReferenceKind.DELTA, text=f"delta:{path}@v{version}", path=path, table_version=version)


def _sha256(text: str, rest: str, where: str) -> DataReference:
    value = rest.lower()
    if not _SHA256.fullmatch(value):
        raise _bad(text, "sha256: is followed by 64 hex characters", where, hint="sha256sum FILE")
    return DataReference(kind=ReferenceKind.SHA256, text=f"sha256:{value}", sha256=value)


def _mlflow(text: str, rest: str, where: str) -> DataReference:
    from urllib.parse import unquote  # noqa: PLC0415 - most commands read no such reference

    name, at, digest = rest.rpartition("@")
    try:
        name, digest = unquote(name, errors="strict"), unquote(digest, errors="strict")
    except UnicodeDecodeError:
        raise _bad(text, "its %XX are no UTF-8 text", where) from None
    if not (at and name and digest):
        raise _bad(text, "write mlflow:<data set>@<digest>, as the run's inputs name them", where)
    return DataReference(kind=ReferenceKind.MLFLOW, text=mlflow_reference(name, digest), path=name, digest=digest)


def mlflow_reference(name: str, digest: str) -> str:
    """Return the reference of a data set that MLflow knows by ``name`` and ``digest``, both free text there.

    What is no letter, digit or one of ``-._~/:+`` is spelled ``%XX``, its UTF-8 bytes in hex.

    >>> mlflow_reference("train set", "2981c147")
    'mlflow:train%20set@2981c147'
    """
    return f"mlflow:{_percented(name)}@{_percented(digest)}"


def _percented(text: str) -> str:
    from urllib.parse import quote  # noqa: PLC0415 - most commands write no such reference

    kept = "-._~/:+"
    return "".join(char if char.isalnum() or char in kept else quote(char, safe="", errors="replace") for char in text)


def own_hash(reference: DataReference) -> str | None:
    """Return the content hash that the reference carries by itself; None for ``dvc:`` and ``git:``.

    ``sha256:`` the hex; ``lakefs:``, ``delta:`` and ``mlflow:`` the SHA-256 of the reference's UTF-8 text.
    """
    if reference.in_repository:
        return None
    return reference.sha256 or hashlib.sha256(reference.text.encode("utf-8")).hexdigest()


def data_content_hash(references: Iterable[tuple[str, str]]) -> str | None:
    """Return the data's content hash from (reference text, its hash) pairs.

    None for no reference; the hash itself for one; for several the SHA-256 of the reference texts, sorted by
    their UTF-8 bytes and joined by LF. A reference given twice counts once.
    """
    unique = dict(references)
    if len(unique) <= 1:
        return next(iter(unique.values()), None)
    return hashlib.sha256(b"\n".join(sorted(text.encode("utf-8") for text in unique))).hexdigest()


# -- composite version identifiers ------------------------------------------------------------------------

_LENGTH = 12
_PART = r"[0-9a-z]{1,12}"
_COMPOSITE = re.compile(
    rf"(?P<model>[a-z0-9][a-z0-9._-]*)@(?P<version>[A-Za-z0-9][A-Za-z0-9._+-]*)\+code\.(?P<code>{_PART})\.data\.(?P<data>{_PART})"
    rf"\.model\.(?P<blake3>{_PART})\.config\.(?P<config>{_PART})(?:\.prompt\.(?P<prompt>{_PART}))?"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class CompositeId:
    """A composite version identifier in its parts: 12 characters each, ``none``, or (``prompt``) None."""

    model: str
    version: str
    code: str
    data: str
    blake3: str
    config: str
    prompt: str | None = None

    def __str__(self) -> str:
        parts = f"+code.{self.code}.data.{self.data}.model.{self.blake3}.config.{self.config}"
        return f"{self.model}@{self.version}{parts}" + (f".prompt.{self.prompt}" if self.prompt else "")


def _short(value: str | None) -> str:
    return (value or "none").lower()[:_LENGTH]


def composite_id(
    *,
    model: str,
    version: str,
    commit: str | None,
    data_hash: str | None,
    blake3: str,
    config_sha256: str | None = None,
    prompt_sha256: str | None = None,
) -> str:
    """Return ``<model>@<version>+code.<12>.data.<12>.model.<12>.config.<12>[.prompt.<12>]``.

    Hashes are bare (no ``sha256:`` in front). The prompt part stands only where there is a prompt file.

    >>> composite_id(model="churn", version="1", commit=None, data_hash=None, blake3="ab" * 32)
    'churn@1+code.none.data.none.model.abababababab.config.none'
    """
    return str(
        CompositeId(
            model=model,
            version=version,
            code=_short(commit),
            data=_short(data_hash),
            blake3=_short(blake3),
            config=_short(config_sha256),
            prompt=_short(prompt_sha256) if prompt_sha256 else None,
        )
    )


def parse_composite(text: str) -> CompositeId:
    """Parse a composite version identifier; raises :class:`BadReference`."""
    match = _COMPOSITE.fullmatch(text.strip())
    if not match or "+code." in match["version"]:
        raise BadReference(
            f"{text!r} is no composite identifier; write MODEL@VERSION+code.….data.….model.….config.…",
            location="REF",
        )
    return CompositeId(**match.groupdict())


# -- addresses --------------------------------------------------------------------------------------------


def without_credentials(url: str) -> str:
    """Return ``url`` without user names, passwords, query and fragment; what is no URL comes back as it is.

    ``ssh://git@host`` and ``git@host:path`` keep the user name, which is no secret there.
    """
    if "://" not in url:
        return url
    from urllib.parse import urlsplit, urlunsplit  # noqa: PLC0415 - most commands need no address

    try:
        parts = urlsplit(url)
    except ValueError:
        return re.sub(r"//[^/]*@", "//", url)
    userinfo, at, host = parts.netloc.rpartition("@")
    keep = userinfo.partition(":")[0] if at and "ssh" in parts.scheme.lower() else ""
    return urlunsplit((parts.scheme, f"{keep}@{host}" if keep else host, parts.path, "", ""))


#: Names of parameters that open a door: whoever has the address would have what it guards. Part of the format, since
#: `verify` judges the successors of closed registers by it.
_SECRET = re.compile(
    r"token|key|sig|secret|pass|pwd|cred|auth|code|session|jwt|ticket|otp|cookie|login|user|^(sas|sid|pat)$",
    re.IGNORECASE,
)
#: A password with / ? or # in it, which stands where a port would.
_ODD_PASSWORD = re.compile(r"://[^/:@\[]*:(?!\d*(?:[/?#]|$))\S*@")
#: A parameter of a part of the path.
_IN_PATH = re.compile(r"[;&]([^=/;&]*)=[^/;&]*")
#: In characters: no address that people pass on has longer values, tokens do.
_LONG = 64


def without_secrets(address: str) -> str:
    """Return an address that everybody may read: :func:`without_credentials`, but harmless query and fragment stay.

    ``https://host/?o=12#/models/churn`` is kept as it is. Left out are parameters, also of path and fragment, whose names
    say that they hold a secret, values of more than 64 characters, and in a URL parameters without a name. Text that is no
    URL keeps everything else. ``without_secrets(without_secrets(a)) == without_secrets(a)``.
    """
    shown = _shown(address)
    while shown != address:  # what is left may look like a password where it stands now; each round leaves less
        address, shown = shown, _shown(shown)
    return shown


def _shown(address: str) -> str:
    url = "://" in address
    rest, mark, fragment = _ODD_PASSWORD.sub("://", address, count=1).partition("#")
    base, asks, query = rest.partition("?")
    base = _IN_PATH.sub(lambda found: "" if _SECRET.search(_plain(found[1])) else found[0], base)
    page, more, asked = fragment.partition("?")
    if "=" in page:
        page = _harmless(page, url)
    shown = (
        without_credentials(base),
        _joined(asks, _harmless(query, url)),
        page,
        _joined(more, _harmless(asked, url)),
    )
    return f"{shown[0]}{shown[1]}{_joined(mark, shown[2] + shown[3])}"


def _joined(mark: str, text: str) -> str:
    return mark + text if text else ""


def _plain(name: str) -> str:
    """Return the name of a parameter as whoever answers reads it."""
    from urllib.parse import unquote_plus  # noqa: PLC0415 - most commands need no address

    return unquote_plus(name).strip()


def _harmless(parameters: str, url: bool) -> str:
    """Return those of ``a=1&b=2`` that hold no secret; unchanged when that is all of them."""
    found = re.split("[&;]", parameters)
    kept = []
    for one in found:
        name, given, value = one.partition("=")
        if (given or not url) and len(value) <= _LONG and not (given and _SECRET.search(_plain(name))):
            kept.append(one)
    return parameters if kept == found else "&".join(kept)
