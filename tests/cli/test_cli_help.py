"""Every command has help with an example that parses; start-up stays light."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator

import click
import pytest
from cli_fakes import Ran

from manual_registry import __version__
from manual_registry.cli.app import COMMANDS, root
from manual_registry.cli.options import Command, Group


def _walk(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None, name
            yield from _walk(below, (*path, name))


ALL = list(_walk(root, ()))


@pytest.mark.parametrize(("path", "command"), ALL, ids=[" ".join(path) or "mreg" for path, _ in ALL])
def test_help_ends_with_an_example_that_parses(
    run: Callable[..., Ran], path: tuple[str, ...], command: click.Command
) -> None:
    ran = run(*path, "--help")
    assert ran.status == 0
    assert isinstance(command, Command | Group)
    assert ran.out.rstrip().endswith("Example:\n  " + command.example)
    assert all(len(line) <= 80 for line in ran.out.partition("Example:")[0].splitlines())
    for option in ("--registry", "--actor", "--json"):
        assert option in ran.out
    words = shlex.split(command.example)
    assert words[0] == "mreg"
    _parse(words[1:])


def _parse(words: list[str]) -> None:
    command: click.Command = root
    while isinstance(command, click.Group):
        below = command.get_command(click.Context(command), words[0])
        assert below is not None
        command, words = below, words[1:]
    command.make_context("mreg", words)


def test_the_help_is_grouped(run: Callable[..., Ran]) -> None:
    text = run("--help").out
    places = [text.index(f"\n{section}:") for section in COMMANDS]
    assert places == sorted(places)
    assert "..." not in text.partition("\nRead:")[2], "a command's first sentence is too long for the list"
    assert "Exit status: 0 done" in text


@pytest.mark.parametrize("arguments", [("--version",), ("--json", "--version"), ("--version", "--json")])
def test_version(run: Callable[..., Ran], arguments: tuple[str, ...]) -> None:
    ran = run(*arguments)
    if "--json" in arguments:
        assert json.loads(ran.out) == {"schema": "manual-registry/version/1", "version": __version__}
    else:
        assert ran.out == f"manual-registry {__version__}\n"


def test_start_up_loads_nothing_heavy() -> None:
    code = (
        "import sys; from manual_registry.cli import main; main(['--help'])\n"
        "heavy = {'rich','pydantic','pandas','openpyxl','yaml','pygit2','jinja2','cryptography'}\n"
        "heavy |= {'manual_registry.registry'}\n"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
