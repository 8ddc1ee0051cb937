"""The groups `approver`, `pipeline` and `policy`: who may sign what, each change signed by a lead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from manual_registry.cli.ask import consent
from manual_registry.cli.options import PATH, group, signer_options
from manual_registry.cli.output import answer, clean, finish
from manual_registry.cli.screens import policy_difference_lines, policy_lines
from manual_registry.cli.session import Session, pass_session
from manual_registry.cli.tables import fields, moment, table

_public_key = click.option("--public-key", required=True, type=PATH, metavar="FILE", help="Public key (.pub).")
_reason = click.option("--reason", required=True, metavar="TEXT", help="Why; kept in the ledger.")


def _change(session: Session, what: str, facts: Mapping[str, object], *, as_: str, yes: bool, key: Path | None) -> None:
    """Show a change of the roster and have a yes for it."""
    screen = [f"{what}:", *fields(facts, indent=2)]
    consent(session, f"Sign this change as {clean(as_)}?", screen, yes=yes, key=key)


@group("approver", example="mreg approver list")
def approver_command() -> None:
    """Say who may approve."""


@approver_command.command(
    "add",
    example='mreg approver add "Ada Lovelace <ada@example.org>" --role technical-sme --public-key ada.pub'
    " --as lead@example.org --key ~/.ssh/id_ed25519",
)
@click.argument("person", metavar='"NAME <EMAIL>"')
@click.option(
    "--role",
    required=True,
    type=click.Choice(["ai-governance-lead", "technical-sme"]),
    help="What they may sign.",
)
@_public_key
@signer_options
@pass_session
def approver_add(
    session: Session, *, person: str, role: str, public_key: Path, as_: str, key: Path | None, yes: bool
) -> None:
    """Enrol somebody with a key. The first lead of a registry signs with the own key."""
    registry = session.open()
    facts = {"person": person, "role": role, "public key": str(public_key)}
    _change(session, "Enrol an approver", facts, as_=as_, yes=yes, key=key)
    result = registry.approver_add(person, role=role, public_key=public_key, as_=as_, key=key)
    finish(
        session,
        result,
        f"enrolled {person} as {role}",
        same=f"{person} is enrolled so already; nothing changed",
    )


@approver_command.command(
    "revoke", example='mreg approver revoke ada@example.org --reason "left the team" --as lead@example.org'
)
@click.argument("email", metavar="EMAIL")
@_reason
@signer_options
@pass_session
def approver_revoke(session: Session, *, email: str, reason: str, as_: str, key: Path | None, yes: bool) -> None:
    """Let somebody approve no more; what they signed before stays good."""
    registry = session.open()
    _change(session, "Revoke an approver", {"email": email, "reason": reason}, as_=as_, yes=yes, key=key)
    result = registry.approver_revoke(email, reason=reason, as_=as_, key=key)
    finish(session, result, f"revoked {email}", same=f"{email} is revoked already; nothing changed")


@approver_command.command("list", example="mreg approver list --json")
@pass_session
def approver_list(session: Session) -> None:
    """List who may approve, and who once could."""
    found = session.open().approver_list()
    document = {"schema": "manual-registry/approver-list/1", "approvers": found}
    answer(session, document, [] if session.json else _roster(found, ("name", "email", "role"), "no approvers"))


def _roster(entries: Sequence[Mapping[str, Any]], names: tuple[str, ...], empty: str) -> list[str]:
    if not entries:
        return [empty]
    rows = [
        [*(entry[name] for name in names), entry["fingerprint"], moment(entry["since"]), _revoked(entry)]
        for entry in entries
    ]
    return table([*(name.capitalize() for name in names), "Key", "Since", "Revoked"], rows)


def _revoked(entry: Mapping[str, Any]) -> str:
    if not entry.get("revoked_at"):
        return "-"
    reason = f" ({entry['reason']})" if entry.get("reason") else ""
    return moment(entry["revoked_at"]) + reason


@group("pipeline", example="mreg pipeline list")
def pipeline_command() -> None:
    """Say which CI pipelines may promote."""


@pipeline_command.command(
    "add", example="mreg pipeline add ci --public-key ci.pub --as lead@example.org --key ~/.ssh/id_ed25519"
)
@click.argument("name", metavar="NAME")
@_public_key
@signer_options
@pass_session
def pipeline_add(session: Session, *, name: str, public_key: Path, as_: str, key: Path | None, yes: bool) -> None:
    """Enrol a pipeline with a key of its own."""
    registry = session.open()
    _change(session, "Enrol a pipeline", {"name": name, "public key": str(public_key)}, as_=as_, yes=yes, key=key)
    result = registry.pipeline_add(name, public_key=public_key, as_=as_, key=key)
    finish(
        session,
        result,
        f"enrolled the pipeline {name}",
        same=f"{name} is enrolled so already; nothing changed",
    )


@pipeline_command.command("revoke", example='mreg pipeline revoke ci --reason "runner rebuilt" --as lead@example.org')
@click.argument("name", metavar="NAME")
@_reason
@signer_options
@pass_session
def pipeline_revoke(session: Session, *, name: str, reason: str, as_: str, key: Path | None, yes: bool) -> None:
    """Let a pipeline promote no more; what it promoted before stays good."""
    registry = session.open()
    _change(session, "Revoke a pipeline", {"name": name, "reason": reason}, as_=as_, yes=yes, key=key)
    result = registry.pipeline_revoke(name, reason=reason, as_=as_, key=key)
    finish(session, result, f"revoked the pipeline {name}", same=f"{name} is revoked already; nothing changed")


@pipeline_command.command("list", example="mreg pipeline list --json")
@pass_session
def pipeline_list(session: Session) -> None:
    """List the pipelines that may promote, and those that once could."""
    found = session.open().pipeline_list()
    document = {"schema": "manual-registry/pipeline-list/1", "pipelines": found}
    answer(session, document, [] if session.json else _roster(found, ("name",), "no pipelines"))


@group("policy", example="mreg policy show")
def policy_command() -> None:
    """Look at the policy; put a changed one in force."""


@policy_command.command("show", example="mreg policy show")
@pass_session
def policy_show(session: Session) -> None:
    """Show the policy in force, and where registry.toml says otherwise."""
    document = session.open().policy_show()
    answer(session, document, [] if session.json else policy_lines(document))


@policy_command.command("sign", example="mreg policy sign --as lead@example.org --key ~/.ssh/id_ed25519")
@signer_options
@pass_session
def policy_sign(session: Session, *, as_: str, key: Path | None, yes: bool) -> None:
    """Put the [policy] of registry.toml in force; the differences are shown first."""
    registry = session.open()
    document = registry.policy_show()
    session.told.update(session.warnings())  # that it differs: the screen says so, and signing ends it
    if document["differs"]:
        screen = ["The policy would change:", *policy_difference_lines(document)]
        consent(session, f"Sign this policy as {clean(as_)}?", screen, yes=yes, key=key)
    result = registry.policy_sign(as_=as_, key=key)
    finish(
        session,
        result,
        "the policy of registry.toml is in force",
        same="that policy is in force already; nothing changed",
    )
