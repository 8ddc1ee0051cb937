"""Which MLflow flavour a model file is, told by its form and what was declared; no model is ever loaded.

Rules held here: a flavour is written only where MLflow's own loader would find what it asks for, else the generic one,
and why is told; MLmodel has one spelling, so that it can be compared later.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO, Final

from manual_registry.core.handover import first_release, forms, pretrained
from manual_registry.core.handover.limits import spelled_path

#: So many bytes of a file's beginning are looked at.
HEAD: Final = 65_536
GENERIC: Final = "manual_registry"
#: Where the artefact lies in the logged model.
ARTEFACT: Final = "artefact"
MLMODEL: Final = "MLmodel"
KNOWN: Final = ("sklearn", "onnx", "xgboost", "lightgbm", "pytorch", "transformers")
_ALSO: Final = {"scikit-learn": "sklearn", "torch": "pytorch"}
_PACKAGES: Final = {"sklearn": "scikit-learn", "pytorch": "torch"}
_MEMBERS: Final = {
    "sklearn": "sklearn_version",
    "onnx": "onnx_version",
    "xgboost": "xgb_version",
    "lightgbm": "lgb_version",
    "pytorch": "pytorch_version",
    "transformers": "transformers_version",
}
_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)\s*==\s*([A-Za-z0-9.+!_-]+)")
#: The files of a directory whose beginnings are asked for.
LOOKED_AT: Final = pretrained.LOOKED_AT
#: scikit-learn's modules of what transforms and does not predict.
_TRANSFORMS: Final = tuple(
    f"sklearn.{name}."
    for name in (
        *("preprocessing", "decomposition", "feature_extraction", "impute", "random_projection", "manifold"),
        *("kernel_approximation", "compose._column_transformer", "feature_selection._univariate_selection"),
    )
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Flavour:
    """What MLmodel says: the name of the flavour, all flavour sections, and a sentence where the generic one is taken."""

    name: str
    sections: Mapping[str, Mapping[str, Any]]
    why_generic: str | None = None
    #: Copies of files of the artefact that MLflow's loader wants elsewhere: place in the logged model -> path.
    copies: Mapping[str, str] = field(default_factory=dict)


def declared_flavour(tags: Mapping[str, str]) -> str | None:
    """Return the flavour that the version's tags ``flavor``, ``flavour`` or ``framework`` declare; None: none known."""
    for name in ("flavor", "flavour", "framework"):
        word = tags.get(name, "").lower()
        if _ALSO.get(word, word) in KNOWN:
            return _ALSO.get(word, word)
    return None


def requirements(environment: bytes) -> dict[str, str]:
    """Return ``{package: version}`` of a pip list in the environment file; nothing for another kind of file."""
    text = environment.decode("utf-8", "replace")
    found = (_REQUIREMENT.match(line.strip()) for line in text.splitlines())
    return {match[1].lower().replace("_", "-"): match[2] for match in found if match}


def tell(
    heads: Mapping[str, bytes],
    *,
    file: BinaryIO | None,
    tags: Mapping[str, str],
    installed: Mapping[str, str],
    as_first: bool = False,
) -> Flavour:
    """Tell the flavour of an artefact; it is read, and never loaded.

    ``heads``: ``{path in the artefact: the first HEAD bytes}``, of a directory those of LOOKED_AT. ``file``: the artefact,
    open, where it is one file. ``tags`` are the version's, ``installed`` of :func:`requirements`. ``as_first`` tells it
    as the first release did, whose MLmodel files are no edits.
    """
    declared = declared_flavour(tags)
    if as_first:
        return _as_first(heads, file is not None, declared, tags, installed)
    if file is None:
        return _directory(heads, declared, tags, installed)
    path = next(iter(heads))
    form = forms.tell(path, file)
    if form.why is not None:
        return _generic(heads, form.why)
    if declared and form.flavour and declared != form.flavour:
        return _generic(heads, f"declared {declared}, but the file looks like {form.flavour}")
    # A class of somebody's own may have all that scikit-learn's have; only its author knows.
    name = form.flavour or ("sklearn" if declared == "sklearn" and form.holds else None)
    if name is None:
        return _generic(heads, f"declared {declared}, but the file does not look like it" if declared else None)
    section, loader = _sections(name, f"{ARTEFACT}/{spelled_path(path)}", form.holds)
    section |= _version(name, installed)
    return Flavour(name=name, sections={name: section} | ({"python_function": loader} if loader else {}))


