"""Where the tracking spreadsheet may lie (``[workbook] path``), and which names are the registry's own.

Rule held here: whatever a person types there, no command writes a workbook over evidence, settings, or a file of
another kind. Whether a file that stands at an allowed place is ours is asked where it is written (``registry.views``).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

#: Names in the root that are the registry's own, in small letters.
OWN_NAMES: Final = frozenset(
    {
        "registry.toml",
        "registry.xlsx",
        "readme.txt",
        "format.md",
        ".gitattributes",
        "allowed_signers",
        "ledger",
        "models",
        "archive",
        "approvals",
        "adopted",
    }
)
#: What a tracking spreadsheet may be called; the tool reads and writes nothing else.
_SUFFIXES: Final = (".xlsx", ".xlsm")
DEFAULT: Final = "registry.xlsx"


def belongs_to_registry(root: Path, path: Path) -> bool:
    """Tell whether ``path`` is one of the registry's own names below ``root``, or below one; links are followed."""
    target, top = Path(os.path.realpath(path)), Path(os.path.realpath(root))
    return target == top or (target.is_relative_to(top) and target.relative_to(top).parts[0].lower() in OWN_NAMES)


def place_problem(root: Path, written: str) -> str | None:
    """Say why the workbook of the registry in ``root`` may not lie at ``written``; None: it may."""
    if "\0" in written:
        return "holds a NUL byte"
    path = root / written
    if not path.name.lower().endswith(_SUFFIXES) or path.name.lower() in _SUFFIXES:
        return "does not end in .xlsx (or .xlsm), so it is no workbook"
    if written == DEFAULT:
        return None  # also where it is a link to a place elsewhere
    target, top = Path(os.path.realpath(path)), Path(os.path.realpath(root))
    if target == top / DEFAULT:
        return None
    if belongs_to_registry(root, path):
        return "belongs to the registry's own files"
    if target.is_relative_to(top) and any(part.startswith(".") for part in target.relative_to(top).parts[:-1]):
        return "lies in a hidden directory of the registry"
    if path.is_dir():
        return "is a directory"
    if path.exists() and not path.is_file():
        return "is no plain file"
    return None
