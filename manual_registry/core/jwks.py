"""The public keys of an identity provider: a JWK set (RFC 7517) as a lead pins it.

Rules held here: a key has one spelling (canonical base64url, no leading zeros), a ``kid`` of its own, and a type that
fits its algorithm; RSA has 2048 bits or more; private and symmetric keys are refused; members that say where a key could
be had (``x5u``, ``x5c``) are left out, since nothing of the kind is ever followed. Signatures are left to
:mod:`manual_registry.core.oidc`.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from manual_registry.core.errors import BadEnrolment, BadKey, Json
from manual_registry.core.sshkeys import ECDSA, ED25519, RSA, PublicKey, parse_blob
from manual_registry.core.sshwire import mpint, pack

#: The algorithms of RFC 7518 and 8037 that a key set may allow: algorithm -> (key type, curve). Never none, never HS*.
ALGORITHMS: Final[Mapping[str, tuple[str, str | None]]] = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), ("RSA", None)),
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "EdDSA": ("OKP", "Ed25519"),
}
RSA_MIN_BITS: Final = 2048
_RSA_MAX_BITS: Final = 8192
MAX_KEYS: Final = 32
#: Key type -> the members that make the key; nothing else but ``kty``, ``kid`` and ``alg`` is kept.
_PARTS: Final = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}
_CURVES: Final = {"P-256": (ECDSA[0], b"nistp256", 32), "P-384": (ECDSA[1], b"nistp384", 48)}
_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth"})
_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]+")
_KID: Final = re.compile(r"[!-~]{1,200}")


def base64url(text: str) -> bytes | None:
    """Decode base64url in its one spelling (no padding, spare bits zero); None for everything else."""
    if not _BASE64URL.fullmatch(text):
        return None
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        return None
    return data if base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii") == text else None


def pinned_keys(document: Any, algorithms: Sequence[str]) -> tuple[list[Json], list[str]]:
    """Return the keys of a JWK set that can verify with ``algorithms``, in the form of the event, and what was left out.

    Left out, and told in sentences: keys for encryption and those of another type. Raises :class:`BadEnrolment` for
    what is no key set, and for a key of it that nobody should trust.
    """
    found = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(found, list) or not found:
        raise _bad('a key set is {"keys": [...]} with at least one key')
    kept: list[Json] = []
    told: list[str] = []
    for number, key in enumerate(found, start=1):
        where = _name(key, number)
        if not isinstance(key, dict):
            raise _bad(f"{where} is no JSON object")
        _refuse_secret(key, where)
        operations = key.get("key_ops", ["verify"])
        usable = key.get("use", "sig") == "sig" and isinstance(operations, list) and "verify" in operations
        if not usable or not _fitting(key, algorithms):
            told.append(f"{where} of the key set is not for {', '.join(algorithms)}; left out")
            continue
        kept.append({name: key[name] for name in ("kty", "kid", "alg", *_PARTS[key["kty"]]) if name in key})
    problems = key_reasons(kept, algorithms)
    if problems:
        raise problems[0]
    return kept, told


def key_reasons(keys: Sequence[Any], algorithms: Sequence[str]) -> list[BadEnrolment]:
    """Return what is wrong with the keys of an enrolment, as they stand in its event."""
    if not 1 <= len(keys) <= MAX_KEYS:
        return [_bad(f"{len(keys)} usable keys in the key set; 1 to {MAX_KEYS}")]
    reasons = []
    for number, key in enumerate(keys, start=1):
        try:
            public_key(key, number)
            if not _fitting(key, algorithms):
                reasons.append(_bad(f"{_name(key, number)} fits none of {', '.join(algorithms)}"))
        except BadEnrolment as problem:
            reasons.append(problem)
    if reasons:
        return reasons
    names = [key.get("kid") for key in keys]
    if len(set(names)) != len(names):
        reasons.append(_bad("two keys with one kid"))
    if len(keys) > 1 and None in names:
        reasons.append(_bad("of several keys each needs a kid"))
    return reasons


def public_key(key: Any, number: int = 1) -> PublicKey:
    """Return a pinned JWK as an SSH key, so that it compares with the roster's; raises :class:`BadEnrolment`."""
    where = _name(key, number)
    if not isinstance(key, dict) or not all(isinstance(value, str) for value in key.values()):
        raise _bad(f"{where} is not made of texts")
    parts = _PARTS.get(key.get("kty", ""))
    if parts is None:
        raise _bad(f"{where}: key type {key.get('kty')!r}; RSA, EC or OKP is wanted")
    if not {"kty", *parts} <= key.keys() <= {"kty", "kid", "alg", *parts}:
        raise _bad(f"{where}: an {key['kty']} key has {', '.join(parts)} and nothing else")
    if "kid" in key and not _KID.fullmatch(key["kid"]):
        raise _bad(f"{where}: its kid is no name")
    try:
        return _rsa(key, where) if key["kty"] == "RSA" else _point(key, where)
    except BadKey as problem:
        raise _bad(problem.message) from None


