"""SSHSIG: what ssh-keygen signs verifies here, what is signed here verifies there, and nothing else does."""

from __future__ import annotations

import base64
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from manual_registry.core import sshsig
from manual_registry.core.errors import BadSignatureFile, SignatureFinding
from manual_registry.core.sshkeys import PublicKey, parse_public_key
from manual_registry.core.sshsig import STAGE_APPROVAL, armour, normalise, parse, signed_blob, verify
from manual_registry.core.sshwire import pack

KEYGEN = shutil.which("ssh-keygen") or ""
needs_keygen = pytest.mark.skipif(not KEYGEN, reason="ssh-keygen is not installed")

MESSAGE = b'{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"churn@1.0.0"}]}\n'
PRIVATE = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
Private = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def public(private: Private) -> PublicKey:
    line = private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return parse_public_key(line.decode())


KEY = public(PRIVATE)


def sign(message: bytes = MESSAGE, namespace: str = STAGE_APPROVAL, hash_name: str = "sha512") -> str:
    raw = PRIVATE.sign(signed_blob(message, namespace=namespace, hash_name=hash_name))
    return armour(KEY, namespace=namespace, algorithm="ssh-ed25519", signature=raw, hash_name=hash_name)


def wrap(blob: bytes, columns: int = 70) -> str:
    text = base64.b64encode(blob).decode()
    lines = [text[at : at + columns] for at in range(0, len(text), columns)]
    return "\n".join([sshsig.BEGIN, *lines, sshsig.END]) + "\n"


def outer(
    *,
    magic: bytes = b"SSHSIG",
    version: int = 1,
    key: bytes = KEY.blob,
    namespace: bytes = STAGE_APPROVAL.encode(),
    reserved: bytes = b"",
    hash_name: bytes = b"sha512",
    inner: bytes | None = None,
    after: bytes = b"",
) -> str:
    inner = pack(b"ssh-ed25519", bytes(64)) if inner is None else inner
    return wrap(magic + version.to_bytes(4, "big") + pack(key, namespace, reserved, hash_name, inner) + after)


GOOD = sign()


# -- good ones --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hash_name", ["sha512", "sha256"])
@pytest.mark.parametrize("message", [b"", MESSAGE, b"\x00\xff" * 100_000])
def test_sign_then_verify(message: bytes, hash_name: str) -> None:
    assert verify(message, sign(message, hash_name=hash_name), namespace=STAGE_APPROVAL) == KEY


def test_armour_of_parse_is_the_same_text() -> None:
    assert parse(GOOD).armour() == GOOD
    assert verify(MESSAGE, GOOD.removesuffix("\n"), namespace=STAGE_APPROVAL) == KEY


@needs_keygen
@pytest.mark.parametrize(
    "kind",
    [
        ["ed25519"],
        ["ecdsa", "-b", "256"],
        ["ecdsa", "-b", "384"],
        ["ecdsa", "-b", "521"],
        ["rsa", "-b", "3072"],
    ],
)
@pytest.mark.parametrize("hash_name", ["sha512", "sha256"])
def test_ssh_keygen_signs_we_verify(kind: list[str], hash_name: str, tmp_path: Path) -> None:
    path = keygen_key(tmp_path, kind)
    text = keygen_sign(path, MESSAGE, hash_name)
    key = parse_public_key((tmp_path / "key.pub").read_text())
    assert verify(MESSAGE, text, namespace=STAGE_APPROVAL) == key
    assert parse(text).armour() == text, "our spelling is ssh-keygen's"
    assert parse(text).hash_name == hash_name
    with pytest.raises(SignatureFinding):
        verify(MESSAGE + b"\n", text, namespace=STAGE_APPROVAL)


@needs_keygen
def test_rsa_2048_is_refused_though_the_signature_is_good(tmp_path: Path) -> None:
    text = keygen_sign(keygen_key(tmp_path, ["rsa", "-b", "2048"]), MESSAGE, "sha512")
    with pytest.raises(SignatureFinding, match="2048 bits; at least 3072"):
        verify(MESSAGE, text, namespace=STAGE_APPROVAL)


@needs_keygen
@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()])
def test_we_sign_with_ecdsa_ssh_keygen_verifies(curve: ec.EllipticCurve, tmp_path: Path) -> None:
    private = ec.generate_private_key(curve)
    key = public(private)
    for _ in range(5):  # r and s of every length
        der = private.sign(signed_blob(MESSAGE, namespace=STAGE_APPROVAL), ec.ECDSA(sshsig.hash_for(key.type)))
        raw = sshsig.ecdsa_signature(*decode_dss_signature(der))
        text = armour(key, namespace=STAGE_APPROVAL, algorithm=key.type, signature=raw)
        assert verify(MESSAGE, text, namespace=STAGE_APPROVAL) == key
        assert keygen_verifies(tmp_path, key, MESSAGE, text)


