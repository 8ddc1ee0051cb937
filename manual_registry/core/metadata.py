"""What is told about a version beside its files: the Metadata file of the contract (design 3.2) as a value.

Every field may be absent; which ones a registration needs is the policy's business (by risk class). Reading
files is left to ``adapters/metadata.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from manual_registry.core.errors import Json
from manual_registry.core.gates import GateReport

#: The six parts of a complete model card, in the order in which they are shown.
CARD_FIELDS: tuple[str, ...] = (
    "architecture",
    "training_data",
    "intended_use",
    "limitations",
    "failure_modes",
    "ethical_considerations",
)

#: ``{attribute: {group: {metric: value}}}``
SubgroupMetrics = Mapping[str, Mapping[str, Mapping[str, float]]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Metadata:
    """The metadata of one version; None (or empty) means that the file does not say.

    ``training_data`` are references as written (``core.references`` parses them); ``training_date`` a date or
    RFC 3339 time as written; ``metrics`` finite numbers by name; ``gates`` the reports written inline and
    ``gate_files`` the paths named instead; ``config``, ``prompt``, ``environment`` and ``card_file`` are
    paths relative to the metadata file; ``card`` the six parts written inline (those that are there).
    """

    training_data: tuple[str, ...] = ()
    code_commit: str | None = None
    code_repository: str | None = None
    training_date: str | None = None
    pipeline_run: str | None = None
    hyperparameters: Mapping[str, Json] | None = None
    metrics: Mapping[str, float] | None = None
    subgroup_metrics: SubgroupMetrics | None = None
    gates: tuple[GateReport, ...] = ()
    gate_files: tuple[str, ...] = ()
    config: str | None = None
    prompt: str | None = None
    environment: str | None = None
    owner: str | None = None
    origin: str | None = None
    description: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    card: Mapping[str, str] | None = None
    card_file: str | None = None


def completed(said: Metadata, run: Metadata) -> Metadata:
    """Return ``said``, with what it leaves open taken from ``run``: field by field, tags name by name.

    A repository goes with its commit.
    """
    open_fields = {
        name: getattr(run, name)
        for name in (
            "training_data",
            "code_commit",
            "training_date",
            "pipeline_run",
            "hyperparameters",
            "metrics",
            "subgroup_metrics",
            "owner",
            "description",
        )
        if getattr(said, name) in (None, (), "") or (not getattr(said, name) and name != "hyperparameters")
    }
    if said.code_commit in (None, "", run.code_commit):
        open_fields["code_repository"] = said.code_repository or run.code_repository
    return replace(said, **open_fields, tags={**run.tags, **said.tags})


def card_missing(card: Mapping[str, object] | None) -> list[str]:
    """Return the names of the card's parts that are absent or blank, in the order of :data:`CARD_FIELDS`."""
    found = card or {}
    return [name for name in CARD_FIELDS if not str(found.get(name) or "").strip()]
