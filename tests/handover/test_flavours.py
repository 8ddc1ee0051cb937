"""Which file is which model: told by its form, never by loading it, and only where MLflow's own loader would read it."""

from __future__ import annotations

import io
import json
import pickle
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from manual_registry.core.handover import earlier, flavours, forms, pickles
from manual_registry.core.handover.entities import File
from manual_registry.core.handover.mapping import MAPPING, MAPPING_TAG

GENERIC = flavours.GENERIC


class Estimator:
    """What these tests take for one of scikit-learn's."""


Estimator.__module__, Estimator.__qualname__ = "sklearn.thing", "Estimator"


class Own:
    """A class of somebody's own."""


class Net:
    """What these tests take for a module of torch's: its state begins as those do."""

    def __init__(self) -> None:
        self.training = True
        self._parameters: dict[str, Any] = {}


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pickle find the classes, which :mod:`pytest` imports under no name."""
    for name, made in (("sklearn.thing", Estimator), (Own.__module__, Own), (Net.__module__, Net)):
        module = sys.modules.get(name) or ModuleType(name)
        monkeypatch.setattr(module, made.__name__, made, raising=False)
        monkeypatch.setitem(sys.modules, name, module)


def tell(name: str, data: bytes, **tags: str) -> flavours.Flavour:
    """Tell a file."""
    return flavours.tell({name: data[: flavours.HEAD]}, file=io.BytesIO(data), tags=tags, installed={})


def tree(heads: dict[str, bytes], **tags: str) -> flavours.Flavour:
    """Tell a directory."""
    return flavours.tell(heads, file=None, tags=tags, installed={})


def big(inner: object = None) -> Estimator:
    """Return an estimator whose pickle is longer than what is looked at of a file's beginning."""
    one = Estimator()
    one.inner = [f"word {number}" for number in range(9_000)]  # type: ignore[attr-defined]
    one.last = inner  # type: ignore[attr-defined]
    return one


# -- pickles ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_what_a_pickle_holds(protocol: int) -> None:
    """The estimator alone is a model; whatever holds one has no predict."""
    one = Estimator()
    one.inner = {"x": [Estimator(), (1, 2, 3, 4)], "y": "text", "z": {1}}  # type: ignore[attr-defined]

    def told(value: object, **tags: str) -> flavours.Flavour:
        return tell("a #1.pkl", pickle.dumps(value, protocol), **tags)

    assert told(one).name == "sklearn"
    assert told(one).sections["sklearn"]["pickled_model"] == "artefact/a _x23_1.pkl"
    assert told(big(one)).name == "sklearn"
    assert (told(Own()).name, told(Own(), framework="scikit-learn").name) == (GENERIC, "sklearn")
    for value in (
        *({"m": one}, [one], (one,), (one,) * 4, {"a": {"b": one}}, OrderedDict(m=one), "sklearn.x", None, Estimator),
        *((big(), one), (big(), one, big(), 3), {"m": big()}, [big()]),
    ):
        for tags in ({}, {"framework": "sklearn"}):
            assert told(value, **tags).name == GENERIC, value


def test_a_pickle_that_is_not_whole_is_no_model() -> None:
    data = pickle.dumps(big())
    assert tell("m.pkl", data).name == "sklearn"
    for cut in (1, 2, 10, 1000, 70_000, len(data) - 2, len(data) - 1):
        found = tell("m.pkl", data[:cut])
        assert (found.name, found.why_generic is None) == (GENERIC, False), cut
    assert tell("m.pkl", data + b"whatever comes behind it").name == "sklearn"  # an unpickler reads no further
    assert (
        pickles.tell(io.BytesIO(data), steps=100).why == "the pickle is too long to tell what it holds (over 100 steps)"
    )


