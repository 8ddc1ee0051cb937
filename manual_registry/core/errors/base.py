"""The root of all errors, and how several become one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar, TypeAlias

Json: TypeAlias = "None | bool | int | float | str | list[Json] | dict[str, Json]"

#: Which exit status wins when several causes meet (design: usage first, a missing signature last).
STATUS_ORDER: tuple[int, ...] = (2, 7, 5, 4, 6, 3, 8, 9, 1, 130)


class RegistryError(Exception):
    """The root of every error that the tool raises on purpose."""

    code: ClassVar[str] = "MR-E000"
    status: ClassVar[int] = 1

    def __init__(
        self,
        message: str,
        *,
        clause: str | None = None,
        hint: str | None = None,
        location: str | None = None,
        details: Mapping[str, Json] | None = None,
    ) -> None:
        """Keep the facts.

        ``clause`` is a clause of archive_policy.md (``RP-n``) or an article of law; ``hint`` a command to type;
        ``location`` a path below the root, or a field; ``details`` more facts for ``--json``.
        """
        super().__init__(message)
        self.message = message
        self.clause = clause
        self.hint = hint
        self.location = location
        self.details: dict[str, Json] = dict(details or {})

    @property
    def reasons(self) -> tuple[RegistryError, ...]:
        """The single causes, most pressing first; a plain error is its own only cause."""
        return (self,)

    @property
    def exit_status(self) -> int:
        """The process exit status that this error stands for."""
        return self.status


class Refused(RegistryError):
    """Several causes at once; takes code and status of the most pressing one."""

    code = "MR-E001"

    def __init__(self, causes: Iterable[RegistryError], *, message: str | None = None) -> None:
        """Order ``causes`` (at least one) by :data:`STATUS_ORDER`, keeping their own order within a status."""
        flat = [single for cause in causes for single in cause.reasons]
        if not flat:
            raise ValueError("a refusal needs a cause")
        ordered = tuple(sorted(flat, key=lambda cause: STATUS_ORDER.index(cause.status)))
        first = ordered[0]
        super().__init__(
            message or first.message,
            clause=first.clause,
            hint=first.hint,
            location=first.location,
            details=first.details,
        )
        self._reasons = ordered

    @property
    def reasons(self) -> tuple[RegistryError, ...]:
        return self._reasons

    @property
    def exit_status(self) -> int:
        return self._reasons[0].status


def raise_for(causes: Iterable[RegistryError], *, message: str | None = None) -> None:
    """Raise nothing for no cause, the cause itself for one, :class:`Refused` for several."""
    found = [single for cause in causes for single in cause.reasons]
    if len(found) == 1:
        raise found[0]
    if found:
        raise Refused(found, message=message)
