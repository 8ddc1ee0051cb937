"""What MLflow takes, and what is done with the rest: names respelled, values shortened, never silently.

Rules held here: whatever does not fit is told as a :class:`Remark` and stands whole in ``record.json`` beside it; a
respelled name comes back (``unspelled(spelled(name)) == name``); equal names stay equal and different ones different.
The limits are those of MLflow 3.0 to 3.17 and of its columns in PostgreSQL, the smaller of the two.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from manual_registry.core.canonical import sha256_hex

KEY: Final = 250
PARAM_VALUE: Final = 6_000
RUN_TAG_VALUE: Final = 5_000  # MLflow cuts at 8,000 without a word, older servers refuse from 5,000 on
VERSION_TAG_VALUE: Final = 5_000  # 100,000 from 3.0 on in the client, 5,000 in older databases
DESCRIPTION: Final = 5_000
USER: Final = 256
RUN_NAME: Final = 250
DATASET_NAME: Final = 500
DATASET_DIGEST: Final = 36
DATASET_SOURCE: Final = 65_535
DATASET_SOURCE_TYPE: Final = 36
ALIAS: Final = 255
#: Requests that log a batch take so many params or tags, and so many metrics.
BATCH: Final = 100
METRIC_BATCH: Final = 1_000

#: MLflow takes \w, which Python reads as letters of every script; a colon is refused on Windows.
_REFUSED = re.compile(r"[^/\w.\- ]")
_SPELLED = re.compile(r"_x((?:[0-9a-f]{2,5}|10[0-9a-f]{4})?)_")
#: An underscore that would be read as the beginning of such a spelling, once what follows is spelled too.
_LOOKS_SPELLED = re.compile(r"_(?=x[0-9a-f]{0,6}[^\w.\- ])|_(?=x[0-9a-f]{0,6}_)")
_EMPTY: Final = "_x_"
_ALIAS_REFUSED = re.compile(r"[^A-Za-z0-9_-]")
_VERSION_ALIAS = re.compile(r"[vV][0-9]+")
_MODEL_NAME_REFUSED = re.compile(r"[./:%\"']")
#: A URL ends at # and ?, and MLflow's server refuses paths with #. Spaces at the beginning of a name get lost in its
#: listings, and a colon at the end is taken for that of an address.
_PATH_REFUSED = re.compile(rf"[#?]|(?:^|(?<=/)) +|:(?=/|$)|{_LOOKS_SPELLED.pattern}")
_PATH_REFUSED_AT_FIRST = re.compile(rf"[#?]|{_LOOKS_SPELLED.pattern}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Remark:
    """One value that MLflow would cut, rename or refuse.

    ``place`` is the kind of object (``run.param``), ``name`` ours, ``problem`` one of cut, renamed, refused, respelled,
    inexact, generic (no flavour could be told); ``instead`` says what is done.
    """

    place: str
    name: str
    problem: str
    instead: str

    def document(self) -> dict[str, str]:
        """Return the remark as it stands in the export document."""
        return {"place": self.place, "name": self.name, "problem": self.problem, "instead": self.instead}


@dataclass(slots=True)
class Notes:
    """Collects remarks while one version is mapped."""

    remarks: list[Remark] = field(default_factory=list)

    def add(self, place: str, name: str, problem: str, instead: str) -> None:
        """Keep one remark."""
        self.remarks.append(Remark(place=place, name=name, problem=problem, instead=instead))

    def key(self, place: str, *parts: str, apart: tuple[str, ...] = ()) -> str:
        """Return the name under which MLflow takes a param, metric or tag; several parts are joined by slashes.

        ``apart``: beginnings of other kinds of names, for one of which a name of one part is not to be taken.
        """
        if len(parts) > 1:
            return self._named(place, "/".join(parts), lambda _: joined(parts))
        return self._named(place, parts[0], lambda one: spelled(one, apart=apart))

    def path(self, place: str, path: str) -> str:
        """Return the path under which MLflow takes a file."""
        return self._named(place, path, spelled_path)

    def alias(self, name: str, *, taken: str) -> str:
        """Return the alias that MLflow takes; ``taken`` is the one that means production there."""
        return self._named("registered_model.alias", name, lambda one: spelled_alias(one, taken=taken))

    def _named(self, place: str, name: str, respell: Callable[[str], str]) -> str:
        made = respell(name)
        if made != name:
            self.add(place, name, "renamed", f"written as {made}")
        return made

    def text(self, place: str, name: str, value: str, limit: int) -> str:
        """Return ``value``, shortened to ``limit`` characters with its SHA-256 where it is longer."""
        made = shortened(value, limit)
        if made != value:
            self.add(place, name, "cut", f"{len(value)} characters, {limit} fit: shortened; whole in record.json")
        return made


def spelled(name: str, *, apart: tuple[str, ...] = ()) -> str:
    """Return ``name`` with every character that MLflow refuses in keys as ``_xHH_`` (its code point in hex).

    So has one that begins as one of ``apart`` does its first character. A path that MLflow would read as another one (``a//b``, ``./a``) has its slashes and leading dots spelled too; what is
    longer than :data:`KEY` ends with its SHA-256 and does not come back from the name alone.
    """
    made = _respelled(name)
    return _fitting(f"{_code(made[0])}{made[1:]}" if made.startswith(apart) else made, name)


def joined(parts: Sequence[str]) -> str:
    """Return several names as one, as :func:`spelled` does; a slash within a part is spelled."""
    return _fitting("/".join(_respelled(part).replace("/", _code("/")) for part in parts), "/".join(parts))


def _fitting(made: str, name: str) -> str:
    return made if len(made) <= KEY else f"{made[: KEY - 17]}.{sha256_hex(name.encode())[:16]}"


def _respelled(name: str) -> str:
    made = _LOOKS_SPELLED.sub(_code("_"), name)
    made = _REFUSED.sub(lambda found: _code(found[0]), made)
    parts = made.split("/")
    if any(part in ("", ".", "..") for part in parts):
        made = "_x2f_".join(_code(part[0]) + part[1:] if part in (".", "..") else part for part in parts)
    return made or _EMPTY


def unspelled(name: str) -> str:
    """Give back what :func:`spelled` was given."""
    return _SPELLED.sub(lambda found: chr(int(found[1], 16)) if found[1] else "", name)


def _code(char: str) -> str:
    return f"_x{ord(char):02x}_"


def spelled_path(path: str) -> str:
    """Return an artefact's path as MLflow's HTTP interface takes it; :func:`unspelled` gives it back."""
    return _PATH_REFUSED.sub(lambda found: "".join(map(_code, found[0])), path)


def spelled_path_at_first(path: str) -> str:
    """Return what the first release made of the path: a colon at the end and spaces at the beginning went as they are."""
    return _PATH_REFUSED_AT_FIRST.sub(lambda found: _code(found[0]), path)


def spelled_alias(name: str, *, taken: str) -> str:
    """Return the alias as MLflow takes it: ``1.2.0`` and ``v3`` are refused there, ``taken`` means production."""
    made = _ALIAS_REFUSED.sub("_", name)
    if _VERSION_ALIAS.fullmatch(made) or made.lower() in ("latest", taken.lower()):
        made = f"alias-{made}"
    if made == name:
        return name
    # Two of ours must not become one there.
    return f"{made[: ALIAS - 9]}-{sha256_hex(name.encode())[:8]}"


def logged_model_name(model: str, version: str) -> str:
    """Return the LoggedModel's name, in which MLflow bans ``. / : % " '``; the tags hold model and version."""
    return _MODEL_NAME_REFUSED.sub("_", f"{model}-{version}")


def shortened(value: str, limit: int) -> str:
    """Return ``value``, or its beginning and the SHA-256 of the whole, in ``limit`` characters."""
    if len(value) <= limit:
        return value
    tail = f"… [{len(value)} characters, sha256:{sha256_hex(value.encode())}]"
    return value[: limit - len(tail)] + tail


def plain(value: str) -> bool:
    """Tell whether a database takes the text as it is (PostgreSQL refuses U+0000)."""
    return not any(ord(char) < 32 and char not in "\n\t" for char in value)


def double(value: float) -> float | None:
    """Return a number as MLflow keeps metrics, in 64 bits; None where it does not fit."""
    try:
        made = float(value)
    except OverflowError:
        return None
    return made if math.isfinite(made) else None
