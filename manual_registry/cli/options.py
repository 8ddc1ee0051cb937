"""Options that many commands share, and the classes of commands and groups.

Rule held here: ``--registry``, ``--actor`` and ``--json`` stand before or after every command and group, and
every help text ends with an example.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from manual_registry.cli.session import Session

F = TypeVar("F", bound=Callable[..., Any])

#: A path that may or may not exist: whoever opens it says what is wrong, with the right code.
PATH = click.Path(path_type=Path)


def _keep(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    if value and parameter.name is not None:
        session = context.find_object(Session)
        if session is not None:
            setattr(session, parameter.name, value)


def common_options() -> list[click.Parameter]:
    """Return fresh copies of the options that stand everywhere."""
    common: dict[str, Any] = {"expose_value": False, "is_eager": True, "callback": _keep}
    return [
        click.Option(
            ["--registry"],
            type=PATH,
            metavar="DIR",
            help="The registry's root [default: $MANUAL_REGISTRY, else the nearest parent that is one].",
            **common,
        ),
        click.Option(
            ["--actor"],
            metavar="EMAIL",
            help="Who does this [default: the CI job's starter, git's user.email, the system's user].",
            **common,
        ),
        click.Option(["--json"], is_flag=True, help="Write one JSON document.", **common),
    ]


def _write_example(formatter: click.HelpFormatter, example: str) -> None:
    formatter.write_paragraph()
    formatter.write("Example:\n")
    for line in example.splitlines():
        formatter.write(f"  {line}\n")


class Command(click.Command):
    """A command with the common options and an example."""

    def __init__(self, *args: Any, example: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.example = example
        self.params += common_options()

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the example at the very end."""
        super().format_epilog(ctx, formatter)
        _write_example(formatter, self.example)


class Group(click.Group):
    """A group with the common options and an example."""

    command_class = Command

    def __init__(self, *args: Any, example: str, **kwargs: Any) -> None:
        kwargs.setdefault("no_args_is_help", False)
        super().__init__(*args, **kwargs)
        self.example = example
        self.params += common_options()

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order in which they are used, not of the alphabet."""
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; a slip of the finger is answered with the nearest name."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from difflib import get_close_matches

            close = get_close_matches(args[0], self.list_commands(ctx), n=1)
            if close:
                raise click.UsageError(f"no command {args[0]!r}; did you mean {close[0]!r}?", ctx) from error
            raise

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the example at the very end."""
        super().format_epilog(ctx, formatter)
        _write_example(formatter, self.example)


def command(name: str, *, example: str) -> Callable[[Callable[..., Any]], Command]:
    """Make a function a top-level command."""
    return click.command(name, cls=Command, example=example)


def group(name: str, *, example: str) -> Callable[[Callable[..., Any]], Group]:
    """Make a function a group of commands."""
    return click.group(name, cls=Group, example=example)


def option_chain(*decorators: Callable[[F], F]) -> Callable[[F], F]:
    """Join decorators so that the help shows them in the order given."""

    def decorate(function: F) -> F:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


ref_argument = click.argument("ref", metavar="REF")
id_argument = click.argument("id_", metavar="ID")
reason_option = click.option("--reason", metavar="TEXT", help="Why; kept in the ledger.")
to_option = click.option("--to", required=True, metavar="STAGE", help="experimental, staging or production.")


def output_option(*, required: bool = False) -> Callable[[F], F]:
    """``-o FILE``; ``-`` is standard output."""
    return click.option(
        "-o", "--output", type=PATH, metavar="FILE", required=required, help="Write to FILE; - is stdout."
    )


yes_option = click.option("--yes", is_flag=True, help="Sign without being asked.")

#: Whose time-stamps count. Roots that lie in the registry would prove nothing.
tsa_roots_option = click.option(
    "--tsa-roots",
    type=PATH,
    metavar="FILE",
    envvar="MANUAL_REGISTRY_TSA_ROOTS",
    show_envvar=True,
    help="Root certificates (PEM) that time-stamps must lead to.",
)

#: Who signs, with which key.
signer_options = option_chain(
    click.option("--as", "as_", required=True, metavar="EMAIL", help="Who signs."),
    click.option("--key", type=PATH, metavar="FILE", help="The private key [default: the ssh agent's or ~/.ssh's]."),
    yes_option,
)


class KeyOrPath(click.ParamType[Any]):
    """A path; or, from the environment, where CI systems put secrets, a private key's text."""

    name = "file"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Keep a key's text as text: as a path it would lose slashes."""
        return value if isinstance(value, Path) or "PRIVATE KEY-----" in str(value) else Path(value)


#: Who signs a change, with which key; nobody is named: a request is opened.
change_options = option_chain(
    click.option("--as", "as_", metavar="EMAIL", help="The lead who signs now [default: a request for one to sign]."),
    click.option("--key", type=PATH, metavar="FILE", help="The private key [default: the ssh agent's or ~/.ssh's]."),
    yes_option,
)


#: The identity of a CI pipeline.
pipeline_options = option_chain(
    click.option("--pipeline", metavar="NAME", help="The enrolled pipeline that does this."),
    click.option(
        "--pipeline-key",
        type=KeyOrPath(),
        metavar="FILE",
        envvar="MANUAL_REGISTRY_PIPELINE_KEY",
        show_envvar=True,
        help="Its private key (the variable may hold the key itself).",
    ),
    click.option(
        "--oidc-token-file",
        type=PATH,
        metavar="FILE",
        help="The CI job's identity token [default: $MANUAL_REGISTRY_OIDC_TOKEN holds it; GitHub Actions is asked].",
    ),
)


def is_stdout(path: Path | None) -> bool:
    """Tell whether ``-o`` was not given or names standard output."""
    return path is None or str(path) == "-"
