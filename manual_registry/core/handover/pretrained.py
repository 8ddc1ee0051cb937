"""Which directories are checkpoints of Transformers that MLflow's loader makes a pipeline of.

Rules held here: nothing is loaded, the JSON files are read; MLflow's loader wants the model's class, and tokenizer and image
processor in directories of their own, so copies of their files go there; a task is told only where the model's class has
the head for it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

CONFIG: Final = "config.json"
PREPROCESSOR: Final = "preprocessor_config.json"
#: The files of a directory whose beginnings are looked at.
LOOKED_AT: Final = (CONFIG, PREPROCESSOR)
_WEIGHTS: Final = ("model.safetensors", "pytorch_model.bin", "model.safetensors.index.json")
#: Files of a tokenizer that are all it needs, and those that may stand beside.
_TOKENIZERS: Final = (
    "tokenizer.json",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
    "vocab.txt",
    "vocab.json",
)
_BESIDE: Final = (
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "merges.txt",
    "chat_template.jinja",
)
#: The tasks for which a model's class has the head, by how its name ends; and whether they read text or pictures.
_TASKS: Final = {
    "ForSequenceClassification": (("text-classification", "sentiment-analysis"), "text"),
    "ForTokenClassification": (("token-classification", "ner"), "text"),
    "ForMaskedLM": (("fill-mask",), "text"),
    "ForCausalLM": (("text-generation",), "text"),
    "LMHeadModel": (("text-generation",), "text"),
    "ForImageClassification": (("image-classification",), "image"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """The section of MLmodel and, for each copy, its place and the file of the artefact; or why there is none."""

    section: Mapping[str, Any]
    copies: Mapping[str, str]
    why: str | None = None


def looks_so(heads: Mapping[str, bytes]) -> bool:
    """Tell whether a directory, ``{path: beginning of the file}``, has a configuration of Transformers and weights."""
    config = heads.get(CONFIG, b"")
    return (b'"model_type"' in config or b'"architectures"' in config) and any(name in heads for name in _WEIGHTS)


def tell(heads: Mapping[str, bytes], *, task: str | None, place: str) -> Checkpoint:
    """Return what MLflow's loader is told of a checkpoint; ``place`` is where the artefact lies in the logged model.

    The copies follow from the files alone, so that a tag that is changed later leaves none behind.
    """
    config = _json(heads.get(CONFIG, b""))
    kinds = config.get("architectures")
    kind = kinds[0] if isinstance(kinds, list) and kinds and isinstance(kinds[0], str) else ""
    tasks, reads = next((has for end, has in _TASKS.items() if kind.endswith(end)), ((), ""))
    component, files = _component(heads, reads) if reads and "auto_map" not in config else ("", [])
    copies = {f"components/{component}/{name}": name for name in (*files, CONFIG)} if files else {}
    why = None
    if "auto_map" in config:
        why = "its class comes with code of its own"
    elif task is None:
        why = "MLflow's loader needs its task (tag it: task=…)"
    elif task not in tasks:
        why = f"its class {kind or '(none is named)'} has no head for the task {task}, as far as is known here"
    elif not files:
        why = {"text": "it has no tokenizer", "image": "it has no image processor"}[reads]
    section = {
        "task": task,
        "pipeline_model_type": kind,
        "model_binary": place,
        "components": [component],
        f"{component}_type": {"tokenizer": "AutoTokenizer", "image_processor": "AutoImageProcessor"}.get(component),
    }
    return Checkpoint(
        section={} if why else section, copies=copies, why=f"looks like transformers; {why}" if why else None
    )


def _component(heads: Mapping[str, bytes], reads: str) -> tuple[str, list[str]]:
    if reads == "image":
        ours = "image_processor_type" in _json(heads.get(PREPROCESSOR, b""))
        return "image_processor", [PREPROCESSOR] if ours else []
    files = [name for name in (*_TOKENIZERS, *_BESIDE) if name in heads]
    return "tokenizer", files if any(name in heads for name in _TOKENIZERS) else []


def _json(data: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(data)
    except ValueError:  # cut off after its beginning, or no JSON
        return {}
    return found if isinstance(found, dict) else {}
