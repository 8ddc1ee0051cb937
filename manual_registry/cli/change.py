"""Commands that bring facts in: register, attach, note, tag, alias."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from manual_registry.cli.ask import progress
from manual_registry.cli.destination import check_destination
from manual_registry.cli.options import PATH, F, command, group, is_stdout, option_chain, ref_argument
from manual_registry.cli.output import clean, emit, finish, out, subject, warn, write_file
from manual_registry.cli.session import Session, pass_session
from manual_registry.core.errors import UsageError


def _file(name: str, text: str, **more: Any) -> Callable[[F], F]:
    return click.option(name, type=PATH, metavar="FILE", help=text, **more)


register_options = option_chain(
    _file("--metadata", "Metadata file (YAML, JSON or TOML); options win over it."),
    click.option(
        "--commit",
        metavar="SHA",
        help="The commit that trained it [default: the CI job's, or what --repo has checked out].",
    ),
    click.option("--repo", type=PATH, metavar="DIR", help="The git repository of the commit."),
    click.option(
        "--data",
        multiple=True,
        metavar="REF",
        help="Training data: dvc:, git:, lakefs://, delta:, sha256: or mlflow:.",
    ),
    click.option("--pipeline-run", metavar="ID", help="The run that trained it."),
    click.option("--trained", metavar="DATE", help="When it was trained."),
    click.option("--owner", metavar="TEXT", help="Who owns it."),
    _file("--metrics", "Evaluation metrics."),
    _file("--params", "Hyperparameters."),
    _file("--gates", "A gate report; may repeat.", multiple=True),
    _file("--config", "Configuration file."),
    _file("--prompt", "Prompt file."),
    _file("--environment", "Environment file (a lock file, say)."),
    _file("--card", "Model card."),
    click.option("--dereference", is_flag=True, help="Copy what symbolic links point to."),
    _file("--template", "Register nothing: write a metadata file to fill in, started from git, DVC and CI."),
    click.option(
        "--from-run",
        metavar="RUN_ID",
        help="Take an MLflow run's model, commit, params, metrics and data sets; options win. PATH chooses among several"
        " models of the run.",
    ),
    click.option(
        "--tracking-uri",
        metavar="URI",
        help="Where the run is: a server, an mlruns folder or an SQLite file"
        " [default: $MLFLOW_TRACKING_URI, mlruns or mlflow.db here].",
    ),
)


@command("register", example="mreg register churn next churn.onnx --metadata churn.yaml --gates gates.json")
@click.argument("model", metavar="MODEL")
@click.argument("version", metavar="VERSION")
@click.argument("path", metavar="[PATH]", type=PATH, required=False)
@register_options
@pass_session
def register_command(
    session: Session,
    /,
    model: str,
    version: str,
    path: Path | None,
    template: Path | None,
    from_run: str | None,
    tracking_uri: str | None,
    **given: Any,
) -> None:
    """Copy a file or folder in as MODEL@VERSION.

    It stays for good and is never changed.
    VERSION next counts up. What the risk class asks for and is not there is named, all at once.
    """
    _check_source(path, template, from_run, tracking_uri)
    registry = session.open()
    if template is not None and path is not None:
        _write_template(session, template, f"mreg register {model} {version} {path}", path, given["repo"])
        return
    with progress(f"register {model}") as bar:
        if from_run is not None:
            inside = path.as_posix() if path is not None else None
            result = registry.register_from_run(
                model, version, from_run, path=inside, tracking_uri=tracking_uri, progress=bar, **given
            )
        elif path is not None:
            result = registry.register(model, version, path, progress=bar, **given)
    name = subject(result)
    lines = [f"next: {clean(result.next)}"] if result.next else []
    if result.composite_id:
        lines.insert(0, f"composite version: {clean(result.composite_id)}")
    same = f"{name} is registered already with the same content and metadata; nothing changed"
    finish(session, result, f"registered {name} ({result.stage})", after=lines, same=same)


def _check_source(path: Path | None, template: Path | None, from_run: str | None, tracking_uri: str | None) -> None:
    if path is None and from_run is None:
        raise UsageError("what is to be registered? Give PATH, a file or folder, or --from-run RUN_ID of MLflow")
    if tracking_uri is not None and from_run is None:
        raise UsageError("--tracking-uri says where the run of --from-run is; without that it means nothing")
    if template is not None and from_run is not None:
        raise UsageError(
            "--template starts from a PATH; beside --from-run a --metadata file has what the run does not say"
        )


def _write_template(session: Session, template: Path, command_line: str, path: Path, repo: Path | None) -> None:
    """Write the start of a metadata file; an existing file is never overwritten."""
    to_stdout = is_stdout(template)
    if not to_stdout:
        check_destination(session, template, fresh=True)
    text = session.open().metadata_template(path, repo=repo)
    following = f"{command_line} --metadata {template}"
    if not to_stdout:
        write_file(template, text.encode())
    if session.json:
        emit(
            {
                "schema": "manual-registry/register-template/1",
                "template": text,
                "path": str(template),
                "next": following,
            }
        )
    elif to_stdout:
        out(clean(text, lines=True).rstrip("\n"))
    else:
        out(f"wrote {clean(template)}; nothing is registered yet. Fill it in, then")
        out(f"next: {clean(following)}")
    warn(session)


@command("attach", example="mreg attach churn@1 --gates fairness.json --card card.yaml")
@ref_argument
@_file("--gates", "A gate report; may repeat.", multiple=True)
@_file("--card", "Model card.")
@_file("--environment", "Environment file (a lock file, say).")
@_file("--metadata", "Metadata file; fills fields that are empty.")
@_file("--evidence", "Any other file to keep; may repeat.", multiple=True)
@pass_session
def attach_command(session: Session, /, ref: str, **given: Any) -> None:
    """Add reports, a card or evidence to a version.

    Nothing that stands is changed.
    An approval that is open lapses, because its evidence is not the same any more.
    """
    if not any(given.values()):
        raise UsageError("nothing to attach: give --gates, --card, --environment, --metadata or --evidence")
    result = session.open().attach(ref, **given)
    finish(session, result, f"attached to {subject(result)}")


@command("note", example='mreg note churn@1 "Retrained after the March incident"')
@ref_argument
@click.argument("text", metavar="TEXT")
@pass_session
def note_command(session: Session, ref: str, text: str) -> None:
    """Keep a sentence with a version."""
    result = session.open().note(ref, text)
    finish(session, result, f"noted on {subject(result)}")


@command("tag", example="mreg tag churn@1 team=risk region=eu")
@ref_argument
@click.argument("pairs", metavar="KEY=VALUE...", nargs=-1, required=True)
@pass_session
def tag_command(session: Session, ref: str, pairs: tuple[str, ...]) -> None:
    """Set tags of a version."""
    tags = _tags(pairs)
    result = session.open().tag(ref, tags)
    finish(session, result, f"tagged {subject(result)}")


def _tags(pairs: tuple[str, ...]) -> dict[str, str]:
    tags: dict[str, str] = {}
    for pair in pairs:
        key, sign, value = pair.partition("=")
        if not (key and sign):
            raise UsageError(f"{pair!r} is not a tag: write KEY=VALUE")
        if key in tags:
            raise UsageError(f"the tag {key!r} is given twice")
        tags[key] = value
    return tags


@group("alias", example="mreg alias set churn champion 3")
def alias_command() -> None:
    """Name a version of a model by a word that can move."""


@alias_command.command("set", example="mreg alias set churn champion 3")
@click.argument("model", metavar="MODEL")
@click.argument("name", metavar="NAME")
@click.argument("version", metavar="VERSION")
@pass_session
def alias_set(session: Session, model: str, name: str, version: str) -> None:
    """Let MODEL@NAME mean MODEL@VERSION."""
    result = session.open().alias_set(model, name, version)
    finish(session, result, f"{model}@{name} now means {subject(result)}")


@alias_command.command("remove", example="mreg alias remove churn champion")
@click.argument("model", metavar="MODEL")
@click.argument("name", metavar="NAME")
@pass_session
def alias_remove(session: Session, model: str, name: str) -> None:
    """Take the alias away; the version stays."""
    result = session.open().alias_remove(model, name)
    finish(session, result, f"removed the alias {model}@{name}")