def test_what_points_beside_itself_is_not_read_by_a_plain_unpickler() -> None:
    class Pointing(pickle.Pickler):
        def persistent_id(self, obj: object) -> str | None:
            return "it is there" if isinstance(obj, bytes) else None

    one, file = Estimator(), io.BytesIO()
    one.inner = b"weights"  # type: ignore[attr-defined]
    Pointing(file).dump(one)
    assert "beside it" in str(tell("m.pkl", file.getvalue()).why_generic)
    buffers: list[pickle.PickleBuffer] = []
    one.inner = pickle.PickleBuffer(b"x" * 100)  # type: ignore[attr-defined]
    data = pickle.dumps(one, 5, buffer_callback=buffers.append)
    assert buffers
    assert "beside it" in str(tell("m.pkl", data).why_generic)


def test_joblib_is_told_wherever_it_begins() -> None:
    """Its own class comes with the first array, be that after thousands of words; the array's bytes follow as they are."""
    marker = b"\x8c\x13joblib.numpy_pickle\x8c\x11NumpyArrayWrapper\x93)\x81\x9f\x93NUMPY"
    data = pickle.dumps(big())
    assert tell("m.pkl", data[:-3] + marker).name == GENERIC
    assert "joblib" in str(tell("m.pkl", data[:-3] + marker).why_generic)
    assert "joblib" in str(tell("m.joblib", data).why_generic)
    assert tell("m.joblib", b"\x78\x9c compressed", framework="sklearn").name == GENERIC


def test_long_arrays_are_passed_over_and_long_texts_are_not_made(tmp_path: Path) -> None:
    class Counting(io.BytesIO):
        longest = 0

        def read(self, size: int | None = -1, /) -> bytes:
            self.longest = max(self.longest, size or 0)
            return super().read(size)

    one = Estimator()
    one.inner = [b"\0" * 5_000_000, bytearray(3_000_000)]  # type: ignore[attr-defined]
    file = Counting(pickle.dumps(one, 5))
    assert pickles.tell(file).outermost == (pickles.INSTANCE, "sklearn.thing.Estimator")
    assert file.longest <= pickles.LONGEST
    one.inner = "x" * 2_000_000  # type: ignore[attr-defined]
    assert tell("m.pkl", pickle.dumps(one)).name == GENERIC
    path = tmp_path / "m.pkl"
    for code in (b"\x8e", b"\x96", b"\x8d", b"B", b"X", b"\x8b"):  # lengths that no file has
        path.write_bytes(pickle.dumps(Estimator())[:-1] + code + b"\xff" * 7 + b"\x7f")
        with path.open("rb") as real:
            assert pickles.tell(real).outermost is None


def test_nothing_is_ever_unpickled(monkeypatch: pytest.MonkeyPatch) -> None:
    evil = b"\x80\x02cbuiltins\nexec\nX\x1a\x00\x00\x00raise SystemExit('it ran')\x85R."
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("model/data.pkl", evil)
    for name, data in (("m.pkl", evil), ("model.pth", zipped.getvalue())):
        for tags in ({}, {"framework": "sklearn"}, {"framework": "torch"}):
            assert tell(name, data, **tags).name == GENERIC


def test_what_transforms_and_does_not_predict_is_not_said_to() -> None:
    def made(module: bytes) -> bytes:
        return b"\x80\x02c" + module + b"\nX\n)\x81}b."

    assert list(tell("m.pkl", made(b"sklearn.linear_model._base")).sections) == ["sklearn", "python_function"]
    assert list(tell("m.pkl", made(b"sklearn.preprocessing._data")).sections) == ["sklearn"]
    assert tell("m.pkl", made(b"sklearn.model_selection._split")).name == GENERIC


# -- other files ------------------------------------------------------------------------------------------------

