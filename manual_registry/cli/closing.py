"""The command `close`: the end of a register, which goes on elsewhere."""

from __future__ import annotations

from pathlib import Path

import click

from manual_registry.cli.ask import consent
from manual_registry.cli.options import change_options, command
from manual_registry.cli.output import clean
from manual_registry.cli.roster import finish_change
from manual_registry.cli.session import Session, pass_session
from manual_registry.cli.tables import fields


@command(
    "close",
    example='mreg close --successor https://mlflow.example.org --reason "moved to MLflow" --as lead@example.org',
)
@click.option("--successor", required=True, metavar="URI", help="Where the register goes on: an address or a place.")
@click.option("--reason", required=True, metavar="TEXT", help="Why; kept in the ledger.")
@change_options
@pass_session
def close_command(
    session: Session, *, successor: str, reason: str, as_: str | None, key: Path | None, yes: bool
) -> None:
    """Close this register: nothing new is registered here any more.

    Reading, verify, fetch, drill, archive, note, anchor, the end of a deployment, revocations and a check of an export
    go on working. Workbook and README.txt say where the successor is. There is no way back.
    """
    registry = session.open()
    facts = registry.close_facts(successor)
    if as_ is not None and facts["closed"] is None:
        stages = ", ".join(f"{count} {stage}" for stage, count in facts["versions"].items()) or "none"
        shown = {"successor": facts["successor"], "reason": reason, "versions": stages}
        screen = ["Close this register, for good:", *fields(shown, indent=2)]
        screen += [f"  {clean(one)}" for one in facts["remarks"]]
        consent(session, f"Sign the end of this register as {clean(as_)}?", screen, yes=yes, key=key)
        session.told.update(() if session.json else facts["remarks"])
    result = registry.close(successor, reason=reason, as_=as_, key=key)
    finish_change(
        session,
        result,
        f"closed; the register goes on at {clean(facts['successor'])}",
        same="this register is closed so already; nothing changed",
    )
