"""Models that would run code, told without loading them; and real models, which pass.

The payloads set a mark in this process: a scanner that loads what it reads would give itself away.
"""

from __future__ import annotations

import _compat_pickle
import contextlib
import gzip
import io
import json
import os
import pickle
import struct
import tarfile
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("picklescan", reason="the extra [gates] is not installed")

from manual_registry.adapters.scanning import Kind, Scan, scan
from manual_registry.core.errors import BadValue, RegistryError

MARK = "MANUAL_REGISTRY_TEST_RAN"


@pytest.fixture(autouse=True)
def nothing_ran() -> Any:
    yield
    assert MARK not in os.environ, "a model was loaded while it was being read"


def ran() -> None:
    os.environ[MARK] = "1"


class Calls:
    """Pickles to a call of ``function``."""

    def __init__(self, function: Callable[..., Any], *args: Any) -> None:
        self.function, self.args = function, args

    def __reduce__(self) -> Any:
        return self.function, self.args


def look(tmp_path: Path, data: bytes, name: str = "model.pkl", **options: Any) -> Scan:
    path = tmp_path / name
    path.write_bytes(data)
    return scan(path, **options)


def kinds(found: Scan) -> set[Kind]:
    return set(found.counts)


SYSTEM = Calls(os.system, f"{MARK}=1 true")
EVIL = pickle.dumps(SYSTEM)
UNI = pickle.BINUNICODE


def text(value: str) -> bytes:
    return pickle.SHORT_BINUNICODE + bytes([len(value)]) + value.encode()


# -- real models ------------------------------------------------------------------------------------------


def models() -> dict[str, Any]:
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, StandardScaler

    table = np.random.default_rng(0).normal(size=(60, 3))
    outcome = (table[:, 0] > 0).astype(int)
    return {
        "pipeline": make_pipeline(FunctionTransformer(np.square), StandardScaler(), LogisticRegression()).fit(
            table, outcome
        ),
        "forest": RandomForestClassifier(3).fit(table, outcome),
        "boosting": HistGradientBoostingClassifier(max_iter=3).fit(table, outcome),
        "words": TfidfVectorizer().fit(["hello world", "foo bar"]),
    }


def test_real_models_pass_in_every_form(tmp_path: Path) -> None:
    import joblib

    for name, model in models().items():
        for protocol in (0, 2, 4, 5):
            found = look(tmp_path, pickle.dumps(model, protocol=protocol))
            assert found.clean, (name, protocol, found.findings)
            assert any(one.startswith("sklearn.") for one in found.imports)
        for number, compress in enumerate((0, 3, ("xz", 1), ("bz2", 1), ("gzip", 3))):
            path = tmp_path / f"{name}-{number}.joblib"
            joblib.dump(model, path, compress=compress)
            found = scan(path)
            assert found.clean, (name, compress, found.findings)
            assert any(one.startswith("sklearn.") for one in found.imports)


def test_arrays_of_joblib_are_passed_over_and_what_follows_is_seen(tmp_path: Path) -> None:
    import joblib

    arrays = [
        np.zeros((3, 2), order="F"),
        np.array(["x", "yy"]),
        np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
        np.array([True]),
        np.array([{"a": 1}, None], dtype=object),
        np.zeros(0),
        np.datetime64("2026-01-01") + np.arange(3),
    ]
    path = tmp_path / "arrays.joblib"
    joblib.dump(arrays, path)
    assert scan(path).clean
    joblib.dump([*arrays, SYSTEM], path)
    assert kinds(scan(path)) == {Kind.DANGEROUS}
    joblib.dump([np.array([SYSTEM], dtype=object), np.zeros(3)], path)
    assert kinds(scan(path)) == {Kind.DANGEROUS}


