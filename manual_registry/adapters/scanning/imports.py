"""Judges what a pickle imports, by name alone: harmless, dangerous, or nobody knows.

Rules held here: an import has passed only when it stands on the list of the harmless (containers, numbers, arrays,
tensors, the classes of the usual model libraries), or somebody let it through by hand; a list of the dangerous alone can
always be walked round. That list, kept by the picklescan project, is asked beside: what stands on it cannot be let
through. Its own parser is not relied on, and sees a pickle of ours that holds the names and nothing else.
"""

from __future__ import annotations

import io
import logging
import pickle
import re
from collections.abc import Iterable, Mapping
from typing import Final

from manual_registry.adapters.scanning.findings import words
from manual_registry.core.errors import ToolMissing

HINT: Final = "pip install 'manual-registry[gates]'"

_ARRAYS: Final = frozenset({"_reconstruct", "scalar", "_frombuffer"})
_BUILTINS: Final = words("set frozenset bytearray bytes complex slice range list dict tuple int float str bool object")
_SCALARS: Final = words(
    "ndarray dtype matrix float16 float32 float64 longdouble int8 int16 int32 int64 uint8 uint16 uint32 uint64 "
    "bool bool_ str_ bytes_ object_ void datetime64 timedelta64 complex64 complex128 intc intp longlong"
)
#: Functions on arrays and nothing else; people put them into a FunctionTransformer.
_UFUNCS: Final = words(
    "log log1p log2 log10 exp expm1 sqrt cbrt square absolute abs sign sin cos tan tanh arcsinh reciprocal negative"
)
_TENSORS: Final = words(
    "_rebuild_tensor _rebuild_tensor_v2 _rebuild_tensor_v3 _rebuild_parameter _rebuild_parameter_with_state "
    "_rebuild_qtensor _rebuild_sparse_tensor _rebuild_sparse_csr_tensor"
)
_TORCH: Final = words(
    "Size device dtype Tensor float16 float32 float64 bfloat16 half float double int8 int16 int32 int64 uint8 "
    "bool complex64 complex128 quint8 qint8 qint32 strided per_tensor_affine per_channel_affine"
)
#: Module -> names that load data and nothing else.
_HARMLESS: Final[Mapping[str, frozenset[str]]] = {
    "builtins": _BUILTINS,
    "collections": frozenset({"OrderedDict", "defaultdict", "Counter", "deque"}),
    "copyreg": frozenset({"_reconstructor"}),
    "_codecs": frozenset({"encode"}),
    "datetime": frozenset({"datetime", "date", "time", "timedelta", "timezone"}),
    "decimal": frozenset({"Decimal"}),
    "fractions": frozenset({"Fraction"}),
    "numpy": _SCALARS | _UFUNCS,
    "numpy.dtypes": frozenset({"StringDType"}),
    "numpy.core.multiarray": _ARRAYS,
    "numpy._core.multiarray": _ARRAYS,
    "numpy.core.numeric": _ARRAYS,
    "numpy._core.numeric": _ARRAYS,
    "numpy.ma.core": frozenset({"_mareconstruct", "MaskedArray"}),
    "numpy.random._pickle": frozenset({"__randomstate_ctor", "__generator_ctor", "__bit_generator_ctor"}),
    "numpy.random._mt19937": frozenset({"MT19937"}),
    "numpy.random._pcg64": frozenset({"PCG64", "PCG64DXSM"}),
    "numpy.random.bit_generator": frozenset({"SeedSequence", "__pyx_unpickle_SeedSequence"}),
    "joblib.numpy_pickle": frozenset({"NumpyArrayWrapper"}),
    "torch": _TORCH,
    "torch._utils": _TENSORS,
    "torch._tensor": frozenset({"_rebuild_from_type_v2"}),
    "torch.nn.parameter": frozenset({"Parameter", "Buffer"}),
    "torch.storage": frozenset({"UntypedStorage", "TypedStorage"}),
    "torch.serialization": frozenset({"_get_layout"}),
    "pandas.core.frame": frozenset({"DataFrame"}),
    "pandas.core.series": frozenset({"Series"}),
    "pandas": frozenset({"DataFrame", "Series", "Index", "RangeIndex"}),
    "pandas.core.internals.managers": frozenset({"BlockManager", "SingleBlockManager"}),
    "pandas._libs.internals": frozenset({"_unpickle_block", "BlockManager"}),
    "pandas.core.indexes.base": frozenset({"_new_Index", "Index"}),
    "pandas.core.indexes.range": frozenset({"RangeIndex"}),
    "pandas.core.indexes.multi": frozenset({"MultiIndex"}),
}
#: Packages whose classes (CapWords, in a module of theirs, no attribute of one) hold parameters and arrays.
_CLASSES: Final = re.compile(
    r"(?:sklearn(?:\.(?!externals|datasets|conftest|setup|utils\._testing)[a-z_0-9]+)+"
    r"|xgboost\.(?:core|sklearn|training)|lightgbm\.(?:basic|sklearn|engine)"
    r"|torch\.nn\.modules(?:\.[a-z_0-9]+)+|imblearn(?:\.[a-z_0-9]+)+) "
    r"(?:_{0,2}[A-Z][A-Za-z0-9_]*|__pyx_unpickle_[A-Z][A-Za-z0-9]*|newObj)"
)
_SPARSE: Final = re.compile(r"scipy\.sparse\._?[a-z]+ [a-z]{3}_(?:matrix|array)")
_STORAGE: Final = re.compile(r"torch [A-Z][A-Za-z0-9]*Storage")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*")


def is_name(text: str) -> bool:
    """Tell whether ``text`` is a dotted name of Python (only such can be let through by hand)."""
    return bool(_NAME.fullmatch(text))


def harmless(module: str, name: str) -> bool:
    """Tell whether loading ``module.name`` can do no more than hold data."""
    if name in _HARMLESS.get(module, ()):
        return True
    whole = f"{module} {name}"
    return any(pattern.fullmatch(whole) for pattern in (_CLASSES, _SPARSE, _STORAGE))


def dangerous(found: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return those imports that picklescan knows to be dangerous.

    Raises :class:`ToolMissing` where it is not installed.
    """
    try:
        from picklescan.scanner import SafetyLevel, scan_pickle_bytes
    except ImportError:
        raise ToolMissing("reading pickles needs picklescan", hint=HINT) from None
    names = [(module, name) for module, name in found if is_name(module) and is_name(name)]
    logger = logging.getLogger("picklescan")
    before = logger.level
    logger.setLevel(logging.CRITICAL)  # it logs each finding; we tell them ourselves
    try:
        # GLOBAL and POP for each, None at the end: what its parser makes of a hostile file does not matter then.
        lines = b"".join(pickle.GLOBAL + f"{module}\n{name}\n".encode() + pickle.POP for module, name in names)
        result = scan_pickle_bytes(io.BytesIO(lines + pickle.NONE + pickle.STOP), "names")
    finally:
        logger.setLevel(before)
    return {(one.module, one.name) for one in result.globals if one.safety is SafetyLevel.Dangerous}


def scanner() -> str:
    """Return the library that knows the dangerous names, with its version."""
    from importlib import metadata

    try:
        return f"picklescan {metadata.version('picklescan')}"
    except metadata.PackageNotFoundError:
        raise ToolMissing("reading pickles needs picklescan", hint=HINT) from None
