"""What becomes of one version on its way to MLflow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from manual_registry.core.handover.comparing import Mismatch

if TYPE_CHECKING:
    from manual_registry.adapters.mlflow.reading import Held
    from manual_registry.core.errors import RegistryError
    from manual_registry.core.handover.limits import Remark


@dataclass(kw_only=True, slots=True)
class Outcome:
    """What became of one version.

    ``number`` is MLflow's; None: it is not there. ``read``: everything of it was read there, files downloaded and hashed.
    ``unfit``: the register's own files are not as registered, so that nothing can be said of those there.
    """

    model: str
    version: str
    digest: str = ""
    number: str | None = None
    run_id: str | None = None
    model_id: str | None = None
    flavour: str | None = None
    requests: int = 0
    would_write: int = 0
    read: bool = False
    unfit: bool = False
    reason: str = "stands so already"
    remarks: tuple[Remark, ...] = ()
    #: What the export wrote of itself, as it was read back: the event, and "".
    mark: tuple[int, str] | None = None
    #: Of a check: how many values are as they were when it was exported last; the register went on since.
    behind: int = 0
    #: Of a check: nothing of it is there, and no export is known that brought it.
    awaited: bool = False

    def behind_document(self) -> dict[str, Any]:
        """Return the entry of the export document that says how far the version is behind."""
        return {"model": self.model, "version": self.version, "there": not self.awaited, "values": self.behind}

    def document(self) -> dict[str, Any]:
        """Return the entry of the export document."""
        return {
            "model": self.model,
            "version": self.version,
            "number": self.number,
            "run_id": self.run_id,
            "model_id": self.model_id,
            "flavour": self.flavour,
            "digest": self.digest,
            "requests": self.requests or self.would_write,
            "read": self.read,
        }


def unfit(outcome: Outcome, problem: RegistryError, action: str) -> Mismatch:
    """A version whose own files are not as registered: not exported."""
    outcome.unfit = True
    outcome.reason = f"not {'compared' if action == 'check' else 'exported'}: {problem.message}"
    return Mismatch(
        model=outcome.model,
        version=outcome.version,
        place="artefact",
        name=str(problem.location or "artefact"),
        problem="unfit",
        expected=None,
        found=f"{problem.code}: {problem.message}",
    )


def settle(outcome: Outcome, held: Held) -> None:
    """Note the ids of what is there of the version."""
    outcome.number = str(held.registered.version) if held.registered is not None else None
    outcome.run_id = held.run.info.run_id if held.run is not None else None
    outcome.model_id = held.logged.model_id if held.logged is not None else None
