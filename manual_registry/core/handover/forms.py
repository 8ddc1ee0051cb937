"""What kind of model file these bytes are: ONNX, XGBoost, LightGBM, PyTorch, a pickle; told by their form alone.

Rules held here: nothing is run and no model is loaded; a form is told only where the library that MLflow calls would read
the file, so whole, of a name by which it knows it, and with nothing that lies elsewhere.
"""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass
from typing import BinaryIO, Final

from manual_registry.core.handover import pickles

#: So many bytes of a file's beginning and end are looked at.
EDGE: Final = 65_536
_JSON: Final = re.compile(rb'\s*\{\s*"learner"\s*:\s*\{\s*"attributes"\s*:')
_JSON_END: Final = re.compile(rb'"version"\s*:\s*\[\s*\d+\s*,\s*\d+\s*,\s*\d+\s*\]\s*\}\s*\Z')
_UBJSON: Final = re.compile(rb"\{L\0{7}\x07learner\{L\0{7}\x0aattributes\{")
#: Modules whose classes are no models, whatever was declared.
_NO_MODELS: Final = (
    *("builtins.", "__builtin__.", "collections.", "numpy."),
    *("sklearn.utils.", "sklearn.metrics.", "sklearn.datasets.", "sklearn.model_selection._split."),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Form:
    """What a file looks like: the flavour, the class of what a pickle holds, and why MLflow's loader would not read it."""

    flavour: str | None = None
    holds: str = ""
    why: str | None = None


def tell(path: str, file: BinaryIO) -> Form:
    """Tell the form of the file at ``path`` in the artefact."""
    head = read(file, 0, EDGE)
    if path.lower().endswith(".onnx"):
        return _onnx(file)
    if head.startswith(b"tree\n"):
        return _lightgbm(head, tail(file))
    if head.startswith((b"binf", b"{L")) or re.match(rb'\s*\{\s*"(learner|version)"\s*:', head):
        return _xgboost(path.lower(), head, tail(file))
    if head.startswith(b"PK\x03\x04"):
        return _torch(file)
    if head.startswith(b"\x80"):
        return _pickle(path, file)
    return Form()


def read(file: BinaryIO, place: int, length: int) -> bytes:
    """Return up to ``length`` bytes from ``place`` on."""
    file.seek(place)
    return file.read(length)


def tail(file: BinaryIO) -> bytes:
    """Return the end of the file."""
    return read(file, max(0, file.seek(0, 2) - EDGE), EDGE)


# -- text and JSON ----------------------------------------------------------------------------------------------


def _lightgbm(head: bytes, end: bytes) -> Form:
    # The library ends the whole process over a file that was cut off.
    whole = b"\nend of trees" in end or b"\nend of parameters" in end
    if head.startswith(b"tree\nversion=") and b"\nnum_class=" in head and b"\nmax_feature_idx=" in head and whole:
        return Form(flavour="lightgbm")
    return Form(why="begins as a model of LightGBM's, but is none that is whole")


def _xgboost(path: str, head: bytes, end: bytes) -> Form:
    if head.startswith(b"binf"):
        return Form(why="the old binary format of XGBoost, which it reads no more; save it as .ubj or .json")
    if _JSON.match(head):
        suffix, whole = ".json", _JSON_END.search(end) is not None
    elif _UBJSON.match(head):
        suffix, whole = ".ubj", end.endswith(b"}") and b"version[" in end[-256:]
    else:
        return Form()
    if not whole or b"learner_model_param" not in head + end:
        return Form(why="begins as a model of XGBoost's, but is none that is whole")
    if not path.endswith(suffix):
        return Form(why=f"looks like a model of XGBoost's, which reads it only under a name that ends in {suffix}")
    return Form(flavour="xgboost")


# -- pickles ----------------------------------------------------------------------------------------------------


def _pickle(path: str, file: BinaryIO) -> Form:
    file.seek(0)
    told = pickles.tell(file)
    if path.lower().endswith((".joblib", ".jl")) or any(name.startswith("joblib.") for name in told.names):
        return Form(why="looks like a file of joblib's, which MLflow's loader does not read; save it with pickle")
    if told.outermost is None:
        return Form(why=told.why)
    if told.outside:
        return Form(why="the pickle points to something beside it, which MLflow's loader does not have")
    kind, name = told.outermost
    if kind in (pickles.PLAIN, pickles.TEXT, pickles.CLASS) or name.endswith("Bunch") or name.startswith(_NO_MODELS):
        word = {pickles.TEXT: "str", pickles.CLASS: "class or function"}.get(kind, name)
        return Form(why=f"what the pickle holds is no model: {word}")
    if kind == pickles.INSTANCE and name.startswith("sklearn."):
        return Form(flavour="sklearn", holds=name)
    return Form(holds=name)


def _torch(file: BinaryIO) -> Form:
    """A file of ``torch.save``: whole models are read, weights alone and collections are none that predict."""
    try:
        with zipfile.ZipFile(file) as archive:
            inside = [one for one in archive.infolist() if one.filename.endswith("/data.pkl")]
            if len(inside) != 1 or inside[0].compress_type != zipfile.ZIP_STORED:
                return Form()
            with archive.open(inside[0]) as stream:
                told = pickles.tell(stream)  # type: ignore[arg-type]
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError, ValueError):
        return Form(why="looks like a file of torch's, but cannot be read as one")
    kind, name = told.outermost or ("", told.why or "")
    if kind != pickles.INSTANCE or told.texts[:1] != ("training",):
        what = name or kind
        return Form(
            why=f"looks like torch; MLflow's loader needs a whole model (torch.save(model, …)), and this is: {what}"
        )
    return Form(flavour="pytorch", holds=name)


