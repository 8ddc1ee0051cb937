"""DVC's cache, asked one question: does a directory, named by its hash, lack a file?

Rules held here: only a listing whose own hash is right counts, and a cache that is not there says nothing.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path


def listing_lacks(repository: Path, md5: str, inner: str) -> bool:
    """Tell whether the listing of the directory ``md5`` is here and has nothing at ``inner``.

    ``inner`` is relative to the directory; ``.`` is the directory itself. ``repository`` is the top of the
    work tree.
    """
    if inner == "." or not md5.endswith(".dir"):
        return False
    names = _listing(repository / ".dvc" / "cache", md5)
    return names is not None and not any(name == inner or name.startswith(inner + "/") for name in names)


def _listing(cache: Path, md5: str) -> list[str] | None:
    inner = Path(md5[:2]) / md5[2:]
    for place in (cache / "files" / "md5" / inner, cache / inner):
        try:
            data = place.read_bytes()
        except OSError:
            continue
        if hashlib.md5(data, usedforsecurity=False).hexdigest() == md5.removesuffix(".dir"):
            return [str(item["relpath"]) for item in json.loads(data)]
    return None
