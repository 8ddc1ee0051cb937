"""Gate reports: gates run (from a predictions table), gates scan (from the model's own bytes)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from manual_registry.cli.destination import deliver
from manual_registry.cli.options import PATH, group, is_stdout, output_option
from manual_registry.cli.output import clean, emit, out, warn
from manual_registry.cli.session import Session, pass_session
from manual_registry.core.errors import BadValue, NoRegistry, WrongCommand

if TYPE_CHECKING:
    from manual_registry.registry import Registry
    from manual_registry.registry.gating import GateRun


@group("gates", example="mreg gates scan model.pkl -o security.json")
def gates_command() -> None:
    """Make gate reports; attach takes them in."""


@gates_command.command("run", example="mreg gates run --predictions holdout.csv --threshold auc_roc=0.8 -o gates.json")
@click.argument("ref", metavar="[REF]", required=False)
@click.option("--predictions", type=PATH, required=True, metavar="FILE", help="CSV or parquet, a row for each person.")
@output_option()
@click.option("--gate", "gates", multiple=True, metavar="NAME", help="[default: performance, then fairness]")
@click.option("--label", default="label", metavar="COLUMN", help="What happened: 0 or 1 [default: label].")
@click.option("--score", default="score", metavar="COLUMN", help="The model's score, 0 to 1 [default: score].")
@click.option("--group", default="group", metavar="COLUMN", help="Whom fairness compares [default: group].")
@click.option(
    "--threshold-at", type=float, default=0.5, metavar="NUMBER", help="Scores from here on count as 1 [default: 0.5]."
)
@click.option(
    "--threshold", "thresholds", multiple=True, metavar="METRIC=NUMBER", help="What to ask; never less than the policy."
)
@click.option("--confidence", type=float, default=0.95, metavar="SHARE", help="Of the intervals [default: 0.95].")
@click.option("--resamples", type=int, default=1000, metavar="N", help="Bootstrap resamples [default: 1000].")
@click.option("--seed", type=int, default=0, metavar="N", help="The same seed, the same intervals [default: 0].")
@click.option("--evaluation-dataset", metavar="TEXT", help="How the report names the data [default: the file].")
@click.option("--model", type=PATH, metavar="PATH", help="The model file or folder; its hash goes into the report.")
@click.option("--policy", type=PATH, metavar="FILE", help="Thresholds, outside a registry (a registry.toml).")
@pass_session
def run_command(session: Session, /, *, ref: str | None, output: Path | None, predictions: Path, **asked: Any) -> None:
    """Measure a predictions table and judge the gates.

    AUC-ROC, accuracy, F1, demographic parity ratio, equalised odds difference, each with a bootstrap interval,
    held against the thresholds of the policy in force: the unfavourable end counts. Ends at the first gate that
    fails (exit 3); the report is written all the same.
    """
    from manual_registry.registry import gating

    registry, policy = _registry(session, needed=ref is not None), asked.pop("policy")
    asked["thresholds"] = _thresholds(asked["thresholds"])
    if registry is None:
        measure = gating.Measure(predictions=predictions, policy=policy, **asked)
        _end(session, gating.run(None, None, measure, gating.utc_now), output)
        return
    if policy is not None:
        raise WrongCommand(
            "--policy serves outside a registry; inside, the policy in force counts", hint="mreg policy show"
        )
    _end(session, registry.gates_run(predictions, ref=ref, **asked), output)


@gates_command.command("scan", example="mreg gates scan model.pkl --allow mymodels.Scorer -o security.json")
@click.argument("path", metavar="PATH", type=PATH)
@output_option()
@click.option("--ref", metavar="REF", help="The version that the report is about; its content must be the same.")
@click.option("--allow", multiple=True, metavar="MODULE.NAME", help="An import of your own; the report tells it.")
@pass_session
def scan_command(session: Session, *, path: Path, output: Path | None, ref: str | None, allow: tuple[str, ...]) -> None:
    """Read a model without loading it.

    Pickles (also in joblib, torch, zip, tar and compressed files), NumPy, safetensors, ONNX, Keras, skops and text
    are judged; code, broken parts and what cannot be judged fail the security gate (exit 3), and the report is
    written all the same.
    """
    from manual_registry.registry import gating

    registry = _registry(session, needed=ref is not None)
    if registry is None:
        _end(session, gating.scan(None, path, ref=None, allow=allow, clock=gating.utc_now), output)
    else:
        _end(session, registry.gates_scan(path, ref=ref, allow=allow), output)


def _registry(session: Session, *, needed: bool) -> Registry | None:
    """Open the registry; None outside of one, unless one was named or is needed."""
    try:
        return session.open()
    except NoRegistry:
        if needed or session.registry is not None:
            raise
        return None


def _thresholds(typed: tuple[str, ...]) -> dict[str, float]:
    found: dict[str, float] = {}
    for one in typed:
        name, _, number = one.partition("=")
        try:
            found[name.strip()] = float(number)
        except ValueError:
            raise BadValue(f"{one!r}: write METRIC=NUMBER, like auc_roc=0.8", location="--threshold") from None
    return found


def _end(session: Session, outcome: GateRun, output: Path | None) -> None:
    deliver(session, output, outcome.reports_bytes(), replaces=_are_reports)
    if not session.json and is_stdout(output):
        out(outcome.reports_bytes().decode().rstrip("\n"))
    elif not session.json:
        for line in _lines(outcome):
            out(line)
    warn(session, outcome.warnings)
    outcome.refuse()
    if session.json:
        emit(outcome.document())


def _are_reports(data: bytes) -> bool:
    """Tell whether a file holds gate reports, as an earlier run wrote them."""
    import json

    try:
        found = json.loads(data)
    except ValueError:
        return False
    members = {"gate", "passed", "metrics"}
    return isinstance(found, list) and all(isinstance(one, dict) and members <= one.keys() for one in found)


def _lines(outcome: GateRun) -> list[str]:
    lines = []
    for one in outcome.reports:
        lines.append(f"{one.gate}: {'passed' if one.passed else 'FAILED'}")
        for metric in one.metrics:
            limit = ">=" if metric.direction.value == "higher" else "<="
            interval = "" if metric.lower is None else f" ({metric.lower:.4f} to {metric.upper:.4f})"
            lines.append(f"  {metric.name} {metric.value:.4g}{interval}, asked {limit} {metric.threshold:g}")
    allowed = outcome.facts.get("allowed")
    if allowed:
        lines.append(f"let through by hand: {clean(', '.join(allowed))}")
    return lines
