"""What differs between the register and MLflow, and whose doing it is: a three-way comparison.

``ours`` is what the ledger says now, ``bases`` what it said at the event up to which the version was exported, and at
those through which an export was begun and perhaps interrupted, ``found`` what MLflow holds. A value that is missing is
written; one that equals a base is brought up to date; any other was changed in MLflow by somebody: it is told, and never
overwritten.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from manual_registry.core.canonical import dump, sha256_hex
from manual_registry.core.handover.entities import TRAINING, Flat, Key
from manual_registry.core.handover.mapping import ABOUT_EXPORT, OURS

#: So much of a value is shown in a mismatch.
_SHOWN = 200
#: Places whose values MLflow never changes or takes back.
_FIXED = frozenset({"run.param", "run.dataset", "model.param"})
#: Places where people may put things of their own.
_SHARED = frozenset(
    {
        *("run.tag", "run.param", "run.metric", "run.metric.earlier", "run.dataset", "run.file"),
        *("model.tag", "model.param", "model.metric"),
        *("version.tag", "experiment.tag", "registered_model.tag", "registered_model.alias"),
    }
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Mismatch:
    """One thing that is not in MLflow as the register says; ``problem``: missing, changed, added, deleted, doubled."""

    model: str
    version: str | None
    place: str
    name: str
    problem: str
    expected: str | None
    found: str | None

    def document(self) -> dict[str, str | None]:
        """Return the mismatch as it stands in the export document and the event."""
        return {
            "model": self.model,
            "version": self.version,
            "place": self.place,
            "field": _storable(self.name),
            "problem": self.problem,
            "expected": _shown(self.expected),
            "found": _shown(self.found),
        }


def _shown(value: str | None) -> str | None:
    if value is None:
        return None
    text = _storable(value)
    if len(text) <= _SHOWN:
        return text
    return f"{text[:_SHOWN]}… [{len(text)} characters, sha256:{sha256_hex(text.encode())[:16]}]"


def _storable(text: str) -> str:
    """Return what a server said as text that has bytes: half a surrogate pair has none."""
    return text.encode("utf-8", "replace").decode()


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """What is to be written, and what somebody changed. ``write`` maps to the new value; None: to be taken away."""

    write: dict[Key, str | None]
    mismatches: tuple[Mismatch, ...]


def equal(one: str | None, other: str | None) -> bool:
    """Compare two values; of a file that was not downloaded the size alone counts."""
    if one == other:
        return True
    if one is None or other is None or not (one.endswith("sha256:?") or other.endswith("sha256:?")):
        return False
    return one.partition(" sha256:")[0] == other.partition(" sha256:")[0]


def three_way(ours: Flat, bases: Sequence[Flat], found: Flat, *, model: str, version: str | None) -> Comparison:
    """Compare; see the module's text. No ``bases``: it is not known what was exported, whatever differs is told."""
    write: dict[Key, str | None] = {}
    mismatches: list[Mismatch] = []
    for key in sorted({key for flat in (ours, found, *bases) for key in flat}):
        wanted, there = ours.get(key), found.get(key)
        before = [base[key] for base in bases if key in base]
        if key[1] in ABOUT_EXPORT or equal(wanted, there):
            continue
        if wanted is None and not before:
            problem = "added" if _tells_addition(key) else None
        elif there is None or (key[0] not in _FIXED and any(equal(was, there) for was in before)):
            write[key] = wanted
            continue
        else:
            problem = "changed"
        if problem:
            mismatches.append(_mismatch(key, problem, wanted, there, model, version))
    # Something that was taken away on both sides is no write.
    write = {key: value for key, value in write.items() if value is not None or key in found}
    return Comparison(write=write, mismatches=tuple(mismatches))


def check(ours: Flat, found: Flat, *, model: str, version: str | None) -> list[Mismatch]:
    """Return everything in which MLflow differs from ``ours``."""
    compared = three_way(ours, (), found, model=model, version=version)
    missing = [
        _mismatch(key, "missing", value, None, model, version) for key, value in compared.write.items() if key in ours
    ]
    return sorted([*compared.mismatches, *missing], key=lambda one: (one.place, one.name))


def apart(told: Iterable[Mismatch], bases: Sequence[Flat], found: Flat) -> tuple[list[Mismatch], list[Mismatch]]:
    """Return of what :func:`check` told what somebody did, and what is there as it was exported: the register went on.

    ``bases`` as in :func:`three_way`; none: everything is somebody's doing.
    """
    others: list[Mismatch] = []
    behind: list[Mismatch] = []
    for one in told:
        key = (one.place, one.name)
        stays = one.problem == "changed" and one.place in _FIXED
        as_it_was = not stays and any(equal(base.get(key), found.get(key)) for base in bases)
        (behind if as_it_was else others).append(one)
    return others, behind


def _tells_addition(key: Key) -> bool:
    """Tell whether what somebody added is told: files beside the model and the papers are, and data for training.

    Own tags are their business, and so are data of a later evaluation.
    """
    place, name = key
    if place == "run.dataset":
        return name.partition(" ")[0].lower() in TRAINING
    return place not in _SHARED or (place == "run.file" and name.startswith(OURS))


def _mismatch(
    key: Key, problem: str, expected: str | None, found: str | None, model: str, version: str | None
) -> Mismatch:
    return Mismatch(
        model=model, version=version, place=key[0], name=key[1], problem=problem, expected=expected, found=found
    )


def without_hashes(flat: Flat) -> Flat:
    """Return ``flat`` with sizes only, as a listing tells them."""
    return {
        key: value.partition(" sha256:")[0] + " sha256:?" if key[0].endswith(".file") else value
        for key, value in flat.items()
    }


def outcome(digest: str, mismatches: Iterable[Mismatch]) -> str:
    """Return the value of the tag that says how the read-back went: ok or not, and the digest of what was compared."""
    told = [one.document() for one in mismatches]
    if not told:
        return f"ok sha256:{digest}"
    whole = sha256_hex(dump([digest, *told]))  # type: ignore[list-item]
    return f"{len(told)} mismatches sha256:{whole}"
