"""Private key files: read, unlock, sign in this process; make new ones.

Rules held here: a signature leaves only after it was verified with the public key that was asked for; nothing
of a private key is written (but by :func:`generate_ed25519`), logged or put into an error. Which file is
taken is left to keys.py.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shlex
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from manual_registry.core import sshsig
from manual_registry.core.errors import (
    BadKey,
    DestinationTaken,
    DiskFull,
    FilesystemUnsuited,
    FileUnknown,
    RegistryError,
    SignatureFinding,
    SigningFailed,
    StorageFailed,
    StorageReadOnly,
)
from manual_registry.core.sshkeys import PublicKey, parse_blob, parse_public_key
from manual_registry.core.sshwire import Wire, canonical_base64

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.serialization.ssh import SSHPrivateKeyTypes

#: Called with the prompt; returns the passphrase, or "" to give up.
AskPassphrase = Callable[[str], str]

_MAX_FILE: Final = 65_536
#: How often a person is asked for a passphrase.
TRIES: Final = 3
_OPENSSH: Final = b"-----BEGIN OPENSSH PRIVATE KEY-----"


class FileSigner:
    """Signs with a private key that this process reads itself; Ed25519, ECDSA and RSA.

    ``warnings`` holds sentences about the file (others can read it). The file is read at the first signature,
    and once; so is its passphrase.
    """

    def __init__(
        self, public_key: PublicKey, path: Path, *, passphrase: AskPassphrase | None = None, data: bytes | None = None
    ) -> None:
        """Sign as ``public_key`` with the file ``path``; ``passphrase`` is called when it has one.

        ``data``: the key's text, which came otherwise (``path`` then only names it in messages).
        """
        self._public, self._path, self._ask, self._data = public_key, path, passphrase, data
        self._private: SSHPrivateKeyTypes | None = None
        self.warnings: tuple[str, ...] = _exposure(path)

    @property
    def public_key(self) -> str:
        """The public key, ``type base64``."""
        return self._public.line()

    def sign(self, message: bytes, *, namespace: str) -> str:
        """Return the armoured SSHSIG; raises ``BadKey`` for another key, ``SigningFailed`` otherwise."""
        if self._private is None:
            self._private = self._load()
        algorithm = sshsig.RSA_ALGORITHMS[0] if self._public.type == "ssh-rsa" else self._public.type
        blob = sshsig.signed_blob(message, namespace=namespace)
        raw = _sign_bytes(self._private, blob, algorithm)
        text = sshsig.armour(self._public, namespace=namespace, algorithm=algorithm, signature=raw)
        return verified(text, message, namespace, self._public)

    def _load(self) -> SSHPrivateKeyTypes:
        data = self._data if self._data is not None else read_key_file(self._path)
        private = (
            self._unlock(data) if inspect_private(data, self._path).encrypted else _load_private(data, None, self._path)
        )
        refuse_other(_public_of(private), self._public, self._path)
        return private

    def _unlock(self, data: bytes) -> SSHPrivateKeyTypes:
        for _ in range(TRIES if self._ask is not None else 0):
            word = self._ask(f"Passphrase for {self._path}: ") if self._ask is not None else ""
            if not word:
                break
            with contextlib.suppress(SigningFailed):
                return _load_private(data, word.encode(), self._path)
        raise SigningFailed(f"{self._path}: the private key stays locked without its passphrase", location="key")


def generate_ed25519(path: Path, comment: str) -> PublicKey:
    """Make an Ed25519 key pair: ``path`` (OpenSSH form, 0600, no passphrase) and ``path``.pub.

    For the demo and for tests; needs no ssh-keygen. Raises ``DestinationTaken`` when either file exists.
    """
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    private = Ed25519PrivateKey.generate()
    public = _public_of(private)
    secret = private.private_bytes(form.Encoding.PEM, form.PrivateFormat.OpenSSH, form.NoEncryption())
    line = f"{public.line()} {comment}".rstrip()
    key = parse_public_key(line)  # the comment is checked before anything is written
    _create(public_path(path), f"{line}\n".encode(), 0o644)
    try:
        _create(path, secret, 0o600)
    except RegistryError:
        public_path(path).unlink()
        raise
    return key


def verified(text: str, message: bytes, namespace: str, wanted: PublicKey) -> str:
    """Pass on a signature that holds; a key holder that signs wrongly is found here, not in the ledger."""
    try:
        signed_by = sshsig.verify(message, text, namespace=namespace)
    except SignatureFinding as error:
        raise SigningFailed(f"the key holder returned a signature that does not hold: {error.message}") from error
    refuse_other(signed_by, wanted, None)
    return text


def refuse_other(found: PublicKey, wanted: PublicKey, path: Path | None) -> None:
    if found != wanted:
        raise BadKey(
            f"{path or 'the signature'}: the key {found.fingerprint}, not {wanted.fingerprint} as on record",
            location=str(path or "key"),
            details={"found": found.fingerprint, "wanted": wanted.fingerprint},
        )


# -- private key files ------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyFile:
    """What a private key file tells while locked; ``public`` None: it does not say (encrypted PEM)."""

    encrypted: bool
    openssh: bool
    public: PublicKey | None


def inspect_private(data: bytes, path: Path) -> KeyFile:
    if b"PuTTY-User-Key-File" in data:
        raise BadKey(
            f"{path}: a PuTTY key; turn it into OpenSSH's form",
            location=str(path),
            hint="puttygen KEY.ppk -O private-openssh -o KEY",
        )
    if not data.lstrip().startswith(_OPENSSH):
        encrypted = b"ENCRYPTED" in data
        public = None if encrypted else _public_of(_load_private(data, None, path))
        return KeyFile(encrypted=encrypted, openssh=False, public=public)
    body = b"".join(data.strip().splitlines()[1:-1])
    wire = Wire(
        canonical_base64(body.decode("ascii", "replace"), error=BadKey, where=str(path)),
        error=BadKey,
        where=str(path),
    )
    if wire.take(15, "preamble") != b"openssh-key-v1\0":
        wire.fail("no OpenSSH private key inside")
    cipher = wire.string("cipher")
    wire.string("kdf")
    wire.string("kdf options")
    if wire.u32("number of keys") != 1:
        wire.fail("more than one key in the file")
    public = parse_blob(wire.string("public key"), where=str(path))
    return KeyFile(encrypted=cipher != b"none", openssh=True, public=public)


def _load_private(data: bytes, passphrase: bytes | None, path: Path) -> SSHPrivateKeyTypes:
    """Unlock; raises ``SigningFailed``, whose text never holds anything of the file."""
    from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_ssh_private_key

    load: Callable[[bytes, bytes | None], object] = (
        load_ssh_private_key if data.lstrip().startswith(_OPENSSH) else load_pem_private_key
    )
    try:
        private = load(data, passphrase)
    except UnsupportedAlgorithm:
        raise SigningFailed(
            f"{path}: a kind of private key or cipher that only ssh-keygen reads",
            location="key",
            hint=f"ssh-add {shlex.quote(str(path))}",
        ) from None
    except (ValueError, TypeError, KeyError, InvalidTag):
        why = "the passphrase is wrong or the file is damaged" if passphrase else "the private key is damaged"
        raise SigningFailed(f"{path}: {why}", location="key") from None
    return private  # type: ignore[return-value]  # DH, X25519 and the like are refused by _public_of


def _public_of(private: SSHPrivateKeyTypes) -> PublicKey:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    try:
        line = private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    except ValueError:
        raise BadKey("a kind of private key that SSH does not know", location="key") from None
    return parse_public_key(line.decode("ascii"), where="key")


def _sign_bytes(private: SSHPrivateKeyTypes, blob: bytes, algorithm: str) -> bytes:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    match private:
        case ed25519.Ed25519PrivateKey():
            return private.sign(blob)
        case ec.EllipticCurvePrivateKey():
            der = private.sign(blob, ec.ECDSA(sshsig.hash_for(algorithm)))
            return sshsig.ecdsa_signature(*decode_dss_signature(der))
        case rsa.RSAPrivateKey():
            return private.sign(blob, padding.PKCS1v15(), sshsig.hash_for(algorithm))
        case _:
            raise BadKey("a kind of private key that cannot sign here", location="key")


def public_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.pub")


def read_key_file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_FILE + 1)
    except FileNotFoundError:
        raise FileUnknown(f"{path}: no such file", location=str(path)) from None
    except OSError as error:
        raise FilesystemUnsuited(f"{path}: cannot be read: {error.strerror}", location=str(path)) from error
    if len(data) > _MAX_FILE:
        raise BadKey(f"{path}: more than {_MAX_FILE} bytes; that is no key", location=str(path))
    return data


def _create(path: Path, data: bytes, mode: int) -> None:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
    except FileExistsError:
        raise DestinationTaken(f"{path}: exists already", location=str(path)) from None
    except OSError as error:
        raise write_error(path, error) from error


def write_error(path: Path, error: OSError) -> RegistryError:

    text = f"{path}: cannot be written: {error.strerror}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(text, location=str(path))
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return StorageReadOnly(text, location=str(path))
    return StorageFailed(text, location=str(path))


def _exposure(path: Path) -> tuple[str, ...]:
    try:
        mode = path.stat().st_mode
    except OSError:
        return ()  # told when it is read
    if stat.S_ISREG(mode) and mode & 0o077:
        return (f"{path}: others can reach this private key (mode {mode & 0o777:04o}); chmod 600 {path}",)
    return ()
