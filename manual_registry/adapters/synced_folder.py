"""Folders that a program keeps equal with other machines: is this one, and has a file in it come to rest?

Rule held here: nothing but names and time stamps is looked at. OneDrive, SharePoint, Dropbox, Google Drive, iCloud, Box,
Nextcloud, ownCloud, Syncthing, Seafile and Resilio are known by the names of their folders or the marks in them; of any
other a person says it (``[workbook] quiet_seconds``).
"""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Final

#: How long a file in a synced folder must have been quiet, where registry.toml does not say.
QUIET_SECONDS: Final = 30

_NAMES: Final = re.compile(
    r"(one ?drive|sharepoint|dropbox|google ?drive|my drive|icloud|mobile documents|cloudstorage|box( sync)?|nextcloud|owncloud|seafile|syncthing)(\W.*)?",
    re.IGNORECASE,
)
_MARKS: Final = (".stfolder", ".dropbox.cache", ".owncloudsync.log", ".sync", ".tmp.driveupload")


def in_synced_folder(directory: Path) -> bool:
    """Tell whether ``directory`` or one above it is known to be kept equal with other machines."""
    here = directory.resolve()
    return any(_NAMES.fullmatch(one.name) or any((one / mark).exists() for mark in _MARKS) for one in (here, *here.parents))


def seconds_since_change(path: Path) -> float | None:
    """Return how long ago the file was written or put there; None: there is none, or the clock cannot tell."""
    try:
        facts = path.stat()
    except OSError:
        return None
    passed = time.time() - max(facts.st_mtime, facts.st_ctime)
    return passed if passed >= 0 else None
