"""Forms that hold data by their design, checked by form: safetensors, ONNX, HDF5 of Keras, JSON of Keras and skops."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterator
from typing import Any, BinaryIO, Final

from manual_registry.adapters.scanning.findings import Broken, Kind, Watch, words

_LARGEST_HEADER: Final = 100 << 20
_PIECE: Final = 8 << 20
_OVERLAP: Final = 1 << 10


# -- safetensors ------------------------------------------------------------------------------------------


def is_safetensors(head: bytes, size: int) -> bool:
    """Tell whether a file begins like safetensors: the length of a JSON header, then that header."""
    if len(head) < 10:
        return False
    (length,) = struct.unpack("<Q", head[:8])
    return bool(head[8:9] == b"{" and 2 <= length <= size - 8)


def check_safetensors(file: BinaryIO, size: int) -> None:
    """Raise :class:`Broken` unless header and tensors fill the file exactly, without gap or overlap."""
    (length,) = struct.unpack("<Q", file.read(8))
    if length > _LARGEST_HEADER:
        raise Broken("safetensors with a header that is too large")
    header = json.loads(file.read(length))
    if not isinstance(header, dict):
        raise Broken("safetensors without a header")
    spans = sorted(tuple(one["data_offsets"]) for name, one in header.items() if name != "__metadata__")
    at = 0
    for begin, end in spans:
        if begin != at or end < begin:
            raise Broken("safetensors whose tensors leave gaps or lie over each other")
        at = end
    if 8 + length + at != size:
        raise Broken("safetensors whose size is not what its header says")


# -- onnx -------------------------------------------------------------------------------------------------

#: Fields of ModelProto (onnx.proto): varints and length-delimited ones.
_ONNX_NUMBERS: Final = frozenset({1, 5})
_ONNX_BLOCKS: Final = frozenset({2, 3, 4, 6, 7, 8, 14, 20, 25, 26})


def check_onnx(file: BinaryIO, size: int, place: str, watch: Watch) -> None:
    """A finding unless the file is, to its last byte, the outer shape of an ONNX model (a graph is data)."""
    seen: set[int] = set()
    at = 0
    while at < size:
        key, at = _varint(file, at)
        field, wire = key >> 3, key & 7
        if wire == 0 and field in _ONNX_NUMBERS:
            _, at = _varint(file, at)
        elif wire == 2 and field in _ONNX_BLOCKS:
            length, at = _varint(file, at)
            at += length
            if at > size:
                raise Broken("ONNX that is cut off")
            file.seek(at)
        else:
            watch.find(Kind.NOT_UNDERSTOOD, place, "no ONNX model, and none of the other formats that can be judged")
            return
        seen.add(field)
    if not {1, 7} <= seen:
        watch.find(Kind.NOT_UNDERSTOOD, place, "no ONNX model, and none of the other formats that can be judged")


def _varint(file: BinaryIO, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte:
            raise Broken("it ends in the middle of a number")
        at += 1
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value, at
    raise Broken("a number that is too long")


# -- Keras and skops --------------------------------------------------------------------------------------

_LAMBDA: Final = re.compile(rb"__lambda__|Lambda|lambda_layer")
_CONFIG: Final = re.compile(rb'\{\s*"(?:class_name|module|name|config|registered_name)"')
#: Plain letters written as escapes: no writer of JSON does that, but somebody who hides a word.
_HIDDEN: Final = re.compile(rb"\\u00[2-7]")
_CLASS_NAME: Final = b'"class_name"'
#: Where a Keras configuration takes classes from, and functions. Others of its modules read, write or fetch files
#: (CVE-2025-1550, CVE-2025-8747).
_KERAS: Final = r"(?:keras|tf_keras|tensorflow\.keras)(?:\.src)?"
_FUNCTIONS: Final = r"activations|initializers|losses|metrics|regularizers|constraints"
_CLASSES: Final = r"layers|models|optimizers|applications|dtype_policies|quantizers"
_KERAS_CLASS: Final = re.compile(rf"(?:{_KERAS}(?:\.(?:{_FUNCTIONS}|{_CLASSES})(?:\.[a-z_0-9]+)*)? [A-Z][A-Za-z0-9]*)")
_KERAS_FUNCTION: Final = re.compile(rf"(?:builtins|{_KERAS}\.(?:{_FUNCTIONS})(?:\.[a-z_0-9]+)*) [a-z_0-9]+")
#: How Keras writes down values that JSON does not have.
_KERAS_VALUES: Final = words(
    "__tuple__ __tensor__ __numpy__ __bytes__ __ellipsis__ __slice__ __typespec__ __keras_tensor__"
)


def judge_hdf5(file: BinaryIO, place: str, watch: Watch) -> None:
    """Look for the configuration of a Keras model in an HDF5 file, and judge it.

    Attributes are never compressed: the text stands there as it is. A configuration that does not parse is a finding.
    """
    before, configured, judged = b"", False, False
    while piece := file.read(_PIECE):
        window = before + piece
        if _LAMBDA.search(window):
            watch.find(Kind.DANGEROUS, place, "a Lambda layer: code that runs when the model is loaded or called")
            return
        if _HIDDEN.search(window):
            watch.find(Kind.NOT_UNDERSTOOD, place, "a text in which plain letters are written as escapes")
        configured = configured or b"model_config" in window or _CLASS_NAME in window
        for match in _CONFIG.finditer(window):
            if _judge_config(window[match.start() :], place, watch):
                judged = True
        before = window[-_OVERLAP:]
    if configured and not judged:
        watch.find(Kind.NOT_UNDERSTOOD, place, "the configuration of a Keras model that cannot be read")


def _judge_config(data: bytes, place: str, watch: Watch) -> bool:
    text = data[: 4 << 20].decode("utf-8", "replace")
    try:
        document, _ = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return False
    _judge_keras(document, place, watch)
    return True


def judge_json(data: bytes, name: str, place: str, watch: Watch) -> None:
    """Judge a text that is JSON: a Keras configuration, or the schema of skops; any other is data."""
    if data[:1] not in (b"{", b"[") and data[:3] != b"\xef\xbb\xbf":
        return
    try:
        document = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return  # text that only begins like JSON is text
    if name == "schema.json" and isinstance(document, dict) and "__loader__" in document:
        _judge_skops(document, place, watch)
    elif isinstance(document, dict) and ("class_name" in document or "module" in document):
        _judge_keras(document, place, watch)


def _tables(document: Any) -> Iterator[dict[str, Any]]:
    """Yield every table inside, without recursion (a text may nest deeply)."""
    waiting = [document]
    while waiting:
        found = waiting.pop()
        if isinstance(found, dict):
            yield found
            waiting.extend(found.values())
        elif isinstance(found, list):
            waiting.extend(found)
        elif isinstance(found, str) and found[:1] == "{":
            try:
                waiting.append(json.loads(found))
            except (ValueError, RecursionError):
                continue


def _judge_keras(document: Any, place: str, watch: Watch) -> None:
    for table in _tables(document):
        name, module = table.get("class_name"), table.get("module")
        if name in ("Lambda", "__lambda__") or table.get("config") == "__lambda__":
            watch.find(Kind.DANGEROUS, place, "a Lambda layer: code that runs when the model is loaded or called")
        elif isinstance(name, str) and isinstance(module, str) and name not in _KERAS_VALUES:
            function = name == "function"
            called = str(table.get("config")) if function else name
            if not (_KERAS_FUNCTION if function else _KERAS_CLASS).fullmatch(f"{module} {called}"):
                watch.imports.setdefault((module, called), place)


def _judge_skops(document: dict[str, Any], place: str, watch: Watch) -> None:
    for table in _tables(document):
        module, name, content = table.get("__module__"), table.get("__class__"), table.get("content")
        if isinstance(content, dict) and "module_path" in content:  # a function
            watch.imports.setdefault((str(content["module_path"]), str(content.get("function"))), place)
        elif isinstance(module, str) and isinstance(name, str):
            watch.imports.setdefault((module, name), place)
