"""Identity tokens of CI jobs and what a lead pins of their provider: where they are read from.

Rules held here: a token comes from a file, from a variable, or from GitHub Actions, which gives it to a job on request;
the provider's keys come from the file that a lead hands in, never from the net; no redirect is followed, and nothing of
a token or of the request's own credential is put into an error. Whether a token is good is left to the core.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from manual_registry.core.errors import BadEnrolment, MetadataUnreadable, TokenUnavailable
from manual_registry.core.oidc import MAX_TOKEN

#: Holds the token itself, as GitLab's ``id_tokens`` puts it there.
TOKEN_VARIABLE: Final = "MANUAL_REGISTRY_OIDC_TOKEN"  # noqa: S105 - the name of a variable
_REQUEST: Final = ("ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN")
_TRIES: Final = 3
_SECONDS: Final = 10


def load_enrolment(path: Path) -> Mapping[str, Any]:
    """Read the TOML file of `pipeline add --oidc`; raises ``FileUnknown``, ``MetadataUnreadable``."""
    from manual_registry.adapters.documents import parse_document, read_bytes

    found = parse_document(read_bytes(path), name=path.name, form=".toml")
    if not isinstance(found, dict):
        raise BadEnrolment(f"{path}: empty", location=str(path))
    return found


def load_key_set(path: Path) -> Any:
    """Read the JWK set of `pipeline add --jwks`; raises ``FileUnknown``, ``MetadataUnreadable``."""
    from manual_registry.adapters.documents import parse_document, read_bytes

    return parse_document(read_bytes(path), name=path.name, form=".json")


def token_from_file(path: Path) -> str:
    """Return the token in ``path``, white space around it left out; raises ``FileUnknown``, ``MetadataUnreadable``."""
    from manual_registry.adapters.documents import read_bytes

    try:
        text = read_bytes(path).decode("ascii").strip()
    except UnicodeDecodeError:
        raise MetadataUnreadable(f"{path}: no identity token (a JWT is ASCII)", location=str(path)) from None
    if not text or len(text) > MAX_TOKEN:
        size = f"{len(text):,} characters" if text else "empty"
        raise MetadataUnreadable(f"{path}: no identity token ({size})", location=str(path))
    return text


def token_from_environment(environ: Mapping[str, str]) -> str | None:
    """Return the token that the CI system put into :data:`TOKEN_VARIABLE`."""
    return environ.get(TOKEN_VARIABLE, "").strip() or None


def can_request(environ: Mapping[str, str]) -> bool:
    """Tell whether this is a job of GitHub Actions that may ask for a token (``permissions: id-token: write``)."""
    return environ.get("GITHUB_ACTIONS") == "true" and all(environ.get(name) for name in _REQUEST)


def request_token(environ: Mapping[str, str], audience: str) -> str:
    """Ask GitHub Actions for a token for ``audience``; raises :class:`TokenUnavailable`."""
    from urllib.parse import quote, urlsplit

    address, credential = (environ[name] for name in _REQUEST)
    parts = urlsplit(address)
    if parts.scheme != "https" and (parts.scheme, parts.hostname) not in (("http", "127.0.0.1"), ("http", "localhost")):
        raise TokenUnavailable(f"{_REQUEST[0]} is no https:// address; no token was asked for")
    joined = f"{address}{'&' if parts.query else '?'}audience={quote(audience, safe='')}"
    why = ""
    for attempt in range(_TRIES):
        if attempt:
            time.sleep(attempt)
        try:
            return _answer(_get(joined, credential))
        except (OSError, ValueError) as problem:
            why = _reason(problem)
            if not _passing(problem):
                break
    raise TokenUnavailable(
        f"GitHub Actions gave no identity token: {why}", hint="permissions: {id-token: write}", location=parts.hostname
    )


def _get(address: str, credential: str) -> bytes:
    from urllib.request import HTTPRedirectHandler, Request, build_opener

    class NoRedirect(HTTPRedirectHandler):
        """A redirect would carry the job's credential elsewhere."""

        def redirect_request(self, *_arguments: Any) -> None:
            return None

    headers = {"Authorization": f"bearer {credential}", "Accept": "application/json"}
    request = Request(address, headers=headers)  # noqa: S310 - https, or this machine
    with build_opener(NoRedirect).open(request, timeout=_SECONDS) as answer:
        data: bytes = answer.read(4 * MAX_TOKEN)
    return data


def _answer(data: bytes) -> str:
    found = json.loads(data)
    token = found.get("value") if isinstance(found, dict) else None
    if not isinstance(token, str) or not token:
        raise ValueError
    return token


def _passing(problem: Exception) -> bool:
    """Tell whether a second try makes sense: not where the answer was no, or no answer to this question."""
    code = getattr(problem, "code", None)
    return isinstance(problem, OSError) and (code is None or code == 429 or code >= 500)


def _reason(problem: Exception) -> str:
    code = getattr(problem, "code", None)
    if code is not None:
        return f"it answered {code}"
    if isinstance(problem, ValueError):
        return "its answer holds none"
    return str(getattr(problem, "reason", None) or problem)
