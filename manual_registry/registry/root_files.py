"""The root itself: directories and files of ours that are links, and explanations that somebody changed (RP-1, RP-15).

Rules held here: what a link points to lies outside of the registry, where nobody looks when something changes; a writer
that followed one would write there. So each is a finding, and no writer begins.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from manual_registry.core import allowed_signers
from manual_registry.core.audit import finding
from manual_registry.core.closing import closed_text
from manual_registry.core.errors import RegistryError, StorageUnexpected
from manual_registry.core.results import Finding, Severity
from manual_registry.registry.root_texts import root_texts

if TYPE_CHECKING:
    from pathlib import Path

    from manual_registry.registry.workspace import Loaded, Workspace

#: What must be there itself, below the root.
OURS: Final = (
    "ledger", "models", "models/.incoming", "archive", "approvals", "approvals/.inbox", "approvals/.control",
    allowed_signers.FILE_NAME,
)  # fmt: skip
#: The finding that an explanation in the root is not as it was rendered, or gone.
EXPLANATION: Final = "MR-F007"


def links(root: Path) -> list[RegistryError]:
    """Return a problem for each of our names that is a symbolic link."""
    return [
        StorageUnexpected(
            f"{name}: a symbolic link in the registry is not followed; put the files themselves there",
            location=name,
            clause="RP-1",
            hint="mreg verify",
        )
        for name in OURS
        if (root / name).is_symlink()
    ]


def audit_root(work: Workspace, loaded: Loaded) -> list[Finding]:
    """Tell links, and which of README.txt, FORMAT.md and .gitattributes are not what this tool renders for the registry."""
    begun = bool(loaded.events) and loaded.events[0].seq == 1
    return [*(finding(problem) for problem in links(work.root)), *(_explanations(work, loaded) if begun else ())]


def _explanations(work: Workspace, loaded: Loaded) -> list[Finding]:
    found = []
    for name, text in root_texts(loaded.events[0], loaded.state.closed).items():
        try:
            standing = (work.root / name).read_bytes()
        except OSError:
            found.append(_told(name, "is missing; whoever inherits the folder needs it", Severity.WARNING))
            continue
        if standing != text.encode():
            why = "is not what this tool renders: another version of it wrote the file, or somebody changed it"
            found.append(_told(name, why, Severity.INFO))
    return found


def _told(name: str, why: str, severity: Severity) -> Finding:
    return Finding(code=EXPLANATION, severity=severity, location=name, message=f"{name} {why}", clause="RP-15")


# -- the end of a register --------------------------------------------------------------------------------

README: Final = "README.txt"


def tell_closed(work: Workspace, loaded: Loaded) -> None:
    """Let README.txt say that the register is closed and where it goes on; what somebody wrote there is set aside."""
    closed = loaded.state.closed
    if closed is None:
        return
    from manual_registry.adapters.files import put_if_absent, write_atomic

    path, genesis = work.root / README, loaded.events[0]
    found = path.read_bytes() if path.is_file() else None
    if found is not None and closed_text(closed).encode() in found:
        return  # said there; whether the rest is as it was rendered is told by `verify`
    rendered = [root_texts(genesis, one)[README].encode() for one in (None, replace(closed, doubted_since=None))]
    if found is not None and found not in rendered:
        aside = path.with_name(f"README.{closed.seq}.set-aside.txt")
        put_if_absent(aside, found)
        work.warn(f"{README} was not as this tool renders it; it was kept as {aside.name} and rendered anew")
    write_atomic(path, root_texts(genesis, closed)[README].encode())
