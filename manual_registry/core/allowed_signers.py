"""The file ``allowed_signers``: whose key may sign what, and since when, in the form that ssh-keygen reads.

Rules held here: every line names its namespaces and its dates, the dates in UTC with ``Z`` (without it
ssh-keygen reads them in local time); only what cannot be a pattern gets in as a principal (principals are
patterns). The file is a rendering of the ledger, never a source: who stands on it is decided by the state.

Round trip: ``parse(render(signers)) == tuple(signers)`` up to whole seconds;
tests/core/test_allowed_signers.py.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from manual_registry.core.errors import AllowedSignersDiffers, BadKey, BadName
from manual_registry.core.sshkeys import PublicKey, parse_public_key

FILE_NAME: Final = "allowed_signers"

_HEADER: Final = """\
# Rendered from the ledger by manual-registry: do not edit. `manual-registry verify` finds every changed line.
# One line per key: who, what the key may sign (namespaces), since when and until when (UTC), the public key.
# To check a signature without manual-registry:
#   ssh-keygen -Y verify -f allowed_signers -I WHO -n NAMESPACE -Overify-time=TIME -s X.json.sig < X.json
"""
_PRINCIPAL: Final = re.compile(r"[A-Za-z0-9._%+-]+(@[a-z0-9.-]+)?")
_NAMESPACE: Final = re.compile(r"[a-z0-9.-]+@[a-z0-9.-]+")
_LINE: Final = re.compile(
    r'(?P<principal>\S+) namespaces="(?P<namespaces>[^" ]+)",valid-after="(?P<after>\d{14})Z"'
    r'(,valid-before="(?P<before>\d{14})Z")? (?P<key>\S+ \S+)'
)
_STAMP: Final = "%Y%m%d%H%M%S"


@dataclass(frozen=True, kw_only=True, slots=True)
class AllowedSigner:
    """One key of one principal (an e-mail address, or a pipeline's name).

    ``valid_after`` and ``valid_before`` (None: still valid) are aware instants, kept to whole seconds in the
    file and inclusive on both sides, as ssh-keygen takes them: within one second only the chain knows what
    came first.
    """

    principal: str
    namespaces: tuple[str, ...]
    valid_after: datetime
    key: PublicKey
    valid_before: datetime | None = None

    def line(self) -> str:
        """Return the line, without line end; raises :class:`BadName` for what could be a pattern."""
        if not _PRINCIPAL.fullmatch(self.principal):
            raise BadName(f"{self.principal!r} cannot stand in {FILE_NAME}", location="principal")
        if not self.namespaces or not all(_NAMESPACE.fullmatch(name) for name in self.namespaces):
            raise BadName(f"{self.namespaces!r}: namespaces look like name@domain", location="namespaces")
        options = f'namespaces="{",".join(self.namespaces)}",valid-after="{format_time(self.valid_after)}"'
        if self.valid_before is not None:
            # ssh-keygen gives up on the whole file where before <= after (a key revoked in its first second).
            before = max(self.valid_before, self.valid_after.replace(microsecond=0) + timedelta(seconds=1))
            options += f',valid-before="{format_time(before)}"'
        return f"{self.principal} {options} {self.key.line()}"


def format_time(moment: datetime) -> str:
    """Return an aware instant as ``YYYYMMDDHHMMSSZ`` (UTC, cut to seconds), fit for ``-Overify-time=``."""
    utc = moment.astimezone(UTC)
    return f"{utc.year:04d}{utc:%m%d%H%M%S}Z"


def render(signers: Iterable[AllowedSigner]) -> str:
    """Return the whole file; raises :class:`BadName` for a principal or namespace that does not belong."""
    return _HEADER + "".join(f"{signer.line()}\n" for signer in signers)


def parse(text: str) -> tuple[AllowedSigner, ...]:
    """Read what :func:`render` writes; raises :class:`AllowedSignersDiffers` at the first other line."""
    return tuple(_parse_line(line, number) for number, line in _entries(text))


def foreign_lines(text: str, signers: Iterable[AllowedSigner]) -> tuple[tuple[int, str], ...]:
    """Return (line number, line) of all in ``text`` that the ledger does not have; doubled lines count."""
    left = Counter(signer.line() for signer in signers)
    found = []
    for number, line in _entries(text):
        if left[line] > 0:
            left[line] -= 1
        else:
            found.append((number, line))
    return tuple(found)


def missing_lines(text: str, signers: Sequence[AllowedSigner]) -> tuple[str, ...]:
    """Return the lines that the ledger has and ``text`` lacks (an older rendering, or lines cut out)."""
    there = Counter(line for _, line in _entries(text))
    return tuple((Counter(signer.line() for signer in signers) - there).elements())


def _entries(text: str) -> list[tuple[int, str]]:
    """Split at LF only, so that a CRLF shows as a difference; comments and empty lines are no entries."""
    lines = enumerate(text.split("\n"), start=1)
    return [(number, line) for number, line in lines if line.strip() and not line.startswith("#")]


def _parse_line(line: str, number: int) -> AllowedSigner:
    where = f"{FILE_NAME}:{number}"
    match = _LINE.fullmatch(line)
    if match is None:
        raise AllowedSignersDiffers(f"{where}: not a line that manual-registry writes", location=where)
    try:
        return AllowedSigner(
            principal=match["principal"],
            namespaces=tuple(match["namespaces"].split(",")),
            valid_after=_parse_time(match["after"]),
            valid_before=_parse_time(match["before"]) if match["before"] else None,
            key=parse_public_key(match["key"], where=where),
        )
    except BadKey as error:
        raise AllowedSignersDiffers(error.message, location=where) from error
    except ValueError:
        raise AllowedSignersDiffers(f"{where}: a date that does not exist", location=where) from None


def _parse_time(text: str) -> datetime:
    return datetime.strptime(text, _STAMP).replace(tzinfo=UTC)
