"""The groups `approver`, `pipeline` and `policy`: who may sign what, each change signed by a lead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from manual_registry.cli.ask import consent
from manual_registry.cli.destination import check_destination, deliver, make_folder
from manual_registry.cli.options import PATH, change_options, group, is_stdout, output_option, yes_option
from manual_registry.cli.output import answer, clean, err, finish
from manual_registry.cli.screens import policy_difference_lines, policy_lines
from manual_registry.cli.session import Session, pass_session, registry_class
from manual_registry.cli.tables import fields, moment, table

if TYPE_CHECKING:
    from manual_registry.core.results import Result

#: `pipeline template`: which there are.
PIPELINE_TEMPLATES = ("github", "gitlab", "github-oidc", "gitlab-oidc")
_public_key = click.option("--public-key", required=True, type=PATH, metavar="FILE", help="Public key (.pub).")
_reason = click.option("--reason", required=True, metavar="TEXT", help="Why; kept in the ledger.")


def agree(
    session: Session,
    what: str,
    facts: Mapping[str, object],
    *,
    as_: str | None,
    yes: bool,
    key: Path | None,
    takes_away: bool = False,
) -> None:
    """Show a change and have a yes for it, if somebody signs it now.

    A closed register takes only what ``takes_away``: nobody is asked for anything else, which the command then refuses
    (or says that it stands already).
    """
    if as_ is None or not (takes_away or session.open().takes_signature()):
        return
    screen = [f"{what}:", *fields(facts, indent=2)]
    consent(session, f"Sign this change as {clean(as_)}?", screen, yes=yes, key=key)


def finish_change(session: Session, result: Result, done: str, *, same: str) -> None:
    """End a command that changes something by a lead's signature, or has asked for it."""
    if result.waiting_for:
        done, same = (
            f"opened request {clean(result.id)}",
            f"request {clean(result.id)} is open already; nothing changed",
        )
    finish(session, result, done, same=same)


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
    type=click.Choice(["ai-governance-lead", "technical-sme", "delegate"]),
    help="What they may sign.",
)
@_public_key
@change_options
@pass_session
def approver_add(
    session: Session, *, person: str, role: str, public_key: Path, as_: str | None, key: Path | None, yes: bool
) -> None:
    """Enrol somebody with a key. The first lead of a registry signs with the own key.

    Somebody whose key was revoked may be enrolled again, with a new one.
    """
    registry = session.open()
    facts = {"person": person, "role": role, **registry.pipeline_facts(public_key=public_key)}
    agree(session, "Enrol an approver", facts, as_=as_, yes=yes, key=key)
    result = registry.approver_add(person, role=role, public_key=public_key, as_=as_, key=key)
    finish_change(
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
@click.option("--compromised-since", metavar="TIME", help="Since when somebody else may have had the key.")
@click.option(
    "--former-key",
    metavar="FINGERPRINT",
    help="Say that of this key, which signs no more (SHA256:…, from `approver list`); nobody is revoked.",
)
@change_options
@pass_session
def approver_revoke(
    session: Session,
    *,
    email: str,
    reason: str,
    compromised_since: str | None,
    former_key: str | None,
    as_: str | None,
    key: Path | None,
    yes: bool,
) -> None:
    """Let somebody approve no more; what they signed before stays good.

    With --compromised-since, verify finds what was signed with that key since then, unless an anchor shows that it
    is older. A key that was replaced (by `approver recover`, say) or revoked before is named by --former-key; the key
    that the person has now goes on.
    """
    registry = session.open()
    facts = {"email": email, "reason": reason, "former key": former_key, "compromised since": compromised_since}
    facts["afterwards"] = None if former_key else registry.without_leads(email)
    facts = {name: value for name, value in facts.items() if value}
    what = "Tell a former key as stolen" if former_key else "Revoke an approver"
    agree(session, what, facts, as_=as_, yes=yes, key=key, takes_away=True)
    if as_ is not None and not session.json:
        session.told.add(facts.get("afterwards") or "")  # the screen said it
    result = registry.approver_revoke(
        email, reason=reason, compromised_since=compromised_since, former_key=former_key, as_=as_, key=key
    )
    done, same = f"revoked {email}", f"{email} is revoked already; nothing changed"
    if former_key:
        done, same = f"told a former key of {email} as compromised", "that is told already; nothing changed"
    finish_change(session, result, done, same=same)


@approver_command.command(
    "delegate",
    example="mreg approver delegate ben@example.org --models 'churn*' --from 2026-12-21 --until 2027-01-06"
    ' --reason "the lead is on leave" --as lead@example.org',
)
@click.argument("email", metavar="EMAIL")
@click.option("--models", required=True, metavar="GLOB", help="Which models: a name, or a pattern with * ? [ ].")
@click.option("--from", "from_", required=True, metavar="DATE", help="The first day (UTC).")
@click.option("--until", required=True, metavar="DATE", help="The last day (UTC).")
@_reason
@change_options
@pass_session
def approver_delegate(
    session: Session,
    *,
    email: str,
    models: str,
    from_: str,
    until: str,
    reason: str,
    as_: str | None,
    key: Path | None,
    yes: bool,
) -> None:
    """Let a delegate approve in a lead's place, for a time.

    EMAIL is enrolled as delegate. A delegate changes neither roster, pipelines, exceptions nor policy.
    """
    registry = session.open()
    facts = {"delegate": email, "models": models, "from": from_, "until": until, "reason": reason}
    agree(session, "Delegate approvals", facts, as_=as_, yes=yes, key=key)
    result = registry.approver_delegate(email, models=models, from_=from_, until=until, reason=reason, as_=as_, key=key)
    finish_change(
        session, result, f"delegated to {email} ({result.id})", same=f"{result.id} says so already; nothing changed"
    )


@approver_command.command(
    "recover", example='mreg approver recover "Ada Lovelace <ada@example.org>" --public-key ada.pub --key recovery-key'
)
@click.argument("person", metavar='"NAME <EMAIL>"')
@_public_key
@click.option("--key", required=True, type=PATH, metavar="FILE", help="The recovery key that init pinned.")
@yes_option
@pass_session
def approver_recover(session: Session, *, person: str, public_key: Path, key: Path, yes: bool) -> None:
    """Enrol a lead with the recovery key, when no lead can sign.

    A lead who stands in the roster is given the new key in the place of the one that is lost.
    """
    registry = session.open()
    facts = {"person": person, "role": "ai-governance-lead", **registry.pipeline_facts(public_key=public_key)}
    agree(session, "Enrol a lead with the recovery key", facts, as_="recovery", yes=yes, key=key)
    result = registry.approver_recover(person, public_key=public_key, recovery_key=key)
    finish(session, result, f"enrolled {person} as a lead", same=f"{person} was enrolled so already; nothing changed")


@approver_command.command("list", example="mreg approver list --json")
@pass_session
def approver_list(session: Session) -> None:
    """List who may approve, and who once could."""
    found = session.open().approver_list()
    document = {"schema": "manual-registry/approver-list/1", "approvers": found}
    lines = [] if session.json else _roster(found, ("name", "email", "role"), "no approvers")
    answer(session, document, [*lines, *_delegations(found)] if lines else [])


def _delegations(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    return [
        clean(
            f"{one['id']} delegates {one['models']} to {entry['email']} from {one['from']} until {one['until']}"
            f" ({'in force' if one['in_force'] else 'not in force'}): {one['reason']}"
        )
        for entry in entries
        for one in entry.get("delegations") or []
    ]


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
    since = f", compromised since {moment(entry['compromised_since'])}" if entry.get("compromised_since") else ""
    return moment(entry["revoked_at"]) + reason + since


@group("pipeline", example="mreg pipeline list")
def pipeline_command() -> None:
    """Say which CI pipelines may promote."""


@pipeline_command.command(
    "add", example="mreg pipeline add ci --public-key ci.pub --as lead@example.org --key ~/.ssh/id_ed25519"
)
@click.argument("name", metavar="NAME")
@click.option("--public-key", type=PATH, metavar="FILE", help="Public key (.pub) of the pipeline's own.")
@click.option("--oidc", type=PATH, metavar="FILE", help="What its identity tokens must say (TOML).")
@click.option("--jwks", type=PATH, metavar="FILE", help="The provider's public keys, as you fetched them.")
@change_options
@pass_session
def pipeline_add(
    session: Session,
    *,
    name: str,
    public_key: Path | None,
    oidc: Path | None,
    jwks: Path | None,
    as_: str | None,
    key: Path | None,
    yes: bool,
) -> None:
    """Enrol a pipeline: with a key of its own, or by the identity tokens of its CI jobs.

    `mreg pipeline template github-oidc` (gitlab-oidc) writes a start of the file for --oidc, and says where the
    provider's keys are had. Keys and pins count only as signed here; for new ones, revoke and add again.
    """
    registry = session.open()
    facts = {"name": name, **registry.pipeline_facts(public_key=public_key, oidc=oidc, jwks=jwks)}
    agree(session, "Enrol a pipeline", facts, as_=as_, yes=yes, key=key)
    result = registry.pipeline_add(name, public_key=public_key, oidc=oidc, jwks=jwks, as_=as_, key=key)
    finish_change(
        session,
        result,
        f"enrolled the pipeline {name}",
        same=f"{name} is enrolled so already; nothing changed",
    )


@pipeline_command.command("revoke", example='mreg pipeline revoke ci --reason "runner rebuilt" --as lead@example.org')
@click.argument("name", metavar="NAME")
@_reason
@change_options
@pass_session
def pipeline_revoke(session: Session, *, name: str, reason: str, as_: str | None, key: Path | None, yes: bool) -> None:
    """Let a pipeline promote no more; what it promoted before stays good."""
    registry = session.open()
    facts = {"name": name, "reason": reason}
    agree(session, "Revoke a pipeline", facts, as_=as_, yes=yes, key=key, takes_away=True)
    result = registry.pipeline_revoke(name, reason=reason, as_=as_, key=key)
    finish_change(session, result, f"revoked the pipeline {name}", same=f"{name} is revoked already; nothing changed")


@pipeline_command.command("list", example="mreg pipeline list --json")
@pass_session
def pipeline_list(session: Session) -> None:
    """List the pipelines that may promote, and those that once could."""
    found = session.open().pipeline_list()
    document = {"schema": "manual-registry/pipeline-list/1", "pipelines": found}
    shown = [{**one, "fingerprint": f"tokens of {one['oidc']['issuer']}"} if one["oidc"] else one for one in found]
    answer(session, document, [] if session.json else _roster(shown, ("name",), "no pipelines"))


@pipeline_command.command("template", example="mreg pipeline template github -o .github/workflows/model.yml")
@click.argument("which", metavar="NAME", type=click.Choice(PIPELINE_TEMPLATES))
@output_option()
@pass_session
def pipeline_template(session: Session, *, which: str, output: Path | None) -> None:
    """Write a workflow for GitHub Actions or GitLab CI, or a start of the file for `pipeline add --oidc`.

    NAME: github, gitlab, github-oidc, gitlab-oidc. It names this registry; lines marked with <-- are yours to change.
    """
    text = session.open().pipeline_template(which)
    if output is not None and not is_stdout(output):
        check_destination(session, output, fresh=True)
        make_folder(output)
    document = {"schema": "manual-registry/pipeline-template/1", "name": which, "text": text}
    if session.json or output is None or is_stdout(output):
        answer(session, document, text.splitlines())
    deliver(session, output, text.encode("utf-8"))


@group("policy", example="mreg policy show")
def policy_command() -> None:
    """Look at the policy; put a changed one in force."""


@policy_command.command("show", example="mreg policy show")
@pass_session
def policy_show(session: Session) -> None:
    """Show the policy in force, and where registry.toml says otherwise."""
    document = session.open().policy_show()
    answer(session, document, [] if session.json else policy_lines(document))


@policy_command.command("restore", example="mreg policy restore")
@pass_session
def policy_restore(session: Session) -> None:
    """Write registry.toml anew, from the ledger, where it is gone.

    What leads have signed stands in the ledger; a registry.toml that is there is not touched.
    """
    path, told = registry_class().policy_restore(session.registry)
    document = {"schema": "manual-registry/policy-restore/1", "path": str(path), "told": told}
    answer(session, document, [f"wrote {clean(path)}", told, "next: mreg verify"])


@policy_command.command("sign", example="mreg policy sign --as lead@example.org --key ~/.ssh/id_ed25519")
@change_options
@pass_session
def policy_sign(session: Session, *, as_: str | None, key: Path | None, yes: bool) -> None:
    """Put the [policy] of registry.toml in force; the differences are shown first."""
    registry = session.open()
    document = registry.policy_show()
    session.told.update(session.warnings())  # that it differs: the screen says so, and signing ends it
    if not registry.takes_signature():
        pass  # it is refused: nobody is asked first
    elif document["differs"] and as_ is None and not session.json:
        for line in ["The policy would change:", *policy_difference_lines(document)]:
            err(line)
    elif document["differs"] and as_ is not None:
        screen = ["The policy would change:", *policy_difference_lines(document)]
        consent(session, f"Sign this policy as {clean(as_)}?", screen, yes=yes, key=key)
    result = registry.policy_sign(as_=as_, key=key)
    finish_change(
        session,
        result,
        "the policy of registry.toml is in force",
        same="that policy is in force already; nothing changed",
    )
