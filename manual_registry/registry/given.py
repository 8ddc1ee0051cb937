"""What `register` and `attach` are given, and what is made of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from manual_registry.core.errors import RegistryError
from manual_registry.core.gates import GateReport
from manual_registry.core.metadata import Metadata

_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True, slots=True)
class RunSaid:
    """What a run of a tracking server says; ``name`` and ``record`` are the file that keeps all of it as evidence."""

    metadata: Metadata
    name: str
    record: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """The options of `register` and `attach`, as given; None or empty: not given.

    ``metrics_text`` is what a person typed into a cell; it counts where no file brings metrics. ``within``: the files
    that the metadata file names must lie below one of these directories (somebody else than the caller wrote it), and not
    be ``ours``: what the registry itself has made.
    ``run`` counts where neither an option nor the metadata file says anything.
    """

    metadata: Path | None = None
    commit: str | None = None
    repo: Path | None = None
    data: Sequence[str] = ()
    pipeline_run: str | None = None
    trained: str | None = None
    owner: str | None = None
    metrics: Path | None = None
    params: Path | None = None
    gates: Sequence[Path] = ()
    config: Path | None = None
    prompt: Path | None = None
    environment: Path | None = None
    card: Path | None = None
    evidence: Sequence[Path] = ()
    metrics_text: str | None = None
    within: Sequence[Path] = ()
    ours: Callable[[Path], bool] | None = None
    run: RunSaid | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class File:
    """A file to keep: its evidence kind, where it came from, its bytes."""

    kind: str
    path: Path
    data: bytes


@dataclass(slots=True)
class Gathered:
    """Everything that was told, validated on its own; ``fields`` are ready for the event.

    ``named`` are the fields that were given, well or badly: those are not called missing as well; ``assumed`` those that
    nobody stated and the CI system's environment did.
    """

    fields: dict[str, Any] = field(default_factory=dict)
    files: list[File] = field(default_factory=list)
    gates: list[tuple[GateReport, File]] = field(default_factory=list)
    card: tuple[Mapping[str, str], File] | None = None
    tags: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    problems: list[RegistryError] = field(default_factory=list)
    named: set[str] = field(default_factory=set)
    assumed: set[str] = field(default_factory=set)

    def attempt(self, work: Callable[[], _T]) -> _T | None:
        """Run ``work``; keep its refusal beside the others instead of stopping at the first."""
        try:
            return work()
        except RegistryError as problem:
            self.problems.extend(problem.reasons)
            return None
