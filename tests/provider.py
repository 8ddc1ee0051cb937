"""An identity provider of a CI system as tests have it: keys, a key set, tokens true and false, and GitHub's token server."""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

GITHUB = "https://token.actions.githubusercontent.com"
GITLAB = "https://gitlab.example.org"
PINS = {
    GITHUB: {"repository_id": "7001", "environment": "production", "ref": "refs/heads/main", "ref_protected": "true"},
    GITLAB: {"project_id": "42", "ref": "main", "ref_type": "branch", "ref_protected": "true"},
}
_COUNT = iter(range(10**9))


def b64(data: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value: int) -> str:
    """Return a number as a JWK spells it."""
    return b64(value.to_bytes((value.bit_length() + 7) // 8, "big"))


@functools.cache
def rsa_key(name: str = "one", bits: int = 2048) -> rsa.RSAPrivateKey:
    """Return an RSA key, made once in a process."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


@functools.cache
def ec_key(name: str = "one") -> ec.EllipticCurvePrivateKey:
    """Return a P-256 key that follows from its name."""
    return ec.derive_private_key(int.from_bytes(hashlib.sha256(name.encode()).digest(), "big") >> 8, ec.SECP256R1())


@functools.cache
def ed_key(name: str = "one") -> Ed25519PrivateKey:
    """Return an Ed25519 key that follows from its name."""
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())


def jwk(private: Any, kid: str | None = "k1", **more: Any) -> dict[str, Any]:
    """Return the public half as a JWK."""
    public = private.public_key()
    found: dict[str, Any] = {"kid": kid} if kid is not None else {}
    match private:
        case rsa.RSAPrivateKey():
            numbers = public.public_numbers()
            found |= {"kty": "RSA", "n": number(numbers.n), "e": number(numbers.e)}
        case ec.EllipticCurvePrivateKey():
            numbers, size = public.public_numbers(), (private.key_size + 7) // 8
            x, y = (b64(one.to_bytes(size, "big")) for one in (numbers.x, numbers.y))
            found |= {"kty": "EC", "crv": f"P-{private.key_size}", "x": x, "y": y}
        case _:
            found |= {"kty": "OKP", "crv": "Ed25519", "x": b64(public.public_bytes_raw())}
    return {**found, **more}


def signed(private: Any, algorithm: str, text: str) -> bytes:
    """Return the signature of ``text`` in the form of JWS."""
    data = text.encode()
    match private:
        case rsa.RSAPrivateKey():
            hashed = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}[algorithm[2:]]()
            if algorithm.startswith("PS"):
                return private.sign(data, padding.PSS(padding.MGF1(hashed), hashed.digest_size), hashed)
            return private.sign(data, padding.PKCS1v15(), hashed)
        case ec.EllipticCurvePrivateKey():
            size = (private.key_size + 7) // 8
            r, s = decode_dss_signature(
                private.sign(data, ec.ECDSA(hashes.SHA256() if size == 32 else hashes.SHA384()))
            )
            return r.to_bytes(size, "big") + s.to_bytes(size, "big")
        case bytes():
            return hmac.digest(private, data, "sha256")
        case None:
            return b""
    made: bytes = private.sign(data)
    return made


def assembled(
    header: Mapping[str, Any] | bytes, claims: Mapping[str, Any] | bytes, private: Any, algorithm: str
) -> str:
    """Return a token of whatever header and claims (bytes: as they are)."""
    parts = [b64(one if isinstance(one, bytes) else json.dumps(one).encode()) for one in (header, claims)]
    text = ".".join(parts)
    return f"{text}.{b64(signed(private, algorithm, text))}"


@dataclass
class Provider:
    """GitHub or GitLab (by ``issuer``), for one registry. ``now`` is the time that tokens are issued at."""

    audience: str
    issuer: str = GITHUB
    private: Any = field(default_factory=ec_key)
    algorithm: str = "ES256"
    kid: str = "k1"
    lifetime: timedelta = timedelta(minutes=5)

    def key_set(self) -> dict[str, Any]:
        """Return what the provider shows at its jwks_uri."""
        return {"keys": [jwk(self.private, self.kid, use="sig", alg=self.algorithm)]}

    def enrolment(self) -> dict[str, Any]:
        """Return what the file of `pipeline add --oidc` says."""
        return {
            "issuer": self.issuer,
            "audience": self.audience,
            "algorithms": [self.algorithm],
            "claims": dict(PINS[self.issuer]),
        }

    def toml(self) -> str:
        """Return that file."""
        claims = ", ".join(f'{name} = "{value}"' for name, value in PINS[self.issuer].items())
        return (
            f'issuer = "{self.issuer}"\naudience = "{self.audience}"\nalgorithms = ["{self.algorithm}"]\n'
            f"claims = {{{claims}}}\n"
        )

    def claims(self, now: datetime, **changes: Any) -> dict[str, Any]:
        """Return the claims of a good token issued ``now``; None leaves one out."""
        second = int(now.timestamp())
        found = {
            "iss": self.issuer,
            "aud": self.audience,
            "sub": "repo:team/churn:environment:production",
            "jti": f"token-{next(_COUNT)}",
            "iat": second,
            "nbf": second,
            "exp": second + int(self.lifetime.total_seconds()),
            "run_id": "99",
            **PINS[self.issuer],
            **changes,
        }
        return {name: value for name, value in found.items() if value is not None}

    def token(self, now: datetime, *, header: Mapping[str, Any] | None = None, key: Any = ..., **changes: Any) -> str:
        """Return a token; ``header`` and ``changes`` alter it, ``key`` signs it instead."""
        head = {"typ": "JWT", "alg": self.algorithm, "kid": self.kid, **(header or {})}
        head = {name: value for name, value in head.items() if value is not None}
        private = self.private if key is ... else key
        return assembled(head, self.claims(now, **changes), private, str(head.get("alg", self.algorithm)))


@contextmanager
def github(provider: Provider, *, status: int = 200) -> Iterator[tuple[dict[str, str], list[str]]]:
    """Serve tokens as GitHub does to a job; gives the job's environment and the audiences that were asked for."""
    asked: list[str] = []

    class Server(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            audience = parse_qs(urlsplit(self.path).query).get("audience", [""])[0]
            good = self.headers.get("Authorization") == "bearer of-this-job" and status == 200
            asked.append(audience)
            body = json.dumps({"value": provider.token(datetime.now(UTC), aud=audience)}) if good else "no"
            self.send_response(status if status != 200 or good else 401)
            if status in (301, 302):
                self.send_header("Location", self.path)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_arguments: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield (
            {
                "CI": "true",
                "GITHUB_ACTIONS": "true",
                "ACTIONS_ID_TOKEN_REQUEST_URL": f"http://127.0.0.1:{server.server_port}/token?api-version=2.0",
                "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "of-this-job",
            },
            asked,
        )
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
