"""MLflow's objects as plain values: what a version of ours is there, or what was found there.

Both sides of every comparison are these; :func:`VersionEntities.flat` lays one out as ``{(place, name): text}``, which is
what is compared, counted and hashed. Times are milliseconds since 1970, UTC.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from manual_registry.core.canonical import dump, sha256_hex
from manual_registry.core.handover.limits import Remark

#: (place, name), as in ("run.param", "depth").
Key = tuple[str, str]
Flat = dict[Key, str]
#: The contexts, in lower case, of data that a model was trained with.
TRAINING = ("", "train", "training")
#: What a run or logged model is until it was finished: not there yet, rather than changed.
UNFINISHED = ("RUNNING", "SCHEDULED", "PENDING")


@dataclass(frozen=True, kw_only=True, slots=True)
class Metric:
    """A metric's value at a time."""

    name: str
    value: float
    timestamp: int
    step: int = 0

    def text(self) -> str:
        """Return what is compared."""
        return f"{self.value!r} at {self.timestamp} step {self.step}"

    def earlier_key(self) -> Key:
        """Return the place of a value that a later step came after."""
        return "run.metric.earlier", f"{self.name} step {self.step}"


@dataclass(frozen=True, kw_only=True, slots=True)
class History:
    """Every value of a run's metrics that had more than one: by step, then by time.

    ``cut`` names metrics of which not all is here: there were too many, or the server did not give them.
    """

    values: Mapping[str, tuple[Metric, ...]] = field(default_factory=dict)
    cut: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """Return it as it is kept: of each metric [step, timestamp, value] of every value; what JSON has not is text."""
        return {
            "values": [
                [name, [[one.step, one.timestamp, _plain(one.value)] for one in self.values[name]]]
                for name in sorted(self.values)
            ],
            "cut": sorted(self.cut),
        }

    def told(self, name: str, where: str) -> str | None:
        """Say what of a metric's values is kept in ``where``; None: it had its last value alone."""
        count = len(self.values.get(name, ()))
        if name not in self.cut:
            return f"all {count} are in {where}" if count else None
        if count:
            return f"the first {count} are in {where}, there are more"
        return f"others, if it has any, are not in {where}: too many, or the server does not give them"


def _plain(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)


