"""A registry with people, keys and versions, for tests: the shortest way to any point of a version's life."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import prebuilt

from manual_registry.adapters.keys import generate_ed25519
from manual_registry.core.results import Result
from manual_registry.registry import Registry

SME = "sme@example.org"
LEAD = "lead@example.org"
LEAD2 = "lead2@example.org"
CARD = {
    "architecture": "logistic regression",
    "training_data": "a table",
    "intended_use": "tests",
    "limitations": "it is a test",
    "failure_modes": "none known",
    "ethical_considerations": "none",
}


def gate(
    name: str, *, value: float = 0.9, lower: float = 0.85, threshold: float = 0.8, passed: bool = True
) -> dict[str, Any]:
    """Return a gate report."""
    return {
        "gate": name,
        "passed": passed,
        "evaluation_dataset": "holdout",
        "evaluated_at": "2026-01-02",
        "metrics": [
            {
                "name": f"{name}_score",
                "value": value,
                "lower": lower,
                "upper": 0.95,
                "threshold": threshold,
                "direction": "higher",
            }
        ],
    }


@dataclass
class World:
    """A registry below ``place`` and everything around it. ``now`` may be moved; None: the real clock."""

    place: Path
    risk: str = "high"
    now: datetime | None = None
    leads: tuple[str, ...] = (LEAD, LEAD2)
    pipelines: tuple[str, ...] = ("ci",)
    model: str = "churn"
    made: list[str] = field(default_factory=list)
    steps: str | None = field(default=None, init=False, repr=False)  # how it came to be; None: others had a hand in it
    seen: list[tuple[str, int, int]] = field(default_factory=list, init=False, repr=False)  # its files after them

    def __post_init__(self) -> None:
        """Make the registry, the keys, the roster (or copy them, see :mod:`prebuilt`)."""
        self.root = self.place / "registry"
        self.keys = self.place / "keys"
        prebuilt.first(self, self._make)

    def _make(self) -> None:
        self.keys.mkdir(parents=True, exist_ok=True)
        for name in (*self.leads, SME, *self.pipelines):
            generate_ed25519(self.key(name), name)
        Registry.init(
            self.root,
            risk=self.risk,
            system="a system",
            placed_on_market="2026-01-01",
            leads=[(f"Lead {index} <{address}>", self.public(address)) for index, address in enumerate(self.leads)],
            actor=self.leads[0] if self.leads else SME,
            clock=self.clock,
        )
        if self.leads:
            for name in self.pipelines:
                self.as_(self.leads[0]).pipeline_add(
                    name, public_key=self.public(name), as_=self.leads[0], key=self.key(self.leads[0])
                )

    def clock(self) -> datetime:
        """The clock of every registry that this world opens."""
        return self.now or datetime.now(UTC)

    def later(self, **parts: float) -> None:
        """Move the clock."""
        self.now = self.clock() + timedelta(**parts)

    def key(self, name: str) -> Path:
        """Return the private key file of a person or pipeline."""
        return self.keys / name

    def public(self, name: str) -> Path:
        """Return the public key file."""
        return self.keys / f"{name}.pub"

    def as_(self, actor: str = SME) -> Registry:
        """Open the registry as ``actor``."""
        return Registry.open(self.root, actor=actor, clock=self.clock)

    def metadata(self, name: str = "metadata.yaml", **changes: Any) -> Path:
        """Write a complete metadata file (JSON is YAML), gates, card and environment included."""
        (self.place / "environment.txt").write_text("numpy==2.0\n", encoding="utf-8")
        document: dict[str, Any] = {
            "training_data": "sha256:" + "ab" * 32,
            "code": {"commit": "c" * 40},
            "training_date": "2026-01-01",
            "pipeline_run": "run-1",
            "hyperparameters": {"depth": 3},
            "metrics": {"auc": 0.91},
            "gates": [gate("performance"), gate("fairness"), gate("security")],
            "environment": "environment.txt",
            "owner": "team",
            "card": CARD,
        }
        document |= changes
        path = self.place / name
        path.write_text(
            json.dumps({key: value for key, value in document.items() if value is not None}), encoding="utf-8"
        )
        return path

    def artefact(self, version: str, content: bytes | None = None) -> Path:
        """Write a model file of its own for ``version``."""
        path = self.place / f"model-{version}.bin"
        path.write_bytes(content if content is not None else f"model {version}".encode())
        return path

    def register(self, version: str = "1", **changes: Any) -> Result:
        """Register a complete version."""

        def do() -> Result:
            return self.as_().register(self.model, version, self.artefact(version), metadata=self.metadata(**changes))

        return prebuilt.step(self, "register", [version, changes], do)

    def approve(self, ref: str, to: str, *, lead: str | None = None) -> str:
        """Ask for and sign an approval; returns its id."""
        who = lead or self.leads[0]

        def do() -> str:
            identifier = self.as_().approval_request(ref, to=to).id or ""
            self.as_(who).approval_sign(identifier, as_=who, key=self.key(who))
            return identifier

        return prebuilt.step(self, "approve", [ref, to, who], do)

    def promote(self, ref: str, to: str, *, pipeline: str = "ci") -> Result:
        """Promote with the pipeline's key."""

        def do() -> Result:
            return self.as_("ci@example.org").promote(
                ref,
                to=to,
                reason="decided",
                pipeline=pipeline if self.leads else None,
                pipeline_key=self.key(pipeline) if self.leads else None,
            )

        return prebuilt.step(self, "promote", [ref, to, pipeline], do)

    def to_staging(self, version: str = "1") -> str:
        """Register, approve, promote to staging; returns the REF."""
        ref = f"{self.model}@{version}"

        def do() -> str:
            self.register(version)
            self.approve(ref, "staging")
            self.promote(ref, "staging")
            return ref

        return prebuilt.step(self, "to_staging", [version], do, anywhere=True)

    def to_production(self, version: str = "1") -> str:
        """Take a version all the way to production; returns the REF."""
        ref = f"{self.model}@{version}"

        def do() -> str:
            self.to_staging(version)
            self.approve(ref, "production")
            self.promote(ref, "production")
            return ref

        return prebuilt.step(self, "to_production", [version], do, anywhere=True)

    def ledger(self, seq: int) -> Path:
        """Return an event file."""
        return self.root / "ledger" / f"{seq:012d}.json"

    def cli(
        self, *words: str, actor: str = SME, cwd: Path | None = None, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run the command line in a process of its own, inside the registry."""
        return subprocess.run(
            [sys.executable, "-m", "manual_registry", "--actor", actor, *words],
            cwd=cwd or self.root,
            env={**os.environ, "NO_COLOR": "1", **(env or {})},
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
