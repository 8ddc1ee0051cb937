"""Which heading means which field: a synonym table (English, German, French, Spanish), nothing learned.

Rules held here (design 4, "Headers"): a heading is taken when it stands in the table; what is only similar
(:mod:`difflib`) is suggested and asked. Headings that teams often have and that mean none of our fields stand in a
table of their own, so that nobody is asked about them.
"""

from __future__ import annotations

import difflib
import functools
import re
import unicodedata
from dataclasses import dataclass
from typing import Final

from manual_registry.core.adoption.cells import clean
from manual_registry.core.adoption.vocabulary import AMBIGUOUS, FIELDS, FOREIGN, METRICS, SPLITS, SYNONYMS

#: Fields that several columns may fill.
SEVERAL: Final = frozenset({"notes", "metrics"})
IGNORE: Final = "ignore"
#: Longer texts are no headings.
LONGEST: Final = 80
ASK: Final = "?"


@dataclass(frozen=True, kw_only=True, slots=True)
class Match:
    """What a heading may mean.

    ``field`` is set when the heading is known (``weak``: gives way to a surer one; ``cut``: known only without what it
    has in parentheses or as a number); ``choices`` when it must be asked, most likely first.
    """

    field: str | None = None
    weak: bool = False
    cut: bool = False
    choices: tuple[str, ...] = ()


def compact(header: str) -> str:
    """Reduce a heading to what is compared: lower case, no accents, letters and digits only."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", clean(header))
    folded = unicodedata.normalize("NFKD", spaced.replace("\u00df", "ss")).casefold()
    return "".join(char for char in folded if char.isalnum())


@functools.cache
def _table() -> dict[str, tuple[str, bool]]:
    found: dict[str, tuple[str, bool]] = {}
    for name, line in SYNONYMS.items():
        sure, _, weak = line.partition("|")
        for words, is_weak in ((sure, False), (weak, True)):
            for word in words.split(","):
                key = compact(word)
                if key:
                    found.setdefault(key, (name, is_weak))
        found.setdefault(compact(name), (name, False))
    return found


_PARENTHESES = re.compile(r"\([^)]*\)|\[[^\]]*\]")


def _spellings(header: str) -> tuple[str, ...]:
    """The heading, and the heading without what stands in parentheses, numbering or marks."""
    bare = _PARENTHESES.sub(" ", header)
    unnumbered = re.sub(r"^\s*\(?\d{1,2}[.):]\s*", "", bare)
    return tuple(dict.fromkeys(key for key in map(compact, (header, bare, unnumbered)) if key))


@functools.lru_cache(maxsize=4096)
def match_header(header: str) -> Match:
    """Return what ``header`` means; an empty :class:`Match` for what means none of our fields."""
    text = clean(header)
    if not text or len(text) > LONGEST:
        return Match()
    known = _known(text)
    return known if known is not None else Match(choices=_similar(text))


def known_field(header: str) -> str | None:
    """Return the field of a heading that is known; nothing is compared for likeness."""
    text = clean(header)
    found = _known(text) if 0 < len(text) <= LONGEST else None
    return found.field if found else None


@functools.cache
def _plain() -> frozenset[str]:
    return frozenset(word.strip() for line in SYNONYMS.values() for word in line.replace("|", ",").split(","))


def is_plain_heading(text: str) -> bool:
    """Tell, quickly, whether ``text`` is one of the synonyms as it stands in the table."""
    return text.strip().lower() in _plain()


def _known(text: str) -> Match | None:
    table = _table()
    for key in _spellings(text):
        if key in table:
            name, weak = table[key]
            return Match(field=name, weak=weak, cut=key != compact(text))
        if key in AMBIGUOUS:
            return Match(choices=AMBIGUOUS[key])
    metric = metric_header(text)
    return Match(field=f"metrics.{metric}") if metric else None


def metric_header(header: str) -> str | None:
    """Return the metric's name when the heading is one: ``AUC``, ``Test F1-Score``, ``Accuracy (%)``."""
    words = [word for word in re.split(r"[\s_/:()%\[\].-]+", clean(header).casefold()) if word]
    core = [word for word in words if word not in SPLITS and not re.fullmatch(r"(top|at|k)?\d*", word)]
    if len(words) > 5 or compact("".join(core)) not in METRICS:
        return None
    return "_".join(words)


def _similar(header: str) -> tuple[str, ...]:
    keys = _spellings(header)
    if not keys or len(keys[-1]) < 4 or any(key in FOREIGN or key.rstrip("s") in FOREIGN for key in keys):
        return ()
    found: list[str] = []
    for key in keys:
        close = difflib.get_close_matches(key, _table(), n=4, cutoff=0.84)
        found += [_table()[name][0] for name in close if len(name) >= 4]
    return tuple(dict.fromkeys(found))


def is_field(name: str) -> bool:
    """Tell whether ``name`` may stand in a mapping: a field, ``metrics.NAME`` or ``ignore``."""
    return name in FIELDS or name == IGNORE or (name.startswith("metrics.") and len(name) > 8)


_ORDER_HINTS = (
    (re.compile(r"(dd?|tt?|jj?)\s*[./ -]\s*mm?\s*[./ -]\s*(yy|jj|aa)", re.IGNORECASE), "day-first"),
    (re.compile(r"mm?\s*[./ -]\s*(dd?|tt?|jj?)\s*[./ -]\s*(yy|jj|aa)", re.IGNORECASE), "month-first"),
    (re.compile(r"(yy|jj|aa)\s*[./ -]\s*mm?\s*[./ -]\s*(dd?|tt?|jj?)", re.IGNORECASE), "year-first"),
)


def order_hint(header: str) -> str | None:
    """Return the order of day and month that the heading itself names: ``Trained on (dd/mm/yyyy)``."""
    inside = " ".join(_PARENTHESES.findall(header)) or header
    return next((order for pattern, order in _ORDER_HINTS if pattern.search(inside)), None)
