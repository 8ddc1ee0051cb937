"""How the first release told a model's flavour, so that the MLmodel files that it wrote are no edits.

Rule held here: nothing is mended. What was written then may still stand in somebody's MLflow; it is compared with this.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from manual_registry.core.handover import pickles

_WEIGHTS: Final = ("model.safetensors", "pytorch_model.bin", "model.safetensors.index.json")
_ARTEFACT: Final = "artefact"

#: The name of a flavour and its sections of MLmodel; None: the generic one.
Sections = tuple[str, Mapping[str, Mapping[str, Any]]]


def tell(
    heads: Mapping[str, bytes],
    *,
    single: bool,
    declared: str | None,
    tags: Mapping[str, str],
    versions: Mapping[str, Mapping[str, str]],
) -> Sections | None:
    """Return what the first release told of ``heads``, ``{path: its first 65,536 bytes}``.

    ``declared`` is what the tags say, ``versions`` what each flavour's section says of the
    library's.
    """
    seen = _seen_file(*next(iter(heads.items()))) if single and heads else _seen_directory(heads)
    name = seen or declared
    if name is None or (declared and seen and seen != declared):
        return None
    return _section(name, heads, single=single, tags=tags, versions=versions)


def _seen_file(path: str, head: bytes) -> str | None:
    start = head[:512].lstrip()
    if path.lower().endswith(".onnx"):
        return "onnx"
    if start.startswith(b"tree\nversion="):
        return "lightgbm"
    if head.startswith(b"binf") or (re.match(rb'\{\s*"(learner|version)"\s*:', start) and b'"learner"' in head):
        return "xgboost"
    if head.startswith(b"{L") and head[10:17] == b"learner":
        return "xgboost"
    if head.startswith(b"PK\x03\x04") and b"/data.pkl" in head[:256]:
        return "pytorch"
    return "sklearn" if next(pickles.names(head), "").startswith("sklearn.") else None


def _seen_directory(heads: Mapping[str, bytes]) -> str | None:
    config = heads.get("config.json", b"")
    if (b'"model_type"' in config or b'"architectures"' in config) and any(name in heads for name in _WEIGHTS):
        return "transformers"
    return None


def _section(
    name: str,
    heads: Mapping[str, bytes],
    *,
    single: bool,
    tags: Mapping[str, str],
    versions: Mapping[str, Mapping[str, str]],
) -> Sections | None:
    path = next(iter(heads), "")
    place = f"{_ARTEFACT}/{path}"
    if name == "transformers":
        if single or "task" not in tags:
            return None
        section: dict[str, Any] = {"task": tags["task"], "model_binary": _ARTEFACT, "framework": "pt"}
        loader: dict[str, Any] = {"loader_module": "mlflow.transformers", "data": _ARTEFACT}
    elif not single:
        return None
    elif name == "sklearn":
        if not heads[path].startswith(b"\x80"):
            return None
        section = {"pickled_model": place, "serialization_format": "pickle", "code": None}
        loader = {"loader_module": "mlflow.sklearn", "model_path": place, "predict_fn": "predict"}
    elif name == "pytorch":
        names = list(pickles.names(heads[path][heads[path].find(b"\x80") :])) if path == "model.pth" else []
        if not names or names[0].startswith("collections."):
            return None
        section = {"model_data": _ARTEFACT, "code": None}
        loader = {"loader_module": "mlflow.pytorch", "data": _ARTEFACT}
    else:
        section = {"data": place, "code": None}
        loader = {"loader_module": f"mlflow.{name}", "data": place}
    return name, {name: {**section, **versions[name]}, "python_function": loader}
