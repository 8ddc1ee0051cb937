"""Public keys: one spelling each, every other thing refused with help and without an echo."""

from __future__ import annotations

import base64
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from manual_registry.core import sshkeys
from manual_registry.core.errors import BadKey
from manual_registry.core.sshkeys import PublicKey, parse_blob, parse_public_key
from manual_registry.core.sshwire import mpint, pack

KEYGEN = shutil.which("ssh-keygen")
needs_keygen = pytest.mark.skipif(KEYGEN is None, reason="ssh-keygen is not installed")


def openssh(key: ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey | rsa.RSAPublicKey) -> str:
    return key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


ED = openssh(ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32))).public_key())
EC = {
    size: openssh(ec.derive_private_key(4711, curve).public_key())
    for size, curve in ((256, ec.SECP256R1()), (384, ec.SECP384R1()), (521, ec.SECP521R1()))
}


def line(*parts: bytes) -> str:
    return f"{parts[0].decode()} {base64.b64encode(pack(*parts)).decode()}"


def rsa_line(bits: int, exponent: int = 65537) -> str:
    return line(b"ssh-rsa", mpint(exponent), mpint((1 << bits - 1) + 1))


@pytest.mark.parametrize("text", [ED, *EC.values(), rsa_line(3072), rsa_line(16_384)])
def test_round_trip(text: str) -> None:
    key = parse_public_key(f"  {text}   Ada's key, 2026 \n")
    assert key.line() == text
    assert key.comment == "Ada's key, 2026"
    assert parse_public_key(key.line()) == key == parse_blob(key.blob)
    assert hash(parse_public_key(text)) == hash(key)


@needs_keygen
@pytest.mark.parametrize("kind", [["ed25519"], ["ecdsa", "-b", "256"], ["ecdsa", "-b", "521"], ["rsa", "-b", "3072"]])
def test_fingerprint_is_that_of_ssh_keygen(kind: list[str], tmp_path: Path) -> None:
    path = tmp_path / "key"
    subprocess.run([KEYGEN or "", "-q", "-t", *kind, "-N", "", "-C", "a b", "-f", path], check=True)
    told = subprocess.run([KEYGEN or "", "-lf", f"{path}.pub"], check=True, capture_output=True, text=True).stdout
    key = parse_public_key((tmp_path / "key.pub").read_text())
    assert told.split()[1] == key.fingerprint
    assert key.comment == "a b"


def test_two_keys_differ() -> None:
    assert len({parse_public_key(text) for text in (ED, *EC.values())}) == 4


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        ("\n \n", "empty"),
        (f"{ED}\n{ED}", "2 lines"),
        (f"{ED}\nsomething", "2 lines"),
        ("ssh-ed25519", "missing"),
        (f"ssh-rsa {ED.split()[1]}", "the key inside is ssh-ed25519"),
        (f"{EC[256].replace('nistp256', 'nistp384', 1)}", "the key inside is ecdsa-sha2-nistp256"),
        (f'command="x" {ED}', "options"),
        (f"cert-authority {ED}", "options"),
        (f"ada@example.org {ED}", "options"),
        (f"ssh-ed25519-cert-v01@openssh.com {ED.split()[1]}", "certificates"),
        (f"ssh-dss {ED.split()[1]}", "DSA"),
        (f"sk-ssh-ed25519@openssh.com {ED.split()[1]}", "the key inside is ssh-ed25519"),
        (f"sk-ecdsa-sha2-nistp256@openssh.com {ED.split()[1]}", "the key inside is ssh-ed25519"),
        ("SHA256:q29yZSBibGltZXkgZ3Vub3IgZ3Vub3IgZ3Vub3IgZ3Vu", "fingerprint"),
        ("---- BEGIN SSH2 PUBLIC KEY ----\nAAAA\n---- END SSH2 PUBLIC KEY ----", "RFC 4716"),
        ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "PEM"),
        ("-----BEGIN RSA PUBLIC KEY-----\nAAAA\n-----END RSA PUBLIC KEY-----", "PEM"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "X.509"),
        (f"{ED}=", "base64"),
        (f"{ED[:-3]}", "base64"),
        (f"{ED[:40]}\u00e4{ED[41:]}", "base64"),
        (f"{ED} a\x1b[2Jb", "control character"),
        (rsa_line(2048), "2048 bits; at least 3072"),
        (rsa_line(3071), "3071 bits; at least 3072"),
        (rsa_line(16_385), "at most 16384"),
        (rsa_line(3072, 1), "exponent"),
        (rsa_line(3072, 4), "exponent"),
        ("x" * 20_000, "20000 characters"),
    ],
)
def test_refused_with_the_reason(text: str, says: str) -> None:
    with pytest.raises(BadKey) as caught:
        parse_public_key(text, where="lead key")
    assert says in caught.value.message
    assert caught.value.message.startswith("lead key: ")
    assert caught.value.location == "lead key"


