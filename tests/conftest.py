"""Every test has a machine of its own: its memory and its index lie in the test's temporary directory."""

from __future__ import annotations

import itertools
import os
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import prebuilt
import pytest
from hypothesis import HealthCheck, settings

# Machines are shared: how long one example took says something about the neighbours, nothing about a law.
# In CI a run says the same as the run before it; elsewhere every run looks at new examples.
settings.register_profile(
    "laws", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=bool(os.environ.get("CI"))
)
settings.load_profile("laws")

# A shell starts its background jobs with Ctrl-C ignored, and programs hand that on to theirs: tests that press it ...
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ... start from what a terminal gives

#: What a CI system or a person's shell sets and a test must not inherit.
_FOREIGN = (
    "CI", "GITHUB_ACTIONS", "GITLAB_CI", "TF_BUILD", "JENKINS_URL", "MANUAL_REGISTRY", "MANUAL_REGISTRY_PIPELINE_KEY",
    "SSH_AUTH_SOCK",
)  # fmt: skip


_NUMBERS = itertools.count(1)


@pytest.fixture
def tmp_path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """pytest's own, numbered by counting: pytest lists the thousands that are there already, for each new one."""
    name = re.sub(r"\W", "_", request.node.name)[:30]
    place = tmp_path_factory.getbasetemp() / f"{name}{next(_NUMBERS)}"
    place.mkdir(mode=0o700)
    return place


@pytest.fixture(autouse=True)
def own_machine(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Isolate the machine's memory, the index and git's configuration."""
    base = tmp_path_factory.getbasetemp()
    place = base / "machines" / str(next(_NUMBERS))
    place.mkdir(parents=True, mode=0o700)
    monkeypatch.setenv("MANUAL_REGISTRY_STATE", str(place / "state"))
    monkeypatch.setenv("MANUAL_REGISTRY_CACHE", str(place / "cache"))
    for name in _FOREIGN:
        monkeypatch.delenv(name, raising=False)
    if sys.dont_write_bytecode:  # then every program that a test starts would compile the whole package anew
        monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
        monkeypatch.setenv("PYTHONPYCACHEPREFIX", str(base / "pycache"))
    prebuilt.begin(monkeypatch, place, base / "prebuilt")
    yield place
    prebuilt.end()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call() -> None:
    """Fixtures may copy prebuilt registries; the test's own body does what it says."""
    prebuilt.body()
