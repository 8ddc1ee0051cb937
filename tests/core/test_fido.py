"""Keys that live in a FIDO token (``sk-…``), made in software: the touch is checked, here and not by ssh-keygen alone."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from manual_registry.core.errors import BadKey, BadSignatureFile, SignatureFinding
from manual_registry.core.sshkeys import SK_ECDSA, SK_ED25519, PublicKey, parse_public_key
from manual_registry.core.sshsig import (
    STAGE_APPROVAL,
    armour,
    ecdsa_signature,
    fido_blob,
    normalise,
    parse,
    signed_blob,
    verify,
)
from manual_registry.core.sshwire import pack

MESSAGE = b'{"_type":"https://in-toto.io/Statement/v1"}\n'
ED = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
EC = ec.derive_private_key(123456789, ec.SECP256R1())
TOUCHED, VERIFIED = 0x01, 0x05


def key(kind: str, application: bytes = b"ssh:") -> PublicKey:
    if kind == SK_ED25519:
        blob = pack(kind.encode(), ED.public_key().public_bytes_raw(), application)
    else:
        point = EC.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        blob = pack(kind.encode(), b"nistp256", point, application)
    return PublicKey(type=kind, blob=blob)


def sign(kind: str, *, flags: int = TOUCHED, counter: int = 7, told: tuple[int, int] | None = None) -> str:
    """Sign as a token would; ``told`` are other flags and another counter than those that were signed."""
    public = key(kind)
    blob = fido_blob(public, signed_blob(MESSAGE, namespace=STAGE_APPROVAL), flags=flags, counter=counter)
    if kind == SK_ED25519:
        raw = ED.sign(blob)
    else:
        raw = ecdsa_signature(*decode_dss_signature(EC.sign(blob, ec.ECDSA(hashes.SHA256()))))
    return armour(public, namespace=STAGE_APPROVAL, algorithm=kind, signature=raw, touch=told or (flags, counter))


KINDS = pytest.mark.parametrize("kind", [SK_ED25519, SK_ECDSA])


@KINDS
def test_a_touched_key_signs(kind: str) -> None:
    for flags in (TOUCHED, VERIFIED):
        assert verify(MESSAGE, sign(kind, flags=flags), namespace=STAGE_APPROVAL) == key(kind)


@KINDS
def test_the_key_has_one_spelling(kind: str) -> None:
    found = parse_public_key(f"{key(kind).line()} a comment")
    assert (found, found.fido) == (key(kind), True)
    text = sign(kind)
    assert normalise(text.replace("\n", "\r\n").encode()) == text


@KINDS
def test_an_untouched_key_does_not(kind: str) -> None:
    for flags in (0x00, 0x04, 0x80):
        with pytest.raises(SignatureFinding, match="nobody touched"):
            verify(MESSAGE, sign(kind, flags=flags), namespace=STAGE_APPROVAL)


@KINDS
def test_flags_and_counter_are_signed(kind: str) -> None:
    for told in ((TOUCHED, 8), (VERIFIED, 7)):
        with pytest.raises(SignatureFinding, match="does not fit"):
            verify(MESSAGE, sign(kind, told=told), namespace=STAGE_APPROVAL)
    with pytest.raises(SignatureFinding, match="does not fit"):  # untouched, the flag set afterwards
        verify(MESSAGE, sign(kind, flags=0, told=(TOUCHED, 7)), namespace=STAGE_APPROVAL)


@KINDS
def test_another_message_or_a_cut_signature(kind: str) -> None:
    with pytest.raises(SignatureFinding, match="does not fit"):
        verify(MESSAGE + b"x", sign(kind), namespace=STAGE_APPROVAL)
    plain = parse(sign(kind))
    bare = armour(plain.key, namespace=STAGE_APPROVAL, algorithm=kind, signature=plain.signature)
    with pytest.raises(BadSignatureFile, match="cut off"):
        parse(bare)


@KINDS
@pytest.mark.parametrize("application", [b"https://example.org", b"ssh", b"ssh\n:", b""])
def test_a_key_of_another_application_is_none(kind: str, application: bytes) -> None:
    with pytest.raises(BadKey):
        parse_public_key(key(kind, application).line())


@KINDS
@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed")
def test_ssh_keygen_takes_the_touched_one_too(kind: str, tmp_path: Path) -> None:
    (tmp_path / "signers").write_text(f'ada@example.org namespaces="{STAGE_APPROVAL}" {key(kind).line()}\n')
    (tmp_path / "s.sig").write_text(sign(kind))
    words = [
        "ssh-keygen",
        "-Y",
        "verify",
        "-f",
        "signers",
        "-I",
        "ada@example.org",
        "-n",
        STAGE_APPROVAL,
        "-s",
        "s.sig",
    ]
    done = subprocess.run(words, input=MESSAGE, cwd=tmp_path, capture_output=True, check=False)
    assert b"Good" in done.stdout, done.stderr
