"""Tells by its first bytes what a part of a model is, and has it read accordingly; its name says nothing.

Rules held here: what can be told to hold data only passes; a pickle is judged by what it would import; code is a finding;
what nobody here understands is one too (``parts_not_understood``), since nothing was shown. Archives are opened, their
parts looked at in turn, within the limits of :mod:`findings`.
"""

from __future__ import annotations

import io
import lzma
import math
import pickle
import re
import struct
import tarfile
import tokenize
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import BinaryIO, Final, cast

from manual_registry.adapters.scanning import data_forms, unpacking
from manual_registry.adapters.scanning.findings import DEEPEST, Broken, Kind, Watch, words
from manual_registry.adapters.scanning.machine import TORCH_MAGIC, Machine, Tape

_HEAD: Final = 1024
#: What readers of a format raise for a file that does not follow it.
_FORMAT_ERRORS: Final = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
)
_TEXT_ENDS: Final = words(".txt .json .jsonl .yaml .yml .toml .csv .tsv .md .rst .xml .pmml .cfg .ini .vocab")
_LARGEST_TEXT: Final = 64 << 20
_YAML_OBJECT: Final = re.compile(rb"!!python/|!!javax?\.|tag:yaml\.org,2002:py|^%TAG", re.MULTILINE)
_CODE_ENDS: Final = words(
    ".py .pyc .pyo .pyw .so .dll .dylib .exe .sh .bash .bat .cmd .ps1 .js .jar .class .wasm .pyd .egg .whl .rb .pl"
)
_CODE_HEADS: Final = (b"\x7fELF", b"#!", b"\xca\xfe\xba\xbe", b"\xcf\xfa\xed\xfe", b"\x00asm")
_ARCHIVES_UNKNOWN: Final = {
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"Rar!": "rar",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x04\x22\x4d\x18": "lz4",
}
#: Pickles without a header may begin like this (protocols 0 and 1).
_PICKLE_STARTS: Final = frozenset(b"(]})lcdiIFLSVNXUTKJMGPCB\x82\x83\x84\x88\x89\x8a\x8b\x8c\x8d\x8e\x8f\x95\x96")
_TORCH_STORAGE: Final = re.compile(r"[^/]+/data/[0-9]+")
_TORCH_NOTES: Final = re.compile(
    r"[^/]+/(?:version|byteorder|\.format_version|\.storage_alignment|\.data/serialization_id|data/(?:weights|constants)/\.keep)"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One file, or one member of an archive; ``place`` as findings name it."""

    place: str
    name: str
    file: BinaryIO
    size: int
    depth: int = 0

    def head(self) -> bytes:
        """Return the first bytes; the file stands at its beginning again."""
        self.file.seek(0)
        data = self.file.read(_HEAD)
        self.file.seek(0)
        return data


def look(part: Part, watch: Watch) -> None:
    """Judge one part; findings go to ``watch``. Raises :class:`TooMuch` only."""
    watch.part()
    try:
        _look(part, watch)
    except Broken as problem:
        watch.find(Kind.MALFORMED, part.place, str(problem))
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, NotImplementedError, OSError) as problem:
        watch.find(Kind.MALFORMED, part.place, f"cannot be read to its end: {problem}")
    except (*_FORMAT_ERRORS, lzma.LZMAError, struct.error, tokenize.TokenError) as problem:
        watch.find(Kind.MALFORMED, part.place, f"does not follow its format: {type(problem).__name__}: {problem}")


def _look(part: Part, watch: Watch) -> None:
    head = part.head()
    form, read = _form(part, head)
    watch.form(form)
    read(part, watch)


Reader = Callable[[Part, Watch], None]


def _form(part: Part, head: bytes) -> tuple[str, Reader]:
    ending = PurePosixPath(part.name).suffix.lower()
    if not head:
        return "empty", _nothing
    if head[0] == 0x80 and len(head) > 1 and head[1] <= 5:
        return "pickle", _pickle
    if head.startswith(b"PK\x03\x04"):
        return "zip", _zip
    if head.startswith(b"\x93NUMPY"):
        return "npy", _npy
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return "hdf5", _hdf5
    if head.startswith(_CODE_HEADS) or (head.startswith(b"MZ") and not _is_text(head)):
        return "program", _program
    if unpacking.compression(head):
        return "compressed", _compressed
    if head[257:262] == b"ustar":
        return "tar", _tar
    known = next((name for magic, name in _ARCHIVES_UNKNOWN.items() if head.startswith(magic)), None)
    if known:
        return known, _unknown(f"a {known} archive; unpack it, and register what is in it")
    if ending in _CODE_ENDS:
        return "program", _program
    if data_forms.is_safetensors(head, part.size):
        return "safetensors", _safetensors
    if head.startswith(b"\x08"):  # no pickle begins so, and no text
        return "onnx", _onnx
    if _is_text(head):
        return "text", _text
    if head[0] in _PICKLE_STARTS:
        return "pickle", _pickle
    return "unknown", _unknown(f"begins with {head[:8].hex(' ')}: none of the formats that can be judged")


def _is_text(head: bytes) -> bool:
    try:
        text = head[:-4].decode("utf-8") if len(head) == _HEAD else head.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return not any(ord(sign) < 32 and sign not in "\t\n\r\f" for sign in text)


def _nothing(part: Part, watch: Watch) -> None:
    """An empty part holds nothing."""


def _unknown(told: str) -> Reader:
    def read(part: Part, watch: Watch) -> None:
        watch.find(Kind.NOT_UNDERSTOOD, part.place, told)

    return read


def _program(part: Part, watch: Watch) -> None:
    watch.find(Kind.UNKNOWN, part.place, "a program or script; a model is data")


# -- pickles ----------------------------------------------------------------------------------------------


def _pickle(part: Part, watch: Watch, *, headed: bool | None = None) -> None:
    headed = part.head()[:1] == pickle.PROTO if headed is None else headed
    tape = Tape(part.file, part.size)
    torch = False
    number = 0
    while tape.left:
        if number == 5 and torch:
            return  # the tensors of torch before 1.6: raw bytes that nothing interprets
        machine = Machine(tape, watch)
        try:
            machine.run()
        except Broken as problem:
            _take(machine, part, watch)
            if not (headed or number or machine.imports):
                watch.find(Kind.NOT_UNDERSTOOD, part.place, "none of the formats that can be judged")
                return
            raise Broken(_told(str(problem), number)) from None
        _take(machine, part, watch)
        torch = torch or machine.result == TORCH_MAGIC
        number += 1
        if number > 16:
            raise Broken("more than 16 pickles, one behind the other")


def _told(problem: str, number: int) -> str:
    return f"a pickle that is broken ({problem})" if number == 0 else f"something follows its end ({problem})"


def _take(machine: Machine, part: Part, watch: Watch) -> None:
    for one in machine.imports:
        watch.imports.setdefault(one, part.place)
    for module, name in machine.changed:
        watch.find(Kind.DANGEROUS, part.place, f"changes {module}.{name} itself, for the whole process that loads it")


def _text(part: Part, watch: Watch) -> None:
    """Text is data, unless it is a pickle of the oldest kind, or YAML that makes objects."""
    if part.size > _LARGEST_TEXT:
        raise Broken(f"text of more than {_LARGEST_TEXT >> 20} MB")
    data = part.file.read()
    if data[:1] and data[0] in _PICKLE_STARTS:
        machine = Machine(Tape(io.BytesIO(data), len(data)), watch)
        try:
            machine.run()
            ended = True
        except Broken:
            ended = False
        lenient = PurePosixPath(part.name).suffix.lower() in _TEXT_ENDS  # a list of words may begin like an import
        if machine.imports and (ended or machine.called or not lenient):
            _take(machine, part, watch)
            if not ended:
                watch.find(Kind.MALFORMED, part.place, "a pickle that is broken after it has imported something")
            return
    if _YAML_OBJECT.search(data):
        watch.find(Kind.DANGEROUS, part.place, "YAML with tags that make the reader build objects")
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        watch.find(Kind.NOT_UNDERSTOOD, part.place, "begins like text and does not go on so")
        return
    data_forms.judge_json(data, PurePosixPath(part.name).name, part.place, watch)


# -- arrays and weights -----------------------------------------------------------------------------------


def _npy(part: Part, watch: Watch) -> None:
    import numpy as np

    version = np.lib.format.read_magic(part.file)
    reader = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if reader is None:
        watch.find(Kind.NOT_UNDERSTOOD, part.place, f"an .npy file of version {version}")
        return
    shape, _, dtype = reader(part.file)
    rest = part.size - part.file.tell()
    if dtype.hasobject:
        watch.form("pickle")
        inner = Part(place=part.place, name=part.name, file=part.file, size=rest, depth=part.depth)
        _pickle(inner, watch, headed=True)
    elif math.prod(shape) * dtype.itemsize != rest:
        raise Broken("an array whose size is not what its header says")


def _safetensors(part: Part, watch: Watch) -> None:
    data_forms.check_safetensors(part.file, part.size)


def _onnx(part: Part, watch: Watch) -> None:
    data_forms.check_onnx(part.file, part.size, part.place, watch)


def _hdf5(part: Part, watch: Watch) -> None:
    data_forms.judge_hdf5(part.file, part.place, watch)


# -- archives ---------------------------------------------------------------------------------------------


def _deeper(part: Part, watch: Watch) -> bool:
    if part.depth < DEEPEST:
        return True
    watch.find(Kind.NOT_UNDERSTOOD, part.place, f"archives nested deeper than {DEEPEST}")
    return False


def _inside(part: Part, name: str, file: BinaryIO, size: int, watch: Watch) -> None:
    shown = name if len(name) <= 120 else f"{name[:117]}..."
    look(Part(place=f"{part.place}!{shown}", name=name, file=file, size=size, depth=part.depth + 1), watch)


def _compressed(part: Part, watch: Watch) -> None:
    if not _deeper(part, watch):
        return
    with unpacking.decompressed(part.file, part.head(), watch) as (file, size):
        name = re.sub(r"\.(gz|bz2|xz|z|lzma)$", "", part.name, flags=re.IGNORECASE)
        _inside(part, name, file, size, watch)


def _tar(part: Part, watch: Watch) -> None:
    if not _deeper(part, watch):
        return
    for name, file, size in unpacking.tar_members(part.file, part.place, watch):
        _inside(part, name, file, size, watch)


def _zip(part: Part, watch: Watch) -> None:
    if not _deeper(part, watch):
        return
    archive, members = unpacking.zip_members(part.file, part.size, part.place, watch)
    names = {member.filename for member in members}
    torch = next(
        (name.partition("/")[0] for name in names if name.endswith("/data.pkl") and name.count("/") == 1), None
    )
    for member in members:
        if member.is_dir():
            continue
        name = member.filename
        raw = torch is not None and name.startswith(f"{torch}/")
        if raw and _TORCH_STORAGE.fullmatch(name):
            watch.part()
            unpacking.read_through(archive, member, part.place, watch)
        elif raw and _TORCH_NOTES.fullmatch(name):
            unpacking.read_through(archive, member, part.place, watch)
        elif raw and name.startswith(f"{torch}/code/"):
            watch.find(Kind.NOT_UNDERSTOOD, f"{part.place}!{name}", "a TorchScript program; only weights can be judged")
        else:
            with unpacking.unpacked(archive, member, part.place, watch) as file:
                if file is not None:
                    _inside(part, name, cast(BinaryIO, file), member.file_size, watch)