XGB = b'{"learner":{"attributes":{},"feature_names":[%s],"learner_model_param":{"num_class":"0"},"objective":{}},"version":[3,2,0]}'
UBJ = (
    b"{L"
    + b"\0" * 7
    + b"\x07learner{L"
    + b"\0" * 7
    + b"\x0aattributes{}L"
    + b"learner_model_param{}}L"
    + b"version[i\x03i\x02i\x00]}"
)
LGB = b"tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nmax_feature_idx=3\n%s\nend of trees\n\npandas_categorical:null\n"
LONG = b"x" * (2 * forms.EDGE)


@pytest.mark.parametrize(
    ("name", "data", "tags", "flavour"),
    [
        ("m.json", XGB % b"", {}, "xgboost"),
        ("m.json", XGB % b'"%s"' % LONG, {"framework": "XGBoost"}, "xgboost"),
        ("m.JSON", b" " + XGB.replace(b":", b" : ") % b"" + b"\n", {}, "xgboost"),
        ("m.ubj", UBJ, {}, "xgboost"),
        ("m.ubj", XGB % b"", {}, GENERIC),  # its library goes by the name
        ("m.json", UBJ, {}, GENERIC),
        ("m.model", XGB % b"", {"framework": "xgboost"}, GENERIC),
        ("m.json", (XGB % b"")[:-9], {}, GENERIC),
        ("m.json", b'{"learner":{"gradient_booster":{},"learner_model_param":{}},"version":[3,2,0]}', {}, GENERIC),  # settings
        ("m.json", b'{"learner":"a person","version":[1,0,0]}', {}, GENERIC),
        ("m.json", b'{"version":[1,0,0],"learner":{}}', {"framework": "xgboost"}, GENERIC),
        ("m.bin", b"binf" + bytes(100), {}, GENERIC),
        ("m.txt", LGB % b"Tree=0", {}, "lightgbm"),
        ("m.txt", LGB % LONG, {}, "lightgbm"),
        ("m.txt", LGB % b"", {"flavor": "onnx"}, GENERIC),
        ("m.txt", (LGB % LONG)[:-100], {}, GENERIC),
        ("m.txt", b"tree\nversion=v4\n", {}, GENERIC),
        ("m.txt", b"tree\nof life\n", {"framework": "lightgbm"}, GENERIC),
        ("m.bin", b"", {}, GENERIC),
        ("m.bin", b"\x80", {}, GENERIC),
        ("m.bin", b"anything", {"framework": "our own"}, GENERIC),
        *(("m.bin", b"anything", {"framework": name}, GENERIC) for name in flavours.KNOWN),
        *(("m.pkl", pickle.dumps({"a": 1}), {"framework": name}, GENERIC) for name in flavours.KNOWN),
    ],
)  # fmt: skip
def test_a_file_is_told_by_its_form(name: str, data: bytes, tags: dict[str, str], flavour: str) -> None:
    found = tell(name, data, **tags)
    assert found.name == flavour
    document = written(found)
    assert document["flavors"][flavour]
    if flavour in ("xgboost", "lightgbm"):
        # MLflow's loaders of these look for MLmodel where they are pointed to: the logged model, not the artefact.
        assert document["flavors"]["python_function"] == {"loader_module": f"mlflow.{flavour}"}


def written(found: flavours.Flavour) -> dict[str, Any]:
    """Write MLmodel, and read it as MLflow does."""
    text = flavours.mlmodel(found, run_id="r", model_id="m-1", created="2026", name="n", facts={"a": 'b: "c" ü'})
    document: dict[str, Any] = yaml.safe_load(text)
    assert document["metadata"] == {"a": 'b: "c" ü'}
    return document


