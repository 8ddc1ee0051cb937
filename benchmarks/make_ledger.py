"""Writes a synthetic registry with any number of versions, to measure with.

    python benchmarks/make_ledger.py DIR --versions 10000 --events-per-version 2

``DIR/registry`` begins as a real one: `Registry` makes it, and one version goes the whole way to production, with
artefact, evidence, signed approvals and a pipeline's signature (`trace --no-hash` verifies a signature). All versions
after it are events and nothing else: canonical, chained, decided by the package's own core, but without a directory in
models/: `mreg verify --quick` finds those missing, and nothing else wrong. Every 20th of them is promoted to staging on
a signed approval; tags and notes fill up to the number of events asked for. ``DIR/keys`` holds the keys.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from manual_registry import Registry
from manual_registry.adapters.keys import generate_ed25519, signer_for
from manual_registry.adapters.ledger_files import LedgerFiles
from manual_registry.core import events as kinds
from manual_registry.core.decide import decide
from manual_registry.core.decide.registration import identifier
from manual_registry.core.errors import raise_for
from manual_registry.core.folding import apply, fold
from manual_registry.core.ledger import Draft, Event, file_name, seal
from manual_registry.core.references import own_hash, parse_reference
from manual_registry.core.sshkeys import parse_public_key
from manual_registry.core.state import State
from manual_registry.core.statements import APPROVAL_NAMESPACE, Position, approval_line, statement_sha256
from manual_registry.core.times import stamp
from manual_registry.ports import Signer
from manual_registry.registry.views import copies

SYSTEM = "Consumer credit (synthetic)"
SME, LEAD, CI = "mira@example.org", "jonas@example.org", "ci@example.org"
#: The model that most versions belong to; the others share the rest.
BIG = "credit-scorecard"
OTHERS = tuple(f"{what}-{where}" for what in ("churn", "fraud", "limit", "dunning") for where in ("de", "fr", "nl"))
BIG_SHARE = 0.6
STAGED_EVERY = 20
FIRST = "1.0.0"
CARD = {
    "architecture": "Gradient boosted trees, 400 of depth 4, on 23 columns of the loan table.",
    "training_data": "Loans granted from 2019 to 2023, 118,000 of them, one row each; rejected ones are not in it.",
    "intended_use": "A second opinion for a loan officer, who decides. Not for automatic refusals.",
    "limitations": "Trained on people who got a loan; nothing is known of those who did not.",
    "failure_modes": "Incomes of the self-employed are told late; scores in the first quarter lean to the low side.",
    "ethical_considerations": "Parity by age group is measured; sex and origin are not recorded and cannot be.",
}


@dataclass
class Writer:
    """Takes a ledger further, event by event. ``check``: every so many-th event is decided, signed steps always."""

    root: Path
    clock: datetime
    step: timedelta
    check: int
    state: State = field(default_factory=State)
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Begin where the ledger ends."""
        self.ledger = LedgerFiles(self.root)
        self.events = self.ledger.load()
        self.state = fold(self.events)

    def append(self, type: str, model: str, version: str, data: dict[str, Any], *, actor: str = SME) -> Event:
        """Seal, decide and write one event. No fsync: nothing is lost that this script cannot write again."""
        self.clock += self.step
        draft = Draft(type=type, subject={"model": model, "version": version}, data=data)
        event = seal(draft, seq=self.state.head_seq + 1, prev=self.state.head_hash, at=stamp(self.clock), actor=actor)
        if type in kinds.GOVERNED_TYPES or event.seq % self.check == 0:
            raise_for(decide(self.state, event))
        path = self.ledger.directory / file_name(event.seq)
        path.write_bytes(event.raw)
        path.chmod(0o444)
        apply(self.state, event)
        self.events.append(event)
        return event


# -- the real beginning -----------------------------------------------------------------------------------


def gate(name: str, metric: str, value: float, threshold: float) -> dict[str, Any]:
    """Return a gate report that passes."""
    measured = {"name": metric, "value": value, "lower": round(value - 0.02, 4), "upper": round(value + 0.02, 4)}
    return {
        "gate": name,
        "passed": True,
        "evaluation_dataset": "holdout-2025 (14,200 loans)",
        "evaluated_at": "2024-01-02",
        "metrics": [{**measured, "threshold": threshold, "direction": "higher"}],
    }


