"""`policy restore`: registry.toml written anew, from the ledger, in a registry that lost it.

Rules held here: what a lead has signed stands in the ledger, so nothing is asked and nothing can be weakened by it; a
registry.toml that is there is never touched. Where the workbook lay is nowhere but in that file: it is told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from manual_registry.adapters import config as configs
from manual_registry.adapters.files import put_if_absent
from manual_registry.adapters.ledger_files import LedgerFiles
from manual_registry.core.errors import NameTaken
from manual_registry.core.trusted import trusted_fold

if TYPE_CHECKING:
    from pathlib import Path


def restore(root: Path) -> str:
    """Write ``root``/registry.toml as the ledger has put it in force; return what is to be told of it.

    Raises :class:`NameTaken` when it is there, and what reading and checking the ledger raises.
    """
    path = root / configs.FILE
    told = NameTaken(f"{path} is there; it is not written over", location=configs.FILE, hint="mreg policy show")
    if path.exists() or path.is_symlink():
        raise told
    state = trusted_fold(LedgerFiles(root).load())
    text = configs.render(
        system=state.system,
        risk=state.risk,
        placed_on_market=state.placed_on_market,
        policy=state.policy.document,
    )
    if not put_if_absent(path, text.encode("utf-8"), mode=0o644):
        raise told
    return (
        "where the workbook lies no event says: if it was not registry.xlsx in this folder, set [workbook] path there"
    )
