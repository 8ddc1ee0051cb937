"""What `register` and `attach` are told, gathered from options, the metadata file, git, DVC and CI.

Rules held here: options win over the file, and the file over a run's word; paths in the file are relative to it; everything that is wrong is told at
once; each file is read once, and the bytes that were understood are the bytes that are kept as evidence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from manual_registry.core.canonical import encode
from manual_registry.core.errors import BadValue, FieldFilled, Json, PathEscapes, raise_for
from manual_registry.core.gates import GateReport, report_document
from manual_registry.core.metadata import CARD_FIELDS, Metadata, completed
from manual_registry.core.times import normal_stamp
from manual_registry.core.values import free_text, label, line_text
from manual_registry.registry.given import File, Gathered, Given
from manual_registry.registry.lineage import code_and_data

if TYPE_CHECKING:
    from manual_registry.adapters.evidence import Evidence


class Keeper(Protocol):
    """Where evidence goes: a staged version or one in place."""

    def add(self, kind: str, source: Path, *, data: bytes | None = None) -> Evidence:
        """Keep one file."""


def gather(given: Given, *, repository_at: Path | None, environ: Mapping[str, str], code: bool = True) -> Gathered:
    """Gather and validate everything but the artefact; problems are collected in the result.

    ``repository_at`` is where a repository is looked for when none was named; ``code`` False (attach): code and data
    are not asked for.
    """
    found = Gathered()
    told = _metadata(found, given)
    if given.run is not None:
        told = completed(told, given.run.metadata)
        found.files.append(File(kind="other", path=Path(given.run.name), data=given.run.record))
    base = given.metadata.parent if given.metadata else Path()
    _tables(found, given, told)
    _files(found, given, told, base)
    if code:
        code_and_data(found, given, told, repository_at, environ)
    elif given.metadata is not None:
        found.fields |= {
            name: True for name, value in (("training_data", told.training_data), ("code", told.code_commit)) if value
        }
        fixed = [name for name in ("config", "prompt") if getattr(told, name)]
        found.problems += [
            FieldFilled(f"{name} is fixed at registration", location=name, clause="RP-1") for name in fixed
        ]
        if told.tags:
            found.problems.append(FieldFilled("attach sets no tags", location="tags", hint="mreg tag REF KEY=VALUE"))
    return found


def _metadata(found: Gathered, given: Given) -> Metadata:
    from manual_registry.adapters.metadata import parse_metadata

    if given.metadata is None:
        return Metadata()
    path = given.metadata
    data = found.attempt(lambda: _read(path))
    if data is None:
        return Metadata()
    file = File(kind="metadata", path=path, data=data)
    found.files.append(file)
    told = found.attempt(lambda: parse_metadata(data, name=path.name))
    if told is None:
        return Metadata()
    found.gates += [(report, file) for report in told.gates]
    if told.card:
        found.card = ({name: told.card[name] for name in CARD_FIELDS if name in told.card}, file)
    return told


def _read(path: Path) -> bytes:
    from manual_registry.adapters.documents import read_bytes

    return read_bytes(path)


def _tables(found: Gathered, given: Given, told: Metadata) -> None:
    from manual_registry.adapters.metadata import parse_metrics, parse_parameters

    metrics: Mapping[str, Json] | None = dict(told.metrics) if told.metrics else None
    params: Mapping[str, Json] | None = dict(told.hyperparameters) if told.hyperparameters is not None else None
    if given.metrics is not None:
        read = _keep(found, "other", given.metrics)
        metrics = (
            found.attempt(lambda: dict(parse_metrics(read, name=_name(given.metrics)))) if read is not None else None
        )
    if given.params is not None:
        kept = _keep(found, "other", given.params)
        params = found.attempt(lambda: parse_parameters(kept, name=_name(given.params))) if kept is not None else None
    if given.metrics_text:
        metrics = _with_typed(found, given.metrics_text, metrics)
    trained = given.trained or told.training_date
    options = {
        "metrics": given.metrics or given.metrics_text,
        "hyperparameters": given.params,
        "training_date": trained,
    }
    found.named |= {name for name, value in options.items() if value}
    found.fields |= {
        "metrics": _encoded(found, metrics, "metrics"),
        "hyperparameters": _encoded(found, params, "hyperparameters"),
        "subgroup_metrics": _encoded(found, told.subgroup_metrics or None, "subgroup_metrics"),
        "training_date": found.attempt(lambda: normal_stamp(trained, where="training_date")) if trained else None,
        "pipeline_run": _line(found, given.pipeline_run or told.pipeline_run, "pipeline_run"),
        "owner": _line(found, given.owner or told.owner, "owner"),
        "origin": _line(found, told.origin, "origin"),
        "description": found.attempt(lambda: free_text(told.description or "", where="description")) or None,
    }
    for key, value in told.tags.items():
        found.attempt(lambda key=key: label(key, where="tag"))  # type: ignore[misc]
        found.attempt(lambda key=key, value=value: line_text(value, where=f"tag {key}"))  # type: ignore[misc]
    found.tags = dict(told.tags)


def _with_typed(found: Gathered, text: str, metrics: Mapping[str, Json] | None) -> Mapping[str, Json] | None:
    """Take metrics that were typed into a cell where no file has any; where both differ the file counts, and it is told."""
    from manual_registry.core.adoption.metrics import parse_metrics

    typed = parse_metrics(text)
    if metrics is None and typed is None:
        told = f"Evaluation metrics {text!r}: not understood as a whole; write for example: auc 0.91; f1 0.88"
        found.problems.append(BadValue(told, location="metrics"))
        return None
    if metrics is None or typed is None:
        return metrics if typed is None else dict(typed.values)
    differing = [name for name, value in typed.values.items() if not _near(value, metrics.get(name))]
    if differing:
        found.warnings.append(f"typed metrics ({', '.join(differing)}) differ from the metadata file; the file counts")
    return metrics


def _near(typed: float, standing: Json) -> bool:
    """Tell whether a typed number is a file's, rounded by whoever typed it."""
    return isinstance(standing, int | float) and abs(typed - standing) <= 0.005 * max(1.0, abs(standing))


