"""Brings a team's own spreadsheet in: reads it, finds the files that it names, keeps the mapping file.

``propose`` reads, ``look_up`` finds and hashes, ``write_mapping`` and ``read_mapping`` are the conversation with the
person. Rules held here: nothing is copied or imported, and nothing written but the mapping file; a file of a person's is opened
once, guarded, and never changed. What a sheet means is decided in ``core/adoption``.

    proposal = look_up(propose(sheet, read_mapping(file)), sheet_folder=sheet.parent, storage=storage)
"""

from __future__ import annotations

import hashlib
import stat
from pathlib import Path
from typing import Final

from manual_registry.adapters.adoption.files import is_whole_machine
from manual_registry.adapters.adoption.looking import look_up
from manual_registry.adapters.adoption.mapping_file import read_mapping, write_mapping
from manual_registry.adapters.files import put_if_absent
from manual_registry.core.adoption import Answers, Proposal, propose_sheets
from manual_registry.core.errors import (
    FilesystemUnsuited,
    FileUnknown,
    MetadataUnreadable,
    RegistryError,
    StorageFailed,
    WorkbookUnreadable,
)

__all__ = ["is_whole_machine", "look_up", "propose", "put_mapping", "read_mapping", "read_sheet_bytes", "write_mapping"]

_LARGEST: Final = 256 * 2**20
_MOST_MAPPINGS: Final = 1000
_TEXTS: Final = frozenset({".csv", ".tsv", ".txt"})


def propose(path: Path, mapping: Answers | None = None, *, data: bytes | None = None) -> Proposal:
    """Read the spreadsheet at ``path`` (.xlsx, .xlsm, .csv, .tsv) with a person's answers.

    ``data``: its bytes, when they have been read already (the hash is then of what was read). Raises ``FileUnknown``,
    :class:`MetadataUnreadable` for a file that is damaged, hostile, locked or no spreadsheet, ``BadValue`` for
    answers that do not fit it.
    """
    raw = read_sheet_bytes(path) if data is None else data
    sha256 = hashlib.sha256(raw).hexdigest()
    if path.suffix.lower() in _TEXTS:
        from manual_registry.adapters.adoption.csv_file import read_csv

        grids = (read_csv(raw, path.name, sheet=path.stem or "csv"),)
        return propose_sheets(grids, mapping, workbook=path.name, sha256=sha256)
    from manual_registry.adapters.adoption.xlsx import read_xlsx

    try:
        book = read_xlsx(raw, path.name)
    except WorkbookUnreadable as refused:
        raise _refused(path.name, refused) from refused
    own = next((grid.name for grid in book.grids if grid.name == "Models"), None) if book.own else None
    return propose_sheets(
        book.grids, mapping, workbook=path.name, sha256=sha256, system_1904=book.system_1904, only=own
    )


def read_sheet_bytes(path: Path) -> bytes:
    """Return the spreadsheet's bytes; raises ``FileUnknown``, ``MetadataUnreadable``, ``FilesystemUnsuited``."""
    try:
        facts = path.stat()
        if not stat.S_ISREG(facts.st_mode):
            raise MetadataUnreadable(f"{path}: not a plain file", location=str(path))
        if facts.st_size > _LARGEST:
            raise MetadataUnreadable(f"{path}: larger than {_LARGEST // 2**20} MiB", location=str(path))
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise FileUnknown(f"{path} is not there", location=str(path)) from None
    except (OSError, ValueError) as error:
        raise FilesystemUnsuited(f"{path} cannot be read: {error}", location=str(path)) from error


def _refused(name: str, refused: WorkbookUnreadable) -> RegistryError:
    """Say of a team's own sheet what the guarded reader says, without the advice that fits the registry's workbook."""
    from manual_registry.adapters.workbook.errors import Trouble, WorkbookDamaged

    why, place = refused.message, ""
    if isinstance(refused.__cause__, Trouble):
        why, place = f"{name} {refused.__cause__.why}", refused.__cause__.place
    hint = "save it as .xlsx in a spreadsheet program and try again" if isinstance(refused, WorkbookDamaged) else None
    return MetadataUnreadable(
        why + (f" ({place})" if place and place not in why else ""),
        location=f"{name}:{place}" if place else name,
        hint=hint,
        details={"code": refused.code},
    )


def put_mapping(proposal: Proposal, sheet: Path) -> Path:
    """Write the mapping file beside ``sheet`` as ``<sheet>.mapping.toml``; return where it is.

    A file that stands is never overwritten, since a person may have corrected it: the next free number counts, and the
    same text again is no new file. Raises DiskFull, StorageReadOnly or StorageFailed.
    """
    data = write_mapping(proposal).encode("utf-8")
    for number in range(1, _MOST_MAPPINGS):
        tail = "" if number == 1 else f"-{number}"
        path = sheet.with_name(f"{sheet.name}.mapping{tail}.toml")
        if put_if_absent(path, data, mode=0o644) or _holds(path, data):
            return path
    raise StorageFailed(f"{sheet.name}: {_MOST_MAPPINGS} mapping files lie beside it; move some away")


def _holds(path: Path, data: bytes) -> bool:
    try:
        return path.is_file() and path.stat().st_size == len(data) and path.read_bytes() == data
    except OSError:
        return False
