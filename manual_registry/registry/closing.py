"""`close`: the end of a register, which goes on elsewhere (clause RP-22).

Whether it may be closed, and what a closed one still takes, is decided in :mod:`manual_registry.core.decide.closing`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from manual_registry.core import closing
from manual_registry.core.references import without_credentials
from manual_registry.core.values import free_text, line_text
from manual_registry.registry import views
from manual_registry.registry.access import read, writing
from manual_registry.registry.asking import change, unchanged

if TYPE_CHECKING:
    from manual_registry.core.results import Result
    from manual_registry.registry.workspace import Workspace


def close(work: Workspace, *, successor: str, reason: str, as_: str | None, key: Path | None) -> Result:
    """Close the register; see :meth:`manual_registry.Registry.close`."""
    place, text = _plain(work, successor), free_text(reason, where="reason")
    loaded = work.load()
    state, standing = loaded.state, loaded.state.closed
    if standing is not None and (standing.successor, standing.reason) == (place, text):
        if views.behind(work, loaded):  # a killed command: README.txt and workbook are to say it, too
            with writing(work):
                pass
        return unchanged(work, "close", "registry")
    if standing is None:
        work.warn(*closing.consequences(state, place))
    return change(
        work,
        "close",
        action=closing.ACTION,
        subject={},
        data={"successor": place, "reason": text},
        as_=as_,
        key=key,
        id="registry",
        next="mreg anchor",
    )


def _plain(work: Workspace, successor: str) -> str:
    """Return the address as it is kept and shown to everybody: one line, no credentials."""
    place = line_text(successor.strip(), where="successor")
    plain = without_credentials(place)
    if plain != place:
        work.warn(f"user, password, query and fragment of --successor are left out: {plain}")
    return plain


def close_facts(work: Workspace, successor: str) -> dict[str, Any]:
    """Return what a lead reads before closing: how many versions of which stage, and what it means for what is open."""
    state, place = read(work).state, _plain(work, successor)
    stages: dict[str, int] = {}
    for record in state.versions.values():
        stages[record.stage] = stages.get(record.stage, 0) + 1
    return {
        "successor": place,
        "versions": stages,
        "closed": closing.document(state.closed),
        "remarks": closing.consequences(state, place),
    }
