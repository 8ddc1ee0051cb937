"""Everything that is written: JSON documents, lines, tables, colour.

Rules held here: with ``--json`` exactly one document on standard output; text that came from people is
written with control characters escaped and never read as markup; colour only on a terminal and not under
``NO_COLOR``; a reader that went away (``| head``) is no error, a full disk behind ``>`` is one.
"""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import sys
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from manual_registry.core.errors import DiskFull, StorageFailed

if TYPE_CHECKING:
    from manual_registry.cli.session import Session
    from manual_registry.core.results import Result

#: Joiners that scripts and emoji need; every other invisible character is escaped.
_HARMLESS = "\u200c\u200d"
#: In characters: a JSON document beyond it comes in one line.
_LARGE = 1 << 20


def clean(text: object, *, lines: bool = False) -> str:
    """Return ``text`` with control characters escaped; ``lines`` keeps line feeds and tabs."""
    plain = str(text)
    if plain.isprintable():
        return plain
    return "".join(_escape(char, lines) for char in plain)


def _escape(char: str, lines: bool) -> str:
    if char.isprintable() or char in _HARMLESS or (lines and char in "\n\t"):
        return char
    if unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Zl", "Zp"):
        return char
    return char.encode("unicode_escape", "surrogatepass").decode("ascii")


def located(location: str | None, message: str) -> str:
    """Return ``message`` with its place before it, unless it names the place itself."""
    return f"{location}: {message}" if location and location not in message else message


def prepare_streams() -> None:
    """Let no character make a write fail (what the encoding lacks is escaped), nor a stream that was closed."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - open until the end
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def out(text: str = "") -> None:
    """Write one line (or several) to standard output."""
    _write(lambda: print(text))  # noqa: T201 - here, and nowhere else, is printed


def out_bytes(data: bytes) -> None:
    """Write ``data`` to standard output unchanged."""

    def write() -> None:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)

    _write(write)


def flush() -> None:
    """Hand everything over, so that a failure is told and changes the exit status."""
    _write(sys.stdout.flush)


def _write(action: Callable[[], object]) -> None:
    try:
        action()
    except BrokenPipeError:
        _discard_stdout()
    except OSError as problem:
        _discard_stdout()
        kind = DiskFull if problem.errno in (errno.ENOSPC, errno.EDQUOT) else StorageFailed
        raise kind(f"standard output could not be written: {problem.strerror}") from problem


def _discard_stdout() -> None:
    # The interpreter flushes standard output once more when it ends: let that go nowhere.
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def err(text: str) -> None:
    """Write one line to standard error; where nobody reads it any more, nothing happens."""
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)  # noqa: T201


def dumps(document: object, stream: IO[str] | None = None) -> str:
    """Return ``document`` as JSON text that ``stream`` can carry; infinities as ``{"$float": "inf"}``."""
    encoding = getattr(stream or sys.stdout, "encoding", None) or "utf-8"
    try:
        text = _spelled(document, ascii_only=False)
    except ValueError:
        return dumps(_finite(document), stream)
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return _spelled(document, ascii_only=True)
    return text


def _spelled(document: object, *, ascii_only: bool) -> str:
    """Spell a document, indented unless it is so large that only programs read it: that would take ten times as long."""
    text = json.dumps(document, ensure_ascii=ascii_only, allow_nan=False, default=_plain)
    if len(text) > _LARGE:
        return text
    return json.dumps(document, indent=2, ensure_ascii=ascii_only, allow_nan=False, default=_plain)


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    return str(value)


def _finite(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return {"$float": str(value)}
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def emit(document: Mapping[str, object]) -> None:
    """Write the one document of ``--json``."""
    out(dumps(document))


def coloured(stream: IO[str]) -> bool:
    """Tell whether colour may be used on ``stream``."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def style(text: str, colour: str | None = None, *, bold: bool = False, stream: IO[str] | None = None) -> str:
    """Colour ``text`` where colour may be used, else return it as it is."""
    if not coloured(stream or sys.stdout):
        return text
    return click.style(text, fg=colour, bold=bold or None)


STAGE_COLOURS = {
    "experimental": "cyan",
    "staging": "yellow",
    "production": "green",
    "archived": "bright_black",
}


def warn(session: Session, extra: Iterable[str] = ()) -> None:
    """Tell each warning once, on standard error."""
    for text in (*session.warnings(), *extra):
        if text not in session.told:
            session.told.add(text)
            err(f"{style('warning:', 'yellow', stream=sys.stderr)} {clean(text)}")


def answer(session: Session, document: Mapping[str, object], text: Iterable[str]) -> None:
    """End a reading command: the document with ``--json``, else the lines; warnings on standard error."""
    if session.json:
        emit(document)
    else:
        for line in text:
            out(line)
    warn(session)


def subject(result: Result) -> str:
    """Name what a result is about: ``model@version``, the model, the approval, or the registry."""
    if result.model and result.version:
        return f"{clean(result.model)}@{clean(result.version)}"
    return clean(result.model or result.id or "the registry")


def finish(session: Session, result: Result, done: str, *, after: Sequence[str] = (), same: str | None = None) -> None:
    """End a writing command: what happened, notes, warnings, the next command, the ledger's head last.

    ``done`` says what happened; ``same`` what stood already, when nothing changed; ``after`` replaces the
    line with the next command.
    """
    if session.json:
        emit(result.document())
        return
    headline = done if result.changed else same or f"{subject(result)} stands so already; nothing changed"
    out(clean(headline))
    told(session, result, headline, after=after)
    out(head_line(result.ledger))


def told(session: Session, result: Result, headline: str, *, after: Sequence[str] = ()) -> None:
    """Write what stands between a result's first and last line."""
    for note in result.notes:
        if note not in headline and note not in result.warnings:
            out(clean(note))
    if result.waiting_for:
        out(f"waiting for: {clean('; '.join(result.waiting_for))}")
    warn(session, result.warnings)
    for line in after or ([f"next: {clean(result.next)}"] if result.next else []):
        out(line)


def head_line(ledger: tuple[int, str]) -> str:
    """Return the last line of every writing command (CI logs keep it, and so anchor the ledger)."""
    return f"ledger {ledger[0]} {ledger[1]}"


def write_file(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path``, whole or not at all; an older file is replaced, a device or pipe written to."""
    target = path.resolve()
    draft = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        if target.exists() and not target.is_file():
            target.write_bytes(data)
            return
        draft.write_bytes(data)
        draft.replace(target)
    except OSError as problem:
        with contextlib.suppress(OSError):
            draft.unlink()
        kind = DiskFull if problem.errno in (errno.ENOSPC, errno.EDQUOT) else StorageFailed
        raise kind(f"{path} could not be written: {problem.strerror}", location=str(path)) from problem
