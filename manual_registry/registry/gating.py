"""`gates run` and `gates scan`: measure or read, hold against the policy, write reports. Nothing in the registry changes.

Rules held here: inside a registry the thresholds are those of the policy in force (the ledger's, not registry.toml's);
outside one they come from a policy file or from options. The gates are taken in order, and the first that fails ends it
(clause RP-12). The hash of the table, or of the model, stands in the report.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from manual_registry.core.errors import (
    BadValue,
    GateFailed,
    RegistryError,
    SourceChanged,
    UsageError,
    raise_for,
)
from manual_registry.core.evaluation import (
    FAIRNESS,
    GATE_METRICS,
    PERFORMANCE,
    Asked,
    Estimate,
    asked_of,
    conventions_told,
    failures,
    report,
    unknown_names,
)
from manual_registry.core.gates import Direction, GateMetric, GateReport, Threshold, report_document
from manual_registry.core.times import stamp
from manual_registry.core.values import line_text
from manual_registry.registry.access import read
from manual_registry.registry.workspace import utc_now

if TYPE_CHECKING:
    from manual_registry.adapters.evaluation import Table
    from manual_registry.adapters.scanning import Scan
    from manual_registry.registry.workspace import Workspace

__all__ = ["GateRun", "Measure", "run", "scan", "utc_now"]

SECURITY: Final = "security"
#: Bounds of what may be asked: more resamples cost time and tell nothing, fewer are no interval.
_RESAMPLES: Final = (100, 100_000)
#: Longer texts do not belong into a report.
_LONGEST: Final = 300


@dataclass(frozen=True, kw_only=True, slots=True)
class Measure:
    """What `gates run` is asked; see :meth:`manual_registry.registry.commands.gates.GateCommands.gates_run`."""

    predictions: Path
    gates: tuple[str, ...] = ()
    label: str = "label"
    score: str = "score"
    group: str | None = "group"
    threshold_at: float = 0.5
    thresholds: Mapping[str, float] = field(default_factory=dict)
    confidence: float = 0.95
    resamples: int = 1000
    seed: int = 0
    evaluation_dataset: str | None = None
    model: Path | None = None
    policy: Path | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class GateRun:
    """The outcome: reports up to the first gate that failed, everything measured, and what to be careful with."""

    command: str
    reports: tuple[GateReport, ...]
    facts: Mapping[str, Any]
    problems: tuple[RegistryError, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """True when every gate passed."""
        return not self.problems

    def reports_bytes(self) -> bytes:
        """Return the reports as `attach --gates` takes them."""
        documents = [report_document(one) for one in self.reports]
        return (json.dumps(documents, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()

    def document(self) -> dict[str, Any]:
        """Return ``manual-registry/gates-run/1`` or ``manual-registry/gates-scan/1``."""
        return {
            "schema": f"manual-registry/{self.command}/1",
            "passed": self.passed,
            "reports": [report_document(one) for one in self.reports],
            **self.facts,
            "warnings": list(self.warnings),
        }

    def refuse(self) -> None:
        """Raise the reasons why a gate failed (:class:`GateFailed`, exit 3); nothing when all passed.

        The reports stand in the details of the first, for whoever asked for JSON and named no file.
        """
        if self.problems:
            self.problems[0].details["reports"] = [report_document(one) for one in self.reports]
        raise_for(self.problems)


def run(work: Workspace | None, ref: str | None, asked: Measure, clock: Callable[[], datetime]) -> GateRun:
    """Measure a predictions table and judge the gates in order."""
    from manual_registry.adapters.evaluation import measure

    gates = _gates(asked)
    _check(asked, gates)
    policy = _policy(work, asked.policy)
    held = {gate: asked_of(gate, policy, asked.thresholds) for gate in gates if gate in GATE_METRICS}
    table = _table(asked, fair=FAIRNESS in gates)
    measured = measure(
        table,
        tuple(held),
        at=asked.threshold_at,
        confidence=asked.confidence,
        resamples=asked.resamples,
        seed=asked.seed,
    )
    about: dict[str, Any] = {"dataset": _dataset(asked, table.sha256), "at": stamp(clock())}
    with _unchanged(asked.model):
        about["model"] = _model(work, ref, asked.model)
        reports = _judged(gates, held, measured.estimates, asked.model, about)
    usual = [conventions_told(one.gate, held[one.gate]) for one in reports if one.gate in held]
    return GateRun(
        command="gates-run",
        reports=tuple(reports),
        facts=_facts(asked, table.sha256, table.rows, table.names, measured.estimates),
        problems=_problems(reports),
        warnings=(*measured.remarks, *(told for told in usual if told)),
    )


def _table(asked: Measure, *, fair: bool) -> Table:
    from manual_registry.adapters.evaluation import Columns, read_table
    from manual_registry.adapters.evaluation.table import fairness_problems

    columns = Columns(label=asked.label, score=asked.score, group=asked.group if fair else None)
    table = read_table(asked.predictions, columns)
    if fair:
        raise_for(fairness_problems(table, asked.predictions.name))
    return table


def _judged(
    gates: Sequence[str],
    held: Mapping[str, Mapping[str, Asked]],
    estimates: Mapping[str, Estimate],
    path: Path | None,
    about: Mapping[str, Any],
) -> list[GateReport]:
    """Return the reports of the gates in order, up to the first that fails."""
    reports: list[GateReport] = []
    for gate in gates:
        if gate == SECURITY:
            reports.append(_scanned(path, (), about["at"], about["model"])[0])
        else:
            reports.append(report(gate, estimates, held[gate], **about))
        if not reports[-1].passed:
            break
    return reports


def scan(
    work: Workspace | None, path: Path, *, ref: str | None, allow: Sequence[str], clock: Callable[[], datetime]
) -> GateRun:
    """Read a model without loading it; the security gate passes when nothing was found."""
    with _unchanged(path):
        found, outcome = _scanned(path, tuple(allow), stamp(clock()), _model(work, ref, path))
    return GateRun(
        command="gates-scan",
        reports=(found,),
        facts={
            "findings": [
                {"kind": one.kind.value, "place": one.place, "message": one.message} for one in outcome.findings
            ],
            "imports": dict(outcome.imports),
            "forms": dict(outcome.forms),
            "allowed": list(outcome.allowed),
            "scanner": outcome.scanner,
        },
        problems=() if found.passed else _scan_problems(outcome),
    )


@contextmanager
def _unchanged(path: Path | None) -> Iterator[None]:
    """Refuse a model that changes between being hashed and being read: the report would be about two."""
    if path is None:
        yield
        return
    from manual_registry.adapters.tree import walk

    before = walk(path).files
    yield
    if walk(path).files != before:
        raise SourceChanged(f"{path} changed while it was read; run it again", location=str(path))


# -- what was asked ---------------------------------------------------------------------------------------


def _gates(asked: Measure) -> tuple[str, ...]:
    gates = tuple(dict.fromkeys(asked.gates)) or (PERFORMANCE, FAIRNESS)
    known = (*GATE_METRICS, SECURITY)
    unknown = [gate for gate in gates if gate not in known]
    if unknown:
        raise UsageError(f"no gate {unknown[0]!r} can be run here; there are {', '.join(known)}")
    if SECURITY in gates and asked.model is None:
        raise UsageError("the security gate reads the model: name it with --model")
    if not any(gate in GATE_METRICS for gate in gates):
        raise UsageError("only the security gate: that is mreg gates scan PATH")
    return gates


def _check(asked: Measure, gates: Sequence[str]) -> None:
    problems = unknown_names(list(asked.thresholds), gates)
    problems += [
        BadValue(f"{value:g} for {name}: these metrics lie between 0 and 1", location="--threshold")
        for name, value in asked.thresholds.items()
        if not 0 <= value <= 1
    ]
    if not 0 < asked.confidence < 1:
        problems.append(BadValue(f"{asked.confidence:g}: a share between 0 and 1, like 0.95", location="--confidence"))
    if not (math.isfinite(asked.threshold_at) and 0 <= asked.threshold_at <= 1):
        problems.append(BadValue(f"{asked.threshold_at:g}: scores lie between 0 and 1", location="--threshold-at"))
    if not _RESAMPLES[0] <= asked.resamples <= _RESAMPLES[1]:
        told = f"{asked.resamples}: from {_RESAMPLES[0]} to {_RESAMPLES[1]}"
        problems.append(BadValue(told, location="--resamples"))
    if asked.seed < 0:
        problems.append(BadValue(f"{asked.seed}: not below 0", location="--seed"))
    raise_for(problems)


def _policy(work: Workspace | None, path: Path | None) -> Mapping[str, Threshold]:
    """Return the thresholds in force; a policy file serves outside a registry only: inside, the ledger's count."""
    if work is not None:
        return read(work).state.policy.thresholds
    if path is None:
        return {}
    from manual_registry.adapters.documents import parse_document, read_bytes
    from manual_registry.core.policy import thresholds_from

    document = parse_document(read_bytes(path), name=path.name)
    table = document.get("policy", document) if isinstance(document, dict) else {}
    found = table.get("thresholds", {}) if isinstance(table, dict) else {}
    return thresholds_from(found, where=path.name)