def torch(value: object, *, name: str = "model/data.pkl", compressed: bool = False) -> bytes:
    """Return a file as ``torch.save`` makes them: a pickle and arrays in an archive that is not compressed."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED) as archive:
        archive.writestr("model/data/0", bytes(200))
        archive.writestr(name, pickle.dumps(value, 2))
        archive.writestr("model/version", "3\n")
    return file.getvalue()


def test_of_torch_whole_models_alone_are_told() -> None:
    for name in ("model.pth", "w.pt", "x"):
        found = tell(name, torch(Net()))
        assert found.sections["pytorch"]["model_data"] == f"artefact/{name}"
        assert found.sections["python_function"] == {"loader_module": "mlflow.pytorch", "data": f"artefact/{name}"}
    for value in (OrderedDict(w=1), {"model": Net()}, [Net()], (Net(), 1), (Net(),), Own(), 3, "training", None):
        for tags in ({}, {"framework": "torch"}):
            assert tell("model.pth", torch(value), **tags).name == GENERIC, value
    assert tell("model.pth", torch(Net())[:-30]).name == GENERIC
    assert tell("model.pth", torch(Net(), compressed=True)).name == GENERIC
    assert tell("m.pt2", torch(Net(), name="model/extra/x.json")).name == GENERIC
    assert tell("book.xlsx", torch(Net(), name="xl/workbook.xml")).why_generic is None
    assert tell("model.pth", torch(Net()), framework="onnx").name == GENERIC


# -- ONNX -------------------------------------------------------------------------------------------------------


def field(number: int, value: bytes | int) -> bytes:
    """Return a field of a protocol buffer."""
    if isinstance(value, int):
        return number_of(number << 3) + number_of(value)
    return number_of(number << 3 | 2) + number_of(len(value)) + value


def number_of(value: int) -> bytes:
    """Return a number as protocol buffers have it."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def onnx(*, tensor: bytes = b"", node: bytes = b"") -> bytes:
    """Return a small ONNX model: version, producer, a graph of nodes and one tensor, the operators' version."""
    nodes = b"".join(field(1, field(4, b"Identity") + field(3, b"n" * 100)) for _ in range(900))
    graph = nodes + field(1, node) + field(2, b"g") + field(5, tensor or field(1, 3) + field(9, bytes(12)))
    return field(1, 9) + field(2, b"test") + field(7, graph) + field(8, field(2, 17))


EXTERNAL = field(8, b"w") + field(13, field(1, b"location") + field(2, b"w.data")) + field(14, 1)


def test_an_onnx_model_is_walked_through() -> None:
    data = onnx()
    found = tell("m.onnx", data)
    assert found.sections["onnx"]["data"] == "artefact/m.onnx"
    assert "python_function" not in found.sections  # that loader asks for MLmodel beside the file
    assert len(data) > forms.EDGE
    for other in (
        b"",
        b"\x08",
        b"\x08\x08model",
        b"this is a note",
        field(1, 9),
        data[:-1],
        data[:70_000],
        data + b"\0",
    ):
        found = tell("m.onnx", other)
        assert (found.name, "ONNX" in str(found.why_generic)) == (GENERIC, True), other[:20]
    assert tell("m.bin", data).name == GENERIC
    assert tell("m.bin", data, framework="onnx").name == GENERIC


@pytest.mark.parametrize(
    "data",
    [
        onnx(tensor=EXTERNAL),
        onnx(node=field(5, field(1, b"value") + field(5, EXTERNAL))),  # a constant
        onnx(node=field(5, field(6, field(5, EXTERNAL)))),  # in the graph of a branch
        onnx(node=field(5, field(22, field(1, EXTERNAL)))),
    ],
)
def test_an_onnx_model_whose_weights_lie_elsewhere_is_not_told(data: bytes) -> None:
    assert "another file" in str(tell("m.onnx", data).why_generic)
    assert tree({"m.onnx": data, "w.data": b""}, framework="onnx").name == GENERIC


# -- directories ------------------------------------------------------------------------------------------------


def checkpoint(**changes: Any) -> dict[str, bytes]:
    """Return the beginnings of a checkpoint's files."""
    config = {"model_type": "bert", "architectures": ["BertForSequenceClassification"], **changes}
    return {
        "config.json": json.dumps(config).encode(),
        "model.safetensors": b"",
        "tokenizer.json": b"",
        "README.md": b"",
    }


