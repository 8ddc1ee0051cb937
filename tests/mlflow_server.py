"""A real `mlflow server` on loopback for the tests, and a proxy before it that counts, refuses, changes and cuts off."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

#: Requests that read although they are POSTs.
_READS = ("search", "get-latest", "batch-get")


@dataclass
class MlflowServer:
    """A server process; ``artefacts`` is where it keeps the files."""

    process: subprocess.Popen[bytes]
    port: int
    artefacts: Path

    @property
    def uri(self) -> str:
        """The address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def version(self) -> str:
        """Its version."""
        with urllib.request.urlopen(f"{self.uri}/version", timeout=10) as answer:
            return str(answer.read().decode())

    def client(self):  # type: ignore[no-untyped-def]
        """MLflow's own client."""
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        import mlflow

        return mlflow.MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(
    place: Path, *, store: str | None = None, serves: bool = True, root: str | None = None
) -> Iterator[MlflowServer]:
    """Start a server with its files below ``place``; ``store`` is another database than SQLite.

    ``serves`` False: it names its directory to clients instead of handing files through; ``root``: that address.
    """
    port, artefacts = free_port(), place / "artefacts"
    artefacts.mkdir(parents=True)
    words = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    words += ["--backend-store-uri", store or f"sqlite:///{place}/mlflow.db"]
    if serves and root is None:
        words += ["--artifacts-destination", str(artefacts)]
    else:
        words += ["--no-serve-artifacts", "--default-artifact-root", root or str(artefacts)]
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (place / "server.log").open("wb") as log:
        process = subprocess.Popen(
            words, stdout=log, stderr=log, env=environment, cwd=place, start_new_session=True, stdin=subprocess.DEVNULL
        )
    server = MlflowServer(process=process, port=port, artefacts=artefacts)
    try:
        _await(server, place / "server.log")
        yield server
    finally:
        stop(process)


def _await(server: MlflowServer, log: Path) -> None:
    until = time.monotonic() + 120
    while True:
        try:
            with urllib.request.urlopen(f"{server.uri}/health", timeout=2):
                return
        except OSError:
            if server.process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(log.read_text(errors="replace")[-3000:]) from None
            time.sleep(0.1)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End the server and its workers, which are a process group of their own."""
    import signal

    try:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)
    except ProcessLookupError:
        pass


@dataclass
class Proxy:
    """Forwards to a server. ``before`` and ``after`` are called with (number, method, path) around each request.

    ``before`` may return a (status, body) that is answered instead. ``seen`` is every request that came.
    """

    target: int
    before: Callable[[int, str, str], tuple[int, bytes] | None] | None = None
    after: Callable[[int, str, str], None] | None = None
    seen: list[tuple[str, str]] = field(default_factory=list)
    port: int = 0

    @property
    def uri(self) -> str:
        """The address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def writes(self) -> list[tuple[str, str]]:
        """The requests that change something."""
        return [one for one in self.seen if one[0] != "GET" and not one[1].partition("?")[0].endswith(_READS)]


@contextmanager
def proxied(server: MlflowServer) -> Iterator[Proxy]:
    """Start a proxy before ``server``."""
    proxy = Proxy(target=server.port)
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _forward(self) -> None:
            with lock:
                proxy.seen.append((self.command, self.path))
                number = len(proxy.seen)
            answer = proxy.before(number, self.command, self.path) if proxy.before else None
            if answer is not None:
                self._answer(*answer)
                return
            self._pass_on()
            if proxy.after:
                proxy.after(number, self.command, self.path)

        def _answer(self, status: int, body: bytes) -> None:
            self.close_connection = True
            if status == 0:  # the server is gone
                self.connection.close()
                return
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)

        def _pass_on(self) -> None:
            # Closed also when the client goes away in the middle: a socket left to the garbage collector is an error of
            # whatever test runs by then.
            with closing(http.client.HTTPConnection("127.0.0.1", proxy.target, timeout=300)) as upstream:
                self._send(upstream)
                with closing(upstream.getresponse()) as found:
                    self._hand_back(found)

        def _send(self, upstream: http.client.HTTPConnection) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in ("connection", "accept-encoding"):
                    upstream.putheader(name, value)
            upstream.endheaders()
            while length > 0:
                chunk = self.rfile.read(min(length, 1 << 20))
                if not chunk:
                    break
                upstream.send(chunk)
                length -= len(chunk)

        def _hand_back(self, found: http.client.HTTPResponse) -> None:
            self.close_connection = True
            self.send_response(found.status)
            for name, value in found.getheaders():
                if name.lower() not in ("connection", "transfer-encoding", "server", "date"):
                    self.send_header(name, value)
            self.send_header("Connection", "close")
            self.end_headers()
            while chunk := found.read(1 << 20):
                self.wfile.write(chunk)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _forward

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """A client that went away is what is tested."""

    listener = Quiet(("127.0.0.1", 0), Handler)
    proxy.port = listener.server_address[1]
    thread = threading.Thread(target=listener.serve_forever, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        listener.shutdown()
        listener.server_close()
        thread.join()
