"""The Metadata file, the gate report and the card as pydantic models: what each field takes.

Imported by ``metadata.py`` only when a file is read, since pydantic takes 0.2 s to import. Rules held here:
text is wanted where text is wanted (a plain number of YAML is taken as it was written), numbers are numbers,
unknown keys are errors. Messages and locations are made by ``metadata.py``.
"""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    PlainValidator,
    Tag,
    field_validator,
)
from pydantic_core import PydanticCustomError

from manual_registry.adapters.documents import kind_of
from manual_registry.adapters.yaml_text import WrittenFloat, WrittenInt, plain
from manual_registry.core.errors import RegistryError
from manual_registry.core.times import parse_time

#: Parts of a pydantic location that name a branch of a union and not a place in the file.
TAGS = ("\0path", "\0inline")

_MODEL = re.compile(r"(sha256|blake3):[0-9a-f]{64}")


def _text(value: Any) -> str:
    match value:
        case str():
            text = value
        case WrittenInt() | WrittenFloat():
            text = value.source
        case bool():
            text = str(value).lower()
        case int():
            text = str(value)
        case _:
            raise PydanticCustomError("kind", "text is wanted, not {found}", {"found": kind_of(value)})
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise PydanticCustomError("kind", "text with half a character (a lone surrogate) in it")
    return text


def _line(value: Any) -> str | None:
    """Text that is nothing but spaces says nothing."""
    return _text(value).strip() or None


def _number(value: Any) -> int | float:
    if isinstance(value, str) and value.strip().lower().lstrip("+-.") in ("nan", "inf", "infinity"):
        raise PydanticCustomError("not_finite", "{found} is no finite number", {"found": value.strip()})
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise PydanticCustomError("kind", "a number is wanted, not {found}", {"found": kind_of(value)})
    number: int | float = plain(value)
    try:
        finite, found = math.isfinite(number), str(float(number))
    except OverflowError:
        finite, found = False, "an integer beyond 1e308"
    if not finite:
        raise PydanticCustomError("not_finite", "{found} is no finite number", {"found": found})
    return number


def _truth(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise PydanticCustomError("kind", "true or false is wanted, not {found}", {"found": kind_of(value)})


def _time(value: Any) -> str | None:
    text = _line(value)
    if text is not None:
        try:
            parse_time(text)
        except RegistryError:
            raise PydanticCustomError(
                "time",
                "{found} is not a date or time; write 2026-11-24 or 2026-11-24T08:00:00Z",
                {"found": repr(text)},
            ) from None
    return text


def _json(value: Any) -> Any:
    """Any JSON value; NaN cannot be kept, infinities can."""
    _refuse_nan(value, "")
    return plain(value)


def _refuse_nan(value: Any, place: str) -> None:
    if isinstance(value, float) and math.isnan(value):
        raise PydanticCustomError("kind", "NaN cannot be kept{place}", {"place": f" ({place})" if place else ""})
    if isinstance(value, str):
        _text(value)
    elif isinstance(value, dict):
        for key, item in value.items():
            _refuse_nan(item, f"{place}.{key}".lstrip("."))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _refuse_nan(item, f"{place}[{index}]")


def _part(value: Any) -> str:
    """A part of a card: text, or a list of texts that becomes lines."""
    return "\n".join(f"- {_text(item)}" for item in value) if isinstance(value, list) else _text(value)


def _listed(value: Any) -> Any:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _path_or_inline(value: Any) -> str:
    return TAGS[1] if isinstance(value, dict) else TAGS[0]


def _named(value: Any) -> str:
    text = _line(value)
    if text is None:
        raise PydanticCustomError("kind", "it is blank")
    return text


Text = Annotated[str, PlainValidator(_text)]
Line = Annotated[str | None, PlainValidator(_line)]
Name = Annotated[str, PlainValidator(_named)]
Number = Annotated[float, PlainValidator(_number)]
Truth = Annotated[bool, PlainValidator(_truth)]
Time = Annotated[str | None, PlainValidator(_time)]
AnyJson = Annotated[Any, PlainValidator(_json)]
Part = Annotated[str, PlainValidator(_part)]


class Strict(BaseModel):
    """Unknown keys are errors; a key without a value is taken as absent."""

    model_config = ConfigDict(extra="forbid")


class MetricModel(Strict):
    """One metric of a gate report."""

    name: Name
    value: Number
    threshold: Number
    direction: Literal["higher", "lower"]
    lower: Number | None = None
    upper: Number | None = None


class GateModel(Strict):
    """One gate report."""

    gate: Name
    passed: Truth
    evaluation_dataset: Name
    evaluated_at: Time
    metrics: list[MetricModel]
    model: Line = None

    @field_validator("evaluated_at")
    @classmethod
    def _dated(cls, value: str | None) -> str:
        return _named(value or "")

    @field_validator("model")
    @classmethod
    def _hashed(cls, value: str | None) -> str | None:
        if value is not None and not _MODEL.fullmatch(value.lower()):
            raise PydanticCustomError("kind", "write sha256: and the 64 hex characters of the model's hash")
        return value.lower() if value else None


class CardModel(Strict):
    """The six parts of a model card; each may be absent."""

    architecture: Part = ""
    training_data: Part = ""
    intended_use: Part = ""
    limitations: Part = ""
    failure_modes: Part = ""
    ethical_considerations: Part = ""


class CodeModel(Strict):
    """Where the training code is."""

    commit: Line = None
    repository: Line = None


GateItem = Annotated[Annotated[Name, Tag(TAGS[0])] | Annotated[GateModel, Tag(TAGS[1])], Discriminator(_path_or_inline)]
CardItem = Annotated[Annotated[Name, Tag(TAGS[0])] | Annotated[CardModel, Tag(TAGS[1])], Discriminator(_path_or_inline)]


class MetadataModel(Strict):
    """The Metadata file."""

    training_data: Annotated[list[Name], BeforeValidator(_listed)] = []
    code: CodeModel = CodeModel()
    training_date: Time = None
    pipeline_run: Line = None
    hyperparameters: dict[str, AnyJson] | None = None
    metrics: dict[str, Number] | None = None
    subgroup_metrics: dict[str, dict[str, dict[str, Number]]] | None = None
    gates: Annotated[list[GateItem], BeforeValidator(_listed)] = []
    config: Line = None
    prompt: Line = None
    environment: Line = None
    owner: Line = None
    origin: Line = None
    description: Line = None
    tags: dict[str, Text] = {}
    card: CardItem | None = None


class GatesModel(Strict):
    """A file of gate reports, wrapped so that one or several read alike."""

    reports: list[GateModel]


class MetricsModel(Strict):
    """A file of metrics, wrapped."""

    metrics: dict[str, Number]


class ParametersModel(Strict):
    """A file of hyperparameters, wrapped."""

    hyperparameters: dict[str, AnyJson]
