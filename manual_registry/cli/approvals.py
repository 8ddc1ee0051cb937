"""The group `approval`: from the request to the signature."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from manual_registry.cli.ask import consent
from manual_registry.cli.destination import check_destination, free_beside
from manual_registry.cli.options import (
    PATH,
    group,
    id_argument,
    is_stdout,
    output_option,
    ref_argument,
    signer_options,
)
from manual_registry.cli.output import answer, clean, err, finish, head_line, out_bytes, warn, write_file
from manual_registry.cli.screens import approval_lines, approval_table, review_lines
from manual_registry.cli.session import Session, pass_session
from manual_registry.core.errors import UsageError

_reject = click.option("--reject", is_flag=True, help="Say no: sign a rejection.")
_comment = click.option("--comment", metavar="TEXT", help="A sentence that is signed with it.")


@group("approval", example="mreg approval list --pending")
def approval_command() -> None:
    """Ask for an approval, look at it, sign it."""


@approval_command.command("request", example="mreg approval request churn@1 --to production")
@ref_argument
@click.option("--to", required=True, metavar="STAGE", help="staging, production or archived.")
@pass_session
def approval_request(session: Session, *, ref: str, to: str) -> None:
    """Ask for the approval that a stage needs."""
    result = session.open().approval_request(ref, to=to)
    same = f"approval {clean(result.id)} is open already; nothing changed"
    finish(session, result, f"requested approval {clean(result.id)}", same=same)


@approval_command.command("list", example="mreg approval list --pending")
@click.option("--pending", is_flag=True, help="Only those that wait for somebody.")
@click.option("--all", "every", is_flag=True, help="Also the changes that a lead signed without being asked (C7).")
@pass_session
def approval_list(session: Session, *, pending: bool, every: bool) -> None:
    """List the approvals: what was asked for, and what came of it."""
    if pending and every:
        raise UsageError("--pending shows less, --all more: one of the two")
    found = session.open().approval_list(pending=pending, at_once=every)
    document = {"schema": "manual-registry/approvals/1", "approvals": found}
    answer(session, document, [] if session.json else approval_table(found))


@approval_command.command("show", example="mreg approval show A21")
@id_argument
@pass_session
def approval_show(session: Session, *, id_: str) -> None:
    """Show what is asked, on what evidence, and how an auditor checks the signature."""
    document = session.open().approval_show(id_)
    answer(session, document, [] if session.json else approval_lines(document))


@approval_command.command("statement", example="mreg approval statement A21 --as lead@example.org -o A21.json")
@id_argument
@click.option("--as", "as_", required=True, metavar="EMAIL", help="Who will sign it.")
@_reject
@_comment
@output_option(required=True)
@pass_session
def approval_statement(
    session: Session, *, id_: str, as_: str, reject: bool, comment: str | None, output: Path
) -> None:
    """Write the statement to sign elsewhere, with ssh-keygen -Y sign.

    The bytes written are exactly those to sign; bring the signature back with mreg approval import.
    """
    to_stdout = is_stdout(output)
    if to_stdout and session.json:
        raise UsageError("with --json, write the statement to a file: -o FILE")
    registry = session.open()
    if not to_stdout:
        free = free_beside(session, output)
        words = ["mreg", "approval", "statement", id_, "--as", as_, *(["--reject"] if reject else [])]
        words += ["--comment", comment] if comment is not None else []
        hint = shlex.join([*words, "-o", str(free)]) if free else None
        check_destination(session, output, fresh=True, hint=hint)
    data, result = registry.approval_statement(id_, as_=as_, reject=reject, comment=comment)
    if to_stdout:
        out_bytes(data)
        warn(session, result.warnings)
        err(head_line(result.ledger))
        return
    write_file(output, data)
    file = shlex.quote(str(output))
    sign = f"{(result.next or '').removesuffix(f'{result.id}.json')}{file}"
    after = [f"next: {clean(sign)}", f"next: mreg approval import {clean(result.id)} --signature {clean(file)}.sig"]
    told = f"wrote the statement to {output}"
    finish(session, replace(result, next=sign), told, after=after, same=told)


@approval_command.command("sign", example="mreg approval sign A21 --as lead@example.org --key ~/.ssh/id_ed25519")
@id_argument
@signer_options
@_reject
@_comment
@pass_session
def approval_sign(session: Session, /, *, id_: str, as_: str, key: Path | None, yes: bool, **given: Any) -> None:
    """Read what is asked, then sign it (or its rejection)."""
    registry = session.open()
    screen = review_lines(registry.approval_show(id_))
    word = "reject" if given["reject"] else "approve"
    if registry.takes_signature(id_):  # else it is refused: nobody is asked first
        consent(session, f"Sign as {clean(as_)} that you {word} this?", screen, yes=yes, key=key)
    result = registry.approval_sign(id_, as_=as_, key=key, **given)
    finish(session, result, f"{'rejected' if given['reject'] else 'signed'} approval {clean(id_)}")


@approval_command.command("import", example="mreg approval import A21 --signature A21.json.sig")
@id_argument
@click.option("--signature", required=True, type=PATH, metavar="FILE", help="The signature (.sig) to take in.")
@click.option(
    "--statement", type=PATH, metavar="FILE", help="The statement signed [default: each one issued is tried]."
)
@pass_session
def approval_import(session: Session, *, id_: str, signature: Path, statement: Path | None) -> None:
    """Take in a signature that was made elsewhere."""
    result = session.open().approval_import(id_, signature=signature, statement=statement)
    finish(session, result, f"took in the signature of approval {clean(id_)}")


@approval_command.command("withdraw", example="mreg approval withdraw A21")
@id_argument
@pass_session
def approval_withdraw(session: Session, *, id_: str) -> None:
    """Take a request back."""
    result = session.open().approval_withdraw(id_)
    finish(session, result, f"withdrew approval {clean(id_)}")