def _model(work: Workspace | None, ref: str | None, path: Path | None) -> str | None:
    """Return ``sha256:…`` of the model that the report is about: of the version, of the path, of both when equal."""
    version = None
    if ref is not None:
        if work is None:
            raise UsageError("REF names a version of a registry, and there is none here")
        from manual_registry.registry.references import find

        version = f"sha256:{find(work, read(work).state, ref).sha256}"
    if path is None:
        return version
    from manual_registry.adapters.tree import hash_tree

    found = f"sha256:{hash_tree(path, sha256=True).sha256}"
    if version not in (None, found):
        from manual_registry.core.errors import GateModelMismatch

        raise GateModelMismatch(f"{path} is {found}, but {ref} is {version}", location=str(path))
    return found


def _dataset(asked: Measure, sha256: str) -> str:
    name = line_text(asked.evaluation_dataset or asked.predictions.name, where="--evaluation-dataset")
    if not name.strip() or len(name) > _LONGEST:
        raise BadValue(f"a name of 1 to {_LONGEST} characters", location="--evaluation-dataset")
    return f"{name}; predictions sha256:{sha256}"


# -- what came out ----------------------------------------------------------------------------------------


def _facts(
    asked: Measure, sha256: str, rows: int, names: Sequence[str], estimates: Mapping[str, Estimate]
) -> dict[str, Any]:
    return {
        "predictions": {"sha256": sha256, "rows": rows, "groups": list(names)},
        "measured": {
            name: {"value": one.value, "lower": one.lower, "upper": one.upper} for name, one in estimates.items()
        },
        "threshold_at": asked.threshold_at,
        "confidence": asked.confidence,
        "resamples": asked.resamples,
        "seed": asked.seed,
    }