@dataclass(frozen=True, kw_only=True, slots=True)
class Dataset:
    """A dataset input of a run; ``context`` is training or evaluation."""

    name: str
    digest: str
    source_type: str
    source: str
    context: str

    @property
    def trains(self) -> bool:
        """Whether people say that a model was trained on it; every other context is another use of data."""
        return self.context.strip().lower() in TRAINING

    def text(self) -> str:
        """Return what is compared."""
        return json.dumps([self.source_type, self.source], ensure_ascii=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class File:
    """A file of a run or of a logged model.

    ``sha256`` None: not downloaded, its size alone is known. ``data`` are its bytes where they are made here, ``origin``
    where it lies below the version's directory.
    """

    path: str
    size: int
    sha256: str | None
    data: bytes | None = None
    origin: str | None = None

    def text(self) -> str:
        """Return what is compared."""
        return f"{self.size} bytes sha256:{self.sha256 or '?'}"


def made_file(path: str, data: bytes) -> File:
    """Return a file whose bytes are made here."""
    return File(path=path, size=len(data), sha256=sha256_hex(data), data=data)


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """A run: how the version was trained and evaluated, and the papers."""

    name: str
    start: int | None
    end: int | None
    status: str
    tags: Mapping[str, str]
    params: Mapping[str, str]
    metrics: tuple[Metric, ...]
    datasets: tuple[Dataset, ...]
    files: tuple[File, ...]
    lifecycle: str = "active"
    #: Values that later steps of the same metrics came after: earlier reports of a gate.
    earlier: tuple[Metric, ...] = ()

    def flat(self) -> Iterator[tuple[Key, str]]:
        """Yield what is compared."""
        for name, value in (("name", self.name), ("start", self.start), ("end", self.end), ("status", self.status)):
            if value is not None and value not in UNFINISHED:
                yield ("run", name), str(value)
        yield ("run", "lifecycle"), self.lifecycle
        yield from ((("run.tag", name), value) for name, value in self.tags.items())
        yield from ((("run.param", name), value) for name, value in self.params.items())
        yield from ((("run.metric", one.name), one.text()) for one in self.metrics)
        yield from ((one.earlier_key(), one.text()) for one in self.earlier)
        yield from ((("run.dataset", f"{one.context} {one.name} {one.digest}"), one.text()) for one in self.datasets)
        yield from ((("run.file", one.path), one.text()) for one in self.files)


@dataclass(frozen=True, kw_only=True, slots=True)
class Logged:
    """A LoggedModel: the artefact and its MLmodel; its params and metrics are the run's, for MLflow's list of models."""

    name: str
    status: str
    tags: Mapping[str, str]
    files: tuple[File, ...]
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: tuple[Metric, ...] = ()

    def flat(self) -> Iterator[tuple[Key, str]]:
        """Yield what is compared."""
        yield ("model", "name"), self.name
        if self.status not in UNFINISHED:
            yield ("model", "status"), self.status
        yield from ((("model.tag", name), value) for name, value in self.tags.items())
        yield from ((("model.param", name), value) for name, value in self.params.items())
        yield from ((("model.metric", one.name), one.text()) for one in self.metrics)
        yield from ((("model.file", one.path), one.text()) for one in self.files)


@dataclass(frozen=True, kw_only=True, slots=True)
class Registered:
    """A model version of the registered model."""

    tags: Mapping[str, str]
    description: str

    def flat(self) -> Iterator[tuple[Key, str]]:
        """Yield what is compared."""
        yield ("version", "description"), self.description
        yield from ((("version.tag", name), value) for name, value in self.tags.items())


@dataclass(frozen=True, kw_only=True, slots=True)
class VersionEntities:
    """All that one version is in MLflow. On the found side a part that is not there is None."""

    model: str
    version: str
    run: Run | None
    logged: Logged | None
    registered: Registered | None
    remarks: tuple[Remark, ...] = ()

    @property
    def ref(self) -> str:
        """``model@version``."""
        return f"{self.model}@{self.version}"

    def whole(self) -> tuple[Run, Logged, Registered]:
        """Return the three parts; raises ``ValueError`` where one is not there (what is wanted has them all)."""
        if self.run is None or self.logged is None or self.registered is None:
            raise ValueError(f"{self.ref} is not whole")
        return self.run, self.logged, self.registered

    def flat(self) -> Flat:
        """Return everything as ``{(place, name): text}``."""
        parts = (self.run, self.logged, self.registered)
        return {key: value for part in parts if part is not None for key, value in part.flat()}

    def digest(self) -> str:
        """Return the SHA-256 (hex) of everything: two equal ones say the same of the version."""
        flat = self.flat()
        return sha256_hex(dump([[*key, flat[key]] for key in sorted(flat)]))


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelEntities:
    """What stands once for each model. ``aliases`` name versions of ours; ``renamed`` say which alias became which."""

    model: str
    experiment_tags: Mapping[str, str]
    model_tags: Mapping[str, str]
    description: str
    aliases: Mapping[str, str]
    remarks: tuple[Remark, ...] = field(default=())

    def flat(self) -> Flat:
        """Return everything as ``{(place, name): text}``."""
        flat: Flat = {("experiment", "name"): self.model, ("experiment", "lifecycle"): "active"}
        flat |= {("registered_model", "name"): self.model, ("registered_model", "description"): self.description}
        flat |= {("experiment.tag", name): value for name, value in self.experiment_tags.items()}
        flat |= {("registered_model.tag", name): value for name, value in self.model_tags.items()}
        return flat | {("registered_model.alias", name): value for name, value in self.aliases.items()}
