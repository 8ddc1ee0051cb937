"""Words and codes of a tracking spreadsheet brought into ours: stages, model names, hashes, commits.

Rules held here: a stage word counts when it stands in the table, others are asked; a name is changed by fixed rules
only, and told; a hash is what has the length of one (or seven hex characters or more of it), anything else stays text.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

from manual_registry.core.adoption.cells import SheetCell, clean, shown
from manual_registry.core.errors import RegistryError
from manual_registry.core.values import ModelName, Stage, Version, model_name, version_name

_STAGE_WORDS: Final[dict[Stage, str]] = {
    Stage.PRODUCTION: (
        "production, prod, prd, live, in production, in prod, productive, operational, deployed, released, in use, in "
        "live use, active in production, produktion, produktiv, in produktion, im einsatz, in betrieb, en production, "
        "en produccion, produccion, productivo, champion, current, go live, online"
    ),
    Stage.STAGING: (
        "staging, stage, stg, uat, test, testing, tst, qa, sit, pre prod, preprod, pre production, preproduction, "
        "acceptance, acceptance test, shadow, candidate, release candidate, rc, validation, in validation, in test, "
        "abnahme, abnahmetest, vorproduktion, im test, recette, en recette, preproduccion, pruebas, en pruebas, "
        "integration, int, challenger, pilot"
    ),
    Stage.EXPERIMENTAL: (
        "experimental, experiment, exp, dev, development, in development, research, poc, proof of concept, prototype, "
        "proto, draft, sandbox, lab, wip, in progress, in training, trained, new, none, entwicklung, in entwicklung, "
        "entw, experimentell, developpement, en developpement, desarrollo, en desarrollo, investigacion"
    ),
    Stage.ARCHIVED: (
        "archived, archive, retired, deprecated, decommissioned, decom, obsolete, old, superseded, replaced, "
        "withdrawn, sunset, end of life, eol, out of use, not in use, no longer used, discontinued, inactive, "
        "disabled, archiviert, archiv, stillgelegt, ausser betrieb, abgelost, abgeloest, veraltet, ersetzt, "
        "zuruckgezogen, archive, retire, obsolete, remplace, hors service, archivado, retirado, obsoleto, reemplazado"
    ),
}


def _fold(text: str) -> str:
    plain = unicodedata.normalize("NFKD", clean(text).replace("\u00df", "ss")).casefold()
    letters = "".join(char if char.isalnum() else " " for char in plain if not unicodedata.combining(char))
    return " ".join(letters.split())


_STAGE_OF: Final = {_fold(word): stage for stage, line in _STAGE_WORDS.items() for word in line.split(",")}


def stage_of(text: str) -> Stage | None:
    """Return the stage that a word stands for, or several words of one meaning (``Staging/UAT``); else None."""
    folded = _fold(text)
    if folded in _STAGE_OF:
        return _STAGE_OF[folded]
    each = {_STAGE_OF.get(word) for word in folded.split()}
    return each.pop() if len(each) == 1 else None


def stage_suggestion(text: str) -> Stage | None:
    """Return the stage that ``text`` begins or ends with (``Prod (since March)``), for a question only."""
    words = _fold(text).split()
    for end in range(min(len(words), 3), 0, -1):
        found = _STAGE_OF.get(" ".join(words[:end])) or _STAGE_OF.get(" ".join(words[-end:]))
        if found:
            return found
    return None


_SPELLED: Final = str.maketrans(
    {
        "\u00df": "ss",
        "\u00e6": "ae",
        "\u00c6": "ae",
        "\u00f8": "o",
        "\u00d8": "o",
        "\u0153": "oe",
        "\u0142": "l",
        "&": " and ",
        "+": " plus ",
    }
)


def model_name_of(text: str) -> ModelName | None:
    """Bring a model's name into our grammar; None when nothing of it remains.

    Lower case, accents dropped, every run of other characters one ``-``: ``Credit Risk (EU)`` -> ``credit-risk-eu``.
    """
    plain = unicodedata.normalize("NFKD", clean(text).translate(_SPELLED)).casefold()
    bare = "".join(char for char in plain if not unicodedata.combining(char))
    name = re.sub(r"[^a-z0-9._-]+", "-", bare)
    name = re.sub(r"-*([._])-*", r"\1", re.sub(r"-{2,}", "-", name)).strip("-._")[:100].rstrip("-._")
    try:
        return model_name(name)
    except RegistryError:
        return None


def version_of(text: str) -> Version | None:
    """Return ``text`` as a version when the grammar takes it, blanks within it as ``-``; None otherwise."""
    bare = re.sub(r"^(?:v|ver|vers|version|rev)[.:]?\s+(?=\d)", "", clean(text), flags=re.IGNORECASE)
    try:
        return version_name(re.sub(r"\s+", "-", bare))
    except RegistryError:
        return None


def version_suggestion(text: str) -> str | None:
    """Return a version near to ``text``, for a question only: ``1.2 (final)`` -> ``1.2-final``."""
    plain = "".join(char for char in unicodedata.normalize("NFKD", clean(text)) if not unicodedata.combining(char))
    return version_of(re.sub(r"[^A-Za-z0-9._+-]+", "-", plain).strip("-._+"))


_MODEL_VERSION: Final = re.compile(
    r"(?P<model>.*[^\s_@:/-])(?:\s*[@:/]\s*|[\s_-]+)(?P<version>(?:v\.?\s?)?\d[\w.+-]*|v\d[\w.+-]*)", re.IGNORECASE
)


def split_model(text: str) -> tuple[str, str] | None:
    """Split ``Credit risk v1.2`` or ``credit@1.2`` into model and version; None where there are not two parts."""
    match = _MODEL_VERSION.fullmatch(clean(text))
    return (match["model"], re.sub(r"^[vV]\.\s*|^[vV]\s+", "", match["version"])) if match else None


# -- hashes -----------------------------------------------------------------------------------------------

_LENGTHS: Final[dict[str, int]] = {"blake3": 64, "sha256": 64, "sha1": 40, "md5": 32, "sha512": 128}
_NAMES: Final = re.compile(r"(blake-?3|b3|sha-?256|sha2-256|sha-?1|md-?5|sha-?512)\s*[:=\s-]\s*", re.IGNORECASE)
_CANON: Final = {"b3": "blake3", "sha2256": "sha256"}
#: Fewer characters of a hash say nothing.
SHORTEST: Final = 7


@dataclass(frozen=True, kw_only=True, slots=True)
class StatedHash:
    """A hash as a spreadsheet states it.

    ``value`` lower-case hex, at least :data:`SHORTEST` characters; ``algorithms`` those that it may be of; ``whole``
    False when only the beginning stands there.
    """

    value: str
    algorithms: tuple[str, ...]
    whole: bool

    def __str__(self) -> str:
        name = self.algorithms[0] + ":" if len(self.algorithms) == 1 else ""
        return f"{name}{self.value}" + ("" if self.whole else "\u2026")

    def fits(self, algorithm: str, value: str) -> bool:
        """Tell whether ``value`` (hex) of ``algorithm`` is what was stated, or begins with it."""
        return algorithm in self.algorithms and value.startswith(self.value)


def parse_hash(text: str, *, algorithm: str | None = None) -> StatedHash | None:
    """Read a hash, whole or cut short; ``algorithm`` is what the heading says. None for what is none."""
    bare = clean(text)
    named = _NAMES.match(bare)
    if named:
        name = named[1].lower().replace("-", "")
        algorithm, bare = _CANON.get(name, name), bare[named.end() :]
    cut = bare.rstrip(". \u2026*")
    value = re.sub(r"[\s:-]", "", cut.removeprefix("0x").removeprefix("0X")).lower()
    if not re.fullmatch(rf"[0-9a-f]{{{SHORTEST},128}}", value):
        return None
    lengths = {algorithm: _LENGTHS[algorithm]} if algorithm else _LENGTHS
    whole = tuple(name for name, length in lengths.items() if length == len(value))
    if whole and cut == bare:
        return StatedHash(value=value, algorithms=whole, whole=True)
    longer = tuple(name for name, length in lengths.items() if length > len(value))
    # As long as a whole hash of another kind, whatever the heading says.
    longer += tuple(
        name for name, length in _LENGTHS.items() if name not in longer and length == len(value) and cut == bare
    )
    return StatedHash(value=value, algorithms=longer, whole=False) if longer else None


_COMMIT_URL: Final = re.compile(r"https?://\S+/(?:commit|commits|tree|src|-/commit)/([0-9a-f]{7,40})/?", re.IGNORECASE)


def parse_commit(text: str) -> str | None:
    """Return the commit id (7 to 40 hex characters, or 64, lower case); None for a branch, a tag or prose."""
    bare = clean(text)
    url = _COMMIT_URL.fullmatch(bare)
    if url:
        return url[1].lower()
    found = re.fullmatch(
        r"(?:git:|commit:?\s+|sha:?\s*|#|g(?=[0-9a-f]{7}))?([0-9a-f]{7,40}|[0-9a-f]{64})\.{0,3}\u2026?",
        bare,
        re.IGNORECASE,
    )
    return found[1].lower() if found else None


def spoilt_code(cell: SheetCell) -> bool:
    """Tell whether a spreadsheet made a number of what was a code: ``12e4567``, or more digits than it keeps."""
    if isinstance(cell.value, bool) or not isinstance(cell.value, int | float):
        return False
    text = shown(cell)
    return "e" in text.lower() or "." in text or abs(cell.value) >= 1e15
