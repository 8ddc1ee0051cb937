"""The text of `verify`: a line for each finding, the summary last."""

from __future__ import annotations

from collections.abc import Iterable

from manual_registry.cli.output import clean, located, style
from manual_registry.core.results import Finding, Severity, Verification

_COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.INFO: "cyan"}


def verify_lines(outcome: Verification, *, quiet: bool) -> list[str]:
    """Return one line per finding, errors last (nearest to the summary), and the summary."""
    order = [Severity.INFO, Severity.WARNING, Severity.ERROR]
    shown = [finding for finding in outcome.findings if not quiet or finding.severity is Severity.ERROR]
    lines = [_finding_line(finding) for finding in sorted(shown, key=lambda one: order.index(one.severity))]
    return lines if quiet else [*lines, *_advice(shown), _summary(outcome)]


def _advice(shown: Iterable[Finding]) -> list[str]:
    """Return what to do, each thing once, with the codes of the findings that it helps against."""
    found: dict[str, list[str]] = {}
    for finding in shown:
        if finding.advice and finding.code not in found.setdefault(finding.advice, []):
            found[finding.advice].append(finding.code)
    return [f"next ({', '.join(sorted(codes))}): {clean(advice)}" for advice, codes in found.items()]


def _finding_line(finding: Finding) -> str:
    label = style(f"{finding.severity.value} {finding.code}:", _COLOURS[finding.severity])
    clause = f" [{finding.clause}]" if finding.clause else ""
    return f"{label} {clean(located(finding.location, finding.message) + clause)}"


def _summary(outcome: Verification) -> str:
    checked = ", ".join(f"{count} {clean(name).replace('_', ' ')}" for name, count in outcome.checked.items())
    verdict = style("ok", "green", bold=True) if outcome.ok else style("NOT ok", "red", bold=True)
    return f"{verdict}: {_counts(outcome.findings)}; checked {checked or 'nothing'}"


def _counts(findings: Iterable[Finding]) -> str:
    levels = [finding.severity for finding in findings]
    parts = [
        f"{levels.count(level)} {name}{'' if levels.count(level) == 1 else 's'}"
        for level, name in ((Severity.ERROR, "error"), (Severity.WARNING, "warning"))
    ]
    return ", ".join(parts)
