"""The root of the command line: which commands there are, in which section of the help, in which module.

Rule held here: a command's module is loaded when the command is typed (or helped), nothing else is.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from manual_registry import __version__
from manual_registry.cli.options import Group
from manual_registry.cli.output import emit, err, out
from manual_registry.cli.session import Session

#: Section of the help -> command -> module below manual_registry.cli.
COMMANDS: dict[str, dict[str, str]] = {
    "Read": {
        "status": "read",
        "list": "read",
        "show": "read",
        "search": "read",
        "compare": "read",
        "history": "read",
        "trace": "checks",
        "verify": "checks",
        "fetch": "read",
        "card": "read",
        "anchor": "read",
        "export": "exporting",
        "gates": "gates",
    },
    "Change": {
        "register": "change",
        "attach": "change",
        "note": "change",
        "tag": "change",
        "alias": "change",
        "promote": "stages",
        "rollback": "stages",
        "deploy": "stages",
        "archive": "stages",
        "unarchive": "stages",
        "drill": "drilling",
        "delete": "stages",
        "sync": "sheets",
        "take-in": "adoption",
    },
    "Approve": {
        "approval": "approvals",
        "approver": "roster",
        "pipeline": "roster",
        "exception": "exceptions",
        "policy": "roster",
    },
    "Set up": {
        "init": "setup",
        "adopt": "adoption",
        "import": "importing",
        "demo": "setup",
        "reset-view": "setup",
        "close": "closing",
    },
}

_EPILOG = """Exit status: 0 done; 1 unexpected; 2 usage; 3 refused by policy; 4 integrity finding;
5 not found; 6 conflict; 7 input invalid; 8 something outside is missing or refuses; 9 waits for a person;
130 stopped."""


def _module_of(name: str) -> str | None:
    return next((commands[name] for commands in COMMANDS.values() if name in commands), None)


class LazyGroup(Group):
    """The root group: commands come from :data:`COMMANDS`, each module when it is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order of the help."""
        return [name for commands in COMMANDS.values() for name in commands]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load one command."""
        module = _module_of(cmd_name)
        if module is None:
            return None
        loaded = getattr(import_module(f"manual_registry.cli.{module}"), f"{cmd_name.replace('-', '_')}_command")
        return loaded if isinstance(loaded, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands in their sections."""
        for section, names in COMMANDS.items():
            rows = []
            for name in names:
                command = self.get_command(ctx, name)
                rows.append((name, command.get_short_help_str(66) if command is not None else ""))
            with formatter.section(section):
                formatter.write_dl(rows, col_max=14)


def _show_version(context: click.Context, _: click.Parameter, value: bool) -> None:
    if not value:
        return
    session = context.find_object(Session)
    if session is not None and session.json:
        emit({"schema": "manual-registry/version/1", "version": __version__})
    else:
        out(f"manual-registry {__version__}")
    context.exit()


@click.group("mreg", cls=LazyGroup, invoke_without_command=True, epilog=_EPILOG, example="mreg demo")
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_show_version,
    help="Show the version.",
)
@click.pass_context
def root(context: click.Context) -> None:
    """Keep model versions immutable, approved and traceable, beside a spreadsheet.

    Inside a registry, mreg alone is mreg status.
    """
    if context.invoked_subcommand is None:
        _bare(context)


def _bare(context: click.Context) -> None:
    from manual_registry.core.errors import NoRegistry

    session: Any = context.find_object(Session)
    try:
        session.open()
    except NoRegistry:
        if not session.json and session.registry is None:
            err(context.get_help() + "\n")
        raise
    status = root.get_command(context, "status")
    if status is not None:
        context.invoke(status)


def run(arguments: list[str], session: Session) -> None:
    """Parse ``arguments`` and run the command; errors come out as exceptions."""
    # --json --version and --version --json mean the same; eager options run in the order typed.
    session.json = "--json" in arguments and "--version" in arguments
    with root.make_context("mreg", arguments, obj=session) as context:
        root.invoke(context)
