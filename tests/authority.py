"""A time-stamping authority on this machine: certificates made here, answers by ``openssl ts``, served over HTTP.

``answer`` may be replaced to misbehave.
"""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

OPENSSL = shutil.which("openssl")

_CONFIG = """
[tsa]
default_tsa = own
[own]
serial = {place}/serial
crypto_device = builtin
signer_cert = {place}/tsa.pem
certs = {place}/root.pem
signer_key = {place}/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha384, sha512
accuracy = secs:1
ess_cert_id_alg = sha256
"""


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


@dataclass
class Authority:
    """An authority below ``place``; ``days`` is how long its certificate holds, from ``since`` days ago."""

    place: Path
    name: str = "Test Time"
    since: int = 1
    days: int = 30
    answer: Callable[[bytes], tuple[int, bytes]] | None = None
    asked: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Make root, certificate and key."""
        self.place.mkdir(parents=True, exist_ok=True)
        begin = datetime.now(UTC) - timedelta(days=self.since)
        root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        root = (
            x509.CertificateBuilder()
            .subject_name(_name(f"{self.name} Root"))
            .issuer_name(_name(f"{self.name} Root"))
            .public_key(root_key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(begin + timedelta(days=3650))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(root_key, hashes.SHA256())
        )
        leaf = (
            x509.CertificateBuilder()
            .subject_name(_name(self.name))
            .issuer_name(root.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(begin + timedelta(days=self.days))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True)
            .sign(root_key, hashes.SHA256())
        )
        for name, certificate in (("root.pem", root), ("tsa.pem", leaf)):
            (self.place / name).write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        plain = serialization.NoEncryption()
        pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
        (self.place / "tsa.key").write_bytes(pem)
        (self.place / "openssl.cnf").write_text(_CONFIG.format(place=self.place))
        (self.place / "serial").write_text("01\n")

    @property
    def roots(self) -> Path:
        """The root certificate."""
        return self.place / "root.pem"

    def reply(self, query: bytes) -> bytes:
        """Answer a query as an honest authority does."""
        (self.place / "query").write_bytes(query)
        subprocess.run(
            [OPENSSL or "openssl", "ts", "-reply", "-config", "openssl.cnf", "-queryfile", "query", "-out", "reply"],
            cwd=self.place,
            check=True,
            capture_output=True,
        )
        return (self.place / "reply").read_bytes()

    @contextmanager
    def serving(self) -> Iterator[str]:
        """Serve over HTTP; yields the address."""
        authority = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                query = self.rfile.read(int(self.headers["Content-Length"]))
                authority.asked.append(query)
                status, body = authority.answer(query) if authority.answer else (200, authority.reply(query))
                self.send_response(status)
                self.send_header("Content-Type", "application/timestamp-reply")
                self.send_header("Content-Length", str(len(body)))
                if status in (301, 302):
                    self.send_header("Location", "http://127.0.0.1:9/")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Keep quiet."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            thread = threading.Thread(target=server.serve_forever, daemon=True)
            thread.start()
            try:
                yield f"http://127.0.0.1:{server.server_port}/"
            finally:
                server.shutdown()
                thread.join()
