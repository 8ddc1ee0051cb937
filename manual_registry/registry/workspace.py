"""What every command needs of an opened registry: the checked ledger, one writer at a time, the decided append.

Rules held here: an event is decided on the state at ``prev`` and decided again after a lost race; a governed command
works on the whole checked chain, never on the index. Locks, witnesses, recovery and views are left to :mod:`access`.
"""

from __future__ import annotations

import copy
import gc
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from manual_registry.adapters import config as configs
from manual_registry.adapters.ledger_files import LedgerFiles
from manual_registry.core.errors import (
    LostRace,
    PolicyDiffers,
    RegistryError,
    raise_for,
)
from manual_registry.core.events import RESTING_TYPES
from manual_registry.core.folding import apply
from manual_registry.core.ledger import Draft, Event, seal
from manual_registry.core.policy import Setting, differences
from manual_registry.core.state import State, VersionState
from manual_registry.core.times import stamp
from manual_registry.core.values import Email, email

if TYPE_CHECKING:
    from manual_registry.adapters.storage import LocalStorage
    from manual_registry.core.results import Result

#: How often a lost race is tried again, with a pause that grows to about a second.
ATTEMPTS = 40

Build = Callable[[State, str], Draft]
Review = Callable[[State, list[RegistryError]], list[RegistryError]]
Clock = Callable[[], datetime]


@dataclass(slots=True)
class Loaded:
    """The checked chain and its fold; a writer takes both further. ``written`` are this command's events."""

    events: list[Event]
    state: State
    written: list[Event] = field(default_factory=list)

    @property
    def head(self) -> tuple[int, str]:
        """The head as (seq, ``sha256:…``)."""
        return self.state.head_seq, self.state.head_hash or ""


def utc_now() -> datetime:
    """The default clock."""
    return datetime.now(UTC)


