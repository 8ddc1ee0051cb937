"""The programs that are measured beside: gto, dvc, mlflow from PyPI in an environment of their own; b3sum, openssl.

What each needs before it can be timed (a repository with ten versions, a store with ten versions) is made here.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from timing import call, environment

FROM_PYPI = ("gto", "dvc", "mlflow")
FROM_SYSTEM = ("b3sum", "openssl", "git")
HERE = Path(__file__).resolve().parent

#: So that nothing of a person's own set-up counts, and nothing calls home in the middle of a measurement.
QUIET = {
    "DVC_NO_ANALYTICS": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
_PERSON = {
    "GIT_AUTHOR_NAME": "Mira",
    "GIT_AUTHOR_EMAIL": "mira@example.org",
    "GIT_COMMITTER_NAME": "Mira",
    "GIT_COMMITTER_EMAIL": "mira@example.org",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Peers:
    """Where the peers' environment lies, and what is missing on this machine."""

    directory: Path
    missing: tuple[str, ...]

    @property
    def installed(self) -> bool:
        """Tell whether those from PyPI are there."""
        return (self.directory / "bin" / "mlflow").exists()

    def program(self, name: str) -> str:
        """Return the path of a peer's program."""
        return str(self.directory / "bin" / name)

    def versions(self) -> dict[str, str]:
        """Return which versions are measured."""
        versions = {}
        if self.installed:
            listed = call([self.program("python"), "-m", "pip", "list", "--format=freeze"], cwd=HERE)
            found = dict(line.split("==", 1) for line in listed.splitlines() if "==" in line)
            versions = {name: found[name] for name in FROM_PYPI}
        for name, option in (("b3sum", "--version"), ("openssl", "version"), ("git", "--version")):
            if name not in self.missing:
                versions[name] = next(word for word in call([name, option], cwd=HERE).split() if word[0].isdigit())
        return versions


def install(directory: Path, *, wanted: bool) -> Peers:
    """Make the environment in ``directory`` when it is ``wanted`` and not there; that needs the network."""
    missing = tuple(name for name in FROM_SYSTEM if shutil.which(name) is None)
    peers = Peers(directory=directory, missing=missing)
    if wanted and not peers.installed:
        print(f"installing {', '.join(FROM_PYPI)} into {directory} (once; some minutes)", file=sys.stderr)
        venv.create(directory, with_pip=True)
        call([str(directory / "bin" / "python"), "-m", "pip", "install", "-q", *FROM_PYPI], cwd=directory)
    return peers


def gto_repository(peers: Peers, directory: Path) -> Path:
    """Make a git repository in which gto knows ten versions of a model, one of them in production."""
    if directory.exists():
        return directory
    directory.mkdir()
    env = {**QUIET, **_PERSON}
    call(["git", "init", "-q", "."], cwd=directory, env=env)
    for number in range(1, 11):
        (directory / "model.txt").write_text(f"{number}\n", encoding="utf-8")
        call(["git", "add", "model.txt"], cwd=directory, env=env)
        call(["git", "commit", "-q", "-m", f"version {number}"], cwd=directory, env=env)
        call(
            [peers.program("gto"), "register", "credit-scorecard", "--version", f"v1.0.{number}"],
            cwd=directory,
            env=env,
        )
    call(
        [peers.program("gto"), "assign", "credit-scorecard", "--version", "v1.0.5", "--stage", "production"],
        cwd=directory,
        env=env,
    )
    return directory


def mlflow_store(peers: Peers, directory: Path) -> str:
    """Make a local MLflow store with ten versions; return its address."""
    uri = f"sqlite:///{directory / 'mlflow.db'}"
    if directory.exists():
        return uri
    directory.mkdir()
    call([peers.program("python"), str(HERE / "mlflow_lookup.py"), "make", uri], cwd=directory, env=QUIET)
    return uri


@contextmanager
def mlflow_server(peers: Peers, directory: Path) -> Iterator[str]:
    """Start MLflow's server on loopback, SQLite and proxied artefacts; yield its address."""
    directory.mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = [peers.program("mlflow"), "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    words += ["--backend-store-uri", f"sqlite:///{directory / 'mlflow.db'}"]
    words += ["--artifacts-destination", str(directory / "artefacts")]
    uri = f"http://127.0.0.1:{port}"
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            words, cwd=directory, env=environment(QUIET), stdout=log, stderr=log, start_new_session=True
        )
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{uri}/health", timeout=2).close()
                break
            except OSError:
                time.sleep(0.1)
        yield uri
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def dvc_repository(peers: Peers, directory: Path, source: Path) -> None:
    """Make a fresh DVC repository in ``directory`` with a copy of ``source`` in it, named big.bin."""
    directory.mkdir()
    call([peers.program("dvc"), "init", "-q", "--no-scm"], cwd=directory, env=QUIET)
    call([peers.program("dvc"), "config", "core.analytics", "false"], cwd=directory, env=QUIET)
    call([peers.program("dvc"), "config", "core.check_update", "false"], cwd=directory, env=QUIET)
    call(["cp", str(source), str(directory / "big.bin")], cwd=directory)