def provider_keys(oidc: Mapping[str, Any] | None) -> list[str]:
    """Return the keys of an enrolment as ``type base64`` lines; those that are none are left to the decision."""
    lines = []
    for key in oidc["keys"] if oidc else ():
        with contextlib.suppress(BadEnrolment):
            lines.append(public_key(key).line())
    return lines


def fits(key: Mapping[str, Any], algorithm: str) -> bool:
    """Tell whether ``key`` may verify with ``algorithm``: type, curve, and the key's own ``alg`` where it has one."""
    kind, curve = ALGORITHMS.get(algorithm, (None, None))
    return kind == key.get("kty") and curve == key.get("crv") and key.get("alg", algorithm) == algorithm


def _fitting(key: Mapping[str, Any], algorithms: Sequence[str]) -> bool:
    return any(fits(key, algorithm) for algorithm in algorithms)


def _bad(why: str) -> BadEnrolment:
    return BadEnrolment(f"key set: {why}", location="jwks")


def _name(key: Any, number: int) -> str:
    kid = key.get("kid") if isinstance(key, dict) else None
    return f"key {kid}" if isinstance(kid, str) and _KID.fullmatch(kid) else f"key {number}"


def _refuse_secret(key: Mapping[str, Any], where: str) -> None:
    if key.get("kty") == "oct" or "k" in key:
        raise _bad(f"{where} is a shared secret; whoever verifies with it can sign with it")
    if key.keys() & _PRIVATE:
        raise _bad(f"{where} is a private key; hand in the provider's public key set")


def _number(key: Mapping[str, Any], name: str, where: str) -> int:
    raw = base64url(key[name])
    if not raw or raw[0] == 0:
        raise _bad(f"{where}: {name} is not base64url in its one spelling")
    return int.from_bytes(raw, "big")


def _rsa(key: Mapping[str, Any], where: str) -> PublicKey:
    modulus, exponent = _number(key, "n", where), _number(key, "e", where)
    bits = modulus.bit_length()
    if not RSA_MIN_BITS <= bits <= _RSA_MAX_BITS:
        raise _bad(f"{where}: an RSA key of {bits} bits; {RSA_MIN_BITS} to {_RSA_MAX_BITS}")
    if exponent < 3 or exponent % 2 == 0 or exponent.bit_length() > 32 or modulus % 2 == 0:
        raise _bad(f"{where}: no RSA key (exponent or modulus cannot be)")
    return PublicKey(type=RSA, blob=pack(RSA.encode(), mpint(exponent), mpint(modulus)))


def _point(key: Mapping[str, Any], where: str) -> PublicKey:
    if key["kty"] == "OKP":
        if key["crv"] != "Ed25519":
            raise _bad(f"{where}: curve {key['crv']!r}; Ed25519 is wanted")
        return parse_blob(pack(ED25519.encode(), _coordinate(key, "x", 32, where)), where=where)
    if key["crv"] not in _CURVES:
        raise _bad(f"{where}: curve {key['crv']!r}; P-256 or P-384 is wanted")
    kind, curve, size = _CURVES[key["crv"]]
    point = b"\x04" + _coordinate(key, "x", size, where) + _coordinate(key, "y", size, where)
    return parse_blob(pack(kind.encode(), curve, point), where=where)


def _coordinate(key: Mapping[str, Any], name: str, size: int, where: str) -> bytes:
    raw = base64url(key[name])
    if raw is None or len(raw) != size:
        raise _bad(f"{where}: {name} is not {size} bytes in base64url")
    return raw