@needs_keygen
@pytest.mark.parametrize("algorithm", ["rsa-sha2-256", "rsa-sha2-512"])
def test_we_sign_with_rsa_ssh_keygen_verifies(algorithm: str, tmp_path: Path) -> None:
    key = public(RSA_PRIVATE)
    blob = signed_blob(MESSAGE, namespace=STAGE_APPROVAL, hash_name="sha256")
    raw = RSA_PRIVATE.sign(blob, padding.PKCS1v15(), sshsig.hash_for(algorithm))
    text = armour(key, namespace=STAGE_APPROVAL, algorithm=algorithm, signature=raw, hash_name="sha256")
    assert verify(MESSAGE, text, namespace=STAGE_APPROVAL) == key
    assert keygen_verifies(tmp_path, key, MESSAGE, text)


@needs_keygen
def test_we_sign_with_ed25519_ssh_keygen_verifies(tmp_path: Path) -> None:
    assert keygen_verifies(tmp_path, KEY, MESSAGE, GOOD)
    assert not keygen_verifies(tmp_path, KEY, MESSAGE[:-1], GOOD)


def test_a_thousand_in_two_seconds_of_cpu() -> None:
    texts = [sign(b"%d" % number) for number in range(1000)]
    start = time.process_time()
    for number, text in enumerate(texts):
        verify(b"%d" % number, text, namespace=STAGE_APPROVAL)
    assert time.process_time() - start < 2


# -- tampering --------------------------------------------------------------------------------------------


@settings(max_examples=400, deadline=None)
@given(at=st.integers(0, len(MESSAGE) - 1), flip=st.integers(1, 255))
def test_a_changed_byte_of_the_message_never_verifies(at: int, flip: int) -> None:
    changed = bytearray(MESSAGE)
    changed[at] ^= flip
    with pytest.raises(SignatureFinding, match="does not fit the text"):
        verify(bytes(changed), GOOD, namespace=STAGE_APPROVAL)


@settings(max_examples=600, deadline=None)
@given(at=st.integers(0, len(GOOD) - 2), char=st.characters(max_codepoint=300))
def test_a_changed_character_of_the_armour_never_verifies(at: int, char: str) -> None:
    if GOOD[at] == char:
        return
    with pytest.raises(SignatureFinding):
        verify(MESSAGE, GOOD[:at] + char + GOOD[at + 1 :], namespace=STAGE_APPROVAL)


def test_every_changed_byte_inside_never_verifies() -> None:
    blob = bytearray(base64.b64decode("".join(GOOD.split("\n")[1:-2])))
    for at in range(len(blob)):
        for flip in (1, 0x20, 0x80):
            blob[at] ^= flip
            with pytest.raises(SignatureFinding):
                verify(MESSAGE, wrap(bytes(blob)), namespace=STAGE_APPROVAL)
            blob[at] ^= flip


def test_every_removed_or_doubled_character_is_found() -> None:
    for at in range(len(GOOD) - 1):
        inner_break = GOOD[at] == "\n" and 30 < at < len(GOOD) - 30  # where lines break carries nothing
        for changed in (GOOD[:at] + GOOD[at] + GOOD[at:], GOOD[:at] + GOOD[at + 1 :]):
            if inner_break and len(changed) < len(GOOD):
                continue
            with pytest.raises(SignatureFinding):
                verify(MESSAGE, changed, namespace=STAGE_APPROVAL)


def test_wrong_namespace() -> None:
    with pytest.raises(
        SignatureFinding, match="'ci-promote@manual-registry', wanted is 'stage-approval@manual-registry'"
    ):
        verify(MESSAGE, sign(namespace=sshsig.CI_PROMOTE), namespace=STAGE_APPROVAL)


def test_namespace_written_over() -> None:
    raw = PRIVATE.sign(signed_blob(MESSAGE, namespace=sshsig.CI_PROMOTE))
    text = armour(KEY, namespace=STAGE_APPROVAL, algorithm="ssh-ed25519", signature=raw)
    with pytest.raises(SignatureFinding, match="does not fit"):
        verify(MESSAGE, text, namespace=STAGE_APPROVAL)