@pytest.mark.parametrize(
    "text",
    [
        "-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0LXNlY3JldA==\n-----END OPENSSH PRIVATE KEY-----\n",
        "-----BEGIN PRIVATE KEY-----\nc2VjcmV0LXNlY3JldA==\n-----END PRIVATE KEY-----\n",
        "-----BEGIN RSA PRIVATE KEY-----\nc2VjcmV0LXNlY3JldA==\n-----END RSA PRIVATE KEY-----\n",
        "PuTTY-User-Key-File-3: ssh-ed25519\nPrivate-Lines: 1\nc2VjcmV0LXNlY3JldA==\n",
        "c2VjcmV0LXNlY3JldA==",
        "password c2VjcmV0LXNlY3JldA==",
    ],
)
def test_a_secret_handed_in_by_mistake_is_not_echoed(text: str) -> None:
    with pytest.raises(BadKey) as caught:
        parse_public_key(text)
    assert "c2VjcmV0" not in f"{caught.value.message}{caught.value.hint}{caught.value.details}"
    assert caught.value.hint


@pytest.mark.parametrize(
    "raw",
    [
        line(b"ssh-ed25519", b"\x05" * 31),
        line(b"ssh-ed25519", b"\x05" * 33),
        line(b"ssh-ed25519", bytes.fromhex("f0" + "ff" * 30 + "7f")),  # 2^255-16: a second spelling of 3
        line(b"ssh-ed25519", parse_blob(parse_public_key(ED).blob).blob[-32:], b"more"),
        line(b"ssh-ed25519", (2).to_bytes(32, "little")),  # no point of the curve
        line(b"ssh-rsa", b"\x00\x01\x00\x01", mpint((1 << 3071) + 1)),
        line(b"ssh-rsa", mpint(65537), b"\x00" + mpint((1 << 3071) + 1)),
        line(b"ssh-rsa", mpint(65537), mpint((1 << 3071) + 1)[1:]),  # negative
        line(b"ssh-rsa", b"", mpint((1 << 3071) + 1)),
        line(b"ssh-rsa", mpint(65537), mpint(1 << 3071)),
        line(b"ecdsa-sha2-nistp256", b"nistp384", b"\x04" + b"\x01" * 96),
        line(b"ecdsa-sha2-nistp256", b"nistp256", b"\x04" + b"\x01" * 64),
        line(b"ecdsa-sha2-nistp256", b"nistp256", b"\x02" + b"\x01" * 32),
        line(b"ecdsa-sha2-nistp256", b"nistp256", b"\x00"),
    ],
)
def test_malformed_or_second_spelling(raw: str) -> None:
    with pytest.raises(BadKey):
        parse_public_key(raw)


def test_noncanonical_base64_is_refused() -> None:
    kind, body = EC[256].split()
    assert body.endswith("=")
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    other = (
        body.rstrip("=")[:-1] + last[last.index(body.rstrip("=")[-1]) ^ 1] + "=" * (len(body) - len(body.rstrip("=")))
    )
    assert base64.b64decode(other) == base64.b64decode(body)
    with pytest.raises(BadKey, match="canonical"):
        parse_public_key(f"{kind} {other}")


def test_keys_with_which_anybody_could_sign_are_refused() -> None:
    p, d = sshkeys._P25519, sshkeys._D25519
    for y in sshkeys._SMALL_ORDER:
        for sign in (0, 1 << 255):
            with pytest.raises(BadKey, match="anybody"):
                parse_public_key(line(b"ssh-ed25519", (y | sign).to_bytes(32, "little")))
    # Order eight: doubling gives y = 0, hence x^2 = -y^2, hence d*y^4 + 2*y^2 = 1.
    eights = [y for y in sshkeys._SMALL_ORDER if (d * y**4 + 2 * y * y - 1) % p == 0]
    assert len(eights) == 2


def test_a_zero_key_would_verify_a_zero_signature() -> None:
    """Why the refusal above matters: OpenSSL itself accepts such a key."""
    key = ed25519.Ed25519PublicKey.from_public_bytes((1).to_bytes(32, "little"))
    key.verify((1).to_bytes(32, "little") + bytes(32), b"whatever anybody likes")


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_parse_blob_never_leaks_another_error(blob: bytes) -> None:
    with pytest.raises(BadKey):
        parse_blob(blob)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200))
def test_parse_never_leaks_another_error(text: str) -> None:
    with pytest.raises(BadKey):
        parse_public_key(text)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 255))
def test_what_parses_is_the_one_spelling(at: int, flip: int) -> None:
    blob = bytearray(parse_public_key(rsa_line(3072)).blob)
    blob[at % len(blob)] ^= flip
    try:
        key = parse_blob(bytes(blob))
    except BadKey:
        return
    assert key.blob == bytes(blob)
    assert parse_public_key(key.line()) == key


@settings(deadline=None)
@given(st.integers(0, 2**600))
def test_mpint_is_canonical(value: int) -> None:
    raw = mpint(value)
    assert int.from_bytes(raw, "big", signed=True) == value
    assert len(raw) == (value.bit_length() // 8 + 1 if value else 0)


@pytest.mark.parametrize(("text", "fido"), [(ED, False), ("sk-ssh-ed25519@openssh.com AA", True)])
def test_is_fido(text: str, fido: bool) -> None:
    assert sshkeys.is_fido(text) is fido


def test_public_key_is_a_value() -> None:
    key = parse_public_key(ED)
    assert key == PublicKey(type=key.type, blob=key.blob, comment="another comment")