def _problems(reports: Sequence[GateReport]) -> tuple[RegistryError, ...]:
    return tuple(
        GateFailed(sentence, location=f"gates.{one.gate}", clause="RP-12")
        for one in reports
        for sentence in failures(one)
    )


def _scanned(path: Path | None, allow: tuple[str, ...], at: str, model: str | None) -> tuple[GateReport, Scan]:
    from manual_registry.adapters.scanning import Kind
    from manual_registry.adapters.scanning import scan as look

    if path is None:
        raise UsageError("the security gate reads the model: name it with --model")
    outcome = look(path, allow=allow)
    metrics = [_none_of(kind.value, outcome.counts.get(kind, 0)) for kind in Kind]
    dataset = f"static scan of {path.name[:100]} ({outcome.scanner})"
    if outcome.allowed:  # seen by whoever reads the report, and a policy can ask for none
        count = len(outcome.allowed)
        metrics.append(_none_of("imports_allowed_by_hand", count, threshold=count))
        dataset += f"; let through by hand: {', '.join(outcome.allowed)}"
    found = GateReport(
        gate=SECURITY,
        passed=outcome.clean,
        evaluation_dataset=dataset,
        evaluated_at=at,
        metrics=tuple(metrics),
        model=model,
    )
    return found, outcome


def _none_of(name: str, count: int, *, threshold: int = 0) -> GateMetric:
    return GateMetric(name=name, value=float(count), threshold=float(threshold), direction=Direction.LOWER)


def _scan_problems(outcome: Scan) -> tuple[RegistryError, ...]:
    shown = [
        GateFailed(f"{one.place}: {one.message}", location="gates.security", clause="RP-12")
        for one in outcome.findings[:20]
    ]
    more = sum(outcome.counts.values()) - len(shown)
    if more > 0:
        shown.append(GateFailed(f"and {more} more findings", location="gates.security", clause="RP-12"))
    return tuple(shown)
