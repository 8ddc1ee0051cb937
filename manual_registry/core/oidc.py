"""A CI job's identity token (OpenID Connect, a JWT) against what a lead has pinned for its pipeline (clause RP-11).

Rules held here, after RFC 8725: issuer, audience, algorithms, claims and keys come from the lead-signed enrolment alone,
never from the token's header (``jku``, ``jwk``, ``x5u``, ``x5c`` are not read; ``crit`` is refused); the algorithm must be
allowed, and fit the one key that ``kid`` names; a member that stands twice is refused; times are judged at the event, so
that `verify` comes to the same answer in ten years. The signature is checked by PyJWT, with the key and the algorithm
that were chosen here. A token binds nothing but the job: the event that holds both binds it to the promotion.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from manual_registry.core.canonical import parse, sha256_hex
from manual_registry.core.errors import BadEnrolment, BadName, Json, RegistryError, ToolMissing
from manual_registry.core.jwks import ALGORITHMS, base64url, fits, key_reasons, pinned_keys
from manual_registry.core.values import line_text

#: Longest token that is read, in characters; GitHub's have some 1,700, GitLab's some 2,000.
MAX_TOKEN: Final = 16_384
#: A clock may be this much behind the provider's.
_SLACK: Final = timedelta(minutes=5)
#: A token is no good longer than this after it was issued, whatever its ``exp`` says: GitLab's is the end of the job's
#: timeout, which may be weeks away.
LONGEST_LIFE: Final = timedelta(hours=24)
_MEMBERS: Final = ("issuer", "audience", "algorithms", "claims")
_CLAIM: Final = re.compile(r"[A-Za-z0-9_.:/-]{1,100}")
#: Judged by this module itself; whoever pins one of these means something else.
_REGISTERED: Final = frozenset({"iss", "aud", "exp", "nbf", "iat", "jti"})
#: Without one of these every repository of the provider would be the pipeline: anybody may ask for any audience.
_WHOSE: Final = ("repository_id", "project_id", "sub")
_FOREVER: Final = 253_402_300_799  # the last second of the year 9999
_LONGEST: Final = 500


# -- enrolment --------------------------------------------------------------------------------------------


def enrolment(told: Mapping[str, Any], key_set: Any) -> tuple[dict[str, Json], list[str]]:
    """Return the ``oidc`` part of ``pipeline.added`` out of an enrolment file and a JWK set, and what to tell the lead.

    ``told`` has ``issuer``, ``audience``, ``algorithms``, ``claims``; numbers and booleans among the claims are kept as
    the text that GitHub and GitLab write. Raises :class:`BadEnrolment`; whether the audience names this registry is left
    to :func:`enrolment_reasons`.
    """
    unknown = sorted(map(str, told.keys() - set(_MEMBERS)))
    if unknown:
        raise _bad(f"{', '.join(unknown)} is not known; it has {', '.join(_MEMBERS)}")
    missing = [name for name in _MEMBERS if name not in told]
    if missing:
        raise _bad(f"{', '.join(missing)} missing")
    algorithms, claims = told["algorithms"], told["claims"]
    if not isinstance(told["issuer"], str) or not isinstance(told["audience"], str):
        raise _bad("issuer and audience are texts")
    if not isinstance(algorithms, list) or not algorithms or not all(one in list(ALGORITHMS) for one in algorithms):
        raise _bad(f"algorithms {algorithms!r}: a list of {', '.join(ALGORITHMS)}")
    if not isinstance(claims, Mapping):
        raise _bad('claims is a table, for example {repository_id = "123", ref_protected = "true"}')
    keys, left_out = pinned_keys(key_set, algorithms)
    pins: dict[str, Json] = {}
    for name, value in claims.items():
        text = _spelled(value)
        if text is None:
            raise _bad(f"claim {name}: a text, number or boolean is wanted")
        pins[str(name)] = text
    found: dict[str, Json] = {
        "issuer": told["issuer"],
        "audience": told["audience"],
        "algorithms": list(algorithms),
        "claims": pins,
        "keys": keys,
    }
    return found, [*left_out, *_loose(pins)]


def _loose(pins: Mapping[str, Json]) -> list[str]:
    """Say what a lead should know: a pipeline that any branch of the repository can be is none that protects."""
    if "environment" in pins or pins.get("ref_protected") == "true":
        return []
    return ["neither environment nor ref_protected is pinned: any branch of the repository can promote"]


def enrolment_reasons(oidc: Mapping[str, Any], registry_id: str) -> list[RegistryError]:
    """Return what is wrong with an enrolment as it stands in its event."""
    issuer, audience, algorithms, claims = (oidc[name] for name in _MEMBERS)
    reasons: list[RegistryError] = []
    if not issuer.startswith("https://") or _untidy(issuer):
        reasons.append(_bad(f"issuer {issuer!r}: the https:// address that tokens name as iss"))
    if registry_id not in audience or _untidy(audience):
        wanted = f"manual-registry:{registry_id}"
        reasons.append(_bad(f"audience {audience!r} does not name this registry; use {wanted}", hint=f"aud: {wanted}"))
    if not algorithms or len(set(algorithms)) != len(algorithms) or not set(algorithms) <= ALGORITHMS.keys():
        reasons.append(_bad(f"algorithms {algorithms!r}: each once, of {', '.join(ALGORITHMS)}"))
        return reasons
    for name, value in claims.items():
        if not _CLAIM.fullmatch(name) or name in _REGISTERED or not value or _untidy(value):
            reasons.append(_bad(f"claim {name!r} = {value!r} cannot be pinned"))
    if not claims.keys() & set(_WHOSE):
        whose = " or ".join(_WHOSE)
        reasons.append(_bad(f"claims pin no {whose}: every repository of the provider could promote"))
    return [*reasons, *key_reasons(oidc["keys"], algorithms)]


def _untidy(text: str) -> bool:
    try:
        line_text(text, where="oidc")
    except BadName:
        return True
    return len(text) > _LONGEST or text != text.strip()


def _bad(why: str, *, hint: str | None = None) -> BadEnrolment:
    return BadEnrolment(f"OIDC enrolment: {why}", location="oidc", hint=hint)


def _spelled(value: Any) -> str | None:
    """Return a claim as text: ``true`` for both true and "true"; None for what is no single value."""
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
    return None


# -- tokens -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Token:
    """A token that could be read; nothing of it has been verified. ``signed`` is the text that its signature covers."""

    text: str
    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    signed: str

    @property
    def ids(self) -> tuple[str, ...]:
        """What makes it the same token again: issuer and jti where it has one, and always the hash of what is signed.

        The signature is left out of the hash: of some algorithms several signatures fit one text.
        """
        jti = self.claims.get("jti")
        named = (f"jti {self.claims.get('iss')} {jti}",) if isinstance(jti, str) else ()
        return (*named, f"sha256:{sha256_hex(self.signed.encode('ascii'))}")

    def time(self, claim: str) -> datetime | None:
        """Return ``exp``, ``nbf`` or ``iat`` as a moment; None when it is absent or no time."""
        found = self.claims.get(claim)
        if not isinstance(found, int | float) or isinstance(found, bool) or not 0 <= found <= _FOREVER:
            return None
        return datetime.fromtimestamp(found, tz=UTC)


def read_token(text: str) -> Token | None:
    """Read a JWT in compact form (RFC 7515, 7.1), each part in its one spelling; None when it is none."""
    parts = text.split(".") if len(text) <= MAX_TOKEN else []
    if len(parts) != 3:
        return None
    header, claims = _object(parts[0]), _object(parts[1])
    if header is None or claims is None or (parts[2] and base64url(parts[2]) is None):
        return None
    return Token(text=text, header=header, claims=claims, signed=f"{parts[0]}.{parts[1]}")


def _object(part: str) -> Mapping[str, Any] | None:
    try:
        found = parse(base64url(part) or b"")
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def names(oidc: Mapping[str, Any], token: Token) -> bool:
    """Tell whether the token says that it is for this enrolment (nothing is verified): issuer and audience fit."""
    return bool(token.claims.get("iss") == oidc["issuer"] and _audience(token) == oidc["audience"])


def token_reasons(
    oidc: Mapping[str, Any], text: str, *, at: datetime, head_at: datetime | None, used: Mapping[str, int]
) -> list[str]:
    """Return, in sentences, what speaks against a token as the identity of a promotion written ``at``.

    1. It can be read, and its header asks for nothing beyond RFC 7515.
    2. One pinned key has its ``kid``, and fits its algorithm, which is allowed.
    3. The signature is by that key.
    4. Issuer and audience are the pinned ones; every pinned claim is so.
    5. It was issued, and has not expired, ``at`` that moment nor at ``head_at``, the time of the event before; a day after
       it was issued it has, whatever it says.
    6. It was not ``used`` before (id -> event).

    Raises :class:`ToolMissing` where PyJWT is not installed.
    """
    token = read_token(text)
    if token is None:
        return [f"the token is no JWT in compact form of at most {MAX_TOKEN:,} characters"]
    chosen = _chosen_key(oidc, token)
    if isinstance(chosen, str):
        return [chosen]
    if not _signed_by(chosen, token):
        return [f"the token's signature is not by the pinned key {chosen.get('kid', '')}".rstrip()]
    return [*_claim_reasons(oidc, token), *_time_reasons(token, at, head_at), *_used_reasons(token, used)]


def _chosen_key(oidc: Mapping[str, Any], token: Token) -> Mapping[str, Any] | str:
    """Return the pinned key that the token must be signed with, or what is wrong with its header."""
    header = token.header
    algorithm, kid = header.get("alg"), header.get("kid")
    if algorithm not in oidc["algorithms"]:
        return f"the token's algorithm {_shown(algorithm)} is not among {', '.join(oidc['algorithms'])}"
    if "crit" in header or "b64" in header:
        return "the token's header asks for an extension (crit) that nobody here knows"
    kind = header.get("typ", "JWT")
    if not isinstance(kind, str) or kind.upper() != "JWT":
        return f"the token is of type {_shown(kind)}, not JWT"
    keys: Sequence[Mapping[str, Any]] = oidc["keys"]
    found = [key for key in keys if (key.get("kid") == kid if "kid" in header else len(keys) == 1)]
    if len(found) != 1:
        return f"no pinned key has the token's kid {_shown(kid)}; the provider may have new keys: revoke the pipeline, add it anew"
    if not fits(found[0], str(algorithm)):
        return f"the token's algorithm {algorithm} does not fit the pinned key {_shown(kid)}"
    return found[0]


def _signed_by(key: Mapping[str, Any], token: Token) -> bool:
    try:
        import jwt  # noqa: PLC0415 - loads slowly, and only registries with such a pipeline need it
    except ImportError:
        raise ToolMissing(
            "an identity token can only be checked with PyJWT, which is not installed",
            hint='pip install "PyJWT>=2.13"',
        ) from None
    algorithm = token.header["alg"]
    try:
        pinned = jwt.PyJWK(dict(key), algorithm=algorithm)
        jwt.PyJWS(algorithms=[algorithm]).decode_complete(token.text, key=pinned, algorithms=[algorithm])
    except jwt.exceptions.PyJWTError:
        return False
    return True


def _audience(token: Token) -> Any:
    found = token.claims.get("aud")
    return found[0] if isinstance(found, list) and len(found) == 1 else found


def _claim_reasons(oidc: Mapping[str, Any], token: Token) -> list[str]:
    wanted = {"iss": oidc["issuer"], "aud": oidc["audience"], **oidc["claims"]}
    told = {name: _spelled(token.claims.get(name)) for name in wanted} | {"aud": _audience(token)}
    return [
        f"the token's {name} is {_shown(token.claims.get(name))}, pinned is {_shown(value)}"
        for name, value in wanted.items()
        if told[name] != value
    ]


def _time_reasons(token: Token, at: datetime, head_at: datetime | None) -> list[str]:
    issued, expires, begins = token.time("iat"), token.time("exp"), token.time("nbf")
    if issued is None or expires is None or ("nbf" in token.claims and begins is None):
        return ["the token does not say when it was issued (iat) and until when it is valid (exp)"]
    reasons = []
    last = min(expires, issued + LONGEST_LIFE)
    if max(at, head_at or at) >= last:
        hours = LONGEST_LIFE // timedelta(hours=1)
        why = f" ({hours} hours after it was issued; get a new one)" if last < expires else ""
        reasons.append(f"the token expired at {last:%Y-%m-%d %H:%M:%S} UTC{why}")
    if max(issued, begins or issued) > at + _SLACK:
        reasons.append(f"the token is valid from {max(issued, begins or issued):%Y-%m-%d %H:%M:%S} UTC on, not yet")
    return reasons


def _used_reasons(token: Token, used: Mapping[str, int]) -> list[str]:
    if "jti" in token.claims and not isinstance(token.claims["jti"], str):
        return ["the token's jti is no text"]
    seq = next((used[one] for one in token.ids if one in used), None)
    return [] if seq is None else [f"the token was used in event {seq} already; each is good for one promotion"]


def _shown(value: Any) -> str:
    text = repr(value) if value is not None else "absent"
    return text if len(text) <= 100 else f"{text[:100]}…"