def _sections(name: str, place: str, holds: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the section of the flavour and that of MLflow's general loader, empty where that one would not load it.

    MLflow's loaders look for MLmodel beside the file which they are pointed to, and the artefact lies one directory
    lower: those of XGBoost and LightGBM take the whole logged model instead, that of ONNX takes nothing else.
    """
    loader: dict[str, Any] = {"loader_module": f"mlflow.{name}"}
    match name:
        case "sklearn":
            loader = {**loader, "model_path": place, "predict_fn": "predict"}
            transforms = holds.startswith(_TRANSFORMS)
            section: dict[str, Any] = {"pickled_model": place, "serialization_format": "pickle", "code": None}
            return section, {} if transforms else loader
        case "pytorch":
            return {"model_data": place, "code": None}, {**loader, "data": place}
        case _:
            return {"data": place, "code": None}, {} if name == "onnx" else loader


def _directory(
    heads: Mapping[str, bytes], declared: str | None, tags: Mapping[str, str], installed: Mapping[str, str]
) -> Flavour:
    if not pretrained.looks_so(heads):
        return _generic(heads, f"declared {declared}, but it is a directory of other files" if declared else None)
    name = "transformers"
    found = pretrained.tell(heads, task=tags.get("task"), place=ARTEFACT)
    why = f"declared {declared}, but the directory looks like {name}" if declared not in (None, name) else found.why
    if why is not None:
        return replace(_generic(heads, why), copies=found.copies)
    sections = {
        name: {**found.section, **_version(name, installed)},
        "python_function": {"loader_module": f"mlflow.{name}"},
    }
    return Flavour(name=name, sections=sections, copies=found.copies)


def _version(name: str, installed: Mapping[str, str]) -> dict[str, str]:
    packages = (_PACKAGES.get(name, name), *(("xgboost-cpu",) if name == "xgboost" else ()))
    return {_MEMBERS[name]: next((installed[one] for one in packages if one in installed), "unknown")}


def _as_first(
    heads: Mapping[str, bytes],
    single: bool,
    declared: str | None,
    tags: Mapping[str, str],
    installed: Mapping[str, str],
) -> Flavour:
    versions = {
        name: {member: installed.get(_PACKAGES.get(name, name)) or "unknown"} for name, member in _MEMBERS.items()
    }
    found = first_release.tell(heads, single=single, declared=declared, tags=tags, versions=versions)
    return _generic(heads, None) if found is None else Flavour(name=found[0], sections=found[1])


def _generic(heads: Mapping[str, bytes], why: str | None) -> Flavour:
    section = {"data": ARTEFACT, "files": len(heads)}
    return Flavour(name=GENERIC, sections={GENERIC: section}, why_generic=why)


def mlmodel(
    flavour: Flavour, *, run_id: str, model_id: str, created: str, name: str, facts: Mapping[str, str]
) -> bytes:
    """Return the MLmodel file; ``facts`` (composite id, hashes) stand in its metadata."""
    document: dict[str, Any] = {
        "artifact_path": name,
        "flavors": flavour.sections,
        "metadata": dict(facts),
        "model_id": model_id,
        "model_uuid": model_id.removeprefix("m-"),
        "run_id": run_id,
        "utc_time_created": created,
    }
    return "".join(_yaml(document, 0)).encode()


def _yaml(mapping: Mapping[str, Any], depth: int) -> Iterator[str]:
    """Yield block-style YAML whose scalars are JSON: one spelling, whatever library reads or writes it."""
    for key, value in mapping.items():
        head = f"{'  ' * depth}{key}:"
        if isinstance(value, Mapping):
            yield f"{head}\n" if value else f"{head} {{}}\n"
            yield from _yaml(value, depth + 1)
        else:
            yield f"{head} {json.dumps(value, ensure_ascii=False)}\n"
