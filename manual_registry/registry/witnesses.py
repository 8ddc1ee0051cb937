"""Who else knows the ledger's head: this machine's memory, the workbook, signed statements under approvals/.

A chain alone misses a ledger that was cut off or chained anew (clause RP-13); a witness that names a head which the
ledger does not contain stops every writer. A statement is one with a good signature by a key that the ledger enrolled:
anybody can lay a file into approvals/, and `verify` tells that one as MR-S003.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from manual_registry.adapters import memory
from manual_registry.core.errors import HeadUnknown, RegistryError, WorkbookUnreadable
from manual_registry.core.ledger import file_name
from manual_registry.core.sshsig import verify
from manual_registry.core.statements import (
    APPROVAL,
    APPROVAL_NAMESPACE,
    CONTROL,
    CONTROL_NAMESPACE,
    PROMOTION,
    PROMOTION_NAMESPACE,
    read_statement,
)

if TYPE_CHECKING:
    from manual_registry.registry.workspace import Loaded, Workspace


#: The namespace in which each kind of statement is signed.
_NAMESPACES = {APPROVAL: APPROVAL_NAMESPACE, CONTROL: CONTROL_NAMESPACE, PROMOTION: PROMOTION_NAMESPACE}


@dataclass(frozen=True, kw_only=True, slots=True)
class Witness:
    """A head that somebody outside the ledger names.

    ``foreign`` is the id of another registry, whose workbook it is; then ``place`` is that workbook.
    """

    source: str
    seq: int
    hash: str
    place: str | None = None
    foreign: str | None = None


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
        foreign = found.registry_id if found.registry_id != loaded.state.registry_id else None
        source, place = f"the workbook {work.config.workbook}", work.config.workbook if foreign else None
        yield Witness(source=source, seq=found.head_seq, hash=found.head_hash, place=place, foreign=foreign)


def statement_files(root: Path) -> list[Path]:
    """Return the statement copies under approvals/ (not the inbox, not signatures)."""
    folder = root / "approvals"
    return sorted(
        path for path in folder.rglob("*.json") if path.relative_to(folder).parts[0] != ".inbox" and path.is_file()
    )


def _statements(work: Workspace, loaded: Loaded) -> Iterator[Witness]:
    named = list(_named(work, loaded))
    if named:
        first = min(named, key=lambda one: one.seq)
        more = f" (and {len(named) - 1} later ones)" if len(named) > 1 else ""
        yield Witness(source=f"{first.source}{more}", seq=first.seq, hash=first.hash)


def _named(work: Workspace, loaded: Loaded) -> Iterator[Witness]:
    """Yield the signed statements that name a head which the ledger does not contain."""
    for path in statement_files(work.root):
        try:
            text = path.read_bytes().decode("utf-8")
        except (OSError, UnicodeDecodeError):
            continue
        found = read_statement(text)
        said = found["predicate"] if found else {}
        ledger, registry = said.get("ledger"), said.get("registry")
        ours = isinstance(registry, dict) and registry.get("id") == loaded.state.registry_id
        if ours and isinstance(ledger, dict) and type(ledger.get("seq")) is int and isinstance(ledger.get("hash"), str):
            lost = loaded.state.hashes.get(ledger["seq"]) != ledger["hash"]
            if lost and _is_signed(loaded, path, text, str(found.get("predicateType") if found else "")):
                source = f"the signed statement {path.relative_to(work.root).as_posix()}"
                yield Witness(source=source, seq=ledger["seq"], hash=ledger["hash"])


def _is_signed(loaded: Loaded, path: Path, text: str, kind: str) -> bool:
    """Tell whether the signature beside a statement is good, and by a key that was enrolled here, ever."""
    try:
        armour = path.with_name(f"{path.name}.sig").read_bytes().decode("ascii")
        key = verify(text.encode("utf-8"), armour, namespace=_NAMESPACES.get(kind, ""))
    except (OSError, UnicodeDecodeError, RegistryError):
        return False
    return key.line() in loaded.state.keys


def unknown_heads(work: Workspace, loaded: Loaded) -> list[HeadUnknown]:
    """Return a problem for each witness whose head the chain lacks."""
    return [
        _foreign(witness, loaded)
        if witness.foreign is not None
        else HeadUnknown(
            f"{witness.source} names event {witness.seq} ({witness.hash[:19]}…), which this ledger does not contain:"
            f" events were removed or written anew (the ledger ends at {loaded.state.head_seq})",
            location=witness.place or f"ledger/{file_name(witness.seq)}",
            clause="RP-13",
            hint="mreg verify",
        )
        for witness in witnesses(work, loaded)
        if witness.foreign is not None or loaded.state.hashes.get(witness.seq) != witness.hash
    ]


def _foreign(witness: Witness, loaded: Loaded) -> HeadUnknown:
    """Say whose workbook it is: it was put here by mistake, or it is this one and the whole ledger was exchanged."""
    return HeadUnknown(
        f"{witness.source} belongs to another registry ({witness.foreign}); this one is {loaded.state.registry_id}: move"
        " that workbook away, or, where it is the right one, put its ledger back",
        location=witness.place,
        clause="RP-13",
        hint="mreg verify",
    )
