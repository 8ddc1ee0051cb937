"""Makes the pictures of the workbook in this directory: a registry of 60 versions, as LibreOffice prints it.

    python docs/pictures.py [-o DIR]

A year of a made-up lender's registry is played with the package's own commands (four models, two leads, two SMEs, a
pipeline; keys are made for it and thrown away), rendered, converted to PDF by LibreOffice (``soffice``) and to PNG by
poppler (``pdftoppm``). Where one of those is missing it says so, changes nothing, and ends with status 0. Fonts are the
machine's: with Carlito or Calibri the pictures look as most people will see the workbook.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from manual_registry.adapters.keys import generate_ed25519
from manual_registry.adapters.ledger_files import LedgerFiles
from manual_registry.adapters.workbook.render import render_bytes
from manual_registry.core.folding import fold
from manual_registry.core.metadata import CARD_FIELDS
from manual_registry.core.rows import build_view
from manual_registry.core.view import View
from manual_registry.registry import Registry

SYSTEM = "Consumer lending"
JONAS, INGRID = "jonas.okafor@example.org", "ingrid.halvorsen@example.org"
MIRA, TOMAS = "mira.soderstrom@example.org", "tomas.rivera@example.org"
LEADS = (("Jonas Okafor", JONAS), ("Ingrid Halvorsen", INGRID))
MODELS = {
    "credit-scorecard": ("lightgbm", "Scoring team"),
    "early-default": ("xgboost", "Collections"),
    "fraud-detection": ("isolation forest", "Payments"),
    "affordability": ("elastic net", "Scoring team"),
}
VERSIONS = 60
PICTURES = {"Models": "workbook-models.png", "Approvals": "workbook-approvals.png"}
PIXELS_PER_INCH = 120


@dataclass
class Year:
    """The registry below ``place`` while it is made; ``now`` is its clock."""

    place: Path
    now: datetime = datetime(2025, 10, 27, 8, 0, tzinfo=UTC)
    dice: random.Random = field(default_factory=lambda: random.Random(7))
    production: dict[str, str] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        return self.place / "registry"

    def key(self, name: str, kind: str = "") -> Path:
        return self.place / f"{name}{kind}"

    def as_(self, actor: str) -> Registry:
        """Open the registry a few minutes later."""
        self.now += timedelta(minutes=7)
        return Registry.open(self.root, actor=actor, clock=lambda: self.now)

    def begin(self) -> None:
        """Make keys, registry and pipeline."""
        for name in (JONAS, INGRID, "ci"):
            generate_ed25519(self.key(name), name)
        leads = [(f"{name} <{address}>", self.key(address, ".pub")) for name, address in LEADS]
        Registry.init(
            self.root,
            risk="high",
            system=SYSTEM,
            placed_on_market="2025-09-01",
            leads=leads,
            actor=JONAS,
            clock=lambda: self.now,
        )
        self.as_(JONAS).pipeline_add("ci", public_key=self.key("ci", ".pub"), as_=JONAS, key=self.key(JONAS))

    def register(self, model: str, version: str, number: int) -> str:
        """Register a version with its card and three gate reports; return its REF."""
        file = self.place / f"{model}-{version}.bin"
        file.write_bytes(self.dice.randbytes(200))
        (self.place / "environment.txt").write_text("numpy==2.1.0\n", encoding="utf-8")
        metadata = self.place / "metadata.json"
        metadata.write_text(json.dumps(self.metadata(model, number)), encoding="utf-8")
        self.as_(MIRA if number % 3 else TOMAS).register(model, version, file, metadata=metadata)
        return f"{model}@{version}"

    def metadata(self, model: str, number: int) -> dict[str, Any]:
        """Return a metadata file."""
        auc, parity = 0.74 + self.dice.random() / 10, 0.86 + self.dice.random() / 10
        fair = number % 11 != 7
        kind, owner = MODELS[model]
        return {
            "training_data": "lakefs://lending/" + self.dice.randbytes(32).hex() + "/train.parquet",
            "code": {"commit": self.dice.randbytes(20).hex()},
            "training_date": (self.now - timedelta(days=1)).strftime("%Y-%m-%d"),
            "pipeline_run": f"https://ci.example.org/lending/runs/{4100 + number}",
            "hyperparameters": {"seed": number},
            "metrics": {"auc_roc": round(auc, 4), "parity_ratio": round(parity, 3), "brier": round(0.2 - auc / 10, 4)},
            "gates": [
                gate("performance", auc, auc - 0.02, 0.7, passed=True),
                gate("fairness", parity, parity - 0.04, 0.8 if fair else 0.95, passed=fair),
                gate("security", 1.0, 0.99, 0.9, passed=True),
            ],
            "environment": "environment.txt",
            "owner": owner,
            "card": dict.fromkeys(CARD_FIELDS, f"{kind}, {model}"),
        }  # fmt: skip

    def ask(self, ref: str, to: str) -> str:
        """Ask for a stage; return the approval's id."""
        return self.as_(TOMAS).approval_request(ref, to=to).id or ""

    def step(self, ref: str, to: str, lead: str) -> None:
        """Ask, sign and promote."""
        one = self.ask(ref, to)
        self.as_(lead).approval_sign(one, as_=lead, key=self.key(lead), comment="Card and reports read.")
        self.as_("ci@example.org").promote(
            ref, to=to, reason="approved", pipeline="ci", pipeline_key=self.key("ci")
        )  # fmt: skip

    def live(self, number: int) -> None:
        """Let one version be made, and some of them go further."""
        model = (*MODELS, *list(MODELS)[:1])[number % 5]
        count = sum(1 for path in self.place.glob(f"{model}-*.bin"))
        ref = self.register(model, f"{1 + count // 6}.{count % 6}.0", number)
        failed, lead = number % 11 == 7, JONAS if number % 2 else INGRID
        if number % 4 == 1 and not failed:
            self.step(ref, "staging", lead)
        if number % 8 == 5 and not failed:
            self.step(ref, "production", lead)
            self.as_("ci@example.org").deploy(ref, environment="production")
        if number % 9 == 3:
            self.as_(MIRA).note(ref, self.dice.choice(["Retrained on the data of Q3.", "Drift alert in segment B."]))

    def end(self) -> None:
        """Leave something to decide: open requests, one rejected, one withdrawn, old ones archived."""
        listed = self.as_(MIRA).list()
        refs = [f"{one['model']}@{one['version']}" for one in listed]
        plain = [ref for ref, one in zip(refs, listed, strict=True) if one["stage"] == "experimental"]
        for ref in plain[:2]:
            self.as_(MIRA).archive(ref, reason="superseded")
        rejected, withdrawn = self.ask(plain[6], "staging"), self.ask(plain[9], "staging")
        self.as_(INGRID).approval_sign(
            rejected, as_=INGRID, key=self.key(INGRID), reject=True, comment="Subgroup report is missing."
        )
        self.as_(TOMAS).approval_withdraw(withdrawn)
        for ref in (plain[12], plain[15]):
            self.ask(ref, "staging")