def test_signature_by_another_key_names_that_key() -> None:
    other = ed25519.Ed25519PrivateKey.generate()
    raw = other.sign(signed_blob(MESSAGE, namespace=STAGE_APPROVAL))
    theirs = armour(public(other), namespace=STAGE_APPROVAL, algorithm="ssh-ed25519", signature=raw)
    assert verify(MESSAGE, theirs, namespace=STAGE_APPROVAL) == public(other) != KEY
    stolen_name = armour(KEY, namespace=STAGE_APPROVAL, algorithm="ssh-ed25519", signature=raw)
    with pytest.raises(SignatureFinding, match="does not fit"):
        verify(MESSAGE, stolen_name, namespace=STAGE_APPROVAL)


# -- the armour and the parts -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "does not begin with"),
        ("-----BEGIN PGP SIGNATURE-----\n", "does not begin with"),
        (f" {GOOD}", "does not begin with"),
        (f"\n{GOOD}", "does not begin with"),
        (f"\ufeff{GOOD}", "byte order mark"),
        (GOOD.replace("\n", "\r\n"), "CRLF"),
        (f"{GOOD}\n", "something follows"),
        (f"{GOOD}{GOOD}", "base64"),
        (GOOD.replace("END", "BEGIN"), "does not end with"),
        (GOOD.replace("\n", " \n", 2), "does not begin with"),
        (sshsig.BEGIN, "does not end with"),
        (f"{sshsig.BEGIN}\n{sshsig.END}\n", "cut off"),
        (GOOD + "x" * 20_000, "at most 16384"),
        (GOOD.replace("\n", "\n\n", 3), "empty line"),
        (outer(magic=b"SSHKEY"), "no SSHSIG"),
        (outer(version=2), "version 2"),
        (outer(version=0), "version 0"),
        (outer(reserved=b"x"), "reserved"),
        (outer(hash_name=b"sha1"), "'sha1'"),
        (outer(hash_name=b"md5"), "'md5'"),
        (outer(namespace=b""), "namespace"),
        (outer(namespace=b"a b"), "namespace"),
        (outer(after=b"\0"), "1 bytes too many"),
        (outer(inner=pack(b"ssh-ed25519", bytes(64), b"flags")), "9 bytes too many"),
        (outer(inner=pack(b"ssh-ed25519")), "cut off"),
        (outer(inner=pack(b"ssh-rsa", bytes(64))), "does not fit a key of type ssh-ed25519"),
        (
            outer(key=pack(b"sk-ssh-ed448@openssh.com", bytes(32), b"ssh:")),
            "FIDO key of a kind that is not taken",
        ),
        (outer(key=pack(b"ssh-ed25519-cert-v01@openssh.com", bytes(32))), "certificates"),
        (outer(key=pack(b"ssh-dss", bytes(32))), "DSA"),
        (outer(key=KEY.blob + b"\0"), "too many"),
    ],
)
def test_malformed(text: str, says: str) -> None:
    with pytest.raises(BadSignatureFile) as caught:
        parse(text)
    assert says in caught.value.message
    assert caught.value.location == "signature"
    with pytest.raises(SignatureFinding) as again:
        verify(MESSAGE, text, namespace=STAGE_APPROVAL)
    assert again.value.message == caught.value.message


@pytest.mark.parametrize("length", [0, 63, 65])
def test_ed25519_of_another_length(length: int) -> None:
    with pytest.raises(SignatureFinding, match="64 bytes"):
        verify(MESSAGE, outer(inner=pack(b"ssh-ed25519", bytes(length))), namespace=STAGE_APPROVAL)


def test_ed25519_with_s_beyond_the_order_is_refused() -> None:
    raw = parse(GOOD).signature
    order = 2**252 + 27742317777372353535851937790883648493
    twin = raw[:32] + (int.from_bytes(raw[32:], "little") + order).to_bytes(32, "little")
    with pytest.raises(SignatureFinding, match="does not fit"):
        verify(MESSAGE, outer(inner=pack(b"ssh-ed25519", twin)), namespace=STAGE_APPROVAL)


RSA_PRIVATE = rsa.generate_private_key(65537, 3072)


@pytest.mark.parametrize(
    ("algorithm", "hash_", "says"),
    [
        ("ssh-rsa", hashes.SHA1(), "SHA-1"),
        ("rsa-sha2-512", hashes.SHA256(), "does not fit the text"),
        ("rsa-sha2-384", hashes.SHA384(), "does not fit a key"),
        ("ssh-ed25519", hashes.SHA512(), "does not fit a key"),
    ],
)
def test_rsa_with_anything_but_sha2(algorithm: str, hash_: hashes.HashAlgorithm, says: str) -> None:
    raw = RSA_PRIVATE.sign(signed_blob(MESSAGE, namespace=STAGE_APPROVAL), padding.PKCS1v15(), hash_)
    text = armour(public(RSA_PRIVATE), namespace=STAGE_APPROVAL, algorithm=algorithm, signature=raw)
    with pytest.raises(SignatureFinding, match=says):
        verify(MESSAGE, text, namespace=STAGE_APPROVAL)


