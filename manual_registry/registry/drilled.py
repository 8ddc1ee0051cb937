"""What a retrieval drill came to: values with the document of the contract (``manual-registry/drill/1``)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from manual_registry.core import drills

if TYPE_CHECKING:
    from manual_registry.core.errors import RegistryError


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """Why a version was not had back as registered: code, place below the root, sentence."""

    code: str
    location: str
    message: str

    def document(self) -> dict[str, str]:
        """Return it as it stands in the event and in the document."""
        return {"code": self.code, "location": self.location, "message": self.message}


@dataclass(kw_only=True, slots=True)
class Outcome:
    """What became of one version; ``bytes`` and ``files`` came, in ``milliseconds``, with the content hash ``blake3``."""

    model: str
    version: str
    place: str
    blake3: str | None = None
    files: int = 0
    bytes: int = 0
    milliseconds: int = 0
    problems: list[Problem] = field(default_factory=list)

    @property
    def ref(self) -> str:
        """``model@version``."""
        return f"{self.model}@{self.version}"

    @property
    def ok(self) -> bool:
        """True when it came back as registered."""
        return not self.problems

    def document(self, most: int | None = None) -> dict[str, Any]:
        """Return its entry; the event lists ``most`` problems, and says how many there were."""
        return {
            "model": self.model,
            "version": self.version,
            "place": self.place,
            "outcome": drills.RETRIEVED if self.ok else drills.FAILED,
            "blake3": self.blake3,
            "files": self.files,
            "bytes": self.bytes,
            "milliseconds": self.milliseconds,
            "problems": [one.document() for one in self.problems[:most]],
            "count": len(self.problems),
        }


@dataclass(kw_only=True, slots=True)
class Drilling:
    """The outcome of a drill (``manual-registry/drill/1``)."""

    head: tuple[int, str]
    archived: int
    sample: int | None = None
    #: The event on which was chosen, and its hash: the seed.
    through: int | None = None
    seed: str | None = None
    outcomes: list[Outcome] = field(default_factory=list)
    warnings: tuple[str, ...] = ()
    event: int | None = None
    #: Why the outcome could not be kept in the ledger; None: it could, or there was none.
    unrecorded: RegistryError | None = None

    @property
    def ok(self) -> bool:
        """True when every version that was tried came back as registered."""
        return all(one.ok for one in self.outcomes)

    @property
    def next(self) -> str:
        """The command to type next."""
        bad = [one.ref for one in self.outcomes if not one.ok]
        return f"mreg verify {' '.join(bad[:5])}" if bad else "mreg status" if not self.outcomes else "mreg anchor"

    def document(self) -> dict[str, Any]:
        """Return the JSON document."""
        document: dict[str, Any] = {
            "schema": "manual-registry/drill/1",
            "command": "drill",
            "changed": self.event is not None,
            "ok": self.ok,
            "archived": self.archived,
            "sample": self.sample,
            "through": self.through,
            "seed": self.seed,
            "versions": [one.document() for one in self.outcomes],
            "bytes": sum(one.bytes for one in self.outcomes),
            "milliseconds": sum(one.milliseconds for one in self.outcomes),
            "events": [] if self.event is None else [self.event],
            "ledger": {"seq": self.head[0], "hash": self.head[1]},
            "warnings": list(self.warnings),
            "next": self.next,
        }
        if self.unrecorded is not None:
            document["unrecorded"] = {"code": self.unrecorded.code, "message": self.unrecorded.message}
        return document