def gate(name: str, value: float, lower: float, threshold: float, *, passed: bool) -> dict[str, Any]:
    """Return a gate report."""
    metric = {"name": f"{name}_score", "value": round(value, 4), "lower": round(lower, 4), "upper": round(value, 4)}
    return {
        "gate": name,
        "passed": passed,
        "evaluation_dataset": "holdout-2025",
        "evaluated_at": "2025-10-20",
        "metrics": [{**metric, "threshold": threshold, "direction": "higher"}],
    }


def make_registry(place: Path) -> Path:
    """Play the year in ``place``; return the registry's root."""
    year = Year(place)
    year.begin()
    for number in range(VERSIONS):
        year.now += timedelta(days=6)
        year.live(number)
    year.end()
    return year.root


def picture(view: View, sheet: str, place: Path, target: Path) -> None:
    """Write the first printed page of ``sheet`` as ``target``."""
    alone = place / f"{sheet}.xlsx"
    only = tuple(one for one in view.sheets if one.name == sheet)
    alone.write_bytes(render_bytes(replace(view, sheets=only, read_me=())))
    profile = f"-env:UserInstallation=file://{place}/profile"
    run("soffice", profile, "--headless", "--convert-to", "pdf", "--outdir", str(place), str(alone))
    first = ("-r", str(PIXELS_PER_INCH), "-f", "1", "-l", "1", "-png", "-singlefile")
    run("pdftoppm", *first, str(alone.with_suffix(".pdf")), str(place / sheet))
    shutil.copyfile(place / f"{sheet}.png", target)


def run(*words: str) -> None:
    """Run a program; its output is shown when it fails."""
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        raise SystemExit(f"{words[0]} failed with status {done.returncode}:\n{done.stdout}{done.stderr}")


def main() -> int:
    """Make the pictures; 0 also where a program for it is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).parent, metavar="DIR")
    given = parser.parse_args()
    missing = [name for name in ("soffice", "pdftoppm") if shutil.which(name) is None]
    if missing:
        print(f"no pictures made: {' and '.join(missing)} not installed (LibreOffice Calc, poppler-utils)")
        return 0
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        os.environ |= {"MANUAL_REGISTRY_STATE": f"{place}/state", "MANUAL_REGISTRY_CACHE": f"{place}/cache"}
        events = LedgerFiles(make_registry(place)).load()
        view = build_view(fold(events), events)
        for sheet, file in PICTURES.items():
            picture(view, sheet, place, given.output / file)
            print(given.output / file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
