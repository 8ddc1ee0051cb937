"""`drill`: archived versions are had back to a temporary place and checked there, as proof that they can be (RP-23).

1. Which ones: all that are archived, or those whose turn it is (:mod:`manual_registry.core.drills`).
2. Each is copied as `fetch` copies, hashed on the way and read back, with the copies of its approvals.
3. What came is looked at as `verify` looks at it: bag, tag files, both hashes of every file, evidence, record; and each
   copy of an approval with its signature.
4. The outcome is kept in the ledger, whatever it is.

Rules held here: nothing of the registry is written but the event at the end, and nothing at all is recorded when the place
for the copies fails. The write lock is not held meanwhile: a version that was moved on in between is tried again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from manual_registry.core import drills
from manual_registry.core import events as kinds
from manual_registry.core.errors import RegistryError, UsageError
from manual_registry.core.ledger import Draft
from manual_registry.registry.access import read, writable, writing
from manual_registry.registry.drilled import Drilling
from manual_registry.registry.retrieving import Bar, Trial, size

if TYPE_CHECKING:
    from manual_registry.ports import Progress
    from manual_registry.registry.workspace import Workspace


def drill(work: Workspace, *, sample: int | None, progress: Progress | None) -> Drilling:
    """Have archived versions back, check them, and keep the outcome; see :meth:`manual_registry.Registry.drill`."""
    from manual_registry.adapters import temporary

    if sample is not None and sample < 1:
        raise UsageError(f"a sample is of one version or more, not of {sample}")
    loaded = read(work)
    if drills.archived(loaded.state):
        loaded = writable(work)
    through, seed = loaded.head
    turn = drills.chosen(loaded.state, through=through, seed=seed, sample=sample)
    if not turn:
        return Drilling(head=loaded.head, archived=0, sample=sample, warnings=tuple(work.warnings))
    there = len(drills.archived(loaded.state, through))
    done = Drilling(head=loaded.head, archived=there, sample=sample, through=through, seed=seed)
    sizes = [size(one) for one in turn]
    with temporary.room_told(), temporary.outside(work.root, max(sizes), work.environ) as place:
        bar = Bar(progress, 2 * sum(sizes))
        for record in turn:
            done.outcomes.append(Trial(work, loaded, record, place, bar).outcome())
    _keep(work, done)
    done.warnings = tuple(work.warnings)
    return done


def _keep(work: Workspace, done: Drilling) -> None:
    """Record; a ledger that cannot take it is told beside what was found, which is not lost by that."""
    data = {
        "through": done.through,
        "seed": done.seed,
        "sample": done.sample,
        "archived": done.archived,
        "ok": done.ok,
        "versions": [one.document(drills.LISTED) for one in done.outcomes],
    }
    try:
        with writing(work) as loaded:
            done.event = work.append(loaded, lambda _state, _at: Draft(type=kinds.DRILLED, subject={}, data=data)).seq
            done.head = loaded.head
    except RegistryError as problem:
        done.unrecorded = problem
