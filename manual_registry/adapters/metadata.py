"""Reads what is told about a version beside its files: metadata, gate reports, cards, metrics, parameters.

Rules held here: everything wrong in a file is told at once, each with its place (`metadata.yaml: code.comit`)
and, for an unknown key, the one that was probably meant; a key without a value counts as absent. Each
``load_…`` reads a path, each ``parse_…`` takes the bytes, so that the very bytes that are kept as evidence
are the ones understood. The fields are declared in ``metadata_models.py``; whether they suffice is the
policy's business.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from manual_registry.adapters.documents import kind_of, parse_document, parse_mapping, read_bytes
from manual_registry.core.errors import (
    BadTime,
    Json,
    MetadataType,
    MetadataUnknownKey,
    MetricNotFinite,
    RegistryError,
    raise_for,
)
from manual_registry.core.gates import Direction, GateMetric, GateReport, claim_problem
from manual_registry.core.metadata import Metadata

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError
    from pydantic_core import ErrorDetails

    from manual_registry.adapters.metadata_models import GateModel, MetadataModel

_Model = TypeVar("_Model", bound="BaseModel")


# -- the Metadata file ------------------------------------------------------------------------------------


def load_metadata(path: Path) -> Metadata:
    """Read a Metadata file; paths in it are relative to its directory.

    Raises ``FileUnknown``, ``MetadataUnreadable``, or (several together as ``Refused``)
    ``MetadataUnknownKey``, ``MetadataType``, ``MetricNotFinite``, ``BadTime``, ``GateClaim``.
    """
    return parse_metadata(read_bytes(path), name=path.name)


def parse_metadata(data: bytes, *, name: str) -> Metadata:
    """Read the bytes of a Metadata file.

    Its format follows from ``name``. Raises as :func:`load_metadata`.
    """
    from manual_registry.adapters.metadata_models import GateModel, MetadataModel

    model = _validated(MetadataModel, _without_nothing(parse_mapping(data, name=name)), name)
    inline = [item for item in model.gates if isinstance(item, GateModel)]
    reports = {index: _report(item) for index, item in enumerate(model.gates) if isinstance(item, GateModel)}
    _refuse_claims({f"{name}: gates[{index}]": report for index, report in reports.items()})
    return _metadata(model, tuple(_report(item) for item in inline))


def _metadata(model: MetadataModel, gates: tuple[GateReport, ...]) -> Metadata:
    card = model.card
    return Metadata(
        training_data=tuple(model.training_data),
        code_commit=model.code.commit,
        code_repository=model.code.repository,
        training_date=model.training_date,
        pipeline_run=model.pipeline_run,
        hyperparameters=model.hyperparameters,
        metrics=model.metrics,
        subgroup_metrics=model.subgroup_metrics,
        gates=gates,
        gate_files=tuple(item for item in model.gates if isinstance(item, str)),
        config=model.config,
        prompt=model.prompt,
        environment=model.environment,
        owner=model.owner,
        origin=model.origin,
        description=model.description,
        tags=model.tags,
        card=None if card is None or isinstance(card, str) else _filled(card.model_dump()) or None,
        card_file=card if isinstance(card, str) else None,
    )


def _filled(card: Mapping[str, str]) -> dict[str, str]:
    return {name: text.strip() for name, text in card.items() if text.strip()}


# -- gate reports -----------------------------------------------------------------------------------------


def load_gates(path: Path) -> tuple[GateReport, ...]:
    """Read a file of one gate report or a list of them.

    Raises ``FileUnknown``, ``MetadataUnreadable``, or (several together as ``Refused``)
    ``MetadataUnknownKey``, ``MetadataType``, ``MetricNotFinite``, ``BadTime``, ``GateClaim``.
    """
    return parse_gates(read_bytes(path), name=path.name)


def parse_gates(data: bytes, *, name: str) -> tuple[GateReport, ...]:
    """Read the bytes of a gate report file; raises as :func:`load_gates`."""
    from manual_registry.adapters.metadata_models import GatesModel

    document = parse_document(data, name=name)
    reports = document if isinstance(document, list) else [document]
    if not reports or not all(isinstance(report, dict) for report in reports):
        found = kind_of(next((report for report in reports if not isinstance(report, dict)), document))
        raise MetadataType(f"{name}: a gate report or a list of them is wanted, not {found}", location=name)
    one = not isinstance(document, list)
    wrapped = {"reports": [_without_nothing(report) for report in reports]}
    model = _validated(GatesModel, wrapped, name, hidden=2 if one else 1)
    found_reports = tuple(_report(item) for item in model.reports)
    _refuse_claims({name if one else f"{name}: [{index}]": report for index, report in enumerate(found_reports)})
    return found_reports


def _report(model: GateModel) -> GateReport:
    return GateReport(
        gate=model.gate,
        passed=model.passed,
        evaluation_dataset=model.evaluation_dataset,
        evaluated_at=model.evaluated_at or "",
        metrics=tuple(
            GateMetric(
                name=metric.name,
                value=float(metric.value),
                threshold=float(metric.threshold),
                direction=Direction(metric.direction),
                lower=None if metric.lower is None else float(metric.lower),
                upper=None if metric.upper is None else float(metric.upper),
            )
            for metric in model.metrics
        ),
        model=model.model,
    )


def _refuse_claims(reports: Mapping[str, GateReport]) -> None:
    found = [claim_problem(report, where=where) for where, report in reports.items()]
    raise_for(problem for problem in found if problem is not None)


# -- cards ------------------------------------------------------------------------------------------------


def load_card(path: Path) -> dict[str, str]:
    """Read a model card: a mapping with the six fields, or Markdown with headings named like them.

    Returns the fields that are there and not blank; raises as :func:`load_metadata`.
    """
    return parse_card(read_bytes(path), name=path.name)


def parse_card(data: bytes, *, name: str) -> dict[str, str]:
    """Read the bytes of a model card; raises as :func:`load_card`."""
    from manual_registry.adapters.cards import is_markdown, markdown_card
    from manual_registry.adapters.metadata_models import CardModel

    if is_markdown(name):
        return _filled(markdown_card(data, where=name))
    document = _without_nothing(parse_mapping(data, name=name))
    return _filled(_validated(CardModel, document, name).model_dump())


# -- metrics and hyperparameters --------------------------------------------------------------------------


def load_metrics(path: Path) -> dict[str, float]:
    """Read a flat file of metrics, name to finite number; raises as :func:`load_metadata`."""
    return parse_metrics(read_bytes(path), name=path.name)


def parse_metrics(data: bytes, *, name: str) -> dict[str, float]:
    """Read the bytes of a metrics file; raises as :func:`load_metadata`."""
    from manual_registry.adapters.metadata_models import MetricsModel

    return _validated(MetricsModel, {"metrics": parse_mapping(data, name=name)}, name, hidden=1).metrics


def load_parameters(path: Path) -> dict[str, Json]:
    """Read a file of hyperparameters: keys with any JSON value; raises as :func:`load_metadata`."""
    return parse_parameters(read_bytes(path), name=path.name)


def parse_parameters(data: bytes, *, name: str) -> dict[str, Json]:
    """Read the bytes of a hyperparameter file; raises as :func:`load_metadata`."""
    from manual_registry.adapters.metadata_models import ParametersModel

    wrapped = {"hyperparameters": parse_mapping(data, name=name)}
    return _validated(ParametersModel, wrapped, name, hidden=1).hyperparameters


# -- what pydantic found, in our words --------------------------------------------------------------------


def _without_nothing(document: Mapping[str, Any]) -> dict[str, Any]:
    """Drop keys without a value, here and in ``code`` and ``card``: an empty line of a form says nothing."""
    result = {key: value for key, value in document.items() if value is not None}
    for key in ("code", "card"):
        if isinstance(result.get(key), dict):
            result[key] = {name: value for name, value in result[key].items() if value is not None}
    return result


def _validated(model: type[_Model], document: Any, name: str, *, hidden: int = 0) -> _Model:
    """Validate; ``hidden`` is how many first parts of a location are ours and not the file's."""
    from pydantic import ValidationError

    try:
        return model.model_validate(document)
    except ValidationError as error:
        found = error
    raise_for(_errors(found, model, name, hidden))
    raise AssertionError("pydantic refused without a reason")


