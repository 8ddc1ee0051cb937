"""The group `exception`: a failed gate that a lead lets through for a time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from manual_registry.cli.options import change_options, group, ref_argument
from manual_registry.cli.output import answer
from manual_registry.cli.roster import agree, finish_change
from manual_registry.cli.session import Session, pass_session
from manual_registry.cli.tables import table


@group("exception", example="mreg exception list")
def exception_command() -> None:
    """Let a failed gate through for a time, in full words."""


@exception_command.command(
    "grant",
    example='mreg exception grant churn@2 --gate fairness --severity medium --justification "the old one is worse"'
    ' --controls "each refusal is seen by a person" --expires 2027-01-31 --remediation "more data of the young"'
    ' --remediation-date 2027-01-15 --root-cause "few young people in the data" --as lead@example.org',
)
@ref_argument
@click.option("--gate", required=True, metavar="NAME", help="The gate that failed.")
@click.option("--severity", required=True, metavar="TEXT", help="How bad it is.")
@click.option("--justification", required=True, metavar="TEXT", help="Why it is let through nevertheless.")
@click.option("--controls", required=True, metavar="TEXT", help="What makes up for it meanwhile.")
@click.option("--expires", required=True, metavar="DATE", help="The last day (UTC) on which it holds.")
@click.option("--remediation", required=True, metavar="TEXT", help="What will be done about it.")
@click.option("--remediation-date", required=True, metavar="DATE", help="Until when.")
@click.option("--root-cause", metavar="TEXT", help="What it comes from; a fairness gate asks for it.")
@change_options
@pass_session
def exception_grant(
    session: Session, /, *, ref: str, as_: str | None, key: Path | None, yes: bool, **given: Any
) -> None:
    """Let one failed gate of one version through, for a time.

    It holds for the report that failed and no other, and ends with the day that it states; a version that is in
    production then makes verify fail. A gate without a report cannot be let through.
    """
    registry = session.open()
    facts = {
        "version": ref,
        **registry.exception_facts(ref, gate=given["gate"]),
        **{name.replace("_", " "): value for name, value in given.items() if value is not None},
    }
    agree(session, "Let a failed gate through", facts, as_=as_, yes=yes, key=key)
    result = registry.exception_grant(ref, **given, as_=as_, key=key)
    finish_change(session, result, f"granted exception {result.id}", same=f"exception {result.id} stands so already")


@exception_command.command("list", example="mreg exception list --json")
@pass_session
def exception_list(session: Session) -> None:
    """List the exceptions, and count them by gate and model."""
    document = session.open().exception_list()
    answer(session, document, [] if session.json else _lines(document))


def _lines(document: Mapping[str, Any]) -> list[str]:
    found = document["exceptions"]
    if not found:
        return ["no exceptions"]
    rows = [
        [
            one["id"],
            f"{one['model']}@{one['version']}",
            one["gate"],
            one["severity"],
            one["expires"] if one["in_force"] else f"ended {one['expires']}",
            f"{one['remediation']} ({one['remediation_date']})",
            one["granted_by"],
        ]
        for one in found
    ]
    lines = table(["Id", "Version", "Gate", "Severity", "Expires", "Remediation", "By"], rows)
    for name, title in (("by_gate", "by gate"), ("by_model", "by model")):
        counts = ", ".join(f"{key} {one['in_force']} of {one['all']} in force" for key, one in document[name].items())
        lines.append(f"{title}: {counts}")
    return lines
