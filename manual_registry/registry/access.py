"""Reading and writing sessions on a workspace: what is checked before a command, what follows after it.

Rules held here: a writing command works under the write lock on the whole checked chain; a head that the ledger lacks
stops every writer and warns every reader (clause RP-13); half-made things of killed processes are finished or
discarded first (:mod:`recovery`), signatures from elsewhere are taken in (:mod:`inbox`); the views are brought up to
date last (:mod:`views`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from manual_registry.core.decide import clock_warning
from manual_registry.core.errors import raise_for
from manual_registry.registry import inbox, recovery, views, witnesses
from manual_registry.registry.root_files import links
from manual_registry.registry.workspace import Loaded, Workspace


def read(work: Workspace) -> Loaded:
    """Load for a reading command: what would stop a writer is a warning here."""
    loaded = work.load()
    work.lost_heads = tuple(witnesses.unknown_heads(work, loaded))
    work.warn(*(problem.message for problem in work.lost_heads))
    wrong = work.config.wrong
    if wrong is not None:
        work.warn(f"registry.toml cannot be taken: {wrong.message}; the policy in the ledger counts until it is mended")
    elif work.policy_differences(loaded.state):
        work.warn("registry.toml differs from the policy in force; a lead signs it with: mreg policy sign --as EMAIL")
    return loaded


@contextmanager
def writing(work: Workspace) -> Iterator[Loaded]:
    """Hold the write lock over the checked chain; at the end the views follow, also after a refusal half-way."""
    from manual_registry.adapters.locks import WriteLock

    work.require_config()
    raise_for(links(work.root))
    with WriteLock(work.root):
        loaded = work.load()
        raise_for(witnesses.unknown_heads(work, loaded))
        work.warn(clock_warning(loaded.state, work.now()))
        recovery.recover(work, loaded)
        done = False
        try:
            inbox.take(work, loaded)
            yield loaded
            done = True
        finally:
            # A command that changes nothing catches up after one that was killed; a refused one touches nothing.
            if loaded.written or (done and views.behind(work, loaded)):
                views.publish(work, loaded)


def writable(work: Workspace) -> Loaded:
    """Return the ledger as a writing command meets it, for one that works for long and writes an event at its end.

    What would refuse that event is found before the work: the write lock is free again when this returns.
    """
    from manual_registry.adapters.files import require_writable

    with writing(work) as loaded:
        require_writable(work.root / "ledger")
        _ = work.actor  # asked for now, not when all has been done
        return loaded
