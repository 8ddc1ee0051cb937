"""SSHSIG, the signature format of ``ssh-keygen -Y sign`` (OpenSSH, PROTOCOL.sshsig).

Rules held here: exactly version 1; the namespace is the one expected; SHA-256 or SHA-512 over the message;
RSA with SHA-2 only; a FIDO key was touched (its flag for user presence is set: ssh-keygen also says Good to
one that was not); no byte more or other than the format asks, so a changed byte of message or signature
never verifies. Whether the signing key belongs to anybody, and whether that person may sign, is left to the
policy.

>>> verify(b"a statement\\n", "no signature", namespace="stage-approval@manual-registry")
Traceback (most recent call last):
...
manual_registry.core.errors.SignatureFinding: signature: does not begin with -----BEGIN SSH SIGNATURE-----
"""

from __future__ import annotations

import base64
import functools
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn

from manual_registry.core.errors import BadKey, BadSignatureFile, SignatureFinding
from manual_registry.core.sshkeys import (
    ECDSA,
    ED25519,
    RSA,
    SK_ECDSA,
    SK_ED25519,
    PublicKey,
    parse_blob,
)
from manual_registry.core.sshwire import Wire, canonical_base64, mpint, pack

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.hashes import HashAlgorithm
    from cryptography.hazmat.primitives.serialization.ssh import SSHPublicKeyTypes

STAGE_APPROVAL: Final = "stage-approval@manual-registry"
CI_PROMOTE: Final = "ci-promote@manual-registry"
REGISTRY_CONTROL: Final = "registry-control@manual-registry"

BEGIN: Final = "-----BEGIN SSH SIGNATURE-----"
END: Final = "-----END SSH SIGNATURE-----"
#: Longest armour that is read, in characters; RSA with 16,384 bits needs some 6,000.
MAX_ARMOUR: Final = 16_384
RSA_ALGORITHMS: Final = ("rsa-sha2-512", "rsa-sha2-256")

_MAGIC: Final = b"SSHSIG"
_COLUMNS: Final = 70  # as ssh-keygen wraps
_WHERE: Final = "signature"
_HASHES: Final = ("sha512", "sha256")
_TOUCHED: Final = 0x01  # PROTOCOL.u2f: user presence


@dataclass(frozen=True, kw_only=True, slots=True)
class SshSignature:
    """The parts of one SSHSIG, parsed and not yet verified.

    ``hash_name`` is what the message is hashed with; ``algorithm`` what was signed with; ``signature`` the
    bytes of that algorithm (Ed25519: 64; ECDSA: two mpints; RSA: as many as the modulus). Of a FIDO key, ``flags`` says
    whether somebody touched it (bit 0), ``counter`` how often it has signed; None for every other key.
    """

    key: PublicKey
    namespace: str
    hash_name: str
    algorithm: str
    signature: bytes
    flags: int | None = None
    counter: int | None = None

    def armour(self) -> str:
        """Return the armoured text in its one spelling: 70 columns, LF, LF at the end."""
        return armour(
            self.key,
            namespace=self.namespace,
            hash_name=self.hash_name,
            algorithm=self.algorithm,
            signature=self.signature,
            touch=(self.flags, self.counter) if self.flags is not None and self.counter is not None else None,
        )


def verify(message: bytes, armour: str, *, namespace: str) -> PublicKey:
    """Return the key that signed ``message`` for ``namespace``.

    Raises :class:`SignatureFinding` with the exact reason for everything else, a damaged armour included.
    That the key is on the roster is for the caller to check.
    """
    try:
        found = parse(armour)
    except BadSignatureFile as error:
        raise SignatureFinding(error.message, location=error.location, details=error.details) from error
    if found.namespace != namespace:
        _finding(f"made for the namespace {found.namespace!r}, wanted is {namespace!r}")
    _check(found, signed_blob(message, namespace=namespace, hash_name=found.hash_name))
    return found.key


