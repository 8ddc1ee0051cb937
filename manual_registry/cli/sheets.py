"""The command about the tracking spreadsheet: sync."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from manual_registry.cli.options import PATH, command
from manual_registry.cli.output import answer, clean, head_line, out
from manual_registry.cli.session import Session, pass_session

if TYPE_CHECKING:
    from manual_registry.core.syncing import Item, Outcome

#: The lists of a sync in the order in which a person wants to read them, each with its word.
_LISTS = (
    ("problems", "problem"),
    ("pending", "waits"),
    ("registered", "registered"),
    ("accepted", "accepted"),
    ("requested", "requested"),
    ("filled", "filled in"),
    ("restored", "put back"),
)


_NOTHING = "nothing to do: the workbook holds no edits"


@command("sync", example="mreg sync --from ../incoming")
@click.option("--workbook", type=PATH, metavar="FILE", help="A copy to merge (a conflict copy, one from elsewhere).")
@click.option(
    "--from", "from_", type=PATH, metavar="DIR", help="Where the files of typed rows may lie, beside the root."
)
@pass_session
def sync_command(session: Session, *, workbook: Path | None, from_: Path | None) -> None:
    """Take the workbook's edits in.

    Read people's edits back, then refresh the workbook (not a cloud sync).
    Owner, Notes and typed rows are taken; a changed Stage becomes a request; everything else is told and put back.
    """
    head = _settled(session) if workbook is None and (from_ is None or from_.is_dir()) else None
    if head is not None:
        from manual_registry.registry.unchanged import nothing_document

        answer(session, nothing_document(head), [_NOTHING])
        if not session.json:
            out(head_line(head))
        return
    done = session.open().sync(workbook=workbook, from_=from_)
    answer(session, done.document(), _lines(done.outcome))
    if not session.json:
        out(head_line(done.head))


def _settled(session: Session) -> tuple[int, str] | None:
    """Return the ledger's head when there is nothing to do; quicker than opening the registry."""
    from manual_registry.registry.roots import find_root
    from manual_registry.registry.unchanged import head_if_settled

    if session.actor is not None:
        from manual_registry.core.values import email

        email(session.actor, where="--actor")
    return head_if_settled(find_root(session.registry, os.environ))


def _lines(outcome: Outcome) -> Iterator[str]:
    told = [(word, item) for name, word in _LISTS for item in getattr(outcome, name)]
    if not told:
        yield _NOTHING
    for word, item in told:
        yield f"{word:<10}  {_place(item)}: {clean(item.message)}"


def _place(item: Item) -> str:
    where = f"{item.sheet} {item.row}".strip()
    return clean(f"{where}, {item.column}" if item.column else where)
