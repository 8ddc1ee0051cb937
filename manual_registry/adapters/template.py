"""Writes a start for a Metadata file (`register --template FILE`), filled from git, DVC and the CI job.

Rules held here: every field of the format stands in it with a line of help; what is not known is left blank,
never guessed (a blank field counts as absent); what was read says where it was read. The text loads back
through ``metadata.parse_metadata`` as it is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from manual_registry.adapters.ci import CiJob
from manual_registry.adapters.documents import parse_mapping
from manual_registry.adapters.dvc import DvcTarget, tracked
from manual_registry.adapters.git import GitRepository
from manual_registry.adapters.metadata import parse_metrics, parse_parameters
from manual_registry.core.errors import RegistryError
from manual_registry.core.metadata import CARD_FIELDS

#: What each risk class asks for at registration (design 3.4); told in the template, decided by the policy.
_ASKED = {
    "high": ("training_data", "code", "training_date", "pipeline_run", "hyperparameters", "metrics"),
    "limited": ("training_data", "code", "training_date", "metrics"),
}

#: How many references are written out for choosing.
_MOST_OFFERED = 50

_CARD_HELP = {
    "architecture": "kind of model, inputs and outputs",
    "training_data": "where it comes from, period, selection, known bias",
    "intended_use": "who uses it for which decision, and what it must not be used for",
    "limitations": "where it is not reliable",
    "failure_modes": "how it fails, how that is noticed, what happens then",
    "ethical_considerations": "groups affected, harms considered, what was done about them",
}


def metadata_template(artefact: Path, repository: GitRepository | None, ci: CiJob | None, risk: str) -> str:
    """Return the YAML text of a start.

    ``artefact`` is what will be registered (it is left out of the data offered); ``repository`` the git
    repository of the training code; ``ci`` the running job; ``risk`` high, limited or minimal, which says
    what is asked for.
    """
    head = repository.head() if repository else None
    source = _Source(repository, head, artefact) if repository and head else None
    sections = (
        _heading(artefact, risk),
        _data(source, risk),
        _code(source, ci, risk),
        _run(ci, risk),
        _numbers(source, risk),
        _gates(),
        _files(),
        _people(source, ci),
        _card(),
    )
    return "\n".join(line for section in sections for line in (*section, "")).rstrip("\n") + "\n"


class _Source:
    """What the repository says at the commit checked out."""

    def __init__(self, repository: GitRepository, commit: str, artefact: Path) -> None:
        self.repository = repository
        self.commit = commit
        self.artefact = _path_in(repository, artefact)

    def data(self) -> list[DvcTarget]:
        return [target for target in tracked(self.repository, self.commit) if target.path != self.artefact]

    def file(self, path: str) -> bytes | None:
        try:
            found = self.repository.blob(self.commit, path)
        except RegistryError:  # a partial clone without that file: the field stays blank
            return None
        return found[0] if found else None

    def mapping(self, path: str) -> dict[str, Any]:
        data = self.file(path)
        try:
            return parse_mapping(data, name=path) if data else {}
        except RegistryError:  # not for us to complain about; DVC does
            return {}


def _path_in(repository: GitRepository, artefact: Path) -> str | None:
    try:
        return artefact.resolve().relative_to(repository.directory.resolve()).as_posix()
    except ValueError:
        return None


def quoted(text: str) -> str:
    """Return ``text`` as a double-quoted YAML scalar (JSON's spelling, control characters escaped)."""
    line = json.dumps(text.encode("utf-8", "replace").decode("utf-8"), ensure_ascii=False)
    return "".join(char if char.isprintable() or char == " " else _escaped(char) for char in line)


def _escaped(char: str) -> str:
    code = ord(char)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def _asked(field: str, risk: str) -> str:
    return f" (asked for in risk class {risk})" if field in _ASKED.get(risk, ()) else ""


def _heading(artefact: Path, risk: str) -> list[str]:
    return [
        f"# Metadata of {quoted(artefact.name)}, risk class {risk}.",
        "# Fill in what is blank; a field left blank counts as absent. Then:",
        "#   mreg register MODEL VERSION PATH --metadata THIS_FILE",
    ]


def _data(source: _Source | None, risk: str) -> list[str]:
    lines = [
        f"# The data it was trained on{_asked('training_data', risk)}, one reference or a list:",
        "#   dvc:<commit>:<path>  git:<commit>:<path>  lakefs://<repository>/<commit id>/<path>",
        "#   delta:<path>@v<n>  sha256:<hex>  mlflow:<data set>@<digest>",
    ]
    found = source.data() if source else []
    more = [f"#  ... and {len(found) - _MOST_OFFERED} more"] if len(found) > _MOST_OFFERED else []
    if not source or not found:
        return [*lines, "training_data:"]
    offered = [
        (quoted(f"dvc:{source.commit}:{target.path}"), f"# {_shown(target.found_in)}, {_size(target)}")
        for target in found[:_MOST_OFFERED]
    ]
    if len(offered) == 1:
        return [*lines, f"training_data: {offered[0][0]}  {offered[0][1]}"]
    lines.append("# DVC tracks these; take the comment sign off those that it was trained on.")
    return [*lines, "training_data:", *(f"#  - {reference}  {told}" for reference, told in offered), *more]


def _shown(text: str) -> str:
    """A file name fit for a comment: one that could end the line is quoted."""
    return text if text.isprintable() else quoted(text)


def _size(target: DvcTarget) -> str:
    files = f"{target.nfiles} files, " if target.nfiles is not None else ""
    return files + (f"{target.size} bytes" if target.size is not None else "size not recorded")


def _code(source: _Source | None, ci: CiJob | None, risk: str) -> list[str]:
    commit = source.commit if source else ci.commit if ci else None
    url = source.repository.remote_url() if source else None
    url = url or (ci.repository if ci else None)
    lines = [f"# The training code{_asked('code', risk)}: full commit id, address of the repository."]
    changed = source.repository.changed_files() if source else ()
    if changed:
        named = ", ".join(changed[:3]) + (", ..." if len(changed) > 3 else "")
        lines.append(f"# CAUTION: {len(changed)} tracked files differ from this commit: {quoted(named)}")
    return [
        *lines,
        "code:",
        f"  commit: {quoted(commit)}" if commit else "  commit:",
        f"  repository: {quoted(url)}" if url else "  repository:",
    ]


def _run(ci: CiJob | None, risk: str) -> list[str]:
    run = f" {quoted(ci.run)}" if ci and ci.run else ""
    return [
        f"# When training ended{_asked('training_date', risk)}: 2026-11-24 or 2026-11-24T08:00:00Z.",
        "training_date:",
        "",
        f"# The run that trained it{_asked('pipeline_run', risk)}: the CI system's or the tracker's id.",
        f"pipeline_run:{run}",
    ]


def _numbers(source: _Source | None, risk: str) -> list[str]:
    parameters, metrics = _parameters(source), _metrics(source)
    return [
        f"# Hyperparameters{_asked('hyperparameters', risk)}, any values"
        + (" (from params.yaml in that commit)." if parameters else ", such as  learning_rate: 0.1"),
        *_block("hyperparameters", parameters),
        "",
        f"# Evaluation metrics{_asked('metrics', risk)}, name and number"
        + (f" (from {metrics[0]} in that commit)." if metrics else ", such as  auc_roc: 0.91"),
        *_block("metrics", metrics[1] if metrics else {}),
        "",
        "# The same by group of people, such as  sex: {female: {auc_roc: 0.90}, male: {auc_roc: 0.91}}",
        "subgroup_metrics:",
    ]


def _block(name: str, values: Mapping[str, Any]) -> list[str]:
    if not values:
        return [f"{name}:"]
    return [f"{name}:", *(f"  {quoted(key)}: {_flow(value)}" for key, value in values.items())]


def _flow(value: Any) -> str:
    """One JSON value on one line; infinities as YAML spells them."""
    match value:
        case str():
            return quoted(value)
        case dict():
            return "{" + ", ".join(f"{quoted(key)}: {_flow(item)}" for key, item in value.items()) + "}"
        case list():
            return "[" + ", ".join(_flow(item) for item in value) + "]"
        case float():
            return repr(value).replace("inf", ".inf")
    return json.dumps(value)


def _parameters(source: _Source | None) -> dict[str, Any]:
    data = source.file("params.yaml") if source and source.file("dvc.yaml") else None
    try:
        return dict(parse_parameters(data, name="params.yaml")) if data else {}
    except RegistryError:
        return {}


def _metrics(source: _Source | None) -> tuple[str, dict[str, float]] | None:
    """The first metrics file that dvc.yaml names and that holds plain numbers."""
    for path in _metric_files(source.mapping("dvc.yaml")) if source else ():
        data = source.file(path) if source else None
        try:
            found = parse_metrics(data, name=path) if data else {}
        except RegistryError:
            continue
        if found:
            return path, found
    return None


def _metric_files(pipeline: Mapping[str, Any]) -> list[str]:
    stages = pipeline.get("stages")
    listed = [pipeline.get("metrics")]
    listed += [
        stage.get("metrics")
        for stage in (stages if isinstance(stages, dict) else {}).values()
        if isinstance(stage, dict)
    ]
    names: list[str] = []
    for entries in listed:
        for entry in entries if isinstance(entries, list) else []:
            names += [entry] if isinstance(entry, str) else list(entry) if isinstance(entry, dict) else []
    return names


def _gates() -> list[str]:
    return [
        "# Gate reports: paths, relative to this file, or the reports themselves, such as",
        "#  - gate: performance",
        "#    passed: true",
        "#    evaluation_dataset: holdout-2026-10",
        "#    evaluated_at: 2026-11-24",
        "#    metrics:",
        "#      - {name: auc_roc, value: 0.91, lower: 0.89, upper: 0.93, threshold: 0.85, direction: higher}",
        "gates:",
    ]


def _files() -> list[str]:
    return [
        "# Files kept as evidence, relative to this file: configuration, prompt, environment (a lock file).",
        "config:",
        "prompt:",
        "environment:",
    ]


def _people(source: _Source | None, ci: CiJob | None) -> list[str]:
    owner = ci.started_by if ci else None
    if source:
        name, address = source.repository.author(source.commit)
        owner = f"{name} <{address}>" if address else name
    return [
        "# Who answers for this version.",
        f"owner: {quoted(owner)}" if owner else "owner:",
        "",
        "# Where the model comes from when it was not trained here (supplier, base model and its licence).",
        "origin:",
        "description:",
        "# Free words by name, such as  team: credit",
        "tags:",
    ]


def _card() -> list[str]:
    return [
        "# The model card: a path, relative to this file, or its six parts here.",
        "card:",
        *(line for name in CARD_FIELDS for line in (f"  # {_CARD_HELP[name]}", f"  {name}:")),
    ]
