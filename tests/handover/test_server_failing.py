"""A server that does not answer, or sends us elsewhere: why, and what to do, told without a word of what it said."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest

from manual_registry.adapters.mlflow import failing
from manual_registry.adapters.mlflow.server import library
from manual_registry.core.errors import BadTrackingAddress, RegistryError, ServerDown, ToolMissing

_POOL = (
    "API request to https://h/version failed with exception HTTPSConnectionPool(host='h', port=1): Max retries exceeded"
)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (f"{_POOL} (Caused by SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] …')))", "REQUESTS_CA_BUNDLE"),
        (f"{_POOL} (Caused by SSLError(SSLError(1, '[SSL: WRONG_VERSION_NUMBER] wrong version number')))", "try http://"),
        (f"{_POOL} (Caused by ProtocolError('Connection aborted.', ConnectionResetError(104, 'reset')))", "try https://"),
        ("400 The plain HTTP request was sent to HTTPS port", "try https://"),
        (f"{_POOL} (Caused by NameResolutionError(\"Failed to resolve 'h'\"))", "name is not known"),
        (f"{_POOL} (Caused by NewConnectionError('[Errno 111] Connection refused'))", "nobody listens"),
        (f"{_POOL} (Caused by ResponseError('too many 500 error responses'))", "500"),
        (f"{_POOL} (Caused by ResponseError('too many 429 error responses'))", "429"),
        ("API request to http://h failed with timeout exception Read timed out.", "in time"),
        ("who knows", ""),
    ],
)  # fmt: skip
def test_why_a_server_does_not_answer(said: str, why: str) -> None:
    found = failing.of_text(said)
    assert why in found
    assert bool(why) == bool(found)


@contextmanager
def answering(status: int, location: str = "", body: bytes = b"") -> Iterator[str]:
    """Run a server that gives one answer to everything; yields its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            at_home = self.path.startswith("/there")
            self.send_response(200 if at_home else status)
            if location and not at_home:
                self.send_header("Location", f"{location}/there{self.path}?secret=1")
            self.end_headers()
            self.wfile.write(b"3.17.2" if at_home else body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def refused(address: str) -> RegistryError:
    """Connect, and return why not."""
    from manual_registry.adapters.mlflow import server

    with pytest.raises(RegistryError) as caught:
        server.connect(address)
    return caught.value


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_redirect_is_told_with_the_new_address() -> None:
    with answering(200) as there:
        for status in (301, 302):
            with answering(status, location=there.replace("://", "://user:hunter2@")) as address:
                found = refused(address)
                assert isinstance(found, BadTrackingAddress)
                assert found.hint == f"--tracking-uri {there}/there"
                assert "hunter2" not in found.message + str(found.hint)
                assert "secret" not in found.message


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_server_that_fails_says_with_what() -> None:
    for status, word in ((500, "with 500"), (429, "too many requests"), (503, "answers 503")):
        with answering(status) as address:
            found = refused(address)
            assert isinstance(found, ServerDown)
            assert word in found.message
    with answering(400, body=b"The plain HTTP request was sent to HTTPS port") as address:
        assert "https://" in refused(address).message
    with answering(200, body=b"{}") as address:
        assert "not as an MLflow server" in refused(address).message


@pytest.mark.parametrize("version", ["2.22.5", "3.0.1", "3.0.0rc1", "1"])
def test_a_client_that_is_too_old_is_told(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", SimpleNamespace(__version__=version))
    with pytest.raises(ToolMissing, match=f"client is {version} here, and 3.1 is the oldest"):
        library()


def test_a_client_that_cannot_be_loaded_is_not_called_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(ToolMissing, match="not installed"):
        library()
    (tmp_path / "mlflow.py").write_text("from os import no_such_thing\n")
    monkeypatch.delitem(sys.modules, "mlflow")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ToolMissing, match=r"cannot be loaded: .*no_such_thing"):
        library()
