"""Where each field of the register goes in MLflow: the table of docs/mlflow.md, and what tests hold it to.

A test asks that docs/mlflow.md has :func:`markdown` word for word, that every member of a registration stands here, and
that every place which the mapping fills is told.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One line: ``fields`` of the register, ``where`` in words, ``places`` as patterns over ``place name``."""

    fields: tuple[str, ...]
    where: str
    places: tuple[str, ...]
    unfit: str = ""


ROWS: Final = (
    Row(
        fields=("model",),
        where="experiment and registered model of that name; tag `manual_registry.model`",
        places=(r".+\.tag manual_registry\.model", "experiment (name|lifecycle)", "registered_model name"),
    ),
    Row(
        fields=("version",),
        where="tag `manual_registry.version` of run, logged model and model version; in the run's and the logged model's name",
        places=(r".+\.tag manual_registry\.version", "run name", "model name"),
        unfit="MLflow counts versions itself; a logged model's name bans `. / : % \" '`, which become `_`",
    ),
    Row(
        fields=("composite_id", "registry id"),
        where="tags `manual_registry.composite_id`, `manual_registry.registry_id`",
        places=(r".+\.tag manual_registry\.(composite_id|registry_id)",),
    ),
    Row(
        fields=("artefact",),
        where="files of the logged model below `artefact/`, with an MLmodel beside them; tags `aisdp.content_hash` (BLAKE3),"
        " `manual_registry.sha256`, `manual_registry.size`; `SHA256SUMS`, `B3SUMS` in the run's `manual_registry/`",
        places=(
            "model.file artefact/.+",
            "model status",
            r"version\.tag (aisdp\.content_hash|manual_registry\.(sha256|size))",
            r"run\.file manual_registry/(SHA256SUMS|B3SUMS)",
        ),
        unfit="`#` and `?` in file names are spelled `_x23_` and `_x3f_`, spaces at the beginning `_x20_`, a colon at the end `_x3a_`",
    ),
    Row(
        fields=("stage",),
        where="tags `manual_registry.stage`, `aisdp.stage`; production also as the alias `production` (or `champion`)",
        places=(r"version\.tag (manual_registry|aisdp)\.stage", r"registered_model\.alias .+"),
    ),
    Row(
        fields=("aliases",),
        where="aliases",
        places=(r"registered_model\.alias .+",),
        unfit="`v3`, `1.2.0`, `latest` are refused: `alias-v3-HASH`, `1_2_0-HASH`, `alias-latest-HASH`",
    ),
    Row(
        fields=("training_data",),
        where="training inputs of the run: name the reference, digest its hash, the whole reference in the source; tag"
        " `aisdp.training_data_version`",
        places=(r"run\.dataset training .+", r"version\.tag aisdp\.training_data_version"),
        unfit="a digest holds 36 characters; the whole one stands in the source",
    ),
    Row(
        fields=("code", "ci"),
        where="run tags `mlflow.source.git.commit`, `mlflow.source.git.repoURL`; tag `aisdp.code_commit`; the rest in record.json",
        places=(r"run\.tag mlflow\.source\.(git\.(commit|repoURL)|type)", r"version\.tag aisdp\.code_commit"),
    ),
    Row(
        fields=("training_date",),
        where="start and end of the run; tag `aisdp.training_date`",
        places=("run (start|end)", r"version\.tag aisdp\.training_date"),
        unfit="not before 1970",
    ),
    Row(
        fields=("pipeline_run", "origin"),
        where="run tag `mlflow.source.name`; tag `aisdp.pipeline_run`",
        places=(r"run\.tag mlflow\.source\.name", r"version\.tag aisdp\.pipeline_run"),
    ),
    Row(
        fields=("hyperparameters",),
        where="params of run and logged model; text as it is, all else as JSON",
        places=(r"(run|model)\.param .+",),
        unfit="6,000 characters; longer ones are shortened and end with their SHA-256; refused characters of names are spelled `_xHH_`",
    ),
    Row(
        fields=("metrics",),
        where="metrics of the run, linked to the logged model, at the training date; tag `aisdp.evaluation_metrics`",
        places=(r"(run|model)\.metric (?!gate/|subgroup/).+", r"version\.tag aisdp\.evaluation_metrics"),
        unfit="64-bit floats; refused characters of names are spelled `_xHH_`",
    ),
    Row(
        fields=("subgroup_metrics",),
        where="metrics `subgroup/ATTRIBUTE/GROUP/METRIC`, at the training date",
        places=(r"(run|model)\.metric subgroup/.+/.+/.+",),
    ),
    Row(
        fields=("gates",),
        where="metrics `gate/GATE/METRIC` with `/lower`, `/upper`, `/threshold`, at the date of the evaluation, a later report as"
        " a later step; evaluation inputs of the run; tag `aisdp.validation_gates`",
        places=(
            r"(run|model)\.metric gate/.+/.+",
            r"run\.metric\.earlier gate/.+/.+ step [0-9]+",
            r"run\.dataset evaluation .+",
            r"version\.tag aisdp\.validation_gates",
        ),
    ),
    Row(
        fields=("evidence", "config", "prompt", "environment"),
        where="files of the run, `manual_registry/evidence/KIND/NAME`, byte for byte",
        places=(r"run\.file manual_registry/evidence/.+",),
    ),
    Row(
        fields=("card", "description"),
        where="description of the model version; `mlflow.note.content` of the run",
        places=("version description", r"run\.tag mlflow\.note\.content"),
        unfit="5,000 characters",
    ),
    Row(
        fields=("approvals", "promotions"),
        where="files of the run, `manual_registry/approvals/ID.json`, `.sig`, `.allowed_signers`; tags `aisdp.approver`,"
        " `aisdp.approval_date`",
        places=(r"run\.file manual_registry/approvals/.+", r"version\.tag aisdp\.(approver|approval_date)"),
    ),
    Row(
        fields=("registrant", "registered at"),
        where="user of the run; tags `manual_registry.registered_by`, `manual_registry.registered_at`",
        places=(r"run\.tag mlflow\.user", r"version\.tag manual_registry\.registered_(by|at)"),
    ),
    Row(
        fields=("owner", "deployments", "storage location", "retention", "system", "risk class"),
        where="tags `aisdp.owner`, `aisdp.deployment_date`, `aisdp.storage_location`, `aisdp.retention_until`, `aisdp.system`,"
        " `aisdp.risk_class`",
        places=(r".+\.tag aisdp\.(owner|deployment_date|storage_location|retention_until|system|risk_class)",),
    ),
    Row(
        fields=("tags",),
        where="tags `manual_registry.tag.NAME`",
        places=(r"version\.tag manual_registry\.tag\..+",),
        unfit="5,000 characters",
    ),
    Row(
        fields=("everything",),
        where="`manual_registry/record.json` of the run: the whole record; `manual_registry/events.jsonl`: its events, byte for byte",
        places=(r"run\.file manual_registry/(record\.json|events\.jsonl)", "run (status|lifecycle)"),
    ),
    Row(
        fields=("of the export itself",),
        where="tags `manual_registry.mapping`, `.exported_through` (number of the last event known to it),"
        " `.exporting_through` (those through which exports were begun; of one that ended, the same number), `.verified`"
        " (outcome of the read-back), `.production_alias`; description of the registered model",
        places=(r".+\.tag manual_registry\.mapping", "registered_model description"),
    ),
)


def markdown() -> str:
    """Return the table as it stands in docs/mlflow.md."""
    lines = ["| field | place in MLflow | what does not fit |", "|---|---|---|"]
    lines += [f"| {', '.join(row.fields)} | {row.where} | {row.unfit} |" for row in ROWS]
    return "\n".join(lines) + "\n"