def test_weights_and_text_pass(tmp_path: Path) -> None:
    table = np.arange(6.0)
    np.save(tmp_path / "a.npy", table)
    np.savez(tmp_path / "b.npz", table=table)
    np.savez_compressed(tmp_path / "c.npz", table=table)
    header = json.dumps({"w": {"dtype": "F64", "shape": [6], "data_offsets": [0, 48]}}).encode()
    (tmp_path / "d.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + table.tobytes())
    (tmp_path / "e.onnx").write_bytes(b"\x08\x08\x12\x04test\x3a\x03\x12\x01g")
    (tmp_path / "f.json").write_text('{"trees": [1, 2]}')
    (tmp_path / "g.txt").write_text("collie\nnames\ni\nSettings. of the model\n")
    (tmp_path / "h.yaml").write_text("learning_rate: 0.1\n")
    found = scan(tmp_path)
    assert found.clean, found.findings
    assert {"npy", "zip", "safetensors", "onnx", "text"} <= set(found.forms)


def torch_zip(data: bytes, **members: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("model/data.pkl", data)
        archive.writestr("model/data/0", b"\x80\x04" + bytes(40))  # raw numbers, whatever they look like
        archive.writestr("model/version", "3\n")
        for name, content in members.items():
            archive.writestr(name, content)
    return target.getvalue()


def torch_pickle() -> bytes:
    """A tensor as torch pickles it, written by hand: torch itself is no dependency."""
    return (
        b"\x80\x02ccollections\nOrderedDict\n)R(X\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor_v2\n("
        b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x0atQ"
        b"K\x00K\x0a\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtRu."
    )


def test_torch_files(tmp_path: Path) -> None:
    assert look(tmp_path, torch_zip(torch_pickle()), "model.pt").clean
    old = b"".join(pickle.dumps(one, protocol=2) for one in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}))
    old += torch_pickle() + pickle.dumps(["0"], protocol=2) + struct.pack("<q", 10) + bytes(40)
    assert look(tmp_path, old, "old.pt").clean
    assert kinds(look(tmp_path, torch_zip(EVIL), "model.pt")) == {Kind.DANGEROUS}
    assert kinds(look(tmp_path, torch_zip(torch_pickle(), **{"model/code/a.py": b"x"}), "s.pt")) == {
        Kind.NOT_UNDERSTOOD
    }
    assert Kind.DANGEROUS in kinds(look(tmp_path, torch_zip(torch_pickle(), **{"other/x.bin": EVIL}), "model.pt"))


# -- code -------------------------------------------------------------------------------------------------

PAYLOADS = {
    "os.system": EVIL,
    "eval": pickle.dumps(Calls(eval, "1")),
    "exec": pickle.dumps(Calls(exec, "pass")),
    "import": pickle.dumps(Calls(__import__, "os")),
    "getattr": pickle.dumps(Calls(getattr, [], "append")),
    "nested": pickle.dumps({"a": [OrderedDict(b=(1, {"c": SYSTEM}))]}),
    "protocol 0": pickle.dumps(SYSTEM, protocol=0),
    "protocol 1": pickle.dumps(SYSTEM, protocol=1),
    "INST": b"(S'true'\nios\nsystem\n.",
    "OBJ": b"(cos\nsystem\nS'true'\no.",
    "NEWOBJ": b"\x80\x02cos\nsystem\n(S'true'\nt\x81.",
    "old name": b"\x80\x02ccommands\ngetoutput\n(U\x04truetR.",
    "python 2 name": b"\x80\x02c__builtin__\nreduce\n(NNtR.",
    "dotted": b"\x80\x04" + text("sklearn.utils") + text("os.system") + b"\x93" + text("true") + b"\x85R.",
    "numpy runstring": b"\x80\x04" + text("numpy.testing._private.utils") + text("runstring") + b"\x93)R.",
    "unknown function": b"\x80\x04" + text("mymodels.tools") + text("run") + b"\x93)R.",
    "unknown class": b"\x80\x04" + text("mymodels") + text("Scorer") + b"\x93)\x81.",
    "only imported": b"\x80\x04" + text("antigravity") + text("fly") + b"\x930N.",
    "extension": b"\x80\x02\x82\x01)R.",
    "memo twice": b"\x80\x04" + text("os") + b"q\x00" + text("system") + b"q\x01"
    + text("torch._utils") + b"q\x07" + text("_rebuild_tensor_v2") + b"q\x080000h\x00h\x01\x93" + text("true") + b"\x85R.",
    "memo and memoize": b"\x80\x04" + text("torch") + b"\x940" + text("os") + b"q\x00" + text("system") + b"\x93)R.",
    "name by dup": b"\x80\x04" + text("code") + b"2\x93)R.",
    "name from POP": b"\x80\x04" + text("os") + text("x") + b"0" + text("system") + b"\x93)R.",
    "second pickle": pickle.dumps([1, 2]) + EVIL,
    "file by memmap": b"\x80\x02cnumpy\nmemmap\n(U\x01xU\x02u1U\x02w+tR.",
    "no header, binary": b"\x8c\x02os\x8c\x06system\x93)R.",
    "no header, True first": b"\x880cos\nsystem\n)R.",
    "PERSID first": b"Pabc\n0cos\nsystem\n)R.",
    "BUILD on a class": b"\x80\x04csklearn.tree._classes\nDecisionTreeClassifier\n}(" + text("fit") + b"Nub.",
}  # fmt: skip