def test_rsa_pss_and_short_signatures_are_refused() -> None:
    blob, key = signed_blob(MESSAGE, namespace=STAGE_APPROVAL), public(RSA_PRIVATE)
    pss = RSA_PRIVATE.sign(blob, padding.PSS(padding.MGF1(hashes.SHA512()), 64), hashes.SHA512())
    for raw, says in (
        (pss, "does not fit the text"),
        (pss[1:], "as long as its key"),
        (b"", "as long as its key"),
    ):
        text = armour(key, namespace=STAGE_APPROVAL, algorithm="rsa-sha2-512", signature=raw)
        with pytest.raises(SignatureFinding, match=says):
            verify(MESSAGE, text, namespace=STAGE_APPROVAL)


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "cut off"),
        (pack(b"\x01"), "cut off"),
        (pack(b"", b"\x01"), "canonical"),
        (pack(b"\x00", b"\x01"), "canonical"),
        (pack(b"\x00\x01", b"\x01"), "canonical"),
        (pack(b"\xff", b"\x01"), "canonical"),
        (pack(b"\x01", b"\x01", b"\x01"), "too many"),
        (pack(b"\x01", b"\x01"), "does not fit"),
        (pack(b"\x01" * 100, b"\x01"), "does not fit"),
    ],
)
def test_ecdsa_wire(raw: bytes, says: str) -> None:
    key = public(ec.derive_private_key(4711, ec.SECP256R1()))
    text = armour(key, namespace=STAGE_APPROVAL, algorithm=key.type, signature=raw)
    with pytest.raises(SignatureFinding, match=says):
        verify(MESSAGE, text, namespace=STAGE_APPROVAL)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_no_other_error_leaks(blob: bytes) -> None:
    for text in (wrap(blob), wrap(b"SSHSIG\0\0\0\1" + blob), blob.decode("latin-1")):
        with pytest.raises(SignatureFinding):
            verify(MESSAGE, text, namespace=STAGE_APPROVAL)
    with pytest.raises(BadSignatureFile):
        normalise(blob)


# -- signature files as they come by mail -----------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        GOOD.encode(),
        GOOD.replace("\n", "\r\n").encode(),
        b"\xef\xbb\xbf" + GOOD.encode(),
        b"\n\r\n" + GOOD.encode() + b"\r\n \n",
        GOOD.rstrip().encode(),
        wrap(base64.b64decode("".join(GOOD.split("\n")[1:-2])), 64).encode(),
    ],
)
def test_normalise_gives_the_one_spelling(data: bytes) -> None:
    assert normalise(data) == GOOD


@pytest.mark.parametrize("data", [b"\xff\xfe\x00", b"x" * 40_000, b"Dear all,\n" + GOOD.encode(), b""])
def test_normalise_refuses_the_rest(data: bytes) -> None:
    with pytest.raises(BadSignatureFile):
        normalise(data)


# -- ssh-keygen -------------------------------------------------------------------------------------------


def keygen_key(folder: Path, kind: list[str]) -> Path:
    subprocess.run([KEYGEN, "-q", "-t", *kind, "-N", "", "-f", folder / "key"], check=True)
    return folder / "key"


def keygen_sign(key: Path, message: bytes, hash_name: str) -> str:
    command: list[str | Path] = [
        KEYGEN,
        "-Y",
        "sign",
        "-n",
        STAGE_APPROVAL,
        "-O",
        f"hashalg={hash_name}",
        "-f",
        key,
    ]
    return subprocess.run(command, input=message, check=True, capture_output=True).stdout.decode()


def keygen_verifies(folder: Path, key: PublicKey, message: bytes, text: str) -> bool:
    (folder / "allowed").write_text(f'ada@example.org namespaces="{STAGE_APPROVAL}" {key.line()}\n')
    (folder / "message.sig").write_text(text)
    command: list[str | Path] = [
        KEYGEN,
        "-Y",
        "verify",
        "-f",
        folder / "allowed",
        "-I",
        "ada@example.org",
        "-n",
        STAGE_APPROVAL,
    ]
    done = subprocess.run([*command, "-s", folder / "message.sig"], input=message, check=False, capture_output=True)
    return done.returncode == 0