def parse(armour: str) -> SshSignature:
    """Read an armoured signature without verifying it; raises :class:`BadSignatureFile`."""
    wire = Wire(_dearmour(armour), error=BadSignatureFile, where=_WHERE)
    if wire.take(len(_MAGIC), "preamble") != _MAGIC:
        wire.fail("no SSHSIG inside the armour")
    version = wire.u32("version")
    if version != 1:
        wire.fail(f"SSHSIG version {version}; this tool reads version 1")
    key = _key(wire.string("public key"))
    namespace = wire.name("namespace")
    if wire.string("reserved part"):
        wire.fail("the reserved part is not empty")
    hash_name = wire.name("hash algorithm")
    if hash_name not in _HASHES:
        wire.fail(f"hash algorithm {hash_name!r}; sha512 or sha256 is wanted")
    inner = Wire(wire.string("signature"), error=BadSignatureFile, where=_WHERE)
    wire.end()
    algorithm, signature = _algorithm(inner, key), inner.string("signature bytes")
    flags = inner.take(1, "flags")[0] if key.fido else None
    counter = inner.u32("counter") if key.fido else None
    inner.end()
    return SshSignature(
        key=key,
        namespace=namespace,
        hash_name=hash_name,
        algorithm=algorithm,
        signature=signature,
        flags=flags,
        counter=counter,
    )


def normalise(data: bytes) -> str:
    """Read a signature file as it came by mail (byte order mark, CRLF, blank lines around, other wrapping).

    Returns the armour in its one spelling, which is what the ledger keeps and ssh-keygen reads; raises
    :class:`BadSignatureFile`.
    """
    if len(data) > 2 * MAX_ARMOUR:
        raise BadSignatureFile(f"{_WHERE}: {len(data)} bytes; an SSH signature is smaller", location=_WHERE)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadSignatureFile(f"{_WHERE}: not a text file; hand in the .sig file", location=_WHERE) from None
    return parse(text.replace("\r\n", "\n").strip() + "\n").armour()


def signed_blob(message: bytes, *, namespace: str, hash_name: str = "sha512") -> bytes:
    """Return the bytes that the key really signs: namespace, hash algorithm and hash of ``message``."""
    digest = hashlib.new(hash_name, message).digest()
    return _MAGIC + pack(namespace.encode("ascii"), b"", hash_name.encode("ascii"), digest)


def armour(
    key: PublicKey,
    *,
    namespace: str,
    algorithm: str,
    signature: bytes,
    hash_name: str = "sha512",
    touch: tuple[int, int] | None = None,
) -> str:
    """Return the armoured SSHSIG, in ssh-keygen's spelling, of a ``signature`` over :func:`signed_blob`.

    ``touch`` is (flags, counter) of a FIDO key, whose signature is over :func:`fido_blob` instead.
    """
    inner = pack(algorithm.encode("ascii"), signature)
    if touch is not None:
        inner += bytes([touch[0]]) + touch[1].to_bytes(4, "big")
    blob = _MAGIC + (1).to_bytes(4, "big")
    blob += pack(key.blob, namespace.encode("ascii"), b"", hash_name.encode("ascii"), inner)
    text = base64.b64encode(blob).decode("ascii")
    lines = [text[at : at + _COLUMNS] for at in range(0, len(text), _COLUMNS)]
    return "\n".join([BEGIN, *lines, END]) + "\n"


def fido_blob(key: PublicKey, data: bytes, *, flags: int, counter: int) -> bytes:
    """Return what a FIDO token signs in the place of ``data``: hash of its application, flags, counter, hash of data."""
    wire = Wire(key.blob, error=SignatureFinding, where=_WHERE)
    for _ in range(3 if key.type == SK_ECDSA else 2):  # type, (curve,) key
        wire.string("key")
    application = wire.string("application")
    head = hashlib.sha256(application).digest() + bytes([flags]) + counter.to_bytes(4, "big")
    return head + hashlib.sha256(data).digest()


def ecdsa_signature(r: int, s: int) -> bytes:
    """Return the wire form of an ECDSA signature (RFC 5656, 3.1.2)."""
    return pack(mpint(r), mpint(s))


# -- the parts --------------------------------------------------------------------------------------------


def _finding(reason: str) -> NoReturn:
    raise SignatureFinding(f"{_WHERE}: {reason}", location=_WHERE)


def _dearmour(text: str) -> bytes:
    def fail(problem: str) -> NoReturn:
        raise BadSignatureFile(f"{_WHERE}: {problem}", location=_WHERE)

    if len(text) > MAX_ARMOUR:
        fail(f"{len(text)} characters; an SSH signature has at most {MAX_ARMOUR}")
    if text.startswith("\ufeff"):
        fail("begins with a byte order mark; save it as plain ASCII")
    if "\r" in text:
        fail("has Windows line ends (CRLF), which ssh-keygen does not read; turn them into LF")
    lines = text.removesuffix("\n").split("\n")
    if lines[0] != BEGIN:
        fail(f"does not begin with {BEGIN}")
    if lines[-1] != END:
        fail(f"does not end with {END}, or something follows it")
    if "" in lines:
        fail("has an empty line inside")
    return canonical_base64("".join(lines[1:-1]), error=BadSignatureFile, where=_WHERE)


