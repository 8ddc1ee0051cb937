"""The words of the domain as values: names, stages, digests.

A ``NewType`` here means "validated already": only the functions of this module make one.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

from manual_registry.core.errors import (
    BadDigest,
    BadEmail,
    BadName,
    BadPath,
    PathEscapes,
    ReservedVersion,
    UsageError,
)

ModelName = NewType("ModelName", str)
Version = NewType("Version", str)
Email = NewType("Email", str)


class Stage(StrEnum):
    """Where a version stands in its life."""

    EXPERIMENTAL = "experimental"
    STAGING = "staging"
    PRODUCTION = "production"
    ARCHIVED = "archived"


class Risk(StrEnum):
    """The risk class of the AI system (AI Act Art. 6, 50); it sets what the policy asks."""

    HIGH = "high"
    LIMITED = "limited"
    MINIMAL = "minimal"


class Role(StrEnum):
    """What an approver may sign: a delegate what a lead may, within a delegation (clause RP-20)."""

    LEAD = "ai-governance-lead"
    SME = "technical-sme"
    DELEGATE = "delegate"


@dataclass(frozen=True, kw_only=True, slots=True)
class Digest:
    """A content hash with its algorithm; prints ``blake3:…`` and is never a bare string."""

    algorithm: str
    value: str

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.value}"


_MODEL = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
_EMAIL = re.compile(r"[a-z0-9._%+-]+@[a-z0-9.-]+")
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_DIGEST = re.compile(r"(blake3|sha256):([0-9a-f]{12,64})")
_WINDOWS = re.compile(r"(?i)(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?")

#: What people write for a stage in a cell.
_STAGE_WORDS = {
    "none": Stage.EXPERIMENTAL, "exp": Stage.EXPERIMENTAL, "experiment": Stage.EXPERIMENTAL,
    "stage": Stage.STAGING, "prod": Stage.PRODUCTION, "in production": Stage.PRODUCTION,
    "archive": Stage.ARCHIVED,
}  # fmt: skip

#: Words that `model@x` and `register MODEL x` understand otherwise.
RESERVED_VERSIONS = frozenset({*(stage.value for stage in Stage), "none", "latest", "next", "auto"})


def _portable(text: str) -> bool:
    return not text.endswith(".") and not _WINDOWS.fullmatch(text) and "+code." not in text


def model_name(text: str) -> ModelName:
    """Validate a model name; raises :class:`BadName`."""
    if _MODEL.fullmatch(text) and _portable(text):
        return ModelName(text)
    raise BadName(
        f"model name {text!r}: lower-case letters, digits, '.', '_' and '-', beginning with a letter or digit, at most"
        " 100, not ending in '.', no reserved Windows name",
        location="model",
    )


def version_name(text: str) -> Version:
    """Validate a version; raises :class:`BadName`, or :class:`ReservedVersion` for ``latest`` and its like."""
    if not (_VERSION.fullmatch(text) and _portable(text)):
        raise BadName(
            f"version {text!r}: letters, digits, '.', '_', '+' and '-', beginning with a letter or digit, at most 64, not"
            " ending in '.', no reserved Windows name, no '+code.'",
            location="version",
        )
    if text.lower() in RESERVED_VERSIONS:
        raise ReservedVersion(
            f"version {text!r}: the word means something else here; choose another", location="version"
        )
    return Version(text)


def label(text: str, *, where: str) -> str:
    """Validate an alias, tag key, environment or pipeline name; raises :class:`BadName`."""
    if _LABEL.fullmatch(text):
        return text
    raise BadName(
        f"{where} {text!r}: letters, digits, '.', '_' and '-', beginning with a letter or digit, at most 100",
        location=where,
    )


def email(text: str, *, where: str = "email") -> Email:
    """Lower and validate an address; allowed_signers principals are patterns, so nothing else gets in."""
    lowered = text.strip().lower()
    if _EMAIL.fullmatch(lowered) and len(lowered) <= 254:
        return Email(lowered)
    raise BadEmail(f"{where}: {text!r} is not an e-mail address of the plain kind (name@example.org)", location=where)


_PERSON = re.compile(r"\s*(?P<name>[^<>]*?)\s*<(?P<email>[^<>]+)>\s*")


def person(text: str, *, where: str) -> tuple[str, Email]:
    """Read ``Name <email>``; returns name and address; raises :class:`BadEmail`."""
    match = _PERSON.fullmatch(text)
    if not match or not match["name"]:
        raise BadEmail(f'{where}: write it as "Ada Lovelace <ada@example.org>", not {text!r}', location=where)
    return line_text(match["name"], where=where), email(match["email"], where=where)


#: Embeddings, overrides and isolates: they show what follows in another order than it stands in (CVE-2021-42574).
_REORDERING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
#: Characters that nobody sees: in a name they make two of what looks like one. Right-to-left marks are among them.
_UNSEEN = frozenset("\u061c\u200b\u200e\u200f\u2028\u2029\u2060\ufeff")

_MARKS = _UNSEEN - {"\u2028", "\u2029"}


def line_text(text: str, *, where: str) -> str:
    """Refuse control characters and whatever is not seen or turns others around: the text identifies something.

    Letters of every script are taken, right-to-left ones too, and the joiners U+200C and U+200D that some need.
    """
    bad = next((char for char in text if char in _REORDERING | _UNSEEN or _controls(char)), None)
    if bad is not None:
        raise BadName(f"{where}: control character U+{ord(bad):04X} in {text!r}", location=where)
    return text


def one_line(text: str) -> str:
    """Return ``text`` as one line, as a person means it: line ends and runs of blanks as one, unseen marks gone.

    Characters that turn others around stay, for :func:`line_text` to refuse.
    """
    return " ".join("".join(" " if char in "\u2028\u2029" else char for char in text if char not in _MARKS).split())


def free_text(text: str, *, where: str) -> str:
    """Accept text of several lines without other control characters; at most 32,767 characters (one cell).

    Marks (U+200E, U+200F), which people who write from right to left need, are taken; overrides are not: a comment that
    reads otherwise than it is signed is never wanted.
    """
    for char in text:
        if char in _REORDERING or (_controls(char) and char not in "\n\t"):
            raise BadName(f"{where}: control character U+{ord(char):04X}", location=where)
    if len(text) > 32_767:
        raise BadName(f"{where}: {len(text)} characters; at most 32767 fit", location=where)
    return text


def _controls(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cs")


def stage(text: str) -> Stage:
    """Read a stage; ``none`` is an alias of experimental; raises :class:`UsageError`."""
    lowered = text.lower()
    if lowered == "none":
        return Stage.EXPERIMENTAL
    try:
        return Stage(lowered)
    except ValueError:
        raise UsageError(f"stage {text!r}: one of {', '.join(Stage)} (none means experimental)") from None


def typed_stage(text: str) -> Stage:
    """Read a stage as people type it into a sheet (``PROD``, `` Archive ``); raises :class:`UsageError`."""
    word = one_line(text).lower()
    return _STAGE_WORDS.get(word) or stage(word)


def digest_prefix(text: str) -> Digest:
    """Read ``blake3:`` or ``sha256:`` and 12 to 64 hex characters; raises :class:`BadDigest`."""
    match = _DIGEST.fullmatch(text.lower())
    if not match:
        raise BadDigest(f"{text!r}: write blake3: or sha256: and 12 to 64 hex characters")
    return Digest(algorithm=match[1], value=match[2])


def check_artefact_path(path: str) -> None:
    """Refuse a relative POSIX path that another system could not keep.

    Raises :class:`PathEscapes` or :class:`BadPath`, located at the path. The rules are those of the contract: no
    absolute path, no ``..``, no control characters, backslash, percent sign, non-NFC or reserved Windows names.
    """
    if path.startswith("/") or re.match(r"[A-Za-z]:", path) or ".." in path.split("/"):
        raise PathEscapes(f"{path!r}: only paths inside the artefact are taken", location=path)
    for part in path.split("/"):
        problem = _part_problem(part)
        if problem:
            raise BadPath(f"{path!r}: {problem}; rename the file", location=path)


def _part_problem(part: str) -> str | None:
    if part in ("", "."):
        return "an empty part"
    if any(_controls(char) for char in part):
        return "a control character or undecodable byte"
    if not _REORDERING.isdisjoint(part):
        return "a character that turns the direction of writing around"
    if "\\" in part or "%" in part:
        return "a backslash or percent sign"
    if unicodedata.normalize("NFC", part) != part:
        return "not in Unicode's composed form (NFC)"
    if _WINDOWS.fullmatch(part) or part.endswith((".", " ")):
        return "a name that Windows cannot keep"
    return None