# -- ONNX -------------------------------------------------------------------------------------------------------

#: Fields of onnx.proto: message -> number -> the message in it, None where it is a value. Unknown ones are passed over,
#: save in the model itself, where they tell that it is none.
_MODEL: Final = {1, 2, 3, 4, 5, 6, 7, 8, 14, 20, 25, 26}
_INSIDE: Final = {
    "model": {7: "graph", 25: "function"},
    "function": {7: "node"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14
#: So many fields are read, a few seconds' worth.
_FIELDS: Final = 1_000_000


class _NoOnnx(Exception):
    """The bytes are no ONNX model; the message says why."""


def _onnx(file: BinaryIO) -> Form:
    try:
        _walk_onnx(file)
    except _NoOnnx as problem:
        return Form(why=str(problem))
    return Form(flavour="onnx")


def _walk_onnx(file: BinaryIO) -> None:
    """Go over all fields; weights are passed over. Raises :class:`_NoOnnx`."""
    end = file.seek(0, 2)
    file.seek(0)
    seen: set[int] = set()
    ends = [("model", end)]
    for _ in range(_FIELDS):
        while ends and file.tell() == ends[-1][1]:
            ends.pop()
        if not ends:
            break
        kind, limit = ends[-1]
        number, wire, length = _field(file, limit)
        if kind == "model":
            seen.add(number)
            if number not in _MODEL:
                raise _NoOnnx("is called .onnx, but is no ONNX model")
        if kind == "tensor" and (number == _EXTERNAL_DATA or (number == _DATA_LOCATION and length == 1)):
            raise _NoOnnx("an ONNX model whose weights lie in another file; MLflow's loader would not find them")
        if wire == 2:
            inside = _INSIDE[kind].get(number)
            if inside is not None:
                ends.append((inside, file.tell() + length))
            else:
                file.seek(length, 1)
    else:
        raise _NoOnnx(f"an ONNX model too long to tell whether it is whole (over {_FIELDS:,} fields)")
    if not {1, 7} <= seen:
        raise _NoOnnx("is called .onnx, but is no ONNX model")


def _field(file: BinaryIO, limit: int) -> tuple[int, int, int]:
    """Read a field's number, wire type and value; of one with a length that length."""
    tag = _varint(file)
    number, wire = tag >> 3, tag & 7
    value = 0
    if wire in (0, 2):
        value = _varint(file)
    elif wire in (1, 5):
        file.seek(8 if wire == 1 else 4, 1)
    if number == 0 or wire not in (0, 1, 2, 5) or file.tell() + (value if wire == 2 else 0) > limit:
        raise _NoOnnx("is called .onnx, but is no ONNX model, or one that was cut off")
    return number, wire, value


def _varint(file: BinaryIO) -> int:
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte:
            raise _NoOnnx("is called .onnx, but is no ONNX model, or one that was cut off")
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    raise _NoOnnx("is called .onnx, but is no ONNX model")
