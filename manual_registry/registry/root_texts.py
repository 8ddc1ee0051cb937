"""What README.txt, FORMAT.md and .gitattributes in the root say: written by `init`, compared by `verify` (RP-15)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from manual_registry.core import closing

if TYPE_CHECKING:
    from manual_registry.core.ledger import Event
    from manual_registry.core.records import Closed


def root_texts(genesis: Event, closed: Closed | None = None) -> dict[str, str]:
    """Return what README.txt, FORMAT.md and .gitattributes say in the registry that ``genesis`` began."""
    from manual_registry.adapters.templates import render

    facts = {
        "system": genesis.data["system"],
        "risk": genesis.data["risk"],
        "registry_id": genesis.hash.removeprefix("sha256:")[:32],
        "created": genesis.at[:10],
        "closed": {**(closing.document(closed) or {}), "text": closing.closed_text(closed)} if closed else None,
    }
    return {
        "README.txt": render("README.txt.j2", **facts),
        "FORMAT.md": render("FORMAT.md.j2", **facts),
        ".gitattributes": "* -text\n",
    }
