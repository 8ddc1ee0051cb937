"""The one place where errors become text, JSON and an exit status.

Rules held here: every reason stands on a line of its own at the end of standard error, the next command last;
with ``--json`` there is one error document on standard error and nothing on standard output; nobody sees a
traceback unless ``MANUAL_REGISTRY_DEBUG`` asks for it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import click

from manual_registry.cli.output import clean, dumps, err, flush, located, style, warn
from manual_registry.cli.session import Session
from manual_registry.core.errors import RegistryError, UsageError, raise_for


class Unexpected(RegistryError):
    """Something that the tool did not foresee: a defect to report."""

    code, status = "MR-E999", 1


class Interrupted(RegistryError):
    """The person stopped the command (Ctrl-C)."""

    code, status = "MR-E130", 130


@contextmanager
def stoppable(stays: str) -> Iterator[None]:
    """Say to a person who stops the command what becomes of what it did."""
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(f"stopped; {stays}") from None


def end(session: Session, *problems: RegistryError) -> None:
    """End a command that has shown its outcome with the status of what is wrong; with ``--json`` the document holds it."""
    if session.json:
        click.get_current_context().exit(problems[0].exit_status)
    if len(problems) == 1:
        raise problems[0]
    raise_for(problems)


def guarded(action: Callable[[], None], session: Session, arguments: Sequence[str]) -> int:
    """Run ``action`` and return the exit status; every error is told on the way."""
    try:
        action()
        flush()
    except click.exceptions.Exit as stop:
        return _flushed(stop.exit_code, session)
    except RegistryError as error:
        return tell(error, session)
    except click.ClickException as error:
        session.json = session.json or "--json" in arguments
        return tell(_usage(error), session)
    except (KeyboardInterrupt, click.Abort, EOFError):
        return tell(Interrupted("stopped"), session)
    except Exception as error:  # noqa: BLE001 - the boundary: nothing gets past it
        return tell(_unexpected(error), session)
    return 0


def _flushed(status: int, session: Session) -> int:
    try:
        flush()
    except RegistryError as error:
        return tell(error, session)
    return status


def _usage(error: click.ClickException) -> UsageError:
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "mreg"
    return UsageError(error.format_message().rstrip("."), hint=f"{path} --help")


def _unexpected(error: Exception) -> Unexpected:
    if os.environ.get("MANUAL_REGISTRY_DEBUG"):
        import traceback

        traceback.print_exception(error, file=sys.stderr)
    return Unexpected(
        f"unexpected: {type(error).__name__}: {error}; please report this with the command that you typed"
        " (MANUAL_REGISTRY_DEBUG=1 shows where it happened)"
    )


def tell(error: RegistryError, session: Session) -> int:
    """Write ``error`` to standard error and return its exit status."""
    if session.json:
        err(dumps(error_document(error), sys.stderr))
    else:
        warn(session)
        for line in error_lines(error):
            err(line)
    return error.exit_status


def hints(error: RegistryError) -> list[str]:
    """Return the commands that would help, each once, in the order of the reasons."""
    found = [reason.hint for reason in error.reasons] + [error.hint]
    return list(dict.fromkeys(hint for hint in found if hint))


def error_lines(error: RegistryError) -> list[str]:
    """Return the lines for a person: a heading where there is one, each reason, the next command."""
    reasons = error.reasons
    lines = [f"{clean(error.message)}"] if len(reasons) > 1 and error.message != reasons[0].message else []
    lines += [_reason_line(reason) for reason in reasons]
    return lines + [f"next: {clean(hint)}" for hint in hints(error)]


def _reason_line(reason: RegistryError) -> str:
    clause = f" [{reason.clause}]" if reason.clause else ""
    label = style(f"error {reason.code}:", "red", stream=sys.stderr)
    return f"{label} {clean(located(reason.location, reason.message) + clause)}"


def error_document(error: RegistryError) -> dict[str, object]:
    """Return the error document of the contract; ``details`` may also say where, and what to type next."""
    reasons = [{"code": reason.code, "message": reason.message, "clause": reason.clause} for reason in error.reasons]
    details: dict[str, object] = {"reasons": reasons, **error.details}
    if error.location:
        details.setdefault("location", error.location)
    if hints(error):
        details.setdefault("next", hints(error)[0])
    first = error.reasons[0]
    body = {"code": first.code, "message": error.message, "clause": error.clause, "details": details}
    return {"error": body}
