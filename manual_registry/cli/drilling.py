"""The command `drill`: archived versions are had back, for proof that they can be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from manual_registry.cli.ask import progress
from manual_registry.cli.boundary import end, stoppable
from manual_registry.cli.options import command
from manual_registry.cli.output import answer, clean, head_line, located, out, style
from manual_registry.cli.session import Session, pass_session
from manual_registry.cli.tables import size_text
from manual_registry.core.errors import IntegrityError

if TYPE_CHECKING:
    from manual_registry.registry.drilled import Drilling, Outcome

#: So many versions that came back, and so many problems of one that did not, are shown; --json lists them all.
SHOWN = 20


@command("drill", example="mreg drill --sample 5")
@click.option(
    "--sample",
    type=click.IntRange(min=1),
    metavar="N",
    help="N versions: those never tried first, then those tried longest ago. [default: all that are archived]",
)
@pass_session
def drill_command(session: Session, *, sample: int | None) -> None:
    """Try whether archived versions can be had back.

    Each is copied out of the archive to a temporary place (TMPDIR), checked there to the last file and signature, and
    removed again. The outcome is kept in the ledger. Once a year is asked for; a closed register takes it, too.

    Exit status 4: at least one could not be had back as registered.
    """
    registry = session.open()
    with stoppable("no copy is left"), progress("drill") as bar:
        done = registry.drill(sample=sample, progress=bar)
    answer(session, done.document(), _lines(done))
    if not session.json:
        out(f"next: {clean(done.next)}")
        out(head_line(done.head))
    if done.unrecorded is not None:
        end(session, done.unrecorded)
    if not done.ok:
        click.get_current_context().exit(IntegrityError.status)


def _lines(done: Drilling) -> Iterator[str]:
    if not done.outcomes:
        yield "nothing is archived: there is nothing to have back, and nothing changed"
        return
    good, bad = ([one for one in done.outcomes if one.ok is ok] for ok in (True, False))
    for one in (*good[:SHOWN], *bad):
        yield from _version(one)
    if len(good) > SHOWN:
        yield f"and {len(good) - SHOWN} more had back; --json lists them all"
    versions = f"{len(done.outcomes)} of {done.archived} archived version{'' if done.archived == 1 else 's'}"
    verdict = (
        style(f"{len(bad)} could NOT be had back", "red", bold=True)
        if bad
        else style("all had back as registered", "green", bold=True)
    )
    amount = f"{size_text(sum(one.bytes for one in done.outcomes))} in {_seconds(done.outcomes)}"
    kept = "" if done.event is None else f"; kept as event {done.event}"
    yield f"{versions} tried: {verdict}; {amount}{kept}"


def _version(one: Outcome) -> Iterator[str]:
    ref, place = clean(one.ref), clean(one.place)
    waits = "" if place.startswith("archive/") else " (its move into the archive is pending)"
    if one.ok:
        files = f"{one.files} file{'' if one.files == 1 else 's'}, {size_text(one.bytes)}"
        yield f"{style('had back', 'green')}  {ref} from {place}{waits}: {files} in {_seconds([one])}"
        return
    yield f"{style('FAILED', 'red')}    {ref} from {place}{waits}"
    for found in one.problems[:SHOWN]:
        yield f"            {found.code} {clean(located(found.location, found.message))}"
    if len(one.problems) > SHOWN:
        yield f"            and {len(one.problems) - SHOWN} more; --json lists them all"


def _seconds(outcomes: list[Outcome]) -> str:
    return f"{sum(one.milliseconds for one in outcomes) / 1000:.1f} s"
