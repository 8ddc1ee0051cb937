"""Who else knows the ledger's head: this machine's memory, the workbook, signed statements under approvals/.

A chain alone misses a ledger that was cut off or chained anew (clause RP-13); a witness that names a head which the
ledger does not contain stops every writer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from manual_registry.adapters import memory
from manual_registry.core.errors import HeadUnknown, WorkbookUnreadable
from manual_registry.core.ledger import file_name
from manual_registry.core.statements import read_statement

if TYPE_CHECKING:
    from manual_registry.registry.workspace import Loaded, Workspace


@dataclass(frozen=True, kw_only=True, slots=True)
class Witness:
    """A head that somebody outside the ledger names; ``place`` is what to look at, where it is not that event."""

    source: str
    seq: int
    hash: str
    place: str | None = None


def witnesses(work: Workspace, loaded: Loaded) -> Iterator[Witness]:
    """Yield every witness that can be found from here; of the signed statements the first that names a lost head."""
    known = memory.recall(loaded.state.registry_id, work.root)
    if known is not None:
        yield Witness(source="this machine's memory", seq=known[0], hash=known[1])
    yield from _workbook(work, loaded)
    yield from _statements(work, loaded)


def _workbook(work: Workspace, loaded: Loaded) -> Iterator[Witness]:
    from manual_registry.adapters.workbook import OpenpyxlWorkbook

    try:
        found = OpenpyxlWorkbook().inspect(work.workbook_path)
    except WorkbookUnreadable:
        return  # `verify` tells it, and the next refresh sets the file aside
    if found.registry_id is not None and found.head_seq is not None and found.head_hash is not None:
        foreign = found.registry_id != loaded.state.registry_id
        whose = f" (of another registry, {found.registry_id})" if foreign else ""
        source, place = f"the workbook {work.config.workbook}{whose}", work.config.workbook if foreign else None
        yield Witness(source=source, seq=found.head_seq, hash=found.head_hash, place=place)


def statement_files(root: Path) -> list[Path]:
    """Return the statement copies under approvals/ (not the inbox, not signatures)."""
    folder = root / "approvals"
    return sorted(
        path for path in folder.rglob("*.json") if path.relative_to(folder).parts[0] != ".inbox" and path.is_file()
    )


def _statements(work: Workspace, loaded: Loaded) -> Iterator[Witness]:
    named = [one for one in _named(work, loaded) if loaded.state.hashes.get(one.seq) != one.hash]
    if named:
        first = min(named, key=lambda one: one.seq)
        more = f" (and {len(named) - 1} later ones)" if len(named) > 1 else ""
        yield Witness(source=f"{first.source}{more}", seq=first.seq, hash=first.hash)


def _named(work: Workspace, loaded: Loaded) -> Iterator[Witness]:
    for path in statement_files(work.root):
        try:
            found = read_statement(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError):
            continue
        said = found["predicate"] if found else {}
        ledger, registry = said.get("ledger"), said.get("registry")
        ours = isinstance(registry, dict) and registry.get("id") == loaded.state.registry_id
        if ours and isinstance(ledger, dict) and type(ledger.get("seq")) is int and isinstance(ledger.get("hash"), str):
            source = f"the signed statement {path.relative_to(work.root).as_posix()}"
            yield Witness(source=source, seq=ledger["seq"], hash=ledger["hash"])


def unknown_heads(work: Workspace, loaded: Loaded) -> list[HeadUnknown]:
    """Return a problem for each witness whose head the chain lacks."""
    return [
        HeadUnknown(
            f"{witness.source} names event {witness.seq} ({witness.hash[:19]}…), which this ledger does not contain:"
            f" events were removed or written anew (the ledger ends at {loaded.state.head_seq})",
            location=witness.place or f"ledger/{file_name(witness.seq)}",
            clause="RP-13",
            hint="mreg verify",
        )
        for witness in witnesses(work, loaded)
        if witness.place is not None or loaded.state.hashes.get(witness.seq) != witness.hash
    ]
