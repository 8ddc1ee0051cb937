"""The ledger on a file system: one read-only file per event, created put-if-absent (design 3.1, clause RP-13).

Rules held here: an event file is never rewritten; a number that is taken is a lost race; two files that claim one
number are a fork and stop every writer. What the events mean is left to the core.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from manual_registry.core.errors import EventDoubled, EventMissing, EventUnreadable, LedgerEmpty, RegistryError
from manual_registry.core.ledger import LARGEST, Event, chain, file_name, parse_event

_NAME = re.compile(r"[0-9]{12}\.json")
#: Droppings of file managers; they are no findings.
_JUNK = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
_READ_SIZE = 1 << 14


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """What lies in ledger/: event file names in order, and names that are none."""

    events: tuple[str, ...]
    foreign: tuple[str, ...]


class LedgerFiles:
    """The event files of one registry."""

    def __init__(self, root: Path) -> None:
        """Look at ``root``/ledger; nothing is read yet."""
        self.directory = root / "ledger"

    def listing(self) -> Listing:
        """Return the names in ledger/; a missing directory is an empty one."""
        from manual_registry.adapters import remover

        try:
            names = sorted(os.listdir(self.directory))
        except FileNotFoundError:
            names = []
        events = tuple(name for name in names if _NAME.fullmatch(name))
        foreign = tuple(
            name for name in names if not _NAME.fullmatch(name) and name not in _JUNK and not remover.is_temporary(name)
        )
        return Listing(events=events, foreign=foreign)

    def raw(self, name: str) -> bytes:
        """Return the bytes of an event file."""
        try:
            # Not to be held up by a fifo that somebody put in an event's place.
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
            descriptor = os.open(f"{self.directory}/{name}", flags)  # joining paths would take as long as reading them
        except FileNotFoundError:
            raise EventMissing(f"ledger/{name} is missing", location=f"ledger/{name}", clause="RP-13") from None
        except OSError as error:
            raise EventUnreadable(f"ledger/{name}: {error.strerror}", location=f"ledger/{name}") from None
        try:
            return _read_all(descriptor)
        except OSError as error:
            raise EventUnreadable(f"ledger/{name}: {error.strerror}", location=f"ledger/{name}") from None
        finally:
            os.close(descriptor)

    def _files(self, names: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:
        for name in names:
            yield name, self.raw(name)

    def load(self) -> list[Event]:
        """Read and check the whole chain; raises the first integrity error, or :class:`EventDoubled` for a fork."""
        listing = self.listing()
        self.refuse_forks(listing)
        if not listing.events:
            raise LedgerEmpty(
                "the ledger is empty; this folder is not a registry any more",
                location="ledger/",
                hint="restore ledger/ from a backup",
            )
        return list(chain(self._files(listing.events)))

    def refuse_forks(self, listing: Listing) -> None:
        """Raise :class:`EventDoubled`, naming both files, when a file under another name claims a number."""
        for name in listing.foreign:
            claimed = self.claimed_number(name)
            if claimed is not None:
                raise EventDoubled(
                    f"ledger/{name} and ledger/{file_name(claimed)} both claim event {claimed}: two writers wrote into two"
                    " copies; keep both files safe and find out which one the signatures and anchors name",
                    location=f"ledger/{name}",
                    clause="RP-13",
                    details={"files": [f"ledger/{file_name(claimed)}", f"ledger/{name}"]},
                    hint="mreg verify",
                )

    def claimed_number(self, name: str) -> int | None:
        """Return the event number that a file which is not named as one claims; None: it is no event."""
        path = self.directory / name
        if not path.is_file() or path.is_symlink():
            return None
        try:
            return parse_event(self.raw(name), location=f"ledger/{name}").seq
        except RegistryError:
            return None

    def append(self, event: Event) -> bool:
        """Write ``event`` unless its number is taken; return whether it was written."""
        from manual_registry.adapters.files import os_errors, put_if_absent

        with os_errors(self.directory):
            self.directory.mkdir(exist_ok=True)
        return put_if_absent(self.directory / file_name(event.seq), event.raw)

    def has(self, seq: int) -> bool:
        """Tell whether event ``seq`` exists."""
        return os.path.lexists(self.directory / file_name(seq))

    def holds(self, event: Event) -> bool:
        """Tell whether the file of that number is ``event``, byte for byte."""
        return self.has(event.seq) and self.raw(file_name(event.seq)) == event.raw

    def discard_temporaries(self) -> None:
        """Remove the temporary files that an interrupted writer of ours left here."""
        from manual_registry.adapters import remover

        remover.discard_temporaries(self.directory)


def _read_all(descriptor: int) -> bytes:
    data = os.read(descriptor, _READ_SIZE)
    if len(data) < _READ_SIZE:
        return data
    parts, size = [data], len(data)
    while size <= LARGEST and (part := os.read(descriptor, _READ_SIZE)):
        parts.append(part)
        size += len(part)
    return b"".join(parts)
