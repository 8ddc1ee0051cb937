"""Commands that bring a team's own spreadsheet in: adopt, take-in. `adopt` prints its document also when it exits 7."""

from __future__ import annotations

from pathlib import Path

import click

from manual_registry.cli.ask import progress
from manual_registry.cli.options import PATH, command, ref_argument
from manual_registry.cli.output import answer, clean, finish, head_line, out, warn
from manual_registry.cli.session import Session, pass_session, registry_class


@command("adopt", example="mreg adopt tracking.xlsx --storage ../models --dry-run")
@click.argument("sheet", metavar="SHEET.xlsx", type=PATH)
@click.option("--storage", type=PATH, metavar="DIR", help="Where the model files lie, beside the sheet's own folder.")
@click.option("--mapping", type=PATH, metavar="FILE", help="A mapping file of this command, corrected.")
@click.option("--in-place", is_flag=True, help="Hash the files where they lie and do not copy them.")
@click.option("--dry-run", is_flag=True, help="Say what would be done; needs no registry.")
@pass_session
def adopt_command(
    session: Session, *, sheet: Path, storage: Path | None, mapping: Path | None, in_place: bool, dry_run: bool
) -> None:
    """Bring a team's own tracking sheet in.

    Each row whose file is there becomes a version, in the stage that it states; control starts today.
    What cannot be known is asked, in a mapping file beside the sheet (exit 7), and the original is kept whole.
    """
    with progress(f"adopt {sheet.name}") as bar:
        if dry_run:
            done = registry_class().adopt_dry_run(
                sheet, registry=session.registry, storage=storage, mapping=mapping, in_place=in_place, progress=bar
            )
        else:
            done = session.open().adopt(sheet, storage=storage, mapping=mapping, in_place=in_place, progress=bar)
    answer(session, done.document(), map(clean, done.lines()))
    if not session.json:
        warn(session, done.warnings)
    if done.open:
        raise done.refusal()
    if session.json:
        return
    if done.next:
        out(f"next: {clean(done.next)}")
    if done.result is not None:
        out(head_line(done.result.ledger))


@command("take-in", example="mreg take-in churn@1.0")
@ref_argument
@pass_session
def take_in_command(session: Session, *, ref: str) -> None:
    """Copy a version's files into the registry.

    For what was adopted with --in-place: the copy must have the hash that the files had then.
    """
    with progress(f"take-in {ref}") as bar:
        result = session.open().take_in(ref, progress=bar)
    finish(session, result, f"took the files of {clean(result.model)}@{clean(result.version)} in")
