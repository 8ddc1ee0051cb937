"""Folders that a program keeps equal with other machines: is this one, has a file come to rest, are there copies of it?

Rule held here: nothing but names and time stamps is looked at. OneDrive, SharePoint, Dropbox, Google Drive, iCloud,
Box, Nextcloud, ownCloud, Syncthing, Seafile and Resilio are known by the names of their folders or the marks in them;
of any other a person says it (``[workbook] quiet_seconds``).
"""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Final

#: How long a file in a synced folder must have been quiet, where registry.toml does not say.
QUIET_SECONDS: Final = 30

_NAMES: Final = re.compile(
    r"(one ?drive|sharepoint|dropbox|google ?drive|my drive|icloud|mobile documents|cloudstorage|box( sync)?|nextcloud"
    r"|owncloud|seafile|syncthing)(\W.*)?",
    re.IGNORECASE,
)
_MARKS: Final = (".stfolder", ".dropbox.cache", ".owncloudsync.log", ".sync", ".tmp.driveupload")


def in_synced_folder(directory: Path) -> bool:
    """Tell whether ``directory`` or one above it is known to be kept equal with other machines."""
    here = directory.resolve()
    return any(_is_one(folder) for folder in (here, *here.parents))


def _is_one(folder: Path) -> bool:
    return _NAMES.fullmatch(folder.name) is not None or any((folder / mark).exists() for mark in _MARKS)


def seconds_since_change(path: Path) -> float | None:
    """Return how long ago the file was written or put there; None: there is none, or the clock cannot tell."""
    try:
        facts = path.stat()
    except OSError:
        return None
    passed = time.time() - max(facts.st_mtime, facts.st_ctime)
    return passed if passed >= 0 else None


def copy_candidates(workbook: Path) -> list[Path]:
    """Return the files beside the workbook whose names look like a copy of it; opens nothing.

    OneDrive writes ``registry-HOST.xlsx``, Dropbox ``registry (X's conflicted copy 2026-11-24).xlsx``, Syncthing
    ``registry.sync-conflict-20261124-101010-ABCDEFG.xlsx``, ownCloud and Nextcloud
    ``registry (conflicted copy 2026-11-24 101010).xlsx``, each in other words on a machine that speaks another
    language: so every name counts that holds the workbook's own. Copies that the tool set aside are none.
    """
    try:
        return sorted(path for path in workbook.parent.iterdir() if _looks_like(path.name, workbook))
    except OSError:
        return []


def old_workbooks(root: Path, workbook: Path) -> list[Path]:
    """Return the spreadsheets in ``root`` that the workbook may have been before its path was changed; opens nothing."""
    here = workbook.resolve()
    try:
        found = sorted(path for path in root.resolve().iterdir() if _is_spreadsheet(path.name))
    except OSError:
        return []
    return [path for path in found if path != here and path.is_file() and not path.is_symlink()]


def _is_spreadsheet(name: str) -> bool:
    lower = name.lower()
    return lower.endswith((".xlsx", ".xlsm")) and not lower.startswith((".", "~$")) and ".set-aside" not in lower


def _looks_like(name: str, workbook: Path) -> bool:
    return name != workbook.name and _is_spreadsheet(name) and workbook.stem.lower() in name.lower()
