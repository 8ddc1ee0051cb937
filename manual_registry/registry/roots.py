"""Where a registry is: its root directory, found from what a person named or from where they stand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from manual_registry.core.errors import NoRegistry, UsageError
from manual_registry.core.values import is_address

#: The file that makes a directory a registry (adapters/config.py reads it).
CONFIG: Final = "registry.toml"


def find_root(path: Path | None, environ: Mapping[str, str]) -> Path:
    """Return the registry root: ``path``, else ``$MANUAL_REGISTRY``, else the nearest parent with a registry.toml."""
    named = path or (Path(environ["MANUAL_REGISTRY"]) if environ.get("MANUAL_REGISTRY") else None)
    if named is not None and is_address(str(named)):
        raise UsageError(
            f"{named}: a registry lies in a directory of this machine; storage behind an address is not known yet",
            location=str(named),
            hint="mreg --registry DIR status",
        )
    if named is not None:
        if not (named / CONFIG).is_file():
            raise NoRegistry(
                f"{named} is not a registry: it has no {CONFIG}", location=str(named), hint=f"mreg init {named}"
            )
        return named.resolve()
    here = Path.cwd()
    for candidate in (here, *here.parents):
        if (candidate / CONFIG).is_file():
            return candidate
    raise NoRegistry(
        f"no registry here: neither {here} nor a folder above it has a {CONFIG}",
        hint="mreg init --risk minimal",
    )