def test_a_checkpoint_is_told_with_its_task() -> None:
    found = tree(checkpoint(), task="text-classification")
    section = dict(found.sections["transformers"])
    assert section.pop("transformers_version") == "unknown"
    assert section == {
        "task": "text-classification",
        "pipeline_model_type": "BertForSequenceClassification",
        "model_binary": "artefact",
        "components": ["tokenizer"],
        "tokenizer_type": "AutoTokenizer",
    }
    copies = {
        "components/tokenizer/tokenizer.json": "tokenizer.json",
        "components/tokenizer/config.json": "config.json",
    }
    assert found.copies == copies
    assert written(found)["flavors"]["python_function"] == {"loader_module": "mlflow.transformers"}
    # A tag that is changed later leaves no copy behind that nobody asked for.
    for tags in (
        {},
        {"task": "translation"},
        {"framework": "onnx"},
        {"framework": "onnx", "task": "text-classification"},
    ):
        other = tree(checkpoint(), **tags)
        assert (other.name, other.copies) == (GENERIC, copies)
        assert other.why_generic


def test_pictures_need_their_own_component() -> None:
    vit = {
        **checkpoint(architectures=["ViTForImageClassification"]),
        "preprocessor_config.json": b'{"image_processor_type":"X"}',
    }
    found = tree(vit, task="image-classification")
    assert found.sections["transformers"]["components"] == ["image_processor"]
    assert set(found.copies.values()) == {"preprocessor_config.json", "config.json"}
    assert "image processor" in str(
        tree({**vit, "preprocessor_config.json": b"{"}, task="image-classification").why_generic
    )


@pytest.mark.parametrize(
    ("heads", "why"),
    [
        (dict.fromkeys(("model.safetensors", "tokenizer.json"), b""), None),
        ({name: head for name, head in checkpoint().items() if name != "tokenizer.json"}, "no tokenizer"),
        (checkpoint(architectures=["BertModel"]), "no head"),
        (checkpoint(architectures=None), "none is named"),
        (checkpoint(architectures=[{}]), "none is named"),
        (checkpoint(auto_map={"AutoModel": "own.Model"}), "code of its own"),
        ({**checkpoint(), "config.json": b'{"model_type": "bert", '}, "none is named"),
        ({"weights.bin": b"", "notes.txt": b""}, None),
    ],
)
def test_a_directory_that_no_pipeline_is_made_of(heads: dict[str, bytes], why: str | None) -> None:
    found = tree(heads, task="text-classification")
    assert found.name == GENERIC
    assert why is None or why in str(found.why_generic)
    assert list(written(found)["flavors"]) == [GENERIC]


# -- what is not expected ---------------------------------------------------------------------------------------


@given(st.binary(max_size=300), st.sampled_from(["x", "m.onnx", "m.json", "m.ubj", "m.txt", "m.pth", "m.pkl"]))
def test_no_file_trips_the_look_at_it(data: bytes, name: str) -> None:
    list(pickles.names(b"\x80" + data))
    for start in (b"", b"\x80", b"\x80\x04", b"PK\x03\x04", b"tree\n", b"{L", b"binf", b"\x08\x09"):
        found = tell(name, start + data)
        assert written(found)["flavors"]
        flavours.tell({name: start + data}, file=io.BytesIO(), tags={}, installed={}, as_first=True)


@given(st.data())
def test_no_changed_file_trips_it(data: st.DataObject) -> None:
    whole: bytes = data.draw(
        st.sampled_from([torch(OrderedDict(w=[1])), onnx(tensor=EXTERNAL)[-400:], pickle.dumps([1, {2}])])
    )
    place = data.draw(st.integers(0, len(whole) - 1))
    changed = whole[:place] + bytes([data.draw(st.integers(0, 255))]) + whole[place + 1 :]
    for name in ("m.onnx", "m.pth"):
        assert tell(name, changed).name == GENERIC