def _name(path: Path | None) -> str:
    return path.name if path else ""


def _line(found: Gathered, text: str | None, where: str) -> str | None:
    return found.attempt(lambda: line_text(text, where=where)) if text else None


def _encoded(found: Gathered, value: Any, where: str) -> Json:
    return found.attempt(lambda: encode(_plain(value), where=where)) if value is not None else None


def _plain(value: Any) -> Any:
    return {key: _plain(item) for key, item in value.items()} if isinstance(value, Mapping) else value


def _keep(found: Gathered, kind: str, path: Path) -> bytes | None:
    data = found.attempt(lambda: _read(path))
    if data is not None:
        found.files.append(File(kind=kind, path=path, data=data))
    return data


def _files(found: Gathered, given: Given, told: Metadata, base: Path) -> None:
    from manual_registry.adapters.metadata import parse_card, parse_gates

    for kind in ("config", "prompt", "environment"):
        named = getattr(given, kind) or _beside(found, given, base, getattr(told, kind), kind)
        if named is not None:
            _keep(found, kind, named)
    card = given.card or _beside(found, given, base, told.card_file, "card")
    if card is not None and _keep(found, "card", card) is not None:
        file = found.files[-1]
        fields = found.attempt(lambda: parse_card(file.data, name=file.path.name))
        found.card = (fields, file) if fields is not None else None
    beside = () if given.gates else [_beside(found, given, base, name, "gates") for name in told.gate_files]
    gates = [*given.gates, *(path for path in beside if path is not None)]
    if given.gates:
        found.gates = []
    for path in gates:
        if _keep(found, "gates", path) is None:
            continue
        kept = found.files[-1]
        reports = found.attempt(lambda kept=kept: parse_gates(kept.data, name=kept.path.name))  # type: ignore[misc]
        found.gates += [(report, kept) for report in reports or ()]
    for path in given.evidence:
        _keep(found, "other", path)


def _beside(found: Gathered, given: Given, base: Path, name: str | None, kind: str) -> Path | None:
    """Return the path of a file that the metadata file names; None: it names none, or one that is not to be read."""
    if not name:
        return None
    from manual_registry.adapters.confined import allowed_path, path_beside

    def allowed() -> Path:
        path = allowed_path(given.within, name, base=base, where="metadata file")
        if given.ours is not None and given.ours(path):
            raise PathEscapes(f"metadata file {name!r}: belongs to the registry itself", location="metadata file")
        return path

    if not given.within:
        where = f"{_name(given.metadata)}: {kind}"
        return found.attempt(lambda: path_beside(base, name, where=where, option=f"--{kind}"))
    return found.attempt(allowed)


def keep_all(found: Gathered, add: Callable[[File], Evidence]) -> dict[str, Any]:
    """Keep every gathered file; return the members of the event that name them."""
    kept: dict[int, Evidence] = {id(file): add(file) for file in found.files}
    evidence: list[Json] = []
    for item in kept.values():
        document: dict[str, Json] = {
            "kind": item.kind,
            "path": item.path,
            "sha256": item.sha256,
            "blake3": item.blake3,
            "size": item.size,
        }
        if document not in evidence:
            evidence.append(document)
    members: dict[str, Any] = {"evidence": evidence, "config": None, "prompt": None, "environment": None, "card": None}
    for file in found.files:
        if file.kind in ("config", "prompt", "environment"):
            members[file.kind] = {"path": kept[id(file)].path, "sha256": kept[id(file)].sha256}
    members["gates"] = [
        {**_gate(report), "sha256": kept[id(file)].sha256, "path": kept[id(file)].path} for report, file in found.gates
    ]
    if found.card is not None:
        fields, file = found.card
        members["card"] = {"fields": dict(fields), "sha256": kept[id(file)].sha256, "path": kept[id(file)].path}
    return members


def _gate(report: GateReport) -> dict[str, Json]:
    encoded = encode(report_document(report), where=f"gates.{report.gate}")
    return encoded if isinstance(encoded, dict) else {}


def refuse(found: Gathered) -> None:
    """Raise every problem that was collected."""
    raise_for(found.problems)
