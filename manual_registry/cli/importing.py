"""Commands that take in what another register holds: import mlflow. It prints its document also when it exits 4, 6 or 8."""

from __future__ import annotations

import click

from manual_registry.cli.ask import progress
from manual_registry.cli.boundary import stoppable
from manual_registry.cli.options import group
from manual_registry.cli.output import answer, clean, head_line, out, warn
from manual_registry.cli.session import Session, pass_session

EXAMPLE = "mreg import mlflow --tracking-uri http://127.0.0.1:5000"


@group("import", example=f"{EXAMPLE} --dry-run")
def import_command() -> None:
    """Bring in what another register holds."""


@import_command.command("mlflow", example=f"{EXAMPLE} --model churn --dry-run")
@click.option("--tracking-uri", required=True, metavar="URI", help="The MLflow server, http or https.")
@click.option("--model", "models", multiple=True, metavar="NAME", help="That registered model alone; may be repeated.")
@click.option("--dry-run", is_flag=True, help="Write nothing; say what would come, and what cannot.")
@pass_session
def mlflow_command(session: Session, *, tracking_uri: str, models: tuple[str, ...], dry_run: bool) -> None:
    """Bring in the registered versions of an MLflow server.

    Each becomes a version in the stage that MLflow states; control starts today, and one lead signature confirms all
    of it. What export mlflow wrote there comes back whole. Credentials come from MLflow's own environment variables.

    Exit status 4: files in MLflow are not what was said of them; those versions are left out. 8: what is out of reach
    (a store that does not let us in) is left out, and 6 what an export has written half; repeat the import then.
    """
    registry = session.open()
    stays = "nothing was written" if dry_run else "what came in stays, and the same command goes on from it"
    with stoppable(stays), progress("import") as bar:
        done = registry.import_mlflow(tracking_uri, models=models, dry_run=dry_run, progress=bar)
    answer(session, done.document(), map(clean, done.lines()))
    if not session.json:
        warn(session, done.warnings)
        if done.next:
            out(f"next: {clean(done.next)}")
        if done.result is not None:
            out(head_line(done.result.ledger))
    if done.exit_status:
        click.get_current_context().exit(done.exit_status)
