"""Hashes of found files, each computed once, and how they compare with what a spreadsheet states.

Rules held here: BLAKE3 and SHA-256 as for every artefact (``adapters/tree``); MD5, SHA-1 and SHA-512 only where a sheet
states one. A stated hash of a directory is compared with the directory's own and with each file in it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from manual_registry.adapters.tree import Source, hash_tree, opened_source, walk
from manual_registry.core.adoption.proposal import Stated
from manual_registry.core.adoption.words import StatedHash
from manual_registry.core.manifest import Content, FileEntry
from manual_registry.ports import Progress

_OWN: Final = ("blake3", "sha256")
_OLD: Final = ("md5", "sha1", "sha512")
_BUFFER: Final = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """``state``: equal, differs, not_comparable, not_stated, unchecked; ``detail`` is told when it is not plain."""

    state: str
    detail: str = ""


class Hashes:
    """Computes on demand and remembers."""

    def __init__(self, *, enabled: bool = True, jobs: int | None = None, progress: Progress | None = None) -> None:
        """``enabled`` False: nothing is hashed."""
        self._enabled, self._jobs, self._progress = enabled, jobs, progress
        self._contents: dict[Path, Content] = {}
        self._old: dict[tuple[Path, str], dict[str, str]] = {}

    def content(self, path: Path) -> Content | None:
        """Return files and hashes of ``path``; None when nothing is hashed. Raises as ``hash_tree``."""
        if not self._enabled:
            return None
        if path not in self._contents:
            self._contents[path] = hash_tree(path, sha256=True, jobs=self._jobs, progress=self._progress)
        return self._contents[path]

    def verdict(self, path: Path, stated: Sequence[Stated]) -> Verdict:
        """Compare with every hash that a row states."""
        if not stated:
            return Verdict(state="not_stated")
        content = self.content(path)
        if content is None:
            return Verdict(state="unchecked")
        verdicts = [self._one(path, content, one.parsed) for one in stated]
        order = ("differs", "equal", "not_comparable")
        return min(verdicts, key=lambda verdict: order.index(verdict.state))

    def _one(self, path: Path, content: Content, stated: StatedHash) -> Verdict:
        own = {
            name: value
            for name, value in (("blake3", content.blake3), ("sha256", content.sha256))
            if value and name in stated.algorithms
        }
        fitting = next((name for name, value in own.items() if stated.fits(name, value)), None) or self._old_fit(
            path, content, stated, own
        )
        if fitting:
            short = (
                "" if stated.whole else f"its {fitting} begins with the {len(stated.value)} characters that are stated"
            )
            return Verdict(state="equal", detail=short)
        if content.kind == "directory":
            inside = self._fitting(path, content, stated)
            if inside:
                return Verdict(state="equal", detail=f"the stated hash is that of {inside[0]} in it")
            if not own:
                return Verdict(
                    state="not_comparable",
                    detail=f"a directory has no {stated.algorithms[0]}, and no file in it has the stated one",
                )
        shown = ", ".join(f"{name} {value[:16]}\u2026" for name, value in own.items())
        return Verdict(state="differs", detail=f"DIFFERS from the stated hash {str(stated)[:40]}: it is {shown}")

    def _old_fit(self, path: Path, content: Content, stated: StatedHash, own: dict[str, str]) -> str | None:
        """Try the older algorithms on a single file; ``own`` takes up what was computed."""
        for algorithm in _OLD if content.kind == "file" else ():
            if algorithm in stated.algorithms:
                own[algorithm] = self._other(path, algorithm).get(content.files[0].path, "")
                if stated.fits(algorithm, own[algorithm]):
                    return algorithm
        return None

    def _fitting(self, path: Path, content: Content, stated: StatedHash) -> list[str]:
        found: list[str] = [entry.path for entry in content.files if _fits(entry, stated)]
        for algorithm in _OLD:
            if algorithm in stated.algorithms and not found:
                found += [name for name, value in self._other(path, algorithm).items() if stated.fits(algorithm, value)]
        return found

    def inside(self, directory: Path, stated: Sequence[Stated], *, least: int) -> list[str]:
        """Return the files in ``directory`` that have a stated hash (of at least ``least`` characters)."""
        content = self.content(directory)
        decisive = [one.parsed for one in stated if len(one.parsed.value) >= least]
        if content is None or content.kind != "directory":
            return []
        return sorted({name for one in decisive for name in self._fitting(directory, content, one)})

    def _other(self, path: Path, algorithm: str) -> dict[str, str]:
        """Return an old hash of every file of ``path``, by its name within it."""
        if (path, algorithm) not in self._old:
            self._old[path, algorithm] = {source.path: _digest(source, algorithm) for source in walk(path).files}
        return self._old[path, algorithm]


def _fits(entry: FileEntry, stated: StatedHash) -> bool:
    return any(
        value and stated.fits(name, value) for name, value in (("blake3", entry.blake3), ("sha256", entry.sha256))
    )


def _digest(source: Source, algorithm: str) -> str:
    hasher = hashlib.new(algorithm, usedforsecurity=False)
    with opened_source(source) as descriptor:
        while piece := os.read(descriptor, _BUFFER):
            hasher.update(piece)
    return hasher.hexdigest()
