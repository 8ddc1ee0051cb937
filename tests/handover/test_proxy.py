"""The tests' own proxy: what a client leaves behind must not fail whatever test runs when it is collected."""

from __future__ import annotations

import gc
import socket
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

from mlflow_server import proxied

_LENGTH = 64 << 20


class _Endless(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keeps its connection, as MLflow's server does

    def do_GET(self) -> None:
        """Answer with more than fits into the buffers between."""
        self.send_response(200)
        self.send_header("Content-Length", str(_LENGTH))
        self.end_headers()
        for _ in range(_LENGTH >> 20):
            self.wfile.write(bytes(1 << 20))

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _Waiting(ThreadingHTTPServer):
    daemon_threads = False  # server_close waits for the threads

    def handle_error(self, *_: object) -> None:
        """The client that goes away is what is tested."""


@contextmanager
def _server() -> Iterator[int]:
    with _Waiting(("127.0.0.1", 0), _Endless) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_a_client_that_goes_away_leaves_no_open_socket() -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        with (
            _server() as port,
            proxied(SimpleNamespace(port=port)) as proxy,
            socket.create_connection(("127.0.0.1", proxy.port)) as client,
        ):
            client.sendall(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
            client.recv(1000)
        gc.collect()
    assert [str(one.message) for one in told if issubclass(one.category, ResourceWarning)] == []
