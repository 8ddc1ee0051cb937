"""Every test has a machine of its own: its memory and its index lie in the test's temporary directory."""

from __future__ import annotations

import os
import signal
from pathlib import Path

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


@pytest.fixture(autouse=True)
def own_machine(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Isolate the machine's memory, the index and git's configuration."""
    place = tmp_path_factory.mktemp("machine")
    monkeypatch.setenv("MANUAL_REGISTRY_STATE", str(place / "state"))
    monkeypatch.setenv("MANUAL_REGISTRY_CACHE", str(place / "cache"))
    for name in _FOREIGN:
        monkeypatch.delenv(name, raising=False)
    return place
