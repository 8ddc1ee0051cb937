"""Where a registry is: its root directory, found from what a person named or from where they stand."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from manual_registry.core.errors import NoRegistry, UsageError

#: The file that makes a directory a registry (adapters/config.py reads it).
CONFIG: Final = "registry.toml"
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")


def find_root(path: Path | None, environ: Mapping[str, str]) -> Path:
    """Return the registry root: ``path``, else ``$MANUAL_REGISTRY``, else the nearest parent with a registry.toml."""
    named = path or (Path(environ["MANUAL_REGISTRY"]) if environ.get("MANUAL_REGISTRY") else None)
    if named is not None:
        refuse_address(named, hint="mreg --registry DIR status")
        if not (named / CONFIG).is_file():
            if has_ledger(named):
                raise _without_settings(named, hint=f"mreg --registry {shlex.quote(str(named))} policy restore")
            raise NoRegistry(
                f"{named} is not a registry: it has no {CONFIG}", location=str(named), hint=f"mreg init {named}"
            )
        return named.resolve()
    here = Path.cwd()
    for candidate in (here, *here.parents):
        if (candidate / CONFIG).is_file():
            return candidate
    for candidate in (here, *here.parents):
        if has_ledger(candidate):
            raise _without_settings(candidate, hint="mreg policy restore")
    raise NoRegistry(
        f"no registry here: neither {here} nor a folder above it has a {CONFIG}",
        hint="mreg init --risk minimal",
    )


def has_ledger(folder: Path) -> bool:
    """Tell whether the ledger of a registry lies in ``folder``; one event alone is what an `init` that was killed left."""
    return (folder / "ledger" / "000000000002.json").is_file()


def _without_settings(folder: Path, *, hint: str) -> NoRegistry:
    told = f"{folder} has a ledger, but its {CONFIG} is gone; nothing else is lost by that, and it can be written anew"
    return NoRegistry(told, location=str(folder), hint=hint)


def find_ledger(path: Path | None, environ: Mapping[str, str]) -> Path:
    """Return the root of a registry whose registry.toml may be gone; raises :class:`NoRegistry` where no ledger lies."""
    try:
        return find_root(path, environ)
    except NoRegistry as problem:
        if problem.location is None or not has_ledger(Path(problem.location)):
            raise
        return Path(problem.location).resolve()


def is_address(text: str) -> bool:
    """Tell whether ``text`` is an address (``s3://bucket/prefix``), also one that was taken for a path (``s3:/bucket``)."""
    return _ADDRESS.match(text) is not None


def refuse_address(path: Path, *, hint: str) -> None:
    """Raise :class:`UsageError` for an address in the place of a directory."""
    if is_address(str(path)):
        raise UsageError(
            f"{path}: a registry lies in a directory of this machine; storage behind an address is not known yet",
            location=str(path),
            hint=hint,
        )
