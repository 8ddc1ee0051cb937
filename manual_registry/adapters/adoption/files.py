"""Finds and hashes the files that a spreadsheet names; nothing is copied, nothing outside is read.

Rules held here: a location is looked for below the ``--storage`` directory and the spreadsheet's own folder, and
nowhere else, since a sheet may name any file of whoever runs the command; links that lead out are not followed, and
hidden names (`.ssh`) and the system's own directories not read. A path of another machine is found again by its last
names. A file is taken silently only when it lies where the sheet says; what was found elsewhere is told, and what could
be one of several is asked. A bare name behind ``..`` may be anything: it is looked for below the sheet's folder alone. A
private key is never what was meant (``adapters/confined``).
"""

from __future__ import annotations

import json
import os
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from manual_registry.adapters.confined import private_key_in
from manual_registry.core.adoption.locations import Location
from manual_registry.core.manifest import printable

#: So many names are indexed below one directory; beyond, moved files are not looked for.
_MOST_NAMES: Final = 500_000
_MOST_CANDIDATES: Final = 8
#: A registry's own directories; what was copied into them is no second place of a file.
_REGISTRY: Final = frozenset({"models", "archive", "ledger", "approvals", "adopted"})
#: Directories of Linux, macOS and Windows in which no team keeps models; a team's own place below one can be named.
_SYSTEM: Final = tuple(
    Path(os.path.realpath(name))
    for name in (
        *("/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/proc", "/run/lock", "/run/user", "/sbin"),
        *("/sys", "/usr", "/var/lib", "/var/log", "/System", "/Library", "/Applications"),
        *("C:/Windows", "C:/Program Files", "C:/Program Files (x86)", "C:/ProgramData"),
    )
    if Path(name).is_absolute()
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Hit:
    """Where a stated location leads: ``path``, the real one, and ``how`` it was found.

    Or ``problem`` (missing, outside) with the reason.
    """

    path: Path | None = None
    how: str = ""
    problem: str = ""
    message: str = ""
    candidates: tuple[Path, ...] = ()


@dataclass(kw_only=True, slots=True)
class Place:
    """A directory below which files are looked for, with an index of the names in it, made when first needed."""

    path: Path
    label: str
    names: dict[str, list[tuple[str, ...]]] | None = None
    cut: bool = field(default=False)

    def index(self) -> dict[str, list[tuple[str, ...]]]:
        """Return last name (case folded) -> paths, each as its names from here; links are not followed."""
        if self.names is None:
            self.names = {}
            count = 0
            for directory, directories, files in os.walk(self.path, followlinks=False):
                ours = _REGISTRY if "registry.toml" in files and "ledger" in directories else ()
                directories[:] = [
                    name
                    for name in directories
                    if not name.startswith(".") and name not in ours and Path(directory, name) not in _SYSTEM
                ]
                inner = Path(directory).relative_to(self.path).parts
                for name in (*directories, *files):
                    self.names.setdefault(folded(name), []).append((*inner, name))
                count += len(directories) + len(files)
                if count > _MOST_NAMES:
                    self.cut = True
                    break
        return self.names


class Finder:
    """Looks for stated locations below ``places``."""

    def __init__(self, places: Iterable[tuple[Path, str]]) -> None:
        """``places`` are (directory, how it is called in messages), the first before the others, the sheet's last."""
        self.places: list[Place] = []
        for path, label in places:
            real = Path(os.path.realpath(path))
            if all(real != place.path for place in self.places):
                self.places.append(Place(path=real, label=label))

    def find(self, location: Location) -> Hit:
        """Look for one location."""
        direct = self._direct(location)
        if direct.path is not None:
            return direct
        found = self._elsewhere(location)
        return found if found.path is not None or found.candidates or not direct.problem else direct

    def _direct(self, location: Location) -> Hit:
        """Look exactly where the sheet says."""
        tried: list[tuple[Path, Place]] = []
        for place in self.places:
            if not location.absolute:
                tried.append((place.path.joinpath(*location.parts), place))
            elif location.system == "posix":
                tried.append((Path("/", *location.parts), place))
        problem = Hit(problem="missing", message="there is no such file")
        for path, place in tried:
            inside = _inside(path, place.path)
            if inside is None:
                if problem.problem == "missing":
                    message = f"outside {self._labels()}, hidden or the system's; it is not read (name its directory with --storage)"
                    problem = Hit(problem="outside", message=message)
                continue
            if is_there(inside):
                return Hit(path=inside, how="as stated")
            problem = Hit(problem="missing", message="there is no such file")
        return problem

    def _labels(self) -> str:
        return " and ".join(place.label for place in self.places)

    def _elsewhere(self, location: Location) -> Hit:
        """Look for the longest end of the stated path, without regard to letter case."""
        parts = tuple(part for part in location.parts if part != "..")
        if not parts:
            return Hit(problem="missing", message="no path")
        best: list[tuple[int, int, Path, Place]] = []
        bare = len(parts) == 1 and len(location.parts) > 1
        for place in self.places[-1:] if bare else self.places:
            for names in place.index().get(folded(parts[-1]), ()):
                common = _common(parts, names)
                inside = _inside(place.path.joinpath(*names), place.path)
                if inside is not None and is_there(inside) and not (inside.is_file() and private_key_in(inside)):
                    best.append((common, len(names), inside, place))
        if not best:
            return Hit()
        longest = max(common for common, *_ in best)
        hits = {path: (depth, place) for common, depth, path, place in best if common == longest}
        path, (depth, place) = next(iter(hits.items()))
        # A path that parts from the stated one before either of them ends may be another model's file.
        if len(hits) == 1 and longest in (depth, len(parts)):
            return Hit(path=path, how=f"at {printable(str(path.relative_to(place.path)))} in {place.label}")
        return Hit(problem="missing", message="not there", candidates=tuple(sorted(hits)[:_MOST_CANDIDATES]))


def artefact_within(path: Path) -> Path:
    """Return the model itself where ``path`` is a version directory, or a bag, of a registry; else ``path``."""
    for version in (path, path / "data"):
        record, artefact = version / "record.json", version / "artefact"
        if path.is_dir() and record.is_file() and artefact.is_dir() and not artefact.is_symlink():
            try:
                found = json.loads(record.read_bytes())["registration"]["artefact"]
                return artefact / found["name"] if found["kind"] == "file" and _plain(found["name"]) else artefact
            except (OSError, ValueError, KeyError, TypeError, RecursionError):
                return path
    return path


def _plain(name: object) -> bool:
    return isinstance(name, str) and name not in ("", ".", "..") and "/" not in name and "\0" not in name


def folded(name: str) -> str:
    """Return a name as it is compared: without regard to letter case and to how accents are composed."""
    return unicodedata.normalize("NFC", name).casefold()


def is_there(path: Path) -> bool:
    """Tell whether something can be seen at ``path``; what the system refuses to look at counts as there."""
    try:
        path.stat()
    except PermissionError:
        return True
    except (OSError, ValueError):
        return False
    return True


def _inside(path: Path, base: Path) -> Path | None:
    """Return the real path when it lies below ``base``.

    None when it, or a link on the way, leads out, is hidden or is the system's own (``base`` may lie in there).
    """
    try:
        real = Path(os.path.realpath(path))
        below = real.relative_to(base)
    except (OSError, ValueError):
        return None
    systems = (one for one in _SYSTEM if not base.is_relative_to(one))
    hidden = any(name.startswith(".") for name in below.parts)
    return None if hidden or any(real.is_relative_to(one) for one in systems) else real


def is_whole_machine(path: Path) -> bool:
    """Tell whether ``path`` is the top of a drive, or a directory of the system's own: nothing to look for models in."""
    real = Path(os.path.realpath(path))
    return real == Path(real.anchor) or real in _SYSTEM


def _common(parts: tuple[str, ...], names: tuple[str, ...]) -> int:
    count = 0
    for one, other in zip(reversed(parts), reversed(names), strict=False):
        if folded(one) != folded(other):
            break
        count += 1
    return count
