"""Commands that begin or mend a registry: init, demo, reset-view."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click

from manual_registry.cli.ask import ask_choice, ask_text, ask_until
from manual_registry.cli.checks import FAILED, show_trace
from manual_registry.cli.options import PATH, command
from manual_registry.cli.output import clean, err, finish, out
from manual_registry.cli.session import Session, interactive, pass_session, registry_class
from manual_registry.core.errors import RiskMissing, UsageError

RISKS = ("high", "limited", "minimal")


@dataclass(slots=True)
class _Wishes:
    """What `init` was told, on the command line or in answers."""

    system: str | None
    risk: str | None
    placed_on_market: str | None
    leads: list[tuple[str, Path]]


@command(
    "init",
    example='mreg init --risk high --lead "Lea Lead <lea@example.org>" --lead-key ~/.ssh/id_ed25519.pub',
)
@click.argument("directory", metavar="[DIR]", type=PATH, required=False)
@click.option("--system", metavar="NAME", help="The AI system [default: the folder's name].")
@click.option("--risk", type=click.Choice(RISKS), help="Its risk class under the EU AI Act.")
@click.option("--placed-on-market", metavar="DATE", help="The ten years of retention count from it.")
@click.option("--lead", "people", multiple=True, metavar='"NAME <EMAIL>"', help="An AI Governance Lead; may repeat.")
@click.option(
    "--lead-key",
    "keys",
    multiple=True,
    type=PATH,
    metavar="KEY.pub",
    help="The lead's public key, one for each.",
)
@click.option("--recovery-key", type=PATH, metavar="KEY.pub", help="A key kept offline that can enrol a lead.")
@click.option("--continues", type=PATH, metavar="OLD", help="A registry that cannot go on: its head is pinned.")
@pass_session
def init_command(
    session: Session,
    *,
    directory: Path | None,
    system: str | None,
    risk: str | None,
    placed_on_market: str | None,
    people: tuple[str, ...],
    keys: tuple[Path, ...],
    recovery_key: Path | None,
    continues: Path | None,
) -> None:
    """Make a registry in DIR (default: here).

    On a terminal, what is missing is asked.
    """
    if len(people) != len(keys):
        raise UsageError(f"{len(people)} --lead and {len(keys)} --lead-key: each lead has one key")
    root = directory or session.registry or Path()
    wishes = _Wishes(system, risk, placed_on_market, list(zip(people, keys, strict=True)))
    if interactive():
        _interview(wishes, root)
    if wishes.risk is None:
        raise RiskMissing(
            "say the risk class of the AI system: --risk high, limited or minimal",
            hint=f"mreg init {f'{shlex.quote(str(directory))} ' if directory else ''}--risk minimal",
        )
    result = registry_class().init(
        root,
        risk=wishes.risk,
        system=wishes.system,
        placed_on_market=wishes.placed_on_market,
        leads=wishes.leads,
        recovery_key=recovery_key,
        continues=continues,
        actor=session.actor,
    )
    finish(session, result, f"made a registry in {root.resolve()}", after=_next_commands(wishes, root))


def _interview(wishes: _Wishes, root: Path) -> None:
    """Ask for what is missing; who gave the risk class is asked for a lead alone, where one is needed."""
    if wishes.risk is None:
        wishes.system = wishes.system or ask_text("Name of the AI system", root.resolve().name) or None
        err("Risk class under the EU AI Act: high (Annex III), limited (Art. 50), minimal (all else).")
        wishes.risk = ask_choice("Risk class", RISKS)
        if wishes.risk == "high" and wishes.placed_on_market is None:
            wishes.placed_on_market = ask_until("Placed on the market on (YYYY-MM-DD, empty: not yet)", _date)
    if wishes.risk != "minimal" and not wishes.leads:
        wishes.leads += _ask_lead()


def _ask_lead() -> list[tuple[str, Path]]:
    err("An AI Governance Lead approves versions for production (empty: enrol one later).")
    person = ask_until('The lead, as "Name <email>"', _person)
    if not person:
        return []
    found = sorted((Path.home() / ".ssh").glob("*.pub"))
    for number, path in enumerate(found, start=1):
        err(f"  {number}  {clean(path)}")
    question = "The lead's public key: a number or a path (empty: enrol the lead later)"
    key = ask_until(question, lambda chosen: _key(person, chosen, found))
    return [(person, key)] if key else []


def _date(text: str) -> str | None:
    from manual_registry.core.errors import DateInFuture
    from manual_registry.core.times import normal_stamp, parse_time

    day = normal_stamp(text, where="placed on market")[:10] if text else None
    if day and parse_time(day) > datetime.now(UTC):
        raise DateInFuture(f"{day} has not come yet")
    return day


def _person(text: str) -> str:
    from manual_registry.core.values import person

    if text:
        person(text, where="the lead")
    return text


def _key(who: str, chosen: str, found: Sequence[Path]) -> Path | None:
    """Return the public key file that was chosen by number or path; it must hold one."""
    from manual_registry.registry.initialising import lead_of

    if not chosen:
        return None
    listed = chosen.isdecimal() and 1 <= int(chosen) <= len(found)
    path = found[int(chosen) - 1] if listed else Path(chosen).expanduser()
    lead_of(who, path)
    return path


def _next_commands(wishes: _Wishes, root: Path) -> list[str]:
    """Return the next three commands for this risk class."""
    if wishes.risk == "minimal":
        commands = ["mreg register MODEL next FILE", "mreg trace MODEL@latest", "mreg verify"]
    else:
        commands = [
            "mreg register MODEL next FILE --template metadata.yaml",
            "mreg register MODEL next FILE --metadata metadata.yaml",
            "mreg status",
        ]
        enrol = 'mreg approver add "NAME <EMAIL>" --role {} --public-key KEY.pub --as EMAIL --key KEY'
        commands.insert(0, enrol.format("technical-sme" if wishes.leads else "ai-governance-lead"))
        commands = commands[:3]
    there = "" if root.resolve() == Path.cwd() else f" (after: cd {shlex.quote(str(root))})"
    return [f"next{clean(there)}:", *(f"  {line}" for line in commands)]


@command("demo", example="mreg demo")
@click.argument("directory", metavar="[DIR]", type=PATH, required=False)
@pass_session
def demo_command(session: Session, *, directory: Path | None) -> None:
    """Play a whole life of a small real model.

    From training to the archive, ending with its trace.
    Everything lies in DIR (manual-registry-demo by default) afterwards, to look at.
    """
    from manual_registry.demo import run

    trace = run(directory, report=lambda line: _story(session, line))
    if not session.json:
        out()
    show_trace(session, trace, "json" if session.json else "text")
    if trace.broken:
        click.get_current_context().exit(FAILED)


def _story(session: Session, line: str) -> None:
    text = clean(line, lines=True)
    if session.json:
        err(text)
    else:
        out(text)


@command("reset-view", example="mreg reset-view")
@pass_session
def reset_view_command(session: Session) -> None:
    """Write the workbook anew; the old one is set aside."""
    registry = session.open()
    result = registry.reset_view()
    done = f"wrote {clean(registry.workbook)} anew"
    finish(session, result, done, same=done)
