"""A security check that really runs: can this model file carry code?

An ``.npz`` is a zip of ``.npy`` members, and a ``.npy`` of objects is a pickle: loading it runs what it
says. The check looks at the headers first, without numpy's loader, then opens the file as the service
would, with pickles refused. It counts findings and judges nothing; the gate's threshold is zero for every
count.
"""

from __future__ import annotations

import math
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

#: The arrays of a scorecard; anything else in the file is unexpected.
EXPECTED_MEMBERS = frozenset({"intercept.npy", "weights.npy", "center.npy", "scale.npy"})
#: A scorecard has a few dozen numbers; a member that claims more than this is refused before it is unpacked.
LARGEST_MEMBER = 1 << 20
_NUMERIC = frozenset("biuf")
_LOCAL_HEADER = b"PK\x03\x04"


@dataclass(frozen=True, kw_only=True, slots=True)
class Findings:
    """What the check counted; every count of a sound file is zero."""

    code_carrying_members: int = 0
    unexpected_members: int = 0
    missing_members: int = 0
    oversized_members: int = 0
    non_finite_arrays: int = 0

    def counts(self) -> dict[str, int]:
        """Return the counts by name, in a fixed order."""
        return asdict(self)

    @property
    def clean(self) -> bool:
        """True when nothing was found."""
        return not any(self.counts().values())


def check_model_file(path: Path) -> Findings:
    """Count what is wrong with the model file at ``path``; a file that is no zip counts as carrying code.

    A pickle can be given any name, so what cannot be shown to be plain numbers is taken for code.
    """
    with path.open("rb") as stream:
        if stream.read(4) != _LOCAL_HEADER:  # also refuses a script with a zip appended to it
            return Findings(code_carrying_members=1)
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            large = [member for member in members if member.file_size > LARGEST_MEMBER]
            coded = [] if large else [member for member in members if not _plain_numbers(archive, member)]
    except (zipfile.BadZipFile, NotImplementedError):
        return Findings(code_carrying_members=1)
    names = Counter(member.filename for member in members)
    safe = not large and not coded
    return Findings(
        code_carrying_members=len(coded),
        unexpected_members=_unexpected(names),
        missing_members=len(EXPECTED_MEMBERS - names.keys()),
        oversized_members=len(large),
        non_finite_arrays=_non_finite(path, names) if safe else 0,
    )


def _unexpected(names: Counter[str]) -> int:
    return sum(times - (name in EXPECTED_MEMBERS) for name, times in names.items())


def _plain_numbers(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bool:
    """Tell from its header whether a member is one array of numbers and nothing after it."""
    try:
        with archive.open(member) as stream:
            if np.lib.format.read_magic(stream) != (1, 0):  # numbers never need a later one
                return False
            shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
            rest = len(stream.read())
    except (ValueError, OSError, RuntimeError, zipfile.BadZipFile, zlib.error):  # RuntimeError: encrypted
        return False
    return not dtype.hasobject and dtype.kind in _NUMERIC and rest == math.prod(shape) * dtype.itemsize


def _non_finite(path: Path, names: Iterable[str]) -> int:
    """Open the file as a service would and count the arrays that hold NaN or infinity."""
    with np.load(path, allow_pickle=False) as arrays:
        return sum(not np.isfinite(arrays[name.removesuffix(".npy")]).all() for name in set(names))
