"""Commands that move a version through its life: promote, rollback, deploy, archive, unarchive; delete."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from manual_registry.cli.ask import progress
from manual_registry.cli.options import command, pipeline_options, reason_option, ref_argument, to_option
from manual_registry.cli.output import finish, subject
from manual_registry.cli.session import Session, pass_session
from manual_registry.core.errors import UsageError


def _pipeline_key(pipeline: str | None, key: str | Path | None, token: Path | None) -> str | Path | None:
    """Take the key only with a pipeline and no token: the environment variable may be set for other jobs."""
    typed = click.get_current_context().get_parameter_source("pipeline_key") is ParameterSource.COMMANDLINE
    if typed and pipeline is None:
        raise UsageError("--pipeline-key needs --pipeline NAME")
    return key if typed or (pipeline is not None and token is None) else None


@command("promote", example="mreg promote churn@1 --to production --pipeline ci --pipeline-key ~/.ssh/ci")
@ref_argument
@to_option
@reason_option
@pipeline_options
@pass_session
def promote_command(
    session: Session,
    *,
    ref: str,
    to: str,
    reason: str | None,
    pipeline: str | None,
    pipeline_key: str | Path | None,
    oidc_token_file: Path | None,
) -> None:
    """Move a version to another stage, if the policy lets it.

    Every reason against it is told. Exit status 9: only the approver's signature is missing.
    """
    key = _pipeline_key(pipeline, pipeline_key, oidc_token_file)
    identity: dict[str, Any] = {"pipeline": pipeline, "pipeline_key": key, "oidc_token_file": oidc_token_file}
    registry = session.open()
    with progress(f"check {ref}") as bar:
        result = registry.promote(ref, to=to, reason=reason, progress=bar, **identity)
    name = subject(result)
    finish(
        session,
        result,
        f"{name} is now in {result.stage}",
        same=f"{name} is in {result.stage} already; nothing changed",
    )


@command(
    "rollback",
    example='mreg rollback churn --to 1 --reason "incident 42" --pipeline ci --pipeline-key ~/.ssh/ci',
)
@click.argument("model", metavar="MODEL")
@click.option("--to", required=True, metavar="VERSION", help="A version that was in production.")
@click.option("--reason", required=True, metavar="TEXT", help="Why; kept in the ledger.")
@pipeline_options
@pass_session
def rollback_command(
    session: Session,
    *,
    model: str,
    to: str,
    reason: str,
    pipeline: str | None,
    pipeline_key: str | Path | None,
    oidc_token_file: Path | None,
) -> None:
    """Put an earlier production version back.

    It rests on that version's last approval; a lead ratifies it within 48 hours.
    """
    key = _pipeline_key(pipeline, pipeline_key, oidc_token_file)
    identity: dict[str, Any] = {"pipeline": pipeline, "pipeline_key": key, "oidc_token_file": oidc_token_file}
    registry = session.open()
    with progress(f"check {model}@{to}") as bar:
        result = registry.rollback(model, to=to, reason=reason, progress=bar, **identity)
    ratify = f"; a lead ratifies it by signing {result.id}" if result.id else ""
    name = subject(result)
    same = f"{name} is in {result.stage} already; nothing changed"
    finish(session, result, f"{name} is back in {result.stage}{ratify}", same=same)


@command("archive", example='mreg archive churn@1 --reason "replaced by 2"')
@click.argument("ref", metavar="[REF]", required=False)
@reason_option
@click.option("--pending", is_flag=True, help="Move the files of every version that a promotion replaced.")
@pass_session
def archive_command(session: Session, *, ref: str | None, reason: str | None, pending: bool) -> None:
    """Move a version into the archive.

    It lies in a BagIt bag under archive/ then, readable and traceable. Give REF or --pending.
    """
    if (ref is None) == (not pending):
        raise UsageError("archive takes a REF, or --pending for all that were replaced")
    if pending and reason is not None:
        raise UsageError("--reason belongs to a REF; --pending moves what was replaced already")
    registry = session.open()
    with progress("archive") as bar:
        if ref is None:
            result = registry.archive_pending(progress=bar)
        else:
            result = registry.archive(ref, reason=reason or "", progress=bar)
    done = f"archived {subject(result)}" if ref is not None else "moved what was replaced into the archive"
    same = (
        "nothing is waiting to be moved" if ref is None else f"{subject(result)} is archived already; nothing changed"
    )
    finish(session, result, done, same=same)


@command("unarchive", example='mreg unarchive churn@1 --reason "needed for the audit"')
@ref_argument
@reason_option
@pass_session
def unarchive_command(session: Session, *, ref: str, reason: str | None) -> None:
    """Copy an archived version back to staging; the bag stays."""
    registry = session.open()
    with progress(f"unarchive {ref}") as bar:
        result = registry.unarchive(ref, reason=reason or "", progress=bar)
    finish(session, result, f"{subject(result)} is back in {result.stage}")


@command("deploy", example="mreg deploy churn@1 --environment production --path /srv/churn/model.onnx")
@ref_argument
@click.option("--environment", required=True, metavar="NAME", help="Where it runs.")
@click.option("--at", metavar="TIME", help="Since (or until) when [default: now].")
@click.option("--path", "path", metavar="PATH", help="Where the file lies there.")
@click.option("--end", is_flag=True, help="It ends there.")
@pass_session
def deploy_command(
    session: Session, *, ref: str, environment: str, at: str | None, path: str | None, end: bool
) -> None:
    """Record where a version runs.

    The model's earlier deployment in that environment ends.
    """
    result = session.open().deploy(ref, environment=environment, at=at, path=path, end=end)
    done = "no longer runs" if end else "runs"
    finish(session, result, f"{subject(result)} {done} in {environment}")


@click.argument("ref", metavar="REF", nargs=-1, required=True, type=click.UNPROCESSED)
@pass_session
def _delete(session: Session, ref: tuple[str, ...]) -> None:
    """Always refused: nothing is ever deleted. Versions are archived.

    Exit status 3.
    """
    session.open().delete(ref[0])


# Options that other tools have (--force) are refused with the same reason, not as usage errors.
delete_command = command("delete", example='mreg archive churn@1 --reason "retired"')(_delete)
delete_command.context_settings = {"ignore_unknown_options": True}
