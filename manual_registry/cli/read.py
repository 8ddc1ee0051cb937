"""Commands that only read: status, list, show, search, compare, history, fetch, card, anchor."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

import click

from manual_registry.cli.ask import progress
from manual_registry.cli.destination import check_destination, deliver
from manual_registry.cli.options import command, is_stdout, output_option, ref_argument, tsa_roots_option
from manual_registry.cli.output import answer, clean, emit, finish, out, warn
from manual_registry.cli.screens import compare_lines, event_lines, status_lines, version_table
from manual_registry.cli.session import Session, pass_session
from manual_registry.cli.tables import sections, size_text


@command("status", example="mreg status")
@pass_session
def status_command(session: Session) -> None:
    """Say what is here, what waits, and what to do next."""
    document = session.open().status()
    answer(session, document, [] if session.json else status_lines(document))


@command("list", example="mreg list --json")
@pass_session
def list_command(session: Session) -> None:
    """List every version."""
    versions = session.open().list()
    document = {"schema": "manual-registry/list/1", "versions": versions}
    answer(session, document, [] if session.json else version_table(versions))


@command("search", example="mreg search churn 'stage=production' 'metrics.auc_roc>=0.8'")
@click.argument("expression", metavar="EXPR", nargs=-1, required=True)
@pass_session
def search_command(session: Session, expression: tuple[str, ...]) -> None:
    """List the versions that fit EXPR.

    EXPR is words (found anywhere) and field=value, !=, <, <=, >, >=; all must hold. Fields are those of list,
    and metrics.NAME, params.NAME, tag.NAME.
    """
    versions = session.open().search(" ".join(expression))
    document = {"schema": "manual-registry/search/1", "versions": versions}
    answer(session, document, [] if session.json else version_table(versions))


@command("show", example="mreg show churn@production")
@ref_argument
@pass_session
def show_command(session: Session, ref: str) -> None:
    """Show everything that is known of one version."""
    document = session.open().show(ref)
    first = ("model", "version", "stage", "composite_id", "blake3", "sha256", "storage_location")
    answer(session, document, [] if session.json else sections(document, first=first))


@command("compare", example="mreg compare churn@1 churn@2")
@click.argument("first", metavar="REF")
@click.argument("second", metavar="REF")
@pass_session
def compare_command(session: Session, first: str, second: str) -> None:
    """Show where two versions differ."""
    document = session.open().compare(first, second)
    answer(session, document, [] if session.json else compare_lines(document))


@command("history", example="mreg history churn")
@click.argument("ref", metavar="[REF]", required=False)
@pass_session
def history_command(session: Session, ref: str | None) -> None:
    """List the events: all, a model's, or a version's."""
    events = session.open().history(ref)
    document = {"schema": "manual-registry/history/1", "events": events}
    answer(session, document, [] if session.json else event_lines(events))


@command("fetch", example="mreg fetch churn@production ./churn-copy")
@ref_argument
@click.argument("destination", metavar="DEST", type=click.Path(path_type=Path))
@pass_session
def fetch_command(session: Session, ref: str, destination: Path) -> None:
    """Copy a version's files out, checked.

    Works from the archive too; refuses when the content differs from what was registered.
    """
    registry = session.open()
    with progress(f"fetch {ref}") as bar:
        document = registry.fetch(ref, destination, progress=bar)
    line = (
        f"copied {clean(document['model'])}@{clean(document['version'])} to {clean(document['path'])}:"
        f" {document['files']} file(s), {size_text(document['size'])}, content as registered"
        f" ({clean(document['blake3'])})"
    )
    answer(session, document, [line])


@command("card", example="mreg card churn@1 -o churn-1.md")
@ref_argument
@output_option()
@pass_session
def card_command(session: Session, ref: str, output: Path | None) -> None:
    """Write the model card as Markdown."""
    registry = session.open()
    markdown = registry.card(ref)
    deliver(session, output, markdown.encode())
    if session.json:
        emit({"schema": "manual-registry/card/1", "markdown": markdown})
    elif is_stdout(output):
        out(clean(markdown, lines=True).rstrip("\n"))
    warn(session)


@command("anchor", example="mreg anchor -o anchor.txt")
@output_option()
@click.option("--tsa", metavar="URL", help="Have a time-stamping authority (RFC 3161) sign it.")
@tsa_roots_option
@pass_session
def anchor_command(session: Session, output: Path | None, tsa: str | None, tsa_roots: Path | None) -> None:
    """Write one line that pins the ledger.

    Mail it, print it, commit it elsewhere.
    A ledger that was cut short or written anew since then no longer fits the line: mreg verify --anchor FILE.
    With --tsa the authority's token is kept in the ledger, and beside the line as FILE.tsr.
    """
    if tsa is not None:
        _stamped(session, output, tsa, tsa_roots)
        return
    line = session.open().anchor()
    deliver(session, output, f"{line}\n".encode())
    if session.json:
        emit({"schema": "manual-registry/anchor/1", "line": line})
    elif is_stdout(output):
        out(line)
    warn(session)


def _stamped(session: Session, output: Path | None, tsa: str, tsa_roots: Path | None) -> None:
    registry = session.open()
    if output is not None and not is_stdout(output):  # before anything is written that would need it
        for path in (output, output.with_name(f"{output.name}.tsr")):
            check_destination(session, path, fresh=True)
    result, line, token = registry.anchor_with(tsa, tsa_roots=tsa_roots)
    deliver(session, output, f"{line}\n".encode())
    if output is not None and not is_stdout(output):
        deliver(session, output.with_name(f"{output.name}.tsr"), token)
    if session.json:
        emit(
            {
                **result.document(),
                "schema": "manual-registry/anchor/1",
                "line": line,
                "token": b64encode(token).decode(),
            }
        )
        return
    if is_stdout(output):
        out(line)
    finish(session, result, result.notes[0])