def _key(blob: bytes) -> PublicKey:
    try:
        return parse_blob(blob, where=_WHERE)
    except BadKey as error:
        raise BadSignatureFile(
            f"{_WHERE}: its key cannot be used: {error.message.removeprefix(f'{_WHERE}: ')}", location=_WHERE
        ) from None


def _algorithm(wire: Wire, key: PublicKey) -> str:
    """Read the algorithm and hold it against the key type: RSA with SHA-2, the others with their own name."""
    algorithm = wire.name("signature algorithm")
    if key.type == RSA and algorithm == RSA:
        wire.fail("an RSA signature with SHA-1, which can be forged; sign with rsa-sha2-512")
    if algorithm not in (RSA_ALGORITHMS if key.type == RSA else (key.type,)):
        wire.fail(f"signature algorithm {algorithm!r} does not fit a key of type {key.type}")
    return algorithm


@functools.lru_cache(maxsize=256)
def _load(line: str) -> SSHPublicKeyTypes:
    from cryptography.hazmat.primitives.serialization import load_ssh_public_key

    return load_ssh_public_key(line.encode("ascii"))


def _check(found: SshSignature, data: bytes) -> None:
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    try:
        _verify_bytes(found, data)
    except InvalidSignature:
        _finding(f"does not fit the text: one of the two was changed (key {found.key.fingerprint})")
    except (UnsupportedAlgorithm, ValueError) as error:
        _finding(f"cannot be checked with the OpenSSL of this machine ({found.key.type}): {error}")


def _verify_bytes(found: SshSignature, data: bytes) -> None:
    """Verify with the key itself; raises ``InvalidSignature`` or :class:`SignatureFinding`."""
    if found.flags is not None and found.counter is not None:
        data = fido_blob(found.key, data, flags=found.flags, counter=found.counter)
        if not found.flags & _TOUCHED:
            _finding("made by a FIDO key that nobody touched (its flag for user presence is not set)")
    if found.key.type in (ED25519, SK_ED25519):
        _verify_ed25519(found, data)
        return
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    match _load(_plain_line(found.key)):
        case ec.EllipticCurvePublicKey() as key:
            wire = Wire(found.signature, error=SignatureFinding, where=_WHERE)
            r, s = wire.mpint("r"), wire.mpint("s")
            wire.end()
            key.verify(encode_dss_signature(r, s), data, ec.ECDSA(hash_for(found.algorithm)))
        case rsa.RSAPublicKey() as key:
            if len(found.signature) != (key.key_size + 7) // 8:
                _finding("an RSA signature that is not as long as its key")
            key.verify(found.signature, data, padding.PKCS1v15(), hash_for(found.algorithm))
        case _:
            _finding(f"keys of type {found.key.type} cannot sign here")


def _plain_line(key: PublicKey) -> str:
    """Return the line of a key as the library loads it: of a FIDO key without its application."""
    if key.type != SK_ECDSA:
        return key.line()
    wire = Wire(key.blob, error=SignatureFinding, where=_WHERE)
    wire.string("key type")
    blob = pack(ECDSA[0].encode(), wire.string("curve"), wire.string("point"))
    return PublicKey(type=ECDSA[0], blob=blob).line()


def _verify_ed25519(found: SshSignature, data: bytes) -> None:
    # Without the SSH and RSA parts of the library, which take longer to load than all else that `trace` does.
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    if len(found.signature) != 64:
        _finding(f"an Ed25519 signature has 64 bytes, this one {len(found.signature)}")
    wire = Wire(found.key.blob, error=SignatureFinding, where=_WHERE)
    wire.string("key type")
    Ed25519PublicKey.from_public_bytes(wire.string("key")).verify(found.signature, data)


def hash_for(algorithm: str) -> HashAlgorithm:
    """Return the hash that a signature ``algorithm`` of SSH implies (not the one that SSHSIG names)."""
    from cryptography.hazmat.primitives import hashes

    if algorithm in (RSA_ALGORITHMS[1], ECDSA[0], SK_ECDSA):
        return hashes.SHA256()
    return hashes.SHA384() if algorithm == ECDSA[1] else hashes.SHA512()
