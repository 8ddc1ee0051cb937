"""Files that people write: YAML, JSON, TOML, read with a cap on their size and told where they do not parse.

Rules held here: a doubled key is refused in every format; NaN and infinities come through as numbers (which
field takes them is decided later); dates of TOML become text. What the document must hold is left to
``metadata.py``.
"""

from __future__ import annotations

import datetime as dates
import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from manual_registry.adapters.yaml_text import parse_yaml, unreadable
from manual_registry.core.errors import FilesystemUnsuited, FileUnknown, MetadataUnreadable, RegistryError

#: The largest file that is read, in bytes; a metadata file has a few thousand.
LARGEST = 10_000_000


def read_bytes(path: Path) -> bytes:
    """Return the content of a file that a person named.

    Raises :class:`FileUnknown` where there is none, :class:`MetadataUnreadable` for a directory, a device, or
    more than :data:`LARGEST` bytes, :class:`FilesystemUnsuited` where the system refuses.
    """
    larger = f"more than {LARGEST // 1_000_000} MB; metadata is small"
    return read_plain(path, largest=LARGEST, larger=larger, refusal=lambda why: unreadable(str(path), why, None))


def read_plain(path: Path, *, largest: int, larger: str, refusal: Callable[[str], RegistryError]) -> bytes:
    """Return the content of a plain file of at most ``largest`` bytes.

    Raises what ``refusal`` makes of the reason for anything that is no plain file, and of ``larger`` for a larger one;
    :class:`FileUnknown` where there is none, :class:`FilesystemUnsuited` where the system refuses.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise refusal("not a plain file")
        with path.open("rb") as file:
            data = file.read(largest + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise FileUnknown(f"{path} is not there", location=str(path)) from None
    except (OSError, ValueError) as error:
        raise FilesystemUnsuited(f"{path} cannot be read: {error}", location=str(path)) from error
    if len(data) > largest:
        raise refusal(larger)
    return data


def decode_text(data: bytes, *, where: str) -> str:
    """Return UTF-8 text (a byte-order mark is dropped); raises :class:`MetadataUnreadable` with the line."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        hint = "UTF-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "another encoding"
        raise unreadable(where, f"not UTF-8 text (it looks like {hint}); save it as UTF-8", line) from None


def parse_document(data: bytes, *, name: str, form: str | None = None) -> Any:
    """Parse ``data`` by the ending of ``name`` (.json, .toml, else YAML), or as ``form`` (an ending) whatever its name.

    An empty document is None. Numbers of YAML know how they were written (``yaml_text.WrittenInt``). Raises
    :class:`MetadataUnreadable`, located at ``name`` and the line.
    """
    text = decode_text(data, where=name)
    match form or Path(name).suffix.lower():
        case ".json":
            return _json(text, name)
        case ".toml":
            return _toml(text, name)
    return parse_yaml(text, where=name)


def parse_mapping(data: bytes, *, name: str) -> dict[str, Any]:
    """Parse a document that must be a mapping; an empty one is ``{}``. Raises as :func:`parse_document`."""
    document = parse_document(data, name=name)
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise MetadataUnreadable(f"{name}: keys with values are wanted, not {kind_of(document)}", location=name)
    return document


#: bool stands before int, since True is an int to Python.
_KINDS: tuple[tuple[type, str], ...] = (
    (type(None), "nothing"),
    (bool, "true or false"),
    (int, "a number"),
    (float, "a number"),
    (str, "text"),
    (dict, "a mapping"),
    (list, "a list"),
)


def kind_of(value: Any) -> str:
    """Say in plain words what ``value`` is."""
    return next((words for kind, words in _KINDS if isinstance(value, kind)), type(value).__name__)


def _json(text: str, name: str) -> Any:
    if not text.strip():
        return None
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        raise unreadable(name, error.msg, error.lineno) from None
    except _KeyProblem as error:
        raise unreadable(name, str(error), None) from None
    except RecursionError:
        raise unreadable(name, "nested too deep", None) from None
    except ValueError:
        raise unreadable(name, "a number with thousands of digits", None) from None


class _KeyProblem(ValueError):
    """A JSON object with a key twice, or with a key that no file can hold."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise _KeyProblem(f"the key {key!r} stands twice")
        if any("\ud800" <= char <= "\udfff" for char in key):
            raise _KeyProblem(f"the key {key!r} has half a character (a lone surrogate) in it")
        result[key] = value
    return result


def _toml(text: str, name: str) -> Any:
    import tomllib

    try:
        return _dates_as_text(tomllib.loads(text)) or None
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        line = getattr(error, "lineno", None)
        raise unreadable(name, message, line) from None
    except RecursionError:
        raise unreadable(name, "nested too deep", None) from None
    except ValueError:
        raise unreadable(name, "a number with thousands of digits", None) from None


def _dates_as_text(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _dates_as_text(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_dates_as_text(item) for item in value]
    return value.isoformat() if isinstance(value, dates.date | dates.time) else value
