"""OpenSSH public keys: one line in, one :class:`PublicKey` out.

Rules held here: one key has one spelling, so that "one key belongs to one identity" can be decided by
comparing bytes (canonical base64, canonical integers, uncompressed points, reduced coordinates); keys with
which anybody could sign (points of small order, RSA below 3072 bits) are refused; nothing that was handed in
by mistake is echoed; of a FIDO key (``sk-…``, PROTOCOL.u2f) the application begins with ``ssh:``. Who owns a key is the roster's business.

Round trip: ``parse_public_key(key.line()) == key`` for every key that parses; tests/core/test_sshkeys.py.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import unicodedata
from dataclasses import dataclass, field
from typing import Final

from manual_registry.core.errors import BadKey
from manual_registry.core.sshwire import Wire, canonical_base64

ED25519: Final = "ssh-ed25519"
RSA: Final = "ssh-rsa"
ECDSA: Final = ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521")
#: Keys that live in a FIDO token: Ed25519 and ECDSA over P-256, with the application that they were made for.
SK_ED25519: Final = "sk-ssh-ed25519@openssh.com"
SK_ECDSA: Final = "sk-ecdsa-sha2-nistp256@openssh.com"
KEY_TYPES: Final = (ED25519, *ECDSA, RSA, SK_ED25519, SK_ECDSA)

RSA_MIN_BITS: Final = 3072
_RSA_MAX_BITS: Final = 16_384  # the limit of OpenSSH
_MAX_LINE: Final = 16_384
_NEW_KEY: Final = 'ssh-keygen -t ed25519 -C "you@example.org"'


@dataclass(frozen=True, kw_only=True, slots=True)
class PublicKey:
    """A public key that parsed; equal to another when type and blob are (the comment is decoration).

    ``type`` is one of :data:`KEY_TYPES`; ``blob`` the SSH wire form (RFC 4253, 5656, 8709).
    """

    type: str
    blob: bytes
    comment: str = field(default="", compare=False)

    def line(self) -> str:
        """Return ``type base64``, without comment: the spelling that the ledger keeps."""
        return f"{self.type} {base64.b64encode(self.blob).decode('ascii')}"

    @property
    def fido(self) -> bool:
        """True for a key that lives in a FIDO token: each of its signatures says whether somebody touched it."""
        return is_fido(self.type)

    @property
    def fingerprint(self) -> str:
        """``SHA256:…`` as ssh-keygen prints it."""
        return "SHA256:" + base64.b64encode(hashlib.sha256(self.blob).digest()).decode("ascii").rstrip("=")


def parse_public_key(text: str, *, where: str = "public key") -> PublicKey:
    """Read one line ``type base64 [comment]``; raises :class:`BadKey` with what to do instead."""
    if len(text) > _MAX_LINE:
        raise BadKey(f"{where}: {len(text)} characters; a public key is one line", location=where)
    _refuse_other_files(text, where)
    lines = [line for line in text.strip().splitlines() if line.strip()]
    if len(lines) != 1:
        raise BadKey(f"{where}: {len(lines)} lines; hand in exactly one: type base64 comment", location=where)
    words = lines[0].split(None, 2)
    _refuse_type(words, where)
    if len(words) < 2:
        raise BadKey(f"{where}: the key itself is missing after {words[0]}", location=where)
    key = parse_blob(canonical_base64(words[1], error=BadKey, where=where), where=where)
    if key.type != words[0]:
        raise BadKey(f"{where}: the line says {words[0]}, the key inside is {key.type}", location=where)
    return PublicKey(type=key.type, blob=key.blob, comment=_comment(words[2:], where))


def parse_blob(blob: bytes, *, where: str = "public key") -> PublicKey:
    """Read the wire form, to its last byte; raises :class:`BadKey`."""
    wire = Wire(blob, error=BadKey, where=where)
    kind = wire.name("key type")
    _refuse_type([kind], where)
    if kind == ED25519:
        _check_ed25519(wire.string("key"), where)
    elif kind == RSA:
        _check_rsa(wire.mpint("exponent"), wire.mpint("modulus"), where)
    elif kind == SK_ED25519:
        _check_ed25519(wire.string("key"), where)
        _check_application(wire.name("application"), where)
    elif kind == SK_ECDSA:
        _check_point(ECDSA[0], wire.name("curve"), wire.string("point"), where)
        _check_application(wire.name("application"), where)
    else:
        _check_point(kind, wire.name("curve"), wire.string("point"), where)
    wire.end()
    return PublicKey(type=kind, blob=blob)


def is_fido(text: str) -> bool:
    """Tell whether a key line or key type is of a FIDO token (``sk-…``)."""
    return text.lstrip().startswith(("sk-ssh-", "sk-ecdsa-"))


# -- refusals that help -----------------------------------------------------------------------------------

#: What people hand in instead of a public key: its mark, what it is, what to type. The first match counts.
_OTHER_FILES: Final = (
    (
        "PuTTY-User-Key-File",
        "this is a PuTTY private key, which nobody but you may hold; hand in the public key in OpenSSH form",
        "puttygen KEY.ppk -O public-openssh -o KEY.pub",
    ),
    (
        "PRIVATE KEY-----",
        "this is a private key, which nobody but you may hold; hand in the .pub file beside it",
        "ssh-keygen -y -f KEY > KEY.pub",
    ),
    (
        "BEGIN SSH2 PUBLIC KEY",
        "this is the form of RFC 4716; turn it into OpenSSH's",
        "ssh-keygen -i -f KEY > KEY.pub",
    ),
    (
        "BEGIN RSA PUBLIC KEY",
        "this is a PEM file; turn it into OpenSSH's form",
        "ssh-keygen -i -m PEM -f KEY > KEY.pub",
    ),
    (
        "BEGIN PUBLIC KEY",
        "this is a PEM file; turn it into OpenSSH's form",
        "ssh-keygen -i -m PKCS8 -f KEY > KEY.pub",
    ),
    ("BEGIN CERTIFICATE", "this is an X.509 certificate; an OpenSSH public key is wanted", _NEW_KEY),
    ("BEGIN SSH SIGNATURE", "this is a signature; an OpenSSH public key is wanted", None),
)


def _refuse_other_files(text: str, where: str) -> None:
    for mark, what, hint in _OTHER_FILES:
        if mark in text:
            raise BadKey(f"{where}: {what}", location=where, hint=hint)
    if not text.strip():
        raise BadKey(f"{where}: empty; hand in one line: type base64 comment", location=where, hint=_NEW_KEY)


def _refuse_type(words: list[str], where: str) -> None:
    """Refuse every key type but ours; an unknown word is not echoed, since it may be part of a secret."""
    kind = words[0]
    if kind in KEY_TYPES:
        return
    if kind.endswith("-cert-v01@openssh.com"):
        problem = "certificates are not taken; hand in the key itself"
    elif is_fido(kind):
        problem = f"{kind} is a FIDO key of a kind that is not taken; make one with ssh-keygen -t ed25519-sk"
    elif kind == "ssh-dss":
        problem = "DSA keys are too weak; make an Ed25519 key"
    elif kind.startswith("SHA256:"):
        problem = "this is a fingerprint; the whole line of the .pub file is wanted"
    elif any(word in KEY_TYPES for word in " ".join(words[1:]).split()):
        problem = "options before the key are not taken; leave out what stands before the key type"
    else:
        problem = f"no OpenSSH public key; the line begins with one of {', '.join(KEY_TYPES)}"
    raise BadKey(f"{where}: {problem}", location=where, hint=_NEW_KEY)


def _comment(rest: list[str], where: str) -> str:
    comment = rest[0].strip() if rest else ""
    if any(unicodedata.category(char) in ("Cc", "Cs") for char in comment):
        raise BadKey(f"{where}: a control character in the comment", location=where)
    return comment


# -- mathematics: what OpenSSL checks late or never ------------------------------------------------------

_P25519: Final = 2**255 - 19
_D25519: Final = -121665 * pow(121666, -1, _P25519) % _P25519
_Y8: Final = int.from_bytes(bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little")
#: y of the eight points of small order (1, -1, 0, two of order eight): with such a key everybody can sign.
_SMALL_ORDER: Final = frozenset({0, 1, _P25519 - 1, _Y8, _P25519 - _Y8})

#: Field prime and constant b of each curve (FIPS 186-4, D.1.2); a is -3 in all of them.
_CURVES: Final = {
    "nistp256": (
        2**256 - 2**224 + 2**192 + 2**96 - 1,
        0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B,
    ),
    "nistp384": (
        2**384 - 2**128 - 2**96 + 2**32 - 1,
        0xB3312FA7E23EE7E4988E056BE3F82D19181D9C6EFE8141120314088F5013875AC656398D8A2ED19D2A85C8EDD3EC2AEF,
    ),
    "nistp521": (
        2**521 - 1,
        0x0051953EB9618E1C9A1F929A21A0B68540EEA2DA725B99B315F3B8B489918EF109E156193951EC7E937B1652C0BD3BB1BF073573DF883D2C34F1EF451FD46B503F00,
    ),
}


def _check_ed25519(raw: bytes, where: str) -> None:
    if len(raw) != 32:
        raise BadKey(f"{where}: an Ed25519 key has 32 bytes, this one {len(raw)}", location=where)
    problem = _ed25519_problem(raw)
    if problem:
        raise BadKey(f"{where}: {problem}", location=where)


@functools.lru_cache(maxsize=1024)
def _ed25519_problem(raw: bytes) -> str | None:
    y = int.from_bytes(raw, "little") & (2**255 - 1)
    if y >= _P25519:
        return "an Ed25519 key in a second spelling (coordinate not reduced)"
    if y in _SMALL_ORDER:
        return "an Ed25519 key with which anybody could sign (point of small order)"
    u, v = y * y - 1, _D25519 * y * y + 1
    if pow(u * v, (_P25519 - 1) // 2, _P25519) != 1:  # x^2 = u/v has a root just when u*v is a square
        return "no Ed25519 key (not a point of the curve)"
    return None


def _check_application(application: str, where: str) -> None:
    """A FIDO key of another application (a web site's, say) signs what that application shows, not what SSH does."""
    if not application.startswith("ssh:"):
        raise BadKey(f"{where}: a FIDO key that was not made for SSH", location=where, hint=_NEW_KEY)


def _check_rsa(exponent: int, modulus: int, where: str) -> None:
    bits = modulus.bit_length()
    if bits < RSA_MIN_BITS:
        raise BadKey(f"{where}: an RSA key of {bits} bits; at least {RSA_MIN_BITS}", location=where, hint=_NEW_KEY)
    if bits > _RSA_MAX_BITS:
        raise BadKey(f"{where}: an RSA key of {bits} bits; at most {_RSA_MAX_BITS}", location=where, hint=_NEW_KEY)
    if exponent < 3 or exponent % 2 == 0 or exponent.bit_length() > 64 or modulus % 2 == 0:
        raise BadKey(f"{where}: no RSA key (exponent or modulus cannot be)", location=where)


def _check_point(kind: str, curve: str, point: bytes, where: str) -> None:
    if kind != f"ecdsa-sha2-{curve}":
        raise BadKey(f"{where}: key type {kind} does not fit the curve inside", location=where)
    prime, b = _CURVES[curve]
    size = (prime.bit_length() + 7) // 8
    if len(point) != 2 * size + 1 or point[0] != 4:
        raise BadKey(f"{where}: a {curve} key is one uncompressed point of {2 * size + 1} bytes", location=where)
    x, y = int.from_bytes(point[1 : size + 1], "big"), int.from_bytes(point[size + 1 :], "big")
    if x >= prime or y >= prime or (y * y - (x * x * x - 3 * x + b)) % prime:
        raise BadKey(f"{where}: no {curve} key (not a point of the curve)", location=where)
