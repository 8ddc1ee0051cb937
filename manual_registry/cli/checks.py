"""Commands that look for themselves: trace and verify. They print their document also when they exit 4."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from manual_registry.cli.ask import progress
from manual_registry.cli.destination import deliver
from manual_registry.cli.options import command, is_stdout, output_option, ref_argument, tsa_roots_option
from manual_registry.cli.output import answer, dumps, emit, head_line, out, warn
from manual_registry.cli.session import Session, pass_session
from manual_registry.cli.trace_text import trace_lines
from manual_registry.core.errors import IntegrityError

if TYPE_CHECKING:
    from manual_registry.core.results import Trace, Verification

FAILED = IntegrityError.status


@command("trace", example="mreg trace churn --at 2026-03-01")
@ref_argument
@click.option("--at", metavar="TIME", help="What was in production then (a date means that whole day).")
@click.option("--no-hash", is_flag=True, help="Do not read the artefact again.")
@click.option("--format", "format_", type=click.Choice(["text", "json"]), help="[default: text; json with --json]")
@output_option()
@click.option("--strict", is_flag=True, help="Exit 4 also when a link is missing.")
@pass_session
def trace_command(
    session: Session,
    *,
    ref: str,
    at: str | None,
    no_hash: bool,
    format_: str | None,
    output: Path | None,
    strict: bool,
) -> None:
    """Prove what a version is made of.

    Walks back to its exact code, data, pipeline, evaluation and approval, and checks each.

    REF is model@version, model@stage, model@alias, model@latest, a bare model (its production version), a
    composite identifier, blake3:HEX or sha256:HEX, or the path of a file or folder. Exit status 4: a link is
    broken.
    """
    registry = session.open()
    with progress(f"trace {ref}") as bar:
        trace = registry.trace(ref, at=at, hash=not no_hash, progress=bar)
    show_trace(session, trace, format_ or ("json" if session.json else "text"), output)
    if trace.broken or (strict and not trace.complete):
        click.get_current_context().exit(FAILED)


def show_trace(session: Session, trace: Trace, format_: str, output: Path | None = None) -> None:
    """Write a trace where it was asked for; with ``--json`` standard output has the document anyway."""
    to_file = not is_stdout(output)
    if to_file:
        text = dumps(trace.document()) if format_ == "json" else "\n".join(trace_lines(trace, plain=True))
        deliver(session, output, f"{text}\n".encode())
    if session.json or (format_ == "json" and not to_file):
        emit(trace.document())
    elif not to_file:
        for line in trace_lines(trace):
            out(line)
    warn(session, trace.warnings)


@command("verify", example="mreg verify --both --anchor anchor.txt")
@click.argument("refs", metavar="[REF]...", nargs=-1)
@click.option(
    "--sample",
    type=click.IntRange(min=1),
    metavar="N",
    help="Hash the artefacts of N versions, chosen at random.",
)
@click.option("--jobs", type=click.IntRange(min=1), metavar="N", help="Hash with N threads.")
@click.option("--both", is_flag=True, help="Check SHA-256 too, not BLAKE3 alone.")
@click.option("--quick", is_flag=True, help="Hash no artefact: ledger, signatures, names and sizes only.")
@click.option("--quiet", is_flag=True, help="Show errors only.")
@click.option("--anchor", metavar="FILE|SEQ:sha256:HEX", help="Check that the ledger still holds this head.")
@tsa_roots_option
@click.option("--record", is_flag=True, help="Keep the outcome in the ledger.")
@pass_session
def verify_command(
    session: Session,
    *,
    refs: tuple[str, ...],
    sample: int | None,
    jobs: int | None,
    both: bool,
    quick: bool,
    quiet: bool,
    anchor: str | None,
    tsa_roots: Path | None,
    record: bool,
) -> None:
    """Check everything against the ledger.

    With REFs, those versions alone. Reads only (but for --record).

    Exit status 4: at least one finding is an error.
    """
    from manual_registry.cli.verify_text import verify_lines
    from manual_registry.core.results import NOT_RECORDED

    registry = session.open()
    with progress("verify") as bar:
        outcome = registry.verify(
            refs,
            sample=sample,
            jobs=jobs,
            both=both,
            quick=quick,
            anchor=anchor,
            tsa_roots=tsa_roots,
            record=record,
            progress=bar,
        )
    recorded = record and not any(finding.code == NOT_RECORDED for finding in outcome.findings)
    head = registry.head if recorded else None
    answer(session, _verify_document(outcome, head), verify_lines(outcome, quiet=quiet))
    if head is not None and not session.json:
        out(head_line(head))
    if not outcome.ok:
        click.get_current_context().exit(FAILED)


def _verify_document(outcome: Verification, head: tuple[int, str] | None) -> dict[str, object]:
    document: dict[str, object] = dict(outcome.document())
    if head is not None:
        document["ledger"] = {"seq": head[0], "hash": head[1]}
    return document