def metadata() -> dict[str, Any]:
    """Return a complete metadata file."""
    return {
        "training_data": "lakefs://loans/" + "5e" * 32 + "/training/loans.parquet",
        "code": {"commit": "c0ffee" + "0" * 34, "repository": "https://git.example.org/risk/credit-scorecard"},
        "training_date": "2024-01-02",
        "pipeline_run": "https://ci.example.org/risk/credit-scorecard/runs/1",
        "hyperparameters": {"trees": 400, "depth": 4, "learning_rate": 0.05, "subsample": 0.8, "seed": 1},
        "metrics": {"auc_roc": 0.78, "brier": 0.141, "ks": 0.42, "demographic_parity_ratio": 0.91},
        "subgroup_metrics": {"age_group": {"under 26": {"auc_roc": 0.75}, "26 and over": {"auc_roc": 0.78}}},
        "gates": [
            gate("performance", "auc_roc", 0.78, 0.7),
            gate("fairness", "demographic_parity_ratio", 0.91, 0.8),
            gate("security", "scan_score", 1.0, 0.9),
        ],
        "environment": "environment.txt",
        "config": "serving.yaml",
        "owner": "Consumer credit team",
        "origin": "trained in-house",
        "description": "Scorecard for consumer loans.",
        "card": CARD,
    }


def found_registry(place: Path, start: datetime) -> Path:
    """Make the registry with its people, and take one version to production; return the root."""
    root, keys = place / "registry", place / "keys"
    keys.mkdir(parents=True)
    for name in ("lead", "ci"):
        generate_ed25519(keys / name, name)

    ticks = iter(range(1_000_000))

    def as_(actor: str) -> Registry:
        return Registry.open(root, actor=actor, clock=lambda: start + timedelta(seconds=next(ticks)))

    Registry.init(
        root,
        risk="high",
        system=SYSTEM,
        placed_on_market="2024-01-01",
        leads=[(f"Jonas Okafor <{LEAD}>", keys / "lead.pub")],
        actor=LEAD,
        clock=lambda: start - timedelta(minutes=1),
    )
    as_(LEAD).pipeline_add("ci", public_key=keys / "ci.pub", as_=LEAD, key=keys / "lead")
    (place / "environment.txt").write_text("lightgbm==4.5.0\nnumpy==2.1.0\nscikit-learn==1.5.2\n", encoding="utf-8")
    (place / "serving.yaml").write_text("threshold: 0.55\nwarm_up: true\n", encoding="utf-8")
    (place / "model.bin").write_bytes(random.Random(1).randbytes(4096))
    (place / "metadata.json").write_text(json.dumps(metadata()), encoding="utf-8")
    as_(SME).register(BIG, FIRST, place / "model.bin", metadata=place / "metadata.json")
    ref = f"{BIG}@{FIRST}"
    for to in ("staging", "production"):
        identifier = as_(SME).approval_request(ref, to=to).id or ""
        as_(LEAD).approval_sign(identifier, as_=LEAD, key=keys / "lead", comment="Read card and reports.")
        as_(CI).promote(ref, to=to, reason="approved", pipeline="ci", pipeline_key=keys / "ci")
    as_(CI).deploy(ref, environment="production")
    as_(SME).alias_set(BIG, "champion", FIRST)
    return root


# -- the many ---------------------------------------------------------------------------------------------


def registration(writer: Writer, chance: random.Random, model: str, version: str, number: int) -> dict[str, Any]:
    """Return the data of a registration: the shape of the real one, every number and hash its own."""
    real = writer.state.versions[BIG, FIRST].data

    def digest(size: int = 32) -> str:
        return chance.randbytes(size).hex()

    files = {item["path"]: {**item, "blake3": digest(), "sha256": digest()} for item in real["evidence"]}

    def named(item: dict[str, Any]) -> dict[str, Any]:
        return {**item, "sha256": files[item["path"]]["sha256"]}

    size, reference = chance.randrange(10**6, 10**9), f"lakefs://loans/{digest()}/training/loans.parquet"
    content = {**real["training_data"][0], "reference": reference, "hash": own_hash(parse_reference(reference))}
    auc, brier = round(chance.uniform(0.74, 0.86), 4), round(chance.uniform(0.12, 0.16), 4)
    made = {
        **real,
        **{name: named(real[name]) for name in ("card", "environment", "config")},
        "artefact": {**real["artefact"], "blake3": digest(), "sha256": digest(), "size": size},
        "training_data": [content],
        "code": {**real["code"], "commit": digest(20)},
        "pipeline_run": f"https://ci.example.org/risk/{model}/runs/{number}",
        "hyperparameters": {**real["hyperparameters"], "trees": chance.randrange(100, 900), "seed": number},
        "metrics": {**real["metrics"], "auc_roc": auc, "brier": brier},
        "evidence": list(files.values()),
        "gates": [named(gate) for gate in real["gates"]],
        "description": f"Scorecard {version} of {model}.",
    }
    return {**made, "composite_id": identifier(model, version, made)}