def test_as_the_first_release_told_it() -> None:
    """Its MLmodel files are no edits."""

    def first(name: str, data: bytes, **tags: str) -> flavours.Flavour:
        file: BinaryIO = io.BytesIO(data)
        return flavours.tell({name: data}, file=file, tags=tags, installed={"scikit-learn": "1.5.0"}, as_first=True)

    estimator = pickle.dumps({"m": Estimator()}, 2)
    assert first("a #1.pkl", estimator).sections == {
        "sklearn": {
            "pickled_model": "artefact/a #1.pkl",
            "serialization_format": "pickle",
            "code": None,
            "sklearn_version": "1.5.0",
        },
        "python_function": {
            "loader_module": "mlflow.sklearn",
            "model_path": "artefact/a #1.pkl",
            "predict_fn": "predict",
        },
    }
    told: Callable[..., str] = lambda *words, **tags: first(*words, **tags).name  # noqa: E731
    assert told("m.onnx", b"\x08\x08") == "onnx"
    assert told("m.json", b'{"learner":{"attributes":{}') == "xgboost"
    assert told("m.txt", b"tree\nversion=v4\n") == "lightgbm"
    assert told("m.txt", b"tree\nversion=v4\n", flavor="onnx") == GENERIC
    assert told("m.bin", b"anything", framework="xgboost") == "xgboost"
    start = b"PK\x03\x04" + b"\0" * 26 + b"model/data.pkl"
    assert first("model.pth", start + b"\x80\x02ctorch\nX\n").sections["pytorch"]["model_data"] == "artefact"
    assert told("model.pth", start + b"\x80\x02ccollections\nOrderedDict\n") == GENERIC
    heads = {"config.json": b'{"model_type": "bert"}', "model.safetensors": b""}
    old = flavours.tell(heads, file=None, tags={"task": "t"}, installed={}, as_first=True)
    assert old.sections["transformers"] == {
        "task": "t",
        "model_binary": "artefact",
        "framework": "pt",
        "transformers_version": "unknown",
    }


def test_requirements_of_an_environment_file() -> None:
    text = b"# pip freeze\nscikit-learn==1.5.0\nNumPy == 2.0.1 \nname: conda\n\xff"
    assert flavours.requirements(text) == {"scikit-learn": "1.5.0", "numpy": "2.0.1"}
    net = torch(Net())
    for listed, version in (({"torch": "2.13.0"}, "2.13.0"), ({"torch-cpu": "2"}, "unknown")):
        found = flavours.tell({"m.pt": net}, file=io.BytesIO(net), tags={}, installed=listed)
        assert found.sections["pytorch"]["pytorch_version"] == version
    data = XGB % b""
    found = flavours.tell({"m.json": data}, file=io.BytesIO(data), tags={}, installed={"xgboost-cpu": "3.2.0"})
    assert found.sections["xgboost"]["xgb_version"] == "3.2.0"


def test_copies_that_an_earlier_mapping_did_not_make_are_asked_for_by_no_check() -> None:
    mark, copy = ("run.tag", MAPPING_TAG), ("model.file", "components/tokenizer/tokenizer.json")
    ours = {mark: MAPPING, copy: "1 bytes", ("model.file", "artefact/tokenizer.json"): "1 bytes"}
    assert copy not in earlier.expected(ours, {mark: earlier.FIRST})
    assert copy in earlier.expected(ours, {mark: MAPPING})
    assert copy in earlier.expected(ours, {mark: earlier.FIRST, copy: "2 bytes"})


def test_a_copy_is_no_other_spelling_of_its_file() -> None:
    plain = File(path="artefact/tokenizer.json", size=1, sha256="ab", origin="artefact/tokenizer.json")
    wanted = [plain, replace(plain, path="components/tokenizer/tokenizer.json")]
    assert earlier.renamed(wanted, wanted, below="") == wanted
    assert earlier.renamed([plain], wanted, below="") == [plain]
