"""Questions to a person, and the progress bar: both only on a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import click

from manual_registry.cli.output import clean, err
from manual_registry.cli.session import Session, interactive
from manual_registry.core.errors import NotSigned, RegistryError, UsageError

if TYPE_CHECKING:
    from rich.progress import Progress

ProgressCallback: TypeAlias = Callable[[int, int], None]

T = TypeVar("T")

#: Seconds of work before a bar appears.
PATIENCE = 1.0


def ask_passphrase(question: str) -> str:
    """Ask for a passphrase without showing it."""
    told = clean(question)
    return str(click.prompt(told, hide_input=True, default="", show_default=False, prompt_suffix="", err=True))


def ask_text(question: str, default: str = "") -> str:
    """Ask for a line; an empty answer gives ``default``."""
    return str(click.prompt(question, default=default, show_default=bool(default), err=True)).strip()


def ask_until(question: str, take: Callable[[str], T], default: str = "") -> T:
    """Ask for a line until ``take`` accepts it; what it refuses is told, and asked for again by itself."""
    while True:
        try:
            return take(ask_text(question, default))
        except RegistryError as refusal:
            err(clean(refusal.message))


def ask_choice(question: str, choices: Iterable[str]) -> str:
    """Ask until one of ``choices`` is given."""
    return str(click.prompt(question, type=click.Choice(list(choices)), err=True))


def consent(session: Session, question: str, screen: Iterable[str], *, yes: bool, key: Path | None) -> None:
    """Show what will be signed and have a yes for it, before anything is signed.

    On a terminal the person is asked unless ``yes``; without one the key that was named is the yes. Raises
    :class:`UsageError` when neither is there, :class:`NotSigned` when the answer is no.
    """
    asking = interactive() and not yes
    if not asking and not yes and key is None:
        raise UsageError("there is no terminal to ask on: name the key that signs with --key FILE, or say --yes")
    if asking or not session.json:
        for line in screen:
            err(line)
    if asking and not click.confirm(question, err=True):
        raise NotSigned("you said no: nothing was signed, nothing changed")


@contextmanager
def progress(title: str) -> Iterator[ProgressCallback | None]:
    """Give a callback ``(bytes done, bytes in all)`` that draws a bar once the work has taken a second."""
    if not sys.stderr.isatty():
        yield None
        return
    bar = _Bar(title)
    try:
        yield bar.update
    finally:
        bar.close()


class _Bar:
    """A bar of rich, made when it is first needed."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._since = time.monotonic()
        self._progress: Progress | None = None

    def update(self, done: int, total: int) -> None:
        if self._progress is None:
            if time.monotonic() - self._since < PATIENCE:
                return
            self._progress = self._start(total)
        self._progress.update(self._progress.task_ids[0], completed=done, total=total)

    def _start(self, total: int) -> Progress:
        from rich.console import Console
        from rich.markup import escape
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
        shown = Progress(*columns, console=Console(stderr=True), transient=True)
        shown.add_task(escape(clean(self._title)), total=total)
        shown.start()
        return shown

    def close(self) -> None:
        if self._progress is not None:
            self._progress.stop()