@pytest.mark.parametrize("name", PAYLOADS)
@pytest.mark.parametrize("ending", ["pkl", "safetensors", "txt", "onnx"])
def test_code_is_told_whatever_the_file_is_called(tmp_path: Path, name: str, ending: str) -> None:
    found = look(tmp_path, PAYLOADS[name], f"model.{ending}")
    assert not found.clean
    assert kinds(found) & {Kind.DANGEROUS, Kind.UNKNOWN}, found.findings


BROKEN = {
    "cut off": EVIL[:-1],
    "bad opcode": EVIL[:-1] + b"\xff.",
    "unknown memo": EVIL[:-1] + b"h\x99.",
    "stack underflow": EVIL[:-1] + b"0000R.",
    "lying length": EVIL[:-1] + b"\x8d" + struct.pack("<Q", 1 << 60) + b"x",
    "lying frame": EVIL[:-1] + b"\x95" + struct.pack("<Q", 1 << 40),
    "name that is no text": EVIL[:-1] + b"K\x01K\x02\x93.",
    "protocol 0, cut off": pickle.dumps(SYSTEM, protocol=0)[:-1],
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_payload_before_a_broken_opcode_is_seen(tmp_path: Path, name: str) -> None:
    """Loading runs the payload first and fails later; a parser that gives up on the file has seen nothing."""
    for ending in ("pkl", "bin", "txt"):
        found = look(tmp_path, BROKEN[name], f"model.{ending}")
        assert kinds(found) == {Kind.DANGEROUS, Kind.MALFORMED}, found.findings


def test_own_classes_are_let_through_by_hand_and_told(tmp_path: Path) -> None:
    mine, evil = PAYLOADS["unknown class"], pickle.dumps([SYSTEM])
    assert kinds(look(tmp_path, mine)) == {Kind.UNKNOWN}
    found = look(tmp_path, mine, allow=["mymodels.Scorer", "mymodels.Other"])
    assert found.clean
    assert found.allowed == ("mymodels.Scorer",)
    assert kinds(look(tmp_path, evil, allow=["posix.system", "os.system"])) == {Kind.DANGEROUS}
    with pytest.raises(BadValue):
        look(tmp_path, mine, allow=["*"])


# -- containers -------------------------------------------------------------------------------------------


def zipped(**members: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return target.getvalue()


def tarred(data: bytes, compression: str = "") -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode=f"w:{compression}") as archive:
        member = tarfile.TarInfo("inner/model.dat")
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return target.getvalue()


CONTAINERS: dict[str, Callable[[bytes], bytes]] = {
    "zip": lambda data: zipped(readme=b"hello", inner=data),
    "zip in zip": lambda data: zipped(a=zipped(b=data)),
    "tar": tarred,
    "tar.gz": lambda data: tarred(data, "gz"),
    "gzip": gzip.compress,
    "zlib": zlib.compress,
    "gzip in gzip": lambda data: gzip.compress(gzip.compress(data)),
    "npz": lambda data: zipped(**{"a.npy": npy_of_objects(data)}),
    "npy": lambda data: npy_of_objects(data),  # noqa: PLW0108 - defined below
}


def npy_of_objects(data: bytes) -> bytes:
    target = io.BytesIO()
    np.lib.format.write_array_header_1_0(target, {"descr": "|O", "fortran_order": False, "shape": (1,)})
    return target.getvalue() + data


@pytest.mark.parametrize("container", CONTAINERS)
def test_code_inside_of_containers(tmp_path: Path, container: str) -> None:
    pack = CONTAINERS[container]
    found = look(tmp_path, pack(EVIL), "model.bin")
    assert Kind.DANGEROUS in kinds(found), found.findings
    assert look(tmp_path, pack(pickle.dumps([1, 2])), "model.bin").clean


def test_what_readers_of_zip_take_in_two_ways_is_a_finding(tmp_path: Path) -> None:
    good = zipped(a=pickle.dumps([1]))
    crc = good.replace(struct.pack("<I", zlib.crc32(pickle.dumps([1]))), b"\0\0\0\0")
    assert kinds(look(tmp_path, crc)) == {Kind.MALFORMED}
    encrypted = bytearray(good)
    encrypted[good.index(b"PK\x01\x02") + 8] |= 1
    assert kinds(look(tmp_path, bytes(encrypted))) == {Kind.MALFORMED}
    renamed = good.replace(b"a", b"b", 1)
    assert kinds(look(tmp_path, renamed)) == {Kind.MALFORMED}
    assert Kind.DANGEROUS in kinds(look(tmp_path, EVIL + good))  # a pickle in front of an archive is a pickle
    assert kinds(look(tmp_path, b"PK\x03\x04" + good)) == {Kind.MALFORMED}
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive, pytest.warns(UserWarning):
        archive.writestr("a", b"one")
        archive.writestr("a", b"two")
    assert kinds(look(tmp_path, target.getvalue())) == {Kind.MALFORMED}
    assert kinds(look(tmp_path, good[: len(good) // 2])) == {Kind.MALFORMED}
    assert kinds(look(tmp_path, zipped(**{"../a": b"x"}))) == {Kind.MALFORMED}


def test_links_in_a_tar_are_findings(tmp_path: Path) -> None:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        link = tarfile.TarInfo("model.pkl")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    assert kinds(look(tmp_path, target.getvalue(), "model.tar")) == {Kind.MALFORMED}


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"7z\xbc\xaf\x27\x1c" + bytes(50), Kind.NOT_UNDERSTOOD),
        (b"Rar!\x1a\x07" + bytes(50), Kind.NOT_UNDERSTOOD),
        (b"\x28\xb5\x2f\xfd" + bytes(50), Kind.NOT_UNDERSTOOD),
        (b"GGUF" + bytes(50), Kind.NOT_UNDERSTOOD),
        (bytes(range(1, 200)), Kind.NOT_UNDERSTOOD),
        (b"\x7fELF" + bytes(60), Kind.UNKNOWN),
        (b"MZ" + bytes(60), Kind.UNKNOWN),
        (b"#!/bin/sh\ntrue\n", Kind.UNKNOWN),
        (b"a: !!python/object/apply:os.system [true]\n", Kind.DANGEROUS),
    ],
)
def test_what_cannot_be_judged_has_not_passed(tmp_path: Path, data: bytes, kind: Kind) -> None:
    assert kinds(look(tmp_path, data, "model.bin")) == {kind}


def test_scripts_beside_a_model(tmp_path: Path) -> None:
    (tmp_path / "weights.npy").write_bytes(b"")
    np.save(tmp_path / "weights.npy", np.zeros(3))
    (tmp_path / "modeling.py").write_text("print('hello')\n")
    found = scan(tmp_path)
    assert kinds(found) == {Kind.UNKNOWN}
    assert found.findings[0].place == "modeling.py"


def test_keras_lambda_layers(tmp_path: Path) -> None:
    layer = {"class_name": "Sequential", "module": "keras", "config": {"layers": [
        {"module": "keras.layers", "class_name": "Dense", "config": {}}]}}  # fmt: skip
    good = {"config.json": json.dumps(layer).encode(), "metadata.json": b"{}"}
    assert look(tmp_path, zipped(**good), "m.keras").clean
    for hidden in ("Lambda", "Lambd\\u0061"):
        evil = json.dumps(layer).replace("Dense", hidden).encode()
        assert Kind.DANGEROUS in kinds(look(tmp_path, zipped(**{**good, "config.json": evil}), "m.keras"))
        h5 = b"\x89HDF\r\n\x1a\n" + bytes(100) + b"model_config\0" + evil + bytes(100)
        assert Kind.DANGEROUS in kinds(look(tmp_path, h5, "m.h5")), hidden
    own = json.dumps(layer).replace("keras.layers", "mypackage.layers").encode()
    assert kinds(look(tmp_path, zipped(**{**good, "config.json": own}), "m.keras")) == {Kind.UNKNOWN}
    h5 = b"\x89HDF\r\n\x1a\n" + bytes(100) + b"model_config\0" + json.dumps(layer).encode() + bytes(100)
    assert look(tmp_path, h5, "m.h5").clean
    assert kinds(look(tmp_path, h5.replace(b'{"', b"{'"), "m.h5")) == {Kind.NOT_UNDERSTOOD}
    assert look(tmp_path, b"\x89HDF\r\n\x1a\n" + bytes(1000), "m.h5").clean  # weights alone


@pytest.mark.parametrize(
    ("module", "name", "config"),
    [
        ("keras.utils", "get_file", {}),
        ("keras", "utils.get_file", {}),
        ("keras.utils", "function", "get_file"),
        ("keras.models", "function", "load_model"),
        ("keras.config", "function", "enable_unsafe_deserialization"),
        ("builtins", "exec", {}),
        ("os", "function", "system"),
    ],
)
def test_keras_configurations_that_reach_for_more(tmp_path: Path, module: str, name: str, config: Any) -> None:
    document = {"class_name": "Sequential", "module": "keras", "config": {"layers": [
        {"module": module, "class_name": name, "config": config},
        {"module": "builtins", "class_name": "function", "config": "relu"},
        {"module": "keras.initializers", "class_name": "GlorotUniform", "config": {}}]}}  # fmt: skip
    found = look(tmp_path, zipped(**{"config.json": json.dumps(document).encode()}), "m.keras")
    assert sum(found.counts.values()) == 1, found.findings


def test_skops_types_are_judged(tmp_path: Path) -> None:
    def schema(module: str, name: str) -> bytes:
        document = {"__class__": name, "__module__": module, "__loader__": "ObjectNode", "content": {}}
        return zipped(**{"schema.json": json.dumps(document).encode()})

    assert look(tmp_path, schema("sklearn.linear_model._logistic", "LogisticRegression"), "m.skops").clean
    assert kinds(look(tmp_path, schema("os", "system"), "m.skops")) == {Kind.DANGEROUS}
    assert kinds(look(tmp_path, schema("mine", "Model"), "m.skops")) == {Kind.UNKNOWN}
    function = {"__class__": "function", "__module__": "builtins", "__loader__": "FunctionNode",
                "content": {"module_path": "os", "function": "system"}}  # fmt: skip
    data = zipped(**{"schema.json": json.dumps(function).encode()})
    assert kinds(look(tmp_path, data, "m.skops")) == {Kind.DANGEROUS}


# -- bombs ------------------------------------------------------------------------------------------------


def test_bombs_are_bounded(tmp_path: Path) -> None:
    tuples = b"\x80\x04)" + b"2\x86" * 60  # a tuple of itself twice, sixty deep: 2**60 leaves
    bombs = {
        "hash": tuples + b"}" + b"2" + b"0.",
        "key": b"\x80\x04}" + tuples[2:] + b"Ns.",
        "set": b"\x80\x04\x8f(" + tuples[2:] + b"\x90.",
        "frozenset": b"\x80\x04(" + tuples[2:] + b"\x91.",
        "bytearray": b"\x80\x05\x96" + struct.pack("<Q", 1 << 50) + b"x.",
        "deep": b"\x80\x04" + b"(" * 200_000 + b"l" * 200_000 + b".",
        "digits": b"I" + b"9" * 100_000 + b"\n.",
    }
    for name, data in bombs.items():
        found = look(tmp_path, data)
        assert kinds(found) <= {Kind.MALFORMED}, name


def test_a_pickle_of_too_many_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("manual_registry.adapters.scanning.findings.MOST_OPCODES", 100_000)
    found = look(tmp_path, b"\x80\x04" + b"N0" * 100_000 + b"N.")
    assert kinds(found) == {Kind.NOT_UNDERSTOOD}
    assert "steps" in found.findings[0].message


def test_a_zip_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("manual_registry.adapters.scanning.findings.FREE_UNPACKED", 1 << 20)
    bomb = zipped(a=bytes(30 << 20))
    for name, data in {"zip": bomb, "gzip": gzip.compress(bytes(30 << 20)), "nested": zipped(b=bomb)}.items():
        found = look(tmp_path, data)
        assert kinds(found) == {Kind.NOT_UNDERSTOOD}, name


def test_a_zip_with_an_endless_list_of_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("manual_registry.adapters.scanning.unpacking._LONGEST_LIST", 100)
    found = look(tmp_path, zipped(**{f"member-{number}": b"" for number in range(10)}))
    assert kinds(found) == {Kind.NOT_UNDERSTOOD}


def test_archives_in_archives_without_end(tmp_path: Path) -> None:
    data = EVIL
    for _ in range(12):
        data = zipped(a=data)
    found = look(tmp_path, data)
    assert kinds(found) == {Kind.NOT_UNDERSTOOD}


def test_paths_that_are_no_model(tmp_path: Path) -> None:
    with pytest.raises(RegistryError):
        scan(tmp_path / "nothing")
    (tmp_path / "link").symlink_to("/etc/passwd")
    with pytest.raises(RegistryError):
        scan(tmp_path / "link")


def test_random_bytes_and_changed_models_never_raise(tmp_path: Path) -> None:
    import random

    source = random.Random(7)
    good = pickle.dumps(models()["pipeline"])
    for _ in range(150):
        data = bytearray(good)
        for _ in range(source.randint(1, 8)):
            data[source.randrange(len(data))] = source.randrange(256)
        look(tmp_path, bytes(data))
    for head in (
        b"\x80\x04",
        b"PK\x03\x04",
        b"\x93NUMPY\x01\x00",
        b"\x1f\x8b",
        b"\x89HDF\r\n\x1a\n",
        b"\x08",
        b"{",
        b"",
    ):
        for _ in range(20):
            look(tmp_path, head + source.randbytes(source.randint(0, 400)), source.choice(["m.bin", "m.onnx", "m.txt"]))


# -- beside the machine that loads --------------------------------------------------------------------------


class Stub:
    """What every import is for the recorder: nothing that could do anything."""

    def __init__(self, *_: Any, **__: Any) -> None:
        """Take anything."""

    def __setstate__(self, _: Any) -> None:
        """Take anything."""

    def append(self, _: Any) -> None:
        """Take anything."""

    def extend(self, _: Any) -> None:
        """Take anything."""

    def add(self, _: Any) -> None:
        """Take anything."""

    def __setitem__(self, _: Any, __: Any) -> None:
        """Take anything."""


class Recorder(pickle.Unpickler):
    """The machine in C, which asks us for every import."""

    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data), encoding="latin1")
        self.asked: list[tuple[str, str]] = []

    def find_class(self, module: str, name: str) -> Any:
        self.asked.append((module, name))
        return Stub

    def persistent_load(self, _: Any) -> Any:
        return Stub()