def _errors(found: ValidationError, model: type[BaseModel], name: str, hidden: int) -> list[RegistryError]:
    return [_error(item, model, name, hidden) for item in found.errors(include_url=False, include_input=True)]


def _error(item: ErrorDetails, model: type[BaseModel], name: str, hidden: int) -> RegistryError:
    place = location(item["loc"][hidden:])
    where = f"{name}: {place}" if place else name
    match item["type"]:
        case "extra_forbidden":
            key = str(item["loc"][-1])
            return MetadataUnknownKey(f"{where}: no such key{_meant(key, model, item['loc'])}", location=where)
        case "not_finite":
            return MetricNotFinite(f"{where}: {item['msg']}", location=where)
        case "time":
            return BadTime(f"{where}: {item['msg']}", location=where)
        case "missing":
            return MetadataType(f"{where}: missing; every gate report has it", location=where)
        case "kind":
            return MetadataType(f"{where}: {item['msg']}", location=where)
    return MetadataType(f"{where}: {_plain_words(item)}", location=where)


def _plain_words(item: ErrorDetails) -> str:
    found = kind_of(item["input"])
    match item["type"]:
        case "dict_type" | "model_type" | "model_attributes_type":
            return f"keys with values are wanted, not {found}"
        case "list_type":
            return f"a list is wanted, not {found}"
        case "literal_error":
            return f"{item['ctx']['expected']} is wanted, not {item['input']!r}"
    return item["msg"]


def location(parts: tuple[int | str, ...]) -> str:
    """Return a pydantic location as people write it: ``gates[0].metrics[1].name``."""
    from manual_registry.adapters.metadata_models import TAGS

    text = ""
    for part in parts:
        if part not in TAGS:
            text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.lstrip(".")


def _meant(key: str, model: type[BaseModel], parts: tuple[int | str, ...]) -> str:
    """Suggest the key that was probably meant, else list those that there are."""
    known = _keys_at(model, parts[:-1])
    close = difflib.get_close_matches(key.lower().replace("-", "_").replace(" ", "_"), known, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; there are {', '.join(known)}"


def _keys_at(model: type[BaseModel], parts: tuple[int | str, ...]) -> list[str]:
    from manual_registry.adapters import metadata_models as models

    inner = [part for part in parts if isinstance(part, str)]
    tables: dict[str, type[BaseModel]] = {
        "code": models.CodeModel,
        "card": models.CardModel,
        "gates": models.GateModel,
        "reports": models.GateModel,
        "metrics": models.MetricModel,
    }
    named = [tables[part] for part in inner if part in tables]
    return list((named[-1] if named else model).model_fields)
