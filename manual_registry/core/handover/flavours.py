"""Which MLflow flavour a model file is, told by its form and what was declared; no model is ever loaded.

Rules held here: pickles are read opcode by opcode and never run; a flavour is written only where MLflow's own loader
would find what it asks for, else the generic one, which says what was seen; MLmodel has one spelling, so that it can be
compared later.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from manual_registry.core.handover import pickles
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
#: Modules whose classes are no models, whatever was declared.
_NO_MODELS: Final = ("builtins.", "__builtin__.", "collections.", "numpy.")
_WEIGHTS: Final = ("model.safetensors", "pytorch_model.bin", "model.safetensors.index.json")


@dataclass(frozen=True, kw_only=True, slots=True)
class Flavour:
    """What MLmodel says: the name of the flavour, all flavour sections, and a sentence where the generic one is taken."""

    name: str
    sections: Mapping[str, Mapping[str, Any]]
    why_generic: str | None = None


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
    single: bool,
    tags: Mapping[str, str],
    installed: Mapping[str, str],
    as_first: bool = False,
) -> Flavour:
    """Tell the flavour from ``heads``, ``{path in the artefact: its first HEAD bytes}``.

    ``single``: the artefact is one file. ``tags`` are the version's, ``installed`` of :func:`requirements`. ``as_first``
    tells it as the first release did, whose MLmodel files are no edits.
    """
    declared = declared_flavour(tags)
    seen = _seen_file(*next(iter(heads.items())), as_first=as_first) if single and heads else _seen_directory(heads)
    if declared and seen and seen != declared:
        return _generic(heads, f"declared {declared}, but the file looks like {seen}")
    name = seen or declared
    if name == "sklearn" and single and not as_first:
        why = _not_loaded(*next(iter(heads.items())))
        if why is not None:
            return _generic(heads, why)
    if name is None:
        return _generic(heads, None)
    return _section(name, heads, single=single, tags=tags, installed=installed, as_first=as_first)


def _seen_file(path: str, head: bytes, *, as_first: bool) -> str | None:
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
    if as_first:
        return "sklearn" if next(pickles.names(head), "").startswith("sklearn.") else None
    # A file of joblib's is told here too, and refused with its reason.
    kind, name = pickles.outermost(head) or ("", "")
    return "sklearn" if kind == pickles.INSTANCE and name.startswith("sklearn.") else None


def _not_loaded(path: str, head: bytes) -> str | None:
    """Return why MLflow's loader of scikit-learn models, a plain unpickler, would not give a model; None: it would."""
    if not head.startswith(b"\x80"):
        return "declared sklearn, but the file is no plain pickle"
    if path.lower().endswith((".joblib", ".jl")) or any(name.startswith("joblib.") for name in pickles.names(head)):
        return "looks like a file of joblib's, which MLflow's loader does not read; save it with pickle"
    kind, name = pickles.outermost(head) or ("", "")
    if kind in (pickles.PLAIN, pickles.TEXT, pickles.CLASS) or name.endswith("Bunch") or name.startswith(_NO_MODELS):
        word = {pickles.TEXT: "str", pickles.CLASS: "class or function"}.get(kind, name)
        return f"what the pickle holds is no model: {word}"
    return None


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
    installed: Mapping[str, str],
    as_first: bool,
) -> Flavour:
    path = next(iter(heads), "")
    place = f"{ARTEFACT}/{path if as_first else spelled_path(path)}"
    if name == "transformers":
        if single or "task" not in tags:
            return _generic(heads, "looks like transformers; MLflow's loader needs its task (tag it: task=…)")
        section: dict[str, Any] = {"task": tags["task"], "model_binary": ARTEFACT, "framework": "pt"}
        loader: dict[str, Any] = {"loader_module": "mlflow.transformers", "data": ARTEFACT}
    elif not single:
        return _generic(heads, f"declared {name}, but it is a directory")
    elif name == "sklearn":
        # A compressed or joblib file is none that MLflow's pickle loader reads.
        if not heads[path].startswith(b"\x80"):
            return _generic(heads, "declared sklearn, but the file is no plain pickle")
        section = {"pickled_model": place, "serialization_format": "pickle", "code": None}
        loader = {"loader_module": "mlflow.sklearn", "model_path": place, "predict_fn": "predict"}
    elif name == "pytorch":
        names = list(pickles.names(heads[path][heads[path].find(b"\x80") :])) if path == "model.pth" else []
        if not names or names[0].startswith("collections."):
            return _generic(heads, "looks like torch; MLflow's loader reads a whole model saved as model.pth only")
        section = {"model_data": ARTEFACT, "code": None}
        loader = {"loader_module": "mlflow.pytorch", "data": ARTEFACT}
    else:
        section = {"data": place, "code": None}
        loader = {"loader_module": f"mlflow.{name}", "data": place}
    version = installed.get(_PACKAGES.get(name, name))
    section[_MEMBERS[name]] = version or "unknown"
    return Flavour(name=name, sections={name: section, "python_function": loader})


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