def asked_by_c(data: bytes) -> set[tuple[str, str]]:
    recorder = Recorder(data)
    with contextlib.suppress(Exception):  # any error of loading; what was asked for until then counts
        recorder.load()
    return set(recorder.asked)


def seen(module: str, name: str, found: Scan) -> bool:
    """Tell whether an import is among ours, by its name of today where it is an old one."""
    today, name_today = _compat_pickle.NAME_MAPPING.get((module, name), (module, name))
    today = _compat_pickle.IMPORT_MAPPING.get(today, today)
    return bool({f"{module}.{name}", f"{today}.{name_today}"} & set(found.imports))


def test_nothing_is_imported_that_was_not_seen(tmp_path: Path) -> None:
    """Changed, cut and spliced pickles: whatever the machine in C asks for stands among our imports."""
    import random

    source = random.Random(13)
    # Not these: with a large number behind, the machine in C takes gigabytes (BYTEARRAY8, LONG_BINPUT, PUT).
    spared = b"\x96rp"
    system = Calls(os.system, "id")
    values = (system, [system, {"k": (1, 2.5, None, "os", b"os")}], {"a": {system.args: [system]}})
    good = [pickle.dumps(one, protocol=protocol) for one in values for protocol in (0, 1, 2, 4)]
    good += [data.replace(b"\x04true", b"\x02id").replace(b"true", b"id") for data in PAYLOADS.values()]
    good = [data for data in good if not any(one in data for one in b"\x96r")]
    compared = 0
    for _ in range(700):
        data = bytearray(source.choice(good))
        for _ in range(source.randint(0, 3)):
            place = source.randrange(len(data))
            kind = source.randrange(4)
            byte = source.choice(bytes(one for one in range(256) if one not in spared))
            if kind == 0:
                data[place] = byte
            elif kind == 1:
                del data[place : place + source.randint(1, 6)]
            elif kind == 2:
                data.insert(place, byte)
            else:
                data += source.choice(good)
            data = data or bytearray(b".")
        if any(one in data for one in b"\x96r"):
            continue
        wanted = asked_by_c(bytes(data))
        found = look(tmp_path, bytes(data))
        if wanted:
            compared += 1
            assert all(seen(*one, found) for one in wanted), (bytes(data), found.findings)
    assert compared > 200