@contextmanager
def _no_collector() -> Iterator[None]:
    """Let Python not look for cycles: events have none, and looking through a million new values takes long."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


class Workspace:
    """One opened registry."""

    def __init__(
        self, root: Path, *, actor: str | None = None, clock: Clock = utc_now, environ: Mapping[str, str] | None = None
    ) -> None:
        """Open ``root``; reads registry.toml and nothing else. Raises :class:`FormatTooNew`."""
        self.root = root
        self.environ: Mapping[str, str] = os.environ if environ is None else environ
        self.config = configs.load(root)
        self.clock = clock
        self.ledger = LedgerFiles(root)
        self.passphrase: Callable[[str], str] | None = None
        self.warnings: list[str] = []
        #: Heads that somebody names and the ledger lost, as the last reading command found them.
        self.lost_heads: tuple[RegistryError, ...] = ()
        #: True while `sync` has its own plans for the workbook.
        self.hold_workbook = False
        self._trusted: tuple[tuple[int, str], str] | None = None
        self._actor = email(actor, where="--actor") if actor else None

    @property
    def actor(self) -> Email:
        """Who acts: as named, else as the machine knows."""
        if self._actor is None:
            from manual_registry.adapters.people import default_actor

            self._actor = default_actor(self.environ, Path.cwd())
        return self._actor

    @cached_property
    def storage(self) -> LocalStorage:
        """The files below the root."""
        from manual_registry.adapters.storage import LocalStorage

        return LocalStorage(self.root)

    @property
    def workbook_path(self) -> Path:
        """Where the tracking spreadsheet lies (``[workbook] path``, relative to the root)."""
        return self.root / self.config.workbook

    @property
    def quiet_seconds(self) -> float:
        """How long the workbook must have been quiet before it is written; 0 unless it lies in a synced folder."""
        if self.config.quiet_seconds is not None:
            return self.config.quiet_seconds
        from manual_registry.adapters import synced_folder

        path = self.workbook_path.resolve()
        inside = path.is_relative_to(self.root.resolve())
        return 0 if inside or not synced_folder.in_synced_folder(path.parent) else synced_folder.QUIET_SECONDS

    def at(self, root: Path) -> Workspace:
        """Return a workspace on ``root``, a copy of a part of this registry: files are looked at there as they are here."""
        other = copy.copy(self)
        other.root, other.ledger = root, LedgerFiles(root)
        other.__dict__.pop("storage", None)
        return other

    def now(self) -> str:
        """The clock, as a stamp."""
        return stamp(self.clock())

    def warn(self, *sentences: str | None) -> None:
        """Keep sentences for the user, each once."""
        self.warnings.extend(one for one in sentences if one and one not in self.warnings)

    # -- reading ------------------------------------------------------------------------------------------

    def load(self) -> Loaded:
        """Read and check the whole chain and fold it; raises the first integrity error.

        A roster, pipeline or policy that no lead signed is one (clause RP-14).
        """
        from manual_registry.core.trusted import trusted_fold

        with _no_collector():
            events = self.ledger.load()
            return Loaded(events=events, state=trusted_fold(events))

    def policy_differences(self, state: State) -> tuple[Setting, ...]:
        """Compare registry.toml with what the ledger has put in force (clause RP-14).

        One that cannot be taken differs as a whole; what is wrong with it stands in the place of its value.
        """
        wrong = self.config.wrong
        if wrong is not None:
            return (Setting(setting=configs.FILE, in_force=None, file=wrong.message, weaker=False),)
        return differences(governed(state), self.config.governed())

    def require_config(self) -> None:
        """Raise :class:`BadConfig` where registry.toml leaves open where the workbook lies: every writer refreshes it."""
        if self.config.unusable is not None:
            raise self.config.unusable

    def policy_refusals(self, state: State) -> list[RegistryError]:
        """Return the refusal of every promotion while registry.toml differs from the policy in force."""
        found = self.policy_differences(state)
        if not found:
            return []
        wrong = self.config.wrong
        if wrong is not None:
            told = f"{wrong.message}: registry.toml cannot be taken, and nothing is promoted until it is mended"
            return [PolicyDiffers(told, location=configs.FILE, clause="RP-14", hint="mreg policy show")]
        names = ", ".join(one.setting for one in found)
        return [
            PolicyDiffers(
                f"registry.toml differs from the policy in force ({names}); until a lead signs it nothing is promoted",
                clause="RP-14",
                hint="mreg policy sign --as EMAIL",
            )
        ]

    # -- writing ------------------------------------------------------------------------------------------

    def append(self, loaded: Loaded, build: Build, *, review: Review | None = None) -> Event:
        """Decide and write one event; ``build`` is called anew after each lost race.

        ``review`` adds to the reasons what only this machine can see (a policy file that differs). Raises them, or
        :class:`LostRace` when others were faster :data:`ATTEMPTS` times.
        """
        import random

        from manual_registry.core.decide import decide

        for attempt in range(ATTEMPTS):
            at = self.now()
            draft = build(loaded.state, at)
            model = str(draft.subject["model"]) if draft.type in RESTING_TYPES else None
            if model is not None:
                self.trust(loaded, model)
            event = seal(draft, seq=loaded.state.head_seq + 1, prev=loaded.state.head_hash, at=at, actor=self.actor)
            reasons = decide(loaded.state, event)
            raise_for(review(loaded.state, reasons) if review else reasons)
            if self._written(event):
                apply(loaded.state, event)
                loaded.events.append(event)
                loaded.written.append(event)
                if model is not None:
                    self._trusted = loaded.head, model  # it was decided just now
                return event
            time.sleep(random.uniform(0.01, min(1.0, 0.02 * 2**attempt)))  # noqa: S311 - jitter, no secret
            fresh = self.load()
            loaded.events, loaded.state = fresh.events, fresh.state
        raise LostRace(f"other writers were faster {ATTEMPTS} times; repeat the command")

    def _written(self, event: Event) -> bool:
        """Write ``event``; one that stands counts as written, whatever the disk said: others may build on it."""
        try:
            # A network file system may answer a repeated link with "exists", though the first one made it.
            return self.ledger.append(event) or self.ledger.holds(event)
        except RegistryError as problem:
            if not self.ledger.holds(event):
                raise
            self.warn(f"event {event.seq} stands, but may not outlast a power failure: {problem.message}")
            return True

    def trust(self, loaded: Loaded, model: str) -> None:
        """Decide again, once for each head, all that the ledger says of ``model``: before a person is asked for a key.

        Raises :class:`EventIllegal` and its like at the first event that was not allowed.
        """
        from manual_registry.core.trusted import refuse_forged

        if self._trusted != (loaded.head, model):
            refuse_forged(loaded.events, model)
            self._trusted = loaded.head, model

    def decided(self, loaded: Loaded, draft: Draft, *, review: Review | None = None) -> None:
        """Raise the reasons against ``draft`` as the next event, before anything costly is done for it."""
        from manual_registry.core.decide import decide

        if draft.type in RESTING_TYPES:
            self.trust(loaded, str(draft.subject["model"]))
        state, at = loaded.state, self.now()
        event = seal(draft, seq=state.head_seq + 1, prev=state.head_hash, at=at, actor=self.actor)
        reasons = decide(state, event)
        raise_for(review(state, reasons) if review else reasons)

    def remember(self, loaded: Loaded) -> None:
        """Keep the head in this machine's memory."""
        from manual_registry.adapters import memory

        seq, digest = loaded.head
        self.warn(memory.remember(loaded.state.registry_id, self.root, seq, digest))

    # -- results ------------------------------------------------------------------------------------------

    def result(
        self,
        command: str,
        loaded: Loaded,
        record: VersionState | None = None,
        *,
        id: str | None = None,
        next: str | None = None,
        waiting_for: tuple[str, ...] = (),
        notes: tuple[str, ...] = (),
    ) -> Result:
        """Compose the result of a writing command out of what it wrote."""
        from manual_registry.core.results import Result

        return Result(
            command=command,
            changed=bool(loaded.written),
            ledger=loaded.head,
            model=record.model if record else None,
            version=record.version if record else None,
            stage=record.stage if record else None,
            composite_id=record.composite_id if record else None,
            id=id,
            events=tuple(event.seq for event in loaded.written),
            waiting_for=waiting_for,
            warnings=tuple(self.warnings),
            next=next,
            notes=notes,
        )


def governed(state: State) -> dict[str, object]:
    """Return what is in force: system, risk, placed-on-market date, policy."""
    return {
        "system": state.system,
        "risk": state.risk.value,
        "placed_on_market": state.placed_on_market,
        "policy": dict(state.policy.document),
    }