def stage(writer: Writer, model: str, version: str, signer: Signer) -> None:
    """Request, sign and use an approval to staging."""
    request = {"kind": "stage", "from": "experimental", "to": "staging", "replaces": None}
    opened = writer.append(kinds.REQUESTED, model, version, request)
    state = writer.state
    line = approval_line(
        state,
        state.requests[f"A{opened.seq}"],
        state.approvers[LEAD],
        decision="approved",
        comment=None,
        issued_at=stamp(writer.clock),
        position=Position(seq=state.head_seq, hash=state.head_hash or ""),
    )
    signed = {
        "id": f"A{opened.seq}",
        "statement": line.decode(),
        "signature": signer.sign(line, namespace=APPROVAL_NAMESPACE),
    }
    writer.append(kinds.SIGNED, model, version, signed, actor=LEAD)
    used = {"id": f"A{opened.seq}", "sha256": statement_sha256(line.decode())}
    promoted = {
        "from": "experimental",
        "to": "staging",
        "replaces": None,
        "reason": "approved",
        "approval": used,
        "promotion": None,
        "observed": state.versions[model, version].blake3,
    }
    writer.append(kinds.PROMOTED, model, version, promoted)


def fill(writer: Writer, model: str, version: str, number: int) -> None:
    """Write the next small event about a version: a tag or a note."""
    if number % 3:
        writer.append(
            kinds.TAGGED, model, version, {"tags": {("campaign", "region", "reviewed")[number % 3]: f"value-{number}"}}
        )
    else:
        writer.append(kinds.NOTED, model, version, {"text": f"Looked at run {number}; the calibration plot is fine."})


def grow(writer: Writer, signer: Signer, versions: int, per_version: int, told: Callable[[str], None]) -> None:
    """Register ``versions`` - 1 more, spread over the models, and fill up to the number of events."""
    chance = random.Random(20)
    counts: dict[str, int] = {}
    for number in range(1, versions):
        model = BIG if chance.random() < BIG_SHARE else chance.choice(OTHERS)
        counts[model] = count = counts.get(model, 0) + 1
        version = f"{1 + count // 100}.{count // 10 % 10}.{count % 10}"
        writer.append(kinds.REGISTERED, model, version, registration(writer, chance, model, version, number))
        if number % STAGED_EVERY == 0:
            stage(writer, model, version, signer)
        while writer.state.head_seq < (number + 1) * per_version:
            fill(writer, model, version, writer.state.head_seq)
        if number % 2000 == 0:
            told(f"{number} versions, {writer.state.head_seq} events")


def make(
    place: Path, *, versions: int, per_version: int, check: int = 100, told: Callable[[str], None] = lambda _line: None
) -> dict[str, Any]:
    """Write ``place``/registry; return root, the traced REF, and the numbers of versions and events."""
    span = timedelta(days=300)
    start = datetime.now(UTC) - span - timedelta(days=1)
    root = found_registry(place, start)
    step = span / max(versions * per_version, 1)
    writer = Writer(root=root, clock=start + timedelta(hours=1), step=min(step, timedelta(hours=1)), check=check)
    public = parse_public_key((place / "keys" / "lead.pub").read_text(encoding="utf-8"))
    grow(writer, signer_for(place / "keys" / "lead", public, terminal=False), versions, per_version, told)
    for path, data in copies(writer.state, writer.events).items():
        target = root / path
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
    return {
        "root": str(root),
        "ref": f"{BIG}@{FIRST}",
        "versions": len(writer.state.versions),
        "events": writer.state.head_seq,
    }


def main() -> None:
    """Parse the command line and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("place", type=Path, metavar="DIR", help="a new directory")
    parser.add_argument("--versions", type=int, default=10_000)
    parser.add_argument(
        "--events-per-version", type=int, default=2, help="about so many events for each version, on average"
    )
    parser.add_argument(
        "--check", type=int, default=100, metavar="N", help="decide every Nth event (1: all); signed steps always"
    )
    given = parser.parse_args()
    made = make(
        given.place,
        versions=given.versions,
        per_version=given.events_per_version,
        check=given.check,
        told=lambda line: print(line, file=sys.stderr),
    )
    print(json.dumps(made))


if __name__ == "__main__":
    main()
