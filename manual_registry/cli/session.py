"""What one run of the command line knows: the common options, the registry once it is open, the terminal.

Rule held here: nothing prompts unless standard input and standard error both are a terminal (questions go to
standard error, so that standard output carries the result alone).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from manual_registry.registry import Registry


def registry_class() -> type[Registry]:
    """Return the facade; imported here, late, so that `--help` and `--version` start without it."""
    from manual_registry.registry import Registry

    return Registry


@dataclass(slots=True)
class Session:
    """The common options of one run; ``opened`` is kept so that its warnings are told after an error too.

    ``passphrase`` asks a person on the terminal for one.
    """

    registry: Path | None = None
    actor: str | None = None
    json: bool = False
    opened: Registry | None = None
    told: set[str] = field(default_factory=set)
    passphrase: Callable[[str], str] | None = None

    def open(self) -> Registry:
        """Open the registry that the options, the environment or the working directory name."""
        if self.opened is None:
            self.opened = registry_class().open(self.registry, actor=self.actor)
            if interactive():
                self.opened.passphrase = self.passphrase
        return self.opened

    def warnings(self) -> tuple[str, ...]:
        """Return what the open registry has to tell beside its answer."""
        return tuple(self.opened.warnings) if self.opened is not None else ()


pass_session = click.make_pass_decorator(Session)


def interactive() -> bool:
    """Tell whether a person can be asked."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()
